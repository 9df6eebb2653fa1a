# What each unit test links: NAME_OBJS, and NAME_LIBS besides cmocka.
wire_test_OBJS =
timer_test_OBJS = timer.o
loop_test_OBJS = loop.o timer.o
log_test_OBJS = log.o timer.o
digest_test_OBJS = digest.o
digest_test_LIBS = -lnettle
lpm_test_OBJS = lpm.o
