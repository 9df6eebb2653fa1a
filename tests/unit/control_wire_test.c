/*
 * control_wire_test.c - nsctl datagrams, octet by octet
 *
 * The ones of version 2 are what Debian's nsctl 2.4.1 sends.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "control_wire.h"

static struct control_msg m;

static bool
decode(const char *octets, size_t len)
{
	return control_decode(octets, len, &m);
}

#define DECODE(s)	decode(s, sizeof(s) - 1)

static void
want_arg(unsigned int i, const char *text)
{
	assert_in_range(m.argc, i + 1, CONTROL_ARGS_MAX);
	assert_int_equal(m.arg[i].len, strlen(text));
	assert_memory_equal(m.arg[i].p, text, strlen(text));
}

static void
test_v2(void **state)
{
	(void)state;
	assert_true(DECODE("\x90\x13\x14\x02\x06garden\x02" "12\xff"));
	assert_int_equal(m.form, CONTROL_V2);
	assert_int_equal(m.type, CONTROL_COMMAND);
	assert_int_equal(m.wire_type, 0x14);
	assert_int_equal(m.argc, 2);
	want_arg(0, "garden");
	want_arg(1, "12");
	assert_int_equal(m.data_len, 10);
	assert_memory_equal(m.data, "\x06garden\x02" "12", 10);
	assert_true(DECODE("\x90\x13\x11\x01\x06garden\xff"));
	assert_int_equal(m.type, CONTROL_LOAD);
	want_arg(0, "garden");
	assert_true(DECODE("\x90\x13\x13\x00\xff"));
	assert_int_equal(m.type, CONTROL_HELP);
	assert_int_equal(m.argc, 0);
	assert_true(DECODE("\x90\x13\x14\x01\x00\xff"));
	want_arg(0, "");
	/* A response may have lines in it. */
	assert_true(DECODE("\x90\x13\x22\x01\x03" "a\nb\xff"));
	assert_int_equal(m.type, CONTROL_ERROR);
}

static void
test_v1(void **state)
{
	(void)state;
	assert_true(DECODE("\x90\x12\x03\xe8\x00\x0d\x01\x02\x03\x04" "12\0"));
	assert_int_equal(m.form, CONTROL_V1);
	assert_int_equal(m.type, CONTROL_COMMAND);
	assert_int_equal(m.wire_type, 1000);
	assert_int_equal(m.id, 0x01020304);
	assert_int_equal(m.argc, 2);
	want_arg(0, "garden");
	want_arg(1, "12");
	assert_true(DECODE("\x90\x12\x03\xe9\x00\x0d\x01\x02\x03\x04" "12\0"));
	want_arg(0, "ungarden");
	assert_true(DECODE("\x90\x12\x00\x06\x00\x0d\0\0\0\0" "ab\0"));
	assert_int_equal(m.type, CONTROL_UNLOAD);
	assert_int_equal(m.argc, 1);
	/* A type that has no name goes by its number. */
	assert_true(DECODE("\x90\x12\x03\xea\x00\x0f\0\0\0\0a\0b\0\0"));
	assert_int_equal(m.type, CONTROL_COMMAND);
	assert_int_equal(m.argc, 4);
	want_arg(0, "1002");
	want_arg(2, "b");
	want_arg(3, "");
	assert_true(DECODE("\x90\x12\x00\x01\x00\x0a\0\0\0\x07"));
	assert_int_equal(m.type, CONTROL_OK);
	assert_int_equal(m.argc, 0);
}

