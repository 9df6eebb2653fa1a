/*
 * gendoc.c - writes the pages of keys and counters from the rows
 *
 * `gendoc config`, `gendoc counters` and `gendoc man` print Docs/config.md,
 * Docs/counters.md and Docs/startup-config.5; `gendoc l2tpns` copies l2tpns.8
 * and puts the commands between its two marks, `gendoc plugins` PLUGINS.md and
 * the events; `make docs` keeps them.  What a row says is said only there: a
 * sentence that belongs to one key goes into its help, what belongs to several
 * stands below.
 *
 * Calls:    the tables of config, counters and commands; linked with all
 *           that the latter name.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "config.h"
#include "counters.h"
#include "l2tpns.h"
#include "plugins.h"

struct l2tpns lns;			/* of those who run the commands */

static const char config_head[] =
"# Configuration\n"
"\n"
"*Written by `make docs` from the key table in `config.c`; change it there.*\n"
"\n"
"## The file\n"
"\n"
"`startup-config` (`/etc/l2tpns/startup-config`, or what `-c` names) holds\n"
"one command a line:\n"
"\n"
"    # a comment, and so is a line that begins with !\n"
"    set KEY VALUE\n"
"    load plugin NAME\n"
"    router bgp AS\n"
"     neighbour PEER remote-as AS\n"
"     neighbour PEER timers KEEPALIVE HOLD\n"
"     neighbour PEER password SECRET\n"
"     neighbour PEER ttl-security\n"
"     neighbour PEER update-source ADDRESS\n"
"    exit\n"
"\n"
"`neighbor` is the same word; what these lines mean is in [the\n"
"manual](manual.md#bgp).\n"
"\n"
"A value with blanks in it is quoted by `\"` or `'`. There is no escape\n"
"character: a value that contains one kind of quote is quoted by the other,\n"
"and pieces that touch are one value (`\"it's \"'\"so\"'`). Lines may be 8 KiB\n"
"long, the file 4 MiB.\n"
"\n"
"A line that cannot be taken is reported with file, line and reason, and the\n"
"rest is read. `l2tpns -t` reads this file, `ip_pool` and `ppp-secrets`, prints\n"
"what is wrong as `file:line: reason`, and exits 1 if anything is; a reason that\n"
"begins with `warning:` does not count.\n"
"\n"
"## Changing it\n"
"\n"
"| how | what happens |\n"
"|---|---|\n"
"| SIGHUP, `reload` | the file is read again. With a fault in it nothing changes, and the log (and the terminal) say why; else what differs is applied, and what was only `set` is gone |\n"
"| `set KEY VALUE` on the command line | one key changes, at once or after a restart, as the table below says; a value that does not fit is refused |\n"
"| `show running-config` | what is wanted now: with values that wait for a restart. It can be pasted or loaded as it is, but for secrets shown as `\"****\"` |\n"
"| `write memory` | the same, with secrets, becomes the file. Comments are lost. The new file is on the disk before it takes the old one's name, mode and owner; a symbolic link stays one. If it cannot be written, the old one is whole |\n"
"\n"
"## Types\n"
"\n"
"| type | values |\n"
"|---|---|\n"
"| int | a whole number in the range given |\n"
"| boolean | `yes` `true` `on` `1`, `no` `false` `off` `0` |\n"
"| address | an IPv4 address, four decimal numbers; 0.0.0.0 is unset |\n"
"| string | text without control characters, as long as given |\n"
"| secret | a string that is shown as `\"****\"` |\n"
"| list | `chap` and `pap`, each at most once, in the order of preference |\n"
"| choice | `no`, `auto` or `yes` |\n"
"\n"
"A key takes effect *at once* (also by SIGHUP) or *at start* only.\n"
"\n"
"## Keys\n"
"\n";

