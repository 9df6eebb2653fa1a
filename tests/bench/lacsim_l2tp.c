/*
 * lacsim_l2tp.c - control connections and calls, the LAC's half of RFC 2661
 *
 * From the bottom: AVPs (section 4), reliable delivery (5.8 and appendix A:
 * slow start, retransmission after 1, 2, 4, 8, 8 s, out-of-order messages
 * held, duplicates acknowledged again), the control connection (7.2) and the
 * incoming call (7.4), and the data header (3.1, 5.4).
 *
 * An acknowledgement rides on any message of the same turn of the loop; when
 * there is none a ZLB is sent at the end of the turn.  A ZLB is never answered.
 * After a time-out everything from the lost message on is sent again under
 * slow start; peers that held the rest say so by a jump of Nr.  Before that,
 * ZLBs that repeat an Nr have the oldest message sent again, and an Nr that
 * moves only part of the way the next (RFC 5681 3.2, RFC 6582).  Our own ZLB
 * goes at once when something came early, so that the LNS can do the same.
 * With --plain-retransmit there is nothing of this, as in most LACs.
 *
 * Owns:     struct tunnel, its queues and its map of session ids.
 * Calls:    net_*() below, ppp_start()/ppp_input() and lacsim.c above.
 * Lifetime: tunnels live as long as the program; tunnel_forget() empties one.
 */
#include "lacsim.h"

#include <nettle/md5.h>
#include <stdlib.h>
#include <string.h>

#define CTL_FLAGS	0xc802	/* T, L, S, version 2 */
#define CTL_HEADER	12
#define MSG_MAX		1200
#define LINGER		(31 * NS_SEC)	/* RFC 2661 5.7 */
#define REPLY_WAIT	(15 * NS_SEC)	/* for SCCRP once SCCRQ is acked */
#define OPEN_TRIES	4

enum {				/* message types, RFC 2661 3.2 */
	SCCRQ = 1, SCCRP = 2, SCCCN = 3, STOPCCN = 4, HELLO = 6, OCRQ = 7,
	ICRQ = 10, ICRP = 11, ICCN = 12, CDN = 14, WEN = 15, SLI = 16
};

enum {				/* AVPs, RFC 2661 4.4 */
	AVP_TYPE = 0, AVP_RESULT = 1, AVP_VERSION = 2, AVP_FRAMING_CAP = 3,
	AVP_BEARER_CAP = 4, AVP_FIRMWARE = 6, AVP_HOST = 7, AVP_VENDOR = 8,
	AVP_TUNNEL_ID = 9, AVP_RWS = 10, AVP_CHALLENGE = 11,
	AVP_RESPONSE = 13, AVP_SESSION_ID = 14, AVP_SERIAL = 15,
	AVP_BEARER_TYPE = 18, AVP_FRAMING_TYPE = 19, AVP_CALLED = 21,
	AVP_CALLING = 22, AVP_TX_SPEED = 24, AVP_RANDOM_VECTOR = 36,
	AVP_RX_SPEED = 38, AVP_SEQUENCE = 39
};

struct msg {
	struct msg *next;
	uint16_t ns;
	uint16_t starts;	/* an ICCN: our id of the call whose PPP begins */
	uint32_t sent;		/* times */
	bool lately;		/* since the last loss was seen */
	size_t len;
	uint8_t data[];		/* from the header on */
};

struct ghost {
	uint64_t until;		/* 0 = unused */
	uint16_t rtid, ns, nr;
	uint32_t src;
	struct sockaddr_in peer;
};

/* What a received message says. */
struct ctl {
	uint16_t type, tid, sid, version, rws, result, error;
	bool has_result, has_sid, has_tid, bad, unknown_mandatory;
	const uint8_t *challenge, *response;
	size_t challenge_len, response_len, host_len;
	uint8_t hidden[1024];	/* plaintext of the AVP being looked at */
};

static uint32_t serial;

void
l2tp_init(void)
{
	L.by_tid = xcalloc(65536, sizeof(*L.by_tid));
	L.linger = xcalloc(65536, sizeof(*L.linger));
}

/* ---- AVPs out ---- */

/* RFC 2661 4.4: on these the M bit must be 0, on the others of ours 1. */
static uint16_t
avp_mandatory(uint16_t type)
{
	return type == AVP_FIRMWARE || type == AVP_VENDOR ||
	    type == AVP_RX_SPEED ? 0 : 0x8000;
}

static void
avp(struct out *o, uint16_t type, const void *value, size_t n)
{
	out_u16(o, (uint16_t)(avp_mandatory(type) | (n + 6)));
	out_u16(o, 0);
	out_u16(o, type);
	out_bytes(o, value, n);
}

static void
avp16(struct out *o, uint16_t type, uint16_t v)
{
	uint8_t b[2];

	put16(b, v);
	avp(o, type, b, 2);
}

static void
avp32(struct out *o, uint16_t type, uint32_t v)
{
	uint8_t b[4];

	put32(b, v);
	avp(o, type, b, 4);
}

static void
md5_3(uint8_t sum[16], const void *a, size_t an, const void *b, size_t bn,
    const void *c, size_t cn)
{
	struct md5_ctx m;

	md5_init(&m);
	md5_update(&m, an, a);
	md5_update(&m, bn, b);
	md5_update(&m, cn, c);
	md5_digest(&m, 16, sum);
}

