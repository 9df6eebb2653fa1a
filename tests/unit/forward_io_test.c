/*
 * forward_io_test.c - the queues at both ends of the data path
 *
 * Datagrams go over loopback, in a network namespace of its own, to many
 * LACs that are plain sockets: each must get its own, whole, once and in
 * order, whatever the queue made of them on the way.  A socket pair is the
 * TUN device, with the header in front that the real one has.  System calls
 * that fail are wrapped.
 */
#define _GNU_SOURCE 1
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fake_plugins.h"
#include "forward.h"
#include "forward_io.h"
#include "icmp.h"
#include "l2tp_avp.h"
#include "log.h"
#include "loop.h"
#include "offload_model.h"
#include "table.h"
#include "tun.h"
#include "tunnel.h"

#ifndef UDP_GRO
#define UDP_GRO		104
#endif

#define LACS		100
#define LAC_PORT	1702
#define ME		0x7f000005u
#define SUBSCRIBER	0x0a000001u	/* and those behind it */
#define OUTSIDE		0xc0000201u
#define MTU		1462

struct l2tpns lns;

static struct tunnel *tunnels[2];
static struct session *sessions[2];

/* --- what stands in for the machines ------------------------------------ */

static uint16_t peer_mtu;

void
tunnel_input(const struct peer *peer, const struct l2tp_header *h,
    const uint8_t *buf, size_t len)
{
	(void)peer;
	(void)h;
	(void)buf;
	(void)len;
}

struct tunnel *
tunnel_by_local_id(uint16_t id)
{
	return id == 1 || id == 2 ? tunnels[id - 1] : NULL;
}

struct session *
tunnel_session(const struct tunnel *in, uint16_t local_id)
{
	struct session *s = local_id == 1 || local_id == 2 ?
	    sessions[local_id - 1] : NULL;

	return s != NULL && s->tid == in->tid ? s : NULL;
}

void
ppp_input(struct session *to, uint16_t protocol, const uint8_t *info,
    size_t len)
{
	(void)to;
	(void)protocol;
	(void)info;
	(void)len;
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
	(void)ip;
	(void)len;
}

static int too_big;

void
icmp_too_big(const uint8_t *ip, size_t len, uint16_t mtu)
{
	(void)ip;
	(void)len;
	(void)mtu;
	too_big++;
}

bool
tun_has_vnet(void)
{
	return true;
}

bool
tun_has_uso(void)
{
	return true;
}

bool
tun_address_own(uint32_t addr)
{
	return addr == ME;
}

/* --- system calls that fail ---------------------------------------------- */

static struct {
	int calls;			/* of sendmmsg */
	int fail_at, error;		/* sendmmsg number fail_at on */
	bool no_segments;		/* EIO, as without checksum offload */
	int joined_error;		/* writev of a joined packet */
	int write_error;		/* any writev and write */
	int refused;
} wrapped;

int __real_sendmmsg(int, struct mmsghdr *, unsigned int, int);
int __wrap_sendmmsg(int, struct mmsghdr *, unsigned int, int);
ssize_t __real_writev(int, const struct iovec *, int);
ssize_t __wrap_writev(int, const struct iovec *, int);
ssize_t __real_write(int, const void *, size_t);
ssize_t __wrap_write(int, const void *, size_t);

static bool
is_segmented(const struct msghdr *m)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c != NULL;
	    c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)m, c))
		if (c->cmsg_level == IPPROTO_UDP)
			return true;
	return false;
}

int
__wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags)
{
	unsigned int i;

	wrapped.calls++;
	if (wrapped.fail_at != 0 && wrapped.calls >= wrapped.fail_at) {
		errno = wrapped.error;
		return -1;
	}
	for (i = 0; wrapped.no_segments && i < n; i++)
		if (is_segmented(&m[i].msg_hdr))
			break;
	if (wrapped.no_segments && i == 0) {
		wrapped.refused++;
		errno = EIO;
		return -1;
	}
	return __real_sendmmsg(fd, m, wrapped.no_segments ? i : n, flags);
}

