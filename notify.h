/*
 * notify.h - what the service manager is told (sd_notify(3))
 */
#ifndef NOTIFY_H
#define NOTIFY_H

/*
 * Looks for a service manager in the environment, which children then do not
 * see.  Without one all of this does nothing.
 */
void notify_init(void);

/* The server takes tunnels; from now on the watchdog is fed from the loop. */
void notify_ready(void);

/* One line for `systemctl status`. */
void notify_status(const char *text);

void notify_reloading(void);
void notify_stopping(void);

#endif
