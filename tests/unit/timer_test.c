/*
 * timer_test.c - the wheel against a list that is searched from end to end
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "timer.h"

#define SECOND	UINT64_C(1000)
#define HOUR	(3600 * SECOND)
#define DAY	(24 * HOUR)
#define YEAR	(365 * DAY)

struct probe {
	int number;
	struct timer timer;
	unsigned int fired;
	uint64_t at;			/* timer_now() when it last fired */
};

static int order[64];
static unsigned int order_len;

static void
note(struct timer *t)
{
	struct probe *p = timer_owner(t, struct probe, timer);

	assert_false(timer_armed(t));
	assert_true(t->due <= timer_now());
	p->fired++;
	p->at = timer_now();
	if (order_len < sizeof(order) / sizeof(order[0]))
		order[order_len++] = p->number;
}

static int
fresh(void **state)
{
	(void)state;
	timers_init();
	timer_fake(0);
	order_len = 0;
	return 0;
}

static void
test_never_early_one_tick_late(void **state)
{
	static const uint64_t ms[] = { 1, 9, 10, 11, 2559, 2560, 2561, 655359,
	    655360, 655361, HOUR, 49 * DAY + 17 * HOUR, 50 * DAY, YEAR,
	    100 * YEAR };
	struct probe p = { .timer.fire = note };
	uint64_t start, late;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
		start = timer_now();
		p.fired = 0;
		timer_arm(&p.timer, ms[i]);
		assert_true(timer_armed(&p.timer));
		assert_true(timer_left(&p.timer) == ms[i]);
		timer_fake(ms[i] - 1);
		assert_int_equal(p.fired, 0);
		assert_true(timer_left(&p.timer) == 1);
		timer_fake(11);
		assert_int_equal(p.fired, 1);
		assert_false(timer_armed(&p.timer));
		assert_true(timer_left(&p.timer) == 0);
		late = p.at - (start + ms[i]);
		assert_true(late < 10);
	}
}

static void
test_whole_ticks_are_exact(void **state)
{
	struct probe p = { .timer.fire = note };
	unsigned int i;

	(void)state;
	for (i = 1; i <= 100; i++) {
		timer_arm(&p.timer, 1000);
		timer_fake(1000);
		assert_int_equal(p.fired, i);
	}
}

static void
test_order(void **state)
{
	static const uint64_t ms[] = { 50, 3, 7, 5, 2000, 1000, 60000, 1, 3 };
	static const int want[] = { 7, 1, 8, 3, 2, 0, 5, 4, 6 };
	struct probe p[9];
	int i;

	(void)state;
	memset(p, 0, sizeof(p));
	for (i = 0; i < 9; i++) {
		p[i].number = i;
		p[i].timer.fire = note;
		timer_arm(&p[i].timer, ms[i]);
	}
	timer_fake(HOUR);
	assert_int_equal(order_len, 9);
	for (i = 0; i < 9; i++)
		if (order[i] != want[i])	/* 1 and 8 are due together */
			assert_true(order[i] + want[i] == 9);
}

static void
count_ahead(const struct timer *t)
{
	timer_owner(t, struct probe, timer)->number += 100;
	assert_int_equal(order_len, 0);
}

static void
note_other(struct timer *t)
{
	note(t);
}

/* All of a tick, before the first of them fires; no others. */
static void
test_look_ahead(void **state)
{
	struct probe p[3] = {
		{ .number = 1, .timer.fire = note },
		{ .number = 2, .timer.fire = note_other },
		{ .number = 3, .timer.fire = note },
	};

	(void)state;
	timer_look_ahead(note, count_ahead);
	for (int i = 0; i < 3; i++)
		timer_arm(&p[i].timer, 5000);
	timer_fake(5000);
	assert_int_equal(order_len, 3);
	assert_int_equal(p[0].number, 101);
	assert_int_equal(p[1].number, 2);
	assert_int_equal(p[2].number, 103);
	timer_look_ahead(NULL, NULL);
	timer_arm(&p[0].timer, 10);
	timer_fake(10);
	assert_int_equal(p[0].number, 101);
	assert_int_equal(p[0].fired, 2);
}

