/*
 * plugin.h - what a plugin includes, and all that it needs to include
 *
 * A plugin is a shared object, NAME.so in plugin_dir (/usr/lib/l2tpns), that
 * `load plugin NAME` loads.  The smallest one:
 *
 *	#include "plugin.h"
 *
 *	int plugin_api_version = PLUGIN_API_VERSION;
 *
 *	int
 *	plugin_timer(struct param_timer *data)
 *	{
 *		(void)data;
 *		return PLUGIN_RET_OK;
 *	}
 *
 *	cc -shared -fPIC -fvisibility=hidden -I/usr/include/l2tpns \
 *	    -o NAME.so NAME.c
 *
 * A plugin has the functions below that it wants; they are found by name.
 * When an event happens, each plugin that has its function is called, in the
 * order in which the plugins were loaded.  Everything runs in the server's one
 * thread, between packets: a function that waits stops all traffic.  It may
 * not fork without exec, and it must leave signals alone.
 *
 * C99 and C++.  Integers are in host byte order, addresses too.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The number of this interface.  It changes when a plugin has to be compiled
 * again; a plugin whose number is another one is not loaded.
 */
#define PLUGIN_API_VERSION	30

/*
 * What an event function returns.  Anything else counts as an error, which is
 * logged.  Each event says what an error does besides.
 */
#define PLUGIN_RET_ERROR	0	/* it failed: nobody further is called */
#define PLUGIN_RET_OK		1	/* all is well: the next one is called */
#define PLUGIN_RET_STOP		2	/* it worked: nobody further is called */

/*
 * Tunnels and sessions are numbers, the TID and SID of the command line; 0 is
 * none.  A number may be given to another session once its own has ended, so
 * who keeps one listens to kill_session.  There are no pointers into the
 * server's tables: get_session() of struct pluginfuncs copies.
 */
#define PLUGIN_USER_SIZE	254	/* octets, with the final NUL */
#define PLUGIN_TEXT_SIZE	128	/* telephone numbers, host names */
#define PLUGIN_FILTER_SIZE	64
#define PLUGIN_ROUTES		10

/* Authentication protocols, as PPP numbers them (RFC 1334, RFC 1994). */
#define PLUGIN_PAP		0xC023
#define PLUGIN_CHAP		0xC223

/* Levels of log lines, as the key `debug` counts them. */
#define PLUGIN_LOG_CRIT		0
#define PLUGIN_LOG_ERROR	1
#define PLUGIN_LOG_WARN		2
#define PLUGIN_LOG_INFO		3
#define PLUGIN_LOG_CALL		4
/* Who is intercepted: only those who may know it see the line. */
#define PLUGIN_LOG_PRIVATE	(-1)

#if defined(__GNUC__)
#define PLUGIN_VISIBLE		__attribute__((visibility("default")))
#define PLUGIN_PRINTF(f, a)	__attribute__((format(printf, f, a)))
#else
#define PLUGIN_VISIBLE
#define PLUGIN_PRINTF(f, a)
#endif

/* --- the parameters of the events --------------------------------------- */

/*
 * Of all of these, what is not said to be yours to set is only to be read, and
 * good during the call.  What you set is checked: text that has no NUL in its
 * room, and numbers that make no sense, are not taken, with a line in the log.
 */

/*
 * auth_request: a peer has sent its name and password (PAP), or its answer to
 * the challenge (CHAP), and RADIUS or ppp-secrets is about to be asked.  A name
 * that is changed is the session's from then on; but who logs in again in the
 * same session keeps the name that it has.  ERROR: the login is refused.  Master
 * only.
 */
struct param_auth_request {
	uint32_t t, s;
	int protocol;			/* PLUGIN_PAP or PLUGIN_CHAP */
	char username[PLUGIN_USER_SIZE];	/* yours to change */
	char password[PLUGIN_USER_SIZE];	/* PAP: yours to change, and may
					 * hold NULs; CHAP: empty */
	int password_length;		/* in octets; yours to change */
};

