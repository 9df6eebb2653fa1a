/*
 * radresp_book.c - the ledger
 *
 * Remembers the last request of each source port and identifier, the
 * authenticators used so far, and each accounting session, and so knows
 * retransmissions from new requests and counts what a client does wrong:
 * an identifier used again within 30 s, a retransmission that is not the
 * same octet for octet, an authenticator seen before, a second Start or Stop
 * after the first was answered, counters that run backwards.
 *
 * Owns:     the tables and the ledger file.
 * Calls:    bench.h.
 * Lifetime: nothing is forgotten while the program runs.
 */
#include "radresp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REUSE_NS	(30 * NS_SEC)

struct counters C;

/* One source address and port: 256 identifiers. */
struct source {
	struct source *next;
	uint32_t ip;
	uint16_t port;
	bool acct;
	struct slot slot[256];
};

struct account {
	struct account *next;
	char *session, *user;
	uint32_t starts, stops, interims;
	bool start_answered, stop_answered;
	uint64_t in, out;
	uint32_t time, cause, framed_ip;
};

static FILE *ledger;
static struct source *sources[65536];
static struct account **accounts;
static uint32_t account_mask, account_count;
static uint64_t *seen;			/* authenticators, hashed; 0 = free */
static uint64_t seen_mask, seen_count;

void
book_open(const char *path)
{
	if (path) {
		ledger = strcmp(path, "-") ? fopen(path, "w") : stdout;
		if (!ledger)
			die("%s: %s", path, strerror(errno));
		setvbuf(ledger, NULL, _IOFBF, 1 << 18);
	}
	account_mask = 65535;
	accounts = xcalloc(account_mask + 1, sizeof(*accounts));
	seen_mask = (1 << 20) - 1;
	seen = xcalloc(seen_mask + 1, sizeof(*seen));
}

void
book_flush(void)
{
	if (ledger)
		fflush(ledger);
}

static uint64_t
hash_bytes(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t h = 1469598103934665603ULL;

	while (n--)
		h = (h ^ *b++) * 1099511628211ULL;
	return h ^ h >> 29;
}

/* ---- authenticators ---- */

static bool
seen_put(uint64_t h)
{
	uint64_t i = h & seen_mask;

	while (seen[i]) {
		if (seen[i] == h)
			return false;
		i = (i + 1) & seen_mask;
	}
	seen[i] = h;
	return true;
}

static bool
seen_add(const uint8_t auth[16])
{
	uint64_t h = hash_bytes(auth, 16), *old = seen, n = seen_mask + 1;

	if (!h)
		h = 1;
	if (!seen_put(h))
		return false;
	if (++seen_count * 2 < n)
		return true;
	seen_mask = n * 2 - 1;
	seen = xcalloc(n * 2, sizeof(*seen));
	for (uint64_t i = 0; i < n; i++)
		if (old[i])
			seen_put(old[i]);
	free(old);
	return true;
}

/* ---- identifiers ---- */

static struct source *
source_find(const struct request *r)
{
	uint32_t ip = ntohl(r->from.sin_addr.s_addr);
	uint16_t port = ntohs(r->from.sin_port);
	bool acct = r->code == ACCT_REQUEST;
	struct source **p = &sources[(port ^ ip ^ ip >> 16 ^ acct) & 65535];

	for (; *p; p = &(*p)->next)
		if ((*p)->ip == ip && (*p)->port == port && (*p)->acct == acct)
			return *p;
	*p = xcalloc(1, sizeof(**p));
	(*p)->ip = ip;
	(*p)->port = port;
	(*p)->acct = acct;
	C.sources++;
	return *p;
}

static void
slot_renew(struct slot *s, const struct request *r)
{
	free(s->request);
	free(s->reply);
	memset(s, 0, sizeof(*s));
	memcpy(s->auth, r->auth, 16);
	s->request = xcalloc(1, r->n);
	memcpy(s->request, r->p, r->n);
	s->request_n = r->n;
}

