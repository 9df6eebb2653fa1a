/*
 * radresp.c - a RADIUS server that does as it is told, and writes it all down
 *
 * Answers Access-Requests (PAP and CHAP checked for real, RFC 2865),
 * Accounting-Requests (RFC 2866) and Status-Server (RFC 5997), as late, as
 * seldom, as often and as wrongly as the options say.  A retransmission gets
 * the very same reply again.  What the client does wrong is counted.
 *
 * Owns:     the sockets, the replies that wait for their time.
 * Calls:    book_*() for the ledger, attr_*() for attributes by name.
 * Lifetime: the process.
 */
#include "radresp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH	64

enum ma_mode { MA_GOOD, MA_BAD, MA_NONE };

struct user {
	struct user *next;
	char *name, *password;
	struct attr *attrs;
	bool reject;
};

static struct {
	uint32_t ip;
	uint16_t auth_port, acct_port;
	const char *secret, *password, *ledger, *json, *sessions, *accept_file;
	bool any, silent, proxy_state, reject_users, acct_ma;
	double delay, jitter, loss, dup, reorder, reject, wrong_source,
	    bad_authenticator, flap_on, flap_off, seconds;
	enum ma_mode ma;
	struct attr *attrs, *class;
	uint32_t pool;
	uint64_t seed;
} O;

static regex_t reject_regex;
static struct user *users[4096];
static struct wheel wheel;
static struct rng rng;
static uint64_t now, began, flushed;
static int fd_auth, fd_acct, fd_wrong, epfd, sigfd;
static bool over;

/* A reply on its way; it has a copy, for its slot may be used anew. */
struct pending {
	struct timer timer;
	struct sockaddr_in to;
	struct slot *slot;
	uint8_t auth[16];		/* of the request it answers */
	int fd;
	bool spoiled;			/* no client should believe it */
	size_t n;
	uint8_t bytes[];
};

/* ---- users ---- */

static struct user **
user_slot(const char *name)
{
	uint32_t h = 5381;

	while (*name)
		h = h * 33 ^ (uint8_t)*name++;
	return &users[h & 4095];
}

static struct user *
user_find(const char *name)
{
	struct user *u = *user_slot(name);

	while (u && strcmp(u->name, name))
		u = u->next;
	return u;
}

static char *
copy(const char *s)
{
	char *c = strdup(s);

	if (!c)
		die("out of memory");
	return c;
}

/* The next word of a line; a value may be in double quotes. */
static char *
next_word(char **line)
{
	char *s = *line, *word, *to;
	bool quoted = false;

	while (*s == ' ' || *s == '\t')
		s++;
	word = to = s;
	if (!*s || *s == '#')
		return NULL;
	for (; *s && (quoted || (*s != ' ' && *s != '\t')); s++) {
		if (*s == '"')
			quoted = !quoted;
		else
			*to++ = *s;
	}
	if (*s)
		s++;
	*to = 0;
	*line = s;
	return word;
}

static void
user_line(const char *path, unsigned number, char *line)
{
	char *word = next_word(&line);
	struct user *u, **slot;
	const char *why;

	if (!word)
		return;
	u = xcalloc(1, sizeof(*u));
	u->name = copy(word);
	while ((word = next_word(&line)) != NULL) {
		struct attr *a;

		if (!strcmp(word, "Reject")) {
			u->reject = true;
		} else if (!strncmp(word, "Password=", 9)) {
			u->password = copy(word + 9);
		} else if ((a = attr_parse(word, &why)) != NULL) {
			attr_append(&u->attrs, a);
		} else {
			die("%s:%u: %s: %s", path, number, word, why);
		}
	}
	slot = user_slot(u->name);
	u->next = *slot;
	*slot = u;
}

static void
users_load(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[8192];
	unsigned n = 0;

	if (!f)
		die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = 0;
		user_line(path, ++n, line);
	}
	fclose(f);
}

/* ---- reading a request ---- */

static void
copy_text(char *to, size_t size, struct in v)
{
	size_t n = v.n < size - 1 ? v.n : size - 1;

	/* A NUL inside would hide what follows it; show it as something. */
	for (size_t i = 0; i < n; i++)
		to[i] = v.p[i] ? (char)v.p[i] : '\1';
	to[n] = 0;
}

static uint32_t
value32(struct request *r, struct in v)
{
	if (v.n != 4)
		r->malformed = true;
	return in_u32(&v);
}

