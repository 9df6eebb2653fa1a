/*
 * session.c - a call from ICRQ to CDN (RFC 2661 7.4.2), and its addresses
 *
 * The life of a session: ICRQ -> ICRP -> ICCN -> PPP negotiates (ppp.c) ->
 * credentials are checked (auth.c) -> session_auth_done() gives it its
 * address, routes and limits -> IPCP opens and packets flow -> somebody ends
 * it.  However it ends, session_end() undoes everything in one place and in
 * one order, and does so once.
 *
 * Owns:     struct session, its timers, and the index of sessions by user.
 * Calls:    ppp.c, auth.c, accounting.c, ippool.c, tun.c, tunnel.c; plugins.
 * Lifetime: a slot lives from ICRQ to the end of the turn in which it died,
 *           so that whoever is up the stack may still look at it.
 */
#include "session.h"

#include <stdio.h>
#include <strings.h>

#include "accounting.h"
#include "auth.h"
#include "digest.h"
#include "forward.h"
#include "ippool.h"
#include "l2tp_avp.h"
#include "log.h"
#include "loop.h"
#include "plugins.h"
#include "ppp_proto.h"
#include "ratelimit.h"
#include "replica.h"
#include "snoop.h"
#include "table.h"
#include "throttle.h"
#include "tun.h"
#include "tunnel.h"

/*
 * From our ICRP to the ICCN.  Long, because the ICCN may queue behind others
 * on a bad link; a peer that is dead is found by the retransmission of the
 * ICRP (RFC 2661 5.8) long before.
 */
#define CONNECT_MS	120000
#define REST_MS		20000	/* of it, after a take-over */
#define TCP_IP_HEADERS	40	/* MSS = MTU less these */

/* Authenticated sessions by user name, folded to lower case; newest first. */
#define USER_BUCKETS	65536
static uint32_t by_user[USER_BUCKETS];

/* What died in this turn, chained by session_local.next. */
static uint32_t reap_first;

/* Sessions between ICRQ and the first opening of IPCP. */
static uint32_t starting;

static void
set_starting(struct session *s, bool is)
{
	struct session_local *l = session_local(s);
	struct tunnel *t = tunnel_by_tid(s->tid);
	uint32_t one = is ? 1 : UINT32_MAX;	/* up or down */

	if (l->starting == is)
		return;
	l->starting = is;
	starting += one;
	if (t != NULL)
		tunnel_local(t)->starting += one;
}

/*
 * Half of the room for calls that are being set up is anybody's; the other
 * half is shared out evenly among the LACs, so that one that floods us with
 * ICRQs is alone in having its calls refused.
 */
static bool
may_start(const struct tunnel *t)
{
	uint64_t max = (uint64_t)lns.config.max_starting;
	uint64_t tunnels = tunnels_established();

	return starting < max && (starting < max / 2 || tunnels <= 1 ||
	    tunnel_local(t)->starting < max / tunnels + 1);
}

/* --- the index of users ------------------------------------------------- */

static uint32_t
user_hash(const char *user)
{
	uint32_t h = UINT32_C(2166136261);	/* FNV-1a */

	for (; *user != '\0'; user++) {
		uint8_t c = (uint8_t)*user;

		h = (h ^ (c >= 'A' && c <= 'Z' ? c + 32 : c)) *
		    UINT32_C(16777619);
	}
	return (h ^ h >> 16) % USER_BUCKETS;
}

static void
user_link(struct session *s)
{
	struct session_local *l = session_local(s);
	uint32_t *head = &by_user[l->user_bucket = user_hash(s->user)];
	struct session *next = session_by_sid(*head);

	l->prev_user = 0;
	l->next_user = *head;
	if (next != NULL)
		session_local(next)->prev_user = s->sid;
	*head = s->sid;
}

static void
user_unlink(struct session *s)
{
	struct session_local *l = session_local(s);
	uint32_t *head = &by_user[l->user_bucket];
	struct session *prev = session_by_sid(l->prev_user);
	struct session *next = session_by_sid(l->next_user);

	if (prev != NULL)
		session_local(prev)->next_user = l->next_user;
	else if (*head == s->sid)
		*head = l->next_user;
	if (next != NULL)
		session_local(next)->prev_user = l->prev_user;
	l->prev_user = l->next_user = 0;
}

struct session *
session_by_user(const char *user)
{
	struct session *s = session_by_sid(by_user[user_hash(user)]);

	COUNT(call_sessionbyuser);
	while (s != NULL && (s->dying || strcmp(s->user, user) != 0))
		s = session_by_sid(session_local(s)->next_user);
	return s;
}

struct session *
session_next_of_user(const struct session *s)
{
	struct session *o = session_by_sid(session_local(s)->next_user);

	while (o != NULL && (o->dying || strcmp(o->user, s->user) != 0))
		o = session_by_sid(session_local(o)->next_user);
	return o;
}

/*
 * Another session of the same user, whatever the case of its letters; those
 * in the walled garden do not count, as they may be anybody.
 */
static struct session *
other_of_user(const struct session *s)
{
	struct session *o = session_by_sid(by_user[user_hash(s->user)]);

	while (o != NULL && (o == s || o->dying ||
	    (o->flags & SF_GARDEN) != 0 || strcasecmp(o->user, s->user) != 0))
		o = session_by_sid(session_local(o)->next_user);
	return o;
}

static void
drop_others_of_user(struct session *s, const char *why)
{
	struct session *o;

	while (!lns.config.allow_duplicate_users && !s->dying &&
	    (s->flags & SF_GARDEN) == 0 && (o = other_of_user(s)) != NULL)
		session_shutdown(o, CAUSE_ADMIN_RESET, CDN_ADMIN, 0, why);
}

bool
session_set_user(struct session *s, const char *user)
{
	if (s->dying || user[0] == '\0' || strlen(user) >= sizeof(s->user) ||
	    session_local(s)->ppp.phase == PPP_NETWORK)
		return false;
	if (s->authenticated)
		user_unlink(s);
	memset(s->user, 0, sizeof(s->user));
	strcpy(s->user, user);
	if (s->authenticated)
		user_link(s);
	return true;
}

struct session *
session_by_ip(uint32_t ip)
{
	COUNT(call_sessionbyip);
	return session_by_sid(lpm_get(lns.lpm, ip, 32));
}

/* --- addresses and routes ----------------------------------------------- */

