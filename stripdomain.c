/*
 * stripdomain.c - a plugin: users without their domain
 *
 * joe@example.net becomes joe, before RADIUS or ppp-secrets is asked, and so
 * everywhere after that: in accounting, on the command line, in the log.  All
 * from the first @ on is taken off; a name that begins with @ stays as it is.
 */
#include <string.h>

#include "plugin.h"

int plugin_api_version = PLUGIN_API_VERSION;

int
plugin_auth_request(struct param_auth_request *data)
{
	char *at = strchr(data->username, '@');

	if (at != NULL && at != data->username)
		*at = '\0';
	return PLUGIN_RET_OK;
}
