/*
 * tcpload.c - many TCP flows from many addresses, in one cheap process
 *
 * Fifty subscribers with a program each are fifty processes that share the
 * generator's processor, and what is measured is their scheduling.  Here one
 * process at each end moves all flows, and touches no octet: what it sends
 * are pages of a file in memory (sendfile), what it receives is thrown away
 * inside the kernel (MSG_TRUNC, tcp(7)).
 *
 *	tcpload --serve PORT
 *	tcpload --to ADDR:PORT --from FILE --flows N --seconds S [--down]
 *
 * Connections to PORT are read from, those to PORT + 1 are written to.  FILE
 * begins each line with an address, as lacsim --addresses writes it; each one
 * gets N flows.  After S seconds the number of flows, the octets and the flow
 * that got least and the one that got most are printed as JSON.  Down, octets
 * are those received; up, those that the kernel took, less what it still
 * holds unacknowledged.
 *
 * Owns:     its sockets, the file in memory.
 * Calls:    libc only.
 * Lifetime: of the process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FLOWS		4096
#define FILE_SIZE	(1 << 20)
#define TURN		(256 << 10)	/* octets of one flow at a time */
#define EVENTS		64

struct flow {
	int fd;
	bool sends, listens;
	uint64_t octets;
};

static struct flow flows[FLOWS];
static int nflows, ep, file;

static void __attribute__((noreturn))
die(const char *what)
{
	fprintf(stderr, "tcpload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void __attribute__((noreturn))
usage(void)
{
	fprintf(stderr, "usage: tcpload --serve PORT\n       tcpload --to "
	    "ADDR:PORT --from FILE --flows N --seconds S [--down]\n");
	exit(2);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- flows ---- */

static void
flow_add(int fd, bool sends, bool listens)
{
	struct epoll_event e = { .events = sends ? EPOLLOUT : EPOLLIN };
	struct flow *f;

	if (nflows == FLOWS) {
		close(fd);
		return;
	}
	f = &flows[nflows++];
	*f = (struct flow){ .fd = fd, .sends = sends, .listens = listens };
	e.data.ptr = f;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) != 0)
		die("epoll_ctl");
}

/* Its slot stays: the process serves one run. */
static void
flow_end(struct flow *f)
{
	close(f->fd);
	f->fd = -1;
}

static void
flow_accept(struct flow *l)
{
	int fd;

	while ((fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK |
	    SOCK_CLOEXEC)) >= 0)
		flow_add(fd, l->sends, false);
}

static ssize_t
flow_send(struct flow *f)
{
	off_t at = 0;

	return sendfile(f->fd, file, &at, TURN);
}

static void
flow_move(struct flow *f)
{
	ssize_t n = f->sends ? flow_send(f) :
	    recv(f->fd, NULL, TURN, MSG_TRUNC | MSG_DONTWAIT);

	if (n > 0)
		f->octets += (uint64_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		flow_end(f);
}

static void
turn(int timeout_ms)
{
	struct epoll_event e[EVENTS];
	int n = epoll_wait(ep, e, EVENTS, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct flow *f = e[i].data.ptr;

		if (f->fd < 0)
			continue;
		if (f->listens)
			flow_accept(f);
		else
			flow_move(f);
	}
}

/* ---- the two ends ---- */

static void
listen_on(int port, bool sends)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0), one = 1;

	a.sin_port = htons((uint16_t)port);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one,
	    sizeof(one)) != 0 || bind(fd, (struct sockaddr *)&a,
	    sizeof(a)) != 0 || listen(fd, 1024) != 0)
		die("listen");
	flow_add(fd, sends, true);
	/* One that listens is asked for connections, whatever those will do. */
	if (sends) {
		struct epoll_event e = { .events = EPOLLIN,
		    .data.ptr = &flows[nflows - 1] };

		if (epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e) != 0)
			die("epoll_ctl");
	}
}

static void
connect_from(const char *from, struct sockaddr_in to, bool sends)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (inet_pton(AF_INET, from, &a.sin_addr) != 1) {
		errno = EINVAL;
		die(from);
	}
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		die(from);
	flow_add(fd, sends, false);
}

static void
connect_all(const char *path, struct sockaddr_in to, int each, bool sends)
{
	char line[256], from[64];
	FILE *f = fopen(path, "r");

	if (f == NULL)
		die(path);
	while (fgets(line, sizeof(line), f) != NULL)
		for (int i = 0; sscanf(line, "%63s", from) == 1 && i < each;
		    i++)
			connect_from(from, to, sends);
	fclose(f);
	if (nflows == 0) {
		errno = ENODATA;
		die(path);
	}
}

/* The far end has not seen what the kernel still holds. */
static uint64_t
flow_done(const struct flow *f)
{
	int held = 0;

	if (f->sends && f->fd >= 0)
		ioctl(f->fd, SIOCOUTQ, &held);
	return f->octets - (uint64_t)held;
}

static void
report(double seconds)
{
	uint64_t sum = 0, least = UINT64_MAX, most = 0;
	int ended = 0;

	for (int i = 0; i < nflows; i++) {
		uint64_t n = flow_done(&flows[i]);

		sum += n;
		least = n < least ? n : least;
		most = n > most ? n : most;
		ended += flows[i].fd < 0;
	}
	printf("{\"flows\": %d, \"ended\": %d, \"octets\": %llu, \"least\": "
	    "%llu, \"most\": %llu, \"seconds\": %.3f}\n", nflows, ended,
	    (unsigned long long)sum, (unsigned long long)least,
	    (unsigned long long)most, seconds);
}

static void
open_file(void)
{
	file = memfd_create("tcpload", MFD_CLOEXEC);
	if (file < 0 || ftruncate(file, FILE_SIZE) != 0)
		die("memfd");
	for (int i = 0; i < FILE_SIZE / 4096; i++) {
		char page[4096];

		memset(page, 'a' + i % 26, sizeof(page));
		if (write(file, page, sizeof(page)) != sizeof(page))
			die("memfd");
	}
}

static struct sockaddr_in
parse_to(char *text, bool down)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	char *colon = strchr(text, ':');
	int port = colon != NULL ? atoi(colon + 1) : 0;

	if (port <= 0 || port > 65534)
		usage();
	*colon = '\0';
	if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
		usage();
	a.sin_port = htons((uint16_t)(port + (down ? 1 : 0)));
	return a;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "serve", 1, NULL, 's' }, { "to", 1, NULL, 't' },
		{ "from", 1, NULL, 'f' }, { "flows", 1, NULL, 'n' },
		{ "seconds", 1, NULL, 'd' }, { "down", 0, NULL, 'R' },
		{ NULL, 0, NULL, 0 }
	};
	int serve = 0, each = 1, c;
	char *to = NULL, *from = NULL;
	double seconds = 5, began;
	bool down = false;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 's': serve = atoi(optarg); break;
		case 't': to = optarg; break;
		case 'f': from = optarg; break;
		case 'n': each = atoi(optarg); break;
		case 'd': seconds = atof(optarg); break;
		case 'R': down = true; break;
		default: usage();
		}
	if (optind != argc || each < 1 || seconds <= 0 || serve < 0 ||
	    serve > 65534 || (serve == 0) == (to == NULL || from == NULL))
		usage();
	signal(SIGPIPE, SIG_IGN);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0)
		die("epoll_create1");
	open_file();
	if (serve != 0) {
		listen_on(serve, false);
		listen_on(serve + 1, true);
		for (;;)
			turn(-1);
	}
	connect_all(from, parse_to(to, down), each, !down);
	began = now();
	while (now() - began < seconds)
		turn(10);
	report(now() - began);
	return 0;
}
