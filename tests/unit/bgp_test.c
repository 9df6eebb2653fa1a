/*
 * bgp_test.c - the announcer, its state machine and its table
 *
 * Time stands still but for what a test lets pass; connections are pairs of
 * sockets, of which the test has the other end and is the router.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bgp.h"
#include "bgp_rib.h"
#include "bgp_sock.h"
#include "bgp_wire.h"
#include "config.h"
#include "counters.h"
#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "resolve.h"
#include "timer.h"
#include "tun.h"

#define LEN(a)	(sizeof(a) / sizeof((a)[0]))
#define IP(a, b, c, d)	((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define OWN	IP(192, 0, 2, 9)	/* our address on connections */
#define OUR_AS	64512
#define ROUTER_AS 65001

struct l2tpns lns;

uint32_t tun_default_address(void) { return IP(192, 0, 2, 100); }

/* --- routers ------------------------------------------------------------- */

#define PREFIXES	(1u << 18)	/* of 10.0.0.0/14, each a /32 */

struct router {
	int fd;				/* the router's end; -1: none */
	unsigned int connects;
	uint64_t at;			/* ms, of the last one */
	int error;			/* how it ends; -1: not at all */
	struct bgp_sock asked;
	char password[100];
	uint8_t buf[65536];		/* what came and is not read yet */
	size_t len;
	bool reads;			/* or leaves it in the socket */
	bool table[PREFIXES];		/* what it was told */
	bool net[33];			/* 10.N.0.0/N for other lengths */
	uint32_t prefixes, updates, keepalives;
};
static struct router routers[3];	/* 192.0.2.1 to 3 */

static struct router *
router_of(uint32_t addr)
{
	assert_in_range(addr, IP(192, 0, 2, 1), IP(192, 0, 2, 3));
	return &routers[addr - IP(192, 0, 2, 1)];
}

static int connect_error;

int
bgp_sock_connect(const struct bgp_sock *s, char *err, size_t errlen)
{
	struct router *r = router_of(s->addr);
	int pair[2];

	r->asked = *s;
	snprintf(r->password, sizeof(r->password), "%s", s->password);
	r->connects++;
	r->at = timer_now();
	if (r->error == ENETUNREACH) {
		snprintf(err, errlen, "connect: no way");
		return -1;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, pair), 0);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = pair[1];
	r->len = 0;
	r->reads = true;
	r->prefixes = r->updates = r->keepalives = 0;
	memset(r->table, 0, sizeof(r->table));
	memset(r->net, 0, sizeof(r->net));
	if (r->error < 0) {		/* never writable: it hangs */
		char junk[4096] = "";

		while (send(pair[0], junk, sizeof(junk), MSG_DONTWAIT) > 0)
			continue;
	}
	connect_error = r->error;
	return pair[0];
}

int
bgp_sock_error(int fd)
{
	(void)fd;
	return connect_error;
}

uint32_t
bgp_sock_own(int fd)
{
	(void)fd;
	return OWN;
}

/* --- names --------------------------------------------------------------- */

struct resolve {
	void (*done)(void *, uint32_t, const char *);
	void *arg;
};
static struct resolve asked;
static char asked_name[64];
static bool nobody_asks;

struct resolve *
resolve_start(const char *name, void (*done)(void *arg, uint32_t addr,
    const char *why), void *arg)
{
	if (nobody_asks) {
		errno = ENOMEM;
		return NULL;
	}
	snprintf(asked_name, sizeof(asked_name), "%s", name);
	asked = (struct resolve){ done, arg };
	return &asked;
}

void
resolve_cancel(struct resolve *r)
{
	r->done = NULL;
}

/* --- time and turns ------------------------------------------------------ */

static void
turns(int n)
{
	while (n-- > 0)
		loop_turn(0);
}

static uint64_t longest;		/* us, of a turn with its timers */

static void
step(uint64_t ms)
{
	uint64_t begin = timer_usec();

	timer_fake(ms);
	turns(1);
	if (timer_usec() - begin > longest)
		longest = timer_usec() - begin;
}

/* Time passes in steps, with a turn for what it brings. */
static void
pass(uint64_t ms)
{
	for (; ms > 100; ms -= 100)
		step(100);
	step(ms);
	step(10);
	turns(2);
}

/* --- what a router says and hears ---------------------------------------- */

static void
say(struct router *r, const void *octets, size_t len)
{
	assert_int_equal(send(r->fd, octets, len, MSG_NOSIGNAL), len);
	turns(2);
}

static void
say_open(struct router *r, const struct bgp_open *o, bool caps)
{
	uint8_t buf[256];
	struct wr w = wr_init(buf, sizeof(buf));

	bgp_open_write(&w, o, caps);
	say(r, buf, wr_done(&w));
}

static void
say_keepalive(struct router *r)
{
	uint8_t buf[BGP_HEADER];
	struct wr w = wr_init(buf, sizeof(buf));

	bgp_keepalive_write(&w);
	say(r, buf, wr_done(&w));
}

static void
say_notification(struct router *r, uint8_t code, uint8_t subcode)
{
	uint8_t buf[64];
	struct wr w = wr_init(buf, sizeof(buf));
	struct bgp_error e = { .code = code, .subcode = subcode };

	bgp_notification_write(&w, &e);
	say(r, buf, wr_done(&w));
}

static void
say_refresh(struct router *r)
{
	static const uint8_t m[] = "\377\377\377\377\377\377\377\377"
	    "\377\377\377\377\377\377\377\377\0\27\5\0\1\0\1";

	say(r, m, sizeof(m) - 1);
}

