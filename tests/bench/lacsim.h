/*
 * lacsim.h - the parts of lacsim and what they know of each other
 *
 * lacsim.c         options, pacing of starts and stops, the loop
 * lacsim_net.c     the outer UDP socket: batches out, batches in
 * lacsim_l2tp.c    control connections and calls, LAC side (RFC 2661)
 * lacsim_ppp.c     the subscriber's PPP (RFC 1661, 1332, 1334, 1994)
 * lacsim_ip.c      the subscriber's packets: probes and blasts
 * lacsim_tun.c     real programs as subscribers, through a TUN device
 * lacsim_offload.c TCP in large pieces for that device
 * lacsim_report.c  what is said at the end, and each second
 * lacsim_inet.c    the other end: --reflect, --sink, --blast-from
 * lacsim_flood.c   hostile traffic: --flood, --pester
 */
#ifndef LACSIM_H
#define LACSIM_H

#include "bench.h"

#include <netinet/in.h>

#define LNS_MAX		16
#define L2TP_PORT	1701

enum auth_want { AUTH_ANY, AUTH_CHAP, AUTH_PAP, AUTH_MIX };
enum flood { FLOOD_SCCRQ, FLOOD_NOISE, FLOOD_UNKNOWN };
enum pester { PESTER_NONE, PESTER_ICRQ, PESTER_CONFREQ, PESTER_ECHO };
enum stop_how { STOP_LCP, STOP_CDN, STOP_TUNNEL, STOP_SILENT };

struct options {
	struct sockaddr_in lns[LNS_MAX];
	uint32_t lns_count;
	uint32_t source, source_count;	/* first address, 0 = kernel's choice */
	uint16_t source_port;
	uint32_t tunnels, sessions;
	double rate, tunnel_rate, stop_rate;
	uint32_t max_outstanding;	/* sessions in set-up at once */
	enum auth_want auth;
	const char *user, *password, *secret, *host, *calling, *called;
	bool challenge, sequence, acfc, pfc, length_bit, no_dns, hide;
	uint32_t offset;		/* Offset Size in data, 0 = no O bit */
	uint16_t rws, mru;
	uint32_t retries;		/* of a control message */
	double hello, restart, echo, hold, setup_timeout, reconnect, timeout;
					/* seconds; reconnect < 0: no */
	uint32_t echo_fail;
	bool hold_set, until_up, data_checksum, gro;
	uint32_t gso;			/* segments in a send, 0 or 1 = off */
	enum stop_how stop;
	uint64_t cycles;
	double drop_at;			/* into the hold; < 0: never */
	enum stop_how drop_how;
	bool monkey;
	double monkey_rate;
	const char *json, *status, *addresses, *tun;
	bool tun_addresses, tun_offload;
	uint32_t probe_ip;
	uint16_t probe_port;
	double probe_interval;		/* ms */
	uint32_t probe_size, probe_sessions;
	bool blast_up, blast_down;
	bool blast_yield;		/* a NAPI thread may share the processor */
	uint32_t blast_ip;
	uint16_t blast_port;
	uint32_t blast_flows;		/* source ports of each session */
	uint32_t size;			/* inner IP packet, octets */
	double pps;			/* 0 = as fast as it goes */
	double seconds;
	uint64_t seed;
	double loss, dup, reorder, delay;	/* of the link, %, %, %, ms */
	enum pester pester;
	bool impaired, plain_retransmit;
	bool quiet;
};

/* ---- control connections ---- */

enum tunnel_state {
	T_IDLE, T_WAIT_CTL_REPLY, T_ESTABLISHED, T_CLOSING, T_CLOSED
};

struct msg;

