/* SPDX-License-Identifier: MPL-2.0
 *
 * xz_read.c - see xz_read.h. Several streams one after another are one, as xz has it.
 */
#include "apiserver/xz_read.h"

#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "str.h"

#define IN_SIZE (16 * 1024) /* a bomb makes 100 MB of it, then fn can tell that nobody wants them */

struct xz_read {
	layer_read_fn *fn;
	void *arg;
	lzma_stream lzma;
	enum { HEAD, PLAIN, XZ, ENDED, FAILED } state;
	int rc; /* FAILED: what is returned */
	bool too_much;
	char why[96];
	size_t head_len, head_pos;
	bool eof; /* of fn */
	uint8_t in[IN_SIZE]; /* its first bytes are the head, as long as there is one */
};

bool xz_is(const void *head, size_t len)
{
	return len >= XZ_MAGIC_LEN && !memcmp(head, "\xfd" "7zXZ\0", XZ_MAGIC_LEN);
}

struct xz_read *xz_read_new(layer_read_fn *fn, void *arg)
{
	struct xz_read *x = xcalloc(1, sizeof(*x));

	x->fn = fn;
	x->arg = arg;
	x->lzma = (lzma_stream)LZMA_STREAM_INIT;
	return x;
}

void xz_read_free(struct xz_read *x)
{
	if (!x)
		return;
	lzma_end(&x->lzma);
	free(x);
}

const char *xz_read_why(const struct xz_read *x)
{
	return x->why[0] ? x->why : NULL;
}

bool xz_read_is_xz(const struct xz_read *x)
{
	return x->lzma.internal != NULL;
}

bool xz_read_asks_too_much(const struct xz_read *x)
{
	return x->too_much;
}

static int failed(struct xz_read *x, int rc)
{
	x->state = FAILED;
	return x->rc = rc;
}

static int bad_stream(struct xz_read *x, lzma_ret ret)
{
	switch (ret) {
	case LZMA_MEMLIMIT_ERROR:
		x->too_much = true;
		snprintf(x->why, sizeof(x->why), "xz: its dictionary needs %llu MiB of memory, %llu are allowed",
			 (unsigned long long)(lzma_memusage(&x->lzma) + (1 << 20) - 1) >> 20, XZ_MEMORY_MAX >> 20);
		break;
	case LZMA_BUF_ERROR:
		str_copy(x->why, sizeof(x->why), "unexpected EOF");
		break;
	case LZMA_MEM_ERROR:
		return failed(x, -ENOMEM);
	case LZMA_OPTIONS_ERROR:
		str_copy(x->why, sizeof(x->why), "xz: a filter that is not known");
		break;
	default:
		str_copy(x->why, sizeof(x->why), "xz: the data is damaged");
	}
	return failed(x, -EBADMSG);
}

/* Reads what the stream begins with. */
static int read_head(struct xz_read *x)
{
	lzma_ret ret;
	ssize_t n;

	while (x->head_len < XZ_MAGIC_LEN && !x->eof) {
		n = x->fn(x->arg, x->in + x->head_len, XZ_MAGIC_LEN - x->head_len);
		if (n < 0)
			return failed(x, (int)n);
		x->eof = n == 0;
		x->head_len += (size_t)n;
	}
	if (!xz_is(x->in, x->head_len)) {
		x->state = PLAIN;
		return 0;
	}
	ret = lzma_stream_decoder(&x->lzma, XZ_MEMORY_MAX, LZMA_CONCATENATED);
	if (ret != LZMA_OK)
		return bad_stream(x, ret);
	x->lzma.next_in = x->in;
	x->lzma.avail_in = x->head_len;
	x->state = XZ;
	return 0;
}

static ssize_t pass_on(struct xz_read *x, void *p, size_t len)
{
	size_t left = x->head_len - x->head_pos;

	if (!left)
		return x->eof ? 0 : x->fn(x->arg, p, len);
	len = left < len ? left : len;
	memcpy(p, x->in + x->head_pos, len);
	x->head_pos += len;
	return (ssize_t)len;
}

static ssize_t inflate_some(struct xz_read *x, void *p, size_t len)
{
	lzma_ret ret;
	ssize_t n;

	x->lzma.next_out = p;
	x->lzma.avail_out = len;
	while (x->lzma.avail_out == len) {
		if (!x->lzma.avail_in && !x->eof) {
			n = x->fn(x->arg, x->in, sizeof(x->in));
			if (n < 0)
				return failed(x, (int)n);
			x->eof = n == 0;
			x->lzma.next_in = x->in;
			x->lzma.avail_in = (size_t)n;
		}
		ret = lzma_code(&x->lzma, x->eof ? LZMA_FINISH : LZMA_RUN);
		if (ret == LZMA_STREAM_END) {
			x->state = ENDED;
			break;
		}
		/* in LZMA_RUN a turn without progress only wants more */
		if (ret != LZMA_OK && (ret != LZMA_BUF_ERROR || x->eof))
			return bad_stream(x, ret);
	}
	return (ssize_t)(len - x->lzma.avail_out);
}

ssize_t xz_read(void *arg, void *p, size_t len)
{
	struct xz_read *x = arg;
	int rc;

	if (x->state == HEAD && (rc = read_head(x)) < 0)
		return rc;
	switch (x->state) {
	case PLAIN:
		return pass_on(x, p, len);
	case XZ:
		return inflate_some(x, p, len);
	case FAILED:
		return x->rc;
	default:
		return 0;
	}
}
