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
 * On a slave: a datagram from a LAC, a packet from the TUN device.  Dropped
 * and counted when there is no master.
 */
void cluster_forward_lac(const struct peer *, const uint8_t *buf, size_t len);
void cluster_forward_tun(const uint8_t *ip, size_t len);

/*
 * On a slave: is this session's traffic the master's?  Throttled, gardened,
 * with data sequence numbers, or not open.
 */
bool cluster_forward_wanted(const struct session *);

/* From cluster.c: a CLUSTER_BYTES, _FROM_LAC or _FROM_TUN record has come. */
void cluster_forward_record(uint32_t from, enum cluster_record, struct rd *);

/*
 * Octets and packets that this slave has carried and not reported yet; added
 * to the session when the slave becomes master.
 */
void cluster_forward_settle(void);

#endif
