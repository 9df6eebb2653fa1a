/*
 * table.h - tunnel and session slots
 *
 * Slots are numbered from 1; one given back is the next to be given out, and
 * memory (one reserved mapping each) grows with the peak number in use only.
 * Every access by number goes through the checked accessors here: an id that
 * is out of range or free gives NULL.  In ASan builds free slots are poisoned.
 */
#ifndef TABLE_H
#define TABLE_H

#include "l2tpns.h"
#include "tunnel.h"

/* Reserves both tables.  False with errno set when there is no room. */
bool table_init(uint32_t max_sessions, uint32_t max_tunnels);
void table_free(void);

/* A zeroed slot with sid/tid set, or NULL when full. */
struct session *table_session_new(void);
struct tunnel *table_tunnel_new(void);

/*
 * The slot of this number, zeroed with sid/tid set; NULL when it is in use or
 * past what table_init() reserved.
 */
struct session *table_session_at(uint32_t sid);
struct tunnel *table_tunnel_at(uint32_t tid);

/* Gives a slot back; everything hanging off its local part must be gone. */
void table_session_del(struct session *);
void table_tunnel_del(struct tunnel *);

struct session *session_by_sid(uint32_t sid);
struct tunnel *tunnel_by_tid(uint32_t tid);

/* Of a slot in use. */
struct session_local *session_local(const struct session *);
struct tunnel_local *tunnel_local(const struct tunnel *);

/* Walks: `for (s = session_next(0); s; s = session_next(s->sid))`. */
struct session *session_next(uint32_t after_sid);
struct tunnel *tunnel_next(uint32_t after_tid);

uint32_t table_sessions(void);		/* in use */
uint32_t table_tunnels(void);
uint32_t table_highest_session(void);	/* number in use; 0: none is */
uint32_t table_highest_tunnel(void);

#endif
