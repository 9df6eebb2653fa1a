/*
 * fuzz_forward.c - any datagram from a LAC, any packet from the TUN
 *
 * The input is a row of packets: one octet that says from where (bit 0: the
 * TUN; bit 1: the other LAC; bit 2: the peer's MRU is small from now on; bit
 * 3: the IP header's checksum is mended, or hardly a mutation would get past
 * it; bit 4: from the TUN, the device's header and a super-packet; bit 5: all
 * sessions are throttled from now on; bit 6: time passes first; bit 7: and they
 * are intercepted), a 16-bit length, and so many octets, each packet in memory
 * of exactly its size.  An input of an odd length has a plugin, which does
 * what the last octet of a packet tells it.  Two tunnels and four sessions
 * await them.  What comes out on either side must be a sound packet of its
 * session, and the session's own figures must add up.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fake_plugins.h"
#include "forward.h"
#include "forward_io.h"
#include "fuzz.h"
#include "icmp.h"
#include "ipv4.h"
#include "l2tp_avp.h"
#include "log.h"
#include "snoop.h"
#include "table.h"
#include "throttle.h"
#include "tun.h"
#include "tunnel.h"

#define OURS	0x01010101u
#define SESSIONS	4
#define SLOW		64		/* kbit/s */
#define DISCARD		9		/* UDP port: RFC 863 */

struct l2tpns lns;

static struct tunnel *tunnels[2];
static struct session *sessions[SESSIONS];
static struct peer lacs[2] = {
	{ .addr = 0x0a630001, .port = 1701 },
	{ .addr = 0x0a630002, .port = 40000 },
};
static uint16_t mtu;
static uint64_t to_tun, to_lac;

/* Reads every octet, so that ASan sees them all. */
static void
touch(const uint8_t *p, size_t len)
{
	volatile uint8_t sum = 0;

	while (len-- > 0)
		sum = (uint8_t)(sum + *p++);
}

void
tunnel_input(const struct peer *peer, const struct l2tp_header *h,
    const uint8_t *buf, size_t len)
{
	check(peer != NULL && h->control);
	touch(buf, len);
	touch(h->body.p, rd_left(&h->body));
}

struct tunnel *
tunnel_by_local_id(uint16_t id)
{
	return id == 1 || id == 2 ? tunnels[id - 1] : NULL;
}

/* Ids 1 and 2 are in the first tunnel, 3 and 4 in the other. */
struct session *
tunnel_session(const struct tunnel *t, uint16_t id)
{
	if (id < 1 || id > SESSIONS || sessions[id - 1]->tid != t->tid)
		return NULL;
	return sessions[id - 1];
}

void
ppp_input(struct session *s, uint16_t protocol, const uint8_t *info,
    size_t len)
{
	check(s->state == S_ESTABLISHED && protocol != 0x0021);
	touch(info, len);
}

