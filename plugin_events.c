/*
 * plugin_events.c - the events that have something to say to the server
 *
 * A plugin gets a struct in which some members are its own to set.  Each time
 * one has run, only those are taken over, and only with values that make
 * sense; the next plugin finds the rest as it was.  What is not taken is said
 * in the log with the plugin's name.
 *
 * Any of them may end the session that it is asked about: who calls these
 * functions looks at `dying` afterwards.
 *
 * Owns:     the accounting record that is being written.
 * Calls:    plugin_call_reviewed().
 * Lifetime: one event.
 */
#include <stdio.h>
#include <string.h>

#include "auth.h"
#include "l2tpns.h"
#include "log.h"
#include "plugin_int.h"
#include "radius_attr.h"
#include "session.h"
#include "table.h"
#include "tun.h"
#include "wire.h"

#define TOLD_MAX	64	/* octets of a param struct */

/* 0/8, 127/8 and 224/3 are nobody's. */
bool
plugin_is_host(uint32_t ip)
{
	return ip >> 24 != 0 && ip >> 24 != 127 && ip < UINT32_C(0xe0000000);
}

/* --- nothing to set --------------------------------------------------- */

struct told {
	void *param;
	const void *was;
	size_t size;
	const struct session *s;
};

static bool
restore(void *arg, const char *plugin)
{
	const struct told *told = arg;

	(void)plugin;
	memcpy(told->param, told->was, told->size);
	return told->s == NULL || !told->s->dying;
}

int
plugin_tell(enum plugin_event event, void *param, size_t size,
    const struct session *s)
{
	uint8_t was[TOLD_MAX];
	struct told told = { param, was, size, s };

	if (size > sizeof(was))
		return PLUGIN_RET_ERROR;
	memcpy(was, param, size);
	return plugin_call_reviewed(event, param, restore, &told, NULL);
}

/* --- what is no answer ------------------------------------------------ */

/* The members that were set to what cannot be. */
struct faults {
	char text[160];
	size_t len;
};

static void
fault(struct faults *f, const char *member)
{
	int n = snprintf(f->text + f->len, sizeof(f->text) - f->len, "%s%s",
	    f->len > 0 ? ", " : "", member);

	if (n > 0 && (size_t)n < sizeof(f->text) - f->len)
		f->len += (size_t)n;
}

/* All of one event in a line: they come together. */
static void
log_faults(const struct session *s, const char *plugin,
    enum plugin_event event, struct faults *f)
{
	static struct log_limit limits[PLUGIN_EVENTS];

	if (f->len > 0)
		log_limited(&limits[event], LOG_L_ERROR, s->tid, s->sid,
		    "plugin %s: plugin_%s set to what cannot be, and left as "
		    "it was: %s", plugin, plugin_events[event].name, f->text);
	f->len = 0;
}

