/*
 * cluster_test.c - several members, an invented network, an invented clock
 *
 * Each member is a process of its own that runs cluster.c, cluster_member.c
 * and cluster_stream.c as they are, since these keep what they know in static
 * variables.  It is a puppet: this process tells it what time it is, what has
 * come in, and what changes, and carries what it sends.  So members can be
 * stopped, killed, cut off and lied to in any order, and minutes pass in a
 * blink.
 *
 * In place of tunnels and sessions is a chain (cluster_fakes.h): members agree
 * if theirs are equal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster.h"
#include "cluster_fakes.h"
#include "cluster_link.h"
#include "cluster_wire.h"
#include "counters.h"
#include "l2tpns.h"
#include "timer.h"

#define SECRET		"a secret of the cluster"
#define INTERVAL	500		/* ms, as configured below */
#define TIMEOUT		2000
#define STEP		10		/* ms */
#define MEMBERS		4
#define ADDR(i)		(0x0a580001 + (uint32_t)(i))

/* --- what the two sides tell each other ------------------------------------ */

enum order { O_TURN, O_INPUT, O_CHANGE, O_LEAVE, O_LINK, O_LATE,
	O_SECRET, O_BGP, O_FORWARD };

struct order_msg {
	enum order order;
	uint64_t now;
	uint32_t from;			/* O_INPUT; or how many changes, or on */
	bool group, answer;
	size_t len;
	uint8_t buf[CW_DATAGRAM_MAX];
};

/* What a member is, as it says at the end of each order. */
struct report {
	struct cluster_status status;
	struct counters counters;
	struct fake fake;
	bool is_master;			/* lns.master */
	bool left;			/* what cluster_leave() said */
};

struct reply_msg {
	bool done;			/* the report; else a datagram: */
	struct report report;
	uint32_t to;
	size_t len;
	uint8_t buf[CW_DATAGRAM_MAX];
};

/* --- a member: the puppet ---------------------------------------------------- */

static int wire = -1;			/* to the other side */
static struct report mine;

static bool
send_out(uint32_t to, const void *buf, size_t len)
{
	static struct reply_msg m;

	m = (struct reply_msg){ .to = to, .len = len };
	memcpy(m.buf, buf, len);
	return send(wire, &m, sizeof(m), 0) == sizeof(m);
}

static void
report(void)
{
	static struct reply_msg m;

	cluster_status(&mine.status);
	mine.counters = counters;
	mine.fake = fake;
	mine.is_master = lns.master;
	m = (struct reply_msg){ .done = true, .report = mine };
	(void)!send(wire, &m, sizeof(m), 0);
}

static void
obey(const struct order_msg *o)
{
	fake_now = o->now;
	switch (o->order) {
	case O_TURN:
		fake_turn();
		break;
	case O_INPUT:
		link_input(o->from, o->group, o->buf, o->len);
		link_idle();
		break;
	case O_CHANGE:
		if (o->from == UINT32_MAX) {	/* a copy gone wrong */
			fake.chained = 12345;
			break;
		}
		for (uint32_t n = 0; n < o->from; n++)
			fake_change(o->group);
		fake_turn();
		break;
	case O_LEAVE:
		mine.left = cluster_leave();
		break;
	case O_LATE:
		fake_late = o->from;
		fake_turn();
		fake_late = 0;
		break;
	case O_FORWARD:
		(void)cluster_send(0, CLUSTER_FROM_LAC, (const uint8_t *)"x",
		    1);
		break;
	case O_BGP:
		fake_bgp = o->from ? "Established" : "Active";
		break;
	case O_SECRET:
		snprintf(lns.config.cluster_secret,
		    sizeof(lns.config.cluster_secret), "secret number %u",
		    o->from);
		break;
	case O_LINK:
		strcpy(lns.config.cluster_interface, o->from ? "eth0" : "");
		break;
	}
}

static void __attribute__((noreturn))
be_member(uint32_t addr, uint64_t start)
{
	static struct order_msg o;

	fake_address = addr;
	fake_now = start;
	fake_send = send_out;
	lns.start = timer_wall();
	cluster_init();
	report();
	while (recv(wire, &o, sizeof(o), 0) > 0) {
		obey(&o);
		if (o.answer)
			report();
	}
	_exit(0);
}

/* --- this side: the network -------------------------------------------------- */

struct packet {
	struct packet *next;
	uint64_t due;
	int from, to;
	bool group;
	size_t len;
	uint8_t buf[];
};

static struct member {
	pid_t pid;
	int fd;
	bool stopped;
	struct report r;
} member[MEMBERS];

static uint64_t clock_ms;
static struct packet *flying;
static bool cut[MEMBERS][MEMBERS];	/* from, to */
static bool no_group;
static int loss, twice, jitter;		/* percent, percent, ms */
static uint64_t two_masters;		/* ms in which two acted, so far */

/* Everything that was ever sent, if `recording`. */
static bool recording;
static struct packet *recorded;

static uint32_t
dice(uint32_t n)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 33) % n;
}

static struct packet *
packet_new(int from, int to, bool group, const uint8_t *buf, size_t len)
{
	struct packet *p = malloc(sizeof(*p) + len);

	assert_non_null(p);
	*p = (struct packet){ .from = from, .to = to, .group = group,
	    .len = len };
	memcpy(p->buf, buf, len);
	return p;
}

