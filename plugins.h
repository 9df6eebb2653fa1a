/*
 * plugins.h - the host's side of plugins: loading, removing, listing
 *
 * (plugin.h is what a plugin includes.)
 */
#ifndef PLUGINS_H
#define PLUGINS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Loads NAME.so from plugin_dir: name and ownership are checked, the API
 * version must match, plugin_init() must agree.  False with a reason in err.
 */
bool plugin_load(const char *name, char *err, size_t errlen);
bool plugin_remove(const char *name, char *err, size_t errlen);

/* The nth loaded plugin's name, in load order; NULL past the end. */
const char *plugin_name(size_t n);

/* Removes all, the last loaded first. */
void plugins_exit(void);

#endif
