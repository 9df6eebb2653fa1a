/*
 * accounting_test.c - what a server's ledger holds after good days and bad
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "accounting.h"
#include "fake_radius.h"

#define SESSIONS	10000

/* The ledger: how many of each were answered, by the id's number. */
static int starts[SESSIONS + 1], interims[SESSIONS + 1];
static int stops[SESSIONS + 1];

void
session_auth_done(struct session *s, const struct auth_result *res)
{
	(void)s;
	(void)res;
	fail_msg("nobody was authenticated");
}

static int
setup(void **state)
{
	(void)state;
	memset(starts, 0, sizeof(starts));
	memset(interims, 0, sizeof(interims));
	memset(stops, 0, sizeof(stops));
	stage_begin(SESSIONS);
	lns.config.radius_accounting = true;
	lns.config.radius_accounting_queue = 65536;
	configure(1);
	return 0;
}

static int
teardown(void **state)
{
	stage_end(state);
	assert_int_equal(acct_pending(), 0);
	return 0;
}

static struct session *
new_session(void)
{
	struct session *s = table_session_new();

	assert_non_null(s);
	snprintf(s->acct_id, sizeof(s->acct_id), "%u", s->sid);
	strcpy(s->user, "joe");
	s->ip = 0x0a000000 + s->sid;
	return s;
}

static struct asked
take(void)
{
	struct asked a;

	assert_true(fake_read(one.acct, &a));
	assert_int_equal(fake_drain(one.acct), 0);
	assert_true(asked_accounting_ok(&a));
	return a;
}

/* Writes into the ledger what lies there, and says so. */
static int
serve(int fd)
{
	struct asked a;
	int n;

	for (n = 0; fake_read(fd, &a); n++) {
		int id = atoi(asked_text(&a, ATTR_ACCT_SESSION_ID, 0));

		assert_true(asked_accounting_ok(&a));
		assert_true(id >= 1 && id <= SESSIONS);
		switch (asked_u32(&a, ATTR_ACCT_STATUS_TYPE)) {
		case ACCT_START:
			assert_int_equal(stops[id], 0);
			starts[id]++;
			break;
		case ACCT_INTERIM:
			assert_int_equal(stops[id], 0);
			interims[id]++;
			break;
		case ACCT_STOP:
			stops[id]++;
			break;
		default:
			fail_msg("no such record");
		}
		fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	}
	turn();
	return n;
}

/* ---- records ---- */

