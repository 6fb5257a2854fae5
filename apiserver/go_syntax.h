/* SPDX-License-Identifier: MPL-2.0
 *
 * go_syntax.h - what Go's encoding/json says about text that is no JSON. Pure, any thread.
 */
#ifndef APISERVER_GO_SYNTAX_H
#define APISERVER_GO_SYNTAX_H

#include <stddef.h>

enum go_syntax {
	GO_SYNTAX_OK, /* one value and white space */
	GO_SYNTAX_BAD, /* why has Go's words: "invalid character 'x' looking for beginning of value" */
	GO_SYNTAX_MORE, /* one value, then something else */
};

enum go_syntax go_syntax_check(const char *p, size_t len, char why[160]);

#endif
