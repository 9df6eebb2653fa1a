/*
 * radius.c - the RADIUS client: requests, tries and servers
 *
 * A request is tried four times (once and 3 retries), each time at the next
 * server that is not known to be dead, after 2, 4 and 6 seconds and with 6
 * more to wait at the end, each time 10 % more or less (RFC 5080 2.2.1): a
 * dead primary costs a new call two seconds, and the verdict always comes
 * before the subscriber's PPP gives up after 30.  To the same server an
 * Access-Request goes again as the very same octets from the same port, for
 * it to be known as a repeat; an Accounting-Request's Acct-Delay-Time has
 * changed, so it gets a new id and authenticator (RFC 2866 5.2).  Whatever
 * was sent stays answerable until the request ends, so that a slow server's
 * answer to the first try is as good as any.
 *
 * A server that lets three requests in a row go unanswered, or answers "port
 * unreachable", is dead for 30 seconds; then one request is risked on it.
 * When all are dead all are tried.  Authentication and accounting are judged
 * apart: they are different ports.
 *
 * A reply that fails any check is as if it had not come: it never uses up the
 * request (RFC 2865 3, hence no harm from forgeries).  The secret is empty:
 * nothing is sent, and a call ends as if nobody had answered.
 *
 * Requests over radius_max_outstanding wait, as many again at most, until
 * their time is up.  Accounting gets a quarter of it; its own queue is in
 * accounting.c.
 *
 * Owns:     servers, requests, the queue of requests; session_local.auth.
 * Calls:    radius_port, radius_attr, timer, table; auth_answered(),
 *           session_auth_done() and record->done() above.
 * Lifetime: a request ends with its verdict, with radius_auth_cancel() (the
 *           session is going) or with radius_exit().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting.h"
#include "counters.h"
#include "digest.h"
#include "log.h"
#include "radius.h"
#include "radius_attr.h"
#include "radius_port.h"
#include "table.h"
#include "tunnel.h"

#define SERVERS		2	/* primary_radius, secondary_radius */
#define TRIES		4
#define FIRST_WAIT	2000	/* ms */
#define LONGEST_WAIT	6000
#define ACCT_LONGEST_WAIT 4000	/* so that a server's return is soon seen */
#define REFUSED_WAIT	100	/* at least; then the next server */
#define NO_ID_WAIT	200
#define AUTH_DEADLINE	24000	/* in all, the queue included */
#define DEAD_SILENCES	3	/* requests in a row without an answer */
#define DEAD_TIME	30000

enum kind { AUTH, ACCT, KINDS };

/* One server's port of one kind. */
struct target {
	struct radius_path path;	/* first: input() gets this */
	char name[sizeof("255.255.255.255:65535")];
	bool dead;
	bool signs;		/* has sent a valid Message-Authenticator */
	unsigned int silences;
	uint64_t dead_until;	/* ms: then one request is risked */
	uint64_t last_reply;	/* ms + 1; 0: never */
	struct log_limit dies, lives;
};

/* One id in use for a request. */
struct leg {
	struct radius_request *req;
	struct target *target;
	struct radius_id id;
	uint64_t sent;			/* ms, the last time */
	uint8_t authenticator[RADIUS_AUTH_LEN];
	uint8_t *packet;		/* to send again; AUTH only */
	size_t len;
};

struct radius_request {
	enum kind kind;
	bool queued;			/* waits for room */
	uint8_t tries;
	uint8_t nlegs;
	struct leg legs[TRIES];
	struct leg *last;		/* the latest sent, or NULL */
	struct timer timer;		/* next try, or end of the queue */
	uint64_t deadline;		/* ms */
	time_t retry;			/* wall clock, for `show radius` */
	size_t at;			/* in active[] */
	struct radius_request *prev, *next;	/* while queued */
	struct session *session;	/* AUTH */
	struct auth_request ask;
	struct radius_record *record;	/* ACCT */
};

static struct target targets[KINDS][SERVERS];
static unsigned int servers;
static char secret[CONFIG_STRING];

/* Every request, in no order, for `show radius`. */
static struct radius_request **active;
static size_t active_n, active_size;
static uint32_t flying[KINDS];		/* not queued */

