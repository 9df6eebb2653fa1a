/*
 * nothing.c - a plugin for the tests: the least that is one
 */
#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;