ssize_t
__wrap_writev(int fd, const struct iovec *v, int n)
{
	if (wrapped.write_error != 0 || (n > 2 && wrapped.joined_error != 0)) {
		wrapped.refused++;
		errno = n > 2 && wrapped.joined_error != 0 ?
		    wrapped.joined_error : wrapped.write_error;
		return -1;
	}
	return __real_writev(fd, v, n);
}

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	if (wrapped.write_error != 0 && fd > STDERR_FILENO) {
		wrapped.refused++;
		errno = wrapped.write_error;
		return -1;
	}
	return __real_write(fd, p, n);
}

/* --- the scene ---------------------------------------------------------- */

static bool have_namespace;
static int lac_fd[LACS], tun_pair[2];
static struct peer lacs[LACS];
static uint32_t sent[LACS], came[LACS];

static void
set_loopback(unsigned long request, int value)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (request == SIOCSIFMTU)
		ifr.ifr_mtu = value;
	else
		ifr.ifr_flags = (short)value;
	assert_return_code(ioctl(fd, request, &ifr), errno);
	close(fd);
}

static int
enter_namespace(void **state)
{
	(void)state;
	have_namespace = unshare(CLONE_NEWNET) == 0;
	if (have_namespace)
		set_loopback(SIOCSIFFLAGS, IFF_UP);
	return 0;
}

static void
open_lac(unsigned int i)
{
	uint32_t addr = 0x7f000100 + i;
	struct sockaddr_in me = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(addr), .sin_port = htons(LAC_PORT) };
	int size = 64 << 20;

	lac_fd[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_return_code(setsockopt(lac_fd[i], SOL_SOCKET, SO_RCVBUFFORCE,
	    &size, sizeof(size)), errno);
	assert_return_code(bind(lac_fd[i], (struct sockaddr *)&me,
	    sizeof(me)), errno);
	lacs[i] = (struct peer){ .addr = addr, .port = LAC_PORT,
	    .local = ME };
}

static void
add_session(unsigned int i)
{
	struct session *s = table_session_new();
	struct tunnel *t = table_tunnel_new();

	t->local_id = (uint16_t)(i + 1);
	t->peer_id = (uint16_t)(i + 11);
	t->peer = lacs[i];
	t->state = T_ESTABLISHED;
	s->tid = t->tid;
	s->local_id = (uint16_t)(i + 1);
	s->peer_id = (uint16_t)(i + 21);
	s->state = S_ESTABLISHED;
	s->flags = SF_OPEN;
	s->ip = SUBSCRIBER + i;
	s->mss = MTU - 40;
	assert_true(lpm_set(lns.lpm, s->ip, 32, s->sid));
	tunnels[i] = t;
	sessions[i] = s;
}

static int
setup(void **state)
{
	char err[200];

	(void)state;
	if (!have_namespace)
		return 0;
	timers_init();
	timer_fake(5000);
	counters_clear();
	memset(&wrapped, 0, sizeof(wrapped));
	memset(sent, 0, sizeof(sent));
	memset(came, 0, sizeof(came));
	memset(&lns, 0, sizeof(lns));
	too_big = 0;
	fake_plugins_load(NULL, NULL);
	peer_mtu = MTU;
	lns.config.multi_read_count = 10;
	lns.config.socket_buffer = 4 << 20;
	lns.config.l2tp_mtu = 1500;
	lns.config.offload = true;
	lns.lpm = lpm_new();
	log_set_level(-1);
	assert_true(lns.lpm != NULL && table_init(8, 8) && loop_init());
	for (unsigned int i = 0; i < LACS; i++)
		open_lac(i);
	add_session(0);
	add_session(1);
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, tun_pair), errno);
	if (!forward_init(tun_pair[0], err, sizeof(err)))
		fail_msg("%s", err);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (!have_namespace)
		return 0;
	forward_exit();
	close(tun_pair[0]);
	close(tun_pair[1]);
	for (unsigned int i = 0; i < LACS; i++)
		close(lac_fd[i]);
	table_free();
	lpm_free(lns.lpm);
	return 0;
}