static struct radius_request *queue_head, *queue_tail;
static uint32_t queue_len;
static struct timer queue_timer;

static bool secret_said;

/* ---- servers ---- */

static void
server_mark_dead(struct target *t, const char *why)
{
	if (!t->dead)
		log_limited(&t->dies, LOG_L_WARN, 0, 0, "RADIUS server %s %s",
		    t->name, why);
	t->dead = true;
	t->dead_until = timer_now() + DEAD_TIME;
}

static void
server_unreachable(struct target *t, int error)
{
	char why[80];

	snprintf(why, sizeof(why), "cannot be sent to: %s", strerror(error));
	server_mark_dead(t, why);
}

/*
 * The time for an answer is over.  Silence means loss as well as death: only
 * a server that has said nothing at all since then is suspect.
 */
static void
server_was_silent(struct target *t, uint64_t sent)
{
	if (t->last_reply > sent) {
		t->silences = 0;
		return;
	}
	if (!t->dead && ++t->silences >= DEAD_SILENCES)
		server_mark_dead(t, "does not answer");
}

static void
server_answered(struct target *t)
{
	if (t->dead)
		log_limited(&t->lives, LOG_L_INFO, 0, 0, "RADIUS server %s "
		    "answers again", t->name);
	t->dead = false;
	t->silences = 0;
	t->last_reply = timer_now() + 1;
}

/* May a request go there?  A dead one is risked one request now and then. */
static bool
server_usable(struct target *t)
{
	if (!t->dead)
		return true;
	if (timer_now() < t->dead_until)
		return false;
	t->dead_until = timer_now() + DEAD_TIME;
	return true;
}

static bool
another_lives(const struct target *t, enum kind kind)
{
	unsigned int i;

	for (i = 0; i < servers; i++) {
		if (&targets[kind][i] != t && !targets[kind][i].dead)
			return true;
	}
	return false;
}

/* The primary first, then turn about, past the dead unless all are. */
static struct target *
pick_server(const struct radius_request *req)
{
	struct target *all = targets[req->kind];
	unsigned int first = 0, i;

	if (req->last != NULL)
		first = (unsigned int)(req->last->target - all) + 1;
	for (i = 0; i < servers; i++) {
		struct target *t = &all[(first + i) % servers];

		if (server_usable(t))
			return t;
	}
	return &all[first % servers];
}

/* ---- requests ---- */

static struct radius_request *
request_new(enum kind kind)
{
	struct radius_request *req;

	if (active_n == active_size) {
		size_t size = active_size == 0 ? 64 : 2 * active_size;
		void *more = realloc(active, size * sizeof(active[0]));

		if (more == NULL)
			return NULL;
		active = more;
		active_size = size;
	}
	req = calloc(1, sizeof(*req));
	if (req == NULL)
		return NULL;
	req->kind = kind;
	req->at = active_n;
	active[active_n++] = req;
	return req;
}

static void
queue_remove(struct radius_request *req)
{
	*(req->prev != NULL ? &req->prev->next : &queue_head) = req->next;
	*(req->next != NULL ? &req->next->prev : &queue_tail) = req->prev;
	req->queued = false;
	queue_len--;
}

static void
request_drop_legs(struct radius_request *req)
{
	while (req->nlegs > 0) {
		struct leg *leg = &req->legs[--req->nlegs];

		radius_id_give(&leg->id);
		free(leg->packet);
		leg->packet = NULL;
	}
	req->last = NULL;
}

/* Gives back all that a request holds, and wakes what waits for room. */
static void
request_free(struct radius_request *req)
{
	timer_disarm(&req->timer);
	request_drop_legs(req);
	if (req->queued)
		queue_remove(req);
	else
		flying[req->kind]--;
	active[req->at] = active[--active_n];
	active[req->at]->at = req->at;
	if (req->kind == AUTH)
		session_local(req->session)->auth = NULL;
	else
		req->record->request = NULL;
	explicit_bzero(&req->ask, sizeof(req->ask));
	free(req);
	if (queue_head != NULL && !timer_armed(&queue_timer))
		timer_arm(&queue_timer, 0);
}

