/*
 * tun.h - the TUN device, its addresses and the kernel's routes (libmnl)
 */
#ifndef TUN_H
#define TUN_H

#include "l2tpns.h"

/*
 * Creates the device (name from tundevicename; "" lets the kernel choose),
 * sets MTU, txqueuelen 4000 and link up, adds the addresses (iftun_address
 * or bind_address or 1.1.1.1, and the peer_address if it is another).
 * Returns the descriptor, non-blocking, or -1 with a reason in err.
 */
int tun_open(char *err, size_t errlen);
void tun_close(void);
const char *tun_name(void);

/* Does each packet carry a virtio_net_hdr; may it be a joined UDP packet? */
bool tun_has_vnet(void);
bool tun_has_uso(void);

/* The device's own address; the source of our ICMP. */
uint32_t tun_address(void);

/* The address that IPCP tells peers: see peer_address in the manual. */
uint32_t tun_peer_address(void);

/*
 * Adds or removes a kernel route to the prefix over the device.  Adding one
 * that is there, removing one that is not: no error.  Requests are queued to
 * netlink without waiting; failures are logged when the kernel answers.
 * Routes are counted: two adds need two removes.
 */
void tun_route_add(uint32_t addr, uint8_t len);
void tun_route_del(uint32_t addr, uint8_t len);

/*
 * From now on whoever asks hears of each prefix that gets its first route and
 * loses its last; NULL, NULL ends it.
 */
void tun_watch_routes(void (*added)(uint32_t addr, uint8_t len),
    void (*removed)(uint32_t addr, uint8_t len));

/*
 * True for an address that must never belong to a subscriber or lie inside a
 * Framed-Route: our own addresses, RADIUS servers, 0/8, 127/8, 224/3.
 */
bool tun_address_forbidden(uint32_t addr);
bool tun_prefix_forbidden(uint32_t addr, uint8_t len);

/* True for an address of this machine, on the device or another interface. */
bool tun_address_own(uint32_t addr);

/* The address of the interface that has the default route, or 0. */
uint32_t tun_default_address(void);

/* The index of that interface, or 0. */
unsigned int tun_default_index(void);

#endif
