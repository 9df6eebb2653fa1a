/*
 * nsctl.c - sends a command to a running l2tpns and prints what it answers
 *
 * One datagram there, one back.  Nothing is sent again: a command that is done
 * twice may do harm, and whether it was the request or the answer that got lost
 * cannot be known.
 *
 * With a secret the request is signed, and only an answer that is signed too
 * counts.  Without one the answer has to come from where the request went,
 * which the kernel sees to.
 *
 * Owns:     the process.
 * Calls:    control_wire.
 * Lifetime: one command.
 */
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "control_wire.h"

#define LEN(a)		(sizeof(a) / sizeof((a)[0]))
#define HOST_MAX	256
#define NSCTL_VERSION	"3.0.0"
#define SECRET_MAX	255	/* what nsctl_secret holds */
#define TIMEOUT		2.0
#define TIMEOUT_MAX	3600.0

/* Exit codes. */
#define EXIT_REFUSED	1	/* the server says no */
#define EXIT_USAGE	2
#define EXIT_SILENT	3	/* no answer, or no way there */

static const char *host = "localhost", *port;
static char secret[SECRET_MAX + 1];
static double timeout = TIMEOUT;
static bool debug, old;

/* The commands that are known here, and how many words they want at least. */
static const struct verb {
	const char *word;
	uint8_t type;
	int args;
} verbs[] = {
	{ "load_plugin",	CONTROL_LOAD,		1 },
	{ "unload_plugin",	CONTROL_UNLOAD,		1 },
	{ "help",		CONTROL_HELP,		0 },
	{ "garden",		CONTROL_COMMAND,	1 },
	{ "ungarden",		CONTROL_COMMAND,	1 },
	{ "drop",		CONTROL_COMMAND,	1 },
	{ "kill",		CONTROL_COMMAND,	1 },
	{ "throttle",		CONTROL_COMMAND,	1 },
	{ "unthrottle",		CONTROL_COMMAND,	1 },
	{ "snoop",		CONTROL_COMMAND,	1 },
	{ "unsnoop",		CONTROL_COMMAND,	1 },
};

