/*
 * cluster.c - several servers, one set of subscribers: who is there, who is
 * master
 *
 * Every member says each interval what it is: a slave by a ping, the master by
 * a heartbeat.  A heartbeat is also the master's lease: as long as the others
 * hear it, nobody else may be master, and once it has not sent one for the
 * time-out, he himself may not either, since then they have elected.  That is
 * checked before anything else in a turn, so that a process that was stopped
 * and goes on does nothing of what it had in mind.
 *
 * Elections need no votes.  Each slave ranks all it hears: who has everything
 * first, then who started first, then the higher address.  The best is master
 * when the time-out has passed; the next waits an interval and a half more for
 * each that is better, in case that one is gone too.  Whoever still hears of
 * the master through others has a deaf link, not a dead master, and holds back.
 * Should there be two masters all the same, the one who knows of more changes
 * stays, to be promoted being a change, and the other one follows it.
 *
 * How members speak and whom they believe is in cluster_talk.c.
 *
 * Owns:     this server's role, lns.master; when the next beat is due.
 * Calls:    cluster_talk, cluster_link, cluster_member, cluster_stream;
 *           replica.c, bgp.c, icmp.c, state.c and plugins by role.
 * Lifetime: cluster_init() before the network is opened, as its hook at the
 *           end of the turn must come before that of forward.c.
 */
#include "cluster.h"

#include <inttypes.h>
#include <string.h>

#include "bgp.h"
#include "cluster_forward.h"
#include "cluster_garden.h"
#include "cluster_int.h"
#include "cluster_link.h"
#include "forward.h"
#include "icmp.h"
#include "log.h"
#include "loop.h"
#include "plugins.h"
#include "replica.h"
#include "state.h"

#define TICK		50		/* ms */
#define LINK_CHECK	1000		/* ms */
#define LINK_COMPLAIN	30000		/* ms */
#define DEAF		2		/* pings or heartbeats */
#define ANSWER_AGAIN	100		/* ms */
#define STALL		1000		/* ms: worth a line */
#define SETTLED		2000		/* ms */
#define COPY_GOOD	60000		/* ms: of the last master's */
#define LEAVE_TIMES	1000
#define GARP_TIMES	3
#define GARP_GAP	1000		/* ms */

static enum cluster_role role = CLUSTER_OFF;
static uint64_t started;		/* ms */
static uint64_t changes;
static uint64_t beat_at, beat_sent;	/* ms: the next, the last */
static uint64_t last_turn;
static bool leaving, routes;

/* Slave: whom it follows, and when it will not wait any longer. */
static uint32_t master;
static uint64_t master_heard, elect_at;
static bool master_gone;		/* for sure: nobody else hears it */
static bool was_up_to_date;		/* while the master was heard */
static uint64_t was_whole;		/* ms: when it was so last */
static bool needed_walk;
static bool has_followed;		/* ever */

/* Master. */
static bool followed;
static unsigned int garps_left;
static uint64_t garp_at;

static uint64_t link_check_at, complain_at;
static struct timer ticker;

static void tick(struct timer *);
static void turn_begins(void), replicate(void);
static struct loop_hook begin_hook = { .run = turn_begins };
static struct loop_hook end_hook = { .run = replicate };

enum cluster_role
cluster_role(void)
{
	return role;
}

uint32_t
cluster_address(void)
{
	return role == CLUSTER_OFF ? 0 : link_address();
}

uint32_t
cluster_master(void)
{
	return role == CLUSTER_MASTER ? link_address() : master;
}

bool
cluster_followed(void)
{
	return followed;
}

void
cluster_count_changes(uint64_t n)
{
	changes += n;
}

uint64_t
cluster_changes(void)
{
	return changes;
}

/* --- what we are ----------------------------------------------------------- */

/* The master is, or was, heard, but did not hear us. */
static bool
is_mute(void)
{
	const struct member *m = master != 0 ? member_find(master) : NULL;

	return m != NULL && m->heard - m->hears_us >= 4 * interval();
}

static bool
is_up_to_date(void)
{
	return role == CLUSTER_SLAVE && master != 0 && !is_mute() &&
	    stream_is_whole() && since(master_heard) < timeout() &&
	    replica_up_to_date();
}

