/*
 * radius_attr.c - RADIUS packets and attributes, bytes <-> structs
 *
 * The packet of RFC 2865 section 3 with its authenticators, and the
 * attributes of a reply as an auth_result.  Which attributes a reply may
 * have, how long each may be and what becomes of it is one row in
 * reply_attrs[]: the length is checked there, before anybody copies, because
 * fixed fields filled by the attribute's own length is how the RADIUS clients
 * of this trade have been broken into (CVE-2022-24704, CVE-2020-28194).
 *
 * Text from the server is data: NULs are refused or replaced here, escaping
 * is the log's business.
 *
 * Owns:     nothing.
 * Calls:    digest.
 * Lifetime: none.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "digest.h"
#include "radius_attr.h"

#define PASSWORD_MAX	128	/* RFC 2865 5.2 */

/* ---- building ---- */

void
radius_begin(struct wr *w, uint8_t code, uint8_t id,
    const uint8_t authenticator[RADIUS_AUTH_LEN])
{
	wr_u8(w, code);
	wr_u8(w, id);
	wr_u16(w, 0);			/* Length, when it is known */
	wr_bytes(w, authenticator, RADIUS_AUTH_LEN);
}

/* Room for an attribute's value behind its type and length, or NULL. */
static uint8_t *
attr_room(struct wr *w, uint8_t type, size_t len)
{
	if (len == 0 || len > RADIUS_VALUE_MAX || w->full ||
	    (size_t)(w->end - w->p) < len + 2)
		return NULL;
	wr_u8(w, type);
	wr_u8(w, (uint8_t)(len + 2));
	return wr_room(w, len);
}

bool
radius_put(struct wr *w, uint8_t type, const void *value, size_t len)
{
	uint8_t *p = attr_room(w, type, len);

	if (p == NULL)
		return false;
	memcpy(p, value, len);
	return true;
}

bool
radius_put_u32(struct wr *w, uint8_t type, uint32_t value)
{
	uint8_t v[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16),
	    (uint8_t)(value >> 8), (uint8_t)value };

	return radius_put(w, type, v, sizeof(v));
}

bool
radius_put_text(struct wr *w, uint8_t type, const char *text)
{
	return radius_put(w, type, text, strlen(text));
}

bool
radius_put_tagged_u24(struct wr *w, uint8_t type, uint32_t value)
{
	return radius_put_u32(w, type, value & 0xffffff);
}

bool
radius_put_tagged_text(struct wr *w, uint8_t type, const char *text)
{
	size_t len = strlen(text);
	uint8_t *p = len > 0 ? attr_room(w, type, len + 1) : NULL;

	if (p == NULL)
		return false;
	p[0] = 0;
	memcpy(p + 1, text, len);
	return true;
}

/* RFC 2865 5.2: each block is XORed with MD5(secret, block before). */
bool
radius_put_password(struct wr *w, const void *password, size_t len,
    const uint8_t authenticator[RADIUS_AUTH_LEN], const char *secret)
{
	uint8_t v[PASSWORD_MAX] = { 0 }, mask[DIGEST_MD5];
	const uint8_t *before = authenticator;
	size_t total = len == 0 ? 16 : (len + 15) / 16 * 16, i, j;

	if (len > PASSWORD_MAX)
		return false;
	memcpy(v, password, len);
	for (i = 0; i < total; i += 16) {
		const struct digest_part part[] = {
			{ secret, strlen(secret) }, { before, 16 }
		};

		digest_md5(mask, part, 2);
		for (j = 0; j < 16; j++)
			v[i + j] ^= mask[j];
		before = v + i;
	}
	return radius_put(w, ATTR_USER_PASSWORD, v, total);
}

bool
radius_put_message_authenticator(struct wr *w)
{
	static const uint8_t zero[DIGEST_MD5];

	return radius_put(w, ATTR_MESSAGE_AUTHENTICATOR, zero, sizeof(zero));
}

size_t
radius_finish_access(struct wr *w, const char *secret)
{
	struct digest_part whole;
	uint8_t mac[DIGEST_MD5];

	wr_len_u16(w, 2, 0);
	if (wr_done(w) < RADIUS_HEADER + 2 + sizeof(mac))
		return 0;
	whole = (struct digest_part){ w->start, wr_len(w) };
	digest_hmac_md5(mac, secret, strlen(secret), &whole, 1);
	memcpy(w->start + RADIUS_HEADER + 2, mac, sizeof(mac));
	return wr_done(w);
}

