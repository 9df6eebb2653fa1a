/*
 * lacsim_ppp.c - the subscriber: LCP, PAP or CHAP-MD5, IPCP
 *
 * The option negotiation automaton of RFC 1661 section 4, once for LCP and
 * IPCP, event by event as in the table of 4.1; then what is particular to
 * each, the authentication (RFC 1334, RFC 1994), and LCP echo both ways.
 * A subscriber is the peer that gets authenticated: which protocol it agrees
 * to is the --auth option's choice, anything else is answered with a Nak.
 *
 * Owns:     struct cp and the PPP fields of struct session.
 * Calls:    frame_begin()/frame_end() below; session_is_up(), call_close().
 * Lifetime: ppp_start() with each ICCN; ppp_stop() before the call is gone.
 */
#include "lacsim.h"

#include <nettle/md5.h>
#include <string.h>

#define PPP_LCP		0xc021
#define PPP_PAP		0xc023
#define PPP_CHAP	0xc223
#define PPP_IPCP	0x8021

enum {				/* RFC 1661 section 5 */
	CONF_REQ = 1, CONF_ACK, CONF_NAK, CONF_REJ, TERM_REQ, TERM_ACK,
	CODE_REJ, PROTO_REJ, ECHO_REQ, ECHO_REP, DISCARD_REQ, IDENT, TIME_LEFT
};

enum { LCP_MRU = 1, LCP_ACCM = 2, LCP_AUTH = 3, LCP_MAGIC = 5, LCP_PFC = 7,
	LCP_ACFC = 8 };
enum { IPCP_ADDR = 3, IPCP_DNS1 = 129, IPCP_DNS2 = 131 };
enum { CHAP_CHALLENGE = 1, CHAP_RESPONSE, CHAP_SUCCESS, CHAP_FAILURE };
enum { PAP_REQ = 1, PAP_ACK, PAP_NAK };

/* Bits of cp.ask: what our Configure-Request holds. */
enum { ASK_MRU = 1, ASK_MAGIC = 2, ASK_PFC = 4, ASK_ACFC = 8 };
enum { ASK_ADDR = 1, ASK_DNS1 = 2, ASK_DNS2 = 4 };

#define MAX_CONFIGURE	10
#define MAX_TERMINATE	2
#define MAX_FAILURE	5
#define FRAME_MAX	1600

static struct session *
cp_session(const struct cp *c)
{
	return c->is_ipcp ? container_of(c, struct session, ipcp) :
	    container_of(c, struct session, lcp);
}

static uint16_t
cp_proto(const struct cp *c)
{
	return c->is_ipcp ? PPP_IPCP : PPP_LCP;
}

/* One packet of code, id and n octets of data. */
static void
cp_send(const struct cp *c, uint8_t code, uint8_t id, const uint8_t *data,
    size_t n)
{
	uint8_t *p = frame_begin(cp_session(c), cp_proto(c), n + 4);

	p[0] = code;
	p[1] = id;
	put16(p + 2, (uint16_t)(n + 4));
	if (n)
		memcpy(p + 4, data, n);
	frame_end(n + 4);
}

/* ---- options ---- */

static void
opt(struct out *o, uint8_t type, const void *v, size_t n)
{
	out_u8(o, type);
	out_u8(o, (uint8_t)(n + 2));
	out_bytes(o, v, n);
}

static void
opt16(struct out *o, uint8_t type, uint16_t v)
{
	uint8_t b[2];

	put16(b, v);
	opt(o, type, b, 2);
}

static void
opt32(struct out *o, uint8_t type, uint32_t v)
{
	uint8_t b[4];

	put32(b, v);
	opt(o, type, b, 4);
}

static void
lcp_options(const struct session *s, struct out *o)
{
	if (s->lcp.ask & ASK_MRU)
		opt16(o, LCP_MRU, s->mru);
	if (s->lcp.ask & ASK_MAGIC)
		opt32(o, LCP_MAGIC, s->magic);
	if (s->lcp.ask & ASK_PFC)
		opt(o, LCP_PFC, "", 0);
	if (s->lcp.ask & ASK_ACFC)
		opt(o, LCP_ACFC, "", 0);
}

