/*
 * ppp_lcp.c - the Link Control Protocol: its options and its extra codes
 *
 * The rows of options say everything that is negotiated about the link (RFC
 * 1661 6).  We ask for an MRU that leaves room for L2TP, for authentication,
 * and for a magic number.  We grant the peer any sane MRU, its magic number,
 * and the compression of address, control and protocol fields; its ACCM is
 * accepted and means nothing, as there is no async line here (RFC 2661 4.4).
 * What has no row (Quality, multilink, callback...) is rejected.
 *
 * Owns:     the LCP half of struct ppp: MRUs, magics, auth_index, flags.
 * Calls:    ppp_cp.c; ppp.c when the layer moves; session_send_ppp().
 * Lifetime: that of the session.
 */
#include "digest.h"
#include "log.h"
#include "ppp_int.h"
#include "ppp_proto.h"

static struct ppp *
ppp_of_lcp(const struct cp *cp)
{
	return timer_owner(cp, struct ppp, lcp);
}

static struct session *
lcp_session(const struct cp *cp)
{
	return ppp_session(ppp_of_lcp(cp));
}

static uint16_t
mru_limit(void)
{
	return (uint16_t)(lns.config.l2tp_mtu - PPP_L2TP_OVERHEAD);
}

/* Never 0: that stands for no magic number (RFC 1661 6.4). */
static uint32_t
new_magic(void)
{
	uint32_t magic;

	do
		magic = digest_random_u32();
	while (magic == 0);
	return magic;
}

void
lcp_begin(struct ppp *p)
{
	p->magic = new_magic();
	p->our_mru = mru_limit();
	p->auth_tried = 0;
	if (auth_choice(p->auth_index) == 0)
		p->auth_index = 0;
}

/* --- Maximum-Receive-Unit, RFC 1661 6.1 ------------------------------ */

static bool
request_mru(struct cp *cp, struct wr *w)
{
	wr_u16(w, ppp_of_lcp(cp)->our_mru);
	return true;
}

static enum cp_verdict
review_mru(struct cp *cp, struct rd *r, struct wr *better)
{
	uint16_t mru = rd_u16(r);

	if (!r->bad && mru >= PPP_MRU_MIN) {
		ppp_of_lcp(cp)->peer_mru = mru;
		return CP_ACK;
	}
	wr_u16(better, mru_limit());
	return CP_NAK;
}

static void
rejected_mru(struct cp *cp)
{
	ppp_of_lcp(cp)->our_mru = PPP_MRU;
}

/* Less is fine.  For more we would have to fragment: then the default. */
static void
nakked_mru(struct cp *cp, struct rd *r)
{
	struct ppp *p = ppp_of_lcp(cp);
	uint16_t mru = rd_u16(r);

	if (!r->bad && mru >= PPP_MRU_MIN && mru < p->our_mru) {
		p->our_mru = mru;
		return;
	}
	cp_drop_option(cp, LCP_MRU);
	rejected_mru(cp);
}

/* --- Async-Control-Character-Map, RFC 1662 7.1 ----------------------- */

static enum cp_verdict
review_accm(struct cp *cp, struct rd *r, struct wr *better)
{
	(void)cp;
	rd_u32(r);
	if (!r->bad)
		return CP_ACK;
	wr_u32(better, 0);
	return CP_NAK;
}

/* --- Authentication-Protocol, RFC 1661 6.2 --------------------------- */

static bool
request_auth(struct cp *cp, struct wr *w)
{
	uint16_t protocol = auth_choice(ppp_of_lcp(cp)->auth_index);

	if (protocol == 0)
		return false;
	wr_u16(w, protocol);
	if (protocol == PPP_CHAP)
		wr_u8(w, CHAP_MD5);
	return true;
}

static void
finish_looped(struct cp *cp)
{
	ppp_finish(lcp_session(cp), CAUSE_PORT_ERROR,
	    "the line is looped back");
}

/* On a looped line it was us who refused to authenticate to ourselves. */
static void
rejected_auth(struct cp *cp)
{
	if (ppp_of_lcp(cp)->loops > 0)
		finish_looped(cp);
	else
		ppp_finish(lcp_session(cp), CAUSE_USER_ERROR,
		    "the peer refuses to authenticate");
}

/* Was the nth choice not refused yet, and is it this protocol (0: any)? */
static bool
auth_possible(const struct ppp *p, unsigned int n, uint16_t protocol)
{
	return (p->auth_tried & 1u << n) == 0 &&
	    (protocol == 0 || auth_choice(n) == protocol);
}

