/*
 * plugin_host_test.c - what plugins are offered: looking, changing, running
 *
 * The functions are called from inside the plugin `answer`, whose command
 * `call` runs a function of ours: so all is as a plugin has it.  The sessions
 * are real ones.  That takes root, as plugins_test.c does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accounting.h"
#include "auth.h"
#include "ippool.h"
#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "plugin_int.h"
#include "ppp_proto.h"
#include "radius.h"
#include "session.h"
#include "table.h"
#include "throttle.h"
#include "timer.h"
#include "tunnel.h"
#include "wire.h"

struct l2tpns lns;

static char dir[64], err[512];
static const struct pluginfuncs *const host = &plugin_host_functions;

static void __attribute__((format(printf, 1, 2)))
sh(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

static void
make_tunnel(void)
{
	struct tunnel t = { .tid = 1, .local_id = 77, .peer_id = 88,
	    .peer = { 0x0a630102, 0, 1701 }, .peer_window = 4, .opened = 1000,
	    .hostname = "lac.test", .vendor = "carriers" };
	struct ctl_carry carry = { .window = 64 };

	assert_non_null(tunnel_resume(&t, &carry));
}

static struct session *
make_session(uint32_t sid, const char *user)
{
	static struct session s;	/* aligned, as a slot is */
	struct session_carry carry = { .ppp = { .magic = 1,
	    .our_mru = 1500, .peer_mru = 1500, .auth_protocol = PPP_PAP } };
	struct session *made;

	s = (struct session){ .sid = sid, .tid = 1,
	    .local_id = (uint16_t)(100 + sid), .peer_id = (uint16_t)(sid + 1),
	    .flags = SF_OPEN, .ip = 0x0a320000 + sid, .opened = 2000,
	    .auth_protocol = PPP_PAP, .tx_speed = 64000, .interim = 600 };
	snprintf(s.user, sizeof(s.user), "%s", user);
	snprintf(s.acct_id, sizeof(s.acct_id), "%08X", sid);
	made = session_resume(&s, &carry, 0);
	assert_non_null(made);
	return made;
}

static int
begin(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	memset(&lns, 0, sizeof(lns));
	config_defaults(&lns.config);
	lns.config.throttle_speed = 100;
	lns.config.primary_dns = 0x0a630253;
	lns.config.radius_accounting = true;
	lns.master = true;
	strcpy(lns.etcdir, "/etc/l2tpns");
	timers_init();
	timer_fake(5000);
	assert_true(loop_init());
	assert_true(log_open("/dev/null", err, sizeof(err)));
	assert_true(table_init(100, 10));
	lns.lpm = lpm_new();
	session_init();
	tunnel_init();
	ppp_init();
	make_tunnel();
	strcpy(dir, "/run/plugin_host_test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	sh("chmod 755 %s && cp " TEST_PLUGINS "/answer.so " TEST_PLUGINS
	    "/lastwords.so " TEST_PLUGINS "/record.so %s && chmod 644 %s/*.so", dir, dir, dir);
	plugins_init(dir);
	assert_true(plugin_load("answer", err, sizeof(err)));
	return 0;
}

static int
end(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	plugins_exit();
	timers_init();			/* before what they are in is gone */
	session_exit();
	tunnel_exit();
	acct_forget();
	table_free();
	lpm_free(lns.lpm);
	sh("rm -rf %s", dir);
	return 0;
}

#define NEEDS_ROOT	do { if (geteuid() != 0) skip(); } while (0)

/* Runs f as a plugin's code. */
static void
inside(void (*f)(void))
{
	static const char *argv[] = { "call", NULL };
	struct param_control p = { .argc = 1, .argv = argv,
	    .data = (const char *)&f, .data_length = sizeof(f) };

	assert_int_equal(plugin_call(PE_control, &p, NULL), PLUGIN_RET_STOP);
	free(p.response);
}

/* --- looking ------------------------------------------------------------- */