static void
ipcp_options(const struct session *s, struct out *o)
{
	if (s->ipcp.ask & ASK_ADDR)
		opt32(o, IPCP_ADDR, s->ip);
	if (s->ipcp.ask & ASK_DNS1)
		opt32(o, IPCP_DNS1, s->dns[0]);
	if (s->ipcp.ask & ASK_DNS2)
		opt32(o, IPCP_DNS2, s->dns[1]);
}

/* What one option of the peer's request gets. */
enum verdict { V_ACK, V_NAK, V_REJ };

static enum auth_want
auth_policy(const struct session *s)
{
	if (L.o.auth == AUTH_MIX)
		return s->idx & 1 ? AUTH_PAP : AUTH_CHAP;
	return L.o.auth;
}

static enum verdict
lcp_review_auth(struct session *s, struct in v, struct out *nak)
{
	enum auth_want want = auth_policy(s);
	uint16_t proto = in_u16(&v);
	uint8_t algo = v.n ? in_u8(&v) : 0;
	static const uint8_t chap[3] = { 0xc2, 0x23, 5 };

	if (proto == PPP_PAP && want != AUTH_CHAP) {
		s->phase_auth = AUTH_PAP;
		return V_ACK;
	}
	if (proto == PPP_CHAP && algo == 5 && want != AUTH_PAP) {
		s->phase_auth = AUTH_CHAP;
		return V_ACK;
	}
	if (want == AUTH_PAP)
		opt16(nak, LCP_AUTH, PPP_PAP);
	else
		opt(nak, LCP_AUTH, chap, 3);
	return V_NAK;
}

static enum verdict
lcp_review(struct session *s, uint8_t type, struct in v, struct out *nak)
{
	uint32_t magic;
	uint16_t mru;

	switch (type) {
	case LCP_MRU:
		mru = in_u16(&v);
		if (v.bad || mru < 128) {
			opt16(nak, LCP_MRU, 1500);
			return V_NAK;
		}
		s->peer_mru = mru;
		return V_ACK;
	case LCP_ACCM:
		return v.n == 4 ? V_ACK : V_REJ;
	case LCP_AUTH:
		return lcp_review_auth(s, v, nak);
	case LCP_MAGIC:
		magic = in_u32(&v);
		if (!v.bad && magic && magic != s->magic)
			return V_ACK;
		opt32(nak, LCP_MAGIC, (uint32_t)rng_u64(&L.rng) | 1);
		return V_NAK;
	case LCP_PFC:
		s->tx_pfc = L.o.pfc;
		return V_ACK;
	case LCP_ACFC:
		s->tx_acfc = L.o.acfc;
		return V_ACK;
	default:
		return V_REJ;
	}
}

/* The LNS tells its address; it must have one, and we offer none. */
static enum verdict
ipcp_review(uint8_t type, struct in v)
{
	if (type == IPCP_ADDR && v.n == 4 && in_u32(&v) != 0)
		return V_ACK;
	return V_REJ;
}

/*
 * Reads the peer's request; the answer's code, its options to *o.  RFC 1661
 * 5.4: rejects go first and alone; 5.3: after Max-Failure Naks, Reject.
 */
static uint8_t
cp_review(struct cp *c, const uint8_t *p, size_t n, struct out *o)
{
	struct session *s = cp_session(c);
	struct in i = in_open(p, n);
	static uint8_t nakbuf[FRAME_MAX], rejbuf[FRAME_MAX];
	struct out nak = out_open(nakbuf, sizeof(nakbuf));
	struct out rej = out_open(rejbuf, sizeof(rejbuf));

	if (!c->is_ipcp) {
		s->phase_auth = AUTH_ANY;	/* = none asked so far */
		s->peer_mru = 1500;
		s->tx_acfc = s->tx_pfc = false;
	}
	while (i.n) {
		const uint8_t *at = i.p;
		uint8_t type = in_u8(&i), len = in_u8(&i);
		const uint8_t *v = in_take(&i, len >= 2 ? len - 2u : 65536);
		size_t nak_n = nak.n;
		enum verdict r;

		if (!v)
			return 0;	/* not even a list of options */
		r = c->is_ipcp ? ipcp_review(type, in_open(v, len - 2u)) :
		    lcp_review(s, type, in_open(v, len - 2u), &nak);
		if (r == V_NAK && c->naks >= MAX_FAILURE) {
			nak.n = nak_n;
			r = V_REJ;
		}
		if (r == V_REJ)
			out_bytes(&rej, at, len);
	}
	if (rej.n) {
		*o = rej;
		return CONF_REJ;
	}
	if (nak.n) {
		*o = nak;
		c->naks++;
		return CONF_NAK;
	}
	c->naks = 0;
	*o = out_open(nakbuf, sizeof(nakbuf));
	out_bytes(o, p, n);
	return CONF_ACK;
}