static void
launch(int from, int to, bool group, const uint8_t *buf, size_t len)
{
	struct packet *p, **end = &flying;

	if (to == from || member[to].pid == 0 || cut[from][to] ||
	    (group && no_group) || (int)dice(100) < loss)
		return;
	p = packet_new(from, to, group, buf, len);
	p->due = clock_ms + 1 + (jitter > 0 ? dice((uint32_t)jitter) : 0);
	while (*end != NULL)
		end = &(*end)->next;
	*end = p;
}

static void
carry(int from, const struct reply_msg *m)
{
	int copies = (int)dice(100) < twice ? 2 : 1;
	struct packet *p;

	if (recording) {
		p = packet_new(from, (int)(m->to - ADDR(0)), m->to == 0,
		    m->buf, m->len);
		p->next = recorded;
		recorded = p;
	}
	for (; copies > 0; copies--) {
		if (m->to != 0) {
			launch(from, (int)(m->to - ADDR(0)), false, m->buf,
			    m->len);
			continue;
		}
		for (int to = 0; to < MEMBERS; to++)
			launch(from, to, true, m->buf, m->len);
	}
}

/* Until it has said what it is. */
static void
listen_to(int i)
{
	static struct reply_msg m;

	do {
		assert_int_equal(recv(member[i].fd, &m, sizeof(m), 0),
		    sizeof(m));
		if (!m.done)
			carry(i, &m);
	} while (!m.done);
	member[i].r = m.report;
}

static void
tell(int i, const struct order_msg *o)
{
	assert_int_equal(send(member[i].fd, o, sizeof(*o), 0), sizeof(*o));
	listen_to(i);
}

static void
order(int i, enum order what, uint32_t n, bool flag)
{
	static struct order_msg o;

	o.order = what;
	o.now = clock_ms;
	o.from = n;
	o.group = flag;
	o.answer = true;
	tell(i, &o);
}

static void
hand(int to, uint32_t from, bool group, const uint8_t *buf, size_t len)
{
	static struct order_msg o;

	o.order = O_INPUT;
	o.now = clock_ms;
	o.from = from;
	o.group = group;
	o.answer = true;
	o.len = len;
	memcpy(o.buf, buf, len);
	tell(to, &o);
}

static void
start(int i)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	fflush(NULL);
	member[i] = (struct member){ .pid = fork(), .fd = pair[0] };
	assert_true(member[i].pid >= 0);
	if (member[i].pid == 0) {
		close(pair[0]);
		wire = pair[1];
		be_member(ADDR(i), clock_ms);
	}
	close(pair[1]);
	listen_to(i);
}

static void
kill_9(int i)
{
	if (member[i].pid == 0)
		return;
	kill(member[i].pid, SIGKILL);
	waitpid(member[i].pid, NULL, 0);
	close(member[i].fd);
	member[i] = (struct member){ 0 };
}

/* What is due; for who is stopped it waits. */
static void
deliver(void)
{
	struct packet *p, **at = &flying;

	while ((p = *at) != NULL) {
		if (member[p->to].pid != 0 &&
		    (p->due > clock_ms || member[p->to].stopped)) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		if (member[p->to].pid != 0)
			hand(p->to, ADDR(p->from), p->group, p->buf, p->len);
		free(p);
	}
}

static int
masters(void)
{
	int n = 0;

	for (int i = 0; i < MEMBERS; i++)
		assert_true(member[i].r.fake.garden == member[i].r.is_master ||
		    member[i].r.status.role == CLUSTER_OFF);
	for (int i = 0; i < MEMBERS; i++)
		n += member[i].pid != 0 && !member[i].stopped &&
		    member[i].r.is_master;
	return n;
}

static int
the_master(void)
{
	for (int i = 0; i < MEMBERS; i++)
		if (member[i].pid != 0 && !member[i].stopped &&
		    member[i].r.is_master)
			return i;
	return -1;
}

static void
step(void)
{
	clock_ms += STEP;
	for (int i = 0; i < MEMBERS; i++)
		if (member[i].pid != 0 && !member[i].stopped)
			order(i, O_TURN, 0, false);
	deliver();
	if (masters() > 1)
		two_masters += STEP;
}

static void
pass(uint64_t ms)
{
	for (uint64_t end = clock_ms + ms; clock_ms < end;)
		step();
}

/* How long until there is a master and all who live follow it; ms. */
static uint64_t
settle(uint64_t most)
{
	uint64_t begin = clock_ms;
	bool good = false;

	while (!good && clock_ms - begin < most) {
		step();
		good = masters() == 1;
		for (int i = 0; i < MEMBERS; i++)
			if (member[i].pid != 0 && !member[i].stopped &&
			    !member[i].r.is_master &&
			    !member[i].r.status.up_to_date)
				good = false;
	}
	if (!good)
		fail_msg("%d masters, and not all follow", masters());
	return clock_ms - begin;
}

static void
assert_agreed(void)
{
	int m = the_master();

	assert_true(m >= 0);
	for (int i = 0; i < MEMBERS; i++) {
		if (member[i].pid == 0 || member[i].stopped)
			continue;
		assert_int_equal(member[i].r.fake.chained, member[m].r.fake.chained);
		assert_true(member[i].r.fake.chain == member[m].r.fake.chain);
		assert_int_equal(member[i].r.status.changes,
		    member[m].r.status.changes);
	}
}

static void
free_packets(struct packet **list)
{
	struct packet *p;

	while ((p = *list) != NULL) {
		*list = p->next;
		free(p);
	}
}

