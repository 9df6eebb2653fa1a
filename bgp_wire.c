/*
 * bgp_wire.c - BGP-4 messages: bytes <-> structs (RFC 4271 section 4)
 *
 * Reading follows section 6, in its order: what is wrong first is what the
 * peer is told.  UPDATEs are read by the rules of RFC 7606, though nothing in
 * them is kept: only what makes it impossible to find the next prefix ends the
 * session, everything else is a remark.
 *
 * A NOTIFICATION quotes what was wrong.  The quote is a pointer and a length
 * that came from one and the same cursor, so nothing can be quoted but what
 * was received.
 *
 * Writing: an OPEN is small, an UPDATE is packed full.  All that is announced
 * has the same attributes, so one UPDATE carries up to 800 addresses.
 *
 * Owns:     nothing.
 * Calls:    wire.h.
 * Lifetime: one message.
 */
#include "bgp_wire.h"

#include <stdio.h>
#include <string.h>

#define LEN(a)		(sizeof(a) / sizeof((a)[0]))

/* Capability codes */
#define CAP_MULTIPROTOCOL	1	/* RFC 4760 */
#define CAP_REFRESH		2	/* RFC 2918 */
#define CAP_AS4			65	/* RFC 6793 */

#define PARAM_CAPABILITIES	2	/* RFC 5492 */
#define PARAM_EXTENDED		255	/* RFC 9072 */

#define AFI_IPV4		1
#define SAFI_UNICAST		1

#define VERSION			4

/* Path attributes: 4.3 and 5, and those of other RFCs */
enum {
	ATTR_ORIGIN = 1,
	ATTR_AS_PATH,
	ATTR_NEXT_HOP,
	ATTR_MED,
	ATTR_LOCAL_PREF,
	ATTR_ATOMIC_AGGREGATE,
	ATTR_AGGREGATOR,
	ATTR_COMMUNITIES,		/* RFC 1997 */
	ATTR_ORIGINATOR_ID,		/* RFC 4456 */
	ATTR_CLUSTER_LIST,
	ATTR_MP_REACH = 14,		/* RFC 4760 */
	ATTR_MP_UNREACH,
	ATTR_EXT_COMMUNITIES,		/* RFC 4360 */
	ATTR_AS4_PATH,			/* RFC 6793 */
	ATTR_AS4_AGGREGATOR,
	ATTR_LARGE_COMMUNITIES = 32	/* RFC 8092 */
};
#define FLAG_OPTIONAL		0x80
#define FLAG_TRANSITIVE		0x40
#define FLAG_EXTENDED		0x10

#define ORIGIN_IGP		0
#define ORIGIN_INCOMPLETE	2
#define AS_SEQUENCE		2
#define SEGMENT_MAX		4	/* AS_CONFED_SET of RFC 5065 */
#define MED			1
#define LOCAL_PREF		100
#define NO_EXPORT		0xffffff01u	/* RFC 1997 */

#define MARKER		"\377\377\377\377\377\377\377\377" \
			"\377\377\377\377\377\377\377\377"
#define MARKER_LEN	16

static bool
fail(struct bgp_error *e, uint8_t code, uint8_t subcode, const uint8_t *data,
    size_t len)
{
	*e = (struct bgp_error){ code, subcode, data, len };
	return false;
}

/* --- the header --------------------------------------------------------- */

/* How long a message of a type is at least, and at most (6.1, RFC 2918). */
static const struct { uint16_t least, most; } sizes[] = {
	[BGP_OPEN] = { 29, BGP_MAX },
	[BGP_UPDATE] = { 23, BGP_MAX },
	[BGP_NOTIFICATION] = { 21, BGP_MAX },
	[BGP_KEEPALIVE] = { BGP_HEADER, BGP_HEADER },
	[BGP_ROUTE_REFRESH] = { 23, 23 },
};

enum bgp_framing
bgp_message_read(const uint8_t *buf, size_t len, struct bgp_message *m,
    struct bgp_error *e)
{
	struct rd r = rd_init(buf, len);
	const uint8_t *marker = rd_bytes(&r, MARKER_LEN);
	const uint8_t *at_size = r.p;
	uint16_t size = rd_u16(&r);
	const uint8_t *at_type = r.p;
	uint8_t type = rd_u8(&r);

