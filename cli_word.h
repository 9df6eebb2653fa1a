/*
 * cli_word.h - words: what people type, and what texts look like in lists
 */
#ifndef CLI_WORD_H
#define CLI_WORD_H

#include "l2tpns.h"

/* A decimal number from 1 to max, nothing else. */
bool word_number(const char *word, uint64_t max, uint32_t *n);

/*
 * The latest session of this user: the name as it is, or as lists show it,
 * with \xHH in it.  NULL when there is none.
 */
struct session *word_user(const char *word);

/*
 * A user, or else a session id, as above; NULL when there is neither.  What
 * is a connected user is that one, even if it is a number.
 */
struct session *word_session(const char *word);

/* What log_escape() wrote as it was before; returns its length. */
size_t word_unescape(char *dst, size_t size, const char *escaped);

/*
 * The inside of a JSON string, in ASCII: UTF-8 as \uXXXX, an octet that is
 * not UTF-8 as the \u00XX of its value; cut at size.  Returns dst.
 */
char *word_json(char *dst, size_t size, const void *octets, size_t len);
#define JSON_TEXT	7296		/* for 1200 octets of any kind */

/* "192.0.2.7"; returns dst, of at least IP_TEXT. */
#define IP_TEXT	16
char *ip_text(char *dst, uint32_t ip);

/* Seconds since a time of the wall clock; 0 if that is still to come. */
uint64_t seconds_since(time_t);

/* Since there was traffic, or else since the session was opened. */
uint64_t seconds_idle(const struct session *);

#endif
