/*
 * throttlectl.c - a plugin: nsctl throttles sessions
 *
 *	nsctl throttle USER|SID				throttle_speed
 *	nsctl throttle USER|SID 512			both ways
 *	nsctl throttle USER|SID in 512 out 2000		or one of them
 *	nsctl unthrottle USER|SID
 *
 * Rates are kbit/s of 1000 bits, `in` is from the subscriber; a way that is not
 * named keeps the rate that it has.  Nobody is throttled while throttle_speed
 * is 0.
 */
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

#define RATE_MAX	100000000	/* as throttle_speed's */

int plugin_api_version = PLUGIN_API_VERSION;

const char *plugin_control_help[] = {
	"  throttle USER|SID [RATE|[in|out] RATE ...]  Throttle session",
	"  unthrottle USER|SID                         Unthrottle session",
	NULL
};

static struct pluginfuncs *host;

int
plugin_init(struct pluginfuncs *funcs)
{
	host = funcs;
	return 1;
}

static int
parse_rate(const char *word, uint32_t *rate)
{
	unsigned long n = strtoul(word, NULL, 10);

	if (word[strspn(word, "0123456789")] != '\0' || n < 1 || n > RATE_MAX)
		return 0;
	*rate = (uint32_t)n;
	return 1;
}

/* From argv[2] on, RATE with or without its way before it. */
static int
parse_rates(const struct param_control *data, uint32_t *in, uint32_t *out)
{
	uint32_t rate;
	int i;

	for (i = 2; i < data->argc; i++) {
		int is_in = strcmp(data->argv[i], "in") == 0;
		int is_out = strcmp(data->argv[i], "out") == 0;

		if ((is_in || is_out) && ++i == data->argc)
			return 0;
		if (!parse_rate(data->argv[i], &rate))
			return 0;
		if (!is_out)
			*in = rate;
		if (!is_in)
			*out = rate;
	}
	return 1;
}

/* The key of startup-config; 0: nobody is throttled. */
static uint32_t
throttle_speed(void)
{
	uint32_t rate = 0;
	char text[16];

	if (host->get_config("throttle_speed", text, sizeof(text)))
		parse_rate(text, &rate);
	return rate;
}

static void
throttle(struct param_control *data, const struct plugin_session *session)
{
	uint32_t in = session->throttle_in, out = session->throttle_out;
	uint32_t speed = throttle_speed();

	if (data->argc == 2)
		in = out = speed;
	if (speed == 0)
		host->control_answer(data, 1, "Throttling is off: set "
		    "throttle_speed first");
	else if (!parse_rates(data, &in, &out))
		host->control_answer(data, 1, "Rates are 1-%d kbit/s: RATE, "
		    "in RATE, out RATE", RATE_MAX);
	else if (!host->throttle(session->s, in, out))
		host->control_answer(data, 1, "Cannot throttle session %u",
		    session->s);
	else
		host->control_answer(data, 0, "Throttling session %u: in %u "
		    "out %u kbit/s", session->s, in, out);
}

static void
unthrottle(struct param_control *data, const struct plugin_session *session)
{
	if (!host->throttle(session->s, 0, 0))
		host->control_answer(data, 1, "Cannot unthrottle session %u",
		    session->s);
	else
		host->control_answer(data, 0, "Unthrottling session %u",
		    session->s);
}

int
plugin_control(struct param_control *data)
{
	const char *who = data->argc > 1 ? data->argv[1] : "";
	int on = strcmp(data->argv[0], "throttle") == 0;
	struct plugin_session session;

	if (!on && strcmp(data->argv[0], "unthrottle") != 0)
		return PLUGIN_RET_OK;
	if (data->argc < 2 || (!on && data->argc > 2))
		host->control_answer(data, 1, "Usage: %s USER|SID%s",
		    data->argv[0], on ? " [RATE|[in|out] RATE ...]" : "");
	else if (!host->get_session(host->find_session(who), &session,
	    sizeof(session)))
		host->control_answer(data, 1, "%s not connected: %s",
		    who[strspn(who, "0123456789")] == '\0' ? "Session" :
		    "User", who);
	else if (on)
		throttle(data, &session);
	else
		unthrottle(data, &session);
	return PLUGIN_RET_STOP;
}
