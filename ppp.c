/*
 * ppp.c - PPP over a session: the phases of a link (RFC 1661 3)
 *
 *	Dead -> Establish -> Authenticate -> Network -> Terminate -> Dead
 *	           LCP         PAP, CHAP       IPCP        LCP
 *
 * Here frames find their protocol, and here is what holds in which phase:
 * before LCP is Opened nothing but LCP counts, before the verdict no network
 * protocol; an authentication protocol that was not agreed on is not parsed
 * in any phase.  A protocol that we do not have is refused by name, and that
 * is all that comes of it.
 *
 * LCP Echo finds out who is gone.  Whatever the peer sends shows that it is
 * there.  User packets do not come through here, so the keepalive looks at
 * the session's count of them.
 *
 * Owns:     struct ppp; of struct session the flags SF_ACFC and SF_PFC.
 * Calls:    session_network_up/down(), session_ppp_finished() above;
 *	     session_send_ppp().
 * Lifetime: ppp_start() when the call is up, ppp_stop() before the slot goes.
 */
#include <string.h>

#include "digest.h"
#include "log.h"
#include "ppp_int.h"
#include "ppp_proto.h"

/*
 * A subscriber may send so many control packets a second; of more it gets no
 * answer.  Far above what any link needs, far below what would be felt.
 */
#define INPUT_RATE	200

/*
 * Keepalives leave together that would have left within so many ms: with
 * thousands of sessions, one packet to a LAC instead of many.
 */
#define ECHO_STEP	50

/* LCP that opens over and over, each time for less than this, is ended. */
#define FLAP_TIME	(60 * 1000)

static const char *const phase_names[] = {
	[PPP_DEAD] = "Dead", [PPP_ESTABLISH] = "Establish",
	[PPP_AUTHENTICATE] = "Authenticate", [PPP_NETWORK] = "Network",
	[PPP_TERMINATE] = "Terminate"
};

const char *
ppp_phase_name(enum ppp_phase phase)
{
	return phase <= PPP_TERMINATE ? phase_names[phase] : "?";
}

static void
ppp_set_phase(struct session *s, enum ppp_phase phase)
{
	struct ppp *p = ppp_of(s);

	if (p->phase != phase)
		log_line(LOG_L_CALL, s->tid, s->sid, "PPP: %s -> %s",
		    phase_names[p->phase], phase_names[phase]);
	p->phase = (uint8_t)phase;
}

uint16_t
ppp_mtu(const struct session *s)
{
	const struct ppp *p = ppp_of(s);
	uint16_t path = (uint16_t)(lns.config.l2tp_mtu - PPP_L2TP_OVERHEAD);

	return p->peer_mru < path ? p->peer_mru : path;
}

/* --- keepalive ------------------------------------------------------- */

static uint64_t
in_step(uint64_t ms)
{
	return ms + ECHO_STEP - 1 - (timer_now() + ms - 1) % ECHO_STEP;
}

/* Up to an eighth later, so that thousands of sessions do not beat as one. */
static uint64_t
with_jitter(uint64_t ms)
{
	return in_step(ms + digest_random_u32() % (ms / 8 + 1));
}

static void
note_user_traffic(struct session *s)
{
	struct ppp *p = ppp_of(s);

	if (p->rx_seen != (uint32_t)s->rx_packets) {
		p->rx_seen = (uint32_t)s->rx_packets;
		p->last_heard = timer_now();
	}
}

static void
echo_timeout(struct timer *t)
{
	struct ppp *p = timer_owner(t, struct ppp, echo_timer);
	struct session *s = ppp_session(p);
	uint64_t interval = (uint64_t)lns.config.echo_timeout * 1000;
	uint64_t limit = (uint64_t)lns.config.idle_echo_timeout * 1000;
	uint64_t silence;

	note_user_traffic(s);
	silence = timer_now() - p->last_heard;
	if (silence >= limit) {
		COUNT(ppp_echo_timeout);
		session_ppp_finished(s, CAUSE_LOST_CARRIER,
		    "no reply to LCP Echo-Request");
		return;
	}
	if (silence >= interval) {
		lcp_send_echo_request(s);
		interval = with_jitter(interval);
		if (interval > limit - silence)
			interval = limit - silence;
	} else
		interval = with_jitter(interval - silence);
	timer_arm(&p->echo_timer, interval);
}

