/*
 * stop.c - the two ways in which the server stops
 *
 * SIGTERM is for a restart, or for another server to take over: nobody is
 * told; in a cluster the others go on with what is up, else it is saved for the
 * next process, or at least billed.
 * SIGQUIT is for good: everybody is told, and has the time to answer.  Both
 * only begin it here; the loop turns on until all is said, and what is left
 * then is undone in l2tpns.c.
 *
 * Where routers were told by BGP to send us packets, they are told first that
 * they shall not, and for RETIRE_MS nothing else changes: until the last of
 * them has heard it, packets go on to the subscribers.
 *
 * Owns:     the timers that wait for that and for the last answers.
 * Calls:    cluster, bgp, tunnel, session, accounting, state, notify.
 * Lifetime: from the first of these signals to the end of the loop.
 */
#include "stop.h"

#include "accounting.h"
#include "bgp.h"
#include "cluster.h"
#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "session.h"
#include "state.h"
#include "table.h"
#include "tunnel.h"

#define RETIRE_MS	5000	/* from the withdrawal of the routes */
#define POLL_MS		50
#define QUIET_MS	3000	/* SIGTERM: for accounting to be answered */
#define MORE_MS		6000	/* from the last answer, as others may come */
#define CLEAN_MS	35000	/* SIGQUIT: a full retransmission cycle */

static struct timer timer;
static uint64_t deadline, limit;
static uint32_t left_before;	/* accounting records, at the last look */

/*
 * While servers answer, it is worth waiting for the rest: nobody else has
 * these records.  CLEAN_MS is the end of that too.
 */
static void
poll_books(struct timer *t)
{
	uint32_t left = acct_pending();
	uint64_t more = timer_now() + MORE_MS;

	if (more > limit)
		more = limit;
	if (left < left_before && more > deadline)
		deadline = more;
	left_before = left;
	if (timer_now() < deadline &&
	    (left > 0 || (!lns.quiet && !tunnels_quiet())))
		timer_arm(t, POLL_MS);
	else
		loop_stop();
}

static void
stop_when_settled(uint64_t ms)
{
	notify_stopping();
	lns.shutting_down = true;
	timer.fire = poll_books;
	deadline = timer_now() + ms;
	limit = timer_now() + CLEAN_MS;
	left_before = acct_pending();
	timer_arm(&timer, 0);
}

/*
 * What is up goes on in the next process: nobody is told, and no accounting
 * record is waited for.  False when nothing was saved.
 */
static bool
hand_over(void)
{
	char msg[512];

	if (!lns.config.save_state)
		return false;
	lns.shutting_down = true;
	state_settle();
	if (!state_save(lns.config.state_file, msg, sizeof(msg))) {
		log_error("state cannot be saved, all sessions end: %s", msg);
		return false;
	}
	log_warn("state saved: %s", msg);
	notify_stopping();
	acct_forget();
	lns.quiet = true;
	loop_stop();
	return true;
}

/*
 * SIGTERM, SIGINT: the LACs hear nothing, so that a restart or another server
 * may carry on.
 */
static void
end_quietly(void)
{
	struct session *s;

	if (hand_over())
		return;
	for (s = session_next(0); s != NULL; s = session_next(s->sid))
		session_kill(s, CAUSE_NAS_REBOOT, "the server is stopping");
	lns.quiet = true;
	stop_when_settled(QUIET_MS);
}

/* SIGQUIT: every session gets a CDN, every tunnel a StopCCN. */
static void
end_cleanly(void)
{
	tunnels_shutdown("the server is shutting down");
	stop_when_settled(CLEAN_MS);
}

/*
 * In a cluster sessions go on without this server, and so do the accounting
 * records that it has not sent: others have copies.
 */
static void
end_in_cluster(void)
{
	notify_stopping();
	acct_forget();
	lns.quiet = true;
	loop_stop();
}

static struct {
	struct timer timer;
	void (*end)(void);
} retiring;

static void
retired(struct timer *t)
{
	timer_disarm(t);
	retiring.end();
}

/*
 * The first signal decides how it ends.  Another one does not wait: not for
 * the routers, and if that is over, not for accounting.
 */
static void
stop_by(void (*end)(void))
{
	if (timer_armed(&retiring.timer)) {
		retired(&retiring.timer);
		return;
	}
	if (lns.shutting_down) {
		loop_stop();
		return;
	}
	lns.shutting_down = true;
	retiring.timer.fire = retired;
	retiring.end = end;
	if (!bgp_retire()) {
		end();
		return;
	}
	notify_stopping();
	log_warn("routes are withdrawn; going on for %d s until all routers "
	    "have heard it", RETIRE_MS / 1000);
	timer_arm(&retiring.timer, RETIRE_MS);
}

/* Another member takes over at once, not after RETIRE_MS. */
void
stop_quietly(int sig)
{
	void (*end)(void) = end_quietly;

	if (!lns.shutting_down) {
		log_warn("signal %d: stopping; LACs and subscribers are not "
		    "told", sig);
		if (cluster_leave())
			end = end_in_cluster;
	}
	stop_by(end);
}

/* A slave's sessions are not its own to end. */
void
stop_cleanly(int sig)
{
	if (!lns.master) {
		stop_quietly(sig);
		return;
	}
	if (!lns.shutting_down)
		log_warn("signal %d: disconnecting %u sessions on %u tunnels, "
		    "then stopping", sig, table_sessions(), table_tunnels());
	stop_by(end_cleanly);
}