static void
cut_off(int a, bool off)
{
	for (int i = 0; i < MEMBERS; i++)
		cut[a][i] = cut[i][a] = off;
}

static int
begin(void **state)
{
	(void)state;
	clock_ms = 1000000;
	memset(cut, 0, sizeof(cut));
	no_group = recording = false;
	loss = twice = jitter = 0;
	fake_walk_ms = 0;
	two_masters = 0;
	memset(&lns, 0, sizeof(lns));
	lns.config.bind_address = 0x0a630101;
	lns.config.cluster_address = 0xefc00d0d;
	strcpy(lns.config.cluster_interface, "eth0");
	strcpy(lns.config.cluster_secret, SECRET);
	lns.config.cluster_hb_interval = INTERVAL / 100;
	lns.config.cluster_hb_timeout = TIMEOUT / 100;
	lns.config.cluster_master_min_adv = 1;
	lns.config.cluster_start_wait = 15;
	lns.config.send_garp = true;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	for (int i = 0; i < MEMBERS; i++)
		kill_9(i);
	free_packets(&flying);
	free_packets(&recorded);
	return 0;
}

/* Three of them, up and agreed, the first one master. */
static void
three(void)
{
	for (int i = 0; i < 3; i++) {
		start(i);
		pass(1100);
	}
	settle(3000);
	pass(3000);
	assert_int_equal(the_master(), 0);
	assert_agreed();
}

/* --- elections ----------------------------------------------------------------- */

static void
alone_without_secret(void **state)
{
	(void)state;
	lns.config.cluster_secret[0] = '\0';
	start(0);
	assert_int_equal(member[0].r.status.role, CLUSTER_OFF);
	assert_true(member[0].r.is_master);
	lns.config.cluster_insecure = true;
	start(1);
	assert_int_equal(member[1].r.status.role, CLUSTER_SLAVE);
	strcpy(lns.config.cluster_secret, SECRET);
	lns.config.cluster_address = 0;
	start(2);
	assert_int_equal(member[2].r.status.role, CLUSTER_OFF);
}

/* It takes calls after cluster_start_wait, and what it saved holds. */
static void
first_of_all(void **state)
{
	(void)state;
	start(0);
	assert_false(member[0].r.is_master);
	pass(1490);
	assert_int_equal(masters(), 0);
	pass(100);
	assert_int_equal(the_master(), 0);
	assert_int_equal(member[0].r.fake.restored, 1);
	assert_int_equal(member[0].r.fake.told_master, 1);
	assert_true(member[0].r.status.routes);
	pass(5000);
	assert_int_equal(member[0].r.fake.garps, 3);
	start(1);
	assert_in_range(settle(3000), 1, 1000);
	assert_int_equal(member[1].r.fake.restored, 0);
	assert_int_equal(member[1].r.fake.told_slave, 1);
	assert_int_equal(the_master(), 0);
	pass(100);
	assert_true(member[1].r.status.routes);
	pass(2500);
	assert_false(member[0].r.status.routes);
	assert_false(member[0].r.fake.routes);
	assert_true(member[1].r.fake.routes);
	/* Without slaves the packets have to come to him. */
	kill_9(1);
	pass(1100);
	assert_true(member[0].r.status.routes);
	assert_true(member[0].r.is_master);
	pass(1600);
	assert_int_equal(member[0].r.status.peers, 0);
}

static void
all_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		start(i);
	assert_in_range(settle(3000), 1490, 1800);
	/* As old as each other: the highest address. */
	assert_int_equal(the_master(), 3);
	assert_int_equal(member[3].r.fake.restored, 0);
	assert_int_equal(two_masters, 0);
	pass(3000);
	assert_agreed();
	for (int i = 0; i < 3; i++)
		assert_int_equal(member[i].r.fake.walks, 0);
	assert_in_range(member[3].r.fake.walks, 1, 2);
}

static void
enough_slaves(void **state)
{
	(void)state;
	lns.config.cluster_master_min_adv = 2;
	start(0);
	pass(1600);
	start(1);
	pass(5000);
	assert_true(member[0].r.status.routes);
	assert_true(member[1].r.status.routes);
	start(2);
	pass(5000);
	assert_false(member[0].r.status.routes);
	kill_9(2);
	pass(1100);
	assert_true(member[0].r.status.routes);
}

/* A slave that no router sends packets to does not relieve the master. */
static void
slave_without_router(void **state)
{
	(void)state;
	start(0);
	order(0, O_BGP, true, false);
	pass(1600);
	start(1);
	order(1, O_BGP, false, false);
	settle(3000);
	pass(5000);
	assert_true(member[1].r.status.routes);
	assert_true(member[0].r.status.routes);
	order(1, O_BGP, true, false);
	pass(2700);
	assert_false(member[0].r.status.routes);
	order(1, O_BGP, false, false);
	pass(1000);
	assert_true(member[0].r.status.routes);
	/* To go on with the sessions it need not. */
	order(0, O_LEAVE, 0, false);
	assert_true(member[0].r.left);
}

/* A stream that makes no sense is asked for anew, but not all the time. */
static void
senseless(void **state)
{
	(void)state;
	three();
	order(0, O_CHANGE, 1, false);
	pass(100);
	order(1, O_CHANGE, UINT32_MAX, false);
	order(0, O_CHANGE, 1, false);
	pass(3000);
	assert_int_equal(member[1].r.counters.cluster_lost, 1);
	assert_false(member[1].r.status.up_to_date);
	assert_true(member[1].r.status.routes);
	pass(3000);
	assert_true(member[1].r.status.up_to_date);
	assert_agreed();
	assert_int_equal(the_master(), 0);
}