static void
test_copies(void **state)
{
	struct plugin_session p;
	struct plugin_tunnel t;
	char more[sizeof(p) + 64];
	struct session *s;

	(void)state;
	NEEDS_ROOT;
	s = make_session(5, "alice");
	s->rx_octets = 1;
	s->tx_octets = UINT64_C(1) << 40;
	strcpy(s->filter_id, "strict");
	s->nroutes = 1;
	s->routes[0] = (struct prefix){ 0xc0000200, 24 };
	assert_true(throttle_set(s, 64, 128));
	assert_int_equal(host->get_session(5, &p, sizeof(p)), 1);
	assert_int_equal(p.s, 5);
	assert_int_equal(p.t, 1);
	assert_int_equal(p.ip, 0x0a320005);
	assert_true(p.authenticated && p.open && !p.garden);
	assert_int_equal(p.protocol, PLUGIN_PAP);
	assert_int_equal(p.throttle_in, 64);
	assert_int_equal(p.throttle_out, 128);
	assert_int_equal(p.tx_speed, 64000);
	assert_int_equal(p.opened, 2000);
	assert_true(p.rx_octets == 1 && p.tx_octets == UINT64_C(1) << 40);
	assert_string_equal(p.username, "alice");
	assert_string_equal(p.filter_id, "strict");
	assert_string_equal(p.acct_id, "00000005");
	assert_int_equal(p.nroutes, 1);
	assert_int_equal(p.routes[0].addr, 0xc0000200);
	assert_int_equal(p.routes[0].len, 24);
	/* A plugin of before that knows less, one of later that knows more. */
	memset(more, 'x', sizeof(more));
	assert_int_equal(host->get_session(5, (void *)more, 8), 1);
	assert_memory_equal(more, &p, 8);
	assert_int_equal(more[8], 'x');
	memset(more, 'x', sizeof(more));
	assert_int_equal(host->get_session(5, (void *)more, sizeof(more)), 1);
	assert_memory_equal(more, &p, sizeof(p));
	for (size_t i = sizeof(p); i < sizeof(more); i++)
		assert_int_equal(more[i], 0);
	s->nroutes = 0;
	assert_int_equal(host->get_session(6, &p, sizeof(p)), 0);
	assert_int_equal(host->get_session(0, &p, sizeof(p)), 0);
	assert_int_equal(host->get_session(UINT32_MAX, &p, sizeof(p)), 0);
	assert_int_equal(host->get_session(5, NULL, sizeof(p)), 0);
	assert_int_equal(host->get_tunnel(1, &t, sizeof(t)), 1);
	assert_int_equal(t.ip, 0x0a630102);
	assert_int_equal(t.port, 1701);
	assert_int_equal(t.sessions, 1);
	assert_string_equal(t.hostname, "lac.test");
	assert_string_equal(t.vendor, "carriers");
	assert_int_equal(host->get_tunnel(2, &t, sizeof(t)), 0);
}

static void
test_lookups(void **state)
{
	(void)state;
	NEEDS_ROOT;
	make_session(5, "alice");
	make_session(7, "5");
	make_session(9, "alice");
	assert_int_equal(host->get_session_by_username("alice"), 9);
	assert_int_equal(host->get_session_by_username("Alice"), 0);
	assert_int_equal(host->get_session_by_username(NULL), 0);
	assert_int_equal(host->get_session_by_ip(0x0a320007), 7);
	assert_int_equal(host->get_session_by_ip(0x0a320008), 0);
	assert_int_equal(host->get_session_by_ip(0), 0);
	/* A user before an id. */
	assert_int_equal(host->find_session("5"), 7);
	assert_int_equal(host->find_session("9"), 9);
	assert_int_equal(host->find_session("8"), 0);
	assert_int_equal(host->find_session("nobody"), 0);
	assert_int_equal(host->find_session(""), 0);
	assert_int_equal(host->find_session(NULL), 0);
	assert_int_equal(host->next_session(0), 5);
	assert_int_equal(host->kill(7, "test"), 1);
	assert_int_equal(host->next_session(5), 9);
	assert_int_equal(host->next_session(9), 0);
	assert_int_equal(host->find_session("5"), 5);
	assert_int_equal(host->find_session("7"), 0);
}

