/*
 * modules_test.c - the plugins that come with it, each by itself
 *
 * The shared objects as they are built, and in place of the server a table of
 * functions that knows one session, joe's, and writes down what is asked of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

#define JOE		7

/* --- the server -------------------------------------------------------------- */

static struct plugin_session joe;
static const char *config[3];		/* throttle_speed, snoop_host and _port */
static char did[256];			/* the last call that changes anything */
static char logged[512];
static int logged_level;
static int refuse;			/* to change anything */

static void __attribute__((format(printf, 4, 5)))
fake_log(int level, uint32_t s, uint32_t t, const char *fmt, ...)
{
	va_list ap;

	assert_int_equal(s, JOE);
	assert_int_equal(t, 3);
	logged_level = level;
	va_start(ap, fmt);
	vsnprintf(logged, sizeof(logged), fmt, ap);
	va_end(ap);
}

static void __attribute__((format(printf, 3, 4)))
fake_answer(struct param_control *data, int is_error, const char *fmt, ...)
{
	va_list ap;

	data->response = malloc(4096);
	assert_non_null(data->response);
	va_start(ap, fmt);
	data->response_length = vsnprintf(data->response, 4096, fmt, ap);
	va_end(ap);
	data->send_response = 1;
	data->is_error = is_error;
}

static int
fake_get_session(uint32_t s, struct plugin_session *dst, size_t size)
{
	if (s != JOE)
		return 0;
	memcpy(dst, &joe, size);
	return 1;
}

static uint32_t
fake_find(const char *word)
{
	return strcmp(word, "joe") == 0 || strcmp(word, "7") == 0 ? JOE : 0;
}

static int
fake_get_config(const char *key, char *value, size_t size)
{
	static const char *const keys[] = { "throttle_speed", "snoop_host",
	    "snoop_port" };

	for (int i = 0; i < 3; i++)
		if (strcmp(key, keys[i]) == 0)
			return snprintf(value, size, "%s", config[i]) <
			    (int)size;
	fail_msg("%s is asked for", key);
	return 0;
}

static int __attribute__((format(printf, 1, 2)))
note(const char *fmt, ...)
{
	va_list ap;

	if (refuse)
		return 0;
	va_start(ap, fmt);
	vsnprintf(did, sizeof(did), fmt, ap);
	va_end(ap);
	return 1;
}

static int
fake_throttle(uint32_t s, uint32_t in, uint32_t out)
{
	return note("throttle %u %u %u", s, in, out);
}

static int
fake_snoop(uint32_t s, uint32_t ip, uint16_t port)
{
	return note("snoop %u %08x %u", s, ip, port);
}

static int
fake_set_speed(uint32_t s, uint32_t tx, uint32_t rx)
{
	return note("speed %u %u %u", s, tx, rx);
}

static int
fake_shutdown(uint32_t s, const char *reason, int result, int error, int cause)
{
	return note("shutdown %u %d %d %d: %s", s, result, error, cause,
	    reason);
}

static int
fake_kill(uint32_t s, const char *reason)
{
	return note("kill %u: %s", s, reason);
}

static struct pluginfuncs funcs = {
	.size = sizeof(funcs), .version = "test", .log = fake_log,
	.control_answer = fake_answer, .get_session = fake_get_session,
	.find_session = fake_find, .get_config = fake_get_config,
	.throttle = fake_throttle, .snoop = fake_snoop,
	.set_speed = fake_set_speed, .shutdown = fake_shutdown,
	.kill = fake_kill,
};

/* --- the plugin ---------------------------------------------------------------- */

static void *plugin;

/* Makes a pointer to a function of what dlsym() gives. */
#define SYMBOL(f, name)	do {						       \
	void *symbol = dlsym(plugin, name);				       \
									       \
	assert_non_null(symbol);					       \
	memcpy(&(f), &symbol, sizeof(symbol));				       \
} while (0)

static void
load(const char *name)
{
	int (*init)(struct pluginfuncs *);
	int *version;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s.so", MODULES, name);
	plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (plugin == NULL)
		fail_msg("%s", dlerror());
	version = dlsym(plugin, "plugin_api_version");
	assert_non_null(version);
	assert_int_equal(*version, PLUGIN_API_VERSION);
	if (dlsym(plugin, "plugin_init") != NULL) {
		SYMBOL(init, "plugin_init");
		assert_true(init(&funcs));
	}
}

static int
begin(void **state)
{
	(void)state;
	joe = (struct plugin_session){ .s = JOE, .t = 3, .username = "joe" };
	config[0] = config[2] = "0";
	config[1] = "0.0.0.0";
	refuse = 0;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	return dlclose(plugin);
}

