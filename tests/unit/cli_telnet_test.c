/*
 * cli_telnet_test.c - telnet's options, keys, and what libcli may not see
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cli_telnet.h"

static struct telnet telnet;
static uint8_t in[TELNET_IN_MAX], reply[64];
static struct telnet_out out;

static int
fresh(void **state)
{
	(void)state;
	memset(&telnet, 0, sizeof(telnet));
	return 0;
}

static void
feed(const void *bytes, size_t len, enum telnet_mode mode)
{
	memset(&out, 0, sizeof(out));
	out.in = in;
	out.reply = reply;
	out.reply_room = sizeof(reply);
	telnet_input(&telnet, bytes, len, mode, &out);
	assert_true(out.in_len < sizeof(in));
	assert_true(out.reply_len <= out.reply_room);
	in[out.in_len] = '\0';
}

static void
keys(const char *typed, enum telnet_mode mode, const char *expected)
{
	feed(typed, strlen(typed), mode);
	assert_string_equal((char *)in, expected);
	assert_int_equal(out.reply_len, 0);
}

static void
test_line_ends(void **state)
{
	(void)state;
	keys("a\r\nb\nc\rd\n\ne\r\r\nf", TELNET_PROMPT,
	    "a\rb\rc\rd\r\re\r\rf");
	feed("a\r\0b", 4, TELNET_PROMPT);
	assert_string_equal((char *)in, "a\rb");
	keys("x\r", TELNET_PROMPT, "x\r");
	keys("\ny", TELNET_PROMPT, "y");
}

static void
test_keys(void **state)
{
	(void)state;
	keys("a\x1b[A\x1b[B\x1b[C\x1b[Db", TELNET_PROMPT,
	    "a\x10\x0e\x06\x02" "b");
	keys("\x1bOA\x1b[H\x1b[F\x1b[1~\x1b[4~\x1bOF", TELNET_PROMPT,
	    "\x10\x01\x05\x01\x05\x05");
	keys("\x1b[3~\x1b[15;2~\x1b[?25h\x1bx\x07\x13" "b", TELNET_PROMPT,
	    "b");
	keys("\x1b[", TELNET_PROMPT, "");	/* in two pieces */
	keys("Az", TELNET_PROMPT, "\x10z");
	keys("\x12", TELNET_PROMPT, "\x0c");
}

static void
test_interrupt(void **state)
{
	(void)state;
	keys("abc\x03", TELNET_PROMPT, "abc\x15\r");
	assert_false(out.abort);
	keys("abc\x03", TELNET_RUNNING, "abc");
	assert_true(out.abort);
	keys("abc\x03", TELNET_PASSWORD, "abc\x15");
	feed("\xff\xf4", 2, TELNET_RUNNING);
	assert_true(out.abort);
	feed("\xff\xf3", 2, TELNET_RUNNING);
	assert_true(out.abort);
}

static void
test_leave_config(void **state)
{
	(void)state;
	keys("set x\x1a", TELNET_ENABLED, "set x\x15" "end\r");
	keys("\x1a", TELNET_PROMPT, "");
	keys("\x1a", TELNET_RUNNING, "\x15" "end\r");
	keys("\x1a", TELNET_LOGIN, "");
	keys("\x1a", TELNET_PASSWORD, "");
}

static void
test_question_marks(void **state)
{
	(void)state;
	keys("sh?", TELNET_PROMPT, "sh?");
	keys("wh?t", TELNET_LOGIN, "wh\x1ft");
	keys("wh?t", TELNET_PASSWORD, "wh\x1ft");
	keys("\x15set k \"a?'?\"?\r?", TELNET_PROMPT,
	    "\x15set k \"a\x1f'\x1f\"?\r?");
	keys("\x15'?\x15?", TELNET_PROMPT, "\x15'\x1f\x15?");
	keys("a\x16??\x16\"?", TELNET_PROMPT, "a\x1f?\"?");
}

/* While a password is typed there is nothing to edit, complete or recall. */
static void
test_password_is_not_edited(void **state)
{
	(void)state;
	keys("a\t\x10\x1b[A\x01\x02\x04\x0b\x0c\x17z\x7f\x15", TELNET_PASSWORD,
	    "az\x7f\x15");
}