static void
read_acct_attr(struct request *r, uint8_t type, struct in v)
{
	switch (type) {
	case 40:
		r->status = value32(r, v);
		r->has_status = true;
		break;
	case 41:
		r->delay = value32(r, v);
		break;
	case 42:
		r->in_octets |= value32(r, v);
		r->has_octets = true;
		break;
	case 43:
		r->out_octets |= value32(r, v);
		break;
	case 44:
		copy_text(r->session, sizeof(r->session), v);
		r->has_session = v.n > 0;
		break;
	case 46:
		r->time = value32(r, v);
		break;
	case 47:
		r->in_packets = value32(r, v);
		break;
	case 48:
		r->out_packets = value32(r, v);
		break;
	case 49:
		r->cause = value32(r, v);
		r->has_cause = true;
		break;
	case 52:
		r->in_octets |= (uint64_t)value32(r, v) << 32;
		break;
	case 53:
		r->out_octets |= (uint64_t)value32(r, v) << 32;
		break;
	case 55:
		r->has_timestamp = value32(r, v) != 0;
		break;
	default:
		break;
	}
}

static void
read_attr(struct request *r, uint8_t type, struct in v, bool first)
{
	switch (type) {
	case 1:
		copy_text(r->user, sizeof(r->user), v);
		break;
	case 2:
		r->password = v;
		r->has_credentials = true;
		break;
	case 3:
		r->chap = v;
		r->has_credentials = true;
		break;
	case 4:
	case 32:
	case 95:
		r->has_nas = true;
		break;
	case 5:
		r->nas_port = value32(r, v);
		break;
	case 8:
		r->framed_ip = value32(r, v);
		break;
	case 24:
		r->has_credentials = true;
		break;
	case 25:
		r->class = v;
		break;
	case 60:
		r->challenge = v;
		break;
	case 80:
		r->ma = v.n == 16 ? v.p : NULL;
		r->malformed |= v.n != 16;
		r->ma_first = first;
		break;
	default:
		read_acct_attr(r, type, v);
		break;
	}
}

static bool
request_read(struct request *r, const uint8_t *p, size_t n,
    const struct sockaddr_in *from)
{
	struct in i = in_open(p, n);
	uint16_t len;
	bool first = true;

	memset(r, 0, sizeof(*r));
	r->p = p;
	r->from = *from;
	r->code = in_u8(&i);
	r->id = in_u8(&i);
	len = in_u16(&i);
	r->auth = in_take(&i, 16);
	if (!r->auth || len < RAD_HEADER || len > n || len > RAD_MAX)
		return false;
	r->n = len;
	i.n = len - RAD_HEADER;
	while (i.n) {
		uint8_t type = in_u8(&i), alen = in_u8(&i);
		const uint8_t *v = in_take(&i, alen >= 2 ? alen - 2u : 65536);

		if (!v)
			return false;
		read_attr(r, type, in_open(v, alen - 2u), first);
		first = false;
	}
	return !r->malformed;
}

static void
md5_parts(uint8_t sum[16], const void *a, size_t an, const void *b, size_t bn,
    const void *c, size_t cn)
{
	struct md5_ctx m;

	md5_init(&m);
	md5_update(&m, an, a);
	md5_update(&m, bn, b);
	md5_update(&m, cn, c);
	md5_digest(&m, 16, sum);
}

/* RFC 3579 3.2: HMAC over the packet with the attribute's value zero. */
static void
ma_compute(uint8_t sum[16], const uint8_t *p, size_t n, size_t at,
    const uint8_t *authenticator)
{
	static const uint8_t zero[16];
	struct hmac_md5_ctx h;

	hmac_md5_set_key(&h, strlen(O.secret), (const uint8_t *)O.secret);
	hmac_md5_update(&h, 4, p);
	hmac_md5_update(&h, 16, authenticator);
	hmac_md5_update(&h, at - 20, p + 20);
	hmac_md5_update(&h, 16, zero);
	hmac_md5_update(&h, n - at - 16, p + at + 16);
	hmac_md5_digest(&h, 16, sum);
}

