/*
 * state.h - saved state: pool, tunnels and sessions over a restart
 */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Writes everything that another process needs to carry on, atomically, mode
 * 0600.  False with a reason in err.
 */
bool state_save(const char *path, char *err, size_t errlen);

/*
 * Takes over what state_save() wrote, if it is whole, ours and at most
 * max_age seconds old, and removes the file in any case.  Call with tables,
 * network, RADIUS and pool ready.  False with a reason in err: nothing was
 * restored.  True with "" in err when there was no file.
 */
bool state_restore(const char *path, long max_age, char *err, size_t errlen);

#endif
