/*
 * acctfile.c - usage files: what every subscriber has moved since the last one
 *
 * With tens of thousands of sessions a file is made in small steps: a few
 * hundred sessions a turn are written as lines into memory (a memfd, which
 * never waits for a disk).  When all are through, a process of its own gets
 * that memory and does what may take long: it writes a file under another
 * name, syncs it, and gives it the right name.  Its exit status is an errno.
 *
 * A file tells the octets since the last one that was written.  What a session
 * was told of in a file under way is kept beside what is known to be written,
 * and settled when the session is looked at for the next: a file that could
 * not be written is lost, its octets are in the next one.  RADIUS accounting
 * has counters of its own.
 *
 * Owns:     session_local.usage; the file under way.
 * Calls:    loop for the process; log.
 * Lifetime: acctfile_init() to acctfile_exit(); a file under way at the end
 *           that is with its process already is still written.
 */
#define _GNU_SOURCE	/* memfd_create(), renameat2() */
#include "acctfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "log.h"
#include "loop.h"
#include "session.h"
#include "table.h"

#define TITLE		"l2tpns: usage file"
#define TICK_MS		1000
#define SLICE		256	/* sessions a turn: some 0.2 ms */
#define LINE_OCTETS	(ACCTFILE_USER + 96)
#define SAME_NAME	100	/* files of one second, at most */

/* The file under way; at most one. */
static struct {
	bool running;
	int fd;				/* the memfd, -1 */
	int error;			/* errno; its octets stay for the next */
	uint32_t at;			/* sid of the last session seen */
	uint32_t users;
	char name[32];
	size_t used;
	char buf[32768];
	struct timer slice;
	struct loop_child child;
} file = { .fd = -1 };

static struct timer tick;
static uint64_t last;			/* ms, when the last one was due */
static bool written;			/* the last one that is over, was it */

static void slice_fire(struct timer *);

/* --- lines -------------------------------------------------------------- */