/* False: a packet that a real server would drop in silence. */
static bool
request_check(const struct request *r)
{
	static const uint8_t zero[16];
	uint8_t sum[16];
	bool acct = r->code == ACCT_REQUEST;
	struct md5_ctx m;

	if (acct) {		/* RFC 2866 3 */
		md5_init(&m);
		md5_update(&m, 4, r->p);
		md5_update(&m, 16, zero);
		md5_update(&m, r->n - 20, r->p + 20);
		md5_update(&m, strlen(O.secret), (const uint8_t *)O.secret);
		md5_digest(&m, 16, sum);
		if (memcmp(sum, r->auth, 16)) {
			C.acct_auth_wrong++;
			return false;
		}
	}
	if (!r->ma) {
		C.ma_missing += !acct;
		return true;
	}
	C.ma_not_first += !acct && !r->ma_first;
	ma_compute(sum, r->p, r->n, (size_t)(r->ma - r->p),
	    acct ? zero : r->auth);
	if (memcmp(sum, r->ma, 16)) {
		C.ma_wrong++;
		return false;
	}
	return true;
}

/* ---- is it the right password? ---- */

static bool
pap_right(const struct request *r, const char *password)
{
	size_t n = r->password.n, secret = strlen(O.secret);
	const uint8_t *prev = r->auth;
	uint8_t plain[128] = { 0 }, b[16];

	if (!n || n % 16 || n > 128)
		return false;
	for (size_t i = 0; i < n; i += 16) {
		md5_parts(b, O.secret, secret, prev, 16, "", 0);
		for (size_t k = 0; k < 16; k++)
			plain[i + k] = r->password.p[i + k] ^ b[k];
		prev = r->password.p + i;
	}
	while (n && !plain[n - 1])
		n--;
	return n == strlen(password) && !memcmp(plain, password, n);
}

static bool
chap_right(const struct request *r, const char *password)
{
	const uint8_t *c = r->challenge.p ? r->challenge.p : r->auth;
	size_t cn = r->challenge.p ? r->challenge.n : 16;
	uint8_t sum[16];

	if (r->chap.n != 17)
		return false;
	md5_parts(sum, r->chap.p, 1, password, strlen(password), c, cn);
	return !memcmp(sum, r->chap.p + 1, 16);
}

/* --password's %d is the number at the end of the user's name. */
static void
password_of(const struct request *r, const struct user *u, char *b,
    size_t size)
{
	size_t n = strlen(r->user), d = n;

	if (u && u->password) {
		snprintf(b, size, "%s", u->password);
		return;
	}
	while (d && r->user[d - 1] >= '0' && r->user[d - 1] <= '9')
		d--;
	fmt_index(b, size, O.password,
	    (uint32_t)strtoul(r->user + d, NULL, 10));
}

static bool
chance(double percent)
{
	return percent > 0 && rng_unit(&rng) * 100 < percent;
}

static bool
is_accepted(const struct request *r, const struct user *u)
{
	char password[256];
	bool right;

	if (chance(O.reject) || (u && u->reject) || (O.reject_users &&
	    !regexec(&reject_regex, r->user, 0, NULL, 0)))
		return false;
	if (O.any)
		return true;
	if (!O.password && !(u && u->password))
		return false;
	password_of(r, u, password, sizeof(password));
	right = r->chap.p ? chap_right(r, password) : pap_right(r, password);
	C.password_wrong += !right;
	return right;
}

/* ---- the reply ---- */

static void
reply_attrs(struct out *o, const struct request *r, const struct user *u,
    uint8_t code)
{
	if (O.proxy_state)
		out_bytes(o, "\x21\x06oops", 6);
	if (code == ACCESS_REJECT)
		out_bytes(o, "\x12\x0dnot so fast", 13);
	if (code != ACCESS_ACCEPT || r->code != ACCESS_REQUEST)
		return;
	for (const struct attr *a = O.attrs; a; a = a->next)
		out_bytes(o, a->bytes, a->n);
	for (const struct attr *a = u ? u->attrs : NULL; a; a = a->next)
		out_bytes(o, a->bytes, a->n);
	if (O.pool) {
		out_u16(o, 8 << 8 | 6);
		out_u32(o, O.pool++);
	}
}