static void __attribute__((noreturn, format(printf, 2, 3)))
die(int status, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("nsctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

static void __attribute__((noreturn))
usage(FILE *to, int status)
{
	fprintf(to,
"Usage: nsctl [-1d] [-h HOST[:PORT]] [-k FILE] [-t SECONDS] COMMAND [ARG...]\n"
"       nsctl [OPTION...] HOST[:PORT] COMMAND [ARG...]\n"
"  -h HOST[:PORT]  where l2tpns runs (default: localhost:%d)\n"
"  -k FILE         sign with the secret in this file's first line; without it,\n"
"                  with the one in NSCTL_SECRET if that is set\n"
"  -t SECONDS      wait so long for the answer (default: %g)\n"
"  -1              speak the protocol of releases before 2.0.8\n"
"  -d              print what is sent and received\n"
"  --help, -V      print this text, the version\n"
"Commands: load_plugin NAME, unload_plugin NAME, help (lists the others)\n"
"Exit codes: 0 done, 1 refused by the server, 2 usage, 3 no answer\n",
	    CONTROL_PORT, TIMEOUT);
	exit(status);
}

/* --- the command line ------------------------------------------------------ */

static const struct verb *
find_verb(const char *word)
{
	for (size_t i = 0; i < LEN(verbs); i++)
		if (strcmp(verbs[i].word, word) == 0)
			return &verbs[i];
	return NULL;
}

/* Cuts "host:port" in two. */
static void
set_host(const char *where)
{
	static char copy[HOST_MAX];
	char *colon;

	if (strlen(where) >= sizeof(copy))
		die(EXIT_USAGE, "the name of the host is too long");
	strcpy(copy, where);
	colon = strrchr(copy, ':');
	if (colon != NULL) {
		*colon = '\0';
		port = colon + 1;
	}
	host = copy;
}

static int
resolve(const char *name, const char *service, struct addrinfo **ai)
{
	struct addrinfo hints = {
		.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM,
	};
	char number[8];

	snprintf(number, sizeof(number), "%d", CONTROL_PORT);
	return getaddrinfo(name, service != NULL ? service : number, &hints,
	    ai);
}

/*
 * Without -h, is the first word a host?  A command that is known is none, and
 * what stands before one is; nor is there a command with a dot or a colon in
 * its name.  What remains is asked for in the DNS.
 */
static bool
is_host(int argc, char **argv)
{
	struct addrinfo *ai;

	if (find_verb(argv[0]) != NULL)
		return false;
	if (strpbrk(argv[0], ".:") != NULL)
		return true;
	if (argc < 2)
		return false;
	if (find_verb(argv[1]) != NULL)
		return true;
	if (resolve(argv[0], NULL, &ai) != 0)
		return false;
	freeaddrinfo(ai);
	return true;
}

static void
set_secret(const char *from, const char *text, size_t len)
{
	if (len == 0)
		die(EXIT_USAGE, "%s: there is no secret in it", from);
	if (len > SECRET_MAX)
		die(EXIT_USAGE, "%s: the secret is longer than %d characters",
		    from, SECRET_MAX);
	memcpy(secret, text, len);
	secret[len] = '\0';
}

static void
read_secret(const char *path)
{
	char line[SECRET_MAX + 3] = "";
	struct stat st;
	FILE *f = fopen(path, "re");

	if (f == NULL || fstat(fileno(f), &st) != 0)
		die(EXIT_USAGE, "%s: %s", path, strerror(errno));
	if ((st.st_mode & (S_IROTH | S_IWOTH)) != 0)
		die(EXIT_USAGE, "%s: everybody can read or write it; "
		    "chmod 600 it, and take another secret", path);
	if (fgets(line, sizeof(line), f) == NULL && ferror(f))
		die(EXIT_USAGE, "%s: %s", path, strerror(errno));
	fclose(f);
	set_secret(path, line, strcspn(line, "\r\n"));
}

static double
parse_timeout(const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end != '\0' || !(v > 0) || v > TIMEOUT_MAX)
		die(EXIT_USAGE, "-t %s: a number of seconds, at most %g", text,
		    TIMEOUT_MAX);
	return v;
}

/* Returns how many words were options. */
static int
parse_options(int argc, char **argv)
{
	const char *file = NULL, *env = getenv("NSCTL_SECRET");
	bool host_given = false;
	int c;

	if (argc >= 2 && strcmp(argv[1], "--help") == 0)
		usage(stdout, 0);
	while ((c = getopt(argc, argv, "+1dh:k:t:V")) != -1)
		switch (c) {
		case '1': old = true; break;
		case 'd': debug = true; break;
		case 'h': set_host(optarg); host_given = true; break;
		case 'k': file = optarg; break;
		case 't': timeout = parse_timeout(optarg); break;
		case 'V': puts("nsctl " NSCTL_VERSION); exit(0);
		default: usage(stderr, EXIT_USAGE);
		}
	if (file != NULL)
		read_secret(file);
	else if (env != NULL && env[0] != '\0')
		set_secret("NSCTL_SECRET", env, strlen(env));
	if (old && secret[0] != '\0')
		die(EXIT_USAGE, "-1: that protocol knows no signatures");
	if (!host_given && optind < argc && is_host(argc - optind,
	    argv + optind))
		set_host(argv[optind++]);
	return optind;
}

/* --- the request ----------------------------------------------------------- */

static uint64_t
wall_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint32_t
random_id(void)
{
	uint32_t id;

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		die(EXIT_SILENT, "getrandom: %s", strerror(errno));
	return id;
}

/* What the server takes for an argument; it has no answer to others. */
static bool
is_plain(const char *arg)
{
	for (; *arg != '\0'; arg++)
		if ((unsigned char)*arg < 0x20 || *arg == 0x7f)
			return false;
	return true;
}

static void
make_request(struct control_msg *m, int argc, char **argv)
{
	const struct verb *v = find_verb(argv[0]);

	if (v != NULL && argc - 1 < v->args)
		die(EXIT_USAGE, "Not enough parameters for %s", argv[0]);
	m->form = old ? CONTROL_V1 : secret[0] != '\0' ? CONTROL_SIGNED :
	    CONTROL_V2;
	m->type = v != NULL ? v->type : CONTROL_COMMAND;
	m->id = random_id();
	m->sequence = wall_usec();
	m->argc = 0;
	for (int i = m->type != CONTROL_COMMAND; i < argc; i++) {
		if (!is_plain(argv[i]))
			die(EXIT_USAGE, "a control character in an argument: "
			    "give the session's number instead of its user");
		if (m->argc == CONTROL_ARGS_MAX ||
		    strlen(argv[i]) > CONTROL_ARG_MAX)
			die(EXIT_USAGE, "at most %d arguments of at most %d "
			    "characters", CONTROL_ARGS_MAX, CONTROL_ARG_MAX);
		m->arg[m->argc].p = argv[i];
		m->arg[m->argc++].len = strlen(argv[i]);
	}
}

static void
dump(const char *what, const struct control_msg *m, size_t len)
{
	static const char *const form[] = {
		[CONTROL_V1] = "version 1", [CONTROL_V2] = "version 2",
		[CONTROL_SIGNED] = "signed",
	};

	fprintf(stderr, "%s %zu octets, %s, type 0x%02x, id %08x, %u "
	    "arguments\n", what, len, form[m->form], m->type, m->id, m->argc);
}

static size_t
encode_request(struct control_msg *m, uint8_t *buf, size_t size)
{
	size_t n = control_encode(m, buf, size);

	if (n == 0)
		die(EXIT_USAGE, old ? "Unknown command: version 1 has "
		    "load_plugin, unload_plugin, garden and ungarden only" :
		    "the command is too long");
	if (m->form == CONTROL_SIGNED)
		n = control_sign(buf, n, size, CONTROL_LABEL_REQUEST, secret);
	if (n == 0)
		die(EXIT_USAGE, "the command is too long");
	if (debug)
		dump("Sending", m, n);
	return n;
}

/* --- there and back -------------------------------------------------------- */

static int
connect_host(void)
{
	struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_port = htons(CONTROL_V1_CLIENT_PORT),
	};
	struct addrinfo *ai;
	int e = resolve(host, port, &ai), fd;

	if (e != 0)
		die(EXIT_SILENT, "cannot find the host %s%s%s: %s", host,
		    port != NULL ? ":" : "", port != NULL ? port : "",
		    gai_strerror(e));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Some old servers answer to that port only; others do not mind. */
	if (fd >= 0 && old)
		(void)bind(fd, (struct sockaddr *)&from, sizeof(from));
	if (fd < 0 || connect(fd, ai->ai_addr, ai->ai_addrlen) != 0)
		die(EXIT_SILENT, "%s: %s", host, strerror(errno));
	freeaddrinfo(ai);
	return fd;
}

