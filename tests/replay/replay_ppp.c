/*
 * replay_ppp.c - PPP frames and IP packets in replay scripts
 *
 *	send LCP ConfReq mru=1500 magic=01020304
 *	expect LCP ConfAck
 *
 * The second word is a protocol (or four hex digits), the third a code by its
 * name or number.  Configuration options are keys: mru accm auth magic pfc acfc
 * in LCP, ip dns1 dns2 nbns1 nbns2 vj in IPCP, and opt=TYPE:HEX; in an expect
 * they must be all there are, in this order, with `$name` and `*` as usual.
 * ConfAck without options acknowledges the last request.  Further
 *
 *	id=N			requests count up, replies answer the last
 *	data=HEX text=T		what follows the header (after the options)
 *	user=U password=P	PAP AuthReq
 *	user=U secret=S		CHAP Response to the last Challenge
 *	length=N		a Length that lies
 *	nohdr pfc1		no ff03; a protocol field of one octet
 *	seq=N			an L2TP header with Ns
 *
 *	send PPP HEX		a frame, address and control field first
 *	send IP src=A dst=B [len=N]	a subscriber's packet; expect TUN src dst
 *	send TUN src=A dst=B [len=N]	from the net; expect IP src dst
 *
 * Owns:     nothing.
 * Calls:    replay.c.
 * Lifetime: a line of the script.
 */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "ipv4.h"
#include "ppp_proto.h"

static const struct {
	const char *name;
	uint16_t protocol;
} protocols[] = {
	{ "LCP", PPP_LCP }, { "IPCP", PPP_IPCP }, { "PAP", PPP_PAP },
	{ "CHAP", PPP_CHAP }, { "CCP", PPP_CCP }, { "IPV6CP", PPP_IPV6CP },
};

/* Codes by protocol; 0 is every control protocol. */
static const struct {
	uint16_t protocol;
	const char *name;
	uint8_t code;
	bool reply;		/* its id is that of what it answers */
} codes[] = {
	{ 0, "ConfReq", 1, false }, { 0, "ConfAck", 2, true },
	{ 0, "ConfNak", 3, true }, { 0, "ConfRej", 4, true },
	{ 0, "TermReq", 5, false }, { 0, "TermAck", 6, true },
	{ 0, "CodeRej", 7, false }, { 0, "ProtRej", 8, false },
	{ 0, "EchoReq", 9, false }, { 0, "EchoRep", 10, true },
	{ 0, "DiscReq", 11, false },
	{ PPP_PAP, "AuthReq", 1, false }, { PPP_PAP, "AuthAck", 2, true },
	{ PPP_PAP, "AuthNak", 3, true },
	{ PPP_CHAP, "Challenge", 1, false }, { PPP_CHAP, "Response", 2, true },
	{ PPP_CHAP, "Success", 3, true }, { PPP_CHAP, "Failure", 4, true },
};

enum kind { SHORT, LONG, ADDRESS, HEX, NOTHING };

static const struct {
	uint16_t protocol;
	const char *name;
	uint8_t type;
	enum kind kind;
} options[] = {
	{ PPP_LCP, "mru", 1, SHORT }, { PPP_LCP, "accm", 2, HEX },
	{ PPP_LCP, "auth", 3, HEX }, { PPP_LCP, "magic", 5, HEX },
	{ PPP_LCP, "pfc", 7, NOTHING }, { PPP_LCP, "acfc", 8, NOTHING },
	{ PPP_IPCP, "vj", 2, HEX }, { PPP_IPCP, "ip", 3, ADDRESS },
	{ PPP_IPCP, "dns1", 129, ADDRESS }, { PPP_IPCP, "nbns1", 130, ADDRESS },
	{ PPP_IPCP, "dns2", 131, ADDRESS }, { PPP_IPCP, "nbns2", 132, ADDRESS },
};

#define COUNT_OF(a)	(sizeof(a) / sizeof((a)[0]))