/* RFC 2661 4.3, in place; each block is keyed by the cipher text before. */
static void
hide(uint8_t *p, size_t n, uint16_t type, const uint8_t *rv, size_t rvn,
    bool encrypt)
{
	uint8_t b[16], before[16], ty[2];
	size_t secret = strlen(L.o.secret);

	put16(ty, type);
	md5_3(b, ty, 2, L.o.secret, secret, rv, rvn);
	for (size_t i = 0; i < n; i += 16) {
		size_t k = n - i < 16 ? n - i : 16;

		memcpy(before, p + i, k);
		for (size_t j = 0; j < k; j++)
			p[i + j] ^= b[j];
		md5_3(b, L.o.secret, secret, encrypt ? p + i : before, k,
		    "", 0);
	}
}

/* A Random Vector and the AVP hidden by it, padded by a random amount. */
static void
avp_hidden(struct out *o, uint16_t type, const void *value, size_t n)
{
	uint8_t rv[16], b[512];
	size_t len = n + 2 + rng_below(&L.rng, 20);

	if (len > sizeof(b))
		len = sizeof(b);
	rng_fill(&L.rng, rv, sizeof(rv));
	avp(o, AVP_RANDOM_VECTOR, rv, sizeof(rv));
	rng_fill(&L.rng, b, len);
	put16(b, (uint16_t)n);
	memcpy(b + 2, value, n);
	hide(b, len, type, rv, sizeof(rv), true);
	out_u16(o, (uint16_t)(0xc000 | (len + 6)));
	out_u16(o, 0);
	out_u16(o, type);
	out_bytes(o, b, len);
}

static void
avp_maybe_hidden(struct out *o, uint16_t type, const void *value, size_t n)
{
	if (L.o.hide && L.o.secret && n < 256)
		avp_hidden(o, type, value, n);
	else
		avp(o, type, value, n);
}

/* RFC 2661 5.1.1 */
static void
tunnel_answer(uint8_t sum[16], uint8_t id, const uint8_t *challenge, size_t n)
{
	md5_3(sum, &id, 1, L.o.secret, strlen(L.o.secret), challenge, n);
}

/* ---- AVPs in ---- */

static void
ctl_u16(struct ctl *c, struct in v, size_t n, uint16_t *to)
{
	if (v.n != n)
		c->bad = true;
	*to = in_u16(&v);
}

static void
ctl_value(struct ctl *c, uint16_t type, bool mandatory, struct in v)
{
	switch (type) {
	case AVP_RESULT:
		c->has_result = true;
		c->result = in_u16(&v);
		if (v.n >= 2)
			c->error = in_u16(&v);
		c->bad |= v.bad;
		break;
	case AVP_VERSION:
		ctl_u16(c, v, 2, &c->version);
		break;
	case AVP_HOST:
		c->host_len = v.n;
		break;
	case AVP_TUNNEL_ID:
		ctl_u16(c, v, 2, &c->tid);
		c->has_tid = true;
		break;
	case AVP_SESSION_ID:
		ctl_u16(c, v, 2, &c->sid);
		c->has_sid = true;
		break;
	case AVP_RWS:
		ctl_u16(c, v, 2, &c->rws);
		break;
	case AVP_CHALLENGE:
		c->challenge = v.p;
		c->challenge_len = v.n;
		break;
	case AVP_RESPONSE:
		c->response = v.p;
		c->response_len = v.n;
		break;
	default:
		if (mandatory && type > AVP_SEQUENCE)
			c->unknown_mandatory = true;
		break;
	}
}

/* The plaintext through a fresh cursor: its length is cipher output. */
static bool
ctl_unhide(struct ctl *c, uint16_t type, struct in *v, const struct in *rv)
{
	struct in plain;
	uint16_t len;

	if (!L.o.secret || !rv->p || v->n < 2 || v->n > sizeof(c->hidden))
		return false;
	memcpy(c->hidden, v->p, v->n);
	hide(c->hidden, v->n, type, rv->p, rv->n, false);
	plain = in_open(c->hidden, v->n);
	len = in_u16(&plain);
	if (len > plain.n)
		return false;
	*v = in_open(plain.p, len);
	return true;
}

static bool
ctl_parse(struct ctl *c, const uint8_t *p, size_t n)
{
	struct in i = in_open(p, n), rv = { 0 };
	bool first = true;

	memset(c, 0, offsetof(struct ctl, hidden));
	c->rws = 4;		/* RFC 2661 4.4.3, when absent */
	while (i.n && !i.bad && !c->bad) {
		uint16_t flags = in_u16(&i), vendor = in_u16(&i);
		uint16_t type = in_u16(&i), len = flags & 0x3ff;
		const uint8_t *value = in_take(&i, len >= 6 ? len - 6u : 65536);
		struct in v = in_open(value, value ? len - 6u : 0);

		if (!value)
			return false;
		if (first) {
			if (vendor || type != AVP_TYPE || v.n != 2)
				return false;
			c->type = in_u16(&v);
			first = false;
		} else if (vendor || flags & 0x3c00) {
			c->unknown_mandatory |= (flags & 0x8000) != 0;
		} else if (type == AVP_RANDOM_VECTOR) {
			rv = v;
		} else if (!(flags & 0x4000) ||
		    ctl_unhide(c, type, &v, &rv)) {
			ctl_value(c, type, flags & 0x8000, v);
		} else {
			return false;
		}
	}
	return !i.bad && !c->bad && !first;
}

