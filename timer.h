/*
 * timer.h - monotonic time and the timer wheel
 *
 * Time is read once a turn: timer_advance() takes the clock and fires what is
 * due.  All intervals are milliseconds of CLOCK_MONOTONIC, so that no step of
 * the wall clock moves a timer.  Arming, re-arming and disarming cost the
 * same whatever the number of timers; firing may be late by one wheel tick
 * (10 ms) but is never early.
 */
#ifndef TIMER_H
#define TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/*
 * One timer, embedded in what it belongs to; all zero is a valid, unarmed
 * timer whose `fire` is still to be set.  fire() runs with the timer already
 * disarmed and may arm it again, or arm and disarm any other.
 */
struct timer {
	struct timer *next, **prev;	/* prev != NULL: armed */
	uint64_t due;			/* ms, on timer_now()'s scale */
	void (*fire)(struct timer *);
};

/* The struct of the given type that holds this timer as `member`. */
#define timer_owner(t, type, member) \
	((type *)((char *)(t) - offsetof(type, member)))

/*
 * Disarms every timer, goes back to the real clock and reads it.  Call before
 * anything else; a test may call it again for a fresh start.
 */
void timers_init(void);

/* Milliseconds since an arbitrary start, as read at the top of this turn. */
uint64_t timer_now(void);

/* Wall clock in whole seconds, as read at the top of this turn. */
time_t timer_wall(void);

/* Microseconds of CLOCK_MONOTONIC, read now: for measuring, not deciding. */
uint64_t timer_usec(void);

/* Fires `ms` from now (0: in the next turn); moves it if already armed. */
void timer_arm(struct timer *, uint64_t ms);

/*
 * Of timers with this fire() there are so many that each is out of the cache:
 * ahead() is called for every one of a tick before the first of them fires, to
 * fetch what it will touch.  For one fire() only; NULL, NULL ends it.
 */
void timer_look_ahead(void (*fire)(struct timer *),
    void (*ahead)(const struct timer *));

/* Nothing happens if it is not armed. */
void timer_disarm(struct timer *);

static inline bool
timer_armed(const struct timer *t)
{
	return t->prev != NULL;
}

/* Milliseconds until it fires, 0 when due or not armed. */
uint64_t timer_left(const struct timer *);

/* Reads the clock, as timer_advance() does, and fires nothing yet. */
void timer_read(void);

/* Reads the clock and fires everything that is due. */
void timer_advance(void);

/* How long select() may sleep: ms until the next timer, at most `max`. */
uint64_t timer_sleep(uint64_t max);

/*
 * For tests: from now on time stands still but for what is passed here;
 * moves it by `ms`, and fires what is due on the way, in order, each with
 * timer_now() at the tick on which it fires.  The first call rounds the clock
 * up to a whole tick, so that after timer_fake(0) a timer armed for a multiple
 * of 10 ms fires on the millisecond.
 */
void timer_fake(uint64_t ms);

#endif
