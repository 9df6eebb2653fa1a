/*
 * log_test.c - lines, escapes, dumps, and everything that could block
 */
#define _GNU_SOURCE 1			/* strptime */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "timer.h"

static char dir[] = "/tmp/log_test.XXXXXX";
static char file[64], other[64], err[256];
static char content[4 << 20];

static int
make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(file, sizeof(file), "%s/log", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	timers_init();
	timer_fake(0);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static int
done(void **state)
{
	(void)state;
	log_open(NULL, err, sizeof(err));
	unlink(file);
	unlink(other);
	return 0;
}

/* An empty log, and the lines that the test before lost are accounted for. */
static int
fresh(void **state)
{
	done(state);
	log_set_level(LOG_L_INFO);
	assert_true(log_open(file, err, sizeof(err)));
	log_info("lines lost before are told now");
	unlink(file);
	log_reopen();
	return 0;
}

static const char *
slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, content, sizeof(content) - 1);
	close(fd);
	assert_true(n >= 0 && (size_t)n < sizeof(content) - 1);
	content[n] = '\0';
	return content;
}

static unsigned int
count_lines(const char *text)
{
	unsigned int n = 0;

	while ((text = strchr(text, '\n')) != NULL) {
		n++;
		text++;
	}
	return n;
}

static void
assert_matches(const char *text, const char *pattern)
{
	regex_t re;
	int got;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	got = regexec(&re, text, 0, NULL, 0);
	regfree(&re);
	if (got != 0)
		fail_msg("\"%s\" is not like %s", text, pattern);
}

#define STAMP	"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} "

static void
test_line(void **state)
{
	struct tm tm;
	time_t t;

	(void)state;
	memset(&tm, 0, sizeof(tm));
	log_line(LOG_L_INFO, 7, 12, "user %s", "fred");
	assert_matches(slurp(file), STAMP "INFO 07/12 user fred\n$");
	assert_non_null(strptime(content, "%Y-%m-%d %H:%M:%S", &tm));
	tm.tm_isdst = -1;
	t = mktime(&tm);
	assert_true(time(NULL) - t <= 2 && time(NULL) - t >= 0);
	log_line(LOG_L_CRIT, 0, 1000000, "%d%%", 5);
	assert_matches(strchr(slurp(file), '\n') + 1,
	    STAMP "CRIT 00/1000000 5%\n$");
}

static void
test_levels(void **state)
{
	static const char *const words[] = { "CRIT", "ERROR", "WARN", "INFO",
	    "CALL", "DATA" };
	int level, l;
	char want[32];

	(void)state;
	for (level = 0; level < LOG_LEVELS; level++) {
		assert_string_equal(log_level_name(level), words[level]);
		log_set_level(level);
		assert_int_equal(log_get_level(), level);
		unlink(file);
		log_reopen();
		for (l = 0; l < LOG_LEVELS; l++)
			log_line(l, 0, 0, "at %d", l);
		slurp(file);
		assert_int_equal(count_lines(content), level + 1);
		for (l = 0; l <= level; l++) {
			snprintf(want, sizeof(want), "%s 00/00 at %d\n",
			    words[l], l);
			assert_non_null(strstr(content, want));
		}
	}
	log_set_level(-3);
	assert_int_equal(log_get_level(), 0);
	log_set_level(99);
	assert_int_equal(log_get_level(), 5);
	assert_string_equal(log_level_name(99), "?");
}

static void
test_short_forms(void **state)
{
	(void)state;
	log_set_level(LOG_L_CALL);
	log_crit("a%d", 1);
	log_error("b");
	log_warn("c");
	log_info("d");
	log_call("e");
	slurp(file);
	assert_int_equal(count_lines(content), 5);
	assert_non_null(strstr(content, "CRIT 00/00 a1\n"));
	assert_non_null(strstr(content, "CALL 00/00 e\n"));
}

