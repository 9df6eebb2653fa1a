/*
 * ppp_opt_test.c - packets and options of PPP, byte by byte
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ppp_opt.h"
#include "ppp_proto.h"

static void
test_packet(void **state)
{
	static const uint8_t buf[] = { 1, 7, 0, 6, 'a', 'b', 'p', 'a', 'd' };
	struct ppp_packet pkt;

	(void)state;
	assert_true(ppp_packet_decode(&pkt, buf, sizeof(buf)));
	assert_int_equal(pkt.code, 1);
	assert_int_equal(pkt.id, 7);
	assert_int_equal(pkt.len, 2);	/* the padding is none of it */
	assert_memory_equal(pkt.data, "ab", 2);
	/* Every way to be too short, up to the first whole one. */
	for (size_t n = 0; n < 6; n++)
		assert_false(ppp_packet_decode(&pkt, buf, n));
	assert_true(ppp_packet_decode(&pkt, buf, 6));
}

static void
test_packet_length(void **state)
{
	uint8_t buf[8] = { 9, 1, 0, 0 };
	struct ppp_packet pkt;

	(void)state;
	for (uint8_t n = 0; n < 20; n++) {
		buf[3] = n;
		assert_int_equal(ppp_packet_decode(&pkt, buf, sizeof(buf)),
		    n >= 4 && n <= 8);
	}
	buf[2] = 0xff;
	assert_false(ppp_packet_decode(&pkt, buf, sizeof(buf)));
}

static void
test_options(void **state)
{
	static const uint8_t buf[] = { 1, 4, 5, 0xdc, 7, 2, 5, 6, 1, 2, 3, 4 };
	struct rd r = rd_init(buf, sizeof(buf));
	struct ppp_opt opt;

	(void)state;
	assert_true(ppp_opt_next(&r, &opt));
	assert_int_equal(opt.type, LCP_MRU);
	assert_int_equal(opt.len, 2);
	assert_memory_equal(opt.value, "\x05\xdc", 2);
	assert_true(ppp_opt_next(&r, &opt));
	assert_int_equal(opt.type, LCP_PFC);
	assert_int_equal(opt.len, 0);
	assert_true(ppp_opt_next(&r, &opt));
	assert_int_equal(opt.type, LCP_MAGIC);
	assert_memory_equal(opt.value, "\1\2\3\4", 4);
	assert_false(ppp_opt_next(&r, &opt));
	assert_true(rd_done(&r));
	/* Cut anywhere but between options, the list is no list. */
	for (size_t n = 0; n <= sizeof(buf); n++)
		assert_int_equal(ppp_opts_valid(buf, n),
		    n == 0 || n == 4 || n == 6 || n == 12);
}

/* A length of 0 or 1 would stand still for ever. */
static void
test_option_length(void **state)
{
	uint8_t buf[6] = { 3, 0, 1, 2, 3, 4 };

	(void)state;
	for (unsigned int n = 0; n < 256; n++) {
		buf[1] = (uint8_t)n;
		/* 3 makes { 3 3 1 } { 2 3 4 }; else the next one is torn. */
		assert_int_equal(ppp_opts_valid(buf, sizeof(buf)),
		    n == 3 || n == 6);
	}
}

static void
test_option_put(void **state)
{
	uint8_t buf[300];
	struct wr w = wr_init(buf, 6);

	(void)state;
	assert_true(ppp_opt_put(&w, 5, "abc", 3));
	assert_false(ppp_opt_put(&w, 7, NULL, 0));
	assert_int_equal(wr_len(&w), 5);	/* nothing torn, nothing lost */
	assert_memory_equal(buf, "\5\5abc", 5);
	w = wr_init(buf, sizeof(buf));
	assert_false(ppp_opt_put(&w, 1, buf, 254));
	assert_true(ppp_opt_put(&w, 1, buf + 2, 253));
	assert_int_equal(buf[1], 255);
}

static void
test_code_reject(void **state)
{
	struct ppp_packet pkt = { 77, 3, (const uint8_t *)"hello", 5 };
	uint8_t buf[64];
	size_t len;

	(void)state;
	len = code_reject_encode(buf, sizeof(buf), 9, &pkt);
	assert_int_equal(len, 13);
	assert_memory_equal(buf, "\7\x09\0\x0d\x4d\3\0\x09hello", len);
	/* Cut to fit; the copy still says how long the rejected one was. */
	len = code_reject_encode(buf, 10, 9, &pkt);
	assert_int_equal(len, 10);
	assert_memory_equal(buf, "\7\x09\0\x0a\x4d\3\0\x09he", len);
	assert_int_equal(code_reject_encode(buf, 7, 9, &pkt), 0);
}

