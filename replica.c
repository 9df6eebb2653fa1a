/*
 * replica.c - the copy of tunnels and sessions that every member has
 *
 * On the master.  What has changed is marked (replica_mark.c), and at the end
 * of the turn goes into the stream, before anything leaves that the turn said
 * to LACs or to RADIUS: whoever takes over knows at least what they know.
 * Records say how something is, not what happened to it, so that one that says
 * less than the next does no harm.  A walk says all there is, a little in each
 * turn, for who has just come; changes go on in between.
 *
 * What a session has carried is not worth a record for each packet: it is told
 * by and by, of all that carried something, each once in COUNT_MS.
 *
 * On a slave.  Records build the same in the same slots, by the functions that
 * also take over a saved state: they can be found by all their ids and
 * addresses, kernel and routers know the way to them, and nothing of them
 * runs.  The master may forget what it likes; so what a whole walk did not
 * mention is not there any more.  A record that contradicts what is here is the
 * newer truth, and the other is forgotten.
 *
 * Between the two lie replica_promote(), which wakes everything, and
 * replica_demote(), which lays it down as it is.  Waking takes a while with
 * many sessions, so it is done in slices; a tunnel whose LAC speaks, at once.
 *
 * In the stream all times are relative to when the record was made.
 *
 * Owns:     the walk, the count of what a slave has seen, the wake-up.
 * Calls:    copy, mirror, wake and rest of tunnel, session, accounting;
 *           state_wire for the records; cluster_stream().
 * Lifetime: replica_init() to replica_exit().
 */
#include "replica.h"

#include <stdio.h>

#include "accounting.h"
#include "acctfile.h"
#include "cluster_forward.h"
#include "ippool.h"
#include "log.h"
#include "plugins.h"
#include "replica_mark.h"
#include "session.h"
#include "state_wire.h"
#include "table.h"
#include "timer.h"
#include "tunnel.h"

#define HEAD		6	/* octets of type and length in state_put() */
#define BATCH		1200	/* octets of small things in one record */

#define DRAIN_USEC	1000	/* of a turn, for changes */
#define DRAIN_MESSAGES	65536	/* octets of messages that wait, a tunnel */

#define WALK_EVERY	10	/* ms */
#define WALK_RATE	10	/* tunnels, sessions or so, in a ms */
#define WALK_MOST	200	/* in one turn */

#define COUNT_EVERY	20	/* ms */
#define COUNT_MS	10000	/* for all */

#define SLICE_USEC	1000	/* of a turn, to wake and to sweep */
#define CHECK_EVERY	8	/* of these, the clock is looked at */

#define BEYOND_AGAIN	60000	/* ms, until what is too much may fit */

/* What the walk has come to. */
enum walk_phase { WALK_NONE, WALK_TUNNELS, WALK_SESSIONS, WALK_ACCOUNTS,
	WALK_ADDRESSES };

/* On the master. */
static struct {
	enum walk_phase walk;
	bool again;			/* somebody came after it began */
	uint32_t at;			/* the last one walked */
	uint32_t editions;		/* of the pool, when it was begun */
	uint64_t walked;		/* ms, the last slice */
	struct timer walk_timer, count_timer, rest_timer;
	uint32_t counted;		/* the last sid of the counters' round */
} lead;

/* On a slave. */
static struct {
	bool holding;			/* accounting has been told to wait */
	bool walking, complete;
	bool beyond;			/* he has more than we can hold, */
	uint64_t beyond_at;		/* ms, at the latest */
	uint16_t walk;			/* its number, our own */
	uint16_t swept;			/* what is of walks before that one goes */
	uint32_t sessions, tunnels;	/* seen in it, */
	uint32_t of_sessions, of_tunnels;	/* and there */
	struct timer sweep_timer;
	uint32_t sweep_at;
} copy;

/* While waking. */
static struct {
	bool on, tunnels_done;
	uint32_t at;
	struct timer timer;
} wake;

/* --- time for a slice ------------------------------------------------------- */

struct slice {
	uint64_t began, usec;
	uint32_t n;
};

static struct slice
slice_begin(uint64_t usec)
{
	return (struct slice){ .began = timer_usec(), .usec = usec };
}

