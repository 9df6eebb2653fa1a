/*
 * plugin_int.h - what the files of the plugins' host share
 *
 * plugins.c loads and calls, plugin_host.c is what plugins are offered,
 * plugin_run.c has their child processes, plugin_count.c their counters.
 */
#ifndef PLUGIN_INT_H
#define PLUGIN_INT_H

#include "plugins.h"

/* The table that plugins get a copy of. */
extern const struct pluginfuncs plugin_host_functions;

/* The plugin whose code is on the stack, innermost; NULL: none is. */
struct plugin;
struct plugin *plugin_current(void);
const char *plugin_own_name(const struct plugin *);

/* A bit that no other one has; 0: there are too many for that. */
uint32_t plugin_bit(const struct plugin *);

/* It hears of nothing more. */
bool plugin_going(const struct plugin *);

/*
 * A call into a plugin that is no event (a callback): begin, the call, end
 * with what begin returned.
 */
struct plugin *plugin_enter(struct plugin *);
void plugin_leave(struct plugin *outer);

/* How many calls into plugins are on the stack. */
unsigned int plugin_depth(void);

/* --- plugin_host.c */

/* Lets go of all sessions that it holds. */
void plugin_hold_forget(const struct plugin *);

/* --- plugin_run.c */

/* As in struct pluginfuncs, for the plugin that calls. */
int plugin_run(const char *const argv[], const char *input, size_t length,
    void (*done)(void *arg, int status, const char *output), void *arg);
int plugin_run_wait(const char *const argv[], const char *input,
    size_t length);

/* None of its callbacks is called any more; its children go on. */
void plugin_run_forget(const struct plugin *);

/* --- plugin_count.c */

int plugin_counter(const char *name, const char *help);
void plugin_count(int counter, uint64_t n);
void plugin_count_forget(const struct plugin *);

/* --- plugin_events.c */

/*
 * plugin_call() for an event of which nothing is the plugin's to set; with a
 * session, nobody further is called when it has ended.
 */
struct session;
int plugin_tell(enum plugin_event, void *param, size_t size,
    const struct session *);

/* Could it be a host's address?  Whose, is another question. */
bool plugin_is_host(uint32_t ip);

/* vendor 0: an attribute of its own. */
bool plugin_account_add(const void *record, uint32_t vendor, uint8_t type,
    const void *value, size_t length);

#endif
