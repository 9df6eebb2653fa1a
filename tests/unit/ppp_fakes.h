/*
 * ppp_fakes.h - one session without a tunnel, for the tests of PPP
 *
 * Stands in for session.c, table.c, auth.c, tun.c, log.c and digest.c.  What
 * PPP sends is kept in a queue and checked for shape on the way; what it
 * tells the session is counted.  Random numbers are the same in every run.
 */
#ifndef PPP_FAKES_H
#define PPP_FAKES_H

#include "auth.h"
#include "l2tpns.h"
#include "session.h"

struct fake_frame {
	uint16_t protocol;
	size_t len;
	uint8_t data[PACKET_MAX];
};

struct fake {
	struct session session;
	struct session_local local;
	/* Frames sent and not yet looked at, oldest first. */
	struct fake_frame queue[64];
	unsigned int queued, lost;	/* lost: the queue was full */
	unsigned int sent;		/* all frames ever */
	void (*on_send)(uint16_t protocol, const uint8_t *data, size_t len);
	/* What the session was told. */
	unsigned int ups, downs, finishes;
	enum terminate_cause cause;
	const char *reason;
	/* What auth.c was told. */
	unsigned int asked, cancelled;
	struct auth_request request;
	void (*on_auth)(struct session *);	/* NULL: the verdict is later */
};
extern struct fake fake;

/* A fresh session, configuration and clock; nothing sent, nothing started. */
void fake_reset(void);

/* Takes the oldest frame of the queue; NULL when there is none. */
const struct fake_frame *fake_take(void);

#endif
