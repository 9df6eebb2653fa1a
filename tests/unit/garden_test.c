/*
 * garden_test.c - the walled garden: who is in the list, and when it is told
 *
 * The plugin with a table of functions in place of the server: it knows a few
 * thousand sessions, and children that end when the test says so.  What the
 * children do to a firewall is tests/system/test_garden.py's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"

#define SESSIONS	10001
#define IP(s)		(UINT32_C(0x0a000000) + (s))
#define EXIT(n)		((n) << 8)

/* --- the server ---------------------------------------------------------- */

static struct { int used, open, garden, held; } sessions[SESSIONS];
static char etc[64];
static char logged[16384];
static char answer[256];
static int answer_is_error;
static unsigned int ended;		/* by shutdown() */
static int can_run;

/* The child that runs. */
static struct {
	int running;
	char argv[10][128];		/* of the script, "SCRIPT" */
	char *input;			/* NULL: none */
	void (*done)(void *, int, const char *);
} child;
static unsigned int children, waited;

static void __attribute__((format(printf, 4, 5)))
fake_log(int level, uint32_t s, uint32_t t, const char *fmt, ...)
{
	size_t n = strlen(logged);
	va_list ap;

	(void)level, (void)s, (void)t;
	va_start(ap, fmt);
	vsnprintf(logged + n, sizeof(logged) - n, fmt, ap);
	va_end(ap);
	n = strlen(logged);
	snprintf(logged + n, sizeof(logged) - n, "\n");
}

static void __attribute__((format(printf, 3, 4)))
fake_answer(struct param_control *data, int is_error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(answer, sizeof(answer), fmt, ap);
	va_end(ap);
	answer_is_error = is_error;
	data->send_response = 1;
}

static int
fake_get_session(uint32_t s, struct plugin_session *p, size_t size)
{
	assert_int_equal(size, sizeof(*p));
	if (s == 0 || s >= SESSIONS || !sessions[s].used)
		return 0;
	*p = (struct plugin_session){ .s = s, .t = 1, .ip = IP(s),
	    .open = sessions[s].open, .garden = sessions[s].garden };
	return 1;
}

static uint32_t
fake_next(uint32_t s)
{
	for (s++; s < SESSIONS; s++)
		if (sessions[s].used)
			return s;
	return 0;
}

static uint32_t
fake_find(const char *word)
{
	uint32_t s = (uint32_t)atoi(word);

	return s < SESSIONS && sessions[s].used ? s : 0;
}

static int
fake_garden(uint32_t s, int on)
{
	sessions[s].garden = on;
	return 1;
}

static int
fake_hold(uint32_t s, int on)
{
	assert_int_equal(sessions[s].held, !on);
	sessions[s].held = on;
	return 1;
}

static int
fake_shutdown(uint32_t s, const char *reason, int result, int error, int cause)
{
	assert_true(reason[0] != '\0' && result == 0 && error == 0 &&
	    cause == 0);
	sessions[s].used = 0;
	ended++;
	return 1;
}

static int
fake_run(const char *const argv[], const char *input, size_t length,
    void (*done)(void *, int, const char *), void *arg)
{
	assert_null(arg);
	assert_false(child.running);
	if (!can_run)
		return 0;
	memset(child.argv, 0, sizeof(child.argv));
	/* What watches over the time is not looked at. */
	if (strcmp(argv[0], "/usr/bin/timeout") == 0)
		argv += 2;
	for (int i = 0; argv[i] != NULL; i++) {
		assert_true(i < 10);
		snprintf(child.argv[i], sizeof(child.argv[i]), "%s",
		    strlen(argv[i]) > 1000 ? "SCRIPT" : argv[i]);
	}
	free(child.input);
	child.input = input != NULL ? strndup(input, length) : NULL;
	child.running = 1;
	child.done = done;
	children++;
	return 1;
}

static int
fake_run_wait(const char *const argv[], const char *input, size_t length)
{
	assert_null(input);
	assert_int_equal(length, 0);
	assert_string_equal(argv[4], "remove");
	child.running = 0;
	return waited++ == 0 ? -1 : 0;
}

