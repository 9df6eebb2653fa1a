/*
 * record.c - a plugin for the tests: writes every event with every field into
 * the log, and does in each what it is told to
 *
 *	record EVENT WORD...	from now on, at this event:
 *		ok stop error	return that
 *		number		return what there is not
 *		garbage		spoil all that may be set, and all else
 *		kill shutdown	end the session
 *		garden ungarden	the session
 *		allow deny	set auth_allowed
 *		accept reject	set accepted
 *		rename		change username, and the password too
 *		dns		set_dns() and set_filter() of the session
 *		settle		set what an answer may say
 *		halt		set continue_auth to 0
 *		add		attributes, to an accounting record
 *		chaos		now this, now that
 *	record reset		nothing any more
 *
 * record2.c is the same once more, under another name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

#ifndef NAME
#define NAME	"record"
#endif
#define CISCO	9

int plugin_api_version = PLUGIN_API_VERSION;

static struct pluginfuncs *host;

static const char *const events[] = { "auth_request", "pre_auth", "post_auth",
    "timer", "new_session", "kill_session", "radius_response",
    "radius_account", "become_master", "become_slave", "control" };
#define EVENTS	(sizeof(events) / sizeof(events[0]))
static char orders[EVENTS][128];

/* --- orders ----------------------------------------------------------------- */

static char *
orders_at(const char *event)
{
	size_t i;

	for (i = 0; i < EVENTS; i++)
		if (strcmp(events[i], event) == 0)
			return orders[i];
	return NULL;
}

/* Is this word among what is to be done at the event? */
static int
told(const char *event, const char *word)
{
	const char *at = orders_at(event);
	size_t n = strlen(word);

	if (strcmp(at, " chaos") == 0)
		return rand() % 40 == 0;
	for (; (at = strstr(at, word)) != NULL; at++)
		if (at[-1] == ' ' && (at[n] == ' ' || at[n] == '\0'))
			return 1;
	return 0;
}

static int
finish(const char *event, uint32_t s)
{
	if (told(event, "kill"))
		host->kill(s, "record: " NAME);
	if (told(event, "shutdown"))
		host->shutdown(s, NULL, 0, 0, 0);
	if (told(event, "dns")) {
		host->set_dns(s, 0x09090909, 0);
		host->set_filter(s, "of " NAME);
	}
	if (told(event, "garden"))
		host->garden(s, 1);
	if (told(event, "ungarden"))
		host->garden(s, 0);
	return told(event, "stop") ? PLUGIN_RET_STOP :
	    told(event, "error") ? PLUGIN_RET_ERROR :
	    told(event, "number") ? 4711 : PLUGIN_RET_OK;
}

static void
say(const char *event, uint32_t s, uint32_t t, const char *text)
{
	struct plugin_session session;
	char seen[400] = "none";

	if (s != 0 && host->get_session(s, &session, sizeof(session)))
		snprintf(seen, sizeof(seen), "%s/%s/ip %x/%s%s",
		    session.username, session.authenticated ? "in" : "out",
		    session.ip, session.open ? "open" : "closed",
		    session.garden ? "/garden" : "");
	host->log(PLUGIN_LOG_INFO, s, t, NAME ": %s t %u s %u %s {%s}", event,
	    t, s, text, seen);
}

/* --- events ------------------------------------------------------------------- */

int
plugin_auth_request(struct param_auth_request *p)
{
	char text[700];

	snprintf(text, sizeof(text), "protocol %x username %s password %.*s "
	    "password_length %d", (unsigned int)p->protocol, p->username,
	    p->password_length, p->password, p->password_length);
	say("auth_request", p->s, p->t, text);
	if (told("auth_request", "rename")) {
		strcpy(p->username, "renamed");
		strcpy(p->password, "changed");
		p->password_length = 7;
	}
	if (told("auth_request", "garbage")) {
		uint32_t s = p->s;

		memset(p, 0xff, sizeof(*p));
		return finish("auth_request", s);
	}
	return finish("auth_request", p->s);
}

int
plugin_pre_auth(struct param_pre_auth *p)
{
	uint32_t s = p->s;
	char text[900];

	snprintf(text, sizeof(text), "username %s password %s protocol %x "
	    "continue_auth %d accepted %d framed_ip %x dns1 %x dns2 %x "
	    "session_timeout %u idle_timeout %u interim_interval %u "
	    "filter_id %s message %s", p->username, p->password,
	    (unsigned int)p->protocol, p->continue_auth, p->accepted,
	    p->framed_ip, p->dns1, p->dns2, p->session_timeout,
	    p->idle_timeout, p->interim_interval, p->filter_id, p->message);
	say("pre_auth", p->s, p->t, text);
	if (told("pre_auth", "accept"))
		p->accepted = 1;
	if (told("pre_auth", "reject"))
		p->accepted = 0;
	if (told("pre_auth", "halt"))
		p->continue_auth = 0;
	if (told("pre_auth", "settle")) {
		p->framed_ip = 0x0a090807;
		p->dns1 = 0x01010101;
		p->dns2 = 0x02020202;
		p->session_timeout = 3000;
		p->idle_timeout = 4000;
		p->interim_interval = 1;
		strcpy(p->filter_id, "from " NAME);
		strcpy(p->message, "hello from " NAME);
	}
	if (told("pre_auth", "garbage"))
		memset(p, 0xff, sizeof(*p));
	return finish("pre_auth", s);
}

