/*
 * replay.c - scripted conversations with the real machines
 *
 * Links every object of the daemon but l2tpns.o; sockets are replaced by a
 * queue and the clock by a faked one.  A script plays LACs and subscribers,
 * line by line; every datagram that the daemon sends must be expected, in
 * order.  When the script ends, everything that is left is torn down, and
 * then no tunnel, session or address may be in use.
 *
 *	# comment
 *	set KEY VALUE		as in startup-config, before the first send
 *	pool LINE		a line of ip_pool; secret LINE: of ppp-secrets
 *	include FILE		beside the script
 *	lac NAME [A.B.C.D[:PORT]]	who speaks from now on
 *	call NAME		which of its calls
 *	fresh			the LAC forgets its tunnel: numbers from 0
 *	ns N, nr N		what the LAC numbers its next message
 *	send TYPE k=v ...	SCCRQ .. SLI, ZLB or a number; LCP, IPCP, PAP,
 *				CHAP, a protocol's number, PPP, IP, TUN
 *	send raw HEX		a datagram as it is
 *	repeat			the LAC's last datagram again
 *	expect TYPE k=v ... [again] [within T | after T]
 *	expect nothing [for T]
 *	pass T			5s, 250ms, 2m; what is sent waits in order
 *	ignore ZLB | ignore none	no ZLB has to be expected
 *	drop tunnel | session	of the LAC that speaks, as an operator would
 *	check NAME N		tunnels, sessions, a counter
 *	check amplification N	octets out are at most N times those in
 *
 * `$name` is set where it is first met in an `expect`, and then is that value.
 * What keys there are is in replay_l2tp.c and replay_ppp.c.
 *
 * Owns:     the script's state, the LACs, the queue of what came out.
 * Calls:    forward_from_lac(), forward_from_tun(), the timers.
 * Lifetime: one script a process.
 */
#define _GNU_SOURCE 1			/* memmem */
#include "replay.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forward.h"
#include "ippool.h"
#include "log.h"
#include "loop.h"
#include "radius.h"
#include "secrets.h"
#include "session.h"
#include "table.h"
#include "tun.h"
#include "tunnel.h"

#define LACS		16
#define LINE		8192
#define VARS		64
#define OVERHEAD	28	/* IP and UDP */
#define STEPS_MAX	100000	/* in one wait: more is a loop */
/* 64^4 ticks of the wheel: what falls due together fires in one order. */
#define PHASE_MS	(UINT64_C(10) << 24)
#define SLACK_MS	10	/* the wheel's tick: `after` may be so late */

struct l2tpns lns;
struct lac *lac;

static struct lac lacs[LACS];
static struct var { char name[32], value[1024]; } vars[VARS];
static struct captured *queue, **queue_end = &queue;
static bool started, ignore_zlb, verbose;
static uint64_t start_ms;
static char pool_text[LINE], secret_text[LINE];
static const char *script;
static unsigned int script_line;
static FILE *transcript;
static char *transcript_text;
static size_t transcript_len;

void
fail(const char *fmt, ...)
{
	va_list ap;

	fflush(transcript);
	fputs(transcript_text, stderr);
	fprintf(stderr, "%s:%u: ", script, script_line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	fflush(stderr);
	_exit(1);		/* all that is left would look like leaks */
}

static uint64_t
elapsed(void)
{
	return timer_now() - start_ms;
}

static void
note(const char *arrow, const uint8_t *p, size_t len, bool ip)
{
	char text[128] = "IP";
	size_t i;

	if (!ip)
		l2tp_describe(p, len, text, sizeof(text));
	fprintf(transcript, "%8.3f %s %s\n             ",
	    (double)elapsed() / 1000, arrow, text);
	for (i = 0; i < len; i++)
		fprintf(transcript, "%02x", p[i]);
	fputc('\n', transcript);
}

/* --- values and variables ------------------------------------------------ */

static struct var *
var_find(const char *name)
{
	struct var *v;

	for (v = vars; v < vars + VARS && v->name[0] != '\0'; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	if (v == vars + VARS)
		fail("too many variables");
	return v;
}

static void
var_set(const char *name, const char *value)
{
	struct var *v = var_find(name);

	snprintf(v->name, sizeof(v->name), "%s", name);
	snprintf(v->value, sizeof(v->value), "%s", value);
}

const char *
value_of(const char *text)
{
	struct var *v;

	if (text[0] != '$')
		return text;
	v = var_find(text + 1);
	if (v->name[0] == '\0')
		fail("%s is not set", text);
	return v->value;
}

uint64_t
number_of(const char *text)
{
	unsigned long long v;
	char *end;

	v = strtoull(value_of(text), &end, 0);
	if (end == value_of(text) || *end != '\0')
		fail("%s is not a number", text);
	return v;
}

uint32_t
address_of(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, value_of(text), &a) != 1)
		fail("%s is not an address", text);
	return ntohl(a.s_addr);
}

