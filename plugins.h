/*
 * plugins.h - the host's side of plugins: loading, removing, listing, calling
 *
 * (plugin.h is what a plugin includes.)
 */
#ifndef PLUGINS_H
#define PLUGINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "plugin.h"

/*
 * One row an event: its name, where it is called, its fields.  The row is the
 * enum, the symbol that is looked up (plugin_NAME), the typed call
 * (int plugin_NAME(struct param_NAME *)) and the list that is shown.
 */
#define PLUGIN_EVENT_ROWS(X)						       \
	X(auth_request, "RADIUS or ppp-secrets is about to be asked",	       \
	    "t, s, protocol, username, password, password_length")	       \
	X(pre_auth, "the answer is there, nothing has been made of it",	       \
	    "t, s, username, password, protocol, continue_auth, accepted, "    \
	    "framed_ip, dns1, dns2, session_timeout, idle_timeout, "	       \
	    "interim_interval, filter_id, message")			       \
	X(post_auth, "the peer is about to be told", "t, s, username, "	       \
	    "auth_allowed, protocol")					       \
	X(radius_response, "one of the pairs in a Cisco-AVPair", "t, s, key, " \
	    "value")							       \
	X(radius_account, "an accounting record is about to be queued",	       \
	    "t, s, type, record")					       \
	X(new_session, "IP may pass for the first time", "t, s")	       \
	X(kill_session, "a session is about to end", "t, s")		       \
	X(packet_rx, "a packet from a subscriber may pass",		       \
	    "t, s, buf, len")						       \
	X(packet_tx, "a packet to a subscriber, before it is throttled",       \
	    "t, s, buf, len")						       \
	X(become_master, "this server decides about sessions from now on",     \
	    "sessions")							       \
	X(become_slave, "another server of the cluster decides from now on",   \
	    "master")							       \
	X(timer, "each second", "time_now")				       \
	X(control, "a command of nsctl that the server does not know",	       \
	    "buf, l, source_ip, source_port, response, response_length, "      \
	    "send_response, type, id, data, data_length, argc, argv, is_error")

enum plugin_event {
#define X(name, when, fields) PE_##name,
	PLUGIN_EVENT_ROWS(X)
#undef X
	PLUGIN_EVENTS
};

struct plugin_event_row {
	const char *name, *when, *fields;
};
extern const struct plugin_event_row plugin_events[PLUGIN_EVENTS];

/* Bit 1 << PE_... is set while a loaded plugin has that event's function. */
extern uint32_t plugin_hooks;

static inline bool
plugin_wanted(enum plugin_event event)
{
	return (plugin_hooks & UINT32_C(1) << event) != 0;
}

/*
 * Calls the event's function of each plugin in load order; param is the
 * event's struct param_NAME.  PLUGIN_RET_OK when all of them, or none, said
 * so; else what the last one called said, whose name goes to *by (NULL: not
 * wanted).  Anything may have been called from in there, plugin_remove() too;
 * *by is good until the end of the turn.
 */
int plugin_call(enum plugin_event, void *param, const char **by);

/*
 * The same; after each plugin review() looks at what it has made of param, so
 * that the next one finds nothing there that may not be.  False: no further
 * one is called.
 */
int plugin_call_reviewed(enum plugin_event, void *param,
    bool (*review)(void *arg, const char *plugin), void *arg,
    const char **by);

/*
 * Events about a session, from where they happen; each costs a bit test when
 * no plugin wants it.  Afterwards the session may be dying.
 */
struct auth_request;
struct auth_result;
struct session;
struct wr;

/* What is asked may be changed.  False: nobody is to be asked. */
bool plugins_auth_request(struct session *, struct auth_request *);

/* The answer may be changed.  False: it is a refusal, whatever it was. */
bool plugins_pre_auth(struct session *, const struct auth_request *,
    struct auth_result *);

/* May the peer in? */
bool plugins_post_auth(struct session *, bool allowed);

/* For each pair in session.avpair. */
void plugins_radius_response(struct session *);
void plugins_new_session(struct session *);
void plugins_kill_session(struct session *);

/* Attributes may be added to what the cursor has. */
void plugins_radius_account(const struct session *, int type, struct wr *);

/* Before anything else: where plugins lie.  dir must stay. */
void plugins_init(const char *dir);

/*
 * Loads NAME.so from plugin_dir: name and ownership are checked, the API
 * version must match, plugin_init() must agree.  False with a reason in err.
 */
bool plugin_load(const char *name, char *err, size_t errlen);

/*
 * plugin_done(), then gone.  While a call into any plugin is on the stack it
 * hears of no further events, and the rest is done at the end of the turn.
 */
bool plugin_remove(const char *name, char *err, size_t errlen);

/* Only looks whether the file may be loaded; nothing of it runs. */
bool plugin_check(const char *name, char *err, size_t errlen);

/*
 * The `load plugin` lines of startup-config, at start and after each reload:
 * loads those that are not, and removes those that the lines before had and
 * these have not.  What was loaded by hand stays.  Faults go to the log.  At
 * most CONFIG_PLUGINS of them.
 */
void plugins_apply(const struct config_plugin *, size_t n);

/*
 * What `write memory` writes: the ith of the plugins that startup-config
 * names or that are loaded, without those removed by hand; NULL past the end.
 */
const char *plugin_line(size_t i);

/* The nth loaded plugin's name, in load order; NULL past the end. */
const char *plugin_name(size_t n);

/*
 * Writes the names of those that hold a session, which bits are of its `held`,
 * with blanks between; returns dst.
 */
const char *plugin_holders(uint32_t bits, char *dst, size_t size);

/* Is one of that name among them? */
bool plugin_loaded(const char *name);

/*
 * The ith line of help of all plugins' control commands, NULL past the end.
 */
const char *plugin_help(size_t i);

/* The nth counter of plugins, PLUGIN.NAME; false past the end. */
struct plugin_counter_row {
	const char *name, *help;
	uint64_t value;
};
bool plugin_counter_row(size_t n, struct plugin_counter_row *);
void plugin_counters_clear(void);

/*
 * The events of these names, for all plugins; those that are loaded later hear
 * the first right after plugin_init().
 */
void plugins_become_master(void);
void plugins_become_slave(uint32_t addr);

/* Removes all, the last loaded first. */
void plugins_exit(void);

#endif
