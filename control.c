/*
 * control.c - the server's side of nsctl: who may ask, and who answers
 *
 * Whoever asks from this machine is answered.  From elsewhere only signed
 * requests are (control_proto.h), and only with nsctl_secret set: UDP has no
 * idea where a packet comes from.  All else has no answer at all, so that
 * nothing is learned here and nothing reflected to somebody else; a counter
 * says that it was there.
 *
 * "From this machine" is the kernel's word for it, not the packet's: it came
 * in by the loopback interface, which nothing from outside ever does, whatever
 * its source address.  IP_PKTINFO names another interface where the machine's
 * own name was asked for, so there are two sockets on the port, and a filter of
 * four instructions sorts what comes in by loopback into one of them.
 *
 * A signed request is taken once.  Its sequence, the sender's clock, may be
 * ten seconds off ours; the MACs of all that were taken in that time are
 * remembered.  That is exact: an address could be forged, so neither a source
 * nor a highest sequence of it is asked for.  What no longer fits into the
 * memory raises the floor, below which nothing is taken; the floor begins at
 * our own start, since what was taken before is not known.
 *
 * Owns:     the sockets, the memory of MACs.
 * Calls:    control_wire; plugins for loading and for all words that it does
 *           not know itself.
 * Lifetime: control_init() to control_exit().
 */
#define _GNU_SOURCE 1			/* struct in_pktinfo */
#include "control.h"

#include <sys/socket.h>

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cluster_forward.h"
#include "control_wire.h"
#include "l2tpns.h"
#include "log.h"
#include "loop.h"
#include "plugins.h"
#include "ratelimit.h"

#define LEN(a)		(sizeof(a) / sizeof((a)[0]))
#define READS_A_TURN	32
#define RATE		100		/* requests served a second */
#define TEXT_MAX	4096		/* of a response, before it is cut */

/*
 * RATE a second, and a bucket full at first, for as long as a sequence is
 * good, from the future into the past.
 */
#define TAKEN_MAX	(RATE * (2 * CONTROL_CLOCK_USEC / 1000000 + 2))

/* In the order in which the filter numbers them. */
enum { FAR, NEAR, SOCKETS };

static struct loop_fd control_fd[SOCKETS] = { { .fd = -1 }, { .fd = -1 } };
static struct token_bucket tokens;

static struct {
	uint64_t sequence;
	uint8_t mac[CONTROL_MAC];
} taken[TAKEN_MAX];
static size_t taken_next;
static uint64_t taken_floor;

/* A request on its way to its answer. */
struct request {
	struct control_msg msg;
	const uint8_t *buf;
	size_t len;
	uint32_t addr;
	uint16_t port;
	const char *secret;		/* that it is signed with, or NULL */
	char *word[CONTROL_ARGS_MAX + 2];	/* of the command; a NULL */
	char space[CONTROL_REQUEST_MAX + CONTROL_ARGS_MAX + 8];
	bool failed;
	bool silent;			/* a plugin wants no answer */
	char text[TEXT_MAX];		/* of the answer */
};

/* --- what is asked -------------------------------------------------------- */

static void __attribute__((format(printf, 3, 4)))
answer(struct request *q, bool failed, const char *fmt, ...)
{
	va_list ap;

	q->failed = failed;
	va_start(ap, fmt);
	vsnprintf(q->text, sizeof(q->text), fmt, ap);
	va_end(ap);
}

static void
do_load(struct request *q)
{
	char err[512];

	if (!plugin_load(q->word[1], err, sizeof(err)))
		answer(q, true, "%s", err);
}

static void
do_unload(struct request *q)
{
	char err[512];

	if (!plugin_remove(q->word[1], err, sizeof(err)))
		answer(q, true, "%s", err);
}

static void
do_help(struct request *q)
{
	const char *line;
	size_t n = 0;

	for (size_t i = 0; (line = plugin_help(i)) != NULL; i++) {
		if (n + strlen(line) + 2 > sizeof(q->text))
			break;
		n += (size_t)sprintf(q->text + n, "%s\n", line);
	}
}

