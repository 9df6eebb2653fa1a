/*
 * state_test.c - what was saved comes back whole, or not at all
 *
 * Random tunnels, sessions, addresses and accounting records are made as
 * records, loaded into the real tables, saved from there, and compared.  Then
 * everything that can be wrong with a file is tried, one at a time.
 */
#define _GNU_SOURCE	/* memmem() */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "forward.h"
#include "ippool.h"
#include "l2tp_avp.h"
#include "log.h"
#include "loop.h"
#include "ppp_proto.h"
#include "state.h"
#include "state_wire.h"
#include "table.h"
#include "tunnel.h"

#define SESSIONS	400
#define TUNNELS		40
#define POOL		200
#define MAX_AGE		60
#define PREFIX		12		/* octets before the records */

struct l2tpns lns;

static char dir[] = "/dev/shm/l2tpns-state-XXXXXX";
static char path[64], aside[80];
static char msg[512];

static uint8_t image[8 << 20];		/* records, or a whole file */
static size_t image_len;

/* --- chance, the same in each run --------------------------------------- */

static uint64_t chance = 1;

static uint32_t
rnd(uint32_t below)
{
	chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(chance >> 33) % below;
}

/* Small, large or 0: what is 0 is left out of a record. */
static uint64_t
any(uint64_t max)
{
	uint64_t v = (uint64_t)rnd(UINT32_C(1) << 31) << 31 | rnd(1u << 31);

	return rnd(4) == 0 ? 0 : rnd(4) == 0 ? max : v % max;
}

#define ANY(field)	((field) = (__typeof__(field))any( \
	sizeof(field) < 8 ? (UINT64_C(1) << 8 * sizeof(field)) - 1 : INT64_MAX))

static void
any_text(char *dst, size_t size)
{
	size_t n = rnd(4) == 0 ? size - 1 : rnd((uint32_t)size);

	for (size_t i = 0; i < n; i++)
		dst[i] = (char)(1 + rnd(255));
	dst[n] = '\0';
}

static void
any_bytes(void *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)dst)[i] = (uint8_t)rnd(256);
}

/* --- making records ----------------------------------------------------- */

static struct wr w;
static struct state_end made;

static void
make_begin(void)
{
	struct state_header h = { .version = "test" };

	w = wr_init(image, sizeof(image));
	memset(&made, 0, sizeof(made));
	h.written = (uint64_t)timer_wall();
	h.bind_address = lns.config.bind_address;
	strcpy(h.hostname, lns.hostname);
	state_put(&w, STATE_HEADER, &h);
}

static void
make_end(void)
{
	state_put(&w, STATE_END, &made);
	image_len = wr_done(&w);
	assert_true(image_len > 0);
}

static void
make_messages(const struct state_tunnel *st)
{
	uint8_t buf[256];

	for (uint32_t i = 0; i < st->ctl.queued; i++) {
		struct wr m = wr_init(buf, sizeof(buf));

		l2tp_msg_begin(&m, st->t.peer_id, (uint16_t)(i + 1), L2TP_CDN);
		l2tp_avp_result(&m, (uint16_t)(1 + i % 5), 0, "away");
		state_put_message(&w, buf, l2tp_msg_end(&m));
		made.messages++;
	}
}

static void
plain_tunnel(struct state_tunnel *st, uint32_t tid)
{
	memset(st, 0, sizeof(*st));
	st->t.tid = tid;
	st->t.local_id = (uint16_t)(tid * 1601);
	st->t.peer_id = (uint16_t)(tid * 7);
	st->t.peer = (struct peer){ 0xc0000200 + tid, 0, 1701 };
	st->t.peer_window = 4;
	st->ctl.window = 64;
}

static void
put_tunnel(const struct state_tunnel *st)
{
	state_put(&w, STATE_TUNNEL, st);
	made.tunnels++;
	make_messages(st);
}

static void
any_tunnel(struct state_tunnel *st, uint32_t tid)
{
	plain_tunnel(st, tid);
	ANY(st->t.framing);
	ANY(st->t.bearer);
	ANY(st->t.firmware);
	ANY(st->t.opened);
	any_text(st->t.hostname, sizeof(st->t.hostname));
	any_text(st->t.vendor, sizeof(st->t.vendor));
	ANY(st->ctl.una);
	ANY(st->ctl.Nr);
	st->ctl.queued = rnd(3) == 0 ? rnd(40) : 0;
	st->ctl.high = (uint16_t)(st->ctl.una + rnd(st->ctl.queued + 1));
	st->ctl.silent = rnd(10000);
}

