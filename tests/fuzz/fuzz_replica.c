/*
 * fuzz_replica.c - a master's stream of any content, into a slave's tables
 *
 * The input is a list of {type, 16-bit length, body}: records of the stream as
 * a master with a fault might send them, or, from type 64 on, what happens on
 * the slave meanwhile: time, a take-over, a control message, an end.  After
 * each step the books must balance, whatever the records say; a slave never
 * says anything; and in the end everything can be let go.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_tables.h"
#include "l2tp_avp.h"
#include "replica.h"

enum step { STEP_TIME = 64, STEP_PROMOTE, STEP_DEMOTE, STEP_LOST,
	STEP_CONTROL, STEP_END, STEP_THROTTLE };

static bool
to_lac(const struct peer *p, const void *buf, size_t len)
{
	(void)p;
	(void)buf;
	check(lns.master);
	return len >= 8;
}

static void
begin(void)
{
	lns.master = false;
	tables_begin();
	replica_init();
}

static void
end(void)
{
	tables_reap();
	replica_exit();
	tables_end();
}

/* --- the books -------------------------------------------------------------- */

static void
check_session(const struct session *s, uint32_t *prefixes, uint32_t *pooled)
{
	struct tunnel *t = tunnel_by_tid(s->tid);

	check(t != NULL && tunnel_session(t, s->local_id) == s);
	check(tunnel_peer_session(t, s->peer_id) == s);
	check(s->nroutes <= ROUTES_MAX);
	if (s->authenticated)
		check(session_by_user(s->user) != NULL);
	check((s->flags & SF_OPEN) == 0 || s->ip != 0);
	if (s->ip == 0) {
		check(s->nroutes == 0);
		return;
	}
	check(session_by_ip(s->ip) == s);
	++*prefixes;
	*pooled += ippool_contains(s->ip);
	for (uint8_t i = 0; i < s->nroutes; i++) {
		const struct prefix *r = &s->routes[i];

		/* The same one twice, or what is its address, counts once. */
		check(lpm_get(lns.lpm, r->addr, r->len) == s->sid);
		(*prefixes)++;
		*pooled += r->len == 32 && ippool_contains(r->addr);
	}
}

static void
check_books(void)
{
	uint32_t of_tunnels = 0, prefixes = 0, pooled = 0, up = 0;
	struct session *s;
	struct tunnel *t;

	for (s = session_next(0); s != NULL; s = session_next(s->sid)) {
		if (s->dying)
			continue;
		check_session(s, &prefixes, &pooled);
		of_tunnels++;
	}
	for (t = tunnel_next(0); t != NULL; t = tunnel_next(t->tid)) {
		check(tunnel_by_local_id(t->local_id) == t);
		check(of_tunnels >= t->sessions);
		of_tunnels -= t->sessions;
		up += t->state == T_ESTABLISHED;
	}
	check(of_tunnels == 0 && tunnels_established() == up);
	check(lpm_count(lns.lpm) <= prefixes && ippool_used() <= pooled);
}

/* --- what happens on the slave ------------------------------------------------ */

static void
take_over(void)
{
	lns.master = true;
	replica_promote();
	while (replica_waking())
		timer_fake(10);
}

static void
give_up(void)
{
	lns.master = false;
	replica_demote();
}

/* From the right peer, about the tunnel of this number. */
static void
hear(const uint8_t *p, size_t len)
{
	struct tunnel *t = len > 1 ? tunnel_next(p[0]) : NULL;
	struct l2tp_header h;
	uint8_t *copy;

	if (t == NULL || !lns.master)
		return;
	copy = malloc(len);
	check(copy != NULL);
	memcpy(copy, p + 1, len - 1);
	if (l2tp_header_decode(copy, len - 1, &h) == L2TP_OK && h.control) {
		h.tunnel_id = t->local_id;
		tunnel_input(&t->peer, &h, copy, len - 1);
	}
	free(copy);
}

static void
step(uint8_t type, const uint8_t *p, size_t len)
{
	struct session *s = session_next(len > 0 ? p[0] : 0);

	switch (type) {
	case STEP_TIME:
		timer_fake(len > 0 ? p[0] * 300u : 10);
		break;
	case STEP_PROMOTE:
		if (!lns.master)
			take_over();
		break;
	case STEP_DEMOTE:
		if (lns.master)
			give_up();
		break;
	case STEP_LOST:
		replica_lost();
		break;
	case STEP_CONTROL:
		hear(p, len);
		break;
	case STEP_END:
		if (s != NULL && lns.master)
			session_shutdown(s, CAUSE_ADMIN_RESET, 3, 0, "over");
		break;
	case STEP_THROTTLE:
		if (s != NULL && lns.master)
			(void)throttle_set(s, 64, 64);
		break;
	}
}

/* In memory of exactly its size, so that ASan sees every step too far. */
static void
record(uint8_t type, const uint8_t *p, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct rd r;

	check(copy != NULL);
	if (len > 0)
		memcpy(copy, p, len);
	r = rd_init(copy, len);
	(void)replica_record((enum cluster_record)type, &r);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_init(data, size), body;
	uint8_t type;

	tables_once(to_lac);
	begin();
	while (rd_left(&r) >= 3) {
		type = rd_u8(&r);
		body = rd_sub(&r, rd_u16(&r));
		if (body.bad)
			break;
		if (type < STEP_TIME)
			record(type, body.p, rd_left(&body));
		else
			step(type, body.p, rd_left(&body));
		tables_reap();
		check_books();
	}
	end();
	return 0;
}