static int
fake_counter(const char *name, const char *help)
{
	assert_true(name[0] != '\0' && help[0] != '\0');
	return 0;
}

static void
fake_count(int counter, uint64_t n)
{
	assert_int_equal(counter, 0);
	assert_int_equal(n, 1);
}

static struct pluginfuncs host = {
	.size = sizeof(host), .version = "3", .etcdir = etc,
	.log = fake_log, .control_answer = fake_answer,
	.get_session = fake_get_session, .next_session = fake_next,
	.find_session = fake_find, .garden = fake_garden,
	.shutdown = fake_shutdown, .run = fake_run, .run_wait = fake_run_wait,
	.counter = fake_counter, .count = fake_count, .hold = fake_hold,
};

/* --- what happens -------------------------------------------------------- */

static void
end(int status, const char *output)
{
	assert_true(child.running);
	child.running = 0;
	child.done(NULL, status, output);
	while (child.running && strcmp(child.argv[0], "/bin/sleep") == 0) {
		child.running = 0;
		children--;
		child.done(NULL, 0, "");
	}
}

/* The child that runs is this one. */
static void
assert_child(const char *path, const char *word)
{
	assert_true(child.running);
	assert_string_equal(child.argv[0], path);
	if (word != NULL)
		assert_string_equal(child.argv[4], word);
}

static void
second(void)
{
	struct param_timer p = { .time_now = 1 };

	assert_int_equal(plugin_timer(&p), PLUGIN_RET_OK);
}

static int
login(uint32_t s, int allowed)
{
	struct param_post_auth p = { .t = 1, .s = s, .username = "joe",
	    .auth_allowed = allowed, .protocol = PLUGIN_PAP };

	sessions[s].used = 1;
	assert_int_equal(plugin_post_auth(&p), PLUGIN_RET_OK);
	return p.auth_allowed;
}

static void
up(uint32_t s)
{
	struct param_new_session p = { .t = 1, .s = s };

	sessions[s].open = 1;
	assert_int_equal(plugin_new_session(&p), PLUGIN_RET_OK);
}

static void
down(uint32_t s)
{
	struct param_kill_session p = { .t = 1, .s = s };

	assert_int_equal(plugin_kill_session(&p), PLUGIN_RET_OK);
	assert_int_equal(plugin_kill_session(&p), PLUGIN_RET_OK);
	sessions[s].used = sessions[s].open = sessions[s].garden = 0;
	sessions[s].held = 0;
}

static void
control(const char *word, const char *arg)
{
	const char *argv[] = { word, arg, NULL };
	struct param_control p = { .argc = arg != NULL ? 2 : 1, .argv = argv };

	answer[0] = '\0';
	answer_is_error = 0;
	assert_int_equal(plugin_control(&p), PLUGIN_RET_STOP);
	assert_int_equal(p.send_response, 1);
}

static void
become_master(void)
{
	struct param_become_master p = { 0 };

	assert_int_equal(plugin_become_master(&p), PLUGIN_RET_OK);
}

/* Has the input this line? */
static int
has_line(const char *line)
{
	const char *at = child.input;
	size_t n = strlen(line);

	while (at != NULL && (at = strstr(at, line)) != NULL) {
		if ((at == child.input || at[-1] == '\n') && at[n] == '\n')
			return 1;
		at += n;
	}
	return 0;
}

static unsigned int
count_lines(const char *beginning)
{
	unsigned int n = 0;

	for (const char *at = child.input; at != NULL && *at != '\0'; n +=
	    strncmp(at, beginning, strlen(beginning)) == 0,
	    at = strchr(at, '\n') + 1)
		continue;
	return n;
}

static int
setup(void **state)
{
	char path[128];
	FILE *f;

	(void)state;
	memset(sessions, 0, sizeof(sessions));
	logged[0] = '\0';
	children = waited = ended = 0;
	can_run = 1;
	strcpy(etc, "/tmp/garden_test.XXXXXX");
	assert_non_null(mkdtemp(etc));
	snprintf(path, sizeof(path), "%s/build-garden", etc);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(plugin_init(&host), 1);
	return 0;
}