/* ---- reliable delivery ---- */

static void
ctl_put(struct tunnel *t, const uint8_t *data, size_t len, uint16_t ns)
{
	uint8_t *p = net_reserve(t, NET_CONTROL, len);

	memcpy(p, data, len);
	put16(p + 4, t->rtid);
	put16(p + 8, ns);
	put16(p + 10, t->nr);
	net_commit(len);
	L.c.ctl_tx++;
	L.c.ctl_bytes_tx += len + 28;
	t->ack_due = false;
}

static void
ctl_zlb(struct tunnel *t)
{
	uint8_t h[CTL_HEADER] = { CTL_FLAGS >> 8, CTL_FLAGS & 255, 0,
	    CTL_HEADER };

	ctl_put(t, h, sizeof(h), t->snd_max);
	L.c.ctl_zlb_tx++;
}

void
l2tp_acks(void)
{
	struct tunnel *t;

	while ((t = L.ack_list) != NULL) {
		L.ack_list = t->ack_next;
		t->ack_listed = false;
		if (t->ack_due && t->ltid)
			ctl_zlb(t);
		t->ack_due = false;
	}
}

static void
ctl_ack_soon(struct tunnel *t)
{
	t->ack_due = true;
	if (t->ack_listed)
		return;
	t->ack_listed = true;
	t->ack_next = L.ack_list;
	L.ack_list = t;
}

static uint64_t
rtx_interval(uint32_t tries)
{
	return (tries >= 4 ? 8 : 1ULL << (tries ? tries - 1 : 0)) * NS_SEC;
}

static struct session *
call_find(const struct tunnel *t, uint16_t lsid)
{
	struct session *s = lsid ? t->sid[lsid & t->sid_mask] : NULL;

	return s && s->lsid == lsid ? s : NULL;
}

/*
 * The subscriber is let through when the ICCN leaves, not when it joins the
 * queue: behind a lost message it may wait there for longer than PPP would.
 */
static void
call_through(struct tunnel *t, uint16_t lsid)
{
	struct session *s = call_find(t, lsid);

	if (s && s->state == S_WAIT_REPLY)
		ppp_start(s);
}

static void
ctl_rtx_timer(struct tunnel *t)
{
	timer_set(&L.wheel, &t->rtx, L.now + rtx_interval(t->tries));
}

static void
ctl_transmit(struct tunnel *t, struct msg *m)
{
	if (m->sent++)
		L.c.ctl_retx++;
	if ((uint16_t)(m->ns - t->snd_max) < 0x8000)
		t->snd_max = (uint16_t)(m->ns + 1);
	ctl_put(t, m->data, m->len, m->ns);
	if (m->starts && m->sent == 1)
		call_through(t, m->starts);
}

/* A ZLB that repeats an Nr says that one of ours has arrived, early. */
static uint32_t
ctl_window(const struct tunnel *t)
{
	uint32_t w = t->cwnd;

	if (t->next->ns == t->snd_max)
		w += t->same_acks;
	return w < t->peer_rws ? w : t->peer_rws;
}

static void
ctl_pump(struct tunnel *t)
{
	while (t->next && (uint16_t)(t->next->ns - t->una) < ctl_window(t)) {
		struct msg *m = t->next;

		t->next = m->next;
		if (m == t->head) {
			t->tries++;
			ctl_rtx_timer(t);
		}
		m->lately = true;
		ctl_transmit(t, m);
	}
}

/*
 * Something is lost: recovery, until all that has been sent by now is acked.
 * RFC 2661 appendix A has a window of one then; 5.8 wants every LNS to take
 * four, and with less than four the next loss could not be seen.
 */
static void
ctl_loss(struct tunnel *t)
{
	uint32_t least = L.o.plain_retransmit ? 1 :
	    t->peer_rws < 4 ? t->peer_rws : 4;

	t->ssthresh = t->cwnd / 2 > least ? t->cwnd / 2 : least;
	t->cwnd_part = 0;
	t->recover = t->snd_max;
	t->recovering = !L.o.plain_retransmit;
	for (struct msg *m = t->head; m && m->sent; m = m->next)
		m->lately = false;
}

static void
ctl_timeout(struct timer *tm)
{
	struct tunnel *t = container_of(tm, struct tunnel, rtx);

	if (!t->head)
		return;
	if (t->tries > L.o.retries) {
		tunnel_forget(t, R_TUNNEL_LOST);
		return;
	}
	ctl_loss(t);
	if (L.o.plain_retransmit)
		t->cwnd = 1;
	else if (t->cwnd > 4)
		t->cwnd = 4;
	t->same_acks = 0;
	t->same_enough = 3;
	t->next = t->head;
	ctl_pump(t);
}

/* The oldest once more; the timer goes on. */
static void
ctl_again(struct tunnel *t)
{
	uint16_t out = (uint16_t)(t->snd_max - t->una);

	/* Those out may all be answered by the same Nr; more may not. */
	t->same_enough = t->same_acks + out + 2;
	t->head->lately = true;
	ctl_transmit(t, t->head);
}

