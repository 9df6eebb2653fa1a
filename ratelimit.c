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
ratelimit_take(struct ratelimit *rl, uint32_t addr, uint32_t rate)
{
	uint64_t now = timer_now(), full = (uint64_t)rate * 1000, tokens;
	uint32_t i;

	if (rate == 0)
		return true;
	i = bucket_of(rl, addr);
	/* rate a second is rate thousandths a millisecond. */
	tokens = rl->bucket[i].tokens + (now - rl->bucket[i].last) * rate;
	if (tokens > full || rl->bucket[i].addr != addr)
		tokens = full;
	rl->bucket[i].addr = addr;
	rl->bucket[i].last = now;
	rl->bucket[i].tokens = (uint32_t)tokens;
	if (tokens < 1000)
		return false;
	rl->bucket[i].tokens -= 1000;
	return true;
}
