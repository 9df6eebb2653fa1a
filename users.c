/*
 * users.c - who may use the command line, and with what password
 *
 * What stands behind the colon is taken for a hash whenever it looks like one:
 * what begins with $ is a hash that libcrypt knows, or the entry is refused.
 * To take an unknown hash for plain text would make the hash itself the
 * password, and everybody who has read the file a user.
 *
 * An empty password, a lone `*` or `!`, and `*0` (what crypt(3) gives when it
 * fails) disable a user.  libcrypt's judgement of a hash is passed on as a
 * warning when it calls the method legacy.
 *
 * A file in which nothing but comments stand is no file.  One with a single
 * line, be it a wrong one, keeps everybody out who is not named in it.
 *
 * A question is one byte, PLAIN or HASHED, what is stored, NUL, the password,
 * NUL.
 *
 * Owns:     the entries.
 * Calls:    config (files and faults), digest, libcrypt.
 * Lifetime: from users_load() to the next that succeeds, or to users_clear(),
 *           which wipe them.
 */
#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "digest.h"
#include "users.h"

#define USERS_MAX	1000		/* entries */
#define FILE_MAX	(1024 * 1024)
#define STORED_MAX	(CRYPT_OUTPUT_SIZE)	/* with NUL */
#define DES_PREFIX	"{crypt}"
#define DES_LEN		13		/* salt and hash */
#define PLAIN		'p'
#define HASHED		'h'

struct user {
	struct user *next;
	char kind;			/* PLAIN, HASHED; 0: disabled */
	char name[USERS_NAME];
	char stored[STORED_MAX];
};

static struct user *users;
static bool wanted;			/* there is a file with users in it */

/* ---- reading ---- */

static struct user *
find(struct user *list, const char *name)
{
	while (list != NULL && strcmp(list->name, name) != 0)
		list = list->next;
	return list;
}

static void
free_all(struct user *u)
{
	struct user *next;

	for (; u != NULL; u = next) {
		next = u->next;
		explicit_bzero(u, sizeof(*u));
		free(u);
	}
}

static bool
is_disabled(const char *p)
{
	return p[0] == '\0' || p[0] == '*' || strcmp(p, "!") == 0 ||
	    strcmp(p, "!!") == 0 || strncmp(p, "!$", 2) == 0;
}

/* False with the reason when it is a hash that cannot be checked. */
static bool
take_hash(struct user *u, const char *hash, struct config_report *r,
    unsigned int line)
{
	int verdict = crypt_checksalt(hash);

	if (verdict != CRYPT_SALT_OK && verdict != CRYPT_SALT_METHOD_LEGACY &&
	    verdict != CRYPT_SALT_TOO_CHEAP) {
		config_fault(r, line, "%s: a hash that is not known here; a "
		    "plain password cannot begin with $", u->name);
		return false;
	}
	if (hash[0] != '$' && strlen(hash) != DES_LEN) {
		config_fault(r, line, "%s: {crypt} goes before a DES hash, "
		    "which has %d characters", u->name, DES_LEN);
		return false;
	}
	if (verdict != CRYPT_SALT_OK)
		config_warn(r, line, "%s: this kind of hash is easily "
		    "broken today", u->name);
	u->kind = HASHED;
	strcpy(u->stored, hash);
	return true;
}

static bool
take_password(struct user *u, const char *p, struct config_report *r,
    unsigned int line)
{
	if (strlen(p) >= sizeof(u->stored)) {
		config_fault(r, line, "%s: the password is too long", u->name);
		return false;
	}
	if (is_disabled(p)) {
		config_warn(r, line, "%s: no password, no login", u->name);
		return true;
	}
	if (strncasecmp(p, DES_PREFIX, strlen(DES_PREFIX)) == 0)
		return take_hash(u, p + strlen(DES_PREFIX), r, line);
	if (p[0] == '$')
		return take_hash(u, p, r, line);
	config_warn(r, line, "%s: the password is plain text; `mkpasswd -m "
	    "yescrypt` makes a hash", u->name);
	u->kind = PLAIN;
	strcpy(u->stored, p);
	return true;
}

