/*
 * cluster_link.h - the socket on cluster_interface
 */
#ifndef CLUSTER_LINK_H
#define CLUSTER_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Opens it: group, interface, port and TTL as configured.  False with a reason
 * in err when there is no such interface, it has no address, or the port is
 * taken; may be tried again.
 */
bool link_open(char *err, size_t errlen);
void link_close(void);

/* Of ours on the interface, host byte order; 0: not open. */
uint32_t link_address(void);

/*
 * True if the interface is no longer the one that was opened, or has another
 * address: nothing would be heard on it any more.
 */
bool link_changed(void);

/* To one member, or to the group (0).  False if it could not be sent. */
bool link_send(uint32_t to, const void *buf, size_t len);

/*
 * Called for each datagram that came in by the interface; group: it was sent
 * to all.  Then, after the last one of a turn, link_idle().
 */
extern void (*link_input)(uint32_t from, bool group, const uint8_t *buf,
    size_t len);
extern void (*link_idle)(void);

#endif
