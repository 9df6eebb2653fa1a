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

/*
 * Reads startup-config and the files beside it again and applies what
 * changed.  False, the running configuration untouched, and a sentence in msg
 * when it has faults (each fault is in the log).
 */
bool config_reload(char *msg, size_t size);

/*
 * `set KEY VALUE`: takes effect at once if the key is LIVE.  False with the
 * reason in msg; true with "" in msg, or with a sentence when it takes effect
 * after a restart only.  A RESTART key's new value is in `show running-config`
 * and in what `write memory` writes.
 */
bool config_set_live(const char *key, const char *value, char *msg,
    size_t size);

/*
 * The running configuration as lines that can be pasted or loaded, line
 * number i from 0: "# Current configuration:", set lines, "# Plugins", load
 * plugin lines, "# end".  False past the end.  Secrets come masked unless
 * `secrets`.
 */
bool config_line(size_t i, bool secrets, char *dst, size_t size);

/*
 * Writes it to startup-config: to a new file beside it, synced, renamed over
 * the old one, whose mode and owner it keeps.  False with a reason in err.
 */
bool config_write(char *err, size_t errlen);

#endif