static void
test_rearm_and_disarm(void **state)
{
	struct probe p = { .timer.fire = note };

	(void)state;
	timer_disarm(&p.timer);			/* not armed: nothing */
	timer_arm(&p.timer, 100);
	timer_arm(&p.timer, 5000);
	timer_fake(200);
	assert_int_equal(p.fired, 0);
	timer_arm(&p.timer, 10);
	timer_fake(10);
	assert_int_equal(p.fired, 1);
	timer_fake(DAY);
	assert_int_equal(p.fired, 1);
	timer_arm(&p.timer, 10);
	timer_disarm(&p.timer);
	timer_disarm(&p.timer);
	timer_fake(DAY);
	assert_int_equal(p.fired, 1);
	timer_arm(&p.timer, 0);
	timer_disarm(&p.timer);
	timer_fake(0);
	assert_int_equal(p.fired, 1);
}

/* fire() frees and disarms others that are due in the very same tick. */
static struct probe *victims[8];

static void
kill_others(struct timer *t)
{
	int i;

	for (i = 0; i < 8; i++) {
		if (victims[i] == NULL)
			continue;
		timer_disarm(&victims[i]->timer);
		if (&victims[i]->timer != t)
			memset(victims[i], 0xdd, sizeof(*victims[i]));
		free(victims[i]);		/* itself too */
		victims[i] = NULL;
	}
	order_len++;
}

static void
kill_round(uint64_t ms, uint64_t spread)
{
	int i;

	for (i = 0; i < 8; i++) {
		victims[i] = calloc(1, sizeof(*victims[i]));
		assert_non_null(victims[i]);
		victims[i]->timer.fire = kill_others;
		timer_arm(&victims[i]->timer, ms + i * spread);
	}
	order_len = 0;
	timer_fake(DAY);
	assert_int_equal(order_len, 1);
}

static void
test_fire_may_free_any(void **state)
{
	(void)state;
	kill_round(0, 0);
	kill_round(10, 0);
	kill_round(1, 1);
	kill_round(HOUR, 0);
	kill_round(HOUR, 1);
	kill_round(HOUR, SECOND);
}

static struct probe chained;

static void
arm_chained_now(struct timer *t)
{
	note(t);
	timer_arm(&chained.timer, 0);
}

/* 0 ms is the next turn: never this one, and not a tick later either. */
static void
test_zero_is_next_turn(void **state)
{
	struct probe p = { .number = 1, .timer.fire = arm_chained_now };

	(void)state;
	chained = (struct probe){ .number = 2, .timer.fire = note };
	timer_arm(&p.timer, 0);
	assert_true(timer_sleep(1000) == 0);
	assert_int_equal(p.fired, 0);
	timer_advance();
	assert_int_equal(p.fired, 1);
	assert_int_equal(chained.fired, 0);
	assert_true(timer_sleep(1000) == 0);
	timer_advance();
	assert_int_equal(chained.fired, 1);
	assert_true(timer_sleep(1000) == 1000);
}

static void
test_zero_in_order_of_arming(void **state)
{
	struct probe p[5];
	int i;

	(void)state;
	memset(p, 0, sizeof(p));
	for (i = 0; i < 5; i++) {
		p[i].number = i;
		p[i].timer.fire = note;
		timer_arm(&p[i].timer, 0);
	}
	timer_fake(0);
	assert_int_equal(order_len, 5);
	for (i = 0; i < 5; i++)
		assert_int_equal(order[i], i);
}

/* An idle daemon that sleeps as told wakes exactly once for each timer. */
static void
test_sleep_is_exact(void **state)
{
	static const uint64_t ms[] = { 10, 2550, 2560, 2570, 60 * SECOND,
	    655360, HOUR, 30 * HOUR, 60 * DAY };
	struct probe p = { .timer.fire = note };
	uint64_t sleep;
	size_t i;

	(void)state;
	assert_true(timer_sleep(12345) == 12345);
	for (i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
		timer_arm(&p.timer, ms[i]);
		assert_true(timer_sleep(5) == 5);
		sleep = timer_sleep(UINT64_MAX);
		assert_true(sleep == ms[i]);
		timer_fake(sleep - 1);
		assert_int_equal(p.fired, i);
		assert_true(timer_sleep(UINT64_MAX) == 1);
		timer_fake(1);
		assert_int_equal(p.fired, i + 1);
	}
}

