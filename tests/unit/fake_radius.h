/*
 * fake_radius.h - a RADIUS server on loopback, inside the test's own process
 *
 * The client's sockets are real and so are the server's; time is fake.  The
 * server does nothing by itself: a test reads what was asked and answers as
 * it likes, rightly or wrongly.
 */
#ifndef FAKE_RADIUS_H
#define FAKE_RADIUS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "counters.h"
#include "digest.h"
#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "plugins.h"
#include "radius.h"
#include "radius_attr.h"
#include "radius_port.h"
#include "table.h"
#include "timer.h"

#define FAKE_SECRET	"the secret"
#define LOOPBACK(n)	(0x7f000000u + (n))

struct l2tpns lns;

/* Without plugins. */
void
plugins_radius_account(const struct session *s, int type, struct wr *w)
{
	(void)s, (void)type, (void)w;
}

void
auth_answered(struct session *s, const struct auth_request *ask,
    struct auth_result *res)
{
	assert_non_null(ask);
	session_auth_done(s, res);
}

/* One server: two ports next to each other. */
struct fake {
	uint32_t addr;
	uint16_t port;
	int auth, acct;			/* descriptors, -1: closed */
};

/* What a server was asked. */
struct asked {
	uint8_t buf[4097];
	size_t len;
	struct sockaddr_in from;
	int fd;
};

