/*
 * cli_rows.c - rows as a table, as details, or as JSON, in slices
 *
 * A list of 65,000 sessions is walked twice: first only to see how wide its
 * numbers are, then to print it, some dozens of rows at a time, so that neither
 * forwarding nor the terminal has to wait for it.  The walk goes by slot
 * number; whoever leaves in the middle of it is missing, whoever comes may be
 * there or not, and nothing else depends on it.
 *
 * The rule for narrow terminals, when a table would be wider than `terminal
 * width`: names are cut, down to the column's least width, and end in `~`;
 * if that is not enough byte counts become 1.2G and times 8d4h; if that is not
 * enough columns are left out, those of the highest rank first.  What is won
 * goes back to the names.
 *
 * JSON is an array, one object a line.  Strings are ASCII: what is UTF-8
 * comes as \uXXXX, an octet that is not as the \u00XX of its value.
 *
 * Owns:     struct rows, the memory of one listing.
 * Calls:    command_print() above; next(), item(), foot() of the listing.
 * Lifetime: from rows_show() to the end of the command.
 */
#include "cli_rows.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "table.h"

/* What a slice may cost: some dozens of rows, or a thousand mere looks. */
#define SLICE		1024
#define COST_ROW	16
#define COST_MEASURE	4
#define COST_LOOK	1

#define TEXT_MOST	64	/* a longer text pushes what follows it */
#define LIST_LINE	10	/* numbers of a list in one line of text */
#define BRIEF_BYTES	4	/* "1.2G" */
#define BRIEF_SECONDS	6	/* "365d4h" */

static bool
is_column(const struct column *c)
{
	return c->head != NULL || c->key != NULL;
}

/* --- a line in the making ----------------------------------------------- */

struct line {
	size_t len;
	char text[8192];
};

static void __attribute__((format(printf, 2, 3)))
put(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->len, sizeof(l->text) - l->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->len += (size_t)n;
	if (l->len >= sizeof(l->text))
		l->len = sizeof(l->text) - 1;
}

static void
send_line(const struct rows *r, struct line *l)
{
	if (l->len > 0)
		command_print(r->run, "%s", l->text);
	l->len = 0;
	l->text[0] = '\0';
}

/* --- JSON --------------------------------------------------------------- */

static void
put_string(struct line *l, const char *octets, size_t len)
{
	char text[JSON_TEXT];

	put(l, "\"%s\"", word_json(text, sizeof(text), octets, len));
}

static void
put_json(struct line *l, const struct column *c, const struct cell *cell)
{
	char text[1200];

	if (cell->none) {
		put(l, "null");
		return;
	}
	switch (c->kind) {
	case COL_NUMBER:
	case COL_BYTES:
	case COL_SECONDS:
		put(l, "%" PRIu64, cell->n);
		break;
	case COL_FLAG:
		put(l, cell->n ? "true" : "false");
		break;
	case COL_IP:
		put(l, "\"%s\"", ip_text(text, (uint32_t)cell->n));
		break;
	case COL_WORD:
		put_string(l, text, word_unescape(text, sizeof(text),
		    cell->s));
		break;
	case COL_TEXT:
	case COL_NAME:
		put_string(l, cell->s, strlen(cell->s));
		break;
	case COL_LIST:
		break;
	}
}

/* An object but for its list, if it has one. */
static void
json_row(struct rows *r)
{
	const struct column *c = r->listing->columns;
	struct line l = { 0 };
	bool first = true;

	put(&l, r->shown > 0 ? ",\n{" : "\n{");
	for (int i = 0; is_column(&c[i]); i++) {
		if (c[i].key == NULL)
			continue;
		put(&l, "%s\"%s\": ", first ? "" : ", ", c[i].key);
		first = false;
		if (c[i].kind == COL_LIST) {
			put(&l, "[");
			r->in_list = true;
		} else
			put_json(&l, &c[i], &r->cells[i]);
		send_line(r, &l);
	}
	if (!r->in_list)
		put(&l, "}");
	send_line(r, &l);
}

/* --- text --------------------------------------------------------------- */

static void
brief_bytes(char *dst, size_t size, uint64_t n)
{
	static const char units[] = " kMGTPE";
	uint64_t tenths;
	int unit;

	if (n < 1000) {
		snprintf(dst, size, "%" PRIu64, n);
		return;
	}
	for (tenths = n / 100, unit = 1; tenths >= 10000; unit++)
		tenths /= 1000;
	if (tenths < 100)
		snprintf(dst, size, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10,
		    tenths % 10, units[unit]);
	else
		snprintf(dst, size, "%" PRIu64 "%c", tenths / 10, units[unit]);
}

