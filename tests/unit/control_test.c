/*
 * control_test.c - who is answered by the server's side of nsctl, and what
 *
 * The plugins behind it are made up here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cluster_forward.h"
#include "control.h"
#include "control_wire.h"
#include "counters.h"
#include "digest.h"
#include "l2tpns.h"
#include "log.h"
#include "plugins.h"
#include "timer.h"

#define KEY	"one secret, long enough"
#define OLD	"the one before, long too"
#define ADDR	0x0a000001

struct l2tpns lns;

/* --- the plugins ----------------------------------------------------------- */

static char done[128];			/* what was asked of the loader */
static const char *loaded;		/* the only one */
static const char *says;		/* what the plugin answers; NULL: */
static int says_length, returns = PLUGIN_RET_OK, sends, is_error;
static struct param_control heard;
static char heard_words[512];

bool
plugin_load(const char *name, char *err, size_t errlen)
{
	snprintf(done, sizeof(done), "load %s", name);
	snprintf(err, errlen, "%s is broken", name);
	return strcmp(name, "broken") != 0;
}

bool
plugin_remove(const char *name, char *err, size_t errlen)
{
	snprintf(done, sizeof(done), "remove %s", name);
	snprintf(err, errlen, "%s is not loaded", name);
	return strcmp(name, "broken") != 0;
}

bool
plugin_loaded(const char *name)
{
	return loaded != NULL && strcmp(name, loaded) == 0;
}

const char *
plugin_help(size_t i)
{
	static const char *const line[] = { "  one", "  two", NULL };

	return i < 2 ? line[i] : NULL;
}

int
plugin_call_reviewed(enum plugin_event event, void *param,
    bool (*review)(void *, const char *), void *arg, const char **by)
{
	struct param_control *p = param, was = *p;

	assert_int_equal(event, PE_control);
	heard = *p;
	heard_words[0] = '\0';
	for (int i = 0; i < p->argc; i++)
		snprintf(heard_words + strlen(heard_words),
		    sizeof(heard_words) - strlen(heard_words), "%s|",
		    p->argv[i]);
	assert_null(p->argv[p->argc]);
	assert_null(p->response);
	assert_false(p->send_response);
	if (says != NULL) {
		p->response = strdup(says);
		p->response_length = says_length;
	}
	p->send_response = sends;
	p->is_error = is_error;
	/* What is not its own to set does not stay. */
	p->argc = -1;
	p->argv = NULL;
	p->buf = NULL;
	assert_true(review(arg, "made_up"));
	assert_int_equal(p->argc, was.argc);
	assert_ptr_equal(p->argv, was.argv);
	assert_ptr_equal(p->buf, was.buf);
	*by = "made_up";
	return returns;
}

bool
cluster_elsewhere(char *text, size_t size)
{
	if (!lns.master)
		snprintf(text, size, "must be run on master: 192.0.2.7");
	return !lns.master;
}

/* --- asking ------------------------------------------------------------------ */

static uint8_t packet[CONTROL_REQUEST_MAX], reply[CONTROL_REPLY_MAX];
static size_t packet_len, reply_len;
static struct control_msg answer;
static uint64_t sequence;

static uint64_t
wall_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int
begin(void **state)
{
	char err[128];

	(void)state;
	timers_init();
	timer_fake(0);
	log_open("/dev/null", err, sizeof(err));
	memset(&lns, 0, sizeof(lns));
	lns.master = true;
	counters_clear();
	control_start();
	sequence = wall_usec() + 1000000;
	loaded = says = NULL;
	says_length = 0;
	sends = is_error = 0;
	returns = PLUGIN_RET_OK;
	done[0] = '\0';
	return 0;
}

static void
make(enum control_form form, uint8_t type, const char *a, const char *b)
{
	struct control_msg m = { .form = form, .type = type, .id = 0x12345678,
	    .sequence = sequence++ };

	if (a != NULL)
		m.arg[m.argc++] = (struct control_arg){ a, strlen(a) };
	if (b != NULL)
		m.arg[m.argc++] = (struct control_arg){ b, strlen(b) };
	packet_len = control_encode(&m, packet, sizeof(packet));
	assert_int_not_equal(packet_len, 0);
}

static void
sign(const char *label, const char *secret)
{
	packet_len = control_sign(packet, packet_len, sizeof(packet), label,
	    secret);
	assert_int_not_equal(packet_len, 0);
}

/* Is it answered?  Then the answer is in `answer`. */
static bool
ask(bool local)
{
	reply_len = control_input(packet, packet_len, ADDR, 4711, local,
	    reply);
	assert_in_range(reply_len, 0, CONTROL_REPLY_MAX);
	if (reply_len == 0)
		return false;
	assert_true(control_decode(reply, reply_len, &answer));
	return true;
}

