/*
 * table.c - tunnel and session slots
 *
 * Four arrays, each one reserved mapping that the kernel backs page by page
 * as slots are first used: facts and locals of sessions, facts and locals of
 * tunnels.  A slot given back is the first to be given out again, and a new
 * one is cut from the front of the untouched part, so that the memory held is
 * that of the largest number of sessions there ever were.
 *
 * A packet wants one line of a session that nobody has looked at for long, so
 * what it costs is finding the page: the arrays of sessions ask for huge ones.
 * The kernel clears one as it is first touched, which takes it milliseconds
 * where a hypervisor has to find the memory; so no two of them are first touched
 * in one turn.
 *
 * AddressSanitizer cannot see an index that runs from one slot into the next
 * inside one mapping, so free slots are poisoned by hand.
 *
 * Owns:     the slots and their numbers.  What is in them belongs to others.
 * Calls:    nothing.
 * Lifetime: table_init() to table_free(), once a process (often in tests).
 */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define TABLE_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TABLE_ASAN
#endif
#endif

#ifdef TABLE_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)	__asan_poison_memory_region((p), (n))
#define UNPOISON(p, n)	__asan_unpoison_memory_region((p), (n))
#else
#define POISON(p, n)	((void)(p), (void)(n))
#define UNPOISON(p, n)	((void)(p), (void)(n))
#endif

#define HUGE_PAGE	(UINT64_C(2) << 20)

/* One numbered table: two arrays in step, and which slots are in use. */
struct slots {
	uint32_t max;			/* numbers run from 1 to max */
	uint32_t high;			/* highest number ever given out */
	uint32_t used;
	uint32_t nfree;
	uint32_t *free;			/* numbers given back, a stack */
	uint32_t *place;		/* where in free[] a number lies */
	uint64_t *in_use;		/* a bit per number */
	size_t fact_size, local_size;
	char *facts, *locals;
	bool huge;			/* of huge pages */
	uint32_t fetched;		/* locals up to this one are there */
};

static struct slots sessions, tunnels;

_Static_assert(offsetof(struct session, tx_packets) + sizeof(uint64_t) == 64,
    "what each packet touches of a session is not one cache line");

static void *
reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/*
 * As a wish; where the kernel has none to give, small pages do as well.  The
 * first ones are touched now: the first session would touch both in one turn.
 */
static void
want_huge_pages(struct slots *t)
{
	size_t n = (size_t)t->max + 1, page = (size_t)sysconf(_SC_PAGESIZE);

	(void)madvise(t->facts, n * t->fact_size, MADV_HUGEPAGE);
	(void)madvise(t->locals, n * t->local_size, MADV_HUGEPAGE);
	(void)madvise(t->facts, page, MADV_POPULATE_WRITE);
	(void)madvise(t->locals, page, MADV_POPULATE_WRITE);
	t->huge = true;
}

static void
release(void *p, size_t size)
{
	if (p == NULL)
		return;
	UNPOISON(p, size);
	munmap(p, size);
}

static size_t
bitmap_bytes(const struct slots *t)
{
	return ((size_t)t->max / 64 + 1) * sizeof(uint64_t);
}

static void
slots_free(struct slots *t)
{
	size_t n = (size_t)t->max + 1;

	release(t->facts, n * t->fact_size);
	release(t->locals, n * t->local_size);
	release(t->free, n * sizeof(uint32_t));
	release(t->place, n * sizeof(uint32_t));
	release(t->in_use, bitmap_bytes(t));
	*t = (struct slots){ 0 };
}

static bool
slots_init(struct slots *t, uint32_t max, size_t fact_size, size_t local_size)
{
	size_t n = (size_t)max + 1;

	*t = (struct slots){
		.max = max, .fact_size = fact_size, .local_size = local_size
	};
	t->facts = reserve(n * fact_size);
	t->locals = reserve(n * local_size);
	t->free = reserve(n * sizeof(uint32_t));
	t->place = reserve(n * sizeof(uint32_t));
	t->in_use = reserve(bitmap_bytes(t));
	if (t->facts == NULL || t->locals == NULL || t->free == NULL ||
	    t->place == NULL || t->in_use == NULL) {
		slots_free(t);
		errno = ENOMEM;
		return false;
	}
	POISON(t->facts, n * fact_size);
	POISON(t->locals, n * local_size);
	return true;
}

static inline bool
slots_has(const struct slots *t, uint32_t n)
{
	return n - 1 < t->high && (t->in_use[n / 64] >> (n % 64) & 1) != 0;
}

static inline void *
slots_fact(const struct slots *t, uint32_t n)
{
	return slots_has(t, n) ? t->facts + n * t->fact_size : NULL;
}

static void
free_push(struct slots *t, uint32_t n)
{
	t->place[n] = t->nfree;
	t->free[t->nfree++] = n;
}

/* One out of the middle; the last one takes its place. */
static void
free_pull(struct slots *t, uint32_t n)
{
	uint32_t last = t->free[--t->nfree];

	t->free[t->place[n]] = last;
	t->place[last] = t->place[n];
}

static bool
is_upper_half(const char *p)
{
	return ((uintptr_t)p & HUGE_PAGE / 2) != 0;
}

/*
 * Facts fill a page long before locals do.  When the second half of one of
 * theirs is begun, the locals that go with all of their next page get theirs,
 * so that the turn that comes to that page touches no other.  A kernel before
 * 5.14 does not know how, and touches both when it comes to it.
 */