static void
reply_build(struct slot *s, const struct request *r, const struct user *u,
    uint8_t code)
{
	uint8_t b[RAD_MAX], sum[16];
	struct out o = out_open(b, sizeof(b));
	bool ma = O.ma != MA_NONE && (code != ACCT_RESPONSE || O.acct_ma);
	struct md5_ctx m;

	out_u8(&o, code);
	out_u8(&o, r->id);
	out_u16(&o, 0);
	out_bytes(&o, r->auth, 16);
	if (ma) {
		out_u16(&o, 80 << 8 | 18);
		memset(out_room(&o, 16), 0, 16);
	}
	reply_attrs(&o, r, u, code);
	if (o.bad)
		die("the attributes do not fit into a packet");
	put16(b + 2, (uint16_t)o.n);
	if (ma) {
		ma_compute(sum, b, o.n, 22, r->auth);
		sum[5] ^= O.ma == MA_BAD;
		memcpy(b + 22, sum, 16);
	}
	md5_init(&m);		/* RFC 2865 3, Response Authenticator */
	md5_update(&m, o.n, b);
	md5_update(&m, strlen(O.secret), (const uint8_t *)O.secret);
	md5_digest(&m, 16, b + 4);
	s->reply = xcalloc(1, o.n);
	memcpy(s->reply, b, o.n);
	s->reply_n = o.n;
}

static void
pending_send(struct pending *p)
{
	if (sendto(p->fd, p->bytes, p->n, 0, (struct sockaddr *)&p->to,
	    sizeof(p->to)) < 0 && errno != ECONNREFUSED)
		fprintf(stderr, "sendto: %s\n", strerror(errno));
	book_line("out", NULL, &p->to, p->bytes[0], p->bytes[1],
	    p->fd == fd_wrong ? "wrong-source" :
	    p->spoiled ? "wrong-authenticator" : "");
	if (!memcmp(p->slot->auth, p->auth, 16)) {
		p->slot->pending--;
		p->slot->sent++;
		if (!p->spoiled)
			book_answered(p->slot);
	}
	if (p->bytes[0] == ACCESS_ACCEPT)
		C.accepts++;
	else if (p->bytes[0] == ACCESS_REJECT)
		C.rejects++;
	else
		C.responses++;
	free(p);
}

static void
pending_due(struct timer *t)
{
	pending_send(container_of(t, struct pending, timer));
}

static void
reply_once(struct slot *s, const struct request *r)
{
	struct pending *p = xcalloc(1, sizeof(*p) + s->reply_n);
	double ms = O.delay + rng_unit(&rng) * O.jitter;

	if (chance(O.reorder))
		ms += 1 + rng_unit(&rng) * 50;
	p->timer.fn = pending_due;
	p->to = r->from;
	p->slot = s;
	memcpy(p->auth, s->auth, 16);
	p->fd = chance(O.wrong_source) ? fd_wrong :
	    r->code == ACCT_REQUEST ? fd_acct : fd_auth;
	p->n = s->reply_n;
	memcpy(p->bytes, s->reply, s->reply_n);
	if (chance(O.bad_authenticator))
		p->bytes[4] ^= 1;
	p->spoiled = p->bytes[4] != s->reply[4] || p->fd == fd_wrong;
	s->pending++;
	if (ms > 0)
		timer_set(&wheel, &p->timer, now + (uint64_t)(ms * 1e6));
	else
		pending_send(p);
}

static void
reply_send(struct slot *s, const struct request *r)
{
	if (s->pending)
		return;		/* on its way already */
	if (chance(O.loss)) {
		C.replies_lost++;
		book_line("lost", NULL, &r->from, s->reply[0], r->id, "");
		return;
	}
	reply_once(s, r);
	if (chance(O.dup)) {
		C.replies_doubled++;
		reply_once(s, r);
	}
}

static bool
is_dead(void)
{
	double t;

	if (O.silent)
		return true;
	if (O.flap_on <= 0)
		return false;
	t = (double)(now - began) / 1e9;
	t -= (O.flap_on + O.flap_off) *
	    (double)(uint64_t)(t / (O.flap_on + O.flap_off));
	return t >= O.flap_on;
}

/* ---- requests ---- */

static void
count_auth(const struct request *r)
{
	C.auth_requests++;
	C.no_nas += !r->has_nas;
	C.no_credentials += !r->has_credentials;
	C.user_empty += !r->user[0];
	C.auth_pap += r->password.p != NULL;
	C.auth_chap += r->chap.p != NULL;
}

static void
request_new(struct slot *s, const struct request *r)
{
	const struct user *u;

	switch (r->code) {
	case ACCESS_REQUEST:
		count_auth(r);
		u = user_find(r->user);
		reply_build(s, r, u, is_accepted(r, u) ? ACCESS_ACCEPT :
		    ACCESS_REJECT);
		break;
	case ACCT_REQUEST:
		C.acct_requests++;
		C.no_nas += !r->has_nas;
		book_account(r, s, O.class);
		reply_build(s, r, NULL, ACCT_RESPONSE);
		break;
	default:
		C.status_requests++;
		reply_build(s, r, NULL, ACCESS_ACCEPT);
		break;
	}
}

