/*
 * tunnel.c - L2TP control connections, the LNS half (RFC 2661 7.2.1)
 *
 * A datagram comes in, finds its tunnel by the id that we assigned and by the
 * address that its SCCRQ came from, passes through tunnel_ctl.c, which puts
 * messages in order, and arrives at tunnel_deliver(): decoded once, it goes
 * to the state machine below or, if it is about a call, on to session.c.
 *
 * Until the LAC has been heard after our SCCRP nobody knows whether its
 * source address is real.  Such a half-open tunnel therefore costs little:
 * its messages out are bounded by its octets in, it is cleared without a
 * word, and when there are too many a LAC has to ask twice.
 *
 * Owns:     struct tunnel, struct tunnel_local, the maps from ids to tunnels.
 * Calls:    tunnel_ctl.c below, session.c beside, forward_send() out.
 * Lifetime: a slot lives from SCCRQ until StopCCN has been repeated for as
 *           long as the peer may repeat its own (31 s), then is reaped at the
 *           end of the turn.
 */
#include "tunnel.h"

#include <stdio.h>

#include "digest.h"
#include "forward.h"
#include "log.h"
#include "loop.h"
#include "ratelimit.h"
#include "replica.h"
#include "seen.h"
#include "session.h"
#include "table.h"

#define LINGER_MS	31000	/* a full retransmission cycle: 5.7 */
#define HALF_OPEN_MS	10000	/* for the peer to be heard again */
#define HALF_OPEN_RETRIES 2	/* of the SCCRP */
#define CLOSE_POLL_MS	1000	/* does our StopCCN still wait? */
#define REPEAT_MS	3000	/* an SCCRQ may still be under way so long */
#define CDNS_MAX	30000	/* in the queue, with room for the StopCCN */
#define DROP_MS		10000	/* from the CDNs to the StopCCN, on request */
#define DROP_SLICE	128	/* calls that end in one turn, of all tunnels */
#define LENIENT_MS	20000	/* after a take-over: numbers are believed */
#define SCCRQ_OCTETS	128	/* that came, for a copy: about as many */
#define OVERHEAD	28	/* IP and UDP header, for amplification */

/* Tunnels by local_id, and chains of tunnels by what their peer chose. */
static uint32_t by_local_id[65536];
static uint32_t by_peer[65536];

static uint32_t ended;			/* calls in this turn, by drop_slice() */

/* Tunnels that may have to make room for others, oldest first. */
static struct tunnel_list {
	uint32_t first, last, count;
} half_open, lingering;

static uint32_t established;

static struct ratelimit sccrq_rate;
static struct seen sccrq_seen;
/* What died in this turn, chained by next_same. */
static uint32_t reap_first;

/* --- who is who --------------------------------------------------------- */

static uint16_t
peer_hash(const struct peer *p, uint16_t peer_id)
{
	uint32_t h = p->addr * UINT32_C(2654435769);

	return (uint16_t)((h >> 16) ^ h ^ p->port ^ peer_id);
}

static bool
same_peer(const struct peer *a, const struct peer *b)
{
	return a->addr == b->addr && a->port == b->port;
}

struct tunnel *
tunnel_by_local_id(uint16_t id)
{
	return tunnel_by_tid(by_local_id[id]);
}

struct session *
tunnel_session(const struct tunnel *t, uint16_t local_id)
{
	return session_by_sid(idmap_find(&tunnel_local(t)->ids, local_id));
}

struct session *
tunnel_peer_session(const struct tunnel *t, uint16_t peer_id)
{
	return session_by_sid(idmap_find(&tunnel_local(t)->peer_ids, peer_id));
}

/* A tunnel that this peer opened with this id of its own, other than `but`. */
static struct tunnel *
find_by_peer(const struct peer *p, uint16_t peer_id, const struct tunnel *but)
{
	struct tunnel *t = tunnel_by_tid(by_peer[peer_hash(p, peer_id)]);

	while (t != NULL && (t == but || t->peer_id != peer_id ||
	    !same_peer(&t->peer, p) || tunnel_local(t)->lost))
		t = tunnel_by_tid(tunnel_local(t)->next_same);
	return t;
}

static void
link_ids(struct tunnel *t)
{
	uint32_t *chain = &by_peer[peer_hash(&t->peer, t->peer_id)];

	by_local_id[t->local_id] = t->tid;
	tunnel_local(t)->next_same = *chain;
	*chain = t->tid;
}

/* There is a free id: max_tunnels is at most 65535 and 0 is none. */
static uint16_t
free_local_id(void)
{
	uint16_t id = (uint16_t)digest_random_u32();

	while (id == 0 || by_local_id[id] != 0)
		id++;
	return id;
}

static void
unlink_ids(struct tunnel *t)
{
	uint32_t *at = &by_peer[peer_hash(&t->peer, t->peer_id)];

	while (*at != 0 && *at != t->tid)
		at = &tunnel_local(tunnel_by_tid(*at))->next_same;
	if (*at == t->tid)
		*at = tunnel_local(t)->next_same;
	by_local_id[t->local_id] = 0;
}

/* A tunnel is on one list at most. */
static void
list_add(struct tunnel_list *list, struct tunnel *t)
{
	struct tunnel_local *l = tunnel_local(t);

	l->list = list;
	l->list_prev = list->last;
	l->list_next = 0;
	if (list->last != 0)
		tunnel_local(tunnel_by_tid(list->last))->list_next = t->tid;
	else
		list->first = t->tid;
	list->last = t->tid;
	list->count++;
}

static void
list_del(struct tunnel *t)
{
	struct tunnel_local *l = tunnel_local(t);

	if (l->list == NULL)
		return;
	if (l->list_prev != 0)
		tunnel_local(tunnel_by_tid(l->list_prev))->list_next =
		    l->list_next;
	else
		l->list->first = l->list_next;
	if (l->list_next != 0)
		tunnel_local(tunnel_by_tid(l->list_next))->list_prev =
		    l->list_prev;
	else
		l->list->last = l->list_prev;
	l->list->count--;
	l->list = NULL;
}

/* --- states ------------------------------------------------------------- */

static const char *const state_words[T_STATES] = {
	"idle", "wait-ctl-conn", "established", "closing"
};

static void
tunnel_set_state(struct tunnel *t, enum tunnel_state to, const char *on)
{
	if (t->state == to)
		return;
	log_tunnel(t->state == T_WAIT_CTL_CONN && to == T_CLOSING ?
	    LOG_L_CALL : LOG_L_INFO, t, "tunnel %u (%s): %s -> %s on %s",
	    t->tid, t->hostname[0] != '\0' ? t->hostname : "?",
	    state_words[t->state], state_words[to], on);
	if (t->state == T_WAIT_CTL_CONN)
		list_del(t);
	if (to == T_ESTABLISHED)
		established++;
	else if (t->state == T_ESTABLISHED)
		established--;
	t->state = (uint8_t)to;
	replica_tunnel_changed(t);
}

