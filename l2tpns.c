/*
 * l2tpns.c - the daemon: arguments, wiring, signals, order of start and stop
 *
 * Reads like an index: main() starts every module in the order of the floors,
 * runs the loop, and stops them in reverse.  Nothing here knows a protocol.
 *
 * Owns:     struct l2tpns lns, what the command line said.
 * Calls:    every module's init and exit.
 * Lifetime: the process.  fatal() exists here only, and only before the loop.
 */
#define _GNU_SOURCE 1			/* close_range */
#include "l2tpns.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acctfile.h"
#include "bgp.h"
#include "cleanup.h"
#include "cli.h"
#include "cluster.h"
#include "confwrite.h"
#include "control.h"
#include "digest.h"
#include "forward.h"
#include "icmp.h"
#include "ippool.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "plugins.h"
#include "privs.h"
#include "process.h"
#include "radius.h"
#include "reload.h"
#include "resolve.h"
#include "secrets.h"
#include "session.h"
#include "snoop.h"
#include "speed.h"
#include "state.h"
#include "stop.h"
#include "table.h"
#include "tun.h"
#include "tunnel.h"
#include "users.h"

struct l2tpns lns;

/* What the command line said; it outlives every reload. */
static struct {
	struct config_args config;
	bool detach, check_only;
} args = { .config = { .file = ETCDIR "/startup-config" } };

static void __attribute__((noreturn, format(printf, 1, 2)))
fatal(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (lns.config.log_file[0] != '\0')
		log_crit("%s", text);
	fprintf(stderr, "l2tpns: %s\n", text);
	pid_file_remove();
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
		case 'c': args.config.file = optarg; break;
		case 'd': args.detach = true; break;
		case 'h': args.config.hostname = optarg; break;
		case 'v': args.config.verbose++; break;
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

	if (args.config.file[0] == '/')
		return;
	if (getcwd(here, sizeof(here)) == NULL)
		fatal("this directory has no usable name: %s",
		    strerror(errno));
	n = snprintf(path, sizeof(path), "%s/%s", here, args.config.file);
	if (n < 0 || (size_t)n >= sizeof(path))
		fatal("%s: the name is too long", args.config.file);
	args.config.file = path;
}

/* SIGHUP: the log is opened again, the configuration read again. */
static void
reload(int sig)
{
	char msg[512];

	(void)sig;
	notify_reloading();
	log_reopen();
	(void)config_reload(msg, sizeof(msg));
	notify_ready();
}

/* --- starting ----------------------------------------------------------- */

static void
announce_ready(void)
{
	uint32_t a = lns.config.bind_address;
	char err[256];

	/* In a cluster, whoever becomes master does that. */
	if (lns.config.send_garp && a != 0 && !bgp_configured() &&
	    cluster_role() == CLUSTER_OFF) {
		if (garp_send(a, 0, err, sizeof(err)))
			COUNT(arp_sent);
		else
			log_info("no gratuitous ARP: %s", err);
	}
	log_warn("l2tpns " L2TPNS_VERSION " ready: %s on %u.%u.%u.%u port %u, "
	    "%u addresses in the pool, subscribers by %s", tun_name(),
	    a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255, L2TP_PORT,
	    ippool_size(), lns.config.primary_radius != 0 ||
	    lns.config.secondary_radius != 0 ? "RADIUS" : "ppp-secrets");
	config_started();
	if (a != 0)
		bgp_announce(a, 32);
	bgp_init();
	bgp_raise(cluster_role() == CLUSTER_OFF);
	notify_ready();
}

static void
start_network(void)
{
	char err[256];
	int tun;

	tun_watch_routes(bgp_announce, bgp_withdraw);
	if (!icmp_init(err, sizeof(err)))
		log_warn("no ICMP unreachables: %s", err);
	tun = tun_open(err, sizeof(err));
	if (tun < 0)
		fatal("TUN device: %s", err);
	if (!forward_init(tun, err, sizeof(err)))
		fatal("L2TP socket: %s", err);
	if (!snoop_init(err, sizeof(err)))
		log_error("nothing can be intercepted: %s", err);
	if (!radius_init(err, sizeof(err)))
		fatal("RADIUS: %s", err);
}

static void
start(void)
{
	struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };
	char err[512];

	timers_init();
	lns.master = true;
	if (!config_start(&args.config, err, sizeof(err)))
		fatal("%s; -c names another file", err);
	if (!pid_file_lock(err, sizeof(err)))
		fatal("%s", err);
	(void)setrlimit(RLIMIT_CORE, &core);
	if (!loop_init())
		fatal("loop: %s", strerror(errno));
	lns.start = timer_wall();
	lns.boot_id = digest_random_u32();
	lns.lpm = lpm_new();
	if (lns.lpm == NULL || !table_init((uint32_t)lns.config.max_sessions,
	    (uint32_t)lns.config.max_tunnels))
		fatal("tables: %s", strerror(errno));
	session_init();
	ppp_init();
	tunnel_init();
	cluster_init();
	start_network();
	config_start_files();
	speed_init();
	cleanup_init();
	acctfile_init();
	if (!control_init(err, sizeof(err)))
		log_error("nsctl: %s", err);
	cli_start();
	loop_on_signal(SIGHUP, reload);
	loop_on_signal(SIGTERM, stop_quietly);
	loop_on_signal(SIGINT, stop_quietly);
	loop_on_signal(SIGQUIT, stop_cleanly);
	/* Last: who is told to stop from here on saves it again. */
	if (cluster_role() == CLUSTER_OFF)
		state_take_over();
}

/*
 * What the process is from now on.  Priorities and locked memory do not
 * outlive a fork, and need more than is left after setuid.
 */
static void
settle(void)
{
	uid_t uid = (uid_t)lns.config.setuid;
	char err[256];

	process_priorities();
	if (uid != 0)
		log_give(uid);
	if (!privs_drop(uid, lns.config.lock_pages, err, sizeof(err)))
		fatal("setuid %u: %s", uid, err);
	config_check_access();
	pid_file_write(getpid());
}

static void
stop(void)
{
	bgp_exit();
	cli_stop();
	control_exit();
	plugins_exit();
	acctfile_exit();
	session_exit();
	tunnel_reap();
	cluster_exit();
	forward_flush();
	radius_exit();
	forward_exit();
	snoop_exit();
	icmp_exit();
	tun_close();
	ippool_clear();
	secrets_clear();
	users_clear();
	tunnel_exit();
	table_free();
	lpm_free(lns.lpm);
	pid_file_remove();
	log_warn("stopped");
}

int
main(int argc, char **argv)
{
	int status;

	if (cli_child(argv[0], &status) ||
	    config_write_child(argc, argv, &status) ||
	    acctfile_child(argc, argv, &status) ||
	    resolve_child(argc, argv, &status))
		return status;
	/* select() knows 1024 descriptors: whoever started us may keep his. */
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	privs_init();
	parse_args(argc, argv);
	umask(077);
	if (args.detach)
		absolute_config_file();
	if (args.check_only) {
		timers_init();
		return config_check_files(&args.config) ? 0 : 1;
	}
	notify_init();
	start();
	if (args.detach && !process_fork())
		fatal("fork: %s", strerror(errno));
	settle();
	if (args.detach)
		process_background();
	if (cluster_role() == CLUSTER_OFF)
		plugins_become_master();
	announce_ready();
	loop_run();
	stop();
	return 0;
}
