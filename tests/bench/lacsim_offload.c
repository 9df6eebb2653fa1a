/*
 * lacsim_offload.c - TCP in large pieces between lacsim and its TUN device
 *
 * A subscriber's stack that takes and gives TCP one segment at a time is
 * slower than a good LNS, and would be what a throughput test measures.  With
 * --tun-offload the kernel hands over up to 64 KB at once, which are cut into
 * segments here, and gets segments that came one after the other as one piece.
 *
 * Every segment from the LNS is checked first, whether it is joined or not:
 * lengths, IP and TCP checksums.  A bad one is counted and dropped, as the
 * kernel would, because a joined piece would hide it.
 *
 * Owns:     the pieces being put together.
 * Calls:    ip_send() upstream, tun_put() downstream.
 * Lifetime: no piece outlives a turn of the loop.
 */
#include "lacsim.h"

#include <linux/virtio_net.h>
#include <string.h>

#define PIECES		32
#define PIECE_MAX	65000
#define FIN		0x01
#define PSH		0x08
#define ACK		0x10
#define CWR		0x80

/* ---- what the kernel hands over ---- */

static void
checksum_finish(uint8_t *p, size_t n, size_t start, size_t offset)
{
	uint16_t sum;

	if (start + offset + 2 > n || start < 20)
		return;
	/* The field holds the pseudo header's sum: RFC 1071 goes on from it. */
	sum = sum_done(sum16(0, p + start, n - start));
	if (!sum && p[9] == IPPROTO_UDP)
		sum = 0xffff;
	put16(p + start + offset, sum);
}

static void
tcp_checksum(uint8_t *p, size_t n)
{
	uint32_t sum = IPPROTO_TCP + (uint32_t)(n - 20);

	put16(p + 36, 0);
	put16(p + 36, sum_done(sum16(sum16(sum, p + 12, 8), p + 20, n - 20)));
}

static void
ip_finish(uint8_t *p, size_t n, uint16_t id)
{
	put16(p + 2, (uint16_t)n);
	put16(p + 4, id);
	put16(p + 10, 0);
	put16(p + 10, sum_done(sum16(0, p, 20)));
}

/* RFC 9293: each piece a segment of its own, the flags where they belong. */
static void
cut_tcp(struct session *s, const uint8_t *p, size_t n, size_t size)
{
	size_t header = 20 + (p[32] >> 4) * 4u, at = header;
	uint16_t id = get16(p + 4);
	uint32_t seq = get32(p + 24);
	uint8_t b[2048];

	while (at < n) {
		size_t k = n - at < size ? n - at : size;

		memcpy(b, p, header);
		memcpy(b + header, p + at, k);
		put32(b + 24, seq);
		if (at + k < n)
			b[33] &= (uint8_t)~(FIN | PSH);
		if (at > header)
			b[33] &= (uint8_t)~CWR;
		ip_finish(b, header + k, id++);
		tcp_checksum(b, header + k);
		ip_send(s, b, header + k);
		seq += (uint32_t)k;
		at += k;
	}
}

/* One read from the device.  False: it cannot be what it says. */
bool
offload_cut(struct session *s, const struct virtio_net_hdr *h, uint8_t *p,
    size_t n)
{
	size_t header;

	if ((h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) ==
	    VIRTIO_NET_HDR_GSO_NONE) {
		if (n > s->peer_mru)
			return false;
		if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			checksum_finish(p, n, h->csum_start, h->csum_offset);
		ip_send(s, p, n);
		return true;
	}
	if (n < 40 || p[0] != 0x45 || p[9] != IPPROTO_TCP || p[32] < 0x50)
		return false;
	header = 20 + (p[32] >> 4) * 4u;
	if (!h->gso_size || header > n || header + h->gso_size > s->peer_mru)
		return false;
	cut_tcp(s, p, n, h->gso_size);
	return true;
}

/* ---- what the LNS sent ---- */

struct piece {
	size_t n, header, size;	/* octets, of headers, of the first segment */
	uint32_t next_seq, segments;
	bool full;		/* nothing may follow */
	uint8_t bytes[PIECE_MAX + 1500];
};

static struct piece pieces[PIECES];
static unsigned oldest;

