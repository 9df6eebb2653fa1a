/*
 * ippool_test.c - the pool by its rules, and against a pool that searches
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"
#include "ippool.h"
#include "timer.h"

#define IP(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

static int messages;
static unsigned int last_line;
static char last_text[256];

static void
hear(const char *file, unsigned int line, const char *reason, void *arg)
{
	assert_non_null(file);
	assert_null(arg);
	messages++;
	last_line = line;
	snprintf(last_text, sizeof(last_text), "%s", reason);
}

static int
fresh(void **state)
{
	(void)state;
	ippool_clear();
	counters_clear();
	messages = 0;
	last_line = 0;
	last_text[0] = '\0';
	timers_init();
	timer_fake(1000);
	return 0;
}

/* Reads the text as the file; the number of faults. */
static int
load_for(const char *text, uint32_t bind_address)
{
	char *copy = strdup(text);
	int faults;

	assert_non_null(copy);
	faults = ippool_parse("ip_pool", copy, strlen(copy), bind_address,
	    hear, NULL);
	free(copy);
	/* What it means for the addresses that are known is found out. */
	while (timer_sleep(1000) < 1000)
		timer_fake(10);
	return faults;
}

static int
load(const char *text)
{
	return load_for(text, 0);
}

/* The row of an address, which must be there. */
static struct ippool_row
row_of(uint32_t addr)
{
	struct ippool_row row;

	for (size_t i = 0; ippool_row(i, &row); i++)
		if (row.addr == addr)
			return row;
	fail_msg("no row for %08x", addr);
	return row;
}

static void
test_empty(void **state)
{
	struct ippool_row row;
	uint32_t a;
	uint8_t len;

	(void)state;
	for (int round = 0; round < 2; round++) {
		assert_int_equal(ippool_size(), 0);
		assert_int_equal(ippool_used(), 0);
		assert_int_equal(ippool_take("joe", 1), 0);
		assert_int_equal(ippool_take(NULL, 1), 0);
		assert_true(ippool_claim(IP(10, 0, 0, 1), "joe", 1));
		assert_false(ippool_contains(IP(10, 0, 0, 1)));
		ippool_release(IP(10, 0, 0, 1), "joe");
		assert_false(ippool_row(0, &row));
		assert_int_equal(ippool_prefixes(0, &a, &len), 0);
		assert_int_equal(load("# nothing\n\n"), 0);
	}
	assert_int_equal(counters.ip_allocated, 0);
	assert_int_equal(counters.ip_freed, 0);
}

/* Networks leave out .0 and .255, single addresses are what they are. */
static void
test_expansion(void **state)
{
	struct ippool_row row;
	uint32_t last = 0, n = 0;

	(void)state;
	assert_int_equal(load("# comment\n"
	    "\n"
	    "10.0.0.0/23\n"
	    "  10.0.9.0\n"
	    "10.0.9.255/32\n"
	    "10.0.4.252/30\n"), 0);
	assert_int_equal(messages, 0);
	assert_int_equal(ippool_size(), 2 * 254 + 2 + 3);
	assert_false(ippool_contains(IP(10, 0, 0, 0)));
	assert_true(ippool_contains(IP(10, 0, 0, 1)));
	assert_true(ippool_contains(IP(10, 0, 0, 254)));
	assert_false(ippool_contains(IP(10, 0, 0, 255)));
	assert_false(ippool_contains(IP(10, 0, 1, 0)));
	assert_true(ippool_contains(IP(10, 0, 1, 1)));
	assert_false(ippool_contains(IP(10, 0, 1, 255)));
	assert_true(ippool_contains(IP(10, 0, 9, 0)));
	assert_true(ippool_contains(IP(10, 0, 9, 255)));
	assert_true(ippool_contains(IP(10, 0, 4, 252)));
	assert_false(ippool_contains(IP(10, 0, 4, 255)));
	/* Rows come by address though the file does not. */
	for (size_t i = 0; ippool_row(i, &row); i++, n++) {
		assert_true(row.addr > last);
		assert_int_equal(row.sid, 0);
		assert_true(row.released == 0);
		assert_string_equal(row.last_user, "");
		last = row.addr;
	}
	assert_int_equal(n, ippool_size());
	/* The first is the first of the file. */
	assert_int_equal(ippool_take("joe", 1), IP(10, 0, 0, 1));
}

