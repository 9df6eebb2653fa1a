/*
 * loop.h - the select() loop: descriptors by stage, hooks, child processes
 *
 * One turn has a fixed order: the clock, early hooks, due timers, then the
 * descriptors that select() found ready, stage by stage, then the hooks at the end of the turn
 * (flush what is queued, reap what died).  Control comes before data and each
 * callback must bound its own work, so that a flood of either starves nobody.
 * Nothing that runs here may block.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* In the order in which they are served each turn. */
enum loop_stage {
	LOOP_SIGNAL,		/* the self-pipe */
	LOOP_CLUSTER,
	LOOP_CONTROL,		/* nsctl, RADIUS */
	LOOP_UDP,		/* L2TP from the LACs */
	LOOP_TUN,		/* packets for subscribers */
	LOOP_SERVICE,		/* CLI, BGP, netlink */
	LOOP_STAGES
};

/*
 * One watched descriptor; owned by the caller, who keeps it alive until
 * loop_del().  readable/writable may be NULL; `writable` is only asked for
 * while want_write is set.  A callback may add and remove any loop_fd.
 */
struct loop_fd {
	int fd;
	enum loop_stage stage;
	bool want_write;
	void (*readable)(struct loop_fd *);
	void (*writable)(struct loop_fd *);
	struct loop_fd *next;		/* the loop's own */
};

/*
 * False (and nothing changed) if fd is negative or not below FD_SETSIZE.
 * Adding twice is adding once; removing what is not there does nothing.
 */
bool loop_add(struct loop_fd *);
void loop_del(struct loop_fd *);

/*
 * Descriptors that were found closed without loop_del() and no longer
 * watched: always a bug of their owner, hence worth a line in the log.
 */
uint64_t loop_bad_fds(void);

/* A hook at the end of each turn, in the order in which they were added. */
struct loop_hook {
	void (*run)(void);
	struct loop_hook *next;
};
void loop_at_turn_end(struct loop_hook *);

/*
 * A hook at the beginning of each turn, when the clock has been read and no
 * timer has fired yet: what must not happen any more can be prevented.
 */
void loop_before_timers(struct loop_hook *);

/*
 * A handler for a signal, run inside the loop (never in signal context);
 * NULL gives the signal its default action again.  SIGPIPE is ignored from
 * loop_init() on.
 */
void loop_on_signal(int sig, void (*handler)(int sig));

/*
 * A child process.  argv[0] is a path (no shell, no PATH search); stdin is
 * /dev/null unless stdin_fd >= 0.  `done` runs in the loop with the wait
 * status.  loop_spawn() is false with errno set when it could not start.
 */
struct loop_child {
	pid_t pid;
	void (*done)(struct loop_child *, int status);
	struct loop_child *next;	/* the loop's own */
};
bool loop_spawn(struct loop_child *, char *const argv[], char *const envp[],
    int stdin_fd);

/*
 * The same, of the program that runs, even after its file was replaced or the
 * process has lost the right to read it: argv[0] is what `ps` shows, and all
 * that main() has to tell its part by.  The child has stdin_fd as 0, inherits
 * 1 and 2, and finds the program at 3, which it should close.
 */
bool loop_spawn_self(struct loop_child *, char *const argv[],
    char *const envp[], int stdin_fd);

/*
 * loop_spawn() in a process group of its own, whose number is c->pid, with
 * out_fd as 1 and 2.
 */
bool loop_spawn_group(struct loop_child *, char *const argv[],
    char *const envp[], int stdin_fd, int out_fd);

/*
 * Stops everything until the child has ended, at most ms: only for when the
 * process is about to end, or a plugin to go.  True with its wait status; then
 * the child is the loop's no more, and done() is not called.
 */
bool loop_wait(struct loop_child *, uint64_t ms, int *status);

/* Prepares signals and lists.  False with errno set on failure. */
bool loop_init(void);

/* Runs turns until loop_stop(). */
void loop_run(void);

/* Runs one turn that sleeps at most max_ms in select(). */
void loop_turn(uint64_t max_ms);

/*
 * The turn under way is the last, and later stages are not served any more:
 * what was counted or saved in this one stays true.
 */
void loop_stop(void);

/*
 * Longest turn since the last reset, in microseconds, without the sleep in
 * select(): "longest loop stall" in `show counters`.
 */
uint64_t loop_stall_usec(void);
void loop_stall_reset(void);

#endif
