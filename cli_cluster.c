/*
 * cli_cluster.c - show cluster
 *
 * Labels and columns are those of l2tpns 2; what it does not say stands after
 * them.  A stand-alone server is a cluster of one: the master, without peers.
 *
 * Owns:     nothing: it looks only.
 * Calls:    cluster.c, replica.c, the tables.
 * Lifetime: one command.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cli_rows.h"
#include "cluster.h"
#include "command.h"
#include "l2tpns.h"
#include "replica.h"
#include "table.h"

/* What a slave misses, as far as it knows. */
struct undefined {
	uint32_t sessions, of_sessions, tunnels, of_tunnels;
};

static const char *
peer_state(const struct cluster_row *row)
{
	if (row->master)
		return "master";
	return row->up_to_date ? "up to date" : "behind";
}

static double
seconds(uint64_t ms)
{
	return (double)ms / 1000;
}

/* --- in words -------------------------------------------------------------- */

static void
print_slave(struct command_run *run, const struct cluster_status *s,
    const struct undefined *u)
{
	char master[IP_TEXT];

	if (s->master != 0)
		command_print(run, "My master        : %s (last heartbeat %.1f "
		    "seconds old)\n", ip_text(master, s->master),
		    seconds(s->heartbeat_age));
	else
		command_print(run, "My master        : Not defined\n");
	command_print(run,
	    "Uptodate         : %s\n"
	    "Next sequence number expected: %" PRIu64 "\n"
	    "%u sessions undefined of %u\n"
	    "%u tunnels undefined of %u\n",
	    s->up_to_date ? "Yes" : "No", s->next, u->sessions,
	    u->of_sessions, u->tunnels, u->of_tunnels);
}

static void
print_master(struct command_run *run, const struct cluster_status *s)
{
	command_print(run,
	    "Next heartbeat # : %" PRIu64 "\n"
	    "Highest session  : %u\n"
	    "Highest tunnel   : %u\n"
	    "%u changes queued for sending\n",
	    s->next, table_highest_session(), table_highest_tunnel(),
	    s->role == CLUSTER_OFF ? 0 : replica_queued());
}

static void
print_peers(struct command_run *run, const struct cluster_status *s)
{
	struct cluster_row row;
	char ip[IP_TEXT];

	command_print(run, "%u peers.\n%20s %10s %8s\n", s->peers, "Address",
	    "Basetime", "Age");
	for (size_t i = 0; cluster_row(i, &row); i++)
		command_print(run, "%20s %10" PRId64 " %8.1f  %s\n",
		    ip_text(ip, row.addr), row.basetime, seconds(row.age),
		    peer_state(&row));
	if (s->role == CLUSTER_OFF)
		command_print(run, "This server stands alone: no heartbeats "
		    "are sent or heard.\n");
	else
		command_print(run, "%" PRIu64 " changes of state. Routes are "
		    "%s by this server.\n", s->changes, s->routes ?
		    "announced" : "not announced");
}

static void
print_text(struct command_run *run, const struct cluster_status *s,
    const struct undefined *u, uint32_t address)
{
	char my[IP_TEXT], vip[IP_TEXT], group[IP_TEXT];

	command_print(run,
	    "Cluster status   : %s\n"
	    "My address       : %s\n"
	    "VIP address      : %s\n"
	    "Multicast address: %s\n"
	    "Multicast i'face : %s\n",
	    s->role == CLUSTER_SLAVE ? "Slave" : "Master",
	    ip_text(my, address), ip_text(vip, lns.config.bind_address),
	    ip_text(group, lns.config.cluster_address),
	    lns.config.cluster_interface);
	if (s->role == CLUSTER_SLAVE)
		print_slave(run, s, u);
	else
		print_master(run, s);
	print_peers(run, s);
}

/* --- in JSON --------------------------------------------------------------- */

static void
json_slave(struct command_run *run, const struct cluster_status *s,
    const struct undefined *u)
{
	char master[IP_TEXT];

	if (s->master != 0)
		command_print(run, "\"master\": \"%s\", \"heartbeat_age\": "
		    "%.1f, ", ip_text(master, s->master),
		    seconds(s->heartbeat_age));
	else
		command_print(run, "\"master\": null, \"heartbeat_age\": "
		    "null, ");
	command_print(run, "\"up_to_date\": %s, \"next\": %" PRIu64 ", "
	    "\"undefined_sessions\": %u, \"of_sessions\": %u, "
	    "\"undefined_tunnels\": %u, \"of_tunnels\": %u, ",
	    s->up_to_date ? "true" : "false", s->next, u->sessions,
	    u->of_sessions, u->tunnels, u->of_tunnels);
}

static void
json_peers(struct command_run *run)
{
	struct cluster_row row;
	char ip[IP_TEXT];

	for (size_t i = 0; cluster_row(i, &row); i++)
		command_print(run, "%s{\"address\": \"%s\", \"basetime\": %"
		    PRId64 ", \"age\": %.1f, \"state\": \"%s\"}",
		    i > 0 ? ", " : "", ip_text(ip, row.addr), row.basetime,
		    seconds(row.age), peer_state(&row));
}

static void
print_json(struct command_run *run, const struct cluster_status *s,
    const struct undefined *u, uint32_t address)
{
	char my[IP_TEXT], vip[IP_TEXT];

	command_print(run, "[\n{\"status\": \"%s\", \"address\": \"%s\", "
	    "\"vip\": \"%s\", ", s->role == CLUSTER_SLAVE ? "Slave" : "Master",
	    ip_text(my, address), ip_text(vip, lns.config.bind_address));
	if (s->role == CLUSTER_SLAVE)
		json_slave(run, s, u);
	else
		command_print(run, "\"highest_session\": %u, "
		    "\"highest_tunnel\": %u, ", table_highest_session(),
		    table_highest_tunnel());
	if (s->role == CLUSTER_MASTER)
		command_print(run, "\"next\": %" PRIu64 ", \"queued\": %u, ",
		    s->next, replica_queued());
	if (s->role != CLUSTER_OFF) {
		command_print(run, "\"changes\": %" PRIu64 ", \"routes\": %s, "
		    "\"members\": [", s->changes,
		    s->routes ? "true" : "false");
		json_peers(run);
		command_print(run, "], ");
	}
	command_print(run, "\"peers\": %u}\n]\n", s->peers);
}

void
show_cluster(struct command_run *run)
{
	struct undefined u = { 0 };
	struct cluster_status s;
	uint32_t address;

	cluster_status(&s);
	address = s.role == CLUSTER_OFF ? lns.local_addr : s.address;
	if (s.role == CLUSTER_SLAVE)
		replica_undefined(&u.sessions, &u.of_sessions, &u.tunnels,
		    &u.of_tunnels);
	if (rows_json(run))
		print_json(run, &s, &u, address);
	else
		print_text(run, &s, &u, address);
}