static void
plain_session(struct state_session *ss, uint32_t sid, uint32_t tid)
{
	memset(ss, 0, sizeof(*ss));
	ss->s.sid = sid;
	ss->s.tid = tid;
	ss->s.local_id = (uint16_t)(sid * 31);
	ss->s.peer_id = (uint16_t)(sid * 3);
	ss->s.flags = SF_OPEN;
	ss->s.ip = 0x0a000000 + sid;
	snprintf(ss->s.user, sizeof(ss->s.user), "user%u", sid);
	ss->carry.ppp.auth_protocol = PPP_CHAP;
	ss->carry.ppp.our_mru = ss->carry.ppp.peer_mru = 1462;
}

static void
any_ppp(struct ppp_carry *p)
{
	ANY(p->magic);
	ANY(p->peer_magic);
	p->our_mru = (uint16_t)(PPP_MRU_MIN + rnd(2000));
	p->peer_mru = (uint16_t)(PPP_MRU_MIN + rnd(2000));
	p->auth_protocol = rnd(2) ? PPP_PAP : PPP_CHAP;
	ANY(p->peer_flags);
	ANY(p->lcp_id);
	ANY(p->lcp_reject_id);
	ANY(p->ipcp_id);
	ANY(p->ipcp_reject_id);
	ANY(p->lcp_options_off);
	ANY(p->ipcp_options_off);
	ANY(p->echo_id);
	ANY(p->auth_index);
	ANY(p->auth_id);
	ANY(p->reply_id);
	p->reply_len = (uint8_t)rnd(sizeof(p->reply) + 1);
	any_bytes(p->reply, p->reply_len);
	ANY(p->user_mark);
	p->silent = rnd(100000);
}

static void
any_lists(struct session *s)
{
	uint8_t len;

	while (rnd(3) != 0 && s->nroutes < ROUTES_MAX) {
		s->routes[s->nroutes] = (struct prefix){
			0x0b000000 + s->sid * 4096 + s->nroutes * 256u,
			(uint8_t)(24 + rnd(9)) };
		s->nroutes++;
	}
	while (rnd(3) != 0 && s->class_len + 256 < CLASS_MAX) {
		len = (uint8_t)rnd(256);
		s->class[s->class_len] = len;
		any_bytes(s->class + s->class_len + 1, len);
		s->class_len = (uint16_t)(s->class_len + 1 + len);
	}
	if (rnd(3) == 0) {
		s->avpair_len = (uint16_t)(1 + rnd(AVPAIR_MAX));
		any_bytes(s->avpair, s->avpair_len - 1u);
		s->avpair[s->avpair_len - 1] = '\0';
	}
}

static void
any_session(struct state_session *ss, uint32_t sid, uint32_t tid)
{
	struct session *s = &ss->s;

	plain_session(ss, sid, tid);
	s->flags |= (uint16_t)rnd(SF_PFC * 2) & ~0u;
	ANY(s->data_Ns);
	ANY(s->data_Nr);
	ANY(s->call_serial);
	ANY(s->bearer_type);
	ANY(s->framing_type);
	ANY(s->phys_channel);
	ANY(s->tx_speed);
	ANY(s->rx_speed);
	ANY(s->opened);
	any_text(s->calling, sizeof(s->calling));
	any_text(s->called, sizeof(s->called));
	if (rnd(2))
		any_text(s->user + 5, sizeof(s->user) - 5);
	s->ip_from_pool = rnd(2) != 0;
	ANY(s->netmask);
	ANY(s->dns1);
	ANY(s->dns2);
	ANY(s->auth_protocol);
	s->session_timeout = rnd(2) ? 3600 : 0;
	s->idle_timeout = rnd(2) ? 3600 : 0;
	s->interim = rnd(2) ? 600 : 0;
	any_text(s->filter_id, sizeof(s->filter_id));
	any_lists(s);
	ANY(s->mss);
	ANY(s->rx_octets);
	ANY(s->tx_octets);
	ANY(s->rx_packets);
	ANY(s->tx_packets);
	s->acct_started = rnd(2) != 0;
	snprintf(s->acct_id, sizeof(s->acct_id), "%08X%08X", rnd(1u << 31),
	    sid);
	ss->carry.age = s->acct_started ? rnd(1u << 30) : 0;
	ss->carry.idle = rnd(60);
	ss->carry.limit_left = s->session_timeout ? 1 + rnd(3600000) : 0;
	ss->carry.interim_left = s->interim ? 1 + rnd(600000) : 0;
	ANY(ss->carry.framed_mtu);
	any_ppp(&ss->carry.ppp);
	ANY(ss->usage_rx);
	ANY(ss->usage_tx);
}

static void
put_session(const struct state_session *ss)
{
	state_put(&w, STATE_SESSION, ss);
	made.sessions++;
}

