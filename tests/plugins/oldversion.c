/*
 * oldversion.c - a plugin for the tests: made for l2tpns 2.4
 */
#include <stdlib.h>

#include "plugin.h"

int plugin_api_version = 7;

int
plugin_init(struct pluginfuncs *funcs)
{
	(void)funcs;
	abort();
}
