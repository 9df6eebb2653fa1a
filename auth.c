/*
 * auth.c - credentials in, verdict out: RADIUS or the embedded ppp-secrets
 *
 * Plugins see both: what is asked before it is asked, and the answer before
 * anything is made of it.  They may change it, and end the session.
 *
 * A daemon with a RADIUS server configured asks it and nobody else: when no
 * server answers, a file on this machine must not let people in.  The secrets
 * file serves when there is none; its verdict comes before auth_start()
 * returns.
 *
 * Owns:     nothing.
 * Calls:    radius, secrets, plugins; session_auth_done() above.
 * Lifetime: a request is radius.c's until its verdict or auth_cancel().
 */
#include "auth.h"

#include <string.h>

#include "plugins.h"
#include "radius.h"
#include "secrets.h"
#include "session.h"

/* A Reject carries a message and nothing else, RFC 2865 5.44. */
static void
strip_reject(struct auth_result *res)
{
	struct auth_result bare = { .verdict = AUTH_REJECT,
	    .interim = res->interim };

	memcpy(bare.message, res->message, sizeof(bare.message));
	*res = bare;
}

void
auth_answered(struct session *s, const struct auth_request *ask,
    struct auth_result *res)
{
	if (res->verdict == AUTH_REJECT)
		strip_reject(res);
	if (plugins_pre_auth(s, ask, res))
		session_auth_done(s, res);
	else
		session_auth_refuse(s, "a plugin failed");
}

static void
ask(struct session *s, const struct auth_request *what)
{
	struct auth_result res;

	if (radius_configured()) {
		radius_auth(s, what);
		return;
	}
	secrets_check(what, lns.hostname, &res);
	auth_answered(s, what, &res);
}

void
auth_start(struct session *s, const struct auth_request *what)
{
	struct auth_request changed = *what;

	if (!plugins_auth_request(s, &changed))
		session_auth_refuse(s, "a plugin failed");
	else if (!s->dying)
		ask(s, &changed);
	explicit_bzero(&changed, sizeof(changed));
}

void
auth_cancel(struct session *s)
{
	radius_auth_cancel(s);
}
