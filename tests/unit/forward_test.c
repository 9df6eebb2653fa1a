/*
 * forward_test.c - each rung of both ladders, then real sockets
 *
 * The tables and the codecs are real; the machines above and beside are
 * replaced by functions that note what they were given.  The last tests put
 * a socket pair in the TUN's place and talk over loopback in a network
 * namespace of their own.
 */
#define _GNU_SOURCE 1
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_plugins.h"
#include "forward.h"
#include "forward_io.h"
#include "icmp.h"
#include "ipv4.h"
#include "l2tp_avp.h"
#include "log.h"
#include "loop.h"
#include "table.h"
#include "throttle.h"
#include "tun.h"
#include "tunnel.h"

#define SUBSCRIBER	0x0a000002u	/* 10.0.0.2 */
#define OUTSIDE		0xc0000201u	/* 192.0.2.1 */
#define OURS		0x01010101u
#define ROUTED		0xac100000u	/* 172.16.0.0/24 */

struct l2tpns lns;

static struct tunnel *t, *t2;
static struct session *s, *s2;
static struct peer lac = { .addr = 0x0a630001, .port = 40000, .local = 9 };
static struct peer lac2 = { .addr = 0x0a630002, .port = 1701 };

/* --- what stands in for the machines ------------------------------------ */

static struct {
	int control, ppp, tun, sent, unreachable, too_big;
	uint16_t protocol, mtu;
	struct peer peer;
	uint8_t buf[PACKET_MAX];	/* of the last of them */
	size_t len;
} seen;
static uint16_t peer_mtu;

void
tunnel_input(const struct peer *peer, const struct l2tp_header *h,
    const uint8_t *buf, size_t len)
{
	assert_true(h->control);
	seen.control++;
	seen.peer = *peer;
	memcpy(seen.buf, buf, len);
	seen.len = len;
}

struct tunnel *
tunnel_by_local_id(uint16_t id)
{
	return id == t->local_id ? t : id == t2->local_id ? t2 : NULL;
}

struct session *
tunnel_session(const struct tunnel *in, uint16_t local_id)
{
	if (in == t && local_id == s->local_id)
		return s;
	return in == t2 && local_id == s2->local_id ? s2 : NULL;
}

void
ppp_input(struct session *to, uint16_t protocol, const uint8_t *info,
    size_t len)
{
	assert_ptr_equal(to, s);
	seen.ppp++;
	seen.protocol = protocol;
	memcpy(seen.buf, info, len);
	seen.len = len;
}

uint16_t
ppp_mtu(const struct session *to)
{
	(void)to;
	return peer_mtu;
}

void
icmp_unreachable(const uint8_t *ip, size_t len)
{
	assert_non_null(ip);
	seen.unreachable++;
	seen.len = len;
}

void
icmp_too_big(const uint8_t *ip, size_t len, uint16_t mtu)
{
	assert_non_null(ip);
	seen.too_big++;
	seen.len = len;
	seen.mtu = mtu;
}

bool
tun_has_vnet(void)
{
	return false;
}

bool
tun_has_uso(void)
{
	return false;
}

bool
tun_address_own(uint32_t addr)
{
	return addr == OURS;
}

static void
note_tun(const uint8_t *ip, size_t len)
{
	seen.tun++;
	memcpy(seen.buf, ip, len);
	seen.len = len;
}

static bool
note_lac(const struct peer *peer, const void *buf, size_t len)
{
	seen.sent++;
	seen.peer = *peer;
	assert_true(len <= sizeof(seen.buf));
	memcpy(seen.buf, buf, len);
	seen.len = len;
	return true;
}

static bool
refuse_lac(const struct peer *peer, const void *buf, size_t len)
{
	(void)peer;
	(void)buf;
	(void)len;
	return false;
}

/* --- the scene ---------------------------------------------------------- */

static struct session *
add_session(struct tunnel *in, uint16_t local_id, uint32_t ip)
{
	struct session *n = table_session_new();

	assert_non_null(n);
	n->tid = in->tid;
	n->local_id = local_id;
	n->peer_id = (uint16_t)(local_id + 1);
	n->state = S_ESTABLISHED;
	n->flags = SF_OPEN;
	n->ip = ip;
	n->mss = 1422;
	assert_true(lpm_set(lns.lpm, ip, 32, n->sid));
	return n;
}

static struct tunnel *
add_tunnel(uint16_t local_id, const struct peer *peer)
{
	struct tunnel *n = table_tunnel_new();

	assert_non_null(n);
	n->local_id = local_id;
	n->peer_id = (uint16_t)(local_id + 1);
	n->peer = *peer;
	n->state = T_ESTABLISHED;
	return n;
}

static void (*real_tun)(const uint8_t *, size_t);
static bool (*real_lac)(const struct peer *, const void *, size_t);