	if (r.bad)
		return BGP_INCOMPLETE;
	if (memcmp(marker, MARKER, MARKER_LEN) != 0) {
		fail(e, BGP_ERR_HEADER, HEADER_NOT_SYNCHRONIZED, NULL, 0);
		return BGP_WRONG;
	}
	if (size < BGP_HEADER || size > BGP_MAX) {
		fail(e, BGP_ERR_HEADER, HEADER_BAD_LENGTH, at_size, 2);
		return BGP_WRONG;
	}
	if (type < BGP_OPEN || type > BGP_ROUTE_REFRESH) {
		fail(e, BGP_ERR_HEADER, HEADER_BAD_TYPE, at_type, 1);
		return BGP_WRONG;
	}
	if (size < sizes[type].least || size > sizes[type].most) {
		fail(e, BGP_ERR_HEADER, HEADER_BAD_LENGTH, at_size, 2);
		return BGP_WRONG;
	}
	if (size > len)
		return BGP_INCOMPLETE;
	*m = (struct bgp_message){ .type = type, .size = size,
	    .body = rd_init(buf + BGP_HEADER, size - BGP_HEADER) };
	return BGP_COMPLETE;
}

static size_t
message_begin(struct wr *w, enum bgp_type type)
{
	size_t start = wr_len(w);

	wr_bytes(w, MARKER, MARKER_LEN);
	(void)wr_hold_u16(w);
	wr_u8(w, (uint8_t)type);
	return start;
}

static void
message_end(struct wr *w, size_t start)
{
	wr_len_u16(w, start + MARKER_LEN, start);
}

/* --- OPEN --------------------------------------------------------------- */

/* Has the peer named an address family, and ours? */
struct families { bool any, ipv4; };

/* One after the other (RFC 5492 4); what is unknown is not for us. */
static bool
read_capabilities(struct rd r, struct bgp_open *o, struct families *f)
{
	while (rd_left(&r) > 0) {
		uint8_t code = rd_u8(&r);
		struct rd v = rd_sub(&r, rd_u8(&r));
		uint32_t family;

		switch (code) {
		case CAP_MULTIPROTOCOL:	/* AFI, a reserved octet, SAFI */
			family = rd_u32(&v) & 0xffff00ffu;
			f->any = true;
			if (family == (AFI_IPV4 << 16 | SAFI_UNICAST))
				f->ipv4 = true;
			break;
		case CAP_REFRESH:
			o->refresh = true;
			break;
		case CAP_AS4:
			o->as4 = true;
			o->as = rd_u32(&v);
			break;
		default:
			continue;
		}
		if (!rd_done(&v))
			return false;
	}
	return !r.bad;
}

/*
 * RFC 9072: with more than 255 octets of parameters the length of all is the
 * 255 that nobody would use, followed by a type that is none, and lengths have
 * two octets from there on.
 */
static bool
read_parameters(struct rd *r, struct rd *params, bool *extended)
{
	size_t len = rd_u8(r);
	struct rd peek = *r;

	*extended = len != 0 && rd_u8(&peek) == PARAM_EXTENDED;
	if (*extended) {
		*r = peek;
		len = rd_u16(r);
	}
	*params = rd_sub(r, len);
	return rd_done(r);
}

