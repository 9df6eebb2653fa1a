/*
 * replica_test.c - what a master has, its slaves get, and can go on with
 *
 * There is one set of tables, so a test plays both: as the master it fills
 * them and keeps the stream, then it empties them and, as a slave, takes the
 * stream in.  What the tables had is written down before and after as records,
 * and compared.
 *
 * `replica_test measure 60000` prints what that many sessions cost instead.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "accounting.h"
#include "acctfile.h"
#include "cluster_forward.h"
#include "digest.h"
#include "forward.h"
#include "ippool.h"
#include "l2tp_avp.h"
#include "log.h"
#include "loop.h"
#include "ppp_proto.h"
#include "replica.h"
#include "session.h"
#include "snoop.h"
#include "state_wire.h"
#include "table.h"
#include "throttle.h"
#include "tunnel.h"

#define SESSIONS	600
#define TUNNELS		40
#define POOL		200

struct l2tpns lns;

/*
 * Times are relative to when a record is made, and the one who plays the slave
 * takes it in later.  So much later at most (ms).
 */
static uint64_t tolerance;

/* --- the cluster, as far as replica.c knows it ---------------------------- */

static uint8_t stream[128 << 20];
static size_t stream_len;
static bool has_slaves;
static uint64_t changes;
static size_t longest;

void __wrap_cluster_stream(enum cluster_record, const uint8_t *, size_t);
void __wrap_cluster_flush(void);
bool __wrap_cluster_followed(void);
void __wrap_cluster_count_changes(uint64_t n);
uint32_t __wrap_cluster_master(void);
uint32_t __wrap_cluster_address(void);
bool __wrap_cluster_send(uint32_t, enum cluster_record, const uint8_t *,
    size_t);

void
__wrap_cluster_stream(enum cluster_record type, const uint8_t *body,
    size_t len)
{
	struct wr w = wr_init(stream + stream_len, sizeof(stream) - stream_len);

	assert_true(lns.master && has_slaves);
	assert_in_range(len, 1, CLUSTER_RECORD_MAX);
	wr_u16(&w, (uint16_t)type);
	wr_u32(&w, (uint32_t)len);
	wr_bytes(&w, body, len);
	assert_true(wr_done(&w) > 0);
	stream_len += wr_done(&w);
	if (longest < len)
		longest = len;
}

void
__wrap_cluster_flush(void)
{
}

bool
__wrap_cluster_followed(void)
{
	return has_slaves;
}

void
__wrap_cluster_count_changes(uint64_t n)
{
	changes += n;
}

uint32_t
__wrap_cluster_master(void)
{
	return 0x7f000002;
}

uint32_t
__wrap_cluster_address(void)
{
	return 0x7f000001;
}

bool
__wrap_cluster_send(uint32_t to, enum cluster_record type,
    const uint8_t *body, size_t len)
{
	(void)to;
	(void)type;
	(void)body;
	(void)len;
	return true;
}

/* --- what leaves ------------------------------------------------------------ */

static struct {
	uint32_t datagrams, control;
	uint16_t last_type;		/* of a control message, with AVPs */
	uint16_t Ns, Nr;
	uint16_t tunnel_id, session_id;
	uint16_t assigned;		/* the tunnel id of an SCCRP */
	uint8_t challenge[16];
} sent;

static bool
to_lac(const struct peer *p, const void *buf, size_t len)
{
	static uint8_t scratch[PACKET_MAX];
	struct l2tp_header h;
	struct l2tp_msg m;

	(void)p;
	sent.datagrams++;
	assert_int_equal(l2tp_header_decode(buf, len, &h), L2TP_OK);
	if (!h.control)
		return true;
	sent.control++;
	sent.Ns = h.Ns;
	sent.Nr = h.Nr;
	sent.tunnel_id = h.tunnel_id;
	sent.session_id = h.session_id;
	sent.last_type = 0;
	if (rd_left(&h.body) > 0) {
		assert_true(l2tp_msg_decode(h.body, "", scratch,
		    sizeof(scratch), &m));
		sent.last_type = m.type;
		sent.assigned = m.assigned_tunnel;
		if (m.challenge.len == sizeof(sent.challenge))
			memcpy(sent.challenge, m.challenge.p,
			    sizeof(sent.challenge));
	}
	return true;
}

/* --- chance, the same in each run --------------------------------------------- */

static uint64_t chance = 1;

static uint32_t
rnd(uint32_t below)
{
	chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(chance >> 33) % below;
}

/* --- begin and end --------------------------------------------------------------- */

static void
no_fault(const char *file, unsigned int line, const char *reason, void *arg)
{
	(void)arg;
	fail_msg("%s:%u: %s", file, line, reason);
}

static void
fill_pool(void)
{
	static char text[POOL * 32];
	size_t n = 0;

	for (unsigned int i = 1; i <= POOL; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "10.1.0.%u\n10.0.0.%u\n", i, i);
	assert_int_equal(ippool_parse("pool", text, n, 0, no_fault, NULL), 0);
}

static void
clear(void)
{
	struct tunnel *t;

	session_reap();
	while ((t = tunnel_next(0)) != NULL)
		tunnel_forget(t);
	assert_int_equal(table_sessions(), 0);
	acct_forget();
	ippool_clear();
	fill_pool();
	assert_int_equal(lpm_count(lns.lpm), 0);
	assert_int_equal(tunnels_established(), 0);
}

static int
setup(void **state)
{
	(void)state;
	chance = 1;
	timers_init();
	timer_fake(1000000);
	lns.shutting_down = lns.quiet = false;
	lns.lpm = lpm_new();
	assert_true(lns.lpm != NULL && table_init(SESSIONS, TUNNELS));
	session_init();
	ppp_init();
	tunnel_init();
	fill_pool();
	replica_init();
	lns.master = true;
	has_slaves = false;
	tolerance = 5000;
	stream_len = longest = 0;
	changes = 0;
	memset(&sent, 0, sizeof(sent));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	acct_hold(false);
	replica_exit();
	clear();
	tunnel_exit();
	table_free();
	lpm_free(lns.lpm);
	return 0;
}

