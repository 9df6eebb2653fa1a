/*
 * garden.c - the walled garden: who is refused gets in, and gets nowhere
 *
 * A subscriber whom RADIUS refuses is let in, flagged as gardened.  Every new
 * connection from the address then goes through the chain `garden` of the nat
 * table, which the operator's build-garden fills.  Ours are:
 *
 *	PREROUTING	one rule, first: everything to garden_users
 *	garden_users	one rule: what comes from the set garden_users goes to
 *			garden.  Without ipset: a rule for each address
 *	garden		what build-garden says
 *
 * The loop never waits: a change of the firewall is a child.  While one runs,
 * changes are collected, and the next takes all of them.  A session is held
 * until its address is in the list, so not a packet of it passes before.
 *
 * What is in the kernel is never taken for granted: at the start, and after
 * anything has failed, the whole set is built beside the one in force and
 * swapped with it; the chain without ipset is always replaced as a whole, in
 * one transaction.  So what a crash has left is gone with the first batch.
 * From time to time a child looks whether somebody has emptied the table.
 *
 * While the garden is made nobody gets out: the chain begins with a rule that
 * drops all, which goes when build-garden is through.  If there was anything
 * wrong with that, one at the end stays.
 *
 * The shell sees the path of build-garden and nothing else that is not written
 * below; names of subscribers get nowhere near a child.
 *
 * Owns:     the chains garden and garden_users, the set garden_users, the rule
 *           in PREROUTING; the list of addresses that are to be in there.
 * Calls:    what plugin.h offers.
 * Lifetime: from become_master to become_slave or plugin_done(), which leave
 *           nothing behind.  What a crash has left goes at the next start, of
 *           a slave too: to its kernel these addresses would be gardened still.
 */
#define _GNU_SOURCE 1			/* O_PATH */
#include "plugin.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SET_OPTIONS	"hash:ip family inet maxelem 1048576"
#define BATCH		4096		/* addresses that a child is given */
#define BUCKETS		4096		/* a power of two */
#define CUT_MAX		64		/* connections that one child cuts */
#define TEXT_STEP	65536		/* by which a text grows */
#define LINE_ROOM	256		/* longer than any line */
#define WAIT_MAX	60		/* s between tries, at most */
#define CHECK_EVERY	30		/* s without a change */
#define SETUP_SECONDS	"60"		/* for a build-garden that hangs */
#define PAUSE_SECONDS	"0.05"		/* between two children */
#define OUTPUT_LINES	10		/* of a child's, for the log */

int plugin_api_version = PLUGIN_API_VERSION;

const char *plugin_control_help[] = {
	"  garden USER|SID                             Close the garden for a session",
	"  ungarden USER|SID                           Let it out",
	"  build-garden                                Run build-garden again",
	NULL
};

/* --- what the shell is given -------------------------------------------- */

/* What `setup` ends with; anything else is a failure. */
enum { WITH_SET = 20, WITHOUT_SET = 21, SCRIPT_FAILED = 2 /* and one of them */ };

/*
 * `setup FILE` makes the chains and has FILE fill one of them, `rules` feeds
 * iptables-restore, `remove` takes everything away again.
 *
 * For nat, today's iptables takes neither `--dport ! 53` nor `-j DROP`, which
 * the examples of build-garden have had for twenty years.  So the file, which
 * is sourced, finds a function `iptables` that says `! --dport 53`, and for
 * DROP a destination that no packet may have: 0.0.0.0 (RFC 1122 3.2.1.3).
 * Linux throws such a packet away before it is routed, wherever it was to go,
 * and with it the connection, so that the next one is a first one again: nat
 * sees no others.
 *
 * iptables-legacy wants to lock a file that root alone may open; as another
 * user it has to do without the lock.
 */
