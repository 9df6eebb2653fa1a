/*
 * noversion.c - a plugin for the tests: any shared object that is no plugin
 */
#include <stdlib.h>

#include "plugin.h"

int
plugin_init(struct pluginfuncs *funcs)
{
	(void)funcs;
	abort();
}