/* The words of the modules that come with l2tpns. */
static const struct { const char *word, *module; } module_words[] = {
	{ "garden", "garden" },
	{ "ungarden", "garden" },
	{ "build-garden", "garden" },
	{ "drop", "sessionctl" },
	{ "kill", "sessionctl" },
	{ "throttle", "throttlectl" },
	{ "unthrottle", "throttlectl" },
	{ "snoop", "snoopctl" },
	{ "unsnoop", "snoopctl" },
};

/* The module whose word the command is; NULL: of none of them. */
static const char *
module_of(const struct request *q)
{
	for (size_t i = 0; i < LEN(module_words); i++)
		if (strcmp(q->word[0], module_words[i].word) == 0)
			return module_words[i].module;
	return NULL;
}

static void
answer_unknown(struct request *q)
{
	const char *module = module_of(q);

	if (module != NULL && !plugin_loaded(module))
		answer(q, true, "%s: the module %s is not loaded "
		    "(load_plugin %s)", q->word[0], module, module);
	else
		answer(q, true, "unknown command: %s", q->word[0]);
}

/* What a plugin says; its length may be nonsense, its text may be longer. */
static void
take_response(struct request *q, const struct param_control *p, int ret)
{
	size_t n = 0;

	if (p->response != NULL && p->response_length > 0)
		n = strnlen(p->response, (size_t)p->response_length);
	answer(q, p->is_error != 0 || ret == PLUGIN_RET_ERROR, "%.*s", (int)(n < sizeof(q->text) ? n :
	    sizeof(q->text) - 1), n > 0 ? p->response : "");
}

/* Only the response is a plugin's to set: the next one gets the same question. */
struct question { struct param_control *param, asked; };

static bool
keep_question(void *arg, const char *plugin)
{
	struct question *q = arg;
	struct param_control said = *q->param;

	(void)plugin;
	*q->param = q->asked;
	q->param->response = said.response;
	q->param->response_length = said.response_length;
	q->param->send_response = said.send_response;
	q->param->is_error = said.is_error;
	return true;
}

static void
do_command(struct request *q)
{
	struct param_control p = {
		.buf = (const char *)q->buf, .l = (int)q->len,
		.source_ip = q->addr, .source_port = q->port,
		.type = q->msg.wire_type, .id = (int)q->msg.id,
		.data = (const char *)q->msg.data,
		.data_length = (int)q->msg.data_len,
		.argc = (int)q->msg.argc,
		.argv = (const char *const *)q->word,
	};
	struct question question = { &p, p };
	const char *by = "";
	char elsewhere[CLUSTER_ELSEWHERE];
	int ret;

	/* All of them change sessions. */
	if (module_of(q) != NULL &&
	    cluster_elsewhere(elsewhere, sizeof(elsewhere))) {
		answer(q, true, "%s", elsewhere);
		return;
	}
	ret = plugin_call_reviewed(PE_control, &p, keep_question, &question,
	    &by);
	if (p.send_response)
		take_response(q, &p, ret);
	else if (ret == PLUGIN_RET_ERROR)
		answer(q, true, "%s: the module %s failed", q->word[0], by);
	else if (ret == PLUGIN_RET_OK)
		answer_unknown(q);
	else
		q->silent = true;
	free(p.response);
}

/* The server's own commands; the last row takes all others. */
static const struct verb {
	uint8_t type;
	const char *word;
	int args;
	void (*run)(struct request *);
} verbs[] = {
	{ CONTROL_LOAD,		"load_plugin",		1, do_load },
	{ CONTROL_UNLOAD,	"unload_plugin",	1, do_unload },
	{ CONTROL_HELP,		"help",			0, do_help },
	{ CONTROL_COMMAND,	NULL,			0, do_command },
};

/*
 * By type, or by the word where the type is "a command"; then the word is put
 * before the arguments in any case.
 */
