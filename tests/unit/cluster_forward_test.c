/*
 * cluster_forward_test.c - a slave and its master, in one process by turns
 *
 * The tables are real.  What a member sends is kept, and given to the other
 * side when the test says so: to a master or a slave, once, twice or never.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cluster_forward.h"
#include "forward.h"
#include "loop.h"
#include "replica.h"
#include "table.h"

#define MASTER	0x0a000001u
#define OTHER	0x0a000002u
#define SLAVE	0x0a000003u

struct l2tpns lns;

void (*forward_lac_away)(const struct peer *, const uint8_t *, size_t);
bool (*forward_tun_away)(const struct session *, const uint8_t *, size_t);

static struct peer lac = { .addr = 0x0a630001, .local = 0x01010101,
    .port = 40000 };
static uint32_t master;
static bool up_to_date;
static struct loop_hook *hook;

/* --- what is below ------------------------------------------------------- */

#define SENT_MAX	256
static struct sent {
	uint32_t to;
	enum cluster_record type;
	size_t len;
	uint8_t body[CLUSTER_RECORD_MAX];
} sent[SENT_MAX];
static unsigned int nsent;

bool
cluster_send(uint32_t to, enum cluster_record type, const uint8_t *body,
    size_t len)
{
	struct sent *m = &sent[nsent];

	if (to == 0 && master == 0)
		return false;
	assert_true(nsent < SENT_MAX);
	assert_true(len <= sizeof(m->body));
	nsent++;
	m->to = to != 0 ? to : master;
	m->type = type;
	m->len = len;
	memcpy(m->body, body, len);
	return true;
}

uint32_t
cluster_master(void)
{
	return master;
}

uint32_t
cluster_address(void)
{
	return SLAVE;
}

bool
replica_up_to_date(void)
{
	return up_to_date;
}

void
loop_at_turn_end(struct loop_hook *h)
{
	hook = h;
}

/* What the master's data path was given. */
static struct {
	unsigned int lac, tun;
	struct peer peer;
	size_t len;
	uint8_t buf[CLUSTER_RECORD_MAX];
} handed;

bool
forward_handed_lac(const struct peer *peer, const uint8_t *buf, size_t len)
{
	if (len > PACKET_MAX)
		return false;
	handed.lac++;
	handed.peer = *peer;
	handed.len = len;
	memcpy(handed.buf, buf, len);
	return true;
}

bool
forward_handed_tun(const uint8_t *ip, size_t len)
{
	handed.tun++;
	handed.len = len;
	memcpy(handed.buf, ip, len);
	return true;
}

/* --- the scene ------------------------------------------------------------ */

static int
setup(void **state)
{
	(void)state;
	memset(&lns, 0, sizeof(lns));
	memset(&handed, 0, sizeof(handed));
	counters_clear();
	timers_init();
	timer_fake(100000);
	lns.boot_id = 77;
	master = MASTER;
	up_to_date = true;
	nsent = 0;
	assert_true(table_init(2000, 8));
	assert_non_null(table_tunnel_new());
	cluster_forward_init();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cluster_forward_exit();
	table_free();
	return 0;
}

static void
pass(uint64_t ms)
{
	timer_fake(ms);
}

/* Forgets what was sent before, and waits for a report, which is sent[0]. */
static void
wait_report(void)
{
	unsigned int i;

	nsent = 0;
	for (i = 0; i < 20 && nsent == 0; i++)
		pass(100);
	assert_int_equal(nsent, 1);
	assert_int_equal(sent[0].type, CLUSTER_BYTES);
	assert_int_equal(sent[0].to, MASTER);
}

static struct session *
add_session(void)
{
	struct session *s = table_session_new();

	assert_non_null(s);
	s->tid = 1;
	s->local_id = (uint16_t)(1000 + s->sid);
	return s;
}

static void
carry(struct session *s, uint64_t rx, uint64_t tx)
{
	s->rx_octets += rx;
	s->rx_packets += rx != 0;
	s->tx_octets += tx;
	s->tx_packets += tx != 0;
}

static void
give(const struct sent *m, uint32_t from)
{
	struct rd r = rd_init(m->body, m->len);

	cluster_forward_record(from, m->type, &r);
}

/*
 * The master takes the nth message with counters of its own, and answers.
 * Both have their sessions in one table, so what it adds is taken away again,
 * and said in *added.
 */
static void
master_takes(unsigned int n, struct session *s, struct carried *added)
{
	struct session before = *s;

	lns.master = true;
	give(&sent[n], SLAVE);
	lns.master = false;
	*added = (struct carried){ s->rx_octets - before.rx_octets,
	    s->tx_octets - before.tx_octets,
	    s->rx_packets - before.rx_packets,
	    s->tx_packets - before.tx_packets };
	*s = before;
}

