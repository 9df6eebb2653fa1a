/*
 * secrets.c - the embedded default: subscribers in ppp-secrets
 *
 * The syntax is that of pppd's chap-secrets (pppd(8), AUTHENTICATION), so
 * that a file that served there serves here: words between blanks, one entry
 * a line: client, server, secret, addresses.  Quotes hold a word with blanks
 * together, a backslash takes the next character as it stands (and joins
 * lines), `#` at the start of a word begins a comment.  `*` is any client, or
 * any server; ours is the daemon's host name.  Of several entries that match
 * the one with the fewest wildcards counts, a client's own name before a
 * server's, then the one that stands first.  A secret `@/path` is the first
 * line of that file.
 *
 * What pppd decides between two peers, an LNS decides alone, and so:
 *	no address, or `*`	an address from the pool
 *	a.b.c.d			this address
 *	-			no address, hence no login
 *	!a.b.c.d		not this one, if it comes later in the line
 *	a.b.c.d/n, a.b.c.d/n+	as `*`: pppd would let the peer choose in it
 * What follows `--` are options for pppd, and nothing here.  Names are
 * refused, and so is an empty secret: in pppd it means that any password does.
 *
 * The secrets lie in memory as they are in the file; CHAP needs them so
 * (RFC 1994 2.2).  A name that nobody has costs the same work as a wrong
 * password.
 *
 * Owns:     the entries.
 * Calls:    config (files and faults), digest, log.
 * Lifetime: from secrets_load() to the next one that succeeds, or to
 *           secrets_clear(), which wipes them.
 */
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "log.h"
#include "secrets.h"

#define SECRETS_MAX	(64u << 20)	/* octets of the file */
#define SECRET_FILE_MAX	4096
#define WORDS_MAX	64		/* of one entry */

struct secret {
	struct secret *chain;		/* of its bucket, later in the file */
	struct secret *before;		/* the one before it in the file */
	enum auth_address address;
	bool no_address;
	uint32_t ip;
	size_t secret_len;
	const char *client, *server, *secret;	/* in text */
	char text[];
};

struct book {
	struct secret **table;
	size_t size;			/* a power of two */
	struct secret *last;		/* of all, the file's last first */
	uint32_t n;
};

static struct book book;
static bool said;			/* that nobody can log in */

/* ---- words ---- */

struct lexer {
	const char *p, *end;		/* not read yet */
	unsigned int line;		/* where p is, from 1 */
	struct config_report *report;
	char *words[WORDS_MAX];		/* of the line read last, in room */
	int n;
	bool in_word;
	size_t used;
	char room[CONFIG_LINE];
	const char *wrong;		/* with that line, or NULL */
};

static void
word_begin(struct lexer *lx)
{
	if (lx->in_word || lx->wrong != NULL)
		return;
	if (lx->n == WORDS_MAX)
		lx->wrong = "too many words";
	else
		lx->words[lx->n++] = lx->room + lx->used;
	lx->in_word = true;
}

static void
word_put(struct lexer *lx, char c)
{
	word_begin(lx);
	/* The last byte of the room is for the NUL. */
	if (c == '\0')
		lx->wrong = "a NUL character";
	else if (lx->used == sizeof(lx->room) - 1)
		lx->wrong = "line too long";
	if (lx->wrong == NULL)
		lx->room[lx->used++] = c;
}

