/*
 * fuzz_cli.c - bytes from a telnet connection, up to the command they name
 *
 * The first byte is the mode; the rest goes through telnet's parser as the
 * network may cut it, and each line that comes out is looked up in the table.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli_telnet.h"
#include "command.h"
#include "config.h"
#include "l2tpns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct l2tpns lns;			/* of those who run the commands */

/* What libcli's line holds: keys that edit do not make it longer. */
static char line[TELNET_LINE + 1];
static size_t line_len;

static void
look_up(void)
{
	static const unsigned int modes[] = { IN_EXEC, IN_CONFIG };
	const struct command *c;
	const char *reason;
	char *argv[64];
	int n, used;

	line[line_len] = '\0';
	telnet_unhide(line);
	n = config_words(line, argv, 64, &reason);
	for (size_t i = 0; n > 0 && i < 2; i++) {
		c = command_find(n, argv, modes[i], &used);
		if (c == NULL && used != 0)
			abort();
		if (c != NULL && (used < 1 || used > n ||
		    (c->modes & modes[i]) == 0))
			abort();
	}
}

static void
take_keys(const struct telnet_out *o)
{
	for (size_t i = 0; i < o->in_len; i++) {
		uint8_t c = o->in[i];

		if (c == '\r') {
			look_up();
			line_len = 0;
		} else if (c == 0x15) {
			line_len = 0;
		} else if (c >= ' ' || c == TELNET_QUESTION) {
			if (c == 0x7f)
				continue;
			if (line_len == TELNET_LINE)
				abort();
			line[line_len++] = (char)c;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct telnet telnet = { .state = 0 };
	enum telnet_mode mode;
	uint8_t in[TELNET_IN_MAX], reply[64], printed[2 * TELNET_READ];
	size_t n;

	if (len == 0)
		return 0;
	mode = (enum telnet_mode)(*data++ % (TELNET_RUNNING + 1));
	len--;
	line_len = 0;
	for (; len > 0; data += n, len -= n) {
		struct telnet_out o = { .in = in, .reply = reply,
		    .reply_room = sizeof(reply) };

		n = data[0] < len ? data[0] : len;
		n = n == 0 ? 1 : n > TELNET_READ ? TELNET_READ : n;
		telnet_input(&telnet, data, n, mode, &o);
		if (o.in_len > sizeof(in) || o.reply_len > sizeof(reply))
			abort();
		take_keys(&o);
		if (telnet_output(data, n, printed) > 2 * n)
			abort();
	}
	return 0;
}
