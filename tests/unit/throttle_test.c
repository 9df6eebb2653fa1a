/*
 * throttle_test.c - buckets and queues on a fake clock
 *
 * forward_release() is ours: it notes what was let go and when, and checks
 * that packets of one way come in the order in which they went in.  Each
 * packet carries its number.  The last tests throw dice.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "forward.h"
#include "ipv4.h"
#include "table.h"
#include "throttle.h"

#define FULL	1500		/* octets of a full-size packet */
#define IN	false
#define OUT	true

struct l2tpns lns;

static struct session *s, *s2;
static uint32_t seed;

/* One way of one session as seen from outside. */
static struct way {
	uint32_t sent, last;		/* packets, numbers from 1 */
	uint64_t octets, packets;	/* passed, at once or later */
	uint64_t latest;		/* ms: the longest that one waited */
	uint64_t when[4096];		/* ms, of packet n % 4096 */
} ways[3][2];				/* by sid */

/* --- what stands in for forward.c, and for memory ------------------------- */

static void
passed(const struct session *to, bool out, const uint8_t *ip, size_t len)
{
	struct way *w = &ways[to->sid][out];
	uint32_t number = ipv4_get32(ip);
	uint64_t waited = timer_now() - w->when[number % 4096];

	assert_true(number > w->last);
	assert_true(number <= w->sent);
	assert_int_equal(ip[len - 1], (uint8_t)(number + len));
	w->last = number;
	w->octets += len;
	w->packets++;
	if (waited > w->latest)
		w->latest = waited;
}

void
forward_release(struct session *to, bool out, uint8_t *ip, size_t len)
{
	passed(to, out, ip, len);
	memset(ip - FORWARD_HEADROOM, 0xee, FORWARD_HEADROOM);
}

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
static bool no_memory;

void *
__wrap_malloc(size_t n)
{
	return no_memory ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : __real_calloc(n, size);
}

/* --- the scene ------------------------------------------------------------- */

static int
setup(void **state)
{
	(void)state;
	timers_init();
	timer_fake(0);
	counters_clear();
	memset(ways, 0, sizeof(ways));
	assert_true(table_init(2, 1));
	s = table_session_new();
	s2 = table_session_new();
	s->flags = s2->flags = SF_OPEN;
	no_memory = false;
	seed = 1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	throttle_flushed();
	throttle_stop(s);
	throttle_stop(s2);
	assert_int_equal(throttle_sessions(), 0);
	table_free();
	return 0;
}

/* A packet of this size arrives; true if it went on at once. */
static bool
arrives(struct session *from, bool out, size_t len)
{
	struct way *w = &ways[from->sid][out];
	uint8_t *ip = __real_malloc(len);	/* its exact size, for ASan */
	bool at_once;

	assert_non_null(ip);
	memset(ip, 0, len);
	ipv4_put32(ip, ++w->sent);
	ip[len - 1] = (uint8_t)(w->sent + len);
	w->when[w->sent % 4096] = timer_now();
	at_once = throttle_pass(from, out, ip, len);
	if (at_once)
		passed(from, out, ip, len);
	free(ip);
	return at_once;
}

static struct throttle_row
row_of(const struct session *of, bool out)
{
	struct throttle_row row;

	assert_true(throttle_row(of, out, &row));
	return row;
}

/* The row tells what happened, and nothing is lost without being counted. */
static void
assert_books(const struct session *of, bool out)
{
	struct throttle_row row = row_of(of, out);
	const struct way *w = &ways[of->sid][out];

	assert_int_equal(row.sid, of->sid);
	assert_int_equal(row.out, out);
	assert_int_equal(row.packets_in, w->sent);
	assert_int_equal(row.packets_out, w->packets);
	assert_int_equal(row.octets_out, w->octets);
	assert_int_equal(row.packets_in,
	    row.packets_out + row.queued + row.dropped);
}

