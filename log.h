/*
 * log.h - log lines with level, tunnel and session, rate limited
 *
 * A line in a file or on stderr reads
 *	2026-11-22 10:11:12 INFO 07/12 text
 * and syslog gets "07/12 text" with priority level+2, ident "l2tpns".
 * Control characters in the text are escaped, so nothing that came from the
 * network can forge a line.  Logging never blocks and never fails loudly.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum log_level {
	LOG_L_CRIT,	/* things are probably broken */
	LOG_L_ERROR,	/* went wrong, probably recovers */
	LOG_L_WARN,
	LOG_L_INFO,	/* parameters of control packets */
	LOG_L_CALL,	/* execution trace */
	LOG_L_DATA,	/* every packet, with a hex dump */
	LOG_LEVELS
};

/* The word for a level: CRIT ERROR WARN INFO CALL DATA. */
const char *log_level_name(enum log_level);

/*
 * Lines above this level are not written.  0..5, the config key `debug`;
 * before it is known, LOG_L_WARN.
 */
void log_set_level(int level);
int log_get_level(void);

/*
 * Where lines go: "" or NULL is stderr, a path beginning with '/' is opened
 * for append, "syslog:FACILITY" is syslog.  On failure stderr is used and
 * false returned with a reason in err.
 */
bool log_open(const char *where, char *err, size_t errlen);

/*
 * Closes and opens the log again by the same name (SIGHUP, logrotate).  If
 * that fails the old one stays in use.
 */
void log_reopen(void);

/*
 * Gives the log's file to user uid, who will have to open it again; no other
 * file than one that is ours.
 */
void log_give(uid_t uid);

/* The socket of syslogd, /dev/log; a test puts its own here. */
extern const char *log_syslog_path;

/*
 * One of any number of listeners (the CLI's `debug`), each with levels of its
 * own, whatever is written; it belongs to the caller, who keeps it alive until
 * log_unlisten().  line() may log, which no listener hears, and may end its own
 * listening but nobody else's.  Listening twice is listening once.
 */
struct log_listener {
	bool trusted;			/* hears log_private() too */
	void (*line)(struct log_listener *, enum log_level, uint32_t tid,
	    uint32_t sid, const char *text);
	unsigned int levels;		/* 1 << LOG_L_CRIT | ... */
	struct log_listener *next;	/* the log's own */
};
void log_listen(struct log_listener *);
void log_unlisten(struct log_listener *);

/*
 * One line about tunnel tid and session sid (0: none).  Control characters
 * and bytes above 126 in the text are escaped; a backslash is not, so that
 * the result of log_escape() may be part of it.  Keeps errno.
 */
void log_line(enum log_level, uint32_t tid, uint32_t sid,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * A line that the operator has asked for by a key of its own: an INFO line
 * that is written whatever the level.
 */
void log_asked(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A line about who did what to this server or to a subscriber, or tried to: a
 * WARN line that is written whatever the level.
 */
void log_audit(uint32_t tid, uint32_t sid, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same about an interception: only listeners that are trusted hear it. */
void log_private(uint32_t tid, uint32_t sid, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_crit(...)	log_line(LOG_L_CRIT, 0, 0, __VA_ARGS__)
#define log_error(...)	log_line(LOG_L_ERROR, 0, 0, __VA_ARGS__)
#define log_warn(...)	log_line(LOG_L_WARN, 0, 0, __VA_ARGS__)
#define log_info(...)	log_line(LOG_L_INFO, 0, 0, __VA_ARGS__)
#define log_call(...)	log_line(LOG_L_CALL, 0, 0, __VA_ARGS__)

/*
 * A hex dump at level 5, file and stderr only; costs one compare when off.
 */
void log_hex(uint32_t tid, uint32_t sid, const char *title,
    const void *data, size_t len);

/*
 * Rate limit for lines that a peer can cause: at most one line a second for
 * each cause, and the next one says how many were held back.  `struct
 * log_limit` is static at the call site, all zero at first.
 */
struct log_limit {
	uint64_t next;		/* ms, when the next line may go */
	uint32_t held;
};
void log_limited(struct log_limit *, enum log_level, uint32_t tid,
    uint32_t sid, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void log_limited_private(struct log_limit *, enum log_level, uint32_t tid,
    uint32_t sid, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/*
 * Writes src with control characters, backslash and bytes above 126 escaped
 * as \xHH into dst, always NUL terminated, cut at size.  Returns dst.
 */
char *log_escape(char *dst, size_t size, const void *src, size_t len);

#endif
