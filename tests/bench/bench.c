/*
 * bench.c - bytes, time, chance and figures for the bench tools
 *
 * Owns:     nothing but the timers that are linked into a wheel.
 * Calls:    libc.
 * Lifetime: a timer must be stopped before its memory goes.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void
out_bytes(struct out *o, const void *p, size_t n)
{
	uint8_t *q = out_room(o, n);

	if (q && n)
		memcpy(q, p, n);
}

/*
 * Four octets at a time in the machine's own order: the sum does not mind
 * (RFC 1071 2.B), only its end is turned round.
 */
uint32_t
sum16(uint32_t sum, const uint8_t *p, size_t n)
{
	uint64_t s = 0;
	uint32_t w;
	uint16_t h = 0;

	for (; n >= 4; p += 4, n -= 4) {
		memcpy(&w, p, 4);
		s += w;
	}
	if (n >= 2) {
		memcpy(&h, p, 2);
		s += h;
		p += 2;
		n -= 2;
	}
	if (n) {
		h = 0;
		memcpy(&h, p, 1);
		s += h;
	}
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return sum + ntohs((uint16_t)s);
}

uint16_t
sum_done(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_SEC + (uint64_t)ts.tv_nsec;
}

/* ---- the wheel ---- */

static void
timer_link(struct timer *head, struct timer *t)
{
	t->prev = head->prev;
	t->next = head;
	head->prev->next = t;
	head->prev = t;
}

void
timer_stop(struct timer *t)
{
	if (!t->next)
		return;
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->next = t->prev = NULL;
}

void
timer_set(struct wheel *w, struct timer *t, uint64_t due)
{
	timer_stop(t);
	t->due = (due + WHEEL_TICK - 1) / WHEEL_TICK;
	if (t->due < w->tick)
		t->due = w->tick;
	timer_link(&w->slot[t->due % WHEEL_SLOTS], t);
}

void
wheel_init(struct wheel *w, uint64_t now)
{
	w->tick = now / WHEEL_TICK;
	for (size_t i = 0; i < WHEEL_SLOTS; i++)
		w->slot[i].next = w->slot[i].prev = &w->slot[i];
}

/*
 * The slot's list moves to a head of its own first: a callback may stop any
 * timer in it, and may set timers for this very slot, one turn later.
 */
static void
wheel_slot(struct wheel *w, struct timer *slot, uint64_t tick)
{
	struct timer head, *t;

	if (slot->next == slot)
		return;
	head = *slot;
	head.next->prev = head.prev->next = &head;
	slot->next = slot->prev = slot;
	while ((t = head.next) != &head) {
		timer_stop(t);
		if (t->due <= tick)
			t->fn(t);
		else
			timer_link(&w->slot[t->due % WHEEL_SLOTS], t);
	}
}

void
wheel_run(struct wheel *w, uint64_t now)
{
	uint64_t end = now / WHEEL_TICK;

	while (w->tick <= end) {
		uint64_t tick = w->tick++;

		wheel_slot(w, &w->slot[tick % WHEEL_SLOTS], tick);
	}
}

uint64_t
wheel_wait(const struct wheel *w, uint64_t now, uint64_t max)
{
	uint64_t end = (now + max) / WHEEL_TICK;

	for (uint64_t t = w->tick; t <= end; t++) {
		const struct timer *slot = &w->slot[t % WHEEL_SLOTS];

		if (slot->next != slot)
			return t * WHEEL_TICK > now ? t * WHEEL_TICK - now : 0;
	}
	return max;
}

/* ---- splitmix64 ---- */

uint64_t
rng_u64(struct rng *r)
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void
rng_fill(struct rng *r, void *p, size_t n)
{
	uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(rng_u64(r) >> 32);
}

/* ---- figures ---- */

static size_t
hist_index(uint64_t v)
{
	unsigned e;
	size_t i;

	if (v < 2 * HIST_SUB)
		return (size_t)v;
	e = 63 - (unsigned)__builtin_clzll(v) - 6;	/* log2(HIST_SUB) = 6 */
	i = (size_t)(e * HIST_SUB + (v >> e));
	return i < HIST_SIZE ? i : HIST_SIZE - 1;
}

/* The middle of a bucket. */
static uint64_t
hist_value(size_t i)
{
	size_t e;

	if (i < 2 * HIST_SUB)
		return i;
	e = i / HIST_SUB - 1;
	return ((uint64_t)(i - e * HIST_SUB) << e) + ((1ULL << e) >> 1);
}

void
hist_add(struct hist *h, uint64_t v)
{
	h->count++;
	h->sum += (double)v;
	if (v > h->max)
		h->max = v;
	h->bucket[hist_index(v)]++;
}

uint64_t
hist_quantile(const struct hist *h, double q)
{
	uint64_t want = (uint64_t)ceil(q * (double)h->count), seen = 0;

	if (!h->count)
		return 0;
	for (size_t i = 0; i < HIST_SIZE; i++) {
		seen += h->bucket[i];
		if (seen >= want && seen) {
			uint64_t v = hist_value(i);

			return v < h->max ? v : h->max;
		}
	}
	return h->max;
}

static void
json_key(struct json *j, const char *key)
{
	if (j->more)
		putc(',', j->f);
	if (j->depth)
		fprintf(j->f, "\n%*s", j->depth * 2, "");
	if (key)
		fprintf(j->f, "\"%s\": ", key);
	j->more = true;
}

void
json_open(struct json *j, const char *key)
{
	json_key(j, key);
	putc('{', j->f);
	j->depth++;
	j->more = false;
}