/* For so long, twice the rate arrives, a packet at a time. */
static void
flood(struct session *from, bool out, uint32_t rate, size_t len, uint64_t ms)
{
	uint64_t end = timer_now() + ms, sent = 0, begin = timer_now();

	while (timer_now() < end) {
		while (sent * 8 < (timer_now() - begin + 1) * rate * 2) {
			arrives(from, out, len);
			sent += len;
		}
		timer_fake(1);
		throttle_flushed();
	}
}

/* --- rates ----------------------------------------------------------------- */

static void
the_rate_is_exact(void **state)
{
	static const uint32_t rates[] = { 8, 64, 512, 2000, 10000, 100000,
	    1000000 };
	static const size_t sizes[] = { 40, 576, 1462 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
			uint64_t before = ways[s->sid][OUT].octets, got, want;
			uint32_t ms = rates[i] < 100000 ? 20000 : 200;

			assert_true(throttle_set(s, 0, rates[i]));
			flood(s, OUT, rates[i], sizes[j], ms);
			got = (ways[s->sid][OUT].octets - before) * 8;
			want = (uint64_t)rates[i] * ms;
			/* A full bucket and a packet more at most. */
			assert_in_range(got, want - sizes[j] * 8 -
			    rates[i] * 10, want + rates[i] * 20 +
			    sizes[j] * 8);
			assert_true(throttle_set(s, 0, 0));
			ways[s->sid][OUT].last = ways[s->sid][OUT].sent;
		}
}

static void
below_the_rate_nothing_waits(void **state)
{
	(void)state;
	assert_true(throttle_set(s, 1000, 1000));
	for (int i = 0; i < 1000; i++) {
		assert_true(arrives(s, IN, 1250));	/* 10 ms each */
		timer_fake(10);
	}
	assert_int_equal(counters.throttle_delayed, 0);
	assert_false(ways[s->sid][IN].latest > 0);
	assert_books(s, IN);
}

/* After a pause BURST_MS may go at once, however long the pause was. */
static void
an_idle_bucket_is_bounded(void **state)
{
	size_t n = 0;

	(void)state;
	assert_true(throttle_set(s, 0, 10000));
	timer_fake(3600000);
	while (arrives(s, OUT, 1000))
		n++;
	assert_int_equal(n, 26);	/* 25,000 octets, and one in debt */
	assert_int_equal(row_of(s, OUT).credit, 0);
	timer_fake(5);
	throttle_flushed();
	timer_fake(3600000);
	assert_int_equal(row_of(s, OUT).credit, 25000);
}

static void
less_than_a_packet_a_second(void **state)
{
	(void)state;
	assert_true(throttle_set(s, 0, 1));
	for (int i = 0; i < 60; i++) {
		arrives(s, OUT, FULL);
		timer_fake(1000);
	}
	/* 60,000 bits: five packets, and the first on credit */
	assert_in_range(ways[s->sid][OUT].packets, 5, 6);
	assert_books(s, OUT);
}

/* A turn that is late, and a clock that jumps, take nothing of the rate. */
static void
a_late_turn_costs_nothing(void **state)
{
	uint64_t got;

	(void)state;
	assert_true(throttle_set(s, 8000, 0));
	timer_fake(1000);
	for (int i = 0; i < 200; i++) {
		for (int n = 0; n < 100; n++)
			arrives(s, IN, 1000);
		timer_fake(50 + i % 3 * 10);
		throttle_flushed();
	}
	got = ways[s->sid][IN].octets;
	assert_in_range(got, 200 * 60 * 1000 - 20000, 200 * 60 * 1000 + 40000);
}

/* --- queues ----------------------------------------------------------------- */

static void
the_queue_ends_after_100_ms(void **state)
{
	static const uint32_t rates[] = { 512, 2000, 10000, 100000 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		assert_true(throttle_set(s, rates[i], 0));
		ways[s->sid][IN].latest = 0;
		flood(s, IN, rates[i], 1462, 3000);
		/* late by a tick of the wheel at most */
		assert_in_range(ways[s->sid][IN].latest, 70, 110);
		assert_true(counters.throttle_dropped > 0);
		assert_books(s, IN);
		timer_fake(200);
		throttle_flushed();
		assert_int_equal(row_of(s, IN).queued, 0);
	}
}