uint32_t
tunnels_established(void)
{
	return established;
}

const char *
tunnel_state_name(const struct tunnel *t)
{
	static const char *const names[T_STATES] = {
		"Free", "Opening", "Open", "Dieing"
	};

	return names[tunnel_dropped(t) ? T_CLOSING : t->state];
}

bool
tunnel_dropped(const struct tunnel *t)
{
	return t->state == T_CLOSING || tunnel_local(t)->stop_at != 0;
}

void
tunnel_reap(void)
{
	struct tunnel *t;

	ended = 0;
	while ((t = tunnel_by_tid(reap_first)) != NULL) {
		reap_first = tunnel_local(t)->next_same;
		ctl_free(&tunnel_local(t)->ctl);
		idmap_free(&tunnel_local(t)->ids);
		idmap_free(&tunnel_local(t)->peer_ids);
		table_tunnel_del(t);
	}
}

void
tunnel_exit(void)
{
	struct tunnel *t;

	tunnel_reap();
	for (t = tunnel_next(0); t != NULL; t = tunnel_next(t->tid)) {
		ctl_free(&tunnel_local(t)->ctl);
		idmap_free(&tunnel_local(t)->ids);
		idmap_free(&tunnel_local(t)->peer_ids);
	}
}

/*
 * At most max sessions go; with a CDN each if the peer should hear of them.
 * Those for whom there is no room are meant by the StopCCN (5.7).
 */
static void
drop_some(struct tunnel *t, enum terminate_cause cause, uint16_t result,
    const char *reason, bool each, uint32_t max)
{
	struct session *s;

	/* The first one each time: its end may be that of others too. */
	while (max-- > 0 &&
	    (s = session_by_sid(tunnel_local(t)->first_sid)) != NULL) {
		if (each && tunnel_local(t)->ctl.queued < CDNS_MAX)
			session_shutdown(s, cause, result, 0, reason);
		else
			session_kill(s, cause, reason);
	}
}

/* As many as may go in this turn; true when all are gone. */
static bool
drop_slice(struct tunnel *t, enum terminate_cause cause, uint16_t result,
    const char *reason, bool each)
{
	uint32_t before = t->sessions;

	if (ended < DROP_SLICE)
		drop_some(t, cause, result, reason, each, DROP_SLICE - ended);
	ended += before - t->sessions;
	return tunnel_local(t)->first_sid == 0;
}

static void
drop_sessions(struct tunnel *t, enum terminate_cause cause, uint16_t result,
    const char *reason, bool each)
{
	drop_some(t, cause, result, reason, each, UINT32_MAX);
}

static void
tunnel_free(struct tunnel *t)
{
	struct tunnel_local *l = tunnel_local(t);

	if (l->dying)
		return;
	COUNT(call_tunnelkill);
	/*
	 * As a rule none is left; but a half-open one that is a copy may have
	 * been told of calls that cannot be.
	 */
	drop_sessions(t, CAUSE_LOST_SERVICE, 0, "its tunnel is gone", false);
	l->dying = true;
	if (t->state == T_ESTABLISHED)
		established--;
	list_del(t);
	timer_disarm(&l->hello);
	timer_disarm(&l->life);
	timer_disarm(&l->drain);
	unlink_ids(t);
	/* Of a flood of half-open ones nobody need hear that it is over. */
	if (l->told)
		replica_tunnel_gone(t);
	l->next_same = reap_first;
	reap_first = t->tid;
}

/*
 * The sessions of a tunnel that is gone end some at a time: those of
 * others go on.  For now it is closing; then it lingers, or is freed.
 */
static void
drain(struct tunnel *t)
{
	struct tunnel_local *l = tunnel_local(t);

	if (!drop_slice(t, CAUSE_LOST_SERVICE, 0, l->gone, false))
		timer_arm(&l->drain, 0);
	else if (l->lost)
		tunnel_free(t);
	else
		list_add(&lingering, t);
}

static void
drain_fire(struct timer *timer)
{
	struct tunnel_local *l = timer_owner(timer, struct tunnel_local,
	    drain);

	drain(l->ctl.owner);
}

static void
closing_begin(struct tunnel *t, const char *on, uint64_t ms)
{
	tunnel_set_state(t, T_CLOSING, on);
	timer_disarm(&tunnel_local(t)->hello);
	timer_arm(&tunnel_local(t)->life, ms);
}

static void
send_StopCCN(struct tunnel *t, uint16_t result, uint16_t error,
    const char *text)
{
	uint8_t buf[512];
	struct wr w = wr_init(buf, sizeof(buf));

	l2tp_msg_begin(&w, t->peer_id, 0, L2TP_STOPCCN);
	l2tp_avp_u16(&w, true, AVP_ASSIGNED_TUNNEL, t->local_id);
	l2tp_avp_result(&w, result, error, text);
	replica_numbers_changed(t);
	ctl_send(&tunnel_local(t)->ctl, buf, l2tp_msg_end(&w));
}

void
tunnel_shutdown(struct tunnel *t, uint16_t result, uint16_t error,
    const char *reason, bool each)
{
	static struct log_limit limit;	/* for who has shown nothing yet */

	if (t->state == T_CLOSING || tunnel_local(t)->dying)
		return;
	COUNT(call_tunnelshutdown);
	if (t->state == T_WAIT_CTL_CONN)
		log_limited(&limit, LOG_L_WARN, t->tid, 0,
		    "tunnel from %u.%u.%u.%u (%s) refused: %s",
		    t->peer.addr >> 24, t->peer.addr >> 16 & 255,
		    t->peer.addr >> 8 & 255, t->peer.addr & 255,
		    t->hostname, reason);
	else
		log_tunnel(LOG_L_WARN, t, "tunnel %u (%s): shutting down: %s",
		    t->tid, t->hostname, reason);
	drop_sessions(t, lns.shutting_down ? CAUSE_ADMIN_REBOOT :
	    CAUSE_NAS_REQUEST, CDN_ADMIN, reason, each);
	send_StopCCN(t, result, error, reason);
	closing_begin(t, "StopCCN sent", CLOSE_POLL_MS);
}

/*
 * A tunnel that an operator drops: a CDN for each call first, a hundred a
 * turn as forwarding must not wait for sixty thousand; 10 s later the StopCCN.
 */