/* As after the server's end: nothing is known any more. */
static int
teardown(void **state)
{
	struct param_become_slave p = { 0 };
	char path[128];

	(void)state;
	if (child.running)
		end(0, "");
	plugin_become_slave(&p);
	while (child.running)
		end(0, "");
	plugin_done();
	free(child.input);
	child.input = NULL;
	snprintf(path, sizeof(path), "%s/build-garden", etc);
	unlink(path);
	rmdir(etc);
	return 0;
}

/* Built, with a set, and nothing to do. */
static void
begin(void)
{
	become_master();
	assert_child("/bin/sh", "setup");
	end(EXIT(20), "");
	assert_string_equal(child.argv[1], "-exist");
	end(0, "");
	assert_false(child.running);
}

/* --- tests ---------------------------------------------------------------- */

static void
test_setup(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/build-garden", etc);
	become_master();
	assert_child("/bin/sh", "setup");
	assert_string_equal(child.argv[5], path);
	assert_null(child.input);
	end(EXIT(20), "");
	assert_non_null(strstr(child.argv[0], "/ipset"));
	assert_string_equal(child.argv[2], "restore");
	assert_true(has_line("flush garden_next"));
	assert_int_equal(count_lines("add"), 0);
	assert_true(has_line("swap garden_next garden_users"));
	end(0, "");
	assert_false(child.running);
}

static void
test_in_and_out(void **state)
{
	(void)state;
	begin();
	assert_int_equal(login(1, 0), 1);
	assert_int_equal(sessions[1].garden, 1);
	assert_false(child.running);
	up(1);
	assert_true(has_line("add garden_users 10.0.0.1"));
	assert_true(sessions[1].held);
	/* What comes now waits for it, and goes together. */
	login(2, 0);
	up(2);
	login(3, 0);
	up(3);
	login(4, 1);
	up(4);
	assert_true(sessions[2].held);
	assert_false(sessions[4].held);
	down(1);
	assert_int_equal(children, 3);
	end(0, "");
	assert_int_equal(children, 4);
	assert_true(sessions[2].held);
	assert_int_equal(count_lines(""), 3);
	assert_true(has_line("add garden_users 10.0.0.2"));
	assert_true(has_line("add garden_users 10.0.0.3"));
	assert_true(has_line("del garden_users 10.0.0.1"));
	/* Out while it goes in, and in again while it goes out. */
	down(2);
	end(0, "");
	assert_false(sessions[3].held);
	assert_int_equal(count_lines(""), 1);
	assert_true(has_line("del garden_users 10.0.0.2"));
	login(2, 0);
	up(2);
	end(0, "");
	assert_true(has_line("add garden_users 10.0.0.2"));
	end(0, "");
	assert_false(child.running);
}

/* Whoever has an address now counts, not who had it. */
static void
test_address_of_another(void **state)
{
	struct param_kill_session p = { .t = 1, .s = 1 };

	(void)state;
	begin();
	login(1, 0);
	up(1);
	end(0, "");
	/* Released, and its kill comes later. */
	sessions[1].garden = 0;
	up(1);
	assert_true(has_line("del garden_users 10.0.0.1"));
	plugin_kill_session(&p);
	end(0, "");
	assert_false(child.running);
}

static void
test_failure(void **state)
{
	(void)state;
	begin();
	login(1, 0);
	up(1);
	end(EXIT(1), "ipset: no such set\nmore\n");
	assert_false(child.running);
	assert_non_null(strstr(logged, "changing addresses has failed (exit 1"));
	assert_non_null(strstr(logged, "ipset: no such set"));
	/* As long as it is so, nobody is let in. */
	assert_int_equal(login(2, 0), 0);
	control("garden", "1");
	assert_true(answer_is_error);
	/* After a second all is made anew, with everybody. */
	second();
	assert_child("/bin/sh", "setup");
	end(EXIT(1), "iptables: no");
	second();
	assert_false(child.running);
	second();
	assert_child("/bin/sh", "setup");
	end(EXIT(20), "");
	assert_true(has_line("add garden_next 10.0.0.1"));
	assert_true(has_line("swap garden_next garden_users"));
	assert_true(sessions[1].held);
	end(0, "");
	assert_false(sessions[1].held);
	assert_false(child.running);
	assert_non_null(strstr(logged, "right again"));
	assert_int_equal(login(2, 0), 1);
}

