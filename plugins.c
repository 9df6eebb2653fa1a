/*
 * plugins.c - the host's side of plugins: loading, removing, calling
 *
 * A plugin runs with all that the server may do, so what is loaded must be
 * what root has put there: the name is a name and no path, the directory is
 * plugin_dir, and neither the file nor any directory above it can be changed,
 * or led elsewhere by a symbolic link, by anybody but root.  Since only root
 * could change anything between the look and the dlopen(), the order of the
 * two does not matter.
 *
 * An event is a row of PLUGIN_EVENT_ROWS() in plugins.h.  The functions of a
 * plugin are looked up once, when it is loaded; plugin_hooks has a bit for
 * each event that anybody wants, so that one that nobody wants costs a test.
 *
 * Code that is on the stack must not be unmapped: as long as any call into a
 * plugin has not returned, plugin_remove() only marks, and the hook at the end
 * of the turn does it.
 *
 * Owns:     the list of plugins, in load order; who is running; the timer of
 *           the event timer.
 * Calls:    dlopen(3); the plugins.  log, loop, timer; what plugin_int.h has.
 * Lifetime: a plugin from plugin_load() to plugin_remove() or plugins_exit().
 */
#define _GNU_SOURCE 1			/* O_PATH */
#include "plugin_int.h"

#include <sys/stat.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "table.h"
#include "timer.h"

#define NAME_CHARS	"abcdefghijklmnopqrstuvwxyz" \
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
#define NAME_LEN	64
#define EVENT_TIMER_MS	1000

struct plugin {
	char name[NAME_LEN + 1];
	void *handle;
	void (*event[PLUGIN_EVENTS])(void);	/* NULL: not wanted */
	void (*done)(void);
	const char *const *help;
	struct pluginfuncs funcs;	/* its own copy */
	uint32_t bit;			/* its own, or 0 */
	bool removing;			/* at the end of this turn */
	struct plugin *next;
};

const struct plugin_event_row plugin_events[PLUGIN_EVENTS] = {
#define X(name, when, fields) { #name, when, fields },
	PLUGIN_EVENT_ROWS(X)
#undef X
};