/* Is there a router that sends us packets?  Without BGP nobody can tell. */
static bool
announces(void)
{
	struct bgp_row row;

	if (!routes || !bgp_configured())
		return routes;
	for (size_t i = 0; bgp_row(i, &row); i++)
		if (!row.suspended && strcmp(row.state, "Established") == 0)
			return true;
	return false;
}

static uint16_t
our_flags(void)
{
	uint16_t flags = 0;

	if (role == CLUSTER_MASTER || is_up_to_date())
		flags |= CW_UP_TO_DATE;
	if (role == CLUSTER_SLAVE && master != 0 && stream_needs_walk())
		flags |= CW_WANTS_WALK;
	if (role == CLUSTER_SLAVE && master != 0 &&
	    since(master_heard) > interval() * 3 / 2)
		flags |= CW_WANTS_REPLY;
	if (announces())
		flags |= CW_HAS_ROUTES;
	if (leaving)
		flags |= CW_LEAVING;
	return flags;
}

struct cw_state
cluster_state(void)
{
	return (struct cw_state){
		.flags = our_flags(),
		.interval = (uint16_t)lns.config.cluster_hb_interval,
		.timeout = (uint16_t)lns.config.cluster_hb_timeout,
		.uptime = since(started),
		.basetime = lns.start,
		.changes = changes,
		.master = cluster_master(),
		.master_age = role == CLUSTER_MASTER ? 0 :
		    (uint32_t)since(master_heard),
		.reign = role == CLUSTER_MASTER ? stream_reign() :
		    stream_their_reign(),
		.next = role == CLUSTER_MASTER ? stream_next() :
		    stream_expects(),
		.oldest = stream_oldest(),
		.challenge = members_challenge()
	};
}

static void
beat(void)
{
	beat_sent = timer_now();
	beat_at = beat_sent + interval();
	talk_say_state(0);
}

/* A slave in trouble asks its master, too, who may hear only that. */
static void
beat_master(void)
{
	if (role == CLUSTER_SLAVE && master != 0 &&
	    (our_flags() & CW_WANTS_REPLY) != 0)
		talk_say_state(master);
}

/* --- roles ----------------------------------------------------------------- */

static void
raise_routes(bool up)
{
	if (routes == up)
		return;
	routes = up;
	log_info("cluster: routes are %s", up ? "announced" : "withdrawn");
	bgp_raise(up);
}

/*
 * As many as these follow the stream, and have everything for a while.  Who is
 * silent for two intervals is missed at once: to take packets for nothing does
 * no harm.
 */
static uint32_t
settled_slaves(void)
{
	const struct member *m = NULL;
	uint32_t n = 0;

	while ((m = member_next(m)) != NULL)
		if (m->carries_since != 0 &&
		    since(m->heard) <= 2 * interval() + TICK &&
		    since(m->carries_since) >= SETTLED)
			n++;
	return n;
}

/*
 * A master with enough slaves leaves the packets to them; one who has not
 * enough, as at the start or when they are gone, must take them itself.  A
 * slave that no router listens to does not count.
 *
 * A slave begins when it has everything, and goes on while it follows a new
 * master: its copy is that of the last one, and better than no way in.  But a
 * master that does not hear it cannot be handed anything.
 */
static void
decide_routes(void)
{
	if (leaving)
		return;			/* stop.c does that */
	if (role == CLUSTER_MASTER)
		raise_routes(settled_slaves() <
		    (uint32_t)lns.config.cluster_master_min_adv);
	else if (is_up_to_date()) {
		was_whole = timer_now();
		raise_routes(true);
	} else if (routes)
		raise_routes(since(was_whole) < COPY_GOOD && !is_mute());
}

static bool
follows_us(const struct member *m)
{
	return role == CLUSTER_MASTER && !m->master &&
	    m->state.master == link_address() &&
	    m->state.reign == stream_reign();
}

static void
count_followers(void)
{
	const struct member *m = NULL;
	bool any = false;

	while (!any && (m = member_next(m)) != NULL)
		any = follows_us(m);
	if (followed && !any)
		stream_skip();
	followed = any;
}

