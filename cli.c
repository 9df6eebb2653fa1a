/*
 * cli.c - the command line: listener, terminals, who may
 *
 * The loop accepts a telnet connection and passes it to a process of its own,
 * the same program under another name, in which libcli does what libcli is
 * good at (cli_term.c).  A pair of sockets joins the two.  What a terminal may
 * do is decided here, by what was proven here: a process that an attacker has
 * taken over can ask for no more than the one whose connection it has.
 *
 * A password is compared by a third process, short-lived, which gets the hash
 * through a pipe and answers by its exit status: hashing takes milliseconds,
 * and hashes are none of the terminal's business.  A wrong password is answered
 * one second after it was given, whatever was wrong with it and however long
 * that took to find out.  Three on one connection end it; five in a minute from
 * one address lock that out for a minute.  This machine itself is never locked
 * out.
 *
 * A command runs in the loop.  Its output goes into a buffer and from there, as
 * the terminal takes it, into the socket; `more` makes the next slice only when
 * the buffer is empty, and once a turn, so that neither 65,000 rows nor a
 * reader who has gone for lunch costs anybody else anything.  All terminals
 * together have TURN_USEC of a turn, be it for slices or for starting
 * processes: who finds it spent waits for the next turn, and who has had some
 * goes behind the others.
 *
 * Owns:     the listener, the terminals, the memory of failures.
 * Calls:    the commands' functions; users, config, log, loop, lpm.
 * Lifetime: a terminal lives from accept() until its processes are gone.
 */
#define _GNU_SOURCE 1			/* accept4, pipe2 */
#include "cli.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli_msg.h"
#include "cluster_forward.h"
#include "command.h"
#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "ratelimit.h"
#include "users.h"
#include "wire.h"

#define LEN(a)		(sizeof(a) / sizeof((a)[0]))
#define TERMINALS_MAX	32
#define ACCEPTS		16		/* a turn */
#define ACCEPT_RATE	100		/* terminals a second */
#define STARTING_MAX	4		/* processes that have not begun yet */
#define STARTING_MS	20		/* until it is looked again */
#define ACCEPT_NAP_MS	1000		/* when there is no descriptor left */
#define LOGIN_MS	60000		/* to give name and password */
#define FAIL_MS		1000		/* until a wrong password is answered */
#define FAILS_MAX	3		/* on one connection */
#define LOCK_FAILS	5		/* from one address in LOCK_MS */
#define LOCK_MS		60000
#define SOURCES		256
#define KILL_MS		3000		/* for a terminal to end by itself */
#define CHANNEL_BUF	(128 * 1024)	/* bytes on their way to a terminal */
#define OUT_MAX		(1024 * 1024)	/* bytes of one slice */
#define SENDS		16		/* messages to a terminal and turn */
#define NAP_MS		10		/* for a command that waits */
#define TURN_USEC	1000		/* for all terminals; then packets */
#define WORDS_MAX	64		/* of a command line */
#define WIDTH_MAX	1000

struct terminal {
	struct terminal *next;
	struct loop_fd channel;
	struct loop_child child;
	uint32_t from;
	char from_text[INET_ADDRSTRLEN];
	char title[sizeof(CLI_TERM_TITLE) + INET_ADDRSTRLEN];
	bool local;			/* from this machine */
	bool ready;			/* its process has begun */
	bool leaving;			/* hears nothing, says nothing more */

	/* who it is */
	bool logged_in, enabled;
	char user[USERS_NAME];
	unsigned int failures;
	struct timer login_timer;
	struct timer kill_timer;

	/* a password that is being compared */
	struct loop_child checker;
	bool checking;			/* until it is answered */
	bool known;			/* yes would count */
	uint8_t asked_for;		/* CLI_LOGIN, CLI_ENABLE */
	uint64_t asked;			/* ms, when */
	char name[USERS_NAME];
	struct timer answer_timer;

	/* the command under way */
	bool running;
	bool done;			/* all output is made */
	bool audited;			/* it is in the log */
	struct command_run run;
	struct timer nap_timer;
	char *argv[WORDS_MAX];
	char line[CLI_LINE_MAX];
	char *out;
	size_t out_at, out_len, out_size;
	bool out_cut;

	/* `terminal width` */
	unsigned int width, window;
	bool width_auto;

	struct log_listener debug;
	uint32_t debug_lost;
};

/* An address that gave wrong passwords. */
struct source {
	uint32_t addr;
	uint64_t failed[LOCK_FAILS];	/* ms: when, the last ones in turn */
	unsigned int next;
	uint64_t last;			/* ms; 0: this is nobody */
	uint64_t locked;		/* ms, until then */
};

extern char **environ;