static void
request_input(const uint8_t *p, size_t n, const struct sockaddr_in *from,
    bool acct_port)
{
	struct request r;
	struct slot *s;
	bool dup, dead = is_dead();

	C.packets++;
	C.bytes += n;
	book_rate(now);
	if (!request_read(&r, p, n, from)) {
		C.malformed++;
		book_line("in", NULL, from, n ? p[0] : 0, n > 1 ? p[1] : 0,
		    "malformed");
		return;
	}
	if (r.code != STATUS_SERVER &&
	    r.code != (acct_port ? ACCT_REQUEST : ACCESS_REQUEST)) {
		C.unknown_code++;
		book_line("in", &r, from, r.code, r.id, "code not for here");
		return;
	}
	if (!request_check(&r)) {
		book_line("in", &r, from, r.code, r.id, "wrong-authenticator");
		return;
	}
	s = book_slot(&r, now, &dup);
	book_line("in", &r, from, r.code, r.id, dup ? "dup" : "");
	if (!dup)
		request_new(s, &r);
	if (dead)
		C.not_answered++;
	else
		reply_send(s, &r);
}

static void
socket_read(int fd)
{
	static uint8_t buf[BATCH][RAD_MAX + 1];
	static struct mmsghdr m[BATCH];
	static struct iovec iov[BATCH];
	static struct sockaddr_in from[BATCH];
	int n;

	for (int i = 0; i < BATCH; i++) {
		iov[i].iov_base = buf[i];
		iov[i].iov_len = sizeof(buf[i]);
		memset(&m[i], 0, sizeof(m[i]));
		m[i].msg_hdr.msg_name = &from[i];
		m[i].msg_hdr.msg_namelen = sizeof(from[i]);
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL);
	now = now_ns();
	for (int i = 0; i < n; i++)
		request_input(buf[i], m[i].msg_len, &from[i], fd == fd_acct);
}

/* ---- the loop ---- */

static void
summary(void)
{
	char tmp[4096];
	const char *path = O.json ? O.json : "-";
	struct json j = { 0 };

	book_flush();
	j.f = file_begin(path, tmp, sizeof(tmp));
	if (j.f) {
		json_open(&j, NULL);
		json_num(&j, "run_seconds", (double)(now_ns() - began) / 1e9);
		book_json(&j);
		json_close(&j);
		file_commit(j.f, path, tmp);
	}
	if (O.sessions)
		book_sessions(O.sessions);
}

static void
signals_read(void)
{
	struct signalfd_siginfo si;

	while (read(sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGUSR1)
			summary();
		else if (si.ssi_signo == SIGUSR2)
			O.silent = !O.silent;
		else
			over = true;
	}
}

static int
socket_open(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int size = 16 << 20;

	if (fd < 0)
		die("socket: %s", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	a.sin_addr.s_addr = htonl(O.ip);
	a.sin_port = htons(port);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)))
		die("bind to port %u: %s", port, strerror(errno));
	return fd;
}

static void
want(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	ev.data.fd = fd;
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl: %s", strerror(errno));
}

static void
open_all(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigfd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (sigfd < 0 || epfd < 0)
		die("epoll: %s", strerror(errno));
	fd_auth = socket_open(O.auth_port);
	fd_acct = socket_open(O.acct_port);
	fd_wrong = socket_open(0);
	want(fd_auth);
	want(fd_acct);
	want(sigfd);
}

static void
loop_turn(void)
{
	struct epoll_event ev[4];
	uint64_t ns = wheel_wait(&wheel, now, 50 * NS_MS);
	struct timespec ts = { 0, (long)ns };
	int n = epoll_pwait2(epfd, ev, 4, &ts, NULL);

	now = now_ns();
	for (int i = 0; i < n; i++) {
		if (ev[i].data.fd == sigfd)
			signals_read();
		else
			socket_read(ev[i].data.fd);
	}
	wheel_run(&wheel, now);
	if (now - flushed > NS_SEC / 5) {
		flushed = now;
		book_flush();
	}
	if (O.seconds > 0 && (double)(now - began) / 1e9 >= O.seconds)
		over = true;
}

/* ---- options ---- */

