/*
 * icmp.c - ICMP host unreachable, path MTU, and gratuitous ARP
 *
 * Packets that came out of the TUN device and can go no further are answered
 * to their source, which is somewhere behind this machine's other interfaces:
 * hence a raw socket and not the TUN.  RFC 1122 3.2.2 lists what must never
 * be answered, or two machines would talk ICMP to each other for ever; RFC
 * 1812 4.3.2 adds the rate limit, without which every scan of an address pool
 * is a reflector.
 *
 * Owns:     the raw socket, two token buckets.
 * Calls:    tun.h for our address, ipv4.h.
 * Lifetime: icmp_init() to icmp_exit().
 */
#define _GNU_SOURCE 1
#include "icmp.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netinet/if_ether.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipv4.h"
#include "log.h"
#include "tun.h"
#include "wire.h"

#define ICMP_HEADER	8		/* RFC 792 */
#define QUOTED		64		/* octets of payload that are quoted */
#define ICMP_MAX	(IPV4_HEADER + ICMP_HEADER + 60 + QUOTED)

#define UNREACHABLE	3		/* RFC 792 */
#define CODE_HOST	1
#define CODE_TOO_BIG	4

#define TOS_CONTROL	0xc0		/* RFC 1812 4.3.2.5 */
#define TTL		64

#define TOO_BIG_RATE	100		/* a second */

/* Room for a second's worth; filled by the clock. */
struct bucket {
	uint64_t last;			/* ms */
	uint64_t tokens;		/* thousandths */
};

static struct bucket unreachable_bucket, too_big_bucket;
static int raw_fd = -1;

/* One packet may go, at `rate` a second. */
static bool
bucket_take(struct bucket *b, uint64_t rate)
{
	uint64_t now = timer_now(), passed = now - b->last;

	if (b->last == 0 || passed > 1000)
		passed = 1000;
	b->last = now;
	b->tokens += passed * rate;
	if (b->tokens > rate * 1000)
		b->tokens = rate * 1000;
	if (b->tokens < 1000)
		return false;
	b->tokens -= 1000;
	return true;
}

/* 0/8, 127/8, multicast and above name no single host. */
static bool
is_host(uint32_t addr)
{
	return addr >> 24 != 0 && addr >> 24 != 127 && addr >> 29 != 7;
}

/* Types that are errors themselves, or unknown and so perhaps errors. */
static bool
is_icmp_query(const uint8_t *ip, const struct ipv4 *h)
{
	if (h->len == h->hlen)
		return false;
	switch (ip[h->hlen]) {
	case 0: case 8:			/* echo */
	case 13: case 14:		/* timestamp */
	case 15: case 16:		/* information */
	case 17: case 18:		/* address mask */
		return true;
	default:
		return false;
	}
}

/* RFC 1122 3.2.2: what may be answered with an error at all. */
static bool
may_answer(const uint8_t *ip, const struct ipv4 *h, uint32_t from)
{
	if (!is_host(h->src) || h->src == from || !is_host(h->dst) ||
	    h->offset != 0)
		return false;
	return h->protocol != IPV4_ICMP || is_icmp_query(ip, h);
}

static size_t
build(const uint8_t *ip, size_t len, uint32_t from, uint8_t code, uint16_t mtu,
    uint8_t *out, size_t size)
{
	struct wr w = wr_init(out, size);
	struct ipv4 h;
	size_t quote, n;

	if (!ipv4_decode(ip, len, &h) || !may_answer(ip, &h, from))
		return 0;
	quote = h.hlen + QUOTED < h.len ? h.hlen + QUOTED : h.len;
	wr_u8(&w, 0x45);
	wr_u8(&w, TOS_CONTROL);
	wr_u16(&w, (uint16_t)(IPV4_HEADER + ICMP_HEADER + quote));
	wr_u32(&w, 0);			/* id, flags, offset */
	wr_u8(&w, TTL);
	wr_u8(&w, IPV4_ICMP);
	wr_u16(&w, 0);
	wr_u32(&w, from);
	wr_u32(&w, h.src);
	wr_u8(&w, UNREACHABLE);
	wr_u8(&w, code);
	wr_u32(&w, 0);			/* checksum, unused */
	wr_u16(&w, mtu);		/* RFC 1191 4 */
	wr_bytes(&w, ip, quote);
	n = wr_done(&w);
	if (n == 0)
		return 0;
	ipv4_set_checksum(out, IPV4_HEADER);
	ipv4_put16(out + IPV4_HEADER + 2,
	    ipv4_checksum(out + IPV4_HEADER, n - IPV4_HEADER));
	return n;
}

size_t
icmp_build_unreachable(const uint8_t *ip, size_t len, uint32_t from,
    uint8_t *out, size_t size)
{
	return build(ip, len, from, CODE_HOST, 0, out, size);
}

size_t
icmp_build_too_big(const uint8_t *ip, size_t len, uint32_t from,
    uint16_t mtu, uint8_t *out, size_t size)
{
	return build(ip, len, from, CODE_TOO_BIG, mtu, out, size);
}

