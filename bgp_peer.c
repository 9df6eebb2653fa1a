/*
 * bgp_peer.c - one BGP peer: the state machine of RFC 4271 section 8
 *
 * fsm[][] is section 8.2.2 as a table: for each event and state an action and
 * the next state.  The state changes first; an action that finds the matter
 * otherwise (an OPEN from the wrong AS, a connection that cannot begin) is an
 * event of its own in the new state.
 *
 * We speak first and never listen, so there is no collision of connections.
 * Active, in the RFC the state that listens, is left for its other half: the
 * connection was closed before the peer's OPEN, and the ConnectRetryTimer runs.
 * From Idle it goes on by itself (DampPeerOscillations): 1 s after the first
 * loss, then twice as long each time up to a minute, until a session lasts for
 * one.
 *
 * What a peer is told comes from bgp_rib.c, in slices: some thousand prefixes
 * a turn, and no more than the buffer of the connection takes.  A peer that
 * stops reading costs that buffer, and after some minutes its session
 * (RFC 9687).  What it tells us is checked and thrown away.
 *
 * A NOTIFICATION is worth nothing if the reset of a connection that is closed
 * with unread bytes overtakes it.  So the connection is handed to a farewell,
 * which reads on for a moment until the peer closes.
 *
 * Owns:     struct bgp_peer, its connection, timers and view of the table; our
 *           BGP Identifier; farewells.
 * Calls:    bgp_wire, bgp_rib, bgp_sock, resolve, loop, timer, log.
 * Lifetime: bgp_peer_new() to bgp_peer_free(); a farewell outlives it.
 */
#include "bgp_peer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bgp_rib.h"
#include "bgp_sock.h"
#include "bgp_wire.h"
#include "counters.h"
#include "digest.h"
#include "log.h"
#include "loop.h"
#include "resolve.h"
#include "timer.h"

#define IN_ROOM		(4 * BGP_MAX)	/* what one turn reads */
#define OUT_ROOM	(16 * BGP_MAX)
#define SYNC_ROOM	(3 * BGP_MAX)	/* two UPDATEs, and something else */
#define SYNC_LOOKS	4096		/* prefixes a turn */

#define CONNECT_MS	20000		/* for TCP to connect, with the name */
#define OPEN_HOLD_MS	240000		/* "a large value": 4 minutes (8.2.2) */
#define SEND_HOLD_MS	480000		/* 8 minutes (RFC 9687 6) */
#define BACKOFF_MS	1000		/* doubled by each loss, up to */
#define BACKOFF_MAX	60000
#define STABLE_MS	60000		/* a session that was none of these */
#define FAREWELL_MS	2000

enum state { IDLE, CONNECT, ACTIVE, OPENSENT, OPENCONFIRM, ESTABLISHED,
    STATES };

static const char *const state_names[STATES] = {
	"Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established"
};

/* The numbers of 8.1 in the comments. */
enum event {
	EV_START,			/* 1, 3, 13 */
	EV_STOP,			/* 2, 8 */
	EV_CONNECT_RETRY,		/* 9 */
	EV_HOLD,			/* 10 */
	EV_KEEPALIVE,			/* 11 */
	EV_SEND_HOLD,			/* 29, RFC 9687 */
	EV_CONNECTED,			/* 16, 17 */
	EV_CLOSED,			/* 18 */
	EV_MSG_OPEN,			/* 19 */
	EV_MSG_BAD,			/* 21, 22, 28 */
	EV_MSG_NOTIFICATION,		/* 24, 25 */
	EV_MSG_KEEPALIVE,		/* 26 */
	EV_MSG_UPDATE,			/* 27 */
	EV_MSG_REFRESH,			/* RFC 2918 */
	EVENTS
};

static const char *const event_names[EVENTS] = {
	"start", "stop", "ConnectRetryTimer", "HoldTimer", "KeepaliveTimer",
	"SendHoldTimer", "connection", "no connection", "OPEN", "bad message",
	"NOTIFICATION", "KEEPALIVE", "UPDATE", "ROUTE-REFRESH"
};

