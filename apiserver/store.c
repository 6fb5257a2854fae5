/* SPDX-License-Identifier: MPL-2.0
 *
 * store.c - the state database on SQLite.
 *
 * Design: one connection, one recursive mutex, prepared statements. A table per kind, (key,
 * owner_uuid, server_uuid, value): who owns a record and which node holds it is there from the
 * first day. The schema's number is PRAGMA user_version; a database of a newer schema, or a
 * damaged one, is refused in words that say what to do, never rewritten.
 *
 * Threads: any.
 *
 * Failure: WAL with synchronous=NORMAL. A change is in the kernel when the call returns, so that
 * kill -9 loses nothing; the WAL is only synced at checkpoints, so a power cut may lose the last
 * moments, whole changes at a time. What belongs together is one record.
 *
 * To extend: a new kind is a line in kind_names; another shape of a table needs SCHEMA_VERSION + 1
 * and a step in check_schema.
 */
#define LOG_MODULE "store"
#include "apiserver/store.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "apiserver/engine.h"
#include "cleanup.h"
#include "log.h"
#include "str.h"

#define SCHEMA_VERSION 1
#define APPLICATION_ID 0x73646364 /* "sdcd" */
#define BUSY_MS	       2000

static const char *const kind_names[STORE_KINDS] = {
	[STORE_CONTAINER] = "container", [STORE_IMAGE] = "image",     [STORE_TAG] = "tag",
	[STORE_VOLUME] = "volume",	 [STORE_NETWORK] = "network", [STORE_META] = "meta",
};

enum { ST_PUT, ST_DEL, ST_GET, ST_EACH, ST_COUNT };

static struct {
	pthread_mutex_t mutex;
	pthread_once_t once;
	sqlite3 *db;
	sqlite3_stmt *st[STORE_KINDS][ST_COUNT];
} store = { .once = PTHREAD_ONCE_INIT };

