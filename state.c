/*
 * state.c - saved state: pool, tunnels and sessions over a restart
 *
 * Before the daemon ends it writes what the next one needs to carry on: the
 * tunnels with their numbers and unacknowledged messages, the sessions that
 * are up, who had which address, and the accounting records that no server has
 * confirmed.  Neither LACs nor subscribers notice more than a short loss, and
 * accounting goes on: no Stop, no second Start.
 *
 *	magic (8)  version (4)  records (state_wire.h)  SHA-256 of all before
 *
 * The next one believes all of it or none.  First the file: it gets another
 * name, so that it is never used twice; it is ours by owner and mode, and whole
 * by its SHA-256.  Then the records, read twice: the first
 * reading looks at each and at how they fit together, and touches nothing; the
 * second builds.  Should memory end half way, all is taken back again.  What
 * is true but cannot be carried on, for its age or since the configuration has
 * no room for it now, is refused as well; but these sessions are ours and have
 * ended, so their accounts are closed, and records that wait are still sent.
 *
 * What is only half set up is not saved, since nothing would be gained: a LAC
 * or subscriber that is told to begin again does so at once.
 *
 * Owns:     the file, and what the first reading remembers.
 * Calls:    state_wire for the records; export and resume functions of
 *           tunnel, session, ippool, accounting.
 * Lifetime: one call each at the end and at the start of the process.
 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acctfile.h"
#include "digest.h"
#include "err.h"
#include "files.h"
#include "forward.h"
#include "ippool.h"
#include "l2tp_proto.h"
#include "log.h"
#include "state_wire.h"
#include "table.h"
#include "tun.h"
#include "tunnel.h"

#define MAGIC		"L2TPNSst"
#define VERSION		1
#define PREFIX_LEN	(sizeof(MAGIC) - 1 + 4)
#define FILE_MAX	INT64_C(0x80000000)
#define WRITE_MAX	(256 * 1024)

/* --- writing ------------------------------------------------------------ */

/* The file as it grows.  An error is sticky. */
struct out {
	int fd, error;
	struct digest_sha256 sha;
	struct state_end n;
	size_t used;
	uint8_t buf[WRITE_MAX];
};

