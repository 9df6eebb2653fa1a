/*
 * offload_test.c - the checksum, the cutter and the joiner against the model
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "cksum.h"
#include "gro.h"
#include "gso.h"
#include "offload_model.h"

static uint32_t
below(uint32_t n)
{
	return (uint32_t)rand() % n;
}

static void
fill(uint8_t *p, size_t n)
{
	while (n-- > 0)
		*p++ = (uint8_t)rand();
}

/* --- making packets ----------------------------------------------------- */

struct shape {
	bool ipv6, tcp;
	size_t ip_options, tcp_options;	/* octets */
	size_t payload;
	uint8_t flags;			/* TCP */
	uint16_t port, id;
	uint32_t seq;
};

static void
make(struct model_packet *p, const struct shape *s)
{
	size_t l4 = s->ipv6 ? 40 : 20 + s->ip_options;
	size_t hlen = l4 + (s->tcp ? 20 + s->tcp_options : 8);
	uint8_t *t = p->b + l4;

	memset(p->b, 0, hlen);
	memset(p->b + (s->ipv6 ? 8 : 20), 1, l4 - (s->ipv6 ? 8 : 20));
	p->b[0] = (uint8_t)(s->ipv6 ? 0x60 : 0x40 + l4 / 4);
	if (s->ipv6) {
		p->b[6] = s->tcp ? 6 : 17;
		p->b[7] = 64;
		memset(p->b + 8, 0x20, 32);
	} else {
		model_put(p->b + 4, s->id, 2);
		p->b[6] = 0x40;
		p->b[8] = 64;
		p->b[9] = s->tcp ? 6 : 17;
		model_put(p->b + 12, 0x0a000001, 4);
		model_put(p->b + 16, 0xc0000201, 4);
	}
	model_put(t, s->port, 2);
	model_put(t + 2, 443, 2);
	if (s->tcp) {
		model_put(t + 4, s->seq, 4);
		model_put(t + 8, 7777, 4);
		t[12] = (uint8_t)((20 + s->tcp_options) / 4 << 4);
		t[13] = s->flags;
		model_put(t + 14, 500, 2);
		memset(t + 20, 1, s->tcp_options);
	}
	fill(p->b + hlen, s->payload);
	p->len = hlen + s->payload;
	model_finish(p);
}

/* --- the checksum ------------------------------------------------------- */

static void
checksum_of_every_length_and_place(void **state)
{
	static uint8_t buf[4096];

	(void)state;
	fill(buf, sizeof(buf));
	for (size_t n = 0; n < 300; n++)
		for (size_t at = 0; at < 9; at++)
			assert_int_equal(cksum_sum(buf + at, n) % 0xffff,
			    model_sum(0, buf + at, n) % 0xffff);
	for (int i = 0; i < 2000; i++) {
		size_t at = below(2000), n = below(2000);

		assert_int_equal(cksum_sum(buf + at, n) % 0xffff,
		    model_sum(0, buf + at, n) % 0xffff);
	}
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(cksum_sum(buf, sizeof(buf)), 0xffff);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(cksum_sum(buf, sizeof(buf)), 0);
}

/* --- the cutter --------------------------------------------------------- */

static struct model_packet big, want;
static uint8_t got[65536];

static void
check_cut(const struct shape *s, uint16_t size)
{
	struct vnet v = { .flags = VNET_F_NEEDS_CSUM, .gso_size = size };
	const uint8_t *payload;
	struct gso g;
	size_t len, n;

	make(&big, s);
	v.gso_type = !s->tcp ? VNET_GSO_UDP_L4 :
	    s->ipv6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
	if (s->flags & 0x80)
		v.gso_type |= VNET_GSO_ECN;
	/* The kernel leaves only a partial checksum. */
	big.b[model_l4(big.b) + (s->tcp ? 16 : 6)] ^= 0x5a;
	assert_true(gso_begin(&g, big.b, big.len, &v));
	for (n = 0; gso_next(&g, got, &payload, &len); n++) {
		assert_true(model_cut(big.b, big.len, size, n, &want));
		memcpy(got + g.hlen, payload, len);
		assert_int_equal(g.hlen + len, want.len);
		assert_memory_equal(got, want.b, want.len);
	}
	assert_false(model_cut(big.b, big.len, size, n, &want));
}