struct tunnel {
	uint32_t idx;
	enum tunnel_state state;
	uint16_t ltid, rtid;		/* 0 = none */
	uint32_t src;			/* our address, 0 = any */
	struct sockaddr_in peer;
	bool peer_pinned;		/* SCCRP seen: port is known */
	/* reliable delivery, RFC 2661 5.8 */
	uint16_t ns, nr;		/* next to be given, next expected */
	uint16_t una;			/* lowest not acknowledged */
	uint16_t snd_max;		/* one past the highest ever sent */
	struct msg *head, *tail, *next;	/* unacknowledged; next to be sent */
	uint32_t cwnd, cwnd_part, ssthresh, peer_rws;
	uint32_t tries;			/* transmissions of the head */
	uint32_t opened;		/* SCCRQs without an SCCRP */
	/* recovery from losses: RFC 6582 */
	bool recovering;		/* until una reaches recover */
	uint16_t recover;
	uint32_t same_acks;		/* ZLBs that repeated una */
	uint32_t same_enough;		/* for the head to be sent again */
	uint32_t fast;			/* times it was */
	struct msg **held;		/* out of order, by Ns % rws */
	bool ack_due, ack_listed, settled;
	struct tunnel *ack_next;	/* list of those with an ack due */
	uint64_t last_rx;
	struct timer rtx, hello, restart;
	uint8_t challenge[16];
	/* calls */
	struct session **sid;		/* by our session id & sid_mask */
	uint32_t sid_mask, sids;
	uint32_t sessions;		/* calls open */
	struct msg *last;		/* the last acknowledged, for --monkey */
};

/* ---- PPP ---- */

enum cp_state {
	CP_INITIAL, CP_CLOSED, CP_STOPPED, CP_CLOSING, CP_STOPPING,
	CP_REQ_SENT, CP_ACK_RCVD, CP_ACK_SENT, CP_OPENED
};

struct cp {
	uint8_t state, id;		/* id of our last Configure-Request */
	uint8_t counter;		/* restart counter */
	uint8_t naks;			/* sent by us without an Ack between */
	uint8_t ask;			/* bit per option of our request */
	uint8_t is_ipcp;
	struct timer timer;
};

enum session_state {
	S_IDLE,			/* nothing, may be started */
	S_QUEUED,		/* waiting for its turn to start */
	S_WAIT_REPLY,		/* ICRQ sent */
	S_LCP, S_AUTH, S_NET,	/* ICCN sent, PPP phases */
	S_UP,
	S_TERM,			/* LCP Terminate-Request sent or received */
	S_DEAD			/* failed or ended, not to be started again */
};

enum reason {
	R_NONE, R_ENDED, R_CDN, R_STOPCCN, R_TUNNEL_LOST, R_TUNNEL_REFUSED,
	R_LCP_TIMEOUT, R_LCP_TERM, R_LOOPED, R_AUTH_TIMEOUT, R_AUTH_REFUSED,
	R_IPCP_TIMEOUT, R_NO_ADDRESS, R_SETUP_TIMEOUT, R_ECHO, R_MONKEY,
	R_DROPPED, R_PROTOCOL, R_COUNT
};

struct session {
	uint32_t idx;
	uint8_t state, phase_auth;	/* phase_auth: how the peer asked us */
	uint8_t why;			/* enum reason of the close under way */
	bool was_up, meant, cdn_seen;	/* meant: we wanted it to end */
	uint16_t lsid, rsid;
	struct tunnel *t;
	struct cp lcp, ipcp;
	uint32_t magic, ip, dns[2];
	uint32_t tun_ip;		/* on the TUN device */
	uint32_t mapped_ip;		/* under which session_by_ip() finds us */
	struct session *ip_next;
	uint16_t mru, peer_mru;
	bool tx_acfc, tx_pfc, seq_tx, seq_required;
	uint8_t term_id, term_tries, auth_tries, auth_id;
	uint8_t chap_value[16];
	bool auth_waiting, challenged;
	uint16_t data_ns, data_nr;
	struct timer timer;		/* set-up limit, hold, restart */
	struct timer auth_timer;
	struct timer echo;
	uint8_t echo_id, echo_missed;
	bool echo_waiting;
	uint64_t echo_sent, started, down_at;
	struct session *qnext;		/* start or stop queue */
	struct flow *flow;
};

/* What arrived of one flow of a blast; a new run counts from 0 again. */
struct blast_count {
	uint64_t rx, lost, late;	/* lost: of the runs before this one */
	uint64_t run_rx;
	uint32_t run, high;
};

