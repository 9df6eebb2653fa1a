/*
 * command.c - the table of commands
 *
 * A command is one row of commands[]: its words, who may, where, what it takes,
 * a line of help, and the function that runs in the loop.  The tree and the
 * help of the terminals, the check of who may, and the table of the manual
 * page know nothing that is not in the row.
 *
 * Rows without a function are done by the terminal's own process
 * (cli_term.c), which has them by the same words.
 *
 * Owns:     the tables.
 * Calls:    config (the names of the keys, as completions).
 * Lifetime: static.  Linked into the daemon, which is its own terminals too.
 */
#include "command.h"

#include <string.h>
#include <strings.h>

#include "config.h"

#define LEN(a)		(sizeof(a) / sizeof((a)[0]))

/* ---- arguments ---- */

static const char *
key_name(size_t n)
{
	return n < config_keys_n ? config_keys[n].name : NULL;
}

static const char *
key_help(size_t n)
{
	return n < config_keys_n ? config_keys[n].help : NULL;
}

#define END		{ NULL, NULL, 0, NULL, NULL }
#define NEEDS(name, help) { name, help, 0, NULL, NULL }
#define TAKES(name, help) { name, help, ARG_OPTIONAL, NULL, NULL }
#define MANY(name, help) \
	{ name, help, ARG_OPTIONAL | ARG_MANY, NULL, NULL }
#define WORD(name, help) \
	{ name, help, ARG_OPTIONAL | ARG_KEYWORD, NULL, NULL }
#define WORDS(name, help) \
	{ name, help, ARG_OPTIONAL | ARG_KEYWORD | ARG_MANY, NULL, NULL }
#define JSON		WORD("json", "the same for programs")

static const struct command_arg json_args[] = { JSON, END };
static const struct command_arg session_args[] = {
	JSON, MANY("SID", "everything about this session"), END
};
static const struct command_arg users_args[] = {
	JSON, MANY("NAME", "everything about this user's session"), END
};
static const struct command_arg tunnel_args[] = {
	JSON, WORD("all", "unused ones too"),
	MANY("TID", "everything about this tunnel"), END
};
static const struct command_arg all_args[] = {
	JSON, WORD("all", "unused ones too"), END
};
static const struct command_arg histogram_args[] = {
	WORD("idle", "how long sessions have been silent"),
	WORD("open", "how long sessions have been open"), JSON, END
};
static const struct command_arg snoop_args[] = {
	NEEDS("USER", "whose packets are copied"),
	TAKES("IP", "where the copies go; else to snoop_host"),
	TAKES("PORT", "UDP port there; else snoop_port"), END
};
static const struct command_arg throttle_args[] = {
	NEEDS("USER", "name of the user, or number of the session"),
	WORD("in", "a rate from the subscriber follows"),
	WORD("out", "a rate to the subscriber follows"),
	MANY("RATE", "kbit/s; else throttle_speed"), END
};
static const struct command_arg user_args[] = {
	NEEDS("USER", "name of the user"), END
};
static const struct command_arg user_or_sid_args[] = {
	NEEDS("USER", "name of the user, or number of the session"), END
};
static const struct command_arg sid_args[] = {
	NEEDS("SID", "number of the session, from show session"), END
};
static const struct command_arg tid_args[] = {
	NEEDS("TID", "number of the tunnel, from show tunnel"), END
};
static const struct command_arg plugin_args[] = {
	NEEDS("NAME", "name of the plugin, without .so"), END
};
static const struct command_arg set_args[] = {
	{ "KEY", "a key of startup-config", 0, key_name, key_help },
	NEEDS("VALUE", "its new value; quoted if there are blanks in it"), END
};
static const struct command_arg debug_args[] = {
	WORDS("critical", "things are probably broken"),
	WORDS("error", "something went wrong"),
	WORDS("warning", "logins, refusals, what is lost"),
	WORDS("info", "tunnels and calls as they come and go"),
	WORDS("calls", "every control message"),
	WORDS("data", "every packet"),
	WORDS("all", "everything but data"), END
};
static const struct command_arg width_args[] = {
	NEEDS("COLUMNS", "0: lines as long as they are; auto: the window's"),
	END
};
static const struct command_arg length_args[] = {
	NEEDS("LINES", "0: output does not stop, which it never does here"),
	END
};

static const struct command_arg bgp_args[] = {
	JSON, MANY("PEER", "everything about this neighbour"), END
};
static const struct command_arg peer_args[] = {
	TAKES("PEER", "name or address of the neighbour; else all of them"),
	END
};
static const struct command_arg as_args[] = {
	NEEDS("AS", "our autonomous system"), END
};
static const struct command_arg neighbour_args[] = {
	NEEDS("PEER", "name or address of the neighbour"),
	WORD("remote-as", "its autonomous system follows"),
	WORD("timers", "seconds between KEEPALIVEs, and its hold time"),
	WORD("update-source", "the address of ours that it knows"),
	WORD("password", "the one that packets are signed with (TCP-MD5)"),
	WORD("ttl-security", "it must send with TTL 255 (RFC 5082)"),
	MANY("VALUE", "what the word before it asks for"), END
};
static const struct command_arg no_neighbour_args[] = {
	NEEDS("PEER", "name or address of the neighbour"),
	WORD("timers", "bgp_keepalive_time and bgp_hold_time again"),
	WORD("update-source", "any address of ours again"),
	WORD("password", "none any more"),
	WORD("ttl-security", "any TTL again"), END
};

