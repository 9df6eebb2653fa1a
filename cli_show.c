/*
 * cli_show.c - who is there: sessions, users, tunnels, addresses, requests
 *
 * Each list is its columns and a function that comes from one row to the
 * next; cli_rows.c makes tables, details and JSON of them.  Words, order and
 * widths of the columns are those of l2tpns 2, for people's eyes and for
 * scripts that know them.  `*` stands for what is not known yet.
 *
 * Owns:     nothing: it looks only.
 * Calls:    cli_rows.c; the accessors of sessions, tunnels, pool and RADIUS.
 * Lifetime: one command.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_rows.h"
#include "command.h"
#include "ippool.h"
#include "log.h"
#include "radius.h"
#include "session.h"
#include "table.h"
#include "throttle.h"
#include "tunnel.h"

#define USERS_MAX	32	/* names in one `show users` */

static struct cell
number(uint64_t n)
{
	return (struct cell){ .n = n };
}

/* An empty text is none. */
static struct cell
text(const char *s)
{
	return (struct cell){ .s = s, .none = s[0] == '\0' };
}

static uint32_t
lac_address(const struct session *s)
{
	const struct tunnel *t = tunnel_by_tid(s->tid);

	return t != NULL ? t->peer.addr : 0;
}

/* From one session to the next, by slot number; NULL at the end. */
static const struct session *
walk_sessions(struct rows *r)
{
	const struct session *s = session_next((uint32_t)r->at);

	if (s != NULL)
		r->at = s->sid;
	return s;
}

/* --- show session ------------------------------------------------------- */

static const struct column session_columns[] = {
	{ "SID", "sid", COL_NUMBER, 5, NULL, 0, 0 },
	{ "TID", "tid", COL_NUMBER, 4, NULL, 0, 0 },
	{ "Username", "username", COL_NAME, -32, NULL, 16, 0 },
	{ "IP", "ip", COL_IP, -15, NULL, 0, 0 },
	{ "I", "intercepted", COL_FLAG, 1, NULL, 0, 0 },
	{ "T", "throttled", COL_FLAG, 1, NULL, 0, 0 },
	{ "G", "garden", COL_FLAG, 1, NULL, 0, 0 },
	{ "opened", "opened", COL_SECONDS, 10, NULL, 0, 0 },
	{ "downloaded", "downloaded", COL_BYTES, 10, "down", 0, 0 },
	{ "uploaded", "uploaded", COL_BYTES, 10, "up", 0, 0 },
	{ "idle", "idle", COL_NUMBER, 4, NULL, 0, 0 },
	{ "LAC", "lac", COL_IP, -15, NULL, 0, 1 },
	{ "CLI", "cli", COL_WORD, -3, NULL, 0, 2 },
	{ 0 }
};

static enum row_step
next_session(struct rows *r)
{
	const struct session *s = walk_sessions(r);
	struct cell *c = r->cells;

	if (s == NULL)
		return ROW_END;
	if (s->dying)
		return ROW_SKIPPED;
	*c++ = number(s->sid);
	*c++ = number(s->tid);
	*c++ = text(s->authenticated ? s->user : "");
	*c++ = number(s->ip);
	*c++ = number((s->flags & SF_SNOOP) != 0);
	*c++ = number((s->flags & SF_THROTTLE) != 0);
	*c++ = number((s->flags & SF_GARDEN) != 0);
	*c++ = number(seconds_since(s->opened));
	*c++ = number(s->tx_octets);
	*c++ = number(s->rx_octets);
	*c++ = number(seconds_idle(s));
	*c++ = number(lac_address(s));
	*c++ = text(s->calling);
	return ROW;
}

static const struct listing session_list = {
	.columns = session_columns, .next = next_session
};

/* --- one session -------------------------------------------------------- */

