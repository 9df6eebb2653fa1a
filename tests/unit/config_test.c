/*
 * config_test.c - every row of the key table, and files that are not as they
 * should be
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

/* Faults as they come, for the test to look at. */
static struct {
	int n;
	unsigned int line[64];
	char text[64][256];
} heard;

static void
hear(const char *file, unsigned int line, const char *reason, void *arg)
{
	assert_non_null(file);
	assert_ptr_equal(arg, &heard);
	assert_null(strchr(reason, '\n'));
	assert_true(heard.n < 64);
	heard.line[heard.n] = line;
	snprintf(heard.text[heard.n++], sizeof(heard.text[0]), "%s", reason);
}

static struct config c;
static struct config_plugin plugins[CONFIG_PLUGINS];
static size_t nplugins;

static int
fresh(void **state)
{
	(void)state;
	memset(&heard, 0, sizeof(heard));
	config_defaults(&c);
	nplugins = 99;
	return 0;
}

/* Parses a text of n bytes; the number of faults. */
static int
parse_n(const char *text, size_t n)
{
	char *copy = malloc(n + 1);
	int faults;

	assert_non_null(copy);
	memcpy(copy, text, n);
	copy[n] = '\0';
	faults = config_parse(&c, "test", copy, n, plugins, &nplugins, hear,
	    &heard);
	free(copy);
	return faults;
}

static int
parse(const char *text)
{
	return parse_n(text, strlen(text));
}

/* config_set() of a value that must be refused, with a reason. */
static void
refused(const char *key, const char *value)
{
	struct config before = c;
	char err[128] = "";

	if (config_set(&c, key, value, err, sizeof(err)))
		fail_msg("%s took \"%s\"", key, value);
	assert_true(strlen(err) > 0);
	assert_memory_equal(&before, &c, sizeof(c));
}

/* config_set() of a value that must be taken, and how it prints. */
static void
taken(const char *key, const char *value, const char *printed)
{
	char err[128] = "", out[CONFIG_PRINTED];
	const struct config_key *row = config_find(key);

	assert_non_null(row);
	if (!config_set(&c, key, value, err, sizeof(err)))
		fail_msg("%s refused \"%s\": %s", key, value, err);
	assert_string_equal(config_print(&c, row, true, out, sizeof(out)),
	    printed);
}

static size_t
type_size(enum config_type type)
{
	switch (type) {
	case C_INT: case C_TRISTATE:
		return sizeof(int64_t);
	case C_BOOL:
		return sizeof(bool);
	case C_IPV4:
		return sizeof(uint32_t);
	case C_STRING: case C_SECRET: case C_AUTHTYPES:
		return CONFIG_STRING;
	}
	fail();
	return 0;
}

/*
 * Every field but what is no key has a row and only one: what is not covered
 * is padding.
 */
static void
test_rows_cover_struct(void **state)
{
	unsigned char seen[sizeof(struct config)] = { 0 };
	size_t gap = 0;

	(void)state;
	for (size_t i = 0; i < config_keys_n; i++)
		for (size_t n = 0; n < type_size(config_keys[i].type); n++)
			assert_int_equal(seen[config_keys[i].off + n]++, 0);
	for (size_t n = 0; n < offsetof(struct config, neighbours); n++) {
		gap = seen[n] ? 0 : gap + 1;
		assert_true(gap < sizeof(int64_t));
	}
}

static void
test_rows_are_whole(void **state)
{
	char err[128];

	(void)state;
	for (size_t i = 0; i < config_keys_n; i++) {
		const struct config_key *k = &config_keys[i];
		struct config d = c;

		assert_ptr_equal(config_find(k->name), k);
		assert_int_equal(k->size, type_size(k->type));
		assert_true(strlen(k->help) > 0);
		if (!config_set(&d, k->name, k->dflt, err, sizeof(err)))
			fail_msg("default of %s: %s", k->name, err);
		/* The default is what config_defaults() filled in. */
		assert_memory_equal(&d, &c, sizeof(c));
		if (k->type == C_INT)
			assert_true(k->min < k->max);
		for (size_t j = 0; j < config_legacy_n; j++)
			assert_string_not_equal(k->name,
			    config_legacy[j].name);
	}
	assert_null(config_find("nonsense"));
	assert_null(config_find(""));
}