static void
drop_go_on(struct tunnel *t)
{
	struct tunnel_local *l = tunnel_local(t);

	if (timer_now() >= l->stop_at) {
		tunnel_shutdown(t, STOPCCN_CLEAR, 0, "dropped on request",
		    true);
		return;
	}
	timer_arm(&l->life, drop_slice(t, CAUSE_ADMIN_RESET, CDN_ADMIN,
	    "its tunnel is dropped", true) ? l->stop_at - timer_now() : 0);
}

bool
tunnel_drop(struct tunnel *t)
{
	if (tunnel_dropped(t) || tunnel_local(t)->dying)
		return false;
	if (t->state == T_WAIT_CTL_CONN) {
		tunnel_shutdown(t, STOPCCN_CLEAR, 0, "dropped on request",
		    false);
		return true;
	}
	log_tunnel(LOG_L_WARN, t, "tunnel %u (%s): dropped on request, %u "
	    "sessions", t->tid, t->hostname, t->sessions);
	tunnel_local(t)->stop_at = timer_now() + DROP_MS;
	replica_tunnel_changed(t);
	drop_go_on(t);
	return true;
}

/* The peer is gone: nothing is said to it. */
static void
tunnel_lost(struct tunnel *t, const char *reason)
{
	struct tunnel_local *l = tunnel_local(t);

	if (l->lost)
		return;
	log_tunnel(LOG_L_WARN, t, "tunnel %u (%s): lost: %s", t->tid,
	    t->hostname, reason);
	l->gone = reason;
	l->lost = true;
	replica_tunnel_changed(t);
	list_del(t);
	timer_disarm(&l->hello);
	timer_disarm(&l->life);
	drain(t);
	if (!l->dying)
		tunnel_set_state(t, T_CLOSING, "its loss");
}

/* As a flood of forged SCCRQs brings about: without a line for each. */
static void
half_open_lost(struct tunnel *t, const char *reason)
{
	static struct log_limit limit;

	log_limited(&limit, LOG_L_INFO, t->tid, 0, "tunnel %u (%s): cleared: "
	    "%s", t->tid, t->hostname, reason);
	tunnel_free(t);
}

static void
life_fire(struct timer *timer)
{
	struct tunnel_local *l = timer_owner(timer, struct tunnel_local, life);
	struct tunnel *t = l->ctl.owner;

	if (t->state == T_WAIT_CTL_CONN) {
		half_open_lost(t, "no SCCCN came");
	} else if (t->state == T_ESTABLISHED) {
		drop_go_on(t);
	} else if (t->state == T_CLOSING && !ctl_idle(&l->ctl) &&
	    !l->ctl.dead)
		timer_arm(&l->life, CLOSE_POLL_MS);
	else
		tunnel_free(t);
}

/* --- the wire ----------------------------------------------------------- */

/*
 * What a half-open tunnel may send: at most five times what it received over
 * its life, so that a forged source gains nothing from us.
 */
static bool
within_amplification(struct tunnel_local *l, size_t len)
{
	if (l->answered)
		return true;
	if (l->octets_out + len + OVERHEAD > l->octets_in * 5)
		return false;
	l->octets_out += (uint32_t)len + OVERHEAD;
	return true;
}

static void
ctl_out(void *owner, const void *buf, size_t len)
{
	struct tunnel *t = owner;

	if (lns.quiet || !within_amplification(tunnel_local(t), len))
		return;
	replica_numbers_changed(t);
	COUNT(call_tunnelsend);
	forward_send(&t->peer, buf, len);
}

static void
ctl_dead(void *owner)
{
	struct tunnel *t = owner;

	if (tunnel_local(t)->dying)
		return;
	if (t->state == T_WAIT_CTL_CONN) {
		half_open_lost(t, "SCCRP was never acknowledged");
		return;
	}
	COUNT(tunnel_timeout);
	tunnel_lost(t, "no acknowledgement of a control message");
}

static void tunnel_deliver(void *, const uint8_t *, size_t);

static const struct ctl_ops ctl_ops = {
	.send = ctl_out, .deliver = tunnel_deliver, .dead = ctl_dead
};

bool
tunnel_send(struct tunnel *t, const void *msg, size_t len)
{
	if (t->state == T_CLOSING || tunnel_local(t)->dying)
		return false;
	replica_numbers_changed(t);
	return ctl_send(&tunnel_local(t)->ctl, msg, len);
}

/* RFC 2661 5.5: how long a tunnel may be silent; 0: for ever. */
static void
hello_arm(struct tunnel *t, uint64_t quiet)
{
	uint64_t interval = (uint64_t)lns.config.l2tp_hello_interval * 1000;

	if (interval != 0)
		timer_arm(&tunnel_local(t)->hello,
		    interval > quiet ? interval - quiet : 1000);
}

static void
hello_fire(struct timer *timer)
{
	struct tunnel_local *l = timer_owner(timer, struct tunnel_local, hello);
	struct tunnel *t = l->ctl.owner;
	uint64_t heard = l->ctl.last_recv, quiet;
	uint8_t buf[64];
	struct wr w = wr_init(buf, sizeof(buf));

	if ((uint64_t)t->last_data * 1000 > heard)
		heard = (uint64_t)t->last_data * 1000;
	quiet = timer_now() > heard ? timer_now() - heard : 0;
	if (quiet < (uint64_t)lns.config.l2tp_hello_interval * 1000) {
		hello_arm(t, quiet);
		return;
	}
	/* One at a time: while it waits for its answer, ctl repeats it. */
	if (ctl_idle(&l->ctl)) {
		l2tp_msg_begin(&w, t->peer_id, 0, L2TP_HELLO);
		replica_numbers_changed(t);
		ctl_send(&l->ctl, buf, l2tp_msg_end(&w));
	}
	hello_arm(t, 0);
}

/* --- SCCRQ -------------------------------------------------------------- */

/*
 * One StopCCN without a tunnel: no state is kept, so the LAC that repeats its
 * SCCRQ gets it again, within the rate of its source.
 */
static void
refuse_SCCRQ(const struct peer *p, const struct l2tp_msg *m, uint16_t result,
    uint16_t error, const char *text)
{
	static struct log_limit limit;
	uint8_t buf[256];
	struct wr w = wr_init(buf, sizeof(buf));
	size_t len;

	log_limited(&limit, LOG_L_WARN, 0, 0,
	    "SCCRQ from %u.%u.%u.%u refused: %s", p->addr >> 24,
	    p->addr >> 16 & 255, p->addr >> 8 & 255, p->addr & 255, text);
	l2tp_msg_begin(&w, m->assigned_tunnel, 0, L2TP_STOPCCN);
	l2tp_avp_u16(&w, true, AVP_ASSIGNED_TUNNEL,
	    (uint16_t)(digest_random_u32() | 1));
	l2tp_avp_result(&w, result, error, text);
	len = l2tp_msg_end(&w);
	if (len > 0) {
		l2tp_msg_stamp(buf, 0, 1);
		forward_send(p, buf, len);
	}
}

