/*
 * tun.c - the TUN device, its addresses and the kernel's routes (libmnl)
 *
 * Everything that is asked of the kernel at start (link, addresses) is asked
 * on a socket of its own and waited for; that is over within microseconds and
 * before the loop runs.  Routes come and go while packets flow, so they are
 * queued and sent from a timer, a slice of them a turn: ten thousand
 * subscribers leaving at once stall nobody.  The kernel is asked to answer
 * failures only, which need no room when all is well; they are read and
 * logged when they come.
 *
 * Another socket hears of addresses that come and go on this machine.  They
 * are kept sorted, because the data path asks for nearly each packet of a
 * subscriber whether it is meant for ourselves.
 *
 * Owns:     the TUN descriptor, two netlink sockets, the counts of routes, the
 *           list of our own addresses.
 * Calls:    loop.h, timer.h, lpm.h (as a map of prefix -> count), log.h.
 * Lifetime: tun_open() to tun_close().  The device is not persistent: when the
 *           descriptor is closed, however the process ends, it goes, and with
 *           it its addresses and routes.
 */
#define _GNU_SOURCE 1
#include "tun.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>

#include "log.h"
#include "loop.h"

#define TUN_DEVICE	"/dev/net/tun"

/*
 * txqueuelen, packets.  The queue is empty nearly always: a packet for nobody
 * takes less time to read than to send.  It is there for the moments in which
 * this process does something else or has no processor, 10 to 50 ms at times,
 * and then it drops whatever comes, everybody's packets alike.  With 1,000 a
 * flood of 300,000 a second to one subscriber cost the others 0.1 % of their
 * packets and 200,000 sessions that came up 0.3 % of theirs; with 4,000 both
 * cost nothing.  Nor do packets wait longer for it: 4,000 are worked off in
 * 4 ms.  More reads a turn (multi_read_count) would not help, as they happen
 * only while the process runs.
 */
#define TUN_QUEUE	4000

/* IP, UDP, L2TP and PPP headers around a subscriber's packet. */
#define OVERHEAD	(20 + 8 + 6 + 4)

/* The manual's address of the device when no other is given: 1.1.1.1. */
#define DEFAULT_ADDRESS	0x01010101u

/*
 * What peers are told in IPCP when nobody configured it: 192.0.0.8, the IPv4
 * dummy address of RFC 7600.  It must not be an address that the LAC reaches
 * us at.  A Linux client makes a host route to its PPP peer through ppp0;
 * where client and LAC are one machine (xl2tpd), that route takes the outer
 * packets too, and the tunnel swallows itself: "Dead loop on virtual device
 * ppp0".  Nobody ever has to reach this address but over his own link, so it
 * may be the same for all.
 */
#define DUMMY_ADDRESS	0xc0000008u

/* An address of class E: only the default route leads there. */
#define NOWHERE		0xf0000001u

#define SLICE		64		/* route requests a turn */
#define REQUEST_ROOM	64		/* octets, more than one request */

/* A buffer that netlink headers may lie in. */
#define NETLINK_BUF(buf, size)	char buf[size] __attribute__((aligned(8)))

/* Of linux/if_tun.h since 6.2; an older header may be what we build with. */
#ifndef TUN_F_USO4
#define TUN_F_USO4	0x20
#define TUN_F_USO6	0x40
#endif

static int tun_fd = -1;
static bool has_vnet, has_uso;
static char name[IFNAMSIZ];
static unsigned int ifindex;
static uint32_t seq;

/* Our own addresses, sorted, each once. */
static struct {
	uint32_t *addr;
	size_t n, room;
} own;

/* Requests on their way to the kernel. */
struct request {
	uint32_t addr;
	uint8_t len;
	bool add;
};
static struct {
	struct request *req;
	size_t first, n, room;		/* first..n are still to be sent */
} queue;

