/*
 * ippool.c - the addresses that sessions are given
 *
 * What the file lists is kept as ranges, so that a network costs the same
 * whatever its size, and a new file is read at once.  Only an address that
 * somebody has or had gets a slot.  Slots are found by address through one
 * hash, and by the user who had them last through another, whose entries (one
 * a user) each head a list of that user's free slots, the latest first.
 * Besides, every free slot is on the queue of the released, the oldest first.
 * So a choice is the head of a list: the user's own, else the next of the file
 * without a slot, else the one released first.
 *
 * A new file is in force at once: whether an address is listed is asked of the
 * ranges.  What this means for the slots that there are is found out a few
 * thousand a turn: what is free and not listed any more is forgotten, what is
 * in use leaves the pool on its release.  A file that says what it said before
 * changes nothing and costs nothing.
 *
 * Owns:     `pool`, all slots, and its copies of user names.
 * Calls:    config (lines, prefixes), counters, timers.
 * Lifetime: from ippool_load() to ippool_clear(); slots do not move.
 */
#include "ippool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "counters.h"
#include "timer.h"

#define FILE_MAX	(32 * 1024 * 1024)	/* IPPOOL_MAX lines and comments */
#define NONE		UINT32_MAX		/* no slot */
#define BITS		17			/* of the hashes */
#define HEADS		((size_t)1 << BITS)
#define BLOCK		1024			/* slots in a piece of memory */
#define BLOCKS		(2 * IPPOOL_MAX / BLOCK)	/* listed, and used */
#define SWEEP		1024			/* slots a turn */
#define SKIP		4096			/* that have slots, a choice */

struct user {
	struct user *next;		/* same hash */
	uint32_t hash;
	uint32_t slots;			/* that name this user */
	uint32_t first;			/* free slot, the latest */
	char name[];
};

/*
 * On the queue of the released and on its user's list, if it has one, while
 * free; on that of the strays when in use and not listed any more.
 */
struct slot {
	uint32_t addr;
	uint32_t number;		/* of this slot */
	uint32_t sid;			/* 0: free */
	uint64_t released;		/* ms; 0: never */
	struct user *user;		/* NULL: nobody is remembered */
	uint32_t hash_next;		/* or the next one gone */
	uint32_t queue_next, queue_prev;
	uint32_t user_next, user_prev;
	bool stray;
	bool gone;			/* left the pool */
};

struct queue { uint32_t first, last; };

struct prefix {
	uint32_t addr;
	uint8_t len;
	unsigned int line;
	uint32_t give;			/* of its addresses: the first so many */
};

/* Addresses that are given out, both ends among them. */
struct range {
	uint32_t first, last;
	uint32_t before;		/* addresses in the ranges before it */
	uint32_t prefix;		/* that it comes from */
};

/* What the file says. */
struct listed {
	struct prefix *prefixes;	/* as in the file */
	size_t nprefixes;
	uint32_t bind_address;		/* that the file was read for */
	struct prefix *routes;		/* sorted, none twice */
	size_t nroutes;
	struct range *order;		/* as in the file */
	size_t norder;
	struct range *ranges;		/* sorted, apart from one another */
	size_t nranges, room;
	uint32_t size;			/* addresses in them */
};

struct pool {
	struct listed file;
	uint32_t editions;		/* of it */
	size_t next_range;		/* of file.order: the next one that */
	uint32_t next_addr;		/* was never used; 0: its first */
	struct slot *blocks[BLOCKS];
	uint32_t n;			/* slots, those gone too */
	uint32_t gone;			/* the first of these, or NONE */
	uint32_t used, nstrays;
	struct queue released, strays;
	uint32_t *by_addr;		/* heads */
	struct user **by_user;
	uint64_t seed;
	uint32_t swept;			/* slots looked at since the file */
	struct timer sweep;
	uint32_t stray_at, stray_row;	/* the last one shown, its number */
};

static struct pool pool;

/*
 * Hashes.  Users choose their names, so theirs is seeded.
 */

