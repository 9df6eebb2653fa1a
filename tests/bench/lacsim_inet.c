/*
 * lacsim_inet.c - the internet's side of a measurement
 *
 * --reflect sends each UDP datagram back where it came from, with the
 * address it was sent to as its source.  --sink counts a blast per flow and
 * --blast-from makes one, towards the addresses that lacsim has written.
 *
 * Owns:     one socket and the counters of its mode.
 * Calls:    bench.h.
 * Lifetime: the process, until SIGINT or SIGTERM, or its seconds are over.
 */
#include "lacsim.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103
#endif
#ifndef UDP_GRO
#define UDP_GRO		104
#endif

#define BATCH		64
#define BUF		65536
#define GSO_OCTETS	61440

static volatile sig_atomic_t over;

static void
on_signal(int sig)
{
	(void)sig;
	over = 1;
}

static int
socket_open(uint16_t port, bool gro)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct sigaction sa = { .sa_handler = on_signal };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
	int size = 32 << 20;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	if (fd < 0)
		die("socket: %s", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one));
	if (gro)
		setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
	a.sin_port = htons(port);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)))
		die("bind to port %u: %s", port, strerror(errno));
	return fd;
}

static struct {
	uint8_t buf[BATCH][BUF];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_in addr[BATCH];
	char ctl[BATCH][128] __attribute__((aligned(8)));
} b;

/* A batch, or 0 after at most 200 ms without any. */
static int
batch_read(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	for (int i = 0; i < BATCH; i++) {
		struct msghdr *h = &b.m[i].msg_hdr;

		b.iov[i].iov_base = b.buf[i];
		b.iov[i].iov_len = BUF;
		memset(h, 0, sizeof(*h));
		h->msg_name = &b.addr[i];
		h->msg_namelen = sizeof(b.addr[i]);
		h->msg_iov = &b.iov[i];
		h->msg_iovlen = 1;
		h->msg_control = b.ctl[i];
		h->msg_controllen = sizeof(b.ctl[i]);
	}
	n = recvmmsg(fd, b.m, BATCH, MSG_DONTWAIT, NULL);
	if (n > 0)
		return n;
	poll(&p, 1, 200);
	return 0;
}

static void
json_out(const char *path, void (*write)(struct json *))
{
	char tmp[4096];
	struct json j = { 0 };

	j.f = file_begin(path ? path : "-", tmp, sizeof(tmp));
	if (!j.f)
		return;
	json_open(&j, NULL);
	write(&j);
	json_close(&j);
	file_commit(j.f, path ? path : "-", tmp);
}

/* ---- reflect ---- */

static uint64_t reflected, reflect_errors;

static void
reflect_json(struct json *j)
{
	json_str(j, "tool", "lacsim --reflect");
	json_u64(j, "reflected", reflected);
	json_u64(j, "errors", reflect_errors);
}

/* The address it was sent to becomes the one it is sent from. */
static void
reflect_turn_round(struct msghdr *h, size_t len)
{
	struct in_pktinfo pi = { 0 };
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			memcpy(&pi, CMSG_DATA(c), sizeof(pi));
	pi.ipi_spec_dst = pi.ipi_addr;
	pi.ipi_ifindex = 0;
	h->msg_controllen = CMSG_SPACE(sizeof(pi));
	c = CMSG_FIRSTHDR(h);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(pi));
	memcpy(CMSG_DATA(c), &pi, sizeof(pi));
	h->msg_iov->iov_len = len;
}

int
inet_reflect(uint16_t port, const char *json, double seconds)
{
	int fd = socket_open(port, false);
	uint64_t end = seconds > 0 ? now_ns() + (uint64_t)(seconds * 1e9) :
	    UINT64_MAX;

	while (!over && now_ns() < end) {
		int n = batch_read(fd), done = 0;

		for (int i = 0; i < n; i++)
			reflect_turn_round(&b.m[i].msg_hdr, b.m[i].msg_len);
		while (done < n) {
			int k = sendmmsg(fd, b.m + done,
			    (unsigned)(n - done), 0);

			if (k > 0) {
				reflected += (uint64_t)k;
				done += k;
			} else if (errno != EINTR) {
				reflect_errors++;
				done++;
			}
		}
	}
	json_out(json, reflect_json);
	return 0;
}

