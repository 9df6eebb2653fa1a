/*
 * cluster_int.h - what the files of the cluster's protocol share, and no others
 */
#ifndef CLUSTER_INT_H
#define CLUSTER_INT_H

#include "cluster.h"
#include "cluster_member.h"
#include "cluster_wire.h"
#include "l2tpns.h"
#include "timer.h"

#define ADDR(a)		(a) >> 24, (a) >> 16 & 255, (a) >> 8 & 255, (a) & 255
#define ADDR_FMT	"%u.%u.%u.%u"

/* Times are in milliseconds, on timer_now()'s scale. */

static inline uint64_t
interval(void)
{
	return (uint64_t)lns.config.cluster_hb_interval * 100;
}

/*
 * `set` complains of less than three intervals, and keeps it: a master would
 * find itself too late between two heartbeats.
 */
static inline uint64_t
timeout(void)
{
	uint64_t ms = (uint64_t)lns.config.cluster_hb_timeout * 100;

	return ms < 3 * interval() ? 3 * interval() : ms;
}

static inline uint64_t
since(uint64_t then)
{
	return timer_now() > then ? timer_now() - then : 0;
}

/* Heard lately enough to be counted on. */
static inline bool
is_fresh(const struct member *m)
{
	return since(m->heard) < 4 * interval();
}

/* --- cluster.c: who is master ------------------------------------------------ */

/* What this server says of itself. */
struct cw_state cluster_state(void);

/* What a member has just said that we believe: m->state. */
void cluster_heard_heartbeat(struct member *);
void cluster_heard_ping(struct member *);

/*
 * Part of a stream, after so many changes: false if its sender is not our
 * master.
 */
bool cluster_heard_stream(const struct member *, uint64_t changes);

/* Its process has ended; another one has its address. */
void cluster_heard_restart(const struct member *);

uint64_t cluster_changes(void);

/* --- cluster_talk.c: what members say to each other -------------------------- */

/* This process begins: with an epoch of its own. */
void talk_init(void);

/* False without a secret, unless that is wanted. */
bool talk_allowed(void);

/* A ping or heartbeat of ours, to one member or to all (0). */
void talk_say_state(uint32_t to);

/*
 * A datagram of ours to one member, or to all (0): begun in w, which has room
 * for CW_DATAGRAM_MAX; signed and sent.  Members who do not seem to hear the
 * group get a copy of their own.
 */
void talk_begin(struct wr *, enum cw_kind, uint32_t to);
bool talk_post(struct wr *, uint32_t to);

/* --- cluster_stream.c ------------------------------------------------------ */

/* This process begins; nothing was sent, nothing is followed. */
void stream_init(void);

/* Master: a reign of ours begins; its number. */
uint32_t stream_reign(void);
void stream_begin_reign(void);
/*
 * Nobody follows any more, and changes are not sent: who comes back must not
 * take what it has for complete.
 */
void stream_skip(void);
/* What comes next, what can still be sent again. */
uint64_t stream_next(void);
uint64_t stream_oldest(void);
/* A member asks for some of it again: the value of CW_F_RESEND. */
void stream_resend(uint32_t to, struct rd *asked);
/*
 * A member who expects this number next wants a walk: one is begun, if none is
 * on its way to it.
 */
void stream_wants_walk(uint64_t expects);

/* Slave: follows another stream from now on. */
void stream_follow(uint32_t reign, uint64_t next);
/* A heartbeat said that there is more, and how much of the past there is. */
void stream_told(uint64_t next, uint64_t oldest);
/* A datagram of it, past its CW_F_STREAM. */
void stream_input(const struct cw_stream *, const struct rd *records);
/* Becomes master: what has come early is taken without what it waited for. */
void stream_finish(void);
/* Asks the master for what is missing, now or at the latest in a while. */
void stream_ask(uint32_t master);
/* Which reign's, what is to be seen next; has nothing been missing for long? */
uint32_t stream_their_reign(void);
uint64_t stream_expects(void);
bool stream_is_whole(void);
/* No walk has begun since the copy became incomplete, and one is asked for. */
bool stream_needs_walk(void);

#endif