static void
lcp_nakked(struct session *s, uint8_t type, struct in v)
{
	uint32_t x;

	if (type == LCP_MRU) {
		x = in_u16(&v);
		if (!v.bad && x >= 128)
			s->mru = (uint16_t)x;
	} else if (type == LCP_MAGIC) {
		x = in_u32(&v);
		s->magic = !v.bad && x ? x : (uint32_t)rng_u64(&L.rng) | 1;
	}
}

static void
ipcp_nakked(struct session *s, uint8_t type, struct in v)
{
	uint32_t x = in_u32(&v);

	if (v.bad)
		return;
	if (type == IPCP_ADDR) {
		s->ip = x;
		s->ipcp.ask |= ASK_ADDR;
	} else if (type == IPCP_DNS1) {
		s->dns[0] = x;
	} else if (type == IPCP_DNS2) {
		s->dns[1] = x;
	}
}

static uint8_t
ask_bit(const struct cp *c, uint8_t type)
{
	if (c->is_ipcp)
		return type == IPCP_ADDR ? ASK_ADDR : type == IPCP_DNS1 ?
		    ASK_DNS1 : type == IPCP_DNS2 ? ASK_DNS2 : 0;
	return type == LCP_MRU ? ASK_MRU : type == LCP_MAGIC ? ASK_MAGIC :
	    type == LCP_PFC ? ASK_PFC : type == LCP_ACFC ? ASK_ACFC : 0;
}

/* Takes over what a Nak or Reject says; false when it is malformed. */
static bool
cp_learn(struct cp *c, uint8_t code, const uint8_t *p, size_t n)
{
	struct session *s = cp_session(c);
	struct in i = in_open(p, n);

	while (i.n) {
		uint8_t type = in_u8(&i), len = in_u8(&i);
		const uint8_t *v = in_take(&i, len >= 2 ? len - 2u : 65536);

		if (!v)
			return false;
		if (code == CONF_REJ)
			c->ask &= (uint8_t)~ask_bit(c, type);
		else if (c->is_ipcp)
			ipcp_nakked(s, type, in_open(v, len - 2u));
		else
			lcp_nakked(s, type, in_open(v, len - 2u));
	}
	return true;
}

/* ---- layers coming and going ---- */

static void auth_begin(struct session *s);
static void ipcp_begin(struct session *s);

static void
session_fail(struct session *s, enum reason why, uint16_t cdn_result)
{
	if (!s->why)
		s->why = (uint8_t)why;
	call_close(s, cdn_result, 0);
}

/* This-Layer-Up */
static void
cp_tlu(struct cp *c)
{
	struct session *s = cp_session(c);

	if (!c->is_ipcp) {
		auth_begin(s);
	} else if (!s->ip || !session_ip_set(s, s->ip)) {
		session_fail(s, R_NO_ADDRESS, 3);
	} else {
		s->state = S_UP;
		session_is_up(s);
	}
}

/* This-Layer-Down */
static void
cp_tld(struct cp *c)
{
	struct session *s = cp_session(c);

	if (s->state == S_UP)
		ip_session_down(s);
	if (c->is_ipcp) {
		s->state = S_NET;
		return;
	}
	timer_stop(&s->ipcp.timer);
	timer_stop(&s->auth_timer);
	timer_stop(&s->echo);
	s->ipcp.state = CP_INITIAL;
	s->auth_waiting = false;
	s->state = S_LCP;
}

/* This-Layer-Finished: nothing more can come of it. */
static void
cp_tlf(struct cp *c)
{
	struct session *s = cp_session(c);

	if (s->meant)
		session_fail(s, R_ENDED, 1);
	else
		session_fail(s, c->is_ipcp ? R_IPCP_TIMEOUT : R_LCP_TIMEOUT, 1);
}