/* The figures that operators rely on. */
static void
test_defaults(void **state)
{
	static const struct { const char *key, *value; } want[] = {
		{ "debug", "0" }, { "send_garp", "yes" },
		{ "save_state", "no" }, { "cleanup_interval", "10" },
		{ "multi_read_count", "10" }, { "icmp_rate", "0" },
		{ "cluster_address", "239.192.13.13" },
		{ "cluster_interface", "\"eth0\"" },
		{ "cluster_hb_interval", "5" },
		{ "cluster_hb_timeout", "150" }, { "l2tp_mtu", "1500" },
		{ "tundevicename", "\"tun0\"" },
		{ "primary_radius_port", "1812" },
		{ "secondary_radius_port", "1812" },
		{ "radius_authtypes", "chap,pap" },
		{ "echo_timeout", "10" }, { "idle_echo_timeout", "240" },
		{ "ppp_restart_time", "3" }, { "ppp_max_configure", "10" },
		{ "ppp_max_failure", "5" }, { "packet_limit", "0" },
		{ "l2tp_window", "64" }, { "l2tp_sccrq_rate", "200" },
		{ "l2tp_hello_interval", "60" }, { "l2tp_retries", "5" },
		{ "max_sessions", "65535" }, { "max_tunnels", "65535" },
		{ "max_starting", "30000" }, { "l2tp_icrq_rate", "10000" },
		{ "radius_require_message_authenticator", "auto" },
		{ "radius_max_outstanding", "16384" },
		{ "radius_accounting_queue", "65536" },
		{ "socket_buffer", "8388608" }, { "offload", "yes" },
		{ "bind_address", "0.0.0.0" }, { "pid_file", "\"\"" },
	};
	char out[CONFIG_PRINTED];

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_string_equal(config_print(&c,
		    config_find(want[i].key), true, out, sizeof(out)),
		    want[i].value);
	assert_int_equal(config_check(&c, "file", hear, &heard), 0);
	assert_int_equal(heard.n, 0);
}

/* Every row at and past both ends of its range, and with rubbish. */
static void
test_every_row_refuses(void **state)
{
	static const char *const never[] = {
		"1 2", "0x10", "+1", " 1", "1 ", "1.", "--1", "-", "yess",
		"1.2.3", "1.2.3.4.5", "99999999999999999999", "tru", "y",
	};

	(void)state;
	for (size_t i = 0; i < config_keys_n; i++) {
		const struct config_key *k = &config_keys[i];
		char text[32];

		if (k->type == C_STRING || k->type == C_SECRET)
			continue;
		for (size_t j = 0; j < sizeof(never) / sizeof(*never); j++)
			refused(k->name, never[j]);
		refused(k->name, "");
		refused(k->name, "\n");
		if (k->type != C_INT)
			continue;
		snprintf(text, sizeof(text), "%" PRId64, k->min);
		taken(k->name, text, text);
		snprintf(text, sizeof(text), "%" PRId64, k->max);
		taken(k->name, text, text);
		snprintf(text, sizeof(text), "%" PRId64, k->min - 1);
		refused(k->name, text);
		snprintf(text, sizeof(text), "%" PRId64, k->max + 1);
		refused(k->name, text);
		snprintf(text, sizeof(text), "%" PRId64 "x", k->max);
		refused(k->name, text);
	}
}

static void
test_values(void **state)
{
	static const char *const yes[] = { "yes", "true", "on", "1", "YES" };
	static const char *const no[] = { "no", "false", "off", "0", "False" };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		taken("save_state", yes[i], "yes");
		taken("save_state", no[i], "no");
		taken("radius_require_message_authenticator", yes[i], "yes");
		taken("radius_require_message_authenticator", no[i], "no");
	}
	taken("radius_require_message_authenticator", "Auto", "auto");
	taken("primary_dns", "255.255.255.255", "255.255.255.255");
	assert_int_equal(c.primary_dns, UINT32_MAX);
	taken("primary_dns", "192.0.2.1", "192.0.2.1");
	assert_int_equal(c.primary_dns, 0xc0000201);
	refused("primary_dns", "192.0.2.010");
	refused("primary_dns", "192.0.2.256");
	refused("primary_dns", "ns.example");
	taken("radius_authtypes", "PAP", "pap");
	taken("radius_authtypes", "pap, chap", "pap,chap");
	taken("radius_authtypes", " chap pap,", "chap,pap");
	refused("radius_authtypes", "chap,chap");
	refused("radius_authtypes", "chap,eap");
	refused("radius_authtypes", ", ,");
	taken("debug", "05", "5");
	refused("nonsense", "1");
}

static void
test_strings(void **state)
{
	char long_value[CONFIG_STRING + 1];
	char want[CONFIG_PRINTED];

	(void)state;
	taken("hostname", "", "\"\"");
	taken("hostname", "a b", "\"a b\"");
	taken("hostname", "say \"x\"", "\"say \"'\"x\"'");
	taken("hostname", "'", "\"'\"");
	taken("hostname", "\"", "'\"'");
	taken("hostname", "back\\slash", "\"back\\slash\"");
	taken("hostname", "#!", "\"#!\"");
	taken("hostname", "\xc3\xa9", "\"\xc3\xa9\"");
	refused("hostname", "two\nlines");
	refused("hostname", "tab\t");
	refused("hostname", "\x7f");
	memset(long_value, 'x', sizeof(long_value));
	long_value[CONFIG_STRING - 1] = '\0';
	snprintf(want, sizeof(want), "\"%s\"", long_value);
	taken("hostname", long_value, want);
	long_value[CONFIG_STRING - 1] = 'x';
	long_value[CONFIG_STRING] = '\0';
	refused("hostname", long_value);
	taken("tundevicename", "123456789012345", "\"123456789012345\"");
	refused("tundevicename", "1234567890123456");
}