static const char script[] =
"PATH=/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin; export PATH\n"
"drop='-j DNAT --to-destination 0.0.0.0'\n"
"early='-m comment --comment until-build-garden-is-through'\n"
"late='-m comment --comment build-garden-failed'\n"
"users='garden_users -m set --match-set garden_users src -j garden'\n"
"lock=/run/xtables.lock\n"
"if [ -e $lock ]; then [ -w $lock ]; else [ -w /run ]; fi ||\n"
"	export XTABLES_LOCKFILE=/dev/null\n"
"\n"
"nat() { command iptables -w 10 -t nat \"$@\"; }\n"
"rules() { iptables-restore --noflush -w 10; }\n"
"# One transaction: a chain that has these rules and no others.\n"
"chain() { printf '*nat\\n:%s - [0:0]\\n-A %s\\nCOMMIT\\n' \"$1\" \"$2\" | rules; }\n"
"\n"
"iptables() {\n"
"	local n=$# arg option= nat= adds= status\n"
"	case \" $* \" in *' -t nat '*|*' -tnat '*|*' --table nat '*)\n"
"		nat=yes ;;\n"
"	esac\n"
"	case \" $* \" in *' -'[AIR]' '*|*' --append '*|*' --insert '*)\n"
"		adds=yes ;;\n"
"	esac\n"
"	while [ $n -gt 0 ]; do\n"
"		arg=$1 n=$((n - 1)); shift\n"
"		case $arg in\n"
"		!)	case $1 in\n"
"			-*)	set -- \"$@\" ${option:+\"$option\"} ! ;;\n"
"			*)	set -- \"$@\" ! ${option:+\"$option\"} ;;\n"
"			esac\n"
"			option= ;;\n"
"		-*)	set -- \"$@\" ${option:+\"$option\"}\n"
"			option=$arg ;;\n"
"		*)	if [ \"$nat$option$arg\" = yes-jDROP ] ||\n"
"			    [ \"$nat$option$arg\" = yes--jumpDROP ]; then\n"
"				option=-j arg=DNAT\n"
"				set -- \"$@\" -j DNAT --to-destination 0.0.0.0\n"
"			else\n"
"				set -- \"$@\" ${option:+\"$option\"} \"$arg\"\n"
"			fi\n"
"			option= ;;\n"
"		esac\n"
"	done\n"
"	command iptables -w 10 \"$@\" ${option:+\"$option\"} && return\n"
"	status=$?\n"
"	[ -z \"$adds\" ] || failed=$status\n"
"	return $status\n"
"}\n"
"\n"
"fill() (\n"
"	failed=0\n"
"	trap 's=$?; [ $s != 0 ] || s=$failed; exit $s' EXIT\n"
"	cd / && . \"$1\"\n"
") </dev/null\n"
"\n"
"setup() {\n"
"	local kind=20 bad=0\n"
"	chain garden \"garden $early $drop\" || return 1\n"
"	ipset destroy garden_next 2>/dev/null\n"
"	{ ipset -exist create garden_users $2 && chain garden_users \"$users\"\n"
"	    } 2>/dev/null || kind=21\n"
"	nat -S garden_users >/dev/null 2>&1 || nat -N garden_users || return 1\n"
"	nat -C PREROUTING -j garden_users 2>/dev/null ||\n"
"	    nat -I PREROUTING -j garden_users || return 1\n"
"	if [ -z \"$1\" ] || ! fill \"$1\"; then\n"
"		bad=2\n"
"		nat -A garden $late $drop || return 1\n"
"	fi\n"
"	nat -D garden $early $drop 2>/dev/null\n"
"	return $((kind + bad))\n"
"}\n"
"\n"
"check() {\n"
"	nat -C PREROUTING -j garden_users && nat -S garden >/dev/null || return\n"
"	if [ \"$1\" = set ]; then nat -C $users; else nat -S garden_users; fi\n"
"} >/dev/null\n"
"\n"
"# nft lets go of a set a little after its rule is gone.\n"
"destroy() {\n"
"	for try in 1 2 3 4 5 6 7 8 9 10; do\n"
"		ipset list -n $1 >/dev/null 2>&1 || return 0\n"
"		ipset destroy $1 2>/dev/null && return\n"
"		sleep 0.1\n"
"	done\n"
"	return 1\n"
"}\n"
"\n"
"remove() {\n"
"	local bad=0\n"
"	while nat -D PREROUTING -j garden_users 2>/dev/null; do :; done\n"
"	for chain in garden_users garden; do\n"
"		nat -S $chain >/dev/null 2>&1 || continue\n"
"		nat -F $chain && nat -X $chain || bad=1\n"
"	done\n"
"	destroy garden_users && destroy garden_next || bad=1\n"
"	return $bad\n"
"}\n"
"\n"
"\"$@\"\n";

