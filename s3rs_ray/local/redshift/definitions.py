"""The grammar of CREATE TABLE: columns, keys that are declared and not enforced, distribution and sort keys.

Source: AWS documentation, "CREATE TABLE", "CREATE TABLE AS" (attributes, constraints, usage notes), "Compression
encodings".
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from decimal import Decimal

from s3rs_ray.local.redshift.actions import Script
from s3rs_ray.local.redshift.datatypes import DataType
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.parser import TableName
from s3rs_ray.local.redshift.queries import Queries
from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported
from s3rs_ray.local.redshift.tokens import name_literal, quote_literal, quote_name

__all__ = ["Definitions"]

MAX_COLUMNS = 1600
_MOST_IN_8_BYTES = 2**63 - 1
_ENCODING_WORDS = "raw az64 bytedict delta delta32k lzo mostly8 mostly16 mostly32 runlength text255 text32k zstd auto"
_ENCODINGS = frozenset(_ENCODING_WORDS.split())
# AZ64 is for numbers, dates and times only.
_NOT_AZ64 = frozenset({"real", "double precision", "boolean", "character varying", "character", "varbyte", "super"})
_TEXT_ENCODINGS = frozenset({"text255", "text32k"})


@dataclass(slots=True)
class Column:
    """One column of a CREATE TABLE or ADD COLUMN."""

    name: str
    type: DataType
    default: str = ""
    identity: str = ""
    not_null: bool = False
    encoding: str = ""

    @property
    def sql(self) -> str:
        """The definition for PostgreSQL, without keys."""
        text = f"{quote_name(self.name)} {self.type.postgres}"
        if self.default:
            text += f" DEFAULT {self.default}"
        if self.identity:
            text += f" {self.identity}"
        if self.not_null:
            text += " NOT NULL"
        if self.type.name == "character":
            # AWS documentation, "Character types": CHAR holds single-byte characters only.
            column = quote_name(self.name)
            text += (
                f" CONSTRAINT {self._rule('char')} CHECK (octet_length({column}::text) = char_length({column}::text))"
            )
        if self.type.precision == 19:
            # DECIMAL(19,s) is kept in 8 bytes and overflows at 2^63-1 (redshift.md, "Types and names").
            limit = Decimal(_MOST_IN_8_BYTES).scaleb(-(self.type.scale or 0))
            text += f" CONSTRAINT {self._rule('decimal19')} CHECK (abs({quote_name(self.name)}) <= {limit:f})"
        return text

    def _rule(self, kind: str) -> str:
        """The name of a constraint of the stand-in's own; PostgreSQL wants it unique within the table."""
        return quote_name(f"{kind}_rule_{zlib.crc32(self.name.encode()):08x}")


@dataclass(slots=True)
class Layout:
    """Keys and layout of a table: noted, shown in the catalog views, never enforced."""

    primary_key: list[str] = field(default_factory=list)
    unique: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    diststyle: str = ""
    distkey: str = ""
    sortstyle: str = ""
    sortkeys: list[str] = field(default_factory=list)