/* --- filling the master's tables --------------------------------------------- */

static struct tunnel *
make_tunnel(uint32_t tid, uint32_t queued)
{
	static struct state_tunnel st;
	uint8_t buf[128];
	struct tunnel *t;
	struct wr w;

	memset(&st, 0, sizeof(st));
	st.t.tid = tid;
	st.t.local_id = (uint16_t)(tid * 1601);
	st.t.peer_id = (uint16_t)(tid * 7);
	st.t.peer = (struct peer){ 0xc0000200 + tid, 0, 1701 };
	st.t.peer_window = 4;
	st.t.opened = timer_wall() - 1000;
	snprintf(st.t.hostname, sizeof(st.t.hostname), "lac%u", tid);
	st.ctl.window = 64;
	st.ctl.una = st.ctl.high = (uint16_t)(65530 + rnd(20));
	st.ctl.Nr = (uint16_t)rnd(65536);
	t = tunnel_resume(&st.t, &st.ctl);
	assert_non_null(t);
	for (; queued > 0; queued--) {
		w = wr_init(buf, sizeof(buf));
		l2tp_msg_begin(&w, t->peer_id, (uint16_t)queued, L2TP_CDN);
		l2tp_avp_result(&w, 1, 0, "away");
		l2tp_avp_u16(&w, true, AVP_ASSIGNED_SESSION, 1);
		assert_true(tunnel_send(t, buf, l2tp_msg_end(&w)));
	}
	return t;
}

static struct session *
make_session(uint32_t sid, uint32_t tid)
{
	static struct state_session ss;
	struct session *f = &ss.s, *s;

	memset(&ss, 0, sizeof(ss));
	f->sid = sid;
	f->tid = tid;
	f->local_id = (uint16_t)(sid * 31);
	f->peer_id = (uint16_t)(sid * 3);
	f->flags = SF_OPEN | (rnd(2) ? SF_ACFC : 0) | (rnd(8) ? 0 : SF_GARDEN);
	f->ip = 0x0a000000 + sid;
	snprintf(f->user, sizeof(f->user), "user%u", sid);
	snprintf(f->calling, sizeof(f->calling), "0%u", sid);
	f->opened = timer_wall() - 77;
	f->rx_octets = (uint64_t)rnd(1u << 31) << 20;
	f->tx_packets = rnd(1u << 31);
	f->session_timeout = rnd(2) ? 3600 : 0;
	f->idle_timeout = rnd(2) ? 3600 : 0;
	f->interim = rnd(2) ? 600 : 0;
	f->acct_started = rnd(2) != 0;
	snprintf(f->acct_id, sizeof(f->acct_id), "%08X%08X", rnd(1u << 31),
	    sid);
	for (; f->nroutes < rnd(4); f->nroutes++)
		f->routes[f->nroutes] = (struct prefix){ 0x0b000000 +
		    sid * 4096 + f->nroutes * 256u, (uint8_t)(24 + rnd(9)) };
	ss.carry.age = f->acct_started ? rnd(1u << 19) : 0;
	ss.carry.limit_left = f->session_timeout ? 600000 + rnd(3000000) : 0;
	ss.carry.interim_left = f->interim ? 60000 + rnd(540000) :
	    0;
	ss.carry.framed_mtu = (uint16_t)rnd(1500);
	ss.carry.ppp.auth_protocol = PPP_CHAP;
	ss.carry.ppp.our_mru = ss.carry.ppp.peer_mru = 1462;
	ss.carry.ppp.magic = rnd(1u << 31);
	ss.carry.ppp.user_mark = 1 + rnd(1u << 30);
	ss.carry.ppp.lcp_id = (uint8_t)rnd(256);
	s = session_resume(f, &ss.carry, 0);
	assert_non_null(s);
	acctfile_resume(s, rnd(1000), rnd(1000));
	if (rnd(5) == 0)
		assert_true(throttle_set(s, 64, rnd(2) * 128));
	return s;
}

/* A call that has only begun. */
static struct session *
make_call(struct tunnel *t, uint16_t peer_id)
{
	struct l2tp_msg m = { .type = L2TP_ICRQ, .have =
	    UINT64_C(1) << AVP_ASSIGNED_SESSION |
	    UINT64_C(1) << AVP_CALL_SERIAL, .assigned_session = peer_id,
	    .call_serial = peer_id };
	uint32_t before = table_sessions();

	session_recv_ICRQ(t, &m);
	assert_int_equal(table_sessions(), before + 1);
	return tunnel_peer_session(t, peer_id);
}

static void
make_acct(const char *id, uint8_t kind)
{
	static const uint8_t attrs[] = { 1, 5, 'b', 'o', 'b' };
	struct acct_carry c = { .kind = kind, .sid = rnd(100), .age = 5000,
	    .id = id, .attrs = attrs, .len = sizeof(attrs) };

	assert_true(acct_resume(&c));
}

static void
fill(uint32_t tunnels, uint32_t sessions)
{
	char id[24];

	for (uint32_t i = 1; i <= tunnels; i++)
		make_tunnel(i, rnd(3) == 0 ? rnd(40) : 0);
	for (uint32_t sid = 1; sid <= sessions; sid += 1 + rnd(2))
		make_session(sid, 1 + rnd(tunnels));
	for (uint16_t i = 0; i < 10; i++)
		make_call(tunnel_by_tid(1 + rnd(tunnels)),
		    (uint16_t)(60000 + i));
	for (uint32_t i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "waits%u", i);
		make_acct(id, (uint8_t)(i % 3));
	}
	for (uint32_t i = 1; i < 50; i++)
		ippool_remember(0x0a010000 + i, "somebody",
		    timer_now() - 1000 - i);
}

/* --- pictures --------------------------------------------------------------- */

