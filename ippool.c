/*
 * ippool.c - the addresses that sessions are given
 *
 * A slot per address.  Slots are found by address through one hash, and by
 * the user who had them last through another, whose entries (one a user) each
 * head a list of that user's free slots, the latest first.  Besides, every
 * free slot is on one of two queues: never used, in the order of the file,
 * and released, the oldest first.  So a choice is the head of a list: the
 * user's own, else never used, else released; nothing is searched.
 *
 * Reading the file builds a new pool beside the old one and then tells it
 * what the old one knew, in the order in which it happened.  What is in use
 * but no longer listed is taken along, and leaves the pool on its release.
 * A file that says what it said before changes nothing and costs nothing.
 *
 * Owns:     `pool`, all slots, and its copies of user names.
 * Calls:    config (lines, prefixes), counters, timer_now().
 * Lifetime: from ippool_load() to ippool_clear(); slots move at a load.
 */
#include "ippool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "counters.h"
#include "timer.h"

#define FILE_MAX	(32 * 1024 * 1024)	/* IPPOOL_MAX lines and comments */
#define NONE		UINT32_MAX		/* no slot */

struct user {
	struct user *next;		/* same hash */
	uint32_t hash;
	uint32_t slots;			/* that name this user */
	uint32_t first;			/* free slot, the latest */
	char name[];
};

/* A slot is on a queue, and on its user's list if it has one, while free. */
struct slot {
	uint32_t addr;
	uint32_t sid;			/* 0: free */
	uint64_t released;		/* ms; 0: never used */
	struct user *user;		/* NULL: nobody is remembered */
	uint32_t hash_next;
	uint32_t queue_next, queue_prev;
	uint32_t user_next, user_prev;
	bool listed;			/* in the file as it is now */
	bool gone;			/* left the pool */
};

struct queue { uint32_t first, last; };

struct prefix {
	uint32_t addr;
	uint8_t len;
	unsigned int line;
};

struct pool {
	struct slot *slots;
	uint32_t n, room;
	uint32_t size, used;		/* without what is gone */
	struct queue never, released;
	uint32_t *by_addr;		/* heads, 1 << bits of them */
	struct user **by_user;
	unsigned int bits;
	uint64_t seed;
	struct prefix *prefixes;	/* as in the file */
	size_t nprefixes;
	uint32_t bind_address;		/* that the file was read for */
	struct prefix *routes;		/* sorted, none twice */
	size_t nroutes;
	uint32_t *rows;			/* slots by address */
	uint32_t nrows;
	bool rows_stale;		/* some of them are gone */
};

static struct pool pool;

/*
 * Hashes.  Users choose their names, so theirs is seeded.
 */

static uint32_t
mix(const struct pool *p, uint64_t h)
{
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return (uint32_t)h & ((1u << p->bits) - 1);
}

static uint32_t
hash_addr(const struct pool *p, uint32_t addr)
{
	return mix(p, addr ^ p->seed);
}

