/*
 * bgp.c - the announcer: which peers there are, and what they are told
 *
 * The configuration says which peers there shall be; here they are made,
 * changed and removed to be those.  What each of them does is in bgp_peer.c,
 * what all of them announce in bgp_rib.c.
 *
 * Prefixes come from everywhere that makes a route to the subscribers
 * (tun_watch_routes()), from the first moment on; peers are connected to when
 * the server is ready.  Three things decide whether a prefix is announced:
 * whether routes are raised (the cluster's), whether an operator has suspended
 * BGP or this peer, and whether the server is about to end.
 *
 * Owns:     the list of peers; `suspended` and `retired`.
 * Calls:    bgp_peer, bgp_rib; tun for our address.
 * Lifetime: announcing works from the start of the process; peers from
 *           bgp_init() to bgp_exit().
 */
#include "bgp.h"

#include <stdlib.h>
#include <string.h>

#include "bgp_peer.h"
#include "bgp_rib.h"
#include "bgp_wire.h"
#include "l2tpns.h"
#include "log.h"
#include "tun.h"

#define PEERS_MAX	(CONFIG_NEIGHBOURS + 2)
#define CHANGED_MS	1000	/* more may be typed about it */

struct entry {
	struct bgp_peer *bgp;
	bool suspended;			/* this one */
};

static struct entry peers[PEERS_MAX];
static size_t npeers;
static bool running, suspended, retired;

/* --- which peers there shall be ----------------------------------------- */

struct wanted {
	struct bgp_peer_conf conf[PEERS_MAX];
	size_t n;
};

/* Who is named twice is one peer, as named first. */
static void
want(struct wanted *w, const struct config_neighbour *n)
{
	const struct config *c = &lns.config;
	struct bgp_peer_conf *p = &w->conf[w->n];

	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->conf[i].name, n->name) == 0)
			return;
	memset(p, 0, sizeof(*p));
	memcpy(p->name, n->name, sizeof(p->name));
	memcpy(p->password, n->password, sizeof(p->password));
	p->local_as = (uint32_t)c->as_number;
	p->as = n->as != 0 ? n->as : p->local_as;
	p->hold = n->timers ? n->hold : (uint16_t)c->bgp_hold_time;
	p->keepalive = n->timers ? n->keepalive :
	    (uint16_t)c->bgp_keepalive_time;
	p->source = n->update_source;
	p->ttl_security = n->ttl_security;
	w->n++;
}

static void
want_key(struct wanted *w, const char *name, int64_t as, const char *password,
    bool ttl_security)
{
	struct config_neighbour n = { .as = (uint32_t)as,
	    .ttl_security = ttl_security };

	if (name[0] == '\0')
		return;
	memcpy(n.name, name, sizeof(n.name));
	memcpy(n.password, password, sizeof(n.password));
	want(w, &n);
}

static void
want_peers(struct wanted *w)
{
	const struct config *c = &lns.config;

	w->n = 0;
	if (c->as_number == 0)
		return;
	want_key(w, c->bgp_peer1, c->bgp_peer1_as, c->bgp_peer1_password,
	    c->bgp_peer1_ttl_security);
	want_key(w, c->bgp_peer2, c->bgp_peer2_as, c->bgp_peer2_password,
	    c->bgp_peer2_ttl_security);
	for (size_t i = 0; i < c->neighbours_n; i++)
		want(w, &c->neighbours[i]);
}

bool
bgp_configured(void)
{
	const struct config *c = &lns.config;

	return c->as_number != 0 && (c->bgp_peer1[0] != '\0' ||
	    c->bgp_peer2[0] != '\0' || c->neighbours_n > 0);
}

static bool
same_conf(const struct bgp_peer_conf *a, const struct bgp_peer_conf *b)
{
	return strcmp(a->name, b->name) == 0 && a->as == b->as &&
	    a->local_as == b->local_as && a->hold == b->hold &&
	    a->keepalive == b->keepalive && a->source == b->source &&
	    a->ttl_security == b->ttl_security &&
	    strcmp(a->password, b->password) == 0;
}

/* Takes the peer of that name out of a list; .bgp is NULL if there is none. */
static struct entry
take_peer(struct entry *list, size_t n, const char *name)
{
	struct entry none = { NULL, false }, found;

	for (size_t i = 0; i < n; i++)
		if (list[i].bgp != NULL &&
		    strcmp(bgp_peer_conf(list[i].bgp)->name, name) == 0) {
			found = list[i];
			list[i] = none;
			return found;
		}
	return none;
}