/* Asked once for each thing that is done. */
static bool
slice_over(struct slice *s)
{
	return ++s->n % CHECK_EVERY == 0 &&
	    timer_usec() - s->began >= s->usec;
}

/* --- the master: records ---------------------------------------------------- */

static uint8_t record[STATE_RECORD_MAX];

/*
 * Wall clocks of two machines differ: in the stream a date is an age, by which
 * the other one finds the date again.
 */
static time_t
other_end(time_t t)
{
	return (time_t)((uint64_t)timer_wall() - (uint64_t)t);
}

/* The type and length in front are the stream's affair. */
static void
stream_state(enum cluster_record type, enum state_type as, const void *x)
{
	struct wr w = wr_init(record, sizeof(record));

	state_put(&w, as, x);
	if (wr_done(&w) > HEAD)
		cluster_stream(type, record + HEAD, wr_done(&w) - HEAD);
}

static void
stream_number(enum cluster_record type, uint32_t n)
{
	uint8_t buf[4];
	struct wr w = wr_init(buf, sizeof(buf));

	wr_u32(&w, n);
	cluster_stream(type, buf, wr_done(&w));
}

static void
numbers_begin(struct wr *w, const struct tunnel *t, const struct ctl_carry *c)
{
	*w = wr_init(record, sizeof(record));
	wr_u32(w, t->tid);
	wr_u16(w, c->una);
	wr_u16(w, c->high);
	wr_u16(w, c->Nr);
}

static void
said_numbers(struct tunnel *t, const struct ctl_carry *c)
{
	struct tunnel_local *l = tunnel_local(t);

	l->said_una = c->una;
	l->said_high = c->high;
	l->said_Nr = c->Nr;
}

/*
 * una, high, Nr, and the messages from `streamed` on: {Ns, length, octets}...,
 * in as many records as they need.  Those that are on the wire, or may be
 * next, all go; of a long queue behind them a part in each turn.  False if
 * some are left.
 */
static bool
stream_numbers(struct tunnel *t, const struct ctl_carry *c)
{
	struct tunnel_local *l = tunnel_local(t);
	const struct ctl_msg *m = NULL;
	uint16_t Ns = c->una;
	size_t len, octets = 0;
	const uint8_t *msg;
	struct wr w;

	if ((uint16_t)(l->streamed - c->una) > c->queued)
		l->streamed = c->una;
	numbers_begin(&w, t, c);
	while (l->streamed != (uint16_t)(c->una + c->queued) &&
	    (m = ctl_queued(&l->ctl, m, &msg, &len)) != NULL) {
		if (Ns++ != l->streamed)
			continue;
		if (octets > DRAIN_MESSAGES &&
		    (uint16_t)(l->streamed - c->high) < c->queued)
			break;
		if (wr_len(&w) > 10 && wr_len(&w) + 4 + len > BATCH) {
			cluster_stream(CLUSTER_NUMBERS, record, wr_done(&w));
			numbers_begin(&w, t, c);
		}
		wr_u16(&w, l->streamed++);
		wr_u16(&w, (uint16_t)len);
		wr_bytes(&w, msg, len);
		octets += len;
	}
	cluster_stream(CLUSTER_NUMBERS, record, wr_done(&w));
	said_numbers(t, c);
	return l->streamed == (uint16_t)(c->una + c->queued);
}

static bool
numbers_differ(const struct tunnel *t, const struct ctl_carry *c)
{
	const struct tunnel_local *l = tunnel_local(t);

	return l->said_una != c->una || l->said_high != c->high ||
	    l->said_Nr != c->Nr ||
	    l->streamed != (uint16_t)(c->una + c->queued);
}

/* Not of one that is gone by now. */
static void
stream_tunnel(struct tunnel *t, bool whole)
{
	static struct state_tunnel st;

	if (t == NULL || !tunnel_copy(t, &st.ctl, &st.stage))
		return;
	if (whole) {
		st.t = *t;
		st.t.opened = other_end(t->opened);
		stream_state(CLUSTER_TUNNEL, STATE_TUNNEL, &st);
		said_numbers(t, &st.ctl);
		tunnel_local(t)->told = true;
		/* By which the copy's queue is empty. */
		tunnel_local(t)->streamed = st.ctl.una;
	}
	if ((whole && st.ctl.queued > 0) || numbers_differ(t, &st.ctl))
		if (!stream_numbers(t, &st.ctl))
			replica_numbers_changed(t);
}

