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

struct cp_ops;

/* One control protocol's automaton; ppp_cp.c owns the contents. */
struct cp {
	const struct cp_ops *ops;
	uint8_t state;			/* enum cp_state */
	uint8_t id;			/* of our last request */
	uint8_t reject_id;		/* of our last Code/Protocol-Reject */
	uint8_t why;			/* enum cp_why, once finished */
	bool answered;			/* that request has been replied to */
	uint16_t restart;		/* restart counter */
	uint16_t requests;		/* sent since not open; */
	uint16_t credit;		/* of these, Naked or rejected */
	uint16_t failures;		/* Naks sent in a row, */
	uint8_t refused_id;		/* the last of them to this id */
	uint32_t options_off;		/* bit n: our option row n is dropped */
	struct timer timer;		/* the Restart timer */
};

/* This node's PPP state of one session. */
struct ppp {
	/* What a keepalive touches: one cache line (session_local's first). */
	struct timer echo_timer;
	uint64_t last_heard;		/* ms: anything at all from the peer */
	uint32_t sid;			/* whose it is */
	uint32_t magic;			/* 0: none agreed */
	uint32_t rx_seen;		/* low half of session.rx_packets */
	uint32_t input_second;
	uint16_t input_count;		/* packets in this second */
	uint16_t peer_mru;		/* octets; bounds our sending */
	uint8_t phase;			/* enum ppp_phase */
	uint8_t echo_id;

	uint8_t end_cause;		/* enum terminate_cause, or 0 */
	uint8_t loops;			/* requests seen with our own magic */
	uint8_t flaps;			/* openings of LCP that did not last */
	uint8_t address_naks;		/* the peer dislikes our address */
	uint8_t auth_index;		/* which of radius_authtypes we ask */
	uint8_t auth_tried;		/* bit n: the peer refused the nth */
	uint8_t auth_state;		/* ppp_auth.c's own */
	uint8_t auth_id;		/* id of our CHAP Challenge */
	uint8_t auth_tries;		/* challenges sent */
	uint8_t reply_id;		/* id of the request being answered */
	uint8_t reply_len;		/* of reply[], 0: none yet */
	uint16_t auth_protocol;		/* agreed: 0xc023, 0xc223 or 0 */
	uint16_t our_mru;		/* octets */
	uint16_t peer_flags;		/* SF_ACFC, SF_PFC: asked for by it */
	uint32_t peer_magic;		/* 0: none agreed */
	uint32_t user_mark;		/* digest of the user's name, 0: none */
	uint8_t challenge[16];
	uint8_t reply[64];		/* Ack or Success, to repeat */
	const char *end_reason;		/* static text, or NULL */
	uint64_t opened;		/* ms: LCP last came up */
	struct cp lcp, ipcp;
	struct timer auth_timer;
};

/* Once, after timers_init(). */
void ppp_init(void);

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

/*
 * Why PPP is coming down already (enum terminate_cause): the peer sent a
 * Terminate-Request, or we had a reason of our own.  0: it is not.
 */
int ppp_ending(const struct session *);

/* Disarms every timer; the session is about to be freed. */
void ppp_stop(struct session *);

/* What an open link needs to go on in another process. */
struct ppp_carry {
	uint32_t magic, peer_magic;
	uint16_t our_mru, peer_mru;
	uint16_t auth_protocol, peer_flags;
	uint8_t lcp_id, lcp_reject_id, ipcp_id, ipcp_reject_id;
	uint32_t lcp_options_off, ipcp_options_off;
	uint8_t echo_id, auth_index, auth_id, reply_id, reply_len;
	uint8_t reply[64];
	uint32_t user_mark;
	uint64_t silent;		/* ms since the peer was heard */
};

/* False when IPCP is not Opened: there is nothing to go on with. */
bool ppp_export(const struct session *, struct ppp_carry *);

/* The same of a link in any state; when it is not open, only who it is. */
void ppp_copy(const struct session *, struct ppp_carry *, bool open);

/*
 * For a server that has a copy: the link is what carry says, open or not, and
 * nothing runs until ppp_wake(): then an open link goes on, another begins
 * anew.  ppp_rest() is the other way round.
 */
void ppp_mirror(struct session *, const struct ppp_carry *, bool open);
void ppp_wake(struct session *);
void ppp_rest(struct session *);

/* The link is open, as if LCP, login and IPCP had just been through. */
void ppp_resume(struct session *, const struct ppp_carry *);

/* Words for `show session` and the log. */
const char *ppp_phase_name(enum ppp_phase);
const char *cp_state_name(enum cp_state);

/*
 * The largest IP packet that may go to this peer: min(peer's MRU, what
 * l2tp_mtu leaves).  Octets.
 */
uint16_t ppp_mtu(const struct session *);

#endif
