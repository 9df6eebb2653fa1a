/*
 * cli_do.c - what the command line changes
 *
 * Each command checks its words, does one thing through the module whose
 * thing it is, says so, and leaves a line in the log with who did it.
 *
 * Who is meant.  Where a user name is asked for, all sessions of that user
 * are meant.  Where a session id may stand instead, the name comes first: a
 * word that is a connected user is that user, and only else a number is a
 * session id.
 *
 * Owns:     nothing.
 * Calls:    session, tunnel, throttle, snoop, reload, plugins, bgp.
 * Lifetime: one command.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgp.h"
#include "cli_word.h"
#include "command.h"
#include "confwrite.h"
#include "l2tp_proto.h"
#include "log.h"
#include "plugins.h"
#include "reload.h"
#include "session.h"
#include "snoop.h"
#include "table.h"
#include "throttle.h"
#include "tunnel.h"

#define NAME_TEXT	(4 * USER_MAX)	/* a name with all of it escaped */
#define DROP_SLICE	32		/* sessions */

/* --- who is meant ------------------------------------------------------- */

struct target {
	struct session *first;
	bool one;			/* by its id: no other is meant */
	char name[NAME_TEXT];		/* safe to print */
};

static struct session *
target_next(const struct target *t, const struct session *s)
{
	return t->one ? NULL : session_next_of_user(s);
}

/* False, and said so, when nobody is. */
static bool
target_find(struct command_run *run, const char *word, bool by_id,
    struct target *t)
{
	const char *name = word;

	t->first = word_user(word);
	t->one = t->first == NULL;
	if (t->one && by_id)
		t->first = word_session(word);
	if (t->first != NULL && t->first->authenticated)
		name = t->first->user;
	log_escape(t->name, sizeof(t->name), name, strlen(name));
	if (t->first == NULL)
		command_print(run, "User %s is not connected\n", t->name);
	return t->first != NULL;
}

/* For the log of those modules that write one of their own. */
static const char *
who(const struct command_run *run, char *dst, size_t size)
{
	snprintf(dst, size, "%s from %s", run->user[0] != '\0' ? run->user :
	    "somebody", run->from);
	return dst;
}

/* --- interception ------------------------------------------------------- */

/* USER, or USER IP PORT; false, and said so, when it is neither. */
static bool
snoop_target(struct command_run *run, uint32_t *ip, uint32_t *port)
{
	*ip = lns.config.snoop_host;
	*port = (uint32_t)lns.config.snoop_port;
	if (run->argc == 1 && *ip != 0 && *port != 0)
		return true;
	if (run->argc != 3) {
		command_print(run, "Specify username ip port%s\n",
		    run->argc == 1 ? ", or set snoop_host and snoop_port" : "");
		return false;
	}
	if (!config_ipv4(run->argv[1], ip) || *ip == 0) {
		command_print(run, "Cannot parse IP \"%s\"\n", run->argv[1]);
		return false;
	}
	if (!word_number(run->argv[2], 65535, port)) {
		command_print(run, "Invalid port %s\n", run->argv[2]);
		return false;
	}
	return true;
}

void
do_snoop(struct command_run *run)
{
	char by[256], to[IP_TEXT];
	struct session *s;
	struct target t;
	uint32_t ip, port;

	if (!snoop_target(run, &ip, &port) ||
	    !target_find(run, run->argv[0], false, &t))
		return;
	for (s = t.first; s != NULL; s = target_next(&t, s))
		if (!snoop_start(s, ip, (uint16_t)port,
		    who(run, by, sizeof(by)))) {
			command_print(run, "Cannot snoop user %s: there is no "
			    "socket to send from\n", t.name);
			return;
		}
	command_audit(run, "snoop %s %s %u", t.name, ip_text(to, ip), port);
	command_print(run, "Snooping user %s to %s:%u\n", t.name,
	    ip_text(to, ip), port);
}

