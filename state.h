/*
 * state.h - saved state: pool, tunnels and sessions over a restart
 */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Ends what cannot be carried over: sessions that are not up by CDN, tunnels
 * that are half open by StopCCN.  Before state_save(), while sending works.
 */
void state_settle(void);

/*
 * Writes everything that another process needs to carry on: to a new file
 * beside path, synced, renamed over path; mode 0600.  The directory is made if
 * only that is missing.  True with a sentence about what was saved in msg, or
 * false with a reason, and path as it was.
 */
bool state_save(const char *path, char *msg, size_t size);

/*
 * Takes over what state_save() wrote, if it is whole, ours and at most
 * max_age seconds old; if not, nothing of it, but that accounts are closed that
 * are our own beyond doubt.  Call once, with network, RADIUS and pool ready, and
 * empty tables.
 *
 * The file is renamed to path.refused before it is looked at, and removed when
 * it has been taken over.  False with the reason in msg.  True with a sentence
 * about what was restored, or with "" when there was no file.
 */
bool state_restore(const char *path, long max_age, char *msg, size_t size);

/*
 * At the start, or when it has turned out that no other server goes on: what
 * save_state says, with the lines in the log.
 */
void state_take_over(void);

/* What an earlier run has left, when save_state is off: to path.refused. */
void state_discard(const char *path);

/*
 * state_restore() past the file: the records alone, `now` being the wall
 * clock.  For tests.
 */
bool state_load(const uint8_t *records, size_t len, int64_t now, long max_age,
    char *msg, size_t size);

#endif