/* All that tables, queues and pool have, as records. */
struct picture {
	size_t tunnels, sessions, accounts, messages;
	uint32_t prefixes, used;
	struct state_tunnel tunnel[TUNNELS];
	struct state_session session[SESSIONS];
	struct state_acct acct[64];
	uint8_t said[TUNNELS][16384];	/* queued messages */
	size_t said_len[TUNNELS];
};

static struct picture before, after;

static bool
add_acct(const struct acct_carry *c, void *arg)
{
	struct picture *p = arg;
	struct state_acct *a = &p->acct[p->accounts++];

	assert_true(p->accounts <= 64);
	a->kind = c->kind;
	a->sid = c->sid;
	a->age = c->age;
	a->number = c->number;
	snprintf(a->id, sizeof(a->id), "%s", c->id);
	a->len = (uint16_t)c->len;
	memcpy(a->attrs, c->attrs, c->len);
	return true;
}

static int
compare_acct(const void *a, const void *b)
{
	return strcmp(((const struct state_acct *)a)->id,
	    ((const struct state_acct *)b)->id);
}

/* Without numbers, which are stamped anew when they leave. */
static void
add_messages(struct picture *p, const struct tunnel *t)
{
	const struct ctl_msg *m = NULL;
	const uint8_t *msg;
	size_t len, *n = &p->said_len[p->tunnels];

	while ((m = ctl_queued(&tunnel_local(t)->ctl, m, &msg, &len)) !=
	    NULL) {
		assert_true(*n + len < sizeof(p->said[0]));
		memcpy(p->said[p->tunnels] + *n, msg, len);
		memset(p->said[p->tunnels] + *n + 8, 0, 4);
		*n += len;
		p->messages++;
	}
}

static void
picture(struct picture *p)
{
	struct session *s;
	struct tunnel *t;

	memset(p, 0, sizeof(*p));
	for (t = tunnel_next(0); t != NULL; t = tunnel_next(t->tid)) {
		struct state_tunnel *st = &p->tunnel[p->tunnels];

		assert_true(tunnel_copy(t, &st->ctl, &st->stage));
		st->t = *t;
		add_messages(p, t);
		p->tunnels++;
	}
	for (s = session_next(0); s != NULL; s = session_next(s->sid)) {
		struct state_session *ss = &p->session[p->sessions++];

		assert_true(session_copy(s, &ss->carry));
		ss->s = *s;
		acctfile_export(s, &ss->usage_rx, &ss->usage_tx);
	}
	assert_true(acct_export(add_acct, p));
	qsort(p->acct, p->accounts, sizeof(p->acct[0]), compare_acct);
	p->prefixes = lpm_count(lns.lpm);
	p->used = ippool_used();
}

static void
assert_near(uint64_t a, uint64_t b)
{
	if ((a > b ? a - b : b - a) > tolerance)
		fail_msg("%llu and %llu", (unsigned long long)a,
		    (unsigned long long)b);
}

static void
assert_same_tunnel(struct state_tunnel *a, struct state_tunnel *b)
{
	assert_near(a->ctl.silent, b->ctl.silent);
	assert_near(a->stage.stop_left, b->stage.stop_left);
	a->ctl.silent = b->ctl.silent;
	a->stage.stop_left = b->stage.stop_left;
	assert_near(a->t.opened, b->t.opened);
	a->t.opened = b->t.opened;
	assert_memory_equal(a, b, sizeof(*a));
}

static void
assert_same_session(struct state_session *a, struct state_session *b)
{
	assert_near(a->carry.age, b->carry.age);
	assert_near(a->carry.idle, b->carry.idle);
	assert_near(a->carry.limit_left, b->carry.limit_left);
	assert_near(a->carry.interim_left, b->carry.interim_left);
	assert_near(a->carry.ppp.silent, b->carry.ppp.silent);
	assert_int_equal(a->carry.limit_left == 0, b->carry.limit_left == 0);
	assert_int_equal(a->carry.interim_left == 0,
	    b->carry.interim_left == 0);
	a->carry.age = b->carry.age;
	a->carry.idle = b->carry.idle;
	a->carry.limit_left = b->carry.limit_left;
	a->carry.interim_left = b->carry.interim_left;
	a->carry.ppp.silent = b->carry.ppp.silent;
	a->carry.ppp.echo_id = b->carry.ppp.echo_id;	/* not worth it */
	if (a->s.acct_started)
		assert_near(a->s.started, b->s.started);
	assert_near(a->s.opened, b->s.opened);
	a->s.opened = b->s.opened;
	assert_near(a->s.last_data, b->s.last_data);
	a->s.started = b->s.started;
	a->s.last_data = b->s.last_data;
	assert_memory_equal(a, b, sizeof(*a));
}

static void
assert_same(struct picture *a, struct picture *b)
{
	assert_int_equal(a->tunnels, b->tunnels);
	assert_int_equal(a->sessions, b->sessions);
	assert_int_equal(a->accounts, b->accounts);
	assert_int_equal(a->messages, b->messages);
	assert_int_equal(a->prefixes, b->prefixes);
	assert_int_equal(a->used, b->used);
	for (size_t i = 0; i < a->tunnels; i++) {
		assert_same_tunnel(&a->tunnel[i], &b->tunnel[i]);
		assert_int_equal(a->said_len[i], b->said_len[i]);
		assert_memory_equal(a->said[i], b->said[i], a->said_len[i]);
	}
	for (size_t i = 0; i < a->sessions; i++)
		assert_same_session(&a->session[i], &b->session[i]);
	for (size_t i = 0; i < a->accounts; i++) {
		assert_near(a->acct[i].age, b->acct[i].age);
		a->acct[i].age = b->acct[i].age;
		assert_memory_equal(&a->acct[i], &b->acct[i],
		    sizeof(a->acct[i]));
	}
}

/* --- turns of either ---------------------------------------------------------- */

static void
turn(uint64_t ms)
{
	timer_fake(ms);
	session_reap();
	tunnel_reap();
	replica_drain();
}

static void
lead(void)
{
	has_slaves = true;
	replica_walk();
	for (int i = 0; i < 100; i++)
		turn(10);
	assert_int_equal(replica_queued(), 0);
}