static void
test_secrets_are_masked(void **state)
{
	const struct config_key *k = config_find("radius_secret");
	char out[CONFIG_PRINTED];

	(void)state;
	assert_string_equal(config_print(&c, k, false, out, sizeof(out)),
	    "\"\"");
	taken("radius_secret", "sesame", "\"sesame\"");
	assert_string_equal(config_print(&c, k, false, out, sizeof(out)),
	    "\"****\"");
	/* A masked print that is pasted back must not become the secret. */
	refused("radius_secret", "****");
	assert_string_equal(c.radius_secret, "sesame");
	assert_int_equal(config_find("l2tp_secret")->type, C_SECRET);
}

/* However small the room, the text ends inside it. */
static void
test_print_is_bounded(void **state)
{
	char out[CONFIG_PRINTED + 1];

	(void)state;
	for (size_t i = 0; i < CONFIG_STRING - 1; i++)
		c.hostname[i] = i % 2 ? '"' : '\'';
	for (size_t k = 0; k < config_keys_n; k++)
		for (size_t size = 0; size <= CONFIG_PRINTED; size += 3) {
			memset(out, 'Z', sizeof(out));
			config_print(&c, &config_keys[k], true, out, size);
			assert_int_equal(out[size], 'Z');
			if (size > 0)
				assert_true(strlen(out) < size);
		}
	/* The longest value of all fits. */
	config_print(&c, config_find("hostname"), true, out, CONFIG_PRINTED);
	assert_int_equal(strlen(out), 3 * (CONFIG_STRING - 1));
}

static void
test_file(void **state)
{
	(void)state;
	assert_int_equal(parse(
	    "# comment\n"
	    "! comment\n"
	    "\n"
	    "   \t \n"
	    "set debug 3\n"
	    "  set\tprimary_dns   192.0.2.53  \r\n"
	    "set hostname \"lns one\"\n"
	    "set l2tp_secret 'a\"b'\n"
	    "load plugin \"garden\"\n"
	    "load plugin autosnoop\n"
	    "set radius_secret it's"), 0);
	assert_int_equal(heard.n, 0);
	assert_int_equal(c.debug, 3);
	assert_int_equal(c.primary_dns, 0xc0000235);
	assert_string_equal(c.hostname, "lns one");
	assert_string_equal(c.l2tp_secret, "a\"b");
	assert_string_equal(c.radius_secret, "it's");
	assert_int_equal(nplugins, 2);
	assert_string_equal(plugins[0].name, "garden");
	assert_string_equal(plugins[1].name, "autosnoop");
}

static void
test_byte_order_mark(void **state)
{
	(void)state;
	assert_int_equal(parse("\xef\xbb\xbfset debug 3\n"), 0);
	assert_int_equal(heard.n, 0);
	assert_int_equal(c.debug, 3);
	assert_int_equal(parse("\xef\xbb\xbf"), 0);
	assert_int_equal(parse("set debug 4\n\xef\xbb\xbfset debug 3\n"), 1);
	assert_int_equal(c.debug, 4);
}

static void
test_bad_lines_cost_themselves(void **state)
{
	(void)state;
	assert_int_equal(parse(
	    "set debug 9\n"
	    "set debug\n"
	    "set\n"
	    "set debug 1 2\n"
	    "set hostname \"open\n"
	    "set hostname \"a\"b\n"
	    "router ospf 64512\n"
	    "load plugin ../evil\n"
	    "load plugin a.b\n"
	    "load\n"
	    "load module garden\n"
	    "load plugin \"\"\n"
	    "\"\"\n"
	    "set nonsense 1\n"
	    "set debug 2\n"), 14);
	assert_int_equal(heard.n, 14);
	for (int i = 0; i < 14; i++)
		assert_int_equal(heard.line[i], i + 1);
	assert_int_equal(c.debug, 2);
	assert_string_equal(c.hostname, "");
	assert_int_equal(nplugins, 0);
}

/* What another release had is said once a line, and is no fault. */
static void
test_legacy_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_legacy_n; i++) {
		char line[128];

		fresh(NULL);
		snprintf(line, sizeof(line), "set %s \"what ever\"\n",
		    config_legacy[i].name);
		assert_int_equal(parse(line), 0);
		assert_int_equal(heard.n, 1);
		assert_int_equal(strncmp(heard.text[0], CONFIG_WARNING,
		    strlen(CONFIG_WARNING)), 0);
		assert_non_null(strstr(heard.text[0], config_legacy[i].name));
		assert_non_null(strstr(heard.text[0], config_legacy[i].why));
		refused(config_legacy[i].name, "1");
	}
}

