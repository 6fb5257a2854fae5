/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LIB_VERSION_H
#define LIB_VERSION_H

#define SDC_VERSION	"0.1.0"
#define SDC_API_VERSION "1.51"
#define SDC_API_MIN	"1.24"

#endif