/*
 * A prefix that this session shall receive; refused, with a line in the log,
 * when it is ours, everybody's, or another session's.
 */
static bool
prefix_take(struct session *s, struct prefix p)
{
	uint32_t owner = lpm_get(lns.lpm, p.addr, p.len);

	if (owner == s->sid)
		return false;
	if (owner != 0 || tun_prefix_forbidden(p.addr, p.len)) {
		log_session(LOG_L_WARN, s, "route %u.%u.%u.%u/%u for %s "
		    "refused: %s", p.addr >> 24, p.addr >> 16 & 255,
		    p.addr >> 8 & 255, p.addr & 255, p.len, s->user,
		    owner != 0 ? "another session has it" :
		    "it covers an address of this server or no host");
		return false;
	}
	if (!lpm_set(lns.lpm, p.addr, p.len, s->sid))
		return false;
	/* Of the pool, perhaps: then nobody else may get it from there. */
	if (p.len == 32)
		(void)ippool_claim(p.addr, s->user, s->sid);
	tun_route_add(p.addr, p.len);
	return true;
}

static void
add_route(struct session *s, struct prefix p)
{
	if (s->nroutes == ROUTES_MAX || !prefix_take(s, p))
		return;
	s->routes[s->nroutes++] = p;
	s->flags |= SF_ROUTED;
}

/* /29 for 255.255.255.248; 32 for anything that is no netmask. */
static uint8_t
netmask_len(uint32_t mask)
{
	uint8_t len = mask == 0 ? 32 : (uint8_t)__builtin_popcount(mask);

	return len == 32 || mask << len != 0 ? 32 : len;
}

/*
 * What RADIUS says of routes.  Framed-IP-Netmask means a network behind the
 * subscriber (RFC 2865 5.9) when the address is its own; an address out of
 * our pool has no network around it.
 */
static void
add_routes(struct session *s, const struct auth_result *r)
{
	uint8_t len = netmask_len(r->netmask);

	s->netmask = r->netmask;
	if (len < 32 && !s->ip_from_pool)
		add_route(s, (struct prefix){
		    s->ip & ~(UINT32_MAX >> len), len });
	for (uint8_t i = 0; i < r->nroutes; i++)
		add_route(s, r->routes[i]);
}

/* Whose address it is to be next time: nobody's, if it comes of the garden. */
static const char *
pool_user(const struct session *s)
{
	return (s->flags & SF_GARDEN) != 0 ? NULL : s->user;
}

static void
drop_address(struct session *s)
{
	for (uint8_t i = 0; i < s->nroutes; i++) {
		lpm_del(lns.lpm, s->routes[i].addr, s->routes[i].len, s->sid);
		tun_route_del(s->routes[i].addr, s->routes[i].len);
		if (s->routes[i].len == 32)
			ippool_release(s->routes[i].addr, NULL);
	}
	s->nroutes = 0;
	s->flags &= (uint16_t)~SF_ROUTED;
	if (s->ip == 0)
		return;
	lpm_del(lns.lpm, s->ip, 32, s->sid);
	if (s->routed)
		tun_route_del(s->ip, 32);
	s->routed = false;
	ippool_release(s->ip, pool_user(s));
	s->ip = 0;
	s->ip_from_pool = false;
}

/* For sessions whose addresses came into a new pool: not all at once. */
#define POOL_WALK	128		/* a turn */
static struct {
	struct timer timer;
	uint32_t at;			/* sid of the last one */
	void (*done)(void);
} pool_walk;

/* Another session has it, and a new pool does not know yet. */
static bool
pool_mistaken(uint32_t ip)
{
	const struct session *o =
	    session_by_sid(lpm_get(lns.lpm, ip, 32));

	if (o == NULL)
		return false;
	ippool_release(ip, NULL);
	(void)ippool_claim(ip, o->user, o->sid);
	return true;
}

/*
 * From the pool; 0: none is left.  The pool knows bind_address, but not the
 * addresses of the TUN device and of others of ours.
 */
