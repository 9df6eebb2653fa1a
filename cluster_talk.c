/*
 * cluster_talk.c - what members say to each other, and what of it is believed
 *
 * Everything that is sent gets its header and signature here.  What comes is
 * believed when it is signed, from the address that it says, for us, new, and
 * from an epoch that has answered our challenge (cluster_member.h).  All else
 * has no effect but a counter, and perhaps an answer.
 *
 * Owns:     our epoch, and how many datagrams it has sent.
 * Calls:    cluster_link and cluster_wire; cluster.c, cluster_stream.c and
 *           cluster_forward.c with what was said.
 * Lifetime: talk_init() to the end of the process.
 */
#include <inttypes.h>
#include <string.h>

#include "cluster_forward.h"
#include "cluster_int.h"
#include "cluster_link.h"
#include "digest.h"
#include "log.h"
#include "ratelimit.h"

#define ECHO_RATE	200		/* a second, for each address */
#define OTHER_AGAIN	600000		/* ms, as it may be as it should */

static uint64_t epoch, number;
static struct ratelimit echoes;

/* --- sending --------------------------------------------------------------- */

void
talk_begin(struct wr *w, enum cw_kind kind, uint32_t to)
{
	struct cw_head h = { .kind = (uint8_t)kind,
	    .cluster = lns.config.bind_address, .from = link_address(),
	    .to = to, .epoch = epoch, .number = ++number };

	cw_begin(w, &h);
}

/* It is there, but nothing that it sends to the group comes through. */
static bool
seems_deaf(const struct member *m)
{
	return since(m->heard_group) > 3 * interval();
}

/* Without a secret nothing is sent: it was taken away while we run. */
bool
talk_allowed(void)
{
	return lns.config.cluster_secret[0] != '\0' ||
	    lns.config.cluster_insecure;
}

bool
talk_post(struct wr *w, uint32_t to)
{
	size_t len = cw_seal(w, lns.config.cluster_secret);
	struct member *m = NULL;
	bool sent;

	if (len == 0 || !talk_allowed())
		return false;
	sent = link_send(to, w->start, len);
	if (to == 0)
		while ((m = member_next(m)) != NULL)
			if (seems_deaf(m))
				(void)link_send(m->addr, w->start, len);
	return sent;
}

bool
cluster_send(uint32_t to, enum cluster_record type, const uint8_t *record,
    size_t len)
{
	static uint8_t buf[CW_DATAGRAM_MAX];
	struct wr w = wr_init(buf, sizeof(buf));

	if (to == 0 && cluster_role() == CLUSTER_SLAVE)
		to = cluster_master();
	if (to == 0 || link_address() == 0)
		return false;
	talk_begin(&w, CW_RECORD, to);
	cw_put(&w, (uint16_t)type, record, len);
	return talk_post(&w, to);
}

/* To all, or to one; `stranger` has said something, and is answered. */
static void
say_state(uint32_t to, const struct cw_member *stranger)
{
	struct cw_member list[CW_MEMBERS_MAX + 1];
	struct cw_state s = cluster_state();
	const struct member *m = NULL;
	uint8_t buf[1024];
	struct wr w = wr_init(buf, sizeof(buf));
	size_t n = 0;

	while ((m = member_next(m)) != NULL)
		if (is_fresh(m))
			list[n++] = (struct cw_member){ .addr = m->addr,
			    .epoch = m->epoch,
			    .challenge = m->state.challenge };
	if (stranger != NULL)
		list[n++] = *stranger;
	talk_begin(&w, cluster_role() == CLUSTER_MASTER ?
	    CW_HEARTBEAT : CW_PING, to);
	cw_put_state(&w, &s);
	cw_put_members(&w, list, n);
	(void)talk_post(&w, to);
}

void
talk_say_state(uint32_t to)
{
	say_state(to, NULL);
}

/* --- what comes ------------------------------------------------------------ */

