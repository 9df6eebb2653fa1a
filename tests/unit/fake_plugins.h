/*
 * fake_plugins.h - functions of the test's own in the place of plugins
 *
 * What plugins.c is to the data path, for tests that do not link it: the
 * functions in fake_plugin[] are called as those of loaded plugins would be.
 */
#ifndef FAKE_PLUGINS_H
#define FAKE_PLUGINS_H

#include <assert.h>

#include "plugins.h"

#define FAKE_PLUGINS	3

uint32_t plugin_hooks;

const struct plugin_event_row plugin_events[PLUGIN_EVENTS] = {
#define X(name, when, fields) { #name, when, fields },
	PLUGIN_EVENT_ROWS(X)
#undef X
};

/* Both events have the same parameters. */
static int (*fake_plugin[FAKE_PLUGINS])(enum plugin_event,
    struct param_packet_rx *);

int
plugin_call_reviewed(enum plugin_event event, void *param,
    bool (*review)(void *, const char *), void *arg, const char **by)
{
	int i, ret = PLUGIN_RET_OK;

	for (i = 0; i < FAKE_PLUGINS && fake_plugin[i] != NULL; i++) {
		bool go_on;

		assert(by == NULL);
		ret = fake_plugin[i](event, param);
		go_on = review(arg, "fake");
		if (ret != PLUGIN_RET_OK || !go_on)
			break;
	}
	return ret == PLUGIN_RET_OK || ret == PLUGIN_RET_STOP ? ret :
	    PLUGIN_RET_ERROR;
}

/* These are loaded now; without any, none is. */
static void
fake_plugins_load(int (*first)(enum plugin_event, struct param_packet_rx *),
    int (*second)(enum plugin_event, struct param_packet_rx *))
{
	fake_plugin[0] = first;
	fake_plugin[1] = second;
	plugin_hooks = first == NULL ? 0 :
	    UINT32_C(1) << PE_packet_rx | UINT32_C(1) << PE_packet_tx;
}

#endif