/* The end of a request, one way or the other. */
static void
request_give_up(struct radius_request *req)
{
	struct session *s = req->session;
	struct radius_record *record = req->record;
	enum kind kind = req->kind;

	COUNT(radius_timeout);
	request_free(req);
	if (kind == AUTH) {
		struct auth_result res = { .verdict = AUTH_TIMEOUT };

		session_auth_done(s, &res);
	} else {
		record->done(record, false);
	}
}

/* ---- packets ---- */

static void
put_tunnel(struct wr *w, const struct session *s)
{
	const struct tunnel *t = tunnel_by_tid(s->tid);
	char text[sizeof("255.255.255.255")];
	struct in_addr in;

	radius_put_tagged_u24(w, ATTR_TUNNEL_TYPE, TUNNEL_TYPE_L2TP);
	radius_put_tagged_u24(w, ATTR_TUNNEL_MEDIUM_TYPE, TUNNEL_MEDIUM_IPV4);
	if (t == NULL)
		return;
	in.s_addr = htonl(t->peer.addr);
	inet_ntop(AF_INET, &in, text, sizeof(text));
	radius_put_tagged_text(w, ATTR_TUNNEL_CLIENT_ENDPOINT, text);
	in.s_addr = htonl(t->peer.local != 0 ? t->peer.local : lns.local_addr);
	inet_ntop(AF_INET, &in, text, sizeof(text));
	radius_put_tagged_text(w, ATTR_TUNNEL_SERVER_ENDPOINT, text);
	radius_put_tagged_text(w, ATTR_TUNNEL_CLIENT_AUTH_ID, t->hostname);
	radius_put_tagged_text(w, ATTR_TUNNEL_SERVER_AUTH_ID, lns.hostname);
}

void
radius_put_session(struct wr *w, const struct session *s)
{
	char text[sizeof("4294967295/4294967295")];
	/* Without a default route: what the server sees us by. */
	uint32_t nas = lns.local_addr != 0 ? lns.local_addr : radius_source();

	if (nas != 0)
		radius_put_u32(w, ATTR_NAS_IP_ADDRESS, nas);
	radius_put_text(w, ATTR_NAS_IDENTIFIER, lns.hostname);
	radius_put_u32(w, ATTR_NAS_PORT, s->sid);
	radius_put_u32(w, ATTR_NAS_PORT_TYPE, NAS_PORT_TYPE_VIRTUAL);
	radius_put_u32(w, ATTR_SERVICE_TYPE, SERVICE_TYPE_FRAMED);
	radius_put_u32(w, ATTR_FRAMED_PROTOCOL, FRAMED_PROTOCOL_PPP);
	radius_put_text(w, ATTR_ACCT_SESSION_ID, s->acct_id);
	radius_put_text(w, ATTR_CALLING_STATION_ID, s->calling);
	radius_put_text(w, ATTR_CALLED_STATION_ID, s->called);
	if (s->tx_speed != 0) {
		snprintf(text, sizeof(text), s->rx_speed != 0 ? "%u/%u" : "%u",
		    s->tx_speed, s->rx_speed);
		radius_put_text(w, ATTR_CONNECT_INFO, text);
	}
	put_tunnel(w, s);
}

static size_t
build_access(const struct radius_request *req, struct leg *leg, uint8_t *buf)
{
	struct wr w = wr_init(buf, RADIUS_PACKET_MAX);
	const struct auth_request *ask = &req->ask;

	digest_random(leg->authenticator, sizeof(leg->authenticator));
	radius_begin(&w, RADIUS_ACCESS_REQUEST, leg->id.id,
	    leg->authenticator);
	radius_put_message_authenticator(&w);
	radius_put_text(&w, ATTR_USER_NAME, ask->user);
	if (ask->protocol == 0xc223) {
		uint8_t v[1 + sizeof(ask->response)];

		v[0] = ask->chap_id;
		memcpy(v + 1, ask->response, sizeof(ask->response));
		radius_put(&w, ATTR_CHAP_PASSWORD, v, sizeof(v));
		radius_put(&w, ATTR_CHAP_CHALLENGE, ask->challenge,
		    ask->challenge_len);
	} else {
		radius_put_password(&w, ask->password, ask->password_len,
		    leg->authenticator, secret);
	}
	radius_put_session(&w, req->session);
	return radius_finish_access(&w, secret);
}

