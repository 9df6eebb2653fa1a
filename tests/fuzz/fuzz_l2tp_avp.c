/*
 * fuzz_l2tp_avp.c - L2TP headers and AVPs from hostile hands
 *
 * The input is a datagram; when it has no good control header, it is also
 * taken for bare AVPs, so that mutations are not lost on the header.  It is
 * decoded without a secret and with one.  Besides not crashing: every run of
 * bytes that comes out lies inside the input or the scratch, an AVP that is
 * known without the secret is known with it, and what we hide ourselves comes
 * out again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l2tp_avp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CHECK(cond)	do { if (!(cond)) abort(); } while (0)

static const uint8_t *input, *scratch;
static size_t input_len, scratch_len;
static volatile uint8_t sink;

static bool
within(const struct blob *b, const uint8_t *p, size_t len)
{
	return b->p >= p && b->p <= p + len &&
	    b->len <= (size_t)(p + len - b->p);
}

static void
check_blob(const struct l2tp_msg *m, uint16_t type, const struct blob *b)
{
	size_t i;

	if (!L2TP_HAVE(m, type)) {
		CHECK(b->p == NULL && b->len == 0);
		return;
	}
	CHECK(within(b, input, input_len) ||
	    within(b, scratch, scratch_len));
	for (i = 0; i < b->len; i++)
		sink ^= b->p[i];
}

static void
check_msg(const struct l2tp_msg *m, bool decoded)
{
	int missing = l2tp_msg_missing(m);

	CHECK(decoded || m->bad_result != 0);
	CHECK((m->bad_result == 0) == (m->bad_text == NULL));
	CHECK(m->bad_result == 0 || m->bad_result == STOPCCN_ERROR);
	CHECK(m->bad_error == 0 || m->bad_error == L2TP_E_LENGTH ||
	    m->bad_error == L2TP_E_VALUE ||
	    m->bad_error == L2TP_E_UNKNOWN_AVP);
	CHECK((m->bad_error == 0) == (m->bad_result == 0));
	CHECK(missing == -1 || !L2TP_HAVE(m, missing));
	CHECK(!decoded || (m->type != 0) == (m->have & 1));
	CHECK(!L2TP_HAVE(m, AVP_RECEIVE_WINDOW) || m->receive_window != 0);
	CHECK(m->proxy_auth_id <= 255);
	check_blob(m, AVP_HOST_NAME, &m->host_name);
	check_blob(m, AVP_VENDOR_NAME, &m->vendor_name);
	check_blob(m, AVP_CHALLENGE, &m->challenge);
	check_blob(m, AVP_CHALLENGE_RESPONSE, &m->challenge_response);
	check_blob(m, AVP_Q931_CAUSE, &m->q931);
	check_blob(m, AVP_CALLED_NUMBER, &m->called);
	check_blob(m, AVP_CALLING_NUMBER, &m->calling);
	check_blob(m, AVP_SUB_ADDRESS, &m->sub_address);
	check_blob(m, AVP_LCP_INITIAL, &m->lcp_initial);
	check_blob(m, AVP_LCP_LAST_SENT, &m->lcp_last_sent);
	check_blob(m, AVP_LCP_LAST_RECV, &m->lcp_last_recv);
	check_blob(m, AVP_PROXY_AUTH_NAME, &m->proxy_name);
	check_blob(m, AVP_PROXY_AUTH_CHALLENGE, &m->proxy_challenge);
	check_blob(m, AVP_PROXY_AUTH_RESPONSE, &m->proxy_response);
	check_blob(m, AVP_CALL_ERRORS, &m->call_errors);
	check_blob(m, AVP_ACCM, &m->accm);
	check_blob(m, AVP_PRIVATE_GROUP, &m->private_group);
	check_blob(m, AVP_DISCONNECT_CAUSE, &m->disconnect_cause);
	if (m->result_text.p != NULL)
		check_blob(m, AVP_RESULT_CODE, &m->result_text);
}

/* The input's first octets become a value, a secret's pad and a vector. */
static void
hide_and_seek(const uint8_t *data, size_t len)
{
	uint8_t buf[2 * 1100 + 64], plain[2 * 1100 + 64];
	struct wr w = wr_init(buf, sizeof(buf));
	size_t n, pad, rvlen;
	struct l2tp_header h;
	struct l2tp_msg m;

	if (len < 2)
		return;
	pad = data[0] % 40;
	rvlen = data[1] % 33 + 1;
	if (len < 2 + rvlen)
		return;
	n = len - 2 - rvlen;
	l2tp_msg_begin(&w, 1, 2, L2TP_ICRQ);
	l2tp_avp_bytes(&w, true, AVP_RANDOM_VECTOR, data + 2, rvlen);
	l2tp_avp_hidden(&w, true, AVP_CALLING_NUMBER, data + 2 + rvlen, n,
	    "secret", data + 2, rvlen, pad);
	len = l2tp_msg_end(&w);
	CHECK((len != 0) == (2 + n + pad <= 1017));
	if (len == 0)
		return;
	CHECK(l2tp_header_decode(buf, len, &h) == L2TP_OK);
	CHECK(l2tp_msg_decode(h.body, "secret", plain, sizeof(plain), &m));
	CHECK(m.bad_result == 0 && m.calling.len == n);
	CHECK(memcmp(m.calling.p, data + 2 + rvlen, n) == 0);
}

static void
decode_body(struct rd body)
{
	struct l2tp_msg open, keyed;
	size_t n = rd_left(&body);
	uint8_t *room = malloc(n > 0 ? n : 1);
	bool decoded;

	CHECK(room != NULL);
	scratch = room;
	scratch_len = 0;
	decoded = l2tp_msg_decode(body, "", room, 0, &open);
	check_msg(&open, decoded);
	scratch_len = n;
	CHECK(l2tp_msg_decode(body, "secret", room, n, &keyed) == decoded);
	check_msg(&keyed, decoded);
	CHECK((open.have & ~keyed.have) == 0);
	CHECK(open.type == keyed.type);
	free(room);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct l2tp_header h;
	enum l2tp_bad bad;

	if (len == 0)
		data = (const uint8_t *)"";
	input = data;
	input_len = len;
	bad = l2tp_header_decode(data, len, &h);
	if (bad == L2TP_OK) {
		CHECK(!h.body.bad && h.body.p >= data &&
		    h.body.end <= data + len);
		if (h.control)
			decode_body(h.body);
	}
	if (bad != L2TP_OK || !h.control)
		decode_body(rd_init(data, len));
	hide_and_seek(data, len);
	return 0;
}