/* A block of another release is said once, and what it has is no fault. */
static void
test_legacy_blocks(void **state)
{
	(void)state;
	fresh(NULL);
	assert_int_equal(parse(
	    "ip access-list extended web\n"
	    " permit tcp any any eq 80\n"
	    " deny ip any any\n"
	    "setforward 10.0.0.0 10.0.0.2 1701 secret\n"
	    "set debug 4\n"), 0);
	assert_int_equal(heard.n, 2);
	assert_int_equal(heard.line[0], 1);
	assert_int_equal(heard.line[1], 4);
	assert_non_null(strstr(heard.text[0], "ip access-list does nothing"));
	assert_non_null(strstr(heard.text[1], "setforward does nothing"));
	assert_int_equal(c.debug, 4);

	/* Their lines are none of their own, nor behind another command. */
	fresh(NULL);
	assert_int_equal(parse(
	    "permit ip any any\n"
	    "ip access-list extended web\n"
	    "set debug 3\n"
	    "permit ip any any\n"
	    "ip route\n"
	    "router\n"), 4);
	assert_int_equal(c.debug, 3);
}

static const char *
router_lines(bool secrets)
{
	static char text[8192];
	char line[CONFIG_LINE];

	text[0] = '\0';
	for (size_t i = 0; config_router_line(&c, i, secrets, line,
	    sizeof(line)); i++) {
		assert_true(strlen(text) + strlen(line) + 2 < sizeof(text));
		strcat(strcat(text, line), "\n");
	}
	assert_false(config_router_line(&c, SIZE_MAX, secrets, line,
	    sizeof(line)));
	return text;
}

static void
test_router_bgp(void **state)
{
	static const char printed[] =
	    "router bgp 65000\n"
	    "neighbour 10.0.0.1 remote-as 65001\n"
	    "neighbour 10.0.0.1 timers 5 15\n"
	    "neighbour 10.0.0.1 update-source 10.0.0.9\n"
	    "neighbour 10.0.0.1 ttl-security\n"
	    "neighbour 10.0.0.1 password \"a b\"\n"
	    "neighbour core.example.net remote-as 4200000000\n"
	    "exit\n";

	(void)state;
	fresh(NULL);
	assert_string_equal(router_lines(true), "");
	assert_int_equal(parse(
	    "router bgp 65000\n"
	    " neighbour 10.0.0.1 remote-as 65002\n"
	    " neighbour 10.0.0.1 password \"a b\"\n"
	    " neighbour 10.0.0.1 ttl-security\n"
	    " neighbor 10.0.0.1 timers 5 15\n"
	    " neighbour gone remote-as 1\n"
	    " neighbor core.example.net remote-as 4200000000\n"
	    " neighbour core.example.net timers 1 3\n"
	    " no neighbour core.example.net timers\n"
	    " no neighbor gone\n"
	    " neighbour 10.0.0.1 update-source 10.0.0.9\n"
	    " neighbour 10.0.0.1 remote-as 65001\n"
	    "exit\n"
	    "set debug 4\n"), 0);
	assert_int_equal(heard.n, 0);
	assert_int_equal(c.debug, 4);
	assert_int_equal(c.as_number, 65000);
	assert_int_equal(c.neighbours_n, 2);
	assert_int_equal(c.neighbours[0].hold, 15);
	assert_int_equal(c.neighbours[0].update_source, 0x0a000009);
	assert_false(c.neighbours[1].timers);
	assert_string_equal(router_lines(true), printed);
	assert_non_null(strstr(router_lines(false), "password \"****\"\n"));
	/* What is printed reads back the same. */
	fresh(NULL);
	assert_int_equal(parse(printed), 0);
	assert_string_equal(router_lines(true), printed);
	/* As routers say that there is no hold time. */
	assert_int_equal(parse("router bgp 65000\n"
	    "neighbour 10.0.0.1 timers 0 0\n"), 0);
	assert_true(c.neighbours[0].timers);
	assert_int_equal(c.neighbours[0].hold, 0);
	assert_non_null(strstr(router_lines(true), "1 timers 0 0\n"));
	/* Without an AS they are kept. */
	c.as_number = 0;
	assert_int_equal(strncmp(router_lines(true), "router bgp 0\n", 13), 0);
	fresh(NULL);
	assert_int_equal(parse("router bgp 0\nneighbour a remote-as 2\n"), 0);
	assert_int_equal(c.neighbours_n, 1);
	fresh(NULL);
	assert_int_equal(parse("router bgp 1\nneighbour a remote-as 2\n"
	    "no router bgp\n"), 0);
	assert_int_equal(c.as_number, 0);
	assert_string_equal(router_lines(true), "");
}

