/*
 * lacsim_ip.c - the subscriber's packets: probes and blasts
 *
 * A probe is a UDP packet of the subscriber's to a reflector; it comes back
 * with its number, its time and a pattern, all of which are checked, as are
 * the checksums.  A blast is many of them one way: up to a sink, from
 * sessions drawn at random, or down from "lacsim --blast-from".
 *
 * Owns:     struct flow.
 * Calls:    frame_begin()/frame_end(), tun_write() for everything else.
 * Lifetime: flows live as long as the program; their timer while up.
 */
#include "lacsim.h"

#include <math.h>
#include <sched.h>
#include <string.h>

#define HEADERS		28	/* IPv4 and UDP */
#define PATTERN		0x5a

static struct {
	uint64_t began, ended;	/* of the blast up */
	double credit;
	uint64_t last;
	uint8_t packet[1500];	/* all but what changes */
	uint32_t ip_sum, udp_sum;
	uint32_t run;
} blast;

static bool
wants_flows(void)
{
	return L.o.probe_port || L.o.blast_up || L.o.blast_down;
}

static void
ip_header(uint8_t *p, size_t size, uint32_t src, uint32_t dst, uint16_t id)
{
	memset(p, 0, 20);
	p[0] = 0x45;
	put16(p + 2, (uint16_t)size);
	put16(p + 4, id);
	p[8] = 64;
	p[9] = IPPROTO_UDP;
	put32(p + 12, src);
	put32(p + 16, dst);
}

static void
udp_header(uint8_t *p, size_t n, uint16_t sport, uint16_t dport)
{
	put16(p, sport);
	put16(p + 2, dport);
	put16(p + 4, (uint16_t)n);
	put16(p + 6, 0);
}

/* RFC 768: the pseudo header and all of the datagram. */
static uint32_t
udp_sum(const uint8_t *ip, size_t udp_len)
{
	uint32_t sum = IPPROTO_UDP + (uint32_t)udp_len;

	sum = sum16(sum, ip + 12, 8);
	return sum16(sum, ip + 20, udp_len);
}

static uint16_t
udp_check(uint32_t sum)
{
	uint16_t c = sum_done(sum);

	return c ? c : 0xffff;
}

/* ---- probes ---- */

static uint8_t
pattern(uint32_t session, uint32_t seq, size_t i)
{
	return (uint8_t)(session * 7 + seq * 31 + i);
}

static void
probe_send(struct session *s)
{
	struct flow *f = s->flow;
	size_t size = L.o.probe_size;
	uint8_t *p = frame_begin(s, PPP_IP, size);
	struct out o = out_open(p + HEADERS, size - HEADERS);
	uint32_t seq = f->next_seq++;
	size_t left;
	uint8_t *fill;

	ip_header(p, size, s->ip, L.o.probe_ip, ++f->ip_id);
	put16(p + 10, sum_done(sum16(0, p, 20)));
	udp_header(p + 20, size - 20, PROBE_SPORT, L.o.probe_port);
	out_u32(&o, PROBE_MAGIC);
	out_u32(&o, s->idx);
	out_u32(&o, seq);
	out_u64(&o, now_ns());
	left = o.cap - o.n;
	fill = out_room(&o, left);
	for (size_t i = 0; i < left; i++)
		fill[i] = pattern(s->idx, seq, i);
	put16(p + 26, udp_check(udp_sum(p, size - 20)));
	frame_end(size);
	f->tx++;
	L.c.probe_tx++;
}

static void
probe_due(struct timer *t)
{
	struct flow *f = container_of(t, struct flow, timer);
	struct session *s = &L.session[f - L.flow];

	if (s->state != S_UP || L.run >= RUN_DRAIN)
		return;
	probe_send(s);
	timer_set(&L.wheel, t, L.now + (uint64_t)(L.o.probe_interval * 1e6));
}