struct slot *
book_slot(const struct request *r, uint64_t now, bool *dup)
{
	struct slot *s = &source_find(r)->slot[r->id];

	*dup = s->request && !memcmp(s->auth, r->auth, 16);
	if (*dup) {
		C.retransmits++;
		if (s->request_n != r->n || memcmp(s->request, r->p, r->n))
			C.retransmit_changed++;
	} else {
		if (s->request && now - s->last < REUSE_NS)
			C.id_reused++;
		if (r->code == ACCESS_REQUEST && !seen_add(r->auth))
			C.auth_repeated++;
		/* A reply still waiting finds its own copy; see radresp.c. */
		slot_renew(s, r);
	}
	s->last = now;
	return s;
}

/* ---- accounting sessions ---- */

static void
accounts_grow(void)
{
	uint32_t n = account_mask + 1;
	struct account **old = accounts, *a, *next;

	account_mask = n * 4 - 1;
	accounts = xcalloc(n * 4, sizeof(*accounts));
	for (uint32_t i = 0; i < n; i++) {
		for (a = old[i]; a; a = next) {
			uint32_t k = (uint32_t)hash_bytes(a->session,
			    strlen(a->session)) & account_mask;

			next = a->next;
			a->next = accounts[k];
			accounts[k] = a;
		}
	}
	free(old);
}

static struct account *
account_find(const struct request *r)
{
	uint32_t k = (uint32_t)hash_bytes(r->session, strlen(r->session));
	struct account *a = accounts[k & account_mask];

	while (a && strcmp(a->session, r->session))
		a = a->next;
	if (a)
		return a;
	if (++account_count > account_mask)
		accounts_grow();
	a = xcalloc(1, sizeof(*a));
	a->session = strdup(r->session);
	a->user = strdup(r->user);
	if (!a->session || !a->user)
		die("out of memory");
	a->next = accounts[k & account_mask];
	accounts[k & account_mask] = a;
	return a;
}

static void
account_octets(struct account *a, const struct request *r)
{
	if (r->in_octets < a->in || r->out_octets < a->out)
		C.octets_back++;
	if (r->time < a->time)
		C.time_back++;
	a->in = r->in_octets;
	a->out = r->out_octets;
	a->time = r->time;
}

static void
account_stop(struct account *a, const struct request *r)
{
	C.stops++;
	if (!a->starts)
		C.stop_before_start++;
	if (a->stop_answered)
		C.stop_twice++;
	if (!r->has_octets)
		C.stop_without_octets++;
	if (!r->has_cause)
		C.stop_without_cause++;
	a->stops++;
	a->cause = r->cause;
	account_octets(a, r);
}

static void
account_status(struct account *a, const struct request *r)
{
	switch (r->status) {
	case 1:
		C.starts++;
		if (a->start_answered || a->stops)
			C.start_twice++;
		a->starts++;
		a->framed_ip = r->framed_ip;
		break;
	case 2:
		account_stop(a, r);
		break;
	case 3:
		C.interims++;
		if (a->stop_answered)
			C.interim_after_stop++;
		a->interims++;
		account_octets(a, r);
		break;
	default:
		C.other_status++;
		break;
	}
}

static void
check_class(const struct request *r, const struct attr *class)
{
	if (!class || r->status > 3)
		return;
	if (r->class.n != class->n - 2 ||
	    memcmp(r->class.p, class->bytes + 2, r->class.n))
		C.class_wrong++;
}

void
book_account(const struct request *r, struct slot *s,
    const struct attr *class)
{
	C.no_timestamp += !r->has_timestamp;
	if (!r->has_session)
		C.no_session_id++;
	if (!r->has_status) {
		C.no_status++;
		return;
	}
	if (r->status == 7 || r->status == 8) {
		C.on += r->status == 7;
		C.off += r->status == 8;
		return;
	}
	check_class(r, class);
	s->account = account_find(r);
	s->status = r->status;
	account_status(s->account, r);
}

