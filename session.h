/*
 * session.h - a call from ICRQ to CDN, and all that is undone when it ends
 */
#ifndef SESSION_H
#define SESSION_H

#include "l2tpns.h"

struct auth_result;
struct l2tp_msg;
struct tunnel;

/* Acct-Terminate-Cause, RFC 2866 5.10. */
enum terminate_cause {
	CAUSE_USER_REQUEST = 1, CAUSE_LOST_CARRIER = 2, CAUSE_LOST_SERVICE = 3,
	CAUSE_IDLE_TIMEOUT = 4, CAUSE_SESSION_TIMEOUT = 5,
	CAUSE_ADMIN_RESET = 6, CAUSE_ADMIN_REBOOT = 7, CAUSE_PORT_ERROR = 8,
	CAUSE_NAS_ERROR = 9, CAUSE_NAS_REQUEST = 10, CAUSE_NAS_REBOOT = 11,
	CAUSE_SERVICE_UNAVAILABLE = 15, CAUSE_USER_ERROR = 17
};

/*
 * Ends a session from our side: one LCP Terminate-Request if LCP is up, CDN
 * with result and error (RFC 2661 4.4.2; error 0: none), accounting Stop if
 * a Start was sent, routes and address given back, slot freed at the end of
 * the turn.  Safe to call twice and from inside the session's own callbacks.
 */
void session_shutdown(struct session *, enum terminate_cause,
    uint16_t cdn_result, uint16_t cdn_error, const char *reason);

/* The same without a CDN: the LAC has said CDN or StopCCN, or is gone. */
void session_kill(struct session *, enum terminate_cause, const char *reason);

/*
 * Control messages of calls, in order, from tunnel.c (RFC 2661 7.4.2).
 * session_recv_ICRQ() opens a call or refuses it by CDN; session_recv() is
 * every other message for a session that exists.
 */
void session_recv_ICRQ(struct tunnel *, const struct l2tp_msg *);
void session_recv(struct session *, const struct l2tp_msg *);

/* Adds the loop hook that reaps. */
void session_init(void);

/* Frees what died in this turn; a loop hook, and called by tests. */
void session_reap(void);

/* Frees what the sessions own, before table_free(); nobody is told. */
void session_exit(void);

/*
 * The answer to auth_start(): checks and applies the reply (address, DNS,
 * routes, limits, Class), drops an older session of the same user or address
 * (but for allow_duplicate_users), and tells ppp_auth_result().
 */
void session_auth_done(struct session *, const struct auth_result *);

/* The login is refused, and nobody is asked about it any more. */
void session_auth_refuse(struct session *, const char *why);

/* From ppp.c: IPCP is Opened / is Opened no longer (LCP renegotiates). */
void session_network_up(struct session *);
void session_network_down(struct session *);

/* From ppp.c: LCP came down for good, for this reason; sends the CDN. */
void session_ppp_finished(struct session *, enum terminate_cause,
    const char *reason);

/*
 * Sends one PPP frame to the subscriber: protocol field and address/control
 * as agreed (LCP always in full, RFC 1661 6.5), L2TP header in front.
 * False when it could not be queued.
 */
bool session_send_ppp(struct session *, uint16_t protocol, const void *info,
    size_t len);

/*
 * After a new ip_pool: addresses that are not in it any more need their own
 * routes, those that came into it are taken already.  Some dozens of sessions
 * a turn; done() when that is through.  Another call before that begins anew.
 */
void session_pool_changed(void (*done)(void));

/*
 * Another name for the one that it logs in with; at most USER_MAX - 1 octets.
 * False when the peer has been told that it is in, or has ended.
 */
bool session_set_user(struct session *, const char *user);

/*
 * Into the walled garden: no accounting (a Start that was sent gets its Stop),
 * not in usage files, its address is not kept for it, and the one session a
 * user is not counted.  Out of it: what passed is forgotten, accounting starts
 * and other sessions of the user end, at once or with the login that is under
 * way.  What it is already, it stays.  False when it has ended, by this even,
 * or when that is just being done.
 */
bool session_garden(struct session *, bool on);

/*
 * No IP passes, whatever IPCP says, until it is let go by everybody who holds
 * it; who: a bit for each, several at once if need be.
 */
void session_hold(struct session *, uint32_t who, bool on);

/* The session that was authenticated last as this user (exact), or NULL. */
struct session *session_by_user(const char *user);
/* The next older one of the same user, or NULL. */
struct session *session_next_of_user(const struct session *);
/* The in-use session that owns this address, or NULL. */
struct session *session_by_ip(uint32_t ip);

/*
 * What goes with struct session for another process to carry on, in which
 * last_data and started mean nothing.  Times are ms, counted from the export.
 */
struct session_carry {
	uint64_t age;			/* since accounting started */
	uint64_t idle;			/* since IP passed */
	uint64_t limit_left, interim_left;	/* of timers; 0: not armed */
	uint16_t framed_mtu;
	struct ppp_carry ppp;		/* if SF_OPEN is set; else what is known */
	uint8_t state;			/* of a copy: enum session_state; or 0 */
	bool authenticated;		/* of a copy */
};

/* False unless the session is up with IPCP open, or about to end. */
bool session_export(const struct session *, struct session_carry *);

/* Ends, by CDN, all for which session_export() is false. */
void sessions_settle(const char *reason);

/*
 * Builds a session from these facts in the slot facts->sid: linked to its
 * tunnel, address claimed, routes set, PPP open, timers armed with what is
 * left of them after `passed` ms.  The peers are not told, accounting goes on.
 * NULL, and nothing changed, when slot, ids or address are taken or memory is
 * short.
 */
struct session *session_resume(const struct session *facts,
    const struct session_carry *, uint64_t passed);

/*
 * For another server that has a copy: a session however far it is.  False when
 * it is about to be freed.
 */
bool session_copy(const struct session *, struct session_carry *);

/*
 * The other end: the copy in the slot facts->sid is made, or becomes this; it
 * can be found, has its address and its routes, and nothing of it runs.  What
 * else has its ids or its addresses is older, and is forgotten.  NULL when
 * there is no such tunnel or slot, or memory is short.
 *
 * Octets and packets are not touched: see cluster_forward_counted().
 */
struct session *session_mirror(const struct session *facts,
    const struct session_carry *);

/*
 * The copy begins to run, and the other way round.  Waking what is awake does
 * nothing.  A call that was still being set up goes on where both sides can
 * find together: it waits for its ICCN, or negotiates PPP from the beginning.
 */
void session_wake(struct session *);
void session_rest(struct session *);

/* Takes back session_resume() and session_mirror(): nobody is told. */
void session_forget(struct session *);

/* Log lines that name their tunnel and session: `TT/SS`. */
#define log_session(level, s, ...) \
	log_line(level, (s)->tid, (s)->sid, __VA_ARGS__)

#endif