/* A text that ends in its room. */
static bool
is_text(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

/* Copies all of the room, so that nothing of before is left behind it. */
static void
set_text(char *dst, size_t size, const char *text)
{
	memset(dst, 0, size);
	memcpy(dst, text, strlen(text));
}

/* --- auth_request ----------------------------------------------------- */

struct asking {
	struct session *s;
	struct auth_request *ask;
	struct faults faults;
	struct param_auth_request param;
};

static void
fill_request(struct asking *a)
{
	struct param_auth_request *p = &a->param;

	memset(p, 0, sizeof(*p));
	p->t = a->s->tid;
	p->s = a->s->sid;
	p->protocol = a->ask->protocol;
	memcpy(p->username, a->ask->user, sizeof(a->ask->user));
	memcpy(p->password, a->ask->password, a->ask->password_len);
	p->password_length = (int)a->ask->password_len;
}

static void
take_username(struct asking *a)
{
	const char *name = a->param.username;

	if (!is_text(name, sizeof(a->param.username)) || name[0] == '\0') {
		fault(&a->faults, "username");
		return;
	}
	if (strcmp(name, a->ask->user) == 0)
		return;
	set_text(a->ask->user, sizeof(a->ask->user), name);
	if (!a->s->authenticated)
		set_text(a->s->user, sizeof(a->s->user), name);
}

static void
take_password(struct asking *a)
{
	int length = a->param.password_length;

	if (length < 0 || length > (int)sizeof(a->ask->password)) {
		fault(&a->faults, "password_length");
		return;
	}
	explicit_bzero(a->ask->password, sizeof(a->ask->password));
	memcpy(a->ask->password, a->param.password, (size_t)length);
	a->ask->password_len = (size_t)length;
}

static bool
review_request(void *arg, const char *plugin)
{
	struct asking *a = arg;

	take_username(a);
	if (a->ask->protocol == PLUGIN_PAP)
		take_password(a);
	log_faults(a->s, plugin, PE_auth_request, &a->faults);
	fill_request(a);
	return !a->s->dying;
}

bool
plugins_auth_request(struct session *s, struct auth_request *ask)
{
	struct asking a = { .s = s, .ask = ask };
	int ret;

	_Static_assert(sizeof(a.param.username) == sizeof(ask->user) &&
	    sizeof(a.param.password) == sizeof(ask->password), "of plugin.h");
	if (!plugin_wanted(PE_auth_request))
		return true;
	fill_request(&a);
	ret = plugin_call_reviewed(PE_auth_request, &a.param, review_request,
	    &a, NULL);
	explicit_bzero(&a.param, sizeof(a.param));
	return ret != PLUGIN_RET_ERROR;
}

/* --- pre_auth --------------------------------------------------------- */

struct reply {
	struct session *s;
	const struct auth_request *ask;
	struct auth_result *res;
	struct faults faults;
	char password[USER_MAX + 1];	/* with a NUL in any case */
	struct param_pre_auth param;
};

static void
fill_reply(struct reply *r)
{
	const struct auth_result *res = r->res;
	struct param_pre_auth *p = &r->param;

	*p = (struct param_pre_auth){
		.t = r->s->tid, .s = r->s->sid, .username = r->ask->user,
		.password = r->password, .protocol = r->ask->protocol,
		.continue_auth = 1, .accepted = res->verdict == AUTH_ACCEPT,
		.framed_ip = res->address == AUTH_IP_FIXED ? res->framed_ip : 0,
		.dns1 = res->dns1, .dns2 = res->dns2,
		.session_timeout = res->session_timeout,
		.idle_timeout = res->idle_timeout,
		.interim_interval = res->interim,
	};
	memcpy(p->filter_id, res->filter_id, sizeof(res->filter_id));
	memcpy(p->message, res->message, sizeof(res->message));
}

/* Another address than before has to be one that a subscriber may have. */
static void
take_framed_ip(struct reply *r)
{
	struct auth_result *res = r->res;
	uint32_t ip = r->param.framed_ip;

	if (ip == (res->address == AUTH_IP_FIXED ? res->framed_ip : 0))
		return;
	if (ip != 0 && tun_address_forbidden(ip)) {
		fault(&r->faults, "framed_ip");
		return;
	}
	res->address = ip != 0 ? AUTH_IP_FIXED : AUTH_IP_POOL;
	res->framed_ip = ip;
}

static void
take_dns(struct reply *r, uint32_t ip, uint32_t *dst, const char *member)
{
	if (ip == *dst || ip == 0 || plugin_is_host(ip))
		*dst = ip;
	else
		fault(&r->faults, member);
}

static void
take_text(struct reply *r, const char *text, char *dst, size_t size,
    const char *member)
{
	if (is_text(text, size))
		set_text(dst, size, text);
	else
		fault(&r->faults, member);
}

static void
take_accepted(struct reply *r)
{
	if (r->param.accepted == 0 || r->param.accepted == 1)
		r->res->verdict = r->param.accepted ? AUTH_ACCEPT :
		    AUTH_REJECT;
	else
		fault(&r->faults, "accepted");
}

static bool
review_reply(void *arg, const char *plugin)
{
	struct reply *r = arg;
	const struct param_pre_auth *p = &r->param;
	struct auth_result *res = r->res;
	bool go_on = p->continue_auth != 0;

	take_accepted(r);
	take_framed_ip(r);
	take_dns(r, p->dns1, &res->dns1, "dns1");
	take_dns(r, p->dns2, &res->dns2, "dns2");
	res->session_timeout = p->session_timeout;
	res->idle_timeout = p->idle_timeout;
	/* RFC 2869 5.16: not less. */
	res->interim = p->interim_interval > 0 &&
	    p->interim_interval < ACCT_INTERIM_MIN ? ACCT_INTERIM_MIN :
	    p->interim_interval;
	take_text(r, p->filter_id, res->filter_id, sizeof(res->filter_id),
	    "filter_id");
	take_text(r, p->message, res->message, sizeof(res->message),
	    "message");
	log_faults(r->s, plugin, PE_pre_auth, &r->faults);
	fill_reply(r);
	return go_on && !r->s->dying;
}

bool
plugins_pre_auth(struct session *s, const struct auth_request *ask,
    struct auth_result *res)
{
	struct reply r = { .s = s, .ask = ask, .res = res };
	int ret;

	_Static_assert(sizeof(r.param.filter_id) == sizeof(res->filter_id) &&
	    sizeof(r.param.message) == sizeof(res->message), "of plugin.h");
	if (!plugin_wanted(PE_pre_auth))
		return true;
	if (ask->protocol == PLUGIN_PAP)
		memcpy(r.password, ask->password, ask->password_len);
	fill_reply(&r);
	ret = plugin_call_reviewed(PE_pre_auth, &r.param, review_reply, &r,
	    NULL);
	explicit_bzero(r.password, sizeof(r.password));
	return ret != PLUGIN_RET_ERROR;
}

/* --- post_auth -------------------------------------------------------- */

struct verdict {
	struct session *s;
	int allowed;
	struct faults faults;
	struct param_post_auth param;
};

static void
fill_verdict(struct verdict *v)
{
	v->param = (struct param_post_auth){ .t = v->s->tid, .s = v->s->sid,
	    .username = v->s->user, .auth_allowed = v->allowed,
	    .protocol = v->s->auth_protocol };
}

static bool
review_verdict(void *arg, const char *plugin)
{
	struct verdict *v = arg;

	if (v->param.auth_allowed == 0 || v->param.auth_allowed == 1)
		v->allowed = v->param.auth_allowed;
	else
		fault(&v->faults, "auth_allowed");
	log_faults(v->s, plugin, PE_post_auth, &v->faults);
	fill_verdict(v);
	return !v->s->dying;
}

bool
plugins_post_auth(struct session *s, bool allowed)
{
	struct verdict v = { .s = s, .allowed = allowed };

	if (!plugin_wanted(PE_post_auth))
		return allowed;
	fill_verdict(&v);
	return plugin_call_reviewed(PE_post_auth, &v.param, review_verdict, &v,
	    NULL) != PLUGIN_RET_ERROR && v.allowed;
}

/* --- radius_response -------------------------------------------------- */

/* Without blanks around it, and without quotes around the rest. */
static char *
trim(char *text)
{
	size_t n;

	text += strspn(text, " \t");
	for (n = strlen(text); n > 0 && strchr(" \t", text[n - 1]) != NULL;)
		n--;
	if (n >= 2 && text[0] == '"' && text[n - 1] == '"') {
		text++;
		n -= 2;
	}
	text[n] = '\0';
	return text;
}

/* The text of one pair; it is written to. */
static void
tell_pair(struct session *s, char *text)
{
	struct param_radius_response p = { .t = s->tid, .s = s->sid };
	char *value;

	text = trim(text);
	if (*text == '\0')
		return;
	value = strchr(text, '=');
	if (value != NULL)
		*value++ = '\0';
	p.key = trim(text);
	p.value = value != NULL ? trim(value) : "";
	(void)plugin_tell(PE_radius_response, &p, sizeof(p), s);
}

/* Each is one or more pairs, with commas between. */
void
plugins_radius_response(struct session *s)
{
	char text[AVPAIR_MAX], *pair, *rest;
	size_t len = s->avpair_len, at = 0, n;

	if (!plugin_wanted(PE_radius_response) || len > sizeof(text))
		return;
	memcpy(text, s->avpair, len);
	for (; at < len && !s->dying; at += n + 1) {
		n = strnlen(text + at, len - at);
		if (at + n == len)
			return;		/* has no NUL: was never put there */
		for (pair = text + at; pair != NULL && !s->dying; pair = rest) {
			rest = strchr(pair, ',');
			if (rest != NULL)
				*rest++ = '\0';
			tell_pair(s, pair);
		}
	}
}

/* --- the two ends of a session ---------------------------------------- */

void
plugins_new_session(struct session *s)
{
	struct param_new_session p = { .t = s->tid, .s = s->sid };

	if (plugin_wanted(PE_new_session))
		(void)plugin_tell(PE_new_session, &p, sizeof(p), s);
}

void
plugins_kill_session(struct session *s)
{
	struct param_kill_session p = { .t = s->tid, .s = s->sid };

	if (plugin_wanted(PE_kill_session))
		(void)plugin_tell(PE_kill_session, &p, sizeof(p), NULL);
}

/* --- accounting records ----------------------------------------------- */

/* The one that plugins may add to; what they have as `record` points here. */
static struct account {
	const struct session *s;
	int type;
	struct wr *w;
	struct wr mark;			/* as the next plugin finds it, */
	struct wr last;			/* and as the last one did */
	struct param_radius_account param;
} *account;

bool
plugin_account_add(const void *record, uint32_t vendor, uint8_t type,
    const void *value, size_t length)
{
	uint8_t buf[UINT8_MAX];
	struct wr w = wr_init(buf, sizeof(buf));

	if (account == NULL || record != account || type == 0 ||
	    value == NULL || length == 0 || length > RADIUS_VALUE_MAX)
		return false;
	if (vendor == 0)
		return radius_put(account->w, type, value, length);
	wr_u32(&w, vendor);
	wr_u8(&w, type);
	wr_u8(&w, (uint8_t)(length + 2));
	wr_bytes(&w, value, length);
	return wr_done(&w) > 0 && wr_done(&w) <= RADIUS_VALUE_MAX &&
	    radius_put(account->w, ATTR_VENDOR_SPECIFIC, buf, wr_done(&w));
}

static void
fill_account(struct account *a)
{
	a->mark = *a->w;
	a->param = (struct param_radius_account){ .t = a->s->tid,
	    .s = a->s->sid, .type = a->type, .record = a };
}

static bool
review_account(void *arg, const char *plugin)
{
	struct account *a = arg;

	(void)plugin;
	a->last = a->mark;
	fill_account(a);
	return true;
}

/* A plugin may end other sessions in here, each with a record of its own. */
void
plugins_radius_account(const struct session *s, int type, struct wr *w)
{
	struct account a = { .s = s, .type = type, .w = w };
	struct account *outer = account;

	if (!plugin_wanted(PE_radius_account))
		return;
	fill_account(&a);
	account = &a;
	if (plugin_call_reviewed(PE_radius_account, &a.param, review_account,
	    &a, NULL) == PLUGIN_RET_ERROR)
		*w = a.last;
	account = outer;
}
