/*
 * counters.c - the counters and the list of their names
 *
 * The list itself is COUNTERS() in counters.h; here it becomes the one set of
 * numbers and the rows that the CLI and the documentation walk.
 *
 * Owns:     `counters`.  Everybody adds to it, nobody else sets it back.
 * Calls:    nothing.
 * Lifetime: static; zero at start and after counters_clear().
 */
#include "counters.h"

#include <string.h>

struct counters counters;

const struct counter_row counter_rows[] = {
#define X(name, help) { #name, help, offsetof(struct counters, name) },
	COUNTERS(X)
#undef X
};

const size_t counter_rows_n = sizeof(counter_rows) / sizeof(counter_rows[0]);

uint64_t
counter_value(const struct counter_row *row)
{
	uint64_t value;

	memcpy(&value, (const char *)&counters + row->off, sizeof(value));
	return value;
}

void
counters_clear(void)
{
	memset(&counters, 0, sizeof(counters));
}
