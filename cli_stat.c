/*
 * cli_stat.c - how the server is: counters, histograms, uptime, versions
 *
 * What is about the process as a whole and not about one of its sessions.
 * The words are those of l2tpns 2.
 *
 * Owns:     the time at which the counters were cleared.
 * Calls:    cli_rows.c; counters, speed, reload, plugins, bgp.
 * Lifetime: one command, but for that time.
 */
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "bgp.h"
#include "cli_rows.h"
#include "command.h"
#include "counters.h"
#include "l2tpns.h"
#include "loop.h"
#include "plugins.h"
#include "reload.h"
#include "speed.h"
#include "table.h"

/* --- show counters ------------------------------------------------------ */

static time_t cleared;			/* 0: never, they count from the start */

static uint64_t
seconds_since_cleared(void)
{
	return seconds_since(cleared != 0 ? cleared : lns.start);
}

static const struct column counter_columns[] = {
	{ "Counter", "counter", COL_TEXT, -25, NULL, 0, 0 },
	{ "Value", "value", COL_NUMBER, 20, NULL, 0, 0 },
	{ "Meaning", "help", COL_TEXT, -20, NULL, 0, 1 },
	{ 0 }
};

static void
counter_cells(struct rows *r, const char *name, uint64_t n, const char *help)
{
	r->cells[0] = cell_s(name);
	r->cells[1] = cell_n(n);
	r->cells[2] = cell_s(help);
}

/* Whether anybody is intercepted is not for everybody. */
static bool
is_private(size_t off)
{
	return off == offsetof(struct counters, packets_snooped) ||
	    off == offsetof(struct counters, snoop_errors);
}

/* After the counters come two that are none, and those of plugins. */
static enum row_step
next_counter(struct rows *r)
{
	struct plugin_counter_row row;
	uint64_t i = r->at++;

	if (i < counter_rows_n && !r->run->enabled &&
	    is_private(counter_rows[i].off))
		return ROW_SKIPPED;
	if (i < counter_rows_n)
		counter_cells(r, counter_rows[i].name,
		    counter_value(&counter_rows[i]), counter_rows[i].help);
	else if (i == counter_rows_n)
		counter_cells(r, "longest_loop_stall", loop_stall_usec(),
		    "longest loop stall, in microseconds");
	else if (i == counter_rows_n + 1)
		counter_cells(r, "since_cleared", seconds_since_cleared(),
		    "seconds since the counters were cleared");
	else if (plugin_counter_row(i - counter_rows_n - 2, &row))
		counter_cells(r, row.name, row.value, row.help);
	else
		return ROW_END;
	return ROW;
}

static const struct listing counter_list = {
	.columns = counter_columns, .next = next_counter
};

static void
traffic_line(struct command_run *run, const char *way, const uint64_t *n,
    int columns)
{
	command_print(run, "%-10s", way);
	for (int i = 0; i < columns; i++)
		command_print(run, " %*" PRIu64, i == 0 ? 20 : 15, n[i]);
	command_print(run, "\n");
}

void
show_counters(struct command_run *run)
{
	const struct counters *n = &counters;

	if (!rows_json(run)) {
		command_print(run, "%-10s %20s %15s %15s\n", "Ethernet",
		    "Bytes", "Packets", "Errors");
		traffic_line(run, "RX", (uint64_t []){ n->eth_rx_bytes,
		    n->eth_rx_packets, n->eth_rx_errors }, 3);
		traffic_line(run, "TX", (uint64_t []){ n->eth_tx_bytes,
		    n->eth_tx_packets, n->eth_tx_errors }, 3);
		command_print(run, "\n%-10s %20s %15s %15s %15s\n", "Tunnel",
		    "Bytes", "Packets", "Errors", "Retries");
		traffic_line(run, "RX", (uint64_t []){ n->tunnel_rx_bytes,
		    n->tunnel_rx_packets, n->tunnel_rx_errors, 0 }, 4);
		traffic_line(run, "TX", (uint64_t []){ n->tunnel_tx_bytes,
		    n->tunnel_tx_packets, n->tunnel_tx_errors,
		    n->tunnel_retries }, 4);
		command_print(run, "\n");
	}
	rows_show(run, &counter_list);
}

void
do_clear_counters(struct command_run *run)
{
	counters_clear();
	plugin_counters_clear();
	loop_stall_reset();
	cleared = timer_wall();
	command_audit(run, "clear counters");
	command_print(run, "Counters cleared\n");
}

