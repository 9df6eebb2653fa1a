/*
 * accounting.c - Start, Interim-Update and Stop records, and their queue
 *
 * A record is encoded when its event happens, all but Acct-Delay-Time, and
 * from then on needs nothing of the session.  The records of one session are
 * a stream, sent one after the other: a server that sees a Stop before its
 * Start opens a session that never ends.  A stream waits with at most three
 * records, since an Interim-Update that has not left is worth nothing once a
 * later one or the Stop is there.
 *
 * radius.c tries a record four times.  When that was in vain the stream goes
 * to the end of the line; and when nobody else was answered meanwhile either,
 * no server lives: only a few records are risked then, all the time, so that
 * a server's return is seen within seconds, and with each answer one more may
 * be on its way, so that the return is not met with all of them at once.
 *
 * The queue is bounded by radius_accounting_queue.  A full one loses the
 * oldest Interim-Update first, then the oldest Start (the Stop says all that
 * it said), then what wants in.  A record that servers leave unanswered
 * again and again while they answer others is lost too.
 *
 * Owns:     streams and records, until answered or lost (acct_dropped).
 * Calls:    radius, radius_attr.
 * Lifetime: a stream lives while it has records; acct_exit() ends all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting.h"
#include "counters.h"
#include "log.h"
#include "plugins.h"
#include "radius.h"
#include "radius_attr.h"

#define WINDOW_DOWN	4	/* records risked while nobody answers */
#define WINDOW_START	64
#define WINDOW_MAX	16384
#define RETRY		1000	/* ms, when radius.c takes no more */
#define ROUNDS		8	/* in vain, while others are answered */
#define SAY_EVERY	60000	/* ms, that no server answers */

/* In the order in which a stream sends them. */
enum kind { START, INTERIM, STOP, KINDS };

static const struct {
	enum acct_status status;
	const char *state;		/* in `show radius` */
} kinds[KINDS] = {
	[START] = { ACCT_START, "START" },
	[INTERIM] = { ACCT_INTERIM, "START" },
	[STOP] = { ACCT_STOP, "STOP" }
};

struct record {
	struct radius_record rr;
	struct stream *stream;
	enum kind kind;
	uint8_t rounds;			/* in vain, while others got answers */
	uint64_t sent;			/* ms */
	struct record *older, *newer;	/* waiting ones of the same kind */
	uint64_t number;		/* in a cluster */
	uint32_t walk;			/* of a copy */
	bool untold, told;		/* to the slaves */
	struct record *prev, *next;	/* of the untold ones */
	uint8_t attrs[];
};

struct stream {
	char id[sizeof(((struct session *)0)->acct_id)];
	struct stream *chain;		/* of the hash table */
	struct record *waiting[KINDS];
	struct record *flying;
	bool ready;
	struct stream *prev, *next;	/* of the ready ones */
};

static struct stream **table;
static size_t table_size, streams;	/* the size is a power of two */

static struct stream *ready_first, *ready_last;
static struct { struct record *oldest, *newest; } waiting[KINDS];
static uint32_t total, flying;

static uint32_t window = WINDOW_START;
static bool down;
static uint64_t last_answer, next_say;
static struct timer pump_timer;
static uint32_t names;

/* In a cluster: on a slave nothing leaves; on the master slaves follow. */
static bool held, following;
static uint64_t numbers;
static struct record *untold_first, *untold_last;
static uint32_t untold;
static struct acct_gone *gone;		/* a queue, from gone_first on */
static size_t gone_first, gone_n, gone_room;

static void pump(void);

/* ---- streams ---- */

/* FNV-1a: the names are our own, nobody can make them collide. */
static size_t
bucket_of(const char *id)
{
	uint32_t h = 2166136261u;

	while (*id != '\0')
		h = (h ^ (uint8_t)*id++) * 16777619u;
	return h & (table_size - 1);
}

static bool
table_grow(void)
{
	size_t size = table_size == 0 ? 256 : 2 * table_size, old = table_size;
	struct stream **before = table, **after, *s;
	size_t i;

	after = calloc(size, sizeof(after[0]));
	if (after == NULL)
		return table_size != 0;
	table = after;
	table_size = size;
	for (i = 0; i < old; i++) {
		while ((s = before[i]) != NULL) {
			size_t b = bucket_of(s->id);

			before[i] = s->chain;
			s->chain = table[b];
			table[b] = s;
		}
	}
	free(before);
	return true;
}

