/*
 * radius_test.c - the RADIUS client against servers that are slow, dead,
 * forged, overloaded or merely right
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "fake_radius.h"

#define SESSIONS	20000

/* What came of each session, by sid. */
static struct auth_result verdicts[SESSIONS + 1];
static int times[SESSIONS + 1];
static int answered;

void
session_auth_done(struct session *s, const struct auth_result *res)
{
	assert_true(s->sid <= SESSIONS);
	assert_null(session_local(s)->auth);
	verdicts[s->sid] = *res;
	times[s->sid]++;
	answered++;
}

/* The client's only way out, so that it can be blocked: always, or once. */
static int send_errno, send_errno_once;
static int sends;

ssize_t
send(int fd, const void *buf, size_t len, int flags)
{
	sends++;
	if (send_errno != 0 || send_errno_once != 0) {
		errno = send_errno != 0 ? send_errno : send_errno_once;
		send_errno_once = 0;
		return -1;
	}
	return sendto(fd, buf, len, flags, NULL, 0);
}

/* The port that so many sockets say they have. */
static uint16_t same_port;
static int same_ports;

int
getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	int rc = (int)syscall(SYS_getsockname, fd, sa, len);

	if (rc == 0 && same_ports > 0) {
		same_ports--;
		((struct sockaddr_in *)(void *)sa)->sin_port = same_port;
	}
	return rc;
}

static int
setup(void **state)
{
	(void)state;
	memset(verdicts, 0, sizeof(verdicts));
	memset(times, 0, sizeof(times));
	answered = send_errno = send_errno_once = sends = 0;
	same_ports = 0;
	stage_begin(SESSIONS);
	lns.config.radius_accounting_queue = 100;
	lns.config.radius_require_message_authenticator = TRI_AUTO;
	configure(2);
	return 0;
}

static struct session *
new_session(void)
{
	struct session *s = table_session_new();

	assert_non_null(s);
	snprintf(s->acct_id, sizeof(s->acct_id), "id-%u", s->sid);
	strcpy(s->user, "joe");
	return s;
}

static struct session *
ask_pap(const char *user, const char *password)
{
	struct auth_request ask = { .protocol = 0xc023 };
	struct session *s = new_session();

	snprintf(ask.user, sizeof(ask.user), "%s", user);
	ask.password_len = strlen(password);
	memcpy(ask.password, password, ask.password_len);
	radius_auth(s, &ask);
	return s;
}

static struct session *
ask(void)
{
	return ask_pap("joe", "secret");
}

/* The one request that lies at this server. */
static struct asked
take(int fd)
{
	struct asked a;

	assert_true(fake_read(fd, &a));
	assert_int_equal(fake_drain(fd), 0);
	return a;
}

static void
assert_verdict(const struct session *s, enum auth_verdict verdict)
{
	assert_int_equal(times[s->sid], 1);
	assert_int_equal(verdicts[s->sid].verdict, verdict);
}

/* ---- what is asked ---- */

static void
check_message_authenticator(const struct asked *a)
{
	struct asked copy = *a;
	struct digest_part whole = { copy.buf, copy.len };
	uint8_t mac[16];

	assert_int_equal(a->buf[20], ATTR_MESSAGE_AUTHENTICATOR);
	assert_int_equal(a->buf[21], 18);
	memset(copy.buf + 22, 0, 16);
	digest_hmac_md5(mac, FAKE_SECRET, strlen(FAKE_SECRET), &whole, 1);
	assert_memory_equal(mac, a->buf + 22, 16);
}

static void
test_request(void **state)
{
	struct tunnel *t;
	struct session *s;
	struct auth_request req = { .protocol = 0xc023, .user = "joe",
	    .password = "secret", .password_len = 6 };
	struct asked a;
	uint8_t mask[16];
	size_t len;
	const uint8_t *v;

	(void)state;
	t = table_tunnel_new();
	assert_non_null(t);
	t->peer.addr = 0x01020304;
	strcpy(t->hostname, "lac.example");
	s = new_session();
	s->tid = t->tid;
	strcpy(s->calling, "0123");
	strcpy(s->called, "4567");
	s->tx_speed = 10000000;
	s->rx_speed = 1000000;
	radius_auth(s, &req);
	a = take(one.auth);
	assert_int_equal(a.buf[0], RADIUS_ACCESS_REQUEST);
	check_message_authenticator(&a);
	assert_string_equal(asked_text(&a, ATTR_USER_NAME, 0), "joe");
	v = asked_attr(&a, ATTR_USER_PASSWORD, 0, &len);
	assert_int_equal(len, 16);
	const struct digest_part part[] = {
		{ FAKE_SECRET, strlen(FAKE_SECRET) }, { a.buf + 4, 16 }
	};
	digest_md5(mask, part, 2);
	assert_int_equal(v[0] ^ mask[0], 's');
	assert_int_equal(v[5] ^ mask[5], 't');
	assert_int_equal(v[6] ^ mask[6], 0);
	assert_int_equal(asked_u32(&a, ATTR_NAS_IP_ADDRESS), 0x0a0b0c0d);
	assert_string_equal(asked_text(&a, ATTR_NAS_IDENTIFIER, 0),
	    "lns.example");
	assert_int_equal(asked_u32(&a, ATTR_NAS_PORT), s->sid);
	assert_int_equal(asked_u32(&a, ATTR_NAS_PORT_TYPE), 5);
	assert_int_equal(asked_u32(&a, ATTR_SERVICE_TYPE), 2);
	assert_int_equal(asked_u32(&a, ATTR_FRAMED_PROTOCOL), 1);
	assert_string_equal(asked_text(&a, ATTR_CALLING_STATION_ID, 0),
	    "0123");
	assert_string_equal(asked_text(&a, ATTR_CALLED_STATION_ID, 0), "4567");
	assert_string_equal(asked_text(&a, ATTR_ACCT_SESSION_ID, 0),
	    s->acct_id);
	assert_string_equal(asked_text(&a, ATTR_CONNECT_INFO, 0),
	    "10000000/1000000");
	assert_int_equal(asked_u32(&a, ATTR_TUNNEL_TYPE), 3);
	assert_int_equal(asked_u32(&a, ATTR_TUNNEL_MEDIUM_TYPE), 1);
	assert_string_equal(asked_text(&a, ATTR_TUNNEL_CLIENT_ENDPOINT, 0) + 1,
	    "1.2.3.4");
	assert_string_equal(asked_text(&a, ATTR_TUNNEL_SERVER_ENDPOINT, 0) + 1,
	    "10.11.12.13");
	assert_string_equal(asked_text(&a, ATTR_TUNNEL_CLIENT_AUTH_ID, 0) + 1,
	    "lac.example");
	assert_string_equal(asked_text(&a, ATTR_TUNNEL_SERVER_AUTH_ID, 0) + 1,
	    "lns.example");
	assert_false(asked_has(&a, ATTR_CHAP_PASSWORD));
	assert_false(asked_has(&a, ATTR_PROXY_STATE));
	radius_auth_cancel(s);
	table_tunnel_del(t);
}

