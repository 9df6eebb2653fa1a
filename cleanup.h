/*
 * cleanup.h - regular housekeeping, every cleanup_interval
 */
#ifndef CLEANUP_H
#define CLEANUP_H

/* Starts the clock. */
void cleanup_init(void);

/* One clean-up now; the clock calls it. */
void cleanup_run(void);

#endif
