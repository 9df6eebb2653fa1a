/*
 * reload.c - the configuration in force: loaded, changed, written
 *
 * There are two struct configs.  lns.config is what the daemon runs by.
 * `wanted` is what the operator has asked for: the same, but for keys that
 * are read at start only and were given a new value since.  `show
 * running-config` and `write memory` print what is wanted, so that a value
 * set today is not lost on the way to the restart that it waits for.
 *
 * A reload takes the file whole or not at all: of a file with a fault nobody
 * knows which half was meant.  At the start there is nothing else to fall
 * back on, and a bad line costs that line.  A single `set` is checked by
 * itself; that two keys do not fit each other is said, not refused, since a
 * pasted configuration has to get from one state to another line by line.
 *
 * Owns:     lns.config, `wanted`, the list of plugins in the file.
 * Calls:    config.c for the text; log, tun, radius, ippool, secrets, users,
 *           cli, session and bgp for what a new value means to them.
 * Lifetime: config_start() to the end of the process.
 */
#include "reload.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bgp.h"
#include "cli.h"
#include "err.h"
#include "files.h"
#include "ippool.h"
#include "l2tpns.h"
#include "log.h"
#include "plugins.h"
#include "radius.h"
#include "secrets.h"
#include "session.h"
#include "tun.h"
#include "users.h"

static struct config_args args;
static bool starting;
static struct config wanted;
static struct config_plugin plugins[CONFIG_PLUGINS];
static size_t nplugins;

/* Of an ip_pool that is not in force any more. */
static struct {
	struct pool_route { uint32_t addr; uint8_t len; } *route;
	size_t n, room;
} old_routes;

/* --- faults ------------------------------------------------------------- */

static char first_fault[512];	/* of the file read last; "" is none */

static bool
is_warning(const char *reason)
{
	return strncmp(reason, CONFIG_WARNING, sizeof(CONFIG_WARNING) - 1) == 0;
}

static void
place_fault(char *dst, size_t size, const char *file, unsigned int line,
    const char *reason)
{
	if (line == 0)
		snprintf(dst, size, "%s: %s", file, reason);
	else
		snprintf(dst, size, "%s:%u: %s", file, line, reason);
}

static void
keep_fault(const char *file, unsigned int line, const char *reason, void *arg)
{
	(void)arg;
	if (first_fault[0] == '\0' && !is_warning(reason))
		place_fault(first_fault, sizeof(first_fault), file, line,
		    reason);
}

static void
print_fault(const char *file, unsigned int line, const char *reason, void *arg)
{
	char text[1024];

	(void)arg;
	place_fault(text, sizeof(text), file, line, reason);
	puts(text);
}

static void
log_fault(const char *file, unsigned int line, const char *reason, void *arg)
{
	char text[1024];

	keep_fault(file, line, reason, arg);
	place_fault(text, sizeof(text), file, line, reason);
	log_line(is_warning(reason) ? LOG_L_WARN : LOG_L_ERROR, 0, 0, "%s",
	    text);
}

/* --- reading ------------------------------------------------------------ */

const char *
config_file(void)
{
	return args.file;
}

