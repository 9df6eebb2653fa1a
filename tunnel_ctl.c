/*
 * tunnel_ctl.c - reliable delivery of control messages, RFC 2661 5.8
 *
 * Two halves that share only the header.  Receiving: Ns says whether a message
 * is the next one, an early one (held in a ring until the gap is filled), a
 * duplicate (acknowledged again, as our acknowledgement may have been lost)
 * or nonsense.  Sending: a queue by Ns,
 *
 *	head (una) ......... unsent ......... tail
 *	 on the wire, may	 waits for
 *	 be needed again	 the windows
 *
 * of which at most min(cwnd, peer_window) messages are on the wire; cwnd is
 * the slow start and congestion avoidance of appendix A.
 *
 * A lost message holds up all that follow it, so it is made good in two ways.
 * One timer runs, for the oldest message.  When it fires, `unsent` falls back
 * to the head: what followed is sent again as acknowledgements open the
 * window, and not at all if the peer has held it.  But a second for each loss
 * is a minute for two hundred calls at 10 %, so ZLBs that repeat the same Nr,
 * which a peer sends when something came early, are believed before that: the
 * oldest goes again at once, and after it each further one that an Nr which
 * has moved, but not past all that was out, shows to be lost as well (fast
 * retransmit and recovery, RFC 5681 3.2 and RFC 6582).  Both are bounded: a
 * resend needs several ZLBs, there are RESENDS of a message at most, and the
 * timer does not wait for them.
 *
 * After a loss the window is LOSS_WINDOW, where appendix A has one.  5.8 wants
 * every sender to be able to have four messages out, so no peer is hurt by
 * four; and with fewer, the peer has nothing to show the next gap by.
 *
 * Every message that leaves carries the newest Nr, stamped at that moment, so
 * an acknowledgement usually rides on something.  If nothing comes along in
 * ACK_DELAY a ZLB goes, well inside the quarter of a second of 5.8.  A ZLB is
 * never answered, whatever its numbers: two peers that do so never stop.
 *
 * Owns:     struct ctl and the copies of queued and held messages.
 * Calls:    l2tp_avp.h to stamp headers, timer.h; ops->send, deliver, dead.
 * Lifetime: inside struct tunnel_local; ctl_free() before the slot goes, and
 *           never from inside deliver().
 */
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "l2tp_avp.h"
#include "tunnel_ctl.h"

#define ACK_DELAY	50	/* ms; 5.8 allows a quarter of a second */
#define ACK_EVERY	4	/* messages: RFC 2661's smallest usual window */
#define RETRY_FIRST	1000	/* ms, doubling (5.8) ... */
#define RETRY_DOUBLINGS	3	/* ... up to 8 s */
#define DEFAULT_WINDOW	4	/* without a Receive Window Size (4.4.3) */
#define LOSS_WINDOW	4	/* after a loss */
#define REPEATS		3	/* ZLBs with the same Nr: not just reordered */
#define REPEATS_FEW	2	/* when there can not be many */
#define RESENDS		3	/* of a message because of them */
#define HALF		32768	/* of the sequence space: older or newer */
#define AHEAD		256	/* messages that another server may have sent */
#define GAP_MS		500	/* what comes by then was only late */

struct ctl_msg {
	struct ctl_msg *next;
	uint16_t Ns;
	size_t len;
	uint8_t buf[];
};

static void retry_fire(struct timer *);
static void ack_fire(struct timer *);

/* A power of two, so that the ring does not shift where Ns wraps. */
static size_t
ring_size(const struct ctl *c)
{
	size_t n = 1;

	while (n < c->window)
		n <<= 1;
	return n;
}

static struct ctl_msg **
ring_place(struct ctl *c, uint16_t Ns)
{
	return &c->held[Ns & (ring_size(c) - 1)];
}

static struct ctl_msg *
msg_new(const void *buf, size_t len, uint16_t Ns)
{
	struct ctl_msg *m = malloc(sizeof(*m) + len);

	if (m == NULL)
		return NULL;
	m->next = NULL;
	m->Ns = Ns;
	m->len = len;
	memcpy(m->buf, buf, len);
	return m;
}

