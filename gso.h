/*
 * gso.h - cutting super-packets, completing checksums, the TUN's own header
 *
 * With IFF_VNET_HDR each packet on the TUN device has a struct virtio_net_hdr
 * in front, which says whether its checksum is still to be computed and
 * whether it stands for many segments of one TCP or UDP flow.  Codec: no side
 * effects, no logging.
 */
#ifndef GSO_H
#define GSO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VNET_HDR	10	/* octets of struct virtio_net_hdr */

#define VNET_F_NEEDS_CSUM	1

enum vnet_gso {
	VNET_GSO_NONE = 0,
	VNET_GSO_TCPV4 = 1,
	VNET_GSO_TCPV6 = 4,
	VNET_GSO_UDP_L4 = 5,
	VNET_GSO_ECN = 0x80	/* a flag beside TCPV4 and TCPV6 */
};

/* Its fields; all 16-bit ones are octets, in the host's byte order there. */
struct vnet {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

void vnet_decode(const uint8_t p[VNET_HDR], struct vnet *);
void vnet_encode(uint8_t p[VNET_HDR], const struct vnet *);

/*
 * Computes the checksum that the kernel left to us (VNET_F_NEEDS_CSUM), in a
 * packet that is not a super-packet.  False if the header makes no sense; the
 * packet is then untouched.
 */
bool gso_complete_checksum(uint8_t *ip, size_t len, const struct vnet *);

/* A super-packet on its way through the cutter. */
struct gso {
	const uint8_t *ip;	/* the packet, which must stay in place */
	size_t len;
	uint16_t hlen;		/* IP and TCP or UDP header, in octets */
	uint16_t l4;		/* where the TCP or UDP header begins */
	uint16_t size;		/* payload of each segment but the last */
	uint16_t segments, next;
	bool ipv6, tcp;
};

#define GSO_HEADERS	120	/* longest hlen: two headers of 60 octets */

/* False if it is no super-packet that makes sense. */
bool gso_begin(struct gso *, const uint8_t *ip, size_t len,
    const struct vnet *);

/*
 * The next segment: writes its headers (g->hlen octets, complete with lengths,
 * IPv4 id, sequence number, flags and checksums) to hdr and gives its payload,
 * which lies in the super-packet.  False when there are no more.
 */
bool gso_next(struct gso *g, uint8_t *hdr, const uint8_t **payload,
    size_t *len);

#endif
