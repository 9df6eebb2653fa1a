/*
 * snoopctl.c - a plugin: nsctl intercepts sessions
 *
 *	nsctl snoop USER|SID			to snoop_host, snoop_port
 *	nsctl snoop USER|SID 192.0.2.7 9999
 *	nsctl unsnoop USER|SID
 *
 * All packets of the session are copied there.  The server writes a line about
 * each interception that begins and ends, and one about each command, for
 * those only who may know who is intercepted.
 */
#include <arpa/inet.h>

#include <stdlib.h>
#include <string.h>

#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;

const char *plugin_control_help[] = {
	"  snoop USER|SID [IP PORT]                    Intercept session",
	"  unsnoop USER|SID                            End interception",
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
parse_target(const char *address, const char *number, uint32_t *ip,
    uint16_t *port)
{
	unsigned long n = strtoul(number, NULL, 10);
	struct in_addr in;

	if (inet_pton(AF_INET, address, &in) != 1 || in.s_addr == 0 ||
	    number[strspn(number, "0123456789")] != '\0' || n < 1 || n > 65535)
		return 0;
	*ip = ntohl(in.s_addr);
	*port = (uint16_t)n;
	return 1;
}

static void
snoop(struct param_control *data, uint32_t s)
{
	char host_key[32] = "", port_key[16] = "";
	const char *address = host_key, *number = port_key;
	uint16_t port;
	uint32_t ip;

	host->get_config("snoop_host", host_key, sizeof(host_key));
	host->get_config("snoop_port", port_key, sizeof(port_key));
	if (data->argc == 4) {
		address = data->argv[2];
		number = data->argv[3];
	}
	if (!parse_target(address, number, &ip, &port))
		host->control_answer(data, 1, data->argc == 4 ?
		    "Not an IP address and a port: %s %s" :
		    "Specify IP and port, or set snoop_host and snoop_port "
		    "(%s, %s)", address, number);
	else if (!host->snoop(s, ip, port))
		host->control_answer(data, 1, "Cannot snoop session %u", s);
	else
		host->control_answer(data, 0, "Snooping session %u to %s:%u", s,
		    address, port);
}

static void
unsnoop(struct param_control *data, uint32_t s)
{
	if (!host->snoop(s, 0, 0))
		host->control_answer(data, 1, "Cannot unsnoop session %u", s);
	else
		host->control_answer(data, 0, "Not snooping session %u", s);
}

int
plugin_control(struct param_control *data)
{
	const char *who = data->argc > 1 ? data->argv[1] : "";
	int on = strcmp(data->argv[0], "snoop") == 0;
	uint32_t s;

	if (!on && strcmp(data->argv[0], "unsnoop") != 0)
		return PLUGIN_RET_OK;
	s = host->find_session(who);
	if (data->argc != 2 && !(on && data->argc == 4))
		host->control_answer(data, 1, "Usage: %s USER|SID%s",
		    data->argv[0], on ? " [IP PORT]" : "");
	else if (s == 0)
		host->control_answer(data, 1, "%s not connected: %s",
		    who[strspn(who, "0123456789")] == '\0' ? "Session" :
		    "User", who);
	else if (on)
		snoop(data, s);
	else
		unsnoop(data, s);
	return PLUGIN_RET_STOP;
}
