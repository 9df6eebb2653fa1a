/*
 * cleanup.c - regular housekeeping, every cleanup_interval
 *
 * What a server under pressure does not do (datagrams that the kernel drops,
 * calls it refuses, records it loses) is counted where it happens, and not
 * logged there: it happens by the thousand, when there is no time.  Every
 * cleanup_interval this file looks at what has come together since and logs a
 * line for each kind.  The same goes for a loop that stood still and for
 * descriptors that somebody closed behind its back.
 *
 * Whatever else is regular has timers of its own: half-open tunnels, dead
 * sessions, RADIUS ids and sockets are not left lying until a clean-up.
 *
 * Owns:     the counters as they were last time.
 * Calls:    counters, loop, log, notify.
 * Lifetime: cleanup_init() to the end of the process.
 */
#include "cleanup.h"

#include <inttypes.h>
#include <stdio.h>

#include "counters.h"
#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "table.h"
#include "timer.h"

#define EVERY_MS	1000
#define STALL_USEC	100000	/* a turn this long is worth a line */

/* What tells of overload or of a fault; the row's help is the text. */
static const size_t watched[] = {
#define WATCH(name)	offsetof(struct counters, name)
	WATCH(tunnel_rx_dropped), WATCH(tunnel_tx_errors),
	WATCH(eth_rx_errors), WATCH(eth_tx_errors), WATCH(sccrq_limited),
	WATCH(tunnel_overflow), WATCH(session_limited),
	WATCH(session_overflow), WATCH(radius_overflow), WATCH(acct_dropped),
	WATCH(ip_exhausted), WATCH(throttle_no_memory), WATCH(snoop_errors),
#undef WATCH
};

static struct counters last;
static uint64_t last_run, last_stall, last_bad_fds;
static struct timer timer;

static uint64_t
at(const struct counters *c, size_t off)
{
	return *(const uint64_t *)((const char *)c + off);
}

static const char *
help_of(size_t off)
{
	for (size_t i = 0; i < counter_rows_n; i++)
		if (counter_rows[i].off == off)
			return counter_rows[i].help;
	return "";
}

/* That anybody is intercepted is not for every listener. */
static void
report(size_t off, uint64_t n, uint64_t seconds)
{
	static struct log_limit limit;
	static const char fmt[] = "in the last %" PRIu64 " s: %" PRIu64 " %s";

	if (off == offsetof(struct counters, snoop_errors))
		log_limited_private(&limit, LOG_L_WARN, 0, 0, fmt, seconds, n,
		    help_of(off));
	else
		log_warn(fmt, seconds, n, help_of(off));
}

static void
report_overload(uint64_t seconds)
{
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		uint64_t now = at(&counters, watched[i]);
		uint64_t before = at(&last, watched[i]);

		/* Cleared since: what is there now is new. */
		if (now < before)
			before = 0;
		if (now > before)
			report(watched[i], now - before, seconds);
	}
	last = counters;
}

static void
report_loop(void)
{
	uint64_t stall = loop_stall_usec(), bad = loop_bad_fds();

	if (stall > STALL_USEC && stall > last_stall)
		log_warn("the loop stood still for %" PRIu64 " ms",
		    stall / 1000);
	if (bad > last_bad_fds)
		log_error("%" PRIu64 " descriptors were closed while they "
		    "were watched", bad - last_bad_fds);
	last_stall = stall;
	last_bad_fds = bad;
}

void
cleanup_run(void)
{
	char status[64];

	report_overload((timer_now() - last_run + 500) / 1000);
	report_loop();
	snprintf(status, sizeof(status), "%u sessions on %u tunnels",
	    table_sessions(), table_tunnels());
	notify_status(status);
	last_run = timer_now();
}

/* Each second, so that a shorter interval holds at once. */
static void
tick(struct timer *t)
{
	timer_arm(t, EVERY_MS);
	if (timer_now() - last_run >= (uint64_t)lns.config.cleanup_interval *
	    1000)
		cleanup_run();
}

void
cleanup_init(void)
{
	last = counters;
	last_run = timer_now();
	last_stall = loop_stall_usec();
	last_bad_fds = loop_bad_fds();
	timer.fire = tick;
	timer_arm(&timer, EVERY_MS);
}
