/*
 * acctfile_test.c - usage files, written by the test's own program
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acctfile.h"
#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "table.h"

#define SESSIONS	3000

struct l2tpns lns;

static char top[] = "/tmp/acctfile-test-XXXXXX";
static char dir[64], logfile[64];

/* What was logged since the last time. */
static const char *
logged(void)
{
	static char text[8192];
	FILE *f = fopen(logfile, "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	assert_int_equal(truncate(logfile, 0), 0);
	return text;
}

static int
count(const char *text, const char *what)
{
	int n = 0;

	while ((text = strstr(text, what)) != NULL) {
		n++;
		text++;
	}
	return n;
}

/* The names in the directory, sorted; hidden ones are counted apart. */
static int
names(char list[8][32], int *hidden)
{
	struct dirent **e;
	int n = scandir(dir, &e, NULL, alphasort), m = 0;

	*hidden = 0;
	for (int i = 0; i < n; i++) {
		if (e[i]->d_name[0] != '.' && m < 8)
			snprintf(list[m++], 32, "%.31s", e[i]->d_name);
		else if (strlen(e[i]->d_name) > 2)
			++*hidden;
		free(e[i]);
	}
	free(e);
	return m;
}

static int
files(void)
{
	char list[8][32];
	int hidden, n = names(list, &hidden);

	assert_int_equal(hidden, 0);
	return n;
}

/* The lines past the header of the newest file, which goes. */
static const char *
taken(void)
{
	static char text[1 << 18];
	char list[8][32], path[128], *line;
	int hidden, n = names(list, &hidden);
	FILE *f;

	assert_true(n > 0);
	snprintf(path, sizeof(path), "%s/%s", dir, list[n - 1]);
	f = fopen(path, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	unlink(path);
	for (line = text; *line == '#'; line = strchr(line, '\n') + 1)
		;
	return line;
}

/* Until the process that writes is gone, and known to be. */
static void
wait_for_child(void)
{
	char path[64], c;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	do {
		loop_turn(10);
		f = fopen(path, "r");
		assert_non_null(f);
		c = (char)fgetc(f);
		fclose(f);
	} while (c >= '0' && c <= '9');
	loop_turn(0);
}

/* A second for the slices of a file that has begun, then its process. */
static void
one_file(void)
{
	for (int i = 0; i < 100; i++)
		timer_fake(10);
	wait_for_child();
}

static void
interval(void)
{
	timer_fake((uint64_t)lns.config.accounting_interval * 1000);
	one_file();
}

static struct session *
subscriber(const char *user, uint64_t up, uint64_t down)
{
	struct session *s = table_session_new();

	assert_non_null(s);
	snprintf(s->user, sizeof(s->user), "%s", user);
	s->authenticated = true;
	s->ip = 0x0a000000 + s->sid;
	s->rx_octets = up;
	s->tx_octets = down;
	return s;
}

static int
setup(void **state)
{
	(void)state;
	timers_init();
	timer_fake(0);
	config_defaults(&lns.config);
	snprintf(lns.config.accounting_dir, sizeof(lns.config.accounting_dir),
	    "%s", dir);
	strcpy(lns.hostname, "lns.example");
	lns.master = true;
	lns.start = timer_wall() - 5;
	assert_true(table_init(SESSIONS, 10));
	assert_int_equal(mkdir(dir, 0755), 0);
	acctfile_init();
	(void)logged();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	acctfile_exit();
	table_free();
	return rmdir(dir);
}

static void
format(void **state)
{
	char list[8][32], path[128], want[512], text[512], name[32];
	struct session *s;
	struct stat st;
	struct tm tm;
	time_t then;
	int hidden;
	FILE *f;

	(void)state;
	subscriber("alice", 111, 5000000000);
	s = subscriber("bob@example", 7, 8);
	s->flags |= SF_THROTTLE;
	/* None in the first moments: a full interval has to pass. */
	timer_fake(299000);
	loop_turn(0);
	assert_int_equal(files(), 0);
	then = timer_wall() + 1;
	lns.config.accounting_interval = 1;
	interval();
	assert_int_equal(names(list, &hidden), 1);
	localtime_r(&then, &tm);
	strftime(name, sizeof(name), "%Y%m%d%H%M%S", &tm);
	assert_string_equal(list[0], name);
	snprintf(want, sizeof(want), "# l2tpns " L2TPNS_VERSION " usage file\n"
	    "# host: lns.example\n# time: %lld\n# uptime: 305\n"
	    "# format: username ip qos uptxoctets downrxoctets\n"
	    "alice 10.0.0.1 1 111 5000000000\n"
	    "bob@example 10.0.0.2 2 7 8\n", (long long)then);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	f = fopen(path, "r");
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	unlink(path);
	assert_string_equal(text, want);
	assert_int_equal(count(logged(), "usage of 2 users written"), 1);
}

static void
differences(void **state)
{
	struct session *s;

	(void)state;
	s = subscriber("alice", 100, 200);
	interval();
	assert_string_equal(taken(), "alice 10.0.0.1 1 100 200\n");
	/* Nothing since: no file at all. */
	interval();
	assert_int_equal(files(), 0);
	s->rx_octets += 5;
	s->tx_octets += 6;
	interval();
	assert_string_equal(taken(), "alice 10.0.0.1 1 5 6\n");
	/* One way only is nothing, and is told later. */
	s->rx_octets += 50;
	interval();
	assert_int_equal(files(), 0);
	s->tx_octets += 1;
	interval();
	assert_string_equal(taken(), "alice 10.0.0.1 1 50 1\n");
	assert_int_equal(s->rx_octets, 155);
}

static void
left_out(void **state)
{
	(void)state;
	subscriber("", 1, 1);
	subscriber("garden", 1, 1)->flags = SF_GARDEN;
	subscriber("noip", 1, 1)->ip = 0;
	subscriber("notyet", 1, 1)->authenticated = false;
	subscriber("dying", 1, 1)->dying = true;
	subscriber("up", 1, 0);
	subscriber("down", 0, 1);
	interval();
	assert_int_equal(files(), 0);
	subscriber("one", 1, 1);
	interval();
	assert_string_equal(taken(), "one 10.0.0.8 1 1 1\n");
}

/* Five fields, whatever the user is called. */
static void
names_of_users(void **state)
{
	static const struct { const char *user, *field; } known[] = {
		{ "a b", "a%20b" }, { "#x", "%23x" }, { "x#", "x#" },
		{ "50%", "50%25" }, { "a\nb c\td", "a%0Ab%20c%09d" },
		{ "\x1b[31m\x7f\xc3\xa9", "%1B[31m%7F%C3%A9" },
		{ "joe@realm\\;\"'", "joe@realm\\;\"'" },
	};
	char text[ACCTFILE_USER], longest[USER_MAX];
	const char *line;

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_string_equal(acctfile_user(text, known[i].user),
		    known[i].field);
		subscriber(known[i].user, 1, 2);
	}
	memset(longest, '\n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	subscriber(longest, UINT64_MAX, UINT64_MAX);
	interval();
	line = taken();
	assert_int_equal(count(line, "\n"), 8);
	assert_int_equal(count(line, " "), 8 * 4);
	assert_int_equal(count(line, "%0A"), 1 + USER_MAX - 1);
	assert_int_equal(count(line, " 18446744073709551615\n"), 1);
}

/* In slices, a few turns long; who comes meanwhile is in this or the next. */
static void
many(void **state)
{
	char want[64];
	int n;

	(void)state;
	for (int i = 0; i < SESSIONS - 1; i++)
		subscriber("u", (uint64_t)i + 1, 1);
	timer_fake(300000);
	subscriber("late", 1, 1);
	one_file();
	n = count(taken(), "\n");
	assert_in_range(n, SESSIONS - 1, SESSIONS);
	for (struct session *s = session_next(0); s != NULL;
	    s = session_next(s->sid)) {
		s->rx_octets++;
		s->tx_octets++;
	}
	interval();
	snprintf(want, sizeof(want), "late 10.0.11.184 1 %d %d\n",
	    n < SESSIONS ? 2 : 1, n < SESSIONS ? 2 : 1);
	assert_non_null(strstr(taken(), want));
}

/* What was not written is told by the next: nothing twice, nothing lost. */
static void
no_directory(void **state)
{
	struct session *s;

	(void)state;
	s = subscriber("alice", 100, 200);
	assert_int_equal(rmdir(dir), 0);
	interval();
	assert_int_equal(count(logged(), "WARN"), 1);
	s->rx_octets += 1;
	s->tx_octets += 1;
	interval();
	assert_int_equal(count(logged(),
	    "No such file or directory; its octets go into the next one"), 1);
	assert_int_equal(mkdir(dir, 0755), 0);
	s->rx_octets += 1;
	s->tx_octets += 1;
	interval();
	assert_string_equal(taken(), "alice 10.0.0.1 1 102 202\n");
	assert_int_equal(count(logged(), "WARN"), 0);
}

static void
too_large(void **state)
{
	const struct rlimit little = { 100, RLIM_INFINITY };
	const struct rlimit enough = { RLIM_INFINITY, RLIM_INFINITY };

	(void)state;
	subscriber("alice", 100, 200);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	interval();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &enough), 0);
	assert_int_equal(files(), 0);
	interval();
	assert_string_equal(taken(), "alice 10.0.0.1 1 100 200\n");
}