static void
test_chap_request(void **state)
{
	struct auth_request req = { .protocol = 0xc223, .user = "joe",
	    .chap_id = 77, .challenge_len = 16 };
	struct session *s;
	struct asked a;
	const uint8_t *v;
	size_t len;

	(void)state;
	s = new_session();
	digest_random(req.challenge, 16);
	digest_random(req.response, 16);
	radius_auth(s, &req);
	a = take(one.auth);
	check_message_authenticator(&a);
	v = asked_attr(&a, ATTR_CHAP_PASSWORD, 0, &len);
	assert_int_equal(len, 17);
	assert_int_equal(v[0], 77);
	assert_memory_equal(v + 1, req.response, 16);
	v = asked_attr(&a, ATTR_CHAP_CHALLENGE, 0, &len);
	assert_int_equal(len, 16);
	assert_memory_equal(v, req.challenge, 16);
	assert_false(asked_has(&a, ATTR_USER_PASSWORD));
}

/* Every field at its longest. */
static void
test_longest_request(void **state)
{
	struct auth_request req = { .protocol = 0xc023 };
	struct tunnel *t;
	struct session *s;
	struct asked a;

	(void)state;
	t = table_tunnel_new();
	assert_non_null(t);
	memset(t->hostname, 'h', sizeof(t->hostname) - 1);
	memset(lns.hostname, 'n', sizeof(lns.hostname) - 1);
	s = new_session();
	s->tid = t->tid;
	memset(s->calling, '1', sizeof(s->calling) - 1);
	memset(s->called, '2', sizeof(s->called) - 1);
	memset(s->acct_id, 'a', sizeof(s->acct_id) - 1);
	s->tx_speed = s->rx_speed = 0xffffffff;
	memset(req.user, '\n', sizeof(req.user) - 1);
	memset(req.password, '"', sizeof(req.password));
	req.password_len = 128;
	radius_auth(s, &req);
	a = take(one.auth);
	check_message_authenticator(&a);
	assert_int_equal(strlen(asked_text(&a, ATTR_USER_NAME, 0)), 253);
	assert_int_equal(strlen(asked_text(&a, ATTR_TUNNEL_SERVER_AUTH_ID, 0)
	    + 1), HOSTNAME_MAX - 1);
	assert_int_equal(a.from.sin_addr.s_addr, htonl(LOOPBACK(1)));
	radius_auth_cancel(s);
	table_tunnel_del(t);
}

static uint32_t
asked_from(uint32_t bind_address, uint32_t own_addr)
{
	struct session *s;
	struct asked a;

	lns.config.bind_address = bind_address;
	lns.own_addr = own_addr;
	s = ask();
	a = take(one.auth);
	radius_auth_cancel(s);
	lns.own_addr = 0;
	assert_int_equal(a.from.sin_addr.s_addr, htonl(radius_source()));
	return radius_source();
}

/* Not from the address that all members of a cluster share. */
static void
test_own_address(void **state)
{
	(void)state;
	assert_int_equal(asked_from(LOOPBACK(1), LOOPBACK(77)), LOOPBACK(77));
}

/* The kernel chose one that is this server's alone. */
static void
test_other_address(void **state)
{
	(void)state;
	assert_int_equal(asked_from(LOOPBACK(78), LOOPBACK(77)), LOOPBACK(1));
}

static void
test_refused_here(void **state)
{
	struct auth_request req = { .protocol = 0xc023, .user = "joe",
	    .password_len = 129 };
	struct session *s;

	(void)state;
	assert_verdict(ask_pap("", "x"), AUTH_REJECT);
	s = new_session();
	radius_auth(s, &req);
	assert_verdict(s, AUTH_REJECT);
	assert_int_equal(sends, 0);
	assert_int_equal(radius_outstanding(), 0);
}

