/*
 * cluster_wire.h - the datagrams that members of a cluster exchange
 *
 * Integers are in network byte order, lengths in octets.
 *
 *	 0                   1                   2                   3
 *	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *	+---------------+---------------+---------------+---------------+
 *	|      'L'      |      'N'      |      'S'      |      'C'      |
 *	+---------------+---------------+---------------+---------------+
 *	|    version    |     kind      |         0, not looked at      |
 *	+---------------+---------------+---------------+---------------+
 *	|  cluster: bind_address, which all members have in common      |
 *	+---------------------------------------------------------------+
 *	|  from: the sender's own address                               |
 *	+---------------------------------------------------------------+
 *	|  to: the receiver's own address, or 0 for everybody           |
 *	+---------------------------------------------------------------+
 *	|  epoch: random, made when the sender's process began (64)     |
 *	|                                                               |
 *	+---------------------------------------------------------------+
 *	|  number: of this datagram, of all that the epoch has sent,    |
 *	|  from 1 (64)                                                  |
 *	+---------------+---------------+---------------+---------------+
 *	|             type              |            length             |
 *	+---------------+---------------+---------------+---------------+
 *	|  value ...                                     and more fields
 *	+---------------------------------------------------------------+
 *	|  MAC: HMAC-SHA256 with cluster_secret over everything before  |
 *	|  it, the first 128 bits                                       |
 *	+---------------------------------------------------------------+
 *
 * Fields up to 255 are records (enum cluster_record); the others are below.
 * What has been added to the end of a field, and fields of unknown type, are
 * passed over, so that a release may add some without a new version.
 */
#ifndef CLUSTER_WIRE_H
#define CLUSTER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define CW_VERSION		1
#define CW_HEAD			36
#define CW_MAC			16
#define CW_FIELD		4	/* type and length of a field */

/* What a record of CLUSTER_RECORD_MAX and the rest need. */
#define CW_DATAGRAM_MAX		17408

/* Other members that one state names, ranges that one request names. */
#define CW_MEMBERS_MAX		32
#define CW_RANGES_MAX		32

/* Numbers that will never mean something else. */
enum cw_kind {
	CW_PING = 1,		/* of a slave: STATE, MEMBERS */
	CW_HEARTBEAT = 2,	/* of the master: STATE, MEMBERS */
	CW_STREAM = 3,		/* of the master: STREAM, then records */
	CW_RESEND = 4,		/* to the master: RESEND */
	CW_RECORD = 5,		/* one record, outside of the stream */
	CW_KINDS
};

enum cw_field {
	CW_F_STATE = 256,
	CW_F_MEMBERS = 257,
	CW_F_STREAM = 258,
	CW_F_RESEND = 259
};

struct cw_head {
	uint8_t kind;
	uint32_t cluster, from, to;
	uint64_t epoch, number;
};

enum cw_result {
	CW_OK,
	CW_SHORT,		/* or no datagram of ours at all */
	CW_OTHER_VERSION,
	CW_FORGED		/* the MAC is not that of our secret */
};

/*
 * Checks a whole datagram, its MAC first of all that it says; *body are its
 * fields.  Nothing is written unless CW_OK.
 */
enum cw_result cw_open(const uint8_t *buf, size_t len, const char *secret,
    struct cw_head *, struct rd *body);

/* The next field; false at the end, and when body has become bad. */
bool cw_next(struct rd *body, uint16_t *type, struct rd *value);

/*
 * Begins a datagram in w, whose room should be CW_DATAGRAM_MAX; fields follow,
 * and cw_seal() appends the MAC.  The length of all, or 0 if it did not fit.
 */
void cw_begin(struct wr *, const struct cw_head *);
size_t cw_seal(struct wr *, const char *secret);

/* A field with these octets. */
void cw_put(struct wr *, uint16_t type, const void *value, size_t len);

/* cw_state.flags */
#define CW_UP_TO_DATE	0x0001	/* has everything */
#define CW_WANTS_WALK	0x0002	/* has not, and no walk is under way */
#define CW_WANTS_REPLY	0x0004	/* send me a heartbeat */
#define CW_HAS_ROUTES	0x0008	/* routers send it packets */
#define CW_LEAVING	0x0010	/* is about to end: never elect it */

/* What pings and heartbeats say of their sender. */
struct cw_state {
	uint16_t flags;
	uint16_t interval, timeout;	/* as configured, 0.1 s */
	uint64_t uptime;		/* ms */
	int64_t basetime;		/* unix time of its start, to be shown */
	uint64_t changes;		/* of state, ever */
	uint32_t master;		/* whom it follows; 0: nobody */
	uint32_t master_age;		/* ms since he was heard */
	/*
	 * The stream: of which reign of its master, and which number comes
	 * next, to be sent or to be seen.  A master also says which is the
	 * oldest that can still be asked for.
	 */
	uint32_t reign;
	uint64_t next, oldest;
	uint64_t challenge;	/* to be said back: see cluster_member.h */
};
void cw_put_state(struct wr *, const struct cw_state *);
bool cw_get_state(struct rd *value, struct cw_state *);

/* Who is heard: an address, and the epoch and challenge that it said. */
struct cw_member {
	uint32_t addr;
	uint64_t epoch, challenge;
};
void cw_put_members(struct wr *, const struct cw_member *, size_t n);
/* The next of them; false at the end. */
bool cw_get_member(struct rd *value, struct cw_member *);

/* In front of the records of the stream. */
struct cw_stream {
	uint32_t reign;
	uint64_t seq;
	uint64_t changes;
};
void cw_put_stream(struct wr *, const struct cw_stream *);
bool cw_get_stream(struct rd *value, struct cw_stream *);

/* What is missing of a reign's stream: datagrams from, from + 1 ... */
struct cw_range {
	uint64_t from;
	uint32_t count;
};
void cw_put_resend(struct wr *, uint32_t reign, const struct cw_range *,
    size_t n);
bool cw_get_reign(struct rd *value, uint32_t *reign);
/* After that, the next of them; false at the end. */
bool cw_get_range(struct rd *value, struct cw_range *);

/*
 * Which numbers of an epoch have come: the highest, and the ones close below
 * it.  All zero: none.
 */
#define CW_WINDOW	1024
struct cw_window {
	uint64_t top;
	uint64_t seen[CW_WINDOW / 64];
};
/* From this number on: it, and all before, count as having come. */
void cw_window_begin(struct cw_window *, uint64_t number);
/* False: it has come before, or is too old to tell.  Else remembers it. */
bool cw_window_take(struct cw_window *, uint64_t number);

#endif
