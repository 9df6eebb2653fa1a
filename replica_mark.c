/*
 * replica_mark.c - which tunnels and sessions the slaves have to hear of
 *
 * Two lists of slot numbers each for tunnels and sessions: what has changed,
 * and what is gone.  A slot is on a list once, however often it changes in a
 * turn, so a mark costs the same whatever happens, and no list can outgrow the
 * table.  Who is not followed by slaves pays for one test, and for counting.
 *
 * What is gone is told before what has changed.  A slot that is used again is
 * on both lists, and comes out right: first it is empty, then it is new.
 *
 * Owns:     the lists.
 * Calls:    nothing.
 * Lifetime: replica_marks_init() to replica_marks_exit().
 */
#include "replica_mark.h"

#include <stdlib.h>

#include "l2tpns.h"
#include "replica.h"

enum { LISTED = 1, WHOLE = 2 };

/* A queue of slots, with what is known of each. */
struct marks {
	uint32_t *queue;		/* a ring of `room` */
	uint8_t *what;			/* by slot */
	uint32_t room, first, n;
};

static struct marks session_changed, session_gone;
static struct marks tunnel_changed, tunnel_gone;
static bool followed;
static uint64_t changes;

static bool
marks_init(struct marks *m, uint32_t slots)
{
	*m = (struct marks){ .room = slots };
	m->queue = calloc(slots, sizeof(*m->queue));
	m->what = calloc((size_t)slots + 1, 1);
	return m->queue != NULL && m->what != NULL;
}

static void
marks_free(struct marks *m)
{
	free(m->queue);
	free(m->what);
	*m = (struct marks){ 0 };
}

static void
mark(struct marks *m, uint32_t slot, uint8_t what)
{
	uint32_t at = m->first + m->n;

	changes += lns.master;
	if (!followed || slot == 0 || slot > m->room)
		return;
	if (m->what[slot] == 0) {
		m->queue[at < m->room ? at : at - m->room] = slot;
		m->n++;
	}
	m->what[slot] |= what | LISTED;
}

/* 0 when it is empty. */
static uint32_t
take(struct marks *m, uint8_t *what)
{
	uint32_t slot;

	if (m->n == 0)
		return 0;
	slot = m->queue[m->first];
	m->first = m->first + 1 < m->room ? m->first + 1 : 0;
	m->n--;
	*what = m->what[slot];
	m->what[slot] = 0;
	return slot;
}

static void
clear(struct marks *m)
{
	uint8_t unused;

	while (take(m, &unused) != 0)
		continue;
}

/* --- what the machines call ------------------------------------------------ */

void
replica_session_changed(const struct session *s)
{
	mark(&session_changed, s->sid, WHOLE);
}

void
replica_session_gone(const struct session *s)
{
	mark(&session_gone, s->sid, WHOLE);
}

void
replica_tunnel_changed(const struct tunnel *t)
{
	mark(&tunnel_changed, t->tid, WHOLE);
}

void
replica_numbers_changed(const struct tunnel *t)
{
	mark(&tunnel_changed, t->tid, 0);
}

void
replica_tunnel_gone(const struct tunnel *t)
{
	mark(&tunnel_gone, t->tid, WHOLE);
}

/* --- what replica.c calls -------------------------------------------------- */

uint64_t
replica_marks_changes(void)
{
	uint64_t n = changes;

	changes = 0;
	return n;
}

bool
replica_marks_init(uint32_t sessions, uint32_t tunnels)
{
	if (marks_init(&session_changed, sessions) &&
	    marks_init(&session_gone, sessions) &&
	    marks_init(&tunnel_changed, tunnels) &&
	    marks_init(&tunnel_gone, tunnels))
		return true;
	replica_marks_exit();
	return false;
}

void
replica_marks_exit(void)
{
	followed = false;
	marks_free(&session_changed);
	marks_free(&session_gone);
	marks_free(&tunnel_changed);
	marks_free(&tunnel_gone);
}

void
replica_marks_follow(bool on)
{
	followed = on;
	if (on)
		return;
	clear(&session_changed);
	clear(&session_gone);
	clear(&tunnel_changed);
	clear(&tunnel_gone);
}

bool
replica_marks_followed(void)
{
	return followed;
}

uint32_t
replica_mark_session(void)
{
	uint8_t unused;

	return take(&session_changed, &unused);
}

uint32_t
replica_mark_session_gone(void)
{
	uint8_t unused;

	return take(&session_gone, &unused);
}

uint32_t
replica_mark_tunnel(bool *whole)
{
	uint8_t what = 0;
	uint32_t slot = take(&tunnel_changed, &what);

	*whole = (what & WHOLE) != 0;
	return slot;
}

uint32_t
replica_mark_tunnel_gone(void)
{
	uint8_t unused;

	return take(&tunnel_gone, &unused);
}

uint32_t
replica_marks(void)
{
	return session_changed.n + session_gone.n + tunnel_changed.n +
	    tunnel_gone.n;
}