bool
ctl_init(struct ctl *c, const struct ctl_ops *ops, void *owner,
    uint16_t window)
{
	memset(c, 0, sizeof(*c));
	c->ops = ops;
	c->owner = owner;
	c->window = window == 0 ? 1 : window < HALF ? window : HALF;
	c->peer_window = DEFAULT_WINDOW;
	c->cwnd = 1;
	c->max_retries = CTL_RETRIES;
	c->retry.fire = retry_fire;
	c->ack.fire = ack_fire;
	c->last_recv = timer_now();
	c->held = calloc(ring_size(c), sizeof(*c->held));
	return c->held != NULL;
}

static void
drop_queue(struct ctl *c)
{
	struct ctl_msg *m;

	while ((m = c->head) != NULL) {
		c->head = m->next;
		free(m);
	}
	c->tail = c->unsent = NULL;
	c->queued = 0;
}

void
ctl_free(struct ctl *c)
{
	size_t i;

	timer_disarm(&c->retry);
	timer_disarm(&c->ack);
	drop_queue(c);
	if (c->held != NULL)
		for (i = 0; i < ring_size(c); i++)
			free(c->held[i]);
	free(c->held);
	c->held = NULL;
	c->dead = true;
}

/* Whatever has just left has carried our Nr. */
static void
ack_done(struct ctl *c)
{
	c->ack_owed = false;
	c->unacked = 0;
	timer_disarm(&c->ack);
}

/* Nr is always fresh, also when the message is old (5.8). */
static void
put_on_wire(struct ctl *c, struct ctl_msg *m)
{
	l2tp_msg_stamp(m->buf, m->Ns, c->Nr);
	ack_done(c);
	c->ops->send(c->owner, m->buf, m->len);
}

static uint64_t
retry_wait(const struct ctl *c)
{
	uint8_t n = c->tries < RETRY_DOUBLINGS ? c->tries : RETRY_DOUBLINGS;

	return (uint64_t)RETRY_FIRST << n;
}

static uint16_t
in_flight(const struct ctl *c)
{
	uint16_t end = c->unsent != NULL ? c->unsent->Ns : c->Ns;

	return (uint16_t)(end - c->una);
}

/*
 * May this one leave?  Each repeated ZLB tells of a message that has arrived,
 * early, and so makes room for another new one (RFC 3042, RFC 5681 3.2).
 */
static bool
has_room(const struct ctl *c, const struct ctl_msg *m)
{
	uint32_t window = c->cwnd;

	if (m->Ns == c->high)
		window += c->repeats;
	return in_flight(c) < window && in_flight(c) < c->peer_window;
}

/* Sends what the windows allow, and has the timer run while it is due. */
static void
push(struct ctl *c)
{
	struct ctl_msg *m;

	while ((m = c->unsent) != NULL && has_room(c, m)) {
		c->unsent = m->next;
		if (m->Ns == c->high) {
			c->high++;
		} else {
			COUNT(tunnel_retries);
			c->again = (uint16_t)(m->Ns + 1);
		}
		if (!timer_armed(&c->retry))
			timer_arm(&c->retry, retry_wait(c));
		put_on_wire(c, m);
	}
}

static void
enqueue(struct ctl *c, struct ctl_msg *m)
{
	c->Ns++;
	if (c->tail != NULL)
		c->tail->next = m;
	else
		c->head = m;
	c->tail = m;
	if (c->unsent == NULL)
		c->unsent = m;
	c->queued++;
}

bool
ctl_send(struct ctl *c, const void *buf, size_t len)
{
	struct ctl_msg *m;

	if (c->dead || len < L2TP_CTL_HEADER || c->queued >= HALF - 1)
		return false;
	m = msg_new(buf, len, c->Ns);
	if (m == NULL)
		return false;
	enqueue(c, m);
	push(c);
	return true;
}

/*
 * Appendix A, for one message newly acknowledged: one more up to ssthresh,
 * then one more for each full window.  Beyond the peer's window it is of no
 * use.
 */
static void
grow_cwnd(struct ctl *c)
{
	uint16_t limit = c->ssthresh != 0 ? c->ssthresh : c->peer_window;

	if (c->cwnd >= c->peer_window)
		return;
	if (c->cwnd < limit) {
		c->cwnd++;
	} else if (++c->cwnd_part >= c->cwnd) {
		c->cwnd_part = 0;
		c->cwnd++;
	}
}

static uint16_t
loss_window(const struct ctl *c)
{
	return c->peer_window < LOSS_WINDOW ? c->peer_window : LOSS_WINDOW;
}