/* Who did what, and what was asked for, is written at any level. */
static void
test_at_any_level(void **state)
{
	(void)state;
	log_set_level(LOG_L_CRIT);
	log_warn("not this");
	log_audit(7, 12, "alice did it");
	log_asked("so fast");
	slurp(file);
	assert_int_equal(count_lines(content), 2);
	assert_non_null(strstr(content, "WARN 07/12 alice did it\n"));
	assert_non_null(strstr(content, "INFO 00/00 so fast\n"));
}

/* What a peer sends as its name cannot forge a line. */
static void
test_no_forged_lines(void **state)
{
	char name[64];

	(void)state;
	log_info("user %s", "eve\n2026-01-01 00:00:00 INFO 01/01 root\r\x1b[2J");
	slurp(file);
	assert_int_equal(count_lines(content), 1);
	assert_null(strchr(content, '\r'));
	assert_null(strchr(content, '\x1b'));
	assert_non_null(strstr(content, "eve\\x0a2026-01-01"));
	assert_non_null(strstr(content, "root\\x0d\\x1b[2J\n"));
	log_info("%s", log_escape(name, sizeof(name), "a\0b\\", 4));
	assert_non_null(strstr(slurp(file), " a\\x00b\\x5c\n"));
	log_info("caf\xc3\xa9 \x9b");
	assert_non_null(strstr(slurp(file), "caf\\xc3\\xa9 \\x9b\n"));
}

static void
test_escape_every_byte(void **state)
{
	char out[8], want[8];
	uint8_t b;
	int i;

	(void)state;
	for (i = 0; i < 256; i++) {
		b = (uint8_t)i;
		if (i < 32 || i > 126 || i == '\\')
			snprintf(want, sizeof(want), "\\x%02x", i);
		else
			snprintf(want, sizeof(want), "%c", i);
		assert_ptr_equal(log_escape(out, sizeof(out), &b, 1), out);
		assert_string_equal(out, want);
	}
}

/* Cut at any size: terminated, nothing beyond, no half escapes. */
static void
test_escape_every_size(void **state)
{
	static const char full[] = "ab\\x01c\\xff\\x5c";
	size_t size, len;
	char out[32];

	(void)state;
	for (size = 0; size < sizeof(out); size++) {
		memset(out, '#', sizeof(out));
		log_escape(out, size, "ab\001c\xff\\", 6);
		assert_int_equal(out[size < 31 ? size : 31], '#');
		if (size == 0)
			continue;
		len = strlen(out);
		assert_true(len < size);
		assert_memory_equal(out, full, len);
		assert_true(len <= 2 || len == 6 || len == 7 || len == 11 ||
		    len == 15);
		if (size > sizeof(full) - 1)
			assert_string_equal(out, full);
	}
}

static void
test_long_line(void **state)
{
	char *text = malloc(100001);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 100000);
	text[100000] = '\0';
	log_info("%s", text);
	memset(text, '\001', 100000);
	log_info("%s", text);
	free(text);
	slurp(file);
	assert_int_equal(count_lines(content), 2);
	assert_int_equal(content[strlen(content) - 1], '\n');
	assert_true(strlen(content) > 5000);
	assert_true(strlen(content) < 6000);
}

/* Bytes from the text of a dump back again. */
static void
check_dump(const uint8_t *data, size_t len)
{
	const char *line = slurp(file), *p;
	size_t at = 0, row, i;
	unsigned int v;
	char want[64];

	snprintf(want, sizeof(want), "DATA 03/04 packet (%zu bytes)\n", len);
	assert_non_null(strstr(line, want));
	assert_int_equal(count_lines(line), 1 + (len + 15) / 16);
	while ((line = strchr(line, '\n')) != NULL && line[1] != '\0') {
		line++;
		snprintf(want, sizeof(want), "DATA 03/04   %04zx ", at);
		p = strstr(line, want);
		assert_non_null(p);
		p += strlen(want);
		row = len - at < 16 ? len - at : 16;
		for (i = 0; i < row; i++, p += 3) {
			assert_int_equal(sscanf(p, " %02x", &v), 1);
			assert_int_equal(v, data[at + i]);
		}
		p += 3 * (16 - row) + 2;
		for (i = 0; i < row; i++, p++)
			assert_int_equal(*p, data[at + i] >= 32 &&
			    data[at + i] < 127 ? data[at + i] : '.');
		assert_int_equal(*p, '\n');
		at += row;
	}
	assert_int_equal(at, len);
}