int
plugin_post_auth(struct param_post_auth *p)
{
	uint32_t s = p->s;
	char text[400];

	snprintf(text, sizeof(text), "username %s auth_allowed %d protocol %x",
	    p->username, p->auth_allowed, (unsigned int)p->protocol);
	say("post_auth", p->s, p->t, text);
	if (told("post_auth", "allow"))
		p->auth_allowed = 1;
	if (told("post_auth", "deny"))
		p->auth_allowed = 0;
	if (told("post_auth", "garbage"))
		memset(p, 0xff, sizeof(*p));
	return finish("post_auth", s);
}

int
plugin_timer(struct param_timer *p)
{
	if (told("timer", "garbage"))
		memset(p, 0xff, sizeof(*p));
	return finish("timer", 0);
}

int
plugin_new_session(struct param_new_session *p)
{
	uint32_t s = p->s;

	say("new_session", p->s, p->t, "");
	if (told("new_session", "garbage"))
		memset(p, 0xff, sizeof(*p));
	return finish("new_session", s);
}

int
plugin_kill_session(struct param_kill_session *p)
{
	uint32_t s = p->s;

	say("kill_session", p->s, p->t, "");
	if (told("kill_session", "garbage"))
		memset(p, 0xff, sizeof(*p));
	return finish("kill_session", s);
}

int
plugin_radius_response(struct param_radius_response *p)
{
	uint32_t s = p->s;
	char text[400];

	snprintf(text, sizeof(text), "key %s value %s", p->key, p->value);
	say("radius_response", p->s, p->t, text);
	if (told("radius_response", "garbage"))
		memset(p, 0xff, sizeof(*p));
	return finish("radius_response", s);
}

int
plugin_radius_account(struct param_radius_account *p)
{
	uint32_t s = p->s;
	char text[400];

	snprintf(text, sizeof(text), "type %d", p->type);
	say("radius_account", p->s, p->t, text);
	if (told("radius_account", "add") &&
	    (!host->account_add(p, 11, "filter " NAME, strlen("filter " NAME)) ||
	    !host->account_add_vsa(p, CISCO, 1, "pair=" NAME,
	    strlen("pair=" NAME))))
		host->log(PLUGIN_LOG_ERROR, 0, 0, NAME ": nothing added");
	if (told("radius_account", "garbage")) {
		while (host->account_add(p, 11, text, 200))
			continue;
		host->account_add(p, 0, text, 10);
		host->account_add(p, 11, text, 254);
		host->account_add(p, 11, NULL, 10);
		host->account_add_vsa(p, CISCO, 1, text, 248);
		host->account_add_vsa(p, CISCO, 1, text, (size_t)-1);
		memset(p, 0xff, sizeof(*p));
		if (host->account_add(p, 11, text, 1))
			host->log(PLUGIN_LOG_ERROR, 0, 0, NAME ": added");
	}
	return finish("radius_account", s);
}

int
plugin_become_master(struct param_become_master *p)
{
	char text[80];

	snprintf(text, sizeof(text), "sessions %u master %d", p->sessions,
	    host->is_master());
	say("become_master", 0, 0, text);
	return PLUGIN_RET_OK;
}

int
plugin_become_slave(struct param_become_slave *p)
{
	char text[80];

	snprintf(text, sizeof(text), "master %x", p->master);
	say("become_slave", 0, 0, text);
	return PLUGIN_RET_OK;
}

/* --- being told ----------------------------------------------------------------- */

int
plugin_control(struct param_control *p)
{
	char *list;
	int i;

	if (strcmp(p->argv[0], NAME) != 0)
		return PLUGIN_RET_OK;
	if (p->argc == 2 && strcmp(p->argv[1], "reset") == 0) {
		memset(orders, 0, sizeof(orders));
		host->control_answer(p, 0, "%s", "");
		return PLUGIN_RET_STOP;
	}
	list = p->argc > 1 ? orders_at(p->argv[1]) : NULL;
	if (list == NULL) {
		host->control_answer(p, 1, "no such event");
		return PLUGIN_RET_STOP;
	}
	*list = '\0';
	for (i = 2; i < p->argc && strlen(list) + strlen(p->argv[i]) + 2 <
	    sizeof(orders[0]); i++) {
		strcat(list, " ");
		strcat(list, p->argv[i]);
	}
	host->control_answer(p, 0, "%s", "");
	return PLUGIN_RET_STOP;
}

int
plugin_init(struct pluginfuncs *funcs)
{
	host = funcs;
	return 1;
}