static size_t
build_accounting(const struct radius_request *req, struct leg *leg,
    uint8_t *buf)
{
	struct wr w = wr_init(buf, RADIUS_PACKET_MAX);
	const struct radius_record *record = req->record;
	uint64_t delay = (timer_now() - record->event) / 1000;
	size_t len;

	radius_begin(&w, RADIUS_ACCOUNTING_REQUEST, leg->id.id,
	    leg->authenticator);
	wr_bytes(&w, record->attrs, record->len);
	radius_put_u32(&w, ATTR_ACCT_DELAY_TIME,
	    delay < UINT32_MAX ? (uint32_t)delay : UINT32_MAX);
	len = radius_finish_accounting(&w, secret);
	memcpy(leg->authenticator, buf + RADIUS_AUTHENTICATOR,
	    RADIUS_AUTH_LEN);
	return len;
}

/* The leg to this server that can be sent again, or NULL. */
static struct leg *
leg_find(struct radius_request *req, const struct target *t)
{
	unsigned int i;

	for (i = 0; i < req->nlegs; i++) {
		if (req->legs[i].target == t && req->legs[i].packet != NULL)
			return &req->legs[i];
	}
	return NULL;
}

/* A new id towards this server; *packet is what to send with it. */
static struct leg *
leg_new(struct radius_request *req, struct target *t, uint8_t *buf)
{
	struct leg *leg = &req->legs[req->nlegs];

	memset(leg, 0, sizeof(*leg));
	leg->req = req;
	leg->target = t;
	if (!radius_id_take(&t->path, &leg->id, leg))
		return NULL;
	if (req->kind == AUTH) {
		leg->len = build_access(req, leg, buf);
		leg->packet = malloc(leg->len);
		if (leg->packet == NULL) {
			radius_id_give(&leg->id);
			return NULL;
		}
		memcpy(leg->packet, buf, leg->len);
	} else {
		leg->len = build_accounting(req, leg, buf);
	}
	req->nlegs++;
	return leg;
}

/* ---- tries ---- */

static void
wait_for(struct radius_request *req, uint64_t ms)
{
	req->retry = timer_wall() + (time_t)((ms + 500) / 1000);
	timer_arm(&req->timer, ms);
}

/*
 * How long this try may take: doubling, capped, not all in step, and not
 * beyond the deadline, which a request that was queued meets earlier.
 */
static uint64_t
patience(const struct radius_request *req)
{
	uint64_t cap = req->kind == AUTH ? LONGEST_WAIT : ACCT_LONGEST_WAIT;
	uint64_t ms = (uint64_t)FIRST_WAIT << (req->tries - 1);
	uint64_t left = req->deadline > timer_now() ?
	    req->deadline - timer_now() : 0;

	if (ms > cap)
		ms = cap;
	ms = ms * (900 + digest_random_u32() % 201) / 1000;
	return ms < left ? ms : left;
}

/* A moment, for a try that failed at once: no loop may come of it. */
static uint64_t
moment(uint64_t least)
{
	return least + digest_random_u32() % (least + 1);
}

/*
 * Sends the next try.  When it cannot even leave (no route, a firewall's
 * EPERM) another server that lives is tried soon, else it is as good as lost.
 */
static void
request_try(struct radius_request *req)
{
	static uint8_t buf[RADIUS_PACKET_MAX];
	struct target *t = pick_server(req);
	struct leg *leg = leg_find(req, t);
	const uint8_t *packet = buf;
	int error;

	if (leg == NULL)
		leg = leg_new(req, t, buf);
	else
		packet = leg->packet;
	if (leg == NULL) {
		wait_for(req, NO_ID_WAIT);
		return;
	}
	req->last = leg;
	leg->sent = timer_now();
	if (req->tries++ == 0)
		COUNT(radius_requests);
	else
		COUNT(radius_retries);
	error = radius_id_send(&leg->id, packet, leg->len);
	if (error != 0 && error != EAGAIN && error != ENOBUFS) {
		server_unreachable(t, error);
		if (another_lives(t, req->kind)) {
			wait_for(req, moment(REFUSED_WAIT));
			return;
		}
	}
	wait_for(req, patience(req));
}

