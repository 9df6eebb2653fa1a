/*
 * reload_test.c - the configuration in force: set, shown, written, read again
 *
 * What every key must do is generated from the table of keys.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "cli.h"
#include "bgp.h"
#include "confwrite.h"
#include "ippool.h"
#include "l2tpns.h"
#include "log.h"
#include "plugins.h"
#include "radius.h"
#include "reload.h"
#include "secrets.h"
#include "session.h"
#include "tun.h"
#include "users.h"

struct l2tpns lns;

/* --- what the configuration is told to ------------------------------------ */

static int routes, reconfigured, pool_changed;
static uint8_t pool_net = 10, next_net = 10;	/* what ip_pool says */
static uint32_t editions;
static void (*pool_done)(void);
static char route_log[64];

size_t
ippool_prefixes(size_t i, uint32_t *addr, uint8_t *len)
{
	*addr = (uint32_t)pool_net << 24;
	*len = 8;
	return i == 0;
}

uint32_t ippool_editions(void) { return editions; }

int
ippool_load(const char *path, uint32_t bind, config_fault_fn *fn, void *arg)
{
	(void)bind;
	if (access(path, R_OK) == 0) {
		editions += pool_net != next_net;
		pool_net = next_net;
		return 0;
	}
	fn(path, 0, "cannot be read", arg);
	return -1;
}

int
secrets_load(const char *path, config_fault_fn *fn, void *arg)
{
	(void)path, (void)fn, (void)arg;
	return 0;
}

int
users_load(const char *path, config_fault_fn *fn, void *arg)
{
	(void)path, (void)fn, (void)arg;
	return 0;
}

void secrets_clear(void) { }
void cli_reconfigure(void) { }
void radius_reconfigure(void) { reconfigured++; }

static int bgp_told;

void bgp_reconfigure(void) { bgp_told++; }

void
session_pool_changed(void (*done)(void))
{
	pool_changed++;
	pool_done = done;
}

static void
route(const char *what, uint32_t addr, int n)
{
	size_t len = strlen(route_log);

	routes += n;
	snprintf(route_log + len, sizeof(route_log) - len, "%s%u ", what,
	    addr >> 24);
}

uint32_t tun_default_address(void) { return 0x7f000001; }
void tun_route_add(uint32_t a, uint8_t l) { (void)l, route("+", a, 1); }
void tun_route_del(uint32_t a, uint8_t l) { (void)l, route("-", a, -1); }

static const struct config_plugin *plugin_list;
static size_t plugin_list_n;

void plugins_init(const char *where) { (void)where; }

void
plugins_apply(const struct config_plugin *list, size_t n)
{
	plugin_list = list;
	plugin_list_n = n;
}

const char *
plugin_line(size_t i)
{
	return i < plugin_list_n ? plugin_list[i].name : NULL;
}

bool
plugin_check(const char *name, char *err, size_t errlen)
{
	snprintf(err, errlen, "there is no %s", name);
	return false;
}

/* --- a directory with a configuration in it ------------------------------- */

static char dir[64], file[96], msg[512];