static void
want(uint8_t type, const char *text)
{
	char got[2000] = "";

	for (unsigned int i = 0; i < answer.argc; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got),
		    "%s%.*s", i > 0 ? "\n" : "", (int)answer.arg[i].len,
		    answer.arg[i].p);
	assert_string_equal(got, text);
	assert_int_equal(answer.type, type);
}

static void
local(uint8_t type, const char *a, const char *b)
{
	make(CONTROL_V2, type, a, b);
	assert_true(ask(true));
	assert_int_equal(answer.form, CONTROL_V2);
}

/* --- what is answered ---------------------------------------------------------- */

static void
test_loading(void **state)
{
	(void)state;
	local(CONTROL_LOAD, "garden", NULL);
	want(CONTROL_OK, "");
	assert_string_equal(done, "load garden");
	local(CONTROL_LOAD, "broken", NULL);
	want(CONTROL_ERROR, "broken is broken");
	local(CONTROL_UNLOAD, "garden", NULL);
	want(CONTROL_OK, "");
	assert_string_equal(done, "remove garden");
	local(CONTROL_UNLOAD, "broken", NULL);
	want(CONTROL_ERROR, "broken is not loaded");
	/* The word does as well as the type. */
	local(CONTROL_COMMAND, "load_plugin", "x");
	want(CONTROL_OK, "");
	assert_string_equal(done, "load x");
	local(CONTROL_LOAD, NULL, NULL);
	want(CONTROL_ERROR, "load_plugin needs the name of a plugin");
	local(CONTROL_UNLOAD, "a", "b");
	want(CONTROL_ERROR, "unload_plugin: too many arguments");
	assert_int_equal(counters.nsctl_requests, 7);
}

static void
test_help(void **state)
{
	(void)state;
	local(CONTROL_HELP, NULL, NULL);
	want(CONTROL_OK, "  one\n  two");
	local(CONTROL_COMMAND, "help", NULL);
	want(CONTROL_OK, "  one\n  two");
}

static void
test_v1(void **state)
{
	(void)state;
	make(CONTROL_V1, CONTROL_LOAD, "garden", NULL);
	assert_true(ask(true));
	assert_int_equal(answer.form, CONTROL_V1);
	assert_int_equal(answer.id, 0x12345678);
	want(CONTROL_OK, "");
	assert_int_equal(reply_len, CONTROL_V1_HEAD);
	make(CONTROL_V1, CONTROL_COMMAND, "garden", "12");
	assert_true(ask(true));
	assert_int_equal(answer.id, 0x12345678);
	want(CONTROL_ERROR,
	    "garden: the module garden is not loaded (load_plugin garden)");
	assert_string_equal(heard_words, "garden|12|");
	assert_int_equal(heard.type, 1000);
	assert_int_equal(heard.id, 0x12345678);
	assert_int_equal(heard.data_length, 3);
	assert_memory_equal(heard.data, "12", 3);
}

static void
test_unknown(void **state)
{
	(void)state;
	local(CONTROL_COMMAND, "frobnicate", "1");
	want(CONTROL_ERROR, "unknown command: frobnicate");
	assert_string_equal(heard_words, "frobnicate|1|");
	assert_int_equal(heard.source_ip, ADDR);
	assert_int_equal(heard.source_port, 4711);
	assert_int_equal(heard.l, packet_len);
	assert_int_equal(heard.type, CONTROL_COMMAND);
	local(CONTROL_COMMAND, "ungarden", "1");
	want(CONTROL_ERROR,
	    "ungarden: the module garden is not loaded (load_plugin garden)");
	local(CONTROL_COMMAND, "drop", "1");
	want(CONTROL_ERROR,
	    "drop: the module sessionctl is not loaded (load_plugin "
	    "sessionctl)");
	loaded = "garden";
	local(CONTROL_COMMAND, "ungarden", "1");
	want(CONTROL_ERROR, "unknown command: ungarden");
}

static void
test_on_a_slave(void **state)
{
	(void)state;
	lns.master = false;
	loaded = "sessionctl";
	local(CONTROL_COMMAND, "drop", "1");
	want(CONTROL_ERROR, "must be run on master: 192.0.2.7");
	/* Others may have commands for slaves. */
	returns = PLUGIN_RET_STOP;
	sends = 1;
	local(CONTROL_COMMAND, "x", NULL);
	want(CONTROL_OK, "");
	local(CONTROL_LOAD, "garden", NULL);
	want(CONTROL_OK, "");
}