/* From now on a second one with another identifier is one too many. */
void
book_answered(struct slot *s)
{
	if (!s->account)
		return;
	if (s->status == 1)
		s->account->start_answered = true;
	else if (s->status == 2)
		s->account->stop_answered = true;
}

/* ---- rates ---- */

void
book_rate(uint64_t now)
{
	static uint64_t tenth, second, in_tenth, in_second;

	if (now / (NS_SEC / 10) != tenth) {
		tenth = now / (NS_SEC / 10);
		in_tenth = 0;
	}
	if (now / NS_SEC != second) {
		second = now / NS_SEC;
		in_second = 0;
	}
	if (++in_tenth > C.peak_100ms)
		C.peak_100ms = in_tenth;
	if (++in_second > C.peak_second)
		C.peak_second = in_second;
}

/* ---- on paper ---- */

static void
quote(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			fprintf(f, "\\x%02x", c);
		else
			putc(c, f);
	}
	putc('"', f);
}

static void
line_acct(const struct request *r)
{
	static const char *const names[] = { "?", "Start", "Stop", "Interim" };

	fprintf(ledger, " status=%s session=", r->status < 4 ?
	    names[r->status] : r->status == 7 ? "On" :
	    r->status == 8 ? "Off" : "?");
	quote(ledger, r->session);
	if (r->has_octets)
		fprintf(ledger, " in=%llu out=%llu time=%u",
		    (unsigned long long)r->in_octets,
		    (unsigned long long)r->out_octets, r->time);
	if (r->has_cause)
		fprintf(ledger, " cause=%u", r->cause);
	if (r->delay)
		fprintf(ledger, " delay=%u", r->delay);
}

void
book_line(const char *way, const struct request *r,
    const struct sockaddr_in *peer, uint8_t code, uint8_t id,
    const char *note)
{
	struct timespec ts;
	char ip[16];

	if (!ledger)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	fprintf(ledger, "%lld.%06ld %s %s:%u code=%u id=%u",
	    (long long)ts.tv_sec, ts.tv_nsec / 1000, way,
	    ip_text(ntohl(peer->sin_addr.s_addr), ip), ntohs(peer->sin_port),
	    code, id);
	if (r && r->user[0]) {
		fputs(" user=", ledger);
		quote(ledger, r->user);
	}
	if (r && r->code == ACCT_REQUEST)
		line_acct(r);
	if (note && *note)
		fprintf(ledger, " %s", note);
	putc('\n', ledger);
}

static void
json_faults(struct json *j)
{
	const struct {
		const char *name;
		uint64_t n;
	} f[] = {
		{ "malformed", C.malformed },
		{ "unknown_code", C.unknown_code },
		{ "message_authenticator_missing", C.ma_missing },
		{ "message_authenticator_not_first", C.ma_not_first },
		{ "message_authenticator_wrong", C.ma_wrong },
		{ "accounting_authenticator_wrong", C.acct_auth_wrong },
		{ "retransmission_changed", C.retransmit_changed },
		{ "id_reused_within_30s", C.id_reused },
		{ "authenticator_repeated", C.auth_repeated },
		{ "no_session_id", C.no_session_id },
		{ "no_status", C.no_status },
		{ "no_nas", C.no_nas },
		{ "no_credentials", C.no_credentials },
		{ "no_user", C.user_empty },
		{ "no_event_timestamp", C.no_timestamp },
		{ "start_twice", C.start_twice },
		{ "stop_twice", C.stop_twice },
		{ "stop_before_start", C.stop_before_start },
		{ "interim_after_stop", C.interim_after_stop },
		{ "octets_backwards", C.octets_back },
		{ "time_backwards", C.time_back },
		{ "class_wrong", C.class_wrong },
		{ "stop_without_octets", C.stop_without_octets },
		{ "stop_without_cause", C.stop_without_cause },
	};
	uint64_t sum = 0;

	json_open(j, "faults");
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
		json_u64(j, f[i].name, f[i].n);
		sum += f[i].n;
	}
	json_u64(j, "sum", sum);
	json_close(j);
}

