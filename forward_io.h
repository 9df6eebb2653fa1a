/*
 * forward_io.h - the two ends of the data path, between forward.c and the
 * kernel: the L2TP socket (forward_lac.c) and the TUN device (forward_tun.c);
 * and what plugins see on the way between (forward_hook.c)
 *
 * Both ends work on arrays.  What comes in is handed to forward.c packet by
 * packet; what goes out waits in a queue until that is full or the turn ends.
 */
#ifndef FORWARD_IO_H
#define FORWARD_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gso.h"
#include "l2tpns.h"

/* --- forward_lac.c: the socket ------------------------------------------- */

/* Opens it.  False with a reason in err. */
bool lac_open(char *err, size_t errlen);
void lac_close(void);

/*
 * Memory for packets on their way out, the arena.  lac_room() gives n octets,
 * at most LAC_ROOM; lac_keep() keeps the first n of them.  When the arena is
 * full, lac_room() sends what is queued and begins again, behind what
 * lac_hold() said is still needed.  lac_reset() sends everything and lets go
 * of all.  lac_space() is how much there is without sending anything.
 */
#define LAC_ROOM	16384
uint8_t *lac_room(size_t n);
void lac_keep(size_t n);
void lac_hold(void);
void lac_reset(void);
size_t lac_space(void);

/*
 * Queues one datagram made of two parts that stay where they are until it is
 * sent; len2 may be 0.  sid and octets: whose user traffic it is, to be taken
 * back from the counters if it cannot be sent (sid 0: nobody's).
 */
void lac_put(const struct peer *, void *part1, size_t len1, void *part2,
    size_t len2, uint32_t sid, size_t octets);

/* The same for a datagram that is copied.  False if it is too long. */
bool lac_put_copy(const struct peer *, const void *buf, size_t len,
    uint32_t sid, size_t octets);

/* Does buf lie in the arena? */
bool lac_owns(const void *buf);

void lac_flush(void);
void lac_discard(void);

/* Between two packets: forward_before_control(), if there is reason. */
void lac_settle(void);

/* --- forward_tun.c: the device -------------------------------------------- */

/* Watches the device tun_fd; offload as tun_offload() says. */
bool tundev_open(int fd, char *err, size_t errlen);
void tundev_close(void);

/*
 * Queues one IP packet of session sid, which stays where it is and may be
 * written to until tundev_flush(), and so may the `room` octets in front.
 */
void tundev_put(uint8_t *ip, size_t len, size_t room, uint32_t sid);
void tundev_flush(void);

/* --- forward_hook.c: plugins ------------------------------------------------ */

/*
 * Shows a packet of an open session to plugins, out: on its way to the
 * subscriber.  len is the Total Length of its sound IPv4 header.  What it is
 * afterwards, not more, its header sound again; 0: it goes no further, and is
 * counted.  The session may be dying then, or have other flags than before.
 */
size_t forward_hook(struct session *, bool out, uint8_t *ip, size_t len);

/* --- forward.c, called by the two ---------------------------------------- */

/*
 * Where a packet belongs is found for a batch, or some packets of it, before
 * the first of them is worked on, in two steps: forward_ahead_*() fetches the
 * place where its session is looked up, forward_find_*() looks it up and
 * fetches the session.  What it returns goes with the packet.
 */
void forward_ahead_tun(const uint8_t *ip, size_t len);
void forward_ahead_lac(uint8_t *buf, size_t len);

/* The sid that the destination belongs to, or 0. */
uint32_t forward_find_tun(const uint8_t *ip, size_t len);

/*
 * The session that a datagram is of, as its ids stand now, or NULL: none, or
 * control, or headers that nearly no datagram has.
 */
struct session *forward_find_lac(uint8_t *buf, size_t len);

/*
 * As forward_from_tun() and forward_from_lac(), with what was found.  It may
 * have changed since by packets of the same batch; that is noticed.
 */
void forward_found_from_tun(uint8_t *ip, size_t len, uint32_t sid);
void forward_found_from_lac(const struct peer *, uint8_t *buf, size_t len,
    struct session *);

/* A super-packet from the device, its header room in front as for others. */
void forward_super_from_tun(uint8_t *ip, size_t len, const struct vnet *,
    uint32_t sid);

#endif
