/*
 * cluster_stream.c - records from the master to everybody, in order
 *
 * The master packs records into datagrams and numbers these.  It sends each
 * once, to all, and keeps the latest of them for a while.  A slave takes them
 * in the order of their numbers, holds what has come early, and asks for what
 * is missing, again and again; each heartbeat names the next number, so that a
 * lost tail is noticed too.  What the master no longer has cannot be asked for:
 * then the copy is lost, and a walk makes a new one.  Nobody ever ends because
 * of it.
 *
 * The numbers go on from reign to reign of one process, but nobody may take two
 * reigns for one: between them the process had another's state.  So the reign
 * is named with each number.
 *
 * Owns:     records not sent yet, datagrams that can be sent again; what has
 *           come early, which number is expected.
 * Calls:    cluster.c to send; replica.c with each record.
 * Lifetime: stream_init() to the end of the process.
 */
#include <stdlib.h>
#include <string.h>

#include "cluster_int.h"
#include "counters.h"
#include "log.h"
#include "ratelimit.h"
#include "replica.h"
#include "timer.h"

/* Of records in one datagram: with all headers, no more than Ethernet takes. */
#define BODY_FULL	1380
#define BODY_MAX	(CW_FIELD + CLUSTER_RECORD_MAX)

/* What can be sent again: some seconds of a busy master. */
#define KEPT_OCTETS	(8u * 1024 * 1024)
#define KEPT_MAX	8192
#define RESEND_RATE	8000		/* datagrams a second, to all */

/* What a slave holds that came early. */
#define HELD_MAX	1024
#define ASK_AGAIN	100		/* ms */
#define LONG_MISSING	1000		/* ms */
#define BROKEN_REST	5000		/* ms */

/* --- the master's side ----------------------------------------------------- */

static uint8_t body[BODY_MAX];		/* records for the next datagram */
static size_t body_len;

static uint32_t reign;
static uint64_t next_seq;

/* seq lies at kept[seq % KEPT_MAX], its octets somewhere in the ring. */
static uint8_t ring[KEPT_OCTETS];
static struct { uint32_t at, len; } kept[KEPT_MAX];
static uint64_t oldest_seq;
static size_t ring_at;

static uint64_t walk_seq;		/* with the last CLUSTER_WALK_BEGIN */
static bool walk_asked;			/* and it has not come yet */
static struct token_bucket resends;

uint32_t
stream_reign(void)
{
	return reign;
}

uint64_t
stream_next(void)
{
	return next_seq;
}

uint64_t
stream_oldest(void)
{
	return oldest_seq;
}

void
stream_begin_reign(void)
{
	reign++;
	body_len = 0;
	oldest_seq = next_seq;
	ring_at = 0;
	walk_seq = 0;
	walk_asked = false;
}

void
stream_skip(void)
{
	body_len = 0;
	walk_asked = false;		/* it is for nobody */
	oldest_seq = ++next_seq;
}

/* Makes room: forgets the oldest that lie where the next one will. */
static void
keep_evict(size_t from, size_t len)
{
	while (oldest_seq < next_seq) {
		size_t at = kept[oldest_seq % KEPT_MAX].at;
		size_t end = at + kept[oldest_seq % KEPT_MAX].len;

		if (next_seq - oldest_seq < KEPT_MAX &&
		    (end <= from || at >= from + len))
			break;
		oldest_seq++;
	}
}

static void
keep(uint64_t seq, const uint8_t *p, size_t len)
{
	if (ring_at + len > KEPT_OCTETS) {
		keep_evict(ring_at, KEPT_OCTETS - ring_at);
		ring_at = 0;
	}
	keep_evict(ring_at, len);
	memcpy(ring + ring_at, p, len);
	kept[seq % KEPT_MAX].at = (uint32_t)ring_at;
	kept[seq % KEPT_MAX].len = (uint32_t)len;
	ring_at += len;
}

static void
send_body(uint32_t to, uint64_t seq, const uint8_t *p, size_t len)
{
	static uint8_t buf[CW_DATAGRAM_MAX];
	struct cw_stream s = { .reign = reign, .seq = seq,
	    .changes = cluster_changes() };
	struct wr w = wr_init(buf, sizeof(buf));

	talk_begin(&w, CW_STREAM, to);
	cw_put_stream(&w, &s);
	wr_bytes(&w, p, len);
	(void)talk_post(&w, to);
}