static void
rearm_minute(struct timer *t)
{
	note(t);
	timer_arm(t, 60 * SECOND);
}

/* 120 days: past 2^32 ms twice over, with the count of wake-ups checked. */
static void
test_uptime(void **state)
{
	struct probe p = { .timer.fire = rearm_minute };
	uint64_t start = timer_now();
	time_t wall = timer_wall();
	unsigned int wakeups = 0;

	(void)state;
	timer_arm(&p.timer, 60 * SECOND);
	while (timer_now() < start + 120 * DAY) {
		timer_fake(timer_sleep(DAY));
		wakeups++;
	}
	assert_int_equal(p.fired, 120 * 24 * 60);
	assert_int_equal(wakeups, 120 * 24 * 60);
	assert_true(p.at == start + 120 * DAY);
	assert_true(timer_wall() - wall == 120 * 24 * 3600);
	timer_disarm(&p.timer);
}

static void
test_longest(void **state)
{
	struct probe p = { .timer.fire = note }, q = { .timer.fire = note };

	(void)state;
	timer_arm(&p.timer, UINT64_MAX);
	timer_arm(&q.timer, 1000 * YEAR);
	timer_fake(1000 * YEAR - 10);
	assert_int_equal(q.fired, 0);
	timer_fake(10);
	assert_int_equal(q.fired, 1);
	assert_int_equal(p.fired, 0);
	assert_true(timer_left(&p.timer) > YEAR);
	timer_disarm(&p.timer);
}

static void
test_init_disarms(void **state)
{
	struct probe p = { .timer.fire = note }, q = { .timer.fire = note };

	(void)state;
	timer_arm(&p.timer, HOUR);
	timer_arm(&q.timer, 0);
	timers_init();
	assert_false(timer_armed(&p.timer));
	assert_false(timer_armed(&q.timer));
	timer_fake(DAY);
	assert_int_equal(p.fired + q.fired, 0);
}

/* After a turn that took an hour everything fires, in order, once. */
static void
test_late_turn_real_clock(void **state)
{
	struct probe p = { .number = 1, .timer.fire = note };
	struct probe q = { .number = 2, .timer.fire = note };
	uint64_t start;

	(void)state;
	timers_init();
	start = timer_now();
	assert_true(start > 0);
	timer_arm(&q.timer, 25);
	timer_arm(&p.timer, 15);
	assert_true(timer_sleep(1000) <= 30);
	timer_advance();
	usleep(50000);
	assert_true(timer_sleep(1000) == 0);
	assert_int_equal(p.fired, 0);
	timer_advance();
	assert_int_equal(order_len, 2);
	assert_int_equal(order[0], 1);
	assert_true(p.at == q.at);
	assert_true(p.at >= start + 50);
	assert_true(llabs((long long)(time(NULL) - timer_wall())) <= 1);
	assert_true(timer_usec() / 1000 >= timer_now());
}

/* The slow model: where each timer stands, looked through from end to end. */
#define MODEL	300

static struct model {
	struct timer timer;
	bool armed, zero;
	uint64_t at, due;
} model[MODEL];
static unsigned int model_fired;
static uint64_t seed = 88172645463325252u;

static uint64_t
random_below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static uint64_t
random_ms(void)
{
	static const uint64_t range[] = { 1, 20, 3000, 50 * SECOND, HOUR, DAY,
	    60 * DAY };

	return random_below(range[random_below(7)]);
}

static void
model_arm(struct model *m)
{
	uint64_t ms = random_ms();

	m->armed = true;
	m->zero = ms == 0;
	m->due = timer_now() + ms;
	m->at = m->zero ? m->due : (m->due + 9) / 10 * 10;
	timer_arm(&m->timer, ms);
}

static void
model_disarm(struct model *m)
{
	m->armed = false;
	timer_disarm(&m->timer);
}

