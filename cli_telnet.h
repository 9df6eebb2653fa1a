/*
 * cli_telnet.h - telnet between a network connection and libcli
 *
 * A codec: bytes from the connection go in, keys as libcli wants them and
 * replies to the telnet options come out.  It sends nothing itself.
 */
#ifndef CLI_TELNET_H
#define CLI_TELNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What libcli is about, as far as keys mean something else then. */
enum telnet_mode {
	TELNET_LOGIN,		/* asks for a name, then for a password */
	TELNET_PASSWORD,	/* asks for the enable password */
	TELNET_PROMPT,
	TELNET_ENABLED,		/* the same, where there may be a mode to leave */
	TELNET_RUNNING		/* a command runs: ^C ends it */
};

/* Stands for a question mark that is meant as a character. */
#define TELNET_QUESTION	0x1f

#define TELNET_READ	512		/* bytes taken at once */
#define TELNET_IN_MAX	(8 * TELNET_READ)
#define TELNET_OUT_MAX	16384
#define TELNET_LINE	2000		/* keys in one line; libcli has 4095 */

/* State of one connection; all zero at the start. */
struct telnet {
	int state;			/* of the parser, telnet's side */
	uint8_t command;		/* WILL, WONT, DO, DONT */
	uint8_t sub[8];			/* a subnegotiation, its beginning */
	size_t sub_len;
	int key;			/* of the parser, the keyboard's side */
	uint8_t param;			/* of an escape sequence, its only one */
	bool cr;			/* the last byte was CR */
	bool literal;			/* ^V was typed */
	char quote;			/* that is open in this line, or NUL */
	unsigned int line;		/* libcli's line has at most so many */
	unsigned int longest;		/* and those in its history */
};

struct telnet_out {
	uint8_t *in;			/* keys; room for TELNET_IN_MAX */
	size_t in_len;
	uint8_t *reply;			/* for the connection */
	size_t reply_room, reply_len;	/* what does not fit is not said */
	bool abort;			/* ^C while a command runs */
	bool width_known;
	unsigned int width;		/* columns of the window */
};

/* What we ask for at the start; returns the length. */
size_t telnet_hello(uint8_t *dst);

/* At most TELNET_READ bytes from the connection. */
void telnet_input(struct telnet *, const uint8_t *, size_t len,
    enum telnet_mode, struct telnet_out *);

/*
 * What libcli printed, as it goes to the connection: dst has room for twice
 * as much.  Returns the length.
 */
size_t telnet_output(const uint8_t *, size_t len, uint8_t *dst);

/* Puts the question marks back where they were typed. */
void telnet_unhide(char *text);

#endif
