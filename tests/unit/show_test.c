/*
 * show_test.c - what the commands print: columns, words, JSON, slices
 *
 * Tables, pool and clock are the real ones; whoever else is asked or told is
 * played here.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bgp.h"
#include "cli_rows.h"
#include "cluster.h"
#include "command.h"
#include "confwrite.h"
#include "ippool.h"
#include "log.h"
#include "loop.h"
#include "plugins.h"
#include "radius.h"
#include "reload.h"
#include "replica.h"
#include "session.h"
#include "snoop.h"
#include "speed.h"
#include "table.h"
#include "throttle.h"
#include "tunnel.h"

struct l2tpns lns;

/* --- the terminal ------------------------------------------------------- */

static char *output;
static size_t output_len, output_room;
static char audit[8192];
static unsigned int slices;
static size_t longest_slice;
static void (*between_slices)(void);

void
command_print(struct command_run *run, const char *fmt, ...)
{
	va_list ap;
	int n;

	(void)run;
	for (;;) {
		va_start(ap, fmt);
		n = vsnprintf(output + output_len, output_room - output_len,
		    fmt, ap);
		va_end(ap);
		assert_true(n >= 0);
		if (output_len + (size_t)n < output_room)
			break;
		output_room = output_room * 2 + 65536;
		output = realloc(output, output_room);
		assert_non_null(output);
	}
	output_len += (size_t)n;
}

void
command_audit(const struct command_run *run, const char *fmt, ...)
{
	size_t len = strlen(audit);
	va_list ap;

	assert_non_null(run->user);
	va_start(ap, fmt);
	vsnprintf(audit + len, sizeof(audit) - len, fmt, ap);
	va_end(ap);
	strcat(audit, "\n");
}

/* Runs a command to its end; words are cut at blanks. */
static const char *
typed_by(bool enabled, unsigned int width, void (*fn)(struct command_run *),
    const char *words)
{
	static char line[4096];
	char *argv[64];
	struct command_run run = {
		.argv = argv, .user = "alice", .from = "192.0.2.7",
		.enabled = enabled, .width = width
	};
	bool more = true;
	size_t before;

	snprintf(line, sizeof(line), "%s", words);
	for (char *w = strtok(line, " "); w != NULL; w = strtok(NULL, " "))
		argv[run.argc++] = w;
	output_len = 0;
	command_print(&run, "%s", "");
	audit[0] = '\0';
	slices = 0;
	longest_slice = 0;
	fn(&run);
	while (run.more != NULL && more) {
		before = output_len;
		more = run.more(&run);
		slices++;
		if (output_len - before > longest_slice)
			longest_slice = output_len - before;
		if (between_slices != NULL)
			between_slices();
	}
	if (run.end != NULL)
		run.end(&run);
	assert_null(run.data);
	return output;
}

static const char *
typed(void (*fn)(struct command_run *), const char *words)
{
	return typed_by(true, 0, fn, words);
}

#define assert_prints(fn, words, text) \
	assert_string_equal(typed(fn, words), text)

/* --- those who are asked ------------------------------------------------ */

static char told[1024];

struct session *
session_by_user(const char *user)
{
	struct session *s, *found = NULL;

	for (s = session_next(0); s != NULL; s = session_next(s->sid))
		if (s->authenticated && !s->dying && strcmp(s->user, user) == 0)
			found = s;
	return found;
}

struct session *
session_next_of_user(const struct session *s)
{
	struct session *o, *found = NULL;

	for (o = session_next(0); o != NULL && o->sid < s->sid;
	    o = session_next(o->sid))
		if (o->authenticated && strcmp(o->user, s->user) == 0)
			found = o;
	return found;
}

void
session_shutdown(struct session *s, enum terminate_cause cause,
    uint16_t result, uint16_t error, const char *reason)
{
	assert_int_equal(cause, CAUSE_ADMIN_RESET);
	assert_int_equal(result, 3);
	assert_int_equal(error, 0);
	assert_non_null(reason);
	s->dying = true;
}

const char *
tunnel_state_name(const struct tunnel *t)
{
	return tunnel_local(t)->stop_at != 0 ? "Dieing" : "Open";
}

bool
tunnel_dropped(const struct tunnel *t)
{
	return tunnel_local(t)->stop_at != 0;
}

bool
tunnel_drop(struct tunnel *t)
{
	tunnel_local(t)->stop_at = 1;
	return true;
}

const char *
ppp_phase_name(enum ppp_phase phase)
{
	return phase == PPP_NETWORK ? "network" : "dead";
}

const char *
cp_state_name(enum cp_state state)
{
	return state == CP_OPENED ? "Opened" : "Initial";
}

static struct radius_row requests[2];
static size_t nrequests;

bool
radius_row(size_t i, struct radius_row *row)
{
	if (i >= nrequests)
		return false;
	*row = requests[i];
	return true;
}

uint32_t
radius_outstanding(void)
{
	return (uint32_t)nrequests;
}

bool
throttle_set(struct session *s, uint32_t in, uint32_t out)
{
	s->throttle_in = in;
	s->throttle_out = out;
	s->flags &= (uint16_t)~SF_THROTTLE;
	if (in + out > 0)
		s->flags |= SF_THROTTLE;
	return true;
}

bool
throttle_row(const struct session *s, int n, struct throttle_row *row)
{
	if (n > 1 || (s->flags & SF_THROTTLE) == 0)
		return false;
	*row = (struct throttle_row){
		.sid = s->sid, .out = n == 1,
		.rate = n == 1 ? s->throttle_out : s->throttle_in,
		.credit = 6400, .queued = 3, .octets_in = 123456,
		.packets_in = 150, .octets_out = 120000, .packets_out = 140,
		.dropped = 7, .delayed = 33
	};
	return row->rate != 0;
}

uint32_t
throttle_sessions(void)
{
	uint32_t n = 0;

	for (struct session *s = session_next(0); s != NULL;
	    s = session_next(s->sid))
		n += (s->flags & SF_THROTTLE) != 0;
	return n;
}

bool
snoop_start(struct session *s, uint32_t ip, uint16_t port, const char *who)
{
	if (ip == 0x01010101)
		return false;
	snprintf(told, sizeof(told), "%s", who);
	s->flags |= SF_SNOOP;
	s->snoop_ip = ip;
	s->snoop_port = port;
	return true;
}

void
snoop_stop(struct session *s, const char *who)
{
	snprintf(told, sizeof(told), "%s", who);
	s->flags &= (uint16_t)~SF_SNOOP;
}

uint64_t
loop_stall_usec(void)
{
	return 1234;
}

void
loop_stall_reset(void)
{
	strcat(told, "stall reset;");
}

char *
speed_print(char *dst, size_t size)
{
	snprintf(dst, size, "Bandwidth: UDP-ETH:6/6  ETH-UDP:13/13  "
	    "TOTAL:37.6   IN:3033 OUT:2569");
	return dst;
}

const char *
plugin_name(size_t n)
{
	static const char *const names[] = { "garden", "autosnoop" };

	return n < 2 ? names[n] : NULL;
}

const char *
plugin_holders(uint32_t bits, char *dst, size_t size)
{
	snprintf(dst, size, "%s", bits == 6 ? "garden mine" : "");
	return dst;
}

bool
plugin_counter_row(size_t n, struct plugin_counter_row *row)
{
	*row = (struct plugin_counter_row){ "garden.rules", "rules set", 17 };
	return n == 0;
}

