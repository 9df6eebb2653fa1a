/*
 * fuzz_cluster.c - what comes to a member of a cluster, with and without the
 * secret
 *
 * The input is a script of a few operations for one member, which plays with
 * others that do whatever the input says.  Some know the secret and have
 * answered our challenge: what they say gets as far as anything can.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "cluster_fakes.h"
#include "cluster_link.h"
#include "cluster_wire.h"
#include "l2tpns.h"
#include "wire.h"

#define SECRET	"fuzz"
#define CLUSTER	0x0a630101
#define OURS	0x0a580001

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct cw_head last;		/* what the member has sent last */
static uint64_t challenge;
static uint64_t number;
static uint8_t buf[CW_DATAGRAM_MAX];

static void
want(bool ok)
{
	if (!ok)
		abort();
}

/* All that it sends must be what members can read. */
static bool
listen_in(uint32_t to, const void *p, size_t n)
{
	struct cw_state s;
	struct rd body, value;
	uint16_t type;

	want(cw_open(p, n, SECRET, &last, &body) == CW_OK);
	want(last.from == OURS && last.cluster == CLUSTER);
	want(last.to == to || last.to == 0);	/* a copy for one who is deaf */
	while (cw_next(&body, &type, &value))
		if (type == CW_F_STATE) {
			want(cw_get_state(&value, &s));
			challenge = s.challenge;
		}
	want(rd_done(&body));
	return true;
}

static void
begin(void)
{
	static bool known;

	if (known)
		cluster_exit();
	known = true;
	fake_reset();
	fake_now = 1000000;
	fake_address = OURS;
	fake_send = listen_in;
	lns.config.bind_address = CLUSTER;
	lns.config.cluster_address = 0xefc00d0d;
	strcpy(lns.config.cluster_interface, "eth0");
	strcpy(lns.config.cluster_secret, SECRET);
	lns.config.cluster_hb_interval = 5;
	lns.config.cluster_hb_timeout = 20;
	lns.config.cluster_master_min_adv = 1;
	lns.config.cluster_start_wait = 15;
	number = 0;
	cluster_init();
	fake_turn();
}

/* A member of the address that the input chose, with an epoch like it. */
static struct wr
say(uint8_t kind, uint8_t who)
{
	struct cw_head h = { .kind = kind, .cluster = CLUSTER,
	    .from = OURS + 1 + who % 8, .epoch = 1 + who % 16,
	    .number = ++number, .to = who & 0x80 ? OURS : 0 };
	struct wr w = wr_init(buf, sizeof(buf));

	cw_begin(&w, &h);
	return w;
}

static void
hear(struct wr *w, uint8_t who)
{
	size_t n = cw_seal(w, SECRET);

	if (n == 0)
		return;
	link_input(OURS + 1 + who % 8, (who & 0x80) == 0, buf, n);
	link_idle();
}

/* A ping or heartbeat that proves its sender, as the input says otherwise. */
static void
proven(struct rd *r, bool master)
{
	struct cw_member us = { OURS, last.epoch, challenge };
	uint8_t who = rd_u8(r);
	struct cw_state s = {
		.flags = rd_u8(r), .interval = 5, .timeout = rd_u8(r),
		.uptime = (uint64_t)rd_u8(r) * 1000, .changes = rd_u16(r),
		.master = OURS + rd_u8(r) % 8, .master_age = rd_u8(r),
		.reign = rd_u8(r) % 4, .next = rd_u16(r),
		.oldest = rd_u16(r), .challenge = who
	};
	struct wr w = say(master ? CW_HEARTBEAT : CW_PING, who);

	cw_put_state(&w, &s);
	cw_put_members(&w, &us, 1);
	hear(&w, who);
}

/* Any fields, signed. */
static void
fields(struct rd *r)
{
	uint8_t kind = rd_u8(r), who = rd_u8(r);
	size_t n = rd_u16(r) % 2048;
	struct wr w = say(kind, who);

	if (n > rd_left(r))
		n = rd_left(r);
	wr_bytes(&w, rd_bytes(r, n), n);
	hear(&w, who);
}

/* Part of the stream, more or less in order. */
static void
stream(struct rd *r)
{
	uint8_t who = rd_u8(r);
	struct cw_stream s = { .reign = rd_u8(r) % 4, .seq = rd_u16(r),
	    .changes = rd_u16(r) };
	size_t n = rd_u8(r);
	struct wr w = say(CW_STREAM, who);

	cw_put_stream(&w, &s);
	if (n > rd_left(r))
		n = rd_left(r);
	wr_bytes(&w, rd_bytes(r, n), n);
	hear(&w, who);
}

/* Without the secret, from anybody. */
static void
raw(struct rd *r)
{
	uint32_t from = OURS + rd_u8(r);
	size_t n = rd_u16(r);
	const uint8_t *p;

	if (n > rd_left(r))
		n = rd_left(r);
	p = rd_bytes(r, n);
	if (p != NULL)
		link_input(from, true, p, n);
}

static void
time_passes(uint8_t steps)
{
	for (; steps > 0; steps--) {
		fake_now += 50;
		fake_turn();
	}
}

static void
one(struct rd *r)
{
	switch (rd_u8(r) % 9) {
	case 0: time_passes(rd_u8(r) % 64); break;
	case 1: raw(r); break;
	case 2: fields(r); break;
	case 3: proven(r, false); break;
	case 4: proven(r, true); break;
	case 5: stream(r); break;
	case 6: fake_change(rd_u8(r) % 8 == 0); break;
	case 7:
		fake_now += (uint64_t)rd_u8(r) * 100;	/* stopped */
		fake_turn();
		break;
	case 8:
		if (rd_u8(r) == 0x5a)
			(void)cluster_leave();
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	struct cluster_status s;
	struct cluster_row row;
	uint32_t n;

	begin();
	for (int i = 0; i < 200 && rd_left(&r) > 0; i++) {
		one(&r);
		cluster_status(&s);
		want(lns.master == (s.role == CLUSTER_MASTER));
		want(s.role != CLUSTER_OFF && s.peers <= CW_MEMBERS_MAX);
		for (n = 0; cluster_row(n, &row); n++)
			want(row.addr != 0 && row.addr != OURS);
		want(n == s.peers);
	}
	return 0;
}