/* --- state -------------------------------------------------------------- */

/* An address that is in the kernel's list, or is to be. */
struct address {
	uint32_t ip;
	uint32_t s;			/* whose it is */
	bool want;			/* it is to be in there */
	bool held;			/* its session is, until it is in */
	bool dirty;			/* it is among the changes */
	struct address *next;		/* of its bucket */
	struct address *change;		/* the next one of the changes */
};

enum child { NO_CHILD, SETUP, SYNC, CHANGES, CUT, CHECK, PAUSE, REMOVE };

static struct pluginfuncs *host;
static struct address *table[BUCKETS];
static struct address *changes;		/* that no child has been given yet */
static uint32_t sent[BATCH];		/* what the child is to put in */
static size_t n_sent;
static uint32_t to_cut[CUT_MAX];	/* whose connections are to go */
static size_t n_cut;

static struct {
	bool wanted;			/* we are master: there is to be one */
	bool there;			/* something of ours may be there */
	bool built;			/* setup is through */
	bool again;			/* setup is asked for once more */
	bool with_set;
	bool whole;			/* the next batch is all that there is */
	bool syncing;			/* more of that has to follow */
	bool pause;			/* changes have just been made */
	unsigned int bucket;		/* where it goes on */
	enum child child;		/* what runs */
	unsigned int failures;		/* in a row */
	unsigned int wait;		/* s until the next try */
	unsigned int quiet;		/* s since anything has run */
} g;

static int count_in, count_out, count_children, count_failures;

static void advance(void);

static struct address **
find(uint32_t ip)
{
	struct address **a = &table[(ip ^ ip >> 12 ^ ip >> 24) % BUCKETS];

	while (*a != NULL && (*a)->ip != ip)
		a = &(*a)->next;
	return a;
}

static void
forget(struct address **a)
{
	struct address *gone = *a;

	*a = gone->next;
	free(gone);
}

/* It goes nowhere before it is in the list. */
static void
hold(struct address *a)
{
	if (!a->held)
		a->held = host->hold(a->s, 1) != 0;
}

static void
let_go(struct address *a)
{
	if (a->held)
		(void)host->hold(a->s, 0);
	a->held = false;
}

/* Those that are not wanted; all: everybody. */
static void
forget_addresses(bool all)
{
	struct address **a;

	for (size_t i = 0; i < BUCKETS; i++)
		for (a = &table[i]; *a != NULL; )
			if (all || !(*a)->want) {
				let_go(*a);
				forget(a);
			} else {
				(*a)->dirty = false;
				a = &(*a)->next;
			}
	changes = NULL;
}

/* It is written down; the next child takes it. */
static void
note_change(struct address *a)
{
	if (!a->dirty) {
		a->dirty = true;
		a->change = changes;
		changes = a;
	}
	advance();
}

static void
put_in(uint32_t s, uint32_t ip)
{
	struct address **slot = find(ip), *a = *slot;

	if (a == NULL) {
		a = calloc(1, sizeof(*a));
		if (a == NULL) {
			host->log(PLUGIN_LOG_ERROR, s, 0, "no memory: it is "
			    "not in the walled garden, and is ended");
			host->shutdown(s, "no room in the walled garden", 0, 0,
			    0);
			return;
		}
		a->ip = ip;
		*slot = a;
	}
	if (a->want && a->s == s)
		return;
	a->s = s;
	a->want = true;
	a->held = false;
	hold(a);
	host->count(count_in, 1);
	note_change(a);
}

