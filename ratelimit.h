/*
 * ratelimit.h - so many events a second for each source address
 *
 * Token buckets in a table of fixed size, one per hash of the address: two
 * sources may share a bucket, so a flood from many addresses costs no memory
 * and at worst slows a few innocent ones for as long as it lasts.
 */
#ifndef RATELIMIT_H
#define RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define RATELIMIT_BUCKETS	4096

/* One bucket by itself; all zero is a full one. */
struct token_bucket {
	uint64_t last;			/* ms */
	uint32_t tokens;		/* thousandths of an event */
};

/*
 * Takes one token; the bucket holds `rate` of them and fills at `rate` a
 * second.  False when it is empty.  rate 0 means no limit.
 */
bool token_take(struct token_bucket *, uint32_t rate);

struct ratelimit {
	uint32_t key;		/* random: nobody can aim at a bucket */
	struct {
		uint32_t addr;
		struct token_bucket tokens;
	} bucket[RATELIMIT_BUCKETS];
};

/* Takes one token of addr, as token_take(). */
bool ratelimit_take(struct ratelimit *, uint32_t addr, uint32_t rate);

#endif
