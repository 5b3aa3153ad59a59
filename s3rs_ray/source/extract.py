"""Chunk -> pyarrow.Table, exact. connectorx lives here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from queue import SimpleQueue
from urllib.parse import quote, urlencode

import connectorx
import pyarrow as pa

from ..config import Settings
from ..errors import IntegrityError, SourceError, SourceStalled, SourceTimeout
from ..model import Chunk, Column, Table, TableName
from ..policies import Adjusted
from .catalog import Endpoint, half_pair
from .chunks import NULL_DATES_ALIASES, ROWS_ALIAS, UNMAPPED_ALIAS, looks_rows_up, select_sql, snapshot_sql
from .queries import end_in_background
from .types import arrow_schema
from .values import apply_policies, before_year_one, holds_mark, require_unicode

log = logging.getLogger(__name__)

LOOKUP_BUFFER_BYTES = 8 * 2**20
"""Row ids sorted at a time: at some 20 bytes each, those of a whole chunk."""
PATIENCE_SECONDS = 5
"""Beyond the server's own time limit, and for connecting."""
DATE_PANIC = "Couldn't convert the value `Date("
"""What ConnectorX 0.4.6 says of a date no calendar has."""
TEXT_PANIC = "Couldn't convert the value `Bytes("
"""What it says of a text that is not UTF-8: MariaDB stores halves of surrogate pairs, and sends them as they are."""
TIME_LIMITS = ("ERROR 1969 ", "ERROR 3024 ")
"""ER_STATEMENT_TIMEOUT of MariaDB, ER_QUERY_TIMEOUT of MySQL, as ConnectorX writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """A chunk in memory: its rows under the table's contract, and what the policies changed of them."""

    data: pa.Table
    adjusted: Adjusted
    held: int | None = None


def read_chunk(
    table: Table, chunk: Chunk, settings: Settings, endpoint: Endpoint, *, server: str, counted: bool = False
) -> Extract:
    """Reads the rows of one chunk with one query.

    Args:
        counted: count the rows in the snapshot they are read from; costs a pass over the chunk's index.
        server: the server's version text; MariaDB and MySQL name the statement time limit differently.

    Raises:
        SourceTimeout, SourceStalled: it took longer than BACKUP_TIMEOUT_SECONDS.
        SourceError: the query failed or was killed, or ConnectorX panicked on a value.
        IntegrityError: a value does not fit the contract.
    """
    url = source_url(settings, endpoint)
    session = [session_sql(settings, server, lookups=looks_rows_up(table, chunk.range.columns))]
    if counted:
        session += snapshot_sql(table, chunk)

    def read(query: str) -> pa.Table:
        try:
            return _read_in_time(url, query, session, settings.backup_timeout_seconds + PATIENCE_SECONDS)
        except SourceStalled:
            end_in_background(settings, endpoint, chunk.run_id, f"chunk={chunk.ordinal}")
            raise

    raw, guarded = _read_rows(table, chunk, read, counted=counted)
    own = len(table.columns)
    data = conform(raw.select(list(range(own))), table.columns)
    extra = dict(zip(raw.column_names[own:], raw.columns[own:], strict=True))
    if UNMAPPED_ALIAS in extra:
        require_unicode(data, table, extra[UNMAPPED_ALIAS])
    source_nulls = {p: extra.get(a) for p, a in NULL_DATES_ALIASES.items()}
    held = extra[ROWS_ALIAS][0].as_py() if counted and raw.num_rows else None
    data, adjusted = apply_policies(data, table, source_nulls if guarded else None)
    return Extract(data=data, adjusted=adjusted, held=held)


_impossible_dates: set[tuple[TableName, str]] = set()
"""The tables, with their contracts' fingerprints, in which this process met a date no calendar has."""
_doubtful_texts: set[tuple[TableName, str]] = set()
"""Those in which it met a question mark that may stand for a character Unicode does not have."""


