/*
 * replay_l2tp.c - control messages in replay scripts
 *
 * `send TYPE` fills in the header (tid, sid, ns, nr unless given) and the AVPs
 * that the message must have; a key of the table below sets one, `-key` leaves
 * one out.  Further
 *
 *	hide=SECRET rv=HEX hidden:KEY=VALUE	by RFC 2661 4.3
 *	answer=SECRET		Challenge Response to $challenge
 *	avp=[VENDOR.]TYPE/FLAGS/HEX	FLAGS of m, h and r, or -
 *	raw=HEX			octets behind the AVPs
 *	length=N flags=N cut=N	a header that lies, a datagram cut short
 *	lost			numbered, but not sent
 *
 * `expect TYPE` checks that the message is sound, for this LAC, the right call
 * and next in order, and the AVPs that are named; `-key` must not be there.
 * `again`: the same octets as before but for Nr.  What is read here is read
 * without the daemon's own decoder.
 *
 * Owns:     nothing.
 * Calls:    replay.c; the daemon's writers, to build what is sent.
 * Lifetime: a line of the script.
 */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "l2tp_avp.h"

/* Kinds of values: 16, 32 bits, text, hex, nothing. */
enum kind { SHORT, LONG, TEXT, HEX, NOTHING };

static const struct field {
	const char *name;
	uint16_t type;
	enum kind kind;
	bool mandatory;
} fields[] = {
	{ "version", AVP_PROTOCOL_VERSION, SHORT, true },
	{ "framing", AVP_FRAMING_CAP, LONG, true },
	{ "bearer", AVP_BEARER_CAP, LONG, true },
	{ "tie", AVP_TIE_BREAKER, HEX, false },
	{ "firmware", AVP_FIRMWARE, SHORT, false },
	{ "host", AVP_HOST_NAME, TEXT, true },
	{ "vendor", AVP_VENDOR_NAME, TEXT, false },
	{ "assigned", AVP_ASSIGNED_TUNNEL, SHORT, true },
	{ "assigned", AVP_ASSIGNED_SESSION, SHORT, true },
	{ "window", AVP_RECEIVE_WINDOW, SHORT, true },
	{ "challenge", AVP_CHALLENGE, HEX, true },
	{ "response", AVP_CHALLENGE_RESPONSE, HEX, true },
	{ "serial", AVP_CALL_SERIAL, LONG, true },
	{ "bearertype", AVP_BEARER_TYPE, LONG, true },
	{ "framingtype", AVP_FRAMING_TYPE, LONG, true },
	{ "called", AVP_CALLED_NUMBER, TEXT, true },
	{ "calling", AVP_CALLING_NUMBER, TEXT, true },
	{ "sub", AVP_SUB_ADDRESS, TEXT, true },
	{ "tx", AVP_TX_SPEED, LONG, true },
	{ "channel", AVP_PHYS_CHANNEL, LONG, false },
	{ "lcp-initial", AVP_LCP_INITIAL, HEX, false },
	{ "lcp-sent", AVP_LCP_LAST_SENT, HEX, false },
	{ "lcp-recv", AVP_LCP_LAST_RECV, HEX, false },
	{ "proxy-type", AVP_PROXY_AUTH_TYPE, SHORT, false },
	{ "proxy-name", AVP_PROXY_AUTH_NAME, TEXT, false },
	{ "proxy-challenge", AVP_PROXY_AUTH_CHALLENGE, HEX, false },
	{ "proxy-id", AVP_PROXY_AUTH_ID, SHORT, false },
	{ "proxy-response", AVP_PROXY_AUTH_RESPONSE, HEX, false },
	{ "call-errors", AVP_CALL_ERRORS, HEX, true },
	{ "accm", AVP_ACCM, HEX, true },
	{ "rv", AVP_RANDOM_VECTOR, HEX, true },
	{ "group", AVP_PRIVATE_GROUP, TEXT, false },
	{ "rx", AVP_RX_SPEED, LONG, false },
	{ "rx-digits", AVP_RX_SPEED, TEXT, false },
	{ "sequencing", AVP_SEQUENCING_REQUIRED, NOTHING, true },
	{ "disconnect", AVP_DISCONNECT_CAUSE, HEX, false },
};
#define FIELDS	(sizeof(fields) / sizeof(fields[0]))