static void
take_prefixes(struct router *r, struct rd d, bool there)
{
	while (rd_left(&d) > 0) {
		uint8_t len = rd_u8(&d), octets = (uint8_t)((len + 7) / 8);
		uint32_t a = 0;
		bool *at;

		for (int i = 0; i < 4; i++)
			a = a << 8 | (i < octets ? rd_u8(&d) : 0);
		at = len == 32 ? &r->table[(a - IP(10, 0, 0, 0)) % PREFIXES] :
		    &r->net[len];
		r->prefixes += there && !*at;
		r->prefixes -= !there && *at;
		*at = there;
	}
	assert_false(d.bad);
}

static void
take_update(struct router *r, struct rd d)
{
	struct rd gone = rd_sub(&d, rd_u16(&d));
	struct rd path = rd_sub(&d, rd_u16(&d));
	struct bgp_update u;
	struct bgp_error e;

	(void)path;
	assert_true(bgp_update_read(rd_init(gone.p - 2, (size_t)(d.end -
	    gone.p + 2)), true, false, &u, &e));
	assert_null(u.fault);
	take_prefixes(r, gone, false);
	take_prefixes(r, d, true);
	r->updates++;
}

/*
 * The next message that is no UPDATE and no KEEPALIVE; its type, or 0 when
 * there is none.  What the others told is in the router's table.
 */
static int
hear(struct router *r, struct bgp_message *m, uint8_t *copy)
{
	struct bgp_error e;
	ssize_t n;

	for (;;) {
		if (r->reads && r->fd >= 0 && (n = recv(r->fd, r->buf + r->len,
		    sizeof(r->buf) - r->len, MSG_DONTWAIT)) > 0)
			r->len += (size_t)n;
		if (bgp_message_read(r->buf, r->len, m, &e) != BGP_COMPLETE)
			return 0;
		memcpy(copy, r->buf, m->size);
		r->len -= m->size;
		memmove(r->buf, r->buf + m->size, r->len);
		m->body = rd_init(copy + BGP_HEADER, m->size - BGP_HEADER);
		if (m->type == BGP_UPDATE)
			take_update(r, m->body);
		else if (m->type == BGP_KEEPALIVE)
			r->keepalives++;
		else
			return m->type;
	}
}

static void
hear_nothing(struct router *r)
{
	static uint8_t copy[BGP_MAX];
	struct bgp_message m;

	assert_int_equal(hear(r, &m, copy), 0);
}

/* A NOTIFICATION, and then the end of the connection. */
static void
hear_notification(struct router *r, uint8_t code, uint8_t subcode)
{
	static uint8_t copy[BGP_MAX];
	struct bgp_notification n;
	struct bgp_message m;
	char c;

	turns(2);
	if (hear(r, &m, copy) != BGP_NOTIFICATION)
		fail_msg("no NOTIFICATION where %u/%u should be", code,
		    subcode);
	bgp_notification_read(m.body, &n);
	if (n.code != code || n.subcode != subcode)
		fail_msg("NOTIFICATION %u/%u instead of %u/%u", n.code,
		    n.subcode, code, subcode);
	assert_int_equal(recv(r->fd, &c, 1, MSG_DONTWAIT), 0);
}

/* Ours, as it must be. */
static void
hear_open(struct router *r, bool caps)
{
	static uint8_t copy[BGP_MAX];
	struct bgp_message m;
	struct bgp_error e;
	struct bgp_open o;

	turns(3);
	assert_int_equal(hear(r, &m, copy), BGP_OPEN);
	assert_true(bgp_open_read(m.body, &o, &e));
	assert_int_equal(o.as, lns.config.as_number);
	assert_int_equal(o.id, tun_default_address());
	assert_int_equal(o.as4, caps);
	assert_int_equal(o.refresh, caps);
	assert_true(o.ipv4);
}

/* --- the scene ----------------------------------------------------------- */

static const struct bgp_open router_open = { .as = ROUTER_AS, .hold = 90,
    .id = IP(192, 0, 2, 1) };

static struct bgp_row
row(size_t i)
{
	struct bgp_row r;

	assert_true(bgp_row(i, &r));
	return r;
}

static void
set(const char *key, const char *value)
{
	char err[128];

	if (!config_set(&lns.config, key, value, err, sizeof(err)))
		fail_msg("%s", err);
}

static void
router_line(const char *line)
{
	char copy[128], err[128], *words[8];
	const char *reason;
	int n;

	snprintf(copy, sizeof(copy), "%s", line);
	n = config_words(copy, words, 8, &reason);
	if (!config_router(&lns.config, n, words, err, sizeof(err)))
		fail_msg("%s", err);
}

static int
setup(void **state)
{
	(void)state;
	timers_init();
	timer_fake(0);
	assert_true(loop_init());
	log_set_level(LOG_L_CRIT);
	counters_clear();
	config_defaults(&lns.config);
	for (size_t i = 0; i < LEN(routers); i++) {
		memset(&routers[i], 0, sizeof(routers[i]));
		routers[i].fd = -1;
		routers[i].reads = true;
	}
	nobody_asks = false;
	set("as_number", "64512");
	set("bgp_peer1", "192.0.2.1");
	set("bgp_peer1_as", "65001");
	bgp_suspend(false);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	bgp_exit();
	bgp_raise(false);
	for (size_t i = 0; i < LEN(routers); i++)
		if (routers[i].fd >= 0)
			close(routers[i].fd);
	return 0;
}