enum {
	O_BIND = 256, O_AUTH_PORT, O_ACCT_PORT, O_SECRET, O_DELAY, O_JITTER,
	O_LOSS, O_DUP, O_REORDER, O_REJECT, O_MA, O_WRONG_SOURCE, O_BAD_AUTH,
	O_FLAP, O_SILENT, O_PROXY_STATE, O_PASSWORD, O_ANY, O_ATTR, O_POOL,
	O_ACCEPT_FILE, O_LEDGER, O_JSON, O_SESSIONS, O_SEED, O_SECONDS, O_HELP,
	O_ACCT_MA
};

static const struct row {
	const char *name;
	int code, has_arg;
	const char *arg, *help;
} rows[] = {
	{ "bind", O_BIND, 1, "ADDR", "[127.0.0.1]" },
	{ "auth-port", O_AUTH_PORT, 1, "N", "[1812]" },
	{ "acct-port", O_ACCT_PORT, 1, "N", "[1813]" },
	{ "secret", O_SECRET, 1, "TEXT", "[secret]" },
	{ "password", O_PASSWORD, 1, "FORMAT",
	    "of every user; %d = the number at the end of its name" },
	{ "any", O_ANY, 0, "", "every password is right" },
	{ "accept-file", O_ACCEPT_FILE, 1, "FILE",
	    "lines: user [Password=text] [Reject] [attribute=value]..." },
	{ "attr", O_ATTR, 1, "NAME=VALUE",
	    "in each Access-Accept; again for more; also 26.311.28=0x.." },
	{ "pool", O_POOL, 1, "A.B.C.D", "Framed-IP-Address from here on up" },
	{ "delay", O_DELAY, 1, "MS", "before each reply [0]" },
	{ "jitter", O_JITTER, 1, "MS", "more, at random [0]" },
	{ "loss", O_LOSS, 1, "PCT", "of the replies" },
	{ "dup", O_DUP, 1, "PCT", "replies sent twice" },
	{ "reorder", O_REORDER, 1, "PCT", "replies held back 1 to 51 ms" },
	{ "reject", O_REJECT, 1, "PCT|REGEX", "at random, or by user name" },
	{ "ma", O_MA, 1, "good|bad|none",
	    "Message-Authenticator in Access replies [good]" },
	{ "acct-ma", O_ACCT_MA, 0, "", "and in Accounting-Responses" },
	{ "wrong-source", O_WRONG_SOURCE, 2, "[=PCT]",
	    "replies from another port" },
	{ "bad-authenticator", O_BAD_AUTH, 2, "[=PCT]",
	    "wrong Response Authenticator" },
	{ "proxy-state", O_PROXY_STATE, 0, "",
	    "a Proxy-State nobody asked for" },
	{ "flap", O_FLAP, 1, "ON:OFF", "seconds alive, seconds silent" },
	{ "silent", O_SILENT, 0, "", "never reply (SIGUSR2 changes it)" },
	{ "ledger", O_LEDGER, 1, "FILE|-", "a line for each packet" },
	{ "json", O_JSON, 1, "FILE|-", "the summary [-]" },
	{ "sessions", O_SESSIONS, 1, "FILE|-",
	    "a line for each accounting session" },
	{ "seed", O_SEED, 1, "N", "" },
	{ "seconds", O_SECONDS, 1, "S", "then end [run until a signal]" },
	{ "help", O_HELP, 0, "", "this" },
};
#define ROWS	(sizeof(rows) / sizeof(rows[0]))

static void
usage(FILE *f)
{
	fprintf(f, "usage: radresp --any | --password TEXT | --accept-file "
	    "FILE [options]\n");
	for (size_t i = 0; i < ROWS; i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", rows[i].name,
		    rows[i].has_arg == 1 ? " " : "", rows[i].arg);
		fprintf(f, "  %-28s %s\n", left, rows[i].help);
	}
	fprintf(f, "SIGUSR1 writes the summary, SIGUSR2 turns silence on and "
	    "off.\n");
}

static void
set_reject(const char *a)
{
	char *end;
	double pct = strtod(a, &end);

	if (!*end && end != a) {
		O.reject = pct;
		return;
	}
	if (regcomp(&reject_regex, a, REG_EXTENDED | REG_NOSUB))
		die("--reject %s: neither a number nor a regex", a);
	O.reject_users = true;
}

