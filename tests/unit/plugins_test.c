/*
 * plugins_test.c - real shared objects, good and hostile ones
 *
 * They come from tests/plugins and are copied to a directory in /run, since
 * what lies below /tmp is refused.  That takes root; without, all is skipped.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "plugins.h"
#include "timer.h"

struct l2tpns lns;

static char top[64], dir[80], err[512];

static void __attribute__((format(printf, 1, 2)))
sh(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

static const char *
path(const char *name)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s/%s", dir, name);
	return text;
}

static int
begin(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	timers_init();
	timer_fake(0);
	assert_true(loop_init());
	assert_true(log_open("/dev/null", err, sizeof(err)));
	strcpy(top, "/run/plugins_test.XXXXXX");
	assert_non_null(mkdtemp(top));
	assert_int_equal(chmod(top, 0755), 0);
	snprintf(dir, sizeof(dir), "%s/dir", top);
	sh("mkdir -m 755 %s && cp " TEST_PLUGINS "/*.so %s && "
	    "chmod 644 %s/*.so", dir, dir, dir);
	plugins_init(dir);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	plugins_exit();
	plugins_apply(NULL, 0);
	sh("rm -rf %s", top);
	return 0;
}

#define NEEDS_ROOT	do { if (geteuid() != 0) skip(); } while (0)

static void
load(const char *name)
{
	if (!plugin_load(name, err, sizeof(err)))
		fail_msg("%s: %s", name, err);
}

/* It is not loaded, and `why` is in the reason. */
static void
want_refused(const char *name, const char *why)
{
	strcpy(err, "");
	assert_false(plugin_load(name, err, sizeof(err)));
	if (strstr(err, why) == NULL)
		fail_msg("\"%s\" has no \"%s\" in it", err, why);
	assert_null(plugin_name(0));
	assert_int_equal(plugin_hooks, 0);
}

static struct param_control asked;

/* A control event; the response is in asked until the next one. */
static int
ask(const char *word, const char *arg, const char **by)
{
	static const char *argv[3];

	free(asked.response);
	argv[0] = word;
	argv[1] = arg;
	asked = (struct param_control){ .argc = arg != NULL ? 2 : 1,
	    .argv = argv };
	return plugin_call(PE_control, &asked, by);
}

static void
want_answer(const char *word, const char *arg, const char *text)
{
	assert_int_equal(ask(word, arg, NULL), PLUGIN_RET_STOP);
	assert_true(asked.send_response);
	assert_string_equal(asked.response, text);
	assert_int_equal(asked.response_length, strlen(text));
}

/* --- what may be loaded ---------------------------------------------------- */

static void
test_names(void **state)
{
	char longest[66];

	(void)state;
	NEEDS_ROOT;
	want_refused("", "no name");
	want_refused("../dir/nothing", "no name");
	want_refused("./nothing", "no name");
	want_refused("nothing.so", "no name");
	want_refused("no thing", "no name");
	want_refused("nothing\n", "no name");
	want_refused("/etc/passwd", "no name");
	memset(longest, 'x', sizeof(longest));
	longest[65] = '\0';
	want_refused(longest, "no name");
	longest[64] = '\0';
	want_refused(longest, "there is no ");
	want_refused("absent", "there is no ");
	load("nothing");
	assert_string_equal(plugin_name(0), "nothing");
	assert_null(plugin_name(1));
	assert_true(plugin_loaded("nothing"));
	assert_false(plugin_loaded("answer"));
	assert_false(plugin_load("nothing", err, sizeof(err)));
	assert_non_null(strstr(err, "loaded already"));
	assert_true(plugin_check("nothing", err, sizeof(err)));
	assert_false(plugin_check("absent", err, sizeof(err)));
}