static int
setup(void **state)
{
	(void)state;
	timers_init();
	timer_fake(5000);
	counters_clear();
	memset(&seen, 0, sizeof(seen));
	memset(&lns, 0, sizeof(lns));
	lns.config.multi_read_count = 10;
	lns.config.socket_buffer = 1 << 20;
	lns.lpm = lpm_new();
	assert_non_null(lns.lpm);
	assert_true(table_init(8, 8));
	t = add_tunnel(100, &lac);
	t2 = add_tunnel(200, &lac2);
	s = add_session(t, 1000, SUBSCRIBER);
	s2 = add_session(t2, 2000, 0x0a000003);
	peer_mtu = 1462;
	log_set_level(-1);
	real_tun = forward_tun_write;
	real_lac = forward_lac_write;
	forward_tun_write = note_tun;
	forward_lac_write = note_lac;
	fake_plugins_load(NULL, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	forward_tun_write = real_tun;
	forward_lac_write = real_lac;
	table_free();
	lpm_free(lns.lpm);
	return 0;
}

/* An IP packet of n octets. */
static size_t
make_ip(uint8_t *p, uint32_t src, uint32_t dst, uint8_t protocol, size_t n)
{
	memset(p, 0, n);
	p[0] = 0x45;
	ipv4_put16(p + 2, (uint16_t)n);
	p[8] = 64;
	p[9] = protocol;
	ipv4_put32(p + 12, src);
	ipv4_put32(p + 16, dst);
	ipv4_set_checksum(p, 20);
	return n;
}

/* Sends these octets of PPP in a plain data message of the first session. */
static void
from_lac(const void *ppp, size_t n)
{
	uint8_t buf[PACKET_MAX];

	ipv4_put16(buf, 0x0002);
	ipv4_put16(buf + 2, t->local_id);
	ipv4_put16(buf + 4, s->local_id);
	memcpy(buf + 6, ppp, n);
	forward_from_lac(&lac, buf, n + 6);
}

/* The same for an IP packet. */
static void
ip_from_lac(uint32_t src, uint32_t dst, uint8_t protocol, uint16_t dport)
{
	uint8_t p[4 + 100] = { 0xff, 0x03, 0x00, 0x21 };

	make_ip(p + 4, src, dst, protocol, 60);
	ipv4_put16(p + 4 + 22, dport);
	from_lac(p, 4 + 60);
}

static void
ip_from_tun(uint32_t dst, size_t n)
{
	uint8_t p[FORWARD_HEADROOM + 2000];

	make_ip(p + FORWARD_HEADROOM, OUTSIDE, dst, 17, n);
	forward_from_tun(p + FORWARD_HEADROOM, n);
}

/* --- from the LAC ------------------------------------------------------- */

static void
test_control(void **state)
{
	uint8_t hello[] = { 0xc8, 0x02, 0, 20, 0, 100, 0, 0, 0, 1, 0, 1,
	    0x80, 8, 0, 0, 0, 0, 0, 6 };

	(void)state;
	forward_from_lac(&lac, hello, sizeof(hello));
	assert_int_equal(seen.control, 1);
	assert_int_equal(seen.len, sizeof(hello));
	assert_int_equal(seen.peer.addr, lac.addr);
	assert_int_equal(counters.tunnel_rx_packets, 1);
	assert_int_equal(counters.tunnel_rx_bytes, sizeof(hello));
}

/* Whatever it is, it leaves no trace but in the counters. */
static void
test_garbage(void **state)
{
	static const uint8_t rows[][16] = {
		{ 0x00, 0x01, 0, 100, 3, 232 },		/* L2F */
		{ 0x00, 0x03, 0, 100, 3, 232, 0, 0 },	/* version 3 */
		{ 0x80, 0x02, 0, 100, 3, 232, 0, 0 },	/* no L, no S */
		{ 0x40, 0x02, 0, 3, 0, 100, 3, 232 },	/* length < header */
		{ 0x40, 0x02, 1, 0, 0, 100, 3, 232 },	/* length > datagram */
		{ 0x02, 0x02, 0, 100, 3, 232, 0xff, 0xff },	/* offset */
		{ 0x08, 0x02, 0, 100, 3, 232, 0 },	/* cut in Ns */
	};
	uint8_t buf[16];
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(buf, rows[i], 16);
		forward_from_lac(&lac, buf, i == 6 ? 7 : 8);
		assert_int_equal(counters.tunnel_rx_errors, i + 1);
	}
	for (n = 0; n < 6; n++) {
		memset(buf, 0, sizeof(buf));
		buf[1] = 2;
		forward_from_lac(&lac, buf, n);
	}
	assert_int_equal(counters.tunnel_rx_errors, 7 + 6);
	assert_int_equal(seen.control + seen.ppp + seen.tun + seen.sent, 0);
}

/* RFC 2661 3.1: any of L, S, O and P, with or without padding behind. */
static void
test_header_forms(void **state)
{
	uint8_t buf[128], ip[40];
	int bits, i, count = 0;

	(void)state;
	make_ip(ip, SUBSCRIBER, OUTSIDE, 17, 40);
	for (bits = 0; bits < 16; bits++) {
		struct wr w = wr_init(buf, sizeof(buf));
		size_t mark = 0, len;

		wr_u16(&w, (uint16_t)(2 | (bits & 1 ? 0x4000 : 0) |
		    (bits & 2 ? 0x0800 : 0) | (bits & 4 ? 0x0200 : 0) |
		    (bits & 8 ? 0x0100 : 0)));
		if (bits & 1)
			mark = wr_hold_u16(&w);
		wr_u16(&w, 100);
		wr_u16(&w, 1000);
		if (bits & 2)
			wr_u32(&w, 0x00070009);
		if (bits & 4) {
			wr_u16(&w, 3);
			wr_bytes(&w, "pad", 3);
		}
		wr_u32(&w, 0xff030021);
		wr_bytes(&w, ip, 40);
		if (bits & 1)
			wr_len_u16(&w, mark, 0);
		len = wr_done(&w);
		for (i = 0; i < 2; i++) {	/* then with padding */
			forward_from_lac(&lac, buf, len + (size_t)i * 5);
			assert_int_equal(seen.tun, ++count);
			assert_int_equal(seen.len, 40);
		}
	}
	assert_int_equal(s->rx_packets, 32);
	assert_int_equal(s->rx_octets, 32 * 40);
	assert_int_equal(counters.tunnel_rx_errors, 0);
}

/* Tunnel, session and peer must all match. */
static void
test_unknown(void **state)
{
	struct peer other = lac;
	uint8_t buf[64] = { 0, 2, 0, 100, 3, 232, 0xc0, 0x21, 9, 1, 0, 8 };

	(void)state;
	forward_from_lac(&lac, buf, 12);
	assert_int_equal(seen.ppp, 1);
	other.addr++;
	forward_from_lac(&other, buf, 12);
	other = lac;
	other.port++;
	forward_from_lac(&other, buf, 12);
	assert_int_equal(counters.wrong_peer, 2);
	ipv4_put16(buf + 2, 101);
	forward_from_lac(&lac, buf, 12);
	assert_int_equal(counters.unknown_tunnel, 1);
	ipv4_put16(buf + 2, 200);	/* session of the first, id of the second */
	forward_from_lac(&lac2, buf, 12);
	ipv4_put16(buf + 2, 100);
	ipv4_put16(buf + 4, 2000);
	forward_from_lac(&lac, buf, 12);
	ipv4_put16(buf + 4, 0);
	forward_from_lac(&lac, buf, 12);
	assert_int_equal(counters.unknown_session, 3);
	s->state = S_WAIT_CONNECT;
	ipv4_put16(buf + 4, 1000);
	forward_from_lac(&lac, buf, 12);
	assert_int_equal(counters.unknown_session, 4);
	assert_int_equal(seen.ppp, 1);
}

/* --- on a slave --------------------------------------------------------- */

static struct {
	int lac, tun;
	struct peer peer;
	const struct session *session;
	uint8_t buf[PACKET_MAX];
	size_t len;
	bool refuse;
} away;

static void
note_lac_away(const struct peer *peer, const uint8_t *buf, size_t len)
{
	away.lac++;
	away.peer = *peer;
	away.len = len;
	memcpy(away.buf, buf, len);
}

static bool
note_tun_away(const struct session *to, const uint8_t *ip, size_t len)
{
	if (away.refuse)
		return false;
	away.tun++;
	away.session = to;
	away.len = len;
	memcpy(away.buf, ip, len);
	return true;
}

static int
setup_slave(void **state)
{
	setup(state);
	memset(&away, 0, sizeof(away));
	forward_lac_away = note_lac_away;
	forward_tun_away = note_tun_away;
	return 0;
}

static int
teardown_slave(void **state)
{
	forward_lac_away = NULL;
	forward_tun_away = NULL;
	return teardown(state);
}

