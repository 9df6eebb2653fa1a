/*
 * cli_msg.h - what a terminal's process and the daemon tell each other
 *
 * They are joined by a pair of AF_UNIX sockets that keep messages apart
 * (SOCK_SEQPACKET).  A message is one octet of type and what stands beside it
 * below, u8, u16 and u32 in network byte order, text without NUL up to the
 * end.  None is longer than CLI_MSG_MAX.
 *
 * The terminal asks one thing at a time: after LOGIN, ENABLE and COMMAND it
 * waits for the answer.  What the daemon hears out of turn, or cannot read,
 * ends the terminal.
 */
#ifndef CLI_MSG_H
#define CLI_MSG_H

#define CLI_MSG_MAX	8192
#define CLI_LINE_MAX	4096	/* of a command line, with NUL */

/* How a terminal's process and a password's are called; a host follows. */
#define CLI_TERM_TITLE	"l2tpns: terminal "
#define CLI_CHECK_TITLE	"l2tpns: password"

enum cli_msg {
	/* from the daemon */
	CLI_HELLO = 1,	/* u8 login wanted, u32 idle time-out in s, hostname;
			 * with it comes the telnet connection */
	CLI_VERDICT,	/* u8 cli_verdict, text */
	CLI_OUTPUT,	/* text of the command under way, cut anywhere */
	CLI_DONE,	/* u8 debugging, hostname: the command is over */
	CLI_DEBUG,	/* a line of the log */
	CLI_BYE,	/* text to show before it hangs up */

	/* from the terminal */
	CLI_LOGIN = 65,	/* u16 length of the name, name, password */
	CLI_ENABLE,	/* u8 a password follows, password */
	CLI_DISABLE,
	CLI_COMMAND,	/* u8 mode, line */
	CLI_ABORT,	/* of the command under way, if one is */
	CLI_SIZE,	/* u16 columns of the window */
	CLI_READY	/* it has given up its rights */
};

enum cli_verdict {
	CLI_NO,
	CLI_YES,
	CLI_ASK,	/* ENABLE: there is a password */
	CLI_HANG_UP	/* no, and this was the last time */
};

#endif