/* --- frames, and whether they came --------------------------------------- */

#define FRAME_MIN	8

static uint8_t
filling(unsigned int lac, uint32_t number, size_t at)
{
	return (uint8_t)(lac * 31 + number * 7 + at);
}

/* Queues one frame, in one part or two. */
static void
put(unsigned int lac, size_t len, size_t part1, uint32_t sid)
{
	uint8_t *p = lac_room(len);
	uint32_t number = sent[lac]++;

	for (size_t i = 0; i < len; i++)
		p[i] = filling(lac, number, i);
	model_put(p, number, 4);
	model_put(p + 4, (uint32_t)len, 4);
	lac_keep(len);
	lac_put(&lacs[lac], p, part1, p + part1, len - part1, sid, len);
}

static void
check_frame(unsigned int lac, const uint8_t *p, size_t len)
{
	assert_true(len >= FRAME_MIN);
	assert_int_equal(model_get(p, 4), came[lac]);
	assert_int_equal(model_get(p + 4, 4), len);
	for (size_t i = FRAME_MIN; i < len; i++)
		if (p[i] != filling(lac, came[lac], i))
			fail_msg("LAC %u frame %u octet %zu", lac, came[lac],
			    i);
	came[lac]++;
}

/* Everything that was queued is there, and nothing else. */
static void
check_all(void)
{
	static uint8_t buf[65536];
	uint64_t total = 0;

	for (unsigned int i = 0; i < LACS; i++) {
		ssize_t n;

		while ((n = recv(lac_fd[i], buf, sizeof(buf), 0)) >= 0)
			check_frame(i, buf, (size_t)n);
		assert_int_equal(came[i], sent[i]);
		total += came[i];
	}
	assert_int_equal(counters.tunnel_tx_packets, total);
	assert_int_equal(counters.tunnel_tx_errors, 0);
}

static uint32_t
below(uint32_t n)
{
	return (uint32_t)rand() % n;
}

static void
need_namespace(void)
{
	if (!have_namespace)
		skip();
}

static void
frames_of_all_sizes_to_a_few_and_to_many(void **state)
{
	(void)state;
	need_namespace();
	srand(7);
	for (int round = 0; round < 30; round++) {
		uint32_t many = round % 3 == 0 ? LACS : 5;

		for (int i = 0; i < 700; i++) {
			unsigned int lac = below(many);
			size_t len = below(3) == 0 ? FRAME_MIN +
			    below(1472 - FRAME_MIN) : 1000;

			for (uint32_t k = below(6) == 0 ? below(90) : 1;
			    k > 0; k--)
				put(lac, len, below(2) ? len : 1 + below(
				    (uint32_t)len), 0);
		}
		lac_flush();
		check_all();
	}
}

/* More than 64 of a size, more than 65,000 octets, the short and the long. */
static void
runs_at_their_limits(void **state)
{
	static const size_t sizes[] = { 8, 9, 64, 1000, 1015, 1016, 1017,
	    1023, 1024, 1471, 1472, 1473, 2000 };
	static const int counts[] = { 1, 2, 43, 44, 45, 63, 64, 65, 128, 129,
	    1023, 1024, 1025 };

	(void)state;
	need_namespace();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]);
		    k++) {
			for (int n = 0; n < counts[k]; n++)
				put(0, sizes[i], 8, 0);
			put(0, 8, 8, 0);	/* ends the run */
			put(0, 9, 9, 0);
			lac_flush();
			check_all();
		}
}

static void
sizes_that_rise_and_fall(void **state)
{
	(void)state;
	need_namespace();
	for (size_t n = FRAME_MIN; n < 1480; n++)
		put(3, n, n, 0);
	for (size_t n = 1480; n >= FRAME_MIN; n--)
		put(3, n, 1, 0);
	lac_flush();
	check_all();
}