static const struct verb *
find_verb(struct request *q)
{
	const struct verb *v;

	for (v = verbs; v->word != NULL; v++) {
		if (v->type == q->msg.type) {
			memmove(q->word + 1, q->word,
			    (q->msg.argc + 1) * sizeof(q->word[0]));
			q->word[0] = (char *)(uintptr_t)v->word;
			q->msg.argc++;
			return v;
		}
		if (q->msg.type == CONTROL_COMMAND &&
		    strcmp(q->word[0], v->word) == 0)
			return v;
	}
	return v;
}

/* Gives the arguments NULs. */
static void
copy_words(struct request *q)
{
	char *to = q->space;

	for (unsigned int i = 0; i < q->msg.argc; i++) {
		const struct control_arg *a = &q->msg.arg[i];

		q->word[i] = to;
		memcpy(to, a->p, a->len);
		to[a->len] = '\0';
		to += a->len + 1;
	}
	q->word[q->msg.argc] = NULL;
}

#define LOG_REQUEST(q, words)						       \
	"nsctl from %u.%u.%u.%u: %s: %s", (q)->addr >> 24,		       \
	(q)->addr >> 16 & 255, (q)->addr >> 8 & 255, (q)->addr & 255, words,   \
	!(q)->failed ? "done" : (q)->text[0] != '\0' ? (q)->text : "failed"

/* Who intercepts whom is not for every listener. */
static void
log_request(const struct request *q)
{
	const char *module = module_of(q);
	char words[512] = "", safe[512];
	size_t n = 0;

	for (unsigned int i = 0; i < q->msg.argc && n < sizeof(words); i++)
		n += (size_t)snprintf(words + n, sizeof(words) - n, "%s%s",
		    i > 0 ? " " : "", q->word[i]);
	if (n >= sizeof(words))
		n = sizeof(words) - 1;
	log_escape(safe, sizeof(safe), words, n);
	if (module != NULL && strcmp(module, "snoopctl") == 0)
		log_private(0, 0, LOG_REQUEST(q, safe));
	else
		log_audit(0, 0, LOG_REQUEST(q, safe));
}

/* False if this is no request that has an answer. */
static bool
run(struct request *q)
{
	const struct verb *v;

	copy_words(q);
	v = find_verb(q);
	if ((int)q->msg.argc - 1 < v->args)
		answer(q, true, "%s needs the name of a plugin", v->word);
	else if ((int)q->msg.argc - 1 > v->args && v->word != NULL)
		answer(q, true, "%s: too many arguments", v->word);
	else
		v->run(q);
	if (v->type != CONTROL_HELP)
		log_request(q);
	return !q->silent;
}

/* --- who may ask ---------------------------------------------------------- */

static uint64_t
wall_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static const char *
verify(const uint8_t *buf, size_t len, const char *label)
{
	const char *secret[] = { lns.config.nsctl_secret,
	    lns.config.nsctl_secret_old };

	for (size_t i = 0; i < LEN(secret); i++)
		if (control_verify(buf, len, label, secret[i]))
			return secret[i];
	return NULL;
}

/* Who has the secret deserves to hear what is wrong, if only in the log. */
static bool
on_time(const struct request *q)
{
	static struct log_limit limit;
	int64_t ahead = (int64_t)(q->msg.sequence - wall_usec());

	if (ahead >= -CONTROL_CLOCK_USEC && ahead <= CONTROL_CLOCK_USEC &&
	    q->msg.sequence > taken_floor)
		return true;
	COUNT(nsctl_late);
	log_limited(&limit, LOG_L_WARN, 0, 0, "nsctl from %u.%u.%u.%u: not "
	    "done: its clock is %.1f s ahead of ours; up to 10 s either way is "
	    "taken, and nothing from before the server's start",
	    q->addr >> 24, q->addr >> 16 & 255, q->addr >> 8 & 255,
	    q->addr & 255, (double)ahead / 1e6);
	return false;
}

