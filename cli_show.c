/*
 * cli_show.c - tunnels, addresses, requests, throttles: the other lists
 *
 * Each list is its columns and a function that comes from one row to the
 * next; cli_rows.c makes tables, details and JSON of them.
 *
 * Owns:     nothing: it looks only.
 * Calls:    cli_rows.c; the accessors of tunnels, pool, RADIUS and throttles.
 * Lifetime: one command.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli_rows.h"
#include "command.h"
#include "ippool.h"
#include "log.h"
#include "radius.h"
#include "table.h"
#include "throttle.h"
#include "tunnel.h"

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

	*c++ = cell_n(t->tid);
	*c++ = cell_s(t->hostname);
	*c++ = cell_n(t->peer.addr);
	*c++ = cell_s(tunnel_state_name(t));
	*c++ = cell_n(t->sessions);
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
	r->cells[0] = cell_n(r->at);
	r->cells[1] = cell_s("");
	r->cells[2] = cell_n(0);
	r->cells[3] = cell_s("Free");
	r->cells[4] = cell_n(0);
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
	*c++ = cell_n(t->tid);
	*c++ = cell_s(tunnel_state_name(t));
	*c++ = cell_s(t->hostname);
	*c++ = cell_n(t->peer.addr);
	*c++ = cell_n(t->peer.port);
	*c++ = cell_n(t->peer_window);
	*c++ = cell_n(ctl->Nr);
	*c++ = cell_n(ctl->Ns);
	*c++ = cell_n(ctl->queued);
	*c++ = cell_seconds(r->text[0], sizeof(r->text[0]), age);
	*c++ = cell_n(age);
	*c++ = cell_seconds(r->text[1], sizeof(r->text[1]),
	    seconds_since(t->opened));
	*c++ = cell_n(seconds_since(t->opened));
	*c++ = cell_s(t->vendor);
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
		return row_fault(r, "Invalid tunnel id \"%s\"", word);
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
	r->cells[0] = cell_n(row->addr);
	r->cells[1] = cell_n(used);
	r->cells[2] = (struct cell){ .s = r->text[0] };
	r->cells[3] = cell_some(row->sid);
	r->cells[4] = (struct cell){ .s = r->text[1] };
	r->cells[5] = cell_s(row->last_user);
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
	r->cells[0] = cell_n(row.id);
	r->cells[1] = cell_s(row.state);
	r->cells[2] = cell_n(row.sid);
	r->cells[3] = cell_n((uint64_t)row.retry);
	r->cells[4] = cell_n(row.tries);
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

	*c++ = cell_n(r->count[0]++);
	*c++ = cell_n(row->sid);
	*c++ = cell_s(row->out ? "out" : "in");
	*c++ = cell_n(row->rate);
	*c++ = cell_n(row->credit);
	*c++ = cell_n(row->queued);
	*c++ = cell_s("|");
	*c++ = cell_n(row->octets_in);
	*c++ = cell_n(row->packets_in);
	*c++ = cell_n(row->octets_out);
	*c++ = cell_n(row->packets_out);
	*c++ = cell_n(row->dropped);
	*c++ = cell_n(row->delayed);
}

/* Of each throttled session, row arg: 0 in, 1 out. */
static enum row_step
next_bucket(struct rows *r)
{
	struct throttle_row row;
	const struct session *s;

	s = r->arg > 0 ? session_by_sid((uint32_t)r->at) : NULL;
	if (s == NULL || r->arg > 1) {
		s = rows_session(r);
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