static void
echo_ahead(const struct timer *t)
{
	const struct ppp *p = timer_owner(t, const struct ppp, echo_timer);
	const struct session *s = session_by_sid(p->sid);

	if (s != NULL)
		__builtin_prefetch(s);
}

/* The first one anywhere in the interval: sessions come in bursts. */
static void
echo_begin(struct session *s)
{
	struct ppp *p = ppp_of(s);
	uint32_t interval = (uint32_t)lns.config.echo_timeout * 1000;

	p->rx_seen = (uint32_t)s->rx_packets;
	p->echo_timer.fire = echo_timeout;
	timer_arm(&p->echo_timer,
	    in_step(interval + digest_random_u32() % interval));
}

/* --- LCP moves ------------------------------------------------------- */

void
ppp_lcp_up(struct session *s)
{
	struct ppp *p = ppp_of(s);

	p->opened = timer_now();
	if (p->auth_protocol == 0) {
		ppp_finish(s, CAUSE_NAS_ERROR,
		    "radius_authtypes allows no authentication");
		return;
	}
	ppp_set_phase(s, PPP_AUTHENTICATE);
	echo_begin(s);
	auth_begin(s);
}

void
ppp_lcp_down(struct session *s)
{
	struct ppp *p = ppp_of(s);

	timer_disarm(&p->echo_timer);
	auth_end(s);
	p->auth_protocol = 0;
	ppp_set_phase(s, p->lcp.state == CP_CLOSING ||
	    p->lcp.state == CP_STOPPING ? PPP_TERMINATE : PPP_ESTABLISH);
	cp_event(&p->ipcp, CP_DOWN);
	if (p->phase != PPP_ESTABLISH)
		return;
	log_line(LOG_L_INFO, s->tid, s->sid, "the peer renegotiates LCP");
	if (timer_now() - p->opened >= FLAP_TIME)
		p->flaps = 0;
	else if (++p->flaps > lns.config.ppp_max_configure)
		ppp_finish(s, CAUSE_USER_ERROR, "LCP is renegotiated for ever");
}

void
ppp_lcp_finished(struct session *s, enum terminate_cause cause,
    const char *reason)
{
	struct ppp *p = ppp_of(s);

	ppp_stop(s);
	if (p->end_cause != 0) {
		cause = (enum terminate_cause)p->end_cause;
		reason = p->end_reason;
	}
	session_ppp_finished(s, cause, reason);
}

void
ppp_finish(struct session *s, enum terminate_cause cause, const char *reason)
{
	struct ppp *p = ppp_of(s);

	if (p->phase == PPP_DEAD)
		return;
	if (p->end_cause == 0) {
		p->end_cause = (uint8_t)cause;
		p->end_reason = reason;
	}
	ppp_set_phase(s, PPP_TERMINATE);
	cp_event(&p->lcp, CP_CLOSE);
}

int
ppp_ending(const struct session *s)
{
	const struct ppp *p = &session_local(s)->ppp;

	if (p->phase != PPP_TERMINATE)
		return 0;
	if (p->end_cause != 0)
		return p->end_cause;
	return p->lcp.why == CP_WHY_PEER ? CAUSE_USER_REQUEST : 0;
}

void
ppp_network_begin(struct session *s)
{
	struct ppp *p = ppp_of(s);

	if (s->ip == 0) {
		ppp_finish(s, CAUSE_NAS_ERROR, "there is no address");
		return;
	}
	ppp_set_phase(s, PPP_NETWORK);
	cp_event(&p->ipcp, CP_OPEN);
	cp_event(&p->ipcp, CP_UP);
}

/* RFC 1661 5.7: stop sending that protocol; without some we cannot go on. */
void
ppp_protocol_rejected(struct session *s, uint16_t protocol)
{
	static struct log_limit limit;
	struct ppp *p = ppp_of(s);

	log_limited(&limit, LOG_L_INFO, s->tid, s->sid,
	    "the peer rejects protocol %04x", protocol);
	if (protocol == PPP_LCP)
		cp_event(&p->lcp, CP_RXJ_MINUS);
	else if (protocol == PPP_IPCP)
		cp_event(&p->ipcp, CP_RXJ_MINUS);
	else if (protocol == p->auth_protocol)
		ppp_finish(s, CAUSE_USER_ERROR,
		    "the peer rejects the authentication it agreed to");
	else
		cp_event(&p->lcp, CP_RXJ_PLUS);
}