static void
fetch_locals(struct slots *t, uint32_t n)
{
	const char *fact = t->facts + n * t->fact_size;
	uint64_t last = n + 2 * HUGE_PAGE / t->fact_size;
	uintptr_t from, end;

	if (!is_upper_half(fact) || is_upper_half(fact - t->fact_size))
		return;
	if (last > t->max)
		last = t->max;
	if (last <= t->fetched)
		return;
	if (n < t->fetched)
		n = t->fetched;
	from = (uintptr_t)t->locals + n * t->local_size;
	from &= ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
	end = (uintptr_t)t->locals + (last + 1) * t->local_size;
	t->fetched = (uint32_t)last;
	(void)madvise((void *)from, end - from, MADV_POPULATE_WRITE);
}

/* A number that is on no list any more: in use, its slots zeroed. */
static void
slots_use(struct slots *t, uint32_t n)
{
	t->used++;
	t->in_use[n / 64] |= UINT64_C(1) << (n % 64);
	UNPOISON(t->facts + n * t->fact_size, t->fact_size);
	UNPOISON(t->locals + n * t->local_size, t->local_size);
	if (t->huge)
		fetch_locals(t, n);
	memset(t->facts + n * t->fact_size, 0, t->fact_size);
	memset(t->locals + n * t->local_size, 0, t->local_size);
}

/* 0 when full. */
static uint32_t
slots_take(struct slots *t)
{
	uint32_t n;

	if (t->nfree > 0)
		n = t->free[--t->nfree];
	else if (t->high < t->max)
		n = ++t->high;
	else
		return 0;
	slots_use(t, n);
	return n;
}

/* Just this number; false when there is no such one, or it is in use. */
static bool
slots_take_at(struct slots *t, uint32_t n)
{
	if (n == 0 || n > t->max || slots_has(t, n))
		return false;
	while (t->high < n)
		free_push(t, ++t->high);
	free_pull(t, n);
	slots_use(t, n);
	return true;
}

static void
slots_give(struct slots *t, uint32_t n)
{
	if (!slots_has(t, n))
		return;
	t->used--;
	t->in_use[n / 64] &= ~(UINT64_C(1) << (n % 64));
	free_push(t, n);
	POISON(t->facts + n * t->fact_size, t->fact_size);
	POISON(t->locals + n * t->local_size, t->local_size);
}

/* The lowest number in use above n, or 0; skips 64 free slots at a step. */
static uint32_t
slots_next(const struct slots *t, uint32_t n)
{
	for (n++; n <= t->high; n = (n / 64 + 1) * 64) {
		uint64_t word = t->in_use[n / 64] >> (n % 64);

		if (word != 0)
			return n + (uint32_t)__builtin_ctzll(word);
	}
	return 0;
}

/* The highest number in use, or 0. */
static uint32_t
slots_highest(const struct slots *t)
{
	for (uint32_t i = t->high / 64 + 1; i-- > 0; )
		if (t->in_use[i] != 0)
			return i * 64 + 63 -
			    (uint32_t)__builtin_clzll(t->in_use[i]);
	return 0;
}

bool
table_init(uint32_t max_sessions, uint32_t max_tunnels)
{
	if (!slots_init(&sessions, max_sessions, sizeof(struct session),
	    sizeof(struct session_local)))
		return false;
	if (!slots_init(&tunnels, max_tunnels, sizeof(struct tunnel),
	    sizeof(struct tunnel_local))) {
		slots_free(&sessions);
		return false;
	}
	want_huge_pages(&sessions);
	return true;
}

void
table_free(void)
{
	slots_free(&sessions);
	slots_free(&tunnels);
}

struct session *
table_session_new(void)
{
	uint32_t n = slots_take(&sessions);
	struct session *s = slots_fact(&sessions, n);

	if (s != NULL)
		s->sid = n;
	return s;
}

struct tunnel *
table_tunnel_new(void)
{
	uint32_t n = slots_take(&tunnels);
	struct tunnel *t = slots_fact(&tunnels, n);

	if (t != NULL)
		t->tid = n;
	return t;
}

struct session *
table_session_at(uint32_t sid)
{
	struct session *s;

	if (!slots_take_at(&sessions, sid))
		return NULL;
	s = slots_fact(&sessions, sid);
	s->sid = sid;
	return s;
}

struct tunnel *
table_tunnel_at(uint32_t tid)
{
	struct tunnel *t;

	if (!slots_take_at(&tunnels, tid))
		return NULL;
	t = slots_fact(&tunnels, tid);
	t->tid = tid;
	return t;
}

void
table_session_del(struct session *s)
{
	slots_give(&sessions, s->sid);
}

void
table_tunnel_del(struct tunnel *t)
{
	slots_give(&tunnels, t->tid);
}

struct session *
session_by_sid(uint32_t sid)
{
	return slots_fact(&sessions, sid);
}

struct tunnel *
tunnel_by_tid(uint32_t tid)
{
	return slots_fact(&tunnels, tid);
}

/* By where it lies, so that nothing of the session is waited for. */
struct session_local *
session_local(const struct session *s)
{
	return (struct session_local *)sessions.locals +
	    (s - (const struct session *)sessions.facts);
}

struct tunnel_local *
tunnel_local(const struct tunnel *t)
{
	return (struct tunnel_local *)tunnels.locals + t->tid;
}

struct session *
session_next(uint32_t after_sid)
{
	return slots_fact(&sessions, slots_next(&sessions, after_sid));
}

struct tunnel *
tunnel_next(uint32_t after_tid)
{
	return slots_fact(&tunnels, slots_next(&tunnels, after_tid));
}

uint32_t
table_sessions(void)
{
	return sessions.used;
}

uint32_t
table_tunnels(void)
{
	return tunnels.used;
}

uint32_t
table_highest_session(void)
{
	return slots_highest(&sessions);
}

uint32_t
table_highest_tunnel(void)
{
	return slots_highest(&tunnels);
}
