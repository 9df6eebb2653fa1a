/*
 * cluster_fakes.c - what cluster.c stands on and what stands on it, invented
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgp.h"
#include "cluster.h"
#include "cluster_fakes.h"
#include "cluster_forward.h"
#include "cluster_garden.h"
#include "cluster_link.h"
#include "cluster_wire.h"
#include "forward.h"
#include "icmp.h"
#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "plugins.h"
#include "replica.h"
#include "state.h"
#include "timer.h"

struct l2tpns lns;
struct fake fake;
uint64_t fake_now, fake_late, fake_walk_ms;
uint32_t fake_address;
const char *fake_bgp;
bool (*fake_send)(uint32_t to, const void *buf, size_t len);

/* --- what cluster.c stands on --------------------------------------------- */

static struct timer *timers;
static struct loop_hook *before, *after;
static uint32_t address;		/* 0: no interface */

uint64_t
timer_now(void)
{
	return fake_now;
}

time_t
timer_wall(void)
{
	return (time_t)(1700000000 + fake_now / 1000);
}

uint64_t
timer_usec(void)
{
	return (fake_now + fake_late) * 1000;
}

void
timer_disarm(struct timer *t)
{
	if (t->prev == NULL)
		return;
	*t->prev = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	t->prev = NULL;
}

void
timer_arm(struct timer *t, uint64_t ms)
{
	timer_disarm(t);
	t->due = fake_now + ms;
	t->next = timers;
	if (t->next != NULL)
		t->next->prev = &t->next;
	t->prev = &timers;
	timers = t;
}

static void
fire_due(void)
{
	struct timer *t, *next;

	for (t = timers; t != NULL; t = next) {
		next = t->next;
		if (t->due <= fake_now) {
			timer_disarm(t);
			t->fire(t);
		}
	}
}

void
loop_before_timers(struct loop_hook *hook)
{
	before = hook;
}

void
loop_at_turn_end(struct loop_hook *hook)
{
	after = hook;
}

