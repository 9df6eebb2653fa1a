/*
 * control.h - the server's side of nsctl
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Listens on nsctl_port, unless that is 0.  False with a reason in err when
 * the port cannot be had.
 */
bool control_init(char *err, size_t errlen);
void control_exit(void);

/*
 * What control_init() does without a socket: takes requests from now on, none
 * that was signed before.
 */
void control_start(void);

/*
 * One datagram from addr:port, `local` if it cannot have come from another
 * machine.  Writes the reply to dst, which has room for CONTROL_REPLY_MAX
 * octets, and returns its length; 0: no answer.
 */
size_t control_input(const uint8_t *, size_t len, uint32_t addr,
    uint16_t port, bool local, uint8_t *dst);

#endif
