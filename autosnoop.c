/*
 * autosnoop.c - a plugin: RADIUS says who is intercepted
 *
 * An Access-Accept may have
 *
 *	Cisco-AVPair = "intercept=yes"		to snoop_host, snoop_port
 *	Cisco-AVPair = "intercept=192.0.2.7:9999"
 *	Cisco-AVPair = "intercept=no"
 *
 * and all packets of the session, from its first one on, are copied there.
 * The server writes a line about each interception that begins and ends.
 *
 * Who is intercepted is not for everybody's eyes, so all lines are private.
 */
#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;

static struct pluginfuncs *host;

int
plugin_init(struct pluginfuncs *funcs)
{
	host = funcs;
	return 1;
}

/* ADDRESS:PORT, neither of them 0. */
static int
parse_target(const char *text, uint32_t *ip, uint16_t *port)
{
	char address[INET_ADDRSTRLEN], digits[6], rest;
	struct in_addr in;
	long n;

	if (sscanf(text, "%15[0-9.]:%5[0-9]%c", address, digits, &rest) != 2 ||
	    inet_pton(AF_INET, address, &in) != 1)
		return 0;
	n = strtol(digits, NULL, 10);
	*ip = ntohl(in.s_addr);
	*port = (uint16_t)n;
	return *ip != 0 && n > 0 && n <= 65535;
}

static int
configured_target(uint32_t *ip, uint16_t *port)
{
	char address[32], number[16], text[64];

	if (!host->get_config("snoop_host", address, sizeof(address)) ||
	    !host->get_config("snoop_port", number, sizeof(number)))
		return 0;
	snprintf(text, sizeof(text), "%s:%s", address, number);
	return parse_target(text, ip, port);
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
	const char *text = data->value, *fault = NULL;
	uint32_t ip = 0;
	uint16_t port = 0;

	if (strcmp(data->key, "intercept") != 0)
		return PLUGIN_RET_OK;
	if (is_one_of(text, "yes", "true", "on")) {
		if (!configured_target(&ip, &port))
			fault = "set snoop_host and snoop_port";
	} else if (!is_one_of(text, "no", "false", "off")) {
		if (!parse_target(text, &ip, &port))
			fault = "that is not yes, no or ADDRESS:PORT";
	}
	if (fault == NULL && !host->snoop(data->s, ip, port))
		fault = "the server refuses";
	if (fault != NULL)
		host->log(PLUGIN_LOG_PRIVATE, data->s, data->t, "autosnoop: "
		    "not done: intercept=%s: %s", text, fault);
	return PLUGIN_RET_OK;
}
