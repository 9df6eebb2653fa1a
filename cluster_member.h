/*
 * cluster_member.h - the other members: who is there, and whom to believe
 *
 * A member is an address and an epoch, the random number that its process made
 * when it began.  Each epoch has numbers of its own, so a datagram counts once.
 * But a whole run of a member could have been recorded and be played again:
 * therefore an epoch is believed only after it has said back our challenge,
 * which is a new one after each member that has come or gone.
 */
#ifndef CLUSTER_MEMBER_H
#define CLUSTER_MEMBER_H

#include "cluster_wire.h"

struct member {
	uint32_t addr;			/* 0: free */
	uint64_t epoch;
	struct cw_window window;
	uint64_t heard, heard_group;	/* ms: anything; sent to the group */
	uint64_t hears_us;		/* ms: when it said last that it does */
	uint64_t started;		/* ms, by our clock; wraps below 0 */
	struct cw_state state;		/* what it said last */
	uint64_t state_number;		/* of the datagram that said it */
	bool master;			/* it says that it is */
	unsigned int deaf;		/* how often in a row it said that it
					 * does not hear us */
	uint64_t answered;		/* ms: heartbeat sent to it alone */
	uint64_t carries_since;		/* ms: has everything, and packets come
					 * to it; 0: not so */
	bool warned;			/* of other intervals than ours */
};

/* Forgets all; a new challenge. */
void members_init(void);

struct member *member_find(uint32_t addr);
/* From one to the next, NULL first; NULL at the end. */
struct member *member_next(const struct member *);
uint32_t members_count(void);

/* What others have to say back to be believed. */
uint64_t members_challenge(void);

/*
 * A new member, or an old one with a new epoch, of which nothing is known then.
 * NULL if there are too many.
 */
struct member *member_admit(uint32_t addr, uint64_t epoch, uint64_t now);
void member_drop(struct member *);

/* Our own stop of so many ms is no silence of theirs. */
void members_excuse(uint64_t ms);

/*
 * Is a better than b?  Started earlier, to within a second, which is what two
 * servers can tell of each other; or else the higher address.
 */
bool member_is_senior(uint64_t started_a, uint32_t addr_a,
    uint64_t started_b, uint32_t addr_b);

#endif