static void
put_address(uint32_t addr, const char *user, uint64_t age)
{
	struct state_address a = { .addr = addr, .age = age };

	snprintf(a.user, sizeof(a.user), "%s", user);
	state_put(&w, STATE_ADDRESS, &a);
	made.addresses++;
}

static void
put_acct(const char *id, uint8_t kind, size_t len)
{
	static struct state_acct a;

	memset(&a, 0, sizeof(a));
	a.kind = kind;
	a.sid = rnd(1000);
	a.age = rnd(100000);
	snprintf(a.id, sizeof(a.id), "%s", id);
	a.len = (uint16_t)len;
	any_bytes(a.attrs, len);
	a.attrs[1] = (uint8_t)len;	/* one attribute */
	state_put(&w, STATE_ACCT, &a);
	made.records++;
}

/* Something of everything. */
static void
make_random(uint32_t tunnels, uint32_t sessions)
{
	static struct state_tunnel st;
	static struct state_session ss;
	char text[24];

	make_begin();
	for (uint32_t i = 1; i <= tunnels; i++) {
		any_tunnel(&st, i);
		put_tunnel(&st);
	}
	for (uint32_t sid = 1 + rnd(3); sid <= sessions; sid += 1 + rnd(3)) {
		any_session(&ss, sid, 1 + rnd(tunnels));
		put_session(&ss);
	}
	for (uint32_t i = 1; i < POOL / 2; i++) {
		snprintf(text, sizeof(text), "had%u", i);
		put_address(0x0a010000 + i, text, 100000 - i);
	}
	for (uint32_t i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "stop%u", i);
		put_acct(text, (uint8_t)(i % 3), 2 + rnd(250));
	}
	make_end();
}

/* --- the tables --------------------------------------------------------- */

static void
no_fault(const char *file, unsigned int line, const char *reason, void *arg)
{
	(void)arg;
	fail_msg("%s:%u: %s", file, line, reason);
}

static bool
to_lac(const struct peer *p, const void *buf, size_t len)
{
	(void)p;
	(void)buf;
	(void)len;
	return true;
}

static void
clear(void)
{
	struct session *s;
	struct tunnel *t;

	while ((s = session_next(0)) != NULL)
		session_forget(s);
	while ((t = tunnel_next(0)) != NULL)
		tunnel_forget(t);
	acct_forget();
	ippool_clear();
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
	tunnel_init();
	fill_pool();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	clear();
	assert_int_equal(lpm_count(lns.lpm), 0);
	tunnel_exit();
	table_free();
	lpm_free(lns.lpm);
	unlink(path);
	unlink(aside);
	return 0;
}

static void
assert_empty(void)
{
	assert_int_equal(table_sessions(), 0);
	assert_int_equal(table_tunnels(), 0);
	assert_int_equal(lpm_count(lns.lpm), 0);
	assert_int_equal(ippool_used(), 0);
	assert_int_equal(acct_pending(), 0);
	assert_int_equal(tunnels_established(), 0);
}

static bool
load_image(void)
{
	return state_load(image, image_len, timer_wall(), MAX_AGE, msg,
	    sizeof(msg));
}

static void
assert_loads(void)
{
	if (!load_image())
		fail_msg("refused: %s", msg);
}

static void
assert_refused(const char *why)
{
	assert_false(load_image());
	assert_string_equal(msg, why);
	assert_empty();
}

/* --- files -------------------------------------------------------------- */

static void
write_file(const void *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, len), len);
	close(fd);
}

static size_t
read_file(uint8_t *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, buf, size);
	assert_true(n > 0 && (size_t)n < size);
	close(fd);
	return (size_t)n;
}

/* Writes the SHA-256 anew, over a file that was changed on purpose. */
static void
sign(uint8_t *buf, size_t len)
{
	struct digest_sha256 d;

	digest_sha256_begin(&d);
	digest_sha256_add(&d, buf, len - DIGEST_SHA256);
	digest_sha256_end(&d, buf + len - DIGEST_SHA256);
}

static bool
restore(void)
{
	return state_restore(path, MAX_AGE, msg, sizeof(msg));
}

static void
assert_save(void)
{
	if (!state_save(path, msg, sizeof(msg)))
		fail_msg("not saved: %s", msg);
}

/* A file with a little of everything, in image; the tables are empty. */
static void
make_file(void)
{
	make_random(2, 4);
	assert_loads();
	assert_save();
	image_len = read_file(image, sizeof(image));
	clear();
	fill_pool();
	assert_empty();
}

static void
assert_file_refused(const char *why)
{
	struct stat st;

	assert_false(restore());
	assert_string_equal(msg, why);
	assert_empty();
	assert_int_equal(lstat(path, &st), -1);
}

/* --- round trips -------------------------------------------------------- */