/* The log hears of some of them, and no try is more than a minute away. */
static void
test_many_failures(void **state)
{
	unsigned int lines = 0;

	(void)state;
	can_run = 0;
	become_master();
	for (int i = 0; i < 600; i++)
		second();
	for (const char *at = logged; (at = strstr(at, "has failed")) != NULL;
	    at++)
		lines++;
	assert_in_range(lines, 4, 6);
	can_run = 1;
	for (int i = 0; i < 60; i++)
		second();
	assert_child("/bin/sh", "setup");
}

static void
test_without_ipset(void **state)
{
	(void)state;
	become_master();
	end(EXIT(21), "");
	assert_child("/bin/sh", "rules");
	assert_string_equal(child.input,
	    "*nat\n:garden_users - [0:0]\nCOMMIT\n");
	login(1, 0);
	up(1);
	login(2, 0);
	up(2);
	end(0, "");
	assert_child("/bin/sh", "rules");
	assert_true(has_line("-A garden_users -s 10.0.0.1 -j garden"));
	assert_true(has_line("-A garden_users -s 10.0.0.2 -j garden"));
	down(1);
	assert_true(sessions[2].held);
	end(0, "");
	assert_int_equal(count_lines("-A"), 1);
	assert_true(has_line("-A garden_users -s 10.0.0.2 -j garden"));
	end(0, "");
	assert_false(child.running);
}

/* Sessions of a saved state, or of the master before. */
static void
test_those_that_are_there(void **state)
{
	unsigned int sum = 0, runs = 0;

	(void)state;
	for (uint32_t s = 1; s < SESSIONS; s++) {
		sessions[s].used = sessions[s].open = 1;
		sessions[s].garden = s != 5;
	}
	become_master();
	end(EXIT(20), "");
	/* One that ends in the middle of it is in the next child. */
	down(10000);
	for (; child.running && count_lines("swap") == 0; runs++) {
		sum += count_lines("add garden_next");
		assert_in_range(count_lines(""), 1, 6000);
		end(0, "");
	}
	sum += count_lines("add garden_next");
	assert_true(runs >= 1);
	assert_in_range(sum, SESSIONS - 3, SESSIONS - 2);
	assert_false(has_line("add garden_next 10.0.0.5"));
	end(0, "");
	if (child.running) {
		assert_true(has_line("del garden_users 10.0.39.16"));
		end(0, "");
	}
	assert_false(child.running);
}

static void
test_control(void **state)
{
	struct param_control p = { 0 };
	const char *argv[] = { "snoop", "1", NULL };

	(void)state;
	begin();
	control("garden", NULL);
	assert_true(answer_is_error);
	control("garden", "77");
	assert_string_equal(answer, "Session not connected: 77");
	control("ungarden", "jane");
	assert_string_equal(answer, "User not connected: jane");
	assert_true(answer_is_error);
	login(1, 1);
	up(1);
	assert_false(child.running);
	control("garden", "1");
	assert_int_equal(sessions[1].garden, 1);
	assert_true(has_line("add garden_users 10.0.0.1"));
	end(0, "");
	while (child.running)	/* what was connected is cut, by conntrack */
		end(0, "");
	control("ungarden", "1");
	assert_false(answer_is_error);
	assert_int_equal(sessions[1].garden, 0);
	assert_true(has_line("del garden_users 10.0.0.1"));
	end(0, "");
	if (child.running) {
		assert_non_null(strstr(child.argv[0], "/conntrack"));
		assert_string_equal(child.input, "-D -s 10.0.0.1\n");
		end(EXIT(1), "not a failure");
	}
	control("ungarden", "1");
	assert_non_null(strstr(answer, "not in"));
	assert_false(child.running);
	control("build-garden", NULL);
	assert_child("/bin/sh", "setup");
	/* Once more, as the file may have been read before it was changed. */
	control("build-garden", NULL);
	end(EXIT(20), "iptables: some warning\n");
	assert_non_null(strstr(logged, "the walled garden: iptables: some"));
	assert_child("/bin/sh", "setup");
	p.argc = 2;
	p.argv = argv;
	assert_int_equal(plugin_control(&p), PLUGIN_RET_OK);
	assert_int_equal(p.send_response, 0);
}

