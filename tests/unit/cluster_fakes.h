/*
 * cluster_fakes.h - what cluster.c stands on and what stands on it, invented
 *
 * The clock is what a test says it is; what a member sends goes to the test;
 * tunnels and sessions are a chain: each change is a number, and the state is a
 * digest of all numbers so far.
 */
#ifndef CLUSTER_FAKES_H
#define CLUSTER_FAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What has become of this member. */
struct fake {
	uint64_t chain, chained;	/* the state, and how many changes */
	bool routes, garden;		/* told to BGP */
	unsigned int walks, restored, told_master, told_slave, garps,
	    forwarded, discarded;
};
extern struct fake fake;

extern uint64_t fake_now;		/* ms */
extern uint64_t fake_late;		/* ms, since the turn began */
extern uint64_t fake_walk_ms;		/* how long a walk takes */
extern uint32_t fake_address;		/* on cluster_interface, if it has a
					 * name */
extern const char *fake_bgp;		/* a neighbour's state; NULL: none */
extern bool (*fake_send)(uint32_t to, const void *buf, size_t len);

/* A turn of the loop at fake_now, without descriptors. */
void fake_turn(void);
/* Forgets timers and hooks: another life. */
void fake_reset(void);

/* A master's state changes; large: in a record of the greatest length. */
void fake_change(bool large);

#endif