static void mutex_init(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&store.mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

static void store_lock(void)
{
	pthread_once(&store.once, mutex_init);
	pthread_mutex_lock(&store.mutex);
}

static void store_unlock(void)
{
	pthread_mutex_unlock(&store.mutex);
}

static int err_sqlite(struct err *err, const char *what)
{
	int rc = store.db ? sqlite3_extended_errcode(store.db) : SQLITE_ERROR;
	int code = EIO;

	if ((rc & 0xff) == SQLITE_FULL)
		code = ENOSPC;
	else if ((rc & 0xff) == SQLITE_BUSY)
		code = EBUSY;
	err_kind(err, ERR_SYSTEM, "state database: %s: %s", what,
		 store.db ? sqlite3_errmsg(store.db) : "not open");
	err->code = -code;
	return err->code;
}

static int exec_sql(const char *sql, struct err *err)
{
	if (sqlite3_exec(store.db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return err_sqlite(err, sql);
	return 0;
}

/* The one value of a query such as a pragma, as text of at most size - 1 bytes. */
static int query_text(const char *sql, char *out, size_t size, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = 0;

	if (sqlite3_prepare_v2(store.db, sql, -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW) {
		rc = err_sqlite(err, sql);
	} else {
		const char *text = (const char *)sqlite3_column_text(st, 0);

		str_copy(out, size, text ? text : "");
	}
	sqlite3_finalize(st);
	return rc;
}

static int create_schema(struct err *err)
{
	char sql[512];
	int rc;

	if ((rc = exec_sql("BEGIN IMMEDIATE", err)) < 0)
		return rc;
	for (int k = 0; k < STORE_KINDS && rc == 0; k++) {
		rc = str_fmt(sql, sizeof(sql),
			     "CREATE TABLE IF NOT EXISTS %s (key TEXT PRIMARY KEY NOT NULL,"
			     " owner_uuid TEXT NOT NULL, server_uuid TEXT NOT NULL, value TEXT NOT "
			     "NULL)",
			     kind_names[k]);
		rc = rc < 0 ? err_sysnum(err, rc, "state database: schema") : exec_sql(sql, err);
	}
	if (rc == 0) {
		rc = str_fmt(sql, sizeof(sql),
			     "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
			     APPLICATION_ID, SCHEMA_VERSION);
		rc = rc < 0 ? err_sysnum(err, rc, "state database: schema") : exec_sql(sql, err);
	}
	if (rc < 0)
		sqlite3_exec(store.db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

/* Damage is found here and not by some request later. */
static int check_schema(const char *path, struct err *err)
{
	struct err why = { 0 };
	char text[256];
	int64_t version;
	int64_t app;

	if (query_text("PRAGMA quick_check(1)", text, sizeof(text), &why) < 0 ||
	    strcmp(text, "ok") != 0)
		return err_kind(err, ERR_SYSTEM,
				"state database %s is damaged (%s): restore it from a copy, or "
				"move it and its -wal and "
				"-shm files away to start with an empty state",
				path, why.code ? why.msg : text);
	if (query_text("PRAGMA user_version", text, sizeof(text), err) < 0 ||
	    parse_i64(text, INT32_MIN, INT32_MAX, &version) < 0)
		return err_kind(err, ERR_SYSTEM, "state database %s: unreadable schema version",
				path);
	if (version == 0)
		return create_schema(err);
	if (query_text("PRAGMA application_id", text, sizeof(text), err) < 0 ||
	    parse_i64(text, INT32_MIN, INT32_MAX, &app) < 0 || app != APPLICATION_ID)
		return err_kind(err, ERR_SYSTEM, "%s is a database of another program", path);
	if (version > SCHEMA_VERSION)
		return err_kind(err, ERR_SYSTEM,
				"state database %s has schema %lld, this version knows up to %d: "
				"use the newer version that "
				"made it",
				path, (long long)version, SCHEMA_VERSION);
	return 0;
}

static int prepare(sqlite3_stmt **out, const char *sql, struct err *err)
{
	if (sqlite3_prepare_v3(store.db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) !=
	    SQLITE_OK)
		return err_sqlite(err, "prepare");
	return 0;
}

static int prepare_all(struct err *err)
{
	static const char *const sql[ST_COUNT] = {
		[ST_PUT] = "INSERT INTO %s (key, owner_uuid, server_uuid, value) VALUES (?1, ?2, "
			   "?3, ?4)"
			   " ON CONFLICT (key) DO UPDATE SET value = ?4",
		[ST_DEL] = "DELETE FROM %s WHERE key = ?1",
		[ST_GET] = "SELECT value FROM %s WHERE key = ?1",
		[ST_EACH] = "SELECT key, value FROM %s ORDER BY key",
	};
	char text[256];
	int rc;

	for (int k = 0; k < STORE_KINDS; k++) {
		for (int s = 0; s < ST_COUNT; s++) {
			if ((rc = str_fmt(text, sizeof(text), sql[s], kind_names[k])) < 0)
				return err_sysnum(err, rc, "state database: prepare");
			if ((rc = prepare(&store.st[k][s], text, err)) < 0)
				return rc;
		}
	}
	return 0;
}

/* Nobody else's to read: environments and log options hold secrets. SQLite gives its other files the mode of this one. */
static int own(const char *path, struct err *err)
{
	cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 || fchmod(fd, 0600) < 0 ? err_sys(err, "%s", path) : 0;
}

static int open_locked(const char *path, struct err *err)
{
	char mode[32];
	int rc;

	if ((rc = own(path, err)) < 0)
		return rc;
	if (sqlite3_open_v2(path, &store.db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK) {
		rc = err_sqlite(err, "open");
		return err_wrap(err, rc, "%s", path);
	}
	sqlite3_extended_result_codes(store.db, 1);
	sqlite3_busy_timeout(store.db, BUSY_MS);
	if ((rc = check_schema(path, err)) < 0)
		return rc;
	if ((rc = query_text("PRAGMA journal_mode=WAL", mode, sizeof(mode), err)) < 0)
		return rc;
	if (strcmp(mode, "wal") != 0)
		log_warn("state database has no write-ahead log", "mode=%s", mode);
	if ((rc = exec_sql("PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=2000; PRAGMA "
			   "temp_store=MEMORY",
			   err)) < 0)
		return rc;
	return prepare_all(err);
}

int store_open(const char *path, struct err *err)
{
	int rc;

	store_lock();
	assert(!store.db);
	rc = open_locked(path, err);
	store_unlock();
	if (rc < 0)
		store_close();
	return rc;
}

void store_close(void)
{
	store_lock();
	for (int k = 0; k < STORE_KINDS; k++)
		for (int s = 0; s < ST_COUNT; s++)
			sqlite3_finalize(store.st[k][s]);
	memset(store.st, 0, sizeof(store.st));
	if (store.db && sqlite3_close(store.db) != SQLITE_OK)
		log_err("state database did not close", "why=%s", log_q(sqlite3_errmsg(store.db)));
	store.db = NULL;
	store_unlock();
}

/* Runs a statement that gives no row; the caller holds the lock. */
static int step_done(sqlite3_stmt *st, const char *what, struct err *err)
{
	int rc = 0;

	if (!st)
		return err_sqlite(err, what);
	if (sqlite3_step(st) != SQLITE_DONE)
		rc = err_sqlite(err, what);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc;
}

int store_put(enum store_kind kind, const char *key, const char *json, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	store_lock();
	st = store.st[kind][ST_PUT];
	if (st) {
		sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 2, engine ? engine->owner_uuid : "", -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 3, engine ? engine->server_uuid : "", -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 4, json, -1, SQLITE_STATIC);
	}
	rc = step_done(st, "write", err);
	store_unlock();
	return rc;
}

int store_del(enum store_kind kind, const char *key, struct err *err)
{
	sqlite3_stmt *st;
	int rc;

	store_lock();
	st = store.st[kind][ST_DEL];
	if (st)
		sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	rc = step_done(st, "delete", err);
	store_unlock();
	return rc;
}

int store_get(enum store_kind kind, const char *key, char **out_json, struct err *err)
{
	sqlite3_stmt *st;
	char *text = NULL;
	int rc = 0;

	store_lock();
	if ((st = store.st[kind][ST_GET])) {
		sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
		switch (sqlite3_step(st)) {
		case SQLITE_ROW:
			text = xstrdup((const char *)sqlite3_column_text(st, 0));
			break;
		case SQLITE_DONE:
			break;
		default:
			rc = err_sqlite(err, "read");
		}
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
	} else {
		rc = err_sqlite(err, "read");
	}
	store_unlock();
	if (rc == 0)
		*out_json = text;
	return rc;
}

/* fn runs under the lock; it may use the store, but not store_each of the same kind. */
int store_each(enum store_kind kind,
	       int (*fn)(const char *key, const char *json, void *arg, struct err *err), void *arg,
	       struct err *err)
{
	sqlite3_stmt *st;
	int rc = 0;
	int step;

	store_lock();
	if (!(st = store.st[kind][ST_EACH])) {
		rc = err_sqlite(err, "read");
		store_unlock();
		return rc;
	}
	while (rc >= 0 && (step = sqlite3_step(st)) == SQLITE_ROW)
		rc = fn((const char *)sqlite3_column_text(st, 0),
			(const char *)sqlite3_column_text(st, 1), arg, err);
	if (rc >= 0)
		rc = step == SQLITE_DONE ? 0 : err_sqlite(err, "read");
	sqlite3_reset(st);
	store_unlock();
	return rc;
}
