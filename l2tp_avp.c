/*
 * l2tp_avp.c - L2TP headers and AVPs, bytes <-> structs
 *
 * The header is RFC 2661 3.1, read straight down its diagram.  AVPs are one
 * table, avp_rows[]: a row says how long the value may be, whether it may be
 * hidden, how it is read and which member of struct l2tp_msg it fills.  All
 * that is not in a row is one rule for all of them:
 *
 *  - a reserved bit, a vendor we do not know or a type without a row makes
 *    the AVP unrecognised (4.1), and the M bit says whether that matters;
 *  - a row's AVP that is malformed is judged by its M bit in the same way
 *    (7.1): without it, the message is taken as if the AVP were not there;
 *  - an AVP whose length does not fit the message ends the walk, and is fatal
 *    whatever its M bit, as nothing behind it can be found;
 *  - of several AVPs of one type the first counts, but for Random Vector,
 *    where each one holds for the hidden AVPs that follow it (4.3).
 *
 * What comes out of a hidden AVP is the plaintext of a cipher without any
 * check of integrity: whoever does not know the secret still chooses the
 * length in it at random.  It is read through a cursor of its own.
 *
 * Owns:     nothing; pure functions.
 * Calls:    digest.h for MD5.
 * Lifetime: results point into the packet and the caller's scratch.
 */
#include <string.h>

#include "digest.h"
#include "l2tp_avp.h"

#define AVP_MAX		1023		/* the length field has 10 bits */
#define VALUE_MAX	(AVP_MAX - L2TP_AVP_HEADER)
#define HIDDEN_LENGTH	2		/* Length of Original Value, 4.3 */

/* How a value is read, and how large the member is that takes it. */
enum avp_kind {
	K_NONE,			/* no row */
	K_U16, K_U32, K_U64,
	K_BYTES,		/* a blob */
	K_PRESENT,		/* no value: being there is true */
	K_ID,			/* an Assigned Tunnel or Session ID */
	K_WINDOW,		/* Receive Window Size */
	K_OCTET,		/* 16 bits of which the upper 8 are reserved */
	K_RESULT,
	K_SPEED,
	K_VECTOR
};

struct avp_row {
	const char *name;
	uint16_t min, max;	/* octets of the value */
	bool hideable;
	enum avp_kind kind;
	size_t off;		/* in struct l2tp_msg */
};

#define HIDE	true
#define BARE	false
#define ROW(type, name, min, max, hide, kind, member)			       \
	[type] = { name, min, max, hide, kind,				       \
	    offsetof(struct l2tp_msg, member) }

/*
 * RFC 2661 4.4, in the order of the numbers.  An empty Called or Calling
 * Number is common (a LAC that got none from its switch), so strings may be
 * empty but where the RFC wants at least one octet.
 */