static void
test_config(void **state)
{
	char text[CONFIG_PRINTED];

	(void)state;
	NEEDS_ROOT;
	strcpy(lns.config.radius_secret, "hush");
	strcpy(lns.config.log_file, "/tmp/a \"b\"");
	assert_int_equal(host->get_config("throttle_speed", text, 4), 1);
	assert_string_equal(text, "100");
	assert_int_equal(host->get_config("throttle_speed", text, 3), 0);
	assert_int_equal(host->get_config("primary_dns", text, 99), 1);
	assert_string_equal(text, "10.99.2.83");
	assert_int_equal(host->get_config("save_state", text, 99), 1);
	assert_string_equal(text, "no");
	assert_int_equal(host->get_config("radius_secret", text, 99), 0);
	assert_int_equal(host->get_config("l2tp_secret", text, 99), 0);
	assert_int_equal(host->get_config("nsctl_secret", text, 99), 0);
	assert_int_equal(host->get_config("no_such_key", text, 99), 0);
	assert_int_equal(host->get_config(NULL, text, 99), 0);
	assert_int_equal(host->get_config("throttle_speed", NULL, 99), 0);
	assert_string_equal(host->etcdir, "/etc/l2tpns");
	assert_int_equal(host->is_master(), 1);
}

/* --- changing ------------------------------------------------------------- */

static void
test_changes(void **state)
{
	char text[300];
	struct session *s;

	(void)state;
	NEEDS_ROOT;
	s = make_session(5, "alice");
	memset(text, 'x', sizeof(text));
	text[64] = '\0';
	assert_int_equal(host->set_filter(5, text), 0);
	assert_int_equal(host->set_filter(5, text + 1), 1);
	assert_string_equal(s->filter_id, text + 1);
	assert_int_equal(host->set_filter(5, NULL), 0);
	assert_int_equal(host->set_dns(5, 0x08080808, 0), 1);
	assert_int_equal(s->dns1, 0x08080808);
	assert_int_equal(s->dns2, 0);
	assert_int_equal(host->set_dns(5, 0, 0x08080404), 1);
	assert_int_equal(s->dns1, 0x0a630253);
	assert_int_equal(host->set_dns(5, 0x7f000001, 0), 0);
	assert_int_equal(host->set_dns(5, 1, 0xe0000001), 0);
	assert_int_equal(host->set_dns(5, UINT32_MAX, 0), 0);
	assert_int_equal(host->set_speed(5, 1, 2), 1);
	assert_true(s->tx_speed == 1 && s->rx_speed == 2);
	assert_int_equal(host->throttle(5, 1000, 0), 1);
	assert_int_equal(s->throttle_in, 1000);
	assert_int_equal(host->throttle(5, THROTTLE_MAX + 1, 0), 0);
	assert_int_equal(host->throttle(5, 0, UINT32_MAX), 0);
	lns.config.throttle_speed = 0;		/* never throttle anybody */
	assert_int_equal(host->throttle(5, 64, 64), 0);
	assert_int_equal(host->throttle(5, 0, 0), 1);
	assert_int_equal(s->flags & SF_THROTTLE, 0);
	/* There is no socket to send copies from, and nobody to stop. */
	assert_int_equal(host->snoop(5, 0x0a630102, 4000), 0);
	assert_int_equal(host->snoop(5, 0, 0), 1);
	/* The peer knows under which name it is in. */
	assert_int_equal(host->set_username(5, "bob"), 0);
	session_local(s)->ppp.phase = PPP_AUTHENTICATE;
	memset(text, 'x', sizeof(text));
	text[254] = '\0';
	assert_int_equal(host->set_username(5, text), 0);
	assert_int_equal(host->set_username(5, ""), 0);
	assert_int_equal(host->set_username(5, NULL), 0);
	assert_int_equal(host->set_username(5, text + 1), 1);
	assert_int_equal(host->get_session_by_username("alice"), 0);
	assert_int_equal(host->get_session_by_username(text + 1), 5);
}

