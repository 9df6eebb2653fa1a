/*
 * throttle.h - a session at a lower speed than its line
 *
 * Each direction of a throttled session has a token bucket and a queue of at
 * most 100 ms at its rate.  Rates are kbit/s of 1000 bits and count octets of
 * IP.  `in` is from the subscriber, `out` to the subscriber.
 */
#ifndef THROTTLE_H
#define THROTTLE_H

#include "l2tpns.h"

#define THROTTLE_MAX	100000000	/* kbit/s, as of throttle_speed */

/*
 * Sets both rates, 0 for full speed; sets or clears SF_THROTTLE and the
 * session's facts.  What waits in a queue goes on at the new rate, or at once.
 * False, and nothing changed, when memory runs out or the session is dying.
 */
bool throttle_set(struct session *, uint32_t in, uint32_t out);

/* Frees what session_local holds of it; the session is about to be freed. */
void throttle_stop(struct session *);

/* One row of `show throttle`. */
struct throttle_row {
	uint32_t sid;
	bool out;			/* to the subscriber */
	uint32_t rate;			/* kbit/s */
	uint32_t credit;		/* octets that may go at once */
	uint32_t queued;		/* packets waiting */
	uint64_t octets_in, packets_in;	/* came, */
	uint64_t octets_out, packets_out;	/* passed on, */
	uint64_t dropped, delayed;	/* dropped, and made to wait */
};

/*
 * The rows of one session: number 0 in, 1 out; false if that direction has
 * full speed.
 */
bool throttle_row(const struct session *, int n, struct throttle_row *);

/* How many sessions are throttled. */
uint32_t throttle_sessions(void);

/* --- for forward.c --------------------------------------------------------- */

/*
 * A packet of a session with SF_THROTTLE.  True: it may go on now.  False: it
 * was copied and comes back by forward_release(), or was dropped and counted.
 * What waits in front of it and may go by now goes before.
 */
bool throttle_pass(struct session *, bool out, const uint8_t *ip, size_t len);

/* What was given to forward_release() is needed no more. */
void throttle_flushed(void);

#endif
