"""Seal, load, advance: the files of a table go into the warehouse, one load at a time, in order."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..config import Settings
from ..errors import ConfigError, IntegrityError, PreconditionFailed, SchemaDrift, UnsupportedTable, WarehouseError
from ..ledger.apply import next_load
from ..ledger.changes import Advance, PageIn, Seal
from ..ledger.document import cursor_text
from ..ledger.state import Sealed, TableState
from ..model import DataFile, Load, Manifest, Table, TableName, Watermark
from ..policies import Deletes, Mode
from ..source.collations import ignores_blanks, ignores_case
from ..source.columns import long_name
from ..storage.layout import CONTRACT, format_manifest_key, format_run_key
from ..storage.manifest import copy_manifest, load_id
from ..storage.s3 import current_keys
from ..tunnel import open_warehouse_tunnel
from ..warehouse import sql
from ..warehouse.loader import CopySource, Pair, Prepared, load, prepare
from ..warehouse.redshift import Warehouse, open_warehouse
from ..warehouse.sql import Target
from .context import Hold
from .contract import parse_contract
from .events import EventKind
from .records import read_page

log = logging.getLogger(__name__)

LOAD_BYTES = 64 * 2**20
"""Parquet bytes that are loaded while chunks still come."""

LARGE_LOAD = 100_000
"""Rows from which the loads of a run are followed by ANALYZE."""


def target_of(table: Table, settings: Settings) -> Target:
    """The Redshift table that a source table goes into.

    Raises:
        ConfigError: its name is unfit, or its layout names a column that is not carried.
    """
    given = settings.table(table.name)
    schema, name = settings.target(table.name)
    columns = {c.name.lower(): c.name for c in table.columns}
    layout = [wanted for wanted in (given.distkey, *given.sortkeys) if wanted]
    missing = [wanted for wanted in layout if wanted.lower() not in columns]
    if missing:
        raise ConfigError(
            f"{table.name}: {', '.join(missing)} cannot be a distkey or sortkey: the table carries no such column",
            hint=f"name columns that are carried, in the settings of {table.name}",
        )
    _require_fit_target(table.name, schema, name)
    return Target(
        schema=schema,
        name=name,
        columns=table.columns,
        key=table.key,
        cursor=table.cursor,
        folded=tuple(k for k, c in zip(table.key, table.key_collations, strict=True) if ignores_case(c)),
        padded=tuple(k for k, c in zip(table.key, table.key_collations, strict=True) if ignores_blanks(c)),
        diststyle=given.diststyle or ("key" if given.distkey else ""),
        distkey=given.distkey or "",
        sortkeys=given.sortkeys,
        load_columns=settings.has_load_columns(table.name),
        marks=settings.deletes(table.name) is Deletes.SOFT and settings.mode(table.name) is Mode.MERGE,
    )


def _require_fit_target(table: TableName, schema: str, name: str) -> None:
    for text in (schema, name):
        too_long = long_name(text)
        if too_long:
            raise ConfigError(
                f"{table} cannot go into {text}: {too_long}",
                hint=f"give a shorter `target` or `target_schema` in the settings of {table}",
            )
    if name.lower() == sql.LEDGER_TABLE or name.lower().startswith(sql.SHADOW_PREFIX):
        raise ConfigError(
            f"{table} cannot go into {name}: the name belongs to this program's own table",
            hint=f"give another `target` in the settings of {table}",
        )


def pair_of(table: Table, state: TableState, settings: Settings, *, anew: bool) -> Pair:
    """A table and its target, as they stand before a load.

    Args:
        anew: a full refresh will replace all rows.
    """
    return Pair(
        source=table.name,
        target=target_of(table, settings),
        identity=target_identity(table.name, settings),
        generation=state.generation,
        anew=anew,
        loaded_rows=None if state.loaded == Watermark.START else state.rows_loaded,
    )


def target_identity(table: TableName, settings: Settings) -> str:
    """The target as the state knows it: another one is another pair."""
    schema, name = settings.target(table)
    return (
        f"redshift://{settings.redshift_host}:{settings.redshift_port}/{settings.redshift_database}/"
        f"{schema.lower()}.{name.lower()}"
    )


@contextmanager
def open_session(settings: Settings) -> Iterator[Warehouse]:
    """A session with the warehouse, through its bastion where one is set."""
    with open_warehouse_tunnel(settings) as tunnel, open_warehouse(settings, tunnel) as warehouse:
        yield warehouse


def authorization(settings: Settings) -> str:
    """The clause by which COPY reads S3: the role, else the S3 keys, else what the AWS default chain holds now.

    A secret when it holds keys. Temporary keys end, so it is asked for anew for every COPY.
    """
    if settings.redshift_iam_role:
        return sql.role_sql(settings.redshift_iam_role)
    keys = current_keys(settings)
    return sql.keys_sql(keys.access_key, keys.secret_key, keys.session_token)


@dataclass(slots=True, kw_only=True)
class Loading:
    """The loads of one table. Runs in a thread of its own beside the extraction; never two at a time.

    Attributes:
        contracts: tables by fingerprint; files are loaded under the contract they were written with.
        budget: about how many rows may still be loaded; None for all. A file is loaded whole.
        seconds: how long the loads took together; ``phases`` says what they spent it on.
        bytes: size of the files loaded.
        newest: the contract of the last files loaded.
    """

    hold: Hold
    contracts: dict[str, Table] = field(default_factory=dict)
    budget: int | None = None
    rows: int = 0
    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    loads: list[Load] = field(default_factory=list)
    bytes: int = 0
    _pool: ThreadPoolExecutor | None = None
    _under_way: Future[None] | None = None
    _prepared: set[tuple[str, str, bool]] = field(default_factory=set)
    newest: Table | None = None

    def offer(self, state: TableState) -> None:
        """Starts a load beside the extraction when enough files wait and none is under way."""
        if self._under_way is not None:
            if not self._under_way.done():
                return
            self._under_way.result()
            self._under_way = None
        if not self._is_enough(self._choose(state), state):
            return
        state = self._at_hand(self.hold.load())  # the given one may be older than the last load's seal or advance
        files = self._choose(state)
        if state.sealed is None and not self._is_enough(files, state):
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"load {self.hold.table}")
        self._under_way = self._pool.submit(self._load_next, state, files)

    def _is_enough(self, files: Sequence[DataFile], state: TableState) -> bool:
        """Whether a load is worth its while; while one is under way more files gather for the next."""
        most = self.hold.run.settings.backup_files_per_load
        waits = state.next_page is not None and self.budget is None  # whole pages wait behind these
        return waits or len(files) >= most or sum(f.bytes for f in files) >= LOAD_BYTES

    def finish(self) -> TableState:
        """Loads everything that waits, in order; returns the newest state."""
        self.join()
        state = self._at_hand(self.hold.load())
        while state.sealed is not None or (files := self._choose(state)):
            self.hold.check()
            self._load_next(state, () if state.sealed is not None else files)
            state = self._at_hand(self.hold.load())
        if self.rows >= LARGE_LOAD:
            self._analyze(self.newest)
        return state

    def _at_hand(self, state: TableState) -> TableState:
        """The state with the next page read in where no file before it is left."""
        while not state.loadable and (page := state.next_page) is not None:
            state = self.hold.commit(PageIn(page=page, files=read_page(self.hold.run.store, page)))
        return state

    def settle(self) -> None:
        """Carries out the load that is sealed, if there is one."""
        state = self.hold.load()
        if state.sealed is not None:
            self._load_next(state, ())

    def join(self) -> None:
        """Waits for the load under way."""
        if self._under_way is not None:
            self._under_way.result()
            self._under_way = None
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _choose(self, state: TableState) -> Sequence[DataFile]:
        files = next_load(state, self.hold.run.settings.backup_files_per_load)
        if self.budget is None:
            return files
        chosen: list[DataFile] = []
        for file in files:
            over = self.rows + sum(f.rows for f in chosen) + file.rows > self.budget
            if over and (chosen or self.rows):
                break
            chosen.append(file)
        return chosen

    def _load_next(self, state: TableState, files: Sequence[DataFile]) -> None:
        """One load from seal to advance; with a sealed load in the state, that one first."""
        started = time.perf_counter()
        if state.sealed is None:
            state = self._seal(state, files)
        assert state.sealed is not None
        manifest = self._manifest(state, state.sealed)
        run_id = manifest.run_id
        self._say(EventKind.LOAD_STARTED, run_id, files=len(manifest.files), rows=manifest.rows)
        settings = self.hold.run.settings
        source = CopySource(manifest_url=self._write(manifest), authorize=lambda: authorization(settings))
        table = self._contract(manifest.files[0])
        self.prepare(table, state)
        done = load(lambda: open_session(settings), manifest, target_of(table, settings), source)
        state = self.hold.commit(Advance(load=done))
        self.rows += done.rows
        self.seconds += time.perf_counter() - started
        self.loads.append(done)
        self.bytes += manifest.bytes
        self.newest = table
        for phase, spent in done.seconds.items():
            self._spent(phase, spent)
        self._say(
            EventKind.LOAD_DONE,
            run_id,
            files=done.files,
            rows=done.rows,
            merged=done.merged,
            bytes=manifest.bytes,
            **done.seconds,
        )
        if manifest.reaches is not None:
            self._say(EventKind.WATERMARK, run_id, watermark=cursor_text(state.loaded) or "")

    def prepare(self, table: Table, state: TableState, *, anew: bool = False) -> Prepared:
        """The target made or altered to fit a contract; a second call for the same contract does nothing.

        Args:
            anew: a full refresh is about to begin; one that is under way is known from the state.
        """
        anew = anew or state.refresh is not None
        purpose = (table.fingerprint, state.generation, anew)
        if purpose in self._prepared:
            return Prepared()
        settings = self.hold.run.settings
        done = prepare(lambda: open_session(settings), pair_of(table, state, settings, anew=anew))
        self._prepared.add(purpose)
        return done

    def _analyze(self, table: Table | None) -> None:
        """Fresh statistics once for all loads of a run. They change no row, so a failure is only told."""
        if table is None:
            return
        settings = self.hold.run.settings
        started = time.perf_counter()
        try:
            with open_session(settings) as warehouse:
                warehouse.execute(sql.analyze_sql(target_of(table, settings)))
        except WarehouseError as error:
            log.warning("%s is loaded, but ANALYZE failed: %s", self.hold.table, error)
        else:
            spent = time.perf_counter() - started
            self._spent("analyze", spent)
            self.seconds += spent

    def _spent(self, phase: str, seconds: float) -> None:
        self.phases[phase] = round(self.phases.get(phase, 0.0) + seconds, 3)

    def _contract(self, file: DataFile) -> Table:
        """The table as it was when the file was written."""
        if file.fingerprint not in self.contracts:
            key = format_run_key(self.hold.table, file.run_id, CONTRACT)
            written = parse_contract(self.hold.run.store.get(key).body, key)
            if written.fingerprint != file.fingerprint:
                raise SchemaDrift(f"{key} does not describe the file {file.key}", hint="extract the table anew")
            self.contracts[file.fingerprint] = written
        return self.contracts[file.fingerprint]

    def _seal(self, state: TableState, files: Sequence[DataFile]) -> TableState:
        mode = self._mode(state, files[0])
        sealed = Sealed(
            load_id=load_id(
                generation=state.generation,
                table=state.table,
                target=target_identity(self.hold.table, self.hold.run.settings),
                files=files,
            ),
            run_id=files[0].run_id,
            mode=mode,
            keys=tuple(f.key for f in files),
            rows=sum(f.rows for f in files),
            reaches=files[-1].reaches,
        )
        return self.hold.commit(Seal(sealed=sealed))

    def _mode(self, state: TableState, file: DataFile) -> Mode:
        """How a file is loaded: as the settings say, or as a part of the full refresh that is under way."""
        if state.refreshes(file):
            return Mode.REPLACE
        table, mode = self._contract(file), self.hold.run.settings.mode(self.hold.table)
        if mode is Mode.REPLACE:
            raise UnsupportedTable(
                f"{table.name}: the files that wait hold changes, not the whole table: they cannot replace it",
                hint="`sync` reads the whole table again; --mode merge or append loads the changes",
            )
        if not table.cursor or (mode is Mode.MERGE and not table.key):
            lacks = "key" if table.cursor else "cursor"
            raise UnsupportedTable(
                f"{table.name} has no {lacks}: its files cannot be loaded in the mode {mode}",
                hint=f"give another `mode` in the settings of {table.name}, or --mode",
            )
        return mode

    def _manifest(self, state: TableState, sealed: Sealed) -> Manifest:
        files = state.loadable[: len(sealed.keys)]
        if tuple(f.key for f in files) != sealed.keys:
            raise IntegrityError(f"{state.table}: the sealed load names files the state no longer lists first")
        return Manifest(
            load_id=sealed.load_id,
            run_id=sealed.run_id,
            generation=state.generation,
            table=state.table,
            target=target_identity(self.hold.table, self.hold.run.settings),
            mode=sealed.mode,
            fingerprint=files[0].fingerprint,
            after=state.loaded,
            reaches=sealed.reaches,
            files=files,
        )

    def _write(self, manifest: Manifest) -> str:
        store = self.hold.run.store
        key = format_manifest_key(manifest.table, manifest.run_id, manifest.load_id)
        body = copy_manifest(manifest.files, store.bucket)
        try:
            store.put_new(key, body)
        except PreconditionFailed:  # an earlier try wrote it: the name holds the digest of the content
            if store.get(key).body != body:
                raise IntegrityError(f"{key} is there and says something else") from None
        return store.url(key)

    def _say(self, kind: EventKind, run_id: str, **facts: str | int | float) -> None:
        self.hold.run.say(kind, self.hold.table, run_id, **facts)