static void
put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static char *
get(const char *path)
{
	static char text[256 * 1024];
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

/* As the process of `write memory` does it. */
static bool
write_memory(void)
{
	int text = config_text();
	bool ok;

	assert_true(text >= 0);
	ok = config_save(text, file, msg, sizeof(msg));
	close(text);
	return ok;
}

/* Starts with this startup-config; what it logs is of no interest. */
static void
begin(const char *text)
{
	static char quiet[256 * 1024];
	struct config_args args = { .file = file };

	snprintf(quiet, sizeof(quiet), "set log_file \"/dev/null\"\n%s", text);
	put("startup-config", quiet);
	put("ip_pool", "10.0.0.0/24\n");
	msg[0] = '\0';
	if (!config_start(&args, msg, sizeof(msg)))
		fail_msg("%s", msg);
	config_started();
}

static int
setup(void **state)
{
	(void)state;
	plugin_list_n = 0;
	strcpy(dir, "/tmp/reload_test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/startup-config", dir);
	begin("");
	routes = reconfigured = pool_changed = 0;
	route_log[0] = '\0';
	return 0;
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* What `show running-config` says of a key. */
static const char *
shown(const char *key)
{
	static char line[CONFIG_LINE];
	char head[64];

	snprintf(head, sizeof(head), "set %s ", key);
	for (size_t i = 0; config_line(i, true, line, sizeof(line)); i++)
		if (strncmp(line, head, strlen(head)) == 0)
			return line + strlen(head);
	fail_msg("%s is not shown", key);
	return NULL;
}

static void
set(const char *key, const char *value)
{
	if (!config_set_live(key, value, msg, sizeof(msg)))
		fail_msg("set %s %s: %s", key, value, msg);
}

static void
refused(const char *key, const char *value)
{
	char before[CONFIG_LINE];

	snprintf(before, sizeof(before), "%s", shown(key));
	msg[0] = '\0';
	if (config_set_live(key, value, msg, sizeof(msg)))
		fail_msg("set %s %s was taken", key, value);
	/* The reason names the key, and nothing changed. */
	assert_non_null(strstr(msg, key));
	assert_string_equal(shown(key), before);
}

static void
write_and_reload(void)
{
	if (!write_memory())
		fail_msg("%s", msg);
	if (!config_reload(msg, sizeof(msg)))
		fail_msg("%s", msg);
}

/* A value that is not the default, as it would be typed. */
static const char *
other_value(const struct config_key *k)
{
	static char text[64];
	bool path = strstr(k->name, "_file") || strstr(k->name, "_dir");
	bool host = strcmp(k->name, "bgp_peer1") == 0 ||
	    strcmp(k->name, "bgp_peer2") == 0;

	switch (k->type) {
	case C_INT:
		snprintf(text, sizeof(text), "%" PRId64, k->max == atoll(
		    k->dflt) ? k->min : k->max);
		return text;
	case C_BOOL:
		return strcmp(k->dflt, "yes") == 0 ? "off" : "TRUE";
	case C_IPV4:
		return "239.1.2.3";
	case C_AUTHTYPES:
		return "pap";
	case C_TRISTATE:
		return "yes";
	case C_STRING:
	case C_SECRET:
		return path ? "/tmp/it's \"there\"" : k->max < 20 || host ? "x1" :
		    "it's \"\\so\" \xc3\xa9";
	}
	return "";
}

/* --- every key ------------------------------------------------------------ */

static void
test_every_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_keys_n; i++) {
		const struct config_key *k = &config_keys[i];
		char want[CONFIG_LINE], in_force[CONFIG_PRINTED];
		struct config c;

		if (strcmp(k->name, "log_file") == 0)
			continue;	/* test_log_file */
		config_defaults(&c);
		assert_true(config_set(&c, k->name, other_value(k), msg,
		    sizeof(msg)));
		config_print(&c, k, true, want, sizeof(want));
		assert_string_not_equal(shown(k->name), want);
		set(k->name, other_value(k));
		assert_string_equal(shown(k->name), want);
		config_print(&lns.config, k, true, in_force, sizeof(in_force));
		if (k->when == RESTART) {
			assert_string_not_equal(in_force, want);
			assert_non_null(strstr(msg, "after a restart"));
		} else
			assert_string_equal(in_force, want);

		if (!write_memory())
			fail_msg("%s", msg);
		begin(get(file));
		assert_string_equal(shown(k->name), want);
		config_print(&lns.config, k, true, in_force, sizeof(in_force));
		assert_string_equal(in_force, want);
		begin("");
	}
}

