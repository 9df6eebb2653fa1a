/*
 * snoop_test.c - copies over loopback, and what is never copied
 *
 * The target is a socket of ours; the daemon's address is 127.0.0.1, so what
 * the target learns of the copies' source says how they would look if they
 * came by again.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipv4.h"
#include "log.h"
#include "loop.h"
#include "snoop.h"
#include "table.h"
#include "tun.h"

#define LOCALHOST	0x7f000001u
#define SUBSCRIBER	0x0a000002u
#define OUTSIDE		0xc0000201u

struct l2tpns lns;

static struct session *s;
static int target;
static uint16_t target_port, our_port;
static uint8_t buf[65536];

bool
tun_address_own(uint32_t addr)
{
	return addr == LOCALHOST;
}

/* --- the target ------------------------------------------------------------- */

/* The next copy into buf; 0: none came. */
static size_t
copy(void)
{
	struct pollfd p = { .fd = target, .events = POLLIN };
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n;

	if (poll(&p, 1, 0) != 1)
		return 0;
	n = recvfrom(target, buf, sizeof(buf), 0, (struct sockaddr *)&from,
	    &len);
	assert_true(n > 0);
	our_port = ntohs(from.sin_port);
	return (size_t)n;
}

/* --- packets ----------------------------------------------------------------- */

static size_t
udp(uint8_t *p, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport,
    size_t len)
{
	memset(p, 0, len);
	p[0] = 0x45;
	ipv4_put16(p + 2, (uint16_t)len);
	ipv4_put16(p + 4, 77);
	p[8] = 64;
	p[9] = IPV4_UDP;
	ipv4_put32(p + 12, src);
	ipv4_put32(p + 16, dst);
	ipv4_put16(p + 20, sport);
	ipv4_put16(p + 22, dport);
	ipv4_set_checksum(p, IPV4_HEADER);
	return len;
}

/* Is it copied?  Whole and unchanged, then. */
static bool
copied(const uint8_t *p, size_t len)
{
	uint64_t before = counters.packets_snooped;
	size_t n;

	snoop_packet(s, p, len);
	snoop_flush();
	n = copy();
	assert_int_equal(copy(), 0);
	assert_int_equal(counters.packets_snooped - before, n != 0);
	if (n == 0)
		return false;
	assert_int_equal(n, len);
	assert_memory_equal(buf, p, len);
	return true;
}

/* --- the scene --------------------------------------------------------------- */

static int
setup(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(LOCALHOST) };
	socklen_t len = sizeof(sin);
	uint8_t p[100];
	char err[200];

	(void)state;
	timers_init();
	counters_clear();
	log_set_level(-1);
	assert_true(loop_init());
	assert_true(table_init(2, 1));
	s = table_session_new();
	s->flags = SF_OPEN;
	lns.config.socket_buffer = 1 << 20;
	target = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(target, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(target, (struct sockaddr *)&sin, &len),
	    0);
	target_port = ntohs(sin.sin_port);
	assert_true(snoop_init(err, sizeof(err)));
	assert_true(snoop_start(s, LOCALHOST, target_port, "a test"));
	assert_true(copied(p, udp(p, SUBSCRIBER, 1, OUTSIDE, 2, 50)));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	snoop_exit();
	close(target);
	table_free();
	return 0;
}

/* --- copies ------------------------------------------------------------------ */

static void
all_sizes_are_copied(void **state)
{
	static const size_t sizes[] = { 28, 29, 576, 1462, 1500, 9000, 65000,
	    UINT16_MAX - 28 };
	static uint8_t p[65536];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_true(copied(p, udp(p, SUBSCRIBER, 1, OUTSIDE, 2,
		    sizes[i])));
	assert_int_equal(counters.snoop_errors, 0);
	assert_false(copied(p, udp(p, SUBSCRIBER, 1, OUTSIDE, 2,
	    UINT16_MAX - 27)));
	assert_int_equal(counters.snoop_errors, 1);
	memset(p, 0x45, 20);
	assert_true(copied(p, 20));	/* a header and nothing behind it */
}

static void
they_keep_their_order_however_many(void **state)
{
	uint8_t p[600];
	uint16_t got = 0;

	(void)state;
	for (uint16_t i = 1; i <= 1200; i++) {
		udp(p, SUBSCRIBER, i, OUTSIDE, 2, sizeof(p));
		snoop_packet(s, p, sizeof(p));
		if (i % 100 == 0)
			snoop_flush();
		while (copy() != 0)
			assert_int_equal(ipv4_get16(buf + 20), ++got);
	}
	assert_int_equal(got, 1200);
}

/* More than the buffer holds in one turn: it is sent in between. */
static void
a_turn_with_more_than_there_is_room_for(void **state)
{
	uint8_t p[100];

	(void)state;
	udp(p, SUBSCRIBER, 1, OUTSIDE, 2, sizeof(p));
	for (int i = 0; i < 600; i++)
		snoop_packet(s, p, sizeof(p));
	assert_true(counters.packets_snooped >= 500);
	snoop_flush();
	assert_int_equal(counters.packets_snooped + counters.snoop_errors,
	    601);
}

