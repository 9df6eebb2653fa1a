/*
 * bgp_rib.h - the prefixes to be announced, and what each peer has of them
 *
 * One table for all: RFC 4271 1.1 would call it the Loc-RIB, with the
 * Adj-RIBs-Out as bits in it.  Addresses are in host byte order.
 */
#ifndef BGP_RIB_H
#define BGP_RIB_H

#include <stdbool.h>
#include <stdint.h>

/* Why a prefix is there: as long as routes are raised, or in any case. */
enum rib_kind { RIB_RAISED, RIB_ALWAYS, RIB_KINDS };

/*
 * Counted, each kind for itself.  rib_add() is false when out of memory;
 * rib_sub() of what is not there does nothing.
 */
bool rib_add(uint32_t addr, uint8_t len, enum rib_kind);
void rib_sub(uint32_t addr, uint8_t len, enum rib_kind);

/* Are those that depend on it announced?  They are not at first. */
void rib_raise(bool);
bool rib_raised(void);

/*
 * What one peer has.  It belongs to the peer; rib_join() begins with nothing,
 * and is false when RIB_VIEWS have joined already.
 */
#define RIB_VIEWS	32
struct rib_view {
	uint32_t bit;			/* 0: not joined */
	bool muted;			/* this peer shall have nothing */
	bool walking, again;
	uint32_t at;			/* of the walk */
	uint64_t heard;			/* of the journal */
	uint32_t prefixes;		/* that the peer has */
};
bool rib_join(struct rib_view *);
void rib_leave(struct rib_view *);

/* All of it is to be looked at again: `muted` or rib_raise() has changed. */
void rib_review(struct rib_view *);

/* All of it is to be said again (RFC 2918 4). */
void rib_repeat(struct rib_view *);

/* Something may be left to tell this peer. */
bool rib_pending(const struct rib_view *);

/*
 * The next that this peer is to be told, who has heard of it from then on.
 * False if there is nothing, or when *looks, which goes down with each prefix
 * that is looked at, is 0: rib_pending() knows which.
 */
struct rib_change {
	uint32_t addr;
	uint8_t len;
	bool withdraw;
};
bool rib_next(struct rib_view *, unsigned int *looks, struct rib_change *);

/* How many there are, whoever has them. */
uint32_t rib_count(void);

/* Forgets everything; views that have joined must not be used any more. */
void rib_clear(void);

#endif