static uint32_t
pool_address(struct session *s)
{
	uint32_t ip;

	while ((ip = ippool_take(pool_user(s), s->sid)) != 0) {
		if (pool_mistaken(ip))
			continue;
		if (!tun_address_forbidden(ip))
			break;
		log_session(LOG_L_WARN, s, "%u.%u.%u.%u of ip_pool is not "
		    "given out: it is an address of this server or of no "
		    "host", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
		ippool_exclude(ip);
		ippool_release(ip, NULL);
	}
	if (ip == 0)
		COUNT(ip_exhausted);
	return ip;
}

/* An address for the session, by the reply or from the pool; 0: none. */
static uint32_t
choose_address(struct session *s, const struct auth_result *r,
    const char **why)
{
	struct session *o;
	uint32_t ip;

	if (r->address != AUTH_IP_FIXED) {
		ip = pool_address(s);
		if (ip == 0)
			*why = "out of addresses";
		return ip;
	}
	ip = r->framed_ip;
	if (tun_address_forbidden(ip)) {
		*why = "Framed-IP-Address is not one that a host may have";
		return 0;
	}
	o = session_by_ip(ip);
	if (o != NULL && o != s)
		session_shutdown(o, CAUSE_ADMIN_RESET, CDN_ADMIN, 0,
		    "Duplicate IP address");
	if (s->dying)
		return 0;	/* a plugin took it for the other one's sake */
	if (!ippool_claim(ip, s->user, s->sid)) {
		*why = "Framed-IP-Address is in use";
		return 0;
	}
	return ip;
}

/* The kernel has routes for the whole pool already. */
static void
route_address(struct session *s)
{
	if (s->routed || ippool_listed(s->ip))
		return;
	tun_route_add(s->ip, 32);
	s->routed = true;
}

/* Single addresses that are routed to it. */
static void
claim_routes(const struct session *s)
{
	for (uint8_t i = 0; i < s->nroutes; i++)
		if (s->routes[i].len == 32)
			(void)ippool_claim(s->routes[i].addr, s->user, s->sid);
}

static void
pool_walk_fire(struct timer *t)
{
	struct session *s = NULL;

	for (int i = 0; i < POOL_WALK &&
	    (s = session_next(pool_walk.at)) != NULL; i++) {
		pool_walk.at = s->sid;
		if (s->ip == 0)
			continue;
		/* RADIUS gave it what the pool has only got now. */
		(void)ippool_claim(s->ip, s->user, s->sid);
		claim_routes(s);
		route_address(s);
	}
	if (s != NULL)
		timer_arm(t, 0);
	else
		pool_walk.done();
}

void
session_pool_changed(void (*done)(void))
{
	pool_walk.at = 0;
	pool_walk.done = done;
	pool_walk.timer.fire = pool_walk_fire;
	timer_arm(&pool_walk.timer, 0);
}

static bool
set_address(struct session *s, const struct auth_result *r, const char **why)
{
	/* Authenticated again: what it has stays, if it is what it gets. */
	if (s->ip != 0 && (r->address == AUTH_IP_FIXED ?
	    s->ip == r->framed_ip : s->ip_from_pool))
		return true;
	drop_address(s);
	s->ip = choose_address(s, r, why);
	if (s->ip == 0)
		return false;
	s->ip_from_pool = r->address != AUTH_IP_FIXED;
	if (!lpm_set(lns.lpm, s->ip, 32, s->sid)) {
		*why = "out of memory";
		return false;
	}
	route_address(s);
	add_routes(s, r);
	return true;
}

/* --- authentication ----------------------------------------------------- */

static uint32_t
pick(uint32_t given, uint32_t dflt)
{
	return given != 0 ? given : dflt;
}

static void
arm_or_not(struct timer *t, uint32_t seconds)
{
	if (seconds != 0)
		timer_arm(t, (uint64_t)seconds * 1000);
	else
		timer_disarm(t);
}

/* All but the address, which only those get who are let in. */
static void
apply_reply(struct session *s, const struct auth_result *r)
{
	struct session_local *l = session_local(s);

	if (r->user[0] != '\0')
		(void)session_set_user(s, r->user);
	s->dns1 = pick(r->dns1, lns.config.primary_dns);
	s->dns2 = pick(r->dns2, lns.config.secondary_dns);
	s->session_timeout = r->session_timeout;
	s->idle_timeout = r->idle_timeout;
	s->interim = r->interim;
	s->class_len = r->class_len;
	memcpy(s->class, r->class, r->class_len);
	/* Of a Reject there is nothing to be told. */
	s->avpair_len = r->verdict == AUTH_ACCEPT ? r->avpair_len : 0;
	memcpy(s->avpair, r->avpair, s->avpair_len);
	memcpy(s->filter_id, r->filter_id, sizeof(s->filter_id));
	l->framed_mtu = r->framed_mtu;
	arm_or_not(&l->limit_timer, s->session_timeout);
	arm_or_not(&l->idle_timer, s->idle_timeout);
	arm_or_not(&l->interim_timer, s->interim);
}

void
session_auth_refuse(struct session *s, const char *why)
{
	if (s->dying)
		return;
	COUNT(ppp_auth_failed);
	log_session(LOG_L_WARN, s, "login of %s refused: %s", s->user, why);
	ppp_auth_result(s, false, NULL);
}

/*
 * Plugins may end the session in radius_response, or by ending another one;
 * and so may accounting, which asks them too.
 */
static void
accept_login(struct session *s, const struct auth_result *r)
{
	const char *why = "";

	if (!s->authenticated)
		user_link(s);
	s->authenticated = true;
	drop_others_of_user(s, "Duplicate username");
	if (s->dying)
		return;
	if (!set_address(s, r, &why)) {
		session_auth_refuse(s, why);
		return;
	}
	COUNT(ppp_auth_ok);
	replica_session_changed(s);
	plugins_radius_response(s);
	if (!s->dying && (s->flags & SF_GARDEN) == 0)
		acct_start(s);
	/* A Reject's message would say that it is not in. */
	if (!s->dying)
		ppp_auth_result(s, true, r->verdict == AUTH_ACCEPT &&
		    r->message[0] != '\0' ? r->message : NULL);
}

/* By the server, or by a plugin: then the server's message would be a lie. */
static void
reject_login(struct session *s, const struct auth_result *r)
{
	const char *message = r->verdict == AUTH_REJECT ? r->message : "";

	COUNT(ppp_auth_failed);
	log_session(LOG_L_WARN, s, "login of %s refused%s%s", s->user,
	    message[0] != '\0' ? ": " : r->verdict == AUTH_REJECT ? "" :
	    ": by a plugin", message);
	ppp_auth_result(s, false, message[0] != '\0' ? message : NULL);
}

/*
 * Plugins have the last word.  The reply is applied before, so that what they
 * set holds; but a Reject of somebody who was in already must not take from
 * the record of his session what that began with.
 */
static void
login_decided(struct session *s, const struct auth_result *r)
{
	bool early = r->verdict == AUTH_ACCEPT || !s->authenticated, allowed;

	if (early)
		apply_reply(s, r);
	allowed = plugins_post_auth(s, r->verdict == AUTH_ACCEPT);
	if (s->dying)
		return;
	if (!allowed) {
		reject_login(s, r);
		return;
	}
	if (r->verdict == AUTH_REJECT)
		log_session(LOG_L_WARN, s, "login of %s allowed by a plugin",
		    s->user);
	if (!early)
		apply_reply(s, r);
	accept_login(s, r);
}

void
session_auth_done(struct session *s, const struct auth_result *r)
{
	if (s->dying)
		return;
	if (r->verdict == AUTH_TIMEOUT)
		session_auth_refuse(s, "no RADIUS server answered");
	else
		login_decided(s, r);
}

void
session_network_up(struct session *s)
{
	struct tunnel *t = tunnel_by_tid(s->tid);
	uint16_t mtu, framed_mtu = session_local(s)->framed_mtu;

	if (s->dying || t == NULL || (s->flags & SF_OPEN) != 0)
		return;
	mtu = ppp_mtu(s);
	if (framed_mtu != 0 && framed_mtu < mtu)
		mtu = framed_mtu;
	session_local(s)->held_open = session_local(s)->held != 0;
	if (session_local(s)->held == 0)
		s->flags |= SF_OPEN;
	s->mss = mtu > TCP_IP_HEADERS ? (uint16_t)(mtu - TCP_IP_HEADERS) : 0;
	s->last_data = (uint32_t)(timer_now() / 1000);
	replica_session_changed(s);
	if (!session_local(s)->starting)
		return;		/* IPCP once more: no news */
	COUNT(call_sessionsetup);
	set_starting(s, false);
	log_session(LOG_L_WARN, s, "Login by %s at %u.%u.%u.%u from "
	    "%u.%u.%u.%u (%s)", s->user, s->ip >> 24, s->ip >> 16 & 255,
	    s->ip >> 8 & 255, s->ip & 255, t->peer.addr >> 24,
	    t->peer.addr >> 16 & 255, t->peer.addr >> 8 & 255,
	    t->peer.addr & 255, t->hostname);
	plugins_new_session(s);
}

void
session_network_down(struct session *s)
{
	session_local(s)->held_open = false;
	s->flags &= (uint16_t)~SF_OPEN;
	replica_session_changed(s);
}

void
session_hold(struct session *s, uint32_t who, bool on)
{
	struct session_local *l = session_local(s);

	l->held = on ? l->held | who : l->held & ~who;
	if (l->held != 0 && (s->flags & SF_OPEN) != 0) {
		l->held_open = true;
		s->flags &= (uint16_t)~SF_OPEN;
	} else if (l->held == 0 && l->held_open) {
		l->held_open = false;
		s->flags |= SF_OPEN;
	}
	replica_session_changed(s);
}

/* --- the walled garden -------------------------------------------------- */

/* If it was accounted for, that ends; what follows is another matter. */
static void
enter_garden(struct session *s)
{
	s->flags |= SF_GARDEN;
	log_session(LOG_L_WARN, s, "%s is in the walled garden",
	    s->user[0] != '\0' ? s->user : "nobody yet");
	if (s->acct_started) {
		acct_stop(s, CAUSE_NAS_REQUEST);
		acct_name(s);
	}
}

/* Before the peer was told of its login, the login does the rest. */
static void
leave_garden(struct session *s)
{
	struct session_local *l = session_local(s);

	s->flags &= (uint16_t)~SF_GARDEN;
	log_session(LOG_L_WARN, s, "%s is out of the walled garden",
	    s->user[0] != '\0' ? s->user : "nobody yet");
	s->rx_octets = s->tx_octets = s->rx_packets = s->tx_packets = 0;
	l->usage = (struct usage){ 0 };
	if (!s->authenticated || l->ppp.phase != PPP_NETWORK)
		return;
	drop_others_of_user(s, "Duplicate session when user released from "
	    "walled garden");
	if (s->dying)
		return;
	acct_start(s);
	arm_or_not(&l->interim_timer, s->interim);
}

bool
session_garden(struct session *s, bool on)
{
	struct session_local *l = session_local(s);

	if (s->dying || l->moving)
		return false;
	l->moving = true;
	if (on && (s->flags & SF_GARDEN) == 0)
		enter_garden(s);
	if (!on && (s->flags & SF_GARDEN) != 0)
		leave_garden(s);
	l->moving = false;
	replica_session_changed(s);
	return !s->dying;
}

/* --- limits ------------------------------------------------------------- */

static void
limit_fire(struct timer *timer)
{
	struct session_local *l =
	    timer_owner(timer, struct session_local, limit_timer);

	COUNT(session_timeout);
	session_shutdown(session_by_sid(l->sid), CAUSE_SESSION_TIMEOUT,
	    CDN_ADMIN, 0, "Session-Timeout");
}

static void
idle_fire(struct timer *timer)
{
	struct session_local *l =
	    timer_owner(timer, struct session_local, idle_timer);
	struct session *s = session_by_sid(l->sid);
	uint64_t idle = timer_now() - (uint64_t)s->last_data * 1000;
	uint64_t limit = (uint64_t)s->idle_timeout * 1000;

	if (idle < limit) {	/* also if PPP is being negotiated just now */
		timer_arm(timer, limit - idle);
		return;
	}
	COUNT(session_timeout);
	session_shutdown(s, CAUSE_IDLE_TIMEOUT, CDN_ADMIN, 0, "Idle-Timeout");
}

static void
interim_fire(struct timer *timer)
{
	struct session_local *l =
	    timer_owner(timer, struct session_local, interim_timer);
	struct session *s = session_by_sid(l->sid);

	acct_interim(s);
	arm_or_not(timer, s->interim);
}

static void
connect_fire(struct timer *timer)
{
	struct session_local *l =
	    timer_owner(timer, struct session_local, connect_timer);

	session_shutdown(session_by_sid(l->sid), CAUSE_LOST_SERVICE,
	    CDN_TIMEOUT, 0, "no ICCN came");
}

/* --- the call ----------------------------------------------------------- */

static void
send_CDN(struct tunnel *t, uint16_t peer_id, uint16_t local_id,
    uint16_t result, uint16_t error, const char *text)
{
	uint8_t buf[512];
	struct wr w = wr_init(buf, sizeof(buf));

	l2tp_msg_begin(&w, t->peer_id, peer_id, L2TP_CDN);
	l2tp_avp_result(&w, result, error, text);
	l2tp_avp_u16(&w, true, AVP_ASSIGNED_SESSION, local_id);
	tunnel_send(t, buf, l2tp_msg_end(&w));
}

static void
send_ICRP(struct tunnel *t, const struct session *s)
{
	uint8_t buf[64];
	struct wr w = wr_init(buf, sizeof(buf));

	l2tp_msg_begin(&w, t->peer_id, s->peer_id, L2TP_ICRP);
	l2tp_avp_u16(&w, true, AVP_ASSIGNED_SESSION, s->local_id);
	tunnel_send(t, buf, l2tp_msg_end(&w));
}

/* Why an ICRQ can not be taken; result 0: it can. */
static uint16_t
check_ICRQ(struct tunnel *t, const struct l2tp_msg *m, uint16_t *error,
    const char **text)
{
	if (m->bad_result != 0) {
		*error = m->bad_error;
		*text = m->bad_text != NULL ? m->bad_text : "malformed ICRQ";
		return m->bad_result;
	}
	if (l2tp_msg_missing(m) >= 0 || m->assigned_session == 0) {
		*error = L2TP_E_VALUE;
		*text = "a mandatory AVP is missing, or session id 0";
		return CDN_ERROR;
	}
	if (lns.shutting_down) {
		*error = L2TP_E_TRY_ANOTHER;
		*text = "shutting down";
		return CDN_ERROR;
	}
	if (tunnel_dropped(t)) {
		*error = L2TP_E_TRY_ANOTHER;
		*text = "this tunnel is being shut down";
		return CDN_ERROR;
	}
	if (!token_take(&tunnel_local(t)->icrq_rate,
	    (uint32_t)lns.config.l2tp_icrq_rate) ||
	    !may_start(t)) {
		/* Better some calls at once than all of them too late. */
		COUNT(session_limited);
		*error = L2TP_E_TRY_ANOTHER;
		*text = "too many calls are being set up";
		return CDN_ERROR;
	}
	return 0;
}

static void
local_begin(struct session *s)
{
	struct session_local *l = session_local(s);

	l->sid = s->sid;
	l->limit_timer.fire = limit_fire;
	l->idle_timer.fire = idle_fire;
	l->interim_timer.fire = interim_fire;
	l->connect_timer.fire = connect_fire;
}

static struct session *
session_open(struct tunnel *t, const struct l2tp_msg *m)
{
	struct session *s = table_session_new();

	if (s == NULL)
		return NULL;
	s->peer_id = m->assigned_session;
	if (!tunnel_add_session(t, s)) {
		table_session_del(s);
		return NULL;
	}
	local_begin(s);
	set_starting(s, true);
	s->opened = timer_wall();
	s->call_serial = m->call_serial;
	s->bearer_type = m->bearer;
	s->phys_channel = m->phys_channel;
	log_escape(s->calling, sizeof(s->calling), m->calling.p,
	    m->calling.len);
	log_escape(s->called, sizeof(s->called), m->called.p, m->called.len);
	s->state = S_WAIT_CONNECT;
	return s;
}

void
session_recv_ICRQ(struct tunnel *t, const struct l2tp_msg *m)
{
	static struct log_limit limit;
	const char *text = NULL;
	uint16_t error = 0, result = check_ICRQ(t, m, &error, &text);
	struct session *s = NULL;

	if (result == 0) {
		/* Who gives its id away again has forgotten the old call. */
		session_kill(tunnel_peer_session(t, m->assigned_session),
		    CAUSE_LOST_SERVICE, "the LAC uses its id for a new call");
		s = session_open(t, m);
	}
	if (result == 0 && s == NULL) {
		COUNT(session_overflow);
		result = CDN_ERROR;
		error = L2TP_E_RESOURCES;
		text = "no free session";
	}
	if (s == NULL) {
		log_limited(&limit, LOG_L_INFO, t->tid, 0, "ICRQ refused: %s",
		    text);
		send_CDN(t, m->assigned_session,
		    (uint16_t)(digest_random_u32() | 1), result, error, text);
		return;
	}
	log_session(LOG_L_INFO, s, "ICRQ: calling %s, called %s, serial %u, "
	    "its id %u, ours %u", s->calling[0] != '\0' ? s->calling : "-",
	    s->called[0] != '\0' ? s->called : "-", s->call_serial,
	    s->peer_id, s->local_id);
	timer_arm(&session_local(s)->connect_timer, CONNECT_MS);
	replica_session_changed(s);
	send_ICRP(t, s);
}

static void
recv_ICCN(struct session *s, const struct l2tp_msg *m)
{
	s->tx_speed = m->tx_speed;
	s->rx_speed = m->rx_speed != 0 ? m->rx_speed : m->tx_speed;
	s->framing_type = m->framing;
	if (m->sequencing_required)
		s->flags |= SF_SEND_SEQ | SF_RECV_SEQ;
	timer_disarm(&session_local(s)->connect_timer);
	s->state = S_ESTABLISHED;
	COUNT(session_created);
	log_session(LOG_L_INFO, s, "ICCN: wait-connect -> established, speed "
	    "%u/%u bit/s%s", s->tx_speed, s->rx_speed,
	    m->sequencing_required ? ", sequencing required" : "");
	acct_name(s);
	replica_session_changed(s);
	ppp_start(s);
}

/* RFC 2661 4.4.2. */
static const char *
cdn_word(uint16_t result)
{
	static const char *const words[] = {
		[CDN_LOST_CARRIER] = "loss of carrier",
		[CDN_ERROR] = "see the error", [CDN_ADMIN] = "administrative",
		[CDN_TEMP_UNAVAILABLE] = "no facilities for now",
		[CDN_PERM_UNAVAILABLE] = "no facilities",
		[CDN_INVALID_DEST] = "invalid destination",
		[CDN_NO_CARRIER] = "no carrier", [CDN_BUSY] = "busy",
		[CDN_NO_DIAL_TONE] = "no dial tone",
		[CDN_TIMEOUT] = "not established in time",
		[CDN_NO_FRAMING] = "no framing",
	};

	return result < sizeof(words) / sizeof(words[0]) &&
	    words[result] != NULL ? words[result] : "unknown";
}

static void
recv_CDN(struct session *s, const struct l2tp_msg *m)
{
	static const enum terminate_cause causes[] = {
		[CDN_LOST_CARRIER] = CAUSE_LOST_CARRIER,
		[CDN_ADMIN] = CAUSE_ADMIN_RESET,
	};
	enum terminate_cause cause = CAUSE_LOST_SERVICE;
	const char *before = "";
	char text[128], reason[256];

	if (m->result < sizeof(causes) / sizeof(causes[0]) &&
	    causes[m->result] != 0)
		cause = causes[m->result];
	/* As a rule the CDN only follows what the subscriber began. */
	if (ppp_ending(s) != 0) {
		cause = (enum terminate_cause)ppp_ending(s);
		before = cause == CAUSE_USER_REQUEST ?
		    "the subscriber hung up, and " : "PPP came down, and ";
	}
	log_escape(text, sizeof(text), m->result_text.p, m->result_text.len);
	snprintf(reason, sizeof(reason), "%sthe LAC sent CDN, result %u (%s) "
	    "error %u%s%s", before, m->result, cdn_word(m->result), m->error,
	    text[0] != '\0' ? ": " : "", text);
	session_kill(s, cause, reason);
}

void
session_recv(struct session *s, const struct l2tp_msg *m)
{
	if (m->type == L2TP_CDN)
		recv_CDN(s, m);
	else if (m->bad_result != 0)
		session_shutdown(s, CAUSE_NAS_ERROR, m->bad_result,
		    m->bad_error, m->bad_text != NULL ? m->bad_text :
		    "malformed message");
	else if (m->type == L2TP_WEN)
		log_session(LOG_L_INFO, s, "WEN: the LAC reports line errors");
	else if (m->type != L2TP_ICCN || s->state != S_WAIT_CONNECT)
		session_shutdown(s, CAUSE_NAS_ERROR, CDN_ERROR,
		    L2TP_E_SESSION_ID, "message out of place in this state");
	else if (l2tp_msg_missing(m) >= 0)
		session_shutdown(s, CAUSE_NAS_ERROR, CDN_ERROR, L2TP_E_VALUE,
		    "a mandatory AVP is missing in the ICCN");
	else
		recv_ICCN(s, m);
}

/* --- the end ------------------------------------------------------------ */

static void
end_log(const struct session *s, const char *reason)
{
	log_session(s->authenticated ? LOG_L_WARN : LOG_L_INFO, s,
	    "session of %s at %u.%u.%u.%u ended: %s",
	    s->user[0] != '\0' ? s->user : "nobody yet", s->ip >> 24,
	    s->ip >> 16 & 255, s->ip >> 8 & 255, s->ip & 255, reason);
}

static void
disarm_timers(struct session_local *l)
{
	timer_disarm(&l->limit_timer);
	timer_disarm(&l->idle_timer);
	timer_disarm(&l->interim_timer);
	timer_disarm(&l->connect_timer);
}

/* First half of an end: nothing happens by itself any more. */
static void
session_halt(struct session *s)
{
	struct session_local *l = session_local(s);

	if ((s->flags & SF_SNOOP) != 0)
		snoop_stop(s, "the session's end");
	throttle_stop(s);
	s->dying = true;
	s->flags &= SF_GARDEN;		/* how it gives its address back */
	set_starting(s, false);
	ppp_stop(s);
	auth_cancel(s);
	disarm_timers(l);
}

/* Second half: nobody else knows of it any more. */
static void
session_unlink(struct session *s)
{
	struct session_local *l = session_local(s);
	struct tunnel *t = tunnel_by_tid(s->tid);

	drop_address(s);
	if (s->authenticated)
		user_unlink(s);
	if (t != NULL)
		tunnel_remove_session(t, s);
	replica_session_gone(s);
	l->next = reap_first;
	reap_first = s->sid;
}

/*
 * Undoes everything, once.  Only the slot itself stays till the end of the
 * turn, with `dying` set and on no list but the reaper's.  While plugins are
 * told (`ending`) it is as it was, but nothing can be made of it any more.
 */
static void
session_end(struct session *s, enum terminate_cause cause, const char *reason)
{
	struct session_local *l = session_local(s);

	end_log(s, reason);
	s->dying = l->ending = true;
	plugins_kill_session(s);
	session_halt(s);
	acct_stop(s, cause);
	l->ending = false;
	session_unlink(s);
}

void
session_shutdown(struct session *s, enum terminate_cause cause,
    uint16_t cdn_result, uint16_t cdn_error, const char *reason)
{
	struct tunnel *t;

	if (s == NULL || s->dying)
		return;
	COUNT(call_sessionshutdown);
	if (s->state == S_ESTABLISHED)
		ppp_goodbye(s);
	t = tunnel_by_tid(s->tid);
	if (t != NULL)
		send_CDN(t, s->peer_id, s->local_id, cdn_result, cdn_error,
		    reason);
	session_end(s, cause, reason);
}

void
session_kill(struct session *s, enum terminate_cause cause,
    const char *reason)
{
	if (s == NULL || s->dying)
		return;
	COUNT(call_sessionkill);
	session_end(s, cause, reason);
}

void
session_ppp_finished(struct session *s, enum terminate_cause cause,
    const char *reason)
{
	session_shutdown(s, cause, cause == CAUSE_LOST_CARRIER ?
	    CDN_LOST_CARRIER : CDN_ADMIN, 0, reason);
}

void
session_reap(void)
{
	struct session *s;

	while ((s = session_by_sid(reap_first)) != NULL) {
		reap_first = session_local(s)->next;
		table_session_del(s);
	}
}

void
session_exit(void)
{
	struct session *s;

	timer_disarm(&pool_walk.timer);
	session_reap();
	for (s = session_next(0); s != NULL; s = session_next(s->sid))
		throttle_stop(s);
}

/* --- to and from another process ---------------------------------------- */

/* 0 says that it is not armed. */
static uint64_t
left_of(const struct timer *t)
{
	uint64_t left = timer_left(t);

	return timer_armed(t) && left == 0 ? 1 : left;
}

/* Of a timer that would be armed if this were not a copy. */
static uint64_t
left_until(uint64_t due)
{
	return due == 0 ? 0 : due > timer_now() ? due - timer_now() : 1;
}

static void
copy_times(const struct session *s, struct session_carry *carry)
{
	const struct session_local *l = session_local(s);
	uint64_t last = (uint64_t)s->last_data * 1000;

	carry->age = s->acct_started ? timer_now() - s->started : 0;
	carry->idle = timer_now() > last ? timer_now() - last : 0;
	carry->limit_left = l->asleep ? left_until(l->limit_timer.due) :
	    left_of(&l->limit_timer);
	carry->interim_left = l->asleep ? left_until(l->interim_timer.due) :
	    left_of(&l->interim_timer);
	carry->framed_mtu = l->framed_mtu;
}

bool
session_export(const struct session *s, struct session_carry *carry)
{
	if (s->state != S_ESTABLISHED || s->dying || !s->authenticated ||
	    (s->flags & SF_OPEN) == 0 || !ppp_export(s, &carry->ppp))
		return false;
	copy_times(s, carry);
	carry->state = 0;
	carry->authenticated = false;
	return true;
}

bool
session_copy(const struct session *s, struct session_carry *carry)
{
	if (s->dying)
		return false;
	ppp_copy(s, &carry->ppp, (s->flags & SF_OPEN) != 0 ||
	    session_local(s)->held_open);
	copy_times(s, carry);
	carry->state = s->state;
	carry->authenticated = s->authenticated;
	return true;
}

void
sessions_settle(const char *reason)
{
	struct session_carry carry;
	struct session *s;

	for (s = session_next(0); s != NULL; s = session_next(s->sid)) {
		/* Who holds it does so again in the next process. */
		if (!s->dying)
			session_hold(s, UINT32_MAX, false);
		if (!s->dying && !session_export(s, &carry))
			session_shutdown(s, CAUSE_NAS_REBOOT, CDN_ADMIN, 0,
			    reason);
	}
	session_reap();
}

/* The address and the routes that it had; false when somebody has them. */
static bool
resume_address(struct session *s)
{
	uint32_t ip = s->ip;
	uint8_t n = s->nroutes;

	s->ip = 0;			/* not its own before it is claimed */
	s->nroutes = 0;
	s->routed = false;
	s->flags &= (uint16_t)~SF_ROUTED;
	if (ip == 0 || lpm_get(lns.lpm, ip, 32) != 0 ||
	    !ippool_claim(ip, s->user, s->sid))
		return false;
	s->ip = ip;
	if (!lpm_set(lns.lpm, ip, 32, s->sid))
		return false;
	route_address(s);
	/* add_route() refuses, with a line, what may not be any more. */
	for (uint8_t i = 0; i < n; i++)
		add_route(s, s->routes[i]);
	return true;
}

/* When a timer is due that had so much left `passed` ms ago; 0: never. */
static uint64_t
due_at(uint64_t left, uint64_t passed)
{
	if (left == 0)
		return 0;
	return left > passed ? timer_now() + left - passed : 1;
}

/* Session-Timeout counts the time between the processes, Idle-Timeout not. */
static void
set_times(struct session *s, const struct session_carry *carry,
    uint64_t passed)
{
	struct session_local *l = session_local(s);
	uint64_t now = timer_now();

	s->started = now - carry->age - passed;
	s->last_data = carry->idle < now ?
	    (uint32_t)((now - carry->idle) / 1000) : 0;
	l->limit_timer.due = due_at(carry->limit_left, passed);
	l->interim_timer.due = due_at(carry->interim_left, passed);
	l->framed_mtu = carry->framed_mtu;
}

static void
wake_timers(struct session *s)
{
	struct session_local *l = session_local(s);
	uint64_t now = timer_now(), last = (uint64_t)s->last_data * 1000;
	uint64_t limit = (uint64_t)s->idle_timeout * 1000;

	if (l->limit_timer.due != 0)
		timer_arm(&l->limit_timer, l->limit_timer.due > now ?
		    l->limit_timer.due - now : 0);
	if (limit > 0)
		timer_arm(&l->idle_timer, last + limit > now ?
		    last + limit - now : 0);
	/* Those that are overdue all at once are spread a little. */
	if (l->interim_timer.due != 0)
		timer_arm(&l->interim_timer, l->interim_timer.due > now ?
		    l->interim_timer.due - now : digest_random_u32() % 10000);
}

/* A copy has the flag, and no buckets.  It is not worth ending a session. */
static void
wake_throttle(struct session *s)
{
	if ((s->flags & SF_THROTTLE) == 0)
		return;
	s->flags &= (uint16_t)~SF_THROTTLE;
	if (!throttle_set(s, s->throttle_in, s->throttle_out))
		log_session(LOG_L_ERROR, s, "no memory to throttle it");
}

/*
 * Further numbers than these the server before us cannot have used: what the
 * LAC sees is a gap, and not old packets (RFC 2661 5.4).
 */
#define DATA_JUMP	16384

static void
wake_call(struct session *s)
{
	struct session_local *l = session_local(s);

	if ((s->flags & SF_SEND_SEQ) != 0)
		s->data_Ns = (uint16_t)(s->data_Ns + DATA_JUMP);
	if ((s->flags & SF_OPEN) == 0 && !l->held_open)
		set_starting(s, true);
	if (s->state == S_ESTABLISHED)
		ppp_wake(s);
	else
		timer_arm(&l->connect_timer, REST_MS);
}

void
session_wake(struct session *s)
{
	struct session_local *l = session_local(s);

	if (!l->asleep || s->dying)
		return;
	l->asleep = false;
	wake_timers(s);
	wake_throttle(s);
	wake_call(s);
}

void
session_rest(struct session *s)
{
	struct session_local *l = session_local(s);
	struct session_carry carry;

	if (l->asleep || s->dying)
		return;
	session_hold(s, UINT32_MAX, false);	/* plugins have no say here */
	copy_times(s, &carry);
	l->asleep = true;
	throttle_stop(s);
	set_starting(s, false);
	auth_cancel(s);
	ppp_rest(s);
	disarm_timers(l);
	set_times(s, &carry, 0);
}

#define KEPT_FLAGS	(SF_OPEN | SF_SEND_SEQ | SF_RECV_SEQ | SF_ACFC | \
			SF_PFC | SF_THROTTLE | SF_GARDEN)

