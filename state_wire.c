/*
 * state_wire.c - tunnels and sessions as records of bytes, for another process
 *
 * One row a field: tag, kind, place in the struct, greatest value.  Writing,
 * reading and the tests walk the same rows.  Integers go out as wide as they
 * are here and come in as wide as they like, if only the value fits.
 *
 * To add a field: a row at the end of its table, with a tag above all others.
 * Older readers do not see it; when it is missing it is 0.
 *
 * Owns:     nothing.
 * Calls:    wire.h, l2tp_avp.h for the header of messages.
 * Lifetime: none.
 */
#include "state_wire.h"

#include <stdio.h>
#include <string.h>

#include "l2tp_avp.h"
#include "ppp_proto.h"

enum kind {
	F_UINT,			/* uint8_t to uint64_t, bool, time_t */
	F_TEXT,			/* char[], NUL terminated; without it here */
	F_BYTES,		/* uint8_t[] or char[], length at len_off */
	F_PREFIXES		/* struct prefix[], number at len_off */
};

struct field {
	uint16_t tag;
	uint8_t kind;		/* enum kind */
	uint8_t len_size;	/* F_BYTES, F_PREFIXES: of the length */
	size_t off, size;	/* in the struct */
	size_t len_off;
	uint64_t max;		/* F_UINT; 0: what its size holds */
};

#define PLACE(st, m)	offsetof(st, m), sizeof(((st *)0)->m)
#define UINT(tag, st, m)	{ tag, F_UINT, 0, PLACE(st, m), 0, 0 }
#define UMAX(tag, st, m, max)	{ tag, F_UINT, 0, PLACE(st, m), 0, max }
#define TEXT(tag, st, m)	{ tag, F_TEXT, 0, PLACE(st, m), 0, 0 }
#define MANY(tag, kind, st, m, len) \
	{ tag, kind, sizeof(((st *)0)->len), PLACE(st, m), \
	  offsetof(st, len), 0 }

#define TIME_MAX	(UINT64_C(1) << 43)	/* ms: 2^32 s and more */

#define H	struct state_header
static const struct field header_fields[] = {
	UMAX(1, H, written, INT64_MAX / 2), UINT(2, H, bind_address), TEXT(3, H, hostname),
	TEXT(4, H, version),
};

#define T	struct state_tunnel
static const struct field tunnel_fields[] = {
	UINT(1, T, t.tid), UINT(2, T, t.local_id), UINT(3, T, t.peer_id),
	UINT(4, T, t.peer.addr), UINT(5, T, t.peer.local),
	UINT(6, T, t.peer.port), UINT(7, T, t.peer_window),
	UINT(8, T, t.framing), UINT(9, T, t.bearer), UINT(10, T, t.firmware),
	UINT(11, T, t.opened), TEXT(12, T, t.hostname), TEXT(13, T, t.vendor),
	UINT(14, T, ctl.una), UINT(15, T, ctl.high), UINT(16, T, ctl.Nr),
	UMAX(17, T, ctl.window, 32768), UMAX(18, T, ctl.queued, 32767),
	UINT(19, T, ctl.silent), UMAX(20, T, stage.state, T_STATES - 1),
	UMAX(21, T, stage.lost, 1), UMAX(22, T, stage.answered, 1),
	MANY(23, F_BYTES, T, stage.challenge, stage.challenge_len),
	UMAX(24, T, stage.stop_left, TIME_MAX),
};

