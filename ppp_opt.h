/*
 * ppp_opt.h - bytes of PPP control packets to structs and back
 *
 * Decoders give pointers into the caller's buffer and return false when the
 * bytes are not what the RFC says, with the struct then undefined.  Encoders
 * write one whole packet and return its length, 0 if it does not fit; where
 * the comment says that something is cut, it is, and then it fits.
 * Nothing here logs or keeps anything.
 */
#ifndef PPP_OPT_H
#define PPP_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* A control packet: RFC 1661 5, and the same shape in RFC 1334 and 1994. */
struct ppp_packet {
	uint8_t code, id;
	const uint8_t *data;
	size_t len;			/* of data, padding not counted */
};
bool ppp_packet_decode(struct ppp_packet *, const void *buf, size_t len);

/* The same in pieces: header, then whatever the caller writes, then length. */
void ppp_packet_begin(struct wr *, uint8_t code, uint8_t id);
size_t ppp_packet_end(struct wr *);

/* A configuration option: RFC 1661 6. */
struct ppp_opt {
	uint8_t type;
	uint8_t len;			/* of value */
	const uint8_t *value;
};

/* The next option; false at the end, and with r->bad when it is torn. */
bool ppp_opt_next(struct rd *r, struct ppp_opt *);

/* Is this a list of whole options from end to end? */
bool ppp_opts_valid(const uint8_t *data, size_t len);

/* Adds one option; false, and nothing is written, when there is no room. */
bool ppp_opt_put(struct wr *, uint8_t type, const void *value, size_t len);

/* Code-Reject (RFC 1661 5.6): `rejected` is a whole packet, cut to fit. */
size_t code_reject_encode(void *dst, size_t size, uint8_t id,
    const struct ppp_packet *rejected);

/* Protocol-Reject (RFC 1661 5.7): the information is cut to fit. */
size_t protocol_reject_encode(void *dst, size_t size, uint8_t id,
    uint16_t protocol, const void *info, size_t len);
bool protocol_reject_decode(const struct ppp_packet *, uint16_t *protocol);

/* Echo-Request, Echo-Reply, Discard-Request (RFC 1661 5.8, 5.9). */
struct lcp_echo {
	uint32_t magic;
	const uint8_t *data;
	size_t len;
};
bool lcp_echo_decode(const struct ppp_packet *, struct lcp_echo *);
size_t lcp_echo_encode(void *dst, size_t size, uint8_t code, uint8_t id,
    const struct lcp_echo *);		/* data is cut to fit */

/* Authenticate-Request (RFC 1334 2.2.1). */
struct pap_request {
	const uint8_t *user, *password;
	size_t user_len, password_len;	/* 0..255, may hold anything */
};
bool pap_request_decode(const struct ppp_packet *, struct pap_request *);

/* Authenticate-Ack and -Nak (RFC 1334 2.2.2); at most 255 of the message. */
size_t pap_reply_encode(void *dst, size_t size, uint8_t code, uint8_t id,
    const char *message);

/* Challenge (RFC 1994 4.1). */
size_t chap_challenge_encode(void *dst, size_t size, uint8_t id,
    const void *value, uint8_t value_len, const char *name);

/* Response (RFC 1994 4.1); false unless the value has value_len octets. */
struct chap_response {
	const uint8_t *value, *name;
	size_t name_len;
};
bool chap_response_decode(const struct ppp_packet *, uint8_t value_len,
    struct chap_response *);

/* Success and Failure (RFC 1994 4.2); the message is cut to fit. */
size_t chap_reply_encode(void *dst, size_t size, uint8_t code, uint8_t id,
    const char *message);

#endif