static void
test_every_key_refuses(void **state)
{
	static const char *const never[] = {
		"nonsense nonsense", "0x10", "+1", " 1", "1.2.3",
		"1.2.3.4.5", "99999999999999999999", "\n", "",
	};
	char text[2 * CONFIG_STRING];

	(void)state;
	refused("debug", "6");
	for (size_t i = 0; i < config_keys_n; i++) {
		const struct config_key *k = &config_keys[i];

		if (k->type == C_STRING || k->type == C_SECRET) {
			memset(text, 'x', sizeof(text));
			text[0] = '/';
			text[k->max + 1] = '\0';
			refused(k->name, text);
			refused(k->name, "/a\nb");
			if (k->type == C_SECRET)
				refused(k->name, "****");
			continue;
		}
		for (size_t j = 0; j < sizeof(never) / sizeof(*never); j++)
			refused(k->name, never[j]);
		if (k->type != C_INT)
			continue;
		snprintf(text, sizeof(text), "%" PRId64, k->min - 1);
		refused(k->name, text);
		snprintf(text, sizeof(text), "%" PRId64, k->max + 1);
		refused(k->name, text);
	}
	assert_false(config_set_live("nonsense", "1", msg, sizeof(msg)));
	assert_non_null(strstr(msg, "nonsense"));
	/* Of another release: refused with the reason. */
	assert_false(config_set_live("ppp_keepalive", "yes", msg,
	    sizeof(msg)));
	assert_non_null(strstr(msg, "echo_timeout"));
}

/*
 * What `set` makes of random configurations is written, and what is written
 * reads back as the same lines.
 */

static uint64_t
rnd(void)
{
	static uint64_t x = UINT64_C(0x9876543210abcdef);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static const char *
random_value(const struct config_key *k)
{
	static const char *const bools[] = { "yes", "No", "true", "0", "on" };
	static const char *const tri[] = { "no", "AUTO", "yes" };
	static const char *const auth[] = { "pap", "chap", "PAP, chap" };
	static const char alphabet[] = "abC \"\"''\\#!=\t\xc3\xa9\xff%s{}|;$`";
	static char text[CONFIG_STRING];
	size_t len, n = 0;

	switch (k->type) {
	case C_INT:
		snprintf(text, sizeof(text), "%" PRId64, k->min +
		    (int64_t)(rnd() % (uint64_t)(k->max - k->min + 1)));
		return text;
	case C_BOOL:
		return bools[rnd() % 5];
	case C_TRISTATE:
		return tri[rnd() % 3];
	case C_AUTHTYPES:
		return auth[rnd() % 3];
	case C_IPV4:
		snprintf(text, sizeof(text), "%u.%u.%u.%u",
		    (unsigned int)(rnd() & 255), (unsigned int)(rnd() & 255),
		    (unsigned int)(rnd() & 255), (unsigned int)(rnd() & 255));
		return text;
	case C_STRING:
	case C_SECRET:
		len = rnd() % (uint64_t)(k->max + 1);
		if (strstr(k->name, "_file") || strstr(k->name, "_dir"))
			text[n++] = '/';
		while (n < len)
			text[n++] = alphabet[rnd() % (sizeof(alphabet) - 1)];
		text[n] = '\0';
		return text;
	}
	return "";
}

static void
all_lines(char *dst, size_t size)
{
	static char line[CONFIG_LINE];
	size_t n = 0;

	for (size_t i = 0; config_line(i, true, line, sizeof(line)); i++)
		n += (size_t)snprintf(dst + n, size - n, "%s\n", line);
	assert_true(n < size);
}

static void
test_random_configurations(void **state)
{
	static char before[256 * 1024], after[256 * 1024];
	struct config was;

	(void)state;
	for (int round = 0; round < 300; round++) {
		for (size_t i = 0; i < config_keys_n; i++)
			if (strcmp(config_keys[i].name, "log_file") != 0)
				(void)config_set_live(config_keys[i].name,
				    random_value(&config_keys[i]), msg,
				    sizeof(msg));
		was = lns.config;
		all_lines(before, sizeof(before));
		if (!write_memory())
			fail_msg("%s", msg);
		assert_string_equal(get(file), before);
		begin(before);
		all_lines(after, sizeof(after));
		assert_string_equal(before, after);
		/* And what is in force is that, but for what waited. */
		for (size_t i = 0; i < config_keys_n; i++) {
			const struct config_key *k = &config_keys[i];
			char a[CONFIG_PRINTED], b[CONFIG_PRINTED];

			if (k->when != RESTART)
				assert_string_equal(config_print(&was, k, true,
				    a, sizeof(a)), config_print(&lns.config, k,
				    true, b, sizeof(b)));
		}
	}
}

/* --- reload ----------------------------------------------------------------- */

static void
test_reload(void **state)
{
	(void)state;
	config_start_files();
	assert_int_equal(routes, 1);
	set("icmp_rate", "7");
	put("startup-config", "set debug 3\nset bind_address 192.0.2.1\n");
	assert_true(config_reload(msg, sizeof(msg)));
	assert_string_equal(msg, "");
	assert_int_equal(lns.config.debug, 3);
	assert_int_equal(log_get_level(), 3);
	/* The file is the whole truth: what was only set is gone. */
	assert_int_equal(lns.config.icmp_rate, 0);
	/* At start only: wanted, not in force. */
	assert_int_equal(lns.config.bind_address, 0);
	assert_string_equal(shown("bind_address"), "192.0.2.1");
	assert_string_equal(route_log, "+10 ");
	assert_int_equal(pool_changed, 0);
	assert_true(reconfigured > 0);
	/* What waits for a restart is still waiting after another reload. */
	write_and_reload();
	assert_string_equal(shown("bind_address"), "192.0.2.1");
	assert_int_equal(lns.config.bind_address, 0);
}

/* The old pool's routes stay until all sessions have found their own. */
static void
test_reload_of_another_pool(void **state)
{
	(void)state;
	put("ip_pool", "");
	config_start_files();
	route_log[0] = '\0';
	next_net = 11;
	assert_true(config_reload(msg, sizeof(msg)));
	assert_string_equal(route_log, "+11 ");
	assert_int_equal(pool_changed, 1);
	/* Once more before that: both wait. */
	next_net = 12;
	assert_true(config_reload(msg, sizeof(msg)));
	assert_true(config_reload(msg, sizeof(msg)));
	assert_int_equal(pool_changed, 2);
	pool_done();
	assert_string_equal(route_log, "+11 +12 -10 -11 ");
	assert_int_equal(routes, 1);
	next_net = pool_net = 10;
}

static void
test_reload_of_a_broken_file(void **state)
{
	static const char *const broken[] = {
		"set debug 4\nset debug 9\n",
		"set debug 4\nset nonsense 1\n",
		"set debug 4\nset hostname \"open\n",
		"set debug 4\nset l2tp_require_secret yes\n",
		"set debug 4\nset primary_radius 192.0.2.1\n",
	};
	struct config before;

	(void)state;
	set("debug", "2");
	before = lns.config;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		put("startup-config", broken[i]);
		msg[0] = '\0';
		assert_false(config_reload(msg, sizeof(msg)));
		assert_non_null(strstr(msg, "startup-config:2: "));
		assert_non_null(strstr(msg, "stays in force"));
		assert_memory_equal(&before, &lns.config, sizeof(before));
		assert_string_equal(shown("debug"), "2");
	}
	assert_int_equal(unlink(file), 0);
	assert_false(config_reload(msg, sizeof(msg)));
	assert_memory_equal(&before, &lns.config, sizeof(before));
	assert_int_equal(pool_changed, 0);
	/* Written, it is whole again. */
	write_and_reload();
	assert_int_equal(lns.config.debug, 2);
}

