/*
 * fuzz_control.c - nsctl datagrams from anybody
 *
 * What decodes must encode to a message that decodes to the same; and a
 * signature must hold for what was signed, and not as a response.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control_wire.h"

#define SECRET	"fuzz"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
want(bool ok)
{
	if (!ok)
		abort();
}

static void
check_same(const struct control_msg *a, const struct control_msg *b)
{
	want(a->form == b->form && a->type == b->type && a->id == b->id);
	want(a->sequence == b->sequence && a->argc == b->argc);
	for (unsigned int i = 0; i < a->argc; i++) {
		want(a->arg[i].len == b->arg[i].len);
		want(memcmp(a->arg[i].p, b->arg[i].p, a->arg[i].len) == 0);
	}
}

/* Version 1 cannot say all that it can hear: unnamed types, lines. */
static void
check_again(const struct control_msg *m)
{
	static uint8_t buf[CONTROL_REQUEST_MAX + CONTROL_MAC];
	static struct control_msg again;
	size_t n = control_encode(m, buf, sizeof(buf) - CONTROL_MAC);

	if (m->form == CONTROL_V1)
		return;
	want(n > 0);
	if (m->form == CONTROL_SIGNED) {
		n = control_sign(buf, n, sizeof(buf), CONTROL_LABEL_REQUEST,
		    SECRET);
		want(control_is_signed(buf, n));
		want(control_verify(buf, n, CONTROL_LABEL_REQUEST, SECRET));
		want(!control_verify(buf, n, CONTROL_LABEL_REPLY, SECRET));
	}
	want(control_decode(buf, n, &again));
	check_same(m, &again);
}

static void
check_text(const uint8_t *data, size_t len)
{
	static uint8_t buf[CONTROL_REPLY_MAX];
	static struct control_msg m;

	m = (struct control_msg){ .form = CONTROL_SIGNED,
	    .type = CONTROL_OK };
	control_set_text(&m, (const char *)data, len);
	want(control_encode(&m, buf, sizeof(buf) - CONTROL_MAC) > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct control_msg m;

	(void)control_verify(data, len, CONTROL_LABEL_REQUEST, SECRET);
	if (control_decode(data, len, &m)) {
		want(m.argc <= CONTROL_ARGS_MAX);
		check_again(&m);
	}
	check_text(data, len);
	return 0;
}