static void
become_slave_of_nobody(void)
{
	has_slaves = false;
	turn(0);
	clear();
	lns.master = false;
}

/* Takes in what is there from octet `from` on; true if all made sense. */
static bool
follow(size_t from)
{
	struct rd r = rd_init(stream + from, stream_len - from), body;
	enum cluster_record type;
	bool sound = true;
	size_t len;

	while (rd_left(&r) > 0) {
		type = (enum cluster_record)rd_u16(&r);
		len = rd_u32(&r);
		body = rd_sub(&r, len);
		assert_false(r.bad);
		sound = replica_record(type, &body) && sound;
	}
	turn(0);
	return sound;
}

static void
promote(void)
{
	lns.master = true;
	replica_promote();
	for (int i = 0; i < 1000 && replica_waking(); i++)
		turn(0);
	assert_false(replica_waking());
}

/* --- tests ------------------------------------------------------------------ */

static void
test_walk(void **state)
{
	uint32_t a, of_a, b, of_b;

	(void)state;
	for (int i = 0; i < 10; i++) {
		promote();
		stream_len = 0;
		fill(1 + rnd(TUNNELS), 1 + rnd(SESSIONS - 20));
		lead();
		picture(&before);
		become_slave_of_nobody();
		assert_false(replica_up_to_date());
		assert_true(follow(0));
		assert_true(replica_up_to_date());
		replica_undefined(&a, &of_a, &b, &of_b);
		assert_int_equal(a + b, 0);
		assert_int_equal(of_a, before.sessions);
		assert_int_equal(of_b, before.tunnels);
		picture(&after);
		assert_same(&before, &after);
		/* The same once more changes nothing. */
		assert_true(follow(0));
		picture(&after);
		assert_same(&before, &after);
		clear();
	}
	assert_true(longest <= CLUSTER_RECORD_MAX);
}

/* Nothing runs: hours pass, and nobody says a word. */
static void
test_asleep(void **state)
{
	(void)state;
	fill(10, 300);
	lead();
	become_slave_of_nobody();
	assert_true(follow(0));
	picture(&before);
	memset(&sent, 0, sizeof(sent));
	turn(36000000);
	assert_int_equal(sent.datagrams, 0);
	assert_int_equal(table_sessions(), before.sessions);
	assert_int_equal(table_tunnels(), before.tunnels);
	assert_int_equal(acct_pending(), before.accounts);
}

static void
test_found_on_a_slave(void **state)
{
	struct session *s;

	(void)state;
	make_tunnel(3, 0);
	s = make_session(7, 3);
	s->flags |= SF_SNOOP;
	s->snoop_ip = 1;
	s->snoop_port = 2;
	lead();
	become_slave_of_nobody();
	assert_true(follow(0));
	s = session_by_sid(7);
	assert_non_null(s);
	assert_ptr_equal(session_by_ip(0x0a000007), s);
	assert_ptr_equal(session_by_user("user7"), s);
	assert_ptr_equal(tunnel_session(tunnel_by_local_id(3 * 1601), 7 * 31),
	    s);
	assert_ptr_equal(tunnel_peer_session(tunnel_by_tid(3), 21), s);
	/* Each member copies what it carries. */
	assert_true((s->flags & SF_SNOOP) != 0 && s->snoop_ip == 1);
}

/* Anything that may happen on a master, followed by a slave. */
static void
happen(void)
{
	struct session *s = session_next(rnd(SESSIONS));
	struct tunnel *t = tunnel_next(rnd(TUNNELS));
	uint32_t sid = 1 + rnd(SESSIONS - 1);
	static uint16_t call = 30000;

	switch (rnd(8)) {
	case 0:
		if (s != NULL)
			session_shutdown(s, CAUSE_ADMIN_RESET, 3, 0, "a test");
		break;
	case 1:
		if (s != NULL)
			session_kill(s, CAUSE_LOST_CARRIER, "a test");
		break;
	case 2:
		if (s != NULL)
			assert_int_equal(throttle_set(s, rnd(3) * 64,
			    rnd(3) * 64), !s->dying);
		break;
	case 3:
		if (t != NULL && t->state == T_ESTABLISHED &&
		    table_sessions() < SESSIONS - 10)
			make_call(t, call++);
		break;
	case 4:
		if (t != NULL && t->state == T_ESTABLISHED &&
		    session_by_sid(sid) == NULL &&
		    table_sessions() < SESSIONS - 10) {
			s = make_session(sid, t->tid);
			replica_session_changed(s);
		}
		break;
	case 5:
		if (s != NULL && s->ip != 0)
			assert_int_equal(session_garden(s, rnd(2) != 0),
			    !s->dying);
		break;
	case 6:
		if (t != NULL && t->state == T_ESTABLISHED && rnd(20) == 0)
			tunnel_shutdown(t, 1, 0, "a test", rnd(2) != 0);
		break;
	case 7:
		if (s != NULL && s->state == S_ESTABLISHED && !s->dying)
			session_network_down(s);
		break;
	}
}

static void
answer(struct tunnel *t)
{
	struct ctl *c = &tunnel_local(t)->ctl;
	uint8_t zlb[12];
	size_t len = l2tp_zlb(zlb, sizeof(zlb), t->local_id, c->Nr, c->high);
	struct l2tp_header h;

	assert_int_equal(l2tp_header_decode(zlb, len, &h), L2TP_OK);
	tunnel_input(&t->peer, &h, zlb, len);
}

static void
test_changes(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct tunnel *t;

		promote();
		stream_len = 0;
		fill(20, 300);
		lead();
		for (int k = 0; k < 1500; k++) {
			happen();
			if (rnd(4) == 0)
				turn(rnd(2));
			if (rnd(4) == 0 &&
			    (t = tunnel_next(rnd(TUNNELS))) != NULL)
				answer(t);
			if (rnd(300) == 0)
				replica_walk();
		}
		for (int k = 0; k < 100; k++)
			turn(10);
		assert_int_equal(replica_queued(), 0);
		picture(&before);
		become_slave_of_nobody();
		assert_true(follow(0));
		assert_true(replica_up_to_date());
		picture(&after);
		assert_same(&before, &after);
		clear();
	}
	assert_true(changes > 1000);
}