static const struct avp_row avp_rows[] = {
	ROW(AVP_MESSAGE_TYPE, "Message Type", 2, 2, BARE, K_U16, type),
	ROW(AVP_RESULT_CODE, "Result Code", 2, VALUE_MAX, BARE, K_RESULT,
	    result),
	ROW(AVP_PROTOCOL_VERSION, "Protocol Version", 2, 2, BARE, K_U16,
	    protocol_version),
	ROW(AVP_FRAMING_CAP, "Framing Capabilities", 4, 4, HIDE, K_U32,
	    framing),
	ROW(AVP_BEARER_CAP, "Bearer Capabilities", 4, 4, HIDE, K_U32, bearer),
	ROW(AVP_TIE_BREAKER, "Tie Breaker", 8, 8, BARE, K_U64, tie_breaker),
	ROW(AVP_FIRMWARE, "Firmware Revision", 2, 2, HIDE, K_U16, firmware),
	ROW(AVP_HOST_NAME, "Host Name", 1, VALUE_MAX, BARE, K_BYTES,
	    host_name),
	ROW(AVP_VENDOR_NAME, "Vendor Name", 0, VALUE_MAX, HIDE, K_BYTES,
	    vendor_name),
	ROW(AVP_ASSIGNED_TUNNEL, "Assigned Tunnel ID", 2, 2, HIDE, K_ID,
	    assigned_tunnel),
	ROW(AVP_RECEIVE_WINDOW, "Receive Window Size", 2, 2, BARE, K_WINDOW,
	    receive_window),
	ROW(AVP_CHALLENGE, "Challenge", 1, VALUE_MAX, HIDE, K_BYTES,
	    challenge),
	ROW(AVP_Q931_CAUSE, "Q.931 Cause Code", 3, VALUE_MAX, BARE, K_BYTES,
	    q931),
	ROW(AVP_CHALLENGE_RESPONSE, "Challenge Response", 16, 16, HIDE,
	    K_BYTES, challenge_response),
	ROW(AVP_ASSIGNED_SESSION, "Assigned Session ID", 2, 2, HIDE, K_ID,
	    assigned_session),
	ROW(AVP_CALL_SERIAL, "Call Serial Number", 4, 4, HIDE, K_U32,
	    call_serial),
	ROW(AVP_MIN_BPS, "Minimum BPS", 4, 4, HIDE, K_U32, min_bps),
	ROW(AVP_MAX_BPS, "Maximum BPS", 4, 4, HIDE, K_U32, max_bps),
	ROW(AVP_BEARER_TYPE, "Bearer Type", 4, 4, HIDE, K_U32, bearer),
	ROW(AVP_FRAMING_TYPE, "Framing Type", 4, 4, HIDE, K_U32, framing),
	ROW(AVP_CALLED_NUMBER, "Called Number", 0, VALUE_MAX, HIDE, K_BYTES,
	    called),
	ROW(AVP_CALLING_NUMBER, "Calling Number", 0, VALUE_MAX, HIDE, K_BYTES,
	    calling),
	ROW(AVP_SUB_ADDRESS, "Sub-Address", 0, VALUE_MAX, HIDE, K_BYTES,
	    sub_address),
	ROW(AVP_TX_SPEED, "(Tx) Connect Speed", 4, 4, HIDE, K_U32, tx_speed),
	ROW(AVP_PHYS_CHANNEL, "Physical Channel ID", 4, 4, HIDE, K_U32,
	    phys_channel),
	ROW(AVP_LCP_INITIAL, "Initial Received LCP CONFREQ", 0, VALUE_MAX,
	    HIDE, K_BYTES, lcp_initial),
	ROW(AVP_LCP_LAST_SENT, "Last Sent LCP CONFREQ", 0, VALUE_MAX, HIDE,
	    K_BYTES, lcp_last_sent),
	ROW(AVP_LCP_LAST_RECV, "Last Received LCP CONFREQ", 0, VALUE_MAX,
	    HIDE, K_BYTES, lcp_last_recv),
	ROW(AVP_PROXY_AUTH_TYPE, "Proxy Authen Type", 2, 2, HIDE, K_U16,
	    proxy_auth_type),
	ROW(AVP_PROXY_AUTH_NAME, "Proxy Authen Name", 0, VALUE_MAX, HIDE,
	    K_BYTES, proxy_name),
	ROW(AVP_PROXY_AUTH_CHALLENGE, "Proxy Authen Challenge", 1, VALUE_MAX,
	    HIDE, K_BYTES, proxy_challenge),
	ROW(AVP_PROXY_AUTH_ID, "Proxy Authen ID", 2, 2, HIDE, K_OCTET,
	    proxy_auth_id),
	ROW(AVP_PROXY_AUTH_RESPONSE, "Proxy Authen Response", 0, VALUE_MAX,
	    HIDE, K_BYTES, proxy_response),
	ROW(AVP_CALL_ERRORS, "Call Errors", 26, 26, HIDE, K_BYTES,
	    call_errors),
	ROW(AVP_ACCM, "ACCM", 10, 10, HIDE, K_BYTES, accm),
	ROW(AVP_RANDOM_VECTOR, "Random Vector", 1, VALUE_MAX, BARE, K_VECTOR,
	    have),
	ROW(AVP_PRIVATE_GROUP, "Private Group ID", 0, VALUE_MAX, HIDE,
	    K_BYTES, private_group),
	ROW(AVP_RX_SPEED, "Rx Connect Speed", 1, 10, HIDE, K_SPEED, rx_speed),
	ROW(AVP_SEQUENCING_REQUIRED, "Sequencing Required", 0, 0, BARE,
	    K_PRESENT, sequencing_required),
	ROW(AVP_DISCONNECT_CAUSE, "PPP Disconnect Cause Code", 5, VALUE_MAX,
	    HIDE, K_BYTES, disconnect_cause),
};