static const char config_relations[] =
"\n"
"Some values are refused though they have the right type: `log_file` that is\n"
"neither an absolute path nor `syslog:FACILITY`, any other file or directory\n"
"that is no absolute path, `tundevicename` that no device can have,\n"
"`cluster_address` that is no multicast group, `radius_interim` from 1 to 59\n"
"(RFC 2869 5.16), `bgp_hold_time` 1 or 2 (RFC 4271 4.2), `bgp_peer1` that is\n"
"neither a host's address nor a name.\n"
"\n"
"Some keys must fit each other. These are faults in a file, and remarks when\n"
"one of them is set while the server runs:\n"
"\n"
"- `l2tp_require_secret` without `l2tp_secret`\n"
"- `primary_radius` or `secondary_radius` without `radius_secret`\n"
"- `idle_echo_timeout` under `echo_timeout`\n"
"- `cluster_hb_timeout` under 3 times `cluster_hb_interval`\n"
"\n"
"And these are worth a warning: `radius_accounting` without a server, two\n"
"servers that are the same, BGP neighbours without `as_number` or named twice,\n"
"`peer_address` that is `bind_address`, `nsctl_secret` or `cluster_secret` of\n"
"under 16 characters, a cluster without `bind_address`,\n"
"a plugin that could not be loaded (`-t`).\n"
"\n"
"### Why CHAP before PAP\n"
"\n"
"l2tpns 2.4 offers `pap` unless told otherwise. Here `radius_authtypes` is\n"
"`chap,pap`: with CHAP no password crosses the access network, and a\n"
"subscriber who can do PAP only refuses CHAP in LCP and is offered PAP next.\n"
"Set it to `pap` where the RADIUS server keeps passwords only as hashes; CHAP\n"
"needs them in clear there.\n"
"\n"
"### Which address subscribers see\n"
"\n"
"`peer_address` should not be the address that LACs send to. A Linux client\n"
"makes a route to the address that it is told, through its own PPP link; if\n"
"the tunnel ends at that address too, and the client is the LAC as with\n"
"xl2tpd, the tunnel's own packets take that route and it carries nothing any\n"
"more (`Dead loop on virtual device ppp0`). So without `peer_address` the\n"
"server tells `iftun_address` if that is another than `bind_address`, and\n"
"192.0.0.8 (RFC 7600) otherwise.\n"
"\n"
"## Keys of other releases\n"
"\n"
"A file that has these is read without a fault, with a warning for each line.\n"
"So is one with `ip access-list` or `setforward`, each with one\n"
"warning; the lines that belong to them are passed over, and `write memory`\n"
"leaves them out.\n"
"\n"
"| key | why it does nothing here |\n"
"|---|---|\n";