/* A datagram that cannot be sent is as one that gets lost. */
void
cluster_flush(void)
{
	if (body_len == 0)
		return;
	keep(next_seq, body, body_len);
	send_body(0, next_seq++, body, body_len);
	body_len = 0;
}

void
cluster_stream(enum cluster_record type, const uint8_t *record, size_t len)
{
	struct wr w;

	if (type == CLUSTER_WALK_BEGIN)
		walk_asked = false;
	if (!cluster_followed() || len > CLUSTER_RECORD_MAX)
		return;
	if (body_len + CW_FIELD + len > BODY_FULL)
		cluster_flush();
	w = wr_init(body + body_len, sizeof(body) - body_len);
	cw_put(&w, (uint16_t)type, record, len);
	body_len += wr_done(&w);
	if (type == CLUSTER_WALK_BEGIN)
		walk_seq = next_seq;
	if (body_len >= BODY_FULL)
		cluster_flush();
}

/*
 * Paced, as a member that asks for much at once may be slow to take it.  It
 * asks again for what it does not get.
 */
void
stream_resend(uint32_t to, struct rd *asked)
{
	struct cw_range r;
	uint64_t seq;

	while (cw_get_range(asked, &r)) {
		for (seq = r.from; seq - r.from < r.count; seq++) {
			if (seq < oldest_seq || seq >= next_seq)
				break;
			if (!token_take(&resends, RESEND_RATE))
				return;
			COUNT(cluster_resent);
			send_body(to, seq, ring + kept[seq % KEPT_MAX].at,
			    kept[seq % KEPT_MAX].len);
		}
	}
}

void
stream_wants_walk(uint64_t expects)
{
	if (walk_asked || (walk_seq != 0 && walk_seq >= expects))
		return;
	walk_asked = true;
	replica_walk();
}

/* --- the slave's side ------------------------------------------------------ */

static struct held {
	uint8_t *p;
	size_t len;
	uint64_t seq;
} held[HELD_MAX];			/* seq lies at seq % HELD_MAX */

static uint32_t their_reign;
static uint64_t expects;		/* all before it has been taken */
static uint64_t known;			/* all before it exist */
static uint64_t asked_until, ask_at;	/* asked for; when to ask again */
static uint64_t missing_since;		/* ms; 0: nothing is */
static bool walking;			/* CLUSTER_WALK_BEGIN has come */
static uint64_t rest_until;		/* ms: no walk is asked for before */

void
stream_init(void)
{
	for (size_t i = 0; i < HELD_MAX; i++) {
		free(held[i].p);
		held[i] = (struct held){ 0 };
	}
	body_len = ring_at = 0;
	reign = their_reign = 0;
	next_seq = oldest_seq = 1;
	walk_seq = 0;
	walk_asked = walking = false;
	expects = known = asked_until = ask_at = missing_since = 0;
	rest_until = 0;
}

static void
held_free(struct held *h)
{
	free(h->p);
	h->p = NULL;
}

/* From here on, whatever was before. */
static void
start_over(uint64_t next)
{
	for (size_t i = 0; i < HELD_MAX; i++)
		held_free(&held[i]);
	expects = known = asked_until = next;
	ask_at = missing_since = 0;
	walking = false;
	replica_lost();
}

void
stream_follow(uint32_t number, uint64_t next)
{
	their_reign = number;
	rest_until = 0;
	start_over(next);
}

uint32_t
stream_their_reign(void)
{
	return their_reign;
}

uint64_t
stream_expects(void)
{
	return expects;
}

bool
stream_is_whole(void)
{
	return missing_since == 0 ||
	    timer_now() - missing_since < LONG_MISSING;
}

bool
stream_needs_walk(void)
{
	return (!walking && timer_now() >= rest_until) || replica_wants_walk();
}

/* False: the copy makes no sense any more. */
static bool
take_records(struct rd r)
{
	struct rd value;
	uint16_t type;

	while (cw_next(&r, &type, &value)) {
		if (type >= CW_F_STATE)
			continue;
		if (type == CLUSTER_WALK_BEGIN)
			walking = true;
		if (!replica_record((enum cluster_record)type, &value))
			return false;
	}
	return !r.bad;
}

/* The next time may be as bad: the master shall not walk all the time. */
static void
broken(uint64_t seq)
{
	static struct log_limit limit;

	COUNT(cluster_lost);
	log_limited(&limit, LOG_L_ERROR, 0, 0, "cluster: part %llu of the "
	    "master's stream makes no sense here; asking for everything anew",
	    (unsigned long long)seq);
	rest_until = timer_now() + BROKEN_REST;
	start_over(known > seq ? known : seq + 1);
}