static struct lpm *counts;		/* prefix -> how often it was added */
static struct mnl_socket *route_nl, *monitor_nl;
static struct loop_fd route_fd = { .fd = -1 }, monitor_fd = { .fd = -1 };
static struct timer route_timer;
static struct {
	void (*added)(uint32_t addr, uint8_t len);
	void (*removed)(uint32_t addr, uint8_t len);
} watcher;

const char *
tun_name(void)
{
	return name;
}

uint32_t
tun_address(void)
{
	if (lns.config.iftun_address != 0)
		return lns.config.iftun_address;
	if (lns.config.bind_address != 0)
		return lns.config.bind_address;
	return DEFAULT_ADDRESS;
}

/*
 * An iftun_address of its own is known to be no address that LACs use; one
 * that is the bind_address is exactly that.
 */
uint32_t
tun_peer_address(void)
{
	const struct config *c = &lns.config;

	if (c->peer_address != 0)
		return c->peer_address;
	if (c->iftun_address != 0 && c->iftun_address != c->bind_address)
		return c->iftun_address;
	return DUMMY_ADDRESS;
}

/* --- netlink ------------------------------------------------------------ */

static struct mnl_socket *
netlink_open(int flags, unsigned int groups)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE,
	    SOCK_CLOEXEC | flags);

	if (nl != NULL && mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(nl);
		nl = NULL;
	}
	return nl;
}

static struct nlmsghdr *
request_begin(void *buf, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nlh->nlmsg_seq = ++seq;
	return nlh;
}

/*
 * Sends a request on a socket of its own and hands the answers to cb.  False
 * with errno set.  rtnetlink works inside the call: nothing is waited for.
 */
static bool
ask(struct nlmsghdr *nlh, mnl_cb_t cb, void *arg)
{
	NETLINK_BUF(buf, 32768);
	struct mnl_socket *nl = netlink_open(0, 0);
	ssize_t n = 0;
	int rc = -1, error;

	if (nl == NULL)
		return false;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) >= 0) {
		do {
			n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
			rc = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n,
			    nlh->nlmsg_seq, mnl_socket_get_portid(nl), cb,
			    arg);
		} while (rc > MNL_CB_STOP);
	}
	error = errno;
	mnl_socket_close(nl);
	errno = error;
	return rc >= 0;
}

/* Attribute parsing: tb[type] for the types below max. */
struct attrs {
	const struct nlattr *tb[IFA_MAX + 1 > RTA_MAX + 1 ? IFA_MAX + 1 :
	    RTA_MAX + 1];
};

static int
keep_attr(const struct nlattr *attr, void *arg)
{
	struct attrs *a = arg;
	size_t type = mnl_attr_get_type(attr);

	if (type < sizeof(a->tb) / sizeof(a->tb[0]))
		a->tb[type] = attr;
	return MNL_CB_OK;
}

/* A four-octet attribute, as it stands in memory; 0 if absent. */
static uint32_t
attr_u32(const struct attrs *a, int type)
{
	if (a->tb[type] == NULL ||
	    mnl_attr_get_payload_len(a->tb[type]) < sizeof(uint32_t))
		return 0;
	return mnl_attr_get_u32(a->tb[type]);
}

/* --- the device --------------------------------------------------------- */

bool
tun_has_vnet(void)
{
	return has_vnet;
}

bool
tun_has_uso(void)
{
	return has_uso;
}

/*
 * Super-packets and unfinished checksums, as far as this kernel has them: UDP
 * came later than TCP.
 */
static void
set_offload(void)
{
	unsigned int tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

	has_uso = has_vnet && ioctl(tun_fd, TUNSETOFFLOAD,
	    tcp | TUN_F_USO4 | TUN_F_USO6) == 0;
	if (has_vnet && !has_uso && ioctl(tun_fd, TUNSETOFFLOAD, tcp) < 0)
		log_warn("this kernel's TUN device has no offloads");
}