/* Something was lost; until all that is out now is acknowledged: recovery. */
static void
recover(struct ctl *c)
{
	c->ssthresh = c->cwnd / 2;
	if (c->ssthresh < loss_window(c))
		c->ssthresh = loss_window(c);
	c->cwnd = c->ssthresh;
	c->cwnd_part = 0;
	c->recovering = true;
	c->recover = c->high;
	c->again = c->una;
}

/*
 * The oldest once more, not because of the timer.  If it is lost again, each
 * of those out now can still be answered by a ZLB with the same Nr; more than
 * so many show it.
 */
static void
resend(struct ctl *c)
{
	uint32_t at = (uint32_t)c->repeats + in_flight(c) + REPEATS - 1;

	c->resend_at = at < UINT16_MAX ? (uint16_t)at : UINT16_MAX;
	if ((uint16_t)(c->una - c->again) < HALF)
		c->again = (uint16_t)(c->una + 1);
	COUNT(tunnel_retries);
	put_on_wire(c, c->head);
}

/*
 * A ZLB with the Nr that we know: the peer lacks the oldest and has got
 * another.  With few others out there are few such ZLBs, and less is enough
 * (RFC 5827); but never one, for there are peers that send a ZLB although
 * their reply has just said the same.
 */
static void
take_repeat(struct ctl *c)
{
	uint16_t others, enough = REPEATS;

	if (c->head == NULL || c->head == c->unsent)
		return;
	if (c->repeats < UINT16_MAX)
		c->repeats++;
	push(c);
	others = (uint16_t)(in_flight(c) - 1);
	if (c->recovering)
		enough = c->resend_at;
	else if (others <= REPEATS)
		enough = REPEATS_FEW;
	if (others == 0 || c->repeats < enough || c->resent >= RESENDS)
		return;
	c->resent++;
	if (!c->recovering)
		recover(c);
	resend(c);
}

/*
 * Nr has moved by n.  While going back: if it is past what has been sent again
 * the peer holds what comes early, and only gaps have to be filled.  If it is
 * not past `recover` yet, the oldest is such a gap, unless it has just gone.
 */
static void
move_recovery(struct ctl *c, uint16_t n, bool holds)
{
	if (holds)
		while (c->unsent != NULL && c->unsent->Ns != c->high)
			c->unsent = c->unsent->next;
	c->resent = 0;
	c->repeats = c->repeats > n ? (uint16_t)(c->repeats - n) : 0;
	if ((uint16_t)(c->una - c->recover) < HALF)
		c->recovering = false;
	if (!c->recovering)
		c->repeats = 0;
	else if (c->head != c->unsent &&
	    (uint16_t)(c->una - c->again) < HALF)
		resend(c);
	else
		c->resend_at = REPEATS;
}

/* Just taken over: the peer may know more than we do. */
static bool
is_lenient(const struct ctl *c)
{
	return c->lenient > timer_now();
}

static struct ctl_msg *
pop(struct ctl *c)
{
	struct ctl_msg *m = c->head;

	c->head = m->next;
	if (c->head == NULL)
		c->tail = NULL;
	if (c->unsent == m)
		c->unsent = m->next;
	c->queued--;
	return m;
}

/*
 * The peer has acknowledged messages of the server before us that we never
 * saw.  Ours that have got the same numbers since were taken for repeats of
 * those: they get new numbers, and go again.
 */
static void
renumber(struct ctl *c, uint16_t Nr)
{
	struct ctl_msg *m;

	while (c->head != NULL && (uint16_t)(c->head->Ns - c->woke) >= HALF)
		free(pop(c));
	c->una = c->high = c->Ns = c->woke = c->again = Nr;
	for (m = c->head; m != NULL; m = m->next)
		m->Ns = c->Ns++;
	c->unsent = c->head;
	c->tries = 0;
	c->recovering = false;
	c->repeats = 0;
	timer_disarm(&c->retry);
}

/*
 * Nr is past what we sent.  Up to c->woke the queue is the same as it was
 * with the server before us, who had only sent more of it.
 */
static void
believe_Nr(struct ctl *c, uint16_t Nr)
{
	if (!is_lenient(c) || (uint16_t)(Nr - c->high) > AHEAD)
		return;
	COUNT(tunnel_resynced);
	if ((uint16_t)(c->woke - Nr) < HALF)
		c->high = Nr;
	else
		renumber(c, Nr);
}

