/*
 * fuzz_seq.c - whole histories: the real machines, a fake clock, no sockets
 *
 * The input is read as a list of steps.  A step sends a control message or a
 * PPP frame, well formed or not, from one of two LACs, answers what the server
 * last asked, lets time pass, drops something as an operator would, or ends
 * the turn.  Tables are tiny, so that full ones are met all the time.  After
 * each step the books must balance: nothing is in a map that is not in its
 * table, no address has two owners.  In the end everything is let go and every
 * count must be zero again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "forward.h"
#include "fuzz.h"
#include "ippool.h"
#include "l2tp_avp.h"
#include "ppp_proto.h"
#include "secrets.h"
#include "session.h"
#include "table.h"
#include "tunnel.h"

#define SESSIONS	6
#define TUNNELS		3
#define POOL		4	/* fewer than sessions: the pool runs dry */
#define LACS		2

struct l2tpns lns;

/* What a LAC remembers of the server: enough to say the right thing. */
static struct lac {
	struct peer peer;
	uint16_t Ns, Nr;
	uint16_t tunnel;		/* the server's id, from its SCCRP */
	uint16_t session;		/* the server's id, from its last ICRP */
	uint8_t frame[PACKET_MAX];	/* the last PPP frame it was sent */
	size_t frame_len;
} lacs[LACS];

static const char text_secrets[] =
    "alice * secret *\n"
    "bob * secret 10.9.9.9\n"
    "carol * secret 10.0.0.2\n";
static char text_pool[] = "10.0.0.1\n10.0.0.2\n10.0.0.3\n10.0.0.4\n";

/* --- what the server sends ---------------------------------------------- */

static bool
from_server(const struct peer *p, const void *buf, size_t len)
{
	struct lac *l = &lacs[p->addr & 1];
	struct l2tp_header h;
	struct l2tp_msg m;
	uint8_t scratch[PACKET_MAX];

	check(l2tp_header_decode(buf, len, &h) == L2TP_OK);
	if (!h.control) {
		l->frame_len = rd_left(&h.body);
		rd_copy(&h.body, l->frame, l->frame_len);
		return true;
	}
	check(l2tp_msg_decode(h.body, "tunnelsecret", scratch,
	    sizeof(scratch), &m));
	if (m.type == 0)
		return true;
	l->Nr = (uint16_t)(h.Ns + 1);
	/* It must say whole messages only, whatever it was asked. */
	check(m.bad_result == 0 && l2tp_msg_missing(&m) < 0);
	if (m.type == L2TP_SCCRP)
		l->tunnel = m.assigned_tunnel;
	if (m.type == L2TP_ICRP)
		l->session = m.assigned_session;
	return true;
}

static void
to_internet(const uint8_t *ip, size_t len)
{
	struct rd r = rd_init(ip, len);

	check(len >= 20 && rd_u8(&r) >> 4 == 4);
}

/* --- what a LAC sends --------------------------------------------------- */

/* In memory of exactly its size, so that ASan sees every step too far. */
static void
deliver(struct lac *l, const uint8_t *buf, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	check(copy != NULL);
	memcpy(copy, buf, len);
	forward_from_lac(&l->peer, copy, len);
	/* Queued packets point into the buffer: they go before it does. */
	forward_flush();
	free(copy);
}

static void
put_usual_avps(struct wr *w, uint16_t type, uint8_t id)
{
	switch (type) {
	case L2TP_SCCRQ:
		l2tp_avp_u16(w, true, AVP_PROTOCOL_VERSION, 0x0100);
		l2tp_avp_u32(w, true, AVP_FRAMING_CAP, 3);
		l2tp_avp_bytes(w, true, AVP_HOST_NAME, "lac", 3);
		l2tp_avp_u16(w, true, AVP_ASSIGNED_TUNNEL, id);
		break;
	case L2TP_STOPCCN:
		l2tp_avp_u16(w, true, AVP_ASSIGNED_TUNNEL, id);
		l2tp_avp_result(w, 1, 0, NULL);
		break;
	case L2TP_ICRQ:
		l2tp_avp_u16(w, true, AVP_ASSIGNED_SESSION, id);
		l2tp_avp_u32(w, true, AVP_CALL_SERIAL, id);
		break;
	case L2TP_ICCN:
		l2tp_avp_u32(w, true, AVP_TX_SPEED, 1000000);
		l2tp_avp_u32(w, true, AVP_FRAMING_TYPE, 1);
		break;
	case L2TP_CDN:
		l2tp_avp_result(w, 1, 0, NULL);
		l2tp_avp_u16(w, true, AVP_ASSIGNED_SESSION, id);
		break;
	}
}

