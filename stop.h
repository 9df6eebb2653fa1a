/*
 * stop.h - the two ways in which the server stops
 *
 * Both are handlers for the loop's signals; a second call does not wait.
 */
#ifndef STOP_H
#define STOP_H

/*
 * SIGTERM, SIGINT: the LACs hear nothing, so that a restart or another server
 * may carry on.
 */
void stop_quietly(int sig);

/* SIGQUIT: every session gets a CDN, every tunnel a StopCCN. */
void stop_cleanly(int sig);

#endif
