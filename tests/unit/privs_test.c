/*
 * privs_test.c - another user for good, in children that can be thrown away
 */
#define _GNU_SOURCE 1
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "privs.h"

#define SOMEBODY	45678	/* in no user database */

/* Runs it in a child; what it returns. */
static int
in_child(int (*run)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A line of /proc/self/status, without its name. */
static const char *
status_line(const char *name)
{
	static char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0) {
			fclose(f);
			line[strcspn(line, "\n")] = '\0';
			return line + strlen(name) + 1 +
			    strspn(line + strlen(name) + 1, " \t");
		}
	return "";
}

/* Nobody, with nothing, and no way back; also when that is so already. */
static int
give_up(void)
{
	for (int i = 0; i < 2; i++) {
		if (!privs_give_up())
			return 1;
		if (geteuid() == 0 || getegid() == 0 || setuid(0) == 0)
			return 2;
		if (strspn(status_line("CapEff"), "0") != 16 ||
		    strspn(status_line("CapPrm"), "0") != 16 ||
		    strcmp(status_line("NoNewPrivs"), "1") != 0)
			return 3;
	}
	return 0;
}

static void
test_give_up(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(give_up), 0);
}

static int
drop(void)
{
	char err[128] = "";
	gid_t groups[] = { 0, 4, 27 };

	if (setgroups(3, groups) != 0)
		return 2;
	if (!privs_drop(SOMEBODY, false, err, sizeof(err))) {
		fprintf(stderr, "%s\n", err);
		return 3;
	}
	if (getuid() != SOMEBODY || geteuid() != SOMEBODY ||
	    getgid() != 65534 || getgroups(0, NULL) != 0)
		return 4;
	if (setuid(0) == 0 || setgid(0) == 0 || setgroups(3, groups) == 0)
		return 5;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 6;
	/* NET_BIND_SERVICE 10, NET_ADMIN 12, NET_RAW 13 and nothing else. */
	if (strtoull(status_line("CapEff"), NULL, 16) & ~0x3400ULL ||
	    strtoull(status_line("CapPrm"), NULL, 16) & ~0x3400ULL ||
	    strtoull(status_line("CapBnd"), NULL, 16) & ~0x3400ULL ||
	    strtoull(status_line("CapAmb"), NULL, 16) != 0)
		return 7;
	if (!privs_have(CAP_NET_ADMIN) || privs_have(CAP_SYS_ADMIN) ||
	    privs_have(CAP_DAC_OVERRIDE) || privs_have(CAP_IPC_LOCK))
		return 8;
	/* Twice is once. */
	return privs_drop(SOMEBODY, false, err, sizeof(err)) ? 0 : 9;
}

static int
drop_but_lock(void)
{
	char err[128];

	return privs_drop(SOMEBODY, true, err, sizeof(err)) &&
	    privs_have(CAP_IPC_LOCK) ? 0 : 1;
}

/* A user of the database: with its own groups. */
static int
drop_to_known(void)
{
	char err[128];

	if (!privs_drop(1, false, err, sizeof(err)))	/* daemon, everywhere */
		return 1;
	return getuid() == 1 && getgid() == 1 ? 0 : 2;
}

static int
drop_to_root(void)
{
	char err[128];

	return privs_drop(0, false, err, sizeof(err)) && getuid() == 0 &&
	    privs_have(CAP_SETUID) ? 0 : 1;
}

/* CVE-2006-2194: what fails must not go unnoticed. */
static int
drop_without_a_capability(int cap)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct d[2];
	char err[128] = "";

	if (syscall(SYS_capget, &h, d) != 0)
		return 2;
	d[0].effective &= ~(1u << cap);
	d[0].permitted &= ~(1u << cap);
	if (syscall(SYS_capset, &h, d) != 0)
		return 3;
	if (privs_drop(SOMEBODY, false, err, sizeof(err)))
		return 4;
	return strlen(err) > 0 ? 0 : 5;
}

static int
drop_without_setuid(void)
{
	return drop_without_a_capability(CAP_SETUID);
}

static int
drop_without_setgid(void)
{
	return drop_without_a_capability(CAP_SETGID);
}

static int
drop_from_another_user(void)
{
	char err[128] = "";

	if (setresuid(1, 1, 1) != 0)
		return 2;
	return !privs_drop(SOMEBODY, false, err, sizeof(err)) &&
	    strlen(err) > 0 ? 0 : 1;
}

/* What a child has that is executed now. */
static unsigned long long
caps_of_a_child(void)
{
	char text[64] = "";
	FILE *f = popen("exec sed -n 's/^CapEff:.//p' /proc/self/status", "r");

	if (f == NULL || fgets(text, sizeof(text), f) == NULL)
		return 1;
	pclose(f);
	return strtoull(text, NULL, 16);
}

static int
lend(void)
{
	char err[128];

	if (!privs_drop(SOMEBODY, false, err, sizeof(err)))
		return 2;
	if (caps_of_a_child() != 0)
		return 3;
	privs_lend(true);
	if (caps_of_a_child() != 0x3000)
		return 4;
	privs_lend(false);
	return caps_of_a_child() == 0 ? 0 : 5;
}

/* As a service manager starts us; privs_init() is for that. */
static int
lent_to_us(void)
{
	char err[128];

	if (!privs_drop(SOMEBODY, false, err, sizeof(err)))
		return 2;
	privs_lend(true);
	privs_init();
	return caps_of_a_child() == 0 && privs_have(CAP_NET_ADMIN) ? 0 : 3;
}

static void
run(int (*what)(void))
{
	if (geteuid() != 0 || !privs_have(CAP_SETUID) ||
	    !privs_have(CAP_NET_ADMIN))
		skip();
	assert_int_equal(in_child(what), 0);
}

#define CASE(f)								       \
static void								       \
test_##f(void **state)							       \
{									       \
	(void)state;							       \
	run(f);								       \
}

CASE(drop)
CASE(drop_but_lock)
CASE(drop_to_known)
CASE(drop_to_root)
CASE(drop_without_setuid)
CASE(drop_without_setgid)
CASE(drop_from_another_user)
CASE(lend)
CASE(lent_to_us)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_give_up),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_drop_but_lock),
		cmocka_unit_test(test_drop_to_known),
		cmocka_unit_test(test_drop_to_root),
		cmocka_unit_test(test_drop_without_setuid),
		cmocka_unit_test(test_drop_without_setgid),
		cmocka_unit_test(test_drop_from_another_user),
		cmocka_unit_test(test_lend),
		cmocka_unit_test(test_lent_to_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