/*
 * The same Nr once more: something after the oldest has arrived.  Two are
 * enough when there can hardly be three.
 */
static void
ctl_same_ack(struct tunnel *t)
{
	uint16_t out = (uint16_t)(t->snd_max - t->una);

	if (L.o.plain_retransmit || out < 2 || t->head == t->next)
		return;
	t->same_acks++;
	ctl_pump(t);
	if (!t->recovering)
		t->same_enough = out <= 4 ? 2 : 3;
	if (t->same_acks < t->same_enough || t->fast >= 3)
		return;
	t->fast++;
	if (!t->recovering) {
		ctl_loss(t);
		t->cwnd = t->ssthresh;
	}
	ctl_again(t);
}

static void
ctl_grow(struct tunnel *t)
{
	if (t->cwnd >= t->peer_rws)
		return;
	if (t->cwnd < t->ssthresh) {
		t->cwnd++;
	} else if (++t->cwnd_part >= t->cwnd) {
		t->cwnd++;
		t->cwnd_part = 0;
	}
}

/* Nr has moved by n, and `jumped` past what has been sent again. */
static void
ctl_recovery(struct tunnel *t, uint16_t n, bool jumped)
{
	t->fast = 0;
	t->same_acks = t->same_acks > n ? t->same_acks - n : 0;
	if (!t->recovering || (uint16_t)(t->una - t->recover) < 0x8000) {
		t->recovering = false;
		t->same_acks = 0;
		return;
	}
	while (jumped && t->next && t->next->sent)
		t->next = t->next->next;
	if (t->head != t->next && !t->head->lately)
		ctl_again(t);
	else
		t->same_enough = 3;
}

static void
ctl_acked(struct tunnel *t, uint16_t nr, bool zlb)
{
	uint16_t n = (uint16_t)(nr - t->una), left;
	bool jumped = t->next && n > (uint16_t)(t->next->ns - t->una);

	if (!n && zlb && t->head)
		ctl_same_ack(t);
	if (!n || n > (uint16_t)(t->snd_max - t->una))
		return;		/* old, or of what was never sent */
	for (left = n; left; left--) {
		struct msg *m = t->head;

		if (t->next == m)
			t->next = m->next;
		t->head = m->next;
		t->una++;
		free(t->last);
		t->last = m;
		ctl_grow(t);
	}
	t->tries = 0;
	timer_stop(&t->rtx);
	if (!t->head)
		t->tail = NULL;
	ctl_recovery(t, n, jumped);
	if (t->head && t->head != t->next) {
		t->tries = 1;
		ctl_rtx_timer(t);
	}
	ctl_pump(t);
}

static uint8_t msgbuf[MSG_MAX];

static struct out
msg_begin(uint16_t type, uint16_t sid)
{
	struct out o = out_open(msgbuf, sizeof(msgbuf));

	out_u16(&o, CTL_FLAGS);
	out_u16(&o, 0);
	out_u16(&o, 0);
	out_u16(&o, sid);
	out_u32(&o, 0);
	avp16(&o, AVP_TYPE, type);
	return o;
}

static void
msg_send_starting(struct tunnel *t, struct out *o, uint16_t starts)
{
	struct msg *m;

	if (o->bad)
		die("a control message does not fit: names too long");
	put16(o->p + 2, (uint16_t)o->n);
	m = xcalloc(1, sizeof(*m) + o->n);
	m->ns = t->ns++;
	m->len = o->n;
	m->starts = starts;
	memcpy(m->data, o->p, o->n);
	if (t->tail)
		t->tail->next = m;
	else
		t->head = m;
	t->tail = m;
	if (!t->next)
		t->next = m;
	ctl_pump(t);
}

static void
msg_send(struct tunnel *t, struct out *o)
{
	msg_send_starting(t, o, 0);
}

/* A peer must take this for what it is: seen before. */
void
monkey_duplicate(struct tunnel *t)
{
	if (t->last && t->ltid && t->rtid)
		ctl_put(t, t->last->data, t->last->len, t->last->ns);
}

/* ---- the tunnel ---- */

static void
msgs_free(struct tunnel *t)
{
	struct msg *m;

	while ((m = t->head) != NULL) {
		t->head = m->next;
		free(m);
	}
	t->tail = t->next = NULL;
	free(t->last);
	t->last = NULL;
	for (uint32_t i = 0; i < L.o.rws; i++) {
		free(t->held[i]);
		t->held[i] = NULL;
	}
}

static uint16_t
tid_new(void)
{
	for (int i = 0; i < 1000000; i++) {
		uint16_t id = (uint16_t)rng_u64(&L.rng);

		if (id && !L.by_tid[id] && L.linger[id].until < L.now)
			return id;
	}
	die("no tunnel id is free");
}

static void
tunnel_hello(struct timer *tm)
{
	struct tunnel *t = container_of(tm, struct tunnel, hello);
	uint64_t period = (uint64_t)(L.o.hello * 1e9);

	if (t->state != T_ESTABLISHED)
		return;
	if (L.now - t->last_rx >= period && !t->head) {
		struct out o = msg_begin(HELLO, 0);

		L.c.hello_tx++;
		msg_send(t, &o);
	}
	timer_set(&L.wheel, &t->hello, (L.now - t->last_rx >= period ?
	    L.now : t->last_rx) + period);
}

