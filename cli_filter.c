/*
 * cli_filter.c - what may stand behind a pipe: include, exclude, begin...
 *
 * libcli has these filters too, but knows them by their full names only (an
 * abbreviated `inc` reads a compiled expression as a string), and falls over
 * when help is asked for behind a pattern.  So the terminal has its own, by
 * the same names.
 *
 * include, exclude, begin and between look for a text as it stands, which is
 * all that follows, blanks included; grep and egrep for a regular expression
 * (regex(7)), with -v and -i as everywhere.
 *
 * Owns:     the filters of the line under way.
 * Calls:    libcli, regex(3), cli_telnet.
 * Lifetime: from init() to the call that passes no line.
 */
#include <ctype.h>
#include <libcli.h>
#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli_filter.h"
#include "cli_telnet.h"

struct filter {
	char *text, *until;		/* until: of between, or NULL */
	regex_t re;			/* if regex */
	bool regex, invert, begun;
	unsigned long count;
};

static void
filter_free(struct filter *f)
{
	if (f->regex)
		regfree(&f->re);
	free(f->text);
	free(f->until);
	free(f);
}

static struct filter *
filter_new(struct cli_filter *filt, int (*filter)(struct cli_def *,
    const char *, void *))
{
	struct filter *f = calloc(1, sizeof(*f));

	if (f != NULL) {
		filt->filter = filter;
		filt->data = f;
	}
	return f;
}

/* The words as one text, with single blanks between them. */
static char *
join(int argc, char **argv)
{
	size_t size = 1;
	char *text;
	int i;

	for (i = 0; i < argc; i++)
		size += strlen(argv[i]) + 1;
	text = calloc(1, size);
	for (i = 0; text != NULL && i < argc; i++) {
		if (i > 0)
			strcat(text, " ");
		strcat(text, argv[i]);
	}
	if (text != NULL)
		telnet_unhide(text);
	return text;
}

static int
match_line(struct cli_def *cli, const char *line, void *data)
{
	struct filter *f = data;
	bool found;

	(void)cli;
	if (line == NULL) {
		filter_free(f);
		return CLI_OK;
	}
	found = f->regex ? regexec(&f->re, line, 0, NULL, 0) == 0 :
	    strstr(line, f->text) != NULL;
	return found != f->invert ? CLI_OK : CLI_ERROR;
}

/* From a line that matches; `between`: to the one that ends it. */
static int
range_line(struct cli_def *cli, const char *line, void *data)
{
	struct filter *f = data;
	int verdict;

	(void)cli;
	if (line == NULL) {
		filter_free(f);
		return CLI_OK;
	}
	if (!f->begun && strstr(line, f->text) != NULL)
		f->begun = true;
	verdict = f->begun ? CLI_OK : CLI_ERROR;
	if (f->begun && f->until != NULL && strstr(line, f->until) != NULL)
		f->begun = false;
	return verdict;
}

static int
count_line(struct cli_def *cli, const char *line, void *data)
{
	struct filter *f = data;

	if (line == NULL) {
		if (cli->client != NULL)
			fprintf(cli->client, "%lu\r\n", f->count);
		filter_free(f);
		return CLI_OK;
	}
	while (isspace((unsigned char)*line))
		line++;
	if (*line != '\0')
		f->count++;
	return CLI_ERROR;
}

static int
init_text(int argc, char **argv, struct cli_filter *filt, bool invert)
{
	struct filter *f = filter_new(filt, match_line);

	if (f == NULL || (f->text = join(argc - 1, argv + 1)) == NULL)
		return CLI_ERROR;
	f->invert = invert;
	return CLI_OK;
}

static int
init_include(struct cli_def *cli, int argc, char **argv,
    struct cli_filter *filt)
{
	(void)cli;
	return init_text(argc, argv, filt, false);
}

static int
init_exclude(struct cli_def *cli, int argc, char **argv,
    struct cli_filter *filt)
{
	(void)cli;
	return init_text(argc, argv, filt, true);
}

static int
init_begin(struct cli_def *cli, int argc, char **argv,
    struct cli_filter *filt)
{
	struct filter *f = filter_new(filt, range_line);