static void
test_records(void **state)
{
	struct session *s = new_session();
	struct tunnel *t = table_tunnel_new();
	struct asked a;
	uint32_t event;

	(void)state;
	assert_non_null(t);
	t->peer.addr = 0x01020304;
	t->peer.local = 0x05060708;
	strcpy(t->hostname, "lac");
	s->tid = t->tid;
	s->call_serial = 4711;
	strcpy(s->calling, "0123");
	s->netmask = 0xffffff00;
	s->class_len = 6;
	memcpy(s->class, "\3a\0b\1c", 6);
	s->nroutes = 1;
	s->routes[0] = (struct prefix){ 0xc0a80500, 24 };
	acct_start(s);
	assert_true(s->acct_started);
	a = take();
	event = (uint32_t)timer_wall();
	assert_int_equal(asked_u32(&a, ATTR_ACCT_STATUS_TYPE), 1);
	assert_string_equal(asked_text(&a, ATTR_ACCT_SESSION_ID, 0), "1");
	assert_string_equal(asked_text(&a, ATTR_USER_NAME, 0), "joe");
	assert_int_equal(asked_u32(&a, ATTR_ACCT_DELAY_TIME), 0);
	assert_int_equal(asked_u32(&a, ATTR_EVENT_TIMESTAMP), event);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_AUTHENTIC), 1);
	assert_int_equal(asked_u32(&a, ATTR_NAS_IP_ADDRESS), 0x0a0b0c0d);
	assert_string_equal(asked_text(&a, ATTR_NAS_IDENTIFIER, 0),
	    "lns.example");
	assert_int_equal(asked_u32(&a, ATTR_NAS_PORT), s->sid);
	assert_int_equal(asked_u32(&a, ATTR_SERVICE_TYPE), 2);
	assert_int_equal(asked_u32(&a, ATTR_FRAMED_PROTOCOL), 1);
	assert_int_equal(asked_u32(&a, ATTR_FRAMED_IP_ADDRESS), 0x0a000001);
	assert_int_equal(asked_u32(&a, ATTR_FRAMED_IP_NETMASK), 0xffffff00);
	assert_string_equal(asked_text(&a, ATTR_FRAMED_ROUTE, 0),
	    "192.168.5.0/24 0.0.0.0 1");
	assert_memory_equal(asked_text(&a, ATTR_CLASS, 0), "a\0b", 4);
	assert_string_equal(asked_text(&a, ATTR_CLASS, 1), "c");
	assert_string_equal(asked_text(&a, ATTR_CALLING_STATION_ID, 0),
	    "0123");
	assert_string_equal(asked_text(&a, ATTR_ACCT_TUNNEL_CONNECTION, 0),
	    "4711");
	assert_string_equal(asked_text(&a, ATTR_TUNNEL_CLIENT_ENDPOINT, 0) + 1,
	    "1.2.3.4");
	assert_string_equal(asked_text(&a, ATTR_TUNNEL_SERVER_ENDPOINT, 0) + 1,
	    "5.6.7.8");
	assert_false(asked_has(&a, ATTR_ACCT_SESSION_TIME));
	assert_false(asked_has(&a, ATTR_ACCT_TERMINATE_CAUSE));
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	pass(90000);
	s->rx_octets = 0x500000007;
	s->tx_octets = 0x9fffffffe;
	s->rx_packets = 11;
	s->tx_packets = 12;
	acct_interim(s);
	a = take();
	assert_int_equal(asked_u32(&a, ATTR_ACCT_STATUS_TYPE), 3);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_SESSION_TIME), 90);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_INPUT_OCTETS), 7);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_INPUT_GIGAWORDS), 5);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_OUTPUT_OCTETS), 0xfffffffe);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_OUTPUT_GIGAWORDS), 9);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_INPUT_PACKETS), 11);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_OUTPUT_PACKETS), 12);
	assert_int_equal(asked_u32(&a, ATTR_EVENT_TIMESTAMP), event + 90);
	assert_false(asked_has(&a, ATTR_ACCT_TERMINATE_CAUSE));
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	turn();
	acct_stop(s, CAUSE_IDLE_TIMEOUT);
	assert_false(s->acct_started);
	a = take();
	assert_int_equal(asked_u32(&a, ATTR_ACCT_STATUS_TYPE), 2);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_TERMINATE_CAUSE), 4);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_SESSION_TIME), 90);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_INPUT_GIGAWORDS), 5);
	assert_memory_equal(asked_text(&a, ATTR_CLASS, 0), "a\0b", 4);
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	pass(60000);
	assert_int_equal(fake_drain(one.acct), 0);
	assert_int_equal(acct_pending(), 0);
	assert_int_equal(counters.acct_queued, 3);
	assert_int_equal(counters.acct_dropped, 0);
	table_tunnel_del(t);
}

/* Everything at its longest still fits one packet. */
static void
test_longest(void **state)
{
	struct session *s = new_session();
	struct tunnel *t = table_tunnel_new();
	struct asked a;
	size_t len, i;

	(void)state;
	assert_non_null(t);
	memset(t->hostname, 'h', sizeof(t->hostname) - 1);
	memset(lns.hostname, 'n', sizeof(lns.hostname) - 1);
	s->tid = t->tid;
	memset(s->user, '\033', sizeof(s->user) - 1);
	memset(s->calling, '1', sizeof(s->calling) - 1);
	memset(s->called, '2', sizeof(s->called) - 1);
	s->tx_speed = s->rx_speed = 0xffffffff;
	s->netmask = 0xffffff00;
	s->nroutes = ROUTES_MAX;
	for (i = 0; i < ROUTES_MAX; i++)
		s->routes[i] = (struct prefix){ 0xffffffff, 32 };
	/* The shortest Class values cost most. */
	s->class_len = CLASS_MAX;
	for (i = 0; i < CLASS_MAX; i += 2)
		s->class[i] = 1;
	acct_start(s);
	a = take();
	assert_non_null(asked_attr(&a, ATTR_CLASS, 255, &len));
	assert_non_null(asked_attr(&a, ATTR_FRAMED_ROUTE, 9, &len));
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	turn();
	acct_stop(s, CAUSE_USER_REQUEST);
	a = take();
	assert_non_null(asked_attr(&a, ATTR_FRAMED_ROUTE, 9, &len));
	/* A Class that claims more than there is harms nobody. */
	s->class[0] = 255;
	s->class_len = 100;
	acct_start(s);
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	turn();
	a = take();
	assert_false(asked_has(&a, ATTR_CLASS));
	table_tunnel_del(t);
}

