/*
 * cluster_forward.c - what a slave hands to its master: packets, and counts
 *
 * Packets.  forward.c finds that a packet is not a slave's to carry and gives
 * it here as it came.  What one turn brings is put together, as far as it fits
 * one frame of Ethernet: a burst for a throttled session costs one signature
 * for several packets.  On the master they climb the ladders of forward.c as
 * if they had come by the wire; what is answered goes to the LAC directly, as
 * the address that it knows is every member's.  A packet is handed on once: a
 * member that is not the master drops it, and whoever believed it was will
 * learn better within a heartbeat.  What is lost is lost as on any wire; L2TP
 * and PPP send again.
 *
 * Counts.  A slave counts what it carries in the session, on top of what the
 * master's stream says of it; what of that he knows is `told`.  Each second it
 * walks the table, a part in each tick, and reports sessions that carried
 * something.  That is money, so a report is numbered, sent again until the
 * master says that it has it, and taken once.  What he has taken and not
 * streamed yet dies with him, so a new master is told again what the last
 * stream (`said`) did not have; and who becomes master goes on with all that
 * it has in the session.
 *
 * Owns:     the packets and reports under way; session_local.told, .said.
 * Calls:    cluster_send(); forward_handed_*(), the tables, replica.h.
 * Lifetime: cluster_forward_init() to cluster_forward_exit().
 */
#include "cluster_forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forward.h"
#include "log.h"
#include "loop.h"
#include "replica.h"
#include "session.h"
#include "table.h"
#include "timer.h"
#include "tunnel.h"

/* Of a record with more than one packet, or of counts: fits one frame. */
#define TOGETHER	1350

#define LAC_HEADER	12		/* address, own address, port, length */
#define TUN_HEADER	2		/* length */

#define TICK_MS		100
#define TICKS_A_ROUND	10		/* of reports */
#define SLICE_LEAST	64		/* sessions looked at in a tick */

#define COUNT_REPORT	0		/* first octet of CLUSTER_BYTES */
#define COUNT_TAKEN	1
#define REPORT_HEADER	9		/* that, boot id, number */
#define REPORT_ROW	30
#define REPORT_ROWS	((TOGETHER - REPORT_HEADER) / REPORT_ROW)
#define REPORTS		32		/* under way at a time */
#define AGAIN_MS	250
#define TRIES		20

/* --- packets: to the master ---------------------------------------------- */

/* What waits for the end of the turn. */
struct batch {
	enum cluster_record type;
	unsigned int packets;
	size_t used;
	uint8_t body[CLUSTER_RECORD_MAX];
};

static struct batch from_lac = { .type = CLUSTER_FROM_LAC };
static struct batch from_tun = { .type = CLUSTER_FROM_TUN };

static void
batch_send(struct batch *b)
{
	if (b->packets == 0)
		return;
	if (cluster_send(0, b->type, b->body, b->used))
		COUNT_ADD(cluster_forwarded, b->packets);
	else
		COUNT_ADD(cluster_not_forwarded, b->packets);
	b->packets = 0;
	b->used = 0;
}

/* Room for n octets of one packet; full if it is too long. */
static struct wr
batch_room(struct batch *b, size_t n)
{
	if (b->used > 0 && b->used + n > TOGETHER)
		batch_send(b);
	return wr_init(b->body + b->used, sizeof(b->body) - b->used);
}

static void
batch_add(struct batch *b, const struct wr *w)
{
	size_t n = wr_done(w);

	if (n == 0) {
		COUNT(cluster_not_forwarded);
		return;
	}
	b->packets++;
	b->used += n;
}

void
cluster_forward_lac(const struct peer *peer, const uint8_t *buf, size_t len)
{
	struct wr w;

	if (cluster_master() == 0 || len > PACKET_MAX) {
		COUNT(cluster_not_forwarded);
		return;
	}
	w = batch_room(&from_lac, LAC_HEADER + len);
	wr_u32(&w, peer->addr);
	wr_u32(&w, peer->local);
	wr_u16(&w, peer->port);
	wr_u16(&w, (uint16_t)len);
	wr_bytes(&w, buf, len);
	batch_add(&from_lac, &w);
}

/*
 * An address that is in no session's when all sessions are known is nobody's,
 * and need not bother the master.
 */
bool
cluster_forward_tun(const struct session *s, const uint8_t *ip, size_t len)
{
	struct wr w;

	if (s == NULL && replica_up_to_date())
		return false;
	if (cluster_master() == 0 || len > CLUSTER_RECORD_MAX) {
		COUNT(cluster_not_forwarded);
		return true;
	}
	w = batch_room(&from_tun, TUN_HEADER + len);
	wr_u16(&w, (uint16_t)len);
	wr_bytes(&w, ip, len);
	batch_add(&from_tun, &w);
	return true;
}