static void __attribute__((noreturn))
give_up(void)
{
	die(EXIT_SILENT, "timed out: no answer from %s:%s in %g s%s", host,
	    port != NULL ? port : "1702", timeout, secret[0] != '\0' ?
	    " (it has none for a wrong secret or a clock that is wrong)" :
	    " (from another machine it takes signed commands only)");
}

/* Is this the answer to that request? */
static bool
is_answer(const uint8_t *buf, size_t len, const struct control_msg *request,
    struct control_msg *m)
{
	if (request->form == CONTROL_SIGNED &&
	    !control_verify(buf, len, CONTROL_LABEL_REPLY, secret))
		return false;
	return control_decode(buf, len, m) && m->form == request->form &&
	    (m->type == CONTROL_OK || m->type == CONTROL_ERROR) &&
	    (m->form == CONTROL_V2 || m->id == request->id) &&
	    (m->form != CONTROL_SIGNED || m->sequence == request->sequence);
}

/* Waits for it; what is something else is passed over. */
static void
wait_answer(int fd, const struct control_msg *request, struct control_msg *m)
{
	static uint8_t buf[CONTROL_REQUEST_MAX + 1];
	uint64_t end = wall_usec() + (uint64_t)(timeout * 1e6);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	for (;;) {
		int64_t left = (int64_t)(end - wall_usec());
		ssize_t n;

		if (left <= 0 || poll(&pfd, 1, (int)(left / 1000) + 1) == 0)
			give_up();
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno == ECONNREFUSED)
			die(EXIT_SILENT, "nobody listens at %s:%s", host,
			    port != NULL ? port : "1702");
		if (n > 0 && is_answer(buf, (size_t)n, request, m)) {
			if (debug)
				dump("Received", m, (size_t)n);
			return;
		}
	}
}

/* Lines stay lines; nothing else may act on the terminal. */
static void
print_arg(FILE *to, const struct control_arg *a)
{
	for (size_t i = 0; i < a->len; i++) {
		unsigned char c = (unsigned char)a->p[i];

		putc((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? '?' :
		    c, to);
	}
	putc('\n', to);
}

static int
print_answer(const struct control_msg *request, const struct control_msg *m)
{
	bool failed = m->type == CONTROL_ERROR;

	if (failed)
		fputs("nsctl: ", stderr);
	else if (request->type == CONTROL_HELP)
		printf("Available commands:\n"
		    "  %-43s Load named plugin\n"
		    "  %-43s Unload named plugin\n"
		    "  %-43s List available commands\n", "load_plugin PLUGIN",
		    "unload_plugin PLUGIN", "help");
	for (unsigned int i = 0; i < m->argc; i++)
		print_arg(failed ? stderr : stdout, &m->arg[i]);
	if (failed && m->argc == 0)
		fputs("the server gives no reason\n", stderr);
	if (fflush(stdout) != 0)
		die(EXIT_SILENT, "standard output: %s", strerror(errno));
	return failed ? EXIT_REFUSED : 0;
}

int
main(int argc, char **argv)
{
	static uint8_t buf[CONTROL_REQUEST_MAX];
	static struct control_msg request, reply;
	int at = parse_options(argc, argv), fd;
	size_t n;

	if (at == argc)
		usage(stderr, EXIT_USAGE);
	make_request(&request, argc - at, argv + at);
	n = encode_request(&request, buf, sizeof(buf));
	fd = connect_host();
	if (send(fd, buf, n, 0) < 0)
		die(EXIT_SILENT, "%s: %s", host, strerror(errno));
	wait_answer(fd, &request, &reply);
	close(fd);
	return print_answer(&request, &reply);
}
