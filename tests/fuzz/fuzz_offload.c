/*
 * fuzz_offload.c - the cutter and the joiner against the slow model
 *
 * Bit 0 of the first octet chooses.  The cutter gets a header of the TUN
 * device and a packet, as they are or (bit 1) with a header that fits the
 * packet: whatever gso_begin() takes must be cut as the model cuts it, and a
 * checksum is completed as RFC 1071 says or nothing is touched.
 *
 * The joiner gets a batch: two octets a packet say which of eight flows goes
 * on and what is odd about it this time, or that raw octets follow.  What is
 * written, cut by the model and by our own cutter, must be what came in, octet
 * by octet, and nothing may overtake what it is related to.
 *
 * All packets lie in memory of exactly their size.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "gro.h"
#include "gso.h"
#include "offload_model.h"
#include "wire.h"

#define IOV_LIMIT	1024		/* of writev(), IOV_MAX in limits.h */
#define FLOWS		8

static struct model_packet whole, piece;

static uint8_t *
copy_of(const uint8_t *p, size_t len)
{
	uint8_t *to = malloc(len + (len == 0));

	check(to != NULL);
	if (len > 0)
		memcpy(to, p, len);
	return to;
}

/* --- the cutter --------------------------------------------------------- */

/* What gso_begin() takes is cut alike here and there. */
static void
check_cut(const uint8_t *ip, size_t len, const struct vnet *v)
{
	const uint8_t *payload;
	struct gso g;
	size_t n, left;

	if (!gso_begin(&g, ip, len, v))
		return;
	check(g.hlen <= GSO_HEADERS && g.hlen < len && g.segments > 0);
	for (n = 0;; n++) {
		uint8_t *hdr = malloc(g.hlen);
		bool more;

		check(hdr != NULL);
		more = gso_next(&g, hdr, &payload, &left);
		check(more == model_cut(ip, len, v->gso_size, n, &piece));
		if (more) {
			check(g.hlen + left == piece.len);
			check(payload >= ip && payload + left <= ip + len);
			check(memcmp(hdr, piece.b, g.hlen) == 0);
			check(memcmp(payload, piece.b + g.hlen, left) == 0);
		}
		free(hdr);
		if (!more)
			break;
	}
	check(n == g.segments);
}

static void
check_completed(const uint8_t *ip, size_t len, const struct vnet *v)
{
	size_t at = (size_t)v->csum_start + v->csum_offset;
	uint8_t *mine = copy_of(ip, len), *want = copy_of(ip, len);
	uint32_t sum;

	if (gso_complete_checksum(mine, len, v)) {
		check(at + 2 <= len);
		sum = ~model_sum(0, ip + v->csum_start, len - v->csum_start) &
		    0xffff;
		if (sum == 0 && v->csum_offset == 6)
			sum = 0xffff;
		model_put(want + at, sum, 2);
	} else {
		check(v->csum_start >= len || at + 2 > len);
	}
	check(len == 0 || memcmp(mine, want, len) == 0);
	free(mine);
	free(want);
}

/* The header that the kernel would write for such a packet. */
static void
fit(struct vnet *v, const uint8_t *ip, size_t len)
{
	bool ipv6, tcp;

	if (len < 40)
		return;
	ipv6 = ip[0] >> 4 == 6;
	tcp = model_protocol(ip) == 6;
	v->flags = VNET_F_NEEDS_CSUM;
	v->gso_type = !tcp ? VNET_GSO_UDP_L4 :
	    ipv6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
	v->gso_size = (uint16_t)(v->gso_size % 1500 + 1);
	v->csum_start = (uint16_t)model_l4(ip);
	v->csum_offset = tcp ? 16 : 6;
}

static void
fuzz_cutter(struct rd *r, bool fitting)
{
	uint8_t header[VNET_HDR] = { 0 }, again[VNET_HDR];
	const uint8_t *p = rd_bytes(r, VNET_HDR);
	struct vnet v;
	uint8_t *ip;
	size_t len = rd_left(r);

	if (p == NULL)
		return;
	memcpy(header, p, VNET_HDR);
	vnet_decode(header, &v);
	vnet_encode(again, &v);
	check(memcmp(header, again, VNET_HDR) == 0);
	ip = copy_of(rd_bytes(r, len), len);
	if (fitting)
		fit(&v, ip, len);
	check_cut(ip, len, &v);
	check_completed(ip, len, &v);
	free(ip);
}