/* Messages are stamped anew whenever they leave; the rest of them is equal. */
static void
assert_message(struct rd a, struct rd b)
{
	assert_int_equal(rd_left(&a), rd_left(&b));
	assert_memory_equal(a.p, b.p, 8);
	assert_memory_equal(a.p + L2TP_CTL_HEADER, b.p + L2TP_CTL_HEADER,
	    rd_left(&a) - L2TP_CTL_HEADER);
}

static void
assert_tunnel(const struct state_tunnel *a, struct state_tunnel *b)
{
	/* What had been on the wire before, and perhaps a first one more. */
	assert_in_range((uint16_t)(b->ctl.high - a->ctl.high), 0, 1);
	b->ctl.high = a->ctl.high;
	assert_memory_equal(a, b, sizeof(*a));
}

static void
assert_session(struct state_session *a, struct state_session *b)
{
	/* Kept in whole seconds. */
	assert_in_range(b->carry.idle - a->carry.idle, 0, 999);
	b->carry.idle = a->carry.idle;
	/* These are said by the routes. */
	a->s.flags = (uint16_t)((a->s.flags & ~SF_ROUTED) |
	    (a->s.nroutes > 0 ? SF_ROUTED : 0));
	assert_memory_equal(a, b, sizeof(*a));
}

static int
compare_acct(const void *va, const void *vb)
{
	return memcmp(va, vb, sizeof(struct state_acct));
}

/* All the accounting records of an image, sorted: their order is free. */
static size_t
acct_of(struct rd r, struct state_acct *list)
{
	struct state_record rec;
	size_t n = 0;

	while (state_next(&r, &rec))
		if (rec.type == STATE_ACCT)
			assert_true(state_get(&rec, &list[n++]));
	qsort(list, n, sizeof(list[0]), compare_acct);
	return n;
}

static void
assert_same(struct rd a, struct rd b)
{
	static struct state_acct la[64], lb[64];
	static union {
		struct state_header h;
		struct state_tunnel t;
		struct state_session s;
		struct state_address a;
		struct state_acct r;
		struct state_end e;
	} x, y;
	struct state_record ra, rb;
	size_t n = acct_of(a, la);

	assert_int_equal(acct_of(b, lb), n);
	assert_memory_equal(la, lb, n * sizeof(la[0]));
	while (state_next(&a, &ra)) {
		assert_true(state_next(&b, &rb));
		assert_int_equal(ra.type, rb.type);
		if (ra.type == STATE_MESSAGE) {
			assert_message(ra.body, rb.body);
			continue;
		}
		assert_true(state_get(&ra, &x) && state_get(&rb, &y));
		if (ra.type == STATE_TUNNEL)
			assert_tunnel(&x.t, &y.t);
		else if (ra.type == STATE_SESSION)
			assert_session(&x.s, &y.s);
		else if (ra.type == STATE_ADDRESS)
			assert_memory_equal(&x.a, &y.a, sizeof(x.a));
		else if (ra.type == STATE_END)
			assert_memory_equal(&x.e, &y.e, sizeof(x.e));
	}
	assert_false(state_next(&b, &rb));
}

static void
round_trip(void **state)
{
	static uint8_t file[sizeof(image)];
	size_t len;

	(void)state;
	for (int i = 0; i < 50; i++) {
		make_random(1 + rnd(TUNNELS), 1 + rnd(SESSIONS));
		assert_loads();
		assert_int_equal(table_sessions(), made.sessions);
		assert_int_equal(tunnels_established(), made.tunnels);
		assert_int_equal(acct_pending(), made.records);
		assert_save();
		len = read_file(file, sizeof(file));
		assert_same(rd_init(image, image_len), rd_init(file + PREFIX,
		    len - PREFIX - DIGEST_SHA256));
		clear();
		fill_pool();
		if (!restore())
			fail_msg("refused: %s", msg);
		assert_int_equal(table_sessions(), made.sessions);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(access(aside, F_OK), -1);
		clear();
		fill_pool();
	}
}

static void
no_file(void **state)
{
	(void)state;
	assert_true(restore());
	assert_string_equal(msg, "");
	assert_empty();
}

