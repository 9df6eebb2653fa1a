/*
 * loop_test.c - turns of the loop with real pipes, signals and children
 */
#define _GNU_SOURCE 1			/* pipe2 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"
#include "timer.h"

static char *no_env[] = { NULL };

/* A watched descriptor with a log of what happened to it. */
struct watch {
	struct loop_fd lf;
	int number, peer;
	unsigned int reads, writes;
	void (*also)(struct watch *);
};

static int order[32];
static unsigned int order_len;

static int
fresh(void **state)
{
	(void)state;
	timers_init();
	order_len = 0;
	return loop_init() ? 0 : -1;
}

static void
on_readable(struct loop_fd *lf)
{
	struct watch *w = (struct watch *)lf;
	char buf[64];

	w->reads++;
	if (order_len < 32)
		order[order_len++] = w->number;
	assert_true(read(lf->fd, buf, sizeof(buf)) >= 0);
	if (w->also != NULL)
		w->also(w);
}

static void
on_writable(struct loop_fd *lf)
{
	struct watch *w = (struct watch *)lf;

	w->writes++;
	if (order_len < 32)
		order[order_len++] = -w->number;
}

/* One end of a socketpair in the loop, the other one in w->peer. */
static void
watch(struct watch *w, int number, enum loop_stage stage)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	memset(w, 0, sizeof(*w));
	w->lf = (struct loop_fd){ .fd = fd[0], .stage = stage,
	    .readable = on_readable, .writable = on_writable };
	w->number = number;
	w->peer = fd[1];
	assert_true(loop_add(&w->lf));
}

static void
poke(struct watch *w)
{
	assert_int_equal(write(w->peer, "x", 1), 1);
}

static void
unwatch(struct watch *w)
{
	loop_del(&w->lf);
	if (w->lf.fd >= 0)
		close(w->lf.fd);
	close(w->peer);
}

static void
test_add_refused(void **state)
{
	struct loop_fd f = { .fd = -1, .stage = LOOP_UDP };

	(void)state;
	assert_false(loop_add(&f));
	f.fd = FD_SETSIZE;
	assert_false(loop_add(&f));
	f.fd = 0;
	f.stage = LOOP_STAGES;
	assert_false(loop_add(&f));
	loop_del(&f);
	loop_turn(0);
	assert_int_equal(loop_bad_fds(), 0);
}

static void
test_fixed_order_of_stages(void **state)
{
	struct watch w[LOOP_STAGES];
	int i;

	(void)state;
	for (i = LOOP_STAGES - 1; i >= 0; i--) {
		watch(&w[i], i, i);
		poke(&w[i]);
	}
	loop_turn(1000);
	assert_int_equal(order_len, LOOP_STAGES);
	for (i = 0; i < LOOP_STAGES; i++) {
		assert_int_equal(order[i], i);
		unwatch(&w[i]);
	}
}

static void
test_add_twice_del_twice(void **state)
{
	struct watch a, b;

	(void)state;
	watch(&a, 1, LOOP_UDP);
	watch(&b, 2, LOOP_UDP);
	assert_true(loop_add(&a.lf));
	poke(&a);
	poke(&b);
	loop_turn(1000);
	assert_int_equal(a.reads, 1);
	assert_int_equal(b.reads, 1);
	loop_del(&a.lf);
	loop_del(&a.lf);
	poke(&a);
	poke(&b);
	loop_turn(1000);
	assert_int_equal(a.reads, 1);
	assert_int_equal(b.reads, 2);
	unwatch(&a);
	unwatch(&b);
}

static void
test_write_only_when_wanted(void **state)
{
	struct watch w;

	(void)state;
	watch(&w, 1, LOOP_SERVICE);
	loop_turn(0);
	assert_int_equal(w.writes, 0);
	w.lf.want_write = true;
	loop_turn(1000);
	loop_turn(1000);
	assert_int_equal(w.writes, 2);
	w.lf.want_write = false;
	loop_turn(0);
	assert_int_equal(w.writes, 2);
	w.lf.readable = NULL;		/* not asked for, so no spin either */
	poke(&w);
	loop_turn(0);
	assert_int_equal(w.reads, 0);
	unwatch(&w);
}

static struct watch *target;

static void
remove_target(struct watch *w)
{
	(void)w;
	loop_del(&target->lf);
}

