/*
 * control_wire.c - nsctl datagrams: bytes to struct control_msg and back
 *
 * Three forms of one conversation; control_proto.h draws them.  The decoder is
 * strict, because what it lets through may be answered: a datagram is one
 * message from its first octet to its last, or nothing.
 *
 * Owns:     nothing.
 * Calls:    wire.h, digest.
 * Lifetime: none; what a message points to belongs to the packet.
 */
#include "control_wire.h"

#include <stdio.h>
#include <string.h>

#include "digest.h"
#include "wire.h"

#define LEN(a)		(sizeof(a) / sizeof((a)[0]))

/* Version 1's types, and what they are called since. */
static const struct v1_type {
	uint16_t v1;
	uint8_t type;
	const char *word;		/* the first argument, or NULL */
} v1_types[] = {
	{ CONTROL_V1_OK,	CONTROL_OK,		NULL },
	{ CONTROL_V1_ERROR,	CONTROL_ERROR,		NULL },
	{ CONTROL_V1_LOAD,	CONTROL_LOAD,		NULL },
	{ CONTROL_V1_UNLOAD,	CONTROL_UNLOAD,		NULL },
	{ CONTROL_V1_GARDEN,	CONTROL_COMMAND,	"garden" },
	{ CONTROL_V1_UNGARDEN,	CONTROL_COMMAND,	"ungarden" },
};

static bool
is_type(uint8_t type)
{
	return (type >= CONTROL_LOAD && type <= CONTROL_COMMAND) ||
	    type == CONTROL_OK || type == CONTROL_ERROR;
}

static bool
is_reply(const struct control_msg *m)
{
	return m->type == CONTROL_OK || m->type == CONTROL_ERROR;
}

/*
 * User names may be UTF-8; nothing that moves a terminal's cursor may pass.  A
 * response may have lines, and whoever prints it looks after his terminal.
 */
static bool
is_text(const struct control_msg *m, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len && !is_reply(m); i++)
		if (p[i] < 0x20 || p[i] == 0x7f)
			return false;
	return true;
}

static bool
add_arg(struct control_msg *m, const void *p, size_t len)
{
	if (m->argc == CONTROL_ARGS_MAX)
		return false;
	m->arg[m->argc].p = p;
	m->arg[m->argc++].len = len;
	return true;
}

static bool
name_v1_type(struct control_msg *m)
{
	size_t i;

	for (i = 0; i < LEN(v1_types); i++)
		if (v1_types[i].v1 == m->wire_type)
			break;
	if (i < LEN(v1_types)) {
		m->type = v1_types[i].type;
		return v1_types[i].word == NULL ||
		    add_arg(m, v1_types[i].word, strlen(v1_types[i].word));
	}
	m->type = CONTROL_COMMAND;
	snprintf(m->word, sizeof(m->word), "%u", (unsigned int)m->wire_type);
	return add_arg(m, m->word, strlen(m->word));
}

static bool
decode_v1(struct rd *r, size_t len, struct control_msg *m)
{
	m->form = CONTROL_V1;
	m->wire_type = rd_u16(r);
	if (rd_u16(r) != len)
		return false;
	m->id = rd_u32(r);
	if (r->bad || !name_v1_type(m))
		return false;
	m->data = r->p;
	m->data_len = rd_left(r);
	while (rd_left(r) > 0) {
		const uint8_t *nul = memchr(r->p, 0, rd_left(r));
		size_t n;

		if (nul == NULL)
			return false;
		n = (size_t)(nul - r->p);
		if (!is_text(m, r->p, n) || !add_arg(m, r->p, n))
			return false;
		rd_bytes(r, n + 1);
	}
	return true;
}

/* What version 2 and the signed form have in common: type to CONTROL_END. */
static bool
decode_body(struct rd *r, struct control_msg *m)
{
	unsigned int argc;

	m->type = rd_u8(r);
	m->wire_type = m->type;
	argc = rd_u8(r);
	if (r->bad || !is_type(m->type))
		return false;
	m->data = r->p;
	while (argc-- > 0) {
		size_t n = rd_u8(r);
		const uint8_t *p = rd_bytes(r, n);

		if (p == NULL || !is_text(m, p, n) || !add_arg(m, p, n))
			return false;
	}
	m->data_len = (size_t)(r->p - m->data);
	return rd_u8(r) == CONTROL_END && rd_done(r);
}

static bool
decode_signed(struct rd *r, struct control_msg *m)
{
	struct rd body;

	m->form = CONTROL_SIGNED;
	m->sequence = rd_u64(r);
	m->id = rd_u32(r);
	if (rd_left(r) < CONTROL_MAC)
		return false;
	body = rd_sub(r, rd_left(r) - CONTROL_MAC);
	return decode_body(&body, m);
}

