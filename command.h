/*
 * command.h - the table of commands, and what runs them
 *
 * One row a command is the whole truth: the tree and the `?` help that libcli
 * shows, the check of who may, the function that runs in the loop, and the
 * table of the manual page.  (libcli has its own `struct cli_command`, hence
 * the prefix.)
 *
 * A command line is typed in a terminal's own process (cli_term.c), travels to
 * the daemon as text, runs in the loop, and its output travels back as it is
 * made: a command with much to say gives it in slices.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum command_level { FOR_ALL, FOR_ENABLED };

#define IN_EXEC		1	/* at `hostname>` and `hostname#` */
#define IN_CONFIG	2	/* at `hostname(config)#` */
#define IN_ROUTER	16	/* at `hostname(config-router)#` */
#define IN_ANY		(IN_EXEC | IN_CONFIG | IN_ROUTER)
#define IN_FULL		4	/* never abbreviated, in nobody's way: `shutdown` */
#define IN_PRIVATE	8	/* what was done is for the enabled to know */
#define IN_MASTER	32	/* changes sessions: the cluster's master only */

/* One argument, for `?`, the synopsis and completion. */
struct command_arg {
	const char *name;		/* "SID", or a word to type: "all" */
	const char *help;
	unsigned int flags;
	/*
	 * Completions: the nth word that may stand here, or NULL; runs in the
	 * terminal's process, so only over static tables (config keys).
	 */
	const char *(*word)(size_t n);
	const char *(*word_help)(size_t n);	/* of that word, or NULL */
};
#define ARG_OPTIONAL	1
#define ARG_MANY	2	/* may be given again and again */
#define ARG_KEYWORD	4	/* typed as it stands */

struct command_run;

struct command {
	const char *words;		/* "show session" */
	enum command_level level;
	unsigned int modes;		/* one of these, or IN_ANY */
	const struct command_arg *args;	/* ended by a NULL name, or NULL */
	const char *help;		/* one line, lower case, no full stop */
	/* NULL: `exit` and the like, which the terminal does by itself */
	void (*run)(struct command_run *);
};

extern const struct command commands[];
extern const size_t commands_n;

/* What is said of a word that stands before others: `show`, `no`. */
struct command_group { const char *words, *help; };
extern const struct command_group command_groups[];
extern const size_t command_groups_n;

/* One command line on its way; owned by cli.c. */
struct command_run {
	const struct command *command;
	int argc;			/* words after the command's own */
	char **argv;
	const char *user;		/* who is logged in; "" without users */
	const char *from;		/* "192.0.2.7", for the log */
	bool enabled;
	unsigned int width;		/* columns of the terminal; 0: any */

	/*
	 * To give the output in slices, run() sets `more`, which is called
	 * whenever there is room for output, does a bounded piece of work (at
	 * most a few hundred rows) and returns true while there is more to
	 * come.  `at` and `data` are its own; `end`, if set, runs once when the
	 * command is over or the terminal is gone, and frees data.  `more` may
	 * set `wait` when it has nothing yet: it is asked again in a moment.
	 */
	bool (*more)(struct command_run *);
	bool wait;
	uint64_t at;
	void *data;
	void (*end)(struct command_run *);

	struct terminal *terminal;	/* cli.c's own */
};

/* Adds to the output; lines end in \n, which is yours to print. */
void command_print(struct command_run *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* An `end` for a `data` that came from malloc(). */
static inline void
command_free(struct command_run *run)
{
	free(run->data);
	run->data = NULL;
}

/* Logs, whatever the level, that this terminal's user did something. */
void command_audit(const struct command_run *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * The row that these words name, abbreviated as far as unique in this mode (an
 * exact word before those that it begins); *used says how many words were its
 * own.  NULL when none or several match.
 */
const struct command *command_find(int argc, char *const *argv,
    unsigned int mode, int *used);

/* --- the functions of the rows ------------------------------------------ */

/* cli_show.c: what only looks. */
void show_session(struct command_run *);
void show_users(struct command_run *);
void show_tunnels(struct command_run *);
void show_pool(struct command_run *);
void show_radius(struct command_run *);
void show_running_config(struct command_run *);
void show_counters(struct command_run *);
void show_cluster(struct command_run *);
void show_plugins(struct command_run *);
void show_throttle(struct command_run *);
void show_version(struct command_run *);
void show_histogram(struct command_run *);	/* argv: idle | open */
void show_bgp(struct command_run *);
void show_uptime(struct command_run *);
void show_ipcache(struct command_run *);

/* cli_do.c: what changes something. */
void do_clear_counters(struct command_run *);
void do_write(struct command_run *);
void do_write_memory(struct command_run *);
void do_snoop(struct command_run *);
void do_no_snoop(struct command_run *);
void do_throttle(struct command_run *);
void do_no_throttle(struct command_run *);
void do_drop_session(struct command_run *);
void do_drop_tunnel(struct command_run *);
void do_drop_user(struct command_run *);
void do_set(struct command_run *);
void do_load_plugin(struct command_run *);
void do_remove_plugin(struct command_run *);
void do_reload(struct command_run *);
void do_shutdown(struct command_run *);
void do_suspend_bgp(struct command_run *);
void do_no_suspend_bgp(struct command_run *);
void do_restart_bgp(struct command_run *);
void do_router_bgp(struct command_run *);
void do_no_router_bgp(struct command_run *);
void do_neighbour(struct command_run *);
void do_no_neighbour(struct command_run *);

/* cli.c: what concerns the terminal itself. */
void do_debug(struct command_run *);
void do_no_debug(struct command_run *);
void do_terminal_width(struct command_run *);
void do_terminal_length(struct command_run *);

#endif
