/*
 * ppp_int.h - what the files of PPP say to each other, and to nobody else
 *
 * ppp.c knows the phases, ppp_lcp.c and ppp_ipcp.c the options, ppp_auth.c
 * PAP and CHAP.
 */
#ifndef PPP_INT_H
#define PPP_INT_H

#include "l2tpns.h"
#include "ppp_cp.h"
#include "session.h"
#include "table.h"

/* --- ppp.c --- */

static inline struct ppp *
ppp_of(const struct session *s)
{
	return &session_local(s)->ppp;
}

static inline struct session *
ppp_session(const struct ppp *p)
{
	return session_by_sid(p->sid);
}

/* What LCP tells: it is Opened, is so no longer, has finished. */
void ppp_lcp_up(struct session *);
void ppp_lcp_down(struct session *);
void ppp_lcp_finished(struct session *, enum terminate_cause,
    const char *reason);

/* The peer is authenticated: NCPs may begin. */
void ppp_network_begin(struct session *);

/* Closes LCP, then the session ends for this reason (the first one counts). */
void ppp_finish(struct session *, enum terminate_cause, const char *reason);

/* A Protocol-Reject came for one of our protocols (RFC 1661 5.7). */
void ppp_protocol_rejected(struct session *, uint16_t protocol);

/* --- ppp_lcp.c --- */

extern const struct cp_ops lcp_ops;

/* Fresh values for our side of a negotiation. */
void lcp_begin(struct ppp *);

/* Sends a Protocol-Reject, cut to the peer's MRU (RFC 1661 5.7). */
void lcp_reject_protocol(struct session *, uint16_t protocol,
    const void *info, size_t len);

void lcp_send_echo_request(struct session *);

/*
 * Is this LCP packet an Echo-Request of our own?  A reply with our magic number
 * is none: we never answer ourselves, so somebody has made it, and there are
 * peers that send everything back but the code.
 */
bool lcp_looped(const struct ppp *, const void *info, size_t len);

/* --- ppp_ipcp.c --- */

extern const struct cp_ops ipcp_ops;

/* --- ppp_auth.c --- */

/* The nth protocol of radius_authtypes, from 0; 0 past the end. */
uint16_t auth_choice(unsigned int n);

/* Phase Authenticate begins, with ppp.auth_protocol. */
void auth_begin(struct session *);

/* Forgets everything but who it was. */
void auth_end(struct session *);

/* The peer has sent something else: it knows that it is let in. */
void auth_was_heard(struct session *);

/* The peer was let in, by another process. */
void auth_resume(struct session *, const struct ppp_carry *);

/* A packet of the agreed protocol. */
void auth_input(struct session *, const void *info, size_t len);

#endif