/* --- what is no copy ----------------------------------------------------------- */

static void
our_own_copies_are_not_copied(void **state)
{
	uint8_t p[200];

	(void)state;
	assert_false(copied(p, udp(p, LOCALHOST, our_port, SUBSCRIBER,
	    target_port, sizeof(p))));
	/* nor what the target answers */
	assert_false(copied(p, udp(p, SUBSCRIBER, target_port, LOCALHOST,
	    our_port, sizeof(p))));
	/* others with the same port, or of the same host, are copied */
	assert_true(copied(p, udp(p, OUTSIDE, our_port, SUBSCRIBER,
	    target_port, sizeof(p))));
	assert_true(copied(p, udp(p, LOCALHOST, (uint16_t)(our_port ^ 1),
	    SUBSCRIBER, target_port, sizeof(p))));
	udp(p, LOCALHOST, our_port, SUBSCRIBER, target_port, sizeof(p));
	p[9] = IPV4_TCP;
	assert_true(copied(p, sizeof(p)));
}

static void
nor_their_fragments(void **state)
{
	uint8_t p[200];

	(void)state;
	udp(p, LOCALHOST, our_port, SUBSCRIBER, target_port, sizeof(p));
	ipv4_put16(p + 6, 0x2000);
	assert_false(copied(p, sizeof(p)));
	udp(p, LOCALHOST, 0xaaaa, SUBSCRIBER, 0xbbbb, sizeof(p));
	ipv4_put16(p + 6, 0x0010);
	assert_false(copied(p, sizeof(p)));
	ipv4_put16(p + 4, 78);		/* another datagram's */
	assert_true(copied(p, sizeof(p)));
}

static void
nor_errors_that_quote_them(void **state)
{
	uint8_t p[20 + 8 + 28];

	(void)state;
	udp(p, SUBSCRIBER, 0, LOCALHOST, 0, sizeof(p));
	p[9] = IPV4_ICMP;
	p[20] = 3;
	p[21] = 3;
	udp(p + 28, LOCALHOST, our_port, SUBSCRIBER, target_port, 28);
	ipv4_put16(p + 28 + 2, 1400);	/* the rest was cut off */
	assert_false(copied(p, sizeof(p)));
	p[20] = 8;			/* an echo that looks like it */
	assert_true(copied(p, sizeof(p)));
	p[20] = 3;
	ipv4_put16(p + 28 + 20, (uint16_t)(our_port ^ 1));
	assert_true(copied(p, sizeof(p)));
	assert_true(copied(p, sizeof(p) - 1));
	assert_true(copied(p, 28));
}

/* --- who is intercepted ---------------------------------------------------------- */

static void
flags_and_facts(void **state)
{
	(void)state;
	assert_true((s->flags & SF_SNOOP) != 0);
	assert_int_equal(s->snoop_ip, LOCALHOST);
	assert_int_equal(s->snoop_port, target_port);
	snoop_stop(s, "a test");
	assert_int_equal(s->flags, SF_OPEN);
	assert_int_equal(s->snoop_ip | s->snoop_port, 0);
	snoop_stop(s, "a test");
	assert_false(snoop_start(s, 0, 9, "a test"));
	assert_false(snoop_start(s, LOCALHOST, 0, "a test"));
	s->dying = true;
	assert_false(snoop_start(s, LOCALHOST, 9, "a test"));
	s->dying = false;
	snoop_exit();
	assert_false(snoop_start(s, LOCALHOST, 9, "a test"));
	assert_int_equal(s->flags, SF_OPEN);
}

/* One target that cannot be reached: the others' copies go. */
static void
errors_cost_their_own_copy_only(void **state)
{
	struct session *s2 = table_session_new();
	uint8_t p[100];

	(void)state;
	s2->flags = SF_OPEN;
	/* a broadcast needs a right that the socket does not have */
	assert_true(snoop_start(s2, 0xffffffffu, 9, "a test"));
	udp(p, SUBSCRIBER, 1, OUTSIDE, 2, sizeof(p));
	for (int i = 0; i < 10; i++) {
		snoop_packet(s, p, sizeof(p));
		snoop_packet(s2, p, sizeof(p));
	}
	snoop_flush();
	assert_int_equal(counters.packets_snooped, 11);
	assert_int_equal(counters.snoop_errors, 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(copy(), sizeof(p));
	assert_int_equal(copy(), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(all_sizes_are_copied),
		T(they_keep_their_order_however_many),
		T(a_turn_with_more_than_there_is_room_for),
		T(our_own_copies_are_not_copied),
		T(nor_their_fragments),
		T(nor_errors_that_quote_them),
		T(flags_and_facts),
		T(errors_cost_their_own_copy_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
