/*
 * log.c - log lines with level, tunnel and session, rate limited
 *
 * A line is formatted once, escaped once, and handed to where the log goes
 * and to those who listen.  Everything is written without waiting: the daemon forwards
 * packets in the same thread, so a full disk, a FIFO that nobody reads, a
 * stopped terminal or a stuck syslogd may cost lines but never time.  Lines
 * that could not be written are counted, and the first one that gets through
 * again is preceded by one that says how many and why.
 *
 * syslog(3) is not used because its send to /dev/log blocks; the datagram is
 * simple enough (RFC 3164 4.1, in the form that glibc gives it).
 *
 * A log file is opened through symbolic links, since /dev/stdout is one and
 * an administrator may want one; nobody but root can plant one in /var/log.
 * A FIFO is opened for reading too: then it needs no reader at the time, and
 * a reader that goes away causes no SIGPIPE.
 *
 * Owns:     the log's descriptor, the level, the list of who listens.
 * Calls:    timer_now() for the rate limits; the listeners.
 * Lifetime: usable at once (stderr); log_open() when the name is known.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "timer.h"

#define IDENT		"l2tpns"
#define TEXT_SIZE	1024		/* as formatted */
#define LINE_SIZE	(4 * TEXT_SIZE + 128)	/* escaped, with its head */
#define HEX_ROW		16
#define NAME_SIZE	1024

#define SYSLOG_PREFIX	"syslog:"

#define ASKED	1		/* is written whatever the level */
#define PRIVATE	2		/* not for every listener */

static enum log_to { TO_STDERR, TO_FILE, TO_SYSLOG } to = TO_STDERR;
static char name[NAME_SIZE];		/* as last given to log_open() */
static int out = STDERR_FILENO;		/* -1: syslog is not to be reached */
static int facility;

static int max_level = LOG_L_WARN;
static struct log_listener *listeners;
static unsigned int heard;		/* levels that some listener wants */
static bool telling;			/* the listeners */

static uint64_t lost;			/* lines since the last that went */
static int lost_errno;
static bool torn;			/* the last line was cut by a full disk */

const char *log_syslog_path = "/dev/log";

static const char *const level_names[LOG_LEVELS] = {
	"CRIT", "ERROR", "WARN", "INFO", "CALL", "DATA"
};

static const struct facility {
	const char *name;
	int code;
} facilities[] = {
	{ "kern", LOG_KERN },		{ "user", LOG_USER },
	{ "mail", LOG_MAIL },		{ "daemon", LOG_DAEMON },
	{ "auth", LOG_AUTH },		{ "syslog", LOG_SYSLOG },
	{ "lpr", LOG_LPR },		{ "news", LOG_NEWS },
	{ "uucp", LOG_UUCP },		{ "cron", LOG_CRON },
	{ "authpriv", LOG_AUTHPRIV },	{ "ftp", LOG_FTP },
	{ "local0", LOG_LOCAL0 },	{ "local1", LOG_LOCAL1 },
	{ "local2", LOG_LOCAL2 },	{ "local3", LOG_LOCAL3 },
	{ "local4", LOG_LOCAL4 },	{ "local5", LOG_LOCAL5 },
	{ "local6", LOG_LOCAL6 },	{ "local7", LOG_LOCAL7 },
};

const char *
log_level_name(enum log_level level)
{
	return level < LOG_LEVELS ? level_names[level] : "?";
}

void
log_set_level(int level)
{
	max_level = level < 0 ? 0 :
	    level >= LOG_LEVELS ? LOG_LEVELS - 1 : level;
}

int
log_get_level(void)
{
	return max_level;
}

static void
count_heard(void)
{
	struct log_listener *l;

	heard = 0;
	for (l = listeners; l != NULL; l = l->next)
		heard |= l->levels;
}

void
log_unlisten(struct log_listener *gone)
{
	struct log_listener **p = &listeners;

	while (*p != NULL && *p != gone)
		p = &(*p)->next;
	if (*p != NULL) {
		*p = gone->next;
		gone->next = NULL;
	}
	count_heard();
}

void
log_listen(struct log_listener *l)
{
	log_unlisten(l);
	l->next = listeners;
	listeners = l;
	count_heard();
}

/*
 * Copies with what is not printable ASCII, and each character of `also`, as
 * \xHH; never cuts an escape in two.
 */
