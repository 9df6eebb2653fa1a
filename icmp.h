/*
 * icmp.h - ICMP host unreachable, path MTU, and gratuitous ARP
 */
#ifndef ICMP_H
#define ICMP_H

#include "l2tpns.h"

/* Opens the raw socket.  False with a reason in err. */
bool icmp_init(char *err, size_t errlen);
void icmp_exit(void);

/*
 * Answers an IP packet that has no session: type 3 code 1 quoting the header
 * and 64 octets, at most icmp_rate a second, never for multicast, broadcast,
 * ICMP errors, fragments but the first, or a source that is no host.
 */
void icmp_unreachable(const uint8_t *ip, size_t len);

/* Builds it without sending: the length, or 0 if none may be sent.  from is
 * the source address. */
size_t icmp_build_unreachable(const uint8_t *ip, size_t len, uint32_t from,
    uint8_t *out, size_t size);

/*
 * Answers a packet that is larger than mtu and must not be fragmented: type 3
 * code 4 with the mtu (RFC 1191 4), for the same packets, at a fixed rate:
 * path MTU discovery has to work whatever icmp_rate is.
 */
void icmp_too_big(const uint8_t *ip, size_t len, uint16_t mtu);
size_t icmp_build_too_big(const uint8_t *ip, size_t len, uint32_t from,
    uint16_t mtu, uint8_t *out, size_t size);

/*
 * Broadcasts a gratuitous ARP for addr on the interface whose subnet holds
 * it, else on the one whose subnet holds `near` (0: none is asked for), else on
 * that of the default route.  False with a reason in err.
 */
bool garp_send(uint32_t addr, uint32_t near, char *err, size_t errlen);

#endif
