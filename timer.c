/*
 * timer.c - monotonic time and the timer wheel
 *
 * The wheel is eight wheels.  Time is counted in ticks of 10 ms; a slot of the
 * first wheel is one tick wide, one of the next as wide as all 256 of the one
 * before.  A timer lies on the lowest wheel whose slots reach as far as its
 * expiry, counted from the slot in which the present tick lies: less than a
 * whole turn ahead, so that no slot means two times.  When time comes to a slot
 * above the first wheel its timers are dealt out again, each some wheels down;
 * a timer moves at most seven times in its life and usually once.  Eight wheels
 * hold any uint64_t, so no interval is too long and nothing wraps after 49.7
 * days.
 *
 * How many timers are dealt out in one go: the slots that hold what is due in
 * seconds and minutes, up to eleven, are 2.56 s wide, so that a million
 * keepalives never cost more than a few milliseconds at a time.  That is why a
 * wheel goes on beyond its last slot at its first.  Were it an odometer, with
 * everything beyond the present eleven minutes on a higher wheel, all of the
 * keepalives would be dealt out in the one tick in which these are over.
 *
 * The `busy` bits are set when a timer is put into a slot but only cleared
 * when somebody finds the slot empty: disarming is then an unlink and nothing
 * else.  For the same reason `first`, the earliest expiry in a slot, may be
 * too early after a disarm, never too late; that costs one idle wake-up.
 *
 * Timers of 0 ms stand in a list of their own, because the next turn may well
 * come within the same tick.
 *
 * Owns:     the clock as read at the top of the turn, and every armed timer's
 *           links.
 * Calls:    the timers' fire().
 * Lifetime: timers_init() once; timers belong to their owners, who disarm
 *           them before they free them.
 */
#include "timer.h"

#define TICK_MS		10
#define DIGIT		8			/* bits of a slot's number */
#define SLOTS		(1u << DIGIT)
#define LEVELS		(64 / DIGIT)
#define WORDS		(SLOTS / 64)

struct slot {
	struct timer *head;
	uint64_t first;			/* tick; while head != NULL */
};

static struct slot wheel[LEVELS][SLOTS];
static uint64_t busy[LEVELS][WORDS];	/* a bit for each slot */
static uint64_t tick;			/* done up to and including this one */

static struct timer *soon;		/* 0 ms: the next turn, newest first */
static struct timer *early;		/* what was in `soon` when it began */
static struct timer *firing[TICK_MS];	/* of one tick, by millisecond */

static void (*ahead_of)(struct timer *);
static void (*ahead)(const struct timer *);

static uint64_t now;			/* ms */
static time_t wall;
static bool fake;
static uint64_t fake_start;
static time_t fake_wall;

static uint64_t
read_clock(clockid_t id, uint64_t per_second)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * per_second +
	    (uint64_t)ts.tv_nsec / (1000000000 / per_second);
}

/* The first tick that is not before `ms`: late by a tick, never early. */
static uint64_t
tick_after(uint64_t ms)
{
	return ms / TICK_MS + (ms % TICK_MS != 0);
}

static void
list_push(struct timer **head, struct timer *t)
{
	t->next = *head;
	if (t->next != NULL)
		t->next->prev = &t->next;
	t->prev = head;
	*head = t;
}

static void
list_unlink(struct timer *t)
{
	*t->prev = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	t->next = NULL;
	t->prev = NULL;
}

/* Fires a whole list; fire() may change what is left of it. */
static void
list_fire(struct timer **head)
{
	struct timer *t;

	while ((t = *head) != NULL) {
		list_unlink(t);
		t->fire(t);
	}
}

/* Slots from the one of the present tick to that of another one. */
static uint64_t
slots_ahead(unsigned int level, uint64_t expiry)
{
	return (expiry >> level * DIGIT) - (tick >> level * DIGIT);
}

/*
 * The highest bit in which the expiry and the present differ says which level
 * is high enough; the one below may be, too.
 */