static void
test_router_bgp_faults(void **state)
{
	static const char *const wrong[] = {
		"router bgp", "router bgp -1", "router bgp 4294967296",
		"router bgp x", "router bgp 1 2", "neighbour",
		"neighbour 10.0.0.1", "neighbour 10.0.0.1 remote-as",
		"neighbour 10.0.0.1 remote-as 0",
		"neighbour 10.0.0.1 remote-as 1 2",
		"neighbour 10.0.0.256 remote-as 1",
		"neighbour 10.1 remote-as 1", "neighbour 224.0.0.1 remote-as 1",
		"neighbour -x remote-as 1", "neighbour a_b;c remote-as 1",
		"neighbour \"\" remote-as 1", "neighbour b timers 1 3",
		"neighbour a timers 0 3", "neighbour a timers 1 2",
		"neighbour a timers 1", "neighbour a timers 1 65536",
		"neighbour a update-source lo", "neighbour a password",
		"neighbour a password ****", "neighbour a ttl-security 1",
		"neighbour a nonsense 1", "no neighbour", "no neighbour b",
		"no neighbour a nonsense", "no such thing",
	};
	char text[1024], longer[CONFIG_STRING + 8];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		fresh(NULL);
		snprintf(text, sizeof(text), "router bgp 9\n"
		    "neighbour a remote-as 1\n%s\n", wrong[i]);
		if (parse(text) != 1 || heard.line[0] != 3)
			fail_msg("\"%s\" was taken", wrong[i]);
		assert_int_equal(c.neighbours_n, 1);
		assert_int_equal(c.as_number, 9);
	}
	/* A key that TCP-MD5 has no room for; a name that we have none for. */
	memset(longer, 'x', sizeof(longer));
	longer[81] = '\0';
	snprintf(text, sizeof(text), "router bgp 9\nneighbour a remote-as 1\n"
	    "neighbour a password %s\n", longer);
	assert_int_equal(parse(text), 1);
	longer[81] = 'x';
	longer[CONFIG_STRING] = '\0';
	snprintf(text, sizeof(text), "router bgp 9\nneighbour %s remote-as 1\n",
	    longer);
	assert_int_equal(parse(text), 1);
	/* And more of them than there may be. */
	fresh(NULL);
	assert_int_equal(parse("router bgp 9\n"), 0);
	for (int i = 0; i <= CONFIG_NEIGHBOURS; i++) {
		char name[24], err[128], *words[] = { "neighbour", name,
		    "remote-as", "1" };

		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(config_router(&c, 4, words, err, sizeof(err)),
		    i < CONFIG_NEIGHBOURS);
	}
	/* Outside of the block they are none. */
	fresh(NULL);
	assert_int_equal(parse("neighbour a remote-as 1\n"
	    "router bgp 9\nset debug 1\nneighbour a remote-as 1\n"
	    "router bgp 9\nexit\nneighbour a remote-as 1\n"), 3);
	assert_int_equal(c.neighbours_n, 0);
}

static void
test_long_lines(void **state)
{
	size_t n = 3 * 1024 * 1024;
	char *text = malloc(n + 32), line[CONFIG_LINE + 32];

	(void)state;
	assert_non_null(text);
	/* One word of 3 MiB, then a good line. */
	memset(text, 'a', n);
	strcpy(text + n, "\nset debug 4\n");
	assert_int_equal(parse(text), 1);
	assert_int_equal(heard.line[0], 1);
	assert_int_equal(c.debug, 4);
	free(text);
	/* The limit itself is allowed, one byte more is not. */
	memset(line, ' ', sizeof(line));
	memcpy(line, "set debug", 9);
	line[CONFIG_LINE - 1] = '1';
	line[CONFIG_LINE] = '\0';
	fresh(NULL);
	assert_int_equal(parse(line), 0);
	assert_int_equal(c.debug, 1);
	memcpy(line + CONFIG_LINE - 1, " 1", 3);
	fresh(NULL);
	assert_int_equal(parse(line), 1);
	assert_int_equal(c.debug, 0);
}

/* A value of 1 MiB, a hundred values, a hundred plugins, ten thousand faults */
static void
test_many(void **state)
{
	char text[128 * 1024] = "set radius_authtypes \"";
	size_t n;

	(void)state;
	for (int i = 0; i < 100; i++)
		strcat(text, "chap,");
	strcat(text, "\"\n");
	for (int i = 0; i < 100; i++)
		strcat(text, "set primary_radius 192.0.2.1\n");
	assert_int_equal(parse(text), 1);
	assert_int_equal(c.primary_radius, 0xc0000201);
	assert_string_equal(c.radius_authtypes, "chap,pap");

	fresh(NULL);
	text[0] = '\0';
	for (int i = 0; i < 100; i++)
		snprintf(text + strlen(text), 32, "load plugin p%d\n", i);
	assert_int_equal(parse(text), 100 - CONFIG_PLUGINS);
	assert_int_equal(nplugins, CONFIG_PLUGINS);
	assert_string_equal(plugins[CONFIG_PLUGINS - 1].name, "p31");

	fresh(NULL);
	assert_int_equal(parse("load plugin a\nload plugin a\n"), 0);
	assert_int_equal(nplugins, 1);
	assert_non_null(strstr(heard.text[heard.n - 1],
	    "plugin a is named twice"));
	assert_int_equal(heard.n, 1);

	fresh(NULL);
	for (n = 0; n < 20000; n += 2)
		memcpy(text + n, "x\n", 2);
	assert_int_equal(parse_n(text, n), 10000);
	assert_int_equal(heard.n, 51);
}