bool
bgp_open_read(struct rd r, struct bgp_open *o, struct bgp_error *e)
{
	static const uint8_t our_version[] = { 0, VERSION };
	struct families f = { false, false };
	struct rd params;
	bool extended;
	uint8_t version = rd_u8(&r);

	*o = (struct bgp_open){ .as = rd_u16(&r) };
	o->hold = rd_u16(&r);
	o->id = rd_u32(&r);
	if (version != VERSION)
		return fail(e, BGP_ERR_OPEN, OPEN_BAD_VERSION, our_version,
		    sizeof(our_version));
	if (!read_parameters(&r, &params, &extended))
		return fail(e, BGP_ERR_OPEN, OPEN_UNSPECIFIC, NULL, 0);
	while (rd_left(&params) > 0) {
		const uint8_t *start = params.p;
		uint8_t type = rd_u8(&params);
		struct rd v = rd_sub(&params, extended ? rd_u16(&params) :
		    rd_u8(&params));

		if (v.bad)
			break;
		if (type != PARAM_CAPABILITIES)
			return fail(e, BGP_ERR_OPEN, OPEN_BAD_PARAMETER, start,
			    (size_t)(params.p - start));
		if (!read_capabilities(v, o, &f))
			return fail(e, BGP_ERR_OPEN, OPEN_UNSPECIFIC, NULL, 0);
	}
	if (params.bad)
		return fail(e, BGP_ERR_OPEN, OPEN_UNSPECIFIC, NULL, 0);
	o->ipv4 = f.ipv4 || !f.any;
	if (o->as == 0)			/* RFC 7607 */
		return fail(e, BGP_ERR_OPEN, OPEN_BAD_PEER_AS, NULL, 0);
	if (o->id == 0)			/* RFC 6286 2.2 */
		return fail(e, BGP_ERR_OPEN, OPEN_BAD_ID, NULL, 0);
	if (o->hold == 1 || o->hold == 2)
		return fail(e, BGP_ERR_OPEN, OPEN_BAD_HOLD_TIME, NULL, 0);
	return true;
}

static void
write_capabilities(struct wr *w, const struct bgp_open *o)
{
	uint8_t room[64];
	struct wr c = wr_init(room, sizeof(room));

	wr_u8(&c, CAP_MULTIPROTOCOL);
	wr_u8(&c, 4);
	wr_u16(&c, AFI_IPV4);
	wr_u8(&c, 0);
	wr_u8(&c, SAFI_UNICAST);
	wr_u8(&c, CAP_REFRESH);
	wr_u8(&c, 0);
	wr_u8(&c, CAP_AS4);
	wr_u8(&c, 4);
	wr_u32(&c, o->as);
	wr_u8(w, (uint8_t)(wr_len(&c) + 2));
	wr_u8(w, PARAM_CAPABILITIES);
	wr_u8(w, (uint8_t)wr_len(&c));
	wr_bytes(w, room, wr_len(&c));
}

void
bgp_open_write(struct wr *w, const struct bgp_open *o, bool capabilities)
{
	size_t start = message_begin(w, BGP_OPEN);

	wr_u8(w, VERSION);
	wr_u16(w, o->as > UINT16_MAX ? BGP_AS_TRANS : (uint16_t)o->as);
	wr_u16(w, o->hold);
	wr_u32(w, o->id);
	if (capabilities)
		write_capabilities(w, o);
	else
		wr_u8(w, 0);
	message_end(w, start);
}

/* --- KEEPALIVE, ROUTE-REFRESH ------------------------------------------- */

void
bgp_keepalive_write(struct wr *w)
{
	message_end(w, message_begin(w, BGP_KEEPALIVE));
}

bool
bgp_refresh_read(struct rd r)
{
	uint16_t afi = rd_u16(&r);

	(void)rd_u8(&r);		/* RFC 7313's subtype is 0: it was not
					 * offered */
	return rd_u8(&r) == SAFI_UNICAST && afi == AFI_IPV4;
}

/* --- NOTIFICATION ------------------------------------------------------- */

static const char *const codes[] = {
	[BGP_ERR_HEADER] = "Message Header Error",
	[BGP_ERR_OPEN] = "OPEN Message Error",
	[BGP_ERR_UPDATE] = "UPDATE Message Error",
	[BGP_ERR_HOLD] = "Hold Timer Expired",
	[BGP_ERR_FSM] = "Finite State Machine Error",
	[BGP_CEASE] = "Cease",
	[BGP_ERR_REFRESH] = "ROUTE-REFRESH Message Error",
	[BGP_ERR_SEND_HOLD] = "Send Hold Timer Expired",
};