/* A file in each of the next few seconds, whatever the clock says. */
static void
every_second(struct session *s, int seconds)
{
	lns.config.accounting_interval = 1;
	while (seconds-- > 0) {
		s->rx_octets++;
		s->tx_octets++;
		timer_fake(950);
		for (int i = 0; i < 5; i++)
			timer_fake(10);
		wait_for_child();
	}
}

/* The night on which an hour comes twice. */
static void
same_name(void **state)
{
	struct session *s;
	char list[8][32], twice[40];
	int hidden, n;

	(void)state;
	s = subscriber("alice", 1, 1);
	setenv("TZ", "SUM-1", 1);
	tzset();
	lns.config.accounting_interval = 86400;
	every_second(s, 3);
	assert_int_equal(names(list, &hidden), 3);
	lns.config.accounting_interval = 86400;
	timer_fake(3597 * 1000);
	setenv("TZ", "WIN0", 1);
	tzset();
	every_second(s, 3);
	setenv("TZ", "UTC0", 1);
	tzset();
	n = names(list, &hidden);
	assert_int_equal(n, 6);
	assert_int_equal(hidden, 0);
	for (int i = 0; i < n; i += 2) {
		snprintf(twice, sizeof(twice), "%s-1", list[i]);
		assert_string_equal(list[i + 1], twice);
	}
	for (; n > 0; n--)
		(void)taken();
}