static unsigned int
level_for(uint64_t expiry)
{
	uint64_t differ = expiry ^ tick;
	unsigned int level = 0;

	if (differ != 0)
		level = (63 - (unsigned int)__builtin_clzll(differ)) / DIGIT;
	while (level > 0 && slots_ahead(level - 1, expiry) < SLOTS)
		level--;
	return level;
}

static void
wheel_put(struct timer *t)
{
	uint64_t expiry = tick_after(t->due);
	unsigned int level = level_for(expiry), n;
	struct slot *s;

	n = (unsigned int)(expiry >> level * DIGIT) & (SLOTS - 1);
	s = &wheel[level][n];
	if (s->head == NULL || expiry < s->first)
		s->first = expiry;
	list_push(&s->head, t);
	busy[level][n / 64] |= UINT64_C(1) << n % 64;
}

/* The first slot with a timer in it, of those whose bits are given in a word. */
static unsigned int
word_next(unsigned int level, unsigned int w, uint64_t bits)
{
	unsigned int n;

	for (bits &= busy[level][w]; bits != 0; bits &= bits - 1) {
		n = w * 64 + (unsigned int)__builtin_ctzll(bits);
		if (wheel[level][n].head != NULL)
			return n;
		busy[level][w] &= ~(UINT64_C(1) << n % 64);
	}
	return SLOTS;
}

/*
 * The first slot of a level that holds a timer, from that of the present tick
 * once round, by the word that it lies in at the end again; SLOTS: none.
 */
static unsigned int
level_next(unsigned int level)
{
	unsigned int from = (unsigned int)(tick >> level * DIGIT) & (SLOTS - 1);
	uint64_t later = UINT64_MAX << from % 64;
	unsigned int w = from / 64, n, i;

	n = word_next(level, w, later);
	for (i = 1; n == SLOTS && i < WORDS; i++)
		n = word_next(level, (w + i) % WORDS, UINT64_MAX);
	return n != SLOTS ? n : word_next(level, w, ~later);
}

/*
 * The slot that comes next, its level and first tick; NULL: all empty.  Of two
 * that begin with the same tick the higher one, so that what it has for that
 * tick is there when the tick is fired.
 */
static struct slot *
wheel_next(unsigned int *level, uint64_t *start)
{
	struct slot *next = NULL;
	unsigned int l, n, present;
	uint64_t begin;

	*level = 0;
	*start = UINT64_MAX;
	for (l = 0; l < LEVELS; l++) {
		n = level_next(l);
		if (n == SLOTS)
			continue;
		present = (unsigned int)(tick >> l * DIGIT);
		begin = ((tick >> l * DIGIT) + ((n - present) & (SLOTS - 1)))
		    << l * DIGIT;
		if (begin > *start)
			continue;
		next = &wheel[l][n];
		*level = l;
		*start = begin;
	}
	return next;
}

/* Deals the timers of a slot above level 0 out to the levels below. */
static void
wheel_deal(struct slot *s)
{
	struct timer *t;

	while ((t = s->head) != NULL) {
		list_unlink(t);
		wheel_put(t);
	}
}

/* Fires a slot of level 0, in the order of the milliseconds asked for. */
static void
wheel_fire(struct slot *s)
{
	struct timer *t;
	unsigned int i;

	while ((t = s->head) != NULL) {
		list_unlink(t);
		if (t->fire == ahead_of)
			ahead(t);
		list_push(&firing[(t->due + TICK_MS - 1) % TICK_MS], t);
	}
	for (i = 0; i < TICK_MS; i++)
		list_fire(&firing[i]);
}

static void
fire_soon(void)
{
	struct timer *t;

	while ((t = soon) != NULL) {	/* turns it round: oldest first */
		list_unlink(t);
		list_push(&early, t);
	}
	list_fire(&early);
}