/* The manual page is mdoc(7). */
static const char man_head[] =
".\\\" Written by `make docs` from the table in config.c; change it there.\n"
".Dd November 22, 2026\n"
".Dt STARTUP-CONFIG 5\n"
".Os l2tpns " L2TPNS_VERSION "\n"
".Sh NAME\n"
".Nm startup-config\n"
".Nd configuration of l2tpns\n"
".Sh DESCRIPTION\n"
".Xr l2tpns 8\n"
"reads\n"
".Nm\n"
"when it starts and again when it gets\n"
".Dv SIGHUP .\n"
"A line holds one command:\n"
".Bl -tag -width Ds\n"
".It Ic set Ar key value\n"
"gives a key its value.\n"
"A value with blanks in it is quoted by\n"
".Ql \\(dq\n"
"or\n"
".Ql \\(aq .\n"
"There is no escape character; pieces that touch are one value.\n"
".It Ic load plugin Ar name\n"
"loads a plugin.\n"
"Plugins are called in the order of these lines.\n"
"Those that come with l2tpns, and how to write others, are in\n"
".Pa /usr/share/doc/l2tpns/PLUGINS.md .\n"
".It Ic router bgp Ar AS\n"
"speaks BGP as this autonomous system, as the key\n"
".Ic as_number\n"
"does.\n"
"These lines follow it, up to\n"
".Ic exit\n"
"or a line of another kind:\n"
".It Ic neighbour Ar peer Ic remote-as Ar AS\n"
"connects to a router, by its address or name.\n"
"After it:\n"
".It Ic neighbour Ar peer Ic timers Ar keepalive hold\n"
".It Ic neighbour Ar peer Ic password Ar secret\n"
".It Ic neighbour Ar peer Ic ttl-security\n"
".It Ic neighbour Ar peer Ic update-source Ar address\n"
"timers of its own in seconds, TCP-MD5, a check of the TTL (RFC 5082), and the\n"
"address of this machine to connect from.\n"
".El\n"
".Pp\n"
"Empty lines, and lines that begin with\n"
".Ql #\n"
"or\n"
".Ql \\&! ,\n"
"are ignored.\n"
"Lines may be 8 KiB long, the file 4 MiB.\n"
".Pp\n"
"A line that cannot be taken is reported with file, line and reason, and the\n"
"rest is read.\n"
".Ql l2tpns -t\n"
"prints what is wrong in the configuration files.\n"
"When\n"
".Dv SIGHUP\n"
"finds a fault in\n"
".Nm ,\n"
"what was in force before stays in force.\n"
".Sh CHANGING IT\n"
"On the command line\n"
".Ic set\n"
"changes one key,\n"
".Ic show running-config\n"
"prints what is wanted now, with values that wait for a restart, and\n"
".Ic write memory\n"
"makes that the file.\n"
"Comments are lost then.\n"
"The new file is on the disk before it takes the name, mode and owner of the old\n"
"one, which is whole if anything fails; a symbolic link stays one.\n"
".Sh VALUES\n"
".Bl -tag -width boolean\n"
".It int\n"
"A whole number in the range given.\n"
".It boolean\n"
".Cm yes , true , on , 1\n"
"or\n"
".Cm no , false , off , 0 .\n"
".It address\n"
"An IPv4 address, four decimal numbers; 0.0.0.0 is unset.\n"
".It string\n"
"Text without control characters, at most 255 of them unless another number\n"
"is given.\n"
".It secret\n"
"A string that is shown as\n"
".Ql **** .\n"
".It list\n"
".Cm chap\n"
"and\n"
".Cm pap ,\n"
"each at most once, in the order of preference, with a comma between them.\n"
".It choice\n"
".Cm no , auto\n"
"or\n"
".Cm yes .\n"
".El\n"
".Pp\n"
"A key takes effect\n"
".Em at once\n"
".Pq also by Dv SIGHUP\n"
"or\n"
".Em at start\n"
"only.\n"
".Sh KEYS\n"
".Bl -tag -width Ds\n";

static const char man_tail[] =
".El\n"
".Pp\n"
"Keys of l2tpns 2.4 that mean nothing here are read without a fault, with a\n"
"warning that says why.\n"
"Some keys must fit each other:\n"
".Ic l2tp_require_secret\n"
"needs\n"
".Ic l2tp_secret ;\n"
"a RADIUS server needs\n"
".Ic radius_secret ;\n"
".Ic idle_echo_timeout\n"
"may not be under\n"
".Ic echo_timeout .\n"
".Sh FILES\n"
".Bl -tag -width Ds\n"
".It Pa " ETCDIR "/startup-config\n"
"unless\n"
".Fl c\n"
"names another.\n"
"The files\n"
".Pa ip_pool ,\n"
".Pa ppp-secrets ,\n"
".Pa users\n"
"and\n"
".Pa build-garden\n"
"lie in the same directory; each of them says in its comments what it holds.\n"
".El\n"
".Sh EXAMPLES\n"
"A server for LACs that share a secret with it, with RADIUS:\n"
".Bd -literal -offset indent\n"
"set bind_address 192.0.2.1\n"
"set iftun_address 10.10.0.1\n"
"set l2tp_secret \"not this one\"\n"
"set l2tp_require_secret yes\n"
"set primary_radius 192.0.2.10\n"
"set radius_secret \"nor this\"\n"
"set radius_accounting yes\n"
"set primary_dns 192.0.2.53\n"
".Ed\n"
".Sh SEE ALSO\n"
".Xr l2tpns 8 ,\n"
".Xr nsctl 8\n";