static void
request_fire(struct timer *timer)
{
	struct radius_request *req = timer_owner(timer, struct radius_request,
	    timer);

	if (req->last != NULL)
		server_was_silent(req->last->target, req->last->sent);
	if (req->queued || servers == 0 || req->tries == TRIES ||
	    timer_now() >= req->deadline)
		request_give_up(req);
	else
		request_try(req);
}

static void
request_start(struct radius_request *req)
{
	flying[req->kind]++;
	req->timer.fire = request_fire;
	request_try(req);
}

/* The server's ICMP: what was asked there last is asked elsewhere soon. */
static void
target_refused(struct radius_path *path, void *owner)
{
	struct target *t = timer_owner(path, struct target, path);
	struct leg *leg = owner;
	struct radius_request *req = leg->req;

	server_mark_dead(t, "refuses (port unreachable)");
	if (req->last == leg && timer_left(&req->timer) > 2 * REFUSED_WAIT &&
	    req->tries < TRIES && another_lives(t, req->kind))
		wait_for(req, moment(REFUSED_WAIT));
}

/* ---- replies ---- */

static enum radius_bad
check_reply(const struct leg *leg, const struct radius_packet *p)
{
	enum kind kind = leg->req->kind;
	enum radius_bad bad;
	int64_t require = lns.config.radius_require_message_authenticator;

	if (kind == ACCT ? p->code != RADIUS_ACCOUNTING_RESPONSE :
	    p->code != RADIUS_ACCESS_ACCEPT &&
	    p->code != RADIUS_ACCESS_REJECT &&
	    p->code != RADIUS_ACCESS_CHALLENGE)
		return RADIUS_BAD_CODE;
	bad = radius_verify(p, leg->authenticator, secret);
	if (bad != RADIUS_OK)
		return bad;
	if (p->proxy_state)
		return RADIUS_BAD_PROXY_STATE;
	if (kind == AUTH && p->message_authenticator == NULL &&
	    (require == TRI_YES ||
	    (require == TRI_AUTO && leg->target->signs)))
		return RADIUS_NO_MESSAGE_AUTHENTICATOR;
	return RADIUS_OK;
}

static const char *
code_name(uint8_t code)
{
	return code == RADIUS_ACCESS_ACCEPT ? "Access-Accept" :
	    code == RADIUS_ACCESS_REJECT ? "Access-Reject" :
	    "Access-Challenge";
}

static void
log_verdict(const struct session *s, const struct target *t,
    const struct radius_packet *p, const struct auth_result *res,
    const struct radius_notes *notes)
{
	static struct log_limit ignored;

	log_session(LOG_L_INFO, s, "%s from RADIUS server %s",
	    code_name(p->code), t->name);
	if (notes->rejected != NULL)
		log_session(LOG_L_WARN, s, "Access-Accept from %s taken for "
		    "a Reject: %s", t->name, notes->rejected);
	if (p->code == RADIUS_ACCESS_CHALLENGE)
		log_session(LOG_L_WARN, s, "Access-Challenge from %s taken "
		    "for a Reject: not supported", t->name);
	if (notes->ignored > 0)
		log_limited(&ignored, LOG_L_WARN, s->tid, s->sid, "%u "
		    "attributes from RADIUS server %s ignored: no sense in "
		    "them, or too many", notes->ignored, t->name);
	if (notes->interim_raised)
		log_session(LOG_L_INFO, s,
		    "Acct-Interim-Interval raised to %u s", res->interim);
}

/* RFC 2869 2.1: an interval configured here overrides the server's. */
static void
take_verdict(struct radius_request *req, const struct target *t,
    const struct radius_packet *p)
{
	struct auth_request ask = req->ask;
	struct session *s = req->session;
	struct radius_notes notes;
	struct auth_result res;

	radius_result_decode(p, &res, &notes);
	if (lns.config.radius_interim > 0)
		res.interim = (uint32_t)lns.config.radius_interim;
	log_verdict(s, t, p, &res, &notes);
	request_free(req);
	auth_answered(s, &ask, &res);
	explicit_bzero(&ask, sizeof(ask));
}