static uint32_t
hash_user(const struct pool *p, const char *name)
{
	uint64_t h = p->seed;

	for (; *name != '\0'; name++) {
		h = (h ^ (unsigned char)*name) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return mix(p, h);
}

static struct slot *
find_slot(const struct pool *p, uint32_t addr)
{
	if (p->n == 0)
		return NULL;
	for (uint32_t i = p->by_addr[hash_addr(p, addr)]; i != NONE;
	    i = p->slots[i].hash_next)
		if (p->slots[i].addr == addr)
			return &p->slots[i];
	return NULL;
}

static struct user *
find_user(const struct pool *p, const char *name)
{
	uint32_t hash = hash_user(p, name);

	for (struct user *u = p->by_user[hash]; u != NULL; u = u->next)
		if (strcmp(u->name, name) == 0)
			return u;
	return NULL;
}

/* Finds or makes; NULL when memory is short: then nobody is remembered. */
static struct user *
get_user(struct pool *p, const char *name)
{
	struct user *u;
	size_t len;

	if (name == NULL || *name == '\0')
		return NULL;
	u = find_user(p, name);
	if (u != NULL)
		return u;
	len = strlen(name) + 1;
	u = malloc(sizeof(*u) + len);
	if (u == NULL)
		return NULL;
	u->hash = hash_user(p, name);
	u->slots = 0;
	u->first = NONE;
	memcpy(u->name, name, len);
	u->next = p->by_user[u->hash];
	p->by_user[u->hash] = u;
	return u;
}

/* Makes u (or nobody) the one that slot s remembers. */
static void
set_user(struct pool *p, struct slot *s, struct user *u)
{
	struct user *old = s->user;
	struct user **link;

	if (u != NULL)
		u->slots++;
	s->user = u;
	if (old == NULL || --old->slots > 0)
		return;
	for (link = &p->by_user[old->hash]; *link != old;)
		link = &(*link)->next;
	*link = old->next;
	free(old);
}

/*
 * Queues and lists
 */

static struct queue *
queue_of(struct pool *p, const struct slot *s)
{
	return s->released == 0 ? &p->never : &p->released;
}

static void
enqueue(struct pool *p, struct slot *s)
{
	struct queue *q = queue_of(p, s);
	uint32_t i = (uint32_t)(s - p->slots);

	s->queue_prev = q->last;
	s->queue_next = NONE;
	if (q->last != NONE)
		p->slots[q->last].queue_next = i;
	else
		q->first = i;
	q->last = i;
}

static void
dequeue(struct pool *p, struct slot *s)
{
	struct queue *q = queue_of(p, s);

	if (s->queue_prev != NONE)
		p->slots[s->queue_prev].queue_next = s->queue_next;
	else
		q->first = s->queue_next;
	if (s->queue_next != NONE)
		p->slots[s->queue_next].queue_prev = s->queue_prev;
	else
		q->last = s->queue_prev;
}

static void
user_push(struct pool *p, struct slot *s)
{
	struct user *u = s->user;
	uint32_t i = (uint32_t)(s - p->slots);

	if (u == NULL)
		return;
	s->user_prev = NONE;
	s->user_next = u->first;
	if (u->first != NONE)
		p->slots[u->first].user_prev = i;
	u->first = i;
}

static void
user_pull(struct pool *p, struct slot *s)
{
	if (s->user == NULL)
		return;
	if (s->user_prev != NONE)
		p->slots[s->user_prev].user_next = s->user_next;
	else
		s->user->first = s->user_next;
	if (s->user_next != NONE)
		p->slots[s->user_next].user_prev = s->user_prev;
}

/* A free slot becomes used. */
static void
use(struct pool *p, struct slot *s, const char *user, uint32_t sid)
{
	dequeue(p, s);
	user_pull(p, s);
	set_user(p, s, get_user(p, user));
	s->sid = sid;
	p->used++;
}

/* A used slot, or one never used, becomes the one released last. */
static void
put_back(struct pool *p, struct slot *s, const char *user, uint64_t when)
{
	set_user(p, s, get_user(p, user));
	s->sid = 0;
	s->released = when;
	enqueue(p, s);
	user_push(p, s);
}

/* A slot that is on no queue and no list leaves for good. */
static void
leave(struct pool *p, struct slot *s)
{
	uint32_t i = (uint32_t)(s - p->slots);
	uint32_t *link = &p->by_addr[hash_addr(p, s->addr)];

	while (*link != i)
		link = &p->slots[*link].hash_next;
	*link = s->hash_next;
	set_user(p, s, NULL);
	s->sid = 0;
	s->gone = true;
	p->size--;
	p->rows_stale = true;
}

/*
 * The verbs of sessions
 */

uint32_t
ippool_take(const char *user, uint32_t sid)
{
	struct user *u = NULL;
	struct slot *s;
	uint32_t i = NONE;

	COUNT(call_assign_ip_address);
	if (pool.n > 0 && user != NULL && *user != '\0')
		u = find_user(&pool, user);
	if (u != NULL)
		i = u->first;
	if (i == NONE && pool.n > 0)
		i = pool.never.first;
	if (i == NONE && pool.n > 0)
		i = pool.released.first;
	if (i == NONE)
		return 0;
	s = &pool.slots[i];
	use(&pool, s, user, sid);
	COUNT(ip_allocated);
	return s->addr;
}

bool
ippool_claim(uint32_t addr, const char *user, uint32_t sid)
{
	struct slot *s = find_slot(&pool, addr);

	if (s == NULL)
		return true;
	if (s->sid != 0)
		return s->sid == sid;
	use(&pool, s, user, sid);
	COUNT(ip_allocated);
	return true;
}

void
ippool_release(uint32_t addr, const char *user)
{
	struct slot *s = find_slot(&pool, addr);
	uint64_t now = timer_now();

	COUNT(call_free_ip_address);
	if (s == NULL || s->sid == 0)
		return;
	pool.used--;
	COUNT(ip_freed);
	if (s->listed)
		put_back(&pool, s, user, now > 0 ? now : 1);
	else
		leave(&pool, s);
}

void
ippool_exclude(uint32_t addr)
{
	struct slot *s = find_slot(&pool, addr);

	if (s == NULL)
		return;
	s->listed = false;
	if (s->sid != 0)
		return;			/* it leaves on its release */
	dequeue(&pool, s);
	user_pull(&pool, s);
	leave(&pool, s);
}

bool
ippool_contains(uint32_t addr)
{
	return find_slot(&pool, addr) != NULL;
}

bool
ippool_listed(uint32_t addr)
{
	const struct slot *s = find_slot(&pool, addr);

	return s != NULL && s->listed;
}

uint32_t
ippool_size(void)
{
	return pool.size;
}

uint32_t
ippool_used(void)
{
	return pool.used;
}

/* Drops from rows[] what has left since it was last looked at. */
static void
refresh_rows(struct pool *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->nrows; i++)
		if (!p->slots[p->rows[i]].gone)
			p->rows[n++] = p->rows[i];
	p->nrows = n;
	p->rows_stale = false;
}