void
plugin_counters_clear(void)
{
	strcat(told, "plugins cleared;");
}

bool
plugin_loaded(const char *name)
{
	const char *have;

	for (size_t i = 0; (have = plugin_name(i)) != NULL; i++)
		if (strcmp(have, name) == 0)
			return true;
	return false;
}

bool
plugin_load(const char *name, char *err, size_t errlen)
{
	snprintf(err, errlen, "no file");
	return strcmp(name, "throttlectl") == 0;
}

bool
plugin_remove(const char *name, char *err, size_t errlen)
{
	snprintf(err, errlen, "it does not want to");
	return strcmp(name, "garden") == 0;
}

bool
config_line(size_t i, bool secrets, char *dst, size_t size)
{
	snprintf(dst, size, i == 0 ? "# Current configuration:" :
	    i == 1 && !secrets ? "set l2tp_secret \"****\"" :
	    i == 1 ? "set l2tp_secret \"hush\"" : "# end");
	return i < 3;
}

static int writing;		/* how often it is not over yet */

bool
config_write(char *err, size_t errlen)
{
	snprintf(err, errlen, "is not even begun");
	writing = 3;
	return strcmp(told, "busy") != 0;
}

bool
config_written(char *err, size_t errlen)
{
	snprintf(err, errlen, "%s", --writing > 0 ? "" : told);
	return writing <= 0;
}

bool
config_reload(char *msg, size_t size)
{
	snprintf(msg, size, "%s", told);
	return told[0] == '\0';
}

bool
config_set_live(const char *key, const char *value, char *msg, size_t size)
{
	snprintf(msg, size, "%s: \"%s\" is no number", key, value);
	if (strcmp(value, "x") == 0)
		return false;
	snprintf(msg, size, strcmp(key, "setuid") == 0 ?
	    "takes effect after a restart" : "");
	return true;
}

/* --- BGP peers ---------------------------------------------------------- */

static struct bgp_row bgp_rows[2];
static size_t bgp_rows_n;
static bool bgp_is_raised, bgp_is_suspended;

bool bgp_raised(void) { return bgp_is_raised; }
bool bgp_suspended(void) { return bgp_is_suspended; }
uint32_t bgp_identifier(void) { return bgp_rows_n > 0 ? 0xc0000201 : 0; }

bool
bgp_row(size_t i, struct bgp_row *r)
{
	if (i < bgp_rows_n)
		*r = bgp_rows[i];
	return i < bgp_rows_n;
}

void
bgp_suspend(bool on)
{
	snprintf(told, sizeof(told), "suspend all %d", on);
}

bool
bgp_suspend_peer(const char *peer, bool on)
{
	snprintf(told, sizeof(told), "suspend %s %d", peer, on);
	return true;
}

bool
bgp_restart(const char *peer)
{
	snprintf(told, sizeof(told), "restart %s", peer != NULL ? peer : "all");
	return true;
}

bool
config_router_live(int n, char *const *words, char *msg, size_t size)
{
	told[0] = '\0';
	for (int i = 0; i < n; i++)
		snprintf(told + strlen(told), sizeof(told) - strlen(told),
		    "%s%s", i > 0 ? " " : "", words[i]);
	snprintf(msg, size, "%s", strcmp(words[n - 1], "wrong") == 0 ?
	    "is wrong" : "");
	return msg[0] == '\0';
}

/* --- the scene ---------------------------------------------------------- */

#define ALICE_IP	0x0a140009	/* 10.20.0.9 */

static struct tunnel *
add_tunnel(const char *hostname, uint32_t ip)
{
	struct tunnel *t = table_tunnel_new();

	assert_non_null(t);
	t->state = T_ESTABLISHED;
	t->peer.addr = ip;
	t->peer.port = 1701;
	t->peer_window = 10;
	t->opened = timer_wall() - 100;
	snprintf(t->hostname, sizeof(t->hostname), "%s", hostname);
	tunnel_local(t)->ctl.Nr = 7;
	tunnel_local(t)->ctl.Ns = 9;
	tunnel_local(t)->ctl.last_recv = timer_now() - 5000;
	return t;
}

static struct session *
add_session(struct tunnel *t, const char *user, uint32_t ip)
{
	struct session *s = table_session_new();

	assert_non_null(s);
	s->tid = t->tid;
	t->sessions++;
	s->ip = ip;
	s->opened = timer_wall() - 90;
	snprintf(s->user, sizeof(s->user), "%s", user);
	s->authenticated = user[0] != '\0';
	return s;
}

/* alice is online, somebody has only called. */
static int
scene(void **state)
{
	struct session *s;

	(void)state;
	memset(&lns, 0, sizeof(lns));
	config_defaults(&lns.config);
	lns.config.max_sessions = 65535;
	lns.config.max_tunnels = 3;
	timers_init();
	timer_fake(10000000);
	lns.start = timer_wall() - 8 * 86400;
	nrequests = 0;
	told[0] = '\0';
	between_slices = NULL;
	if (!table_init(65535, 3))
		return -1;
	s = add_session(add_tunnel("lac1", 0xc0000201), "alice", ALICE_IP);
	s->rx_octets = 1500;
	s->tx_octets = 987654;
	s->rx_packets = 15;
	s->tx_packets = 800;
	s->last_data = (uint32_t)(timer_now() / 1000) - 12;
	s->flags = SF_OPEN | SF_SNOOP;
	s->snoop_ip = 0xc0000207;
	s->snoop_port = 9999;
	s->tx_speed = 1000000;
	s->rx_speed = 128000;
	s->dns1 = 0x08080808;
	s->routes[s->nroutes++] = (struct prefix){ 0x0a630000, 24 };
	snprintf(s->calling, sizeof(s->calling), "0255551234");
	snprintf(s->acct_id, sizeof(s->acct_id), "0001ABCD");
	session_local(s)->ppp.phase = PPP_NETWORK;
	session_local(s)->ppp.lcp.state = CP_OPENED;
	session_local(s)->ppp.ipcp.state = CP_OPENED;
	session_local(s)->ppp.peer_mru = 1492;
	add_session(tunnel_by_tid(1), "", 0);
	return 0;
}

static int
done(void **state)
{
	(void)state;
	table_free();
	ippool_clear();
	return 0;
}

/* --- show session ------------------------------------------------------- */

static void
sessions_in_the_columns_of_old(void **state)
{
	(void)state;
	assert_prints(show_session, "",
"  SID  TID Username                         IP              I T G     opened downloaded   uploaded idle LAC             CLI\n"
"    1    1 alice                            10.20.0.9       Y N N         90     987654       1500   12 192.0.2.1       0255551234\n"
"    2    1 *                                0.0.0.0         N N N         90          0          0   90 192.0.2.1       *\n");
}

static void
sessions_as_json(void **state)
{
	(void)state;
	assert_prints(show_session, "json",
"[\n"
"{\"sid\": 1, \"tid\": 1, \"username\": \"alice\", \"ip\": \"10.20.0.9\", "
"\"intercepted\": true, \"throttled\": false, \"garden\": false, "
"\"opened\": 90, \"downloaded\": 987654, \"uploaded\": 1500, \"idle\": 12, "
"\"lac\": \"192.0.2.1\", \"cli\": \"0255551234\"},\n"
"{\"sid\": 2, \"tid\": 1, \"username\": null, \"ip\": \"0.0.0.0\", "
"\"intercepted\": false, \"throttled\": false, \"garden\": false, "
"\"opened\": 90, \"downloaded\": 0, \"uploaded\": 0, \"idle\": 90, "
"\"lac\": \"192.0.2.1\", \"cli\": null}\n"
"]\n");
}