/* ---- the automaton's actions ---- */

static void
cp_timer(struct cp *c)
{
	timer_set(&L.wheel, &c->timer,
	    L.now + (uint64_t)(L.o.restart * 1e9));
}

/* Send-Configure-Request */
static void
cp_scr(struct cp *c)
{
	uint8_t b[64];
	struct out o = out_open(b, sizeof(b));

	if (c->is_ipcp)
		ipcp_options(cp_session(c), &o);
	else
		lcp_options(cp_session(c), &o);
	c->counter--;
	cp_send(c, CONF_REQ, c->id, b, o.n);
	cp_timer(c);
}

/* Initialize-Restart-Count and a request with a new id */
static void
cp_scr_new(struct cp *c)
{
	c->counter = MAX_CONFIGURE;
	c->id++;
	cp_scr(c);
}

/* Send-Terminate-Request */
static void
cp_str(struct cp *c)
{
	c->counter--;
	cp_send(c, TERM_REQ, ++c->id, NULL, 0);
	cp_timer(c);
}

static void
cp_begin(struct cp *c, uint8_t ask)
{
	c->ask = ask;
	c->naks = 0;
	c->state = CP_REQ_SENT;
	cp_scr_new(c);
}

static void
cp_close(struct cp *c)
{
	if (c->state == CP_OPENED)
		cp_tld(c);
	c->counter = MAX_TERMINATE;
	c->state = CP_CLOSING;
	cp_str(c);
}

/* TO+ and TO- */
static void
cp_timeout(struct timer *t)
{
	struct cp *c = container_of(t, struct cp, timer);
	bool closing = c->state == CP_CLOSING || c->state == CP_STOPPING;

	if (!c->counter) {
		c->state = c->state == CP_CLOSING ? CP_CLOSED : CP_STOPPED;
		cp_tlf(c);
	} else if (closing) {
		cp_str(c);
	} else {
		if (c->state == CP_ACK_RCVD)
			c->state = CP_REQ_SENT;
		cp_scr(c);
	}
}

/* RCR+ and RCR- */
static void
recv_conf_req(struct cp *c, uint8_t id, const uint8_t *p, size_t n)
{
	struct out o = { 0 };
	uint8_t code;
	bool again = c->state == CP_OPENED;

	if (c->state == CP_CLOSING || c->state == CP_STOPPING)
		return;
	if (c->state == CP_CLOSED || c->state == CP_INITIAL) {
		cp_send(c, TERM_ACK, id, NULL, 0);
		return;
	}
	code = cp_review(c, p, n, &o);
	if (!code) {
		L.c.ppp_bad++;
		return;
	}
	if (again) {
		L.c.lcp_renegotiated += !c->is_ipcp;
		cp_tld(c);
	}
	if (again || c->state == CP_STOPPED)
		cp_scr_new(c);
	cp_send(c, code, id, o.p, o.n);
	if (code == CONF_ACK && c->state == CP_ACK_RCVD) {
		timer_stop(&c->timer);
		c->state = CP_OPENED;
		cp_tlu(c);
	} else if (c->state != CP_ACK_RCVD) {
		c->state = code == CONF_ACK ? CP_ACK_SENT : CP_REQ_SENT;
	}
}

/* RCA */
static void
recv_conf_ack(struct cp *c)
{
	switch (c->state) {
	case CP_REQ_SENT:
		c->counter = MAX_CONFIGURE;
		c->state = CP_ACK_RCVD;
		break;
	case CP_ACK_SENT:
		timer_stop(&c->timer);
		c->state = CP_OPENED;
		cp_tlu(c);
		break;
	case CP_OPENED:
		cp_tld(c);
		__attribute__((fallthrough));
	case CP_ACK_RCVD:
		c->state = CP_REQ_SENT;
		cp_scr_new(c);
		break;
	default:
		break;
	}
}

