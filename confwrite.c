/*
 * confwrite.c - `write memory`: the running configuration becomes the file
 *
 * What is written goes to a new file, to the disk, and then takes the old
 * one's name: a full disk or a power cut leaves the old file or the new one,
 * never half of either.
 *
 * A disk may take its time, so a process of its own does that.  It gets the
 * text in memory (a memfd) as its standard input, and leaves there what it has
 * to say: nothing when all went well.
 *
 * Owns:     the process under way, at most one.
 * Calls:    reload for the text; loop for the process; log.
 * Lifetime: from config_write() until the process has ended.
 */
#define _GNU_SOURCE	/* memfd_create() */
#include "confwrite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "err.h"
#include "files.h"
#include "log.h"
#include "loop.h"
#include "reload.h"

#define TITLE	"l2tpns: startup-config"

static struct {
	struct loop_child child;
	int text;			/* the memfd */
	bool running;
	char said[512];			/* of the one that is over */
} writer;

/* --- to the disk -------------------------------------------------------- */

/*
 * Gives the new file what the old one has of mode and owner.  After `setuid`
 * that may not be possible: a file that changes hands unasked is worse than
 * one that is not written.  Its group may change where it is of no account.
 */
static bool
keep_owner(int fd, const struct stat *old)
{
	bool group_counts = (old->st_mode >> 3 & ~old->st_mode & 7) != 0;
	struct stat new;

	if (fstat(fd, &new) != 0)
		return false;
	if ((new.st_uid != old->st_uid || new.st_gid != old->st_gid) &&
	    fchown(fd, old->st_uid, old->st_gid) != 0 &&
	    (new.st_uid != old->st_uid || group_counts))
		return false;
	return fchmod(fd, old->st_mode & 07777) == 0;
}

/* Opens the new file.  -1 with a reason. */
static int
open_new(const char *path, const char *tmp, char *err, size_t errlen)
{
	struct stat st;
	bool old = stat(path, &st) == 0;
	int fd;

	if (old && !S_ISREG(st.st_mode)) {
		err_set(err, errlen, "%s: not a regular file", path);
		return -1;
	}
	if (unlink(tmp) < 0 && errno != ENOENT) {
		err_set(err, errlen, "%s: %s", tmp, strerror(errno));
		return -1;
	}
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd < 0) {
		err_set(err, errlen, "%s: %s", tmp, strerror(errno));
		return -1;
	}
	if (!old || keep_owner(fd, &st))
		return fd;
	err_set(err, errlen, "%s belongs to user %u, group %u, and this process "
	    "cannot make such a file: %s", path, st.st_uid, st.st_gid,
	    strerror(errno));
	close(fd);
	unlink(tmp);
	return -1;
}

/* All of it, and to the disk.  False with errno set; closes fd in any case. */
static bool
copy_text(int text, int fd)
{
	int saved;

	if (lseek(text, 0, SEEK_SET) == 0 && file_copy(text, fd) &&
	    fsync(fd) == 0)
		return close(fd) == 0;
	saved = errno;
	close(fd);
	errno = saved;
	return false;
}

/*
 * Where startup-config really lies, so that a link stays a link.  One that
 * leads nowhere is not for us to guess at; a file that is not there yet is
 * made where it is looked for.
 */
static bool
real_path(const char *file, char path[PATH_MAX], char *err, size_t errlen)
{
	const char *slash = strrchr(file, '/');
	char dir[PATH_MAX];
	struct stat st;

	if (realpath(file, path) != NULL)
		return true;
	if (errno != ENOENT || lstat(file, &st) == 0)
		return err_set(err, errlen, "%s: %s", file, strerror(errno));
	file_directory(dir, sizeof(dir), file);
	if (realpath(dir, path) == NULL ||
	    strlen(path) + strlen(file) + 2 > PATH_MAX)
		return err_set(err, errlen, "%s: %s", dir, strerror(errno));
	strcat(path, "/");
	strcat(path, slash != NULL ? slash + 1 : file);
	return true;
}

bool
config_save(int text, const char *file, char *err, size_t errlen)
{
	char path[PATH_MAX], tmp[PATH_MAX + 8];
	int fd;

	if (!real_path(file, path, err, errlen))
		return false;
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	fd = open_new(path, tmp, err, errlen);
	if (fd < 0)
		return false;
	if (!copy_text(text, fd) || rename(tmp, path) < 0) {
		err_set(err, errlen, "%s: %s; the old file is as it was", path,
		    strerror(errno));
		unlink(tmp);
		return false;
	}
	err[0] = '\0';
	if (!file_sync_directory(path))
		err_set(err, errlen, "%s is written, but its directory could not "
		    "be synced: %s", path, strerror(errno));
	return true;
}

/* --- the process that does it ------------------------------------------- */

bool
config_write_child(int argc, char *const argv[], int *status)
{
	char err[512] = "";

	if (argc != 2 || strcmp(argv[0], TITLE) != 0)
		return false;
	/* A limit on the size of files is to be an error like others. */
	signal(SIGXFSZ, SIG_IGN);
	umask(077);
	*status = !config_save(STDIN_FILENO, argv[1], err, sizeof(err));
	if (ftruncate(STDIN_FILENO, 0) != 0 || pwrite(STDIN_FILENO, err,
	    strlen(err), 0) != (ssize_t)strlen(err))
		*status = 1;
	return true;
}

/* --- in the daemon ------------------------------------------------------ */

static void
child_done(struct loop_child *c, int status)
{
	ssize_t n = pread(writer.text, writer.said, sizeof(writer.said) - 1, 0);
	bool ended = WIFEXITED(status) && n >= 0;

	(void)c;
	writer.said[ended ? n : 0] = '\0';
	if (!ended || (WEXITSTATUS(status) != 0 && n == 0))
		snprintf(writer.said, sizeof(writer.said), "the process that "
		    "writes it failed (wait status %d)", status);
	if (writer.said[0] != '\0')
		log_error("write memory: %s", writer.said);
	close(writer.text);
	writer.running = false;
}

int
config_text(void)
{
	static char line[CONFIG_LINE];
	int fd = memfd_create(TITLE, MFD_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(dup(fd), "w");
	bool ok = f != NULL;

	for (size_t i = 0; ok && config_line(i, true, line, sizeof(line)); i++)
		ok = fprintf(f, "%s\n", line) > 0;
	if (f != NULL && fclose(f) != 0)
		ok = false;
	explicit_bzero(line, sizeof(line));
	if (ok)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

bool
config_write(char *err, size_t errlen)
{
	static char title[] = TITLE;
	char *argv[] = { title, (char *)(uintptr_t)config_file(), NULL };
	char *envp[] = { NULL };

	if (writer.running)
		return err_set(err, errlen, "it is being written already");
	writer.text = config_text();
	if (writer.text < 0)
		return err_set(err, errlen, "%s", strerror(errno));
	writer.child = (struct loop_child){ .done = child_done };
	if (!loop_spawn_self(&writer.child, argv, envp, writer.text)) {
		err_set(err, errlen, "no process to write it: %s",
		    strerror(errno));
		close(writer.text);
		return false;
	}
	writer.running = true;
	return true;
}

bool
config_written(char *err, size_t errlen)
{
	snprintf(err, errlen, "%s", writer.running ? "" : writer.said);
	return !writer.running;
}
