/*
 * plugin_host.c - what the server offers to plugins
 *
 * The functions of struct pluginfuncs.  Plugins know sessions by their number
 * only, and see copies; whatever they hand over is looked at like something
 * from the network before anything is made of it.  What they change goes
 * through the module whose thing it is, as a command's change does.
 *
 * A session that has ended exists no more for plugins, but for the events that
 * its end itself causes: then they may still look at it.
 *
 * Owns:     nothing.
 * Calls:    session, throttle, snoop, accounting; plugin_run.c and
 *           plugin_count.c.
 * Lifetime: static.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_word.h"
#include "l2tp_proto.h"
#include "log.h"
#include "plugin_int.h"
#include "ppp.h"
#include "replica.h"
#include "session.h"
#include "snoop.h"
#include "table.h"
#include "throttle.h"
#include "tunnel.h"

#define ANSWER_MAX	4096
#define REASON_MAX	200
#define DEEP		8	/* ends of sessions that cause one another */

/* --- words ------------------------------------------------------------ */

static void __attribute__((format(printf, 4, 5)))
host_log(int level, uint32_t s, uint32_t t, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (level == PLUGIN_LOG_PRIVATE) {
		log_private(t, s, "%s", text);
		return;
	}
	if (level < LOG_L_CRIT)
		level = LOG_L_CRIT;
	if (level >= LOG_LEVELS)
		level = LOG_LEVELS - 1;
	log_line((enum log_level)level, t, s, "%s", text);
}