static void
test_plugins_answer(void **state)
{
	static char text[5000];

	(void)state;
	returns = PLUGIN_RET_STOP;
	sends = 1;
	local(CONTROL_COMMAND, "x", NULL);
	want(CONTROL_OK, "");
	says = "two\nlines";
	says_length = (int)strlen(says);
	local(CONTROL_COMMAND, "x", NULL);
	want(CONTROL_OK, says);
	is_error = 1;
	local(CONTROL_COMMAND, "x", NULL);
	want(CONTROL_ERROR, says);
	/* Lengths that are not the text's. */
	says_length = -1;
	local(CONTROL_COMMAND, "x", NULL);
	want(CONTROL_ERROR, "");
	says_length = INT32_MAX;
	local(CONTROL_COMMAND, "x", NULL);
	want(CONTROL_ERROR, says);
	says_length = 2;
	local(CONTROL_COMMAND, "x", NULL);
	want(CONTROL_ERROR, "tw");
	/* What would act on a terminal, and what is too much. */
	says = "a\x1b[2J\tb\x7f";
	says_length = (int)strlen(says);
	local(CONTROL_COMMAND, "x", NULL);
	want(CONTROL_ERROR, "a?[2J b?");
	memset(text, 'x', sizeof(text) - 1);
	says = text;
	says_length = sizeof(text) - 1;
	local(CONTROL_COMMAND, "x", NULL);
	assert_in_range(reply_len, 1200, CONTROL_REPLY_MAX);
	make(CONTROL_V1, CONTROL_COMMAND, "garden", "1");
	assert_true(ask(true));
	assert_in_range(reply_len, 1200, CONTROL_REPLY_MAX);
}

static void
test_plugins_do_not_answer(void **state)
{
	(void)state;
	returns = PLUGIN_RET_ERROR;
	local(CONTROL_COMMAND, "x", NULL);
	want(CONTROL_ERROR, "x: the module made_up failed");
	/* Its own words are the better ones, but nobody's success. */
	says = "no disk";
	says_length = (int)strlen(says);
	sends = 1;
	local(CONTROL_COMMAND, "x", NULL);
	want(CONTROL_ERROR, "no disk");
	says = NULL;
	sends = 0;
	returns = PLUGIN_RET_STOP;
	make(CONTROL_V2, CONTROL_COMMAND, "x", NULL);
	assert_false(ask(true));
	says = "forgotten";		/* freed all the same */
	assert_false(ask(true));
}

/* --- who is answered ------------------------------------------------------------ */

static void
test_from_elsewhere(void **state)
{
	(void)state;
	make(CONTROL_V2, CONTROL_HELP, NULL, NULL);
	assert_false(ask(false));
	make(CONTROL_V1, CONTROL_LOAD, "garden", NULL);
	assert_false(ask(false));
	make(CONTROL_SIGNED, CONTROL_LOAD, "garden", NULL);
	sign(CONTROL_LABEL_REQUEST, "");
	assert_false(ask(false));
	assert_false(ask(true));
	assert_string_equal(done, "");
	assert_int_equal(counters.nsctl_refused, 4);
	/* Responses are nobody's requests. */
	make(CONTROL_V2, CONTROL_OK, NULL, NULL);
	assert_false(ask(true));
	make(CONTROL_V1, CONTROL_ERROR, "x", NULL);
	assert_false(ask(true));
	make(CONTROL_V2, CONTROL_COMMAND, NULL, NULL);
	assert_false(ask(true));
	assert_int_equal(counters.nsctl_malformed, 3);
	assert_int_equal(counters.nsctl_requests, 0);
}

static void
load_signed(const char *secret)
{
	make(CONTROL_SIGNED, CONTROL_LOAD, "garden", NULL);
	sign(CONTROL_LABEL_REQUEST, secret);
}

