/*
 * ppp_auth.c - PAP (RFC 1334) and CHAP with MD5 (RFC 1994), the authenticator
 *
 * We collect credentials, hand them to auth_start(), and tell the peer the
 * verdict.  Nothing is compared here: an empty name or password is no special
 * case that could match by accident.
 *
 *	asked     waiting for the peer: a PAP request, a CHAP Response
 *	waiting   auth_start() has been called; repeats are ignored
 *	done      let in: a repeat gets the same answer again
 *
 * A CHAP Success may be lost, and the peer need not repeat its Response: it
 * then waits in phase Authenticate, dropping our IPCP.  So a Success is
 * repeated like a Challenge, until the peer shows by anything of the next phase
 * that it has got it.
 *
 * Only the protocol that LCP agreed on comes here at all (ppp.c), so a peer
 * cannot step down from CHAP to PAP.
 *
 * When LCP renegotiates, the peer authenticates again: it may be another
 * machine on the same line.  It has to be the same user, since addresses,
 * limits and the accounting record belong to that one; the accounting session
 * then goes on.
 *
 * Owns:     the auth_ and reply_ fields of struct ppp, auth_timer, user_mark.
 * Calls:    auth_start(), auth_cancel(); ppp_network_begin(), ppp_finish().
 * Lifetime: from LCP up (auth_begin) to LCP down (auth_end).
 */
#include <string.h>

#include "auth.h"
#include "digest.h"
#include "log.h"
#include "ppp_int.h"
#include "ppp_proto.h"

enum auth_state { AUTH_IDLE, AUTH_ASKED, AUTH_WAITING, AUTH_DONE };

/* --- which protocol -------------------------------------------------- */

uint16_t
auth_choice(unsigned int n)
{
	static const struct {
		const char *name;
		uint16_t protocol;
	} known[] = { { "chap", PPP_CHAP }, { "pap", PPP_PAP } };
	const char *w = lns.config.radius_authtypes;
	size_t i, len;

	for (;; w += len) {
		w += strspn(w, ", ");
		len = strcspn(w, ", ");
		if (len == 0)
			return 0;
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (len == strlen(known[i].name) &&
			    memcmp(w, known[i].name, len) == 0 && n-- == 0)
				return known[i].protocol;
	}
}

/* --- asking ---------------------------------------------------------- */

static void
auth_wait(struct ppp *p)
{
	timer_arm(&p->auth_timer, (uint64_t)lns.config.ppp_restart_time * 1000);
}

/* A new value and id each time (RFC 1994 4.1): an old Response fits nothing. */
static void
send_Challenge(struct session *s)
{
	uint8_t buf[PPP_HEADER + 1 + CHAP_MD5_LEN + HOSTNAME_MAX];
	struct ppp *p = ppp_of(s);
	size_t len;

	digest_random(p->challenge, sizeof(p->challenge));
	p->auth_id++;
	p->auth_tries++;
	len = chap_challenge_encode(buf, sizeof(buf), p->auth_id,
	    p->challenge, sizeof(p->challenge), lns.hostname);
	COUNT(call_sendchap);
	session_send_ppp(s, PPP_CHAP, buf, len);
	auth_wait(p);
}

/* Ends with phase Network: IPCP does not wait for ever. */
static void
repeat_Success(struct session *s)
{
	struct ppp *p = ppp_of(s);

	if (p->phase != PPP_NETWORK)
		return;
	session_send_ppp(s, PPP_CHAP, p->reply, p->reply_len);
	auth_wait(p);
}

static void
auth_timeout(struct timer *t)
{
	struct ppp *p = timer_owner(t, struct ppp, auth_timer);
	struct session *s = ppp_session(p);

	if (p->auth_state == AUTH_DONE)
		repeat_Success(s);
	else if (p->auth_protocol == PPP_PAP)
		ppp_finish(s, CAUSE_USER_ERROR, "no PAP request came");
	else if (p->auth_tries < lns.config.ppp_max_configure)
		send_Challenge(s);
	else
		ppp_finish(s, CAUSE_USER_ERROR, "no CHAP Response came");
}