/* What a message has unless told otherwise. */
static const struct {
	uint16_t type;
	const char *words;
} defaults[] = {
	{ L2TP_SCCRQ, "version=0x0100 framing=3 host=lac assigned=1000" },
	{ L2TP_STOPCCN, "assigned=$ result=1" },
	{ L2TP_ICRQ, "assigned=100 serial=1" },
	{ L2TP_ICCN, "tx=64000 framingtype=1" },
	{ L2TP_CDN, "result=1 assigned=$" },
	{ L2TP_WEN, "call-errors="
	    "0000000000000000000000000000000000000000000000000000" },
	{ L2TP_SLI, "accm=00000000000000000000" },
};

/* Keys that are no AVPs. */
static const char *const others[] = { "tid", "sid", "ns", "nr", "error",
	"text", "hide", "length", "flags", "cut", "lost" };

/* The message that is being built. */
static struct {
	struct wr w;
	uint16_t type;
	const char *secret;		/* hide= */
	uint8_t rv[PACKET_MAX];
	size_t rvlen;
} out;

static int
type_of(const char *name)
{
	uint16_t t;
	char *end;

	if (strcmp(name, "ZLB") == 0)
		return 0;
	for (t = 1; t < 32; t++)
		if (l2tp_msg_name(t) != NULL &&
		    strcmp(l2tp_msg_name(t), name) == 0)
			return t;
	t = (uint16_t)strtoul(name, &end, 10);
	return *end == '\0' && t != 0 ? t : -1;
}

bool
l2tp_is_name(const char *name)
{
	return type_of(name) >= 0;
}

static bool
is_call(uint16_t type)
{
	return type >= L2TP_OCRQ && type <= L2TP_SLI;
}

/* `assigned` is the session's in messages of a call. */
static const struct field *
field_of(const char *name, size_t len, uint16_t type)
{
	const struct field *f;

	for (f = fields; f < fields + FIELDS; f++)
		if (strncmp(f->name, name, len) == 0 && f->name[len] == '\0' &&
		    (f->type != AVP_ASSIGNED_TUNNEL || !is_call(type)))
			return f;
	return NULL;
}

/* --- sending ------------------------------------------------------------- */

static void
put_avp(bool hidden, const struct field *f, const uint8_t *p, size_t len)
{
	if (hidden && out.secret == NULL)
		fail("hidden: wants hide= before it");
	if (hidden)
		l2tp_avp_hidden(&out.w, f->mandatory, f->type, p, len,
		    out.secret, out.rv, out.rvlen, 3);
	else
		l2tp_avp_bytes(&out.w, f->mandatory, f->type, p, len);
}

static void
put_field(bool hidden, const struct field *f, const char *value)
{
	uint8_t v[PACKET_MAX];
	struct wr w = wr_init(v, sizeof(v));
	size_t n = 0;

	switch (f->kind) {
	case SHORT:
		wr_u16(&w, (uint16_t)number_of(value));
		n = 2;
		break;
	case LONG:
		wr_u32(&w, (uint32_t)number_of(value));
		n = 4;
		break;
	case TEXT:
		value = value_of(value);
		n = strlen(value);
		memcpy(v, value, n);
		break;
	case HEX:
		n = bytes_of(value, v, sizeof(v));
		break;
	case NOTHING:
		break;
	}
	put_avp(hidden, f, v, n);
	if (f->type == AVP_RANDOM_VECTOR) {
		memcpy(out.rv, v, n);
		out.rvlen = n;
	}
	if (f->type == AVP_ASSIGNED_TUNNEL && out.type == L2TP_SCCRQ)
		lac->ours = (uint16_t)(v[0] << 8 | v[1]);
	if (f->type == AVP_ASSIGNED_SESSION && out.type == L2TP_ICRQ)
		lac->call->ours = (uint16_t)(v[0] << 8 | v[1]);
}

/* avp=[VENDOR.]TYPE/FLAGS/HEX */
static void
put_any(const char *spec)
{
	unsigned int vendor = 0, type;
	uint8_t v[PACKET_MAX];
	char flags[8];
	uint16_t bits = 0;
	int at = 0;
	size_t n;

	if (sscanf(spec, "%u.%u/%7[mhr-]/%n", &vendor, &type, flags,
	    &at) != 3 || at == 0) {
		vendor = 0;
		if (sscanf(spec, "%u/%7[mhr-]/%n", &type, flags, &at) != 2 ||
		    at == 0)
			fail("avp=%s?", spec);
	}
	n = bytes_of(spec + at, v, sizeof(v));
	bits |= strchr(flags, 'm') != NULL ? L2TP_A_MANDATORY : 0;
	bits |= strchr(flags, 'h') != NULL ? L2TP_A_HIDDEN : 0;
	bits |= strchr(flags, 'r') != NULL ? 0x2000 : 0;
	wr_u16(&out.w, (uint16_t)(bits | (6 + n)));
	wr_u16(&out.w, (uint16_t)vendor);
	wr_u16(&out.w, (uint16_t)type);
	wr_bytes(&out.w, v, n);
}