/* A frame that is being built or looked at. */
struct frame {
	uint16_t protocol;
	uint8_t code, id;
	bool reply;
	struct rd body;
};

static uint16_t
protocol_of(const char *name)
{
	size_t i;
	char *end;
	unsigned long v;

	for (i = 0; i < COUNT_OF(protocols); i++)
		if (strcmp(protocols[i].name, name) == 0)
			return protocols[i].protocol;
	v = strtoul(name, &end, 16);
	return *end == '\0' && strlen(name) == 4 ? (uint16_t)v : 0;
}

bool
ppp_is_name(const char *name)
{
	return protocol_of(name) != 0 || strcmp(name, "PPP") == 0 ||
	    strcmp(name, "IP") == 0 || strcmp(name, "TUN") == 0;
}

static void
code_of(const char *name, struct frame *f)
{
	bool own = f->protocol == PPP_PAP || f->protocol == PPP_CHAP;
	size_t i;

	for (i = 0; i < COUNT_OF(codes); i++)
		if (codes[i].protocol == (own ? f->protocol : 0) &&
		    strcmp(codes[i].name, name) == 0) {
			f->code = codes[i].code;
			f->reply = codes[i].reply;
			return;
		}
	f->code = (uint8_t)number_of(name);
}

static struct memory *
memory_of(uint16_t protocol)
{
	struct call *c = lac->call;

	return protocol == PPP_LCP ? &c->lcp : protocol == PPP_IPCP ?
	    &c->ipcp : protocol == PPP_PAP ? &c->pap :
	    protocol == PPP_CHAP ? &c->chap : &c->other;
}

/* An option's type and the words of its value; false: no option. */
static bool
option_of(uint16_t protocol, const char *word, uint8_t *type, enum kind *kind,
    const char **value)
{
	size_t i, n;
	unsigned int number;
	int at = 0;

	if (sscanf(word, "opt=%u:%n", &number, &at) == 1 && at > 0) {
		*type = (uint8_t)number;
		*kind = HEX;
		*value = word + at;
		return true;
	}
	for (i = 0; i < COUNT_OF(options); i++) {
		n = strlen(options[i].name);
		if (options[i].protocol != protocol ||
		    strncmp(options[i].name, word, n) != 0 ||
		    (word[n] != '=' && word[n] != '\0'))
			continue;
		*type = options[i].type;
		*kind = options[i].kind;
		*value = word[n] == '=' ? word + n + 1 : "";
		return true;
	}
	return false;
}

/* --- sending ------------------------------------------------------------- */

static void
put_option(struct wr *w, uint8_t type, enum kind kind, const char *value)
{
	uint8_t v[256];
	struct wr vw = wr_init(v, sizeof(v));

	switch (kind) {
	case SHORT:
		wr_u16(&vw, (uint16_t)number_of(value));
		break;
	case LONG:
		wr_u32(&vw, (uint32_t)number_of(value));
		break;
	case ADDRESS:
		wr_u32(&vw, address_of(value));
		break;
	case HEX:
		vw.p += bytes_of(value, v, sizeof(v));
		break;
	case NOTHING:
		break;
	}
	wr_u8(w, type);
	wr_u8(w, (uint8_t)(2 + wr_len(&vw)));
	wr_bytes(w, v, wr_len(&vw));
	if (type == LCP_MAGIC && wr_len(&vw) == 4)
		lac->call->magic = ipv4_get32(v);
}

static bool
put_options(struct wr *w, const struct frame *f, struct line *l)
{
	const char *value;
	enum kind kind;
	uint8_t type;
	bool any = false;
	int i;

	for (i = 3; i < l->n; i++)
		if (f->protocol >= 0x8000 && f->protocol != PPP_PAP &&
		    f->protocol != PPP_CHAP && f->code <= 4 &&
		    option_of(f->protocol, l->word[i], &type, &kind,
		    &value)) {
			put_option(w, type, kind, value);
			l->used[i] = any = true;
		}
	return any;
}