/* --- show histogram ----------------------------------------------------- */

#define IDLE_BUCKETS	64	/* of 5 s */
#define IDLE_STEP	5
#define OPEN_BUCKETS	27	/* below 1, 2, 4 ... s: more than two years */
#define WALK_SLICE	2048	/* sessions */

struct histogram {
	bool idle, json;
	uint32_t total;
	uint32_t bucket[IDLE_BUCKETS + 1];	/* the last: lots of secs */
};

static uint32_t
buckets(const struct histogram *h)
{
	return h->idle ? IDLE_BUCKETS : OPEN_BUCKETS;
}

static uint32_t
bucket_of(const struct histogram *h, const struct session *s)
{
	uint64_t n;

	if (h->idle)
		n = seconds_idle(s) / IDLE_STEP;
	else
		for (n = 0; seconds_since(s->opened) >> n != 0; n++)
			;
	return n < buckets(h) ? (uint32_t)n : buckets(h);
}

static void
histogram_line(struct command_run *run, const struct histogram *h,
    uint32_t i, uint64_t secs)
{
	double percent = h->total == 0 ? 0 :
	    100.0 * h->bucket[i] / h->total;
	bool lots = i == buckets(h);

	if (h->json && lots)
		command_print(run, "%s\n{\"seconds\": null, \"sessions\": %u}",
		    i == 0 ? "" : ",", h->bucket[i]);
	else if (h->json)
		command_print(run, "%s\n{\"seconds\": %" PRIu64
		    ", \"sessions\": %u}", i == 0 ? "" : ",", secs,
		    h->bucket[i]);
	else if (lots)
		command_print(run, "lots of secs     : %5.1f%% (%u)\n",
		    percent, h->bucket[i]);
	else
		command_print(run, "%s%8" PRIu64 " seconds : %5.1f%% (%u)\n",
		    h->idle ? "" : " < ", secs, percent, h->bucket[i]);
}

static void
histogram_print(struct command_run *run, const struct histogram *h)
{
	if (h->json)
		command_print(run, "[");
	for (uint32_t i = 0; i <= buckets(h); i++)
		histogram_line(run, h, i, h->idle ? (uint64_t)i * IDLE_STEP :
		    UINT64_C(1) << i);
	if (h->json)
		command_print(run, "\n]\n");
	else
		command_print(run, "%u total sessions open.\n", h->total);
}

static bool
histogram_more(struct command_run *run)
{
	struct histogram *h = run->data;

	for (int i = 0; i < WALK_SLICE; i++) {
		const struct session *s = session_next((uint32_t)run->at);

		if (s == NULL) {
			histogram_print(run, h);
			return false;
		}
		run->at = s->sid;
		if (s->dying)
			continue;
		h->bucket[bucket_of(h, s)]++;
		h->total++;
	}
	return true;
}

void
show_histogram(struct command_run *run)
{
	const char *word = rows_word(run);
	struct histogram *h;

	if (word == NULL || (strcmp(word, "idle") != 0 &&
	    strcmp(word, "open") != 0)) {
		command_print(run, "Specify idle or open\n");
		return;
	}
	h = calloc(1, sizeof(*h));
	if (h == NULL) {
		command_print(run, "Out of memory\n");
		return;
	}
	h->idle = strcmp(word, "idle") == 0;
	h->json = rows_json(run);
	run->data = h;
	run->more = histogram_more;
	run->end = command_free;
}

/* --- uptime ------------------------------------------------------------- */

/* "8 days, 3:07", "3:07", "7 mins", "1 sec": nothing that is zero. */
static void
duration(char *dst, size_t size, uint64_t s)
{
	uint64_t days = s / 86400, hours = s / 3600 % 24, mins = s / 60 % 60;
	int n = 0;

	if (days > 0)
		n = snprintf(dst, size, "%" PRIu64 " day%s%s", days,
		    days == 1 ? "" : "s", hours + mins > 0 ? ", " : "");
	if (hours > 0 || (days > 0 && mins > 0))
		snprintf(dst + n, size - (size_t)n, "%" PRIu64 ":%02" PRIu64,
		    hours, mins);
	else if (days == 0 && mins > 0)
		snprintf(dst, size, "%" PRIu64 " min%s", mins,
		    mins == 1 ? "" : "s");
	else if (days == 0)
		snprintf(dst, size, "%" PRIu64 " sec%s", s, s == 1 ? "" : "s");
}

