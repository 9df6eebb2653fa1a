/*
 * users_test.c - the users file: what is taken, and who gets in
 *
 * All hashes are of the password "correct horse".
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

#include "users.h"

#define PASSWORD	"correct horse"

static const char *const hashes[] = {
	"$1$abcdefgh$y6iHhJNbuC0xpbk0w9pm80",
	"{crypt}abhfCpXqd4GrI",
	"{CRYPT}$1$abcdefgh$y6iHhJNbuC0xpbk0w9pm80",
	"$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/",
	"$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI"
	"2EplzfAqxL5Vvwp2scFtv/uamSo5z0",
	"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$zwtVrjrUCmXcyLTs6oxLTQlzifSUkF8RHJ./t"
	"K5KU79",
	"$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
};
#define HASHES	(sizeof(hashes) / sizeof(hashes[0]))

static int faults, warnings;
static unsigned int last_line;
static char last_text[256];

static void
hear(const char *file, unsigned int line, const char *reason, void *arg)
{
	assert_non_null(file);
	assert_null(arg);
	last_line = line;
	snprintf(last_text, sizeof(last_text), "%s", reason);
	if (strncmp(reason, CONFIG_WARNING, strlen(CONFIG_WARNING)) == 0)
		warnings++;
	else
		faults++;
}

static int
fresh(void **state)
{
	(void)state;
	users_clear();
	faults = warnings = 0;
	last_text[0] = '\0';
	return 0;
}

static int
parse(const char *text)
{
	char *copy = strdup(text);
	int n = users_parse("users", copy, strlen(copy), hear, NULL);

	free(copy);
	return n;
}

/* As the daemon and the process that it asks would do it together. */
static bool
lets_in(const char *name, const char *password)
{
	char question[USERS_QUESTION];
	bool known;
	size_t len = users_question(name, password, question,
	    sizeof(question), &known);

	return len > 0 && users_verify(question, len) && known;
}

static void
test_every_hash(void **state)
{
	char line[256];
	size_t i;

	(void)state;
	for (i = 0; i < HASHES; i++) {
		snprintf(line, sizeof(line), "joe:%s\n", hashes[i]);
		assert_int_equal(parse(line), 0);
		assert_true(users_wanted());
		assert_true(lets_in("joe", PASSWORD));
		assert_false(lets_in("joe", "correct"));
		assert_false(lets_in("joe", "Correct horse"));
		assert_false(lets_in("joe", ""));
		assert_false(lets_in("Joe", PASSWORD));
		/* The stored text itself is not a password. */
		assert_false(lets_in("joe", hashes[i]));
		assert_false(lets_in("joe", hashes[i] + 7));
	}
}

static void
test_legacy_is_worth_a_warning(void **state)
{
	(void)state;
	assert_int_equal(parse("a:$1$abcdefgh$y6iHhJNbuC0xpbk0w9pm80\n"), 0);
	assert_int_equal(warnings, 1);
	assert_int_equal(parse("a:{crypt}abhfCpXqd4GrI\n"), 0);
	assert_int_equal(warnings, 2);
	assert_int_equal(parse("a:plain\n"), 0);
	assert_int_equal(warnings, 3);
	assert_int_equal(parse("a:$y$j9T$F5Jx5fExrKuPp53xLKQ..1$zwtVrjrUCmXcy"
	    "LTs6oxLTQlzifSUkF8RHJ./tK5KU79\n"), 0);
	assert_int_equal(warnings, 3);
}

static void
test_plain(void **state)
{
	(void)state;
	assert_int_equal(parse("joe:a b:c#d\nann:{crypto}\nbob:x\n"), 0);
	assert_true(lets_in("joe", "a b:c#d"));
	assert_false(lets_in("joe", "a b:c#"));
	assert_false(lets_in("joe", "a b:c#d "));
	assert_true(lets_in("ann", "{crypto}"));
	assert_true(lets_in("bob", "x"));
	assert_false(lets_in("bob", ""));
}

static void
test_unknown_hash_is_refused(void **state)
{
	static const char *const bad[] = { "$9$salt$hash", "$", "$ecret",
	    "$x$", "$$", "$zz$abc", "{crypt}", "{crypt}short",
	    "{crypt}$9$salt$hash", "{crypt}abhfCpXqd4GrI5" };
	char line[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "# first\njoe:%s\n", bad[i]);
		assert_int_equal(parse(line), 1);
		assert_int_equal(last_line, 2);
		assert_true(users_wanted());
		assert_false(lets_in("joe", bad[i]));
		assert_false(lets_in("joe", ""));
		assert_false(lets_in("joe", PASSWORD));
	}
}