static void
test_signed(void **state)
{
	(void)state;
	strcpy(lns.config.nsctl_secret, KEY);
	load_signed(KEY);
	for (size_t i = 0; i < packet_len * 8; i++) {
		packet[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_false(ask(false));
		packet[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_string_equal(done, "");
	assert_true(ask(false));
	want(CONTROL_OK, "");
	assert_int_equal(answer.form, CONTROL_SIGNED);
	assert_int_equal(answer.id, 0x12345678);
	assert_true(answer.sequence == sequence - 1);
	assert_true(control_verify(reply, reply_len, CONTROL_LABEL_REPLY,
	    KEY));
	assert_string_equal(done, "load garden");
	/* Once. */
	done[0] = '\0';
	assert_false(ask(false));
	assert_false(ask(true));
	assert_int_equal(counters.nsctl_replayed, 2);
	/* The response, sent back. */
	memcpy(packet, reply, reply_len);
	packet_len = reply_len;
	assert_false(ask(false));
	load_signed("another secret");
	assert_false(ask(false));
	/* From this machine a wrong signature is worse than none. */
	assert_false(ask(true));
	make(CONTROL_SIGNED, CONTROL_LOAD, "garden", NULL);
	sign(CONTROL_LABEL_REPLY, KEY);
	assert_false(ask(false));
	assert_string_equal(done, "");
	make(CONTROL_SIGNED, CONTROL_OK, NULL, NULL);
	sign(CONTROL_LABEL_REQUEST, KEY);
	assert_false(ask(false));
}

static void
test_two_secrets(void **state)
{
	(void)state;
	strcpy(lns.config.nsctl_secret, KEY);
	load_signed(OLD);
	assert_false(ask(false));
	strcpy(lns.config.nsctl_secret_old, OLD);
	load_signed(OLD);
	assert_true(ask(false));
	assert_true(control_verify(reply, reply_len, CONTROL_LABEL_REPLY,
	    OLD));
	load_signed(KEY);
	assert_true(ask(false));
	assert_true(control_verify(reply, reply_len, CONTROL_LABEL_REPLY,
	    KEY));
	lns.config.nsctl_secret_old[0] = '\0';
	load_signed(OLD);
	assert_false(ask(false));
}

static bool
ask_at(int64_t off)
{
	sequence = wall_usec() + (uint64_t)off;
	load_signed(KEY);
	return ask(false);
}

static void
test_clocks(void **state)
{
	(void)state;
	strcpy(lns.config.nsctl_secret, KEY);
	assert_true(ask_at(0));
	assert_true(ask_at(9500000));
	assert_false(ask_at(10500000));
	assert_false(ask_at(-10500000));
	assert_int_equal(counters.nsctl_late, 2);
	/* It may have been taken before the server was started again. */
	assert_false(ask_at(-1000000));
	assert_int_equal(counters.nsctl_late, 3);
	sequence = 0;
	load_signed(KEY);
	assert_false(ask(false));
	sequence = UINT64_MAX;
	load_signed(KEY);
	assert_false(ask(false));
	assert_int_equal(counters.nsctl_late, 5);
}

static void
test_rate(void **state)
{
	unsigned int n = 0;

	(void)state;
	make(CONTROL_V2, CONTROL_HELP, NULL, NULL);
	for (int i = 0; i < 1000; i++)
		n += ask(true);
	assert_int_equal(n, 100);
	assert_int_equal(counters.nsctl_limited, 900);
	for (int i = 0; i < 1000; i++) {
		timer_fake(1);
		n += ask(true);
	}
	assert_in_range(n, 199, 201);
	/* What nobody may ask takes nothing from those who may. */
	timer_fake(1000);
	for (int i = 0; i < 1000; i++)
		assert_false(ask(false));
	assert_true(ask(true));
}

/* However many came after it, what was taken is not taken again. */
static void
test_long_memory(void **state)
{
	uint8_t first[256];
	size_t first_len = 0;

	(void)state;
	strcpy(lns.config.nsctl_secret, KEY);
	for (int i = 0; i < 5000; i++) {
		load_signed(KEY);
		if (i == 0) {
			memcpy(first, packet, packet_len);
			first_len = packet_len;
		}
		assert_true(ask(false));
		assert_false(ask(false));
		timer_fake(10);
		memcpy(packet, first, first_len);
		packet_len = first_len;
		assert_false(ask(false));
	}
	assert_int_equal(counters.nsctl_requests, 5000);
	assert_int_equal(counters.nsctl_replayed + counters.nsctl_late, 10000);
	assert_true(counters.nsctl_late > 0);
}

/* Random octets, and requests with bits that flipped on the way. */
static void
test_rubbish(void **state)
{
	static const uint16_t magic[] = { CONTROL_MAGIC_V1, CONTROL_MAGIC_V2,
	    CONTROL_MAGIC_SIGNED };

	(void)state;
	strcpy(lns.config.nsctl_secret, KEY);
	for (unsigned int i = 0; i < 100000; i++) {
		packet_len = digest_random_u32() % 80;
		digest_random(packet, packet_len);
		if (i % 2 == 0 && packet_len > 2) {
			packet[0] = (uint8_t)(magic[i % 3] >> 8);
			packet[1] = (uint8_t)magic[i % 3];
		}
		assert_false(ask(false));
	}
	for (unsigned int i = 0; i < 100000; i++) {
		uint32_t bit;

		load_signed(KEY);
		bit = digest_random_u32() % (uint32_t)(packet_len * 8);
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(ask(false));
	}
	assert_string_equal(done, "");
	assert_int_equal(counters.nsctl_requests, 0);
}

#define TEST(f)	cmocka_unit_test_setup(f, begin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_loading), TEST(test_help), TEST(test_v1),
		TEST(test_unknown), TEST(test_on_a_slave),
		TEST(test_plugins_answer),
		TEST(test_plugins_do_not_answer), TEST(test_from_elsewhere),
		TEST(test_signed), TEST(test_two_secrets), TEST(test_clocks),
		TEST(test_rate), TEST(test_long_memory), TEST(test_rubbish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