static void
test_servers(void **state)
{
	static const char file[] = "192.0.2.1:10.0.1.0/24\n"
	    "192.0.2.2:10.0.2.0/24\n"
	    "10.0.3.1\n";

	(void)state;
	assert_int_equal(load_for(file, IP(192, 0, 2, 1)), 0);
	assert_int_equal(ippool_size(), 255);
	assert_true(ippool_contains(IP(10, 0, 1, 7)));
	assert_false(ippool_contains(IP(10, 0, 2, 7)));
	assert_true(ippool_contains(IP(10, 0, 3, 1)));
	assert_int_equal(load_for(file, IP(192, 0, 2, 2)), 0);
	assert_false(ippool_contains(IP(10, 0, 1, 7)));
	assert_true(ippool_contains(IP(10, 0, 2, 7)));
	assert_int_equal(load_for(file, 0), 0);
	assert_int_equal(ippool_size(), 1);
	assert_int_equal(messages, 0);
	/* A line for another server is still read with care. */
	assert_int_equal(load_for("192.0.2.9:10.0.0.0/33\n", 0), 1);
}

static void
test_faults(void **state)
{
	static const char *const bad[] = {
		"10.0.0.0/33", "10.0.0", "10.0.0.0/", "hello", "10.0.0.1 x",
		"10.0.0.1-10.0.0.9", "10.0.0.256", "::1", "fe80::/10",
		"x:10.0.0.1", ":10.0.0.1", "192.0.2.1:", "192.0.2.1::10.0.0.1",
		"0.0.0.0/0", "0.0.0.1", "127.0.0.1", "64.0.0.0/2", "0.0.0.0/1",
		"224.0.0.1", "255.255.255.255", "128.0.0.0/1", "10.0.0.01",
	};
	size_t n = sizeof(bad) / sizeof(*bad);
	char text[1024];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		messages = 0;
		snprintf(text, sizeof(text), "10.9.9.1\n%s\n10.9.9.2\n",
		    bad[i]);
		if (load(text) != 1 || messages != 1 || last_line != 2)
			fail_msg("%s: %d messages", bad[i], messages);
		assert_int_equal(ippool_size(), 2);
	}
}

/* Worth a warning, and taken as meant. */
static void
test_warnings(void **state)
{
	uint32_t a;
	uint8_t len;

	(void)state;
	assert_int_equal(load("10.0.0.77/24\n"), 0);
	assert_int_equal(messages, 1);
	assert_int_equal(strncmp(last_text, CONFIG_WARNING,
	    strlen(CONFIG_WARNING)), 0);
	assert_int_equal(ippool_size(), 254);
	assert_int_equal(ippool_prefixes(0, &a, &len), 1);
	assert_int_equal(a, IP(10, 0, 0, 0));

	assert_int_equal(load("10.0.0.0/24\n10.0.0.0/25\n10.0.0.9\n"), 0);
	assert_int_equal(messages, 3);
	assert_int_equal(last_line, 3);
	assert_int_equal(ippool_size(), 254);

	/* The server's own address is never given to anybody. */
	assert_int_equal(load_for("10.0.0.0/24\n", IP(10, 0, 0, 1)), 0);
	assert_int_equal(messages, 4);
	assert_int_equal(ippool_size(), 253);
	assert_int_equal(ippool_take("joe", 1), IP(10, 0, 0, 2));
	assert_int_equal(load_for("10.0.0.1\n", IP(10, 0, 0, 1)), 1);
}

static void
test_prefixes(void **state)
{
	static const struct { uint32_t addr; uint8_t len; } want[] = {
		{ IP(10, 0, 0, 0), 24 }, { IP(10, 0, 0, 0), 25 },
		{ IP(10, 1, 0, 1), 32 }, { IP(10, 2, 0, 0), 16 },
	};
	uint32_t a;
	uint8_t len;

	(void)state;
	assert_int_equal(load("10.2.0.0/16\n10.1.0.1\n10.0.0.0/25\n"
	    "10.0.0.0/24\n10.1.0.1/32\n10.0.0.5/24\n"), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_true(ippool_prefixes(i, &a, &len) != 0);
		assert_int_equal(a, want[i].addr);
		assert_int_equal(len, want[i].len);
	}
	assert_int_equal(ippool_prefixes(4, &a, &len), 0);
}

