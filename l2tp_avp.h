/*
 * l2tp_avp.h - L2TP headers and AVPs, bytes <-> structs (RFC 2661 3.1, 4)
 *
 * Codec: no side effects, no logging.  Everything decoded points into the
 * packet or into the caller's scratch, and lives no longer than they do.
 */
#ifndef L2TP_AVP_H
#define L2TP_AVP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l2tp_proto.h"
#include "wire.h"

/* The header of RFC 2661 3.1; fields that are absent are 0. */
struct l2tp_header {
	bool control, has_length, sequenced, offset, priority;
	uint16_t tunnel_id, session_id;	/* the receiver's ids */
	uint16_t Ns, Nr;
	struct rd body;			/* AVPs, or the PPP frame */
};

enum l2tp_bad {
	L2TP_OK,
	L2TP_SHORT,		/* ends inside the header */
	L2TP_VERSION,		/* not version 2 */
	L2TP_LENGTH,		/* Length field wrong */
	L2TP_FLAGS,		/* control without L or S, or with O or P */
};

/* Decodes the header of one datagram.  Reserved bits are ignored. */
enum l2tp_bad l2tp_header_decode(const void *buf, size_t len,
    struct l2tp_header *);

/* A run of bytes inside a packet; p NULL: the AVP was absent. */
struct blob {
	const uint8_t *p;
	uint16_t len;
};

/*
 * One control message, decoded.  `have` has bit N set for each IETF AVP type
 * N (0..63) that was there and well formed.
 */
struct l2tp_msg {
	uint16_t type;			/* Message Type, 0 for a ZLB */
	bool mandatory;			/* M bit of the Message Type AVP */
	uint64_t have;
	uint16_t result, error;		/* Result Code; error 0 if absent */
	struct blob result_text;
	uint16_t protocol_version;
	uint32_t framing, bearer;	/* capabilities, or types in a call */
	uint16_t firmware;
	struct blob host_name, vendor_name;
	uint16_t assigned_tunnel, assigned_session;
	uint16_t receive_window;
	uint64_t tie_breaker;
	struct blob challenge, challenge_response;
	struct blob q931;		/* Cause Code .. Advisory Message */
	uint32_t call_serial, min_bps, max_bps;
	struct blob called, calling, sub_address;
	uint32_t tx_speed, rx_speed, phys_channel;
	struct blob lcp_initial, lcp_last_sent, lcp_last_recv;
	uint16_t proxy_auth_type, proxy_auth_id;
	struct blob proxy_name, proxy_challenge, proxy_response;
	struct blob call_errors, accm, private_group;
	bool sequencing_required;
	struct blob disconnect_cause;	/* RFC 3145 */

	/* What was wrong, if anything, for StopCCN or CDN (4.4.2). */
	uint16_t bad_result, bad_error;	/* 0, 0: nothing */
	uint16_t bad_avp;		/* the type it was about */
	const char *bad_text;
};

#define L2TP_HAVE(m, avp)	(((m)->have >> (avp)) & 1)

/*
 * Decodes the AVPs of a control message.  `scratch` takes the plaintext of
 * hidden AVPs (secret, may be "": then hidden AVPs are malformed); give it as
 * many bytes as the body has.  Walks the whole message; the first fatal
 * fault is left in bad_* (unknown mandatory AVP: 2/8; bad length: 2/2; value
 * out of range, or hidden but not to be read: 2/3).  False, with bad_* set,
 * only if not even a Message Type could be read.  Of AVPs of one type the
 * first counts.  Members whose `have` bit is clear are not to be used.
 * An empty body is a ZLB: type 0, true.
 */
bool l2tp_msg_decode(struct rd body, const char *secret, uint8_t *scratch,
    size_t scratch_len, struct l2tp_msg *);

/* The AVPs that RFC 2661 6 requires in this message type but `have` lacks:
 * the lowest missing type, or -1. */
int l2tp_msg_missing(const struct l2tp_msg *);

/*
 * Writers.  A message is started by l2tp_msg_begin(), AVPs follow, and
 * l2tp_msg_end() sets the Length; Ns and Nr stay 0 until tunnel_ctl.c stamps
 * them at each (re)transmission with l2tp_msg_stamp().
 */
void l2tp_msg_begin(struct wr *, uint16_t tunnel_id, uint16_t session_id,
    uint16_t type);
void l2tp_avp_u16(struct wr *, bool mandatory, uint16_t type, uint16_t v);
void l2tp_avp_u32(struct wr *, bool mandatory, uint16_t type, uint32_t v);
void l2tp_avp_bytes(struct wr *, bool mandatory, uint16_t type,
    const void *p, size_t len);
/* Result Code; error 0 and text NULL are left out as 4.4.2 allows. */
void l2tp_avp_result(struct wr *, uint16_t result, uint16_t error,
    const char *text);
/* Any AVP hidden by secret and the Random Vector rv last written (4.3). */
void l2tp_avp_hidden(struct wr *, bool mandatory, uint16_t type,
    const void *p, size_t len, const char *secret, const void *rv,
    size_t rvlen, size_t pad);
/* Whole message length, 0 if it did not fit. */
size_t l2tp_msg_end(struct wr *);
void l2tp_msg_stamp(uint8_t *msg, uint16_t Ns, uint16_t Nr);
/* A ZLB for tunnel_id into buf (at least 12 bytes); returns its length. */
size_t l2tp_zlb(void *buf, size_t size, uint16_t tunnel_id, uint16_t Ns,
    uint16_t Nr);

/* The answer to a Challenge, RFC 2661 5.1.1; id is the message type. */
void l2tp_challenge_response(uint8_t out[16], uint8_t id, const char *secret,
    const void *challenge, size_t len);

/* Word for a message type ("SCCRQ") or NULL. */
const char *l2tp_msg_name(uint16_t type);

/* Name of an IETF AVP as RFC 2661 4.4 spells it, or NULL. */
const char *l2tp_avp_name(uint16_t type);

#endif
