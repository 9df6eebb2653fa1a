/*
 * lacsim.c - a LAC and its subscribers, by the thousand
 *
 * lacsim brings tunnels and sessions up against an LNS, keeps them, counts
 * what happens to them, and takes them down.  This file has the options, the
 * life of the run (tunnels, sessions, hold, drain, stop, close), the pacing,
 * the monkey, and the loop: wait, read, timers, what is due, flush.
 *
 * Starts are paced in steps of at most 10 ms and never catch up in a burst:
 * a burst at a tick makes a lie of a rate.
 *
 * Owns:     the arrays of tunnels and sessions, the map of addresses.
 * Calls:    everything in lacsim.h.
 * Lifetime: the process.
 */
#include "lacsim.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct lacsim L;

/* ---- addresses ---- */

static uint32_t
ip_slot(uint32_t ip)
{
	return (ip * 2654435761u >> 7) & L.by_ip_mask;
}

struct session *
session_by_ip(uint32_t ip)
{
	struct session *s = L.by_ip[ip_slot(ip)];

	while (s && s->mapped_ip != ip)
		s = s->ip_next;
	return s;
}

static void
session_ip_clear(struct session *s)
{
	struct session **p = &L.by_ip[ip_slot(s->mapped_ip)];

	if (!s->mapped_ip)
		return;
	while (*p != s)
		p = &(*p)->ip_next;
	*p = s->ip_next;
	s->mapped_ip = 0;
}

/* False: no address a subscriber could have. */
bool
session_ip_set(struct session *s, uint32_t ip)
{
	struct session *other = session_by_ip(ip);

	if (!ip || ip >> 24 == 127 || ip >= 0xe0000000)
		return false;
	if (other && other != s)
		L.c.addr_twice++;
	if (s->mapped_ip && s->mapped_ip != ip)
		tun_session_down(s);
	session_ip_clear(s);
	s->mapped_ip = ip;
	s->ip_next = L.by_ip[ip_slot(ip)];
	L.by_ip[ip_slot(ip)] = s;
	return true;
}

/* ---- sessions coming and going ---- */

static void
start_append(struct timer *t)
{
	struct session *s = container_of(t, struct session, timer);

	s->qnext = NULL;
	if (L.start_tail)
		L.start_tail->qnext = s;
	else
		L.start_head = s;
	L.start_tail = s;
}

/* To be started in delay nanoseconds, when the pacing lets it. */
void
session_queue(struct session *s, uint64_t delay)
{
	s->state = S_QUEUED;
	s->timer.fn = start_append;
	if (delay)
		timer_set(&L.wheel, &s->timer, L.now + delay);
	else
		start_append(&s->timer);
}

static bool
tries_again(void)
{
	return !L.stopping && (L.o.reconnect >= 0 || L.o.monkey);
}

static uint64_t
jitter(double seconds)
{
	return (uint64_t)(rng_unit(&L.rng) * seconds * 1e9);
}

static void
session_dies(struct session *s)
{
	s->state = S_DEAD;
	L.dead++;
}

static void
session_fails_early(struct session *s, enum reason why)
{
	L.c.failed++;
	L.c.reason[why]++;
	session_dies(s);
}

static void
setup_timeout(struct timer *t)
{
	struct session *s = container_of(t, struct session, timer);

	if (!s->why)
		s->why = R_SETUP_TIMEOUT;
	call_close(s, 10, 0);
}

static void
session_start(struct session *s)
{
	struct tunnel *t = s->t;

	if (t->state != T_ESTABLISHED) {
		bool hope = timer_on(&t->restart) ||
		    t->state == T_WAIT_CTL_REPLY ||
		    (t->state == T_CLOSING && tries_again());

		if (hope)
			session_queue(s, 50 * NS_MS + jitter(0.2));
		else
			session_fails_early(s, R_TUNNEL_REFUSED);
		return;
	}
	s->why = R_NONE;
	s->meant = s->was_up = false;
	s->ip = 0;
	s->state = S_WAIT_REPLY;
	s->started = L.now;
	if (!call_open(s)) {
		session_fails_early(s, R_PROTOCOL);
		return;
	}
	if (!L.begun++)
		L.first_start = L.now;
	L.starting++;
	s->timer.fn = setup_timeout;
	timer_set(&L.wheel, &s->timer,
	    L.now + (uint64_t)(L.o.setup_timeout * 1e9));
}

static void
session_stop(struct session *s, enum stop_how how)
{
	s->meant = true;
	timer_stop(&s->timer);
	if (how == STOP_LCP && s->lcp.state == CP_OPENED)
		ppp_terminate(s);
	else
		call_close(s, 1, 0);
}

static void
cycle_over(struct timer *t)
{
	struct session *s = container_of(t, struct session, timer);

	session_stop(s, (s->idx + L.c.ended) % 3 ? L.o.stop : STOP_CDN);
}

static void
count_up(struct session *s)
{
	size_t second = (size_t)((L.now - L.first_start) / NS_SEC);

	L.up++;
	L.starting--;
	if (L.up > L.peak)
		L.peak = L.up;
	L.c.established++;
	L.last_up = L.now;
	hist_add(&L.setup, (L.now - s->started) / NS_US);
	if (second >= L.seconds) {
		L.per_second = xrealloc(L.per_second, second + 64,
		    sizeof(*L.per_second));
		memset(L.per_second + L.seconds, 0,
		    (second + 64 - L.seconds) * sizeof(*L.per_second));
		L.seconds = second + 64;
	}
	L.per_second[second]++;
}