static void
master_dies(void **state)
{
	uint64_t chain, died;
	int old;

	(void)state;
	three();
	for (int round = 0; round < 6; round++) {
		old = the_master();
		for (int i = 0; i < 50; i++) {
			order(old, O_CHANGE, 1 + dice(20), dice(20) == 0);
			pass(dice(40));
		}
		pass(2 * STEP);
		chain = member[old].r.fake.chain;
		died = clock_ms;
		kill_9(old);
		while (masters() == 0)
			step();
		assert_in_range(clock_ms - died, TIMEOUT - INTERVAL - STEP,
		    TIMEOUT + 500);
		assert_true(member[the_master()].r.fake.chain == chain);
		settle(5000);
		assert_agreed();
		assert_int_equal(two_masters, 0);
		start(old);
		settle(5000);
		pass(1000);
		assert_agreed();
		assert_int_equal(masters(), 1);
	}
}

/* Who follows goes on taking packets while it asks the new master for all. */
static void
slave_keeps_its_routes(void **state)
{
	(void)state;
	three();
	kill_9(0);
	for (int i = 0; i < 500; i++) {
		step();
		assert_true(member[2].r.status.routes);
	}
	assert_int_equal(the_master(), 1);
}

static void
goodbye(void **state)
{
	uint64_t left;

	(void)state;
	three();
	order(0, O_CHANGE, 100, false);
	pass(100);
	order(0, O_LEAVE, 0, false);
	assert_true(member[0].r.left);
	assert_false(member[0].r.is_master);
	left = clock_ms;
	while (masters() == 0)
		step();
	assert_in_range(clock_ms - left, STEP, 200);
	assert_int_equal(the_master(), 1);
	assert_int_equal(member[1].r.fake.chained, 100);
	/* For some seconds it goes on to hand over what still comes. */
	pass(3000);
	assert_int_equal(member[0].r.status.master, ADDR(1));
	assert_false(member[0].r.is_master);
	/* It is nobody to be elected, although it has been up longest. */
	kill_9(1);
	left = clock_ms;
	while (masters() == 0)
		step();
	assert_in_range(clock_ms - left, STEP, TIMEOUT + 100);
	assert_int_equal(the_master(), 2);
	/* A slave's sessions are not its own. */
	kill_9(0);
	start(0);
	settle(5000);
	order(0, O_LEAVE, 0, false);
	assert_true(member[0].r.left);
	kill_9(0);
	pass(3000);
	/* The last one has nobody to go on. */
	order(2, O_LEAVE, 0, false);
	assert_false(member[2].r.left);
	assert_true(member[2].r.is_master);
}

/* A heartbeat that was overtaken by the goodbye brings nobody back. */
static void
overtaken(void **state)
{
	(void)state;
	three();
	recording = true;
	for (int i = 1; i < 3; i++)
		cut[0][i] = true;
	while (recorded == NULL || recorded->from != 0)
		step();
	recording = false;
	assert_int_equal(recorded->buf[5], CW_HEARTBEAT);
	for (int i = 1; i < 3; i++)
		cut[0][i] = false;
	order(0, O_LEAVE, 0, false);
	while (member[1].r.status.master != 0)
		step();
	hand(1, ADDR(0), true, recorded->buf, recorded->len);
	assert_int_equal(member[1].r.status.master, 0);
	pass(200);
	assert_int_equal(the_master(), 1);
}

/* A master that is back at once is nobody's master any more. */
static void
restarted_at_once(void **state)
{
	(void)state;
	three();
	order(0, O_CHANGE, 10, false);
	pass(50);
	kill_9(0);
	start(0);
	assert_in_range(settle(5000), 1, 1000);
	assert_int_equal(the_master(), 1);
	assert_int_equal(member[1].r.fake.chained, 10);
	assert_agreed();
}

/* --- stopped, cut off ------------------------------------------------------------ */

static void
stopped(void **state)
{
	static const uint64_t times[] = { TIMEOUT / 2, TIMEOUT - INTERVAL,
	    TIMEOUT, TIMEOUT + 100, 2 * TIMEOUT, 5 * TIMEOUT, 30 * TIMEOUT };
	uint64_t before_it;
	int old;

	(void)state;
	three();
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		old = the_master();
		order(old, O_CHANGE, 10, false);
		pass(100);
		two_masters = 0;
		member[old].stopped = true;
		for (uint64_t t = 0; t < times[i]; t += STEP) {
			step();
			if (masters() == 1 && t % 200 == 0)
				order(the_master(), O_CHANGE, 1, false);
		}
		before_it = masters() == 1 ?
		    member[the_master()].r.fake.chained : 0;
		member[old].stopped = false;
		settle(5000);
		pass(500);
		assert_int_equal(masters(), 1);
		assert_in_range(two_masters, 0, INTERVAL);
		assert_true(member[the_master()].r.fake.chained >= before_it);
		assert_agreed();
	}
}

/* The first turn after the stop: nothing is done as master any more. */
static void
stale_master_wakes(void **state)
{
	(void)state;
	three();
	member[0].stopped = true;
	pass(10 * TIMEOUT);
	assert_int_equal(the_master(), 1);
	member[0].stopped = false;
	step();
	assert_false(member[0].r.is_master);
	assert_int_equal(two_masters, 0);
	settle(3000);
	assert_int_equal(the_master(), 1);
}