/* A removed descriptor is not called, wherever it stands in the turn. */
static void
test_remove_in_callback(void **state)
{
	struct watch w[5];
	int victim, i;

	(void)state;
	for (victim = 0; victim < 5; victim++) {
		for (i = 0; i < 5; i++) {
			watch(&w[i], i, i < 4 ? LOOP_UDP : LOOP_TUN);
			w[i].lf.want_write = true;
			poke(&w[i]);
		}
		w[1].also = remove_target;
		target = &w[victim];
		loop_turn(1000);
		for (i = 0; i < 5; i++) {
			assert_int_equal(w[i].reads, i <= 1 || i != victim);
			assert_int_equal(w[i].writes, i < 1 || i != victim);
		}
		for (i = 0; i < 5; i++)
			unwatch(&w[i]);
	}
}

static struct watch reborn;

/* Closes the target and lets a new descriptor have its number at once. */
static void
reuse_number(struct watch *w)
{
	int fd = target->lf.fd, pair[2];

	(void)w;
	loop_del(&target->lf);
	close(fd);
	target->lf.fd = -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	if (pair[0] != fd) {
		assert_int_equal(dup2(pair[0], fd), fd);
		close(pair[0]);
	}
	memset(&reborn, 0, sizeof(reborn));
	reborn.lf = (struct loop_fd){ .fd = fd, .stage = LOOP_SERVICE,
	    .readable = on_readable };
	reborn.number = 9;
	reborn.peer = pair[1];
	assert_true(loop_add(&reborn.lf));
}

static void
test_number_reused_in_the_same_turn(void **state)
{
	struct watch a, b;

	(void)state;
	watch(&a, 1, LOOP_CONTROL);
	watch(&b, 2, LOOP_TUN);
	a.also = reuse_number;
	target = &b;
	poke(&a);
	poke(&b);
	loop_turn(1000);
	assert_int_equal(a.reads, 1);
	assert_int_equal(b.reads, 0);
	assert_int_equal(reborn.reads, 0);	/* b's readiness was not its */
	loop_turn(0);
	assert_int_equal(reborn.reads, 0);
	poke(&reborn);
	loop_turn(1000);
	assert_int_equal(reborn.reads, 1);
	unwatch(&a);
	unwatch(&b);
	unwatch(&reborn);
}

static void
free_self(struct loop_fd *lf)
{
	struct watch *w = (struct watch *)lf;

	order[order_len++] = w->number;
	unwatch(w);
	free(w);
}

/* As owners do it who forget the number before they call loop_del(). */
static void
free_self_number_first(struct loop_fd *lf)
{
	close(lf->fd);
	lf->fd = -1;
	free_self(lf);
}

static void
free_itself_in(void (*readable)(struct loop_fd *))
{
	struct watch *w = malloc(sizeof(*w)), other;

	assert_non_null(w);
	order_len = 0;
	watch(w, 1, LOOP_UDP);
	watch(&other, 2, LOOP_UDP);
	w->lf.readable = readable;
	w->lf.want_write = true;
	poke(w);
	poke(&other);
	loop_turn(1000);
	assert_int_equal(order_len, 2);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 2);
	unwatch(&other);
}

static void
test_free_itself(void **state)
{
	(void)state;
	free_itself_in(free_self);
	free_itself_in(free_self_number_first);
}

static void
lose_interest(struct watch *w)
{
	(void)w;
	target->lf.want_write = false;
	target->lf.readable = NULL;
}

/* What an earlier callback of the turn no longer wants is not called. */
static void
test_interest_lost_in_the_turn(void **state)
{
	struct watch a, b;

	(void)state;
	watch(&a, 1, LOOP_CONTROL);
	watch(&b, 2, LOOP_SERVICE);
	b.lf.want_write = true;
	a.also = lose_interest;
	target = &b;
	poke(&a);
	poke(&b);
	loop_turn(1000);
	assert_int_equal(a.reads, 1);
	assert_int_equal(b.reads + b.writes, 0);
	unwatch(&a);
	unwatch(&b);
}

static void
test_closed_behind_our_back(void **state)
{
	struct watch a, b, c;
	uint64_t start;

	(void)state;
	watch(&a, 1, LOOP_UDP);
	watch(&b, 2, LOOP_UDP);
	watch(&c, 3, LOOP_UDP);
	close(a.lf.fd);
	close(c.lf.fd);
	loop_turn(0);
	assert_int_equal(loop_bad_fds(), 2);
	start = timer_usec();
	loop_turn(30);			/* sleeps again: no spin */
	assert_true(timer_usec() - start >= 25000);
	poke(&b);
	loop_turn(1000);
	assert_int_equal(b.reads, 1);
	assert_int_equal(a.reads + c.reads, 0);
	a.lf.fd = c.lf.fd = -1;
	unwatch(&a);
	unwatch(&b);
	unwatch(&c);
}