/* The reason why this SCCRQ can not be taken: result, error and words. */
struct refusal {
	uint16_t result, error;
	const char *text;
};

static bool
check_SCCRQ(const struct l2tp_msg *m, struct refusal *no)
{
	const char *secret = lns.config.l2tp_secret;

	*no = (struct refusal){ 0 };
	if (m->bad_result != 0)
		*no = (struct refusal){ m->bad_result, m->bad_error,
		    m->bad_text != NULL ? m->bad_text : "malformed SCCRQ" };
	else if (L2TP_HAVE(m, AVP_PROTOCOL_VERSION) &&
	    m->protocol_version >> 8 != 1)
		*no = (struct refusal){ STOPCCN_VERSION, 0x0100,
		    "protocol version 1 wanted" };
	else if (l2tp_msg_missing(m) >= 0)
		*no = (struct refusal){ STOPCCN_ERROR, L2TP_E_VALUE,
		    "a mandatory AVP is missing" };
	else if (m->assigned_tunnel == 0 || m->host_name.len == 0)
		*no = (struct refusal){ STOPCCN_ERROR, L2TP_E_VALUE,
		    "tunnel id 0 or empty host name" };
	else if (lns.shutting_down)
		*no = (struct refusal){ STOPCCN_SHUTTING_DOWN, 0,
		    "shutting down" };
	else if (L2TP_HAVE(m, AVP_CHALLENGE) && secret[0] == '\0')
		*no = (struct refusal){ STOPCCN_NOT_AUTHORIZED, 0,
		    "challenged, but no l2tp_secret is set here" };
	else if (lns.config.l2tp_require_secret && secret[0] == '\0')
		*no = (struct refusal){ STOPCCN_NOT_AUTHORIZED, 0,
		    "l2tp_require_secret, but no l2tp_secret is set here" };
	return no->result == 0;
}

static void
copy_text(char *dst, size_t size, struct blob b)
{
	log_escape(dst, size, b.p, b.len);
}

static void
send_SCCRP(struct tunnel *t, const struct l2tp_msg *sccrq)
{
	struct tunnel_local *l = tunnel_local(t);
	const char *secret = lns.config.l2tp_secret;
	uint8_t buf[512], response[16];
	struct wr w = wr_init(buf, sizeof(buf));

	l2tp_msg_begin(&w, t->peer_id, 0, L2TP_SCCRP);
	l2tp_avp_u16(&w, true, AVP_PROTOCOL_VERSION, 0x0100);
	l2tp_avp_u32(&w, true, AVP_FRAMING_CAP, 3);
	l2tp_avp_bytes(&w, true, AVP_HOST_NAME, lns.hostname,
	    strlen(lns.hostname));
	l2tp_avp_u16(&w, true, AVP_ASSIGNED_TUNNEL, t->local_id);
	l2tp_avp_u16(&w, true, AVP_RECEIVE_WINDOW, l->ctl.window);
	if (L2TP_HAVE(sccrq, AVP_CHALLENGE)) {
		l2tp_challenge_response(response, L2TP_SCCRP, secret,
		    sccrq->challenge.p, sccrq->challenge.len);
		l2tp_avp_bytes(&w, true, AVP_CHALLENGE_RESPONSE, response,
		    sizeof(response));
	}
	if (lns.config.l2tp_require_secret) {
		digest_random(l->challenge, sizeof(l->challenge));
		l->challenged = true;
		l2tp_avp_bytes(&w, true, AVP_CHALLENGE, l->challenge,
		    sizeof(l->challenge));
	}
	ctl_send(&l->ctl, buf, l2tp_msg_end(&w));
}

/* How many tunnels may be half open at once. */
static uint32_t
half_open_max(void)
{
	uint32_t quarter = (uint32_t)lns.config.max_tunnels / 4;

	return quarter > 16 ? quarter : 16;
}

/*
 * As many are half open as may be, so somebody forges SCCRQs: whoever is real
 * will ask again, and is taken then.  If each of them were taken at once, none
 * would be there any more when its SCCCN comes.
 */
static bool
must_ask_again(const struct peer *p, uint16_t peer_id)
{
	return half_open.count >= half_open_max() &&
	    !seen_before(&sccrq_seen, (uint64_t)p->addr << 32 |
	    (uint64_t)p->port << 16 | peer_id);
}

/*
 * A free slot.  When there is none, one that only lingers makes room, or else
 * the one that has been half open for longest.  It is reaped here and not at
 * the end of the turn, which is safe as no tunnel is up the stack: we are
 * called for a datagram that belongs to none.
 */
static struct tunnel *
slot_new(void)
{
	struct tunnel *t = NULL, *old;

	if (half_open.count < half_open_max() &&
	    (t = table_tunnel_new()) != NULL)
		return t;
	old = tunnel_by_tid(half_open.count >= half_open_max() ||
	    lingering.count == 0 ? half_open.first : lingering.first);
	if (old == NULL)
		return NULL;
	tunnel_free(old);
	tunnel_reap();
	return table_tunnel_new();
}

static void
set_timers(struct tunnel_local *l)
{
	l->hello.fire = hello_fire;
	l->life.fire = life_fire;
	l->drain.fire = drain_fire;
}

/* A fresh tunnel for this peer, all but its SCCRP; NULL when there is none. */
static struct tunnel *
tunnel_open(const struct peer *p, const struct l2tp_msg *m)
{
	struct tunnel_local *l;
	struct tunnel *t;

	t = slot_new();
	if (t == NULL)
		return NULL;
	l = tunnel_local(t);
	if (!ctl_init(&l->ctl, &ctl_ops, t, (uint16_t)lns.config.l2tp_window)) {
		table_tunnel_del(t);
		return NULL;
	}
	t->peer = *p;
	t->peer_id = m->assigned_tunnel;
	t->opened = timer_wall();
	t->framing = m->framing;
	t->bearer = m->bearer;
	t->firmware = m->firmware;
	copy_text(t->hostname, sizeof(t->hostname), m->host_name);
	copy_text(t->vendor, sizeof(t->vendor), m->vendor_name);
	t->peer_window = L2TP_HAVE(m, AVP_RECEIVE_WINDOW) ?
	    m->receive_window : 4;
	if (t->peer_window == 0)
		t->peer_window = 1;
	l->ctl.peer_id = t->peer_id;
	l->ctl.peer_window = l->ctl.ssthresh = t->peer_window;
	l->ctl.max_retries = HALF_OPEN_RETRIES;
	set_timers(l);
	t->local_id = free_local_id();
	link_ids(t);
	list_add(&half_open, t);
	t->state = T_WAIT_CTL_CONN;
	timer_arm(&l->life, HALF_OPEN_MS);
	replica_tunnel_changed(t);
	return t;
}

