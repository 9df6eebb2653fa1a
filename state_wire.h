/*
 * state_wire.h - tunnels and sessions as records of bytes, for another process
 *
 * For the next process of this server (state.c), or for another server that
 * has a copy (replica.c).  A saved state has only what is up; the stream of a
 * cluster has everything, and says in what state it is.
 *
 * A record is a type, a length and fields; a field is a tag, a length and a
 * value, in the order of the tags.  What is 0 or empty is left out.  A reader
 * steps over tags and types that it does not know, so that a newer writer may
 * add some; a tag is never used for something else again.
 *
 * Codec: no side effects, no logging.
 */
#ifndef STATE_WIRE_H
#define STATE_WIRE_H

#include "accounting.h"
#include "ippool.h"
#include "l2tpns.h"
#include "radius.h"
#include "session.h"
#include "tunnel.h"
#include "wire.h"

/* In the order in which they come; a tunnel's messages follow it. */
enum state_type {
	STATE_HEADER = 1,	/* struct state_header, once */
	STATE_TUNNEL = 2,	/* struct state_tunnel, by rising tid */
	STATE_MESSAGE = 3,	/* a queued control message, as it goes out */
	STATE_SESSION = 4,	/* struct state_session, by rising sid */
	STATE_ADDRESS = 5,	/* struct state_address, longest free first */
	STATE_ACCT = 6,		/* struct state_acct */
	STATE_END = 7		/* struct state_end, once */
};

struct state_header {
	uint64_t written;		/* wall clock, s */
	uint32_t bind_address;
	char hostname[HOSTNAME_MAX];
	char version[32];		/* of the program, for people */
};

struct state_tunnel {
	struct tunnel t;		/* without sessions, last_data, state */
	struct ctl_carry ctl;
	struct tunnel_stage stage;	/* all 0 in a saved state */
};

struct state_session {
	struct session s;		/* without started, last_data, state */
	struct session_carry carry;
	uint64_t usage_rx, usage_tx;	/* octets told by usage files */
};

/* A free address of the pool that somebody had. */
struct state_address {
	uint32_t addr;
	uint64_t age;			/* ms since it was released */
	char user[USER_MAX];
};

/* An accounting record on its way. */
struct state_acct {
	uint64_t number;		/* as in struct acct_carry */
	uint8_t kind;
	uint32_t sid;
	uint64_t age;			/* ms since it happened */
	char id[24];
	uint16_t len;
	uint8_t attrs[RADIUS_RECORD_MAX];
};

/* What another process is told of these two; timer_now() is `now`. */
void state_address_of(struct state_address *, const struct ippool_row *,
    uint64_t now);
void state_acct_of(struct state_acct *, const struct acct_carry *);
/* And back; it points into the record. */
struct acct_carry state_acct_carry(const struct state_acct *);

/* How many records of each type there were. */
struct state_end {
	uint32_t tunnels, messages, sessions, addresses, records;
};

/* No record of ours is longer. */
#define STATE_RECORD_MAX	16384

/* Writes one whole record; x is the struct of its type. */
void state_put(struct wr *, enum state_type, const void *x);
void state_put_message(struct wr *, const uint8_t *msg, size_t len);

/* The next record; false at the end, and when r is bad. */
struct state_record {
	uint16_t type;
	struct rd body;
};
bool state_next(struct rd *r, struct state_record *);

/*
 * Fills x, the struct of the record's type.  False when a field does not fit
 * it, or when the whole is nothing that may be: a session without an address,
 * a text with a NUL in it, a queue that its numbers contradict.
 */
bool state_get(const struct state_record *, void *x);

#endif