/* RCN */
static void
recv_conf_nak(struct cp *c, uint8_t code, const uint8_t *p, size_t n)
{
	if (c->state < CP_REQ_SENT)
		return;
	if (!cp_learn(c, code, p, n)) {
		L.c.ppp_bad++;
		return;
	}
	if (c->is_ipcp && !(c->ask & ASK_ADDR)) {
		session_fail(cp_session(c), R_NO_ADDRESS, 3);
		return;
	}
	if (c->state == CP_OPENED)
		cp_tld(c);
	if (c->state != CP_ACK_SENT)
		c->state = CP_REQ_SENT;
	/* A new request, but the count of tries goes on: Naks may not end. */
	if (!c->counter) {
		c->state = CP_STOPPED;
		timer_stop(&c->timer);
		cp_tlf(c);
		return;
	}
	c->id++;
	cp_scr(c);
}

/* RTR */
static void
recv_term_req(struct cp *c, uint8_t id)
{
	struct session *s = cp_session(c);

	cp_send(c, TERM_ACK, id, NULL, 0);
	if (c->state < CP_REQ_SENT)
		return;
	if (!c->is_ipcp && !s->why)
		s->why = R_LCP_TERM;
	if (c->state == CP_OPENED) {
		cp_tld(c);
		c->counter = 0;
		c->state = CP_STOPPING;
		/* The CDN of the LNS should be first; else it is ours. */
		cp_timer(c);
		if (!c->is_ipcp)
			s->state = S_TERM;
	} else {
		c->state = CP_REQ_SENT;
	}
}

/* RTA */
static void
recv_term_ack(struct cp *c)
{
	switch (c->state) {
	case CP_CLOSING:
	case CP_STOPPING:
		timer_stop(&c->timer);
		c->state = c->state == CP_CLOSING ? CP_CLOSED : CP_STOPPED;
		cp_tlf(c);
		break;
	case CP_ACK_RCVD:
		c->state = CP_REQ_SENT;
		break;
	case CP_OPENED:
		cp_tld(c);
		c->state = CP_REQ_SENT;
		cp_scr_new(c);
		break;
	default:
		break;
	}
}

/* ---- LCP's own codes ---- */

static void
lcp_echo_request(struct session *s, uint8_t id, const uint8_t *p, size_t n)
{
	uint8_t *q;

	if (s->lcp.state != CP_OPENED || n < 4)
		return;
	if (s->lcp.ask & ASK_MAGIC && get32(p) == s->magic) {
		session_fail(s, R_LOOPED, 1);
		return;
	}
	L.c.echo_peer++;
	if (n > s->peer_mru - 4u)
		n = s->peer_mru - 4u;
	q = frame_begin(s, PPP_LCP, n + 4);
	q[0] = ECHO_REP;
	q[1] = id;
	put16(q + 2, (uint16_t)(n + 4));
	memcpy(q + 4, p, n);
	put32(q + 4, s->lcp.ask & ASK_MAGIC ? s->magic : 0);
	frame_end(n + 4);
}

/* The rest of an echo is a fixed text, so that damage shows. */
static const uint8_t echo_text[8] = "lacsim-e";

static void
lcp_echo_reply(struct session *s, uint8_t id, const uint8_t *p, size_t n)
{
	if (s->lcp.state != CP_OPENED || !s->echo_waiting || id != s->echo_id)
		return;
	if (n < 12 || memcmp(p + 4, echo_text, 8) ||
	    (s->lcp.ask & ASK_MAGIC && get32(p) == s->magic)) {
		L.c.echo_bad++;
		return;
	}
	L.c.echo_rx++;
	s->echo_waiting = false;
	s->echo_missed = 0;
	hist_add(&L.echo, (L.now - s->echo_sent) / NS_US);
}

static void
echo_timeout(struct timer *t)
{
	struct session *s = container_of(t, struct session, echo);
	uint8_t b[12];

	if (s->state != S_UP)
		return;
	if (s->echo_waiting) {
		L.c.echo_lost++;
		if (++s->echo_missed >= L.o.echo_fail) {
			session_fail(s, R_ECHO, 1);
			return;
		}
	}
	put32(b, s->lcp.ask & ASK_MAGIC ? s->magic : 0);
	memcpy(b + 4, echo_text, 8);
	s->echo_waiting = true;
	s->echo_sent = now_ns();
	cp_send(&s->lcp, ECHO_REQ, ++s->echo_id, b, sizeof(b));
	L.c.echo_tx++;
	timer_set(&L.wheel, &s->echo, L.now + (uint64_t)(L.o.echo * 1e9));
}