/* ---- commands ---- */

#define SHOW(words, args, help, run) \
	{ words, FOR_ALL, IN_ANY, args, help, run }
#define ENABLED(words, args, help, run) \
	{ words, FOR_ENABLED, IN_EXEC, args, help, run }
#define CHANGES(words, args, help, run) \
	{ words, FOR_ENABLED, IN_EXEC | IN_MASTER, args, help, run }
#define CONFIG(words, args, help, run) \
	{ words, FOR_ENABLED, IN_CONFIG, args, help, run }
#define ROUTER(words, args, help, run) \
	{ words, FOR_ENABLED, IN_ROUTER, args, help, run }

const struct command commands[] = {
	SHOW("show session", session_args,
	    "sessions, or all about some of them", show_session),
	SHOW("show users", users_args,
	    "who is connected, or the sessions of these users", show_users),
	SHOW("show tunnels", tunnel_args,
	    "open tunnels, or all about some of them", show_tunnels),
	SHOW("show pool", all_args,
	    "addresses in use or kept for a user", show_pool),
	SHOW("show radius", all_args,
	    "RADIUS requests that wait for an answer", show_radius),
	SHOW("show running-config", NULL,
	    "the configuration in force, as it can be pasted",
	    show_running_config),
	SHOW("show counters", json_args,
	    "bytes, packets and events since the last clear", show_counters),
	SHOW("show cluster", json_args,
	    "state of the cluster", show_cluster),
	SHOW("show plugins", json_args,
	    "plugins that are loaded", show_plugins),
	SHOW("show throttle", json_args,
	    "sessions that are slowed down", show_throttle),
	SHOW("show tbf", json_args,
	    "the same, as it is called in l2tpns 2", show_throttle),
	SHOW("show version", NULL,
	    "version of the program", show_version),
	SHOW("show histogram", histogram_args,
	    "how long sessions have been idle or open", show_histogram),
	SHOW("show bgp", bgp_args,
	    "BGP neighbours, or all about some of them", show_bgp),
	SHOW("show ipcache", json_args,
	    "which session has which address", show_ipcache),
	SHOW("uptime", NULL,
	    "time since the start, users, load, bandwidth", show_uptime),

	ENABLED("clear counters", NULL,
	    "set the counters to zero", do_clear_counters),
	{ "write", FOR_ENABLED, IN_ANY, NULL,
	    "write the configuration: alone as write memory", do_write },
	{ "write memory", FOR_ENABLED, IN_ANY, NULL,
	    "write the configuration in force to startup-config",
	    do_write_memory },
	SHOW("write terminal", NULL,
	    "show the configuration in force", show_running_config),
	{ "snoop", FOR_ENABLED, IN_EXEC | IN_PRIVATE | IN_MASTER,
	    snoop_args,
	    "copy the packets of a user to another host", do_snoop },
	{ "no snoop", FOR_ENABLED, IN_EXEC | IN_PRIVATE | IN_MASTER,
	    user_args,
	    "end the copying", do_no_snoop },
	CHANGES("throttle", throttle_args,
	    "slow a user down", do_throttle),
	CHANGES("no throttle", user_or_sid_args,
	    "back to full speed", do_no_throttle),
	CHANGES("drop session", sid_args,
	    "disconnect a session", do_drop_session),
	CHANGES("drop tunnel", tid_args,
	    "disconnect a tunnel and all its sessions", do_drop_tunnel),
	CHANGES("drop user", user_args,
	    "disconnect a user", do_drop_user),
	ENABLED("reload", NULL,
	    "read startup-config and the files beside it again", do_reload),
	{ "shutdown", FOR_ENABLED, IN_EXEC | IN_FULL, NULL,
	    "disconnect everybody and stop the server", do_shutdown },

	ENABLED("suspend bgp", peer_args,
	    "withdraw everything from BGP neighbours", do_suspend_bgp),
	ENABLED("no suspend bgp", peer_args,
	    "announce it again", do_no_suspend_bgp),
	ENABLED("restart bgp", peer_args,
	    "end BGP sessions and begin them again", do_restart_bgp),

	CONFIG("set", set_args,
	    "give a key a value", do_set),
	CONFIG("load plugin", plugin_args,
	    "load a plugin", do_load_plugin),
	CONFIG("remove plugin", plugin_args,
	    "remove a plugin that is loaded", do_remove_plugin),
	CONFIG("router bgp", as_args,
	    "speak BGP as this AS; its neighbours follow, up to exit",
	    do_router_bgp),
	CONFIG("no router bgp", NULL,
	    "speak no BGP, and forget these neighbours", do_no_router_bgp),
	ROUTER("neighbour", neighbour_args,
	    "connect to a BGP neighbour, or say how", do_neighbour),
	/* In full, so that `nei` is one of the two. */
	{ "neighbor", FOR_ENABLED, IN_ROUTER | IN_FULL, neighbour_args,
	    "the same", do_neighbour },
	ROUTER("no neighbour", no_neighbour_args,
	    "forget a neighbour, or what was said of it", do_no_neighbour),
	{ "no neighbor", FOR_ENABLED, IN_ROUTER | IN_FULL, no_neighbour_args,
	    "the same", do_no_neighbour },

	{ "debug", FOR_ALL, IN_EXEC, debug_args,
	    "show log lines of these levels as they come", do_debug },
	{ "no debug", FOR_ALL, IN_EXEC, debug_args,
	    "no log lines any more, or none of these levels", do_no_debug },
	{ "terminal width", FOR_ALL, IN_ANY, width_args,
	    "leave columns out of wide lists to make them fit",
	    do_terminal_width },
	{ "terminal length", FOR_ALL, IN_ANY, length_args,
	    "taken for the sake of scripts", do_terminal_length },

	{ "configure terminal", FOR_ENABLED, IN_EXEC, NULL,
	    "change the configuration", NULL },
	{ "enable", FOR_ALL, IN_EXEC, NULL,
	    "turn on privileged commands", NULL },
	{ "disable", FOR_ENABLED, IN_EXEC, NULL,
	    "turn off privileged commands", NULL },
	{ "end", FOR_ENABLED, IN_ANY | IN_FULL, NULL,	/* `en` is enable */
	    "leave configuration mode, as ^Z does", NULL },
	{ "exit", FOR_ALL, IN_ANY, NULL,
	    "leave configuration mode, or disconnect", NULL },
	{ "quit", FOR_ALL, IN_ANY, NULL,
	    "disconnect", NULL },
	{ "logout", FOR_ALL, IN_ANY, NULL,
	    "disconnect", NULL },
	{ "help", FOR_ALL, IN_ANY, NULL,
	    "show all commands", NULL },
	{ "history", FOR_ALL, IN_ANY, NULL,
	    "show the commands typed here", NULL },
};

