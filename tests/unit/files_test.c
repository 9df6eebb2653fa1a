/*
 * files_test.c - paths, copies, and what goes wrong with them
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

static void
test_directory(void **state)
{
	static const struct { const char *path, *dir; } is[] = {
		{ "/etc/l2tpns/users", "/etc/l2tpns" },
		{ "/users", "/" }, { "users", "." }, { "", "." },
		{ "etc/users", "etc" },
	};
	char dir[64];

	(void)state;
	for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
		file_directory(dir, sizeof(dir), is[i].path);
		assert_string_equal(dir, is[i].dir);
	}
	file_directory(dir, 5, "/etc/l2tpns/users");
	assert_string_equal(dir, "/etc");
}

static void
test_sync_directory(void **state)
{
	(void)state;
	assert_true(file_sync_directory("/tmp/not-there"));
	assert_false(file_sync_directory("/tmp/not-there/x"));
	assert_int_equal(errno, ENOENT);
}

/* From where it stands, over more than one buffer, and no octet changed. */
static void
test_copy(void **state)
{
	static uint8_t sent[200001], got[sizeof(sent) + 1];
	FILE *from = tmpfile(), *to = tmpfile();

	(void)state;
	assert_non_null(from);
	assert_non_null(to);
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 + i / 251);
	assert_int_equal(pwrite(fileno(from), sent, sizeof(sent), 0),
	    sizeof(sent));
	assert_int_equal(lseek(fileno(from), 3, SEEK_SET), 3);
	assert_true(file_copy(fileno(from), fileno(to)));
	assert_int_equal(pread(fileno(to), got, sizeof(got), 0),
	    sizeof(sent) - 3);
	assert_memory_equal(got, sent + 3, sizeof(sent) - 3);
	fclose(from);
	fclose(to);
}

static void
test_copy_fails(void **state)
{
	int full = open("/dev/full", O_WRONLY), zero[2];

	(void)state;
	assert_true(full >= 0);
	assert_int_equal(pipe(zero), 0);
	assert_int_equal(write(zero[1], "x", 1), 1);
	close(zero[1]);
	assert_false(file_copy(zero[0], full));
	assert_int_equal(errno, ENOSPC);
	assert_false(file_copy(full, full));	/* it cannot be read */
	assert_int_equal(errno, EBADF);
	close(zero[0]);
	close(full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_sync_directory),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_copy_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
