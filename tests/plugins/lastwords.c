/*
 * lastwords.c - a plugin for the tests: runs a program when it is removed
 *
 *	first COMMAND		for sh, at once
 *	last COMMAND		for sh, in plugin_done(), with "words" as input
 */
#include <string.h>

#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;

static struct pluginfuncs *host;
static char last[200];

int
plugin_init(struct pluginfuncs *funcs)
{
	host = funcs;
	return 1;
}

void
plugin_done(void)
{
	const char *const argv[] = { "/bin/sh", "-c", last, NULL };

	host->log(PLUGIN_LOG_WARN, 0, 0, "lastwords: status %d",
	    host->run_wait(argv, "words", 5));
}

int
plugin_control(struct param_control *p)
{
	const char *const argv[] = { "/bin/sh", "-c", p->argv[1], NULL };

	if (strcmp(p->argv[0], "first") == 0)
		return host->run(argv, NULL, 0, NULL, NULL) ?
		    PLUGIN_RET_STOP : PLUGIN_RET_ERROR;
	if (strcmp(p->argv[0], "last") != 0)
		return PLUGIN_RET_OK;
	strncpy(last, p->argv[1], sizeof(last) - 1);
	return PLUGIN_RET_STOP;
}