static void
test_no_plugins(void **state)
{
	(void)state;
	NEEDS_ROOT;
	want_refused("noversion", "no plugin_api_version");
	want_refused("oldversion", "version 7");
	want_refused("unresolved", "nobody_has_this_function");
	want_refused("refuses", "does not want");
	sh("echo rubbish > %s", path("text.so"));
	want_refused("text", "text.so");
	sh(": > %s", path("empty.so"));
	want_refused("empty", "empty.so");
	sh("mkdir %s", path("directory.so"));
	want_refused("directory", "no ordinary file");
	sh("mkfifo -m 644 %s", path("fifo.so"));
	want_refused("fifo", "no ordinary file");
}

static void
test_the_file(void **state)
{
	(void)state;
	NEEDS_ROOT;
	sh("chmod 664 %s", path("nothing.so"));
	want_refused("nothing", "can write");
	sh("chmod 646 %s", path("nothing.so"));
	want_refused("nothing", "can write");
	sh("chmod 644 %s && chown 12 %s", path("nothing.so"),
	    path("nothing.so"));
	want_refused("nothing", "belong to root");
	sh("chown 0:12 %s", path("nothing.so"));
	load("nothing");
	assert_true(plugin_remove("nothing", err, sizeof(err)));
	sh("ln -s nothing.so %s", path("link.so"));
	want_refused("link", "symbolic link");
	/* One file under two names would be initialised twice. */
	sh("ln %s %s/again.so", path("nothing.so"), dir);
	load("nothing");
	assert_false(plugin_load("again", err, sizeof(err)));
	assert_non_null(strstr(err, "same file"));
	assert_null(plugin_name(1));
}

static void
test_the_directories(void **state)
{
	char other[160];

	(void)state;
	NEEDS_ROOT;
	sh("chmod 775 %s", dir);
	want_refused("nothing", "can write");
	sh("chmod 755 %s && chown 12 %s", dir, dir);
	want_refused("nothing", "belong to root");
	sh("chown 0 %s && chmod 1777 %s", dir, top);
	want_refused("nothing", "can write");
	sh("chmod 755 %s && ln -s dir %s/link", top, top);
	snprintf(other, sizeof(other), "%s/link", top);
	plugins_init(other);
	want_refused("nothing", "symbolic link");
	snprintf(other, sizeof(other), "%s/link/../dir", top);
	want_refused("nothing", "symbolic link");
	snprintf(other, sizeof(other), "%s/absent", top);
	want_refused("nothing", "there is no ");
	snprintf(other, sizeof(other), "%s", path("nothing.so"));
	want_refused("nothing", "no directory");
	plugins_init("run");
	want_refused("nothing", "absolute");
	plugins_init("");
	want_refused("nothing", "absolute");
	snprintf(other, sizeof(other), "//%s//./dir//", top + 1);
	plugins_init(other);
	load("nothing");
}

/* --- calling ---------------------------------------------------------------- */

static void
test_events(void **state)
{
	const char *by = NULL;

	(void)state;
	NEEDS_ROOT;
	assert_false(plugin_wanted(PE_control));
	assert_int_equal(ask("echo", "a", &by), PLUGIN_RET_OK);
	assert_null(by);
	load("answer");
	assert_true(plugin_wanted(PE_control));
	assert_true(plugin_wanted(PE_timer));
	want_answer("echo", "a", "a\n");
	assert_false(asked.is_error);
	want_answer("fail", NULL, "it went wrong");
	assert_true(asked.is_error);
	assert_int_equal(ask("whatever", NULL, &by), PLUGIN_RET_OK);
	assert_false(asked.send_response);
	assert_int_equal(ask("error", NULL, &by), PLUGIN_RET_ERROR);
	assert_string_equal(by, "answer");
	assert_int_equal(ask("number", NULL, NULL), PLUGIN_RET_ERROR);
	assert_int_equal(ask("mute", NULL, NULL), PLUGIN_RET_STOP);
	assert_false(asked.send_response);
	assert_string_equal(plugin_help(1),
	    "  ticks                                       Count seconds");
	assert_null(plugin_help(2));
	assert_true(plugin_remove("answer", err, sizeof(err)));
	assert_int_equal(plugin_hooks, 0);
	assert_null(plugin_help(0));
	assert_false(plugin_remove("answer", err, sizeof(err)));
	assert_non_null(strstr(err, "not loaded"));
}

