/*
 * radius_port.c - source ports towards RADIUS servers, and their ids
 *
 * An id has eight bits and stands for one request of one source port to one
 * port of one server (RFC 2865 3), so many requests at a time want many
 * ports.  And an id must rest before it is used again, or the server takes
 * the new request for a duplicate of the old one and sends the old answer
 * (RFC 5080 2.2.2).  Instead of letting ids rest, sockets are used up: a
 * port gives out its ids in order, each once, and again only if the next one
 * has rested long enough.  If not, the port is set aside, closes when its
 * last id comes back, and a fresh socket on another random port takes over.
 * So finding an id costs the same whatever the load, a quiet server keeps one
 * socket, and descriptors are bounded by what is really on its way.
 *
 * The sockets are connected: the kernel drops what comes from elsewhere, and
 * reports "port unreachable".
 *
 * Owns:     sockets, ids and when each was last sent with.
 * Calls:    loop, timer (for the time); path->input() and refused() above.
 * Lifetime: a port lives from its first id to its last; radius_path_close().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "l2tpns.h"
#include "loop.h"
#include "radius_port.h"
#include "radius_proto.h"
#include "timer.h"

#define IDS		256
#define READS_A_TURN	64	/* datagrams of one socket and turn */
#define OPEN_TRIES	8	/* to find a port that has rested */

struct radius_port {
	struct loop_fd lfd;
	struct radius_path *path;
	struct radius_port *next;	/* of path->ports */
	uint16_t source;		/* our port */
	uint16_t busy;			/* ids that are taken */
	uint8_t turn;			/* the id to try next */
	bool reading;			/* port_readable() is at it */
	void *owner[IDS];		/* NULL: free */
	uint64_t sent[IDS];		/* ms + 1 of the last packet; 0: never */
};

static uint32_t ports_open;
static uint32_t source_addr;		/* of the socket opened last */

/* Second + 1 in which a closed socket's port was last sent from. */
static uint32_t port_sent[65536];

static bool
rested(uint64_t sent)
{
	return sent == 0 || timer_now() + 1 - sent >= RADIUS_ID_REST;
}

static bool
port_rested(uint16_t source)
{
	uint64_t sent = port_sent[source];

	return sent == 0 ||
	    timer_now() / 1000 + 1 - sent > RADIUS_ID_REST / 1000;
}

static void
port_close(struct radius_port *p)
{
	struct radius_path *path = p->path;
	struct radius_port **pp = &path->ports;

	while (*pp != p)
		pp = &(*pp)->next;
	*pp = p->next;
	if (path->now == p)
		path->now = NULL;
	loop_del(&p->lfd);
	close(p->lfd.fd);
	ports_open--;
	free(p);
}

/* Closes a port that was set aside, once nobody needs it. */
static void
port_release(struct radius_port *p)
{
	if (p->path->now != p && p->busy == 0 && !p->reading)
		port_close(p);
}

static void
port_refused(struct radius_port *p)
{
	unsigned int id;

	for (id = 0; id < IDS; id++) {
		if (p->owner[id] != NULL)
			p->path->refused(p->path, p->owner[id]);
	}
}

static void
port_readable(struct loop_fd *lfd)
{
	struct radius_port *p = timer_owner(lfd, struct radius_port, lfd);
	/* One more than a packet: what is longer is padding or an attack. */
	static uint8_t buf[RADIUS_PACKET_MAX + 1];
	bool refused = false;
	int i;

	p->reading = true;
	for (i = 0; i < READS_A_TURN; i++) {
		ssize_t n = recv(lfd->fd, buf, sizeof(buf), 0);

		if (n > 1)
			p->path->input(p->path, p->owner[buf[1]], buf,
			    (size_t)n);
		else if (n >= 0)
			p->path->input(p->path, NULL, buf, (size_t)n);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		else if (errno == ECONNREFUSED)
			refused = true;
	}
	if (refused)
		port_refused(p);
	p->reading = false;
	port_release(p);
}

