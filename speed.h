/*
 * speed.h - the bandwidth in use, measured once a second
 */
#ifndef SPEED_H
#define SPEED_H

#include <stddef.h>
#include <stdint.h>

/* Of the last full second. */
struct speed {
	uint64_t udp_rx, eth_tx;	/* bit/s: from LACs, to the TUN */
	uint64_t eth_rx, udp_tx;	/* bit/s: from the TUN, to LACs */
	uint32_t in, out;		/* packets/s: UDP-ETH, ETH-UDP */
};
void speed_get(struct speed *);

/*
 * The line of `uptime` and of dump_speed, without a newline:
 * "Bandwidth: UDP-ETH:6/6  ETH-UDP:13/13  TOTAL:37.6   IN:3033 OUT:2569",
 * in Mbit/s of 1,000,000 bits.  Returns dst.
 */
char *speed_print(char *dst, size_t size);

/* Starts the clock; dump_speed logs each second. */
void speed_init(void);

#endif