#define S	struct state_session
#define P(m)	carry.ppp.m
static const struct field session_fields[] = {
	/* the call */
	UINT(1, S, s.sid), UINT(2, S, s.tid), UINT(3, S, s.local_id),
	UINT(4, S, s.peer_id), UINT(5, S, s.flags), UINT(6, S, s.data_Ns),
	UINT(7, S, s.data_Nr), UINT(8, S, s.call_serial),
	UINT(9, S, s.bearer_type), UINT(10, S, s.framing_type),
	UINT(11, S, s.phys_channel), UINT(12, S, s.tx_speed),
	UINT(13, S, s.rx_speed), UINT(14, S, s.opened),
	TEXT(15, S, s.calling), TEXT(16, S, s.called),
	/* the subscriber */
	TEXT(17, S, s.user), UINT(18, S, s.ip), UMAX(19, S, s.ip_from_pool, 1),
	UINT(20, S, s.netmask), UINT(21, S, s.dns1), UINT(22, S, s.dns2),
	MANY(23, F_PREFIXES, S, s.routes, s.nroutes),
	UINT(24, S, s.auth_protocol), UINT(25, S, s.session_timeout),
	UINT(26, S, s.idle_timeout), UINT(27, S, s.interim),
	TEXT(28, S, s.filter_id), MANY(29, F_BYTES, S, s.class, s.class_len),
	MANY(30, F_BYTES, S, s.avpair, s.avpair_len), UINT(31, S, s.mss),
	UINT(32, S, s.throttle_in), UINT(33, S, s.throttle_out),
	UINT(34, S, s.snoop_ip), UINT(35, S, s.snoop_port),
	/* what it has used */
	UINT(36, S, s.rx_octets), UINT(37, S, s.tx_octets),
	UINT(38, S, s.rx_packets), UINT(39, S, s.tx_packets),
	UMAX(40, S, s.acct_started, 1), TEXT(41, S, s.acct_id),
	UINT(42, S, carry.age), UINT(43, S, carry.idle),
	UMAX(44, S, carry.limit_left, TIME_MAX),
	UMAX(45, S, carry.interim_left, TIME_MAX),
	UINT(46, S, carry.framed_mtu),
	/* PPP */
	UINT(47, S, P(magic)), UINT(48, S, P(peer_magic)),
	UINT(49, S, P(our_mru)), UINT(50, S, P(peer_mru)),
	UINT(51, S, P(auth_protocol)), UINT(52, S, P(peer_flags)),
	UINT(53, S, P(lcp_id)), UINT(54, S, P(lcp_reject_id)),
	UINT(55, S, P(ipcp_id)), UINT(56, S, P(ipcp_reject_id)),
	UINT(57, S, P(lcp_options_off)), UINT(58, S, P(ipcp_options_off)),
	UINT(59, S, P(echo_id)), UINT(60, S, P(auth_index)),
	UINT(61, S, P(auth_id)), UINT(62, S, P(reply_id)),
	MANY(63, F_BYTES, S, P(reply), P(reply_len)),
	UINT(64, S, P(user_mark)), UINT(65, S, P(silent)),
	UINT(66, S, usage_rx), UINT(67, S, usage_tx),
	/* of a copy that another server has */
	UMAX(68, S, carry.state, S_STATES - 1),
	UMAX(69, S, carry.authenticated, 1),
};

#define A	struct state_address
static const struct field address_fields[] = {
	UINT(1, A, addr), UINT(2, A, age), TEXT(3, A, user),
};

#define R	struct state_acct
static const struct field acct_fields[] = {
	UMAX(1, R, kind, ACCT_KINDS - 1), UINT(2, R, sid), UINT(3, R, age),
	TEXT(4, R, id), MANY(5, F_BYTES, R, attrs, len), UINT(6, R, number),
};

#define E	struct state_end
static const struct field end_fields[] = {
	UINT(1, E, tunnels), UINT(2, E, messages), UINT(3, E, sessions),
	UINT(4, E, addresses), UINT(5, E, records),
};

static bool tunnel_sound(const void *);
static bool session_sound(const void *);
static bool address_sound(const void *);
static bool acct_sound(const void *);

#define ROWS(f)	f, sizeof(f) / sizeof((f)[0])
static const struct layout {
	const struct field *fields;
	size_t n, size;
	bool (*sound)(const void *);
} layouts[STATE_END + 1] = {
	[STATE_HEADER] = { ROWS(header_fields), sizeof(H), NULL },
	[STATE_TUNNEL] = { ROWS(tunnel_fields), sizeof(T), tunnel_sound },
	[STATE_SESSION] = { ROWS(session_fields), sizeof(S), session_sound },
	[STATE_ADDRESS] = { ROWS(address_fields), sizeof(A), address_sound },
	[STATE_ACCT] = { ROWS(acct_fields), sizeof(R), acct_sound },
	[STATE_END] = { ROWS(end_fields), sizeof(E), NULL },
};

/* --- integers of any size ----------------------------------------------- */

static uint64_t
load(const void *p, size_t size)
{
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch (size) {
	case 1:
		return *(const uint8_t *)p;
	case 2:
		memcpy(&v16, p, sizeof(v16));
		return v16;
	case 4:
		memcpy(&v32, p, sizeof(v32));
		return v32;
	default:
		memcpy(&v64, p, sizeof(v64));
		return v64;
	}
}

static void
store(void *p, size_t size, uint64_t v)
{
	uint16_t v16 = (uint16_t)v;
	uint32_t v32 = (uint32_t)v;

	switch (size) {
	case 1:
		*(uint8_t *)p = (uint8_t)v;
		break;
	case 2:
		memcpy(p, &v16, sizeof(v16));
		break;
	case 4:
		memcpy(p, &v32, sizeof(v32));
		break;
	default:
		memcpy(p, &v, sizeof(v));
	}
}

static uint64_t
greatest(const struct field *f)
{
	if (f->max != 0)
		return f->max;
	return f->size < 8 ? (UINT64_C(1) << 8 * f->size) - 1 : UINT64_MAX;
}