/* The peer as it shall be now: the same, or another one in its place. */
static void
put_peer(struct entry p, const struct bgp_peer_conf *conf, uint64_t ms)
{
	if (p.bgp != NULL && !same_conf(bgp_peer_conf(p.bgp), conf)) {
		bgp_peer_free(p.bgp, CEASE_CONFIG_CHANGE);
		p.bgp = NULL;
	}
	if (p.bgp == NULL) {
		p.bgp = bgp_peer_new(conf);
		if (p.bgp == NULL) {
			log_error("bgp %s: out of memory", conf->name);
			return;
		}
		bgp_peer_review(p.bgp, suspended || retired || p.suspended);
		bgp_peer_start(p.bgp, ms);
	}
	peers[npeers++] = p;
}

static void
set_peers(uint64_t ms)
{
	static struct wanted w;
	struct entry old[PEERS_MAX];
	size_t nold = npeers;

	memcpy(old, peers, sizeof(old));
	npeers = 0;
	want_peers(&w);
	for (size_t i = 0; i < w.n; i++)
		put_peer(take_peer(old, nold, w.conf[i].name), &w.conf[i], ms);
	for (size_t i = 0; i < nold; i++)
		if (old[i].bgp != NULL)
			bgp_peer_free(old[i].bgp, CEASE_DECONFIGURED);
	explicit_bzero(&w, sizeof(w));
}

void
bgp_init(void)
{
	running = true;
	bgp_set_router_id(tun_default_address());
	set_peers(0);
}

void
bgp_reconfigure(void)
{
	if (running && !retired)
		set_peers(CHANGED_MS);
}

/* --- what is announced -------------------------------------------------- */

static void
wake_all(void)
{
	for (size_t i = 0; i < npeers; i++)
		bgp_peer_wake(peers[i].bgp);
}

static void
review_all(void)
{
	for (size_t i = 0; i < npeers; i++)
		bgp_peer_review(peers[i].bgp, suspended || retired ||
		    peers[i].suspended);
}

static void
announce(uint32_t addr, uint8_t len, enum rib_kind kind)
{
	static struct log_limit limit;

	if (!rib_add(addr, len, kind))
		log_limited(&limit, LOG_L_ERROR, 0, 0, "bgp: no memory to "
		    "announce a route");
	wake_all();
}

static void
withdraw(uint32_t addr, uint8_t len, enum rib_kind kind)
{
	rib_sub(addr, len, kind);
	wake_all();
}

void
bgp_announce(uint32_t addr, uint8_t len)
{
	announce(addr, len, RIB_RAISED);
}

void
bgp_withdraw(uint32_t addr, uint8_t len)
{
	withdraw(addr, len, RIB_RAISED);
}

void
bgp_announce_always(uint32_t addr, uint8_t len)
{
	announce(addr, len, RIB_ALWAYS);
}

void
bgp_withdraw_always(uint32_t addr, uint8_t len)
{
	withdraw(addr, len, RIB_ALWAYS);
}

void
bgp_raise(bool raised)
{
	if (raised == rib_raised())
		return;
	rib_raise(raised);
	if (npeers > 0)
		log_warn("bgp: routes are %s", raised ? "raised" : "dropped");
	review_all();
}

bool
bgp_raised(void)
{
	return rib_raised();
}

/* --- what operators ask for --------------------------------------------- */

static struct entry *
find_peer(const char *name)
{
	for (size_t i = 0; i < npeers; i++)
		if (bgp_peer_is(peers[i].bgp, name))
			return &peers[i];
	return NULL;
}

void
bgp_suspend(bool on)
{
	suspended = on;
	for (size_t i = 0; i < npeers; i++)
		if (!on)
			peers[i].suspended = false;
	review_all();
}

bool
bgp_suspended(void)
{
	return suspended;
}

bool
bgp_suspend_peer(const char *name, bool on)
{
	struct entry *p = find_peer(name);

	if (p == NULL)
		return false;
	p->suspended = on;
	review_all();
	return true;
}

bool
bgp_restart(const char *name)
{
	bool any = false;

	for (size_t i = 0; i < npeers; i++) {
		if (name != NULL && !bgp_peer_is(peers[i].bgp, name))
			continue;
		bgp_peer_stop(peers[i].bgp, CEASE_RESET);
		bgp_peer_start(peers[i].bgp, CHANGED_MS);
		any = true;
	}
	return any;
}

uint32_t
bgp_identifier(void)
{
	return bgp_router_id();
}

bool
bgp_row(size_t i, struct bgp_row *r)
{
	if (i >= npeers)
		return false;
	bgp_peer_row(peers[i].bgp, r);
	return true;
}

/* --- the end ------------------------------------------------------------ */

bool
bgp_retire(void)
{
	bool told = false;

	for (size_t i = 0; i < npeers; i++)
		told = told || bgp_peer_prefixes(peers[i].bgp) > 0;
	retired = true;
	review_all();
	return told;
}

void
bgp_exit(void)
{
	for (size_t i = 0; i < npeers; i++)
		bgp_peer_free(peers[i].bgp, CEASE_SHUTDOWN);
	npeers = 0;
	running = suspended = retired = false;
	bgp_farewell_end();
	rib_clear();
}