/* Takes the peer's Nr, if it is about something that was sent. */
static void
take_Nr(struct ctl *c, uint16_t Nr)
{
	uint16_t moved, n;
	bool holds;

	if ((uint16_t)(Nr - c->una) > (uint16_t)(c->high - c->una))
		believe_Nr(c, Nr);
	n = moved = (uint16_t)(Nr - c->una);
	holds = c->unsent != NULL && moved > in_flight(c);
	if (n == 0 || n > (uint16_t)(c->high - c->una))
		return;
	for (; n > 0; n--) {
		free(pop(c));
		c->una++;
		grow_cwnd(c);
	}
	c->tries = 0;
	timer_disarm(&c->retry);
	move_recovery(c, moved, holds);
	if (c->head != NULL && c->head != c->unsent)
		timer_arm(&c->retry, retry_wait(c));
}

/*
 * Ns of a ZLB is that of the next message to be sent for the first time, and
 * is not used up (5.8).  Without the peer's id there is nowhere to send it.
 */
static void
send_zlb(struct ctl *c)
{
	uint8_t buf[L2TP_CTL_HEADER];
	size_t len;

	ack_done(c);
	if (c->dead || c->peer_id == 0)
		return;
	len = l2tp_zlb(buf, sizeof(buf), c->peer_id, c->high, c->Nr);
	c->ops->send(c->owner, buf, len);
}

void
ctl_ack_now(struct ctl *c)
{
	if (c->ack_owed)
		send_zlb(c);
}

static void
ack_fire(struct timer *t)
{
	ctl_ack_now(timer_owner(t, struct ctl, ack));
}

static void
owe_ack(struct ctl *c)
{
	c->ack_owed = true;
	if (!timer_armed(&c->ack))
		timer_arm(&c->ack, ACK_DELAY);
}

/* Nr moves first: what deliver() sends acknowledges what it was given. */
static void
deliver(struct ctl *c, const uint8_t *buf, size_t len)
{
	c->Nr++;
	if (c->unacked < UINT8_MAX)
		c->unacked++;
	owe_ack(c);
	c->ops->deliver(c->owner, buf, len);
}

/* Messages that had come early and are now in order; false if there is none. */
static bool
deliver_held(struct ctl *c)
{
	struct ctl_msg **place, *m;
	bool any = false;

	while (!c->dead && (m = *(place = ring_place(c, c->Nr))) != NULL) {
		*place = NULL;
		deliver(c, m->buf, m->len);
		free(m);
		any = true;
	}
	return any;
}

/*
 * Will those before it still come?  A peer sends the oldest again first.  When
 * it repeats a later one they are acknowledged for it, by the server before
 * us, who took them along.
 */
static bool
gap_stays(struct ctl *c, bool repeated)
{
	if (c->gap != c->Nr || c->gap_since == 0) {
		c->gap = c->Nr;
		c->gap_since = timer_now();
	}
	return repeated && is_lenient(c) &&
	    timer_now() - c->gap_since >= GAP_MS;
}

/*
 * Out of memory is the same as lost on the way: the peer sends it again.  The
 * ZLB goes now, and by itself, so that the peer sees the gap (RFC 5681 4.2).
 */
static void
hold(struct ctl *c, uint16_t Ns, const uint8_t *buf, size_t len)
{
	struct ctl_msg **place = ring_place(c, Ns);
	bool repeated = *place != NULL;

	if (!repeated) {
		*place = msg_new(buf, len, Ns);
		COUNT(tunnel_held);
	} else {
		COUNT(tunnel_duplicates);
	}
	if (gap_stays(c, repeated)) {
		COUNT(tunnel_resynced);
		while (*ring_place(c, c->Nr) == NULL)
			c->Nr++;
		(void)deliver_held(c);
	}
	send_zlb(c);
}

/* Takes the message; true when it has to be acknowledged without delay. */
static bool
take_Ns(struct ctl *c, uint16_t Ns, const uint8_t *buf, size_t len)
{
	uint16_t ahead = (uint16_t)(Ns - c->Nr);

	if (ahead == 0) {
		deliver(c, buf, len);
		return deliver_held(c) || c->unacked >= ACK_EVERY;
	}
	if (ahead >= HALF) {
		COUNT(tunnel_duplicates);
		c->ack_owed = true;
		return true;
	}
	if (ahead < c->window)
		hold(c, Ns, buf, len);
	else
		COUNT(tunnel_out_of_window);
	return false;
}

