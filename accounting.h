/*
 * accounting.h - Start, Interim-Update and Stop records, and their queue
 *
 * A record is built when the event happens and owns all its data, so the
 * session may be gone long before the server answers.  Records of one
 * session leave in order.  While no server answers they wait, at most
 * `radius_accounting_queue` of them; what is dropped is counted.
 */
#ifndef ACCOUNTING_H
#define ACCOUNTING_H

#include "l2tpns.h"
#include "session.h"

/* Gives the session its Acct-Session-Id: unique over restarts. */
void acct_name(struct session *);

/* All three do nothing unless radius_accounting is on and a server is set. */
void acct_start(struct session *);	/* sets acct_started */
void acct_interim(struct session *);
void acct_stop(struct session *, enum terminate_cause);

/* Records queued or unanswered. */
uint32_t acct_pending(void);

/* Drops what waits, and counts it: radius_exit() calls it. */
void acct_exit(void);

#endif
