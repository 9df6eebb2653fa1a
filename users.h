/*
 * users.h - who may use the command line, and with what password
 *
 * The file `users` has a line NAME:PASSWORD for each.  The password is a hash
 * that crypt(5) knows, or {crypt} and a DES hash, or plain text; the name
 * `enable` holds the password of privileged mode and is nobody's login.
 *
 * Hashing costs milliseconds on purpose, so it never happens in the loop: the
 * daemon asks users_question() and hands the answer to a process of its own,
 * in which users_verify() says yes or no.
 */
#ifndef USERS_H
#define USERS_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

#define USERS_ENABLE	"enable"
#define USERS_NAME	64	/* with NUL */
#define USERS_PASSWORD	512	/* with NUL; as much as crypt(3) takes */
#define USERS_QUESTION	2048

/*
 * Reads the file.  Faults as config_load(); each costs one entry.  -1 when
 * there is such a file but it cannot be read: then those that were loaded
 * before stay, and nobody else is let in.
 */
int users_load(const char *path, config_fault_fn *, void *arg);

/* The same from memory; the text is written to, text[len] included. */
int users_parse(const char *file, char *text, size_t len, config_fault_fn *,
    void *arg);

/* No file: whoever reaches the command line is let in. */
void users_clear(void);

/* Is there a file with users, or a broken one: must one log in? */
bool users_wanted(void);

/* Is there a password of privileged mode? */
bool users_have_enable(void);

/*
 * Writes into dst what users_verify() needs to compare the password with that
 * of the user; *known says whether yes would count.  An unknown or disabled
 * user makes a question too, as costly as the others.  Returns its length, 0
 * when the password is longer than any can be.  Wipe dst after use.
 */
size_t users_question(const char *name, const char *password, char *dst,
    size_t size, bool *known);

/* Is it the password?  Takes its time; for another process than the daemon. */
bool users_verify(const char *question, size_t len);

#endif