static void
test_a_slave_changes_nothing(void **state)
{
	(void)state;
	NEEDS_ROOT;
	make_session(5, "alice");
	lns.master = false;
	assert_int_equal(host->is_master(), 0);
	assert_int_equal(host->set_filter(5, "x"), 0);
	assert_int_equal(host->set_dns(5, 0, 0), 0);
	assert_int_equal(host->set_speed(5, 1, 1), 0);
	assert_int_equal(host->throttle(5, 0, 0), 0);
	assert_int_equal(host->snoop(5, 0, 0), 0);
	assert_int_equal(host->garden(5, 1), 0);
	assert_int_equal(host->kill(5, "x"), 0);
	assert_int_equal(host->shutdown(5, "x", 0, 0, 0), 0);
	assert_int_equal(host->find_session("alice"), 5);
}

static void
test_ending(void **state)
{
	struct plugin_session p;
	char reason[1000];

	(void)state;
	NEEDS_ROOT;
	make_session(5, "alice");
	make_session(6, "bob");
	make_session(7, "carol");
	memset(reason, '\n', sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	assert_int_equal(host->shutdown(5, reason, 256, 0, 0), 0);
	assert_int_equal(host->shutdown(5, reason, 0, -1, 0), 0);
	assert_int_equal(host->shutdown(5, reason, 0, 0, 256), 0);
	assert_int_equal(host->shutdown(5, reason, 2, 6, 8), 1);
	assert_int_equal(host->shutdown(5, reason, 0, 0, 0), 0);
	assert_int_equal(host->kill(5, NULL), 0);
	assert_int_equal(host->get_session(5, &p, sizeof(p)), 0);
	assert_int_equal(host->set_filter(5, "x"), 0);
	assert_int_equal(host->garden(5, 1), 0);
	assert_int_equal(host->shutdown(6, NULL, 0, 0, 0), 1);
	assert_int_equal(host->kill(7, reason), 1);
	session_reap();
	assert_int_equal(table_sessions(), 0);
}

/* --- holding ------------------------------------------------------------------ */

static struct session *held;

static void
hold_it(void)
{
	assert_int_equal(host->hold(held->sid, 1), 1);
	assert_int_equal(host->hold(held->sid, 1), 1);
	assert_int_equal(host->hold(held->sid + 1, 1), 0);
}

static void
let_it_go(void)
{
	assert_int_equal(host->hold(held->sid, 0), 1);
}

static void
test_hold(void **state)
{
	char names[80];

	(void)state;
	NEEDS_ROOT;
	held = make_session(5, "alice");
	assert_int_equal(host->hold(5, 1), 0);	/* nobody's */
	inside(hold_it);
	assert_int_equal(held->flags & SF_OPEN, 0);
	assert_string_equal(plugin_holders(session_local(held)->held, names,
	    sizeof(names)), "answer");
	assert_string_equal(plugin_holders(~session_local(held)->held, names,
	    sizeof(names)), "");
	session_hold(held, 1u << 31, true);	/* another plugin's */
	inside(let_it_go);
	assert_int_equal(held->flags & SF_OPEN, 0);
	session_hold(held, 1u << 31, false);
	assert_int_equal(held->flags & SF_OPEN, SF_OPEN);
	/* IPCP comes and goes meanwhile. */
	inside(hold_it);
	session_network_down(held);
	inside(let_it_go);
	assert_int_equal(held->flags & SF_OPEN, 0);
	inside(hold_it);
	session_network_up(held);
	assert_int_equal(held->flags & SF_OPEN, 0);
	/* Who is gone holds nobody. */
	assert_true(plugin_remove("answer", err, sizeof(err)));
	assert_int_equal(held->flags & SF_OPEN, SF_OPEN);
	/* Nor is it lost when the process ends. */
	session_hold(held, 1, true);
	sessions_settle("a restart");
	assert_false(held->dying);
	assert_int_equal(held->flags & SF_OPEN, SF_OPEN);
}

/* --- the garden ------------------------------------------------------------- */

static void
test_garden(void **state)
{
	struct session *s, *other, *third;
	char id[24];

	(void)state;
	NEEDS_ROOT;
	lns.config.primary_radius = 0x7f000001;
	strcpy(lns.config.radius_secret, "secret");
	assert_true(radius_init(err, sizeof(err)));
	s = make_session(5, "alice");
	acct_start(s);
	strcpy(id, s->acct_id);
	assert_int_equal(acct_pending(), 1);
	assert_int_equal(host->garden(5, 7), 1);
	assert_int_equal(s->flags & SF_GARDEN, SF_GARDEN);
	assert_false(s->acct_started);		/* what began has ended */
	assert_int_equal(acct_pending(), 2);
	assert_string_not_equal(s->acct_id, id);
	assert_int_equal(host->garden(5, 1), 1);
	assert_int_equal(acct_pending(), 2);
	acct_interim(s);
	assert_int_equal(acct_pending(), 2);
	other = make_session(6, "ALICE");
	third = make_session(7, "alice");
	assert_int_equal(host->garden(7, 1), 1);
	s->rx_octets = s->tx_packets = 99;
	session_local(s)->usage.rx = 50;
	assert_int_equal(host->garden(5, 0), 1);
	assert_int_equal(s->flags & SF_GARDEN, 0);
	assert_true(s->acct_started);
	assert_int_equal(acct_pending(), 3);
	assert_true(s->rx_octets == 0 && s->tx_packets == 0);
	assert_int_equal(session_local(s)->usage.rx, 0);
	assert_true(timer_armed(&session_local(s)->interim_timer));
	assert_true(other->dying);		/* the one session a user */
	assert_false(third->dying);		/* in the garden: not counted */
	lns.config.allow_duplicate_users = true;
	assert_int_equal(host->garden(7, 0), 1);
	assert_false(s->dying);
	radius_exit();
}

/* Whoever it was: nothing of him sticks to the address. */
static void
test_garden_address(void **state)
{
	static char text[] = "10.50.0.0/24\n";
	struct session *s;
	struct ippool_row row;

	(void)state;
	NEEDS_ROOT;
	assert_int_equal(ippool_parse("ip_pool", text, strlen(text), 0, NULL,
	    NULL), 0);
	s = make_session(5, "alice");
	make_session(6, "bob");
	assert_int_equal(host->garden(5, 1), 1);
	assert_int_equal(host->kill(5, "x"), 1);
	assert_int_equal(host->kill(6, "x"), 1);
	assert_int_equal(s->ip, 0);
	for (size_t i = 0; ippool_row(i, &row); i++)
		assert_string_not_equal(row.last_user, "alice");
	assert_int_equal(ippool_used(), 0);
	ippool_clear();
}

/* --- accounting ------------------------------------------------------------- */

static void
test_account_add(void **state)
{
	struct param_radius_account p = { .record = &p };

	(void)state;
	NEEDS_ROOT;
	assert_int_equal(host->account_add(&p, 11, "x", 1), 0);
	p.record = NULL;
	assert_int_equal(host->account_add(&p, 11, "x", 1), 0);
	assert_int_equal(host->account_add(NULL, 11, "x", 1), 0);
	assert_int_equal(host->account_add_vsa(&p, 9, 1, "x", 1), 0);
}

/* --- pairs ------------------------------------------------------------------- */

static char pairs[1000];

static void
hear_pair(struct log_listener *l, enum log_level level, uint32_t tid,
    uint32_t sid, const char *text)
{
	const char *key = strstr(text, " key "), *value, *last;

	(void)l, (void)level, (void)tid, (void)sid;
	if (strncmp(text, "record: radius_response ", 24) != 0 || key == NULL)
		return;
	value = strstr(key, " value ");
	last = strstr(key, " {");
	assert_true(value != NULL && last != NULL);
	key += 5;
	snprintf(pairs + strlen(pairs), sizeof(pairs) - strlen(pairs),
	    "[%.*s|%.*s]", (int)(value - key), key, (int)(last - value - 7),
	    value + 7);
}

static void
want_pairs(struct session *s, const char *text, size_t len, const char *want)
{
	memcpy(s->avpair, text, len);
	s->avpair_len = (uint16_t)len;
	pairs[0] = '\0';
	plugins_radius_response(s);
	assert_string_equal(pairs, want);
}

#define PAIRS(text, want)	want_pairs(s, text, sizeof(text), want)

static void
test_pairs(void **state)
{
	struct log_listener l = { .line = hear_pair, .levels = ~0u };
	static const char long_text[AVPAIR_MAX] = "a=b";
	struct session *s;

	(void)state;
	NEEDS_ROOT;
	assert_true(plugin_load("record", err, sizeof(err)));
	s = make_session(5, "alice");
	log_set_level(LOG_L_INFO);
	log_listen(&l);
	PAIRS("a=b", "[a|b]");
	PAIRS("throttle=yes,intercept=10.0.0.1:99",
	    "[throttle|yes][intercept|10.0.0.1:99]");
	PAIRS(" a = b , c=d\t", "[a|b][c|d]");
	PAIRS("\"a=b,c=\"d e\"", "[\"a|b][c|d e]");
	PAIRS("\"a=b\",c=\"\"", "[a|b][c|]");
	PAIRS("lcp:interface-config#1=service-policy input 128",
	    "[lcp:interface-config#1|service-policy input 128]");
	PAIRS("word", "[word|]");
	PAIRS("a==b=", "[a|=b=]");
	PAIRS("=b", "[|b]");
	PAIRS(",, ,a=b,", "[a|b]");
	PAIRS("\"", "[\"|]");
	PAIRS("", "");
	PAIRS("a=b\0c=d,e", "[a|b][c|d][e|]");
	/* Nothing that RADIUS left, but not read past its end either. */
	want_pairs(s, "a=b\0c", 5, "[a|b]");
	want_pairs(s, "a=b", 3, "");
	want_pairs(s, long_text, sizeof(long_text), "[a|b]");
	log_unlisten(&l);
	log_set_level(LOG_L_WARN);
}

/* --- counters ---------------------------------------------------------------- */

static int one, two;

static void
count_inside(void)
{
	one = host->counter("first", "the first\n");
	two = host->counter("second_2", NULL);
	assert_true(one >= 0 && two >= 0 && one != two);
	assert_int_equal(host->counter("first", "again"), one);
	assert_int_equal(host->counter("", ""), -1);
	assert_int_equal(host->counter(NULL, ""), -1);
	assert_int_equal(host->counter("a b", ""), -1);
	assert_int_equal(host->counter("0123456789012345678901234567890123456789x",
	    ""), -1);
	host->count(one, 40);
	host->count(one, 2);
	host->count(two, UINT64_C(1) << 60);
	host->count(-1, 1);
	host->count(1 << 20, 1);
}

static void
count_too_many(void)
{
	char name[16];
	int n = 0;

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		n += host->counter(name, "x") >= 0;
	}
	assert_int_equal(n, 30);
}