/* Which of the last 256 were there: new, seen before, or late. */
static void
probe_seen(struct flow *f, uint32_t seq)
{
	uint32_t *w = &f->window[seq / 32 % 8], bit = 1u << seq % 32;

	if (seq >= f->high) {
		uint32_t n = seq - f->high;

		for (uint32_t i = 0; i <= n && i < 256; i++) {
			uint32_t q = seq - i;

			f->window[q / 32 % 8] &= ~(1u << q % 32);
		}
		f->high = seq + 1;
	} else if (f->high - seq > 256 || *w & bit) {
		f->dup++;
		L.c.probe_dup++;
		return;
	} else {
		f->reorder++;
		L.c.probe_reorder++;
	}
	*w |= bit;
	f->rx++;
	L.c.probe_rx++;
}

static void
probe_input(struct session *s, struct in i)
{
	struct flow *f = s->flow;
	uint32_t magic = in_u32(&i), who = in_u32(&i), seq = in_u32(&i);
	uint64_t sent = in_u64(&i), gap;
	bool good = !i.bad && magic == PROBE_MAGIC && who == s->idx &&
	    seq < f->next_seq && sent <= L.now;

	for (size_t k = 0; good && k < i.n; k++)
		good = i.p[k] == pattern(who, seq, k);
	if (!good) {
		f->corrupt++;
		L.c.probe_corrupt++;
		return;
	}
	gap = f->last_rx ? L.now - f->last_rx : 0;
	if (gap > f->gap)
		f->gap = gap;
	f->last_rx = L.now;
	hist_add(&L.probe, (L.now - sent) / NS_US);
	probe_seen(f, seq);
}

/* ---- blast ---- */

static void
blast_template(void)
{
	uint8_t *p = blast.packet;
	size_t size = L.o.size;

	memset(p, PATTERN, sizeof(blast.packet));
	ip_header(p, size, 0, L.o.blast_ip, 0);
	blast.ip_sum = sum16(0, p, 20);
	udp_header(p + 20, size - 20, BLAST_SPORT, L.o.blast_port);
	blast.run = (uint32_t)rng_u64(&L.rng);
	put32(p + HEADERS, BLAST_MAGIC);
	put32(p + HEADERS + 4, blast.run);
	put32(p + HEADERS + 8, 0);
	put32(p + HEADERS + 12, 0);
	blast.udp_sum = udp_sum(p, size - 20);
}

static uint32_t
sum32(uint32_t v)
{
	return (v >> 16) + (v & 0xffff);
}

static void
blast_send(struct session *s)
{
	struct flow *f = s->flow;
	uint8_t *p = frame_begin(s, PPP_IP, L.o.size);
	uint32_t seq = f->blast_seq++, src = sum32(s->ip);
	uint16_t id = ++f->ip_id, flow = (uint16_t)(seq % L.o.blast_flows);

	memcpy(p, blast.packet, L.o.size);
	put32(p + 12, s->ip);
	put16(p + 4, id);
	put16(p + 10, sum_done(blast.ip_sum + src + id));
	put16(p + 20, (uint16_t)(BLAST_SPORT + flow));
	put32(p + HEADERS + 8, s->idx);
	put32(p + HEADERS + 12, seq);
	put16(p + 26, udp_check(blast.udp_sum + src + flow + sum32(s->idx) +
	    sum32(seq)));
	frame_end(L.o.size);
	f->blast_tx++;
	L.c.blast_tx++;
}

/*
 * Uniformly random sessions; with --gso they come in groups out of one
 * tunnel, because only what has the same two ends can leave together.
 */
static uint64_t
blast_group(void)
{
	uint32_t tunnels = L.o.tunnels, n = L.o.gso;
	uint32_t first = rng_below(&L.rng, L.o.sessions), t = first % tunnels;
	uint32_t in_tunnel = (L.o.sessions - t + tunnels - 1) / tunnels;
	struct session *s = &L.session[first];

	for (uint32_t i = 0; i < n; i++) {
		if (s->state == S_UP)
			blast_send(s);
		s = &L.session[t + tunnels * rng_below(&L.rng, in_tunnel)];
	}
	return n;
}