static void
out_flush(struct out *o)
{
	size_t done = 0;
	ssize_t n;

	while (o->error == 0 && done < o->used) {
		n = write(o->fd, o->buf + done, o->used - done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			o->error = n == 0 ? EIO : errno;
	}
	o->used = 0;
}

static void
out_bytes(struct out *o, const void *p, size_t len)
{
	if (len > sizeof(o->buf) - o->used)
		out_flush(o);
	memcpy(o->buf + o->used, p, len);
	o->used += len;
	digest_sha256_add(&o->sha, p, len);
}

static void
out_record(struct out *o, enum state_type type, const void *x)
{
	uint8_t buf[STATE_RECORD_MAX];
	struct wr w = wr_init(buf, sizeof(buf));

	state_put(&w, type, x);
	out_bytes(o, buf, wr_done(&w));
}

static void
save_header(struct out *o)
{
	struct state_header h = {
		.written = (uint64_t)timer_wall(),
		.bind_address = lns.config.bind_address,
		.version = L2TPNS_VERSION
	};
	uint8_t buf[PREFIX_LEN];
	struct wr w = wr_init(buf, sizeof(buf));

	wr_bytes(&w, MAGIC, sizeof(MAGIC) - 1);
	wr_u32(&w, VERSION);
	out_bytes(o, buf, wr_done(&w));
	memcpy(h.hostname, lns.hostname, sizeof(h.hostname));
	out_record(o, STATE_HEADER, &h);
}

static void
save_messages(struct out *o, const struct ctl *c)
{
	uint8_t buf[STATE_RECORD_MAX];
	const struct ctl_msg *m = NULL;
	const uint8_t *msg;
	size_t len;

	while ((m = ctl_queued(c, m, &msg, &len)) != NULL) {
		struct wr w = wr_init(buf, sizeof(buf));

		state_put_message(&w, msg, len);
		out_bytes(o, buf, wr_done(&w));
		o->n.messages++;
	}
}

static void
save_tunnels(struct out *o)
{
	static struct state_tunnel st;
	struct tunnel *t;

	for (t = tunnel_next(0); t != NULL; t = tunnel_next(t->tid)) {
		if (!tunnel_export(t, &st.ctl))
			continue;
		st.t = *t;
		out_record(o, STATE_TUNNEL, &st);
		o->n.tunnels++;
		save_messages(o, &tunnel_local(t)->ctl);
	}
}

/* One whose tunnel is not saved would be nobody's. */
static void
save_sessions(struct out *o)
{
	static struct state_session ss;
	struct ctl_carry unused;
	struct session *s;
	struct tunnel *t;

	for (s = session_next(0); s != NULL; s = session_next(s->sid)) {
		t = tunnel_by_tid(s->tid);
		if (t == NULL || !tunnel_export(t, &unused) ||
		    !session_export(s, &ss.carry))
			continue;
		ss.s = *s;
		acctfile_export(s, &ss.usage_rx, &ss.usage_tx);
		out_record(o, STATE_SESSION, &ss);
		o->n.sessions++;
	}
}

static void
save_addresses(struct out *o)
{
	struct state_address a;
	struct ippool_row row;
	uint32_t at = 0;

	while (ippool_released(&at, &row)) {
		state_address_of(&a, &row, timer_now());
		out_record(o, STATE_ADDRESS, &a);
		o->n.addresses++;
	}
}

static bool
save_record(const struct acct_carry *c, void *arg)
{
	static struct state_acct a;
	struct out *o = arg;

	state_acct_of(&a, c);
	a.number = 0;			/* the next process counts anew */
	out_record(o, STATE_ACCT, &a);
	o->n.records++;
	return true;
}

static void
save_all(struct out *o)
{
	uint8_t sha[DIGEST_SHA256];

	digest_sha256_begin(&o->sha);
	save_header(o);
	save_tunnels(o);
	save_sessions(o);
	save_addresses(o);
	(void)acct_export(save_record, o);
	out_record(o, STATE_END, &o->n);
	digest_sha256_end(&o->sha, sha);
	out_bytes(o, sha, sizeof(sha));
	out_flush(o);
	if (o->error == 0 && fsync(o->fd) != 0)
		o->error = errno;
}

static int
open_new(const char *path)
{
	char dir[CONFIG_STRING + 8];
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, fd;

	(void)unlink(path);
	fd = open(path, flags, 0600);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	file_directory(dir, sizeof(dir), path);
	if (mkdir(dir, 0700) != 0)
		return -1;
	return open(path, flags, 0600);
}

bool
state_save(const char *path, char *msg, size_t size)
{
	static struct out o;
	char new[CONFIG_STRING + 8];
	struct stat st;

	/* A slip in the configuration must not cost a device or a directory. */
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode) &&
	    !S_ISLNK(st.st_mode))
		return err_set(msg, size, "%s: it is no regular file", path);
	snprintf(new, sizeof(new), "%s.new", path);
	o = (struct out){ .fd = open_new(new) };
	if (o.fd < 0)
		return err_set(msg, size, "%s: %s", new, strerror(errno));
	save_all(&o);
	if (close(o.fd) != 0 && o.error == 0)
		o.error = errno;
	if (o.error == 0 && rename(new, path) != 0)
		o.error = errno;
	if (o.error != 0) {
		(void)unlink(new);
		return err_set(msg, size, "%s: %s", path, strerror(o.error));
	}
	(void)file_sync_directory(path);
	err_set(msg, size, "%u sessions on %u tunnels, %u addresses remembered, "
	    "%u accounting records", o.n.sessions, o.n.tunnels, o.n.addresses,
	    o.n.records);
	return true;
}

void
state_settle(void)
{
	sessions_settle("the server restarts, and PPP was not up yet");
	tunnels_settle("the server restarts");
	forward_flush();
}

/* --- the first reading: does it all fit together ------------------------ */

/* Keys that may come once only; sorted in the end. */
struct keys {
	uint64_t *key;
	size_t n, room;
};

struct survey {
	struct state_header header;
	struct state_end n;		/* seen so far */
	uint16_t type;			/* of the record before */
	uint32_t last_tid, last_sid;
	uint32_t owed;			/* messages of the tunnel before */
	bool ended;
	uint8_t tids[65536 / 8], local_ids[65536 / 8];
	struct keys local, peer, prefixes, records;
	const char *why;
	const char *unfit;		/* true, but not to be carried on */
};

