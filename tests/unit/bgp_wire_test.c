/*
 * bgp_wire_test.c - BGP messages octet by octet, and every way to be wrong
 *
 * Messages are written as hex, `|` between fields for the reader only; M is a
 * marker.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bgp_wire.h"

#define M	"ffffffffffffffff" "ffffffffffffffff"
#define LEN(a)	(sizeof(a) / sizeof((a)[0]))

static size_t
octets(const char *hex, uint8_t *dst)
{
	char two[3] = "";
	size_t n = 0;

	while (*hex != '\0') {
		if (!isxdigit((unsigned char)*hex)) {
			hex++;
			continue;
		}
		memcpy(two, hex, 2);
		dst[n++] = (uint8_t)strtoul(two, NULL, 16);
		hex += 2;
	}
	return n;
}

static void
assert_octets(const uint8_t *p, size_t len, const char *hex)
{
	static uint8_t want[BGP_MAX];
	size_t n = octets(hex, want);

	assert_int_equal(len, n);
	if (n > 0)
		assert_memory_equal(p, want, n);
}

/* --- headers ------------------------------------------------------------- */

static const struct {
	const char *hex;
	enum bgp_framing is;
	uint8_t subcode;
	const char *data;
} headers[] = {
	{ "", BGP_INCOMPLETE, 0, "" },
	{ M "0013", BGP_INCOMPLETE, 0, "" },
	{ M "0013|04", BGP_COMPLETE, 0, "" },
	{ M "0017|05|00010001", BGP_COMPLETE, 0, "" },
	{ M "0017|02|0000", BGP_INCOMPLETE, 0, "" },
	{ M "1000|02", BGP_INCOMPLETE, 0, "" },
	/* 1/1, whatever else is wrong */
	{ "00ffffffffffffff" "ffffffffffffffff" "0013|04", BGP_WRONG, 1, "" },
	{ "ffffffffffffffff" "fffffffffffffffe" "0000|09", BGP_WRONG, 1, "" },
	/* 1/2 with the length that was wrong */
	{ M "0000|04", BGP_WRONG, 2, "0000" },
	{ M "0012|04", BGP_WRONG, 2, "0012" },
	{ M "1001|02", BGP_WRONG, 2, "1001" },
	{ M "ffff|02", BGP_WRONG, 2, "ffff" },
	{ M "0014|04|00", BGP_WRONG, 2, "0014" },
	{ M "001c|01", BGP_WRONG, 2, "001c" },
	{ M "0016|02", BGP_WRONG, 2, "0016" },
	{ M "0014|03|06", BGP_WRONG, 2, "0014" },
	{ M "0016|05", BGP_WRONG, 2, "0016" },
	{ M "0018|05", BGP_WRONG, 2, "0018" },
	/* 1/3 with the type */
	{ M "0013|00", BGP_WRONG, 3, "00" },
	{ M "0013|06", BGP_WRONG, 3, "06" },
	{ M "0013|ff", BGP_WRONG, 3, "ff" },
};

static void
test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(headers); i++) {
		uint8_t buf[64];
		size_t n = octets(headers[i].hex, buf);
		/* Octets behind the end are an address sanitizer's. */
		uint8_t *exact = malloc(n > 0 ? n : 1);
		struct bgp_message m;
		struct bgp_error e = { 0 };

		assert_non_null(exact);
		memcpy(exact, buf, n);
		if (bgp_message_read(exact, n, &m, &e) != headers[i].is)
			fail_msg("header %zu: %s", i, headers[i].hex);
		if (headers[i].is == BGP_WRONG) {
			assert_int_equal(e.code, BGP_ERR_HEADER);
			assert_int_equal(e.subcode, headers[i].subcode);
			assert_octets(e.data, e.len, headers[i].data);
		} else if (headers[i].is == BGP_COMPLETE)
			assert_int_equal(m.size, n);
		free(exact);
	}
}

/* --- OPEN ---------------------------------------------------------------- */

/* What stands before the parameters: AS 65001, 180 s, 10.0.0.2. */
#define OPEN_HEAD	"04|fde9|00b4|0a000002|"