/* The owner put -1 into fd while it was watched, and only then removes it. */
static void
test_fd_set_to_minus_one(void **state)
{
	struct watch a, b;

	(void)state;
	watch(&a, 1, LOOP_UDP);
	watch(&b, 2, LOOP_UDP);
	close(a.lf.fd);
	a.lf.fd = -1;
	poke(&b);
	loop_turn(1000);
	assert_int_equal(b.reads, 1);
	unwatch(&a);
	unwatch(&b);
}

static unsigned int hook_runs[2];

static void
hook_a(void)
{
	hook_runs[0]++;
	order[order_len++] = 100;
}

static void
hook_b(void)
{
	hook_runs[1]++;
	order[order_len++] = 200;
}

static void
test_hooks_come_last_in_order(void **state)
{
	struct loop_hook a = { .run = hook_a }, b = { .run = hook_b };
	struct watch w;

	(void)state;
	hook_runs[0] = hook_runs[1] = 0;
	watch(&w, 1, LOOP_SERVICE);
	loop_at_turn_end(&a);
	loop_at_turn_end(&b);
	loop_at_turn_end(&a);
	poke(&w);
	loop_turn(1000);
	assert_int_equal(order_len, 3);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 100);
	assert_int_equal(order[2], 200);
	loop_turn(0);
	assert_int_equal(hook_runs[0], 2);
	assert_int_equal(hook_runs[1], 2);
	unwatch(&w);
	loop_init();			/* the hooks are on our stack */
}

static struct timer late;
static uint64_t clock_then;

static void
late_fires(struct timer *t)
{
	(void)t;
	order[order_len++] = 50;
}

/* It knows what time it is, and who was to fire then does not. */
static void
before_timers(void)
{
	order[order_len++] = 10;
	clock_then = timer_now();
	if (hook_runs[0]++ == 1)
		timer_disarm(&late);
}

static void
test_hook_before_timers(void **state)
{
	struct loop_hook early = { .run = before_timers };
	struct loop_hook last = { .run = hook_b };
	uint64_t begin;

	(void)state;
	hook_runs[0] = hook_runs[1] = 0;
	order_len = 0;
	late.fire = late_fires;
	loop_before_timers(&early);
	loop_before_timers(&early);
	loop_at_turn_end(&last);
	begin = timer_now();
	timer_arm(&late, 30);
	usleep(50000);
	loop_turn(0);
	assert_int_equal(order_len, 3);
	assert_int_equal(order[0], 10);
	assert_int_equal(order[1], 50);
	assert_int_equal(order[2], 200);
	assert_true(clock_then >= begin + 50);
	assert_true(clock_then == timer_now());
	order_len = 0;
	timer_arm(&late, 30);
	usleep(50000);
	loop_turn(0);
	assert_int_equal(order_len, 2);
	assert_int_equal(order[0], 10);
	assert_int_equal(order[1], 200);
	loop_init();			/* the hooks are on our stack */
}

static unsigned int signals;
static int last_signal;

static void
on_signal(int sig)
{
	signals++;
	last_signal = sig;
}

static void
test_signals(void **state)
{
	(void)state;
	signals = 0;
	loop_on_signal(SIGHUP, on_signal);
	loop_on_signal(0, on_signal);
	loop_on_signal(10000, on_signal);
	raise(SIGHUP);
	assert_int_equal(signals, 0);	/* never in signal context */
	loop_turn(1000);
	assert_int_equal(signals, 1);
	assert_int_equal(last_signal, SIGHUP);
	loop_turn(0);
	assert_int_equal(signals, 1);
	loop_on_signal(SIGHUP, NULL);
}

/* More signals than the pipe holds: no block, none forgotten. */
static void
test_signal_storm(void **state)
{
	int i;

	(void)state;
	signals = 0;
	loop_on_signal(SIGUSR1, on_signal);
	loop_on_signal(SIGUSR2, on_signal);
	for (i = 0; i < 70000; i++)
		raise(SIGUSR1);
	raise(SIGUSR2);
	loop_turn(1000);
	assert_int_equal(signals, 2);
	loop_turn(0);
	assert_int_equal(signals, 2);
	loop_on_signal(SIGUSR1, NULL);
	loop_on_signal(SIGUSR2, NULL);
}

