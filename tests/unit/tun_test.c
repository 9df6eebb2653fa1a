/*
 * tun_test.c - the device, its addresses and routes, as the kernel has them
 *
 * Everything happens in a network namespace of its own; ip(8) is the
 * independent witness.
 */
#define _GNU_SOURCE 1
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipv4.h"
#include "log.h"
#include "loop.h"
#include "tun.h"

#define IP(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

struct l2tpns lns;
static bool have_namespace;
static int fd;
static char err[256];
static int lines;			/* of log */
static char last_line[512];

static void
hear(struct log_listener *l, enum log_level level, uint32_t tid, uint32_t sid,
    const char *text)
{
	(void)l;
	(void)level;
	(void)tid;
	(void)sid;
	lines++;
	snprintf(last_line, sizeof(last_line), "%s", text);
}

static struct log_listener listener = { .trusted = true, .line = hear,
    .levels = (2u << LOG_L_WARN) - 1 };

static int
fresh(void **state)
{
	(void)state;
	memset(&lns, 0, sizeof(lns));
	lns.config.l2tp_mtu = 1500;
	timers_init();
	assert_true(loop_init());
	log_set_level(-1);
	log_listen(&listener);
	lines = 0;
	last_line[0] = '\0';
	return 0;
}

static int
close_tun(void **state)
{
	(void)state;
	tun_close();
	log_unlisten(&listener);
	return 0;
}

static void
open_tun(void)
{
	if (!have_namespace)
		skip();
	fd = tun_open(err, sizeof(err));
	if (fd < 0)
		fail_msg("%s", err);
}

/* What a command prints, blanks at the end taken off. */
static const char *
output(const char *cmd)
{
	static char buf[65536];
	FILE *f = popen(cmd, "r");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	pclose(f);
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == ' '))
		n--;
	buf[n] = '\0';
	return buf;
}

static void
turns(int n)
{
	while (n-- > 0)
		loop_turn(0);
}

static int
route_count(void)
{
	return atoi(output("ip -4 route show dev tunx | wc -l"));
}

static void
test_device(void **state)
{
	const char *out;

	(void)state;
	strcpy(lns.config.tundevicename, "tunx");
	open_tun();
	assert_string_equal(tun_name(), "tunx");
	out = output("ip -o link show tunx");
	assert_non_null(strstr(out, "mtu 1462"));
	assert_non_null(strstr(out, "qlen 4000"));
	assert_non_null(strstr(out, ",UP"));
	out = output("ip -o -4 addr show dev tunx | awk '{print $4}'");
	assert_string_equal(out, "1.1.1.1/32\n192.0.0.8/32");
	assert_int_not_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	tun_close();
	assert_string_equal(output("ip -o link show tunx 2>/dev/null"), "");
	lns.config.tundevicename[0] = '\0';	/* the kernel's choice */
	open_tun();
	assert_string_equal(tun_name(), "tun0");
}

static void
test_device_refused(void **state)
{
	int second;

	(void)state;
	if (!have_namespace)
		skip();
	memset(lns.config.tundevicename, 'x', IFNAMSIZ);
	assert_int_equal(tun_open(err, sizeof(err)), -1);
	assert_non_null(strstr(err, "longer than 15"));
	strcpy(lns.config.tundevicename, "lo");
	assert_int_equal(tun_open(err, sizeof(err)), -1);
	assert_non_null(strstr(err, "lo"));
	strcpy(lns.config.tundevicename, "tunx");
	open_tun();
	tun_route_add(IP(10, 0, 0, 0), 24);
	second = system("exec 3<>/dev/net/tun; ip tuntap add tunx mode tun "
	    "2>/dev/null");
	assert_int_not_equal(second, 0);
}

static void
test_addresses(void **state)
{
	struct config *c = &lns.config;

	(void)state;
	assert_int_equal(tun_address(), IP(1, 1, 1, 1));
	assert_int_equal(tun_peer_address(), IP(192, 0, 0, 8));
	c->bind_address = IP(192, 0, 2, 1);
	assert_int_equal(tun_address(), IP(192, 0, 2, 1));
	assert_int_equal(tun_peer_address(), IP(192, 0, 0, 8));
	c->iftun_address = IP(192, 0, 2, 1);	/* LACs use it: not for peers */
	assert_int_equal(tun_peer_address(), IP(192, 0, 0, 8));
	c->iftun_address = IP(10, 9, 9, 9);
	assert_int_equal(tun_address(), IP(10, 9, 9, 9));
	assert_int_equal(tun_peer_address(), IP(10, 9, 9, 9));
	c->peer_address = IP(10, 8, 8, 8);
	assert_int_equal(tun_peer_address(), IP(10, 8, 8, 8));
	c->peer_address = IP(192, 0, 2, 1);	/* asked for */
	assert_int_equal(tun_peer_address(), IP(192, 0, 2, 1));
}