static void
tunnel_reset(struct tunnel *t)
{
	uint32_t want = 16, each = L.o.sessions / L.o.tunnels + 1;

	if (!t->held)
		t->held = xcalloc(L.o.rws, sizeof(*t->held));
	while (want < 65536 && want < 4 * each)
		want *= 2;
	if (!t->sid)
		t->sid = xcalloc(want, sizeof(*t->sid));
	t->sid_mask = want - 1;
	t->rtid = t->ns = t->nr = t->una = t->snd_max = 0;
	t->cwnd = 1;
	t->cwnd_part = 0;
	t->ssthresh = t->peer_rws = 4;
	t->tries = t->same_acks = t->fast = 0;
	t->recovering = false;
	t->ack_due = t->peer_pinned = false;
	t->rtx.fn = ctl_timeout;
	t->last_rx = L.now;
}

/*
 * The SCCRQ is acknowledged, but no SCCRP has come: an LNS does not send that
 * for ever to a stranger.  So once more, as another tunnel.
 */
static void
tunnel_no_reply(struct timer *tm)
{
	struct tunnel *t = container_of(tm, struct tunnel, hello);

	if (t->state != T_WAIT_CTL_REPLY)
		return;
	if (t->head) {		/* that has its own retries */
		timer_set(&L.wheel, &t->hello, L.now + REPLY_WAIT);
		return;
	}
	if (t->opened < OPEN_TRIES)
		t->state = T_IDLE;	/* not failed yet */
	tunnel_forget(t, R_TUNNEL_REFUSED);
	if (t->opened < OPEN_TRIES && !timer_on(&t->restart))
		tunnel_open(t);
}

void
tunnel_open(struct tunnel *t)
{
	struct out o = msg_begin(SCCRQ, 0);
	char host[256];

	tunnel_reset(t);
	t->peer = L.o.lns[t->idx % L.o.lns_count];
	if (L.o.source_count)
		t->src = L.o.source + t->idx % L.o.source_count;
	t->ltid = tid_new();
	L.by_tid[t->ltid] = t;
	L.tunnels_open++;
	t->state = T_WAIT_CTL_REPLY;
	t->opened++;
	t->hello.fn = tunnel_no_reply;
	timer_set(&L.wheel, &t->hello, L.now + REPLY_WAIT);
	avp16(&o, AVP_VERSION, 0x0100);
	avp32(&o, AVP_FRAMING_CAP, 3);
	avp32(&o, AVP_BEARER_CAP, 3);
	avp16(&o, AVP_FIRMWARE, 1);
	avp(&o, AVP_HOST, host,
	    fmt_index(host, sizeof(host), L.o.host, t->idx));
	avp(&o, AVP_VENDOR, "lacsim", 6);
	avp16(&o, AVP_TUNNEL_ID, t->ltid);
	avp16(&o, AVP_RWS, L.o.rws);
	if (L.o.challenge) {
		rng_fill(&L.rng, t->challenge, sizeof(t->challenge));
		avp(&o, AVP_CHALLENGE, t->challenge, sizeof(t->challenge));
	}
	msg_send(t, &o);
}

static void
tunnel_linger(struct tunnel *t)
{
	struct ghost *l = &L.linger[t->ltid];

	l->until = L.now + LINGER;
	l->rtid = t->rtid;
	l->ns = t->ns;
	l->nr = t->nr;
	l->src = t->src;
	l->peer = t->peer;
}

/* Drops all state, without a word to the peer. */
void
tunnel_forget(struct tunnel *t, enum reason why)
{
	if (!t->ltid)
		return;
	for (uint32_t i = 0; i <= t->sid_mask; i++) {
		struct session *s = t->sid[i];

		if (s) {
			if (!s->why)
				s->why = (uint8_t)why;
			call_forget(s);
		}
	}
	if (t->ack_due)
		ctl_zlb(t);
	tunnel_linger(t);
	L.by_tid[t->ltid] = NULL;
	t->ltid = 0;
	timer_stop(&t->rtx);
	timer_stop(&t->hello);
	msgs_free(t);
	L.tunnels_open--;
	if (t->state == T_ESTABLISHED) {
		L.tunnels_up--;
		if (why == R_TUNNEL_LOST || why == R_STOPCCN)
			L.c.tunnels_lost++;
	} else if (t->state == T_WAIT_CTL_REPLY) {
		L.c.tunnels_failed++;
	} else if (t->state == T_CLOSING) {
		L.c.tunnels_closed++;
	}
	t->state = T_CLOSED;
	tunnel_is_gone(t);
}

/* RFC 2661 5.7: StopCCN clears the sessions without a CDN for each. */
void
tunnel_close(struct tunnel *t, uint16_t result)
{
	struct out o;
	uint8_t rc[4] = { 0 };

	if (t->state != T_ESTABLISHED && t->state != T_WAIT_CTL_REPLY)
		return;
	for (uint32_t i = 0; i <= t->sid_mask; i++)
		if (t->sid[i])
			call_forget(t->sid[i]);
	if (t->state == T_ESTABLISHED)
		L.tunnels_up--;
	else
		L.c.tunnels_failed++;
	t->state = T_CLOSING;
	timer_stop(&t->hello);
	o = msg_begin(STOPCCN, 0);
	avp16(&o, AVP_TUNNEL_ID, t->ltid);
	put16(rc, result);
	avp(&o, AVP_RESULT, rc, sizeof(rc));
	msg_send(t, &o);
}

