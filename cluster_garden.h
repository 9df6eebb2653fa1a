/*
 * cluster_garden.h - gardened subscribers' packets come to the master
 */
#ifndef CLUSTER_GARDEN_H
#define CLUSTER_GARDEN_H

/*
 * While this server is a cluster's master: routers are told by BGP that the
 * addresses of sessions in the walled garden are here, whoever else announces
 * their pool.
 */
void cluster_garden_begin(void);

/* They are not here any more. */
void cluster_garden_end(void);

#endif
