/*
 * cluster.h - several servers, one set of subscribers: members, roles, wire
 *
 * One member is the master: it decides about tunnels and sessions, and streams
 * every change to the others.  The slaves hold a copy, carry ordinary packets
 * themselves, and hand the master what would alter something.  When no
 * heartbeat has come for cluster_hb_timeout, the best of them is master.
 *
 * cluster.c knows who is there, who is master, and how to get records from one
 * to the other, in order and unforged; replica.c knows what a record says of
 * tunnels and sessions; cluster_forward.c hands packets on.
 */
#ifndef CLUSTER_H
#define CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

enum cluster_role {
	CLUSTER_OFF,		/* no cluster: this server is its own master */
	CLUSTER_SLAVE,		/* how every member begins */
	CLUSTER_MASTER
};

/*
 * Begins as a slave, or as CLUSTER_OFF, at once master, when cluster_address is
 * 0.0.0.0 or cluster_secret is missing without cluster_insecure (which is
 * logged).  While the interface or the port cannot be had it stays a slave
 * without a master and tries again, as whoever has configured a cluster wants
 * no second master.  To be called before forward_init(): its hook at the end of
 * the turn sends what others have to know before LACs hear of it.
 */
void cluster_init(void);

/*
 * Goodbye: another member takes over at once instead of after the time-out;
 * this one is a slave until it ends.  True if sessions go on without us, or are
 * not ours: false, and nothing has changed, on a master that no member follows
 * that has everything, and without a cluster.
 */
bool cluster_leave(void);
void cluster_exit(void);

enum cluster_role cluster_role(void);
/* Address (host byte order) of the master, 0 when none is known; ours too. */
uint32_t cluster_master(void);
/* Of ours on cluster_interface; 0 without a cluster. */
uint32_t cluster_address(void);

/* True on a master with at least one other member that follows the stream. */
bool cluster_followed(void);

/* --- the stream: from the master to everybody, in order ------------------ */

/* Types of records; a number is never used for something else again. */
enum cluster_record {
	CLUSTER_TUNNEL = 1,	/* replica.c: from here on */
	CLUSTER_TUNNEL_GONE = 2,
	CLUSTER_SESSION = 3,
	CLUSTER_SESSION_GONE = 4,
	CLUSTER_ADDRESS = 5,
	CLUSTER_ACCT = 6,
	CLUSTER_ACCT_GONE = 7,
	CLUSTER_COUNTERS = 8,
	CLUSTER_WALK_BEGIN = 9,
	CLUSTER_WALK_END = 10,
	CLUSTER_NUMBERS = 11,		/* of a tunnel: Ns, Nr, new messages */
	CLUSTER_BYTES = 32,	/* cluster_forward.c: from here on */
	CLUSTER_FROM_LAC = 33,
	CLUSTER_FROM_TUN = 34
};

/* A record is no longer than this. */
#define CLUSTER_RECORD_MAX	16384

/*
 * Puts a record into the stream.  It leaves at the end of the turn, or with
 * cluster_flush(), in as few datagrams as hold it, and before anything that
 * forward_send() has been given in this turn, so that whoever takes over knows
 * what a LAC or RADIUS has been told.  Kept for a while for members that missed
 * it.  On a master without members, and without a cluster, this does nothing.
 */
void cluster_stream(enum cluster_record, const uint8_t *body, size_t len);
void cluster_flush(void);

/*
 * One record to one member (0: to the master), now; not repeated when it is
 * lost.  False when it cannot be sent.
 */
bool cluster_send(uint32_t to, enum cluster_record, const uint8_t *body,
    size_t len);

/*
 * Counts changes of state, by which two masters are compared: all of them,
 * whether somebody follows or not.
 */
void cluster_count_changes(uint64_t n);

/* --- for `show cluster` -------------------------------------------------- */

struct cluster_row {
	uint32_t addr;
	int64_t basetime;		/* unix time of its start */
	uint64_t age;			/* ms since it was heard */
	bool master, up_to_date;
};
bool cluster_row(size_t i, struct cluster_row *);

struct cluster_status {
	enum cluster_role role;
	uint32_t address, master;
	uint64_t heartbeat_age;		/* ms; slave */
	uint64_t next;			/* sequence number: the next to be sent,
					 * or the next that is expected */
	uint64_t changes;		/* of state, ever */
	uint32_t peers;
	bool up_to_date;		/* slave */
	bool routes;			/* raised */
};
void cluster_status(struct cluster_status *);

#endif
