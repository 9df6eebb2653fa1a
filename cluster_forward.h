/*
 * cluster_forward.h - packets that a slave hands to the master, and counters
 *
 * A slave carries IP of open sessions that are neither throttled nor gardened
 * itself.  Everything else goes to the master as it came, who treats it as if
 * it had come to him, and answers the LAC himself.
 */
#ifndef CLUSTER_FORWARD_H
#define CLUSTER_FORWARD_H

#include "cluster.h"
#include "l2tpns.h"

void cluster_forward_init(void);
void cluster_forward_exit(void);

/*
 * On a slave: a datagram from a LAC, a packet from the TUN device, for this
 * session or (NULL) for none that is known.  Dropped and counted when there is
 * no master; false: it is for nobody, as the slave knows without him.
 * forward.c, on a lower floor, comes here by forward_lac_away and
 * forward_tun_away; which packets are the master's is its decision.
 */
void cluster_forward_lac(const struct peer *, const uint8_t *buf, size_t len);
bool cluster_forward_tun(const struct session *, const uint8_t *ip,
    size_t len);

/* From cluster.c: a CLUSTER_BYTES, _FROM_LAC or _FROM_TUN record has come. */
void cluster_forward_record(uint32_t from, enum cluster_record, struct rd *);

/*
 * On a slave, from replica.c: what the master's stream says of a session's
 * octets and packets, instead of writing them into the session itself.  The
 * session then has that and what this slave has carried and not reported yet.
 */
void cluster_forward_counted(struct session *, const struct carried *);

/*
 * The slave becomes master: what it carried and has not reported is the
 * session's from now on.
 */
void cluster_forward_settle(void);

/*
 * On a slave: true, and what to say to who wants to change tunnels or sessions
 * here.
 */
#define CLUSTER_ELSEWHERE	48
bool cluster_elsewhere(char *text, size_t size);

#endif