/* A record of any type, decoded. */
static union {
	struct state_header header;
	struct state_tunnel tunnel;
	struct state_session session;
	struct state_address address;
	struct state_acct acct;
	struct state_end end;
} decoded;

static bool
refuse(struct survey *v, const char *why)
{
	v->why = why;
	return false;
}

static bool
key_add(struct survey *v, struct keys *k, uint64_t key)
{
	if (k->n == k->room) {
		size_t room = k->room == 0 ? 1024 : 2 * k->room;
		void *more = reallocarray(k->key, room, sizeof(*k->key));

		if (more == NULL)
			return refuse(v, "out of memory");
		k->key = more;
		k->room = room;
	}
	k->key[k->n++] = key;
	return true;
}

static int
compare_keys(const void *va, const void *vb)
{
	uint64_t a = *(const uint64_t *)va, b = *(const uint64_t *)vb;

	return a < b ? -1 : a > b;
}

static bool
keys_unique(struct keys *k)
{
	if (k->n == 0)
		return true;
	qsort(k->key, k->n, sizeof(*k->key), compare_keys);
	for (size_t i = 1; i < k->n; i++)
		if (k->key[i] == k->key[i - 1])
			return false;
	return true;
}

static bool
bit_get(const uint8_t *bits, uint32_t n)
{
	return n < 65536 && (bits[n / 8] >> n % 8 & 1) != 0;
}

static void
bit_set(uint8_t *bits, uint32_t n)
{
	bits[n / 8] |= (uint8_t)(1u << n % 8);
}

/* FNV-1a, with room for what kind of record it is. */
static uint64_t
id_key(const char *id, uint8_t kind)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *id != '\0'; id++)
		h = (h ^ (uint8_t)*id) * UINT64_C(1099511628211);
	return h << 2 | kind;
}

static bool
look_tunnel(struct survey *v, const struct state_tunnel *st)
{
	uint32_t tid = st->t.tid;

	if (tid <= v->last_tid || bit_get(v->local_ids, st->t.local_id))
		return refuse(v, "a tunnel id is in it twice");
	if (tid > UINT16_MAX)
		return refuse(v, "there cannot be such a tunnel id");
	if (st->stage.state != T_IDLE)
		return refuse(v, "it is a copy, and no saved state");
	if (tid > (uint64_t)lns.config.max_tunnels)
		v->unfit = "a tunnel is beyond max_tunnels";
	bit_set(v->tids, tid);
	bit_set(v->local_ids, st->t.local_id);
	v->last_tid = tid;
	v->owed = st->ctl.queued;
	v->n.tunnels++;
	return true;
}

static bool
look_message(struct survey *v, const struct rd *body)
{
	if (v->owed == 0 || rd_left(body) < L2TP_CTL_HEADER ||
	    rd_left(body) > PACKET_MAX)
		return refuse(v, "a control message has no place");
	v->owed--;
	v->n.messages++;
	return true;
}

static bool
look_session(struct survey *v, const struct state_session *ss)
{
	const struct session *s = &ss->s;
	uint64_t tid = s->tid;

	if (s->sid <= v->last_sid)
		return refuse(v, "a session id is in it twice");
	if (ss->carry.state != S_IDLE)
		return refuse(v, "it is a copy, and no saved state");
	if (s->sid > (uint64_t)lns.config.max_sessions)
		v->unfit = "a session is beyond max_sessions";
	if (!bit_get(v->tids, s->tid))
		return refuse(v, "a session has no tunnel");
	v->last_sid = s->sid;
	v->n.sessions++;
	for (uint8_t i = 0; i < s->nroutes; i++)
		if (!key_add(v, &v->prefixes, (uint64_t)s->routes[i].addr << 8 |
		    s->routes[i].len))
			return false;
	return key_add(v, &v->local, tid << 16 | s->local_id) &&
	    key_add(v, &v->peer, tid << 16 | s->peer_id) &&
	    key_add(v, &v->prefixes, (uint64_t)s->ip << 8 | 32) &&
	    (!s->acct_started ||
	    key_add(v, &v->records, id_key(s->acct_id, ACCT_KINDS)));
}

