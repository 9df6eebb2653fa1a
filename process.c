/*
 * process.c - the process among others: pid_file, scheduler, memory
 *
 * pid_file is locked (flock) for as long as we live, so that a second server
 * with the same file ends before it has touched anything.  The lock is what
 * counts: a file that was left behind is taken over, whatever number is in it.
 * It belongs to the open file and so to the child too when we detach.
 *
 * scheduler_fifo and lock_pages are wishes: what the kernel refuses is said
 * and done without.
 *
 * Owns:     pid_file.
 * Calls:    log; privs_have().
 * Lifetime: pid_file_lock() early, pid_file_remove() last.
 */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "l2tpns.h"
#include "log.h"
#include "privs.h"

#define LOCK_TRIES	20

/* --- pid_file ----------------------------------------------------------- */

static int pid_fd = -1;

/* The file that the name leads to is the one that is open. */
static bool
is_ours(int fd, const char *path)
{
	struct stat open_file, named;

	return fstat(fd, &open_file) == 0 && lstat(path, &named) == 0 &&
	    open_file.st_dev == named.st_dev &&
	    open_file.st_ino == named.st_ino;
}

static long
read_pid(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return atol(text);
}

static int
open_pid_file(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC, 0644);

	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

/*
 * The one before us may remove the file between our open() and our lock: then
 * what is locked has no name any more, and it is done again.
 */
bool
pid_file_lock(char *err, size_t errlen)
{
	const char *path = lns.config.pid_file;

	if (path[0] == '\0')
		return true;
	for (int i = 0; i < LOCK_TRIES; i++) {
		int fd = open_pid_file(path);

		if (fd < 0)
			break;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			snprintf(err, errlen, "pid_file %s: held by another "
			    "l2tpns, process %ld", path, read_pid(fd));
			close(fd);
			return false;
		}
		if (is_ours(fd, path)) {
			(void)fchmod(fd, 0644);
			pid_fd = fd;
			return true;
		}
		close(fd);
		errno = EAGAIN;
	}
	log_error("pid_file %s: %s", path, errno == EINVAL ?
	    "not a regular file" : strerror(errno));
	return true;
}

void
pid_file_write(pid_t pid)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)pid);

	if (pid_fd >= 0 && (ftruncate(pid_fd, 0) != 0 ||
	    pwrite(pid_fd, text, (size_t)n, 0) != n))
		log_error("pid_file %s: %s", lns.config.pid_file,
		    strerror(errno));
}

void
pid_file_remove(void)
{
	if (pid_fd < 0)
		return;
	if (is_ours(pid_fd, lns.config.pid_file) &&
	    unlink(lns.config.pid_file) != 0 && ftruncate(pid_fd, 0) != 0)
		log_error("pid_file %s: %s", lns.config.pid_file,
		    strerror(errno));
	close(pid_fd);
	pid_fd = -1;
}

/* --- scheduler and memory ----------------------------------------------- */

/*
 * SCHED_RESET_ON_FORK: no child may ever keep a processor from the rest of the
 * machine.  With one processor we would do that ourselves.
 */
static void
set_scheduler(void)
{
	struct sched_param p = { .sched_priority = 1 };

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		log_warn("scheduler_fifo is ignored: there is one processor");
	else if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p) !=
	    0)
		log_warn("scheduler_fifo: %s; going on as any other process",
		    strerror(errno));
	else
		log_info("scheduler_fifo: SCHED_FIFO, priority 1");
}

/*
 * A limit that holds today is reached by the next session, and then memory
 * runs out in the middle of work: it is all or nothing.  Pages are locked as
 * they come into use (MCL_ONFAULT), since most of the tables never do.
 */
static void
lock_memory(void)
{
	struct rlimit r;

	if (!privs_have(CAP_IPC_LOCK) &&
	    (getrlimit(RLIMIT_MEMLOCK, &r) != 0 || r.rlim_cur != RLIM_INFINITY))
		log_warn("lock_pages: memory is not locked: there is no "
		    "CAP_IPC_LOCK, and RLIMIT_MEMLOCK is %ju KiB",
		    (uintmax_t)r.rlim_cur / 1024);
	else if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
		log_warn("lock_pages: memory is not locked: %s",
		    strerror(errno));
	else
		log_info("lock_pages: memory is locked");
}

void
process_priorities(void)
{
	if (lns.config.scheduler_fifo)
		set_scheduler();
	if (lns.config.lock_pages)
		lock_memory();
}

/* --- background --------------------------------------------------------- */

static int parent = -1;		/* where the parent waits for a word */

bool
process_fork(void)
{
	int fd[2];
	char ready;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) != 0 || (pid = fork()) < 0)
		return false;
	if (pid > 0) {
		close(fd[1]);
		_exit(read(fd[0], &ready, 1) == 1 ? 0 : 1);
	}
	close(fd[0]);
	parent = fd[1];
	return true;
}

void
process_background(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)setsid();
	if (chdir("/") != 0)
		log_warn("chdir /: %s", strerror(errno));
	if (lns.config.log_file[0] == '\0')
		log_warn("there is no log_file: nothing is logged from here on");
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	if (write(parent, "", 1) != 1)
		log_warn("nobody waited for the server to be ready");
	close(parent);
}