/* Of two masters the one that nobody followed may be the one with the calls. */
static void
test_changes_count_alone(void **state)
{
	struct tunnel *t;

	(void)state;
	has_slaves = false;
	t = make_tunnel(1, 0);
	replica_drain();
	changes = 0;
	replica_tunnel_changed(t);
	replica_numbers_changed(t);
	replica_drain();
	assert_int_equal(changes, 2);
	replica_drain();
	assert_int_equal(changes, 2);
	assert_int_equal(replica_queued(), 0);
	/* A copy that changes is no change. */
	lns.master = false;
	replica_tunnel_changed(t);
	lns.master = true;
	replica_drain();
	assert_int_equal(changes, 2);
}

/* A slot that ends and begins again in one turn is two things to a slave. */
static void
test_slot_again(void **state)
{
	struct session *s;

	(void)state;
	make_tunnel(1, 0);
	make_tunnel(2, 0);
	make_session(5, 1);
	lead();
	session_kill(session_by_sid(5), CAUSE_LOST_CARRIER, "a test");
	session_reap();
	s = make_session(5, 2);
	strcpy(s->user, "other");
	replica_session_changed(s);
	session_kill(make_session(6, 2), CAUSE_LOST_CARRIER, "a test");
	turn(0);
	become_slave_of_nobody();
	assert_true(follow(0));
	assert_int_equal(table_sessions(), 1);
	assert_int_equal(session_by_sid(5)->tid, 2);
	assert_ptr_equal(session_by_user("other"), session_by_sid(5));
	assert_null(session_by_user("user5"));
	assert_int_equal(tunnel_by_tid(1)->sessions, 0);
}

/* Nobody follows: nothing is marked, and nothing said. */
static void
test_alone(void **state)
{
	(void)state;
	fill(3, 20);
	turn(0);
	assert_int_equal(replica_queued(), 0);
	has_slaves = true;
	replica_walk();
	turn(10);
	assert_true(stream_len > 0);
	has_slaves = false;		/* in the middle of it */
	turn(10);
	stream_len = 0;
	for (int i = 0; i < 100; i++)
		turn(100);
	session_kill(session_next(0), CAUSE_LOST_CARRIER, "a test");
	turn(0);
	assert_int_equal(replica_queued(), 0);
	assert_int_equal(stream_len, 0);
}

/* What is not in the walk is not there any more, whose ever it was. */
static void
test_stale(void **state)
{
	(void)state;
	fill(10, 100);
	lead();
	picture(&before);
	become_slave_of_nobody();
	lns.master = true;
	/* What this server had when it was master itself. */
	for (uint32_t i = 5; i < 30; i++)
		make_tunnel(i, 3);
	for (uint32_t sid = 50; sid < 300; sid++)
		make_session(sid, 5 + sid % 20);
	make_acct("mine", 2);
	lns.master = false;
	replica_demote();
	memset(&sent, 0, sizeof(sent));
	assert_true(follow(0));
	for (int i = 0; i < 100; i++)
		turn(10);
	picture(&after);
	assert_same(&before, &after);
	assert_int_equal(sent.datagrams, 0);
}

/* From the middle of a stream: only a whole walk makes a whole copy. */
static void
test_late(void **state)
{
	struct rd r = rd_init(stream, 0);
	size_t at, len, middle = 0;

	(void)state;
	fill(10, 100);
	lead();
	r = rd_init(stream, stream_len);
	for (at = 0; at < stream_len / 2; at += 6 + len) {
		rd_u16(&r);
		len = rd_u32(&r);
		rd_bytes(&r, len);
		middle = at;
	}
	replica_walk();
	len = stream_len;
	for (int i = 0; i < 100; i++)
		turn(10);
	picture(&before);
	become_slave_of_nobody();
	stream_len = stream_len > len ? stream_len : len;
	at = stream_len;
	stream_len = len;
	assert_true(follow(middle));
	assert_false(replica_up_to_date());
	stream_len = at;
	assert_true(follow(len));
	assert_true(replica_up_to_date());
	picture(&after);
	assert_same(&before, &after);
	replica_lost();
	assert_false(replica_up_to_date());
}

/* All goes on where it was: timers, buckets, queues, accounts. */
static void
test_promote(void **state)
{
	struct session *s;
	struct tunnel *t;

	(void)state;
	fill(10, 200);
	lead();
	become_slave_of_nobody();
	assert_true(follow(0));
	picture(&before);
	memset(&sent, 0, sizeof(sent));
	promote();
	for (s = session_next(0); s != NULL; s = session_next(s->sid)) {
		struct session_local *l = session_local(s);

		assert_false(l->asleep);
		if (s->state == S_WAIT_CONNECT) {
			assert_true(timer_armed(&l->connect_timer));
			continue;
		}
		assert_true(timer_armed(&l->ppp.echo_timer));
		assert_int_equal(timer_armed(&l->limit_timer),
		    s->session_timeout != 0);
		assert_int_equal(timer_armed(&l->idle_timer),
		    s->idle_timeout != 0);
		assert_int_equal(timer_armed(&l->interim_timer),
		    s->interim != 0);
		assert_int_equal(l->throttle != NULL,
		    (s->flags & SF_THROTTLE) != 0);
	}
	for (t = tunnel_next(0); t != NULL; t = tunnel_next(t->tid)) {
		assert_false(tunnel_asleep(t));
		assert_true(timer_armed(&tunnel_local(t)->hello));
		assert_int_equal(timer_armed(&tunnel_local(t)->ctl.retry),
		    tunnel_local(t)->ctl.queued > 0);
	}
	assert_int_equal(table_sessions(), before.sessions);
	/* And from there to the next one. */
	picture(&before);
	lead();
	picture(&before);
	become_slave_of_nobody();
	assert_true(follow(0));
	picture(&after);
	assert_same(&before, &after);
}