/* The user's own, else never used, else longest released. */
static void
test_order(void **state)
{
	uint32_t joe, sue, ann;

	(void)state;
	assert_int_equal(load("10.0.0.0/29\n"), 0);	/* .1 to .7 */
	joe = ippool_take("joe", 1);
	sue = ippool_take("sue", 2);
	assert_int_equal(joe, IP(10, 0, 0, 1));
	assert_int_equal(sue, IP(10, 0, 0, 2));
	ippool_release(sue, "sue");
	timer_fake(5000);
	ippool_release(joe, "joe");
	/* Names are exact. */
	ann = ippool_take("Joe", 3);
	assert_int_equal(ann, IP(10, 0, 0, 3));
	assert_int_equal(ippool_take("joe", 4), joe);
	ippool_release(joe, "joe");
	for (int i = 4; i <= 7; i++)
		assert_int_equal(ippool_take(NULL, 10 + i),
		    IP(10, 0, 0, i));
	/* None is unused: sue's has rested longest. */
	assert_int_equal(ippool_take("eve", 20), sue);
	assert_int_equal(ippool_take("sue", 21), joe);
	assert_int_equal(ippool_take("sue", 22), 0);
	assert_int_equal(ippool_used(), 7);
	/* Sue's is eve's now; joe's is sue's. */
	ippool_release(joe, "sue");
	ippool_release(sue, "eve");
	assert_int_equal(ippool_take("sue", 23), joe);
	assert_int_equal(ippool_take("eve", 24), sue);
}

/* Several addresses of one user: the latest first. */
static void
test_one_user_many(void **state)
{
	uint32_t a[5];

	(void)state;
	assert_int_equal(load("10.0.0.0/24\n"), 0);
	for (uint32_t i = 0; i < 5; i++)
		a[i] = ippool_take("cafe", i + 1);
	for (int i = 0; i < 5; i++)
		ippool_release(a[(i * 2) % 5], "cafe");	/* 0 2 4 1 3 */
	assert_int_equal(ippool_take("cafe", 6), a[3]);
	assert_int_equal(ippool_take("cafe", 7), a[1]);
	assert_int_equal(ippool_take("cafe", 8), a[4]);
	assert_int_equal(ippool_take("cafe", 9), a[2]);
	assert_int_equal(ippool_take("cafe", 10), a[0]);
	assert_int_equal(ippool_take("cafe", 11), IP(10, 0, 0, 6));
}

/* Who was in the walled garden is not remembered. */
static void
test_not_remembered(void **state)
{
	uint32_t a;
	struct ippool_row row;

	(void)state;
	assert_int_equal(load("10.0.0.0/24\n"), 0);
	a = ippool_take("joe", 1);
	row = row_of(a);
	assert_int_equal(row.sid, 1);
	assert_string_equal(row.last_user, "joe");
	ippool_release(a, NULL);
	row = row_of(a);
	assert_int_equal(row.sid, 0);
	assert_true(row.released == timer_now());
	assert_string_equal(row.last_user, "");
	assert_int_not_equal(ippool_take("joe", 2), a);
	/* "" is nobody, not a user of that name. */
	a = ippool_take("", 3);
	ippool_release(a, "");
	assert_int_not_equal(ippool_take("", 4), a);
}

static void
test_claim(void **state)
{
	uint32_t a = IP(10, 0, 0, 9);

	(void)state;
	assert_int_equal(load("10.0.0.0/24\n"), 0);
	assert_true(ippool_claim(a, "joe", 5));
	assert_true(ippool_claim(a, "joe", 5));
	assert_false(ippool_claim(a, "sue", 6));
	assert_true(ippool_claim(IP(10, 9, 9, 9), "sue", 6));
	assert_int_equal(ippool_used(), 1);
	assert_int_equal(counters.ip_allocated, 1);
	for (uint32_t i = 1; i < 254; i++)
		assert_int_not_equal(ippool_take(NULL, 100 + i), a);
	assert_int_equal(ippool_take("joe", 7), 0);
	ippool_release(a, "joe");
	ippool_release(a, "sue");	/* twice: nothing happens */
	assert_int_equal(ippool_used(), 253);
	assert_int_equal(counters.ip_freed, 1);
	assert_int_equal(ippool_take("sue", 8), a);
	ippool_release(a, "sue");
	assert_true(ippool_claim(a, "ann", 9));
	assert_string_equal(row_of(a).last_user, "ann");
}