/* Makes it `ms` o'clock and fires what is due, in order. */
static void
advance_to(uint64_t ms)
{
	uint64_t start, end = ms / TICK_MS;
	unsigned int level;
	struct slot *s;

	now = ms;
	fire_soon();
	while ((s = wheel_next(&level, &start)) != NULL && start <= end) {
		tick = start;
		if (level > 0)
			wheel_deal(s);
		else
			wheel_fire(s);
	}
	tick = end;
}

/*
 * When something is to be done next, in ms; UINT64_MAX: never.  On each level
 * that is in the first slot, and slots of two levels overlap.
 */
static uint64_t
next_event(void)
{
	uint64_t first = UINT64_MAX / TICK_MS;
	unsigned int l, n;

	if (soon != NULL)
		return now;
	for (l = 0; l < LEVELS; l++) {
		n = level_next(l);
		if (n != SLOTS && wheel[l][n].first < first)
			first = wheel[l][n].first;
	}
	return first < UINT64_MAX / TICK_MS ? first * TICK_MS : UINT64_MAX;
}

void
timers_init(void)
{
	unsigned int l, n;

	for (l = 0; l < LEVELS; l++)
		for (n = 0; n < SLOTS; n++)
			while (wheel[l][n].head != NULL)
				list_unlink(wheel[l][n].head);
	for (n = 0; n < TICK_MS; n++)
		while (firing[n] != NULL)
			list_unlink(firing[n]);
	while (early != NULL)
		list_unlink(early);
	while (soon != NULL)
		list_unlink(soon);
	timer_look_ahead(NULL, NULL);
	fake = false;
	now = read_clock(CLOCK_MONOTONIC, 1000);
	wall = time(NULL);
	tick = now / TICK_MS;
}

uint64_t
timer_now(void)
{
	return now;
}

time_t
timer_wall(void)
{
	return wall;
}

uint64_t
timer_usec(void)
{
	return read_clock(CLOCK_MONOTONIC, 1000000);
}

void
timer_arm(struct timer *t, uint64_t ms)
{
	timer_disarm(t);
	if (ms > UINT64_MAX - TICK_MS - now)
		ms = UINT64_MAX - TICK_MS - now;
	t->due = now + ms;
	if (ms == 0)
		list_push(&soon, t);
	else
		wheel_put(t);
}

void
timer_look_ahead(void (*fire)(struct timer *),
    void (*fetch)(const struct timer *))
{
	ahead_of = fire;
	ahead = fetch;
}

void
timer_disarm(struct timer *t)
{
	if (t->prev != NULL)
		list_unlink(t);
}

uint64_t
timer_left(const struct timer *t)
{
	return timer_armed(t) && t->due > now ? t->due - now : 0;
}

void
timer_read(void)
{
	if (fake)
		return;
	wall = time(NULL);
	now = read_clock(CLOCK_MONOTONIC, 1000);
}

void
timer_advance(void)
{
	timer_read();
	advance_to(now);
}

/*
 * Measured from the clock itself, not from the top of the turn: a long turn
 * must not make the next timer later still.
 */
uint64_t
timer_sleep(uint64_t max)
{
	uint64_t at = next_event(), from;

	if (at == UINT64_MAX)
		return max;
	from = fake ? now : read_clock(CLOCK_MONOTONIC, 1000);
	if (at <= from)
		return 0;
	return at - from < max ? at - from : max;
}

void
timer_fake(uint64_t ms)
{
	uint64_t at, target;

	if (!fake) {
		fake = true;
		fake_start = tick_after(read_clock(CLOCK_MONOTONIC, 1000)) *
		    TICK_MS;
		fake_wall = time(NULL);
		wall = fake_wall;
		advance_to(fake_start);
	}
	target = now + ms;
	do {
		at = next_event();
		if (at > target)
			at = target;
		wall = fake_wall + (time_t)((at - fake_start) / 1000);
		advance_to(at);
	} while (at < target || soon != NULL);
}