/* IPCP is Opened: for the first time, or again after a renegotiation. */
void
session_is_up(struct session *s)
{
	if (!s->was_up) {
		s->was_up = true;
		timer_stop(&s->timer);
		count_up(s);
		if (L.o.cycles) {
			s->timer.fn = cycle_over;
			timer_set(&L.wheel, &s->timer,
			    L.now + (uint64_t)(L.o.hold * 1e9) + NS_MS);
		}
	}
	s->echo_waiting = false;
	if (L.o.echo > 0)
		timer_set(&L.wheel, &s->echo, L.now + jitter(L.o.echo));
	tun_session_up(s);
	ip_session_up(s);
	if (L.stopping && !s->meant && L.run >= RUN_STOP)
		session_stop(s, L.o.stop);
}

static void
count_down(struct session *s)
{
	enum reason why = s->meant ? R_ENDED : (enum reason)s->why;

	L.c.reason[why]++;
	if (s->meant)
		L.c.ended++;
	else if (why == R_MONKEY || why == R_DROPPED)
		L.c.retried++;
	else if (s->was_up)
		L.c.lost++;
	else
		L.c.failed++;
}

/* The call is gone, whoever ended it. */
void
session_is_down(struct session *s)
{
	count_down(s);
	timer_stop(&s->timer);
	if (s->was_up) {
		L.up--;
		tun_session_down(s);
		ip_session_down(s);
		s->was_up = false;
	} else {
		L.starting--;
	}
	session_ip_clear(s);
	s->state = S_IDLE;
	if (L.o.cycles && !L.stopping && L.cycles_begun < L.o.cycles) {
		L.cycles_begun++;
		session_queue(s, 0);
	} else if (!s->meant && tries_again()) {
		session_queue(s, 1 + jitter(L.o.reconnect >= 0 ?
		    L.o.reconnect : 1.0));
	} else {
		session_dies(s);
	}
}

/* ---- tunnels coming and going ---- */

static void
tunnel_restart(struct timer *tm)
{
	tunnel_open(container_of(tm, struct tunnel, restart));
}

void
tunnel_is_settled(struct tunnel *t, bool up)
{
	(void)up;
	if (!t->settled) {
		t->settled = true;
		L.tunnels_settled++;
	}
}

void
tunnel_is_gone(struct tunnel *t)
{
	tunnel_is_settled(t, false);
	if (!tries_again())
		return;
	t->restart.fn = tunnel_restart;
	timer_set(&L.wheel, &t->restart, L.now + 100 * NS_MS + jitter(1.0));
}

/* ---- everybody off at once ---- */

static void
drop_all(enum stop_how how)
{
	L.dropped_at = L.now;
	L.back_at = 0;
	for (uint32_t i = 0; i < L.o.sessions; i++) {
		struct session *s = &L.session[i];

		if (!s->lsid)
			continue;
		s->why = R_DROPPED;
		if (how == STOP_CDN || how == STOP_LCP)
			call_close(s, 1, 0);
	}
	for (uint32_t i = 0; i < L.o.tunnels; i++) {
		if (how == STOP_TUNNEL)
			tunnel_close(&L.tunnel[i], 6);
		else if (how == STOP_SILENT)
			tunnel_forget(&L.tunnel[i], R_DROPPED);
	}
}

/* ---- the monkey ---- */

enum { M_CDN, M_TERM, M_SILENT_CPE, M_RENEGOTIATE, M_HALF, M_DUPLICATE,
	M_STOPCCN, M_VANISH };

static void
monkey_tunnel(struct tunnel *t, bool silent)
{
	if (t->state != T_ESTABLISHED)
		return;
	for (uint32_t i = 0; i <= t->sid_mask; i++)
		if (t->sid[i])
			t->sid[i]->why = R_MONKEY;
	if (silent)
		tunnel_forget(t, R_MONKEY);
	else
		tunnel_close(t, 1);
}

static void
monkey_bite(void)
{
	struct session *s = &L.session[rng_below(&L.rng, L.o.sessions)];
	uint32_t dice = rng_below(&L.rng, 1000);
	unsigned what = dice < 250 ? M_CDN : dice < 500 ? M_TERM :
	    dice < 600 ? M_SILENT_CPE : dice < 750 ? M_RENEGOTIATE :
	    dice < 850 ? M_HALF : dice < 996 ? M_DUPLICATE :
	    dice < 998 ? M_STOPCCN : M_VANISH;

	if (what == M_DUPLICATE) {
		monkey_duplicate(s->t);
	} else if (what >= M_STOPCCN) {
		monkey_tunnel(s->t, what == M_VANISH);
	} else if (!s->lsid || s->why) {
		return;
	} else if (what == M_RENEGOTIATE) {
		ppp_renegotiate(s);
	} else if (what == M_TERM && s->lcp.state == CP_OPENED) {
		s->why = R_MONKEY;
		ppp_terminate(s);
	} else if (what == M_SILENT_CPE) {
		/* Half closed: PPP is dead at once, the CDN comes later. */
		s->why = R_MONKEY;
		ppp_stop(s);
		s->timer.fn = setup_timeout;
		timer_set(&L.wheel, &s->timer, L.now + jitter(3.0) + 1);
	} else if (what == M_CDN || s->state < S_UP) {
		s->why = R_MONKEY;
		call_close(s, 1, 0);
	} else {
		return;
	}
	L.c.monkey[what]++;
}