static void
send_batches(void)
{
	batch_send(&from_lac);
	batch_send(&from_tun);
}

static struct loop_hook hook = { .run = send_batches };

/* --- packets: from a slave ------------------------------------------------ */

static bool
take_lac(struct rd *r)
{
	struct peer peer;
	const uint8_t *p;
	size_t n;

	peer.addr = rd_u32(r);
	peer.local = rd_u32(r);
	peer.port = rd_u16(r);
	n = rd_u16(r);
	p = rd_bytes(r, n);
	return p != NULL && forward_handed_lac(&peer, p, n);
}

static bool
take_tun(struct rd *r)
{
	size_t n = rd_u16(r);
	const uint8_t *p = rd_bytes(r, n);

	return p != NULL && forward_handed_tun(p, n);
}

static void
take_packets(enum cluster_record type, struct rd *r)
{
	if (!lns.master) {
		COUNT(cluster_misdirected);
		return;
	}
	while (!rd_done(r)) {
		if (!(type == CLUSTER_FROM_LAC ? take_lac(r) : take_tun(r))) {
			COUNT(cluster_bad_forward);
			return;
		}
		COUNT(recv_forward);
	}
}

/* --- counts: what a slave knows ------------------------------------------- */

/* What one session carried. */
struct row {
	uint32_t sid;
	uint16_t local_id;		/* a slot's next session has another */
	struct carried n;
};

/* A record of counts that the master has not said to have. */
struct report {
	struct report *next;
	uint64_t sent;			/* ms */
	uint32_t number;
	unsigned int tries, nrows;
	struct row row[REPORT_ROWS];
};

static struct {
	bool slave;			/* what we were when last looked at */
	uint32_t master;		/* to whom the reports below go */
	uint16_t reign;			/* his, in session_local.told_by */
	uint32_t number;		/* of the next */
	unsigned int nreports;
	struct report *reports;		/* under way */
	struct report *open;		/* being filled */
	uint32_t at;			/* sid: the walk is so far */
	uint32_t quota;			/* sessions to be looked at for now */
	unsigned int tick;		/* of the round */
	bool walking;			/* a round is under way */
} out;

static struct carried
counts(const struct session *s)
{
	return (struct carried){ s->rx_octets, s->tx_octets, s->rx_packets,
	    s->tx_packets };
}

static void
set_counts(struct session *s, const struct carried *c)
{
	s->rx_octets = c->rx_octets;
	s->tx_octets = c->tx_octets;
	s->rx_packets = c->rx_packets;
	s->tx_packets = c->tx_packets;
}

static struct carried
sum(const struct carried *a, const struct carried *b)
{
	return (struct carried){ a->rx_octets + b->rx_octets,
	    a->tx_octets + b->tx_octets, a->rx_packets + b->rx_packets,
	    a->tx_packets + b->tx_packets };
}