static void
test_no_secret(void **state)
{
	(void)state;
	lns.config.radius_secret[0] = '\0';
	radius_reconfigure();
	assert_true(radius_configured());
	assert_verdict(ask(), AUTH_TIMEOUT);
	assert_int_equal(sends, 0);
	configure(0);
	assert_false(radius_configured());
	assert_verdict(ask(), AUTH_TIMEOUT);
}

/* ---- verdicts ---- */

static void
test_verdicts(void **state)
{
	static const struct { uint8_t code; enum auth_verdict verdict; }
	rows[] = {
		{ RADIUS_ACCESS_ACCEPT, AUTH_ACCEPT },
		{ RADIUS_ACCESS_REJECT, AUTH_REJECT },
		{ RADIUS_ACCESS_CHALLENGE, AUTH_REJECT }
	};
	struct session *s;
	struct asked a;
	int i, lies;

	(void)state;
	for (lies = 0; lies <= WITH_MA; lies += WITH_MA) {
		for (i = 0; i < 3; i++) {
			s = ask();
			a = take(one.auth);
			assert_int_equal(radius_outstanding(), 1);
			fake_answer(&a, rows[i].code, lies);
			turn();
			assert_verdict(s, rows[i].verdict);
			assert_int_equal(radius_outstanding(), 0);
			assert_null(session_local(s)->auth);
		}
	}
	pass(60000);
	assert_int_equal(answered, 6);
	assert_int_equal(counters.radius_requests, 6);
	assert_int_equal(counters.radius_retries, 0);
	assert_int_equal(fake_drain(one.auth) + fake_drain(two.auth), 0);
}

static void
test_interim_override(void **state)
{
	static const uint8_t attrs[] = { ATTR_ACCT_INTERIM_INTERVAL, 6, 0, 0,
	    1, 44 };
	uint8_t out[100];
	struct session *s;
	struct asked a;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		lns.config.radius_interim = i * 900;
		s = ask();
		a = take(one.auth);
		fake_send(&a, one.auth, out, fake_build(out, &a,
		    RADIUS_ACCESS_ACCEPT, attrs, sizeof(attrs), 0));
		turn();
		assert_int_equal(verdicts[s->sid].interim, i ? 900 : 300);
	}
}

/* An Accept that is none, and one that is odd. */
static void
test_odd_accepts(void **state)
{
	static const uint8_t login[] = { ATTR_SERVICE_TYPE, 6, 0, 0, 0, 1 };
	static const uint8_t short_ip[] = { ATTR_FRAMED_IP_ADDRESS, 5, 1, 2,
	    3 };
	static const uint8_t odd[] = { ATTR_FRAMED_ROUTE, 5, 'a', '/', 'b',
	    ATTR_ACCT_INTERIM_INTERVAL, 6, 0, 0, 0, 1 };
	static const struct {
		const uint8_t *attrs;
		size_t len;
		enum auth_verdict verdict;
	} rows[] = {
		{ login, sizeof(login), AUTH_REJECT },
		{ short_ip, sizeof(short_ip), AUTH_REJECT },
		{ odd, sizeof(odd), AUTH_ACCEPT }
	};
	uint8_t out[100];
	struct session *s;
	struct asked a;
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		s = ask();
		a = take(one.auth);
		fake_send(&a, one.auth, out, fake_build(out, &a,
		    RADIUS_ACCESS_ACCEPT, rows[i].attrs, rows[i].len, 0));
		turn();
		assert_verdict(s, rows[i].verdict);
	}
	assert_int_equal(verdicts[s->sid].interim, 60);
}

static void
test_rows(void **state)
{
	struct radius_row row;
	struct session *s;
	struct asked a;

	(void)state;
	lns.config.radius_max_outstanding = 1;
	assert_false(radius_row(0, &row));
	s = ask();
	a = take(one.auth);
	assert_true(radius_row(0, &row));
	assert_int_equal(row.id, a.buf[1]);
	assert_string_equal(row.state, "AUTH");
	assert_int_equal(row.sid, s->sid);
	assert_int_equal(row.tries, 1);
	assert_true(row.retry >= timer_wall() + 1 &&
	    row.retry <= timer_wall() + 3);
	s = ask();
	assert_true(radius_row(1, &row));
	assert_string_equal(row.state, "WAIT");
	assert_int_equal(row.sid, s->sid);
	assert_false(radius_row(2, &row));
}

/* ---- tries and servers ---- */

/* The same octets from the same port, at growing intervals. */
static void
test_retransmission(void **state)
{
	struct asked first, a;
	uint64_t start, at[8], gap;
	struct session *s;
	int n = 1;

	(void)state;
	configure(1);
	start = timer_now();
	s = ask();
	first = take(one.auth);
	at[0] = start;
	while (answered == 0) {
		timer_fake(10);
		turn();
		if (!fake_read(one.auth, &a))
			continue;
		assert_int_equal(a.len, first.len);
		assert_memory_equal(a.buf, first.buf, a.len);
		assert_int_equal(a.from.sin_port, first.from.sin_port);
		at[n++] = timer_now();
	}
	assert_verdict(s, AUTH_TIMEOUT);
	assert_int_equal(n, 4);
	gap = at[1] - at[0];
	assert_true(gap >= 1800 && gap <= 2220);
	gap = at[2] - at[1];
	assert_true(gap >= 3600 && gap <= 4420);
	gap = at[3] - at[2];
	assert_true(gap >= 5400 && gap <= 6620);
	assert_true(timer_now() - start < 25000);
	assert_int_equal(counters.radius_retries, 3);
	assert_int_equal(counters.radius_timeout, 1);
	assert_int_equal(radius_outstanding(), 0);
}

