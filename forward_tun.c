/*
 * forward_tun.c - the TUN device: packets in, packets out, many at once
 *
 * In: packets are read one by one, which is all that the device offers, but
 * into one arena behind each other, a handful before the first is looked at:
 * so the table lookups of the later ones can be started while the earlier
 * ones are worked on.  With IFF_VNET_HDR the kernel hands down super-packets
 * of up to 64 KiB and leaves checksums to us.
 *
 * Out: a batch is joined by gro.c and written a group at a time.
 *
 * Owns:     the batch on its way to the device; the descriptor is tun.c's.
 * Calls:    forward_found_from_tun() and forward_super_from_tun().
 * Lifetime: tundev_open() to tundev_close().
 */
#include "forward_io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "forward.h"
#include "gro.h"
#include "log.h"
#include "loop.h"
#include "table.h"
#include "tun.h"

#define READS		32		/* packets read before the first is
					 * worked on */
#define READ_MAX	65536		/* a super-packet */

/* What must be free in the arena: a packet, and headers for its segments. */
#define READ_SPACE	(FORWARD_HEADROOM + READ_MAX + LAC_ROOM)

static struct loop_fd tun = { .fd = -1 };
static bool vnet;			/* IFF_VNET_HDR is on */

static struct gro gro;
static uint32_t sids[GRO_PACKETS];	/* of the packets in gro */
static bool headroom[GRO_PACKETS];	/* VNET_HDR octets in front are free */
static struct iovec iov[GRO_PACKETS + 1];

/* --- out ------------------------------------------------------------------ */

/* What was counted for a subscriber did not pass. */
static void
packet_failed(uint16_t n, int error)
{
	static struct log_limit limit;
	struct session *s = session_by_sid(sids[n]);

	COUNT(eth_tx_errors);
	log_limited(&limit, LOG_L_WARN, 0, sids[n],
	    "writing to the TUN device: %s", strerror(error));
	if (s != NULL) {
		s->rx_octets -= gro.packet[n].len;
		s->rx_packets--;
	}
}

static void
group_failed(const struct gro_group *g, int error)
{
	uint16_t n = g->first;

	for (unsigned int i = 0; i < g->count; i++) {
		packet_failed(n, error);
		n = (uint16_t)(gro.packet[n].next - 1);
	}
}

/* Without its header where the device has none. */
static int
write_parts(struct iovec *part, size_t n)
{
	ssize_t done = vnet ? writev(tun.fd, part, (int)n) :
	    writev(tun.fd, part + 1, (int)n - 1);

	return done < 0 ? errno : 0;
}

/* A packet with no room in front of it. */
static int
write_apart(const struct gro_packet *p)
{
	uint8_t none[VNET_HDR] = { 0 };
	struct iovec part[2] = { { none, VNET_HDR }, { p->ip, p->len } };

	return write_parts(part, 2);
}

/*
 * One packet that nothing was joined to: as a rule the device's header takes
 * the place of the L2TP and PPP headers in front of it, which nobody needs
 * any more, and it is a plain write.
 */
static int
write_alone(uint16_t n)
{
	const struct gro_packet *p = &gro.packet[n];
	size_t header = vnet ? VNET_HDR : 0;

	if (vnet && !headroom[n])
		return write_apart(p);
	memset(p->ip - header, 0, header);
	return write(tun.fd, p->ip - header, p->len + header) < 0 ? errno : 0;
}

static void
write_one(uint16_t n)
{
	int error = write_alone(n);

	if (error != 0) {
		packet_failed(n, error);
	} else {
		COUNT(eth_tx_packets);
		COUNT_ADD(eth_tx_bytes, gro.packet[n].len);
	}
}

/* The packets of a group that the kernel did not take, as they came. */
static void
write_singly(const struct gro_group *g, const uint8_t *headers)
{
	uint16_t n = g->first;

	memcpy(gro.packet[n].ip, headers, g->hlen);
	for (unsigned int i = 0; i < g->count; i++) {
		uint16_t next = gro.packet[n].next;

		write_one(n);
		n = (uint16_t)(next - 1);
	}
}

/*
 * A joined packet that the kernel finds fault with (EINVAL; what it looks for
 * differs from version to version) is no reason to lose what it was made of.
 */
static void
write_group(unsigned int i)
{
	const struct gro_group *g = &gro.group[i];
	uint8_t header[VNET_HDR], headers[GSO_HEADERS];
	size_t n;
	int error;

	memcpy(headers, gro.packet[g->first].ip, g->hlen);
	n = gro_iov(&gro, i, header, iov);
	error = write_parts(iov, n);
	if (error == 0) {
		COUNT_ADD(eth_tx_packets, g->count);
		COUNT_ADD(eth_tx_bytes, g->len + (g->count - 1u) * g->hlen);
	} else if (error == EINVAL) {
		write_singly(g, headers);
	} else {
		group_failed(g, error);
	}
}