/*
 * pre_auth: the answer of RADIUS, or of ppp-secrets, has come, and nothing has
 * been made of it.  Not when no server has answered: then the login is refused.
 * ERROR: the login is refused.  Master only.
 */
struct param_pre_auth {
	uint32_t t, s;
	const char *username;		/* as it was asked for */
	const char *password;		/* PAP; CHAP: "" */
	int protocol;			/* PLUGIN_PAP or PLUGIN_CHAP */
	int continue_auth;		/* 1; set it to 0, and no further plugin
					 * sees this event */
	/* The answer; all of it is yours to change. */
	int accepted;			/* 1: Access-Accept, 0: Access-Reject */
	uint32_t framed_ip;		/* 0: an address of the pool */
	uint32_t dns1, dns2;		/* 0: those of startup-config */
	uint32_t session_timeout, idle_timeout;	/* s; 0: none */
	uint32_t interim_interval;	/* s, 60 at least; 0: none */
	char filter_id[PLUGIN_FILTER_SIZE];
	char message[PLUGIN_USER_SIZE];	/* Reply-Message, shown to the peer */
};

/*
 * post_auth: the answer has been looked at, and the peer is about to be told.
 * Who is let in although RADIUS said no gets what pre_auth has set, as a Reject
 * itself says nothing of an address, limits or pairs.  What set_dns() and its
 * like set from here on holds; the address comes later.  Comes again when a
 * peer logs in again in the same session.  ERROR: the login is refused.  Master
 * only.
 */
struct param_post_auth {
	uint32_t t, s;
	const char *username;
	int auth_allowed;		/* yours to set: 1 lets the peer in, 0
					 * refuses it */
	int protocol;			/* PLUGIN_PAP or PLUGIN_CHAP */
};

/*
 * packet_rx, packet_tx: an IP packet from the subscriber (rx) that may pass,
 * one to the subscriber (tx) before it is throttled.  Each packet as it is on
 * the wire; a server with such a plugin looks at every packet of everybody,
 * and is slower.  The octets are yours to change, checksums being your own
 * affair; so is len, downwards only: 0 drops the packet.  ERROR drops it too.
 * A shorter len is written into the IP header, if that still has the old one; a
 * packet that is left without a sound IP header is dropped.  buf is not
 * aligned.
 * On every server of a cluster, for the packets that it forwards itself.
 */
struct param_packet_rx {
	uint32_t t, s;
	char *buf;			/* from the IP header on */
	int len;			/* octets */
};
struct param_packet_tx {
	uint32_t t, s;
	char *buf;
	int len;
};

/* timer: each second, on every server of a cluster. */
struct param_timer {
	time_t time_now;		/* unix time */
};

/* new_session: IP may pass for the first time.  Master only. */
struct param_new_session {
	uint32_t t, s;
};

/*
 * kill_session: it is about to end, and still has its address; it can be looked
 * at, but not changed any more.  May come more than once for a session, and for
 * one that had no new_session.  Master only.
 */
struct param_kill_session {
	uint32_t t, s;
};

/*
 * radius_response: the answer that let somebody in has a Cisco-AVPair
 * (attribute 26, vendor 9, type 1).  Its text is key=value, or several of them
 * with commas between; this is one, without blanks and quotes around key and
 * value.  After post_auth, before the peer may send IP.  STOP and ERROR: no
 * further plugin sees this one; the others follow.  Master only.
 */
struct param_radius_response {
	uint32_t t, s;
	const char *key;
	const char *value;		/* "" if there is no = */
};

/*
 * radius_account: an accounting record is about to be queued; add attributes
 * to it by account_add() of struct pluginfuncs.  ERROR: those that this plugin
 * added are left out.  Master only.
 */
struct param_radius_account {
	uint32_t t, s;
	int type;			/* Acct-Status-Type (RFC 2866 5.1): 1 Start,
					 * 2 Stop, 3 Interim-Update */
	void *record;			/* for account_add() */
};