static void
brief_seconds(char *dst, size_t size, uint64_t n)
{
	if (n < 60)
		snprintf(dst, size, "%" PRIu64 "s", n);
	else if (n < 3600)
		snprintf(dst, size, "%" PRIu64 "m", n / 60);
	else if (n < 86400)
		snprintf(dst, size, "%" PRIu64 "h%" PRIu64 "m", n / 3600,
		    n / 60 % 60);
	else
		snprintf(dst, size, "%" PRIu64 "d%" PRIu64 "h", n / 86400,
		    n / 3600 % 24);
}

/* One word, whatever is in it: a name can not pretend to be two columns. */
static void
one_word(char *dst, size_t size, const char *s)
{
	size_t n = 0;

	for (; *s != '\0' && n + 5 < size; s++) {
		if (*s != ' ')
			dst[n++] = *s;
		else {
			memcpy(dst + n, "\\x20", 4);
			n += 4;
		}
	}
	dst[n] = '\0';
}

/* The text of a cell; dst has room for it. */
static const char *
cell_text(const struct rows *r, const struct column *c,
    const struct cell *cell, char *dst, size_t size)
{
	char escaped[1200];

	if (cell->none)
		return r->listing->details ? "none" : "*";
	switch (c->kind) {
	case COL_NUMBER:
	case COL_BYTES:
	case COL_SECONDS:
		if (r->brief && c->kind == COL_BYTES)
			brief_bytes(dst, size, cell->n);
		else if (r->brief && c->kind == COL_SECONDS)
			brief_seconds(dst, size, cell->n);
		else
			snprintf(dst, size, "%" PRIu64, cell->n);
		return dst;
	case COL_FLAG:
		return cell->n ? "Y" : "N";
	case COL_IP:
		return ip_text(dst, (uint32_t)cell->n);
	case COL_NAME:
		log_escape(escaped, sizeof(escaped), cell->s, strlen(cell->s));
		if (r->listing->details)
			snprintf(dst, size, "%s", escaped);
		else
			one_word(dst, size, escaped);
		return dst;
	case COL_WORD:
		if (r->listing->details)
			return cell->s;
		one_word(dst, size, cell->s);
		return dst;
	case COL_TEXT:
	case COL_LIST:
		break;
	}
	return cell->s;
}

static bool
is_text(const struct column *c)
{
	return c->kind == COL_TEXT || c->kind == COL_WORD ||
	    c->kind == COL_NAME;
}

/* Numbers get all the width they need; a long name pushes its own row. */
static void
measure(struct rows *r)
{
	const struct column *c = r->listing->columns;
	char text[2400];

	for (int i = 0; is_column(&c[i]); i++) {
		int len, most = c[i].least > 0 ? 2 * abs(c[i].width) :
		    TEXT_MOST;

		if (c[i].head == NULL)
			continue;
		len = (int)strlen(cell_text(r, &c[i], &r->cells[i], text,
		    sizeof(text)));
		if (is_text(&c[i]) && len > most)
			len = most;
		if (len > r->width[i])
			r->width[i] = len;
	}
}

static const char *
head_of(const struct rows *r, const struct column *c)
{
	return r->brief && c->brief != NULL ? c->brief : c->head;
}

static int
total(const struct rows *r)
{
	const struct column *c = r->listing->columns;
	int sum = -1;

	for (int i = 0; is_column(&c[i]); i++)
		if (c[i].head != NULL && !r->out[i])
			sum += 1 + r->width[i];
	return sum;
}

/* Names become narrower by what is too much, or wider by what is free. */
static void
fit_names(struct rows *r, const int *wanted, int want)
{
	const struct column *c = r->listing->columns;

	for (int i = 0; is_column(&c[i]); i++) {
		int width = r->width[i] + want - total(r);

		if (c[i].least == 0 || r->out[i])
			continue;
		r->width[i] = width < c[i].least ? c[i].least :
		    width > wanted[i] ? wanted[i] : width;
	}
}

static void
shorten_numbers(struct rows *r)
{
	const struct column *c = r->listing->columns;

	r->brief = true;
	for (int i = 0; is_column(&c[i]); i++) {
		int head, most = c[i].kind == COL_BYTES ? BRIEF_BYTES :
		    c[i].kind == COL_SECONDS ? BRIEF_SECONDS : r->width[i];

		if (c[i].head == NULL)
			continue;
		head = (int)strlen(head_of(r, &c[i]));
		if (r->width[i] > most)
			r->width[i] = most > head ? most : head;
	}
}

