/*
 * cluster_link.c - the socket on cluster_interface
 *
 * One UDP socket sends and hears both the group and this member's own address.
 * It is bound to no address, since then it would hear only one of the two;
 * instead the kernel says for each datagram by which interface it came, and
 * what did not come by cluster_interface is not for us.
 *
 * The cluster is served before the packets of subscribers, and all that has
 * come is read in a turn, up to a bound: l2tpns 2.0 read one datagram each
 * time and lost its cluster under load.
 *
 * Interfaces come late, vanish, and come again under the same name, after
 * which the kernel has forgotten the group: link_changed() tells.
 *
 * Owns:     the socket.
 * Calls:    loop.h, link_input(), link_idle().
 * Lifetime: link_open() to link_close(), as often as needed.
 */
#define _GNU_SOURCE 1			/* struct in_pktinfo */
#include "cluster_link.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cluster_wire.h"
#include "counters.h"
#include "err.h"
#include "l2tpns.h"
#include "loop.h"

#define READS_A_TURN	512
#define BUFFER		(8 * 1024 * 1024)

void (*link_input)(uint32_t from, bool group, const uint8_t *buf, size_t len);
void (*link_idle)(void);

static struct loop_fd link_fd = { .fd = -1 };
static unsigned int ifindex;
static uint32_t address, netmask;

/* What the interface is now; false if it is not there or has no address. */
static bool
look_up(int fd, unsigned int *index, uint32_t *addr, uint32_t *mask)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in sin;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.*s", IFNAMSIZ - 1,
	    lns.config.cluster_interface);
	if (ioctl(fd, SIOCGIFINDEX, &ifr) < 0)
		return false;
	*index = (unsigned int)ifr.ifr_ifindex;
	if (ioctl(fd, SIOCGIFADDR, &ifr) < 0)
		return false;
	memcpy(&sin, &ifr.ifr_addr, sizeof(sin));
	*addr = ntohl(sin.sin_addr.s_addr);
	if (ioctl(fd, SIOCGIFNETMASK, &ifr) < 0)
		return false;
	memcpy(&sin, &ifr.ifr_netmask, sizeof(sin));
	*mask = ntohl(sin.sin_addr.s_addr);
	return *addr != 0;
}

static void
set_buffer(int fd, int forced, int plain)
{
	int size = BUFFER;

	if (setsockopt(fd, SOL_SOCKET, forced, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
}

static bool
set_int(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_IP, option, &value,
	    sizeof(value)) == 0;
}

/*
 * The group of this interface only, nothing of our own, and not further than
 * configured: 1 never passes a router.
 */
static bool
set_options(int fd)
{
	struct ip_mreqn group = { .imr_ifindex = (int)ifindex,
	    .imr_multiaddr.s_addr = htonl(lns.config.cluster_address) };

	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	return set_int(fd, IP_PKTINFO, 1) &&
	    set_int(fd, IP_MULTICAST_ALL, 0) &&
	    set_int(fd, IP_MULTICAST_LOOP, 0) &&
	    set_int(fd, IP_MULTICAST_TTL, (int)lns.config.cluster_mcast_ttl) &&
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &group,
	    sizeof(group)) == 0 &&
	    setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group,
	    sizeof(group)) == 0;
}

/* By which interface it came, and whether for the group; 0: not told. */
static unsigned int
arrival(struct msghdr *msg, bool *group)
{
	struct in_pktinfo info;
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != IPPROTO_IP ||
		    c->cmsg_type != IP_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		*group = ntohl(info.ipi_addr.s_addr) ==
		    lns.config.cluster_address;
		return (unsigned int)info.ipi_ifindex;
	}
	return 0;
}

/* As long as no router may be passed, a member's address is on the wire. */
static bool
is_neighbour(uint32_t from)
{
	return lns.config.cluster_mcast_ttl > 1 ||
	    ((from ^ address) & netmask) == 0;
}

/* False when there is no more. */
static bool
read_one(int fd)
{
	static uint8_t buf[CW_DATAGRAM_MAX + 1];
	union {
		char space[CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct cmsghdr align;
	} control;
	struct sockaddr_in sin = { 0 };
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_name = &sin, .msg_namelen = sizeof(sin),
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space,
	    .msg_controllen = sizeof(control.space) };
	bool group = false;
	ssize_t n;

	n = recvmsg(fd, &msg, MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR;
	COUNT(cluster_rx_packets);
	COUNT_ADD(cluster_rx_bytes, n);
	if (arrival(&msg, &group) != ifindex ||
	    !is_neighbour(ntohl(sin.sin_addr.s_addr)))
		COUNT(cluster_foreign);
	else
		link_input(ntohl(sin.sin_addr.s_addr), group, buf, (size_t)n);
	return true;
}

static void
readable(struct loop_fd *f)
{
	int n;

	for (n = 0; n < READS_A_TURN && f->fd >= 0 && read_one(f->fd); n++)
		continue;
	link_idle();
}

static bool
open_socket(char *err, size_t errlen)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)lns.config.cluster_port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	link_fd.fd = fd;
	if (fd < 0)
		return err_set(err, errlen, "socket: %s", strerror(errno));
	if (!look_up(fd, &ifindex, &address, &netmask))
		return err_set(err, errlen, "cluster_interface %s: %s",
		    lns.config.cluster_interface, errno == EADDRNOTAVAIL ?
		    "it has no IPv4 address" : strerror(errno));
	if (!set_options(fd))
		return err_set(err, errlen, "multicast on %s: %s",
		    lns.config.cluster_interface, strerror(errno));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		return err_set(err, errlen, "port %u: %s",
		    (unsigned int)lns.config.cluster_port, strerror(errno));
	link_fd.stage = LOOP_CLUSTER;
	link_fd.readable = readable;
	if (!loop_add(&link_fd))
		return err_set(err, errlen, "socket: %s", strerror(errno));
	return true;
}

bool
link_open(char *err, size_t errlen)
{
	link_close();
	if (open_socket(err, errlen))
		return true;
	link_close();
	return false;
}

void
link_close(void)
{
	if (link_fd.fd >= 0) {
		loop_del(&link_fd);
		close(link_fd.fd);
	}
	link_fd.fd = -1;
	address = 0;
}

uint32_t
link_address(void)
{
	return address;
}

bool
link_changed(void)
{
	unsigned int index = 0;
	uint32_t addr = 0, mask;

	return link_fd.fd < 0 || !look_up(link_fd.fd, &index, &addr, &mask) ||
	    index != ifindex || addr != address;
}

/*
 * From our own address by our own interface, whatever the routes say: members
 * know each other by where datagrams come from.
 */
bool
link_send(uint32_t to, const void *buf, size_t len)
{
	struct in_pktinfo info = { .ipi_ifindex = (int)ifindex,
	    .ipi_spec_dst.s_addr = htonl(address) };
	union {
		char space[CMSG_SPACE(sizeof(info))];
		struct cmsghdr align;
	} control = { .space = "" };
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)lns.config.cluster_port),
	    .sin_addr.s_addr = htonl(to != 0 ? to :
	    lns.config.cluster_address) };
	struct iovec iov = { (void *)buf, len };
	struct msghdr msg = { .msg_name = &sin, .msg_namelen = sizeof(sin),
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space,
	    .msg_controllen = sizeof(control.space) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	if (link_fd.fd < 0 || sendmsg(link_fd.fd, &msg, MSG_DONTWAIT) < 0) {
		COUNT(cluster_tx_errors);
		return false;
	}
	COUNT(cluster_tx_packets);
	COUNT_ADD(cluster_tx_bytes, len);
	return true;
}
