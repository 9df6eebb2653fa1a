/*
 * fuzz_users.c - a users file of anything, then people who want in
 *
 * The input is a file; its own words try as names and passwords.  Hashes are
 * asked for but not computed: that is libcrypt's, and slow on purpose.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "users.h"

#define WORDS	16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
hear(const char *file, unsigned int line, const char *reason, void *arg)
{
	unsigned int *last = arg;

	if (strcmp(file, "fuzz") != 0 || line < *last)
		abort();
	*last = line;
	for (; *reason != '\0'; reason++)
		if (*reason < 0x20 || *reason > 0x7e)
			abort();
}

static void
try(const char *name, const char *password)
{
	char question[USERS_QUESTION];
	bool known, yes;
	size_t n = users_question(name, password, question, sizeof(question),
	    &known);

	if (n > sizeof(question) || (n == 0 && strlen(password) <
	    USERS_PASSWORD))
		abort();
	if (n == 0 || question[0] != 'p')
		return;
	yes = users_verify(question, n);
	if (yes != (password[0] != '\0' &&
	    strcmp(question + 1, password) == 0))
		abort();
	if (yes && known && (!users_wanted() || password[0] == '$'))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char words[WORDS][USERS_PASSWORD + 8];
	unsigned int line = 0;
	size_t i, j, n = 0, used = 0;
	char *text = malloc(len + 1);

	if (text == NULL)
		abort();
	memcpy(text, data, len);
	text[len] = '\0';
	users_clear();
	if (users_parse("fuzz", text, len, hear, &line) < 0)
		abort();
	free(text);
	for (i = 0; i < len && n < WORDS; i++) {
		if (strchr(" \t\n:", data[i]) == NULL &&
		    used < sizeof(words[0]) - 1)
			words[n][used++] = (char)data[i];
		else if (used > 0) {
			words[n++][used] = '\0';
			used = 0;
		}
	}
	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++)
			try(words[i], words[j]);
	try("nobody", "");
	users_clear();
	return 0;
}