static bool
leave_one_out(struct rows *r)
{
	const struct column *c = r->listing->columns;
	int out = -1;

	for (int i = 0; is_column(&c[i]); i++)
		if (c[i].rank > 0 && !r->out[i] &&
		    (out < 0 || c[i].rank > c[out].rank))
			out = i;
	if (out >= 0)
		r->out[out] = true;
	return out >= 0;
}

/* All widths are known: the rule for narrow terminals. */
static void
settle(struct rows *r)
{
	int wanted[COLUMNS_MAX], want = (int)r->run->width;

	if (want == 0 || total(r) <= want)
		return;
	r->narrow = true;
	memcpy(wanted, r->width, sizeof(wanted));
	fit_names(r, wanted, want);
	if (total(r) <= want)
		return;
	shorten_numbers(r);
	while (total(r) > want && leave_one_out(r))
		;
	fit_names(r, wanted, want);
}

static void
put_column(struct line *l, const struct column *c, int width, bool first,
    const char *text)
{
	put(l, "%s%*s", first ? "" : " ", c->width < 0 ? -width : width, text);
}

static void
end_line(struct line *l)
{
	while (l->len > 0 && l->text[l->len - 1] == ' ')
		l->len--;
	l->text[l->len] = '\0';
	put(l, "\n");
}

static void
table_heads(struct rows *r)
{
	const struct column *c = r->listing->columns;
	struct line l = { 0 };
	bool first = true;

	if (r->listing->title != NULL)
		command_print(r->run, "%s\n", r->listing->title);
	for (int i = 0; is_column(&c[i]); i++) {
		if (c[i].head == NULL || r->out[i])
			continue;
		put_column(&l, &c[i], r->width[i], first, head_of(r, &c[i]));
		first = false;
	}
	end_line(&l);
	if (l.text[0] != '\n')		/* a list without heads */
		send_line(r, &l);
}

static void
table_row(struct rows *r)
{
	const struct column *c = r->listing->columns;
	struct line l = { 0 };
	char text[2400], cut[2400];
	bool first = true;

	for (int i = 0; is_column(&c[i]); i++) {
		const char *s;

		if (c[i].head == NULL || r->out[i])
			continue;
		s = cell_text(r, &c[i], &r->cells[i], text, sizeof(text));
		if (r->narrow && is_text(&c[i]) &&
		    strlen(s) > (size_t)r->width[i]) {
			snprintf(cut, sizeof(cut), "%.*s~", r->width[i] - 1, s);
			s = cut;
		}
		put_column(&l, &c[i], r->width[i], first, s);
		first = false;
	}
	end_line(&l);
	send_line(r, &l);
}

/* Tabs that bring the longest label of the details, and all, to one column. */
static const char *
tabs_after(const struct rows *r, size_t label)
{
	const struct column *c = r->listing->columns;
	static const char tabs[] = "\t\t\t\t";
	size_t longest = 0, n;

	for (int i = 0; is_column(&c[i]); i++)
		if (c[i].head != NULL && strlen(c[i].head) + 1 > longest)
			longest = strlen(c[i].head) + 1;
	n = longest / 8 + 1 - label / 8;
	return tabs + sizeof(tabs) - 1 - (n < 4 ? n : 4);
}

static void
details_row(struct rows *r)
{
	const struct column *c = r->listing->columns;
	struct line l = { 0 };
	char text[2400];

	if (r->shown > 0)
		put(&l, "\n");
	put(&l, "%s %" PRIu64 ":\n", r->listing->title, r->number);
	for (int i = 0; is_column(&c[i]); i++) {
		if (c[i].head == NULL)
			continue;
		put(&l, "\t%s:%s", c[i].head,
		    tabs_after(r, strlen(c[i].head) + 1));
		if (c[i].kind == COL_LIST)
			r->in_list = true;
		else
			put(&l, "%s\n", cell_text(r, &c[i], &r->cells[i],
			    text, sizeof(text)));
		send_line(r, &l);
	}
}

/* --- one slice ---------------------------------------------------------- */

static void
show_row(struct rows *r)
{
	r->item_at = r->listed = 0;
	if (r->json)
		json_row(r);
	else if (r->listing->details)
		details_row(r);
	else
		table_row(r);
	r->shown++;
}