/* Should PPP not be open although IP may pass, half of it would be told. */
static void
stream_session(const struct session *s)
{
	static struct state_session ss;

	if (s == NULL || !session_copy(s, &ss.carry))
		return;
	ss.s = *s;
	ss.s.opened = other_end(s->opened);
	/* Held at the garden's door: who takes over holds it there himself. */
	if ((s->flags & SF_GARDEN) != 0 && session_local(s)->held_open)
		ss.s.flags |= SF_OPEN;
	if (ss.carry.ppp.our_mru == 0)
		ss.s.flags &= (uint16_t)~SF_OPEN;
	acctfile_export(s, &ss.usage_rx, &ss.usage_tx);
	stream_state(CLUSTER_SESSION, STATE_SESSION, &ss);
}

static void
stream_address(const struct ippool_row *row)
{
	struct state_address a;

	state_address_of(&a, row, timer_now());
	stream_state(CLUSTER_ADDRESS, STATE_ADDRESS, &a);
}

static void
stream_acct(const struct acct_carry *c)
{
	static struct state_acct a;

	state_acct_of(&a, c);
	stream_state(CLUSTER_ACCT, STATE_ACCT, &a);
}

static void
stream_acct_gone(const struct acct_gone *g)
{
	uint8_t buf[64];
	struct wr w = wr_init(buf, sizeof(buf));

	wr_u64(&w, g->number);
	wr_u8(&w, g->kind);
	wr_bytes(&w, g->id, strnlen(g->id, sizeof(g->id) - 1));
	cluster_stream(CLUSTER_ACCT_GONE, buf, wr_done(&w));
}

/* --- the master: what has changed -------------------------------------------- */

static void
drain_sessions_gone(void)
{
	uint8_t buf[BATCH];
	struct wr w = wr_init(buf, sizeof(buf));
	uint32_t sid;

	while ((sid = replica_mark_session_gone()) != 0) {
		wr_u32(&w, sid);
		if (wr_len(&w) == sizeof(buf)) {
			cluster_stream(CLUSTER_SESSION_GONE, buf, sizeof(buf));
			w = wr_init(buf, sizeof(buf));
		}
	}
	if (wr_len(&w) > 0)
		cluster_stream(CLUSTER_SESSION_GONE, buf, wr_done(&w));
}

static void
drain_tunnels(void)
{
	uint32_t n = replica_marks(), tid;
	bool whole;

	while ((tid = replica_mark_tunnel_gone()) != 0)
		stream_number(CLUSTER_TUNNEL_GONE, tid);
	/* One with a long queue marks itself again. */
	while (n-- > 0 && (tid = replica_mark_tunnel(&whole)) != 0)
		stream_tunnel(tunnel_by_tid(tid), whole);
}

static void
drain_sessions(struct slice *slice)
{
	uint32_t sid;

	while (!slice_over(slice) && (sid = replica_mark_session()) != 0)
		stream_session(session_by_sid(sid));
}

static void
drain_accounts(struct slice *slice)
{
	struct acct_carry c;
	struct acct_gone g;

	while (!slice_over(slice) && acct_told_new(&c))
		stream_acct(&c);
	while (acct_told_gone(&g))
		stream_acct_gone(&g);
}

static void
lead_stop(void)
{
	replica_marks_follow(false);
	acct_follow(false);
	timer_disarm(&lead.walk_timer);
	timer_disarm(&lead.count_timer);
	timer_disarm(&lead.rest_timer);
	lead.walk = WALK_NONE;
	lead.again = false;
}

/* The rest of what one turn had too much of: there shall be another turn. */
static void
rest_fire(struct timer *t)
{
	(void)t;
}

/*
 * Sessions that are gone before those that have come since, tunnels before
 * what is in them, and accounts last: should the end be lost together with
 * this server, a record is missing and not a session.
 */
