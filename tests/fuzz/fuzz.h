/*
 * fuzz.h - what every fuzz target begins with
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "log.h"
#include "loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What must hold; the fuzzer keeps the input for which it does not. */
static inline void
check(bool sound)
{
	if (!sound)
		abort();
}

/* Faults of files that are none of the input: there are none. */
static inline void __attribute__((unused))
no_fault(const char *file, unsigned int line, const char *reason, void *arg)
{
	(void)file;
	(void)line;
	(void)reason;
	(void)arg;
	abort();
}

/* True once: a loop is there then, and a log that writes nothing. */
static inline bool __attribute__((unused))
fuzz_first(void)
{
	static bool done;

	if (done)
		return false;
	done = true;
	log_open("/dev/null", NULL, 0);
	log_set_level(LOG_L_DATA);
	return loop_init();
}

#endif