static void
test_counters(void **state)
{
	struct plugin_counter_row row;

	(void)state;
	NEEDS_ROOT;
	assert_int_equal(host->counter("nobody", ""), -1);
	inside(count_inside);
	host->count(one, 1000);			/* nobody's */
	assert_true(plugin_counter_row(0, &row));
	assert_string_equal(row.name, "answer.first");
	assert_string_equal(row.help, "the first ");
	assert_int_equal(row.value, 42);
	assert_true(plugin_counter_row(1, &row));
	assert_string_equal(row.name, "answer.second_2");
	assert_true(row.value == UINT64_C(1) << 60);
	assert_false(plugin_counter_row(2, &row));
	plugin_counters_clear();
	assert_true(plugin_counter_row(0, &row));
	assert_int_equal(row.value, 0);
	inside(count_too_many);
	assert_true(plugin_remove("answer", err, sizeof(err)));
	assert_false(plugin_counter_row(0, &row));
}

/* --- programs ------------------------------------------------------------------ */

static int ended, last_status;
static char last_output[4100];
static void *last_arg;

static void
done(void *arg, int status, const char *output)
{
	ended++;
	last_status = status;
	last_arg = arg;
	snprintf(last_output, sizeof(last_output), "%s", output);
}

static const char *program[8];
static const char *input;
static size_t input_len;
static int started;