static void
word_end(struct lexer *lx)
{
	if (!lx->in_word)
		return;
	lx->in_word = false;
	if (lx->used == sizeof(lx->room) - 1)
		lx->wrong = "line too long";
	if (lx->wrong == NULL)
		lx->room[lx->used++] = '\0';
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/*
 * The words of the next line, and joined ones; false at the end.  What is
 * wrong with the line is in lx->wrong.
 */
static bool
read_line(struct lexer *lx)
{
	char quote = '\0';

	lx->n = 0;
	lx->used = 0;
	lx->in_word = false;
	lx->wrong = NULL;
	if (lx->p == lx->end)
		return false;
	while (lx->p < lx->end) {
		char c = *lx->p++;

		if (c == '\n') {
			lx->line++;
			break;
		}
		if (c == '\\' && lx->p < lx->end) {
			c = *lx->p++;
			if (c == '\n')
				lx->line++;
			else
				word_put(lx, c);
		} else if (quote != '\0' && c == quote) {
			quote = '\0';
		} else if (quote != '\0') {
			word_put(lx, c);
		} else if (is_blank(c)) {
			word_end(lx);
		} else if (c == '"' || c == '\'') {
			quote = c;
			word_begin(lx);
		} else if (c == '#' && !lx->in_word) {
			while (lx->p < lx->end && *lx->p != '\n')
				lx->p++;
		} else {
			word_put(lx, c);
		}
	}
	word_end(lx);
	if (quote != '\0')
		lx->wrong = "a quote is not closed";
	return true;
}

/* ---- entries ---- */

/* FNV-1a; the file is the operator's, nobody plays tricks with it. */
static size_t
bucket_of(const struct book *b, const char *client)
{
	uint32_t h = 2166136261u;

	while (*client != '\0')
		h = (h ^ (uint8_t)*client++) * 16777619u;
	return h & (b->size - 1);
}

/* One address, or a network that may have pppd's `+` behind it. */
static bool
read_network(char *word, struct prefix *p)
{
	char *plus = strchr(word, '/') != NULL ? strchr(word, '+') : NULL;

	if (plus != NULL && plus[1] == '\0')
		*plus = '\0';
	return config_prefix(word, &p->addr, &p->len);
}

static bool
in_network(uint32_t ip, const struct prefix *p)
{
	return p->len == 0 || ((ip ^ p->addr) >> (32 - p->len)) == 0;
}

/* What the addresses of a line come to; false with a fault. */
static bool
read_addresses(struct secret *e, char **words, int n,
    struct config_report *report, unsigned int line)
{
	struct prefix not[WORDS_MAX], p;
	int nots = 0, i, j;

	e->address = AUTH_IP_POOL;
	for (i = 0; i < n; i++) {
		char *w = words[i];
		bool no = w[0] == '!';

		if (strcmp(w, "--") == 0)
			break;
		if (strcmp(w, "*") == 0)
			return true;
		if (strcmp(w, "-") == 0) {
			e->no_address = true;
			return true;
		}
		if (!read_network(no ? w + 1 : w, &p)) {
			/* Not shown: it may be the tail of a bare secret. */
			config_fault(report, line, "word %d is not an IPv4 "
			    "address, nor `*` nor `-`", i + 4);
			return false;
		}
		if (no) {
			not[nots++] = p;
			continue;
		}
		if (p.len < 32)
			return true;
		for (j = 0; j < nots && !in_network(p.addr, &not[j]); j++)
			;
		if (j == nots) {
			e->address = AUTH_IP_FIXED;
			e->ip = p.addr;
			return true;
		}
	}
	/* All that is named is forbidden: nothing is left. */
	e->no_address = nots > 0;
	return true;
}

/* What is wrong with that file must not show what may be a secret. */
static void
keep_quiet(const char *file, unsigned int line, const char *reason, void *arg)
{
	(void)file;
	(void)line;
	(void)reason;
	(void)arg;
}

/* The first line of a file, to be freed; NULL with a fault. */
static char *
read_secret_file(const char *path, struct config_report *report,
    unsigned int line)
{
	size_t len;
	char *text = config_read(path, SECRET_FILE_MAX, &len, keep_quiet,
	    NULL);

	if (text == NULL) {
		config_fault(report, line, "the file with the secret cannot "
		    "be read");
		return NULL;
	}
	text[strcspn(text, "\r\n")] = '\0';
	return text;
}

static struct secret *
secret_new(const char *client, const char *server, const char *secret)
{
	size_t c = strlen(client) + 1, v = strlen(server) + 1;
	size_t s = strlen(secret) + 1;
	struct secret *e = calloc(1, sizeof(*e) + c + v + s);

	if (e == NULL)
		return NULL;
	e->client = memcpy(e->text, client, c);
	e->server = memcpy(e->text + c, server, v);
	e->secret = memcpy(e->text + c + v, secret, s);
	e->secret_len = s - 1;
	return e;
}

/* One line's entry, or NULL with a fault. */
static struct secret *
read_entry(struct lexer *lx, unsigned int line)
{
	struct secret found, *e = NULL;
	char *secret, *file = NULL;

	memset(&found, 0, sizeof(found));
	if (lx->n < 3) {
		config_fault(lx->report, line, "client, server and secret "
		    "are needed");
		return NULL;
	}
	secret = lx->words[2];
	if (strncmp(secret, "@/", 2) == 0) {
		secret = file = read_secret_file(secret + 1, lx->report, line);
		if (file == NULL)
			return NULL;
	}
	if (secret[0] == '\0')
		config_fault(lx->report, line, "the secret is empty");
	else if (read_addresses(&found, lx->words + 3, lx->n - 3, lx->report,
	    line))
		e = secret_new(lx->words[0], lx->words[1], secret);
	if (e != NULL) {
		e->address = found.address;
		e->no_address = found.no_address;
		e->ip = found.ip;
	}
	if (file != NULL)
		explicit_bzero(file, strlen(file));
	free(file);
	return e;
}

static void
book_wipe(struct book *b)
{
	struct secret *e;

	while ((e = b->last) != NULL) {
		b->last = e->before;
		explicit_bzero(e->text, strlen(e->client) +
		    strlen(e->server) + e->secret_len + 3);
		free(e);
	}
	free(b->table);
	memset(b, 0, sizeof(*b));
}

/* The table, once it is known how many there are. */
static bool
book_index(struct book *b)
{
	struct secret *e, **head;

	for (b->size = 16; b->size < b->n; b->size *= 2)
		;
	b->table = calloc(b->size, sizeof(b->table[0]));
	if (b->table == NULL)
		return false;
	/* From the last to the first: so the first comes first in its chain. */
	for (e = b->last; e != NULL; e = e->before) {
		head = &b->table[bucket_of(b, e->client)];
		e->chain = *head;
		*head = e;
	}
	return true;
}

static void
book_read(struct book *b, const char *text, size_t len,
    struct config_report *report)
{
	static struct lexer lx;
	unsigned int line;

	lx = (struct lexer){ .p = text, .end = text + len, .line = 1,
	    .report = report };
	while (line = lx.line, read_line(&lx)) {
		struct secret *e;

		if (lx.wrong != NULL)
			config_fault(report, line, "%s", lx.wrong);
		if (lx.wrong != NULL || lx.n == 0)
			continue;
		e = read_entry(&lx, line);
		if (e == NULL)
			continue;
		e->before = b->last;
		b->last = e;
		b->n++;
	}
	explicit_bzero(&lx, sizeof(lx));
}

int
secrets_parse(const char *file, const char *text, size_t len,
    config_fault_fn *fn, void *arg)
{
	struct config_report report = { .file = file, .fn = fn, .arg = arg };
	struct book fresh;

	memset(&fresh, 0, sizeof(fresh));
	book_read(&fresh, text, len, &report);
	if (!book_index(&fresh)) {
		config_fault(&report, 0, "out of memory");
		book_wipe(&fresh);
		return -1;
	}
	book_wipe(&book);
	book = fresh;
	return report.faults;
}

int
secrets_load(const char *path, config_fault_fn *fn, void *arg)
{
	size_t len;
	char *text;
	int faults;

	said = false;
	text = config_read(path, SECRETS_MAX, &len, fn, arg);
	if (text == NULL)
		return -1;
	faults = secrets_parse(path, text, len, fn, arg);
	explicit_bzero(text, len);
	free(text);
	return faults;
}

uint32_t
secrets_count(void)
{
	return book.n;
}

void
secrets_clear(void)
{
	book_wipe(&book);
	said = false;
}

/* ---- checking ---- */

static struct secret *
chain_find(const char *client, const char *server, struct secret *best,
    int *rank)
{
	struct secret *e = book.table[bucket_of(&book, client)];
	int r, own = strcmp(client, "*") != 0 ? 2 : 0;

	for (; e != NULL; e = e->chain) {
		if (strcmp(e->client, client) != 0)
			continue;
		if (strcmp(e->server, server) == 0)
			r = own + 1;
		else if (strcmp(e->server, "*") == 0)
			r = own;
		else
			continue;
		if (r > *rank) {
			*rank = r;
			best = e;
		}
	}
	return best;
}

/* The entry that counts for this client, or NULL. */
static const struct secret *
find_secret(const char *user, const char *server)
{
	struct secret *e = NULL;
	int rank = -1;

	if (book.n == 0)
		return NULL;
	e = chain_find("*", server, e, &rank);
	/* A user who calls itself `*` is nobody in particular. */
	if (strcmp(user, "*") != 0)
		e = chain_find(user, server, e, &rank);
	return e;
}

/*
 * Compares the MACs under a key of the moment, so that neither the length of
 * the secret nor where it differs shows in the time.
 */
static bool
pap_ok(const struct auth_request *ask, const char *secret, size_t len)
{
	uint8_t key[DIGEST_SHA256], mine[DIGEST_SHA256], theirs[DIGEST_SHA256];
	const struct digest_part a = { secret, len };
	const struct digest_part b = { ask->password, ask->password_len };

	digest_random(key, sizeof(key));
	digest_hmac_sha256(mine, key, sizeof(key), &a, 1);
	digest_hmac_sha256(theirs, key, sizeof(key), &b, 1);
	return digest_equal(mine, theirs, sizeof(mine));
}

/* RFC 1994 4.1: MD5 of id, secret, challenge. */
static bool
chap_ok(const struct auth_request *ask, const char *secret, size_t len)
{
	const struct digest_part part[] = {
		{ &ask->chap_id, 1 },
		{ secret, len },
		{ ask->challenge, ask->challenge_len }
	};
	uint8_t sum[DIGEST_MD5];

	digest_md5(sum, part, 3);
	return digest_equal(sum, ask->response, sizeof(sum));
}

void
secrets_check(const struct auth_request *ask, const char *server,
    struct auth_result *res)
{
	static const char nobody[] = "no such client";
	const struct secret *e = find_secret(ask->user, server);
	const char *secret = e != NULL ? e->secret : nobody;
	size_t len = e != NULL ? e->secret_len : sizeof(nobody) - 1;
	bool ok;

	if (book.n == 0 && !said) {
		log_error("no RADIUS server is set and ppp-secrets is missing "
		    "or empty: nobody can log in");
		said = true;
	}
	memset(res, 0, sizeof(*res));
	res->verdict = AUTH_REJECT;
	ok = ask->protocol == 0xc223 ? chap_ok(ask, secret, len) :
	    pap_ok(ask, secret, len);
	if (!ok || e == NULL || e->no_address)
		return;
	res->verdict = AUTH_ACCEPT;
	res->address = e->address;
	res->framed_ip = e->ip;
}