static void
check_config(struct member *m)
{
	if (m->warned ||
	    (m->state.interval == lns.config.cluster_hb_interval &&
	    m->state.timeout == lns.config.cluster_hb_timeout))
		return;
	m->warned = true;
	log_error("cluster: " ADDR_FMT " has cluster_hb_interval %u and "
	    "cluster_hb_timeout %u, this server %" PRId64 " and %" PRId64
	    ": they must be the same on all", ADDR(m->addr),
	    m->state.interval, m->state.timeout,
	    lns.config.cluster_hb_interval, lns.config.cluster_hb_timeout);
}

/* The parts of a ping or heartbeat. */
struct said {
	bool has_state;
	struct cw_state state;
	bool hears_us;			/* our epoch is in the list */
	bool answers;			/* and our challenge */
};

static bool
read_said(struct rd body, struct said *said)
{
	struct cw_member who;
	struct rd value;
	uint16_t type;

	*said = (struct said){ 0 };
	while (cw_next(&body, &type, &value)) {
		if (type == CW_F_STATE)
			said->has_state = cw_get_state(&value, &said->state);
		while (type == CW_F_MEMBERS && cw_get_member(&value, &who)) {
			if (who.addr != link_address() || who.epoch != epoch)
				continue;
			said->hears_us = true;
			said->answers = who.challenge == members_challenge();
		}
	}
	return !body.bad && said->has_state;
}

static void
on_state(struct member *m, const struct cw_head *h, bool group,
    const struct said *said)
{
	uint64_t now = timer_now(), began = now - said->state.uptime;

	if (h->number <= m->state_number)
		return;			/* overtaken by a later one */
	m->state_number = h->number;
	m->state = said->state;
	m->master = h->kind == CW_HEARTBEAT;
	if (group)
		m->heard_group = now;
	m->deaf = said->hears_us ? 0 : m->deaf + 1;
	if (said->hears_us)
		m->hears_us = now;
	if ((int64_t)(m->started - began) > 0)
		m->started = began;
	check_config(m);
	if (m->master)
		cluster_heard_heartbeat(m);
	else
		cluster_heard_ping(m);
}

static void
on_stream(struct member *m, struct rd *body)
{
	struct cw_stream s;
	struct rd value;
	uint16_t type;

	if (!cw_next(body, &type, &value) || type != CW_F_STREAM ||
	    !cw_get_stream(&value, &s)) {
		COUNT(cluster_malformed);
		return;
	}
	if (cluster_heard_stream(m, s.changes))
		stream_input(&s, body);
	else
		COUNT(cluster_misplaced);
}

static void
on_resend(struct member *m, struct rd *body)
{
	struct rd value;
	uint32_t reign;
	uint16_t type;

	if (!cw_next(body, &type, &value) || type != CW_F_RESEND ||
	    !cw_get_reign(&value, &reign))
		COUNT(cluster_malformed);
	else if (cluster_role() != CLUSTER_MASTER ||
	    reign != stream_reign())
		COUNT(cluster_misplaced);
	else
		stream_resend(m->addr, &value);
}

static void
on_record(struct member *m, struct rd *body)
{
	struct rd value;
	uint16_t type;

	if (!cw_next(body, &type, &value) || type < CLUSTER_BYTES ||
	    type > CLUSTER_FROM_TUN)
		COUNT(cluster_malformed);
	else
		cluster_forward_record(m->addr, (enum cluster_record)type,
		    &value);
}

/*
 * Nothing of it is believed but that it may be answered, by which a member
 * that is there learns our challenge, and one that was recorded does not.
 */
static struct member *
meet_stranger(const struct cw_head *h, const struct said *said)
{
	struct cw_member who = { .addr = h->from, .epoch = h->epoch,
	    .challenge = said->state.challenge };
	struct member *m = member_find(h->from);

	if (!said->answers) {
		COUNT(cluster_unproven);
		if (ratelimit_take(&echoes, h->from, ECHO_RATE))
			say_state(h->from, &who);
		return NULL;
	}
	if (m != NULL)
		cluster_heard_restart(m);
	log_info("cluster: " ADDR_FMT " is %s", ADDR(h->from),
	    m != NULL ? "there anew" : "there");
	m = member_admit(h->from, h->epoch, timer_now());
	if (m == NULL) {
		static struct log_limit limit;

		log_limited(&limit, LOG_L_ERROR, 0, 0, "cluster: more than %d "
		    "members", CW_MEMBERS_MAX + 1);
		return NULL;
	}
	m->heard_group = timer_now();
	m->state.challenge = said->state.challenge;
	cw_window_begin(&m->window, h->number);
	talk_say_state(m->addr);
	return m;
}

