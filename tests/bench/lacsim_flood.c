/*
 * lacsim_flood.c - hostile traffic, to see that others do not notice it
 *
 * --flood needs no tunnel: SCCRQs from random addresses of --source, noise,
 * or data and control messages for tunnels that are not there.  Answers are
 * counted, and so the amplification shows.  --pester misuses a tunnel or a
 * session that is up, during the hold: calls without end, LCP requests without
 * end, echoes without end.
 *
 * Owns:     nothing.
 * Calls:    net_*(), call_pester(), ppp_pester().
 * Lifetime: --flood is a run of its own; --pester is called each turn.
 */
#include "lacsim.h"

#include <signal.h>
#include <string.h>
#include <time.h>

static volatile sig_atomic_t over;
static uint64_t sent;

static void
on_signal(int sig)
{
	(void)sig;
	over = 1;
}

static void
flood_avp(struct out *o, uint16_t type, const void *v, size_t n)
{
	out_u16(o, (uint16_t)(0x8000 | (n + 6)));
	out_u16(o, 0);
	out_u16(o, type);
	out_bytes(o, v, n);
}

/* Faultless (RFC 2661 6.1), so that only its number can be held against it. */
static size_t
flood_sccrq(uint8_t *p)
{
	struct out o = out_open(p, 256);
	uint8_t tid[2];

	put16(tid, (uint16_t)(rng_u64(&L.rng) | 1));
	out_u16(&o, 0xc802);
	out_u16(&o, 0);
	out_u32(&o, 0);
	out_u32(&o, 0);
	flood_avp(&o, 0, "\0\1", 2);
	flood_avp(&o, 2, "\1\0", 2);
	flood_avp(&o, 3, "\0\0\0\3", 4);
	flood_avp(&o, 7, "flood", 5);
	flood_avp(&o, 9, tid, 2);
	put16(p + 2, (uint16_t)o.n);
	return o.n;
}

static size_t
flood_noise(uint8_t *p)
{
	size_t n = 1 + rng_below(&L.rng, 200);

	rng_fill(&L.rng, p, n);
	return n;
}

/* Well-formed, for ids that nobody gave out; every eighth is control. */
static size_t
flood_unknown(uint8_t *p)
{
	size_t n = 60;

	memset(p, 0, n);
	if (rng_below(&L.rng, 8)) {
		put16(p, 2);
		put32(p + 2, (uint32_t)rng_u64(&L.rng));
		put32(p + 6, 0xff030021);
	} else {
		n = flood_sccrq(p);
		put32(p + 4, (uint32_t)rng_u64(&L.rng) | 0x10000);
	}
	return n;
}

static size_t
flood_packet(uint8_t *p, enum flood what)
{
	return what == FLOOD_SCCRQ ? flood_sccrq(p) :
	    what == FLOOD_NOISE ? flood_noise(p) : flood_unknown(p);
}

static void
flood_report(double seconds)
{
	char tmp[4096];
	const char *path = L.o.json ? L.o.json : "-";
	struct json j = { 0 };
	uint64_t in = L.c.ctl_bytes_rx, out = L.c.ctl_bytes_tx;

	if (!(j.f = file_begin(path, tmp, sizeof(tmp))))
		return;
	json_open(&j, NULL);
	json_str(&j, "tool", "lacsim --flood");
	json_u64(&j, "sent", sent);
	json_num(&j, "seconds", seconds);
	json_num(&j, "pps", (double)sent / seconds);
	json_u64(&j, "bytes_sent", out);
	json_u64(&j, "answers", L.c.ctl_rx);
	json_u64(&j, "answer_bytes", in);
	json_num(&j, "amplification", out ? (double)in / (double)out : 0);
	json_close(&j);
	file_commit(j.f, path, tmp);
}

/* Waits for late answers too: what is sent again counts. */
static void
flood_drain(uint64_t until)
{
	while (!over && (L.now = now_ns()) < until) {
		struct timespec ts = { 0, 1000000 };

		if (!net_read())
			nanosleep(&ts, NULL);
	}
}

int
flood_run(enum flood what)
{
	struct tunnel t = { 0 };
	struct sigaction sa = { .sa_handler = on_signal };
	uint64_t began, last;
	double credit = 0, pps = L.o.pps > 0 ? L.o.pps : 1e7;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	L.rng.s = L.o.seed;
	net_open();
	l2tp_init();
	began = last = L.now = now_ns();
	while (!over && L.now - began < (uint64_t)(L.o.seconds * 1e9)) {
		credit += (double)(L.now - last) / 1e9 * pps;
		if (credit > pps / 100 + 1)
			credit = pps / 100 + 1;
		last = L.now;
		for (int i = 0; credit >= 1 && i < 256; credit--, i++) {
			size_t n;

			t.peer = L.o.lns[sent % L.o.lns_count];
			if (L.o.source_count)
				t.src = L.o.source +
				    rng_below(&L.rng, L.o.source_count);
			n = flood_packet(net_reserve(&t, NET_CONTROL, 256),
			    what);
			net_commit(n);
			L.c.ctl_bytes_tx += n + 28;
			sent++;
		}
		net_flush();
		net_read();
		L.now = now_ns();
	}
	last = L.now;
	flood_drain(L.now + (uint64_t)(L.o.hold * 1e9));
	flood_report((double)(last - began) / 1e9);
	return 0;
}

/* ---- from inside ---- */

void
pester_turn(void)
{
	static double credit;
	static uint64_t last;
	double pps = L.o.pps > 0 ? L.o.pps : 1e5;

	if (L.o.pester == PESTER_NONE || L.run != RUN_HOLD)
		return;
	if (last)
		credit += (double)(L.now - last) / 1e9 * pps;
	last = L.now;
	if (credit > pps / 100 + 1)
		credit = pps / 100 + 1;
	for (; credit >= 1; credit--) {
		if (L.o.pester == PESTER_ICRQ)
			L.c.pester += call_pester(&L.tunnel[0]);
		else
			L.c.pester += ppp_pester(&L.session[0],
			    L.o.pester == PESTER_ECHO);
	}
}