void
auth_begin(struct session *s)
{
	struct ppp *p = ppp_of(s);

	p->auth_state = AUTH_ASKED;
	p->auth_tries = 0;
	p->reply_len = 0;
	p->auth_timer.fire = auth_timeout;
	if (p->auth_protocol == PPP_CHAP)
		send_Challenge(s);
	else	/* PAP is the peer's to begin; it gets as long as CHAP. */
		timer_arm(&p->auth_timer,
		    (uint64_t)lns.config.ppp_restart_time * 1000 *
		    (uint64_t)lns.config.ppp_max_configure);
}

void
auth_end(struct session *s)
{
	struct ppp *p = ppp_of(s);

	timer_disarm(&p->auth_timer);
	if (p->auth_state == AUTH_WAITING)
		auth_cancel(s);
	p->auth_state = AUTH_IDLE;
	p->reply_len = 0;
	explicit_bzero(p->challenge, sizeof(p->challenge));
}

void
auth_resume(struct session *s, const struct ppp_carry *carry)
{
	struct ppp *p = ppp_of(s);

	p->auth_state = AUTH_DONE;
	p->auth_protocol = carry->auth_protocol;
	p->auth_index = carry->auth_index;
	p->auth_id = carry->auth_id;
	p->reply_id = carry->reply_id;
	p->reply_len = carry->reply_len;
	memcpy(p->reply, carry->reply, sizeof(p->reply));
	p->user_mark = carry->user_mark;
	p->auth_timer.fire = auth_timeout;
}

/* --- credentials in -------------------------------------------------- */

/* Tells users apart without keeping their name; never 0. */
static uint32_t
user_mark(const char *user)
{
	struct digest_part part = { user, strlen(user) };
	uint8_t md5[DIGEST_MD5];
	struct rd r = rd_init(md5, sizeof(md5));

	digest_md5(md5, &part, 1);
	return rd_u32(&r) | 1;
}

/*
 * A user name that may be looked up: not empty, short enough to be kept
 * whole, and without a NUL, which would make another name of it.
 */
static bool
user_valid(const uint8_t *user, size_t len)
{
	return len > 0 && len < USER_MAX && memchr(user, '\0', len) == NULL;
}

/* Without asking anybody. */
static void
auth_refuse(struct session *s, const char *message)
{
	COUNT(ppp_auth_failed);
	timer_disarm(&ppp_of(s)->auth_timer);
	ppp_of(s)->auth_state = AUTH_WAITING;
	ppp_auth_result(s, false, message);
}

static void
auth_ask(struct session *s, struct auth_request *req)
{
	struct ppp *p = ppp_of(s);
	uint32_t mark = user_mark(req->user);

	if (!s->authenticated) {
		p->user_mark = mark;
		memcpy(s->user, req->user, sizeof(s->user));
	} else if (p->user_mark != 0 && p->user_mark != mark) {
		auth_refuse(s, "Another user is logged in");
		return;
	}
	timer_disarm(&p->auth_timer);
	p->auth_state = AUTH_WAITING;
	s->auth_protocol = req->protocol;
	auth_start(s, req);
}

/* --- PAP ------------------------------------------------------------- */

/* Each repeat has an id of its own (RFC 1334 2.2.1), the answer the same. */
static void
pap_repeat(struct session *s, uint8_t id)
{
	struct ppp *p = ppp_of(s);

	p->reply[1] = id;
	session_send_ppp(s, PPP_PAP, p->reply, p->reply_len);
}

static void
recv_Authenticate_Request(struct session *s, const struct ppp_packet *pkt)
{
	struct auth_request req = { .protocol = PPP_PAP };
	struct ppp *p = ppp_of(s);
	struct pap_request pap;

	if (!pap_request_decode(pkt, &pap)) {
		COUNT(ppp_rx_malformed);
		return;
	}
	/* Whoever repeats it may not know the ids of before any more. */
	p->reply_id = pkt->id;
	if (p->auth_state == AUTH_DONE)
		pap_repeat(s, pkt->id);
	if (p->auth_state != AUTH_ASKED)
		return;
	if (!user_valid(pap.user, pap.user_len) ||
	    pap.password_len > sizeof(req.password)) {
		auth_refuse(s, "Login incorrect");
		return;
	}
	memcpy(req.user, pap.user, pap.user_len);
	memcpy(req.password, pap.password, pap.password_len);
	req.password_len = pap.password_len;
	auth_ask(s, &req);
	explicit_bzero(&req, sizeof(req));
}