/* As in the registry of IANA. */
static const struct { uint8_t code, subcode; const char *name; } subcodes[] = {
	{ BGP_ERR_HEADER, 1, "Connection Not Synchronized" },
	{ BGP_ERR_HEADER, 2, "Bad Message Length" },
	{ BGP_ERR_HEADER, 3, "Bad Message Type" },
	{ BGP_ERR_OPEN, 1, "Unsupported Version Number" },
	{ BGP_ERR_OPEN, 2, "Bad Peer AS" },
	{ BGP_ERR_OPEN, 3, "Bad BGP Identifier" },
	{ BGP_ERR_OPEN, 4, "Unsupported Optional Parameter" },
	{ BGP_ERR_OPEN, 6, "Unacceptable Hold Time" },
	{ BGP_ERR_OPEN, 7, "Unsupported Capability" },
	{ BGP_ERR_OPEN, 11, "Role Mismatch" },
	{ BGP_ERR_UPDATE, 1, "Malformed Attribute List" },
	{ BGP_ERR_UPDATE, 2, "Unrecognized Well-known Attribute" },
	{ BGP_ERR_UPDATE, 3, "Missing Well-known Attribute" },
	{ BGP_ERR_UPDATE, 4, "Attribute Flags Error" },
	{ BGP_ERR_UPDATE, 5, "Attribute Length Error" },
	{ BGP_ERR_UPDATE, 6, "Invalid ORIGIN Attribute" },
	{ BGP_ERR_UPDATE, 8, "Invalid NEXT_HOP Attribute" },
	{ BGP_ERR_UPDATE, 9, "Optional Attribute Error" },
	{ BGP_ERR_UPDATE, 10, "Invalid Network Field" },
	{ BGP_ERR_UPDATE, 11, "Malformed AS_PATH" },
	{ BGP_ERR_FSM, 1, "Receive Unexpected Message in OpenSent State" },
	{ BGP_ERR_FSM, 2, "Receive Unexpected Message in OpenConfirm State" },
	{ BGP_ERR_FSM, 3, "Receive Unexpected Message in Established State" },
	{ BGP_CEASE, 1, "Maximum Number of Prefixes Reached" },
	{ BGP_CEASE, 2, "Administrative Shutdown" },
	{ BGP_CEASE, 3, "Peer De-configured" },
	{ BGP_CEASE, 4, "Administrative Reset" },
	{ BGP_CEASE, 5, "Connection Rejected" },
	{ BGP_CEASE, 6, "Other Configuration Change" },
	{ BGP_CEASE, 7, "Connection Collision Resolution" },
	{ BGP_CEASE, 8, "Out of Resources" },
	{ BGP_CEASE, 9, "Hard Reset" },
	{ BGP_CEASE, 10, "BFD Down" },
	{ BGP_ERR_REFRESH, 1, "Invalid Message Length" },
};

const char *
bgp_error_name(uint8_t code, uint8_t subcode, char *dst, size_t size)
{
	const char *name = code < LEN(codes) ? codes[code] : NULL;

	if (name == NULL) {
		snprintf(dst, size, "code %u subcode %u", code, subcode);
		return dst;
	}
	snprintf(dst, size, "%s", name);
	if (subcode == 0)
		return dst;
	for (size_t i = 0; i < LEN(subcodes); i++)
		if (subcodes[i].code == code && subcodes[i].subcode == subcode) {
			snprintf(dst, size, "%s, %s", name, subcodes[i].name);
			return dst;
		}
	snprintf(dst, size, "%s, subcode %u", name, subcode);
	return dst;
}

/* RFC 9003: what the other operator has to say, if it is whole. */
void
bgp_notification_read(struct rd r, struct bgp_notification *n)
{
	*n = (struct bgp_notification){ .code = rd_u8(&r) };
	n->subcode = rd_u8(&r);
	if (n->code != BGP_CEASE || (n->subcode != CEASE_SHUTDOWN &&
	    n->subcode != CEASE_RESET) || rd_left(&r) == 0)
		return;
	n->text_len = rd_u8(&r);
	n->text = rd_bytes(&r, n->text_len);
	if (n->text == NULL)
		n->text_len = 0;
}

void
bgp_notification_write(struct wr *w, const struct bgp_error *e)
{
	size_t start = message_begin(w, BGP_NOTIFICATION);
	size_t most = BGP_MAX - BGP_HEADER - 2;

	wr_u8(w, e->code);
	wr_u8(w, e->subcode);
	wr_bytes(w, e->data, e->len < most ? e->len : most);
	message_end(w, start);
}