static void
come_up(struct router *r, const struct bgp_open *o)
{
	hear_open(r, true);
	say_open(r, o, true);
	say_keepalive(r);
	pass(20);
}

/* With router 0 Established. */
static void
begin(void)
{
	bgp_init();
	pass(20);
	come_up(&routers[0], &router_open);
	assert_string_equal(row(0).state, "Established");
	hear_nothing(&routers[0]);
}

/* --- a session ----------------------------------------------------------- */

static void
test_session(void **state)
{
	struct router *r = &routers[0];

	(void)state;
	assert_true(bgp_configured());
	bgp_announce(IP(10, 1, 0, 0), 16);
	bgp_announce(IP(10, 0, 0, 7), 32);
	bgp_raise(true);
	assert_true(bgp_raised());
	bgp_init();
	assert_string_equal(row(0).state, "Idle");
	pass(20);
	assert_string_equal(row(0).state, "OpenSent");
	assert_int_equal(r->asked.addr, IP(192, 0, 2, 1));
	hear_open(r, true);
	say_open(r, &router_open, true);
	assert_string_equal(row(0).state, "OpenConfirm");
	hear_nothing(r);
	assert_int_equal(r->keepalives, 1);
	assert_int_equal(r->updates, 0);
	say_keepalive(r);
	assert_string_equal(row(0).state, "Established");
	pass(20);
	hear_nothing(r);
	assert_int_equal(r->prefixes, 2);
	assert_int_equal(r->updates, 1);
	assert_int_equal(row(0).announced, 2);
	assert_int_equal(row(0).hold, 90);
	assert_int_equal(row(0).keepalive, 30);
	assert_false(row(0).pending);
	assert_int_equal(counters.bgp_established, 1);

	/* Changes of one turn leave together, and what has not changed not. */
	bgp_announce(IP(10, 0, 0, 8), 32);
	bgp_announce(IP(10, 0, 0, 9), 32);
	bgp_withdraw(IP(10, 0, 0, 7), 32);
	bgp_announce(IP(10, 0, 0, 10), 32);
	bgp_withdraw(IP(10, 0, 0, 10), 32);
	pass(20);
	hear_nothing(r);
	assert_int_equal(r->updates, 3);
	assert_int_equal(r->prefixes, 3);
	assert_true(r->table[8] && r->table[9] && !r->table[7]);
	/* Counted. */
	bgp_announce(IP(10, 0, 0, 8), 32);
	bgp_withdraw(IP(10, 0, 0, 8), 32);
	bgp_withdraw(IP(10, 0, 0, 77), 32);
	pass(20);
	hear_nothing(r);
	assert_int_equal(r->updates, 3);
	bgp_withdraw(IP(10, 0, 0, 8), 32);
	bgp_withdraw(IP(10, 0, 0, 8), 32);
	pass(20);
	hear_nothing(r);
	assert_int_equal(r->prefixes, 2);

	/* KEEPALIVEs, within a third of the hold time. */
	r->keepalives = 0;
	for (int i = 0; i < 10; i++) {
		pass(30000);
		say_keepalive(r);
	}
	hear_nothing(r);
	assert_in_range(r->keepalives, 10, 14);
	assert_string_equal(row(0).state, "Established");
}

/* Dropped and raised, suspended and not, always and not, for one and for all. */
static void
test_what_is_announced(void **state)
{
	struct router *r = &routers[0];
	bool all = true, one = true, raised = true;

	(void)state;
	bgp_announce(IP(10, 1, 0, 0), 16);
	bgp_announce_always(IP(10, 0, 0, 7), 32);
	bgp_announce(IP(10, 0, 0, 7), 32);
	bgp_raise(true);
	begin();
	assert_int_equal(r->prefixes, 2);
	for (int i = 0; i < 64; i++) {
		bool told;

		switch (i % 3) {
		case 0: bgp_raise(raised = !raised); break;
		case 1: bgp_suspend(all = i % 2); one = all; break;
		case 2: one = i % 5 < 3;
			assert_true(bgp_suspend_peer("192.0.2.1", one));
			break;
		}
		pass(20);
		hear_nothing(r);
		told = !(i > 0 && (all || one));
		if (i == 0)
			all = one = false;
		assert_int_equal(r->net[16], told && raised);
		assert_int_equal(r->table[7], told);
		assert_int_equal(row(0).suspended, !told);
		assert_int_equal(bgp_suspended(), all);
	}
	assert_false(bgp_suspend_peer("192.0.2.2", true));
	bgp_suspend(false);
	bgp_raise(false);
	bgp_withdraw_always(IP(10, 0, 0, 7), 32);
	pass(20);
	hear_nothing(r);
	assert_int_equal(r->prefixes, 0);
	assert_string_equal(row(0).state, "Established");
}

static void
test_refresh(void **state)
{
	struct router *r = &routers[0];

	(void)state;
	bgp_announce(IP(10, 1, 0, 0), 16);
	bgp_announce(IP(10, 0, 0, 7), 32);
	bgp_raise(true);
	begin();
	assert_int_equal(r->updates, 1);
	r->net[16] = r->table[7] = false;
	r->prefixes = 0;
	bgp_withdraw(IP(10, 1, 0, 0), 16);
	say_refresh(r);
	pass(20);
	hear_nothing(r);
	assert_int_equal(r->prefixes, 1);
	assert_true(r->table[7]);
	pass(100);
	hear_nothing(r);
	assert_int_equal(r->updates, 3);
	assert_int_equal(row(0).announced, 1);
}