/* --- CHAP ------------------------------------------------------------ */

static void
recv_Response(struct session *s, const struct ppp_packet *pkt)
{
	struct auth_request req = { .protocol = PPP_CHAP };
	struct ppp *p = ppp_of(s);
	struct chap_response resp;

	if (!chap_response_decode(pkt, CHAP_MD5_LEN, &resp)) {
		COUNT(ppp_rx_malformed);
		return;
	}
	if (pkt->id != p->auth_id) {
		COUNT(ppp_rx_unexpected);
		return;
	}
	if (p->auth_state == AUTH_DONE)	/* RFC 1994 4.2: the same again */
		session_send_ppp(s, PPP_CHAP, p->reply, p->reply_len);
	if (p->auth_state != AUTH_ASKED)
		return;
	p->reply_id = pkt->id;
	if (!user_valid(resp.name, resp.name_len)) {
		auth_refuse(s, "Login incorrect");
		return;
	}
	memcpy(req.user, resp.name, resp.name_len);
	req.chap_id = pkt->id;
	memcpy(req.challenge, p->challenge, sizeof(req.challenge));
	req.challenge_len = sizeof(req.challenge);
	memcpy(req.response, resp.value, sizeof(req.response));
	auth_ask(s, &req);
}

void
auth_input(struct session *s, const void *info, size_t len)
{
	struct ppp_packet pkt;

	if (!ppp_packet_decode(&pkt, info, len))
		COUNT(ppp_rx_malformed);
	else if (ppp_of(s)->auth_protocol == PPP_PAP &&
	    pkt.code == PAP_REQUEST)
		recv_Authenticate_Request(s, &pkt);
	else if (ppp_of(s)->auth_protocol == PPP_CHAP &&
	    pkt.code == CHAP_RESPONSE)
		recv_Response(s, &pkt);
	else
		COUNT(ppp_rx_unexpected);
}

/* --- the verdict out ------------------------------------------------- */

static size_t
encode_reply(const struct ppp *p, uint8_t *buf, size_t size, bool ok,
    const char *message)
{
	if (p->auth_protocol == PPP_PAP)
		return pap_reply_encode(buf, size, ok ? PAP_ACK : PAP_NAK,
		    p->reply_id, message);
	return chap_reply_encode(buf, size, ok ? CHAP_SUCCESS : CHAP_FAILURE,
	    p->reply_id, message);
}

/* The message is cut to what we can repeat, and keep for each session. */
static void
auth_accepted(struct session *s, const char *message)
{
	struct ppp *p = ppp_of(s);

	p->auth_state = AUTH_DONE;
	p->reply_len = (uint8_t)encode_reply(p, p->reply, sizeof(p->reply),
	    true, message != NULL ? message : "");
	session_send_ppp(s, p->auth_protocol, p->reply, p->reply_len);
	if (p->auth_protocol == PPP_CHAP)
		auth_wait(p);
	ppp_network_begin(s);
}

void
auth_was_heard(struct session *s)
{
	struct ppp *p = ppp_of(s);

	if (p->auth_state == AUTH_DONE)
		timer_disarm(&p->auth_timer);
}

static void
auth_refused(struct session *s, const char *message)
{
	uint8_t buf[PPP_HEADER + 1 + UINT8_MAX];
	struct ppp *p = ppp_of(s);
	size_t len, limit = ppp_mtu(s);

	p->auth_state = AUTH_IDLE;
	len = encode_reply(p, buf, limit < sizeof(buf) ? limit : sizeof(buf),
	    false, message != NULL ? message : "Login incorrect");
	session_send_ppp(s, p->auth_protocol, buf, len);
	ppp_finish(s, CAUSE_USER_ERROR, "authentication failed");
}

void
ppp_auth_result(struct session *s, bool ok, const char *message)
{
	struct ppp *p = ppp_of(s);

	/* LCP may have come down since: then nobody waits for this. */
	if (p->auth_state != AUTH_WAITING || p->phase != PPP_AUTHENTICATE)
		return;
	if (ok)
		auth_accepted(s, message);
	else
		auth_refused(s, message);
}
