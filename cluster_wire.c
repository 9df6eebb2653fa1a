/*
 * cluster_wire.c - the datagrams that members of a cluster exchange
 *
 * The header draws them.  Who has the secret wrote a datagram, or nobody did:
 * the MAC covers all of it and is compared before anything in it is believed;
 * before that only magic and version are looked at, to tell what else may
 * arrive at the port.  The window is what keeps a datagram that did come from
 * a member from being good a second time; that an epoch is a present one, and
 * not of a run that ended long ago, is for cluster.c to find out.
 *
 * Owns:     nothing.
 * Calls:    wire.h, digest.h.
 * Lifetime: none.
 */
#include "cluster_wire.h"

#include "digest.h"

static const uint8_t magic[4] = { 'L', 'N', 'S', 'C' };

static void
make_mac(uint8_t mac[DIGEST_SHA256], const uint8_t *buf, size_t len,
    const char *secret)
{
	struct digest_part all = { buf, len };

	digest_hmac_sha256(mac, secret, strlen(secret), &all, 1);
}

enum cw_result
cw_open(const uint8_t *buf, size_t len, const char *secret,
    struct cw_head *head, struct rd *body)
{
	uint8_t mac[DIGEST_SHA256];
	struct rd r;

	if (len < CW_HEAD + CW_MAC || len > CW_DATAGRAM_MAX ||
	    memcmp(buf, magic, sizeof(magic)) != 0)
		return CW_SHORT;
	if (buf[sizeof(magic)] != CW_VERSION)
		return CW_OTHER_VERSION;
	len -= CW_MAC;
	make_mac(mac, buf, len, secret);
	if (!digest_equal(mac, buf + len, CW_MAC))
		return CW_FORGED;
	r = rd_init(buf + sizeof(magic) + 1, len - sizeof(magic) - 1);
	head->kind = rd_u8(&r);
	rd_u16(&r);
	head->cluster = rd_u32(&r);
	head->from = rd_u32(&r);
	head->to = rd_u32(&r);
	head->epoch = rd_u64(&r);
	head->number = rd_u64(&r);
	*body = r;
	return CW_OK;
}

bool
cw_next(struct rd *body, uint16_t *type, struct rd *value)
{
	uint16_t len;

	if (rd_left(body) == 0)
		return false;
	*type = rd_u16(body);
	len = rd_u16(body);
	*value = rd_sub(body, len);
	return !body->bad;
}

void
cw_begin(struct wr *w, const struct cw_head *head)
{
	wr_bytes(w, magic, sizeof(magic));
	wr_u8(w, CW_VERSION);
	wr_u8(w, head->kind);
	wr_u16(w, 0);
	wr_u32(w, head->cluster);
	wr_u32(w, head->from);
	wr_u32(w, head->to);
	wr_u64(w, head->epoch);
	wr_u64(w, head->number);
}

size_t
cw_seal(struct wr *w, const char *secret)
{
	uint8_t mac[DIGEST_SHA256];

	if (wr_done(w) == 0)
		return 0;
	make_mac(mac, w->start, wr_len(w), secret);
	wr_bytes(w, mac, CW_MAC);
	return wr_done(w);
}

void
cw_put(struct wr *w, uint16_t type, const void *value, size_t len)
{
	if (len > UINT16_MAX) {
		w->full = true;
		return;
	}
	wr_u16(w, type);
	wr_u16(w, (uint16_t)len);
	wr_bytes(w, value, len);
}

/* Begins a field of ours; the mark is for end_field(). */
static size_t
begin_field(struct wr *w, enum cw_field type)
{
	wr_u16(w, (uint16_t)type);
	return wr_hold_u16(w);
}

static void
end_field(struct wr *w, size_t mark)
{
	wr_len_u16(w, mark, mark + sizeof(uint16_t));
}

void
cw_put_state(struct wr *w, const struct cw_state *s)
{
	size_t mark = begin_field(w, CW_F_STATE);

	wr_u16(w, s->flags);
	wr_u16(w, s->interval);
	wr_u16(w, s->timeout);
	wr_u64(w, s->uptime);
	wr_u64(w, (uint64_t)s->basetime);
	wr_u64(w, s->changes);
	wr_u32(w, s->master);
	wr_u32(w, s->master_age);
	wr_u32(w, s->reign);
	wr_u64(w, s->next);
	wr_u64(w, s->oldest);
	wr_u64(w, s->challenge);
	end_field(w, mark);
}

