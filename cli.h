/*
 * cli.h - the command line: listener, terminals, who may
 *
 * A telnet connection is served by a process of its own (cli_term.c), which
 * has no rights and knows no secrets; it hands each command line to the
 * daemon, where cli.c decides whether it may run, and runs it in the loop.
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Begins to listen on cli_port.  Call with the users file read.  What goes
 * wrong is in the log; the server does well without a command line.
 */
void cli_start(void);

/* The users file was read again: who may connect may have changed. */
void cli_reconfigure(void);

/* Ends all terminals. */
void cli_stop(void);

/*
 * Is this process a terminal, or does it check a password?  argv[0] says so.
 * Then it does that, and *status is its exit status.
 */
bool cli_child(const char *argv0, int *status);

#endif