static void
test_disabled(void **state)
{
	static const char *const none[] = { "", "*", "*0", "*1", "!", "!!",
	    "!$1$abcdefgh$y6iHhJNbuC0xpbk0w9pm80" };
	char line[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		snprintf(line, sizeof(line), "joe:%s\nenable:%s\n", none[i],
		    none[i]);
		assert_int_equal(parse(line), 0);
		assert_true(users_wanted());
		assert_true(users_have_enable());
		assert_false(lets_in("joe", ""));
		assert_false(lets_in("joe", none[i]));
		assert_false(lets_in("joe", PASSWORD));
		assert_false(lets_in(USERS_ENABLE, none[i]));
	}
}

/* crypt(3) gives *0 for a setting that it does not like: not a match. */
static void
test_verify_trusts_nobody(void **state)
{
	static const char *const bad[] = { "h*0\0x", "h*1\0*1", "h\0x", "p\0x",
	    "p\0", "px\0", "x1\0001", "", "h", "p", "px", "px\0y\0z" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(users_verify(bad[i], strlen(bad[i]) + 1));
		assert_false(users_verify(bad[i], strlen(bad[i])));
	}
	assert_false(users_verify("h*0\0x", 6));
	assert_false(users_verify("p\0x", 4));
	assert_false(users_verify("p\0", 3));
	assert_false(users_verify("px\0", 4));
	assert_false(users_verify("q1\0001", 5));
	assert_false(users_verify("px\0x\0z", 7));
	assert_true(users_verify("px\0x", 5));
}

/* An unknown user costs what a known one does. */
static void
test_unknown_user_makes_a_question(void **state)
{
	char question[USERS_QUESTION];
	bool known = true;
	size_t len;

	(void)state;
	assert_int_equal(parse("p:plain\njoe:$5$saltsalt$myjXcpMpE2Ofk7fj9hqy"
	    "NYSn6lmWG4Mqnjx.KIRRr4/\n"), 0);
	len = users_question("nobody", PASSWORD, question, sizeof(question),
	    &known);
	assert_true(len > 0);
	assert_false(known);
	assert_memory_equal(question, "h$5$", 4);
	assert_true(users_verify(question, len));
	assert_false(lets_in("nobody", PASSWORD));
	users_clear();
	len = users_question("nobody", "?", question, sizeof(question),
	    &known);
	assert_true(len > 0);
	assert_false(known);
}

static void
test_bad_lines_cost_themselves(void **state)
{
	char line[2048];

	(void)state;
	assert_int_equal(parse("no colon\n:x\na b:x\njoe:one\njoe:two\n"
	    "\x01:x\nann:two\n"), 5);
	assert_true(lets_in("joe", "one"));
	assert_false(lets_in("joe", "two"));
	assert_true(lets_in("ann", "two"));
	memset(line, 'x', sizeof(line));
	memcpy(line, "joe:", 4);
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(parse(line), 1);
	assert_false(lets_in("joe", line + 4));
	line[3] = 'x';
	line[200] = ':';
	assert_int_equal(parse(line), 1);
}

static void
test_long_password_typed(void **state)
{
	char typed[USERS_PASSWORD + 1];

	(void)state;
	assert_int_equal(parse("joe:x\n"), 0);
	memset(typed, 'x', sizeof(typed));
	typed[USERS_PASSWORD] = '\0';
	assert_false(lets_in("joe", typed));
	typed[USERS_PASSWORD - 1] = '\0';
	assert_false(lets_in("joe", typed));
}

static void
test_comments_are_no_file(void **state)
{
	(void)state;
	assert_int_equal(parse("# joe:x\n\n! ann:y\n"), 0);
	assert_false(users_wanted());
	assert_int_equal(parse("nonsense\n"), 1);
	assert_true(users_wanted());
	assert_false(users_have_enable());
}

static void
test_file(void **state)
{
	char path[] = "/tmp/users_test.XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "joe:x\n", 6), 6);
	close(fd);
	assert_int_equal(users_load(path, hear, NULL), 0);
	assert_true(lets_in("joe", "x"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(users_load(path, hear, NULL), 0);
	assert_false(users_wanted());
	assert_false(lets_in("joe", "x"));
	/* There, and not to be read: closed. */
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(users_load(path, hear, NULL), -1);
	assert_true(users_wanted());
	assert_int_equal(rmdir(path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_every_hash, fresh),
		cmocka_unit_test_setup(test_legacy_is_worth_a_warning, fresh),
		cmocka_unit_test_setup(test_plain, fresh),
		cmocka_unit_test_setup(test_unknown_hash_is_refused, fresh),
		cmocka_unit_test_setup(test_disabled, fresh),
		cmocka_unit_test_setup(test_verify_trusts_nobody, fresh),
		cmocka_unit_test_setup(test_unknown_user_makes_a_question,
		    fresh),
		cmocka_unit_test_setup(test_bad_lines_cost_themselves, fresh),
		cmocka_unit_test_setup(test_long_password_typed, fresh),
		cmocka_unit_test_setup(test_comments_are_no_file, fresh),
		cmocka_unit_test_setup(test_file, fresh),
	};

	return cmocka_run_group_tests_name("users", tests, fresh, fresh);
}
