/*
 * ippool.h - the addresses that sessions are given
 *
 * The file ip_pool holds one address or CIDR network a line; `A.B.C.D:` in
 * front limits a line to the server whose bind_address is A.B.C.D.  Within a
 * network the addresses whose last octet is 0 or 255 are not given out.
 * Choice: the address that this user had last, else one never used, else the
 * one released longest ago.  All addresses in host byte order.  Taking and
 * giving back cost the same whatever the size of the pool.  ip_allocated and
 * ip_freed are counted here; ip_exhausted by who refuses the session.
 */
#ifndef IPPOOL_H
#define IPPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

#define IPPOOL_MAX	1048576	/* addresses; those beyond are not used */

/*
 * Reads the file.  Faults are reported as config_load() does, bad lines are
 * skipped.  -1 when it cannot be read.  On a reload, addresses in use stay in
 * use (and leave the pool when released, if no longer listed) and the memory
 * of users is kept.
 */
int ippool_load(const char *path, uint32_t bind_address, config_fault_fn *,
    void *arg);

/* The same from memory, as config_parse() does; -1 when memory runs out. */
int ippool_parse(const char *file, char *text, size_t len,
    uint32_t bind_address, config_fault_fn *, void *arg);

/*
 * The number of files that were taken over: the same as before a load when
 * the file said nothing new.
 */
uint32_t ippool_editions(void);

/*
 * An address for this user (sticky by exact user name; "" or NULL: no
 * stickiness), marked used by sid; 0 when the pool is empty.
 */
uint32_t ippool_take(const char *user, uint32_t sid);

/*
 * Marks addr used by sid, as when RADIUS gave an address that lies in the
 * pool.  False if it is in use by another sid; true too if not in the pool.
 */
bool ippool_claim(uint32_t addr, const char *user, uint32_t sid);

/*
 * Gives addr back; user is remembered for it, and nobody if NULL or "".
 * No-op for an address that is not in the pool or not in use.
 */
void ippool_release(uint32_t addr, const char *user);

/* Takes an address out of the pool that nobody may have, in use or not. */
void ippool_exclude(uint32_t addr);

/* In the pool; and in the file as it is now, so within ippool_prefixes(). */
bool ippool_contains(uint32_t addr);
bool ippool_listed(uint32_t addr);
uint32_t ippool_size(void);
uint32_t ippool_used(void);

/*
 * One row for `show pool`.  last_user is who has it or had it last, "" if
 * never used or not remembered; good until the pool is touched.
 */
struct ippool_row {
	uint32_t addr, sid;		/* sid 0: not in use */
	uint64_t released;		/* timer_now() ms; 0: never used */
	const char *last_user;
};
/*
 * Walks in address order: row number i from 0; false past the end.  Those in
 * use that the file does not list any more come last.
 */
bool ippool_row(size_t i, struct ippool_row *);

/*
 * For another process.  Walks the free addresses that somebody had, the one
 * released longest ago first: *at is 0 at first; false at the end.
 */
bool ippool_released(uint32_t *at, struct ippool_row *);

/*
 * And its other end, called in that order: an address never used so far was
 * this user's until `age` ms ago.  Others are left alone.
 */
void ippool_remember(uint32_t addr, const char *user, uint64_t age);

/*
 * The routes that the pool needs: each CIDR line, each single address /32,
 * none twice.  Number i from 0; 0 at the end.
 */
size_t ippool_prefixes(size_t i, uint32_t *addr, uint8_t *len);

/* Forgets everything (tests, exit). */
void ippool_clear(void);

#endif