/* --- UPDATE: reading ---------------------------------------------------- */

/* Counts the prefixes; false when one is no prefix or is cut (RFC 7606 5.3). */
static bool
read_prefixes(struct rd r, unsigned int *n)
{
	while (rd_left(&r) > 0) {
		uint8_t bits = rd_u8(&r);

		if (bits > 32 || rd_bytes(&r, (bits + 7u) / 8) == NULL)
			return false;
		(*n)++;
	}
	return true;
}

/* Segments of AS numbers, none of them empty, and nothing behind (7.2). */
static bool
as_path_ok(struct rd r, size_t as_size)
{
	while (rd_left(&r) > 0) {
		uint8_t type = rd_u8(&r), count = rd_u8(&r);

		if (type < 1 || type > SEGMENT_MAX || count == 0 ||
		    rd_bytes(&r, count * as_size) == NULL)
			return false;
	}
	return !r.bad;
}

/* Up to the routes, which are of a family that was not asked for. */
static bool
mp_reach_ok(struct rd r)
{
	(void)rd_u16(&r);
	(void)rd_u8(&r);
	(void)rd_bytes(&r, rd_u8(&r));
	(void)rd_u8(&r);
	return !r.bad;
}

static bool
multiple_of(size_t len, size_t n)
{
	return len > 0 && len % n == 0;
}

/* What an attribute's value must look like: RFC 7606 section 7. */
static bool
value_ok(uint8_t type, struct rd v, bool as4, bool ibgp)
{
	size_t len = rd_left(&v);

	switch (type) {
	case ATTR_ORIGIN:
		return len == 1 && rd_u8(&v) <= ORIGIN_INCOMPLETE;
	case ATTR_AS_PATH:
		return as_path_ok(v, as4 ? 4 : 2);
	case ATTR_NEXT_HOP:
	case ATTR_MED:
		return len == 4;
	case ATTR_LOCAL_PREF:
	case ATTR_ORIGINATOR_ID:
		return !ibgp || len == 4;
	case ATTR_ATOMIC_AGGREGATE:
		return len == 0;
	case ATTR_AGGREGATOR:
		return len == (as4 ? 8 : 6);
	case ATTR_COMMUNITIES:
		return multiple_of(len, 4);
	case ATTR_CLUSTER_LIST:
		return !ibgp || multiple_of(len, 4);
	case ATTR_EXT_COMMUNITIES:
		return multiple_of(len, 8);
	case ATTR_AS4_PATH:
		return as_path_ok(v, 4);
	case ATTR_AS4_AGGREGATOR:
		return len == 8;
	case ATTR_LARGE_COMMUNITIES:
		return multiple_of(len, 12);
	default:
		return true;
	}
}

/* The flags that a known attribute must have; others may have any (4.3). */
static bool
flags_ok(uint8_t type, uint8_t flags)
{
	const uint8_t kind = FLAG_OPTIONAL | FLAG_TRANSITIVE;

	switch (type) {
	case ATTR_ORIGIN:
	case ATTR_AS_PATH:
	case ATTR_NEXT_HOP:
	case ATTR_LOCAL_PREF:
	case ATTR_ATOMIC_AGGREGATE:
		return (flags & kind) == FLAG_TRANSITIVE;
	case ATTR_MED:
	case ATTR_ORIGINATOR_ID:
	case ATTR_CLUSTER_LIST:
	case ATTR_MP_REACH:
	case ATTR_MP_UNREACH:
		return (flags & kind) == FLAG_OPTIONAL;
	case ATTR_AGGREGATOR:
	case ATTR_COMMUNITIES:
	case ATTR_EXT_COMMUNITIES:
	case ATTR_AS4_PATH:
	case ATTR_AS4_AGGREGATOR:
	case ATTR_LARGE_COMMUNITIES:
		return (flags & kind) == kind;
	default:
		return true;
	}
}