const char *
config_path(const char *name)
{
	static char path[CONFIG_STRING + 32];

	snprintf(path, sizeof(path), "%s/%s", lns.etcdir, name);
	return path;
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

static bool
has_bgp_password(const struct config *c)
{
	for (size_t i = 0; i < c->neighbours_n; i++)
		if (c->neighbours[i].password[0] != '\0')
			return true;
	return c->bgp_peer1_password[0] != '\0' ||
	    c->bgp_peer2_password[0] != '\0';
}

/* The number of faults, or -1 when it cannot be read. */
static int
read_startup_config(struct config *c, config_fault_fn *fault)
{
	int faults;

	first_fault[0] = '\0';
	config_defaults(c);
	faults = config_load(c, args.file, plugins, &nplugins, fault, NULL);
	if (faults < 0)
		return faults;
	check_mode(args.file, c->l2tp_secret[0] != '\0' ||
	    c->radius_secret[0] != '\0' || c->nsctl_secret[0] != '\0' ||
	    has_bgp_password(c), fault);
	return faults + config_check(c, args.file, fault, NULL);
}

/*
 * The files beside startup-config; missing ones but ip_pool are allowed.  The
 * number of those with faults.
 */
static int
read_files(config_fault_fn *fault)
{
	int pool, secrets = 0, users;

	pool = ippool_load(config_path("ip_pool"), lns.config.bind_address,
	    fault, NULL);
	check_mode(config_path("ip_pool"), false, fault);
	if (access(config_path("ppp-secrets"), F_OK) == 0) {
		check_mode(config_path("ppp-secrets"), true, fault);
		secrets = secrets_load(config_path("ppp-secrets"), fault, NULL);
	} else {
		secrets_clear();
	}
	check_mode(config_path("users"), true, fault);
	users = users_load(config_path("users"), fault, NULL);
	return (pool != 0) + (secrets != 0) + (users != 0);
}

/* --- applying ----------------------------------------------------------- */

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

/*
 * Makes lns.config the truth for those who keep something of it.  Until the
 * server is ready warnings are logged whatever `debug` says: who starts it is
 * looking.
 */
static void
apply(void)
{
	int level = (int)lns.config.debug + args.verbose;

	if (starting && level < LOG_L_WARN)
		level = LOG_L_WARN;
	log_set_level(level < LOG_LEVELS ? level : LOG_LEVELS - 1);
	name_host();
	lns.local_addr = lns.config.bind_address != 0 ?
	    lns.config.bind_address : tun_default_address();
}

static void
open_log(const char *where)
{
	char err[256];

	if (!log_open(where, err, sizeof(err)))
		log_error("log_file: %s; logging to standard error", err);
}

static void
add_pool_routes(void)
{
	uint32_t addr;
	uint8_t len;

	for (size_t i = 0; ippool_prefixes(i, &addr, &len); i++)
		tun_route_add(addr, len);
}

/* Those of the pool as it is will go when those of another one are there. */
static void
keep_old_routes(void)
{
	struct pool_route r, *more;

	for (size_t i = 0; ippool_prefixes(i, &r.addr, &r.len); i++) {
		if (old_routes.n == old_routes.room) {
			size_t room = old_routes.room * 2 + 16;

			more = reallocarray(old_routes.route, room,
			    sizeof(*more));
			if (more == NULL) {
				log_error("out of memory: some routes of the "
				    "old ip_pool will stay");
				return;
			}
			old_routes.route = more;
			old_routes.room = room;
		}
		old_routes.route[old_routes.n++] = r;
	}
}

static void
drop_old_routes(void)
{
	for (size_t i = 0; i < old_routes.n; i++)
		tun_route_del(old_routes.route[i].addr,
		    old_routes.route[i].len);
	free(old_routes.route);
	memset(&old_routes, 0, sizeof(old_routes));
}

/*
 * A new pool: first its routes, then those of sessions that are not in it,
 * and only then are the old ones removed, so that no packet misses its way.
 */
static void
reload_files(void)
{
	uint32_t editions = ippool_editions();
	size_t waiting = old_routes.n;

	keep_old_routes();
	read_files(log_fault);
	if (ippool_editions() == editions) {
		old_routes.n = waiting;
		return;
	}
	add_pool_routes();
	session_pool_changed(drop_old_routes);
}

static void
copy_key(struct config *to, const struct config *from,
    const struct config_key *k)
{
	memcpy((char *)to + k->off, (const char *)from + k->off, k->size);
}

static void
copy_neighbours(struct config *to, const struct config *from)
{
	memcpy(to->neighbours, from->neighbours, sizeof(to->neighbours));
	to->neighbours_n = from->neighbours_n;
}

static bool
same_key(const struct config *a, const struct config *b,
    const struct config_key *k)
{
	char one[CONFIG_PRINTED], two[CONFIG_PRINTED];

	return strcmp(config_print(a, k, true, one, sizeof(one)),
	    config_print(b, k, true, two, sizeof(two))) == 0;
}

/*
 * The file is what is wanted now.  Of that, what is read at start only has to
 * wait, with a line in the log that says so.
 */
static void
take_over(const struct config *fresh)
{
	for (size_t i = 0; i < config_keys_n; i++) {
		const struct config_key *k = &config_keys[i];

		if (same_key(&lns.config, fresh, k))
			continue;
		if (k->when == RESTART)
			log_warn("%s: the new value takes effect after a "
			    "restart", k->name);
		else {
			log_info("%s changed", k->name);
			copy_key(&lns.config, fresh, k);
		}
	}
	copy_neighbours(&lns.config, fresh);
	wanted = *fresh;
}

/* --- start, check, reload ----------------------------------------------- */

/*
 * Read twice: the first time for log_file and debug, so that what is said the
 * second time is said where the operator looks for it.
 */
bool
config_start(const struct config_args *a, char *err, size_t errlen)
{
	args = *a;
	starting = true;
	file_directory(lns.etcdir, sizeof(lns.etcdir), args.file);
	if (read_startup_config(&wanted, keep_fault) < 0)
		return err_set(err, errlen, "%s", first_fault);
	lns.config = wanted;
	open_log(lns.config.log_file);
	apply();
	if (read_startup_config(&wanted, log_fault) < 0)
		return err_set(err, errlen, "%s", first_fault);
	lns.config = wanted;
	return true;
}

void
config_start_files(void)
{
	read_files(log_fault);
	add_pool_routes();
	plugins_init(lns.config.plugin_dir);
	plugins_apply(plugins, nplugins);
}

/* A plugin that cannot be loaded does not keep the server from running. */
static void
check_plugins(config_fault_fn *fault)
{
	struct config_report r = { .file = args.file, .fn = fault };
	char err[512];

	plugins_init(lns.config.plugin_dir);
	for (size_t i = 0; i < nplugins; i++)
		if (!plugin_check(plugins[i].name, err, sizeof(err)))
			config_warn(&r, 0, "load plugin %s: %s",
			    plugins[i].name, err);
}

bool
config_check_files(const struct config_args *a)
{
	int faults;

	args = *a;
	file_directory(lns.etcdir, sizeof(lns.etcdir), args.file);
	faults = read_startup_config(&lns.config, print_fault);
	faults |= read_files(print_fault);
	check_plugins(print_fault);
	if (faults == 0)
		printf("%s: no faults\n", args.file);
	return faults == 0;
}

void
config_started(void)
{
	starting = false;
	apply();
}

static bool
unreadable(const char *path)
{
	return access(path, R_OK) != 0 && errno != ENOENT;
}

/* The last slash of a file's path, if any, ends its directory's. */
static void
check_writable(enum log_level level, const char *path, bool file,
    const char *what)
{
	char dir[PATH_MAX];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (file && slash != NULL)
		slash[slash == dir] = '\0';
	if (dir[0] != '\0' && access(dir, W_OK) != 0)
		log_line(level, 0, 0, "%s: user %u cannot write to it: no %s",
		    dir, geteuid(), what);
}

void
config_check_access(void)
{
	static const char *const beside[] = { "ip_pool", "ppp-secrets",
	    "users" };

	if (geteuid() == 0)
		return;
	if (unreadable(args.file))
		log_warn("%s: user %u cannot read it: SIGHUP will be refused",
		    args.file, geteuid());
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++)
		if (unreadable(config_path(beside[i])))
			log_warn("%s: user %u cannot read it",
			    config_path(beside[i]), geteuid());
	check_writable(LOG_L_INFO, lns.etcdir, false, "`write memory`");
	check_writable(LOG_L_WARN, lns.config.accounting_dir, false,
	    "usage files (accounting_dir)");
	if (lns.config.save_state)
		check_writable(LOG_L_WARN, lns.config.state_file, true,
		    "saved state (save_state)");
}

