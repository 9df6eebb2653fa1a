/*
 * badproxy.c - a bad link between LACs and an LNS
 *
 * A relay of UDP datagrams that loses, doubles, delays and reorders them, each
 * way by its own percentages, for kernels without netem.  The LAC is told that
 * the LNS is at --listen; what it sends there goes to --to.
 *
 *	LAC ---> listening socket ---> one socket for each client ---> LNS
 *
 * Each client, that is an address and port, has a socket of its own towards
 * the LNS, so that tunnels keep their identity.  With --transparent that is
 * bound to the client's own address (and port, where it is free), and the LNS
 * sees the LAC's addresses; its answers must be routed to this machine then.
 * Answers go to the client from the listening socket.
 *
 * A datagram is lost, or goes once, or twice.  Each copy is due after --delay
 * and up to --jitter, which alone keep the order; --reorder picks copies that
 * are up to --reorder-ms later still, and so are overtaken.
 *
 * Owns:     the sockets, the clients, the heap of datagrams on their way.
 * Calls:    bench.h.
 * Lifetime: until SIGINT or SIGTERM, then the figures are written.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_RCVBUFFORCE
#define SO_RCVBUFFORCE	33
#define SO_SNDBUFFORCE	32
#endif

#define PACKET_MAX	65535
#define CLIENTS_MAX	16384
#define BUCKETS		4096
#define READS		256		/* of a socket before the next one */
#define SOCK_BUF	(16 << 20)

enum way { UP, DOWN, WAYS };		/* UP: to the LNS */

struct client {
	struct client *next;		/* in its bucket */
	struct sockaddr_in addr;
	int fd;
};

/* A copy on its way. */
struct packet {
	uint64_t due, seq;		/* seq: order of those due together */
	struct client *client;
	enum way way;
	size_t n;
	uint8_t data[];
};

struct counts {
	uint64_t received, bytes, sent, lost, doubled, reordered, errors;
};

static struct {
	struct sockaddr_in listen, to;
	double loss[WAYS], dup[WAYS], reorder[WAYS];
	double delay, jitter, reorder_ms;
	uint64_t seed;
	const char *json;
	bool transparent;
} opt = { .reorder_ms = 20 };

static struct counts counts[WAYS];
static struct client *client[BUCKETS];
static struct packet **heap;
static size_t heap_n, heap_room, heap_most;
static uint64_t last_due[WAYS], clients, borrowed, refused, seq;
static struct rng rng;
static int listen_fd, epoll_fd, signal_fd;

/* ---- what waits ---- */

static bool
sooner(const struct packet *a, const struct packet *b)
{
	return a->due != b->due ? a->due < b->due : a->seq < b->seq;
}

static void
heap_push(struct packet *p)
{
	size_t i = heap_n++;

	if (heap_n > heap_room) {
		heap_room = heap_room * 2 + 1024;
		heap = xrealloc(heap, heap_room, sizeof(*heap));
	}
	for (; i > 0 && sooner(p, heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = p;
	if (heap_n > heap_most)
		heap_most = heap_n;
}

static struct packet *
heap_pop(void)
{
	struct packet *top = heap[0], *p = heap[--heap_n];
	size_t i = 0, k;

	while ((k = 2 * i + 1) < heap_n) {
		if (k + 1 < heap_n && sooner(heap[k + 1], heap[k]))
			k++;
		if (!sooner(heap[k], p))
			break;
		heap[i] = heap[k];
		i = k;
	}
	heap[i] = p;
	return top;
}

/* ---- sockets ---- */

static int
socket_open(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int size = SOCK_BUF;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return fd;
}

static void
want(int fd, void *owner)
{
	struct epoll_event ev = { .events = EPOLLIN };

	ev.data.ptr = owner;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl: %s", strerror(errno));
}

/* The client's own port may be taken: by the client itself, on this machine. */
static bool
bind_as(int fd, struct sockaddr_in a)
{
	int one = 1;

	if (setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one)))
		setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	if (!bind(fd, (struct sockaddr *)&a, sizeof(a)))
		return true;
	a.sin_port = 0;
	if (errno != EADDRINUSE || bind(fd, (struct sockaddr *)&a, sizeof(a)))
		return false;
	borrowed++;
	return true;
}