static void
put_PAP(struct wr *w, struct line *l)
{
	const char *user = arg(l, "user"), *password = arg(l, "password");

	if (user == NULL || password == NULL)
		return;
	user = value_of(user);
	password = value_of(password);
	wr_u8(w, (uint8_t)strlen(user));
	wr_bytes(w, user, strlen(user));
	wr_u8(w, (uint8_t)strlen(password));
	wr_bytes(w, password, strlen(password));
}

/* RFC 1994 4.1: the MD5 of id, secret and what was in the Challenge. */
static void
put_CHAP(struct wr *w, struct line *l, uint8_t id)
{
	const char *user = arg(l, "user"), *secret = arg(l, "secret");
	const struct memory *m = memory_of(PPP_CHAP);
	uint8_t digest[16];

	if (user == NULL || secret == NULL)
		return;
	if (m->len < 1 || m->len < 1u + m->body[0])
		fail("no Challenge came");
	secret = value_of(secret);
	digest_md5(digest, (struct digest_part []){ { &id, 1 },
	    { secret, strlen(secret) }, { m->body + 1, m->body[0] } }, 3);
	wr_u8(w, 16);
	wr_bytes(w, digest, 16);
	wr_bytes(w, value_of(user), strlen(value_of(user)));
}

static void
put_body(struct wr *w, const struct frame *f, struct line *l)
{
	const struct memory *m = memory_of(f->protocol);
	bool given = put_options(w, f, l);
	const char *data = arg(l, "data"), *text = arg(l, "text");
	uint8_t v[PACKET_MAX];

	if (f->protocol == PPP_PAP && f->code == 1)
		put_PAP(w, l);
	if (f->protocol == PPP_CHAP && f->code == 2)
		put_CHAP(w, l, f->id);
	if (f->code == CONFIGURE_ACK && !given && f->protocol != PPP_PAP &&
	    f->protocol != PPP_CHAP && data == NULL)
		wr_bytes(w, m->body, m->len);
	if (f->protocol == PPP_LCP && (f->code == ECHO_REQUEST ||
	    f->code == ECHO_REPLY) && data == NULL)
		wr_u32(w, lac->call->magic);
	if (data != NULL)
		wr_bytes(w, v, bytes_of(data, v, sizeof(v)));
	if (text != NULL)
		wr_bytes(w, value_of(text), strlen(value_of(text)));
}

/* The L2TP data header, address, control and protocol. */
static void
put_headers(struct wr *w, struct line *l, uint16_t protocol)
{
	const char *seq = arg(l, "seq");

	wr_u16(w, seq != NULL ? 0x0802 : 0x0002);
	wr_u16(w, (uint16_t)arg_number(l, "tid", lac->theirs));
	wr_u16(w, (uint16_t)arg_number(l, "sid", lac->call->theirs));
	if (seq != NULL) {
		wr_u16(w, (uint16_t)number_of(seq));
		wr_u16(w, 0);
	}
	if (protocol == 0)
		return;
	if (!flag(l, "nohdr"))
		wr_u16(w, 0xff03);
	if (flag(l, "pfc1"))
		wr_u8(w, (uint8_t)protocol);
	else
		wr_u16(w, protocol);
}

static void
send_frame(struct line *l, struct wr *w)
{
	struct frame f = { .protocol = protocol_of(l->word[1]) };
	struct memory *m = memory_of(f.protocol);
	uint8_t *length;
	size_t at;

	if (l->n < 3)
		fail("which code?");
	l->used[2] = true;
	code_of(l->word[2], &f);
	f.id = (uint8_t)arg_number(l, "id",
	    f.reply ? m->got_id : (uint8_t)(m->sent_id + 1));
	if (!f.reply || f.protocol == PPP_CHAP)
		m->sent_id = f.id;
	put_headers(w, l, f.protocol);
	at = wr_len(w);
	wr_u8(w, f.code);
	wr_u8(w, f.id);
	length = wr_room(w, 2);
	put_body(w, &f, l);
	ipv4_put16(length, (uint16_t)arg_number(l, "length", wr_len(w) - at));
}

