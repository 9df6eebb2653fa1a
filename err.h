/*
 * err.h - a reason for whoever called
 *
 * Functions that can fail for a reason worth telling take `char *err, size_t
 * errlen` and leave a sentence there, without a full stop and a newline.
 */
#ifndef ERR_H
#define ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Writes a reason; always false, to be returned at once. */
static inline bool __attribute__((format(printf, 3, 4)))
err_set(char *err, size_t errlen, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, errlen, fmt, ap);
	va_end(ap);
	return false;
}

#endif