static bool
look_end(struct survey *v, const struct state_end *e)
{
	if (e->tunnels != v->n.tunnels || e->messages != v->n.messages ||
	    e->sessions != v->n.sessions || e->addresses != v->n.addresses ||
	    e->records != v->n.records)
		return refuse(v, "it is not complete");
	if (!keys_unique(&v->local) || !keys_unique(&v->peer))
		return refuse(v, "two sessions have one id");
	if (!keys_unique(&v->prefixes))
		return refuse(v, "an address or route is in it twice");
	if (!keys_unique(&v->records))
		return refuse(v, "an accounting record is in it twice");
	v->ended = true;
	return true;
}

static bool
look_decoded(struct survey *v, uint16_t type)
{
	switch (type) {
	case STATE_HEADER:
		v->header = decoded.header;
		return true;
	case STATE_TUNNEL:
		return look_tunnel(v, &decoded.tunnel);
	case STATE_SESSION:
		return look_session(v, &decoded.session);
	case STATE_ADDRESS:
		v->n.addresses++;
		return key_add(v, &v->prefixes,
		    (uint64_t)decoded.address.addr << 8 | 32);
	case STATE_ACCT:
		v->n.records++;
		return key_add(v, &v->records,
		    id_key(decoded.acct.id, decoded.acct.kind));
	default:
		return look_end(v, &decoded.end);
	}
}

/* The order of enum state_type, but that tunnels and messages alternate. */
static bool
in_order(const struct survey *v, uint16_t type)
{
	if (v->type == 0 || v->ended)
		return v->type == 0 && type == STATE_HEADER;
	if (type == STATE_HEADER)
		return false;
	if (type != STATE_MESSAGE && v->owed > 0)
		return false;
	return type >= v->type ||
	    (type == STATE_TUNNEL && v->type == STATE_MESSAGE);
}

/* Is it all that it says, and could it be so? */
static bool
survey_all(struct survey *v, struct rd r)
{
	struct state_record rec;

	while (state_next(&r, &rec)) {
		if (rec.type == 0 || rec.type > STATE_END)
			continue;	/* of a newer release */
		if (!in_order(v, rec.type))
			return refuse(v, "a record is out of place");
		v->type = rec.type;
		if (rec.type == STATE_MESSAGE) {
			if (!look_message(v, &rec.body))
				return false;
			continue;
		}
		if (!state_get(&rec, &decoded))
			return refuse(v, "a record is damaged");
		if (!look_decoded(v, rec.type))
			return false;
	}
	return (v->ended && rd_done(&r)) || refuse(v, "it is not complete");
}

static void
survey_free(struct survey *v)
{
	free(v->local.key);
	free(v->peer.key);
	free(v->prefixes.key);
	free(v->records.key);
	free(v);
}

/* --- the second reading: build ------------------------------------------ */

static bool
build_acct(const struct state_acct *a, uint64_t passed)
{
	struct acct_carry c = state_acct_carry(a);

	c.age += passed;
	return acct_resume(&c);
}

static bool
build_session(const struct state_session *ss, uint64_t passed)
{
	const struct session *s = session_resume(&ss->s, &ss->carry, passed);

	if (s != NULL)
		acctfile_resume(s, ss->usage_rx, ss->usage_tx);
	return s != NULL;
}

static bool
build_record(const struct state_record *rec, struct tunnel **last,
    uint64_t passed)
{
	if (rec->type == STATE_MESSAGE)
		return ctl_send(&tunnel_local(*last)->ctl, rec->body.p,
		    rd_left(&rec->body));
	if (!state_get(rec, &decoded))
		return false;
	switch (rec->type) {
	case STATE_TUNNEL:
		*last = tunnel_resume(&decoded.tunnel.t, &decoded.tunnel.ctl);
		return *last != NULL;
	case STATE_SESSION:
		return build_session(&decoded.session, passed);
	case STATE_ADDRESS:
		ippool_remember(decoded.address.addr, decoded.address.user,
		    decoded.address.age + passed);
		return true;
	case STATE_ACCT:
		return build_acct(&decoded.acct, passed);
	default:
		return true;
	}
}