/*
 * become_master: from now on sessions are this server's to decide about.  Once
 * when the server is ready to take calls, saved sessions being there already;
 * or when it takes over from another server of its cluster; or right after
 * plugin_init() if it is master already.  There may be sessions of which this
 * plugin has never heard: next_session() walks them.
 */
struct param_become_master {
	uint32_t sessions;		/* how many there are */
};

/*
 * become_slave: another server of the cluster decides from now on; the
 * sessions may all vanish without kill_session.
 */
struct param_become_slave {
	uint32_t master;		/* its address; 0: not known yet */
};

/*
 * control: a command of nsctl that is not the server's own.  Who knows the
 * word in argv[0] acts on it, answers, and returns PLUGIN_RET_STOP; the others
 * return PLUGIN_RET_OK.  When nobody takes a command the server answers with
 * an error that names it.
 *
 * To answer, call control_answer() of struct pluginfuncs, or do what it does:
 * put text into memory from malloc(), which the server frees, and set
 * send_response.  PLUGIN_RET_STOP with send_response 0 means that the command
 * was taken and that nobody gets an answer; send_response without a response
 * means a plain OK.
 */
struct param_control {
	const char *buf;		/* the packet as it came */
	int l;				/* its octets */
	uint32_t source_ip;		/* who asks */
	uint16_t source_port;
	char *response;			/* NULL; yours to set: the text, a line
					 * for each \n, at most about 1,300
					 * octets of it are sent */
	int response_length;		/* without a final NUL */
	int send_response;		/* 0; yours to set */
	int type;			/* as in the packet: protocol version 1
					 * has 1000 for garden and 1001 for
					 * ungarden, version 2 has 0x14 */
	int id;				/* of the request; version 2 has none */
	const char *data;		/* the arguments as they are packed */
	int data_length;
	/* These are what one wants, whatever the version of the protocol. */
	int argc;			/* at least 1 */
	const char *const *argv;	/* the command's words, then a NULL */
	int is_error;			/* 0; 1, or PLUGIN_RET_ERROR: nsctl
					 * prints the response as an error and
					 * its exit code says so */
};

/* --- what the server offers --------------------------------------------- */

/* A copy of what is known of a session. */
struct plugin_session {
	uint32_t s, t;
	uint32_t ip, netmask;		/* 0: none yet; not given */
	uint32_t dns1, dns2;
	uint32_t nroutes;
	struct { uint32_t addr; uint32_t len; } routes[PLUGIN_ROUTES];
	int authenticated;		/* 1: it has logged in */
	int open;			/* 1: IP may pass */
	int garden;			/* 1: in the walled garden */
	int protocol;			/* of the login; 0: none yet */
	uint32_t throttle_in, throttle_out;	/* kbit/s from and to the
					 * subscriber; 0: full speed */
	uint32_t snoop_ip;		/* copies go there; 0: none are made */
	uint16_t snoop_port;
	uint32_t tx_speed, rx_speed;	/* bit/s, as the LAC says; 0: it does not */
	uint32_t session_timeout, idle_timeout;	/* s; 0: none */
	time_t opened;			/* unix time of the call */
	uint64_t rx_octets, tx_octets;	/* of IP, from and to the subscriber */
	uint64_t rx_packets, tx_packets;
	char username[PLUGIN_USER_SIZE];
	char calling[PLUGIN_TEXT_SIZE], called[PLUGIN_TEXT_SIZE];
	char acct_id[24];		/* Acct-Session-Id */
	char filter_id[PLUGIN_FILTER_SIZE];
};

/* A copy of what is known of a tunnel. */
struct plugin_tunnel {
	uint32_t t;
	uint32_t ip;			/* of the LAC */
	uint16_t port;
	uint32_t sessions;
	time_t opened;			/* unix time */
	char hostname[PLUGIN_TEXT_SIZE];	/* as the LAC calls itself */
	char vendor[64];
};

/*
 * Good for as long as the plugin is loaded.  Functions that return int return
 * 1 when it was done and 0 when not (no such session, a value that may not be,
 * or a slave of a cluster, where nothing can be changed).  New ones are added
 * at the end.
 */