/* A million addresses, all given out, all back, and no more than that. */
static void
test_full_size(void **state)
{
	uint32_t n = 0;

	(void)state;
	/* The first 8192 of the /12 that is second still fit. */
	assert_int_equal(load("10.0.0.0/12\n10.128.0.0/12\n10.64.0.0/18\n"),
	    0);
	assert_int_equal(messages, 2);
	assert_int_equal(ippool_size(), IPPOOL_MAX);
	assert_true(ippool_contains(IP(10, 128, 31, 1)));
	assert_false(ippool_contains(IP(10, 128, 33, 1)));
	assert_false(ippool_contains(IP(10, 64, 0, 1)));
	while (ippool_take(NULL, n + 1) != 0)
		n++;
	assert_int_equal(n, IPPOOL_MAX);
	assert_int_equal(ippool_used(), n);
	for (uint32_t a = IP(10, 0, 0, 0); a < IP(10, 16, 0, 0); a++)
		ippool_release(a, "everybody");
	assert_int_equal(ippool_used(), n - 4096 * 254);
	assert_int_equal(ippool_take("everybody", 1), IP(10, 15, 255, 254));
	assert_int_equal(ippool_take("somebody", 2), IP(10, 0, 0, 1));
	/* The new file is full, and those in use have their places too. */
	messages = 0;
	assert_int_equal(load("11.0.0.0/8\n11.0.0.0/24\n"), 0);
	assert_int_equal(messages, 2);
	assert_int_equal(ippool_size(), IPPOOL_MAX + n - 4096 * 254 + 2);
	ippool_release(IP(10, 0, 0, 1), "somebody");
	assert_false(ippool_contains(IP(10, 0, 0, 1)));
	assert_int_equal(ippool_take("new", 3), IP(11, 0, 0, 1));
}

/* What nobody may have leaves, from the queues or from its user. */
static void
test_exclude(void **state)
{
	uint32_t joe;

	(void)state;
	assert_int_equal(load("10.0.0.0/29\n"), 0);
	assert_int_equal(ippool_size(), 7);
	ippool_exclude(IP(10, 0, 0, 1));
	ippool_exclude(IP(10, 0, 0, 1));
	ippool_exclude(IP(10, 9, 9, 9));
	assert_int_equal(ippool_size(), 6);
	assert_false(ippool_contains(IP(10, 0, 0, 1)));
	joe = ippool_take("joe", 1);
	assert_int_equal(joe, IP(10, 0, 0, 2));
	ippool_release(joe, "joe");
	ippool_exclude(joe);		/* free, and remembered for joe */
	assert_int_equal(ippool_take("joe", 2), IP(10, 0, 0, 3));
	ippool_exclude(IP(10, 0, 0, 3));	/* in use */
	assert_true(ippool_contains(IP(10, 0, 0, 3)));
	assert_int_equal(ippool_used(), 1);
	ippool_release(IP(10, 0, 0, 3), "joe");
	assert_int_equal(ippool_used(), 0);
	assert_int_equal(ippool_size(), 4);
	assert_int_equal(ippool_take("joe", 3), IP(10, 0, 0, 4));
}

/* A new file changes what is given out, not who has what. */
static void
test_reload(void **state)
{
	uint32_t joe, sue, ann, kim;
	struct ippool_row row;

	(void)state;
	assert_int_equal(load("10.0.0.0/24\n10.0.1.1\n"), 0);
	joe = ippool_take("joe", 1);		/* .1, stays in use */
	sue = ippool_take("sue", 2);		/* .2, released */
	ann = ippool_take("ann", 3);		/* .3, released later */
	assert_true(ippool_claim(IP(10, 0, 1, 1), "kim", 4));
	kim = IP(10, 0, 1, 1);			/* in use, not listed soon */
	ippool_release(sue, "sue");
	timer_fake(9000);
	ippool_release(ann, "ann");

	assert_int_equal(load("10.0.2.1\n10.0.0.0/30\n"), 0);
	assert_int_equal(ippool_size(), 1 + 3 + 1);
	assert_int_equal(ippool_used(), 2);
	assert_int_equal(row_of(joe).sid, 1);
	assert_string_equal(row_of(joe).last_user, "joe");
	row = row_of(sue);
	assert_true(row.released > 0 && row.released < timer_now());
	assert_string_equal(row.last_user, "sue");
	assert_int_equal(row_of(kim).sid, 4);
	assert_false(ippool_claim(joe, "eve", 9));
	assert_false(ippool_claim(kim, "eve", 9));
	/* The new one was never used; then sue's, which rested longer. */
	assert_int_equal(ippool_take("ann", 5), ann);
	ippool_release(ann, "ann");
	assert_int_equal(ippool_take("eve", 6), IP(10, 0, 2, 1));
	assert_int_equal(ippool_take("bob", 7), sue);
	/* Kim's is given up and is nobody's any more. */
	ippool_release(kim, "kim");
	assert_false(ippool_contains(kim));
	assert_int_equal(ippool_size(), 4);
	assert_int_equal(ippool_take("kim", 8), ann);
	for (size_t i = 0; ippool_row(i, &row); i++)
		assert_int_not_equal(row.addr, kim);
	assert_int_equal(ippool_take("kim", 9), 0);

	/* Listed again while in use: it comes back on release. */
	assert_int_equal(load("10.9.0.1\n"), 0);
	assert_int_equal(ippool_size(), 1 + 4);
	assert_int_equal(load("10.9.0.1\n10.0.0.1\n"), 0);
	assert_int_equal(ippool_size(), 2 + 3);
	ippool_release(joe, "joe");
	assert_true(ippool_contains(joe));
	assert_int_equal(ippool_take("joe", 10), joe);
}

