/*
 * plusplus.cc - a plugin for the tests: in C++, with an object of its own
 *
 *	plusplus	counts, and says how often it was asked
 */
#include <cstring>
#include <map>
#include <string>

#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;

const char *plugin_control_help[] = {
	"  plusplus                                    Count",
	nullptr
};

namespace {
struct pluginfuncs *host;
std::map<std::string, int> asked;
int counter;
}

int
plugin_init(struct pluginfuncs *funcs)
{
	host = funcs;
	counter = host->counter("asked", "how often it was asked");
	return counter >= 0;
}

void
plugin_done(void)
{
	asked.clear();
}

int
plugin_control(struct param_control *data)
{
	if (std::strcmp(data->argv[0], "plusplus") != 0)
		return PLUGIN_RET_OK;
	host->count(counter, 1);
	host->control_answer(data, 0, "%d", ++asked[data->argv[0]]);
	return PLUGIN_RET_STOP;
}

int
plugin_timer(struct param_timer *)
{
	asked["timer"]++;
	return PLUGIN_RET_OK;
}