/* --- a batch ------------------------------------------------------------ */

/* A packet as it came, and where it came out. */
struct in {
	uint8_t *b;			/* as it came */
	uint8_t *given;			/* what the joiner has, and patches */
	size_t len, place;
	bool taken;
};

static struct gro gro;
static struct in in[GRO_PACKETS];
static size_t nin, first, places;	/* first: not yet taken */

static void
put(const struct model_packet *p)
{
	struct in *i = &in[nin++];

	*i = (struct in){ .b = copy_of(p->b, p->len), .len = p->len,
	    .given = copy_of(p->b, p->len) };
	gro_add(&gro, i->given, i->len);
}

/* How a flow goes on. */
struct flow {
	size_t payload;
	uint32_t seq, ack;
	uint16_t id;
};

static struct flow flows[FLOWS];

/* Bit 0: UDP; bit 1: IPv6; bit 2: another port. */
static void
make(struct model_packet *p, unsigned int n, size_t payload)
{
	const struct flow *f = &flows[n];
	bool tcp = (n & 1) == 0, ipv6 = (n & 2) != 0;
	size_t l4 = ipv6 ? 40 : 20, hlen = l4 + (tcp ? 32 : 8);
	uint8_t *t = p->b + l4;

	memset(p->b, 0, hlen);
	p->b[0] = ipv6 ? 0x60 : 0x45;
	if (ipv6) {
		p->b[6] = tcp ? 6 : 17;
		p->b[7] = 64;
		memset(p->b + 8, 0x20, 32);
	} else {
		model_put(p->b + 4, f->id, 2);
		p->b[6] = 0x40;
		p->b[8] = 64;
		p->b[9] = tcp ? 6 : 17;
		model_put(p->b + 12, 0x0a000001, 4);
		model_put(p->b + 16, 0xc0000201, 4);
	}
	model_put(t, 1000 + (n >> 2), 2);
	model_put(t + 2, 443, 2);
	if (tcp) {
		model_put(t + 4, f->seq, 4);
		model_put(t + 8, f->ack, 4);
		t[12] = 0x80;
		t[13] = 0x10;
		model_put(t + 14, 500, 2);
		memset(t + 20, 1, 12);
	}
	for (size_t i = 0; i < payload; i++)
		p->b[hlen + i] = (uint8_t)(i * 7 + f->seq);
	p->len = hlen + payload;
}

static void
go_on(unsigned int n, size_t payload)
{
	flows[n].seq += (uint32_t)payload;
	flows[n].id++;
}

/* A header checksum and lengths as gro_add() is promised them. */
static bool
is_promised(struct model_packet *p)
{
	size_t hlen = (size_t)(p->b[0] & 15) * 4;

	if (p->b[0] >> 4 == 6)
		return p->len >= 40;
	if (p->b[0] >> 4 != 4 || hlen < 20 || hlen > p->len)
		return false;
	model_put(p->b + 2, (uint32_t)p->len, 2);
	model_put(p->b + 10, 0, 2);
	model_put(p->b + 10, ~model_sum(0, p->b, hlen) & 0xffff, 2);
	return true;
}

static void
put_raw(struct rd *r, size_t n)
{
	const uint8_t *p;

	if (n > rd_left(r))
		n = rd_left(r);
	p = rd_bytes(r, n);
	if (n < 20)
		return;
	memcpy(piece.b, p, n);
	piece.len = n;
	if (is_promised(&piece))
		put(&piece);
}

/* IPv4 options, so that everything behind them moves. */
static void
insert_options(struct model_packet *p, size_t n)
{
	if (p->b[0] != 0x45)
		return;
	memmove(p->b + 20 + n, p->b + 20, p->len - 20);
	memset(p->b + 20, 1, n);
	p->b[0] = (uint8_t)(0x40 | (20 + n) / 4);
	p->len += n;
}

enum odd {
	ODD_FLAGS = 8, ODD_SEQ, ODD_ID, ODD_TTL, ODD_TOS, ODD_ACK, ODD_WINDOW,
	ODD_DF, ODD_OFFSET, ODD_OCTET, ODD_NO_CHECKSUM, ODD_SIZE, ODD_SHORT,
	ODD_AGAIN, ODD_OPTION, ODD_RAW, ODD_IP_OPTIONS, ODD_BACK, ODD_LENGTH,
	ODD_RUN, ODD_NEXT_HEADER, ODD_URGENT, ODD_SKIP, ODD_OPEN
};

