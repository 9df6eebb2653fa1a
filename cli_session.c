/*
 * cli_session.c - who is there: show session, show users, show ipcache
 *
 * Words, order and widths of the columns are those of l2tpns 2, for people's
 * eyes and for scripts that know them.  `*` stands for what is not known yet.
 *
 * Owns:     nothing: it looks only.
 * Calls:    cli_rows.c; the accessors of sessions and tunnels.
 * Lifetime: one command.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli_rows.h"
#include "command.h"
#include "plugins.h"
#include "session.h"
#include "table.h"
#include "tunnel.h"

#define USERS_MAX	32	/* names in one `show users` */

static uint32_t
lac_address(const struct session *s)
{
	const struct tunnel *t = tunnel_by_tid(s->tid);

	return t != NULL ? t->peer.addr : 0;
}

/*
 * That somebody is intercepted is for those to see who could have done it; to
 * all others nobody is.
 */
static bool
seen_snooped(const struct rows *r, const struct session *s)
{
	return r->run->enabled && (s->flags & SF_SNOOP) != 0;
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
	const struct session *s = rows_session(r);
	struct cell *c = r->cells;

	if (s == NULL)
		return ROW_END;
	if (s->dying)
		return ROW_SKIPPED;
	*c++ = cell_n(s->sid);
	*c++ = cell_n(s->tid);
	*c++ = cell_s(s->authenticated ? s->user : "");
	*c++ = cell_n(s->ip);
	*c++ = cell_n(seen_snooped(r, s));
	*c++ = cell_n((s->flags & SF_THROTTLE) != 0);
	*c++ = cell_n((s->flags & SF_GARDEN) != 0);
	*c++ = cell_n(seconds_since(s->opened));
	*c++ = cell_n(s->tx_octets);
	*c++ = cell_n(s->rx_octets);
	*c++ = cell_n(seconds_idle(s));
	*c++ = cell_n(lac_address(s));
	*c++ = cell_s(s->calling);
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
	{ "Held by", "held_by", COL_TEXT, 0, NULL, 0, 0 },
	{ 0 }
};
_Static_assert(sizeof(session_labels) / sizeof(session_labels[0]) <=
    COLUMNS_MAX, "a cell for each label");

static struct cell
pair(char *dst, size_t size, uint64_t in, uint64_t out)
{
	snprintf(dst, size, "%" PRIu64 "/%" PRIu64, in, out);
	return cell_s(dst);
}

static struct cell
kbits(char *dst, size_t size, uint32_t rate)
{
	snprintf(dst, size, "%u kbit/s", rate);
	return cell_s(rate != 0 ? dst : "");
}

static struct cell
dns_servers(char *dst, size_t size, const struct session *s)
{
	char a[IP_TEXT], b[IP_TEXT];

	snprintf(dst, size, "%s%s%s", s->dns1 != 0 ? ip_text(a, s->dns1) : "",
	    s->dns1 != 0 && s->dns2 != 0 ? " " : "",
	    s->dns2 != 0 ? ip_text(b, s->dns2) : "");
	return cell_s(dst);
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
	return cell_s(dst);
}