/* ---- sink ---- */

uint64_t
blast_missing(const struct blast_count *c)
{
	return c->lost + (c->high > c->run_rx ? c->high - c->run_rx : 0);
}

void
blast_seen(struct blast_count *c, uint32_t run, uint32_t seq)
{
	if (run != c->run) {
		c->lost = blast_missing(c);
		c->run = run;
		c->high = 0;
		c->run_rx = 0;
	}
	c->rx++;
	c->run_rx++;
	if (seq >= c->high)
		c->high = seq + 1;
	else
		c->late++;
}

static struct {
	struct blast_count *flow;
	uint32_t flows;
	uint64_t rx, bytes, foreign, first, last;
	uint32_t overflow;
} sink;

static void
sink_packet(const uint8_t *p, size_t n, uint64_t now)
{
	struct in i = in_open(p, n);
	uint32_t magic = in_u32(&i), run = in_u32(&i), flow = in_u32(&i);
	uint32_t seq = in_u32(&i);

	if (i.bad || magic != BLAST_MAGIC || flow > 10000000) {
		sink.foreign++;
		return;
	}
	if (flow >= sink.flows) {
		uint32_t want = flow + 1024;

		sink.flow = xrealloc(sink.flow, want, sizeof(*sink.flow));
		memset(sink.flow + sink.flows, 0,
		    (want - sink.flows) * sizeof(*sink.flow));
		sink.flows = want;
	}
	blast_seen(&sink.flow[flow], run, seq);
	sink.rx++;
	sink.bytes += n + 28;
	if (!sink.first)
		sink.first = now;
	sink.last = now;
}

static size_t
sink_control(struct msghdr *h)
{
	size_t seg = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			int v;

			memcpy(&v, CMSG_DATA(c), sizeof(v));
			seg = v > 0 ? (size_t)v : 0;
		} else if (c->cmsg_level == SOL_SOCKET &&
		    c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&sink.overflow, CMSG_DATA(c), 4);
		}
	}
	return seg;
}

static void
sink_json(struct json *j)
{
	uint64_t lost = 0, late = 0, min = 0, max = 0, seen = 0;
	double s = (double)(sink.last - sink.first) / 1e9;

	for (uint32_t i = 0; i < sink.flows; i++) {
		const struct blast_count *f = &sink.flow[i];

		if (!f->rx)
			continue;
		if (!seen++ || f->rx < min)
			min = f->rx;
		if (f->rx > max)
			max = f->rx;
		lost += blast_missing(f);
		late += f->late;
	}
	json_str(j, "tool", "lacsim --sink");
	json_u64(j, "received", sink.rx);
	json_u64(j, "foreign", sink.foreign);
	json_num(j, "seconds", s);
	json_num(j, "pps", s > 0 ? (double)sink.rx / s : 0);
	json_num(j, "mbit_s", s > 0 ? (double)sink.bytes * 8 / s / 1e6 : 0);
	json_u64(j, "lost_between", lost);
	json_u64(j, "reordered", late);
	json_u64(j, "flows", seen);
	json_u64(j, "per_flow_min", min);
	json_u64(j, "per_flow_max", max);
	json_u64(j, "socket_overflow", sink.overflow);
}

int
inet_sink(uint16_t port, const char *json, double seconds)
{
	int fd = socket_open(port, true);
	uint64_t end = seconds > 0 ? now_ns() + (uint64_t)(seconds * 1e9) :
	    UINT64_MAX, now;

	while (!over && (now = now_ns()) < end) {
		int n = batch_read(fd);

		for (int i = 0; i < n; i++) {
			size_t left = b.m[i].msg_len;
			size_t seg = sink_control(&b.m[i].msg_hdr);
			const uint8_t *p = b.buf[i];

			do {
				size_t k = seg && seg < left ? seg : left;

				sink_packet(p, k, now);
				p += k;
				left -= k;
			} while (left);
		}
	}
	json_out(json, sink_json);
	return 0;
}

/* ---- blast ---- */

struct target {
	uint32_t ip, flow, seq;
};

static struct {
	struct target *t;
	uint32_t n;
	uint64_t tx, errors;
	double seconds;
	uint32_t size, run;
} bl;