bool
cw_get_state(struct rd *r, struct cw_state *s)
{
	s->flags = rd_u16(r);
	s->interval = rd_u16(r);
	s->timeout = rd_u16(r);
	s->uptime = rd_u64(r);
	s->basetime = (int64_t)rd_u64(r);
	s->changes = rd_u64(r);
	s->master = rd_u32(r);
	s->master_age = rd_u32(r);
	s->reign = rd_u32(r);
	s->next = rd_u64(r);
	s->oldest = rd_u64(r);
	s->challenge = rd_u64(r);
	return !r->bad;
}

void
cw_put_members(struct wr *w, const struct cw_member *m, size_t n)
{
	size_t mark = begin_field(w, CW_F_MEMBERS);

	for (size_t i = 0; i < n; i++) {
		wr_u32(w, m[i].addr);
		wr_u64(w, m[i].epoch);
		wr_u64(w, m[i].challenge);
	}
	end_field(w, mark);
}

bool
cw_get_member(struct rd *r, struct cw_member *m)
{
	m->addr = rd_u32(r);
	m->epoch = rd_u64(r);
	m->challenge = rd_u64(r);
	return !r->bad;
}

void
cw_put_stream(struct wr *w, const struct cw_stream *s)
{
	size_t mark = begin_field(w, CW_F_STREAM);

	wr_u32(w, s->reign);
	wr_u64(w, s->seq);
	wr_u64(w, s->changes);
	end_field(w, mark);
}

bool
cw_get_stream(struct rd *r, struct cw_stream *s)
{
	s->reign = rd_u32(r);
	s->seq = rd_u64(r);
	s->changes = rd_u64(r);
	return !r->bad;
}

void
cw_put_resend(struct wr *w, uint32_t reign, const struct cw_range *range,
    size_t n)
{
	size_t mark = begin_field(w, CW_F_RESEND);

	wr_u32(w, reign);
	for (size_t i = 0; i < n; i++) {
		wr_u64(w, range[i].from);
		wr_u32(w, range[i].count);
	}
	end_field(w, mark);
}

bool
cw_get_reign(struct rd *r, uint32_t *reign)
{
	*reign = rd_u32(r);
	return !r->bad;
}

bool
cw_get_range(struct rd *r, struct cw_range *range)
{
	range->from = rd_u64(r);
	range->count = rd_u32(r);
	return !r->bad;
}

/* --- the window ------------------------------------------------------------ */

static uint64_t *
window_word(struct cw_window *w, uint64_t number)
{
	return &w->seen[number / 64 % (CW_WINDOW / 64)];
}

/* Moves on: what falls out at the lower end is forgotten, word by word. */
static void
window_move(struct cw_window *w, uint64_t number)
{
	uint64_t from = w->top / 64 + 1, to = number / 64;

	if (to - w->top / 64 >= CW_WINDOW / 64)
		memset(w->seen, 0, sizeof(w->seen));
	else
		for (; from <= to; from++)
			w->seen[from % (CW_WINDOW / 64)] = 0;
	w->top = number;
}

void
cw_window_begin(struct cw_window *w, uint64_t number)
{
	memset(w->seen, 0xff, sizeof(w->seen));
	w->top = number;
	/* Those of the same word that are still to come. */
	*window_word(w, number) = ~UINT64_C(0) >> (63 - number % 64);
}

/* Of the lowest word only a part is inside: it counts as outside. */
bool
cw_window_take(struct cw_window *w, uint64_t number)
{
	uint64_t bit = UINT64_C(1) << number % 64;

	if (number == 0)
		return false;
	if (number > w->top)
		window_move(w, number);
	else if (w->top / 64 - number / 64 >= CW_WINDOW / 64 ||
	    (*window_word(w, number) & bit) != 0)
		return false;
	*window_word(w, number) |= bit;
	return true;
}
