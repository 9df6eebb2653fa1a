/*
 * replica.h - the copy of tunnels and sessions that every member has
 *
 * On the master: what changes is marked, and put into the stream at the end of
 * the turn.  On a slave: records make and change entries at the same slots, in
 * which nothing runs: no timers, no retransmission, no PPP.  Becoming master
 * wakes them.
 */
#ifndef REPLICA_H
#define REPLICA_H

#include "cluster.h"
#include "l2tpns.h"

/*
 * This tunnel or session is not what it was: called by the machines wherever
 * they change something that another server would have to know.  Costs a test
 * without a cluster.  replica_gone functions: the slot is about to be freed.
 */
void replica_tunnel_changed(const struct tunnel *);
void replica_session_changed(const struct session *);
void replica_tunnel_gone(const struct tunnel *);

/* A tunnel's Ns, Nr or queue, and nothing else. */
void replica_numbers_changed(const struct tunnel *);
void replica_session_gone(const struct session *);

/* --- called by cluster.c ------------------------------------------------- */

/* Once, after the tables are there. */
void replica_init(void);
void replica_exit(void);

/* Master, at the end of a turn: everything marked goes to cluster_stream(). */
void replica_drain(void);

/*
 * Master: somebody has not got everything; from now on all tunnels and sessions
 * go through the stream, between CLUSTER_WALK_BEGIN and _END, a little in each
 * turn and never so much that packets have to wait.  Asked again during a walk:
 * another one follows it.
 */
void replica_walk(void);

/*
 * Slave: the next record of the stream, none missing in between.  False if it
 * makes no sense, and the copy can no longer be trusted.
 */
bool replica_record(enum cluster_record, struct rd *body);

/* Slave: something is missing, or another master's stream begins. */
void replica_lost(void);

/*
 * Slave: a whole walk has been seen, and nothing is missing since: the copy
 * has every tunnel and session in use.
 */
bool replica_up_to_date(void);
/*
 * Slave: some of it had no place here, a while ago.  It is asked for everything
 * again, as it may fit by now.
 */
bool replica_wants_walk(void);
/* Which it misses, as far as it knows, for `show cluster`. */
void replica_undefined(uint32_t *sessions, uint32_t *of_sessions,
    uint32_t *tunnels, uint32_t *of_tunnels);
/* Changes marked and not yet in the stream. */
uint32_t replica_queued(void);

/*
 * Slave becomes master: everything wakes.  Tunnels go on with their Ns and Nr,
 * queued messages go out again.  Calls that were being set up go on: PPP that
 * was not through begins anew, so RADIUS is asked again; without an ICCN they
 * end with a CDN after a while.  Accounting records that no server has
 * confirmed are sent.  Long tables are woken a part in each turn, and the
 * tunnel that a message comes for at once (replica_wake()).
 */
void replica_promote(void);
bool replica_waking(void);
void replica_wake(struct tunnel *);

/*
 * Master becomes slave: nothing runs any more, nobody is told, and what there
 * is stays until the new master's stream says otherwise.
 */
void replica_demote(void);

#endif