static void
test_faults_beside_it(void **state)
{
	char pool[128];

	(void)state;
	snprintf(pool, sizeof(pool), "%s/ip_pool", dir);
	assert_int_equal(unlink(pool), 0);
	assert_true(config_reload(msg, sizeof(msg)));
	assert_non_null(strstr(msg, "ip_pool"));
}

/* --- set -------------------------------------------------------------------- */

/* Order does not matter in what is pasted; what does not fit yet is said. */
static void
test_relations_are_remarks(void **state)
{
	(void)state;
	set("primary_radius", "192.0.2.1");
	assert_non_null(strstr(msg, "radius_secret"));
	set("primary_radius_port", "1645");
	assert_string_equal(msg, "");
	set("radius_secret", "x");
	assert_string_equal(msg, "");
	set("bind_address", "192.0.2.1");
	assert_non_null(strstr(msg, "after a restart"));
	/* Back to what is in force: nothing waits any more. */
	set("bind_address", "0.0.0.0");
	assert_string_equal(msg, "");
}

static void
test_log_file(void **state)
{
	char path[128], bad[160];

	(void)state;
	snprintf(path, sizeof(path), "%s/log", dir);
	set("log_file", path);
	log_set_level(LOG_L_WARN);
	log_warn("hello");
	assert_non_null(strstr(get(path), "hello"));
	snprintf(bad, sizeof(bad), "%s/none/log", dir);
	refused("log_file", bad);
	refused("log_file", "log");
	refused("log_file", "syslog:nonsense");
	log_warn("still here");
	assert_non_null(strstr(get(path), "still here"));
	write_and_reload();
	assert_string_equal(lns.config.log_file, path);
}

