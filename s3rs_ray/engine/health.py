"""Is everything there that a sync needs? Each dependency asked and timed, and what would go wrong said beforehand."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from queue import SimpleQueue

from ..config import DB_NAMES, Settings
from ..errors import PreconditionFailed, S3rsError, SourceError, StorageError, TableNotFound
from ..ledger.state import Page, TableState
from ..ledger.store import Ledger, is_over, utc_now
from ..model import Table, TableName, matching
from ..policies import Mode
from ..source.catalog import Catalog, Endpoint, open_catalog
from ..source.horizon import missing_privileges
from ..source.types import quote_name
from ..storage.s3 import ObjectStore
from ..tunnel import open_source_tunnel
from ..warehouse import mode_sql
from ..warehouse.loader import lost_hint
from ..warehouse.redshift import Warehouse
from ..warehouse.rights import missing_rights, missing_table_rights
from ..wording import counted, size_text
from .loading import open_session, target_identity
from .side_by_side import side_by_side
from .tasks import open_ledger, open_store

PROBE_PREFIX = "watermark/probe-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to look at.

    Attributes:
        about: a table, or a dependency.
        serious: a sync would fail by it.
    """

    about: str
    message: str
    hint: str = ""
    serious: bool = False

    @property
    def said(self) -> str:
        """The message, behind what it is about unless it names that itself."""
        return self.message if self.message.startswith(self.about) else f"{self.about}: {self.message}"


@dataclass(slots=True, kw_only=True)
class Check:
    """One dependency: whether it answers, how long that took, what it said, and what was found there."""

    name: str
    up: bool = True
    seconds: float = 0.0
    detail: str = ""
    hint: str = ""
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Everything ``status`` shows."""

    checks: tuple[Check, ...]
    states: tuple[TableState, ...]
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """Whether everything answers and nothing would make a sync fail."""
        return all(c.up for c in self.checks) and not any(f.serious for f in self.findings)


def examine(settings: Settings, patterns: Sequence[str], clock: Callable[[], dt.datetime] = utc_now) -> Health:
    """Asks all three dependencies, whatever the others answer.

    Args:
        patterns: the tables to look at; empty for those that have a state.
    """
    states: list[TableState] = []
    findings: list[Finding] = []
    s3 = _timed("s3", lambda check: _ask_store(settings, check))
    if s3.up:
        ledger = open_ledger(settings)
        kept = list(ledger.tables())
        wanted = {n for text in patterns for n in matching(kept, settings.table_name(text))} if patterns else set(kept)
        for found in side_by_side(_loading(ledger), [name for name in kept if name in wanted]):
            states += [found] if isinstance(found, TableState) else []
            findings += [found] if isinstance(found, Finding) else []
    modes = {s.table: s.mode for s in states}
    mysql = _timed("mysql", lambda check: _ask_source(settings, patterns, modes, check))
    redshift = _timed("redshift", lambda check: _ask_warehouse(settings, states, check))
    checks = (mysql, s3, redshift)
    for check in checks:
        findings += check.findings
    now = clock()
    return Health(
        checks=checks,
        states=tuple(states),
        findings=(*findings, *(f for state in states for f in state_findings(state, now))),
    )


def _loading(ledger: Ledger) -> Callable[[TableName], TableState | Finding]:
    """Loads a table's state; one that cannot be read is a finding and does not hide the others."""

    def load(name: TableName) -> TableState | Finding:
        try:
            return ledger.load(name)
        except S3rsError as exc:
            return Finding(about=str(name), message=exc.message, hint=exc.hint, serious=True)

    return load


def _timed(name: str, ask: Callable[[Check], str]) -> Check:
    check, started = Check(name=name), time.perf_counter()
    try:
        check.detail = ask(check)
    except S3rsError as exc:
        check.up, check.detail, check.hint = False, exc.message, exc.hint
    check.seconds = round(time.perf_counter() - started, 4)
    return check