/*
 * No answer at all goes to what can not be a LAC: nobody, everybody, or
 * ourselves.
 */
static bool
plausible_source(const struct peer *p)
{
	return p->port != 0 && p->addr >> 24 != 0 && p->addr < 0xe0000000 &&
	    (p->local == 0 || p->addr != p->local || p->port != L2TP_PORT);
}

/*
 * Is an SCCRQ with the ids of this tunnel the one that made it, once more?
 * Not if our SCCRP was answered a while ago, whatever the network does to
 * datagrams: then the LAC has restarted, and counts its tunnels from 1 again.
 * What is up stays up until the LAC proves by an SCCCN that it is there.
 */
static bool
is_repeat(const struct tunnel *t)
{
	const struct tunnel_local *l = tunnel_local(t);

	return t->state != T_CLOSING && (!l->answered ||
	    timer_now() < l->answered_at + REPEAT_MS);
}

/* A datagram of this tunnel's peer. */
static void
hear(struct tunnel *t, const struct l2tp_header *h, const uint8_t *buf,
    size_t len)
{
	if (replica_waking())
		replica_wake(t);
	replica_numbers_changed(t);
	ctl_receive(&tunnel_local(t)->ctl, h->Ns, h->Nr,
	    rd_left(&h->body) == 0, buf, len);
}

static void
recv_SCCRQ(const struct peer *p, const struct l2tp_header *h,
    const struct l2tp_msg *m, const uint8_t *buf, size_t len)
{
	struct refusal no;
	struct tunnel *t;

	t = find_by_peer(p, m->assigned_tunnel, NULL);
	if (t != NULL && m->assigned_tunnel != 0 && is_repeat(t)) {
		/* The same one again: its ctl acknowledges and drops it. */
		COUNT(tunnel_duplicates);
		tunnel_local(t)->octets_in += (uint32_t)len + OVERHEAD;
		hear(t, h, buf, len);
		return;
	}
	if (h->Ns != 0 || h->Nr != 0) {
		COUNT(tunnel_out_of_window);
		return;
	}
	if (!ratelimit_take(&sccrq_rate, p->addr,
	    (uint32_t)lns.config.l2tp_sccrq_rate)) {
		COUNT(sccrq_limited);
		return;
	}
	if (!check_SCCRQ(m, &no)) {
		COUNT(tunnel_rx_errors);
		if (L2TP_HAVE(m, AVP_ASSIGNED_TUNNEL) && m->assigned_tunnel)
			refuse_SCCRQ(p, m, no.result, no.error, no.text);
		return;
	}
	if (must_ask_again(p, m->assigned_tunnel)) {
		COUNT(sccrq_limited);
		return;
	}
	t = tunnel_open(p, m);
	if (t == NULL) {
		COUNT(tunnel_overflow);
		refuse_SCCRQ(p, m, STOPCCN_ERROR, L2TP_E_RESOURCES,
		    "no free tunnel");
		return;
	}
	tunnel_local(t)->octets_in = (uint32_t)len + OVERHEAD;
	/* Numbered 0: delivered at once, to accept_SCCRQ(). */
	hear(t, h, buf, len);
}

/* --- the state machine, RFC 2661 7.2.1 ---------------------------------- */

static void
accept_SCCRQ(struct tunnel *t, const struct l2tp_msg *m)
{
	static struct log_limit limit;	/* anybody can send an SCCRQ */

	if (tunnel_local(t)->opening) {
		tunnel_shutdown(t, STOPCCN_FSM, 0, "a second SCCRQ", false);
		return;
	}
	log_limited(&limit, LOG_L_INFO, t->tid, 0,
	    "tunnel %u (%s): SCCRQ from %u.%u.%u.%u port %u, "
	    "its id %u, ours %u, window %u", t->tid, t->hostname,
	    t->peer.addr >> 24, t->peer.addr >> 16 & 255,
	    t->peer.addr >> 8 & 255, t->peer.addr & 255, t->peer.port,
	    t->peer_id, t->local_id, t->peer_window);
	tunnel_local(t)->opening = true;
	send_SCCRP(t, m);
}

static void
accept_SCCCN(struct tunnel *t, const struct l2tp_msg *m)
{
	struct tunnel_local *l = tunnel_local(t);
	struct tunnel *old;
	uint8_t want[16];
	char on[64];

	if (l->challenged) {
		l2tp_challenge_response(want, L2TP_SCCCN,
		    lns.config.l2tp_secret, l->challenge,
		    sizeof(l->challenge));
		if (m->challenge_response.len != sizeof(want) ||
		    !digest_equal(want, m->challenge_response.p,
		    sizeof(want))) {
			COUNT(tunnel_auth_failed);
			tunnel_shutdown(t, STOPCCN_NOT_AUTHORIZED, 0,
			    "wrong answer to our challenge", false);
			return;
		}
	}
	/* The LAC has restarted and chose the same id: the old one is dead. */
	while ((old = find_by_peer(&t->peer, t->peer_id, t)) != NULL)
		tunnel_lost(old, "its peer opened a new one");
	COUNT(tunnel_created);
	timer_disarm(&l->life);
	hello_arm(t, 0);
	snprintf(on, sizeof(on), "SCCCN from %u.%u.%u.%u port %u",
	    t->peer.addr >> 24, t->peer.addr >> 16 & 255,
	    t->peer.addr >> 8 & 255, t->peer.addr & 255, t->peer.port);
	tunnel_set_state(t, T_ESTABLISHED, on);
}

static void
recv_StopCCN(struct tunnel *t, const struct l2tp_msg *m)
{
	char text[128] = "";

	if (m->result_text.len > 0)
		log_escape(text, sizeof(text), m->result_text.p,
		    m->result_text.len);
	log_tunnel(LOG_L_INFO, t, "tunnel %u (%s): StopCCN, result %u error %u"
	    "%s%s", t->tid, t->hostname, m->result, m->error,
	    text[0] != '\0' ? ": " : "", text);
	tunnel_local(t)->gone = "the LAC sent StopCCN";
	ctl_ack_now(&tunnel_local(t)->ctl);
	ctl_forget(&tunnel_local(t)->ctl);
	closing_begin(t, "StopCCN", LINGER_MS);
	drain(t);
}