/* The LAC sees numbers go on, and its message acknowledged. */
static void
test_control_goes_on(void **state)
{
	struct tunnel *t = make_tunnel(1, 1);
	struct ctl *c = &tunnel_local(t)->ctl;
	uint16_t Ns, Nr;
	struct session *s;

	(void)state;
	lead();
	answer(t);
	make_call(t, 99);		/* its ICRP is under way */
	turn(0);
	Ns = (uint16_t)(c->Ns - 1);
	Nr = c->Nr;
	become_slave_of_nobody();
	assert_true(follow(0));
	memset(&sent, 0, sizeof(sent));
	promote();
	assert_int_equal(sent.control, 1);
	assert_int_equal(sent.last_type, L2TP_ICRP);
	assert_int_equal(sent.Ns, Ns);
	assert_int_equal(sent.Nr, Nr);
	assert_int_equal(sent.session_id, 99);
	/* Nobody goes on with that call: it ends, and says so. */
	t = tunnel_by_tid(1);
	answer(t);
	timer_fake(30000);
	assert_int_equal(sent.last_type, L2TP_CDN);
	s = tunnel_peer_session(t, 99);
	assert_true(s == NULL || s->dying);
}

static void
from_lac(struct wr *w, uint16_t Ns, uint16_t Nr)
{
	static const struct peer lac = { 0xc0000201, 0, 1701 };
	size_t len = l2tp_msg_end(w);
	struct l2tp_header h;

	assert_true(len > 0);
	l2tp_msg_stamp(w->start, Ns, Nr);
	assert_int_equal(l2tp_header_decode(w->start, len, &h), L2TP_OK);
	tunnel_input(&lac, &h, w->start, len);
}

/* A tunnel that is half open: its SCCCN answers the challenge of another. */
static void
test_half_open(void **state)
{
	uint8_t buf[512], response[16];
	struct wr w = wr_init(buf, sizeof(buf));

	(void)state;
	strcpy(lns.config.l2tp_secret, "secret");
	lns.config.l2tp_require_secret = true;
	has_slaves = true;
	replica_walk();
	turn(100);
	l2tp_msg_begin(&w, 0, 0, L2TP_SCCRQ);
	l2tp_avp_u16(&w, true, AVP_PROTOCOL_VERSION, 0x0100);
	l2tp_avp_u32(&w, true, AVP_FRAMING_CAP, 3);
	l2tp_avp_bytes(&w, true, AVP_HOST_NAME, "lac", 3);
	l2tp_avp_u16(&w, true, AVP_ASSIGNED_TUNNEL, 77);
	from_lac(&w, 0, 0);
	assert_int_equal(sent.last_type, L2TP_SCCRP);
	turn(100);
	become_slave_of_nobody();
	assert_true(follow(0));
	assert_int_equal(table_tunnels(), 1);
	sent.last_type = 0;
	promote();
	assert_int_equal(sent.last_type, L2TP_SCCRP);
	w = wr_init(buf, sizeof(buf));
	l2tp_challenge_response(response, L2TP_SCCCN, "secret", sent.challenge,
	    sizeof(sent.challenge));
	l2tp_msg_begin(&w, sent.assigned, 0, L2TP_SCCCN);
	l2tp_avp_bytes(&w, true, AVP_CHALLENGE_RESPONSE, response,
	    sizeof(response));
	from_lac(&w, 1, 1);
	assert_int_equal(tunnels_established(), 1);
	lns.config.l2tp_secret[0] = '\0';
	lns.config.l2tp_require_secret = false;
}

/* One that nobody answers is cleared, and a slave hears of that as well. */
static void
test_half_open_ends(void **state)
{
	uint8_t buf[512];
	struct wr w = wr_init(buf, sizeof(buf));

	(void)state;
	has_slaves = true;
	replica_walk();
	turn(100);
	l2tp_msg_begin(&w, 0, 0, L2TP_SCCRQ);
	l2tp_avp_u16(&w, true, AVP_PROTOCOL_VERSION, 0x0100);
	l2tp_avp_u32(&w, true, AVP_FRAMING_CAP, 3);
	l2tp_avp_bytes(&w, true, AVP_HOST_NAME, "lac", 3);
	l2tp_avp_u16(&w, true, AVP_ASSIGNED_TUNNEL, 77);
	from_lac(&w, 0, 0);
	turn(0);
	turn(30000);
	assert_int_equal(table_tunnels(), 0);
	become_slave_of_nobody();
	assert_true(follow(0));
	assert_int_equal(table_tunnels(), 0);
}

/* On the spot, when its LAC speaks before its turn has come. */
static void
test_wake_on_demand(void **state)
{
	struct tunnel *t;

	(void)state;
	make_tunnel(1, 2);
	lead();
	become_slave_of_nobody();
	assert_true(follow(0));
	lns.master = true;
	replica_promote();
	t = tunnel_by_tid(1);
	assert_true(replica_waking() && tunnel_asleep(t));
	answer(t);
	assert_false(tunnel_asleep(t));
}

/* Who comes while the old ones wake is not one of them. */
static void
test_new_while_waking(void **state)
{
	struct tunnel *t;
	struct session *s;

	(void)state;
	make_tunnel(1, 0);
	make_session(1, 1);
	lead();
	become_slave_of_nobody();
	assert_true(follow(0));
	lns.master = true;
	replica_promote();
	t = make_tunnel(2, 0);
	s = make_call(t, 99);
	for (int i = 0; i < 1000 && replica_waking(); i++)
		turn(0);
	assert_ptr_equal(tunnel_by_tid(2), t);
	assert_ptr_equal(tunnel_peer_session(t, 99), s);
	assert_false(s->dying);
}