static const uint8_t *
mac_of(const struct request *q)
{
	return q->buf + q->len - CONTROL_MAC;
}

static bool
is_replay(const struct request *q)
{
	for (size_t i = 0; i < TAKEN_MAX; i++)
		if (taken[i].sequence == q->msg.sequence &&
		    memcmp(taken[i].mac, mac_of(q), CONTROL_MAC) == 0)
			return true;
	return false;
}

static void
remember(const struct request *q)
{
	if (taken[taken_next].sequence > taken_floor)
		taken_floor = taken[taken_next].sequence;
	taken[taken_next].sequence = q->msg.sequence;
	memcpy(taken[taken_next].mac, mac_of(q), CONTROL_MAC);
	taken_next = (taken_next + 1) % TAKEN_MAX;
}

/* A whole, permitted request, decoded; false, and counted, if it is none. */
static bool
admit(struct request *q, bool local)
{
	bool is_signed = control_is_signed(q->buf, q->len);

	if (is_signed)
		q->secret = verify(q->buf, q->len, CONTROL_LABEL_REQUEST);
	if (is_signed ? q->secret == NULL : !local) {
		COUNT(nsctl_refused);
		return false;
	}
	if (!control_decode(q->buf, q->len, &q->msg) ||
	    q->msg.type == CONTROL_OK || q->msg.type == CONTROL_ERROR ||
	    (q->msg.type == CONTROL_COMMAND && q->msg.argc == 0)) {
		COUNT(nsctl_malformed);
		return false;
	}
	if (is_signed && !on_time(q))
		return false;
	if (is_signed && is_replay(q)) {
		COUNT(nsctl_replayed);
		return false;
	}
	if (!token_take(&tokens, RATE)) {
		COUNT(nsctl_limited);
		return false;
	}
	if (is_signed)
		remember(q);
	return true;
}

/* --- the answer ----------------------------------------------------------- */

/* A plugin may quote what came from the network. */
static void
clean(char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c < 0x20 && c != '\n') || c == 0x7f)
			*text = c == '\t' ? ' ' : '?';
	}
}

static size_t
encode(struct request *q, uint8_t *dst)
{
	struct control_msg reply = {
		.form = q->msg.form, .id = q->msg.id,
		.sequence = q->msg.sequence,
		.type = q->failed ? CONTROL_ERROR : CONTROL_OK,
	};
	size_t n;

	clean(q->text);
	control_set_text(&reply, q->text, strlen(q->text));
	n = control_encode(&reply, dst, CONTROL_REPLY_MAX);
	if (reply.form == CONTROL_SIGNED)
		n = control_sign(dst, n, CONTROL_REPLY_MAX,
		    CONTROL_LABEL_REPLY, q->secret);
	return n;
}

size_t
control_input(const uint8_t *buf, size_t len, uint32_t addr, uint16_t port,
    bool local, uint8_t *dst)
{
	static struct request q;

	q.secret = NULL;
	q.failed = q.silent = false;
	q.text[0] = '\0';
	q.buf = buf;
	q.len = len;
	q.addr = addr;
	q.port = port;
	if (!admit(&q, local))
		return 0;
	COUNT(nsctl_requests);
	return run(&q) ? encode(&q, dst) : 0;
}

/* --- the sockets ---------------------------------------------------------- */

/* Room for one struct in_pktinfo. */
union pktinfo {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* Where a datagram came in; false if the kernel does not say. */
static bool
came_in(struct msghdr *mh, struct in_pktinfo *info)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(info, CMSG_DATA(c), sizeof(*info));
			return true;
		}
	return false;
}