static void
test_binary(void **state)
{
	static const char nul[] = "set debug 1\0\nset debug 2\nset a\0b 3";
	char junk[4096];
	uint32_t x = 1;

	(void)state;
	assert_int_equal(parse_n(nul, sizeof(nul) - 1), 2);
	assert_int_equal(c.debug, 2);
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof(junk); i++) {
			x = x * 1664525 + 1013904223;
			junk[i] = (char)(x >> 24);
		}
		fresh(NULL);
		assert_true(parse_n(junk, sizeof(junk)) > 0);
		for (int i = 0; i < heard.n; i++)
			for (const char *p = heard.text[i]; *p != '\0'; p++)
				assert_in_range(*p, 0x20, 0x7e);
	}
}

/* Writes a file of n bytes and loads it. */
static int
load_file(const char *path, const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	return config_load(&c, path, plugins, &nplugins, hear, &heard);
}

/* Files that cannot be read change nothing (a reload keeps what it has). */
static void
test_unreadable(void **state)
{
	char dir[] = "/tmp/config_test.XXXXXX", path[64];
	size_t big = 10 * 1024 * 1024;
	struct config before;
	char *text = malloc(big);

	(void)state;
	assert_non_null(text);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	c.debug = 4;
	before = c;
	/* missing */
	assert_int_equal(config_load(&c, path, plugins, &nplugins, hear,
	    &heard), -1);
	/* a directory, a device, a pipe that nobody writes to */
	assert_int_equal(config_load(&c, dir, plugins, &nplugins, hear,
	    &heard), -1);
	assert_int_equal(config_load(&c, "/dev/zero", plugins, &nplugins,
	    hear, &heard), -1);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(config_load(&c, path, plugins, &nplugins, hear,
	    &heard), -1);
	assert_int_equal(unlink(path), 0);
	/* 10 MiB */
	memset(text, '\n', big);
	assert_int_equal(load_file(path, text, big), -1);
	/* a symbolic link to itself, which root cannot read either */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(path, path), 0);
	assert_int_equal(config_load(&c, path, plugins, &nplugins, hear,
	    &heard), -1);
	assert_int_equal(heard.n, 6);
	for (int i = 0; i < 6; i++)
		assert_int_equal(heard.line[i], 0);
	assert_memory_equal(&before, &c, sizeof(c));
	/* unreadable, where permissions count at all */
	assert_int_equal(unlink(path), 0);
	if (geteuid() != 0) {
		assert_int_equal(load_file(path, "set debug 1\n", 12), 0);
		assert_int_equal(chmod(path, 0), 0);
		assert_int_equal(config_load(&c, path, plugins, &nplugins,
		    hear, &heard), -1);
		assert_int_equal(unlink(path), 0);
	}
	/* empty; cut in the middle of a line; 4 MiB and no more */
	assert_int_equal(load_file(path, "", 0), 0);
	assert_int_equal(load_file(path, "set debug 3\nset ho", 18), 1);
	assert_int_equal(c.debug, 3);
	assert_int_equal(load_file(path, text, 4 * 1024 * 1024), 0);
	assert_int_equal(load_file(path, text, 4 * 1024 * 1024 + 1), -1);
	unlink(path);
	rmdir(dir);
	free(text);
}

/* The file that is installed, read where the tests are started. */
static void
test_shipped_file(void **state)
{
	(void)state;
	assert_int_equal(config_load(&c, "etc/startup-config.default",
	    plugins, &nplugins, hear, &heard), 0);
	assert_int_equal(config_check(&c, "file", hear, &heard), 0);
	assert_int_equal(heard.n, 0);
	assert_int_equal(c.cli_bind_address, 0x7f000001);
	assert_int_equal(c.primary_radius, 0);
	assert_int_not_equal(c.iftun_address, 0);
	assert_int_equal(nplugins, 0);
}

static int
words(const char *text, char **w, int max)
{
	static char line[256];
	const char *reason = NULL;
	int n;

	snprintf(line, sizeof(line), "%s", text);
	n = config_words(line, w, max, &reason);
	assert_true((n < 0) == (reason != NULL));
	return n;
}

