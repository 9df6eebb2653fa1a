/*
 * config.h - the key table: parse, print, check, document
 *
 * One row a key (config_keys[] in config.c) is the whole truth: the parser of
 * startup-config, `set`, `show running-config`, `write memory`, the man page
 * table and the tests all walk that table.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_type {
	C_INT,		/* int64_t, with min and max */
	C_BOOL,		/* bool: yes no true false on off 1 0 */
	C_IPV4,		/* uint32_t, host byte order; 0.0.0.0 is unset */
	C_STRING,	/* char[CONFIG_STRING] */
	C_SECRET,	/* as C_STRING; masked unless asked for */
	C_AUTHTYPES,	/* C_STRING holding a list of `chap` and `pap` */
	C_TRISTATE	/* int: enum config_tristate; no auto yes */
};

enum config_when {
	LIVE,		/* a new value holds at once */
	RESTART		/* read at start only */
};

enum config_tristate { TRI_NO, TRI_AUTO, TRI_YES };

#define CONFIG_STRING	256

struct config_key {
	const char *name;
	size_t off, size;	/* in struct config */
	enum config_type type;
	enum config_when when;
	const char *dflt;	/* as it would be typed */
	int64_t min, max;	/* C_INT: range; strings: max is the longest */
	const char *unit;	/* "s", "ms", "kbit/s", "" ... */
	const char *help;
};

extern const struct config_key config_keys[];
extern const size_t config_keys_n;

/*
 * Names that startup-configs of other releases may hold and that mean nothing
 * here: config_set() refuses them with the reason, in a file they are worth a
 * warning.
 */
struct config_legacy { const char *name, *why; };
extern const struct config_legacy config_legacy[];
extern const size_t config_legacy_n;

/* One of the `neighbour` lines that follow `router bgp`. */
#define CONFIG_NEIGHBOURS	30
struct config_neighbour {
	char name[CONFIG_STRING];	/* or address */
	uint32_t as;
	bool timers;			/* has its own: */
	uint16_t keepalive, hold;	/* s */
	uint32_t update_source;		/* host byte order; 0: any */
	bool ttl_security;
	char password[CONFIG_STRING];
};

struct config {
	/* the manual's keys, in the manual's order */
	int64_t debug;
	char log_file[CONFIG_STRING];
	char l2tp_secret[CONFIG_STRING];
	uint32_t primary_dns, secondary_dns;
	bool save_state;
	uint32_t primary_radius, secondary_radius;
	bool radius_accounting;
	char radius_secret[CONFIG_STRING];
	uint32_t bind_address;
	bool send_garp;
	int64_t throttle_speed;
	char accounting_dir[CONFIG_STRING];
	int64_t setuid;
	bool dump_speed;
	int64_t cleanup_interval;
	int64_t multi_read_count;
	bool scheduler_fifo, lock_pages;
	int64_t icmp_rate;
	uint32_t cluster_address;
	char cluster_interface[CONFIG_STRING];
	int64_t cluster_hb_interval, cluster_hb_timeout;	/* 0.1 s */
	int64_t as_number;
	char bgp_peer1[CONFIG_STRING];
	int64_t bgp_peer1_as;
	char bgp_peer2[CONFIG_STRING];
	int64_t bgp_peer2_as;
	uint32_t snoop_host;
	int64_t snoop_port;
	/* with the names that l2tpns 2.4 uses */
	char hostname[CONFIG_STRING];
	int64_t accounting_interval;	/* s */
	char state_file[CONFIG_STRING];
	int64_t state_max_age;		/* s */
	char pid_file[CONFIG_STRING];
	uint32_t peer_address, iftun_address;
	char tundevicename[CONFIG_STRING];
	int64_t l2tp_mtu;
	int64_t primary_radius_port, secondary_radius_port;
	char radius_authtypes[CONFIG_STRING];
	int64_t radius_interim;
	bool allow_duplicate_users;
	int64_t echo_timeout, idle_echo_timeout;
	int64_t ppp_restart_time, ppp_max_configure, ppp_max_failure;
	int64_t packet_limit;
	uint32_t cli_bind_address;
	/* our own */
	bool l2tp_require_secret;
	int64_t l2tp_window;		/* receive window we advertise */
	int64_t l2tp_hello_interval;	/* s */
	int64_t l2tp_retries;
	int64_t l2tp_sccrq_rate;	/* SCCRQs a second and source */
	int64_t l2tp_icrq_rate;		/* ICRQs a second and tunnel */
	int64_t max_sessions, max_tunnels, max_starting;
	int64_t radius_require_message_authenticator;	/* config_tristate */
	int64_t radius_max_outstanding;
	int64_t radius_accounting_queue;	/* records kept at most */
	int64_t cli_port;
	int64_t cli_idle_timeout;		/* s */
	int64_t socket_buffer;			/* bytes */
	bool offload;
	int64_t nsctl_port;
	char nsctl_secret[CONFIG_STRING], nsctl_secret_old[CONFIG_STRING];
	char plugin_dir[CONFIG_STRING];
	char bgp_peer1_password[CONFIG_STRING];
	bool bgp_peer1_ttl_security;
	char bgp_peer2_password[CONFIG_STRING];
	bool bgp_peer2_ttl_security;
	int64_t bgp_keepalive_time, bgp_hold_time;	/* s */
	/* what is no key: `router bgp` */
	struct config_neighbour neighbours[CONFIG_NEIGHBOURS];
	size_t neighbours_n;
	/* of the cluster: three with the names of l2tpns 2.4 */
	int64_t cluster_port, cluster_mcast_ttl, cluster_master_min_adv;
	char cluster_secret[CONFIG_STRING];
	bool cluster_insecure;
	int64_t cluster_start_wait;	/* 0.1 s */
};