static void
test_options(void **state)
{
	static const uint8_t asks[] = { 'a', 255, 251, 24, 255, 253, 32, 255,
	    252, 24, 255, 254, 32, 'b', 255, 253, 1, 255, 253, 3, 255, 251, 3,
	    255, 251, 31, 'c' };
	static const uint8_t answers[] = { 255, 254, 24, 255, 252, 32 };
	size_t i;

	(void)state;
	feed(asks, sizeof(asks), TELNET_PROMPT);
	assert_string_equal((char *)in, "abc");
	assert_int_equal(out.reply_len, sizeof(answers));
	assert_memory_equal(reply, answers, sizeof(answers));
	for (i = 0; i < sizeof(asks); i++)	/* and octet by octet */
		feed(asks + i, 1, TELNET_PROMPT);
	assert_int_equal(telnet.state, 0);
}

static void
test_window_size(void **state)
{
	static const uint8_t size[] = { 'x', 255, 250, 31, 0, 132, 0, 43, 255,
	    240, 'y' };
	static const uint8_t wide[] = { 255, 250, 31, 255, 255, 255, 255, 0, 1,
	    255, 240 };
	static const uint8_t type[] = { 255, 250, 24, 0, 'x', 't', 'e', 'r',
	    'm', '-', '2', '5', '6', 255, 240, 'z' };
	static const uint8_t torn[] = { 255, 250, 31, 0, 255, 240, 'z' };

	(void)state;
	feed(size, sizeof(size), TELNET_PROMPT);
	assert_string_equal((char *)in, "xy");
	assert_true(out.width_known);
	assert_int_equal(out.width, 132);
	feed(wide, sizeof(wide), TELNET_PROMPT);
	assert_true(out.width_known);
	assert_int_equal(out.width, 65535);
	feed(type, sizeof(type), TELNET_PROMPT);
	assert_string_equal((char *)in, "z");
	assert_false(out.width_known);
	feed(torn, sizeof(torn), TELNET_PROMPT);
	assert_false(out.width_known);
}

static void
test_commands(void **state)
{
	(void)state;
	feed("a\xff\xf6", 3, TELNET_PROMPT);
	assert_memory_equal(reply, "\r\n[Yes]\r\n", 9);
	keys("ab\xff\xf7\xff\xf8\xff\xf1\xff\xff" "c", TELNET_PROMPT,
	    "ab\x7f\x15" "c");
}

static void
test_no_room_for_replies(void **state)
{
	uint8_t flood[TELNET_READ];
	size_t i;

	(void)state;
	for (i = 0; i + 3 <= sizeof(flood); i += 3)
		memcpy(flood + i, "\xff\xfb\x18", 3);
	feed(flood, i, TELNET_PROMPT);
	assert_true(out.reply_len > sizeof(reply) - 3);
}

/*
 * libcli's line never comes near its 4096, whatever is typed, completed or
 * recalled.
 */
static void
test_line_stays_short(void **state)
{
	char chunk[TELNET_READ];
	size_t round, total = 0;

	(void)state;
	memset(chunk, 'a', sizeof(chunk));
	for (round = 0; round < 20; round++) {
		feed(chunk, sizeof(chunk), TELNET_PROMPT);
		total += out.in_len;
	}
	assert_int_equal(total, TELNET_LINE);
	feed("\t", 1, TELNET_PROMPT);
	assert_int_equal(out.in_len, 0);
	assert_int_equal(reply[0], '\a');
	feed("\r\x10z\t", 4, TELNET_PROMPT);	/* recalled as long as it is */
	assert_string_equal((char *)in, "\r\x10");
	feed("\x15z\t", 3, TELNET_PROMPT);
	assert_string_equal((char *)in, "\x15z\t");
}

static void
test_output(void **state)
{
	uint8_t dst[16];

	(void)state;
	assert_int_equal(telnet_output((const uint8_t *)"a\x1f\xff" "b", 4,
	    dst), 5);
	assert_memory_equal(dst, "a?\xff\xff" "b", 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_line_ends, fresh),
		cmocka_unit_test_setup(test_keys, fresh),
		cmocka_unit_test_setup(test_interrupt, fresh),
		cmocka_unit_test_setup(test_leave_config, fresh),
		cmocka_unit_test_setup(test_question_marks, fresh),
		cmocka_unit_test_setup(test_password_is_not_edited, fresh),
		cmocka_unit_test_setup(test_options, fresh),
		cmocka_unit_test_setup(test_window_size, fresh),
		cmocka_unit_test_setup(test_commands, fresh),
		cmocka_unit_test_setup(test_no_room_for_replies, fresh),
		cmocka_unit_test_setup(test_line_stays_short, fresh),
		cmocka_unit_test_setup(test_output, fresh),
	};

	return cmocka_run_group_tests_name("cli_telnet", tests, NULL, NULL);
}