static const struct {
	const char *hex;		/* the body */
	uint8_t subcode;		/* of 2; 0xff: it is good */
	const char *data;
	struct bgp_open open;
} opens[] = {
	{ OPEN_HEAD "00", 0xff, "",
	  { 65001, 180, 0x0a000002, false, false, true } },
	/* all of ours in one parameter, in three, and twice */
	{ OPEN_HEAD "10|020e|0104 00010001|0200|4104 fa56ea00", 0xff, "",
	  { 4200000000, 180, 0x0a000002, true, true, true } },
	{ OPEN_HEAD "14|0206 0104 00010001|0202 0200|0206 4104 0000fde9", 0xff,
	  "", { 65001, 180, 0x0a000002, true, true, true } },
	{ OPEN_HEAD "0c|020a|0200 0200 4104 0000fde9", 0xff, "",
	  { 65001, 180, 0x0a000002, true, true, true } },
	/* unknown ones, and families that are not ours */
	{ OPEN_HEAD "0a|0208|ff03 010203|8001 00", 0xff, "",
	  { 65001, 180, 0x0a000002, false, false, true } },
	{ OPEN_HEAD "08|0206|0104 00020001", 0xff, "",
	  { 65001, 180, 0x0a000002, false, false, false } },
	{ OPEN_HEAD "08|0206|0104 00010004", 0xff, "",
	  { 65001, 180, 0x0a000002, false, false, false } },
	{ OPEN_HEAD "0e|020c|0104 00020001|0104 0001ff01", 0xff, "",
	  { 65001, 180, 0x0a000002, false, false, true } },
	{ "04|fde9|0000|0a000002|00", 0xff, "",
	  { 65001, 0, 0x0a000002, false, false, true } },
	{ "04|fde9|0003|0a000002|00", 0xff, "",
	  { 65001, 3, 0x0a000002, false, false, true } },
	/* RFC 9072: lengths of two octets */
	{ OPEN_HEAD "ff|ff|0007|02 0004|0200|0200", 0xff, "",
	  { 65001, 180, 0x0a000002, false, true, true } },
	{ OPEN_HEAD "01|ff|0000", 0xff, "",
	  { 65001, 180, 0x0a000002, false, false, true } },
	/* 2/1 with the version that we have, before all else */
	{ "03|fde9|00b4|0a000002|00", OPEN_BAD_VERSION, "0004", { 0 } },
	{ "05|0000|0001|00000000|ff", OPEN_BAD_VERSION, "0004", { 0 } },
	/* 2/2, RFC 7607 */
	{ "04|0000|00b4|0a000002|00", OPEN_BAD_PEER_AS, "", { 0 } },
	{ OPEN_HEAD "08|0206|4104 00000000", OPEN_BAD_PEER_AS, "", { 0 } },
	/* 2/3 */
	{ "04|fde9|00b4|00000000|00", OPEN_BAD_ID, "", { 0 } },
	/* 2/6 */
	{ "04|fde9|0001|0a000002|00", OPEN_BAD_HOLD_TIME, "", { 0 } },
	{ "04|fde9|0002|0a000002|00", OPEN_BAD_HOLD_TIME, "", { 0 } },
	/* 2/4 with the parameter */
	{ OPEN_HEAD "04|0102 abcd", OPEN_BAD_PARAMETER, "0102abcd", { 0 } },
	{ OPEN_HEAD "06|0202 0200|0300", OPEN_BAD_PARAMETER, "0300", { 0 } },
	{ OPEN_HEAD "ff|ff|0004|01 0001 aa", OPEN_BAD_PARAMETER, "010001aa",
	  { 0 } },
	/* 2/0: lengths that do not fit */
	{ OPEN_HEAD "01", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "00|00", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "02|0200|00", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "01|02", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "02|0201", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "03|0201|41", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "04|0202|4104", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "06|0204|4102 fde9", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "09|0207|4105 0000fde9 00", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "07|0205|0103 000100", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "05|0203|0201 00", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "ff|ff", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "ff|ff|00", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "ff|ff|0003|02 00", OPEN_UNSPECIFIC, "", { 0 } },
	{ OPEN_HEAD "ff|ff|0002|02 00", OPEN_UNSPECIFIC, "", { 0 } },
};

static struct rd
body_of(const char *hex, uint8_t **exact)
{
	static uint8_t buf[BGP_MAX];
	size_t n = octets(hex, buf);

	*exact = malloc(n > 0 ? n : 1);
	assert_non_null(*exact);
	memcpy(*exact, buf, n);
	return rd_init(*exact, n);
}