/* Equal ones must leave together, or all this is for nothing. */
static void
equal_frames_leave_together(void **state)
{
	static uint8_t buf[65536];
	int on = 1;

	(void)state;
	need_namespace();
	assert_return_code(setsockopt(lac_fd[0], IPPROTO_UDP, UDP_GRO, &on,
	    sizeof(on)), errno);
	for (int i = 0; i < 40; i++)
		put(0, 1000, 8, 0);
	lac_flush();
	assert_int_equal(recv(lac_fd[0], buf, sizeof(buf), 0), 40000);
}

/* What lies in front of lac_hold() survives any number of flushes. */
static void
what_is_held_stays(void **state)
{
	uint8_t *held, copy[5000];

	(void)state;
	need_namespace();
	lac_reset();
	held = lac_room(sizeof(copy));
	for (size_t i = 0; i < sizeof(copy); i++)
		held[i] = copy[i] = (uint8_t)rand();
	lac_keep(sizeof(copy));
	lac_hold();
	for (int i = 0; i < 3000; i++)
		put(below(4), 1400, 1400, 0);
	assert_memory_equal(held, copy, sizeof(copy));
	lac_flush();
	check_all();
	lac_reset();
}

/* --- errors -------------------------------------------------------------- */

/* A way that is too narrow for segments; and wide again, later. */
static void
a_narrow_way_fragments_and_is_tried_again(void **state)
{
	static uint8_t buf[65536];
	int on = 1;

	(void)state;
	need_namespace();
	set_loopback(SIOCSIFMTU, 1200);
	for (int i = 0; i < 300; i++) {
		put(0, 1400, 8, 0);
		put(1, 900, 8, 0);
		put(0, i % 3 == 0 ? 1300 : 1400, 8, 0);
	}
	lac_flush();
	check_all();
	for (int i = 0; i < 100; i++)
		put(0, 1400, 8, 0);
	wrapped.calls = 0;
	lac_flush();
	/* What was refused once is not asked again and again. */
	assert_true(wrapped.calls <= 2);
	check_all();
	set_loopback(SIOCSIFMTU, 65536);
	timer_fake(timer_now() + 61000);
	assert_return_code(setsockopt(lac_fd[0], IPPROTO_UDP, UDP_GRO, &on,
	    sizeof(on)), errno);
	for (int i = 0; i < 40; i++)
		put(0, 1400, 8, 0);
	lac_flush();
	assert_int_equal(recv(lac_fd[0], buf, sizeof(buf), 0), 40 * 1400);
	assert_int_equal(counters.tunnel_tx_errors, 0);
}

/* Kernels before 6.11 want a device that completes checksums (EIO). */
static void
a_device_without_checksums_gets_datagrams(void **state)
{
	int refused = 0;

	(void)state;
	need_namespace();
	wrapped.no_segments = true;
	srand(8);
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 900; i++)
			put(below(8), 900 + below(3) * 100, 8, 0);
		lac_flush();
		check_all();
		if (round == 4)
			refused = wrapped.refused;
	}
	/* Sizes that were refused are not tried again. */
	assert_true(refused > 0);
	assert_int_equal(wrapped.refused, refused);
}

static void
nowhere_costs_nobody_else(void **state)
{
	(void)state;
	need_namespace();
	lacs[1].addr = 0xc0000263;	/* no route */
	sessions[0]->tx_packets = 250;
	sessions[0]->tx_octets = 250000;
	for (int i = 0; i < 200; i++)
		for (unsigned int k = 0; k < 3; k++)
			put(k, 1000, 8, k == 1 ? sessions[0]->sid : 0);
	lac_flush();
	assert_int_equal(counters.tunnel_tx_errors, 200);
	assert_int_equal(counters.tunnel_tx_packets, 400);
	/* What did not leave is taken off the bill. */
	assert_int_equal(sessions[0]->tx_packets, 50);
	assert_int_equal(sessions[0]->tx_octets, 50000);
	counters.tunnel_tx_errors = 0;
	sent[1] = 0;
	check_all();
}

