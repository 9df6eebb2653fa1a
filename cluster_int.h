/*
 * cluster_int.h - what the files of the cluster's protocol share, and no others
 */
#ifndef CLUSTER_INT_H
#define CLUSTER_INT_H

#include "cluster.h"
#include "cluster_wire.h"

/* --- cluster.c ------------------------------------------------------------- */

/*
 * A datagram of ours to one member, or to all (0): begun in w, which has room
 * for CW_DATAGRAM_MAX; signed and sent.  Members who do not seem to hear the
 * group get a copy of their own.
 */
void cluster_begin(struct wr *, enum cw_kind, uint32_t to);
bool cluster_post(struct wr *, uint32_t to);

uint64_t cluster_changes(void);

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
/* Asks the master for what is missing, now or at the latest in a while. */
void stream_ask(uint32_t master);
/* Which reign's, what is to be seen next; has nothing been missing for long? */
uint32_t stream_their_reign(void);
uint64_t stream_expects(void);
bool stream_is_whole(void);
/* No walk has begun since the copy became incomplete, and one is asked for. */
bool stream_needs_walk(void);

#endif