/* What the sessions of one image can be reached by. */
static void
found_again(void **state)
{
	static struct state_tunnel st;
	static struct state_session ss;
	struct session *s;

	(void)state;
	make_begin();
	plain_tunnel(&st, 3);
	put_tunnel(&st);
	plain_session(&ss, 7, 3);
	ss.s.routes[0] = (struct prefix){ 0x0b000000, 24 };
	ss.s.nroutes = 1;
	ss.s.ip_from_pool = true;
	put_session(&ss);
	make_end();
	assert_loads();
	s = session_by_sid(7);
	assert_non_null(s);
	assert_ptr_equal(session_by_ip(ss.s.ip), s);
	assert_ptr_equal(session_by_user("user7"), s);
	assert_int_equal(lpm_find(lns.lpm, 0x0b000042), 7);
	assert_ptr_equal(tunnel_session(tunnel_by_local_id(st.t.local_id),
	    ss.s.local_id), s);
	assert_ptr_equal(tunnel_peer_session(tunnel_by_tid(3), ss.s.peer_id),
	    s);
	assert_int_equal(tunnel_by_tid(3)->sessions, 1);
	assert_int_equal(ippool_used(), 1);
	/* The next to come gets a number that is free, and an address. */
	assert_true(ippool_take("other", 1) != ss.s.ip);
	assert_int_equal(table_session_new()->sid, 6);
	table_session_del(session_by_sid(6));
}

/* An old address comes back to its user; never used before released. */
static void
pool_memory(void **state)
{
	(void)state;
	make_begin();
	put_address(0x0a010005, "alice", 9000);
	put_address(0x0a010003, "bob", 5000);
	put_address(0x0c000001, "elsewhere", 5000);
	make_end();
	assert_loads();
	assert_int_equal(ippool_take("bob", 1), 0x0a010003);
	assert_int_equal(ippool_take("alice", 2), 0x0a010005);
	assert_int_equal(ippool_take("carol", 3), 0x0a010001);
}

/* Session-Timeout runs on while nobody is there, Idle-Timeout does not. */
static void
timers_go_on(void **state)
{
	static struct state_tunnel st;
	static struct state_session ss;

	(void)state;
	make_begin();
	plain_tunnel(&st, 1);
	put_tunnel(&st);
	plain_session(&ss, 1, 1);
	ss.s.session_timeout = 100;
	ss.carry.limit_left = 30000;
	put_session(&ss);
	plain_session(&ss, 2, 1);
	ss.s.idle_timeout = 100;
	ss.carry.idle = 80000;
	put_session(&ss);
	make_end();
	assert_true(state_load(image, image_len, timer_wall() + 20, MAX_AGE,
	    msg, sizeof(msg)));
	timer_fake(9000);
	assert_false(session_by_sid(1)->dying);
	timer_fake(2000);
	assert_true(session_by_sid(1)->dying);
	assert_false(session_by_sid(2)->dying);
	timer_fake(10000);
	assert_true(session_by_sid(2)->dying);
	session_reap();
	tunnel_shutdown(tunnel_by_tid(1), 1, 0, "end", false);
}

/* The next process takes up the numbers of the last, and what was unsaid. */
static size_t sent_n;

static bool
count_sent(const struct peer *p, const void *buf, size_t len)
{
	struct l2tp_header h;

	(void)p;
	if (l2tp_header_decode(buf, len, &h) == L2TP_OK && h.control) {
		assert_int_equal(h.Ns, 100 + sent_n);
		assert_int_equal(h.Nr, 77);
		sent_n++;
	}
	return true;
}

static void
messages_go_on(void **state)
{
	static struct state_tunnel st;
	struct ctl *c;

	(void)state;
	make_begin();
	plain_tunnel(&st, 1);
	st.ctl.una = 100;
	st.ctl.high = 102;
	st.ctl.Nr = 77;
	st.ctl.queued = 3;
	put_tunnel(&st);
	make_end();
	sent_n = 0;
	forward_lac_write = count_sent;
	assert_loads();
	forward_flush();
	assert_int_equal(sent_n, 1);
	c = &tunnel_local(tunnel_by_tid(1))->ctl;
	/* It had got both before: only the third has to go. */
	sent_n = 2;
	ctl_receive(c, 77, 102, true, NULL, 0);
	forward_flush();
	assert_int_equal(sent_n, 3);
	ctl_receive(c, 77, 103, true, NULL, 0);
	assert_true(ctl_idle(c));
	forward_lac_write = to_lac;
}

/* --- refused: what is in it --------------------------------------------- */

static void
two_sessions(struct state_session *a, struct state_session *b)
{
	static struct state_tunnel st;

	make_begin();
	plain_tunnel(&st, 1);
	put_tunnel(&st);
	plain_session(a, 1, 1);
	plain_session(b, 2, 1);
}

static void
put_two(const struct state_session *a, const struct state_session *b)
{
	put_session(a);
	put_session(b);
	make_end();
}

/* What an operator has dropped does not come back. */
static void
dropped_tunnel(void **state)
{
	static struct state_session a, b;

	(void)state;
	two_sessions(&a, &b);
	put_two(&a, &b);
	assert_loads();
	assert_true(tunnel_drop(tunnel_by_tid(1)));
	state_settle();
	assert_save();
	assert_non_null(strstr(msg, "0 sessions on 0 tunnels"));
}