static void
lcp_protocol_reject(struct session *s, const uint8_t *p, size_t n)
{
	uint16_t proto = n >= 2 ? get16(p) : 0;

	if (proto == PPP_IPCP)
		session_fail(s, R_PROTOCOL, 1);
	else if (proto == PPP_PAP || proto == PPP_CHAP)
		session_fail(s, R_AUTH_REFUSED, 1);
}

static void
lcp_code(struct session *s, uint8_t code, uint8_t id, const uint8_t *p,
    size_t n)
{
	switch (code) {
	case PROTO_REJ:
		lcp_protocol_reject(s, p, n);
		break;
	case ECHO_REQ:
		lcp_echo_request(s, id, p, n);
		break;
	case ECHO_REP:
		lcp_echo_reply(s, id, p, n);
		break;
	case DISCARD_REQ:
	case IDENT:
	case TIME_LEFT:
		break;
	default:
		p -= 4;		/* the whole packet is what is rejected */
		n += 4;
		if (n > s->peer_mru - 4u)
			n = s->peer_mru - 4u;
		cp_send(&s->lcp, CODE_REJ, ++s->echo_id, p, n);
		break;
	}
}

static void
cp_input(struct cp *c, const uint8_t *p, size_t n)
{
	struct session *s = cp_session(c);
	struct in i = in_open(p, n);
	uint8_t code = in_u8(&i), id = in_u8(&i);
	uint16_t len = in_u16(&i);

	if (i.bad || len < 4 || len > n) {
		L.c.ppp_bad++;
		return;
	}
	p += 4;
	n = len - 4u;
	switch (code) {
	case CONF_REQ:
		recv_conf_req(c, id, p, n);
		break;
	case CONF_ACK:
		if (id == c->id)
			recv_conf_ack(c);
		break;
	case CONF_NAK:
	case CONF_REJ:
		if (id == c->id)
			recv_conf_nak(c, code, p, n);
		break;
	case TERM_REQ:
		recv_term_req(c, id);
		break;
	case TERM_ACK:
		recv_term_ack(c);
		break;
	case CODE_REJ:
		/* All we send is mandatory: RXJ- */
		session_fail(s, R_PROTOCOL, 1);
		break;
	default:
		if (c->is_ipcp)
			cp_send(c, CODE_REJ, ++s->echo_id, p - 4, len);
		else
			lcp_code(s, code, id, p, n);
		break;
	}
}

/* ---- authentication ---- */

static size_t
my_name(const struct session *s, char *b, size_t size)
{
	return fmt_index(b, size, L.o.user, s->idx);
}

static size_t
my_password(const struct session *s, char *b, size_t size)
{
	return fmt_index(b, size, L.o.password, s->idx);
}

static void
pap_send(struct session *s)
{
	char name[256], pw[256];
	size_t nn = my_name(s, name, sizeof(name));
	size_t pn = my_password(s, pw, sizeof(pw)), n = 6 + nn + pn;
	struct out o = out_open(frame_begin(s, PPP_PAP, n), n);

	out_u8(&o, PAP_REQ);
	out_u8(&o, s->auth_id);
	out_u16(&o, (uint16_t)n);
	out_u8(&o, (uint8_t)nn);
	out_bytes(&o, name, nn);
	out_u8(&o, (uint8_t)pn);
	out_bytes(&o, pw, pn);
	frame_end(n);
}

static void
chap_send(struct session *s)
{
	char name[256];
	size_t nn = my_name(s, name, sizeof(name)), n = 5 + 16 + nn;
	struct out o = out_open(frame_begin(s, PPP_CHAP, n), n);

	out_u8(&o, CHAP_RESPONSE);
	out_u8(&o, s->auth_id);
	out_u16(&o, (uint16_t)n);
	out_u8(&o, 16);
	out_bytes(&o, s->chap_value, 16);
	out_bytes(&o, name, nn);
	frame_end(n);
}

static void
auth_again(struct session *s)
{
	timer_set(&L.wheel, &s->auth_timer,
	    L.now + (uint64_t)(L.o.restart * 1e9));
}

/*
 * PAP is asked again until answered (RFC 1334 2.2.1).  So is CHAP: a Success
 * may have been lost, and a repeated Response must get the same answer
 * (RFC 1994 4.2).  While no Challenge has come there is nothing to repeat.
 */