static void
send_garp(void)
{
	char err[256];

	if (garps_left == 0 || timer_now() < garp_at)
		return;
	garps_left--;
	garp_at = timer_now() + GARP_GAP;
	if (garp_send(lns.config.bind_address, link_address(), err,
	    sizeof(err)))
		COUNT(arp_sent);
	else
		log_info("no gratuitous ARP: %s", err);
}

/*
 * What a slave has carried is counted first; then everything wakes.  A copy of
 * nothing, with nobody else there, is what a restart of the only server looks
 * like: then what it has saved holds.
 */
static void
become_master(const char *why)
{
	log_warn("cluster: this server is master now: %s", why);
	COUNT(cluster_promoted);
	stream_finish();
	cluster_forward_settle();
	role = CLUSTER_MASTER;
	lns.master = true;
	master = 0;
	changes++;
	stream_begin_reign();
	followed = false;
	if (!has_followed && members_count() == 0)
		state_take_over();
	else
		replica_promote();
	plugins_become_master();
	cluster_garden_begin();
	garps_left = lns.config.send_garp && lns.config.bind_address != 0 &&
	    !bgp_configured() ? GARP_TIMES : 0;
	garp_at = timer_now();
	send_garp();
	decide_routes();
	beat();
}

static void
become_slave(const char *why)
{
	log_warn("cluster: this server is no longer master: %s", why);
	COUNT(cluster_demoted);
	forward_discard();
	role = CLUSTER_SLAVE;
	lns.master = false;
	stream_skip();
	was_whole = timer_now();
	was_up_to_date = true;
	followed = false;
	garps_left = 0;
	master = 0;
	has_followed = true;		/* what it had saved is old */
	master_gone = false;
	elect_at = timer_now() + 2 * interval();
	replica_demote();
	cluster_garden_end();
	plugins_become_slave(0);
	decide_routes();
}

/* The copy that we have is another's: all of it is asked for. */
static void
follow(struct member *m)
{
	log_warn("cluster: " ADDR_FMT " is master", ADDR(m->addr));
	if (!has_followed)
		state_discard(lns.config.state_file);
	has_followed = true;
	master = m->addr;
	master_gone = false;
	master_heard = timer_now();
	elect_at = master_heard + timeout();
	changes = m->state.changes;
	stream_follow(m->state.reign, m->state.next);
	needed_walk = true;
	plugins_become_slave(master);
	beat();
}

static void
lose_master(const char *why, uint64_t wait)
{
	log_warn("cluster: " ADDR_FMT " is no longer master: %s",
	    ADDR(master), why);
	master = 0;
	master_gone = wait == 0;
	elect_at = timer_now() + wait;
}

/* --- elections ------------------------------------------------------------- */

/* Is this member to be master rather than us? */
static bool
is_better(const struct member *m, bool we_have_all)
{
	bool has_all = (m->state.flags & CW_UP_TO_DATE) != 0;

	if (has_all != we_have_all)
		return has_all;
	return member_is_senior(m->started, m->addr, started, link_address());
}

/*
 * How many are better, of those who are there.  Whether somebody has all that
 * the master had is what it said while it had one.
 */
static uint32_t
our_rank(void)
{
	const struct member *m = NULL;
	uint32_t n = 0;

	while ((m = member_next(m)) != NULL)
		if (is_fresh(m) && m->addr != master &&
		    (m->state.flags & CW_LEAVING) == 0 &&
		    is_better(m, was_up_to_date))
			n++;
	return n;
}

/*
 * Somebody else has heard the master when we did not any more; or one of whom
 * we, who are new, have heard nothing so far.
 */
static const struct member *
who_hears_master(void)
{
	const struct member *m = NULL;
	uint64_t silence = has_followed ? since(master_heard) : timeout();
	uint32_t theirs;

	if (has_followed && (master == 0 || master_gone))
		return NULL;
	while ((m = member_next(m)) != NULL) {
		theirs = m->state.master;
		if (theirs != 0 && theirs != m->addr &&
		    theirs != link_address() && is_fresh(m) &&
		    (!has_followed || theirs == master) &&
		    m->state.master_age + since(m->heard) + interval() <
		    silence)
			return m;
	}
	return NULL;
}