struct session *
session_resume(const struct session *facts, const struct session_carry *carry,
    uint64_t passed)
{
	struct tunnel *t = tunnel_by_tid(facts->tid);
	struct session *s = t != NULL ? table_session_at(facts->sid) : NULL;

	if (s == NULL)
		return NULL;
	*s = *facts;
	s->flags &= KEPT_FLAGS;
	s->state = S_ESTABLISHED;
	s->dying = false;
	s->authenticated = true;
	if (!tunnel_resume_session(t, s)) {
		table_session_del(s);
		return NULL;
	}
	local_begin(s);
	user_link(s);
	ppp_resume(s, &carry->ppp);
	set_times(s, carry, passed);
	if (!resume_address(s)) {
		session_forget(s);
		return NULL;
	}
	wake_timers(s);
	wake_throttle(s);
	if ((facts->flags & SF_SNOOP) != 0 && !snoop_start(s, facts->snoop_ip,
	    facts->snoop_port, "the saved state"))
		log_session(LOG_L_ERROR, s, "it cannot be intercepted");
	return s;
}

/* --- a copy of what another server has ----------------------------------- */

/* Of its ids too: is it still the call that it was? */
static bool
is_call(const struct session *s, const struct session *facts)
{
	return s->tid == facts->tid && s->local_id == facts->local_id &&
	    s->peer_id == facts->peer_id && !s->dying;
}