static void
test_names(void **state)
{
	struct session *s = new_session(), *o = new_session();
	char before[sizeof(s->acct_id)];
	int i;

	(void)state;
	lns.boot_id = 0x12345678;
	acct_name(s);
	strcpy(before, s->acct_id);
	for (i = 0; i < 1000; i++) {
		acct_name(o);
		assert_string_not_equal(o->acct_id, s->acct_id);
		assert_string_not_equal(o->acct_id, before);
		acct_name(s);
	}
	assert_int_equal(strlen(s->acct_id), 20);
	/* Another start, with the clock set back to the same second. */
	lns.boot_id = 0x22222222;
	acct_name(o);
	assert_int_not_equal(strncmp(o->acct_id, before, 12), 0);
}

/* Off, or without a server: not a word. */
static void
test_off(void **state)
{
	struct session *s = new_session();
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		configure(i == 0);
		lns.config.radius_accounting = i != 0;
		acct_start(s);
		assert_false(s->acct_started);
		acct_interim(s);
		acct_stop(s, CAUSE_USER_REQUEST);
		pass(10000);
		assert_int_equal(fake_drain(one.acct), 0);
		assert_int_equal(acct_pending(), 0);
		assert_int_equal(counters.acct_queued, 0);
	}
}

/* A Stop is owed to a Start, though accounting was turned off meanwhile. */
static void
test_turned_off(void **state)
{
	struct session *s = new_session();

	(void)state;
	acct_start(s);
	pass(200);
	assert_int_equal(serve(one.acct), 1);
	lns.config.radius_accounting = false;
	acct_interim(s);
	pass(200);
	assert_int_equal(serve(one.acct), 0);
	acct_stop(s, CAUSE_USER_REQUEST);
	acct_stop(s, CAUSE_USER_REQUEST);
	pass(200);
	assert_int_equal(serve(one.acct), 1);
	assert_int_equal(acct_pending(), 0);
}

/* Asked for twice, done once; and no Stop without a Start. */
static void
test_once(void **state)
{
	struct session *s = new_session();

	(void)state;
	acct_stop(s, CAUSE_USER_REQUEST);
	acct_interim(s);
	assert_int_equal(acct_pending(), 0);
	acct_start(s);
	acct_start(s);
	pass(200);
	assert_int_equal(serve(one.acct), 1);
	acct_stop(s, CAUSE_USER_REQUEST);
	acct_stop(s, CAUSE_LOST_CARRIER);
	acct_interim(s);
	pass(200);
	assert_int_equal(serve(one.acct), 1);
	pass(60000);
	assert_int_equal(serve(one.acct), 0);
	assert_int_equal(starts[1], 1);
	assert_int_equal(interims[1], 0);
	assert_int_equal(stops[1], 1);
}

/* ---- sending ---- */

/*
 * RFC 2866 5.2: the delay has changed, so id and authenticator have.  All
 * else is the same, the time of the event as well.
 */