void
blast_turn(void)
{
	double most = L.o.pps > 0 ? L.o.pps / 100 + L.o.gso : 256;

	if (!L.o.blast_up || L.run != RUN_HOLD || !L.up || blast.ended)
		return;
	if (!blast.began)
		blast.began = blast.last = L.now;
	if ((double)(L.now - blast.began) / 1e9 >= L.o.seconds) {
		blast.ended = L.now;
		return;
	}
	if (L.o.pps > 0)
		blast.credit += (double)(L.now - blast.last) / 1e9 * L.o.pps;
	else
		blast.credit = most;
	blast.last = L.now;
	if (L.o.blast_yield)
		sched_yield();
	if (blast.credit > most)
		blast.credit = most;
	while (blast.credit >= L.o.gso)
		blast.credit -= (double)blast_group();
}

bool
blast_busy(void)
{
	return L.o.blast_up && L.run == RUN_HOLD && !blast.ended &&
	    !(L.o.pps > 0 && L.o.pps < 200000);
}

bool
blast_paced(void)
{
	return L.o.blast_up && L.run == RUN_HOLD && !blast.ended;
}

/* The hold ends with the blast; one that only comes down, never. */
bool
blast_over(void)
{
	return L.o.blast_up && blast.ended;
}

static void
blast_input(struct session *s, struct in i, size_t size)
{
	struct flow *f = s->flow;
	uint32_t magic = in_u32(&i), run = in_u32(&i), flow = in_u32(&i);
	uint32_t seq = in_u32(&i);

	if (i.bad || magic != BLAST_MAGIC || flow != s->idx) {
		L.c.blast_corrupt++;
		return;
	}
	blast_seen(&f->in, run, seq);
	f->rx_bytes += size;
	L.c.blast_rx++;
	L.c.blast_bytes_rx += size;
	if (!L.blast_first_rx)
		L.blast_first_rx = L.now;
	L.blast_last_rx = L.now;
}

/* ---- both ---- */

/* A UDP packet of ours with right checksums, or false. */
static bool
ip_udp(const uint8_t *p, size_t n, uint16_t *dport, struct in *payload)
{
	size_t hl = (p[0] & 15) * 4u, total = get16(p + 2);

	if (p[0] >> 4 != 4 || hl != 20 || total > n || total < HEADERS ||
	    p[9] != IPPROTO_UDP || get16(p + 6) & 0x3fff)
		return false;
	*dport = get16(p + 22);
	*payload = in_open(p + HEADERS, total - HEADERS);
	return true;
}

static bool
sums_ok(const uint8_t *p)
{
	size_t total = get16(p + 2);

	return sum_done(sum16(0, p, 20)) == 0 && get16(p + 24) == total - 20 &&
	    (!get16(p + 26) || sum_done(udp_sum(p, total - 20)) == 0);
}

void
ip_input(struct session *s, const uint8_t *p, size_t n)
{
	uint16_t dport = 0;
	struct in payload = { 0 };

	L.c.ip_rx++;
	if (n < 20 || get32(p + 16) != s->ip) {
		L.c.ip_wrong_dst++;
		if (!L.o.tun)
			return;
	}
	if (s->flow && n >= HEADERS && ip_udp(p, n, &dport, &payload) &&
	    (dport == PROBE_SPORT || dport == BLAST_SPORT)) {
		if (!sums_ok(p)) {
			L.c.probe_corrupt += dport == PROBE_SPORT;
			L.c.blast_corrupt += dport == BLAST_SPORT;
		} else if (dport == PROBE_SPORT) {
			probe_input(s, payload);
		} else {
			blast_input(s, payload, get16(p + 2));
		}
		return;
	}
	if (L.o.tun)
		tun_write(p, n);
}

void
ip_send(struct session *s, const uint8_t *p, size_t n)
{
	memcpy(frame_begin(s, PPP_IP, n), p, n);
	frame_end(n);
}