static void
put_ip(struct line *l, struct wr *w)
{
	const char *src = arg(l, "src"), *dst = arg(l, "dst");
	uint16_t len = (uint16_t)arg_number(l, "len", 40);
	uint8_t *ip = wr_room(w, len);

	if (ip == NULL || src == NULL || dst == NULL || len < IPV4_HEADER)
		fail("src= and dst=, and room for a header");
	memset(ip, 0, len);
	ip[0] = 0x45;
	ipv4_put16(ip + 2, len);
	ip[8] = 64;
	ip[9] = 253;		/* RFC 3692: for experiments */
	ipv4_put32(ip + 12, address_of(src));
	ipv4_put32(ip + 16, address_of(dst));
	ipv4_set_checksum(ip, IPV4_HEADER);
}

void
ppp_send(struct line *l)
{
	static uint8_t buf[PACKET_MAX], raw[PACKET_MAX];
	struct wr w = wr_init(buf, sizeof(buf));
	const char *what = l->word[1];

	if (strcmp(what, "TUN") == 0) {
		put_ip(l, &w);
		no_more_args(l);
		put_packet(buf, wr_len(&w));
		return;
	}
	if (strcmp(what, "IP") == 0) {
		put_headers(&w, l, PPP_IP);
		put_ip(l, &w);
	} else if (strcmp(what, "PPP") == 0) {
		put_headers(&w, l, 0);
		if (l->n < 3)
			fail("which octets?");
		l->used[2] = true;
		wr_bytes(&w, raw, bytes_of(l->word[2], raw, sizeof(raw)));
	} else {
		send_frame(l, &w);
	}
	no_more_args(l);
	if (wr_done(&w) == 0)
		fail("this frame is too long");
	put_datagram(buf, wr_done(&w));
}

/* --- expecting ----------------------------------------------------------- */

/* Takes the headers off; the protocol, and what is behind it in *r. */
static uint16_t
read_headers(const struct captured *c, struct line *l, struct rd *r)
{
	const char *seq = arg(l, "seq");
	uint16_t flags, tid, sid, protocol;

	*r = rd_init(c->buf, c->len);
	flags = rd_u16(r);
	if (c->tun || flags != (seq != NULL ? 0x0802 : 0x0002))
		fail("this is no data of this kind");
	tid = rd_u16(r);
	sid = rd_u16(r);
	if (tid != lac->ours || sid != lac->call->ours)
		fail("it is for tunnel %u, session %u", tid, sid);
	if (seq != NULL) {
		want_number("data Ns", seq, rd_u16(r));
		want_number("data Nr", "0", rd_u16(r));
	}
	if (rd_left(r) >= 2 && r->p[0] == 0xff && r->p[1] == 0x03)
		(void)rd_u16(r);
	else if (!flag(l, "nohdr"))
		fail("it has no address and control field");
	protocol = rd_u8(r);
	if ((protocol & 1) == 0)
		protocol = (uint16_t)(protocol << 8 | rd_u8(r));
	if (r->bad)
		fail("it is too short");
	return protocol;
}

static void
want_option(uint8_t type, enum kind kind, const char *want, struct rd *body)
{
	char what[16], text[20];
	uint8_t got = rd_u8(body), len = rd_u8(body);
	struct rd v = rd_sub(body, len >= 2 ? len - 2u : SIZE_MAX);
	uint32_t a;

	snprintf(what, sizeof(what), "option %u", type);
	if (v.bad || got != type)
		fail("there is %s%u where %s should be",
		    v.bad ? "no good option, " : "option ", got, what);
	if (kind == ADDRESS && rd_left(&v) == 4) {
		a = rd_u32(&v);
		snprintf(text, sizeof(text), "%u.%u.%u.%u", a >> 24,
		    a >> 16 & 255, a >> 8 & 255, a & 255);
		want_text(what, want, (const uint8_t *)text, strlen(text));
	} else if (kind == SHORT && rd_left(&v) == 2) {
		want_number(what, want, rd_u16(&v));
	} else {
		want_bytes(what, want, v.p, rd_left(&v));
	}
}