/* Decision: three retries, spread over the servers. */
static void
test_failover(void **state)
{
	struct asked a, b, again;
	struct session *s;

	(void)state;
	s = ask();
	a = take(one.auth);
	pass(2300);
	assert_int_equal(fake_drain(one.auth), 0);
	b = take(two.auth);
	/* Another server, another authenticator (RFC 2865 3). */
	assert_memory_not_equal(a.buf + 4, b.buf + 4, 16);
	pass(4500);
	again = take(one.auth);
	assert_memory_equal(again.buf, a.buf, a.len);
	assert_int_equal(fake_drain(two.auth), 0);
	pass(6700);
	again = take(two.auth);
	assert_memory_equal(again.buf, b.buf, b.len);
	assert_int_equal(answered, 0);
	fake_answer(&again, RADIUS_ACCESS_ACCEPT, 0);
	turn();
	assert_verdict(s, AUTH_ACCEPT);
	/* The other one's answer is too late, and changes nothing. */
	fake_answer(&a, RADIUS_ACCESS_REJECT, 0);
	turn();
	assert_verdict(s, AUTH_ACCEPT);
	assert_int_equal(counters.radius_late_reply, 1);
}

/* An answer to any of the tries is an answer. */
static void
test_slow_server(void **state)
{
	struct session *s = ask();
	struct asked a = take(one.auth);

	(void)state;
	pass(5000);
	assert_int_equal(fake_drain(two.auth), 1);
	fake_answer(&a, RADIUS_ACCESS_ACCEPT, 0);
	turn();
	assert_verdict(s, AUTH_ACCEPT);
}

/* Answers what lies at a server; how many that was. */
static int
accept_all(int fd)
{
	struct asked a;
	int n;

	for (n = 0; fake_read(fd, &a); n++)
		fake_answer(&a, RADIUS_ACCESS_ACCEPT, 0);
	turn();
	return n;
}

/* A dead primary is left alone, tried again, and comes back. */
static void
test_dead_and_back(void **state)
{
	struct session *s;
	int i, probes = 0;

	(void)state;
	for (i = 0; i < 3; i++) {
		s = ask();
		pass(2300);
		assert_int_equal(fake_drain(one.auth), 1);
		assert_int_equal(accept_all(two.auth), 1);
		assert_verdict(s, AUTH_ACCEPT);
	}
	/* From now on without delay, but for one now and then. */
	for (i = 0; i < 100; i++) {
		s = ask();
		turn();
		assert_int_equal(accept_all(two.auth), 1);
		assert_verdict(s, AUTH_ACCEPT);
		pass(100);
	}
	assert_int_equal(fake_drain(one.auth), 0);
	for (i = 0; i < 100; i++) {
		s = ask();
		pass(1000);
		accept_all(two.auth);
		probes += fake_drain(one.auth);
	}
	assert_true(probes >= 2 && probes <= 5);
	/* It is back: the next one that is risked on it revives it. */
	for (i = 0; i < 40; i++) {
		s = ask();
		pass(1000);
		if (accept_all(one.auth) != 0)
			break;
		accept_all(two.auth);
	}
	assert_true(i < 40);
	for (i = 0; i < 10; i++) {
		s = ask();
		assert_int_equal(accept_all(one.auth), 1);
		assert_verdict(s, AUTH_ACCEPT);
	}
	pass(30000);
	assert_int_equal(radius_outstanding(), 0);
}

/* Loss is not death: a server that answers others is not suspect. */
static void
test_loss_is_not_death(void **state)
{
	struct session *lost, *s;
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		lost = ask();
		assert_int_equal(fake_drain(one.auth), 1);
		pass(100);
		s = ask();
		assert_int_equal(accept_all(one.auth), 1);
		assert_verdict(s, AUTH_ACCEPT);
		pass(2300);
		assert_int_equal(accept_all(two.auth), 1);
		assert_verdict(lost, AUTH_ACCEPT);
	}
}

/* Both dead; clean failures, no growth, and all well afterwards. */
static void
test_both_dead(void **state)
{
	struct session *s;
	int i;

	(void)state;
	for (i = 0; i < 600; i++) {
		ask();
		pass(100);
		fake_drain(one.auth);
		fake_drain(two.auth);
	}
	assert_true(radius_outstanding() < 300);
	assert_true(radius_ports_open() < 12);
	pass(25000);
	fake_drain(one.auth);
	fake_drain(two.auth);
	assert_int_equal(answered, 600);
	assert_int_equal(counters.radius_timeout, 600);
	assert_int_equal(radius_outstanding(), 0);
	/* The first that is asked after its return is answered at once. */
	s = ask();
	assert_int_equal(accept_all(one.auth), 1);
	assert_verdict(s, AUTH_ACCEPT);
}