static void
monkey_turn(void)
{
	static double credit;
	static uint64_t last;
	double rate = L.o.monkey_rate > 0 ? L.o.monkey_rate :
	    L.o.sessions / 50.0 + 1;

	if (L.run != RUN_HOLD)
		return;
	if (last)
		credit += (double)(L.now - last) / 1e9 * rate;
	last = L.now;
	if (credit > rate / 10 + 1)
		credit = rate / 10 + 1;
	for (; credit >= 1; credit--)
		monkey_bite();
}

/* ---- the run ---- */

static void
say(const char *what)
{
	if (L.o.quiet)
		return;
	printf("[%8.3f] %s\n", (double)(L.now - L.run_start) / 1e9, what);
	fflush(stdout);
}

static void
run_set(enum run_state r)
{
	static const char *const name[] = { "opening tunnels",
	    "starting sessions", "holding", "waiting for the last to be back",
	    "draining", "stopping sessions", "closing tunnels", "done" };

	L.run = r;
	L.run_since = L.now;
	say(name[r]);
}

/* A step of at most 10 ms at this rate; what is missed stays missed. */
static double
pace(double *credit, uint64_t *last, double rate)
{
	double most = rate / 100 < 1 ? 1 : rate / 100;

	if (*last)
		*credit += (double)(L.now - *last) / 1e9 * rate;
	else
		*credit = 1;
	*last = L.now;
	if (*credit > most)
		*credit = most;
	return *credit;
}

static void
run_tunnels(void)
{
	static double credit;
	static uint64_t last;
	static uint32_t next;

	pace(&credit, &last, L.o.tunnel_rate);
	for (; credit >= 1 && next < L.o.tunnels && !L.stopping; credit--)
		tunnel_open(&L.tunnel[next++]);
	if (L.tunnels_settled < L.o.tunnels || L.run != RUN_TUNNELS)
		return;
	for (uint32_t i = 0; i < L.o.sessions; i++)
		session_queue(&L.session[i], 0);
	L.cycles_begun = L.o.sessions;
	run_set(RUN_SESSIONS);
}

static void
start_turn(void)
{
	static double credit;
	static uint64_t last;
	struct session *s;

	pace(&credit, &last, L.o.rate);
	while (credit >= 1 && (s = L.start_head) != NULL &&
	    (!L.o.max_outstanding || L.starting < L.o.max_outstanding)) {
		L.start_head = s->qnext;
		if (!L.start_head)
			L.start_tail = NULL;
		if (L.stopping)
			session_dies(s);
		else
			session_start(s);
		credit--;
	}
}

/* One that has been up may just be renegotiating, on a link that reorders. */
static bool
any_renegotiates(void)
{
	for (uint32_t i = 0; i < L.o.sessions; i++)
		if (L.session[i].was_up && L.session[i].state != S_UP)
			return true;
	return false;
}

static void
run_sessions(void)
{
	uint32_t settled = L.up + L.dead;

	if (L.o.cycles) {
		if (L.dead == L.o.sessions) {
			L.stopping = true;
			run_set(RUN_CLOSE);
		}
		return;
	}
	if (settled < L.o.sessions || (L.o.addresses && any_renegotiates()))
		return;
	L.all_up_at = L.now;
	report_addresses();	/* whoever waits for "all up" reads it then */
	if (L.o.until_up && L.up == L.o.sessions)
		printf("all up\n");
	else if (L.o.until_up)
		printf("up %u of %u\n", L.up, L.o.sessions);
	fflush(stdout);
	run_set(RUN_HOLD);
}

static bool
hold_over(void)
{
	double held = (double)(L.now - L.run_since) / 1e9;

	if (L.o.hold_set)
		return held >= L.o.hold;
	return blast_over();
}

/* Up to the last: not half dead by the monkey, nor renegotiating. */
static bool
all_settled(void)
{
	static uint64_t last;
	bool all = true;

	if (L.up + L.dead < L.o.sessions)
		return false;
	if (!L.o.monkey)
		return true;
	if (L.now - last < 100 * NS_MS)
		return false;
	last = L.now;
	for (uint32_t i = 0; i < L.o.sessions && all; i++)
		all = L.session[i].state == S_UP && !L.session[i].why;
	return all;
}

static void
run_hold(void)
{
	if (L.o.drop_at >= 0 && !L.dropped_at &&
	    (double)(L.now - L.run_since) / 1e9 >= L.o.drop_at) {
		drop_all(L.o.drop_how);
		say("dropped everybody");
	}
	if (L.dropped_at && !L.back_at && L.up == L.o.sessions) {
		L.back_at = L.now;
		say("everybody is back");
	}
	if (L.run == RUN_HOLD && hold_over())
		run_set(RUN_BACK);
	if (L.run == RUN_BACK && (all_settled() ||
	    (double)(L.now - L.run_since) / 1e9 > L.o.timeout))
		run_set(RUN_DRAIN);
}

static void
run_stop(void)
{
	static double credit;
	static uint64_t last;
	static uint32_t next;

	if (!L.stop_began) {
		L.stop_began = L.now;
		L.up_at_stop = L.up;
		L.stopping = true;
	}
	if (L.o.stop == STOP_TUNNEL || L.o.stop == STOP_SILENT) {
		for (uint32_t i = 0; i < L.o.sessions; i++)
			L.session[i].meant = true;
		run_set(RUN_CLOSE);
		return;
	}
	pace(&credit, &last, L.o.stop_rate);
	while (credit >= 1 && next < L.o.sessions) {
		struct session *s = &L.session[next++];

		if (s->state == S_QUEUED)
			timer_stop(&s->timer);
		if (s->lsid) {
			session_stop(s, L.o.stop);
			credit--;
		}
	}
	if (next == L.o.sessions && !L.up && !L.starting)
		run_set(RUN_CLOSE);
}