/* Simply open sessions are a slave's own; all that is more goes whole. */
static void
test_slave_from_lac(void **state)
{
	static const uint16_t flags[] = { 0, SF_OPEN | SF_THROTTLE,
	    SF_OPEN | SF_GARDEN, SF_OPEN | SF_RECV_SEQ, SF_OPEN | SF_SEND_SEQ };
	static const uint8_t lcp[] = { 0xff, 3, 0xc0, 0x21, 9, 1, 0, 8, 0, 0,
	    0, 0 };
	uint8_t hello[] = { 0xc8, 0x02, 0, 20, 0, 100, 0, 0, 0, 1, 0, 1,
	    0x80, 8, 0, 0, 0, 0, 0, 6 };
	size_t i;

	(void)state;
	ip_from_lac(SUBSCRIBER, OUTSIDE, 17, 53);
	assert_int_equal(seen.tun, 1);
	assert_int_equal(away.lac, 0);
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		s->flags = flags[i];
		ip_from_lac(SUBSCRIBER, OUTSIDE, 17, 53);
		assert_int_equal(away.lac, i + 1);
		assert_int_equal(away.len, 6 + 4 + 60);
		assert_int_equal(away.peer.addr, lac.addr);
		assert_int_equal(away.peer.local, lac.local);
		assert_int_equal(ipv4_get16(away.buf + 2), t->local_id);
	}
	s->flags = SF_OPEN;
	away.lac = 0;
	from_lac(lcp, sizeof(lcp));
	forward_from_lac(&lac, hello, sizeof(hello));
	assert_int_equal(away.lac, 2);
	assert_memory_equal(away.buf, hello, sizeof(hello));
	s->state = S_WAIT_CONNECT;
	ip_from_lac(SUBSCRIBER, OUTSIDE, 17, 53);
	hello[1] = 0;			/* broken: nobody's business */
	forward_from_lac(&lac, hello, sizeof(hello));
	assert_int_equal(away.lac, 3);
	assert_int_equal(seen.tun, 1);
	assert_int_equal(seen.ppp + seen.control, 0);
	assert_int_equal(s->rx_packets, 1);
	assert_int_equal(counters.unknown_session + counters.drop_not_open, 0);
}

/* Tunnels that are not known here; another peer than the tunnel's is. */
static void
test_slave_unknown(void **state)
{
	struct peer other = lac;
	uint8_t buf[64] = { 0, 2, 0, 101, 3, 232, 0xc0, 0x21, 9, 1, 0, 8 };

	(void)state;
	forward_from_lac(&lac, buf, 12);
	ipv4_put16(buf + 2, 100);
	ipv4_put16(buf + 4, 7);
	forward_from_lac(&lac, buf, 12);
	assert_int_equal(away.lac, 2);
	other.port++;
	forward_from_lac(&other, buf, 12);
	assert_int_equal(away.lac, 2);
	assert_int_equal(counters.wrong_peer, 1);
}

static void
test_slave_from_tun(void **state)
{
	(void)state;
	ip_from_tun(SUBSCRIBER, 100);
	assert_int_equal(seen.sent, 1);
	s->flags |= SF_THROTTLE;
	ip_from_tun(SUBSCRIBER, 100);
	assert_int_equal(away.tun, 1);
	assert_ptr_equal(away.session, s);
	assert_int_equal(away.len, 100);
	s->flags = 0;
	ip_from_tun(SUBSCRIBER, 100);
	assert_int_equal(away.tun, 2);
	ip_from_tun(SUBSCRIBER + 77, 100);
	assert_int_equal(away.tun, 3);
	assert_null(away.session);
	away.refuse = true;		/* all are known: it is nobody's */
	ip_from_tun(SUBSCRIBER + 77, 100);
	assert_int_equal(seen.unreachable, 1);
	assert_int_equal(counters.drop_no_route, 1);
	assert_int_equal(seen.sent, 1);
	assert_int_equal(s->tx_packets, 1);
}

/* A master does all of that himself, and what slaves hand him. */
static void
test_master(void **state)
{
	uint8_t buf[128] = { 0, 2, 0, 100, 3, 232, 0xff, 3, 0, 0x21 };
	const size_t n = 10 + 60;

	(void)state;
	lns.master = true;
	s->flags |= SF_RECV_SEQ;
	ip_from_lac(SUBSCRIBER, OUTSIDE, 17, 53);
	ip_from_tun(SUBSCRIBER + 77, 100);
	assert_int_equal(seen.tun, 1);
	assert_int_equal(seen.unreachable, 1);
	make_ip(buf + 10, SUBSCRIBER, OUTSIDE, 17, 60);
	assert_true(forward_handed_lac(&lac, buf, n));
	assert_int_equal(seen.tun, 2);
	assert_int_equal(seen.len, 60);
	assert_false(forward_handed_lac(&lac, buf, PACKET_MAX + 1));
	make_ip(buf, OUTSIDE, SUBSCRIBER, 17, 100);
	assert_true(forward_handed_tun(buf, 100));
	assert_int_equal(seen.sent, 1);
	assert_int_equal(seen.peer.addr, lac.addr);
	assert_int_equal(away.lac + away.tun, 0);
}

/* What was found ahead is believed only while it is so. */
static void
test_found_ahead(void **state)
{
	uint8_t buf[64] = { 0, 2, 0, 100, 3, 232, 0xc0, 0x21, 9, 1, 0, 8 };
	uint8_t p[FORWARD_HEADROOM + 60];

	(void)state;
	assert_ptr_equal(forward_find_lac(buf, 12), s);
	forward_found_from_lac(&lac, buf, 12, s);
	forward_found_from_lac(&lac, buf, 12, s2);
	forward_found_from_lac(&lac, buf, 12, NULL);
	assert_int_equal(seen.ppp, 3);
	s->dying = true;
	s->state = S_IDLE;
	forward_found_from_lac(&lac, buf, 12, s);
	assert_int_equal(counters.unknown_session, 1);
	assert_int_equal(seen.ppp, 3);
	assert_null(forward_find_lac(buf, 7));
	ipv4_put16(buf, L2TP_F_TYPE | L2TP_VERSION_2);
	assert_null(forward_find_lac(buf, 12));

	make_ip(p + FORWARD_HEADROOM, OUTSIDE, s2->ip, 17, 60);
	assert_int_equal(forward_find_tun(p + FORWARD_HEADROOM, 60), s2->sid);
	assert_int_equal(forward_find_tun(p + FORWARD_HEADROOM, 19), 0);
	forward_found_from_tun(p + FORWARD_HEADROOM, 60, 0);
	forward_found_from_tun(p + FORWARD_HEADROOM, 60, UINT32_MAX);
	assert_int_equal(counters.drop_no_route, 2);
}

/* RFC 2661 5.4. */
static void
test_sequence(void **state)
{
	static const struct {
		uint16_t Ns;
		bool passes;
	} rows[] = {
		{ 0, true }, { 0, false }, { 1, true }, { 3, true },
		{ 2, false }, { 3, false }, { 4, true }, { 32771, true },
		{ 32771, false }, { 65535, true }, { 0, true },
		{ 65535, false }, { 1, true }
	};
	uint8_t buf[] = { 0x08, 2, 0, 100, 3, 232, 0, 0, 0xff, 0xff,
	    0xff, 3, 0xc0, 0x21, 1 };
	unsigned int i;
	int passed = 0, dropped = 0;

	(void)state;
	s->flags |= SF_RECV_SEQ;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ipv4_put16(buf + 6, rows[i].Ns);
		forward_from_lac(&lac, buf, sizeof(buf));
		passed += rows[i].passes;
		dropped += !rows[i].passes;
		assert_int_equal(seen.ppp, passed);
		assert_int_equal(counters.drop_sequence, dropped);
	}
	from_lac("\xc0\x21\x01", 3);	/* without: passes */
	assert_int_equal(seen.ppp, passed + 1);
	s->flags &= (uint16_t)~SF_RECV_SEQ;
	ipv4_put16(buf + 6, 0);
	forward_from_lac(&lac, buf, sizeof(buf));
	assert_int_equal(seen.ppp, passed + 2);
}