static bool
name_ok(const char *name)
{
	size_t i;

	for (i = 0; name[i] != '\0'; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return i > 0 && i < USERS_NAME;
}

static bool
take_line(char *line, struct user *u, struct config_report *r,
    unsigned int number)
{
	char *colon = strchr(line, ':');

	if (colon == NULL) {
		config_fault(r, number, "a line is NAME:PASSWORD");
		return false;
	}
	*colon = '\0';
	if (!name_ok(line)) {
		config_fault(r, number, "a name has 1 to %d characters, "
		    "printable ASCII without blanks", USERS_NAME - 1);
		return false;
	}
	strcpy(u->name, line);
	return take_password(u, colon + 1, r, number);
}

int
users_parse(const char *file, char *text, size_t len, config_fault_fn *fault,
    void *arg)
{
	struct config_report r = { .file = file, .fn = fault, .arg = arg };
	struct config_lines lines = { .next = text, .end = text + len };
	struct user *list = NULL, **end = &list, *u;
	bool lines_there = false;
	unsigned int n = 0;
	char *line;

	while ((line = config_next_line(&lines, &r)) != NULL) {
		lines_there = true;
		u = calloc(1, sizeof(*u));
		if (u == NULL || n == USERS_MAX) {
			config_fault(&r, lines.number, "no room for more "
			    "than %u users", n);
			free(u);
			break;
		}
		if (!take_line(line, u, &r, lines.number)) {
			free(u);
			continue;
		}
		if (find(list, u->name) != NULL) {
			config_fault(&r, lines.number, "%s is there already",
			    u->name);
			free(u);
			continue;
		}
		*end = u;
		end = &u->next;
		n++;
	}
	free_all(users);
	users = list;
	wanted = lines_there || r.faults > 0;
	return r.faults;
}

void
users_clear(void)
{
	free_all(users);
	users = NULL;
	wanted = false;
}

int
users_load(const char *path, config_fault_fn *fault, void *arg)
{
	struct stat st;
	size_t len;
	char *text;
	int faults;

	if (stat(path, &st) != 0 && errno == ENOENT) {
		users_clear();
		return 0;
	}
	text = config_read(path, FILE_MAX, &len, fault, arg);
	if (text == NULL) {
		wanted = true;
		return -1;
	}
	faults = users_parse(path, text, len, fault, arg);
	explicit_bzero(text, len);
	free(text);
	return faults;
}

bool
users_wanted(void)
{
	return wanted;
}

bool
users_have_enable(void)
{
	return find(users, USERS_ENABLE) != NULL;
}

/* ---- checking ---- */

/* Whose hash an unknown user's password is compared with. */
static const struct user *
stand_in(void)
{
	static const struct user nobody = { .kind = PLAIN, .stored = "?" };
	const struct user *u;

	for (u = users; u != NULL; u = u->next)
		if (u->kind == HASHED)
			return u;
	return &nobody;
}

size_t
users_question(const char *name, const char *password, char *dst, size_t size,
    bool *known)
{
	const struct user *u = find(users, name);
	size_t stored, len = strlen(password);

	*known = u != NULL && u->kind != 0;
	if (!*known)
		u = stand_in();
	stored = strlen(u->stored);
	if (len >= USERS_PASSWORD || 1 + stored + 1 + len + 1 > size)
		return 0;
	dst[0] = u->kind;
	memcpy(dst + 1, u->stored, stored + 1);
	memcpy(dst + stored + 2, password, len + 1);
	return 1 + stored + 1 + len + 1;
}

/* Two texts of any length, in a time that shows neither. */
static bool
same_text(const char *a, const char *b)
{
	const struct digest_part pa = { a, strlen(a) }, pb = { b, strlen(b) };
	uint8_t key[DIGEST_SHA256], da[DIGEST_SHA256], db[DIGEST_SHA256];

	digest_random(key, sizeof(key));
	digest_hmac_sha256(da, key, sizeof(key), &pa, 1);
	digest_hmac_sha256(db, key, sizeof(key), &pb, 1);
	return digest_equal(da, db, sizeof(da));
}

/* crypt(3) says that it failed by NULL or by a text that begins with *. */
static bool
verify_hash(const char *stored, const char *password)
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *got = NULL;
	bool same;

	if (data != NULL)
		got = crypt_rn(password, stored, data, sizeof(*data));
	same = got != NULL && got[0] != '*' && same_text(got, stored);
	free(data);
	return same;
}

bool
users_verify(const char *question, size_t len)
{
	const char *stored, *password, *end = question + len;

	if (len < 3 || question[len - 1] != '\0')
		return false;
	stored = question + 1;
	password = stored + strlen(stored) + 1;
	if (password >= end || password + strlen(password) + 1 != end ||
	    stored[0] == '\0' || password[0] == '\0')
		return false;
	if (question[0] == HASHED)
		return verify_hash(stored, password);
	return question[0] == PLAIN && same_text(stored, password);
}