/* --- every message in every state ---------------------------------------- */

enum in { IN_OPENSENT, IN_OPENCONFIRM, IN_ESTABLISHED, IN_STATES };

static void
get_to(enum in in)
{
	static const char *const names[IN_STATES] = { "OpenSent",
	    "OpenConfirm", "Established" };
	struct router *r = &routers[0];

	bgp_init();
	pass(20);
	hear_open(r, true);
	if (in >= IN_OPENCONFIRM)
		say_open(r, &router_open, true);
	if (in >= IN_ESTABLISHED)
		say_keepalive(r);
	pass(20);
	hear_nothing(r);
	assert_string_equal(row(0).state, names[in]);
}

#define M	"\377\377\377\377\377\377\377\377" \
		"\377\377\377\377\377\377\377\377"
#define HEAD	BGP_HEADER

/*
 * What comes, and for each state what is answered (code and subcode), or the
 * state that it leads to.
 */
static const struct {
	const char *octets;
	size_t len;
	struct { uint8_t code, subcode; const char *to; } want[IN_STATES];
} cells[] = {
	{ M "\0\35\1\4\375\351\0\132\300\0\2\1\0", 29,
	  { { 0, 0, "OpenConfirm" }, { 5, 2, NULL }, { 5, 3, NULL } } },
	{ M "\0\23\4", 19,
	  { { 5, 1, NULL }, { 0, 0, "Established" },
	    { 0, 0, "Established" } } },
	{ M "\0\27\2\0\0\0\0", 23,
	  { { 5, 1, NULL }, { 5, 2, NULL }, { 0, 0, "Established" } } },
	{ M "\0\27\5\0\1\0\1", 23,
	  { { 5, 1, NULL }, { 5, 2, NULL }, { 0, 0, "Established" } } },
	{ M "\0\27\5\0\2\0\1", 23,
	  { { 5, 1, NULL }, { 5, 2, NULL }, { 0, 0, "Established" } } },
	/* a NOTIFICATION is never answered */
	{ M "\0\25\3\6\2", 21,
	  { { 0, 0, "Idle" }, { 0, 0, "Idle" }, { 0, 0, "Idle" } } },
	{ M "\0\25\3\2\1", 21,
	  { { 0, 0, "Idle" }, { 0, 0, "Idle" }, { 0, 0, "Idle" } } },
	{ M "\0\30\3\6\2\377ab", 24,
	  { { 0, 0, "Idle" }, { 0, 0, "Idle" }, { 0, 0, "Idle" } } },
	/* headers */
	{ "\0" M "\0\23\4", 20,
	  { { 1, 1, NULL }, { 1, 1, NULL }, { 1, 1, NULL } } },
	{ M "\0\22\4", 19,
	  { { 1, 2, NULL }, { 1, 2, NULL }, { 1, 2, NULL } } },
	{ M "\20\1\2", 19,
	  { { 1, 2, NULL }, { 1, 2, NULL }, { 1, 2, NULL } } },
	{ M "\0\24\4\0", 20,
	  { { 1, 2, NULL }, { 1, 2, NULL }, { 1, 2, NULL } } },
	{ M "\0\23\6", 19,
	  { { 1, 3, NULL }, { 1, 3, NULL }, { 1, 3, NULL } } },
	/* OPENs that are wrong; where none may come, that comes first */
	{ M "\0\35\1\3\375\351\0\132\300\0\2\1\0", 29,
	  { { 2, 1, NULL }, { 5, 2, NULL }, { 5, 3, NULL } } },
	{ M "\0\35\1\4\375\352\0\132\300\0\2\1\0", 29,
	  { { 2, 2, NULL }, { 5, 2, NULL }, { 5, 3, NULL } } },
	{ M "\0\35\1\4\375\351\0\132\0\0\0\0\0", 29,
	  { { 2, 3, NULL }, { 5, 2, NULL }, { 5, 3, NULL } } },
	{ M "\0\40\1\4\375\351\0\132\300\0\2\1\3\1\1\0", 32,
	  { { 2, 4, NULL }, { 5, 2, NULL }, { 5, 3, NULL } } },
	{ M "\0\35\1\4\375\351\0\2\300\0\2\1\0", 29,
	  { { 2, 6, NULL }, { 5, 2, NULL }, { 5, 3, NULL } } },
	{ M "\0\45\1\4\375\351\0\132\300\0\2\1\10\2\6\1\4\0\2\0\1", 37,
	  { { 2, 7, NULL }, { 5, 2, NULL }, { 5, 3, NULL } } },
	{ M "\0\35\1\4\375\351\0\132\300\0\2\1\377", 29,
	  { { 2, 0, NULL }, { 5, 2, NULL }, { 5, 3, NULL } } },
	/* UPDATEs that are wrong */
	{ M "\0\27\2\0\1\0\0", 23,
	  { { 5, 1, NULL }, { 5, 2, NULL }, { 3, 1, NULL } } },
	{ M "\0\30\2\0\0\0\0\41", 24,
	  { { 5, 1, NULL }, { 5, 2, NULL }, { 3, 10, NULL } } },
	{ M "\0\32\2\0\0\0\3\100\377\0", 26,
	  { { 5, 1, NULL }, { 5, 2, NULL }, { 3, 2, NULL } } },
	{ M "\0\32\2\0\0\0\3\200\17\0", 26,
	  { { 5, 1, NULL }, { 5, 2, NULL }, { 3, 9, NULL } } },
	{ M "\0\32\2\0\0\0\3\100\1\0", 26,
	  { { 5, 1, NULL }, { 5, 2, NULL }, { 0, 0, "Established" } } },
};