static void
test_words(void **state)
{
	char *w[8];

	(void)state;
	assert_int_equal(words("", w, 8), 0);
	assert_int_equal(words("   ", w, 8), 0);
	assert_int_equal(words("a", w, 0), 0);
	assert_int_equal(words(" a\tb  c ", w, 8), 3);
	assert_string_equal(w[0], "a");
	assert_string_equal(w[1], "b");
	assert_string_equal(w[2], "c");
	assert_int_equal(words("\"a b\" '' 'c\"d' \"e\"'f'\"g\"", w, 8), 4);
	assert_string_equal(w[0], "a b");
	assert_string_equal(w[1], "");
	assert_string_equal(w[2], "c\"d");
	assert_string_equal(w[3], "efg");
	assert_int_equal(words("it's pa\"ss a\\b", w, 8), 3);
	assert_string_equal(w[0], "it's");
	assert_string_equal(w[1], "pa\"ss");
	assert_string_equal(w[2], "a\\b");
	assert_int_equal(words("a \"b", w, 8), -1);
	assert_int_equal(words("'", w, 8), -1);
	assert_int_equal(words("\"a\"b c", w, 8), -1);
	/* Past max: as it stands.  Just max: like any other word. */
	assert_int_equal(words("a 'b c' d \"e\"", w, 2), 2);
	assert_string_equal(w[0], "a");
	assert_string_equal(w[1], "'b c' d \"e\"");
	assert_int_equal(words("a 'b c'", w, 2), 2);
	assert_string_equal(w[1], "b c");
}

static void
test_prefix(void **state)
{
	static const char *const bad[] = {
		"", "/", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/08",
		"1.2.3/8", "1.2.3.4/8x", "1.2.3.4 /8", "1.2.3.4/ 8",
		"1.2.3.4.5", "1.2.3.04", "01.2.3.4", "1.2.3.4/999999999999",
		"1.2.3.4/00", "255.255.255.2555/8", " 1.2.3.4", "1..2.3",
	};
	uint32_t a = 7;
	uint8_t len = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(config_prefix(bad[i], &a, &len));
	assert_true(config_prefix("10.0.0.0/8", &a, &len));
	assert_int_equal(a, 0x0a000000);
	assert_int_equal(len, 8);
	assert_true(config_prefix("0.0.0.0/0", &a, &len));
	assert_int_equal(len, 0);
	assert_true(config_prefix("192.0.2.1", &a, &len));
	assert_int_equal(a, 0xc0000201);
	assert_int_equal(len, 32);
	assert_true(config_ipv4("255.255.255.255", &a));
	assert_false(config_ipv4("1.2.3.4/32", &a));
}

/* What a value may not be although its type is right. */
static void
test_rules(void **state)
{
	(void)state;
	refused("cluster_address", "10.0.0.1");
	taken("cluster_address", "224.0.0.1", "224.0.0.1");
	refused("radius_interim", "1");
	refused("radius_interim", "59");
	taken("radius_interim", "60", "60");
	taken("radius_interim", "0", "0");
	refused("tundevicename", "a/b");
	refused("tundevicename", "..");
	taken("tundevicename", "", "\"\"");
	taken("tundevicename", "ppp", "\"ppp\"");
	refused("log_file", "l2tpns.log");
	taken("log_file", "/tmp/l", "\"/tmp/l\"");
	taken("log_file", "syslog:local5", "\"syslog:local5\"");
	refused("pid_file", "run/pid");
	taken("pid_file", "/run/pid", "\"/run/pid\"");
	refused("accounting_dir", "acct");
	refused("state_file", "state");
	refused("state_file", "");
	refused("plugin_dir", "./plugins");
	taken("accounting_dir", "/acct", "\"/acct\"");
}

/* One relation, broken and kept. */
static void
relation(const char *broken, const char *kept, int faults)
{
	unsigned int last = 1;

	fresh(NULL);
	assert_int_equal(parse(broken), 0);
	assert_int_equal(config_check(&c, "file", hear, &heard), faults);
	if (heard.n != 1)
		fail_msg("%s: %d messages", broken, heard.n);
	/* The line that set one of the keys, here always the last one. */
	for (const char *p = broken; *p != '\0'; p++)
		last += *p == '\n';
	assert_int_equal(heard.line[0], last);
	fresh(NULL);
	assert_int_equal(parse(kept), 0);
	assert_int_equal(config_check(&c, "file", hear, &heard), 0);
	if (heard.n != 0)
		fail_msg("%s: %s", kept, heard.text[0]);
}

static void
test_relations(void **state)
{
	(void)state;
	relation("set cluster_hb_interval 10\nset cluster_hb_timeout 29",
	    "set cluster_hb_interval 10\nset cluster_hb_timeout 30", 1);
	relation("set l2tp_require_secret yes",
	    "set l2tp_require_secret yes\nset l2tp_secret x", 1);
	relation("set primary_radius 192.0.2.1",
	    "set primary_radius 192.0.2.1\nset radius_secret x", 1);
	relation("set radius_accounting yes", "set radius_accounting no", 0);
	relation("set radius_secret x\nset primary_radius 192.0.2.1\n"
	    "set secondary_radius 192.0.2.1",
	    "set radius_secret x\nset primary_radius 192.0.2.1\n"
	    "set secondary_radius 192.0.2.1\nset secondary_radius_port 1", 0);
	relation("set idle_echo_timeout 9", "set idle_echo_timeout 10", 1);
	relation("set bind_address 192.0.2.1\nset peer_address 192.0.2.1",
	    "set bind_address 192.0.2.1\nset peer_address 192.0.2.2", 0);
	relation("set bgp_peer1 192.0.2.1",
	    "set bgp_peer1 192.0.2.1\nset as_number 64512", 0);
	relation("router bgp 1\nneighbour 192.0.2.1 remote-as 2\n"
	    "set bgp_peer1 192.0.2.1",
	    "router bgp 1\nneighbour 192.0.2.1 remote-as 2\n"
	    "set bgp_peer1 192.0.2.2", 0);
	relation("router bgp 1\nneighbour 192.0.2.1 remote-as 2\n"
	    "set as_number 0", "router bgp 1\nneighbour 192.0.2.1 remote-as 2",
	    0);
	relation("set as_number 1\nset bgp_peer1 a\nset bgp_peer2 a",
	    "set as_number 1\nset bgp_peer1 a\nset bgp_peer2 b", 0);
}

