/*
 * config.c - the key table, and the reading of configuration files
 *
 * A key is one row of config_keys[]: name, place in struct config, type,
 * range, default and a sentence of help.  Parser, printer, checks and the
 * table in Docs/config.md know nothing that is not in the row.
 *
 * The readers are strict (a value is taken whole or refused with a reason)
 * and forgiving (a bad line costs that line, never the file, never the
 * process).  No length in a file is trusted: files and lines are bounded
 * before anything looks at them.
 *
 * Owns:     the tables, and which line of the file read last set a key.  The
 *           struct config belongs to the caller.
 * Calls:    libc only; never logs, faults go to the caller's function.
 * Lifetime: static.
 */
#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"

#define LEN(a)		(sizeof(a) / sizeof((a)[0]))
#define FILE_MAX	(4 * 1024 * 1024)
#define TOLD_MAX	50	/* faults of one file that are spelled out */
#define SECRET_MASK	"****"

/* Place and size of a field, refused by the compiler if its type is not the row's */
#define PLACE(name, ctype) \
	(offsetof(struct config, name) + 0 * sizeof(char[ \
	    __builtin_types_compatible_p( \
	    __typeof__(((struct config *)0)->name), ctype) ? 1 : -1])), \
	sizeof(ctype)

#define INT(name, when, dflt, min, max, unit, help) \
	{ #name, PLACE(name, int64_t), C_INT, when, dflt, min, max, unit, help }
#define BOOL(name, when, dflt, help) \
	{ #name, PLACE(name, bool), C_BOOL, when, dflt, 0, 0, "", help }
#define IPV4(name, when, dflt, help) \
	{ #name, PLACE(name, uint32_t), C_IPV4, when, dflt, 0, 0, "", help }
#define TEXT(name, type, when, dflt, max, help) \
	{ #name, PLACE(name, char[CONFIG_STRING]), type, when, dflt, 0, max, \
	  "", help }
#define STRING(name, when, dflt, help) \
	TEXT(name, C_STRING, when, dflt, CONFIG_STRING - 1, help)
#define SECRET(name, when, dflt, help) \
	TEXT(name, C_SECRET, when, dflt, CONFIG_STRING - 1, help)
#define TRISTATE(name, when, dflt, help) \
	{ #name, PLACE(name, int64_t), C_TRISTATE, when, dflt, 0, 0, "", help }

#define IFNAME	15	/* IFNAMSIZ without its NUL */
#define NSCTL_SECRET_GOOD 16
#define BGP_PASSWORD	80	/* TCP_MD5SIG_MAXKEYLEN */
#define CLUSTER_SECRET_GOOD 16

const struct config_key config_keys[] = {
	INT(debug, LIVE, "0", 0, 5, "",
	    "what is logged: 0 critical, 1 errors, 2 warnings, 3 information, "
	    "4 calls, 5 packets with a hex dump"),
	STRING(log_file, LIVE, "",
	    "a path, or `syslog:FACILITY`; empty is standard error"),
	SECRET(l2tp_secret, LIVE, "",
	    "shared with the LACs: answers their challenges, unhides AVPs"),
	IPV4(primary_dns, LIVE, "0.0.0.0",
	    "name server told to subscribers; 0.0.0.0 tells none"),
	IPV4(secondary_dns, LIVE, "0.0.0.0",
	    "second name server told to subscribers; 0.0.0.0 tells none"),
	BOOL(save_state, LIVE, "no",
	    "keep pool, tunnels and sessions over a restart by SIGTERM"),
	IPV4(primary_radius, LIVE, "0.0.0.0",
	    "RADIUS server for authentication and accounting; with none at all "
	    "subscribers are looked up in ppp-secrets"),
	IPV4(secondary_radius, LIVE, "0.0.0.0",
	    "RADIUS server that is tried when the primary is silent"),
	BOOL(radius_accounting, LIVE, "no",
	    "send accounting Start, Interim and Stop"),
	SECRET(radius_secret, LIVE, "",
	    "shared with the RADIUS servers; without one no request is sent"),
	IPV4(bind_address, RESTART, "0.0.0.0",
	    "address of the L2TP socket and of the TUN device; 0.0.0.0 "
	    "listens on all, and the TUN device gets 1.1.1.1"),
	BOOL(send_garp, RESTART, "yes",
	    "announce bind_address by gratuitous ARP when ready; not with BGP"),
	INT(throttle_speed, LIVE, "0", 0, 100000000, "kbit/s",
	    "speed of throttled sessions; 0 is no throttling at all"),
	STRING(accounting_dir, LIVE, "",
	    "directory that gets a usage file every five minutes; empty is "
	    "none"),
	INT(setuid, RESTART, "0", 0, INT64_C(4294967294), "uid",
	    "user to change to after the start, with the few capabilities "
	    "that are needed then; 0 stays as it is"),
	BOOL(dump_speed, LIVE, "no",
	    "log the bandwidth in use every second, whatever debug says"),
	INT(cleanup_interval, LIVE, "10", 1, 3600, "s",
	    "time between two clean-ups; what overload has cost since the last "
	    "one is logged then"),
	INT(multi_read_count, LIVE, "10", 1, 1024, "",
	    "reads from the UDP socket and from the TUN device in one turn of "
	    "the loop"),
	BOOL(scheduler_fifo, RESTART, "no",
	    "run in the real-time class SCHED_FIFO, priority 1; not with a single "
	    "processor"),
	BOOL(lock_pages, RESTART, "no",
	    "keep all memory that the process uses from being swapped out"),
	INT(icmp_rate, LIVE, "0", 0, 1000000, "packets/s",
	    "ICMP host unreachable sent at most; 0 sends none"),
	IPV4(cluster_address, RESTART, "239.192.13.13",
	    "multicast group of the cluster; 0.0.0.0 is no cluster"),
	TEXT(cluster_interface, C_STRING, RESTART, "eth0", IFNAME,
	    "interface of the cluster packets"),
	INT(cluster_hb_interval, LIVE, "5", 1, 600, "0.1 s",
	    "time between two heartbeats; the same on all members"),
	INT(cluster_hb_timeout, LIVE, "150", 1, 36000, "0.1 s",
	    "silence of the master after which another is elected; at least "
	    "3 intervals, and the same on all members"),
	INT(as_number, LIVE, "0", 0, INT64_C(4294967295), "",
	    "our autonomous system; 0 is no BGP"),
	STRING(bgp_peer1, LIVE, "",
	    "name or address of a BGP neighbour; empty is none"),
	INT(bgp_peer1_as, LIVE, "0", 0, INT64_C(4294967295), "",
	    "its autonomous system; 0 is our own"),
	STRING(bgp_peer2, LIVE, "",
	    "name or address of a BGP neighbour; empty is none"),
	INT(bgp_peer2_as, LIVE, "0", 0, INT64_C(4294967295), "",
	    "its autonomous system; 0 is our own"),
	IPV4(snoop_host, LIVE, "0.0.0.0",
	    "where copies of intercepted packets go"),
	INT(snoop_port, LIVE, "0", 0, 65535, "",
	    "UDP port that copies of intercepted packets go to"),

	STRING(hostname, LIVE, "",
	    "name told to LACs and RADIUS; empty is the name of the machine"),
	INT(accounting_interval, LIVE, "300", 1, 86400, "s",
	    "time between two usage files in accounting_dir"),
	STRING(state_file, LIVE, "/var/lib/l2tpns/state",
	    "file that save_state writes and the next start reads"),
	INT(state_max_age, RESTART, "60", 1, 86400, "s",
	    "age up to which a saved state is used"),
	STRING(pid_file, RESTART, "",
	    "absolute path of a file for the process id, locked against a second "
	    "server; empty is none"),
	IPV4(peer_address, RESTART, "0.0.0.0",
	    "the server's address that subscribers are told in IPCP; 0.0.0.0 "
	    "takes iftun_address if that is set and not bind_address, else "
	    "192.0.0.8"),
	IPV4(iftun_address, RESTART, "0.0.0.0",
	    "address of the TUN device; 0.0.0.0 takes bind_address, or else "
	    "1.1.1.1"),
	TEXT(tundevicename, C_STRING, RESTART, "tun0", IFNAME,
	    "name of the TUN device; empty lets the kernel choose"),
	INT(l2tp_mtu, RESTART, "1500", 576, 1538, "bytes",
	    "MTU of the path to the LACs; the MRU offered in LCP is 38 less"),
	INT(primary_radius_port, LIVE, "1812", 1, 65534, "",
	    "authentication port of the primary; accounting is one higher"),
	INT(secondary_radius_port, LIVE, "1812", 1, 65534, "",
	    "authentication port of the secondary; accounting is one higher"),
	TEXT(radius_authtypes, C_AUTHTYPES, LIVE, "chap,pap",
	    CONFIG_STRING - 1,
	    "authentication offered to subscribers, best first"),
	INT(radius_interim, LIVE, "0", 0, 604800, "s",
	    "time between interim accounting records, whatever RADIUS says; "
	    "0 leaves it to RADIUS, else at least 60"),
	BOOL(allow_duplicate_users, LIVE, "no",
	    "let one user have several sessions; else the older one ends"),
	INT(echo_timeout, LIVE, "10", 1, 3600, "s",
	    "silence of a subscriber after which an LCP echo is sent"),
	INT(idle_echo_timeout, LIVE, "240", 1, 86400, "s",
	    "silence of a subscriber after which the session ends"),
	INT(ppp_restart_time, LIVE, "3", 1, 60, "s",
	    "the Restart timer of RFC 1661 4.6"),
	INT(ppp_max_configure, LIVE, "10", 1, 255, "",
	    "Max-Configure of RFC 1661 4.6"),
	INT(ppp_max_failure, LIVE, "5", 1, 255, "",
	    "Max-Failure of RFC 1661 4.6"),
	INT(packet_limit, LIVE, "0", 0, 10000000, "packets/0.1 s",
	    "packets passed for one session; 0 is no limit"),
	IPV4(cli_bind_address, RESTART, "0.0.0.0",
	    "address that the command line listens on; 0.0.0.0 is every one, "
	    "but 127.0.0.1 as long as there is no users file"),

	BOOL(l2tp_require_secret, LIVE, "no",
	    "challenge every LAC: no tunnel without l2tp_secret"),
	INT(l2tp_window, LIVE, "64", 1, 1024, "messages",
	    "receive window told to LACs (RFC 2661 4.4.3)"),
	INT(l2tp_hello_interval, LIVE, "60", 0, 3600, "s",
	    "silence of a LAC after which a HELLO is sent; 0 is never"),
	INT(l2tp_retries, LIVE, "5", 1, 20, "",
	    "times a control message is sent again, after 1, 2, 4, 8, 8... s"),
	INT(l2tp_sccrq_rate, LIVE, "200", 1, 1000000, "messages/s",
	    "SCCRQs taken from one source address"),
	INT(l2tp_icrq_rate, LIVE, "10000", 0, 1000000, "messages/s",
	    "calls taken from one tunnel; 0 is no limit"),
	INT(max_sessions, RESTART, "65535", 1, 1000000, "",
	    "sessions that can be open at once"),
	INT(max_tunnels, RESTART, "65535", 1, 65535, "",
	    "tunnels that can be open at once"),
	INT(max_starting, LIVE, "30000", 1, 1000000, "",
	    "sessions between ICRQ and an open IPCP at most"),
	TRISTATE(radius_require_message_authenticator, LIVE, "auto",
	    "drop RADIUS replies without Message-Authenticator: no, yes, or "
	    "auto, which is yes for a server from its first reply that has one"),
	INT(radius_max_outstanding, LIVE, "16384", 1, 65536, "requests",
	    "RADIUS requests waiting for a reply at most"),
	INT(radius_accounting_queue, LIVE, "65536", 1, 16777216, "records",
	    "accounting records kept at most while no server answers"),
	INT(cli_port, RESTART, "23", 1, 65535, "",
	    "TCP port of the command line"),
	INT(cli_idle_timeout, LIVE, "600", 0, 86400, "s",
	    "silence after which a terminal is disconnected; 0 is never"),
	INT(socket_buffer, RESTART, "8388608", 65536, 1073741824, "bytes",
	    "send and receive buffer of the L2TP socket"),
	BOOL(offload, RESTART, "yes",
	    "move many packets in one system call (UDP GRO and GSO, TSO); "
	    "no moves them one by one"),
	INT(nsctl_port, RESTART, "1702", 0, 65535, "",
	    "UDP port for nsctl; 0 is none"),
	SECRET(nsctl_secret, LIVE, "",
	    "shared with nsctl on other machines, which must sign what they "
	    "ask for; empty is answered on this machine only"),
	SECRET(nsctl_secret_old, LIVE, "",
	    "a second nsctl_secret, good too while the first one is changed"),
	STRING(plugin_dir, RESTART, LIBDIR,
	    "directory of plugins; nobody but root may be able to write to it "
	    "or to the ones above it"),
	TEXT(bgp_peer1_password, C_SECRET, LIVE, "", BGP_PASSWORD,
	    "shared with bgp_peer1, which signs its packets with it "
	    "(TCP-MD5, RFC 2385); empty is none"),
	BOOL(bgp_peer1_ttl_security, LIVE, "no",
	    "drop packets of bgp_peer1 that came through a router: it must "
	    "send with TTL 255 (RFC 5082)"),
	TEXT(bgp_peer2_password, C_SECRET, LIVE, "", BGP_PASSWORD,
	    "shared with bgp_peer2; see bgp_peer1_password"),
	BOOL(bgp_peer2_ttl_security, LIVE, "no",
	    "the same for bgp_peer2"),
	INT(bgp_keepalive_time, LIVE, "60", 1, 21845, "s",
	    "time between two BGP KEEPALIVEs; at most a third of the hold "
	    "time is used"),
	INT(bgp_hold_time, LIVE, "180", 0, 65535, "s",
	    "silence of a BGP neighbour after which its session ends; the "
	    "lower of ours and its is used; 0 is never, else at least 3"),

	INT(cluster_port, RESTART, "32792", 1, 65535, "",
	    "UDP port of the cluster packets"),
	INT(cluster_mcast_ttl, RESTART, "1", 1, 255, "",
	    "routers that multicast cluster packets may pass, and one; above "
	    "1 members need not be in the subnet of cluster_interface"),
	INT(cluster_master_min_adv, LIVE, "1", 1, 31, "",
	    "slaves that have every session, from which number on the master "
	    "leaves the packets to them and withdraws its routes"),
	SECRET(cluster_secret, LIVE, "",
	    "shared by the members, who sign all cluster packets with it; "
	    "there is no cluster without one (but see cluster_insecure)"),
	BOOL(cluster_insecure, RESTART, "no",
	    "have a cluster even without cluster_secret: whoever can send to "
	    "cluster_interface then has every session in his hands"),
	INT(cluster_start_wait, RESTART, "15", 1, 600, "0.1 s",
	    "time after the start in which a master must have been heard, or "
	    "one is elected; at least 3 intervals count"),
};

const size_t config_keys_n = LEN(config_keys);

/*
 * Keys of l2tpns 2.4 and of the releases before 2.0.  Their files must load;
 * their owner must hear that the line does nothing.
 */
#define NO_IPV6		"subscribers get IPv4 only"
#define NO_PPPOE	"subscribers come by L2TP only, not by PPPoE"
#define NO_LAC		"there is no LAC mode"
#define NEXT_HOP	"BGP tells our own address on the connection"
#define ONE_ADDRESS	"there is one bind_address and one hostname"

const struct config_legacy config_legacy[] = {
	{ "account_all_origin", "usage files have no such column" },
	{ "auth_tunnel_change_addr_src",
	  "a tunnel belongs to the address and port that opened it" },
	{ "bind_address_remotelns", NO_LAC },
	{ "bind_multi_address", ONE_ADDRESS },
	{ "bind_portremotelns", NO_LAC },
	{ "cluster_master", "no server is made master by configuration" },
	{ "default_ipv6_domain_list", NO_IPV6 },
	{ "dhcp6_preferred_lifetime", NO_IPV6 },
	{ "dhcp6_server_duid", NO_IPV6 },
	{ "dhcp6_valid_lifetime", NO_IPV6 },
	{ "disable_lac_func", NO_LAC },
	{ "disable_no_spoof",
	  "the source of subscriber packets is always checked" },
	{ "disable_sending_hello", "HELLO is always sent (RFC 2661 5.5)" },
	{ "dns6_lifetime", NO_IPV6 },
	{ "guest_account",
	  "there is no account with many sessions; see allow_duplicate_users" },
	{ "ipv6_prefix", NO_IPV6 },
	{ "kill_timedout_sessions",
	  "a session whose time is up always ends" },
	{ "multi_hostname", ONE_ADDRESS },
	{ "nexthop", NEXT_HOP },
	{ "nexthop6", NO_IPV6 },
	{ "nexthop6_address", NO_IPV6 },
	{ "nexthop_address", NEXT_HOP },
	{ "no_throttle_local_IP", "throttling has no such setting" },
	{ "ppp_keepalive",
	  "echo_timeout alone decides when echoes are sent" },
	{ "pppoe_ac_name", NO_PPPOE },
	{ "pppoe_if_to_bind", NO_PPPOE },
	{ "pppoe_only_equal_svc_name", NO_PPPOE },
	{ "pppoe_service_name", NO_PPPOE },
	{ "primary_ipv6_dns", NO_IPV6 },
	{ "radius_bind_max", "the system chooses the source ports" },
	{ "radius_bind_min", "the system chooses the source ports" },
	{ "radius_dae_port", "RADIUS servers cannot change sessions" },
	{ "random_device", "random numbers come from the kernel" },
	{ "secondary_ipv6_dns", NO_IPV6 },
	{ "throttle_buckets", "there is no table of buckets" },
};

const size_t config_legacy_n = LEN(config_legacy);

/*
 * Faults
 */

/* What somebody typed, short and harmless enough for a line of the log. */
struct shown { char text[48]; };

static struct shown
show(const char *typed)
{
	struct shown s;
	size_t i;

	for (i = 0; typed[i] != '\0' && i < sizeof(s.text) - 4; i++) {
		unsigned char c = (unsigned char)typed[i];

		s.text[i] = c < 0x20 || c > 0x7e ? '?' : (char)c;
	}
	strcpy(s.text + i, typed[i] != '\0' ? "..." : "");
	return s;
}

#define SHOW(typed)	(show(typed).text)

/* A file of garbage must not fill the log. */
static void
tell(struct config_report *r, unsigned int line, const char *text)
{
	if (r->told > TOLD_MAX)
		return;
	r->fn(r->file, line, r->told++ < TOLD_MAX ? text :
	    CONFIG_WARNING "there is more, not listed", r->arg);
}

void
config_fault(struct config_report *r, unsigned int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->faults++;
	tell(r, line, text);
}

void
config_warn(struct config_report *r, unsigned int line, const char *fmt, ...)
{
	char text[512] = CONFIG_WARNING;
	const size_t skip = sizeof(CONFIG_WARNING) - 1;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + skip, sizeof(text) - skip, fmt, ap);
	va_end(ap);
	tell(r, line, text);
}

/*
 * Values
 */

const struct config_key *
config_find(const char *name)
{
	for (size_t i = 0; i < config_keys_n; i++)
		if (strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	return NULL;
}

static const struct config_legacy *
find_legacy(const char *name)
{
	for (size_t i = 0; i < config_legacy_n; i++)
		if (strcmp(config_legacy[i].name, name) == 0)
			return &config_legacy[i];
	return NULL;
}

bool
config_ipv4(const char *text, uint32_t *addr)
{
	struct in_addr in;

	/*
	 * inet_pton() wants four decimal parts, but lets a leading zero
	 * pass, which other tools read as octal.
	 */
	for (const char *p = text; *p != '\0'; p++)
		if (*p == '0' && isdigit((unsigned char)p[1]) &&
		    (p == text || p[-1] == '.'))
			return false;
	if (inet_pton(AF_INET, text, &in) != 1)
		return false;
	*addr = ntohl(in.s_addr);
	return true;
}

bool
config_prefix(const char *text, uint32_t *addr, uint8_t *len)
{
	const char *slash = strchr(text, '/');
	char host[sizeof("255.255.255.255")];
	unsigned int bits = 32;

	if (slash != NULL) {
		size_t n = strspn(slash + 1, "0123456789");

		if (n < 1 || n > 2 || slash[1 + n] != '\0' ||
		    (n == 2 && slash[1] == '0'))
			return false;
		bits = (unsigned int)atoi(slash + 1);
		if (bits > 32)
			return false;
	} else
		slash = text + strlen(text);
	if ((size_t)(slash - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(slash - text));
	host[slash - text] = '\0';
	if (!config_ipv4(host, addr))
		return false;
	*len = (uint8_t)bits;
	return true;
}

static bool
parse_int(const struct config_key *key, const char *value, int64_t *n,
    char *err, size_t errlen)
{
	const char *digits = value + (*value == '-');
	long long v;

	if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0')
		return err_set(err, errlen, "%s: \"%s\" is not a whole number",
		    key->name, SHOW(value));
	errno = 0;
	v = strtoll(value, NULL, 10);
	if (errno != 0 || v < key->min || v > key->max)
		return err_set(err, errlen, "%s: %s is not in %" PRId64
		    "..%" PRId64, key->name, SHOW(value), key->min, key->max);
	*n = v;
	return true;
}

static bool
parse_bool(const char *value, bool *b)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < LEN(yes); i++) {
		if (strcasecmp(value, yes[i]) == 0)
			return *b = true;
		if (strcasecmp(value, no[i]) == 0) {
			*b = false;
			return true;
		}
	}
	return false;
}

static bool
parse_tristate(const char *value, int64_t *n)
{
	bool b;

	if (strcasecmp(value, "auto") == 0) {
		*n = TRI_AUTO;
		return true;
	}
	if (!parse_bool(value, &b))
		return false;
	*n = b ? TRI_YES : TRI_NO;
	return true;
}

/* Text that one line of a file can hold. */
static bool
parse_text(const struct config_key *key, const char *value, char *dst,
    char *err, size_t errlen)
{
	size_t n = strlen(value);

	if (n > (size_t)key->max)
		return err_set(err, errlen, "%s: %zu characters are more than "
		    "%" PRId64, key->name, n, key->max);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
			return err_set(err, errlen,
			    "%s: control character in the value", key->name);
	/* Somebody pasted what was printed without secrets. */
	if (key->type == C_SECRET && strcmp(value, SECRET_MASK) == 0)
		return err_set(err, errlen, "%s: \"%s\" stands for a hidden "
		    "secret, it is not one", key->name, SECRET_MASK);
	memcpy(dst, value, n + 1);
	return true;
}

/* "CHAP pap" becomes "chap,pap". */
static bool
parse_authtypes(const char *value, char *dst)
{
	static const char *const types[] = { "chap", "pap" };
	const char *const gaps = ", ";
	char list[CONFIG_STRING] = "";
	unsigned int seen = 0;

	for (const char *p = value + strspn(value, gaps); *p != '\0';
	    p += strspn(p, gaps)) {
		size_t n = strcspn(p, gaps), i;

		for (i = 0; i < LEN(types); i++)
			if (n == strlen(types[i]) &&
			    strncasecmp(p, types[i], n) == 0)
				break;
		if (i == LEN(types) || (seen & 1u << i) != 0)
			return false;
		if (seen != 0)
			strcat(list, ",");
		strcat(list, types[i]);
		seen |= 1u << i;
		p += n;
	}
	if (seen == 0)
		return false;
	strcpy(dst, list);
	return true;
}

static void *
field(struct config *c, const struct config_key *key)
{
	return (char *)c + key->off;
}

static const void *
const_field(const struct config *c, const struct config_key *key)
{
	return (const char *)c + key->off;
}

static bool
set_key(struct config *c, const struct config_key *key, const char *value,
    char *err, size_t errlen)
{
	void *dst = field(c, key);

	switch (key->type) {
	case C_INT:
		return parse_int(key, value, dst, err, errlen);
	case C_BOOL:
		return parse_bool(value, dst) ? true : err_set(err, errlen,
		    "%s: \"%s\" is neither yes nor no", key->name,
		    SHOW(value));
	case C_TRISTATE:
		return parse_tristate(value, dst) ? true : err_set(err, errlen,
		    "%s: \"%s\" is not no, auto or yes", key->name,
		    SHOW(value));
	case C_IPV4:
		return config_ipv4(value, dst) ? true : err_set(err, errlen,
		    "%s: \"%s\" is not an IPv4 address", key->name,
		    SHOW(value));
	case C_AUTHTYPES:
		return parse_authtypes(value, dst) ? true : err_set(err,
		    errlen, "%s: \"%s\" is not a list of chap and pap",
		    key->name, SHOW(value));
	case C_STRING:
	case C_SECRET:
		return parse_text(key, value, dst, err, errlen);
	}
	return err_set(err, errlen, "%s: cannot be set", key->name);
}

static bool
log_file_ok(const void *value)
{
	const char *s = value;

	return *s == '\0' || *s == '/' || strncmp(s, "syslog:", 7) == 0;
}

static bool
absolute_path(const void *value)
{
	const char *s = value;

	return *s == '\0' || *s == '/';
}

static bool
path_required(const void *value)
{
	return *(const char *)value == '/';
}

static bool
device_name(const void *value)
{
	const char *s = value;

	return strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
	    strpbrk(s, "/: %") == NULL;
}

static bool
multicast_group(const void *value)
{
	return *(const uint32_t *)value >> 28 == 14;
}

/* RFC 2869 5.16: "MUST NOT be smaller than 60". */
static bool
interim_interval(const void *value)
{
	int64_t n = *(const int64_t *)value;

	return n == 0 || n >= 60;
}

/* RFC 4271 4.2: "zero or at least three seconds". */
static bool
bgp_hold_ok(const void *value)
{
	int64_t n = *(const int64_t *)value;

	return n == 0 || n >= 3;
}

/*
 * The address of a host, or a name; 10.1 and the like would be looked up as
 * addresses that nobody meant.
 */
static bool
bgp_peer_ok(const void *value)
{
	const char *s = value;
	uint32_t addr;

	if (config_ipv4(s, &addr))
		return addr >> 24 != 0 && addr >> 29 != 7;
	return *s == '\0' || (s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] == '\0' &&
	    s[strspn(s, "0123456789.")] != '\0' && *s != '-');
}

/* What type and range of a row cannot say of its values. */
static const struct rule {
	const char *name;
	bool (*ok)(const void *value);
	const char *why;
} rules[] = {
	{ "log_file", log_file_ok,
	  "neither an absolute path nor syslog:FACILITY" },
	{ "pid_file", absolute_path, "not an absolute path" },
	{ "accounting_dir", absolute_path, "not an absolute path" },
	{ "state_file", path_required, "not an absolute path" },
	{ "plugin_dir", path_required, "not an absolute path" },
	{ "tundevicename", device_name, "no name of a device" },
	{ "cluster_address", multicast_group, "not a multicast group" },
	{ "radius_interim", interim_interval, "neither 0 nor at least 60" },
	{ "bgp_hold_time", bgp_hold_ok, "neither 0 nor at least 3" },
	{ "bgp_peer1", bgp_peer_ok, "no name or address of a host" },
	{ "bgp_peer2", bgp_peer_ok, "no name or address of a host" },
};

/* A value that fits its row is tried on a copy by the rule that it has. */
static bool
check_rule(const struct config *c, const struct config_key *key,
    const char *value, char *err, size_t errlen)
{
	static struct config try;

	for (size_t i = 0; i < LEN(rules); i++) {
		if (strcmp(rules[i].name, key->name) != 0)
			continue;
		try = *c;
		if (!set_key(&try, key, value, err, errlen))
			return false;
		if (!rules[i].ok(const_field(&try, key)))
			return err_set(err, errlen, "%s: \"%s\" is %s",
			    key->name, SHOW(value), rules[i].why);
	}
	return true;
}

bool
config_set(struct config *c, const char *name, const char *value, char *err,
    size_t errlen)
{
	const struct config_key *key = config_find(name);
	const struct config_legacy *old;

	if (key != NULL)
		return check_rule(c, key, value, err, errlen) &&
		    set_key(c, key, value, err, errlen);
	old = find_legacy(name);
	if (old != NULL)
		return err_set(err, errlen, "%s does nothing here: %s",
		    old->name, old->why);
	return err_set(err, errlen, "unknown key \"%s\"", SHOW(name));
}

void
config_defaults(struct config *c)
{
	char err[128];

	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < config_keys_n; i++)
		set_key(c, &config_keys[i], config_keys[i].dflt, err,
		    sizeof(err));
}

/*
 * Quotes so that config_words() gives the same text back: by " if there is
 * none in it, else in pieces, each by the quote that it does not contain.
 */
static void
print_quoted(const char *s, char *dst, size_t size)
{
	size_t n = 0;

	do {
		size_t run = strcspn(s, "\"");
		char quote = '"';

		if (run == 0 && *s != '\0') {
			quote = '\'';
			run = strcspn(s, "'");
		}
		n += (size_t)snprintf(dst + n, size - n, "%c%.*s%c", quote,
		    (int)run, s, quote);
		s += run;
	} while (*s != '\0' && n < size);
}

char *
config_print(const struct config *c, const struct config_key *key,
    bool secrets, char *dst, size_t size)
{
	static const char *const tristate[] = { "no", "auto", "yes" };
	const void *src = const_field(c, key);
	uint32_t a;

	if (size == 0)
		return dst;
	switch (key->type) {
	case C_INT:
		snprintf(dst, size, "%" PRId64, *(const int64_t *)src);
		break;
	case C_BOOL:
		snprintf(dst, size, "%s", *(const bool *)src ? "yes" : "no");
		break;
	case C_TRISTATE:
		snprintf(dst, size, "%s", tristate[*(const int64_t *)src]);
		break;
	case C_IPV4:
		a = *(const uint32_t *)src;
		snprintf(dst, size, "%u.%u.%u.%u", a >> 24, a >> 16 & 255,
		    a >> 8 & 255, a & 255);
		break;
	case C_AUTHTYPES:
		snprintf(dst, size, "%s", (const char *)src);
		break;
	case C_SECRET:
		if (!secrets && *(const char *)src != '\0')
			src = SECRET_MASK;
		print_quoted(src, dst, size);
		break;
	case C_STRING:
		print_quoted(src, dst, size);
		break;
	}
	return dst;
}

/*
 * router bgp
 */

/* Numbers of lines that follow `router bgp`; the whole word, within bounds. */
static bool
parse_number(const char *what, const char *word, int64_t min, int64_t max,
    int64_t *n, char *err, size_t errlen)
{
	const struct config_key key = { .name = what, .min = min, .max = max };

	return parse_int(&key, word, n, err, errlen);
}

static struct config_neighbour *
find_neighbour(struct config *c, const char *name)
{
	for (size_t i = 0; i < c->neighbours_n; i++)
		if (strcmp(c->neighbours[i].name, name) == 0)
			return &c->neighbours[i];
	return NULL;
}

static struct config_neighbour *
new_neighbour(struct config *c, const char *name)
{
	struct config_neighbour *n = &c->neighbours[c->neighbours_n++];

	memset(n, 0, sizeof(*n));
	snprintf(n->name, sizeof(n->name), "%s", name);
	return n;
}

static bool
neighbour_as(struct config *c, const char *name, const char *word, char *err,
    size_t errlen)
{
	struct config_neighbour *n = find_neighbour(c, name);
	int64_t as;

	if (name[0] == '\0' || strlen(name) >= sizeof(n->name) ||
	    !bgp_peer_ok(name))
		return err_set(err, errlen, "neighbour: \"%s\" is no name or "
		    "address of a host", SHOW(name));
	if (n == NULL && c->neighbours_n == CONFIG_NEIGHBOURS)
		return err_set(err, errlen, "more than %d neighbours",
		    CONFIG_NEIGHBOURS);
	if (!parse_number("remote-as", word, 1, UINT32_MAX, &as, err, errlen))
		return false;
	if (n == NULL)
		n = new_neighbour(c, name);
	n->as = (uint32_t)as;
	return true;
}

static bool
neighbour_timers(struct config_neighbour *n, char *const *words, char *err,
    size_t errlen)
{
	int64_t keepalive, hold;

	/* Without a hold time there are no KEEPALIVEs: `timers 0 0`. */
	if (!parse_number("timers", words[1], 0, 65535, &hold, err, errlen) ||
	    !parse_number("timers", words[0], hold != 0, 21845, &keepalive,
	    err, errlen))
		return false;
	if (!bgp_hold_ok(&hold))
		return err_set(err, errlen, "timers: a hold time of %" PRId64
		    " is neither 0 nor at least 3", hold);
	n->timers = true;
	n->keepalive = (uint16_t)keepalive;
	n->hold = (uint16_t)hold;
	return true;
}

static bool
neighbour_source(struct config_neighbour *n, const char *word, char *err,
    size_t errlen)
{
	uint32_t addr;

	if (!config_ipv4(word, &addr))
		return err_set(err, errlen, "update-source: \"%s\" is not an "
		    "IPv4 address", SHOW(word));
	n->update_source = addr;
	return true;
}

static bool
neighbour_password(struct config_neighbour *n, const char *word, char *err,
    size_t errlen)
{
	const struct config_key key = { .name = "password", .type = C_SECRET,
	    .max = BGP_PASSWORD };

	return parse_text(&key, word, n->password, err, errlen);
}

/* What is said of a neighbour besides its AS: the words behind its name. */
static bool
neighbour_option(struct config_neighbour *n, int count, char *const *words,
    char *err, size_t errlen)
{
	if (strcmp(words[0], "timers") == 0 && count == 3)
		return neighbour_timers(n, words + 1, err, errlen);
	if (strcmp(words[0], "update-source") == 0 && count == 2)
		return neighbour_source(n, words[1], err, errlen);
	if (strcmp(words[0], "password") == 0 && count == 2)
		return neighbour_password(n, words[1], err, errlen);
	if (strcmp(words[0], "ttl-security") == 0 && count == 1) {
		n->ttl_security = true;
		return true;
	}
	return err_set(err, errlen, "a line is `neighbour PEER remote-as AS`, "
	    "`timers KEEPALIVE HOLD`, `update-source ADDRESS`, `password "
	    "SECRET` or `ttl-security`");
}

/* `no neighbour X timers` and the like: as if it had not been said. */
static bool
neighbour_forget(struct config_neighbour *n, const char *word, char *err,
    size_t errlen)
{
	if (strcmp(word, "timers") == 0)
		n->timers = false;
	else if (strcmp(word, "update-source") == 0)
		n->update_source = 0;
	else if (strcmp(word, "password") == 0)
		memset(n->password, 0, sizeof(n->password));
	else if (strcmp(word, "ttl-security") == 0)
		n->ttl_security = false;
	else
		return err_set(err, errlen, "a neighbour has no \"%s\" that can "
		    "be taken away", SHOW(word));
	return true;
}

static bool
no_neighbour(struct config *c, int n, char *const *words, char *err,
    size_t errlen)
{
	struct config_neighbour *old = find_neighbour(c, words[0]);

	if (old == NULL)
		return err_set(err, errlen, "there is no neighbour \"%s\"",
		    SHOW(words[0]));
	if (n > 1 && strcmp(words[1], "remote-as") != 0)
		return neighbour_forget(old, words[1], err, errlen);
	memmove(old, old + 1, (size_t)(c->neighbours + --c->neighbours_n -
	    old) * sizeof(*old));
	memset(&c->neighbours[c->neighbours_n], 0, sizeof(*old));
	return true;
}

/* 0 is no BGP, as in as_number: so neighbours can be kept for later. */
static bool
router_bgp(struct config *c, const char *word, char *err, size_t errlen)
{
	int64_t as;

	if (!parse_number("router bgp", word, 0, UINT32_MAX, &as, err, errlen))
		return false;
	c->as_number = as;
	return true;
}

static void
no_router_bgp(struct config *c)
{
	c->as_number = 0;
	memset(c->neighbours, 0, sizeof(c->neighbours));
	c->neighbours_n = 0;
}

static bool
is_neighbour(const char *word)
{
	return strcmp(word, "neighbour") == 0 || strcmp(word, "neighbor") == 0;
}

static bool
is_router_bgp(int n, char *const *words)
{
	return n >= 2 && strcmp(words[0], "router") == 0 &&
	    strcmp(words[1], "bgp") == 0;
}

bool
config_router(struct config *c, int n, char *const *words, char *err,
    size_t errlen)
{
	struct config_neighbour *known;

	if (n == 3 && is_router_bgp(n, words))
		return router_bgp(c, words[2], err, errlen);
	if (n >= 3 && strcmp(words[0], "no") == 0 &&
	    is_router_bgp(n - 1, words + 1)) {
		no_router_bgp(c);
		return true;
	}
	if (n >= 3 && strcmp(words[0], "no") == 0 && is_neighbour(words[1]))
		return no_neighbour(c, n - 2, words + 2, err, errlen);
	if (n < 3 || !is_neighbour(words[0]))
		return err_set(err, errlen, "a line is `router bgp AS`, "
		    "`neighbour PEER remote-as AS` or `no neighbour PEER`");
	if (n == 4 && strcmp(words[2], "remote-as") == 0)
		return neighbour_as(c, words[1], words[3], err, errlen);
	known = find_neighbour(c, words[1]);
	if (known == NULL)
		return err_set(err, errlen, "neighbour %s: say its remote-as "
		    "first", SHOW(words[1]));
	return neighbour_option(known, n - 2, words + 2, err, errlen);
}

/* The jth line of a neighbour; false past the last. */
static bool
neighbour_line(const struct config_neighbour *n, size_t j, bool secrets,
    char *dst, size_t size)
{
	char secret[CONFIG_PRINTED];
	uint32_t a = n->update_source;

	if (j-- == 0)
		snprintf(dst, size, "neighbour %s remote-as %u", n->name,
		    n->as);
	else if (n->timers && j-- == 0)
		snprintf(dst, size, "neighbour %s timers %u %u", n->name,
		    n->keepalive, n->hold);
	else if (a != 0 && j-- == 0)
		snprintf(dst, size, "neighbour %s update-source %u.%u.%u.%u",
		    n->name, a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
	else if (n->ttl_security && j-- == 0)
		snprintf(dst, size, "neighbour %s ttl-security", n->name);
	else if (n->password[0] != '\0' && j-- == 0) {
		print_quoted(secrets ? n->password : SECRET_MASK, secret,
		    sizeof(secret));
		snprintf(dst, size, "neighbour %s password %s", n->name,
		    secret);
	} else
		return false;
	return true;
}

#define NEIGHBOUR_LINES	5

bool
config_router_line(const struct config *c, size_t i, bool secrets, char *dst,
    size_t size)
{
	if (c->neighbours_n == 0)
		return false;
	if (i-- == 0) {
		snprintf(dst, size, "router bgp %" PRId64, c->as_number);
		return true;
	}
	for (size_t k = 0; k < c->neighbours_n; k++)
		for (size_t j = 0; j < NEIGHBOUR_LINES; j++) {
			if (!neighbour_line(&c->neighbours[k], j, secrets, dst,
			    size))
				break;
			if (i-- == 0)
				return true;
		}
	snprintf(dst, size, "exit");
	return i == 0;
}

/*
 * Files
 */

/* At most max bytes from fd; NULL with errno set, EFBIG if there are more. */
static char *
read_all(int fd, size_t max, size_t *len)
{
	size_t size = 0, n = 0;
	char *text = NULL;

	for (;;) {
		ssize_t got;

		if (n + 1 >= size) {
			char *more = realloc(text, size = size * 2 + 4096);

			if (more == NULL)
				break;
			text = more;
		}
		got = read(fd, text + n, size - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		if (got == 0) {
			text[n] = '\0';
			*len = n;
			return text;
		}
		n += (size_t)got;
		if (n > max) {
			errno = EFBIG;
			break;
		}
	}
	free(text);
	return NULL;
}

char *
config_read(const char *path, size_t max, size_t *len, config_fault_fn *fault,
    void *arg)
{
	struct config_report r = { .file = path, .fn = fault, .arg = arg };
	struct stat st;
	char *text = NULL;
	int fd;

	/* Not blocking: the name may be a FIFO that nobody writes to. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		config_fault(&r, 0, "cannot be read: %s", strerror(errno));
		return NULL;
	}
	if (fstat(fd, &st) < 0)
		config_fault(&r, 0, "cannot be read: %s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		config_fault(&r, 0, "is not a regular file");
	else if ((text = read_all(fd, max, len)) == NULL && errno == EFBIG)
		config_fault(&r, 0, "is over %zu KiB", max / 1024);
	else if (text == NULL)
		config_fault(&r, 0, "cannot be read: %s", strerror(errno));
	close(fd);
	return text;
}

/* Blanks as they come in a file: a CR is the end of a line from elsewhere. */
static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* What some editors put in front of UTF-8, which has no byte order. */
static void
skip_byte_order_mark(struct config_lines *l)
{
	if (l->number == 0 && l->end - l->next >= 3 &&
	    memcmp(l->next, "\xef\xbb\xbf", 3) == 0)
		l->next += 3;
}

char *
config_next_line(struct config_lines *l, struct config_report *r)
{
	skip_byte_order_mark(l);
	while (l->next < l->end) {
		char *line = l->next, *eol;

		eol = memchr(line, '\n', (size_t)(l->end - line));
		if (eol == NULL)
			eol = l->end;
		l->next = eol < l->end ? eol + 1 : eol;
		l->number++;
		if (eol - line > CONFIG_LINE) {
			config_fault(r, l->number, "line is over %d bytes",
			    CONFIG_LINE);
			continue;
		}
		if (memchr(line, '\0', (size_t)(eol - line)) != NULL) {
			config_fault(r, l->number,
			    "line has a NUL byte in it");
			continue;
		}
		while (line < eol && blank(*line))
			line++;
		while (line < eol && blank(eol[-1]))
			eol--;
		*eol = '\0';
		if (*line != '\0' && *line != '#' && *line != '!')
			return line;
	}
	return NULL;
}

/*
 * The end of the word that begins at p, or NULL with a reason.  Writes the
 * word without its quotes to dst (which may be p), and a NUL, unless dst is
 * NULL.
 */
static char *
word_end(char *p, char *dst, const char **reason)
{
	char *close;

	if (*p != '"' && *p != '\'') {
		for (; *p != '\0' && !blank(*p); p++)
			if (dst != NULL)
				*dst++ = *p;
		close = p;
	} else
		for (close = p; *close == '"' || *close == '\''; close++) {
			p = close + 1;
			close = strchr(p, *close);
			if (close == NULL) {
				*reason = "a quote is not closed";
				return NULL;
			}
			if (dst != NULL) {
				memmove(dst, p, (size_t)(close - p));
				dst += close - p;
			}
		}
	if (*close != '\0' && !blank(*close)) {
		*reason = "something follows a closing quote";
		return NULL;
	}
	if (dst != NULL && dst < close)
		*dst = '\0';
	return close;
}

int
config_words(char *line, char **words, int max, const char **reason)
{
	int n = 0;

	for (char *p = line, *end; max > 0; p = end) {
		while (blank(*p))
			p++;
		if (*p == '\0')
			break;
		words[n++] = p;
		end = word_end(p, NULL, reason);
		if (end == NULL)
			return -1;
		if (n == max) {
			char *rest = end;

			while (blank(*rest))
				rest++;
			if (*rest != '\0')
				break;	/* more than max: as they stand */
		}
		if (*end != '\0') {
			*end = '\0';
			word_end(p, p, reason);
			end++;
		} else
			word_end(p, p, reason);
	}
	return n;
}

/*
 * startup-config
 */

/* The lines of the last file read that set each key; 0: it was not set. */
static unsigned int set_at[LEN(config_keys)];

/*
 * Blocks of other releases: a line that opens one, and what may follow it.
 * Each is warned of once, and does nothing.
 */
static const struct block {
	const char *head[2];		/* first words of the line */
	const char *within[4];		/* first words of those that follow */
	const char *why;
} blocks[] = {
	{ { "ip", "access-list" }, { "permit", "deny", "no", "exit" },
	  "this release filters nobody's packets" },
	{ { "setforward", NULL }, { NULL }, "there is no LAC mode" },
};

struct startup {
	struct config *c;
	struct config_plugin *plugins;
	size_t *nplugins;
	const struct block *block;	/* the lines before opened it */
	bool router;			/* and this: `router bgp` */
	struct config_report r;
};

static void
do_set(struct startup *s, unsigned int line, char **words, int n)
{
	char err[256];

	if (n != 3)
		config_fault(&s->r, line, "a line is `set KEY VALUE`; a value "
		    "with blanks needs quotes");
	else if (find_legacy(words[1]) != NULL)
		config_warn(&s->r, line, "%s does nothing here: %s", words[1],
		    find_legacy(words[1])->why);
	else if (!config_set(s->c, words[1], words[2], err, sizeof(err)))
		config_fault(&s->r, line, "%s", err);
	else
		set_at[config_find(words[1]) - config_keys] = line;
}

/* The name becomes a part of a path, so it must not be a path itself. */
static bool
plugin_name_ok(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return n > 0 && name[n] == '\0' &&
	    n < sizeof(((struct config_plugin *)0)->name);
}

static void
do_load(struct startup *s, unsigned int line, char **words, int n)
{
	if (n != 3 || strcmp(words[1], "plugin") != 0) {
		config_fault(&s->r, line, "a line is `load plugin NAME`");
		return;
	}
	if (!plugin_name_ok(words[2])) {
		config_fault(&s->r, line, "\"%s\" is no name of a plugin",
		    SHOW(words[2]));
		return;
	}
	if (s->plugins == NULL || s->nplugins == NULL)
		return;
	for (size_t i = 0; i < *s->nplugins; i++)
		if (strcmp(s->plugins[i].name, words[2]) == 0) {
			config_warn(&s->r, line, "plugin %s is named twice, "
			    "and loaded once", words[2]);
			return;
		}
	if (*s->nplugins == CONFIG_PLUGINS) {
		config_fault(&s->r, line, "more than %d plugins",
		    CONFIG_PLUGINS);
		return;
	}
	strcpy(s->plugins[(*s->nplugins)++].name, words[2]);
}

static bool
is_within(const struct block *b, const char *word)
{
	for (size_t i = 0; b != NULL && i < LEN(b->within); i++)
		if (b->within[i] != NULL && strcmp(word, b->within[i]) == 0)
			return true;
	return false;
}

/* A line of a block, which may be the one that opens it. */
static bool
in_block(struct startup *s, unsigned int line, char **words, int n)
{
	if (is_within(s->block, words[0]))
		return true;
	s->block = NULL;
	for (size_t i = 0; i < LEN(blocks) && s->block == NULL; i++)
		if (strcmp(words[0], blocks[i].head[0]) == 0 &&
		    (blocks[i].head[1] == NULL ||
		    (n > 1 && strcmp(words[1], blocks[i].head[1]) == 0)))
			s->block = &blocks[i];
	if (s->block != NULL)
		config_warn(&s->r, line, "%s%s%s does nothing here: %s",
		    s->block->head[0], s->block->head[1] != NULL ? " " : "",
		    s->block->head[1] != NULL ? s->block->head[1] : "",
		    s->block->why);
	return s->block != NULL;
}

/* `router bgp`, and what follows it up to a line of another kind. */
static bool
in_router(struct startup *s, unsigned int line, char **words, int n)
{
	bool head = is_router_bgp(n, words);
	char err[256];

	if (!head && (!s->router || (!is_neighbour(words[0]) &&
	    strcmp(words[0], "no") != 0 && strcmp(words[0], "exit") != 0))) {
		s->router = false;
		return false;
	}
	s->router = head || strcmp(words[0], "exit") != 0;
	if (!s->router)
		return true;
	s->block = NULL;
	if (!config_router(s->c, n, words, err, sizeof(err)))
		config_fault(&s->r, line, "%s", err);
	else if (head)
		set_at[config_find("as_number") - config_keys] = line;
	return true;
}

static void
do_line(struct startup *s, unsigned int number, char *line)
{
	const char *reason = NULL;
	char *words[8];
	int n = config_words(line, words, LEN(words), &reason);

	if (n > 0 && (in_router(s, number, words, n) ||
	    in_block(s, number, words, n)))
		return;
	if (n < 0)
		config_fault(&s->r, number, "%s", reason);
	else if (strcmp(words[0], "set") == 0)
		do_set(s, number, words, n);
	else if (strcmp(words[0], "load") == 0)
		do_load(s, number, words, n);
	else
		config_fault(&s->r, number, "\"%s\" is neither `set` nor "
		    "`load plugin`", SHOW(words[0]));
}

int
config_parse(struct config *c, const char *file, char *text, size_t len,
    struct config_plugin *plugins, size_t *nplugins, config_fault_fn *fault,
    void *arg)
{
	struct startup s = {
		.c = c, .plugins = plugins, .nplugins = nplugins,
		.r = { .file = file, .fn = fault, .arg = arg },
	};
	struct config_lines lines = { .next = text, .end = text + len };
	char *line;

	if (nplugins != NULL)
		*nplugins = 0;
	memset(set_at, 0, sizeof(set_at));
	while ((line = config_next_line(&lines, &s.r)) != NULL)
		do_line(&s, lines.number, line);
	return s.r.faults;
}

int
config_load(struct config *c, const char *path, struct config_plugin *plugins,
    size_t *nplugins, config_fault_fn *fault, void *arg)
{
	size_t len;
	char *text = config_read(path, FILE_MAX, &len, fault, arg);
	int faults;

	if (text == NULL)
		return -1;
	faults = config_parse(c, path, text, len, plugins, nplugins, fault,
	    arg);
	free(text);
	return faults;
}

/*
 * Relations between keys
 */

/* Where a key, or the later one of two, was set; 0: nowhere. */
static unsigned int
line_of(const char *a, const char *b)
{
	unsigned int la = set_at[config_find(a) - config_keys], lb = 0;

	if (b != NULL)
		lb = set_at[config_find(b) - config_keys];
	return la > lb ? la : lb;
}

static void
check_radius(const struct config *c, struct config_report *r)
{
	bool any = c->primary_radius != 0 || c->secondary_radius != 0;

	if (any && c->radius_secret[0] == '\0')
		config_fault(r, line_of("primary_radius", "secondary_radius"),
		    "there is a RADIUS server, but no radius_secret: "
		    "nobody can log in");
	if (c->radius_accounting && !any)
		config_warn(r, line_of("radius_accounting", NULL),
		    "radius_accounting needs primary_radius");
	if (c->primary_radius != 0 &&
	    c->primary_radius == c->secondary_radius &&
	    c->primary_radius_port == c->secondary_radius_port)
		config_warn(r, line_of("primary_radius", "secondary_radius"),
		    "primary_radius and secondary_radius are the same "
		    "server");
}

static void
check_cluster(const struct config *c, struct config_report *r)
{
	int64_t least = 3 * c->cluster_hb_interval;
	size_t n = strlen(c->cluster_secret);

	if (c->cluster_hb_timeout < least)
		config_fault(r, line_of("cluster_hb_timeout",
		    "cluster_hb_interval"), "cluster_hb_timeout %" PRId64
		    " is too short for cluster_hb_interval %" PRId64
		    ": at least %" PRId64, c->cluster_hb_timeout, c->cluster_hb_interval,
		    least);
	if (n > 0 && n < CLUSTER_SECRET_GOOD)
		config_warn(r, line_of("cluster_secret", NULL),
		    "cluster_secret has %zu characters: under %d it may be "
		    "guessed", n, CLUSTER_SECRET_GOOD);
	if (n > 0 && c->cluster_address != 0 && c->bind_address == 0)
		config_warn(r, line_of("cluster_secret", "bind_address"),
		    "a cluster needs a bind_address, by which LACs know all "
		    "its members");
}

static void
check_bgp(const struct config *c, struct config_report *r)
{
	if (c->as_number == 0 &&
	    (c->bgp_peer1[0] != '\0' || c->bgp_peer2[0] != '\0'))
		config_warn(r, line_of("bgp_peer1", "bgp_peer2"),
		    "bgp_peer1 and bgp_peer2 need as_number");
	else if (c->as_number == 0 && c->neighbours_n > 0)
		config_warn(r, line_of("as_number", NULL),
		    "neighbours need as_number");
	if (c->bgp_peer1[0] != '\0' && strcmp(c->bgp_peer1,
	    c->bgp_peer2) == 0)
		config_warn(r, line_of("bgp_peer1", "bgp_peer2"),
		    "bgp_peer1 and bgp_peer2 are the same neighbour");
	for (size_t i = 0; i < c->neighbours_n; i++)
		if (strcmp(c->neighbours[i].name, c->bgp_peer1) == 0 ||
		    strcmp(c->neighbours[i].name, c->bgp_peer2) == 0)
			config_warn(r, line_of("bgp_peer1", "bgp_peer2"),
			    "neighbour %s is bgp_peer1 or bgp_peer2 too, which "
			    "counts", c->neighbours[i].name);
}

/* Who sees one signed request can try secrets at home. */
static void
check_nsctl(const struct config *c, struct config_report *r)
{
	size_t n = strlen(c->nsctl_secret);

	if (n > 0 && n < NSCTL_SECRET_GOOD)
		config_warn(r, line_of("nsctl_secret", NULL), "nsctl_secret "
		    "has %zu characters: under %d it may be guessed", n,
		    NSCTL_SECRET_GOOD);
}

int
config_check(const struct config *c, const char *file, config_fault_fn *fault,
    void *arg)
{
	struct config_report r = { .file = file, .fn = fault, .arg = arg };

	if (c->l2tp_require_secret && c->l2tp_secret[0] == '\0')
		config_fault(&r, line_of("l2tp_require_secret", "l2tp_secret"),
		    "l2tp_require_secret needs l2tp_secret: no tunnel "
		    "can come up");
	if (c->idle_echo_timeout < c->echo_timeout)
		config_fault(&r, line_of("idle_echo_timeout", "echo_timeout"),
		    "idle_echo_timeout %" PRId64 " is under echo_timeout "
		    "%" PRId64, c->idle_echo_timeout, c->echo_timeout);
	if (c->peer_address != 0 && c->peer_address == c->bind_address)
		config_warn(&r, line_of("peer_address", "bind_address"),
		    "peer_address is bind_address: Linux subscribers will "
		    "route the tunnel into itself");
	check_radius(c, &r);
	check_cluster(c, &r);
	check_bgp(c, &r);
	check_nsctl(c, &r);
	return r.faults;
}