def _ask_source(
    settings: Settings, patterns: Sequence[str], known: Mapping[TableName, Mode | None], check: Check
) -> str:
    """The server's version.

    Args:
        known: the tables that have a state, and by which mode they were carried.
    """
    settings.require(*DB_NAMES)
    with open_source_tunnel(settings) as (host, port), open_catalog(settings, Endpoint(host, port)) as catalog:
        version = catalog.server_version()
        for privilege in missing_privileges(catalog):
            check.findings.append(
                Finding(
                    about="mysql",
                    message=f"{settings.db_user} lacks {privilege}: {UNSEEN[privilege]}",
                    hint=f"GRANT {privilege} ON *.* TO {settings.db_user}",
                )
            )
        names = _named(catalog, patterns, check) if patterns else tuple(known)
        with _some_catalogs(settings, Endpoint(host, port), catalog, len(names)) as catalogs:
            for findings in side_by_side(_looking(catalogs, known, asked=bool(patterns)), names):
                check.findings += findings
        return version


def _named(catalog: Catalog, patterns: Sequence[str], check: Check) -> tuple[TableName, ...]:
    """The tables asked for; a pattern that names none is told of, and says nothing about the server."""
    found: dict[TableName, None] = {}
    for pattern in patterns:
        try:
            found.update(dict.fromkeys(catalog.table_names((pattern,))))
        except TableNotFound as exc:
            check.findings.append(Finding(about="mysql", message=exc.message, hint=exc.hint, serious=True))
    return tuple(found)


UNSEEN = {
    "PROCESS": "open transactions cannot be seen, so BACKUP_SETTLE_SECONDS alone guards against late commits",
    "REPLICATION CLIENT": "whether this is a replica, and how far behind, cannot be seen",
}


LOOKERS = 4
"""Connections over which tables are looked at: a far source takes a round trip for each question."""


@contextmanager
def _some_catalogs(
    settings: Settings, endpoint: Endpoint, first: Catalog, tables: int
) -> Iterator[SimpleQueue[Catalog]]:
    """Connections to be taken and put back: the first one, and more beside it if the source grants them."""
    free = SimpleQueue[Catalog]()
    free.put(first)
    with ExitStack() as opened:
        with suppress(SourceError):  # the user may have no more connections, and one will do
            for _ in range(1, min(LOOKERS, tables)):
                free.put(opened.enter_context(open_catalog(settings, endpoint)))
        yield free


def _looking(
    catalogs: SimpleQueue[Catalog], modes: Mapping[TableName, Mode | None], *, asked: bool
) -> Callable[[TableName], list[Finding]]:
    """Looks at a table over a connection that nobody else uses meanwhile."""

    def look(name: TableName) -> list[Finding]:
        catalog = catalogs.get()
        try:
            return list(_look_at_table(catalog, name, modes.get(name), asked=asked))
        finally:
            catalogs.put(catalog)

    return look


def _look_at_table(catalog: Catalog, name: TableName, mode: Mode | None, *, asked: bool) -> Iterator[Finding]:
    """Whether a table can be read and carried, and by which index. One that merely has a state may be given up."""
    try:
        table = catalog.discover(name, mode)
        catalog.require_readable(name)
    except S3rsError as exc:
        yield Finding(about=str(name), message=exc.message, hint=exc.hint, serious=asked)
        return
    if table.cursor and not table.cursor_index:
        yield Finding(about=str(name), message=_without_index(table), hint=_index_sql(table))


def _without_index(table: Table) -> str:
    order = ", ".join(table.order_columns)
    return f"no index serves ({order}): every run reads the whole table in the order of its key to find what changed"


def _index_sql(table: Table) -> str:
    columns = ", ".join(quote_name(c) for c in table.order_columns)
    name = f"{quote_name(table.name.schema)}.{quote_name(table.name.name)}"
    return f"CREATE INDEX s3rs_order ON {name} ({columns})"


def _ask_store(settings: Settings, check: Check) -> str:
    store = open_store(settings)
    store.check()
    check.findings += conditional_findings(store)
    return f"s3://{store.bucket}"


def conditional_findings(store: ObjectStore) -> list[Finding]:
    """Whether writes are conditional, which everything rests on: tried with an object that is deleted again.

    Source: Amazon S3 User Guide, "Conditional requests". Some S3-compatible servers take the headers and ignore them.
    """
    key = f"{PROBE_PREFIX}{secrets.token_hex(8)}"
    try:
        version = store.put_new(key, b"1")
        refused = _refused(lambda: store.put_new(key, b"2"))
        refused &= _refused(lambda: store.put_if(key, b"2", '"0123456789abcdef0123456789abcdef"'))
        if refused:
            store.put_if(key, b"3", version)
    except StorageError as exc:
        return [
            Finding(
                about="s3",
                message=f"a conditional write failed: {exc.message}",
                hint=exc.hint or "the credentials need s3:GetObject, s3:PutObject and s3:DeleteObject",
                serious=True,
            )
        ]
    finally:
        _delete_probe(store, key)
    if not refused:
        return [
            Finding(
                about="s3",
                message="this S3 overwrites objects whatever a conditional write asks for: two runs could both win",
                hint="use Amazon S3, or a server that keeps If-None-Match and If-Match",
                serious=True,
            )
        ]
    return []