static void
test_cells(void **state)
{
	struct router *r = &routers[0];

	for (size_t i = 0; i < LEN(cells); i++)
		for (enum in in = 0; in < IN_STATES; in++) {
			uint8_t code = cells[i].want[in].code;

			setup(state);
			get_to(in);
			say(r, cells[i].octets, cells[i].len);
			if (code != 0) {
				hear_notification(r, code,
				    cells[i].want[in].subcode);
				assert_string_equal(row(0).state, "Idle");
				assert_int_equal(counters.bgp_errors, 1);
			} else {
				pass(20);
				hear_nothing(r);
				assert_string_equal(row(0).state,
				    cells[i].want[in].to);
			}
			teardown(state);
		}
	setup(state);
}

/* The quote is what was received, and nothing behind it. */
static void
test_quotes(void **state)
{
	static uint8_t copy[BGP_MAX];
	struct router *r = &routers[0];
	struct bgp_message m;

	(void)state;
	get_to(IN_OPENSENT);
	say(r, M "\0\45\1\4\375\351\0\132\300\0\2\1\10\2\6\1\4\0\2\0\1", 37);
	turns(2);
	assert_int_equal(hear(r, &m, copy), BGP_NOTIFICATION);
	assert_int_equal(rd_left(&m.body), 8);
	assert_memory_equal(m.body.p, "\2\7\1\4\0\1\0\1", 8);
}

/* Messages in pieces, and several at once. */
static void
test_pieces(void **state)
{
	struct router *r = &routers[0];
	const char *open = M "\0\35\1\4\375\351\0\132\300\0\2\1\0"
	    M "\0\23\4" M "\0\27\2\0\0\0\0";

	(void)state;
	get_to(IN_OPENSENT);
	for (size_t i = 0; i < 29 + 19 + 23 - 1; i++)
		say(r, open + i, 1);
	assert_string_equal(row(0).state, "Established");
	assert_int_equal(row(0).in, 2);
	say(r, open + 29 + 19 + 22, 1);
	assert_int_equal(row(0).in, 3);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(send(r->fd, open + 29 + 19, 23, MSG_NOSIGNAL),
		    23);
		if (i % 100 == 0)
			turns(2);
	}
	turns(20);
	assert_int_equal(row(0).in, 1003);
	assert_string_equal(row(0).state, "Established");
}

/* --- timers -------------------------------------------------------------- */

static void
test_hold_timer(void **state)
{
	struct router *r = &routers[0];

	(void)state;
	begin();
	pass(89000);
	hear_nothing(r);
	say_keepalive(r);
	pass(89000);
	hear_nothing(r);
	say(r, M "\0\27\2\0\0\0\0", 23);	/* an UPDATE is as good */
	pass(89000);
	hear_nothing(r);
	pass(1000);
	hear_notification(r, BGP_ERR_HOLD, 0);
	assert_string_equal(row(0).state, "Idle");
}

/* A router that never says OPEN has four minutes. */
static void
test_open_hold_timer(void **state)
{
	(void)state;
	get_to(IN_OPENSENT);
	pass(239000);
	hear_nothing(&routers[0]);
	pass(1100);
	hear_notification(&routers[0], BGP_ERR_HOLD, 0);
}

static void
test_no_hold_time(void **state)
{
	struct bgp_open o = router_open;
	struct router *r = &routers[0];

	(void)state;
	o.hold = 0;
	bgp_init();
	pass(20);
	come_up(r, &o);
	hear_nothing(r);
	r->keepalives = 0;
	pass(600000);
	hear_nothing(r);
	assert_int_equal(r->keepalives, 0);
	assert_string_equal(row(0).state, "Established");
	assert_int_equal(row(0).hold, 0);
}

static void
test_lowest_hold_time(void **state)
{
	struct bgp_open o = router_open;

	(void)state;
	set("bgp_hold_time", "12");
	set("bgp_keepalive_time", "2");
	begin();
	assert_int_equal(row(0).hold, 12);
	assert_int_equal(row(0).keepalive, 2);
	bgp_exit();
	o.hold = 3;
	bgp_init();
	pass(20);
	come_up(&routers[0], &o);
	assert_int_equal(row(0).hold, 3);
	assert_int_equal(row(0).keepalive, 1);
}

/* 1, 2, 4 ... 60 s, a little less each (RFC 4271 10). */
static void
test_backoff(void **state)
{
	static const uint64_t want[] = { 1000, 2000, 4000, 8000, 16000, 32000,
	    60000, 60000, 60000 };
	struct router *r = &routers[0];
	uint64_t before;

	(void)state;
	r->error = ECONNREFUSED;
	bgp_init();
	pass(20);
	for (size_t i = 0; i < LEN(want); i++) {
		assert_int_equal(r->connects, i + 1);
		before = r->at;
		assert_string_equal(row(0).state, "Idle");
		assert_string_equal(row(0).last_error, "Connection refused");
		assert_int_equal(row(0).retries, i + 1);
		assert_in_range(row(0).retry_in, want[i] * 3 / 4 - 100,
		    want[i]);
		while (r->connects == i + 1)
			pass(50);
		assert_in_range(r->at - before, want[i] * 3 / 4, want[i] + 300);
	}
	r->error = ENETUNREACH;
	pass(62000);
	assert_string_equal(row(0).last_error, "connect: no way");
	/* A session that lasts for a minute is a new beginning. */
	r->error = 0;
	pass(62000);
	come_up(r, &router_open);
	assert_int_equal(row(0).retries, 0);
	pass(59000);
	say_notification(r, BGP_CEASE, CEASE_RESET);
	assert_in_range(row(0).retry_in, 40000, 60000);
	assert_string_equal(row(0).last_error, "received NOTIFICATION: Cease, "
	    "Administrative Reset");
	assert_int_equal(row(0).flaps, 1);
	pass(62000);
	come_up(r, &router_open);
	pass(61000);
	say_notification(r, BGP_CEASE, CEASE_RESET);
	assert_in_range(row(0).retry_in, 700, 1000);
}