static void
show_fault(struct rows *r)
{
	struct line l = { 0 };

	if (r->json) {
		put(&l, r->shown > 0 ? ",\n{\"error\": " : "\n{\"error\": ");
		put_string(&l, r->text[0], strlen(r->text[0]));
		put(&l, "}");
		r->shown++;
	} else
		put(&l, "%s\n", r->text[0]);
	send_line(r, &l);
}

static void
show_item(struct rows *r, uint64_t n)
{
	const char *between = "";

	if (r->listed > 0)
		between = r->json ? ", " :
		    r->listed % LIST_LINE == 0 ? "\n\t" : " ";
	command_print(r->run, "%s", between);
	if (!r->json && r->listed > 0 && r->listed % LIST_LINE == 0)
		command_print(r->run, "%s", tabs_after(r, 0));
	command_print(r->run, "%" PRIu64, n);
	r->listed++;
}

/* Of a list in a row; returns what it cost. */
static int
step_list(struct rows *r)
{
	uint64_t n = 0;

	switch (r->listing->item(r, &n)) {
	case ROW:
		show_item(r, n);
		return COST_MEASURE;
	case ROW_END:
		r->in_list = false;
		command_print(r->run, r->json ? "]}" :
		    r->listed == 0 ? "none\n" : "\n");
		return COST_LOOK;
	default:
		return COST_LOOK;
	}
}

static void
begin(struct rows *r)
{
	r->begun = true;
	r->measured = true;
	r->at = 0;
	r->arg = 0;
	memset(r->count, 0, sizeof(r->count));
	if (r->json)
		command_print(r->run, "[");
	else if (!r->listing->details) {
		settle(r);
		table_heads(r);
	}
}

static void
finish(struct rows *r)
{
	if (r->json)
		command_print(r->run, r->shown > 0 ? "\n]\n" : "]\n");
	else if (r->listing->foot != NULL)
		r->listing->foot(r);
}

static bool
rows_more(struct command_run *run)
{
	struct rows *r = run->data;
	int cost = 0;

	if (!r->begun && r->measured)
		begin(r);
	while (cost < SLICE) {
		if (r->in_list) {
			cost += step_list(r);
			continue;
		}
		switch (r->listing->next(r)) {
		case ROW:
			if (r->measured)
				show_row(r);
			else
				measure(r);
			cost += r->measured ? COST_ROW : COST_MEASURE;
			break;
		case ROW_FAULT:
			if (r->measured)
				show_fault(r);
			cost += COST_ROW;
			break;
		case ROW_SKIPPED:
			cost += COST_LOOK;
			break;
		case ROW_END:
			if (r->measured) {
				finish(r);
				return false;
			}
			begin(r);
			break;
		}
	}
	return true;
}

/* --- for the commands --------------------------------------------------- */

static bool
is_json(const struct command_run *run, int i)
{
	return run->argc > 0 && strcmp(run->argv[i], "json") == 0;
}

struct cell
cell_seconds(char *dst, size_t size, uint64_t n)
{
	snprintf(dst, size, "%" PRIu64 " seconds", n);
	return cell_s(dst);
}

const struct session *
rows_session(struct rows *r)
{
	const struct session *s = session_next((uint32_t)r->at);

	if (s != NULL)
		r->at = s->sid;
	return s;
}

enum row_step
row_fault(struct rows *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->text[0], sizeof(r->text[0]), fmt, ap);
	va_end(ap);
	return ROW_FAULT;
}

bool
rows_json(const struct command_run *run)
{
	return is_json(run, run->argc - 1) || is_json(run, 0);
}

/* As for `show users json json`, one of them may be a name. */
static int
first_word(const struct command_run *run)
{
	return is_json(run, 0) && !is_json(run, run->argc - 1);
}

const char *
rows_word(const struct command_run *run)
{
	return run->argc > rows_json(run) ? run->argv[first_word(run)] : NULL;
}

void
rows_show(struct command_run *run, const struct listing *listing)
{
	const struct column *c = listing->columns;
	struct rows *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		command_print(run, "Out of memory\n");
		return;
	}
	r->run = run;
	r->listing = listing;
	r->json = rows_json(run);
	r->argc = run->argc - r->json;
	r->argv = run->argv + first_word(run);
	for (int i = 0; is_column(&c[i]); i++) {
		int head = c[i].head != NULL ? (int)strlen(c[i].head) : 0;
		int width = abs(c[i].width);

		r->width[i] = width > head ? width : head;
	}
	r->measured = r->json || listing->details;
	run->data = r;
	run->more = rows_more;
	run->end = command_free;
}