static bool
choose_auth(struct ppp *p, uint16_t protocol)
{
	unsigned int n;

	for (n = 0; n < 8 && auth_choice(n) != 0; n++)
		if (auth_possible(p, n, protocol)) {
			p->auth_index = (uint8_t)n;
			return true;
		}
	return false;
}

/* What the peer suggests, if we allow it; else the next of our list. */
static void
nakked_auth(struct cp *cp, struct rd *r)
{
	struct ppp *p = ppp_of_lcp(cp);
	uint16_t wanted = rd_u16(r);

	if (wanted == PPP_CHAP && rd_u8(r) != CHAP_MD5)
		r->bad = true;		/* MS-CHAP is none of ours */
	p->auth_tried |= (uint8_t)(1u << p->auth_index);
	if (!r->bad && wanted != 0 && choose_auth(p, wanted))
		return;
	if (!choose_auth(p, 0))
		rejected_auth(cp);
}

/* --- Magic-Number, RFC 1661 6.4 -------------------------------------- */

static bool
request_magic(struct cp *cp, struct wr *w)
{
	wr_u32(w, ppp_of_lcp(cp)->magic);
	return true;
}

static enum cp_verdict
review_magic(struct cp *cp, struct rd *r, struct wr *better)
{
	struct ppp *p = ppp_of_lcp(cp);
	uint32_t magic = rd_u32(r);

	if (!r->bad && magic != 0 && magic != p->magic) {
		p->peer_magic = magic;
		p->loops = 0;
		return CP_ACK;
	}
	/* Our own number back: by chance once, looped if again and again. */
	if (!r->bad && magic != 0 && ++p->loops >= lns.config.ppp_max_failure)
		finish_looped(cp);
	wr_u32(better, new_magic());
	return CP_NAK;
}

static void
nakked_magic(struct cp *cp, struct rd *r)
{
	(void)r;
	ppp_of_lcp(cp)->magic = new_magic();
}

static void
rejected_magic(struct cp *cp)
{
	ppp_of_lcp(cp)->magic = 0;
}

/* --- PFC and ACFC, RFC 1661 6.5 and 6.6 --------------------------------- */

static enum cp_verdict
review_flag(struct cp *cp, const struct rd *r, uint16_t flag)
{
	if (r->bad)
		return CP_NAK;		/* with the right length, 2 */
	ppp_of_lcp(cp)->peer_flags |= flag;
	return CP_ACK;
}

static enum cp_verdict
review_pfc(struct cp *cp, struct rd *r, struct wr *better)
{
	(void)better;
	return review_flag(cp, r, SF_PFC);
}

static enum cp_verdict
review_acfc(struct cp *cp, struct rd *r, struct wr *better)
{
	(void)better;
	return review_flag(cp, r, SF_ACFC);
}

static const struct cp_option lcp_options[] = {
	{ LCP_MRU, 2, false, "MRU",
	  request_mru, review_mru, nakked_mru, rejected_mru },
	{ LCP_ACCM, 4, false, "ACCM", NULL, review_accm, NULL, NULL },
	{ LCP_AUTH, 3, false, "auth",
	  request_auth, NULL, nakked_auth, rejected_auth },
	{ LCP_MAGIC, 4, false, "magic",
	  request_magic, review_magic, nakked_magic, rejected_magic },
	{ LCP_PFC, 0, false, "PFC", NULL, review_pfc, NULL, NULL },
	{ LCP_ACFC, 0, false, "ACFC", NULL, review_acfc, NULL, NULL },
};

/* What a new Configure-Request does not mention is as by default. */
static void
lcp_review(struct cp *cp)
{
	struct ppp *p = ppp_of_lcp(cp);

	p->peer_mru = PPP_MRU;
	p->peer_magic = 0;
	p->peer_flags = 0;
}

/* --- the layer moves ------------------------------------------------- */

static void
lcp_up(struct cp *cp)
{
	struct session *s = lcp_session(cp);
	struct ppp *p = ppp_of_lcp(cp);

	p->auth_protocol = auth_choice(p->auth_index);
	s->flags = (uint16_t)(s->flags | p->peer_flags);
	log_line(LOG_L_INFO, s->tid, s->sid, "LCP is up: MRU %u, ours %u, "
	    "%s%s%s", p->peer_mru, p->our_mru,
	    p->auth_protocol == PPP_PAP ? "PAP" : "CHAP",
	    p->peer_flags & SF_ACFC ? ", ACFC" : "",
	    p->peer_flags & SF_PFC ? ", PFC" : "");
	ppp_lcp_up(s);
}

