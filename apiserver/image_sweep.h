/* SPDX-License-Identifier: MPL-2.0
 *
 * image_sweep.h - images that were removed by force under a container go with their last container. Loop thread.
 */
#ifndef APISERVER_IMAGE_SWEEP_H
#define APISERVER_IMAGE_SWEEP_H

/* A container has gone, or a call that may have left images hidden is over: has a job look for those that nothing needs.
 * Cheap when there are none. */
void image_sweep(void);

#endif