/* The report in sent[0] is taken, and that is said. */
static void
give_taken(struct session *s)
{
	struct carried got;

	master_takes(0, s, &got);
	give(&sent[1], MASTER);
}

/* --- packets --------------------------------------------------------------- */

static void
test_packets_together(void **state)
{
	uint8_t buf[1500];
	unsigned int i;

	(void)state;
	assert_true(forward_lac_away == cluster_forward_lac);
	assert_true(forward_tun_away == cluster_forward_tun);
	assert_int_equal(lns.own_addr, SLAVE);
	memset(buf, 7, sizeof(buf));
	for (i = 0; i < 30; i++)
		cluster_forward_lac(&lac, buf, 88);	/* 100 with header */
	assert_int_equal(nsent, 2);
	hook->run();
	hook->run();
	assert_int_equal(nsent, 3);
	assert_int_equal(counters.cluster_forwarded, 30);
	for (i = 0; i < nsent; i++) {
		assert_int_equal(sent[i].to, MASTER);
		assert_int_equal(sent[i].type, CLUSTER_FROM_LAC);
		assert_true(sent[i].len <= 1350);
	}
	lns.master = true;
	for (i = 0; i < 3; i++)
		give(&sent[i], SLAVE);
	assert_int_equal(handed.lac, 30);
	assert_int_equal(counters.recv_forward, 30);
	assert_int_equal(handed.peer.addr, lac.addr);
	assert_int_equal(handed.peer.local, lac.local);
	assert_int_equal(handed.peer.port, lac.port);
	assert_int_equal(handed.len, 88);
	assert_memory_equal(handed.buf, buf, 88);
}

/* One that is longer than what goes together goes alone, and whole. */
static void
test_long_packets(void **state)
{
	uint8_t buf[CLUSTER_RECORD_MAX + 1];
	struct session *s = add_session();

	(void)state;
	memset(buf, 9, sizeof(buf));
	cluster_forward_lac(&lac, buf, 100);
	cluster_forward_lac(&lac, buf, PACKET_MAX);
	cluster_forward_lac(&lac, buf, 100);
	cluster_forward_lac(&lac, buf, PACKET_MAX + 1);
	assert_true(cluster_forward_tun(s, buf, CLUSTER_RECORD_MAX - 2));
	assert_true(cluster_forward_tun(s, buf, CLUSTER_RECORD_MAX));
	hook->run();
	assert_int_equal(nsent, 4);
	assert_int_equal(counters.cluster_forwarded, 4);
	assert_int_equal(counters.cluster_not_forwarded, 2);
	lns.master = true;
	assert_int_equal(sent[2].type, CLUSTER_FROM_TUN);
	give(&sent[2], SLAVE);
	assert_int_equal(handed.tun, 1);
	assert_int_equal(handed.len, CLUSTER_RECORD_MAX - 2);
}

static void
test_no_master(void **state)
{
	uint8_t buf[100] = { 0 };
	struct session *s = add_session();

	(void)state;
	cluster_forward_lac(&lac, buf, 100);
	master = 0;			/* in the same turn */
	cluster_forward_lac(&lac, buf, 100);
	assert_true(cluster_forward_tun(s, buf, 100));
	hook->run();
	assert_int_equal(nsent, 0);
	assert_int_equal(counters.cluster_not_forwarded, 3);
}

/* Nobody's address, when everybody's is known, is the slave's to refuse. */
static void
test_nobodys_address(void **state)
{
	uint8_t buf[100] = { 0 };

	(void)state;
	assert_false(cluster_forward_tun(NULL, buf, 100));
	up_to_date = false;
	assert_true(cluster_forward_tun(NULL, buf, 100));
	hook->run();
	assert_int_equal(nsent, 1);
}

/* Who is no master does nothing with it, least of all hand it on. */
static void
test_misdirected(void **state)
{
	uint8_t buf[100] = { 0 };
	struct session *s = add_session();

	(void)state;
	cluster_forward_lac(&lac, buf, 100);
	hook->run();
	give(&sent[0], OTHER);
	assert_int_equal(counters.cluster_misdirected, 1);
	carry(s, 10, 0);
	wait_report();
	give(&sent[0], OTHER);
	assert_int_equal(counters.cluster_misdirected, 2);
	hook->run();
	assert_int_equal(nsent, 1);
	assert_int_equal(handed.lac + handed.tun, 0);
}

