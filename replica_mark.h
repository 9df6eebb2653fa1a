/*
 * replica_mark.h - which tunnels and sessions the slaves have to hear of
 *
 * The machines mark through replica.h; replica.c takes the marks from here.
 */
#ifndef REPLICA_MARK_H
#define REPLICA_MARK_H

#include <stdbool.h>
#include <stdint.h>

/* Room for so many slots.  False when memory is short. */
bool replica_marks_init(uint32_t sessions, uint32_t tunnels);
void replica_marks_exit(void);

/* Off, as in the beginning: nothing is marked, and what was is forgotten. */
void replica_marks_follow(bool);
bool replica_marks_followed(void);

/*
 * Takes the oldest mark of that kind; 0: there is none.  A slot that is gone
 * and in use again has two: what was there is gone, and what is there changed.
 */
uint32_t replica_mark_session(void);
uint32_t replica_mark_session_gone(void);
/* *whole: more than its numbers. */
uint32_t replica_mark_tunnel(bool *whole);
uint32_t replica_mark_tunnel_gone(void);

/* Changes that wait. */
uint32_t replica_marks(void);

/* Changes on a master since this was asked last, marked or not. */
uint64_t replica_marks_changes(void);

#endif