/* --- records of what others hold ---------------------------------------- */

void
state_address_of(struct state_address *a, const struct ippool_row *row,
    uint64_t now)
{
	a->addr = row->addr;
	a->age = now - row->released;
	snprintf(a->user, sizeof(a->user), "%s", row->last_user);
}

void
state_acct_of(struct state_acct *a, const struct acct_carry *c)
{
	a->number = c->number;
	a->kind = c->kind;
	a->sid = c->sid;
	a->age = c->age;
	a->len = (uint16_t)c->len;
	snprintf(a->id, sizeof(a->id), "%s", c->id);
	memcpy(a->attrs, c->attrs, c->len);
}

struct acct_carry
state_acct_carry(const struct state_acct *a)
{
	return (struct acct_carry){ .kind = a->kind, .sid = a->sid,
	    .age = a->age, .number = a->number, .id = a->id,
	    .attrs = a->attrs, .len = a->len };
}

/* --- writing ------------------------------------------------------------ */

static void
put_uint(struct wr *w, uint64_t v, size_t size)
{
	while (size-- > 0)
		wr_u8(w, (uint8_t)(v >> 8 * size));
}

static void
put_prefixes(struct wr *w, const struct prefix *p, uint64_t n)
{
	for (; n > 0; n--, p++) {
		wr_u32(w, p->addr);
		wr_u8(w, p->len);
	}
}

static bool
is_empty(const struct field *f, const uint8_t *x)
{
	switch (f->kind) {
	case F_UINT:
		return load(x + f->off, f->size) == 0;
	case F_TEXT:
		return x[f->off] == '\0';
	default:
		return load(x + f->len_off, f->len_size) == 0;
	}
}

static void
put_field(struct wr *w, const struct field *f, const uint8_t *x)
{
	const uint8_t *p = x + f->off;
	size_t mark, from;

	if (is_empty(f, x))
		return;
	wr_u16(w, f->tag);
	mark = wr_hold_u16(w);
	from = wr_len(w);
	switch (f->kind) {
	case F_UINT:
		put_uint(w, load(p, f->size), f->size);
		break;
	case F_TEXT:
		wr_bytes(w, p, strnlen((const char *)p, f->size - 1));
		break;
	case F_BYTES:
		wr_bytes(w, p, load(x + f->len_off, f->len_size));
		break;
	case F_PREFIXES:
		put_prefixes(w, (const struct prefix *)(const void *)p,
		    load(x + f->len_off, f->len_size));
		break;
	}
	wr_len_u16(w, mark, from);
}

/* Type and a place for the length; gives the mark for end_record(). */
static size_t
begin_record(struct wr *w, enum state_type type)
{
	wr_u16(w, (uint16_t)type);
	wr_u32(w, 0);
	return wr_len(w);
}

static void
end_record(struct wr *w, size_t from)
{
	size_t len = wr_len(w) - from;

	wr_patch_u16(w, from - 4, (uint16_t)(len >> 16));
	wr_patch_u16(w, from - 2, (uint16_t)len);
}

void
state_put(struct wr *w, enum state_type type, const void *x)
{
	const struct layout *l = &layouts[type];
	size_t from = begin_record(w, type);

	for (size_t i = 0; i < l->n; i++)
		put_field(w, &l->fields[i], x);
	end_record(w, from);
}

void
state_put_message(struct wr *w, const uint8_t *msg, size_t len)
{
	size_t from = begin_record(w, STATE_MESSAGE);

	wr_bytes(w, msg, len);
	end_record(w, from);
}

/* --- reading ------------------------------------------------------------ */

static bool
get_uint(struct rd *r, const struct field *f, uint8_t *x)
{
	size_t n = rd_left(r);
	uint64_t v = 0;

	if (n == 0 || n > 8)
		return false;
	while (n-- > 0)
		v = v << 8 | rd_u8(r);
	if (v > greatest(f))
		return false;
	store(x + f->off, f->size, v);
	return true;
}

/* The struct is zeroed: what follows the text ends it. */
static bool
get_text(struct rd *r, const struct field *f, uint8_t *x)
{
	size_t n = rd_left(r);

	if (n >= f->size || memchr(r->p, '\0', n) != NULL)
		return false;
	rd_copy(r, x + f->off, n);
	return true;
}

static bool
get_bytes(struct rd *r, const struct field *f, uint8_t *x)
{
	size_t n = rd_left(r);

	if (n > f->size)
		return false;
	rd_copy(r, x + f->off, n);
	store(x + f->len_off, f->len_size, n);
	return true;
}