static void
lcp_down(struct cp *cp)
{
	struct session *s = lcp_session(cp);

	s->flags &= (uint16_t)~(SF_ACFC | SF_PFC);
	ppp_lcp_down(s);
	lcp_begin(ppp_of_lcp(cp));
}

static void
lcp_finished(struct cp *cp)
{
	static const struct {
		enum terminate_cause cause;
		const char *reason;
	} why[] = {
		[CP_WHY_SILENT] = { CAUSE_LOST_CARRIER,
		    "no answer to LCP Configure-Request" },
		[CP_WHY_ENDLESS] = { CAUSE_USER_ERROR,
		    "LCP does not come to an agreement" },
		[CP_WHY_PEER] = { CAUSE_USER_REQUEST,
		    "the peer ended the connection" },
		[CP_WHY_REFUSED] = { CAUSE_USER_ERROR,
		    "the peer rejects LCP" },
	};

	ppp_lcp_finished(lcp_session(cp), why[cp->why].cause,
	    why[cp->why].reason);
}

/* --- codes past Code-Reject ------------------------------------------ */

static void
recv_Protocol_Reject(struct cp *cp, const struct ppp_packet *pkt)
{
	uint16_t protocol;

	if (!protocol_reject_decode(pkt, &protocol)) {
		COUNT(ppp_rx_malformed);
		return;
	}
	/* RFC 1661 5.7: only while LCP is Opened. */
	if (cp->state == CP_OPENED)
		ppp_protocol_rejected(lcp_session(cp), protocol);
	else
		COUNT(ppp_rx_unexpected);
}

static bool
lcp_extra(struct cp *cp, const struct ppp_packet *pkt)
{
	switch (pkt->code) {
	case PROTOCOL_REJECT:
		recv_Protocol_Reject(cp, pkt);
		return true;
	case ECHO_REQUEST:
	case ECHO_REPLY:
	case DISCARD_REQUEST:
		cp_echo(cp, pkt);
		return true;
	case IDENTIFICATION:		/* RFC 1570 2: for the records only */
	case TIME_REMAINING:
		return true;
	default:
		return false;
	}
}

bool
lcp_looped(const struct ppp *p, const void *info, size_t len)
{
	struct ppp_packet pkt;
	struct lcp_echo echo;

	return p->magic != 0 && ppp_packet_decode(&pkt, info, len) &&
	    pkt.code == ECHO_REQUEST && lcp_echo_decode(&pkt, &echo) &&
	    echo.magic == p->magic;
}

/* In Opened only.  A reply needs no work: that it came is what counts. */
static void
lcp_echo(struct cp *cp, const struct ppp_packet *pkt)
{
	uint8_t buf[PACKET_MAX];
	struct session *s = lcp_session(cp);
	struct ppp *p = ppp_of_lcp(cp);
	struct lcp_echo echo;
	size_t len;

	if (!lcp_echo_decode(pkt, &echo)) {
		COUNT(ppp_rx_malformed);
		return;
	}
	if (pkt->code != ECHO_REQUEST)
		return;
	echo.magic = p->magic;
	len = lcp_echo_encode(buf, ppp_mtu(s), ECHO_REPLY, pkt->id, &echo);
	session_send_ppp(s, PPP_LCP, buf, len);
}

void
lcp_send_echo_request(struct session *s)
{
	struct ppp *p = ppp_of(s);
	struct lcp_echo echo = { .magic = p->magic };
	uint8_t buf[16];
	size_t len;

	len = lcp_echo_encode(buf, sizeof(buf), ECHO_REQUEST, ++p->echo_id,
	    &echo);
	session_send_ppp(s, PPP_LCP, buf, len);
}

void
lcp_reject_protocol(struct session *s, uint16_t protocol, const void *info,
    size_t len)
{
	uint8_t buf[PACKET_MAX];

	len = protocol_reject_encode(buf, ppp_mtu(s),
	    ++ppp_of(s)->lcp.reject_id, protocol, info, len);
	session_send_ppp(s, PPP_LCP, buf, len);
}

const struct cp_ops lcp_ops = {
	.name = "LCP",
	.protocol = PPP_LCP,
	.options = lcp_options,
	.noptions = sizeof(lcp_options) / sizeof(lcp_options[0]),
	.session = lcp_session,
	.review = lcp_review,
	.up = lcp_up,
	.down = lcp_down,
	.finished = lcp_finished,
	.extra = lcp_extra,
	.echo = lcp_echo,
};