void
ctl_receive(struct ctl *c, uint16_t Ns, uint16_t Nr, bool zlb,
    const uint8_t *buf, size_t len)
{
	bool hurry = false;

	if (c->dead)
		return;
	c->last_recv = timer_now();
	if (zlb && Nr == c->una)
		take_repeat(c);
	else
		take_Nr(c, Nr);
	if (!zlb)
		hurry = take_Ns(c, Ns, buf, len);
	push(c);
	if (hurry)
		ctl_ack_now(c);
}

/*
 * The oldest message was not acknowledged in time.  Half the window is
 * remembered (appendix A), and the sending begins at the head again.
 */
static void
retry_fire(struct timer *t)
{
	struct ctl *c = timer_owner(t, struct ctl, retry);
	uint16_t start;

	if (c->head == NULL)
		return;
	if (c->tries >= c->max_retries) {
		c->dead = true;
		timer_disarm(&c->ack);
		drop_queue(c);
		c->ops->dead(c->owner);
		return;
	}
	c->tries++;
	start = c->cwnd < loss_window(c) ? c->cwnd : loss_window(c);
	recover(c);
	c->cwnd = start;
	c->repeats = 0;
	c->resend_at = REPEATS;
	c->unsent = c->head;
	push(c);
}

void
ctl_forget(struct ctl *c)
{
	timer_disarm(&c->retry);
	drop_queue(c);
	c->Ns = c->una = c->high;
	c->tries = 0;
	c->recovering = false;
	c->repeats = 0;
}

bool
ctl_idle(const struct ctl *c)
{
	return c->queued == 0;
}

/* --- to another process ------------------------------------------------- */

void
ctl_export(const struct ctl *c, struct ctl_carry *carry)
{
	*carry = (struct ctl_carry){
		.una = c->una, .high = c->high, .Nr = c->Nr,
		.window = c->window, .queued = c->queued,
		.silent = timer_now() - c->last_recv
	};
}

const struct ctl_msg *
ctl_queued(const struct ctl *c, const struct ctl_msg *after,
    const uint8_t **buf, size_t *len)
{
	const struct ctl_msg *m = after != NULL ? after->next : c->head;

	if (m != NULL) {
		*buf = m->buf;
		*len = m->len;
	}
	return m;
}

/*
 * As after a time-out: the sending begins at the head again, with one message.
 * But the peer may acknowledge all that it was sent before.
 */
void
ctl_resume(struct ctl *c, const struct ctl_carry *carry)
{
	c->Ns = c->una = carry->una;
	c->high = carry->high;
	c->Nr = carry->Nr;
	c->last_recv = carry->silent < timer_now() ?
	    timer_now() - carry->silent : 0;
}

/* --- a copy of another server's ------------------------------------------ */

void
ctl_follow(struct ctl *c, const struct ctl_carry *carry)
{
	uint16_t n = (uint16_t)(carry->una - c->una);

	if (n > c->queued) {
		drop_queue(c);
		c->Ns = carry->una;
	} else {
		for (; n > 0; n--)
			free(pop(c));
	}
	c->una = carry->una;
	c->high = carry->high;
	c->Nr = carry->Nr;
	c->last_recv = timer_now();
	c->dead = false;		/* to whom it is a copy of, it is not */
}

bool
ctl_follow_message(struct ctl *c, uint16_t Ns, const void *buf, size_t len)
{
	struct ctl_msg *m;

	if (Ns != c->Ns || len < L2TP_CTL_HEADER || c->queued >= HALF - 1)
		return false;
	m = msg_new(buf, len, Ns);
	if (m == NULL)
		return false;
	enqueue(c, m);
	return true;
}

void
ctl_wake(struct ctl *c, uint64_t lenient)
{
	/* Of a message that we have not got, the peer may tell us. */
	if ((uint16_t)(c->high - c->una) > c->queued)
		c->high = c->Ns;
	c->unsent = c->head;
	c->woke = c->Ns;
	c->lenient = timer_now() + lenient;
	c->last_recv = timer_now();
	push(c);
}

static void
drop_held(struct ctl *c)
{
	for (size_t i = 0; i < ring_size(c); i++) {
		free(c->held[i]);
		c->held[i] = NULL;
	}
}

/* What came early was not acknowledged: it comes again, to whoever it may. */
void
ctl_rest(struct ctl *c)
{
	timer_disarm(&c->retry);
	ack_done(c);
	drop_held(c);
	c->unsent = c->head;
	c->cwnd = 1;
	c->cwnd_part = 0;
	c->tries = 0;
	c->recovering = false;
	c->repeats = 0;
	c->lenient = c->gap_since = 0;
}
