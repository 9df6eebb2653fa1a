/*
 * l2tpns.c - the daemon: arguments, wiring, signals, order of start and stop
 *
 * Reads like an index: main() starts every module in the order of the floors,
 * runs the loop, and stops them in reverse.  Nothing here knows a protocol.
 *
 * Owns:     struct l2tpns lns, the configuration in force.
 * Calls:    every module's init and exit.
 * Lifetime: the process.  fatal() exists here only, and only before the loop.
 */
#include "l2tpns.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounting.h"
#include "control.h"
#include "digest.h"
#include "forward.h"
#include "icmp.h"
#include "ippool.h"
#include "log.h"
#include "loop.h"
#include "plugins.h"
#include "radius.h"
#include "secrets.h"
#include "session.h"
#include "table.h"
#include "tun.h"
#include "tunnel.h"

#define STOP_POLL_MS	50
#define STOP_QUIET_MS	3000	/* SIGTERM: for accounting to be answered */
#define STOP_MORE_MS	6000	/* from the last answer, as others may come */
#define STOP_CLEAN_MS	35000	/* SIGQUIT: a full retransmission cycle */

struct l2tpns lns;

/* What the command line said; it outlives every reload. */
static struct {
	const char *config_file;
	const char *hostname;
	int verbose;
	bool detach, check_only;
} args = { .config_file = ETCDIR "/startup-config" };

static struct timer stop_timer;
static uint64_t stop_deadline, stop_limit;
static uint32_t stop_left;		/* accounting records, at the last look */