#undef ROW
#define AVP_ROWS	(sizeof(avp_rows) / sizeof(avp_rows[0]))

/* What can be wrong with one AVP: the Error Code of 4.4.2, and words. */
struct avp_fault {
	uint16_t error;
	const char *text;
};

static const struct avp_fault
    unknown_avp = { L2TP_E_UNKNOWN_AVP, "unknown mandatory AVP" },
    torn_avp = { L2TP_E_LENGTH, "AVP does not fit the message" },
    bad_length = { L2TP_E_LENGTH, "AVP of a wrong length" },
    bad_value = { L2TP_E_VALUE, "AVP value out of range" },
    bad_first = { L2TP_E_VALUE, "first AVP is not a Message Type" },
    not_hideable = { L2TP_E_VALUE, "AVP must not be hidden" },
    no_secret = { L2TP_E_VALUE, "hidden AVP but no secret" },
    no_vector = { L2TP_E_VALUE, "hidden AVP without Random Vector" },
    bad_hidden = { L2TP_E_LENGTH, "hidden AVP of a wrong length" };

/* One AVP as it lies in the message. */
struct avp {
	bool mandatory, hidden, reserved;
	uint16_t vendor, type;
	struct rd value;
};

struct decoder {
	struct l2tp_msg *m;
	const char *secret;
	struct wr scratch;
	struct blob vector;	/* the latest Random Vector */
};

static const struct avp_row *
row_of(const struct avp *a)
{
	if (a->reserved || a->vendor != 0 || a->type >= AVP_ROWS ||
	    avp_rows[a->type].kind == K_NONE)
		return NULL;
	return &avp_rows[a->type];
}

const char *
l2tp_avp_name(uint16_t type)
{
	return type < AVP_ROWS ? avp_rows[type].name : NULL;
}

/* RFC 2661 3.1.  The Length field, where there is one, rules over `len`. */
enum l2tp_bad
l2tp_header_decode(const void *buf, size_t len, struct l2tp_header *h)
{
	struct rd r = rd_init(buf, len);
	uint16_t flags = rd_u16(&r), length = 0;

	memset(h, 0, sizeof(*h));
	if (r.bad)
		return L2TP_SHORT;
	if ((flags & L2TP_F_VERSION) != L2TP_VERSION_2)
		return L2TP_VERSION;
	h->control = (flags & L2TP_F_TYPE) != 0;
	h->has_length = (flags & L2TP_F_LENGTH) != 0;
	h->sequenced = (flags & L2TP_F_SEQUENCE) != 0;
	h->offset = (flags & L2TP_F_OFFSET) != 0;
	h->priority = (flags & L2TP_F_PRIORITY) != 0;
	if (h->control && (!h->has_length || !h->sequenced || h->offset ||
	    h->priority))
		return L2TP_FLAGS;
	if (h->has_length) {
		length = rd_u16(&r);
		if (r.bad)
			return L2TP_SHORT;
		if (length > len || length < len - rd_left(&r))
			return L2TP_LENGTH;
		r = rd_sub(&r, length - (len - rd_left(&r)));
	}
	h->tunnel_id = rd_u16(&r);
	h->session_id = rd_u16(&r);
	if (h->sequenced) {
		h->Ns = rd_u16(&r);
		h->Nr = rd_u16(&r);
	}
	if (h->offset)
		(void)rd_bytes(&r, rd_u16(&r));
	h->body = r;
	if (r.bad)
		return h->has_length && length < len ? L2TP_LENGTH :
		    L2TP_SHORT;
	return L2TP_OK;
}