/* Numbers of any size stay in their columns. */
static void
big_numbers_are_aligned(void **state)
{
	struct session *s = session_by_sid(2);

	(void)state;
	s->tx_octets = 12345678901234567;
	s->tid = 65535;
	assert_prints(show_session, "",
"  SID   TID Username                         IP              I T G     opened        downloaded   uploaded idle LAC             CLI\n"
"    1     1 alice                            10.20.0.9       Y N N         90            987654       1500   12 192.0.2.1       0255551234\n"
"    2 65535 *                                0.0.0.0         N N N         90 12345678901234567          0   90 0.0.0.0         *\n");
}

static void
narrow_terminals_get_less(void **state)
{
	struct session *s = session_by_sid(2);

	(void)state;
	s->authenticated = true;
	strcpy(s->user, "a.very.long.user.name@example.org");
	s->tx_octets = 12345678901;
	s->opened -= 86400 * 8;
	assert_string_equal(typed_by(true, 131, show_session, ""),
"  SID  TID Username                       IP              I T G     opened  downloaded   uploaded   idle LAC             CLI\n"
"    1    1 alice                          10.20.0.9       Y N N         90      987654       1500     12 192.0.2.1       0255551234\n"
"    2    1 a.very.long.user.name@example~ 0.0.0.0         N N N     691290 12345678901          0 691290 192.0.2.1       *\n");
	s->last_data = (uint32_t)(timer_now() / 1000);
	assert_string_equal(typed_by(true, 80, show_session, ""),
"  SID  TID Username                  IP              I T G opened down   up idle\n"
"    1    1 alice                     10.20.0.9       Y N N     1m 987k 1.5k   12\n"
"    2    1 a.very.long.user.name@ex~ 0.0.0.0         N N N   8d0h  12G    0    0\n");
}

static void
no_line_is_wider_than_the_terminal(void **state)
{
	(void)state;
	for (unsigned int width = 71; width < 200; width++) {
		const char *p = typed_by(true, width, show_session, "");

		for (const char *end; *p != '\0'; p = end + 1) {
			end = strchr(p, '\n');
			assert_true((size_t)(end - p) <= width);
		}
	}
}

static void
one_session_in_detail(void **state)
{
	(void)state;
	assert_prints(show_session, "1 7",
"Session 1:\n"
"\tUser:\t\talice\n"
"\tCalling Num:\t0255551234\n"
"\tCalled Num:\tnone\n"
"\tTunnel ID:\t1\n"
"\tIP address:\t10.20.0.9\n"
"\tHSD sid:\t0001ABCD\n"
"\tIdle time:\t12 seconds\n"
"\tNext Recv:\t0\n"
"\tNext Send:\t0\n"
"\tBytes In/Out:\t1500/987654\n"
"\tPkts In/Out:\t15/800\n"
"\tMRU:\t\t1492\n"
"\tRadius Session:\tnone\n"
"\tRx Speed:\t128000\n"
"\tTx Speed:\t1000000\n"
"\tIntercepted:\t192.0.2.7:9999\n"
"\tThrottled:\tno\n"
"\tWalled Garden:\tno\n"
"\tFilter BucketI:\tnone\n"
"\tFilter BucketO:\tnone\n"
"\tOpened:\t\t90 seconds\n"
"\tLAC:\t\t192.0.2.1\n"
"\tPPP phase:\tnetwork\n"
"\tLCP state:\tOpened\n"
"\tIPCP state:\tOpened\n"
"\tDNS:\t\t8.8.8.8\n"
"\tRoutes:\t\t10.99.0.0/24\n"
"\tTime limit:\tnone\n"
"\tIdle limit:\tnone\n"
"\tFilter-Id:\tnone\n"
"\tHeld by:\tnone\n"
"Invalid session id \"7\"\n");
}

static void
who_lets_no_packet_pass(void **state)
{
	(void)state;
	session_local(session_by_sid(1))->held = 6;
	assert_non_null(strstr(typed(show_session, "1"),
	    "\tHeld by:\tgarden mine\n"));
	assert_non_null(strstr(typed(show_session, "1 json"),
	    "\"held_by\": \"garden mine\""));
}

static void
faults_keep_json_valid(void **state)
{
	(void)state;
	assert_prints(show_session, "0 -1 99999999999 1x json",
"[\n"
"{\"error\": \"Invalid session id \\\"0\\\"\"},\n"
"{\"error\": \"Invalid session id \\\"-1\\\"\"},\n"
"{\"error\": \"Invalid session id \\\"99999999999\\\"\"},\n"
"{\"error\": \"Invalid session id \\\"1x\\\"\"}\n"
"]\n");
}

/* RA-06: what a peer sent stays in its column and on its line. */
static void
names_can_not_break_out(void **state)
{
	struct session *s = session_by_sid(1);

	(void)state;
	strcpy(s->user, "a b\n\033[2J\"\\%n\xc3\xbc\xff\xf0\x9f\x98\x80");
	assert_non_null(strstr(typed(show_session, ""),
	    "    1    1 a\\x20b\\x0a\\x1b[2J\"\\x5c%n\\xc3\\xbc\\xff"
	    "\\xf0\\x9f\\x98\\x80 10.20.0.9 "));
	assert_non_null(strstr(typed(show_session, "json"),
	    "\"username\": \"a b\\u000a\\u001b[2J\\\"\\\\%n\\u00fc\\u00ff"
	    "\\ud83d\\ude00\""));
	/* Names of LACs lie escaped in the tunnel already. */
	strcpy(tunnel_by_tid(1)->hostname, "l\\x0a c");
	assert_non_null(strstr(typed(show_tunnels, ""), " l\\x0a\\x20c "));
	assert_non_null(strstr(typed(show_tunnels, "json"),
	    "\"hostname\": \"l\\u000a c\""));
	/* The form that lists show can be typed. */
	assert_non_null(strstr(typed(show_users, "a\\x20b\\x0A\\x1b[2J\"\\x5C%n"
	    "\\xC3\\xBC\\xFF\\xf0\\x9F\\x98\\x80"), "Session 1:\n"));
}

/* --- 65,000 of them ----------------------------------------------------- */

static void
crowd(void)
{
	struct tunnel *t = add_tunnel("big", 0xc0000202);

	for (uint32_t i = 3; i <= 65000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "user%u", i);
		assert_int_equal(add_session(t, name, 0x0a000000 + i)->sid, i);
	}
}

static unsigned int
lines(const char *p)
{
	unsigned int n = 0;

	while ((p = strchr(p, '\n')) != NULL) {
		n++;
		p++;
	}
	return n;
}

static void
a_crowd_comes_in_slices(void **state)
{
	(void)state;
	crowd();
	typed(show_session, "");
	assert_int_equal(lines(output), 65001);
	assert_true(slices > 200);
	assert_true(longest_slice < 65536);
	typed(show_session, "json");
	assert_int_equal(lines(output), 65002);
	assert_true(slices > 200);
	typed(show_users, "");
	assert_int_equal(lines(output), 64999);
	assert_true(longest_slice < 65536);
	typed(show_histogram, "open");
	assert_true(slices > 10);
	assert_non_null(strstr(output, "65000 total sessions open.\n"));
	typed(show_users, "user65000 user17");
	assert_non_null(strstr(output, "\nSession 17:\n"));
}