static void __attribute__((noreturn, format(printf, 1, 2)))
fatal(const char *fmt, ...)
{
	va_list ap;

	fputs("l2tpns: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static void __attribute__((noreturn))
usage(FILE *to, int status)
{
	fprintf(to,
"usage: l2tpns [-c FILE] [-d] [-h HOSTNAME] [-v]... [-t] [-V]\n"
"  -c FILE      the startup-config (default %s/startup-config);\n"
"               ip_pool, users, build-garden and ppp-secrets lie beside it\n"
"  -d           detach and run in the background\n"
"  -h HOSTNAME  the name announced to LACs (default: this host's name)\n"
"  -v           more log output, once for each level\n"
"  -t           check the configuration, print every fault, exit 0 or 1\n"
"  -V           print the version\n", ETCDIR);
	exit(status);
}

static void
parse_args(int argc, char **argv)
{
	int c;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		usage(stdout, 0);
	while ((c = getopt(argc, argv, "c:dh:vtV")) != -1)
		switch (c) {
		case 'c': args.config_file = optarg; break;
		case 'd': args.detach = true; break;
		case 'h': args.hostname = optarg; break;
		case 'v': args.verbose++; break;
		case 't': args.check_only = true; break;
		case 'V': puts("l2tpns " L2TPNS_VERSION); exit(0);
		default: usage(stderr, 2);
		}
	if (optind != argc)
		usage(stderr, 2);
}

/* In the background we are in another directory when SIGHUP comes. */
static void
absolute_config_file(void)
{
	static char path[CONFIG_STRING];
	char here[CONFIG_STRING];
	int n;

	if (args.config_file[0] == '/')
		return;
	if (getcwd(here, sizeof(here)) == NULL)
		fatal("this directory has no usable name: %s",
		    strerror(errno));
	n = snprintf(path, sizeof(path), "%s/%s", here, args.config_file);
	if (n < 0 || (size_t)n >= sizeof(path))
		fatal("%s: the name is too long", args.config_file);
	args.config_file = path;
}

/* --- configuration ------------------------------------------------------ */

/* The `load plugin` lines of what load_config() read last. */
static struct config_plugin plugin_lines[CONFIG_PLUGINS];
static size_t plugin_lines_n;

static void
set_etcdir(const char *file)
{
	const char *slash = strrchr(file, '/');

	if (slash == NULL)
		snprintf(lns.etcdir, sizeof(lns.etcdir), ".");
	else
		snprintf(lns.etcdir, sizeof(lns.etcdir), "%.*s",
		    slash == file ? 1 : (int)(slash - file), file);
}

static const char *
etc_file(const char *name)
{
	static char path[CONFIG_STRING + 32];

	snprintf(path, sizeof(path), "%s/%s", lns.etcdir, name);
	return path;
}

static void
print_fault(const char *file, unsigned int line, const char *reason, void *arg)
{
	(void)arg;
	if (line == 0)
		printf("%s: %s\n", file, reason);
	else
		printf("%s:%u: %s\n", file, line, reason);
}

static void
log_fault(const char *file, unsigned int line, const char *reason, void *arg)
{
	enum log_level level = strncmp(reason, CONFIG_WARNING,
	    sizeof(CONFIG_WARNING) - 1) == 0 ? LOG_L_WARN : LOG_L_ERROR;

	(void)arg;
	if (line == 0)
		log_line(level, 0, 0, "%s: %s", file, reason);
	else
		log_line(level, 0, 0, "%s:%u: %s", file, line, reason);
}

static void
name_host(void)
{
	char name[HOSTNAME_MAX] = "";

	if (args.hostname != NULL)
		snprintf(name, sizeof(name), "%s", args.hostname);
	else if (lns.config.hostname[0] != '\0')
		snprintf(name, sizeof(name), "%.*s", (int)sizeof(name) - 1,
		    lns.config.hostname);
	else if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
		snprintf(name, sizeof(name), "l2tpns");
	memcpy(lns.hostname, name, sizeof(name));
}

/* Makes lns.config the truth for those who keep something of it. */
static void
apply_config(void)
{
	int level = (int)lns.config.debug + args.verbose;

	log_set_level(level < LOG_LEVELS ? level : LOG_LEVELS - 1);
	name_host();
	lns.local_addr = lns.config.bind_address != 0 ?
	    lns.config.bind_address : tun_default_address();
}

/*
 * Whoever can write to a configuration file rules the server, and whoever can
 * read a secret has it.  Only said, since the file may be where it has to be.
 */
static void
check_mode(const char *path, bool secret, config_fault_fn *fault)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return;
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		fault(path, 0, CONFIG_WARNING "others than its owner can "
		    "write to it", NULL);
	if (secret && (st.st_mode & S_IROTH) != 0)
		fault(path, 0, CONFIG_WARNING "everybody can read the "
		    "secrets in it", NULL);
}

static int
load_config(struct config *c, config_fault_fn *fault)
{
	int faults;

	config_defaults(c);
	faults = config_load(c, args.config_file, plugin_lines,
	    &plugin_lines_n, fault, NULL);
	if (faults < 0)
		return faults;
	check_mode(args.config_file, c->l2tp_secret[0] != '\0' ||
	    c->radius_secret[0] != '\0' || c->nsctl_secret[0] != '\0', fault);
	return faults + config_check(c, args.config_file, fault,
	    NULL);
}

/* The files beside startup-config; missing ones but ip_pool are allowed. */
static int
load_files(config_fault_fn *fault)
{
	int pool, secrets = 0;

	pool = ippool_load(etc_file("ip_pool"), lns.config.bind_address, fault,
	    NULL);
	check_mode(etc_file("ip_pool"), false, fault);
	if (access(etc_file("ppp-secrets"), F_OK) == 0) {
		check_mode(etc_file("ppp-secrets"), true, fault);
		secrets = secrets_load(etc_file("ppp-secrets"), fault, NULL);
	} else {
		secrets_clear();
	}
	return (pool != 0) + (secrets != 0);
}

/* -t: a plugin that cannot be loaded does not keep the server from running. */
static void
check_plugins(config_fault_fn *fault)
{
	struct config_report r = { .file = args.config_file, .fn = fault };
	char err[512];

	plugins_init(lns.config.plugin_dir);
	for (size_t i = 0; i < plugin_lines_n; i++)
		if (!plugin_check(plugin_lines[i].name, err, sizeof(err)))
			config_warn(&r, 0, "load plugin %s: %s",
			    plugin_lines[i].name, err);
}

static int
check_only(void)
{
	int faults = load_config(&lns.config, print_fault);

	faults |= load_files(print_fault);
	check_plugins(print_fault);
	if (faults == 0)
		printf("%s: no faults\n", args.config_file);
	return faults == 0 ? 0 : 1;
}

/* Gives the key in *c the value that config_print() printed. */
static void
put_back(struct config *c, const struct config_key *k, char *printed)
{
	char *word[1], err[128];
	const char *reason;

	if (config_words(printed, word, 1, &reason) == 1)
		(void)config_set(c, k->name, word[0], err, sizeof(err));
}

/*
 * Takes over from `fresh` what may change while running; what is read at
 * start only keeps its value, with a line in the log that says so.
 */
static void
take_over(struct config *fresh)
{
	char now[CONFIG_PRINTED], then[CONFIG_PRINTED];

	for (size_t i = 0; i < config_keys_n; i++) {
		const struct config_key *k = &config_keys[i];

		config_print(&lns.config, k, true, now, sizeof(now));
		config_print(fresh, k, true, then, sizeof(then));
		if (strcmp(now, then) == 0)
			continue;
		if (k->when == RESTART) {
			log_warn("%s: the new value takes effect after a "
			    "restart", k->name);
			put_back(fresh, k, now);
		} else
			log_info("%s changed", k->name);
	}
	lns.config = *fresh;
}

static void
sync_pool_routes(bool add)
{
	uint32_t addr;
	uint8_t len;

	for (size_t i = 0; ippool_prefixes(i, &addr, &len); i++)
		if (add)
			tun_route_add(addr, len);
		else
			tun_route_del(addr, len);
}

/* SIGHUP: the log is opened again, the configuration read again. */
static void
reload(int sig)
{
	static struct config fresh;

	(void)sig;
	log_reopen();
	if (load_config(&fresh, log_fault) != 0) {
		log_error("%s has faults: the running configuration stays in "
		    "force", args.config_file);
		return;
	}
	if (strcmp(fresh.log_file, lns.config.log_file) != 0) {
		char err[256];

		if (!log_open(fresh.log_file, err, sizeof(err)))
			log_error("log_file: %s; logging to standard error",
			    err);
	}
	take_over(&fresh);
	apply_config();
	radius_reconfigure();
	sync_pool_routes(false);
	load_files(log_fault);
	sync_pool_routes(true);
	session_pool_changed();
	plugins_apply(plugin_lines, plugin_lines_n);
	log_warn("configuration loaded again from %s", args.config_file);
}

/* --- stopping ----------------------------------------------------------- */

/*
 * While servers answer, it is worth waiting for the rest: nobody else has
 * these records.  STOP_CLEAN_MS is the end of that too.
 */
static void
stop_poll(struct timer *t)
{
	uint32_t left = acct_pending();
	uint64_t more = timer_now() + STOP_MORE_MS;

	if (more > stop_limit)
		more = stop_limit;
	if (left < stop_left && more > stop_deadline)
		stop_deadline = more;
	stop_left = left;
	if (timer_now() < stop_deadline &&
	    (left > 0 || (!lns.quiet && !tunnels_quiet())))
		timer_arm(t, STOP_POLL_MS);
	else
		loop_stop();
}

static void
stop_when_quiet(uint64_t ms)
{
	lns.shutting_down = true;
	stop_timer.fire = stop_poll;
	stop_deadline = timer_now() + ms;
	stop_limit = timer_now() + STOP_CLEAN_MS;
	stop_left = acct_pending();
	timer_arm(&stop_timer, 0);
}

/*
 * SIGTERM, SIGINT: the LACs hear nothing, so that a restart or another server
 * may carry on.  A second one does not wait for accounting.
 */
static void
stop_quietly(int sig)
{
	struct session *s;

	if (lns.shutting_down) {
		loop_stop();
		return;
	}
	log_warn("signal %d: stopping; LACs and subscribers are not told", sig);
	for (s = session_next(0); s != NULL; s = session_next(s->sid))
		session_kill(s, CAUSE_NAS_REBOOT, "the server is stopping");
	lns.quiet = true;
	stop_when_quiet(STOP_QUIET_MS);
}

/* SIGQUIT: every session gets a CDN, every tunnel a StopCCN. */
static void
stop_cleanly(int sig)
{
	if (lns.shutting_down) {
		loop_stop();
		return;
	}
	log_warn("signal %d: disconnecting %u sessions on %u tunnels, then "
	    "stopping", sig, table_sessions(), table_tunnels());
	lns.shutting_down = true;
	tunnels_shutdown("the server is shutting down");
	stop_when_quiet(STOP_CLEAN_MS);
}

/* --- starting ----------------------------------------------------------- */

static void
write_pid_file(pid_t pid)
{
	const char *path = lns.config.pid_file;
	FILE *f;
	int fd;

	if (path[0] == '\0')
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
	    0644);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL || fprintf(f, "%d\n", (int)pid) < 0)
		log_error("pid_file %s: %s", path, strerror(errno));
	if (f != NULL)
		fclose(f);
	else if (fd >= 0)
		close(fd);
}