	(void)cli;
	return f != NULL && (f->text = join(argc - 1, argv + 1)) != NULL ?
	    CLI_OK : CLI_ERROR;
}

static int
init_between(struct cli_def *cli, int argc, char **argv,
    struct cli_filter *filt)
{
	struct filter *f = filter_new(filt, range_line);

	(void)cli;
	if (f == NULL || argc < 3 || (f->text = join(1, argv + 1)) == NULL ||
	    (f->until = join(argc - 2, argv + 2)) == NULL)
		return CLI_ERROR;
	return CLI_OK;
}

static int
init_count(struct cli_def *cli, int argc, char **argv,
    struct cli_filter *filt)
{
	(void)argv;
	if (argc > 1) {
		cli_error(cli, "count takes no pattern");
		return CLI_ERROR;
	}
	return filter_new(filt, count_line) != NULL ? CLI_OK : CLI_ERROR;
}

static int
init_regex(struct cli_def *cli, int argc, char **argv,
    struct cli_filter *filt, int flags)
{
	struct filter *f = filter_new(filt, match_line);
	const char *word;
	int i;

	if (f == NULL)
		return CLI_ERROR;
	for (i = 1; i + 1 < argc && argv[i][0] == '-' && argv[i][1] != '\0' &&
	    strspn(argv[i] + 1, "vie") == strlen(argv[i] + 1); i++)
		for (word = argv[i] + 1; *word != '\0'; word++) {
			if (*word == 'v')
				f->invert = true;
			if (*word == 'i')
				flags |= REG_ICASE;
		}
	f->text = join(argc - i, argv + i);
	if (f->text == NULL)
		return CLI_ERROR;
	if (regcomp(&f->re, f->text, flags | REG_NOSUB) != 0) {
		cli_error(cli, "Invalid pattern \"%s\"", f->text);
		return CLI_ERROR;
	}
	f->regex = true;
	return CLI_OK;
}

static int
init_grep(struct cli_def *cli, int argc, char **argv, struct cli_filter *filt)
{
	return init_regex(cli, argc, argv, filt, 0);
}

static int
init_egrep(struct cli_def *cli, int argc, char **argv,
    struct cli_filter *filt)
{
	return init_regex(cli, argc, argv, filt, REG_EXTENDED);
}

static const struct {
	const char *name;
	int (*init)(struct cli_def *, int, char **, struct cli_filter *);
	int (*filter)(struct cli_def *, const char *, void *);
	const char *help;
	const char *args[3];		/* and what they are */
} filters[] = {
	{ "begin", init_begin, range_line, "from the first line with a text",
	    { "TEXT" } },
	{ "between", init_between, range_line,
	    "from lines with one text to lines with another",
	    { "FROM", "TO" } },
	{ "count", init_count, count_line, "how many lines there are",
	    { NULL } },
	{ "exclude", init_exclude, match_line, "lines without a text",
	    { "TEXT" } },
	{ "include", init_include, match_line, "lines with a text",
	    { "TEXT" } },
	{ "grep", init_grep, match_line,
	    "lines that match a regular expression (-v: that do not; -i)",
	    { "PATTERN" } },
	{ "egrep", init_egrep, match_line,
	    "lines that match an extended regular expression (-v, -i)",
	    { "PATTERN" } },
};

bool
cli_filter_register(struct cli_def *cli)
{
	struct cli_command *c;
	size_t i, a;

	cli_unregister_all_filters(cli);
	for (i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		c = cli_register_filter(cli, filters[i].name, filters[i].init,
		    filters[i].filter, PRIVILEGE_UNPRIVILEGED, MODE_ANY,
		    filters[i].help);
		if (c == NULL)
			return false;
		for (a = 0; filters[i].args[a] != NULL; a++)
			if (cli_register_optarg(c, filters[i].args[a],
			    CLI_CMD_ARGUMENT, PRIVILEGE_UNPRIVILEGED, MODE_ANY,
			    "what to look for", NULL, NULL, NULL) == NULL)
				return false;
	}
	return true;
}