void
ip_session_up(struct session *s)
{
	if (!L.o.probe_port || s->idx >= L.o.probe_sessions)
		return;
	s->flow->last_rx = 0;
	timer_set(&L.wheel, &s->flow->timer, L.now +
	    (uint64_t)(rng_unit(&L.rng) * L.o.probe_interval * 1e6));
}

void
ip_session_down(struct session *s)
{
	if (s->flow)
		timer_stop(&s->flow->timer);
}

void
ip_init(void)
{
	if (!wants_flows())
		return;
	L.flow = xcalloc(L.o.sessions, sizeof(*L.flow));
	for (uint32_t i = 0; i < L.o.sessions; i++) {
		L.session[i].flow = &L.flow[i];
		L.flow[i].timer.fn = probe_due;
	}
	if (L.o.blast_up)
		blast_template();
}

/* ---- what it came to ---- */

struct span {
	uint64_t min, max, sum;
	uint32_t flows;
};

static void
span_add(struct span *s, uint64_t v)
{
	if (!s->flows || v < s->min)
		s->min = v;
	if (v > s->max)
		s->max = v;
	s->sum += v;
	s->flows++;
}

static void
blast_report_down(struct json *j)
{
	struct span got = { 0 }, lost = { 0 };
	double s = (double)(L.blast_last_rx - L.blast_first_rx) / 1e9;
	uint64_t reorder = 0;

	for (uint32_t i = 0; i < L.o.sessions; i++) {
		const struct flow *f = &L.flow[i];

		if (!f->in.rx)
			continue;
		span_add(&got, f->in.rx);
		span_add(&lost, blast_missing(&f->in));
		reorder += f->in.late;
	}
	json_open(j, "blast_down");
	json_u64(j, "received", L.c.blast_rx);
	json_num(j, "pps", s > 0 ? (double)L.c.blast_rx / s : 0);
	json_num(j, "mbit_s", s > 0 ?
	    (double)L.c.blast_bytes_rx * 8 / s / 1e6 : 0);
	json_u64(j, "lost_between", lost.sum);
	json_u64(j, "reordered", reorder);
	json_u64(j, "corrupt", L.c.blast_corrupt);
	json_u64(j, "flows", got.flows);
	json_u64(j, "per_flow_min", got.min);
	json_u64(j, "per_flow_max", got.max);
	json_close(j);
}

static void
blast_report_up(struct json *j)
{
	struct span sent = { 0 };
	double s = (double)((blast.ended ? blast.ended : L.now) -
	    blast.began) / 1e9;

	for (uint32_t i = 0; i < L.o.sessions; i++)
		span_add(&sent, L.flow[i].blast_tx);
	json_open(j, "blast_up");
	json_u64(j, "sent", L.c.blast_tx);
	json_num(j, "pps", blast.began && s > 0 ?
	    (double)L.c.blast_tx / s : 0);
	json_u64(j, "size", L.o.size);
	json_u64(j, "per_flow_min", sent.min);
	json_u64(j, "per_flow_max", sent.max);
	json_close(j);
}

static void
probe_report(struct json *j)
{
	uint64_t gap = 0;

	for (uint32_t i = 0; i < L.o.sessions; i++)
		if (L.flow[i].gap > gap)
			gap = L.flow[i].gap;
	json_open(j, "probes");
	json_u64(j, "sent", L.c.probe_tx);
	json_u64(j, "received", L.c.probe_rx);
	json_u64(j, "lost", L.c.probe_tx > L.c.probe_rx ?
	    L.c.probe_tx - L.c.probe_rx : 0);
	json_u64(j, "duplicate", L.c.probe_dup);
	json_u64(j, "reordered", L.c.probe_reorder);
	json_u64(j, "corrupt", L.c.probe_corrupt);
	json_num(j, "longest_gap_ms", (double)gap / 1e6);
	json_hist(j, "rtt_ms", &L.probe);
	json_close(j);
}

void
blast_report(struct json *j)
{
	if (!L.flow)
		return;
	if (L.o.probe_port)
		probe_report(j);
	if (L.o.blast_up)
		blast_report_up(j);
	if (L.o.blast_down)
		blast_report_down(j);
}
