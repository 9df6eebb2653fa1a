/*
 * cli_term.c - a terminal's own process, and the one that checks a password
 *
 * The daemon starts its own program again with another name for each telnet
 * connection; here is what that does.  It gives up every right it has before
 * it looks at a byte from the network, and then lets libcli run: line editing,
 * history, help, completion, pipes and the questions for name and password.
 * The tree of libcli is made of commands[]; a command goes to the daemon as a
 * line of text, and what comes back is printed through libcli's filters.
 *
 * libcli reads one descriptor, a byte at a time.  It does not know telnet's
 * subnegotiations, ends lines by CR only, trusts that a completion fits behind
 * what is typed, and hears ^C only as a key.  So it sits at the inner end of a
 * pair of sockets, and a second thread passes bytes between the outer end and
 * the connection, in the order of the network: telnet options are answered and
 * taken out, keys translated, lines kept short, ^C becomes a message to the
 * daemon that stops the output of the command under way.
 *
 * Two threads share `mode`, what libcli is about, and `aborted`; everything
 * else belongs to one of them.
 *
 * Owns:     the telnet connection.
 * Calls:    libcli; the tables of commands and users_verify() of the daemon.
 * Lifetime: the process; it ends with the connection or with the daemon.
 */
#define _GNU_SOURCE 1			/* close_range, setresuid, POLLRDHUP */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <libcli.h>
#include <linux/landlock.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "cli_filter.h"
#include "cli_msg.h"
#include "cli_telnet.h"
#include "command.h"
#include "privs.h"
#include "users.h"
#include "wire.h"

#define LEN(a)		(sizeof(a) / sizeof((a)[0]))
#define NICE		19		/* packets go first */
#define MODE_ROUTER	(MODE_CONFIG + 1)
#define NODE_MAX	64		/* a command's words */
#define HELP_MAX	128
#define TICK_MS		200		/* how late a line of the log may be */
#define LINGER_MS	1000		/* for the peer to take the last bytes */
#define CHECK_SECONDS	5		/* of CPU for a password */
#define SEND_BUF	32768		/* what ^C cannot call back */
#define MEMORY_MAX	(256UL << 20)
#define OUT_LINE	65536		/* a longer line is broken there */

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED	1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED	1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED	0
#endif

static int channel;			/* to the daemon: descriptor 0 */
static int inner;			/* libcli's end */
static uint32_t idle_seconds;
static struct telnet telnet;
static atomic_int mode = TELNET_LOGIN;
static atomic_bool aborted;

/* ---- giving up rights ---- */

static bool
limit(__rlimit_resource_t what, rlim_t max)
{
	struct rlimit r = { max, max };

	return setrlimit(what, &r) == 0;
}

