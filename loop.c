/*
 * loop.c - the select() loop: descriptors by stage, hooks, child processes
 *
 * A turn is: sleep in select() until a descriptor is ready or a timer due;
 * read the clock, run the early hooks and fire timers; serve the ready
 * descriptors stage by stage; collect dead children; run the hooks.  The clock
 * is read after the sleep so that timer_now() is the time at which the packets
 * of this turn are handled.
 *
 * Callbacks add and remove descriptors while the lists are being walked.
 * Three things keep that safe: removing the descriptor that comes next moves
 * the walk on, removing the one being served is noticed before its second
 * callback, and both adding and removing clear the descriptor's ready bits, so
 * that a number closed and given out again within one turn is not served for
 * what was ready on its predecessor.
 *
 * A signal handler sets a flag and writes to a pipe; everything else happens
 * in the LOOP_SIGNAL stage.
 *
 * Owns:     the lists of descriptors, hooks and children, the self-pipe, the
 *           signal dispositions that were asked for, and SIGCHLD, SIGPIPE
 *           and SIGXFSZ: a file that may not grow is an error like others.
 * Calls:    timer.h, and the callbacks.
 * Lifetime: loop_init() once.  Nodes belong to the callers: a loop_fd until
 *           loop_del(), a loop_child until done(), a loop_hook for ever.
 */
#define _GNU_SOURCE 1			/* pipe2, addclosefrom_np, NSIG */
#include <sys/select.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"
#include "timer.h"

#define SLEEP_MAX	(3600 * 1000)	/* ms; far below any limit of select */
#define NOMEM_NAP	10		/* ms */
#define WAIT_NAP	2		/* ms */
#define SELF_FD		3		/* the program itself, in a child */

static struct loop_fd *stages[LOOP_STAGES];
static struct loop_fd *serving;		/* NULL once removed */
static struct loop_fd *serve_next;
static fd_set can_read, can_write;	/* still to be served this turn */
static uint64_t bad_fds;

static struct loop_hook *early_hooks, *hooks;
static struct loop_child *children;
static bool children_died;
static bool stopped;
static uint64_t stall_usec;

static int self_exe = -1;		/* opened while it is there for sure */
static int self_pipe[2] = { -1, -1 };
static struct loop_fd self_fd;
static volatile sig_atomic_t caught[NSIG];
static void (*handlers[NSIG])(int);

/* Where the list points to f, or to its end. */
static struct loop_fd **
stage_find(enum loop_stage stage, const struct loop_fd *f)
{
	struct loop_fd **p = &stages[stage];

	while (*p != NULL && *p != f)
		p = &(*p)->next;
	return p;
}

static void
forget_ready(int fd)
{
	if (fd >= 0 && fd < FD_SETSIZE) {
		FD_CLR(fd, &can_read);
		FD_CLR(fd, &can_write);
	}
}

bool
loop_add(struct loop_fd *f)
{
	struct loop_fd **end;

	if (f->fd < 0 || f->fd >= FD_SETSIZE || f->stage >= LOOP_STAGES) {
		errno = f->fd < 0 ? EBADF : EMFILE;
		return false;
	}
	forget_ready(f->fd);
	end = stage_find(f->stage, f);
	if (*end == NULL) {
		*end = f;
		f->next = NULL;
	}
	return true;
}

/* Looks in every stage: the owner may have changed its mind since. */
void
loop_del(struct loop_fd *f)
{
	struct loop_fd **p;
	int stage;

	for (stage = 0; stage < LOOP_STAGES; stage++) {
		p = stage_find(stage, f);
		if (*p == NULL)
			continue;
		forget_ready(f->fd);
		if (serving == f)
			serving = NULL;
		if (serve_next == f)
			serve_next = f->next;
		*p = f->next;
		f->next = NULL;
	}
}

uint64_t
loop_bad_fds(void)
{
	return bad_fds;
}

/*
 * select() said EBADF: somebody closed a descriptor without loop_del().  Finds
 * the culprits and removes them, or every turn from now on would fail.
 */