/* Closed before its OPEN: Active, with the ConnectRetryTimer. */
static void
test_closed_early(void **state)
{
	struct router *r = &routers[0];

	(void)state;
	get_to(IN_OPENSENT);
	close(r->fd);
	r->fd = -1;
	turns(2);
	assert_string_equal(row(0).state, "Active");
	assert_string_equal(row(0).last_error, "the peer closed the connection");
	assert_in_range(row(0).retry_in, 700, 1000);
	pass(1100);
	assert_int_equal(r->connects, 2);
	hear_open(r, true);
	assert_string_equal(row(0).state, "OpenSent");
	/* Later it is Idle. */
	say_open(r, &router_open, true);
	close(r->fd);
	r->fd = -1;
	turns(2);
	assert_string_equal(row(0).state, "Idle");
}

/* Nobody answers: another try each 20 s, in Connect. */
static void
test_no_answer(void **state)
{
	struct router *r = &routers[0];

	(void)state;
	r->error = -1;
	set("bgp_peer1_password", "secret");
	bgp_init();
	pass(1000);
	assert_string_equal(row(0).state, "Connect");
	assert_string_equal(r->password, "secret");
	pass(20000);
	assert_string_equal(row(0).state, "Connect");
	assert_int_equal(r->connects, 2);
	assert_non_null(strstr(row(0).last_error, "is it the password?"));
	r->error = 0;
	pass(21000);
	come_up(r, &router_open);
	assert_string_equal(row(0).state, "Established");
}

/* --- what peers can do --------------------------------------------------- */

/* RFC 5492 3: without capabilities, and with them again after that. */
static void
test_old_peer(void **state)
{
	struct router *r = &routers[0];

	(void)state;
	bgp_announce(IP(10, 0, 0, 7), 32);
	bgp_raise(true);
	get_to(IN_OPENSENT);
	say_notification(r, BGP_ERR_OPEN, OPEN_BAD_PARAMETER);
	pass(1100);
	hear_open(r, false);
	say_open(r, &router_open, false);
	say_keepalive(r);
	pass(20);
	assert_string_equal(row(0).state, "Established");
	say_notification(r, BGP_CEASE, CEASE_RESET);
	pass(2500);
	hear_open(r, true);
	say_notification(r, BGP_ERR_OPEN, OPEN_BAD_PARAMETER);
	pass(1100);
	hear_open(r, false);
	say_notification(r, BGP_ERR_OPEN, OPEN_BAD_PARAMETER);
	pass(61000);
	hear_open(r, true);
}

static void
test_as4(void **state)
{
	struct bgp_open o = router_open;
	struct router *r = &routers[0];

	(void)state;
	set("as_number", "4200000000");
	set("bgp_peer1_as", "4200000001");
	bgp_init();
	pass(20);
	hear_open(r, true);
	o.as = 4200000001;
	say_open(r, &o, false);		/* AS_TRANS: nobody knows who it is */
	hear_notification(r, BGP_ERR_OPEN, OPEN_BAD_PEER_AS);
	pass(1100);
	hear_open(r, true);
	say_open(r, &o, true);
	say_keepalive(r);
	assert_string_equal(row(0).state, "Established");
	assert_int_equal(row(0).as, 4200000001);
}

/* AS 0 of a peer is our own; then our id must not be its (RFC 6286). */
static void
test_ibgp(void **state)
{
	struct bgp_open o = router_open;
	struct router *r = &routers[0];

	(void)state;
	set("bgp_peer1_as", "0");
	bgp_init();
	pass(20);
	assert_int_equal(row(0).as, OUR_AS);
	o.as = OUR_AS;
	o.id = tun_default_address();
	hear_open(r, true);
	say_open(r, &o, true);
	hear_notification(r, BGP_ERR_OPEN, OPEN_BAD_ID);
	pass(1100);
	o.id++;
	come_up(r, &o);
	assert_string_equal(row(0).state, "Established");
}

static void
test_names(void **state)
{
	struct router *r = &routers[0];

	(void)state;
	set("bgp_peer1", "core.example.net");
	nobody_asks = true;
	bgp_init();
	pass(20);
	assert_string_equal(row(0).state, "Idle");
	nobody_asks = false;
	pass(1100);
	assert_string_equal(row(0).state, "Connect");
	assert_string_equal(asked_name, "core.example.net");
	assert_int_equal(row(0).addr, 0);
	asked.done(asked.arg, 0, "no such name");
	assert_string_equal(row(0).state, "Idle");
	assert_string_equal(row(0).last_error,
	    "the name has no address: no such name");
	pass(2100);
	asked.done(asked.arg, IP(192, 0, 2, 1), "");
	pass(20);
	come_up(r, &router_open);
	assert_string_equal(row(0).state, "Established");
	assert_int_equal(row(0).addr, IP(192, 0, 2, 1));
	assert_true(bgp_suspend_peer("192.0.2.1", true));
	assert_true(bgp_suspend_peer("core.example.net", false));
	/* It is asked for again, and whoever asks may be told to stop. */
	say_notification(r, BGP_CEASE, CEASE_RESET);
	asked.done = NULL;
	pass(5000);
	assert_non_null(asked.done);
	set("bgp_peer1", "");
	bgp_reconfigure();
	assert_null(asked.done);
}

