/*
 * radius_attr_test.c - RADIUS packets by the RFC's own examples, and broken
 *
 * Every packet that is decoded lies in memory of its exact size, so that a
 * sanitizer sees the first octet too many.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "radius_attr.h"

#define SECRET	"xyzzy5461"	/* RFC 2865 7 */

static const uint8_t zero16[16];

/* ---- packets made here ---- */

static uint8_t packet[5000];
static size_t packet_len;
static struct auth_result res;
static struct radius_notes notes;

static void
begin(uint8_t code)
{
	memset(packet, 0, sizeof(packet));
	packet[0] = code;
	packet_len = RADIUS_HEADER;
}

static void
put(uint8_t type, const void *value, size_t len)
{
	assert_true(packet_len + 2 + len <= sizeof(packet));
	packet[packet_len++] = type;
	packet[packet_len++] = (uint8_t)(len + 2);
	memcpy(packet + packet_len, value, len);
	packet_len += len;
}

static void
put_text(uint8_t type, const char *text)
{
	put(type, text, strlen(text));
}

static void
put_u32(uint8_t type, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16),
	    (uint8_t)(v >> 8), (uint8_t)v };

	put(type, b, 4);
}

static void
put_vendor(uint32_t vendor, uint8_t type, const void *value, size_t len)
{
	uint8_t b[255] = { 0, 0, (uint8_t)(vendor >> 8), (uint8_t)vendor,
	    type, (uint8_t)(len + 2) };

	memcpy(b + 6, value, len);
	put(ATTR_VENDOR_SPECIFIC, b, len + 6);
}

/* As it came from the wire; the length that the header claims is `claim`. */
static enum radius_bad
decode_claiming(size_t claim)
{
	struct radius_packet p;
	uint8_t *exact = malloc(packet_len > 0 ? packet_len : 1);
	enum radius_bad bad;

	assert_non_null(exact);
	packet[2] = (uint8_t)(claim >> 8);
	packet[3] = (uint8_t)claim;
	memcpy(exact, packet, packet_len);
	bad = radius_decode(exact, packet_len, &p);
	if (bad == RADIUS_OK) {
		assert_int_equal(p.len, claim);
		radius_result_decode(&p, &res, &notes);
	}
	free(exact);
	return bad;
}

static enum radius_bad
decode(void)
{
	return decode_claiming(packet_len);
}

/* ---- building ---- */

