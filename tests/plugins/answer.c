/*
 * answer.c - a plugin for the tests: takes part in all that there is
 *
 *	echo WORD...	the words, a line each
 *	fail		an error, with a text
 *	error		PLUGIN_RET_ERROR, without an answer
 *	mute		taken, nobody gets an answer
 *	plain		an answer without text
 *	long N		a line of N letters
 *	rubbish		a response that is not what its length says
 *	number		a return value that there is not
 *	fields		what came in
 *	ticks		how often the timer ran
 *	log LEVEL	a line of the log at that level
 *	call		calls the function whose address is at `data`
 */
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;

const char *plugin_control_help[] = {
	"  echo WORD...                                Say it again",
	"  ticks                                       Count seconds",
	NULL
};

static struct pluginfuncs *host;
static int ticks;
static time_t last;

int
plugin_init(struct pluginfuncs *funcs)
{
	host = funcs;
	host->log(PLUGIN_LOG_INFO, 0, 0, "answer: at your service, %s",
	    host->version);
	return 1;
}

void
plugin_done(void)
{
	host->log(PLUGIN_LOG_INFO, 0, 0, "answer: good bye");
}

int
plugin_timer(struct param_timer *data)
{
	ticks++;
	last = data->time_now;
	return PLUGIN_RET_OK;
}

static int
echo(struct param_control *data)
{
	char text[2048] = "";
	int i;

	for (i = 1; i < data->argc; i++) {
		strncat(text, data->argv[i], sizeof(text) - strlen(text) - 2);
		strcat(text, "\n");
	}
	host->control_answer(data, 0, "something else");
	host->control_answer(data, 0, "%s", text);
	return PLUGIN_RET_STOP;
}

/* As a plugin does it that knows nothing of control_answer(). */
static int
by_hand(struct param_control *data, size_t n, int length)
{
	data->response = malloc(n + 1);
	if (data->response == NULL)
		return PLUGIN_RET_ERROR;
	memset(data->response, 'x', n);
	data->response[n] = '\0';
	data->response_length = length;
	data->send_response = 1;
	return PLUGIN_RET_STOP;
}

static int
call(const struct param_control *data)
{
	void (*f)(void);

	memcpy(&f, data->data, sizeof(f));
	f();
	return PLUGIN_RET_STOP;
}

int
plugin_control(struct param_control *data)
{
	const char *word = data->argv[0];

	if (strcmp(word, "echo") == 0)
		return echo(data);
	if (strcmp(word, "fail") == 0) {
		host->control_answer(data, 1, "it went wrong");
		return PLUGIN_RET_STOP;
	}
	if (strcmp(word, "error") == 0)
		return PLUGIN_RET_ERROR;
	if (strcmp(word, "mute") == 0)
		return PLUGIN_RET_STOP;
	if (strcmp(word, "plain") == 0) {
		data->send_response = 1;
		return PLUGIN_RET_STOP;
	}
	if (strcmp(word, "long") == 0) {
		size_t n = (size_t)atoi(data->argv[1]);

		return by_hand(data, n, (int)n);
	}
	if (strcmp(word, "rubbish") == 0)
		return by_hand(data, 3, data->argc > 1 ? -1 : 1000000);
	if (strcmp(word, "number") == 0)
		return -17;
	if (strcmp(word, "fields") == 0) {
		host->control_answer(data, 0, "l %d ip %x port %d type %d id "
		    "%x data_length %d argc %d", data->l, data->source_ip,
		    data->source_port, data->type, (unsigned int)data->id,
		    data->data_length, data->argc);
		return PLUGIN_RET_STOP;
	}
	if (strcmp(word, "ticks") == 0) {
		host->control_answer(data, 0, "%d %lld", ticks,
		    (long long)last);
		return PLUGIN_RET_STOP;
	}
	if (strcmp(word, "log") == 0) {
		host->log(atoi(data->argv[1]), 0, 0, "answer: a line");
		return PLUGIN_RET_STOP;
	}
	if (strcmp(word, "call") == 0)
		return call(data);
	return PLUGIN_RET_OK;
}