class Definitions(Queries):
    """CREATE TABLE."""

    def create_table(self, temporary: bool) -> Script:
        """Consumes what follows ``CREATE [TEMP] TABLE``."""
        missing_only = self.accept("if", "not", "exists")
        table = self.table_name()
        if temporary and table.schema is not None:
            raise SqlError("42P16", "cannot create temporary relation in non-temporary schema")
        names_only = self.peek_operator("(") and self.peek_operator(",", ")", ahead=2)
        if names_only or not self.peek_operator("("):
            return self._create_table_as(table, temporary=temporary, missing_only=missing_only)
        head = f"CREATE {'TEMPORARY ' if temporary else ''}TABLE {'IF NOT EXISTS ' if missing_only else ''}{table.sql}"
        self.expect_operator("(")
        layout = Layout()
        columns: list[Column] = []
        if self.accept("like"):
            like = self._like()
            body, note = f"({like[0]})", f"{INTERNAL_SCHEMA}.note_like({quote_literal(table.sql)}, {like[1]})"
        else:
            self._elements(columns, layout)
            body = ""
            note = ""
        self.expect_operator(")")
        if columns:
            # With LIKE the layout is inherited and cannot be given.
            self._attributes(layout)
        self.expect_end()
        if columns:
            _check_layout(columns, layout)
            body = f"({', '.join(column.sql for column in columns)})"
            note = _note_sql(table.sql, columns, layout)
        return Script(statements=(f"{head} {body}", f"SELECT {note}"), tag="CREATE TABLE")

    def _create_table_as(self, table: TableName, *, temporary: bool, missing_only: bool) -> Script:
        """CTAS: ``[(names)] [BACKUP YES|NO] [attributes] AS query``; keys and NOT NULL are not inherited."""
        if missing_only:
            raise not_supported("CREATE TABLE IF NOT EXISTS ... AS is not supported")
        names = f" ({', '.join(quote_name(name) for name in self.names())})" if self.peek_operator("(") else ""
        layout = Layout()
        self._backup()
        self._attributes(layout, derived=True)
        self.expect("as")
        self.user_relations.clear()
        self.touched.clear()
        query = self.query()
        self.expect_end()
        if self.system_relations:
            raise not_supported("CREATE TABLE AS from system tables is not supported")
        _check_distribution(layout)
        name, *rest = _layout_values(table.sql, layout)
        kind = quote_literal("TEMPORARY TABLE" if temporary else "TABLE")
        values = [kind, name, quote_literal(names), quote_literal(query), *rest]
        made = f"SELECT {INTERNAL_SCHEMA}.create_derived({', '.join(values)})"
        return Script(statements=(made,), tag="SELECT", reads=self.names_touched())

    def _like(self) -> tuple[str, str]:
        parent = self.table_name()
        options = "INCLUDING CONSTRAINTS"
        if self.accept("including", "defaults"):
            options += " INCLUDING DEFAULTS"
        elif self.accept("excluding", "defaults"):
            pass
        return f"LIKE {parent.sql} {options}", quote_literal(parent.sql)

    def _elements(self, columns: list[Column], layout: Layout) -> None:
        while True:
            if not self._table_constraint(layout):
                columns.append(self.column(layout))
            if not self.accept_operator(","):
                break
        if not columns:
            raise self.unexpected()
        if len(columns) > MAX_COLUMNS:
            raise SqlError("54011", f"tables can have at most {MAX_COLUMNS} columns")
        for column in columns:
            if column.name in layout.primary_key:
                column.not_null = True

    def _table_constraint(self, layout: Layout) -> bool:
        if self.accept("constraint"):
            self.name()
            if not self.peek_word("primary", "unique", "foreign", "check"):
                raise self.unexpected()
        if self.accept("primary", "key"):
            layout.primary_key = self.names()
        elif self.accept("unique"):
            layout.unique += self.names()
        elif self.accept("foreign", "key"):
            layout.references += self.names()
            self._references()
        elif self.peek_word("check", "exclude"):
            raise not_supported("CHECK constraints are not supported")
        else:
            return False
        return True

    def _references(self) -> None:
        self.expect("references")
        self.table_name()
        if self.peek_operator("("):
            self.names()

    def column(self, layout: Layout) -> Column:
        """Consumes ``name type [attributes] [constraints]``."""
        name = self.new_column_name()
        column = Column(name, self.type_name(column=True))
        while self._column_attribute(column, layout):
            pass
        return column

    def _column_attribute(self, column: Column, layout: Layout) -> bool:
        if self.accept("default"):
            column.default = self._default()
        elif self.accept("identity"):
            column.identity = self._identity("ALWAYS")
        elif self.accept("generated", "by", "default", "as", "identity"):
            column.identity = self._identity("BY DEFAULT")
        elif self.accept("encode"):
            column.encoding = self.encoding(column.type)
        elif self.accept("distkey"):
            if layout.distkey:
                raise SqlError("42601", "more than one DISTKEY column")
            layout.distkey = column.name
        elif self.accept("sortkey"):
            layout.sortkeys.append(column.name)
            layout.sortstyle = "compound"
        else:
            return self._column_constraint(column, layout)
        return True

    def _column_constraint(self, column: Column, layout: Layout) -> bool:
        if self.accept("not", "null"):
            column.not_null = True
        elif self.accept("null"):
            column.not_null = False
        elif self.accept("primary", "key"):
            layout.primary_key = [column.name]
            column.not_null = True
        elif self.accept("unique"):
            layout.unique.append(column.name)
        elif self.peek_word("references"):
            layout.references.append(column.name)
            self._references()
        elif self.peek_word("check", "collate", "constraint"):
            raise not_supported(f"{self.token.value.upper()} on a column is not supported")
        else:
            return False
        return True

    def _default(self) -> str:
        value = self._operation()
        if self.user_relations and "SELECT" in value:
            raise not_supported("a subquery in DEFAULT is not supported")
        return value

    def _identity(self, generated: str) -> str:
        self.expect_operator("(")
        seed = self.integer()
        self.expect_operator(",")
        step = self.integer()
        self.expect_operator(")")
        options = f"START WITH {seed} INCREMENT BY {max(step, 1)} MINVALUE {seed}"
        return f"GENERATED {generated} AS IDENTITY ({options})"

    def encoding(self, kind: DataType) -> str:
        """Consumes the name of a compression encoding that fits the type."""
        encoding = self.take().value
        if encoding not in _ENCODINGS:
            raise SqlError("42601", f'syntax error at or near "{encoding}"')
        fits = not (encoding == "az64" and kind.name in _NOT_AZ64)
        fits = fits and not (encoding in _TEXT_ENCODINGS and kind.name != "character varying")
        if not fits:
            raise SqlError("42804", f'invalid encoding type "{encoding}" specified for column type {kind.name}')
        return encoding

    def _backup(self) -> None:
        if self.accept("backup") and not self.accept("yes"):
            self.expect("no")

    def _attributes(self, layout: Layout, *, derived: bool = False) -> None:
        """Distribution and sort keys; a table made from a query (``derived``) has no AUTO forms of keys."""
        while True:
            if self.peek_word("backup") and not derived:
                self._backup()
            elif self.accept("diststyle"):
                layout.diststyle = self._diststyle()
            elif self.accept("distkey"):
                names = self.names()
                if len(names) != 1 or layout.distkey:
                    raise SqlError("42601", "exactly one DISTKEY column can be given")
                layout.distkey = names[0]
            elif not derived and self.accept("encode", "auto"):
                pass
            elif derived and self.peek_word("sortkey") and self.peek_word("auto", ahead=1):
                raise not_supported("SORTKEY AUTO is not supported in CREATE TABLE AS")
            elif not self._sortkey(layout):
                return

    def _diststyle(self) -> str:
        for style in ("auto", "even", "key", "all"):
            if self.accept(style):
                return style
        raise self.unexpected()

    def _sortkey(self, layout: Layout) -> bool:
        style = self.token.value if self.peek_word("compound", "interleaved") else ""
        if style:
            self.take()
        if not self.accept("sortkey"):
            if style:
                raise self.unexpected()
            return False
        if not style and self.accept("auto"):
            layout.sortstyle = "auto"
            return True
        if layout.sortkeys:
            raise SqlError("42601", "multiple SORTKEY clauses")
        layout.sortkeys = self.names()
        layout.sortstyle = style or "compound"
        if len(layout.sortkeys) > (8 if style == "interleaved" else 400):
            raise SqlError("54011", "too many columns in SORTKEY")
        return True