static void
dispatch(struct member *m, const struct cw_head *h, bool group,
    struct rd *body, const struct said *said)
{
	m->heard = timer_now();
	switch (h->kind) {
	case CW_PING:
	case CW_HEARTBEAT:
		on_state(m, h, group, said);
		break;
	case CW_STREAM:
		on_stream(m, body);
		break;
	case CW_RESEND:
		on_resend(m, body);
		break;
	case CW_RECORD:
		on_record(m, body);
		break;
	default:
		COUNT(cluster_malformed);
	}
}

/* Whoever sent it has the secret: is it somebody who is there now? */
static void
take(const struct cw_head *h, bool group, struct rd *body)
{
	bool states = h->kind == CW_PING || h->kind == CW_HEARTBEAT;
	struct member *m = member_find(h->from);
	struct said said = { 0 };

	if (states && !read_said(*body, &said)) {
		COUNT(cluster_malformed);
		return;
	}
	if (m != NULL && m->epoch == h->epoch) {
		if (!cw_window_take(&m->window, h->number)) {
			COUNT(cluster_replayed);
			return;
		}
	} else if (!states) {
		COUNT(cluster_unproven);
		return;
	} else {
		m = meet_stranger(h, &said);
		if (m == NULL)
			return;
	}
	dispatch(m, h, group, body, &said);
}

static void
refuse(enum cw_result why, uint32_t from)
{
	static struct log_limit version_limit, forged_limit;

	switch (why) {
	case CW_OTHER_VERSION:
		COUNT(cluster_version);
		log_limited(&version_limit, LOG_L_ERROR, 0, 0, "cluster: "
		    ADDR_FMT " speaks another version of the protocol",
		    ADDR(from));
		break;
	case CW_FORGED:
		COUNT(cluster_forged);
		log_limited(&forged_limit, LOG_L_WARN, 0, 0, "cluster: what "
		    "came from " ADDR_FMT " is not signed with our "
		    "cluster_secret", ADDR(from));
		break;
	default:
		COUNT(cluster_malformed);
	}
}

/*
 * With our secret, but another bind_address: two clusters may share a network,
 * or somebody has mistyped it.
 */
static void
note_other(uint32_t from, uint32_t cluster)
{
	static uint64_t next;

	COUNT(cluster_other);
	if (timer_now() < next)
		return;
	next = timer_now() + OTHER_AGAIN;
	log_warn("cluster: " ADDR_FMT " is in another cluster: its bind_address "
	    "is " ADDR_FMT, ADDR(from), ADDR(cluster));
}

static void
input(uint32_t from, bool group, const uint8_t *buf, size_t len)
{
	static struct log_limit limit;
	enum cw_result result;
	struct cw_head h;
	struct rd body;

	result = cw_open(buf, len, lns.config.cluster_secret, &h, &body);
	if (result != CW_OK || !talk_allowed()) {
		refuse(result != CW_OK ? result : CW_FORGED, from);
		return;
	}
	if (h.cluster != lns.config.bind_address) {
		note_other(from, h.cluster);
	} else if (h.from != from || (h.to != 0 && h.to != link_address())) {
		COUNT(cluster_sender);
	} else if (h.from == link_address()) {
		COUNT(cluster_sender);
		if (h.epoch != epoch)
			log_limited(&limit, LOG_L_ERROR, 0, 0, "cluster: "
			    "another member has this server's address "
			    ADDR_FMT, ADDR(from));
	} else
		take(&h, group, &body);
}

void
talk_init(void)
{
	digest_random(&epoch, sizeof(epoch));
	number = 0;
	echoes.key = digest_random_u32();
	link_input = input;
}