static void
elect(void)
{
	static struct log_limit limit;
	const struct member *m;

	if (timer_now() < elect_at + our_rank() * interval() * 3 / 2)
		return;
	m = who_hears_master();
	if (m != NULL) {
		log_limited(&limit, LOG_L_WARN, 0, 0, "cluster: the master "
		    ADDR_FMT " is not heard here, but by " ADDR_FMT,
		    ADDR(m->state.master), ADDR(m->addr));
		elect_at = timer_now() + interval();
		return;
	}
	if (master != 0)
		become_master("no heartbeat for the time-out");
	else if (has_followed)
		become_master("there is no other");
	else
		become_master(members_count() > 0 ?
		    "the longest up of those who are there" :
		    "nobody else is there");
}

/* Is m more of a master than one with these? */
static bool
outranks(const struct member *m, uint64_t their_changes,
    uint64_t their_start, uint32_t their_addr)
{
	if (m->state.changes != their_changes)
		return m->state.changes > their_changes;
	return member_is_senior(m->started, m->addr, their_start, their_addr);
}

/* --- what others say --------------------------------------------------------- */

static void
master_is_there(void)
{
	master_heard = timer_now();
	elect_at = master_heard + timeout();
	master_gone = false;
}

/* The other one has to know of us, even if it does not hear the group. */
static void
answer(struct member *m)
{
	if (since(m->answered) < ANSWER_AGAIN)
		return;
	m->answered = timer_now();
	talk_say_state(m->addr);
}

/*
 * The lesser one gives way.  Who does not hear us, answered or not, cannot;
 * then it is for us, whatever we know.
 */
static void
meet_master(struct member *m)
{
	bool cannot = m->deaf >= DEAF;
	static struct log_limit limit;

	log_limited(&limit, LOG_L_WARN, 0, 0, "cluster: two masters, this "
	    "one and " ADDR_FMT, ADDR(m->addr));
	if (!cannot && !outranks(m, changes, started, link_address())) {
		answer(m);
		return;
	}
	become_slave(cannot ? "the other one does not hear this one" :
	    "the other one knows more, or has been up longer");
	follow(m);
}

/* Another master than ours: the better one, or ours is silent. */
static bool
is_to_follow(const struct member *m)
{
	const struct member *ours = master != 0 ? member_find(master) : NULL;

	if (ours == NULL || ours == m || !ours->master)
		return true;
	return since(master_heard) >= timeout() ||
	    outranks(m, changes, ours->started, ours->addr);
}

void
cluster_heard_heartbeat(struct member *m)
{
	if (role == CLUSTER_MASTER) {
		meet_master(m);
		return;
	}
	if (m->addr != master || m->state.reign != stream_their_reign()) {
		if (!is_to_follow(m))
			return;
		follow(m);
	}
	master_is_there();
	changes = m->state.changes;
	stream_told(m->state.next, m->state.oldest);
	stream_ask(master);
}

static void
note_carrier(struct member *m)
{
	const uint16_t all = CW_UP_TO_DATE | CW_HAS_ROUTES;
	bool is = follows_us(m) && (m->state.flags & all) == all &&
	    (m->state.flags & CW_LEAVING) == 0;

	if (!is)
		m->carries_since = 0;
	else if (m->carries_since == 0)
		m->carries_since = timer_now();
}

void
cluster_heard_ping(struct member *m)
{
	if (role == CLUSTER_SLAVE && m->addr == master) {
		/* It follows another one: that one will be heard. */
		lose_master((m->state.flags & CW_LEAVING) != 0 ?
		    "it is about to end" : "it says so",
		    m->state.master != 0 ? 2 * interval() : 0);
		return;
	}
	if (role != CLUSTER_MASTER)
		return;
	count_followers();
	note_carrier(m);
	if (!follows_us(m) || (m->state.flags & CW_WANTS_REPLY) != 0)
		answer(m);
	if (follows_us(m) && (m->state.flags & CW_WANTS_WALK) != 0)
		stream_wants_walk(m->state.next);
}

bool
cluster_heard_stream(const struct member *m, uint64_t n)
{
	if (role != CLUSTER_SLAVE || m->addr != master)
		return false;
	master_is_there();
	changes = n;
	return true;
}