/* What no RADIUS server can give to a subscriber. */
static void
test_forbidden(void **state)
{
	static const struct {
		uint32_t addr;
		uint8_t len;
		bool forbidden;
	} rows[] = {
		{ IP(0, 0, 0, 0), 0, true }, { IP(0, 0, 0, 0), 1, true },
		{ IP(128, 0, 0, 0), 1, true }, { IP(10, 0, 0, 0), 33, true },
		{ IP(0, 0, 0, 1), 32, true }, { IP(127, 0, 0, 1), 32, true },
		{ IP(126, 0, 0, 0), 7, true }, { IP(126, 0, 0, 0), 8, false },
		{ IP(64, 0, 0, 0), 2, true }, { IP(224, 0, 0, 1), 32, true },
		{ IP(255, 255, 255, 255), 32, true },
		{ IP(192, 0, 0, 0), 2, true }, { IP(223, 0, 0, 0), 8, false },
		{ IP(240, 0, 0, 0), 8, true },
		{ IP(1, 1, 1, 1), 32, true }, { IP(1, 1, 1, 0), 24, true },
		{ IP(1, 1, 1, 77), 24, true }, { IP(1, 1, 2, 0), 24, false },
		{ IP(192, 0, 0, 8), 32, true },
		{ IP(198, 51, 100, 1), 32, true },
		{ IP(198, 51, 100, 0), 30, true },
		{ IP(198, 51, 100, 3), 32, false },
		{ IP(203, 0, 113, 1), 32, true },
		{ IP(10, 77, 0, 5), 32, true }, { IP(10, 77, 0, 0), 16, true },
		{ IP(10, 0, 0, 0), 8, true }, { IP(10, 78, 0, 0), 16, false },
		{ IP(10, 77, 0, 6), 32, false },
	};
	unsigned int i;

	(void)state;
	lns.config.primary_radius = IP(198, 51, 100, 1);
	lns.config.secondary_radius = IP(203, 0, 113, 1);
	open_tun();
	assert_int_equal(system("ip addr add 10.77.0.5/16 dev lo"), 0);
	turns(2);			/* the kernel told us */
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (tun_prefix_forbidden(rows[i].addr, rows[i].len) !=
		    rows[i].forbidden)
			fail_msg("row %u", i);
	assert_true(tun_address_forbidden(IP(10, 77, 0, 5)));
	assert_false(tun_address_forbidden(IP(10, 77, 0, 6)));
	assert_true(tun_address_own(IP(10, 77, 0, 5)));
	assert_true(tun_address_own(IP(127, 0, 0, 1)));
	assert_true(tun_address_own(IP(1, 1, 1, 1)));
	assert_false(tun_address_own(IP(10, 77, 0, 6)));
	assert_false(tun_address_own(0));
	assert_int_equal(system("ip addr del 10.77.0.5/16 dev lo"), 0);
	turns(2);
	assert_false(tun_address_own(IP(10, 77, 0, 5)));
	assert_true(tun_address_own(IP(127, 0, 0, 1)));
}

static void
test_many_addresses(void **state)
{
	unsigned int i;

	(void)state;
	open_tun();
	assert_int_equal(system("for i in 9 3 7 1 5; do for j in 4 2 8; do "
	    "echo addr add 10.$i.$j.1/32 dev lo; done; done | ip -batch -"), 0);
	turns(2);
	for (i = 0; i < 10; i++) {
		assert_int_equal(tun_address_own(IP(10, i, 2, 1)), i % 2);
		assert_false(tun_address_own(IP(10, i, 3, 1)));
	}
	assert_int_equal(system("ip addr flush dev lo label lo && "
	    "ip addr add 127.0.0.1/8 dev lo"), 0);
	turns(2);
	assert_false(tun_address_own(IP(10, 9, 2, 1)));
}

static void
test_routes(void **state)
{
	(void)state;
	strcpy(lns.config.tundevicename, "tunx");
	open_tun();
	tun_route_add(IP(10, 1, 0, 99), 16);	/* bits below the length */
	tun_route_add(IP(10, 2, 0, 1), 32);
	tun_route_add(IP(10, 2, 0, 1), 32);
	turns(2);
	assert_string_equal(output("ip -4 route show dev tunx"),
	    "10.1.0.0/16 proto static scope link \n"
	    "10.2.0.1 proto static scope link");
	tun_route_del(IP(10, 2, 0, 1), 32);
	turns(2);
	assert_int_equal(route_count(), 2);	/* added twice */
	tun_route_del(IP(10, 2, 0, 1), 32);
	tun_route_del(IP(10, 2, 0, 1), 32);	/* once too often */
	tun_route_del(IP(10, 3, 0, 0), 24);	/* never there */
	tun_route_del(IP(10, 1, 0, 0), 16);
	tun_route_add(IP(10, 1, 0, 0), 16);	/* away and back at once */
	turns(2);
	assert_string_equal(output("ip -4 route show dev tunx"),
	    "10.1.0.0/16 proto static scope link");
	tun_route_add(IP(10, 5, 0, 0), 33);
	turns(2);
	assert_int_equal(route_count(), 1);
	assert_int_equal(lines, 0);
	tun_close();
	assert_string_equal(output("ip -4 route show proto static"), "");
	tun_route_add(IP(10, 1, 0, 0), 16);	/* closed: nothing happens */
	tun_route_del(IP(10, 1, 0, 0), 16);
}

