/*
 * tunnel_ctl.h - reliable delivery of control messages (RFC 2661 5.8, App. A)
 *
 * Between the socket and the tunnel's state machine: numbers, acknowledges,
 * holds what came early, drops duplicates (but acknowledges them again),
 * sends again with back-off or as soon as the peer shows a gap, and keeps to
 * its window with slow start.
 * Knows nothing of AVPs beyond the header, and neither tables nor sockets:
 * the owner gives it two functions, so the whole machine runs in tests.
 */
#ifndef TUNNEL_CTL_H
#define TUNNEL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timer.h"

#define CTL_RETRIES	5	/* sent again at most so often (5.8) */

struct ctl_msg;			/* one queued or held message */

struct ctl_ops {
	/* Puts one datagram on the wire. */
	void (*send)(void *owner, const void *buf, size_t len);
	/*
	 * The next message in order: the whole datagram, and its session id
	 * header field.  May call any ctl function but ctl_free().
	 */
	void (*deliver)(void *owner, const uint8_t *buf, size_t len);
	/* Retries are used up (ctl is quiet from now on). */
	void (*dead)(void *owner);
};

struct ctl {
	const struct ctl_ops *ops;
	void *owner;
	uint16_t peer_id;		/* tunnel id for ZLBs; 0 until known */
	uint16_t Ns;			/* of the next new message */
	uint16_t Nr;			/* next expected from the peer */
	uint16_t una;			/* oldest not acknowledged */
	uint16_t high;			/* next that was never on the wire */
	uint16_t window;		/* ours: how far ahead we hold */
	uint16_t peer_window;		/* its Receive Window Size, >= 1 */
	uint16_t cwnd, ssthresh, cwnd_part;	/* appendix A; ssthresh 0:
					 * nothing lost yet, peer_window */
	bool recovering;		/* something below `recover` is lost */
	uint16_t recover;
	uint16_t again;			/* those below it went again since */
	uint16_t repeats;		/* ZLBs that told us `una` again */
	uint16_t resend_at;		/* at so many the oldest goes again */
	uint8_t resent;			/* so often because of them */
	uint8_t tries;			/* of the oldest message */
	uint8_t max_retries;		/* CTL_RETRIES as a rule */
	bool ack_owed, dead;
	uint8_t unacked;		/* delivered since we last sent Nr */
	uint32_t queued;		/* messages waiting or in flight */
	struct ctl_msg *head, *tail, *unsent;	/* send queue, by Ns */
	struct ctl_msg **held;		/* ring of `window`, early messages */
	struct timer retry, ack;	/* retransmission; delayed ZLB */
	uint64_t last_recv;		/* ms, anything valid from the peer */
	uint64_t lenient;		/* ms: until then, after ctl_wake(), */
	uint16_t woke;			/* what was Ns then, */
	uint16_t gap;			/* Nr where messages are missing, */
	uint64_t gap_since;		/* and since when (ms) */
};

/*
 * False when out of memory.  Ns and Nr start at 0; peer_window is 4 until the
 * owner knows better (RFC 2661 4.4.3), who also sets peer_id.
 */
bool ctl_init(struct ctl *, const struct ctl_ops *, void *owner,
    uint16_t window);
void ctl_free(struct ctl *);

/*
 * Queues a finished message (its Ns, Nr are stamped here) and sends it as
 * soon as windows allow.  Copies.  False when out of memory or dead, or when
 * so many are waiting that sequence numbers would become ambiguous.
 */
bool ctl_send(struct ctl *, const void *msg, size_t len);

/*
 * A control datagram from the right peer.  Ns, Nr are its header's; zlb when
 * it has no AVPs.  Delivers zero or more messages.  Never answers a ZLB.
 * buf is read during the call only.
 */
void ctl_receive(struct ctl *, uint16_t Ns, uint16_t Nr, bool zlb,
    const uint8_t *buf, size_t len);

/*
 * Drops what has not been acknowledged, as after a StopCCN from the peer, who
 * would no longer care.  Receiving and acknowledging go on.
 */
void ctl_forget(struct ctl *);

/* Everything we sent has been acknowledged. */
bool ctl_idle(const struct ctl *);

/*
 * What another process needs to carry on.  Messages that came early are not
 * in it: they were not acknowledged, and come again.
 */
struct ctl_carry {
	uint16_t una, high, Nr;		/* as in struct ctl */
	uint16_t window;		/* what we told the peer */
	uint32_t queued;		/* messages that go with it */
	uint64_t silent;		/* ms since anything came */
};
void ctl_export(const struct ctl *, struct ctl_carry *);

/*
 * Walks the queued messages, the oldest first: after NULL, then after what it
 * returned last; NULL at the end.  buf is good until the next ctl call.
 */
const struct ctl_msg *ctl_queued(const struct ctl *, const struct ctl_msg *after,
    const uint8_t **buf, size_t *len);

/*
 * After ctl_init() with carry->window: takes over the numbers.  Then the
 * messages go in by ctl_send(), in order, and those that had been on the wire
 * leave again as the window allows.
 */
void ctl_resume(struct ctl *, const struct ctl_carry *);

/*
 * A copy of what another server has, in a ctl that sleeps: nothing is sent, no
 * timer runs.  ctl_follow() takes over una, high and Nr, and drops what has
 * been acknowledged by then; ctl_follow_message() adds the message numbered
 * Ns.  False if that is not the next one, or memory is short.
 */
void ctl_follow(struct ctl *, const struct ctl_carry *);
bool ctl_follow_message(struct ctl *, uint16_t Ns, const void *msg,
    size_t len);

/*
 * The copy is in charge now, and sends again from the head of the queue.  The
 * one before may have said and heard more than the copy knows.  So for so
 * many ms the peer is believed in what is ahead of our numbers: an Nr that
 * acknowledges more than was sent, and a message that it repeats while those
 * before it do not come any more.
 */
void ctl_wake(struct ctl *, uint64_t lenient);

/* The other way: back to sleep, with numbers and queue as they are. */
void ctl_rest(struct ctl *);

/* Sends the acknowledgement that is owed now instead of a little later. */
void ctl_ack_now(struct ctl *);

#endif
