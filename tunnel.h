/*
 * tunnel.h - L2TP tunnels: intake of control messages, state, tear-down
 */
#ifndef TUNNEL_H
#define TUNNEL_H

#include "idmap.h"
#include "l2tp_avp.h"
#include "l2tpns.h"
#include "ratelimit.h"
#include "tunnel_ctl.h"

/* This process's own part of a tunnel. */
struct tunnel_local {
	struct ctl ctl;
	struct timer hello;		/* 60 s of silence: RFC 2661 5.5 */
	struct timer life;		/* half-open limit, or end of closing */
	uint8_t challenge[16];		/* ours, when we challenged */
	bool challenged;
	bool answered;			/* the peer has been heard after SCCRP */
	struct token_bucket icrq_rate;
	bool opening;			/* SCCRP was queued */
	bool dying;			/* freed at the end of the turn */
	struct timer drain;		/* until its sessions have ended */
	const char *gone;		/* why they do; NULL: they do not */
	bool lost;			/* then the tunnel is freed at once */
	uint64_t answered_at;		/* ms */
	uint64_t stop_at;		/* ms: StopCCN then; 0: not dropped */
	uint32_t octets_in, octets_out;	/* until answered: amplification */
	uint32_t first_sid;		/* list of its sessions */
	uint32_t starting;		/* of these, counted in max_starting */
	struct idmap ids;		/* local session id -> sid */
	struct idmap peer_ids;		/* the peer's session id -> sid */
	uint32_t next_same;		/* tid: chain of equal peer hashes */
	struct tunnel_list *list;	/* that it is on, or NULL */
	uint32_t list_prev, list_next;	/* tids */
	bool asleep;			/* a copy of what another server has */
	uint16_t seen;			/* replica.c: in which of its walks */
	bool told;			/* slaves have heard of it, */
	uint16_t streamed;		/* up to which Ns, and with these */
	uint16_t said_una, said_high, said_Nr;
};

/* Adds the loop hook that reaps. */
void tunnel_init(void);

/* Frees what the tunnels own, before table_free(); nothing is sent. */
void tunnel_exit(void);

/* One control datagram, header decoded; see forward.c. */
void tunnel_input(const struct peer *, const struct l2tp_header *,
    const uint8_t *buf, size_t len);

/*
 * Data path: the tunnel whose local_id this is, or NULL; and the session of
 * that local_id inside it, or NULL.  One probe each as a rule.
 */
struct tunnel *tunnel_by_local_id(uint16_t id);
struct session *tunnel_session(const struct tunnel *, uint16_t local_id);

/* Frees what died in this turn; a loop hook, and called by tests. */
void tunnel_reap(void);

/*
 * Sends a session's message over its tunnel: built by the caller with
 * l2tp_msg_begin(tunnel->peer_id, ...).
 */
bool tunnel_send(struct tunnel *, const void *msg, size_t len);

/*
 * Ends a tunnel: every session is shut down (CDN each if `each`), StopCCN
 * with result and error, then the slot is kept for repeats and freed.
 */
void tunnel_shutdown(struct tunnel *, uint16_t result, uint16_t error,
    const char *reason, bool each);

/*
 * What `drop tunnel` asks for: every session gets its CDN, new calls are
 * refused, and 10 s later the StopCCN follows.  False when it is closing
 * already, for whatever reason.
 */
bool tunnel_drop(struct tunnel *);

/* It is closing, or will be: no call may begin. */
bool tunnel_dropped(const struct tunnel *);

/* The session that the peer knows by this id of its own, or NULL. */
struct session *tunnel_peer_session(const struct tunnel *, uint16_t peer_id);

/*
 * Links a session to its tunnel under a fresh random local_id and under its
 * peer_id, which no other session of the tunnel has.
 */
bool tunnel_add_session(struct tunnel *, struct session *);
void tunnel_remove_session(struct tunnel *, struct session *);

/*
 * Before the process hands its tunnels to another one: those that are only
 * half open, or dropped, get their StopCCN, and acknowledgements do not wait.
 */
void tunnels_settle(const char *reason);

/*
 * What goes with struct tunnel for another process to carry on; the queued
 * messages by ctl_queued().  False: there is nothing to carry on with.
 */
bool tunnel_export(const struct tunnel *, struct ctl_carry *);

/*
 * For another server that has a copy: a tunnel in any state.  False when it
 * is of no use to anybody: about to be freed, or only half open while so many
 * are that somebody may be forging them.
 */
struct tunnel_stage {
	uint8_t state;			/* enum tunnel_state */
	bool lost;			/* its sessions end, then it goes */
	bool answered;
	uint8_t challenge_len;		/* 0: we did not challenge */
	uint8_t challenge[16];
	uint64_t stop_left;		/* ms until it is dropped; 0: it is not */
};
bool tunnel_copy(const struct tunnel *, struct ctl_carry *,
    struct tunnel_stage *);

/*
 * The other end: the copy in the slot of facts->tid is made, or becomes this,
 * with an empty queue.  Whatever else has its ids or its slot is older, and is
 * forgotten.  Nothing of it runs.  NULL when there is no such slot, or memory
 * is short.
 */
struct tunnel *tunnel_mirror(const struct tunnel *facts,
    const struct ctl_carry *, const struct tunnel_stage *);

/*
 * The copy begins to run, and the other way round.  Waking what is awake does
 * nothing.  tunnel_asleep() says which it is.
 */
void tunnel_wake(struct tunnel *);
void tunnel_rest(struct tunnel *);
bool tunnel_asleep(const struct tunnel *);

/*
 * An established tunnel in the slot of facts->tid, without sessions; queued
 * messages then go in by ctl_send().  NULL when the slot or the local_id is
 * taken, or memory is short.
 */
struct tunnel *tunnel_resume(const struct tunnel *facts,
    const struct ctl_carry *);

/* Links a session with its own local_id; false when one of its ids is taken. */
bool tunnel_resume_session(struct tunnel *, struct session *);

/*
 * Takes back tunnel_resume() and tunnel_mirror(), and its sessions with it;
 * nothing is said to the peer.
 */
void tunnel_forget(struct tunnel *);

/* How many are established. */
uint32_t tunnels_established(void);

/* Free Opening Open Dieing, as the manual spells them. */
const char *tunnel_state_name(const struct tunnel *);

/* All tunnels: shut down for exit; true when nothing is left to wait for. */
void tunnels_shutdown(const char *reason);
bool tunnels_quiet(void);

/* Log lines that name their tunnel: `TT/00`. */
#define log_tunnel(level, t, ...) log_line(level, (t)->tid, 0, __VA_ARGS__)

#endif