static int heard;
static enum log_level heard_level;

static void
hear(struct log_listener *l, enum log_level level, uint32_t tid, uint32_t sid,
    const char *text)
{
	(void)l, (void)tid, (void)sid;
	heard++;
	heard_level = level;
	assert_string_equal(text, "answer: a line");
}

static void
test_log(void **state)
{
	struct log_listener trusted = { .trusted = true, .line = hear,
	    .levels = ~0u };
	struct log_listener other = { .line = hear, .levels = ~0u };

	(void)state;
	NEEDS_ROOT;
	load("answer");
	log_listen(&other);
	heard = 0;
	assert_int_equal(ask("log", "2", NULL), PLUGIN_RET_STOP);
	assert_int_equal(heard_level, LOG_L_WARN);
	assert_int_equal(ask("log", "99", NULL), PLUGIN_RET_STOP);
	assert_int_equal(heard_level, LOG_LEVELS - 1);
	assert_int_equal(ask("log", "-2", NULL), PLUGIN_RET_STOP);
	assert_int_equal(heard_level, LOG_L_CRIT);
	assert_int_equal(heard, 3);
	/* PLUGIN_LOG_PRIVATE */
	assert_int_equal(ask("log", "-1", NULL), PLUGIN_RET_STOP);
	assert_int_equal(heard, 3);
	log_listen(&trusted);
	assert_int_equal(ask("log", "-1", NULL), PLUGIN_RET_STOP);
	assert_int_equal(heard, 4);
	log_unlisten(&trusted);
	log_unlisten(&other);
}

static void
test_order(void **state)
{
	(void)state;
	NEEDS_ROOT;
	load("answer");
	load("nothing");
	load("second");
	assert_string_equal(plugin_name(0), "answer");
	assert_string_equal(plugin_name(1), "nothing");
	assert_string_equal(plugin_name(2), "second");
	want_answer("echo", "a", "a\n");
	want_answer("second", NULL, "second");
	/* Who fails ends it for those after it. */
	assert_int_equal(ask("error", NULL, NULL), PLUGIN_RET_ERROR);
	assert_true(plugin_remove("answer", err, sizeof(err)));
	want_answer("echo", "a", "second");
	load("answer");
	want_answer("echo", "a", "second");
	assert_string_equal(plugin_name(2), "answer");
}

static void
test_timer(void **state)
{
	const char *by;

	(void)state;
	NEEDS_ROOT;
	timer_fake(500);
	load("answer");
	timer_fake(900);
	assert_int_equal(ask("ticks", NULL, &by), PLUGIN_RET_STOP);
	assert_memory_equal(asked.response, "0 ", 2);
	for (int i = 0; i < 100; i++)
		timer_fake(100);
	assert_int_equal(ask("ticks", NULL, &by), PLUGIN_RET_STOP);
	assert_memory_equal(asked.response, "10 ", 3);
	assert_in_range(strtoll(asked.response + 3, NULL, 10),
	    timer_wall() - 1, timer_wall());
	assert_true(plugin_remove("answer", err, sizeof(err)));
	timer_fake(5000);
	load("answer");
	assert_int_equal(ask("ticks", NULL, &by), PLUGIN_RET_STOP);
	assert_memory_equal(asked.response, "0 ", 2);
}

/* --- removing ---------------------------------------------------------------- */

static bool removed, other_removed;

/* Called from inside the plugin answer. */
static void
remove_both(void)
{
	removed = plugin_remove("answer", err, sizeof(err));
	other_removed = plugin_remove("second", err, sizeof(err));
}