/* select() is interrupted every 5 ms; the turn goes on and sleep counts. */
static void
test_interrupted(void **state)
{
	struct itimerval every = { { 0, 5000 }, { 0, 5000 } }, off;
	struct watch w;
	int i;

	(void)state;
	signals = 0;
	memset(&off, 0, sizeof(off));
	watch(&w, 1, LOOP_UDP);
	loop_on_signal(SIGALRM, on_signal);
	setitimer(ITIMER_REAL, &every, NULL);
	for (i = 0; i < 200 && signals < 10; i++)
		loop_turn(1000);
	setitimer(ITIMER_REAL, &off, NULL);
	assert_int_equal(signals, 10);
	assert_int_equal(w.reads, 0);
	poke(&w);
	loop_turn(1000);
	loop_turn(0);
	assert_int_equal(w.reads, 1);
	loop_on_signal(SIGALRM, NULL);
	unwatch(&w);
}

static void
test_sigpipe_is_ignored(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	close(fd[0]);
	assert_int_equal(write(fd[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close(fd[1]);
}

struct kid {
	struct loop_child child;
	int status;
	unsigned int ends, again;
};

static char *respawn_argv[] = { "/bin/true", NULL };

static void
on_done(struct loop_child *c, int status)
{
	struct kid *k = (struct kid *)c;

	k->status = status;
	k->ends++;
	if (k->again > 0) {
		k->again--;
		assert_true(loop_spawn(c, respawn_argv, no_env, -1));
	}
}

static void
wait_kid(struct kid *k, unsigned int ends)
{
	uint64_t limit = timer_usec() + 10000000;

	while (k->ends < ends && timer_usec() < limit)
		loop_turn(100);
	assert_int_equal(k->ends, ends);
}

/* Runs a shell command; its wait status. */
static int
shell(char *command, int stdin_fd)
{
	char *argv[] = { "/bin/sh", "-c", command, NULL };
	struct kid k = { .child.done = on_done };

	assert_true(loop_spawn(&k.child, argv, no_env, stdin_fd));
	assert_true(k.child.pid > 0);
	wait_kid(&k, 1);
	return k.status;
}

static void
test_child_status(void **state)
{
	int status;

	(void)state;
	assert_int_equal(shell("exit 0", -1), 0);
	status = shell("exit 3", -1);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	status = shell("kill -9 $$", -1);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
test_child_cannot_start(void **state)
{
	char *missing[] = { "/nonexistent/program", NULL };
	char *no_path[] = { "true", NULL };
	struct kid k = { .child.done = on_done };

	(void)state;
	errno = 0;
	assert_false(loop_spawn(&k.child, missing, no_env, -1));
	assert_int_equal(errno, ENOENT);
	assert_false(loop_spawn(&k.child, no_path, no_env, -1));
	loop_turn(0);
	assert_int_equal(k.ends, 0);
}

#define SELF_TITLE	"loop_test: a child"

/* What the child below does: is all as loop_spawn_self() promises? */
static int
self_main(void)
{
	char text[8] = "";

	if (read(0, text, sizeof(text) - 1) != 2 || strcmp(text, "hi") != 0)
		return 1;
	if (fcntl(3, F_GETFD) < 0 || fcntl(4, F_GETFD) >= 0)
		return 2;
	return 7;
}

static void
test_child_is_this_program(void **state)
{
	char *argv[] = { SELF_TITLE, NULL };
	struct kid k = { .child.done = on_done };
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "hi", 2), 2);
	assert_true(loop_spawn_self(&k.child, argv, environ, p[0]));
	close(p[0]);
	close(p[1]);
	wait_kid(&k, 1);
	assert_true(WIFEXITED(k.status));
	assert_int_equal(WEXITSTATUS(k.status), 7);
}

static void
test_child_stdin(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(shell("cat; exit 0", -1), 0);	/* ends at once */
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	assert_int_equal(write(fd[1], "hello\n", 6), 6);
	close(fd[1]);
	assert_int_equal(shell("read x; test \"$x\" = hello", fd[0]), 0);
	close(fd[0]);
}

static void
test_child_inherits_nothing(void **state)
{
	int fd = open("/dev/null", O_RDONLY);	/* without O_CLOEXEC */
	sigset_t set, old;
	int status;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(dup2(fd, 77), 77);
	assert_int_equal(shell("test ! -e /proc/self/fd/77", -1), 0);
	close(77);
	close(fd);
	assert_int_equal(shell("test -z \"$HOME$USER\"", -1), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	status = shell("kill -TERM $$; exit 0", -1);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	sigprocmask(SIG_SETMASK, &old, NULL);
	status = shell("kill -PIPE $$; exit 0", -1);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
	status = shell("kill -XFSZ $$; exit 0", -1);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
}

/* A limit on the size of files (LimitFSIZE=) ends nobody. */
static void
test_a_file_that_may_not_grow_is_an_error(void **state)
{
	const struct rlimit none = { 0, RLIM_INFINITY };
	FILE *f = tmpfile();
	struct rlimit old;
	int error;

	(void)state;
	assert_non_null(f);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	error = write(fileno(f), "x", 1) < 0 ? errno : 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	fclose(f);
	assert_int_equal(error, EFBIG);
}

/* A child of a daemon with scheduler_fifo runs like any other process. */
static void
test_child_is_not_realtime(void **state)
{
	struct sched_param fifo = { .sched_priority = 1 };
	struct sched_param usual = { .sched_priority = 0 };
	int status;

	(void)state;
	if (sched_setscheduler(0, SCHED_FIFO, &fifo) < 0)
		skip();
	status = shell("set -- $(cut -d')' -f2 /proc/self/stat);"
	    "shift 38; exit $1", -1);
	sched_setscheduler(0, SCHED_OTHER, &usual);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), SCHED_OTHER);
}

static void
test_many_children_at_once(void **state)
{
	static struct kid k[40];
	char *argv[] = { "/bin/sh", "-c", NULL, NULL };
	char command[32];
	int i;

	(void)state;
	memset(k, 0, sizeof(k));
	for (i = 0; i < 40; i++) {
		snprintf(command, sizeof(command), "exit %d", i);
		argv[2] = command;
		k[i].child.done = on_done;
		assert_true(loop_spawn(&k[i].child, argv, no_env, -1));
	}
	usleep(100000);
	for (i = 0; i < 40; i++) {
		wait_kid(&k[i], 1);
		assert_int_equal(WEXITSTATUS(k[i].status), i);
	}
}

static void
test_child_started_again_by_done(void **state)
{
	struct kid k = { .child.done = on_done, .again = 5 };

	(void)state;
	assert_true(loop_spawn(&k.child, respawn_argv, no_env, -1));
	wait_kid(&k, 6);
	loop_turn(0);
	assert_int_equal(k.ends, 6);
}

static void
test_child_reaped_by_another(void **state)
{
	struct kid k = { .child.done = on_done };

	(void)state;
	assert_true(loop_spawn(&k.child, respawn_argv, no_env, -1));
	assert_int_equal(waitpid(k.child.pid, NULL, 0), k.child.pid);
	wait_kid(&k, 1);
	assert_int_equal(WEXITSTATUS(k.status), 255);
}

static unsigned int timer_fired;

static void
on_timer(struct timer *t)
{
	(void)t;
	timer_fired++;
}

static void
test_timer_ends_the_sleep(void **state)
{
	struct timer t = { .fire = on_timer };
	uint64_t start = timer_usec();
	unsigned int turns = 0;

	(void)state;
	timer_fired = 0;
	timer_arm(&t, 100);
	while (timer_fired == 0) {
		loop_turn(60000);
		turns++;
	}
	assert_true(timer_usec() - start >= 100000);
	assert_true(timer_usec() - start < 10000000);
	assert_in_range(turns, 1, 2);
}

static void
stop_now(struct timer *t)
{
	timer_fired++;
	timer_disarm(t);
	loop_stop();
}

static void
test_run_until_stop(void **state)
{
	struct timer t = { .fire = stop_now };

	(void)state;
	timer_fired = 0;
	timer_arm(&t, 0);
	loop_run();
	assert_int_equal(timer_fired, 1);
	loop_stop();
	loop_run();			/* asked for before: returns at once */
	timer_arm(&t, 20);
	loop_run();
	assert_int_equal(timer_fired, 2);
}

static void
stop_in_read(struct watch *w)
{
	(void)w;
	loop_stop();
}

/* What is saved when the end is asked for must not be outrun by traffic. */
static void
test_stop_leaves_later_stages_alone(void **state)
{
	struct watch first, later;

	(void)state;
	watch(&first, 1, LOOP_SIGNAL);
	watch(&later, 2, LOOP_UDP);
	first.also = stop_in_read;
	poke(&first);
	poke(&later);
	loop_run();
	assert_int_equal(first.reads, 1);
	assert_int_equal(later.reads, 0);
	unwatch(&first);
	unwatch(&later);
}

static void
dawdle(struct watch *w)
{
	(void)w;
	usleep(30000);
}

static void
test_stall_is_work_not_sleep(void **state)
{
	struct watch w;

	(void)state;
	watch(&w, 1, LOOP_SERVICE);
	loop_stall_reset();
	loop_turn(400);
	assert_true(loop_stall_usec() < 300000);
	w.also = dawdle;
	poke(&w);
	loop_turn(1000);
	assert_in_range(loop_stall_usec(), 30000, 5000000);
	loop_turn(0);
	assert_true(loop_stall_usec() >= 30000);
	loop_stall_reset();
	assert_int_equal(loop_stall_usec(), 0);
	unwatch(&w);
}

static void
test_highest_descriptor(void **state)
{
	struct rlimit lim, old;
	struct watch w;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	lim = old;
	if (lim.rlim_max < FD_SETSIZE + 1)
		skip();
	if (lim.rlim_cur < FD_SETSIZE + 1)
		lim.rlim_cur = FD_SETSIZE + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
	watch(&w, 1, LOOP_TUN);
	loop_del(&w.lf);
	assert_int_equal(dup2(w.lf.fd, FD_SETSIZE - 1), FD_SETSIZE - 1);
	close(w.lf.fd);
	w.lf.fd = FD_SETSIZE - 1;
	assert_true(loop_add(&w.lf));
	poke(&w);
	loop_turn(1000);
	assert_int_equal(w.reads, 1);
	unwatch(&w);
	setrlimit(RLIMIT_NOFILE, &old);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_add_refused, fresh),
		cmocka_unit_test_setup(test_fixed_order_of_stages, fresh),
		cmocka_unit_test_setup(test_add_twice_del_twice, fresh),
		cmocka_unit_test_setup(test_write_only_when_wanted, fresh),
		cmocka_unit_test_setup(test_remove_in_callback, fresh),
		cmocka_unit_test_setup(test_number_reused_in_the_same_turn,
		    fresh),
		cmocka_unit_test_setup(test_free_itself, fresh),
		cmocka_unit_test_setup(test_interest_lost_in_the_turn, fresh),
		cmocka_unit_test_setup(test_closed_behind_our_back, fresh),
		cmocka_unit_test_setup(test_fd_set_to_minus_one, fresh),
		cmocka_unit_test_setup(test_hooks_come_last_in_order, fresh),
		cmocka_unit_test_setup(test_hook_before_timers, fresh),
		cmocka_unit_test_setup(test_signals, fresh),
		cmocka_unit_test_setup(test_signal_storm, fresh),
		cmocka_unit_test_setup(test_interrupted, fresh),
		cmocka_unit_test_setup(test_sigpipe_is_ignored, fresh),
		cmocka_unit_test_setup(test_child_status, fresh),
		cmocka_unit_test_setup(test_child_cannot_start, fresh),
		cmocka_unit_test_setup(test_child_is_this_program, fresh),
		cmocka_unit_test_setup(test_child_stdin, fresh),
		cmocka_unit_test_setup(test_child_inherits_nothing, fresh),
		cmocka_unit_test_setup(
		    test_a_file_that_may_not_grow_is_an_error, fresh),
		cmocka_unit_test_setup(test_child_is_not_realtime, fresh),
		cmocka_unit_test_setup(test_many_children_at_once, fresh),
		cmocka_unit_test_setup(test_child_started_again_by_done,
		    fresh),
		cmocka_unit_test_setup(test_child_reaped_by_another, fresh),
		cmocka_unit_test_setup(test_timer_ends_the_sleep, fresh),
		cmocka_unit_test_setup(test_run_until_stop, fresh),
		cmocka_unit_test_setup(test_stop_leaves_later_stages_alone,
		    fresh),
		cmocka_unit_test_setup(test_stall_is_work_not_sleep, fresh),
		cmocka_unit_test_setup(test_highest_descriptor, fresh),
	};

	if (argc == 1 && strcmp(argv[0], SELF_TITLE) == 0)
		return self_main();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