static void
auth_timeout(struct timer *t)
{
	struct session *s = container_of(t, struct session, auth_timer);

	if (++s->auth_tries > MAX_CONFIGURE) {
		session_fail(s, R_AUTH_TIMEOUT, 1);
		return;
	}
	if (s->phase_auth == AUTH_PAP) {
		pap_send(s);
	} else if (s->auth_waiting) {
		L.c.chap_resent++;
		chap_send(s);
	}
	auth_again(s);
}

static void
auth_begin(struct session *s)
{
	s->state = S_AUTH;
	s->auth_tries = 0;
	s->auth_waiting = s->challenged = false;
	if (s->phase_auth == AUTH_ANY) {
		ipcp_begin(s);
		return;
	}
	if (s->phase_auth == AUTH_PAP) {
		s->auth_id++;
		s->auth_waiting = true;
		pap_send(s);
	}
	auth_again(s);
}

static void
auth_done(struct session *s, bool good)
{
	if (!s->auth_waiting)
		return;		/* the repeated answer to a repeated request */
	s->auth_waiting = false;
	timer_stop(&s->auth_timer);
	if (!good) {
		/* The LNS should hang up (RFC 1994 4.2); so may we. */
		s->why = R_AUTH_REFUSED;
		cp_close(&s->lcp);
		s->state = S_TERM;
		return;
	}
	if (s->state == S_AUTH)
		ipcp_begin(s);
}

static void
pap_input(struct session *s, const uint8_t *p, size_t n)
{
	if (s->phase_auth != AUTH_PAP || n < 4 || p[1] != s->auth_id)
		return;
	if (p[0] == PAP_ACK || p[0] == PAP_NAK)
		auth_done(s, p[0] == PAP_ACK);
}

static void
chap_challenge(struct session *s, uint8_t id, struct in i)
{
	uint8_t size = in_u8(&i);
	const uint8_t *value = in_take(&i, size);
	char pw[256];
	size_t pn = my_password(s, pw, sizeof(pw));
	struct md5_ctx m;

	if (!value || !size) {
		L.c.ppp_bad++;
		return;
	}
	/* An older one, overtaken on a bad link: nobody waits for it. */
	if (s->challenged && (uint8_t)(s->auth_id - id - 1) < 16) {
		L.c.chap_late++;
		return;
	}
	if (s->state != S_AUTH)
		L.c.rechallenged++;
	s->challenged = true;
	s->auth_id = id;
	md5_init(&m);
	md5_update(&m, 1, &id);
	md5_update(&m, pn, (const uint8_t *)pw);
	md5_update(&m, size, value);
	md5_digest(&m, 16, s->chap_value);
	s->auth_waiting = true;
	s->auth_tries = 0;
	chap_send(s);
	auth_again(s);
}

static void
chap_input(struct session *s, const uint8_t *p, size_t n)
{
	struct in i = in_open(p, n);
	uint8_t code = in_u8(&i), id = in_u8(&i);
	uint16_t len = in_u16(&i);

	if (i.bad || len < 4 || len > n || s->phase_auth != AUTH_CHAP)
		return;
	i.n = len - 4u;
	if (code == CHAP_CHALLENGE)
		chap_challenge(s, id, i);
	else if ((code == CHAP_SUCCESS || code == CHAP_FAILURE) &&
	    id == s->auth_id)
		auth_done(s, code == CHAP_SUCCESS);
}

/* ---- the link ---- */

static void
ipcp_begin(struct session *s)
{
	s->state = S_NET;
	s->ip = s->dns[0] = s->dns[1] = 0;
	cp_begin(&s->ipcp, L.o.no_dns ? ASK_ADDR :
	    ASK_ADDR | ASK_DNS1 | ASK_DNS2);
}

void
ppp_init(struct session *s)
{
	s->ipcp.is_ipcp = 1;
	s->lcp.timer.fn = s->ipcp.timer.fn = cp_timeout;
	s->auth_timer.fn = auth_timeout;
	s->echo.fn = echo_timeout;
}

static uint8_t
lcp_ask(void)
{
	return (uint8_t)(ASK_MAGIC | (L.o.mru != 1500 ? ASK_MRU : 0) |
	    (L.o.pfc ? ASK_PFC : 0) | (L.o.acfc ? ASK_ACFC : 0));
}

