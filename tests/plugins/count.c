/*
 * count.c - a plugin for the tests: counts packets, and does things to some
 *
 *	count [SID]	what came by, of everybody or of one session: packets
 *			and octets from and to subscribers, packets that are no
 *			sound single ones, the longest
 *	count clear	from 0
 *	play WORD [N]	what is done to UDP from or to port 7777: see the rows
 *			at the end
 */
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;

#define SESSIONS	65536
#define PLAY_PORT	7777
#define LONGEST		1500
#define TCP		6
#define UDP		17

enum way { RX, TX };

struct packet {
	unsigned char *ip;
	uint32_t s;
	int hlen, len;
};

static struct pluginfuncs *host;
static struct count {
	uint64_t packets[2], octets[2];
	uint64_t bad;
	int longest;
} all, of[SESSIONS];

static const struct play {
	const char *word;
	int (*play)(struct packet *);
} *playing;
static int n;

int
plugin_init(struct pluginfuncs *funcs)
{
	host = funcs;
	return 1;
}

/* --- looking at a packet --------------------------------------------------- */

static unsigned int
get16(const unsigned char *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static unsigned int
sum(unsigned int from, const unsigned char *p, int len)
{
	for (; len >= 2; p += 2, len -= 2)
		from += get16(p);
	if (len > 0)
		from += (unsigned int)p[0] << 8;
	return (from & 0xffff) + (from >> 16);
}

/* The sum over everything that a checksum of TCP or UDP covers; 65535: right */
static unsigned int
transport_sum(const struct packet *p)
{
	int len = p->len - p->hlen;
	unsigned int s = sum((unsigned int)(p->ip[9] + len), p->ip + 12, 8);

	s = sum(s, p->ip + p->hlen, len);
	return (s & 0xffff) + (s >> 16);
}

static int
is_fragment(const unsigned char *ip)
{
	return (get16(ip + 6) & 0x3fff) != 0;
}

static int
is_sound(const struct packet *p)
{
	const unsigned char *ip = p->ip;

	if (p->len < 20 || p->len > LONGEST || ip[0] >> 4 != 4 ||
	    p->hlen < 20 || p->hlen > p->len ||
	    get16(ip + 2) != (unsigned int)p->len ||
	    sum(sum(0, ip, p->hlen), NULL, 0) != 0xffff)
		return 0;
	if (is_fragment(ip))
		return 1;
	if (ip[9] == UDP)
		return get16(ip + p->hlen + 4) ==
		    (unsigned int)(p->len - p->hlen) &&
		    (get16(ip + p->hlen + 6) == 0 ||
		    transport_sum(p) == 0xffff);
	return ip[9] != TCP || transport_sum(p) == 0xffff;
}

static void
count(struct count *c, enum way way, int len, int sound)
{
	c->packets[way]++;
	c->octets[way] += (uint64_t)len;
	c->bad += !sound;
	if (len > c->longest)
		c->longest = len;
}

static int
is_for_play(const struct packet *p)
{
	const unsigned char *udp = p->ip + p->hlen;

	return playing != NULL && p->ip[9] == UDP && !is_fragment(p->ip) &&
	    (get16(udp) == PLAY_PORT || get16(udp + 2) == PLAY_PORT);
}

static int
look(enum way way, uint32_t s, char *buf, int *len)
{
	struct packet p;
	int sound, ret = PLUGIN_RET_OK;

	p.ip = (unsigned char *)buf;
	p.s = s;
	p.len = *len;
	p.hlen = p.len > 0 ? (buf[0] & 15) * 4 : 0;
	sound = is_sound(&p);
	count(&all, way, p.len, sound);
	count(&of[s % SESSIONS], way, p.len, sound);
	if (sound && is_for_play(&p)) {
		ret = playing->play(&p);
		*len = p.len;
	}
	return ret;
}

int
plugin_packet_rx(struct param_packet_rx *data)
{
	return look(RX, data->s, data->buf, &data->len);
}

int
plugin_packet_tx(struct param_packet_tx *data)
{
	return look(TX, data->s, data->buf, &data->len);
}

/* --- doing something to it --------------------------------------------------- */

static int
set_len(struct packet *p)
{
	p->len = n;
	return PLUGIN_RET_OK;
}

static int
add_len(struct packet *p)
{
	p->len += n;
	return PLUGIN_RET_OK;
}

static int
answer_number(struct packet *p)
{
	(void)p;
	return n;
}

/* Every octet of the payload turned round, the checksum made anew. */
static int
turn(struct packet *p)
{
	unsigned char *udp = p->ip + p->hlen;
	unsigned int s;
	int i;

	for (i = p->hlen + 8; i < p->len; i++)
		p->ip[i] ^= 0xff;
	udp[6] = udp[7] = 0;
	s = ~transport_sum(p) & 0xffff;
	if (s == 0)
		s = 0xffff;
	udp[6] = (unsigned char)(s >> 8);
	udp[7] = (unsigned char)s;
	return PLUGIN_RET_OK;
}

static int
spoil(struct packet *p)
{
	p->ip[n % 20] ^= 0x11;
	return PLUGIN_RET_OK;
}

static int
end(struct packet *p)
{
	host->shutdown(p->s, "a packet came", 0, 0, 0);
	return PLUGIN_RET_OK;
}

static int
vanish(struct packet *p)
{
	host->kill(p->s, "a packet came");
	return PLUGIN_RET_OK;
}

static int
slow(struct packet *p)
{
	host->throttle(p->s, (uint32_t)n, (uint32_t)n);
	return PLUGIN_RET_OK;
}

/* Calls the function whose address is the payload: of a test in this process. */
static int
call(struct packet *p)
{
	void (*f)(void);

	memcpy(&f, p->ip + p->hlen + 8, sizeof(f));
	f();
	return PLUGIN_RET_OK;
}

static const struct play plays[] = {
	{ "len", set_len },
	{ "add", add_len },
	{ "return", answer_number },
	{ "turn", turn },
	{ "spoil", spoil },
	{ "end", end },
	{ "vanish", vanish },
	{ "slow", slow },
	{ "call", call },
};

/* --- nsctl ------------------------------------------------------------------- */

static int
tell(struct param_control *data, const struct count *c)
{
	host->control_answer(data, 0, "rx %llu %llu tx %llu %llu bad %llu "
	    "longest %d", (unsigned long long)c->packets[RX],
	    (unsigned long long)c->octets[RX],
	    (unsigned long long)c->packets[TX],
	    (unsigned long long)c->octets[TX], (unsigned long long)c->bad,
	    c->longest);
	return PLUGIN_RET_STOP;
}

static int
choose(struct param_control *data)
{
	size_t i;

	playing = NULL;
	n = data->argc > 2 ? atoi(data->argv[2]) : 0;
	for (i = 0; data->argc > 1 && i < sizeof(plays) / sizeof(plays[0]); i++)
		if (strcmp(plays[i].word, data->argv[1]) == 0)
			playing = &plays[i];
	host->control_answer(data, 0, "%s %d", playing != NULL ?
	    playing->word : "nothing", n);
	return PLUGIN_RET_STOP;
}

int
plugin_control(struct param_control *data)
{
	const char *arg = data->argc > 1 ? data->argv[1] : "";

	if (strcmp(data->argv[0], "play") == 0)
		return choose(data);
	if (strcmp(data->argv[0], "count") != 0)
		return PLUGIN_RET_OK;
	if (strcmp(arg, "clear") == 0) {
		memset(&all, 0, sizeof(all));
		memset(of, 0, sizeof(of));
	}
	return tell(data, atoi(arg) > 0 ? &of[atoi(arg) % SESSIONS] : &all);
}
