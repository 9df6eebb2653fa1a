/*
 * record2.c - a plugin for the tests: record.c once more, to see who is called
 * after whom
 */
#define NAME	"record2"
#include "record.c"
