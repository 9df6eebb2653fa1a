/*
 * plugin_run.c - programs that plugins run
 *
 * A program gets an environment of two fixed variables, its input from memory
 * (a memfd: nobody has to feed a pipe), and a pipe for what it writes, of
 * which the beginning is kept.  It is in a process group of its own, which is
 * killed as a whole when its time is over.
 *
 * What a program does is its own affair, and must not become ours.  One that
 * writes without end is read for a while and then left with a closed pipe; one
 * that does not end costs a place among the few that a plugin may have, for
 * two minutes; one that leaves a process behind that holds the pipe is over
 * when it has ended itself.
 *
 * Owns:     the programs that run, with their pipes.
 * Calls:    loop, privs; the plugin's done().
 * Lifetime: from run() until the program has ended.  Its plugin may be gone
 *           before that: then nobody is told.
 */
#define _GNU_SOURCE 1			/* memfd_create, pipe2 */
#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "plugin_int.h"
#include "privs.h"
#include "timer.h"

#define AT_ONCE		16		/* of one plugin */
#define KEPT		4000		/* octets of output */
#define READ_MAX	(1024 * 1024)	/* then the pipe is closed */
#define READS_A_TURN	4
#define RUN_MS		120000
#define WAIT_MS		5000		/* run_wait(), in all */
#define DIE_MS		1000		/* after SIGKILL */

struct run {
	struct loop_child child;
	struct loop_fd out;		/* fd -1: closed */
	struct timer timer;		/* when it has to be over */
	struct plugin *owner;		/* NULL: it is gone */
	void (*done)(void *arg, int status, const char *output);
	void *arg;
	size_t kept, total;
	char output[KEPT + 1];
	struct run *next;
};

static struct run *runs;

static char *const environment[] = {
	(char *)(uintptr_t)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
	(char *)(uintptr_t)"LC_ALL=C",
	NULL
};

/* --- what it writes --------------------------------------------------- */

static void
out_close(struct run *r)
{
	if (r->out.fd < 0)
		return;
	loop_del(&r->out);
	close(r->out.fd);
	r->out.fd = -1;
}

/* False when there is no more to read now. */
static bool
out_read(struct run *r)
{
	char buf[4096];
	size_t n, room = KEPT - r->kept;
	ssize_t got;

	do
		got = read(r->out.fd, buf, sizeof(buf));
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0 || r->total + (size_t)got > READ_MAX) {
		out_close(r);
		return false;
	}
	n = (size_t)got < room ? (size_t)got : room;
	memcpy(r->output + r->kept, buf, n);
	r->kept += n;
	r->total += (size_t)got;
	return true;
}

static void
out_readable(struct loop_fd *f)
{
	struct run *r = timer_owner(f, struct run, out);

	for (int i = 0; i < READS_A_TURN && out_read(r); i++)
		continue;
}

/* --- its life --------------------------------------------------------- */

static void
run_free(struct run *r)
{
	struct run **p = &runs;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	out_close(r);
	timer_disarm(&r->timer);
	free(r);
}

/* With all that it has started; the loop hears of its end. */
static void
run_kill(const struct run *r)
{
	if (r->child.pid > 0)
		(void)kill(-r->child.pid, SIGKILL);
}

static void
run_fire(struct timer *t)
{
	struct run *r = timer_owner(t, struct run, timer);

	log_error("a program of %s takes over %d s: killed",
	    r->owner != NULL ? plugin_own_name(r->owner) :
	    "a plugin that is gone", RUN_MS / 1000);
	run_kill(r);
}

/* What is in the pipe is its own still; who else holds it does not matter. */
static void
run_ended(struct loop_child *child, int status)
{
	struct run *r = timer_owner(child, struct run, child);
	struct plugin *owner = r->owner, *outer;

	while (r->out.fd >= 0 && r->kept < KEPT && out_read(r))
		continue;
	out_close(r);
	r->output[r->kept] = '\0';
	r->owner = NULL;		/* its place is free for another one */
	if (r->done != NULL && owner != NULL && !plugin_going(owner)) {
		outer = plugin_enter(owner);
		r->done(r->arg, status, r->output);
		plugin_leave(outer);
	}
	run_free(r);
}

static struct run *
run_new(struct plugin *owner)
{
	struct run *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->child.done = run_ended;
	r->timer.fire = run_fire;
	r->out.fd = -1;
	r->owner = owner;
	r->next = runs;
	runs = r;
	return r;
}

static bool
is_program(const char *const argv[])
{
	return argv != NULL && argv[0] != NULL && argv[0][0] == '/';
}