/*
 * To the background; whoever started us sees success only now, and then finds
 * the pid_file in its place.
 */
static void
detach(void)
{
	pid_t pid = fork();
	int null;

	if (pid < 0)
		fatal("fork: %s", strerror(errno));
	if (pid > 0) {
		write_pid_file(pid);
		_exit(0);
	}
	(void)setsid();
	if (chdir("/") != 0)
		log_warn("chdir /: %s", strerror(errno));
	if (lns.config.log_file[0] == '\0')
		log_warn("there is no log_file: nothing is logged from here on");
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

static void
start_log(void)
{
	char err[256];

	if (!log_open(lns.config.log_file, err, sizeof(err)))
		log_error("log_file: %s; logging to standard error", err);
}

static void
announce_ready(void)
{
	uint32_t a = lns.config.bind_address;
	char err[256];

	if (lns.config.send_garp && a != 0) {
		if (garp_send(a, err, sizeof(err)))
			COUNT(arp_sent);
		else
			log_info("no gratuitous ARP: %s", err);
	}
	log_warn("l2tpns " L2TPNS_VERSION " ready: %s on %u.%u.%u.%u port %u, "
	    "%u addresses in the pool, subscribers by %s", tun_name(),
	    a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255, L2TP_PORT,
	    ippool_size(), lns.config.primary_radius != 0 ||
	    lns.config.secondary_radius != 0 ? "RADIUS" : "ppp-secrets");
}

static void
start_network(void)
{
	char err[256];
	int tun;

	if (!icmp_init(err, sizeof(err)))
		log_warn("no ICMP unreachables: %s", err);
	tun = tun_open(err, sizeof(err));
	if (tun < 0)
		fatal("TUN device: %s", err);
	if (!forward_init(tun, err, sizeof(err)))
		fatal("L2TP socket: %s", err);
	if (!radius_init(err, sizeof(err)))
		fatal("RADIUS: %s", err);
}

/* What the server can do without. */
static void
start_services(void)
{
	char err[256];

	plugins_init(lns.config.plugin_dir);
	plugins_apply(plugin_lines, plugin_lines_n);
	if (!control_init(err, sizeof(err)))
		log_error("nsctl: %s", err);
}

static void
start(void)
{
	struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };
	static struct config fresh;

	timers_init();
	if (load_config(&fresh, log_fault) < 0)
		fatal("%s cannot be read; -c names another file",
		    args.config_file);
	lns.config = fresh;
	start_log();
	(void)setrlimit(RLIMIT_CORE, &core);
	if (!loop_init())
		fatal("loop: %s", strerror(errno));
	lns.start = timer_wall();
	lns.boot_id = digest_random_u32();
	lns.lpm = lpm_new();
	if (lns.lpm == NULL || !table_init((uint32_t)lns.config.max_sessions,
	    (uint32_t)lns.config.max_tunnels))
		fatal("tables: %s", strerror(errno));
	apply_config();
	session_init();
	ppp_init();
	tunnel_init();
	start_network();
	load_files(log_fault);
	sync_pool_routes(true);
	start_services();
	loop_on_signal(SIGHUP, reload);
	loop_on_signal(SIGTERM, stop_quietly);
	loop_on_signal(SIGINT, stop_quietly);
	loop_on_signal(SIGQUIT, stop_cleanly);
}

static void
stop(void)
{
	control_exit();
	plugins_exit();
	session_reap();
	tunnel_reap();
	forward_flush();
	radius_exit();
	forward_exit();
	tun_close();
	ippool_clear();
	secrets_clear();
	tunnel_exit();
	table_free();
	lpm_free(lns.lpm);
	if (lns.config.pid_file[0] != '\0')
		unlink(lns.config.pid_file);
	log_warn("stopped");
}

int
main(int argc, char **argv)
{
	parse_args(argc, argv);
	umask(077);
	if (args.detach)
		absolute_config_file();
	set_etcdir(args.config_file);
	if (args.check_only) {
		timers_init();
		return check_only();
	}
	start();
	if (args.detach)
		detach();
	else
		write_pid_file(getpid());
	announce_ready();
	loop_run();
	stop();
	return 0;
}