static bool
same_addresses(const struct session *s, const struct session *facts)
{
	if (s->ip != facts->ip || s->nroutes != facts->nroutes)
		return false;
	for (uint8_t i = 0; i < s->nroutes; i++)
		if (s->routes[i].addr != facts->routes[i].addr ||
		    s->routes[i].len != facts->routes[i].len)
			return false;
	return true;
}

static void
forget_other(struct session *o, const struct session *s)
{
	if (o == NULL || o == s)
		return;
	COUNT(replica_healed);
	session_forget(o);
}

/* A prefix is whose the newest record says; false when memory is short. */
static bool
mirror_prefix(struct session *s, struct prefix p)
{
	forget_other(session_by_sid(lpm_get(lns.lpm, p.addr, p.len)), s);
	if (p.len == 32 && !ippool_claim(p.addr, s->user, s->sid)) {
		ippool_release(p.addr, NULL);
		(void)ippool_claim(p.addr, s->user, s->sid);
	}
	return lpm_set(lns.lpm, p.addr, p.len, s->sid);
}

/* A route that covers an address of this server is left out here. */
static bool
mirror_addresses(struct session *s, const struct session *facts)
{
	const struct prefix *r;

	drop_address(s);
	if (facts->ip == 0)
		return true;
	s->ip_from_pool = facts->ip_from_pool;
	if (!mirror_prefix(s, (struct prefix){ facts->ip, 32 }))
		return false;
	s->ip = facts->ip;
	route_address(s);
	for (uint8_t i = 0; i < facts->nroutes; i++) {
		r = &facts->routes[i];
		if (tun_prefix_forbidden(r->addr, r->len))
			continue;
		if (!mirror_prefix(s, *r))
			return false;
		s->routes[s->nroutes++] = *r;
		tun_route_add(r->addr, r->len);
	}
	if (s->nroutes > 0)
		s->flags |= SF_ROUTED;
	return true;
}