/* What is odd before the checksums are made. */
static void
make_odd(struct model_packet *p, unsigned int odd, uint8_t with)
{
	size_t l4 = model_l4(p->b);
	bool tcp = model_protocol(p->b) == 6, ipv6 = p->b[0] >> 4 == 6;
	size_t at = 0;

	switch (odd) {
	case ODD_FLAGS: at = tcp ? l4 + 13 : 0; break;
	case ODD_WINDOW: at = tcp ? l4 + 14 : 0; break;
	case ODD_URGENT: at = tcp ? l4 + 19 : 0; break;
	case ODD_OPTION: at = tcp ? l4 + 20 + with % 12 : 0; break;
	case ODD_TTL: at = ipv6 ? 7 : 8; break;
	case ODD_TOS: at = 1; break;
	case ODD_DF: at = ipv6 ? 0 : 6; break;
	case ODD_OFFSET: at = ipv6 ? 0 : 7; break;
	case ODD_NEXT_HEADER: at = ipv6 ? 6 : 9; break;
	case ODD_IP_OPTIONS: insert_options(p, with % 11 * 4u); break;
	}
	if (at != 0)
		p->b[at] = with;
}

/* Only a packet that has a TCP or UDP header has its checksum. */
static void
finish(struct model_packet *p)
{
	if (model_protocol(p->b) == 6 || model_protocol(p->b) == 17)
		model_finish(p);
	else
		(void)is_promised(p);
}

/* And after. */
static void
spoil(struct model_packet *p, unsigned int odd, uint8_t with)
{
	size_t l4 = model_l4(p->b);

	if (odd == ODD_OCTET)
		p->b[l4 + with % (p->len - l4)] ^= (uint8_t)(with | 1);
	if (model_protocol(p->b) != 17)
		return;
	if (odd == ODD_NO_CHECKSUM)
		model_put(p->b + l4 + 6, 0, 2);
	if (odd == ODD_LENGTH)
		model_put(p->b + l4 + 4, with, 2);
}

static void
put_one(unsigned int n, unsigned int odd, uint8_t with)
{
	struct flow *f = &flows[n];
	size_t payload = odd == ODD_SHORT ? with % (f->payload + 1) :
	    f->payload;

	switch (odd) {
	case ODD_SEQ: f->seq += with; break;
	case ODD_BACK: f->seq -= with; break;
	case ODD_ACK: f->ack += with; break;
	case ODD_ID: f->id = (uint16_t)(f->id + with); break;
	case ODD_SKIP: f->seq += (uint32_t)f->payload * with; break;
	case ODD_SIZE: payload = f->payload = 1 + with * with / 43u;
		break;
	case ODD_AGAIN: go_on(n, (uint32_t)-f->payload); break;
	}
	make(&piece, n, payload);
	make_odd(&piece, odd, with);
	finish(&piece);
	spoil(&piece, odd, with);
	put(&piece);
	go_on(n, payload);
}

static void
put_batch(struct rd *r)
{
	nin = 0;
	for (unsigned int i = 0; i < FLOWS; i++)
		flows[i] = (struct flow){ .payload = 1 + i * 200,
		    .seq = i * 0xfffffe00u, .id = (uint16_t)(i * 0xfff0) };
	while (rd_left(r) >= 2 && nin < GRO_PACKETS) {
		uint8_t what = rd_u8(r), with = rd_u8(r);
		unsigned int n = what & (FLOWS - 1), odd = what >> 3;

		if (odd == ODD_RAW) {
			put_raw(r, with);
			continue;
		}
		put_one(n, odd, with);
		if (odd == ODD_RUN)
			while (with-- > 0 && nin < GRO_PACKETS)
				put_one(n, 0, 0);
	}
}

/* --- what comes out ----------------------------------------------------- */

static void
take(const uint8_t *p, size_t len)
{
	while (first < nin && in[first].taken)
		first++;
	for (size_t i = first; i < nin; i++)
		if (!in[i].taken && in[i].len == len &&
		    memcmp(in[i].b, p, len) == 0) {
			in[i].taken = true;
			in[i].place = places++;
			return;
		}
	check(false);
}

