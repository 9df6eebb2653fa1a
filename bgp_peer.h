/*
 * bgp_peer.h - one BGP peer: the state machine of RFC 4271 section 8
 */
#ifndef BGP_PEER_H
#define BGP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bgp.h"
#include "config.h"

/* What is configured of a peer; all of it fixed while it runs. */
struct bgp_peer_conf {
	char name[CONFIG_STRING];	/* or address */
	uint32_t as, local_as;
	uint16_t hold, keepalive;	/* s */
	uint32_t source;		/* 0: the kernel chooses */
	char password[CONFIG_STRING];
	bool ttl_security;
};

struct bgp_peer;

/*
 * A new peer in Idle, or NULL when out of memory.  bgp_peer_start() connects,
 * ms from now, and again whenever the session is lost.
 */
struct bgp_peer *bgp_peer_new(const struct bgp_peer_conf *);
void bgp_peer_start(struct bgp_peer *, uint64_t ms);

/* To Idle for good, by a Cease with this subcode (RFC 4486). */
void bgp_peer_stop(struct bgp_peer *, uint8_t subcode);

/* The same, and frees it; not from within its own callbacks. */
void bgp_peer_free(struct bgp_peer *, uint8_t subcode);

const struct bgp_peer_conf *bgp_peer_conf(const struct bgp_peer *);

/* Is this its name, or its address? */
bool bgp_peer_is(const struct bgp_peer *, const char *name);

/* The table has changed: the peer is told of it in the next turn. */
void bgp_peer_wake(struct bgp_peer *);

/* Routes were raised or dropped, or `muted`: the peer shall have nothing. */
void bgp_peer_review(struct bgp_peer *, bool muted);

/* How many prefixes it has. */
uint32_t bgp_peer_prefixes(const struct bgp_peer *);

void bgp_peer_row(const struct bgp_peer *, struct bgp_row *);

/*
 * Our BGP Identifier, the same for all peers: what was set, else our address
 * on the first connection.  0: there was none yet.
 */
void bgp_set_router_id(uint32_t);
uint32_t bgp_router_id(void);

/* Closes the connections that still wait for their peer to close. */
void bgp_farewell_end(void);

#endif
