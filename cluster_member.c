/*
 * cluster_member.c - the other members: who is there, and whom to believe
 *
 * A table of a few rows, walked.  The challenge changes whenever a member is
 * admitted or dropped, so that what an admitted epoch has said back, recorded,
 * never admits it a second time.
 *
 * Owns:     the table, the challenge.
 * Calls:    digest.h for randomness.
 * Lifetime: members_init() to the end of the process.
 */
#include "cluster_member.h"

#include "digest.h"

#define TELL_APART	1000		/* ms */

static struct member members[CW_MEMBERS_MAX];
static uint64_t challenge;

static void
new_challenge(void)
{
	digest_random(&challenge, sizeof(challenge));
}

void
members_init(void)
{
	memset(members, 0, sizeof(members));
	new_challenge();
}

uint64_t
members_challenge(void)
{
	return challenge;
}

struct member *
member_next(const struct member *m)
{
	size_t i = m != NULL ? (size_t)(m - members) + 1 : 0;

	for (; i < CW_MEMBERS_MAX; i++)
		if (members[i].addr != 0)
			return &members[i];
	return NULL;
}

struct member *
member_find(uint32_t addr)
{
	struct member *m;

	for (m = member_next(NULL); m != NULL; m = member_next(m))
		if (m->addr == addr)
			return m;
	return NULL;
}

uint32_t
members_count(void)
{
	struct member *m = NULL;
	uint32_t n = 0;

	while ((m = member_next(m)) != NULL)
		n++;
	return n;
}

struct member *
member_admit(uint32_t addr, uint64_t epoch, uint64_t now)
{
	struct member *m = member_find(addr);

	for (size_t i = 0; m == NULL && i < CW_MEMBERS_MAX; i++)
		if (members[i].addr == 0)
			m = &members[i];
	if (m == NULL)
		return NULL;
	*m = (struct member){ .addr = addr, .epoch = epoch, .heard = now,
	    .hears_us = now, .started = now };
	new_challenge();
	return m;
}

void
member_drop(struct member *m)
{
	*m = (struct member){ 0 };
	new_challenge();
}

void
members_excuse(uint64_t ms)
{
	struct member *m = NULL;

	while ((m = member_next(m)) != NULL) {
		m->heard += ms;
		m->heard_group += ms;
		m->hears_us += ms;
	}
}

bool
member_is_senior(uint64_t started_a, uint32_t addr_a, uint64_t started_b,
    uint32_t addr_b)
{
	int64_t earlier = (int64_t)(started_b - started_a);

	if (earlier > TELL_APART || earlier < -TELL_APART)
		return earlier > 0;
	return addr_a > addr_b;
}