static inline int
fake_bind(uint32_t addr, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(addr), .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int big = 4 << 20;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline void
fake_open(struct fake *f, uint32_t addr)
{
	f->addr = addr;
	for (;;) {
		f->port = (uint16_t)(20000 + digest_random_u32() % 10000);
		f->auth = fake_bind(addr, f->port);
		f->acct = fake_bind(addr, (uint16_t)(f->port + 1));
		if (f->auth >= 0 && f->acct >= 0)
			return;
		if (f->auth >= 0)
			close(f->auth);
		if (f->acct >= 0)
			close(f->acct);
	}
}

static inline void
fake_close(struct fake *f)
{
	if (f->auth >= 0)
		close(f->auth);
	if (f->acct >= 0)
		close(f->acct);
	f->auth = f->acct = -1;
}

/* The same server, back on its ports. */
static inline void
fake_reopen(struct fake *f)
{
	f->auth = fake_bind(f->addr, f->port);
	f->acct = fake_bind(f->addr, (uint16_t)(f->port + 1));
	assert_true(f->auth >= 0 && f->acct >= 0);
}

/* The next request that lies in the socket. */
static inline bool
fake_read(int fd, struct asked *a)
{
	socklen_t len = sizeof(a->from);
	ssize_t n = recvfrom(fd, a->buf, sizeof(a->buf), 0,
	    (struct sockaddr *)&a->from, &len);

	if (n < 0)
		return false;
	a->len = (size_t)n;
	a->fd = fd;
	return true;
}

/* Throws away what lies there; how much that was. */
static inline int
fake_drain(int fd)
{
	struct asked a;
	int n = 0;

	while (fake_read(fd, &a))
		n++;
	return n;
}

/* The value of the nth attribute of that type, or NULL. */
static inline const uint8_t *
asked_attr(const struct asked *a, uint8_t type, int nth, size_t *len)
{
	size_t at = RADIUS_HEADER;

	assert_true(a->len >= RADIUS_HEADER && a->len <= RADIUS_PACKET_MAX);
	assert_int_equal(a->buf[2] << 8 | a->buf[3], a->len);
	while (at < a->len) {
		assert_true(at + 2 <= a->len && a->buf[at + 1] >= 2 &&
		    at + a->buf[at + 1] <= a->len);
		if (a->buf[at] == type && nth-- == 0) {
			*len = (size_t)a->buf[at + 1] - 2;
			return a->buf + at + 2;
		}
		at += a->buf[at + 1];
	}
	return NULL;
}

static inline bool
asked_has(const struct asked *a, uint8_t type)
{
	size_t len;

	return asked_attr(a, type, 0, &len) != NULL;
}

static inline uint32_t
asked_u32(const struct asked *a, uint8_t type)
{
	size_t len;
	const uint8_t *v = asked_attr(a, type, 0, &len);

	assert_non_null(v);
	assert_int_equal(len, 4);
	return (uint32_t)v[0] << 24 | (uint32_t)v[1] << 16 |
	    (uint32_t)v[2] << 8 | v[3];
}

/* A text attribute, in a static buffer; "" when it is not there. */
static inline const char *
asked_text(const struct asked *a, uint8_t type, int nth)
{
	static char text[256];
	size_t len = 0;
	const uint8_t *v = asked_attr(a, type, nth, &len);

	if (v != NULL)
		memcpy(text, v, len);
	text[len] = '\0';
	return text;
}

/* How an answer is to be wrong. */
enum lie {
	NO_LIE = 0,
	LIE_SECRET = 1,		/* signed with another secret */
	LIE_ID = 2,		/* for another id */
	LIE_MA = 4,		/* with a Message-Authenticator that is wrong */
	WITH_MA = 8		/* with one that is right */
};

/* Builds an answer; attrs are encoded attributes. */
static inline size_t
fake_build(uint8_t *out, const struct asked *a, uint8_t code,
    const void *attrs, size_t len, int lies)
{
	const char *secret = lies & LIE_SECRET ? "another" : FAKE_SECRET;
	uint8_t sum[16];
	size_t n = RADIUS_HEADER, ma = 0;

	out[0] = code;
	out[1] = (uint8_t)(a->buf[1] + (lies & LIE_ID ? 1 : 0));
	memcpy(out + 4, a->buf + 4, 16);
	if (lies & (LIE_MA | WITH_MA)) {
		ma = n + 2;
		out[n] = ATTR_MESSAGE_AUTHENTICATOR;
		out[n + 1] = 18;
		memset(out + ma, 0, 16);
		n += 18;
	}
	memcpy(out + n, attrs, len);
	n += len;
	out[2] = (uint8_t)(n >> 8);
	out[3] = (uint8_t)n;
	if (ma != 0) {
		const struct digest_part whole = { out, n };

		digest_hmac_md5(sum, secret, strlen(secret), &whole, 1);
		if (lies & LIE_MA)
			sum[3] ^= 1;
		memcpy(out + ma, sum, 16);
	}
	const struct digest_part part[] = {
		{ out, n }, { secret, strlen(secret) }
	};
	digest_md5(sum, part, 2);
	memcpy(out + 4, sum, 16);
	return n;
}

static inline void
fake_send(const struct asked *a, int fd, const void *buf, size_t len)
{
	assert_int_equal(sendto(fd, buf, len, 0,
	    (const struct sockaddr *)&a->from, sizeof(a->from)), len);
}

static inline void
fake_answer(const struct asked *a, uint8_t code, int lies)
{
	uint8_t out[RADIUS_PACKET_MAX];
	size_t n = fake_build(out, a, code, "", 0, lies);

	fake_send(a, a->fd, out, n);
}

/* RFC 2866 3. */
static inline bool
asked_accounting_ok(const struct asked *a)
{
	static const uint8_t zero[16];
	uint8_t sum[16];
	const struct digest_part part[] = {
		{ a->buf, 4 }, { zero, 16 },
		{ a->buf + RADIUS_HEADER, a->len - RADIUS_HEADER },
		{ FAKE_SECRET, strlen(FAKE_SECRET) }
	};

	digest_md5(sum, part, 4);
	return a->buf[0] == RADIUS_ACCOUNTING_REQUEST &&
	    memcmp(sum, a->buf + 4, 16) == 0;
}

/* Lets the loop serve what has arrived. */
static inline void
turn(void)
{
	int i;

	for (i = 0; i < 3; i++)
		loop_turn(0);
}

/* Lets time pass, in steps in which answers could arrive. */
static inline void
pass(uint64_t ms)
{
	turn();
	while (ms > 0) {
		uint64_t step = ms < 100 ? ms : 100;

		timer_fake(step);
		turn();
		ms -= step;
	}
}

/* Of the allocations that follow, this one fails (1: the next; 0: none). */
static int fail_alloc;

static inline bool
alloc_fails(void)
{
	return fail_alloc > 0 && --fail_alloc == 0;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *
__wrap_malloc(size_t n)
{
	return alloc_fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return alloc_fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return alloc_fails() ? NULL : __real_realloc(p, n);
}

static inline int
open_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* --- the stage that every test of the client stands on ------------------- */

static struct fake one, two;
static int fds_before;

/* Makes the first so many of the two servers known to the client. */
static inline void
configure(int servers)
{
	lns.config.primary_radius = servers > 0 ? one.addr : 0;
	lns.config.primary_radius_port = one.port;
	lns.config.secondary_radius = servers > 1 ? two.addr : 0;
	lns.config.secondary_radius_port = two.port;
	radius_reconfigure();
}

static inline void
stage_begin(uint32_t sessions)
{
	char err[100];

	memset(&lns, 0, sizeof(lns));
	counters_clear();
	fail_alloc = 0;
	timers_init();
	timer_fake(0);
	log_set_level(-1);
	fds_before = open_fds();
	fake_open(&one, LOOPBACK(1));
	fake_open(&two, LOOPBACK(2));
	assert_true(table_init(sessions, 10));
	lns.local_addr = 0x0a0b0c0d;
	lns.start = timer_wall();
	strcpy(lns.hostname, "lns.example");
	strcpy(lns.config.radius_secret, FAKE_SECRET);
	lns.config.radius_max_outstanding = 16384;
	assert_true(radius_init(err, sizeof(err)));
}

static inline int
stage_end(void **state)
{
	(void)state;
	radius_exit();
	assert_int_equal(radius_outstanding(), 0);
	assert_int_equal(radius_ports_open(), 0);
	table_free();
	fake_close(&one);
	fake_close(&two);
	assert_int_equal(open_fds(), fds_before);
	return 0;
}

#endif