static bool
build_all(struct rd r, uint64_t passed)
{
	struct tunnel *last = NULL;
	struct state_record rec;

	while (state_next(&r, &rec)) {
		if (rec.type == 0 || rec.type > STATE_END)
			continue;
		if (!build_record(&rec, &last, passed))
			return false;
	}
	return true;
}

static void
undo_all(void)
{
	struct session *s;
	struct tunnel *t;

	while ((s = session_next(0)) != NULL)
		session_forget(s);
	while ((t = tunnel_next(0)) != NULL)
		tunnel_forget(t);
	acct_forget();
}

/* What is owed to RADIUS for sessions that end with their process. */
static void
close_account(struct state_session *ss)
{
	ss->s.started = timer_now() - ss->carry.age;
	acct_stop(&ss->s, CAUSE_NAS_REBOOT);
}

/* The records that waited come first: they may be Starts of these sessions. */
static void
close_books(struct rd r, uint64_t passed)
{
	struct state_record rec;
	struct rd again = r;

	while (state_next(&r, &rec))
		if (rec.type == STATE_ACCT && state_get(&rec, &decoded))
			(void)build_acct(&decoded.acct, passed);
	while (state_next(&again, &rec))
		if (rec.type == STATE_SESSION && state_get(&rec, &decoded))
			close_account(&decoded.session);
	if (acct_pending() > 0)
		log_warn("%u accounting records of the saved state are sent "
		    "all the same", acct_pending());
}

/* The configuration may have given away what a subscriber has. */
static void
drop_forbidden(void)
{
	struct session *s;

	for (s = session_next(0); s != NULL; s = session_next(s->sid))
		if (tun_address_forbidden(s->ip))
			session_shutdown(s, CAUSE_NAS_REBOOT, CDN_ADMIN, 0,
			    "its address is now one of this server or of no "
			    "host");
}

/* --- the age, the sender ------------------------------------------------ */

/* A clock that was set back by a second is no reason to end anybody. */
static bool
check_header(struct survey *v, int64_t age, long max_age)
{
	if (strcmp(v->header.hostname, lns.hostname) != 0)
		return refuse(v, "it is of another server");
	if (age < -1)
		return refuse(v, "it is from the future");
	if (v->header.bind_address != lns.config.bind_address)
		v->unfit = "it is of another bind_address";
	else if (age > max_age)
		v->unfit = "it is too old";
	return true;
}

static bool
load_surveyed(struct survey *v, const uint8_t *records, size_t len,
    int64_t wall, long max_age)
{
	uint64_t passed;
	int64_t age;

	if (table_sessions() != 0 || table_tunnels() != 0)
		return refuse(v, "there are sessions already");
	if (!survey_all(v, rd_init(records, len)))
		return false;
	age = wall - (int64_t)v->header.written;
	passed = age > 0 ? (uint64_t)age * 1000 : 0;
	if (!check_header(v, age, max_age))
		return false;
	if (v->unfit == NULL && !build_all(rd_init(records, len), passed)) {
		undo_all();
		v->unfit = "out of memory";
	}
	if (v->unfit != NULL) {
		close_books(rd_init(records, len), passed);
		return refuse(v, v->unfit);
	}
	drop_forbidden();
	return true;
}

bool
state_load(const uint8_t *records, size_t len, int64_t wall, long max_age,
    char *msg, size_t size)
{
	struct survey *v = calloc(1, sizeof(*v));
	bool ok;

	if (v == NULL)
		return err_set(msg, size, "out of memory");
	ok = load_surveyed(v, records, len, wall, max_age);
	if (ok)
		err_set(msg, size, "%u sessions on %u tunnels, %u addresses "
		    "remembered, %u accounting records, saved %ld s ago",
		    v->n.sessions, v->n.tunnels, v->n.addresses, v->n.records,
		    (long)(wall - (int64_t)v->header.written));
	else
		err_set(msg, size, "%s", v->why);
	survey_free(v);
	return ok;
}

/* --- reading the file --------------------------------------------------- */