/* Refused, then let in by the next login of the same session. */
static void
test_login_again(void **state)
{
	(void)state;
	begin();
	login(1, 0);
	up(1);
	end(0, "");
	assert_int_equal(login(1, 1), 1);
	assert_int_equal(sessions[1].garden, 0);
	assert_true(has_line("del garden_users 10.0.0.1"));
	end(0, "");
	while (child.running)
		end(0, "");
	assert_int_equal(login(1, 0), 1);
	assert_true(has_line("add garden_users 10.0.0.1"));
}

static void
assert_refused(const char *why)
{
	logged[0] = '\0';
	become_master();
	assert_child("/bin/sh", "setup");
	assert_string_equal(child.argv[5], "");
	assert_non_null(strstr(logged, "build-garden is not run"));
	assert_non_null(strstr(logged, why));
	end(EXIT(22), "");
	assert_non_null(strstr(logged, "dropped"));
	end(0, "");
}

static void
test_hostile_script(void **state)
{
	char path[128], other[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/build-garden", etc);
	snprintf(other, sizeof(other), "%s/other", etc);
	assert_int_equal(chmod(path, 0666), 0);
	assert_refused("can be written to by others");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chmod(etc, 0777), 0);
	assert_refused("can be written to by others");
	assert_int_equal(chmod(etc, 0755), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 12345), 0);
		assert_refused("does not belong to root");
	}
	assert_int_equal(rename(path, other), 0);
	assert_refused("No such file");
	assert_int_equal(symlink(other, path), 0);
	assert_refused("is a symbolic link");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_refused("is no ordinary file");
	assert_int_equal(rmdir(path), 0);
}

/* Somebody has emptied the table. */
static void
test_check(void **state)
{
	(void)state;
	begin();
	login(1, 0);
	up(1);
	end(0, "");
	for (int i = 0; i < 30; i++)
		second();
	assert_child("/bin/sh", "check");
	end(0, "");
	assert_false(child.running);
	for (int i = 0; i < 30; i++)
		second();
	end(EXIT(1), "iptables: Bad rule\n");
	assert_child("/bin/sh", "setup");
	end(EXIT(20), "");
	assert_true(has_line("add garden_next 10.0.0.1"));
}

static void
test_slave(void **state)
{
	struct param_become_slave p = { .master = 1 };

	(void)state;
	begin();
	login(1, 0);
	up(1);
	assert_int_equal(plugin_become_slave(&p), PLUGIN_RET_OK);
	end(0, "");
	assert_child("/bin/sh", "remove");
	/* Master again before it has ended. */
	become_master();
	end(0, "");
	assert_child("/bin/sh", "setup");
	plugin_become_slave(&p);
	end(EXIT(20), "");
	assert_child("/bin/sh", "remove");
	end(0, "");
	second();
	assert_false(child.running);
	assert_int_equal(login(1, 0), 0);
}

/* Killed as master, it comes back as a slave: what was left goes, once. */
static void
test_after_a_crash(void **state)
{
	(void)state;
	assert_int_equal(children, 0);
	second();
	assert_child("/bin/sh", "remove");
	end(0, "");
	second();
	assert_false(child.running);
	assert_int_equal(children, 1);
}

static void
test_done(void **state)
{
	(void)state;
	begin();
	login(1, 0);
	up(1);
	login(2, 1);
	plugin_done();
	assert_int_equal(waited, 2);
	assert_int_equal(ended, 1);
	assert_int_equal(sessions[2].used, 1);
}

int
main(void)
{
#define T(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_setup), T(test_in_and_out), T(test_address_of_another),
		T(test_failure), T(test_many_failures), T(test_without_ipset),
		T(test_those_that_are_there), T(test_control),
		T(test_login_again), T(test_hostile_script), T(test_check),
		T(test_slave), T(test_after_a_crash), T(test_done),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	return rc;
}