static uint32_t gone;

static void
some_leave(void)
{
	for (int i = 0; i < 100 && gone > 2; i++) {
		struct session *s = session_by_sid(gone--);

		if (s != NULL)
			table_session_del(s);
	}
}

/* Every row that is there from begin to end is there once; JSON is valid. */
static void
sessions_may_leave_meanwhile(void **state)
{
	const char *p;
	unsigned int rows = 0;

	(void)state;
	crowd();
	gone = 65000;
	between_slices = some_leave;
	p = typed(show_session, "json");
	assert_true(strncmp(p, "[\n{\"sid\": 1,", 12) == 0);
	for (const char *q = p; (q = strstr(q, "},\n{\"sid\": ")) != NULL; q++)
		rows++;
	assert_true(rows > 20000 && rows < 60000);
	assert_string_equal(p + strlen(p) - 4, "}\n]\n");
	assert_int_equal(lines(p), rows + 3);
}

static void
the_sessions_of_a_tunnel_in_slices(void **state)
{
	const char *p;
	int n = 0, at;

	(void)state;
	crowd();
	p = typed(show_tunnels, "2");
	assert_true(slices > 50);
	p = strstr(p, "\tSessions:\t\t3 4 5 6 7 8 9 10 11 12\n\t\t\t\t13 ");
	assert_non_null(p);
	for (p += 11; sscanf(p, "%*d%n", &at) == 0 && *p != '\0'; p += at) {
		n++;
		if (p[at] == '\n' && p[at + 1] == '\0')
			break;
	}
	assert_int_equal(n, 64998);
	p = typed(show_tunnels, "2 1 json");
	assert_non_null(strstr(p, "\"sessions\": [3, 4, 5, "));
	assert_non_null(strstr(p, ", 64999, 65000]},\n{\"tid\": 1, "));
	assert_non_null(strstr(p, "\"sessions\": [1, 2]}\n]\n"));
}

/* --- users and tunnels -------------------------------------------------- */

static void
users(void **state)
{
	(void)state;
	add_session(tunnel_by_tid(1), "joe.user", 1);
	assert_prints(show_users, "", "alice\njoe.user\n");
	assert_prints(show_users, "json",
	    "[\n{\"username\": \"alice\", \"sid\": 1},\n"
	    "{\"username\": \"joe.user\", \"sid\": 3}\n]\n");
	assert_prints(show_users, "Alice nobody",
	    "User Alice is not connected\nUser nobody is not connected\n");
	/* All sessions of one name, and each name that was asked for. */
	add_session(tunnel_by_tid(1), "alice", 2);
	typed(show_users, "alice joe.user nobody");
	assert_non_null(strstr(output, "Session 1:\n\tUser:\t\talice\n"));
	assert_non_null(strstr(output, "\nSession 4:\n\tUser:\t\talice\n"));
	assert_non_null(strstr(output, "\nSession 3:\n\tUser:\t\tjoe.user\n"));
	assert_non_null(strstr(output, "User nobody is not connected\n"));
}

static void
tunnels(void **state)
{
	(void)state;
	tunnel_local(add_tunnel("lac2", 0xc0000202))->stop_at = 1;
	assert_prints(show_tunnels, "",
" TID             Hostname                   IP   State Sessions\n"
"   1                 lac1            192.0.2.1    Open        2\n"
"   2                 lac2            192.0.2.2  Dieing        0\n");
	assert_prints(show_tunnels, "all",
" TID             Hostname                   IP   State Sessions\n"
"   1                 lac1            192.0.2.1    Open        2\n"
"   2                 lac2            192.0.2.2  Dieing        0\n"
"   3                    *              0.0.0.0    Free        0\n");
	assert_prints(show_tunnels, "1 2 4 x",
"Tunnel 1:\n"
"\tState:\t\t\tOpen\n"
"\tHostname:\t\tlac1\n"
"\tRemote IP:\t\t192.0.2.1\n"
"\tRemote Port:\t\t1701\n"
"\tRx Window:\t\t10\n"
"\tNext Recv:\t\t7\n"
"\tNext Send:\t\t9\n"
"\tQueue Len:\t\t0\n"
"\tLast Packet Age:\t5 seconds\n"
"\tOpened:\t\t\t100 seconds\n"
"\tVendor:\t\t\tnone\n"
"\tSessions:\t\t1 2\n"
"\n"
"Tunnel 2:\n"
"\tState:\t\t\tDieing\n"
"\tHostname:\t\tlac2\n"
"\tRemote IP:\t\t192.0.2.2\n"
"\tRemote Port:\t\t1701\n"
"\tRx Window:\t\t10\n"
"\tNext Recv:\t\t7\n"
"\tNext Send:\t\t9\n"
"\tQueue Len:\t\t0\n"
"\tLast Packet Age:\t5 seconds\n"
"\tOpened:\t\t\t100 seconds\n"
"\tVendor:\t\t\tnone\n"
"\tSessions:\t\tnone\n"
"Invalid tunnel id \"4\"\n"
"Invalid tunnel id \"x\"\n");
	assert_prints(show_tunnels, "json",
"[\n"
"{\"tid\": 1, \"hostname\": \"lac1\", \"ip\": \"192.0.2.1\", "
"\"state\": \"Open\", \"sessions\": 2},\n"
"{\"tid\": 2, \"hostname\": \"lac2\", \"ip\": \"192.0.2.2\", "
"\"state\": \"Dieing\", \"sessions\": 0}\n"
"]\n");
}

/* --- pool, RADIUS, throttles -------------------------------------------- */

static void
no_fault(const char *file, unsigned int line, const char *reason, void *arg)
{
	(void)arg;
	fail_msg("%s:%u: %s", file, line, reason);
}

/* The manual's example is one of the lines. */
static void
the_pool(void **state)
{
	char text[] = "192.168.100.6\n192.168.100.7\n192.168.100.8\n"
	    "192.168.100.9\n";

	(void)state;
	assert_int_equal(ippool_parse("ip_pool", text, strlen(text), 0,
	    no_fault, NULL), 0);
	assert_true(ippool_claim(0xc0a86406, "joe.user", 3));
	assert_true(ippool_claim(0xc0a86407, "alice", 1));
	assert_true(ippool_claim(0xc0a86408, "nobody", 4));
	ippool_release(0xc0a86406, "joe.user");
	ippool_release(0xc0a86408, NULL);
	timer_fake(1548000);
	assert_prints(show_pool, "",
"IP Address      Used  Session User\n"
"192.168.100.6      N          [joe.user] 1548s\n"
"192.168.100.7      Y        1 alice\n"
"(Not displaying unused addresses)\n"
"\n"
"Free: 3\n"
"Used: 1\n");
	assert_prints(show_pool, "all",
"IP Address      Used  Session User\n"
"192.168.100.6      N          [joe.user] 1548s\n"
"192.168.100.7      Y        1 alice\n"
"192.168.100.8      N\n"
"192.168.100.9      N\n"
"\n"
"Free: 3\n"
"Used: 1\n");
	assert_prints(show_pool, "json",
"[\n"
"{\"ip\": \"192.168.100.6\", \"used\": false, \"sid\": null, "
"\"username\": \"joe.user\", \"idle\": 1548},\n"
"{\"ip\": \"192.168.100.7\", \"used\": true, \"sid\": 1, "
"\"username\": \"alice\", \"idle\": null}\n"
"]\n");
	assert_int_equal(lines(typed(show_pool, "all json")), 6);
	assert_int_equal(lines(typed(show_pool, "json all")), 6);
}

