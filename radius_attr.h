/*
 * radius_attr.h - RADIUS packets and attributes, bytes <-> structs
 *
 * Codec: no side effects, no logging.  What is decoded points into the
 * packet.  Addresses are in host byte order.
 */
#ifndef RADIUS_ATTR_H
#define RADIUS_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth.h"
#include "radius_proto.h"
#include "wire.h"

/*
 * Building.  Each radius_put*() writes the attribute whole or, when it has no
 * room, or a value that does not fit an attribute (0 or over 253 octets), not
 * at all and says false.  So what matters is put first, and in a packet that
 * gets too long the attributes put last are the ones that are left out.
 */
void radius_begin(struct wr *, uint8_t code, uint8_t id,
    const uint8_t authenticator[RADIUS_AUTH_LEN]);
bool radius_put(struct wr *, uint8_t type, const void *value, size_t len);
bool radius_put_u32(struct wr *, uint8_t type, uint32_t value);
bool radius_put_text(struct wr *, uint8_t type, const char *text);
/* RFC 2868 3: with an unused tag in front. */
bool radius_put_tagged_u24(struct wr *, uint8_t type, uint32_t value);
bool radius_put_tagged_text(struct wr *, uint8_t type, const char *text);

/* RFC 2865 5.2.  False when the password is over 128 octets. */
bool radius_put_password(struct wr *, const void *password, size_t len,
    const uint8_t authenticator[RADIUS_AUTH_LEN], const char *secret);

/*
 * An Access-Request's Message-Authenticator (RFC 3579 3.2): put first, right
 * after radius_begin(), and computed by radius_finish_access().
 */
bool radius_put_message_authenticator(struct wr *);

/* Length and authenticators; the size of the packet, or 0 when it is torn. */
size_t radius_finish_access(struct wr *, const char *secret);
size_t radius_finish_accounting(struct wr *, const char *secret);

/* Reading.  What was wrong with a packet, in the order of the checks. */
enum radius_bad {
	RADIUS_OK,
	RADIUS_BAD_SHORT,	/* under 20 octets */
	RADIUS_BAD_LENGTH,	/* Length under 20, over 4096, over the packet */
	RADIUS_BAD_ATTRIBUTES,	/* do not fill it exactly */
	RADIUS_BAD_CODE,	/* not an answer to what was asked */
	RADIUS_BAD_AUTHENTICATOR,
	RADIUS_BAD_MESSAGE_AUTHENTICATOR,
	RADIUS_NO_MESSAGE_AUTHENTICATOR,	/* and it was required */
	RADIUS_BAD_PROXY_STATE	/* we never sent one */
};
const char *radius_bad_text(enum radius_bad);

struct radius_packet {
	uint8_t code, id;
	const uint8_t *start;		/* of the packet */
	size_t len;			/* the Length field */
	struct rd attrs;
	const uint8_t *message_authenticator;	/* its 16 octets, or NULL */
	bool proxy_state;
};

/* The structure; octets past Length are padding (RFC 2865 3). */
enum radius_bad radius_decode(const void *buf, size_t len,
    struct radius_packet *);

/*
 * Response Authenticator, and Message-Authenticator when there is one, for
 * the request whose authenticator is given.
 */
enum radius_bad radius_verify(const struct radius_packet *,
    const uint8_t request[RADIUS_AUTH_LEN], const char *secret);

/* What radius_result_decode() has to say besides the result. */
struct radius_notes {
	unsigned int ignored;		/* attributes it could not use */
	bool interim_raised;		/* Acct-Interim-Interval was under 60 */
	const char *rejected;		/* why an Accept is a Reject, or NULL */
};

/*
 * An Accept, Reject or Challenge as a result.  An Accept is a Reject when a
 * known attribute has a length that its type does not allow (RFC 2865 5), or
 * when it grants a service that is not ours (RFC 2865 5.6).  A Challenge is a
 * Reject (RFC 2865 4.4).
 */
void radius_result_decode(const struct radius_packet *, struct auth_result *,
    struct radius_notes *);

/*
 * Framed-Route, RFC 2865 5.22: `prefix[/len] [gateway [metric...]]`; without
 * /len that of the address's class.  Host bits are cleared.
 */
bool radius_route_parse(const void *text, size_t len, struct prefix *);

#endif
