/*
 * replica.c - the copy of tunnels and sessions that every member has
 *
 * Owns:     what a walk has left.
 * Calls:    cluster_stream().
 * Lifetime: replica_init() to replica_exit().
 */
#include "replica.h"

static bool walk_wanted;
static bool up_to_date;

void
replica_tunnel_changed(const struct tunnel *t)
{
	(void)t;
}

void
replica_session_changed(const struct session *s)
{
	(void)s;
}

void
replica_tunnel_gone(const struct tunnel *t)
{
	(void)t;
}

void
replica_session_gone(const struct session *s)
{
	(void)s;
}

void
replica_init(void)
{
	walk_wanted = up_to_date = false;
}

void
replica_exit(void)
{
}

void
replica_drain(void)
{
	if (!walk_wanted)
		return;
	walk_wanted = false;
	cluster_stream(CLUSTER_WALK_BEGIN, NULL, 0);
	cluster_stream(CLUSTER_WALK_END, NULL, 0);
}

void
replica_walk(void)
{
	walk_wanted = true;
}

bool
replica_record(enum cluster_record type, struct rd *body)
{
	(void)body;
	if (type == CLUSTER_WALK_END)
		up_to_date = true;
	return type == CLUSTER_WALK_BEGIN || type == CLUSTER_WALK_END;
}

void
replica_lost(void)
{
	up_to_date = false;
}

bool
replica_up_to_date(void)
{
	return up_to_date;
}

void
replica_undefined(uint32_t *sessions, uint32_t *of_sessions,
    uint32_t *tunnels, uint32_t *of_tunnels)
{
	*sessions = *of_sessions = *tunnels = *of_tunnels = 0;
}

uint32_t
replica_queued(void)
{
	return 0;
}

void
replica_promote(void)
{
	walk_wanted = false;
}

bool
replica_waking(void)
{
	return false;
}

void
replica_wake(struct tunnel *t)
{
	(void)t;
}

void
replica_demote(void)
{
	up_to_date = false;
}