void blast_seen(struct blast_count *c, uint32_t run, uint32_t seq);
/* Numbers that never came, below the highest that did. */
uint64_t blast_missing(const struct blast_count *c);

/* A subscriber's own traffic; only there when probes or blasts are asked. */
struct flow {
	struct timer timer;
	uint64_t tx, rx, rx_bytes, dup, reorder, corrupt;
	uint32_t next_seq;		/* to be sent */
	uint32_t high;			/* highest received + 1 */
	uint32_t window[8];		/* which of the last 256 were received */
	uint64_t last_rx, gap;		/* longest silence while up */
	uint64_t blast_tx;
	uint32_t blast_seq;
	struct blast_count in;
	uint16_t ip_id;
};

/* ---- everything ---- */

enum run_state { RUN_TUNNELS, RUN_SESSIONS, RUN_HOLD, RUN_BACK, RUN_DRAIN,
	RUN_STOP, RUN_CLOSE, RUN_DONE };

struct counts {
	uint64_t started, established, failed, lost, ended, retried;
	uint64_t reason[R_COUNT];
	uint64_t cdn_result[16], cdn_error[16];
	uint64_t stopccn_result[16];
	uint64_t tunnels_up, tunnels_failed, tunnels_lost, tunnels_closed;
	uint64_t ctl_tx, ctl_rx, ctl_retx, ctl_dup, ctl_ooo, ctl_zlb_tx,
	    ctl_zlb_rx, ctl_bytes_tx, ctl_bytes_rx, ctl_bad, ctl_held;
	uint64_t data_tx, data_rx, data_unknown, data_bad, data_seq_lost,
	    data_seq_late, wrong_dst, wrong_peer;
	uint64_t hello_rx, hello_tx, sli_rx, wen_rx;
	uint64_t echo_tx, echo_rx, echo_lost, echo_peer, echo_bad;
	uint64_t ppp_bad, ppp_protocol_rejects, lcp_renegotiated,
	    rechallenged, chap_resent, chap_late, addr_twice;
	uint64_t probe_tx, probe_rx, probe_dup, probe_reorder, probe_corrupt;
	uint64_t blast_tx, blast_rx, blast_corrupt, blast_bytes_rx;
	uint64_t ip_rx, ip_wrong_dst;
	uint64_t tun_tx, tun_rx, tun_drop, tcp_bad;
	uint64_t link_lost, link_doubled, link_late;
	uint64_t tx_again, tx_error, rx_batches, tx_batches, rx_overflow;
	uint64_t monkey[8], pester;
};

struct lacsim {
	struct options o;
	struct counts c;
	struct rng rng;
	struct wheel wheel;
	uint64_t now;			/* read once a turn, after the wait */
	enum run_state run;
	bool stopping;			/* a signal or the end of the hold */
	bool interrupted;		/* a signal has come */
	uint64_t run_start, run_since;	/* the program's, the run state's */
	int fd, epfd, tun_fd;
	struct tunnel *tunnel;
	struct session *session;
	struct flow *flow;
	struct tunnel **by_tid;		/* [65536], by our tunnel id */
	struct ghost *linger;		/* closed ones, still acknowledging */
	struct tunnel *ack_list;
	/* gauges */
	uint32_t up, peak, starting, dead, tunnels_up, tunnels_settled;
	uint32_t tunnels_open;
	/* queues of sessions */
	struct session *start_head, *start_tail, **by_ip;
	uint32_t by_ip_mask;
	uint64_t cycles_begun, begun, first_start, last_up, stop_began, all_up_at;
	uint32_t up_at_stop;
	uint64_t dropped_at, back_at;
	struct hist setup, echo, probe;
	uint64_t blast_first_rx, blast_last_rx;
	uint32_t *per_second;		/* sessions established in each */
	size_t seconds;
};

extern struct lacsim L;

/* lacsim.c */
void session_queue(struct session *s, uint64_t delay);
void session_is_up(struct session *s);
void session_is_down(struct session *s);
void tunnel_is_settled(struct tunnel *t, bool up);
void tunnel_is_gone(struct tunnel *t);
struct session *session_by_ip(uint32_t ip);
bool session_ip_set(struct session *s, uint32_t ip);

