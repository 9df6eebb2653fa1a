/*
 * control_wire.h - nsctl datagrams: bytes to struct control_msg and back
 */
#ifndef CONTROL_WIRE_H
#define CONTROL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control_proto.h"

enum control_form { CONTROL_V1, CONTROL_V2, CONTROL_SIGNED };

/* One argument; its octets are the packet's, or static text. */
struct control_arg {
	const char *p;
	size_t len;
};

/*
 * One message of any form.  `type` is version 2's; what version 1 calls GARDEN
 * and UNGARDEN comes as CONTROL_COMMAND with that word as the first argument,
 * and so does a type that it does not name, with the number as the word.
 * wire_type is what stood in the packet.
 */
struct control_msg {
	enum control_form form;
	uint8_t type;			/* CONTROL_LOAD ... */
	uint16_t wire_type;
	uint32_t id;			/* 0 in version 2, which has none */
	uint64_t sequence;		/* us since 1970; signed only */
	const uint8_t *data;		/* the arguments as they came */
	size_t data_len;
	unsigned int argc;
	struct control_arg arg[CONTROL_ARGS_MAX];
	char word[8];			/* arg[0] of an unnamed type */
};

/*
 * Decodes a whole datagram, whose octets msg goes on pointing to.  False for
 * all that is not exactly one message: a length that does not fit, something
 * behind the end, a control character in an argument of a request, an unknown
 * type.  Of a signed one this says nothing about the MAC.
 */
bool control_decode(const void *, size_t len, struct control_msg *);

/*
 * Writes msg (form, type, id, sequence, args) to dst and returns the length,
 * 0 if it does not fit or version 1 cannot say it.  Arguments are cut at 255
 * octets in version 2; a signed message has room for its MAC left out: call
 * control_sign() next.
 */
size_t control_encode(const struct control_msg *, void *dst, size_t size);

/* Does it say that it is signed? */
bool control_is_signed(const void *, size_t len);

/*
 * Writes the MAC behind the len octets at buf, which has `size` in all; returns
 * the new length, or 0 if there is no room.  `label` is CONTROL_LABEL_...
 */
size_t control_sign(void *buf, size_t len, size_t size, const char *label,
    const char *secret);

/*
 * Is the MAC at the end that of this label and secret?  Looks at nothing else;
 * takes the same time wherever a wrong MAC differs.  An empty secret fits
 * nothing.
 */
bool control_verify(const void *, size_t len, const char *label,
    const char *secret);

/*
 * Makes text the arguments of msg, one a line, lines of more than 255 octets
 * in pieces; blank lines become empty arguments, one \n at the end is none.
 * Stops, and makes the last argument "...", before the message would be longer
 * than CONTROL_REPLY_MAX in any form.  The text must outlive msg.
 */
void control_set_text(struct control_msg *, const char *text, size_t len);

#endif