void
do_no_snoop(struct command_run *run)
{
	struct session *s;
	struct target t;
	char by[256];

	if (run->argc != 1) {
		command_print(run, "Specify username\n");
		return;
	}
	if (!target_find(run, run->argv[0], false, &t))
		return;
	for (s = t.first; s != NULL; s = target_next(&t, s))
		if ((s->flags & SF_SNOOP) != 0)
			snoop_stop(s, who(run, by, sizeof(by)));
	command_audit(run, "no snoop %s", t.name);
	command_print(run, "Not snooping user %s\n", t.name);
}

/* --- throttling --------------------------------------------------------- */

/* What was asked for; a direction of 0 keeps the rate that it has. */
struct rates { uint32_t in, out; };

static bool
bad_rate(struct command_run *run, const char *word)
{
	command_print(run, "Invalid rate \"%s\" (1-%d kbit/s)\n", word,
	    THROTTLE_MAX);
	return false;
}

/* in RATE, out RATE, in any order, from word 1 on. */
static bool
directions(struct command_run *run, struct rates *r)
{
	for (int i = 1; i < run->argc; i += 2) {
		bool in = strcmp(run->argv[i], "in") == 0;

		if ((!in && strcmp(run->argv[i], "out") != 0) ||
		    i + 1 == run->argc) {
			command_print(run, "Specify username, and a rate or "
			    "in RATE out RATE\n");
			return false;
		}
		if (!word_number(run->argv[i + 1], THROTTLE_MAX,
		    in ? &r->in : &r->out))
			return bad_rate(run, run->argv[i + 1]);
	}
	return true;
}

static bool
wanted_rates(struct command_run *run, struct rates *r)
{
	*r = (struct rates){ 0 };
	if (run->argc == 0) {
		command_print(run, "Specify username\n");
		return false;
	}
	/* The global setting comes first, a rate of one's own or not. */
	if (lns.config.throttle_speed == 0) {
		command_print(run, "Throttling is off: set throttle_speed "
		    "first\n");
		return false;
	}
	if (run->argc > 2)
		return directions(run, r);
	r->in = (uint32_t)lns.config.throttle_speed;
	if (run->argc == 2 && !word_number(run->argv[1], THROTTLE_MAX, &r->in))
		return bad_rate(run, run->argv[1]);
	r->out = r->in;
	return true;
}

/* Each session of the target; *changed if one had other rates. */
static bool
throttle_all(const struct target *t, const struct rates *r, bool *changed)
{
	struct session *s;

	*changed = false;
	for (s = t->first; s != NULL; s = target_next(t, s)) {
		uint32_t in = r->in != 0 ? r->in : s->throttle_in;
		uint32_t out = r->out != 0 ? r->out : s->throttle_out;

		if (in == s->throttle_in && out == s->throttle_out)
			continue;
		if (!throttle_set(s, in, out))
			return false;
		*changed = true;
	}
	return true;
}

void
do_throttle(struct command_run *run)
{
	struct target t;
	struct rates r;
	bool changed;

	if (!wanted_rates(run, &r) ||
	    !target_find(run, run->argv[0], true, &t))
		return;
	if (!throttle_all(&t, &r, &changed)) {
		command_print(run, "Cannot throttle user %s: out of memory\n",
		    t.name);
		return;
	}
	if (!changed) {
		command_print(run, "User %s already throttled\n", t.name);
		return;
	}
	if (r.in == 0)
		command_audit(run, "throttle %s out %u kbit/s", t.name, r.out);
	else if (r.out == 0)
		command_audit(run, "throttle %s in %u kbit/s", t.name, r.in);
	else
		command_audit(run, "throttle %s in %u out %u kbit/s", t.name,
		    r.in, r.out);
	command_print(run, "Throttling user %s\n", t.name);
}

void
do_no_throttle(struct command_run *run)
{
	struct session *s;
	bool was = false;
	struct target t;

	if (run->argc != 1) {
		command_print(run, "Specify username\n");
		return;
	}
	if (!target_find(run, run->argv[0], true, &t))
		return;
	for (s = t.first; s != NULL; s = target_next(&t, s)) {
		if ((s->flags & SF_THROTTLE) == 0)
			continue;
		was = true;
		(void)throttle_set(s, 0, 0);
	}
	if (!was) {
		command_print(run, "User %s not throttled\n", t.name);
		return;
	}
	command_audit(run, "no throttle %s", t.name);
	command_print(run, "Unthrottling user %s\n", t.name);
}