/* The same file again: everything stays, without being built anew. */
static void
test_reload_same(void **state)
{
	struct ippool_row row;
	const char *joe;
	uint32_t a;

	(void)state;
	assert_int_equal(load("10.0.0.0/24\n10.0.1.1\nbad\n"), 1);
	a = ippool_take("joe", 1);
	ippool_release(a, "joe");
	joe = row_of(a).last_user;
	assert_int_equal(ippool_editions(), 1);
	assert_int_equal(load("# new\n10.0.0.0/24\nbad\n10.0.1.1\n"), 1);
	assert_int_equal(messages, 2);
	assert_ptr_equal(row_of(a).last_user, joe);
	assert_int_equal(ippool_editions(), 1);
	assert_int_equal(ippool_size(), 255);
	assert_int_equal(ippool_take("joe", 2), a);
	/* The same lines mean something else with another bind_address. */
	assert_int_equal(load_for("10.0.0.0/24\n10.0.1.1\nbad\n",
	    IP(10, 0, 0, 2)), 1);
	assert_int_equal(ippool_size(), 254);
	assert_int_equal(ippool_editions(), 2);
	assert_true(ippool_row(0, &row));
	assert_int_equal(row.sid, 2);
}

/* A file that cannot be read leaves the pool alone. */
static void
test_reload_unreadable(void **state)
{
	char path[] = "/tmp/ippool_test.XXXXXX";
	int fd = mkstemp(path);
	uint32_t a;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "10.0.0.1\n", 9), 9);
	close(fd);
	assert_int_equal(ippool_load(path, 0, hear, NULL), 0);
	a = ippool_take("joe", 1);
	unlink(path);
	assert_int_equal(ippool_load(path, 0, hear, NULL), -1);
	assert_int_equal(ippool_load("/", 0, hear, NULL), -1);
	assert_int_equal(messages, 2);
	assert_int_equal(ippool_size(), 1);
	assert_int_equal(row_of(a).sid, 1);
	/* Garbage takes away what is free and never what is in use. */
	assert_int_equal(load("\x01\x02\nzzz\n"), 2);
	assert_int_equal(ippool_size(), 1);
	ippool_release(a, "joe");
	assert_int_equal(ippool_size(), 0);
	assert_int_equal(ippool_take("joe", 1), 0);
}

/* The file that is installed, read where the tests are started. */
static void
test_shipped_file(void **state)
{
	(void)state;
	assert_int_equal(ippool_load("etc/ip_pool.default", 0, hear, NULL), 0);
	assert_int_equal(messages, 0);
	assert_int_equal(ippool_size(), 3 * 254);
}

/*
 * The same rules once more, by searching through everything
 */

#define N	64	/* addresses 10.0.0.0 to 10.0.0.63 as single lines */
#define USERS	12

static struct {
	bool listed;
	uint32_t sid;
	unsigned int order;	/* of release; 0: never used */
	int user;		/* -1: nobody */
	unsigned int place;	/* in the file */
} model[N];
static unsigned int clock_of_releases;

static const char *
name_of(int user)
{
	static char name[16];

	if (user < 0)
		return NULL;
	snprintf(name, sizeof(name), "u%d", user);
	return name;
}

