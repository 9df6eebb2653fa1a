/*
 * secrets_test.c - ppp-secrets by pppd's rules, PAP and CHAP against it
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "log.h"
#include "secrets.h"
#include "timer.h"

static int messages;
static unsigned int last_line;
static char last_text[256];
static int log_lines;
static char log_text[256];

static void
hear(const char *file, unsigned int line, const char *reason, void *arg)
{
	assert_non_null(file);
	assert_null(arg);
	messages++;
	last_line = line;
	snprintf(last_text, sizeof(last_text), "%s", reason);
}

static void
hear_log(struct log_listener *l, enum log_level level, uint32_t tid,
    uint32_t sid, const char *text)
{
	(void)l;
	(void)level;
	assert_int_equal(tid, 0);
	assert_int_equal(sid, 0);
	log_lines++;
	snprintf(log_text, sizeof(log_text), "%s", text);
}

static struct log_listener listener = { .trusted = true, .line = hear_log,
    .levels = (1u << LOG_LEVELS) - 1 };

static int
fresh(void **state)
{
	(void)state;
	secrets_clear();
	timers_init();
	log_set_level(-1);
	log_listen(&listener);
	messages = log_lines = 0;
	last_text[0] = '\0';
	return 0;
}

static int
load(const char *text)
{
	return secrets_parse("ppp-secrets", text, strlen(text), hear, NULL);
}

static struct auth_result
pap(const char *user, const char *password)
{
	struct auth_request ask = { .protocol = 0xc023 };
	struct auth_result res;

	memset(&res, 0xff, sizeof(res));
	snprintf(ask.user, sizeof(ask.user), "%s", user);
	ask.password_len = strlen(password);
	memcpy(ask.password, password, ask.password_len);
	secrets_check(&ask, "lns", &res);
	return res;
}

static bool
pap_ok(const char *user, const char *password)
{
	return pap(user, password).verdict == AUTH_ACCEPT;
}

static bool
chap_ok(const char *user, const char *secret)
{
	struct auth_request ask = { .protocol = 0xc223, .chap_id = 7,
	    .challenge_len = 16 };
	struct auth_result res;
	const struct digest_part part[] = {
		{ &ask.chap_id, 1 }, { secret, strlen(secret) },
		{ ask.challenge, 16 }
	};

	snprintf(ask.user, sizeof(ask.user), "%s", user);
	digest_random(ask.challenge, 16);
	digest_md5(ask.response, part, 3);
	secrets_check(&ask, "lns", &res);
	return res.verdict == AUTH_ACCEPT;
}

static void
test_entries(void **state)
{
	(void)state;
	assert_int_equal(load(
	    "# client server secret addresses\n"
	    "bob lns bobs *\n"
	    "\t alice\t*   wonder 10.1.2.3 # fixed\r\n"
	    "\n"
	    "carol * forbidden -\n"
	    "dave * last"), 0);
	assert_int_equal(messages, 0);
	assert_int_equal(secrets_count(), 4);
	assert_true(pap_ok("bob", "bobs"));
	assert_true(chap_ok("bob", "bobs"));
	assert_int_equal(pap("bob", "bobs").address, AUTH_IP_POOL);
	assert_false(pap_ok("bob", "bob"));
	assert_false(pap_ok("bob", "bobsx"));
	assert_false(pap_ok("bob", ""));
	assert_false(chap_ok("bob", "Bobs"));
	assert_false(pap_ok("Bob", "bobs"));
	assert_true(pap_ok("alice", "wonder"));
	assert_int_equal(pap("alice", "wonder").address, AUTH_IP_FIXED);
	assert_int_equal(pap("alice", "wonder").framed_ip, 0x0a010203);
	assert_false(pap_ok("carol", "forbidden"));
	assert_false(chap_ok("carol", "forbidden"));
	assert_true(pap_ok("dave", "last"));
	assert_false(pap_ok("", ""));
	assert_false(pap_ok("nobody", "no such client"));
}

/* Nothing of the result is left over from before. */
static void
test_result_is_whole(void **state)
{
	struct auth_result res, zero = { .verdict = AUTH_ACCEPT };

	(void)state;
	load("bob * bobs\n");
	res = pap("bob", "bobs");
	assert_memory_equal(&res, &zero, sizeof(res));
	zero.verdict = AUTH_REJECT;
	res = pap("bob", "nobs");
	assert_memory_equal(&res, &zero, sizeof(res));
}

