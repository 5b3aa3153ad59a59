"""sync(), backup(), plan(): the story of a command over all its tables."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..config import DB_NAMES, S3_NAMES, Settings
from ..errors import S3rsError, StorageError, TableNotFound
from ..ledger.store import utc_now
from ..model import GLOB, TableName, matching
from ..source.catalog import Catalog
from ..storage.layout import format_run_id
from ..tunnel import close_idle_tunnels
from ..warehouse.login import login_arguments
from .cleaning import stored_tables
from .context import Request, Run, Workplace
from .estimate import measured_runs
from .events import Event, EventKind, Report, RunResult, TableResult, failed_result
from .executor import InlineExecutor, Workers
from .lanes import work_in_lanes
from .lineage import Lineage
from .loading import authorization, open_session
from .marker import mark_end
from .metrics import write_metrics
from .pacing import Tell, open_pace
from .plan import TablePlan, strategy_limits
from .planning import open_source
from .preview import Asked, Preview, preview_table
from .ray_settings import prepare_driver
from .table import sync_table
from .tasks import open_ledger, open_store

log = logging.getLogger(__name__)


def ignore(event: Event) -> None:
    """A report that says nothing."""


def sync(
    settings: Settings, request: Request, *, report: Report = ignore, stop: threading.Event | None = None
) -> RunResult:
    """Moves tables from MySQL to S3 and on to Redshift.

    Args:
        report: called with every event of the run, from several threads.
        stop: set it to end the run early; what is finished is kept.

    Returns:
        What happened to every table; a table's failure is in its result, not raised.

    Raises:
        ConfigError, TableNotFound, SourceUnavailable, StorageUnavailable, WarehouseUnavailable: before any work.
    """
    result = carry_out(settings, request, report=report, stop=stop)
    if result.error is not None:
        raise result.error
    return result


def carry_out(
    settings: Settings, request: Request, *, report: Report = ignore, stop: threading.Event | None = None
) -> RunResult:
    """:func:`sync` with what ends it before any work in its result: METRICS_FILE and markers tell of that as well."""
    blank = _blank(request)
    ended = replace(blank, error=S3rsError("the command broke off"))
    try:
        ended = _carried_out(settings, request, blank, report, stop or threading.Event())
    finally:  # whatever else is raised, the metrics say that this was no success
        _tell(settings, ended)
    return ended


def refuse(settings: Settings, request: Request, error: S3rsError) -> RunResult:
    """A command that could not even begin, because its settings are wrong: METRICS_FILE tells of it.

    Args:
        settings: those that are right.
    """
    refused = replace(_blank(request), error=error)
    _tell(settings, refused)
    return refused


def _blank(request: Request) -> RunResult:
    """The result of a command that has done nothing yet."""
    now = utc_now()
    return RunResult(
        execution_id=format_run_id(now, secrets.token_hex(3)),
        start_time=now,
        end_time=now,
        tables_requested=request.tables,
        tables=(),
    )


def _tell(settings: Settings, result: RunResult) -> None:
    if settings.metrics_file:
        write_metrics(Path(settings.metrics_file), replace(result, end_time=utc_now()))


def _carried_out(
    settings: Settings, request: Request, blank: RunResult, report: Report, stop: threading.Event
) -> RunResult:
    try:
        with open_run(settings, request, report, stop, blank.start_time, blank.execution_id) as run:
            names = _resolved(run)
            run.say(EventKind.RUN_STARTED, None, tables=len(names), strategy=request.strategy.value)
            lineage = Lineage(settings, request, run.execution_id)
            results = _all_tables(run, names, lineage)
            result = replace(blank, end_time=utc_now(), tables=tuple(results))
            run.say(EventKind.RUN_DONE, None, status=result.status.value, failed=len(result.failures))
            return result
    except S3rsError as exc:
        return replace(blank, end_time=utc_now(), error=exc)


def _resolved(run: Run) -> tuple[TableName, ...]:
    """The tables, once everything answers that the run needs; otherwise a marker of each says that it failed."""
    try:
        names = resolve_tables(run)
        _check_warehouse(run)
    except S3rsError as exc:
        for name in () if isinstance(exc, StorageError) else _meant(run):
            mark_end(run, failed_result(name, exc))
        raise
    return names


def _meant(run: Run) -> tuple[TableName, ...]:
    """The tables the request means, as far as that can be told without the source."""
    try:
        return _without_excluded(run, _stored(run))
    except S3rsError:  # none is named, or S3 has fallen silent
        return ()


def backup(
    settings: Settings, request: Request, *, report: Report = ignore, stop: threading.Event | None = None
) -> RunResult:
    """The first stage alone: MySQL to S3."""
    return sync(settings, replace(request, extract=True, load=False), report=report, stop=stop)


def plan(settings: Settings, request: Request) -> tuple[TablePlan, ...]:
    """What a sync would do with each table, from the same discovery and the same state; changes nothing."""
    with open_run(settings, request, ignore, threading.Event(), utc_now()) as run, open_source(run) as catalog:
        return tuple(_planned(preview_table(run, catalog, name, Asked())) for name in _asked(run, catalog))


def preview(
    settings: Settings, request: Request, *, statements: bool = False, timed: bool = False
) -> tuple[Preview, ...]:
    """:func:`plan` for tables that may be refused, with what a load would do to the target; changes nothing.

    Args:
        statements: with the SQL that would be sent.
        timed: with an estimate of the minutes, from the last runs.

    Raises:
        S3rsError: as :func:`sync` before any work.
    """
    with open_run(settings, request, ignore, threading.Event(), utc_now()) as run, ExitStack() as stack:
        catalog = stack.enter_context(open_source(run))
        asked = Asked(
            warehouse=functools.cache(lambda: stack.enter_context(open_session(settings))) if request.load else None,
            statements=statements,
            measured=measured_runs(run.store, request) if timed else None,
        )
        return tuple(preview_table(run, catalog, name, asked) for name in _asked(run, catalog))


def _planned(shown: Preview) -> TablePlan:
    if shown.refusal is not None:
        raise shown.refusal
    assert shown.plan is not None
    return shown.plan


def require_settings(settings: Settings, request: Request) -> None:
    """Raises ConfigError naming everything the request's stages need and the settings lack."""
    settings.require(
        *(DB_NAMES if request.extract else ()), *S3_NAMES, *(settings.redshift_names if request.load else ())
    )
    if request.load:
        login_arguments(settings)
        authorization(settings)


