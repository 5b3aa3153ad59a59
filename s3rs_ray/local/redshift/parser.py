"""What all grammars share: walking over tokens, names, types."""

from __future__ import annotations

from dataclasses import dataclass, field

from s3rs_ray.local.redshift.datatypes import DataType, data_type
from s3rs_ray.local.redshift.names import (
    INTERNAL_SCHEMA,
    RESERVED,
    SYSTEM_COLUMNS,
    SYSTEM_RELATIONS,
    SYSTEM_SCHEMAS,
)
from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported, syntax_error
from s3rs_ray.local.redshift.tokens import Kind, Token, quote_name

__all__ = ["Parser", "TableName"]

_TWO_WORD_TYPES = {("double", "precision"), ("character", "varying"), ("binary", "varying")}


@dataclass(frozen=True, slots=True)
class TableName:
    """A relation as a client named it; the schema is None when it was left out."""

    schema: str | None
    name: str

    @property
    def sql(self) -> str:
        """The name for PostgreSQL, quoted."""
        return quote_name(self.name) if self.schema is None else f"{quote_name(self.schema)}.{quote_name(self.name)}"

    @property
    def plain(self) -> str:
        """The name without quotes, for look-ups and messages."""
        return self.name if self.schema is None else f"{self.schema}.{self.name}"