static void
over_a_restart(void **state)
{
	struct session *s;
	uint64_t rx, tx;

	(void)state;
	s = subscriber("alice", 100, 200);
	acctfile_export(s, &rx, &tx);
	assert_int_equal(rx, 0);
	interval();
	(void)taken();
	acctfile_export(s, &rx, &tx);
	assert_int_equal(rx, 100);
	assert_int_equal(tx, 200);
	s->rx_octets += 3;
	s->tx_octets += 4;
	acctfile_resume(s, rx, tx);
	interval();
	assert_string_equal(taken(), "alice 10.0.0.1 1 3 4\n");
	/* One that failed has told nothing. */
	assert_int_equal(rmdir(dir), 0);
	s->rx_octets += 3;
	s->tx_octets += 4;
	interval();
	assert_int_equal(mkdir(dir, 0755), 0);
	acctfile_export(s, &rx, &tx);
	assert_int_equal(rx, 103);
}

static void
turned_off(void **state)
{
	(void)state;
	subscriber("alice", 1, 1);
	lns.config.accounting_dir[0] = '\0';
	interval();
	assert_int_equal(files(), 0);
	snprintf(lns.config.accounting_dir, sizeof(lns.config.accounting_dir),
	    "%s", dir);
	interval();
	assert_string_equal(taken(), "alice 10.0.0.1 1 1 1\n");
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(format), T(differences), T(left_out), T(names_of_users),
		T(many), T(no_directory), T(too_large), T(same_name),
		T(over_a_restart), T(turned_off),
	};
	char err[256];
	int failed, status;

	if (acctfile_child(argc, argv, &status))
		return status;
	if (mkdtemp(top) == NULL)
		return 1;
	snprintf(dir, sizeof(dir), "%s/files", top);
	snprintf(logfile, sizeof(logfile), "%s/log", top);
	if (!loop_init() || !log_open(logfile, err, sizeof(err)))
		return 1;
	log_set_level(LOG_L_INFO);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(logfile);
	return rmdir(top) != 0 || failed;
}