size_t
bytes_of(const char *hex, uint8_t *dst, size_t size)
{
	unsigned int byte;
	size_t n = 0;

	for (hex = value_of(hex); hex[0] != '\0'; hex += 2) {
		if (n == size || !isxdigit((unsigned char)hex[0]) ||
		    !isxdigit((unsigned char)hex[1]) ||
		    sscanf(hex, "%2x", &byte) != 1)
			fail("bad or too many hex digits at %.20s", hex);
		dst[n++] = (uint8_t)byte;
	}
	return n;
}

/* Is `want` a variable not yet met?  Then it becomes `got`. */
static bool
learns(const char *want, const char *got)
{
	if (strcmp(want, "*") == 0)
		return true;
	if (want[0] != '$' || var_find(want + 1)->name[0] != '\0')
		return false;
	var_set(want + 1, got);
	return true;
}

void
want_number(const char *what, const char *want, uint64_t got)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)got);
	if (!learns(want, text) && number_of(want) != got)
		fail("%s is %s (0x%llx), not %s", what, text,
		    (unsigned long long)got, value_of(want));
}

void
want_bytes(const char *what, const char *want, const uint8_t *p, size_t len)
{
	char text[2 * PACKET_MAX + 1] = "";
	uint8_t bytes[PACKET_MAX];
	size_t i, n;

	for (i = 0; i < len && i < PACKET_MAX; i++)
		snprintf(text + 2 * i, 3, "%02x", p[i]);
	if (learns(want, text))
		return;
	n = bytes_of(want, bytes, sizeof(bytes));
	if (n != len || memcmp(bytes, p, n) != 0)
		fail("%s is %s, not %s", what, text, value_of(want));
}

/* The text need only be part of what came. */
void
want_text(const char *what, const char *want, const uint8_t *p, size_t len)
{
	char text[1024];

	snprintf(text, sizeof(text), "%.*s", (int)len, (const char *)p);
	if (!learns(want, text) && memmem(p, len, value_of(want),
	    strlen(value_of(want))) == NULL)
		fail("%s is \"%s\", not \"%s\"", what, text, value_of(want));
}

/* --- words --------------------------------------------------------------- */

/* Cuts text in place; quotes keep blanks together, # ends the line. */
static void
cut_line(char *text, struct line *l)
{
	char *to, quote;

	memset(l, 0, sizeof(*l));
	while (*(text += strspn(text, " \t\r\n")) != '\0' && *text != '#') {
		if (l->n == WORDS)
			fail("too many words");
		l->word[l->n++] = to = text;
		for (quote = '\0'; *text != '\0' && (quote != '\0' ||
		    strchr(" \t\r\n", *text) == NULL); text++)
			if (*text == '"')
				quote = quote != '\0' ? '\0' : '"';
			else
				*to++ = *text;
		if (*text != '\0')
			text++;
		*to = '\0';
	}
}

const char *
arg(struct line *l, const char *key)
{
	size_t n = strlen(key);
	int i;

	for (i = 1; i < l->n; i++)
		if (strncmp(l->word[i], key, n) == 0 && l->word[i][n] == '=') {
			l->used[i] = true;
			return l->word[i] + n + 1;
		}
	return NULL;
}