struct pluginfuncs {
	size_t size;			/* of this struct in the server */
	const char *version;		/* of the server: "3.0.0" */
	const char *etcdir;		/* where startup-config lies */

	/* Writes a log line about session s of tunnel t (0: about none). */
	void (*log)(int level, uint32_t s, uint32_t t, const char *fmt, ...)
	    PLUGIN_PRINTF(4, 5);

	/*
	 * Sets the response of a control event to this text, instead of one
	 * that was set before, and send_response.  Lines end in \n, which the
	 * last one need not have.
	 */
	void (*control_answer)(struct param_control *, int is_error,
	    const char *fmt, ...) PLUGIN_PRINTF(3, 4);

	/* --- looking */

	/* Fills size octets of what the server knows; see sizeof(). */
	int (*get_session)(uint32_t s, struct plugin_session *, size_t size);
	int (*get_tunnel)(uint32_t t, struct plugin_tunnel *, size_t size);
	/* The session that logged in last by this name; 0: none. */
	uint32_t (*get_session_by_username)(const char *username);
	/* The one that has this address; 0: none. */
	uint32_t (*get_session_by_ip)(uint32_t ip);
	/* The next session in use after s, 0 to begin with; 0: no more. */
	uint32_t (*next_session)(uint32_t s);
	/*
	 * A user name, or a SID in digits, as people type it on the command
	 * line; 0: there is none.
	 */
	uint32_t (*find_session)(const char *word);
	/* 1: this server decides about sessions; 0: it is a slave. */
	int (*is_master)(void);
	/*
	 * The value of a key of startup-config, as `show running-config`
	 * prints it (texts with quotes around them).  0 for an unknown key, for
	 * one that is a secret, and when it does not fit size.
	 */
	int (*get_config)(const char *key, char *value, size_t size);

	/*
	 * --- changing and ending: not when the server ends, as its sessions
	 * may go on in the next process
	 */

	/* Until the peer has been told that its login worked. */
	int (*set_username)(uint32_t s, const char *username);
	/* Offered in IPCP; 0: those of startup-config. */
	int (*set_dns)(uint32_t s, uint32_t dns1, uint32_t dns2);
	/* bit/s; for the record only. */
	int (*set_speed)(uint32_t s, uint32_t tx_speed, uint32_t rx_speed);
	/*
	 * kbit/s (1000 bits) from and to the subscriber, at most 100,000,000;
	 * 0: full speed.  While throttle_speed is 0 nobody is throttled.
	 */
	int (*throttle)(uint32_t s, uint32_t rate_in, uint32_t rate_out);
	/*
	 * Copies all packets to UDP ip:port; ip 0: no more.  Port 0 with any
	 * other ip: to snoop_host and snoop_port of startup-config.
	 */
	int (*snoop)(uint32_t s, uint32_t ip, uint16_t port);
	/*
	 * Flags the session as gardened: no accounting, its address is not
	 * kept for it, nobody is dropped for having the same name.  0 lets a
	 * session that is up become an ordinary one: accounting starts, octets
	 * count from 0, another session of the same user is dropped.  During a
	 * login the flag holds for what follows of it.  If accounting has begun
	 * already, 1 ends that, and what comes later has another acct_id.
	 */
	int (*garden)(uint32_t s, int on);
	int (*set_filter)(uint32_t s, const char *filter_id);

	/*
	 * Tells the LAC (CDN with result and error code, RFC 2661 4.4.2; 0, 0:
	 * administrative) and accounting (Acct-Terminate-Cause, RFC 2866 5.10;
	 * 0: Admin Reset).  The session is gone at the end of the turn.
	 */
	int (*shutdown)(uint32_t s, const char *reason, int result, int error,
	    int cause);
	/* The same without a word to the LAC. */
	int (*kill)(uint32_t s, const char *reason);

	/* --- more */