static void
escape(char *dst, size_t size, const uint8_t *src, size_t len, char also)
{
	static const char hex[] = "0123456789abcdef";
	size_t i, o = 0;

	if (size == 0)
		return;
	for (i = 0; i < len; i++) {
		if (src[i] >= 0x20 && src[i] <= 0x7e && src[i] != also) {
			if (size - o < 2)
				break;
			dst[o++] = (char)src[i];
			continue;
		}
		if (size - o < 5)
			break;
		dst[o++] = '\\';
		dst[o++] = 'x';
		dst[o++] = hex[src[i] >> 4];
		dst[o++] = hex[src[i] & 15];
	}
	dst[o] = '\0';
}

char *
log_escape(char *dst, size_t size, const void *src, size_t len)
{
	escape(dst, size, src, len, '\\');
	return dst;
}

static bool
fail(char *err, size_t errlen, const char *what, const char *why)
{
	if (err != NULL && errlen > 0)
		snprintf(err, errlen, "%s: %s", what, why);
	return false;
}

/* A FIFO without a reader answers ENXIO to those who would only write. */
static int
file_open(const char *path)
{
	int flags = O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	struct stat st;
	int fd, saved;

	fd = open(path, flags | O_WRONLY, 0640);
	saved = errno;
	if (fd >= 0 ? fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) :
	    saved == ENXIO && stat(path, &st) == 0 && S_ISFIFO(st.st_mode)) {
		if (fd >= 0)
			close(fd);
		fd = open(path, (flags & ~O_CREAT) | O_RDWR);
		saved = errno;
	}
	errno = saved;
	return fd;
}

