/*
 * second.c - a plugin for the tests: says who was asked, and in which order
 *
 * `echo` it takes as answer.c does, so that the order of loading shows.
 */
#include <string.h>

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
plugin_control(struct param_control *data)
{
	if (strcmp(data->argv[0], "echo") != 0 &&
	    strcmp(data->argv[0], "second") != 0)
		return PLUGIN_RET_OK;
	host->control_answer(data, 0, "second");
	return PLUGIN_RET_STOP;
}
