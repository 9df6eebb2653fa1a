/*
 * plugin_count.c - counters of plugins, beside our own in `show counters`
 *
 * A plugin's counters are shown as PLUGIN.NAME and are its own: another one
 * that has the number can do nothing with it.
 *
 * Owns:     the counters.
 * Calls:    nothing but who is calling.
 * Lifetime: from counter() until the plugin is removed.
 */
#include <stdio.h>
#include <string.h>

#include "plugin_int.h"

#define COUNTERS	256		/* of all plugins */
#define OF_ONE		32		/* of one plugin */
#define NAME_CHARS	"abcdefghijklmnopqrstuvwxyz" \
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
#define NAME_LEN	40
#define HELP_LEN	80

static struct {
	const struct plugin *owner;	/* NULL: free */
	char name[64 + 1 + NAME_LEN + 1], help[HELP_LEN + 1];
	uint64_t value;
} counter[COUNTERS];

/* Text for a table that goes to terminals, JSON and documents. */
static void
copy_help(char *dst, size_t size, const char *help)
{
	size_t n;

	for (n = 0; help != NULL && help[n] != '\0' && n + 1 < size; n++)
		dst[n] = help[n] >= ' ' && help[n] < 0x7f ? help[n] : ' ';
	dst[n] = '\0';
}

int
plugin_counter(const char *name, const char *help)
{
	const struct plugin *owner = plugin_current();
	char full[sizeof(counter[0].name)];
	int own = 0, slot = -1;
	size_t n = name != NULL ? strspn(name, NAME_CHARS) : 0;

	if (owner == NULL || n == 0 || n > NAME_LEN || name[n] != '\0')
		return -1;
	snprintf(full, sizeof(full), "%s.%s", plugin_own_name(owner), name);
	for (int i = COUNTERS - 1; i >= 0; i--) {
		if (counter[i].owner == owner) {
			if (strcmp(counter[i].name, full) == 0)
				return i;
			own++;
		} else if (counter[i].owner == NULL)
			slot = i;
	}
	if (slot < 0 || own == OF_ONE)
		return -1;
	counter[slot].owner = owner;
	counter[slot].value = 0;
	strcpy(counter[slot].name, full);
	copy_help(counter[slot].help, sizeof(counter[slot].help), help);
	return slot;
}

void
plugin_count(int i, uint64_t n)
{
	if (i >= 0 && i < COUNTERS && counter[i].owner != NULL &&
	    counter[i].owner == plugin_current())
		counter[i].value += n;
}

void
plugin_count_forget(const struct plugin *owner)
{
	for (int i = 0; i < COUNTERS; i++)
		if (counter[i].owner == owner)
			counter[i].owner = NULL;
}

bool
plugin_counter_row(size_t n, struct plugin_counter_row *row)
{
	for (int i = 0; i < COUNTERS; i++) {
		if (counter[i].owner == NULL || n-- != 0)
			continue;
		row->name = counter[i].name;
		row->help = counter[i].help;
		row->value = counter[i].value;
		return true;
	}
	return false;
}

void
plugin_counters_clear(void)
{
	for (int i = 0; i < COUNTERS; i++)
		counter[i].value = 0;
}