void
replica_drain(void)
{
	struct slice slice = slice_begin(DRAIN_USEC);

	cluster_count_changes(replica_marks_changes());
	if (!replica_marks_followed())
		return;
	if (!lns.master || !cluster_followed()) {
		lead_stop();
		return;
	}
	drain_sessions_gone();
	drain_tunnels();
	drain_sessions(&slice);
	drain_accounts(&slice);
	if (replica_queued() > 0)
		timer_arm(&lead.rest_timer, 0);
}

uint32_t
replica_queued(void)
{
	return replica_marks() + acct_untold();
}

/* --- the master: the walk ---------------------------------------------------- */

static void
stream_totals(enum cluster_record type)
{
	uint8_t buf[8];
	struct wr w = wr_init(buf, sizeof(buf));

	wr_u32(&w, table_tunnels());
	wr_u32(&w, table_sessions());
	cluster_stream(type, buf, wr_done(&w));
}

/* False: there are no more. */
static bool
walk_tunnel(void)
{
	struct tunnel *t = tunnel_next(lead.at);

	if (t == NULL)
		return false;
	lead.at = t->tid;
	stream_tunnel(t, true);
	return true;
}

static bool
walk_session(void)
{
	const struct session *s = session_next(lead.at);

	if (s == NULL)
		return false;
	lead.at = s->sid;
	stream_session(s);
	return true;
}

static bool
walk_address(void)
{
	struct ippool_row row;

	if (lead.editions != ippool_editions() ||
	    !ippool_released(&lead.at, &row))
		return false;
	stream_address(&row);
	return true;
}

/* They go as if they were new; the turn's end has them told. */
static bool
walk_account(void)
{
	return acct_untold() > 0;
}

static void
walk_begin(void)
{
	lead.walk = WALK_TUNNELS;
	lead.again = false;
	lead.at = 0;
	lead.walked = timer_now();
	stream_totals(CLUSTER_WALK_BEGIN);
	timer_arm(&lead.walk_timer, 0);
}

/* Who had which free address is good to know, and comes after the end. */
static void
walk_next_phase(void)
{
	lead.at = 0;
	lead.editions = ippool_editions();
	switch (lead.walk) {
	case WALK_SESSIONS:
		acct_tell_all();
		break;
	case WALK_ACCOUNTS:
		stream_totals(CLUSTER_WALK_END);
		log_info("cluster: all of %u tunnels and %u sessions was told",
		    table_tunnels(), table_sessions());
		if (lead.again) {
			walk_begin();
			return;
		}
		break;
	default:
		break;
	}
	lead.walk = lead.walk == WALK_ADDRESSES ? WALK_NONE : lead.walk + 1;
}

/* How many may go now: as many as the time that has passed allows. */
static uint32_t
walk_allowance(void)
{
	uint64_t n = (timer_now() - lead.walked) * WALK_RATE;

	lead.walked = timer_now();
	return n < WALK_MOST ? (uint32_t)n : WALK_MOST;
}

static void
walk_fire(struct timer *t)
{
	static bool (*const step[])(void) = {
		[WALK_TUNNELS] = walk_tunnel, [WALK_SESSIONS] = walk_session,
		[WALK_ACCOUNTS] = walk_account,
		[WALK_ADDRESSES] = walk_address,
	};
	struct slice slice = slice_begin(SLICE_USEC);
	uint32_t n = walk_allowance();

	timer_arm(t, WALK_EVERY);
	/* What has changed before is not older than what is told here. */
	replica_drain();
	while (lead.walk != WALK_NONE && n-- > 0 && !slice_over(&slice)) {
		if (!step[lead.walk]())
			walk_next_phase();
		else if (lead.walk == WALK_ACCOUNTS)
			return;
	}
	if (lead.walk == WALK_NONE)
		timer_disarm(t);
}

/* --- the master: what sessions carry ------------------------------------------ */

/* As much as one number can tell of whether something has moved. */
static uint32_t
count_mark(const struct session *s, uint64_t usage_rx, uint64_t usage_tx)
{
	return (uint32_t)(s->rx_packets + s->tx_packets) * 31 +
	    (uint32_t)(usage_rx + usage_tx) * 17 +
	    (uint32_t)session_local(s)->interim_timer.due;
}

