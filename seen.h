/*
 * seen.h - has this been here before?  A memory of fixed size for floods
 *
 * Who floods us from forged addresses does not come twice from one of them;
 * who is real repeats what got no answer (RFC 2661 5.8).  So under a flood the
 * first of a kind is only remembered, by 32 bits, and the second let in.
 */
#ifndef SEEN_H
#define SEEN_H

#include <stdbool.h>
#include <stdint.h>

#define SEEN_SETS	262144
#define SEEN_WAYS	4

/* All zero is empty.  4 MiB, of which only what is written to is held. */
struct seen {
	uint64_t key;			/* random: nobody can aim at a set */
	uint32_t entry[SEEN_SETS][SEEN_WAYS];	/* tag, time */
};

/* Between these two, in ms, a repeat is one; else it is remembered anew. */
#define SEEN_SOON	500
#define SEEN_LATE	20000

/*
 * True if `what` was asked about before, SEEN_SOON to SEEN_LATE ms ago.  Wrong
 * once in 16,000 times; with 200,000 others a second, what was here a second
 * ago is still known 99 times in 100.
 */
bool seen_before(struct seen *, uint64_t what);

#endif