/* --- dropping ----------------------------------------------------------- */

static void
drop(struct session *s)
{
	session_shutdown(s, CAUSE_ADMIN_RESET, CDN_ADMIN, 0,
	    "dropped on request");
}

void
do_drop_session(struct command_run *run)
{
	struct session *s;
	uint32_t sid;

	if (run->argc == 0)
		command_print(run, "Specify a session ID\n");
	for (int i = 0; i < run->argc; i++) {
		if (!word_number(run->argv[i],
		    (uint64_t)lns.config.max_sessions, &sid)) {
			command_print(run, "Invalid session ID (1-%" PRId64
			    ")\n", lns.config.max_sessions);
			continue;
		}
		s = session_by_sid(sid);
		if (s == NULL || s->dying) {
			command_print(run, "Session %u is not active.\n", sid);
			continue;
		}
		command_audit(run, "drop session %u", sid);
		command_print(run, "Dropping session %u\n", sid);
		drop(s);
	}
}

static void
drop_tunnel(struct command_run *run, uint32_t tid)
{
	struct tunnel *t = tunnel_by_tid(tid);

	if (t == NULL || tunnel_local(t)->dying) {
		command_print(run, "Tunnel %u is not connected\n", tid);
		return;
	}
	if (tunnel_dropped(t)) {
		command_print(run, "Tunnel %u is already being shut down\n",
		    tid);
		return;
	}
	command_audit(run, "drop tunnel %u (%s), %u sessions", tid,
	    t->hostname, t->sessions);
	command_print(run, "Tunnel %u shut down (%s)\n", tid, t->hostname);
	(void)tunnel_drop(t);
}

void
do_drop_tunnel(struct command_run *run)
{
	uint32_t tid;

	if (run->argc == 0)
		command_print(run, "Specify a tunnel ID\n");
	for (int i = 0; i < run->argc; i++)
		if (!word_number(run->argv[i],
		    (uint64_t)lns.config.max_tunnels, &tid))
			command_print(run, "Invalid tunnel ID (1-%" PRId64
			    ")\n", lns.config.max_tunnels);
		else
			drop_tunnel(run, tid);
}

/* A guest account may have thousands of sessions. */
static bool
drop_user_more(struct command_run *run)
{
	const char *user = run->data;
	struct session *s;

	for (int i = 0; i < DROP_SLICE; i++) {
		s = session_by_user(user);
		if (s == NULL)
			return false;
		drop(s);
	}
	return true;
}

void
do_drop_user(struct command_run *run)
{
	struct target t;

	if (run->argc != 1) {
		command_print(run, "Specify a user\n");
		return;
	}
	if (!target_find(run, run->argv[0], false, &t))
		return;
	run->data = strdup(t.first->user);
	if (run->data == NULL) {
		command_print(run, "Out of memory\n");
		return;
	}
	run->more = drop_user_more;
	run->end = command_free;
	command_audit(run, "drop user %s", t.name);
	command_print(run, "Dropping user %s\n", t.name);
}

/* --- configuration ------------------------------------------------------ */

static bool
write_more(struct command_run *run)
{
	char err[512];

	run->wait = !config_written(err, sizeof(err));
	if (err[0] != '\0')
		command_print(run, "Error writing configuration: %s\n", err);
	return run->wait;
}

void
do_write_memory(struct command_run *run)
{
	char err[512];

	command_audit(run, "write memory");
	command_print(run, "Writing configuration\n");
	if (config_write(err, sizeof(err)))
		run->more = write_more;
	else
		command_print(run, "Error writing configuration: %s\n", err);
}

void
do_write(struct command_run *run)
{
	if (run->argc > 0)
		command_print(run, "Specify memory or terminal\n");
	else
		do_write_memory(run);
}