static void
start(void)
{
	started = host->run(program, input, input_len, done, &ended);
}

/* Turns until n have ended; a real second at most. */
static void
wait_for(int n)
{
	uint64_t until = timer_usec() + 10 * 1000000;

	while (ended < n && timer_usec() < until)
		loop_turn(10);
	assert_int_equal(ended, n);
}

static void
run(const char *a, const char *b, const char *c)
{
	program[0] = a;
	program[1] = b;
	program[2] = c;
	program[3] = NULL;
	inside(start);
}

static int
descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static int
begin_run(void **state)
{
	ended = 0;
	input = NULL;
	input_len = 0;
	return begin(state);
}

static void
test_run(void **state)
{
	int before = descriptors();
	char *big = malloc(1000000);

	(void)state;
	NEEDS_ROOT;
	assert_non_null(big);
	run("/bin/echo", "-n", "hello  $HOME");
	assert_int_equal(started, 1);
	wait_for(1);
	assert_int_equal(last_status, 0);
	assert_ptr_equal(last_arg, &ended);
	assert_string_equal(last_output, "hello  $HOME");
	/* Nothing of ours is in its environment, and its input ends. */
	setenv("L2TPNS_TEST", "x", 1);
	run("/bin/sh", "-c", "cat; env | sort | grep -v -e ^_= -e ^PWD=; "
	    "echo no >&2; exit 3");
	wait_for(2);
	assert_int_equal(WEXITSTATUS(last_status), 3);
	assert_string_equal(last_output, "LC_ALL=C\n"
	    "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nno\n");
	memset(big, 'x', 1000000);
	input = big;
	input_len = 1000000;
	run("/bin/sh", "-c", "wc -c; ls /proc/self/fd | wc -w");
	wait_for(3);
	assert_string_equal(last_output, "1000000\n4\n");
	run("/bin/cat", NULL, NULL);		/* more than is kept */
	wait_for(4);
	assert_int_equal(last_status, 0);
	assert_int_equal(strlen(last_output), 4000);
	input = NULL;
	run("/bin/sh", "-c", "kill -9 $$");
	wait_for(5);
	assert_int_equal(WTERMSIG(last_status), SIGKILL);
	free(big);
	assert_int_equal(descriptors(), before);
}