static void
drop_bad_fds(void)
{
	struct loop_fd *f, *next;
	int stage;

	for (stage = 0; stage < LOOP_STAGES; stage++) {
		for (f = stages[stage]; f != NULL; f = next) {
			next = f->next;
			if (f->fd < 0 || f->fd >= FD_SETSIZE ||
			    fcntl(f->fd, F_GETFD) < 0) {
				loop_del(f);
				bad_fds++;
			}
		}
	}
}

/* Fills the two sets with what is wanted; returns select()'s first argument. */
static int
want_fds(void)
{
	struct loop_fd *f;
	int stage, count = 0;

	FD_ZERO(&can_read);
	FD_ZERO(&can_write);
	for (stage = 0; stage < LOOP_STAGES; stage++) {
		for (f = stages[stage]; f != NULL; f = f->next) {
			if (f->fd < 0 || f->fd >= FD_SETSIZE)
				continue;
			if (f->readable != NULL)
				FD_SET(f->fd, &can_read);
			if (f->want_write && f->writable != NULL)
				FD_SET(f->fd, &can_write);
			if (f->fd >= count)
				count = f->fd + 1;
		}
	}
	return count;
}

/* Sleeps until something is ready or due; leaves what is ready in the sets. */
static void
wait_ready(uint64_t max_ms)
{
	struct timeval tv;
	uint64_t ms;
	int count = want_fds(), err;

	ms = timer_sleep(max_ms < SLEEP_MAX ? max_ms : SLEEP_MAX);
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	if (select(count, &can_read, &can_write, NULL, &tv) >= 0)
		return;
	err = errno;
	FD_ZERO(&can_read);
	FD_ZERO(&can_write);
	if (err == EBADF) {
		drop_bad_fds();
	} else if (err != EINTR) {	/* ENOMEM: do not make it worse */
		tv = (struct timeval){ .tv_usec = NOMEM_NAP * 1000 };
		select(0, NULL, NULL, NULL, &tv);
	}
}

static void
serve_fd(struct loop_fd *f)
{
	int fd = f->fd;

	if (fd < 0 || fd >= FD_SETSIZE)
		return;
	serving = f;
	if (FD_ISSET(fd, &can_read) && f->readable != NULL)
		f->readable(f);
	if (serving == f && FD_ISSET(fd, &can_write) && f->want_write &&
	    f->writable != NULL)
		f->writable(f);
	serving = NULL;
}

static void
serve_stage(enum loop_stage stage)
{
	struct loop_fd *f;

	for (f = stages[stage]; f != NULL; f = serve_next) {
		serve_next = f->next;
		serve_fd(f);
	}
	serve_next = NULL;
}

/*
 * Only our own children are waited for, one by one: a library or a plugin may
 * have children too.  The list is taken out first, so that what done() starts
 * anew is looked at when its own SIGCHLD comes, not over and over in here.
 */
static void
reap_children(void)
{
	struct loop_child *c, *list = children;
	int status;
	pid_t got;

	if (!children_died)
		return;
	children_died = false;
	children = NULL;
	while ((c = list) != NULL) {
		list = c->next;
		do
			got = waitpid(c->pid, &status, WNOHANG);
		while (got < 0 && errno == EINTR);
		if (got == 0) {
			c->next = children;
			children = c;
			continue;
		}
		if (got < 0)		/* somebody else had its status */
			status = W_EXITCODE(255, 0);
		c->pid = 0;
		c->next = NULL;
		if (c->done != NULL)
			c->done(c, status);
	}
}

