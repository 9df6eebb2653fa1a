/*
 * unresolved.c - a plugin for the tests: calls what is nowhere
 */
#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;

int nobody_has_this_function(void);

int
plugin_timer(struct param_timer *data)
{
	(void)data;
	return nobody_has_this_function();
}