static bool
better(int a, int b)
{
	if (b < 0)
		return true;
	if ((model[a].order == 0) != (model[b].order == 0))
		return model[a].order == 0;
	if (model[a].order != model[b].order)
		return model[a].order < model[b].order;
	return model[a].place < model[b].place;
}

static int
model_choice(int user)
{
	int own = -1, best = -1;

	for (int i = 0; i < N; i++) {
		if (!model[i].listed || model[i].sid != 0)
			continue;
		if (user >= 0 && model[i].user == user &&
		    (own < 0 || model[i].order > model[own].order))
			own = i;
		if (better(i, best))
			best = i;
	}
	return own >= 0 ? own : best;
}

static void
model_reload(void)
{
	char text[N * 16] = "";
	unsigned int start = (unsigned int)rand() % N;
	int keep = rand() % 4;

	for (unsigned int k = 0; k < N; k++) {
		unsigned int i = (start + k * 5) % N;	/* 5 and N: coprime */

		model[i].listed = rand() % 4 <= keep;
		model[i].place = k;
		if (model[i].listed)
			snprintf(text + strlen(text), 16, "10.0.0.%u\n", i);
		else if (model[i].sid == 0) {
			model[i].order = 0;
			model[i].user = -1;
		}
	}
	assert_int_equal(load(text), 0);
}

static void
compare_row(const struct ippool_row *row, int i)
{
	assert_int_equal(row->addr, IP(10, 0, 0, i));
	assert_int_equal(row->sid, model[i].sid);
	assert_true((row->released == 0) == (model[i].order == 0));
	assert_string_equal(row->last_user, model[i].user < 0 ? "" :
	    name_of(model[i].user));
}

/* First what is listed, by address; then what is only in use, in any order. */
static void
compare_with_model(void)
{
	struct ippool_row row;
	uint32_t used = 0, size = 0, strays = 0;

	for (int i = 0; i < N; i++) {
		uint32_t a = IP(10, 0, 0, i);
		bool in = model[i].listed || model[i].sid != 0;

		assert_int_equal(ippool_contains(a), in);
		assert_int_equal(ippool_listed(a), model[i].listed);
		used += model[i].sid != 0;
		strays += in && !model[i].listed;
		if (!model[i].listed)
			continue;
		assert_true(ippool_row(size++, &row));
		compare_row(&row, i);
	}
	for (; strays > 0; strays--) {
		assert_true(ippool_row(size++, &row));
		assert_false(model[row.addr & 255].listed);
		compare_row(&row, (int)(row.addr & 255));
	}
	assert_false(ippool_row(size, &row));
	assert_int_equal(ippool_size(), size);
	assert_int_equal(ippool_used(), used);
}

static void
model_release(int i, int user)
{
	ippool_release(IP(10, 0, 0, i), name_of(user));
	if (model[i].sid == 0)
		return;
	model[i].sid = 0;
	model[i].order = model[i].listed ? ++clock_of_releases : 0;
	model[i].user = model[i].listed ? user : -1;
}

static void
model_step(uint32_t sid)
{
	int user = rand() % (USERS + 2) - 2, i = rand() % N;
	bool free_now;

	if (user < 0)
		user = -1;
	switch (rand() % 8) {
	case 0: case 1: case 2:
		i = model_choice(user);
		assert_int_equal(ippool_take(name_of(user), sid),
		    i < 0 ? 0 : IP(10, 0, 0, i));
		if (i < 0)
			return;
		model[i].sid = sid;
		model[i].user = user;
		break;
	case 3:
		free_now = model[i].listed && model[i].sid == 0;
		assert_int_equal(ippool_claim(IP(10, 0, 0, i), name_of(user),
		    sid), model[i].sid == 0);
		if (!free_now)
			return;
		model[i].sid = sid;
		model[i].user = user;
		break;
	default:
		model_release(i, user);
	}
}

static void
test_random_against_model(void **state)
{
	(void)state;
	srand(20040701);
	memset(model, 0, sizeof(model));
	for (int i = 0; i < N; i++)
		model[i].user = -1;
	for (uint32_t step = 1; step <= 40000; step++) {
		if (step % 500 == 1)
			model_reload();
		model_step(step);
		timer_fake((uint64_t)(rand() % 3));
		if (step % 16 == 0)
			compare_with_model();
	}
}