static void
test_retransmission(void **state)
{
	struct session *s = new_session();
	struct asked first, a;
	uint32_t event, delay = 0;
	uint64_t start = timer_now();
	int n = 1;

	(void)state;
	acct_start(s);
	first = take();
	event = asked_u32(&first, ATTR_EVENT_TIMESTAMP);
	while (n < 4) {
		timer_fake(10);
		turn();
		if (!fake_read(one.acct, &a))
			continue;
		n++;
		assert_true(asked_accounting_ok(&a));
		assert_int_equal(a.len, first.len);
		assert_memory_not_equal(a.buf + 4, first.buf + 4, 16);
		assert_true(a.buf[1] != first.buf[1] ||
		    a.from.sin_port != first.from.sin_port);
		assert_int_equal(asked_u32(&a, ATTR_EVENT_TIMESTAMP), event);
		assert_int_equal(asked_u32(&a, ATTR_ACCT_DELAY_TIME),
		    (timer_now() - start) / 1000);
		assert_true(asked_u32(&a, ATTR_ACCT_DELAY_TIME) > delay);
		delay = asked_u32(&a, ATTR_ACCT_DELAY_TIME);
	}
	/* The answer to the first is as good as one to the last. */
	fake_answer(&first, RADIUS_ACCOUNTING_RESPONSE, 0);
	turn();
	assert_int_equal(acct_pending(), 0);
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	pass(60000);
	assert_int_equal(fake_drain(one.acct), 0);
	assert_int_equal(counters.radius_late_reply, 1);
}

static void
test_wrong_answers(void **state)
{
	struct session *s = new_session();
	struct asked a;

	(void)state;
	acct_start(s);
	a = take();
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, LIE_SECRET);
	fake_answer(&a, RADIUS_ACCESS_ACCEPT, 0);
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, LIE_MA);
	turn();
	assert_int_equal(counters.radius_bad_reply, 3);
	assert_int_equal(acct_pending(), 1);
	/* No Message-Authenticator is asked of accounting. */
	lns.config.radius_require_message_authenticator = TRI_YES;
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	turn();
	assert_int_equal(acct_pending(), 0);
}

/* A session's records leave in order, the session may be long gone. */
static void
test_order(void **state)
{
	struct session *s = new_session();
	struct asked a;

	(void)state;
	acct_start(s);
	acct_interim(s);
	s->rx_octets = 5;
	acct_interim(s);
	a = take();
	assert_int_equal(asked_u32(&a, ATTR_ACCT_STATUS_TYPE), ACCT_START);
	/* Two Interim-Updates were asked for, one is worth sending. */
	assert_int_equal(acct_pending(), 2);
	pass(500);
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	turn();
	a = take();
	assert_int_equal(asked_u32(&a, ATTR_ACCT_STATUS_TYPE), ACCT_INTERIM);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_INPUT_OCTETS), 5);
	acct_interim(s);
	acct_stop(s, CAUSE_LOST_CARRIER);
	/* The one that is on its way, and the Stop. */
	assert_int_equal(acct_pending(), 2);
	table_session_del(s);
	pass(500);
	assert_int_equal(fake_drain(one.acct), 0);
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	turn();
	a = take();
	assert_int_equal(asked_u32(&a, ATTR_ACCT_STATUS_TYPE), ACCT_STOP);
	assert_int_equal(asked_u32(&a, ATTR_ACCT_INPUT_OCTETS), 5);
	assert_string_equal(asked_text(&a, ATTR_USER_NAME, 0), "joe");
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	turn();
	assert_int_equal(acct_pending(), 0);
	assert_int_equal(counters.acct_dropped, 0);
}

/* Many sessions at a time, and a dead primary. */
static void
test_failover(void **state)
{
	struct session *s;
	int i;

	(void)state;
	configure(2);
	for (i = 0; i < 1000; i++)
		acct_start(new_session());
	for (i = 0; i < 100 && acct_pending() > 0; i++) {
		pass(100);
		fake_drain(one.acct);
		serve(two.acct);
	}
	assert_int_equal(acct_pending(), 0);
	for (s = session_next(0); s != NULL; s = session_next(s->sid)) {
		assert_int_equal(starts[s->sid], 1);
		acct_stop(s, CAUSE_NAS_REBOOT);
	}
	for (i = 0; i < 10; i++) {
		pass(100);
		fake_drain(one.acct);
		serve(two.acct);
	}
	assert_int_equal(acct_pending(), 0);
	for (i = 1; i <= 1000; i++)
		assert_int_equal(stops[i], 1);
}

