/*
 * notify.c - what the service manager is told (sd_notify(3))
 *
 * The protocol is one datagram of VARIABLE=value lines to the Unix socket that
 * NOTIFY_SOCKET names; a name that begins with @ is abstract.  That is all
 * that is needed of libsystemd, and it needs no systemd to build or to run.
 *
 * WATCHDOG_USEC says how long we may be silent.  A timer of the loop speaks
 * twice in that time: a loop that hangs is silent, and the server is started
 * again.
 *
 * Owns:     the socket.
 * Calls:    timer; never logs, never waits.
 * Lifetime: notify_init() to the end of the process.
 */
#include "notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "timer.h"

static int sock = -1;
static struct sockaddr_un to;
static socklen_t to_len;
static uint64_t watchdog_ms;		/* between two signs of life; 0: none */
static struct timer watchdog;

static void
tell(const char *text)
{
	if (sock >= 0)
		(void)sendto(sock, text, strlen(text), MSG_NOSIGNAL |
		    MSG_DONTWAIT, (struct sockaddr *)&to, to_len);
}

static void
feed(struct timer *t)
{
	tell("WATCHDOG=1");
	timer_arm(t, watchdog_ms);
}

/* WATCHDOG_PID is another's when the variables were handed down by it. */
static uint64_t
watchdog_from_environment(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	char *end;
	unsigned long long n;

	if (usec == NULL || (pid != NULL && atol(pid) != (long)getpid()))
		return 0;
	errno = 0;
	n = strtoull(usec, &end, 10);
	if (errno != 0 || *end != '\0' || end == usec)
		return 0;
	return n / 2000 > 0 ? n / 2000 : 1;
}

void
notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path != NULL ? strlen(path) : 0;

	if (len > 1 && len < sizeof(to.sun_path) &&
	    (path[0] == '/' || path[0] == '@')) {
		to = (struct sockaddr_un){ .sun_family = AF_UNIX };
		memcpy(to.sun_path, path, len);
		if (path[0] == '@')
			to.sun_path[0] = '\0';
		to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
		    len);
		sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		watchdog_ms = watchdog_from_environment();
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

/* MAINPID, as we may have gone to the background since. */
void
notify_ready(void)
{
	char text[64];

	snprintf(text, sizeof(text), "READY=1\nMAINPID=%d", (int)getpid());
	tell(text);
	watchdog.fire = feed;
	if (sock >= 0 && watchdog_ms > 0)
		timer_arm(&watchdog, 0);
}

void
notify_status(const char *text)
{
	char line[256];

	snprintf(line, sizeof(line), "STATUS=%s", text);
	tell(line);
}

void
notify_reloading(void)
{
	char text[64];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    timer_usec());
	tell(text);
}

void
notify_stopping(void)
{
	tell("STOPPING=1");
}