@dataclass
class Parser:
    """A position in a list of tokens.

    Methods named after a piece of grammar consume it and return what PostgreSQL is to read in its place.
    """

    tokens: list[Token]
    at: int = 0
    system_relations: set[str] = field(default_factory=set)
    user_relations: set[str] = field(default_factory=set)
    common_tables: set[str] = field(default_factory=set)
    touched: list[str] = field(default_factory=list)

    @property
    def token(self) -> Token:
        """The token that comes next."""
        return self.tokens[self.at]

    def peek_word(self, *words: str, ahead: int = 0) -> bool:
        """Whether the token ``ahead`` positions on is one of these unquoted words."""
        index = self.at + ahead
        if index >= len(self.tokens):
            return False
        token = self.tokens[index]
        return token.kind is Kind.WORD and token.value in words

    def peek_operator(self, *operators: str, ahead: int = 0) -> bool:
        """Whether the token ``ahead`` positions on is one of these operators."""
        index = self.at + ahead
        if index >= len(self.tokens):
            return False
        token = self.tokens[index]
        return token.kind is Kind.OPERATOR and token.value in operators

    def take(self) -> Token:
        """Consumes one token."""
        token = self.token
        if token.kind is not Kind.END:
            self.at += 1
        return token

    def accept(self, *words: str) -> bool:
        """Consumes these words if all of them come next."""
        if all(self.peek_word(word, ahead=i) for i, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def accept_operator(self, operator: str) -> bool:
        """Consumes this operator if it comes next."""
        if self.peek_operator(operator):
            self.at += 1
            return True
        return False

    def expect(self, *words: str) -> None:
        """Consumes these words.

        Raises:
            SqlError: 42601 when something else comes next.
        """
        for word in words:
            if not self.accept(word):
                raise self.unexpected()

    def expect_operator(self, operator: str) -> None:
        """Consumes this operator or raises 42601."""
        if not self.accept_operator(operator):
            raise self.unexpected()

    def expect_end(self) -> None:
        """Raises 42601 unless the statement ends here."""
        if self.token.kind is not Kind.END:
            raise self.unexpected()

    def unexpected(self) -> SqlError:
        """The error for the token that comes next."""
        return syntax_error(self.token.value)

    def string(self) -> str:
        """Consumes a string literal and returns its text."""
        if self.token.kind is not Kind.STRING:
            raise self.unexpected()
        return self.take().value

    def integer(self) -> int:
        """Consumes an integer literal."""
        if self.token.kind is not Kind.NUMBER or not self.token.value.isdigit():
            raise self.unexpected()
        return int(self.take().value)

    def name(self) -> str:
        """Consumes a name, folded to lower case.

        Raises:
            SqlError: 42601 for a reserved word that is not quoted.
        """
        token = self.token
        if token.kind is Kind.NAME or (token.kind is Kind.WORD and token.value not in RESERVED):
            return self.take().value
        raise self.unexpected()

    def new_column_name(self) -> str:
        """Consumes the name of a column that is to be created.

        Raises:
            SqlError: 42701 for the name of a system column.
        """
        name = self.name()
        if name in SYSTEM_COLUMNS:
            raise SqlError("42701", f'column name "{name}" conflicts with a system column name')
        return name

    def table_name(self) -> TableName:
        """Consumes ``[schema.]name`` of a relation that is no system relation.

        Raises:
            SqlError: 0A000 for ``database.schema.table``, 42501 for a system relation.
        """
        first = self.name()
        schema: str | None = None
        if self.accept_operator("."):
            schema, first = first, self.name()
            if self.peek_operator("."):
                raise not_supported("cross-database references are not supported")
        table = TableName(schema, first)
        if schema in SYSTEM_SCHEMAS or table.plain in SYSTEM_RELATIONS or first.startswith("pg_"):
            raise SqlError("42501", f'permission denied: "{table.plain}" is a system catalog')
        self._check_internal(table)
        self.user_relations.add(table.plain)
        self.touched.append(table.sql)
        return table

    def relation(self) -> str:
        """Consumes the name of anything a FROM clause may read: a table, a view, a system view, a common table."""
        start = self.at
        first = self.name()
        schema = None
        if self.accept_operator("."):
            schema, first = first, self.name()
        plain = first if schema is None else f"{schema}.{first}"
        if schema is None and first in self.common_tables:
            return quote_name(first)
        if plain in SYSTEM_RELATIONS:
            self.system_relations.add(plain)
            return f"{INTERNAL_SCHEMA}.{SYSTEM_RELATIONS[plain]}"
        if schema is None and first.startswith(("stl_", "svl_", "stv_")):
            # Serverless and ordinary users may not read these; what reads them must cope.
            raise SqlError("42501", f"permission denied for relation {first}")
        if schema in SYSTEM_SCHEMAS or first.startswith(("pg_", "svv_", "sys_", "svcs_")):
            raise SqlError("42P01", f'relation "{plain}" does not exist', hint="The stand-in does not model it.")
        self.at = start
        return self.table_name().sql

    def _check_internal(self, table: TableName) -> None:
        if table.schema == INTERNAL_SCHEMA:
            raise SqlError("3F000", f'schema "{table.schema}" does not exist')

    def names_touched(self) -> tuple[str, ...]:
        """Every user relation named so far, quoted, once."""
        return tuple(dict.fromkeys(self.touched))

    def names(self) -> list[str]:
        """Consumes ``(name, name...)``."""
        self.expect_operator("(")
        names = [self.name()]
        while self.accept_operator(","):
            names.append(self.name())
        self.expect_operator(")")
        return names

    def type_name(self, *, column: bool = False) -> DataType:
        """Consumes a data type.

        Raises:
            SqlError: 0A000 for a type Redshift does not have.
        """
        if self.token.kind is not Kind.WORD:
            raise self.unexpected()
        name = self.take().value
        if self.token.kind is Kind.WORD and (name, self.token.value) in _TWO_WORD_TYPES:
            name = f"{name} {self.take().value}"
        arguments: list[str] = []
        if self.accept_operator("("):
            arguments.append("max" if self.accept("max") else str(self.integer()))
            while self.accept_operator(","):
                arguments.append(str(self.integer()))
            self.expect_operator(")")
        if name in {"time", "timestamp"}:
            for zone in ("without", "with"):
                if self.accept(zone, "time", "zone"):
                    name = f"{name} {zone} time zone"
        if self.peek_operator("["):
            raise not_supported("arrays are not supported")
        return data_type(name, arguments, column=column)