static void
test_run_refuses(void **state)
{
	(void)state;
	NEEDS_ROOT;
	run("/bin/nothing/there", NULL, NULL);
	assert_int_equal(started, 0);
	run("echo", NULL, NULL);		/* no path, no search */
	assert_int_equal(started, 0);
	run(NULL, NULL, NULL);
	assert_int_equal(started, 0);
	/* Nobody's. */
	run("/bin/true", NULL, NULL);
	assert_int_equal(started, 1);
	start();
	assert_int_equal(started, 0);
	wait_for(1);
}

/* One that writes without end, those that never end, and those behind. */
static void
test_run_bad_programs(void **state)
{
	int before = descriptors();

	(void)state;
	NEEDS_ROOT;
	run("/usr/bin/yes", NULL, NULL);
	assert_int_equal(started, 1);
	wait_for(1);				/* of SIGPIPE */
	assert_int_equal(strlen(last_output), 4000);
	/* What it leaves behind holds the pipe, and is not waited for. */
	run("/bin/sh", "-c", "sleep 3 & echo gone");
	wait_for(2);
	assert_string_equal(last_output, "gone\n");
	for (int i = 0; i < 40; i++) {
		run("/bin/sleep", "1", NULL);
		assert_int_equal(started, i < 16);
	}
	run("/bin/true", NULL, NULL);
	assert_int_equal(started, 0);
	wait_for(2 + 16);
	run("/bin/true", NULL, NULL);
	assert_int_equal(started, 1);
	wait_for(2 + 16 + 1);
	assert_int_equal(descriptors(), before);
}

/* With what it has started, which would hold the group otherwise. */
static void
test_run_has_two_minutes(void **state)
{
	(void)state;
	NEEDS_ROOT;
	run("/bin/sh", "-c", "sleep 1000; true");
	timer_fake(119000);
	run("/bin/true", NULL, NULL);
	wait_for(1);
	assert_int_equal(last_status, 0);
	timer_fake(2000);
	wait_for(2);
	assert_int_equal(WTERMSIG(last_status), SIGKILL);
}