bool
loop_wait(struct loop_child *c, uint64_t ms, int *status)
{
	const struct timespec nap = { .tv_nsec = WAIT_NAP * 1000 * 1000 };
	uint64_t until = timer_usec() / 1000 + ms;
	struct loop_child **p = &children;
	pid_t got;

	for (;;) {
		got = waitpid(c->pid, status, WNOHANG);
		if (got != 0 && (got > 0 || errno != EINTR))
			break;
		if (timer_usec() / 1000 >= until)
			return false;
		nanosleep(&nap, NULL);
	}
	if (got < 0)
		*status = W_EXITCODE(255, 0);
	while (*p != NULL && *p != c)
		p = &(*p)->next;
	if (*p != NULL)
		*p = c->next;
	c->pid = 0;
	c->next = NULL;
	return true;
}

static void
run_hooks(struct loop_hook *h)
{
	for (; h != NULL; h = h->next)
		h->run();
}

void
loop_turn(uint64_t max_ms)
{
	uint64_t start, spent;
	int stage;

	wait_ready(max_ms);
	start = timer_usec();
	timer_read();
	run_hooks(early_hooks);
	timer_advance();
	for (stage = 0; stage < LOOP_STAGES && !stopped; stage++)
		serve_stage(stage);
	reap_children();
	run_hooks(hooks);
	spent = timer_usec() - start;
	if (spent > stall_usec)
		stall_usec = spent;
}

/* A stop asked for before the first turn counts too. */
void
loop_run(void)
{
	while (!stopped)
		loop_turn(SLEEP_MAX);
	stopped = false;
}

void
loop_stop(void)
{
	stopped = true;
}

uint64_t
loop_stall_usec(void)
{
	return stall_usec;
}

void
loop_stall_reset(void)
{
	stall_usec = 0;
}

static void
add_hook(struct loop_hook **p, struct loop_hook *hook)
{
	while (*p != NULL && *p != hook)
		p = &(*p)->next;
	if (*p == NULL) {
		*p = hook;
		hook->next = NULL;
	}
}

void
loop_at_turn_end(struct loop_hook *hook)
{
	add_hook(&hooks, hook);
}

void
loop_before_timers(struct loop_hook *hook)
{
	add_hook(&early_hooks, hook);
}

/*
 * In signal context.  A full pipe is no loss: it will wake the loop, and the
 * flag says what for.
 */
static void
catch_signal(int sig)
{
	int saved = errno;
	ssize_t n;

	caught[sig] = 1;
	n = write(self_pipe[1], "", 1);
	(void)n;
	errno = saved;
}

static bool
set_signal(int sig, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler,
	    .sa_flags = SA_RESTART };

	sigemptyset(&sa.sa_mask);
	return sigaction(sig, &sa, NULL) == 0;
}

void
loop_on_signal(int sig, void (*handler)(int sig))
{
	if (sig < 1 || sig >= NSIG)
		return;
	handlers[sig] = handler;
	if (sig == SIGCHLD)
		return;			/* caught since loop_init() */
	set_signal(sig, handler != NULL ? catch_signal : SIG_DFL);
}

/* Empties the pipe before it looks at the flags, so that none is missed. */
static void
signals_ready(struct loop_fd *f)
{
	char buf[256];
	int sig;

	while (read(f->fd, buf, sizeof(buf)) == sizeof(buf))
		continue;
	for (sig = 1; sig < NSIG; sig++) {
		if (!caught[sig])
			continue;
		caught[sig] = 0;
		if (sig == SIGCHLD)
			children_died = true;
		if (handlers[sig] != NULL)
			handlers[sig](sig);
	}
}