/* The pair is passed on; what is done, and what is logged; "": no fault. */
static void
pair(const char *key, const char *value, const char *want, const char *log)
{
	struct param_radius_response data = { .t = 3, .s = JOE, .key = key,
	    .value = value };
	int (*f)(struct param_radius_response *);

	SYMBOL(f, "plugin_radius_response");
	did[0] = logged[0] = '\0';
	assert_int_equal(f(&data), PLUGIN_RET_OK);
	assert_string_equal(did, want);
	if (log[0] == '\0')
		assert_true(logged[0] == '\0' ||
		    logged_level == PLUGIN_LOG_INFO);
	else if (strstr(logged, log) == NULL)
		fail_msg("\"%s\" has no \"%s\" in it", logged, log);
}

/* A line of nsctl; what is done, and what is answered. */
static void
line(const char *text, const char *want, int is_error, const char *answer)
{
	struct param_control data = { .l = 0 };
	const char *argv[8] = { NULL };
	int (*f)(struct param_control *);
	char words[256], *save;

	snprintf(words, sizeof(words), "%s", text);
	argv[0] = strtok_r(words, " ", &save);
	for (data.argc = 1; data.argc < 7 && (argv[data.argc] = strtok_r(NULL,
	    " ", &save)) != NULL; data.argc++)
		continue;
	data.argv = argv;
	SYMBOL(f, "plugin_control");
	did[0] = '\0';
	if (answer == NULL) {
		assert_int_equal(f(&data), PLUGIN_RET_OK);
		assert_false(data.send_response);
		return;
	}
	assert_int_equal(f(&data), PLUGIN_RET_STOP);
	assert_string_equal(did, want);
	assert_true(data.send_response);
	assert_string_equal(data.response, answer);
	assert_int_equal(data.is_error, is_error);
	free(data.response);
}

/* --- by RADIUS ------------------------------------------------------------------ */

static void
test_autothrottle(void **state)
{
	static const char cisco[] = "lcp:interface-config#1";
	static const char *const rubbish[] = { "", " ", "fast", "-1", "+1",
	    "1e3", "512k", "0x10", "100000001", "99999999999999999999999",
	    "in", "in fast", "in 1 out", "up 5", "in 1 2", "1 2", "in1",
	    "in 1 out 2 x", "yes 5", "/512", "512/", "512/x", "1/2/3",
	    "input 5 outputs 6" };

	(void)state;
	load("autothrottle");
	config[0] = "64";
	pair("throttle", "yes", "throttle 7 64 64", "in 64 out 64 kbit/s");
	assert_int_equal(logged_level, PLUGIN_LOG_INFO);
	pair("throttle", "ON", "throttle 7 64 64", "");
	pair("throttle", "no", "throttle 7 0 0", "");
	pair("throttle", "0", "throttle 7 0 0", "");
	pair("throttle", "1", "throttle 7 1 1", "");
	pair("throttle", "100000000", "throttle 7 100000000 100000000", "");
	pair("throttle", "512/2000", "throttle 7 512 2000", "");
	pair("throttle", "0/2000", "throttle 7 0 2000", "");
	pair("throttle", "in 512 out 2000", "throttle 7 512 2000", "");
	pair("throttle", "out 2000  in 512", "throttle 7 512 2000", "");
	pair("throttle", "in 512", "throttle 7 512 0", "");
	pair(cisco, "service-policy input 512", "throttle 7 512 0", "");
	joe.throttle_in = 512;
	pair("lcp:interface-config", "service-policy output 2000",
	    "throttle 7 512 2000", "");
	pair("throttle", "out 0", "throttle 7 512 0", "");
	for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++)
		pair("throttle", rubbish[i], "", "that is no rate");
	assert_int_equal(logged_level, PLUGIN_LOG_WARN);
	pair(cisco, "service-policy output GOLD", "", "service-policy output "
	    "GOLD: that is no rate");
	/* Whose is another's. */
	pair(cisco, "ip unnumbered Loopback0", "", "");
	pair("intercept", "yes", "", "");
	pair("Throttle", "yes", "", "");
	pair("", "yes", "", "");
	refuse = 1;
	pair("throttle", "yes", "", "the server refuses");
}

static void
test_autothrottle_off(void **state)
{
	(void)state;
	load("autothrottle");
	pair("throttle", "yes", "", "throttle_speed is 0");
	pair("throttle", "512", "", "throttle_speed is 0");
	pair("lcp:interface-config#1", "service-policy input 512", "",
	    "throttle_speed is 0");
	pair("throttle", "no", "throttle 7 0 0", "");
}