static void
test_hostname_and_debug(void **state)
{
	struct config_args args = { .file = file, .verbose = 2 };

	(void)state;
	set("hostname", "lns7");
	assert_string_equal(lns.hostname, "lns7");
	set("hostname", "");
	assert_string_not_equal(lns.hostname, "lns7");
	put("startup-config", "set debug 2\nset log_file \"/dev/null\"\n");
	assert_true(config_start(&args, msg, sizeof(msg)));
	assert_int_equal(log_get_level(), 4);
	/* -v is not a part of the configuration. */
	assert_string_equal(shown("debug"), "2");
	set("debug", "5");
	assert_int_equal(log_get_level(), 5);
	/* What is said at the start is said at any debug. */
	args.hostname = "given";
	args.verbose = 0;
	put("startup-config", "set debug 0\nset log_file \"/dev/null\"\n");
	assert_true(config_start(&args, msg, sizeof(msg)));
	assert_int_equal(log_get_level(), LOG_L_WARN);
	config_started();
	assert_int_equal(log_get_level(), 0);
	assert_true(config_start(&args, msg, sizeof(msg)));
	set("hostname", "lns7");
	assert_string_equal(lns.hostname, "given");
}

/* --- show ------------------------------------------------------------------- */

static void
test_lines(void **state)
{
	char line[CONFIG_LINE];
	size_t n = 0;

	(void)state;
	set("l2tp_secret", "topsecret");
	assert_true(config_line(0, false, line, sizeof(line)));
	assert_string_equal(line, "# Current configuration:");
	while (config_line(n, false, line, sizeof(line))) {
		assert_null(strstr(line, "topsecret"));
		n++;
	}
	assert_int_equal(n, config_keys_n + 3);
	assert_true(config_line(1 + config_keys_n, false, line, sizeof(line)));
	assert_string_equal(line, "# Plugins");
	assert_true(config_line(n - 1, false, line, sizeof(line)));
	assert_string_equal(line, "# end");
	assert_false(config_line(n, false, line, sizeof(line)));
	assert_false(config_line(SIZE_MAX, false, line, sizeof(line)));
	assert_string_equal(shown("l2tp_secret"), "\"topsecret\"");
	/* A buffer that is too short cuts, and no more. */
	memset(line, 'Z', sizeof(line));
	assert_true(config_line(1, true, line, 6));
	assert_string_equal(line, "set d");
	assert_int_equal(line[6], 'Z');
}

static void
test_plugins_are_kept(void **state)
{
	(void)state;
	begin("load plugin \"garden\"\nload plugin autosnoop\n");
	config_start_files();
	assert_true(write_memory());
	assert_non_null(strstr(get(file), "# Plugins\n"
	    "load plugin \"garden\"\nload plugin \"autosnoop\"\n# end\n"));
	/* A reload that fails does not lose them. */
	put("startup-config", "set debug 9\n");
	assert_false(config_reload(msg, sizeof(msg)));
	assert_true(write_memory());
	assert_non_null(strstr(get(file), "load plugin \"garden\"\n"));
	put("startup-config", "load plugin autosnoop\n");
	assert_true(config_reload(msg, sizeof(msg)));
	assert_int_equal(plugin_list_n, 1);
	assert_string_equal(plugin_list[0].name, "autosnoop");
}

/* --- write ------------------------------------------------------------------ */

static void
test_write_keeps_mode_and_owner(void **state)
{
	struct stat before, after;

	(void)state;
	assert_int_equal(chmod(file, 0640), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(file, 12, 34), 0);
	assert_int_equal(stat(file, &before), 0);
	set("debug", "1");
	assert_true(write_memory());
	assert_int_equal(stat(file, &after), 0);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_uid, before.st_uid);
	assert_int_equal(after.st_gid, before.st_gid);
	/* Another file, not the old one written over. */
	assert_int_not_equal(after.st_ino, before.st_ino);
	/* Where there was none, nobody else may read it. */
	assert_int_equal(unlink(file), 0);
	assert_true(write_memory());
	assert_int_equal(stat(file, &after), 0);
	assert_int_equal(after.st_mode & 07777, 0600);
}

