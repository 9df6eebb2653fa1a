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

/* The configuration changed: servers, ports, secret. */
void radius_reconfigure(void);

/* Access-Request; the verdict goes to session_auth_done(). */
void radius_auth(struct session *, const struct auth_request *);
void radius_auth_cancel(struct session *);

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