/* Packets of every length, also multiples of the row. */
static void
test_hex_every_length(void **state)
{
	uint8_t *data;
	size_t len, i;

	(void)state;
	log_set_level(LOG_L_DATA);
	for (len = 0; len <= 1600; len++) {
		data = malloc(len != 0 ? len : 1);	/* ASan sees overruns */
		assert_non_null(data);
		for (i = 0; i < len; i++)
			data[i] = (uint8_t)(i * 7 + len);
		unlink(file);
		log_reopen();
		log_hex(3, 4, "packet", data, len);
		check_dump(data, len);
		free(data);
	}
}

static void
test_hex_only_at_level_5(void **state)
{
	(void)state;
	log_set_level(LOG_L_CALL);
	log_hex(1, 2, "packet", "abc", 3);
	assert_string_equal(slurp(file), "");
	log_set_level(LOG_L_DATA);
	log_hex(0x10000, 2, "large", content, 70000);
	assert_int_equal(count_lines(slurp(file)), 1 + 70000 / 16);
}

static void
test_reopen_after_rename(void **state)
{
	(void)state;
	log_info("one");
	assert_int_equal(rename(file, other), 0);
	log_info("two");
	log_reopen();
	log_info("three");
	assert_int_equal(count_lines(slurp(other)), 2);
	assert_int_equal(count_lines(slurp(file)), 1);
	assert_non_null(strstr(content, "three"));
}

static void
test_reopen_that_fails_keeps_the_old(void **state)
{
	(void)state;
	log_info("one");
	assert_int_equal(rename(file, other), 0);
	assert_int_equal(mkdir(file, 0700), 0);
	log_reopen();
	log_info("two");
	assert_int_equal(rmdir(file), 0);
	slurp(other);
	assert_int_equal(count_lines(content), 3);
	assert_non_null(strstr(content, "ERROR 00/00 cannot reopen the log"));
	assert_non_null(strstr(content, "two\n"));
}

static void
test_appends_and_mode(void **state)
{
	struct stat st;

	(void)state;
	log_info("one");
	assert_true(log_open(file, err, sizeof(err)));
	log_info("two");
	assert_int_equal(count_lines(slurp(file)), 2);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07037, 0);	/* at most 0740 */
}

static int
replace_stderr(int fd)
{
	int saved = dup(STDERR_FILENO);

	assert_true(saved >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	return saved;
}

static void
restore_stderr(int saved)
{
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close(saved);
}

static void
test_open_refused(void **state)
{
	static const char *const bad[] = { "relative/path", "syslog:",
	    "syslog:local9", "syslog", "/nonexistent/dir/log", "/tmp" };
	char longname[5000], buf[512];
	int fd[2], saved;
	ssize_t n;
	size_t i;

	(void)state;
	memset(longname, 'a', sizeof(longname) - 1);
	longname[0] = '/';
	longname[sizeof(longname) - 1] = '\0';
	assert_false(log_open(longname, err, sizeof(err)));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(log_open(file, err, sizeof(err)));
		err[0] = '\0';
		assert_false(log_open(bad[i], err, sizeof(err)));
		assert_true(strlen(err) > 5);
		assert_false(log_open(bad[i], err, 3));
		assert_true(strlen(err) <= 2);
		assert_false(log_open(bad[i], NULL, 0));
	}
	assert_int_equal(pipe(fd), 0);	/* and the log is stderr now */
	saved = replace_stderr(fd[1]);
	log_info("here");
	restore_stderr(saved);
	n = read(fd[0], buf, sizeof(buf) - 1);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_matches(buf, STAMP "INFO 00/00 here\n$");
	close(fd[0]);
	close(fd[1]);
}