struct bgp_peer {
	struct bgp_peer_conf conf;
	enum state state;
	uint64_t since;			/* ms, of the state */
	uint32_t addr;			/* 0: not known yet */
	struct resolve *resolve;	/* under way, or NULL */
	struct loop_fd fd;		/* -1: not connected */
	struct timer idle_hold, connect_retry, hold_timer, keepalive_timer,
	    send_hold, sync;

	/* this connection */
	bool sent_open;
	uint32_t own;			/* our address */
	bool plain;			/* our OPEN is without capabilities */
	struct bgp_open told;		/* the peer's OPEN */
	uint16_t hold, keepalive;	/* s, as negotiated */
	struct rib_view view;
	uint8_t in[IN_ROOM];
	size_t in_len;
	uint8_t out[OUT_ROOM];
	size_t out_len;

	/* what has just come, for the action */
	const struct bgp_message *msg;
	struct bgp_error error;
	uint8_t cease;			/* subcode */

	uint32_t retries;		/* since it was Established last */
	uint32_t losses;		/* in a row, for the back-off */
	uint64_t received, sent, flaps;
	char last_error[200];
};

static uint32_t router_id;

static void step(struct bgp_peer *, enum event);
static void fd_readable(struct loop_fd *);
static void fd_writable(struct loop_fd *);

void
bgp_set_router_id(uint32_t id)
{
	router_id = id;
}

uint32_t
bgp_router_id(void)
{
	return router_id;
}

/* --- words -------------------------------------------------------------- */

static void __attribute__((format(printf, 3, 4)))
say(const struct bgp_peer *p, enum log_level level, const char *fmt, ...)
{
	char text[512], at[32] = "";
	uint32_t literal;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (p->addr != 0 && !config_ipv4(p->conf.name, &literal))
		snprintf(at, sizeof(at), " at %u.%u.%u.%u", p->addr >> 24,
		    p->addr >> 16 & 255, p->addr >> 8 & 255, p->addr & 255);
	log_line(level, 0, 0, "bgp %s%s: %s", p->conf.name, at, text);
}

static void __attribute__((format(printf, 2, 3)))
remember(struct bgp_peer *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->last_error, sizeof(p->last_error), fmt, ap);
	va_end(ap);
}

static bool
is_ibgp(const struct bgp_peer *p)
{
	return p->conf.as == p->conf.local_as;
}

/* 75 to 100 % of it (RFC 4271 10). */
static uint64_t
jitter(uint64_t ms)
{
	return ms - digest_random_u32() % (ms / 4 + 1);
}

/* --- farewells ---------------------------------------------------------- */

struct farewell {
	struct loop_fd fd;
	struct timer timer;
	struct farewell *next, **prev;
};

static struct farewell *farewells;

static void
farewell_free(struct farewell *f)
{
	timer_disarm(&f->timer);
	loop_del(&f->fd);
	close(f->fd.fd);
	*f->prev = f->next;
	if (f->next != NULL)
		f->next->prev = f->prev;
	free(f);
}

static void
farewell_late(struct timer *t)
{
	farewell_free(timer_owner(t, struct farewell, timer));
}