/* Nobody is there any more who could be told. */
static void
test_run_outlives_its_plugin(void **state)
{
	int before = descriptors();

	(void)state;
	NEEDS_ROOT;
	for (int i = 0; i < 5; i++)
		run("/bin/sh", "-c", "sleep 0.2; echo over");
	assert_true(plugin_remove("answer", err, sizeof(err)));
	for (uint64_t until = timer_usec() + 600000; timer_usec() < until;)
		loop_turn(10);
	assert_int_equal(ended, 0);
	assert_int_equal(descriptors(), before);
}

static void
start_waiting(void)
{
	started = host->run_wait(program, input, input_len);
}

static void
test_run_wait(void **state)
{
	(void)state;
	NEEDS_ROOT;
	program[0] = "/bin/true";
	program[1] = NULL;
	inside(start_waiting);		/* not while there is work to be done */
	assert_int_equal(started, -1);
	start_waiting();
	assert_int_equal(started, -1);
}

static char heard[200];

static void
hear(struct log_listener *l, enum log_level level, uint32_t tid, uint32_t sid,
    const char *text)
{
	(void)l, (void)level, (void)tid, (void)sid;
	if (strncmp(text, "lastwords: ", 11) == 0)
		snprintf(heard, sizeof(heard), "%s", text + 11);
}

static void
order(const char *word, const char *command)
{
	const char *argv[] = { word, command, NULL };
	struct param_control p = { .argc = 2, .argv = argv };

	assert_int_equal(plugin_call(PE_control, &p, NULL), PLUGIN_RET_STOP);
}

/* Removes the plugin with these last words. */
static void
last_words(const char *command, const char *status)
{
	struct log_listener l = { .line = hear, .levels = ~0u };
	int before;

	assert_true(plugin_load("lastwords", err, sizeof(err)));
	before = descriptors();
	order("last", command);
	strcpy(heard, "nothing");
	log_listen(&l);
	assert_true(plugin_remove("lastwords", err, sizeof(err)));
	log_unlisten(&l);
	assert_string_equal(heard, status);
	assert_int_equal(descriptors(), before);
}

static void
test_last_words(void **state)
{
	char command[300], text[100] = "";
	uint64_t begun;
	FILE *f;

	(void)state;
	NEEDS_ROOT;
	last_words("exit 3", "status 768");
	last_words("test \"`cat`\" = words", "status 0");
	/* What was begun before has ended before. */
	assert_true(plugin_load("lastwords", err, sizeof(err)));
	snprintf(command, sizeof(command), "sleep 0.3; echo first >%s/f", dir);
	order("first", command);
	assert_true(plugin_remove("lastwords", err, sizeof(err)));
	assert_true(plugin_load("lastwords", err, sizeof(err)));
	order("first", command);
	snprintf(command, sizeof(command), "echo last >>%s/f", dir);
	order("last", command);
	assert_true(plugin_remove("lastwords", err, sizeof(err)));
	snprintf(command, sizeof(command), "%s/f", dir);
	f = fopen(command, "r");
	assert_non_null(f);
	assert_int_equal(fread(text, 1, sizeof(text) - 1, f), 11);
	fclose(f);
	assert_string_equal(text, "first\nlast\n");
	/* It has five seconds, and whatever it has started goes with it. */
	begun = timer_usec();
	snprintf(command, sizeof(command), "sleep 7; echo late >>%s/f", dir);
	last_words(command, "status -1");
	assert_in_range((timer_usec() - begun) / 1000, 4900, 7000);
	loop_turn(0);
}

#define TEST(f)		cmocka_unit_test_setup_teardown(f, begin, end)
#define TEST_RUN(f)	cmocka_unit_test_setup_teardown(f, begin_run, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_copies),
		TEST(test_lookups),
		TEST(test_config),
		TEST(test_changes),
		TEST(test_a_slave_changes_nothing),
		TEST(test_ending),
		TEST(test_hold),
		TEST(test_garden),
		TEST(test_garden_address),
		TEST(test_account_add),
		TEST(test_pairs),
		TEST(test_counters),
		TEST_RUN(test_run),
		TEST_RUN(test_run_refuses),
		TEST_RUN(test_run_bad_programs),
		TEST_RUN(test_run_has_two_minutes),
		TEST_RUN(test_run_outlives_its_plugin),
		TEST_RUN(test_run_wait),
		TEST_RUN(test_last_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