/* How long it may take to not write 20000 lines. */
static void
flood(void)
{
	uint64_t start = timer_usec();
	int i;

	for (i = 0; i < 20000; i++)
		log_info("line %d", i);
	assert_true(timer_usec() - start < 10000000);
}

static void
test_fifo_without_reader(void **state)
{
	int fd;
	ssize_t n;

	(void)state;
	log_open(NULL, NULL, 0);
	unlink(file);
	assert_int_equal(mkfifo(file, 0600), 0);
	assert_true(log_open(file, err, sizeof(err)));
	flood();
	fd = open(file, O_RDONLY | O_NONBLOCK);	/* a reader comes at last */
	assert_true(fd >= 0);
	n = read(fd, content, sizeof(content) - 1);
	assert_true(n > 1000);
	content[n] = '\0';
	assert_non_null(strstr(content, " line 0\n"));
	log_info("after");
	n = read(fd, content, sizeof(content) - 1);
	assert_true(n > 0);
	content[n] = '\0';
	assert_matches(content, STAMP "WARN 00/00 [0-9]+ log lines lost: ");
	assert_non_null(strstr(content, "INFO 00/00 after\n"));
	close(fd);				/* and goes: no SIGPIPE */
	log_info("still alive");
}

/* A stderr that nobody reads, and one whose reader has gone. */
static void
test_stderr_never_blocks(void **state)
{
	int fd[2], saved;

	(void)state;
	assert_true(log_open("", err, sizeof(err)));
	assert_int_equal(pipe(fd), 0);
	saved = replace_stderr(fd[1]);
	flood();
	close(fd[0]);
	flood();			/* SIGPIPE would end us here */
	close(STDERR_FILENO);
	log_info("nobody there");
	restore_stderr(saved);
	close(fd[1]);
}

static void
test_stderr_is_a_socket(void **state)
{
	int fd[2], saved;
	ssize_t n;

	(void)state;
	assert_true(log_open("", err, sizeof(err)));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	saved = replace_stderr(fd[1]);
	log_info("to the journal");
	flood();
	n = read(fd[0], content, sizeof(content) - 1);
	assert_true(n > 0);
	content[n] = '\0';
	assert_non_null(strstr(content, "to the journal\n"));
	close(fd[0]);
	flood();
	restore_stderr(saved);
	close(fd[1]);
}

/* EFBIG stands for ENOSPC: a line cut in two does not swallow the next. */
static void
test_full_disk(void **state)
{
	struct rlimit old, lim;
	const char *p;
	int i;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	lim = old;
	lim.rlim_cur = 1000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	for (i = 0; i < 100; i++)
		log_info("before %d", i);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(strlen(slurp(file)), 1000);
	log_info("space again");
	p = slurp(file) + 1000;
	assert_int_equal(*p, '\n');
	assert_matches(p + 1, STAMP "WARN 00/00 [0-9]+ log lines lost: .*\n"
	    ".* INFO 00/00 space again\n$");
	assert_int_equal(atoi(strstr(p, "00/00 ") + 6) +
	    (int)count_lines(content) - 3, 100);
}

static void
test_dev_full(void **state)
{
	(void)state;
	assert_true(log_open("/dev/full", err, sizeof(err)));
	flood();
	assert_true(log_open(file, err, sizeof(err)));
	log_info("elsewhere");
	assert_matches(slurp(file),
	    "WARN 00/00 20000 log lines lost: No space left on device\n"
	    ".*elsewhere\n$");
}