static void
test_opens(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(opens); i++) {
		struct bgp_error e = { 0 };
		struct bgp_open o, want = opens[i].open;
		uint8_t *exact;
		bool good = bgp_open_read(body_of(opens[i].hex, &exact), &o,
		    &e);

		if (good != (opens[i].subcode == 0xff) || (!good &&
		    (e.code != BGP_ERR_OPEN || e.subcode != opens[i].subcode)))
			fail_msg("OPEN %s: %u/%u", opens[i].hex, e.code,
			    e.subcode);
		if (good) {
			assert_int_equal(o.as, want.as);
			assert_int_equal(o.hold, want.hold);
			assert_int_equal(o.id, want.id);
			assert_int_equal(o.as4, want.as4);
			assert_int_equal(o.refresh, want.refresh);
			assert_int_equal(o.ipv4, want.ipv4);
		} else
			assert_octets(e.data, e.len, opens[i].data);
		free(exact);
	}
}

static void
test_open_written(void **state)
{
	struct bgp_open o = { .as = 64512, .hold = 180, .id = 0x0a000001 };
	uint8_t buf[128];
	struct wr w = wr_init(buf, sizeof(buf));

	(void)state;
	bgp_open_write(&w, &o, true);
	assert_octets(buf, wr_done(&w), M "002d|01|04|fc00|00b4|0a000001|10|"
	    "020e|0104 0001 00 01|0200|4104 0000fc00");
	o.as = 4200000000;
	w = wr_init(buf, sizeof(buf));
	bgp_open_write(&w, &o, false);
	assert_octets(buf, wr_done(&w), M "001d|01|04|5ba0|00b4|0a000001|00");
	w = wr_init(buf, 20);
	bgp_open_write(&w, &o, true);
	assert_int_equal(wr_done(&w), 0);
}

/* --- UPDATE -------------------------------------------------------------- */

#define ORIGIN		"4001 01 00|"
#define PATH		"4002 06 0201 0000fde9|"
#define NEXT		"4003 04 0a000002|"
#define MUST		ORIGIN PATH NEXT	/* 20 octets */
#define NLRI		"18 0a0100"