static void
ignore(struct tunnel *t, const struct l2tp_msg *m)
{
	(void)t;
	(void)m;
}

/* A call: ICRQ has session id 0, all others name one of ours. */
static void
recv_call(struct tunnel *t, const struct l2tp_msg *m)
{
	if (m->type == L2TP_ICRQ)
		session_recv_ICRQ(t, m);
	else
		log_tunnel(LOG_L_INFO, t, "%s for no session of ours, ignored",
		    l2tp_msg_name(m->type));
}

/* No row: the message has no place in this state, StopCCN result 7. */
static const struct tunnel_edge {
	enum tunnel_state from;
	uint16_t on;
	void (*act)(struct tunnel *, const struct l2tp_msg *);
} tunnel_fsm[] = {
	{ T_WAIT_CTL_CONN, L2TP_SCCRQ,   accept_SCCRQ },
	{ T_WAIT_CTL_CONN, L2TP_SCCCN,   accept_SCCCN },
	{ T_WAIT_CTL_CONN, L2TP_STOPCCN, recv_StopCCN },
	{ T_ESTABLISHED,   L2TP_HELLO,   ignore },	/* it is acknowledged */
	{ T_ESTABLISHED,   L2TP_STOPCCN, recv_StopCCN },
	{ T_ESTABLISHED,   L2TP_ICRQ,    recv_call },
	{ T_ESTABLISHED,   L2TP_ICCN,    recv_call },
	{ T_ESTABLISHED,   L2TP_CDN,     recv_call },
	{ T_ESTABLISHED,   L2TP_WEN,     recv_call },
	/* We never dial out: what belongs to outgoing calls is ignored. */
	{ T_ESTABLISHED,   L2TP_OCRQ,    ignore },
	{ T_ESTABLISHED,   L2TP_OCRP,    ignore },
	{ T_ESTABLISHED,   L2TP_OCCN,    ignore },
	{ T_ESTABLISHED,   L2TP_ICRP,    ignore },
	{ T_ESTABLISHED,   L2TP_SLI,     ignore },
};

static const struct tunnel_edge *
find_edge(enum tunnel_state from, uint16_t on)
{
	for (size_t i = 0; i < sizeof(tunnel_fsm) / sizeof(tunnel_fsm[0]); i++)
		if (tunnel_fsm[i].from == from && tunnel_fsm[i].on == on)
			return &tunnel_fsm[i];
	return NULL;
}

static bool
is_call_message(uint16_t type)
{
	return type >= L2TP_OCRQ && type <= L2TP_SLI;
}

/* What is wrong with a message about the tunnel itself ends the tunnel. */
static bool
check_tunnel_message(struct tunnel *t, const struct l2tp_msg *m)
{
	if (m->bad_result != 0) {
		tunnel_shutdown(t, m->bad_result, m->bad_error,
		    m->bad_text != NULL ? m->bad_text : "malformed", false);
		return false;
	}
	if (l2tp_msg_missing(m) >= 0 && m->type != L2TP_STOPCCN) {
		tunnel_shutdown(t, STOPCCN_ERROR, L2TP_E_VALUE,
		    "a mandatory AVP is missing", false);
		return false;
	}
	return true;
}

/*
 * The session that a call message is about: by the id in the header, or,
 * before the peer knows that, by its own id in the CDN (RFC 2661 4.4.4).
 */
static struct session *
find_session(struct tunnel *t, uint16_t session_id, const struct l2tp_msg *m)
{
	struct session *s = tunnel_session(t, session_id);

	if (s == NULL && session_id == 0 && m->type == L2TP_CDN)
		s = tunnel_peer_session(t, m->assigned_session);
	return s;
}

static void
dispatch(struct tunnel *t, uint16_t session_id, const struct l2tp_msg *m)
{
	const struct tunnel_edge *e = find_edge(t->state, m->type);
	struct session *s;

	if (l2tp_msg_name(m->type) == NULL) {
		/* 4.4.1: the M bit decides what an unknown message does. */
		if (m->mandatory)
			tunnel_shutdown(t, STOPCCN_ERROR, L2TP_E_UNKNOWN_AVP,
			    "unknown mandatory message type", false);
		return;
	}
	if (!is_call_message(m->type) && !check_tunnel_message(t, m))
		return;
	if (e == NULL) {
		tunnel_shutdown(t, STOPCCN_FSM, 0,
		    "message out of place in this state", false);
		return;
	}
	if (e->act == recv_call && m->type != L2TP_ICRQ &&
	    (s = find_session(t, session_id, m)) != NULL)
		session_recv(s, m);
	else
		e->act(t, m);
}

/* From tunnel_ctl.c: the next message, in order and for the first time. */
static void
tunnel_deliver(void *owner, const uint8_t *buf, size_t len)
{
	struct tunnel *t = owner;
	struct l2tp_header h;
	struct l2tp_msg m;
	uint8_t scratch[PACKET_MAX];

	if (t->state == T_CLOSING || tunnel_local(t)->dying)
		return;
	if (l2tp_header_decode(buf, len, &h) != L2TP_OK)
		return;
	if (!l2tp_msg_decode(h.body, lns.config.l2tp_secret, scratch,
	    sizeof(scratch), &m)) {
		COUNT(tunnel_rx_errors);
		tunnel_shutdown(t, STOPCCN_ERROR, L2TP_E_LENGTH,
		    "no readable Message Type", false);
		return;
	}
	log_tunnel(LOG_L_CALL, t, "%s, session id %u",
	    l2tp_msg_name(m.type) ? l2tp_msg_name(m.type) : "unknown message",
	    h.session_id);
	dispatch(t, h.session_id, &m);
}

/* --- intake ------------------------------------------------------------- */

/* Tunnel id 0: an SCCRQ, or a StopCCN from before the SCCRP arrived. */
static void
input_without_tunnel(const struct peer *p, const struct l2tp_header *h,
    const uint8_t *buf, size_t len)
{
	uint8_t scratch[PACKET_MAX];
	struct l2tp_msg m;
	struct tunnel *t;

	if (rd_left(&h->body) == 0)
		return;		/* a ZLB is never answered */
	if (!plausible_source(p) || !l2tp_msg_decode(h->body,
	    lns.config.l2tp_secret, scratch, sizeof(scratch), &m)) {
		COUNT(tunnel_rx_errors);
		return;
	}
	if (m.type == L2TP_SCCRQ) {
		recv_SCCRQ(p, h, &m, buf, len);
		return;
	}
	t = m.type == L2TP_STOPCCN ?
	    find_by_peer(p, m.assigned_tunnel, NULL) : NULL;
	if (t != NULL && m.assigned_tunnel != 0)
		hear(t, h, buf, len);
	else
		COUNT(unknown_tunnel);
}

