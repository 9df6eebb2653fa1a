/*
 * speed.c - the bandwidth in use, measured once a second
 *
 * Four counters of octets and two of packets are looked at each second; what
 * they grew by, over the time that really passed, is the speed.  `uptime`
 * prints it, and with dump_speed so does the log, every second, at a level of
 * its own: who asks for this line wants it whatever `debug` says.
 *
 * Packets are those of subscribers, counted at the TUN device, where there
 * are no control messages among them.
 *
 * Owns:     the last look at the counters, and the speeds.
 * Calls:    counters, timer, log.
 * Lifetime: speed_init() to the end of the process.
 */
#include "speed.h"

#include <inttypes.h>
#include <stdio.h>

#include "counters.h"
#include "l2tpns.h"
#include "log.h"
#include "timer.h"

#define EVERY_MS	1000
#define MBIT		1000000.0

static struct speed speed;
static struct counters last;
static uint64_t last_ms;
static struct timer timer;

/* Counters that were cleared since begin again at 0. */
static uint64_t
grown(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

static uint64_t
per_second(uint64_t n, uint64_t ms)
{
	return ms > 0 ? n * 1000 / ms : 0;
}

static void
measure(void)
{
	uint64_t now = timer_now(), ms = now - last_ms;

#define GROWN(counter)	per_second(grown(counters.counter, last.counter), ms)
	speed.udp_rx = 8 * GROWN(tunnel_rx_bytes);
	speed.eth_tx = 8 * GROWN(eth_tx_bytes);
	speed.eth_rx = 8 * GROWN(eth_rx_bytes);
	speed.udp_tx = 8 * GROWN(tunnel_tx_bytes);
	speed.in = (uint32_t)GROWN(eth_tx_packets);
	speed.out = (uint32_t)GROWN(eth_rx_packets);
#undef GROWN
	last = counters;
	last_ms = now;
}

static void
tick(struct timer *t)
{
	char line[128];

	timer_arm(t, EVERY_MS);
	measure();
	if (lns.config.dump_speed)
		log_asked("%s", speed_print(line, sizeof(line)));
}

void
speed_get(struct speed *s)
{
	*s = speed;
}

char *
speed_print(char *dst, size_t size)
{
	double udp_rx = (double)speed.udp_rx / MBIT;
	double eth_tx = (double)speed.eth_tx / MBIT;
	double eth_rx = (double)speed.eth_rx / MBIT;
	double udp_tx = (double)speed.udp_tx / MBIT;

	snprintf(dst, size, "Bandwidth: UDP-ETH:%1.0f/%1.0f  "
	    "ETH-UDP:%1.0f/%1.0f  TOTAL:%0.1f   IN:%" PRIu32 " OUT:%" PRIu32,
	    udp_rx, eth_tx, eth_rx, udp_tx,
	    udp_rx + eth_tx + eth_rx + udp_tx, speed.in, speed.out);
	return dst;
}

void
speed_init(void)
{
	last = counters;
	last_ms = timer_now();
	speed = (struct speed){ 0 };
	timer.fire = tick;
	timer_arm(&timer, EVERY_MS);
}