static void
test_protocol_reject(void **state)
{
	struct ppp_packet pkt;
	uint16_t protocol;
	uint8_t buf[64];
	size_t len;

	(void)state;
	len = protocol_reject_encode(buf, sizeof(buf), 2, PPP_CCP, "xyz", 3);
	assert_memory_equal(buf, "\x08\2\0\x09\x80\xfdxyz", 9);
	assert_int_equal(len, 9);
	assert_true(ppp_packet_decode(&pkt, buf, len));
	assert_true(protocol_reject_decode(&pkt, &protocol));
	assert_int_equal(protocol, PPP_CCP);
	assert_int_equal(protocol_reject_encode(buf, 7, 2, 1, "xyz", 3), 7);
	assert_int_equal(buf[3], 7);
	pkt.len = 1;
	assert_false(protocol_reject_decode(&pkt, &protocol));
}

static void
test_echo(void **state)
{
	static const uint8_t buf[] = { 9, 5, 0, 11, 1, 2, 3, 4, 'a', 'b', 'c' };
	struct ppp_packet pkt;
	struct lcp_echo echo;
	uint8_t out[16];

	(void)state;
	assert_true(ppp_packet_decode(&pkt, buf, sizeof(buf)));
	assert_true(lcp_echo_decode(&pkt, &echo));
	assert_int_equal(echo.magic, 0x01020304);
	assert_int_equal(echo.len, 3);
	assert_int_equal(lcp_echo_encode(out, sizeof(out), 9, 5, &echo), 11);
	assert_memory_equal(out, buf, 11);
	assert_int_equal(lcp_echo_encode(out, 9, 10, 5, &echo), 9);
	assert_memory_equal(out, "\x0a\5\0\x09\1\2\3\4a", 9);
	assert_int_equal(lcp_echo_encode(out, 7, 10, 5, &echo), 0);
	for (pkt.len = 0; pkt.len < 4; pkt.len++)
		assert_false(lcp_echo_decode(&pkt, &echo));
}

/* Lengths that run over the end. */
static void
test_pap(void **state)
{
	uint8_t data[] = { 3, 'b', 'o', 'b', 2, 'p', 'w' };
	struct ppp_packet pkt = { PAP_REQUEST, 1, data, sizeof(data) };
	struct pap_request req;
	uint8_t out[300];
	char text[400];
	size_t len;

	(void)state;
	assert_true(pap_request_decode(&pkt, &req));
	assert_int_equal(req.user_len, 3);
	assert_memory_equal(req.user, "bob", 3);
	assert_int_equal(req.password_len, 2);
	assert_memory_equal(req.password, "pw", 2);
	for (pkt.len = 0; pkt.len < sizeof(data); pkt.len++)
		assert_false(pap_request_decode(&pkt, &req));
	data[4] = 255;
	assert_false(pap_request_decode(&pkt, &req));
	data[0] = 255;
	assert_false(pap_request_decode(&pkt, &req));
	memset(data, 0, 2);
	assert_true(pap_request_decode(&pkt, &req));
	assert_int_equal(req.user_len + req.password_len, 0);

	assert_int_equal(pap_reply_encode(out, sizeof(out), 2, 9, "hi"), 7);
	assert_memory_equal(out, "\2\x09\0\7\2hi", 7);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	len = pap_reply_encode(out, sizeof(out), 3, 1, text);
	assert_int_equal(len, 5 + 255);
	assert_int_equal(out[4], 255);
	assert_int_equal(pap_reply_encode(out, 64, 3, 1, text), 64);
	assert_int_equal(out[4], 59);
	assert_int_equal(pap_reply_encode(out, 4, 3, 1, text), 0);
}

static void
test_chap(void **state)
{
	uint8_t data[] = { 4, 1, 2, 3, 4, 'b', 'o', 'b' }, out[64];
	struct ppp_packet pkt = { CHAP_RESPONSE, 1, data, sizeof(data) };
	struct chap_response resp;

	(void)state;
	assert_true(chap_response_decode(&pkt, 4, &resp));
	assert_memory_equal(resp.value, data + 1, 4);
	assert_int_equal(resp.name_len, 3);
	assert_memory_equal(resp.name, "bob", 3);
	assert_false(chap_response_decode(&pkt, 5, &resp));
	assert_false(chap_response_decode(&pkt, 3, &resp));
	for (pkt.len = 0; pkt.len < 5; pkt.len++)
		assert_false(chap_response_decode(&pkt, 4, &resp));
	assert_true(chap_response_decode(&pkt, 4, &resp));
	assert_int_equal(resp.name_len, 0);

	assert_int_equal(chap_challenge_encode(out, sizeof(out), 5, data, 2,
	    "me"), 9);
	assert_memory_equal(out, "\1\5\0\x09\2\4\1me", 9);
	assert_int_equal(chap_challenge_encode(out, 8, 5, data, 2, "me"), 0);
	assert_int_equal(chap_reply_encode(out, sizeof(out), 3, 5, "ok"), 6);
	assert_memory_equal(out, "\3\5\0\6ok", 6);
	assert_int_equal(chap_reply_encode(out, 5, 3, 5, "ok"), 5);
	assert_memory_equal(out, "\3\5\0\5o", 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet),
		cmocka_unit_test(test_packet_length),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_option_length),
		cmocka_unit_test(test_option_put),
		cmocka_unit_test(test_code_reject),
		cmocka_unit_test(test_protocol_reject),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_pap),
		cmocka_unit_test(test_chap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
