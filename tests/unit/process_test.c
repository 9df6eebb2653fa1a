/*
 * process_test.c - pid_file against a second server, and what is left behind
 */
#define _GNU_SOURCE 1
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "l2tpns.h"
#include "log.h"
#include "process.h"
#include "timer.h"

struct l2tpns lns;

static char dir[64], path[96], logged[96], err[256];

static int
setup(void **state)
{
	(void)state;
	timers_init();
	strcpy(dir, "/tmp/process_test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pid", dir);
	snprintf(logged, sizeof(logged), "%s/log", dir);
	memset(&lns.config, 0, sizeof(lns.config));
	strcpy(lns.config.pid_file, path);
	assert_true(log_open(logged, err, sizeof(err)));
	log_set_level(LOG_L_INFO);
	return 0;
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	pid_file_remove();
	log_open("", NULL, 0);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static const char *
text_of(const char *name)
{
	static char text[4096];
	FILE *f = fopen(name, "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void
put(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Does another process get the lock? */
static bool
another_may(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		/* Not the inherited one: a server of its own. */
		_exit(pid_file_lock(err, sizeof(err)) ? 0 :
		    strstr(err, "held by another") != NULL ? 1 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 0;
}

static void
test_lock(void **state)
{
	struct stat st;

	(void)state;
	assert_true(pid_file_lock(err, sizeof(err)));
	pid_file_write(4711);
	assert_string_equal(text_of(path), "4711\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_false(another_may());
	assert_string_equal(text_of(path), "4711\n");
	pid_file_write(5);
	assert_string_equal(text_of(path), "5\n");
	pid_file_remove();
	assert_int_equal(access(path, F_OK), -1);
	assert_true(another_may());
	pid_file_remove();
}

static void
test_none(void **state)
{
	(void)state;
	lns.config.pid_file[0] = '\0';
	assert_true(pid_file_lock(err, sizeof(err)));
	pid_file_write(1);
	pid_file_remove();
	assert_int_equal(access(path, F_OK), -1);
}

/* Left behind by one that was killed; the number may be anybody's by now. */
static void
test_stale(void **state)
{
	(void)state;
	put("1\nsome more that is longer\n");
	assert_true(pid_file_lock(err, sizeof(err)));
	pid_file_write(22);
	assert_string_equal(text_of(path), "22\n");
}

/* What is not ours any more is left alone. */
static void
test_replaced(void **state)
{
	(void)state;
	assert_true(pid_file_lock(err, sizeof(err)));
	assert_int_equal(unlink(path), 0);
	put("another's\n");
	pid_file_remove();
	assert_string_equal(text_of(path), "another's\n");
}

/* A name that leads somewhere else is not written through. */
static void
test_traps(void **state)
{
	char victim[128];

	(void)state;
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	put("precious");
	assert_int_equal(rename(path, victim), 0);
	assert_int_equal(symlink(victim, path), 0);
	assert_true(pid_file_lock(err, sizeof(err)));
	pid_file_write(1);
	assert_string_equal(text_of(victim), "precious");
	assert_non_null(strstr(text_of(logged), "pid_file"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_true(pid_file_lock(err, sizeof(err)));
	assert_non_null(strstr(text_of(logged), "not a regular file"));
	strcpy(lns.config.pid_file, "/nonexistent/pid");
	assert_true(pid_file_lock(err, sizeof(err)));
	pid_file_write(1);
	pid_file_remove();
}

/* After setuid the directory may be another's: the file is emptied. */
static void
test_removal_by_another_user(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(dir, 0755), 0);
	pid = fork();
	if (pid == 0) {
		bool ok = pid_file_lock(err, sizeof(err));

		pid_file_write(77);
		if (setresuid(65534, 65534, 65534) != 0)
			_exit(2);
		pid_file_remove();
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_string_equal(text_of(path), "");
	assert_true(pid_file_lock(err, sizeof(err)));
}

/* -d: the parent's status says whether the child became ready. */
static int
detached(bool becomes_ready)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (!pid_file_lock(err, sizeof(err)) || !process_fork())
			_exit(3);
		pid_file_write(getpid());
		if (!becomes_ready)
			_exit(4);
		process_background();
		usleep(300000);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_detach(void **state)
{
	(void)state;
	assert_int_equal(detached(false), 1);
	assert_int_equal(detached(true), 0);
	/* The child holds the lock, and its number is in the file. */
	assert_true(atol(text_of(path)) > 1);
	assert_false(another_may());
}

/* SCHED_FIFO, which children do not have; or a warning. */
static void
test_scheduler(void **state)
{
	int status = -1;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		pid_t child;

		lns.config.scheduler_fifo = true;
		process_priorities();
		if (sched_getscheduler(0) == SCHED_OTHER)
			_exit(10);
		child = fork();
		if (child == 0)
			_exit(sched_getscheduler(0) == SCHED_OTHER ? 0 : 1);
		waitpid(child, &status, 0);
		_exit(WEXITSTATUS(status));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 10)
		assert_non_null(strstr(text_of(logged),
		    "WARN 00/00 scheduler_fifo"));
	else
		assert_int_equal(WEXITSTATUS(status), 0);
}

/* Without the right to, memory is not locked in part. */
static void
test_lock_pages_refused(void **state)
{
	struct rlimit r = { 8 << 20, 8 << 20 };
	int status = -1;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		lns.config.lock_pages = true;
		if (setrlimit(RLIMIT_MEMLOCK, &r) != 0 || (geteuid() == 0 &&
		    setresuid(65534, 65534, 65534) != 0))
			_exit(2);
		process_priorities();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_non_null(strstr(text_of(logged),
	    "WARN 00/00 lock_pages: memory is not locked"));
	assert_non_null(strstr(text_of(logged), "8192 KiB"));
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lock),
		TEST(test_none),
		TEST(test_stale),
		TEST(test_replaced),
		TEST(test_traps),
		TEST(test_removal_by_another_user),
		TEST(test_detach),
		TEST(test_scheduler),
		TEST(test_lock_pages_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
