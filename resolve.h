/*
 * resolve.h - the address of a name, by a process of its own
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct resolve;

/*
 * Asks for the IPv4 address of a name: done() runs in the loop with it (host
 * byte order), or with 0 and why there is none.  NULL with errno set when it
 * cannot be asked.
 */
struct resolve *resolve_start(const char *name, void (*done)(void *arg,
    uint32_t addr, const char *why), void *arg);

/* done() will not be called any more.  Not from within done(). */
void resolve_cancel(struct resolve *);

/*
 * main() asks whether it is that process: true when so, with the exit status.
 */
bool resolve_child(int argc, char *const argv[], int *status);

#endif
