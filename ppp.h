/*
 * ppp.h - PPP over a session: phases, LCP, authentication, IPCP
 *
 * Built by ppp.c (phases and demultiplexing), ppp_cp.c (the RFC 1661
 * automaton), ppp_lcp.c, ppp_ipcp.c and ppp_auth.c.
 */
#ifndef PPP_H
#define PPP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timer.h"

struct session;

/* RFC 1661 section 3.2. */
enum ppp_phase {
	PPP_DEAD, PPP_ESTABLISH, PPP_AUTHENTICATE, PPP_NETWORK, PPP_TERMINATE
};

/* RFC 1661 section 4.2, in the order of the table of 4.1. */
enum cp_state {
	CP_INITIAL, CP_STARTING, CP_CLOSED, CP_STOPPED, CP_CLOSING,
	CP_STOPPING, CP_REQSENT, CP_ACKRCVD, CP_ACKSENT, CP_OPENED,
	CP_STATES
};

/* One control protocol's automaton; the ppp_*.c files own the contents. */
struct cp {
	uint8_t state;			/* enum cp_state */
	uint8_t id;			/* of our last Configure-Request */
	uint8_t term_id;		/* of our last Terminate-Request */
	uint8_t reject_id;		/* of our last Code/Protocol-Reject */
	uint8_t restart;		/* restart counter */
	uint8_t failures;		/* Naks sent in a row */
	uint8_t rejects;		/* rejects received in a row */
	uint32_t options_off;		/* bit n: our option row n is dropped */
	struct timer timer;		/* the Restart timer */
};

/* This node's PPP state of one session. */
struct ppp {
	uint8_t phase;			/* enum ppp_phase */
	uint8_t auth_index;		/* which of radius_authtypes we ask */
	uint8_t auth_id;		/* id of our CHAP Challenge */
	uint8_t auth_tries;		/* challenges or prompts sent */
	uint8_t auth_state;		/* ppp_auth.c's own */
	uint8_t echo_id;
	uint8_t peer_accm_seen;
	uint16_t auth_protocol;		/* agreed: 0xc023, 0xc223 or 0 */
	uint16_t our_mru, peer_mru;	/* octets; peer_mru bounds what we send */
	uint32_t magic, peer_magic;
	uint8_t challenge[16];
	uint8_t reply_id;		/* id of the request we answered last */
	uint8_t reply_len;		/* of reply[], 0: none yet */
	uint8_t reply[64];		/* Ack/Nak/Success/Failure, to repeat */
	uint64_t last_heard;		/* ms: anything at all from the peer */
	struct cp lcp, ipcp;
	struct timer echo_timer, auth_timer;
};

/* Starts LCP; the session is established and its flags are clean. */
void ppp_start(struct session *);

/*
 * One PPP frame that is not IPv4 data (those the data path handles):
 * address/control and protocol field already taken off.
 */
void ppp_input(struct session *, uint16_t protocol, const uint8_t *info,
    size_t len);

/*
 * The verdict on the credentials that ppp_auth handed to auth_start().
 * message goes to the peer (may be NULL).  On true the session has its
 * addresses set (session.ip, dns) and IPCP starts; on false the refusal is
 * sent, then LCP is closed and the session ends.
 */
void ppp_auth_result(struct session *, bool ok, const char *message);

/*
 * Sends one LCP Terminate-Request (if LCP is not down) without waiting for
 * the answer: the last word before a CDN.
 */
void ppp_goodbye(struct session *);

/* Disarms every timer; the session is about to be freed. */
void ppp_stop(struct session *);

/* Words for `show session` and the log. */
const char *ppp_phase_name(enum ppp_phase);
const char *cp_state_name(enum cp_state);

/*
 * The largest IP packet that may go to this peer: min(peer's MRU, what
 * l2tp_mtu leaves).  Octets.
 */
uint16_t ppp_mtu(const struct session *);

#endif