char *
acctfile_user(char dst[ACCTFILE_USER], const char *user)
{
	static const char hex[] = "0123456789ABCDEF";
	char *p = dst;

	for (const char *u = user; *u != '\0'; u++) {
		unsigned char c = (unsigned char)*u;

		if (c > ' ' && c < 0x7f && c != '%' &&
		    (c != '#' || u != user)) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '%';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	*p = '\0';
	return dst;
}

static void
flush(void)
{
	size_t done = 0;
	ssize_t n;

	while (file.error == 0 && done < file.used) {
		n = write(file.fd, file.buf + done, file.used - done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			file.error = n == 0 ? EIO : errno;
	}
	file.used = 0;
}

static void __attribute__((format(printf, 1, 2)))
put(const char *fmt, ...)
{
	va_list ap;
	int n;

	if (sizeof(file.buf) - file.used < LINE_OCTETS)
		flush();
	va_start(ap, fmt);
	n = vsnprintf(file.buf + file.used, LINE_OCTETS, fmt, ap);
	va_end(ap);
	if (n > 0 && n < (int)LINE_OCTETS)
		file.used += (size_t)n;
}

static void
put_header(void)
{
	char host[4 * HOSTNAME_MAX];

	log_escape(host, sizeof(host), lns.hostname, strlen(lns.hostname));
	put("# l2tpns " L2TPNS_VERSION " usage file\n");
	put("# host: %s\n", host);
	put("# time: %lld\n", (long long)timer_wall());
	put("# uptime: %lld\n", (long long)(timer_wall() - lns.start));
	put("# format: username ip qos uptxoctets downrxoctets\n");
}

/* The file that it was told in last is over now: was it written? */
static void
settle(struct usage *u)
{
	if (u->pending && written) {
		u->rx = u->rx_told;
		u->tx = u->tx_told;
	}
	u->pending = false;
}

static void
put_session(const struct session *s)
{
	struct usage *u = &session_local(s)->usage;
	uint64_t up = s->rx_octets - u->rx, down = s->tx_octets - u->tx;
	char user[ACCTFILE_USER];

	if (up == 0 || down == 0 || s->ip == 0 || s->user[0] == '\0' ||
	    !s->authenticated || s->dying || (s->flags & SF_GARDEN) != 0)
		return;
	put("%s %u.%u.%u.%u %d %" PRIu64 " %" PRIu64 "\n",
	    acctfile_user(user, s->user), s->ip >> 24, s->ip >> 16 & 255,
	    s->ip >> 8 & 255, s->ip & 255,
	    (s->flags & SF_THROTTLE) != 0 ? 2 : 1, up, down);
	u->rx_told = s->rx_octets;
	u->tx_told = s->tx_octets;
	u->pending = true;
	file.users++;
}

/* --- one file ----------------------------------------------------------- */

static void
file_over(void)
{
	written = file.error == 0;
	if (!written)
		log_warn("no usage file in %s: %s; its octets go into the "
		    "next one", lns.config.accounting_dir,
		    file.error > 0 ? strerror(file.error) :
		    "the process that writes it was killed");
	else if (file.users > 0)
		log_info("usage of %u users written to %s", file.users,
		    lns.config.accounting_dir);
	if (file.fd >= 0)
		close(file.fd);
	file.fd = -1;
	file.running = false;
}

static void
child_done(struct loop_child *c, int status)
{
	(void)c;
	file.error = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	file_over();
}

static void
hand_to_child(void)
{
	static char title[] = TITLE;
	char *argv[] = { title, lns.config.accounting_dir, file.name, NULL };
	char *envp[] = { NULL };

	file.child = (struct loop_child){ .done = child_done };
	if (lseek(file.fd, 0, SEEK_SET) < 0 ||
	    !loop_spawn_self(&file.child, argv, envp, file.fd)) {
		file.error = errno;
		file_over();
	}
}

/* All sessions are looked at, whatever went wrong: settle() relies on it. */
static void
slice_fire(struct timer *t)
{
	struct session *s = NULL;

	for (int i = 0; i < SLICE && (s = session_next(file.at)) != NULL;
	    i++) {
		file.at = s->sid;
		settle(&session_local(s)->usage);
		put_session(s);
	}
	if (s != NULL) {
		timer_arm(t, 0);
		return;
	}
	flush();
	if (file.users == 0 || file.error != 0)
		file_over();
	else
		hand_to_child();
}

static void
file_begin(void)
{
	time_t now = timer_wall();
	struct tm tm;

	file.running = true;
	file.at = file.users = 0;
	file.used = 0;
	localtime_r(&now, &tm);
	strftime(file.name, sizeof(file.name), "%Y%m%d%H%M%S", &tm);
	file.fd = memfd_create(TITLE, MFD_CLOEXEC);
	file.error = file.fd < 0 ? errno : 0;
	put_header();
	file.slice.fire = slice_fire;
	timer_arm(&file.slice, 0);
}

/* Asked each second, so that a new interval holds at once. */
static void
tick_fire(struct timer *t)
{
	uint64_t every = (uint64_t)lns.config.accounting_interval * 1000;

	timer_arm(t, TICK_MS);
	if (timer_now() - last < every)
		return;
	last = timer_now();
	/* A slave's sessions are told by its master. */
	if (lns.config.accounting_dir[0] == '\0' || !lns.master)
		return;
	if (file.running)
		log_warn("the usage file of %s is still being written: none "
		    "now", file.name);
	else
		file_begin();
}

void
acctfile_init(void)
{
	last = timer_now();
	tick.fire = tick_fire;
	timer_arm(&tick, TICK_MS);
}

void
acctfile_exit(void)
{
	timer_disarm(&tick);
	timer_disarm(&file.slice);
	if (file.fd >= 0)
		close(file.fd);
	file.fd = -1;
	file.running = written = false;
}

/* --- to and from another process ---------------------------------------- */

/* A file that is with its process is as good as written. */
void
acctfile_export(const struct session *s, uint64_t *rx, uint64_t *tx)
{
	const struct usage *u = &session_local(s)->usage;
	bool told = u->pending && (file.running ? file.child.pid > 0 &&
	    !timer_armed(&file.slice) : written);

	*rx = told ? u->rx_told : u->rx;
	*tx = told ? u->tx_told : u->tx;
}

void
acctfile_resume(const struct session *s, uint64_t rx, uint64_t tx)
{
	struct usage *u = &session_local(s)->usage;

	*u = (struct usage){ .rx = rx, .tx = tx };
}

/* --- the process that writes -------------------------------------------- */

/* Never over another one; not every file system has the first way. */
static bool
rename_new(int dir, const char *from, const char *to)
{
	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	return linkat(dir, from, dir, to, 0) == 0 &&
	    unlinkat(dir, from, 0) == 0;
}

/* An hour of local time comes twice a year: then NAME-1 and so on. */
static bool
rename_free(int dir, const char *from, const char *name)
{
	char to[64];

	if (rename_new(dir, from, name))
		return true;
	for (int i = 1; errno == EEXIST && i < SAME_NAME; i++) {
		snprintf(to, sizeof(to), "%s-%d", name, i);
		if (rename_new(dir, from, to))
			return true;
	}
	return false;
}

/* Its name begins with a dot until it is whole; an errno, or 0. */
static int
write_file(int dir, const char *name)
{
	char hidden[64];
	int fd, err = 0;

	snprintf(hidden, sizeof(hidden), ".l2tpns-%d.new", (int)getpid());
	(void)unlinkat(dir, hidden, 0);
	fd = openat(dir, hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0640);
	if (fd < 0)
		return errno;
	if (!file_copy(STDIN_FILENO, fd) || fchmod(fd, 0640) != 0 || fsync(fd) != 0)
		err = errno;
	if (close(fd) != 0 && err == 0)
		err = errno;
	if (err == 0 && !rename_free(dir, hidden, name))
		err = errno;
	if (err != 0)
		(void)unlinkat(dir, hidden, 0);
	else
		(void)fsync(dir);
	return err;
}

bool
acctfile_child(int argc, char *const argv[], int *status)
{
	int dir;

	if (argc != 3 || strcmp(argv[0], TITLE) != 0)
		return false;
	/* A limit on the size of files is to be an error like others. */
	signal(SIGXFSZ, SIG_IGN);
	dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*status = dir < 0 ? errno : write_file(dir, argv[2]);
	return true;
}