static void
blast_load(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[512], host[64], user[300];
	uint32_t flow, room = 0;

	if (!f)
		die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %299s %u", host, user, &flow) != 3)
			die("%s: want lines of address, user, session", path);
		if (bl.n == room) {
			room = room * 2 + 1024;
			bl.t = xrealloc(bl.t, room, sizeof(*bl.t));
		}
		bl.t[bl.n++] = (struct target){ arg_ip("blast-from", host),
		    flow, 0 };
	}
	fclose(f);
	if (!bl.n)
		die("%s: no addresses", path);
}

static void
blast_json(struct json *j)
{
	json_str(j, "tool", "lacsim --blast-from");
	json_u64(j, "sent", bl.tx);
	json_u64(j, "errors", bl.errors);
	json_num(j, "seconds", bl.seconds);
	json_num(j, "pps", bl.seconds > 0 ? (double)bl.tx / bl.seconds : 0);
	json_u64(j, "size", bl.size);
	json_u64(j, "flows", bl.n);
}

/* segs packets to one target, as one send that the kernel cuts. */
static void
blast_fill(int i, struct target *t, uint16_t port, size_t len, uint32_t segs)
{
	struct msghdr *h = &b.m[i].msg_hdr;
	struct cmsghdr *c;
	uint16_t seg = (uint16_t)len;

	for (uint32_t k = 0; k < segs; k++) {
		uint8_t *p = b.buf[i] + k * len;

		put32(p, BLAST_MAGIC);
		put32(p + 4, bl.run);
		put32(p + 8, t->flow);
		put32(p + 12, t->seq++);
	}
	b.addr[i].sin_family = AF_INET;
	b.addr[i].sin_addr.s_addr = htonl(t->ip);
	b.addr[i].sin_port = htons(port);
	b.iov[i].iov_base = b.buf[i];
	b.iov[i].iov_len = len * segs;
	memset(h, 0, sizeof(*h));
	h->msg_name = &b.addr[i];
	h->msg_namelen = sizeof(b.addr[i]);
	h->msg_iov = &b.iov[i];
	h->msg_iovlen = 1;
	if (segs == 1)
		return;
	h->msg_control = b.ctl[i];
	h->msg_controllen = CMSG_SPACE(sizeof(seg));
	c = CMSG_FIRSTHDR(h);
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(seg));
	memcpy(CMSG_DATA(c), &seg, sizeof(seg));
}

static void
blast_batch(int fd, int n, uint32_t segs)
{
	int done = 0;

	while (done < n) {
		int k = sendmmsg(fd, b.m + done, (unsigned)(n - done), 0);

		if (k > 0) {
			done += k;
			bl.tx += (uint64_t)k * segs;
		} else if (errno != EINTR) {
			bl.errors++;
			done++;
		}
	}
}

int
inet_blast(const char *list, uint16_t port, uint32_t size, double pps,
    double seconds, uint32_t gso, uint64_t seed, const char *json)
{
	struct rng rng = { seed };
	int fd = socket_open(0, false);
	size_t len = size - 28;
	uint64_t began, now, last;
	double credit = 0, most;

	blast_load(list);
	if (gso * len > GSO_OCTETS)
		gso = (uint32_t)(GSO_OCTETS / len);
	bl.size = size;
	bl.run = (uint32_t)rng_u64(&rng);
	for (int i = 0; i < BATCH; i++)
		memset(b.buf[i], 0x5a, BUF);
	most = pps > 0 ? pps / 100 + gso : BATCH * gso;
	began = last = now_ns();
	while (!over && (now = now_ns()) - began < (uint64_t)(seconds * 1e9)) {
		int n = 0;

		credit += pps > 0 ? (double)(now - last) / 1e9 * pps : most;
		if (credit > most)
			credit = most;
		last = now;
		for (; n < BATCH && credit >= gso; n++, credit -= gso)
			blast_fill(n, &bl.t[rng_below(&rng, bl.n)], port, len,
			    gso);
		if (n) {
			blast_batch(fd, n, gso);
		} else {
			struct timespec ts = { 0, 500000 };

			nanosleep(&ts, NULL);
		}
	}
	bl.seconds = (double)(now_ns() - began) / 1e9;
	json_out(json, blast_json);
	return 0;
}