/* A full socket, from the second call on: counted, and no turn gets long. */
static void
a_full_socket_loses_and_goes_on(void **state)
{
	static const int errors[] = { EAGAIN, ENOBUFS };
	uint32_t before;

	(void)state;
	need_namespace();
	for (int e = 0; e < 2; e++) {
		counters.tunnel_tx_errors = 0;
		wrapped.calls = 0;
		wrapped.fail_at = 2;
		wrapped.error = errors[e];
		put(0, 100, 8, 0);
		lac_flush();		/* the first call */
		before = sent[0];
		for (int i = 0; i < 1000; i++)
			put(0, 100 + (size_t)i % 2, 8, 0);
		lac_flush();
		assert_int_equal(wrapped.calls, 2);
		assert_int_equal(counters.tunnel_tx_errors, 1000);
		wrapped.fail_at = 0;
		counters.tunnel_tx_errors = 0;
		sent[0] = before;
		put(0, 200, 8, 0);
		lac_flush();
		check_all();
	}
}

/* --- the device, down ---------------------------------------------------- */

static struct model_packet big, want;

/* A packet for subscriber i; proto TCP or UDP, payload counts on. */
static void
make(struct model_packet *p, unsigned int i, bool tcp, size_t payload,
    uint32_t seq)
{
	size_t hlen = tcp ? 40 : 28;

	memset(p->b, 0, hlen);
	p->b[0] = 0x45;
	model_put(p->b + 4, seq, 2);
	p->b[8] = 64;
	p->b[9] = tcp ? 6 : 17;
	model_put(p->b + 12, OUTSIDE, 4);
	model_put(p->b + 16, SUBSCRIBER + i, 4);
	model_put(p->b + 20, 443, 2);
	model_put(p->b + 22, 1000, 2);
	if (tcp) {
		model_put(p->b + 24, seq, 4);
		p->b[32] = 0x50;
		p->b[33] = 0x18;
	}
	for (size_t k = 0; k < payload; k++)
		p->b[hlen + k] = (uint8_t)(seq + k * 3);
	p->len = hlen + payload;
	model_finish(p);
}

/* The kernel hands it down, as one packet or to be cut. */
static void
hand_down(const struct model_packet *p, uint16_t size)
{
	bool tcp = p->b[9] == 6;
	struct vnet v = { .flags = VNET_F_NEEDS_CSUM, .gso_size = size,
	    .gso_type = size == 0 ? VNET_GSO_NONE :
	    tcp ? VNET_GSO_TCPV4 : VNET_GSO_UDP_L4,
	    .csum_start = 20, .csum_offset = tcp ? 16 : 6 };
	uint8_t header[VNET_HDR];
	struct iovec iov[2] = { { header, VNET_HDR },
	    { (void *)(uintptr_t)p->b, p->len } };

	if (size == 0)
		v.flags = 0;
	vnet_encode(header, &v);
	assert_int_equal(__real_writev(tun_pair[1], iov, 2),
	    VNET_HDR + p->len);
}

/* LAC i gets the next frame, with this IP packet in it. */
static void
expect_ip(unsigned int i, const uint8_t *ip, size_t len)
{
	static uint8_t buf[65536];
	uint8_t head[] = { 0, 2, 0, (uint8_t)(i + 11), 0, (uint8_t)(i + 21),
	    0xff, 3, 0, 0x21 };

	assert_int_equal(recv(lac_fd[i], buf, sizeof(buf), 0),
	    sizeof(head) + len);
	assert_memory_equal(buf, head, sizeof(head));
	assert_memory_equal(buf + sizeof(head), ip, len);
}

static void
expect_no_more(void)
{
	uint8_t buf[1];

	for (unsigned int i = 0; i < LACS; i++)
		assert_int_equal(recv(lac_fd[i], buf, 1, 0), -1);
}

/* A script: what the kernel hands down, and what the LACs then must have. */
struct handed {
	bool tcp;
	size_t payload;
	uint16_t size;
};