static const char counters_head[] =
"# Counters\n"
"\n"
"*Written by `make docs` from the list in `counters.h`; change it there.*\n"
"\n"
"All are 64 bits wide and count from the start of the process.  Those of\n"
"[plugins](PLUGINS.md) are listed behind them, as `PLUGIN.NAME`.\n"
"\n"
"| counter | what it counts |\n"
"|---|---|\n";

/* A cell of a table, in which a bar would end it. */
static void
put_cell(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '|')
			putchar('\\');
		putchar(*text);
	}
}

static const char *
type_name(enum config_type type)
{
	switch (type) {
	case C_INT:
		return "int";
	case C_BOOL:
		return "boolean";
	case C_IPV4:
		return "address";
	case C_STRING:
		return "string";
	case C_SECRET:
		return "secret";
	case C_AUTHTYPES:
		return "list";
	case C_TRISTATE:
		return "choice";
	}
	return "";
}

static const char *
when_name(enum config_when when)
{
	return when == LIVE ? "at once" : "at start";
}

static void
put_key(const struct config_key *k)
{
	bool text = k->type == C_STRING || k->type == C_SECRET;

	printf("| `%s` | %s", k->name, type_name(k->type));
	if (k->type == C_INT)
		printf(" %" PRId64 "..%" PRId64, k->min, k->max);
	else if (text && k->max != CONFIG_STRING - 1)
		printf(" of %" PRId64, k->max);
	if (k->unit[0] != '\0')
		printf(" %s", k->unit);
	printf(" | ");
	if (text && k->dflt[0] == '\0')
		printf("empty");
	else
		printf("`%s`", k->dflt);
	printf(" | %s | ", when_name(k->when));
	put_cell(k->help);
	printf(" |\n");
}

static void
put_config(void)
{
	fputs(config_head, stdout);
	printf("Strings and secrets have at most %d characters unless another "
	    "number is\ngiven.\n\n", CONFIG_STRING - 1);
	printf("| key | type | default | takes effect | what it does |\n"
	    "|---|---|---|---|---|\n");
	for (size_t i = 0; i < config_keys_n; i++)
		put_key(&config_keys[i]);
	fputs(config_relations, stdout);
	for (size_t i = 0; i < config_legacy_n; i++) {
		printf("| `%s` | ", config_legacy[i].name);
		put_cell(config_legacy[i].why);
		printf(" |\n");
	}
}

/* Text for roff; `quoted` words get quotation marks. */
static void
put_roff(const char *text)
{
	bool open = false;

	for (; *text != '\0'; text++)
		switch (*text) {
		case '\\':
			fputs("\\e", stdout);
			break;
		case '-':
			fputs("\\-", stdout);
			break;
		case '`':
			fputs(open ? "\\(cq" : "\\(oq", stdout);
			open = !open;
			break;
		default:
			putchar(*text);
		}
}

static void
put_man_key(const struct config_key *k)
{
	bool text = k->type == C_STRING || k->type == C_SECRET;

	printf(".It Ic %s\n", k->name);
	put_roff(k->help);
	printf(".\n.br\n(%s", type_name(k->type));
	if (k->type == C_INT)
		printf(" %" PRId64 "..%" PRId64, k->min, k->max);
	else if (text && k->max != CONFIG_STRING - 1)
		printf(" of %" PRId64, k->max);
	if (k->unit[0] != '\0')
		printf(" %s", k->unit);
	printf("; default %s; %s)\n", text && k->dflt[0] == '\0' ? "empty" :
	    k->dflt, when_name(k->when));
}

static void
put_man(void)
{
	fputs(man_head, stdout);
	for (size_t i = 0; i < config_keys_n; i++)
		put_man_key(&config_keys[i]);
	fputs(man_tail, stdout);
}

static void
put_counters(void)
{
	fputs(counters_head, stdout);
	for (size_t i = 0; i < counter_rows_n; i++) {
		printf("| `%s` | ", counter_rows[i].name);
		put_cell(counter_rows[i].help);
		printf(" |\n");
	}
}