static struct loop_fd listener = { .fd = -1, .stage = LOOP_SERVICE };
static struct timer listen_timer;	/* until it listens again */
static uint32_t configured_addr;	/* as at the start: RESTART keys */
static uint16_t configured_port;
static uint32_t bound_addr;
static struct terminal *terminals;
static struct source sources[SOURCES];
static struct token_bucket accept_tokens;
static uint64_t turn_spent;		/* us of this turn, by all terminals */

static void terminal_close(struct terminal *t);

/* ---- a turn ---- */

static bool
turn_left(void)
{
	return turn_spent < TURN_USEC;
}

static void
turn_over(void)
{
	turn_spent = 0;
}

static struct loop_hook turn_hook = { .run = turn_over };

/* What began then is over now. */
static void
turn_spend(uint64_t began)
{
	turn_spent += timer_usec() - began;
}

/* Behind those who have not had their part of the turn. */
static void
turn_last(struct terminal *t)
{
	if (t->channel.fd < 0)
		return;
	loop_del(&t->channel);
	(void)loop_add(&t->channel);
}

/* ---- wrong passwords ---- */

static struct source *
source_find(uint32_t addr)
{
	size_t i;

	for (i = 0; i < SOURCES; i++)
		if (sources[i].last != 0 && sources[i].addr == addr)
			return &sources[i];
	return NULL;
}

/* Forgets the one that is silent for longest when all are in use. */
static struct source *
source_make(uint32_t addr)
{
	struct source *s = source_find(addr);
	size_t i;

	if (s != NULL)
		return s;
	s = &sources[0];
	for (i = 1; i < SOURCES; i++)
		if (sources[i].last < s->last)
			s = &sources[i];
	*s = (struct source){ .addr = addr };
	return s;
}

static bool
source_locked(const struct terminal *t)
{
	const struct source *s = t->local ? NULL : source_find(t->from);

	return s != NULL && timer_now() < s->locked;
}

/* The failure that is LOCK_FAILS back is overwritten by this one. */
static void
source_failed(const struct terminal *t)
{
	uint64_t now = timer_now(), first;
	struct source *s;

	if (t->local)
		return;
	s = source_make(t->from);
	s->last = now;
	s->failed[s->next] = now;
	s->next = (s->next + 1) % LOCK_FAILS;
	first = s->failed[s->next];
	if (first != 0 && now - first < LOCK_MS && now >= s->locked) {
		s->locked = now + LOCK_MS;
		log_audit(0, 0, "CLI: %s is locked out for %d s after %d wrong "
		    "passwords", t->from_text, LOCK_MS / 1000, LOCK_FAILS);
	}
}

/* ---- messages ---- */

/* "alice from 192.0.2.7", for the log. */
static const char *
who(const struct terminal *t)
{
	static char text[USERS_NAME + INET_ADDRSTRLEN + 16];

	snprintf(text, sizeof(text), "%s%s%s", t->user,
	    t->user[0] != '\0' ? " from " : "", t->from_text);
	return text;
}