/* The first fault stays. */
static void
note_fault(struct l2tp_msg *m, const struct avp_fault *f, uint16_t type)
{
	if (m->bad_result != 0)
		return;
	m->bad_result = STOPCCN_ERROR;	/* CDN_ERROR is the same number */
	m->bad_error = f->error;
	m->bad_avp = type;
	m->bad_text = f->text;
}

/* RFC 2661 4.1.  False when header or value do not fit in the message. */
static bool
next_avp(struct rd *body, struct avp *a)
{
	uint16_t bits = rd_u16(body), len = bits & L2TP_A_LENGTH;

	a->mandatory = (bits & L2TP_A_MANDATORY) != 0;
	a->hidden = (bits & L2TP_A_HIDDEN) != 0;
	a->reserved = (bits & L2TP_A_RESERVED) != 0;
	a->vendor = rd_u16(body);
	a->type = rd_u16(body);
	if (body->bad || len < L2TP_AVP_HEADER)
		return false;
	a->value = rd_sub(body, (size_t)len - L2TP_AVP_HEADER);
	return !body->bad;
}

/*
 * What the next 16 octets are xored with: for the first, the MD5 of type,
 * secret and Random Vector, then of the secret and the 16 octets of cipher
 * text before (RFC 2661 4.3).
 */
static void
hiding_mask(uint8_t mask[DIGEST_MD5], uint16_t type, const char *secret,
    const struct blob *vector, const uint8_t *before)
{
	uint8_t number[2] = { (uint8_t)(type >> 8), (uint8_t)type };
	struct digest_part first[] = {
		{ number, sizeof(number) },
		{ secret, strlen(secret) },
		{ vector->p, vector->len },
	};
	struct digest_part later[] = {
		{ secret, strlen(secret) },
		{ before, DIGEST_MD5 },
	};

	if (before == NULL)
		digest_md5(mask, first, 3);
	else
		digest_md5(mask, later, 2);
}

/* Replaces a hidden value by its plaintext in scratch; NULL: done. */
static const struct avp_fault *
unhide(struct decoder *d, struct avp *a)
{
	uint8_t mask[DIGEST_MD5], *plain;
	const uint8_t *cipher = a->value.p;
	size_t i, n = rd_left(&a->value);

	if (d->secret[0] == '\0')
		return &no_secret;
	if (d->vector.p == NULL)
		return &no_vector;
	if (n < HIDDEN_LENGTH || (plain = wr_room(&d->scratch, n)) == NULL)
		return &bad_hidden;
	for (i = 0; i < n; i++) {
		if (i % DIGEST_MD5 == 0)
			hiding_mask(mask, a->type, d->secret, &d->vector,
			    i > 0 ? cipher + i - DIGEST_MD5 : NULL);
		plain[i] = cipher[i] ^ mask[i % DIGEST_MD5];
	}
	a->value = rd_init(plain, n);
	a->value = rd_sub(&a->value, rd_u16(&a->value));
	return a->value.bad ? &bad_hidden : NULL;
}

/* Result, then error if there is more, then text (4.4.2). */
static const struct avp_fault *
read_result(struct l2tp_msg *m, struct rd *v)
{
	uint16_t result = rd_u16(v), error = 0;
	struct blob text = { NULL, 0 };

	if (rd_left(v) > 0)
		error = rd_u16(v);
	if (rd_left(v) > 0) {
		text.len = (uint16_t)rd_left(v);
		text.p = rd_bytes(v, text.len);
	}
	if (v->bad)
		return &bad_length;
	m->result = result;
	m->error = error;
	m->result_text = text;
	return NULL;
}

/*
 * 32 bits by the RFC; the AS5300 sends decimal digits.  Four octets may be
 * either, and four digits read as a number would be a line of 808 to 960
 * Mbit/s: then they are digits.
 */