static void
duplicates(void **state)
{
	static struct state_session a, b;
	static struct state_tunnel t;

	(void)state;
	two_sessions(&a, &b);
	put_two(&a, &b);
	assert_loads();
	clear();
	fill_pool();

	two_sessions(&a, &b);
	b.s.ip = a.s.ip;
	put_two(&a, &b);
	assert_refused("an address or route is in it twice");

	two_sessions(&a, &b);
	b.s.routes[b.s.nroutes++] = (struct prefix){ a.s.ip, 32 };
	put_two(&a, &b);
	assert_refused("an address or route is in it twice");

	two_sessions(&a, &b);
	b.s.sid = a.s.sid;
	put_two(&a, &b);
	assert_refused("a session id is in it twice");

	two_sessions(&a, &b);
	b.s.local_id = a.s.local_id;
	put_two(&a, &b);
	assert_refused("two sessions have one id");

	two_sessions(&a, &b);
	b.s.peer_id = a.s.peer_id;
	put_two(&a, &b);
	assert_refused("two sessions have one id");

	two_sessions(&a, &b);
	a.s.acct_started = b.s.acct_started = true;
	strcpy(a.s.acct_id, "X");
	strcpy(b.s.acct_id, "X");
	put_two(&a, &b);
	assert_refused("an accounting record is in it twice");

	make_begin();
	put_acct("1", 2, 10);
	put_acct("1", 2, 10);
	make_end();
	assert_refused("an accounting record is in it twice");

	make_begin();
	plain_tunnel(&t, 1);
	put_tunnel(&t);
	put_tunnel(&t);
	make_end();
	assert_refused("a tunnel id is in it twice");

	make_begin();
	put_address(0x0a010001, "a", 1);
	put_address(0x0a010001, "b", 1);
	make_end();
	assert_refused("an address or route is in it twice");
}

static void
does_not_fit(void **state)
{
	static struct state_session a, b;
	static struct state_tunnel t;

	(void)state;
	two_sessions(&a, &b);
	b.s.tid = 2;
	put_two(&a, &b);
	assert_refused("a session has no tunnel");

	two_sessions(&a, &b);
	b.s.sid = SESSIONS + 1;
	put_two(&a, &b);
	assert_refused("a session is beyond max_sessions");

	make_begin();
	plain_tunnel(&t, TUNNELS + 1);
	put_tunnel(&t);
	make_end();
	assert_refused("a tunnel is beyond max_tunnels");

	/* Fewer messages than it says, or none that belongs to it. */
	make_begin();
	plain_tunnel(&t, 1);
	t.ctl.queued = 2;
	state_put(&w, STATE_TUNNEL, &t);
	make_end();
	assert_refused("a record is out of place");

	make_begin();
	state_put_message(&w, (const uint8_t *)"not a control message", 21);
	make_end();
	assert_refused("a control message has no place");

	/* Numbers that the queue contradicts. */
	make_begin();
	plain_tunnel(&t, 1);
	t.ctl.high = 5;
	put_tunnel(&t);
	make_end();
	assert_refused("a record is damaged");

	two_sessions(&a, &b);
	b.carry.ppp.auth_protocol = 0x1234;
	put_two(&a, &b);
	assert_refused("a record is damaged");

	two_sessions(&a, &b);
	b.s.class[0] = 9;
	b.s.class_len = 5;
	put_two(&a, &b);
	assert_refused("a record is damaged");

	two_sessions(&a, &b);
	b.s.avpair[0] = 'x';
	b.s.avpair_len = 1;
	put_two(&a, &b);
	assert_refused("a record is damaged");
}

static void
counts(void **state)
{
	static struct state_session a, b;

	(void)state;
	two_sessions(&a, &b);
	put_session(&a);
	made.sessions = UINT32_MAX;
	make_end();
	assert_refused("it is not complete");
	/* Not even an end. */
	two_sessions(&a, &b);
	put_session(&a);
	image_len = wr_done(&w);
	assert_refused("it is not complete");
	image_len = 0;
	assert_refused("it is not complete");
	/* A record that says that it is longer than all there is. */
	make_begin();
	wr_u16(&w, STATE_SESSION);
	wr_u32(&w, UINT32_MAX);
	image_len = wr_done(&w);
	assert_refused("it is not complete");
}

/* One field, as somebody may have written it. */
static void
session_with(uint16_t tag, const void *value, size_t len)
{
	static struct state_session a, b;
	uint8_t buf[4096];
	struct wr r = wr_init(buf, sizeof(buf));

	two_sessions(&a, &b);
	state_put(&r, STATE_SESSION, &a);
	wr_u16(&r, tag);
	wr_u16(&r, (uint16_t)len);
	wr_bytes(&r, value, len);
	wr_patch_u16(&r, 4, (uint16_t)(wr_len(&r) - 6));
	wr_bytes(&w, buf, wr_done(&r));
	made.sessions++;
	make_end();
}