uint64_t
arg_number(struct line *l, const char *key, uint64_t dflt)
{
	const char *v = arg(l, key);

	return v != NULL ? number_of(v) : dflt;
}

bool
flag(struct line *l, const char *word)
{
	int i;

	for (i = 2; i < l->n; i++)
		if (strcmp(l->word[i], word) == 0) {
			l->used[i] = true;
			return true;
		}
	return false;
}

void
no_more_args(const struct line *l)
{
	int i;

	for (i = 2; i < l->n; i++)
		if (!l->used[i])
			fail("what is \"%s\"?", l->word[i]);
}

static const char *
word(const struct line *l, int i)
{
	if (i >= l->n)
		fail("%s wants more", l->word[0]);
	return l->word[i];
}

static uint64_t
time_of(const char *text)
{
	char *end;
	uint64_t v = strtoull(text, &end, 10);

	if (strcmp(end, "m") == 0)
		return v * 60000;
	if (strcmp(end, "s") == 0)
		return v * 1000;
	if (end == text || (*end != '\0' && strcmp(end, "ms") != 0))
		fail("%s is not a time", text);
	return v;
}

/* --- the daemon and its surroundings ------------------------------------- */

static void
capture(const struct peer *to, const uint8_t *buf, size_t len)
{
	struct captured *c = calloc(1, sizeof(*c));

	if (c == NULL || len > sizeof(c->buf))
		fail("no room for a packet of %zu octets", len);
	c->at = elapsed();
	c->tun = to == NULL;
	if (to != NULL)
		c->to = *to;
	c->len = len;
	memcpy(c->buf, buf, len);
	*queue_end = c;
	queue_end = &c->next;
	note("<-", buf, len, c->tun);
}

static bool
is_zlb(const uint8_t *p, size_t len)
{
	return len == L2TP_CTL_HEADER && (p[0] & 0x80) != 0;
}

static bool
same_place(const struct peer *a, const struct peer *b)
{
	return a->addr == b->addr && a->port == b->port;
}

static bool
to_lac(const struct peer *to, const void *buf, size_t len)
{
	struct lac *l;

	for (l = lacs; l < lacs + LACS; l++)
		if (l->name[0] != '\0' && same_place(&l->peer, to))
			l->octets_in += len + OVERHEAD;
	if (!ignore_zlb || !is_zlb(buf, len))
		capture(to, buf, len);
	return true;
}

static void
to_tun(const uint8_t *ip, size_t len)
{
	capture(NULL, ip, len);
}

/* The end of a turn. */
static void
reap(void)
{
	session_reap();
	tunnel_reap();
	forward_flush();
}

static void
load_text(const char *what, char *text,
    int (*parse)(const char *, const char *, size_t))
{
	if (parse(what, text, strlen(text)) != 0)
		fail("faults in %s", what);
}

static void
hear(const char *file, unsigned int line, const char *reason, void *unused)
{
	(void)unused;
	fprintf(stderr, "%s:%u: %s\n", file, line, reason);
}

static int
parse_pool(const char *file, const char *text, size_t len)
{
	char copy[LINE];

	memcpy(copy, text, len + 1);
	return ippool_parse(file, copy, len, lns.config.bind_address, hear,
	    NULL);
}

static int
parse_secrets(const char *file, const char *text, size_t len)
{
	return secrets_parse(file, text, len, hear, NULL);
}

static void
boot(void)
{
	if (started)
		return;
	started = true;
	snprintf(lns.hostname, sizeof(lns.hostname), "%.100s",
	    lns.config.hostname[0] != '\0' ? lns.config.hostname :
	    "lns.test");
	lns.start = timer_wall();
	lns.boot_id = 1;
	lns.lpm = lpm_new();
	if (lns.lpm == NULL || !table_init((uint32_t)lns.config.max_sessions,
	    (uint32_t)lns.config.max_tunnels))
		fail("no memory");
	session_init();
	tunnel_init();
	load_text("ip_pool", pool_text, parse_pool);
	load_text("ppp-secrets", secret_text, parse_secrets);
	forward_lac_write = to_lac;
	forward_tun_write = to_tun;
}