def _check_layout(columns: list[Column], layout: Layout) -> None:
    types = {column.name: column.type.name for column in columns}
    for name in [*layout.primary_key, *layout.unique, *layout.references, *layout.sortkeys, layout.distkey]:
        if name and name not in types:
            raise SqlError("42703", f'column "{name}" named in key does not exist')
    for name in [*layout.sortkeys, layout.distkey]:
        if name and types[name] in {"super", "varbyte"}:
            raise not_supported(f'column "{name}" of type {types[name]} cannot be a DISTKEY or SORTKEY')
    _check_distribution(layout)


def _check_distribution(layout: Layout) -> None:
    if layout.distkey and layout.diststyle not in {"", "key"}:
        raise SqlError("42601", f"DISTKEY cannot be given with DISTSTYLE {layout.diststyle.upper()}")
    if layout.diststyle == "key" and not layout.distkey:
        raise SqlError("42601", "DISTSTYLE KEY needs a DISTKEY column")


def _array(names: list[str]) -> str:
    return f"ARRAY[{', '.join(name_literal(n) for n in names)}]::text[]"


def _layout_values(table: str, layout: Layout) -> list[str]:
    return [
        quote_literal(table),
        quote_literal("key" if layout.distkey else layout.diststyle or "auto"),
        name_literal(layout.distkey),
        quote_literal(layout.sortstyle or "auto"),
        _array(layout.sortkeys),
    ]


def _note_sql(table: str, columns: list[Column], layout: Layout) -> str:
    encoded = [column for column in columns if column.encoding]
    values = [
        *_layout_values(table, layout),
        _array(layout.primary_key),
        _array([*layout.unique, *layout.references]),
        _array([column.name for column in encoded]),
        _array([column.encoding for column in encoded]),
    ]
    return f"{INTERNAL_SCHEMA}.note_table({', '.join(values)})"