/* What was counted and then not sent may have been told before. */
static uint64_t
above(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static struct carried
difference(const struct carried *now, const struct carried *before)
{
	return (struct carried){ above(now->rx_octets, before->rx_octets),
	    above(now->tx_octets, before->tx_octets),
	    above(now->rx_packets, before->rx_packets),
	    above(now->tx_packets, before->tx_packets) };
}

/*
 * What the master knows of a session.  A new one knows what the old one has
 * streamed, and nothing else; that is looked at when it is needed, as nobody
 * has the time to go through all sessions when masters change.
 */
static struct carried *
known(const struct session *s)
{
	struct session_local *l = session_local(s);

	if (l->told_by != out.reign) {
		l->told_by = out.reign;
		l->told = l->said;
	}
	return &l->told;
}

static struct carried
untold(const struct session *s)
{
	struct carried now = counts(s);

	return difference(&now, known(s));
}

static void
forget_reports(void)
{
	struct report *r;

	while ((r = out.reports) != NULL) {
		out.reports = r->next;
		free(r);
	}
	free(out.open);
	out.open = NULL;
	out.nreports = 0;
	out.walking = false;
	out.tick = 0;
}

/* What a master had counted is what it begins with as a slave. */
static void
begin_as_slave(void)
{
	struct session *s;

	out.reign++;
	for (s = session_next(0); s != NULL; s = session_next(s->sid))
		session_local(s)->said = counts(s);
}

/* A new role, or a new master, makes what is under way meaningless. */
static void
look_at_role(void)
{
	bool slave = !lns.master;
	uint32_t master = cluster_master();

	if (slave && !out.slave) {
		begin_as_slave();
		out.master = master;
	} else if (slave && master != 0 && master != out.master) {
		out.reign++;
	} else if (slave == out.slave) {
		return;
	}
	forget_reports();
	out.slave = slave;
	out.master = master;
}

void
cluster_forward_counted(struct session *s, const struct carried *told)
{
	struct carried mine, now;

	look_at_role();
	mine = untold(s);
	now = sum(told, &mine);
	set_counts(s, &now);
	*known(s) = session_local(s)->said = *told;
}

void
cluster_forward_settle(void)
{
	out.slave = false;
	forget_reports();
}

/* --- counts: to the master -------------------------------------------------- */

static void
report_send(struct report *r)
{
	uint8_t body[REPORT_HEADER + REPORT_ROWS * REPORT_ROW];
	struct wr w = wr_init(body, sizeof(body));

	wr_u8(&w, COUNT_REPORT);
	wr_u32(&w, lns.boot_id);
	wr_u32(&w, r->number);
	for (unsigned int i = 0; i < r->nrows; i++) {
		const struct row *row = &r->row[i];

		wr_u32(&w, row->sid);
		wr_u16(&w, row->local_id);
		wr_u64(&w, row->n.rx_octets);
		wr_u64(&w, row->n.tx_octets);
		wr_u32(&w, (uint32_t)row->n.rx_packets);
		wr_u32(&w, (uint32_t)row->n.tx_packets);
	}
	r->sent = timer_now();
	r->tries++;
	(void)cluster_send(0, CLUSTER_BYTES, body, wr_done(&w));
}

static void
report_close(void)
{
	struct report *r = out.open;

	if (r == NULL)
		return;
	out.open = NULL;
	r->next = out.reports;
	out.reports = r;
	out.nreports++;
	report_send(r);
}

/* False for want of memory; the next round finds what this one did not. */
static bool
report_add(const struct session *s, const struct carried *n)
{
	struct report *r = out.open;

	if (r == NULL) {
		r = out.open = calloc(1, sizeof(*r));
		if (r == NULL)
			return false;
		r->number = ++out.number;
	}
	r->row[r->nrows++] = (struct row){ s->sid, s->local_id, *n };
	if (r->nrows == REPORT_ROWS)
		report_close();
	return true;
}

/* Walks on, as far as this tick and the reports under way allow. */
static void
walk(void)
{
	const struct session *s;
	struct carried n;

	while (out.walking && out.quota > 0 && out.nreports < REPORTS) {
		s = session_next(out.at);
		if (s == NULL) {
			out.walking = false;
			break;
		}
		out.at = s->sid;
		out.quota--;
		n = untold(s);
		if ((n.rx_packets | n.tx_packets) != 0 && !report_add(s, &n))
			break;
	}
	if (!out.walking)
		report_close();
}

static void
report_again(void)
{
	struct report **pp = &out.reports, *r;

	while ((r = *pp) != NULL) {
		if (timer_now() - r->sent < AGAIN_MS) {
			pp = &r->next;
		} else if (r->tries < TRIES) {
			report_send(r);
			pp = &r->next;
		} else {
			*pp = r->next;
			out.nreports--;
			free(r);
		}
	}
}

/*
 * A round begins a second after the last one did, and not before all of that
 * was taken: a session is in one report at a time.
 */
static void
tick(struct timer *t)
{
	timer_arm(t, TICK_MS);
	look_at_role();
	if (!out.slave || cluster_master() == 0)
		return;
	report_again();
	if (++out.tick >= TICKS_A_ROUND && !out.walking &&
	    out.reports == NULL) {
		out.walking = true;
		out.tick = 0;
		out.at = 0;
	}
	out.quota = table_sessions() / TICKS_A_ROUND + SLICE_LEAST;
	walk();
}

static struct timer ticker = { .fire = tick };

/* --- counts: the master has them ------------------------------------------- */

static void
row_taken(const struct row *row)
{
	const struct session *s = session_by_sid(row->sid);
	struct carried *told;

	if (s == NULL || s->local_id != row->local_id)
		return;
	told = known(s);
	*told = sum(told, &row->n);
	COUNT(cluster_reported);
}

static void
report_taken(uint32_t from, struct rd *body)
{
	uint32_t boot = rd_u32(body), number = rd_u32(body);
	struct report **pp, *r;

	look_at_role();
	if (!rd_done(body) || boot != lns.boot_id || from != out.master)
		return;
	for (pp = &out.reports; (r = *pp) != NULL; pp = &r->next)
		if (r->number == number)
			break;
	if (r == NULL)
		return;
	*pp = r->next;
	out.nreports--;
	for (unsigned int i = 0; i < r->nrows; i++)
		row_taken(&r->row[i]);
	free(r);
	walk();
}

/* --- counts: from a slave --------------------------------------------------- */

/*
 * Which of a slave's reports were taken: the highest, and 64 before it, more
 * than are under way at a time.
 */
#define MEMBERS		64
static struct taken {
	uint32_t from, boot;
	uint32_t highest;
	uint64_t before;		/* bit n: highest - n */
	uint64_t heard;			/* ms */
} taken[MEMBERS];

static struct taken *
taken_of(uint32_t from, uint32_t boot)
{
	struct taken *t, *oldest = &taken[0];

	for (t = taken; t < taken + MEMBERS; t++) {
		if (t->from == from && t->boot == boot)
			return t;
		if (t->heard < oldest->heard)
			oldest = t;
	}
	*oldest = (struct taken){ .from = from, .boot = boot };
	return oldest;
}

/* True the first time. */
static bool
take_number(struct taken *t, uint32_t number)
{
	uint32_t ahead = number - t->highest;

	t->heard = timer_now() + 1;
	if (t->before == 0 || (ahead != 0 && ahead < UINT32_C(1) << 31)) {
		t->before = t->before == 0 || ahead > 63 ? 0 :
		    t->before << ahead;
		t->before |= 1;
		t->highest = number;
		return true;
	}
	ahead = t->highest - number;
	if (ahead > 63 || (t->before >> ahead & 1) != 0)
		return false;
	t->before |= UINT64_C(1) << ahead;
	return true;
}

static void
row_add(const struct row *row)
{
	struct session *s = session_by_sid(row->sid);
	struct carried now;
	struct tunnel *t;

	COUNT(recv_reported);
	if (s == NULL || s->local_id != row->local_id || s->dying)
		return;
	now = counts(s);
	now = sum(&now, &row->n);
	set_counts(s, &now);
	s->last_data = (uint32_t)(timer_now() / 1000);
	t = tunnel_by_tid(s->tid);
	if (t != NULL && row->n.rx_packets != 0)
		t->last_data = s->last_data;
}

static bool
report_rows(struct rd *body)
{
	struct row row;

	while (!rd_done(body)) {
		row.sid = rd_u32(body);
		row.local_id = rd_u16(body);
		row.n.rx_octets = rd_u64(body);
		row.n.tx_octets = rd_u64(body);
		row.n.rx_packets = rd_u32(body);
		row.n.tx_packets = rd_u32(body);
		if (body->bad)
			return false;
		row_add(&row);
	}
	return true;
}

static void
take_report(uint32_t from, struct rd *body)
{
	uint8_t reply[REPORT_HEADER];
	struct wr w = wr_init(reply, sizeof(reply));
	uint32_t boot = rd_u32(body), number = rd_u32(body);

	if (!lns.master) {
		COUNT(cluster_misdirected);
		return;
	}
	if (body->bad || rd_left(body) % REPORT_ROW != 0) {
		COUNT(cluster_bad_forward);
		return;
	}
	if (take_number(taken_of(from, boot), number) && !report_rows(body))
		return;
	wr_u8(&w, COUNT_TAKEN);
	wr_u32(&w, boot);
	wr_u32(&w, number);
	(void)cluster_send(from, CLUSTER_BYTES, reply, wr_done(&w));
}

static void
take_counts(uint32_t from, struct rd *body)
{
	switch (rd_u8(body)) {
	case COUNT_REPORT:
		take_report(from, body);
		break;
	case COUNT_TAKEN:
		report_taken(from, body);
		break;
	default:
		COUNT(cluster_bad_forward);
	}
}

void
cluster_forward_record(uint32_t from, enum cluster_record type,
    struct rd *body)
{
	if (type == CLUSTER_BYTES)
		take_counts(from, body);
	else if (type == CLUSTER_FROM_LAC || type == CLUSTER_FROM_TUN)
		take_packets(type, body);
	else
		COUNT(cluster_bad_forward);
}

/* --- commands --------------------------------------------------------------- */

bool
cluster_elsewhere(char *text, size_t size)
{
	uint32_t a = cluster_master();

	if (lns.master)
		return false;
	if (a != 0)
		snprintf(text, size, "must be run on master: %u.%u.%u.%u",
		    a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
	else
		snprintf(text, size, "must be run on master: none is known");
	return true;
}

/* --- start and stop --------------------------------------------------------- */

void
cluster_forward_init(void)
{
	forward_lac_away = cluster_forward_lac;
	forward_tun_away = cluster_forward_tun;
	lns.own_addr = cluster_address();
	loop_at_turn_end(&hook);
	look_at_role();
	timer_arm(&ticker, TICK_MS);
}

void
cluster_forward_exit(void)
{
	timer_disarm(&ticker);
	forget_reports();
	forward_lac_away = NULL;
	forward_tun_away = NULL;
	lns.own_addr = 0;
}