void
json_close(struct json *j)
{
	j->depth--;
	if (j->more)
		fprintf(j->f, "\n%*s", j->depth * 2, "");
	putc('}', j->f);
	j->more = true;
	if (!j->depth)
		putc('\n', j->f);
}

void
json_u64(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	fprintf(j->f, "%llu", (unsigned long long)v);
}

void
json_num(struct json *j, const char *key, double v)
{
	json_key(j, key);
	fprintf(j->f, "%.3f", isfinite(v) ? v : 0.0);
}

void
json_bool(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	fputs(v ? "true" : "false", j->f);
}

void
json_str(struct json *j, const char *key, const char *v)
{
	json_key(j, key);
	putc('"', j->f);
	for (; *v; v++) {
		unsigned char c = (unsigned char)*v;

		if (c < 0x20 || c > 0x7e)
			fprintf(j->f, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			fprintf(j->f, "\\%c", c);
		else
			putc(c, j->f);
	}
	putc('"', j->f);
}

void
json_hist(struct json *j, const char *key, const struct hist *h)
{
	json_open(j, key);
	json_u64(j, "count", h->count);
	json_num(j, "mean", h->count ? h->sum / (double)h->count / 1e3 : 0);
	json_num(j, "p50", (double)hist_quantile(h, 0.5) / 1e3);
	json_num(j, "p90", (double)hist_quantile(h, 0.9) / 1e3);
	json_num(j, "p99", (double)hist_quantile(h, 0.99) / 1e3);
	json_num(j, "p999", (double)hist_quantile(h, 0.999) / 1e3);
	json_num(j, "max", (double)h->max / 1e3);
	json_close(j);
}

FILE *
file_begin(const char *path, char *tmp, size_t size)
{
	struct stat st;
	FILE *f;

	if (!strcmp(path, "-"))
		return stdout;
	/* A device or a pipe is written to, never renamed over. */
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		snprintf(tmp, size, "%s", path);
	else
		snprintf(tmp, size, "%s.%ld", path, (long)getpid());
	f = fopen(tmp, "w");
	if (!f)
		fprintf(stderr, "%s: %s\n", tmp, strerror(errno));
	return f;
}

bool
file_commit(FILE *f, const char *path, const char *tmp)
{
	if (f == stdout)
		return fflush(f) == 0;
	if (fclose(f) || (strcmp(tmp, path) && rename(tmp, path))) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		if (strcmp(tmp, path))
			unlink(tmp);
		return false;
	}
	return true;
}

/* ---- the command line ---- */

void
die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	putc('\n', stderr);
	exit(2);
}

uint64_t
arg_u64(const char *opt, const char *s, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno || !isdigit((unsigned char)*s) || *end || v < min || v > max)
		die("--%s %s: want a number from %llu to %llu", opt, s,
		    (unsigned long long)min, (unsigned long long)max);
	return v;
}

double
arg_num(const char *opt, const char *s, double min, double max)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(s, &end);
	if (errno || end == s || *end || !(v >= min && v <= max))
		die("--%s %s: want a number from %g to %g", opt, s, min, max);
	return v;
}

uint32_t
arg_ip(const char *opt, const char *s)
{
	struct in_addr a;

	if (inet_pton(AF_INET, s, &a) != 1)
		die("--%s %s: not an IPv4 address", opt, s);
	return ntohl(a.s_addr);
}

void
arg_ip_port(const char *opt, const char *s, uint32_t *ip, uint16_t *port)
{
	char host[64];
	const char *colon = strchr(s, ':');
	size_t n = colon ? (size_t)(colon - s) : strlen(s);

	if (n >= sizeof(host))
		die("--%s %s: not an IPv4 address", opt, s);
	memcpy(host, s, n);
	host[n] = 0;
	*ip = arg_ip(opt, host);
	if (colon)
		*port = (uint16_t)arg_u64(opt, colon + 1, 1, 65535);
}

/* Length of a %d or %0Nd at s, or 0; its width in *width. */
static size_t
fmt_number(const char *s, int *width)
{
	size_t n = 1;

	*width = 0;
	if (s[n] == '0') {
		n++;
		if (!isdigit((unsigned char)s[n]))
			return 0;
		*width = s[n++] - '0';
	}
	return s[n] == 'd' ? n + 1 : 0;
}

bool
fmt_ok(const char *fmt)
{
	int numbers = 0, width;

	while (*fmt) {
		size_t n = 1;

		if (*fmt == '%') {
			if (fmt[1] == '%')
				n = 2;
			else if ((n = fmt_number(fmt, &width)) == 0)
				return false;
			else
				numbers++;
		}
		fmt += n;
	}
	return numbers <= 1;
}

size_t
fmt_index(char *buf, size_t size, const char *fmt, uint32_t num)
{
	size_t o = 0, n;
	int width;

	while (*fmt && o + 1 < size) {
		if (*fmt != '%') {
			buf[o++] = *fmt++;
		} else if (fmt[1] == '%') {
			buf[o++] = '%';
			fmt += 2;
		} else if ((n = fmt_number(fmt, &width)) != 0) {
			int k = snprintf(buf + o, size - o, "%0*u", width, num);

			o += (size_t)k < size - o ? (size_t)k : size - o - 1;
			fmt += n;
		} else {
			break;
		}
	}
	buf[o] = 0;
	return o;
}

char *
ip_text(uint32_t ip, char buf[16])
{
	snprintf(buf, 16, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255,
	    ip >> 8 & 255, ip & 255);
	return buf;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		die("out of memory");
	return p;
}

void *
xrealloc(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n ? n : 1, size);
	if (!p)
		die("out of memory");
	return p;
}