static void
set_flap(const char *a)
{
	if (sscanf(a, "%lf:%lf", &O.flap_on, &O.flap_off) != 2 ||
	    !(O.flap_on > 0) || !(O.flap_off >= 0))
		die("--flap %s: want ON:OFF in seconds", a);
}

static void
set_attr(const char *text)
{
	const char *why;
	struct attr *a = attr_parse(text, &why);

	if (!a)
		die("--attr %s: %s", text, why);
	if (a->bytes[0] == 25 && !O.class)
		O.class = a;
	attr_append(&O.attrs, a);
}

static void
set_ma(const char *a)
{
	if (!strcmp(a, "good"))
		O.ma = MA_GOOD;
	else if (!strcmp(a, "bad"))
		O.ma = MA_BAD;
	else if (!strcmp(a, "none"))
		O.ma = MA_NONE;
	else
		die("--ma %s: want good, bad or none", a);
}

static void
option_more(int c, const char *a)
{
	switch (c) {
	case O_ACCEPT_FILE:
		O.accept_file = a;
		break;
	case O_LEDGER:
		O.ledger = a;
		break;
	case O_JSON:
		O.json = a;
		break;
	case O_SESSIONS:
		O.sessions = a;
		break;
	case O_SEED:
		O.seed = arg_u64("seed", a, 0, UINT64_MAX);
		break;
	case O_SECONDS:
		O.seconds = arg_num("seconds", a, 0, 1e9);
		break;
	case O_PROXY_STATE:
		O.proxy_state = true;
		break;
	case O_SILENT:
		O.silent = true;
		break;
	case O_ACCT_MA:
		O.acct_ma = true;
		break;
	case O_ANY:
		O.any = true;
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
option(int c, const char *a)
{
	switch (c) {
	case O_BIND:
		O.ip = arg_ip("bind", a);
		break;
	case O_AUTH_PORT:
		O.auth_port = (uint16_t)arg_u64("auth-port", a, 1, 65535);
		break;
	case O_ACCT_PORT:
		O.acct_port = (uint16_t)arg_u64("acct-port", a, 1, 65535);
		break;
	case O_SECRET:
		O.secret = a;
		break;
	case O_PASSWORD:
		O.password = a;
		break;
	case O_DELAY:
		O.delay = arg_num("delay", a, 0, 1e6);
		break;
	case O_JITTER:
		O.jitter = arg_num("jitter", a, 0, 1e6);
		break;
	case O_LOSS:
		O.loss = arg_num("loss", a, 0, 100);
		break;
	case O_DUP:
		O.dup = arg_num("dup", a, 0, 100);
		break;
	case O_REORDER:
		O.reorder = arg_num("reorder", a, 0, 100);
		break;
	case O_REJECT:
		set_reject(a);
		break;
	case O_MA:
		set_ma(a);
		break;
	case O_WRONG_SOURCE:
		O.wrong_source = a ? arg_num("wrong-source", a, 0, 100) : 100;
		break;
	case O_BAD_AUTH:
		O.bad_authenticator = a ?
		    arg_num("bad-authenticator", a, 0, 100) : 100;
		break;
	case O_FLAP:
		set_flap(a);
		break;
	case O_ATTR:
		set_attr(a);
		break;
	case O_POOL:
		O.pool = arg_ip("pool", a);
		break;
	default:
		option_more(c, a);
		break;
	}
}

static void
options_read(int argc, char **argv)
{
	struct option opts[ROWS + 1];
	int c;

	memset(opts, 0, sizeof(opts));
	for (size_t i = 0; i < ROWS; i++)
		opts[i] = (struct option){ rows[i].name, rows[i].has_arg,
		    NULL, rows[i].code };
	O.ip = 0x7f000001;
	O.auth_port = 1812;
	O.acct_port = 1813;
	O.secret = "secret";
	O.seed = now_ns();
	while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1)
		option(c, optarg);
	if (optind < argc)
		die("%s: not an option", argv[optind]);
	if (!O.any && !O.password && !O.accept_file)
		die("one of --any, --password, --accept-file is needed");
	if (O.password && !fmt_ok(O.password))
		die("--password: at most one %%d or %%0Nd");
}

int
main(int argc, char **argv)
{
	options_read(argc, argv);
	now = began = now_ns();
	rng.s = O.seed;
	wheel_init(&wheel, now);
	book_open(O.ledger);
	if (O.accept_file)
		users_load(O.accept_file);
	open_all();
	while (!over)
		loop_turn();
	summary();
	return 0;
}