static void
put_counts(struct wr *w, const struct session *s, uint64_t usage_rx,
    uint64_t usage_tx)
{
	struct session_carry c;

	if (!session_copy(s, &c))
		return;
	wr_u32(w, s->sid);
	wr_u64(w, s->rx_octets);
	wr_u64(w, s->tx_octets);
	wr_u64(w, s->rx_packets);
	wr_u64(w, s->tx_packets);
	wr_u64(w, usage_rx);
	wr_u64(w, usage_tx);
	wr_u32(w, (uint32_t)(c.idle / 1000));
	wr_u32(w, (uint32_t)c.interim_left);
	wr_u16(w, s->data_Ns);
	wr_u16(w, s->data_Nr);
}
#define COUNTS_LEN	64

static bool
is_counted(struct session *s, uint64_t *usage_rx, uint64_t *usage_tx)
{
	struct session_local *l = session_local(s);
	uint32_t now;

	acctfile_export(s, usage_rx, usage_tx);
	now = count_mark(s, *usage_rx, *usage_tx);
	if (s->dying || l->counted == now)
		return false;
	l->counted = now;
	return true;
}

static void
count_fire(struct timer *t)
{
	uint32_t n = table_highest_session() / (COUNT_MS / COUNT_EVERY) + 1;
	uint64_t usage_rx, usage_tx;
	uint8_t buf[BATCH];
	struct wr w = wr_init(buf, sizeof(buf));
	struct session *s = NULL;

	if (!cluster_followed())
		return;			/* the turn's end stops the rest */
	timer_arm(t, COUNT_EVERY);
	for (; n > 0 && (s = session_next(lead.counted)) != NULL; n--) {
		lead.counted = s->sid;
		if (!is_counted(s, &usage_rx, &usage_tx))
			continue;
		if (wr_len(&w) + COUNTS_LEN > sizeof(buf)) {
			cluster_stream(CLUSTER_COUNTERS, buf, wr_done(&w));
			w = wr_init(buf, sizeof(buf));
		}
		put_counts(&w, s, usage_rx, usage_tx);
	}
	if (wr_len(&w) > 0)
		cluster_stream(CLUSTER_COUNTERS, buf, wr_done(&w));
	if (s == NULL)
		lead.counted = 0;
}

void
replica_walk(void)
{
	if (!lns.master)
		return;
	replica_marks_follow(true);
	acct_follow(true);
	if (!timer_armed(&lead.count_timer))
		timer_arm(&lead.count_timer, COUNT_EVERY);
	if (lead.walk == WALK_NONE || lead.walk == WALK_ADDRESSES)
		walk_begin();
	else
		lead.again = true;
}

/* --- the slave: what comes ----------------------------------------------------- */

static void
see(uint16_t *seen, uint32_t *count)
{
	if (*seen != copy.walk)
		++*count;
	*seen = copy.walk;
}

/* There is more of it than this server has room for. */
static bool
too_many(const char *what, uint32_t n)
{
	static struct log_limit limit;

	copy.beyond = true;
	copy.complete = false;
	copy.beyond_at = timer_now();
	log_limited(&limit, LOG_L_ERROR, 0, 0, "cluster: the master's %s %u "
	    "has no place here, is the configuration the same?", what, n);
	return true;
}

/* Only while the copy is not complete may something be missing. */
static bool
missing(void)
{
	COUNT(replica_missing);
	return !copy.complete;
}

static bool
take_tunnel(const struct state_record *rec)
{
	static struct state_tunnel st;
	struct tunnel *t;

	if (!state_get(rec, &st) || st.stage.state == T_IDLE)
		return false;
	st.t.opened = other_end(st.t.opened);
	t = tunnel_mirror(&st.t, &st.ctl, &st.stage);
	if (t == NULL)
		return too_many("tunnel", st.t.tid);
	see(&tunnel_local(t)->seen, &copy.tunnels);
	return true;
}