static void
hand_down_row(const struct handed *h, size_t n, bool expect)
{
	for (size_t k = 0; k < n; k++) {
		unsigned int i = k & 1;

		make(&big, i, h[k].tcp, h[k].payload, (uint32_t)k * 77777);
		if (!expect) {
			hand_down(&big, h[k].size);
		} else if (h[k].size == 0) {
			expect_ip(i, big.b, big.len);
		} else {
			for (size_t s = 0; model_cut(big.b, big.len,
			    h[k].size, s, &want); s++)
				expect_ip(i, want.b, want.len);
		}
	}
}

static void
check_row(const struct handed *h, size_t n)
{
	hand_down_row(h, n, false);
	for (int turn = 0; turn < 5; turn++)
		loop_turn(0);
	hand_down_row(h, n, true);
	expect_no_more();
	assert_int_equal(counters.tunnel_tx_errors, 0);
	assert_int_equal(sessions[0]->tx_packets + sessions[1]->tx_packets,
	    counters.tunnel_tx_packets);
}

/* More than the arena holds, and headers by the thousand. */
static const struct handed heavy[] = {
	{ true, 65495, 1400 }, { true, 65495, 1422 },
	{ false, 65000, 1400 }, { true, 0, 0 },
	{ true, 65495, 100 }, { true, 20000, 8 },
	{ false, 1000, 0 }, { false, 65507, 500 },
	{ true, 65495, 1422 }, { true, 65495, 1422 },
	{ true, 65495, 1422 }, { true, 65495, 1 << 9 },
	{ true, 30000, 16 }, { true, 1422, 0 },
};
#define HEAVY	(sizeof(heavy) / sizeof(heavy[0]))

static void
super_packets_fill_the_arena(void **state)
{
	(void)state;
	need_namespace();
	/* A socket pair takes a few of them at a time. */
	check_row(heavy, 2);
	check_row(heavy + 2, 2);
	check_row(heavy + 4, 2);
	check_row(heavy + 6, 4);
	check_row(heavy + 10, 2);
	check_row(heavy + 12, 2);
}

/* Ways that lead off the short one: the same packets all the same. */
static void
the_long_way_gives_the_same(void **state)
{
	(void)state;
	need_namespace();
	for (int way = 0; way < 2; way++) {
		for (int i = 0; i < 2; i++)
			sessions[i]->flags = way == 0 ? SF_OPEN | SF_SNOOP :
			    SF_OPEN;
		lns.config.packet_limit = way == 1 ? 1000000 : 0;
		for (size_t k = 0; k + 2 <= HEAVY; k += 2)
			check_row(heavy + k, 2);
	}
}

/* Each packet that a plugin is shown: single, and complete. */
static struct {
	unsigned int rx, tx;
	size_t rx_octets, tx_octets;
} shown;

static int
look(enum plugin_event event, struct param_packet_rx *data)
{
	const uint8_t *ip = (const uint8_t *)data->buf;
	size_t len = (size_t)data->len;

	assert_true(len <= MTU);
	assert_int_equal(model_get(ip + 2, 2), len);
	assert_int_equal(model_sum(0, ip, 20), 0xffff);
	assert_int_equal(model_l4_checksum(ip, len),
	    model_get(ip + (ip[9] == 6 ? 36 : 26), 2));
	if (event == PE_packet_rx) {
		shown.rx++;
		shown.rx_octets += len;
	} else {
		shown.tx++;
		shown.tx_octets += len;
	}
	return PLUGIN_RET_OK;
}

static void
plugins_see_what_super_packets_are_made_of(void **state)
{
	(void)state;
	need_namespace();
	memset(&shown, 0, sizeof(shown));
	fake_plugins_load(look, NULL);
	for (size_t k = 0; k + 2 <= HEAVY; k += 2)
		check_row(heavy + k, 2);
	assert_true(shown.tx > 1000);
	assert_int_equal(shown.tx, counters.tunnel_tx_packets);
	assert_int_equal(shown.tx_octets, sessions[0]->tx_octets +
	    sessions[1]->tx_octets);
	assert_int_equal(shown.rx, 0);
}