bool
control_decode(const void *buf, size_t len, struct control_msg *m)
{
	struct rd r = rd_init(buf, len);

	if (len > CONTROL_REQUEST_MAX)
		return false;
	m->argc = 0;
	m->id = 0;
	m->sequence = 0;
	switch (rd_u16(&r)) {
	case CONTROL_MAGIC_V1:
		return decode_v1(&r, len, m);
	case CONTROL_MAGIC_V2:
		m->form = CONTROL_V2;
		return decode_body(&r, m);
	case CONTROL_MAGIC_SIGNED:
		return decode_signed(&r, m);
	}
	return false;
}

/* The row that says this message in version 1; NULL if none does. */
static const struct v1_type *
v1_of(const struct control_msg *m)
{
	for (size_t i = 0; i < LEN(v1_types); i++) {
		const struct v1_type *t = &v1_types[i];

		if (t->type == m->type && (t->word == NULL || (m->argc > 0 &&
		    m->arg[0].len == strlen(t->word) &&
		    memcmp(m->arg[0].p, t->word, m->arg[0].len) == 0)))
			return t;
	}
	return NULL;
}

static void
encode_v1(struct wr *w, const struct control_msg *m)
{
	const struct v1_type *t = v1_of(m);
	size_t mark;

	if (t == NULL) {
		w->full = true;
		return;
	}
	wr_u16(w, CONTROL_MAGIC_V1);
	wr_u16(w, t->v1);
	mark = wr_hold_u16(w);
	wr_u32(w, m->id);
	for (unsigned int i = t->word != NULL; i < m->argc; i++) {
		wr_bytes(w, m->arg[i].p, m->arg[i].len);
		/* A response is one text: its lines stay lines. */
		wr_u8(w, is_reply(m) && i + 1 < m->argc ? '\n' : '\0');
	}
	wr_len_u16(w, mark, 0);
}

static void
encode_body(struct wr *w, const struct control_msg *m)
{
	wr_u8(w, m->type);
	wr_u8(w, (uint8_t)m->argc);
	for (unsigned int i = 0; i < m->argc; i++) {
		size_t n = m->arg[i].len;

		if (n > CONTROL_ARG_MAX)
			n = CONTROL_ARG_MAX;
		wr_u8(w, (uint8_t)n);
		wr_bytes(w, m->arg[i].p, n);
	}
	wr_u8(w, CONTROL_END);
}

size_t
control_encode(const struct control_msg *m, void *dst, size_t size)
{
	struct wr w = wr_init(dst, size);

	switch (m->form) {
	case CONTROL_V1:
		encode_v1(&w, m);
		break;
	case CONTROL_V2:
		wr_u16(&w, CONTROL_MAGIC_V2);
		encode_body(&w, m);
		break;
	case CONTROL_SIGNED:
		wr_u16(&w, CONTROL_MAGIC_SIGNED);
		wr_u64(&w, m->sequence);
		wr_u32(&w, m->id);
		encode_body(&w, m);
		break;
	}
	return wr_done(&w);
}

bool
control_is_signed(const void *buf, size_t len)
{
	struct rd r = rd_init(buf, len);

	return rd_u16(&r) == CONTROL_MAGIC_SIGNED;
}

static void
mac(uint8_t out[DIGEST_SHA256], const void *buf, size_t len,
    const char *label, const char *secret)
{
	/* With its NUL, so that no label is the beginning of another. */
	struct digest_part part[] = {
		{ label, strlen(label) + 1 }, { buf, len }
	};

	digest_hmac_sha256(out, secret, strlen(secret), part, LEN(part));
}

size_t
control_sign(void *buf, size_t len, size_t size, const char *label,
    const char *secret)
{
	uint8_t sum[DIGEST_SHA256];

	if (len == 0 || len > size || size - len < CONTROL_MAC)
		return 0;
	mac(sum, buf, len, label, secret);
	memcpy((uint8_t *)buf + len, sum, CONTROL_MAC);
	return len + CONTROL_MAC;
}

bool
control_verify(const void *buf, size_t len, const char *label,
    const char *secret)
{
	uint8_t sum[DIGEST_SHA256];

	if (len < CONTROL_SIGNED_HEAD + CONTROL_MAC || secret[0] == '\0')
		return false;
	mac(sum, buf, len - CONTROL_MAC, label, secret);
	return digest_equal(sum, (const uint8_t *)buf + len - CONTROL_MAC,
	    CONTROL_MAC);
}

/* What stands around the arguments in the longest form, and a last "...". */
#define AROUND	(CONTROL_SIGNED_HEAD + 3 + CONTROL_MAC + 4)

void
control_set_text(struct control_msg *m, const char *text, size_t len)
{
	size_t used = AROUND;

	m->argc = 0;
	while (len > 0) {
		const char *nl = memchr(text, '\n', len);
		size_t line = nl != NULL ? (size_t)(nl - text) : len;
		size_t n = line > CONTROL_ARG_MAX ? CONTROL_ARG_MAX : line;

		if (used + 1 + n > CONTROL_REPLY_MAX ||
		    m->argc == CONTROL_ARGS_MAX - 1) {
			add_arg(m, "...", 3);
			return;
		}
		add_arg(m, text, n);
		used += 1 + n;
		n += n == line && nl != NULL;
		text += n;
		len -= n;
	}
}
