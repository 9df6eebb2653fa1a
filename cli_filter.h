/*
 * cli_filter.h - what may stand behind a pipe in a terminal
 */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include <stdbool.h>

struct cli_def;

/* Replaces libcli's filters by ours.  False when out of memory. */
bool cli_filter_register(struct cli_def *);

#endif