static void
model_fire(struct timer *t)
{
	struct model *m = timer_owner(t, struct model, timer);
	int i;

	assert_true(m->armed);
	assert_true(m->at == timer_now());
	for (i = 0; i < MODEL; i++) {
		if (!model[i].armed)
			continue;
		assert_true(model[i].at >= m->at);
		if (model[i].at == m->at && !m->zero && !model[i].zero)
			assert_true(model[i].due >= m->due);
	}
	m->armed = false;
	model_fired++;
	if (random_below(2) == 0)
		model_arm(&model[random_below(MODEL)]);
	if (random_below(4) == 0)
		model_disarm(&model[random_below(MODEL)]);
}

static void
model_check(void)
{
	uint64_t next = UINT64_MAX;
	int i;

	for (i = 0; i < MODEL; i++) {
		assert_int_equal(timer_armed(&model[i].timer),
		    model[i].armed);
		if (!model[i].armed)
			continue;
		assert_true(model[i].at > timer_now());
		assert_true(timer_left(&model[i].timer) ==
		    (model[i].due > timer_now() ?
		    model[i].due - timer_now() : 0));
		if (model[i].at < next)
			next = model[i].at;
	}
	if (next != UINT64_MAX)		/* early after a disarm, never late */
		assert_true(timer_sleep(UINT64_MAX) <= next - timer_now());
}

static void
test_random_against_model(void **state)
{
	unsigned int round, i;

	(void)state;
	memset(model, 0, sizeof(model));
	for (i = 0; i < MODEL; i++)
		model[i].timer.fire = model_fire;
	for (round = 0; round < 20000; round++) {
		for (i = 0; i < 4; i++)
			model_arm(&model[random_below(MODEL)]);
		model_disarm(&model[random_below(MODEL)]);
		timer_fake(random_ms());
		model_check();
	}
	assert_true(model_fired > 20000);
}

/* --- many ------------------------------------------------------------------- */

#define MANY	50000

static void
rearm_keepalive(struct timer *t)
{
	timer_arm(t, 60 * SECOND);
}

static uint64_t
cpu_nsec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Of the longest that there were, the longest first. */
#define LONGEST	10

static void
rank(uint64_t longest[LONGEST], uint64_t took)
{
	for (size_t i = 0; i < LONGEST; i++)
		if (took > longest[i]) {
			uint64_t other = longest[i];

			longest[i] = took;
			took = other;
		}
}

/*
 * The tick with which eleven minutes are over, which comes twice here, is no
 * longer than the others in which timers are dealt out.  One of the longest is
 * forgiven, as the machine may have been busy.
 */
static void
test_no_tick_has_all_of_them(void **state)
{
	static struct timer many[MANY];
	uint64_t longest[LONGEST] = { 0 }, took, ms;

	(void)state;
	memset(many, 0, sizeof(many));
	for (size_t i = 0; i < MANY; i++) {
		many[i].fire = rearm_keepalive;
		timer_arm(&many[i], 1 + random_below(60 * SECOND));
	}
	for (ms = 0; ms < 2 * 655360 + 60 * SECOND; ms += 10) {
		took = cpu_nsec();
		timer_fake(10);
		rank(longest, cpu_nsec() - took);
	}
	print_message("longest: %" PRIu64 ", %" PRIu64 "... %" PRIu64 " us\n",
	    longest[0] / 1000, longest[1] / 1000,
	    longest[LONGEST - 1] / 1000);
	assert_true(longest[1] < 4 * longest[LONGEST - 1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_never_early_one_tick_late, fresh),
		cmocka_unit_test_setup(test_whole_ticks_are_exact, fresh),
		cmocka_unit_test_setup(test_order, fresh),
		cmocka_unit_test_setup(test_look_ahead, fresh),
		cmocka_unit_test_setup(test_rearm_and_disarm, fresh),
		cmocka_unit_test_setup(test_fire_may_free_any, fresh),
		cmocka_unit_test_setup(test_zero_is_next_turn, fresh),
		cmocka_unit_test_setup(test_zero_in_order_of_arming, fresh),
		cmocka_unit_test_setup(test_sleep_is_exact, fresh),
		cmocka_unit_test_setup(test_uptime, fresh),
		cmocka_unit_test_setup(test_longest, fresh),
		cmocka_unit_test_setup(test_init_disarms, fresh),
		cmocka_unit_test_setup(test_late_turn_real_clock, fresh),
		cmocka_unit_test_setup(test_random_against_model, fresh),
		cmocka_unit_test_setup(test_no_tick_has_all_of_them, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
