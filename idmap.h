/*
 * idmap.h - a map of 16-bit ids to 32-bit slots, as one tunnel needs it
 *
 * Open addressing over a power of two, at most half full, keys taken as they
 * are: ids are random or counted up, so one probe finds what is there.  Id 0 is never a
 * key.  Memory is 6 octets an entry and grows and shrinks with use.
 */
#ifndef IDMAP_H
#define IDMAP_H

#include <stdbool.h>
#include <stdint.h>

struct idmap {
	uint16_t *ids;
	uint32_t *slots;
	uint32_t size, used;	/* size 0: nothing allocated */
};

/* The slot of id, or 0. */
static inline uint32_t
idmap_find(const struct idmap *m, uint16_t id)
{
	if (m->size == 0 || id == 0)
		return 0;
	for (uint32_t i = id & (m->size - 1); m->ids[i] != 0;
	    i = (i + 1) & (m->size - 1))
		if (m->ids[i] == id)
			return m->slots[i];
	return 0;
}

/* Fetches ahead what idmap_find() will look at. */
static inline void
idmap_prefetch(const struct idmap *m, uint16_t id)
{
	if (m->size == 0)
		return;
	__builtin_prefetch(&m->ids[id & (m->size - 1)]);
	__builtin_prefetch(&m->slots[id & (m->size - 1)]);
}

/*
 * Maps a fresh unpredictable id to slot (not 0).  Returns the id, or 0 when
 * all 65535 are taken or memory is short.
 */
uint16_t idmap_new(struct idmap *, uint32_t slot);

/*
 * Maps an id that somebody else chose, not 0 and not in use, to slot.  False
 * when memory is short.
 */
bool idmap_add(struct idmap *, uint16_t id, uint32_t slot);

/* Nothing happens if id is not there. */
void idmap_del(struct idmap *, uint16_t id);

void idmap_free(struct idmap *);

#endif