void
tundev_flush(void)
{
	if (gro.npackets == 0)
		return;
	for (unsigned int i = 0; i < gro.ngroups; i++) {
		if (gro.group[i].count == 1)
			write_one(gro.group[i].first);
		else
			write_group(i);
	}
	gro_reset(&gro);
}

void
tundev_put(uint8_t *ip, size_t len, size_t room, uint32_t sid)
{
	if (gro.npackets == GRO_PACKETS)
		tundev_flush();
	sids[gro.npackets] = sid;
	headroom[gro.npackets] = room >= VNET_HDR;
	gro_add(&gro, ip, len);
}

/* --- in ------------------------------------------------------------------- */

/* A packet that was read, still to be worked on. */
struct read {
	uint8_t *ip;
	size_t len;
	uint32_t sid;			/* whose it will be */
	struct vnet v;
};

/*
 * 1: a packet; 0: nothing more to read for now.  A device that somebody
 * removed stays "readable" for ever: it is not asked again.
 */
static int
read_packet(struct read *r)
{
	static struct log_limit limit;
	size_t header = vnet ? VNET_HDR : 0;
	ssize_t n;

	if (lac_space() < READ_SPACE)
		return 0;
	/* The device's header comes to lie where ours will be written. */
	r->ip = lac_room(0) + FORWARD_HEADROOM;
	n = read(tun.fd, r->ip - header, READ_MAX + header);
	if (n > (ssize_t)header) {
		r->len = (size_t)n - header;
		r->v = (struct vnet){ 0 };
		if (vnet)
			vnet_decode(r->ip - header, &r->v);
		lac_keep(FORWARD_HEADROOM + r->len);
		lac_hold();
		return 1;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	COUNT(eth_rx_errors);
	if (n < 0 && errno == EBADFD) {
		log_crit("the TUN device is gone; no packet can pass until "
		    "the daemon is started again");
		loop_del(&tun);
		return 0;
	}
	log_limited(&limit, LOG_L_ERROR, 0, 0, "reading the TUN device: %s",
	    n < 0 ? strerror(errno) : "end of file");
	return 0;
}

static void
work_on(struct read *r)
{
	if (r->v.gso_type != VNET_GSO_NONE) {
		forward_super_from_tun(r->ip, r->len, &r->v, r->sid);
		return;
	}
	if ((r->v.flags & VNET_F_NEEDS_CSUM) != 0 &&
	    !gso_complete_checksum(r->ip, r->len, &r->v)) {
		COUNT(eth_rx_errors);
		return;
	}
	forward_found_from_tun(r->ip, r->len, r->sid);
}

/* Reads a handful and works on it; false when there is nothing more. */
static bool
read_some(void)
{
	static struct read r[READS];
	unsigned int n, i;

	if (lac_space() < READ_SPACE)
		lac_reset();
	for (n = 0; n < READS && read_packet(&r[n]) > 0; n++)
		forward_ahead_tun(r[n].ip, r[n].len);
	/*
	 * Not one by one between the reads: finding the page of one of 60,000
	 * sessions takes 60 ns, which a system call would wait for.  In a row
	 * they overlap.
	 */
	for (i = 0; i < n; i++)
		r[i].sid = forward_find_tun(r[i].ip, r[i].len);
	for (i = 0; i < n; i++)
		work_on(&r[i]);
	return n == READS || lac_space() < READ_SPACE;
}

static void
tun_readable(struct loop_fd *f)
{
	int64_t rounds = lns.config.multi_read_count * 2;

	(void)f;
	COUNT(call_processtun);
	lac_settle();
	while (rounds-- > 0 && read_some())
		continue;
	lac_reset();
}

/* --- start and stop --------------------------------------------------------- */

bool
tundev_open(int fd, char *err, size_t errlen)
{
	vnet = tun_has_vnet();
	gro_reset(&gro);
	gro.tcp = vnet;
	gro.udp = vnet && tun_has_uso();
	tun = (struct loop_fd){ .fd = fd, .stage = LOOP_TUN,
	    .readable = tun_readable };
	if (fd < 0 || loop_add(&tun))
		return true;
	snprintf(err, errlen, "watching the TUN device: %s", strerror(errno));
	return false;
}

/* The descriptor is closed by tun_close(). */
void
tundev_close(void)
{
	loop_del(&tun);
	tun.fd = -1;
}
