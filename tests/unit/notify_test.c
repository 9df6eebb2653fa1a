/*
 * notify_test.c - what a service manager hears
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"
#include "timer.h"

static char name[64];
static int manager = -1;

/* The manager's end: abstract (@) or a file. */
static void
listen_at(bool abstract)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(name, sizeof(name), "%s/notify_test.%d", abstract ? "@" :
	    "/tmp", (int)getpid());
	memcpy(sun.sun_path, name, strlen(name));
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	else
		unlink(name);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_true(manager >= 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&sun,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(name))), 0);
	setenv("NOTIFY_SOCKET", name, 1);
}

static const char *
heard(void)
{
	static char text[512];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static int
setup(void **state)
{
	(void)state;
	timers_init();
	timer_fake(0);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (manager >= 0)
		close(manager);
	manager = -1;
	if (name[0] == '/')
		unlink(name);
	return 0;
}

/* Nobody to talk to; this must be first, the socket stays. */
static void
test_no_manager(void **state)
{
	(void)state;
	setenv("NOTIFY_SOCKET", "not/a/path", 1);
	notify_init();
	notify_ready();
	notify_status("x");
	notify_stopping();
	assert_null(getenv("NOTIFY_SOCKET"));
}

static void
test_messages(void **state)
{
	char want[64];

	(void)state;
	listen_at(false);
	notify_init();
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_string_equal(heard(), "");
	notify_ready();
	snprintf(want, sizeof(want), "READY=1\nMAINPID=%d", (int)getpid());
	assert_string_equal(heard(), want);
	notify_status("3 sessions on 1 tunnels");
	assert_string_equal(heard(), "STATUS=3 sessions on 1 tunnels");
	notify_reloading();
	assert_int_equal(strncmp(heard(), "RELOADING=1\nMONOTONIC_USEC=", 27),
	    0);
	notify_stopping();
	assert_string_equal(heard(), "STOPPING=1");
	/* No watchdog was asked for. */
	timer_fake(60000);
	assert_string_equal(heard(), "");
}

static void
test_watchdog(void **state)
{
	char pid[16];

	(void)state;
	listen_at(true);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	notify_init();
	assert_null(getenv("WATCHDOG_USEC"));
	timer_fake(60000);
	assert_string_equal(heard(), "");	/* not before it is ready */
	notify_ready();
	assert_int_equal(strncmp(heard(), "READY=1", 7), 0);
	timer_fake(10);
	for (int i = 0; i < 5; i++) {
		assert_string_equal(heard(), "WATCHDOG=1");
		assert_string_equal(heard(), "");
		timer_fake(15000);
	}
	/* Nobody reads any more: nothing waits for that. */
	timer_fake(3600 * 1000);
	while (heard()[0] != '\0')
		continue;
}

static void
test_watchdog_of_another(void **state)
{
	(void)state;
	listen_at(false);
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_init();
	notify_ready();
	assert_int_equal(strncmp(heard(), "READY=1", 7), 0);
	timer_fake(60000);
	assert_string_equal(heard(), "");
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "nonsense", 1);
	notify_init();
	notify_ready();
	assert_int_equal(strncmp(heard(), "READY=1", 7), 0);
	timer_fake(60000);
	assert_string_equal(heard(), "");
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_manager),
		TEST(test_messages),
		TEST(test_watchdog),
		TEST(test_watchdog_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