/* What is not exactly one message is none. */
static void
test_malformed(void **state)
{
	static uint8_t big[CONTROL_REQUEST_MAX + 1];

	(void)state;
	assert_false(DECODE(""));
	assert_false(DECODE("\x90"));
	assert_false(DECODE("\x90\x13"));
	assert_false(DECODE("\x90\x13\x14"));
	assert_false(DECODE("\x90\x13\x14\x00"));		/* no end */
	assert_false(DECODE("\x90\x13\x14\x00\xfe"));
	assert_false(DECODE("\x90\x13\x14\x00\xff\x00"));	/* behind it */
	assert_false(DECODE("\x90\x13\x14\x01\xff"));		/* too few */
	assert_false(DECODE("\x90\x13\x14\x01\x02x\xff"));
	assert_false(DECODE("\x90\x13\x14\x00\x01x\xff"));	/* too many */
	assert_false(DECODE("\x90\x13\x10\x00\xff"));		/* no type */
	assert_false(DECODE("\x90\x13\x15\x00\xff"));
	assert_false(DECODE("\x90\x13\x14\x01\x02x\n\xff"));
	assert_false(DECODE("\x90\x13\x14\x01\x02x\0\xff"));
	assert_false(DECODE("\x90\x13\x14\x01\x02x\x7f\xff"));
	assert_false(DECODE("\x90\x11\x14\x01\x01x\xff"));
	assert_false(DECODE("\x90\x12\x03\xe8\x00\x0d\x01\x02\x03"));
	assert_false(DECODE("\x90\x12\x03\xe8\x00\x0c\0\0\0\0" "12\0"));
	assert_false(DECODE("\x90\x12\x03\xe8\x00\x0e\0\0\0\0" "12\0"));
	assert_false(DECODE("\x90\x12\x03\xe8\x00\x0c\0\0\0\0" "12"));
	assert_false(DECODE("\x90\x12\x03\xe8\x00\x0d\0\0\0\0" "1\x1b\0"));
	/* 4,087 empty arguments are more than there may be. */
	memcpy(big, "\x90\x12\x03\xe8\x10\x00\0\0\0\0", 10);
	assert_false(decode((char *)big, CONTROL_REQUEST_MAX));
	memcpy(big, "\x90\x12\x03\xe8\x10\x01\0\0\0\0", 10);
	assert_false(decode((char *)big, CONTROL_REQUEST_MAX + 1));
}

static struct control_msg
make(enum control_form form, uint8_t type, const char *a, const char *b)
{
	struct control_msg msg = { .form = form, .type = type,
	    .id = 0xa0b0c0d0, .sequence = UINT64_C(0x0102030405060708) };

	if (a != NULL)
		msg.arg[msg.argc++] = (struct control_arg){ a, strlen(a) };
	if (b != NULL)
		msg.arg[msg.argc++] = (struct control_arg){ b, strlen(b) };
	return msg;
}

static void
want_octets(struct control_msg msg, const char *octets, size_t len)
{
	uint8_t buf[128];

	assert_int_equal(control_encode(&msg, buf, sizeof(buf)), len);
	assert_memory_equal(buf, octets, len);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(control_encode(&msg, buf, n), 0);
}

#define WANT(msg, s)	want_octets(msg, s, sizeof(s) - 1)

static void
test_encode(void **state)
{
	struct control_msg msg = make(CONTROL_V1, CONTROL_COMMAND, "fly", "1");
	uint8_t buf[128];

	(void)state;
	WANT(make(CONTROL_V2, CONTROL_OK, NULL, NULL), "\x90\x13\x21\x00\xff");
	WANT(make(CONTROL_V2, CONTROL_OK, "a", ""),
	    "\x90\x13\x21\x02\x01" "a\x00\xff");
	WANT(make(CONTROL_V1, CONTROL_ERROR, "no", NULL),
	    "\x90\x12\x00\x02\x00\x0d\xa0\xb0\xc0\xd0no\0");
	WANT(make(CONTROL_V1, CONTROL_OK, "a", "b"),
	    "\x90\x12\x00\x01\x00\x0e\xa0\xb0\xc0\xd0" "a\nb\0");
	WANT(make(CONTROL_V1, CONTROL_OK, NULL, NULL),
	    "\x90\x12\x00\x01\x00\x0a\xa0\xb0\xc0\xd0");
	WANT(make(CONTROL_V1, CONTROL_LOAD, "x", NULL),
	    "\x90\x12\x00\x05\x00\x0c\xa0\xb0\xc0\xd0x\0");
	WANT(make(CONTROL_V1, CONTROL_COMMAND, "ungarden", "12"),
	    "\x90\x12\x03\xe9\x00\x0d\xa0\xb0\xc0\xd0" "12\0");
	WANT(make(CONTROL_SIGNED, CONTROL_HELP, NULL, NULL),
	    "\x90\x14\1\2\3\4\5\6\7\x08\xa0\xb0\xc0\xd0\x13\x00\xff");
	/* Version 1 has no word for it. */
	assert_int_equal(control_encode(&msg, buf, sizeof(buf)), 0);
	msg.type = CONTROL_HELP;
	assert_int_equal(control_encode(&msg, buf, sizeof(buf)), 0);
}