static void
at_low_rates_two_packets_have_room(void **state)
{
	(void)state;
	assert_true(throttle_set(s, 0, 8));
	assert_true(arrives(s, OUT, FULL));	/* on credit */
	arrives(s, OUT, FULL);
	arrives(s, OUT, FULL);
	assert_int_equal(row_of(s, OUT).queued, 2);
	arrives(s, OUT, 40);
	assert_int_equal(row_of(s, OUT).dropped, 1);
	timer_fake(4500);
	assert_int_equal(ways[s->sid][OUT].packets, 3);
	assert_books(s, OUT);
}

/* What arrives while others wait waits behind them, however small. */
static void
nobody_jumps_the_queue(void **state)
{
	(void)state;
	assert_true(throttle_set(s, 0, 1000));
	for (int i = 0; i < 3000; i++) {
		arrives(s, OUT, i % 7 == 0 ? FULL : 40 + (size_t)i % 50);
		timer_fake(1);
		throttle_flushed();
	}
	assert_true(counters.throttle_delayed > 100);
	assert_books(s, OUT);
}

static void
ways_and_sessions_are_apart(void **state)
{
	(void)state;
	assert_true(throttle_set(s, 1000, 0));
	assert_true(throttle_set(s2, 0, 1000));
	assert_int_equal(throttle_sessions(), 2);
	for (int i = 0; i < 100; i++) {
		arrives(s, IN, FULL);
		assert_true(arrives(s, OUT, FULL));
		assert_true(arrives(s2, IN, FULL));
	}
	assert_true(row_of(s, IN).dropped > 0);
	assert_false(throttle_row(s, OUT, &(struct throttle_row){ 0 }));
	assert_false(throttle_row(s2, IN, &(struct throttle_row){ 0 }));
	assert_false(throttle_row(s2, 2, &(struct throttle_row){ 0 }));
	assert_int_equal(row_of(s2, OUT).packets_in, 0);
}

/* --- changes ---------------------------------------------------------------- */

static void
what_waits_goes_on_at_the_new_rate(void **state)
{
	(void)state;
	assert_true(throttle_set(s, 0, 1000));
	for (int i = 0; i < 50; i++)
		arrives(s, OUT, 1250);
	assert_int_equal(row_of(s, OUT).queued, 9);
	assert_true(throttle_set(s, 0, 10000));
	timer_fake(20);
	throttle_flushed();
	assert_int_equal(row_of(s, OUT).queued, 0);
	assert_int_equal(row_of(s, OUT).rate, 10000);
	assert_int_equal(s->throttle_out, 10000);
	assert_books(s, OUT);
}

/* The newest are dropped: what is left would still wait for 100 ms at most. */
static void
a_lower_rate_shortens_the_queue(void **state)
{
	(void)state;
	assert_true(throttle_set(s, 0, 100000));
	for (int i = 0; i < 1500; i++)
		arrives(s, OUT, 1250);
	assert_int_equal(row_of(s, OUT).queued, 999);
	assert_true(throttle_set(s, 0, 1000));
	assert_in_range(row_of(s, OUT).queued, 8, 10);
	timer_fake(120);
	throttle_flushed();
	assert_int_equal(row_of(s, OUT).queued, 0);
	assert_books(s, OUT);
}

static void
full_speed_lets_all_go_at_once(void **state)
{
	uint64_t dropped;

	(void)state;
	assert_true(throttle_set(s, 1000, 1000));
	assert_true((s->flags & SF_THROTTLE) != 0);
	for (int i = 0; i < 50; i++)
		arrives(s, OUT, 1250);
	dropped = row_of(s, OUT).dropped;
	assert_true(throttle_set(s, 1000, 0));
	assert_int_equal(ways[s->sid][OUT].packets + dropped, 50);
	assert_true((s->flags & SF_THROTTLE) != 0);
	assert_true(arrives(s, OUT, 1250));
	assert_true(throttle_set(s, 0, 0));
	assert_true((s->flags & SF_THROTTLE) == 0);
	assert_int_equal(s->throttle_in | s->throttle_out, 0);
	assert_int_equal(throttle_sessions(), 0);
	assert_null(session_local(s)->throttle);
}