/* TUNSETIFF, with a virtio_net_hdr if that is wanted and there. */
static bool
set_interface(struct ifreq *ifr)
{
	has_vnet = false;
	ifr->ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
	if (lns.config.offload && ioctl(tun_fd, TUNSETIFF, ifr) == 0) {
		has_vnet = true;
		return true;
	}
	ifr->ifr_flags = IFF_TUN | IFF_NO_PI;
	return ioctl(tun_fd, TUNSETIFF, ifr) == 0;
}

/* What whoever starts the daemon may do about it. */
static const char *
advice(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return " (it takes root)";
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return " (is the kernel's module tun loaded?)";
	case EBUSY:
		return " (is another l2tpns running?)";
	default:
		return "";
	}
}

/* Creates it; the kernel tells its name, which may have been left to it. */
static bool
create_device(char *err, size_t errlen)
{
	const char *want = lns.config.tundevicename;
	struct ifreq ifr = { 0 };

	if (strlen(want) >= IFNAMSIZ) {
		snprintf(err, errlen, "tundevicename %s: longer than %d "
		    "characters", want, IFNAMSIZ - 1);
		return false;
	}
	memcpy(ifr.ifr_name, want, strlen(want));
	tun_fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tun_fd < 0) {
		snprintf(err, errlen, "%s: %s%s", TUN_DEVICE, strerror(errno),
		    advice(errno));
		return false;
	}
	if (!set_interface(&ifr)) {
		snprintf(err, errlen, "creating TUN device %s: %s%s", want,
		    strerror(errno), advice(errno));
		return false;
	}
	set_offload();
	snprintf(name, sizeof(name), "%s", ifr.ifr_name);
	ifindex = if_nametoindex(name);
	if (ifindex == 0)
		snprintf(err, errlen, "TUN device %s: %s", name,
		    strerror(errno));
	return ifindex != 0;
}

static bool
set_link(void)
{
	NETLINK_BUF(buf, 512);
	struct nlmsghdr *nlh = request_begin(buf, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = (int)ifindex;
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	mnl_attr_put_u32(nlh, IFLA_MTU,
	    (uint32_t)(lns.config.l2tp_mtu - OVERHEAD));
	mnl_attr_put_u32(nlh, IFLA_TXQLEN, TUN_QUEUE);
	return ask(nlh, NULL, NULL);
}

static bool
add_address(uint32_t addr)
{
	NETLINK_BUF(buf, 512);
	struct nlmsghdr *nlh = request_begin(buf, RTM_NEWADDR,
	    NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));

	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = 32;
	ifa->ifa_scope = RT_SCOPE_UNIVERSE;
	ifa->ifa_index = ifindex;
	mnl_attr_put_u32(nlh, IFA_LOCAL, htonl(addr));
	mnl_attr_put_u32(nlh, IFA_ADDRESS, htonl(addr));
	return ask(nlh, NULL, NULL);
}

static bool
set_device(char *err, size_t errlen)
{
	const char *what = "setting MTU and queue, link up";

	if (!set_link())
		goto fail;
	what = "adding its address";
	if (!add_address(tun_address()))
		goto fail;
	what = "adding the peer_address";
	if (tun_peer_address() != tun_address() &&
	    !add_address(tun_peer_address()))
		goto fail;
	return true;
fail:
	snprintf(err, errlen, "TUN device %s: %s: %s", name, what,
	    strerror(errno));
	return false;
}

/* --- our own addresses -------------------------------------------------- */