@contextmanager
def open_run(
    settings: Settings,
    request: Request,
    report: Report,
    stop: threading.Event,
    started: dt.datetime,
    execution_id: str = "",
) -> Iterator[Run]:
    """What a command on tables works with, once its settings are complete and the bucket answers.

    Args:
        execution_id: of the command, where it has one already.
    """
    require_settings(settings, request)
    store = open_store(settings)
    with ExitStack() as stack:
        stack.callback(close_idle_tunnels)
        place = _LazyWorkplace(
            settings, request, stack, lambda *paced: _say_pace(run, *paced), lambda reason: _say_nodes(run, reason)
        )
        run = Run(
            settings=settings,
            request=request,
            store=store,
            ledger=open_ledger(settings),
            workplace=place.open,
            threads=place.open_threads,
            report=report,
            clock=utc_now,
            stop=stop,
            started=started,
            execution_id=execution_id or format_run_id(started, secrets.token_hex(3)),
        )
        with _told(run, "s3", store.url("")):
            store.check()
        yield run


@contextmanager
def _told(run: Run, what: str, address: str) -> Iterator[None]:
    """Says that a connection was made by the block, and how long it took."""
    began = time.perf_counter()
    yield
    seconds = round(time.perf_counter() - began, 3)
    run.say(EventKind.CONNECTED, None, to=what, address=address, seconds=seconds)


def _say_pace(run: Run, readers: int, reason: str) -> None:
    run.say(EventKind.PACED, None, readers=readers, reason=reason or "the source has recovered", spared=bool(reason))


def _say_nodes(run: Run, reason: str) -> None:
    said = reason or "a node that can take tasks has come"
    run.say(EventKind.WAITING, None, reason=said, waits=bool(reason))