static void
test_autosnoop(void **state)
{
	static const char *const rubbish[] = { "", "maybe", "192.0.2.7",
	    "192.0.2.7:", "192.0.2.7:0", "192.0.2.7:65536", "0.0.0.0:9",
	    "192.0.2.7:99 ", "192.0.2.7:999999", "192.0.2.256:9", "1.2.3:9",
	    ":9", "192.0.2.7:-9", "[::1]:9", "192.0.2.7:9:9" };

	(void)state;
	load("autosnoop");
	pair("intercept", "yes", "", "set snoop_host and snoop_port");
	assert_int_equal(logged_level, PLUGIN_LOG_PRIVATE);
	config[1] = "10.1.2.3";
	pair("intercept", "yes", "", "set snoop_host and snoop_port");
	config[2] = "9999";
	pair("intercept", "yes", "snoop 7 0a010203 9999", "");
	pair("intercept", "True", "snoop 7 0a010203 9999", "");
	pair("intercept", "no", "snoop 7 00000000 0", "");
	pair("intercept", "192.0.2.7:65535", "snoop 7 c0000207 65535", "");
	pair("intercept", "255.255.255.255:1", "snoop 7 ffffffff 1", "");
	for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++)
		pair("intercept", rubbish[i], "",
		    "that is not yes, no or ADDRESS:PORT");
	assert_int_equal(logged_level, PLUGIN_LOG_PRIVATE);
	pair("throttle", "yes", "", "");
	refuse = 1;
	pair("intercept", "yes", "", "the server refuses");
}

/* --- by nsctl ------------------------------------------------------------------- */

static void
test_sessionctl(void **state)
{
	char words[256] = "drop joe ", reason[256];

	(void)state;
	load("sessionctl");
	line("drop joe", "shutdown 7 0 0 0: drop by nsctl", 0,
	    "Dropping session 7");
	line("drop 7 has not paid", "shutdown 7 0 0 0: has not paid", 0,
	    "Dropping session 7");
	line("kill 7", "kill 7: kill by nsctl", 0, "Killing session 7");
	line("kill joe gone", "kill 7: gone", 0, "Killing session 7");
	line("drop", "", 1, "Usage: drop USER|SID [REASON]");
	line("kill ann", "", 1, "User not connected: ann");
	line("kill 8", "", 1, "Session not connected: 8");
	line("drop tunnel 7", "", 1, "User not connected: tunnel");
	line("garden joe", "", 0, NULL);
	/* A reason that is too long is cut. */
	memset(words + 9, 'x', 200);
	snprintf(reason, sizeof(reason), "shutdown 7 0 0 0: %.127s", words + 9);
	line(words, reason, 0, "Dropping session 7");
	refuse = 1;
	line("drop joe", "", 1, "Cannot drop session 7");
	line("kill joe", "", 1, "Cannot kill session 7");
}

static void
test_throttlectl(void **state)
{
	static const char *const rubbish[] = { "throttle joe fast",
	    "throttle joe in", "throttle joe in 5 out", "throttle joe 0",
	    "throttle joe in 0", "throttle joe -5", "throttle joe up 5",
	    "throttle joe 100000001", "throttle joe in out 5" };

	(void)state;
	load("throttlectl");
	line("throttle joe", "", 1, "Throttling is off: set throttle_speed "
	    "first");
	line("throttle joe 5", "", 1, "Throttling is off: set throttle_speed "
	    "first");
	line("unthrottle joe", "throttle 7 0 0", 0, "Unthrottling session 7");
	config[0] = "64";
	line("throttle joe", "throttle 7 64 64", 0,
	    "Throttling session 7: in 64 out 64 kbit/s");
	line("throttle 7 512", "throttle 7 512 512", 0,
	    "Throttling session 7: in 512 out 512 kbit/s");
	joe.throttle_in = 100;
	line("throttle joe out 2000", "throttle 7 100 2000", 0,
	    "Throttling session 7: in 100 out 2000 kbit/s");
	line("throttle joe out 5 in 6", "throttle 7 6 5", 0,
	    "Throttling session 7: in 6 out 5 kbit/s");
	for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++)
		line(rubbish[i], "", 1, "Rates are 1-100000000 kbit/s: RATE, "
		    "in RATE, out RATE");
	line("throttle", "", 1,
	    "Usage: throttle USER|SID [RATE|[in|out] RATE ...]");
	line("unthrottle", "", 1, "Usage: unthrottle USER|SID");
	line("unthrottle joe 5", "", 1, "Usage: unthrottle USER|SID");
	line("throttle ann", "", 1, "User not connected: ann");
	line("unthrottle 8", "", 1, "Session not connected: 8");
	line("snoop joe", "", 0, NULL);
	refuse = 1;
	line("throttle joe", "", 1, "Cannot throttle session 7");
	line("unthrottle joe", "", 1, "Cannot unthrottle session 7");
}