/* RFC 1661 6.5 and 6.6: frames of 0 to 3 octets. */
static void
test_ppp_forms(void **state)
{
	static const struct {
		const char *octets;
		size_t n;
		uint16_t protocol;
		size_t rest;
	} rows[] = {
		{ "\xff\x03\xc0\x21zz", 6, 0xc021, 2 },
		{ "\xc0\x21zz", 4, 0xc021, 2 },
		{ "\xff\x03\x80\x21z", 5, 0x8021, 1 },
		{ "\xff\x03\x57z", 4, 0x57, 1 },
		{ "\x57z", 2, 0x57, 1 },
		{ "\x57", 1, 0x57, 0 },
		{ "\xff\x03\x57", 3, 0x57, 0 },
		{ "\x00\x57", 2, 0x57, 0 },
		{ "\xc0\x23", 2, 0xc023, 0 },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		from_lac(rows[i].octets, rows[i].n);
		assert_int_equal(seen.ppp, i + 1);
		assert_int_equal(seen.protocol, rows[i].protocol);
		assert_int_equal(seen.len, rows[i].rest);
	}
	from_lac("", 0);
	from_lac("\xff\x03", 2);
	from_lac("\xff\x03\xc0", 3);
	from_lac("\x00", 1);
	assert_int_equal(counters.ppp_rx_malformed, 4);
	assert_int_equal(seen.ppp, i);
}

static void
test_upstream(void **state)
{
	static const uint8_t heads[3][4] = {
		{ 0xff, 3, 0, 0x21 }, { 0xff, 3, 0x21 }, { 0x21 } };
	static const size_t lens[3] = { 4, 3, 1 };
	uint8_t p[64];
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		memcpy(p, heads[i], 4);
		make_ip(p + lens[i], SUBSCRIBER, OUTSIDE, 17, 30);
		memset(p + lens[i] + 30, 0xee, 8);	/* padding */
		from_lac(p, lens[i] + 38);
		assert_int_equal(seen.tun, i + 1);
		assert_int_equal(seen.len, 30);
		assert_memory_equal(seen.buf, p + lens[i], 30);
	}
	assert_int_equal(s->rx_octets, 90);
	assert_int_equal(s->rx_packets, 3);
	assert_int_equal(s->last_data, timer_now() / 1000);
	/* The keepalive of ppp.c goes by this count, not by a time. */
	assert_int_equal(session_local(s)->ppp.last_heard, 0);
	s->flags = 0;
	from_lac(p, lens[2] + 38);
	assert_int_equal(counters.drop_not_open, 1);
	assert_int_equal(seen.tun, 3);
	assert_int_equal(seen.ppp, 0);
	assert_int_equal(s->rx_octets, 90);
}

/* Own address or own route, nothing else. */
static void
test_spoofed(void **state)
{
	static const uint32_t foreign[] = { 0x0a000003, 0x7f000001,
	    0xe0000001, OURS, 0, 0xffffffff, ROUTED + 5, ROUTED + 256,
	    ROUTED - 1, SUBSCRIBER + 1 };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		ip_from_lac(foreign[i], OUTSIDE, 17, 53);
		assert_int_equal(counters.drop_spoofed, i + 1);
	}
	s->routes[0] = (struct prefix){ 0xac200000, 16 };
	s->routes[1] = (struct prefix){ ROUTED, 24 };
	s->nroutes = 2;
	ip_from_lac(ROUTED + 5, OUTSIDE, 17, 53);
	assert_int_equal(seen.tun, 0);	/* not yet said in the flags */
	s->flags |= SF_ROUTED;
	ip_from_lac(ROUTED + 5, OUTSIDE, 17, 53);
	ip_from_lac(SUBSCRIBER, OUTSIDE, 17, 53);
	assert_int_equal(seen.tun, 2);
	ip_from_lac(ROUTED + 256, OUTSIDE, 17, 53);
	ip_from_lac(ROUTED - 1, OUTSIDE, 17, 53);
	assert_int_equal(seen.tun, 2);
	s->ip = 0;			/* no address is no address */
	ip_from_lac(0, OUTSIDE, 17, 53);
	assert_int_equal(seen.tun, 2);
	assert_int_equal(s->rx_packets, 2);
}

static void
test_destinations(void **state)
{
	static const uint32_t martians[] = { 0, 0x00ffffff, 0x7f000001,
	    0x7fffffff, 0xe0000001, 0xefffffff, 0xf0000001, 0xffffffff };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(martians) / sizeof(martians[0]); i++) {
		ip_from_lac(SUBSCRIBER, martians[i], 17, 53);
		assert_int_equal(counters.drop_martian, i + 1);
	}
	assert_int_equal(seen.tun, 0);
	ip_from_lac(SUBSCRIBER, 0xdfffffff, 17, 53);
	ip_from_lac(SUBSCRIBER, 0x80000000, 17, 53);
	assert_int_equal(seen.tun, 2);
}

/* Subscribers do not reach the services of the server itself. */
static void
test_own_ports(void **state)
{
	static const struct {
		uint8_t protocol;
		uint16_t port;
		bool passes;
	} rows[] = {
		{ 6, 23, false }, { 6, 179, false }, { 17, 1701, false },
		{ 17, 1702, false }, { 17, 32792, false }, { 6, 22, true },
		{ 17, 53, true }, { 17, 23, true }, { 6, 1701, true },
		{ 1, 23, true },
	};
	uint8_t p[32] = { 0x21 };
	unsigned int i;
	int passed = 0;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ip_from_lac(SUBSCRIBER, OURS, rows[i].protocol, rows[i].port);
		passed += rows[i].passes;
		assert_int_equal(seen.tun, passed);
		ip_from_lac(SUBSCRIBER, OUTSIDE, rows[i].protocol,
		    rows[i].port);
		assert_int_equal(seen.tun, ++passed);
	}
	assert_int_equal(counters.drop_own_port, 5);
	for (i = 20; i < 24; i++) {	/* ports cut off */
		make_ip(p + 1, SUBSCRIBER, OURS, 6, i);
		from_lac(p, 1 + i);
	}
	assert_int_equal(counters.drop_own_port, 9);
	assert_int_equal(seen.tun, passed);

	/* Wherever they are configured to be. */
	lns.config.cli_port = 2323;
	lns.config.nsctl_port = 2702;
	ip_from_lac(SUBSCRIBER, OURS, 6, 2323);
	ip_from_lac(SUBSCRIBER, OURS, 17, 2702);
	assert_int_equal(counters.drop_own_port, 11);
	ip_from_lac(SUBSCRIBER, OURS, 17, 2323);
	ip_from_lac(SUBSCRIBER, OURS, 6, 2702);
	assert_int_equal(seen.tun, passed + 2);
}