static void
put_answer(const char *secret)
{
	uint8_t challenge[PACKET_MAX], response[16];
	size_t n = bytes_of("$challenge", challenge, sizeof(challenge));

	l2tp_challenge_response(response, (uint8_t)out.type, value_of(secret),
	    challenge, n);
	l2tp_avp_bytes(&out.w, true, AVP_CHALLENGE_RESPONSE, response, 16);
}

static bool
is_other(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strncmp(others[i], name, len) == 0 &&
		    others[i][len] == '\0')
			return true;
	return false;
}

/* One word of a send line that may be an AVP. */
static void
put_word(struct line *l, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t n = equals != NULL ? (size_t)(equals - word) : strlen(word);
	bool hidden = strncmp(word, "hidden:", 7) == 0;
	const struct field *f;
	uint8_t raw[PACKET_MAX];
	const char *text;

	if (word[0] == '-' || is_other(word, n))
		return;
	if (hidden) {
		word += 7;
		n -= 7;
	}
	f = field_of(word, n, out.type);
	if (f != NULL && equals != NULL) {
		put_field(hidden, f, equals + 1);
	} else if (f != NULL && f->kind == NOTHING) {
		put_field(hidden, f, "");
	} else if (strncmp(word, "result=", 7) == 0) {
		text = arg(l, "text");
		l2tp_avp_result(&out.w, (uint16_t)number_of(equals + 1),
		    (uint16_t)arg_number(l, "error", 0),
		    text != NULL ? value_of(text) : NULL);
	} else if (strncmp(word, "avp=", 4) == 0) {
		put_any(word + 4);
	} else if (strncmp(word, "raw=", 4) == 0) {
		wr_bytes(&out.w, raw, bytes_of(word + 4, raw, sizeof(raw)));
	} else if (strncmp(word, "answer=", 7) == 0) {
		put_answer(word + 7);
	} else {
		fail("what is \"%s\"?", word);
	}
}

/* Does the line set this key itself, or leave it out? */
static bool
is_settled(struct line *l, const char *key, size_t len)
{
	const char *w;
	int i;

	for (i = 2; i < l->n; i++) {
		w = l->word[i];
		if (strncmp(w, "hidden:", 7) == 0)
			w += 7;
		if (w[0] == '-')
			w++;
		if (strncmp(w, key, len) == 0 &&
		    (w[len] == '=' || w[len] == '\0'))
			return true;
	}
	return false;
}

static void
put_defaults(struct line *l)
{
	char words[256], key[64], *w, *save = NULL;
	size_t i, n;

	for (i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		if (defaults[i].type != out.type)
			continue;
		snprintf(words, sizeof(words), "%s", defaults[i].words);
		for (w = strtok_r(words, " ", &save); w != NULL;
		    w = strtok_r(NULL, " ", &save)) {
			n = strcspn(w, "=");
			if (is_settled(l, w, n))
				continue;
			if (strcmp(w + n, "=$") == 0) {
				snprintf(key, sizeof(key), "%.*s=%u", (int)n,
				    w, is_call(out.type) ? lac->call->ours :
				    lac->ours);
				w = key;
			}
			put_word(l, w);
		}
	}
}

static uint16_t
default_sid(uint16_t type)
{
	return is_call(type) && type != L2TP_ICRQ ? lac->call->theirs : 0;
}

static void
put_body(struct line *l)
{
	int i;

	put_defaults(l);
	out.secret = arg(l, "hide");
	for (i = 2; i < l->n; i++)
		put_word(l, l->word[i]);
}

void
l2tp_send(struct line *l)
{
	static uint8_t buf[PACKET_MAX];
	const char *ns;
	size_t len;
	struct wr at;

	memset(&out, 0, sizeof(out));
	out.w = wr_init(buf, sizeof(buf));
	out.type = (uint16_t)type_of(l->word[1]);
	l2tp_msg_begin(&out.w,
	    (uint16_t)arg_number(l, "tid",
	    out.type == L2TP_SCCRQ ? 0 : lac->theirs),
	    (uint16_t)arg_number(l, "sid", default_sid(out.type)), out.type);
	if (out.type == 0)
		out.w.p = out.w.start + L2TP_CTL_HEADER;
	put_body(l);
	len = l2tp_msg_end(&out.w);
	if (len == 0)
		fail("this message is too long");
	ns = arg(l, "ns");
	l2tp_msg_stamp(buf, ns != NULL ? (uint16_t)number_of(ns) : lac->ns,
	    (uint16_t)arg_number(l, "nr", lac->nr));
	if (ns == NULL && out.type != 0)
		lac->ns++;
	at = wr_init(buf, 4);
	wr_u16(&at, (uint16_t)arg_number(l, "flags", L2TP_CONTROL));
	wr_u16(&at, (uint16_t)arg_number(l, "length", len));
	len = arg_number(l, "cut", len);
	if (!flag(l, "lost"))
		put_datagram(buf, len);
}