const size_t commands_n = LEN(commands);

const struct command_group command_groups[] = {
	{ "show", "show what is going on" },
	{ "clear", "set something to zero" },
	{ "write", "write the configuration" },
	{ "no", "undo a command" },
	{ "drop", "disconnect" },
	{ "load", "load a plugin" },
	{ "remove", "remove a plugin" },
	{ "terminal", "settings of this terminal" },
	{ "configure", "enter configuration mode" },
	{ "suspend", "be silent for a while" },
	{ "restart", "begin again" },
	{ "router", "speak a routing protocol" },
};

const size_t command_groups_n = LEN(command_groups);

/* ---- finding one ---- */

/* The nth word of a row and its length; NULL past the end. */
static const char *
row_word(const struct command *c, int n, size_t *len)
{
	const char *p = c->words;

	for (; n > 0; n--) {
		p = strchr(p, ' ');
		if (p == NULL)
			return NULL;
		p++;
	}
	*len = strcspn(p, " ");
	return p;
}

enum match { NOT, BEGINS, EXACT };

static enum match
match_word(const struct command *c, int n, const char *typed)
{
	size_t len, typed_len = strlen(typed);
	const char *word = row_word(c, n, &len);

	if (word == NULL || typed_len == 0 || typed_len > len ||
	    strncasecmp(word, typed, typed_len) != 0)
		return NOT;
	if (typed_len == len)
		return EXACT;
	return (c->modes & IN_FULL) != 0 ? NOT : BEGINS;
}

/*
 * Of the rows that `in` marks, marks in `out` those whose nth word fits best.
 * False when none fits, or when different words fit alike.
 */
static bool
narrow(const bool *in, bool *out, int n, const char *typed)
{
	enum match best = NOT, m;
	const char *word, *first = NULL;
	size_t len = 0, first_len = 0, i;

	for (i = 0; i < commands_n; i++) {
		m = in[i] ? match_word(&commands[i], n, typed) : NOT;
		if (m > best)
			best = m;
	}
	for (i = 0; i < commands_n && best != NOT; i++) {
		out[i] = in[i] && match_word(&commands[i], n, typed) == best;
		if (!out[i])
			continue;
		word = row_word(&commands[i], n, &len);
		if (first == NULL) {
			first = word;
			first_len = len;
		} else if (len != first_len || strncmp(word, first, len) != 0)
			return false;
	}
	return best != NOT;
}

const struct command *
command_find(int argc, char *const *argv, unsigned int mode, int *used)
{
	bool in[LEN(commands)], out[LEN(commands)];
	const struct command *found = NULL;
	size_t i, len;
	int n;

	*used = 0;
	for (i = 0; i < commands_n; i++)
		in[i] = (commands[i].modes & mode & IN_ANY) != 0;
	for (n = 0; n < argc && narrow(in, out, n, argv[n]); n++) {
		memcpy(in, out, sizeof(in));
		for (i = 0; i < commands_n; i++)
			if (in[i] && row_word(&commands[i], n + 1,
			    &len) == NULL) {
				found = &commands[i];
				*used = n + 1;
			}
	}
	return found;
}