static void
test_write_through_a_link(void **state)
{
	char real[128], path[160];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/elsewhere", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(real, sizeof(real), "%s/elsewhere/config", dir);
	assert_int_equal(rename(file, real), 0);
	assert_int_equal(symlink("elsewhere/config", file), 0);
	set("debug", "4");
	assert_true(write_memory());
	assert_int_equal(lstat(file, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_non_null(strstr(get(real), "set debug 4\n"));
	/* Links that lead nowhere, or to what is no file. */
	assert_int_equal(unlink(real), 0);
	assert_false(write_memory());
	assert_non_null(strstr(msg, file));
	assert_int_equal(unlink(file), 0);
	assert_int_equal(symlink("/dev/null", file), 0);
	assert_false(write_memory());
	assert_non_null(strstr(msg, "not a regular file"));
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

/* What a stranger put in the place of the new file is not written through. */
static void
test_write_beside_a_trap(void **state)
{
	char trap[160], victim[160];

	(void)state;
	put("victim", "precious");
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	snprintf(trap, sizeof(trap), "%s.new", file);
	assert_int_equal(symlink(victim, trap), 0);
	assert_true(write_memory());
	assert_string_equal(get(victim), "precious");
	assert_int_equal(access(trap, F_OK), -1);
	assert_int_equal(mkdir(trap, 0700), 0);
	assert_false(write_memory());
	assert_int_equal(rmdir(trap), 0);
}

/* A disk that is full after so many octets, as a limit of the process. */
static void
test_write_to_a_full_disk(void **state)
{
	struct rlimit limit, small;
	static char before[256 * 1024];
	struct stat st;
	char trap[160];
	int text;

	(void)state;
	set("debug", "1");
	assert_true(write_memory());
	strcpy(before, get(file));
	set("debug", "2");
	text = config_text();
	assert_true(text >= 0);
	snprintf(trap, sizeof(trap), "%s.new", file);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	signal(SIGXFSZ, SIG_IGN);
	for (rlim_t n = 0; n < strlen(before); n += 250) {
		small = limit;
		small.rlim_cur = n;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		msg[0] = '\0';
		assert_false(config_save(text, file, msg, sizeof(msg)));
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		assert_non_null(strstr(msg, "old file is as it was"));
		assert_string_equal(get(file), before);
		assert_int_equal(stat(trap, &st), -1);
	}
	close(text);
	assert_true(write_memory());
	assert_non_null(strstr(get(file), "set debug 2\n"));
}

/* The same by another user, as after setuid; what it says. */
static const char *
write_as_nobody(void)
{
	int status = -1;
	pid_t pid;

	log_open("", NULL, 0);
	pid = fork();
	if (pid == 0) {
		bool ok = setegid(65534) == 0 && seteuid(65534) == 0 &&
		    write_memory();

		_exit(ok ? 0 : strstr(msg, "cannot make such a file") ? 1 :
		    strstr(msg, "Permission denied") ? 2 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return status == 0 ? "written" : WEXITSTATUS(status) == 1 ? "owner" :
	    WEXITSTATUS(status) == 2 ? "denied" : "?";
}

static void
test_write_as_another_user(void **state)
{
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_string_equal(write_as_nobody(), "denied");
	assert_int_equal(chmod(dir, 0777), 0);
	/* root's file would be in a stranger's hands. */
	assert_string_equal(write_as_nobody(), "owner");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(chown(file, 65534, 65534), 0);
	assert_string_equal(write_as_nobody(), "written");
	/* A group that cannot be kept matters only where it has rights. */
	assert_int_equal(chown(file, 65534, 0), 0);
	assert_int_equal(chmod(file, 0640), 0);
	assert_string_equal(write_as_nobody(), "owner");
	assert_int_equal(chmod(file, 0604), 0);
	assert_string_equal(write_as_nobody(), "written");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
}

/* --- configurations of other releases ------------------------------------- */

/* Every key of l2tpns 2.4.1, and some before it, with a value it may have. */
static const char *const release_2_4[] = {
	"accounting_dir \"/var/run/l2tpns/acct\"", "account_all_origin yes",
	"allow_duplicate_users no", "as_number 0",
	"auth_tunnel_change_addr_src no", "bgp_peer1 \"\"", "bgp_peer1_as 0",
	"bgp_peer2 \"\"", "bgp_peer2_as 0", "bind_address 1.1.1.1",
	"bind_address_remotelns 0.0.0.0", "bind_multi_address \"\"",
	"bind_portremotelns 65432", "cleanup_interval 10",
	"cli_bind_address 127.0.0.1", "cluster_address 239.192.13.13",
	"cluster_hb_interval 5", "cluster_hb_timeout 150",
	"cluster_interface eth0", "cluster_master_min_adv 1",
	"cluster_mcast_ttl 1", "cluster_port 32792", "debug 3",
	"default_ipv6_domain_list \"\"", "dhcp6_preferred_lifetime 100",
	"dhcp6_server_duid 1", "dhcp6_valid_lifetime 100",
	"disable_lac_func no", "disable_no_spoof no",
	"disable_sending_hello no", "dns6_lifetime 100", "dump_speed no",
	"echo_timeout 10", "guest_account \"\"", "hostname \"lns\"",
	"icmp_rate 0", "idle_echo_timeout 240", "iftun_address 10.0.0.1",
	"ipv6_prefix 2001:db8::", "kill_timedout_sessions yes",
	"l2tp_mtu 1500", "l2tp_secret \"secret\"", "lock_pages no",
	"log_file \"/dev/null\"", "multi_hostname \"\"", "multi_read_count 10",
	"nexthop 10.0.0.1", "nexthop6 2001:db8::1",
	"nexthop6_address 2001:db8::1", "nexthop_address 10.0.0.1",
	"no_throttle_local_IP no", "packet_limit 0", "peer_address 0.0.0.0",
	"pid_file \"/var/run/l2tpns.pid\"", "ppp_keepalive yes",
	"ppp_max_configure 10", "ppp_max_failure 5", "ppp_restart_time 3",
	"pppoe_ac_name \"l2tpns-pppoe\"", "pppoe_if_to_bind \"eth0\"",
	"pppoe_only_equal_svc_name no", "pppoe_service_name \"\"",
	"primary_dns 10.0.0.1", "primary_ipv6_dns 2001:db8::1",
	"primary_radius 10.0.0.3", "primary_radius_port 1812",
	"radius_accounting no", "radius_authtypes \"pap\"",
	"radius_bind_max 0", "radius_bind_min 0", "radius_dae_port 3799",
	"radius_interim 0", "radius_secret \"secret\"",
	"random_device \"/dev/urandom\"", "save_state no",
	"scheduler_fifo no", "secondary_dns 10.0.0.2",
	"secondary_ipv6_dns 2001:db8::2", "secondary_radius 0.0.0.0",
	"secondary_radius_port 1812", "send_garp no", "setuid 0",
	"snoop_host 0.0.0.0", "snoop_port 0", "throttle_buckets 3000",
	"throttle_speed 0", "tundevicename \"tun0\"",
};

static void
test_keys_of_2_4(void **state)
{
	char text[8192] = "", log[128];

	(void)state;
	snprintf(log, sizeof(log), "%s/log", dir);
	for (size_t i = 0; i < sizeof(release_2_4) / sizeof(*release_2_4);
	    i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "set %s\n", release_2_4[i]);
	/* No fault: a reload takes nothing with a fault in it. */
	set("log_file", log);
	log_set_level(LOG_L_INFO);
	put("startup-config", text);
	if (!config_reload(msg, sizeof(msg)))
		fail_msg("%s", msg);
	assert_null(strstr(get(log), "unknown"));
	assert_non_null(strstr(get(log), "throttle_buckets does nothing"));
	assert_int_equal(lns.config.primary_radius, 0x0a000003);
}

/* --- router bgp ----------------------------------------------------------- */

static bool
router(const char *line)
{
	char copy[128], *words[8];
	const char *reason;
	int n;

	snprintf(copy, sizeof(copy), "%s", line);
	n = config_words(copy, words, 8, &reason);
	return config_router_live(n, words, msg, sizeof(msg));
}

/* Live, in what `write memory` writes, and gone when the file says so. */
static void
test_router_bgp(void **state)
{
	char as_read[512];

	(void)state;
	begin("set debug 0\n");
	bgp_told = 0;
	assert_true(router("router bgp 64512"));
	assert_true(router("neighbour 192.0.2.1 remote-as 65001"));
	assert_true(router("neighbour 192.0.2.1 timers 10 30"));
	assert_string_equal(msg, "");
	assert_int_equal(bgp_told, 3);
	assert_int_equal(lns.config.as_number, 64512);
	assert_int_equal(lns.config.neighbours_n, 1);
	assert_int_equal(lns.config.neighbours[0].hold, 30);
	assert_false(router("neighbour 192.0.2.1 timers 10 2"));
	assert_non_null(strstr(msg, "hold time of 2"));
	assert_int_equal(bgp_told, 3);
	assert_int_equal(lns.config.neighbours[0].hold, 30);
	/* What it does not fit is said. */
	assert_true(router("no router bgp"));
	assert_true(router("router bgp 64512"));
	assert_true(router("neighbour 192.0.2.1 remote-as 65001"));
	assert_true(config_set_live("as_number", "0", msg, sizeof(msg)));
	assert_string_equal(msg, "neighbours need as_number");
	assert_true(config_set_live("as_number", "64512", msg, sizeof(msg)));

	assert_true(write_memory());
	snprintf(as_read, sizeof(as_read), "%s", "\nrouter bgp 64512\n"
	    "neighbour 192.0.2.1 remote-as 65001\nexit\n# Plugins\n");
	assert_non_null(strstr(get(file), as_read));
	bgp_told = 0;
	assert_true(config_reload(msg, sizeof(msg)));
	assert_int_equal(bgp_told, 1);
	assert_int_equal(lns.config.neighbours_n, 1);
	put("startup-config", "set debug 0\n");
	assert_true(config_reload(msg, sizeof(msg)));
	assert_int_equal(lns.config.neighbours_n, 0);
	assert_int_equal(lns.config.as_number, 0);
	/* Of a file with a fault nothing is taken. */
	put("startup-config", "router bgp 1\nneighbour a remote-as 0\n");
	assert_false(config_reload(msg, sizeof(msg)));
	assert_non_null(strstr(msg, ":2: remote-as: 0 is not in 1.."));
	assert_int_equal(lns.config.as_number, 0);
}

/* What Debian's package installs, where that is installed. */
static void
test_file_of_debian(void **state)
{
	static const char *const places[] = {
		"/etc/l2tpns/startup-config",
		"/usr/share/l2tpns/startup-config",
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char log[128];

		if (access(places[i], R_OK) != 0 ||
		    strstr(get(places[i]), "throttle_buckets") == NULL)
			continue;
		snprintf(log, sizeof(log), "%s/log", dir);
		set("log_file", log);
		put("startup-config", get(places[i]));
		if (!config_reload(msg, sizeof(msg)))
			fail_msg("%s", msg);
		assert_null(strstr(get(log), "unknown"));
		return;
	}
	skip();
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_key),
		TEST(test_every_key_refuses),
		TEST(test_random_configurations),
		TEST(test_reload),
		TEST(test_reload_of_another_pool),
		TEST(test_reload_of_a_broken_file),
		TEST(test_faults_beside_it),
		TEST(test_relations_are_remarks),
		TEST(test_log_file),
		TEST(test_hostname_and_debug),
		TEST(test_lines),
		TEST(test_plugins_are_kept),
		TEST(test_write_keeps_mode_and_owner),
		TEST(test_write_through_a_link),
		TEST(test_write_beside_a_trap),
		TEST(test_write_to_a_full_disk),
		TEST(test_write_as_another_user),
		TEST(test_router_bgp),
		TEST(test_keys_of_2_4),
		TEST(test_file_of_debian),
	};

	timers_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
