/*
 * l2tpns.h - the nouns: ids, tunnels, sessions, and the one struct l2tpns
 *
 * Two structs stand for each tunnel and each session.  `struct tunnel` and
 * `struct session` are facts: plain data, no pointers, enough for another
 * server to carry on with.  `struct tunnel_local` and `struct session_local`
 * are this process's own: timers, queues, cursors.  Both live in table.c's
 * arrays at the same slot number.
 *
 * Ids.  A slot number (tid, sid; 1 and up, 0 is none) is ours and is what
 * people see as TID and SID.  The ids on the wire are 16 bits, random, and
 * belong to whoever receives them: local_id is what the LAC writes to us,
 * peer_id what we write to the LAC (RFC 2661 3.1).
 *
 * All integers here, addresses too, are in host byte order.
 */
#ifndef L2TPNS_H
#define L2TPNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "config.h"
#include "counters.h"
#include "lpm.h"
#include "ppp.h"
#include "timer.h"

#define L2TPNS_VERSION	"3.0.0"

#define L2TP_PORT	1701

#define USER_MAX	254	/* with NUL; RADIUS carries at most 253 octets */
#define NUMBER_MAX	128	/* Calling and Called Number, with NUL */
#define HOSTNAME_MAX	128	/* the LAC's Host Name, with NUL */
#define CLASS_MAX	512	/* all Class attributes, each with its length */
#define FILTER_MAX	64
#define AVPAIR_MAX	1024	/* Cisco-AVPair texts, each NUL terminated */
#define ROUTES_MAX	10	/* Framed-Routes of one session */
#define PACKET_MAX	2048	/* one datagram either way, with headroom */

/* Where a LAC is, and which of our addresses it talks to. */
struct peer {
	uint32_t addr;
	uint32_t local;		/* 0: let the kernel choose */
	uint16_t port;
};

struct prefix {
	uint32_t addr;
	uint8_t len;
};

/* RFC 2661 7.2, the names that operators see are tunnel_state_name()'s. */
enum tunnel_state {
	T_IDLE,			/* a free slot */
	T_WAIT_CTL_CONN,	/* SCCRP sent */
	T_ESTABLISHED,
	T_CLOSING,		/* StopCCN sent or received, kept for repeats */
	T_STATES
};

struct tunnel {
	uint32_t tid;			/* slot; 0 in a free slot */
	uint16_t local_id, peer_id;	/* on the wire */
	struct peer peer;		/* pinned by the SCCRQ */
	uint8_t state;			/* enum tunnel_state */
	uint16_t peer_window;		/* Receive Window Size it gave us */
	uint16_t Ns, Nr;		/* RFC 2661 5.8, next to send, expected */
	uint32_t framing, bearer;	/* capabilities */
	uint16_t firmware;
	uint32_t sessions;		/* in any state but free */
	uint32_t last_data;		/* s, timer_now()/1000: data received */
	time_t opened;			/* wall clock */
	char hostname[HOSTNAME_MAX];	/* escaped: safe to print */
	char vendor[64];
};

/* RFC 2661 7.4.2: the LNS half of an incoming call. */
enum session_state {
	S_IDLE,			/* a free slot */
	S_WAIT_CONNECT,		/* ICRP sent, ICCN awaited */
	S_ESTABLISHED,
	S_STATES
};

/* session.flags: what the data path asks for each packet. */
enum session_flag {
	SF_OPEN		= 0x0001,	/* IPCP is Opened: IP may pass */
	SF_SEND_SEQ	= 0x0002,	/* our data carries Ns, Nr */
	SF_RECV_SEQ	= 0x0004,	/* the LAC promised sequence numbers */
	SF_ACFC		= 0x0008,	/* peer takes frames without ff 03 */
	SF_PFC		= 0x0010,	/* peer takes one-octet protocols */
	SF_ROUTED	= 0x0020,	/* has routes: check them if not own ip */
	SF_SNOOP	= 0x0100,
	SF_THROTTLE	= 0x0200,
	SF_GARDEN	= 0x0400,
	SF_SLOW		= 0x0700,	/* any that leaves the fast path */
	SF_AWAY		= 0x0606	/* any that a slave leaves to its master:
					 * who else knows what has passed? */
};

struct session {
	/* What the data path touches for each packet: one cache line. */
	uint32_t sid;			/* slot; 0 in a free slot */
	uint32_t ip;			/* the subscriber's; 0: none yet */
	uint32_t tid;
	uint16_t local_id, peer_id;	/* on the wire */
	uint16_t flags;			/* enum session_flag */
	uint16_t mss;			/* clamp TCP SYNs to this; 0: do not */
	uint16_t data_Ns, data_Nr;	/* data sequence, RFC 2661 5.4 */
	uint32_t last_data;		/* s, timer_now()/1000: IP either way */
	uint8_t state;			/* enum session_state */
	bool dying;			/* ended; freed at the end of the turn */
	/* User traffic in IP octets; rx: from the subscriber, tx: to it. */
	uint64_t rx_octets, tx_octets;
	uint64_t rx_packets, tx_packets;

