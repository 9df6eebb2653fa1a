/*
 * bgp.h - the announcer: BGP-4 sessions to the provider's routers (RFC 4271)
 *
 * What is announced is the table of prefixes here; bgp.c brings each peer that
 * is Established to it.  Nothing is learnt from peers.
 */
#ifndef BGP_H
#define BGP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Starts to connect to the configured peers, if any.  Call once, in the loop. */
void bgp_init(void);

/*
 * The configuration was read again: peers that are gone get a Cease, new and
 * changed ones are connected to, the others do not notice.
 */
void bgp_reconfigure(void);

/* True if a peer is configured. */
bool bgp_configured(void);

/*
 * A prefix (host byte order) that peers shall hear of as soon as routes are
 * raised.  Counted: two announces need two withdraws; withdrawing what was
 * never announced does nothing.  Changes of one turn leave together.
 *
 * The second kind is announced whether routes are raised or not: a cluster's
 * master wants the packets of such a subscriber itself.
 */
void bgp_announce(uint32_t addr, uint8_t len);
void bgp_withdraw(uint32_t addr, uint8_t len);
void bgp_announce_always(uint32_t addr, uint8_t len);
void bgp_withdraw_always(uint32_t addr, uint8_t len);

/*
 * Announce the first kind, or withdraw it (how it begins).  Not while an
 * operator has said `suspend bgp`.
 */
void bgp_raise(bool);
bool bgp_raised(void);

/*
 * `suspend bgp` and `no suspend bgp`: everything is withdrawn, and comes back.
 * For one peer by its name or address; false: there is none.  Ending it for
 * all ends it for each.
 */
void bgp_suspend(bool);
bool bgp_suspended(void);
bool bgp_suspend_peer(const char *peer, bool);

/*
 * `restart bgp`: a Cease (4, Administrative Reset) to the peer of that name or
 * address (NULL: to all), and connected to again.  False: there is none.
 */
bool bgp_restart(const char *peer);

/*
 * Before the server ends: withdraws everything.  True if a peer was told,
 * whose router may still send packets for some seconds.
 */
bool bgp_retire(void);

/* Cease (2, Administrative Shutdown), and closes. */
void bgp_exit(void);

/* Our BGP Identifier; 0: not known before the first connection. */
uint32_t bgp_identifier(void);

/* The ith peer for `show bgp`; false past the end. */
struct bgp_row {
	const char *name;		/* as configured */
	uint32_t addr;			/* 0: not resolved yet */
	uint32_t as, local_as;
	const char *state;		/* Idle Connect ... Established (8.2.2) */
	uint64_t since;			/* ms in this state */
	uint16_t hold, keepalive;	/* s, as negotiated; 0: none */
	uint32_t announced;		/* prefixes that the peer has now */
	uint64_t in, out;		/* messages */
	uint64_t flaps;			/* how often Established was lost */
	const char *last_error;		/* of the last loss; "": none */
	bool pending;			/* there is more to tell it */
	bool suspended;			/* it shall have nothing */
	uint32_t retries;		/* since it was Established last */
	uint64_t retry_in;		/* ms; 0: it is not waited */
};
bool bgp_row(size_t i, struct bgp_row *);

#endif