/* Lines in one another: each address counts for the first that lists it. */
static void
test_doubles(void **state)
{
	(void)state;
	assert_int_equal(load("10.0.0.9\n10.0.0.0/25\n10.0.0.0/24\n"
	    "10.0.0.0\n10.0.1.0/24\n10.0.1.7\n10.0.0.200\n"), 0);
	assert_int_equal(messages, 4);		/* 2: 1, 3: 127, 6: 1, 7: 1 */
	assert_int_equal(last_line, 7);
	assert_non_null(strstr(last_text, "1 of these addresses is listed"));
	assert_int_equal(ippool_size(), 254 + 1 + 254);
	messages = 0;
	assert_int_equal(load("10.0.0.128/25\n10.0.0.9\n10.0.0.0/24\n"), 0);
	assert_int_equal(messages, 1);
	assert_non_null(strstr(last_text, "128 of these addresses are"));
	assert_int_equal(ippool_take("joe", 1), IP(10, 0, 0, 128));
}

/* A new file holds at once, before all that is known was looked at. */
static void
test_reload_at_once(void **state)
{
	char a[] = "10.0.0.0/16\n", b[] = "10.1.0.0/16\n10.0.7.0/24\n";
	uint32_t ip[5000], sid;
	char name[16];

	(void)state;
	assert_int_equal(load(a), 0);
	for (sid = 1; sid <= 5000; sid++) {
		snprintf(name, sizeof(name), "u%u", sid);
		ip[sid - 1] = ippool_take(name, sid);
	}
	for (sid = 1; sid <= 4900; sid++) {
		snprintf(name, sizeof(name), "u%u", sid);
		ippool_release(ip[sid - 1], name);
	}
	assert_int_equal(ippool_parse("b", b, sizeof(b) - 1, 0, hear, NULL),
	    0);
	assert_false(ippool_contains(ip[0]));
	assert_true(ippool_contains(ip[4999]));
	assert_false(ippool_listed(ip[4999]));
	assert_int_equal(ippool_take("u1", 1), IP(10, 1, 0, 1));
	assert_int_equal(ip[1999], IP(10, 0, 7, 222));
	assert_int_equal(ippool_take("u2000", 2000), ip[1999]);
	assert_int_equal(ippool_used(), 102);
	ippool_release(ip[4999], "u5000");
	assert_false(ippool_contains(ip[4999]));
	while (timer_sleep(1000) < 1000)
		timer_fake(10);
	assert_int_equal(ippool_size(), 257 * 254 + 99);
	assert_int_equal(ippool_used(), 101);
}

/* Nanoseconds for taking and giving back, at a size; the best of five. */
static uint64_t
cost(const char *file, uint32_t rounds)
{
	uint64_t best = UINT64_MAX;
	char name[32];

	fresh(NULL);
	assert_int_equal(load(file), 0);
	for (int round = 0; round < 5; round++) {
		uint64_t t = timer_usec();

		for (uint32_t i = 0; i < rounds; i++) {
			snprintf(name, sizeof(name), "user%u", i);
			ippool_release(ippool_take(name, i + 1), name);
		}
		t = (timer_usec() - t) * 1000 / rounds;
		if (t < best)
			best = t;
	}
	return best;
}

/*
 * The price does not follow the size: 4000 times the addresses, and caches
 * that miss, but nothing like 4000 times the time.
 */
static void
test_cost_is_flat(void **state)
{
	uint64_t small = cost("10.0.0.0/24\n", 20000);
	uint64_t big = cost("10.0.0.0/12\n", 20000);

	(void)state;
	print_message("take and release: %llu ns of 254, %llu ns of 1040384\n",
	    (unsigned long long)small, (unsigned long long)big);
	assert_true(big < small * 20 + 5000);
}

static int
clear(void **state)
{
	(void)state;
	ippool_clear();
	return 0;
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, fresh, clear)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),
		TEST(test_expansion),
		TEST(test_servers),
		TEST(test_faults),
		TEST(test_warnings),
		TEST(test_prefixes),
		TEST(test_order),
		TEST(test_one_user_many),
		TEST(test_not_remembered),
		TEST(test_claim),
		TEST(test_full_size),
		TEST(test_exclude),
		TEST(test_reload),
		TEST(test_reload_same),
		TEST(test_reload_unreadable),
		TEST(test_shipped_file),
		TEST(test_doubles),
		TEST(test_reload_at_once),
		TEST(test_random_against_model),
		TEST(test_cost_is_flat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