static void
segments_are_what_the_model_cuts(void **state)
{
	(void)state;
	srand(3);
	for (int i = 0; i < 3000; i++) {
		struct shape s = {
			.ipv6 = below(2), .tcp = below(3) > 0,
			.ip_options = below(11) * 4,
			.tcp_options = below(11) * 4,
			.payload = 1 + below(below(2) ? 60000 : 4000),
			.flags = (uint8_t)(0x10 | below(256)),
			.port = (uint16_t)rand(), .id = (uint16_t)rand(),
			.seq = (uint32_t)rand() * 2654435761u,
		};

		check_cut(&s, (uint16_t)(1 + below(2000)));
	}
}

static void
nonsense_is_refused(void **state)
{
	struct shape s = { .tcp = true, .payload = 3000, .flags = 0x10 };
	struct vnet v = { .gso_type = VNET_GSO_TCPV4, .gso_size = 1000 };
	struct gso g;

	(void)state;
	make(&big, &s);
	assert_true(gso_begin(&g, big.b, big.len, &v));
	for (size_t len = 0; len <= 40; len++)
		assert_false(gso_begin(&g, big.b, len, &v));
	v.gso_size = 0;
	assert_false(gso_begin(&g, big.b, big.len, &v));
	v.gso_size = 1000;
	for (int type = 0; type < 256; type++) {
		v.gso_type = (uint8_t)type;
		assert_int_equal(gso_begin(&g, big.b, big.len, &v),
		    type == 1 || type == 0x81);
	}
	v.gso_type = VNET_GSO_TCPV4;
	big.b[32] = 0x40;	/* a TCP header of 16 octets */
	assert_false(gso_begin(&g, big.b, big.len, &v));
	big.b[32] = 0x50;
	big.b[0] = 0x44;
	assert_false(gso_begin(&g, big.b, big.len, &v));
}

static void
a_left_checksum_is_completed(void **state)
{
	(void)state;
	srand(4);
	for (int i = 0; i < 2000; i++) {
		struct shape s = {
			.ipv6 = below(2), .tcp = below(2),
			.payload = below(1460), .flags = 0x18,
			.port = (uint16_t)rand(),
		};
		struct vnet v = { .flags = VNET_F_NEEDS_CSUM,
		    .csum_offset = s.tcp ? 16 : 6 };
		size_t l4;

		make(&want, &s);
		l4 = model_l4(want.b);
		v.csum_start = (uint16_t)l4;
		memcpy(&big, &want, sizeof(big));
		model_put(big.b + l4 + v.csum_offset, cksum_pseudo(big.b +
		    (s.ipv6 ? 8 : 12), s.ipv6 ? 32 : 8, s.tcp ? 6 : 17,
		    (uint32_t)(big.len - l4)), 2);
		assert_true(gso_complete_checksum(big.b, big.len, &v));
		assert_memory_equal(big.b, want.b, want.len);
	}
	assert_false(gso_complete_checksum(big.b, 50,
	    &(struct vnet){ .csum_start = 50 }));
	assert_false(gso_complete_checksum(big.b, 50,
	    &(struct vnet){ .csum_start = 40, .csum_offset = 9 }));
	assert_true(gso_complete_checksum(big.b, 50,
	    &(struct vnet){ .csum_start = 40, .csum_offset = 8 }));
}

/* --- the joiner --------------------------------------------------------- */

#define BATCH	200

static struct gro gro;
static struct model_packet sent[BATCH], copy[BATCH], piece;