static void
take_out(uint32_t s, uint32_t ip)
{
	struct address *a = *find(ip);

	if (a == NULL || !a->want || a->s != s)
		return;
	a->want = false;
	let_go(a);
	host->count(count_out, 1);
	note_change(a);
}

/*
 * A connection that has begun goes on the way it went, so what is connected
 * has to be forgotten when somebody gets in or out whose IP passes already.
 */
static void
cut_connections(uint32_t ip)
{
	if (n_cut < CUT_MAX)
		to_cut[n_cut++] = ip;
}

/* --- text for a child --------------------------------------------------- */

struct text {
	char *p;
	size_t len, size;
	bool bad;			/* no memory */
};

static void PLUGIN_PRINTF(2, 3)
add(struct text *t, const char *fmt, ...)
{
	size_t size = t->size + TEXT_STEP;
	va_list ap;
	char *p;

	if (t->size - t->len < LINE_ROOM) {
		p = realloc(t->p, size);
		if (p == NULL) {
			t->bad = true;
			return;
		}
		t->p = p;
		t->size = size;
	}
	va_start(ap, fmt);
	t->len += (size_t)vsnprintf(t->p + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
}

static void
add_address(struct text *t, const char *before, uint32_t ip, const char *after)
{
	add(t, "%s%u.%u.%u.%u%s\n", before, ip >> 24, ip >> 16 & 255,
	    ip >> 8 & 255, ip & 255, after);
}

/* --- may build-garden be run? ------------------------------------------- */

/*
 * It runs with all that the server may do, so nobody but root, or who we are,
 * may be able to change it or what leads to it.  In a directory like /tmp,
 * with the sticky bit, others cannot touch what is not theirs.
 */
static bool
is_safe(int fd, const char *path, bool last)
{
	const char *what = NULL;
	struct stat st;

	if (fstat(fd, &st) != 0)
		what = strerror(errno);
	else if (S_ISLNK(st.st_mode))
		what = "is a symbolic link";
	else if (last && !S_ISREG(st.st_mode))
		what = "is no ordinary file";
	else if (st.st_uid != 0 && st.st_uid != geteuid())
		what = "does not belong to root";
	else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
	    (last || (st.st_mode & S_ISVTX) == 0))
		what = "can be written to by others than root";
	if (what != NULL)
		host->log(PLUGIN_LOG_ERROR, 0, 0, "build-garden is not run: "
		    "%s %s", path, what);
	return what == NULL;
}