static void
radius_requests(void **state)
{
	(void)state;
	requests[0] = (struct radius_row){ .id = 7, .state = "AUTH", .sid = 2,
	    .retry = 1795000000, .tries = 1 };
	requests[1] = (struct radius_row){ .id = 255, .state = "START",
	    .sid = 65000, .retry = 1795000003, .tries = 3 };
	nrequests = 2;
	lns.config.radius_max_outstanding = 1000;
	assert_prints(show_radius, "",
"Radius  State   Session       Retry  Try\n"
"     7   AUTH         2  1795000000    1\n"
"   255  START     65000  1795000003    3\n"
"\n"
"Free: 998\n"
"Used: 2\n");
	assert_prints(show_radius, "all json",
"[\n"
"{\"radius\": 7, \"state\": \"AUTH\", \"sid\": 2, \"retry\": 1795000000, "
"\"try\": 1},\n"
"{\"radius\": 255, \"state\": \"START\", \"sid\": 65000, "
"\"retry\": 1795000003, \"try\": 3}\n"
"]\n");
	nrequests = 0;
	assert_prints(show_radius, "json", "[]\n");
}

static void
throttles(void **state)
{
	(void)state;
	throttle_set(session_by_sid(1), 64, 512);
	throttle_set(session_by_sid(2), 0, 64);
	assert_prints(show_throttle, "",
"Token bucket filters:\n"
"TBF#   Sid Dir   Rate Credit Queued |     ByteIn   PackIn   ByteSent PackSent PackDrop PackDelay\n"
"   0     1 in      64   6400      3 |     123456      150     120000      140        7        33\n"
"   1     1 out    512   6400      3 |     123456      150     120000      140        7        33\n"
"   2     2 out     64   6400      3 |     123456      150     120000      140        7        33\n"
"3 tbf entries used, 4 total\n");
	assert_int_equal(lines(typed(show_throttle, "json")), 5);
	throttle_set(session_by_sid(1), 0, 0);
	throttle_set(session_by_sid(2), 0, 0);
	assert_prints(show_throttle, "json", "[]\n");
}

/* --- the server --------------------------------------------------------- */

static void
uptime_says(uint64_t seconds, const char *what)
{
	char want[128];

	lns.start = timer_wall() - (time_t)seconds;
	snprintf(want, sizeof(want), " up %s, 2 users, load average: ", what);
	if (strstr(typed(show_uptime, ""), want) == NULL)
		fail_msg("after %u s: %s", (unsigned int)seconds, output);
}

static void
uptime(void **state)
{
	double load[3];
	unsigned int h, m, s, n = 0;

	(void)state;
	typed(show_uptime, "");
	assert_int_equal(sscanf(output, "%2u:%2u:%2u up 8 days, 2 users, "
	    "load average: %lf, %lf, %lf\n%n", &h, &m, &s, &load[0], &load[1],
	    &load[2], &n), 6);
	assert_string_equal(output + n, "Bandwidth: UDP-ETH:6/6  "
	    "ETH-UDP:13/13  TOTAL:37.6   IN:3033 OUT:2569\n");
	uptime_says(0, "0 secs");
	uptime_says(1, "1 sec");
	uptime_says(59, "59 secs");
	uptime_says(60, "1 min");
	uptime_says(3599, "59 mins");
	uptime_says(3600, "1:00");
	uptime_says(86399, "23:59");
	uptime_says(86400, "1 day");
	uptime_says(86400 + 300, "1 day, 0:05");
	uptime_says(100 * 86400 + 3 * 3600, "100 days, 3:00");
}

static void
counters_are_shown_and_cleared(void **state)
{
	(void)state;
	counters_clear();
	counters.eth_rx_bytes = 12345678901;
	counters.tunnel_retries = 42;
	typed(show_counters, "");
	assert_ptr_equal(output, strstr(output,
"Ethernet                  Bytes         Packets          Errors\n"
"RX                  12345678901               0               0\n"
"TX                            0               0               0\n"
"\n"
"Tunnel                    Bytes         Packets          Errors         Retries\n"
"RX                            0               0               0               0\n"
"TX                            0               0               0              42\n"
"\n"
"Counter                                  Value Meaning\n"
"eth_rx_bytes                       12345678901 bytes read from the TUN device\n"));
	assert_int_equal(lines(output), 9 + counter_rows_n + 3);
	assert_non_null(strstr(output,
	    "\ngarden.rules                                17 rules set\n"));
	assert_non_null(strstr(output, "\nlongest_loop_stall                        1234 "));
	assert_non_null(strstr(output, "\nsince_cleared                           691200 "));
	typed(show_counters, "json");
	assert_non_null(strstr(output, "{\"counter\": \"tunnel_retries\", "
	    "\"value\": 42, \"help\": \"control messages sent again\"},\n"));
	assert_prints(do_clear_counters, "", "Counters cleared\n");
	assert_string_equal(audit, "clear counters\n");
	assert_string_equal(told, "plugins cleared;stall reset;");
	assert_int_equal(counters.tunnel_retries, 0);
	timer_fake(7000);
	assert_non_null(strstr(typed(show_counters, ""),
	    "\nsince_cleared                                7 "));
}

static void
histograms(void **state)
{
	(void)state;
	typed(show_histogram, "idle");
	assert_int_equal(lines(output), 66);
	assert_true(strncmp(output, "       0 seconds :   0.0% (0)\n", 30) == 0);
	assert_non_null(strstr(output, "\n      10 seconds :  50.0% (1)\n"));
	assert_non_null(strstr(output, "\n      90 seconds :  50.0% (1)\n"));
	assert_non_null(strstr(output, "\n     315 seconds :   0.0% (0)\n"
	    "lots of secs     :   0.0% (0)\n2 total sessions open.\n"));
	session_by_sid(1)->opened -= 1000000000;
	typed(show_histogram, "open");
	assert_non_null(strstr(output, "\n <      128 seconds :  50.0% (1)\n"));
	assert_non_null(strstr(output, "\nlots of secs     :  50.0% (1)\n"));
	assert_non_null(strstr(typed(show_histogram, "open json"),
	    ",\n{\"seconds\": null, \"sessions\": 1}\n]\n"));
	assert_prints(show_histogram, "", "Specify idle or open\n");
	table_session_del(session_by_sid(1));
	table_session_del(session_by_sid(2));
	assert_non_null(strstr(typed(show_histogram, "idle"),
	    "\n0 total sessions open.\n"));
}

/* --- the cluster ----------------------------------------------------------- */

static struct cluster_status cluster;
static struct cluster_row peers[2];

void
cluster_status(struct cluster_status *s)
{
	*s = cluster;
}

bool
cluster_row(size_t i, struct cluster_row *row)
{
	if (i >= cluster.peers)
		return false;
	*row = peers[i];
	return true;
}

uint32_t
replica_queued(void)
{
	return 17;
}

void
replica_undefined(uint32_t *sessions, uint32_t *of_sessions,
    uint32_t *tunnels, uint32_t *of_tunnels)
{
	*sessions = 3;
	*of_sessions = 40;
	*tunnels = 1;
	*of_tunnels = 2;
}

#define CLUSTER_ADDRESSES						       \
    "My address       : 10.88.0.1\n"					       \
    "VIP address      : 192.0.2.1\n"					       \
    "Multicast address: 239.192.13.13\n"				       \
    "Multicast i'face : eth1\n"