static char watched[256];

static void
note(char sign, uint32_t addr, uint8_t len)
{
	size_t n = strlen(watched);

	snprintf(watched + n, sizeof(watched) - n, "%c%u.%u/%u ", sign,
	    addr >> 24, addr >> 16 & 255, len);
}

static void note_added(uint32_t a, uint8_t len) { note('+', a, len); }
static void note_removed(uint32_t a, uint8_t len) { note('-', a, len); }

/* The first route to a prefix and its last, without the bits behind it. */
static void
test_watcher(void **state)
{
	(void)state;
	open_tun();
	tun_watch_routes(note_added, note_removed);
	tun_route_add(IP(10, 1, 0, 99), 16);
	tun_route_add(IP(10, 1, 0, 0), 16);
	tun_route_add(IP(10, 2, 0, 1), 32);
	tun_route_del(IP(10, 1, 0, 0), 16);
	tun_route_del(IP(10, 1, 0, 1), 16);
	tun_route_del(IP(10, 1, 0, 0), 16);
	tun_route_add(IP(10, 5, 0, 0), 33);
	assert_string_equal(watched, "+10.1/16 +10.2/32 -10.1/16 ");
	tun_watch_routes(NULL, NULL);
	tun_route_del(IP(10, 2, 0, 1), 32);
	assert_string_equal(watched, "+10.1/16 +10.2/32 -10.1/16 ");
	turns(2);
	tun_close();
}

/* Ours goes in front of somebody else's, which stays when ours goes. */
static void
test_foreign_route(void **state)
{
	(void)state;
	strcpy(lns.config.tundevicename, "tunx");
	open_tun();
	assert_int_equal(system("ip link add dum type veth peer name dum2 && "
	    "ip link set dum up && ip route add 10.6.0.0/16 dev dum"), 0);
	tun_route_add(IP(10, 6, 0, 0), 16);
	turns(2);
	assert_int_equal(route_count(), 1);
	assert_non_null(strstr(output("ip route get 10.6.0.1"), "dev tunx"));
	tun_route_del(IP(10, 6, 0, 0), 16);
	turns(2);
	assert_int_equal(route_count(), 0);
	assert_string_equal(output("ip route show 10.6.0.0/16 | cut -d' ' -f3"),
	    "dum");
	assert_int_equal(lines, 0);
	assert_int_equal(system("ip link del dum"), 0);
}

/* A failure is told with the route that it was about. */
static void
test_route_refused(void **state)
{
	(void)state;
	strcpy(lns.config.tundevicename, "tunx");
	open_tun();
	assert_int_equal(system("ip link set tunx down"), 0);
	tun_route_add(IP(10, 4, 0, 0), 16);
	turns(3);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(last_line, "adding the route to 10.4.0.0/16"));
	tun_route_del(IP(10, 4, 0, 0), 16);	/* not there: no fault */
	turns(3);
	assert_int_equal(lines, 1);
}

/* 20,000 routes come and go; no turn takes long; nothing is lost. */
static void
test_many_routes(void **state)
{
	uint32_t i;

	(void)state;
	strcpy(lns.config.tundevicename, "tunx");
	open_tun();
	for (i = 0; i < 20000; i++)
		tun_route_add(IP(10, 0, 0, 0) + i, 32);
	loop_stall_reset();
	turns(400);
	assert_int_equal(route_count(), 20000);
	print_message("adding: longest turn %u us\n",
	    (unsigned int)loop_stall_usec());
	for (i = 0; i < 20000; i++)
		tun_route_del(IP(10, 0, 0, 0) + i, 32);
	loop_stall_reset();
	turns(400);
	assert_int_equal(route_count(), 0);
	print_message("removing: longest turn %u us\n",
	    (unsigned int)loop_stall_usec());
	assert_int_equal(lines, 0);
}

static void
test_default_address(void **state)
{
	(void)state;
	if (!have_namespace)
		skip();
	assert_int_equal(tun_default_address(), 0);
	assert_int_equal(tun_default_index(), 0);
	assert_int_equal(system("ip link add v0 type veth peer name v1 && "
	    "ip addr add 192.0.2.7/24 dev v0 && ip link set v0 up && "
	    "ip link set v1 up && ip route add default via 192.0.2.1"), 0);
	assert_int_equal(tun_default_address(), IP(192, 0, 2, 7));
	assert_int_equal(tun_default_index(), if_nametoindex("v0"));
	assert_int_equal(system("ip link del v0"), 0);
}

static int
make_namespace(void **state)
{
	(void)state;
	have_namespace = unshare(CLONE_NEWNET) == 0 &&
	    system("ip link set lo up") == 0 &&
	    access("/dev/net/tun", R_OK | W_OK) == 0;
	return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, fresh, close_tun)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_device), T(test_device_refused), T(test_addresses),
		T(test_forbidden), T(test_many_addresses), T(test_routes),
		T(test_watcher), T(test_foreign_route), T(test_route_refused),
		T(test_many_routes), T(test_default_address),
	};

	return cmocka_run_group_tests(tests, make_namespace, NULL);
}