/* Broken IP headers of every kind. */
static void
test_malformed(void **state)
{
	uint8_t p[64] = { 0x21 };
	size_t n;

	(void)state;
	make_ip(p + 1, SUBSCRIBER, OUTSIDE, 17, 40);
	for (n = 0; n < 40; n++)
		from_lac(p, 1 + n);
	assert_int_equal(counters.drop_malformed, 40);
	p[1] = 0x44;
	from_lac(p, 41);
	p[1] = 0x65;
	from_lac(p, 41);
	p[1] = 0x45;
	p[5] ^= 1;
	from_lac(p, 41);
	assert_int_equal(counters.drop_malformed, 43);
	assert_int_equal(seen.tun, 0);
	assert_int_equal(s->rx_packets, 0);
}

static size_t
make_syn(uint8_t *p, uint32_t src, uint32_t dst)
{
	make_ip(p, src, dst, 6, 44);
	p[20 + 12] = 6 << 4;
	p[20 + 13] = 2;
	memcpy(p + 40, "\2\4\5\xb4", 4);
	return 44;
}

static void
test_mss(void **state)
{
	uint8_t p[FORWARD_HEADROOM + 64] = { 0x21 };

	(void)state;
	from_lac(p, 1 + make_syn(p + 1, SUBSCRIBER, OUTSIDE));
	assert_int_equal(ipv4_get16(seen.buf + 42), 1422);
	make_syn(p + FORWARD_HEADROOM, OUTSIDE, SUBSCRIBER);
	forward_from_tun(p + FORWARD_HEADROOM, 44);
	assert_int_equal(ipv4_get16(seen.buf + 10 + 42), 1422);
	assert_int_equal(counters.mss_clamped, 2);
	s->mss = 0;
	p[0] = 0x21;
	from_lac(p, 1 + make_syn(p + 1, SUBSCRIBER, OUTSIDE));
	assert_int_equal(ipv4_get16(seen.buf + 42), 1460);
	assert_int_equal(counters.mss_clamped, 2);
}

static void
test_packet_limit(void **state)
{
	int i;

	(void)state;
	lns.config.packet_limit = 5;
	for (i = 0; i < 8; i++)
		ip_from_lac(SUBSCRIBER, OUTSIDE, 17, 53);
	assert_int_equal(seen.tun, 5);
	for (i = 0; i < 4; i++)		/* both ways count */
		ip_from_tun(SUBSCRIBER, 100);
	assert_int_equal(seen.sent, 0);
	assert_int_equal(counters.drop_limited, 7);
	ip_from_tun(0x0a000003, 100);	/* others are not affected */
	assert_int_equal(seen.sent, 1);
	timer_fake(100);
	for (i = 0; i < 8; i++)
		ip_from_tun(SUBSCRIBER, 100);
	assert_int_equal(seen.sent, 6);
	assert_int_equal(s->rx_packets, 5);
	assert_int_equal(s->tx_packets, 5);
}

/* --- from the TUN ------------------------------------------------------- */

static void
test_downstream_forms(void **state)
{
	static const struct {
		uint16_t flags;
		const char *head;
		size_t n;
	} rows[] = {
		{ 0, "\0\2\0\x65\3\xe9\xff\3\0\x21", 10 },
		{ SF_ACFC, "\0\2\0\x65\3\xe9\0\x21", 8 },
		{ SF_PFC, "\0\2\0\x65\3\xe9\xff\3\x21", 9 },
		{ SF_ACFC | SF_PFC, "\0\2\0\x65\3\xe9\x21", 7 },
		{ SF_SEND_SEQ, "\x08\2\0\x65\3\xe9\0\0\0\0\xff\3\0\x21", 14 },
		{ SF_SEND_SEQ | SF_ACFC | SF_PFC,
		    "\x08\2\0\x65\3\xe9\0\1\0\0\x21", 11 },
	};
	uint8_t want[100];
	unsigned int i;

	(void)state;
	make_ip(want, OUTSIDE, SUBSCRIBER, 17, 100);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		s->flags = SF_OPEN | rows[i].flags;
		ip_from_tun(SUBSCRIBER, 100);
		assert_int_equal(seen.sent, i + 1);
		assert_int_equal(seen.len, rows[i].n + 100);
		assert_memory_equal(seen.buf, rows[i].head, rows[i].n);
		assert_memory_equal(seen.buf + rows[i].n, want, 100);
		assert_int_equal(seen.peer.addr, lac.addr);
		assert_int_equal(seen.peer.port, lac.port);
		assert_int_equal(seen.peer.local, lac.local);
	}
	assert_int_equal(s->data_Ns, 2);
	assert_int_equal(s->tx_octets, i * 100);
	assert_int_equal(s->tx_packets, i);
	assert_int_equal(s->last_data, timer_now() / 1000);
	assert_int_equal(counters.eth_rx_packets, i);
	assert_int_equal(counters.eth_rx_bytes, i * 100);
}

static void
test_downstream_drops(void **state)
{
	uint8_t p[FORWARD_HEADROOM + 60] = { 0 }, *ip = p + FORWARD_HEADROOM;

	(void)state;
	ip_from_tun(0x0a000009, 100);
	assert_int_equal(seen.unreachable, 1);
	assert_int_equal(counters.drop_no_route, 1);
	ip[0] = 0x60;			/* IPv6, as the kernel likes to try */
	forward_from_tun(ip, 60);
	assert_int_equal(counters.drop_no_route, 2);
	assert_int_equal(seen.unreachable, 1);
	s->flags = 0;
	ip_from_tun(SUBSCRIBER, 100);
	assert_int_equal(counters.drop_not_open, 1);
	s->flags = SF_OPEN;
	assert_true(lpm_set(lns.lpm, ROUTED, 24, s->sid));
	ip_from_tun(ROUTED + 77, 100);
	assert_int_equal(seen.sent, 1);
	forward_lac_write = refuse_lac;
	ip_from_tun(SUBSCRIBER, 100);
	assert_int_equal(counters.tunnel_tx_errors, 1);
	assert_int_equal(s->tx_packets, 1);
	assert_false(forward_send(&lac, p, 10));
	assert_int_equal(counters.tunnel_tx_errors, 2);
}

/* A subscriber whose MRU is below the device's MTU. */
static void
test_too_big(void **state)
{
	uint8_t p[FORWARD_HEADROOM + 1500], *ip = p + FORWARD_HEADROOM;

	(void)state;
	peer_mtu = 576;
	s->mss = 536;
	ip_from_tun(SUBSCRIBER, 576);
	assert_int_equal(seen.sent, 1);
	ip_from_tun(SUBSCRIBER, 577);	/* 556 and 21 + 20 */
	assert_int_equal(seen.sent, 3);
	assert_int_equal(s->tx_packets, 3);
	assert_int_equal(s->tx_octets, 576 + 577 + 20);
	make_ip(ip, OUTSIDE, SUBSCRIBER, 17, 1400);
	ip[6] = 0x40;
	ipv4_set_checksum(ip, 20);
	forward_from_tun(ip, 1400);
	assert_int_equal(seen.sent, 3);
	assert_int_equal(seen.too_big, 1);
	assert_int_equal(seen.mtu, 576);
	assert_int_equal(seen.len, 1400);
	assert_int_equal(counters.drop_too_big, 1);
	s->mss = 0;			/* without it the MRU is asked */
	ip_from_tun(SUBSCRIBER, 600);
	assert_int_equal(seen.sent, 5);
}

