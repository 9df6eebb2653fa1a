/*
 * files.c - paths and descriptors of files that must survive a power cut
 *
 * What startup-config, saved state and usage files are written with, each of
 * which has its own rules of names, owners and modes.
 *
 * Owns:     nothing.
 * Calls:    libc only; never logs.
 * Lifetime: none.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
file_directory(char *dir, size_t size, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		snprintf(dir, size, ".");
	else
		snprintf(dir, size, "%.*s",
		    slash == path ? 1 : (int)(slash - path), path);
}

bool
file_sync_directory(const char *path)
{
	char dir[PATH_MAX];
	int fd, status;

	file_directory(dir, sizeof(dir), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	status = fsync(fd);
	close(fd);
	return status == 0;
}

bool
file_copy(int from, int to)
{
	char buf[65536];
	ssize_t got, n, done;

	while ((got = read(from, buf, sizeof(buf))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		for (done = 0; done < got; done += n) {
			n = write(to, buf + done, (size_t)(got - done));
			if (n < 0 && errno == EINTR)
				n = 0;
			if (n < 0)
				return false;
		}
	}
	return true;
}