/* Stopped in the midst of a turn: what it was about to say is not said. */
static void
stopped_within_a_turn(void **state)
{
	(void)state;
	three();
	order(0, O_CHANGE, 5, false);
	order(0, O_LATE, TIMEOUT - INTERVAL - 100, false);
	assert_true(member[0].r.is_master);
	order(0, O_LATE, TIMEOUT, false);
	assert_false(member[0].r.is_master);
	assert_int_equal(member[0].r.fake.discarded, 1);
	settle(3000);
	assert_int_equal(two_masters, 0);
	assert_int_equal(member[the_master()].r.fake.chained, 5);
}

/* A slave that was stopped has heard nobody, but nobody is dead. */
static void
stopped_slave(void **state)
{
	(void)state;
	three();
	for (uint64_t ms = 1000; ms < 20000; ms = ms * 2 + 300) {
		member[2].stopped = true;
		for (uint64_t t = 0; t < ms; t += 100) {
			order(0, O_CHANGE, 3, false);
			pass(100);
		}
		member[2].stopped = false;
		step();
		assert_int_equal(member[2].r.status.peers, 2);
		pass(100);
		settle(4000);
		assert_int_equal(the_master(), 0);
		assert_int_equal(two_masters, 0);
		assert_agreed();
	}
}

/* Nobody else is there who could say that the master is alive. */
static void
stopped_slave_of_two(void **state)
{
	(void)state;
	start(0);
	pass(1600);
	start(1);
	settle(3000);
	member[1].stopped = true;
	pass(10 * TIMEOUT);
	member[1].stopped = false;
	step();
	settle(3000);
	assert_int_equal(member[1].r.counters.cluster_promoted, 0);
	assert_int_equal(the_master(), 0);
	assert_int_equal(two_masters, 0);
}

/* The side that has the calls wins, whoever is older. */
static void
partition(void **state)
{
	uint64_t chain;

	(void)state;
	three();
	cut_off(0, true);
	for (int i = 0; i < 60; i++) {
		pass(100);
		if (member[1].r.is_master)
			order(1, O_CHANGE, 2, false);
	}
	assert_true(member[0].r.is_master);
	assert_true(member[0].r.status.routes);
	assert_true(member[1].r.is_master);
	chain = member[1].r.fake.chain;
	cut_off(0, false);
	two_masters = 0;
	settle(5000);
	assert_int_equal(the_master(), 1);
	assert_in_range(two_masters, 0, INTERVAL + 200);
	assert_true(member[1].r.fake.chain == chain);
	assert_agreed();
	/* And the other way round: this time the lonely one has them. */
	cut_off(1, true);
	for (int i = 0; i < 60; i++) {
		pass(100);
		order(1, O_CHANGE, 2, false);
	}
	chain = member[1].r.fake.chain;
	cut_off(1, false);
	settle(5000);
	assert_int_equal(the_master(), 1);
	assert_true(member[1].r.fake.chain == chain);
	assert_agreed();
}

/* One deaf slave does not elect: others still hear the master. */
static void
deaf_slave(void **state)
{
	(void)state;
	three();
	cut[0][2] = true;
	for (int i = 0; i < 100; i++) {
		order(0, O_CHANGE, 1, false);
		pass(200);
	}
	assert_int_equal(the_master(), 0);
	assert_int_equal(two_masters, 0);
	assert_false(member[2].r.status.up_to_date);
	cut[0][2] = false;
	settle(5000);
	pass(500);
	assert_agreed();
	/* Who is not heard by the master takes no packets for it. */
	cut[2][0] = true;
	pass(8000);
	assert_int_equal(the_master(), 0);
	assert_false(member[2].r.status.routes);
	assert_true(member[1].r.status.routes);
	cut[2][0] = false;
	settle(5000);
	pass(100);
	assert_true(member[2].r.status.routes);
	assert_int_equal(two_masters, 0);
	assert_agreed();
}

/* Nor does one that is new: it has nothing, and would call for packets. */
static void
deaf_from_the_start(void **state)
{
	(void)state;
	start(0);
	pass(1600);
	start(1);
	settle(3000);
	cut[0][2] = true;
	start(2);
	pass(10000);
	assert_int_equal(the_master(), 0);
	assert_int_equal(two_masters, 0);
	assert_false(member[2].r.status.routes);
	cut[0][2] = false;
	settle(5000);
	pass(500);
	assert_agreed();
	assert_true(member[2].r.status.routes);
	/* It may be the master that it does not hear because it was that. */
	kill_9(0);
	start(0);
	settle(3000);
	pass(500);
	assert_agreed();
}

/* A master that hears the others, who do not hear it. */
static void
mute_master(void **state)
{
	(void)state;
	three();
	cut[0][1] = cut[0][2] = true;
	for (int i = 0; i < 100; i++) {
		order(0, O_CHANGE, 5, false);
		pass(100);
	}
	assert_int_equal(the_master(), 1);
	assert_in_range(two_masters, 0, INTERVAL + 200);
	assert_false(member[0].r.status.routes);
	cut[0][1] = cut[0][2] = false;
	two_masters = 0;
	settle(5000);
	pass(500);
	assert_int_equal(the_master(), 1);
	assert_int_equal(two_masters, 0);
	assert_agreed();
}