/* Fills in every default. */
void config_defaults(struct config *);

/* The row of that name, or NULL. */
const struct config_key *config_find(const char *name);

/*
 * Sets key to value in *c.  False, *c untouched, and a sentence in err when
 * the key is unknown or the value does not fit its row.
 */
bool config_set(struct config *, const char *key, const char *value,
    char *err, size_t errlen);

/*
 * Prints the value of a row as it would be typed after `set KEY ` (strings
 * quoted, so that it reads back the same).  Secrets come as "****" unless
 * `secrets`.  No value needs more than CONFIG_PRINTED bytes.  Returns dst.
 */
#define CONFIG_PRINTED	(3 * CONFIG_STRING)
char *config_print(const struct config *, const struct config_key *,
    bool secrets, char *dst, size_t size);

/*
 * One line of those about BGP neighbours, in words: `router bgp AS`, `no router
 * bgp`, `neighbour X remote-as AS`, `neighbour X timers K H`, `neighbour X
 * update-source A`, `neighbour X password P`, `neighbour X ttl-security`, `no
 * neighbour X [WORD]`.  False, *c untouched, and a sentence in err when it is
 * none of these.
 */
bool config_router(struct config *, int n, char *const *words, char *err,
    size_t errlen);

/*
 * The same lines for what is configured, number i from 0, as they would be
 * typed; false past the end.
 */
bool config_router_line(const struct config *, size_t i, bool secrets,
    char *dst, size_t size);

/*
 * Called for each fault found in a file, line counting from 1 (0: the whole
 * file); the text has no newline and no control characters.  A text that
 * begins with CONFIG_WARNING is not a fault: it is worth a line in the log,
 * but no function here counts it.
 */
#define CONFIG_WARNING	"warning: "
typedef void config_fault_fn(const char *file, unsigned int line,
    const char *reason, void *arg);

/* What a startup-config asks for besides keys, in order. */
struct config_plugin { char name[65]; };
#define CONFIG_PLUGINS	32

/*
 * Reads a startup-config into *c on top of what it holds.  Each line is
 * blank, a comment (# or !), `set KEY VALUE` with the value bare or quoted
 * by " or ', `load plugin NAME`, or one of `router bgp` and what follows it.
 * A bad line is reported and skipped; the rest is still read.  Lines over 8 KiB
 * are faults.  Returns the number of faults, or -1 with one fault reported and
 * nothing changed when the file cannot be read (not a regular file, over 4 MiB,
 * no permission).  Sets *nplugins, 0 first; plugins has room for
 * CONFIG_PLUGINS, or is NULL.
 */
int config_load(struct config *, const char *path, struct config_plugin *,
    size_t *nplugins, config_fault_fn *, void *arg);

/*
 * The same from memory; `file` is for the faults.  The text is written to,
 * text[len] included.
 */
int config_parse(struct config *, const char *file, char *text, size_t len,
    struct config_plugin *, size_t *nplugins, config_fault_fn *, void *arg);

/*
 * Relations between keys (as a hb_timeout too short): faults, as above, with
 * the line that set one of them in what was read last (0: none did).
 */
int config_check(const struct config *, const char *file, config_fault_fn *,
    void *arg);

/*
 * What every configuration file is read with, ours and the other modules'.
 */

/*
 * A whole regular file of at most max bytes, a NUL after it; the caller frees
 * it.  NULL with one fault reported when that cannot be had.
 */
char *config_read(const char *path, size_t max, size_t *len,
    config_fault_fn *, void *arg);

/* Where faults go, and how many there were.  Past 50 they are only counted. */
struct config_report {
	const char *file;
	config_fault_fn *fn;
	void *arg;
	int faults;	/* warnings not among them */
	int told;
};
void config_fault(struct config_report *, unsigned int line,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void config_warn(struct config_report *, unsigned int line,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * The lines of a text, cut in place: *end must be there to be written to.
 * Set next and end, the rest to zero.
 */
struct config_lines {
	char *next, *end;
	unsigned int number;	/* of the line given last, from 1 */
};

/*
 * The next line that is neither blank nor a comment (# or !), without the
 * blanks around it; NULL at the end.  Lines over CONFIG_LINE bytes, or with a
 * NUL byte in them, are reported and skipped.
 */
#define CONFIG_LINE	8192
char *config_next_line(struct config_lines *, struct config_report *);

/*
 * Splits one line into words in place, honouring quotes; returns their
 * number, or -1 with a reason when a quote is not closed.  Words past max
 * are left together, as they stand, in the last one.  A word is bare, or made
 * of pieces quoted by " or ' with nothing between them; a backslash and a
 * quote in the middle of a bare word stand for themselves.
 */
int config_words(char *line, char **words, int max, const char **reason);

/* "a.b.c.d" to host byte order, strictly; false when it is anything else. */
bool config_ipv4(const char *text, uint32_t *addr);

/* "a.b.c.d/len" or "a.b.c.d" (len 32), strictly. */
bool config_prefix(const char *text, uint32_t *addr, uint8_t *len);

#endif