static void
show_master(void)
{
	cluster = (struct cluster_status){ .role = CLUSTER_MASTER,
	    .address = 0x0a580001, .master = 0x0a580001, .next = 812,
	    .changes = 99, .peers = 2 };
	assert_prints(show_cluster, "",
	    "Cluster status   : Master\n" CLUSTER_ADDRESSES
	    "Next heartbeat # : 812\n"
	    "Highest session  : 2\n"
	    "Highest tunnel   : 1\n"
	    "17 changes queued for sending\n"
	    "2 peers.\n"
	    "             Address   Basetime      Age\n"
	    "           10.88.0.2 1700000000      0.2  up to date\n"
	    "           10.88.0.3 1700000060      1.5  behind\n"
	    "99 changes of state. Routes are not announced by this server.\n");
	assert_prints(show_cluster, "json",
	    "[\n{\"status\": \"Master\", \"address\": \"10.88.0.1\", "
	    "\"vip\": \"192.0.2.1\", \"highest_session\": 2, "
	    "\"highest_tunnel\": 1, \"next\": 812, \"queued\": 17, "
	    "\"changes\": 99, \"routes\": false, \"members\": ["
	    "{\"address\": \"10.88.0.2\", \"basetime\": 1700000000, "
	    "\"age\": 0.2, \"state\": \"up to date\"}, "
	    "{\"address\": \"10.88.0.3\", \"basetime\": 1700000060, "
	    "\"age\": 1.5, \"state\": \"behind\"}], \"peers\": 2}\n]\n");
}

static void
show_slave(void)
{
	peers[0].master = true;
	cluster = (struct cluster_status){ .role = CLUSTER_SLAVE,
	    .address = 0x0a580001, .master = 0x0a580002, .next = 812,
	    .heartbeat_age = 320, .changes = 99, .peers = 1,
	    .up_to_date = true, .routes = true };
	assert_prints(show_cluster, "",
	    "Cluster status   : Slave\n" CLUSTER_ADDRESSES
	    "My master        : 10.88.0.2 (last heartbeat 0.3 seconds old)\n"
	    "Uptodate         : Yes\n"
	    "Next sequence number expected: 812\n"
	    "3 sessions undefined of 40\n"
	    "1 tunnels undefined of 2\n"
	    "1 peers.\n"
	    "             Address   Basetime      Age\n"
	    "           10.88.0.2 1700000000      0.2  master\n"
	    "99 changes of state. Routes are announced by this server.\n");
	assert_prints(show_cluster, "json",
	    "[\n{\"status\": \"Slave\", \"address\": \"10.88.0.1\", "
	    "\"vip\": \"192.0.2.1\", \"master\": \"10.88.0.2\", "
	    "\"heartbeat_age\": 0.3, \"up_to_date\": true, \"next\": 812, "
	    "\"undefined_sessions\": 3, \"of_sessions\": 40, "
	    "\"undefined_tunnels\": 1, \"of_tunnels\": 2, "
	    "\"changes\": 99, \"routes\": true, \"members\": ["
	    "{\"address\": \"10.88.0.2\", \"basetime\": 1700000000, "
	    "\"age\": 0.2, \"state\": \"master\"}], \"peers\": 1}\n]\n");
	cluster.master = 0;
	cluster.up_to_date = false;
	assert_non_null(strstr(typed(show_cluster, ""),
	    "My master        : Not defined\nUptodate         : No\n"));
}

static void
show_of_a_cluster(void **state)
{
	(void)state;
	lns.config.bind_address = 0xc0000201;
	lns.config.cluster_address = 0xefc00d0d;
	strcpy(lns.config.cluster_interface, "eth1");
	peers[0] = (struct cluster_row){ .addr = 0x0a580002,
	    .basetime = 1700000000, .age = 249, .up_to_date = true };
	peers[1] = (struct cluster_row){ .addr = 0x0a580003,
	    .basetime = 1700000060, .age = 1500 };
	show_master();
	show_slave();
	cluster = (struct cluster_status){ .role = CLUSTER_OFF };
	lns.config.bind_address = 0;
}

static void
bgp(void **state)
{
	(void)state;
	lns.local_addr = 0xc0000264;
	bgp_rows_n = 0;
	assert_prints(show_bgp, "",
"BGPv4 router identifier 192.0.2.100, local AS number 0, hold time 180s\n"
"Peer               AS Address         State       Retries Retry-in Route Pend Prefixes\n");
	assert_prints(show_bgp, "json", "[]\n");
	assert_prints(do_restart_bgp, "", "There are no BGP neighbours\n");
	bgp_rows[0] = (struct bgp_row){ .name = "192.0.2.1",
	    .addr = 0xc0000201, .as = 65001, .local_as = 64512,
	    .state = "Established", .since = 61500, .hold = 90,
	    .keepalive = 30, .announced = 12, .in = 7, .out = 9, .flaps = 1,
	    .last_error = "sent NOTIFICATION: Hold Timer Expired",
	    .pending = true };
	bgp_rows[1] = (struct bgp_row){ .name = "core.example.net",
	    .as = 4200000000, .local_as = 64512, .state = "Idle",
	    .last_error = "", .retries = 3, .retry_in = 7001,
	    .suspended = true };
	bgp_rows_n = 2;
	bgp_is_raised = true;
	lns.config.as_number = 64512;
	assert_prints(show_bgp, "",
"BGPv4 router identifier 192.0.2.1, local AS number 64512, hold time 180s\n"
"Peer                     AS Address         State       Retries Retry-in Route Pend Prefixes\n"
"192.0.2.1             65001 192.0.2.1       Established       0        0   yes  yes       12\n"
"core.example.net 4200000000 *               Idle              3        8    no   no        0\n");
	assert_prints(show_bgp, "json",
"[\n"
"{\"peer\": \"192.0.2.1\", \"as\": 65001, \"address\": \"192.0.2.1\", \"state\": \"Established\", \"retries\": 0, \"retry_in\": 0, \"prefixes\": 12, \"route\": true, \"pending\": true, \"suspended\": false, \"seconds\": 61},\n"
"{\"peer\": \"core.example.net\", \"as\": 4200000000, \"address\": null, \"state\": \"Idle\", \"retries\": 3, \"retry_in\": 8, \"prefixes\": 0, \"route\": false, \"pending\": false, \"suspended\": true, \"seconds\": 0}\n"
"]\n");
	assert_prints(show_bgp, "192.0.2.1",
"Peer 1:\n"
"\tAddress:\t192.0.2.1\n"
"\tRemote AS:\t65001\n"
"\tLocal AS:\t64512\n"
"\tState:\t\tEstablished\n"
"\tFor:\t\t61 seconds\n"
"\tHold Time:\t90\n"
"\tKeepalive:\t30\n"
"\tPrefixes:\t12\n"
"\tPending:\tY\n"
"\tSuspended:\tN\n"
"\tMessages In:\t7\n"
"\tMessages Out:\t9\n"
"\tSessions Lost:\t1\n"
"\tLast Error:\tsent NOTIFICATION: Hold Timer Expired\n"
"\tRetries:\t0\n"
"\tRetry In:\t0\n");
	assert_prints(show_bgp, "core.example.net json",
"[\n"
"{\"peer\": \"core.example.net\", \"address\": null, \"as\": 4200000000, \"local_as\": 64512, \"state\": \"Idle\", \"seconds\": 0, \"hold\": null, \"keepalive\": null, \"prefixes\": 0, \"pending\": false, \"suspended\": true, \"messages_in\": 0, \"messages_out\": 0, \"lost\": 0, \"last_error\": null, \"retries\": 3, \"retry_in\": 8}\n"
"]\n");
	assert_prints(show_bgp, "nobody",
"No such peer: nobody\n");
}