static void
flapping(void **state)
{
	(void)state;
	three();
	for (int i = 0; i < 30; i++) {
		cut_off(i % 3, true);
		for (int n = 0; n < 10; n++) {
			order(the_master(), O_CHANGE, 1, false);
			pass(100);
		}
		cut_off(i % 3, false);
		pass(1000);
	}
	assert_int_equal(the_master(), 0);
	assert_int_equal(two_masters, 0);
	settle(3000);
	assert_agreed();
}

/* Switches forget groups; members then talk to each other one by one. */
static void
group_lost(void **state)
{
	(void)state;
	three();
	no_group = true;
	for (int i = 0; i < 100; i++) {
		order(0, O_CHANGE, 5, false);
		pass(200);
	}
	assert_int_equal(the_master(), 0);
	assert_int_equal(two_masters, 0);
	assert_true(member[1].r.status.up_to_date);
	assert_true(member[2].r.status.up_to_date);
	pass(1000);
	assert_agreed();
	kill_9(0);
	settle(5000);
	assert_int_equal(the_master(), 1);
}

static void
bad_network(void **state)
{
	(void)state;
	three();
	loss = 10;
	twice = 5;
	jitter = 30;
	for (int i = 0; i < 1200; i++) {
		order(0, O_CHANGE, dice(30), dice(50) == 0);
		pass(100);
		assert_true(member[0].r.is_master);
		assert_int_equal(masters(), 1);
	}
	assert_int_equal(member[0].r.counters.cluster_demoted, 0);
	loss = 0;
	settle(2000);
	pass(500);
	assert_agreed();
	assert_true(member[0].r.counters.cluster_resent > 100);
	/* Gaps were filled, not walked over. */
	assert_in_range(member[0].r.fake.walks, 1, 10);
}

/* What the master has no longer cannot be asked for. */
static void
far_behind(void **state)
{
	(void)state;
	three();
	cut_off(2, true);
	order(0, O_CHANGE, 600, true);	/* 9.6 MB, past what is kept */
	pass(1000);
	cut_off(2, false);
	settle(3000);
	pass(500);
	assert_agreed();
	assert_int_equal(the_master(), 0);
	assert_true(member[2].r.counters.cluster_lost >= 1);
	/* In time, it can. */
	cut_off(1, true);
	order(0, O_CHANGE, 100, true);
	order(0, O_CHANGE, 20000, false);
	pass(1000);
	cut_off(1, false);
	settle(3000);
	pass(500);
	assert_agreed();
	assert_int_equal(member[1].r.counters.cluster_lost, 0);
}

/* Nobody followed for a while: who comes back must not believe it has all. */
static void
nobody_followed(void **state)
{
	(void)state;
	start(0);
	pass(1600);
	start(1);
	settle(3000);
	cut[1][0] = true;		/* hears, and is not heard */
	pass(6000);
	order(0, O_CHANGE, 10, false);
	pass(100);
	assert_int_equal(member[1].r.fake.chained, 0);
	cut[1][0] = false;
	settle(5000);
	pass(500);
	assert_agreed();
	assert_int_equal(member[1].r.fake.chained, 10);
}

/* An interval as long as the time-out was asked for: three of them it is. */
static void
short_timeout(void **state)
{
	(void)state;
	lns.config.cluster_hb_timeout = lns.config.cluster_hb_interval;
	three();
	pass(20000);
	assert_agreed();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(member[i].r.counters.cluster_demoted, 0);
		assert_int_equal(member[i].r.counters.cluster_lost, 0);
		assert_int_equal(member[i].r.status.peers, 2);
	}
	kill_9(0);
	assert_in_range(settle(5000), 2 * INTERVAL - STEP, 4 * INTERVAL);
}

/*
 * Members come and go, at all moments and in all ways, the master among them;
 * there is always one who has everything.
 */
static void
come_and_go(void **state)
{
	uint32_t some, all = 0;
	int i;

	(void)state;
	three();
	for (int n = 0; n < 150; n++) {
		i = n % 7 == 0 ? the_master() : 1 + (int)dice(2);
		some = 1 + dice(20);
		all += some;
		order(the_master(), O_CHANGE, some, false);
		if (dice(3) == 0)
			order(i, O_LEAVE, 0, false);
		kill_9(i);
		pass(dice(3) == 0 ? TIMEOUT + dice(1000) : dice(300));
		start(i);
		settle(8000);
	}
	pass(2 * TIMEOUT);
	assert_agreed();
	for (i = 0; i < 3; i++)
		assert_int_equal(member[i].r.status.peers, 2);
	assert_int_equal(member[the_master()].r.fake.chained, all);
}

/* Who asked for a walk during another one is gone before it began. */
static void
walk_for_nobody(void **state)
{
	(void)state;
	fake_walk_ms = 8000;
	for (int i = 0; i < 3; i++) {
		start(i);
		pass(1600);
	}
	assert_int_equal(the_master(), 0);
	assert_true(member[0].r.fake.walks >= 2);
	kill_9(1);
	kill_9(2);
	pass(TIMEOUT + INTERVAL);
	assert_int_equal(member[0].r.status.peers, 0);
	start(3);
	settle(12000);
	assert_agreed();
}