/* RFC 2866 3: over the packet with a zero authenticator, then the secret. */
size_t
radius_finish_accounting(struct wr *w, const char *secret)
{
	uint8_t sum[DIGEST_MD5];

	wr_len_u16(w, 2, 0);
	if (wr_done(w) < RADIUS_HEADER)
		return 0;
	memset(w->start + RADIUS_AUTHENTICATOR, 0, RADIUS_AUTH_LEN);
	const struct digest_part part[] = {
		{ w->start, wr_len(w) }, { secret, strlen(secret) }
	};
	digest_md5(sum, part, 2);
	memcpy(w->start + RADIUS_AUTHENTICATOR, sum, sizeof(sum));
	return wr_done(w);
}

/* ---- reading: the packet ---- */

const char *
radius_bad_text(enum radius_bad bad)
{
	switch (bad) {
	case RADIUS_OK:
		return "nothing wrong";
	case RADIUS_BAD_SHORT:
		return "shorter than a header";
	case RADIUS_BAD_LENGTH:
		return "wrong Length";
	case RADIUS_BAD_ATTRIBUTES:
		return "attributes do not fill it";
	case RADIUS_BAD_CODE:
		return "not an answer to what was asked";
	case RADIUS_BAD_AUTHENTICATOR:
		return "wrong Response Authenticator (is the secret right?)";
	case RADIUS_BAD_MESSAGE_AUTHENTICATOR:
		return "wrong Message-Authenticator";
	case RADIUS_NO_MESSAGE_AUTHENTICATOR:
		return "no Message-Authenticator";
	case RADIUS_BAD_PROXY_STATE:
		return "has a Proxy-State that we did not send";
	}
	return "unknown";
}

/* The next attribute: its type, its value in *v; false at the end. */
static bool
next_attr(struct rd *r, uint8_t *type, struct rd *v)
{
	uint8_t len;

	if (rd_left(r) == 0)
		return false;
	*type = rd_u8(r);
	len = rd_u8(r);
	if (len < 2) {
		r->bad = true;
		return false;
	}
	*v = rd_sub(r, (size_t)len - 2);
	return !r->bad;
}

enum radius_bad
radius_decode(const void *buf, size_t len, struct radius_packet *p)
{
	struct rd r = rd_init(buf, len), attrs, v;
	uint8_t type;

	memset(p, 0, sizeof(*p));
	if (len < RADIUS_HEADER)
		return RADIUS_BAD_SHORT;
	p->start = buf;
	p->code = rd_u8(&r);
	p->id = rd_u8(&r);
	p->len = rd_u16(&r);
	if (p->len < RADIUS_HEADER || p->len > RADIUS_PACKET_MAX ||
	    p->len > len)
		return RADIUS_BAD_LENGTH;
	rd_bytes(&r, RADIUS_AUTH_LEN);
	p->attrs = rd_sub(&r, p->len - RADIUS_HEADER);
	attrs = p->attrs;
	while (next_attr(&attrs, &type, &v)) {
		if (type == ATTR_PROXY_STATE)
			p->proxy_state = true;
		if (type != ATTR_MESSAGE_AUTHENTICATOR)
			continue;
		/* Of two, the one that was checked would be anybody's guess. */
		if (rd_left(&v) != DIGEST_MD5 ||
		    p->message_authenticator != NULL)
			return RADIUS_BAD_MESSAGE_AUTHENTICATOR;
		p->message_authenticator = v.p;
	}
	return rd_done(&attrs) ? RADIUS_OK : RADIUS_BAD_ATTRIBUTES;
}

/* HMAC over the reply with the request's authenticator, RFC 3579 3.2. */
static bool
message_authenticator_ok(const struct radius_packet *p,
    const uint8_t request[RADIUS_AUTH_LEN], const char *secret)
{
	static const uint8_t zero[DIGEST_MD5];
	const uint8_t *ma = p->message_authenticator;
	const uint8_t *attrs = p->start + RADIUS_HEADER;
	const uint8_t *after = ma + DIGEST_MD5;
	const struct digest_part part[] = {
		{ p->start, RADIUS_AUTHENTICATOR },
		{ request, RADIUS_AUTH_LEN },
		{ attrs, (size_t)(ma - attrs) },
		{ zero, sizeof(zero) },
		{ after, (size_t)(p->start + p->len - after) }
	};
	uint8_t mac[DIGEST_MD5];

	digest_hmac_md5(mac, secret, strlen(secret), part, 5);
	return digest_equal(mac, ma, sizeof(mac));
}

