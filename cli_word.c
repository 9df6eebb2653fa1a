/*
 * cli_word.c - words: what people type, and what texts look like in lists
 *
 * Names come from the network and may hold anything.  In tables they are
 * escaped by log_escape(), and may be typed in that form; in JSON they are
 * quoted as JSON quotes, all of it ASCII.
 *
 * Owns:     nothing.
 * Calls:    session_by_user(); the clock.
 * Lifetime: one call.
 */
#include "cli_word.h"

#include <stdio.h>
#include <string.h>

#include "session.h"
#include "table.h"

uint64_t
seconds_since(time_t then)
{
	return timer_wall() > then ? (uint64_t)(timer_wall() - then) : 0;
}

uint64_t
seconds_idle(const struct session *s)
{
	uint64_t now = timer_now() / 1000;

	if (s->last_data == 0)
		return seconds_since(s->opened);
	return now > s->last_data ? now - s->last_data : 0;
}

char *
ip_text(char *dst, uint32_t ip)
{
	snprintf(dst, IP_TEXT, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255,
	    ip >> 8 & 255, ip & 255);
	return dst;
}

bool
word_number(const char *word, uint64_t max, uint32_t *n)
{
	uint64_t v = 0;

	if (*word == '\0')
		return false;
	for (; *word >= '0' && *word <= '9' && v <= max; word++)
		v = v * 10 + (uint64_t)(*word - '0');
	*n = (uint32_t)v;
	return *word == '\0' && v >= 1 && v <= max;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t
word_unescape(char *dst, size_t size, const char *s)
{
	size_t n = 0;

	for (; *s != '\0' && n + 1 < size; n++) {
		if (s[0] == '\\' && s[1] == 'x' && hex_digit(s[2]) >= 0 &&
		    hex_digit(s[3]) >= 0) {
			dst[n] = (char)(hex_digit(s[2]) << 4 |
			    hex_digit(s[3]));
			s += 4;
		} else
			dst[n] = *s++;
	}
	dst[n] = '\0';
	return n;
}

struct session *
word_user(const char *word)
{
	struct session *s = session_by_user(word);
	char name[USER_MAX];

	if (s != NULL || strchr(word, '\\') == NULL)
		return s;
	(void)word_unescape(name, sizeof(name), word);
	return session_by_user(name);
}

struct session *
word_session(const char *word)
{
	struct session *s = word_user(word);
	uint32_t sid;

	if (s == NULL && word_number(word, UINT32_MAX, &sid))
		s = session_by_sid(sid);
	return s != NULL && !s->dying ? s : NULL;
}

/* How many octets of UTF-8 begin here, and their code point; 0: none do. */
static size_t
utf8(const uint8_t *p, size_t left, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 :
	    p[0] >> 3 == 30 ? 4 : 0;

	if (n <= 1) {
		*code = p[0];
		return n;
	}
	if (n > left)
		return 0;
	*code = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		*code = *code << 6 | (p[i] & 0x3fu);
	}
	if (*code < least[n] || *code > 0x10ffff ||
	    (*code >= 0xd800 && *code < 0xe000))
		return 0;
	return n;
}

char *
word_json(char *dst, size_t size, const void *octets, size_t len)
{
	const uint8_t *p = octets, *end = p + len;
	size_t n, out = 0;
	uint32_t code;

	dst[0] = '\0';
	for (; p < end && out + sizeof("\\ud83d\\ude00") <= size; p += n) {
		n = utf8(p, (size_t)(end - p), &code);
		if (n == 0) {
			code = *p;
			n = 1;
		}
		if (code == '"' || code == '\\')
			out += (size_t)sprintf(dst + out, "\\%c", (int)code);
		else if (code >= 0x20 && code < 0x7f)
			out += (size_t)sprintf(dst + out, "%c", (int)code);
		else if (code < 0x10000)
			out += (size_t)sprintf(dst + out, "\\u%04x", code);
		else
			out += (size_t)sprintf(dst + out, "\\u%04x\\u%04x",
			    0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff));
	}
	return dst;
}