static const struct {
	const char *hex;		/* the body */
	bool good, ibgp;
	uint8_t subcode;		/* of 3 */
	const char *data;
	unsigned int withdrawn, announced;
	const char *fault;		/* NULL: none */
	uint8_t attr;
} updates[] = {
	/* End-of-RIB, a withdrawal, an announcement, both */
	{ "0000|0000", true, false, 0, "", 0, 0, NULL, 0 },
	{ "0004|" NLRI "|0000", true, false, 0, "", 1, 0, NULL, 0 },
	{ "0000|0014|" MUST NLRI "20 0a020304|00", true, false, 0, "", 0, 3,
	  NULL, 0 },
	{ "0004|" NLRI "|0014|" MUST NLRI, true, false, 0, "", 1, 1, NULL, 0 },
	/* unknown optional attributes, long lengths, communities, MED */
	{ "0000|002b|" MUST "c0ff 01 00|5001 0001 02|c008 04 ffffff01|"
	  "8004 04 00000001" NLRI, true, false, 0, "", 0, 1, NULL, 0 },
	{ "0000|001b|" MUST "4005 04 00000064" NLRI, true, true, 0, "", 0, 1,
	  NULL, 0 },
	/* another family: RFC 4760 */
	{ "0000|000d|900e 0009|000201 02 aabb 00 1020", true, false, 0, "", 0,
	  0, NULL, 0 },
	{ "0000|0006|800f 03 000201", true, false, 0, "", 0, 0, NULL, 0 },
	/* 3/1: lengths that lead out of the message */
	{ "0001|0000", false, false, 1, "", 0, 0, NULL, 0 },
	{ "ffff|0000", false, false, 1, "", 0, 0, NULL, 0 },
	{ "0000|0001", false, false, 1, "", 0, 0, NULL, 0 },
	{ "0002|0000", false, false, 1, "", 0, 0, NULL, 0 },
	{ "0000|ffff|" MUST, false, false, 1, "", 0, 0, NULL, 0 },
	/* 3/1: MP_REACH or MP_UNREACH twice (RFC 7606 3 g) */
	{ "0000|000c|800f 03 000201|800f 03 000201", false, false, 1, "", 0, 0,
	  NULL, 0 },
	/* 3/2: well-known, and not known to us */
	{ "0000|0005|40ff 02 abcd", false, false, 2, "40ff02abcd", 0, 0, NULL,
	  0 },
	{ "0000|0004|500b 0000", false, false, 2, "500b0000", 0, 0, NULL, 0 },
	/* 3/9: families whose routes cannot be found */
	{ "0000|0005|800e 02 0002", false, false, 9, "800e020002", 0, 0, NULL,
	  0 },
	{ "0000|0007|800e 04 00020110", false, false, 9, "800e0400020110", 0,
	  0, NULL, 0 },
	{ "0000|0005|800f 02 0002", false, false, 9, "800f020002", 0, 0, NULL,
	  0 },
	/* 3/10: prefixes that cannot be read */
	{ "0002|210a|0000", false, false, 10, "", 0, 0, NULL, 0 },
	{ "0003|180a01|0000", false, false, 10, "", 0, 0, NULL, 0 },
	{ "0000|0014|" MUST "21 0a00000001", false, false, 10, "", 0, 0, NULL,
	  0 },
	{ "0000|0014|" MUST "ff 0a", false, false, 10, "", 0, 0, NULL, 0 },
	{ "0000|0014|" MUST "18 0a01", false, false, 10, "", 0, 0, NULL, 0 },
	/* what is treated as a withdrawal (RFC 7606 3 and 7) */
	{ "0000|0010|" ORIGIN PATH "4003 00" NLRI, true, false, 0, "", 0, 1,
	  "malformed", 3 },
	{ "0000|0014|4001 01 03|" PATH NEXT NLRI, true, false, 0, "", 0, 1,
	  "malformed", 1 },
	{ "0000|0015|4001 02 0000|" PATH NEXT NLRI, true, false, 0, "", 0, 1,
	  "malformed", 1 },
	{ "0000|0014|" ORIGIN "4002 06 0501 0000fde9|" NEXT NLRI, true, false,
	  0, "", 0, 1, "malformed", 2 },
	{ "0000|0014|" ORIGIN "4002 06 0202 0000fde9|" NEXT NLRI, true, false,
	  0, "", 0, 1, "malformed", 2 },
	{ "0000|0014|" ORIGIN "4002 06 0200 0000fde9|" NEXT NLRI, true, false,
	  0, "", 0, 1, "malformed", 2 },
	{ "0000|0014|c001 01 00|" PATH NEXT NLRI, true, false, 0, "", 0, 1,
	  "wrong flags", 1 },
	{ "0000|000d|" ORIGIN PATH NLRI, true, false, 0, "", 0, 1, "missing",
	  3 },
	{ "0000|0014|" MUST NLRI, true, true, 0, "", 0, 1, "missing", 5 },
	{ "0000|001a|" MUST "4005 03 000064" NLRI, true, true, 0, "", 0, 1,
	  "malformed", 5 },
	{ "0000|001a|" MUST "4005 03 000064" NLRI, true, false, 0, "", 0, 1,
	  NULL, 0 },
	{ "0000|001a|" MUST "c008 03 ffffff" NLRI, true, false, 0, "", 0, 1,
	  "malformed", 8 },
	{ "0000|0017|" MUST "c008 00" NLRI, true, false, 0, "", 0, 1,
	  "malformed", 8 },
	{ "0000|0018|" MUST "8004 01 00" NLRI, true, false, 0, "", 0, 1,
	  "malformed", 4 },
	{ "0000|0018|" MUST "4006 01 00" NLRI, true, false, 0, "", 0, 1,
	  "malformed", 6 },
	{ "0000|001d|" MUST "c007 06 fde9 0a000001" NLRI, true, false, 0, "",
	  0, 1, "malformed", 7 },
	{ "0000|0018|" MUST "c010 01 00" NLRI, true, false, 0, "", 0, 1,
	  "malformed", 16 },
	{ "0000|0018|" MUST "c020 01 00" NLRI, true, false, 0, "", 0, 1,
	  "malformed", 32 },
	{ "0000|0018|" MUST "c011 01 00" NLRI, true, false, 0, "", 0, 1,
	  "malformed", 17 },
	/* an attribute that overruns the others (4); the prefixes are found */
	{ "0000|0018|" MUST "c008 04 ff" NLRI, true, false, 0, "", 0, 1,
	  "overruns the attributes", 8 },
	{ "0000|0015|" MUST "40" NLRI, true, false, 0, "", 0, 1,
	  "overruns the attributes", 0 },
	/* twice: the first one counts */
	{ "0000|0018|" MUST "4001 01 09" NLRI, true, false, 0, "", 0, 1, NULL,
	  0 },
};