static bool
take_numbers(struct rd *r)
{
	struct tunnel *t = tunnel_by_tid(rd_u32(r));
	struct ctl_carry c = { 0 };
	const uint8_t *msg;
	uint16_t Ns;
	size_t len;

	c.una = rd_u16(r);
	c.high = rd_u16(r);
	c.Nr = rd_u16(r);
	if (r->bad)
		return false;
	if (t == NULL)
		return missing();
	ctl_follow(&tunnel_local(t)->ctl, &c);
	while (rd_left(r) > 0) {
		Ns = rd_u16(r);
		len = rd_u16(r);
		msg = rd_bytes(r, len);
		if (msg == NULL || len > PACKET_MAX)
			return false;
		if (!ctl_follow_message(&tunnel_local(t)->ctl, Ns, msg, len))
			return missing();
	}
	return true;
}

static bool
take_tunnel_gone(struct rd *r)
{
	struct tunnel *t = tunnel_by_tid(rd_u32(r));

	if (!rd_done(r))
		return false;
	if (t == NULL)
		return true;
	copy.tunnels -= tunnel_local(t)->seen == copy.walk;
	tunnel_forget(t);
	return true;
}

static bool
take_session(const struct state_record *rec)
{
	static struct state_session ss;
	struct carried counted;
	struct session *s;

	if (!state_get(rec, &ss) || ss.carry.state == S_IDLE)
		return false;
	if (tunnel_by_tid(ss.s.tid) == NULL)
		return missing();
	ss.s.opened = other_end(ss.s.opened);
	s = session_mirror(&ss.s, &ss.carry);
	if (s == NULL)
		return too_many("session", ss.s.sid);
	counted = (struct carried){
		.rx_octets = ss.s.rx_octets, .tx_octets = ss.s.tx_octets,
		.rx_packets = ss.s.rx_packets, .tx_packets = ss.s.tx_packets
	};
	cluster_forward_counted(s, &counted);
	acctfile_resume(s, ss.usage_rx, ss.usage_tx);
	see(&session_local(s)->seen, &copy.sessions);
	return true;
}

static bool
take_session_gone(struct rd *r)
{
	struct session *s;

	while (rd_left(r) > 0) {
		s = session_by_sid(rd_u32(r));
		if (r->bad)
			return false;
		if (s == NULL)
			continue;
		copy.sessions -= session_local(s)->seen == copy.walk;
		session_forget(s);
	}
	return true;
}

static bool
take_address(const struct state_record *rec)
{
	struct state_address a;

	if (!state_get(rec, &a))
		return false;
	ippool_remember(a.addr, a.user, a.age);
	return true;
}

static bool
take_acct(const struct state_record *rec)
{
	static struct state_acct a;
	struct acct_carry c;

	if (!state_get(rec, &a))
		return false;
	c = state_acct_carry(&a);
	return acct_mirror(&c, copy.walk);
}

static bool
take_acct_gone(struct rd *r)
{
	struct acct_gone g = { .number = rd_u64(r), .kind = rd_u8(r) };
	size_t n = rd_left(r);

	if (r->bad || n == 0 || n >= sizeof(g.id))
		return false;
	rd_copy(r, g.id, n);
	acct_mirror_gone(&g);
	return true;
}

/* False at the end, or when it makes no sense. */
static bool
take_count(struct rd *r)
{
	struct session *s = session_by_sid(rd_u32(r));
	uint64_t usage_rx, usage_tx, idle, last;
	struct carried counted;
	uint16_t data_Ns, data_Nr;
	uint32_t interim;

	counted.rx_octets = rd_u64(r);
	counted.tx_octets = rd_u64(r);
	counted.rx_packets = rd_u64(r);
	counted.tx_packets = rd_u64(r);
	usage_rx = rd_u64(r);
	usage_tx = rd_u64(r);
	idle = rd_u32(r);
	interim = rd_u32(r);
	data_Ns = rd_u16(r);
	data_Nr = rd_u16(r);
	if (r->bad)
		return false;
	if (s == NULL)
		return true;
	cluster_forward_counted(s, &counted);
	acctfile_resume(s, usage_rx, usage_tx);
	s->data_Ns = data_Ns;
	s->data_Nr = data_Nr;
	last = timer_now() / 1000;
	last = last > idle ? last - idle : 0;
	if (s->last_data < last)
		s->last_data = (uint32_t)last;
	session_local(s)->interim_timer.due = interim == 0 ? 0 :
	    timer_now() + interim;
	return true;
}

