/*
 * bgp_sock.c - the TCP connection to a BGP peer
 *
 * Packets leave with TTL 255: a peer that checks it (GTSM, RFC 5082) wants
 * nothing else, and no other peer minds.  Whether we check it too is for the
 * operator to say, since a peer that does not know GTSM sends to its
 * neighbours with TTL 1.
 *
 * Owns:     nothing; the descriptor is the caller's.
 * Calls:    the kernel; never logs, never waits.
 * Lifetime: one call.
 */
#define _GNU_SOURCE 1
#include "bgp_sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bgp_wire.h"
#include "err.h"

#define TTL	255

static struct sockaddr_in
inet_address(uint32_t addr, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
	    .sin_port = htons(port), .sin_addr.s_addr = htonl(addr) };
}

static bool
set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static bool
set_password(int fd, const struct bgp_sock *s)
{
	struct sockaddr_in peer = inet_address(s->addr, BGP_PORT);
	struct tcp_md5sig md5 = { .tcpm_keylen = 0 };
	size_t len = strlen(s->password);
	bool ok;

	if (len == 0)
		return true;
	if (len > TCP_MD5SIG_MAXKEYLEN) {
		errno = EINVAL;
		return false;
	}
	memcpy(&md5.tcpm_addr, &peer, sizeof(peer));
	md5.tcpm_keylen = (uint16_t)len;
	memcpy(md5.tcpm_key, s->password, len);
	ok = setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &md5, sizeof(md5)) == 0;
	explicit_bzero(&md5, sizeof(md5));
	return ok;
}

/* Routing goes before other traffic (RFC 4594: CS6), and is small. */
static bool
set_options(int fd, const struct bgp_sock *s, const char **what)
{
	(void)set_int(fd, IPPROTO_IP, IP_TOS, IPTOS_CLASS_CS6);
	(void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	*what = "TTL";
	if (!set_int(fd, IPPROTO_IP, IP_TTL, TTL) || (s->ttl_security &&
	    !set_int(fd, IPPROTO_IP, IP_MINTTL, TTL)))
		return false;
	*what = "TCP-MD5 password";
	return set_password(fd, s);
}

static bool
connect_from(int fd, const struct bgp_sock *s, const char **what)
{
	struct sockaddr_in own = inet_address(s->source, 0);
	struct sockaddr_in peer = inet_address(s->addr, BGP_PORT);

	*what = "update-source";
	if (s->source != 0 &&
	    bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0)
		return false;
	*what = "connect";
	return connect(fd, (struct sockaddr *)&peer, sizeof(peer)) == 0 ||
	    errno == EINPROGRESS;
}

int
bgp_sock_connect(const struct bgp_sock *s, char *err, size_t errlen)
{
	const char *what = "socket";
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && set_options(fd, s, &what) && connect_from(fd, s, &what))
		return fd;
	err_set(err, errlen, "%s: %s", what, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

int
bgp_sock_error(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return errno;
	return error;
}

uint32_t
bgp_sock_own(int fd)
{
	struct sockaddr_in own = { .sin_family = AF_UNSPEC };
	socklen_t len = sizeof(own);

	if (getsockname(fd, (struct sockaddr *)&own, &len) != 0 ||
	    own.sin_family != AF_INET)
		return 0;
	return ntohl(own.sin_addr.s_addr);
}
