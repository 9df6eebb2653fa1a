/*
 * cli_telnet.c - telnet between a network connection and libcli
 *
 * Two parsers, one behind the other.  The first takes the commands of telnet
 * (RFC 854) out of the stream: we echo and suppress go-ahead (RFC 857, 858),
 * the peer may tell the size of its window (RFC 1073), everything else is
 * refused once.  The second turns keys into those that libcli knows: arrows
 * and their like into control characters, CR LF, CR NUL and a lone LF into CR,
 * so that a script may send what it likes.
 *
 * A question mark asks for help, but not between quotes, behind ^V, or in a
 * password; libcli knows no such difference, so there it gets another
 * character, which looks like a question mark again on its way out.
 *
 * libcli completes a word with strcpy(3) into a line of 4096.  We count what
 * may at most be in that line and let no key through that would make it
 * longer than TELNET_LINE: of history nothing is known but that no line in it
 * was longer than the longest until then.
 *
 * Owns:     nothing.
 * Calls:    libc only.
 * Lifetime: struct telnet is its caller's.
 */
#include "cli_telnet.h"

#include <string.h>

#define SE	240
#define BRK	243
#define IP	244
#define AYT	246
#define EC	247
#define EL	248
#define SB	250
#define WILL	251
#define WONT	252
#define DO	253
#define DONT	254
#define IAC	255

#define OPT_ECHO	1
#define OPT_SGA		3
#define OPT_NAWS	31

#define CTRL(c)		((c) - '@')
#define DEL		0x7f
#define ESC		0x1b
#define PARAM_OTHER	0xff	/* more than one character */
#define COMPLETION	64	/* a completed word has at most so many more */

enum { DATA, SAW_IAC, SAW_COMMAND, IN_SUB, SUB_IAC };
enum { KEY, SAW_ESC, SAW_CSI, SAW_SS3 };

size_t
telnet_hello(uint8_t *dst)
{
	static const uint8_t hello[] = {
		IAC, WILL, OPT_SGA, IAC, WILL, OPT_ECHO,
		IAC, DO, OPT_SGA, IAC, DO, OPT_NAWS
	};

	memcpy(dst, hello, sizeof(hello));
	return sizeof(hello);
}

/* ---- keys ---- */

/* A name or a password is typed. */
static bool
is_question(enum telnet_mode mode)
{
	return mode == TELNET_LOGIN || mode == TELNET_PASSWORD;
}

static void
put(struct telnet_out *o, uint8_t c)
{
	o->in[o->in_len++] = c;
}

static void
beep(struct telnet_out *o)
{
	if (o->reply_len < o->reply_room)
		o->reply[o->reply_len++] = CTRL('G');
}

/* A key that makes the line longer by `more` at most. */
static void
put_counted(struct telnet *t, struct telnet_out *o, uint8_t c,
    unsigned int more)
{
	if (t->line + more > TELNET_LINE) {
		beep(o);
		return;
	}
	t->line += more;
	put(o, c);
}

static void
line_empty(struct telnet *t)
{
	t->line = 0;
	t->quote = '\0';
}

static void
line_end(struct telnet *t, struct telnet_out *o)
{
	if (t->line > t->longest)
		t->longest = t->line;
	line_empty(t);
	put(o, '\r');
}

static void
line_clear(struct telnet *t, struct telnet_out *o)
{
	line_empty(t);
	put(o, CTRL('U'));
}

static void
interrupt(struct telnet *t, enum telnet_mode mode, struct telnet_out *o)
{
	if (mode == TELNET_RUNNING) {
		o->abort = true;
		return;
	}
	line_clear(t, o);
	if (!is_question(mode))
		put(o, '\r');
}

/* ^Z leaves configuration mode; `end` does that too, and is ours. */
static void
leave_config(struct telnet *t, enum telnet_mode mode, struct telnet_out *o)
{
	static const char end[] = "end";
	size_t i;

	if (is_question(mode) || mode == TELNET_PROMPT)
		return;
	line_clear(t, o);
	for (i = 0; i < sizeof(end) - 1; i++)
		put(o, (uint8_t)end[i]);
	put(o, '\r');
}

static void
history(struct telnet *t, struct telnet_out *o, uint8_t c)
{
	if (t->longest > t->line)
		t->line = t->longest;
	t->quote = '\0';
	put(o, c);
}

static void
printable(struct telnet *t, enum telnet_mode mode, struct telnet_out *o,
    uint8_t c)
{
	bool question = c == '?' && (t->literal || t->quote != '\0' ||
	    is_question(mode));

	if (t->quote == '\0' && !t->literal && (c == '"' || c == '\''))
		t->quote = (char)c;
	else if (t->quote == (char)c)
		t->quote = '\0';
	t->literal = false;
	put_counted(t, o, question ? TELNET_QUESTION : c, 1);
}

static void
control(struct telnet *t, enum telnet_mode mode, struct telnet_out *o,
    uint8_t c)
{
	bool edit = !is_question(mode);

	switch (c) {
	case CTRL('C'):
		interrupt(t, mode, o);
		break;
	case CTRL('Z'):
		leave_config(t, mode, o);
		break;
	case CTRL('U'):
		line_clear(t, o);
		break;
	case CTRL('H'):
	case DEL:
		put(o, c);
		break;
	case CTRL('V'):
		t->literal = true;
		break;
	case CTRL('I'):
		if (edit)
			put_counted(t, o, c, COMPLETION);
		break;
	case CTRL('P'):
	case CTRL('N'):
		if (edit)
			history(t, o, c);
		break;
	case CTRL('R'):
		if (edit)
			put(o, CTRL('L'));
		break;
	case CTRL('A'):
	case CTRL('B'):
	case CTRL('D'):
	case CTRL('E'):
	case CTRL('F'):
	case CTRL('K'):
	case CTRL('L'):
	case CTRL('W'):
		if (edit)
			put(o, c);
		break;
	case ESC:
		t->key = SAW_ESC;
		break;
	}
}