/* A small MRU: segments are fragmented, or refused as they ask for it. */
static void
segments_too_long_for_the_peer(void **state)
{
	static uint8_t buf[65536];
	size_t payload = 0, frames = 0;
	ssize_t n;

	(void)state;
	need_namespace();
	sessions[0]->mss = 960;
	peer_mtu = 1000;
	make(&big, 0, false, 14000, 1);
	hand_down(&big, 1400);
	make(&want, 0, true, 100, 5);
	hand_down(&want, 0);
	loop_turn(0);
	while ((n = recv(lac_fd[0], buf, sizeof(buf), 0)) > 10 && buf[19] == 17) {
		assert_true(n <= 10 + 1000);
		payload += (size_t)n - 30;
		frames++;
	}
	/* Behind all of them, what came behind. */
	assert_int_equal(n, 10 + 140);
	assert_int_equal(frames, 20);
	assert_int_equal(payload, 10 * 1408);
	big.b[6] = 0x40;
	model_finish(&big);
	hand_down(&big, 1400);
	loop_turn(0);
	assert_int_equal(too_big, 10);
	expect_no_more();
}

/* What is not for anybody, and what makes no sense, is counted. */
static void
super_packets_for_nobody(void **state)
{
	(void)state;
	need_namespace();
	make(&big, 7, true, 10000, 1);
	hand_down(&big, 1400);
	loop_turn(0);
	assert_int_equal(counters.drop_no_route, 8);
	big.b[0] = 0x60;
	hand_down(&big, 1400);
	loop_turn(0);
	assert_int_equal(counters.eth_rx_errors, 1);
	sessions[0]->flags = 0;
	make(&big, 0, true, 10000, 1);
	hand_down(&big, 1400);
	loop_turn(0);
	assert_int_equal(counters.drop_not_open, 8);
	expect_no_more();
	assert_int_equal(sessions[0]->tx_packets, 0);
}

/* --- the device, up ------------------------------------------------------ */

/* A run of a flow of subscriber 0, as its LAC sends it. */
static void
send_up(unsigned int count, bool tcp)
{
	uint8_t head[] = { 0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21 };
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons(1701), .sin_addr.s_addr = htonl(ME) };

	for (unsigned int i = 0; i < count; i++) {
		uint8_t buf[1600];

		make(&want, 0, tcp, 500, 0);
		model_put(want.b + 12, SUBSCRIBER, 4);
		model_put(want.b + 16, OUTSIDE, 4);
		model_put(want.b + 4, i, 2);
		if (tcp) {
			model_put(want.b + 24, i * 500, 4);
			want.b[33] = 0x10;
		}
		model_finish(&want);
		memcpy(buf, head, sizeof(head));
		memcpy(buf + sizeof(head), want.b, want.len);
		assert_int_equal(sendto(lac_fd[0], buf, sizeof(head) +
		    want.len, 0, (struct sockaddr *)&to, sizeof(to)),
		    sizeof(head) + want.len);
	}
	loop_turn(0);
}

/* The packets of that run as the device got them; how many writes. */
static unsigned int
expect_up(unsigned int count, bool tcp)
{
	static uint8_t buf[VNET_HDR + 65536];
	unsigned int writes = 0, packets = 0;
	struct vnet v;
	ssize_t n;

	while ((n = read(tun_pair[1], buf, sizeof(buf))) > 0) {
		const uint8_t *ip = buf + VNET_HDR;
		size_t len = (size_t)n - VNET_HDR, size, k;

		vnet_decode(buf, &v);
		size = v.gso_type != VNET_GSO_NONE ? v.gso_size : len;
		assert_true(v.gso_type == VNET_GSO_NONE ||
		    v.gso_type == (tcp ? VNET_GSO_TCPV4 : VNET_GSO_UDP_L4));
		for (k = 0; model_cut(ip, len, size, k, &big); k++, packets++) {
			assert_int_equal(big.len, want.len);
			assert_int_equal(model_get(big.b + 4, 2), packets);
			if (tcp)
				assert_int_equal(model_get(big.b + 24, 4),
				    packets * 500);
			assert_int_equal(model_l4_checksum(big.b, big.len),
			    model_get(big.b + (tcp ? 36 : 26), 2));
		}
		if (v.gso_type == VNET_GSO_NONE)
			assert_memory_equal(big.b, ip, len);
		writes++;
	}
	assert_int_equal(packets, count);
	return writes;
}

