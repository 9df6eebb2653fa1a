/*
 * ppp_ipcp.c - the IP Control Protocol: addresses and DNS (RFC 1332, 1877)
 *
 * The subscriber gets session.ip and no other: whatever else it asks for, or
 * if it asks for nothing, is answered by a Nak with that address.  We tell it
 * our own (tun_peer_address()).  DNS servers are given to those who ask, as
 * far as we have some.  Header compression and NBNS have no row: rejected.
 *
 * Owns:     nothing beyond its struct cp.
 * Calls:    ppp_cp.c; session_network_up() and _down() above; ppp_finish().
 * Lifetime: that of the session; runs in phase Network only.
 */
#include "log.h"
#include "ppp_int.h"
#include "ppp_proto.h"
#include "tun.h"

static struct ppp *
ppp_of_ipcp(const struct cp *cp)
{
	return timer_owner(cp, struct ppp, ipcp);
}

static struct session *
ipcp_session(const struct cp *cp)
{
	return ppp_session(ppp_of_ipcp(cp));
}

/* RFC 1332 3.3. */
static bool
request_address(struct cp *cp, struct wr *w)
{
	(void)cp;
	wr_u32(w, tun_peer_address());
	return true;
}

/*
 * The peer would have us be someone else.  We say the same once more, then
 * leave it to the peer: no packet depends on what it takes us for.
 */
static void
nakked_address(struct cp *cp, struct rd *r)
{
	(void)r;
	if (++ppp_of_ipcp(cp)->address_naks >= 2)
		cp_drop_option(cp, IPCP_ADDRESS);
}

/* The one right value of an option, and none if it is 0. */
static enum cp_verdict
review_fixed(struct rd *r, struct wr *better, uint32_t right)
{
	uint32_t value = rd_u32(r);

	if (right == 0)
		return CP_REJECT;
	if (!r->bad && value == right)
		return CP_ACK;
	wr_u32(better, right);
	return CP_NAK;
}

static enum cp_verdict
review_address(struct cp *cp, struct rd *r, struct wr *better)
{
	return review_fixed(r, better, ipcp_session(cp)->ip);
}

/* RFC 1877 1.1 and 1.3. */
static enum cp_verdict
review_dns1(struct cp *cp, struct rd *r, struct wr *better)
{
	return review_fixed(r, better, ipcp_session(cp)->dns1);
}

static enum cp_verdict
review_dns2(struct cp *cp, struct rd *r, struct wr *better)
{
	return review_fixed(r, better, ipcp_session(cp)->dns2);
}

static const struct cp_option ipcp_options[] = {
	{ IPCP_ADDRESS, 4, true, "address",
	  request_address, review_address, nakked_address, NULL },
	{ IPCP_DNS1, 4, false, "DNS 1", NULL, review_dns1, NULL, NULL },
	{ IPCP_DNS2, 4, false, "DNS 2", NULL, review_dns2, NULL, NULL },
};

static void
ipcp_up(struct cp *cp)
{
	ppp_of_ipcp(cp)->address_naks = 0;
	session_network_up(ipcp_session(cp));
}

static void
ipcp_down(struct cp *cp)
{
	ppp_of_ipcp(cp)->address_naks = 0;
	session_network_down(ipcp_session(cp));
}

/* There is no other network protocol: without this one the link is idle. */
static void
ipcp_finished(struct cp *cp)
{
	static const struct {
		enum terminate_cause cause;
		const char *reason;
	} why[] = {
		[CP_WHY_SILENT] = { CAUSE_LOST_CARRIER,
		    "no answer to IPCP Configure-Request" },
		[CP_WHY_ENDLESS] = { CAUSE_USER_ERROR,
		    "IPCP does not come to an agreement" },
		[CP_WHY_PEER] = { CAUSE_USER_REQUEST, "the peer closed IPCP" },
		[CP_WHY_REFUSED] = { CAUSE_USER_ERROR,
		    "the peer rejects IPCP" },
	};

	ppp_finish(ipcp_session(cp), why[cp->why].cause, why[cp->why].reason);
}

const struct cp_ops ipcp_ops = {
	.name = "IPCP",
	.protocol = PPP_IPCP,
	.options = ipcp_options,
	.noptions = sizeof(ipcp_options) / sizeof(ipcp_options[0]),
	.session = ipcp_session,
	.up = ipcp_up,
	.down = ipcp_down,
	.finished = ipcp_finished,
};