	/* The rest. */
	bool authenticated;
	bool acct_started;		/* a Start was queued: a Stop is owed */
	bool ip_from_pool;
	bool routed;			/* its addresses are in lpm and kernel */
	uint8_t nroutes;
	uint16_t auth_protocol;		/* 0xc023, 0xc223 */
	uint32_t netmask;		/* Framed-IP-Netmask; 0: not given */
	uint32_t dns1, dns2;		/* offered in IPCP; 0: none */
	struct prefix routes[ROUTES_MAX];
	uint32_t call_serial;
	uint32_t bearer_type, framing_type, phys_channel;
	uint32_t tx_speed, rx_speed;	/* bit/s, from the ICCN */
	time_t opened;			/* wall clock, at the ICRQ */
	uint64_t started;		/* ms, when acct_started */
	uint32_t session_timeout, idle_timeout;	/* s; 0: none */
	uint32_t interim;		/* s between Interim-Updates; 0: none */
	uint32_t throttle_in, throttle_out;	/* kbit/s, from and to the
					 * subscriber; 0: full speed */
	uint32_t snoop_ip;		/* copies go there; 0: none are made */
	uint16_t snoop_port;
	char user[USER_MAX];		/* as sent by the peer, NUL terminated */
	char calling[NUMBER_MAX], called[NUMBER_MAX];
	char acct_id[24];		/* Acct-Session-Id, unique over restarts */
	char filter_id[FILTER_MAX];
	uint16_t class_len;		/* of class[]: {len, octets}... */
	uint8_t class[CLASS_MAX];
	uint16_t avpair_len;		/* of avpair[], NULs included */
	char avpair[AVPAIR_MAX];
} __attribute__((aligned(64)));

struct radius_request;
struct throttle;

/* Octets of a session in usage files; acctfile.c's own. */
struct usage {
	uint64_t rx, tx;		/* told by files that are written */
	uint64_t rx_told, tx_told;	/* and by the one under way, */
	bool pending;			/* if there is one */
};

/* User traffic, as in struct session; cluster_forward.c's own. */
struct carried {
	uint64_t rx_octets, tx_octets;
	uint64_t rx_packets, tx_packets;
};

/* This process's own part of a session. */
struct session_local {
	struct ppp ppp;
	uint32_t sid;			/* its own, for the timers */
	uint16_t framed_mtu;		/* from RADIUS; 0: not given */
	uint16_t seen;			/* replica.c: in which of its walks */
	uint16_t told_by;		/* `told` is of that master, by number */
	bool asleep : 1;		/* a copy of what another server has:
					 * no timer is armed, but `due` of
					 * limit and interim is kept, or 0 */
	bool starting : 1;		/* counted among max_starting */
	bool ending : 1;		/* dying, and plugins are being told */
	bool moving : 1;		/* into the garden, or out of it */
	bool held_open : 1;		/* IPCP is Opened, but not SF_OPEN: */
	uint32_t held;			/* held by plugins, a bit for each */
	struct radius_request *auth;	/* Access-Request on its way, or NULL */
	struct timer limit_timer;	/* Session-Timeout */
	struct timer idle_timer;	/* Idle-Timeout */
	struct timer interim_timer;	/* Interim-Update */
	struct timer connect_timer;	/* ICRP sent, ICCN awaited */
	uint32_t limit_window, limit_count;	/* packet_limit, per 0.1 s */
	struct throttle *throttle;	/* NULL: full speed both ways */
	uint32_t prev, next;		/* sids of the tunnel's other sessions */
	struct usage usage;
	struct carried told, said;	/* slave: what the master knows of */
	uint32_t counted;		/* replica.c: counts that it streamed */
	uint32_t user_bucket;
	uint32_t prev_user, next_user;	/* sids: chain of equal user hashes */
} __attribute__((aligned(64)));

/* The process. */
struct l2tpns {
	struct config config;
	char etcdir[CONFIG_STRING];	/* where startup-config lies */
	char hostname[HOSTNAME_MAX];	/* ours, announced in SCCRP */
	struct lpm *lpm;		/* address -> sid, downstream */
	uint32_t local_addr;		/* NAS-IP-Address: bind_address, else
					 * the address of the default route */
	time_t start;			/* wall clock */
	uint32_t boot_id;		/* differs from start to start */
	bool master;			/* decides about sessions: always, but
					 * on a slave of a cluster */
	uint32_t own_addr;		/* in a cluster: of this server alone */
	bool shutting_down;		/* no new tunnels and calls */
	bool quiet;			/* LACs hear nothing any more */
};

extern struct l2tpns lns;

#endif
