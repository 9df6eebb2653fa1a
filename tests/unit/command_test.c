/*
 * command_test.c - the table of commands, and how a line finds its row
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "l2tpns.h"

struct l2tpns lns;			/* of those who run the commands */

/* The words of the row that a line names, and how many it took; "" is none. */
static const char *
find(const char *line, unsigned int mode, int *used)
{
	char copy[128], *argv[16];
	const struct command *c;
	int n = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *p = strtok(copy, " "); p != NULL && n < 16;
	    p = strtok(NULL, " "))
		argv[n++] = p;
	c = command_find(n, argv, mode, used);
	return c != NULL ? c->words : "";
}

static void
expect(const char *line, unsigned int mode, const char *words, int used)
{
	int got = -1;

	assert_string_equal(find(line, mode, &got), words);
	assert_int_equal(got, used);
}

static void
test_rows_find_themselves(void **state)
{
	size_t i;
	int used;

	(void)state;
	for (i = 0; i < commands_n; i++) {
		unsigned int mode = commands[i].modes & IN_ANY, blanks = 0;

		assert_string_equal(find(commands[i].words, mode & -mode,
		    &used), commands[i].words);
		for (const char *p = commands[i].words; *p != '\0'; p++)
			blanks += *p == ' ';
		assert_int_equal(used, blanks + 1);
	}
}

/* What the manual page, the help and libcli's tree are made of. */
static void
test_rows_are_in_order(void **state)
{
	const struct command_arg *a;
	size_t i, g;

	(void)state;
	for (i = 0; i < commands_n; i++) {
		const struct command *c = &commands[i];
		const char *blank = strchr(c->words, ' ');

		assert_true(islower((unsigned char)c->words[0]));
		assert_true((c->modes & IN_ANY) != 0);
		assert_true(c->help[0] != '\0' &&
		    c->help[strlen(c->help) - 1] != '.');
		for (a = c->args; a != NULL && a->name != NULL; a++)
			assert_true(a->help[0] != '\0');
		if (blank == NULL)
			continue;
		for (g = 0; g < command_groups_n; g++)
			if (strncmp(command_groups[g].words, c->words,
			    (size_t)(blank - c->words)) == 0)
				break;
		assert_true(g < command_groups_n);
	}
}

static void
test_abbreviated(void **state)
{
	(void)state;
	expect("sh ses", IN_EXEC, "show session", 2);
	expect("SHOW Session 7 8", IN_EXEC, "show session", 2);
	expect("sh tunnel", IN_EXEC, "show tunnels", 2);
	expect("sh run", IN_EXEC, "show running-config", 2);
	expect("wr mem", IN_EXEC, "write memory", 2);
	expect("conf t", IN_EXEC, "configure terminal", 2);
	expect("en", IN_EXEC, "enable", 1);
	expect("no thr joe", IN_EXEC, "no throttle", 2);
	expect("thr joe in 64", IN_EXEC, "throttle", 1);
	expect("debug data", IN_EXEC, "debug", 1);
}

static void
test_not_found(void **state)
{
	(void)state;
	expect("", IN_EXEC, "", 0);
	expect("s", IN_EXEC, "", 0);		/* show, snoop */
	expect("show", IN_EXEC, "", 0);
	expect("show t", IN_EXEC, "", 0);	/* tunnels, throttle */
	expect("show nothing", IN_EXEC, "", 0);
	expect("shows", IN_EXEC, "", 0);
	expect("show session-", IN_EXEC, "", 0);
	expect("set debug 1", IN_EXEC, "", 0);
	expect("drop session 1", IN_CONFIG, "", 0);
	expect("set debug 1", IN_CONFIG, "set", 1);
}

/* Some words are too dangerous to be short, and short ones too dear. */
static void
test_in_full(void **state)
{
	(void)state;
	expect("shut", IN_EXEC, "", 0);
	expect("shutdow", IN_EXEC, "", 0);
	expect("shutdown", IN_EXEC, "shutdown", 1);
	expect("en", IN_CONFIG, "", 0);
	expect("end", IN_CONFIG, "end", 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_find_themselves),
		cmocka_unit_test(test_rows_are_in_order),
		cmocka_unit_test(test_abbreviated),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_in_full),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
