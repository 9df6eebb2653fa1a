/*
 * fuzz_config.c - startup-config from hostile hands
 *
 * Besides not crashing: whatever was taken prints as a file that is taken
 * without a fault and means the same, and every fault is printable text.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int told;

static void
hear(const char *file, unsigned int line, const char *reason, void *arg)
{
	(void)file;
	(void)line;
	if (arg != &told || ++told > 51)
		abort();
	for (; *reason != '\0'; reason++)
		if (*reason < 0x20 || *reason > 0x7e)
			abort();
}

static int
parse(struct config *c, const void *data, size_t len)
{
	struct config_plugin plugins[CONFIG_PLUGINS];
	size_t nplugins = 0;
	char *text = malloc(len + 1);
	int faults;

	if (text == NULL)
		abort();
	memcpy(text, data, len);
	text[len] = 'x';	/* written to, never read */
	told = 0;
	faults = config_parse(c, "fuzz", text, len, plugins, &nplugins, hear,
	    &told);
	if (nplugins > CONFIG_PLUGINS)
		abort();
	for (size_t i = 0; i < nplugins; i++)
		if (strchr(plugins[i].name, '/') != NULL ||
		    plugins[i].name[0] == '\0')
			abort();
	free(text);
	return faults;
}

/* Every key as `set` lines, and BGP neighbours; their length. */
static size_t
print(const struct config *c, char *text, size_t size)
{
	char value[CONFIG_PRINTED], line[CONFIG_LINE];
	size_t n = 0;

	for (size_t i = 0; i < config_keys_n; i++)
		n += (size_t)snprintf(text + n, size - n, "set %s %s\n",
		    config_keys[i].name, config_print(c, &config_keys[i],
		    true, value, sizeof(value)));
	for (size_t i = 0; config_router_line(c, i, true, line,
	    sizeof(line)); i++)
		n += (size_t)snprintf(text + n, size - n, "%s\n", line);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char first[256 * 1024], second[256 * 1024];
	struct config c, again;
	size_t n;

	config_defaults(&c);
	parse(&c, data, len);
	told = 0;
	config_check(&c, "startup-config", hear, &told);
	n = print(&c, first, sizeof(first));
	config_defaults(&again);
	if (parse(&again, first, n) != 0)
		abort();
	if (print(&again, second, sizeof(second)) != n ||
	    memcmp(first, second, n) != 0)
		abort();
	return 0;
}