static bool
known_variable(const char *name)
{
	if (config_find(name) != NULL)
		return true;
	for (size_t i = 0; i < config_legacy_n; i++)
		if (strcmp(config_legacy[i].name, name) == 0)
			return true;
	return false;
}

void
do_set(struct command_run *run)
{
	const struct config_key *key;
	const char *name, *shown;
	char msg[512] = "";

	if (run->argc != 2) {
		command_print(run, "Specify variable and value\n");
		return;
	}
	name = run->argv[0];
	if (!known_variable(name)) {
		command_print(run, "Unknown variable \"%s\"\n", name);
		return;
	}
	if (!config_set_live(name, run->argv[1], msg, sizeof(msg))) {
		command_print(run, "%s\n", msg);
		return;
	}
	key = config_find(name);
	shown = key != NULL && key->type == C_SECRET ? "****" : run->argv[1];
	command_audit(run, "set %s \"%s\"", name, shown);
	command_print(run, "Setting \"%s\" to \"%s\"\n", name, shown);
	if (msg[0] != '\0')
		command_print(run, "%s\n", msg);
}

void
do_reload(struct command_run *run)
{
	char msg[512] = "";
	bool ok;

	command_audit(run, "reload");
	ok = config_reload(msg, sizeof(msg));
	if (ok)
		command_print(run, "Configuration loaded again\n");
	else
		command_print(run, "The running configuration stays in force\n");
	if (msg[0] != '\0')
		command_print(run, "%s\n", msg);
}

/* As SIGQUIT does: everybody is told. */
void
do_shutdown(struct command_run *run)
{
	command_audit(run, "shutdown");
	command_print(run, "Shutting down: %u sessions on %u tunnels are "
	    "disconnected\n", table_sessions(), table_tunnels());
	(void)raise(SIGQUIT);
}

/* --- plugins ------------------------------------------------------------ */

void
do_load_plugin(struct command_run *run)
{
	char err[256];

	if (run->argc != 1)
		command_print(run, "Specify a plugin to load\n");
	else if (plugin_loaded(run->argv[0]))
		command_print(run, "Plugin is already loaded\n");
	else {
		command_audit(run, "load plugin %s", run->argv[0]);
		command_print(run, "Loading plugin %s\n", run->argv[0]);
		if (!plugin_load(run->argv[0], err, sizeof(err))) {
			command_audit(run, "load plugin %s: not done: %s",
			    run->argv[0], err);
			command_print(run, "Plugin load failed: %s\n", err);
		}
	}
}

void
do_remove_plugin(struct command_run *run)
{
	char err[256];

	if (run->argc != 1)
		command_print(run, "Specify a plugin to remove\n");
	else if (!plugin_loaded(run->argv[0]))
		command_print(run, "Plugin is not loaded\n");
	else {
		command_audit(run, "remove plugin %s", run->argv[0]);
		command_print(run, "Removing plugin %s\n", run->argv[0]);
		if (!plugin_remove(run->argv[0], err, sizeof(err)))
			command_print(run, "Plugin remove failed: %s\n", err);
	}
}

/* --- BGP ---------------------------------------------------------------- */

#define PEER_TEXT	64

/*
 * One word at most, and a peer of that name or address; row is the first one
 * that is meant.  False, and said so, when there is none.
 */
static bool
bgp_target(struct command_run *run, struct bgp_row *row)
{
	char shown[4 * PEER_TEXT];
	uint32_t addr = 0;

	if (run->argc > 1) {
		command_print(run, "Specify one peer, or none for all\n");
		return false;
	}
	if (!bgp_row(0, row)) {
		command_print(run, "There are no BGP neighbours\n");
		return false;
	}
	if (run->argc == 0)
		return true;
	(void)config_ipv4(run->argv[0], &addr);
	for (size_t i = 0; bgp_row(i, row); i++)
		if (strcmp(row->name, run->argv[0]) == 0 ||
		    (addr != 0 && addr == row->addr))
			return true;
	command_print(run, "No such peer: %s\n", log_escape(shown,
	    sizeof(shown), run->argv[0], strlen(run->argv[0])));
	return false;
}

