"""The nouns of the program: frozen values without behaviour that needs a clock, a network or a database.

Positions and ranges
    A *position* is a tuple of key values, for example ``(update_at, ID)``. A position may be shorter than the
    columns it speaks of; it then stands before every row that shares the prefix, exactly as Python orders
    ``(1,) < (1, 0)``. One rule holds everywhere: a range is ``(after, upto]`` and ``None`` is unbounded.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from typing import ClassVar

from .policies import Adjusted, Comparison, LongText, Mode, NulBytes, TextForm, Treatment, ZeroDates
from .positions import KeyValue, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column and its whole contract, decided once by ``source.types``.

    Attributes:
        name: the column's name at the source.
        source_type: MySQL's full type text, e.g. ``decimal(10,2) unsigned``.
        select: the SELECT expression that yields the value exactly (no alias).
        arrow_type: the Arrow type of the file's column, in pyarrow's notation, e.g. ``decimal128(10, 2)``.
        redshift_type: the Redshift type, e.g. ``DECIMAL(10,2)``.
        comparison: what is compared after a load.
        compared: the SELECT expression for it, which MySQL counts and orders as the warehouse does its own.
        text_form: how checksums write what ``compared`` gives.
        treatment: exact, widened, as text or as number.
        note: what its reader in Redshift must know, e.g. a unit.
        nullable: whether the source allows NULL.
        max_bytes: the largest value Redshift takes, where the source may hold a larger one; 0 where all fit.
        unmapped: a predicate that is true of values with characters Unicode does not have, where the column may hold
            some; empty elsewhere.
        zero_dates, long_text, nul_bytes: the policy, where the column may hold such a value; None elsewhere.
    """

    name: str
    source_type: str
    select: str
    arrow_type: str
    redshift_type: str
    comparison: Comparison
    compared: str
    text_form: TextForm
    treatment: Treatment = Treatment.EXACT
    note: str = ""
    nullable: bool = True
    max_bytes: int = 0
    unmapped: str = ""
    zero_dates: ZeroDates | None = None
    long_text: LongText | None = None
    nul_bytes: NulBytes | None = None

    @property
    def size(self) -> int:
        """Most bytes of a text or binary value in Redshift; 0 for other types."""
        kind, _, size = self.redshift_type.partition("(")
        return int(size.rstrip(")")) if kind in ("VARCHAR", "VARBYTE") else 0

    @property
    def staging_type(self) -> str:
        """The type COPY loads: a SUPER arrives as text and is parsed on the way from staging."""
        return "VARCHAR(65535)" if self.redshift_type == "SUPER" else self.redshift_type


def ordered_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns whose least and greatest values are compared."""
    return tuple(c for c in columns if c.comparison is Comparison.ORDERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index of the source table: its name and its columns in order."""

    name: str
    columns: tuple[str, ...]
    unique: bool


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """``schema.table`` at the source; either part may hold any character MySQL allows."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @classmethod
    def parse(cls, text: str, default_schema: str) -> TableName:
        """``schema.table``, or ``table`` in the default schema. The schema ends at the first dot."""
        schema, dot, name = text.partition(".")
        return cls(schema, name) if dot else cls(default_schema, text)


GLOB = frozenset("*?[")
"""What makes a pattern of a name."""


ALIKE = 0.7
"""How alike two names are, 0 to 1, where one is a slip of the pen."""


def meant(known: Iterable[TableName], pattern: TableName) -> str:
    """A question after the name that was probably meant, for the remedy of one that is not there; or an empty text.

    Schema and table must both be near it, in whatever case: a long schema makes no other table alike.
    """
    if set(str(pattern)) & GLOB:
        return ""

    def nearness(name: TableName) -> float:
        pairs = ((name.schema, pattern.schema), (name.name, pattern.name))
        return min(SequenceMatcher(None, a.lower(), b.lower()).ratio() for a, b in pairs)

    nearest = max(known, key=nearness, default=None)
    return f"did you mean {nearest}? " if nearest is not None and nearness(nearest) >= ALIKE else ""


def matching(known: Iterable[TableName], pattern: TableName) -> list[TableName]:
    """The tables a name or glob speaks of; the name of a table is never read as a glob."""
    names = list(known)
    return [n for n in names if n == pattern] or [
        n for n in names if fnmatchcase(n.schema, pattern.schema) and fnmatchcase(n.name, pattern.name)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A source table as one discovery found it: identity, columns, key, cursor, indexes, estimates.

    Attributes:
        cursor: the column that grows on every insert and update (``update_at``); empty for a table without one.
        key: the columns of the primary or another unique key of NOT NULL columns; empty for a table without one.
        cursor_index: the index that serves ranges over ``(cursor, *key)``, or None.
        key_index: the index that serves ranges over ``key``; empty where there is none.
        key_collations: by which collation MySQL compares each column of the key; empty where it is no text.
        where: a condition in MySQL's SQL; rows that do not meet it are as if they were not there.
        estimated_rows, average_row_bytes: the server's guess (2x off is normal); for estimates only.
        fingerprint: digest of all column contracts and of ``where``; files of two fingerprints never share a COPY.
    """

    name: TableName
    columns: tuple[Column, ...]
    cursor: str
    key: tuple[str, ...]
    cursor_index: str | None
    key_index: str
    estimated_rows: int
    average_row_bytes: int
    fingerprint: str
    where: str = ""
    key_collations: tuple[str, ...] = ()

    @property
    def order_columns(self) -> tuple[str, ...]:
        """The columns a watermark speaks of: the cursor, then the key without the cursor."""
        return order_columns(self.cursor, self.key)