static void
run_close(void)
{
	static bool sent;

	for (uint32_t i = 0; !sent && i < L.o.tunnels; i++) {
		timer_stop(&L.tunnel[i].restart);
		if (L.o.stop == STOP_SILENT ||
		    L.tunnel[i].state == T_WAIT_CTL_REPLY)
			tunnel_forget(&L.tunnel[i], R_ENDED);
		else
			tunnel_close(&L.tunnel[i], 6);
	}
	sent = true;
	if (!L.tunnels_open)
		run_set(RUN_DONE);
}

static void
run_turn(void)
{
	if (L.run < RUN_STOP)
		run_tunnels();
	if (L.run >= RUN_SESSIONS && L.run < RUN_CLOSE)
		start_turn();
	switch (L.run) {
	case RUN_SESSIONS:
		run_sessions();
		break;
	case RUN_HOLD:
	case RUN_BACK:
		run_hold();
		break;
	case RUN_DRAIN:		/* probes and blasts have ended */
		L.stopping = true;
		if (L.now - L.run_since >= NS_SEC)
			run_set(RUN_STOP);
		break;
	case RUN_STOP:
		run_stop();
		break;
	case RUN_CLOSE:
		run_close();
		break;
	default:
		break;
	}
}

/* ---- the loop ---- */

static int sigfd;

static void
signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigfd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (sigfd < 0)
		die("signalfd: %s", strerror(errno));
}

static void
signals_read(void)
{
	struct signalfd_siginfo si;

	while (read(sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGUSR1) {
			report_status(stdout);
		} else if (si.ssi_signo == SIGUSR2) {
			drop_all(L.o.drop_how);
		} else if (L.interrupted) {
			report_final();
			exit(1);
		} else {
			L.interrupted = L.stopping = true;
			if (L.run < RUN_DRAIN)
				run_set(L.run == RUN_TUNNELS ? RUN_STOP :
				    RUN_DRAIN);
		}
	}
}