void
cluster_heard_restart(const struct member *m)
{
	if (role == CLUSTER_SLAVE && m->addr == master)
		lose_master("it has begun anew", 0);
}

/* Everything that has come is read: what is missing now may be asked for. */
static void
idle(void)
{
	if (role == CLUSTER_SLAVE && master != 0)
		stream_ask(master);
}

/* --- time ------------------------------------------------------------------ */

/* The lease is over: the others have elected, or are about to. */
static bool
is_stale_master(uint64_t now)
{
	return role == CLUSTER_MASTER && members_count() > 0 &&
	    now > beat_sent && now - beat_sent >= timeout();
}

/*
 * Before the timers.  A process that did not run has heard nobody, which says
 * nothing about the others.
 */
static void
turn_begins(void)
{
	uint64_t now = timer_now(), gap = now - last_turn;
	uint64_t least = now + 2 * interval();

	if (last_turn == 0 || gap < interval()) {
		last_turn = now;
		return;
	}
	last_turn = now;
	if (gap >= STALL)
		log_warn("cluster: this process has not run for %" PRIu64
		    " ms", gap);
	members_excuse(gap);
	if (is_stale_master(now))
		become_slave("the others have heard nothing for the time-out");
	else if (elect_at < least)
		elect_at = least;
}

/*
 * At the end of a turn, and in its midst before control messages leave: what
 * LACs are about to hear, the others hear first.  Unless it is too late for
 * all of it, as the process was stopped within this turn.
 */
static void
replicate(void)
{
	if (role != CLUSTER_MASTER)
		return;
	if (is_stale_master(timer_usec() / 1000)) {
		become_slave("the others have heard nothing for the time-out");
		return;
	}
	replica_drain();
	cluster_flush();
}

static void
drop_silent(void)
{
	struct member *m = NULL;
	bool left;

	while ((m = member_next(m)) != NULL) {
		left = (m->state.flags & CW_LEAVING) != 0;
		if (since(m->heard) <= (left ? 2 * interval() : timeout()))
			continue;
		if (left)
			log_info("cluster: " ADDR_FMT " has left",
			    ADDR(m->addr));
		else
			log_warn("cluster: " ADDR_FMT " is gone: not heard "
			    "for %" PRIu64 " ms", ADDR(m->addr),
			    since(m->heard));
		member_drop(m);
	}
	count_followers();
}

/* False: there is nothing to hear or speak with. */
static bool
keep_link(void)
{
	char err[256];

	if (timer_now() < link_check_at)
		return link_address() != 0;
	link_check_at = timer_now() + LINK_CHECK;
	if (link_address() != 0) {
		if (!link_changed())
			return true;
		log_error("cluster: %s is no longer what it was",
		    lns.config.cluster_interface);
		link_close();
	}
	if (link_open(err, sizeof(err))) {
		uint32_t a = link_address();

		log_info("cluster: " ADDR_FMT " on %s", ADDR(a),
		    lns.config.cluster_interface);
		complain_at = 0;
		lns.own_addr = a;
		return true;
	}
	if (timer_now() >= complain_at) {
		log_error("cluster: nobody can be heard, waiting for it: %s",
		    err);
		complain_at = timer_now() + LINK_COMPLAIN;
	}
	return false;
}

/* An election is for who can hear that there is none. */
static void
wait_for_others(void)
{
	uint64_t wait = (uint64_t)lns.config.cluster_start_wait * 100;

	if (wait < 3 * interval())
		wait = 3 * interval();
	if (elect_at < timer_now() + wait)
		elect_at = timer_now() + wait;
}

static void
run_slave(void)
{
	bool up_to_date = is_up_to_date(), needs = stream_needs_walk();

	if (master != 0)
		stream_ask(master);
	if (timer_now() >= elect_at && !leaving) {
		elect();
		if (role != CLUSTER_SLAVE)
			return;
	}
	if (master == 0 || since(master_heard) >= timeout() ||
	    (up_to_date == was_up_to_date && needs == needed_walk))
		return;
	/* Whoever waits for it hears it at once. */
	was_up_to_date = up_to_date;
	needed_walk = needs;
	decide_routes();
	beat();
}