static void
send_raw(const uint8_t *packet, size_t n)
{
	static struct log_limit limit;
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(ipv4_get32(packet + 16)) };

	if (sendto(raw_fd, packet, n, MSG_DONTWAIT, (struct sockaddr *)&to,
	    sizeof(to)) >= 0)
		COUNT(icmp_sent);
	else
		log_limited(&limit, LOG_L_INFO, 0, 0, "sending ICMP: %s",
		    strerror(errno));
}

/* The token is taken last: what may not be answered costs none. */
void
icmp_unreachable(const uint8_t *ip, size_t len)
{
	uint8_t out[ICMP_MAX];
	size_t n;

	if (raw_fd < 0 || lns.config.icmp_rate <= 0)
		return;
	n = icmp_build_unreachable(ip, len, tun_address(), out, sizeof(out));
	if (n > 0 && bucket_take(&unreachable_bucket,
	    (uint64_t)lns.config.icmp_rate))
		send_raw(out, n);
}

void
icmp_too_big(const uint8_t *ip, size_t len, uint16_t mtu)
{
	uint8_t out[ICMP_MAX];
	size_t n;

	if (raw_fd < 0)
		return;
	n = icmp_build_too_big(ip, len, tun_address(), mtu, out, sizeof(out));
	if (n > 0 && bucket_take(&too_big_bucket, TOO_BIG_RATE))
		send_raw(out, n);
}

/* IPPROTO_RAW: the header is ours, and nothing is ever received. */
bool
icmp_init(char *err, size_t errlen)
{
	unreachable_bucket = too_big_bucket = (struct bucket){ 0, 0 };
	raw_fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    IPPROTO_RAW);
	if (raw_fd < 0)
		snprintf(err, errlen, "raw socket for ICMP: %s",
		    strerror(errno));
	return raw_fd >= 0;
}

void
icmp_exit(void)
{
	if (raw_fd >= 0)
		close(raw_fd);
	raw_fd = -1;
}

/* --- gratuitous ARP ----------------------------------------------------- */

/* The index of the interface that has a subnet with addr and ARP, or 0. */
static unsigned int
arp_interface(uint32_t addr)
{
	const unsigned int no_arp = IFF_LOOPBACK | IFF_NOARP;
	struct ifaddrs *list, *i;
	struct sockaddr_in sin;
	unsigned int index = 0;
	uint32_t net, mask;

	if (getifaddrs(&list) < 0)
		return 0;
	for (i = list; i != NULL && index == 0; i = i->ifa_next) {
		if (i->ifa_addr == NULL || i->ifa_netmask == NULL ||
		    i->ifa_addr->sa_family != AF_INET ||
		    (i->ifa_flags & IFF_UP) == 0 ||
		    (i->ifa_flags & no_arp) != 0)
			continue;
		memcpy(&sin, i->ifa_addr, sizeof(sin));
		net = ntohl(sin.sin_addr.s_addr);
		memcpy(&sin, i->ifa_netmask, sizeof(sin));
		mask = ntohl(sin.sin_addr.s_addr);
		if (((net ^ addr) & mask) == 0)
			index = if_nametoindex(i->ifa_name);
	}
	freeifaddrs(list);
	return index;
}

/* Hardware address of the interface; false if it is no Ethernet. */
static bool
ethernet_address(int fd, unsigned int index, uint8_t mac[ETH_ALEN])
{
	struct ifreq ifr = { .ifr_ifindex = 0 };

	if (if_indextoname(index, ifr.ifr_name) == NULL ||
	    ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		return false;
	if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
		errno = EPROTONOSUPPORT;
		return false;
	}
	memcpy(mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
	return true;
}

/* RFC 826, as an announcement: sender and target are the same (RFC 5227 3). */
static bool
broadcast_arp(int fd, unsigned int index, uint32_t addr)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = (int)index,
	    .sll_halen = ETH_ALEN };
	uint8_t arp[28], mac[ETH_ALEN];
	struct wr w = wr_init(arp, sizeof(arp));

	if (!ethernet_address(fd, index, mac))
		return false;
	memset(to.sll_addr, 0xff, ETH_ALEN);
	wr_u16(&w, ARPHRD_ETHER);
	wr_u16(&w, ETH_P_IP);
	wr_u8(&w, ETH_ALEN);
	wr_u8(&w, 4);
	wr_u16(&w, ARPOP_REQUEST);
	wr_bytes(&w, mac, ETH_ALEN);
	wr_u32(&w, addr);
	wr_zero(&w, ETH_ALEN);
	wr_u32(&w, addr);
	return sendto(fd, arp, wr_done(&w), MSG_DONTWAIT,
	    (struct sockaddr *)&to, sizeof(to)) >= 0;
}

bool
garp_send(uint32_t addr, uint32_t near, char *err, size_t errlen)
{
	unsigned int index = arp_interface(addr);
	bool sent = false;
	int fd;

	if (index == 0 && near != 0)
		index = arp_interface(near);
	if (index == 0)
		index = tun_default_index();
	if (index == 0) {
		snprintf(err, errlen, "no interface for it");
		return false;
	}
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		sent = broadcast_arp(fd, index, addr);
	if (!sent)
		snprintf(err, errlen, "%s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return sent;
}
