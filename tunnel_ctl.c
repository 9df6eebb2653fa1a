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
 * the slow start and congestion avoidance of appendix A.  One timer runs, for
 * the oldest message.  When it fires, the window falls back to one and so
 * does `unsent`: what followed the lost message is sent again only as
 * acknowledgements open the window, and not at all if the peer has held it.
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
#define HALF		32768	/* of the sequence space: older or newer */

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

/* Sends what the windows allow, and has the timer run while it is due. */
static void
push(struct ctl *c)
{
	struct ctl_msg *m;

	while ((m = c->unsent) != NULL && in_flight(c) < c->cwnd &&
	    in_flight(c) < c->peer_window) {
		c->unsent = m->next;
		if (m->Ns == c->high)
			c->high++;
		else
			COUNT(tunnel_retries);
		if (!timer_armed(&c->retry))
			timer_arm(&c->retry, retry_wait(c));
		put_on_wire(c, m);
	}
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
	c->Ns++;
	if (c->tail != NULL)
		c->tail->next = m;
	else
		c->head = m;
	c->tail = m;
	if (c->unsent == NULL)
		c->unsent = m;
	c->queued++;
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

/* Takes the peer's Nr, if it is about something that was sent. */
static void
take_Nr(struct ctl *c, uint16_t Nr)
{
	uint16_t n = (uint16_t)(Nr - c->una);
	struct ctl_msg *m;

	if (n == 0 || n > (uint16_t)(c->high - c->una))
		return;
	for (; n > 0; n--) {
		m = c->head;
		c->head = m->next;
		if (c->unsent == m)
			c->unsent = m->next;
		free(m);
		c->queued--;
		c->una++;
		grow_cwnd(c);
	}
	if (c->head == NULL)
		c->tail = NULL;
	c->tries = 0;
	timer_disarm(&c->retry);
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

/* Messages that had come early and are now in order. */
static void
deliver_held(struct ctl *c)
{
	struct ctl_msg **place, *m;

	while (!c->dead && (m = *(place = ring_place(c, c->Nr))) != NULL) {
		*place = NULL;
		deliver(c, m->buf, m->len);
		free(m);
	}
}

/* Out of memory is the same as lost on the way: the peer sends it again. */
static void
hold(struct ctl *c, uint16_t Ns, const uint8_t *buf, size_t len)
{
	struct ctl_msg **place = ring_place(c, Ns);

	if (*place == NULL) {
		*place = msg_new(buf, len, Ns);
		COUNT(tunnel_held);
	} else {
		COUNT(tunnel_duplicates);
	}
	owe_ack(c);
}

void
ctl_receive(struct ctl *c, uint16_t Ns, uint16_t Nr, bool zlb,
    const uint8_t *buf, size_t len)
{
	uint16_t ahead;

	if (c->dead)
		return;
	c->last_recv = timer_now();
	take_Nr(c, Nr);
	ahead = (uint16_t)(Ns - c->Nr);
	if (zlb) {
		push(c);
		return;
	}
	if (ahead == 0) {
		deliver(c, buf, len);
		deliver_held(c);
	} else if (ahead >= HALF) {
		COUNT(tunnel_duplicates);
		c->ack_owed = true;
		c->unacked = ACK_EVERY;
	} else if (ahead < c->window) {
		hold(c, Ns, buf, len);
	} else {
		COUNT(tunnel_out_of_window);
	}
	push(c);
	if (c->unacked >= ACK_EVERY)
		ctl_ack_now(c);
}

/*
 * The oldest message was not acknowledged in time.  Half the window is
 * remembered and one message is on the wire again (appendix A).
 */
static void
retry_fire(struct timer *t)
{
	struct ctl *c = timer_owner(t, struct ctl, retry);

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
	c->ssthresh = c->cwnd > 1 ? c->cwnd / 2 : 1;
	c->cwnd = 1;
	c->cwnd_part = 0;
	c->unsent = c->head;
	push(c);
}

bool
ctl_idle(const struct ctl *c)
{
	return c->queued == 0;
}