/* how: bit 0 wrong Ns, bit 1 no usual AVPs, bit 2 ids 0, bit 3 wrong peer. */
static void
send_control(struct lac *l, uint16_t type, uint8_t how, uint8_t id,
    const uint8_t *extra, size_t n)
{
	uint8_t buf[PACKET_MAX];
	struct wr w = wr_init(buf, sizeof(buf));
	struct lac *from = how & 8 ? &lacs[!(l - lacs)] : l;
	size_t len;

	if (type == L2TP_SCCRQ && (how & 1) == 0)
		l->Ns = l->Nr = l->tunnel = 0;
	l2tp_msg_begin(&w, how & 4 || type == L2TP_SCCRQ ? 0 : l->tunnel,
	    how & 4 || type == L2TP_ICRQ ? 0 : l->session, type);
	if ((how & 2) == 0)
		put_usual_avps(&w, type, id);
	wr_bytes(&w, extra, n);
	len = l2tp_msg_end(&w);
	if (len == 0)
		return;
	l2tp_msg_stamp(buf, how & 1 ? (uint16_t)(l->Ns + id - 4) : l->Ns,
	    l->Nr);
	if ((how & 1) == 0)
		l->Ns++;
	deliver(from, buf, len);
}

static void
send_frame(struct lac *l, uint16_t protocol, const uint8_t *info, size_t n)
{
	uint8_t buf[PACKET_MAX];
	struct wr w = wr_init(buf, sizeof(buf));

	wr_u16(&w, L2TP_VERSION_2);
	wr_u16(&w, l->tunnel);
	wr_u16(&w, l->session);
	wr_u16(&w, 0xff03);
	wr_u16(&w, protocol);
	wr_bytes(&w, info, n);
	if (wr_done(&w) > 0)
		deliver(l, buf, wr_done(&w));
}

/*
 * Answers the last frame with the same identifier and another code: 2 to a
 * Configure-Request is an Ack, as a decent peer would send.
 */
static void
answer_frame(struct lac *l, uint8_t code)
{
	if (l->frame_len < 8)
		return;
	l->frame[4] = code;
	send_frame(l, (uint16_t)(l->frame[2] << 8 | l->frame[3]),
	    l->frame + 4, l->frame_len - 4);
}

static void
send_pap(struct lac *l, const char *user, const char *password)
{
	uint8_t buf[64];
	struct wr w = wr_init(buf, sizeof(buf));
	size_t mark;

	wr_u8(&w, 1);
	wr_u8(&w, 7);
	mark = wr_hold_u16(&w);
	wr_u8(&w, (uint8_t)strlen(user));
	wr_bytes(&w, user, strlen(user));
	wr_u8(&w, (uint8_t)strlen(password));
	wr_bytes(&w, password, strlen(password));
	wr_len_u16(&w, mark, 0);
	send_frame(l, PPP_PAP, buf, wr_done(&w));
}

/* A whole bring-up, as far as the state of things lets it come. */
static void
bring_up(struct lac *l, uint8_t id, const char *user)
{
	static const uint8_t lcp[] = { 1, 1, 0, 4 };
	uint8_t ipcp[] = { 1, 1, 0, 10, 3, 6, 0, 0, 0, 0 };

	if (l->tunnel == 0) {
		send_control(l, L2TP_SCCRQ, 0, id | 1, NULL, 0);
		send_control(l, L2TP_SCCCN, 0, 0, NULL, 0);
	}
	send_control(l, L2TP_ICRQ, 0, id | 1, NULL, 0);
	send_control(l, L2TP_ICCN, 0, 0, NULL, 0);
	answer_frame(l, 2);
	send_frame(l, PPP_LCP, lcp, sizeof(lcp));
	send_pap(l, user, "secret");
	timer_fake(20);
	answer_frame(l, 2);
	send_frame(l, PPP_IPCP, ipcp, sizeof(ipcp));
	if (l->frame_len >= 14 && l->frame[4] == 3)
		memcpy(ipcp + 6, l->frame + 10, 4);
	send_frame(l, PPP_IPCP, ipcp, sizeof(ipcp));
}

/* --- the books ---------------------------------------------------------- */

static void
check_books(void)
{
	uint32_t sessions = 0, of_tunnels = 0, addresses = 0, pooled = 0;

	for (struct session *s = session_next(0); s != NULL;
	    s = session_next(s->sid)) {
		struct tunnel *t = tunnel_by_tid(s->tid);

		sessions++;
		if (s->dying)
			continue;
		check(t != NULL && tunnel_session(t, s->local_id) == s);
		check((s->flags & SF_OPEN) == 0 || s->ip != 0);
		if (s->ip == 0)
			continue;
		check(session_by_ip(s->ip) == s);
		addresses += 1u + s->nroutes;
		pooled += ippool_contains(s->ip);
		for (uint8_t i = 0; i < s->nroutes; i++)
			pooled += s->routes[i].len == 32 &&
			    ippool_contains(s->routes[i].addr);
	}
	for (struct tunnel *t = tunnel_next(0); t != NULL;
	    t = tunnel_next(t->tid)) {
		if (!tunnel_local(t)->dying)
			check(tunnel_by_local_id(t->local_id) == t);
		of_tunnels += t->sessions;
	}
	check(sessions == table_sessions() && of_tunnels <= sessions);
	check(lpm_count(lns.lpm) == addresses);
	check(ippool_used() == pooled);
}