bool
config_reload(char *msg, size_t size)
{
	static struct config fresh;
	static struct config_plugin before[CONFIG_PLUGINS];
	size_t nbefore = nplugins;

	memcpy(before, plugins, sizeof(before));
	if (read_startup_config(&fresh, log_fault) != 0) {
		memcpy(plugins, before, sizeof(plugins));
		nplugins = nbefore;
		log_error("%s has faults: the running configuration stays in "
		    "force", args.file);
		return err_set(msg, size, "%s: the running configuration stays "
		    "in force", first_fault);
	}
	if (strcmp(fresh.log_file, lns.config.log_file) != 0)
		open_log(fresh.log_file);
	take_over(&fresh);
	apply();
	radius_reconfigure();
	bgp_reconfigure();
	first_fault[0] = '\0';
	reload_files();
	cli_reconfigure();
	plugins_apply(plugins, nplugins);
	log_warn("configuration loaded again from %s", args.file);
	snprintf(msg, size, "%s", first_fault);
	return true;
}

/* --- set ---------------------------------------------------------------- */

/* What config_check() says of a configuration. */
struct remarks {
	char text[8][192];
	size_t n;
};

static void
remark(const char *file, unsigned int line, const char *reason, void *arg)
{
	struct remarks *r = arg;

	(void)file;
	(void)line;
	if (is_warning(reason))
		reason += sizeof(CONFIG_WARNING) - 1;
	if (r->n < sizeof(r->text) / sizeof(r->text[0]))
		snprintf(r->text[r->n++], sizeof(r->text[0]), "%s", reason);
}