static void
the_end_of_a_session_frees_its_queue(void **state)
{
	(void)state;
	assert_true(throttle_set(s, 1000, 1000));
	for (int i = 0; i < 50; i++) {
		arrives(s, IN, 1250);
		arrives(s, OUT, 1250);
	}
	timer_fake(15);			/* some are let go, not yet flushed */
	throttle_stop(s);
	assert_null(session_local(s)->throttle);
	timer_fake(1000);
	throttle_stop(s);
	s->dying = true;
	assert_false(throttle_set(s, 1000, 1000));
}

static void
out_of_memory_costs_packets_only(void **state)
{
	(void)state;
	no_memory = true;
	assert_false(throttle_set(s, 0, 1000));
	assert_int_equal(s->throttle_out, 0);
	assert_int_equal(s->flags, SF_OPEN);
	no_memory = false;
	assert_true(throttle_set(s, 0, 1000));
	no_memory = true;
	for (int i = 0; i < 50; i++)
		arrives(s, OUT, 1250);
	no_memory = false;
	assert_int_equal(ways[s->sid][OUT].packets, 1);
	assert_int_equal(row_of(s, OUT).dropped, 49);
	assert_int_equal(counters.throttle_no_memory, 49);
	timer_fake(100);
	assert_true(arrives(s, OUT, 1250));
	assert_books(s, OUT);
}

static void
all_queues_together_are_bounded(void **state)
{
	uint64_t held = 0;

	(void)state;
	assert_true(throttle_set(s, 0, 100000000));
	while (counters.throttle_no_memory == 0 && held < 1u << 24) {
		arrives(s, OUT, FULL);
		held++;
	}
	assert_true(counters.throttle_no_memory > 0);
	assert_in_range(row_of(s, OUT).queued * (uint64_t)FULL, 200u << 20,
	    256u << 20);
}

/* --- dice ------------------------------------------------------------------- */

static uint32_t
dice(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/*
 * A slow model beside it: the octets that may have passed by any time are
 * never exceeded, and while something waits they are nearly reached.
 */
static void
whatever_comes_the_model_holds(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 300; round++) {
		struct way *w = &ways[s->sid][round % 2];
		bool out = round % 2;
		uint32_t rate = 1 + dice(dice(2) ? 1000 : 200000);
		double may = 0, begin = (double)w->octets * 8;

		assert_true(throttle_set(s, out ? 0 : rate, out ? rate : 0));
		for (uint32_t step = 0; step < 300; step++) {
			size_t len = 28 + dice(FULL - 28);
			uint32_t ms = dice(4) != 0 ? 0 : dice(40);

			arrives(s, out, len);
			timer_fake(ms);
			if (dice(3) == 0)
				throttle_flushed();
			may += (double)rate * ms;
			assert_true((double)w->octets * 8 - begin <=
			    may + rate * 20.0 + FULL * 8);
			if (row_of(s, out).queued > 0)
				assert_true((double)w->octets * 8 - begin >=
				    may - rate * 12.0 - FULL * 8 -
				    (double)(rate * 20.0));
			else
				begin = (double)w->octets * 8, may = 0;
			assert_books(s, out);
		}
		assert_true(throttle_set(s, 0, 0));
		throttle_flushed();
		*w = (struct way){ 0 };
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_rate_is_exact),
		T(below_the_rate_nothing_waits),
		T(an_idle_bucket_is_bounded),
		T(less_than_a_packet_a_second),
		T(a_late_turn_costs_nothing),
		T(the_queue_ends_after_100_ms),
		T(at_low_rates_two_packets_have_room),
		T(nobody_jumps_the_queue),
		T(ways_and_sessions_are_apart),
		T(what_waits_goes_on_at_the_new_rate),
		T(a_lower_rate_shortens_the_queue),
		T(full_speed_lets_all_go_at_once),
		T(the_end_of_a_session_frees_its_queue),
		T(out_of_memory_costs_packets_only),
		T(all_queues_together_are_bounded),
		T(whatever_comes_the_model_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