static uint32_t
mix(uint64_t h)
{
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return (uint32_t)h & (uint32_t)(HEADS - 1);
}

static uint32_t
hash_addr(uint32_t addr)
{
	return mix(addr ^ pool.seed);
}

static uint32_t
hash_user(const char *name)
{
	uint64_t h = pool.seed;

	for (; *name != '\0'; name++) {
		h = (h ^ (unsigned char)*name) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return mix(h);
}

static struct slot *
slot(uint32_t i)
{
	return &pool.blocks[i / BLOCK][i % BLOCK];
}

static struct slot *
find_slot(uint32_t addr)
{
	if (pool.by_addr == NULL)
		return NULL;
	for (uint32_t i = pool.by_addr[hash_addr(addr)]; i != NONE;
	    i = slot(i)->hash_next)
		if (slot(i)->addr == addr)
			return slot(i);
	return NULL;
}

static struct user *
find_user(const char *name)
{
	if (pool.by_user == NULL || name == NULL || *name == '\0')
		return NULL;
	for (struct user *u = pool.by_user[hash_user(name)]; u != NULL;
	    u = u->next)
		if (strcmp(u->name, name) == 0)
			return u;
	return NULL;
}

/* Finds or makes; NULL when memory is short: then nobody is remembered. */
static struct user *
get_user(const char *name)
{
	struct user *u;
	size_t len;

	if (name == NULL || *name == '\0')
		return NULL;
	u = find_user(name);
	if (u != NULL)
		return u;
	len = strlen(name) + 1;
	u = malloc(sizeof(*u) + len);
	if (u == NULL)
		return NULL;
	u->hash = hash_user(name);
	u->slots = 0;
	u->first = NONE;
	memcpy(u->name, name, len);
	u->next = pool.by_user[u->hash];
	pool.by_user[u->hash] = u;
	return u;
}

/* Makes u (or nobody) the one that slot s remembers. */
static void
set_user(struct slot *s, struct user *u)
{
	struct user *old = s->user;
	struct user **link;

	if (u != NULL)
		u->slots++;
	s->user = u;
	if (old == NULL || --old->slots > 0)
		return;
	for (link = &pool.by_user[old->hash]; *link != old;)
		link = &(*link)->next;
	*link = old->next;
	free(old);
}

/*
 * Ranges
 */

/* The first range that does not end before addr, or their number. */
static size_t
range_place(const struct listed *l, uint32_t addr)
{
	size_t low = 0, high = l->nranges, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (l->ranges[mid].last < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool
is_listed(const struct listed *l, uint32_t addr)
{
	size_t i = range_place(l, addr);

	return i < l->nranges && l->ranges[i].first <= addr;
}

/* The address of a row. */
static uint32_t
row_address(const struct listed *l, uint32_t row)
{
	size_t low = 0, high = l->nranges, mid;

	while (high - low > 1) {
		mid = (low + high) / 2;
		if (l->ranges[mid].before <= row)
			low = mid;
		else
			high = mid;
	}
	return l->ranges[low].first + (row - l->ranges[low].before);
}

static void
number_ranges(struct listed *l, size_t i)
{
	for (; i < l->nranges; i++)
		l->ranges[i].before = i == 0 ? 0 : l->ranges[i - 1].before +
		    (l->ranges[i - 1].last - l->ranges[i - 1].first + 1);
	i = l->nranges;
	l->size = i == 0 ? 0 : l->ranges[i - 1].before +
	    (l->ranges[i - 1].last - l->ranges[i - 1].first + 1);
}

/* Takes an address out of the ranges; false when there is no memory. */
static bool
range_cut(struct listed *l, uint32_t addr)
{
	size_t i = range_place(l, addr);
	struct range *r = &l->ranges[i], *more;

	if (r->first == addr && r->last == addr) {
		memmove(r, r + 1, (--l->nranges - i) * sizeof(*r));
	} else if (r->first == addr) {
		r->first++;
	} else if (r->last == addr) {
		r->last--;
	} else {
		if (l->nranges == l->room) {
			more = reallocarray(l->ranges, l->room + 64,
			    sizeof(*more));
			if (more == NULL)
				return false;
			l->ranges = more;
			l->room += 64;
			r = &l->ranges[i];
		}
		memmove(r + 1, r, (l->nranges++ - i) * sizeof(*r));
		r->last = addr - 1;
		r[1].first = addr + 1;
	}
	number_ranges(l, i);
	return true;
}

/*
 * Queues and lists
 */

static void
enqueue(struct queue *q, struct slot *s)
{
	s->queue_prev = q->last;
	s->queue_next = NONE;
	if (q->last != NONE)
		slot(q->last)->queue_next = s->number;
	else
		q->first = s->number;
	q->last = s->number;
}

static void
dequeue(struct queue *q, struct slot *s)
{
	if (s->queue_prev != NONE)
		slot(s->queue_prev)->queue_next = s->queue_next;
	else
		q->first = s->queue_next;
	if (s->queue_next != NONE)
		slot(s->queue_next)->queue_prev = s->queue_prev;
	else
		q->last = s->queue_prev;
}

static void
user_push(struct slot *s)
{
	struct user *u = s->user;

	if (u == NULL)
		return;
	s->user_prev = NONE;
	s->user_next = u->first;
	if (u->first != NONE)
		slot(u->first)->user_prev = s->number;
	u->first = s->number;
}

static void
user_pull(struct slot *s)
{
	if (s->user == NULL)
		return;
	if (s->user_prev != NONE)
		slot(s->user_prev)->user_next = s->user_next;
	else
		s->user->first = s->user_next;
	if (s->user_next != NONE)
		slot(s->user_next)->user_prev = s->user_prev;
}

/* A slot that nobody had; NULL when memory is short. */
static struct slot *
new_slot(void)
{
	struct slot *s;

	if (pool.gone != NONE) {
		s = slot(pool.gone);
		pool.gone = s->hash_next;
		return s;
	}
	if (pool.n == BLOCKS * BLOCK)
		return NULL;
	if (pool.n % BLOCK == 0) {
		s = calloc(BLOCK, sizeof(*s));
		if (s == NULL)
			return NULL;
		pool.blocks[pool.n / BLOCK] = s;
	}
	s = slot(pool.n);
	s->number = pool.n++;
	return s;
}

/* A slot for an address; on no queue and no list yet. */
static struct slot *
add_slot(uint32_t addr)
{
	uint32_t *head = &pool.by_addr[hash_addr(addr)];
	struct slot *s = new_slot();

	if (s == NULL)
		return NULL;
	*s = (struct slot){ .addr = addr, .number = s->number,
	    .hash_next = *head };
	*head = s->number;
	return s;
}

/* A slot that is on no queue and no list leaves for good. */
static void
leave(struct slot *s)
{
	uint32_t *link = &pool.by_addr[hash_addr(s->addr)];

	while (*link != s->number)
		link = &slot(*link)->hash_next;
	*link = s->hash_next;
	set_user(s, NULL);
	s->sid = 0;
	s->gone = true;
	s->hash_next = pool.gone;
	pool.gone = s->number;
}

static void
pull_free(struct slot *s)
{
	dequeue(&pool.released, s);
	user_pull(s);
}

static void
use(struct slot *s, const char *user, uint32_t sid)
{
	set_user(s, get_user(user));
	s->sid = sid;
	pool.used++;
	COUNT(ip_allocated);
}

/* A slot that is on no queue becomes the one released last. */
static void
put_back(struct slot *s, const char *user, uint64_t when)
{
	set_user(s, get_user(user));
	s->sid = 0;
	s->released = when;
	enqueue(&pool.released, s);
	user_push(s);
}

static void
set_stray(struct slot *s, bool stray)
{
	if (s->stray == stray)
		return;
	s->stray = stray;
	pool.stray_at = NONE;
	if (stray) {
		enqueue(&pool.strays, s);
		pool.nstrays++;
	} else {
		dequeue(&pool.strays, s);
		pool.nstrays--;
	}
}

/* What the file says of a slot now; false when it has left. */
static bool
review(struct slot *s)
{
	bool listed = is_listed(&pool.file, s->addr);

	if (s->sid != 0) {
		set_stray(s, !listed);
		return true;
	}
	if (!listed) {
		pull_free(s);
		leave(s);
	}
	return listed;
}

static void
sweep_fire(struct timer *t)
{
	for (int i = 0; i < SWEEP && pool.swept < pool.n; i++) {
		struct slot *s = slot(pool.swept++);

		if (!s->gone)
			(void)review(s);
	}
	if (pool.swept < pool.n)
		timer_arm(t, 0);
}

/*
 * The verbs of sessions
 */

/* The latest of this user's that is in the file. */
static struct slot *
choose_own(const char *user)
{
	struct user *u;
	struct slot *s;

	/* With its last slot a user leaves too. */
	while ((u = find_user(user)) != NULL && u->first != NONE) {
		s = slot(u->first);
		if (review(s)) {
			pull_free(s);
			return s;
		}
	}
	return NULL;
}

/*
 * The next of the file that has no slot.  After a new file many may have one:
 * if others can be had instead, not all of them are passed at once.
 */
static struct slot *
choose_new(void)
{
	const struct listed *l = &pool.file;
	int skips = SKIP;

	while (pool.next_range < l->norder) {
		const struct range *r = &l->order[pool.next_range];
		uint32_t addr = pool.next_addr != 0 ? pool.next_addr : r->first;

		if (addr == r->last) {
			pool.next_range++;
			pool.next_addr = 0;
		} else
			pool.next_addr = addr + 1;
		if (find_slot(addr) == NULL && is_listed(l, addr))
			return add_slot(addr);
		if (--skips <= 0 && pool.released.first != NONE)
			break;
	}
	return NULL;
}

static struct slot *
choose_released(void)
{
	struct slot *s;

	while (pool.released.first != NONE) {
		s = slot(pool.released.first);
		if (review(s)) {
			pull_free(s);
			return s;
		}
	}
	return NULL;
}

uint32_t
ippool_take(const char *user, uint32_t sid)
{
	struct slot *s;

	COUNT(call_assign_ip_address);
	if (pool.by_addr == NULL)
		return 0;
	s = choose_own(user);
	if (s == NULL)
		s = choose_new();
	if (s == NULL)
		s = choose_released();
	if (s == NULL)
		return 0;
	use(s, user, sid);
	return s->addr;
}

bool
ippool_claim(uint32_t addr, const char *user, uint32_t sid)
{
	struct slot *s = find_slot(addr);

	if (s != NULL && s->sid != 0)
		return s->sid == sid;
	if (!is_listed(&pool.file, addr))
		return true;
	if (s != NULL)
		pull_free(s);
	else
		s = add_slot(addr);
	if (s == NULL)
		return false;		/* no memory to keep it in */
	use(s, user, sid);
	return true;
}

void
ippool_release(uint32_t addr, const char *user)
{
	struct slot *s = find_slot(addr);
	uint64_t now = timer_now();

	COUNT(call_free_ip_address);
	if (s == NULL || s->sid == 0)
		return;
	pool.used--;
	COUNT(ip_freed);
	set_stray(s, false);
	if (is_listed(&pool.file, addr))
		put_back(s, user, now > 0 ? now : 1);
	else
		leave(s);
}

void
ippool_exclude(uint32_t addr)
{
	struct slot *s = find_slot(addr);

	if (is_listed(&pool.file, addr) && range_cut(&pool.file, addr) &&
	    s != NULL)
		(void)review(s);
}

uint32_t
ippool_editions(void)
{
	return pool.editions;
}

bool
ippool_listed(uint32_t addr)
{
	return is_listed(&pool.file, addr);
}

bool
ippool_contains(uint32_t addr)
{
	const struct slot *s;

	if (is_listed(&pool.file, addr))
		return true;
	s = find_slot(addr);
	return s != NULL && s->sid != 0;
}

uint32_t
ippool_size(void)
{
	return pool.file.size + pool.nstrays;
}

uint32_t
ippool_used(void)
{
	return pool.used;
}

static void
fill_row(struct ippool_row *row, const struct slot *s)
{
	row->addr = s->addr;
	row->sid = s->sid;
	row->released = s->released;
	row->last_user = s->user != NULL ? s->user->name : "";
}

/* Stray number n; goes on from the one shown before if it can. */
static bool
stray_row(uint32_t n, struct ippool_row *row)
{
	if (n >= pool.nstrays)
		return false;
	if (pool.stray_at == NONE || pool.stray_row > n) {
		pool.stray_at = pool.strays.first;
		pool.stray_row = 0;
	}
	for (; pool.stray_row < n; pool.stray_row++)
		pool.stray_at = slot(pool.stray_at)->queue_next;
	fill_row(row, slot(pool.stray_at));
	return true;
}

bool
ippool_row(size_t i, struct ippool_row *row)
{
	const struct slot *s;
	uint32_t addr;

	if (i >= pool.file.size)
		return stray_row((uint32_t)(i - pool.file.size), row);
	addr = row_address(&pool.file, (uint32_t)i);
	s = find_slot(addr);
	if (s != NULL)
		fill_row(row, s);
	else
		*row = (struct ippool_row){ .addr = addr, .last_user = "" };
	return true;
}

/* *at is one more than the slot told last; slots are fewer than NONE. */
bool
ippool_released(uint32_t *at, struct ippool_row *row)
{
	uint32_t i = NONE;

	if (pool.by_addr != NULL)
		i = *at == 0 ? pool.released.first :
		    slot(*at - 1)->queue_next;
	while (i != NONE && !is_listed(&pool.file, slot(i)->addr))
		i = slot(i)->queue_next;
	if (i == NONE)
		return false;
	fill_row(row, slot(i));
	*at = i + 1;
	return true;
}

void
ippool_remember(uint32_t addr, const char *user, uint64_t age)
{
	uint64_t now = timer_now();
	struct slot *s;

	if (find_slot(addr) != NULL || !is_listed(&pool.file, addr))
		return;
	s = add_slot(addr);
	if (s != NULL)
		put_back(s, user, age < now ? now - age : 1);
}

size_t
ippool_prefixes(size_t i, uint32_t *addr, uint8_t *len)
{
	if (i >= pool.file.nroutes)
		return 0;
	*addr = pool.file.routes[i].addr;
	*len = pool.file.routes[i].len;
	return i + 1;
}

/*
 * Reading the file
 */

static uint32_t
prefix_mask(unsigned int len)
{
	return len == 0 ? 0 : UINT32_MAX << (32 - len);
}

/* Whether a network gives this address out. */
static bool
usable(uint32_t addr, unsigned int len)
{
	return len == 32 || ((addr & 255) != 0 && (addr & 255) != 255);
}

/* How many addresses of a network are given out. */
static uint32_t
prefix_usable(uint32_t addr, unsigned int len)
{
	uint32_t n = 0;

	if (len <= 24)
		return 254u << (24 - len);	/* len is never under 2 */
	for (uint32_t i = 0; i < 1u << (32 - len); i++)
		n += usable(addr + i, len);
	return n;
}

/* Unicast, and not "this network" or loopback (RFC 1122 3.2.1.3). */
static bool
prefix_unicast(uint32_t addr, unsigned int len)
{
	uint32_t first = addr >> 24, last = (addr | ~prefix_mask(len)) >> 24;

	return first > 0 && last < 224 && !(first <= 127 && last >= 127);
}

/*
 * "NETWORK", "ADDRESS", or either after "A.B.C.D:".  False with a fault, or
 * without one when the line is for another server.
 */
static bool
parse_line(char *line, unsigned int number, uint32_t bind_address,
    struct prefix *p, struct config_report *r)
{
	char *text = line, *colon = strchr(line, ':');
	uint32_t server = bind_address;

	if (colon != NULL) {
		*colon = '\0';
		text = colon + 1;
		if (!config_ipv4(line, &server)) {
			config_fault(r, number,
			    "what is before the colon is not an address");
			return false;
		}
	}
	p->line = number;
	if (!config_prefix(text, &p->addr, &p->len)) {
		config_fault(r, number, "neither an address nor a network");
		return false;
	}
	if ((p->addr & ~prefix_mask(p->len)) != 0) {
		config_warn(r, number, "bits are set beyond the length /%d; "
		    "taken without them", p->len);
		p->addr &= prefix_mask(p->len);
	}
	if (!prefix_unicast(p->addr, p->len)) {
		config_fault(r, number,
		    "these addresses cannot be given to hosts");
		return false;
	}
	if (p->len == 32 && p->addr == bind_address) {
		config_fault(r, number, "this is bind_address");
		return false;
	}
	return server == bind_address;
}

static bool
add_prefix(struct listed *l, const struct prefix *new)
{
	struct prefix *more;

	/* Room for 1, 2, 4, 8...: grows when the number is a power of two. */
	if ((l->nprefixes & (l->nprefixes - 1)) == 0) {
		more = reallocarray(l->prefixes,
		    l->nprefixes == 0 ? 1 : l->nprefixes * 2, sizeof(*more));
		if (more == NULL)
			return false;
		l->prefixes = more;
	}
	l->prefixes[l->nprefixes++] = *new;
	return true;
}

/* First pass: the prefixes, and how much of each is given out. */
static bool
read_prefixes(struct listed *l, char *text, size_t len,
    struct config_report *r)
{
	struct config_lines lines = { .next = text, .end = text + len };
	uint32_t room = IPPOOL_MAX;
	struct prefix new;
	char *line;

	while ((line = config_next_line(&lines, r)) != NULL) {
		if (!parse_line(line, lines.number, l->bind_address, &new,
		    r))
			continue;
		new.give = prefix_usable(new.addr, new.len);
		/* More than anybody can use is no fault: they are wasted. */
		if (new.give > room) {
			config_warn(r, lines.number, "the pool has %d "
			    "addresses, no more of these are given out",
			    IPPOOL_MAX);
			new.give = room;
		}
		if (!add_prefix(l, &new))
			return false;
		room -= new.give;
	}
	return true;
}

/* How many ranges a prefix may come to: bind_address may split one. */
static size_t
ranges_of(const struct prefix *x)
{
	return x->give / 254 + 2;
}

static void
add_range(struct listed *l, uint32_t first, uint32_t last, size_t prefix)
{
	if (first <= last)
		l->order[l->norder++] = (struct range){ .first = first,
		    .last = last, .prefix = (uint32_t)prefix };
}

/* The ranges of one prefix: usable(), block by block of 256. */
static void
expand(struct listed *l, size_t i, struct config_report *r)
{
	const struct prefix *x = &l->prefixes[i];
	uint32_t end = x->addr | ~prefix_mask(x->len), left = x->give;
	uint32_t first, last;

	for (uint32_t addr = x->addr; left > 0; addr = (addr | 255) + 1) {
		first = usable(addr, x->len) ? addr : addr + 1;
		last = (addr | 255) < end ? addr | 255 : end;
		last = usable(last, x->len) ? last : last - 1;
		if (last - first >= left)
			last = first + left - 1;
		left -= last - first + 1;
		if (l->bind_address < first || l->bind_address > last) {
			add_range(l, first, last, i);
			continue;
		}
		config_warn(r, x->line, "bind_address is among these and is "
		    "not given out");
		add_range(l, first, l->bind_address - 1, i);
		add_range(l, l->bind_address + 1, last, i);
	}
}

static int
compare_ranges(const void *va, const void *vb)
{
	const struct range *a = va, *b = vb;

	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	if (a->last != b->last)
		return a->last > b->last ? -1 : 1;
	return a->prefix < b->prefix ? -1 : a->prefix > b->prefix;
}

/* Second pass: the ranges as in the file, and a sorted copy. */
static bool
make_ranges(struct listed *l, struct config_report *r)
{
	size_t room = 1;

	for (size_t i = 0; i < l->nprefixes; i++)
		room += ranges_of(&l->prefixes[i]);
	l->order = calloc(room, sizeof(*l->order));
	l->ranges = calloc(room, sizeof(*l->ranges));
	l->room = room;
	if (l->order == NULL || l->ranges == NULL)
		return false;
	for (size_t i = 0; i < l->nprefixes; i++)
		expand(l, i, r);
	memcpy(l->ranges, l->order, l->norder * sizeof(*l->order));
	l->nranges = l->norder;
	qsort(l->ranges, l->nranges, sizeof(*l->ranges), compare_ranges);
	return true;
}

/* While ranges that lie in one another are gone through, by their start. */
struct nest {
	struct range *r;
	uint32_t owner;			/* the first prefix of those around */
	uint32_t apart;			/* addresses in no range within */
};

/* Its addresses that are not in a range within belong to the owner. */
static void
nest_end(const struct nest *n, uint32_t *owned)
{
	owned[n->owner] += n->apart;
}

/*
 * How many addresses each prefix was the first to list.  Ranges of prefixes
 * are in one another or apart, so those around one are a stack; a prefix has
 * at most 32 around it, and the same one twice counts as around.
 */
static bool
count_owned(const struct listed *l, uint32_t *owned)
{
	struct nest *stack = calloc(l->nranges + 1, sizeof(*stack));
	size_t depth = 0;

	if (stack == NULL)
		return false;
	for (size_t i = 0; i < l->nranges; i++) {
		struct range *r = &l->ranges[i];
		struct nest *n;

		while (depth > 0 && stack[depth - 1].r->last < r->first)
			nest_end(&stack[--depth], owned);
		n = &stack[depth++];
		*n = (struct nest){ r, r->prefix, r->last - r->first + 1 };
		if (depth == 1)
			continue;
		n[-1].apart -= n->apart < n[-1].apart ? n->apart : n[-1].apart;
		if (n[-1].owner < n->owner)
			n->owner = n[-1].owner;
	}
	while (depth > 0)
		nest_end(&stack[--depth], owned);
	free(stack);
	return true;
}

/* Says which lines list what another one has listed before. */
static bool
warn_of_doubles(const struct listed *l, struct config_report *r)
{
	uint32_t *owned = calloc(l->nprefixes + 1, sizeof(*owned));
	uint32_t *all = calloc(l->nprefixes + 1, sizeof(*all));
	bool ok = owned != NULL && all != NULL && count_owned(l, owned);

	for (size_t i = 0; ok && i < l->norder; i++)
		all[l->order[i].prefix] +=
		    l->order[i].last - l->order[i].first + 1;
	for (size_t i = 0; ok && i < l->nprefixes; i++)
		if (all[i] > owned[i])
			config_warn(r, l->prefixes[i].line, "%u of these "
			    "addresses %s listed already", all[i] - owned[i],
			    all[i] - owned[i] == 1 ? "is" : "are");
	free(owned);
	free(all);
	return ok;
}

/* Makes one range of those that overlap. */
static void
merge_ranges(struct listed *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->nranges; i++) {
		struct range *r = &l->ranges[i];

		if (n == 0 || l->ranges[n - 1].last < r->first)
			l->ranges[n++] = *r;
		else if (l->ranges[n - 1].last < r->last)
			l->ranges[n - 1].last = r->last;
	}
	l->nranges = n;
	number_ranges(l, 0);
}

static int
compare_prefixes(const void *va, const void *vb)
{
	const struct prefix *a = va, *b = vb;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return a->len - b->len;
}

static bool
make_routes(struct listed *l)
{
	l->routes = calloc(l->nprefixes + 1, sizeof(*l->routes));
	if (l->routes == NULL)
		return false;
	if (l->nprefixes == 0)
		return true;
	memcpy(l->routes, l->prefixes, l->nprefixes * sizeof(*l->routes));
	qsort(l->routes, l->nprefixes, sizeof(*l->routes), compare_prefixes);
	for (size_t i = 0; i < l->nprefixes; i++)
		if (l->nroutes == 0 || compare_prefixes(
		    &l->routes[l->nroutes - 1], &l->routes[i]) != 0)
			l->routes[l->nroutes++] = l->routes[i];
	return true;
}

/* Whether a file asks for just what there is. */
static bool
same_file(const struct listed *a, const struct listed *b)
{
	if (a->nprefixes != b->nprefixes ||
	    a->bind_address != b->bind_address || b->order == NULL)
		return false;
	for (size_t i = 0; i < a->nprefixes; i++)
		if (compare_prefixes(&a->prefixes[i], &b->prefixes[i]) != 0)
			return false;
	return true;
}

static void
free_listed(struct listed *l)
{
	free(l->prefixes);
	free(l->routes);
	free(l->order);
	free(l->ranges);
	memset(l, 0, sizeof(*l));
}

/* What slots need, once. */
static bool
make_tables(void)
{
	if (pool.by_addr != NULL)
		return true;
	pool.by_addr = malloc(HEADS * sizeof(*pool.by_addr));
	pool.by_user = calloc(HEADS, sizeof(*pool.by_user));
	if (pool.by_addr == NULL || pool.by_user == NULL) {
		free(pool.by_addr);
		free(pool.by_user);
		pool.by_addr = NULL;
		pool.by_user = NULL;
		return false;
	}
	memset(pool.by_addr, 0xff, HEADS * sizeof(*pool.by_addr));
	pool.released = pool.strays = (struct queue){ NONE, NONE };
	pool.gone = pool.stray_at = NONE;
	pool.sweep.fire = sweep_fire;
	/* A short read leaves a poorer seed, which still works. */
	(void)!getrandom(&pool.seed, sizeof(pool.seed), GRND_NONBLOCK);
	return true;
}

static void
take_over(const struct listed *new)
{
	free_listed(&pool.file);
	pool.file = *new;
	pool.editions++;
	pool.next_range = 0;
	pool.next_addr = pool.swept = 0;
	if (pool.n > 0)
		timer_arm(&pool.sweep, 0);
}

int
ippool_parse(const char *file, char *text, size_t len, uint32_t bind_address,
    config_fault_fn *fault, void *arg)
{
	struct config_report r = { .file = file, .fn = fault, .arg = arg };
	struct listed new = { .bind_address = bind_address };

	if (!read_prefixes(&new, text, len, &r))
		goto nomem;
	if (same_file(&new, &pool.file)) {
		free_listed(&new);
		return r.faults;
	}
	if (!make_tables() || !make_ranges(&new, &r) || !make_routes(&new) ||
	    !warn_of_doubles(&new, &r))
		goto nomem;
	merge_ranges(&new);
	take_over(&new);
	return r.faults;
nomem:
	free_listed(&new);
	config_fault(&r, 0, "not enough memory; the pool stays as it was");
	return -1;
}

int
ippool_load(const char *path, uint32_t bind_address, config_fault_fn *fault,
    void *arg)
{
	size_t len;
	char *text = config_read(path, FILE_MAX, &len, fault, arg);
	int faults;

	if (text == NULL)
		return -1;
	faults = ippool_parse(path, text, len, bind_address, fault, arg);
	free(text);
	return faults;
}

void
ippool_clear(void)
{
	for (size_t i = 0; pool.by_user != NULL && i < HEADS; i++)
		for (struct user *u = pool.by_user[i], *next; u != NULL;
		    u = next) {
			next = u->next;
			free(u);
		}
	for (size_t i = 0; i * BLOCK < pool.n; i++)
		free(pool.blocks[i]);
	free(pool.by_addr);
	free(pool.by_user);
	free_listed(&pool.file);
	timer_disarm(&pool.sweep);
	memset(&pool, 0, sizeof(pool));
}