static int
syslog_connect(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, saved;

	if (strlen(log_syslog_path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun.sun_path, log_syslog_path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

void
log_give(uid_t uid)
{
	struct stat st;

	if (to == TO_FILE && fstat(out, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_uid == geteuid() && fchown(out, uid, (gid_t)-1) != 0)
		log_warn("%s: cannot be given to user %u: %s", name, uid,
		    strerror(errno));
}

static bool
syslog_facility(const char *word, int *code)
{
	size_t i;

	for (i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++) {
		if (strcmp(word, facilities[i].name) == 0) {
			*code = facilities[i].code;
			return true;
		}
	}
	return false;
}

/* The new log is open: lets go of the old one. */
static void
use(enum log_to where, int fd)
{
	if (to != TO_STDERR && out >= 0)
		close(out);
	to = where;
	out = fd;
	torn = false;
}

static bool
open_file(const char *path, char *err, size_t errlen)
{
	int fd = file_open(path);

	if (fd < 0)
		return fail(err, errlen, path, strerror(errno));
	use(TO_FILE, fd);
	return true;
}

static bool
open_syslog(const char *word, char *err, size_t errlen)
{
	int fd, code;

	if (!syslog_facility(word, &code))
		return fail(err, errlen, word, "not a syslog facility");
	fd = syslog_connect();
	if (fd < 0)
		return fail(err, errlen, log_syslog_path, strerror(errno));
	use(TO_SYSLOG, fd);
	facility = code;
	return true;
}

bool
log_open(const char *where, char *err, size_t errlen)
{
	size_t prefix = strlen(SYSLOG_PREFIX);
	bool ok;

	if (where == NULL)
		where = "";
	if (strlen(where) >= sizeof(name))
		ok = fail(err, errlen, "log name", strerror(ENAMETOOLONG));
	else if (where[0] == '/')
		ok = open_file(where, err, errlen);
	else if (strncmp(where, SYSLOG_PREFIX, prefix) == 0)
		ok = open_syslog(where + prefix, err, errlen);
	else if (where[0] != '\0')
		ok = fail(err, errlen, where,
		    "neither a path that begins with / nor syslog:FACILITY");
	else {
		use(TO_STDERR, STDERR_FILENO);
		ok = true;
	}
	if (!ok)
		use(TO_STDERR, STDERR_FILENO);
	snprintf(name, sizeof(name), "%s", where);
	return ok;
}

/*
 * After a failed log_open() this is the second chance.  If the file cannot be
 * opened now, the old one goes on: a line in a renamed file is better than a
 * line nowhere.
 */
void
log_reopen(void)
{
	char err[256];
	bool ok = true;

	if (name[0] == '/')
		ok = open_file(name, err, sizeof(err));
	else if (strncmp(name, SYSLOG_PREFIX, strlen(SYSLOG_PREFIX)) == 0)
		ok = open_syslog(name + strlen(SYSLOG_PREFIX), err,
		    sizeof(err));
	if (!ok)
		log_error("cannot reopen the log: %s", err);
}

/*
 * stderr is shared with the shell that started us, so it cannot be made
 * non-blocking: it is asked first.  A pipe that is writable takes PIPE_BUF
 * bytes at once; one that nobody reads any more shows POLLERR.
 */
static ssize_t
write_stderr(const char *line, size_t len)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t n;

	if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0 ||
	    (p.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
		errno = p.revents & POLLNVAL ? EBADF :
		    p.revents & (POLLERR | POLLHUP) ? EPIPE : EAGAIN;
		return -1;
	}
	n = send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == ENOTSOCK)
		n = write(STDERR_FILENO, line, len);
	return n;
}

/* False with errno set when the line did not go, or not as a whole. */
static bool
write_line(const char *line, size_t len)
{
	ssize_t n;

	do
		n = to == TO_STDERR ? write_stderr(line, len) :
		    write(out, line, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return false;
	torn = n > 0 ? line[n - 1] != '\n' : torn;
	if ((size_t)n < len)
		errno = ENOSPC;
	return (size_t)n == len;
}

/* "2026-11-22 10:11:12", local time. */
static const char *
stamp(void)
{
	static char text[32];
	static time_t last = -1;
	time_t t = time(NULL);
	struct tm tm;

	if (t != last && localtime_r(&t, &tm) != NULL) {
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
		last = t;
	}
	return text;
}

static bool
put_file(enum log_level level, uint32_t tid, uint32_t sid, const char *text)
{
	char line[LINE_SIZE];
	int n;

	n = snprintf(line, sizeof(line), "%s%s %s %02u/%02u %s\n",
	    torn ? "\n" : "", stamp(), log_level_name(level), tid, sid, text);
	if ((size_t)n >= sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	return write_line(line, (size_t)n);
}

static bool
send_syslog(const char *line, size_t len)
{
	ssize_t n;

	do
		n = send(out, line, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n >= 0;
}

/* RFC 3164 4.1.1: PRI is facility * 8 + severity; ours begin at 2, critical. */
static bool
put_syslog(enum log_level level, uint32_t tid, uint32_t sid, const char *text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char line[LINE_SIZE];
	time_t t = time(NULL);
	struct tm tm;
	int n;

	if (localtime_r(&t, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	n = snprintf(line, sizeof(line), "<%d>%.3s %2d %02d:%02d:%02d "
	    IDENT "[%d]: %02u/%02u %s", facility | ((int)level + 2),
	    months + 3 * tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min,
	    tm.tm_sec, (int)getpid(), tid, sid, text);
	if ((size_t)n >= sizeof(line))
		n = sizeof(line) - 1;
	if (out >= 0 && send_syslog(line, (size_t)n))
		return true;
	if (out >= 0 && (errno == EAGAIN || errno == ENOBUFS))
		return false;
	if (out >= 0)			/* syslogd was restarted: once more */
		close(out);
	out = syslog_connect();
	return out >= 0 && send_syslog(line, (size_t)n);
}

static bool
put(enum log_level level, uint32_t tid, uint32_t sid, const char *text)
{
	return to == TO_SYSLOG ? put_syslog(level, tid, sid, text) :
	    put_file(level, tid, sid, text);
}

/* Writes one finished text, or counts it. */
static void
emit(enum log_level level, uint32_t tid, uint32_t sid, const char *text)
{
	char note[128];

	if (lost > 0) {
		snprintf(note, sizeof(note), "%llu log lines lost: %s",
		    (unsigned long long)lost, strerror(lost_errno));
		if (!put(LOG_L_WARN, 0, 0, note)) {
			lost++;
			return;
		}
		lost = 0;
	}
	if (!put(level, tid, sid, text)) {
		lost_errno = errno;
		lost++;
	}
}

/* Who listens and logs must not hear that. */
static void
tell_listeners(enum log_level level, unsigned int how, uint32_t tid,
    uint32_t sid, const char *text)
{
	struct log_listener *l, *next;

	if (telling)
		return;
	telling = true;
	for (l = listeners; l != NULL; l = next) {
		next = l->next;
		if ((l->levels & 1u << level) != 0 &&
		    (l->trusted || (how & PRIVATE) == 0))
			l->line(l, level, tid, sid, text);
	}
	telling = false;
}

static bool
wanted(enum log_level level)
{
	return level < LOG_LEVELS && ((int)level <= max_level ||
	    (heard & 1u << level) != 0);
}

/*
 * errno is left as it was: the caller may not be done with it.  Backslashes
 * stay as they are, since the text may hold what log_escape() made.
 */
static void __attribute__((format(printf, 6, 0)))
line_va(enum log_level level, unsigned int how, uint32_t tid, uint32_t sid,
    uint32_t held, const char *fmt, va_list ap)
{
	char raw[TEXT_SIZE], text[4 * TEXT_SIZE];
	int saved = errno, n;
	size_t len;

	n = vsnprintf(raw, sizeof(raw), fmt, ap);
	if (n < 0)
		return;
	len = (size_t)n < sizeof(raw) ? (size_t)n : sizeof(raw) - 1;
	if (held > 0 && len > sizeof(raw) - 40)
		len = sizeof(raw) - 40;
	if (held > 0)
		len += (size_t)snprintf(raw + len, sizeof(raw) - len,
		    " (%u more like this held back)", held);
	escape(text, sizeof(text), (const uint8_t *)raw, len, '\0');
	if ((how & ASKED) != 0 || (int)level <= max_level)
		emit(level, tid, sid, text);
	tell_listeners(level, how, tid, sid, text);
	errno = saved;
}

void
log_line(enum log_level level, uint32_t tid, uint32_t sid, const char *fmt,
    ...)
{
	va_list ap;

	if (!wanted(level))
		return;
	va_start(ap, fmt);
	line_va(level, 0, tid, sid, 0, fmt, ap);
	va_end(ap);
}

void
log_asked(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_va(LOG_L_INFO, ASKED, 0, 0, 0, fmt, ap);
	va_end(ap);
}

void
log_audit(uint32_t tid, uint32_t sid, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_va(LOG_L_WARN, ASKED, tid, sid, 0, fmt, ap);
	va_end(ap);
}

void
log_private(uint32_t tid, uint32_t sid, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_va(LOG_L_WARN, ASKED | PRIVATE, tid, sid, 0, fmt, ap);
	va_end(ap);
}

static void __attribute__((format(printf, 6, 0)))
limited_va(struct log_limit *limit, enum log_level level, unsigned int how,
    uint32_t tid, uint32_t sid, const char *fmt, va_list ap)
{
	if (!wanted(level))
		return;
	if (timer_now() < limit->next) {
		if (limit->held < UINT32_MAX)
			limit->held++;
		return;
	}
	line_va(level, how, tid, sid, limit->held, fmt, ap);
	limit->next = timer_now() + 1000;
	limit->held = 0;
}

void
log_limited(struct log_limit *limit, enum log_level level, uint32_t tid,
    uint32_t sid, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	limited_va(limit, level, 0, tid, sid, fmt, ap);
	va_end(ap);
}

void
log_limited_private(struct log_limit *limit, enum log_level level,
    uint32_t tid, uint32_t sid, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	limited_va(limit, level, PRIVATE, tid, sid, fmt, ap);
	va_end(ap);
}

/* "  0010  3a 00 ... 7f  :......" for up to 16 bytes, the last row padded. */
static void
hex_row(char *dst, size_t size, size_t at, const uint8_t *p, size_t n)
{
	char hex[HEX_ROW * 3 + 1], ascii[HEX_ROW + 1];
	size_t i;

	for (i = 0; i < n; i++) {
		snprintf(hex + 3 * i, 4, " %02x", p[i]);
		ascii[i] = p[i] >= 0x20 && p[i] <= 0x7e ? (char)p[i] : '.';
	}
	ascii[n] = '\0';
	hex[3 * n] = '\0';
	snprintf(dst, size, "  %04zx %-*s  %s", at, HEX_ROW * 3, hex, ascii);
}

static void
print_hex(uint32_t tid, uint32_t sid, const char *title, const uint8_t *p,
    size_t len)
{
	char row[128];
	int saved = errno;
	size_t at, n;

	log_line(LOG_L_DATA, tid, sid, "%s (%zu bytes)", title, len);
	for (at = 0; at < len; at += n) {
		n = len - at < HEX_ROW ? len - at : HEX_ROW;
		hex_row(row, sizeof(row), at, p + at, n);
		emit(LOG_L_DATA, tid, sid, row);
	}
	errno = saved;
}

/* Asked for each packet: what it takes to print is not made ready in vain. */
void
log_hex(uint32_t tid, uint32_t sid, const char *title, const void *data,
    size_t len)
{
	if (max_level >= LOG_L_DATA && to != TO_SYSLOG)
		print_hex(tid, sid, title, data, len);
}