/* RFC 2865 7.1: nemo's Access-Request, octet by octet. */
static void
test_rfc_request(void **state)
{
	static const uint8_t authenticator[16] = {
		0x0f, 0x40, 0x3f, 0x94, 0x73, 0x97, 0x80, 0x57,
		0xbd, 0x83, 0xd5, 0xcb, 0x98, 0xf4, 0x22, 0x7a
	};
	static const uint8_t want[] = {
		0x01, 0x00, 0x00, 0x38, 0x0f, 0x40, 0x3f, 0x94,
		0x73, 0x97, 0x80, 0x57, 0xbd, 0x83, 0xd5, 0xcb,
		0x98, 0xf4, 0x22, 0x7a, 0x01, 0x06, 0x6e, 0x65,
		0x6d, 0x6f, 0x02, 0x12, 0x0d, 0xbe, 0x70, 0x8d,
		0x93, 0xd4, 0x13, 0xce, 0x31, 0x96, 0xe4, 0x3f,
		0x78, 0x2a, 0x0a, 0xee, 0x04, 0x06, 0xc0, 0xa8,
		0x01, 0x10, 0x05, 0x06, 0x00, 0x00, 0x00, 0x03
	};
	uint8_t buf[128];
	struct wr w = wr_init(buf, sizeof(buf));

	(void)state;
	radius_begin(&w, RADIUS_ACCESS_REQUEST, 0, authenticator);
	assert_true(radius_put_text(&w, ATTR_USER_NAME, "nemo"));
	assert_true(radius_put_password(&w, "arctangent", 10, authenticator,
	    SECRET));
	assert_true(radius_put_u32(&w, ATTR_NAS_IP_ADDRESS, 0xc0a80110));
	assert_true(radius_put_u32(&w, ATTR_NAS_PORT, 3));
	wr_len_u16(&w, 2, 0);
	assert_int_equal(wr_done(&w), sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
}

/* Undoes RFC 2865 5.2. */
static void
unhide(uint8_t *v, size_t len, const uint8_t *authenticator)
{
	uint8_t before[16], now[16], mask[16];
	size_t i, j;

	memcpy(before, authenticator, 16);
	for (i = 0; i < len; i += 16) {
		const struct digest_part part[] = {
			{ SECRET, strlen(SECRET) }, { before, 16 }
		};

		memcpy(now, v + i, 16);
		digest_md5(mask, part, 2);
		for (j = 0; j < 16; j++)
			v[i + j] ^= mask[j];
		memcpy(before, now, 16);
	}
}

static void
test_password(void **state)
{
	uint8_t buf[300], authenticator[16], password[129], padded[128];
	size_t len;

	(void)state;
	digest_random(authenticator, 16);
	digest_random(password, sizeof(password));
	for (len = 0; len <= 128; len++) {
		size_t total = len == 0 ? 16 : (len + 15) & ~(size_t)15;
		struct wr w = wr_init(buf, sizeof(buf));

		memset(padded, 0, sizeof(padded));
		memcpy(padded, password, len);
		assert_true(radius_put_password(&w, password, len,
		    authenticator, SECRET));
		assert_int_equal(wr_len(&w), total + 2);
		assert_int_equal(buf[0], ATTR_USER_PASSWORD);
		assert_int_equal(buf[1], total + 2);
		unhide(buf + 2, total, authenticator);
		assert_memory_equal(buf + 2, padded, total);
	}
	struct wr w = wr_init(buf, sizeof(buf));
	assert_false(radius_put_password(&w, password, 129, authenticator,
	    SECRET));
	assert_int_equal(wr_len(&w), 0);
}

/* Whole or not at all, and the packet stays good. */
static void
test_put_bounds(void **state)
{
	uint8_t buf[64], big[254];
	struct wr w = wr_init(buf, sizeof(buf));

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_false(radius_put(&w, 1, big, 0));
	assert_false(radius_put_text(&w, 1, ""));
	assert_false(radius_put_tagged_text(&w, 66, ""));
	assert_false(radius_put(&w, 1, big, 254));
	assert_false(radius_put(&w, 1, big, 63));
	assert_int_equal(wr_len(&w), 0);
	assert_true(radius_put(&w, 1, big, 50));
	assert_false(radius_put(&w, 2, big, 11));
	assert_true(radius_put(&w, 2, big, 10));
	assert_false(radius_put(&w, 3, big, 1));
	assert_int_equal(wr_done(&w), 64);
	uint8_t large[300];
	w = wr_init(large, sizeof(large));
	assert_true(radius_put(&w, 1, big, 253));
	assert_int_equal(large[1], 255);
}

/* However many attributes, the packet is whole and within 4096. */
static void
test_too_many_attributes(void **state)
{
	uint8_t buf[RADIUS_PACKET_MAX], big[253];
	struct wr w = wr_init(buf, sizeof(buf));
	unsigned int put_n = 0, i;
	struct radius_packet p;
	size_t len;

	(void)state;
	memset(big, 'x', sizeof(big));
	radius_begin(&w, RADIUS_ACCESS_REQUEST, 1, zero16);
	assert_true(radius_put_message_authenticator(&w));
	for (i = 0; i < 100; i++)
		put_n += radius_put(&w, ATTR_CLASS, big, sizeof(big));
	assert_int_equal(put_n, 15);
	assert_true(radius_put_u32(&w, ATTR_NAS_PORT, 1));
	len = radius_finish_access(&w, SECRET);
	assert_true(len > 3000 && len <= RADIUS_PACKET_MAX);
	assert_int_equal(radius_decode(buf, len, &p), RADIUS_OK);
}

static void
test_message_authenticator_first(void **state)
{
	uint8_t buf[256], mac[16], want[16];
	struct wr w = wr_init(buf, sizeof(buf));
	struct digest_part whole;
	size_t len;

	(void)state;
	radius_begin(&w, RADIUS_ACCESS_REQUEST, 9, zero16);
	radius_put_message_authenticator(&w);
	radius_put_text(&w, ATTR_USER_NAME, "nemo");
	len = radius_finish_access(&w, SECRET);
	assert_int_equal(len, 20 + 18 + 6);
	assert_int_equal(buf[3], len);
	assert_int_equal(buf[20], ATTR_MESSAGE_AUTHENTICATOR);
	assert_int_equal(buf[21], 18);
	memcpy(mac, buf + 22, 16);
	memset(buf + 22, 0, 16);
	whole = (struct digest_part){ buf, len };
	digest_hmac_md5(want, SECRET, strlen(SECRET), &whole, 1);
	assert_memory_equal(mac, want, 16);
}

static void
test_accounting_authenticator(void **state)
{
	uint8_t buf[256], sum[16], want[16];
	struct wr w = wr_init(buf, sizeof(buf));
	size_t len;

	(void)state;
	memset(buf, 0xaa, sizeof(buf));
	radius_begin(&w, RADIUS_ACCOUNTING_REQUEST, 9, buf + 100);
	radius_put_u32(&w, ATTR_ACCT_STATUS_TYPE, ACCT_START);
	len = radius_finish_accounting(&w, SECRET);
	assert_int_equal(len, 26);
	memcpy(sum, buf + 4, 16);
	memset(buf + 4, 0, 16);
	const struct digest_part part[] = {
		{ buf, len }, { SECRET, strlen(SECRET) }
	};
	digest_md5(want, part, 2);
	assert_memory_equal(sum, want, 16);
}

static void
test_tagged(void **state)
{
	uint8_t buf[32];
	struct wr w = wr_init(buf, sizeof(buf));
	static const uint8_t want[] = { 64, 6, 0, 0, 0, 3,
	    66, 6, 0, '1', '.', '2' };

	(void)state;
	radius_put_tagged_u24(&w, ATTR_TUNNEL_TYPE, TUNNEL_TYPE_L2TP);
	radius_put_tagged_text(&w, ATTR_TUNNEL_CLIENT_ENDPOINT, "1.2");
	assert_int_equal(wr_len(&w), sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
}

/* ---- verification ---- */

/* RFC 2865 7.1: the Access-Accept to nemo. */
static void
test_rfc_reply(void **state)
{
	static const uint8_t request[16] = {
		0x0f, 0x40, 0x3f, 0x94, 0x73, 0x97, 0x80, 0x57,
		0xbd, 0x83, 0xd5, 0xcb, 0x98, 0xf4, 0x22, 0x7a
	};
	static const uint8_t reply[] = {
		0x02, 0x00, 0x00, 0x26, 0x86, 0xfe, 0x22, 0x0e,
		0x76, 0x24, 0xba, 0x2a, 0x10, 0x05, 0xf6, 0xbf,
		0x9b, 0x55, 0xe0, 0xb2, 0x06, 0x06, 0x00, 0x00,
		0x00, 0x01, 0x0f, 0x06, 0x00, 0x00, 0x00, 0x00,
		0x0e, 0x06, 0xc0, 0xa8, 0x01, 0x03
	};
	uint8_t copy[sizeof(reply)];
	struct radius_packet p;
	size_t i;

	(void)state;
	assert_int_equal(radius_decode(reply, sizeof(reply), &p), RADIUS_OK);
	assert_int_equal(p.code, RADIUS_ACCESS_ACCEPT);
	assert_int_equal(p.id, 0);
	assert_int_equal(radius_verify(&p, request, SECRET), RADIUS_OK);
	assert_int_equal(radius_verify(&p, request, "xyzzy5462"),
	    RADIUS_BAD_AUTHENTICATOR);
	assert_int_equal(radius_verify(&p, zero16, SECRET),
	    RADIUS_BAD_AUTHENTICATOR);
	/* It grants a Login service, which is not ours to give. */
	radius_result_decode(&p, &res, &notes);
	assert_int_equal(res.verdict, AUTH_REJECT);
	assert_non_null(notes.rejected);
	/* Any octet changed, and it is not the server's any more. */
	for (i = 0; i < sizeof(copy); i++) {
		memcpy(copy, reply, sizeof(copy));
		copy[i] ^= 0x40;
		if (radius_decode(copy, sizeof(copy), &p) != RADIUS_OK)
			continue;
		assert_int_equal(radius_verify(&p, request, SECRET),
		    RADIUS_BAD_AUTHENTICATOR);
	}
}

/* Signs the packet as a server would; ma is where that attribute lies. */
static void
sign(const uint8_t *request, size_t ma)
{
	struct digest_part whole = { packet, packet_len };
	uint8_t sum[16];

	packet[2] = (uint8_t)(packet_len >> 8);
	packet[3] = (uint8_t)packet_len;
	memcpy(packet + 4, request, 16);
	if (ma != 0) {
		digest_hmac_md5(sum, SECRET, strlen(SECRET), &whole, 1);
		memcpy(packet + ma + 2, sum, 16);
	}
	const struct digest_part part[] = {
		{ packet, packet_len }, { SECRET, strlen(SECRET) }
	};
	digest_md5(sum, part, 2);
	memcpy(packet + 4, sum, 16);
}

static enum radius_bad
verify(const uint8_t *request)
{
	struct radius_packet p;
	enum radius_bad bad = radius_decode(packet, packet_len, &p);

	return bad != RADIUS_OK ? bad : radius_verify(&p, request, SECRET);
}

/* At any place, checked when it is there, and never two. */
static void
test_message_authenticator(void **state)
{
	uint8_t request[16];
	size_t ma;
	int place;

	(void)state;
	digest_random(request, 16);
	for (place = 0; place < 3; place++) {
		begin(RADIUS_ACCESS_ACCEPT);
		if (place > 0)
			put_u32(ATTR_SESSION_TIMEOUT, 60);
		ma = packet_len;
		put(ATTR_MESSAGE_AUTHENTICATOR, zero16, 16);
		if (place < 2)
			put_text(ATTR_REPLY_MESSAGE, "hello");
		sign(request, ma);
		assert_int_equal(verify(request), RADIUS_OK);
		/* Wrong, though the Response Authenticator is right. */
		packet[ma + 5] ^= 1;
		sign(request, 0);
		assert_int_equal(verify(request),
		    RADIUS_BAD_MESSAGE_AUTHENTICATOR);
	}
	begin(RADIUS_ACCESS_ACCEPT);
	ma = packet_len;
	put(ATTR_MESSAGE_AUTHENTICATOR, zero16, 16);
	put(ATTR_MESSAGE_AUTHENTICATOR, zero16, 16);
	sign(request, ma);
	assert_int_equal(verify(request), RADIUS_BAD_MESSAGE_AUTHENTICATOR);
	begin(RADIUS_ACCESS_ACCEPT);
	put(ATTR_MESSAGE_AUTHENTICATOR, zero16, 15);
	sign(request, 0);
	assert_int_equal(verify(request), RADIUS_BAD_MESSAGE_AUTHENTICATOR);
}

static void
test_bad_texts(void **state)
{
	int i, j;

	(void)state;
	for (i = RADIUS_OK; i <= RADIUS_BAD_PROXY_STATE; i++) {
		for (j = RADIUS_OK; j < i; j++)
			assert_string_not_equal(radius_bad_text(i),
			    radius_bad_text(j));
	}
}

/* ---- lengths ---- */

/* The Length field against the true length, all of both. */
static void
test_header_lengths(void **state)
{
	static const size_t true_lens[] = { 0, 1, 2, 3, 4, 19, 20, 21, 22, 26,
	    4095, 4096, 4097, 4999 };
	size_t i, claim;

	(void)state;
	for (i = 0; i < sizeof(true_lens) / sizeof(true_lens[0]); i++) {
		for (claim = 0; claim <= 65535; claim++) {
			enum radius_bad bad, want;

			begin(RADIUS_ACCESS_ACCEPT);
			packet_len = true_lens[i];
			bad = decode_claiming(claim);
			if (packet_len < 20)
				want = RADIUS_BAD_SHORT;
			else if (claim < 20 || claim > 4096 ||
			    claim > packet_len)
				want = RADIUS_BAD_LENGTH;
			else	/* zeros: an attribute of length 0 */
				want = claim == 20 ? RADIUS_OK :
				    RADIUS_BAD_ATTRIBUTES;
			assert_int_equal(bad, want);
		}
	}
}

/* Octets past Length are padding, RFC 2865 3. */
static void
test_padding(void **state)
{
	(void)state;
	begin(RADIUS_ACCESS_ACCEPT);
	put_u32(ATTR_SESSION_TIMEOUT, 77);
	packet_len += 40;
	assert_int_equal(decode_claiming(26), RADIUS_OK);
	assert_int_equal(res.verdict, AUTH_ACCEPT);
	assert_int_equal(res.session_timeout, 77);
}

/* Every attribute at every length; only fixed ones refuse. */
static void
test_attribute_lengths(void **state)
{
	static const uint8_t fixed[] = { ATTR_SERVICE_TYPE,
	    ATTR_FRAMED_PROTOCOL, ATTR_FRAMED_IP_ADDRESS,
	    ATTR_FRAMED_IP_NETMASK, ATTR_FRAMED_MTU, ATTR_SESSION_TIMEOUT,
	    ATTR_IDLE_TIMEOUT, ATTR_ACCT_INTERIM_INTERVAL,
	    ATTR_ASCEND_PRIMARY_DNS, ATTR_ASCEND_SECONDARY_DNS };
	uint8_t value[253];
	unsigned int type;
	size_t len;

	(void)state;
	memset(value, 1, sizeof(value));
	for (type = 0; type < 256; type++) {
		bool is_fixed = memchr(fixed, (int)type, sizeof(fixed)) != NULL;

		for (len = 0; len <= sizeof(value); len++) {
			begin(RADIUS_ACCESS_ACCEPT);
			put((uint8_t)type, value, len);
			if (type == ATTR_MESSAGE_AUTHENTICATOR) {
				assert_int_equal(decode(), len == 16 ?
				    RADIUS_OK :
				    RADIUS_BAD_MESSAGE_AUTHENTICATOR);
				continue;
			}
			assert_int_equal(decode(), RADIUS_OK);
			if (is_fixed && len != 4)
				assert_int_equal(res.verdict, AUTH_REJECT);
			else if (type == ATTR_VENDOR_SPECIFIC && len < 5)
				assert_int_equal(res.verdict, AUTH_REJECT);
			else if (type != ATTR_SERVICE_TYPE &&
			    type != ATTR_FRAMED_PROTOCOL)
				assert_int_equal(res.verdict, AUTH_ACCEPT);
			/* One octet short of what the attribute claims. */
			packet_len--;
			assert_int_equal(decode(), RADIUS_BAD_ATTRIBUTES);
		}
		begin(RADIUS_ACCESS_ACCEPT);
		packet[packet_len++] = (uint8_t)type;
		assert_int_equal(decode(), RADIUS_BAD_ATTRIBUTES);
		packet[packet_len++] = 1;
		assert_int_equal(decode(), RADIUS_BAD_ATTRIBUTES);
	}
}

/* Vendor-Specific at every length inside and out. */
static void
test_vendor_lengths(void **state)
{
	static const uint32_t vendors[] = { VENDOR_CISCO, VENDOR_MICROSOFT,
	    VENDOR_ASCEND, 4711 };
	uint8_t b[253];
	unsigned int inner, i;
	size_t len;

	(void)state;
	for (i = 0; i < 4; i++) {
		for (len = 5; len <= 253; len++) {
			for (inner = 0; inner < 256; inner++) {
				memset(b, 'a', sizeof(b));
				b[0] = b[1] = 0;
				b[2] = (uint8_t)(vendors[i] >> 8);
				b[3] = (uint8_t)vendors[i];
				b[4] = i == 1 ? MS_PRIMARY_DNS : 1;
				b[5] = (uint8_t)inner;
				begin(RADIUS_ACCESS_ACCEPT);
				put(ATTR_VENDOR_SPECIFIC, b, len);
				assert_int_equal(decode(), RADIUS_OK);
				assert_int_equal(res.verdict, AUTH_ACCEPT);
				if (inner + 4 > len || inner < 2)
					assert_int_equal(res.avpair_len, 0);
			}
		}
	}
}

/* ---- attributes ---- */

static void
test_accept(void **state)
{
	static const uint8_t dns1[] = { 9, 9, 9, 9 }, dns2[] = { 8, 8, 8, 8 };

	(void)state;
	begin(RADIUS_ACCESS_ACCEPT);
	put_u32(ATTR_SERVICE_TYPE, SERVICE_TYPE_FRAMED);
	put_u32(ATTR_FRAMED_PROTOCOL, FRAMED_PROTOCOL_PPP);
	put_u32(ATTR_FRAMED_IP_ADDRESS, 0x0a000005);
	put_u32(ATTR_FRAMED_IP_NETMASK, 0xffffff00);
	put_text(ATTR_FRAMED_ROUTE, "192.168.5.0/24 0.0.0.0 1");
	put_text(ATTR_FRAMED_ROUTE, "172.16.9.9");
	put_text(ATTR_FILTER_ID, "fast.in");
	put_u32(ATTR_FRAMED_MTU, 1400);
	put_text(ATTR_REPLY_MESSAGE, "Hello, ");
	put_text(ATTR_REPLY_MESSAGE, "world");
	put_text(ATTR_USER_NAME, "canonical");
	put(ATTR_CLASS, "a\0b", 3);
	put(ATTR_CLASS, "c", 1);
	put_u32(ATTR_SESSION_TIMEOUT, 3600);
	put_u32(ATTR_IDLE_TIMEOUT, 600);
	put_u32(ATTR_ACCT_INTERIM_INTERVAL, 300);
	put_vendor(VENDOR_MICROSOFT, MS_PRIMARY_DNS, dns1, 4);
	put_vendor(VENDOR_MICROSOFT, MS_SECONDARY_DNS, dns2, 4);
	put_vendor(VENDOR_CISCO, CISCO_AVPAIR, "throttle=yes", 12);
	put_vendor(VENDOR_CISCO, CISCO_AVPAIR, "\"intercept=yes,a=b\"", 19);
	put_u32(200, 1);		/* unknown: ignored without a word */
	assert_int_equal(decode(), RADIUS_OK);
	assert_int_equal(res.verdict, AUTH_ACCEPT);
	assert_null(notes.rejected);
	assert_int_equal(notes.ignored, 0);
	assert_false(notes.interim_raised);
	assert_int_equal(res.address, AUTH_IP_FIXED);
	assert_int_equal(res.framed_ip, 0x0a000005);
	assert_int_equal(res.netmask, 0xffffff00);
	assert_int_equal(res.nroutes, 2);
	assert_int_equal(res.routes[0].addr, 0xc0a80500);
	assert_int_equal(res.routes[0].len, 24);
	assert_int_equal(res.routes[1].addr, 0xac100000);
	assert_int_equal(res.routes[1].len, 16);
	assert_string_equal(res.filter_id, "fast.in");
	assert_int_equal(res.framed_mtu, 1400);
	assert_string_equal(res.message, "Hello, world");
	assert_string_equal(res.user, "canonical");
	assert_int_equal(res.class_len, 6);
	assert_memory_equal(res.class, "\3a\0b\1c", 6);
	assert_int_equal(res.session_timeout, 3600);
	assert_int_equal(res.idle_timeout, 600);
	assert_int_equal(res.interim, 300);
	assert_int_equal(res.dns1, 0x09090909);
	assert_int_equal(res.dns2, 0x08080808);
	assert_int_equal(res.avpair_len, 13 + 18);
	assert_string_equal(res.avpair, "throttle=yes");
	assert_string_equal(res.avpair + 13, "intercept=yes,a=b");
}

static void
test_empty_accept(void **state)
{
	struct auth_result want = { .verdict = AUTH_ACCEPT };

	(void)state;
	memset(&res, 0xff, sizeof(res));
	begin(RADIUS_ACCESS_ACCEPT);
	assert_int_equal(decode(), RADIUS_OK);
	assert_memory_equal(&res, &want, sizeof(res));
}

static void
test_dns(void **state)
{
	static const uint8_t addr[] = { 1, 2, 3, 4 };

	(void)state;
	begin(RADIUS_ACCESS_ACCEPT);
	put(ATTR_ASCEND_PRIMARY_DNS, addr, 4);
	put_u32(ATTR_ASCEND_SECONDARY_DNS, 5);
	decode();
	assert_int_equal(res.dns1, 0x01020304);
	assert_int_equal(res.dns2, 5);
	begin(RADIUS_ACCESS_ACCEPT);
	put_vendor(VENDOR_ASCEND, ATTR_ASCEND_PRIMARY_DNS, addr, 4);
	put_vendor(VENDOR_ASCEND, ATTR_ASCEND_SECONDARY_DNS, addr, 4);
	decode();
	assert_int_equal(res.dns1, 0x01020304);
	assert_int_equal(res.dns2, 0x01020304);
	begin(RADIUS_ACCESS_ACCEPT);
	put_vendor(VENDOR_MICROSOFT, MS_PRIMARY_DNS, addr, 3);
	decode();
	assert_int_equal(res.dns1, 0);
	assert_int_equal(notes.ignored, 1);
	assert_int_equal(res.verdict, AUTH_ACCEPT);
}

/* The addresses with a meaning of their own (RFC 2865 5.8). */
static void
test_framed_ip(void **state)
{
	static const struct {
		uint32_t ip;
		enum auth_address address;
		uint32_t want;
	} rows[] = {
		{ 0xffffffff, AUTH_IP_USER, 0 },
		{ 0xfffffffe, AUTH_IP_POOL, 0 },
		{ 0xfffffffd, AUTH_IP_FIXED, 0xfffffffd },
		{ 0, AUTH_IP_FIXED, 0 },
		{ 0x7f000001, AUTH_IP_FIXED, 0x7f000001 }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(RADIUS_ACCESS_ACCEPT);
		put_u32(ATTR_FRAMED_IP_ADDRESS, rows[i].ip);
		decode();
		assert_int_equal(res.address, rows[i].address);
		assert_int_equal(res.framed_ip, rows[i].want);
	}
}

static void
test_service(void **state)
{
	uint32_t v;

	(void)state;
	for (v = 0; v < 20; v++) {
		begin(RADIUS_ACCESS_ACCEPT);
		put_u32(ATTR_SERVICE_TYPE, v);
		decode();
		assert_int_equal(res.verdict,
		    v == 2 ? AUTH_ACCEPT : AUTH_REJECT);
		begin(RADIUS_ACCESS_ACCEPT);
		put_u32(ATTR_FRAMED_PROTOCOL, v);
		decode();
		assert_int_equal(res.verdict,
		    v == 1 ? AUTH_ACCEPT : AUTH_REJECT);
	}
}

static void
test_refusals(void **state)
{
	(void)state;
	begin(RADIUS_ACCESS_REJECT);
	put_text(ATTR_REPLY_MESSAGE, "go away");
	put_u32(ATTR_FRAMED_IP_ADDRESS, 5);
	put(ATTR_SESSION_TIMEOUT, "x", 1);
	assert_int_equal(decode(), RADIUS_OK);
	assert_int_equal(res.verdict, AUTH_REJECT);
	assert_string_equal(res.message, "go away");
	assert_int_equal(res.framed_ip, 0);
	assert_null(notes.rejected);
	begin(RADIUS_ACCESS_CHALLENGE);
	put_text(ATTR_REPLY_MESSAGE, "say friend");
	decode();
	assert_int_equal(res.verdict, AUTH_REJECT);
	assert_string_equal(res.message, "say friend");
}

/* 16 Reply-Messages of 253 octets. */
static void
test_long_messages(void **state)
{
	char text[253];
	int i, code;

	(void)state;
	memset(text, 'm', sizeof(text));
	for (code = RADIUS_ACCESS_ACCEPT; code <= RADIUS_ACCESS_REJECT;
	    code++) {
		begin((uint8_t)code);
		for (i = 0; i < 15; i++)
			put(ATTR_REPLY_MESSAGE, text, sizeof(text));
		put(ATTR_REPLY_MESSAGE, text, 4096 - packet_len - 2);
		assert_int_equal(decode(), RADIUS_OK);
		assert_int_equal(strlen(res.message), 253);
		assert_int_equal(notes.ignored, 15);
	}
	begin(RADIUS_ACCESS_REJECT);
	put(ATTR_REPLY_MESSAGE, "a\0b", 3);
	decode();
	assert_string_equal(res.message, "a b");
}

/* More of everything than there is room for. */
static void
test_too_many(void **state)
{
	char text[253];
	int i;

	(void)state;
	memset(text, '=', sizeof(text));
	begin(RADIUS_ACCESS_ACCEPT);
	for (i = 0; i < 200; i++)
		put_text(ATTR_FRAMED_ROUTE, "10.0.0.0/8");
	decode();
	assert_int_equal(res.nroutes, ROUTES_MAX);
	assert_int_equal(notes.ignored, 200 - ROUTES_MAX);
	begin(RADIUS_ACCESS_ACCEPT);
	for (i = 0; i < 10; i++)
		put(ATTR_CLASS, text, sizeof(text));
	decode();
	assert_int_equal(res.class_len, 2 * 254);
	assert_int_equal(notes.ignored, 8);
	begin(RADIUS_ACCESS_ACCEPT);
	for (i = 0; i < 10; i++)
		put_vendor(VENDOR_CISCO, CISCO_AVPAIR, text, 247);
	decode();
	assert_int_equal(res.avpair_len, 4 * 248);
	assert_int_equal(notes.ignored, 6);
	assert_int_equal(res.verdict, AUTH_ACCEPT);
}

static void
test_avpair(void **state)
{
	static const struct {
		uint32_t vendor;
		const char *text;
		size_t len;
		const char *want;	/* "" : ignored */
	} rows[] = {
		{ VENDOR_CISCO, "a=b", 3, "a=b" },
		{ VENDOR_CISCO, "plain", 5, "plain" },
		{ VENDOR_CISCO, "\"a=b\"", 5, "a=b" },
		{ VENDOR_CISCO, "\"", 1, "\"" },
		{ VENDOR_CISCO, "\"\"", 2, "" },
		{ VENDOR_CISCO, "", 0, "" },
		{ VENDOR_CISCO, "a=\nb", 4, "" },
		{ VENDOR_CISCO, "a=\033[2J", 6, "" },
		{ VENDOR_CISCO, "a\0b=", 4, "" },
		{ VENDOR_CISCO, "a=\303\274", 4, "a=\303\274" },
		{ 4711, "a=b", 3, "a=b" },
		{ 4711, "plain", 5, "" },
		{ 4711, "\0\0\1\0", 4, "" },
		{ VENDOR_MICROSOFT, "a=b", 3, "" }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(RADIUS_ACCESS_ACCEPT);
		put_vendor(rows[i].vendor, 1, rows[i].text, rows[i].len);
		assert_int_equal(decode(), RADIUS_OK);
		assert_int_equal(res.verdict, AUTH_ACCEPT);
		assert_string_equal(res.avpair, rows[i].want);
		assert_int_equal(res.avpair_len, rows[i].want[0] == '\0' ? 0 :
		    strlen(rows[i].want) + 1);
	}
	/* Several in one Vendor-Specific. */
	begin(RADIUS_ACCESS_ACCEPT);
	put(ATTR_VENDOR_SPECIFIC, "\0\0\0\11\1\5a=b\2\3x\1\5c=d", 17);
	decode();
	assert_int_equal(res.avpair_len, 8);
	assert_memory_equal(res.avpair, "a=b\0c=d", 8);
}

static void
test_texts(void **state)
{
	char text[253];

	(void)state;
	memset(text, 'f', sizeof(text));
	begin(RADIUS_ACCESS_ACCEPT);
	put(ATTR_FILTER_ID, text, FILTER_MAX);
	put(ATTR_USER_NAME, "a\0b", 3);
	decode();
	assert_string_equal(res.filter_id, "");
	assert_string_equal(res.user, "");
	assert_int_equal(notes.ignored, 2);
	begin(RADIUS_ACCESS_ACCEPT);
	put(ATTR_FILTER_ID, text, FILTER_MAX - 1);
	put(ATTR_USER_NAME, text, 253);
	decode();
	assert_int_equal(strlen(res.filter_id), FILTER_MAX - 1);
	assert_int_equal(strlen(res.user), 253);
	assert_int_equal(notes.ignored, 0);
}

static void
test_numbers(void **state)
{
	static const struct { uint32_t in, interim; bool raised; } rows[] = {
		{ 0, 0, false }, { 1, 60, true }, { 59, 60, true },
		{ 60, 60, false }, { 0xffffffff, 0xffffffff, false }
	};
	static const struct { uint32_t in; uint16_t mtu; } mtus[] = {
		{ 0, 0 }, { 63, 0 }, { 64, 64 }, { 65535, 65535 },
		{ 65536, 0 }, { 0x10000400, 0 }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(RADIUS_ACCESS_ACCEPT);
		put_u32(ATTR_ACCT_INTERIM_INTERVAL, rows[i].in);
		put_u32(ATTR_SESSION_TIMEOUT, rows[i].in);
		decode();
		assert_int_equal(res.interim, rows[i].interim);
		assert_int_equal(notes.interim_raised, rows[i].raised);
		assert_int_equal(res.session_timeout, rows[i].in);
	}
	for (i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		begin(RADIUS_ACCESS_ACCEPT);
		put_u32(ATTR_FRAMED_MTU, mtus[i].in);
		decode();
		assert_int_equal(res.framed_mtu, mtus[i].mtu);
		assert_int_equal(res.verdict, AUTH_ACCEPT);
	}
}

static void
test_routes(void **state)
{
	static const struct {
		const char *text;
		uint32_t addr;
		int len;		/* -1: no route */
	} rows[] = {
		{ "10.1.2.3/32", 0x0a010203, 32 },
		{ "10.1.2.3/24", 0x0a010200, 24 },
		{ "10.1.2.3/0", 0, 0 },
		{ "10.1.2.3/31", 0x0a010202, 31 },
		{ "10.1.2.3", 0x0a000000, 8 },
		{ "172.16.1.0", 0xac100000, 16 },
		{ "192.168.1.7", 0xc0a80100, 24 },
		{ "192.168.1.0 10.0.0.1 1", 0xc0a80100, 24 },
		{ "  192.168.1.0/25   10.0.0.1 1 2 -1", 0xc0a80100, 25 },
		{ "0.0.0.0/0", 0, 0 },
		{ "224.0.0.0", 0, -1 },
		{ "224.0.0.0/4", 0xe0000000, 4 },
		{ "255.255.255.255/32", 0xffffffff, 32 },
		{ "10.0.0.0/33", 0, -1 },
		{ "10.0.0.0/", 0, -1 },
		{ "10.0.0.0/-1", 0, -1 },
		{ "10.0.0.0/+8", 0, -1 },
		{ "10.0.0.0/8x", 0, -1 },
		{ "10.0.0.0/008", 0, -1 },
		{ "10.0.0.0/8/8", 0, -1 },
		{ "10.0.0", 0, -1 },
		{ "10.0.0.256/8", 0, -1 },
		{ "x", 0, -1 },
		{ " ", 0, -1 },
		{ "10.0.0.0/99999999999999999999999", 0, -1 }
	};
	struct prefix route;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool ok = radius_route_parse(rows[i].text,
		    strlen(rows[i].text), &route);

		assert_int_equal(ok, rows[i].len >= 0);
		if (!ok)
			continue;
		assert_int_equal(route.addr, rows[i].addr);
		assert_int_equal(route.len, rows[i].len);
	}
	assert_false(radius_route_parse("10.0.0.0\0/8", 11, &route));
	assert_true(radius_route_parse("10.1.0.0/16\0", 12, &route));
	assert_int_equal(route.len, 16);
	assert_true(radius_route_parse("\t10.2.0.0/15\t0.0.0.0", 21, &route));
	assert_int_equal(route.len, 15);
	assert_false(radius_route_parse("\0\0", 2, &route));
	assert_false(radius_route_parse("", 0, &route));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc_request),
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_put_bounds),
		cmocka_unit_test(test_too_many_attributes),
		cmocka_unit_test(test_message_authenticator_first),
		cmocka_unit_test(test_accounting_authenticator),
		cmocka_unit_test(test_tagged),
		cmocka_unit_test(test_rfc_reply),
		cmocka_unit_test(test_message_authenticator),
		cmocka_unit_test(test_bad_texts),
		cmocka_unit_test(test_header_lengths),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_attribute_lengths),
		cmocka_unit_test(test_vendor_lengths),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_empty_accept),
		cmocka_unit_test(test_dns),
		cmocka_unit_test(test_framed_ip),
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_long_messages),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_avpair),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_routes)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