static void
fill_row(struct ippool_row *row, const struct slot *s)
{
	row->addr = s->addr;
	row->sid = s->sid;
	row->released = s->released;
	row->last_user = s->user != NULL ? s->user->name : "";
}

bool
ippool_row(size_t i, struct ippool_row *row)
{
	if (pool.rows_stale)
		refresh_rows(&pool);
	if (i >= pool.nrows)
		return false;
	fill_row(row, &pool.slots[pool.rows[i]]);
	return true;
}

/* *at is one more than the slot told last; slots are fewer than NONE. */
bool
ippool_released(uint32_t *at, struct ippool_row *row)
{
	uint32_t i = NONE;

	if (pool.n > 0)
		i = *at == 0 ? pool.released.first :
		    pool.slots[*at - 1].queue_next;
	if (i == NONE)
		return false;
	fill_row(row, &pool.slots[i]);
	*at = i + 1;
	return true;
}

void
ippool_remember(uint32_t addr, const char *user, uint64_t released)
{
	struct slot *s = find_slot(&pool, addr);

	if (s == NULL || s->sid != 0 || s->released != 0 || !s->listed)
		return;
	dequeue(&pool, s);
	put_back(&pool, s, user, released > 0 ? released : 1);
}

size_t
ippool_prefixes(size_t i, uint32_t *addr, uint8_t *len)
{
	if (i >= pool.nroutes)
		return 0;
	*addr = pool.routes[i].addr;
	*len = pool.routes[i].len;
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
add_prefix(struct pool *p, const struct prefix *new)
{
	struct prefix *more;

	/* Room for 1, 2, 4, 8...: grows when the number is a power of two. */
	if ((p->nprefixes & (p->nprefixes - 1)) == 0) {
		more = reallocarray(p->prefixes,
		    p->nprefixes == 0 ? 1 : p->nprefixes * 2, sizeof(*more));
		if (more == NULL)
			return false;
		p->prefixes = more;
	}
	p->prefixes[p->nprefixes++] = *new;
	return true;
}

/* First pass: the prefixes, and in p->room how many slots they need. */
static bool
read_prefixes(struct pool *p, char *text, size_t len,
    struct config_report *r)
{
	struct config_lines lines = { .next = text, .end = text + len };
	struct prefix new;
	char *line;

	while ((line = config_next_line(&lines, r)) != NULL) {
		uint32_t n;

		if (!parse_line(line, lines.number, p->bind_address, &new,
		    r))
			continue;
		n = prefix_usable(new.addr, new.len);
		/* More than anybody can use is no fault: they are wasted. */
		if (n > IPPOOL_MAX - p->room) {
			config_warn(r, lines.number, "the pool has %d "
			    "addresses, no more of these are given out",
			    IPPOOL_MAX);
			n = IPPOOL_MAX - p->room;
		}
		if (!add_prefix(p, &new))
			return false;
		p->room += n;
	}
	return true;
}

static bool
make_tables(struct pool *p)
{
	size_t heads;

	while (1u << p->bits < p->room)
		p->bits++;
	heads = (size_t)1 << p->bits;
	p->never = p->released = (struct queue){ NONE, NONE };
	p->slots = calloc((size_t)p->room + 1, sizeof(*p->slots));
	p->rows = calloc((size_t)p->room + 1, sizeof(*p->rows));
	p->by_addr = malloc(heads * sizeof(*p->by_addr));
	p->by_user = calloc(heads, sizeof(*p->by_user));
	p->routes = calloc(p->nprefixes + 1, sizeof(*p->routes));
	if (p->by_addr != NULL)
		memset(p->by_addr, 0xff, heads * sizeof(*p->by_addr));
	return p->slots != NULL && p->rows != NULL && p->by_addr != NULL &&
	    p->by_user != NULL && p->routes != NULL;
}

/* A new slot, never used. */
static struct slot *
add_slot(struct pool *p, uint32_t addr, bool listed)
{
	struct slot *s = &p->slots[p->n];
	uint32_t *head = &p->by_addr[hash_addr(p, addr)];

	s->addr = addr;
	s->listed = listed;
	s->hash_next = *head;
	*head = p->n;
	p->rows[p->nrows++] = p->n++;
	p->size++;
	enqueue(p, s);
	return s;
}

/* The slots of one prefix; how many were there already. */
static uint32_t
expand(struct pool *p, const struct prefix *x, struct config_report *r)
{
	uint32_t addr = x->addr, last = addr | ~prefix_mask(x->len);
	uint32_t twice = 0;

	for (;; addr++) {
		if (p->n == IPPOOL_MAX)
			return twice;
		if (!usable(addr, x->len))
			;
		else if (addr == p->bind_address)
			config_warn(r, x->line, "bind_address is among these "
			    "and is not given out");
		else if (find_slot(p, addr) != NULL)
			twice++;
		else
			add_slot(p, addr, true);
		if (addr == last)
			return twice;
	}
}

/* Second pass: the slots. */
static void
expand_all(struct pool *p, struct config_report *r)
{
	for (size_t i = 0; i < p->nprefixes; i++) {
		uint32_t twice = expand(p, &p->prefixes[i], r);

		if (twice > 0)
			config_warn(r, p->prefixes[i].line, "%u of these "
			    "addresses %s listed already", twice,
			    twice == 1 ? "is" : "are");
	}
}

static int
compare_prefixes(const void *va, const void *vb)
{
	const struct prefix *a = va, *b = vb;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return a->len - b->len;
}

static void
make_routes(struct pool *p)
{
	if (p->nprefixes == 0)
		return;
	memcpy(p->routes, p->prefixes, p->nprefixes * sizeof(*p->routes));
	qsort(p->routes, p->nprefixes, sizeof(*p->routes), compare_prefixes);
	for (size_t i = 0; i < p->nprefixes; i++)
		if (p->nroutes == 0 || compare_prefixes(
		    &p->routes[p->nroutes - 1], &p->routes[i]) != 0)
			p->routes[p->nroutes++] = p->routes[i];
}

/* Whether a file asks for just what there is. */
static bool
same_file(const struct pool *a, const struct pool *b)
{
	if (a->nprefixes != b->nprefixes ||
	    a->bind_address != b->bind_address || b->slots == NULL)
		return false;
	for (size_t i = 0; i < a->nprefixes; i++)
		if (compare_prefixes(&a->prefixes[i], &b->prefixes[i]) != 0)
			return false;
	return true;
}

/* Tells the new pool what the old one knew. */
static void
carry_over(struct pool *p, const struct pool *old)
{
	for (uint32_t i = old->n > 0 ? old->released.first : NONE; i != NONE;
	    i = old->slots[i].queue_next) {
		const struct slot *was = &old->slots[i];
		struct slot *s = find_slot(p, was->addr);

		if (s == NULL)
			continue;
		dequeue(p, s);
		put_back(p, s, was->user != NULL ? was->user->name : NULL,
		    was->released);
	}
	for (uint32_t i = 0; i < old->n; i++) {
		const struct slot *was = &old->slots[i];
		struct slot *s;

		if (was->sid == 0)
			continue;
		s = find_slot(p, was->addr);
		if (s == NULL)
			s = add_slot(p, was->addr, false);
		use(p, s, was->user != NULL ? was->user->name : NULL,
		    was->sid);
		s->released = was->released;
	}
}

/* qsort() has no argument for the pool that the numbers belong to. */
static const struct slot *sorted_slots;

static int
compare_rows(const void *va, const void *vb)
{
	uint32_t a = sorted_slots[*(const uint32_t *)va].addr;
	uint32_t b = sorted_slots[*(const uint32_t *)vb].addr;

	return a < b ? -1 : a > b;
}

static void
sort_rows(struct pool *p)
{
	bool sorted = true;

	for (uint32_t i = 1; i < p->nrows && sorted; i++)
		sorted = p->slots[p->rows[i - 1]].addr <
		    p->slots[p->rows[i]].addr;
	if (sorted)
		return;
	sorted_slots = p->slots;
	qsort(p->rows, p->nrows, sizeof(*p->rows), compare_rows);
}

static void
free_pool(struct pool *p)
{
	for (size_t i = 0; p->by_user != NULL && i < (size_t)1 << p->bits; i++)
		for (struct user *u = p->by_user[i], *next; u != NULL;
		    u = next) {
			next = u->next;
			free(u);
		}
	free(p->slots);
	free(p->rows);
	free(p->by_addr);
	free(p->by_user);
	free(p->prefixes);
	free(p->routes);
	memset(p, 0, sizeof(*p));
}

int
ippool_parse(const char *file, char *text, size_t len, uint32_t bind_address,
    config_fault_fn *fault, void *arg)
{
	struct config_report r = { .file = file, .fn = fault, .arg = arg };
	struct pool new = { .bind_address = bind_address };

	/* A short read leaves a poorer seed, which still works. */
	(void)!getrandom(&new.seed, sizeof(new.seed), GRND_NONBLOCK);
	if (!read_prefixes(&new, text, len, &r))
		goto nomem;
	if (same_file(&new, &pool)) {
		free_pool(&new);
		return r.faults;
	}
	new.room += pool.used;
	if (!make_tables(&new))
		goto nomem;
	expand_all(&new, &r);
	make_routes(&new);
	carry_over(&new, &pool);
	sort_rows(&new);
	free_pool(&pool);
	pool = new;
	return r.faults;
nomem:
	free_pool(&new);
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
	free_pool(&pool);
}