/* PPP was not open: it begins anew, and the same user goes on. */
static void
test_renegotiates(void **state)
{
	struct session *s;
	uint32_t mark;

	(void)state;
	make_tunnel(1, 0);
	s = make_session(4, 1);
	mark = session_local(s)->ppp.user_mark;
	s->acct_started = true;
	lead();
	session_local(s)->ppp.lcp.state = CP_REQSENT;
	session_network_down(s);
	turn(0);
	become_slave_of_nobody();
	assert_true(follow(0));
	s = session_by_sid(4);
	assert_int_equal(s->flags & SF_OPEN, 0);
	assert_true(s->authenticated && s->acct_started);
	memset(&sent, 0, sizeof(sent));
	promote();
	assert_int_equal(sent.datagrams, 1);
	assert_int_equal(session_local(s)->ppp.lcp.state, CP_REQSENT);
	assert_int_equal(session_local(s)->ppp.user_mark, mark);
	/* Nobody is there. */
	for (int i = 0; i < 60; i++)
		turn(1000);
	assert_int_equal(table_sessions(), 0);
}

/* A server that is master no longer does nothing any more, at once. */
static void
test_demote(void **state)
{
	(void)state;
	fill(20, 300);
	picture(&before);
	lns.master = false;
	memset(&sent, 0, sizeof(sent));
	replica_demote();
	picture(&after);
	assert_same(&before, &after);
	turn(36000000);
	assert_int_equal(sent.datagrams, 0);
	assert_int_equal(table_sessions(), before.sessions);
	assert_int_equal(acct_pending(), before.accounts);
	/* And is again. */
	promote();
	assert_true(sent.datagrams > 0);
}

/* Sessions of a tunnel whose end was not through: their books are closed. */
static void
test_end_goes_on(void **state)
{
	struct tunnel *t = make_tunnel(1, 0);

	(void)state;
	make_session(1, 1);
	make_session(2, 1);
	lead();
	t->state = T_CLOSING;
	tunnel_local(t)->lost = true;
	replica_tunnel_changed(t);
	turn(0);
	t->state = T_ESTABLISHED;
	tunnel_local(t)->lost = false;
	become_slave_of_nobody();
	assert_true(follow(0));
	assert_int_equal(tunnels_established(), 0);
	promote();
	turn(10);
	assert_int_equal(table_sessions(), 0);
	assert_int_equal(table_tunnels(), 0);
}

/* Records that RADIUS has confirmed are gone, a newer one of the kind stays. */
static void
test_accounts(void **state)
{
	static const uint8_t attrs[] = { 1, 3, 'x' };
	struct acct_carry c = { .kind = 1, .number = 70, .id = "a",
	    .attrs = attrs, .len = sizeof(attrs) };
	struct acct_gone gone = { .number = 70, .kind = 1, .id = "a" };

	(void)state;
	lns.master = false;
	acct_hold(true);
	assert_true(acct_mirror(&c, 1));
	c.number = 71;
	assert_true(acct_mirror(&c, 2));
	assert_int_equal(acct_pending(), 1);
	acct_mirror_gone(&gone);
	assert_int_equal(acct_pending(), 1);
	gone.number = 71;
	acct_mirror_gone(&gone);
	assert_int_equal(acct_pending(), 0);
	acct_mirror_gone(&gone);
	/* Those of another walk go. */
	assert_true(acct_mirror(&c, 3));
	strcpy(gone.id, "b");
	c.id = "b";
	assert_true(acct_mirror(&c, 4));
	acct_mirror_sweep(4);
	assert_int_equal(acct_pending(), 1);
	acct_mirror_gone(&gone);
	assert_int_equal(acct_pending(), 0);
}

/* More than this server has room for: it is never up to date, and lives. */
static void
test_beyond(void **state)
{
	(void)state;
	fill(10, 500);
	lead();
	become_slave_of_nobody();
	table_free();
	assert_true(table_init(100, TUNNELS));
	assert_true(follow(0));
	assert_false(replica_up_to_date());
	assert_true(table_sessions() > 10 && table_sessions() <= 100);
	assert_false(replica_wants_walk());
	turn(61000);
	assert_true(replica_wants_walk());
}

/* It had everything, and then there came more than it has room for. */
static void
test_outgrown(void **state)
{
	(void)state;
	fill(10, 90);
	lead();
	for (uint32_t sid = 201; sid < 210; sid++)
		make_session(sid, 1);
	turn(0);
	become_slave_of_nobody();
	table_free();
	assert_true(table_init(100, TUNNELS));
	assert_true(follow(0));
	assert_false(replica_up_to_date());
	turn(61000);
	assert_true(replica_wants_walk());
	/* What is asked for is not asked for twice. */
	assert_true(follow(0));
	assert_false(replica_wants_walk());
}

/* Two facts that cannot be at once: the newer one is. */
static void
test_conflicts(void **state)
{
	static struct state_session ss;
	struct session_carry carry;
	static struct session copy;	/* aligned, as a slot is */
	struct session *s;

	(void)state;
	make_tunnel(1, 0);
	make_tunnel(2, 0);
	s = make_session(1, 1);
	make_session(2, 1);
	make_session(3, 2);
	assert_true(session_copy(s, &carry));
	copy = *s;
	lns.master = false;
	replica_demote();
	(void)ss;
	/* The address of another one. */
	copy.ip = 0x0a000002;
	s = session_mirror(&copy, &carry);
	assert_non_null(s);
	assert_null(session_by_sid(2));
	assert_ptr_equal(session_by_ip(copy.ip), s);
	/* The ids of another one, in another slot. */
	copy.sid = 9;
	copy.ip = 0x0a000009;
	s = session_mirror(&copy, &carry);
	assert_non_null(s);
	assert_null(session_by_sid(1));
	assert_int_equal(tunnel_by_tid(1)->sessions, 1);
	/* The slot of another one. */
	copy.sid = 3;
	s = session_mirror(&copy, &carry);
	assert_non_null(s);
	assert_null(session_by_sid(9));
	assert_int_equal(tunnel_by_tid(2)->sessions, 0);
	assert_int_equal(table_sessions(), 1);
	/* A tunnel that is not there, a slot that cannot be. */
	copy.tid = 30;
	assert_null(session_mirror(&copy, &carry));
	copy.tid = 1;
	copy.sid = SESSIONS + 1;
	assert_null(session_mirror(&copy, &carry));
}

