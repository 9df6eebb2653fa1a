/*
 * autothrottle.c - a plugin: RADIUS says how fast a subscriber may be
 *
 * An Access-Accept may have
 *
 *	Cisco-AVPair = "throttle=yes"			throttle_speed
 *	Cisco-AVPair = "throttle=512"			both ways
 *	Cisco-AVPair = "throttle=512/2000"		in and out
 *	Cisco-AVPair = "throttle=in 512 out 2000"	or one of them
 *	Cisco-AVPair = "throttle=no"			full speed
 *	Cisco-AVPair = "lcp:interface-config#1=service-policy input 512"
 *	Cisco-AVPair = "lcp:interface-config#2=service-policy output 2000"
 *
 * Rates are kbit/s of 1000 bits, 0 is full speed.  `in`, and Cisco's `input`,
 * is from the subscriber; a way that is not named keeps the rate that it has.
 * Nobody is throttled while throttle_speed is 0.  What makes no sense changes
 * nothing and leaves a line in the log.
 *
 * The event comes before the subscriber may send, so that the rate holds from
 * the first packet on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "plugin.h"

#define RATE_MAX	100000000	/* as throttle_speed's */

int plugin_api_version = PLUGIN_API_VERSION;

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

	if (word[0] == '\0' || word[strspn(word, "0123456789")] != '\0' ||
	    n > RATE_MAX)
		return 0;
	*rate = (uint32_t)n;
	return 1;
}

/* RATE, or IN/OUT. */
static int
parse_both(const char *text, uint32_t *in, uint32_t *out)
{
	const char *slash = strchr(text, '/');
	char first[16];

	if (slash == NULL)
		return parse_rate(text, in) && parse_rate(text, out);
	snprintf(first, sizeof(first), "%.*s", (int)(slash - text), text);
	return parse_rate(first, in) && parse_rate(slash + 1, out);
}

/* The same, or pairs of a way and its RATE. */
static int
parse_rates(const char *text, uint32_t *in, uint32_t *out)
{
	char way[8], rate[16];
	uint32_t *to;
	int used;

	if (parse_both(text, in, out))
		return 1;
	do {
		if (sscanf(text, "%7s %15s %n", way, rate, &used) != 2)
			return 0;
		if (strcmp(way, "in") == 0 || strcmp(way, "input") == 0)
			to = in;
		else if (strcmp(way, "out") == 0 || strcmp(way, "output") == 0)
			to = out;
		else
			return 0;
		if (!parse_rate(rate, to))
			return 0;
		text += used;
	} while (*text != '\0');
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

/* What is asked for; NULL when the pair is about something else. */
static const char *
wanted(const struct param_radius_response *data)
{
	static const char cisco[] = "lcp:interface-config";
	static const char policy[] = "service-policy ";

	if (strcmp(data->key, "throttle") == 0)
		return data->value;
	if (strncmp(data->key, cisco, strlen(cisco)) == 0 &&
	    strncmp(data->value, policy, strlen(policy)) == 0)
		return data->value + strlen(policy);
	return NULL;
}

static int
is_one_of(const char *word, const char *a, const char *b, const char *c)
{
	return strcasecmp(word, a) == 0 || strcasecmp(word, b) == 0 ||
	    strcasecmp(word, c) == 0;
}

int
plugin_radius_response(struct param_radius_response *data)
{
	const char *text = wanted(data), *fault = NULL;
	uint32_t speed = throttle_speed();
	struct plugin_session session;
	uint32_t in, out;

	if (text == NULL ||
	    !host->get_session(data->s, &session, sizeof(session)))
		return PLUGIN_RET_OK;
	in = session.throttle_in;
	out = session.throttle_out;
	if (is_one_of(text, "no", "false", "off"))
		in = out = 0;
	else if (speed == 0)
		fault = "throttle_speed is 0";
	else if (is_one_of(text, "yes", "true", "on"))
		in = out = speed;
	else if (!parse_rates(text, &in, &out))
		fault = "that is no rate";
	if (fault == NULL && !host->throttle(data->s, in, out))
		fault = "the server refuses";
	if (fault != NULL)
		host->log(PLUGIN_LOG_WARN, data->s, data->t, "autothrottle: "
		    "not done: %s=%s: %s", data->key, data->value, fault);
	else
		host->log(PLUGIN_LOG_INFO, data->s, data->t, "autothrottle: "
		    "in %u out %u kbit/s", in, out);
	return PLUGIN_RET_OK;
}