	/* Room in an accounting record; type, then value as they are on the wire. */
	int (*account_add)(struct param_radius_account *, uint8_t type,
	    const void *value, size_t length);
	/* The same in a Vendor-Specific attribute (RFC 2865 5.26). */
	int (*account_add_vsa)(struct param_radius_account *, uint32_t vendor,
	    uint8_t type, const void *value, size_t length);

	/*
	 * Runs a program without waiting for it: argv[0] is a path, nothing of
	 * it is seen by a shell; input (copied) is what it reads from its
	 * standard input.  It may change the network as the server may.  done,
	 * unless NULL, is called when it has ended, with its wait status
	 * (waitpid(2)) and the beginning of what it wrote, at most 4,000
	 * octets; not after the plugin is gone.  After 120 s it is killed.  0:
	 * it could not be started, or 16 of this plugin run already.
	 */
	int (*run)(const char *const argv[], const char *input, size_t length,
	    void (*done)(void *arg, int status, const char *output), void *arg);

	/*
	 * The same, and waits; only in plugin_done(), where nothing else can
	 * be done.  What run() has started is waited for before it starts.  The
	 * wait status; -1: it could not be started, or has been killed after
	 * 5 s in all.
	 */
	int (*run_wait)(const char *const argv[], const char *input,
	    size_t length);

	/*
	 * A counter for `show counters`, from 0, listed as PLUGIN.NAME; name
	 * and help are copied, name has letters, digits and _.  The same name
	 * once more is the same counter.  -1: no name, or over 32 of them.
	 * count() adds to it.
	 */
	int (*counter)(const char *name, const char *help);
	void (*count)(int counter, uint64_t n);

	/*
	 * While it is held no IP passes either way, whatever PPP agrees on; in
	 * new_session: not a single packet.  0 lets it go, unless another
	 * plugin holds it too.  Who is unloaded lets go.  `show session SID`
	 * names those that hold it.
	 */
	int (*hold)(uint32_t s, int on);
};

/* --- what a plugin has --------------------------------------------------- */

/* `int plugin_api_version = PLUGIN_API_VERSION;`  Without it nothing loads. */
extern PLUGIN_VISIBLE int plugin_api_version;

/*
 * Called first, once; keep the pointer.  Anything but 0 is success.  After a 0
 * the plugin is unloaded, and plugin_done() is not called: undo what you did,
 * and log why.
 */
PLUGIN_VISIBLE int plugin_init(struct pluginfuncs *);

/* Called last, before the plugin is unloaded or the server ends. */
PLUGIN_VISIBLE void plugin_done(void);

/* The events. */
PLUGIN_VISIBLE int plugin_auth_request(struct param_auth_request *);
PLUGIN_VISIBLE int plugin_pre_auth(struct param_pre_auth *);
PLUGIN_VISIBLE int plugin_post_auth(struct param_post_auth *);
PLUGIN_VISIBLE int plugin_packet_rx(struct param_packet_rx *);
PLUGIN_VISIBLE int plugin_packet_tx(struct param_packet_tx *);
PLUGIN_VISIBLE int plugin_timer(struct param_timer *);
PLUGIN_VISIBLE int plugin_new_session(struct param_new_session *);
PLUGIN_VISIBLE int plugin_kill_session(struct param_kill_session *);
PLUGIN_VISIBLE int plugin_radius_response(struct param_radius_response *);
PLUGIN_VISIBLE int plugin_radius_account(struct param_radius_account *);
PLUGIN_VISIBLE int plugin_become_master(struct param_become_master *);
PLUGIN_VISIBLE int plugin_become_slave(struct param_become_slave *);
PLUGIN_VISIBLE int plugin_control(struct param_control *);

/*
 * What `nsctl help` says of the commands that plugin_control() takes, a line
 * each, a NULL after the last one:
 *
 *	const char *plugin_control_help[] = {
 *		"  garden USER|SID                             Close the garden",
 *		NULL
 *	};
 */
extern PLUGIN_VISIBLE const char *plugin_control_help[];

#ifdef __cplusplus
}
#endif

#endif