def _read_rows(table: Table, chunk: Chunk, read: Callable[[str], pa.Table], *, counted: bool) -> tuple[pa.Table, bool]:
    """The rows, and whether they were read with the guard against dates no calendar has.

    Almost no table holds one, and the guard doubles what a date costs: it is left out until one is met. Without it
    ConnectorX panics on all of them but those of the year 0 (measured for every kind), which are looked for here.
    Likewise the marks of texts Unicode does not have, which cost as much as some columns: a question mark is met first.
    """
    known = (table.name, table.fingerprint)
    while True:
        guarded, marked = known in _impossible_dates, known in _doubtful_texts
        try:
            raw = read(select_sql(table, chunk, guarded=guarded, marked=marked, counted=counted))
        except SourceError as exc:
            if guarded or DATE_PANIC not in exc.message:
                raise
            met = True
        else:
            met = not guarded and any(
                before_year_one(raw.column(i)) for i, c in enumerate(table.columns) if c.zero_dates
            )
        if met:
            log.info("%s holds a date that no calendar has: chunk %d is read again", table.name, chunk.ordinal)
            _impossible_dates.add(known)
        elif not marked and any(holds_mark(raw.column(i)) for i, c in enumerate(table.columns) if c.unmapped):
            log.info("%s holds question marks: chunk %d is read again to tell which", table.name, chunk.ordinal)
            _doubtful_texts.add(known)
        else:
            return raw, guarded


def source_url(settings: Settings, endpoint: Endpoint) -> str:
    """The ConnectorX URL. Holds the password: never log it.

    ``prefer_socket=false`` is mandatory: otherwise the driver asks a server on 127.0.0.1 for its socket path and
    reconnects there, behind a tunnel to the wrong server.
    """
    user = quote(settings.db_user, safe="")
    password = quote(settings.db_password.get_secret_value(), safe="")
    options = {
        "prefer_socket": "false",
        "tcp_keepalive_time_ms": "30000",
        "tcp_keepalive_probe_interval_secs": "10",
        "tcp_keepalive_probe_count": "3",
    }
    if settings.db_ssl_mode != "disabled":
        options["ssl-mode"] = settings.db_ssl_mode.upper()
        if settings.db_ssl_ca:
            options["ssl-ca"] = settings.db_ssl_ca
    database = quote(settings.db_database or "information_schema", safe="")
    return f"mysql://{user}:{password}@{endpoint.host}:{endpoint.port}/{database}?{urlencode(options)}"


def session_sql(settings: Settings, server: str, *, lookups: bool) -> str:
    """What is set on the connection before the query: what values look like, and a time limit on the server's side.

    One statement: each is a round trip, which a far server makes dear.

    The server's defaults may be anything: another character set for results (``init_connect``), a time zone, or a
    mode that pads CHAR values.

    Args:
        server: the server's version text.
        lookups: rows are found through a secondary index. They are then looked up in the order of the primary key, a
            buffer of row ids at a time (MySQL manual, "Multi-Range Read Optimization"), instead of one random page
            after another. The optimizer would leave it off: its cost model expects no gain from a warm cache.
    """
    seconds, mariadb = settings.backup_timeout_seconds, "mariadb" in server.lower()
    names = ("client", "connection", "results")  # what SET NAMES sets (MySQL manual, "SET NAMES Statement")
    variables = [f"character_set_{name}=utf8mb4" for name in names] + ["sql_mode=''", "time_zone='+00:00'"]
    variables.append(f"max_statement_time={seconds}" if mariadb else f"max_execution_time={seconds * 1000}")
    if lookups:
        buffer = "mrr_buffer_size" if mariadb else "read_rnd_buffer_size"
        variables += ["optimizer_switch='mrr=on,mrr_cost_based=off'", f"{buffer}={LOOKUP_BUFFER_BYTES}"]
    return "SET SESSION " + ", ".join(variables)


