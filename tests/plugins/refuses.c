/*
 * refuses.c - a plugin for the tests: does not want to run
 */
#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;

int
plugin_init(struct pluginfuncs *funcs)
{
	funcs->log(PLUGIN_LOG_ERROR, 0, 0, "refuses: not today");
	return 0;
}

int
plugin_timer(struct param_timer *data)
{
	(void)data;
	return PLUGIN_RET_OK;
}
