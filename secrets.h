/*
 * secrets.h - the embedded default: subscribers in ppp-secrets
 *
 * Syntax of pppd's chap-secrets: client, server, secret, then addresses,
 * separated by blanks; `*` matches any client or server; "" quotes; # starts
 * a comment.  The best match wins: exact names before wildcards.
 */
#ifndef SECRETS_H
#define SECRETS_H

#include "auth.h"
#include "config.h"

/*
 * Reads the file; what was loaded before stays if it cannot be read.
 * Faults as config_load().  -1 when unreadable or missing.
 */
int secrets_load(const char *path, config_fault_fn *, void *arg);

/* The same from memory; `file` is for the faults. */
int secrets_parse(const char *file, const char *text, size_t len,
    config_fault_fn *, void *arg);

/* Checks PAP or CHAP-MD5 (RFC 1994) against it. */
void secrets_check(const struct auth_request *, const char *server,
    struct auth_result *);

uint32_t secrets_count(void);
void secrets_clear(void);

#endif