/* lacsim_net.c */
enum net_class { NET_CONTROL, NET_DATA };

void net_open(void);
/* Room for a packet of at most max octets; then net_commit(used). */
uint8_t *net_reserve(const struct tunnel *t, enum net_class c, size_t max);
void net_commit(size_t n);
void net_flush(void);
/* Reads what there is, up to a bound; true if there may be more. */
bool net_read(void);

/* lacsim_l2tp.c */
void l2tp_init(void);
void l2tp_input(const uint8_t *p, size_t n, const struct sockaddr_in *from,
    uint32_t dst);
void l2tp_acks(void);		/* at the end of a turn */
void tunnel_open(struct tunnel *t);
void tunnel_close(struct tunnel *t, uint16_t result);
void tunnel_forget(struct tunnel *t, enum reason why);
bool call_open(struct session *s);
/* Sends CDN (unless the peer has) and gives the call up. */
void call_close(struct session *s, uint16_t result, uint16_t error);
void call_forget(struct session *s);
/*
 * A data frame of session s with protocol proto: room for max octets of
 * payload, then frame_end() with what was used.  Nothing in between.
 */
uint8_t *frame_begin(struct session *s, uint16_t proto, size_t max);
void frame_end(size_t used);
#define PPP_IP		0x0021
void monkey_duplicate(struct tunnel *t);
/* One more ICRQ that will never be followed up, whatever the window. */
bool call_pester(struct tunnel *t);

/* lacsim_ppp.c */
void ppp_init(struct session *s);
void ppp_start(struct session *s);
void ppp_stop(struct session *s);		/* timers off */
void ppp_terminate(struct session *s);
void ppp_renegotiate(struct session *s);
bool ppp_pester(struct session *s, bool echo);
void ppp_input(struct session *s, const uint8_t *p, size_t n);
/* lacsim_ip.c */
void ip_init(void);
void ip_session_up(struct session *s);
void ip_session_down(struct session *s);
void ip_input(struct session *s, const uint8_t *p, size_t n);
/* Sends whole IP packets of this session upstream. */
void ip_send(struct session *s, const uint8_t *p, size_t n);
void blast_turn(void);
bool blast_busy(void);		/* the loop must not sleep */
bool blast_paced(void);		/* it must not sleep long */
bool blast_over(void);
void blast_report(struct json *j);

/* lacsim_tun.c */
void tun_open(void);
void tun_session_up(struct session *s);
void tun_session_down(struct session *s);
bool tun_read(void);
void tun_write(const uint8_t *p, size_t n);
void tun_flush(void);

/* lacsim_offload.c */
struct virtio_net_hdr;

void tun_put(const struct virtio_net_hdr *h, const uint8_t *p, size_t n);
bool offload_cut(struct session *s, const struct virtio_net_hdr *h,
    uint8_t *p, size_t n);
void offload_write(const uint8_t *p, size_t n);
void offload_flush(void);

/* lacsim_report.c */
const char *reason_name(enum reason r);
void report_status(FILE *f);
void report_status_file(void);
void report_addresses(void);
bool report_final(void);	/* true: all as asked */

/* lacsim_inet.c */
int inet_reflect(uint16_t port, const char *json, double seconds);
int inet_sink(uint16_t port, const char *json, double seconds);
int inet_blast(const char *list, uint16_t port, uint32_t size, double pps,
    double seconds, uint32_t gso, uint64_t seed, const char *json);

/* lacsim_flood.c */
int flood_run(enum flood what);
void pester_turn(void);

/* What a blast packet carries after its UDP header; then a pattern. */
#define BLAST_MAGIC	0x4c414342u	/* "LACB" */
#define PROBE_MAGIC	0x4c414350u	/* "LACP" */
#define BLAST_HEADER	16		/* magic, run, flow, seq */
#define PROBE_HEADER	20		/* magic, session, seq, time */
#define PROBE_SPORT	7001
#define BLAST_SPORT	7002

#endif