static void
test_rate_limit(void **state)
{
	struct log_limit limit = { 0, 0 }, another = { 0, 0 };
	int i;

	(void)state;
	for (i = 0; i < 1000; i++)
		log_limited(&limit, LOG_L_WARN, 1, 2, "bad length %d", i);
	log_limited(&another, LOG_L_WARN, 1, 2, "another cause");
	assert_int_equal(count_lines(slurp(file)), 2);
	assert_non_null(strstr(content, "01/02 bad length 0\n"));
	timer_fake(990);
	log_limited(&limit, LOG_L_WARN, 1, 2, "too soon");
	timer_fake(10);
	log_limited(&limit, LOG_L_WARN, 1, 2, "bad length again");
	assert_non_null(strstr(slurp(file), "01/02 bad length again "
	    "(1000 more like this held back)\n"));
	timer_fake(1000);
	log_limited(&limit, LOG_L_WARN, 1, 2, "the third");
	assert_non_null(strstr(slurp(file), "01/02 the third\n"));
	assert_int_equal(count_lines(content), 4);
	timer_fake(1000);
	log_limited(&limit, LOG_L_CALL, 1, 2, "not at this level");
	log_limited(&limit, LOG_L_WARN, 1, 2, "the fourth");
	assert_non_null(strstr(slurp(file), "01/02 the fourth\n"));
}

static unsigned int taps;
static char tapped[256];

static void
tap(struct log_listener *l, enum log_level level, uint32_t tid, uint32_t sid,
    const char *text)
{
	(void)l;
	taps++;
	snprintf(tapped, sizeof(tapped), "%d %u/%u %s", level, tid, sid, text);
	log_line(level, tid, sid, "the tap heard: %s", text);
}

static struct log_listener tap_listener = { .trusted = true, .line = tap,
    .levels = (2u << LOG_L_CALL) - 1 };

static void
test_tap_has_its_own_level(void **state)
{
	(void)state;
	taps = 0;
	log_set_level(LOG_L_ERROR);
	log_listen(&tap_listener);
	log_line(LOG_L_CALL, 5, 6, "trace\n");
	assert_int_equal(taps, 1);
	assert_string_equal(tapped, "4 5/6 trace\\x0a");
	assert_string_equal(slurp(file), "");
	log_line(LOG_L_DATA, 5, 6, "too deep");
	assert_int_equal(taps, 1);
	log_error("both");		/* what the tap logs, it does not hear */
	assert_int_equal(taps, 2);
	assert_int_equal(count_lines(slurp(file)), 2);
	log_unlisten(&tap_listener);
	log_error("nobody listens");
	assert_int_equal(taps, 2);
}

static struct listener {
	struct log_listener l;
	unsigned int lines;
	bool once;
} ears[2];

static void
hear(struct log_listener *l, enum log_level level, uint32_t tid, uint32_t sid,
    const char *text)
{
	struct listener *e = (struct listener *)l;

	(void)tid;
	(void)sid;
	e->lines++;
	assert_true((l->levels & 1u << level) != 0);
	if (e->once)
		log_unlisten(l);
	log_error("heard: %s", text);	/* by nobody */
}

static void
test_listeners_choose_levels(void **state)
{
	(void)state;
	memset(ears, 0, sizeof(ears));
	log_set_level(LOG_L_CRIT);
	ears[0].l = (struct log_listener){ .line = hear,
	    .levels = 1u << LOG_L_ERROR | 1u << LOG_L_DATA };
	ears[1].l = (struct log_listener){ .line = hear,
	    .levels = 1u << LOG_L_ERROR };
	ears[1].once = true;
	log_listen(&ears[0].l);
	log_listen(&ears[1].l);
	log_listen(&ears[1].l);
	log_error("for both");
	log_error("for the first");
	log_warn("for nobody");
	log_line(LOG_L_DATA, 1, 2, "for the first");
	assert_int_equal(ears[0].lines, 3);
	assert_int_equal(ears[1].lines, 1);
	log_unlisten(&ears[0].l);
	log_unlisten(&ears[0].l);
	log_error("for nobody");
	assert_int_equal(ears[0].lines, 3);
	assert_string_equal(slurp(file), "");
}