static bool
may_run(const struct plugin *owner, const char *const argv[])
{
	unsigned int n = 0;

	if (owner == NULL || !is_program(argv))
		return false;
	for (const struct run *r = runs; r != NULL; r = r->next)
		n += r->owner == owner;
	return n < AT_ONCE;
}

/* A file in memory, read from its beginning; -1: errno says why. */
static int
input_file(const char *input, size_t length)
{
	int fd = memfd_create("input", MFD_CLOEXEC), error;
	ssize_t n;

	while (fd >= 0 && length > 0) {
		n = write(fd, input, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			goto fail;
		input += n;
		length -= (size_t)n;
	}
	if (fd < 0 || lseek(fd, 0, SEEK_SET) == 0)
		return fd;
fail:
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Starts it with out as 1 and 2; false with errno set. */
static bool
start(struct loop_child *child, const char *const argv[], const char *input,
    size_t length, int out)
{
	char *const *args = (char *const *)(uintptr_t)argv;
	bool ok = false;
	int in = -1, error;

	if (input != NULL && length > 0)
		in = input_file(input, length);
	if (in >= 0 || input == NULL || length == 0) {
		privs_lend(true);
		ok = loop_spawn_group(child, args, environment, in, out);
		error = errno;
		privs_lend(false);
		errno = error;
	}
	error = errno;
	if (in >= 0)
		close(in);
	errno = error;
	return ok;
}

static void
log_failed(const struct plugin *owner, const char *const argv[])
{
	log_error("plugin %s: cannot run %s: %s", plugin_own_name(owner),
	    argv[0], strerror(errno));
}

static bool
run_start(struct run *r, const char *const argv[], const char *input,
    size_t length)
{
	int p[2];
	bool ok;

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	/* The reading end only: the program's would be a surprise to it. */
	(void)fcntl(p[1], F_SETFL, 0);
	r->out = (struct loop_fd){ .fd = p[0], .stage = LOOP_SERVICE,
	    .readable = out_readable };
	ok = loop_add(&r->out) && start(&r->child, argv, input, length, p[1]);
	close(p[1]);
	if (!ok)
		out_close(r);
	return ok;
}

int
plugin_run(const char *const argv[], const char *input, size_t length,
    void (*done)(void *arg, int status, const char *output), void *arg)
{
	struct plugin *owner = plugin_current();
	struct run *r;

	if (!may_run(owner, argv))
		return 0;
	r = run_new(owner);
	if (r == NULL)
		return 0;
	r->done = done;
	r->arg = arg;
	if (!run_start(r, argv, input, length)) {
		log_failed(owner, argv);
		run_free(r);
		return 0;
	}
	timer_arm(&r->timer, RUN_MS);
	return 1;
}

/* --- waiting for one -------------------------------------------------- */

/*
 * Kills what has not ended by then, with all that it started.  What does not
 * even die of that (a device that hangs) is left to the loop.
 */
static int
wait_or_kill(struct run *r, uint64_t until)
{
	uint64_t now = timer_usec() / 1000;
	int status, ended;

	out_close(r);
	if (loop_wait(&r->child, until > now ? until - now : 0, &status)) {
		run_free(r);
		return status;
	}
	run_kill(r);
	if (loop_wait(&r->child, DIE_MS, &ended))
		run_free(r);
	else
		r->owner = NULL;
	return -1;
}

/* Those before it come first: they may do to the network what it undoes. */
static void
wait_for_runs(const struct plugin *owner, uint64_t until)
{
	struct run *r = runs, *next;

	for (; r != NULL; r = next) {
		next = r->next;
		if (r->owner == owner)
			(void)wait_or_kill(r, until);
	}
}

int
plugin_run_wait(const char *const argv[], const char *input, size_t length)
{
	uint64_t until = timer_usec() / 1000 + WAIT_MS;
	struct plugin *owner = plugin_current();
	struct run *r;
	int out;

	if (owner == NULL || !plugin_going(owner) || !is_program(argv))
		return -1;
	wait_for_runs(owner, until);
	r = run_new(owner);
	if (r == NULL)
		return -1;
	out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (out < 0 || !start(&r->child, argv, input, length, out)) {
		log_failed(owner, argv);
		run_free(r);
		r = NULL;
	}
	if (out >= 0)
		close(out);
	return r != NULL ? wait_or_kill(r, until) : -1;
}

void
plugin_run_forget(const struct plugin *owner)
{
	for (struct run *r = runs; r != NULL; r = r->next)
		if (r->owner == owner)
			r->owner = NULL;
}
