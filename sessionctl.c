/*
 * sessionctl.c - a plugin: nsctl ends sessions
 *
 *	nsctl drop USER|SID [REASON]	the LAC is told (CDN)
 *	nsctl kill USER|SID [REASON]	the LAC is not told
 *
 * The reason is for the log, and for the LAC if it is told.
 */
#include <stdio.h>
#include <string.h>

#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;

const char *plugin_control_help[] = {
	"  drop USER|SID [REASON]                      End session, tell LAC",
	"  kill USER|SID [REASON]                      End session silently",
	NULL
};

static struct pluginfuncs *host;

int
plugin_init(struct pluginfuncs *funcs)
{
	host = funcs;
	return 1;
}

/* The words from argv[2] on, or one of our own. */
static void
join_reason(char *dst, size_t size, const struct param_control *data)
{
	size_t n = 0;
	int i;

	snprintf(dst, size, "%s by nsctl", data->argv[0]);
	for (i = 2; i < data->argc && n < size; i++)
		n += (size_t)snprintf(dst + n, size - n, "%s%s",
		    i > 2 ? " " : "", data->argv[i]);
}

static void
end_session(struct param_control *data, uint32_t s, int drop)
{
	char reason[128];
	int done;

	join_reason(reason, sizeof(reason), data);
	done = drop ? host->shutdown(s, reason, 0, 0, 0) :
	    host->kill(s, reason);
	if (!done)
		host->control_answer(data, 1, "Cannot %s session %u",
		    data->argv[0], s);
	else
		host->control_answer(data, 0, "%s session %u",
		    drop ? "Dropping" : "Killing", s);
}

int
plugin_control(struct param_control *data)
{
	const char *who = data->argc > 1 ? data->argv[1] : "";
	int drop = strcmp(data->argv[0], "drop") == 0;
	uint32_t s;

	if (!drop && strcmp(data->argv[0], "kill") != 0)
		return PLUGIN_RET_OK;
	s = host->find_session(who);
	if (data->argc < 2)
		host->control_answer(data, 1, "Usage: %s USER|SID [REASON]",
		    data->argv[0]);
	else if (s == 0)
		host->control_answer(data, 1, "%s not connected: %s",
		    who[strspn(who, "0123456789")] == '\0' ? "Session" :
		    "User", who);
	else
		end_session(data, s, drop);
	return PLUGIN_RET_STOP;
}