/* Walks down from the root, following no symbolic link. */
static bool
check_path(const char *path)
{
	char part[PATH_MAX];
	size_t at = 0, n;
	int fd, next;

	fd = open("/", O_PATH | O_CLOEXEC);
	while (fd >= 0 && is_safe(fd, at == 0 ? "/" : part, path[at] == '\0')) {
		if (path[at] == '\0') {
			close(fd);
			return true;
		}
		at += strspn(path + at, "/");
		n = strcspn(path + at, "/");
		memcpy(part, path + at, n);
		part[n] = '\0';
		at += n;
		next = openat(fd, part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			host->log(PLUGIN_LOG_ERROR, 0, 0, "build-garden is not "
			    "run: %.*s: %s", (int)at, path, strerror(errno));
		snprintf(part, sizeof(part), "%.*s", (int)at, path);
		close(fd);
		fd = next;
	}
	if (fd >= 0)
		close(fd);
	return false;
}

/* The path of build-garden; false, with a line in the log, if there is none. */
static bool
find_script(char *path, size_t size)
{
	char here[PATH_MAX] = "";

	if (host->etcdir[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return false;
	if ((size_t)snprintf(path, size, "%s%s%s/build-garden", here,
	    here[0] != '\0' ? "/" : "", host->etcdir) >= size)
		return false;
	return check_path(path);
}

/* --- children ----------------------------------------------------------- */

/* Those whom the child has put in, and after a new list all that are in it. */
static void
release(enum child child)
{
	struct address *a;

	for (size_t i = 0; child == CHANGES && i < n_sent; i++) {
		a = *find(sent[i]);
		if (a != NULL && a->want)
			let_go(a);
	}
	for (size_t i = 0; child == SYNC && i < BUCKETS; i++)
		for (a = table[i]; a != NULL; a = a->next)
			if (a->want && !a->dirty)
				let_go(a);
}

/* The first of the places where Debian and others keep such programs. */
static const char *
program(const char *name)
{
	static const char *const places[] = { "/usr/sbin", "/sbin",
	    "/usr/local/sbin" };
	static char path[64];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", places[i], name);
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

/* What a child wrote, line by line. */
static void
log_output(int level, const char *output)
{
	size_t n;

	for (int i = 0; i < OUTPUT_LINES && *output != '\0'; output += n) {
		output += strspn(output, "\n");
		n = strcspn(output, "\n");
		if (n > 0) {
			host->log(level, 0, 0, "the walled garden: %.*s",
			    (int)(n < 200 ? n : 200), output);
			i++;
		}
	}
}

/* Each try waits longer; the log hears of the first, second, fourth... */
static void
note_failure(enum child child, int status, const char *output)
{
	static const char *const what[] = {
		[SETUP] = "setting up",
		[SYNC] = "writing all addresses",
		[CHANGES] = "changing addresses",
		[CUT] = "cutting connections",
		[CHECK] = "checking",
		[PAUSE] = "a pause",
		[REMOVE] = "removing the rules",
	};
	unsigned int n = ++g.failures;

	host->count(count_failures, 1);
	g.wait = n < 7 ? 1U << (n - 1) : WAIT_MAX;
	g.built = g.syncing = false;
	if ((n & (n - 1)) != 0)
		return;
	host->log(PLUGIN_LOG_ERROR, 0, 0, "the walled garden: %s has failed "
	    "(%s %d), once more in %u s", what[child], WIFEXITED(status) ?
	    "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) :
	    WTERMSIG(status), g.wait);
	log_output(PLUGIN_LOG_ERROR, output);
}

static void
setup_done(int status, const char *output)
{
	int kind = WIFEXITED(status) ? WEXITSTATUS(status) & ~SCRIPT_FAILED : 0;

	if (kind != WITH_SET && kind != WITHOUT_SET) {
		note_failure(SETUP, status, output);
		return;
	}
	if ((WEXITSTATUS(status) & SCRIPT_FAILED) != 0)
		host->log(PLUGIN_LOG_ERROR, 0, 0, "build-garden failed: what "
		    "its rules say nothing of is dropped");
	log_output(PLUGIN_LOG_WARN, output);
	g.built = g.whole = true;
	g.with_set = kind == WITH_SET;
	host->log(PLUGIN_LOG_WARN, 0, 0, "the walled garden is built; "
	    "subscribers are matched by %s", g.with_set ? "a set (ipset)" :
	    "a rule for each");
}

static void
child_good(enum child child)
{
	if (g.syncing)
		return;
	g.pause = child == CHANGES || child == SYNC;
	release(child);
	if (g.failures > 0)
		host->log(PLUGIN_LOG_WARN, 0, 0, "the walled garden is right "
		    "again");
	g.failures = 0;
}

static void
child_done(void *arg, int status, const char *output)
{
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	enum child child = g.child;

	(void)arg;
	g.child = NO_CHILD;
	g.quiet = 0;
	if (child == SETUP)
		setup_done(status, output);
	else if (child == REMOVE && good) {
		g.there = g.wanted;
		g.failures = 0;
	} else if (child == CHECK && !good) {
		host->log(PLUGIN_LOG_WARN, 0, 0, "somebody has changed the "
		    "walled garden's rules: they are made again");
		g.built = false;
	} else if (!good && child != CUT && child != PAUSE)
		note_failure(child, status, output);
	else if (good && g.wanted)
		child_good(child);
	advance();
}

static void
start(enum child child, const char *const argv[], struct text *input)
{
	g.child = child;
	if (child != PAUSE)
		host->count(count_children, 1);
	if ((input != NULL && input->bad) || !host->run(argv,
	    input != NULL ? input->p : NULL, input != NULL ? input->len : 0,
	    child_done, NULL)) {
		g.child = NO_CHILD;
		note_failure(child, 127 << 8, "it could not be started");
	}
	if (input != NULL)
		free(input->p);
}

static void
start_setup(void)
{
	char path[PATH_MAX];
	const char *argv[] = { "/usr/bin/timeout", SETUP_SECONDS, "/bin/sh",
	    "-c", script, "garden", "setup", path, SET_OPTIONS, NULL };

	if (!find_script(path, sizeof(path)))
		path[0] = '\0';
	g.there = true;
	g.built = g.again = g.syncing = false;
	start(SETUP, argv, NULL);
}

/* The chain without a set: all of it, at once. */
static void
start_rules(void)
{
	static const char *const argv[] = { "/bin/sh", "-c", script, "garden",
	    "rules", NULL };
	const struct address *a;
	struct text t = { 0 };

	forget_addresses(false);
	add(&t, "*nat\n:garden_users - [0:0]\n");
	for (size_t i = 0; i < BUCKETS; i++)
		for (a = table[i]; a != NULL; a = a->next)
			add_address(&t, "-A garden_users -s ", a->ip,
			    " -j garden");
	add(&t, "COMMIT\n");
	start(SYNC, argv, &t);
}

static void
start_ipset(enum child child, struct text *t)
{
	const char *argv[] = { program("ipset"), "-exist", "restore", NULL };

	if (argv[0] == NULL)
		t->bad = true;
	start(child, argv, t);
}

/*
 * All of the set, some buckets at a time.  What changes meanwhile is among the
 * changes, and comes after the swap.
 */
static void
start_sync(void)
{
	const struct address *a;
	struct text t = { 0 };
	unsigned int n = 0;

	if (!g.syncing) {
		forget_addresses(false);
		add(&t, "create garden_next " SET_OPTIONS "\n"
		    "flush garden_next\n");
		g.bucket = 0;
		g.syncing = true;
	}
	for (; g.bucket < BUCKETS && n < BATCH; g.bucket++)
		for (a = table[g.bucket]; a != NULL; a = a->next, n++)
			if (a->want)
				add_address(&t, "add garden_next ", a->ip, "");
	if (g.bucket == BUCKETS) {
		add(&t, "swap garden_next garden_users\n"
		    "destroy garden_next\n");
		g.syncing = false;
	}
	start_ipset(SYNC, &t);
}

/* Who is taken out is forgotten: should it go wrong, all is written again. */
static void
start_changes(void)
{
	struct text t = { 0 };
	struct address *a;

	n_sent = 0;
	for (unsigned int n = 0; changes != NULL && n < BATCH; n++) {
		a = changes;
		changes = a->change;
		a->dirty = false;
		add_address(&t, a->want ? "add garden_users " :
		    "del garden_users ", a->ip, "");
		if (a->want)
			sent[n_sent++] = a->ip;
		else
			forget(find(a->ip));
	}
	start_ipset(CHANGES, &t);
}

static void
start_cut(void)
{
	const char *argv[] = { program("conntrack"), "-R", "-", NULL };
	struct text t = { 0 };

	while (n_cut > 0)
		add_address(&t, "-D -s ", to_cut[--n_cut], "");
	if (argv[0] != NULL)
		start(CUT, argv, &t);
	else
		free(t.p);
}

static void
start_check(void)
{
	const char *argv[] = { "/bin/sh", "-c", script, "garden", "check",
	    g.with_set ? "set" : "rules", NULL };

	start(CHECK, argv, NULL);
}

/* Not a program for each who comes: in a rush it is one for many. */
static void
start_pause(void)
{
	static const char *const argv[] = { "/bin/sleep", PAUSE_SECONDS, NULL };

	g.pause = false;
	start(PAUSE, argv, NULL);
}

static const char *const remove_argv[] = { "/bin/sh", "-c", script, "garden",
    "remove", NULL };

/* The next thing that is to be done, if nothing is under way. */
static void
advance(void)
{
	if (g.child != NO_CHILD || g.wait > 0)
		return;
	if (!g.wanted) {
		if (g.there)
			start(REMOVE, remove_argv, NULL);
	} else if (!g.built || g.again) {
		start_setup();
	} else if (g.syncing) {
		start_sync();
	} else if (g.pause) {
		start_pause();
	} else if (g.whole || (changes != NULL && !g.with_set)) {
		g.whole = false;
		if (g.with_set)
			start_sync();
		else
			start_rules();
	} else if (changes != NULL) {
		start_changes();
	} else if (n_cut > 0) {
		start_cut();
	} else if (g.quiet >= CHECK_EVERY) {
		start_check();
	}
}

/* --- events ------------------------------------------------------------- */

int
plugin_init(struct pluginfuncs *funcs)
{
	host = funcs;
	g.there = true;			/* what a crash has left, say */
	if (program("iptables") == NULL || program("iptables-restore") == NULL) {
		host->log(PLUGIN_LOG_ERROR, 0, 0, "the walled garden needs "
		    "iptables");
		return 0;
	}
	count_in = host->counter("in", "sessions taken into the garden");
	count_out = host->counter("out", "sessions that left it");
	count_children = host->counter("programs", "programs that were run");
	count_failures = host->counter("failures", "programs that failed");
	return 1;
}

/* What is saved, or what another server has let in, is not news. */
int
plugin_become_master(struct param_become_master *data)
{
	struct plugin_session p;
	uint32_t s = 0;

	(void)data;
	g.wait = g.failures = 0;
	g.built = false;
	g.wanted = true;
	while ((s = host->next_session(s)) != 0)
		if (host->get_session(s, &p, sizeof(p)) && p.garden && p.open &&
		    p.ip != 0)
			put_in(s, p.ip);
	advance();
	return PLUGIN_RET_OK;
}

int
plugin_become_slave(struct param_become_slave *data)
{
	(void)data;
	g.wanted = g.built = g.syncing = false;
	g.wait = 0;
	n_cut = 0;
	forget_addresses(true);
	advance();
	return PLUGIN_RET_OK;
}

/* Nobody gets free passage because the firewall does not do what it should. */
static bool
is_working(void)
{
	return g.wanted && g.failures == 0;
}

/* Somebody who is up already, or logs in again. */
static void
move_in(const struct plugin_session *p)
{
	if (!p->open || p->ip == 0)
		return;			/* new_session will come */
	put_in(p->s, p->ip);
	cut_connections(p->ip);
}

static void
move_out(const struct plugin_session *p)
{
	if (p->ip == 0)
		return;
	take_out(p->s, p->ip);
	cut_connections(p->ip);
}

int
plugin_post_auth(struct param_post_auth *data)
{
	struct plugin_session p;

	if (!host->get_session(data->s, &p, sizeof(p)))
		return PLUGIN_RET_OK;
	if (data->auth_allowed) {
		if (p.garden && host->garden(data->s, 0))
			move_out(&p);
		return PLUGIN_RET_OK;
	}
	if (!is_working()) {
		host->log(PLUGIN_LOG_INFO, data->s, data->t, "there is no "
		    "walled garden for it at the moment");
		return PLUGIN_RET_OK;
	}
	if (!host->garden(data->s, 1))
		return PLUGIN_RET_OK;
	data->auth_allowed = 1;
	move_in(&p);
	return PLUGIN_RET_OK;
}

int
plugin_new_session(struct param_new_session *data)
{
	struct plugin_session p;
	struct address *a;

	if (!host->get_session(data->s, &p, sizeof(p)) || p.ip == 0)
		return PLUGIN_RET_OK;
	a = *find(p.ip);
	if (p.garden)
		put_in(data->s, p.ip);
	else if (a != NULL)
		take_out(a->s, p.ip);
	return PLUGIN_RET_OK;
}

int
plugin_kill_session(struct param_kill_session *data)
{
	struct plugin_session p;

	if (host->get_session(data->s, &p, sizeof(p)) && p.ip != 0)
		take_out(data->s, p.ip);
	return PLUGIN_RET_OK;
}

int
plugin_timer(struct param_timer *data)
{
	(void)data;
	g.quiet++;
	if (g.wait > 0)
		g.wait--;
	advance();
	return PLUGIN_RET_OK;
}

/* --- nsctl -------------------------------------------------------------- */

static bool
is_number(const char *word)
{
	return word[strspn(word, "0123456789")] == '\0';
}

static void
control_session(struct param_control *data, bool in)
{
	const char *word = data->argc == 2 ? data->argv[1] : "";
	struct plugin_session p;
	uint32_t s;

	if (word[0] == '\0') {
		host->control_answer(data, 1, "%s USER|SID", data->argv[0]);
		return;
	}
	s = host->find_session(word);
	if (s == 0 || !host->get_session(s, &p, sizeof(p))) {
		host->control_answer(data, 1, "%s not connected: %s",
		    is_number(word) ? "Session" : "User", word);
		return;
	}
	if (in && !is_working()) {
		host->control_answer(data, 1, "there is no walled garden at "
		    "the moment; see the log");
		return;
	}
	if (in == p.garden) {
		host->control_answer(data, 0, "Session %u is %s the walled "
		    "garden", s, in ? "already in" : "not in");
		return;
	}
	if (!host->garden(s, in)) {
		host->control_answer(data, 1, "Session %u cannot be changed",
		    s);
		return;
	}
	if (in)
		move_in(&p);
	else
		move_out(&p);
	host->control_answer(data, 0, "Session %u is %s the walled garden", s,
	    in ? "in" : "out of");
}

/* The rules are made anew; until they are, nobody in there gets anywhere. */
static void
control_build(struct param_control *data)
{
	if (!g.wanted) {
		host->control_answer(data, 1, "another server of the cluster "
		    "has the walled garden");
		return;
	}
	g.again = true;
	g.wait = 0;
	advance();
	host->control_answer(data, 0, "Running build-garden; the log says how "
	    "it went");
}

int
plugin_control(struct param_control *data)
{
	const char *word = data->argv[0];

	if (strcmp(word, "garden") == 0)
		control_session(data, true);
	else if (strcmp(word, "ungarden") == 0)
		control_session(data, false);
	else if (strcmp(word, "build-garden") == 0)
		control_build(data);
	else
		return PLUGIN_RET_OK;
	return PLUGIN_RET_STOP;
}

/* --- the end ------------------------------------------------------------ */

/*
 * Without the rules whoever is in the garden would be free.  While the server
 * ends nothing can be shut down, and its sessions may go on in the next one.
 */
void
plugin_done(void)
{
	struct plugin_session p;
	uint32_t s = 0;
	int status;

	g.wanted = false;
	while ((s = host->next_session(s)) != 0)
		if (host->get_session(s, &p, sizeof(p)) && p.garden)
			host->shutdown(s, "the walled garden is removed", 0, 0,
			    0);
	forget_addresses(true);
	if (!g.there)
		return;
	/* Once more, if all the time went into waiting for what still ran. */
	status = host->run_wait(remove_argv, NULL, 0);
	if (status == -1)
		status = host->run_wait(remove_argv, NULL, 0);
	if (status != 0)
		host->log(PLUGIN_LOG_ERROR, 0, 0, "the walled garden's rules "
		    "cannot be removed; iptables -t nat -S shows what is "
		    "left");
}
