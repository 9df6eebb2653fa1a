/*
 * fuzz_bgp.c - what a BGP router may send, through the whole of its path
 *
 * The first octet says how the input is used: to the parsers directly, or to
 * a peer through a socket, in pieces, from a state that it says too, while
 * prefixes come and go.  Whatever came, the peer lives on, what it sends is
 * messages, and its view of the table fits what it sent.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bgp.h"
#include "bgp_rib.h"
#include "bgp_sock.h"
#include "bgp_wire.h"
#include "config.h"
#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "resolve.h"
#include "timer.h"
#include "tun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct l2tpns lns;

static int router = -1;			/* its end of the connection */
static bool told[32];			/* 10.0.0.N */

static void
want(bool ok)
{
	if (!ok)
		abort();
}

/* --- the world of the peer ----------------------------------------------- */

uint32_t tun_default_address(void) { return 0xc0000264; }

struct resolve *
resolve_start(const char *name, void (*done)(void *arg, uint32_t addr,
    const char *why), void *arg)
{
	(void)name, (void)done, (void)arg;
	return NULL;
}

void resolve_cancel(struct resolve *r) { (void)r; }

int
bgp_sock_connect(const struct bgp_sock *s, char *err, size_t errlen)
{
	int pair[2];

	(void)s, (void)err, (void)errlen;
	want(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	if (router >= 0)
		close(router);
	router = pair[1];
	memset(told, 0, sizeof(told));
	return pair[0];
}

int bgp_sock_error(int fd) { (void)fd; return 0; }
uint32_t bgp_sock_own(int fd) { (void)fd; return 0xc0000209; }

/* --- what it sends ------------------------------------------------------- */

static void
take_prefixes(struct rd d, bool there)
{
	while (rd_left(&d) > 0) {
		want(rd_u8(&d) == 32);
		told[rd_u32(&d) % 32] = there;
	}
	want(!d.bad);
}

static void
take_update(struct rd d)
{
	struct rd gone = rd_sub(&d, rd_u16(&d));
	struct bgp_update u;
	struct bgp_error e;

	want(bgp_update_read(rd_init(gone.p - 2, (size_t)(d.end - gone.p + 2)),
	    true, false, &u, &e) || !gone.bad);
	(void)rd_sub(&d, rd_u16(&d));
	take_prefixes(gone, false);
	take_prefixes(d, true);
}

/* Whole messages of ours, whatever it was that we answer. */
static void
listen_to_it(void)
{
	static uint8_t buf[1 << 18];
	ssize_t n = router < 0 ? 0 : recv(router, buf, sizeof(buf), 0);
	struct bgp_message m;
	struct bgp_error e;

	for (size_t at = 0; n > 0 && at < (size_t)n; at += m.size) {
		want(bgp_message_read(buf + at, (size_t)n - at, &m, &e) ==
		    BGP_COMPLETE);
		if (m.type == BGP_UPDATE)
			take_update(m.body);
	}
}

/* --- through a socket ---------------------------------------------------- */

static void
tell(const void *octets, size_t len)
{
	if (router >= 0 && len > 0)
		(void)!send(router, octets, len, MSG_NOSIGNAL);
	loop_turn(0);
}

/* To OpenSent, OpenConfirm or Established. */
static void
come_up(unsigned int how_far)
{
	static const struct bgp_open o = { .as = 65001, .hold = 90, .id = 1 };
	uint8_t buf[128];
	struct wr w = wr_init(buf, sizeof(buf));

	if (how_far > 0)
		bgp_open_write(&w, &o, true);
	if (how_far > 1)
		bgp_keepalive_write(&w);
	tell(buf, wr_done(&w));
}

static void
pass(uint64_t ms)
{
	timer_fake(ms);
	loop_turn(0);
	loop_turn(0);
}

static void
check_view(void)
{
	struct bgp_row row;

	want(bgp_row(0, &row));
	if (strcmp(row.state, "Established") != 0)
		return;
	for (int i = 0; i < 20 && row.pending; i++) {
		pass(10);
		want(bgp_row(0, &row));
	}
	listen_to_it();
	if (strcmp(row.state, "Established") != 0)
		return;
	for (uint32_t i = 0; i < 32; i++)
		want(told[i] == (i % 3 == 0));
}

static void
try_peer(uint8_t how, const uint8_t *data, size_t len)
{
	size_t piece = how & 0x40 ? 7 : 600;

	timers_init();
	timer_fake(0);
	want(loop_init());
	for (uint32_t i = 0; i < 32; i += 3)
		bgp_announce(0x0a000000 + i, 32);
	bgp_raise(true);
	bgp_init();
	pass(20);
	loop_turn(0);
	come_up(how >> 4 & 3);
	while (len > 0) {
		size_t n = len < piece ? len : piece;

		tell(data, n);
		bgp_announce(0x0a000001, 32);
		pass(10);
		bgp_withdraw(0x0a000001, 32);
		listen_to_it();
		data += n;
		len -= n;
	}
	pass(20);
	check_view();
	bgp_exit();
	bgp_raise(false);
}

/* --- the parsers alone --------------------------------------------------- */

static void
try_parsers(const uint8_t *data, size_t len)
{
	struct bgp_message m;
	struct bgp_notification n;
	struct bgp_update u;
	struct bgp_error e = { 0 };
	struct bgp_open o;
	char name[128];
	struct rd body = rd_init(data, len);

	if (bgp_message_read(data, len, &m, &e) == BGP_COMPLETE)
		body = m.body;
	if (!bgp_open_read(body, &o, &e) ||
	    !bgp_update_read(body, true, true, &u, &e) ||
	    !bgp_update_read(body, false, false, &u, &e))
		/* Quotes are of the input, or constant and short. */
		want(e.data == NULL || e.len <= 2 ||
		    (e.data >= data && e.data + e.len <= data + len));
	bgp_notification_read(body, &n);
	want(n.text_len == 0 || (n.text >= data &&
	    n.text + n.text_len <= data + len));
	(void)bgp_error_name(n.code, n.subcode, name, sizeof(name));
	(void)bgp_refresh_read(body);
}

static void
prepare(void)
{
	char err[128];

	if (lns.config.as_number != 0)
		return;
	log_set_level(LOG_L_CRIT);
	config_defaults(&lns.config);
	want(config_set(&lns.config, "as_number", "64512", err, sizeof(err)));
	want(config_set(&lns.config, "bgp_peer1", "192.0.2.1", err,
	    sizeof(err)));
	want(config_set(&lns.config, "bgp_peer1_as", "65001", err,
	    sizeof(err)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	prepare();
	if ((data[0] & 0x80) != 0)
		try_parsers(data + 1, len - 1);
	else
		try_peer(data[0], data + 1, len - 1);
	return 0;
}