/* All of the file system, where the kernel knows how (Landlock). */
static void
give_up_files(void)
{
	struct landlock_ruleset_attr none = {
	    .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
	long fd = syscall(SYS_landlock_create_ruleset, &none,
	    sizeof(none.handled_access_fs), 0);

	if (fd < 0)
		return;
	(void)syscall(SYS_landlock_restrict_self, fd, 0);
	close((int)fd);
}

/*
 * Sanitizers want memory without end, and a file to complain in.
 */
static bool
drop_rights(void)
{
	int null = open("/dev/null", O_RDWR);

	if (!SANITIZED && null >= 0) {
		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
	}
	(void)close_range(3, ~0U, 0);
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return false;
	if (!SANITIZED)
		give_up_files();
	return limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, 16) &&
	    (SANITIZED || (limit(RLIMIT_FSIZE, 0) &&
	    limit(RLIMIT_AS, MEMORY_MAX))) && privs_give_up() &&
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

/* ---- the other thread: the connection ---- */

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* A message that carries what the connection itself said. */
static void
tell_daemon(const uint8_t *msg, size_t len)
{
	(void)!send(channel, msg, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
tell_size(unsigned int width)
{
	const uint8_t msg[] = { CLI_SIZE, (uint8_t)(width >> 8),
	    (uint8_t)width };

	tell_daemon(msg, sizeof(msg));
}

/* ^C: the daemon stops making output, we stop printing it. */
static void
tell_abort(void)
{
	const uint8_t msg[] = { CLI_ABORT };

	atomic_store(&aborted, true);
	tell_daemon(msg, sizeof(msg));
}

struct pump {
	int net, outer;
	uint8_t in[TELNET_IN_MAX];	/* keys on their way to libcli */
	size_t in_at, in_len;
	uint8_t out[TELNET_OUT_MAX];	/* on its way to the connection */
	size_t out_at, out_len;
	bool net_ended, outer_ended;
	uint64_t last;			/* ms: when something moved */
	uint64_t deadline;		/* ms: the daemon is gone; 0: it is not */
};

/* False when the descriptor is of no use any more. */
static bool
pass_on(int fd, const uint8_t *buf, size_t *at, size_t *len)
{
	ssize_t n;

	if (*at == *len)
		return true;
	n = send(fd, buf + *at, *len - *at, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	*at += (size_t)n;
	if (*at == *len)
		*at = *len = 0;
	return true;
}

static bool
read_net(struct pump *p)
{
	uint8_t buf[TELNET_READ];
	struct telnet_out to = { .in = p->in, .reply = p->out + p->out_len,
	    .reply_room = sizeof(p->out) - p->out_len };
	ssize_t n;

	n = recv(p->net, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0) {
		p->net_ended = true;
		if (p->in_len == 0)
			(void)shutdown(p->outer, SHUT_WR);
		return true;
	}
	telnet_input(&telnet, buf, (size_t)n, atomic_load(&mode), &to);
	p->in_at = 0;
	p->in_len = to.in_len;
	p->out_len += to.reply_len;
	if (to.abort)
		tell_abort();
	if (to.width_known)
		tell_size(to.width);
	return true;
}

static bool
read_outer(struct pump *p)
{
	uint8_t buf[TELNET_OUT_MAX / 2];
	ssize_t n;

	n = recv(p->outer, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		p->outer_ended = true;
	p->out_at = 0;
	p->out_len = telnet_output(buf, (size_t)n, p->out);
	return true;
}

static bool
pump_turn(struct pump *p)
{
	struct pollfd f[3] = {
		{ .fd = p->net_ended ? -1 : p->net },
		{ .fd = p->outer_ended ? -1 : p->outer },
		{ .fd = p->deadline == 0 ? channel : -1 },
	};
	size_t in = p->in_len - p->in_at, out = p->out_len - p->out_at;

	if (p->net_ended && out > 0)
		f[0].fd = p->net;
	f[0].events = (short)((!p->net_ended && in == 0 &&
	    p->out_len < TELNET_OUT_MAX / 2 ? POLLIN : 0) |
	    (out > 0 ? POLLOUT : 0));
	f[1].events = (short)((out == 0 ? POLLIN : 0) |
	    (in > 0 ? POLLOUT : 0));
	if (poll(f, LEN(f), 1000) < 0)
		return errno == EINTR;
	if ((f[0].revents & (POLLERR | POLLNVAL)) != 0)
		return false;
	if (f[2].revents != 0)
		p->deadline = now_ms() + LINGER_MS;
	if ((f[0].revents | f[1].revents) != 0)
		p->last = now_ms();
	if ((f[0].revents & POLLIN) != 0 && !read_net(p))
		return false;
	if ((f[1].revents & (POLLIN | POLLHUP)) != 0 && out == 0 &&
	    p->out_len == 0 && !read_outer(p))
		return false;
	if (!pass_on(p->outer, p->in, &p->in_at, &p->in_len) ||
	    !pass_on(p->net, p->out, &p->out_at, &p->out_len))
		return false;
	if (p->net_ended && p->in_len == 0)
		(void)shutdown(p->outer, SHUT_WR);
	return true;
}

/* Output that nobody takes is waited for as long as keys that nobody types. */
static bool
pump_stuck(const struct pump *p)
{
	uint64_t now = now_ms();

	return (p->deadline != 0 && now >= p->deadline) ||
	    (idle_seconds != 0 && p->out_len > p->out_at &&
	    now - p->last >= (uint64_t)idle_seconds * 1000);
}

/*
 * The last bytes are lost if the connection is closed with some of the
 * peer's unread, so those are read.
 */
static void
hang_up(int net)
{
	struct pollfd f = { .fd = net, .events = POLLIN };
	uint64_t end = now_ms() + LINGER_MS;
	uint8_t buf[512];

	(void)shutdown(net, SHUT_WR);
	while (now_ms() < end && poll(&f, 1, 100) >= 0)
		if (f.revents != 0 &&
		    recv(net, buf, sizeof(buf), MSG_DONTWAIT) <= 0)
			break;
}

static void *
pump_thread(void *arg)
{
	struct pump *p = arg;

	p->last = now_ms();
	p->out_len = telnet_hello(p->out);
	while (!(p->outer_ended && p->out_len == p->out_at) &&
	    pump_turn(p) && !pump_stuck(p))
		continue;
	hang_up(p->net);
	_exit(0);
}

/* ---- talking to the daemon ---- */

/* Ends the process when the connection has had what libcli printed. */
static void __attribute__((noreturn))
leave(void)
{
	(void)shutdown(inner, SHUT_RDWR);
	for (;;)
		pause();		/* the other thread does it */
}

static void
tell(const uint8_t *msg, size_t len)
{
	if (len == 0 || send(channel, msg, len, MSG_NOSIGNAL) < 0)
		leave();
}

/* One message, NUL terminated; its length. */
static size_t
hear(uint8_t *msg, int flags)
{
	ssize_t n;

	do
		n = recv(channel, msg, CLI_MSG_MAX, flags);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n <= 0)
		leave();
	msg[n] = '\0';
	return (size_t)n;
}

static void
say_bye(struct cli_def *cli, const uint8_t *msg)
{
	cli_error(cli, "\n%s", (const char *)msg + 1);
	leave();
}

/*
 * What may come at any time.  A line of the log begins a line of its own;
 * libcli draws prompt and what is typed again behind it.
 */
static void
hear_other(struct cli_def *cli, const uint8_t *msg)
{
	if (msg[0] == CLI_BYE)
		say_bye(cli, msg);
	if (msg[0] == CLI_DEBUG) {
		fprintf(cli->client, "\r\n%s", (const char *)msg + 1);
		cli_reprompt(cli);
	}
}

/* The answer to LOGIN or ENABLE; *text lasts until the next message. */
static enum cli_verdict
hear_verdict(struct cli_def *cli, const char **text)
{
	static uint8_t msg[CLI_MSG_MAX + 1];

	for (;;) {
		if (hear(msg, 0) >= 2 && msg[0] == CLI_VERDICT)
			break;
		hear_other(cli, msg);
	}
	*text = (const char *)msg + 2;
	return msg[1];
}

/* ---- libcli's questions ---- */

static struct cli_def *the_cli;		/* its callbacks are not told which */

static void shorten(struct cli_def *);

static void
at_prompt(const struct cli_def *cli)
{
	atomic_store(&mode, cli->privilege == PRIVILEGE_PRIVILEGED ?
	    TELNET_ENABLED : TELNET_PROMPT);
}

static void
set_privilege(struct cli_def *cli, int privilege)
{
	cli_set_privilege(cli, privilege);
	shorten(cli);
	at_prompt(cli);
}

static void
set_mode(struct cli_def *cli, int to)
{
	cli_set_configmode(cli, to, to == MODE_ROUTER ? "router" : NULL);
	shorten(cli);
}

static bool
verdict_is_yes(enum cli_verdict verdict)
{
	if (verdict == CLI_HANG_UP) {
		cli_error(the_cli, "\n\nAccess denied");
		leave();
	}
	return verdict == CLI_YES;
}

static int
check_login(const char *name, const char *password)
{
	uint8_t msg[CLI_MSG_MAX];
	struct wr w = wr_init(msg, sizeof(msg));
	char who[CLI_LINE_MAX], typed[CLI_LINE_MAX];
	const char *text;
	bool yes;

	snprintf(who, sizeof(who), "%s", name);
	snprintf(typed, sizeof(typed), "%s", password);
	telnet_unhide(who);
	telnet_unhide(typed);
	wr_u8(&w, CLI_LOGIN);
	wr_u16(&w, (uint16_t)strlen(who));
	wr_bytes(&w, who, strlen(who));
	wr_bytes(&w, typed, strlen(typed));
	tell(msg, wr_done(&w));
	explicit_bzero(typed, sizeof(typed));
	explicit_bzero(msg, sizeof(msg));
	yes = verdict_is_yes(hear_verdict(the_cli, &text));
	if (yes) {
		cli_set_idle_timeout(the_cli, idle_seconds);
		at_prompt(the_cli);
	}
	return yes ? CLI_OK : CLI_ERROR;
}

static enum cli_verdict
ask_enable(bool given, const char *password, const char **text)
{
	uint8_t msg[CLI_MSG_MAX];
	struct wr w = wr_init(msg, sizeof(msg));

	wr_u8(&w, CLI_ENABLE);
	wr_u8(&w, given);
	wr_bytes(&w, password, strlen(password));
	tell(msg, wr_done(&w));
	explicit_bzero(msg, sizeof(msg));
	return hear_verdict(the_cli, text);
}

static int
check_enable(const char *password)
{
	char typed[CLI_LINE_MAX];
	const char *text;
	bool yes;

	snprintf(typed, sizeof(typed), "%s", password);
	telnet_unhide(typed);
	yes = verdict_is_yes(ask_enable(true, typed, &text));
	explicit_bzero(typed, sizeof(typed));
	if (yes)
		set_privilege(the_cli, PRIVILEGE_PRIVILEGED);
	else
		at_prompt(the_cli);
	return yes;
}

static int
do_enable(struct cli_def *cli, const char *command, char *argv[], int argc)
{
	const char *text;

	if (cli->privilege == PRIVILEGE_PRIVILEGED)
		return CLI_OK;
	switch (ask_enable(false, "", &text)) {
	case CLI_YES:
		set_privilege(cli, PRIVILEGE_PRIVILEGED);
		break;
	case CLI_ASK:
		atomic_store(&mode, TELNET_PASSWORD);
		return cli_enable(cli, command, argv, argc);
	default:
		cli_error(cli, "%s", text);
	}
	return CLI_OK;
}

static int
do_disable(struct cli_def *cli, const char *command, char *argv[], int argc)
{
	const uint8_t msg[] = { CLI_DISABLE };

	(void)command;
	(void)argv;
	(void)argc;
	tell(msg, sizeof(msg));
	set_mode(cli, MODE_EXEC);
	set_privilege(cli, PRIVILEGE_UNPRIVILEGED);
	return CLI_OK;
}

static int
do_configure(struct cli_def *cli, const char *command, char *argv[], int argc)
{
	(void)command;
	(void)argv;
	(void)argc;
	set_mode(cli, MODE_CONFIG);
	return CLI_OK;
}

static int
do_end(struct cli_def *cli, const char *command, char *argv[], int argc)
{
	(void)command;
	(void)argv;
	(void)argc;
	set_mode(cli, MODE_EXEC);
	return CLI_OK;
}

static int
do_exit(struct cli_def *cli, const char *command, char *argv[], int argc)
{
	if (cli->mode == MODE_EXEC)
		return cli_quit(cli, command, argv, argc);
	if (cli->mode != MODE_ROUTER)
		return do_end(cli, command, argv, argc);
	set_mode(cli, MODE_CONFIG);
	return CLI_OK;
}

static int
do_help(struct cli_def *cli, const char *command, char *argv[], int argc)
{
	return cli_help(cli, command, argv, argc);
}

static int
do_history(struct cli_def *cli, const char *command, char *argv[], int argc)
{
	return cli_history(cli, command, argv, argc);
}

/* ---- commands that run in the daemon ---- */

/* Gathers output into lines, as libcli's filters want them. */
struct lines {
	size_t len;
	char line[OUT_LINE];
};

static void
print_text(struct cli_def *cli, struct lines *l, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] != '\n' && l->len < sizeof(l->line) - 1) {
			l->line[l->len++] = text[i];
			continue;
		}
		l->line[l->len] = '\0';
		cli_print(cli, "%s", l->line);
		l->len = 0;
		if (text[i] != '\n')
			l->line[l->len++] = text[i];
	}
}

/* Lines of the log come at once while `debug` is on. */
static void
set_tick(struct cli_def *cli, bool debugging)
{
	cli->timeout_tm.tv_sec = debugging ? 0 : 1;
	cli->timeout_tm.tv_usec = debugging ? TICK_MS * 1000 : 0;
}

static void
hear_done(struct cli_def *cli, const uint8_t *msg, size_t len)
{
	if (len < 2)
		return;
	set_tick(cli, msg[1] != 0);
	cli_set_hostname(cli, (const char *)msg + 2);
}

static void
hear_output(struct cli_def *cli)
{
	static uint8_t msg[CLI_MSG_MAX + 1];
	static struct lines lines;
	size_t len;

	lines.len = 0;
	for (;;) {
		len = hear(msg, 0);
		if (msg[0] == CLI_DONE)
			break;
		if (msg[0] == CLI_OUTPUT && !atomic_load(&aborted))
			print_text(cli, &lines, (const char *)msg + 1,
			    len - 1);
		else if (msg[0] != CLI_OUTPUT)
			hear_other(cli, msg);
	}
	if (lines.len > 0)
		print_text(cli, &lines, "\n", 1);
	hear_done(cli, msg, len);
}

/*
 * What was typed behind the command's n words, up to a pipe, as it was typed:
 * quotes are the daemon's to understand.  The words are split as libcli does.
 */
static void
rest_of_line(const char *p, int n, char *dst, size_t size)
{
	char quote = '\0';
	bool in_word = false;
	size_t len = 0;

	for (; *p != '\0'; p++) {
		bool blank = quote == '\0' && (*p == ' ' || *p == '\t');

		if (quote == '\0' && *p == '|')
			break;
		if (n > 0 && blank && in_word)
			n--;
		in_word = !blank;
		if (quote != '\0' && *p == quote)
			quote = '\0';
		else if (quote == '\0' && (*p == '"' || *p == '\''))
			quote = *p;
		if (n <= 0 && len < size - 1)
			dst[len++] = *p;
		if (*p == '\\' && p[1] != '\0') {
			p++;
			if (n <= 0 && len < size - 1)
				dst[len++] = *p;
		}
	}
	dst[len] = '\0';
}

static void
ask_daemon(struct cli_def *cli, const char *command,
    const struct cli_pipeline_stage *stage)
{
	uint8_t msg[CLI_MSG_MAX];
	struct wr w = wr_init(msg, sizeof(msg));
	char args[CLI_LINE_MAX];

	rest_of_line(cli->pipeline->cmdline, stage->first_optarg, args,
	    sizeof(args));
	telnet_unhide(args);
	wr_u8(&w, CLI_COMMAND);
	wr_u8(&w, cli->mode == MODE_EXEC ? IN_EXEC : cli->mode == MODE_ROUTER ?
	    IN_ROUTER : IN_CONFIG);
	wr_bytes(&w, command, strlen(command));
	wr_bytes(&w, args, strlen(args));
	atomic_store(&aborted, false);
	atomic_store(&mode, TELNET_RUNNING);
	tell(msg, wr_done(&w));
	hear_output(cli);
	at_prompt(cli);
}

/*
 * The lines that follow `router bgp 65000` are about neighbours; a number that
 * the daemon refuses keeps nobody from pasting them.
 */
static int
do_command(struct cli_def *cli, const char *command, char *argv[], int argc)
{
	(void)argv;
	(void)argc;
	ask_daemon(cli, command, cli->pipeline->current_stage);
	if (strcmp(command, "router bgp") == 0)
		set_mode(cli, MODE_ROUTER);
	return CLI_OK;
}

/* ---- what libcli says itself ---- */

/*
 * A line that begins with # or ! is a comment, here as in the file: what
 * `show running-config` shows may be pasted.
 */
static bool
is_comment(const char *text)
{
	static const char invalid[] = "Invalid command \"";
	size_t len = sizeof(invalid) - 1;

	return strncmp(text, invalid, len) == 0 &&
	    (text[len] == '#' || text[len] == '!');
}

/*
 * The command of the line under way that lacks an argument; NULL: none does.
 * libcli leaves cli->pipeline dangling when a line is done: only what it says
 * of a line while it works on it may look there.
 */
static struct cli_pipeline_stage *
lacking(const struct cli_def *cli, const char *text)
{
	static const char missing[] =
	    "Incomplete command, missing required argument ";
	struct cli_pipeline_stage *stage;
	char end[NODE_MAX];
	size_t len;

	if (strncmp(text, missing, sizeof(missing) - 1) != 0 ||
	    cli->pipeline == NULL || cli->pipeline->num_stages < 1)
		return NULL;
	stage = &cli->pipeline->stage[0];
	if (stage->command == NULL)
		return NULL;
	snprintf(end, sizeof(end), " '%s'", stage->command->command);
	len = strlen(end);
	return strlen(text) > len &&
	    strcmp(text + strlen(text) - len, end) == 0 ? stage : NULL;
}

/* Each line that goes out; what is missing the command itself says best. */
static void
print_line(struct cli_def *cli, const char *text)
{
	struct cli_pipeline_stage *stage = lacking(cli, text);

	if (stage != NULL)
		ask_daemon(cli, stage->command->full_command_name, stage);
	else if (!is_comment(text) && cli->client != NULL)
		fprintf(cli->client, "%s\r\n", text);
}

/* ---- libcli's tree ---- */

static const struct local {
	const char *words;
	int (*run)(struct cli_def *, const char *, char **, int);
} locals[] = {
	{ "configure terminal", do_configure },
	{ "enable", do_enable },
	{ "disable", do_disable },
	{ "end", do_end },
	{ "exit", do_exit },
	{ "quit", cli_quit },
	{ "logout", cli_quit },
	{ "help", do_help },
	{ "history", do_history },
};

static const struct local *
local(const char *words)
{
	size_t i;

	for (i = 0; i < LEN(locals); i++)
		if (strcmp(locals[i].words, words) == 0)
			return &locals[i];
	return NULL;
}

/*
 * libcli knows nothing to show behind a command without arguments, and leaves
 * the question mark to the command.
 */
static int
run_command(struct cli_def *cli, const char *command, char *argv[], int argc)
{
	const struct local *l = local(command);
	const char *last = argc > 0 ? argv[argc - 1] : "";

	if (last[0] != '\0' && last[strlen(last) - 1] == '?') {
		cli_error(cli, "  <cr>");
		return CLI_OK;
	}
	return l != NULL ? l->run(cli, command, argv, argc) :
	    do_command(cli, command, argv, argc);
}

static int
cli_mode(unsigned int modes)
{
	switch (modes & IN_ANY) {
	case IN_EXEC:
		return MODE_EXEC;
	case IN_CONFIG:
		return MODE_CONFIG;
	case IN_ROUTER:
		return MODE_ROUTER;
	default:
		return MODE_ANY;
	}
}

static int
cli_level(enum command_level level)
{
	return level == FOR_ALL ? PRIVILEGE_UNPRIVILEGED :
	    PRIVILEGE_PRIVILEGED;
}

/*
 * libcli matches words against validators to find out which argument stands
 * where; only then does it show the right help.  What fits nowhere goes to
 * the command as it is, which knows better why it is wrong.
 */
static int
fits(struct cli_def *cli, const char *name, const char *value)
{
	static const char *const numbers[] = { "SID", "TID", "PORT", "RATE" };
	static const char *const words[] = { "json", "all", "in", "out" };
	size_t i, len = value != NULL ? strlen(value) : 0;

	(void)cli;
	if (len == 0)
		return CLI_ERROR;
	for (i = 0; i < LEN(numbers); i++)
		if (strcmp(name, numbers[i]) == 0)
			return strspn(value, "0123456789") == len ? CLI_OK :
			    CLI_ERROR;
	if (strcmp(name, "IP") == 0)
		return strspn(value, "0123456789.") == len &&
		    strchr(value, '.') != NULL ? CLI_OK : CLI_ERROR;
	for (i = 0; i < LEN(words); i++)
		if (strncmp(words[i], value, len) == 0)
			return CLI_ERROR;
	return CLI_OK;
}

static const struct command_arg *
find_arg(const char *name)
{
	const struct command_arg *a;
	size_t i;

	for (i = 0; i < commands_n; i++)
		for (a = commands[i].args; a != NULL && a->name != NULL; a++)
			if (a->word != NULL && strcmp(a->name, name) == 0)
				return a;
	return NULL;
}

static int
complete(struct cli_def *cli, const char *name, const char *word,
    struct cli_comphelp *help)
{
	const struct command_arg *a = find_arg(name);
	const char *w;
	size_t n, len = word != NULL ? strlen(word) : 0;

	(void)cli;
	for (n = 0; a != NULL && (w = a->word(n)) != NULL; n++)
		if (strncmp(w, word != NULL ? word : "", len) == 0)
			cli_add_comphelp_entry(help, w);
	return CLI_OK;
}

static void
add_arg(struct cli_command *c, const struct command_arg *a)
{
	bool optional = (a->flags & ARG_OPTIONAL) != 0;
	int flags = optional ? CLI_CMD_OPTIONAL_FLAG : CLI_CMD_ARGUMENT;
	struct cli_optarg *o;
	size_t n;

	if ((a->flags & ARG_MANY) != 0)
		flags |= CLI_CMD_OPTION_MULTIPLE;
	o = cli_register_optarg(c, a->name, flags, PRIVILEGE_UNPRIVILEGED,
	    MODE_ANY, a->help, a->word != NULL ? complete : NULL,
	    optional && (a->flags & ARG_KEYWORD) == 0 ? fits : NULL, NULL);
	for (n = 0; o != NULL && a->word_help != NULL &&
	    a->word(n) != NULL; n++)
		cli_optarg_addhelp(o, a->word(n), a->word_help(n));
}

static struct cli_command *
find_node(struct cli_command *list, const char *word)
{
	while (list != NULL && (list->command_type != CLI_REGULAR_COMMAND ||
	    strcmp(list->command, word) != 0))
		list = list->next;
	return list;
}

static const char *
group_help(const char *word)
{
	size_t i;

	for (i = 0; i < command_groups_n; i++)
		if (strcmp(command_groups[i].words, word) == 0)
			return command_groups[i].help;
	return "";
}

/*
 * The node of a word that stands before others, behind those of `parent` if
 * there is one; seen where one of them is.
 */
static struct cli_command *
group_node(struct cli_def *cli, struct cli_command *parent, const char *word,
    const struct command *c)
{
	struct cli_command *node = find_node(parent != NULL ?
	    parent->children : cli->commands, word);
	int level = cli_level(c->level), m = cli_mode(c->modes);

	if (node == NULL)
		return cli_register_command(cli, parent, word, NULL, level, m,
		    group_help(word));
	if (level < node->privilege)
		node->privilege = level;
	if (m != node->mode)
		node->mode = MODE_ANY;
	return node;
}

static bool
add_command(struct cli_def *cli, const struct command *c)
{
	const struct command_arg *a;
	struct cli_command *node = NULL;
	char words[NODE_MAX], *word, *next;

	if (c->run == NULL && local(c->words) == NULL)
		return true;
	snprintf(words, sizeof(words), "%s", c->words);
	for (word = words; (next = strchr(word, ' ')) != NULL; word = next) {
		*next++ = '\0';
		node = group_node(cli, node, word, c);
		if (node == NULL)
			return false;
	}
	node = cli_register_command(cli, node, word, run_command,
	    cli_level(c->level), cli_mode(c->modes), c->help);
	for (a = c->args; node != NULL && a != NULL && a->name != NULL; a++)
		add_arg(node, a);
	return node != NULL;
}

static bool
visible(const struct cli_def *cli, const struct cli_command *c)
{
	return c->command_type == CLI_REGULAR_COMMAND &&
	    (c->mode == MODE_ANY || c->mode == cli->mode) &&
	    c->privilege <= cli->privilege;
}

static bool
in_full(const struct cli_command *c)
{
	size_t i;

	for (i = 0; i < commands_n; i++)
		if (strcmp(commands[i].words, c->command) == 0)
			return (commands[i].modes & IN_FULL) != 0;
	return false;
}

static unsigned int
common(const char *a, const char *b)
{
	unsigned int n = 0;

	while (a[n] != '\0' && a[n] == b[n])
		n++;
	return n;
}

/*
 * How much of a word must be typed.  libcli has just counted that, but with
 * `shutdown` among the rest, which would cost everybody their `sh`.
 */
static void
shorten(struct cli_def *cli)
{
	struct cli_command *c, *p;

	for (c = cli->commands; c != NULL; c = c->next) {
		if (!visible(cli, c))
			continue;
		if (in_full(c)) {
			c->unique_len = (unsigned int)strlen(c->command);
			continue;
		}
		c->unique_len = 1;
		for (p = cli->commands; p != NULL; p = p->next)
			if (p != c && visible(cli, p) && !in_full(p) &&
			    common(c->command, p->command) >= c->unique_len)
				c->unique_len = common(c->command,
				    p->command) + 1;
	}
}

/* At the prompt, each second or each tick. */
static int
tick(struct cli_def *cli)
{
	uint8_t msg[CLI_MSG_MAX + 1];
	int i;

	for (i = 0; i < 100 && hear(msg, MSG_DONTWAIT) > 0; i++)
		hear_other(cli, msg);
	return CLI_OK;
}

static int
idle(struct cli_def *cli)
{
	cli_error(cli, "\nIdle time-out");
	return CLI_QUIT;
}

static struct cli_def *
make_cli(const char *hostname, bool login)
{
	struct cli_def *cli = cli_init();
	size_t i;

	if (cli == NULL)
		return NULL;
	cli_unregister_all_commands(cli);
	if (!cli_filter_register(cli))
		return NULL;
	for (i = 0; i < commands_n; i++)
		if (!add_command(cli, &commands[i]))
			return NULL;
	cli_set_hostname(cli, hostname);
	cli_telnet_protocol(cli, 0);
	cli_print_callback(cli, print_line);
	cli_set_enable_callback(cli, check_enable);
	if (login)
		cli_set_auth_callback(cli, check_login);
	cli_set_idle_timeout_callback(cli, login ? 0 : idle_seconds, idle);
	cli_regular(cli, tick);
	set_tick(cli, false);
	return cli;
}

/* ---- the beginning ---- */

/* The greeting and with it the connection; -1 when it is not one. */
static int
hear_hello(bool *login, char *hostname, size_t size)
{
	uint8_t msg[CLI_MSG_MAX];
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { msg, sizeof(msg) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control.room,
	    .msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(channel, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	struct rd r = rd_init(msg, n > 0 ? (size_t)n : 0);
	size_t len;
	int conn;

	if (c == NULL || c->cmsg_type != SCM_RIGHTS ||
	    rd_u8(&r) != CLI_HELLO)
		return -1;
	*login = rd_u8(&r) != 0;
	idle_seconds = rd_u32(&r);
	len = rd_left(&r);
	if (r.bad || len >= size)
		return -1;
	rd_copy(&r, hostname, len);
	hostname[len] = '\0';
	memcpy(&conn, CMSG_DATA(c), sizeof(conn));
	return conn;
}

static bool
start_pump(int conn)
{
	static struct pump pump;
	pthread_t thread;
	int size = SEND_BUF, pair[2];

	(void)setsockopt(conn, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	inner = pair[0];
	pump.net = conn;
	pump.outer = pair[1];
	return pthread_create(&thread, NULL, pump_thread, &pump) == 0;
}

static int
terminal_main(void)
{
	const uint8_t ready[] = { CLI_READY };
	char hostname[256];
	bool login;
	int conn;

	(void)prctl(PR_SET_NAME, "l2tpns-terminal");
	(void)signal(SIGPIPE, SIG_IGN);
	if (!drop_rights())
		return 1;
	tell_daemon(ready, sizeof(ready));
	conn = hear_hello(&login, hostname, sizeof(hostname));
	if (conn < 0)
		return 1;
	the_cli = make_cli(hostname, login);
	if (!login)
		atomic_store(&mode, TELNET_PROMPT);
	if (the_cli == NULL || !start_pump(conn) || !limit(RLIMIT_NPROC, 0))
		return 1;
	(void)cli_loop(the_cli, inner);
	leave();
}

/* ---- a password ---- */

static int
check_main(void)
{
	char question[USERS_QUESTION];
	size_t len = 0;
	ssize_t n;

	(void)prctl(PR_SET_NAME, "l2tpns-password");
	if (!drop_rights() || !limit(RLIMIT_CPU, CHECK_SECONDS))
		return 2;
	while (len < sizeof(question) && (n = read(0, question + len,
	    sizeof(question) - len)) > 0)
		len += (size_t)n;
	return users_verify(question, len) ? 0 : 1;
}

bool
cli_child(const char *argv0, int *status)
{
	if (argv0 == NULL)
		return false;
	if (strncmp(argv0, CLI_TERM_TITLE, strlen(CLI_TERM_TITLE)) == 0)
		*status = terminal_main();
	else if (strcmp(argv0, CLI_CHECK_TITLE) == 0)
		*status = check_main();
	else
		return false;
	return true;
}
