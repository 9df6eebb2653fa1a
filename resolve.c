/*
 * resolve.c - the address of a name, by a process of its own
 *
 * getaddrinfo() may wait for a name server for as long as that likes, and
 * brings a parser of what comes from the network into the process.  So another
 * process does it, which has given up all rights first.  It leaves the answer
 * in memory (a memfd) that it has as its standard input: "=192.0.2.1", or why
 * there is none.
 *
 * Owns:     the processes under way.
 * Calls:    loop for the process, privs; never logs.
 * Lifetime: resolve_start() until the process has ended, which it does within
 *           PATIENCE seconds.
 */
#define _GNU_SOURCE 1			/* memfd_create */
#include "resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "loop.h"
#include "privs.h"

#define TITLE		"l2tpns: resolve"
#define ANSWER_MAX	256
#define PATIENCE	30	/* s */
#define CANCEL_MS	20	/* a killed process needs one or two */

struct resolve {
	struct loop_child child;
	int answer;			/* the memfd */
	void (*done)(void *arg, uint32_t addr, const char *why);
	void *arg;
};

/* --- the process -------------------------------------------------------- */

static void
ask(const char *name, char *answer, size_t size)
{
	struct addrinfo hints = { .ai_family = AF_INET,
	    .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	int error = getaddrinfo(name, NULL, &hints, &list);
	char text[INET_ADDRSTRLEN];
	struct sockaddr_in in;

	if (error != 0 || list->ai_addrlen < sizeof(in)) {
		snprintf(answer, size, "%s", error == EAI_SYSTEM ?
		    strerror(errno) : gai_strerror(error));
		return;
	}
	memcpy(&in, list->ai_addr, sizeof(in));
	snprintf(answer, size, "=%s", inet_ntop(AF_INET, &in.sin_addr, text,
	    sizeof(text)));
	freeaddrinfo(list);
}

bool
resolve_child(int argc, char *const argv[], int *status)
{
	char answer[ANSWER_MAX] = "its process has rights that it cannot give "
	    "up";

	if (argc != 2 || strcmp(argv[0], TITLE) != 0)
		return false;
	(void)close(3);			/* the program */
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(PATIENCE);
	/* A change of user forgets PR_SET_PDEATHSIG: it comes after that. */
	if (privs_give_up() && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0)
		ask(argv[1], answer, sizeof(answer));
	*status = pwrite(STDIN_FILENO, answer, strlen(answer), 0) !=
	    (ssize_t)strlen(answer);
	return true;
}

/* --- in the daemon ------------------------------------------------------ */

static void
forget(struct resolve *r)
{
	close(r->answer);
	free(r);
}

/* What the process left is text that anybody may have chosen. */
static void
child_done(struct loop_child *c, int status)
{
	struct resolve *r = (struct resolve *)(void *)((char *)c -
	    offsetof(struct resolve, child));
	char answer[ANSWER_MAX + 1] = "";
	ssize_t n = pread(r->answer, answer, ANSWER_MAX, 0);
	uint32_t addr;

	answer[n > 0 ? n : 0] = '\0';
	if (r->done == NULL)
		;
	else if (answer[0] == '=' && config_ipv4(answer + 1, &addr))
		r->done(r->arg, addr, "");
	else if (answer[0] != '\0' && answer[0] != '=')
		r->done(r->arg, 0, answer);
	else
		r->done(r->arg, 0, WIFSIGNALED(status) &&
		    WTERMSIG(status) == SIGALRM ? "no name server answers" :
		    "the process that asks failed");
	forget(r);
}

struct resolve *
resolve_start(const char *name, void (*done)(void *arg, uint32_t addr,
    const char *why), void *arg)
{
	static char title[] = TITLE;
	char *argv[] = { title, (char *)(uintptr_t)name, NULL };
	char *envp[] = { NULL };
	struct resolve *r = calloc(1, sizeof(*r));
	int saved;

	if (r == NULL)
		return NULL;
	*r = (struct resolve){ .child.done = child_done, .done = done,
	    .arg = arg, .answer = memfd_create(TITLE, MFD_CLOEXEC) };
	if (r->answer >= 0 && loop_spawn_self(&r->child, argv, envp, r->answer))
		return r;
	saved = errno;
	if (r->answer >= 0)
		close(r->answer);
	free(r);
	errno = saved;
	return NULL;
}

void
resolve_cancel(struct resolve *r)
{
	int status;

	r->done = NULL;
	/* A server that is not root may not: then it ends when it likes. */
	if (kill(r->child.pid, SIGKILL) == 0 &&
	    loop_wait(&r->child, CANCEL_MS, &status))
		forget(r);
}