/*
 * Anything with the right id from the right place shows that the peer is
 * real: it has seen the id that only our SCCRP carried.
 */
static void
peer_answered(struct tunnel *t)
{
	struct tunnel_local *l = tunnel_local(t);

	if (l->answered)
		return;
	l->answered = true;
	l->answered_at = timer_now();
	replica_tunnel_changed(t);
	l->ctl.max_retries = (uint8_t)lns.config.l2tp_retries;
	if (t->state == T_WAIT_CTL_CONN)
		timer_arm(&l->life, LINGER_MS);
}

void
tunnel_input(const struct peer *p, const struct l2tp_header *h,
    const uint8_t *buf, size_t len)
{
	static struct log_limit limit;
	struct tunnel *t;

	if (lns.quiet)
		return;
	if (h->tunnel_id == 0) {
		input_without_tunnel(p, h, buf, len);
		return;
	}
	t = tunnel_by_local_id(h->tunnel_id);
	if (t == NULL) {
		COUNT(unknown_tunnel);
		return;
	}
	if (!same_peer(&t->peer, p)) {
		COUNT(wrong_peer);
		log_limited(&limit, LOG_L_WARN, t->tid, 0,
		    "control message from %u.%u.%u.%u:%u, which is not the "
		    "tunnel's peer: dropped", p->addr >> 24,
		    p->addr >> 16 & 255, p->addr >> 8 & 255, p->addr & 255,
		    p->port);
		return;
	}
	peer_answered(t);
	hear(t, h, buf, len);
}

/* --- sessions of a tunnel ----------------------------------------------- */

/* Under its peer_id, and on the list; its local_id is in the map already. */
static bool
link_session(struct tunnel *t, struct session *s)
{
	struct tunnel_local *l = tunnel_local(t);
	struct session *first = session_by_sid(l->first_sid);

	if (!idmap_add(&l->peer_ids, s->peer_id, s->sid)) {
		idmap_del(&l->ids, s->local_id);
		return false;
	}
	s->tid = t->tid;
	session_local(s)->next = l->first_sid;
	if (first != NULL)
		session_local(first)->prev = s->sid;
	l->first_sid = s->sid;
	t->sessions++;
	return true;
}

bool
tunnel_add_session(struct tunnel *t, struct session *s)
{
	s->local_id = idmap_new(&tunnel_local(t)->ids, s->sid);
	return s->local_id != 0 && link_session(t, s);
}

bool
tunnel_resume_session(struct tunnel *t, struct session *s)
{
	struct tunnel_local *l = tunnel_local(t);

	if (s->local_id == 0 || s->peer_id == 0 ||
	    idmap_find(&l->ids, s->local_id) != 0 ||
	    idmap_find(&l->peer_ids, s->peer_id) != 0)
		return false;
	return idmap_add(&l->ids, s->local_id, s->sid) && link_session(t, s);
}

void
tunnel_remove_session(struct tunnel *t, struct session *s)
{
	struct tunnel_local *l = tunnel_local(t);
	struct session_local *sl = session_local(s);
	struct session *prev = session_by_sid(sl->prev);
	struct session *next = session_by_sid(sl->next);

	if (tunnel_session(t, s->local_id) != s)
		return;
	idmap_del(&l->ids, s->local_id);
	idmap_del(&l->peer_ids, s->peer_id);
	if (prev != NULL)
		session_local(prev)->next = sl->next;
	else
		l->first_sid = sl->next;
	if (next != NULL)
		session_local(next)->prev = sl->prev;
	sl->prev = sl->next = 0;
	t->sessions--;
}

/* --- to and from another process ---------------------------------------- */

void
tunnels_settle(const char *reason)
{
	struct tunnel *t;

	for (t = tunnel_next(0); t != NULL; t = tunnel_next(t->tid)) {
		if (t->state == T_WAIT_CTL_CONN)
			tunnel_shutdown(t, STOPCCN_SHUTTING_DOWN, 0, reason,
			    false);
		else if (tunnel_dropped(t))
			tunnel_shutdown(t, STOPCCN_CLEAR, 0,
			    "dropped on request", true);
		ctl_ack_now(&tunnel_local(t)->ctl);
	}
}

bool
tunnel_export(const struct tunnel *t, struct ctl_carry *carry)
{
	const struct tunnel_local *l = tunnel_local(t);

	if (t->state != T_ESTABLISHED || l->dying || l->ctl.dead)
		return false;
	ctl_export(&l->ctl, carry);
	return true;
}

/*
 * HELLOs are spread over the whole interval: with thousands of tunnels they
 * would beat as one from then on.
 */
static void
hello_spread(struct tunnel *t)
{
	uint64_t interval = (uint64_t)lns.config.l2tp_hello_interval * 1000;

	if (interval != 0)
		timer_arm(&tunnel_local(t)->hello,
		    1000 + digest_random_u32() % interval);
}

struct tunnel *
tunnel_resume(const struct tunnel *facts, const struct ctl_carry *carry)
{
	struct tunnel *t = facts->local_id == 0 ||
	    by_local_id[facts->local_id] != 0 ? NULL :
	    table_tunnel_at(facts->tid);
	struct tunnel_local *l;

	if (t == NULL)
		return NULL;
	*t = *facts;
	l = tunnel_local(t);
	if (!ctl_init(&l->ctl, &ctl_ops, t, carry->window)) {
		table_tunnel_del(t);
		return NULL;
	}
	l->ctl.peer_id = t->peer_id;
	l->ctl.peer_window = l->ctl.ssthresh = t->peer_window;
	l->ctl.max_retries = (uint8_t)lns.config.l2tp_retries;
	ctl_resume(&l->ctl, carry);
	set_timers(l);
	l->opening = l->answered = true;
	t->sessions = 0;
	t->last_data = 0;
	link_ids(t);
	t->state = T_ESTABLISHED;
	established++;
	hello_spread(t);
	return t;
}

/* Its sessions would be nobody's. */
void
tunnel_forget(struct tunnel *t)
{
	struct tunnel_local *l = tunnel_local(t);
	struct session *s;

	while ((s = session_by_sid(l->first_sid)) != NULL)
		session_forget(s);
	tunnel_free(t);
	tunnel_reap();
}

/* --- a copy of what another server has ----------------------------------- */

