/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_ports.h - port texts of the API. Pure, any thread.
 */
#ifndef APISERVER_CT_PORTS_H
#define APISERVER_CT_PORTS_H

#include <stdint.h>

/* "8000" or "8000-8010"; -EINVAL. */
int port_range_parse(const char *text, uint16_t *first, uint16_t *last);
/* "80", "80/udp", "7000-7002/tcp"; 0 is no port; -EINVAL. */
int port_spec_parse(const char *text, uint16_t *first, uint16_t *last, char proto[5]);

#endif
