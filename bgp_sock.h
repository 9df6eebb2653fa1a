/*
 * bgp_sock.h - the TCP connection to a BGP peer
 */
#ifndef BGP_SOCK_H
#define BGP_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Addresses in host byte order. */
struct bgp_sock {
	uint32_t addr;
	uint32_t source;		/* 0: the kernel chooses */
	const char *password;		/* TCP-MD5 (RFC 2385); "": none */
	bool ttl_security;		/* RFC 5082 */
};

/*
 * Begins to connect: a non-blocking socket that becomes writable when it is
 * decided, or -1 with a reason.
 */
int bgp_sock_connect(const struct bgp_sock *, char *err, size_t errlen);

/* How that ended: an errno, 0 when it is connected. */
int bgp_sock_error(int fd);

/* Our own address on this connection, or 0. */
uint32_t bgp_sock_own(int fd);

#endif