/*
 * What waits is no traffic until it goes: it is counted then, is wrapped as
 * the session wants it then, and goes nowhere if IPCP is not open any more.
 */
static void
test_throttled(void **state)
{
	(void)state;
	assert_true(throttle_set(s, 8, 8));	/* an octet a millisecond */
	for (int i = 0; i < 4; i++) {
		ip_from_tun(SUBSCRIBER, 500);
		ip_from_lac(SUBSCRIBER, OUTSIDE, IPV4_UDP, 53);
	}
	assert_int_equal(seen.sent, 1);
	assert_int_equal(seen.tun, 1);
	assert_int_equal(s->tx_packets, 1);
	assert_int_equal(s->tx_octets, 500);
	assert_int_equal(s->rx_packets, 1);
	timer_fake(510);
	forward_flush();
	assert_int_equal(seen.sent, 2);
	assert_int_equal(s->tx_octets, 1000);
	assert_int_equal(s->rx_packets, 4);
	s->flags |= SF_SEND_SEQ;
	timer_fake(510);
	assert_int_equal(seen.sent, 3);
	assert_int_equal(s->data_Ns, 1);
	s->flags &= (uint16_t)~SF_OPEN;
	timer_fake(510);
	assert_int_equal(seen.sent, 3);
	assert_int_equal(counters.drop_not_open, 1);
	assert_int_equal(s->tx_packets, 3);
	forward_flush();
	throttle_stop(s);
}

/* --- plugins -------------------------------------------------------------- */

/* What they were shown, and what they are to do. */
static struct {
	int rx, tx, later;		/* calls: of the first, of the next */
	struct param_packet_rx param;	/* the last one */
	uint8_t buf[PACKET_MAX];
	int ret, len;			/* to return; to set len to */
	bool spoil_param;
	void (*act)(void);
} plugin;

static int
play(enum plugin_event event, struct param_packet_rx *data)
{
	if (event == PE_packet_rx)
		plugin.rx++;
	else
		plugin.tx++;
	plugin.param = *data;
	memcpy(plugin.buf, data->buf, (size_t)data->len);
	if (plugin.act != NULL)
		plugin.act();
	if (plugin.len != INT_MIN)
		data->len = plugin.len;
	if (plugin.spoil_param) {
		data->buf = NULL;
		data->s = data->t = 77;
	}
	return plugin.ret;
}

/* The one behind: it must find what is true. */
static int
play_later(enum plugin_event event, struct param_packet_rx *data)
{
	struct ipv4 h;

	(void)event;
	plugin.later++;
	assert_int_equal(data->s, s->sid);
	assert_int_equal(data->t, t->tid);
	assert_true(ipv4_decode((uint8_t *)data->buf, (size_t)data->len, &h));
	assert_int_equal(h.len, data->len);
	return PLUGIN_RET_OK;
}

static void
load_plugins(void)
{
	memset(&plugin, 0, sizeof(plugin));
	plugin.ret = PLUGIN_RET_OK;
	plugin.len = INT_MIN;
	fake_plugins_load(play, play_later);
}

/* Each packet once each way, when nothing but the throttle may drop it. */
static void
test_hook_sees(void **state)
{
	(void)state;
	load_plugins();
	ip_from_lac(SUBSCRIBER, OUTSIDE, 17, 53);
	assert_int_equal(plugin.rx, 1);
	assert_int_equal(plugin.param.t, t->tid);
	assert_int_equal(plugin.param.s, s->sid);
	assert_int_equal(plugin.param.len, 60);
	assert_int_equal(seen.len, 60);
	assert_memory_equal(seen.buf, plugin.buf, 60);
	ip_from_tun(SUBSCRIBER, 100);
	assert_int_equal(plugin.tx, 1);
	assert_int_equal(plugin.param.s, s->sid);
	assert_int_equal(plugin.param.len, 100);
	assert_memory_equal(seen.buf + 10, plugin.buf, 100);
	assert_int_equal(plugin.later, 2);

	ip_from_lac(OUTSIDE, SUBSCRIBER, 17, 53);
	ip_from_lac(SUBSCRIBER, 0x7f000001, 17, 53);
	ip_from_lac(SUBSCRIBER, OURS, 6, 23);
	ip_from_tun(0x0a000009, 100);
	lns.config.packet_limit = 1;
	ip_from_tun(SUBSCRIBER, 100);
	ip_from_tun(SUBSCRIBER, 100);
	ip_from_lac(SUBSCRIBER, OUTSIDE, 17, 53);
	lns.config.packet_limit = 0;
	s->flags = 0;
	ip_from_tun(SUBSCRIBER, 100);
	s->flags = SF_OPEN;
	assert_int_equal(plugin.rx, 1);
	assert_int_equal(plugin.tx, 2);

	peer_mtu = 576;			/* three fragments */
	s->mss = 536;
	ip_from_tun(SUBSCRIBER, 1200);
	assert_int_equal(plugin.tx, 5);
	assert_int_equal(s->tx_packets, 5);

	fake_plugins_load(NULL, NULL);
	ip_from_lac(SUBSCRIBER, OUTSIDE, 17, 53);
	ip_from_tun(SUBSCRIBER, 100);
	assert_int_equal(plugin.rx + plugin.tx, 6);
	assert_int_equal(s->rx_packets + s->tx_packets, 8);
}

/* What the throttle keeps was seen when it came, and only then. */
static void
test_hook_throttled(void **state)
{
	(void)state;
	load_plugins();
	assert_true(throttle_set(s, 8, 8));
	for (int i = 0; i < 4; i++) {
		ip_from_tun(SUBSCRIBER, 500);
		ip_from_lac(SUBSCRIBER, OUTSIDE, IPV4_UDP, 53);
	}
	assert_int_equal(seen.sent + seen.tun, 2);
	assert_int_equal(plugin.tx, 4);
	assert_int_equal(plugin.rx, 4);
	for (int i = 0; i < 10; i++) {
		timer_fake(510);
		forward_flush();
	}
	assert_int_equal(seen.sent + seen.tun, 8);
	assert_int_equal(plugin.tx + plugin.rx, 8);
	throttle_stop(s);
}

static void
both_ways(void)
{
	ip_from_lac(SUBSCRIBER, OUTSIDE, 17, 53);
	ip_from_tun(SUBSCRIBER, 100);
}

/* By an error, by any number that is no answer, by a length of 0. */
static void
test_hook_drops(void **state)
{
	static const int errors[] = { PLUGIN_RET_ERROR, -1, 3, INT_MAX,
	    INT_MIN };
	unsigned int i;

	(void)state;
	load_plugins();
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		plugin.ret = errors[i];
		both_ways();
	}
	plugin.ret = PLUGIN_RET_OK;
	plugin.len = 0;
	both_ways();
	assert_int_equal(plugin.later, 0);
	assert_int_equal(seen.tun + seen.sent, 0);
	assert_int_equal(s->rx_packets + s->tx_packets, 0);
	assert_int_equal(counters.drop_plugin, 2 * i + 2);
	plugin.len = INT_MIN;
	plugin.ret = PLUGIN_RET_STOP;
	both_ways();
	assert_int_equal(seen.tun + seen.sent, 2);
	assert_int_equal(plugin.later, 0);
	assert_int_equal(counters.drop_plugin, 2 * i + 2);
}