/* So many half open ones are worth being known elsewhere. */
#define HALF_OPEN_COPIED	64

bool
tunnel_copy(const struct tunnel *t, struct ctl_carry *carry,
    struct tunnel_stage *stage)
{
	const struct tunnel_local *l = tunnel_local(t);

	if (l->dying || (t->state == T_WAIT_CTL_CONN && !l->answered &&
	    half_open.count > HALF_OPEN_COPIED))
		return false;
	ctl_export(&l->ctl, carry);
	/* A dead one has dropped its queue. */
	if ((uint16_t)(carry->high - carry->una) > carry->queued)
		carry->high = carry->una;
	*stage = (struct tunnel_stage){
		.state = t->state, .lost = l->lost, .answered = l->answered,
		.challenge_len = l->challenged ? sizeof(l->challenge) : 0
	};
	if (l->challenged)
		memcpy(stage->challenge, l->challenge, sizeof(l->challenge));
	if (l->stop_at != 0)
		stage->stop_left = l->stop_at > timer_now() ?
		    l->stop_at - timer_now() : 1;
	return true;
}

static void
forget_other(struct tunnel *t)
{
	if (t == NULL)
		return;
	COUNT(replica_healed);
	tunnel_forget(t);
}

/* Is it still the tunnel that it was? */
static bool
is_tunnel(const struct tunnel *t, const struct tunnel *facts)
{
	return t->local_id == facts->local_id &&
	    t->peer_id == facts->peer_id && same_peer(&t->peer, &facts->peer);
}

static struct tunnel *
mirror_slot(const struct tunnel *facts, uint16_t window)
{
	struct tunnel *t = tunnel_by_tid(facts->tid);

	if (t != NULL && is_tunnel(t, facts) && !tunnel_local(t)->dying)
		return t;
	forget_other(t);
	forget_other(tunnel_by_local_id(facts->local_id));
	t = table_tunnel_at(facts->tid);
	if (t == NULL)
		return NULL;
	if (!ctl_init(&tunnel_local(t)->ctl, &ctl_ops, t, window)) {
		table_tunnel_del(t);
		return NULL;
	}
	t->local_id = facts->local_id;
	t->peer_id = facts->peer_id;
	t->peer = facts->peer;
	set_timers(tunnel_local(t));
	tunnel_local(t)->asleep = true;
	link_ids(t);
	return t;
}

static void
mirror_stage(struct tunnel *t, const struct tunnel_stage *stage)
{
	struct tunnel_local *l = tunnel_local(t);

	established -= t->state == T_ESTABLISHED;
	established += stage->state == T_ESTABLISHED;
	t->state = stage->state;
	l->opening = true;
	l->lost = stage->lost;
	l->gone = stage->state == T_CLOSING ? "its tunnel was ended" : NULL;
	l->answered = stage->answered;
	l->challenged = stage->challenge_len == sizeof(l->challenge);
	memcpy(l->challenge, stage->challenge, sizeof(l->challenge));
	l->stop_at = stage->stop_left == 0 ? 0 :
	    timer_now() + stage->stop_left;
}

struct tunnel *
tunnel_mirror(const struct tunnel *facts, const struct ctl_carry *carry,
    const struct tunnel_stage *stage)
{
	struct tunnel *t = stage->state == T_IDLE ? NULL :
	    mirror_slot(facts, carry->window);
	struct tunnel_local *l;
	struct tunnel before;

	if (t == NULL)
		return NULL;
	l = tunnel_local(t);
	before = *t;
	*t = *facts;
	t->state = before.state;
	t->sessions = before.sessions;
	t->last_data = before.last_data;
	mirror_stage(t, stage);
	l->ctl.peer_id = t->peer_id;
	l->ctl.peer_window = l->ctl.ssthresh = t->peer_window;
	ctl_forget(&l->ctl);
	ctl_follow(&l->ctl, carry);
	return t;
}

bool
tunnel_asleep(const struct tunnel *t)
{
	return tunnel_local(t)->asleep;
}

/* Of a tunnel that ends nobody else will tell its calls' books. */
static void
wake_closing(struct tunnel *t)
{
	struct tunnel_local *l = tunnel_local(t);

	if (!l->lost)
		timer_arm(&l->life, LINGER_MS);
	drain(t);
}

void
tunnel_wake(struct tunnel *t)
{
	struct tunnel_local *l = tunnel_local(t);

	if (!l->asleep || l->dying)
		return;
	l->asleep = false;
	l->ctl.max_retries = (uint8_t)(l->answered ? lns.config.l2tp_retries :
	    HALF_OPEN_RETRIES);
	switch (t->state) {
	case T_WAIT_CTL_CONN:
		l->octets_in = SCCRQ_OCTETS;
		list_add(&half_open, t);
		timer_arm(&l->life, l->answered ? LINGER_MS : HALF_OPEN_MS);
		break;
	case T_ESTABLISHED:
		hello_spread(t);
		if (l->stop_at != 0)
			timer_arm(&l->life, 0);
		break;
	case T_CLOSING:
		wake_closing(t);
		break;
	}
	if (!l->dying)
		ctl_wake(&l->ctl, LENIENT_MS);
}

void
tunnel_rest(struct tunnel *t)
{
	struct tunnel_local *l = tunnel_local(t);

	if (l->asleep || l->dying)
		return;
	l->asleep = true;
	list_del(t);
	timer_disarm(&l->hello);
	timer_disarm(&l->life);
	timer_disarm(&l->drain);
	ctl_rest(&l->ctl);
}

/* --- the end ------------------------------------------------------------ */

void
tunnels_shutdown(const char *reason)
{
	struct tunnel *t;

	for (t = tunnel_next(0); t != NULL; t = tunnel_next(t->tid)) {
		if (t->state == T_WAIT_CTL_CONN)
			tunnel_free(t);
		else
			tunnel_shutdown(t, STOPCCN_SHUTTING_DOWN, 0, reason,
			    true);
	}
}

bool
tunnels_quiet(void)
{
	struct tunnel *t;

	for (t = tunnel_next(0); t != NULL; t = tunnel_next(t->tid))
		if (!tunnel_local(t)->dying && !ctl_idle(&tunnel_local(t)->ctl) &&
		    !tunnel_local(t)->ctl.dead)
			return false;
	return true;
}

void
tunnel_init(void)
{
	static struct loop_hook reap = { .run = tunnel_reap };

	memset(by_local_id, 0, sizeof(by_local_id));
	memset(by_peer, 0, sizeof(by_peer));
	half_open = lingering = (struct tunnel_list){ 0 };
	reap_first = established = 0;
	loop_at_turn_end(&reap);
}
