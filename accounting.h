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

/* A record that no server has confirmed, for another process to send. */
struct acct_carry {
	uint8_t kind;			/* 0 Start, 1 Interim-Update, 2 Stop */
	uint32_t sid;
	uint64_t age;			/* ms since it happened */
	const char *id;			/* Acct-Session-Id */
	const uint8_t *attrs;		/* encoded RADIUS attributes */
	size_t len;			/* RADIUS_RECORD_MAX at most */
};
#define ACCT_KINDS	3

/*
 * Calls each() for every record, in the order of each session's; false, at
 * once, when it says false.  What it is given is good during the call.
 */
bool acct_export(bool (*each)(const struct acct_carry *, void *arg),
    void *arg);

/*
 * Takes over one; copies.  False when memory is short, or its session has one
 * of this kind waiting already.
 */
bool acct_resume(const struct acct_carry *);

/* Another process has them all: here they are dropped, and not lost. */
void acct_forget(void);

/* Drops what waits, and counts it: radius_exit() calls it. */
void acct_exit(void);

#endif