/* The place of the first own address that is not below addr. */
static size_t
own_place(uint32_t addr)
{
	size_t low = 0, high = own.n, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (own.addr[mid] < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool
tun_address_own(uint32_t addr)
{
	size_t i = own_place(addr);

	return i < own.n && own.addr[i] == addr;
}

static bool
own_add(uint32_t addr)
{
	size_t i = own_place(addr), room;
	uint32_t *p;

	if (i < own.n && own.addr[i] == addr)
		return true;
	if (own.n == own.room) {
		room = own.room * 2 + 16;
		p = realloc(own.addr, room * sizeof(*p));
		if (p == NULL)
			return false;
		own.addr = p;
		own.room = room;
	}
	memmove(own.addr + i + 1, own.addr + i,
	    (own.n - i) * sizeof(*own.addr));
	own.addr[i] = addr;
	own.n++;
	return true;
}

static int
see_address(const struct nlmsghdr *nlh, void *arg)
{
	struct attrs a = { { NULL } };
	uint32_t addr;

	(void)arg;
	if (nlh->nlmsg_type != RTM_NEWADDR)
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(struct ifaddrmsg), keep_attr, &a);
	addr = attr_u32(&a, a.tb[IFA_LOCAL] != NULL ? IFA_LOCAL : IFA_ADDRESS);
	if (addr != 0 && !own_add(ntohl(addr)))
		log_error("no memory for the list of own addresses");
	return MNL_CB_OK;
}

/* Asks for all addresses; those of the configuration are ours in any case. */
static void
learn_addresses(void)
{
	NETLINK_BUF(buf, 512);
	struct nlmsghdr *nlh = request_begin(buf, RTM_GETADDR, NLM_F_DUMP);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));

	ifa->ifa_family = AF_INET;
	own.n = 0;
	own_add(tun_address());
	own_add(tun_peer_address());
	if (lns.config.bind_address != 0)
		own_add(lns.config.bind_address);
	if (!ask(nlh, see_address, NULL))
		log_error("reading this machine's addresses: %s",
		    strerror(errno));
}

/* What exactly changed does not matter, nor whether a message was lost. */
static void
addresses_changed(struct loop_fd *f)
{
	NETLINK_BUF(buf, 8192);
	int reads = 64;

	(void)f;
	while (reads-- > 0 &&
	    (mnl_socket_recvfrom(monitor_nl, buf, sizeof(buf)) > 0 ||
	    errno == ENOBUFS))
		continue;
	learn_addresses();
}

static bool
is_reserved(uint32_t addr)
{
	return addr >> 24 == 0 || addr >> 24 == 127 || addr >> 29 == 7;
}

bool
tun_address_forbidden(uint32_t addr)
{
	return tun_prefix_forbidden(addr, 32);
}

/* A prefix must hold none of the addresses that are not to be given away. */
bool
tun_prefix_forbidden(uint32_t addr, uint8_t len)
{
	const struct config *c = &lns.config;
	const uint32_t fixed[] = { tun_address(), tun_peer_address(),
	    c->bind_address, c->primary_radius, c->secondary_radius };
	uint32_t mask, last;
	size_t i;

	if (len == 0 || len > 32)
		return true;
	mask = UINT32_MAX << (32 - len);
	addr &= mask;
	last = addr | ~mask;
	if (is_reserved(addr) || is_reserved(last) ||
	    (addr < 0x7f000000u && last > 0x7f000000u))
		return true;
	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (fixed[i] != 0 && (fixed[i] & mask) == addr)
			return true;
	i = own_place(addr);
	return i < own.n && own.addr[i] <= last;
}

/* --- the default route -------------------------------------------------- */

struct way {
	unsigned int index;
	uint32_t source;
};

static int
see_way(const struct nlmsghdr *nlh, void *arg)
{
	struct attrs a = { { NULL } };
	struct way *w = arg;

	if (nlh->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(struct rtmsg), keep_attr, &a);
	w->index = attr_u32(&a, RTA_OIF);
	w->source = ntohl(attr_u32(&a, RTA_PREFSRC));
	return MNL_CB_STOP;
}

/* Where the kernel would send a packet that only the default route takes. */
static struct way
default_way(void)
{
	NETLINK_BUF(buf, 512);
	struct nlmsghdr *nlh = request_begin(buf, RTM_GETROUTE, 0);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	struct way w = { 0, 0 };

	rtm->rtm_family = AF_INET;
	rtm->rtm_dst_len = 32;
	mnl_attr_put_u32(nlh, RTA_DST, htonl(NOWHERE));
	if (!ask(nlh, see_way, &w))
		return (struct way){ 0, 0 };
	return w;
}

