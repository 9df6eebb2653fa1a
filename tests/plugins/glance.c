/*
 * glance.c - a plugin for the tests: is shown every packet, and does nothing
 *
 * So what it costs is the showing.
 */
#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;

int
plugin_packet_rx(struct param_packet_rx *data)
{
	(void)data;
	return PLUGIN_RET_OK;
}

int
plugin_packet_tx(struct param_packet_tx *data)
{
	(void)data;
	return PLUGIN_RET_OK;
}