/* Time passes until `ms` are over or, if `stop`, something came out. */
static void
pass(uint64_t ms, bool stop)
{
	uint64_t step, end = timer_now() + ms;
	unsigned int n = 0;

	do {
		if (stop && queue != NULL)
			return;
		step = timer_sleep(end - timer_now());
		timer_fake(step);
		reap();
		if (n++ == STEPS_MAX)
			fail("timers fire without end");
	} while (timer_now() < end || timer_sleep(1) == 0);
}

void
put_datagram(const uint8_t *p, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);

	boot();
	if (exact == NULL)
		fail("no memory");
	memcpy(exact, p, len);
	note("->", p, len, false);
	memmove(lac->last, p, len);
	lac->last_len = len;
	lac->octets_out += len + OVERHEAD;
	forward_from_lac(&lac->peer, exact, len);
	free(exact);
	reap();
	pass(0, false);
}

void
put_packet(const uint8_t *p, size_t len)
{
	uint8_t *exact = malloc(FORWARD_HEADROOM + len);

	boot();
	if (exact == NULL)
		fail("no memory");
	memcpy(exact + FORWARD_HEADROOM, p, len);
	note("->", p, len, true);
	forward_from_tun(exact + FORWARD_HEADROOM, len);
	free(exact);
	reap();
}

/* --- commands ------------------------------------------------------------ */

static void
do_set(struct line *l)
{
	char err[256];

	if (started)
		fail("set comes before the first send");
	if (!config_set(&lns.config, word(l, 1), word(l, 2), err, sizeof(err)))
		fail("%s", err);
}

static void
do_text(char *text, const char *rest)
{
	size_t n = strlen(text);

	if (started)
		fail("this comes before the first send");
	rest += strspn(rest, " \t");
	rest += strcspn(rest, " \t");
	if (n + strlen(rest) + 2 > LINE)
		fail("too much of it");
	snprintf(text + n, LINE - n, "%s", rest);
}

static struct call *
call_get(const char *name)
{
	struct call *c;

	for (c = lac->calls; c < lac->calls + CALLS; c++) {
		if (c->name[0] == '\0')
			snprintf(c->name, sizeof(c->name), "%s", name);
		if (strcmp(c->name, name) == 0)
			return c;
	}
	fail("too many calls");
}

static void
do_fresh(void)
{
	memset(lac->calls, 0, sizeof(lac->calls));
	memset(lac->got_len, 0, sizeof(lac->got_len));
	lac->ours = lac->theirs = lac->ns = lac->nr = 0;
	lac->call = call_get("first");
}

static void
do_lac(struct line *l)
{
	const char *name = word(l, 1);
	char place[64], *colon;
	struct lac *p;

	for (p = lacs; p < lacs + LACS - 1 && p->name[0] != '\0' &&
	    strcmp(p->name, name) != 0; p++)
		;
	lac = p;
	if (p->name[0] == '\0') {
		snprintf(p->name, sizeof(p->name), "%s", name);
		p->peer = (struct peer){ .addr = 0xc0000201,
		    .local = 0x0a0a0a0a, .port = L2TP_PORT };
		do_fresh();
	}
	if (l->n < 3)
		return;
	snprintf(place, sizeof(place), "%s", l->word[2]);
	colon = strchr(place, ':');
	if (colon != NULL) {
		*colon = '\0';
		p->peer.port = (uint16_t)number_of(colon + 1);
	}
	p->peer.addr = address_of(place);
}

static void
do_send(struct line *l)
{
	uint8_t raw[PACKET_MAX];
	const char *what = word(l, 1);

	if (strcmp(what, "raw") == 0)
		put_datagram(raw, bytes_of(word(l, 2), raw, sizeof(raw)));
	else if (l2tp_is_name(what))
		l2tp_send(l);
	else if (ppp_is_name(what))
		ppp_send(l);
	else
		fail("send what?");
}

