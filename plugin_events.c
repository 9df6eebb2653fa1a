/*
 * plugin_events.c - the events that have something to say to the server
 *
 * A plugin gets a struct in which some members are its own to set.  Each time
 * one has run, only those are taken over, and only with values that make
 * sense; the next plugin finds the rest as it was.  What is not taken is said
 * in the log with the plugin's name.
 *
 * Any of them may end the session that it is asked about: who calls these
 * functions looks at `dying` afterwards.
 *
 * Owns:     the accounting record that is being written.
 * Calls:    plugin_call_reviewed().
 * Lifetime: one event.
 */
#include <string.h>

#include "auth.h"
#include "l2tpns.h"
#include "log.h"
#include "plugin_int.h"
#include "radius_attr.h"
#include "session.h"
#include "table.h"
#include "tun.h"
#include "wire.h"

#define TOLD_MAX	64	/* octets of a param struct */

/* 0/8, 127/8 and 224/3 are nobody's. */
bool
plugin_is_host(uint32_t ip)
{
	return ip >> 24 != 0 && ip >> 24 != 127 && ip < UINT32_C(0xe0000000);
}

/* --- nothing to set ------------------------------------------------------ */

struct told {
	void *param;
	const void *was;
	size_t size;
	const struct session *s;
};

static bool
restore(void *arg, const char *plugin)
{
	const struct told *told = arg;

	(void)plugin;
	memcpy(told->param, told->was, told->size);
	return told->s == NULL || !told->s->dying;
}

int
plugin_tell(enum plugin_event event, void *param, size_t size,
    const struct session *s)
{
	uint8_t was[TOLD_MAX];
	struct told told = { param, was, size, s };

	memcpy(was, param, size);
	return plugin_call_reviewed(event, param, restore, &told, NULL);
}

/* --- accounting records ------------------------------------------------- */

/* The one that plugins may add to; what they have as `record` points here. */
static struct account {
	struct param_radius_account param, was;
	struct wr *w;
	struct wr before;		/* as the plugin found it */
	struct account *outer;
} *account;

bool
plugin_account_add(const void *record, uint32_t vendor, uint8_t type,
    const void *value, size_t length)
{
	uint8_t buf[UINT8_MAX];
	struct wr w = wr_init(buf, sizeof(buf));

	if (account == NULL || record != account || type == 0 ||
	    value == NULL || length == 0 || length > RADIUS_VALUE_MAX)
		return false;
	if (vendor == 0)
		return radius_put(account->w, type, value, length);
	wr_u32(&w, vendor);
	wr_u8(&w, type);
	wr_u8(&w, (uint8_t)(length + 2));
	wr_bytes(&w, value, length);
	return wr_done(&w) > 0 && wr_done(&w) <= RADIUS_VALUE_MAX &&
	    radius_put(account->w, ATTR_VENDOR_SPECIFIC, buf, wr_done(&w));
}
