/*
 * cli_rows.h - what `show` commands list: a table, details, or JSON
 *
 * A command says once what columns its rows have and how to come from one row
 * to the next; the same rows then come out as an aligned table, as details of
 * one thing each ("Session 7:" and its labels below), or as JSON.
 */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli_word.h"
#include "command.h"
#include "l2tpns.h"

enum column_kind {
	COL_NUMBER,
	COL_BYTES,	/* a number; "1.2G" where the terminal is narrow */
	COL_SECONDS,	/* a number; "8d4h" there */
	COL_IP,		/* n is an address, host order */
	COL_FLAG,	/* n: Y or N, true or false */
	COL_TEXT,	/* s is safe to print, as it is */
	COL_WORD,	/* s is what log_escape() made; one word in a table */
	COL_NAME,	/* s is what a peer sent; as COL_WORD, escaped here */
	COL_LIST	/* numbers, by listing.item; the last of the details */
};

struct column {
	const char *head;	/* or label; NULL: in JSON only */
	const char *key;	/* in JSON, stable; NULL: in text only */
	enum column_kind kind;
	int width;		/* at least; below 0: set to the left */
	const char *brief;	/* the head in a narrow table; NULL: head */
	int least;		/* a name may be cut to this; 0: it is not */
	int rank;		/* the highest is left out first; 0: never */
};
#define COLUMNS_MAX	48	/* with the end: neither head nor key */

struct cell {
	uint64_t n;
	const char *s;		/* may lie in rows.text */
	bool none;		/* "*" in a table, null in JSON */
};

enum row_step {
	ROW,			/* the cells are filled in */
	ROW_SKIPPED,		/* nothing to show here: go on */
	ROW_FAULT,		/* rows.text[0] says what is wrong */
	ROW_END
};

struct rows;

struct listing {
	bool details;		/* a line for each column, title above */
	const char *title;	/* "Session" of "Session 7:"; of a table: NULL
				 * or a line above it */
	const struct column *columns;
	/*
	 * The next row; `at` and `arg` are its own, 0 at first.  Rows may come
	 * and go between two calls: walk by number, not by pointer.
	 */
	enum row_step (*next)(struct rows *);
	/* The next number of a COL_LIST; item_at is its own, 0 at first. */
	enum row_step (*item)(struct rows *, uint64_t *n);
	void (*foot)(struct rows *);	/* below a table, or NULL */
};

struct rows {
	struct command_run *run;
	const struct listing *listing;
	int argc;			/* words, without the `json` */
	char **argv;
	bool json;
	uint64_t at, item_at;
	int arg;
	uint64_t number;		/* of "Session 7:" */
	uint64_t count[2];		/* for next() and foot() */
	struct cell cells[COLUMNS_MAX];
	char text[6][1200];		/* for cells.s */

	/* cli_rows.c's own */
	bool begun, measured, narrow, brief, in_list;
	uint64_t shown, listed;
	int width[COLUMNS_MAX];
	bool out[COLUMNS_MAX];
};

/*
 * Answers the command with these rows, in slices.  A word `json`, last or
 * first, asks for JSON.  Where the terminal is too narrow for a table, first the names
 * are cut (with a ~), then numbers shortened, then columns left out.
 */
void rows_show(struct command_run *, const struct listing *);

/* Is `json` the last word, or else the first? */
bool rows_json(const struct command_run *);

/* The first word that is not that one; NULL if there is none. */
const char *rows_word(const struct command_run *);

/* --- for next() --------------------------------------------------------- */

static inline struct cell
cell_n(uint64_t n)
{
	return (struct cell){ .n = n };
}

/* An empty text is none. */
static inline struct cell
cell_s(const char *s)
{
	return (struct cell){ .s = s, .none = s[0] == '\0' };
}

/* A number of which 0 is none. */
static inline struct cell
cell_some(uint64_t n)
{
	return (struct cell){ .n = n, .none = n == 0 };
}

/* "12 seconds", which is put in dst. */
struct cell cell_seconds(char *dst, size_t size, uint64_t n);

/* From one session to the next, by slot number `at`; NULL at the end. */
const struct session *rows_session(struct rows *);

/* Says what is wrong instead of a row. */
enum row_step row_fault(struct rows *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