static void
test_updates(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(updates); i++) {
		struct bgp_error e = { 0 };
		struct bgp_update u;
		uint8_t *exact;
		bool good = bgp_update_read(body_of(updates[i].hex, &exact),
		    true, updates[i].ibgp, &u, &e);

		if (good != updates[i].good || (!good && (e.code !=
		    BGP_ERR_UPDATE || e.subcode != updates[i].subcode)))
			fail_msg("UPDATE %s: %u/%u", updates[i].hex, e.code,
			    e.subcode);
		if (!good) {
			assert_octets(e.data, e.len, updates[i].data);
			free(exact);
			continue;
		}
		if (u.withdrawn != updates[i].withdrawn ||
		    u.announced != updates[i].announced ||
		    strcmp(u.fault != NULL ? u.fault : "none",
		    updates[i].fault != NULL ? updates[i].fault : "none") != 0 ||
		    u.attr != updates[i].attr)
			fail_msg("UPDATE %s: -%u +%u %s of %u", updates[i].hex,
			    u.withdrawn, u.announced, u.fault, u.attr);
		free(exact);
	}
}

/* An AS_PATH of two octets each. */
static void
test_update_as2(void **state)
{
	struct bgp_error e;
	struct bgp_update u;
	uint8_t *exact;

	(void)state;
	assert_true(bgp_update_read(body_of("0000|0012|" ORIGIN
	    "4002 04 0201 fde9|" NEXT NLRI, &exact), false, false, &u, &e));
	assert_null(u.fault);
	free(exact);
	assert_true(bgp_update_read(body_of("0000|0012|" ORIGIN
	    "4002 04 0201 fde9|" NEXT NLRI, &exact), true, false, &u, &e));
	assert_non_null(u.fault);
	free(exact);
}

/* --- UPDATE, as we write them -------------------------------------------- */

static struct bgp_pack pack;

static void
test_packed(void **state)
{
	struct bgp_path p = { .as4 = true, .local_as = 4200000000,
	    .next_hop = 0x0a000001 };

	(void)state;
	bgp_pack_begin(&pack, &p);
	assert_int_equal(bgp_pack_end(&pack), 0);	/* nothing in it */
	bgp_pack_begin(&pack, &p);
	assert_true(bgp_pack_add(&pack, 0x0a320000, 16));
	assert_true(bgp_pack_add(&pack, 0xc0000205, 32));
	assert_true(bgp_pack_add(&pack, 0, 0));
	assert_true(bgp_pack_add(&pack, 0x0a320080, 25));
	assert_octets(pack.room, bgp_pack_end(&pack), M "0047|02|0000|0022|"
	    "4001 01 00|4002 06 0201 fa56ea00|4003 04 0a000001|"
	    "8004 04 00000001|c008 04 ffffff01|"
	    "10 0a32|20 c0000205|00|19 0a320080");

	/* iBGP */
	p.ibgp = true;
	bgp_pack_begin(&pack, &p);
	assert_true(bgp_pack_add(&pack, 0x0a000000, 8));
	assert_octets(pack.room, bgp_pack_end(&pack), M "003c|02|0000|0023|"
	    "4001 01 00|4002 00|4003 04 0a000001|8004 04 00000001|"
	    "4005 04 00000064|c008 04 ffffff01|08 0a");

	/* a peer of two octets, which passes four on (RFC 6793 4.2.2) */
	p.ibgp = p.as4 = false;
	bgp_pack_begin(&pack, &p);
	assert_true(bgp_pack_add(&pack, 0x0a000000, 8));
	assert_octets(pack.room, bgp_pack_end(&pack), M "0042|02|0000|0029|"
	    "4001 01 00|4002 04 0201 5ba0|4003 04 0a000001|8004 04 00000001|"
	    "c008 04 ffffff01|c011 06 0201 fa56ea00|08 0a");
	p.local_as = 64512;
	bgp_pack_begin(&pack, &p);
	assert_true(bgp_pack_add(&pack, 0x0a000000, 8));
	assert_octets(pack.room, bgp_pack_end(&pack), M "0039|02|0000|0020|"
	    "4001 01 00|4002 04 0201 fc00|4003 04 0a000001|8004 04 00000001|"
	    "c008 04 ffffff01|08 0a");

	bgp_pack_begin(&pack, NULL);
	assert_int_equal(bgp_pack_end(&pack), 0);
	bgp_pack_begin(&pack, NULL);
	assert_true(bgp_pack_add(&pack, 0x0a320000, 16));
	assert_octets(pack.room, bgp_pack_end(&pack), M "001a|02|0003|10 0a32|"
	    "0000");
}