static void
interface_comes_late(void **state)
{
	(void)state;
	lns.config.cluster_interface[0] = '\0';
	start(0);
	pass(20000);
	assert_false(member[0].r.is_master);
	assert_int_equal(member[0].r.status.role, CLUSTER_SLAVE);
	order(0, O_LINK, true, false);
	pass(900);
	assert_false(member[0].r.is_master);
	pass(1700);
	assert_true(member[0].r.is_master);
	/* It goes and comes again. */
	strcpy(lns.config.cluster_interface, "eth0");
	start(1);
	settle(3000);
	order(1, O_LINK, false, false);
	pass(5000);
	assert_false(member[1].r.is_master);
	assert_false(member[1].r.status.up_to_date);
	order(1, O_LINK, true, false);
	pass(1000);
	settle(3000);
	assert_int_equal(the_master(), 0);
}

/* --- what strangers send ------------------------------------------------------------ */

/* A report without the counters of what was dropped, to be compared. */
static struct report
quiet(int i)
{
	struct report r = member[i].r;

	memset(&r.counters, 0, sizeof(r.counters));
	r.status.heartbeat_age = 0;
	return r;
}

static void
assert_no_effect(int i, const struct report *was)
{
	struct report is = quiet(i);

	assert_memory_equal(&is, was, sizeof(is));
}

/* A packet that is handed on counts once, and with the master only. */
static void
handed_on_once(void **state)
{
	uint64_t replayed_before;

	(void)state;
	three();
	recording = true;
	order(1, O_FORWARD, 0, false);
	recording = false;
	assert_non_null(recorded);
	assert_null(recorded->next);
	assert_int_equal(recorded->to, 0);
	pass(100);
	assert_int_equal(member[0].r.fake.forwarded, 1);
	replayed_before = member[0].r.counters.cluster_replayed;
	for (int i = 0; i < 3; i++)
		hand(i, ADDR(1), false, recorded->buf, recorded->len);
	assert_int_equal(member[0].r.counters.cluster_replayed,
	    replayed_before + 1);
	assert_int_equal(member[0].r.fake.forwarded, 1);
	assert_int_equal(member[2].r.fake.forwarded, 0);
	/* Not either when its sender was gone for a while. */
	cut_off(1, true);
	pass(2 * TIMEOUT);
	assert_int_equal(member[0].r.status.peers, 1);
	hand(0, ADDR(1), false, recorded->buf, recorded->len);
	cut_off(1, false);
	settle(5000);
	hand(the_master(), ADDR(1), false, recorded->buf, recorded->len);
	hand(0, ADDR(1), false, recorded->buf, recorded->len);
	assert_int_equal(member[0].r.fake.forwarded, 1);
}

/* Every packet of the list to everybody; roles stay as they are. */
static void
play_again(const struct packet *list)
{
	uint64_t promoted[MEMBERS], walks[MEMBERS], chained = 0;
	uint32_t from, peers = 0;
	int master = the_master();

	for (int i = 0; i < MEMBERS; i++)
		peers += i != master && member[i].pid != 0;
	for (int i = 0; i < MEMBERS; i++) {
		if (member[i].pid == 0)
			continue;
		promoted[i] = member[i].r.counters.cluster_promoted;
		walks[i] = member[i].r.fake.walks;
		chained = member[master].r.fake.chained;
	}
	for (const struct packet *p = list; p != NULL; p = p->next) {
		from = ADDR(p->from);
		for (int i = 0; i < MEMBERS; i++)
			if (member[i].pid != 0) {
				hand(i, from, p->group, p->buf, p->len);
				assert_int_equal(member[i].r.status.peers,
				    peers);
			}
		if (dice(20) == 0)
			step();
	}
	pass(3 * TIMEOUT);
	assert_int_equal(the_master(), master);
	assert_int_equal(masters(), 1);
	for (int i = 0; i < MEMBERS; i++) {
		if (member[i].pid == 0)
			continue;
		assert_int_equal(member[i].r.counters.cluster_promoted,
		    promoted[i]);
		assert_int_equal(member[i].r.counters.cluster_lost, 0);
		assert_int_equal(member[i].r.fake.walks, walks[i]);
		assert_int_equal(member[i].r.fake.chained, chained);
		assert_true(i == master || member[i].r.status.up_to_date);
	}
}

/* A whole run, with an election in it, and the next one. */
static void
replayed(void **state)
{
	struct packet *old;

	(void)state;
	recording = true;
	three();
	order(0, O_CHANGE, 50, false);
	pass(500);
	kill_9(0);
	settle(5000);
	start(0);
	settle(5000);
	order(1, O_LEAVE, 0, false);
	pass(2000);
	kill_9(1);
	start(1);
	settle(5000);
	pass(1000);
	old = recorded;
	recorded = NULL;
	recording = false;
	two_masters = 0;
	/* While that run is still going on: */
	assert_int_equal(the_master(), 2);
	play_again(old);
	assert_true(member[2].r.counters.cluster_replayed > 5);
	assert_true(member[2].r.counters.cluster_unproven > 20);
	/* When one of them is dead, and its last words are played: */
	kill_9(0);
	pass(3 * TIMEOUT);
	play_again(old);
	assert_int_equal(member[1].r.status.peers, 1);
	assert_int_equal(two_masters, 0);
	/* In another run: */
	for (int i = 0; i < 3; i++)
		kill_9(i);
	three();
	play_again(old);
	assert_int_equal(two_masters, 0);
	free_packets(&old);
}

