/*
 * cluster_garden.c - gardened subscribers' packets come to the master
 *
 * The walled garden rewrites addresses, and its kernel has to see the answers
 * to undo that: the master's kernel, as all packets of gardened sessions are
 * handed to the master.  So the answers must not go to just any member that
 * announces the pool.  Each such address is announced by itself, by the master
 * alone, whether its routes are raised or not.
 *
 * Sessions are looked at twice a second, a part in each tick, and compared with
 * what has been announced; so nobody who gardens or ends a session has to know
 * of it.
 *
 * Owns:     what has been announced, by slot.
 * Calls:    table.c, bgp.c.
 * Lifetime: cluster_garden_begin() to cluster_garden_end(), as often as this
 *           server is master.
 */
#include "cluster_garden.h"

#include <stdlib.h>

#include "bgp.h"
#include "l2tpns.h"
#include "log.h"
#include "table.h"
#include "timer.h"

#define TICK		50		/* ms */
#define TICKS_A_ROUND	10

static uint32_t *announced;		/* by slot: an address, or 0 */
static uint32_t slots, at;
static uint32_t highest;		/* slot with an address */
static struct timer ticker;

/* The address that ought to be announced for the slot; 0: none. */
static uint32_t
wanted(uint32_t sid)
{
	const struct session *s = session_by_sid(sid);

	return s != NULL && !s->dying && (s->flags & SF_GARDEN) != 0 ?
	    s->ip : 0;
}

static void
settle(uint32_t sid, uint32_t ip)
{
	if (announced[sid] == ip)
		return;
	if (announced[sid] != 0)
		bgp_withdraw_always(announced[sid], 32);
	if (ip != 0)
		bgp_announce_always(ip, 32);
	announced[sid] = ip;
	if (ip != 0 && sid > highest)
		highest = sid;
}

/* Past the highest session there may be some that have ended. */
static void
tick(struct timer *t)
{
	uint32_t last = table_highest_session(), n;

	if (highest > last)
		last = highest;
	for (n = last / TICKS_A_ROUND + 1; n > 0; n--) {
		at = at < last ? at + 1 : 1;
		if (at <= slots)
			settle(at, wanted(at));
	}
	timer_arm(t, TICK);
}

void
cluster_garden_begin(void)
{
	if (announced != NULL)
		return;
	slots = (uint32_t)lns.config.max_sessions;
	announced = calloc((size_t)slots + 1, sizeof(*announced));
	if (announced == NULL) {
		log_error("cluster: no memory for routes to the walled garden");
		return;
	}
	at = highest = 0;
	ticker.fire = tick;
	timer_arm(&ticker, 0);
}

void
cluster_garden_end(void)
{
	if (announced == NULL)
		return;
	timer_disarm(&ticker);
	for (uint32_t sid = 1; sid <= highest; sid++)
		settle(sid, 0);
	free(announced);
	announced = NULL;
}