/* Octets come by and by, of those that have carried something. */
static void
test_counters(void **state)
{
	struct session *s;
	size_t mark;

	(void)state;
	tolerance = 100000;
	make_tunnel(1, 0);
	make_session(1, 1);
	make_session(2, 1);
	lead();
	for (int i = 0; i < 110; i++)
		turn(100);
	mark = stream_len;
	for (int i = 0; i < 220; i++)
		turn(100);
	assert_int_equal(stream_len, mark);
	s = session_by_sid(2);
	s->rx_octets += 1000;
	s->rx_packets++;
	for (int i = 0; i < 110; i++)
		turn(100);
	assert_int_equal(stream_len, mark + 6 + 64);
	picture(&before);
	become_slave_of_nobody();
	assert_true(follow(0));
	picture(&after);
	assert_same(&before, &after);
}

/* --- what it costs ------------------------------------------------------------ */

struct cost {
	uint64_t usec, longest;
	unsigned int turns;
};

static void
timed(struct cost *c, uint64_t ms, void (*work)(void))
{
	uint64_t began = timer_usec(), took;

	if (work != NULL)
		work();
	turn(ms);
	took = timer_usec() - began;
	c->usec += took;
	c->turns++;
	if (c->longest < took)
		c->longest = took;
}

static uint32_t many;

static void
change_some(void)
{
	for (int i = 0; i < 100; i++)
		replica_session_changed(session_by_sid(1 + rnd(many)));
}

static void
carry_all(void)
{
	for (uint32_t sid = 1; sid <= many; sid++)
		session_by_sid(sid)->rx_packets++;
}

static void
drop_some(void)
{
	struct session *s = session_next(0);

	for (int i = 0; i < 128 && s != NULL; i++) {
		session_kill(s, CAUSE_LOST_CARRIER, "measured");
		s = session_next(s->sid);
	}
}

static void
print_cost(const char *what, const struct cost *c, uint32_t n)
{
	printf("%-28s %8.2f ms in all, %6.2f us each, %5u turns, longest "
	    "%.2f ms\n", what, (double)c->usec / 1000,
	    (double)c->usec / n, c->turns, (double)c->longest / 1000);
}

static void
measure_master(void)
{
	struct cost c = { 0 };
	size_t mark;

	has_slaves = true;
	stream_len = 0;
	replica_walk();
	for (int i = 0; i < 1200 && lns.config.max_sessions > 0; i++)
		timed(&c, 10, NULL);
	print_cost("walk, 12 s", &c, many);
	printf("%-28s %8zu octets a session\n", "", stream_len / many);
	mark = stream_len;
	c = (struct cost){ 0 };
	for (int i = 0; i < 100; i++)
		timed(&c, 0, change_some);
	print_cost("10,000 changes", &c, 10000);
	printf("%-28s %8zu octets a change\n", "", (stream_len - mark) /
	    10000);
	mark = stream_len;
	carry_all();
	c = (struct cost){ 0 };
	for (int i = 0; i < 110; i++)
		timed(&c, 100, NULL);
	print_cost("counts of all, 11 s", &c, many);
	printf("%-28s %8zu octets a session\n", "", (stream_len - mark) /
	    many);
}

static void
measure_slave(void)
{
	struct cost c = { 0 };
	uint64_t began;

	lns.master = false;
	began = timer_usec();
	replica_demote();
	printf("%-28s %8.2f ms\n", "demotion", (double)(timer_usec() - began) /
	    1000);
	clear();
	began = timer_usec();
	assert_true(follow(0));
	printf("%-28s %8.2f us a record\n", "taking that in",
	    (double)(timer_usec() - began) / (2 * many + 10000));
	lns.master = true;
	has_slaves = false;
	replica_promote();
	while (replica_waking())
		timed(&c, 0, NULL);
	print_cost("promotion", &c, many);
	has_slaves = true;
	stream_len = 0;
	replica_walk();
	for (int i = 0; i < 1000; i++)
		turn(10);
	c = (struct cost){ 0 };
	for (uint32_t i = 0; i < many; i += 128)
		timed(&c, 0, drop_some);
	print_cost("end of all, 128 a turn", &c, many);
}

/* Without PPP's keepalives, which would be measured too. */
static int
measure(uint32_t n)
{
	many = n;
	lns.config.max_sessions = n;
	lns.config.echo_timeout = lns.config.idle_echo_timeout = 86400;
	lns.config.l2tp_hello_interval = 0;
	setup(NULL);
	replica_exit();
	table_free();
	assert_true(table_init(n, TUNNELS));
	replica_init();
	for (uint32_t i = 1; i <= 10; i++)
		make_tunnel(i, 0);
	for (uint32_t sid = 1; sid <= n; sid++) {
		struct session *s = make_session(sid, 1 + sid % 10);

		s->interim = s->idle_timeout = s->session_timeout = 0;
	}
	measure_master();
	measure_slave();
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_walk), T(test_asleep), T(test_found_on_a_slave),
		T(test_changes_count_alone),
		T(test_changes), T(test_slot_again), T(test_alone),
		T(test_stale), T(test_late), T(test_promote),
		T(test_half_open), T(test_half_open_ends),
		T(test_control_goes_on), T(test_wake_on_demand),
		T(test_new_while_waking), T(test_renegotiates), T(test_demote),
		T(test_end_goes_on),
		T(test_accounts), T(test_beyond), T(test_outgrown), T(test_conflicts),
		T(test_counters),
#undef T
	};

	log_open("/dev/null", NULL, 0);
	loop_init();
	config_defaults(&lns.config);
	lns.config.max_sessions = SESSIONS;
	lns.config.max_tunnels = TUNNELS;
	lns.config.l2tp_icrq_rate = 0;
	lns.config.max_starting = 100000;
	strcpy(lns.hostname, "lns");
	forward_lac_write = to_lac;
	if (argc == 3 && strcmp(argv[1], "measure") == 0)
		return measure((uint32_t)atoi(argv[2]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
