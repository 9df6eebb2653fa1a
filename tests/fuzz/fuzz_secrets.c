/*
 * fuzz_secrets.c - a ppp-secrets of anything, then people who want in
 *
 * Those who try are made of the file itself, so that some know a secret: what
 * stands in front of each blank is once a name and once a password.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "log.h"
#include "secrets.h"
#include "timer.h"

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

/* PAP and CHAP must agree on who gets in, and with what address. */
static void
try(const char *user, const char *password)
{
	struct auth_request pap = { .protocol = 0xc023 };
	struct auth_request chap = { .protocol = 0xc223, .chap_id = 1,
	    .challenge_len = 16 };
	struct auth_result a, b;
	const struct digest_part part[] = {
		{ &chap.chap_id, 1 }, { password, strlen(password) },
		{ chap.challenge, 16 }
	};

	snprintf(pap.user, sizeof(pap.user), "%s", user);
	snprintf(chap.user, sizeof(chap.user), "%s", user);
	pap.password_len = strlen(password);
	memcpy(pap.password, password, pap.password_len);
	digest_md5(chap.response, part, 3);
	secrets_check(&pap, "lns", &a);
	secrets_check(&chap, "lns", &b);
	if (memcmp(&a, &b, sizeof(a)) != 0)
		abort();
	if (a.verdict == AUTH_ACCEPT && secrets_count() == 0)
		abort();
	if (a.verdict == AUTH_ACCEPT && password[0] == '\0')
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char words[WORDS][64];
	unsigned int line = 0;
	size_t i, n = 0, used = 0, j;

	log_set_level(-1);
	if (secrets_parse("fuzz", (const char *)data, len, hear, &line) < 0)
		abort();
	for (i = 0; i < len && n < WORDS; i++) {
		if (strchr(" \t\n\r\"'\\#", data[i]) == NULL && used < 63) {
			words[n][used++] = (char)data[i];
			continue;
		}
		if (used > 0) {
			words[n++][used] = '\0';
			used = 0;
		}
	}
	for (i = 0; i < n; i++) {
		for (j = 0; j < n; j++)
			try(words[i], words[j]);
		try(words[i], "");
	}
	try("", "");
	try("nobody", "no such client");
	secrets_clear();
	return 0;
}