/* What a key that sends ESC [ or ESC O and this letter does. */
static uint8_t
arrow(uint8_t final, uint8_t param)
{
	switch (final) {
	case 'A':
		return CTRL('P');
	case 'B':
		return CTRL('N');
	case 'C':
		return CTRL('F');
	case 'D':
		return CTRL('B');
	case 'H':
		return CTRL('A');
	case 'F':
		return CTRL('E');
	case '~':
		return param == '1' || param == '7' ? CTRL('A') :
		    param == '4' || param == '8' ? CTRL('E') : 0;
	default:
		return 0;
	}
}

/* Inside of an escape sequence. */
static void
escape_key(struct telnet *t, enum telnet_mode mode, struct telnet_out *o,
    uint8_t c)
{
	uint8_t key;

	if (t->key == SAW_ESC) {
		t->key = c == '[' ? SAW_CSI : c == 'O' ? SAW_SS3 : KEY;
		t->param = 0;
		return;
	}
	if (t->key == SAW_CSI && (c < '@' || c > '~')) {
		t->param = t->param == 0 ? c : PARAM_OTHER;
		return;
	}
	t->key = KEY;
	key = arrow(c, t->param);
	if (key != 0)
		control(t, mode, o, key);
}

static void
key(struct telnet *t, enum telnet_mode mode, struct telnet_out *o, uint8_t c)
{
	bool after_cr = t->cr;

	t->cr = c == '\r';
	if (after_cr && (c == '\n' || c == '\0'))
		return;
	if (c == '\r' || c == '\n') {
		t->key = KEY;
		t->literal = false;
		line_end(t, o);
	} else if (t->key != KEY)
		escape_key(t, mode, o, c);
	else if (c >= ' ' && c != DEL)
		printable(t, mode, o, c);
	else
		control(t, mode, o, c);
}

/* ---- telnet ---- */

static void
reply(struct telnet_out *o, uint8_t command, uint8_t option)
{
	if (o->reply_room - o->reply_len < 3)
		return;
	o->reply[o->reply_len++] = IAC;
	o->reply[o->reply_len++] = command;
	o->reply[o->reply_len++] = option;
}

/*
 * What we asked for at the start is answered by the peer; to answer that once
 * more would never end (RFC 854).
 */
static void
option(struct telnet_out *o, uint8_t command, uint8_t opt)
{
	if (command == DO && opt != OPT_ECHO && opt != OPT_SGA)
		reply(o, WONT, opt);
	else if (command == WILL && opt != OPT_SGA && opt != OPT_NAWS)
		reply(o, DONT, opt);
}

static void
sub_end(struct telnet *t, struct telnet_out *o)
{
	if (t->sub_len < 5 || t->sub[0] != OPT_NAWS)
		return;
	o->width_known = true;
	o->width = (unsigned int)t->sub[1] << 8 | t->sub[2];
}

static void
sub_byte(struct telnet *t, uint8_t c)
{
	if (t->sub_len < sizeof(t->sub))
		t->sub[t->sub_len++] = c;
}

static void
are_you_there(struct telnet_out *o)
{
	static const char yes[] = "\r\n[Yes]\r\n";

	if (o->reply_room - o->reply_len < sizeof(yes) - 1)
		return;
	memcpy(o->reply + o->reply_len, yes, sizeof(yes) - 1);
	o->reply_len += sizeof(yes) - 1;
}

/* Behind IAC. */
static int
command(struct telnet *t, enum telnet_mode mode, struct telnet_out *o,
    uint8_t c)
{
	switch (c) {
	case SB:
		t->sub_len = 0;
		return IN_SUB;
	case WILL:
	case WONT:
	case DO:
	case DONT:
		t->command = c;
		return SAW_COMMAND;
	case IP:
	case BRK:
		interrupt(t, mode, o);
		break;
	case AYT:
		are_you_there(o);
		break;
	case EC:
		key(t, mode, o, DEL);
		break;
	case EL:
		line_clear(t, o);
		break;
	}
	return DATA;
}

void
telnet_input(struct telnet *t, const uint8_t *p, size_t len,
    enum telnet_mode mode, struct telnet_out *o)
{
	const uint8_t *end = p + len;
	uint8_t c;

	while (p < end) {
		c = *p++;
		switch (t->state) {
		case DATA:
			if (c == IAC)
				t->state = SAW_IAC;
			else
				key(t, mode, o, c);
			break;
		case SAW_IAC:
			t->state = command(t, mode, o, c);
			break;
		case SAW_COMMAND:
			option(o, t->command, c);
			t->state = DATA;
			break;
		case IN_SUB:
			if (c == IAC)
				t->state = SUB_IAC;
			else
				sub_byte(t, c);
			break;
		case SUB_IAC:
			t->state = c == IAC ? IN_SUB : DATA;
			if (c == IAC)
				sub_byte(t, c);
			else if (c == SE)
				sub_end(t, o);
			break;
		}
	}
}

size_t
telnet_output(const uint8_t *p, size_t len, uint8_t *dst)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		dst[n++] = p[i] == TELNET_QUESTION ? '?' : p[i];
		if (p[i] == IAC)
			dst[n++] = IAC;
	}
	return n;
}

void
telnet_unhide(char *text)
{
	for (; *text != '\0'; text++)
		if (*text == TELNET_QUESTION)
			*text = '?';
}