static void
recv_SCCRP(struct tunnel *t, const struct ctl *c)
{
	struct out o = msg_begin(SCCCN, 0);
	uint8_t sum[16];

	if (t->state != T_WAIT_CTL_REPLY) {
		L.c.ctl_bad++;
		return;
	}
	t->rtid = c->tid;
	if (!c->tid || c->version != 0x0100 || !c->host_len ||
	    c->unknown_mandatory || (c->challenge && !L.o.secret)) {
		L.c.ctl_bad++;
		tunnel_close(t, 2);
		return;
	}
	if (L.o.challenge) {
		tunnel_answer(sum, SCCRP, t->challenge, sizeof(t->challenge));
		if (c->response_len != 16 || memcmp(sum, c->response, 16)) {
			tunnel_close(t, 4);
			return;
		}
	}
	t->peer_rws = c->rws ? c->rws : 1;
	t->ssthresh = t->peer_rws;
	if (c->challenge) {
		tunnel_answer(sum, SCCCN, c->challenge, c->challenge_len);
		avp(&o, AVP_RESPONSE, sum, 16);
	}
	t->state = T_ESTABLISHED;
	t->opened = 0;
	L.tunnels_up++;
	L.c.tunnels_up++;
	msg_send(t, &o);
	timer_stop(&t->hello);
	t->hello.fn = tunnel_hello;
	if (L.o.hello > 0)
		timer_set(&L.wheel, &t->hello,
		    L.now + (uint64_t)(L.o.hello * 1e9));
	tunnel_is_settled(t, true);
}

static void
recv_StopCCN(struct tunnel *t, const struct ctl *c)
{
	L.c.stopccn_result[c->result < 15 ? c->result : 15]++;
	/* Without a tunnel id of theirs there is nowhere to send the ack. */
	if (!t->rtid && c->has_tid)
		t->rtid = c->tid;
	tunnel_forget(t, t->state == T_WAIT_CTL_REPLY ? R_TUNNEL_REFUSED :
	    R_STOPCCN);
}

/* ---- calls ---- */

/* Random, and alone in its slot of the map. */
static bool
sid_new(struct session *s)
{
	struct tunnel *t = s->t;

	if (t->sids >= (t->sid_mask == 65535 ? 65535 : t->sid_mask + 1))
		return false;
	for (uint32_t i = 0, id = (uint32_t)rng_u64(&L.rng);; i++) {
		uint16_t sid = (uint16_t)(i < 64 ? rng_u64(&L.rng) : id + i);

		if (sid && !t->sid[sid & t->sid_mask]) {
			t->sid[sid & t->sid_mask] = s;
			t->sids++;
			s->lsid = sid;
			return true;
		}
	}
}

bool
call_open(struct session *s)
{
	struct out o = msg_begin(ICRQ, 0);
	char b[256];
	uint8_t id[2];

	if (!sid_new(s))
		return false;
	s->t->sessions++;
	s->rsid = 0;
	s->cdn_seen = false;
	s->data_ns = s->data_nr = 0;
	s->seq_tx = s->seq_required = L.o.sequence;
	put16(id, s->lsid);
	avp_maybe_hidden(&o, AVP_SESSION_ID, id, 2);
	avp32(&o, AVP_SERIAL, ++serial);
	avp32(&o, AVP_BEARER_TYPE, 1);
	if (L.o.called)
		avp_maybe_hidden(&o, AVP_CALLED, L.o.called,
		    strlen(L.o.called));
	if (L.o.calling)
		avp_maybe_hidden(&o, AVP_CALLING, b,
		    fmt_index(b, sizeof(b), L.o.calling, s->idx));
	msg_send(s->t, &o);
	return true;
}

bool
call_pester(struct tunnel *t)
{
	struct out o;
	uint16_t sid = (uint16_t)(rng_u64(&L.rng) | 1);

	if (t->state != T_ESTABLISHED || call_find(t, sid) ||
	    (uint16_t)(t->ns - t->una) > 16384)
		return false;
	t->cwnd = t->ssthresh = t->peer_rws = 32767;
	o = msg_begin(ICRQ, 0);
	avp16(&o, AVP_SESSION_ID, sid);
	avp32(&o, AVP_SERIAL, ++serial);
	msg_send(t, &o);
	return true;
}

void
call_forget(struct session *s)
{
	struct tunnel *t = s->t;

	if (!s->lsid)
		return;
	ppp_stop(s);
	t->sid[s->lsid & t->sid_mask] = NULL;
	t->sids--;
	t->sessions--;
	s->lsid = s->rsid = 0;
	session_is_down(s);
}

void
call_close(struct session *s, uint16_t result, uint16_t error)
{
	struct tunnel *t = s->t;

	if (!s->lsid)
		return;
	if (!s->cdn_seen && t->state == T_ESTABLISHED) {
		struct out o = msg_begin(CDN, s->rsid);
		uint8_t rc[4];

		put16(rc, result);
		put16(rc + 2, error);
		avp(&o, AVP_RESULT, rc, error ? 4 : 2);
		avp16(&o, AVP_SESSION_ID, s->lsid);
		msg_send(t, &o);
	}
	call_forget(s);
}