/* All of one datagram, as far as it makes sense to replica.c. */
static void
take_what_goes(struct rd r)
{
	struct rd value;
	uint16_t type;

	while (cw_next(&r, &type, &value))
		if (type < CW_F_STATE)
			(void)replica_record((enum cluster_record)type,
			    &value);
}

/*
 * Who was to send what is missing is no more, and this server takes over.
 * Records say how something is, so those that came early are worth more than
 * what they would have followed.
 */
void
stream_finish(void)
{
	uint64_t end = known;
	struct held *h;

	if (end > expects)
		replica_lost();
	if (end > expects + HELD_MAX)
		end = expects + HELD_MAX;
	for (; expects < end; expects++) {
		h = &held[expects % HELD_MAX];
		if (h->p == NULL || h->seq != expects)
			continue;
		take_what_goes(rd_init(h->p, h->len));
		held_free(h);
	}
}

/* What was held and is no longer early. */
static void
take_held(void)
{
	struct held *h;
	struct rd r;
	bool good;

	while ((h = &held[expects % HELD_MAX])->p != NULL &&
	    h->seq == expects) {
		r = rd_init(h->p, h->len);
		good = take_records(r);
		held_free(h);
		if (!good) {
			broken(expects);
			return;
		}
		expects++;
	}
}

static void
hold(uint64_t seq, const struct rd *r)
{
	struct held *h = &held[seq % HELD_MAX];
	size_t len = rd_left(r);

	if (h->p != NULL)		/* it has come twice */
		return;
	h->p = malloc(len > 0 ? len : 1);
	if (h->p == NULL)
		return;			/* as if lost: asked for again */
	memcpy(h->p, r->p, len);
	h->len = len;
	h->seq = seq;
}

static void
note_missing(void)
{
	if (expects >= known)
		missing_since = 0;
	else if (missing_since == 0)
		missing_since = timer_now();
}

void
stream_input(const struct cw_stream *s, const struct rd *records)
{
	if (s->reign != their_reign || s->seq < expects)
		return;
	if (s->seq >= known)
		known = s->seq + 1;
	if (s->seq == expects) {
		if (!take_records(*records)) {
			broken(s->seq);
			return;
		}
		expects++;
		take_held();
		if (missing_since != 0)
			missing_since = timer_now();	/* it moves */
	} else if (s->seq - expects < HELD_MAX)
		hold(s->seq, records);
	note_missing();
}

void
stream_told(uint64_t next, uint64_t oldest)
{
	static struct log_limit limit;

	if (expects < oldest) {
		COUNT(cluster_lost);
		log_limited(&limit, LOG_L_WARN, 0, 0, "cluster: what the "
		    "master sent has been missed for too long; asking for "
		    "everything anew");
		start_over(next);
	}
	if (next > known)
		known = next;
	note_missing();
}

/* The gaps of what can be held, from `from` on. */
static size_t
find_missing(uint64_t from, struct cw_range *range, size_t max)
{
	uint64_t seq, end = known;
	bool in_gap = false;
	size_t n = 0;

	if (end - expects > HELD_MAX)
		end = expects + HELD_MAX;
	for (seq = from; seq < end; seq++) {
		if (held[seq % HELD_MAX].p != NULL) {
			in_gap = false;
			continue;
		}
		if (!in_gap && n == max)
			break;
		if (!in_gap)
			range[n++] = (struct cw_range){ .from = seq };
		in_gap = true;
		range[n - 1].count++;
	}
	asked_until = seq;
	return n;
}

/* New gaps at once, old ones after ASK_AGAIN. */
void
stream_ask(uint32_t master)
{
	struct cw_range range[CW_RANGES_MAX];
	uint8_t buf[1024];
	struct wr w = wr_init(buf, sizeof(buf));
	uint64_t now = timer_now(), from = asked_until;
	size_t n;

	if (expects >= known)
		return;
	if (now >= ask_at || from < expects)
		from = expects;
	n = find_missing(from, range, CW_RANGES_MAX);
	if (n == 0)
		return;
	if (from == expects)
		ask_at = now + ASK_AGAIN;
	COUNT(cluster_asked);
	talk_begin(&w, CW_RESEND, master);
	cw_put_resend(&w, their_reign, range, n);
	(void)talk_post(&w, master);
}