/* The slot, linked to its tunnel; NULL if it cannot be. */
static struct session *
mirror_slot(const struct session *facts)
{
	struct tunnel *t = tunnel_by_tid(facts->tid);
	struct session *s = session_by_sid(facts->sid);

	if (s != NULL && is_call(s, facts))
		return s;
	forget_other(s, NULL);
	if (t == NULL)
		return NULL;
	forget_other(tunnel_session(t, facts->local_id), NULL);
	forget_other(tunnel_peer_session(t, facts->peer_id), NULL);
	s = table_session_at(facts->sid);
	if (s == NULL)
		return NULL;
	s->local_id = facts->local_id;
	s->peer_id = facts->peer_id;
	if (!tunnel_resume_session(t, s)) {
		table_session_del(s);
		return NULL;
	}
	local_begin(s);
	session_local(s)->asleep = true;
	return s;
}

/* All but what the slot is linked by, what it counts, and its addresses. */
static void
mirror_facts(struct session *s, const struct session *facts,
    const struct session_carry *carry)
{
	struct session before = *s;

	*s = *facts;
	s->rx_octets = before.rx_octets;
	s->tx_octets = before.tx_octets;
	s->rx_packets = before.rx_packets;
	s->tx_packets = before.tx_packets;
	s->last_data = before.last_data;
	s->ip = before.ip;
	s->ip_from_pool = before.ip_from_pool;
	s->routed = before.routed;
	s->nroutes = before.nroutes;
	memcpy(s->routes, before.routes, sizeof(s->routes));
	s->flags = (uint16_t)((facts->flags & (KEPT_FLAGS | SF_SNOOP)) |
	    (before.flags & SF_ROUTED));
	s->state = carry->state;
	s->authenticated = carry->authenticated;
	s->dying = false;
}

