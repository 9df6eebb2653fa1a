/*
 * control_proto.h - the numbers of the nsctl protocol, three forms of it
 *
 * UDP, one request, one response.  All integers are in network byte order.
 *
 * Version 1, of releases before 2.0.8; length counts the whole datagram, each
 * argument ends in a NUL, and the response has the id of its request:
 *
 *	u16 magic 0x9012 | u16 type | u16 length | u32 id | arguments
 *
 * Version 2, of 2.0.8 to 2.4.1; an argument is a length and so many octets:
 *
 *	u16 magic 0x9013 | u8 type | u8 argc | (u8 length, octets)... | 0xff
 *
 * Signed, of 3.0: version 2's body behind a head and before a MAC, the first
 * 16 octets of HMAC-SHA256, keyed with the secret's characters, over a label
 * with the NUL that ends it and then all that precedes the MAC.  The label
 * differs between requests and responses, so that neither is ever taken for
 * the other.  The sequence is the sender's clock, microseconds since 1970;
 * a response repeats the sequence and the id of its request:
 *
 *	u16 magic 0x9014 | u64 sequence | u32 id |
 *	u8 type | u8 argc | (u8 length, octets)... | 0xff | 16 octets MAC
 */
#ifndef CONTROL_PROTO_H
#define CONTROL_PROTO_H

#define CONTROL_PORT		1702
#define CONTROL_V1_CLIENT_PORT	1703	/* old clients send from there */

#define CONTROL_MAGIC_V1	0x9012
#define CONTROL_MAGIC_V2	0x9013
#define CONTROL_MAGIC_SIGNED	0x9014

#define CONTROL_REQUEST_MAX	4096	/* octets of a datagram */
#define CONTROL_REPLY_MAX	1400
#define CONTROL_ARGS_MAX	255
#define CONTROL_ARG_MAX		255	/* octets */

#define CONTROL_V1_HEAD		10
#define CONTROL_V1_OK		1
#define CONTROL_V1_ERROR	2
#define CONTROL_V1_LOAD		5
#define CONTROL_V1_UNLOAD	6
#define CONTROL_V1_GARDEN	1000
#define CONTROL_V1_UNGARDEN	1001

#define CONTROL_LOAD		0x11
#define CONTROL_UNLOAD		0x12
#define CONTROL_HELP		0x13
#define CONTROL_COMMAND		0x14
#define CONTROL_OK		0x21
#define CONTROL_ERROR		0x22
#define CONTROL_END		0xff	/* behind the last argument */

#define CONTROL_SIGNED_HEAD	14
#define CONTROL_MAC		16
#define CONTROL_LABEL_REQUEST	"l2tpns nsctl request"
#define CONTROL_LABEL_REPLY	"l2tpns nsctl reply"

/* How far the clocks of both ends may be apart. */
#define CONTROL_CLOCK_USEC	10000000

#endif