static const struct avp_fault *
read_speed(uint32_t *speed, struct rd *v)
{
	size_t i, n = rd_left(v);
	uint64_t sum = 0;

	for (i = 0; i < n && v->p[i] >= '0' && v->p[i] <= '9'; i++)
		sum = sum * 10 + (uint64_t)(v->p[i] - '0');
	if (i == n && sum <= UINT32_MAX)
		*speed = (uint32_t)sum;
	else if (n == 4)
		*speed = rd_u32(v);
	else
		return i == n ? &bad_value : &bad_length;
	return NULL;
}

/* Zero is no id, but is what a peer without one may put in its good-bye. */
static const struct avp_fault *
read_id(const struct l2tp_msg *m, uint16_t *id, struct rd *v)
{
	*id = rd_u16(v);
	if (*id == 0 && m->type != L2TP_STOPCCN && m->type != L2TP_CDN)
		return &bad_value;
	return NULL;
}

/* An empty value has a place too, which tells it from an absent one. */
static struct blob
read_blob(struct rd *v)
{
	size_t n = rd_left(v);

	return (struct blob){ .p = rd_bytes(v, n), .len = (uint16_t)n };
}

/* Fills the row's member from a plain value of a length that fits. */
static const struct avp_fault *
read_value(struct decoder *d, const struct avp_row *row, struct rd *v)
{
	void *to = (char *)d->m + row->off;
	uint16_t n;

	switch (row->kind) {
	case K_U16:
		*(uint16_t *)to = rd_u16(v);
		break;
	case K_OCTET:
		*(uint16_t *)to = rd_u16(v) & 0xff;
		break;
	case K_U32:
		*(uint32_t *)to = rd_u32(v);
		break;
	case K_U64:
		*(uint64_t *)to = rd_u64(v);
		break;
	case K_BYTES:
		*(struct blob *)to = read_blob(v);
		break;
	case K_PRESENT:
		*(bool *)to = true;
		break;
	case K_WINDOW:			/* 0 is invalid: one message it is */
		n = rd_u16(v);
		*(uint16_t *)to = n != 0 ? n : 1;
		break;
	case K_ID:
		return read_id(d->m, to, v);
	case K_RESULT:
		return read_result(d->m, v);
	case K_SPEED:
		return read_speed(to, v);
	case K_VECTOR:
		d->vector = read_blob(v);
		break;
	case K_NONE:
		return &unknown_avp;
	}
	return NULL;
}

static const struct avp_fault *
take_avp(struct decoder *d, struct avp *a)
{
	const struct avp_row *row = row_of(a);
	const struct avp_fault *f = NULL;

	if (row == NULL)
		return &unknown_avp;
	if (row->kind == K_VECTOR)
		d->vector.p = NULL;	/* a bad one must not leave the last */
	else if (L2TP_HAVE(d->m, a->type))
		return NULL;
	if (a->hidden)
		f = row->hideable ? unhide(d, a) : &not_hideable;
	if (f == NULL && (rd_left(&a->value) < row->min ||
	    rd_left(&a->value) > row->max))
		f = &bad_length;
	if (f == NULL)
		f = read_value(d, row, &a->value);
	if (f == NULL)
		d->m->have |= UINT64_C(1) << a->type;
	return f;
}

/* 4.4.1: it comes first; 0 is reserved, and means ZLB in struct l2tp_msg. */
static bool
take_message_type(struct decoder *d, struct rd *body)
{
	const struct avp_fault *f = NULL;
	struct avp a;

	if (!next_avp(body, &a))
		f = &torn_avp;
	else if (a.type != AVP_MESSAGE_TYPE || row_of(&a) == NULL)
		f = &bad_first;
	else
		f = take_avp(d, &a);
	if (f == NULL && d->m->type == 0)
		f = &bad_value;
	if (f != NULL) {
		note_fault(d->m, f, AVP_MESSAGE_TYPE);
		return false;
	}
	d->m->mandatory = a.mandatory;
	return true;
}