static void
test_words(void **state)
{
	(void)state;
	assert_int_equal(load(
	    "\"joe user\" * \"a b\tc\" *\n"
	    "'q\"q' * 'x#y'\n"
	    "hash#in * se#cret\n"
	    "back\\ slash * \\\"q\\\\\n"
	    "mixed\" up\"'ed' * s1 #comment\n"
	    "joined \\\n  * \\\n  long\\\ner\n"
	    "\"#first\" * f\n"
	    "\\#second * s\n"
	    "!bang * b\n"), 0);
	assert_int_equal(secrets_count(), 9);
	assert_true(pap_ok("joe user", "a b\tc"));
	assert_true(pap_ok("q\"q", "x#y"));
	assert_true(pap_ok("hash#in", "se#cret"));
	assert_true(pap_ok("back slash", "\"q\\"));
	assert_true(pap_ok("mixed uped", "s1"));
	assert_true(pap_ok("joined", "longer"));
	assert_true(pap_ok("#first", "f"));
	assert_true(pap_ok("#second", "s"));
	assert_true(pap_ok("!bang", "b"));
}

/* The fewest wildcards; a client's own name first; then the file's order. */
static void
test_best_match(void **state)
{
	(void)state;
	load("* * any\n"
	    "* lns ours\n"
	    "bob * bobs-any\n"
	    "bob lns bobs-ours\n"
	    "bob lns bobs-second\n"
	    "eve * eves\n"
	    "mal other mals\n"
	    "mal * mals-any\n"
	    "dan other dans\n");
	assert_true(pap_ok("bob", "bobs-ours"));
	assert_false(pap_ok("bob", "bobs-any"));
	assert_false(pap_ok("bob", "bobs-second"));
	assert_false(pap_ok("bob", "any"));
	assert_true(pap_ok("eve", "eves"));
	assert_false(pap_ok("eve", "ours"));
	assert_true(pap_ok("mal", "mals-any"));
	assert_false(pap_ok("mal", "mals"));
	assert_true(pap_ok("dan", "ours"));
	assert_false(pap_ok("dan", "dans"));
	assert_true(pap_ok("anybody", "ours"));
	assert_true(pap_ok("*", "ours"));
	load("* * any\n");
	assert_true(pap_ok("anybody", "any"));
	load("bob other x\n");
	assert_false(pap_ok("bob", "x"));
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *words;
		enum auth_verdict verdict;
		enum auth_address address;
		uint32_t ip;
	} rows[] = {
		{ "", AUTH_ACCEPT, AUTH_IP_POOL, 0 },
		{ "*", AUTH_ACCEPT, AUTH_IP_POOL, 0 },
		{ "10.0.0.1", AUTH_ACCEPT, AUTH_IP_FIXED, 0x0a000001 },
		{ "10.0.0.1 10.0.0.2", AUTH_ACCEPT, AUTH_IP_FIXED, 0x0a000001 },
		{ "-", AUTH_REJECT, AUTH_IP_POOL, 0 },
		{ "- 10.0.0.1", AUTH_REJECT, AUTH_IP_POOL, 0 },
		{ "!10.0.0.1", AUTH_REJECT, AUTH_IP_POOL, 0 },
		{ "!10.0.0.1 10.0.0.1 10.0.0.2", AUTH_ACCEPT, AUTH_IP_FIXED,
		    0x0a000002 },
		{ "!10.0.0.1 10.0.0.1", AUTH_REJECT, AUTH_IP_POOL, 0 },
		{ "!10.0.0.1 *", AUTH_ACCEPT, AUTH_IP_POOL, 0 },
		{ "10.0.0.0/24", AUTH_ACCEPT, AUTH_IP_POOL, 0 },
		{ "10.0.0.0/24+", AUTH_ACCEPT, AUTH_IP_POOL, 0 },
		{ "10.0.0.1/32", AUTH_ACCEPT, AUTH_IP_FIXED, 0x0a000001 },
		{ "!10.0.0.0/24 10.0.0.1 10.0.1.1", AUTH_ACCEPT,
		    AUTH_IP_FIXED, 0x0a000101 },
		{ "!0.0.0.0/0 10.0.0.1", AUTH_REJECT, AUTH_IP_POOL, 0 },
		{ "-- mtu 1400", AUTH_ACCEPT, AUTH_IP_POOL, 0 },
		{ "10.0.0.1 -- mtu 1400", AUTH_ACCEPT, AUTH_IP_FIXED,
		    0x0a000001 },
		{ "!10.0.0.1 -- 10.0.0.2", AUTH_REJECT, AUTH_IP_POOL, 0 }
	};
	struct auth_result res;
	char text[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "u * s %s\n", rows[i].words);
		assert_int_equal(load(text), 0);
		res = pap("u", "s");
		assert_int_equal(res.verdict, rows[i].verdict);
		assert_int_equal(res.address, rows[i].address);
		assert_int_equal(res.framed_ip, rows[i].ip);
	}
}