static struct captured *
take(void)
{
	struct captured *c = queue;

	if (c != NULL) {
		queue = c->next;
		if (queue == NULL)
			queue_end = &queue;
	}
	return c;
}

/* A time that follows `word`, if it is there. */
static bool
take_time(struct line *l, const char *what, uint64_t *ms)
{
	int i;

	for (i = 2; i + 1 < l->n; i++)
		if (strcmp(l->word[i], what) == 0) {
			*ms = time_of(l->word[i + 1]);
			l->used[i] = l->used[i + 1] = true;
			return true;
		}
	return false;
}

static void
expect_nothing(struct line *l)
{
	uint64_t ms = 0;

	if (take_time(l, "for", &ms))
		pass(ms, true);
	no_more_args(l);
	if (queue != NULL)
		fail("something came at %.3f", (double)queue->at / 1000);
}

static void
do_expect(struct line *l)
{
	const char *what = word(l, 1);
	uint64_t ms = 0, from = elapsed();
	struct captured *c;

	if (strcmp(what, "nothing") == 0) {
		expect_nothing(l);
		return;
	}
	if (take_time(l, "after", &ms)) {
		pass(ms + SLACK_MS, true);
		if (queue != NULL && queue->at < from + ms)
			fail("it came too early, at %.3f",
			    (double)queue->at / 1000);
	} else if (take_time(l, "within", &ms)) {
		pass(ms, true);
	}
	c = take();
	if (c == NULL)
		fail("no %s came", what);
	if (!c->tun && !same_place(&c->to, &lac->peer))
		fail("it went to another LAC");
	if (l2tp_is_name(what))
		l2tp_expect(l, c);
	else if (ppp_is_name(what))
		ppp_expect(l, c);
	else
		fail("expect what?");
	free(c);
}

static void
do_check(struct line *l)
{
	const char *what = word(l, 1);
	double factor;
	size_t i;

	if (strcmp(what, "tunnels") == 0) {
		want_number(what, word(l, 2), table_tunnels());
	} else if (strcmp(what, "sessions") == 0) {
		want_number(what, word(l, 2), table_sessions());
	} else if (strcmp(what, "addresses") == 0) {
		want_number(what, word(l, 2), ippool_used());
	} else if (strcmp(what, "amplification") == 0) {
		factor = (double)lac->octets_in / (double)lac->octets_out;
		if (factor > atof(word(l, 2)))
			fail("it is %.2f", factor);
	} else {
		for (i = 0; i < counter_rows_n; i++)
			if (strcmp(counter_rows[i].name, what) == 0)
				break;
		if (i == counter_rows_n)
			fail("there is no counter %s", what);
		want_number(what, word(l, 2),
		    counter_value(&counter_rows[i]));
	}
}

/* As the command line does it, and what `show tunnels` says after that. */
static void
do_drop(struct line *l)
{
	struct tunnel *t = tunnel_by_local_id(lac->theirs);
	const char *what = word(l, 1);

	if (t == NULL)
		fail("this LAC has no tunnel");
	if (strcmp(what, "tunnel") == 0)
		(void)tunnel_drop(t);
	else if (strcmp(what, "session") == 0)
		session_shutdown(tunnel_session(t, lac->call->theirs),
		    CAUSE_ADMIN_RESET, CDN_ADMIN, 0, "dropped on request");
	else
		fail("drop what?");
	if (tunnel_dropped(t) != (strcmp(tunnel_state_name(t), "Dieing") == 0))
		fail("its state is %s", tunnel_state_name(t));
	pass(0, false);
}

static void run_file(const char *);

static void
do_include(const char *name)
{
	const char *slash = strrchr(script, '/'), *was = script;
	unsigned int line = script_line;
	char path[512];

	snprintf(path, sizeof(path), "%.*s%s",
	    slash != NULL ? (int)(slash - script) + 1 : 0, script, name);
	run_file(path);
	script = was;
	script_line = line;
}

