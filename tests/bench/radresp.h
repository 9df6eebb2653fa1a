/*
 * radresp.h - the parts of radresp
 *
 * radresp.c       options, sockets, what is answered, when and how badly
 * radresp_attr.c  attributes by name, for --attr and --accept-file
 * radresp_book.c  the ledger: every packet, every session, every fault
 */
#ifndef RADRESP_H
#define RADRESP_H

#include "bench.h"

#include <netinet/in.h>

#define RAD_MAX		4096
#define RAD_HEADER	20

enum {				/* codes, RFC 2865 3, 2866 3, 5997 */
	ACCESS_REQUEST = 1, ACCESS_ACCEPT = 2, ACCESS_REJECT = 3,
	ACCT_REQUEST = 4, ACCT_RESPONSE = 5, STATUS_SERVER = 12
};

/* A request as received; pointers go into the packet. */
struct request {
	const uint8_t *p;
	size_t n;
	struct sockaddr_in from;
	uint8_t code, id;
	const uint8_t *auth;			/* 16 octets */
	char user[256], session[256];
	struct in password, chap, challenge, class;
	const uint8_t *ma;			/* Message-Authenticator */
	bool ma_first, malformed;
	uint32_t status, cause, time, delay, nas_port, framed_ip;
	uint64_t in_octets, out_octets, in_packets, out_packets;
	bool has_status, has_session, has_octets, has_cause, has_nas,
	    has_credentials, has_timestamp;
};

/* ---- radresp_attr.c ---- */

/* One attribute to be added to an Access-Accept, as it is on the wire. */
struct attr {
	struct attr *next;
	size_t n;
	uint8_t bytes[255];
};

/* "Name=value", "TYPE=0xHEX" or "26.VENDOR.TYPE=..."; NULL if none such. */
struct attr *attr_parse(const char *text, const char **why);
void attr_append(struct attr **list, struct attr *a);

/* ---- radresp_book.c ---- */

/* What is remembered of one source port and identifier. */
struct slot {
	uint8_t auth[16];
	uint64_t last;			/* received */
	uint8_t *request, *reply;
	size_t request_n, reply_n;
	uint32_t pending;		/* replies waiting to be sent */
	uint32_t sent;			/* replies sent */
	struct account *account;	/* whose record this is */
	uint32_t status;
};

struct counters {
	uint64_t packets, bytes, auth_requests, acct_requests, status_requests,
	    accepts, rejects, responses, replies_lost, replies_doubled,
	    not_answered, auth_pap, auth_chap, auth_none;
	uint64_t starts, interims, stops, on, off, other_status;
	uint64_t retransmits, sources;
	uint64_t peak_100ms, peak_second;
	/* faults of the client */
	uint64_t malformed, unknown_code, ma_missing, ma_not_first, ma_wrong,
	    acct_auth_wrong, retransmit_changed, id_reused, auth_repeated,
	    no_session_id, no_status, no_nas, no_credentials, start_twice,
	    stop_twice, stop_before_start, interim_after_stop, octets_back,
	    time_back, class_wrong, stop_without_octets, stop_without_cause,
	    no_timestamp, password_wrong, user_empty;
};

extern struct counters C;

void book_open(const char *ledger);
/* The slot for a request; *dup when it is a retransmission. */
struct slot *book_slot(const struct request *r, uint64_t now, bool *dup);
/* An accounting request, not a retransmission. */
void book_account(const struct request *r, struct slot *s,
    const struct attr *class);
void book_answered(struct slot *s);
void book_line(const char *way, const struct request *r,
    const struct sockaddr_in *peer, uint8_t code, uint8_t id,
    const char *note);
void book_rate(uint64_t now);
void book_json(struct json *j);
void book_sessions(const char *path);
void book_flush(void);

#endif
