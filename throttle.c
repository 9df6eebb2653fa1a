/*
 * throttle.c - a token bucket and a short queue for each way of a session
 *
 * Credit is counted in bits: a rate of so many kbit/s is so many bits a
 * millisecond, so it grows by whole numbers and nothing is ever rounded away.
 * A packet goes while there is no debt, and may leave one as long as itself;
 * so a rate below one packet a second works too, and the bucket can be small
 * (BURST_MS), which keeps the rate true over short times as well.
 *
 * What may not go yet is copied into the queue.  That is bounded by the time
 * until its last packet would leave, QUEUE_MS at the rate with the debt paid
 * off first; more would be delay that TCP fills and nobody gains from.  At low
 * rates there is room for FLOOR octets whatever time they take, for TCP does
 * not work with less.  All queues together have MEMORY octets.  What does not
 * fit is dropped, and so is what malloc() has no room for: a packet, never a
 * session.
 *
 * No packet has a timer.  A queue that is not empty has one on the wheel, for
 * when its debt is paid; it comes late by a tick of the wheel at most, and as
 * credit goes on growing without bound while something waits, late costs
 * nothing of the rate.  A packet that arrives also lets go what may go, so
 * under load time is cut finer than by ticks.  Sessions that are below their
 * rate have no timer, those at full speed have nothing at all.
 *
 * Owns:     session_local.throttle, the packets that wait, and for the rest of
 *           the turn those that were let go.
 * Calls:    forward_release() with each packet when its time has come.
 * Lifetime: throttle_set() to throttle_set(0, 0) or throttle_stop().
 */
#include "throttle.h"

#include <stdlib.h>
#include <string.h>

#include "forward.h"
#include "replica.h"
#include "table.h"

#define BURST_MS	20
#define QUEUE_MS	100
#define FLOOR		3000		/* octets: two packets of any size */
#define MEMORY		((size_t)256 << 20)	/* octets, of all queues */
#define STALL_MS	60000		/* what the clock may jump by */

/* A packet that waits, or was let go in this turn. */
struct held {
	struct held *next;
	size_t len;
	uint8_t room[];			/* FORWARD_HEADROOM, then the packet */
};

struct queue {
	struct timer timer;		/* armed: while something waits */
	uint32_t sid;
	uint32_t rate;			/* kbit/s; 0: full speed */
	bool out;
	int64_t credit;			/* bits; below 0: debt */
	uint64_t credited;		/* ms: credit is as of then */
	struct held *first, **end;
	uint64_t octets;		/* of IP that wait */
	struct throttle_row row;	/* what is counted */
};

struct throttle {
	struct queue way[2];		/* in, out */
};

static uint32_t sessions;
static size_t memory;			/* of all held packets */
static struct held *let_go;		/* to be freed when all is written */

uint32_t
throttle_sessions(void)
{
	return sessions;
}

/* --- packets that wait ---------------------------------------------------- */

static size_t
held_size(size_t len)
{
	return sizeof(struct held) + FORWARD_HEADROOM + len;
}

static struct held *
held_new(const uint8_t *ip, size_t len)
{
	struct held *h;

	if (memory + held_size(len) > MEMORY)
		return NULL;
	h = malloc(held_size(len));
	if (h == NULL)
		return NULL;
	memory += held_size(len);
	h->len = len;
	memcpy(h->room + FORWARD_HEADROOM, ip, len);
	return h;
}

static void
held_free(struct held *h)
{
	memory -= held_size(h->len);
	free(h);
}

static void
queue_clear(struct queue *q)
{
	q->first = NULL;
	q->end = &q->first;
	q->octets = 0;
	q->row.queued = 0;
}

static void
queue_push(struct queue *q, struct held *h)
{
	h->next = NULL;
	*q->end = h;
	q->end = &h->next;
	q->octets += h->len;
	q->row.queued++;
}

static struct held *
queue_shift(struct queue *q)
{
	struct held *h = q->first;

	q->first = h->next;
	if (q->first == NULL)
		q->end = &q->first;
	q->octets -= h->len;
	q->row.queued--;
	return h;
}

void
throttle_flushed(void)
{
	struct held *h;

	while ((h = let_go) != NULL) {
		let_go = h->next;
		held_free(h);
	}
}

/* --- the bucket ----------------------------------------------------------- */

static int64_t
bits(size_t octets)
{
	return (int64_t)octets * 8;
}

static void
refill(struct queue *q)
{
	uint64_t ms = timer_now() - q->credited;

	q->credited = timer_now();
	q->credit += (int64_t)q->rate * (int64_t)(ms < STALL_MS ? ms :
	    STALL_MS);
}

static void
passes(struct queue *q, size_t len)
{
	q->credit -= bits(len);
	q->row.packets_out++;
	q->row.octets_out += len;
}

/* It stays in memory until throttle_flushed(). */
static void
release_first(struct queue *q, struct session *s)
{
	struct held *h = queue_shift(q);

	passes(q, h->len);
	h->next = let_go;
	let_go = h;
	forward_release(s, q->out, h->room + FORWARD_HEADROOM, h->len);
}

