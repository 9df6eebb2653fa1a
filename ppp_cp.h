/*
 * ppp_cp.h - the option negotiation automaton of RFC 1661 section 4
 *
 * A control protocol is a constant `struct cp_ops` with its rows of options,
 * and a `struct cp` (ppp.h) a session.  Used by LCP and IPCP.
 */
#ifndef PPP_CP_H
#define PPP_CP_H

#include "ppp.h"
#include "ppp_opt.h"
#include "wire.h"

/* RFC 1661 4.3, in the order of the table of 4.1. */
enum cp_event {
	CP_UP, CP_DOWN, CP_OPEN, CP_CLOSE, CP_TO_PLUS, CP_TO_MINUS,
	CP_RCR_PLUS, CP_RCR_MINUS, CP_RCA, CP_RCN, CP_RTR, CP_RTA,
	CP_RUC, CP_RXJ_PLUS, CP_RXJ_MINUS, CP_RXR,
	CP_EVENTS
};

/* What to say to one option of the peer's Configure-Request. */
enum cp_verdict { CP_ACK, CP_NAK, CP_REJECT };

/*
 * One option.  All but type and name may be missing: an option that is not
 * requested is never Naked or rejected to us, one that is not reviewed is
 * rejected when the peer asks for it.
 */
struct cp_option {
	uint8_t type;
	uint8_t len;		/* of the value */
	bool needed;		/* Nak a request that does not have it */
	const char *name;
	/* Writes the value for our Configure-Request; must say the same
	 * until it is Naked.  False: not this time. */
	bool (*request)(struct cp *, struct wr *);
	/* The peer's value, bad if its length is wrong or it is missing.
	 * Keeps it on CP_ACK, writes a better one into wr on CP_NAK. */
	enum cp_verdict (*review)(struct cp *, struct rd *, struct wr *);
	/* The peer wants another value of us. */
	void (*nakked)(struct cp *, struct rd *);
	/* The peer wants nothing of it; it is not requested again. */
	void (*rejected)(struct cp *);
};

/* Why the automaton finished by itself (cp.why). */
enum cp_why {
	CP_WHY_SILENT,		/* no answer to our Configure-Requests */
	CP_WHY_ENDLESS,		/* answers, but no agreement */
	CP_WHY_PEER,		/* Terminate-Request */
	CP_WHY_REFUSED		/* Code-Reject or Protocol-Reject (RXJ-) */
};

struct cp_ops {
	const char *name;		/* "LCP" */
	uint16_t protocol;
	const struct cp_option *options;	/* 32 at most */
	size_t noptions;
	struct session *(*session)(const struct cp *);
	void (*review)(struct cp *);	/* a review begins: forget the last */
	void (*up)(struct cp *);	/* tlu */
	void (*down)(struct cp *);	/* tld; cp->state is the next one */
	void (*finished)(struct cp *);	/* tlf */
	/* Codes past Code-Reject; false: not known to this protocol. */
	bool (*extra)(struct cp *, const struct ppp_packet *);
	/* ser: the Echo-Request, Echo-Reply or Discard-Request, in Opened. */
	void (*echo)(struct cp *, const struct ppp_packet *);
};

/* Makes it ready in Initial.  The struct is all zero or was used before. */
void cp_init(struct cp *, const struct cp_ops *);

/* An event that is not a packet: CP_UP, CP_DOWN, CP_OPEN, CP_CLOSE, RXJ. */
void cp_event(struct cp *, enum cp_event);

/* RXR: for `extra` to hand back what `echo` is to see in Opened. */
void cp_echo(struct cp *, const struct ppp_packet *);

/* A packet of this protocol: the information field of its frame. */
void cp_input(struct cp *, const void *info, size_t len);

/* Sends a Terminate-Request, whatever the state, and changes nothing. */
void cp_terminate(struct cp *);

/* After cp_init(): Opened at once, its last request answered long ago. */
void cp_resume(struct cp *, uint8_t id, uint8_t reject_id,
    uint32_t options_off);

/* Disarms the timer and goes back to Initial without a word. */
void cp_stop(struct cp *);

/* Our option of that type was dropped because the peer rejected it. */
bool cp_option_off(const struct cp *, uint8_t type);
void cp_drop_option(struct cp *, uint8_t type);

/*
 * The cell of the table as the RFC prints it: "irc,scr/6", "-".  Names of
 * events are "Up", "RCR+" and so on.  dst gets at most CP_CELL bytes.
 */
#define CP_CELL		64
const char *cp_cell_text(enum cp_event, enum cp_state, char dst[CP_CELL]);
const char *cp_event_name(enum cp_event);

#endif
