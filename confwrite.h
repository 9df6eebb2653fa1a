/*
 * confwrite.h - `write memory`: the running configuration becomes the file
 */
#ifndef CONFWRITE_H
#define CONFWRITE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Begins to write it to startup-config; a process of its own waits for the
 * disk.  False with a reason in err when it cannot begin.
 */
bool config_write(char *err, size_t errlen);

/*
 * Is it over?  Then err is "" if it is written, else why not, or what else is
 * to be said; the log has it too.
 */
bool config_written(char *err, size_t errlen);

/*
 * main() asks whether it is that process: true when so, with the exit status.
 */
bool config_write_child(int argc, char *const argv[], int *status);

/*
 * Its two halves.  The text as it will be written, in memory: a descriptor
 * for the caller to close, or -1 with errno set.  And the text onto the disk:
 * to a new file beside the old one, synced, renamed over it, with its mode and
 * owner.  A symbolic link is followed.  False with a reason in err; the old
 * file is whole then.  True with a remark in err, or "".
 */
int config_text(void);
bool config_save(int text, const char *file, char *err, size_t errlen);

#endif
