/*
 * acctfile.h - usage files: what every subscriber has moved since the last one
 *
 * Every accounting_interval a file in accounting_dir, named after the local
 * time (%Y%m%d%H%M%S): header lines that begin with #, then a line for each
 * subscriber who has sent and received something since the file before:
 *	username ip qos uptxoctets downrxoctets
 * qos is 2 for a throttled session, else 1; up is from the subscriber.
 */
#ifndef ACCTFILE_H
#define ACCTFILE_H

#include "l2tpns.h"

/* Begins to count the time. */
void acctfile_init(void);
void acctfile_exit(void);

/*
 * Is this process the one that writes a file for the daemon?  To be asked
 * first of all in main(), which then ends with *status.
 */
bool acctfile_child(int argc, char *const argv[], int *status);

/*
 * For another process: octets of the session that files have told already,
 * and its other end.
 */
void acctfile_export(const struct session *, uint64_t *rx, uint64_t *tx);
void acctfile_resume(const struct session *, uint64_t rx, uint64_t tx);

/*
 * A user name without blanks and control characters, for a field of a line:
 * these, %, bytes above 126, and a # in front come as %HH.  Returns dst.
 */
#define ACCTFILE_USER	(3 * USER_MAX)
char *acctfile_user(char dst[ACCTFILE_USER], const char *user);

#endif