bool
loop_init(void)
{
	if (self_pipe[0] >= 0) {	/* again: a test that starts afresh */
		close(self_pipe[0]);
		close(self_pipe[1]);
	}
	if (self_exe < 0)
		self_exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	memset(stages, 0, sizeof(stages));
	memset(handlers, 0, sizeof(handlers));
	early_hooks = hooks = NULL;
	children = NULL;
	children_died = stopped = false;
	bad_fds = stall_usec = 0;
	if (pipe2(self_pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		self_pipe[0] = self_pipe[1] = -1;
		return false;
	}
	self_fd = (struct loop_fd){ .fd = self_pipe[0], .stage = LOOP_SIGNAL,
	    .readable = signals_ready };
	return loop_add(&self_fd) && set_signal(SIGCHLD, catch_signal) &&
	    set_signal(SIGPIPE, SIG_IGN) && set_signal(SIGXFSZ, SIG_IGN);
}

/*
 * The child begins with no signal blocked, caught or ignored, and never with
 * the daemon's real-time priority.
 */
static int
spawn_attributes(posix_spawnattr_t *attr, bool group)
{
	struct sched_param prio = { .sched_priority = 0 };
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t set;

	if (group)
		flags |= POSIX_SPAWN_SETPGROUP;	/* 0: its own */

	sigemptyset(&set);
	posix_spawnattr_setsigmask(attr, &set);
	sigfillset(&set);
	posix_spawnattr_setsigdefault(attr, &set);
	if (sched_getscheduler(0) != SCHED_OTHER) {
		flags |= POSIX_SPAWN_SETSCHEDULER;
		posix_spawnattr_setschedpolicy(attr, SCHED_OTHER);
		posix_spawnattr_setschedparam(attr, &prio);
	}
	return posix_spawnattr_setflags(attr, flags);
}

/* How a child differs from the simplest one. */
struct spawn { int stdin_fd, out_fd; bool self, group; };

/* Nothing is open in the child but 0, 1, 2 and, if asked for, the program. */
static int
spawn_files(posix_spawn_file_actions_t *files, const struct spawn *how)
{
	int err, first = 3;

	if (how->stdin_fd >= 0)
		err = posix_spawn_file_actions_adddup2(files, how->stdin_fd, 0);
	else
		err = posix_spawn_file_actions_addopen(files, 0, "/dev/null",
		    O_RDONLY, 0);
	for (int fd = 1; fd <= 2 && err == 0 && how->out_fd >= 0; fd++)
		err = posix_spawn_file_actions_adddup2(files, how->out_fd, fd);
	if (err == 0 && how->self) {
		err = posix_spawn_file_actions_adddup2(files, self_exe,
		    SELF_FD);
		first = SELF_FD + 1;
	}
	if (err == 0)
		err = posix_spawn_file_actions_addclosefrom_np(files, first);
	return err;
}

static bool
spawn(struct loop_child *c, const char *path, char *const argv[],
    char *const envp[], const struct spawn *how)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int err;

	err = posix_spawnattr_init(&attr);
	if (err != 0)
		goto fail;
	err = posix_spawn_file_actions_init(&files);
	if (err != 0)
		goto fail_attr;
	err = spawn_attributes(&attr, how->group);
	if (err == 0)
		err = spawn_files(&files, how);
	if (err == 0)
		err = posix_spawn(&c->pid, path, &files, &attr, argv, envp);
	posix_spawn_file_actions_destroy(&files);
fail_attr:
	posix_spawnattr_destroy(&attr);
fail:
	if (err != 0) {
		c->pid = 0;
		errno = err;
		return false;
	}
	c->next = children;
	children = c;
	return true;
}

bool
loop_spawn(struct loop_child *c, char *const argv[], char *const envp[],
    int stdin_fd)
{
	struct spawn how = { stdin_fd, -1, false, false };

	return spawn(c, argv[0], argv, envp, &how);
}

bool
loop_spawn_group(struct loop_child *c, char *const argv[], char *const envp[],
    int stdin_fd, int out_fd)
{
	struct spawn how = { stdin_fd, out_fd, false, true };

	return spawn(c, argv[0], argv, envp, &how);
}

/*
 * The path is looked up in the child, where SELF_FD is the program; its own
 * /proc it may read whatever its rights are.
 */
bool
loop_spawn_self(struct loop_child *c, char *const argv[], char *const envp[],
    int stdin_fd)
{
	struct spawn how = { stdin_fd, -1, true, false };

	if (self_exe < 0) {
		errno = ENOENT;
		return false;
	}
	return spawn(c, "/proc/self/fd/3", argv, envp, &how);
}
