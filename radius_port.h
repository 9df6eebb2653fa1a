/*
 * radius_port.h - source ports towards RADIUS servers, and their ids
 */
#ifndef RADIUS_PORT_H
#define RADIUS_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RADIUS_PORTS_MAX	128	/* sockets: 32768 ids on their way */
#define RADIUS_ID_REST		30000	/* ms before an id is used again */

struct radius_port;

/* The way to one UDP port of one server; all zero but for the first four. */
struct radius_path {
	uint32_t addr;			/* host byte order */
	uint16_t udp_port;
	/*
	 * A datagram from the server; owner is what took the id in it, or
	 * NULL.  May take and give back any id.
	 */
	void (*input)(struct radius_path *, void *owner, const uint8_t *buf,
	    size_t len);
	/* ICMP says that the server does not listen; once for each owner. */
	void (*refused)(struct radius_path *, void *owner);
	struct radius_port *now;	/* the port that gives out ids */
	struct radius_port *ports;	/* all that are open */
};

/* An id that is taken: port NULL is none. */
struct radius_id {
	struct radius_port *port;
	uint8_t id;
};

/*
 * An id that nobody else uses and, together with its source port, nobody has
 * sent with for RADIUS_ID_REST.  False when no socket can be had; nothing is
 * held then.
 */
bool radius_id_take(struct radius_path *, struct radius_id *, void *owner);

/* Gives it back; does nothing for none.  Ends as none. */
void radius_id_give(struct radius_id *);

/* Sends one packet with this id.  0, or an errno. */
int radius_id_send(struct radius_id *, const void *packet, size_t len);

/* Closes the sockets; every id must have been given back. */
void radius_path_close(struct radius_path *);

/* Our address towards the servers, as the kernel chose it; 0: not known yet. */
uint32_t radius_source(void);

/* Sockets open now, over all paths. */
uint32_t radius_ports_open(void);

#endif