/*
 * Ten minutes without any server.  All sessions end
 * meanwhile; few packets, few sockets; all delivered soon after the return.
 */
static void
test_outage(void **state)
{
	struct session *s;
	int i, n, packets = 0;

	(void)state;
	for (i = 0; i < SESSIONS; i++)
		acct_start(new_session());
	for (i = 0; i < 1000 && acct_pending() > 0; i++)
		serve(one.acct);
	assert_int_equal(acct_pending(), 0);
	for (s = session_next(0); s != NULL; s = session_next(s->sid))
		acct_interim(s);
	pass(60000);
	for (s = session_next(0); s != NULL; s = session_next(s->sid))
		acct_interim(s);
	fake_drain(one.acct);
	for (i = 0; i < 540; i++) {
		pass(1000);
		packets += fake_drain(one.acct);
		/* Half of them see the port closed rather than silence. */
		if (i == 270)
			fake_close(&one);
		if (i == 300)
			fake_reopen(&one);
	}
	assert_true(packets > 200);
	assert_true(packets < 540 * 3);
	assert_true(radius_ports_open() < 10);
	assert_true(radius_outstanding() <= 4);
	for (s = session_next(0); s != NULL; s = session_next(s->sid))
		acct_stop(s, CAUSE_LOST_CARRIER);
	/* Stops take the place of what waits. */
	assert_true(acct_pending() <= SESSIONS + 4);
	assert_int_equal(counters.acct_dropped, 0);
	for (i = 0, n = 0; i < 50 && acct_pending() > 0; i++) {
		pass(100);
		n += serve(one.acct);
	}
	for (i = 0; i < 1000 && acct_pending() > 0; i++)
		n += serve(one.acct);
	assert_int_equal(acct_pending(), 0);
	assert_true(n >= SESSIONS && n <= SESSIONS + 10);
	for (i = 1; i <= SESSIONS; i++) {
		assert_int_equal(starts[i], 1);
		assert_int_equal(stops[i], 1);
	}
	assert_int_equal(radius_ports_open(), 1);
}

/* The return is met with a few, then with one more for each answer. */
static void
test_return_is_gentle(void **state)
{
	uint32_t n, answers = 0;
	int i;

	(void)state;
	for (i = 0; i < 5000; i++)
		acct_start(new_session());
	for (i = 0; i < 60; i++) {
		pass(1000);
		fake_drain(one.acct);
	}
	for (i = 0; i < 100 && acct_pending() > 0; i++) {
		assert_true(radius_outstanding() <= 4 + answers);
		n = (uint32_t)serve(one.acct);
		answers += n;
		if (n == 0)
			pass(100);
	}
	assert_int_equal(acct_pending(), 0);
}

/* The queue is full: Interim-Updates first, Starts for Stops, then refusal. */
static void
test_full(void **state)
{
	struct session *s[12];
	int i;

	(void)state;
	lns.config.radius_accounting_queue = 6;
	lns.config.radius_max_outstanding = 1;	/* one is on its way */
	for (i = 0; i < 12; i++)
		s[i] = new_session();
	for (i = 0; i < 4; i++)
		acct_start(s[i]);
	acct_interim(s[1]);
	acct_interim(s[2]);
	assert_int_equal(acct_pending(), 6);
	/* Full.  A Start costs the oldest Interim-Update. */
	acct_start(s[4]);
	assert_int_equal(acct_pending(), 6);
	assert_int_equal(counters.acct_dropped, 1);
	/* An Interim-Update takes the place of the one before: no loss. */
	acct_interim(s[2]);
	assert_int_equal(counters.acct_dropped, 1);
	acct_stop(s[3], CAUSE_USER_REQUEST);
	assert_int_equal(counters.acct_dropped, 2);
	/* No Interim-Update left: a Start or Interim-Update is refused... */
	acct_start(s[5]);
	acct_interim(s[0]);
	assert_int_equal(counters.acct_dropped, 4);
	assert_true(s[5]->acct_started);
	/* ...and a Stop costs the oldest Start, here and its own. */
	acct_stop(s[4], CAUSE_USER_REQUEST);
	acct_stop(s[2], CAUSE_USER_REQUEST);
	assert_int_equal(counters.acct_dropped, 6);
	assert_int_equal(acct_pending(), 6);
	lns.config.radius_accounting_queue = 1;
	acct_stop(s[1], CAUSE_USER_REQUEST);
	acct_stop(s[0], CAUSE_USER_REQUEST);
	acct_stop(s[5], CAUSE_USER_REQUEST);
	for (i = 0; i < 100 && acct_pending() > 0; i++) {
		pass(100);
		serve(one.acct);
	}
	assert_int_equal(acct_pending(), 0);
	for (i = 1; i <= 12; i++) {
		assert_int_equal(starts[i], i == 1);
		assert_int_equal(interims[i], 0);
		assert_int_equal(stops[i], i <= 5);
	}
	assert_int_equal(counters.acct_dropped, 9);
}