static void
arm_or_not(struct queue *q)
{
	if (q->first == NULL)
		timer_disarm(&q->timer);
	else if (!timer_armed(&q->timer))
		timer_arm(&q->timer,
		    (uint64_t)((q->rate - 1 - q->credit) / q->rate));
}

/*
 * All that may go by now; the timer waits for the rest.  Only a bucket that
 * nobody waits for can be full.
 */
static void
release_due(struct queue *q, struct session *s)
{
	int64_t full = (int64_t)q->rate * BURST_MS;

	refill(q);
	while (q->first != NULL && q->credit >= 0)
		release_first(q, s);
	if (q->first == NULL && q->credit > full)
		q->credit = full;
	arm_or_not(q);
}

static void
queue_fire(struct timer *t)
{
	struct queue *q = timer_owner(t, struct queue, timer);

	release_due(q, session_by_sid(q->sid));
}

/* Would the last packet leave in time if there were so many octets more? */
static bool
has_room(const struct queue *q, size_t len)
{
	return q->octets + len <= FLOOR ||
	    bits(q->octets + len) - q->credit <= (int64_t)q->rate * QUEUE_MS;
}

static void
hold_or_drop(struct queue *q, const uint8_t *ip, size_t len)
{
	struct held *h = NULL;

	if (!has_room(q, len))
		COUNT(throttle_dropped);
	else if ((h = held_new(ip, len)) == NULL)
		COUNT(throttle_no_memory);
	if (h == NULL) {
		q->row.dropped++;
		return;
	}
	queue_push(q, h);
	arm_or_not(q);
	q->row.delayed++;
	COUNT(throttle_delayed);
}

bool
throttle_pass(struct session *s, bool out, const uint8_t *ip, size_t len)
{
	struct throttle *t = session_local(s)->throttle;
	struct queue *q;

	if (t == NULL || t->way[out].rate == 0)
		return true;
	q = &t->way[out];
	q->row.packets_in++;
	q->row.octets_in += len;
	release_due(q, s);
	if (q->first == NULL && q->credit >= 0) {
		passes(q, len);
		return true;
	}
	hold_or_drop(q, ip, len);
	return false;
}

/* --- setting -------------------------------------------------------------- */

static struct throttle *
throttle_new(uint32_t sid)
{
	struct throttle *t = calloc(1, sizeof(*t));

	for (int i = 0; t != NULL && i < 2; i++) {
		struct queue *q = &t->way[i];

		q->timer.fire = queue_fire;
		q->sid = sid;
		q->out = i == 1;
		queue_clear(q);
	}
	if (t != NULL)
		sessions++;
	return t;
}

/* What would have to wait for too long at the new rate is dropped. */
static void
trim(struct queue *q)
{
	struct held *h, *next = q->first;

	queue_clear(q);
	while ((h = next) != NULL) {
		next = h->next;
		if (has_room(q, h->len)) {
			queue_push(q, h);
		} else {
			COUNT(throttle_dropped);
			q->row.dropped++;
			held_free(h);
		}
	}
}

static void
set_rate(struct queue *q, struct session *s, uint32_t rate)
{
	if (rate == q->rate)
		return;
	refill(q);
	q->rate = rate;
	timer_disarm(&q->timer);
	if (rate != 0) {
		trim(q);
		release_due(q, s);
		return;
	}
	while (q->first != NULL)
		release_first(q, s);
	q->credit = 0;
}

void
throttle_stop(struct session *s)
{
	struct session_local *l = session_local(s);

	if (l->throttle == NULL)
		return;
	for (int i = 0; i < 2; i++) {
		struct queue *q = &l->throttle->way[i];

		while (q->first != NULL)
			held_free(queue_shift(q));
		timer_disarm(&q->timer);
	}
	free(l->throttle);
	l->throttle = NULL;
	sessions--;
}

bool
throttle_set(struct session *s, uint32_t in, uint32_t out)
{
	struct session_local *l = session_local(s);

	if (s->dying)
		return false;
	if (l->throttle == NULL && (in | out) != 0) {
		l->throttle = throttle_new(s->sid);
		if (l->throttle == NULL)
			return false;
	}
	s->throttle_in = in;
	s->throttle_out = out;
	replica_session_changed(s);
	if (l->throttle != NULL) {
		set_rate(&l->throttle->way[0], s, in);
		set_rate(&l->throttle->way[1], s, out);
	}
	if ((in | out) != 0) {
		s->flags |= SF_THROTTLE;
	} else {
		s->flags &= (uint16_t)~SF_THROTTLE;
		throttle_stop(s);
	}
	return true;
}

bool
throttle_row(const struct session *s, int n, struct throttle_row *row)
{
	struct throttle *t = session_local(s)->throttle;
	struct queue *q;

	if (t == NULL || n < 0 || n > 1 || t->way[n].rate == 0)
		return false;
	q = &t->way[n];
	if (q->first == NULL)
		release_due(q, NULL);	/* nothing: but the credit as of now */
	*row = q->row;
	row->sid = q->sid;
	row->out = q->out;
	row->rate = q->rate;
	row->credit = q->credit > 0 ? (uint32_t)(q->credit / 8) : 0;
	return true;
}
