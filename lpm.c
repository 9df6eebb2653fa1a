/*
 * lpm.c - longest-prefix match: IPv4 address -> session
 *
 * One open-addressing hash for each prefix length that is in use, tried from
 * the longest to the shortest.  An LNS holds a host route for each subscriber
 * and a few Framed-Routes (RFC 2865 5.22) of a few lengths, so a packet is
 * nearly always found with the first probe into the first hash.
 *
 * Collisions go to the next free slot, and a deletion moves the entries behind
 * it back over the gap.  So there are no tombstones: however many sessions
 * come and go, a table is as fast as if it had just been built, and as large
 * as its fullest hour made it.
 *
 * Owns:     its tables.
 * Calls:    nobody.
 * Lifetime: lpm_new() to lpm_free().
 */
#include <stdlib.h>

#include "lpm.h"

#define LENGTHS		33		/* /0 to /32 */
#define SIZE_MIN	16u

struct entry {
	uint32_t addr;
	uint32_t sid;			/* 0: free */
};

struct map {
	struct entry *entry;		/* NULL until first used */
	uint32_t mask;			/* size - 1, size a power of two */
	uint32_t count;			/* at most half the size */
};

struct lpm {
	uint64_t lengths;		/* bit n: map[n] holds something */
	uint32_t count;
	struct map map[LENGTHS];
};

static uint32_t
prefix(uint32_t addr, unsigned int len)
{
	return len == 0 ? 0 : addr & UINT32_MAX << (32 - len);
}

/* Every bit of the address moves about half of the bits of the result. */
static uint32_t
hash(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x7feb352dU;
	x ^= x >> 15;
	x *= 0x846ca68bU;
	x ^= x >> 16;
	return x;
}

/* Where addr is, or the free slot where it would go.  Needs m->entry. */
static uint32_t
map_slot(const struct map *m, uint32_t addr)
{
	uint32_t i = hash(addr) & m->mask;

	while (m->entry[i].sid != 0 && m->entry[i].addr != addr)
		i = (i + 1) & m->mask;
	return i;
}

static uint32_t
map_get(const struct map *m, uint32_t addr)
{
	return m->entry != NULL ? m->entry[map_slot(m, addr)].sid : 0;
}

/* Doubles the table; false, and nothing changed, when out of memory. */
static bool
map_grow(struct map *m)
{
	uint32_t i, size = m->entry != NULL ? (m->mask + 1) * 2 : SIZE_MIN;
	struct entry *entry;
	struct map old = *m;

	if (size == 0)			/* 2^31 slots doubled */
		return false;
	entry = calloc(size, sizeof(*entry));
	if (entry == NULL)
		return false;
	m->entry = entry;
	m->mask = size - 1;
	if (old.entry != NULL)
		for (i = 0; i <= old.mask; i++)
			if (old.entry[i].sid != 0)
				m->entry[map_slot(m, old.entry[i].addr)] =
				    old.entry[i];
	free(old.entry);
	return true;
}

/*
 * Frees slot i and closes the gap: an entry further on moves back into it
 * unless it would then lie before its own home.
 */
static void
map_close_gap(struct map *m, uint32_t i)
{
	uint32_t gap = i, home;

	for (i = (i + 1) & m->mask; m->entry[i].sid != 0;
	    i = (i + 1) & m->mask) {
		home = hash(m->entry[i].addr) & m->mask;
		if (((i - home) & m->mask) < ((i - gap) & m->mask))
			continue;
		m->entry[gap] = m->entry[i];
		gap = i;
	}
	m->entry[gap] = (struct entry){ 0, 0 };
}

struct lpm *
lpm_new(void)
{
	return calloc(1, sizeof(struct lpm));
}

void
lpm_free(struct lpm *l)
{
	unsigned int len;

	if (l == NULL)
		return;
	for (len = 0; len < LENGTHS; len++)
		free(l->map[len].entry);
	free(l);
}

bool
lpm_set(struct lpm *l, uint32_t addr, unsigned int len, uint32_t sid)
{
	struct map *m;
	uint32_t i;

	if (len >= LENGTHS || sid == 0)
		return false;
	m = &l->map[len];
	addr = prefix(addr, len);
	if (map_get(m, addr) != 0) {
		m->entry[map_slot(m, addr)].sid = sid;
		return true;
	}
	if ((m->entry == NULL || m->count >= (m->mask + 1) / 2) &&
	    !map_grow(m))
		return false;
	i = map_slot(m, addr);
	m->entry[i] = (struct entry){ .addr = addr, .sid = sid };
	m->count++;
	l->count++;
	l->lengths |= UINT64_C(1) << len;
	return true;
}

uint32_t
lpm_get(const struct lpm *l, uint32_t addr, unsigned int len)
{
	return len < LENGTHS ? map_get(&l->map[len], prefix(addr, len)) : 0;
}

bool
lpm_del(struct lpm *l, uint32_t addr, unsigned int len, uint32_t sid)
{
	struct map *m;

	if (sid == 0 || lpm_get(l, addr, len) != sid)
		return false;
	m = &l->map[len];
	map_close_gap(m, map_slot(m, prefix(addr, len)));
	l->count--;
	if (--m->count == 0)
		l->lengths &= ~(UINT64_C(1) << len);
	return true;
}

uint32_t
lpm_find(const struct lpm *l, uint32_t addr)
{
	uint64_t left = l->lengths;
	unsigned int len;
	uint32_t sid;

	while (left != 0) {
		len = 63 - (unsigned int)__builtin_clzll(left);
		sid = map_get(&l->map[len], prefix(addr, len));
		if (sid != 0)
			return sid;
		left ^= UINT64_C(1) << len;
	}
	return 0;
}

void
lpm_prefetch(const struct lpm *l, uint32_t addr)
{
	const struct map *m = &l->map[LENGTHS - 1];

	if (m->entry != NULL)
		__builtin_prefetch(&m->entry[hash(addr) & m->mask]);
}

uint32_t
lpm_count(const struct lpm *l)
{
	return l->count;
}