static void
test_remove_in_flight(void **state)
{
	static const char *argv[] = { "call", NULL };
	void (*f)(void) = remove_both;

	(void)state;
	NEEDS_ROOT;
	load("answer");
	load("second");
	removed = other_removed = false;
	free(asked.response);
	asked = (struct param_control){ .argc = 1, .argv = argv,
	    .data = (const char *)&f, .data_length = sizeof(f) };
	assert_int_equal(plugin_call(PE_control, &asked, NULL),
	    PLUGIN_RET_STOP);
	assert_true(removed && other_removed);
	/* Their code is still there, but nobody sees them any more. */
	assert_null(plugin_name(0));
	assert_int_equal(plugin_hooks, 0);
	assert_int_equal(ask("echo", "a", NULL), PLUGIN_RET_OK);
	assert_false(plugin_remove("answer", err, sizeof(err)));
	assert_false(plugin_load("answer", err, sizeof(err)));
	assert_non_null(strstr(err, "being removed"));
	loop_turn(0);
	load("answer");
	want_answer("echo", "a", "a\n");
}

/* --- packets ------------------------------------------------------------------ */

/* UDP to port 7777, with room for an address. */
static uint8_t udp[36];

static void
make_udp(void (*f)(void))
{
	static const uint8_t header[28] = { 0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17,
	    0xae, 0xc7, 10, 0, 0, 1, 192, 0, 2, 1, 0x10, 0, 0x1e, 0x61, 0, 16 };

	memcpy(udp, header, sizeof(header));
	memcpy(udp + sizeof(header), &f, sizeof(f));
}

static struct {
	int calls, stop_at;
	int len[2];
	char names[32];
	struct param_packet_tx *param;
} reviewed;

static bool
review(void *arg, const char *plugin)
{
	assert_ptr_equal(arg, &reviewed);
	if (reviewed.calls < 2)
		reviewed.len[reviewed.calls] = reviewed.param->len;
	reviewed.calls++;
	strcat(reviewed.names, plugin);
	reviewed.param->len = (int)sizeof(udp);
	return reviewed.calls != reviewed.stop_at;
}

static int
show_packet(void)
{
	static struct param_packet_tx param;

	param = (struct param_packet_tx){ .t = 1, .s = 5,
	    .buf = (char *)udp, .len = (int)sizeof(udp) };
	memset(&reviewed, 0, sizeof(reviewed));
	reviewed.param = &param;
	return plugin_call_reviewed(PE_packet_tx, &param, review, &reviewed,
	    NULL);
}

static void
want_counted(const char *text)
{
	static const char *argv[] = { "count", "5", NULL };

	free(asked.response);
	asked = (struct param_control){ .argc = 2, .argv = argv };
	assert_int_equal(plugin_call(PE_control, &asked, NULL),
	    PLUGIN_RET_STOP);
	assert_string_equal(asked.response, text);
}

static void
remove_count(void)
{
	removed = plugin_remove("count", err, sizeof(err));
}

/* Two plugins, and somebody who looks after each. */
static void
test_packets(void **state)
{
	(void)state;
	NEEDS_ROOT;
	sh("cp %s %s/another.so", path("count.so"), dir);
	load("count");
	load("another");
	assert_true(plugin_wanted(PE_packet_rx));
	assert_true(plugin_wanted(PE_packet_tx));
	make_udp(remove_count);
	assert_int_equal(show_packet(), PLUGIN_RET_OK);
	assert_string_equal(reviewed.names, "countanother");
	assert_int_equal(reviewed.len[0], sizeof(udp));
	want_counted("rx 0 0 tx 1 36 bad 0 longest 36");
	want_answer("play", "len", "len 0");
	assert_int_equal(show_packet(), PLUGIN_RET_OK);
	assert_int_equal(reviewed.len[0], 0);
	assert_int_equal(reviewed.len[1], sizeof(udp));
	memset(&reviewed, 0, sizeof(reviewed));
	want_answer("play", "return", "return 0");
	assert_int_equal(show_packet(), PLUGIN_RET_ERROR);
	assert_string_equal(reviewed.names, "count");
	/* It removes itself while it has the packet. */
	want_answer("play", "call", "call 0");
	removed = false;
	assert_int_equal(show_packet(), PLUGIN_RET_OK);
	assert_true(removed);
	assert_string_equal(reviewed.names, "countanother");
	assert_true(plugin_wanted(PE_packet_tx));
	want_counted("rx 0 0 tx 3 108 bad 0 longest 36");
	loop_turn(0);
	assert_int_equal(show_packet(), PLUGIN_RET_OK);
	assert_string_equal(reviewed.names, "another");
	assert_true(plugin_remove("another", err, sizeof(err)));
	assert_int_equal(plugin_hooks, 0);
	assert_int_equal(show_packet(), PLUGIN_RET_OK);
	assert_int_equal(reviewed.calls, 0);
}