/*
 * Random configurations print to a file that reads back the same.
 */

static uint64_t
rnd(void)
{
	static uint64_t x = UINT64_C(0x123456789abcdef);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Rules have the last word about what is random. */
static void
keep_rules(struct config *r, const struct config_key *k)
{
	char out[CONFIG_PRINTED], *value[1], err[128];
	const char *reason;
	struct config d;

	if (strstr(k->name, "_file") != NULL || strstr(k->name, "_dir") != NULL)
		*((char *)r + k->off) = '/';
	config_print(r, k, true, out, sizeof(out));
	assert_int_equal(config_words(out, value, 1, &reason), 1);
	if (config_set(r, k->name, value[0], err, sizeof(err)))
		return;
	config_defaults(&d);
	memcpy((char *)r + k->off, (char *)&d + k->off, k->size);
}

static void
randomize(struct config *r)
{
	static const char alphabet[] = "ab \"\"''\\#!=\xc3\xa9%s{}";

	for (size_t i = 0; i < config_keys_n; i++) {
		const struct config_key *k = &config_keys[i];
		char *p = (char *)r + k->off;
		uint32_t a = (uint32_t)rnd();
		int64_t n;
		size_t len;

		switch (k->type) {
		case C_INT:
			n = k->min + (int64_t)(rnd() %
			    (uint64_t)(k->max - k->min + 1));
			memcpy(p, &n, sizeof(n));
			break;
		case C_TRISTATE:
			n = (int64_t)(rnd() % 3);
			memcpy(p, &n, sizeof(n));
			break;
		case C_BOOL:
			*(bool *)p = rnd() % 2;
			break;
		case C_IPV4:
			memcpy(p, &a, sizeof(a));
			break;
		case C_AUTHTYPES:
			strcpy(p, rnd() % 2 ? "pap" : "pap,chap");
			break;
		case C_STRING:
		case C_SECRET:
			len = rnd() % (uint64_t)(k->max + 1);
			memset(p, 0, CONFIG_STRING);
			while (len-- > 0)
				*p++ = alphabet[rnd() % (sizeof(alphabet) - 1)];
			break;
		}
		keep_rules(r, k);
	}
}

static void
test_print_reads_back(void **state)
{
	static char text[256 * (CONFIG_PRINTED + 64)];

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct config r;
		size_t n = 0;

		fresh(NULL);
		config_defaults(&r);
		randomize(&r);
		for (size_t i = 0; i < config_keys_n; i++) {
			char out[CONFIG_PRINTED];

			n += (size_t)snprintf(text + n, sizeof(text) - n,
			    "set %s %s\n", config_keys[i].name, config_print(
			    &r, &config_keys[i], true, out, sizeof(out)));
		}
		if (parse_n(text, n) != 0)
			fail_msg("%s", heard.text[0]);
		for (size_t i = 0; i < config_keys_n; i++) {
			const struct config_key *k = &config_keys[i];
			const char *a = (const char *)&r + k->off;
			const char *b = (const char *)&c + k->off;
			size_t len = type_size(k->type);

			if (len == CONFIG_STRING)
				assert_string_equal(a, b);
			else
				assert_memory_equal(a, b, len);
		}
	}
}

#define TEST(f)	cmocka_unit_test_setup(f, fresh)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rows_cover_struct),
		TEST(test_rows_are_whole),
		TEST(test_defaults),
		TEST(test_every_row_refuses),
		TEST(test_values),
		TEST(test_strings),
		TEST(test_secrets_are_masked),
		TEST(test_print_is_bounded),
		TEST(test_file),
		TEST(test_byte_order_mark),
		TEST(test_bad_lines_cost_themselves),
		TEST(test_legacy_keys),
		TEST(test_legacy_blocks),
		TEST(test_router_bgp),
		TEST(test_router_bgp_faults),
		TEST(test_long_lines),
		TEST(test_many),
		TEST(test_binary),
		TEST(test_unreadable),
		TEST(test_shipped_file),
		TEST(test_words),
		TEST(test_prefix),
		TEST(test_rules),
		TEST(test_relations),
		TEST(test_print_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