/* The packet that group i is written as; its device header in *v. */
static void
written(unsigned int i, struct vnet *v)
{
	static struct iovec iov[GRO_PACKETS + 1];
	uint8_t vnet[VNET_HDR];
	size_t n = gro_iov(&gro, i, vnet, iov);

	assert_int_equal(n, 1u + gro.group[i].count);
	vnet_decode(vnet, v);
	big.len = 0;
	for (size_t k = 1; k < n; k++) {
		memcpy(big.b + big.len, iov[k].iov_base, iov[k].iov_len);
		big.len += iov[k].iov_len;
	}
}

/* Finds piece among the first packets of its flow that have not come yet. */
static void
take_in_order(bool *taken, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (taken[i] || !model_same_flow(sent[i].b, piece.b))
			continue;
		if (memcmp(sent[i].b + model_l4(sent[i].b), piece.b +
		    model_l4(piece.b), 4) != 0)
			continue;
		assert_int_equal(sent[i].len, piece.len);
		assert_memory_equal(sent[i].b, piece.b, piece.len);
		taken[i] = true;
		return;
	}
	fail_msg("a packet that was never sent");
}

/* All that is written, cut by the model, is what was sent, in order. */
static size_t
check_batch(size_t n)
{
	bool taken[BATCH] = { false };
	struct vnet v;

	for (unsigned int i = 0; i < gro.ngroups; i++) {
		written(i, &v);
		if (v.gso_type == VNET_GSO_NONE) {
			assert_int_equal(v.flags, 0);
			memcpy(&piece, &big, sizeof(piece));
			take_in_order(taken, n);
			continue;
		}
		assert_int_equal(v.flags, VNET_F_NEEDS_CSUM);
		assert_int_equal(v.csum_start, model_l4(big.b));
		for (size_t k = 0; model_cut(big.b, big.len, v.gso_size, k,
		    &piece); k++)
			take_in_order(taken, n);
	}
	for (size_t i = 0; i < n; i++)
		assert_true(taken[i]);
	return gro.ngroups;
}

static size_t
join_all(size_t n)
{
	gro_reset(&gro);
	gro.tcp = gro.udp = true;
	for (size_t i = 0; i < n; i++) {
		memcpy(copy[i].b, sent[i].b, sent[i].len);
		gro_add(&gro, copy[i].b, sent[i].len);
	}
	return check_batch(n);
}

static void
a_run_becomes_one(void **state)
{
	struct shape s = { .tcp = true, .payload = 1400, .flags = 0x10,
	    .id = 65530, .seq = 0xffffff00, .tcp_options = 12 };

	(void)state;
	for (int tcp = 0; tcp < 2; tcp++)
		for (int ipv6 = 0; ipv6 < 2; ipv6++) {
			s.tcp = tcp;
			s.ipv6 = ipv6;
			for (int i = 0; i < 40; i++) {
				s.payload = i == 39 ? 10 : 1400;
				s.flags = i == 39 ? 0x18 : 0x10;
				make(&sent[i], &s);
				s.seq += (uint32_t)s.payload;
				s.id++;
			}
			assert_int_equal(join_all(40), 1);
		}
}