static void
target_input(struct radius_path *path, void *owner, const uint8_t *buf,
    size_t len)
{
	static struct log_limit limit;
	struct target *t = timer_owner(path, struct target, path);
	struct leg *leg = owner;
	struct radius_request *req;
	struct radius_record *record;
	struct radius_packet p;
	enum radius_bad bad;

	COUNT(call_processrad);
	if (leg == NULL) {
		COUNT(radius_late_reply);
		return;
	}
	req = leg->req;
	bad = radius_decode(buf, len, &p);
	if (bad == RADIUS_OK)
		bad = check_reply(leg, &p);
	if (bad != RADIUS_OK) {
		COUNT(radius_bad_reply);
		log_limited(&limit, LOG_L_WARN, 0, 0, "RADIUS server %s: "
		    "reply dropped: %s", t->name, radius_bad_text(bad));
		return;
	}
	server_answered(t);
	if (p.message_authenticator != NULL && req->kind == AUTH)
		t->signs = true;
	if (req->kind == AUTH) {
		take_verdict(req, t, &p);
		return;
	}
	record = req->record;
	request_free(req);
	record->done(record, true);
}

/* ---- authentication ---- */

static void
auth_fail(struct session *s, enum auth_verdict verdict, const char *why)
{
	static struct log_limit limit;
	struct auth_result res = { .verdict = verdict };

	log_limited(&limit, LOG_L_WARN, s->tid, s->sid,
	    "RADIUS is not asked: %s", why);
	session_auth_done(s, &res);
}

/* The manual: without radius_secret, RADIUS queries fail. */
static bool
have_secret(void)
{
	if (secret[0] != '\0')
		return true;
	if (!secret_said)
		log_error("radius_secret is not set: nothing is asked of the "
		    "RADIUS servers, nobody can log in");
	secret_said = true;
	return false;
}

static void
queue_add(struct radius_request *req)
{
	req->queued = true;
	req->prev = queue_tail;
	req->next = NULL;
	*(queue_tail != NULL ? &queue_tail->next : &queue_head) = req;
	queue_tail = req;
	queue_len++;
	req->timer.fire = request_fire;
	wait_for(req, AUTH_DEADLINE);
}

static bool
room_for_auth(void)
{
	return flying[AUTH] + flying[ACCT] <
	    (uint64_t)lns.config.radius_max_outstanding;
}

/* Something ended: what has waited longest goes. */
static void
queue_fire(struct timer *timer)
{
	(void)timer;
	while (queue_head != NULL && room_for_auth()) {
		struct radius_request *req = queue_head;

		queue_remove(req);
		timer_disarm(&req->timer);
		request_start(req);
	}
}

void
radius_auth(struct session *s, const struct auth_request *ask)
{
	struct radius_request *req;

	radius_auth_cancel(s);
	if (servers == 0 || !have_secret()) {
		auth_fail(s, AUTH_TIMEOUT, "no RADIUS server or no secret");
		return;
	}
	/* A User-Name cannot be empty (RFC 2865 5.1), a password not long. */
	if (ask->user[0] == '\0' || ask->password_len > 128) {
		auth_fail(s, AUTH_REJECT, "the name is empty, or the password "
		    "too long for RADIUS");
		return;
	}
	if (!room_for_auth() &&
	    queue_len >= (uint64_t)lns.config.radius_max_outstanding) {
		COUNT(radius_overflow);
		auth_fail(s, AUTH_TIMEOUT, "too many requests wait");
		return;
	}
	req = request_new(AUTH);
	if (req == NULL) {
		COUNT(radius_overflow);
		auth_fail(s, AUTH_TIMEOUT, "out of memory");
		return;
	}
	req->session = s;
	req->ask = *ask;
	req->deadline = timer_now() + AUTH_DEADLINE;
	session_local(s)->auth = req;
	if (queue_head == NULL && room_for_auth())
		request_start(req);
	else
		queue_add(req);
}

void
radius_auth_cancel(struct session *s)
{
	struct radius_request *req = session_local(s)->auth;

	if (req != NULL)
		request_free(req);
}

/* ---- accounting ---- */