/* A bad line is told with its number and costs no other line. */
static void
test_faults(void **state)
{
	static const struct {
		const char *line;
		const char *reason;
	} rows[] = {
		{ "bob", "client, server and secret are needed" },
		{ "bob *", "client, server and secret are needed" },
		{ "bob * \"\"", "the secret is empty" },
		{ "bob * \"open", "a quote is not closed" },
		{ "bob * s 10.0.0.0/33", "word 4 is not an IPv4 address, "
		    "nor `*` nor `-`" },
		{ "bob * s 10.0.0.1+", "word 4 is not an IPv4 address, "
		    "nor `*` nor `-`" },
		{ "bob * s 10.0.0.0/24+5", "word 4 is not an IPv4 address, "
		    "nor `*` nor `-`" },
		{ "bob * s 10.0.0.1 host.name", NULL },
		{ "bob * s !x", "word 4 is not an IPv4 address, "
		    "nor `*` nor `-`" },
		{ "bob * s 10.0.0.256", "word 4 is not an IPv4 address, "
		    "nor `*` nor `-`" },
		{ "bob * @/nonexistent/file", "the file with the secret "
		    "cannot be read" },
		{ "bob * @/dev/zero", "the file with the secret cannot be "
		    "read" }
	};
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool ok = rows[i].reason == NULL;

		messages = 0;
		snprintf(text, sizeof(text), "one * 1\n%s\ntwo * 2\n",
		    rows[i].line);
		assert_int_equal(load(text), ok ? 0 : 1);
		assert_int_equal(messages, ok ? 0 : 1);
		if (!ok) {
			assert_int_equal(last_line, 2);
			assert_string_equal(last_text, rows[i].reason);
		}
		assert_int_equal(secrets_count(), ok ? 3 : 2);
		assert_true(pap_ok("one", "1"));
		assert_true(pap_ok("two", "2"));
	}
}

/* No fault shows what may be a secret, or a control character. */
static void
test_faults_keep_secrets(void **state)
{
	const char *p;

	(void)state;
	assert_int_equal(load("bob * my hidden\033word\n"), 1);
	assert_null(strstr(last_text, "hidden"));
	for (p = last_text; *p != '\0'; p++)
		assert_true(*p >= 0x20 && *p < 0x7f);
}

static void
test_long_lines(void **state)
{
	char *text = malloc(40000);
	size_t n;

	(void)state;
	assert_non_null(text);
	/* A secret of any length up to the line's. */
	n = (size_t)sprintf(text, "bob * ");
	memset(text + n, 's', 8000);
	strcpy(text + n + 8000, "\n");
	assert_int_equal(load(text), 0);
	text[n + 8000] = '\0';
	assert_true(chap_ok("bob", text + n));
	n = (size_t)sprintf(text, "one * 1\nbob * ");
	memset(text + n, 's', 9000);
	strcpy(text + n + 9000, "\ntwo * 2\n");
	assert_int_equal(load(text), 1);
	assert_string_equal(last_text, "line too long");
	assert_true(pap_ok("two", "2"));
	n = (size_t)sprintf(text, "bob * s");
	while (n < 1000)
		n += (size_t)sprintf(text + n, " 10.0.0.1");
	assert_int_equal(load(text), 1);
	assert_string_equal(last_text, "too many words");
	free(text);
}