/* Rubbish is not taken, and nobody behind sees it. */
static void
test_hook_rubbish(void **state)
{
	static const int lens[] = { -1, 101, 65535, 65536, INT_MAX,
	    INT_MIN + 1, -100 };
	unsigned int i, n = sizeof(lens) / sizeof(lens[0]);

	(void)state;
	load_plugins();
	plugin.spoil_param = true;
	for (i = 0; i < n; i++) {
		plugin.len = lens[i];
		both_ways();
		assert_int_equal(seen.len, 110);
	}
	assert_int_equal(counters.plugin_bad_length, 2 * n);
	assert_int_equal(plugin.later, 2 * n);
	assert_int_equal(s->rx_octets, n * 60);
	assert_int_equal(s->tx_octets, n * 100);
}

static void
set_length_by_hand(void)
{
	uint8_t *ip = (uint8_t *)plugin.param.buf;

	ipv4_put16(ip + 2, 50);
	ipv4_set_checksum(ip, 20);
}

/* The header follows len, whoever writes it. */
static void
test_hook_shortens(void **state)
{
	struct ipv4 h;

	(void)state;
	load_plugins();
	for (int i = 0; i < 3; i++) {
		if (i > 0)
			plugin.act = set_length_by_hand;
		if (i < 2)
			plugin.len = 50;
		ip_from_lac(SUBSCRIBER, OUTSIDE, 17, 53);
		assert_int_equal(seen.len, 50);
		assert_true(ipv4_decode(seen.buf, 50, &h));
		assert_int_equal(h.len, 50);
		/* Then by the header alone. */
		plugin.len = INT_MIN;
		fake_plugins_load(play, NULL);
	}
	plugin.act = NULL;
	plugin.len = 20;
	ip_from_tun(SUBSCRIBER, 100);
	assert_int_equal(seen.len, 10 + 20);
	assert_true(ipv4_decode(seen.buf + 10, 20, &h));
	assert_int_equal(s->rx_octets, 150);
	assert_int_equal(s->tx_octets, 20);
	for (plugin.len = 1; plugin.len < 20; plugin.len++)
		both_ways();
	assert_int_equal(counters.drop_plugin_header, 38);
	assert_int_equal(counters.drop_plugin, 0);
	assert_int_equal(counters.plugin_bad_length, 0);
	assert_int_equal(seen.tun + seen.sent, 4);
}

static uint8_t spoil_at;

static void
spoil_header(void)
{
	plugin.param.buf[spoil_at] ^= 0x11;
}

/* Not an octet of the header can be wrong without its being seen. */
static void
test_hook_spoils(void **state)
{
	(void)state;
	load_plugins();
	fake_plugins_load(play, NULL);
	plugin.act = spoil_header;
	for (spoil_at = 0; spoil_at < 20; spoil_at++)
		both_ways();
	assert_int_equal(counters.drop_plugin_header, 40);
	assert_int_equal(seen.tun + seen.sent, 0);
	both_ways();			/* and of the rest any */
	assert_int_equal(seen.tun + seen.sent, 2);
}

static void
end_session(void)
{
	throttle_stop(s);
	s->dying = true;
	s->flags = 0;
}

static void
throttle_it(void)
{
	assert_true(throttle_set(s, 8, 8));
}

static void
let_it_go(void)
{
	assert_true(throttle_set(s, 0, 0));
}

static void
unload(void)
{
	plugin_hooks = 0;
}

/* What it does to the session counts for this very packet. */
static void
test_hook_acts(void **state)
{
	(void)state;
	load_plugins();
	plugin.act = throttle_it;
	for (int i = 0; i < 3; i++)
		both_ways();
	assert_int_equal(seen.tun, 1);
	assert_int_equal(seen.sent, 1);
	plugin.act = let_it_go;		/* those that wait go before */
	both_ways();
	assert_int_equal(seen.tun, 4);
	assert_int_equal(seen.sent, 4);
	assert_int_equal(s->flags, SF_OPEN);
	forward_flush();

	assert_int_equal(plugin.later, 8);
	plugin.act = end_session;
	assert_true(throttle_set(s, 8, 8));
	ip_from_tun(SUBSCRIBER, 100);
	assert_int_equal(counters.drop_not_open, 1);
	assert_int_equal(plugin.later, 8);
	s->dying = false;
	s->flags = SF_OPEN;
	ip_from_lac(SUBSCRIBER, OUTSIDE, 17, 53);
	assert_int_equal(counters.drop_not_open, 2);
	assert_int_equal(seen.tun + seen.sent, 8);
	s->dying = false;
	s->flags = SF_OPEN;

	plugin.act = unload;
	ip_from_tun(SUBSCRIBER, 100);
	both_ways();
	assert_int_equal(seen.tun + seen.sent, 11);
	assert_int_equal(plugin.tx + plugin.rx, 11);
}

/* --- real sockets ------------------------------------------------------- */

static int tun_pair[2], peer_fd;
static bool have_namespace;
static struct sockaddr_in server = { .sin_family = AF_INET };

/* A namespace of our own, whose loopback carries the test. */
static int
make_namespace(void **state)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	(void)state;
	have_namespace = unshare(CLONE_NEWNET) == 0;
	if (!have_namespace)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_return_code(ioctl(fd, SIOCSIFFLAGS, &ifr), errno);
	close(fd);
	return 0;
}

static int
open_all(uint32_t bind_address)
{
	struct sockaddr_in me = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(me);
	char err[200];

	if (!have_namespace)
		skip();
	forward_tun_write = real_tun;
	forward_lac_write = real_lac;
	lns.config.bind_address = bind_address;
	assert_true(loop_init());
	assert_return_code(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0,
	    tun_pair), errno);
	if (!forward_init(tun_pair[0], err, sizeof(err)))
		fail_msg("%s", err);
	peer_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_return_code(bind(peer_fd, (struct sockaddr *)&me, len), errno);
	assert_return_code(getsockname(peer_fd, (struct sockaddr *)&me, &len),
	    errno);
	t->peer = (struct peer){ .addr = INADDR_LOOPBACK,
	    .port = ntohs(me.sin_port), .local = 0x7f000005 };
	server.sin_port = htons(1701);
	server.sin_addr.s_addr = htonl(0x7f000005);
	return 0;
}

static void
close_all(void)
{
	forward_exit();
	close(tun_pair[0]);
	close(tun_pair[1]);
	close(peer_fd);
}