/* A record that is never answered, while others are, is lost in the end. */
static void
test_poison(void **state)
{
	struct asked a;
	int i;

	(void)state;
	acct_start(new_session());
	for (i = 0; i < 200 && acct_pending() > 0; i++) {
		acct_start(new_session());
		pass(1000);
		while (fake_read(one.acct, &a)) {
			if (atoi(asked_text(&a, ATTR_ACCT_SESSION_ID, 0)) != 1)
				fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
		}
		turn();
	}
	assert_true(i > 60);
	assert_int_equal(acct_pending(), 0);
	assert_int_equal(counters.acct_dropped, 1);
}

/* Any allocation may fail: the record goes out, or is counted. */
static void
test_no_memory(void **state)
{
	int i, j;

	(void)state;
	for (i = 1; i < 12; i++) {
		radius_exit();
		configure(1);
		fake_drain(one.acct);
		counters_clear();
		fail_alloc = i;
		acct_start(new_session());
		fail_alloc = 0;
		for (j = 0; j < 30 && acct_pending() > 0; j++) {
			pass(100);
			serve(one.acct);
		}
		assert_int_equal(acct_pending(), 0);
		assert_int_equal(starts[i] + (int)counters.acct_dropped, 1);
	}
	/* The table does not grow: a little slower, that is all. */
	for (i = 0; i < 256; i++)
		acct_start(new_session());
	fail_alloc = 2;			/* the record's own comes first */
	acct_start(new_session());
	fail_alloc = 0;
	for (j = 0; j < 100 && acct_pending() > 0; j++) {
		pass(100);
		serve(one.acct);
	}
	assert_int_equal(counters.acct_dropped, 0);
	for (i = 12; i < 12 + 257; i++)
		assert_int_equal(starts[i], 1);
}

/* Lost when the daemon ends: counted, and nothing left behind. */
static void
test_exit(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 200; i++) {
		struct session *s = new_session();

		acct_start(s);
		acct_interim(s);
		acct_stop(s, CAUSE_NAS_REBOOT);
	}
	assert_int_equal(acct_pending(), 400);
	radius_exit();
	assert_int_equal(counters.acct_dropped, 400);
	assert_int_equal(acct_pending(), 0);
	pass(60000);
}

/* Without a server what waits keeps waiting, for the next one. */
static void
test_reconfigure(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		acct_start(new_session());
	fake_drain(one.acct);
	configure(0);
	pass(60000);
	assert_int_equal(acct_pending(), 100);
	assert_int_equal(radius_outstanding(), 0);
	assert_int_equal(radius_ports_open(), 0);
	configure(1);
	for (i = 0; i < 50 && acct_pending() > 0; i++) {
		pass(100);
		serve(one.acct);
	}
	assert_int_equal(acct_pending(), 0);
	for (i = 1; i <= 100; i++)
		assert_int_equal(starts[i], 1);
}