/* Every record cut anywhere, and some that were never right. */
static void
test_malformed(void **state)
{
	uint8_t buf[300] = { 0 };
	struct session *s = add_session();
	unsigned int i, whole = 0;
	struct rd r;

	(void)state;
	cluster_forward_lac(&lac, buf, 100);
	cluster_forward_lac(&lac, buf, 100);
	cluster_forward_tun(s, buf, 100);
	hook->run();
	carry(s, 10, 20);
	pass(1100);
	assert_true(nsent >= 3);
	lns.master = true;
	for (i = 0; i < 3; i++) {
		for (size_t n = 0; n < sent[i].len; n++) {
			handed.lac = handed.tun = 0;
			r = rd_init(sent[i].body, n);
			cluster_forward_record(SLAVE, sent[i].type, &r);
			whole += handed.lac + handed.tun;
		}
	}
	assert_int_equal(whole, 112);	/* the first of two, whole */
	assert_int_equal(s->rx_octets, 10);
	buf[0] = 9;
	r = rd_init(buf, 20);
	cluster_forward_record(SLAVE, CLUSTER_BYTES, &r);
	r = rd_init(buf, 20);
	cluster_forward_record(SLAVE, CLUSTER_SESSION, &r);
	assert_true(counters.cluster_bad_forward > 200);
	/* A LAC's datagram that no socket would have taken. */
	r = rd_init(sent[0].body, sent[0].len);
	memcpy(buf, sent[0].body, 12);
	cluster_forward_record(SLAVE, CLUSTER_FROM_LAC, &r);
	assert_int_equal(s->rx_octets, 10);
}

/* --- counts ---------------------------------------------------------------- */

static void
test_reported_once(void **state)
{
	struct session *s = add_session(), *quiet = add_session();
	struct carried got;

	(void)state;
	pass(1500);
	assert_int_equal(nsent, 0);
	carry(s, 1000, 0);
	carry(s, 0, 300);
	wait_report();
	master_takes(0, s, &got);
	assert_int_equal(got.rx_octets, 1000);
	assert_int_equal(got.tx_octets, 300);
	assert_int_equal(got.rx_packets, 1);
	assert_int_equal(got.tx_packets, 1);
	assert_int_equal(nsent, 2);
	assert_int_equal(sent[1].to, SLAVE);
	give(&sent[1], MASTER);
	assert_int_equal(counters.cluster_reported, 1);
	pass(3000);
	assert_int_equal(nsent, 2);
	assert_int_equal(quiet->rx_octets, 0);
	carry(s, 1, 0);
	wait_report();
	master_takes(0, s, &got);
	assert_int_equal(got.rx_octets, 1);
	assert_int_equal(got.tx_octets, 0);
}

/* A report that is lost comes again; one whose answer is lost counts once. */
static void
test_lost(void **state)
{
	struct session *s = add_session();
	struct carried got;

	(void)state;
	carry(s, 1000, 0);
	wait_report();
	carry(s, 50, 0);		/* is for the next one */
	pass(700);
	assert_int_equal(nsent, 3);
	assert_memory_equal(sent[0].body, sent[2].body, sent[0].len);
	master_takes(1, s, &got);
	assert_int_equal(got.rx_octets, 1000);
	master_takes(2, s, &got);
	assert_int_equal(got.rx_octets, 0);
	assert_int_equal(nsent, 5);
	give(&sent[4], MASTER);
	give(&sent[3], MASTER);
	wait_report();
	master_takes(0, s, &got);
	assert_int_equal(got.rx_octets, 50);
}

/* Many sessions: a bounded number of reports, and each session in one. */
static void
test_many(void **state)
{
	struct session *first = add_session(), *s;
	uint64_t all = 0;
	unsigned int i;

	(void)state;
	carry(first, 1, 1);
	for (i = 1; i < 2000; i++)
		carry(add_session(), i + 1, 1);
	for (i = 0; i < 40; i++) {
		unsigned int n;

		nsent = 0;
		pass(100);
		n = nsent;
		assert_true(n <= 2 * 32);
		lns.master = true;
		for (unsigned int k = 0; k < n; k++)
			give(&sent[k], SLAVE);
		lns.master = false;
		for (unsigned int k = n; k < 2 * n; k++)
			give(&sent[k], MASTER);
	}
	/* One table stands for both: what was added now looks carried. */
	for (s = first; s != NULL; s = session_next(s->sid))
		all += s->rx_octets - session_local(s)->told.rx_octets;
	assert_int_equal(all, 2000 * 2001 / 2);
	assert_true(counters.recv_reported >= 2000);
	assert_int_equal(counters.cluster_reported, counters.recv_reported);
}