static void __attribute__((format(printf, 3, 4)))
host_control_answer(struct param_control *p, int is_error, const char *fmt,
    ...)
{
	char text[ANSWER_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	free(p->response);
	p->response = strdup(text);	/* NULL: an answer without text */
	p->response_length = p->response != NULL ? (int)strlen(text) : 0;
	p->send_response = 1;
	p->is_error = is_error;
}

/* For log lines of those modules that say who it was. */
static const char *
who(char *dst, size_t size)
{
	const struct plugin *p = plugin_current();

	snprintf(dst, size, "plugin %s", p != NULL ? plugin_own_name(p) : "?");
	return dst;
}

/* A text that ends in its room; NULL: none. */
static bool
is_text(const char *text, size_t size)
{
	return text != NULL && strnlen(text, size) < size;
}

/* --- looking ---------------------------------------------------------- */

/* One that may be looked at. */
static const struct session *
visible(uint32_t sid)
{
	const struct session *s = session_by_sid(sid);

	return s != NULL && (!s->dying || session_local(s)->ending) ? s : NULL;
}

static uint32_t
sid_of(const struct session *s)
{
	return s != NULL && !s->dying ? s->sid : 0;
}

static void
copy_traffic(struct plugin_session *p, const struct session *s)
{
	p->rx_octets = s->rx_octets;
	p->tx_octets = s->tx_octets;
	p->rx_packets = s->rx_packets;
	p->tx_packets = s->tx_packets;
}

static void
copy_texts(struct plugin_session *p, const struct session *s)
{
	snprintf(p->username, sizeof(p->username), "%s", s->user);
	snprintf(p->calling, sizeof(p->calling), "%s", s->calling);
	snprintf(p->called, sizeof(p->called), "%s", s->called);
	snprintf(p->acct_id, sizeof(p->acct_id), "%s", s->acct_id);
	snprintf(p->filter_id, sizeof(p->filter_id), "%s", s->filter_id);
}

static void
copy_session(struct plugin_session *p, const struct session *s)
{
	*p = (struct plugin_session){
		.s = s->sid, .t = s->tid, .ip = s->ip, .netmask = s->netmask,
		.dns1 = s->dns1, .dns2 = s->dns2, .nroutes = s->nroutes,
		.authenticated = s->authenticated,
		.open = (s->flags & SF_OPEN) != 0,
		.garden = (s->flags & SF_GARDEN) != 0,
		.protocol = s->auth_protocol,
		.throttle_in = s->throttle_in, .throttle_out = s->throttle_out,
		.snoop_ip = s->snoop_ip, .snoop_port = s->snoop_port,
		.tx_speed = s->tx_speed, .rx_speed = s->rx_speed,
		.session_timeout = s->session_timeout,
		.idle_timeout = s->idle_timeout, .opened = s->opened,
	};
	for (uint32_t i = 0; i < p->nroutes; i++) {
		p->routes[i].addr = s->routes[i].addr;
		p->routes[i].len = s->routes[i].len;
	}
	copy_traffic(p, s);
	copy_texts(p, s);
}

/* To a struct of as many members as the plugin knows. */
static void
copy_out(void *dst, size_t size, const void *src, size_t known)
{
	memset(dst, 0, size);
	memcpy(dst, src, size < known ? size : known);
}

static int
host_get_session(uint32_t sid, struct plugin_session *dst, size_t size)
{
	const struct session *s = visible(sid);
	struct plugin_session p;

	if (s == NULL || dst == NULL)
		return 0;
	copy_session(&p, s);
	copy_out(dst, size, &p, sizeof(p));
	return 1;
}

static int
host_get_tunnel(uint32_t tid, struct plugin_tunnel *dst, size_t size)
{
	const struct tunnel *t = tunnel_by_tid(tid);
	struct plugin_tunnel p;

	if (t == NULL || dst == NULL)
		return 0;
	p = (struct plugin_tunnel){ .t = t->tid, .ip = t->peer.addr,
	    .port = t->peer.port, .sessions = t->sessions,
	    .opened = t->opened };
	snprintf(p.hostname, sizeof(p.hostname), "%s", t->hostname);
	snprintf(p.vendor, sizeof(p.vendor), "%s", t->vendor);
	copy_out(dst, size, &p, sizeof(p));
	return 1;
}

static uint32_t
host_get_session_by_username(const char *username)
{
	return username != NULL ? sid_of(session_by_user(username)) : 0;
}

static uint32_t
host_get_session_by_ip(uint32_t ip)
{
	return ip != 0 ? sid_of(session_by_ip(ip)) : 0;
}

static uint32_t
host_next_session(uint32_t sid)
{
	const struct session *s = session_next(sid);

	while (s != NULL && s->dying)
		s = session_next(s->sid);
	return sid_of(s);
}

static uint32_t
host_find_session(const char *word)
{
	return word != NULL ? sid_of(word_session(word)) : 0;
}

static int
host_is_master(void)
{
	return lns.master;
}

static int
host_get_config(const char *name, char *value, size_t size)
{
	const struct config_key *key = name != NULL ? config_find(name) : NULL;
	char text[CONFIG_PRINTED];

	if (key == NULL || key->type == C_SECRET || value == NULL)
		return 0;
	config_print(&lns.config, key, false, text, sizeof(text));
	if (strlen(text) >= size)
		return 0;
	strcpy(value, text);
	return 1;
}

/* --- changing --------------------------------------------------------- */

/*
 * One that may be changed, by this server.  When the server goes and says
 * nothing (lns.quiet) its sessions may be saved, and go on as they are.
 */
static struct session *
changeable(uint32_t sid)
{
	struct session *s = lns.master && !lns.quiet ? session_by_sid(sid) :
	    NULL;

	if (s == NULL || s->dying)
		return NULL;
	/* Which is told at the end of the turn, as it is then. */
	replica_session_changed(s);
	return s;
}

static int
host_set_username(uint32_t sid, const char *username)
{
	struct session *s = changeable(sid);

	return s != NULL && is_text(username, sizeof(s->user)) &&
	    session_set_user(s, username);
}

static int
host_set_dns(uint32_t sid, uint32_t dns1, uint32_t dns2)
{
	struct session *s = changeable(sid);

	if (s == NULL || (dns1 != 0 && !plugin_is_host(dns1)) ||
	    (dns2 != 0 && !plugin_is_host(dns2)))
		return 0;
	s->dns1 = dns1 != 0 ? dns1 : lns.config.primary_dns;
	s->dns2 = dns2 != 0 ? dns2 : lns.config.secondary_dns;
	return 1;
}

static int
host_set_speed(uint32_t sid, uint32_t tx_speed, uint32_t rx_speed)
{
	struct session *s = changeable(sid);

	if (s == NULL)
		return 0;
	s->tx_speed = tx_speed;
	s->rx_speed = rx_speed;
	return 1;
}

/* The global setting comes first, as it does on the command line. */
static int
host_throttle(uint32_t sid, uint32_t in, uint32_t out)
{
	struct session *s = changeable(sid);

	if (s == NULL || in > THROTTLE_MAX || out > THROTTLE_MAX ||
	    ((in != 0 || out != 0) && lns.config.throttle_speed == 0))
		return 0;
	return throttle_set(s, in, out);
}

static int
host_snoop(uint32_t sid, uint32_t ip, uint16_t port)
{
	struct session *s = changeable(sid);
	char by[128];

	if (s == NULL)
		return 0;
	if (ip == 0) {
		snoop_stop(s, who(by, sizeof(by)));
		return 1;
	}
	if (port == 0) {
		ip = lns.config.snoop_host;
		port = (uint16_t)lns.config.snoop_port;
	}
	return snoop_start(s, ip, port, who(by, sizeof(by)));
}

static int
host_garden(uint32_t sid, int on)
{
	struct session *s = changeable(sid);

	return s != NULL && plugin_depth() <= DEEP && session_garden(s, on != 0);
}

static int
host_hold(uint32_t sid, int on)
{
	struct plugin *p = plugin_current();
	struct session *s = changeable(sid);

	if (s == NULL || p == NULL || plugin_bit(p) == 0)
		return 0;
	session_hold(s, plugin_bit(p), on != 0);
	return 1;
}

void
plugin_hold_forget(const struct plugin *p)
{
	struct session *s;

	for (s = session_next(0); s != NULL; s = session_next(s->sid))
		if ((session_local(s)->held & plugin_bit(p)) != 0)
			session_hold(s, plugin_bit(p), false);
}

static int
host_set_filter(uint32_t sid, const char *filter_id)
{
	struct session *s = changeable(sid);

	if (s == NULL || !is_text(filter_id, sizeof(s->filter_id)))
		return 0;
	memset(s->filter_id, 0, sizeof(s->filter_id));
	strcpy(s->filter_id, filter_id);
	return 1;
}

/* --- ending ----------------------------------------------------------- */

/* It goes to the LAC and to the log. */
static void
copy_reason(char dst[REASON_MAX], const char *reason)
{
	char by[128];

	if (reason == NULL || reason[0] == '\0')
		reason = who(by, sizeof(by));
	log_escape(dst, REASON_MAX, reason, strnlen(reason, REASON_MAX));
}

/*
 * A plugin that ends another session in each kill_session would fill the
 * stack with them; so some are refused.
 */
static struct session *
endable(uint32_t sid)
{
	return plugin_depth() <= DEEP ? changeable(sid) : NULL;
}

static bool
is_octet(int n)
{
	return n >= 0 && n <= 255;
}

static int
host_shutdown(uint32_t sid, const char *reason, int result, int error,
    int cause)
{
	struct session *s = endable(sid);
	char text[REASON_MAX];

	if (s == NULL || !is_octet(result) || !is_octet(error) ||
	    !is_octet(cause))
		return 0;
	copy_reason(text, reason);
	session_shutdown(s, cause != 0 ? (enum terminate_cause)cause :
	    CAUSE_ADMIN_RESET, result != 0 ? (uint16_t)result : CDN_ADMIN,
	    (uint16_t)error, text);
	return 1;
}

static int
host_kill(uint32_t sid, const char *reason)
{
	struct session *s = endable(sid);
	char text[REASON_MAX];

	if (s == NULL)
		return 0;
	copy_reason(text, reason);
	session_kill(s, CAUSE_ADMIN_RESET, text);
	return 1;
}

/* --- accounting records ----------------------------------------------- */

static int
host_account_add(struct param_radius_account *p, uint8_t type,
    const void *value, size_t length)
{
	return p != NULL && plugin_account_add(p->record, 0, type, value,
	    length);
}

static int
host_account_add_vsa(struct param_radius_account *p, uint32_t vendor,
    uint8_t type, const void *value, size_t length)
{
	return p != NULL && vendor != 0 && plugin_account_add(p->record,
	    vendor, type, value, length);
}

const struct pluginfuncs plugin_host_functions = {
	.size = sizeof(struct pluginfuncs),
	.version = L2TPNS_VERSION,
	.etcdir = lns.etcdir,
	.log = host_log,
	.control_answer = host_control_answer,
	.get_session = host_get_session,
	.get_tunnel = host_get_tunnel,
	.get_session_by_username = host_get_session_by_username,
	.get_session_by_ip = host_get_session_by_ip,
	.next_session = host_next_session,
	.find_session = host_find_session,
	.is_master = host_is_master,
	.get_config = host_get_config,
	.set_username = host_set_username,
	.set_dns = host_set_dns,
	.set_speed = host_set_speed,
	.throttle = host_throttle,
	.snoop = host_snoop,
	.garden = host_garden,
	.set_filter = host_set_filter,
	.shutdown = host_shutdown,
	.kill = host_kill,
	.account_add = host_account_add,
	.account_add_vsa = host_account_add_vsa,
	.run = plugin_run,
	.run_wait = plugin_run_wait,
	.counter = plugin_counter,
	.count = plugin_count,
	.hold = host_hold,
};
