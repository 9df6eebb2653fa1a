/*
 * lpm.h - longest-prefix match: IPv4 address -> session
 *
 * Host routes (/32) sit in one open-addressing hash and are found first, with
 * one probe as a rule; shorter prefixes sit in a hash per length that is only
 * looked at while it holds something.  Addresses are in host byte order.
 */
#ifndef LPM_H
#define LPM_H

#include <stdbool.h>
#include <stdint.h>

struct lpm;

/* NULL when out of memory. */
struct lpm *lpm_new(void);
void lpm_free(struct lpm *);

/*
 * Maps prefix addr/len (bits below len are ignored; len 0..32) to sid (not 0),
 * replacing what was there.  False when out of memory.
 */
bool lpm_set(struct lpm *, uint32_t addr, unsigned int len, uint32_t sid);

/* The sid set for exactly this prefix, or 0. */
uint32_t lpm_get(const struct lpm *, uint32_t addr, unsigned int len);

/* Removes exactly this prefix if it maps to sid; false if it does not. */
bool lpm_del(struct lpm *, uint32_t addr, unsigned int len, uint32_t sid);

/* The sid of the longest prefix that covers addr, or 0. */
uint32_t lpm_find(const struct lpm *, uint32_t addr);

/* Fetches ahead what lpm_find() will look at first. */
void lpm_prefetch(const struct lpm *, uint32_t addr);

/* Number of prefixes held. */
uint32_t lpm_count(const struct lpm *);

#endif