static void
want_options(const struct frame *f, struct line *l)
{
	struct rd body = f->body;
	const char *value;
	enum kind kind;
	uint8_t type;
	bool any = false;
	int i;

	if (f->code > CONFIGURE_REJECT || f->protocol == PPP_PAP ||
	    f->protocol == PPP_CHAP)
		return;
	for (i = 3; i < l->n; i++)
		if (option_of(f->protocol, l->word[i], &type, &kind, &value)) {
			want_option(type, kind, value, &body);
			l->used[i] = any = true;
		}
	if (any && rd_left(&body) > 0)
		fail("there are more options");
}

static void
want_body(const struct frame *f, struct line *l)
{
	const char *data = arg(l, "data"), *text = arg(l, "text"),
	    *magic = arg(l, "magic");
	size_t len = rd_left(&f->body);

	want_options(f, l);
	if (f->protocol == PPP_LCP && f->code >= ECHO_REQUEST && magic != NULL)
		want_bytes("magic", magic, f->body.p, len < 4 ? len : 4);
	if (data != NULL)
		want_bytes("data", data, f->body.p, len);
	if (text != NULL)
		want_text("text", text, f->body.p, len);
}

static void
expect_frame(struct line *l, const struct captured *c)
{
	struct frame f = { .protocol = protocol_of(l->word[1]) };
	struct memory *m = memory_of(f.protocol);
	uint8_t code, wanted;
	uint16_t protocol, length;
	struct rd r;

	if (l->n < 3)
		fail("which code?");
	l->used[2] = true;
	code_of(l->word[2], &f);
	wanted = f.code;
	protocol = read_headers(c, l, &r);
	if (protocol != f.protocol)
		fail("its protocol is %04x", protocol);
	code = rd_u8(&r);
	f.id = rd_u8(&r);
	length = rd_u16(&r);
	if (r.bad || length != rd_left(&r) + 4)
		fail("its Length is wrong");
	if (code != wanted)
		fail("its code is %u", code);
	f.body = r;
	if (f.reply)
		want_number("id", arg(l, "id") != NULL ? arg(l, "id") : "*",
		    f.id);
	else if (arg(l, "id") != NULL)
		want_number("id", arg(l, "id"), f.id);
	if (f.reply && f.id != m->sent_id && arg(l, "id") == NULL)
		fail("its id is %u, not %u", f.id, m->sent_id);
	want_body(&f, l);
	no_more_args(l);
	if (!f.reply) {
		m->got_id = f.id;
		m->len = rd_left(&r);
		memcpy(m->body, r.p, m->len);
	}
}

static void
expect_ip(struct line *l, const uint8_t *p, size_t len)
{
	const char *src = arg(l, "src"), *dst = arg(l, "dst"),
	    *n = arg(l, "len");
	struct ipv4 h;

	if (!ipv4_decode(p, len, &h) || h.len != len)
		fail("this is no sound IP packet");
	if (src != NULL && h.src != address_of(src))
		fail("its source is %08x", h.src);
	if (dst != NULL && h.dst != address_of(dst))
		fail("its destination is %08x", h.dst);
	if (n != NULL)
		want_number("its length", n, len);
	no_more_args(l);
}

void
ppp_expect(struct line *l, const struct captured *c)
{
	struct rd r;

	if (strcmp(l->word[1], "TUN") == 0) {
		if (!c->tun)
			fail("it went to the LAC");
		expect_ip(l, c->buf, c->len);
	} else if (strcmp(l->word[1], "IP") == 0) {
		if (read_headers(c, l, &r) != PPP_IP)
			fail("it is no IP");
		expect_ip(l, r.p, rd_left(&r));
	} else {
		expect_frame(l, c);
	}
}
