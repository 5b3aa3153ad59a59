"""A COPY from beginning to end: manifest, load, the count the session remembers, the load history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from s3rs_ray.local.redshift.actions import Load
from s3rs_ray.local.redshift.backend import Backend
from s3rs_ray.local.redshift.faults import Faults
from s3rs_ray.local.redshift.load import LoadCount, Target, find_target, load_files
from s3rs_ray.local.redshift.loaderror import LoadError
from s3rs_ray.local.redshift.manifest import ManifestEntry, parse_manifest
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.objects import Objects, S3Access
from s3rs_ray.local.redshift.sqlerror import SqlError
from s3rs_ray.local.redshift.tokens import quote_literal

__all__ = ["Copying"]


@dataclass(slots=True)
class Copying:
    """Runs the loads of one session.

    Args:
        s3: where the files are.
        faults: what is to go wrong on purpose.
        open_admin: opens a session of its own for the load history, which outlives a rollback.
    """

    s3: S3Access
    faults: Faults
    open_admin: Callable[[], Backend]
    _failed: int | None = field(default=None)

    def run(self, backend: Backend, load: Load, *, autocommit: bool) -> None:
        """Runs the COPY in the open transaction of ``backend``.

        Args:
            autocommit: the transaction is of this statement alone.

        Raises:
            SqlError: what the client is told; the load history has the details.
        """
        with self._admin() as admin:
            target = find_target(backend, load)
            history = History.begin(admin, backend, load)
            count = LoadCount()
            try:
                self.faults.strike("copy", sql=load.table.plain, pid=backend.pid)
                count = self._load(backend, load, target, history)
                self.faults.strike("copy_end", sql=load.table.plain, pid=backend.pid)
            except LoadError as error:
                history.fail(target, error)
                # AWS documentation, PG_LAST_COPY_ID: updated when the load begins, not by an error of access before
                # it, and not when the transaction is rolled back.
                if autocommit and error.began:
                    self._failed = history.query_id
                raise error.tell(history.query_id, backend.pid) from error
            except SqlError as error:
                history.fail(target, LoadError(error.message, 1000, error.detail, ""))
                raise
            history.succeed(count)
            _remember(backend, history.query_id, count.rows)

    def _load(self, backend: Backend, load: Load, target: Target, history: History) -> LoadCount:
        objects = self.s3.open(load.credentials)
        entries = self._entries(objects, load)
        history.plan(entries)
        return load_files(backend, load, target, objects, entries)

    def _entries(self, objects: Objects, load: Load) -> list[ManifestEntry]:
        if load.manifest:
            return parse_manifest(objects.read_manifest(load.bucket, load.key))
        return objects.list_prefix(load.bucket, load.key)

    def remember(self, backend: Backend) -> None:
        """Tells the session of a COPY that failed, once its transaction is gone: the rollback takes settings back."""
        if self._failed is not None:
            _remember(backend, self._failed, 0)
            self._failed = None

    @contextmanager
    def _admin(self) -> Iterator[Backend]:
        admin = self.open_admin()
        try:
            yield admin
        finally:
            admin.close()


def _remember(backend: Backend, query_id: int, rows: int) -> None:
    """What pg_last_copy_id() and pg_last_copy_count() answer from now on."""
    backend.query(
        f"SELECT set_config('redshift.last_copy_id', '{query_id}', false), "
        f"set_config('redshift.last_copy_count', '{rows}', false)"
    )


@dataclass(slots=True)
class History:
    """One row of SYS_LOAD_HISTORY and, when it fails, one of SYS_LOAD_ERROR_DETAIL."""

    admin: Backend
    backend: Backend
    query_id: int

    @classmethod
    def begin(cls, admin: Backend, backend: Backend, load: Load) -> History:
        """Notes that the load runs."""
        user = backend.query("SELECT (SELECT oid FROM pg_roles WHERE rolname = session_user)")[0][0]
        rows = admin.query(
            f"INSERT INTO {INTERNAL_SCHEMA}.load_history (user_id, query_id, session_id, database_name, status, "
            "table_name, start_time, data_source, file_format, loaded_rows, loaded_bytes, error_count) "
            f"VALUES ({user}, nextval('{INTERNAL_SCHEMA}.query_ids'), {backend.pid}, current_database(), 'running', "
            f"{quote_literal(load.table.name)}, {_NOW}, "
            f"{quote_literal(f's3://{load.bucket}/{load.key}')}, 'parquet', 0, 0, 0) RETURNING query_id"
        )
        return cls(admin, backend, int(str(rows[0][0])))

    def plan(self, entries: list[ManifestEntry]) -> None:
        """Notes how many files are to be loaded."""
        total = sum(entry.content_length for entry in entries)
        self._update(f"source_file_count = {len(entries)}, source_file_bytes = {total}")

    def succeed(self, count: LoadCount) -> None:
        """Notes what was loaded."""
        self._update(
            f"status = 'completed', loaded_rows = {count.rows}, loaded_bytes = {count.bytes}, "
            f"file_count_scanned = {count.files}, file_bytes_scanned = {count.bytes}, " + _ENDED
        )

    def fail(self, target: Target, error: LoadError) -> None:
        """Notes the error, with its place in the data."""
        self._update("status = 'aborted', error_count = 1, " + _ENDED)
        message = (error.context or error.message)[:512]
        spot = error.spot
        self.admin.query(
            f"INSERT INTO {INTERNAL_SCHEMA}.load_errors SELECT user_id, query_id, transaction_id, session_id, "
            f"database_name, {target.table_id}, start_time, {quote_literal(spot.file)}, 0, "
            f"{quote_literal(spot.column)}, {quote_literal(spot.type)}, {quote_literal(spot.length)}, 0, "
            f"{error.code}, {quote_literal(message)} FROM {INTERNAL_SCHEMA}.load_history "
            f"WHERE query_id = {self.query_id}"
        )

    def _update(self, changes: str) -> None:
        self.admin.query(f"UPDATE {INTERNAL_SCHEMA}.load_history SET {changes} WHERE query_id = {self.query_id}")


# AWS documentation, SYS_LOAD_HISTORY: times are in UTC, durations in microseconds.
_NOW = "clock_timestamp() AT TIME ZONE 'UTC'"
_ENDED = f"end_time = {_NOW}, duration = (extract(epoch from {_NOW} - start_time) * 1000000)::bigint"