/* --- several, and changes ------------------------------------------------ */

static void
test_reconfigure(void **state)
{
	struct bgp_open o = router_open;
	unsigned int connects;

	(void)state;
	router_line("neighbour 192.0.2.2 remote-as 65002");
	router_line("neighbour 192.0.2.2 timers 5 15");
	router_line("neighbour 192.0.2.2 update-source 192.0.2.77");
	router_line("neighbour 192.0.2.2 ttl-security");
	router_line("neighbour 192.0.2.1 remote-as 65003");	/* is peer1 */
	bgp_announce(IP(10, 1, 0, 0), 16);
	bgp_raise(true);
	begin();
	o.as = 65002;
	come_up(&routers[1], &o);
	assert_int_equal(row(1).hold, 15);
	assert_int_equal(routers[1].asked.source, IP(192, 0, 2, 77));
	assert_true(routers[1].asked.ttl_security);
	assert_false(routers[0].asked.ttl_security);
	assert_false(bgp_row(2, &(struct bgp_row){ 0 }));
	assert_int_equal(row(0).as, ROUTER_AS);

	/* Nothing new, nobody notices; one more, nobody else does. */
	connects = routers[0].connects + routers[1].connects;
	bgp_reconfigure();
	set("bgp_peer2", "192.0.2.3");
	set("bgp_peer2_as", "65001");
	bgp_reconfigure();
	pass(1500);
	come_up(&routers[2], &router_open);
	assert_string_equal(row(1).name, "192.0.2.3");
	assert_string_equal(row(1).state, "Established");
	hear_nothing(&routers[0]);
	hear_nothing(&routers[1]);
	assert_int_equal(connects, routers[0].connects + routers[1].connects);
	for (int i = 0; i < 3; i++)
		hear_nothing(&routers[i]);
	assert_true(routers[0].net[16] && routers[1].net[16] &&
	    routers[2].net[16]);

	/* Changed, gone. */
	router_line("neighbour 192.0.2.2 timers 6 15");
	set("bgp_peer2", "");
	bgp_reconfigure();
	hear_notification(&routers[1], BGP_CEASE, CEASE_CONFIG_CHANGE);
	hear_notification(&routers[2], BGP_CEASE, CEASE_DECONFIGURED);
	assert_string_equal(row(1).state, "Idle");
	assert_string_equal(row(1).name, "192.0.2.2");
	pass(1500);
	come_up(&routers[1], &o);
	assert_string_equal(row(1).state, "Established");
	/* A suspended one stays so. */
	assert_true(bgp_suspend_peer("192.0.2.2", true));
	set("bgp_keepalive_time", "30");
	bgp_reconfigure();
	hear_notification(&routers[0], BGP_CEASE, CEASE_CONFIG_CHANGE);
	router_line("neighbour 192.0.2.2 password x");
	bgp_reconfigure();
	pass(1500);
	assert_string_equal(routers[1].password, "x");
	come_up(&routers[1], &o);
	hear_nothing(&routers[1]);
	assert_int_equal(routers[1].prefixes, 0);
	/* Another AS of ours is another for all; none is no BGP. */
	set("as_number", "64513");
	bgp_reconfigure();
	hear_notification(&routers[1], BGP_CEASE, CEASE_CONFIG_CHANGE);
	set("as_number", "0");
	bgp_reconfigure();
	assert_false(bgp_row(0, &(struct bgp_row){ 0 }));
	assert_false(bgp_configured());
	assert_false(bgp_restart(NULL));
}

static void
test_restart(void **state)
{
	struct router *r = &routers[0];

	(void)state;
	begin();
	assert_false(bgp_restart("192.0.2.2"));
	assert_string_equal(row(0).state, "Established");
	assert_true(bgp_restart("192.0.2.1"));
	hear_notification(r, BGP_CEASE, CEASE_RESET);
	assert_string_equal(row(0).state, "Idle");
	pass(1500);
	come_up(r, &router_open);
	assert_true(bgp_restart(NULL));
	hear_notification(r, BGP_CEASE, CEASE_RESET);
	assert_true(bgp_restart(NULL));		/* in Idle: it begins */
	pass(1500);
	come_up(r, &router_open);
	assert_string_equal(row(0).state, "Established");
	assert_int_equal(row(0).flaps, 2);
}

static void
test_end(void **state)
{
	struct router *r = &routers[0];

	(void)state;
	bgp_announce(IP(10, 1, 0, 0), 16);
	bgp_announce_always(IP(10, 0, 0, 7), 32);
	begin();
	assert_int_equal(r->prefixes, 1);
	bgp_raise(true);
	pass(20);
	assert_true(bgp_retire());
	/* Nothing brings them back. */
	bgp_raise(false);
	bgp_raise(true);
	bgp_announce(IP(10, 0, 0, 9), 32);
	bgp_suspend(false);
	assert_true(bgp_suspend_peer("192.0.2.1", false));
	bgp_reconfigure();
	pass(20);
	hear_nothing(r);
	assert_int_equal(r->prefixes, 0);
	assert_string_equal(row(0).state, "Established");
	bgp_exit();
	hear_notification(r, BGP_CEASE, CEASE_SHUTDOWN);
	assert_false(bgp_row(0, &(struct bgp_row){ 0 }));
	assert_int_equal(rib_count(), 0);
}