void
log_line(enum log_level level, uint32_t tid, uint32_t sid, const char *fmt, ...)
{
	va_list ap;

	(void)level, (void)tid, (void)sid;
	if (getenv("CLUSTER_TEST_LOG") == NULL)
		return;
	fprintf(stderr, "%8llu %u: ", (unsigned long long)fake_now % 100000000,
	    fake_address & 255);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void
log_limited(struct log_limit *l, enum log_level level, uint32_t tid,
    uint32_t sid, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (fake_now < l->next)
		return;
	l->next = fake_now + 1000;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line(level, tid, sid, "%s", text);
}

void (*link_input)(uint32_t from, bool group, const uint8_t *buf, size_t len);
void (*link_idle)(void);

bool
link_open(char *err, size_t errlen)
{
	snprintf(err, errlen, "no such interface");
	address = lns.config.cluster_interface[0] != '\0' ? fake_address : 0;
	return address != 0;
}

void
link_close(void)
{
	address = 0;
}

uint32_t
link_address(void)
{
	return address;
}

bool
link_changed(void)
{
	return lns.config.cluster_interface[0] == '\0';
}

bool
link_send(uint32_t to, const void *buf, size_t len)
{
	return fake_send(to, buf, len);
}

/* --- what stands on cluster.c --------------------------------------------- */

static bool walk_wanted, up_to_date, walking;
static uint64_t walk_ends;		/* ms; 0: none is under way */

static uint64_t
link_on(uint64_t chain, uint64_t n)
{
	return (chain ^ n) * UINT64_C(0x100000001b3) + n;
}

static size_t
chain_record(uint8_t *buf, size_t size)
{
	struct wr w = wr_init(buf, size);

	wr_u64(&w, fake.chain);
	wr_u64(&w, fake.chained);
	return wr_done(&w);
}

void
replica_init(void)
{
}

void
replica_exit(void)
{
}

void
replica_walk(void)
{
	fake.walks++;
	walk_wanted = true;
}

/* As the real one: nobody is left to hear of it, so it is not told. */
uint32_t
replica_queued(void)
{
	return 0;
}

void
replica_drain(void)
{
	uint8_t buf[16];

	if (!cluster_followed()) {
		walk_wanted = false;
		walk_ends = 0;
	} else if (walk_wanted && walk_ends == 0) {
		walk_wanted = false;
		walk_ends = fake_now + fake_walk_ms;
		cluster_stream(CLUSTER_WALK_BEGIN, NULL, 0);
	}
	if (walk_ends == 0 || fake_now < walk_ends)
		return;
	walk_ends = 0;
	cluster_stream(CLUSTER_SESSION, buf, chain_record(buf, sizeof(buf)));
	cluster_stream(CLUSTER_WALK_END, NULL, 0);
}

/* The number after each change is checked: a lost one would be noticed. */
bool
replica_record(enum cluster_record type, struct rd *body)
{
	uint64_t n;

	switch (type) {
	case CLUSTER_WALK_BEGIN:
		walking = true;
		return true;
	case CLUSTER_WALK_END:
		up_to_date = walking;
		return true;
	case CLUSTER_SESSION:
		fake.chain = rd_u64(body);
		fake.chained = rd_u64(body);
		return rd_done(body);
	case CLUSTER_TUNNEL:
		n = rd_u64(body);
		if (up_to_date && n != fake.chained)
			return false;
		fake.chain = link_on(fake.chain, n);
		fake.chained = n + 1;
		return !body->bad;
	default:
		return false;
	}
}

void
replica_lost(void)
{
	up_to_date = walking = false;
}

bool
replica_wants_walk(void)
{
	return false;
}

bool
replica_up_to_date(void)
{
	return up_to_date;
}

void
replica_promote(void)
{
	walk_wanted = up_to_date = false;
	walk_ends = 0;
}

void
replica_demote(void)
{
	up_to_date = false;
}

void
fake_change(bool large)
{
	static uint8_t buf[CLUSTER_RECORD_MAX];
	struct wr w = wr_init(buf, sizeof(buf));

	if (!lns.master)
		return;
	wr_u64(&w, fake.chained);
	wr_zero(&w, large ? CLUSTER_RECORD_MAX - 8 : 40);
	fake.chain = link_on(fake.chain, fake.chained++);
	cluster_count_changes(1);
	cluster_stream(CLUSTER_TUNNEL, buf, wr_done(&w));
}

void (*forward_before_control)(void);

void
forward_discard(void)
{
	fake.discarded++;
}

void
cluster_forward_init(void)
{
}

void
cluster_forward_exit(void)
{
}

void
cluster_forward_settle(void)
{
	if (lns.master)
		abort();
}

void
cluster_forward_record(uint32_t from, enum cluster_record type,
    struct rd *body)
{
	(void)from, (void)type, (void)body;
	fake.forwarded++;
}

void
cluster_garden_begin(void)
{
	fake.garden = true;
}

void
cluster_garden_end(void)
{
	fake.garden = false;
}

void
bgp_raise(bool up)
{
	fake.routes = up;
}

bool
bgp_configured(void)
{
	return fake_bgp != NULL;
}

bool
bgp_row(size_t i, struct bgp_row *row)
{
	if (fake_bgp == NULL || i > 0)
		return false;
	*row = (struct bgp_row){ .state = fake_bgp };
	return true;
}

bool
garp_send(uint32_t addr, uint32_t near, char *err, size_t errlen)
{
	(void)addr, (void)near;
	snprintf(err, errlen, "not here");
	fake.garps++;
	return false;
}

void
state_take_over(void)
{
	fake.restored++;
}

void
state_discard(const char *path)
{
	(void)path;
}

void
plugins_become_master(void)
{
	fake.told_master++;
}

void
plugins_become_slave(uint32_t master)
{
	(void)master;
	fake.told_slave++;
}

/* --- for tests -------------------------------------------------------------- */

void
fake_turn(void)
{
	before->run();
	fire_due();
	after->run();
}

void
fake_reset(void)
{
	while (timers != NULL)
		timer_disarm(timers);
	before = after = NULL;
	fake = (struct fake){ 0 };
	walk_wanted = up_to_date = walking = false;
	walk_ends = 0;
	address = 0;
}