static void
mirror_user(struct session *s, const struct session *facts,
    const struct session_carry *carry)
{
	bool was = s->authenticated, is = carry->authenticated;

	if (was && is && strcmp(s->user, facts->user) == 0)
		return;
	if (was)
		user_unlink(s);
	s->authenticated = is;
	memcpy(s->user, facts->user, sizeof(s->user));
	if (is)
		user_link(s);
}

struct session *
session_mirror(const struct session *facts, const struct session_carry *carry)
{
	struct session *s = mirror_slot(facts);
	uint32_t last;

	if (s == NULL)
		return NULL;
	last = s->last_data;
	/* Given back under the name that it was used by. */
	if (!same_addresses(s, facts))
		drop_address(s);
	mirror_user(s, facts, carry);
	mirror_facts(s, facts, carry);
	ppp_mirror(s, &carry->ppp, (s->flags & SF_OPEN) != 0);
	set_times(s, carry, 0);
	if (s->last_data < last)
		s->last_data = last;	/* what passed here */
	if (!same_addresses(s, facts) && !mirror_addresses(s, facts)) {
		session_forget(s);
		return NULL;
	}
	return s;
}

void
session_forget(struct session *s)
{
	/* No interception ends here that did not begin here. */
	if (session_local(s)->asleep)
		s->flags &= (uint16_t)~SF_SNOOP;
	session_halt(s);
	session_unlink(s);
	session_reap();
}