/* Whoever else can write to it could make us do anything. */
static bool
check_file(int fd, size_t *len, char *msg, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_set(msg, size, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(msg, size, "it is no regular file");
	if (st.st_uid != 0 && st.st_uid != geteuid() &&
	    (int64_t)st.st_uid != lns.config.setuid)
		return err_set(msg, size, "it belongs to somebody else");
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return err_set(msg, size, "others can write to it");
	if (st.st_size > FILE_MAX)
		return err_set(msg, size, "it is too large");
	*len = (size_t)st.st_size;
	return true;
}

static uint8_t *
read_file(int fd, size_t len, char *msg, size_t size)
{
	uint8_t *buf = malloc(len + 1);
	size_t got = 0;
	ssize_t n;

	if (buf == NULL) {
		err_set(msg, size, "out of memory");
		return NULL;
	}
	while (got < len) {
		n = read(fd, buf + got, len - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	if (got == len)
		return buf;
	err_set(msg, size, "it cannot be read to its end");
	free(buf);
	return NULL;
}

static bool
check_whole(const uint8_t *buf, size_t len, char *msg, size_t size)
{
	uint8_t sha[DIGEST_SHA256];
	struct digest_sha256 d;
	struct rd r = rd_init(buf, len);

	if (len < PREFIX_LEN + sizeof(sha) ||
	    memcmp(rd_bytes(&r, sizeof(MAGIC) - 1), MAGIC,
	    sizeof(MAGIC) - 1) != 0)
		return err_set(msg, size, "it is no saved state, or damaged");
	digest_sha256_begin(&d);
	digest_sha256_add(&d, buf, len - sizeof(sha));
	digest_sha256_end(&d, sha);
	if (memcmp(sha, buf + len - sizeof(sha), sizeof(sha)) != 0)
		return err_set(msg, size, "it is damaged");
	if (rd_u32(&r) != VERSION)
		return err_set(msg, size, "it is of another version");
	return true;
}

/* Opens without waiting, should it be a pipe that nobody writes to. */
static uint8_t *
take_file(const char *path, size_t *len, char *msg, size_t size)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint8_t *buf = NULL;

	if (fd < 0) {
		err_set(msg, size, "%s", errno == ELOOP ?
		    "it is a symbolic link" : strerror(errno));
		return NULL;
	}
	if (check_file(fd, len, msg, size))
		buf = read_file(fd, *len, msg, size);
	close(fd);
	if (buf != NULL && !check_whole(buf, *len, msg, size)) {
		free(buf);
		buf = NULL;
	}
	return buf;
}

/*
 * Away with it before it is looked at: what could be used again, should we die
 * half way, is not used at all.
 */
static bool
put_aside(const char *path, char *aside, size_t size)
{
	snprintf(aside, size, "%s.refused", path);
	if (rename(path, aside) != 0)
		return false;
	(void)file_sync_directory(path);
	return true;
}

bool
state_restore(const char *path, long max_age, char *msg, size_t size)
{
	char aside[CONFIG_STRING + 16];
	uint8_t *buf;
	size_t len;
	bool ok;

	if (!put_aside(path, aside, sizeof(aside))) {
		msg[0] = '\0';
		return errno == ENOENT || errno == ENOTDIR ||
		    err_set(msg, size, "it cannot be moved: %s", strerror(errno));
	}
	buf = take_file(aside, &len, msg, size);
	if (buf == NULL)
		return false;
	ok = state_load(buf + PREFIX_LEN, len - PREFIX_LEN - DIGEST_SHA256,
	    timer_wall(), max_age, msg, size);
	if (ok)
		(void)unlink(aside);
	explicit_bzero(buf, len);
	free(buf);
	return ok;
}

void
state_discard(const char *path)
{
	char aside[CONFIG_STRING + 16];

	if (path[0] != '\0')
		(void)put_aside(path, aside, sizeof(aside));
}

void
state_take_over(void)
{
	const char *path = lns.config.state_file;
	char msg[512];

	if (!lns.config.save_state)
		state_discard(path);
	else if (!state_restore(path, (long)lns.config.state_max_age, msg,
	    sizeof(msg)))
		log_error("saved state %s refused: %s; starting without "
		    "sessions", path, msg);
	else if (msg[0] != '\0')
		log_warn("state restored: %s", msg);
}
