/*
 * fuzz_state.c - a saved state of any content, into the real tables
 *
 * What is past the checksum: records as a writer with a fault, or a newer one,
 * might have made them.  Either all of it is taken over, and the books balance,
 * time passes and everything can be let go again; or it is refused, and not a
 * trace of it is left.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_tables.h"
#include "state.h"

static bool
to_lac(const struct peer *p, const void *buf, size_t len)
{
	(void)p;
	(void)buf;
	return len >= 8;
}

static void
check_books(void)
{
	uint32_t of_tunnels = 0, prefixes = 0, pooled = 0;
	struct session *s;
	struct tunnel *t;

	for (s = session_next(0); s != NULL; s = session_next(s->sid)) {
		if (s->dying)
			continue;
		t = tunnel_by_tid(s->tid);
		check(t != NULL && tunnel_session(t, s->local_id) == s);
		check(tunnel_peer_session(t, s->peer_id) == s);
		check(session_by_ip(s->ip) == s);
		check(session_by_user(s->user) != NULL);
		prefixes += 1u + s->nroutes;
		pooled += ippool_contains(s->ip);
		for (uint8_t i = 0; i < s->nroutes; i++)
			pooled += s->routes[i].len == 32 &&
			    ippool_contains(s->routes[i].addr);
		of_tunnels++;
	}
	for (t = tunnel_next(0); t != NULL; t = tunnel_next(t->tid)) {
		check(tunnel_by_local_id(t->local_id) == t);
		check(of_tunnels >= t->sessions);
		of_tunnels -= t->sessions;
	}
	check(of_tunnels == 0 && lpm_count(lns.lpm) == prefixes);
	check(ippool_used() == pooled);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char msg[256];

	tables_once(to_lac);
	tables_begin();
	/* The hour of the seeds; it may be any. */
	if (state_load(data, len, 1800000000, 60, msg, sizeof(msg))) {
		check_books();
		timer_fake(30000);
		tables_reap();
		check_books();
	} else {
		check(table_sessions() == 0 && table_tunnels() == 0);
		/* Records of a file that is true, but too old or so, stay. */
		acct_forget();
	}
	tables_end();
	return 0;
}
