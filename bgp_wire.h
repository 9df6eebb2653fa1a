/*
 * bgp_wire.h - BGP-4 messages: bytes <-> structs (RFC 4271 section 4)
 *
 * Numbers as the RFCs name them.  Nothing here has side effects, allocates or
 * logs; what a message must be answered with is told as a struct bgp_error,
 * for the state machine to send.
 */
#ifndef BGP_WIRE_H
#define BGP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define BGP_PORT	179
#define BGP_HEADER	19		/* octets */
#define BGP_MAX		4096		/* octets of a whole message */
#define BGP_AS_TRANS	23456		/* RFC 6793: stands for 4 octets */

/* 4.1 */
enum bgp_type {
	BGP_OPEN = 1,
	BGP_UPDATE,
	BGP_NOTIFICATION,
	BGP_KEEPALIVE,
	BGP_ROUTE_REFRESH		/* RFC 2918 */
};

/* 4.5, and the subcodes of section 6 */
enum bgp_code {
	BGP_ERR_HEADER = 1,
	BGP_ERR_OPEN,
	BGP_ERR_UPDATE,
	BGP_ERR_HOLD,
	BGP_ERR_FSM,
	BGP_CEASE,
	BGP_ERR_REFRESH,		/* RFC 7313 */
	BGP_ERR_SEND_HOLD		/* RFC 9687 */
};
enum { HEADER_NOT_SYNCHRONIZED = 1, HEADER_BAD_LENGTH, HEADER_BAD_TYPE };
enum {
	OPEN_UNSPECIFIC,
	OPEN_BAD_VERSION,
	OPEN_BAD_PEER_AS,
	OPEN_BAD_ID,
	OPEN_BAD_PARAMETER,
	OPEN_BAD_HOLD_TIME = 6,
	OPEN_BAD_CAPABILITY		/* RFC 5492 */
};
enum {
	UPDATE_MALFORMED_LIST = 1,
	UPDATE_UNKNOWN_WELL_KNOWN,
	UPDATE_BAD_OPTIONAL = 9,
	UPDATE_BAD_NETWORK
};
enum {					/* RFC 6608 */
	FSM_IN_OPENSENT = 1,
	FSM_IN_OPENCONFIRM,
	FSM_IN_ESTABLISHED
};
enum {					/* RFC 4486 */
	CEASE_SHUTDOWN = 2,
	CEASE_DECONFIGURED,
	CEASE_RESET,
	CEASE_CONFIG_CHANGE = 6
};

/*
 * What is wrong with a message that was received: the NOTIFICATION to be sent.
 * The data lies in that message or is constant, never anything else.
 */
struct bgp_error {
	uint8_t code, subcode;
	const uint8_t *data;
	size_t len;
};

/* One message in a stream of octets. */
struct bgp_message {
	enum bgp_type type;
	size_t size;			/* of all of it */
	struct rd body;			/* behind the header */
};

enum bgp_framing { BGP_INCOMPLETE, BGP_COMPLETE, BGP_WRONG };

/*
 * The message that begins at buf, checked as 6.1 says.  Not more than the
 * header is needed to find it BGP_WRONG.
 */
enum bgp_framing bgp_message_read(const uint8_t *buf, size_t len,
    struct bgp_message *, struct bgp_error *);

/* 4.2, and what the capabilities of RFC 5492 in it said. */
struct bgp_open {
	uint32_t as;			/* of RFC 6793, or the 16 bits */
	uint16_t hold;			/* s */
	uint32_t id;
	bool as4;			/* 4-octet AS numbers */
	bool refresh;			/* route refresh */
	bool ipv4;			/* IPv4 unicast, said or left unsaid */
};

/* False with the error: syntax, version, hold time, id 0 (6.2). */
bool bgp_open_read(struct rd body, struct bgp_open *, struct bgp_error *);

/*
 * An UPDATE is looked at from end to end and not kept.  `fault` says why its
 * routes would have to be taken as withdrawn (RFC 7606), or is NULL; `attr`
 * is the attribute then.
 */
struct bgp_update {
	unsigned int withdrawn, announced;	/* prefixes */
	const char *fault;
	uint8_t attr;
};

/* False with the error: the session cannot go on (RFC 7606 3). */
bool bgp_update_read(struct rd body, bool as4, bool ibgp,
    struct bgp_update *, struct bgp_error *);

struct bgp_notification {
	uint8_t code, subcode;
	const uint8_t *text;		/* of RFC 9003, not terminated */
	size_t text_len;		/* 0: none */
};
void bgp_notification_read(struct rd body, struct bgp_notification *);

/* "Cease, Administrative Reset".  Returns dst. */
const char *bgp_error_name(uint8_t code, uint8_t subcode, char *dst,
    size_t size);

/* Is it for IPv4 unicast? */
bool bgp_refresh_read(struct rd body);

/*
 * Messages to be sent, each appended to what is in the writer.  Without
 * `capabilities` the OPEN is one for peers that know none.
 */
void bgp_open_write(struct wr *, const struct bgp_open *, bool capabilities);
void bgp_keepalive_write(struct wr *);
void bgp_notification_write(struct wr *, const struct bgp_error *);

/* The path that all our prefixes have. */
struct bgp_path {
	bool ibgp, as4;
	uint32_t local_as;
	uint32_t next_hop;		/* host byte order */
};

/*
 * An UPDATE that is filled with prefixes until no more go in: announced along
 * this path, or, where it is NULL, withdrawn.  Holds pointers into itself.
 */
struct bgp_pack {
	uint8_t room[BGP_MAX];
	struct wr w;
	size_t mark;			/* of the length that is filled in last */
	unsigned int prefixes;
	bool withdraw;
};
void bgp_pack_begin(struct bgp_pack *, const struct bgp_path *);
/* False, and not added, when it is full.  Bits behind len must be 0. */
bool bgp_pack_add(struct bgp_pack *, uint32_t addr, uint8_t len);
/* The length of the message in `room`; 0: there are no prefixes. */
size_t bgp_pack_end(struct bgp_pack *);

#endif