/* The kinds of packets that members send, one of each kind and receiver. */
static size_t
samples(const struct packet **sample, size_t max)
{
	const struct packet *p;
	size_t n = 0, i;

	for (p = recorded; p != NULL && n < max; p = p->next) {
		for (i = 0; i < n; i++)
			if (sample[i]->buf[5] == p->buf[5] &&
			    sample[i]->group == p->group)
				break;
		if (i == n)
			sample[n++] = p;
	}
	return n;
}

static void
damaged(void **state)
{
	static uint8_t buf[CW_DATAGRAM_MAX];
	const struct packet *sample[16], *p;
	struct report was[3];
	uint64_t forged;
	size_t n;

	(void)state;
	recording = true;
	loss = 5;
	three();
	for (int i = 0; i < 20; i++) {
		order(0, O_CHANGE, 3, false);
		pass(100);
	}
	loss = 0;
	settle(3000);
	recording = false;
	n = samples(sample, 16);
	assert_in_range(n, 5, 16);
	for (int i = 0; i < 3; i++)
		was[i] = quiet(i);
	forged = member[1].r.counters.cluster_forged;
	for (size_t i = 0; i < n; i++) {
		p = sample[i];
		for (size_t len = 0; len < p->len; len++)
			for (int to = 0; to < 3; to++)
				hand(to, ADDR(p->from), p->group, p->buf, len);
		for (size_t bit = 0; bit < p->len * 8; bit += 1 + dice(3)) {
			memcpy(buf, p->buf, p->len);
			buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
			hand((int)dice(3), ADDR(p->from), p->group, buf,
			    p->len);
		}
		memcpy(buf, p->buf, p->len);
		memset(buf + p->len, 0, 64);
		for (size_t more = 1; more < 64; more++)
			hand(1, ADDR(p->from), p->group, buf, p->len + more);
	}
	for (int i = 0; i < 3; i++)
		assert_no_effect(i, &was[i]);
	assert_true(member[1].r.counters.cluster_forged > forged + 100);
}

/* Two secrets, two clusters that have nothing to do with each other. */
static void
two_secrets(void **state)
{
	(void)state;
	start(0);
	start(1);
	strcpy(lns.config.cluster_secret, "another secret");
	start(2);
	start(3);
	pass(6000);
	assert_int_equal(masters(), 2);
	assert_int_equal(member[0].r.status.peers, 1);
	assert_int_equal(member[2].r.status.peers, 1);
	assert_true(member[0].r.counters.cluster_forged > 10);
	order(1, O_CHANGE, 5, false);
	pass(100);
	assert_int_equal(member[0].r.fake.chained, 5);
	assert_int_equal(member[2].r.fake.chained, 0);
}

/* SIGHUP on one after the other, within the time-out. */
static void
new_secret(void **state)
{
	(void)state;
	three();
	for (int i = 0; i < 3; i++) {
		order(i, O_SECRET, 2, false);
		order(0, O_CHANGE, 3, false);
		pass(TIMEOUT / 4);
	}
	settle(2000);
	pass(500);
	assert_agreed();
	assert_int_equal(the_master(), 0);
	assert_int_equal(two_masters, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(member[i].r.counters.cluster_demoted, 0);
	assert_true(member[1].r.counters.cluster_forged > 0);
}

/* One secret, but another bind_address: not ours. */
static void
two_clusters(void **state)
{
	(void)state;
	start(0);
	lns.config.bind_address++;
	start(1);
	pass(6000);
	assert_int_equal(masters(), 2);
	assert_int_equal(member[0].r.status.peers, 0);
	assert_true(member[0].r.counters.cluster_other > 5);
}

/* Somebody uses a member's address, or sends one member's words elsewhere. */
static void
wrong_address(void **state)
{
	const struct packet *p;
	struct report was[3];
	uint64_t wrong;

	(void)state;
	recording = true;
	three();
	for (int i = 0; i < 3; i++)
		was[i] = quiet(i);
	recording = false;
	wrong = member[2].r.counters.cluster_sender;
	for (p = recorded; p != NULL; p = p->next) {
		hand(2, ADDR(p->from) + 100, p->group, p->buf, p->len);
		if (!p->group && p->to != 2)
			hand(2, ADDR(p->from), false, p->buf, p->len);
		hand(p->from, ADDR(p->from), p->group, p->buf, p->len);
	}
	assert_true(member[2].r.counters.cluster_sender > wrong + 10);
	for (int i = 0; i < 3; i++)
		assert_no_effect(i, &was[i]);
}

#define T(name)	cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(alone_without_secret),
		T(first_of_all),
		T(all_at_once),
		T(enough_slaves),
		T(slave_without_router),
		T(senseless),
		T(master_dies),
		T(slave_keeps_its_routes),
		T(goodbye),
		T(overtaken),
		T(restarted_at_once),
		T(stopped),
		T(stale_master_wakes),
		T(stopped_within_a_turn),
		T(stopped_slave),
		T(stopped_slave_of_two),
		T(partition),
		T(deaf_slave),
		T(deaf_from_the_start),
		T(mute_master),
		T(flapping),
		T(group_lost),
		T(bad_network),
		T(far_behind),
		T(nobody_followed),
		T(short_timeout),
		T(come_and_go),
		T(walk_for_nobody),
		T(interface_comes_late),
		T(handed_on_once),
		T(replayed),
		T(damaged),
		T(two_secrets),
		T(new_secret),
		T(two_clusters),
		T(wrong_address),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
