/*
 * bench.h - what lacsim and radresp share: bytes, time, chance, figures
 *
 * Nothing in this directory uses code of the daemon, so that a misreading of
 * a protocol cannot hide by being made on both sides.  Hence the cursors, the
 * timer wheel and the random numbers here, small as they are.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC unless a name says otherwise.
 * IPv4 addresses in a uint32_t are in host byte order.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NS_SEC	1000000000ULL
#define NS_MS	1000000ULL
#define NS_US	1000ULL

#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* ---- reading and writing packets; errors are sticky ---- */

struct in {
	const uint8_t *p;
	size_t n;		/* octets left */
	bool bad;		/* ran short once: everything is 0 from then on */
};

struct out {
	uint8_t *p;
	size_t n, cap;		/* octets written, room in all */
	bool bad;
};

static inline struct in
in_open(const void *p, size_t n)
{
	struct in i = { p, n, false };

	return i;
}

/* The next n octets, or NULL when the packet is shorter. */
static inline const uint8_t *
in_take(struct in *i, size_t n)
{
	const uint8_t *p = i->p;

	if (i->bad || i->n < n) {
		i->bad = true;
		i->n = 0;
		return NULL;
	}
	i->p += n;
	i->n -= n;
	return p;
}

static inline uint8_t
in_u8(struct in *i)
{
	const uint8_t *p = in_take(i, 1);

	return p ? p[0] : 0;
}

static inline uint16_t
in_u16(struct in *i)
{
	const uint8_t *p = in_take(i, 2);

	return p ? (uint16_t)((uint32_t)p[0] << 8 | p[1]) : 0;
}

static inline uint32_t
in_u32(struct in *i)
{
	uint32_t hi = in_u16(i);

	return hi << 16 | in_u16(i);
}

static inline uint64_t
in_u64(struct in *i)
{
	uint64_t hi = in_u32(i);

	return hi << 32 | in_u32(i);
}

static inline struct out
out_open(void *p, size_t cap)
{
	struct out o = { p, 0, cap, false };

	return o;
}

/* Room for n octets to be filled by the caller, or NULL when full. */
static inline uint8_t *
out_room(struct out *o, size_t n)
{
	uint8_t *p = o->p + o->n;

	if (o->bad || o->cap - o->n < n) {
		o->bad = true;
		return NULL;
	}
	o->n += n;
	return p;
}

static inline void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

static inline uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)((uint32_t)p[0] << 8 | p[1]);
}

static inline uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static inline void
out_u8(struct out *o, uint8_t v)
{
	uint8_t *p = out_room(o, 1);

	if (p)
		p[0] = v;
}

static inline void
out_u16(struct out *o, uint16_t v)
{
	uint8_t *p = out_room(o, 2);

	if (p)
		put16(p, v);
}

static inline void
out_u32(struct out *o, uint32_t v)
{
	uint8_t *p = out_room(o, 4);

	if (p)
		put32(p, v);
}

static inline void
out_u64(struct out *o, uint64_t v)
{
	out_u32(o, (uint32_t)(v >> 32));
	out_u32(o, (uint32_t)v);
}

void out_bytes(struct out *o, const void *p, size_t n);

/* RFC 1071 sum, not complemented, to be chained; odd n only in the last. */
uint32_t sum16(uint32_t sum, const uint8_t *p, size_t n);
/* Folds and complements. */
uint16_t sum_done(uint32_t sum);

/* ---- time ---- */

uint64_t now_ns(void);

#define WHEEL_TICK	(250 * NS_US)
#define WHEEL_SLOTS	32768		/* 8.2 s; later ones come round again */

struct timer {
	struct timer *next, *prev;	/* NULL when not running */
	uint64_t due;			/* in ticks */
	void (*fn)(struct timer *);
};

struct wheel {
	uint64_t tick;			/* the next one to be run */
	struct timer slot[WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now);
/* Calls fn of each timer due; a timer is off when its fn is called. */
void wheel_run(struct wheel *w, uint64_t now);
/* How long to sleep, at most max. */
uint64_t wheel_wait(const struct wheel *w, uint64_t now, uint64_t max);
void timer_set(struct wheel *w, struct timer *t, uint64_t due);
void timer_stop(struct timer *t);

static inline bool
timer_on(const struct timer *t)
{
	return t->next != NULL;
}

/* ---- chance: repeatable from a seed (not for secrets) ---- */

struct rng {
	uint64_t s;
};

uint64_t rng_u64(struct rng *r);
void rng_fill(struct rng *r, void *p, size_t n);

static inline uint32_t
rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(((rng_u64(r) >> 32) * (uint64_t)n) >> 32);
}

/* 0 <= x < 1 */
static inline double
rng_unit(struct rng *r)
{
	return (double)(rng_u64(r) >> 11) / 9007199254740992.0;
}

/* ---- figures ---- */

#define HIST_SUB	64
#define HIST_SIZE	(HIST_SUB * 40)

/* Log-linear, 1.6 % wide; values are microseconds here. */
struct hist {
	uint64_t count, max;
	double sum;
	uint64_t bucket[HIST_SIZE];
};

void hist_add(struct hist *h, uint64_t v);
uint64_t hist_quantile(const struct hist *h, double q);

struct json {
	FILE *f;
	int depth;
	bool more;		/* a comma is due */
};

void json_open(struct json *j, const char *key);	/* key NULL: no name */
void json_close(struct json *j);
void json_u64(struct json *j, const char *key, uint64_t v);
void json_num(struct json *j, const char *key, double v);
void json_str(struct json *j, const char *key, const char *v);
void json_bool(struct json *j, const char *key, bool v);
/* count, mean and quantiles in ms of a histogram in microseconds */
void json_hist(struct json *j, const char *key, const struct hist *h);
/* Writes through a temporary name; path "-" is standard output. */
FILE *file_begin(const char *path, char *tmp, size_t size);
bool file_commit(FILE *f, const char *path, const char *tmp);

/* ---- the command line ---- */

void die(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
uint64_t arg_u64(const char *opt, const char *s, uint64_t min, uint64_t max);
double arg_num(const char *opt, const char *s, double min, double max);
uint32_t arg_ip(const char *opt, const char *s);
/* "ADDR[:PORT]"; port is left alone when absent. */
void arg_ip_port(const char *opt, const char *s, uint32_t *ip, uint16_t *port);
/* true when fmt has nothing but text, %% and at most one %d or %0Nd */
bool fmt_ok(const char *fmt);
/* Writes fmt with n for its %d; returns the length, cut to size - 1. */
size_t fmt_index(char *buf, size_t size, const char *fmt, uint32_t n);
char *ip_text(uint32_t ip, char buf[16]);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);

#endif