enum radius_bad
radius_verify(const struct radius_packet *p,
    const uint8_t request[RADIUS_AUTH_LEN], const char *secret)
{
	const struct digest_part part[] = {
		{ p->start, RADIUS_AUTHENTICATOR },
		{ request, RADIUS_AUTH_LEN },
		{ p->start + RADIUS_HEADER, p->len - RADIUS_HEADER },
		{ secret, strlen(secret) }
	};
	uint8_t sum[DIGEST_MD5];

	digest_md5(sum, part, 4);
	if (!digest_equal(sum, p->start + RADIUS_AUTHENTICATOR, sizeof(sum)))
		return RADIUS_BAD_AUTHENTICATOR;
	if (p->message_authenticator != NULL &&
	    !message_authenticator_ok(p, request, secret))
		return RADIUS_BAD_MESSAGE_AUTHENTICATOR;
	return RADIUS_OK;
}

/* ---- reading: the attributes of a reply ---- */

/*
 * What a row does with a value whose length was checked.  False: the value
 * makes no sense; it is counted as ignored.
 */
typedef bool take_fn(struct auth_result *, struct radius_notes *,
    struct rd *);

static bool
take_service_type(struct auth_result *res, struct radius_notes *notes,
    struct rd *v)
{
	(void)res;
	if (rd_u32(v) != SERVICE_TYPE_FRAMED)
		notes->rejected = "its Service-Type is not Framed";
	return true;
}

static bool
take_framed_protocol(struct auth_result *res, struct radius_notes *notes,
    struct rd *v)
{
	(void)res;
	if (rd_u32(v) != FRAMED_PROTOCOL_PPP)
		notes->rejected = "its Framed-Protocol is not PPP";
	return true;
}

static bool
take_framed_ip(struct auth_result *res, struct radius_notes *notes,
    struct rd *v)
{
	uint32_t ip = rd_u32(v);

	(void)notes;
	res->framed_ip = 0;
	if (ip == FRAMED_IP_USER) {
		res->address = AUTH_IP_USER;
	} else if (ip == FRAMED_IP_NAS) {
		res->address = AUTH_IP_POOL;
	} else {
		res->address = AUTH_IP_FIXED;
		res->framed_ip = ip;
	}
	return true;
}

static bool
take_netmask(struct auth_result *res, struct radius_notes *notes,
    struct rd *v)
{
	(void)notes;
	res->netmask = rd_u32(v);
	return true;
}

/* Copies a text without NULs that fits dst whole; half a text is none. */
static bool
take_text(char *dst, size_t size, struct rd *v)
{
	size_t len = rd_left(v);

	if (len >= size || memchr(v->p, '\0', len) != NULL)
		return false;
	rd_copy(v, dst, len);
	dst[len] = '\0';
	return true;
}

static bool
take_user_name(struct auth_result *res, struct radius_notes *notes,
    struct rd *v)
{
	(void)notes;
	return take_text(res->user, sizeof(res->user), v);
}

static bool
take_filter_id(struct auth_result *res, struct radius_notes *notes,
    struct rd *v)
{
	(void)notes;
	return take_text(res->filter_id, sizeof(res->filter_id), v);
}

static bool
take_framed_mtu(struct auth_result *res, struct radius_notes *notes,
    struct rd *v)
{
	uint32_t mtu = rd_u32(v);

	(void)notes;
	if (mtu < FRAMED_MTU_MIN || mtu > UINT16_MAX)
		return false;
	res->framed_mtu = (uint16_t)mtu;
	return true;
}

/* RFC 2865 5.18: several are shown in order; what is too long is cut. */
static bool
take_message(struct auth_result *res, struct radius_notes *notes,
    struct rd *v)
{
	size_t have = strlen(res->message), len = rd_left(v);
	size_t room = sizeof(res->message) - 1 - have, i;

	(void)notes;
	if (len > room)
		len = room;
	rd_copy(v, res->message + have, len);
	for (i = have; i < have + len; i++) {
		if (res->message[i] == '\0')
			res->message[i] = ' ';
	}
	res->message[have + len] = '\0';
	return rd_left(v) == 0;
}

static bool
take_route(struct auth_result *res, struct radius_notes *notes, struct rd *v)
{
	(void)notes;
	if (res->nroutes == ROUTES_MAX ||
	    !radius_route_parse(v->p, rd_left(v), &res->routes[res->nroutes]))
		return false;
	res->nroutes++;
	return true;
}

/* RFC 2865 5.25: each is kept as it is, to be sent back. */
static bool
take_class(struct auth_result *res, struct radius_notes *notes, struct rd *v)
{
	size_t len = rd_left(v);

	(void)notes;
	if (res->class_len + 1 + len > sizeof(res->class))
		return false;
	res->class[res->class_len] = (uint8_t)len;
	rd_copy(v, res->class + res->class_len + 1, len);
	res->class_len = (uint16_t)(res->class_len + 1 + len);
	return true;
}