static void
test_nul(void **state)
{
	static const char text[] = "bob * bo\0bs\ntwo * 2\n";
	struct auth_request ask = { .protocol = 0xc023, .user = "two",
	    .password = "2\0", .password_len = 2 };
	struct auth_result res;

	(void)state;
	assert_int_equal(secrets_parse("f", text, sizeof(text) - 1, hear,
	    NULL), 1);
	assert_string_equal(last_text, "a NUL character");
	assert_int_equal(last_line, 1);
	assert_false(pap_ok("bob", "bo"));
	/* A NUL in the password counts. */
	secrets_check(&ask, "lns", &res);
	assert_int_equal(res.verdict, AUTH_REJECT);
	ask.password_len = 1;
	secrets_check(&ask, "lns", &res);
	assert_int_equal(res.verdict, AUTH_ACCEPT);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
test_file(void **state)
{
	char path[] = "/tmp/secrets_test.XXXXXX", other[64], text[128];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	snprintf(other, sizeof(other), "%s.secret", path);
	write_file(other, "from a file\r\nnot this\n");
	snprintf(text, sizeof(text), "bob * @%s\neve * @home\n", other);
	write_file(path, text);
	assert_int_equal(secrets_load(path, hear, NULL), 0);
	assert_true(pap_ok("bob", "from a file"));
	assert_true(pap_ok("eve", "@home"));
	/* What was loaded stays when the file is gone. */
	unlink(path);
	unlink(other);
	assert_int_equal(secrets_load(path, hear, NULL), -1);
	assert_int_equal(messages, 1);
	assert_true(pap_ok("bob", "from a file"));
	assert_int_equal(secrets_load("/tmp", hear, NULL), -1);
	assert_true(pap_ok("bob", "from a file"));
	/* An empty file is a file. */
	write_file(path, "");
	assert_int_equal(secrets_load(path, hear, NULL), 0);
	assert_int_equal(secrets_count(), 0);
	assert_false(pap_ok("bob", "from a file"));
	unlink(path);
}

/* Without a file nobody gets in, said once, and again after a reload. */
static void
test_said_once(void **state)
{
	(void)state;
	assert_false(pap_ok("bob", "bobs"));
	assert_int_equal(log_lines, 1);
	assert_non_null(strstr(log_text, "nobody can log in"));
	assert_false(chap_ok("eve", "eves"));
	assert_false(pap_ok("", ""));
	assert_int_equal(log_lines, 1);
	assert_int_equal(secrets_load("/nonexistent", hear, NULL), -1);
	assert_false(pap_ok("bob", "bobs"));
	assert_int_equal(log_lines, 2);
}

static void
test_many(void **state)
{
	size_t n = 0, size = 100000 * 40;
	char *text = malloc(size), user[32], secret[32];
	uint64_t start;
	int i;

	(void)state;
	assert_non_null(text);
	for (i = 0; i < 100000; i++)
		n += (size_t)snprintf(text + n, size - n,
		    "user%d * secret%d\n", i, i);
	start = timer_usec();
	assert_int_equal(load(text), 0);
	assert_int_equal(secrets_count(), 100000);
	assert_true(timer_usec() - start < 2000000);
	for (i = 0; i < 100000; i += 997) {
		snprintf(user, sizeof(user), "user%d", i);
		snprintf(secret, sizeof(secret), "secret%d", i);
		assert_true(pap_ok(user, secret));
		assert_false(pap_ok(user, "secret"));
	}
	/* Doubles in any number take no longer to read. */
	for (i = 0, n = 0; i < 100000; i++)
		n += (size_t)snprintf(text + n, size - n, "u * s%d\n", i);
	start = timer_usec();
	assert_int_equal(load(text), 0);
	assert_true(timer_usec() - start < 2000000);
	assert_true(pap_ok("u", "s0"));
	free(text);
	secrets_clear();
	assert_int_equal(secrets_count(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_entries, fresh),
		cmocka_unit_test_setup(test_result_is_whole, fresh),
		cmocka_unit_test_setup(test_words, fresh),
		cmocka_unit_test_setup(test_best_match, fresh),
		cmocka_unit_test_setup(test_addresses, fresh),
		cmocka_unit_test_setup(test_faults, fresh),
		cmocka_unit_test_setup(test_faults_keep_secrets, fresh),
		cmocka_unit_test_setup(test_long_lines, fresh),
		cmocka_unit_test_setup(test_nul, fresh),
		cmocka_unit_test_setup(test_file, fresh),
		cmocka_unit_test_setup(test_said_once, fresh),
		cmocka_unit_test_setup(test_many, fresh)
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	secrets_clear();
	return failed;
}
