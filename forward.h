/*
 * forward.h - the data path: UDP <-> TUN, in batches
 *
 * Owns the L2TP socket and the TUN device's descriptor.  Upstream: a batch of
 * datagrams is read; control goes to tunnel_input(), PPP that is not IPv4 to
 * ppp_input(), IPv4 is checked and written to the TUN.  Downstream: a batch
 * of IP packets is read, each looked up once, wrapped and sent.  What
 * forward_send() queues leaves at the latest at the end of the turn.
 */
#ifndef FORWARD_H
#define FORWARD_H

#include "l2tpns.h"

/* Octets in front of an IP packet that the headers of L2TP and PPP may use. */
#define FORWARD_HEADROOM	32

/*
 * Opens the L2TP socket (bind_address, port 1701) and takes over the TUN
 * descriptor tun_fd (-1: none, for tests).  False with a reason in err.
 */
bool forward_init(int tun_fd, char *err, size_t errlen);
void forward_exit(void);

/* Queues one whole L2TP datagram for a LAC; copies it.  False when full. */
bool forward_send(const struct peer *, const void *buf, size_t len);

/*
 * Sends what is queued, to the TUN and to LACs.  It is a hook at the end of
 * the turn: whoever sends from a hook of his own adds it before forward_init()
 * or calls this himself.
 */
void forward_flush(void);

/*
 * From throttle.c: a packet that was held goes on where it was taken out.  In
 * front of ip are FORWARD_HEADROOM octets; all must stay until
 * throttle_flushed() is called.
 */
void forward_release(struct session *, bool out, uint8_t *ip, size_t len);

/*
 * The packet handlers, apart from sockets, for tests and fuzzing.  buf is
 * written to, and must last until forward_flush().  In front of ip there are
 * FORWARD_HEADROOM octets that are written to as well.
 */
void forward_from_lac(const struct peer *, uint8_t *buf, size_t len);
void forward_from_tun(uint8_t *ip, size_t len);

/*
 * On a slave of a cluster: what the master has to do goes to him, as it came;
 * NULL without a cluster.  A packet from the TUN is of this session (NULL: of
 * none that is known here); false: to be dealt with here after all.
 */
extern void (*forward_lac_away)(const struct peer *, const uint8_t *buf,
    size_t len);
extern bool (*forward_tun_away)(const struct session *, const uint8_t *ip,
    size_t len);

/*
 * On the master: a slave has sent this, and it is dealt with as if it had come
 * to our own socket and device.  False if it is too long.
 */
bool forward_handed_lac(const struct peer *, const uint8_t *buf, size_t len);
bool forward_handed_tun(const uint8_t *ip, size_t len);

/*
 * Forgets what is queued for LACs: whoever queued it had been master for the
 * last time, and did not know.
 */
void forward_discard(void);

/*
 * Runs before control messages leave that were queued since the last time, and
 * never while one is being worked on: others are told first what they say.
 */
extern void (*forward_before_control)(void);

/*
 * Where forward_from_lac() puts IP packets, and where wrapped packets go:
 * normally the TUN and the socket; tests put their own.
 */
extern void (*forward_tun_write)(const uint8_t *ip, size_t len);
extern bool (*forward_lac_write)(const struct peer *, const void *buf,
    size_t len);

#endif
