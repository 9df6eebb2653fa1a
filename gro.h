/*
 * gro.h - joining packets of one flow before they go to the TUN device
 *
 * A batch of IP packets goes in, in the order of arrival; groups come out.  A
 * group is one packet as it was, or several of one TCP or UDP flow that the
 * kernel takes as one super-packet and that it would, if it had to, cut into
 * exactly the packets that came.  The order within a flow never changes.
 * Codec: no side effects but on the headers of the packets that it joins.
 */
#ifndef GRO_H
#define GRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "gso.h"

#define GRO_PACKETS	1024	/* a batch at most */
#define GRO_BUCKETS	256

/* A packet, and the next of its group. */
struct gro_packet {
	uint8_t *ip;
	uint16_t len;
	uint16_t next;			/* index + 1; 0: the last */
};

struct gro_group {
	uint16_t first, last;		/* packets */
	uint16_t count;
	uint16_t same_bucket;		/* next group of the bucket, + 1 */
	uint32_t hash;
	uint32_t len;			/* of the joined packet */
	uint32_t next_seq;		/* TCP: where the next one must begin */
	uint16_t next_id;		/* IPv4: and the id it must have */
	uint16_t size;			/* payload of each but the last */
	uint16_t l4, hlen;		/* headers, as in struct gso */
	bool ipv6, tcp;
	bool open;			/* may still grow */
	bool verified;			/* the first one's checksum is right */
};

struct gro {
	bool tcp, udp;			/* what the device takes joined */
	uint16_t npackets, ngroups;
	uint16_t bucket[GRO_BUCKETS];	/* group + 1 */
	uint16_t barrier[GRO_BUCKETS];	/* by hosts: only groups behind this
					 * one, + 1, may grow */
	struct gro_packet packet[GRO_PACKETS];
	struct gro_group group[GRO_PACKETS];
};

/* Empties the batch. */
void gro_reset(struct gro *);

/*
 * Adds a packet whose IP header has been checked (version, lengths, header
 * checksum) and whose len is its Total Length.  It must stay where it is
 * until the batch is written.  The caller keeps count: GRO_PACKETS at most.
 */
void gro_add(struct gro *, uint8_t *ip, size_t len);

/*
 * Makes group i ready to be written: fills the device's header and at most
 * 1 + count iovecs, vnet first.  Returns their number.
 */
size_t gro_iov(struct gro *, unsigned int i, uint8_t vnet[VNET_HDR],
    struct iovec *);

#endif