static bool
is_known(uint8_t type)
{
	return (type >= ATTR_ORIGIN && type <= ATTR_CLUSTER_LIST) ||
	    (type >= ATTR_MP_REACH && type <= ATTR_AS4_AGGREGATOR) ||
	    type == ATTR_LARGE_COMMUNITIES;
}

static void
remark(struct bgp_update *u, uint8_t attr, const char *fault)
{
	if (u->fault != NULL)
		return;
	u->fault = fault;
	u->attr = attr;
}

struct seen { uint8_t bit[32]; };

static bool
seen_before(struct seen *s, uint8_t type)
{
	bool before = (s->bit[type / 8] & 1u << type % 8) != 0;

	s->bit[type / 8] |= (uint8_t)(1u << type % 8);
	return before;
}

/* False if the session cannot outlive it. */
static bool
check_attribute(uint8_t flags, uint8_t type, struct rd v, bool again, bool as4,
    bool ibgp, struct bgp_update *u)
{
	if (type == ATTR_MP_REACH || type == ATTR_MP_UNREACH) {
		bool whole = type == ATTR_MP_REACH ? mp_reach_ok(v) :
		    rd_left(&v) >= 3;

		if (again || !whole)
			return false;
	}
	if (!is_known(type) && (flags & FLAG_OPTIONAL) == 0)
		return false;
	if (again)			/* RFC 7606 3 g: the first counts */
		return true;
	if (!flags_ok(type, flags))
		remark(u, type, "wrong flags");
	else if (!value_ok(type, v, as4, ibgp))
		remark(u, type, "malformed");
	return true;
}

static uint8_t
attribute_subcode(uint8_t type, bool again)
{
	if (!is_known(type))
		return UPDATE_UNKNOWN_WELL_KNOWN;
	return again ? UPDATE_MALFORMED_LIST : UPDATE_BAD_OPTIONAL;
}

static bool
read_attributes(struct rd r, bool as4, bool ibgp, struct bgp_update *u,
    struct seen *seen, struct bgp_error *e)
{
	while (rd_left(&r) > 0) {
		const uint8_t *start = r.p;
		uint8_t flags = rd_u8(&r), type = rd_u8(&r);
		struct rd v = rd_sub(&r, (flags & FLAG_EXTENDED) != 0 ?
		    rd_u16(&r) : rd_u8(&r));
		bool again;
		uint8_t subcode;

		if (v.bad) {		/* RFC 7606 4 */
			remark(u, type, "overruns the attributes");
			return true;
		}
		again = seen_before(seen, type);
		if (check_attribute(flags, type, v, again, as4, ibgp, u))
			continue;
		subcode = attribute_subcode(type, again);
		if (subcode == UPDATE_MALFORMED_LIST)
			return fail(e, BGP_ERR_UPDATE, subcode, NULL, 0);
		return fail(e, BGP_ERR_UPDATE, subcode, start,
		    (size_t)(r.p - start));
	}
	return true;
}

/* Prefixes need these (RFC 7606 3 d). */
static void
check_mandatory(const struct seen *seen, bool ibgp, struct bgp_update *u)
{
	static const uint8_t mandatory[] = { ATTR_ORIGIN, ATTR_AS_PATH,
	    ATTR_NEXT_HOP, ATTR_LOCAL_PREF };

	for (size_t i = 0; i < LEN(mandatory) - !ibgp; i++)
		if ((seen->bit[0] & 1u << mandatory[i]) == 0)
			remark(u, mandatory[i], "missing");
}

bool
bgp_update_read(struct rd r, bool as4, bool ibgp, struct bgp_update *u,
    struct bgp_error *e)
{
	struct rd withdrawn = rd_sub(&r, rd_u16(&r));
	struct rd attributes = rd_sub(&r, rd_u16(&r));
	struct seen seen = { { 0 } };

	*u = (struct bgp_update){ .fault = NULL };
	if (r.bad)			/* RFC 4271 6.3, first paragraph */
		return fail(e, BGP_ERR_UPDATE, UPDATE_MALFORMED_LIST, NULL, 0);
	if (!read_attributes(attributes, as4, ibgp, u, &seen, e))
		return false;
	if (!read_prefixes(withdrawn, &u->withdrawn) ||
	    !read_prefixes(r, &u->announced))
		return fail(e, BGP_ERR_UPDATE, UPDATE_BAD_NETWORK, NULL, 0);
	if (u->announced > 0)
		check_mandatory(&seen, ibgp, u);
	return true;
}

