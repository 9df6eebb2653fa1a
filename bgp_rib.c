/*
 * bgp_rib.c - the prefixes to be announced, and what each peer has of them
 *
 * Whether a peer shall have a prefix can be told at any time from the prefix
 * alone, and a bit says whether it has it.  So nothing has to be queued for a
 * peer but where to look: the journal holds the slots that were touched last,
 * and a peer that has heard of all but the last few looks at those.  One that
 * is new, or was too slow for the journal, walks over the whole table; so does
 * every peer when routes are raised or dropped.  A prefix that came and went in
 * the meantime is looked at twice and told not at all.
 *
 * A slot is free again when nobody asks for its prefix and no peer has it.
 *
 * Owns:     the table, the journal, the bits that are given out.
 * Calls:    lpm.h, as a map of prefix -> slot.
 * Lifetime: from the first rib_add() to rib_clear().
 */
#include "bgp_rib.h"

#include <stdlib.h>
#include <string.h>

#include "lpm.h"

#define JOURNAL		8192u		/* touches; a power of two */
#define NOT_FREE	UINT32_MAX
#define FREE_END	(UINT32_MAX - 1)

struct slot {
	uint32_t addr;
	uint32_t count[RIB_KINDS];
	uint32_t has;			/* bits of the views */
	uint32_t next_free;		/* NOT_FREE: in use */
	uint8_t len;
};

static struct {
	struct slot *slot;
	uint32_t n, room;		/* slots used so far */
	uint32_t free;			/* FREE_END: none */
	struct lpm *map;		/* prefix -> slot + 1 */
	uint32_t views;			/* bits in use */
	bool raised;
	uint64_t touched;		/* entries written to the journal */
	uint32_t journal[JOURNAL];
} rib = { .free = FREE_END };

static uint32_t
network(uint32_t addr, uint8_t len)
{
	return len == 0 ? 0 : len >= 32 ? addr : addr & UINT32_MAX << (32 - len);
}

static void
touch(uint32_t i)
{
	rib.journal[rib.touched++ % JOURNAL] = i;
}

/* --- slots -------------------------------------------------------------- */

/* A slot for a new prefix; false when out of memory. */
static bool
slot_take(uint32_t *i)
{
	struct slot *more;
	uint32_t room = rib.room * 2 + 64;

	if (rib.free != FREE_END) {
		*i = rib.free;
		rib.free = rib.slot[*i].next_free;
		return true;
	}
	if (rib.n == rib.room) {
		more = reallocarray(rib.slot, room, sizeof(*more));
		if (more == NULL)
			return false;
		rib.slot = more;
		rib.room = room;
	}
	*i = rib.n++;
	return true;
}

static void
slot_give(uint32_t i)
{
	rib.slot[i].next_free = rib.free;
	rib.free = i;
}

static void
slot_check(uint32_t i)
{
	struct slot *s = &rib.slot[i];

	if (s->next_free != NOT_FREE || s->has != 0 ||
	    s->count[RIB_RAISED] != 0 || s->count[RIB_ALWAYS] != 0)
		return;
	(void)lpm_del(rib.map, s->addr, s->len, i + 1);
	slot_give(i);
}

bool
rib_add(uint32_t addr, uint8_t len, enum rib_kind kind)
{
	uint32_t i;

	if (rib.map == NULL && (rib.map = lpm_new()) == NULL)
		return false;
	addr = network(addr, len);
	i = lpm_get(rib.map, addr, len);
	if (i == 0) {
		if (!slot_take(&i))
			return false;
		rib.slot[i] = (struct slot){ .addr = addr, .len = len,
		    .next_free = NOT_FREE };
		if (!lpm_set(rib.map, addr, len, i + 1)) {
			slot_give(i);
			return false;
		}
	} else
		i--;
	if (rib.slot[i].count[kind]++ == 0)
		touch(i);
	return true;
}

void
rib_sub(uint32_t addr, uint8_t len, enum rib_kind kind)
{
	uint32_t i = rib.map == NULL ? 0 :
	    lpm_get(rib.map, network(addr, len), len);

	if (i == 0 || rib.slot[i - 1].count[kind] == 0)
		return;
	if (--rib.slot[i - 1].count[kind] == 0)
		touch(i - 1);
	slot_check(i - 1);
}

uint32_t
rib_count(void)
{
	return rib.map != NULL ? lpm_count(rib.map) : 0;
}

void
rib_raise(bool raised)
{
	rib.raised = raised;
}

bool
rib_raised(void)
{
	return rib.raised;
}

/* --- views -------------------------------------------------------------- */

bool
rib_join(struct rib_view *v)
{
	uint32_t bit = ~rib.views & (rib.views + 1);

	if (bit == 0)
		return false;
	rib.views |= bit;
	v->bit = bit;
	v->prefixes = 0;
	v->again = false;
	rib_review(v);
	return true;
}

void
rib_leave(struct rib_view *v)
{
	for (uint32_t i = 0; v->prefixes > 0 && i < rib.n; i++) {
		if ((rib.slot[i].has & v->bit) == 0)
			continue;
		rib.slot[i].has &= ~v->bit;
		v->prefixes--;
		slot_check(i);
	}
	rib.views &= ~v->bit;
	v->bit = 0;
	v->walking = false;
}

/* From here on the journal is heard, from before the walk is over. */
void
rib_review(struct rib_view *v)
{
	v->walking = true;
	v->at = 0;
	v->heard = rib.touched;
}

void
rib_repeat(struct rib_view *v)
{
	rib_review(v);
	v->again = true;
}

bool
rib_pending(const struct rib_view *v)
{
	return v->bit != 0 && (v->walking || v->heard != rib.touched);
}

static bool
wanted(const struct slot *s, const struct rib_view *v)
{
	return !v->muted && (s->count[RIB_ALWAYS] > 0 ||
	    (rib.raised && s->count[RIB_RAISED] > 0));
}

/* Is there something to be said of slot i? */
static bool
look(struct rib_view *v, uint32_t i, bool again, struct rib_change *c)
{
	struct slot *s = &rib.slot[i];
	bool has = (s->has & v->bit) != 0, want;

	if (s->next_free != NOT_FREE)
		return false;
	want = wanted(s, v);
	if (has == want && !(again && want))
		return false;
	*c = (struct rib_change){ s->addr, s->len, !want };
	if (want && !has) {
		s->has |= v->bit;
		v->prefixes++;
	} else if (has && !want) {
		s->has &= ~v->bit;
		v->prefixes--;
		slot_check(i);
	}
	return true;
}

static bool
next_of_walk(struct rib_view *v, unsigned int *looks, struct rib_change *c)
{
	while (v->at < rib.n && *looks > 0) {
		(*looks)--;
		if (look(v, v->at++, v->again, c))
			return true;
	}
	if (v->at >= rib.n)
		v->walking = v->again = false;
	return false;
}

bool
rib_next(struct rib_view *v, unsigned int *looks, struct rib_change *c)
{
	if (v->bit == 0)
		return false;
	if (rib.touched - v->heard > JOURNAL) {
		bool again = v->again;

		rib_review(v);
		v->again = again;
	}
	if (v->walking && next_of_walk(v, looks, c))
		return true;
	while (!v->walking && v->heard != rib.touched && *looks > 0) {
		(*looks)--;
		if (look(v, rib.journal[v->heard++ % JOURNAL], false, c))
			return true;
	}
	return false;
}

void
rib_clear(void)
{
	free(rib.slot);
	lpm_free(rib.map);
	memset(&rib, 0, sizeof(rib));
	rib.free = FREE_END;
}