/* --- input ----------------------------------------------------------- */

static bool
input_allowed(struct ppp *p)
{
	uint32_t second = (uint32_t)(timer_now() / 1000);

	if (p->input_second != second) {
		p->input_second = second;
		p->input_count = 0;
	}
	return p->input_count < INPUT_RATE && ++p->input_count != 0;
}

/* LCP is Opened: everything but LCP. */
static void
ppp_input_upper(struct session *s, uint16_t protocol, const void *info,
    size_t len)
{
	struct ppp *p = ppp_of(s);

	if (protocol != p->auth_protocol)
		auth_was_heard(s);
	if (protocol == p->auth_protocol)
		auth_input(s, info, len);
	else if (protocol == PPP_IPCP && p->phase == PPP_NETWORK)
		cp_input(&p->ipcp, info, len);
	else if (protocol == PPP_IPCP || protocol == PPP_IP)
		COUNT(ppp_rx_unexpected);	/* too early: it comes again */
	else
		lcp_reject_protocol(s, protocol, info, len);
}

static void
count_call(uint16_t protocol)
{
	switch (protocol) {
	case PPP_LCP:	COUNT(call_processlcp); break;
	case PPP_PAP:	COUNT(call_processpap); break;
	case PPP_CHAP:	COUNT(call_processchap); break;
	case PPP_IPCP:	COUNT(call_processipcp); break;
	case PPP_CCP:	COUNT(call_processccp); break;
	}
}

void
ppp_input(struct session *s, uint16_t protocol, const uint8_t *info,
    size_t len)
{
	struct ppp *p = ppp_of(s);

	COUNT(ppp_rx_control);
	count_call(protocol);
	if (p->phase == PPP_DEAD) {
		COUNT(ppp_rx_unexpected);
		return;
	}
	/* A request that comes back as it went shows a loop, not a peer. */
	if (protocol == PPP_LCP && lcp_looped(p, info, len)) {
		COUNT(ppp_rx_unexpected);
		return;
	}
	p->last_heard = timer_now();
	if (!input_allowed(p)) {
		COUNT(ppp_rx_unexpected);
		return;
	}
	if (protocol == PPP_LCP)
		cp_input(&p->lcp, info, len);
	else if (p->lcp.state == CP_OPENED)
		ppp_input_upper(s, protocol, info, len);
	else
		COUNT(ppp_rx_unexpected);	/* RFC 1661 3.4: discard */
}

/* --- begin and end --------------------------------------------------- */

void
ppp_init(void)
{
	timer_look_ahead(echo_timeout, echo_ahead);
}

void
ppp_start(struct session *s)
{
	struct ppp *p = ppp_of(s);

	ppp_stop(s);
	*p = (struct ppp){
		.sid = s->sid,
		.peer_mru = PPP_MRU,
		.last_heard = timer_now(),
		.auth_id = (uint8_t)digest_random_u32(),
	};
	cp_init(&p->lcp, &lcp_ops);
	cp_init(&p->ipcp, &ipcp_ops);
	lcp_begin(p);
	ppp_set_phase(s, PPP_ESTABLISH);
	cp_event(&p->lcp, CP_OPEN);
	cp_event(&p->lcp, CP_UP);
}

void
ppp_goodbye(struct session *s)
{
	struct ppp *p = ppp_of(s);

	/* In Closing and Stopping it has been said already. */
	if (p->lcp.state >= CP_REQSENT)
		cp_terminate(&p->lcp);
	ppp_stop(s);
}

void
ppp_stop(struct session *s)
{
	struct ppp *p = ppp_of(s);

	timer_disarm(&p->echo_timer);
	timer_disarm(&p->auth_timer);
	cp_stop(&p->lcp);
	cp_stop(&p->ipcp);
	p->phase = PPP_DEAD;
}

/* --- to and from another process ------------------------------------- */