static void
do_line(struct line *l, const char *rest)
{
	const char *verb = l->word[0];

	if (strcmp(verb, "set") == 0)
		do_set(l);
	else if (strcmp(verb, "pool") == 0)
		do_text(pool_text, rest);
	else if (strcmp(verb, "secret") == 0)
		do_text(secret_text, rest);
	else if (strcmp(verb, "include") == 0)
		do_include(word(l, 1));
	else if (strcmp(verb, "lac") == 0)
		do_lac(l);
	else if (strcmp(verb, "call") == 0)
		lac->call = call_get(word(l, 1));
	else if (strcmp(verb, "fresh") == 0)
		do_fresh();
	else if (strcmp(verb, "ns") == 0)
		lac->ns = (uint16_t)number_of(word(l, 1));
	else if (strcmp(verb, "nr") == 0)
		lac->nr = (uint16_t)number_of(word(l, 1));
	else if (strcmp(verb, "send") == 0)
		do_send(l);
	else if (strcmp(verb, "repeat") == 0)
		put_datagram(lac->last, lac->last_len);
	else if (strcmp(verb, "expect") == 0)
		do_expect(l);
	else if (strcmp(verb, "pass") == 0)
		pass(time_of(word(l, 1)), false);
	else if (strcmp(verb, "ignore") == 0)
		ignore_zlb = strcmp(word(l, 1), "ZLB") == 0;
	else if (strcmp(verb, "drop") == 0)
		do_drop(l);
	else if (strcmp(verb, "check") == 0)
		do_check(l);
	else
		fail("what is \"%s\"?", verb);
}

static void
run_file(const char *path)
{
	char text[LINE], rest[LINE];
	FILE *f = fopen(path, "r");
	struct line l;

	if (f == NULL)
		fail("%s cannot be read", path);
	script = path;
	script_line = 0;
	while (fgets(text, sizeof(text), f) != NULL) {
		script_line++;
		memcpy(rest, text, sizeof(rest));
		cut_line(text, &l);
		if (l.n == 0)
			continue;
		fprintf(transcript, "%s:%u: %s", path, script_line, rest);
		do_line(&l, rest);
	}
	fclose(f);
}

/* Nothing unexpected is left, and nothing stays behind when all is closed. */
static void
finish(void)
{
	struct captured *c;
	struct tunnel *t;

	if (queue != NULL)
		fail("the script is over, but something came at %.3f",
		    (double)queue->at / 1000);
	if (!started)
		fail("the script sends nothing");
	for (t = tunnel_next(0); t != NULL; t = tunnel_next(t->tid))
		tunnel_shutdown(t, 1, 0, "end of the script", true);
	pass(180000, false);
	if (table_tunnels() != 0 || table_sessions() != 0 ||
	    ippool_used() != 0)
		fail("left behind: %u tunnels, %u sessions, %u addresses",
		    table_tunnels(), table_sessions(), ippool_used());
	while ((c = take()) != NULL)
		free(c);
	ippool_clear();
	secrets_clear();
	lpm_free(lns.lpm);
	table_free();
}

int
main(int argc, char **argv)
{
	static char first[] = "lac first";
	struct line l;

	if (argc > 1 && strcmp(argv[1], "-v") == 0) {
		verbose = true;
		argc--;
		argv++;
	}
	if (argc != 2) {
		fprintf(stderr, "usage: replay [-v] SCRIPT\n");
		return 2;
	}
	transcript = verbose ? stderr :
	    open_memstream(&transcript_text, &transcript_len);
	if (verbose)
		transcript_text = (char []){ "" };
	script = argv[1];
	timers_init();
	timer_fake(0);
	timer_fake(PHASE_MS - timer_now() % PHASE_MS);
	start_ms = timer_now();
	config_defaults(&lns.config);
	log_set_level(verbose ? LOG_L_CALL : -1);
	cut_line(first, &l);
	do_lac(&l);
	run_file(argv[1]);
	finish();
	if (!verbose) {
		fclose(transcript);
		free(transcript_text);
	}
	return 0;
}
