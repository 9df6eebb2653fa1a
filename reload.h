/*
 * reload.h - the configuration in force: loaded, changed, written
 *
 * startup-config is read at start and on SIGHUP; `set` changes one key while
 * running; `write memory` writes what is in force.
 */
#ifndef RELOAD_H
#define RELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What the command line says of the configuration; it outlives every reload. */
struct config_args {
	const char *file;		/* startup-config; kept, not copied */
	const char *hostname;		/* NULL: not given */
	int verbose;			/* added to the key `debug` */
};

/*
 * Reads startup-config into lns.config, opens the log that it names, and logs
 * every fault there.  False with the reason in err when it cannot be read.
 */
bool config_start(const struct config_args *, char *err, size_t errlen);

/* Reads what lies beside it; call it when the network is ready for routes. */
void config_start_files(void);

/* The server is ready: from now on `debug` alone says what is logged. */
void config_started(void);

/* `l2tpns -t`: reads everything, prints every fault; true if there is none. */
bool config_check_files(const struct config_args *);

/*
 * Reads startup-config and the files beside it again and applies what
 * changed.  False, the running configuration untouched, and a sentence in msg
 * when it has faults (each fault is in the log).
 */
bool config_reload(char *msg, size_t size);

/*
 * `set KEY VALUE`: takes effect at once if the key is LIVE.  False with the
 * reason in msg; true with "" in msg, or with a sentence when it takes effect
 * after a restart only, or does not fit another key yet.  A RESTART key's new
 * value is in `show running-config` and in what `write memory` writes.
 */
bool config_set_live(const char *key, const char *value, char *msg,
    size_t size);

/*
 * One of the lines of config_router(), with effect at once.  False with the
 * reason in msg; true with "" in msg, or with a remark.
 */
bool config_router_live(int n, char *const *words, char *msg, size_t size);

/*
 * The running configuration as lines that can be pasted or loaded, line
 * number i from 0: "# Current configuration:", set lines, `router bgp` and its
 * neighbours if there are any, "# Plugins", load plugin lines, "# end".  False
 * past the end.  Secrets come masked unless `secrets`.  No line needs more than
 * CONFIG_LINE bytes.
 */
bool config_line(size_t i, bool secrets, char *dst, size_t size);

/* The path of startup-config, as it was given. */
const char *config_file(void);

/* Says in the log what a user who is not root will miss. */
void config_check_access(void);

/* The path of a file that lies beside startup-config; valid until called again. */
const char *config_path(const char *name);

#endif
