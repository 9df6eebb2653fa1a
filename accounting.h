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
	uint64_t number;		/* in a cluster: tells it from others */
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

/*
 * For the slaves of a cluster.  With acct_follow(true) each record has a
 * number, is kept back until the next turn, so that they know of it before a
 * RADIUS server does, and is told: acct_told_new() gives those not told yet,
 * acct_told_gone() those that were, and need no longer be kept.  False: there
 * are no more.  After acct_tell_all() all of them are told again.
 */
void acct_follow(bool);
void acct_tell_all(void);
bool acct_told_new(struct acct_carry *);
struct acct_gone {
	uint64_t number;
	uint8_t kind;
	char id[24];
};
bool acct_told_gone(struct acct_gone *);
uint32_t acct_untold(void);

/*
 * And their end.  Held: nothing leaves for RADIUS, what was on its way is
 * waiting again; not held: it goes on.  acct_mirror() keeps a copy, in place
 * of an older one of that kind; `walk` is remembered, and acct_mirror_sweep()
 * drops those of other walks.
 */
void acct_hold(bool);
bool acct_mirror(const struct acct_carry *, uint32_t walk);
void acct_mirror_gone(const struct acct_gone *);
void acct_mirror_sweep(uint32_t walk);

/* Another process has them all: here they are dropped, and not lost. */
void acct_forget(void);

/* Drops what waits, and counts it: radius_exit() calls it. */
void acct_exit(void);

#endif
