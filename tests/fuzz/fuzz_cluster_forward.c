/*
 * fuzz_cluster_forward.c - records of packets and counts from other members
 *
 * The input is a list of {role and type, length, record}: this member is master
 * or slave by turns, and all that comes is signed by somebody who makes it up.
 * What the data path is given must lie inside the record, and counts never
 * come from nowhere.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_forward.h"
#include "forward.h"
#include "loop.h"
#include "replica.h"
#include "table.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct l2tpns lns;

void (*forward_lac_away)(const struct peer *, const uint8_t *, size_t);
bool (*forward_tun_away)(const struct session *, const uint8_t *, size_t);

static uint32_t master;
static struct rd whole;
static uint8_t touched;

static void
want(bool ok)
{
	if (!ok)
		abort();
}

static void
touch(const uint8_t *p, size_t len)
{
	want(p >= whole.p && p + len <= whole.end);
	for (size_t i = 0; i < len; i++)
		touched ^= p[i];
}

bool
forward_handed_lac(const struct peer *peer, const uint8_t *buf, size_t len)
{
	want(lns.master);
	touched ^= (uint8_t)peer->port;
	touch(buf, len);
	return len <= PACKET_MAX;
}

bool
forward_handed_tun(const uint8_t *ip, size_t len)
{
	want(lns.master);
	touch(ip, len);
	return true;
}

bool
cluster_send(uint32_t to, enum cluster_record type, const uint8_t *body,
    size_t len)
{
	(void)to;
	want(type == CLUSTER_BYTES && len > 0 && len <= CLUSTER_RECORD_MAX);
	touched ^= body[len - 1];
	return true;
}

uint32_t
cluster_master(void)
{
	return master;
}

uint32_t
cluster_address(void)
{
	return 1;
}

bool
replica_up_to_date(void)
{
	return true;
}

void
loop_at_turn_end(struct loop_hook *h)
{
	(void)h;
}

static void
begin(void)
{
	memset(&lns, 0, sizeof(lns));
	lns.boot_id = 7;
	master = 2;
	timers_init();
	timer_fake(1000);
	want(table_init(16, 4) && table_tunnel_new() != NULL);
	cluster_forward_init();
	for (int i = 0; i < 8; i++) {
		struct session *s = table_session_new();

		s->tid = 1;
		s->local_id = (uint16_t)i;
	}
}

/* A slave carries something, time passes, others change their minds. */
static void
live(uint8_t how)
{
	struct session *s = session_by_sid(1 + (how & 7));

	lns.master = (how & 0x80) != 0;
	if ((how & 0x40) != 0)
		master = 2 + (how & 3);
	if (!lns.master) {
		s->rx_octets += 100;
		s->rx_packets++;
	}
	timer_fake((how & 0x20) != 0 ? 1100 : 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd in = rd_init(data, len), body;

	begin();
	while (!rd_done(&in) && !in.bad) {
		uint8_t how = rd_u8(&in), type = rd_u8(&in);

		body = rd_sub(&in, rd_u8(&in));
		if (body.bad)
			break;
		live(how);
		whole = body;
		cluster_forward_record(2 + (how & 3),
		    (enum cluster_record)(CLUSTER_BYTES + type % 4), &body);
	}
	cluster_forward_exit();
	table_free();
	return 0;
}