/* --- expecting ----------------------------------------------------------- */

struct seen {
	uint16_t tid, sid, ns, nr, type;
	const uint8_t *avps;
	size_t len;
};

/* Reads what the daemon sent; everything about it must be right. */
static void
read_message(const struct captured *c, struct seen *s)
{
	struct rd r = rd_init(c->buf, c->len);
	uint16_t bits;

	memset(s, 0, sizeof(*s));
	if (c->tun || rd_u16(&r) != 0xc802)
		fail("this is no control message");
	if (rd_u16(&r) != c->len)
		fail("its Length is wrong");
	s->tid = rd_u16(&r);
	s->sid = rd_u16(&r);
	s->ns = rd_u16(&r);
	s->nr = rd_u16(&r);
	s->avps = r.p;
	s->len = rd_left(&r);
	while (rd_left(&r) > 0) {
		bits = rd_u16(&r);
		if ((bits & 0x3c00) != 0 || (bits & 0x3ff) < 6)
			fail("an AVP of it has a bad header");
		if (rd_u16(&r) != 0)
			fail("an AVP of it is not the IETF's");
		if (s->type == 0) {
			if (bits != 0x8008 || rd_u16(&r) != 0)
				fail("it has no Message Type first");
			s->type = rd_u16(&r);
		} else {
			rd_u16(&r);
			rd_bytes(&r, (bits & 0x3ff) - 6u);
		}
	}
	if (r.bad)
		fail("it is cut short");
}

/* The value of an AVP, or NULL. */
static const uint8_t *
find_avp(const struct seen *s, uint16_t type, size_t *len)
{
	struct rd r = rd_init(s->avps, s->len), v;
	uint16_t n;

	while (rd_left(&r) > 0) {
		n = rd_u16(&r) & 0x3ff;
		(void)rd_u16(&r);
		if (rd_u16(&r) == type) {
			v = rd_sub(&r, n - 6u);
			*len = rd_left(&v);
			return v.p;
		}
		(void)rd_bytes(&r, n - 6u);
	}
	return NULL;
}

static uint64_t
big_endian(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	while (len-- > 0)
		v = v << 8 | *p++;
	return v;
}

static void
want_field(const struct seen *s, const struct field *f, const char *want)
{
	size_t len;
	const uint8_t *p = find_avp(s, f->type, &len);

	if (p == NULL)
		fail("it has no %s", f->name);
	if (f->kind == TEXT) {
		want_text(f->name, want, p, len);
	} else if (f->kind == HEX) {
		want_bytes(f->name, want, p, len);
	} else {
		if (len != (f->kind == SHORT ? 2 : 4))
			fail("%s has %zu octets", f->name, len);
		want_number(f->name, want, big_endian(p, len));
	}
}

/* Result, and error and text if they are asked for. */
static void
want_result(const struct seen *s, struct line *l)
{
	const char *result = arg(l, "result"), *error = arg(l, "error"),
	    *text = arg(l, "text");
	const uint8_t *p;
	size_t len;

	if (result == NULL && error == NULL && text == NULL)
		return;
	p = find_avp(s, AVP_RESULT_CODE, &len);
	if (p == NULL || len < 2 || len == 3)
		fail("it has no good Result Code");
	if (result != NULL)
		want_number("result", result, big_endian(p, 2));
	if (error != NULL)
		want_number("error", error, len < 4 ? 0 :
		    big_endian(p + 2, 2));
	if (text != NULL)
		want_text("text", text, p + 4, len < 4 ? 0 : len - 4);
}

/* The Challenge Response must be the right one for what we asked. */
static void
want_answer(const struct seen *s, struct line *l)
{
	const char *secret = arg(l, "answers"), *what = arg(l, "challenged");
	uint8_t buf[1024], want[16];
	size_t n, len;
	const uint8_t *p;

	if (secret == NULL)
		return;
	if (what == NULL)
		fail("answers= wants challenged=");
	p = find_avp(s, AVP_CHALLENGE_RESPONSE, &len);
	if (p == NULL || len != 16)
		fail("it has no Challenge Response");
	buf[0] = (uint8_t)s->type;
	n = 1 + strlen(value_of(secret));
	memcpy(buf + 1, value_of(secret), n - 1);
	n += bytes_of(what, buf + n, sizeof(buf) - n);
	digest_md5(want, &(struct digest_part){ buf, n }, 1);
	if (memcmp(want, p, 16) != 0)
		fail("the Challenge Response is wrong");
}