/* Everything that the kernel looks at before it believes us. */
static void
check_joined(const struct vnet *v)
{
	const uint8_t *ip = whole.b;
	size_t l4 = model_l4(ip), len = whole.len;
	bool ipv6 = ip[0] >> 4 == 6, tcp = model_protocol(ip) == 6;
	uint32_t sum = model_protocol(ip) + (uint32_t)(len - l4);

	check(v->flags == VNET_F_NEEDS_CSUM && len <= UINT16_MAX);
	check(v->gso_type == (tcp ? ipv6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4 :
	    VNET_GSO_UDP_L4));
	check(v->hdr_len == l4 + (tcp ? (ip[l4 + 12] >> 4) * 4u : 8u));
	check(v->gso_size > 0 && v->hdr_len + v->gso_size < len);
	check(v->csum_start == l4 && v->csum_offset == (tcp ? 16 : 6));
	sum = ipv6 ? model_sum(sum, ip + 8, 32) : model_sum(sum, ip + 12, 8);
	check(model_get(ip + l4 + v->csum_offset, 2) == sum);
	if (ipv6)
		check(model_get(ip + 4, 2) == len - 40);
	else
		check(model_get(ip + 2, 2) == len &&
		    model_sum(0, ip, l4) == 0xffff);
	check(tcp || model_get(ip + l4 + 4, 2) == len - l4);
}

static void
take_group(unsigned int i)
{
	static struct iovec iov[GRO_PACKETS + 1];
	uint8_t header[VNET_HDR];
	struct vnet v;
	size_t n = gro_iov(&gro, i, header, iov), k;

	check(n == 1u + gro.group[i].count && n <= IOV_LIMIT);
	check(iov[0].iov_len == VNET_HDR);
	for (whole.len = 0, k = 1; k < n; k++) {
		memcpy(whole.b + whole.len, iov[k].iov_base, iov[k].iov_len);
		whole.len += iov[k].iov_len;
	}
	check(whole.len == gro.group[i].len);
	vnet_decode(header, &v);
	if (v.gso_type == VNET_GSO_NONE) {
		check(v.flags == 0 && n == 2);
		take(whole.b, whole.len);
		return;
	}
	check_joined(&v);
	for (k = 0; model_cut(whole.b, whole.len, v.gso_size, k, &piece); k++)
		take(piece.b, piece.len);
	check(k == gro.group[i].count);
	check_cut(whole.b, whole.len, &v);
}

/* A fragment, or an IPv6 packet with extension headers. */
static bool
hides_its_ports(const uint8_t *ip)
{
	if (ip[0] >> 4 == 6)
		return ip[6] != 6 && ip[6] != 17 && ip[6] != 58;
	return (model_get(ip + 6, 2) & 0x3fff) != 0;
}

/* What hides its ports may belong to any flow between its two hosts. */
static bool
are_related(const struct in *a, const struct in *b)
{
	size_t l4a = model_l4(a->b), l4b = model_l4(b->b);

	if (!model_same_flow(a->b, b->b))
		return false;
	if (hides_its_ports(a->b) || hides_its_ports(b->b))
		return true;
	if (model_protocol(a->b) != model_protocol(b->b))
		return false;
	if (a->len < l4a + 4 || b->len < l4b + 4)
		return true;
	return memcmp(a->b + l4a, b->b + l4b, 4) == 0;
}

static void
check_order(void)
{
	for (size_t i = 0; i < nin; i++) {
		check(in[i].taken);
		for (size_t k = i + 1; k < nin; k++)
			check(in[i].place < in[k].place ||
			    !are_related(&in[i], &in[k]));
	}
}

static void
fuzz_joiner(struct rd *r, bool tcp, bool udp)
{
	gro_reset(&gro);
	gro.tcp = tcp;
	gro.udp = udp;
	put_batch(r);
	first = places = 0;
	for (unsigned int i = 0; i < gro.ngroups; i++)
		take_group(i);
	check_order();
	for (size_t i = 0; i < nin; i++) {
		free(in[i].b);
		free(in[i].given);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	uint8_t what = rd_u8(&r);

	if ((what & 1) == 0)
		fuzz_cutter(&r, what & 2);
	else
		fuzz_joiner(&r, !(what & 2), !(what & 4));
	return 0;
}