/* ICMP: the next server soon, and no loop. */
static void
test_refused(void **state)
{
	struct session *s;
	int i;

	(void)state;
	fake_close(&one);
	s = ask();
	turn();
	pass(300);
	assert_int_equal(accept_all(two.auth), 1);
	assert_verdict(s, AUTH_ACCEPT);
	/* And the next ones at once. */
	for (i = 0; i < 50; i++) {
		s = ask();
		turn();
		assert_int_equal(accept_all(two.auth), 1);
		assert_verdict(s, AUTH_ACCEPT);
	}
	/* Both: not more packets than to silent ones. */
	fake_close(&two);
	sends = answered = 0;
	s = ask();
	pass(25000);
	assert_verdict(s, AUTH_TIMEOUT);
	/* A send may have to be repeated for an old error that it meets. */
	assert_true(sends <= 8);
}

/* When nothing can be sent, nothing stays behind. */
static void
test_send_fails(void **state)
{
	static const int errors[] = { EPERM, ENETUNREACH, EAGAIN, ENOBUFS,
	    EMSGSIZE };
	struct session *s;
	int i, j;

	(void)state;
	for (i = 0; i < 5; i++) {
		send_errno = errors[i];
		sends = 0;
		for (j = 0; j < 500; j++)
			ask();
		assert_int_equal(radius_outstanding(), 500);
		pass(25000);
		assert_int_equal(radius_outstanding(), 0);
		assert_int_equal(answered, 500);
		assert_true(sends <= 4 * 500);
		assert_true(radius_ports_open() <= 2);
		answered = 0;
		send_errno = 0;
		s = ask();
		pass(300);
		accept_all(one.auth);
		accept_all(two.auth);
		assert_verdict(s, AUTH_ACCEPT);
		answered = 0;
	}
}

/* A send that only meets the ICMP error of an earlier one is repeated. */
static void
test_old_error(void **state)
{
	struct session *s;

	(void)state;
	send_errno_once = ECONNREFUSED;
	s = ask();
	assert_int_equal(sends, 2);
	assert_int_equal(accept_all(one.auth), 1);
	assert_verdict(s, AUTH_ACCEPT);
}

/* The last of two servers that can be sent to is found soon. */
static void
test_send_fails_over(void **state)
{
	struct session *s;

	(void)state;
	send_errno = ENETUNREACH;
	s = ask();
	send_errno = 0;
	pass(300);
	assert_int_equal(fake_drain(one.auth), 0);
	assert_int_equal(accept_all(two.auth), 1);
	assert_verdict(s, AUTH_ACCEPT);
}