static void
fields(void **state)
{
	uint8_t many[300];

	(void)state;
	memset(many, 'x', sizeof(many));
	/* Of a newer release: not known, and no harm. */
	session_with(6000, many, sizeof(many));
	assert_loads();
	clear();
	fill_pool();
	/* The tag before again; an integer of 9 octets, of none, too great. */
	session_with(1, many, 4);
	assert_refused("a record is damaged");
	session_with(67, many, 9);
	assert_refused("a record is damaged");
	session_with(67, many, 0);
	assert_refused("a record is damaged");
	session_with(64, many, 8);
	assert_refused("a record is damaged");
	session_with(67, many, 8);
	assert_loads();
}

static void
texts(void **state)
{
	static struct state_session a, b;
	uint8_t *p;

	(void)state;
	/* A NUL inside of a name. */
	two_sessions(&a, &b);
	memset(b.s.user, 'u', sizeof(b.s.user) - 1);
	put_two(&a, &b);
	p = memmem(image, image_len, "uuuu", 4);
	assert_non_null(p);
	p[2] = '\0';
	assert_refused("a record is damaged");
	p[2] = 'u';
	assert_loads();
	assert_int_equal(strlen(session_by_sid(2)->user), USER_MAX - 1);
}

static void
order(void **state)
{
	static struct state_session a, b;
	static struct state_tunnel t;

	(void)state;
	two_sessions(&a, &b);
	put_session(&a);
	plain_tunnel(&t, 2);
	put_tunnel(&t);
	make_end();
	assert_refused("a record is out of place");

	make_begin();
	make_end();
	state_put(&w, STATE_END, &made);
	image_len = wr_done(&w);
	assert_refused("a record is out of place");

	w = wr_init(image, sizeof(image));
	memset(&made, 0, sizeof(made));
	make_end();
	assert_refused("a record is out of place");
}

static void
ages(void **state)
{
	(void)state;
	make_begin();
	make_end();
	assert_true(state_load(image, image_len, timer_wall() + MAX_AGE,
	    MAX_AGE, msg, sizeof(msg)));
	assert_false(state_load(image, image_len, timer_wall() + MAX_AGE + 1,
	    MAX_AGE, msg, sizeof(msg)));
	assert_string_equal(msg, "it is too old");
	assert_false(state_load(image, image_len, timer_wall() - 2, MAX_AGE,
	    msg, sizeof(msg)));
	assert_string_equal(msg, "it is from the future");
	lns.config.bind_address = 0x01020304;
	assert_refused("it is of another bind_address");
	lns.config.bind_address = 0;
	strcpy(lns.hostname, "other");
	assert_refused("it is of another server");
	strcpy(lns.hostname, "lns");
	assert_loads();
}

/* Sessions that cannot go on have ended, and nobody else has their records. */
static void
books_of_what_cannot_go_on(void **state)
{
	(void)state;
	make_random(3, 12);
	assert_true(made.records > 0);
	assert_false(state_load(image, image_len, timer_wall() + MAX_AGE + 1,
	    MAX_AGE, msg, sizeof(msg)));
	assert_string_equal(msg, "it is too old");
	assert_int_equal(acct_pending(), made.records);
	acct_forget();
	assert_empty();

	lns.config.max_sessions = 1;
	assert_false(load_image());
	assert_string_equal(msg, "a session is beyond max_sessions");
	assert_int_equal(acct_pending(), made.records);
	lns.config.max_sessions = SESSIONS;
	acct_forget();
	assert_empty();

	/* Not what another server has to tell. */
	strcpy(lns.hostname, "other");
	assert_refused("it is of another server");
	strcpy(lns.hostname, "lns");
	assert_loads();
	assert_int_equal(acct_pending(), made.records);
}

/* --- refused: the file -------------------------------------------------- */

static void
truncated(void **state)
{
	(void)state;
	make_file();
	for (size_t len = 0; len < image_len; len += 1 + image_len / 3000) {
		write_file(image, len);
		assert_false(restore());
		assert_empty();
	}
	write_file(image, image_len);
	image[image_len] = 0;
	write_file(image, image_len + 1);
	assert_file_refused("it is damaged");
	write_file(image, image_len);
	assert_true(restore());
}

static void
flipped(void **state)
{
	(void)state;
	make_file();
	for (int i = 0; i < 10000; i++) {
		size_t at = rnd((uint32_t)image_len);
		uint8_t bit = (uint8_t)(1u << rnd(8));

		image[at] ^= bit;
		write_file(image, image_len);
		assert_false(restore());
		assert_empty();
		image[at] ^= bit;
	}
}