bool
l2tp_msg_decode(struct rd body, const char *secret, uint8_t *scratch,
    size_t scratch_len, struct l2tp_msg *m)
{
	struct decoder d = {
		.m = m,
		.secret = secret,
		.scratch = wr_init(scratch, scratch_len),
	};
	const struct avp_fault *f;
	struct avp a;

	memset(m, 0, sizeof(*m));
	if (rd_done(&body))
		return true;
	if (!take_message_type(&d, &body))
		return false;
	while (!rd_done(&body)) {
		if (!next_avp(&body, &a)) {
			note_fault(m, &torn_avp, a.type);
			break;
		}
		f = take_avp(&d, &a);
		if (f != NULL && a.mandatory)
			note_fault(m, f, a.type);
	}
	return true;
}

#define NEED(avp)	(UINT64_C(1) << (avp))

/* RFC 2661 6: the AVPs that MUST be present, and the names of 3.2. */
static const struct msg_row {
	const char *name;
	uint64_t need;
} msg_rows[] = {
	[L2TP_SCCRQ] = { "SCCRQ", NEED(AVP_PROTOCOL_VERSION) |
	    NEED(AVP_FRAMING_CAP) | NEED(AVP_HOST_NAME) |
	    NEED(AVP_ASSIGNED_TUNNEL) },
	[L2TP_SCCRP] = { "SCCRP", NEED(AVP_PROTOCOL_VERSION) |
	    NEED(AVP_FRAMING_CAP) | NEED(AVP_HOST_NAME) |
	    NEED(AVP_ASSIGNED_TUNNEL) },
	[L2TP_SCCCN] = { "SCCCN", 0 },
	[L2TP_STOPCCN] = { "StopCCN", NEED(AVP_RESULT_CODE) |
	    NEED(AVP_ASSIGNED_TUNNEL) },
	[L2TP_HELLO] = { "HELLO", 0 },
	[L2TP_OCRQ] = { "OCRQ", NEED(AVP_ASSIGNED_SESSION) |
	    NEED(AVP_CALL_SERIAL) | NEED(AVP_MIN_BPS) | NEED(AVP_MAX_BPS) |
	    NEED(AVP_BEARER_TYPE) | NEED(AVP_FRAMING_TYPE) |
	    NEED(AVP_CALLED_NUMBER) },
	[L2TP_OCRP] = { "OCRP", NEED(AVP_ASSIGNED_SESSION) },
	[L2TP_OCCN] = { "OCCN", NEED(AVP_TX_SPEED) | NEED(AVP_FRAMING_TYPE) },
	[L2TP_ICRQ] = { "ICRQ", NEED(AVP_ASSIGNED_SESSION) |
	    NEED(AVP_CALL_SERIAL) },
	[L2TP_ICRP] = { "ICRP", NEED(AVP_ASSIGNED_SESSION) },
	[L2TP_ICCN] = { "ICCN", NEED(AVP_TX_SPEED) | NEED(AVP_FRAMING_TYPE) },
	[L2TP_CDN] = { "CDN", NEED(AVP_RESULT_CODE) |
	    NEED(AVP_ASSIGNED_SESSION) },
	[L2TP_WEN] = { "WEN", NEED(AVP_CALL_ERRORS) },
	[L2TP_SLI] = { "SLI", NEED(AVP_ACCM) },
};

#define MSG_ROWS	(sizeof(msg_rows) / sizeof(msg_rows[0]))

int
l2tp_msg_missing(const struct l2tp_msg *m)
{
	uint64_t lack;

	if (m->type >= MSG_ROWS)
		return -1;
	lack = msg_rows[m->type].need & ~m->have;
	return lack != 0 ? __builtin_ctzll(lack) : -1;
}

const char *
l2tp_msg_name(uint16_t type)
{
	return type < MSG_ROWS ? msg_rows[type].name : NULL;
}

/* Flags, length, vendor 0 and type; a value that is too long spoils all. */
static void
begin_avp(struct wr *w, uint16_t flags, uint16_t type, size_t len)
{
	if (len > VALUE_MAX) {
		w->full = true;
		return;
	}
	wr_u16(w, (uint16_t)(flags | (L2TP_AVP_HEADER + len)));
	wr_u16(w, 0);
	wr_u16(w, type);
}

static uint16_t
m_bit(bool mandatory)
{
	return mandatory ? L2TP_A_MANDATORY : 0;
}