def order_columns(cursor: str, key: Sequence[str]) -> tuple[str, ...]:
    """The columns a watermark of a table speaks of."""
    return (*((cursor,) if cursor else ()), *(k for k in key if k != cursor))


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """A place in a table's update order: ``(cursor, *key)``; the empty position stands before every row.

    A position that holds the cursor alone stands before every row of that cursor value; in a table without a key,
    where it is the whole position, behind them.
    """

    position: Position = ()

    START: ClassVar[Watermark]

    @property
    def cursor(self) -> KeyValue | None:
        return self.position[0] if self.position else None

    @property
    def key(self) -> Position:
        return self.position[1:]

    @property
    def after(self) -> Position | None:
        """The watermark as the lower bound of a range."""
        return self.position or None


Watermark.START = Watermark()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one run owes: the rows in ``(after, upto]`` of the update order; ``upto`` is fixed before any read.

    Attributes:
        null_horizon: set where the rows whose cursor is NULL are meant instead. It is the horizon they are read
            behind, so every version of such a row whose cursor is at or before it is an older one.
        whole: every row of the table is meant, whatever its cursor. ``upto`` is then no end: it is the place from
            which later runs carry on, and every row up to it is among them.
        mends: the rows of the chunks' own ranges are read again, whatever their cursor. Both ends are the watermark,
            which stays where it is.
    """

    after: Watermark
    upto: Watermark
    null_horizon: KeyValue | None = None
    whole: bool = False
    mends: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRange:
    """``(after, upto]`` over the tuple of ``columns``; ``None`` is unbounded.

    Bounds may be shorter than ``columns`` (see the module's docstring); they are never longer.

    Attributes:
        keys: only the rows at these positions, each as long as ``columns``; empty for all.
    """

    columns: tuple[str, ...]
    after: Position | None = None
    upto: Position | None = None
    keys: tuple[Position, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("a key range needs at least one column")
        for name, bound in (("after", self.after), ("upto", self.upto)):
            if bound is not None and not 1 <= len(bound) <= len(self.columns):
                raise ValueError(f"{name} has {len(bound)} values for the columns {', '.join(self.columns)}")

    def split(self, at: Position) -> tuple[KeyRange, KeyRange]:
        """The range cut behind ``at``: every row is in exactly one of the two pieces.

        Args:
            at: a position inside the range, in the order of the database.
        """
        return replace(self, upto=at), replace(self, after=at)


@dataclass(frozen=True, slots=True)
class Cut:
    """Where one slice of a chunk ends: the position of its last row, and its rows."""

    at: Position
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One task and one file: a key range of one run, read a slice at a time.

    Attributes:
        rows: how many rows the boundaries promised when the plan was made.
        window: applied besides ``range`` when the range is not over the update order itself.
        cuts: the ends of all slices but the last, which ends with the range; empty for a chunk of one slice.
    """

    run_id: str
    ordinal: int
    range: KeyRange
    window: Window
    rows: int
    cuts: tuple[Cut, ...] = ()

    @property
    def slices(self) -> tuple[Chunk, ...]:
        """The slices, each as a chunk of its own: what one query reads and one memory holds."""
        made, rest = [], replace(self, cuts=())
        for cut in self.cuts:
            piece, left = rest.range.split(cut.at)
            made.append(replace(rest, range=piece, rows=cut.rows))
            rest = replace(rest, range=left, rows=rest.rows - cut.rows)
        return (*made, rest)


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """How large the next chunk shall be.

    Attributes:
        rows: of its file.
        slice_rows: of one slice of it.
        least_rows, most_rows: of the last files of a window, in which what is left is shared among all readers; None
            where chunks are to have just so many rows.
    """

    rows: int
    slice_rows: int
    least_rows: int | None = None
    most_rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One immutable Parquet object.

    Attributes:
        key: the object's key in the bucket.
        rows, bytes: from the Parquet footer and the object's size.
        digest: sha256 of the object, hex.
        fingerprint: of the table contract it was written under.
        reaches: the watermark that is reached once this file and all before it are loaded; None where the
            chunks of the run are not in update order and this is not the last.
        memory: bytes of the rows as Arrow holds them; what sizes the slices of later chunks.
        adjusted: what the policies changed.
        null_horizon: of a file of rows whose cursor is NULL: see :class:`Window`.
        seconds: how long it took to read and write; 0 where it was there already. Not kept.
        mends: its rows take the place of what the target holds of their keys: see :class:`Window`.
    """

    key: str
    rows: int
    bytes: int
    digest: str
    run_id: str
    ordinal: int
    fingerprint: str
    reaches: Watermark | None
    memory: int = 0
    adjusted: Adjusted = field(default_factory=Adjusted)
    null_horizon: KeyValue | None = None
    mends: bool = False
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one COPY loads: its digest is the load id.

    Attributes:
        after, reaches: the watermark before and after the load.
    """

    load_id: str
    run_id: str
    generation: str
    table: TableName
    target: str
    mode: Mode
    fingerprint: str
    after: Watermark
    reaches: Watermark | None
    files: tuple[DataFile, ...]

    @property
    def rows(self) -> int:
        return sum(f.rows for f in self.files)

    @property
    def null_horizon(self) -> KeyValue | None:
        """Set where the cursor of all rows is NULL; files with and without it never share a load."""
        return self.files[0].null_horizon

    @property
    def mends(self) -> bool:
        """Whether the rows come from a repair; its files never share a load with others."""
        return self.files[0].mends

    @property
    def bytes(self) -> int:
        return sum(f.bytes for f in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A row of the warehouse's own load ledger.

    Attributes:
        rows: rows in the files, equal to the rows staged.
        merged: rows written to the target; smaller than ``rows`` when the files or the target held newer versions.
        repeated: the load id was already there and nothing was done.
        seconds: how long each phase took.
    """

    load_id: str
    run_id: str
    rows: int
    files: int
    merged: int
    loaded_at: dt.datetime
    repeated: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