static void
json_accounts(struct json *j)
{
	uint64_t table[3][3] = { { 0 } }, in = 0, out = 0, causes[32] = { 0 };
	static const char *const n[] = { "0", "1", "more" };

	for (uint32_t i = 0; i <= account_mask; i++) {
		for (struct account *a = accounts[i]; a; a = a->next) {
			table[a->starts > 1 ? 2 : a->starts]
			    [a->stops > 1 ? 2 : a->stops]++;
			in += a->in;
			out += a->out;
			if (a->stops)
				causes[a->cause < 31 ? a->cause : 31]++;
		}
	}
	json_open(j, "sessions");
	json_u64(j, "total", account_count);
	json_u64(j, "one_start_one_stop", table[1][1]);
	json_u64(j, "open", table[1][0]);
	json_open(j, "by_starts_and_stops");
	for (int a = 0; a < 3; a++) {
		for (int b = 0; b < 3; b++) {
			char key[32];

			snprintf(key, sizeof(key), "%s/%s", n[a], n[b]);
			if (table[a][b])
				json_u64(j, key, table[a][b]);
		}
	}
	json_close(j);
	json_open(j, "terminate_causes");
	for (int i = 0; i < 32; i++) {
		char key[8];

		snprintf(key, sizeof(key), "%d", i);
		if (causes[i])
			json_u64(j, key, causes[i]);
	}
	json_close(j);
	json_u64(j, "input_octets", in);
	json_u64(j, "output_octets", out);
	json_close(j);
}

void
book_json(struct json *j)
{
	json_str(j, "tool", "radresp");
	json_u64(j, "packets", C.packets);
	json_u64(j, "bytes", C.bytes);
	json_open(j, "auth");
	json_u64(j, "requests", C.auth_requests);
	json_u64(j, "pap", C.auth_pap);
	json_u64(j, "chap", C.auth_chap);
	json_u64(j, "accepts", C.accepts);
	json_u64(j, "rejects", C.rejects);
	json_u64(j, "password_wrong", C.password_wrong);
	json_close(j);
	json_open(j, "accounting");
	json_u64(j, "requests", C.acct_requests);
	json_u64(j, "responses", C.responses);
	json_u64(j, "starts", C.starts);
	json_u64(j, "interims", C.interims);
	json_u64(j, "stops", C.stops);
	json_u64(j, "on", C.on);
	json_u64(j, "off", C.off);
	json_u64(j, "other", C.other_status);
	json_close(j);
	json_u64(j, "status_server", C.status_requests);
	json_u64(j, "retransmits", C.retransmits);
	json_u64(j, "source_ports", C.sources);
	json_u64(j, "replies_lost", C.replies_lost);
	json_u64(j, "replies_doubled", C.replies_doubled);
	json_u64(j, "not_answered", C.not_answered);
	json_u64(j, "peak_per_100ms", C.peak_100ms);
	json_u64(j, "peak_per_second", C.peak_second);
	json_accounts(j);
	json_faults(j);
}

/* One line for each accounting session. */
void
book_sessions(const char *path)
{
	char tmp[4096], ip[16];
	FILE *f = file_begin(path, tmp, sizeof(tmp));

	if (!f)
		return;
	for (uint32_t i = 0; i <= account_mask; i++) {
		for (struct account *a = accounts[i]; a; a = a->next) {
			fputs("session=", f);
			quote(f, a->session);
			fputs(" user=", f);
			quote(f, a->user);
			fprintf(f, " ip=%s starts=%u interims=%u stops=%u "
			    "in=%llu out=%llu time=%u cause=%u\n",
			    ip_text(a->framed_ip, ip), a->starts, a->interims,
			    a->stops, (unsigned long long)a->in,
			    (unsigned long long)a->out, a->time, a->cause);
		}
	}
	file_commit(f, path, tmp);
}
