/*
 * radius.h - RADIUS client: Access-Requests, accounting, servers
 */
#ifndef RADIUS_H
#define RADIUS_H

#include "auth.h"
#include "l2tpns.h"
#include "session.h"

/* Opens what is needed.  False with a reason in err. */
bool radius_init(char *err, size_t errlen);

/* A server is configured: RADIUS is asked, not the secrets file. */
bool radius_configured(void);

/* The configuration changed: servers, ports, secret. */
void radius_reconfigure(void);

/* Access-Request; the verdict goes to session_auth_done(). */
void radius_auth(struct session *, const struct auth_request *);
void radius_auth_cancel(struct session *);

/*
 * One accounting record on its way, for accounting.c, who owns it and all it
 * points to until done() or radius_acct_cancel().  done() says whether a
 * server has it; if not, all tries were in vain.  It never runs from within
 * radius_acct_send().
 */
struct radius_record {
	const uint8_t *attrs;		/* encoded, without Acct-Delay-Time */
	size_t len;
	uint64_t event;			/* ms, timer_now() when it happened */
	uint32_t sid;
	const char *state;		/* for `show radius` */
	void (*done)(struct radius_record *, bool answered);
	struct radius_request *request;	/* radius.c's own */
};
#define RADIUS_RECORD_MAX	4070	/* octets of attrs */

/* False when it cannot be sent now: no server, or too many on their way. */
bool radius_acct_send(struct radius_record *);
void radius_acct_cancel(struct radius_record *);

/*
 * The attributes that Access-Requests and accounting records share: the NAS,
 * the port, the numbers, the tunnel (RFC 2865 5, RFC 2868 3).  What matters
 * most comes first.
 */
struct wr;
void radius_put_session(struct wr *, const struct session *);

/* Requests (of both kinds) that still wait for an answer. */
uint32_t radius_outstanding(void);

/* Names of request states for `show radius`, and its rows. */
struct radius_row {
	uint8_t id;
	const char *state;	/* WAIT CHAP AUTH IPCP START STOP NULL */
	uint32_t sid;
	time_t retry;		/* wall clock of the next try */
	uint8_t tries;
};
bool radius_row(size_t i, struct radius_row *);

/* Ends everything; accounting that still waits is counted as dropped. */
void radius_exit(void);

#endif