static const struct column session_labels[] = {
	{ NULL, "sid", COL_NUMBER, 0, NULL, 0, 0 },
	{ "User", "username", COL_NAME, 0, NULL, 0, 0 },
	{ "Calling Num", "calling", COL_WORD, 0, NULL, 0, 0 },
	{ "Called Num", "called", COL_WORD, 0, NULL, 0, 0 },
	{ "Tunnel ID", "tid", COL_NUMBER, 0, NULL, 0, 0 },
	{ "IP address", "ip", COL_IP, 0, NULL, 0, 0 },
	{ "HSD sid", "acct_session_id", COL_TEXT, 0, NULL, 0, 0 },
	{ "Idle time", NULL, COL_TEXT, 0, NULL, 0, 0 },
	{ NULL, "idle", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Next Recv", "next_recv", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Next Send", "next_send", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Bytes In/Out", NULL, COL_TEXT, 0, NULL, 0, 0 },
	{ NULL, "uploaded", COL_NUMBER, 0, NULL, 0, 0 },
	{ NULL, "downloaded", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Pkts In/Out", NULL, COL_TEXT, 0, NULL, 0, 0 },
	{ NULL, "uploaded_packets", COL_NUMBER, 0, NULL, 0, 0 },
	{ NULL, "downloaded_packets", COL_NUMBER, 0, NULL, 0, 0 },
	{ "MRU", "mru", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Radius Session", "radius", COL_TEXT, 0, NULL, 0, 0 },
	{ "Rx Speed", "rx_speed", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Tx Speed", "tx_speed", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Intercepted", NULL, COL_TEXT, 0, NULL, 0, 0 },
	{ NULL, "intercepted", COL_FLAG, 0, NULL, 0, 0 },
	{ NULL, "intercept_to", COL_TEXT, 0, NULL, 0, 0 },
	{ "Throttled", NULL, COL_TEXT, 0, NULL, 0, 0 },
	{ NULL, "throttled", COL_FLAG, 0, NULL, 0, 0 },
	{ "Walled Garden", NULL, COL_TEXT, 0, NULL, 0, 0 },
	{ NULL, "garden", COL_FLAG, 0, NULL, 0, 0 },
	{ "Filter BucketI", NULL, COL_TEXT, 0, NULL, 0, 0 },
	{ NULL, "throttle_in", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Filter BucketO", NULL, COL_TEXT, 0, NULL, 0, 0 },
	{ NULL, "throttle_out", COL_NUMBER, 0, NULL, 0, 0 },
	/* what l2tpns 2 does not say */
	{ "Opened", NULL, COL_TEXT, 0, NULL, 0, 0 },
	{ NULL, "opened", COL_NUMBER, 0, NULL, 0, 0 },
	{ "LAC", "lac", COL_IP, 0, NULL, 0, 0 },
	{ "PPP phase", "phase", COL_TEXT, 0, NULL, 0, 0 },
	{ "LCP state", "lcp", COL_TEXT, 0, NULL, 0, 0 },
	{ "IPCP state", "ipcp", COL_TEXT, 0, NULL, 0, 0 },
	{ "DNS", "dns", COL_TEXT, 0, NULL, 0, 0 },
	{ "Routes", "routes", COL_TEXT, 0, NULL, 0, 0 },
	{ "Time limit", "session_timeout", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Idle limit", "idle_timeout", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Filter-Id", "filter_id", COL_NAME, 0, NULL, 0, 0 },
	{ 0 }
};
_Static_assert(sizeof(session_labels) / sizeof(session_labels[0]) <=
    COLUMNS_MAX, "a cell for each label");

static struct cell
seconds(char *dst, size_t size, uint64_t n)
{
	snprintf(dst, size, "%" PRIu64 " seconds", n);
	return text(dst);
}

static struct cell
pair(char *dst, size_t size, uint64_t in, uint64_t out)
{
	snprintf(dst, size, "%" PRIu64 "/%" PRIu64, in, out);
	return text(dst);
}

static struct cell
kbits(char *dst, size_t size, uint32_t rate)
{
	snprintf(dst, size, "%u kbit/s", rate);
	return text(rate != 0 ? dst : "");
}

static struct cell
limit(uint32_t n)
{
	return (struct cell){ .n = n, .none = n == 0 };
}

static struct cell
dns_servers(char *dst, size_t size, const struct session *s)
{
	char a[IP_TEXT], b[IP_TEXT];

	snprintf(dst, size, "%s%s%s", s->dns1 != 0 ? ip_text(a, s->dns1) : "",
	    s->dns1 != 0 && s->dns2 != 0 ? " " : "",
	    s->dns2 != 0 ? ip_text(b, s->dns2) : "");
	return text(dst);
}

static struct cell
routes(char *dst, size_t size, const struct session *s)
{
	char ip[IP_TEXT];
	size_t len = 0;

	dst[0] = '\0';
	for (int i = 0; i < s->nroutes && len + 24 < size; i++)
		len += (size_t)snprintf(dst + len, size - len, "%s%s/%u",
		    i > 0 ? " " : "", ip_text(ip, s->routes[i].addr),
		    s->routes[i].len);
	return text(dst);
}

/* The details of l2tpns 2; returns where those that are ours begin. */
static struct cell *
old_details(struct rows *r, const struct session *s, struct cell *c)
{
	const struct session_local *l = session_local(s);
	bool snooped = (s->flags & SF_SNOOP) != 0;
	bool throttled = (s->flags & SF_THROTTLE) != 0;
	bool garden = (s->flags & SF_GARDEN) != 0;
	/* One small text after the other. */
	char (*t)[64] = (char (*)[64])r->text[0];
	char ip[IP_TEXT];

	*c++ = number(s->sid);
	*c++ = text(s->authenticated ? s->user : "");
	*c++ = text(s->calling);
	*c++ = text(s->called);
	*c++ = number(s->tid);
	*c++ = number(s->ip);
	*c++ = text(s->acct_id);
	*c++ = seconds(t[0], sizeof(t[0]), seconds_idle(s));
	*c++ = number(seconds_idle(s));
	*c++ = number(s->data_Nr);
	*c++ = number(s->data_Ns);
	*c++ = pair(t[1], sizeof(t[1]), s->rx_octets, s->tx_octets);
	*c++ = number(s->rx_octets);
	*c++ = number(s->tx_octets);
	*c++ = pair(t[2], sizeof(t[2]), s->rx_packets, s->tx_packets);
	*c++ = number(s->rx_packets);
	*c++ = number(s->tx_packets);
	*c++ = number(l->ppp.peer_mru);
	*c++ = text(l->auth != NULL ? "waiting for an answer" : "");
	*c++ = number(s->rx_speed);
	*c++ = number(s->tx_speed);
	snprintf(t[3], sizeof(t[3]), "%s:%u", ip_text(ip, s->snoop_ip),
	    s->snoop_port);
	*c++ = text(snooped ? t[3] : "no");
	*c++ = number(snooped);
	*c++ = text(snooped ? t[3] : "");
	*c++ = text(throttled ? "YES" : "no");
	*c++ = number(throttled);
	*c++ = text(garden ? "YES" : "no");
	*c++ = number(garden);
	*c++ = kbits(t[4], sizeof(t[4]), s->throttle_in);
	*c++ = number(s->throttle_in);
	*c++ = kbits(t[5], sizeof(t[5]), s->throttle_out);
	*c++ = number(s->throttle_out);
	return c;
}

static void
session_details(struct rows *r, const struct session *s)
{
	const struct session_local *l = session_local(s);
	struct cell *c = old_details(r, s, r->cells);

	r->number = s->sid;
	*c++ = seconds(r->text[1], sizeof(r->text[1]),
	    seconds_since(s->opened));
	*c++ = number(seconds_since(s->opened));
	*c++ = number(lac_address(s));
	*c++ = text(ppp_phase_name(l->ppp.phase));
	*c++ = text(cp_state_name(l->ppp.lcp.state));
	*c++ = text(cp_state_name(l->ppp.ipcp.state));
	*c++ = dns_servers(r->text[2], sizeof(r->text[2]), s);
	*c++ = routes(r->text[3], sizeof(r->text[3]), s);
	*c++ = limit(s->session_timeout);
	*c++ = limit(s->idle_timeout);
	*c++ = text(s->filter_id);
}

static enum row_step
fault(struct rows *r, const char *what, const char *word)
{
	snprintf(r->text[0], sizeof(r->text[0]), "Invalid %s id \"%.200s\"",
	    what, word);
	return ROW_FAULT;
}

static enum row_step
next_session_asked(struct rows *r)
{
	const struct session *s;
	const char *word;
	uint32_t sid;

	if (r->arg == r->argc)
		return ROW_END;
	word = r->argv[r->arg++];
	if (!word_number(word, UINT32_MAX, &sid) ||
	    (s = session_by_sid(sid)) == NULL || s->dying)
		return fault(r, "session", word);
	session_details(r, s);
	return ROW;
}

static const struct listing session_asked = {
	.details = true, .title = "Session", .columns = session_labels,
	.next = next_session_asked
};

void
show_session(struct command_run *run)
{
	rows_show(run, rows_word(run) != NULL ? &session_asked :
	    &session_list);
}

/* --- show users --------------------------------------------------------- */

static const struct column user_columns[] = {
	{ "", "username", COL_NAME, -1, NULL, 0, 0 },
	{ NULL, "sid", COL_NUMBER, 0, NULL, 0, 0 },
	{ 0 }
};

static enum row_step
next_user(struct rows *r)
{
	const struct session *s = walk_sessions(r);

	if (s == NULL)
		return ROW_END;
	if (s->dying || !s->authenticated)
		return ROW_SKIPPED;
	r->cells[0] = text(s->user);
	r->cells[1] = number(s->sid);
	return ROW;
}

static const struct listing user_list = {
	.columns = user_columns, .next = next_user
};

/*
 * The sessions of each name.  Hardly ever are there several of one name, and
 * then they are found by looking at all, as the chain they are on may be
 * another in the next slice.
 */
static enum row_step
next_user_asked(struct rows *r)
{
	const struct session *s, *first;

	if (r->arg == r->argc || r->arg == USERS_MAX)
		return ROW_END;
	first = word_user(r->argv[r->arg]);
	if (r->at == 0 && first == NULL) {
		snprintf(r->text[0], sizeof(r->text[0]),
		    "User %.253s is not connected", r->argv[r->arg++]);
		return ROW_FAULT;
	}
	if (first != NULL && r->at == 0 &&
	    session_next_of_user(first) == NULL) {
		r->arg++;
		session_details(r, first);
		return ROW;
	}
	s = walk_sessions(r);
	if (s == NULL || first == NULL) {
		r->arg++;
		r->at = 0;
		return ROW_SKIPPED;
	}
	if (s->dying || !s->authenticated || strcmp(s->user, first->user) != 0)
		return ROW_SKIPPED;
	session_details(r, s);
	return ROW;
}

static const struct listing users_asked = {
	.details = true, .title = "Session", .columns = session_labels,
	.next = next_user_asked
};

void
show_users(struct command_run *run)
{
	rows_show(run, rows_word(run) != NULL ? &users_asked : &user_list);
}

/* --- show tunnels ------------------------------------------------------- */

static const struct column tunnel_columns[] = {
	{ "TID", "tid", COL_NUMBER, 4, NULL, 0, 0 },
	{ "Hostname", "hostname", COL_WORD, 20, NULL, 8, 0 },
	{ "IP", "ip", COL_IP, 20, NULL, 0, 0 },
	{ "State", "state", COL_TEXT, 7, NULL, 0, 0 },
	{ "Sessions", "sessions", COL_NUMBER, 6, NULL, 0, 0 },
	{ 0 }
};

static void
tunnel_cells(struct rows *r, const struct tunnel *t)
{
	struct cell *c = r->cells;

	*c++ = number(t->tid);
	*c++ = text(t->hostname);
	*c++ = number(t->peer.addr);
	*c++ = text(tunnel_state_name(t));
	*c++ = number(t->sessions);
}

static enum row_step
next_tunnel(struct rows *r)
{
	const struct tunnel *t = tunnel_next((uint32_t)r->at);

	if (t == NULL)
		return ROW_END;
	r->at = t->tid;
	if (tunnel_local(t)->dying)
		return ROW_SKIPPED;
	tunnel_cells(r, t);
	return ROW;
}

static enum row_step
next_tunnel_slot(struct rows *r)
{
	const struct tunnel *t;

	if (r->at >= (uint64_t)lns.config.max_tunnels)
		return ROW_END;
	t = tunnel_by_tid((uint32_t)++r->at);
	if (t != NULL && !tunnel_local(t)->dying) {
		tunnel_cells(r, t);
		return ROW;
	}
	r->cells[0] = number(r->at);
	r->cells[1] = text("");
	r->cells[2] = number(0);
	r->cells[3] = text("Free");
	r->cells[4] = number(0);
	return ROW;
}

static const struct listing tunnel_list = {
	.columns = tunnel_columns, .next = next_tunnel
};

static const struct listing tunnel_slots = {
	.columns = tunnel_columns, .next = next_tunnel_slot
};

static const struct column tunnel_labels[] = {
	{ NULL, "tid", COL_NUMBER, 0, NULL, 0, 0 },
	{ "State", "state", COL_TEXT, 0, NULL, 0, 0 },
	{ "Hostname", "hostname", COL_WORD, 0, NULL, 0, 0 },
	{ "Remote IP", "ip", COL_IP, 0, NULL, 0, 0 },
	{ "Remote Port", "port", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Rx Window", "window", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Next Recv", "next_recv", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Next Send", "next_send", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Queue Len", "queue", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Last Packet Age", NULL, COL_TEXT, 0, NULL, 0, 0 },
	{ NULL, "age", COL_NUMBER, 0, NULL, 0, 0 },
	/* what l2tpns 2 does not say */
	{ "Opened", NULL, COL_TEXT, 0, NULL, 0, 0 },
	{ NULL, "opened", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Vendor", "vendor", COL_WORD, 0, NULL, 0, 0 },
	{ "Sessions", "sessions", COL_LIST, 0, NULL, 0, 0 },
	{ 0 }
};

static void
tunnel_details(struct rows *r, const struct tunnel *t)
{
	const struct ctl *ctl = &tunnel_local(t)->ctl;
	uint64_t age = timer_now() > ctl->last_recv ?
	    (timer_now() - ctl->last_recv) / 1000 : 0;
	struct cell *c = r->cells;

	r->number = t->tid;
	*c++ = number(t->tid);
	*c++ = text(tunnel_state_name(t));
	*c++ = text(t->hostname);
	*c++ = number(t->peer.addr);
	*c++ = number(t->peer.port);
	*c++ = number(t->peer_window);
	*c++ = number(ctl->Nr);
	*c++ = number(ctl->Ns);
	*c++ = number(ctl->queued);
	*c++ = seconds(r->text[0], sizeof(r->text[0]), age);
	*c++ = number(age);
	*c++ = seconds(r->text[1], sizeof(r->text[1]),
	    seconds_since(t->opened));
	*c++ = number(seconds_since(t->opened));
	*c++ = text(t->vendor);
}

static enum row_step
next_tunnel_asked(struct rows *r)
{
	const struct tunnel *t;
	const char *word;
	uint32_t tid;

	if (r->arg == r->argc)
		return ROW_END;
	word = r->argv[r->arg++];
	if (!word_number(word, UINT32_MAX, &tid) ||
	    (t = tunnel_by_tid(tid)) == NULL || tunnel_local(t)->dying)
		return fault(r, "tunnel", word);
	tunnel_details(r, t);
	return ROW;
}

/* The sessions of the tunnel that is being shown, if they still are its. */
static enum row_step
next_session_of_tunnel(struct rows *r, uint64_t *sid)
{
	const struct session *s = session_next((uint32_t)r->item_at);

	if (s == NULL)
		return ROW_END;
	*sid = r->item_at = s->sid;
	return s->tid == r->number && !s->dying ? ROW : ROW_SKIPPED;
}

static const struct listing tunnels_asked = {
	.details = true, .title = "Tunnel", .columns = tunnel_labels,
	.next = next_tunnel_asked, .item = next_session_of_tunnel
};

void
show_tunnels(struct command_run *run)
{
	const char *word = rows_word(run);

	if (word == NULL)
		rows_show(run, &tunnel_list);
	else if (strcmp(word, "all") == 0)
		rows_show(run, &tunnel_slots);
	else
		rows_show(run, &tunnels_asked);
}

/* --- show pool ---------------------------------------------------------- */

static const struct column pool_columns[] = {
	{ "IP Address", "ip", COL_IP, -15, NULL, 0, 0 },
	{ "Used", "used", COL_FLAG, 4, NULL, 0, 0 },
	{ "Session", NULL, COL_TEXT, 8, NULL, 0, 0 },
	{ NULL, "sid", COL_NUMBER, 0, NULL, 0, 0 },
	{ "User", NULL, COL_TEXT, -4, NULL, 0, 0 },
	{ NULL, "username", COL_NAME, 0, NULL, 0, 0 },
	{ NULL, "idle", COL_NUMBER, 0, NULL, 0, 0 },
	{ 0 }
};

static void
pool_cells(struct rows *r, const struct ippool_row *row)
{
	uint64_t idle = (timer_now() - row->released) / 1000;
	bool used = row->sid != 0;
	char name[sizeof(r->text[0])];

	log_escape(name, sizeof(name), row->last_user,
	    strlen(row->last_user));
	r->text[0][0] = '\0';
	if (used)
		snprintf(r->text[0], sizeof(r->text[0]), "%u", row->sid);
	if (used || row->last_user[0] == '\0')
		snprintf(r->text[1], sizeof(r->text[1]), "%s", name);
	else
		snprintf(r->text[1], sizeof(r->text[1]), "[%.1100s] %" PRIu64
		    "s", name, idle);
	r->cells[0] = number(row->addr);
	r->cells[1] = number(used);
	r->cells[2] = (struct cell){ .s = r->text[0] };
	r->cells[3] = limit(row->sid);
	r->cells[4] = (struct cell){ .s = r->text[1] };
	r->cells[5] = text(row->last_user);
	r->cells[6] = (struct cell){
	    .n = idle, .none = used || row->released == 0 };
}

static enum row_step
next_address(struct rows *r)
{
	struct ippool_row row;

	if (!ippool_row((size_t)r->at++, &row))
		return ROW_END;
	pool_cells(r, &row);
	return ROW;
}

/* In use, or kept for somebody. */
static enum row_step
next_known_address(struct rows *r)
{
	struct ippool_row row;

	if (!ippool_row((size_t)r->at++, &row))
		return ROW_END;
	if (row.sid == 0 && row.last_user[0] == '\0')
		return ROW_SKIPPED;
	pool_cells(r, &row);
	return ROW;
}

static void
free_and_used(struct rows *r, uint64_t total, uint64_t used)
{
	command_print(r->run, "\nFree: %" PRIu64 "\nUsed: %" PRIu64 "\n",
	    total > used ? total - used : 0, used);
}

static void
pool_foot(struct rows *r)
{
	free_and_used(r, ippool_size(), ippool_used());
}

static void
known_foot(struct rows *r)
{
	command_print(r->run, "(Not displaying unused addresses)\n");
	pool_foot(r);
}

static const struct listing pool_all = {
	.columns = pool_columns, .next = next_address, .foot = pool_foot
};

static const struct listing pool_known = {
	.columns = pool_columns, .next = next_known_address,
	.foot = known_foot
};

void
show_pool(struct command_run *run)
{
	const char *word = rows_word(run);

	rows_show(run, word != NULL && strcmp(word, "all") == 0 ? &pool_all :
	    &pool_known);
}

/* --- show radius -------------------------------------------------------- */

static const struct column radius_columns[] = {
	{ "Radius", "radius", COL_NUMBER, 6, NULL, 0, 0 },
	{ "State", "state", COL_TEXT, 6, NULL, 0, 0 },
	{ "Session", "sid", COL_NUMBER, 9, NULL, 0, 0 },
	{ "Retry", "retry", COL_NUMBER, 11, NULL, 0, 0 },
	{ "Try", "try", COL_NUMBER, 4, NULL, 0, 0 },
	{ 0 }
};

static enum row_step
next_request(struct rows *r)
{
	struct radius_row row;

	if (!radius_row((size_t)r->at++, &row))
		return ROW_END;
	r->cells[0] = number(row.id);
	r->cells[1] = text(row.state);
	r->cells[2] = number(row.sid);
	r->cells[3] = number((uint64_t)row.retry);
	r->cells[4] = number(row.tries);
	return ROW;
}

static void
radius_foot(struct rows *r)
{
	free_and_used(r, (uint64_t)lns.config.radius_max_outstanding,
	    radius_outstanding());
}

static const struct listing radius_list = {
	.columns = radius_columns, .next = next_request, .foot = radius_foot
};

/* There are no unused slots that an `all` could add: requests are made new. */
void
show_radius(struct command_run *run)
{
	rows_show(run, &radius_list);
}

/* --- show throttle ------------------------------------------------------ */

static const struct column throttle_columns[] = {
	{ "TBF#", "tbf", COL_NUMBER, 4, NULL, 0, 1 },
	{ "Sid", "sid", COL_NUMBER, 5, NULL, 0, 0 },
	{ "Dir", "direction", COL_TEXT, -3, NULL, 0, 0 },
	{ "Rate", "rate", COL_NUMBER, 6, NULL, 0, 0 },
	{ "Credit", "credit", COL_BYTES, 6, NULL, 0, 0 },
	{ "Queued", "queued", COL_NUMBER, 6, NULL, 0, 0 },
	{ "|", NULL, COL_TEXT, 1, NULL, 0, 0 },
	{ "ByteIn", "bytes_in", COL_BYTES, 10, NULL, 0, 2 },
	{ "PackIn", "packets_in", COL_BYTES, 8, NULL, 0, 3 },
	{ "ByteSent", "bytes_sent", COL_BYTES, 10, NULL, 0, 0 },
	{ "PackSent", "packets_sent", COL_BYTES, 8, NULL, 0, 0 },
	{ "PackDrop", "packets_dropped", COL_BYTES, 8, NULL, 0, 0 },
	{ "PackDelay", "packets_delayed", COL_BYTES, 9, NULL, 0, 0 },
	{ 0 }
};

static void
throttle_cells(struct rows *r, const struct throttle_row *row)
{
	struct cell *c = r->cells;

	*c++ = number(r->count[0]++);
	*c++ = number(row->sid);
	*c++ = text(row->out ? "out" : "in");
	*c++ = number(row->rate);
	*c++ = number(row->credit);
	*c++ = number(row->queued);
	*c++ = text("|");
	*c++ = number(row->octets_in);
	*c++ = number(row->packets_in);
	*c++ = number(row->octets_out);
	*c++ = number(row->packets_out);
	*c++ = number(row->dropped);
	*c++ = number(row->delayed);
}

/* Of each throttled session, row arg: 0 in, 1 out. */
static enum row_step
next_bucket(struct rows *r)
{
	struct throttle_row row;
	const struct session *s;

	s = r->arg > 0 ? session_by_sid((uint32_t)r->at) : NULL;
	if (s == NULL || r->arg > 1) {
		s = walk_sessions(r);
		r->arg = 0;
	}
	if (s == NULL)
		return ROW_END;
	if (s->dying || (s->flags & SF_THROTTLE) == 0)
		return ROW_SKIPPED;
	if (!throttle_row(s, r->arg++, &row))
		return ROW_SKIPPED;
	throttle_cells(r, &row);
	return ROW;
}

static void
throttle_foot(struct rows *r)
{
	command_print(r->run, "%" PRIu64 " tbf entries used, %u total\n",
	    r->count[0], 2 * throttle_sessions());
}

static const struct listing throttle_list = {
	.title = "Token bucket filters:", .columns = throttle_columns,
	.next = next_bucket, .foot = throttle_foot
};

void
show_throttle(struct command_run *run)
{
	rows_show(run, &throttle_list);
}

/* --- show ipcache ------------------------------------------------------- */

static const struct column ipcache_columns[] = {
	{ "Sess#", "sid", COL_NUMBER, 5, NULL, 0, 0 },
	{ "IP Address", "ip", COL_IP, -15, NULL, 0, 0 },
	{ 0 }
};

static enum row_step
next_cached(struct rows *r)
{
	const struct session *s = walk_sessions(r);

	if (s == NULL)
		return ROW_END;
	if (s->dying || s->ip == 0)
		return ROW_SKIPPED;
	r->cells[0] = number(s->sid);
	r->cells[1] = number(s->ip);
	r->count[0]++;
	return ROW;
}

static void
ipcache_foot(struct rows *r)
{
	command_print(r->run, "%" PRIu64 " entries in cache\n", r->count[0]);
}

static const struct listing ipcache_list = {
	.columns = ipcache_columns, .next = next_cached, .foot = ipcache_foot
};

void
show_ipcache(struct command_run *run)
{
	rows_show(run, &ipcache_list);
}