def _refused(write: Callable[[], str]) -> bool:
    try:
        write()
    except PreconditionFailed:
        return True
    return False


def _delete_probe(store: ObjectStore, key: str) -> None:
    try:
        store.delete([key])
    except StorageError:
        return  # what was written is told; a probe that stays is a byte


def _ask_warehouse(settings: Settings, states: Sequence[TableState], check: Check) -> str:
    settings.require(*settings.redshift_names)
    with open_session(settings) as warehouse:
        version = str(warehouse.query("SELECT version()")[0][0])
        # Redshift folds names: tables that differ in case alone are one target.
        targets = {(schema, table.lower()) for schema, table in (settings.target(s.table) for s in states)}
        targets.add((settings.redshift_schema, ""))
        missing = [m for schema in sorted({s for s, _ in targets}) for m in missing_rights(warehouse, schema)]
        for schema, table in sorted(targets):
            missing += missing_table_rights(warehouse, schema, table)
        for lack in missing:
            found = Finding(about="redshift", message=lack.message, hint=lack.remedy, serious=lack.serious)
            check.findings.append(found)
        check.findings += _lost_targets(settings, states, warehouse)
        return version


def _lost_targets(settings: Settings, states: Sequence[TableState], warehouse: Warehouse) -> Iterator[Finding]:
    """Targets that held rows and are gone; while nothing changes at the source, no sync comes across it."""
    there: dict[str, set[str]] = {}
    for state in states:
        schema, name = settings.target(state.table)
        if not state.rows_loaded or state.target != target_identity(state.table, settings):
            continue
        if schema not in there:
            there[schema] = {str(row[0]) for row in warehouse.query(mode_sql.tables_sql(), (schema.lower(),))}
        if name.lower() not in there[schema]:
            message = f"its target {schema}.{name} is not there any more, or not to be seen"
            yield Finding(about=str(state.table), message=message, hint=lost_hint(state.table), serious=True)


def state_findings(state: TableState, now: dt.datetime) -> Iterator[Finding]:
    """What a table's state says somebody should look at."""
    name, lease = str(state.table), state.lease
    over = lease is not None and is_over(lease, now)
    if lease is not None and over:
        yield Finding(
            about=name,
            message=f"held by process {lease.pid} on {lease.host}, last heard of {age_text(now - lease.renewed)} ago",
            hint="nothing is to be done: the next run takes the table over",
        )
    if state.run is not None and (lease is None or over):
        chunks = state.run.chunk_count
        done = chunks - len(state.run.missing)
        rest = "" if state.run.planned else ", the rest is not planned yet"
        yield Finding(
            about=name,
            message=f"run {state.run.run_id} has not ended: {done} of {chunks} planned chunks are on S3{rest}",
            hint=f"`s3rs-ray sync -t {name}` goes on with it",
        )
    if state.sealed is not None and (lease is None or over):
        yield Finding(
            about=name,
            message=f"the load {state.sealed.load_id[:12]} may or may not have happened",
            hint=f"`s3rs-ray sync -t {name} --redshift-only` looks it up",
        )
    if state.backlog:
        files = sum(f.files if isinstance(f, Page) else 1 for f in state.backlog)
        rows, size = sum(f.rows for f in state.backlog), sum(f.bytes for f in state.backlog)
        yield Finding(
            about=name,
            message=f"files that wait to be loaded: {files:,}, with {counted(rows, 'row')} ({size_text(size)})",
            hint=f"`s3rs-ray sync -t {name} --redshift-only` loads them",
        )
    for stage, status in (("extraction", state.mysql_status), ("load", state.redshift_status)):
        if status == "failed" and not (stage == "extraction" and state.run):  # which is told above
            yield Finding(about=name, message=f"its last {stage} failed", hint=f"`s3rs-ray sync -t {name}` tries again")


def age_text(age: dt.timedelta) -> str:
    """``45 s``, ``12 min``, ``3 h``, ``5 d``."""
    seconds = age.total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} s"