bool
radius_acct_send(struct radius_record *record)
{
	struct radius_request *req;
	int64_t most = lns.config.radius_max_outstanding / 4;

	if (servers == 0 || !have_secret() ||
	    flying[ACCT] > (uint64_t)most)
		return false;
	req = request_new(ACCT);
	if (req == NULL)
		return false;
	req->record = record;
	req->deadline = timer_now() + AUTH_DEADLINE;
	record->request = req;
	request_start(req);
	return true;
}

void
radius_acct_cancel(struct radius_record *record)
{
	if (record->request != NULL)
		request_free(record->request);
}

/* ---- show radius ---- */

uint32_t
radius_outstanding(void)
{
	return (uint32_t)active_n;
}

bool
radius_row(size_t i, struct radius_row *row)
{
	const struct radius_request *req;

	if (i >= active_n)
		return false;
	req = active[i];
	memset(row, 0, sizeof(*row));
	row->id = req->last != NULL ? req->last->id.id : 0;
	row->retry = req->retry;
	row->tries = req->tries;
	if (req->kind == ACCT) {
		row->state = req->record->state;
		row->sid = req->record->sid;
	} else {
		row->state = req->queued ? "WAIT" : "AUTH";
		row->sid = req->session->sid;
	}
	return true;
}

/* ---- configuration ---- */

bool
radius_configured(void)
{
	return servers > 0;
}

static void
target_set(struct target *t, uint32_t addr, int64_t port)
{
	struct in_addr in = { htonl(addr) };
	char text[INET_ADDRSTRLEN];

	memset(t, 0, sizeof(*t));
	t->path.addr = addr;
	t->path.udp_port = (uint16_t)port;
	t->path.input = target_input;
	t->path.refused = target_refused;
	inet_ntop(AF_INET, &in, text, sizeof(text));
	snprintf(t->name, sizeof(t->name), "%s:%u", text, t->path.udp_port);
}

/* Accounting is on the port after authentication's, by custom. */
static unsigned int
read_servers(struct target to[KINDS][SERVERS])
{
	const struct config *c = &lns.config;
	const uint32_t addr[] = { c->primary_radius, c->secondary_radius };
	const int64_t port[] = { c->primary_radius_port,
	    c->secondary_radius_port };
	unsigned int i, n = 0;

	for (i = 0; i < SERVERS; i++) {
		if (addr[i] == 0)
			continue;
		target_set(&to[AUTH][n], addr[i], port[i]);
		target_set(&to[ACCT][n], addr[i], port[i] + 1);
		n++;
	}
	return n;
}

static bool
same_servers(struct target to[KINDS][SERVERS], unsigned int n)
{
	unsigned int i;

	if (n != servers || strcmp(secret, lns.config.radius_secret) != 0)
		return false;
	for (i = 0; i < n; i++) {
		if (strcmp(to[AUTH][i].name, targets[AUTH][i].name) != 0)
			return false;
	}
	return true;
}

static void
close_paths(void)
{
	unsigned int k, i;

	for (k = 0; k < KINDS; k++) {
		for (i = 0; i < servers; i++)
			radius_path_close(&targets[k][i].path);
	}
}

/* What is on its way starts again with the new servers, soon. */
void
radius_reconfigure(void)
{
	struct target fresh[KINDS][SERVERS];
	unsigned int n = read_servers(fresh);
	size_t i;

	if (same_servers(fresh, n))
		return;
	for (i = 0; i < active_n; i++) {
		struct radius_request *req = active[i];

		if (req->queued)
			continue;
		request_drop_legs(req);
		req->tries = 0;
		wait_for(req, moment(REFUSED_WAIT));
	}
	close_paths();
	memcpy(targets, fresh, sizeof(targets));
	servers = n;
	snprintf(secret, sizeof(secret), "%s", lns.config.radius_secret);
	secret_said = false;
}

bool
radius_init(char *err, size_t errlen)
{
	(void)err;
	(void)errlen;
	queue_timer.fire = queue_fire;
	radius_reconfigure();
	return true;
}

void
radius_exit(void)
{
	acct_exit();
	while (active_n > 0)
		request_free(active[active_n - 1]);
	timer_disarm(&queue_timer);
	close_paths();
	servers = 0;
	explicit_bzero(secret, sizeof(secret));
	free(active);
	active = NULL;
	active_size = 0;
}
