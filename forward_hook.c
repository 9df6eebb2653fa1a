/*
 * forward_hook.c - packets as plugins see them: packet_rx and packet_tx
 *
 * A plugin may do to a packet what it likes, to its own session too, and may
 * be mistaken.  So its answer is looked at before the next plugin is asked: a
 * length that is longer than before, or below zero, is not taken; one that is
 * shorter goes into the IP header where the plugin has not put it itself (a
 * packet that claims octets which it has not is of no use to anybody).  The
 * header must be sound, as the next plugin and the code behind here, the
 * joining of packets above all, rely on that; and the session must still be
 * one that packets pass.
 *
 * What is seen is single packets with complete checksums: super-packets have
 * been cut by now, and are joined later.
 *
 * Owns:     nothing.
 * Calls:    the plugins, which may call anything but the data path.
 * Lifetime: a packet's.
 */
#include "forward_io.h"

#include "ipv4.h"
#include "log.h"
#include "plugins.h"

/* Where IPv4 has them, RFC 791 3.1. */
#define TOTAL_LENGTH	2
#define CHECKSUM	10

struct shown {
	struct session *s;
	uint8_t *ip;
	size_t len;			/* what has been agreed to so far */
	const char *spoiler;		/* the plugin that broke the header */
	enum plugin_event event;
	union {
		struct param_packet_rx rx;
		struct param_packet_tx tx;	/* the same members */
	} param;
};

/* A plugin gets a fresh one, whatever the one before wrote into its own. */
static void
fill_param(struct shown *p)
{
	p->param.rx = (struct param_packet_rx){ .t = p->s->tid,
	    .s = p->s->sid, .buf = (char *)p->ip, .len = (int)p->len };
}

static void
refuse_length(const struct shown *p, const char *plugin)
{
	static struct log_limit limit;

	COUNT(plugin_bad_length);
	log_limited(&limit, LOG_L_ERROR, p->s->tid, p->s->sid,
	    "plugin %s: plugin_%s set len to %d of %zu octets; it stays as it "
	    "was", plugin, plugin_events[p->event].name, p->param.rx.len,
	    p->len);
}

/* The checksum only by the difference: what is wrong stays wrong. */
static void
shorten(struct shown *p, size_t len)
{
	uint16_t from = ipv4_get16(p->ip + TOTAL_LENGTH);
	uint16_t sum = ipv4_get16(p->ip + CHECKSUM);

	if (len >= IPV4_HEADER && from == p->len) {
		ipv4_put16(p->ip + TOTAL_LENGTH, (uint16_t)len);
		ipv4_put16(p->ip + CHECKSUM,
		    ipv4_checksum_update(sum, from, (uint16_t)len));
	}
	p->len = len;
}

/*
 * After each plugin; false when there is nothing left to show to others.  A
 * header may have become shorter by itself.
 */
static bool
review(void *arg, const char *plugin)
{
	struct shown *p = arg;
	int len = p->param.rx.len;
	struct ipv4 h;

	if (len < 0 || (size_t)len > p->len)
		refuse_length(p, plugin);
	else if ((size_t)len < p->len)
		shorten(p, (size_t)len);
	if (p->len == 0)
		return false;
	if (!ipv4_decode(p->ip, p->len, &h)) {
		p->spoiler = plugin;
		return false;
	}
	p->len = h.len;
	fill_param(p);
	return (p->s->flags & SF_OPEN) != 0;
}

static void
drop_spoiled(const struct shown *p)
{
	static struct log_limit limit;

	COUNT(drop_plugin_header);
	log_limited(&limit, LOG_L_ERROR, p->s->tid, p->s->sid,
	    "plugin %s: plugin_%s left no sound IP header; packet dropped",
	    p->spoiler, plugin_events[p->event].name);
}

size_t
forward_hook(struct session *s, bool out, uint8_t *ip, size_t len)
{
	struct shown p = { .s = s, .ip = ip, .len = len,
	    .event = out ? PE_packet_tx : PE_packet_rx };
	int ret;

	fill_param(&p);
	ret = plugin_call_reviewed(p.event, &p.param, review, &p, NULL);
	if (ret != PLUGIN_RET_ERROR && p.len != 0 && p.spoiler == NULL &&
	    (s->flags & SF_OPEN) != 0)
		return p.len;
	if (ret == PLUGIN_RET_ERROR || p.len == 0)
		COUNT(drop_plugin);
	else if (p.spoiler != NULL)
		drop_spoiled(&p);
	else
		COUNT(drop_not_open);
	return 0;
}
