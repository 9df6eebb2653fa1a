/*
 * ppp_opt.c - the codec of PPP control packets and their options
 *
 * Everything that LCP, IPCP, PAP and CHAP put on the wire, read and written
 * here and nowhere else: the common header (RFC 1661 5), configuration
 * options (RFC 1661 6), rejects and echoes (RFC 1661 5.6 to 5.9), PAP
 * (RFC 1334 2.2) and CHAP (RFC 1994 4).  What a value means is the business
 * of the machines above.
 *
 * Owns:     nothing.
 * Calls:    wire.h.
 * Lifetime: decoded pointers live as long as the packet they point into.
 */
#include "ppp_opt.h"
#include "ppp_proto.h"

bool
ppp_packet_decode(struct ppp_packet *pkt, const void *buf, size_t len)
{
	struct rd r = rd_init(buf, len);
	size_t length;

	pkt->code = rd_u8(&r);
	pkt->id = rd_u8(&r);
	length = rd_u16(&r);
	if (r.bad || length < PPP_HEADER)
		return false;
	/* Octets past Length are padding (RFC 1661 5). */
	pkt->len = length - PPP_HEADER;
	pkt->data = rd_bytes(&r, pkt->len);
	return !r.bad;
}

void
ppp_packet_begin(struct wr *w, uint8_t code, uint8_t id)
{
	wr_u8(w, code);
	wr_u8(w, id);
	wr_u16(w, 0);
}

size_t
ppp_packet_end(struct wr *w)
{
	wr_len_u16(w, 2, 0);
	return wr_done(w);
}

bool
ppp_opt_next(struct rd *r, struct ppp_opt *opt)
{
	uint8_t length;

	if (rd_left(r) == 0)
		return false;
	opt->type = rd_u8(r);
	length = rd_u8(r);
	/* A length that does not cover its own header would never end. */
	if (length < PPP_OPT_HEADER)
		r->bad = true;
	opt->len = (uint8_t)(length - PPP_OPT_HEADER);
	opt->value = rd_bytes(r, opt->len);
	return !r->bad;
}

bool
ppp_opts_valid(const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	struct ppp_opt opt;

	while (ppp_opt_next(&r, &opt))
		;
	return rd_done(&r);
}

bool
ppp_opt_put(struct wr *w, uint8_t type, const void *value, size_t len)
{
	size_t length = PPP_OPT_HEADER + len;

	if (w->full || (size_t)(w->end - w->p) < length || length > UINT8_MAX)
		return false;
	wr_u8(w, type);
	wr_u8(w, (uint8_t)length);
	wr_bytes(w, value, len);
	return true;
}

/* As much of the bytes as there is room for. */
static void
put_cut(struct wr *w, const void *p, size_t len)
{
	size_t room = w->full ? 0 : (size_t)(w->end - w->p);

	wr_bytes(w, p, len < room ? len : room);
}

size_t
code_reject_encode(void *dst, size_t size, uint8_t id,
    const struct ppp_packet *rejected)
{
	struct wr w = wr_init(dst, size);

	ppp_packet_begin(&w, CODE_REJECT, id);
	wr_u8(&w, rejected->code);
	wr_u8(&w, rejected->id);
	wr_u16(&w, (uint16_t)(PPP_HEADER + rejected->len));
	put_cut(&w, rejected->data, rejected->len);
	return ppp_packet_end(&w);
}

size_t
protocol_reject_encode(void *dst, size_t size, uint8_t id, uint16_t protocol,
    const void *info, size_t len)
{
	struct wr w = wr_init(dst, size);

	ppp_packet_begin(&w, PROTOCOL_REJECT, id);
	wr_u16(&w, protocol);
	put_cut(&w, info, len);
	return ppp_packet_end(&w);
}

bool
protocol_reject_decode(const struct ppp_packet *pkt, uint16_t *protocol)
{
	struct rd r = rd_init(pkt->data, pkt->len);

	*protocol = rd_u16(&r);
	return !r.bad;
}

bool
lcp_echo_decode(const struct ppp_packet *pkt, struct lcp_echo *echo)
{
	struct rd r = rd_init(pkt->data, pkt->len);

	echo->magic = rd_u32(&r);
	echo->len = rd_left(&r);
	echo->data = rd_bytes(&r, echo->len);
	return !r.bad;
}

size_t
lcp_echo_encode(void *dst, size_t size, uint8_t code, uint8_t id,
    const struct lcp_echo *echo)
{
	struct wr w = wr_init(dst, size);

	ppp_packet_begin(&w, code, id);
	wr_u32(&w, echo->magic);
	put_cut(&w, echo->data, echo->len);
	return ppp_packet_end(&w);
}

bool
pap_request_decode(const struct ppp_packet *pkt, struct pap_request *req)
{
	struct rd r = rd_init(pkt->data, pkt->len);

	req->user_len = rd_u8(&r);
	req->user = rd_bytes(&r, req->user_len);
	req->password_len = rd_u8(&r);
	req->password = rd_bytes(&r, req->password_len);
	return !r.bad;
}

size_t
pap_reply_encode(void *dst, size_t size, uint8_t code, uint8_t id,
    const char *message)
{
	struct wr w = wr_init(dst, size);
	size_t len = strlen(message);

	if (len > UINT8_MAX)
		len = UINT8_MAX;
	if (size < PPP_HEADER + 1)
		return 0;
	if (len > size - PPP_HEADER - 1)
		len = size - PPP_HEADER - 1;
	ppp_packet_begin(&w, code, id);
	wr_u8(&w, (uint8_t)len);
	wr_bytes(&w, message, len);
	return ppp_packet_end(&w);
}

size_t
chap_challenge_encode(void *dst, size_t size, uint8_t id, const void *value,
    uint8_t value_len, const char *name)
{
	struct wr w = wr_init(dst, size);

	ppp_packet_begin(&w, CHAP_CHALLENGE, id);
	wr_u8(&w, value_len);
	wr_bytes(&w, value, value_len);
	wr_bytes(&w, name, strlen(name));
	return ppp_packet_end(&w);
}

bool
chap_response_decode(const struct ppp_packet *pkt, uint8_t value_len,
    struct chap_response *resp)
{
	struct rd r = rd_init(pkt->data, pkt->len);

	if (rd_u8(&r) != value_len)
		return false;
	resp->value = rd_bytes(&r, value_len);
	resp->name_len = rd_left(&r);
	resp->name = rd_bytes(&r, resp->name_len);
	return !r.bad;
}

size_t
chap_reply_encode(void *dst, size_t size, uint8_t code, uint8_t id,
    const char *message)
{
	struct wr w = wr_init(dst, size);

	ppp_packet_begin(&w, code, id);
	put_cut(&w, message, strlen(message));
	return ppp_packet_end(&w);
}
