/*
 * wire.h - bounded cursors over packet bytes
 *
 * Every parser in the daemon reads through `struct rd`, every builder writes
 * through `struct wr`.  No struct is ever laid over bytes and nothing is cast
 * to a wider type on packet memory.  The error is sticky: a decoder reads
 * straight down the diagram of its RFC and asks once, before anyone acts.
 *
 * All integers on the wire are in network byte order; values that these
 * functions take and give are in host byte order.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Reader: the bytes from p up to end.  Once bad, always bad. */
struct rd {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct rd
rd_init(const void *buf, size_t len)
{
	const uint8_t *p = buf;

	return (struct rd){ .p = p, .end = p + len, .bad = false };
}

/* Bytes left; 0 when bad. */
static inline size_t
rd_left(const struct rd *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}

/* The next n bytes, still owned by the packet; NULL, and bad, if short. */
static inline const uint8_t *
rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *b = r->p;

	if (r->bad || (size_t)(r->end - b) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return b;
}

static inline uint8_t
rd_u8(struct rd *r)
{
	const uint8_t *b = rd_bytes(r, 1);

	return b != NULL ? b[0] : 0;
}

static inline uint16_t
rd_u16(struct rd *r)
{
	const uint8_t *b = rd_bytes(r, 2);

	return b != NULL ? (uint16_t)(b[0] << 8 | b[1]) : 0;
}

static inline uint32_t
rd_u32(struct rd *r)
{
	const uint8_t *b = rd_bytes(r, 4);

	return b != NULL ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	    (uint32_t)b[2] << 8 | b[3] : 0;
}

static inline uint64_t
rd_u64(struct rd *r)
{
	uint64_t hi = rd_u32(r);

	return hi << 32 | rd_u32(r);
}

/* Copies n bytes out; zeroes dst if short. */
static inline void
rd_copy(struct rd *r, void *dst, size_t n)
{
	const uint8_t *b = rd_bytes(r, n);

	if (b != NULL)
		memcpy(dst, b, n);
	else
		memset(dst, 0, n);
}

/* A child over the next n bytes, which the parent steps over. */
static inline struct rd
rd_sub(struct rd *r, size_t n)
{
	const uint8_t *b = rd_bytes(r, n);

	if (b == NULL)
		return (struct rd){ .p = r->p, .end = r->p, .bad = true };
	return rd_init(b, n);
}

/* Nothing left and nothing bad: the way a complete decode ends. */
static inline bool
rd_done(const struct rd *r)
{
	return !r->bad && r->p == r->end;
}

/* Writer: fills buf from start; full is sticky and loses the whole packet. */
struct wr {
	uint8_t *start, *p, *end;
	bool full;
};

static inline struct wr
wr_init(void *buf, size_t size)
{
	uint8_t *p = buf;

	return (struct wr){ .start = p, .p = p, .end = p + size, .full = false };
}

/* Room for n bytes, to be filled by the caller; NULL, and full, if short. */
static inline uint8_t *
wr_room(struct wr *w, size_t n)
{
	uint8_t *b = w->p;

	if (w->full || (size_t)(w->end - b) < n) {
		w->full = true;
		return NULL;
	}
	w->p += n;
	return b;
}

static inline void
wr_u8(struct wr *w, uint8_t v)
{
	uint8_t *b = wr_room(w, 1);

	if (b != NULL)
		b[0] = v;
}

static inline void
wr_u16(struct wr *w, uint16_t v)
{
	uint8_t *b = wr_room(w, 2);

	if (b != NULL) {
		b[0] = (uint8_t)(v >> 8);
		b[1] = (uint8_t)v;
	}
}

static inline void
wr_u32(struct wr *w, uint32_t v)
{
	wr_u16(w, (uint16_t)(v >> 16));
	wr_u16(w, (uint16_t)v);
}

static inline void
wr_u64(struct wr *w, uint64_t v)
{
	wr_u32(w, (uint32_t)(v >> 32));
	wr_u32(w, (uint32_t)v);
}

static inline void
wr_bytes(struct wr *w, const void *src, size_t n)
{
	uint8_t *b = wr_room(w, n);

	if (b != NULL && n > 0)
		memcpy(b, src, n);
}

static inline void
wr_zero(struct wr *w, size_t n)
{
	uint8_t *b = wr_room(w, n);

	if (b != NULL)
		memset(b, 0, n);
}

/* Bytes written so far; 0 when full. */
static inline size_t
wr_len(const struct wr *w)
{
	return w->full ? 0 : (size_t)(w->p - w->start);
}

/* Holds a place for a 16-bit length; give the mark to wr_len_u16() later. */
static inline size_t
wr_hold_u16(struct wr *w)
{
	size_t mark = wr_len(w);

	wr_u16(w, 0);
	return mark;
}

/* Writes v into the place held at mark. */
static inline void
wr_patch_u16(struct wr *w, size_t mark, uint16_t v)
{
	if (w->full)
		return;
	w->start[mark] = (uint8_t)(v >> 8);
	w->start[mark + 1] = (uint8_t)v;
}

/* Writes into the place held at mark the count of bytes since `from`. */
static inline void
wr_len_u16(struct wr *w, size_t mark, size_t from)
{
	wr_patch_u16(w, mark, (uint16_t)(wr_len(w) - from));
}

/* The length of a whole packet, or 0: a full buffer gives no torn packet. */
static inline size_t
wr_done(const struct wr *w)
{
	return wr_len(w);
}

#endif