static void
end_turn(void)
{
	session_reap();
	tunnel_reap();
}

/* Everything goes; nothing may be left. */
static void
let_go(void)
{
	tunnels_shutdown("the end");
	end_turn();
	timer_fake(600000);
	end_turn();
	check(table_sessions() == 0 && table_tunnels() == 0);
	check(lpm_count(lns.lpm) == 0 && ippool_used() == 0);
}

/* --- the steps ---------------------------------------------------------- */

static void
drop_something(uint8_t which)
{
	struct session *s = session_by_sid(which % (SESSIONS + 1));
	struct tunnel *t = tunnel_by_tid(which % (TUNNELS + 1));

	if (which & 0x80 && which & 0x40 && t != NULL)
		(void)tunnel_drop(t);
	else if (which & 0x80 && t != NULL)
		tunnel_shutdown(t, STOPCCN_CLEAR, 0, "operator", which & 1);
	else if (s != NULL)
		session_shutdown(s, CAUSE_ADMIN_RESET, CDN_ADMIN, 0,
		    "operator");
}

static void
step(struct rd *r)
{
	static const uint16_t protocols[] = {
		PPP_LCP, PPP_IPCP, PPP_PAP, PPP_CHAP, PPP_IP, 0x80fd, 0xc227,
		0x8057
	};
	static const char *const users[] = { "alice", "bob", "carol", "mallory" };
	uint8_t op = rd_u8(r), a = rd_u8(r), b = rd_u8(r);
	struct lac *l = &lacs[op >> 7];
	size_t n = b & 63;

	if (n > rd_left(r))
		n = rd_left(r);
	switch (op & 15) {
	case 0:
		deliver(l, r->p, n);
		rd_bytes(r, n);
		break;
	case 1: case 2: case 3:
		send_control(l, a & 15, op >> 4 & 7, b, NULL, 0);
		break;
	case 4:
		send_control(l, a & 15, op >> 4 & 7, b, r->p, n);
		rd_bytes(r, n);
		break;
	case 5: case 6:
		send_frame(l, protocols[a & 7], r->p, n);
		rd_bytes(r, n);
		break;
	case 7:
		answer_frame(l, a & 15);
		break;
	case 8: case 9:
		bring_up(l, a, users[b & 3]);
		break;
	case 10:
		timer_fake((uint64_t)a * a * 10);
		break;
	case 11:
		drop_something(a);
		break;
	case 12:
		lns.shutting_down = a & 1;
		break;
	case 13:
		lns.config.l2tp_require_secret = a & 1;
		lns.config.allow_duplicate_users = a & 2;
		break;
	case 14:
		l->session = (uint16_t)(a << 8 | b);
		break;
	default:
		end_turn();
	}
}

static void
once(void)
{
	if (!fuzz_first())
		return;
	timers_init();
	timer_fake(1000);
	config_defaults(&lns.config);
	strcpy(lns.config.l2tp_secret, "tunnelsecret");
	strcpy(lns.config.radius_authtypes, "pap,chap");
	lns.config.l2tp_sccrq_rate = 0;
	lns.config.max_tunnels = TUNNELS;
	strcpy(lns.hostname, "lns");
	lns.lpm = lpm_new();
	check(lns.lpm != NULL && table_init(SESSIONS, TUNNELS));
	session_init();
	tunnel_init();
	check(secrets_parse("secrets", text_secrets, sizeof(text_secrets) - 1,
	    no_fault, NULL) == 0);
	check(ippool_parse("pool", text_pool, sizeof(text_pool) - 1, 0,
	    no_fault, NULL) == 0);
	check(ippool_size() == POOL);
	forward_lac_write = from_server;
	forward_tun_write = to_internet;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);

	once();
	lns.shutting_down = false;
	lns.config.l2tp_require_secret = false;
	lns.config.allow_duplicate_users = false;
	for (int i = 0; i < LACS; i++) {
		memset(&lacs[i], 0, sizeof(lacs[i]));
		lacs[i].peer = (struct peer){
			.addr = 0xc0000200 + (uint32_t)i, .port = 1701
		};
	}
	for (int steps = 0; rd_left(&r) >= 3 && steps < 200; steps++) {
		step(&r);
		check_books();
	}
	let_go();
	return 0;
}