/* Written at any level, but not for every listener. */
static void
test_private_lines(void **state)
{
	static struct log_limit limit;

	(void)state;
	memset(ears, 0, sizeof(ears));
	log_set_level(LOG_L_CRIT);
	for (int i = 0; i < 2; i++) {
		ears[i].l = (struct log_listener){ .line = hear,
		    .levels = 1u << LOG_L_WARN, .trusted = i == 1 };
		log_listen(&ears[i].l);
	}
	log_private(7, 12, "alice is intercepted");
	log_limited_private(&limit, LOG_L_WARN, 7, 12, "a copy is lost");
	log_limited_private(&limit, LOG_L_WARN, 7, 12, "held back");
	assert_int_equal(ears[0].lines, 0);
	assert_int_equal(ears[1].lines, 2);
	log_audit(7, 12, "for both");
	assert_int_equal(ears[0].lines, 1);
	log_unlisten(&ears[0].l);
	log_unlisten(&ears[1].l);
	slurp(file);
	assert_int_equal(count_lines(content), 2);
	assert_non_null(strstr(content, "WARN 07/12 alice is intercepted\n"));
}

static void
test_errno_is_kept(void **state)
{
	(void)state;
	assert_true(log_open("/dev/full", err, sizeof(err)));
	errno = ENOTTY;
	log_info("a line that cannot be written");
	assert_int_equal(errno, ENOTTY);
}

static int
syslogd(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", other);
	unlink(other);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static const char *
received(int fd)
{
	ssize_t n = recv(fd, content, sizeof(content) - 1, 0);

	assert_true(n > 0);
	content[n] = '\0';
	return content;
}

static void
test_syslog(void **state)
{
	char want[128];
	int fd = syslogd(), l;

	(void)state;
	log_syslog_path = other;
	log_set_level(LOG_L_DATA);
	assert_true(log_open("syslog:local5", err, sizeof(err)));
	for (l = 0; l < LOG_LEVELS; l++) {
		log_line(l, 7, 12, "hello\n%d", l);
		snprintf(want, sizeof(want), "^<%d>[A-Z][a-z][a-z] [ 1-3]"
		    "[0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} l2tpns\\[%d\\]: "
		    "07/12 hello\\\\x0a%d$", 21 * 8 + l + 2, (int)getpid(), l);
		assert_matches(received(fd), want);
	}
	log_hex(1, 2, "no dumps here", "abc", 3);
	assert_int_equal(recv(fd, content, 10, 0), -1);
	close(fd);			/* syslogd restarts */
	log_info("lost");
	fd = syslogd();
	log_info("back");
	assert_matches(received(fd), "<172>.* 00/00 1 log lines lost: ");
	assert_matches(received(fd), "<173>.* 00/00 back$");
	flood();			/* and is stuck: no wait */
	assert_non_null(strstr(received(fd), "line 0"));
	log_reopen();
	close(fd);
	assert_false(log_open("syslog:daemon", err, sizeof(err)));
	log_syslog_path = "/dev/log";
}

int
main(void)
{
#define T(name)	cmocka_unit_test_setup_teardown(name, fresh, done)
	const struct CMUnitTest tests[] = {
		T(test_line),
		T(test_levels),
		T(test_short_forms),
		T(test_at_any_level),
		T(test_no_forged_lines),
		T(test_escape_every_byte),
		T(test_escape_every_size),
		T(test_long_line),
		T(test_hex_every_length),
		T(test_hex_only_at_level_5),
		T(test_reopen_after_rename),
		T(test_reopen_that_fails_keeps_the_old),
		T(test_appends_and_mode),
		T(test_open_refused),
		T(test_fifo_without_reader),
		T(test_stderr_never_blocks),
		T(test_stderr_is_a_socket),
		T(test_full_disk),
		T(test_dev_full),
		T(test_rate_limit),
		T(test_tap_has_its_own_level),
		T(test_listeners_choose_levels),
		T(test_private_lines),
		T(test_errno_is_kept),
		T(test_syslog),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