/* The details of l2tpns 2; returns where those that are ours begin. */
static struct cell *
old_details(struct rows *r, const struct session *s, struct cell *c)
{
	const struct session_local *l = session_local(s);
	bool snooped = seen_snooped(r, s);
	bool throttled = (s->flags & SF_THROTTLE) != 0;
	bool garden = (s->flags & SF_GARDEN) != 0;
	/* One small text after the other. */
	char (*t)[64] = (char (*)[64])r->text[0];
	char ip[IP_TEXT];

	*c++ = cell_n(s->sid);
	*c++ = cell_s(s->authenticated ? s->user : "");
	*c++ = cell_s(s->calling);
	*c++ = cell_s(s->called);
	*c++ = cell_n(s->tid);
	*c++ = cell_n(s->ip);
	*c++ = cell_s(s->acct_id);
	*c++ = cell_seconds(t[0], sizeof(t[0]), seconds_idle(s));
	*c++ = cell_n(seconds_idle(s));
	*c++ = cell_n(s->data_Nr);
	*c++ = cell_n(s->data_Ns);
	*c++ = pair(t[1], sizeof(t[1]), s->rx_octets, s->tx_octets);
	*c++ = cell_n(s->rx_octets);
	*c++ = cell_n(s->tx_octets);
	*c++ = pair(t[2], sizeof(t[2]), s->rx_packets, s->tx_packets);
	*c++ = cell_n(s->rx_packets);
	*c++ = cell_n(s->tx_packets);
	*c++ = cell_n(l->ppp.peer_mru);
	*c++ = cell_s(l->auth != NULL ? "waiting for an answer" : "");
	*c++ = cell_n(s->rx_speed);
	*c++ = cell_n(s->tx_speed);
	snprintf(t[3], sizeof(t[3]), "%s:%u", ip_text(ip, s->snoop_ip),
	    s->snoop_port);
	*c++ = cell_s(snooped ? t[3] : "no");
	*c++ = cell_n(snooped);
	*c++ = cell_s(snooped ? t[3] : "");
	*c++ = cell_s(throttled ? "YES" : "no");
	*c++ = cell_n(throttled);
	*c++ = cell_s(garden ? "YES" : "no");
	*c++ = cell_n(garden);
	*c++ = kbits(t[4], sizeof(t[4]), s->throttle_in);
	*c++ = cell_n(s->throttle_in);
	*c++ = kbits(t[5], sizeof(t[5]), s->throttle_out);
	*c++ = cell_n(s->throttle_out);
	return c;
}

static void
session_details(struct rows *r, const struct session *s)
{
	const struct session_local *l = session_local(s);
	struct cell *c = old_details(r, s, r->cells);

	r->number = s->sid;
	*c++ = cell_seconds(r->text[1], sizeof(r->text[1]),
	    seconds_since(s->opened));
	*c++ = cell_n(seconds_since(s->opened));
	*c++ = cell_n(lac_address(s));
	*c++ = cell_s(ppp_phase_name(l->ppp.phase));
	*c++ = cell_s(cp_state_name(l->ppp.lcp.state));
	*c++ = cell_s(cp_state_name(l->ppp.ipcp.state));
	*c++ = dns_servers(r->text[2], sizeof(r->text[2]), s);
	*c++ = routes(r->text[3], sizeof(r->text[3]), s);
	*c++ = cell_some(s->session_timeout);
	*c++ = cell_some(s->idle_timeout);
	*c++ = cell_s(s->filter_id);
	*c++ = cell_s(plugin_holders(l->held, r->text[4], sizeof(r->text[4])));
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
		return row_fault(r, "Invalid session id \"%s\"", word);
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
	const struct session *s = rows_session(r);

	if (s == NULL)
		return ROW_END;
	if (s->dying || !s->authenticated)
		return ROW_SKIPPED;
	r->cells[0] = cell_s(s->user);
	r->cells[1] = cell_n(s->sid);
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
	if (r->at == 0 && first == NULL)
		return row_fault(r, "User %s is not connected",
		    r->argv[r->arg++]);
	if (first != NULL && r->at == 0 &&
	    session_next_of_user(first) == NULL) {
		r->arg++;
		session_details(r, first);
		return ROW;
	}
	s = rows_session(r);
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

/* --- show ipcache ------------------------------------------------------- */

static const struct column ipcache_columns[] = {
	{ "Sess#", "sid", COL_NUMBER, 5, NULL, 0, 0 },
	{ "IP Address", "ip", COL_IP, -15, NULL, 0, 0 },
	{ 0 }
};

static enum row_step
next_cached(struct rows *r)
{
	const struct session *s = rows_session(r);

	if (s == NULL)
		return ROW_END;
	if (s->dying || s->ip == 0)
		return ROW_SKIPPED;
	r->cells[0] = cell_n(s->sid);
	r->cells[1] = cell_n(s->ip);
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
