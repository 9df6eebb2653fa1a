/*
 * idmap.c - a map of 16-bit ids to 32-bit slots
 *
 * Owns:     the two arrays of each map.
 * Calls:    digest_random_u32() for ids that nobody can guess (RFC 2661 9.1).
 * Lifetime: an all-zero map is empty; idmap_free() makes it so again.
 */
#include "idmap.h"

#include <stdlib.h>

#include "digest.h"

#define IDMAP_MIN	8	/* smallest size that is allocated */

static void
idmap_put(struct idmap *m, uint16_t id, uint32_t slot)
{
	uint32_t i = id & (m->size - 1);

	while (m->ids[i] != 0)
		i = (i + 1) & (m->size - 1);
	m->ids[i] = id;
	m->slots[i] = slot;
	m->used++;
}

/* Moves everything into arrays of another size; false: nothing changed. */
static bool
idmap_resize(struct idmap *m, uint32_t size)
{
	struct idmap bigger = { .size = size };

	bigger.ids = calloc(size, sizeof(*bigger.ids));
	bigger.slots = calloc(size, sizeof(*bigger.slots));
	if (bigger.ids == NULL || bigger.slots == NULL) {
		idmap_free(&bigger);
		return false;
	}
	for (uint32_t i = 0; i < m->size; i++)
		if (m->ids[i] != 0)
			idmap_put(&bigger, m->ids[i], m->slots[i]);
	idmap_free(m);
	*m = bigger;
	return true;
}

static bool
idmap_room(struct idmap *m)
{
	return m->used * 2 < m->size ||
	    idmap_resize(m, m->size == 0 ? IDMAP_MIN : m->size * 2);
}

bool
idmap_add(struct idmap *m, uint16_t id, uint32_t slot)
{
	if (!idmap_room(m))
		return false;
	idmap_put(m, id, slot);
	return true;
}

uint16_t
idmap_new(struct idmap *m, uint32_t slot)
{
	uint16_t id;

	if (m->used >= UINT16_MAX || !idmap_room(m))
		return 0;
	id = (uint16_t)digest_random_u32();
	while (id == 0 || idmap_find(m, id) != 0)
		id++;
	idmap_put(m, id, slot);
	return id;
}

/*
 * Closes the gap at i: whatever follows in the same run and may sit in the
 * gap moves up, so that no find stops short and no tombstones pile up.
 */
static void
idmap_close_gap(struct idmap *m, uint32_t i)
{
	uint32_t mask = m->size - 1;

	for (uint32_t j = (i + 1) & mask; m->ids[j] != 0; j = (j + 1) & mask) {
		uint32_t home = m->ids[j] & mask;

		if (((j - home) & mask) < ((j - i) & mask))
			continue;
		m->ids[i] = m->ids[j];
		m->slots[i] = m->slots[j];
		i = j;
	}
	m->ids[i] = 0;
}

void
idmap_del(struct idmap *m, uint16_t id)
{
	uint32_t i;

	if (idmap_find(m, id) == 0)
		return;
	for (i = id & (m->size - 1); m->ids[i] != id; i = (i + 1) & (m->size - 1))
		;
	idmap_close_gap(m, i);
	m->used--;
	if (m->used == 0)
		idmap_free(m);
	else if (m->size > IDMAP_MIN && m->used * 8 < m->size)
		(void)idmap_resize(m, m->size / 2);
}

void
idmap_free(struct idmap *m)
{
	free(m->ids);
	free(m->slots);
	*m = (struct idmap){ 0 };
}