static void
tick(struct timer *t)
{
	bool had_link = link_address() != 0;

	timer_arm(t, TICK);
	if (!keep_link())
		return;
	if (!had_link)
		wait_for_others();
	drop_silent();
	if (role == CLUSTER_SLAVE)
		run_slave();
	if (timer_now() >= beat_at) {
		beat();
		beat_master();
	}
	send_garp();
	decide_routes();
}

/* --- begin and end --------------------------------------------------------- */

static const char *
why_alone(void)
{
	if (lns.config.cluster_address == 0)
		return "cluster_address is 0.0.0.0";
	if (!talk_allowed())
		return "there is no cluster_secret";
	return NULL;
}

void
cluster_init(void)
{
	const char *why = why_alone();

	lns.master = why != NULL;
	if (why != NULL) {
		role = CLUSTER_OFF;
		log_info("no cluster: %s", why);
		return;
	}
	if (lns.config.cluster_secret[0] == '\0')
		log_warn("cluster: there is no cluster_secret: whoever can send "
		    "to %s owns every session", lns.config.cluster_interface);
	role = CLUSTER_SLAVE;
	stream_init();
	members_init();
	talk_init();
	changes = 0;
	started = beat_sent = timer_now();
	beat_at = last_turn = elect_at = master_heard = was_whole = 0;
	master = 0;
	leaving = routes = followed = false;
	master_gone = was_up_to_date = has_followed = false;
	garps_left = 0;
	link_idle = idle;
	forward_before_control = replicate;
	ticker.fire = tick;
	loop_before_timers(&begin_hook);
	loop_at_turn_end(&end_hook);
	timer_arm(&ticker, 0);
	link_check_at = complain_at = 0;
	if (keep_link())
		wait_for_others();
	replica_init();
	cluster_forward_init();
}

static bool
somebody_goes_on(void)
{
	const struct member *m = NULL;

	while ((m = member_next(m)) != NULL)
		if (follows_us(m) && is_fresh(m) &&
		    (m->state.flags & CW_UP_TO_DATE) != 0 &&
		    (m->state.flags & CW_LEAVING) == 0)
			return true;
	return false;
}

/* Said several times, as nobody answers. */
static void
say_goodbye(void)
{
	const struct member *m = NULL;

	beat();
	while ((m = member_next(m)) != NULL)
		talk_say_state(m->addr);
}

bool
cluster_leave(void)
{
	if (role == CLUSTER_OFF)
		return false;
	if (role == CLUSTER_MASTER) {
		if (!somebody_goes_on())
			return false;
		/* Of much that has just changed each takes a part. */
		for (int i = 0; i < LEAVE_TIMES; i++) {
			replicate();
			if (replica_queued() == 0)
				break;
		}
		leaving = true;
		become_slave("it is about to end");
	}
	leaving = true;
	decide_routes();
	say_goodbye();
	return true;
}

void
cluster_exit(void)
{
	if (role == CLUSTER_OFF)
		return;
	if (link_address() != 0 && !leaving) {
		leaving = true;
		role = CLUSTER_SLAVE;
		master = 0;
		say_goodbye();
	}
	timer_disarm(&ticker);
	cluster_garden_end();
	forward_before_control = NULL;
	link_close();
	cluster_forward_exit();
	replica_exit();
	role = CLUSTER_OFF;
}

/* --- to be shown ----------------------------------------------------------- */

bool
cluster_row(size_t i, struct cluster_row *row)
{
	const struct member *m = member_next(NULL);

	for (; i > 0 && m != NULL; i--)
		m = member_next(m);
	if (m == NULL)
		return false;
	*row = (struct cluster_row){
		.addr = m->addr, .basetime = m->state.basetime,
		.age = since(m->heard), .master = m->master,
		.up_to_date = m->master ||
		    (m->state.flags & CW_UP_TO_DATE) != 0
	};
	return true;
}

void
cluster_status(struct cluster_status *s)
{
	*s = (struct cluster_status){
		.role = role, .address = cluster_address(),
		.master = cluster_master(),
		.heartbeat_age = since(master_heard),
		.next = role == CLUSTER_SLAVE ? stream_expects() :
		    stream_next(),
		.changes = changes, .peers = members_count(),
		.up_to_date = is_up_to_date(), .routes = routes
	};
}
