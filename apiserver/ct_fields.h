/* SPDX-License-Identifier: MPL-2.0
 *
 * ct_fields.h - the fields of the API's container types, as tables for go_json.h.
 */
#ifndef APISERVER_CT_FIELDS_H
#define APISERVER_CT_FIELDS_H

#include "apiserver/go_json.h"

extern const struct go_struct
	ct_fields_create; /* CreateRequest: Config's fields, HostConfig, NetworkingConfig */
extern const struct go_struct ct_fields_config;	  /* Config alone; also an image's */
extern const struct go_struct ct_fields_update;	  /* UpdateConfig */
extern const struct go_struct ct_fields_endpoint; /* EndpointSettings */

#endif