/* --- sending ------------------------------------------------------------ */

/* RFC 1661 6.5, 6.6: LCP is never compressed. */
static void
put_ppp_header(struct wr *w, const struct session *s, uint16_t protocol)
{
	if (protocol == PPP_LCP || (s->flags & SF_ACFC) == 0)
		wr_u16(w, 0xff03);
	if (protocol < 0x100 && (s->flags & SF_PFC) != 0)
		wr_u8(w, (uint8_t)protocol);
	else
		wr_u16(w, protocol);
}

bool
session_send_ppp(struct session *s, uint16_t protocol, const void *info,
    size_t len)
{
	struct tunnel *t = tunnel_by_tid(s->tid);
	uint8_t buf[PACKET_MAX];
	struct wr w = wr_init(buf, sizeof(buf));

	if (t == NULL || s->dying)
		return false;
	wr_u16(&w, (s->flags & SF_SEND_SEQ) != 0 ?
	    L2TP_F_SEQUENCE | L2TP_VERSION_2 : L2TP_VERSION_2);
	wr_u16(&w, t->peer_id);
	wr_u16(&w, s->peer_id);
	if ((s->flags & SF_SEND_SEQ) != 0) {
		wr_u16(&w, s->data_Ns++);
		wr_u16(&w, 0);	/* Nr is reserved in data: 5.4 */
	}
	put_ppp_header(&w, s, protocol);
	wr_bytes(&w, info, len);
	return wr_done(&w) > 0 && forward_send(&t->peer, buf, wr_done(&w));
}

void
session_init(void)
{
	static struct loop_hook reap = { .run = session_reap };

	memset(by_user, 0, sizeof(by_user));
	reap_first = starting = 0;
	loop_at_turn_end(&reap);
}