/* No descriptors left is a delay, or a failure, but no leak. */
static void
test_no_descriptors(void **state)
{
	struct rlimit was, low;
	struct session *s;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	low = was;
	low.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	s = ask();
	pass(1000);
	assert_int_equal(sends, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	pass(300);
	assert_int_equal(accept_all(one.auth), 1);
	assert_verdict(s, AUTH_ACCEPT);
	configure(1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	s = ask();
	pass(25000);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_verdict(s, AUTH_TIMEOUT);
	assert_int_equal(radius_outstanding(), 0);
}

/* Any allocation may fail: a verdict comes, and nothing leaks. */
static void
test_no_memory(void **state)
{
	struct session *s;
	int i, refused = 0;

	(void)state;
	for (i = 1; i < 10; i++) {
		radius_exit();
		configure(2);
		fail_alloc = i;
		s = ask();
		fail_alloc = 0;
		pass(1000);
		accept_all(one.auth);
		assert_int_equal(times[s->sid], 1);
		if (verdicts[s->sid].verdict == AUTH_TIMEOUT)
			refused++;
		else
			assert_verdict(s, AUTH_ACCEPT);
		assert_int_equal(radius_outstanding(), 0);
	}
	/* The list, the request; without the rest it is tried again. */
	assert_int_equal(refused, 2);
}

/* ---- forgeries ---- */

static void
answer_with(const struct asked *a, uint8_t code, const void *attrs,
    size_t len, int lies)
{
	uint8_t out[RADIUS_PACKET_MAX];

	fake_send(a, a->fd, out, fake_build(out, a, code, attrs, len, lies));
	turn();
}

/* Nothing that is wrong is taken, or uses up the request. */
static void
test_wrong_replies(void **state)
{
	static const uint8_t proxy_state[] = { ATTR_PROXY_STATE, 4, 'x', 'y' };
	struct session *s = ask();
	struct asked a = take(one.auth);
	uint8_t out[RADIUS_PACKET_MAX], big[65507];
	uint64_t bad = 0;
	unsigned int code;
	size_t n, len;

	(void)state;
	for (code = 0; code < 256; code++) {
		if (code == RADIUS_ACCESS_ACCEPT ||
		    code == RADIUS_ACCESS_REJECT ||
		    code == RADIUS_ACCESS_CHALLENGE)
			continue;
		answer_with(&a, (uint8_t)code, "", 0, 0);
		bad++;
	}
	answer_with(&a, RADIUS_ACCESS_ACCEPT, "", 0, LIE_SECRET);
	answer_with(&a, RADIUS_ACCESS_ACCEPT, "", 0, LIE_MA);
	answer_with(&a, RADIUS_ACCESS_ACCEPT, "\1\1", 2, 0);
	answer_with(&a, RADIUS_ACCESS_ACCEPT, "\1", 1, 0);
	/* With and without a valid Message-Authenticator. */
	answer_with(&a, RADIUS_ACCESS_ACCEPT, proxy_state, 4, 0);
	answer_with(&a, RADIUS_ACCESS_ACCEPT, proxy_state, 4, WITH_MA);
	bad += 6;
	assert_int_equal(counters.radius_bad_reply, bad);
	answer_with(&a, RADIUS_ACCESS_ACCEPT, "", 0, LIE_ID);
	assert_int_equal(counters.radius_late_reply, 1);
	/* Cut short anywhere; a Length that does not fit. */
	n = fake_build(out, &a, RADIUS_ACCESS_ACCEPT, "", 0, WITH_MA);
	for (len = 0; len < n; len++) {
		fake_send(&a, one.auth, out, len);
		turn();
	}
	memset(big, 0, sizeof(big));
	memcpy(big, out, n);
	big[2] = 0xff;
	big[3] = 0xe3;
	fake_send(&a, one.auth, big, sizeof(big));
	turn();
	assert_int_equal(answered, 0);
	/* Right in all, but from another port and another address. */
	n = fake_build(out, &a, RADIUS_ACCESS_ACCEPT, "", 0, 0);
	fake_send(&a, one.acct, out, n);
	fake_send(&a, two.auth, out, n);
	turn();
	assert_int_equal(answered, 0);
	assert_int_equal(radius_outstanding(), 1);
	fake_answer(&a, RADIUS_ACCESS_REJECT, 0);
	turn();
	assert_verdict(s, AUTH_REJECT);
}

/* A spray of forged Accepts while many wait. */
static void
test_spray(void **state)
{
	static struct asked real[100];
	uint8_t out[RADIUS_HEADER];
	int i, j;

	(void)state;
	for (i = 0; i < 100; i++)
		ask();
	for (i = 0; i < 100; i++)
		assert_true(fake_read(one.auth, &real[i]));
	for (i = 0; i < 1000; i++) {
		for (j = 0; j < 100; j++) {
			digest_random(out, sizeof(out));
			out[0] = RADIUS_ACCESS_ACCEPT;
			out[1] = real[j].buf[1];
			out[2] = 0;
			out[3] = RADIUS_HEADER;
			fake_send(&real[j], one.auth, out, sizeof(out));
		}
		turn();
	}
	assert_int_equal(answered, 0);
	assert_true(counters.radius_bad_reply > 10000);
	assert_int_equal(radius_outstanding(), 100);
	for (j = 0; j < 100; j++) {
		fake_answer(&real[j], RADIUS_ACCESS_REJECT, 0);
		turn();
	}
	for (i = 1; i <= 100; i++) {
		assert_int_equal(times[i], 1);
		assert_int_equal(verdicts[i].verdict, AUTH_REJECT);
	}
}

/* BlastRADIUS (CVE-2024-3596): the three settings, each server for itself. */
static void
test_require_message_authenticator(void **state)
{
	static const struct {
		int64_t require;
		int lies[3];		/* answers, one after the other */
		int taken[3];
	} rows[] = {
		{ TRI_NO, { 0, WITH_MA, 0 }, { 1, 1, 1 } },
		{ TRI_AUTO, { 0, WITH_MA, 0 }, { 1, 1, 0 } },
		{ TRI_AUTO, { 0, 0, 0 }, { 1, 1, 1 } },
		{ TRI_AUTO, { LIE_MA, 0, WITH_MA }, { 0, 1, 1 } },
		{ TRI_YES, { 0, WITH_MA, 0 }, { 0, 1, 0 } },
		{ TRI_NO, { LIE_MA, 0, LIE_MA }, { 0, 1, 0 } }
	};
	struct session *s;
	struct asked a;
	size_t i;
	int j;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		lns.config.radius_require_message_authenticator =
		    rows[i].require;
		for (j = 0; j < 3; j++) {
			s = ask();
			a = take(one.auth);
			fake_answer(&a, RADIUS_ACCESS_ACCEPT, rows[i].lies[j]);
			turn();
			assert_int_equal(times[s->sid], rows[i].taken[j]);
			radius_auth_cancel(s);
		}
		/* Forget what the server has been seen to do. */
		configure(0);
		configure(2);
	}
}

/* What one server does binds only that one. */
static void
test_auto_is_per_server(void **state)
{
	struct session *s = ask();
	struct asked a = take(one.auth);

	(void)state;
	fake_answer(&a, RADIUS_ACCESS_ACCEPT, WITH_MA);
	turn();
	assert_verdict(s, AUTH_ACCEPT);
	s = ask();
	pass(2300);
	assert_int_equal(accept_all(one.auth), 1);
	assert_int_equal(answered, 1);
	assert_int_equal(accept_all(two.auth), 1);
	assert_verdict(s, AUTH_ACCEPT);
}

/* ---- many ---- */

static int
compare_u64(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(uint64_t));
}

/*
 * No authenticator twice, no (port, id) twice within 30 s, many ports
 * for many requests, and one again afterwards.
 */
