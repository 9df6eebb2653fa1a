/*
 * fuzz_ippool.c - ip_pool from hostile hands, and a session's life after it
 *
 * The input is a file, 0xff, and one byte for each thing that then happens;
 * a newline ends them, and what follows is a new file.  The pool's own
 * figures must agree with its rows all the time.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ippool.h"
#include "timer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
hear(const char *file, unsigned int line, const char *reason, void *arg)
{
	(void)file;
	(void)line;
	(void)arg;
	for (; *reason != '\0'; reason++)
		if (*reason < 0x20 || *reason > 0x7e)
			abort();
}

/*
 * Whether a network is so big that building it is all that this would test;
 * the unit test fills the largest, and larger ones are refused.
 */
static bool
too_big(const char *text)
{
	for (; (text = strchr(text, '/')) != NULL; text++) {
		int len = atoi(text + 1);

		if (len >= 12 && len < 20)
			return true;
	}
	return false;
}

static bool
load(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);

	if (text == NULL)
		abort();
	memcpy(text, data, len);
	text[len] = '\0';
	if (memchr(text, '\0', len) != NULL || too_big(text)) {
		free(text);
		return false;
	}
	ippool_parse("fuzz", text, len, 0x0a000001, hear, NULL);
	free(text);
	return true;
}

static uint32_t held[32];

/* Low bits: which of 32 sessions; high bits: what it does. */
static void
act(uint8_t op)
{
	uint32_t i = op & 31;
	char user[8];

	snprintf(user, sizeof(user), "u%u", i % 5);
	switch (op >> 5) {
	case 0: case 1: case 2:
		if (held[i] == 0)
			held[i] = ippool_take(i == 0 ? NULL : user, i + 1);
		break;
	case 3:
		if (held[i] == 0 && ippool_claim(0x0a000000 + i, user, i + 1))
			held[i] = 0x0a000000 + i;
		break;
	case 4: case 5:
		ippool_release(held[i], user);
		held[i] = 0;
		break;
	case 6:
		ippool_release(held[i], NULL);
		held[i] = 0;
		break;
	default:
		timer_fake(i);
	}
}

static void
check(void)
{
	struct ippool_row row;
	uint32_t last = 0, used = 0;
	bool strays = false;
	size_t n;

	for (n = 0; ippool_row(n, &row); n++) {
		bool listed = ippool_listed(row.addr);

		/* By address; those that are only in use come last. */
		if (!ippool_contains(row.addr) || (listed && (strays ||
		    row.addr <= last)))
			abort();
		last = row.addr;
		strays = !listed;
		if (row.sid == 0)
			continue;
		used++;
		if (held[row.sid - 1] != row.addr)
			abort();
	}
	if (n != ippool_size() || used != ippool_used())
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *end = data + len, *ops;

	timers_init();
	timer_fake(1);
	memset(held, 0, sizeof(held));
	while (data < end) {
		ops = memchr(data, 0xff, (size_t)(end - data));
		if (ops == NULL)
			ops = end;
		if (!load(data, (size_t)(ops - data)))
			break;
		while (timer_sleep(1000) < 1000)
			timer_fake(10);
		check();
		for (; ops < end && *ops != '\n'; ops++)
			act(*ops);
		check();
		data = ops;
	}
	ippool_clear();
	return 0;
}