static void
want_fields(const struct seen *s, struct line *l)
{
	const struct field *f;
	const char *word, *equals;
	size_t n;
	int i;

	want_result(s, l);
	want_answer(s, l);
	for (i = 2; i < l->n; i++) {
		word = l->word[i];
		equals = strchr(word, '=');
		if (l->used[i])
			continue;
		if (word[0] == '-') {
			f = field_of(word + 1, strlen(word + 1), s->type);
			if (f != NULL && find_avp(s, f->type, &n) != NULL)
				fail("it has a %s", f->name);
		} else {
			f = equals == NULL ? NULL : field_of(word,
			    (size_t)(equals - word), s->type);
			if (f != NULL)
				want_field(s, f, equals + 1);
		}
		l->used[i] = f != NULL;
	}
}

/* Numbers and ids, which are right by default. */
static void
want_header(const struct seen *s, struct line *l, bool again)
{
	const char *nr = arg(l, "nr"), *ns = arg(l, "ns"),
	    *tid = arg(l, "tid"), *sid = arg(l, "sid");
	char text[16];

	snprintf(text, sizeof(text), "%u", lac->ours);
	want_number("tid", tid != NULL ? tid : text, s->tid);
	snprintf(text, sizeof(text), "%u",
	    is_call(s->type) ? lac->call->ours : 0);
	want_number("sid", sid != NULL ? sid : text, s->sid);
	snprintf(text, sizeof(text), "%u", lac->ns);
	if (nr != NULL || s->type == 0)
		want_number("Nr", nr != NULL ? nr : text, s->nr);
	snprintf(text, sizeof(text), "%u", lac->nr);
	if (!again)
		want_number("Ns", ns != NULL ? ns : text, s->ns);
}

static void
learn_ids(const struct seen *s)
{
	size_t len;
	const uint8_t *p;

	if (s->type == L2TP_SCCRP &&
	    (p = find_avp(s, AVP_ASSIGNED_TUNNEL, &len)) != NULL && len == 2)
		lac->theirs = (uint16_t)big_endian(p, 2);
	if (s->type == L2TP_ICRP &&
	    (p = find_avp(s, AVP_ASSIGNED_SESSION, &len)) != NULL && len == 2)
		lac->call->theirs = (uint16_t)big_endian(p, 2);
}

static void
remember(const struct captured *c, const struct seen *s, bool again)
{
	size_t slot = s->type % 32;

	if (again) {
		if (lac->got_len[slot] != c->len ||
		    memcmp(lac->got[slot], c->buf, 10) != 0 ||
		    memcmp(lac->got[slot] + 12, c->buf + 12, c->len - 12) != 0)
			fail("it is not what came before");
		return;
	}
	memcpy(lac->got[slot], c->buf, c->len);
	lac->got_len[slot] = c->len;
	if (s->type != 0)
		lac->nr = (uint16_t)(s->ns + 1);
}

void
l2tp_expect(struct line *l, const struct captured *c)
{
	bool again = flag(l, "again");
	struct seen s;

	read_message(c, &s);
	if (s.type != type_of(l->word[1]))
		fail("it is a %s", s.type == 0 ? "ZLB" :
		    l2tp_msg_name(s.type) != NULL ? l2tp_msg_name(s.type) :
		    "message of no known type");
	want_header(&s, l, again);
	want_fields(&s, l);
	no_more_args(l);
	learn_ids(&s);
	remember(c, &s, again);
}

void
l2tp_describe(const uint8_t *p, size_t len, char *dst, size_t size)
{
	struct rd r = rd_init(p, len);
	uint16_t flags = rd_u16(&r), tid, sid, ns, nr, type = 0;

	if ((flags & 0xcb0f) != 0xc802) {
		snprintf(dst, size, "data");
		return;
	}
	(void)rd_u16(&r);
	tid = rd_u16(&r);
	sid = rd_u16(&r);
	ns = rd_u16(&r);
	nr = rd_u16(&r);
	if (rd_left(&r) >= 8) {
		(void)rd_bytes(&r, 6);
		type = rd_u16(&r);
	}
	snprintf(dst, size, "%s tid %u sid %u Ns %u Nr %u",
	    len == 12 ? "ZLB" : l2tp_msg_name(type) != NULL ?
	    l2tp_msg_name(type) : "control", tid, sid, ns, nr);
}