static struct stream *
stream_get(const char *id)
{
	struct stream *s;
	size_t b;

	if (streams >= table_size && !table_grow())
		return NULL;
	b = bucket_of(id);
	for (s = table[b]; s != NULL; s = s->chain) {
		if (strcmp(s->id, id) == 0)
			return s;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	snprintf(s->id, sizeof(s->id), "%s", id);
	s->chain = table[b];
	table[b] = s;
	streams++;
	return s;
}

static struct record *
stream_head(const struct stream *s)
{
	int k;

	for (k = 0; k < KINDS; k++) {
		if (s->waiting[k] != NULL)
			return s->waiting[k];
	}
	return NULL;
}

static void
ready_remove(struct stream *s)
{
	if (!s->ready)
		return;
	*(s->prev != NULL ? &s->prev->next : &ready_first) = s->next;
	*(s->next != NULL ? &s->next->prev : &ready_last) = s->prev;
	s->ready = false;
}

static void
ready_add(struct stream *s)
{
	if (s->ready)
		return;
	s->prev = ready_last;
	s->next = NULL;
	*(ready_last != NULL ? &ready_last->next : &ready_first) = s;
	ready_last = s;
	s->ready = true;
}

/* In or out of the line, or out of the world, as its records ask. */
static void
stream_settle(struct stream *s)
{
	struct stream **pp;

	if (s->flying == NULL && stream_head(s) != NULL) {
		ready_add(s);
		return;
	}
	ready_remove(s);
	if (s->flying != NULL)
		return;
	for (pp = &table[bucket_of(s->id)]; *pp != s; pp = &(*pp)->chain)
		;
	*pp = s->chain;
	streams--;
	free(s);
}

/* ---- records ---- */

/* To the end of its kind: age is the time of joining. */
static void
record_wait(struct record *r)
{
	r->older = waiting[r->kind].newest;
	r->newer = NULL;
	*(r->older != NULL ? &r->older->newer : &waiting[r->kind].oldest) = r;
	waiting[r->kind].newest = r;
	r->stream->waiting[r->kind] = r;
}

static void
record_unwait(struct record *r)
{
	*(r->older != NULL ? &r->older->newer : &waiting[r->kind].oldest) =
	    r->newer;
	*(r->newer != NULL ? &r->newer->older : &waiting[r->kind].newest) =
	    r->older;
	r->stream->waiting[r->kind] = NULL;
}

static void
untold_add(struct record *r)
{
	if (r->untold)
		return;
	r->untold = true;
	r->prev = untold_last;
	r->next = NULL;
	*(r->prev != NULL ? &r->prev->next : &untold_first) = r;
	untold_last = r;
	untold++;
}

static void
untold_remove(struct record *r)
{
	if (!r->untold)
		return;
	*(r->prev != NULL ? &r->prev->next : &untold_first) = r->next;
	*(r->next != NULL ? &r->next->prev : &untold_last) = r->prev;
	r->untold = false;
	untold--;
}

/* Without memory a slave keeps it until the next walk: better than to lose it. */
static void
gone_add(const struct record *r)
{
	size_t room = gone_room == 0 ? 256 : 2 * gone_room;
	struct acct_gone *more;

	if (gone_n == gone_room) {
		more = reallocarray(gone, room, sizeof(*more));
		if (more == NULL)
			return;
		gone = more;
		gone_room = room;
	}
	gone[gone_n] = (struct acct_gone){ .number = r->number,
	    .kind = (uint8_t)r->kind };
	memcpy(gone[gone_n++].id, r->stream->id, sizeof(gone->id));
}

static void
record_free(struct record *r)
{
	untold_remove(r);
	if (following && r->told)
		gone_add(r);
	total--;
	free(r);
}

static void
record_lost(const char *id, uint32_t sid, const char *why)
{
	static struct log_limit limit;

	COUNT(acct_dropped);
	log_limited(&limit, LOG_L_ERROR, 0, sid, "accounting record %s lost: "
	    "%s, %u wait", id, why, total);
}

/*
 * Makes room for one more of this kind, as the essay says.  The stream that
 * it is for stays, empty or not.
 */
static bool
make_room(enum kind kind, const struct stream *keep)
{
	struct record *r = waiting[INTERIM].oldest;
	struct stream *s;

	if (total < (uint64_t)lns.config.radius_accounting_queue)
		return true;
	if (r == NULL && kind == STOP)
		r = waiting[START].oldest;
	if (r == NULL)
		return false;
	record_lost(r->stream->id, r->rr.sid, "the queue is full");
	s = r->stream;
	record_unwait(r);
	record_free(r);
	if (s != keep)
		stream_settle(s);
	return true;
}

/* An Interim-Update that has not left, and now need not any more. */
static void
supersede(struct stream *s)
{
	struct record *r = s->waiting[INTERIM];

	if (r != NULL) {
		record_unwait(r);
		record_free(r);
	}
}

static void
round_failed(struct record *r)
{
	struct stream *s = r->stream;

	if (last_answer <= r->sent) {
		if (!down || timer_now() >= next_say) {
			next_say = timer_now() + SAY_EVERY;
			log_warn("no RADIUS server takes accounting records, "
			    "%u wait", total);
		}
		down = true;
		window = WINDOW_DOWN;
	} else if (++r->rounds >= ROUNDS) {
		record_lost(s->id, r->rr.sid, "servers answer others, but "
		    "never this one");
		record_free(r);
		return;
	}
	if (r->kind == INTERIM &&
	    (s->waiting[INTERIM] != NULL || s->waiting[STOP] != NULL))
		record_free(r);
	else
		record_wait(r);
}

static void
round_answered(struct record *r)
{
	record_free(r);
	last_answer = timer_now() + 1;
	if (window < WINDOW_MAX)
		window++;
	if (down)
		log_info("RADIUS servers take accounting records again, "
		    "%u wait", total);
	down = false;
}

static void
record_done(struct radius_record *rr, bool answered)
{
	struct record *r = timer_owner(rr, struct record, rr);
	struct stream *s = r->stream;

	flying--;
	s->flying = NULL;
	if (answered)
		round_answered(r);
	else
		round_failed(r);
	stream_settle(s);
	pump();
}

/* Sends as much as may be on its way at a time. */
static void
pump(void)
{
	while (!held && ready_first != NULL && flying < window) {
		struct stream *s = ready_first;
		struct record *r = stream_head(s);

		if (following && r->untold)
			return;		/* acct_told_new() goes on */
		r->sent = timer_now();
		if (!radius_acct_send(&r->rr)) {
			if (flying == 0)
				timer_arm(&pump_timer, RETRY);
			return;
		}
		record_unwait(r);
		s->flying = r;
		flying++;
		stream_settle(s);
	}
}

static void
pump_fire(struct timer *timer)
{
	(void)timer;
	pump();
}

/* ---- encoding ---- */

static void
put_usage(struct wr *w, const struct session *s)
{
	uint64_t ms = timer_now() - s->started;

	/* RFC 2866 5.3: input is what came from the user. */
	radius_put_u32(w, ATTR_ACCT_SESSION_TIME, (uint32_t)(ms / 1000));
	radius_put_u32(w, ATTR_ACCT_INPUT_OCTETS, (uint32_t)s->rx_octets);
	radius_put_u32(w, ATTR_ACCT_INPUT_GIGAWORDS,
	    (uint32_t)(s->rx_octets >> 32));
	radius_put_u32(w, ATTR_ACCT_OUTPUT_OCTETS, (uint32_t)s->tx_octets);
	radius_put_u32(w, ATTR_ACCT_OUTPUT_GIGAWORDS,
	    (uint32_t)(s->tx_octets >> 32));
	radius_put_u32(w, ATTR_ACCT_INPUT_PACKETS, (uint32_t)s->rx_packets);
	radius_put_u32(w, ATTR_ACCT_OUTPUT_PACKETS, (uint32_t)s->tx_packets);
}

static void
put_class(struct wr *w, const struct session *s)
{
	struct rd r = rd_init(s->class, s->class_len);

	while (rd_left(&r) > 0) {
		size_t len = rd_u8(&r);
		const uint8_t *p = rd_bytes(&r, len);

		if (p != NULL)
			radius_put(w, ATTR_CLASS, p, len);
	}
}

static void
put_routes(struct wr *w, const struct session *s)
{
	char text[sizeof("255.255.255.255/32 0.0.0.0 1")];
	unsigned int i;

	for (i = 0; i < s->nroutes && i < ROUTES_MAX; i++) {
		uint32_t a = s->routes[i].addr;

		snprintf(text, sizeof(text), "%u.%u.%u.%u/%u 0.0.0.0 1",
		    a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255,
		    s->routes[i].len & 63u);
		radius_put_text(w, ATTR_FRAMED_ROUTE, text);
	}
}

static size_t
encode(uint8_t *buf, size_t size, const struct session *s,
    enum kind kind, enum terminate_cause cause)
{
	struct wr w = wr_init(buf, size);
	char serial[sizeof("4294967295")];

	radius_put_u32(&w, ATTR_ACCT_STATUS_TYPE, kinds[kind].status);
	radius_put_text(&w, ATTR_USER_NAME, s->user);
	radius_put_session(&w, s);
	radius_put_u32(&w, ATTR_ACCT_AUTHENTIC, ACCT_AUTHENTIC_RADIUS);
	radius_put_u32(&w, ATTR_EVENT_TIMESTAMP, (uint32_t)timer_wall());
	if (kind != START)
		put_usage(&w, s);
	if (kind == STOP)
		radius_put_u32(&w, ATTR_ACCT_TERMINATE_CAUSE, cause);
	if (s->ip != 0)
		radius_put_u32(&w, ATTR_FRAMED_IP_ADDRESS, s->ip);
	if (s->ip != 0 && s->netmask != 0)
		radius_put_u32(&w, ATTR_FRAMED_IP_NETMASK, s->netmask);
	put_class(&w, s);
	snprintf(serial, sizeof(serial), "%u", s->call_serial);
	radius_put_text(&w, ATTR_ACCT_TUNNEL_CONNECTION, serial);
	put_routes(&w, s);
	/* Last, so that it is theirs that have no room in a full record. */
	plugins_radius_account(s, kinds[kind].status, &w);
	return wr_len(&w);
}

static struct record *
record_alloc(enum kind kind, uint32_t sid, const uint8_t *attrs, size_t len)
{
	struct record *r = calloc(1, sizeof(*r) + len);

	if (r == NULL)
		return NULL;
	if (len > 0)
		memcpy(r->attrs, attrs, len);
	r->kind = kind;
	r->rr.attrs = r->attrs;
	r->rr.len = len;
	r->rr.event = timer_now();
	r->rr.sid = sid;
	r->number = ++numbers;
	r->rr.state = kinds[kind].state;
	r->rr.done = record_done;
	return r;
}

/* NULL: no memory.  What plugins do in there, they may do to records too. */
static struct record *
record_new(const struct session *s, enum kind kind,
    enum terminate_cause cause)
{
	uint8_t buf[RADIUS_RECORD_MAX];
	size_t len = encode(buf, sizeof(buf), s, kind, cause);

	return record_alloc(kind, s->sid, buf, len);
}

/* Takes r over; NULL counts as lost. */
static void
record_add(const struct session *s, struct record *r, enum kind kind)
{
	struct stream *stream;

	pump_timer.fire = pump_fire;
	stream = stream_get(s->acct_id);
	if (stream != NULL) {
		if (kind != START)
			supersede(stream);
	}
	if (r == NULL || stream == NULL || !make_room(kind, stream)) {
		free(r);
		record_lost(s->acct_id, s->sid, "no room for it");
		if (stream != NULL)
			stream_settle(stream);
		return;
	}
	COUNT(acct_queued);
	r->stream = stream;
	if (following)
		untold_add(r);
	total++;
	record_wait(r);
	stream_settle(stream);
	pump();
}

/* ---- what the session calls ---- */

static bool
wanted(void)
{
	return lns.config.radius_accounting && radius_configured();
}

/*
 * The time of our start and a random number that goes with it, then a count:
 * unique over restarts, even if the clock was set back.
 */
void
acct_name(struct session *s)
{
	snprintf(s->acct_id, sizeof(s->acct_id), "%08X%04X%08X",
	    (uint32_t)lns.start, lns.boot_id & 0xffff, ++names);
}

/* Plugins see the record first: what they do to the session comes before. */
void
acct_start(struct session *s)
{
	struct record *r;

	if (s->acct_started || !wanted())
		return;
	s->started = timer_now();
	r = record_new(s, START, 0);
	if (s->dying || s->acct_started || (s->flags & SF_GARDEN) != 0) {
		free(r);
		return;
	}
	s->acct_started = true;
	record_add(s, r, START);
}

void
acct_interim(struct session *s)
{
	struct record *r;

	if (!s->acct_started || !wanted())
		return;
	r = record_new(s, INTERIM, 0);
	if (s->acct_started)
		record_add(s, r, INTERIM);
	else
		free(r);
}

void
acct_stop(struct session *s, enum terminate_cause cause)
{
	if (!s->acct_started)
		return;
	s->acct_started = false;
	/* Owed to the Start, even if accounting was turned off since. */
	if (radius_configured())
		record_add(s, record_new(s, STOP, cause), STOP);
}

uint32_t
acct_pending(void)
{
	return total;
}

/* ---- to and from another process ---- */

static void
fill_carry(struct acct_carry *c, const struct record *r)
{
	*c = (struct acct_carry){
		.kind = (uint8_t)r->kind, .sid = r->rr.sid,
		.age = timer_now() - r->rr.event, .number = r->number,
		.id = r->stream->id,
		.attrs = r->rr.attrs, .len = r->rr.len
	};
}

/* An Interim-Update on its way is not sent again, as in round_failed(). */
static bool
export_stream(const struct stream *s,
    bool (*each)(const struct acct_carry *, void *), void *arg)
{
	const struct record *r = s->flying;
	struct acct_carry c;
	int k;

	if (r != NULL && (r->kind != INTERIM ||
	    (s->waiting[INTERIM] == NULL && s->waiting[STOP] == NULL))) {
		fill_carry(&c, r);
		if (!each(&c, arg))
			return false;
	}
	for (k = 0; k < KINDS; k++) {
		if (s->waiting[k] == NULL)
			continue;
		fill_carry(&c, s->waiting[k]);
		if (!each(&c, arg))
			return false;
	}
	return true;
}

bool
acct_export(bool (*each)(const struct acct_carry *, void *), void *arg)
{
	const struct stream *s;
	size_t i;

	for (i = 0; i < table_size; i++)
		for (s = table[i]; s != NULL; s = s->chain)
			if (!export_stream(s, each, arg))
				return false;
	return true;
}

bool
acct_resume(const struct acct_carry *c)
{
	struct stream *stream;
	struct record *r = NULL;

	pump_timer.fire = pump_fire;
	stream = c->kind < KINDS ? stream_get(c->id) : NULL;
	if (stream == NULL)
		return false;
	if (stream->waiting[c->kind] == NULL)
		r = record_alloc((enum kind)c->kind, c->sid, c->attrs, c->len);
	if (r != NULL) {
		r->rr.event = timer_now() - c->age;
		r->stream = stream;
		total++;
		record_wait(r);
	}
	stream_settle(stream);
	/* Not at once, so that a Start is there before its Stop leaves. */
	if (!timer_armed(&pump_timer))
		timer_arm(&pump_timer, 0);
	return r != NULL;
}

/* ---- for the slaves of a cluster ---- */

static void
tell_stream(const struct stream *s)
{
	if (s->flying != NULL)
		untold_add(s->flying);
	for (int k = 0; k < KINDS; k++)
		if (s->waiting[k] != NULL)
			untold_add(s->waiting[k]);
}

void
acct_follow(bool on)
{
	following = on;
	if (on)
		return;
	while (untold_first != NULL)
		untold_remove(untold_first);
	gone_first = gone_n = 0;
	if (ready_first != NULL && !timer_armed(&pump_timer))
		timer_arm(&pump_timer, 0);
}

void
acct_tell_all(void)
{
	for (size_t i = 0; i < table_size; i++)
		for (const struct stream *s = table[i]; s != NULL;
		    s = s->chain)
			tell_stream(s);
}

bool
acct_told_new(struct acct_carry *c)
{
	struct record *r = untold_first;

	if (r == NULL)
		return false;
	untold_remove(r);
	r->told = true;
	fill_carry(c, r);
	if (!timer_armed(&pump_timer))
		timer_arm(&pump_timer, 0);
	return true;
}

bool
acct_told_gone(struct acct_gone *g)
{
	if (gone_first == gone_n) {
		gone_first = gone_n = 0;
		return false;
	}
	*g = gone[gone_first++];
	return true;
}

uint32_t
acct_untold(void)
{
	return untold;
}

/* As when nobody answered, but that it is nobody's fault. */
static void
call_back(struct stream *s)
{
	struct record *r = s->flying;

	if (r == NULL)
		return;
	radius_acct_cancel(&r->rr);
	s->flying = NULL;
	flying--;
	if (s->waiting[r->kind] == NULL)
		record_wait(r);
	else
		record_free(r);
	stream_settle(s);
}

void
acct_hold(bool on)
{
	struct stream *s, *next;

	held = on;
	pump_timer.fire = pump_fire;
	if (!on) {
		if (!timer_armed(&pump_timer))
			timer_arm(&pump_timer, 0);
		return;
	}
	timer_disarm(&pump_timer);
	for (size_t i = 0; i < table_size; i++)
		for (s = table[i]; s != NULL; s = next) {
			next = s->chain;
			call_back(s);
		}
}

static void
drop_waiting(struct stream *s, int kind)
{
	struct record *r = s->waiting[kind];

	if (r == NULL)
		return;
	record_unwait(r);
	record_free(r);
}

bool
acct_mirror(const struct acct_carry *c, uint32_t walk)
{
	struct stream *stream = c->kind < KINDS ? stream_get(c->id) : NULL;
	struct record *r;

	if (stream == NULL)
		return false;
	drop_waiting(stream, c->kind);
	r = record_alloc((enum kind)c->kind, c->sid, c->attrs, c->len);
	if (r != NULL) {
		r->rr.event = timer_now() - c->age;
		r->number = c->number;
		if (numbers < c->number)
			numbers = c->number;
		r->walk = walk;
		r->stream = stream;
		total++;
		record_wait(r);
	}
	stream_settle(stream);
	return r != NULL;
}

void
acct_mirror_gone(const struct acct_gone *g)
{
	struct stream *s = g->kind < KINDS ? stream_get(g->id) : NULL;

	if (s == NULL)
		return;
	if (s->waiting[g->kind] != NULL &&
	    s->waiting[g->kind]->number == g->number)
		drop_waiting(s, g->kind);
	stream_settle(s);
}

void
acct_mirror_sweep(uint32_t walk)
{
	struct stream *s, *next;

	for (size_t i = 0; i < table_size; i++)
		for (s = table[i]; s != NULL; s = next) {
			next = s->chain;
			for (int k = 0; k < KINDS; k++)
				if (s->waiting[k] != NULL &&
				    s->waiting[k]->walk != walk)
					drop_waiting(s, k);
			stream_settle(s);
		}
}

void
acct_exit(void)
{
	if (total > 0)
		log_warn("%u accounting records lost: the daemon ends", total);
	COUNT_ADD(acct_dropped, total);
	acct_forget();
	free(gone);
	gone = NULL;
	gone_first = gone_n = gone_room = 0;
}

void
acct_forget(void)
{
	size_t i;

	timer_disarm(&pump_timer);
	for (i = 0; i < table_size; i++) {
		struct stream *s, *next;
		int k;

		for (s = table[i]; s != NULL; s = next) {
			next = s->chain;
			if (s->flying != NULL)
				radius_acct_cancel(&s->flying->rr);
			free(s->flying);
			for (k = 0; k < KINDS; k++)
				free(s->waiting[k]);
			free(s);
		}
	}
	free(table);
	table = NULL;
	table_size = streams = 0;
	ready_first = ready_last = NULL;
	memset(waiting, 0, sizeof(waiting));
	untold_first = untold_last = NULL;
	untold = 0;
	total = flying = 0;
	window = WINDOW_START;
	down = false;
	last_answer = next_say = 0;
}
