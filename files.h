/*
 * files.h - paths and descriptors of files that must survive a power cut
 */
#ifndef FILES_H
#define FILES_H

#include <stdbool.h>
#include <stddef.h>

/* The directory that path lies in, "." for one without a slash. */
void file_directory(char *dir, size_t size, const char *path);

/*
 * Brings to the disk that path has its name (fsync(2): the directory is synced
 * by itself).  False with errno set.
 */
bool file_sync_directory(const char *path);

/*
 * All that can be read from one descriptor, from where it stands, to the
 * other; blocks.  False with errno set.
 */
bool file_copy(int from, int to);

#endif