static void
put_command_arg(const struct command_arg *a)
{
	fputs(a->flags & ARG_OPTIONAL ? " Oo" : "", stdout);
	printf(" %s %s", a->flags & ARG_KEYWORD ? "Cm" : "Ar", a->name);
	if ((a->flags & ARG_MANY) != 0 && (a->flags & ARG_KEYWORD) == 0)
		printf(" ...");
	fputs(a->flags & ARG_OPTIONAL ? " Oc" : "", stdout);
}

static void
put_command(const struct command *c)
{
	const struct command_arg *a;

	printf(".It Ic %s", c->words);
	for (a = c->args; a != NULL && a->name != NULL; a++)
		put_command_arg(a);
	printf("\n%c", toupper((unsigned char)c->help[0]));
	put_roff(c->help + 1);
	printf(".\n");
}

static bool
in_section(const struct command *c, unsigned int section)
{
	if (section == 3)
		return (c->modes & IN_ANY) == IN_ROUTER;
	if (section == 2)
		return (c->modes & IN_ANY) == IN_CONFIG;
	return (c->modes & IN_EXEC) != 0 &&
	    section == (c->level == FOR_ENABLED);
}

/* For everybody; after enable; in configuration mode only, and within it. */
static void
put_commands(void)
{
	static const char *const heads[] = {
		"These are for everybody who has logged in:\n",
		"These need\n.Ic enable :\n",
		"These are valid in configuration mode only:\n",
		"And these after\n.Ic router bgp :\n",
	};

	for (unsigned int section = 0; section < 4; section++) {
		printf("%s.Bl -tag -width Ds\n", heads[section]);
		for (size_t i = 0; i < commands_n; i++)
			if (in_section(&commands[i], section))
				put_command(&commands[i]);
		printf(".El\n%s", section < 3 ? ".Pp\n" : "");
	}
}

/* The events of plugins, as plugins.h has them. */
static void
put_events(void)
{
	printf("\n| event | when | fields |\n|---|---|---|\n");
	for (unsigned int e = 0; e < PLUGIN_EVENTS; e++)
		printf("| `%s` | %s | %s |\n", plugin_events[e].name,
		    plugin_events[e].when, plugin_events[e].fields);
	printf("\n");
}

/* A page with a part that is written anew between two marks. */
struct page {
	const char *path, *begin, *end;
	void (*put)(void);
};

static const struct page l2tpns_page = { "Docs/l2tpns.8",
    ".\\\" commands: written by make docs from command.c\n",
    ".\\\" commands end\n", put_commands };
static const struct page plugins_page = { "Docs/PLUGINS.md",
    "<!-- events: written by make docs from plugins.h -->\n",
    "<!-- events end -->\n", put_events };

static bool
put_page(const struct page *p)
{
	FILE *f = fopen(p->path, "r");
	char line[1024];
	bool inside = false, found = false;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strcmp(line, p->end) == 0)
			inside = false;
		if (!inside)
			fputs(line, stdout);
		if (strcmp(line, p->begin) == 0) {
			inside = found = true;
			p->put();
		}
	}
	if (f != NULL)
		fclose(f);
	if (!found || inside)
		fprintf(stderr, "%s has no marks\n", p->path);
	return found && !inside;
}

int
main(int argc, char **argv)
{
	bool ok = true;

	if (argc == 2 && strcmp(argv[1], "config") == 0)
		put_config();
	else if (argc == 2 && strcmp(argv[1], "counters") == 0)
		put_counters();
	else if (argc == 2 && strcmp(argv[1], "man") == 0)
		put_man();
	else if (argc == 2 && strcmp(argv[1], "l2tpns") == 0)
		ok = put_page(&l2tpns_page);
	else if (argc == 2 && strcmp(argv[1], "plugins") == 0)
		ok = put_page(&plugins_page);
	else {
		fprintf(stderr, "usage: gendoc config | counters | man | "
		    "l2tpns | plugins\n");
		return 2;
	}
	return ok && fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
