/*
 * ppp_fakes.c - see ppp_fakes.h
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "log.h"
#include "ppp_fakes.h"
#include "ppp_proto.h"
#include "table.h"
#include "tun.h"

#define SID	7

struct fake fake;
struct l2tpns lns;

static uint32_t random_state;

void
fake_reset(void)
{
	timers_init();
	timer_fake(0);
	random_state = 1;
	memset(&fake, 0, sizeof(fake));
	memset(&lns, 0, sizeof(lns));
	counters_clear();
	config_defaults(&lns.config);
	strcpy(lns.hostname, "lns.test");
	fake.session.sid = SID;
	fake.session.state = S_ESTABLISHED;
	fake.session.ip = 0x0a010203;
	fake.session.dns1 = 0x08080808;
	fake.session.dns2 = 0x08080404;
}

const struct fake_frame *
fake_take(void)
{
	static struct fake_frame taken;

	if (fake.queued == 0)
		return NULL;
	taken = fake.queue[0];
	fake.queued--;
	memmove(fake.queue, fake.queue + 1,
	    fake.queued * sizeof(fake.queue[0]));
	return &taken;
}

/* --- session.c, table.c ---------------------------------------------- */

struct session *
session_by_sid(uint32_t sid)
{
	return sid == SID ? &fake.session : NULL;
}

struct session_local *
session_local(const struct session *s)
{
	if (s != &fake.session)
		abort();
	return &fake.local;
}

/* Whatever goes out is a whole packet of a size that the peer takes. */
bool
session_send_ppp(struct session *s, uint16_t protocol, const void *info,
    size_t len)
{
	const uint8_t *p = info;
	struct fake_frame *f;

	if (s != &fake.session || len < PPP_HEADER || len > PPP_MRU ||
	    len > ppp_mtu(s) || (size_t)(p[2] << 8 | p[3]) != len)
		abort();
	fake.sent++;
	if (fake.on_send != NULL)
		fake.on_send(protocol, p, len);
	if (fake.queued == sizeof(fake.queue) / sizeof(fake.queue[0])) {
		fake.lost++;
		return true;
	}
	f = &fake.queue[fake.queued++];
	f->protocol = protocol;
	f->len = len;
	memcpy(f->data, info, len);
	return true;
}

void
session_network_up(struct session *s)
{
	s->flags |= SF_OPEN;
	fake.ups++;
}

void
session_network_down(struct session *s)
{
	s->flags &= (uint16_t)~SF_OPEN;
	fake.downs++;
}

void
session_ppp_finished(struct session *s, enum terminate_cause cause,
    const char *reason)
{
	fake.finishes++;
	fake.cause = cause;
	fake.reason = reason;
	ppp_goodbye(s);
	ppp_stop(s);
}

/* --- auth.c, tun.c --------------------------------------------------- */

void
auth_start(struct session *s, const struct auth_request *req)
{
	fake.asked++;
	fake.request = *req;
	if (fake.on_auth != NULL)
		fake.on_auth(s);
}

void
auth_cancel(struct session *s)
{
	(void)s;
	fake.cancelled++;
}

uint32_t
tun_peer_address(void)
{
	return 0x01010101;
}

/* --- log.c, digest.c ------------------------------------------------- */

void
log_line(enum log_level level, uint32_t tid, uint32_t sid, const char *fmt, ...)
{
	(void)level;
	(void)tid;
	(void)sid;
	(void)fmt;
}

void
log_limited(struct log_limit *limit, enum log_level level, uint32_t tid,
    uint32_t sid, const char *fmt, ...)
{
	(void)limit;
	(void)level;
	(void)tid;
	(void)sid;
	(void)fmt;
}

int
log_get_level(void)
{
	return LOG_L_CALL;
}

uint32_t
digest_random_u32(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8 | random_state << 24;
}

void
digest_random(void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len-- > 0)
		*p++ = (uint8_t)digest_random_u32();
}

void
digest_md5(uint8_t out[DIGEST_MD5], const struct digest_part *parts, size_t n)
{
	uint32_t h = 2166136261u;
	size_t i, j;

	for (i = 0; i < n; i++)
		for (j = 0; j < parts[i].len; j++)
			h = (h ^ ((const uint8_t *)parts[i].p)[j]) * 16777619u;
	memset(out, 0, DIGEST_MD5);
	memcpy(out, &h, sizeof(h));
}