static void
test_end_without_peers(void **state)
{
	(void)state;
	bgp_announce(IP(10, 1, 0, 0), 16);
	bgp_raise(true);
	assert_false(bgp_retire());
	bgp_exit();
	begin();
	assert_false(bgp_retire());
}

/* --- many ---------------------------------------------------------------- */

/* 200,000 at once, to a router that takes its time. */
static void
test_many(void **state)
{
	struct router *r = &routers[0];
	uint64_t sent;

	(void)state;
	bgp_raise(true);
	begin();
	longest = 0;
	for (uint32_t i = 0; i < 200000; i++)
		bgp_announce(IP(10, 0, 0, 0) + i, 32);
	r->reads = false;
	pass(2000);
	sent = row(0).announced;
	assert_in_range(sent, 1000, 199000);	/* buffers are full */
	assert_true(row(0).pending);
	/* Half of them are gone before it reads on. */
	for (uint32_t i = 0; i < 200000; i += 2)
		bgp_withdraw(IP(10, 0, 0, 0) + i, 32);
	r->reads = true;
	for (int i = 0; i < 2000 && (row(0).pending || r->prefixes != 100000);
	    i++) {
		hear_nothing(r);
		pass(10);
	}
	assert_int_equal(r->prefixes, 100000);
	assert_int_equal(row(0).announced, 100000);
	for (uint32_t i = 0; i < 200000; i++)
		assert_int_equal(r->table[i], i % 2);
	assert_in_range(r->updates, 100, 1200);
	print_message("200,000 prefixes: longest turn %u us\n",
	    (unsigned int)longest);
	assert_in_range(longest, 0, 500000);	/* a busy machine */
	/* All gone, and no slot of the table is kept. */
	for (uint32_t i = 1; i < 200000; i += 2)
		bgp_withdraw(IP(10, 0, 0, 0) + i, 32);
	for (int i = 0; i < 200; i++) {
		hear_nothing(r);
		pass(10);
	}
	assert_int_equal(r->prefixes, 0);
	assert_int_equal(rib_count(), 0);
}

/* A router that sends KEEPALIVEs and never reads (RFC 9687). */
static void
test_never_reads(void **state)
{
	struct router *r = &routers[0];

	(void)state;
	bgp_raise(true);
	begin();
	r->reads = false;
	for (uint32_t i = 0; i < 200000; i++)
		bgp_announce(IP(10, 0, 0, 0) + i, 32);
	for (int i = 0; i < 47; i++) {
		pass(10000);
		say_keepalive(r);
	}
	assert_string_equal(row(0).state, "Established");
	pass(20000);
	assert_string_equal(row(0).last_error,
	    "sent NOTIFICATION: Send Hold Timer Expired");
	assert_int_equal(row(0).flaps, 1);
}

/* Whatever happens, in the end the router has what it should. */
static void
test_random(void **state)
{
	static uint8_t count[2][64];
	struct router *r = &routers[0];
	bool raised = false;

	(void)state;
	srandom(4271);
	memset(count, 0, sizeof(count));
	begin();
	for (int i = 0; i < 20000; i++) {
		uint32_t n = (uint32_t)random() % 64, kind = random() & 1;
		uint32_t addr = IP(10, 0, 0, 0) + n;

		switch (random() % 16) {
		case 0:
			bgp_raise(raised = random() & 1);
			break;
		case 1:
			pass(20);
			break;
		case 2:
			say_refresh(r);
			break;
		case 3:
			if (random() % 20 != 0)
				break;
			say_notification(r, BGP_CEASE, CEASE_RESET);
			while (strcmp(row(0).state, "OpenSent") != 0)
				pass(500);
			come_up(r, &router_open);
			break;
		case 4: case 5: case 6: case 7: case 8: case 9:
			if (count[kind][n] == 200)
				break;
			count[kind][n]++;
			(kind ? bgp_announce_always : bgp_announce)(addr, 32);
			break;
		default:
			if (count[kind][n] > 0)
				count[kind][n]--;
			(kind ? bgp_withdraw_always : bgp_withdraw)(addr, 32);
		}
		if (i % 97 != 0)
			continue;
		pass(20);
		say_keepalive(r);
		hear_nothing(r);
		for (n = 0; n < 64; n++)
			assert_int_equal(r->table[n], count[1][n] > 0 ||
			    (raised && count[0][n] > 0));
		assert_int_equal(row(0).announced, r->prefixes);
	}
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_session),
		TEST(test_what_is_announced),
		TEST(test_refresh),
		TEST(test_cells),
		TEST(test_quotes),
		TEST(test_pieces),
		TEST(test_hold_timer),
		TEST(test_open_hold_timer),
		TEST(test_no_hold_time),
		TEST(test_lowest_hold_time),
		TEST(test_backoff),
		TEST(test_closed_early),
		TEST(test_no_answer),
		TEST(test_old_peer),
		TEST(test_as4),
		TEST(test_ibgp),
		TEST(test_names),
		TEST(test_reconfigure),
		TEST(test_restart),
		TEST(test_many),
		TEST(test_never_reads),
		TEST(test_random),
		TEST(test_end_without_peers),
		TEST(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