static void
farewell_readable(struct loop_fd *fd)
{
	struct farewell *f = (struct farewell *)(void *)((char *)fd -
	    offsetof(struct farewell, fd));
	uint8_t nothing[BGP_MAX];
	ssize_t n = recv(fd->fd, nothing, sizeof(nothing), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		farewell_free(f);
}

/* Takes the descriptor over. */
static void
farewell(int fd)
{
	struct farewell *f = calloc(1, sizeof(*f));

	(void)shutdown(fd, SHUT_WR);
	if (f == NULL) {
		close(fd);
		return;
	}
	f->fd = (struct loop_fd){ .fd = fd, .stage = LOOP_SERVICE,
	    .readable = farewell_readable };
	f->timer.fire = farewell_late;
	f->next = farewells;
	f->prev = &farewells;
	if (f->next != NULL)
		f->next->prev = &f->next;
	farewells = f;
	timer_arm(&f->timer, FAREWELL_MS);
	if (!loop_add(&f->fd))
		farewell_free(f);
}

void
bgp_farewell_end(void)
{
	while (farewells != NULL)
		farewell_free(farewells);
}

/* --- sending ------------------------------------------------------------ */

/* A connection that is broken tells so when it is read. */
static void
flush(struct bgp_peer *p)
{
	ssize_t n = 0;

	if (p->out_len > 0)
		n = send(p->fd.fd, p->out, p->out_len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		n = (ssize_t)p->out_len;
	if (n > 0) {
		p->out_len -= (size_t)n;
		memmove(p->out, p->out + n, p->out_len);
		timer_disarm(&p->send_hold);
	}
	p->fd.want_write = p->out_len > 0;
	if (p->out_len == 0)
		timer_disarm(&p->send_hold);
	else if (!timer_armed(&p->send_hold) && p->hold > 0)
		timer_arm(&p->send_hold, SEND_HOLD_MS > 2000u * p->hold ?
		    SEND_HOLD_MS : 2000u * p->hold);
}

/* The place behind what is still to be sent. */
static struct wr
out_begin(struct bgp_peer *p)
{
	return wr_init(p->out + p->out_len, sizeof(p->out) - p->out_len);
}

/* A message for which there is no room is not sent: it could only be late. */
static void
out_end(struct bgp_peer *p, const struct wr *w)
{
	size_t len = wr_done(w);

	if (len == 0)
		return;
	p->out_len += len;
	p->sent++;
	COUNT(bgp_tx_messages);
}

static void
send_keepalive(struct bgp_peer *p)
{
	struct wr w = out_begin(p);

	bgp_keepalive_write(&w);
	out_end(p, &w);
	flush(p);
	if (p->keepalive > 0)
		timer_arm(&p->keepalive_timer, jitter(1000u * p->keepalive));
}

static void
send_notification(struct bgp_peer *p, const struct bgp_error *e)
{
	struct wr w = out_begin(p);

	bgp_notification_write(&w, e);
	out_end(p, &w);
	flush(p);
}

/* --- the end of a connection -------------------------------------------- */

static void
close_connection(struct bgp_peer *p)
{
	struct timer *const timers[] = { &p->idle_hold, &p->connect_retry,
	    &p->hold_timer, &p->keepalive_timer, &p->send_hold, &p->sync };

	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		timer_disarm(timers[i]);
	if (p->resolve != NULL)
		resolve_cancel(p->resolve);
	p->resolve = NULL;
	rib_leave(&p->view);
	if (p->fd.fd >= 0) {
		loop_del(&p->fd);
		if (p->sent_open)
			farewell(p->fd.fd);
		else
			close(p->fd.fd);
	}
	p->sent_open = false;
	p->fd.fd = -1;
	p->fd.want_write = false;
	p->in_len = p->out_len = 0;
	p->hold = p->keepalive = 0;
	p->own = 0;
}

static uint64_t
backoff(const struct bgp_peer *p)
{
	uint64_t ms = (uint64_t)BACKOFF_MS <<
	    (p->losses < 7 ? p->losses : 7);

	return jitter(ms < BACKOFF_MAX ? ms : BACKOFF_MAX);
}

/*
 * In Idle, after this: the connection is closed, and tried again later.  A
 * peer that refused our OPEN for its capabilities gets one without next time,
 * and then one with them again.
 */
static void
lost(struct bgp_peer *p, enum state from, bool plain)
{
	uint64_t ms;

	if (from == ESTABLISHED) {
		p->flaps++;
		COUNT(bgp_lost);
		if (timer_now() - p->since >= STABLE_MS)
			p->losses = 0;
	}
	close_connection(p);
	p->plain = plain;
	p->since = timer_now();
	p->retries++;
	ms = backoff(p);
	if (plain)
		ms = BACKOFF_MS;
	else
		p->losses++;
	timer_arm(&p->idle_hold, ms);
	say(p, from == ESTABLISHED ? LOG_L_WARN : LOG_L_INFO, "%s: %s; again "
	    "in %" PRIu64 " s", from == ESTABLISHED ? "session lost" :
	    "no session", p->last_error, (ms + 500) / 1000);
}

/* --- actions ------------------------------------------------------------ */

static void
act_nothing(struct bgp_peer *p, enum state from)
{
	(void)p;
	(void)from;
}

static void
connect_now(struct bgp_peer *p)
{
	struct bgp_sock s = { .addr = p->addr, .source = p->conf.source,
	    .password = p->conf.password,
	    .ttl_security = p->conf.ttl_security };
	char err[128];

	p->fd = (struct loop_fd){ .stage = LOOP_SERVICE, .want_write = true,
	    .writable = fd_writable };
	p->fd.fd = bgp_sock_connect(&s, err, sizeof(err));
	if (p->fd.fd < 0) {
		remember(p, "%s", err);
		step(p, EV_CLOSED);
	} else if (!loop_add(&p->fd)) {
		close(p->fd.fd);
		p->fd.fd = -1;
		remember(p, "too many descriptors");
		step(p, EV_CLOSED);
	}
}

static void
resolved(void *arg, uint32_t addr, const char *why)
{
	struct bgp_peer *p = arg;

	p->resolve = NULL;
	if (addr == 0) {
		remember(p, "the name has no address: %s", why);
		step(p, EV_CLOSED);
		return;
	}
	p->addr = addr;
	connect_now(p);
}

/* A name is looked up each time: it may have moved. */
static void
act_connect(struct bgp_peer *p, enum state from)
{
	(void)from;
	close_connection(p);
	timer_arm(&p->connect_retry, jitter(CONNECT_MS));
	if (config_ipv4(p->conf.name, &p->addr)) {
		connect_now(p);
		return;
	}
	p->resolve = resolve_start(p->conf.name, resolved, p);
	if (p->resolve == NULL) {
		remember(p, "nobody to look the name up: %s", strerror(errno));
		step(p, EV_CLOSED);
	}
}

/* Nobody has answered so far. */
static void
act_connect_again(struct bgp_peer *p, enum state from)
{
	p->retries++;
	if (from == CONNECT) {
		remember(p, "%s", p->resolve != NULL ?
		    "no name server answers" : p->conf.password[0] != '\0' ?
		    "nobody answers (is it the password?)" :
		    "nobody answers");
		say(p, LOG_L_INFO, "no session: %s", p->last_error);
	}
	act_connect(p, from);
}

static void
act_open(struct bgp_peer *p, enum state from)
{
	struct wr w = out_begin(p);
	struct bgp_open o;

	(void)from;
	timer_disarm(&p->connect_retry);
	p->own = bgp_sock_own(p->fd.fd);
	if (router_id == 0)
		router_id = p->own;
	o = (struct bgp_open){ .as = p->conf.local_as, .hold = p->conf.hold,
	    .id = router_id };
	p->fd.readable = fd_readable;
	p->fd.want_write = false;
	p->sent_open = true;
	bgp_open_write(&w, &o, !p->plain);
	out_end(p, &w);
	flush(p);
	timer_arm(&p->hold_timer, OPEN_HOLD_MS);
}

/* Closed before an OPEN came: in Active until the ConnectRetryTimer. */
static void
act_wait(struct bgp_peer *p, enum state from)
{
	uint64_t ms = backoff(p);

	(void)from;
	close_connection(p);
	p->retries++;
	p->losses++;
	p->plain = false;
	timer_arm(&p->connect_retry, ms);
	say(p, LOG_L_INFO, "no session: %s; again in %" PRIu64 " s",
	    p->last_error, (ms + 500) / 1000);
}

static void
act_closed(struct bgp_peer *p, enum state from)
{
	lost(p, from, false);
}

/* The operator's: with a Cease where the peer may read it (8.2.2, event 2). */
static void
act_stop(struct bgp_peer *p, enum state from)
{
	struct bgp_error e = { .code = BGP_CEASE, .subcode = p->cease };

	if (from >= OPENSENT)
		send_notification(p, &e);
	if (from == ESTABLISHED) {
		p->flaps++;
		COUNT(bgp_lost);
		say(p, LOG_L_WARN, "session closed");
	}
	close_connection(p);
	p->since = timer_now();
}

/* Tells the peer what p->error says, and is done with it. */
static void
act_complain(struct bgp_peer *p, enum state from)
{
	char text[128];

	COUNT(bgp_errors);
	bgp_error_name(p->error.code, p->error.subcode, text, sizeof(text));
	send_notification(p, &p->error);
	remember(p, "sent NOTIFICATION: %s", text);
	lost(p, from, false);
}

static void
complain(struct bgp_peer *p, enum state from, uint8_t code, uint8_t subcode)
{
	p->error = (struct bgp_error){ .code = code, .subcode = subcode };
	act_complain(p, from);
}

static void
act_hold_expired(struct bgp_peer *p, enum state from)
{
	complain(p, from, BGP_ERR_HOLD, 0);
}

/* RFC 9687 4: it will not be read, but it does no harm either. */
static void
act_send_hold_expired(struct bgp_peer *p, enum state from)
{
	complain(p, from, BGP_ERR_SEND_HOLD, 0);
}

/* RFC 6608 */
static void
act_unexpected(struct bgp_peer *p, enum state from)
{
	static const uint8_t subcode[STATES] = {
		[OPENSENT] = FSM_IN_OPENSENT,
		[OPENCONFIRM] = FSM_IN_OPENCONFIRM,
		[ESTABLISHED] = FSM_IN_ESTABLISHED,
	};

	complain(p, from, BGP_ERR_FSM, subcode[from]);
}

static void
act_keepalive(struct bgp_peer *p, enum state from)
{
	(void)from;
	send_keepalive(p);
}

static void
restart_hold(struct bgp_peer *p)
{
	if (p->hold > 0)
		timer_arm(&p->hold_timer, 1000u * p->hold);
	else
		timer_disarm(&p->hold_timer);
}

static void
negotiate(struct bgp_peer *p)
{
	uint16_t third;

	p->hold = p->told.hold < p->conf.hold ? p->told.hold : p->conf.hold;
	third = p->hold / 3;
	p->keepalive = p->conf.keepalive < third ? p->conf.keepalive : third;
	if (p->hold > 0 && p->keepalive == 0)
		p->keepalive = third;
}

/* What our configuration has to say of an OPEN (6.2). */
static bool
open_fits(const struct bgp_peer *p, struct bgp_error *e)
{
	static const uint8_t ipv4_unicast[] = { 1, 4, 0, 1, 0, 1 };

	*e = (struct bgp_error){ .code = BGP_ERR_OPEN };
	if (p->told.as != p->conf.as)
		e->subcode = OPEN_BAD_PEER_AS;
	else if (p->told.id == router_id && is_ibgp(p))
		e->subcode = OPEN_BAD_ID;	/* RFC 6286 2.1 */
	else if (!p->told.ipv4) {
		e->subcode = OPEN_BAD_CAPABILITY;	/* RFC 5492 5 */
		e->data = ipv4_unicast;
		e->len = sizeof(ipv4_unicast);
	} else
		return true;
	return false;
}

static void
act_recv_open(struct bgp_peer *p, enum state from)
{
	(void)from;
	if (!bgp_open_read(p->msg->body, &p->told, &p->error) ||
	    !open_fits(p, &p->error)) {
		if (p->error.subcode == OPEN_BAD_PEER_AS)
			say(p, LOG_L_WARN, "the peer says that it is AS %u, "
			    "not %u", p->told.as, p->conf.as);
		step(p, EV_MSG_BAD);
		return;
	}
	/* A peer that was not told of ours does not use them either. */
	if (p->plain)
		p->told.as4 = p->told.refresh = false;
	negotiate(p);
	send_keepalive(p);
	restart_hold(p);
}

static void
act_established(struct bgp_peer *p, enum state from)
{
	(void)from;
	COUNT(bgp_established);
	p->retries = 0;
	restart_hold(p);
	say(p, LOG_L_WARN, "session established, AS %u, hold time %u s",
	    p->conf.as, p->hold);
	p->view.again = false;
	if (!rib_join(&p->view))
		say(p, LOG_L_ERROR, "more than %u sessions: this peer is told "
		    "nothing", RIB_VIEWS);
	bgp_peer_wake(p);
}

static void
act_alive(struct bgp_peer *p, enum state from)
{
	(void)from;
	restart_hold(p);
}

static void
act_recv_update(struct bgp_peer *p, enum state from)
{
	static struct log_limit limit;
	struct bgp_update u;

	(void)from;
	if (!bgp_update_read(p->msg->body, p->told.as4, is_ibgp(p), &u,
	    &p->error)) {
		step(p, EV_MSG_BAD);
		return;
	}
	restart_hold(p);
	COUNT_ADD(bgp_rx_prefixes, u.announced + u.withdrawn);
	if (u.fault != NULL) {
		COUNT(bgp_rx_faulty);
		log_limited(&limit, LOG_L_INFO, 0, 0, "bgp %s: UPDATE with "
		    "attribute %u: %s; ignored as all routes are",
		    p->conf.name, u.attr, u.fault);
	}
}

/* RFC 2918 4; of another family there is nothing to say. */
static void
act_recv_refresh(struct bgp_peer *p, enum state from)
{
	(void)from;
	if (!bgp_refresh_read(p->msg->body))
		return;
	say(p, LOG_L_INFO, "asks for all routes again");
	if (p->view.bit != 0)
		rib_repeat(&p->view);
	bgp_peer_wake(p);
}

/* RFC 5492 3: who knows no capabilities says so, and may be asked without. */
static void
act_recv_notification(struct bgp_peer *p, enum state from)
{
	struct bgp_notification n;
	char name[128], text[4 * 255 + 1] = "";
	bool plain;

	bgp_notification_read(p->msg->body, &n);
	bgp_error_name(n.code, n.subcode, name, sizeof(name));
	remember(p, "received NOTIFICATION: %s", name);
	if (n.text_len > 0) {
		log_escape(text, sizeof(text), n.text, n.text_len);
		log_line(LOG_L_WARN, 0, 0, "bgp %s: the peer's operator says: "
		    "%s", p->conf.name, text);
	}
	plain = n.code == BGP_ERR_OPEN && n.subcode == OPEN_BAD_PARAMETER &&
	    from != ESTABLISHED && !p->plain;
	lost(p, from, plain);
}

/* --- the table ---------------------------------------------------------- */

#define NO	{ act_nothing, STATES }		/* nothing changes */
#define FSM_ERR	{ act_unexpected, IDLE }

/* RFC 4271 8.2.2, of which the columns are the states. */
static const struct cell {
	void (*act)(struct bgp_peer *, enum state from);
	enum state to;
} fsm[EVENTS][STATES] = {
[EV_START] = { { act_connect, CONNECT }, NO, NO, NO, NO, NO },
[EV_STOP] = { { act_stop, IDLE }, { act_stop, IDLE }, { act_stop, IDLE },
    { act_stop, IDLE }, { act_stop, IDLE }, { act_stop, IDLE } },
[EV_CONNECT_RETRY] = { NO, { act_connect_again, CONNECT },
    { act_connect, CONNECT }, FSM_ERR, FSM_ERR, FSM_ERR },
[EV_HOLD] = { NO, NO, NO, { act_hold_expired, IDLE },
    { act_hold_expired, IDLE }, { act_hold_expired, IDLE } },
[EV_KEEPALIVE] = { NO, NO, NO, FSM_ERR, { act_keepalive, OPENCONFIRM },
    { act_keepalive, ESTABLISHED } },
[EV_SEND_HOLD] = { NO, NO, NO, NO, { act_send_hold_expired, IDLE },
    { act_send_hold_expired, IDLE } },
[EV_CONNECTED] = { NO, { act_open, OPENSENT }, NO, NO, NO, NO },
[EV_CLOSED] = { NO, { act_closed, IDLE }, NO, { act_wait, ACTIVE },
    { act_closed, IDLE }, { act_closed, IDLE } },
[EV_MSG_OPEN] = { NO, NO, NO, { act_recv_open, OPENCONFIRM }, FSM_ERR,
    FSM_ERR },
[EV_MSG_BAD] = { NO, NO, NO, { act_complain, IDLE }, { act_complain, IDLE },
    { act_complain, IDLE } },
[EV_MSG_NOTIFICATION] = { NO, NO, NO, { act_recv_notification, IDLE },
    { act_recv_notification, IDLE }, { act_recv_notification, IDLE } },
[EV_MSG_KEEPALIVE] = { NO, NO, NO, FSM_ERR, { act_established, ESTABLISHED },
    { act_alive, ESTABLISHED } },
[EV_MSG_UPDATE] = { NO, NO, NO, FSM_ERR, FSM_ERR,
    { act_recv_update, ESTABLISHED } },
[EV_MSG_REFRESH] = { NO, NO, NO, FSM_ERR, FSM_ERR,
    { act_recv_refresh, ESTABLISHED } },
};

/*
 * The one place where a state changes.  `since` is that of the old state as
 * long as the action may want to know.
 */
static void
step(struct bgp_peer *p, enum event ev)
{
	enum state from = p->state;
	const struct cell *c = &fsm[ev][from];

	if (c->to != STATES && c->to != from) {
		p->state = c->to;
		if (c->to != IDLE)
			p->since = timer_now();
		say(p, LOG_L_CALL, "%s -> %s on %s", state_names[from],
		    state_names[c->to], event_names[ev]);
	}
	c->act(p, from);
}

/* --- receiving ---------------------------------------------------------- */

static void
receive(struct bgp_peer *p, const struct bgp_message *m)
{
	static const enum event events[] = {
		[BGP_OPEN] = EV_MSG_OPEN,
		[BGP_UPDATE] = EV_MSG_UPDATE,
		[BGP_NOTIFICATION] = EV_MSG_NOTIFICATION,
		[BGP_KEEPALIVE] = EV_MSG_KEEPALIVE,
		[BGP_ROUTE_REFRESH] = EV_MSG_REFRESH,
	};

	p->received++;
	COUNT(bgp_rx_messages);
	p->msg = m;
	step(p, events[m->type]);
	p->msg = NULL;
}

/* All messages that are whole.  An action may close the connection. */
static void
take_messages(struct bgp_peer *p)
{
	struct bgp_message m;
	size_t at = 0;

	while (p->fd.fd >= 0)
		switch (bgp_message_read(p->in + at, p->in_len - at, &m,
		    &p->error)) {
		case BGP_WRONG:
			step(p, EV_MSG_BAD);
			return;
		case BGP_INCOMPLETE:
			p->in_len -= at;
			memmove(p->in, p->in + at, p->in_len);
			return;
		case BGP_COMPLETE:
			receive(p, &m);
			at += m.size;
		}
}

static struct bgp_peer *
peer_of(struct loop_fd *fd)
{
	return (struct bgp_peer *)(void *)((char *)fd -
	    offsetof(struct bgp_peer, fd));
}

static void
fd_readable(struct loop_fd *fd)
{
	struct bgp_peer *p = peer_of(fd);
	ssize_t n = recv(fd->fd, p->in + p->in_len, sizeof(p->in) - p->in_len,
	    MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		remember(p, "%s", n == 0 ? "the peer closed the connection" :
		    strerror(errno));
		step(p, EV_CLOSED);
		return;
	}
	p->in_len += (size_t)n;
	take_messages(p);
}

/* In Connect it is decided; later there is room for more. */
static void
fd_writable(struct loop_fd *fd)
{
	struct bgp_peer *p = peer_of(fd);
	int error;

	if (p->state != CONNECT) {
		flush(p);
		bgp_peer_wake(p);
		return;
	}
	error = bgp_sock_error(fd->fd);
	if (error != 0)
		remember(p, "%s", strerror(error));
	step(p, error == 0 ? EV_CONNECTED : EV_CLOSED);
}

/* --- announcing --------------------------------------------------------- */

static void
put_pack(struct bgp_peer *p, struct bgp_pack *k)
{
	struct wr w = out_begin(p);
	size_t len = bgp_pack_end(k);

	if (len == 0)
		return;
	wr_bytes(&w, k->room, len);
	out_end(p, &w);
	if (k->withdraw)
		COUNT_ADD(bgp_withdrawn, k->prefixes);
	else
		COUNT_ADD(bgp_announced, k->prefixes);
}

/* What the peer does not know yet, as far as there is time and room. */
static void
sync_peer(struct bgp_peer *p)
{
	static struct bgp_pack pack[2];		/* announced, withdrawn */
	struct bgp_path path = { .ibgp = is_ibgp(p), .as4 = p->told.as4,
	    .local_as = p->conf.local_as, .next_hop = p->own };
	unsigned int looks = SYNC_LOOKS;
	struct rib_change c;

	bgp_pack_begin(&pack[0], &path);
	bgp_pack_begin(&pack[1], NULL);
	while (sizeof(p->out) - p->out_len >= SYNC_ROOM &&
	    rib_next(&p->view, &looks, &c)) {
		struct bgp_pack *k = &pack[c.withdraw];

		if (bgp_pack_add(k, c.addr, c.len))
			continue;
		put_pack(p, k);
		bgp_pack_begin(k, c.withdraw ? NULL : &path);
		(void)bgp_pack_add(k, c.addr, c.len);
	}
	put_pack(p, &pack[0]);
	put_pack(p, &pack[1]);
	flush(p);
	if (sizeof(p->out) - p->out_len >= SYNC_ROOM)
		bgp_peer_wake(p);
}

void
bgp_peer_wake(struct bgp_peer *p)
{
	if (p->state == ESTABLISHED && rib_pending(&p->view) &&
	    !timer_armed(&p->sync))
		timer_arm(&p->sync, 0);
}

void
bgp_peer_review(struct bgp_peer *p, bool muted)
{
	p->view.muted = muted;
	if (p->view.bit != 0)
		rib_review(&p->view);
	bgp_peer_wake(p);
}

uint32_t
bgp_peer_prefixes(const struct bgp_peer *p)
{
	return p->view.bit != 0 ? p->view.prefixes : 0;
}

/* --- timers ------------------------------------------------------------- */

static void
idle_hold_fired(struct timer *t)
{
	step(timer_owner(t, struct bgp_peer, idle_hold), EV_START);
}

static void
connect_retry_fired(struct timer *t)
{
	step(timer_owner(t, struct bgp_peer, connect_retry), EV_CONNECT_RETRY);
}

static void
hold_fired(struct timer *t)
{
	step(timer_owner(t, struct bgp_peer, hold_timer), EV_HOLD);
}

static void
keepalive_fired(struct timer *t)
{
	step(timer_owner(t, struct bgp_peer, keepalive_timer), EV_KEEPALIVE);
}

static void
send_hold_fired(struct timer *t)
{
	step(timer_owner(t, struct bgp_peer, send_hold), EV_SEND_HOLD);
}

static void
sync_fired(struct timer *t)
{
	sync_peer(timer_owner(t, struct bgp_peer, sync));
}

/* --- for bgp.c ---------------------------------------------------------- */

struct bgp_peer *
bgp_peer_new(const struct bgp_peer_conf *conf)
{
	struct bgp_peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->conf = *conf;
	p->since = timer_now();
	p->fd.fd = -1;
	p->idle_hold.fire = idle_hold_fired;
	p->connect_retry.fire = connect_retry_fired;
	p->hold_timer.fire = hold_fired;
	p->keepalive_timer.fire = keepalive_fired;
	p->send_hold.fire = send_hold_fired;
	p->sync.fire = sync_fired;
	(void)config_ipv4(conf->name, &p->addr);
	return p;
}

void
bgp_peer_start(struct bgp_peer *p, uint64_t ms)
{
	if (p->state == IDLE)
		timer_arm(&p->idle_hold, ms);
}

void
bgp_peer_stop(struct bgp_peer *p, uint8_t subcode)
{
	p->cease = subcode;
	p->losses = 0;
	step(p, EV_STOP);
}

void
bgp_peer_free(struct bgp_peer *p, uint8_t subcode)
{
	bgp_peer_stop(p, subcode);
	free(p);
}

const struct bgp_peer_conf *
bgp_peer_conf(const struct bgp_peer *p)
{
	return &p->conf;
}

bool
bgp_peer_is(const struct bgp_peer *p, const char *name)
{
	uint32_t addr;

	return strcmp(p->conf.name, name) == 0 ||
	    (config_ipv4(name, &addr) && addr == p->addr);
}

void
bgp_peer_row(const struct bgp_peer *p, struct bgp_row *r)
{
	*r = (struct bgp_row){
		.name = p->conf.name, .addr = p->addr,
		.as = p->conf.as, .local_as = p->conf.local_as,
		.state = state_names[p->state],
		.since = timer_now() - p->since,
		.hold = p->hold, .keepalive = p->keepalive,
		.announced = bgp_peer_prefixes(p),
		.in = p->received, .out = p->sent,
		.flaps = p->flaps, .last_error = p->last_error,
		.pending = rib_pending(&p->view),
		.suspended = p->view.muted,
		.retries = p->retries,
		.retry_in = timer_armed(&p->idle_hold) ?
		    timer_left(&p->idle_hold) :
		    timer_left(&p->connect_retry),
	};
}