uint32_t
tun_default_address(void)
{
	return default_way().source;
}

unsigned int
tun_default_index(void)
{
	return default_way().index;
}

/* --- routes ------------------------------------------------------------- */

/*
 * CREATE alone puts our route in front of one to the same prefix that is
 * somebody else's, and leaves that alone; the device in the request keeps the
 * removal away from it too.
 */
static void
put_request(struct nlmsghdr *nlh, const struct request *r)
{
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = AF_INET;
	rtm->rtm_dst_len = r->len;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = RT_SCOPE_LINK;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(nlh, RTA_DST, htonl(r->addr));
	mnl_attr_put_u32(nlh, RTA_OIF, ifindex);
}

/* As many of the queued requests as one turn may take, in one message. */
static void
send_slice(struct timer *t)
{
	static struct log_limit limit;
	NETLINK_BUF(buf, SLICE * REQUEST_ROOM);
	struct request *r;
	struct nlmsghdr *nlh;
	size_t used = 0;
	int n;

	for (n = 0; n < SLICE && queue.first < queue.n; n++) {
		r = &queue.req[queue.first++];
		nlh = r->add ?
		    request_begin(buf + used, RTM_NEWROUTE, NLM_F_CREATE) :
		    request_begin(buf + used, RTM_DELROUTE, 0);
		put_request(nlh, r);
		used += MNL_ALIGN(nlh->nlmsg_len);
	}
	if (used > 0 && mnl_socket_sendto(route_nl, buf, used) < 0)
		log_limited(&limit, LOG_L_ERROR, 0, 0,
		    "routes to the kernel: %s", strerror(errno));
	if (queue.first < queue.n)
		timer_arm(t, 0);
	else
		queue.first = queue.n = 0;
}

static void
request(uint32_t addr, uint8_t len, bool add)
{
	size_t room;
	struct request *p;

	if (queue.n == queue.room) {
		room = queue.room * 2 + SLICE;
		p = realloc(queue.req, room * sizeof(*p));
		if (p == NULL) {
			log_error("no memory to %s a route",
			    add ? "add" : "remove");
			return;
		}
		queue.req = p;
		queue.room = room;
	}
	queue.req[queue.n++] = (struct request){ addr, len, add };
	if (!timer_armed(&route_timer))
		timer_arm(&route_timer, 0);
}

static uint32_t
network(uint32_t addr, uint8_t len)
{
	return len == 0 ? 0 : addr & UINT32_MAX << (32 - len);
}

void
tun_watch_routes(void (*added)(uint32_t addr, uint8_t len),
    void (*removed)(uint32_t addr, uint8_t len))
{
	watcher.added = added;
	watcher.removed = removed;
}

/* The first route to a prefix, or its last: for the kernel, and who watches. */
static void
route_changed(uint32_t addr, uint8_t len, bool add)
{
	void (*tell)(uint32_t, uint8_t) = add ? watcher.added :
	    watcher.removed;

	request(addr, len, add);
	if (tell != NULL)
		tell(addr, len);
}

void
tun_route_add(uint32_t addr, uint8_t len)
{
	uint32_t n;

	if (tun_fd < 0 || len > 32)
		return;
	addr = network(addr, len);
	n = lpm_get(counts, addr, len);
	if (!lpm_set(counts, addr, len, n + 1))
		log_error("no memory to count a route");
	else if (n == 0)
		route_changed(addr, len, true);
}

void
tun_route_del(uint32_t addr, uint8_t len)
{
	uint32_t n;

	if (tun_fd < 0 || len > 32)
		return;
	addr = network(addr, len);
	n = lpm_get(counts, addr, len);
	if (n > 1) {
		lpm_set(counts, addr, len, n - 1);
	} else if (n == 1) {
		lpm_del(counts, addr, len, n);
		route_changed(addr, len, false);
	}
}

