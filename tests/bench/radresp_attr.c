/*
 * radresp_attr.c - RADIUS attributes by name
 *
 * What --attr and the lines of --accept-file may say.  Anything that is not
 * in the table can be given by number, with its value in hex.
 *
 * Owns:     the table.
 * Calls:    libc.
 * Lifetime: lists of attributes are never freed; they are configuration.
 */
#include "radresp.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum kind { TEXT, INT, ADDR, HEX };

static const struct row {
	const char *name;
	uint32_t vendor;
	uint8_t type;
	enum kind kind;
} rows[] = {
	/* RFC 2865 */
	{ "User-Name", 0, 1, TEXT },
	{ "Service-Type", 0, 6, INT },
	{ "Framed-Protocol", 0, 7, INT },
	{ "Framed-IP-Address", 0, 8, ADDR },
	{ "Framed-IP-Netmask", 0, 9, ADDR },
	{ "Framed-Routing", 0, 10, INT },
	{ "Filter-Id", 0, 11, TEXT },
	{ "Framed-MTU", 0, 12, INT },
	{ "Framed-Compression", 0, 13, INT },
	{ "Reply-Message", 0, 18, TEXT },
	{ "Framed-Route", 0, 22, TEXT },
	{ "State", 0, 24, HEX },
	{ "Class", 0, 25, TEXT },
	{ "Session-Timeout", 0, 27, INT },
	{ "Idle-Timeout", 0, 28, INT },
	{ "Termination-Action", 0, 29, INT },
	{ "Proxy-State", 0, 33, HEX },
	{ "Port-Limit", 0, 62, INT },
	/* RFC 2869, 3162, 4818, 6911 */
	{ "Acct-Interim-Interval", 0, 85, INT },
	{ "Framed-Pool", 0, 88, TEXT },
	{ "Framed-Interface-Id", 0, 96, HEX },
	{ "Framed-IPv6-Prefix", 0, 97, HEX },
	{ "Framed-IPv6-Route", 0, 99, TEXT },
	{ "Framed-IPv6-Pool", 0, 100, TEXT },
	{ "Delegated-IPv6-Prefix", 0, 123, HEX },
	{ "Framed-IPv6-Address", 0, 168, HEX },
	{ "DNS-Server-IPv6-Address", 0, 169, HEX },
	/* Ascend's, sent as if they were standard */
	{ "Ascend-Primary-DNS", 0, 135, ADDR },
	{ "Ascend-Secondary-DNS", 0, 136, ADDR },
	{ "Ascend-Data-Rate", 0, 197, INT },
	{ "Ascend-Xmit-Rate", 0, 255, INT },
	{ "Ascend-VSA-Primary-DNS", 529, 135, ADDR },
	{ "Ascend-VSA-Secondary-DNS", 529, 136, ADDR },
	{ "MS-CHAP-Error", 311, 2, TEXT },
	{ "MS-CHAP2-Success", 311, 26, HEX },
	{ "MS-Primary-DNS-Server", 311, 28, ADDR },
	{ "MS-Secondary-DNS-Server", 311, 29, ADDR },
	{ "MS-Primary-NBNS-Server", 311, 30, ADDR },
	{ "MS-Secondary-NBNS-Server", 311, 31, ADDR },
	{ "Cisco-AVPair", 9, 1, TEXT },
};

static bool
put_hex(struct out *o, const char *s)
{
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		s += 2;
	for (; *s; s += 2) {
		char b[3] = { s[0], s[1], 0 };

		if (!isxdigit((unsigned char)s[0]) ||
		    !isxdigit((unsigned char)s[1]))
			return false;
		out_u8(o, (uint8_t)strtoul(b, NULL, 16));
	}
	return true;
}

static bool
put_value(struct out *o, enum kind kind, const char *s)
{
	struct in_addr a;
	unsigned long v;
	char *end;

	if (!strncasecmp(s, "0x", 2) && kind != INT)
		kind = HEX;
	switch (kind) {
	case TEXT:
		out_bytes(o, s, strlen(s));
		return true;
	case HEX:
		return put_hex(o, s);
	case ADDR:
		if (inet_pton(AF_INET, s, &a) != 1)
			return false;
		out_u32(o, ntohl(a.s_addr));
		return true;
	default:
		errno = 0;
		v = strtoul(s, &end, 0);
		if (errno || *end || end == s || v > 0xffffffff)
			return false;
		out_u32(o, (uint32_t)v);
		return true;
	}
}

/* "N" or "26.VENDOR.TYPE" */
static bool
number_name(const char *s, size_t n, struct row *row)
{
	char b[64];
	unsigned type, vendor, vtype;
	int used = 0;

	if (n >= sizeof(b))
		return false;
	memcpy(b, s, n);
	b[n] = 0;
	row->kind = HEX;
	if (sscanf(b, "26.%u.%u%n", &vendor, &vtype, &used) == 2 &&
	    !b[used] && vtype < 256) {
		row->vendor = vendor;
		row->type = (uint8_t)vtype;
		return true;
	}
	used = 0;
	if (sscanf(b, "%u%n", &type, &used) == 1 && !b[used] && type < 256) {
		row->vendor = 0;
		row->type = (uint8_t)type;
		return true;
	}
	return false;
}

static bool
find_row(const char *s, size_t n, struct row *row)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strlen(rows[i].name) == n &&
		    !strncasecmp(rows[i].name, s, n)) {
			*row = rows[i];
			return true;
		}
	}
	return number_name(s, n, row);
}

struct attr *
attr_parse(const char *text, const char **why)
{
	const char *eq = strchr(text, '=');
	struct attr *a = xcalloc(1, sizeof(*a));
	struct out o = out_open(a->bytes, sizeof(a->bytes));
	struct row row = { 0 };

	*why = "no such attribute";
	if (!eq || !find_row(text, (size_t)(eq - text), &row))
		goto bad;
	if (row.vendor) {
		out_u16(&o, 26 << 8);
		out_u32(&o, row.vendor);
	}
	out_u8(&o, row.type);
	out_u8(&o, 0);
	*why = "bad value";
	if (!put_value(&o, row.kind, eq + 1))
		goto bad;
	*why = "value too long";
	if (o.bad)
		goto bad;
	if (row.vendor)
		a->bytes[7] = (uint8_t)(o.n - 6);
	a->bytes[1] = (uint8_t)o.n;
	a->n = o.n;
	return a;
bad:
	free(a);
	return NULL;
}

void
attr_append(struct attr **list, struct attr *a)
{
	while (*list)
		list = &(*list)->next;
	*list = a;
}