uint16_t
ppp_mtu(const struct session *s)
{
	check(s != NULL);
	return mtu;
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

uint32_t
tun_address(void)
{
	return OURS;
}

unsigned int
tun_default_index(void)
{
	return 0;
}

static void
take_tun(const uint8_t *ip, size_t len)
{
	struct ipv4 h;
	uint16_t src, dst;

	touch(ip, len);
	check(ipv4_decode(ip, len, &h) && h.len == len);
	check(h.src >> 8 == 0x0a0000 || h.src >> 16 == 0xac10);
	check(h.dst >> 24 != 127 && h.dst >> 29 != 7 && h.dst >> 24 != 0);
	if (h.dst == OURS && ipv4_ports(ip, &h, &src, &dst))
		check(h.protocol != IPV4_TCP || dst != 23);
	to_tun++;
}

static bool
take_lac(const struct peer *peer, const void *buf, size_t len)
{
	struct l2tp_header h;
	const uint8_t *p;
	struct ipv4 ip;

	touch(buf, len);
	check(l2tp_header_decode(buf, len, &h) == L2TP_OK && !h.control);
	check(peer->addr == lacs[h.tunnel_id - 11].addr);
	p = rd_bytes(&h.body, 1);
	while (p != NULL && *p != 0x21)
		p = rd_bytes(&h.body, 1);
	check(p != NULL && ipv4_decode(h.body.p, rd_left(&h.body), &ip));
	/* What waits while the MRU changes is as large as it was. */
	check(ip.len == rd_left(&h.body) && (ip.len <= mtu || ip.len <= 576 ||
	    throttle_sessions() != 0));
	to_lac++;
	return true;
}

static void
add_session(unsigned int i, uint16_t flags)
{
	struct session *s = table_session_new();

	check(s != NULL);
	s->tid = tunnels[i / 2]->tid;
	s->local_id = (uint16_t)(i + 1);
	s->peer_id = (uint16_t)(i + 101);
	s->state = S_ESTABLISHED;
	s->flags = flags;
	s->ip = 0x0a000001 + i;
	s->mss = 536;
	lpm_set(lns.lpm, s->ip, 32, s->sid);
	if ((flags & SF_ROUTED) != 0) {
		s->routes[s->nroutes++] = (struct prefix){ 0xac100000, 16 };
		lpm_set(lns.lpm, 0xac100000, 16, s->sid);
	}
	sessions[i] = s;
}

static void
build_tables(void)
{
	unsigned int i;

	timers_init();
	timer_fake(5000);
	counters_clear();
	log_set_level(-1);
	memset(&lns, 0, sizeof(lns));
	lns.config.packet_limit = 1000;
	lns.lpm = lpm_new();
	check(lns.lpm != NULL && table_init(8, 8));
	for (i = 0; i < 2; i++) {
		tunnels[i] = table_tunnel_new();
		check(tunnels[i] != NULL);
		tunnels[i]->local_id = (uint16_t)(i + 1);
		tunnels[i]->peer_id = (uint16_t)(i + 11);
		tunnels[i]->peer = lacs[i];
		tunnels[i]->state = T_ESTABLISHED;
	}
	add_session(0, SF_OPEN);
	add_session(1, 0);
	add_session(2, SF_OPEN | SF_ROUTED | SF_ACFC | SF_PFC);
	add_session(3, SF_OPEN | SF_SEND_SEQ | SF_RECV_SEQ);
	to_tun = to_lac = 0;
	mtu = 1462;
}

static void
mend(uint8_t *buf, size_t len, size_t ip)
{
	size_t hlen;

	if (len <= ip)
		return;
	hlen = (size_t)(buf[ip] & 15) * 4;
	if (hlen >= IPV4_HEADER && hlen <= len - ip)
		ipv4_set_checksum(buf + ip, hlen);
}

/* To be mended, the packet must come in the most common form. */
static void
from_lac(const struct peer *peer, const uint8_t *data, size_t len, bool fix)
{
	uint8_t *buf = malloc(len + (len == 0));

	check(buf != NULL);
	memcpy(buf, data, len);
	if (fix)
		mend(buf, len, 10);
	forward_from_lac(peer, buf, len);
	free(buf);
}

static void
from_tun(const uint8_t *data, size_t len, bool fix)
{
	uint8_t *buf = malloc(FORWARD_HEADROOM + len), out[200];
	size_t n;

	check(buf != NULL);
	memcpy(buf + FORWARD_HEADROOM, data, len);
	if (fix)
		mend(buf, FORWARD_HEADROOM + len, FORWARD_HEADROOM);
	n = icmp_build_unreachable(buf + FORWARD_HEADROOM, len, OURS, out,
	    sizeof(out));
	check(n == 0 || (n > 28 && ipv4_get32(out + 12) == OURS));
	forward_from_tun(buf + FORWARD_HEADROOM, len);
	free(buf);
}

static void
super_from_tun(const uint8_t *data, size_t len, bool fix)
{
	struct vnet v;
	uint8_t *buf;

	if (len < VNET_HDR)
		return;
	vnet_decode(data, &v);
	len -= VNET_HDR;
	buf = malloc(FORWARD_HEADROOM + len);
	check(buf != NULL);
	memcpy(buf + FORWARD_HEADROOM, data + VNET_HDR, len);
	if (fix)
		mend(buf, FORWARD_HEADROOM + len, FORWARD_HEADROOM);
	forward_super_from_tun(buf + FORWARD_HEADROOM, len, &v,
	    forward_find_tun(buf + FORWARD_HEADROOM, len));
	free(buf);
}

/* The bits that are left of the octet choose a place, or a number. */
static int
play(enum plugin_event event, struct param_packet_rx *data)
{
	struct session *s = session_by_sid(data->s);
	uint8_t *ip = (uint8_t *)data->buf, what = ip[data->len - 1];
	struct ipv4 h;

	check(s != NULL && s->tid == data->t && (s->flags & SF_OPEN) != 0);
	check(event == PE_packet_rx || event == PE_packet_tx);
	check(ipv4_decode(ip, (size_t)data->len, &h) && h.len == data->len);
	switch (what & 7) {
	case 0:
		data->len -= what >> 3;
		break;
	case 1:
		data->len += what >> 3;
		break;
	case 2:
		data->len = 0;
		break;
	case 3:
		ip[what >> 3 < data->len ? what >> 3 : 0] ^= what;
		break;
	case 4:
		data->buf = NULL;
		data->s = what;
		break;
	case 5:
		check(throttle_set(s, what >> 6, what >> 5 & 1));
		break;
	default:
		return what >> 3;
	}
	return PLUGIN_RET_OK;
}

static void
check_figures(void)
{
	uint64_t rx = 0, tx = 0;
	unsigned int i;

	for (i = 0; i < SESSIONS; i++) {
		rx += sessions[i]->rx_packets;
		tx += sessions[i]->tx_packets;
	}
	check(rx == to_tun && tx == to_lac);
}

/* Bits 5 to 7 of what comes before a packet. */
static void
slow_down(uint8_t how)
{
	static bool ready;
	char err[200];
	unsigned int i;

	if ((how & 0x40) != 0) {
		timer_fake(30);
		forward_flush();
	}
	if ((how & 0x80) != 0 && !ready)
		ready = snoop_init(err, sizeof(err));
	for (i = 0; i < SESSIONS; i++) {
		if ((how & 0x20) != 0)
			check(throttle_set(sessions[i], SLOW, SLOW));
		if ((how & 0x80) != 0)
			snoop_start(sessions[i], 0x7f000001, DISCARD, "test");
	}
}

static void
check_all_gone(void)
{
	unsigned int i;

	timer_fake(1000);
	forward_flush();
	check_figures();
	for (i = 0; i < SESSIONS; i++)
		throttle_stop(sessions[i]);
	check(throttle_sessions() == 0);
	snoop_flush();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	const uint8_t *p;
	uint8_t from;
	size_t n;

	forward_tun_write = take_tun;
	forward_lac_write = take_lac;
	build_tables();
	fake_plugins_load(len % 2 != 0 ? play : NULL, play);
	while (rd_left(&r) > 3) {
		from = rd_u8(&r);
		n = rd_u16(&r);
		if (n > rd_left(&r))
			n = rd_left(&r);
		p = rd_bytes(&r, n);
		if ((from & 4) != 0)
			mtu = 128;
		slow_down(from);
		if ((from & 17) == 17)
			super_from_tun(p, n, from & 8);
		else if ((from & 1) != 0)
			from_tun(p, n, from & 8);
		else
			from_lac(&lacs[from >> 1 & 1], p, n, from & 8);
		check_figures();
	}
	check_all_gone();
	table_free();
	lpm_free(lns.lpm);
	return 0;
}