static bool
remarked(const struct remarks *r, const char *text)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->text[i], text) == 0)
			return true;
	return false;
}

/* What can be said of `next` that could not be said of `wanted`; or "". */
static void
new_remark(const struct config *next, char *msg, size_t size)
{
	struct remarks before = { .n = 0 }, after = { .n = 0 };

	config_check(&wanted, args.file, remark, &before);
	config_check(next, args.file, remark, &after);
	msg[0] = '\0';
	for (size_t i = 0; i < after.n && msg[0] == '\0'; i++)
		if (!remarked(&before, after.text[i]))
			snprintf(msg, size, "%s", after.text[i]);
}

/* A log that cannot be opened is refused, and the old one goes on. */
static bool
change_log(const char *where, char *msg, size_t size)
{
	char reason[256];

	if (log_open(where, reason, sizeof(reason)))
		return true;
	open_log(lns.config.log_file);
	return err_set(msg, size, "log_file: %s", reason);
}

bool
config_set_live(const char *name, const char *value, char *msg, size_t size)
{
	static struct config next;
	const struct config_key *k = config_find(name);

	next = wanted;
	if (!config_set(&next, name, value, msg, size))
		return false;
	if (strcmp(name, "log_file") == 0 &&
	    strcmp(next.log_file, lns.config.log_file) != 0 &&
	    !change_log(next.log_file, msg, size))
		return false;
	new_remark(&next, msg, size);
	wanted = next;
	if (k->when == RESTART) {
		if (!same_key(&wanted, &lns.config, k))
			snprintf(msg, size, "%s takes effect after a restart",
			    k->name);
		return true;
	}
	copy_key(&lns.config, &wanted, k);
	apply();
	radius_reconfigure();
	bgp_reconfigure();
	return true;
}

bool
config_router_live(int n, char *const *words, char *msg, size_t size)
{
	static struct config next;

	next = wanted;
	if (!config_router(&next, n, words, msg, size))
		return false;
	new_remark(&next, msg, size);
	wanted = next;
	lns.config.as_number = wanted.as_number;
	copy_neighbours(&lns.config, &wanted);
	bgp_reconfigure();
	return true;
}

/* --- showing and writing ------------------------------------------------ */

bool
config_line(size_t i, bool secrets, char *dst, size_t size)
{
	char value[CONFIG_PRINTED];
	size_t router;

	if (i == 0) {
		snprintf(dst, size, "# Current configuration:");
		return true;
	}
	i -= 1;
	if (i < config_keys_n) {
		snprintf(dst, size, "set %s %s", config_keys[i].name,
		    config_print(&wanted, &config_keys[i], secrets, value,
		    sizeof(value)));
		return true;
	}
	i -= config_keys_n;
	for (router = 0; config_router_line(&wanted, router, secrets, dst,
	    size); router++)
		if (router == i)
			return true;
	i -= router;
	if (i == 0) {
		snprintf(dst, size, "# Plugins");
		return true;
	}
	i -= 1;
	if (plugin_line(i) != NULL) {
		snprintf(dst, size, "load plugin \"%s\"", plugin_line(i));
		return true;
	}
	if (i > 0 && plugin_line(i - 1) == NULL)
		return false;
	snprintf(dst, size, "# end");
	return true;
}