static void
recv_ICRP(struct session *s, const struct ctl *c)
{
	struct out o;

	if (s->state != S_WAIT_REPLY || s->rsid || !c->sid || c->unknown_mandatory) {
		L.c.ctl_bad++;
		s->rsid = s->rsid ? s->rsid : c->sid;
		s->why = R_PROTOCOL;
		call_close(s, 2, c->sid ? 8 : 5);
		return;
	}
	s->rsid = c->sid;
	o = msg_begin(ICCN, s->rsid);
	avp32(&o, AVP_TX_SPEED, 100000000);
	avp32(&o, AVP_FRAMING_TYPE, 1);
	avp32(&o, AVP_RX_SPEED, 100000000);
	if (L.o.sequence)
		avp(&o, AVP_SEQUENCE, "", 0);
	msg_send_starting(s->t, &o, s->lsid);
}

static void
recv_CDN(struct tunnel *t, uint16_t sid, const struct ctl *c)
{
	struct session *s = call_find(t, sid);

	L.c.cdn_result[c->result < 15 ? c->result : 15]++;
	L.c.cdn_error[c->error < 15 ? c->error : 15]++;
	/* With session id 0 the AVP tells: it is the peer's own id. */
	for (uint32_t i = 0; !sid && c->sid && !s && i <= t->sid_mask; i++)
		if (t->sid[i] && t->sid[i]->rsid == c->sid)
			s = t->sid[i];
	if (!s)
		return;		/* our own CDN crossed it */
	s->cdn_seen = true;
	if (!s->why)
		s->why = R_CDN;
	call_forget(s);
}

static void
ctl_deliver(struct tunnel *t, const uint8_t *p, size_t n)
{
	static struct ctl c;
	uint16_t sid = get16(p + 6);
	struct session *s;

	if (!ctl_parse(&c, p + CTL_HEADER, n - CTL_HEADER)) {
		L.c.ctl_bad++;
		return;
	}
	switch (c.type) {
	case SCCRP:
		recv_SCCRP(t, &c);
		break;
	case STOPCCN:
		recv_StopCCN(t, &c);
		break;
	case HELLO:
		L.c.hello_rx++;
		break;
	case ICRP:
		s = call_find(t, sid);
		if (s)
			recv_ICRP(s, &c);
		break;		/* given up meanwhile: our CDN is on its way */
	case CDN:
		recv_CDN(t, sid, &c);
		break;
	case SLI:
		L.c.sli_rx++;
		break;
	case WEN:
		L.c.wen_rx++;
		break;
	default:
		L.c.ctl_bad++;
		break;
	}
}

/* Early ones wait for their turn, up to the window we advertised. */
static void
ctl_hold(struct tunnel *t, const uint8_t *p, size_t n, uint16_t ns)
{
	struct msg **slot = &t->held[ns % L.o.rws];
	struct msg *m;

	L.c.ctl_ooo++;
	if ((uint16_t)(ns - t->nr) >= L.o.rws || *slot)
		return;
	m = xcalloc(1, sizeof(*m) + n);
	m->ns = ns;
	m->len = n;
	memcpy(m->data, p, n);
	*slot = m;
	L.c.ctl_held++;
}

static void
ctl_sequence(struct tunnel *t, const uint8_t *p, size_t n)
{
	uint16_t ns = get16(p + 8), ahead = (uint16_t)(ns - t->nr), ltid;
	struct msg *m;

	ctl_ack_soon(t);
	if (ahead >= 0x8000) {
		L.c.ctl_dup++;
		return;
	}
	if (ahead) {
		ctl_hold(t, p, n, ns);
		/* By itself and each time, so that the gap is seen. */
		if (!L.o.plain_retransmit && ahead < L.o.rws)
			ctl_zlb(t);
		return;
	}
	ltid = t->ltid;
	t->nr++;
	ctl_deliver(t, p, n);
	/* Delivery may have ended the tunnel, or even begun it anew. */
	while (t->ltid == ltid && (m = t->held[t->nr % L.o.rws]) != NULL &&
	    m->ns == t->nr) {
		t->held[t->nr % L.o.rws] = NULL;
		t->nr++;
		ctl_deliver(t, m->data, m->len);
		free(m);
	}
}

/* A peer that missed our last ack must get it again (RFC 2661 5.7). */
static void
linger_input(uint16_t tid, const uint8_t *p, size_t n)
{
	struct ghost *l = &L.linger[tid];
	struct tunnel t = { 0 };
	uint16_t ns = get16(p + 8);

	if (l->until < L.now || n <= CTL_HEADER)
		return;
	L.c.ctl_dup++;
	if (ns == l->nr)
		l->nr++;	/* a StopCCN that crossed ours */
	t.src = l->src;
	t.peer = l->peer;
	t.rtid = l->rtid;
	t.snd_max = l->ns;
	t.nr = l->nr;
	ctl_zlb(&t);
}

