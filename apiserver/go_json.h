/* SPDX-License-Identifier: MPL-2.0
 *
 * go_json.h - request bodies as Go's encoding/json takes them: typed by tables, with its error
 * texts, which clients of Docker know. Pure, any thread.
 */
#ifndef APISERVER_GO_JSON_H
#define APISERVER_GO_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"

enum go_type {
	GO_STR,
	GO_BOOL,
	GO_INT, /* the numbers: range by their type, zero value 0 */
	GO_INT64,
	GO_UINT16,
	GO_UINT32,
	GO_UINT64,
	GO_PTR_INT, /* pointers: zero value null */
	GO_PTR_INT64,
	GO_PTR_BOOL,
	GO_STRS,       /* []string: null */
	GO_STRSLICE,   /* the same, and one string is taken as an array of one; of type string in errors */
	GO_STR_MAP,    /* map[string]string: null */
	GO_SET,	       /* map[string]struct{}: null */
	GO_STRUCT,     /* sub; zero value: all fields zero */
	GO_PTR_STRUCT, /* sub; null */
	GO_LIST,       /* []sub: null */
	GO_PTR_LIST,   /* []*sub: null */
	GO_MAP_LIST,   /* map[string][]sub: null */
	GO_MAP_PTR,    /* map[string]*sub: null */
	GO_STRS_LIST,  /* [][]string: null */
	GO_UINT_PAIR,  /* [2]uint: [0,0] */
};

struct go_struct;
struct go_field {
	const char *name;
	enum go_type type;
	bool omit_empty;       /* left out where it has its zero value */
	const char *type_name; /* as Go prints it; NULL: the plain type's name */
	const struct go_struct *sub;
	const char *embedded; /* the struct inside this one that it is a member of, as the paths in errors have it */
};

struct go_struct {
	const char *name;	       /* HostConfig */
	const char *type_name;	       /* container.HostConfig */
	const struct go_field *fields; /* ends with name NULL */
};

/* Parses a body: one JSON value. Syntax errors in Go's words, with "invalid JSON: " before; 400. */
int go_json_parse(const char *body, size_t len, json_t **out, struct err *err);
/* Typed copy of in: every field of s that is not omit_empty is there, in s's order; names match
 * without regard to case; unknown members are ignored, as Go does. Owned. in NULL gives the zero
 * value. */
int go_json_decode(const struct go_struct *s, const json_t *in, json_t **out, struct err *err);
/* The object with its keys in byte order, as Go writes maps. Takes map. */
json_t *go_json_sorted(json_t *map);

#endif