/* False when the terminal takes no more for now, or never again. */
static bool
send_msg(struct terminal *t, enum cli_msg type, const void *head,
    size_t head_len, const char *text, size_t len)
{
	uint8_t buf[CLI_MSG_MAX];
	struct wr w = wr_init(buf, sizeof(buf));
	ssize_t n;

	wr_u8(&w, (uint8_t)type);
	wr_bytes(&w, head, head_len);
	wr_bytes(&w, text, len);
	if (t->channel.fd < 0 || wr_done(&w) == 0)
		return false;
	do
		n = send(t->channel.fd, buf, wr_done(&w),
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n >= 0;
}

static void
send_verdict(struct terminal *t, enum cli_verdict verdict, const char *text)
{
	uint8_t v = (uint8_t)verdict;

	if (!send_msg(t, CLI_VERDICT, &v, 1, text, strlen(text)))
		terminal_close(t);
}

/* ---- terminals ---- */

static void
terminal_free(struct terminal *t)
{
	struct terminal **p = &terminals;

	if (t->child.pid != 0 || t->checker.pid != 0)
		return;
	while (*p != NULL && *p != t)
		p = &(*p)->next;
	if (*p == t)
		*p = t->next;
	timer_disarm(&t->kill_timer);
	explicit_bzero(t->line, sizeof(t->line));
	free(t->out);
	free(t);
}

static void
run_end(struct terminal *t)
{
	void (*end)(struct command_run *) = t->run.end;

	timer_disarm(&t->nap_timer);
	t->run.more = NULL;
	t->run.end = NULL;
	if (end != NULL)
		end(&t->run);
	t->out_at = t->out_len = 0;
	free(t->out);
	t->out = NULL;
	t->out_size = 0;
	t->out_cut = false;
	t->done = true;
}

/* The process sees its socket close and goes; if it does not, it is killed. */
static void
terminal_close(struct terminal *t)
{
	if (t->channel.fd < 0)
		return;
	if (t->logged_in && t->user[0] != '\0')
		log_info("CLI: %s left", who(t));
	loop_del(&t->channel);
	close(t->channel.fd);
	t->channel.fd = -1;
	log_unlisten(&t->debug);
	timer_disarm(&t->login_timer);
	timer_disarm(&t->answer_timer);
	if (t->running)
		run_end(t);
	t->running = false;
	timer_arm(&t->kill_timer, KILL_MS);
}

/* It has heard that it is to go; that it will is seen to. */
static void
terminal_leave(struct terminal *t)
{
	t->leaving = true;
	timer_disarm(&t->login_timer);
	timer_arm(&t->kill_timer, KILL_MS);
}

static void
kill_terminal(struct timer *timer)
{
	struct terminal *t = timer_owner(timer, struct terminal, kill_timer);

	if (t->child.pid != 0)
		kill(t->child.pid, SIGKILL);
	if (t->checker.pid != 0)
		kill(t->checker.pid, SIGKILL);
}

static void
login_late(struct timer *timer)
{
	struct terminal *t = timer_owner(timer, struct terminal, login_timer);
	static const char text[] = "Login timed out";

	(void)send_msg(t, CLI_BYE, NULL, 0, text, sizeof(text) - 1);
	terminal_leave(t);
}

static void
terminal_ended(struct loop_child *c, int status)
{
	struct terminal *t = timer_owner(c, struct terminal, child);

	if (WIFSIGNALED(status))
		log_error("CLI: the terminal of %s was ended by signal %d",
		    who(t), WTERMSIG(status));
	terminal_close(t);
	timer_disarm(&t->kill_timer);
	if (t->checker.pid != 0)
		timer_arm(&t->kill_timer, KILL_MS);
	terminal_free(t);
}

/* ---- passwords ---- */

static void
answer_failure(struct timer *timer)
{
	struct terminal *t = timer_owner(timer, struct terminal, answer_timer);

	t->checking = false;
	if (t->failures >= FAILS_MAX || source_locked(t)) {
		send_verdict(t, CLI_HANG_UP, "");
		terminal_leave(t);
	} else
		send_verdict(t, CLI_NO, "");
}

/* No name can end its quotes in the log and go on as another line would. */
static const char *
quoted(const char *name)
{
	static char text[4 * USERS_NAME];
	size_t n = 0;

	for (; *name != '\0'; name++) {
		if (*name != '"')
			text[n++] = *name;
		else
			n += (size_t)sprintf(text + n, "\\x22");
	}
	text[n] = '\0';
	return text;
}

static void
refuse(struct terminal *t, const char *why)
{
	uint64_t due = t->asked + FAIL_MS, now = timer_now();

	source_failed(t);
	t->failures++;
	if (t->asked_for == CLI_LOGIN)
		log_audit(0, 0, "CLI: login of \"%s\" from %s refused: %s",
		    quoted(t->name), t->from_text, why);
	else
		log_audit(0, 0, "CLI: enable by %s refused: %s", who(t), why);
	timer_arm(&t->answer_timer, due > now ? due - now : 0);
}

static void
accept_password(struct terminal *t)
{
	t->checking = false;
	t->failures = 0;
	if (t->asked_for == CLI_LOGIN) {
		t->logged_in = true;
		memcpy(t->user, t->name, sizeof(t->user));
		timer_disarm(&t->login_timer);
		log_audit(0, 0, "CLI: %s logged in", who(t));
	} else {
		t->enabled = t->debug.trusted = true;
		log_audit(0, 0, "CLI: %s is enabled", who(t));
	}
	send_verdict(t, CLI_YES, "");
}

static void
check_done(struct loop_child *c, int status)
{
	struct terminal *t = timer_owner(c, struct terminal, checker);

	if (t->channel.fd < 0)
		terminal_free(t);
	else if (source_locked(t))
		refuse(t, "too many wrong passwords from there");
	else if (WIFSIGNALED(status))
		refuse(t, "its password could not be checked in time");
	else if (t->known && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		accept_password(t);
	else
		refuse(t, t->known ? "wrong password" : "no such user");
}

/* The question fits into a pipe's buffer, so nobody waits for anybody. */
static bool
spawn_checker(struct terminal *t, const char *question, size_t len)
{
	static char title[] = CLI_CHECK_TITLE;
	char *argv[] = { title, NULL };
	bool ok;
	int p[2];

	if (pipe2(p, O_CLOEXEC) != 0)
		return false;
	t->checker.done = check_done;
	ok = write(p[1], question, len) == (ssize_t)len &&
	    loop_spawn_self(&t->checker, argv, environ, p[0]);
	close(p[0]);
	close(p[1]);
	return ok;
}

static void
ask(struct terminal *t, uint8_t what, const char *name, const char *password)
{
	char question[USERS_QUESTION];
	size_t len;

	t->checking = true;
	t->asked_for = what;
	t->asked = timer_now();
	snprintf(t->name, sizeof(t->name), "%s", name);
	len = users_question(name, password, question, sizeof(question),
	    &t->known);
	if (what == CLI_LOGIN && strcmp(name, USERS_ENABLE) == 0)
		t->known = false;
	if (source_locked(t))
		refuse(t, "too many wrong passwords from there");
	else if (len == 0)
		refuse(t, "the password is too long");
	else if (!spawn_checker(t, question, len)) {
		log_error("CLI: no process to check a password: %s",
		    strerror(errno));
		refuse(t, "its password could not be checked");
	}
	explicit_bzero(question, sizeof(question));
}

/* The rest of a message as a string; false when it is longer, or has a NUL. */
static bool
rest(struct rd *r, char *dst, size_t size)
{
	size_t len = rd_left(r);
	const uint8_t *p = rd_bytes(r, len);

	if (p == NULL || len >= size || memchr(p, '\0', len) != NULL)
		return false;
	memcpy(dst, p, len);
	dst[len] = '\0';
	return true;
}

static bool
hear_login(struct terminal *t, struct rd *r)
{
	char name[USERS_NAME], password[CLI_LINE_MAX];
	struct rd sub = rd_sub(r, rd_u16(r));
	bool long_name = rd_left(&sub) >= sizeof(name);

	if (t->logged_in || t->checking || r->bad)
		return false;
	if (long_name)
		snprintf(name, sizeof(name), "?");
	else if (!rest(&sub, name, sizeof(name)))
		return false;
	if (!rest(r, password, sizeof(password)))
		return false;
	ask(t, CLI_LOGIN, name, password);
	explicit_bzero(password, sizeof(password));
	return true;
}

/*
 * Without a password in the users file the console has the right anyway, and
 * nobody else can get it: so it is on Cisco's devices.
 */
static bool
hear_enable(struct terminal *t, struct rd *r)
{
	char password[CLI_LINE_MAX];
	bool given = rd_u8(r) != 0;

	if (!t->logged_in || t->checking || t->running ||
	    !rest(r, password, sizeof(password)))
		return false;
	if (t->enabled)
		send_verdict(t, CLI_YES, "");
	else if (users_have_enable() && given)
		ask(t, CLI_ENABLE, USERS_ENABLE, password);
	else if (users_have_enable())
		send_verdict(t, CLI_ASK, "");
	else if (t->local) {
		t->asked_for = CLI_ENABLE;
		accept_password(t);
	} else {
		log_audit(0, 0, "CLI: enable by %s refused: the users file has no "
		    "password for it", who(t));
		send_verdict(t, CLI_NO, "% No password set");
	}
	explicit_bzero(password, sizeof(password));
	return true;
}

/* ---- commands ---- */

void
command_print(struct command_run *run, const char *fmt, ...)
{
	struct terminal *t = run->terminal;
	char *p, *end;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || t->out_cut)
		return;
	if (t->out_len + (size_t)n >= t->out_size) {
		size_t size = (t->out_len + (size_t)n + 1) * 2;

		p = size < OUT_MAX ? realloc(t->out, size) : NULL;
		if (p == NULL) {
			t->out_cut = true;
			return;
		}
		t->out = p;
		t->out_size = size;
	}
	va_start(ap, fmt);
	vsnprintf(t->out + t->out_len, t->out_size - t->out_len, fmt, ap);
	va_end(ap);
	p = t->out + t->out_len;
	t->out_len += (size_t)n;
	for (end = p + n; p < end; p++)
		if ((*p >= 0 && *p < ' ' && *p != '\n' && *p != '\t') ||
		    *p == 0x7f)
			*p = '?';
}

void
command_audit(const struct command_run *run, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	run->terminal->audited = true;
	if ((run->command->modes & IN_PRIVATE) != 0)
		log_private(0, 0, "CLI: %s: %s", who(run->terminal), text);
	else
		log_audit(0, 0, "CLI: %s: %s", who(run->terminal), text);
}

/* Only one word more: what comes behind `set KEY` may be a secret. */
static void
audit_attempt(const struct command_run *run)
{
	command_audit(run, "%s%s%s: not done", run->command->words,
	    run->argc > 0 ? " " : "", run->argc > 0 ? run->argv[0] : "");
}

static unsigned int
terminal_width(const struct terminal *t)
{
	return t->width_auto ? t->window : t->width;
}

/*
 * The command's own check of who may: the tree of the terminal shows nobody
 * what is not for him, but what the terminal says proves nothing.
 */
static const struct command *
permitted(struct terminal *t, int argc, char **argv, unsigned int mode,
    int *used)
{
	const struct command *c = command_find(argc, argv, mode, used);
	char elsewhere[CLUSTER_ELSEWHERE];

	if (c == NULL || c->run == NULL) {
		command_print(&t->run, "Invalid command \"%s\"\n", argv[0]);
		return NULL;
	}
	if (!t->enabled && (c->level == FOR_ENABLED || mode != IN_EXEC)) {
		command_print(&t->run, "%% Not permitted: enable first\n");
		log_audit(0, 0, "CLI: %s is not enabled: %s refused", who(t),
		    c->words);
		return NULL;
	}
	if ((c->modes & IN_MASTER) != 0 &&
	    cluster_elsewhere(elsewhere, sizeof(elsewhere))) {
		command_print(&t->run, "%% %s\n", elsewhere);
		return NULL;
	}
	/* `shutdown at 3` is not `shutdown`. */
	if (c->level == FOR_ENABLED && c->args == NULL && argc > *used) {
		command_print(&t->run, "Invalid argument \"%s\" to command %s\n",
		    argv[*used], c->words);
		return NULL;
	}
	return c;
}

static void
run_line(struct terminal *t, unsigned int mode)
{
	const char *reason = "";
	int used, n = config_words(t->line, t->argv, WORDS_MAX, &reason);
	const struct command *c;

	if (n <= 0) {
		command_print(&t->run, "%% %s\n", n < 0 ? reason :
		    "Invalid command");
		return;
	}
	c = permitted(t, n, t->argv, mode, &used);
	if (c == NULL)
		return;
	t->run.command = c;
	t->run.argc = n - used;
	t->run.argv = t->argv + used;
	t->run.user = t->user;
	t->run.from = t->from_text;
	t->run.enabled = t->enabled;
	t->run.width = terminal_width(t);
	t->audited = false;
	c->run(&t->run);
	if (c->level == FOR_ENABLED && !t->audited)
		audit_attempt(&t->run);
}

static bool
hear_command(struct terminal *t, struct rd *r)
{
	unsigned int mode = rd_u8(r);

	if (!t->logged_in || t->checking || t->running ||
	    (mode != IN_EXEC && mode != IN_CONFIG && mode != IN_ROUTER) ||
	    !rest(r, t->line, sizeof(t->line)))
		return false;
	memset(&t->run, 0, sizeof(t->run));
	t->run.terminal = t;
	t->out_cut = false;
	t->running = true;
	t->done = false;
	run_line(t, mode);
	t->channel.want_write = true;
	return true;
}

/* ---- what a terminal sets for itself ---- */

static const struct { const char *name; unsigned int levels; } debug_words[] = {
	{ "critical", 1u << LOG_L_CRIT }, { "error", 1u << LOG_L_ERROR },
	{ "warning", 1u << LOG_L_WARN }, { "info", 1u << LOG_L_INFO },
	{ "calls", 1u << LOG_L_CALL }, { "data", 1u << LOG_L_DATA },
	{ "all", (1u << LOG_L_DATA) - 1 },
};

/* The levels that the words name; 0 and a message when one names none. */
static unsigned int
debug_levels(struct command_run *run)
{
	unsigned int levels = 0;
	size_t w, len;
	int i;

	for (i = 0; i < run->argc; i++) {
		len = strlen(run->argv[i]);
		for (w = 0; w < LEN(debug_words); w++)
			if (len > 0 && strncasecmp(debug_words[w].name,
			    run->argv[i], len) == 0)
				break;
		if (w == LEN(debug_words)) {
			command_print(run, "Invalid debugging level \"%s\"\n",
			    run->argv[i]);
			return 0;
		}
		levels |= debug_words[w].levels;
	}
	return levels;
}

/* A line of the log; lost when the terminal is busy. */
static void
debug_line(struct log_listener *l, enum log_level level, uint32_t tid,
    uint32_t sid, const char *text)
{
	struct terminal *t = timer_owner(l, struct terminal, debug);
	char line[1280];
	int n;

	if (t->running || t->leaving) {
		t->debug_lost++;
		return;
	}
	n = snprintf(line, sizeof(line), "%s-%u-%u %s", log_level_name(level),
	    tid, sid, text);
	if (n >= (int)sizeof(line))
		n = sizeof(line) - 1;
	if (t->debug_lost > 0)
		n += snprintf(line + n, sizeof(line) - (size_t)n,
		    " (%u lines before it were lost)", t->debug_lost);
	if (n >= (int)sizeof(line))
		n = sizeof(line) - 1;
	if (send_msg(t, CLI_DEBUG, NULL, 0, line, (size_t)n))
		t->debug_lost = 0;
	else
		t->debug_lost++;
}

static void
debug_set(struct terminal *t, unsigned int levels)
{
	t->debug.line = debug_line;
	t->debug.levels = levels;
	t->debug_lost = 0;
	if (levels != 0)
		log_listen(&t->debug);
	else
		log_unlisten(&t->debug);
}

void
do_debug(struct command_run *run)
{
	unsigned int levels = run->terminal->debug.levels;
	size_t w;

	if (run->argc > 0) {
		unsigned int more = debug_levels(run);

		if (more != 0)
			debug_set(run->terminal, levels | more);
		return;
	}
	if (levels == 0) {
		command_print(run, "Debugging off\n");
		return;
	}
	command_print(run, "Currently debugging:");
	for (w = 0; w + 1 < LEN(debug_words); w++)
		if ((levels & debug_words[w].levels) != 0)
			command_print(run, " %s", debug_words[w].name);
	command_print(run, "\n");
}

void
do_no_debug(struct command_run *run)
{
	unsigned int levels = run->terminal->debug.levels;

	if (run->argc == 0)
		debug_set(run->terminal, 0);
	else
		debug_set(run->terminal, levels & ~debug_levels(run));
}

void
do_terminal_width(struct command_run *run)
{
	struct terminal *t = run->terminal;
	unsigned long n;
	char *end;

	if (run->argc == 1 && strcmp(run->argv[0], "auto") == 0) {
		t->width_auto = true;
		if (t->window == 0)
			command_print(run, "The width of the window is not "
			    "known\n");
		return;
	}
	errno = 0;
	n = run->argc == 1 ? strtoul(run->argv[0], &end, 10) : 0;
	if (run->argc != 1 || end == run->argv[0] || *end != '\0' ||
	    run->argv[0][0] == '-' || n > WIDTH_MAX || errno != 0) {
		command_print(run, "Specify the width, 0 to %d, or auto\n",
		    WIDTH_MAX);
		return;
	}
	t->width_auto = false;
	t->width = (unsigned int)n;
}

void
do_terminal_length(struct command_run *run)
{
	if (run->argc != 1 || strcmp(run->argv[0], "0") != 0)
		command_print(run, "Output never stops for a key here\n");
}

/* ---- the two directions ---- */

static bool
hear(struct terminal *t, const uint8_t *msg, size_t len)
{
	struct rd r = rd_init(msg, len);

	switch (rd_u8(&r)) {
	case CLI_LOGIN:
		return hear_login(t, &r);
	case CLI_ENABLE:
		return hear_enable(t, &r);
	case CLI_DISABLE:
		t->enabled = t->debug.trusted = false;
		return true;
	case CLI_COMMAND:
		return hear_command(t, &r);
	case CLI_ABORT:
		if (t->running)
			run_end(t);
		return true;
	case CLI_READY:
		t->ready = true;
		return true;
	case CLI_SIZE:
		t->window = rd_u16(&r);
		return !r.bad;
	default:
		return false;
	}
}

static void
hear_message(struct terminal *t)
{
	uint8_t msg[CLI_MSG_MAX];
	ssize_t n;

	n = recv(t->channel.fd, msg, sizeof(msg), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		terminal_close(t);
		return;
	}
	if (!t->leaving && (n > (ssize_t)sizeof(msg) ||
	    !hear(t, msg, (size_t)n))) {
		log_error("CLI: the terminal of %s talks nonsense: closed",
		    who(t));
		terminal_close(t);
	}
	explicit_bzero(msg, sizeof(msg));
}

/* One message a turn. */
static void
terminal_readable(struct loop_fd *f)
{
	struct terminal *t = timer_owner(f, struct terminal, channel);
	uint64_t began = timer_usec();

	if (!turn_left())
		return;
	hear_message(t);
	turn_spend(began);
	turn_last(t);
}

static bool
send_output(struct terminal *t)
{
	size_t len = t->out_len - t->out_at;

	if (len > CLI_MSG_MAX - 1)
		len = CLI_MSG_MAX - 1;
	if (!send_msg(t, CLI_OUTPUT, NULL, 0, t->out + t->out_at, len))
		return false;
	t->out_at += len;
	return true;
}

static bool
send_done(struct terminal *t)
{
	uint8_t debugging = t->debug.levels != 0;

	if (!send_msg(t, CLI_DONE, &debugging, 1, lns.hostname,
	    strlen(lns.hostname)))
		return false;
	if (!t->done)
		run_end(t);
	t->running = false;
	t->channel.want_write = false;
	return true;
}

static void
nap_over(struct timer *timer)
{
	struct terminal *t = timer_owner(timer, struct terminal, nap_timer);

	t->channel.want_write = t->running;
}

/* The command has nothing to say yet. */
static void
nap(struct terminal *t)
{
	t->run.wait = false;
	t->channel.want_write = false;
	timer_arm(&t->nap_timer, NAP_MS);
}

/* A slice is made when the one before it is on its way, one a turn. */
static void
make_output(struct terminal *t)
{
	static const char cut[] = "\n% the rest is left out\n";

	if (t->out_cut) {
		t->out_cut = false;
		t->run.more = NULL;
		command_print(&t->run, "%s", cut);
	} else if (!t->run.more(&t->run))
		t->run.more = NULL;
	else if (t->run.wait)
		nap(t);
}

/* What is made goes out, and when it is, one slice more is made. */
static void
talk(struct terminal *t)
{
	bool made = false;
	int i;

	for (i = 0; i < SENDS && t->running; i++) {
		if (t->out_at < t->out_len) {
			if (!send_output(t))
				break;
			continue;
		}
		t->out_at = t->out_len = 0;
		if (t->run.more == NULL && !t->out_cut) {
			if (!send_done(t))
				break;
			return;
		}
		if (made)
			return;
		make_output(t);
		made = true;
	}
	if (i < SENDS && t->running && errno != EAGAIN && errno != EINTR)
		terminal_close(t);
}

static void
terminal_writable(struct loop_fd *f)
{
	struct terminal *t = timer_owner(f, struct terminal, channel);
	uint64_t began = timer_usec();

	if (!turn_left())
		return;
	talk(t);
	turn_spend(began);
	turn_last(t);
}

/* ---- the beginning ---- */

/* Sends the telnet connection along with the greeting. */
static bool
send_hello(struct terminal *t, int conn)
{
	uint8_t msg[CLI_MSG_MAX];
	struct wr w = wr_init(msg, sizeof(msg));
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec iov = { msg, 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control.room,
	    .msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	wr_u8(&w, CLI_HELLO);
	wr_u8(&w, !t->logged_in);
	wr_u32(&w, (uint32_t)lns.config.cli_idle_timeout);
	wr_bytes(&w, lns.hostname, strlen(lns.hostname));
	iov.iov_len = wr_done(&w);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &conn, sizeof(int));
	return sendmsg(t->channel.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

static bool
terminal_spawn(struct terminal *t, int conn)
{
	char *argv[] = { t->title, NULL };
	int size = CHANNEL_BUF, p[2];
	bool ok;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) != 0)
		return false;
	(void)setsockopt(p[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	t->channel.fd = p[0];
	t->child.done = terminal_ended;
	ok = loop_add(&t->channel) && send_hello(t, conn) &&
	    loop_spawn_self(&t->child, argv, environ, p[1]);
	close(p[1]);
	if (!ok) {
		int saved = errno;

		loop_del(&t->channel);
		close(p[0]);
		t->channel.fd = -1;
		errno = saved;
	}
	return ok;
}

static struct terminal *
terminal_new(int conn, const struct sockaddr_in *peer)
{
	struct sockaddr_in own = { .sin_port = 0 };
	socklen_t len = sizeof(own);
	struct terminal *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->from = ntohl(peer->sin_addr.s_addr);
	inet_ntop(AF_INET, &peer->sin_addr, t->from_text,
	    sizeof(t->from_text));
	snprintf(t->title, sizeof(t->title), CLI_TERM_TITLE "%s",
	    t->from_text);
	t->local = t->from >> 24 == 127 ||
	    (getsockname(conn, (struct sockaddr *)&own, &len) == 0 &&
	    own.sin_addr.s_addr == peer->sin_addr.s_addr);
	t->logged_in = !users_wanted();
	t->channel = (struct loop_fd){ .fd = -1, .stage = LOOP_SERVICE,
	    .readable = terminal_readable, .writable = terminal_writable };
	t->login_timer.fire = login_late;
	t->kill_timer.fire = kill_terminal;
	t->answer_timer.fire = answer_failure;
	t->nap_timer.fire = nap_over;
	return t;
}

static void
turn_away(int conn, const char *text)
{
	(void)!send(conn, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(conn, SHUT_WR);
}

static unsigned int
count_terminals(bool starting)
{
	const struct terminal *t;
	unsigned int n = 0;

	for (t = terminals; t != NULL; t = t->next)
		n += !starting || (!t->ready && t->channel.fd >= 0);
	return n;
}

/*
 * Whoever sits at this machine gets in, however many elsewhere hold a terminal
 * without having said who they are: one of those goes, the oldest.
 */
static bool
make_room(const struct terminal *for_whom)
{
	struct terminal *t, *oldest = NULL;

	if (!for_whom->local)
		return false;
	for (t = terminals; t != NULL; t = t->next)
		if (!t->local && !t->logged_in && t->channel.fd >= 0)
			oldest = t;
	if (oldest == NULL)
		return false;
	log_warn("CLI: the connection from %s is closed: it did not log in, "
	    "and its terminal is needed", oldest->from_text);
	terminal_close(oldest);
	return true;
}

/* Why not; NULL: it may begin. */
static const char *
objection(const struct terminal *t)
{
	if (lpm_find(lns.lpm, t->from) != 0)
		return "";		/* a subscriber: not a word */
	if (source_locked(t))
		return "Too many wrong passwords, try again later\r\n";
	if (count_terminals(false) >= TERMINALS_MAX && !make_room(t))
		return "All terminals are in use, try again later\r\n";
	if (!token_take(&accept_tokens, ACCEPT_RATE))
		return "Too many connections at once, try again\r\n";
	return NULL;
}

static void
welcome(int conn, const struct sockaddr_in *peer)
{
	static struct log_limit full, failed;
	struct terminal *t = terminal_new(conn, peer);
	const char *why;
	int on = 1;

	if (t == NULL)
		return;
	why = objection(t);
	if (why != NULL) {
		log_limited(&full, LOG_L_WARN, 0, 0, "CLI: connection from %s "
		    "refused", t->from_text);
		turn_away(conn, why);
		free(t);
		return;
	}
	(void)setsockopt(conn, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!terminal_spawn(t, conn)) {
		log_limited(&failed, LOG_L_ERROR, 0, 0, "CLI: no terminal for "
		    "%s: %s", t->from_text, strerror(errno));
		turn_away(conn, "No terminal can be had, try again later\r\n");
		free(t);
		return;
	}
	if (!t->logged_in)
		timer_arm(&t->login_timer, LOGIN_MS);
	else
		log_audit(0, 0, "CLI: %s is let in: there are no users", who(t));
	t->next = terminals;
	terminals = t;
}

static void
listen_later(uint64_t ms)
{
	loop_del(&listener);
	timer_arm(&listen_timer, ms);
}

/*
 * Processes that begin want the CPU, and a new one keeps the loop until it has
 * got some: only a few may be at it.  The next attempt is a second away when
 * there are no descriptors left.
 */
static void
accept_all(struct loop_fd *f)
{
	struct sockaddr_in peer;
	uint64_t began;
	socklen_t len;
	int conn, i;

	if (count_terminals(true) >= STARTING_MAX) {
		listen_later(STARTING_MS);
		return;
	}
	for (i = 0; i < ACCEPTS && turn_left(); i++) {
		began = timer_usec();
		len = sizeof(peer);
		conn = accept4(f->fd, (struct sockaddr *)&peer, &len,
		    SOCK_CLOEXEC);
		if (conn >= 0) {
			welcome(conn, &peer);
			close(conn);
			turn_spend(began);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			log_error("CLI: accept: %s", strerror(errno));
			listen_later(ACCEPT_NAP_MS);
			break;
		}
		if (errno != ECONNABORTED && errno != EINTR)
			break;
	}
}

static void
listen_again(struct timer *timer)
{
	(void)timer;
	if (listener.fd >= 0)
		(void)loop_add(&listener);
}

/* ---- the listener ---- */

static void
listener_close(void)
{
	timer_disarm(&listen_timer);
	if (listener.fd < 0)
		return;
	loop_del(&listener);
	close(listener.fd);
	listener.fd = -1;
}

static bool
listener_open(uint32_t addr)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(addr),
	    .sin_port = htons(configured_port) };
	int on = 1;

	listener.readable = accept_all;
	listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (listener.fd >= 0 &&
	    setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &on,
	    sizeof(on)) == 0 &&
	    bind(listener.fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 &&
	    listen(listener.fd, 64) == 0 && loop_add(&listener)) {
		bound_addr = addr;
		return true;
	}
	log_error("CLI: %s port %u: %s; there is no command line",
	    inet_ntoa(sin.sin_addr), configured_port, strerror(errno));
	if (listener.fd >= 0)
		close(listener.fd);
	listener.fd = -1;
	return false;
}

/*
 * Without a users file anybody who can connect is let in (and nobody from
 * elsewhere can, unless the configuration names an address for it).
 */
static uint32_t
wanted_addr(void)
{
	if (configured_addr == INADDR_ANY && !users_wanted())
		return INADDR_LOOPBACK;
	return configured_addr;
}

static void
warn_of_open_door(void)
{
	if (users_wanted())
		return;
	if (configured_addr == INADDR_ANY)
		log_warn("CLI: there are no users: only this machine may "
		    "connect, to 127.0.0.1 port %u", configured_port);
	else if (configured_addr >> 24 != 127)
		log_error("CLI: there are no users: whoever reaches "
		    "port %u is let in without a password", configured_port);
}

void
cli_reconfigure(void)
{
	uint32_t addr = wanted_addr();

	if (listener.fd >= 0 && bound_addr == addr)
		return;
	listener_close();
	if (listener_open(addr))
		warn_of_open_door();
}

void
cli_start(void)
{
	configured_addr = lns.config.cli_bind_address;
	configured_port = (uint16_t)lns.config.cli_port;
	listen_timer.fire = listen_again;
	loop_at_turn_end(&turn_hook);
	cli_reconfigure();
}

void
cli_stop(void)
{
	static const char text[] = "The server stops";
	struct terminal *t;

	listener_close();
	while ((t = terminals) != NULL) {
		(void)send_msg(t, CLI_BYE, NULL, 0, text, sizeof(text) - 1);
		terminal_close(t);
		t->child.pid = t->checker.pid = 0;
		terminal_free(t);
	}
}