static bool
peer_ok(struct tunnel *t, const struct sockaddr_in *from, uint32_t dst)
{
	if (from->sin_addr.s_addr != t->peer.sin_addr.s_addr ||
	    (t->peer_pinned && from->sin_port != t->peer.sin_port)) {
		L.c.wrong_peer++;
		return false;
	}
	if (t->src && dst != t->src) {
		L.c.wrong_dst++;
		return false;
	}
	return true;
}

static void
ctl_input(const uint8_t *p, size_t n, const struct sockaddr_in *from,
    uint32_t dst)
{
	uint16_t len, tid;
	struct tunnel *t;

	L.c.ctl_rx++;
	L.c.ctl_bytes_rx += n + 28;
	if (n < CTL_HEADER || (get16(p) & 0xc80f) != CTL_FLAGS ||
	    (len = get16(p + 2)) < CTL_HEADER || len > n) {
		L.c.ctl_bad++;
		return;
	}
	tid = get16(p + 4);
	t = L.by_tid[tid];
	if (!t) {
		linger_input(tid, p, len);
		return;
	}
	if (!peer_ok(t, from, dst))
		return;
	/* RFC 2661 8.1: the answer's port is the one to use from now on. */
	t->peer.sin_port = from->sin_port;
	t->peer_pinned = true;
	t->last_rx = L.now;
	ctl_acked(t, get16(p + 10), len == CTL_HEADER);
	if (len == CTL_HEADER)
		L.c.ctl_zlb_rx++;
	else
		ctl_sequence(t, p, len);
	if (t->ltid == tid && t->state == T_CLOSING && !t->head)
		tunnel_forget(t, R_ENDED);
}

/* ---- data ---- */

/* RFC 2661 5.4.  False: late or seen before, to be dropped. */
static bool
data_sequence(struct session *s, bool present, uint16_t ns)
{
	uint16_t ahead = (uint16_t)(ns - s->data_nr);

	/* Without our demand it is the LNS that says whether to number. */
	if (!s->seq_required)
		s->seq_tx = present;
	if (!present)
		return true;
	if (ahead >= 0x8000) {
		L.c.data_seq_late++;
		return false;
	}
	L.c.data_seq_lost += ahead;
	s->data_nr = (uint16_t)(ns + 1);
	return true;
}

static void
data_input(const uint8_t *p, size_t n, const struct sockaddr_in *from,
    uint32_t dst)
{
	struct in i = in_open(p, n);
	uint16_t flags = in_u16(&i), tid, sid, ns = 0;
	struct tunnel *t;
	struct session *s;

	L.c.data_rx++;
	if ((flags & 15) == 2 && flags & 0x4000) {
		uint16_t len = in_u16(&i);

		if (len > n || len < 4)
			i.bad = true;
		else
			i.n = len - 4u;
	}
	tid = in_u16(&i);
	sid = in_u16(&i);
	if (flags & 0x0800) {
		ns = in_u16(&i);
		in_u16(&i);	/* Nr is reserved in data */
	}
	if (flags & 0x0200)
		in_take(&i, in_u16(&i));
	if (i.bad || (flags & 15) != 2) {
		L.c.data_bad++;
		return;
	}
	t = L.by_tid[tid];
	s = t ? call_find(t, sid) : NULL;
	if (!s || !peer_ok(t, from, dst)) {
		L.c.data_unknown++;
		return;
	}
	t->last_rx = L.now;
	if (data_sequence(s, flags & 0x0800, ns))
		ppp_input(s, i.p, i.n);
}

void
l2tp_input(const uint8_t *p, size_t n, const struct sockaddr_in *from,
    uint32_t dst)
{
	if (n && p[0] & 0x80)
		ctl_input(p, n, from, dst);
	else
		data_input(p, n, from, dst);
}

static struct {
	uint8_t *p;
	size_t header;
} frame;

uint8_t *
frame_begin(struct session *s, uint16_t proto, size_t max)
{
	uint16_t flags = 2;
	uint8_t *p = net_reserve(s->t, NET_DATA, max + 32 + L.o.offset);
	struct out o = out_open(p, 32 + L.o.offset);

	if (L.o.length_bit)
		flags |= 0x4000;
	if (s->seq_tx)
		flags |= 0x0800;
	if (L.o.offset)
		flags |= 0x0200;
	out_u16(&o, flags);
	if (L.o.length_bit)
		out_u16(&o, 0);
	out_u16(&o, s->t->rtid);
	out_u16(&o, s->rsid);
	if (s->seq_tx) {
		out_u16(&o, s->data_ns++);
		out_u16(&o, 0);
	}
	if (L.o.offset) {
		out_u16(&o, (uint16_t)L.o.offset);
		memset(out_room(&o, L.o.offset), 0, L.o.offset);
	}
	/* RFC 1661 6.6: LCP is never sent compressed. */
	if (!s->tx_acfc || proto == 0xc021)
		out_u16(&o, 0xff03);
	if (s->tx_pfc && proto < 0x100)
		out_u8(&o, (uint8_t)proto);
	else
		out_u16(&o, proto);
	frame.p = p;
	frame.header = o.n;
	return p + o.n;
}

void
frame_end(size_t used)
{
	if (L.o.length_bit)
		put16(frame.p + 2, (uint16_t)(frame.header + used));
	L.c.data_tx++;
	net_commit(frame.header + used);
}