void
l2tp_msg_begin(struct wr *w, uint16_t tunnel_id, uint16_t session_id,
    uint16_t type)
{
	wr_u16(w, L2TP_CONTROL);
	wr_u16(w, 0);			/* Length */
	wr_u16(w, tunnel_id);
	wr_u16(w, session_id);
	wr_zero(w, 4);			/* Ns, Nr */
	l2tp_avp_u16(w, true, AVP_MESSAGE_TYPE, type);
}

void
l2tp_avp_u16(struct wr *w, bool mandatory, uint16_t type, uint16_t v)
{
	begin_avp(w, m_bit(mandatory), type, sizeof(v));
	wr_u16(w, v);
}

void
l2tp_avp_u32(struct wr *w, bool mandatory, uint16_t type, uint32_t v)
{
	begin_avp(w, m_bit(mandatory), type, sizeof(v));
	wr_u32(w, v);
}

void
l2tp_avp_bytes(struct wr *w, bool mandatory, uint16_t type, const void *p,
    size_t len)
{
	begin_avp(w, m_bit(mandatory), type, len);
	wr_bytes(w, p, len);
}

void
l2tp_avp_result(struct wr *w, uint16_t result, uint16_t error,
    const char *text)
{
	size_t n = text != NULL ? strlen(text) : 0;

	if (error == 0 && n == 0) {
		l2tp_avp_u16(w, true, AVP_RESULT_CODE, result);
		return;
	}
	begin_avp(w, L2TP_A_MANDATORY, AVP_RESULT_CODE, 4 + n);
	wr_u16(w, result);
	wr_u16(w, error);
	wr_bytes(w, text, n);
}

void
l2tp_avp_hidden(struct wr *w, bool mandatory, uint16_t type, const void *p,
    size_t len, const char *secret, const void *rv, size_t rvlen, size_t pad)
{
	struct blob vector = { .p = rv, .len = (uint16_t)rvlen };
	uint8_t mask[DIGEST_MD5], *c;
	size_t i, n = HIDDEN_LENGTH + len + pad;

	if (len > VALUE_MAX || pad > VALUE_MAX || rvlen > VALUE_MAX)
		n = VALUE_MAX + 1;
	begin_avp(w, m_bit(mandatory) | L2TP_A_HIDDEN, type, n);
	c = w->p;
	wr_u16(w, (uint16_t)len);
	wr_bytes(w, p, len);
	wr_zero(w, pad);
	if (w->full)
		return;
	for (i = 0; i < n; i++) {
		if (i % DIGEST_MD5 == 0)
			hiding_mask(mask, type, secret, &vector,
			    i > 0 ? c + i - DIGEST_MD5 : NULL);
		c[i] ^= mask[i % DIGEST_MD5];
	}
}

size_t
l2tp_msg_end(struct wr *w)
{
	if (wr_len(w) > UINT16_MAX)
		w->full = true;
	wr_len_u16(w, 2, 0);
	return wr_done(w);
}

void
l2tp_msg_stamp(uint8_t *msg, uint16_t Ns, uint16_t Nr)
{
	struct wr w = wr_init(msg + 8, 4);

	wr_u16(&w, Ns);
	wr_u16(&w, Nr);
}

size_t
l2tp_zlb(void *buf, size_t size, uint16_t tunnel_id, uint16_t Ns, uint16_t Nr)
{
	struct wr w = wr_init(buf, size);

	wr_u16(&w, L2TP_CONTROL);
	wr_u16(&w, L2TP_CTL_HEADER);
	wr_u16(&w, tunnel_id);
	wr_u16(&w, 0);
	wr_u16(&w, Ns);
	wr_u16(&w, Nr);
	return wr_done(&w);
}

void
l2tp_challenge_response(uint8_t out[16], uint8_t id, const char *secret,
    const void *challenge, size_t len)
{
	struct digest_part parts[] = {
		{ &id, sizeof(id) },
		{ secret, strlen(secret) },
		{ challenge, len },
	};

	digest_md5(out, parts, 3);
}