/*
 * RFC 2865 5.27 does not say what 0 is.  Servers send it for "not limited",
 * and nobody would grant a session of no seconds; so it is no limit.
 */
static bool
take_session_timeout(struct auth_result *res, struct radius_notes *notes,
    struct rd *v)
{
	(void)notes;
	res->session_timeout = rd_u32(v);
	return true;
}

static bool
take_idle_timeout(struct auth_result *res, struct radius_notes *notes,
    struct rd *v)
{
	(void)notes;
	res->idle_timeout = rd_u32(v);
	return true;
}

/* RFC 2869 5.16: the value MUST NOT be smaller than 60. */
static bool
take_interim(struct auth_result *res, struct radius_notes *notes,
    struct rd *v)
{
	res->interim = rd_u32(v);
	notes->interim_raised = res->interim > 0 &&
	    res->interim < ACCT_INTERIM_MIN;
	if (notes->interim_raised)
		res->interim = ACCT_INTERIM_MIN;
	return true;
}

static bool
take_dns1(struct auth_result *res, struct radius_notes *notes, struct rd *v)
{
	(void)notes;
	res->dns1 = rd_u32(v);
	return true;
}

static bool
take_dns2(struct auth_result *res, struct radius_notes *notes, struct rd *v)
{
	(void)notes;
	res->dns2 = rd_u32(v);
	return true;
}

static take_fn take_vendor;

/* Lengths are of the value, in octets. */
static const struct reply_attr {
	uint8_t type;
	uint8_t min, max;
	take_fn *take;
} reply_attrs[] = {
	{ ATTR_USER_NAME,		1, 253, take_user_name },
	{ ATTR_SERVICE_TYPE,		4, 4, take_service_type },
	{ ATTR_FRAMED_PROTOCOL,		4, 4, take_framed_protocol },
	{ ATTR_FRAMED_IP_ADDRESS,	4, 4, take_framed_ip },
	{ ATTR_FRAMED_IP_NETMASK,	4, 4, take_netmask },
	{ ATTR_FILTER_ID,		1, 253, take_filter_id },
	{ ATTR_FRAMED_MTU,		4, 4, take_framed_mtu },
	{ ATTR_REPLY_MESSAGE,		1, 253, take_message },
	{ ATTR_FRAMED_ROUTE,		1, 253, take_route },
	{ ATTR_CLASS,			1, 253, take_class },
	{ ATTR_VENDOR_SPECIFIC,		5, 253, take_vendor },
	{ ATTR_SESSION_TIMEOUT,		4, 4, take_session_timeout },
	{ ATTR_IDLE_TIMEOUT,		4, 4, take_idle_timeout },
	{ ATTR_ACCT_INTERIM_INTERVAL,	4, 4, take_interim },
	{ ATTR_ASCEND_PRIMARY_DNS,	4, 4, take_dns1 },
	{ ATTR_ASCEND_SECONDARY_DNS,	4, 4, take_dns2 }
};

/* Printable and not empty: anybody's sub-type 1 need not be a text at all. */
static bool
is_text(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i] < 0x20 || p[i] == 0x7f)
			return false;
	}
	return len > 0;
}

/*
 * `key=value,...` for the plugins, whole, without the quotes that some put
 * around it.  Servers file it under other vendors than Cisco too, but there
 * it must look like a pair.
 */
static bool
take_avpair(struct auth_result *res, uint32_t vendor, struct rd *v)
{
	const uint8_t *p = v->p;
	size_t len = rd_left(v);

	if (len >= 2 && p[0] == '"' && p[len - 1] == '"') {
		p++;
		len -= 2;
	}
	if (!is_text(p, len) ||
	    (vendor != VENDOR_CISCO && memchr(p, '=', len) == NULL) ||
	    res->avpair_len + len + 1 > sizeof(res->avpair))
		return false;
	memcpy(res->avpair + res->avpair_len, p, len);
	res->avpair[res->avpair_len + len] = '\0';
	res->avpair_len = (uint16_t)(res->avpair_len + len + 1);
	return true;
}

/* One vendor attribute; true as well when it is none of ours. */
static bool
take_sub(struct auth_result *res, uint32_t vendor, uint8_t type,
    struct rd *v)
{
	bool address = rd_left(v) == 4;