static void
test_ids(void **state)
{
	static uint32_t last[65536][256];	/* 10 ms + 1 */
	static uint64_t seen[SESSIONS];
	struct asked a;
	int i, n = 0, ports = 0, bits = 0, peak = 0;
	size_t j;

	(void)state;
	memset(last, 0, sizeof(last));
	for (i = 0; i < SESSIONS / 100; i++) {
		for (j = 0; j < 100; j++)
			ask();
		while (fake_read(one.auth, &a)) {
			uint32_t *l = &last[ntohs(a.from.sin_port)][a.buf[1]];
			uint32_t now = (uint32_t)(timer_now() / 10) + 1;

			if (a.buf[1] == 0)
				ports++;
			assert_true(*l == 0 || now - *l >= 3000);
			*l = now;
			memcpy(&seen[n++], a.buf + 4, 8);
			bits += __builtin_popcount(a.buf[4]) +
			    __builtin_popcount(a.buf[19]);
			fake_answer(&a, RADIUS_ACCESS_ACCEPT, 0);
		}
		if (radius_ports_open() > (uint32_t)peak)
			peak = (int)radius_ports_open();
		pass(200);	/* 500 requests a second */
	}
	assert_int_equal(n, SESSIONS);
	assert_int_equal(answered, SESSIONS);
	assert_true(ports >= SESSIONS / 256 - 10);
	assert_true(peak <= 3);
	/* Half of the bits are set, give or take six deviations. */
	assert_true(abs(bits - 8 * n) < 6 * 2 * 142);
	qsort(seen, (size_t)n, sizeof(seen[0]), compare_u64);
	for (i = 1; i < n; i++)
		assert_true(seen[i] != seen[i - 1]);
	assert_int_equal(radius_ports_open(), 1);
}

static void
test_many_at_once(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 5000; i++)
		ask();
	assert_int_equal(radius_outstanding(), 5000);
	assert_int_equal(radius_ports_open(), (5000 + 255) / 256);
	for (i = 0; i < 5000; ) {
		int n = accept_all(one.auth);

		assert_true(n > 0);
		i += n;
	}
	pass(100);
	assert_int_equal(answered, 5000);
	assert_int_equal(radius_outstanding(), 0);
	assert_int_equal(radius_ports_open(), 1);
}

/* A socket that gets a port which has not rested is not used. */
static void
test_port_rests(void **state)
{
	struct session *s[3];
	int i;

	(void)state;
	same_ports = 1;
	same_port = htons(50000);
	ask();
	assert_int_equal(radius_ports_open(), 1);
	configure(0);
	configure(2);
	pass(25000);
	fake_drain(one.auth);
	fake_drain(two.auth);
	/* Closed, but sent from just now: others are found... */
	configure(0);
	configure(2);
	same_ports = 1;
	s[0] = ask();
	assert_int_equal(same_ports, 0);
	assert_int_equal(accept_all(one.auth), 1);
	assert_verdict(s[0], AUTH_ACCEPT);
	/* ...unless there are none, */
	configure(0);
	configure(2);
	same_ports = 9;
	s[1] = ask();
	assert_int_equal(radius_ports_open(), 0);
	assert_int_equal(same_ports, 0);
	pass(300);
	assert_int_equal(accept_all(one.auth), 1);
	assert_verdict(s[1], AUTH_ACCEPT);
	/* and after its rest it will do. */
	pass(32000);
	configure(0);
	configure(2);
	same_ports = 1;
	s[2] = ask();
	assert_int_equal(accept_all(one.auth), 1);
	assert_verdict(s[2], AUTH_ACCEPT);
	for (i = 0; i < 3; i++)
		assert_int_equal(times[s[i]->sid], 1);
}

/* A quiet server sees one port, and its ids again after their rest. */
static void
test_quiet(void **state)
{
	struct asked a;
	uint16_t port = 0;
	int i;

	(void)state;
	for (i = 0; i < 600; i++) {
		ask();
		a = take(one.auth);
		if (i == 0)
			port = a.from.sin_port;
		assert_int_equal(a.from.sin_port, port);
		assert_int_equal(a.buf[1], i & 255);
		fake_answer(&a, RADIUS_ACCESS_ACCEPT, 0);
		pass(120);
	}
	assert_int_equal(radius_ports_open(), 1);
}

/* Over the bound they wait, over twice the bound they fail at once. */
static void
test_bound(void **state)
{
	struct session *s[31];
	int i;

	(void)state;
	lns.config.radius_max_outstanding = 10;
	for (i = 0; i < 31; i++)
		s[i] = ask();
	assert_int_equal(fake_drain(one.auth), 10);
	assert_int_equal(radius_outstanding(), 20);
	assert_int_equal(answered, 11);
	assert_int_equal(counters.radius_overflow, 11);
	for (i = 20; i < 31; i++)
		assert_verdict(s[i], AUTH_TIMEOUT);
	/* One goes, the one that has waited longest follows. */
	radius_auth_cancel(s[3]);
	turn();
	assert_int_equal(accept_all(one.auth), 1);
	assert_verdict(s[10], AUTH_ACCEPT);
	turn();
	assert_int_equal(accept_all(one.auth), 1);
	assert_verdict(s[11], AUTH_ACCEPT);
	/* A waiting one may go as well. */
	radius_auth_cancel(s[15]);
	/* However long it waited, a verdict comes in time for PPP. */
	pass(24100);
	assert_int_equal(radius_outstanding(), 0);
	for (i = 0; i < 31; i++)
		assert_int_equal(times[s[i]->sid], i != 3 && i != 15);
}

/* Requests that start together do not come back together. */
static void
test_jitter(void **state)
{
	int i, n, most = 0, total = 0, slots = 0;

	(void)state;
	configure(1);
	for (i = 0; i < 1000; i++)
		ask();
	fake_drain(one.auth);
	turn();
	for (i = 0; i < 60; i++) {
		timer_fake(50);
		turn();
		n = fake_drain(one.auth);
		total += n;
		if (n > 0)
			slots++;
		if (n > most)
			most = n;
	}
	assert_int_equal(total, 1000);
	assert_true(slots >= 8);
	assert_true(most <= 2 * total / slots);
}