/* Each event's function is called through its own type. */
#define X(name, when, fields)						       \
static int								       \
call_##name(void (*f)(void), void *param)				       \
{									       \
	return ((int (*)(struct param_##name *))f)(param);		       \
}
PLUGIN_EVENT_ROWS(X)
#undef X

static int (*const event_calls[PLUGIN_EVENTS])(void (*)(void), void *) = {
#define X(name, when, fields) call_##name,
	PLUGIN_EVENT_ROWS(X)
#undef X
};

uint32_t plugin_hooks;

static const char *plugin_dir;
static struct plugin *plugins;
static struct config_plugin lines[CONFIG_PLUGINS];	/* of startup-config */
static size_t lines_n;
static unsigned int depth;		/* calls into plugins on the stack */
static struct plugin *current;		/* the innermost of them */
static bool master;			/* plugins have been told so */
static struct timer second_timer;
static uint64_t second_due;

/* --- who is running --------------------------------------------------- */

struct plugin *
plugin_current(void)
{
	return current;
}

const char *
plugin_own_name(const struct plugin *p)
{
	return p->name;
}

uint32_t
plugin_bit(const struct plugin *p)
{
	return p->bit;
}

bool
plugin_going(const struct plugin *p)
{
	return p->removing;
}

unsigned int
plugin_depth(void)
{
	return depth;
}

struct plugin *
plugin_enter(struct plugin *p)
{
	struct plugin *outer = current;

	depth++;
	current = p;
	return outer;
}

void
plugin_leave(struct plugin *outer)
{
	current = outer;
	depth--;
}

/* --- may this file be loaded? ----------------------------------------- */

static bool
is_name(const char *name)
{
	size_t n = strspn(name, NAME_CHARS);

	return n >= 1 && n <= NAME_LEN && name[n] == '\0';
}

/* Only root may be able to change what fd is. */
static bool
check_owner(int fd, const char *path, mode_t type, char *err, size_t errlen)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_set(err, errlen, "%s: %s", path, strerror(errno));
	if ((st.st_mode & S_IFMT) != type)
		return err_set(err, errlen, "%s is no %s", path,
		    type == S_IFDIR ? "directory" : "ordinary file");
	if (st.st_uid != 0)
		return err_set(err, errlen, "%s does not belong to root", path);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return err_set(err, errlen, "others than root can write to %s",
		    path);
	return true;
}

/* openat(), which refuses symbolic links, and check_owner() on the result. */
static int
open_checked(int at, const char *name, const char *path, mode_t type,
    char *err, size_t errlen)
{
	int flags = O_NOFOLLOW | O_CLOEXEC | O_PATH, fd;
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(st.st_mode)) {
		err_set(err, errlen, "%s is a symbolic link", path);
		return -1;
	}
	fd = openat(at, name, flags);
	if (fd < 0 && errno == ENOENT) {
		err_set(err, errlen, "there is no %s", path);
		return -1;
	}
	if (fd < 0) {
		err_set(err, errlen, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (!check_owner(fd, path, type, err, errlen)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Walks down from the root; the directory's descriptor, or -1. */
static int
open_dir(const char *dir, char *err, size_t errlen)
{
	char path[CONFIG_STRING], name[CONFIG_STRING];
	size_t at = 0, n;
	int fd, next;

	if (dir[0] != '/' || strlen(dir) >= sizeof(path)) {
		err_set(err, errlen, "plugin_dir is not an absolute path");
		return -1;
	}
	fd = open_checked(AT_FDCWD, "/", "/", S_IFDIR, err, errlen);
	while (fd >= 0) {
		at += strspn(dir + at, "/");
		n = strcspn(dir + at, "/");
		if (n == 0)
			break;
		snprintf(name, sizeof(name), "%.*s", (int)n, dir + at);
		at += n;
		snprintf(path, sizeof(path), "%.*s", (int)at, dir);
		next = open_checked(fd, name, path, S_IFDIR, err, errlen);
		close(fd);
		fd = next;
	}
	return fd;
}

/* Writes the file's path; false, with a reason, if it may not be loaded. */
static bool
find_file(const char *name, char *path, size_t size, char *err, size_t errlen)
{
	char file[NAME_LEN + sizeof(".so")];
	int dir, fd;

	if (!is_name(name))
		return err_set(err, errlen, "\"%.80s\" is no name of a plugin",
		    name);
	dir = open_dir(plugin_dir, err, errlen);
	if (dir < 0)
		return false;
	snprintf(file, sizeof(file), "%s.so", name);
	snprintf(path, size, "%s/%s", plugin_dir, file);
	fd = open_checked(dir, file, path, S_IFREG, err, errlen);
	close(dir);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

bool
plugin_check(const char *name, char *err, size_t errlen)
{
	char path[CONFIG_STRING + NAME_LEN + sizeof("/.so")];

	return find_file(name, path, sizeof(path), err, errlen);
}

/* --- the list --------------------------------------------------------- */

static struct plugin *
find(const char *name)
{
	struct plugin *p;

	for (p = plugins; p != NULL; p = p->next)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

static void second(struct timer *);

/* After the list has changed. */
static void
note_hooks(void)
{
	struct plugin *p;
	unsigned int e;

	plugin_hooks = 0;
	for (p = plugins; p != NULL; p = p->next)
		for (e = 0; e < PLUGIN_EVENTS; e++)
			if (p->event[e] != NULL && !p->removing)
				plugin_hooks |= UINT32_C(1) << e;
	if (!plugin_wanted(PE_timer)) {
		timer_disarm(&second_timer);
	} else if (!timer_armed(&second_timer)) {
		second_timer.fire = second;
		second_due = timer_now() + EVENT_TIMER_MS;
		timer_arm(&second_timer, EVENT_TIMER_MS);
	}
}

/* --- calling ---------------------------------------------------------- */

/* Calls one of them; OK, STOP, or ERROR for anything else. */
static int
call_one(struct plugin *p, enum plugin_event event, void *param)
{
	static struct log_limit limits[PLUGIN_EVENTS];
	struct plugin *outer = plugin_enter(p);
	int ret = event_calls[event](p->event[event], param);

	plugin_leave(outer);
	if (ret == PLUGIN_RET_OK || ret == PLUGIN_RET_STOP)
		return ret;
	log_limited(&limits[event], LOG_L_ERROR, 0, 0, "plugin %s: plugin_%s "
	    "returned %d, an error", p->name, plugin_events[event].name, ret);
	return PLUGIN_RET_ERROR;
}

int
plugin_call_reviewed(enum plugin_event event, void *param,
    bool (*review)(void *, const char *), void *arg, const char **by)
{
	int ret = PLUGIN_RET_OK;
	struct plugin *p;
	bool go_on;

	if (!plugin_wanted(event))
		return PLUGIN_RET_OK;
	depth++;			/* the list stays as it is */
	for (p = plugins; p != NULL; p = p->next) {
		if (p->event[event] == NULL || p->removing)
			continue;
		if (by != NULL)
			*by = p->name;
		ret = call_one(p, event, param);
		go_on = review == NULL || review(arg, p->name);
		if (ret != PLUGIN_RET_OK || !go_on)
			break;
	}
	depth--;
	return ret;
}

int
plugin_call(enum plugin_event event, void *param, const char **by)
{
	return plugin_call_reviewed(event, param, NULL, NULL, by);
}

/*
 * The event timer, once each second without drift; what a stalled second has
 * missed is not made up for.
 */
static void
second(struct timer *t)
{
	struct param_timer param = { .time_now = timer_wall() };
	uint64_t now = timer_now();

	second_due += EVENT_TIMER_MS;
	if (second_due <= now)
		second_due = now + EVENT_TIMER_MS;
	timer_arm(t, second_due - now);
	(void)plugin_tell(PE_timer, &param, sizeof(param), NULL);
}

/* --- who decides about sessions --------------------------------------- */

void
plugins_become_master(void)
{
	struct param_become_master param = { .sessions = table_sessions() };

	master = true;
	(void)plugin_tell(PE_become_master, &param, sizeof(param), NULL);
}

void
plugins_become_slave(uint32_t addr)
{
	struct param_become_slave param = { .master = addr };

	master = false;
	(void)plugin_tell(PE_become_slave, &param, sizeof(param), NULL);
}

/* It came later than the others heard of it. */
static void
tell_newcomer(struct plugin *p)
{
	struct param_become_master param = { .sessions = table_sessions() };

	if (master && p->event[PE_become_master] != NULL)
		(void)call_one(p, PE_become_master, &param);
}

/* --- loading ---------------------------------------------------------- */

static void
log_loaded(const struct plugin *p)
{
	char text[512] = "";
	size_t n = 0;
	unsigned int e;

	for (e = 0; e < PLUGIN_EVENTS; e++)
		if (p->event[e] != NULL && n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n,
			    "%s%s", n > 0 ? ", " : "", plugin_events[e].name);
	log_warn("plugin %s loaded, takes part in: %s", p->name,
	    n > 0 ? text : "nothing");
}

/* Looks at the file that is mapped now; false if it is none of ours. */
static bool
resolve(struct plugin *p, char *err, size_t errlen)
{
	const int *version = dlsym(p->handle, "plugin_api_version");
	const struct plugin *other;
	char symbol[64];
	unsigned int e;

	if (version == NULL)
		return err_set(err, errlen, "%s.so is no plugin: it has no "
		    "plugin_api_version", p->name);
	if (*version != PLUGIN_API_VERSION)
		return err_set(err, errlen, "%s.so is made for version %d of "
		    "the plugin interface, not for %d", p->name, *version,
		    PLUGIN_API_VERSION);
	for (other = plugins; other != NULL; other = other->next)
		if (other->handle == p->handle)
			return err_set(err, errlen, "%s.so is the same file as "
			    "%s.so, which is loaded", p->name, other->name);
	for (e = 0; e < PLUGIN_EVENTS; e++) {
		snprintf(symbol, sizeof(symbol), "plugin_%s",
		    plugin_events[e].name);
		p->event[e] = (void (*)(void))dlsym(p->handle, symbol);
	}
	p->done = (void (*)(void))dlsym(p->handle, "plugin_done");
	p->help = dlsym(p->handle, "plugin_control_help");
	return true;
}

static bool
init(struct plugin *p, char *err, size_t errlen)
{
	int (*f)(struct pluginfuncs *) =
	    (int (*)(struct pluginfuncs *))dlsym(p->handle, "plugin_init");
	struct plugin *outer;
	int ok;

	if (f == NULL)
		return true;
	p->funcs = plugin_host_functions;
	outer = plugin_enter(p);
	ok = f(&p->funcs);
	plugin_leave(outer);
	return ok || err_set(err, errlen, "the plugin %s does not want to run "
	    "(plugin_init); see the log", p->name);
}

/* Nothing calls into it any more. */
static void
unmap(struct plugin *p)
{
	plugin_hold_forget(p);
	plugin_run_forget(p);
	plugin_count_forget(p);
	dlclose(p->handle);
	free(p);
}

/* The lowest that none of those has that are loaded. */
static uint32_t
free_bit(void)
{
	uint32_t used = 0;

	for (const struct plugin *p = plugins; p != NULL; p = p->next)
		used |= p->bit;
	return ~used & (used + 1);
}

static void
append(struct plugin *p)
{
	struct plugin **end = &plugins;

	while (*end != NULL)
		end = &(*end)->next;
	*end = p;
	note_hooks();
}

bool
plugin_load(const char *name, char *err, size_t errlen)
{
	char path[CONFIG_STRING + NAME_LEN + sizeof("/.so")];
	struct plugin *p = find(name);

	if (p != NULL)
		return err_set(err, errlen, "the plugin %s is %s", name,
		    p->removing ? "just being removed" : "loaded already");
	if (!find_file(name, path, sizeof(path), err, errlen))
		return false;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, errlen, "%s", strerror(errno));
	strcpy(p->name, name);
	p->bit = free_bit();
	p->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (p->handle == NULL) {
		err_set(err, errlen, "%s", dlerror());
		free(p);
		return false;
	}
	if (!resolve(p, err, errlen) || !init(p, err, errlen)) {
		unmap(p);
		return false;
	}
	append(p);
	log_loaded(p);
	tell_newcomer(p);
	return true;
}

/* --- removing --------------------------------------------------------- */

/* Takes it off the list first: plugin_done() may call us. */
static void
remove_now(struct plugin *p)
{
	struct plugin **pp = &plugins, *outer;

	while (*pp != p)
		pp = &(*pp)->next;
	*pp = p->next;
	p->removing = true;
	note_hooks();
	if (p->done != NULL) {
		outer = plugin_enter(p);
		p->done();
		plugin_leave(outer);
	}
	log_warn("plugin %s removed", p->name);
	unmap(p);
}

static void
remove_marked(void)
{
	struct plugin *p = plugins;

	while (p != NULL) {
		if (p->removing) {
			remove_now(p);
			p = plugins;	/* plugin_done() may do anything */
		} else
			p = p->next;
	}
}

/* The line of a plugin that somebody removes by hand is not to come back. */
static void
drop_line(const char *name)
{
	size_t i;

	for (i = 0; i < lines_n; i++)
		if (strcmp(lines[i].name, name) == 0)
			break;
	if (i == lines_n)
		return;
	lines_n--;
	memmove(&lines[i], &lines[i + 1], (lines_n - i) * sizeof(lines[0]));
}

bool
plugin_remove(const char *name, char *err, size_t errlen)
{
	struct plugin *p = find(name);

	if (p == NULL || p->removing)
		return err_set(err, errlen, "the plugin %.80s is not loaded",
		    name);
	drop_line(name);
	if (depth > 0) {
		p->removing = true;
		note_hooks();
	} else
		remove_now(p);
	return true;
}

/* --- from outside ----------------------------------------------------- */

static bool
is_listed(const char *name, const struct config_plugin *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return true;
	return false;
}

/* A loaded plugin that the lines before had and these have not. */
static struct plugin *
find_dropped(const struct config_plugin *list, size_t n)
{
	struct plugin *p;

	for (p = plugins; p != NULL; p = p->next)
		if (!p->removing && is_listed(p->name, lines, lines_n) &&
		    !is_listed(p->name, list, n))
			return p;
	return NULL;
}

void
plugins_apply(const struct config_plugin *list, size_t n)
{
	char err[512];
	struct plugin *p;

	while ((p = find_dropped(list, n)) != NULL)
		plugin_remove(p->name, err, sizeof(err));
	lines_n = n;
	if (n > 0)
		memcpy(lines, list, n * sizeof(lines[0]));
	for (size_t i = 0; i < n; i++)
		if (find(list[i].name) == NULL &&
		    !plugin_load(list[i].name, err, sizeof(err)))
			log_error("load plugin %s: %s", list[i].name, err);
}

const char *
plugin_line(size_t i)
{
	struct plugin *p;

	if (i < lines_n)
		return lines[i].name;
	i -= lines_n;
	for (p = plugins; p != NULL; p = p->next)
		if (!p->removing && !is_listed(p->name, lines, lines_n) &&
		    i-- == 0)
			return p->name;
	return NULL;
}

const char *
plugin_name(size_t n)
{
	struct plugin *p;

	for (p = plugins; p != NULL; p = p->next)
		if (!p->removing && n-- == 0)
			return p->name;
	return NULL;
}

const char *
plugin_holders(uint32_t bits, char *dst, size_t size)
{
	const struct plugin *p;
	size_t n = 0;

	dst[0] = '\0';
	for (p = plugins; p != NULL; p = p->next)
		if ((bits & p->bit) != 0 && n < size)
			n += (size_t)snprintf(dst + n, size - n, "%s%s",
			    n > 0 ? " " : "", p->name);
	return dst;
}

bool
plugin_loaded(const char *name)
{
	const struct plugin *p = find(name);

	return p != NULL && !p->removing;
}

const char *
plugin_help(size_t i)
{
	const char *const *line;
	struct plugin *p;

	for (p = plugins; p != NULL; p = p->next) {
		if (p->help == NULL || p->removing)
			continue;
		for (line = p->help; *line != NULL; line++)
			if (i-- == 0)
				return *line;
	}
	return NULL;
}

void
plugins_init(const char *dir)
{
	static struct loop_hook hook = { .run = remove_marked };

	plugin_dir = dir;
	loop_at_turn_end(&hook);
}

void
plugins_exit(void)
{
	struct plugin *p;

	while (plugins != NULL) {
		for (p = plugins; p->next != NULL; p = p->next)
			continue;
		remove_now(p);
	}
}
