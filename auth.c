/*
 * auth.c - credentials in, verdict out: RADIUS or the embedded ppp-secrets
 *
 * A daemon with a RADIUS server configured asks it and nobody else: when no
 * server answers, a file on this machine must not let people in.  The secrets
 * file serves when there is none; its verdict comes before auth_start()
 * returns.
 *
 * Owns:     nothing.
 * Calls:    radius, secrets; session_auth_done() above.
 * Lifetime: a request is radius.c's until its verdict or auth_cancel().
 */
#include "auth.h"
#include "radius.h"
#include "secrets.h"
#include "session.h"

void
auth_start(struct session *s, const struct auth_request *ask)
{
	struct auth_result res;

	if (radius_configured()) {
		radius_auth(s, ask);
		return;
	}
	secrets_check(ask, lns.hostname, &res);
	session_auth_done(s, &res);
}

void
auth_cancel(struct session *s)
{
	radius_auth_cancel(s);
}