/* Loss, duplicates and reordering; one outcome each. */
static void
test_bad_network(void **state)
{
	static struct asked held[64];
	static bool seen[SESSIONS + 1];
	int nheld = 0, i, step;

	(void)state;
	memset(seen, 0, sizeof(seen));
	for (step = 0; step < 400; step++) {
		if (step < 200) {
			for (i = 0; i < 5; i++)
				ask();
		}
		for (i = 0; i < 2; i++) {
			struct asked a;

			while (fake_read(i ? two.auth : one.auth, &a)) {
				uint32_t r = digest_random_u32() % 100;
				uint32_t sid = asked_u32(&a, ATTR_NAS_PORT);

				if (r < 30)
					continue;
				seen[sid] = true;
				if (r < 40 && nheld < 64) {
					held[nheld++] = a;
					continue;
				}
				fake_answer(&a, RADIUS_ACCESS_ACCEPT, 0);
				if (r < 50)
					fake_answer(&a, RADIUS_ACCESS_ACCEPT,
					    0);
			}
		}
		if (step % 7 == 0) {
			while (nheld > 0)
				fake_answer(&held[--nheld],
				    RADIUS_ACCESS_ACCEPT, 0);
		}
		pass(100);
	}
	assert_int_equal(radius_outstanding(), 0);
	for (i = 1; i <= 1000; i++) {
		assert_int_equal(times[i], 1);
		if (!seen[i])
			assert_int_equal(verdicts[i].verdict, AUTH_TIMEOUT);
	}
	assert_true(counters.radius_timeout < 50);
}

/* ---- changes under way ---- */

static void
test_cancel(void **state)
{
	struct session *s = ask();
	struct asked a = take(one.auth);

	(void)state;
	radius_auth_cancel(s);
	radius_auth_cancel(s);
	assert_int_equal(radius_outstanding(), 0);
	fake_answer(&a, RADIUS_ACCESS_ACCEPT, 0);
	pass(30000);
	assert_int_equal(answered, 0);
	assert_int_equal(counters.radius_late_reply, 1);
	/* Asking again takes the place of what was asked before. */
	s = ask();
	radius_auth(s, &(struct auth_request){ .protocol = 0xc023,
	    .user = "jim" });
	assert_int_equal(radius_outstanding(), 1);
	assert_true(fake_read(one.auth, &a));
	assert_true(fake_read(one.auth, &a));
	assert_string_equal(asked_text(&a, ATTR_USER_NAME, 0), "jim");
	fake_answer(&a, RADIUS_ACCESS_ACCEPT, 0);
	turn();
	assert_verdict(s, AUTH_ACCEPT);
}

static void
test_reconfigure(void **state)
{
	struct session *s = ask();
	struct asked a = take(one.auth);

	(void)state;
	/* The same again disturbs nothing. */
	configure(2);
	assert_int_equal(radius_ports_open(), 1);
	lns.config.primary_radius = two.addr;
	lns.config.primary_radius_port = two.port;
	lns.config.secondary_radius = 0;
	radius_reconfigure();
	fake_answer(&a, RADIUS_ACCESS_ACCEPT, 0);
	pass(300);
	assert_int_equal(answered, 0);
	assert_int_equal(accept_all(two.auth), 1);
	assert_verdict(s, AUTH_ACCEPT);
	/* Another secret. */
	s = ask();
	fake_drain(two.auth);
	strcpy(lns.config.radius_secret, "another");
	radius_reconfigure();
	pass(300);
	assert_true(fake_read(two.auth, &a));
	fake_answer(&a, RADIUS_ACCESS_ACCEPT, LIE_SECRET);
	turn();
	assert_verdict(s, AUTH_ACCEPT);
	/* No server at all. */
	s = ask();
	configure(0);
	pass(1000);
	assert_verdict(s, AUTH_TIMEOUT);
	assert_int_equal(radius_ports_open(), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, stage_end)
	const struct CMUnitTest tests[] = {
		TEST(test_request),
		TEST(test_chap_request),
		TEST(test_longest_request),
		TEST(test_refused_here),
		TEST(test_no_secret),
		TEST(test_verdicts),
		TEST(test_interim_override),
		TEST(test_odd_accepts),
		TEST(test_rows),
		TEST(test_retransmission),
		TEST(test_failover),
		TEST(test_slow_server),
		TEST(test_dead_and_back),
		TEST(test_loss_is_not_death),
		TEST(test_both_dead),
		TEST(test_refused),
		TEST(test_send_fails),
		TEST(test_old_error),
		TEST(test_send_fails_over),
		TEST(test_no_descriptors),
		TEST(test_no_memory),
		TEST(test_wrong_replies),
		TEST(test_spray),
		TEST(test_require_message_authenticator),
		TEST(test_auto_is_per_server),
		TEST(test_ids),
		TEST(test_many_at_once),
		TEST(test_port_rests),
		TEST(test_quiet),
		TEST(test_bound),
		TEST(test_jitter), TEST(test_own_address), TEST(test_other_address),
		TEST(test_bad_network),
		TEST(test_cancel),
		TEST(test_reconfigure)
	};

	if (!loop_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
