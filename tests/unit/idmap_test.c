/*
 * idmap_test.c - the map of one tunnel's session ids, against a plain array
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "idmap.h"

static uint32_t model[65536];

static void
check_against_model(const struct idmap *m)
{
	uint32_t used = 0;

	for (uint32_t id = 1; id < 65536; id++) {
		assert_int_equal(idmap_find(m, (uint16_t)id), model[id]);
		used += model[id] != 0;
	}
	assert_int_equal(m->used, used);
}

static void
empty_map_finds_nothing(void **state)
{
	struct idmap m = { 0 };

	(void)state;
	assert_int_equal(idmap_find(&m, 0), 0);
	assert_int_equal(idmap_find(&m, 7), 0);
	idmap_del(&m, 7);
	idmap_free(&m);
}

static void
random_use_agrees_with_an_array(void **state)
{
	struct idmap m = { 0 };

	(void)state;
	srand(1);
	memset(model, 0, sizeof(model));
	for (int round = 0; round < 200000; round++) {
		uint16_t id = (uint16_t)rand();

		/* Grows in the first half, shrinks in the second. */
		if (rand() % 100 < (round < 100000 ? 70 : 30)) {
			if (id == 0 || model[id] != 0) {
				id = idmap_new(&m, (uint32_t)round + 1);
				assert_int_not_equal(id, 0);
			} else
				assert_true(idmap_add(&m, id,
				    (uint32_t)round + 1));
			assert_int_equal(model[id], 0);
			assert_int_equal(idmap_find(&m, id), round + 1);
			model[id] = (uint32_t)round + 1;
		} else {
			idmap_del(&m, id);
			model[id] = 0;
		}
		if (round % 20000 == 0)
			check_against_model(&m);
	}
	check_against_model(&m);
	for (uint32_t id = 1; id < 65536; id++)
		idmap_del(&m, (uint16_t)id);
	assert_int_equal(m.used, 0);
	assert_int_equal(m.size, 0);
	assert_null(m.ids);
}

static void
full_at_65535_and_well_again(void **state)
{
	struct idmap m = { 0 };

	(void)state;
	memset(model, 0, sizeof(model));
	for (uint32_t i = 1; i <= 65535; i++) {
		uint16_t id = idmap_new(&m, i);

		assert_int_not_equal(id, 0);
		assert_int_equal(model[id], 0);
		model[id] = i;
	}
	assert_int_equal(idmap_new(&m, 70000), 0);
	idmap_del(&m, 4711);
	assert_int_equal(idmap_new(&m, 70000), 4711);
	model[4711] = 70000;
	check_against_model(&m);
	idmap_free(&m);
}

/* RFC 2661 9.1: not to be guessed from the ones before. */
static void
ids_are_not_in_sequence(void **state)
{
	struct idmap m = { 0 };
	int up = 0, near = 0, before = idmap_new(&m, 1);

	(void)state;
	for (uint32_t i = 2; i <= 1000; i++) {
		int id = idmap_new(&m, i);

		up += id > before;
		near += abs(id - before) < 8;
		before = id;
	}
	assert_in_range(up, 400, 600);
	assert_in_range(near, 0, 10);
	idmap_free(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_map_finds_nothing),
		cmocka_unit_test(random_use_agrees_with_an_array),
		cmocka_unit_test(full_at_65535_and_well_again),
		cmocka_unit_test(ids_are_not_in_sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
