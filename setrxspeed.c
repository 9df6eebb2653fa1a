/*
 * setrxspeed.c - a plugin: the speed that the LAC did not give
 *
 * A session without an rx speed gets its tx speed for one, so that accounting
 * (Connect-Info) and `show session` have both.
 *
 * The server does this by itself: a LAC that gives one speed means both (RFC
 * 2661 4.4.4).  So this plugin finds nothing to do.  It is here for the
 * startup-config files that load it, and shows how a plugin reads a session
 * and changes it.
 */
#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;

static struct pluginfuncs *host;

int
plugin_init(struct pluginfuncs *funcs)
{
	host = funcs;
	return 1;
}

int
plugin_post_auth(struct param_post_auth *data)
{
	struct plugin_session s;

	if (host->get_session(data->s, &s, sizeof(s)) && s.rx_speed == 0)
		host->set_speed(s.s, s.tx_speed, s.tx_speed);
	return PLUGIN_RET_OK;
}