/* What radius.c shows of it. */
static void
test_rows(void **state)
{
	struct session *s = new_session();
	struct radius_row row;

	(void)state;
	acct_start(s);
	assert_true(radius_row(0, &row));
	assert_string_equal(row.state, "START");
	assert_int_equal(row.sid, s->sid);
	serve(one.acct);
	acct_stop(s, CAUSE_USER_REQUEST);
	assert_true(radius_row(0, &row));
	assert_string_equal(row.state, "STOP");
	pass(2500);
	assert_true(radius_row(0, &row));
	assert_int_equal(row.tries, 2);
	assert_false(radius_row(1, &row));
}

/* ---- in a cluster ---- */

/* Slaves hear of a record before a server does, and that it is confirmed. */
static void
test_slaves_first(void **state)
{
	struct session *s = new_session();
	struct acct_carry c;
	struct acct_gone g;
	uint64_t number;

	(void)state;
	acct_follow(true);
	acct_start(s);
	acct_stop(s, CAUSE_USER_REQUEST);
	pass(1000);
	assert_int_equal(fake_drain(one.acct), 0);
	assert_int_equal(acct_untold(), 2);
	assert_true(acct_told_new(&c));
	assert_int_equal(c.kind, 0);
	assert_string_equal(c.id, "1");
	number = c.number;
	assert_false(acct_told_gone(&g));
	pass(200);
	assert_int_equal(serve(one.acct), 1);
	assert_true(acct_told_gone(&g));
	assert_int_equal(g.number, number);
	assert_int_equal(g.kind, 0);
	assert_string_equal(g.id, "1");
	assert_false(acct_told_gone(&g));
	/* The next one of the session waits for its own turn. */
	pass(1000);
	assert_int_equal(fake_drain(one.acct), 0);
	assert_true(acct_told_new(&c));
	assert_true(c.kind == 2 && c.number != number);
	assert_false(acct_told_new(&c));
	pass(200);
	assert_int_equal(serve(one.acct), 1);
	assert_true(acct_told_gone(&g));
	acct_follow(false);
}

/* All that is there again; nobody follows any more: it goes by itself. */
static void
test_slaves_come_and_go(void **state)
{
	struct session *s = new_session();
	struct acct_carry c;
	struct acct_gone g;

	(void)state;
	acct_start(s);
	acct_stop(s, CAUSE_USER_REQUEST);
	acct_follow(true);
	acct_tell_all();
	acct_tell_all();
	assert_int_equal(acct_untold(), 2);
	assert_true(acct_told_new(&c));
	acct_follow(false);
	assert_false(acct_told_new(&c));
	pass(200);
	assert_int_equal(serve(one.acct), 1);
	pass(200);
	assert_int_equal(serve(one.acct), 1);
	assert_false(acct_told_gone(&g));
}

/* A slave keeps records to itself, and sends them when it is master. */
static void
test_held(void **state)
{
	struct session *s = new_session();
	struct asked a;

	(void)state;
	acct_start(s);
	a = take();
	acct_stop(s, CAUSE_USER_REQUEST);
	acct_hold(true);
	pass(60000);
	assert_int_equal(fake_drain(one.acct), 0);
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	pass(1000);
	assert_int_equal(acct_pending(), 2);
	acct_hold(false);
	pass(100);
	a = take();
	assert_int_equal(asked_u32(&a, ATTR_ACCT_STATUS_TYPE), ACCT_START);
	assert_in_range(asked_u32(&a, ATTR_ACCT_DELAY_TIME), 61, 62);
	fake_answer(&a, RADIUS_ACCOUNTING_RESPONSE, 0);
	turn();
	pass(200);
	assert_int_equal(serve(one.acct), 1);
	assert_int_equal(stops[1], 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_records),
		TEST(test_longest),
		TEST(test_names),
		TEST(test_off),
		TEST(test_turned_off),
		TEST(test_once),
		TEST(test_retransmission),
		TEST(test_wrong_answers),
		TEST(test_order),
		TEST(test_failover),
		TEST(test_outage),
		TEST(test_return_is_gentle),
		TEST(test_full),
		TEST(test_poison),
		TEST(test_no_memory),
		TEST(test_exit),
		TEST(test_reconfigure),
		TEST(test_rows),
		TEST(test_slaves_first),
		TEST(test_slaves_come_and_go),
		TEST(test_held)
	};

	if (!loop_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
