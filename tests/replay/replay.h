/*
 * replay.h - what the parts of the replay engine share; see replay.c
 */
#ifndef REPLAY_H
#define REPLAY_H

#include "l2tpns.h"
#include "wire.h"

#define CALLS	8		/* sessions that one LAC plays */
#define WORDS	64

/* What one subscriber's end of a protocol remembers. */
struct memory {
	uint8_t sent_id, got_id;
	uint8_t body[PACKET_MAX];	/* of the last request we got */
	size_t len;
};

/* One call of a LAC, and the subscriber behind it. */
struct call {
	char name[32];
	uint16_t ours, theirs;	/* session ids: what we write to is theirs */
	uint32_t magic;
	uint16_t data_ns;
	struct memory lcp, ipcp, pap, chap, other;
};

/* A LAC: an address, and one tunnel at a time. */
struct lac {
	char name[32];
	struct peer peer;
	uint16_t ours, theirs;	/* tunnel ids */
	uint16_t ns, nr;
	uint64_t octets_out, octets_in;	/* to the daemon, from it, with IP */
	struct call calls[CALLS];
	struct call *call;
	uint8_t last[PACKET_MAX];	/* what it sent last, for `repeat` */
	size_t last_len;
	uint8_t got[32][PACKET_MAX];	/* by message type, for `again` */
	size_t got_len[32];
};

/* A datagram or packet that the daemon put out. */
struct captured {
	struct captured *next;
	uint64_t at;		/* ms since the start */
	bool tun;
	struct peer to;
	size_t len;
	uint8_t buf[PACKET_MAX];
};

/* A line of the script, cut into words. */
struct line {
	int n;
	char *word[WORDS];
	bool used[WORDS];
};

extern struct lac *lac;		/* the one that speaks */

/* Ends the run: the script's name and line, why, and what went before. */
void fail(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* The value of `key=`, variables put in, or NULL; false: no such flag. */
const char *arg(struct line *, const char *key);
bool flag(struct line *, const char *word);
uint64_t arg_number(struct line *, const char *key, uint64_t dflt);
void no_more_args(const struct line *);

/* The value of a word's part after `=`, put in for a variable. */
const char *value_of(const char *);
uint64_t number_of(const char *);
uint32_t address_of(const char *);
size_t bytes_of(const char *hex, uint8_t *dst, size_t size);

/*
 * Compares what came with what the script wants.  `$name` is set by its first
 * use and compared from then on; `*` is anything.
 */
void want_number(const char *what, const char *want, uint64_t got);
void want_bytes(const char *what, const char *want, const uint8_t *, size_t);
void want_text(const char *what, const char *want, const uint8_t *, size_t);

/* Gives the daemon a datagram of the LAC's, and finishes the turn. */
void put_datagram(const uint8_t *, size_t);
/* Gives it a packet from the TUN. */
void put_packet(const uint8_t *, size_t);

/* Control messages: is it a name of one (or a number), send it, expect it. */
bool l2tp_is_name(const char *);
void l2tp_send(struct line *);
void l2tp_expect(struct line *, const struct captured *);
/* Words for the transcript, from the bytes. */
void l2tp_describe(const uint8_t *, size_t, char *dst, size_t size);

/* PPP and IP in the same way. */
bool ppp_is_name(const char *);
void ppp_send(struct line *);
void ppp_expect(struct line *, const struct captured *);

#endif