/* Says it of the peer that is meant, or of each. */
static void
say_of_peers(struct command_run *run, const char *what,
    const struct bgp_row *one)
{
	struct bgp_row row;

	if (run->argc == 1)
		command_print(run, "%s peer %s\n", what, one->name);
	for (size_t i = 0; run->argc == 0 && bgp_row(i, &row); i++)
		command_print(run, "%s peer %s\n", what, row.name);
}

void
do_suspend_bgp(struct command_run *run)
{
	struct bgp_row row;

	if (!bgp_target(run, &row))
		return;
	command_audit(run, "suspend bgp %s", run->argc > 0 ? row.name : "");
	say_of_peers(run, "Suspending", &row);
	if (run->argc == 0)
		bgp_suspend(true);
	else
		(void)bgp_suspend_peer(row.name, true);
}

void
do_no_suspend_bgp(struct command_run *run)
{
	struct bgp_row row;

	if (!bgp_target(run, &row))
		return;
	if (run->argc > 0 && bgp_suspended()) {
		command_print(run, "All peers are suspended: no suspend bgp "
		    "without a peer ends that\n");
		return;
	}
	command_audit(run, "no suspend bgp %s", run->argc > 0 ? row.name : "");
	say_of_peers(run, "Un-suspending", &row);
	if (run->argc == 0)
		bgp_suspend(false);
	else
		(void)bgp_suspend_peer(row.name, false);
}

void
do_restart_bgp(struct command_run *run)
{
	struct bgp_row row;

	if (!bgp_target(run, &row))
		return;
	command_audit(run, "restart bgp %s", run->argc > 0 ? row.name : "");
	say_of_peers(run, "Restarting", &row);
	(void)bgp_restart(run->argc > 0 ? row.name : NULL);
}

#define ROUTER_WORDS	8

/* For the log: but for the password, which is the last word. */
static void
audit_router(struct command_run *run, char *const *words, int n)
{
	char line[512] = "";

	for (int i = 0; i < n; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line),
		    "%s%s", i > 0 ? " " : "", i == 3 &&
		    strcmp(words[2], "password") == 0 ? "****" : words[i]);
	command_audit(run, "%s", line);
}

/* A keyword may be abbreviated, as far as it is one only. */
static char *
keyword(char *typed)
{
	static const char *const keywords[] = { "remote-as", "timers",
	    "update-source", "password", "ttl-security" };
	const char *found = NULL;
	size_t len = strlen(typed);

	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (strncmp(keywords[i], typed, len) != 0)
			continue;
		if (found != NULL)
			return typed;
		found = keywords[i];
	}
	return found != NULL ? (char *)(uintptr_t)found : typed;
}

/* The words as they would stand in the file, the command's own first. */
static void
router_line(struct command_run *run, const char *const *own, int n)
{
	char *words[ROUTER_WORDS], msg[512] = "";
	int all = n;

	for (int i = 0; i < n; i++)
		words[i] = (char *)(uintptr_t)own[i];
	for (int i = 0; i < run->argc && all < ROUTER_WORDS; i++)
		words[all++] = i == 1 ? keyword(run->argv[i]) : run->argv[i];
	if (config_router_live(all, words, msg, sizeof(msg)))
		audit_router(run, words, all);
	if (msg[0] != '\0')
		command_print(run, "%s\n", msg);
}

void
do_router_bgp(struct command_run *run)
{
	router_line(run, (const char *const []){ "router", "bgp" }, 2);
}

void
do_no_router_bgp(struct command_run *run)
{
	router_line(run, (const char *const []){ "no", "router", "bgp" }, 3);
}

void
do_neighbour(struct command_run *run)
{
	router_line(run, (const char *const []){ "neighbour" }, 1);
}

void
do_no_neighbour(struct command_run *run)
{
	router_line(run, (const char *const []){ "no", "neighbour" }, 2);
}