/* --- UPDATE: writing ---------------------------------------------------- */

static void
attribute(struct wr *w, uint8_t flags, uint8_t type, uint8_t len)
{
	wr_u8(w, flags);
	wr_u8(w, type);
	wr_u8(w, len);
}

/* Empty inside our AS; else a sequence of one (5.1.2). */
static void
write_as_path(struct wr *w, const struct bgp_path *p)
{
	if (p->ibgp) {
		attribute(w, FLAG_TRANSITIVE, ATTR_AS_PATH, 0);
		return;
	}
	attribute(w, FLAG_TRANSITIVE, ATTR_AS_PATH, p->as4 ? 6 : 4);
	wr_u8(w, AS_SEQUENCE);
	wr_u8(w, 1);
	if (p->as4)
		wr_u32(w, p->local_as);
	else
		wr_u16(w, p->local_as > UINT16_MAX ? BGP_AS_TRANS :
		    (uint16_t)p->local_as);
}

/* Who knows two octets passes four on to who knows them (RFC 6793 4.2.2). */
static void
write_as4_path(struct wr *w, const struct bgp_path *p)
{
	if (p->ibgp || p->as4 || p->local_as <= UINT16_MAX)
		return;
	attribute(w, FLAG_OPTIONAL | FLAG_TRANSITIVE, ATTR_AS4_PATH, 6);
	wr_u8(w, AS_SEQUENCE);
	wr_u8(w, 1);
	wr_u32(w, p->local_as);
}

static void
write_path(struct wr *w, const struct bgp_path *p)
{
	attribute(w, FLAG_TRANSITIVE, ATTR_ORIGIN, 1);
	wr_u8(w, ORIGIN_IGP);
	write_as_path(w, p);
	attribute(w, FLAG_TRANSITIVE, ATTR_NEXT_HOP, 4);
	wr_u32(w, p->next_hop);
	attribute(w, FLAG_OPTIONAL, ATTR_MED, 4);
	wr_u32(w, MED);
	if (p->ibgp) {
		attribute(w, FLAG_TRANSITIVE, ATTR_LOCAL_PREF, 4);
		wr_u32(w, LOCAL_PREF);
	}
	attribute(w, FLAG_OPTIONAL | FLAG_TRANSITIVE, ATTR_COMMUNITIES, 4);
	wr_u32(w, NO_EXPORT);
	write_as4_path(w, p);
}

void
bgp_pack_begin(struct bgp_pack *k, const struct bgp_path *p)
{
	size_t from;

	k->withdraw = p == NULL;
	k->prefixes = 0;
	k->w = wr_init(k->room, sizeof(k->room));
	(void)message_begin(&k->w, BGP_UPDATE);
	k->mark = wr_hold_u16(&k->w);		/* Withdrawn Routes Length */
	if (p == NULL)
		return;
	k->mark = wr_hold_u16(&k->w);		/* Total Path Attribute Length */
	from = wr_len(&k->w);
	write_path(&k->w, p);
	wr_len_u16(&k->w, k->mark, from);
}

/* Behind the withdrawn routes comes a length, which is 0. */
bool
bgp_pack_add(struct bgp_pack *k, uint32_t addr, uint8_t len)
{
	size_t octets = (len + 7u) / 8, behind = k->withdraw ? 2 : 0;

	if ((size_t)(k->w.end - k->w.p) < 1 + octets + behind)
		return false;
	wr_u8(&k->w, len);
	for (size_t i = 0; i < octets; i++)
		wr_u8(&k->w, (uint8_t)(addr >> (24 - 8 * i)));
	k->prefixes++;
	return true;
}

size_t
bgp_pack_end(struct bgp_pack *k)
{
	if (k->prefixes == 0)
		return 0;
	if (k->withdraw) {
		wr_len_u16(&k->w, k->mark, k->mark + 2);
		wr_u16(&k->w, 0);
	}
	message_end(&k->w, 0);
	return wr_done(&k->w);
}
