/*
 * ratelimit.c - so many events a second for each source address
 *
 * Owns:     the buckets.
 * Calls:    timer_now(), digest_random_u32().
 * Lifetime: static, all zero at first.
 */
#include "ratelimit.h"

#include "digest.h"
#include "timer.h"

static uint32_t
bucket_of(struct ratelimit *rl, uint32_t addr)
{
	while (rl->key == 0)
		rl->key = digest_random_u32() | 1;
	return (addr ^ rl->key) * UINT32_C(2654435769) >> 20;
}

bool
token_take(struct token_bucket *b, uint32_t rate)
{
	uint64_t now = timer_now(), full = (uint64_t)rate * 1000, tokens;

	if (rate == 0)
		return true;
	/* rate a second is rate thousandths a millisecond. */
	tokens = b->tokens + (now - b->last) * rate;
	if (tokens > full || b->last == 0)
		tokens = full;
	b->last = now;
	b->tokens = (uint32_t)tokens;
	if (tokens < 1000)
		return false;
	b->tokens -= 1000;
	return true;
}

bool
ratelimit_take(struct ratelimit *rl, uint32_t addr, uint32_t rate)
{
	uint32_t i;

	if (rate == 0)
		return true;
	i = bucket_of(rl, addr);
	if (rl->bucket[i].addr != addr)
		rl->bucket[i].tokens = (struct token_bucket){ 0 };
	rl->bucket[i].addr = addr;
	return token_take(&rl->bucket[i].tokens, rate);
}