/* Each change to the second of three keeps it, or what follows, apart. */
static void
what_could_be_told_apart_stays_apart(void **state)
{
	static const struct {
		size_t at;
		uint8_t with;
		size_t groups;
	} changes[] = {
		{ 1, 0x02, 3 },		/* TOS */
		{ 5, 0x01, 3 },		/* id */
		{ 6, 0x40, 3 },		/* DF */
		{ 8, 0x01, 3 },		/* TTL */
		{ 12, 0x01, 3 },	/* source: another flow, and a gap */
		{ 20, 0x01, 3 },	/* port: another flow, and a gap */
		{ 27, 0x01, 3 },	/* sequence number */
		{ 31, 0x01, 3 },	/* acknowledgement */
		{ 33, 0x02, 3 },	/* SYN */
		{ 33, 0x04, 3 },	/* RST */
		{ 33, 0x20, 3 },	/* URG */
		{ 33, 0x40, 3 },	/* ECE */
		{ 33, 0x80, 3 },	/* CWR */
		{ 33, 0x10, 3 },	/* no ACK */
		{ 33, 0x08, 2 },	/* PSH: it ends the group */
		{ 33, 0x01, 2 },	/* FIN: it ends the group */
		{ 35, 0x01, 3 },	/* window */
		{ 39, 0x01, 3 },	/* urgent pointer */
		{ 41, 0x02, 3 },	/* an option */
	};
	struct shape s = { .tcp = true, .payload = 1000, .tcp_options = 12 };

	(void)state;
	for (size_t c = 0; c < sizeof(changes) / sizeof(changes[0]); c++) {
		for (int i = 0; i < 3; i++) {
			s.seq = (uint32_t)i * 1000;
			s.id = (uint16_t)(100 + i);
			s.flags = 0x10;
			make(&sent[i], &s);
		}
		sent[1].b[changes[c].at] ^= changes[c].with;
		model_finish(&sent[1]);
		assert_int_equal(join_all(3), changes[c].groups);
	}
}

static void
a_wrong_checksum_is_passed_on_as_it_is(void **state)
{
	struct shape s = { .tcp = true, .payload = 1000, .flags = 0x10 };

	(void)state;
	for (int bad = 0; bad < 3; bad++) {
		for (int i = 0; i < 3; i++) {
			s.seq = (uint32_t)i * 1000;
			s.id = (uint16_t)i;
			make(&sent[i], &s);
		}
		sent[bad].b[500] ^= 1;
		assert_int_equal(join_all(3), bad == 1 ? 3 : 2);
	}
}

static void
no_group_outgrows_a_packet(void **state)
{
	struct shape s = { .tcp = true, .payload = 1460, .flags = 0x10 };

	(void)state;
	for (int i = 0; i < 100; i++) {
		make(&sent[i], &s);
		s.seq += 1460;
		s.id++;
	}
	assert_int_equal(join_all(100), 3);	/* 44, 44, 12 */
}

/* The kernel joins no more datagrams, and programs rely on that. */
static void
no_more_than_64_datagrams_are_joined(void **state)
{
	struct shape s = { .payload = 10 };

	(void)state;
	for (int i = 0; i < 130; i++) {
		make(&sent[i], &s);
		s.id++;
	}
	assert_int_equal(join_all(130), 3);
}

/* What does not show its ports may belong to any flow. */
static void
nothing_overtakes_what_hides_its_ports(void **state)
{
	struct shape s = { .tcp = true, .payload = 1000, .flags = 0x10 };

	(void)state;
	for (int odd = 0; odd < 4; odd++) {
		s.seq = 0;
		s.id = 0;
		s.ipv6 = odd == 3;
		for (int i = 0; i < 3; i++) {
			s.ip_options = odd == 2 && i == 1 ? 4 : 0;
			make(&sent[i], &s);
			s.seq += i == 1 ? 0 : 1000;
			s.id = (uint16_t)(s.id + (i != 1));
		}
		if (odd == 0)
			sent[1].b[7] = 100;	/* a fragment */
		else if (odd == 1)
			sent[1].len = 27;	/* not even two ports */
		else if (odd == 3)
			sent[1].b[6] = 60;	/* destination options */
		if (odd < 2)
			model_finish(&sent[1]);
		assert_int_equal(join_all(3), 3);
	}
}

/* But only between the same two hosts. */
static void
a_fragment_of_others_is_no_barrier(void **state)
{
	struct shape s = { .tcp = true, .payload = 1000, .flags = 0x10 };

	(void)state;
	for (int i = 0; i < 9; i++) {
		make(&sent[i], &s);
		if (i % 2 == 1) {
			sent[i].b[7] = 100;
			model_put(sent[i].b + 12, 0x0a000002, 4);
			model_finish(&sent[i]);
			continue;
		}
		s.seq += 1000;
		s.id++;
	}
	assert_int_equal(join_all(9), 5);
}