static bool
take_counters(struct rd *r)
{
	while (rd_left(r) > 0)
		if (!take_count(r))
			return false;
	return true;
}

/* --- the slave: walks ------------------------------------------------------------ */

/* Something is older than the walk that is through. */
static bool
is_stale(uint16_t seen)
{
	return (int16_t)(seen - copy.swept) < 0;
}

static void
sweep_fire(struct timer *timer)
{
	struct slice slice = slice_begin(SLICE_USEC);
	struct session *s;
	struct tunnel *t;
	uint32_t tid = 0;

	while ((s = session_next(copy.sweep_at)) != NULL) {
		copy.sweep_at = s->sid;
		if (is_stale(session_local(s)->seen))
			session_forget(s);
		if (slice_over(&slice)) {
			timer_arm(timer, 0);
			return;
		}
	}
	while ((t = tunnel_next(tid)) != NULL) {
		tid = t->tid;
		if (is_stale(tunnel_local(t)->seen))
			tunnel_forget(t);
	}
}

static bool
take_totals(struct rd *r)
{
	copy.of_tunnels = rd_u32(r);
	copy.of_sessions = rd_u32(r);
	return rd_done(r);
}

static bool
take_walk_begin(struct rd *r)
{
	if (!take_totals(r))
		return false;
	copy.walk++;
	copy.sessions = copy.tunnels = 0;
	copy.walking = true;
	copy.beyond = false;
	return true;
}

/* One whose beginning we did not see says nothing. */
static bool
take_walk_end(struct rd *r)
{
	if (!take_totals(r))
		return false;
	if (!copy.walking)
		return true;
	copy.walking = false;
	copy.complete = !copy.beyond;
	copy.swept = copy.walk;
	copy.sweep_at = 0;
	acct_mirror_sweep(copy.walk);
	timer_arm(&copy.sweep_timer, 0);
	if (copy.complete)
		log_info("cluster: the copy is complete, %u tunnels and %u "
		    "sessions", copy.tunnels, copy.sessions);
	return true;
}

static bool
take(enum cluster_record type, struct rd *body)
{
	struct state_record rec = { .body = *body };

	switch (type) {
	case CLUSTER_TUNNEL:
		rec.type = STATE_TUNNEL;
		return take_tunnel(&rec);
	case CLUSTER_NUMBERS:
		return take_numbers(body);
	case CLUSTER_TUNNEL_GONE:
		return take_tunnel_gone(body);
	case CLUSTER_SESSION:
		rec.type = STATE_SESSION;
		return take_session(&rec);
	case CLUSTER_SESSION_GONE:
		return take_session_gone(body);
	case CLUSTER_ADDRESS:
		rec.type = STATE_ADDRESS;
		return take_address(&rec);
	case CLUSTER_ACCT:
		rec.type = STATE_ACCT;
		return take_acct(&rec);
	case CLUSTER_ACCT_GONE:
		return take_acct_gone(body);
	case CLUSTER_COUNTERS:
		return take_counters(body);
	case CLUSTER_WALK_BEGIN:
		return take_walk_begin(body);
	case CLUSTER_WALK_END:
		return take_walk_end(body);
	default:
		return true;		/* of a newer release */
	}
}

/* Until somebody says that this server is the master. */
static void
hold(void)
{
	if (copy.holding)
		return;
	copy.holding = true;
	acct_hold(true);
}

bool
replica_record(enum cluster_record type, struct rd *body)
{
	static struct log_limit limit;

	if (lns.master)
		return true;
	hold();
	if (take(type, body))
		return true;
	COUNT(replica_refused);
	log_limited(&limit, LOG_L_WARN, 0, 0, "cluster: record of type %d "
	    "makes no sense here", type);
	replica_lost();
	return false;
}

void
replica_lost(void)
{
	copy.walking = copy.complete = copy.beyond = false;
}

bool
replica_wants_walk(void)
{
	return copy.beyond && !copy.walking &&
	    timer_now() - copy.beyond_at >= BEYOND_AGAIN;
}