/* From the address that was asked, whichever interface leads there. */
static void
send_reply(int fd, const struct sockaddr_in *to, struct in_pktinfo from,
    uint8_t *reply, size_t len)
{
	struct sockaddr_in sin = *to;
	struct iovec iov = { .iov_base = reply, .iov_len = len };
	union pktinfo control;
	struct msghdr mh = {
		.msg_name = &sin, .msg_namelen = sizeof(sin),
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	memset(&control, 0, sizeof(control));
	from.ipi_ifindex = 0;
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(from));
	memcpy(CMSG_DATA(c), &from, sizeof(from));
	(void)sendmsg(fd, &mh, MSG_DONTWAIT);
}

/* Receives and answers one; false when there is none. */
static bool
serve(int fd, bool local)
{
	static uint8_t buf[CONTROL_REQUEST_MAX + 1], reply[CONTROL_REPLY_MAX];
	struct sockaddr_in sin;
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	union pktinfo control;
	struct msghdr mh = {
		.msg_name = &sin, .msg_namelen = sizeof(sin),
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct in_pktinfo info;
	ssize_t n = recvmsg(fd, &mh, 0);
	size_t len;

	if (n < 0)
		return errno != EAGAIN && errno != EWOULDBLOCK;
	if (!came_in(&mh, &info))
		return true;
	len = control_input(buf, (size_t)n, ntohl(sin.sin_addr.s_addr),
	    ntohs(sin.sin_port), local, reply);
	if (len > 0)
		send_reply(fd, &sin, info, reply, len);
	return true;
}

static void
readable(struct loop_fd *f)
{
	for (int i = 0; i < READS_A_TURN && f->fd >= 0; i++)
		if (!serve(f->fd, f == &control_fd[NEAR]))
			break;
}

/* A socket on the port; `shared` with others that are. */
static int
open_socket(uint16_t port, bool shared)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_port = htons(port),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd >= 0 && (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on,
	    sizeof(on)) != 0 || (shared && setsockopt(fd, SOL_SOCKET,
	    SO_REUSEPORT, &on, sizeof(on)) != 0) ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0)) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* Gives what comes in by loopback to NEAR, the rest to FAR. */
static bool
sort_by_interface(int fd)
{
	unsigned int lo = if_nametoindex("lo");
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, lo, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, NEAR),
		BPF_STMT(BPF_RET | BPF_K, FAR),
	};
	struct sock_fprog prog = { .len = LEN(code), .filter = code };

	return lo != 0 && setsockopt(fd, SOL_SOCKET,
	    SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog)) == 0;
}

/*
 * A socket that shares with none comes first: that another server has the port
 * would not show otherwise.  FAR is there, and the filter, before NEAR is, so
 * nothing from outside is ever in NEAR.
 */
static bool
open_sockets(uint16_t port)
{
	int fd = open_socket(port, false);

	if (fd < 0)
		return false;
	close(fd);
	control_fd[FAR].fd = open_socket(port, true);
	if (control_fd[FAR].fd < 0 || !sort_by_interface(control_fd[FAR].fd))
		return false;
	control_fd[NEAR].fd = open_socket(port, true);
	for (size_t i = 0; i < SOCKETS; i++) {
		control_fd[i].stage = LOOP_CONTROL;
		control_fd[i].readable = readable;
		if (control_fd[i].fd < 0 || !loop_add(&control_fd[i]))
			return false;
	}
	return true;
}

void
control_start(void)
{
	memset(taken, 0, sizeof(taken));
	taken_next = 0;
	taken_floor = wall_usec();
	tokens = (struct token_bucket){ 0 };
}

bool
control_init(char *err, size_t errlen)
{
	uint16_t port = (uint16_t)lns.config.nsctl_port;

	if (port == 0)
		return true;
	control_start();
	if (open_sockets(port))
		return true;
	snprintf(err, errlen, "UDP port %u: %s", (unsigned int)port,
	    strerror(errno));
	control_exit();
	return false;
}

void
control_exit(void)
{
	for (size_t i = 0; i < SOCKETS; i++) {
		if (control_fd[i].fd < 0)
			continue;
		loop_del(&control_fd[i]);
		close(control_fd[i].fd);
		control_fd[i].fd = -1;
	}
}