def _read_in_time(url: str, query: str, session: list[str], seconds: float) -> pa.Table:
    """One read, given up when it takes longer than the server's own limit should have let it.

    A server that is frozen, or a middlebox that forgot the connection, answers nothing and acknowledges everything;
    ConnectorX then waits for ever, and no signal interrupts it. Its thread is left behind, and ends with the
    connection or the process.

    Raises:
        SourceStalled: it was given up.
    """
    try:
        thread = _idle.pop()
    except IndexError:
        thread = _ReadingThread()
    read = thread.start(lambda: _read(url, query, session))
    wait([read], timeout=seconds)
    if not read.done():
        thread.abandoned = True
        raise SourceStalled(
            f"MySQL has not answered a read for {seconds:.0f} s",
            hint="the chunk is tried again; BACKUP_TIMEOUT_SECONDS is how long a read may take",
        )
    _idle.append(thread)
    return read.result()


class _ReadingThread:
    """A thread that reads, one query after another.

    It is kept: glibc gives each new thread another heap, up to eight for a core, and each stays nearly as large as its
    largest read (mallopt(3), M_ARENA_MAX). Measured over two chunks of 600,000 rows: 600 MB and growing with a new
    thread for each read, 510 MB and no further with one that is kept.
    """

    def __init__(self) -> None:
        self.abandoned = False
        self._waiting: SimpleQueue[tuple[Callable[[], pa.Table], Future[pa.Table]]] = SimpleQueue()
        threading.Thread(target=self._run, name="read", daemon=True).start()

    def start(self, read: Callable[[], pa.Table]) -> Future[pa.Table]:
        future: Future[pa.Table] = Future()
        self._waiting.put((read, future))
        return future

    def _run(self) -> None:
        while not self.abandoned:
            read, future = self._waiting.get()
            try:
                future.set_result(read())
            except BaseException as exc:  # noqa: BLE001  raised again by whoever waits
                future.set_exception(exc)
            del read, future  # the rows belong to whoever waited


_idle: list[_ReadingThread] = []
"""The threads of this process that read nothing; as many as ever read at the same time."""


def _read(url: str, query: str, session: list[str]) -> pa.Table:
    try:
        return connectorx.read_sql(url, query, return_type="arrow", protocol="binary", pre_execution_query=session)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as exc:  # noqa: BLE001  a panic in ConnectorX is a BaseException of its own
        reason = str(exc).replace(url, "mysql://…").strip() or type(exc).__name__
        if TEXT_PANIC in reason:
            raise half_pair() from None
        if any(code in reason for code in TIME_LIMITS):
            raise SourceTimeout(
                f"MySQL ended a read at its time limit: {reason}",
                hint="the chunk is tried again in smaller pieces; BACKUP_TIMEOUT_SECONDS is how long a read may take",
            ) from None
        raise SourceError(
            f"reading from MySQL failed: {reason}",
            hint="the chunk is tried again; if it fails each time, look at the server's error log",
        ) from None  # the driver's exception may hold the URL, and with it the password


def conform(raw: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """Casts what the driver returned to the contract, refusing any cast that would lose something.

    Raises:
        IntegrityError: naming the column.
    """
    schema = arrow_schema(columns)
    arrays = []
    for column, field in zip(columns, schema, strict=True):
        values = raw.column(column.name)
        try:
            arrays.append(_cast(values, field.type))
        except pa.ArrowInvalid as exc:
            raise IntegrityError(
                f"column {column.name} ({column.source_type}) holds a value that does not fit"
                f" {column.redshift_type}: {exc}",
                hint="if the column was changed at the source meanwhile, run the command again; else exclude it, or"
                " change its type at the source",
                context={"column": column.name},
            ) from exc
    return pa.Table.from_arrays(arrays, schema=schema)


def _cast(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    if values.type == target:
        return values
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        values = values.cast(pa.timestamp(values.type.unit))  # the session is in UTC: the naive value is UTC
    if pa.types.is_floating(values.type) or (
        _is_text(values.type) and not (_is_text(target) or pa.types.is_decimal(target))
    ):
        raise pa.ArrowInvalid(f"{values.type} does not become {target} without a loss")
    return values.cast(target, safe=True)


def _is_text(kind: pa.DataType) -> bool:
    return any(
        of(kind) for of in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    )