static void
runs_are_joined(void **state)
{
	(void)state;
	need_namespace();
	for (int tcp = 0; tcp < 2; tcp++) {
		send_up(60, tcp);
		assert_int_equal(expect_up(60, tcp), 1);
	}
	assert_int_equal(counters.eth_tx_packets, 120);
	assert_int_equal(counters.eth_tx_bytes, 60 * (540 + 528));
	assert_int_equal(sessions[0]->rx_packets, 120);
}

/* They were seen before, one by one, and are joined all the same. */
static void
plugins_see_what_will_be_joined(void **state)
{
	(void)state;
	need_namespace();
	memset(&shown, 0, sizeof(shown));
	fake_plugins_load(look, NULL);
	for (int tcp = 0; tcp < 2; tcp++) {
		send_up(60, tcp);
		assert_int_equal(expect_up(60, tcp), 1);
	}
	assert_int_equal(shown.rx, 120);
	assert_int_equal(shown.rx_octets, 60 * (540 + 528));
	assert_int_equal(shown.tx, 0);
}

/* The kernel does not like what we joined: it gets it as it was. */
static void
a_refused_group_goes_as_it_came(void **state)
{
	(void)state;
	need_namespace();
	wrapped.joined_error = EINVAL;
	for (int tcp = 0; tcp < 2; tcp++) {
		wrapped.refused = 0;
		send_up(60, tcp);
		assert_int_equal(wrapped.refused, 1);
		assert_int_equal(expect_up(60, tcp), 60);
	}
	assert_int_equal(counters.eth_tx_packets, 120);
	assert_int_equal(counters.eth_tx_bytes, 60 * (540 + 528));
	assert_int_equal(counters.eth_tx_errors, 0);
	assert_int_equal(sessions[0]->rx_packets, 120);
}

static void
what_the_device_does_not_take_is_not_counted(void **state)
{
	static const int errors[][2] = { { EINVAL, EINVAL }, { EIO, EIO },
	    { EAGAIN, EAGAIN } };

	(void)state;
	need_namespace();
	for (int i = 0; i < 3; i++) {
		counters.eth_tx_errors = 0;
		wrapped.joined_error = errors[i][0];
		wrapped.write_error = errors[i][1];
		send_up(60, true);
		assert_int_equal(counters.eth_tx_errors, 60);
		assert_int_equal(sessions[0]->rx_packets, 0);
		assert_int_equal(sessions[0]->rx_octets, 0);
		wrapped.joined_error = wrapped.write_error = 0;
		assert_int_equal(expect_up(0, true), 0);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(frames_of_all_sizes_to_a_few_and_to_many),
		TEST(runs_at_their_limits),
		TEST(sizes_that_rise_and_fall),
		TEST(equal_frames_leave_together),
		TEST(what_is_held_stays),
		TEST(a_narrow_way_fragments_and_is_tried_again),
		TEST(a_device_without_checksums_gets_datagrams),
		TEST(nowhere_costs_nobody_else),
		TEST(a_full_socket_loses_and_goes_on),
		TEST(super_packets_fill_the_arena),
		TEST(the_long_way_gives_the_same),
		TEST(plugins_see_what_super_packets_are_made_of),
		TEST(segments_too_long_for_the_peer),
		TEST(super_packets_for_nobody),
		TEST(runs_are_joined),
		TEST(plugins_see_what_will_be_joined),
		TEST(a_refused_group_goes_as_it_came),
		TEST(what_the_device_does_not_take_is_not_counted),
	};

	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