/* As /proc/loadavg rounds it, without a file that a sandbox may hide. */
static double
load_average(unsigned long load)
{
	return (double)((load + 65536 / 200) * 100 / 65536) / 100;
}

void
show_uptime(struct command_run *run)
{
	time_t now = timer_wall();
	char clock[16], up[64], line[128];
	struct sysinfo si;
	struct tm tm;

	if (sysinfo(&si) != 0)
		memset(&si, 0, sizeof(si));
	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	duration(up, sizeof(up), seconds_since(lns.start));
	command_print(run, "%s up %s, %u users, load average: %.2f, %.2f, "
	    "%.2f\n%s\n", clock, up, table_sessions(),
	    load_average(si.loads[0]), load_average(si.loads[1]),
	    load_average(si.loads[2]), speed_print(line, sizeof(line)));
}

/* --- show version ------------------------------------------------------- */

void
show_version(struct command_run *run)
{
	struct utsname u;

	command_print(run, "L2TPNS " L2TPNS_VERSION "\n"
#ifdef __clang__
	    "Compiled by clang %s\n"
#else
	    "Compiled by gcc %s\n"
#endif
	    "C library: glibc %s\n", __VERSION__, gnu_get_libc_version());
	if (uname(&u) == 0)
		command_print(run, "Running on %s %s (%s)\n", u.sysname,
		    u.release, u.machine);
	command_print(run, "Room for %" PRId64 " sessions, %" PRId64
	    " tunnels\n", lns.config.max_sessions, lns.config.max_tunnels);
}

/* --- show bgp ----------------------------------------------------------- */

static const struct column bgp_columns[] = {
	{ "Peer", "peer", COL_TEXT, -15, NULL, 8, 0 },
	{ "AS", "as", COL_NUMBER, 5, NULL, 0, 0 },
	{ "Address", "address", COL_TEXT, -15, NULL, 0, 3 },
	{ "State", "state", COL_TEXT, -11, NULL, 0, 0 },
	{ "Retries", "retries", COL_NUMBER, 7, NULL, 0, 2 },
	{ "Retry-in", "retry_in", COL_NUMBER, 8, NULL, 0, 1 },
	{ "Route", NULL, COL_TEXT, 5, NULL, 0, 0 },
	{ "Pend", NULL, COL_TEXT, 4, NULL, 0, 0 },
	{ "Prefixes", "prefixes", COL_NUMBER, 8, NULL, 0, 0 },
	{ NULL, "route", COL_FLAG, 0, NULL, 0, 0 },
	{ NULL, "pending", COL_FLAG, 0, NULL, 0, 0 },
	{ NULL, "suspended", COL_FLAG, 0, NULL, 0, 0 },
	{ NULL, "seconds", COL_NUMBER, 0, NULL, 0, 0 },
	{ 0 }
};

static const char *
yes_no(bool yes)
{
	return yes ? "yes" : "no";
}

/* "0.0.0.0" would be an address. */
static struct cell
cell_address(char *dst, uint32_t addr)
{
	return cell_s(addr != 0 ? ip_text(dst, addr) : "");
}

/* Route: whether it is told what there is. */
static enum row_step
next_bgp_peer(struct rows *r)
{
	struct cell *c = r->cells;
	struct bgp_row p;
	bool route;

	if (!bgp_row((size_t)r->at++, &p))
		return ROW_END;
	route = bgp_raised() && !p.suspended;
	*c++ = cell_s(p.name);
	*c++ = cell_n(p.as);
	*c++ = cell_address(r->text[0], p.addr);
	*c++ = cell_s(p.state);
	*c++ = cell_n(p.retries);
	*c++ = cell_n((p.retry_in + 999) / 1000);
	*c++ = cell_s(yes_no(route));
	*c++ = cell_s(yes_no(p.pending));
	*c++ = cell_n(p.announced);
	*c++ = cell_n(route);
	*c++ = cell_n(p.pending);
	*c++ = cell_n(p.suspended);
	*c++ = cell_n(p.since / 1000);
	return ROW;
}

static const struct listing bgp_list = {
	.columns = bgp_columns, .next = next_bgp_peer
};