static void
test_snoopctl(void **state)
{
	static const char *const rubbish[] = { "192.0.2.7 0",
	    "192.0.2.7 65536", "192.0.2.7 9x", "0.0.0.0 9", "example.net 9",
	    "192.0.2.7 -9" };
	char text[64], want[128];

	(void)state;
	load("snoopctl");
	line("snoop joe", "", 1, "Specify IP and port, or set snoop_host and "
	    "snoop_port (0.0.0.0, 0)");
	line("snoop 7 192.0.2.7 9", "snoop 7 c0000207 9", 0,
	    "Snooping session 7 to 192.0.2.7:9");
	config[1] = "10.1.2.3";
	config[2] = "9999";
	line("snoop joe", "snoop 7 0a010203 9999", 0,
	    "Snooping session 7 to 10.1.2.3:9999");
	line("unsnoop joe", "snoop 7 00000000 0", 0, "Not snooping session 7");
	for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
		snprintf(text, sizeof(text), "snoop joe %s", rubbish[i]);
		snprintf(want, sizeof(want), "Not an IP address and a port: %s",
		    rubbish[i]);
		line(text, "", 1, want);
	}
	line("snoop", "", 1, "Usage: snoop USER|SID [IP PORT]");
	line("snoop joe 192.0.2.7", "", 1, "Usage: snoop USER|SID [IP PORT]");
	line("unsnoop joe 192.0.2.7 9", "", 1, "Usage: unsnoop USER|SID");
	line("snoop ann", "", 1, "User not connected: ann");
	line("unsnoop 8", "", 1, "Session not connected: 8");
	line("drop joe", "", 0, NULL);
	refuse = 1;
	line("snoop joe", "", 1, "Cannot snoop session 7");
	line("unsnoop joe", "", 1, "Cannot unsnoop session 7");
}

/* `nsctl help` has its columns where those of the others are. */
static void
test_help(void **state)
{
	static const char *const names[] = { "sessionctl", "throttlectl",
	    "snoopctl" };
	const char *const *help;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		load(names[i]);
		help = dlsym(plugin, "plugin_control_help");
		assert_non_null(help);
		for (; *help != NULL; help++) {
			assert_in_range(strlen(*help), 47, 79);
			assert_memory_equal(*help, "  ", 2);
			assert_int_equal((*help)[45], ' ');
			assert_int_not_equal((*help)[46], ' ');
		}
		if (i < 2)
			dlclose(plugin);
	}
}

/* --- names and speeds ------------------------------------------------------------ */

static void
strip(const char *name, const char *want)
{
	struct param_auth_request data = { .t = 3, .s = JOE };
	int (*f)(struct param_auth_request *);

	SYMBOL(f, "plugin_auth_request");
	snprintf(data.username, sizeof(data.username), "%s", name);
	assert_int_equal(f(&data), PLUGIN_RET_OK);
	assert_string_equal(data.username, want);
}

static void
test_stripdomain(void **state)
{
	char longest[PLUGIN_USER_SIZE];

	(void)state;
	load("stripdomain");
	strip("joe@example.net", "joe");
	strip("joe@a@b", "joe");
	strip("joe@", "joe");
	strip("joe", "joe");
	strip("", "");
	strip("@example.net", "@example.net");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	strip(longest, longest);
}

static void
test_setrxspeed(void **state)
{
	struct param_post_auth data = { .t = 3, .s = JOE };
	int (*f)(struct param_post_auth *);

	(void)state;
	load("setrxspeed");
	SYMBOL(f, "plugin_post_auth");
	did[0] = '\0';
	joe.tx_speed = 1000000;
	joe.rx_speed = 64000;
	assert_int_equal(f(&data), PLUGIN_RET_OK);
	assert_string_equal(did, "");
	joe.rx_speed = 0;
	assert_int_equal(f(&data), PLUGIN_RET_OK);
	assert_string_equal(did, "speed 7 1000000 1000000");
	did[0] = '\0';
	data.s = JOE + 1;
	assert_int_equal(f(&data), PLUGIN_RET_OK);
	assert_string_equal(did, "");
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_autothrottle),
		TEST(test_autothrottle_off),
		TEST(test_autosnoop),
		TEST(test_sessionctl),
		TEST(test_throttlectl),
		TEST(test_snoopctl),
		TEST(test_help),
		TEST(test_stripdomain),
		TEST(test_setrxspeed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