/* What the stream says goes below what was carried and not told. */
static void
test_stream(void **state)
{
	struct session *s = add_session();
	struct carried told = { 5000, 600, 50, 6 }, got;

	(void)state;
	carry(s, 1000, 0);
	cluster_forward_counted(s, &told);
	assert_int_equal(s->rx_octets, 6000);
	assert_int_equal(s->tx_octets, 600);
	assert_int_equal(s->rx_packets, 51);
	wait_report();
	master_takes(0, s, &got);
	assert_int_equal(got.rx_octets, 1000);
	give(&sent[1], MASTER);
	carry(s, 1, 0);
	assert_int_equal(s->rx_octets, 6001);
	told.rx_octets += 1000;		/* now the master says so too */
	told.rx_packets++;
	cluster_forward_counted(s, &told);
	assert_int_equal(s->rx_octets, 6001);
	cluster_forward_counted(s, &told);
	assert_int_equal(s->rx_octets, 6001);
	assert_int_equal(s->rx_packets, 52);
}

/* The new master has what it carried; another slave reports to it. */
static void
test_another_master(void **state)
{
	struct session *s = add_session();
	struct carried told = { 5000, 0, 50, 0 }, got;

	(void)state;
	cluster_forward_counted(s, &told);
	carry(s, 1000, 0);
	wait_report();
	master = OTHER;			/* before the first one answered */
	pass(1200);
	assert_true(nsent >= 2);
	assert_int_equal(sent[1].to, OTHER);
	nsent = 2;
	master_takes(1, s, &got);
	assert_int_equal(got.rx_octets, 1000);
	give(&sent[2], MASTER);		/* not his to say any more */
	assert_int_equal(counters.cluster_reported, 0);
	give(&sent[2], OTHER);
	assert_int_equal(counters.cluster_reported, 1);

	carry(s, 7, 0);
	lns.master = true;
	cluster_forward_settle();
	assert_int_equal(s->rx_octets, 6007);
	nsent = 0;
	pass(3000);
	assert_int_equal(nsent, 0);

	/* And a slave again: what it counted as master is not told. */
	carry(s, 100000, 0);
	lns.master = false;
	master = MASTER;
	cluster_forward_counted(s, &told);
	assert_int_equal(s->rx_octets, 5000);
	carry(s, 3, 0);
	wait_report();
	master_takes(0, s, &got);
	assert_int_equal(got.rx_octets, 3);
}

/* What a master took and did not stream is told to the next one again. */
static void
test_not_streamed(void **state)
{
	struct session *s = add_session();
	struct carried told = { 5000, 0, 50, 0 }, got;

	(void)state;
	cluster_forward_counted(s, &told);
	carry(s, 1000, 0);
	wait_report();
	give_taken(s);
	told.rx_octets += 1000;		/* streamed */
	told.rx_packets += 1;
	cluster_forward_counted(s, &told);
	carry(s, 200, 0);
	wait_report();
	give_taken(s);			/* not streamed */
	carry(s, 30, 0);
	master = 0;
	pass(500);
	master = OTHER;
	nsent = 0;
	pass(1200);
	assert_true(nsent > 0);
	nsent = 1;
	master_takes(0, s, &got);
	assert_int_equal(got.rx_octets, 230);
	assert_int_equal(got.rx_packets, 2);
	assert_int_equal(s->rx_octets, 6230);

	/* Or becomes master itself. */
	give(&sent[1], OTHER);
	carry(s, 4, 0);
	lns.master = true;
	cluster_forward_settle();
	assert_int_equal(s->rx_octets, 6234);
}

/* The slot has another session by the time that the report comes. */
static void
test_reused_slot(void **state)
{
	struct session *s = add_session();
	struct carried got;

	(void)state;
	carry(s, 1000, 0);
	wait_report();
	s->local_id++;
	master_takes(0, s, &got);
	assert_int_equal(got.rx_octets, 0);
	give(&sent[1], MASTER);
	assert_int_equal(session_local(s)->told.rx_octets, 0);
	s->local_id--;
	s->dying = true;
	wait_report();
	master_takes(0, s, &got);
	assert_int_equal(got.rx_octets, 0);
}

/* Idle-Timeout and HELLO see what passes on the slaves. */
static void
test_last_data(void **state)
{
	struct session *s = add_session();

	(void)state;
	carry(s, 1000, 0);
	wait_report();
	lns.master = true;
	give(&sent[0], SLAVE);
	assert_int_equal(s->last_data, timer_now() / 1000);
	assert_int_equal(tunnel_by_tid(1)->last_data, timer_now() / 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(test_packets_together), TEST(test_long_packets),
		TEST(test_no_master), TEST(test_nobodys_address),
		TEST(test_misdirected), TEST(test_malformed),
		TEST(test_reported_once), TEST(test_not_streamed),
		TEST(test_lost), TEST(test_many), TEST(test_stream),
		TEST(test_another_master), TEST(test_reused_slot),
		TEST(test_last_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