	if (vendor == VENDOR_MICROSOFT) {
		if (type == MS_PRIMARY_DNS)
			return address && take_dns1(res, NULL, v);
		if (type == MS_SECONDARY_DNS)
			return address && take_dns2(res, NULL, v);
		return true;
	}
	if (vendor == VENDOR_ASCEND && type == ATTR_ASCEND_PRIMARY_DNS)
		return address && take_dns1(res, NULL, v);
	if (vendor == VENDOR_ASCEND && type == ATTR_ASCEND_SECONDARY_DNS)
		return address && take_dns2(res, NULL, v);
	return type != CISCO_AVPAIR || take_avpair(res, vendor, v);
}

/*
 * RFC 2865 5.26 only suggests a format for what follows the vendor's number:
 * a vendor that has another one is no fault, what does not parse is left.
 */
static bool
take_vendor(struct auth_result *res, struct radius_notes *notes,
    struct rd *v)
{
	uint32_t vendor = rd_u32(v);
	uint8_t type;
	struct rd sub;

	while (next_attr(v, &type, &sub)) {
		if (!take_sub(res, vendor, type, &sub))
			notes->ignored++;
	}
	return rd_done(v);
}

static void
take_attr(struct auth_result *res, struct radius_notes *notes, uint8_t type,
    struct rd *v)
{
	const struct reply_attr *row = reply_attrs;
	const struct reply_attr *end = row +
	    sizeof(reply_attrs) / sizeof(reply_attrs[0]);

	while (row < end && row->type != type)
		row++;
	if (row == end)
		return;
	if (rd_left(v) < row->min || rd_left(v) > row->max) {
		/* An empty text is odd but harms nobody. */
		if (rd_left(v) > 0 || row->min > 1)
			notes->rejected = "an attribute has a wrong length";
		else
			notes->ignored++;
		return;
	}
	if (!row->take(res, notes, v))
		notes->ignored++;
}

/* The only thing that a refusal has to say. */
static void
decode_refusal(const struct radius_packet *p, struct auth_result *res,
    struct radius_notes *notes)
{
	struct rd r = p->attrs, v;
	uint8_t type;

	while (next_attr(&r, &type, &v)) {
		if (type == ATTR_REPLY_MESSAGE &&
		    !take_message(res, notes, &v))
			notes->ignored++;
	}
}

void
radius_result_decode(const struct radius_packet *p, struct auth_result *res,
    struct radius_notes *notes)
{
	struct rd r = p->attrs, v;
	uint8_t type;

	memset(res, 0, sizeof(*res));
	memset(notes, 0, sizeof(*notes));
	res->verdict = AUTH_REJECT;
	res->address = AUTH_IP_POOL;
	if (p->code != RADIUS_ACCESS_ACCEPT) {
		decode_refusal(p, res, notes);
		return;
	}
	while (next_attr(&r, &type, &v))
		take_attr(res, notes, type, &v);
	if (notes->rejected == NULL)
		res->verdict = AUTH_ACCEPT;
}

/* ---- Framed-Route ---- */

/* The mask of an address's class; 0: not a unicast address. */
static uint8_t
class_len(uint32_t addr)
{
	if (addr >> 31 == 0)
		return 8;
	if (addr >> 30 == 2)
		return 16;
	return addr >> 29 == 6 ? 24 : 0;
}

static bool
is_gap(char c)
{
	return c == ' ' || c == '\t';
}

bool
radius_route_parse(const void *text, size_t len, struct prefix *route)
{
	char buf[sizeof("255.255.255.255/32")];
	const char *p = text, *end = p + len;
	struct in_addr in;
	unsigned int bits = 0;
	char *slash;
	size_t n;

	/* Some servers count the NUL that ended the text at home. */
	while (end > p && end[-1] == '\0')
		end--;
	while (p < end && is_gap(*p))
		p++;
	for (n = 0; p + n < end && !is_gap(p[n]); n++)
		;
	if (n == 0 || n >= sizeof(buf))
		return false;
	memcpy(buf, p, n);
	buf[n] = '\0';
	slash = strchr(buf, '/');
	if (slash != NULL)
		*slash++ = '\0';
	if (memchr(p, '\0', n) != NULL || inet_pton(AF_INET, buf, &in) != 1)
		return false;
	route->addr = ntohl(in.s_addr);
	route->len = class_len(route->addr);
	if (slash != NULL) {
		n = strspn(slash, "0123456789");
		if (n == 0 || n > 2 || slash[n] != '\0' ||
		    sscanf(slash, "%u", &bits) != 1 || bits > 32)
			return false;
		route->len = (uint8_t)bits;
	} else if (route->len == 0) {
		return false;
	}
	if (route->len < 32)
		route->addr &= ~(0xffffffffu >> route->len);
	return true;
}