/* As a writer with a fault might sign it: taken as a whole, or not at all. */
static void
flipped_and_signed(void **state)
{
	int taken = 0;

	(void)state;
	make_random(3, 12);
	for (int i = 0; i < 10000; i++) {
		size_t at = rnd((uint32_t)image_len);
		uint8_t bit = (uint8_t)(1u << rnd(8));

		image[at] ^= bit;
		if (load_image()) {
			assert_int_equal(table_sessions(), made.sessions);
			assert_int_equal(tunnels_established(), made.tunnels);
			assert_int_equal(acct_pending(), made.records);
			taken++;
			clear();
			fill_pool();
		}
		/* Too old by that, or so: the records are as true as before. */
		if (acct_pending() > 0)
			assert_int_equal(acct_pending(), made.records);
		acct_forget();
		assert_empty();
		image[at] ^= bit;
	}
	assert_in_range(taken, 1, 9999);
}

static void
other_version(void **state)
{
	(void)state;
	make_file();
	image[11]++;
	sign(image, image_len);
	write_file(image, image_len);
	assert_file_refused("it is of another version");
	image[0] ^= 1;
	sign(image, image_len);
	write_file(image, image_len);
	assert_file_refused("it is no saved state, or damaged");
}

static void
bad_files(void **state)
{
	char target[80];

	(void)state;
	make_file();
	write_file(image, image_len);
	assert_int_equal(chmod(path, 0620), 0);
	assert_file_refused("others can write to it");

	write_file(image, image_len);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 12345), 0);
		assert_file_refused("it belongs to somebody else");
		write_file(image, image_len);
		assert_int_equal(chown(path, 12345, 12345), 0);
		lns.config.setuid = 12345;
		assert_true(restore());
		lns.config.setuid = 0;
		clear();
		fill_pool();
	}

	write_file(image, image_len);
	snprintf(target, sizeof(target), "%s.target", path);
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_file_refused("it is a symbolic link");
	assert_int_equal(unlink(target), 0);

	assert_int_equal(mkfifo(path, 0600), 0);
	assert_file_refused("it is no regular file");
}

static void
used_once(void **state)
{
	struct stat st;

	(void)state;
	make_file();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(restore());
	assert_true(table_sessions() > 0);
	clear();
	fill_pool();
	assert_true(restore());
	assert_string_equal(msg, "");
	assert_empty();
	/* Off: it is out of the way for good. */
	write_file(image, image_len);
	state_discard(path);
	assert_true(restore());
	assert_string_equal(msg, "");
}

static void
cannot_save(void **state)
{
	char deep[96];

	(void)state;
	make_begin();
	make_end();
	assert_loads();
	snprintf(deep, sizeof(deep), "%s/a/b/state", dir);
	assert_false(state_save(deep, msg, sizeof(msg)));
	/* But one directory is made. */
	snprintf(deep, sizeof(deep), "%s/a/state", dir);
	assert_true(state_save(deep, msg, sizeof(msg)));
	unlink(deep);
	snprintf(deep, sizeof(deep), "%s/a", dir);
	assert_int_equal(rmdir(deep), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(state_save(path, msg, sizeof(msg)));
	assert_int_equal(unlink(path), 0);
}

/* The disk is full: what was there stays, and nothing half written. */
static void
disk_full(void **state)
{
	const struct rlimit little = { 100, RLIM_INFINITY };
	const struct rlimit enough = { RLIM_INFINITY, RLIM_INFINITY };
	char new[80];

	(void)state;
	make_random(3, 12);
	assert_loads();
	write_file("old", 3);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	assert_false(state_save(path, msg, sizeof(msg)));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &enough), 0);
	assert_int_equal(read_file(image, sizeof(image)), 3);
	snprintf(new, sizeof(new), "%s.new", path);
	assert_int_equal(access(new, F_OK), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(round_trip), T(no_file), T(found_again), T(pool_memory),
		T(timers_go_on), T(messages_go_on), T(dropped_tunnel),
		T(duplicates),
		T(does_not_fit), T(counts), T(fields), T(texts), T(order),
		T(ages), T(books_of_what_cannot_go_on), T(truncated),
		T(flipped), T(flipped_and_signed),
		T(other_version), T(bad_files), T(used_once), T(cannot_save), T(disk_full),
	};
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/state", dir);
	snprintf(aside, sizeof(aside), "%s.refused", path);
	log_open("/dev/null", NULL, 0);
	loop_init();
	config_defaults(&lns.config);
	lns.config.max_sessions = SESSIONS;
	lns.config.max_tunnels = TUNNELS;
	strcpy(lns.hostname, "lns");
	forward_lac_write = to_lac;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return rmdir(dir) != 0 || failed;
}
