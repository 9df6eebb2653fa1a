/*
 * seen.c - has this been here before?  A memory of fixed size for floods
 *
 * A set of four entries for each hash, of which the oldest makes room.  An
 * entry is half a tag, which tells its kind from others, half the time.
 *
 * Owns:     nothing; the caller has the struct.
 * Calls:    timer_now(), digest_random_u32().
 * Lifetime: static, all zero at first.
 */
#include "seen.h"

#include "digest.h"
#include "timer.h"

#define UNIT_MS		64	/* of an entry's time, 70 minutes in all */

static uint64_t
mix(uint64_t h)
{
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

/* 1 and up, since an entry that is 0 is free. */
static uint16_t
tag_of(uint64_t hash)
{
	uint16_t tag = (uint16_t)(hash >> 48);

	return tag != 0 ? tag : 1;
}

static uint32_t
age(uint32_t entry, uint16_t now)
{
	return entry == 0 ? UINT32_MAX : (uint16_t)(now - (uint16_t)entry);
}

bool
seen_before(struct seen *s, uint64_t what)
{
	uint16_t now = (uint16_t)(timer_now() / UNIT_MS), tag;
	uint32_t *set, *oldest;
	uint64_t hash;

	while (s->key == 0)
		s->key = (uint64_t)digest_random_u32() << 32 |
		    digest_random_u32();
	hash = mix(mix(what ^ s->key) + s->key);
	tag = tag_of(hash);
	set = oldest = s->entry[hash % SEEN_SETS];
	for (int i = 0; i < SEEN_WAYS; i++) {
		if (set[i] >> 16 == tag &&
		    age(set[i], now) <= SEEN_LATE / UNIT_MS)
			return age(set[i], now) >= SEEN_SOON / UNIT_MS;
		if (age(set[i], now) > age(*oldest, now))
			oldest = &set[i];
	}
	*oldest = (uint32_t)tag << 16 | now;
	return false;
}