/* Who has seen enough asks nobody further. */
static void
test_review_stops(void **state)
{
	static struct param_packet_tx param;
	const char *by = NULL;

	(void)state;
	NEEDS_ROOT;
	sh("cp %s %s/another.so", path("count.so"), dir);
	load("count");
	load("another");
	param = (struct param_packet_tx){ .buf = (char *)udp,
	    .len = (int)sizeof(udp) };
	make_udp(remove_count);
	memset(&reviewed, 0, sizeof(reviewed));
	reviewed.param = &param;
	reviewed.stop_at = 1;
	assert_int_equal(plugin_call_reviewed(PE_packet_tx, &param, review,
	    &reviewed, &by), PLUGIN_RET_OK);
	assert_string_equal(reviewed.names, "count");
	assert_string_equal(by, "count");
}

/* --- the lines of startup-config --------------------------------------------- */

static void
apply(const char *a, const char *b)
{
	struct config_plugin list[2];
	size_t n = 0;

	if (a != NULL)
		strcpy(list[n++].name, a);
	if (b != NULL)
		strcpy(list[n++].name, b);
	plugins_apply(list, n);
}

static void
want_loaded(const char *a, const char *b, const char *c)
{
	const char *want[] = { a, b, c };

	for (size_t i = 0; i < 3; i++)
		if (want[i] != NULL)
			assert_string_equal(plugin_name(i), want[i]);
		else
			assert_null(plugin_name(i));
}

static void
want_lines(const char *a, const char *b, const char *c)
{
	const char *want[] = { a, b, c };

	for (size_t i = 0; i < 3; i++)
		if (want[i] != NULL)
			assert_string_equal(plugin_line(i), want[i]);
		else
			assert_null(plugin_line(i));
}

static void
test_apply(void **state)
{
	(void)state;
	NEEDS_ROOT;
	apply("second", "answer");
	want_loaded("second", "answer", NULL);
	apply("answer", "nothing");		/* the difference */
	want_loaded("answer", "nothing", NULL);
	assert_true(plugin_remove("nothing", err, sizeof(err)));
	load("second");
	want_lines("answer", "second", NULL);
	apply("answer", "nothing");		/* back; what is by hand stays */
	want_loaded("answer", "second", "nothing");
	want_lines("answer", "nothing", "second");
	apply("second", NULL);			/* now it is in the file */
	want_loaded("second", NULL, NULL);
	apply(NULL, NULL);
	want_loaded(NULL, NULL, NULL);
	/* What cannot be loaded is not lost from the file by `write`. */
	apply("absent", "nothing");
	want_loaded("nothing", NULL, NULL);
	want_lines("absent", "nothing", NULL);
}

static void
test_again_and_again(void **state)
{
	(void)state;
	NEEDS_ROOT;
	for (int i = 0; i < 200; i++) {
		load("answer");
		want_answer("echo", "a", "a\n");
		assert_false(plugin_load("refuses", err, sizeof(err)));
		assert_true(plugin_remove("answer", err, sizeof(err)));
	}
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_no_plugins),
		TEST(test_the_file),
		TEST(test_the_directories),
		TEST(test_events),
		TEST(test_log),
		TEST(test_order),
		TEST(test_timer),
		TEST(test_remove_in_flight),
		TEST(test_packets),
		TEST(test_review_stops),
		TEST(test_apply),
		TEST(test_again_and_again),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(asked.response);
	return failed;
}
