/*
 * counters.h - one list of counters with their names
 *
 * A counter is one row here: the struct, `show counters`, its reset and the
 * documentation table all come from the row.  64 bits, owned by the loop's
 * only thread, so a plain increment.  Sections group them when shown.
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#define COUNTERS(X)							       \
	/* what passes the TUN device: "Ethernet" in the old listing */	       \
	X(eth_rx_bytes, "bytes read from the TUN device")		       \
	X(eth_rx_packets, "packets read from the TUN device")		       \
	X(eth_rx_errors, "reads from the TUN device that failed")	       \
	X(eth_tx_bytes, "bytes written to the TUN device")		       \
	X(eth_tx_packets, "packets written to the TUN device")		       \
	X(eth_tx_errors, "writes to the TUN device that failed")	       \
	/* what passes the L2TP socket */				       \
	X(tunnel_rx_bytes, "bytes received from LACs, L2TP header included")   \
	X(tunnel_rx_packets, "datagrams received from LACs")		       \
	X(tunnel_rx_errors, "datagrams from LACs dropped as malformed")	       \
	X(tunnel_rx_dropped, "datagrams from LACs dropped: receive buffer full")\
	X(tunnel_tx_bytes, "bytes sent to LACs, L2TP header included")	       \
	X(tunnel_tx_packets, "datagrams sent to LACs")			       \
	X(tunnel_tx_errors, "datagrams to LACs that could not be sent")	       \
	X(tunnel_retries, "control messages sent again")		       \
	/* L2TP control */						       \
	X(tunnel_created, "tunnels established")			       \
	X(tunnel_timeout, "tunnels lost: control message not acknowledged")    \
	X(tunnel_overflow, "tunnels refused: no free tunnel")		       \
	X(tunnel_duplicates, "control messages received again")	       \
	X(tunnel_held, "control messages that came early and were held")       \
	X(tunnel_resynced, "times a LAC was believed in numbers, after a take-over")\
	X(tunnel_out_of_window, "control messages outside the window")	       \
	X(tunnel_auth_failed, "tunnels refused: authentication failed")	       \
	X(sccrq_limited, "SCCRQs dropped: too many of the source, or of all")  \
	X(unknown_tunnel, "datagrams for a tunnel that is not open")	       \
	X(unknown_session, "packets for a session that is not open")	       \
	X(wrong_peer, "datagrams from an address that is not the tunnel's")    \
	X(session_created, "sessions established (ICCN received)")	       \
	X(session_timeout, "sessions ended by a time limit")		       \
	X(session_limited, "calls refused: too many are being set up")	       \
	X(session_overflow, "calls refused: no free session")		       \
	/* copies on other servers of a cluster */			       \
	X(replica_refused, "records of the master that made no sense")	       \
	X(replica_missing, "records about what this server does not know")     \
	X(replica_healed, "copies replaced by newer ones of the same ids")     \
	/* PPP */							       \
	X(ppp_rx_control, "PPP control packets received")		       \
	X(ppp_rx_malformed, "PPP packets dropped as malformed")		       \
	X(ppp_rx_unexpected, "PPP packets dropped: not allowed in this phase") \
	X(ppp_auth_ok, "subscribers authenticated")			       \
	X(ppp_auth_failed, "subscribers refused")			       \
	X(ppp_echo_timeout, "sessions lost: no reply to LCP echo")	       \
	/* RADIUS */							       \
	X(radius_requests, "RADIUS requests sent the first time")	       \
	X(radius_retries, "RADIUS requests sent again")			       \
	X(radius_timeout, "RADIUS requests given up")			       \
	X(radius_overflow, "RADIUS requests refused: too many outstanding")    \
	X(radius_bad_reply, "RADIUS replies dropped: failed verification")     \
	X(radius_late_reply, "RADIUS replies to nothing outstanding")	       \
	X(acct_queued, "accounting records queued")			       \
	X(acct_dropped, "accounting records lost: queue full or too old")      \
	/* addresses */							       \
	X(ip_allocated, "addresses taken from the pool")		       \
	X(ip_freed, "addresses given back to the pool")			       \
	X(ip_exhausted, "sessions refused: pool empty")			       \
	X(arp_sent, "gratuitous ARPs sent")				       \
	/* data path drops */						       \
	X(drop_no_route, "packets from the TUN device for no session")	       \
	X(drop_not_open, "packets for a session whose IPCP is not open")       \
	X(drop_spoofed, "subscriber packets with a source not their own")      \
	X(drop_malformed, "subscriber packets with a broken IP header")	       \
	X(drop_martian, "subscriber packets to an address that is no host's")  \
	X(drop_own_port, "subscriber packets to the server's own services")    \
	X(drop_too_big, "packets over the subscriber's MTU with DF set")       \
	X(drop_limited, "packets over packet_limit")			       \
	X(drop_sequence, "data packets dropped as out of sequence")	       \
	X(drop_plugin, "packets dropped by plugins")			       \
	X(drop_plugin_header, "packets dropped: a plugin spoiled the IP header")\
	X(plugin_bad_length, "lengths set by plugins to more than there was, or below 0")\
	X(mss_clamped, "TCP SYNs whose MSS was lowered")		       \
	X(icmp_sent, "ICMP host unreachable sent")			       \
	X(throttle_delayed, "packets of throttled sessions made to wait")      \
	X(throttle_dropped, "packets of throttled sessions dropped: queue full")\
	X(throttle_no_memory, "packets of throttled sessions dropped: no memory")\
	X(packets_snooped, "copies of intercepted packets sent")	       \
	X(snoop_errors, "copies of intercepted packets that were not sent")    \
	/* between the members of a cluster */				       \
	X(cluster_forwarded, "packets handed to the cluster's master")	       \
	X(cluster_not_forwarded, "packets for the master dropped: none is known")\
	X(recv_forward, "packets that slaves have handed to us, the master")   \
	X(cluster_misdirected, "packets from slaves dropped: we are no master")\
	X(cluster_bad_forward, "records from slaves dropped as malformed")     \
	X(cluster_reported, "counts of sessions that the master has taken")    \
	X(recv_reported, "counts of sessions that slaves have reported")       \
	/* BGP */							       \
	X(bgp_established, "BGP sessions that came up")			       \
	X(bgp_lost, "BGP sessions lost or closed")			       \
	X(bgp_errors, "BGP connections ended with a NOTIFICATION of ours")     \
	X(bgp_rx_messages, "BGP messages received")			       \
	X(bgp_tx_messages, "BGP messages sent")				       \
	X(bgp_rx_prefixes, "prefixes that BGP peers told and nobody needs")    \
	X(bgp_rx_faulty, "BGP UPDATEs received with a malformed attribute")    \
	X(bgp_announced, "prefixes announced to BGP peers")		       \
	X(bgp_withdrawn, "prefixes withdrawn from BGP peers")		       \
	/* nsctl */							       \
	X(nsctl_requests, "nsctl requests served")			       \
	X(nsctl_refused, "nsctl requests dropped: unsigned or wrongly signed") \
	X(nsctl_malformed, "nsctl requests dropped as malformed")	       \
	X(nsctl_replayed, "nsctl requests dropped: they had come before")      \
	X(nsctl_late, "nsctl requests dropped: the clocks are apart")	       \
	X(nsctl_limited, "nsctl requests dropped: over 100 a second")	       \
	/* cluster */							       \
	X(cluster_rx_packets, "datagrams that came to the cluster's port")     \
	X(cluster_rx_bytes, "octets of them")				       \
	X(cluster_tx_packets, "datagrams sent to the cluster")		       \
	X(cluster_tx_bytes, "octets of them")				       \
	X(cluster_tx_errors, "datagrams to the cluster that could not be sent")\
	X(cluster_foreign, "cluster datagrams dropped: not by cluster_interface")\
	X(cluster_malformed, "cluster datagrams dropped as malformed")	       \
	X(cluster_version, "cluster datagrams dropped: of another version")    \
	X(cluster_forged, "cluster datagrams dropped: not signed with our secret")\
	X(cluster_other, "cluster datagrams dropped: another bind_address")    \
	X(cluster_sender, "cluster datagrams dropped: wrong sender or receiver")\
	X(cluster_unproven, "cluster datagrams dropped: sender not proven yet")\
	X(cluster_replayed, "cluster datagrams dropped: they had come before") \
	X(cluster_misplaced, "cluster datagrams dropped: not for this role")   \
	X(cluster_asked, "requests for missing parts of the master's stream")  \
	X(cluster_resent, "parts of the stream sent again")		       \
	X(cluster_lost, "times that a copy was lost and asked for anew")       \
	X(cluster_promoted, "times that this server became master")	       \
	X(cluster_demoted, "times that this server ceased to be master")       \
	/* how often functions ran, by the names of l2tpns 2 */		       \
	X(call_processtun, "turns with packets to read from the TUN device")   \
	X(call_processudp, "turns with datagrams to read from LACs")	       \
	X(call_processlcp, "LCP packets looked at")			       \
	X(call_processpap, "PAP packets looked at")			       \
	X(call_processchap, "CHAP packets looked at")			       \
	X(call_processipcp, "IPCP packets looked at")			       \
	X(call_processccp, "CCP packets looked at")			       \
	X(call_processrad, "RADIUS replies looked at")			       \
	X(call_sendchap, "CHAP Challenges sent")			       \
	X(call_sendipcp, "IPCP packets sent")				       \
	X(call_sessionbyuser, "searches for the session of a user")	       \
	X(call_sessionbyip, "searches for the session of an address")	       \
	X(call_sessionsetup, "sessions whose IPCP came up")		       \
	X(call_sessionshutdown, "sessions ended from this side")	       \
	X(call_sessionkill, "sessions ended without a CDN")		       \
	X(call_tunnelsend, "control messages put on the wire")		       \
	X(call_tunnelshutdown, "tunnels ended from this side")		       \
	X(call_tunnelkill, "tunnels cleared")				       \
	X(call_assign_ip_address, "searches for an address in the pool")       \
	X(call_free_ip_address, "addresses looked up to be given back")

struct counters {
#define X(name, help) uint64_t name;
	COUNTERS(X)
#undef X
};

extern struct counters counters;

#define COUNT(name)		((void)counters.name++)
#define COUNT_ADD(name, n)	((void)(counters.name += (uint64_t)(n)))

/* One row of the list: name, help, and where it lies in struct counters. */
struct counter_row {
	const char *name, *help;
	size_t off;
};
extern const struct counter_row counter_rows[];
extern const size_t counter_rows_n;

/* The value of a row now. */
uint64_t counter_value(const struct counter_row *);

/* Sets all to zero (`clear counters`). */
void counters_clear(void);

#endif
