/*
 * icmp_test.c - what is answered, what never is, how often; and the ARP
 *
 * The tests with sockets have a network namespace of their own.
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
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "icmp.h"
#include "ipv4.h"
#include "log.h"
#include "tun.h"

#define US	0x01010101u
#define SENDER	0xc0000201u
#define TARGET	0x0a000009u

struct l2tpns lns;
static unsigned int default_index;
static bool have_namespace;

uint32_t
tun_address(void)
{
	return US;
}

unsigned int
tun_default_index(void)
{
	return default_index;
}

static int
fresh(void **state)
{
	(void)state;
	timers_init();
	timer_fake(5000);
	counters_clear();
	log_set_level(-1);
	memset(&lns, 0, sizeof(lns));
	return 0;
}

static void
make_ip(uint8_t *p, uint32_t src, uint32_t dst, uint8_t protocol, size_t n)
{
	size_t i;

	memset(p, 0, 20);
	p[0] = 0x45;
	ipv4_put16(p + 2, (uint16_t)n);
	p[8] = 64;
	p[9] = protocol;
	ipv4_put32(p + 12, src);
	ipv4_put32(p + 16, dst);
	for (i = 20; i < n; i++)
		p[i] = (uint8_t)i;
	ipv4_set_checksum(p, 20);
}

static void
test_build(void **state)
{
	uint8_t p[200], out[200];
	size_t n, len, quoted;
	struct ipv4 h;

	(void)state;
	for (len = 20; len <= 200; len++) {
		make_ip(p, SENDER, TARGET, 17, len);
		quoted = len < 84 ? len : 84;
		n = icmp_build_unreachable(p, len, US, out, sizeof(out));
		assert_int_equal(n, 28 + quoted);
		assert_true(ipv4_decode(out, n, &h));
		assert_int_equal(h.len, n);
		assert_int_equal(h.src, US);
		assert_int_equal(h.dst, SENDER);
		assert_int_equal(h.protocol, 1);
		assert_int_equal(out[20], 3);
		assert_int_equal(out[21], 1);
		assert_int_equal(ipv4_get32(out + 24), 0);
		assert_int_equal(ipv4_checksum(out + 20, n - 20), 0);
		assert_memory_equal(out + 28, p, quoted);
	}
	for (n = 0; n < 28 + 84; n++)
		assert_int_equal(icmp_build_unreachable(p, 200, US, out, n), 0);
	n = icmp_build_too_big(p, 200, US, 576, out, sizeof(out));
	assert_int_equal(n, 28 + 84);
	assert_int_equal(out[20], 3);
	assert_int_equal(out[21], 4);
	assert_int_equal(ipv4_get32(out + 24), 576);
	assert_int_equal(ipv4_checksum(out + 20, n - 20), 0);
}

/* RFC 1122 3.2.2, RFC 1812 4.3.2.7. */
static void
test_never(void **state)
{
	static const uint32_t no_host[] = { 0, 0x00000001, 0x7f000001,
	    0xe0000001, 0xf0000001, 0xffffffff };
	static const uint8_t queries[] = { 0, 8, 13, 14, 15, 16, 17, 18 };
	uint8_t p[64], out[200];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(no_host) / sizeof(no_host[0]); i++) {
		make_ip(p, no_host[i], TARGET, 17, 40);
		assert_int_equal(icmp_build_unreachable(p, 40, US, out, 200),
		    0);
		make_ip(p, SENDER, no_host[i], 17, 40);
		assert_int_equal(icmp_build_unreachable(p, 40, US, out, 200),
		    0);
	}
	make_ip(p, US, TARGET, 17, 40);	/* ourselves */
	assert_int_equal(icmp_build_unreachable(p, 40, US, out, 200), 0);
	for (i = 0; i < 256; i++) {
		make_ip(p, SENDER, TARGET, 1, 40);
		p[20] = (uint8_t)i;
		assert_int_equal(icmp_build_unreachable(p, 40, US, out, 200),
		    memchr(queries, (int)i, sizeof(queries)) != NULL ? 68 : 0);
	}
	make_ip(p, SENDER, TARGET, 1, 20);	/* no type at all */
	assert_int_equal(icmp_build_unreachable(p, 20, US, out, 200), 0);
	make_ip(p, SENDER, TARGET, 17, 40);	/* a later fragment */
	p[7] = 1;
	ipv4_set_checksum(p, 20);
	assert_int_equal(icmp_build_unreachable(p, 40, US, out, 200), 0);
	p[6] = 0x20;				/* the first */
	p[7] = 0;
	ipv4_set_checksum(p, 20);
	assert_int_equal(icmp_build_unreachable(p, 40, US, out, 200), 68);
	for (i = 0; i < 40; i++)		/* broken ones */
		assert_int_equal(icmp_build_unreachable(p, i, US, out, 200), 0);
}

/* --- with sockets ------------------------------------------------------- */

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

