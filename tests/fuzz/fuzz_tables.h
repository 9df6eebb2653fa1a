/*
 * fuzz_tables.h - real tables, pool and machines, small, for targets that fill
 * them with records from elsewhere
 */
#ifndef FUZZ_TABLES_H
#define FUZZ_TABLES_H

#include <string.h>

#include "accounting.h"
#include "forward.h"
#include "fuzz.h"
#include "ippool.h"
#include "session.h"
#include "table.h"
#include "throttle.h"
#include "tunnel.h"

#define SESSIONS	16
#define TUNNELS		4

struct l2tpns lns;

static const char pool[] = "10.1.0.0/28\n10.0.0.1\n10.0.0.2\n10.0.0.3\n";

/* Once; to_lac gets what the machines send. */
static inline void
tables_once(bool (*to_lac)(const struct peer *, const void *, size_t))
{
	if (!fuzz_first())
		return;
	config_defaults(&lns.config);
	lns.config.max_sessions = SESSIONS;
	lns.config.max_tunnels = TUNNELS;
	strcpy(lns.hostname, "lns");
	forward_lac_write = to_lac;
}

static inline void
tables_begin(void)
{
	char text[sizeof(pool)];	/* it is cut in place */

	memcpy(text, pool, sizeof(text));
	timers_init();
	timer_fake(1000);
	lns.lpm = lpm_new();
	check(lns.lpm != NULL && table_init(SESSIONS, TUNNELS));
	session_init();
	ppp_init();
	tunnel_init();
	check(ippool_parse("pool", text, sizeof(text) - 1, 0, no_fault,
	    NULL) == 0);
}

static inline void
tables_reap(void)
{
	session_reap();
	tunnel_reap();
}

/* Everything is let go, and nothing may be left of it. */
static inline void
tables_end(void)
{
	struct session *s;
	struct tunnel *t;

	tables_reap();
	while ((s = session_next(0)) != NULL)
		session_forget(s);
	while ((t = tunnel_next(0)) != NULL)
		tunnel_forget(t);
	acct_hold(false);
	acct_forget();
	check(lpm_count(lns.lpm) == 0 && ippool_used() == 0);
	check(tunnels_established() == 0 && throttle_sessions() == 0);
	forward_flush();
	ippool_clear();
	table_free();
	lpm_free(lns.lpm);
}

#endif