static bool
get_prefixes(struct rd *r, const struct field *f, uint8_t *x)
{
	struct prefix *p = (struct prefix *)(void *)(x + f->off);
	size_t n = 0;

	for (; rd_left(r) > 0; n++) {
		if (n == f->size / sizeof(*p))
			return false;
		p[n].addr = rd_u32(r);
		p[n].len = rd_u8(r);
		if (r->bad || p[n].len > 32)
			return false;
	}
	store(x + f->len_off, f->len_size, n);
	return true;
}

static bool
get_field(struct rd *r, const struct field *f, uint8_t *x)
{
	switch (f->kind) {
	case F_UINT:
		return get_uint(r, f, x);
	case F_TEXT:
		return get_text(r, f, x);
	case F_BYTES:
		return get_bytes(r, f, x);
	default:
		return get_prefixes(r, f, x);
	}
}

bool
state_next(struct rd *r, struct state_record *rec)
{
	size_t len;

	if (rd_left(r) == 0)
		return false;
	rec->type = rd_u16(r);
	len = rd_u32(r);
	rec->body = rd_sub(r, len);
	return !r->bad;
}

/* Tags rise, in the record as in the rows, so that both are walked once. */
bool
state_get(const struct state_record *rec, void *x)
{
	const struct layout *l = &layouts[rec->type];
	const struct field *f = l->fields, *end = f + l->n;
	struct rd r = rec->body, value;
	uint16_t tag, last = 0;
	size_t len;

	memset(x, 0, l->size);
	while (rd_left(&r) > 0) {
		tag = rd_u16(&r);
		len = rd_u16(&r);
		value = rd_sub(&r, len);
		if (r.bad || tag <= last)
			return false;
		last = tag;
		while (f < end && f->tag < tag)
			f++;
		if (f < end && f->tag == tag && !get_field(&value, f, x))
			return false;
	}
	return !r.bad && (l->sound == NULL || l->sound(x));
}

/* --- what may be -------------------------------------------------------- */

static bool
tunnel_sound(const void *x)
{
	const struct state_tunnel *t = x;
	uint16_t sent = (uint16_t)(t->ctl.high - t->ctl.una);

	return t->t.tid != 0 && t->t.tid <= UINT16_MAX &&
	    t->t.local_id != 0 && t->t.peer_id != 0 &&
	    t->t.peer.port != 0 && t->t.peer_window != 0 &&
	    t->ctl.window != 0 && sent <= t->ctl.queued;
}

/* {len, octets}... that fill it exactly. */
static bool
class_sound(const struct session *s)
{
	struct rd r = rd_init(s->class, s->class_len);

	while (rd_left(&r) > 0)
		rd_bytes(&r, rd_u8(&r));
	return rd_done(&r);
}

/* IP may pass. */
static bool
open_sound(const struct state_session *st)
{
	uint16_t auth = st->carry.ppp.auth_protocol;

	return st->s.ip != 0 && st->s.user[0] != '\0' &&
	    (st->s.flags & SF_OPEN) != 0 &&
	    (auth == PPP_PAP || auth == PPP_CHAP) &&
	    st->carry.ppp.our_mru >= PPP_MRU_MIN &&
	    st->carry.ppp.peer_mru >= PPP_MRU_MIN;
}

/* A call of a cluster's stream, however far it is. */
static bool
stage_sound(const struct state_session *st)
{
	const struct session *s = &st->s;

	if ((s->flags & SF_OPEN) != 0)
		return st->carry.state == S_ESTABLISHED &&
		    st->carry.authenticated && open_sound(st);
	return s->ip == 0 || st->carry.authenticated;
}

static bool
session_sound(const void *x)
{
	const struct state_session *st = x;
	const struct session *s = &st->s;

	return s->sid != 0 && s->tid != 0 && s->local_id != 0 &&
	    s->peer_id != 0 && class_sound(s) &&
	    (s->avpair_len == 0 || s->avpair[s->avpair_len - 1] == '\0') &&
	    (s->acct_id[0] != '\0' || !s->acct_started) &&
	    (st->carry.state != 0 ? stage_sound(st) : open_sound(st));
}

static bool
address_sound(const void *x)
{
	const struct state_address *a = x;

	return a->addr != 0;
}

/* RADIUS attributes: type, length of all, value (RFC 2865 5). */
static bool
acct_sound(const void *x)
{
	const struct state_acct *a = x;
	struct rd r = rd_init(a->attrs, a->len);
	uint8_t len;

	while (rd_left(&r) > 0) {
		rd_u8(&r);
		len = rd_u8(&r);
		if (len < 2)
			return false;
		rd_bytes(&r, len - 2u);
	}
	return rd_done(&r) && a->id[0] != '\0' && a->len > 0;
}