/* As many as 4096 octets hold, and what we write we can read. */
static void
test_packed_full(void **state)
{
	struct bgp_path path = { .as4 = true, .local_as = 1, .next_hop = 1 };

	(void)state;
	for (int withdraw = 0; withdraw < 2; withdraw++) {
		struct bgp_error e;
		struct bgp_message m;
		struct bgp_update u;
		uint32_t n = 0;
		size_t len;

		bgp_pack_begin(&pack, withdraw ? NULL : &path);
		while (bgp_pack_add(&pack, 0x0a000000 + n, 32))
			n++;
		len = bgp_pack_end(&pack);
		assert_in_range(len, BGP_MAX - 4, BGP_MAX);
		assert_in_range(n, 800, 815);
		assert_int_equal(bgp_message_read(pack.room, len, &m, &e),
		    BGP_COMPLETE);
		assert_int_equal(m.size, len);
		assert_true(bgp_update_read(m.body, true, false, &u, &e));
		assert_null(u.fault);
		assert_int_equal(u.announced, withdraw ? 0 : n);
		assert_int_equal(u.withdrawn, withdraw ? n : 0);
	}
}

/* --- the others ---------------------------------------------------------- */

static void
test_short_messages(void **state)
{
	static uint8_t buf[2 * BGP_MAX], data[2 * BGP_MAX];
	struct wr w = wr_init(buf, sizeof(buf));
	struct bgp_error e = { BGP_ERR_HEADER, HEADER_BAD_LENGTH, data, 2 };
	uint8_t *exact;

	(void)state;
	bgp_keepalive_write(&w);
	bgp_notification_write(&w, &e);
	assert_octets(buf, wr_done(&w), M "0013|04|" M "0017|03|0102|0000");
	/* No more than a message holds, whatever is quoted. */
	e.len = sizeof(data);
	w = wr_init(buf, sizeof(buf));
	bgp_notification_write(&w, &e);
	assert_int_equal(wr_done(&w), BGP_MAX);

	assert_true(bgp_refresh_read(body_of("0001 00 01", &exact)));
	free(exact);
	assert_false(bgp_refresh_read(body_of("0002 00 01", &exact)));
	free(exact);
	assert_false(bgp_refresh_read(body_of("0001 00 80", &exact)));
	free(exact);
}

static void
read_notification(const char *hex, uint8_t code, uint8_t subcode,
    const char *text)
{
	struct bgp_notification n;
	uint8_t *exact;

	bgp_notification_read(body_of(hex, &exact), &n);
	assert_int_equal(n.code, code);
	assert_int_equal(n.subcode, subcode);
	assert_int_equal(n.text_len, strlen(text));
	if (n.text_len > 0)
		assert_memory_equal(n.text, text, n.text_len);
	free(exact);
}

/* Whose length is not to be trusted (CVE-2017-15865 and its kind). */
static void
test_notification_read(void **state)
{
	(void)state;
	read_notification("0400", 4, 0, "");
	read_notification("0602", 6, 2, "");
	read_notification("0602|05 68656c6c6f", 6, 2, "hello");
	read_notification("0604|02 6869 ffff", 6, 4, "hi");
	read_notification("0602|00", 6, 2, "");
	read_notification("0602|06 68656c6c6f", 6, 2, "");
	read_notification("0602|ff", 6, 2, "");
	read_notification("0603|02 6869", 6, 3, "");
	read_notification("0202|02 6869", 2, 2, "");
}

static void
test_names(void **state)
{
	char name[128];

	(void)state;
	assert_string_equal(bgp_error_name(6, 2, name, sizeof(name)),
	    "Cease, Administrative Shutdown");
	assert_string_equal(bgp_error_name(4, 0, name, sizeof(name)),
	    "Hold Timer Expired");
	assert_string_equal(bgp_error_name(2, 99, name, sizeof(name)),
	    "OPEN Message Error, subcode 99");
	assert_string_equal(bgp_error_name(0, 1, name, sizeof(name)),
	    "code 0 subcode 1");
	assert_string_equal(bgp_error_name(255, 1, name, sizeof(name)),
	    "code 255 subcode 1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_opens),
		cmocka_unit_test(test_open_written),
		cmocka_unit_test(test_updates),
		cmocka_unit_test(test_update_as2),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_packed_full),
		cmocka_unit_test(test_short_messages),
		cmocka_unit_test(test_notification_read),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