static void
bgp_commands(void **state)
{
	(void)state;
	bgp_rows_n = 2;
	bgp_is_suspended = false;
	assert_prints(do_suspend_bgp, "", "Suspending peer 192.0.2.1\n"
	    "Suspending peer core.example.net\n");
	assert_string_equal(told, "suspend all 1");
	assert_prints(do_suspend_bgp, "core.example.net",
	    "Suspending peer core.example.net\n");
	assert_string_equal(told, "suspend core.example.net 1");
	assert_prints(do_no_suspend_bgp, "192.0.2.1",
	    "Un-suspending peer 192.0.2.1\n");
	assert_string_equal(told, "suspend 192.0.2.1 0");
	bgp_is_suspended = true;
	assert_prints(do_no_suspend_bgp, "192.0.2.1", "All peers are "
	    "suspended: no suspend bgp without a peer ends that\n");
	assert_prints(do_no_suspend_bgp, "", "Un-suspending peer 192.0.2.1\n"
	    "Un-suspending peer core.example.net\n");
	assert_string_equal(told, "suspend all 0");
	assert_prints(do_restart_bgp, "192.0.2.1",
	    "Restarting peer 192.0.2.1\n");
	assert_string_equal(told, "restart 192.0.2.1");
	assert_prints(do_restart_bgp, "", "Restarting peer 192.0.2.1\n"
	    "Restarting peer core.example.net\n");
	assert_string_equal(told, "restart all");
	assert_prints(do_restart_bgp, "x", "No such peer: x\n");
	assert_prints(do_restart_bgp, "a b",
	    "Specify one peer, or none for all\n");

	assert_prints(do_router_bgp, "64512", "");
	assert_string_equal(told, "router bgp 64512");
	assert_prints(do_no_router_bgp, "", "");
	assert_string_equal(told, "no router bgp");
	assert_prints(do_neighbour, "192.0.2.1 remote-as wrong", "is wrong\n");
	assert_string_equal(told, "neighbour 192.0.2.1 remote-as wrong");
	assert_prints(do_neighbour, "a b c d e f g h i j", "");
	assert_string_equal(told, "neighbour a b c d e f g");
	assert_prints(do_neighbour, "192.0.2.1 password hush", "");
	assert_string_equal(audit, "neighbour 192.0.2.1 password ****\n");
	assert_prints(do_neighbour, "192.0.2.1 timers 5 15", "");
	assert_string_equal(audit, "neighbour 192.0.2.1 timers 5 15\n");
	assert_prints(do_neighbour, "192.0.2.1 rem 1", "");
	assert_string_equal(told, "neighbour 192.0.2.1 remote-as 1");
	assert_prints(do_no_neighbour, "192.0.2.1 t", "");
	assert_string_equal(told, "no neighbour 192.0.2.1 t");
	assert_prints(do_no_neighbour, "192.0.2.1 ti", "");
	assert_string_equal(told, "no neighbour 192.0.2.1 timers");
	assert_prints(do_no_neighbour, "192.0.2.1", "");
	assert_string_equal(told, "no neighbour 192.0.2.1");
}

static void
the_rest_of_show(void **state)
{
	(void)state;
	lns.local_addr = 0xc0000264;
	assert_true(strncmp(typed(show_version, ""),
	    "L2TPNS " L2TPNS_VERSION "\nCompiled by ", 10) == 0);
	assert_prints(show_plugins, "",
	    "Plugins currently loaded:\n  garden\n  autosnoop\n");
	assert_prints(show_plugins, "json",
	    "[\n{\"name\": \"garden\"},\n{\"name\": \"autosnoop\"}\n]\n");
	assert_prints(show_ipcache, "",
	    "Sess# IP Address\n    1 10.20.0.9\n1 entries in cache\n");
	typed(show_cluster, "");
	assert_true(strncmp(output, "Cluster status   : Master\n"
	    "My address       : 192.0.2.100\n", 56) == 0);
	assert_non_null(strstr(output, "\nHighest session  : 2\n"));
	/* L-13: secrets are for the enabled. */
	assert_string_equal(typed_by(true, 0, show_running_config, ""),
	    "# Current configuration:\nset l2tp_secret \"hush\"\n# end\n");
	assert_string_equal(typed_by(false, 0, show_running_config, ""),
	    "# Current configuration:\nset l2tp_secret \"****\"\n# end\n");
}

/* --- what changes something --------------------------------------------- */

static void
snoop(void **state)
{
	struct session *s = session_by_sid(1);

	(void)state;
	s->flags = SF_OPEN;
	assert_prints(do_snoop, "", "Specify username ip port\n");
	assert_prints(do_snoop, "alice",
	    "Specify username ip port, or set snoop_host and snoop_port\n");
	assert_prints(do_snoop, "alice 1.2.3.4", "Specify username ip port\n");
	assert_prints(do_snoop, "alice 1.2.3 9",
	    "Cannot parse IP \"1.2.3\"\n");
	assert_prints(do_snoop, "alice 1.2.3.4 65536", "Invalid port 65536\n");
	assert_prints(do_snoop, "alice 1.2.3.4 0", "Invalid port 0\n");
	assert_prints(do_snoop, "bob 1.2.3.4 9",
	    "User bob is not connected\n");
	assert_string_equal(audit, "");
	assert_prints(do_snoop, "alice 1.1.1.1 9", "Cannot snoop user alice: "
	    "there is no socket to send from\n");
	assert_prints(do_snoop, "alice 1.2.3.4 9",
	    "Snooping user alice to 1.2.3.4:9\n");
	assert_string_equal(audit, "snoop alice 1.2.3.4 9\n");
	assert_string_equal(told, "alice from 192.0.2.7");
	assert_int_equal(s->snoop_ip, 0x01020304);
	lns.config.snoop_host = 0x05060708;
	lns.config.snoop_port = 5555;
	assert_prints(do_snoop, "alice",
	    "Snooping user alice to 5.6.7.8:5555\n");
	assert_prints(do_no_snoop, "", "Specify username\n");
	assert_prints(do_no_snoop, "bob", "User bob is not connected\n");
	assert_prints(do_no_snoop, "alice", "Not snooping user alice\n");
	assert_string_equal(audit, "no snoop alice\n");
	assert_false(s->flags & SF_SNOOP);
}