static bool
is_open(const struct ppp *p)
{
	return p->phase == PPP_NETWORK && p->lcp.state == CP_OPENED &&
	    p->ipcp.state == CP_OPENED;
}

bool
ppp_export(const struct session *s, struct ppp_carry *carry)
{
	if (!is_open(ppp_of(s)))
		return false;
	ppp_copy(s, carry, true);
	return true;
}

void
ppp_copy(const struct session *s, struct ppp_carry *carry, bool open)
{
	const struct ppp *p = ppp_of(s);
	uint64_t heard = p->rx_seen != (uint32_t)s->rx_packets ? timer_now() :
	    p->last_heard;

	if (!open || !is_open(p)) {
		*carry = (struct ppp_carry){ .user_mark = p->user_mark };
		return;
	}
	*carry = (struct ppp_carry){
		.magic = p->magic, .peer_magic = p->peer_magic,
		.our_mru = p->our_mru, .peer_mru = p->peer_mru,
		.auth_protocol = p->auth_protocol,
		.peer_flags = p->peer_flags,
		.lcp_id = p->lcp.id, .lcp_reject_id = p->lcp.reject_id,
		.ipcp_id = p->ipcp.id, .ipcp_reject_id = p->ipcp.reject_id,
		.lcp_options_off = p->lcp.options_off,
		.ipcp_options_off = p->ipcp.options_off,
		.echo_id = p->echo_id, .auth_index = p->auth_index,
		.auth_id = p->auth_id, .reply_id = p->reply_id,
		.reply_len = p->reply_len, .user_mark = p->user_mark,
		.silent = timer_now() - heard
	};
	memcpy(carry->reply, p->reply, sizeof(carry->reply));
}

/* Keepalives are spread over the interval, as they are when in full swing. */
static void
echo_resume(struct session *s)
{
	struct ppp *p = ppp_of(s);
	uint32_t interval = (uint32_t)lns.config.echo_timeout * 1000;

	p->rx_seen = (uint32_t)s->rx_packets;
	p->echo_timer.fire = echo_timeout;
	timer_arm(&p->echo_timer, in_step(1 + digest_random_u32() % interval));
}

void
ppp_mirror(struct session *s, const struct ppp_carry *carry, bool open)
{
	struct ppp *p = ppp_of(s);

	if (!open) {
		*p = (struct ppp){ .sid = s->sid, .peer_mru = PPP_MRU,
		    .user_mark = carry->user_mark };
		return;
	}
	*p = (struct ppp){
		.sid = s->sid,
		.magic = carry->magic, .peer_magic = carry->peer_magic,
		.our_mru = carry->our_mru, .peer_mru = carry->peer_mru,
		.peer_flags = carry->peer_flags,
		.echo_id = carry->echo_id,
		.last_heard = carry->silent < timer_now() ?
		    timer_now() - carry->silent : 0,
		.opened = timer_now(),
		.phase = PPP_NETWORK,
	};
	cp_init(&p->lcp, &lcp_ops);
	cp_init(&p->ipcp, &ipcp_ops);
	cp_resume(&p->lcp, carry->lcp_id, carry->lcp_reject_id,
	    carry->lcp_options_off);
	cp_resume(&p->ipcp, carry->ipcp_id, carry->ipcp_reject_id,
	    carry->ipcp_options_off);
	auth_resume(s, carry);
}

void
ppp_resume(struct session *s, const struct ppp_carry *carry)
{
	ppp_mirror(s, carry, true);
	echo_resume(s);
}

/*
 * Whoever was let in is known: if another logs in on this line when LCP begins
 * anew, it is refused (ppp_auth.c).  The copy did not hear the peer.
 */
void
ppp_wake(struct session *s)
{
	struct ppp *p = ppp_of(s);
	uint32_t mark = p->user_mark;

	if (is_open(p)) {
		p->last_heard = p->opened = timer_now();
		echo_resume(s);
		return;
	}
	s->flags &= (uint16_t)~(SF_ACFC | SF_PFC);
	ppp_start(s);
	p->user_mark = mark;
}

void
ppp_rest(struct session *s)
{
	struct ppp *p = ppp_of(s);

	if (!is_open(p))
		ppp_stop(s);
	timer_disarm(&p->echo_timer);
	timer_disarm(&p->auth_timer);
}