static void
test_signed(void **state)
{
	struct control_msg msg = make(CONTROL_SIGNED, CONTROL_COMMAND,
	    "garden", "12");
	uint8_t buf[64];
	size_t n = control_encode(&msg, buf, sizeof(buf));

	(void)state;
	assert_int_equal(control_sign(buf, n, n + CONTROL_MAC - 1, "r", "k"),
	    0);
	assert_int_equal(control_sign(buf, 0, sizeof(buf), "r", "k"), 0);
	n = control_sign(buf, n, sizeof(buf), CONTROL_LABEL_REQUEST, "key");
	assert_true(control_is_signed(buf, n));
	assert_true(control_verify(buf, n, CONTROL_LABEL_REQUEST, "key"));
	assert_false(control_verify(buf, n, CONTROL_LABEL_REPLY, "key"));
	assert_false(control_verify(buf, n, CONTROL_LABEL_REQUEST, "Key"));
	assert_false(control_verify(buf, n, CONTROL_LABEL_REQUEST, ""));
	assert_true(decode((char *)buf, n));
	assert_int_equal(m.form, CONTROL_SIGNED);
	assert_int_equal(m.id, 0xa0b0c0d0);
	assert_true(m.sequence == UINT64_C(0x0102030405060708));
	want_arg(0, "garden");
	want_arg(1, "12");
	for (size_t i = 0; i < n * 8; i++) {
		buf[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_false(control_verify(buf, n, CONTROL_LABEL_REQUEST,
		    "key"));
		buf[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t i = 0; i < n; i++) {
		assert_false(control_verify(buf, i, CONTROL_LABEL_REQUEST,
		    "key"));
		assert_false(decode((char *)buf, i));
	}
	/* As Python's hmac module has it. */
	assert_memory_equal(buf + n - CONTROL_MAC,
	    "\x15\xd6\xa6\xcb\xda\x52\xb3\xf8"
	    "\xff\xd0\x70\xa7\xc0\x36\x83\xae", CONTROL_MAC);
}

static void
test_text(void **state)
{
	static char text[5000];
	uint8_t buf[CONTROL_REPLY_MAX];
	size_t n;

	(void)state;
	m = make(CONTROL_V2, CONTROL_OK, NULL, NULL);
	control_set_text(&m, "", 0);
	assert_int_equal(m.argc, 0);
	control_set_text(&m, "one\n\nthree", 10);
	assert_int_equal(m.argc, 3);
	want_arg(0, "one");
	want_arg(1, "");
	want_arg(2, "three");
	control_set_text(&m, "one\n", 4);
	assert_int_equal(m.argc, 1);
	memset(text, 'x', sizeof(text));
	control_set_text(&m, text, 300);
	assert_int_equal(m.argc, 2);
	assert_int_equal(m.arg[0].len, 255);
	assert_int_equal(m.arg[1].len, 45);
	/* As much as fits, whatever the form and the lines. */
	for (size_t line = 1; line < 600; line += 7) {
		memset(text, 'x', sizeof(text));
		for (size_t i = line; i < sizeof(text); i += line + 1)
			text[i] = '\n';
		control_set_text(&m, text, sizeof(text));
		want_arg(m.argc - 1, "...");
		for (int form = CONTROL_V1; form <= CONTROL_SIGNED; form++) {
			m.form = (enum control_form)form;
			n = control_encode(&m, buf, sizeof(buf));
			assert_in_range(n, 400, CONTROL_REPLY_MAX -
			    CONTROL_MAC);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v2),
		cmocka_unit_test(test_v1),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_signed),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