static void
throttle(void **state)
{
	struct session *s = session_by_sid(1), *other;

	(void)state;
	assert_prints(do_throttle, "", "Specify username\n");
	assert_prints(do_throttle, "alice",
	    "Throttling is off: set throttle_speed first\n");
	assert_prints(do_throttle, "alice 128",
	    "Throttling is off: set throttle_speed first\n");
	assert_prints(do_throttle, "alice in 128 out 512",
	    "Throttling is off: set throttle_speed first\n");
	assert_false(s->flags & SF_THROTTLE);
	lns.config.throttle_speed = 64;
	assert_prints(do_throttle, "bob", "User bob is not connected\n");
	assert_prints(do_throttle, "alice", "Throttling user alice\n");
	assert_string_equal(audit,
	    "throttle alice in 64 out 64 kbit/s\n");
	assert_prints(do_throttle, "alice", "User alice already throttled\n");
	assert_prints(do_throttle, "alice 128", "Throttling user alice\n");
	assert_int_equal(s->throttle_out, 128);
	assert_prints(do_throttle, "alice out 512", "Throttling user alice\n");
	assert_int_equal(s->throttle_in, 128);
	assert_int_equal(s->throttle_out, 512);
	assert_prints(do_throttle, "alice out 1 in 2",
	    "Throttling user alice\n");
	assert_int_equal(s->throttle_in, 2);
	assert_int_equal(s->throttle_out, 1);
	assert_prints(do_throttle, "alice 0",
	    "Invalid rate \"0\" (1-100000000 kbit/s)\n");
	assert_prints(do_throttle, "alice in fast",
	    "Invalid rate \"fast\" (1-100000000 kbit/s)\n");
	assert_prints(do_throttle, "alice in 5 out", "Specify username, and "
	    "a rate or in RATE out RATE\n");
	/* A session id where it is no user; all sessions of a user. */
	other = add_session(tunnel_by_tid(1), "alice", 5);
	assert_prints(do_throttle, "1 77", "Throttling user alice\n");
	assert_int_equal(s->throttle_in, 77);
	assert_int_equal(other->throttle_in, 0);
	assert_prints(do_no_throttle, "", "Specify username\n");
	assert_prints(do_no_throttle, "1", "Unthrottling user alice\n");
	assert_string_equal(audit, "no throttle alice\n");
	assert_prints(do_no_throttle, "alice", "User alice not throttled\n");
	strcpy(other->user, "1");
	assert_prints(do_throttle, "1", "Throttling user 1\n");
	assert_int_equal(s->throttle_in, 0);
	assert_int_equal(other->throttle_in, 64);
}

static void
dropping(void **state)
{
	(void)state;
	assert_prints(do_drop_session, "", "Specify a session ID\n");
	assert_prints(do_drop_session, "0 65536 x 65535 1",
	    "Invalid session ID (1-65535)\n"
	    "Invalid session ID (1-65535)\n"
	    "Invalid session ID (1-65535)\n"
	    "Session 65535 is not active.\n"
	    "Dropping session 1\n");
	assert_string_equal(audit, "drop session 1\n");
	assert_true(session_by_sid(1)->dying);
	assert_prints(do_drop_session, "1", "Session 1 is not active.\n");
	assert_prints(show_session, "1", "Invalid session id \"1\"\n");
	assert_prints(do_drop_tunnel, "", "Specify a tunnel ID\n");
	assert_prints(do_drop_tunnel, "4 3 1",
	    "Invalid tunnel ID (1-3)\n"
	    "Tunnel 3 is not connected\n"
	    "Tunnel 1 shut down (lac1)\n");
	assert_string_equal(audit, "drop tunnel 1 (lac1), 2 sessions\n");
	assert_prints(do_drop_tunnel, "1",
	    "Tunnel 1 is already being shut down\n");
	assert_prints(do_drop_user, "", "Specify a user\n");
	assert_prints(do_drop_user, "alice", "User alice is not connected\n");
}

/* A guest account: all of them, in slices. */
static void
a_user_with_many_sessions(void **state)
{
	(void)state;
	for (int i = 0; i < 600; i++)
		add_session(tunnel_by_tid(1), "guest", 0x0b000000 + i);
	assert_prints(do_drop_user, "guest", "Dropping user guest\n");
	assert_string_equal(audit, "drop user guest\n");
	assert_true(slices > 2);
	assert_null(session_by_user("guest"));
	assert_non_null(session_by_user("alice"));
}

static void
configuration(void **state)
{
	(void)state;
	assert_prints(do_set, "", "Specify variable and value\n");
	assert_prints(do_set, "debug", "Specify variable and value\n");
	assert_prints(do_set, "debug 1 2", "Specify variable and value\n");
	assert_prints(do_set, "banana 1", "Unknown variable \"banana\"\n");
	assert_prints(do_set, "debug x", "debug: \"x\" is no number\n");
	assert_string_equal(audit, "");
	assert_prints(do_set, "debug 3", "Setting \"debug\" to \"3\"\n");
	assert_string_equal(audit, "set debug \"3\"\n");
	assert_prints(do_set, "setuid 99", "Setting \"setuid\" to \"99\"\n"
	    "takes effect after a restart\n");
	assert_prints(do_set, "l2tp_secret hush",
	    "Setting \"l2tp_secret\" to \"****\"\n");
	assert_string_equal(audit, "set l2tp_secret \"****\"\n");
	assert_prints(do_write_memory, "", "Writing configuration\n");
	assert_prints(do_reload, "", "Configuration loaded again\n");
	assert_string_equal(audit, "reload\n");
	strcpy(told, "disk full");
	assert_prints(do_write_memory, "", "Writing configuration\n"
	    "Error writing configuration: disk full\n");
	assert_prints(do_reload, "", "The running configuration stays in "
	    "force\ndisk full\n");
}

static volatile sig_atomic_t quits;

static void
on_quit(int sig)
{
	(void)sig;
	quits++;
}

static void
plugins_and_the_end(void **state)
{
	(void)state;
	assert_prints(do_load_plugin, "", "Specify a plugin to load\n");
	assert_prints(do_load_plugin, "garden", "Plugin is already loaded\n");
	assert_prints(do_load_plugin, "throttlectl",
	    "Loading plugin throttlectl\n");
	assert_string_equal(audit, "load plugin throttlectl\n");
	assert_prints(do_load_plugin, "x",
	    "Loading plugin x\nPlugin load failed: no file\n");
	assert_string_equal(audit,
	    "load plugin x\nload plugin x: not done: no file\n");
	assert_prints(do_remove_plugin, "", "Specify a plugin to remove\n");
	assert_prints(do_remove_plugin, "x", "Plugin is not loaded\n");
	assert_prints(do_remove_plugin, "garden", "Removing plugin garden\n");
	assert_prints(do_remove_plugin, "autosnoop", "Removing plugin "
	    "autosnoop\nPlugin remove failed: it does not want to\n");
	signal(SIGQUIT, on_quit);
	assert_prints(do_shutdown, "",
	    "Shutting down: 2 sessions on 1 tunnels are disconnected\n");
	assert_int_equal(quits, 1);
	assert_string_equal(audit, "shutdown\n");
	signal(SIGQUIT, SIG_DFL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scene, done)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(sessions_in_the_columns_of_old),
		T(sessions_as_json),
		T(big_numbers_are_aligned),
		T(narrow_terminals_get_less),
		T(no_line_is_wider_than_the_terminal),
		T(one_session_in_detail),
		T(who_lets_no_packet_pass),
		T(faults_keep_json_valid),
		T(names_can_not_break_out),
		T(a_crowd_comes_in_slices),
		T(sessions_may_leave_meanwhile),
		T(the_sessions_of_a_tunnel_in_slices),
		T(users),
		T(tunnels),
		T(the_pool),
		T(radius_requests),
		T(throttles),
		T(uptime),
		T(counters_are_shown_and_cleared),
		T(histograms),
		T(bgp),
		T(bgp_commands),
		T(show_of_a_cluster),
		T(the_rest_of_show),
		T(snoop),
		T(throttle),
		T(dropping),
		T(a_user_with_many_sessions),
		T(configuration),
		T(plugins_and_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