void
ppp_start(struct session *s)
{
	s->state = S_LCP;
	s->magic = (uint32_t)rng_u64(&L.rng) | 1;
	s->mru = L.o.mru;
	s->peer_mru = 1500;
	s->phase_auth = AUTH_ANY;
	s->tx_acfc = s->tx_pfc = s->auth_waiting = s->echo_waiting = false;
	s->echo_missed = 0;
	s->ipcp.state = CP_INITIAL;
	s->lcp.id = (uint8_t)rng_u64(&L.rng);
	s->ipcp.id = (uint8_t)rng_u64(&L.rng);
	s->auth_id = (uint8_t)rng_u64(&L.rng);
	cp_begin(&s->lcp, lcp_ask());
}

void
ppp_stop(struct session *s)
{
	timer_stop(&s->lcp.timer);
	timer_stop(&s->ipcp.timer);
	timer_stop(&s->auth_timer);
	timer_stop(&s->echo);
	s->lcp.state = s->ipcp.state = CP_INITIAL;
}

void
ppp_terminate(struct session *s)
{
	timer_stop(&s->echo);
	timer_stop(&s->auth_timer);
	cp_close(&s->lcp);
	s->state = S_TERM;
}

void
ppp_renegotiate(struct session *s)
{
	if (s->lcp.state != CP_OPENED)
		return;
	cp_tld(&s->lcp);
	cp_begin(&s->lcp, lcp_ask());
}

/*
 * An echo with an id that our own echoes do not use, or one more request.  It
 * goes to the ids that the session has or had last: who is thrown out for it
 * goes on.
 */
bool
ppp_pester(struct session *s, bool echo)
{
	static uint16_t rsid;
	struct session ghost = *s;
	uint8_t b[64] = { 0 };
	struct out o = out_open(b, sizeof(b));

	if (s->rsid)
		rsid = s->rsid;
	if (!rsid || !s->t->rtid)
		return false;
	ghost.rsid = rsid;
	if (echo) {
		put32(b, s->magic);
		cp_send(&ghost.lcp, ECHO_REQ, (uint8_t)(s->echo_id + 128), b,
		    8);
	} else {
		lcp_options(&ghost, &o);
		cp_send(&ghost.lcp, CONF_REQ, (uint8_t)rng_u64(&L.rng), b,
		    o.n);
	}
	return true;
}

static void
protocol_reject(struct session *s, uint16_t proto, const uint8_t *p, size_t n)
{
	uint8_t *q;

	if (n > s->peer_mru - 6u)
		n = s->peer_mru - 6u;
	L.c.ppp_protocol_rejects++;
	q = frame_begin(s, PPP_LCP, n + 6);
	q[0] = PROTO_REJ;
	q[1] = ++s->echo_id;
	put16(q + 2, (uint16_t)(n + 6));
	put16(q + 4, proto);
	memcpy(q + 6, p, n);
	frame_end(n + 6);
}

void
ppp_input(struct session *s, const uint8_t *p, size_t n)
{
	struct in i = in_open(p, n);
	uint16_t proto;

	if (s->state < S_LCP || s->state > S_TERM)
		return;
	if (i.n >= 2 && i.p[0] == 0xff && i.p[1] == 0x03)
		in_take(&i, 2);
	proto = in_u8(&i);
	if (!(proto & 1))		/* RFC 1661 2: odd ends the field */
		proto = (uint16_t)(proto << 8 | in_u8(&i));
	if (i.bad) {
		L.c.ppp_bad++;
		return;
	}
	if (proto == PPP_LCP)
		cp_input(&s->lcp, i.p, i.n);
	else if (s->lcp.state != CP_OPENED)
		return;			/* RFC 1661 3.4 */
	else if (proto == PPP_PAP)
		pap_input(s, i.p, i.n);
	else if (proto == PPP_CHAP)
		chap_input(s, i.p, i.n);
	else if (s->state < S_NET)
		return;			/* RFC 1661 3.5 */
	else if (proto == PPP_IPCP)
		cp_input(&s->ipcp, i.p, i.n);
	else if (proto == PPP_IP && s->state == S_UP)
		ip_input(s, i.p, i.n);
	else if (proto != PPP_IP)
		protocol_reject(s, proto, i.p, i.n);
}