/* CPU time of joining a full batch of one flow, the best of a few. */
static clock_t
time_of_a_batch(struct gro *g, size_t tail)
{
	static uint8_t packet[GRO_PACKETS][200];
	struct shape s = { .payload = 100 };
	clock_t best = 0, took;

	for (size_t i = 0; i < GRO_PACKETS; i++, s.id++) {
		s.payload = i % 2 == 0 ? 100 : tail;
		make(&big, &s);
		memcpy(packet[i], big.b, big.len);
	}
	for (int round = 0; round < 20; round++) {
		took = clock();
		for (int i = 0; i < 10; i++) {
			gro_reset(g);
			for (size_t n = 0; n < GRO_PACKETS; n++)
				gro_add(g, packet[n], n % 2 == 0 ? 128 :
				    28 + tail);
		}
		took = clock() - took;
		if (round == 0 || took < best)
			best = took;
	}
	return best;
}

/* Else a batch would cost the square of what one flow's short runs are. */
static void
runs_that_are_over_cost_the_next_nothing(void **state)
{
	static struct gro g = { .tcp = true, .udp = true };
	clock_t longest, pairs;

	(void)state;
	longest = time_of_a_batch(&g, 100);
	assert_int_equal(g.ngroups, GRO_PACKETS / 64);
	pairs = time_of_a_batch(&g, 50);
	assert_int_equal(g.ngroups, GRO_PACKETS / 2);
	assert_true(pairs < longest * 4);
}

/* Anything at all, from a few flows that go on, jump, and are broken. */
static void
random_batches_come_out_as_they_went_in(void **state)
{
	size_t joined = 0, total = 0;

	(void)state;
	srand(5);
	for (int round = 0; round < 400; round++) {
		struct shape s[6];
		size_t n = 1 + below(BATCH), i;

		for (i = 0; i < 6; i++)
			s[i] = (struct shape){ .ipv6 = below(2),
			    .tcp = below(4) > 0, .port = (uint16_t)(i * 7 + 1),
			    .tcp_options = below(4) * 4, .flags = 0x10,
			    .payload = 1 + below(1400),
			    .seq = (uint32_t)rand() * 3,
			    .id = (uint16_t)rand() };
		for (i = 0; i < n; i++) {
			struct shape *f = &s[below(6)], one = *f;

			switch (below(12)) {
			case 0: one.flags = (uint8_t)rand(); break;
			case 1: one.payload = below((uint32_t)f->payload + 1); break;
			case 2: one.payload += below(60); break;
			case 3: f->id++; break;
			case 4: f->seq += below(3); break;
			case 5: one.ip_options = below(3) * 4; break;
			}
			make(&sent[i], &one);
			f->seq += (uint32_t)one.payload;
			f->id++;
			if (below(40) == 0)
				sent[i].b[sent[i].len - 1] ^= 1;
			if (below(60) == 0 && !one.ipv6) {
				sent[i].b[7] = 3;	/* a fragment */
				model_finish(&sent[i]);
			}
		}
		joined += join_all(n);
		total += n;
	}
	/* It must have found something to do. */
	assert_true(joined * 10 < total * 9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum_of_every_length_and_place),
		cmocka_unit_test(segments_are_what_the_model_cuts),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_left_checksum_is_completed),
		cmocka_unit_test(a_run_becomes_one),
		cmocka_unit_test(what_could_be_told_apart_stays_apart),
		cmocka_unit_test(a_wrong_checksum_is_passed_on_as_it_is),
		cmocka_unit_test(no_group_outgrows_a_packet),
		cmocka_unit_test(no_more_than_64_datagrams_are_joined),
		cmocka_unit_test(nothing_overtakes_what_hides_its_ports),
		cmocka_unit_test(a_fragment_of_others_is_no_barrier),
		cmocka_unit_test(runs_that_are_over_cost_the_next_nothing),
		cmocka_unit_test(random_batches_come_out_as_they_went_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