/* A refusal quotes the request, so nothing has to be remembered here. */
static void
report_refusal(const struct nlmsghdr *nlh)
{
	static struct log_limit limit;
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	const struct rtmsg *rtm;
	struct attrs a = { { NULL } };
	uint32_t addr;
	size_t room;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
		return;
	room = mnl_nlmsg_get_payload_len(nlh) - sizeof(e->error);
	if (e->error == 0 || e->msg.nlmsg_len > room ||
	    e->msg.nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*rtm))
		return;
	if (e->error == -EEXIST || (e->error == -ESRCH &&
	    e->msg.nlmsg_type == RTM_DELROUTE))
		return;			/* as it should be */
	rtm = mnl_nlmsg_get_payload(&e->msg);
	mnl_attr_parse(&e->msg, sizeof(*rtm), keep_attr, &a);
	addr = ntohl(attr_u32(&a, RTA_DST));
	log_limited(&limit, LOG_L_ERROR, 0, 0,
	    "%s the route to %u.%u.%u.%u/%u: %s",
	    e->msg.nlmsg_type == RTM_NEWROUTE ? "adding" : "removing",
	    addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255,
	    rtm->rtm_dst_len, strerror(-e->error));
}

static void
routes_answered(struct loop_fd *f)
{
	NETLINK_BUF(buf, 8192);
	const struct nlmsghdr *nlh;
	int reads = 64, left;
	ssize_t n;

	(void)f;
	while (reads-- > 0) {
		n = mnl_socket_recvfrom(route_nl, buf, sizeof(buf));
		if (n < 0 && errno == ENOBUFS)
			log_error("more failures with routes than can be "
			    "told one by one");
		else if (n <= 0)
			return;
		nlh = (const struct nlmsghdr *)buf;
		for (left = (int)n; mnl_nlmsg_ok(nlh, left);
		    nlh = mnl_nlmsg_next(nlh, &left))
			if (nlh->nlmsg_type == NLMSG_ERROR)
				report_refusal(nlh);
	}
}

/* --- start and stop ----------------------------------------------------- */

static bool
watch(struct mnl_socket **nl, struct loop_fd *f, unsigned int groups,
    void (*readable)(struct loop_fd *))
{
	*nl = netlink_open(SOCK_NONBLOCK, groups);
	if (*nl == NULL)
		return false;
	*f = (struct loop_fd){ .fd = mnl_socket_get_fd(*nl),
	    .stage = LOOP_SERVICE, .readable = readable };
	return loop_add(f);
}

int
tun_open(char *err, size_t errlen)
{
	if (!create_device(err, errlen) || !set_device(err, errlen)) {
		tun_close();
		return -1;
	}
	route_timer.fire = send_slice;
	counts = lpm_new();
	if (counts == NULL ||
	    !watch(&route_nl, &route_fd, 0, routes_answered) ||
	    !watch(&monitor_nl, &monitor_fd, RTMGRP_IPV4_IFADDR,
	    addresses_changed)) {
		snprintf(err, errlen, "netlink: %s", strerror(errno));
		tun_close();
		return -1;
	}
	learn_addresses();
	return tun_fd;
}

void
tun_close(void)
{
	timer_disarm(&route_timer);
	loop_del(&route_fd);
	loop_del(&monitor_fd);
	if (route_nl != NULL)
		mnl_socket_close(route_nl);
	if (monitor_nl != NULL)
		mnl_socket_close(monitor_nl);
	route_nl = monitor_nl = NULL;
	if (tun_fd >= 0)
		close(tun_fd);
	tun_fd = -1;
	ifindex = 0;
	name[0] = '\0';
	lpm_free(counts);
	counts = NULL;
	free(queue.req);
	memset(&queue, 0, sizeof(queue));
	free(own.addr);
	memset(&own, 0, sizeof(own));
}