/* A source that is ours to receive at, and that is no loopback address. */
static void
give_address(const char *text)
{
	char cmd[200];

	snprintf(cmd, sizeof(cmd), "ip addr add %s 2>/dev/null", text);
	assert_int_not_equal(system(cmd), -1);
}

static int
listen_icmp(void)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP);
	int size = 1 << 22;

	assert_return_code(fd, errno);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static int
count_icmp(int fd, uint8_t code)
{
	uint8_t buf[300];
	int n = 0;

	while (recv(fd, buf, sizeof(buf), 0) > 0) {
		assert_int_equal(buf[20], 3);
		assert_int_equal(buf[21], code);
		n++;
	}
	return n;
}

/* At most icmp_rate a second whatever comes, and none at 0. */
static void
test_rate(void **state)
{
	uint8_t p[64];
	char err[200];
	int fd, i, second;

	(void)state;
	if (!have_namespace)
		skip();
	give_address("192.0.2.1/32 dev lo");
	give_address("1.1.1.1/32 dev lo");
	assert_true(icmp_init(err, sizeof(err)));
	fd = listen_icmp();
	make_ip(p, SENDER, TARGET, 17, 40);
	for (i = 0; i < 1000; i++)
		icmp_unreachable(p, 40);
	assert_int_equal(count_icmp(fd, 1), 0);
	lns.config.icmp_rate = 50;
	for (i = 0; i < 1000; i++)
		icmp_unreachable(p, 40);
	assert_int_equal(count_icmp(fd, 1), 50);
	for (second = 0; second < 3; second++) {
		for (i = 0; i < 1000; i++) {
			timer_fake(1);
			icmp_unreachable(p, 40);
		}
		assert_int_equal(count_icmp(fd, 1), 50);
	}
	timer_fake(100000);		/* a long silence saves up nothing */
	for (i = 0; i < 1000; i++)
		icmp_unreachable(p, 40);
	assert_int_equal(count_icmp(fd, 1), 50);
	assert_int_equal(counters.icmp_sent, 250);
	lns.config.icmp_rate = 0;	/* path MTU does not depend on it */
	for (i = 0; i < 1000; i++)
		icmp_too_big(p, 40, 576);
	assert_int_equal(count_icmp(fd, 4), 100);
	close(fd);
	icmp_exit();
	icmp_too_big(p, 40, 576);
	icmp_unreachable(p, 40);
	assert_int_equal(counters.icmp_sent, 350);
}

static int
listen_arp(const char *name)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ARP),
	    .sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ARP));

	assert_return_code(fd, errno);
	assert_return_code(bind(fd, (struct sockaddr *)&sll, sizeof(sll)),
	    errno);
	return fd;
}

/* A broadcast whose sender and target are the address; on the right link. */
static void
test_garp(void **state)
{
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 7 };
	uint8_t buf[64];
	char err[200] = "";
	int one, two;

	(void)state;
	if (!have_namespace)
		skip();
	assert_false(garp_send(0x0a010105, 0, err, sizeof(err)));
	assert_string_not_equal(err, "");
	assert_int_equal(system(
	    "ip link add a0 address 02:00:00:00:00:07 type veth peer name b0 &&"
	    "ip link add a1 type veth peer name b1 && "
	    "ip addr add 10.1.1.1/24 dev a0 && ip addr add 10.2.1.1/24 dev a1 &&"
	    "for i in a0 a1 b0 b1; do ip link set $i up; done"), 0);
	one = listen_arp("b0");
	two = listen_arp("b1");
	assert_true(garp_send(0x0a010105, 0, err, sizeof(err)));
	assert_true(recv(one, buf, sizeof(buf), 0) >= 42);
	assert_memory_equal(buf, all, 6);
	assert_memory_equal(buf + 6, mac, 6);
	assert_memory_equal(buf + 12, "\x08\x06\0\1\x08\0\6\4\0\1", 10);
	assert_memory_equal(buf + 22, mac, 6);
	assert_int_equal(ipv4_get32(buf + 28), 0x0a010105);
	assert_int_equal(ipv4_get32(buf + 38), 0x0a010105);
	assert_int_equal(recv(two, buf, sizeof(buf), 0), -1);
	default_index = if_nametoindex("a1");	/* for any other address */
	assert_true(garp_send(0x01010101, 0, err, sizeof(err)));
	assert_int_equal(recv(one, buf, sizeof(buf), 0), -1);
	assert_true(recv(two, buf, sizeof(buf), 0) >= 42);
	default_index = if_nametoindex("lo");	/* no Ethernet */
	assert_false(garp_send(0x01010101, 0, err, sizeof(err)));
	close(one);
	close(two);
}

#define T(name) cmocka_unit_test_setup(name, fresh)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_build), T(test_never), T(test_rate), T(test_garp),
	};

	return cmocka_run_group_tests(tests, make_namespace, NULL);
}
