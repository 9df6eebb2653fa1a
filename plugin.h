/*
 * plugin.h - what a plugin includes, and all that it needs to include
 *
 * A plugin is a shared object, NAME.so in plugin_dir (/usr/lib/l2tpns), that
 * `load plugin NAME` loads.  The smallest one:
 *
 *	#include "plugin.h"
 *
 *	int plugin_api_version = PLUGIN_API_VERSION;
 *
 *	int
 *	plugin_timer(struct param_timer *data)
 *	{
 *		(void)data;
 *		return PLUGIN_RET_OK;
 *	}
 *
 *	cc -shared -fPIC -fvisibility=hidden -I/usr/include/l2tpns \
 *	    -o NAME.so NAME.c
 *
 * A plugin has the functions below that it wants; they are found by name.
 * When an event happens, each plugin that has its function is called, in the
 * order in which the plugins were loaded.  Everything runs in the server's one
 * thread, between packets: a function that waits stops all traffic.  It may
 * not fork without exec, and it must leave signals alone.
 *
 * C99 and C++.  Integers are in host byte order, addresses too.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The number of this interface.  It changes when a plugin has to be compiled
 * again; a plugin whose number is another one is not loaded.
 */
#define PLUGIN_API_VERSION	30

/* What an event function returns.  Anything else counts as an error. */
#define PLUGIN_RET_ERROR	0	/* it failed: nobody further is called */
#define PLUGIN_RET_OK		1	/* all is well: the next one is called */
#define PLUGIN_RET_STOP		2	/* it worked: nobody further is called */

/* Levels of log lines, as the key `debug` counts them. */
#define PLUGIN_LOG_CRIT		0
#define PLUGIN_LOG_ERROR	1
#define PLUGIN_LOG_WARN		2
#define PLUGIN_LOG_INFO		3
#define PLUGIN_LOG_CALL		4

#if defined(__GNUC__)
#define PLUGIN_VISIBLE		__attribute__((visibility("default")))
#define PLUGIN_PRINTF(f, a)	__attribute__((format(printf, f, a)))
#else
#define PLUGIN_VISIBLE
#define PLUGIN_PRINTF(f, a)
#endif

/* --- the parameters of the events --------------------------------------- */

/* timer: each second. */
struct param_timer {
	time_t time_now;		/* unix time */
};

/*
 * control: a command of nsctl that is not the server's own.  Who knows the
 * word in argv[0] acts on it, answers, and returns PLUGIN_RET_STOP; the others
 * return PLUGIN_RET_OK.  When nobody takes a command the server answers with
 * an error that names it.
 *
 * To answer, call control_answer() of struct pluginfuncs, or do what it does:
 * put text into memory from malloc(), which the server frees, and set
 * send_response.  PLUGIN_RET_STOP with send_response 0 means that the command
 * was taken and that nobody gets an answer; send_response without a response
 * means a plain OK.
 */
struct param_control {
	const char *buf;		/* the packet as it came */
	int l;				/* its octets */
	uint32_t source_ip;		/* who asks */
	uint16_t source_port;
	char *response;			/* NULL; yours to set: the text, a line
					 * for each \n, at most about 1,300
					 * octets of it are sent */
	int response_length;		/* without a final NUL */
	int send_response;		/* 0; yours to set */
	int type;			/* as in the packet: protocol version 1
					 * has 1000 for garden and 1001 for
					 * ungarden, version 2 has 0x14 */
	int id;				/* of the request; version 2 has none */
	const char *data;		/* the arguments as they are packed */
	int data_length;
	/* These are what one wants, whatever the version of the protocol. */
	int argc;			/* at least 1 */
	const char *const *argv;	/* the command's words, then a NULL */
	int is_error;			/* 0; 1: nsctl prints the response as
					 * an error and its exit code says so */
};

/* --- what the server offers --------------------------------------------- */

/* Good for as long as the plugin is loaded.  New ones are added at the end. */
struct pluginfuncs {
	size_t size;			/* of this struct in the server */
	const char *version;		/* of the server: "3.0.0" */

	/* Writes a log line about session s of tunnel t (0: about none). */
	void (*log)(int level, uint32_t s, uint32_t t, const char *fmt, ...)
	    PLUGIN_PRINTF(4, 5);

	/*
	 * Sets the response of a control event to this text, instead of one
	 * that was set before, and send_response.  Lines end in \n, which the
	 * last one need not have.
	 */
	void (*control_answer)(struct param_control *, int is_error,
	    const char *fmt, ...) PLUGIN_PRINTF(3, 4);
};

/* --- what a plugin has --------------------------------------------------- */

/* `int plugin_api_version = PLUGIN_API_VERSION;`  Without it nothing loads. */
extern PLUGIN_VISIBLE int plugin_api_version;

/*
 * Called first, once; keep the pointer.  Anything but 0 is success.  After a 0
 * the plugin is unloaded, and plugin_done() is not called: undo what you did,
 * and log why.
 */
PLUGIN_VISIBLE int plugin_init(struct pluginfuncs *);

/* Called last, before the plugin is unloaded or the server ends. */
PLUGIN_VISIBLE void plugin_done(void);

/* The events. */
PLUGIN_VISIBLE int plugin_timer(struct param_timer *);
PLUGIN_VISIBLE int plugin_control(struct param_control *);

/*
 * What `nsctl help` says of the commands that plugin_control() takes, a line
 * each, a NULL after the last one:
 *
 *	const char *plugin_control_help[] = {
 *		"  garden USER|SID                             Close the garden",
 *		NULL
 *	};
 */
extern PLUGIN_VISIBLE const char *plugin_control_help[];

#ifdef __cplusplus
}
#endif

#endif