static void
piece_write(struct piece *c)
{
	struct virtio_net_hdr h = { 0 };

	if (!c->n)
		return;
	if (c->segments > 1) {
		uint32_t sum = IPPROTO_TCP + (uint32_t)(c->n - 20);

		ip_finish(c->bytes, c->n, get16(c->bytes + 4));
		/* The kernel wants the pseudo header's sum, not complemented. */
		put16(c->bytes + 36,
		    (uint16_t)~sum_done(sum16(sum, c->bytes + 12, 8)));
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		h.hdr_len = (uint16_t)c->header;
		h.gso_size = (uint16_t)c->size;
		h.csum_start = 20;
		h.csum_offset = 16;
	} else {
		h.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	tun_put(&h, c->bytes, c->n);
	c->n = 0;
}

void
offload_flush(void)
{
	for (unsigned i = 0; i < PIECES; i++)
		piece_write(&pieces[(oldest + i) % PIECES]);
}

/* Addresses, then ports: is it the same connection? */
static struct piece *
piece_find(const uint8_t *p)
{
	for (unsigned i = 0; i < PIECES; i++)
		if (pieces[i].n && !memcmp(pieces[i].bytes + 12, p + 12, 12))
			return &pieces[i];
	return NULL;
}

/* The same but for length, id, sequence number, PSH, FIN and checksums. */
static bool
piece_takes(const struct piece *c, const uint8_t *p, size_t n, size_t header)
{
	const uint8_t *q = c->bytes;
	size_t k = n - header;

	return !c->full && k && k <= c->size && c->header == header &&
	    c->n + k <= PIECE_MAX && get32(p + 24) == c->next_seq &&
	    q[1] == p[1] && q[8] == p[8] && get16(q + 6) == get16(p + 6) &&
	    !memcmp(q + 28, p + 28, 5) && !((q[33] ^ p[33]) & ~(PSH | FIN)) &&
	    !memcmp(q + 34, p + 34, 2) && !memcmp(q + 40, p + 40, header - 40);
}

static void
piece_start(const uint8_t *p, size_t n, size_t header)
{
	struct piece *c = NULL;

	for (unsigned i = 0; i < PIECES && !c; i++)
		if (!pieces[i].n)
			c = &pieces[i];
	if (!c) {
		c = &pieces[oldest++ % PIECES];
		piece_write(c);
	}
	memcpy(c->bytes, p, n);
	c->n = n;
	c->header = header;
	c->size = n - header;
	c->next_seq = get32(p + 24) + (uint32_t)(n - header);
	c->segments = 1;
	c->full = p[33] & (PSH | FIN);
}

static void
piece_add(struct piece *c, const uint8_t *p, size_t n, size_t header)
{
	size_t k = n - header;

	memcpy(c->bytes + c->n, p + header, k);
	c->bytes[33] |= p[33] & (PSH | FIN);
	c->n += k;
	c->next_seq += (uint32_t)k;
	c->segments++;
	c->full = k < c->size || p[33] & (PSH | FIN);
}

/* A whole, unfragmented TCP segment without IP options, right to the bit? */
static int
tcp_check(const uint8_t *p, size_t n)
{
	uint32_t sum = IPPROTO_TCP + (uint32_t)(n - 20);

	if (n < 40 || p[0] != 0x45 || p[9] != IPPROTO_TCP ||
	    get16(p + 6) & 0x3fff)
		return 0;
	if (get16(p + 2) != n || sum_done(sum16(0, p, 20)) ||
	    sum_done(sum16(sum16(sum, p + 12, 8), p + 20, n - 20)) ||
	    20 + (p[32] >> 4) * 4u > n || p[32] < 0x50)
		return -1;
	return 1;
}

void
offload_write(const uint8_t *p, size_t n)
{
	static const struct virtio_net_hdr none;
	int tcp = tcp_check(p, n);
	size_t header = tcp > 0 ? 20 + (p[32] >> 4) * 4u : 0;
	struct piece *c;

	if (tcp < 0) {
		L.c.tcp_bad++;
		return;
	}
	if (!tcp) {
		if (n >= 20 && p[9] == IPPROTO_TCP)
			offload_flush();	/* a fragment keeps its place */
		tun_put(&none, p, n);
		return;
	}
	c = piece_find(p);
	if (c && piece_takes(c, p, n, header)) {
		piece_add(c, p, n, header);
		return;
	}
	if (c)
		piece_write(c);
	if (n > header && (p[33] & ~(PSH | FIN)) == ACK)
		piece_start(p, n, header);
	else
		tun_put(&none, p, n);
}