/* A socket from this address of ours, 0: the kernel's choice; or -1. */
static int
open_from(const struct radius_path *path, uint32_t from,
    struct sockaddr_in *sin)
{
	struct sockaddr_in us = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(from) };
	socklen_t len = sizeof(*sin);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*sin = (struct sockaddr_in){ .sin_family = AF_INET,
	    .sin_port = htons(path->udp_port),
	    .sin_addr.s_addr = htonl(path->addr) };
	if (fd < 0)
		return -1;
	if ((from == 0 ||
	    bind(fd, (struct sockaddr *)&us, sizeof(us)) == 0) &&
	    connect(fd, (struct sockaddr *)sin, sizeof(*sin)) == 0 &&
	    getsockname(fd, (struct sockaddr *)sin, &len) == 0)
		return fd;
	close(fd);
	return -1;
}

/*
 * A connected socket on a port of the kernel's random choice, or -1.  All
 * members of a cluster have bind_address, and who would get an answer to it?
 */
static int
open_socket(const struct radius_path *path, uint16_t *source)
{
	struct sockaddr_in sin;
	int fd = open_from(path, 0, &sin);

	if (fd >= 0 && lns.own_addr != 0 &&
	    ntohl(sin.sin_addr.s_addr) == lns.config.bind_address) {
		close(fd);
		fd = open_from(path, lns.own_addr, &sin);
	}
	if (fd < 0)
		return -1;
	*source = ntohs(sin.sin_port);
	source_addr = ntohl(sin.sin_addr.s_addr);
	return fd;
}

/* The same, from a port that has rested; the others wait meanwhile. */
static int
open_rested(const struct radius_path *path, uint16_t *source)
{
	int held[OPEN_TRIES], n = 0, fd;

	for (;;) {
		fd = open_socket(path, source);
		if (fd < 0 || port_rested(*source))
			break;
		if (n == OPEN_TRIES) {
			close(fd);
			fd = -1;
			break;
		}
		held[n++] = fd;
	}
	while (n > 0)
		close(held[--n]);
	return fd;
}

static struct radius_port *
port_open(struct radius_path *path)
{
	struct radius_port *p;

	if (ports_open >= RADIUS_PORTS_MAX)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->path = path;
	p->lfd.stage = LOOP_CONTROL;
	p->lfd.readable = port_readable;
	p->lfd.fd = open_rested(path, &p->source);
	if (p->lfd.fd < 0 || !loop_add(&p->lfd)) {
		if (p->lfd.fd >= 0)
			close(p->lfd.fd);
		free(p);
		return NULL;
	}
	p->next = path->ports;
	path->ports = p;
	ports_open++;
	return p;
}

bool
radius_id_take(struct radius_path *path, struct radius_id *id, void *owner)
{
	struct radius_port *p = path->now, *fresh;

	if (p == NULL || p->owner[p->turn] != NULL ||
	    !rested(p->sent[p->turn])) {
		fresh = port_open(path);
		if (fresh == NULL)
			return false;
		path->now = fresh;
		if (p != NULL)
			port_release(p);
		p = fresh;
	}
	id->port = p;
	id->id = p->turn++;
	p->owner[id->id] = owner;
	p->busy++;
	return true;
}

void
radius_id_give(struct radius_id *id)
{
	struct radius_port *p = id->port;

	if (p == NULL)
		return;
	p->owner[id->id] = NULL;
	p->busy--;
	id->port = NULL;
	port_release(p);
}

int
radius_id_send(struct radius_id *id, const void *packet, size_t len)
{
	struct radius_port *p = id->port;
	int fd = p->lfd.fd;

	p->sent[id->id] = timer_now() + 1;
	port_sent[p->source] = (uint32_t)(timer_now() / 1000 + 1);
	if (send(fd, packet, len, 0) >= 0)
		return 0;
	/* That may have been the ICMP error of an earlier packet. */
	if (errno == ECONNREFUSED && send(fd, packet, len, 0) >= 0)
		return 0;
	return errno;
}

void
radius_path_close(struct radius_path *path)
{
	while (path->ports != NULL)
		port_close(path->ports);
}

uint32_t
radius_source(void)
{
	return source_addr;
}

uint32_t
radius_ports_open(void)
{
	return ports_open;
}