/* Both ways through one turn; the answer comes from the address spoken to. */
static void
test_sockets(void **state)
{
	uint8_t buf[2048] = { 0, 2, 0, 100, 3, 232, 0xff, 3, 0, 0x21 };
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	int i, n;

	(void)state;
	open_all(0);
	make_ip(buf + 10, SUBSCRIBER, OUTSIDE, 17, 100);
	for (i = 0; i < 200; i++)
		assert_int_equal(sendto(peer_fd, buf, 110, 0,
		    (struct sockaddr *)&server, sizeof(server)), 110);
	/* a socket pair takes fewer packets than a TUN: empty it meanwhile */
	for (i = n = 0; i < 50; i++) {
		loop_turn(0);
		while (read(tun_pair[1], buf, sizeof(buf)) == 100)
			n++;
	}
	assert_int_equal((uint64_t)n + counters.eth_tx_errors, 200);
	assert_true(n > 0);
	assert_int_equal(s->rx_packets, n);	/* what failed is not counted */
	assert_int_equal(s->rx_octets, n * 100);
	make_ip(buf, OUTSIDE, SUBSCRIBER, 17, 100);
	for (i = n = 0; i < 150; i++) {
		assert_int_equal(write(tun_pair[1], buf, 100), 100);
		if (i % 5 == 4)
			loop_turn(0);
	}
	while (recvfrom(peer_fd, buf, sizeof(buf), 0,
	    (struct sockaddr *)&from, &len) == 110) {
		assert_int_equal(ntohl(from.sin_addr.s_addr), 0x7f000005);
		assert_int_equal(ntohs(from.sin_port), 1701);
		n++;
	}
	assert_int_equal(n, 150);
	assert_int_equal(s->tx_packets, 150);
	assert_int_equal(counters.tunnel_tx_packets, 150);
	assert_int_equal(counters.tunnel_tx_bytes, 150 * 110);
	close_all();
}

/* Control and data leave in the order in which they were made. */
static void
test_order(void **state)
{
	uint8_t buf[2048];
	int i;

	(void)state;
	open_all(0x7f000005);
	make_ip(buf, OUTSIDE, SUBSCRIBER, 17, 100);
	for (i = 0; i < 90; i++) {	/* more than one batch */
		memset(buf + 500, i, 20);
		assert_true(forward_send(&t->peer, buf + 500, 20));
		buf[FORWARD_HEADROOM + 600] = 0;
		make_ip(buf + 600, OUTSIDE, SUBSCRIBER, 17, 100);
		forward_from_tun(buf + 600, 100);
	}
	forward_flush();
	for (i = 0; i < 90; i++) {
		assert_int_equal(recv(peer_fd, buf, sizeof(buf), 0), 20);
		assert_int_equal(buf[19], i);
		assert_int_equal(recv(peer_fd, buf, sizeof(buf), 0), 110);
	}
	assert_int_equal(recv(peer_fd, buf, sizeof(buf), 0), -1);
	assert_false(forward_send(&t->peer, buf, PACKET_MAX + 1));
	close_all();
}

/*
 * A LAC that is gone, a LAC that cannot be reached at all.  Errors are
 * counted, nobody else loses anything, and a turn ends.
 */
static void
test_unreachable_lac(void **state)
{
	struct peer nowhere = { .addr = 0xc0000263, .port = 1701 };
	struct peer closed = { .addr = INADDR_LOOPBACK, .port = 9 };
	uint8_t buf[64] = { 0xc8, 2 };
	int i;

	(void)state;
	open_all(0);
	for (i = 0; i < 60; i++) {
		assert_true(forward_send(&nowhere, buf, 20));
		assert_true(forward_send(&closed, buf, 20));
		assert_true(forward_send(&t->peer, buf, 20));
	}
	forward_flush();
	for (i = 0; i < 10; i++)
		loop_turn(0);
	assert_int_equal(counters.tunnel_tx_errors, 60);
	for (i = 0; i < 60; i++)
		assert_int_equal(recv(peer_fd, buf, sizeof(buf), 0), 20);
	assert_int_equal(counters.tunnel_rx_packets, 0);
	close_all();
}

/* A flood does not keep the turn: multi_read_count batches, no more. */
static void
test_bounded(void **state)
{
	uint8_t buf[16] = { 0, 2, 0, 99, 0, 1, 0xc0, 0x21 };
	int i;

	(void)state;
	open_all(0);
	lns.config.multi_read_count = 2;
	for (i = 0; i < 300; i++)
		assert_int_equal(sendto(peer_fd, buf, 8, 0,
		    (struct sockaddr *)&server, sizeof(server)), 8);
	loop_turn(0);
	assert_int_equal(counters.unknown_tunnel, 128);
	loop_turn(0);
	assert_int_equal(counters.unknown_tunnel, 256);
	loop_turn(0);
	assert_int_equal(counters.unknown_tunnel, 300);
	close_all();
}

/* Larger than any buffer: dropped, not cut. */
static void
test_truncated(void **state)
{
	static uint8_t buf[4000] = { 0, 2, 0, 100, 3, 232, 0xc0, 0x21 };

	(void)state;
	open_all(0);
	assert_int_equal(sendto(peer_fd, buf, sizeof(buf), 0,
	    (struct sockaddr *)&server, sizeof(server)), sizeof(buf));
	loop_turn(0);
	assert_int_equal(counters.tunnel_rx_errors, 1);
	assert_int_equal(seen.ppp, 0);
	close_all();
}

/* Somebody else has the port: a reason, and nothing left open. */
static void
test_port_in_use(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_port = htons(1701),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char err[200] = "";
	int fd;

	(void)state;
	open_all(0x7f000005);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_return_code(bind(fd, (struct sockaddr *)&sin, sizeof(sin)),
	    errno);
	forward_exit();
	lns.config.bind_address = INADDR_LOOPBACK;
	assert_false(forward_init(-1, err, sizeof(err)));
	assert_non_null(strstr(err, "127.0.0.1 port 1701"));
	lns.config.bind_address = 0xcb007109;	/* 203.0.113.9 */
	assert_false(forward_init(-1, err, sizeof(err)));
	assert_non_null(strstr(err, "no interface has"));
	lns.config.bind_address = INADDR_LOOPBACK;
	close(fd);
	assert_true(forward_init(-1, err, sizeof(err)));
	close_all();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SLAVE(name) \
	cmocka_unit_test_setup_teardown(name, setup_slave, teardown_slave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_control), T(test_garbage), T(test_header_forms),
		T(test_unknown), T(test_found_ahead),
		SLAVE(test_slave_from_lac), SLAVE(test_slave_unknown),
		SLAVE(test_slave_from_tun), SLAVE(test_master),
		T(test_sequence), T(test_ppp_forms),
		T(test_upstream), T(test_spoofed), T(test_destinations),
		T(test_own_ports), T(test_malformed), T(test_mss),
		T(test_packet_limit), T(test_downstream_forms),
		T(test_downstream_drops), T(test_too_big), T(test_throttled),
		T(test_hook_sees), T(test_hook_throttled), T(test_hook_drops),
		T(test_hook_rubbish), T(test_hook_shortens),
		T(test_hook_spoils), T(test_hook_acts),
		T(test_sockets),
		T(test_order), T(test_unreachable_lac), T(test_bounded),
		T(test_truncated), T(test_port_in_use),
	};

	return cmocka_run_group_tests(tests, make_namespace, NULL);
}
