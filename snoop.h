/*
 * snoop.h - interception: copies of a session's packets to a host and port
 *
 * A copy is the raw IP packet in a UDP datagram, nothing in front of it.  It
 * is made of what the subscriber sent and is sent, whole, after super-packets
 * are cut.  Copies themselves are never copied.
 */
#ifndef SNOOP_H
#define SNOOP_H

#include "l2tpns.h"

/*
 * Starts, or moves to another target; host order.  `who` is for the audit
 * line in the log ("alice from 192.0.2.7", "RADIUS").  False when there is no
 * socket to send from, address or port is 0, or the session is dying.
 */
bool snoop_start(struct session *, uint32_t ip, uint16_t port,
    const char *who);
void snoop_stop(struct session *, const char *who);

/*
 * One IP packet of a session with SF_SNOOP, either way, its header already
 * checked; copies it.
 */
void snoop_packet(const struct session *, const uint8_t *ip, size_t len);

/* Sends the copies that wait: at the latest at the end of the turn. */
void snoop_flush(void);

/* Opens the socket.  False with a reason in err; then nothing is copied. */
bool snoop_init(char *err, size_t errlen);
void snoop_exit(void);

#endif