static int
upstream_open(const struct sockaddr_in *from)
{
	int fd = socket_open();

	if (fd < 0)
		return -1;
	if ((opt.transparent && !bind_as(fd, *from)) ||
	    connect(fd, (struct sockaddr *)&opt.to, sizeof(opt.to))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* NULL: there can not be another one. */
static struct client *
client_find(const struct sockaddr_in *from)
{
	uint32_t h = (from->sin_addr.s_addr ^ from->sin_port) * 2654435761u;
	struct client **bucket = &client[h >> 16 & (BUCKETS - 1)], *c;
	int fd;

	for (c = *bucket; c; c = c->next)
		if (c->addr.sin_addr.s_addr == from->sin_addr.s_addr &&
		    c->addr.sin_port == from->sin_port)
			return c;
	if (clients == CLIENTS_MAX || (fd = upstream_open(from)) < 0) {
		refused++;
		return NULL;
	}
	clients++;
	c = xcalloc(1, sizeof(*c));
	c->addr = *from;
	c->fd = fd;
	c->next = *bucket;
	*bucket = c;
	want(fd, c);
	return c;
}

/* ---- the link ---- */

static void
forward(const struct client *c, enum way way, const uint8_t *p, size_t n)
{
	ssize_t done = way == UP ? send(c->fd, p, n, 0) :
	    sendto(listen_fd, p, n, 0, (const struct sockaddr *)&c->addr,
	    sizeof(c->addr));

	if (done == (ssize_t)n)
		counts[way].sent++;
	else
		counts[way].errors++;
}

static bool
chance(double percent)
{
	return percent > 0 && rng_unit(&rng) * 100 < percent;
}

static uint64_t
ms(double n)
{
	return (uint64_t)(n * 1e6);
}

static void
dispatch(struct client *c, enum way way, const uint8_t *p, size_t n,
    uint64_t now)
{
	uint64_t due = now + ms(opt.delay) + ms(rng_unit(&rng) * opt.jitter);
	struct packet *k;

	if (due < last_due[way])
		due = last_due[way];
	last_due[way] = due;
	if (chance(opt.reorder[way])) {
		counts[way].reordered++;
		due += NS_MS + ms(rng_unit(&rng) * opt.reorder_ms);
	} else if (due <= now) {
		forward(c, way, p, n);
		return;
	}
	k = xcalloc(1, sizeof(*k) + n);
	k->due = due;
	k->seq = seq++;
	k->client = c;
	k->way = way;
	k->n = n;
	memcpy(k->data, p, n);
	heap_push(k);
}

static void
arrived(struct client *c, enum way way, const uint8_t *p, size_t n,
    uint64_t now)
{
	counts[way].received++;
	counts[way].bytes += n;
	if (chance(opt.loss[way])) {
		counts[way].lost++;
		return;
	}
	dispatch(c, way, p, n, now);
	if (chance(opt.dup[way])) {
		counts[way].doubled++;
		dispatch(c, way, p, n, now);
	}
}

static void
read_clients(uint64_t now)
{
	static uint8_t buf[PACKET_MAX];

	for (int i = 0; i < READS; i++) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(listen_fd, buf, sizeof(buf), 0,
		    (struct sockaddr *)&from, &len);
		struct client *c;

		if (n < 0 && errno == EAGAIN)
			return;
		c = n >= 0 ? client_find(&from) : NULL;
		if (c)
			arrived(c, UP, buf, (size_t)n, now);
	}
}

/* ECONNREFUSED, from ICMP, is no more than a loss. */
static void
read_lns(struct client *c, uint64_t now)
{
	static uint8_t buf[PACKET_MAX];

	for (int i = 0; i < READS; i++) {
		ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

		if (n >= 0)
			arrived(c, DOWN, buf, (size_t)n, now);
		else if (errno == EAGAIN)
			return;
		else
			counts[DOWN].errors++;
	}
}

static void
send_due(uint64_t now)
{
	while (heap_n && heap[0]->due <= now) {
		struct packet *p = heap_pop();

		forward(p->client, p->way, p->data, p->n);
		free(p);
	}
}

/* ---- figures ---- */

static void
report_way(struct json *j, const char *name, const struct counts *c)
{
	json_open(j, name);
	json_u64(j, "received", c->received);
	json_u64(j, "bytes", c->bytes);
	json_u64(j, "sent", c->sent);
	json_u64(j, "lost", c->lost);
	json_u64(j, "doubled", c->doubled);
	json_u64(j, "reordered", c->reordered);
	json_u64(j, "errors", c->errors);
	json_close(j);
}

static void
report(void)
{
	struct json j = { 0 };
	char tmp[4096];

	if (!opt.json)
		return;
	j.f = file_begin(opt.json, tmp, sizeof(tmp));
	if (!j.f)
		exit(1);
	json_open(&j, NULL);
	json_str(&j, "tool", "badproxy");
	json_u64(&j, "seed", opt.seed);
	json_u64(&j, "clients", clients);
	json_u64(&j, "clients_refused", refused);
	json_u64(&j, "other_port", borrowed);
	json_u64(&j, "queue_max", heap_most);
	report_way(&j, "up", &counts[UP]);
	report_way(&j, "down", &counts[DOWN]);
	json_close(&j);
	if (!file_commit(j.f, opt.json, tmp))
		exit(1);
}

static bool
signal_ends(void)
{
	struct signalfd_siginfo si;
	bool ends = false;

	while (read(signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		if (si.ssi_signo == SIGUSR1)
			report();
		else
			ends = true;
	return ends;
}

/* ---- options ---- */

enum { O_LISTEN = 256, O_TO, O_LOSS, O_DUP, O_REORDER, O_REORDER_MS, O_DELAY,
	O_JITTER, O_SEED, O_JSON, O_TRANSPARENT, O_HELP };

static const struct option options[] = {
	{ "listen", required_argument, NULL, O_LISTEN },
	{ "to", required_argument, NULL, O_TO },
	{ "loss", required_argument, NULL, O_LOSS },
	{ "dup", required_argument, NULL, O_DUP },
	{ "reorder", required_argument, NULL, O_REORDER },
	{ "reorder-ms", required_argument, NULL, O_REORDER_MS },
	{ "delay", required_argument, NULL, O_DELAY },
	{ "jitter", required_argument, NULL, O_JITTER },
	{ "seed", required_argument, NULL, O_SEED },
	{ "json", required_argument, NULL, O_JSON },
	{ "transparent", no_argument, NULL, O_TRANSPARENT },
	{ "help", no_argument, NULL, O_HELP },
	{ NULL, 0, NULL, 0 }
};

static void
usage(FILE *f)
{
	fputs("usage: badproxy --listen ADDR:PORT --to ADDR:PORT [options]\n"
	    "  --loss, --dup, --reorder PCT[:PCT]  both ways; or up, to the\n"
	    "                     LNS, and down [0]\n"
	    "  --reorder-ms MS    how late those may be [20]\n"
	    "  --delay MS         each way [0]\n"
	    "  --jitter MS        more than that, in order [0]\n"
	    "  --transparent      the LNS sees the clients' addresses\n"
	    "  --seed N           for repeatable chances [by time]\n"
	    "  --json FILE|-      figures, at the end and at SIGUSR1\n", f);
}

static void
arg_ways(const char *name, char *a, double v[WAYS])
{
	char *down = strchr(a, ':');

	if (down)
		*down++ = '\0';
	v[UP] = arg_num(name, a, 0, 100);
	v[DOWN] = down ? arg_num(name, down, 0, 100) : v[UP];
}

static void
arg_addr(const char *name, const char *a, struct sockaddr_in *to)
{
	uint16_t port = 0;
	uint32_t ip;

	arg_ip_port(name, a, &ip, &port);
	if (!port)
		die("--%s %s: port missing", name, a);
	to->sin_family = AF_INET;
	to->sin_addr.s_addr = htonl(ip);
	to->sin_port = htons(port);
}

static void
option(int c, const char *name, char *a)
{
	switch (c) {
	case O_LISTEN:
		arg_addr(name, a, &opt.listen);
		break;
	case O_TO:
		arg_addr(name, a, &opt.to);
		break;
	case O_LOSS:
		arg_ways(name, a, opt.loss);
		break;
	case O_DUP:
		arg_ways(name, a, opt.dup);
		break;
	case O_REORDER:
		arg_ways(name, a, opt.reorder);
		break;
	case O_REORDER_MS:
		opt.reorder_ms = arg_num(name, a, 0, 60000);
		break;
	case O_DELAY:
		opt.delay = arg_num(name, a, 0, 60000);
		break;
	case O_JITTER:
		opt.jitter = arg_num(name, a, 0, 60000);
		break;
	case O_SEED:
		opt.seed = arg_u64(name, a, 0, UINT64_MAX);
		break;
	case O_JSON:
		opt.json = a;
		break;
	case O_TRANSPARENT:
		opt.transparent = true;
		break;
	case O_HELP:
		usage(stdout);
		exit(0);
	default:
		usage(stderr);
		exit(2);
	}
}

/* ---- the loop ---- */

static void
setup(void)
{
	sigset_t set;
	int one = 1;

	rng.s = opt.seed;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	listen_fd = socket_open();
	if (epoll_fd < 0 || signal_fd < 0 || listen_fd < 0)
		die("cannot start: %s", strerror(errno));
	setsockopt(listen_fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	if (bind(listen_fd, (struct sockaddr *)&opt.listen,
	    sizeof(opt.listen)))
		die("bind: %s", strerror(errno));
	want(signal_fd, &signal_fd);
	want(listen_fd, &listen_fd);
}

/* False when a signal said so. */
static bool
turn(void)
{
	struct epoll_event ev[64];
	uint64_t now = now_ns(), wait = NS_SEC;
	struct timespec ts;
	int n;

	if (heap_n)
		wait = heap[0]->due > now ? heap[0]->due - now : 0;
	ts.tv_sec = (time_t)(wait / NS_SEC);
	ts.tv_nsec = (long)(wait % NS_SEC);
	n = epoll_pwait2(epoll_fd, ev, 64, &ts, NULL);
	now = now_ns();
	send_due(now);
	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr == &signal_fd) {
			if (signal_ends())
				return false;
		} else if (ev[i].data.ptr == &listen_fd) {
			read_clients(now);
		} else {
			read_lns(ev[i].data.ptr, now);
		}
	}
	return true;
}

int
main(int argc, char **argv)
{
	int c, index = 0;

	opt.seed = now_ns() ^ (uint64_t)getpid() << 32;
	while ((c = getopt_long(argc, argv, "", options, &index)) != -1)
		option(c, c == '?' ? "" : options[index].name, optarg);
	if (optind < argc)
		die("%s: not an option", argv[optind]);
	if (!opt.listen.sin_port || !opt.to.sin_port)
		die("--listen and --to are needed; --help lists the options");
	setup();
	while (turn())
		;
	report();
	return 0;
}