bool
replica_up_to_date(void)
{
	return copy.complete;
}

void
replica_undefined(uint32_t *sessions, uint32_t *of_sessions,
    uint32_t *tunnels, uint32_t *of_tunnels)
{
	bool whole = copy.complete;

	*of_sessions = whole ? table_sessions() : copy.of_sessions;
	*of_tunnels = whole ? table_tunnels() : copy.of_tunnels;
	*sessions = whole || copy.sessions > copy.of_sessions ? 0 :
	    copy.of_sessions - copy.sessions;
	*tunnels = whole || copy.tunnels > copy.of_tunnels ? 0 :
	    copy.of_tunnels - copy.tunnels;
}

/* --- from one to the other -------------------------------------------------------- */

static void
wake_over(void)
{
	wake.on = false;
	copy.holding = false;
	acct_hold(false);
	log_info("cluster: %u tunnels and %u sessions were taken over",
	    table_tunnels(), table_sessions());
}

/*
 * What a walk did not mention was there before it, and has ended since.  What
 * is awake has come just now, or its LAC has spoken.
 */
static void
wake_session(struct session *s)
{
	if (!session_local(s)->asleep)
		return;
	if (is_stale(session_local(s)->seen))
		session_forget(s);
	else
		session_wake(s);
}

static void
wake_tunnel(struct tunnel *t)
{
	if (!tunnel_asleep(t))
		return;
	if (is_stale(tunnel_local(t)->seen))
		tunnel_forget(t);
	else
		tunnel_wake(t);
}

static void
wake_fire(struct timer *timer)
{
	struct slice slice = slice_begin(SLICE_USEC);
	struct session *s;
	struct tunnel *t;

	timer_arm(timer, 0);
	while (!wake.tunnels_done && (t = tunnel_next(wake.at)) != NULL) {
		wake.at = t->tid;
		wake_tunnel(t);
		if (slice_over(&slice))
			return;
	}
	if (!wake.tunnels_done)
		wake.at = 0;
	wake.tunnels_done = true;
	while ((s = session_next(wake.at)) != NULL) {
		wake.at = s->sid;
		wake_session(s);
		if (slice_over(&slice))
			return;
	}
	timer_disarm(timer);
	wake_over();
}

void
replica_promote(void)
{
	timer_disarm(&copy.sweep_timer);
	copy.walking = copy.complete = false;
	wake.on = true;
	wake.tunnels_done = false;
	wake.at = 0;
	timer_arm(&wake.timer, 0);
}

bool
replica_waking(void)
{
	return wake.on;
}

void
replica_wake(struct tunnel *t)
{
	tunnel_wake(t);
}

/*
 * All at once, as nothing may happen any more in this turn.  For the next
 * master's first walk all of it is old.
 */
void
replica_demote(void)
{
	struct session *s;
	struct tunnel *t;

	lead_stop();
	timer_disarm(&wake.timer);
	wake.on = false;
	for (s = session_next(0); s != NULL; s = session_next(s->sid)) {
		session_rest(s);
		session_local(s)->seen = copy.walk;
	}
	for (t = tunnel_next(0); t != NULL; t = tunnel_next(t->tid)) {
		tunnel_rest(t);
		tunnel_local(t)->seen = copy.walk;
	}
	copy.swept = copy.walk;
	replica_lost();
	hold();
}

/* --- begin and end ------------------------------------------------------------------ */

void
replica_init(void)
{
	lead.walk_timer.fire = walk_fire;
	lead.count_timer.fire = count_fire;
	lead.rest_timer.fire = rest_fire;
	copy.sweep_timer.fire = sweep_fire;
	wake.timer.fire = wake_fire;
	if (!replica_marks_init((uint32_t)lns.config.max_sessions,
	    (uint32_t)lns.config.max_tunnels))
		log_error("cluster: no memory to follow what changes");
}

void
replica_exit(void)
{
	lead_stop();
	timer_disarm(&copy.sweep_timer);
	timer_disarm(&wake.timer);
	replica_marks_exit();
	wake.on = false;
	copy.walking = copy.complete = copy.holding = false;
}