static const struct column bgp_labels[] = {
	{ NULL, "peer", COL_TEXT, 0, NULL, 0, 0 },
	{ "Address", "address", COL_TEXT, 0, NULL, 0, 0 },
	{ "Remote AS", "as", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Local AS", "local_as", COL_NUMBER, 0, NULL, 0, 0 },
	{ "State", "state", COL_TEXT, 0, NULL, 0, 0 },
	{ "For", NULL, COL_TEXT, 0, NULL, 0, 0 },
	{ NULL, "seconds", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Hold Time", "hold", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Keepalive", "keepalive", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Prefixes", "prefixes", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Pending", "pending", COL_FLAG, 0, NULL, 0, 0 },
	{ "Suspended", "suspended", COL_FLAG, 0, NULL, 0, 0 },
	{ "Messages In", "messages_in", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Messages Out", "messages_out", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Sessions Lost", "lost", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Last Error", "last_error", COL_NAME, 0, NULL, 0, 0 },
	{ "Retries", "retries", COL_NUMBER, 0, NULL, 0, 0 },
	{ "Retry In", "retry_in", COL_NUMBER, 0, NULL, 0, 0 },
	{ 0 }
};

static void
bgp_details(struct rows *r, const struct bgp_row *p)
{
	struct cell *c = r->cells;

	*c++ = cell_s(p->name);
	*c++ = cell_address(r->text[0], p->addr);
	*c++ = cell_n(p->as);
	*c++ = cell_n(p->local_as);
	*c++ = cell_s(p->state);
	*c++ = cell_seconds(r->text[1], sizeof(r->text[1]), p->since / 1000);
	*c++ = cell_n(p->since / 1000);
	*c++ = cell_some(p->hold);
	*c++ = cell_some(p->keepalive);
	*c++ = cell_n(p->announced);
	*c++ = cell_n(p->pending);
	*c++ = cell_n(p->suspended);
	*c++ = cell_n(p->in);
	*c++ = cell_n(p->out);
	*c++ = cell_n(p->flaps);
	*c++ = cell_s(p->last_error);
	*c++ = cell_n(p->retries);
	*c++ = cell_n((p->retry_in + 999) / 1000);
}

/* A peer is asked for by its name or its address. */
static enum row_step
next_bgp_asked(struct rows *r)
{
	struct bgp_row p;
	const char *word;
	uint32_t addr = 0;

	if (r->arg == r->argc)
		return ROW_END;
	word = r->argv[r->arg++];
	(void)config_ipv4(word, &addr);
	for (size_t i = 0; bgp_row(i, &p); i++) {
		if (strcmp(p.name, word) != 0 && (addr == 0 || addr != p.addr))
			continue;
		r->number = i + 1;
		bgp_details(r, &p);
		return ROW;
	}
	return row_fault(r, "No such peer: %s", word);
}

static const struct listing bgp_asked = {
	.details = true, .title = "Peer", .columns = bgp_labels,
	.next = next_bgp_asked
};

void
show_bgp(struct command_run *run)
{
	char router[IP_TEXT];
	uint32_t id = bgp_identifier();

	if (rows_word(run) != NULL) {
		rows_show(run, &bgp_asked);
		return;
	}
	if (!rows_json(run))
		command_print(run, "BGPv4 router identifier %s, local AS "
		    "number %" PRId64 ", hold time %" PRId64 "s\n",
		    ip_text(router, id != 0 ? id : lns.local_addr),
		    lns.config.as_number, lns.config.bgp_hold_time);
	rows_show(run, &bgp_list);
}

/* --- show plugins ------------------------------------------------------- */

static const struct column plugin_columns[] = {
	{ "", "name", COL_TEXT, -1, NULL, 0, 0 },
	{ 0 }
};

static enum row_step
next_plugin(struct rows *r)
{
	const char *name = plugin_name((size_t)r->at++);

	if (name == NULL)
		return ROW_END;
	snprintf(r->text[0], sizeof(r->text[0]), "  %s", name);
	r->cells[0] = cell_s(r->json ? name : r->text[0]);
	return ROW;
}

static const struct listing plugin_list = {
	.title = "Plugins currently loaded:", .columns = plugin_columns,
	.next = next_plugin
};

void
show_plugins(struct command_run *run)
{
	rows_show(run, &plugin_list);
}

/* --- show running-config ------------------------------------------------ */

#define CONFIG_SLICE	50	/* lines */

static bool
config_more(struct command_run *run)
{
	char line[CONFIG_LINE];

	for (int i = 0; i < CONFIG_SLICE; i++) {
		if (!config_line((size_t)run->at++, run->enabled, line,
		    sizeof(line)))
			return false;
		command_print(run, "%s\n", line);
	}
	return true;
}

/* Secrets are for who is enabled. */
void
show_running_config(struct command_run *run)
{
	run->more = config_more;
}