@dataclass(slots=True)
class _LazyWorkplace:
    """Opens the executor when the first table has work: a run with nothing to do does not start Ray."""

    settings: Settings
    request: Request
    stack: ExitStack
    tell: Tell
    tell_nodes: Callable[[str], None]
    lock: threading.Lock = field(default_factory=threading.Lock)
    opened: Workplace | None = None
    threads: Workers | None = None

    def open_threads(self) -> Workers:
        if self.request.inline:
            return self.open().executor
        with self.lock:
            if self.threads is None:
                self.threads = self._open_inline()
            return self.threads

    def open(self) -> Workplace:
        with self.lock:
            if self.opened is None:
                self.opened = self._open()
            return self.opened

    def _open(self) -> Workplace:
        if self.request.inline:
            return Workplace(executor=self._open_inline(), ledger=open_ledger(self.settings))
        prepare_driver()
        from .cluster import open_cluster  # imports Ray, half a second that a run with nothing to do need not pay

        cluster = self.stack.enter_context(open_cluster(self.settings, self.tell_nodes))
        return Workplace(executor=self._paced(cluster), ledger=cluster.ledger)

    def _open_inline(self) -> Workers:
        executor = InlineExecutor(self.settings)
        self.stack.callback(executor.close)
        return self._paced(executor)

    def _paced(self, executor: Workers) -> Workers:
        return self.stack.enter_context(open_pace(executor, self.settings, self.tell))


def resolve_tables(run: Run) -> tuple[TableName, ...]:
    """The tables the request names. Without the extract stage the source is not asked: globs are over what S3 holds.

    Raises:
        TableNotFound: a name or glob speaks of no table.
    """
    if run.request.extract:
        with _told(run, "mysql", f"{run.settings.db_host}:{run.settings.db_port}"), open_source(run) as catalog:
            return _asked(run, catalog)
    return _without_excluded(run, _stored(run))


def _asked(run: Run, catalog: Catalog) -> tuple[TableName, ...]:
    return _without_excluded(run, catalog.table_names(run.request.tables))


def _stored(run: Run) -> tuple[TableName, ...]:
    """Names as they are written, and what globs match of the tables that have a state or files."""
    found: dict[TableName, None] = {}
    for text in run.request.tables:
        name = run.settings.table_name(text)
        if not set(text) & GLOB:
            found[name] = None
            continue
        known = dict.fromkeys((*open_ledger(run.settings).tables(), *stored_tables(run.store, run.settings)))
        named = matching(sorted(known, key=str), name)
        if not named:
            raise TableNotFound(f"nothing of {name} is on S3", hint="`s3rs-ray explore` shows what is there")
        found.update(dict.fromkeys(named))
    return tuple(found)


def _without_excluded(run: Run, names: Sequence[TableName]) -> tuple[TableName, ...]:
    excluded: set[TableName] = set()
    for text in run.request.exclude:
        named = matching(names, run.settings.table_name(text))
        if not named:
            log.warning("--exclude %s names none of the tables asked for", text)
        excluded.update(named)
    left = tuple(name for name in names if name not in excluded)
    if not left:
        raise TableNotFound(
            "every table asked for is excluded", hint="name other tables with -t, or fewer with --exclude"
        )
    return left


def _check_warehouse(run: Run) -> None:
    """Finds a wrong password or host before hours of extraction, not after."""
    if not run.request.load:
        return
    address = f"{run.settings.redshift_host}:{run.settings.redshift_port}"
    with _told(run, "redshift", address), open_session(run.settings):
        pass


def _all_tables(run: Run, names: Sequence[TableName], lineage: Lineage) -> list[TableResult]:
    limits = strategy_limits(run.request.strategy, run.settings.backup_max_tables)
    if limits.tables == 1 or len(names) == 1:
        return [_one_table(run, name, lineage) for name in names]
    sizes = _sizes(run) if run.request.extract else {}
    return work_in_lanes(lambda name: _one_table(run, name, lineage), names, sizes, min(limits.tables, len(names)))


def _sizes(run: Run) -> dict[TableName, int]:
    with open_source(run) as catalog:
        return catalog.sizes()


def _one_table(run: Run, name: TableName, lineage: Lineage) -> TableResult:
    """A table, and what others are told of it: its marker is the last thing that is written."""
    lineage.start(name)
    result = sync_table(run, name)
    lineage.end(result)
    if why := mark_end(run, result):
        return replace(result, warnings=(*result.warnings, why))
    return result
