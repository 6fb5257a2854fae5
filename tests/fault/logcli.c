/* SPDX-License-Identifier: MPL-2.0
 *
 * logcli.c - a client of logsvc.sock for tests.
 *
 *	logcli SOCKET open|rotate|remove|reconfigure|usage|ping UUID
 *	logcli SOCKET read|attach UUID [-o] [-e] [-n TAIL] [-s SINCE] [-u UNTIL] [-t] [-d] [-f] [-r] [-S]
 *
 * read and attach copy the stream to stdout. -o -e: streams (both when neither is given); -r: replay,
 * -S: no live stream (attach). SINCE and UNTIL are seconds[.nanos].
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"
#include "fs.h"
#include "logsvc.pb-c.h"
#include "str.h"

static Logsvc__Request req = LOGSVC__REQUEST__INIT;

static int parse_stream(int argc, char **argv, bool attach, char *uuid)
{
	static Logsvc__Read rd = LOGSVC__READ__INIT;
	static Logsvc__Attach at = LOGSVC__ATTACH__INIT;
	int64_t since = 0, until = 0;
	bool out = false, errs = false;
	int c;

	rd.tail = -1;
	at.stream = true;
	while ((c = getopt(argc, argv, "n:s:u:eodfrtS")) != -1) {
		switch (c) {
		case 'o': out = true; break;
		case 'e': errs = true; break;
		case 'n': rd.tail = strtoll(optarg, NULL, 10); break;
		case 's': if (parse_unix_time_ns(optarg, &since) < 0) return -1; break;
		case 'u': if (parse_unix_time_ns(optarg, &until) < 0) return -1; break;
		case 't': rd.timestamps = true; break;
		case 'd': rd.details = true; break;
		case 'f': rd.follow = true; break;
		case 'r': at.replay = true; break;
		case 'S': at.stream = false; break;
		default: return -1;
		}
	}
	rd.uuid = at.uuid = uuid;
	rd.stdout = at.stdout = out || !errs;
	rd.stderr = at.stderr = errs || !out;
	rd.since_ns = since;
	rd.until_ns = until;
	req.op_case = attach ? LOGSVC__REQUEST__OP_ATTACH : LOGSVC__REQUEST__OP_READ;
	if (attach)
		req.attach = &at;
	else
		req.read = &rd;
	return 0;
}

static int parse(int argc, char **argv)
{
	static Logsvc__Open open_m = LOGSVC__OPEN__INIT;
	static Logsvc__Rotate rotate = LOGSVC__ROTATE__INIT;
	static Logsvc__Remove remove_m = LOGSVC__REMOVE__INIT;
	static Logsvc__Reconfigure reconfigure = LOGSVC__RECONFIGURE__INIT;
	static Logsvc__Usage usage = LOGSVC__USAGE__INIT;
	static Logsvc__Ping ping = LOGSVC__PING__INIT;
	char *uuid = argc > 3 ? argv[3] : (char[1]){ 0 };

	open_m.uuid = rotate.uuid = remove_m.uuid = reconfigure.uuid = usage.uuid = xstrdup(uuid);
	if (str_eq(argv[2], "open")) {
		req.op_case = LOGSVC__REQUEST__OP_OPEN;
		req.open = &open_m;
	} else if (str_eq(argv[2], "rotate")) {
		req.op_case = LOGSVC__REQUEST__OP_ROTATE;
		req.rotate = &rotate;
	} else if (str_eq(argv[2], "remove")) {
		req.op_case = LOGSVC__REQUEST__OP_REMOVE;
		req.remove = &remove_m;
	} else if (str_eq(argv[2], "reconfigure")) {
		req.op_case = LOGSVC__REQUEST__OP_RECONFIGURE;
		req.reconfigure = &reconfigure;
	} else if (str_eq(argv[2], "usage")) {
		req.op_case = LOGSVC__REQUEST__OP_USAGE;
		req.usage = &usage;
	} else if (str_eq(argv[2], "ping")) {
		req.op_case = LOGSVC__REQUEST__OP_PING;
		req.ping = &ping;
	} else if (str_eq(argv[2], "read") || str_eq(argv[2], "attach")) {
		return parse_stream(argc - 3, argv + 3, str_eq(argv[2], "attach"), open_m.uuid);
	} else {
		return -1;
	}
	return 0;
}

static int print_reply(const Logsvc__Reply *r)
{
	if (r->body_case == LOGSVC__REPLY__BODY_FAILURE) {
		fprintf(stderr, "logcli: %d: %s\n", r->failure->code, r->failure->text);
		return 1;
	}
	for (size_t i = 0; r->body_case == LOGSVC__REPLY__BODY_USAGE && i < r->usage->n_zones; i++) {
		const Logsvc__ZoneUsage *z = r->usage->zones[i];

		printf("%s driver=%s bytes=%lld files=%u oldest=%lld lines=%llu payload=%llu rotations=%llu errors=%llu\n",
		       z->uuid, z->driver, (long long)z->bytes, z->files, (long long)z->oldest_ns,
		       (unsigned long long)z->lines, (unsigned long long)z->lines_bytes,
		       (unsigned long long)z->rotations, (unsigned long long)z->errors);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	struct frame f = FRAME_INIT;
	static char buf[1 << 20];
	unsigned char out[512];
	Logsvc__Reply *r;
	int fd, p[2], rc;
	bool stream;
	ssize_t n;

	if (argc < 3 || parse(argc, argv) < 0)
		return 2;
	stream = req.op_case == LOGSVC__REQUEST__OP_READ || req.op_case == LOGSVC__REQUEST__OP_ATTACH;
	fd = frame_connect(argv[1], 5000, &err);
	if (fd < 0 || pipe2(p, O_CLOEXEC) < 0) {
		fprintf(stderr, "logcli: %s\n", err.msg);
		return 1;
	}
	req.seq = 1;
	n = (ssize_t)logsvc__request__pack(&req, out);
	frame_send(fd, out, (size_t)n, &p[1], stream ? 1 : 0, 5000);
	close(p[1]);
	do {
		frame_fini(&f);
		if (frame_recv(fd, &f, 30000) <= 0 ||
		    !(r = logsvc__reply__unpack(NULL, f.data.len, (uint8_t *)f.data.p)))
			return 1;
		rc = print_reply(r);
	} while (rc == 0 && r->body_case == LOGSVC__REPLY__BODY_USAGE && r->usage->more);
	while (rc == 0 && stream && (n = read(p[0], buf, sizeof(buf))) > 0) {
		if (fs_write_all(1, buf, (size_t)n) < 0)
			return 1;
	}
	return rc;
}
