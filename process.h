/*
 * process.h - the process among others: pid_file, scheduler, memory
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Opens and locks pid_file, before anything else is touched that a second
 * server would fight for.  False with a reason when another one holds it.  A
 * file that cannot be had costs the file, with a line in the log.
 */
bool pid_file_lock(char *err, size_t errlen);

/* Writes the pid into it. */
void pid_file_write(pid_t);

/* Removes it, or empties it where the user that we became cannot remove it. */
void pid_file_remove(void);

/*
 * scheduler_fifo and lock_pages, as configured; what is refused is said in
 * the log and done without.
 */
void process_priorities(void);

/*
 * For -d.  process_fork() returns in a child; the parent waits, and ends with
 * status 0 when the child calls process_background(), with 1 when it ends
 * instead.  From then on the child has a session of its own, / for its
 * directory and /dev/null for its standard descriptors.  False with errno set
 * if there is no child.
 */
bool process_fork(void);
void process_background(void);

#endif