static void
epoll_want(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	ev.data.fd = fd;
	if (fd >= 0 && epoll_ctl(L.epfd, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl: %s", strerror(errno));
}

static uint64_t
loop_wait(void)
{
	uint64_t max = 10 * NS_MS;

	if (blast_busy())
		return 0;
	if (L.o.pester != PESTER_NONE && L.run == RUN_HOLD)
		return NS_MS;
	if (L.start_head || L.run == RUN_STOP || L.run == RUN_TUNNELS ||
	    blast_paced())
		max = NS_MS;
	return wheel_wait(&L.wheel, L.now, max);
}

static void
loop_turn(void)
{
	struct epoll_event ev[4];
	uint64_t ns = loop_wait();
	struct timespec ts = { (time_t)(ns / NS_SEC), (long)(ns % NS_SEC) };
	int n = epoll_pwait2(L.epfd, ev, 4, &ts, NULL);

	L.now = now_ns();
	for (int i = 0; i < n; i++) {
		if (ev[i].data.fd == sigfd)
			signals_read();
		for (int k = 0; ev[i].data.fd == L.fd && k < 8; k++)
			if (!net_read())
				break;
		if (ev[i].data.fd == L.tun_fd)
			tun_read();
	}
	L.now = now_ns();
	wheel_run(&L.wheel, L.now);
	run_turn();
	if (L.o.monkey)
		monkey_turn();
	blast_turn();
	pester_turn();
	l2tp_acks();
	net_flush();
	tun_flush();
}

static void
progress(void)
{
	static uint64_t last, lines;

	if (L.now - last < NS_SEC)
		return;
	last = L.now;
	report_status_file();
	if (!L.o.quiet && ++lines % 5 == 0)
		report_status(stdout);
}

static void
setup(void)
{
	L.now = L.run_start = L.run_since = now_ns();
	L.rng.s = L.o.seed;
	wheel_init(&L.wheel, L.now);
	L.tunnel = xcalloc(L.o.tunnels, sizeof(*L.tunnel));
	L.session = xcalloc(L.o.sessions, sizeof(*L.session));
	for (L.by_ip_mask = 1024; L.by_ip_mask < 2 * L.o.sessions;)
		L.by_ip_mask *= 2;
	L.by_ip = xcalloc(L.by_ip_mask--, sizeof(*L.by_ip));
	for (uint32_t i = 0; i < L.o.tunnels; i++)
		L.tunnel[i].idx = i;
	for (uint32_t i = 0; i < L.o.sessions; i++) {
		struct session *s = &L.session[i];

		s->idx = i;
		s->t = &L.tunnel[i % L.o.tunnels];
		ppp_init(s);
	}
	L.tun_fd = -1;
	L.epfd = epoll_create1(EPOLL_CLOEXEC);
	signals_open();
	net_open();
	l2tp_init();
	ip_init();
	if (L.o.tun)
		tun_open();
	epoll_want(sigfd);
	epoll_want(L.fd);
	epoll_want(L.tun_fd);
}

/* ---- options ---- */

enum {
	O_LNS = 256, O_SOURCE, O_SOURCE_PORT, O_TUNNELS, O_SESSIONS, O_RATE,
	O_TUNNEL_RATE, O_STOP_RATE, O_OUTSTANDING, O_AUTH, O_USER, O_PASSWORD,
	O_SECRET, O_CHALLENGE, O_HIDE, O_RWS, O_RETRIES, O_HELLO, O_HOLD,
	O_ECHO, O_ECHO_FAIL, O_RESTART, O_SETUP_TIMEOUT, O_CHECKSUM, O_HOST,
	O_CALLING, O_CALLED, O_SEQUENCE, O_LENGTH, O_OFFSET, O_MRU, O_ACFC,
	O_PFC, O_NO_DNS, O_STOP, O_CYCLES, O_MONKEY, O_MONKEY_RATE,
	O_RECONNECT, O_TIMEOUT, O_DROP_AT, O_DROP_HOW, O_JSON, O_STATUS,
	O_ADDRESSES, O_UNTIL_UP, O_SEED, O_PROBE, O_PROBE_INTERVAL,
	O_PROBE_SIZE, O_PROBE_SESSIONS, O_BLAST, O_BLAST_TO, O_YIELD,
	O_FLOWS, O_SIZE, O_PPS,
	O_SECONDS, O_GSO, O_NO_GRO, O_TUN, O_TUN_BARE, O_TUN_OFFLOAD, O_QUIET,
	O_HELP, O_REFLECT, O_SINK, O_BLAST_FROM, O_PORT, O_LOSS, O_DUP,
	O_REORDER, O_DELAY, O_PLAIN, O_FLOOD, O_PESTER
};

static const struct row {
	const char *name;
	int code;
	const char *arg, *help;		/* arg NULL: takes none */
} rows[] = {
	{ "lns", O_LNS, "ADDR[:PORT]", "the LNS; again for more of them" },
	{ "source", O_SOURCE, "A.B.C.D[/LEN]",
	    "our addresses; tunnels are spread over them" },
	{ "source-port", O_SOURCE_PORT, "N", "our port [1701], 0 = any" },
	{ "tunnels", O_TUNNELS, "N", "[1]" },
	{ "sessions", O_SESSIONS, "N", "[1]" },
	{ "rate", O_RATE, "CPS", "session starts a second [100]" },
	{ "tunnel-rate", O_TUNNEL_RATE, "CPS", "tunnel starts [100]" },
	{ "stop-rate", O_STOP_RATE, "CPS", "session stops [2 x rate]" },
	{ "max-outstanding", O_OUTSTANDING, "N",
	    "sessions in set-up at once [no limit]" },
	{ "auth", O_AUTH, "chap|pap|mix|any",
	    "what subscribers agree to [any]; mix: by turns" },
	{ "user", O_USER, "FORMAT", "name, %d = session [user%d]" },
	{ "password", O_PASSWORD, "FORMAT", "[password]" },
	{ "secret", O_SECRET, "TEXT", "tunnel secret" },
	{ "challenge", O_CHALLENGE, NULL, "challenge the LNS" },
	{ "hide", O_HIDE, NULL, "hide AVPs (needs --secret)" },
	{ "rws", O_RWS, "N", "receive window we advertise [64]" },
	{ "retries", O_RETRIES, "N", "of a control message [5]" },
	{ "plain-retransmit", O_PLAIN, NULL,
	    "of control messages by the timer only" },
	{ "hello", O_HELLO, "S", "after this silence, 0 = never [60]" },
	{ "hold", O_HOLD, "S",
	    "stay up, then stop [until a signal, or the blast's end]" },
	{ "echo", O_ECHO, "S", "LCP echo interval, 0 = none [0]" },
	{ "echo-fail", O_ECHO_FAIL, "N", "missed echoes to give up [5]" },
	{ "ppp-restart", O_RESTART, "S", "PPP restart timer [3]" },
	{ "setup-timeout", O_SETUP_TIMEOUT, "S", "for one session [60]" },
	{ "data-checksum", O_CHECKSUM, "0|1", "outer, on data [1]" },
	{ "host", O_HOST, "FORMAT", "Host Name, %d = tunnel [lac%d]" },
	{ "calling", O_CALLING, "FORMAT", "Calling Number" },
	{ "called", O_CALLED, "TEXT", "Called Number" },
	{ "sequence", O_SEQUENCE, NULL, "Sequencing Required" },
	{ "data-length", O_LENGTH, NULL, "L bit in data messages" },
	{ "data-offset", O_OFFSET, "N", "O bit, N octets of padding" },
	{ "mru", O_MRU, "N", "[1492]" },
	{ "acfc", O_ACFC, NULL, "offer and use ACFC" },
	{ "pfc", O_PFC, NULL, "offer and use PFC" },
	{ "no-dns", O_NO_DNS, NULL, "do not ask for DNS addresses" },
	{ "stop", O_STOP, "lcp|cdn|stopccn|silent",
	    "how sessions are ended [lcp]" },
	{ "cycles", O_CYCLES, "N",
	    "N set-ups and tear-downs in all, --sessions at once" },
	{ "monkey", O_MONKEY, NULL,
	    "disturb at random during the hold; all must come back" },
	{ "monkey-rate", O_MONKEY_RATE, "N", "a second [2 % of sessions]" },
	{ "reconnect", O_RECONNECT, "S",
	    "start lost sessions again after 0 to S seconds" },
	{ "timeout", O_TIMEOUT, "S",
	    "wait for sessions to come back at the end [120]" },
	{ "drop-at", O_DROP_AT, "S",
	    "drop everybody S seconds into the hold (so does SIGUSR2)" },
	{ "drop-how", O_DROP_HOW, "cdn|stopccn|silent", "[cdn]" },
	{ "json", O_JSON, "FILE|-", "results" },
	{ "status", O_STATUS, "FILE", "written anew each second" },
	{ "addresses", O_ADDRESSES, "FILE",
	    "\"address user session\" lines once up" },
	{ "until-up", O_UNTIL_UP, NULL, "say \"all up\" when so" },
	{ "seed", O_SEED, "N", "for repeatable ids [by time]" },
	{ "probe", O_PROBE, "ADDR:PORT", "of a --reflect" },
	{ "probe-interval", O_PROBE_INTERVAL, "MS", "each session [1000]" },
	{ "probe-size", O_PROBE_SIZE, "B", "IP packet [100]" },
	{ "probe-sessions", O_PROBE_SESSIONS, "N", "the first N [all]" },
	{ "blast", O_BLAST, "up|down|both", "send to a --sink, count" },
	{ "blast-to", O_BLAST_TO, "ADDR:PORT", "of the --sink" },
	{ "size", O_SIZE, "B", "IP packet of the blast [128]" },
	{ "pps", O_PPS, "N|max", "[max]" },
	{ "seconds", O_SECONDS, "S", "how long [10]" },
	{ "blast-yield", O_YIELD, NULL, "let others of the processor run every 256 packets" },
	{ "blast-flows", O_FLOWS, "N", "source ports of each session, in turn [1]" },
	{ "gso", O_GSO, "N", "datagrams in one outer send [1]" },
	{ "no-gro", O_NO_GRO, NULL, "no UDP_GRO on receive" },
	{ "tun", O_TUN, "NAME", "real programs as subscribers" },
	{ "tun-bare", O_TUN_BARE, NULL, "add no addresses to the TUN" },
	{ "tun-offload", O_TUN_OFFLOAD, NULL, "TSO on the TUN" },
	{ "loss", O_LOSS, "PCT", "of the packets, each way" },
	{ "dup", O_DUP, "PCT", "of the packets, each way" },
	{ "reorder", O_REORDER, "PCT", "1 to 21 ms late, each way" },
	{ "delay", O_DELAY, "MS", "of every packet, each way" },
	{ "quiet", O_QUIET, NULL, "only the summary" },
	{ "pester", O_PESTER, "icrq|confreq|echo",
	    "misuse tunnel 0 or session 0 at --pps during the hold" },
	{ "flood", O_FLOOD, "sccrq|noise|unknown",
	    "mode: hostile packets from --source at --pps for --seconds" },
	{ "reflect", O_REFLECT, "PORT", "mode: send UDP back" },
	{ "sink", O_SINK, "PORT", "mode: count a blast" },
	{ "blast-from", O_BLAST_FROM, "FILE",
	    "mode: send to --addresses' FILE, with --size --pps --seconds "
	    "--gso --port" },
	{ "port", O_PORT, "N", "of --blast-from, and its sink [7002]" },
	{ "help", O_HELP, NULL, "this" },
};
#define ROWS	(sizeof(rows) / sizeof(rows[0]))

static void
usage(FILE *f)
{
	fprintf(f, "usage: lacsim --lns ADDR [options]\n"
	    "       lacsim --reflect PORT | --sink PORT | --blast-from FILE\n");
	for (size_t i = 0; i < ROWS; i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s %s", rows[i].name,
		    rows[i].arg ? rows[i].arg : "");
		fprintf(f, "  %-32s %s\n", left, rows[i].help);
	}
}

static uint32_t
choose(const char *opt, const char *s, const char *const *names)
{
	for (uint32_t i = 0; names[i]; i++)
		if (!strcmp(names[i], s))
			return i;
	die("--%s %s: no such choice", opt, s);
}

static void
set_source(const char *s)
{
	char b[64];
	const char *slash = strchr(s, '/');
	uint32_t len = 32, mask;

	snprintf(b, sizeof(b), "%.*s", slash ? (int)(slash - s) : 60, s);
	L.o.source = arg_ip("source", b);
	L.o.source_count = 1;
	if (slash)
		len = (uint32_t)arg_u64("source", slash + 1, 8, 32);
	if (len == 32)
		return;
	mask = ~0u << (32 - len);
	L.o.source &= mask;
	L.o.source_count = ~mask + 1;
	if (len < 31) {		/* without network and broadcast */
		L.o.source++;
		L.o.source_count -= 2;
	}
}

static void
set_lns(const char *s)
{
	uint32_t ip;
	uint16_t port = L2TP_PORT;
	struct sockaddr_in *a;

	if (L.o.lns_count == LNS_MAX)
		die("--lns: at most %d", LNS_MAX);
	arg_ip_port("lns", s, &ip, &port);
	a = &L.o.lns[L.o.lns_count++];
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(ip);
	a->sin_port = htons(port);
}

static const char *
arg_format(const char *opt, const char *s)
{
	if (!fmt_ok(s) || strlen(s) > 200)
		die("--%s %s: want text with at most one %%d or %%0Nd", opt, s);
	return s;
}

static struct {
	const char *blast_list;
	uint16_t reflect, sink, port;
	bool flood;
	enum flood flood_what;
} mode;

static void
option_more(int c, const char *name, const char *a)
{
	static const char *const stops[] = { "lcp", "cdn", "stopccn",
	    "silent", NULL };
	struct options *o = &L.o;

	switch (c) {
	case O_STOP:
		o->stop = (enum stop_how)choose(name, a, stops);
		break;
	case O_DROP_HOW:
		o->drop_how = (enum stop_how)choose(name, a, stops);
		break;
	case O_CYCLES:
		o->cycles = arg_u64(name, a, 1, 1000000000);
		break;
	case O_MONKEY:
		o->monkey = true;
		break;
	case O_MONKEY_RATE:
		o->monkey_rate = arg_num(name, a, 0.01, 1e6);
		break;
	case O_RECONNECT:
		o->reconnect = arg_num(name, a, 0, 3600);
		break;
	case O_TIMEOUT:
		o->timeout = arg_num(name, a, 0, 1e6);
		break;
	case O_DROP_AT:
		o->drop_at = arg_num(name, a, 0, 1e6);
		break;
	case O_JSON:
		o->json = a;
		break;
	case O_STATUS:
		o->status = a;
		break;
	case O_ADDRESSES:
		o->addresses = a;
		break;
	case O_UNTIL_UP:
		o->until_up = true;
		break;
	case O_SEED:
		o->seed = arg_u64(name, a, 0, UINT64_MAX);
		break;
	case O_TUN:
		o->tun = a;
		break;
	case O_TUN_BARE:
		o->tun_addresses = false;
		break;
	case O_TUN_OFFLOAD:
		o->tun_offload = true;
		break;
	case O_QUIET:
		o->quiet = true;
		break;
	case O_REFLECT:
		mode.reflect = (uint16_t)arg_u64(name, a, 1, 65535);
		break;
	case O_SINK:
		mode.sink = (uint16_t)arg_u64(name, a, 1, 65535);
		break;
	case O_BLAST_FROM:
		mode.blast_list = a;
		break;
	case O_PORT:
		mode.port = (uint16_t)arg_u64(name, a, 1, 65535);
		break;
	case O_HELP:
		usage(stdout);
		exit(0);
	default:
		usage(stderr);
		exit(2);
	}
}

static void
option_traffic(int c, const char *name, const char *a)
{
	static const char *const ways[] = { "up", "down", "both", NULL };
	static const char *const floods[] = { "sccrq", "noise", "unknown",
	    NULL };
	static const char *const pesters[] = { "none", "icrq", "confreq",
	    "echo", NULL };
	struct options *o = &L.o;
	uint32_t way;

	switch (c) {
	case O_PROBE:
		arg_ip_port(name, a, &o->probe_ip, &o->probe_port);
		if (!o->probe_port)
			die("--probe %s: port missing", a);
		break;
	case O_PROBE_INTERVAL:
		o->probe_interval = arg_num(name, a, 1, 1e6);
		break;
	case O_PROBE_SIZE:
		o->probe_size = (uint32_t)arg_u64(name, a, 28 + PROBE_HEADER,
		    1500);
		break;
	case O_PROBE_SESSIONS:
		o->probe_sessions = (uint32_t)arg_u64(name, a, 1, 1000000);
		break;
	case O_BLAST:
		way = choose(name, a, ways);
		o->blast_up = way != 1;
		o->blast_down = way != 0;
		break;
	case O_BLAST_TO:
		arg_ip_port(name, a, &o->blast_ip, &o->blast_port);
		break;
	case O_SIZE:
		o->size = (uint32_t)arg_u64(name, a, 28 + BLAST_HEADER, 1500);
		break;
	case O_PPS:
		o->pps = strcmp(a, "max") ? arg_num(name, a, 1, 1e8) : 0;
		break;
	case O_SECONDS:
		o->seconds = arg_num(name, a, 0.1, 1e6);
		break;
	case O_YIELD:
		o->blast_yield = true;
		break;
	case O_FLOWS:
		o->blast_flows = (uint32_t)arg_u64(name, a, 1, 50000);
		break;
	case O_GSO:
		o->gso = (uint32_t)arg_u64(name, a, 1, 64);
		break;
	case O_NO_GRO:
		o->gro = false;
		break;
	case O_FLOOD:
		mode.flood = true;
		mode.flood_what = (enum flood)choose(name, a, floods);
		break;
	case O_PESTER:
		o->pester = (enum pester)choose(name, a, pesters);
		break;
	case O_PLAIN:
		o->plain_retransmit = true;
		break;
	case O_LOSS:
		o->loss = arg_num(name, a, 0, 100);
		break;
	case O_DUP:
		o->dup = arg_num(name, a, 0, 100);
		break;
	case O_REORDER:
		o->reorder = arg_num(name, a, 0, 100);
		break;
	case O_DELAY:
		o->delay = arg_num(name, a, 0, 10000);
		break;
	default:
		option_more(c, name, a);
		break;
	}
}

static void
option_ppp(int c, const char *name, const char *a)
{
	static const char *const auths[] = { "any", "chap", "pap", "mix",
	    NULL };
	struct options *o = &L.o;

	switch (c) {
	case O_AUTH:
		o->auth = (enum auth_want)choose(name, a, auths);
		break;
	case O_USER:
		o->user = arg_format(name, a);
		break;
	case O_PASSWORD:
		o->password = arg_format(name, a);
		break;
	case O_ECHO:
		o->echo = arg_num(name, a, 0, 1e5);
		break;
	case O_ECHO_FAIL:
		o->echo_fail = (uint32_t)arg_u64(name, a, 1, 255);
		break;
	case O_RESTART:
		o->restart = arg_num(name, a, 0.1, 100);
		break;
	case O_SETUP_TIMEOUT:
		o->setup_timeout = arg_num(name, a, 0.1, 1e5);
		break;
	case O_MRU:
		o->mru = (uint16_t)arg_u64(name, a, 128, 65535);
		break;
	case O_ACFC:
		o->acfc = true;
		break;
	case O_PFC:
		o->pfc = true;
		break;
	case O_NO_DNS:
		o->no_dns = true;
		break;
	case O_HOLD:
		o->hold = arg_num(name, a, 0, 1e8);
		o->hold_set = true;
		break;
	default:
		option_traffic(c, name, a);
		break;
	}
}

static void
option_l2tp(int c, const char *name, const char *a)
{
	struct options *o = &L.o;

	switch (c) {
	case O_LNS:
		set_lns(a);
		break;
	case O_SOURCE:
		set_source(a);
		break;
	case O_SOURCE_PORT:
		o->source_port = (uint16_t)arg_u64(name, a, 0, 65535);
		break;
	case O_TUNNELS:
		o->tunnels = (uint32_t)arg_u64(name, a, 1, 60000);
		break;
	case O_SESSIONS:
		o->sessions = (uint32_t)arg_u64(name, a, 1, 1000000);
		break;
	case O_RATE:
		o->rate = arg_num(name, a, 0.01, 1e6);
		break;
	case O_TUNNEL_RATE:
		o->tunnel_rate = arg_num(name, a, 0.01, 1e6);
		break;
	case O_STOP_RATE:
		o->stop_rate = arg_num(name, a, 0.01, 1e6);
		break;
	case O_OUTSTANDING:
		o->max_outstanding = (uint32_t)arg_u64(name, a, 1, 1000000);
		break;
	case O_SECRET:
		o->secret = a;
		break;
	case O_CHALLENGE:
		o->challenge = true;
		break;
	case O_HIDE:
		o->hide = true;
		break;
	case O_RWS:
		o->rws = (uint16_t)arg_u64(name, a, 1, 32768);
		break;
	case O_RETRIES:
		o->retries = (uint32_t)arg_u64(name, a, 1, 20);
		break;
	case O_HELLO:
		o->hello = arg_num(name, a, 0, 1e5);
		break;
	case O_CHECKSUM:
		o->data_checksum = arg_u64(name, a, 0, 1);
		break;
	case O_HOST:
		o->host = arg_format(name, a);
		break;
	case O_CALLING:
		o->calling = arg_format(name, a);
		break;
	case O_CALLED:
		o->called = arg_format(name, a);
		break;
	case O_SEQUENCE:
		o->sequence = true;
		break;
	case O_LENGTH:
		o->length_bit = true;
		break;
	case O_OFFSET:
		o->offset = (uint32_t)arg_u64(name, a, 1, 64);
		break;
	default:
		option_ppp(c, name, a);
		break;
	}
}

static void
options_read(int argc, char **argv)
{
	struct option opts[ROWS + 1];
	int c, index = 0;

	memset(opts, 0, sizeof(opts));
	for (size_t i = 0; i < ROWS; i++)
		opts[i] = (struct option){ rows[i].name, rows[i].arg ?
		    required_argument : no_argument, NULL, rows[i].code };
	L.o = (struct options){
		.source_port = L2TP_PORT, .tunnels = 1, .sessions = 1,
		.rate = 100, .tunnel_rate = 100, .auth = AUTH_ANY,
		.user = "user%d", .password = "password", .host = "lac%d",
		.rws = 64, .mru = 1492, .retries = 5, .hello = 60,
		.restart = 3, .setup_timeout = 60, .reconnect = -1,
		.timeout = 120, .echo_fail = 5, .data_checksum = true,
		.gro = true, .gso = 1, .blast_flows = 1, .stop = STOP_LCP, .drop_at = -1,
		.drop_how = STOP_CDN, .tun_addresses = true,
		.probe_interval = 1000, .probe_size = 100, .size = 128,
		.seconds = 10, .seed = now_ns() ^ (uint64_t)getpid() << 32,
	};
	mode.port = BLAST_SPORT;
	while ((c = getopt_long(argc, argv, "", opts, &index)) != -1)
		option_l2tp(c, c == '?' ? "" : opts[index].name, optarg);
	if (optind < argc)
		die("%s: not an option", argv[optind]);
}

static void
options_check(void)
{
	struct options *o = &L.o;

	if (!o->lns_count)
		die("--lns is missing; --help lists the options");
	if ((o->challenge || o->hide) && !o->secret)
		die("--challenge and --hide need --secret");
	if (o->blast_up && !o->blast_port)
		die("--blast up needs --blast-to ADDR:PORT");
	if (o->stop_rate <= 0)
		o->stop_rate = 2 * o->rate;
	if (o->tunnels > o->sessions)
		o->tunnels = o->sessions;
	if (o->sessions / o->tunnels >= 65535)
		die("at most 65534 sessions in a tunnel: use more --tunnels");
	if (!o->probe_sessions || o->probe_sessions > o->sessions)
		o->probe_sessions = o->sessions;
	if (o->cycles && o->cycles < o->sessions)
		o->cycles = o->sessions;
	if (o->drop_at >= 0 && o->reconnect < 0)
		o->reconnect = 0;
	o->impaired = o->loss > 0 || o->dup > 0 || o->reorder > 0 ||
	    o->delay > 0;
	if (!o->data_checksum)
		o->gso = 1;	/* the kernel refuses to cut those */
}

int
main(int argc, char **argv)
{
	options_read(argc, argv);
	if (mode.reflect)
		return inet_reflect(mode.reflect, L.o.json, 0);
	if (mode.sink)
		return inet_sink(mode.sink, L.o.json, 0);
	if (mode.blast_list)
		return inet_blast(mode.blast_list, mode.port, L.o.size, L.o.pps,
		    L.o.seconds, L.o.gso, L.o.seed, L.o.json);
	options_check();
	if (mode.flood)
		return flood_run(mode.flood_what);
	setup();
	say("opening tunnels");
	while (L.run != RUN_DONE) {
		loop_turn();
		progress();
	}
	return report_final() ? 0 : 1;
}
