"""One client's session: the simple and the extended protocol, in front of one PostgreSQL session.

Every message is answered before the next is read, so replies keep their order even where redshift_connector sends
Close from inside its reading of CommandComplete (redshift.md, "The driver").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from s3rs_ray.local.redshift.actions import Action, Forward, Load, Script
from s3rs_ray.local.redshift.backend import Backend, parse_error
from s3rs_ray.local.redshift.copying import Copying
from s3rs_ray.local.redshift.faults import Faults
from s3rs_ray.local.redshift.gate import SNAPSHOT, judge
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.rows import Codes, Columns
from s3rs_ray.local.redshift.sqlerror import SqlError
from s3rs_ray.local.redshift.tokens import Kind, Token, quote_literal, split_statements, tokenize
from s3rs_ray.local.redshift.translation import BackendError, translate_error, translate_notice
from s3rs_ray.local.redshift.wire import Channel, ConnectionLost, cstrings, split_cstring

__all__ = ["Session"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement a client prepared: its own text, what the gate decided, and the columns it returns."""

    sql: str
    action: Action
    columns: Columns | None = None


@dataclass(slots=True, kw_only=True)
class Session:
    """Serves one client until it leaves.

    Attributes:
        client: the channel to the client.
        backend: the session with PostgreSQL, opened as the client's user.
        codes: how type codes are told.
        copying: runs the loads.
        faults: what is to go wrong on purpose.
    """

    client: Channel
    backend: Backend
    codes: Codes
    copying: Copying
    faults: Faults
    _prepared: dict[str, Prepared] = field(default_factory=dict)
    _portals: dict[str, Prepared] = field(default_factory=dict)
    _held: set[str] = field(default_factory=set)
    _locked: set[str] = field(default_factory=set)
    _skipping: bool = False
    _own_transaction: bool = False

    def run(self) -> None:
        """Serves messages until the client says goodbye.

        Raises:
            ConnectionLost: the client or PostgreSQL is gone.
        """
        self.backend.on_notice = lambda body: self.client.write(b"N", translate_notice(parse_error(body)))
        steps = {
            b"P": self._parse,
            b"B": self._bind,
            b"D": self._describe,
            b"E": self._execute,
            b"C": self._close,
            b"H": self._flush,
        }
        while True:
            if not self.client.has_input:
                self.client.flush()
            kind, body = self.client.read_message()
            if kind == b"X":
                return
            if kind == b"Q":
                self._simple(body)
            elif kind == b"S":
                self._sync()
            elif kind in steps:
                if not self._skipping:
                    self._guarded(steps[kind], body)
            elif kind not in {b"d", b"c", b"f"}:
                raise ConnectionLost(f"an unknown message {kind!r}")

    # What both protocols share

    def _decide(self, tokens: list[Token], sql: str) -> Action:
        action = judge(tokens)
        self.codes.names.note(tokens)
        if not isinstance(action, Forward) and any(token.kind is Kind.PARAMETER for token in tokens):
            raise SqlError("42P02", "there is no parameter $1", detail="This statement takes no bind parameters.")
        return action

    def _before(self, prepared: Prepared) -> None:
        """Faults, then the lock against other writers, which makes a transaction of its own if there is none."""
        self.faults.strike("statement", sql=prepared.sql, pid=self.backend.pid)
        action = prepared.action
        if isinstance(action, Forward) and action.kind == "commit":
            self.faults.strike("before_commit", sql=prepared.sql, pid=self.backend.pid)
        if isinstance(action, Load):
            self._lock((action.table.sql,), (action.table.sql,))
        elif isinstance(action, Forward):
            if action.tables:
                self.backend.query(f"SELECT {INTERNAL_SCHEMA}.require_tables({_text_array(action.tables)})")
            self._lock(action.reads, action.writes)
        else:
            self._lock(action.reads, ())

    def _lock(self, reads: tuple[str, ...], writes: tuple[str, ...]) -> None:
        """Holds what a transaction reads, then locks what it writes; each once per transaction.

        Raises:
            SqlError: 1018 for a table that the snapshot of the transaction does not know.
        """
        if writes:
            self._open_own_transaction()
        if self.backend.status != "T":
            return
        held = [table for table in reads if table not in self._held]
        if held:
            self.backend.query(f"SELECT {INTERNAL_SCHEMA}.hold({_text_array(held)})")
            self._held.update(held)
        for table in writes:
            if table not in self._locked:
                self.backend.query(f"SELECT {INTERNAL_SCHEMA}.write_lock({quote_literal(table)}::regclass)")
                self._locked.add(table)

    def _open_own_transaction(self) -> None:
        if self.backend.status == "I":
            self.backend.query(f"BEGIN {SNAPSHOT}")
            self._own_transaction = True

    def _end_own_transaction(self) -> None:
        if self._own_transaction:
            self._own_transaction = False
            self.backend.query("COMMIT" if self.backend.status == "T" else "ROLLBACK")

    def _after(self, prepared: Prepared) -> None:
        """Faults that strike when a statement has been run and the client has not heard of it."""
        if isinstance(prepared.action, Forward) and prepared.action.kind == "commit":
            self.faults.strike("after_commit", sql=prepared.sql, pid=self.backend.pid)

    def _perform(self, prepared: Prepared) -> None:
        """Runs what PostgreSQL cannot run by itself and answers with the tag."""
        if self.backend.status == "E":
            raise SqlError("25P02", "current transaction is aborted, commands ignored until end of transaction block")
        action = prepared.action
        if isinstance(action, Load):
            self.copying.run(self.backend, action, autocommit=self._own_transaction)
            tag = "COPY"
        else:
            assert isinstance(action, Script)
            self._run_script(action)
            tag = action.tag
        self.client.write(b"C", cstrings(tag))

    def _run_script(self, script: Script) -> None:
        if script.alone and self.backend.status == "T":
            raise SqlError("25001", f"{script.alone} cannot run inside a transaction block")
        for left in reversed(range(_CREATIONS)):
            try:
                self._run_statements(script)
            except SqlError as error:
                # Two sessions create the same thing at once: Redshift makes the second wait, PostgreSQL fails it.
                if not left or error.sqlstate not in _CREATED_MEANWHILE or self.backend.status != "I":
                    raise
            else:
                break
        if script.commits and self.backend.status == "T":
            self.backend.query("COMMIT")
            self._own_transaction = False

    def _run_statements(self, script: Script) -> None:
        opened = self.backend.status == "I" and not script.single and len(script.statements) > 1
        if opened:
            self.backend.query(f"BEGIN {SNAPSHOT}")
        try:
            for statement in script.statements:
                self.backend.query(statement)
        except SqlError:
            if opened:
                self.backend.query("ROLLBACK")
            raise
        if opened:
            self.backend.query("COMMIT")

    def _ready(self) -> None:
        if self.backend.status != "T":
            self._held.clear()
            self._locked.clear()
        if self.backend.status == "I":
            self.copying.remember(self.backend)
        self.client.write(b"Z", self.backend.status.encode())

    def _tell(self, error: SqlError) -> None:
        self.client.write(b"E", error.fields(self.codes.names.restore))
        if error.severity == "FATAL":
            self.client.flush()
            raise ConnectionLost(error.message)

    # The simple protocol

    def _simple(self, body: bytes) -> None:
        self._skipping = False
        try:
            sql, _ = split_cstring(body, 0)
            statements = split_statements(tokenize(sql))
            if not statements:
                self.client.write(b"I")
            if len(statements) > 1 and not any(t[0].value in _TRANSACTION_WORDS for t in statements):
                self._open_own_transaction()
            for tokens in statements:
                text = sql[tokens[0].start : tokens[-1].start]
                self._run_simple(Prepared(text, self._decide(tokens, text)))
            self._end_own_transaction()
        except SqlError as error:
            self._give_up(error)
            self._close_failed_own_transaction()
        self._ready()

    def _run_simple(self, prepared: Prepared) -> None:
        self._before(prepared)
        if isinstance(prepared.action, Forward):
            self.backend.send(b"Q", cstrings(prepared.action.sql))
            self._relay_simple(prepared)
        else:
            self._perform(prepared)

    def _relay_simple(self, prepared: Prepared) -> None:
        columns: Columns | None = None
        error: BackendError | None = None
        tag: bytes | None = None
        while True:
            kind, body = self.backend.receive()
            if kind == b"T":
                columns = self.codes.columns(body)
                self.client.write(b"T", columns.description)
            elif kind == b"D":
                self.client.write(b"D", columns.row(body) if columns else body)
            elif kind == b"C":
                tag = _tag(body)
            elif kind == b"E":
                error = translate_error(parse_error(body), self.backend.pid)
            elif kind == b"Z":
                break
        if error is not None:
            raise error
        self._after(prepared)
        self.client.write(b"C", tag or cstrings(""))

    # The extended protocol

    def _guarded(self, step: Callable[[bytes], None], body: bytes) -> None:
        try:
            step(body)
        except SqlError as error:
            self._skipping = True
            self._give_up(error)

    def _give_up(self, error: SqlError) -> None:
        if not isinstance(error, BackendError):
            self.backend.abort()
        self._tell(error)

    def _close_failed_own_transaction(self) -> None:
        if self._own_transaction and self.backend.status != "I":
            self.backend.query("ROLLBACK")
        self._own_transaction = False

    def _parse(self, body: bytes) -> None:
        name, at = split_cstring(body, 0)
        sql, at = split_cstring(body, at)
        statements = split_statements(tokenize(sql))
        if len(statements) > 1:
            raise SqlError("42601", "cannot insert multiple commands into a prepared statement")
        action: Action = Forward(sql="", kind="empty")
        if statements:
            action = self._decide(statements[0], sql)
        if isinstance(action, Forward):
            if not name:
                # An unnamed statement would not survive the stand-in's own queries.
                self._ask(b"C", b"S" + cstrings(_UNNAMED))
            self._ask(b"P", cstrings(name or _UNNAMED, action.sql) + body[at:])
        elif int.from_bytes(body[at : at + 2], "big"):
            raise SqlError("42P02", "there is no parameter $1", detail="This statement takes no bind parameters.")
        self._prepared[name] = Prepared(sql, action)
        self.client.write(b"1")

    def _bind(self, body: bytes) -> None:
        portal, at = split_cstring(body, 0)
        name, rest = split_cstring(body, at)
        prepared = self._statement(name)
        if isinstance(prepared.action, Forward):
            # Not at Execute: a query of the stand-in's own in between would close the unnamed portal.
            self._before(prepared)
            self._ask(b"B", cstrings(portal, name or _UNNAMED) + body[rest:])
        self._portals[portal] = prepared
        self.client.write(b"2")

    def _describe(self, body: bytes) -> None:
        name, _ = split_cstring(body, 1)
        of_statement = body[:1] == b"S"
        prepared = self._statement(name) if of_statement else self._portal(name)
        if not isinstance(prepared.action, Forward):
            if of_statement:
                self.client.write(b"t", b"\0\0")
            self.client.write(b"n")
            return
        kind, answer = self._ask(b"D", body[:1] + cstrings((name or _UNNAMED) if of_statement else name))
        if kind == b"t":
            self.client.write(b"t", self.codes.parameters(answer))
            kind, answer = self._answer()
        if kind == b"n":
            self.client.write(b"n")
            return
        columns = self.codes.columns(answer)
        self.client.write(b"T", columns.description)
        known = self._prepared if of_statement else self._portals
        known[name] = Prepared(prepared.sql, prepared.action, columns)

    def _execute(self, body: bytes) -> None:
        name, _ = split_cstring(body, 0)
        prepared = self._portal(name)
        if not isinstance(prepared.action, Forward):
            self._before(prepared)
            self._perform(prepared)
            return
        columns = prepared.columns
        kind, answer = self._ask(b"E", body)
        while kind == b"D":
            self.client.write(b"D", columns.row(answer) if columns else answer)
            kind, answer = self._answer()
        self._after(prepared)
        self.client.write(kind, _tag(answer) if kind == b"C" else answer)

    def _close(self, body: bytes) -> None:
        name, _ = split_cstring(body, 1)
        self._ask(b"C", body[:1] + cstrings(name or (_UNNAMED if body[:1] == b"S" else "")))
        (self._prepared if body[:1] == b"S" else self._portals).pop(name, None)
        self.client.write(b"3")

    def _flush(self, _body: bytes) -> None:
        self.client.flush()

    def _sync(self) -> None:
        self._skipping = False
        self._portals.clear()
        self.backend.send(b"S")
        while self.backend.receive()[0] != b"Z":
            pass
        try:
            self._end_own_transaction()
        except SqlError as error:
            self._tell(error)
        self._ready()

    def _ask(self, kind: bytes, body: bytes) -> tuple[bytes, bytes]:
        self.backend.send(kind, body)
        self.backend.send(b"H")
        return self._answer()

    def _answer(self) -> tuple[bytes, bytes]:
        kind, body = self.backend.receive()
        if kind == b"E":
            raise translate_error(parse_error(body), self.backend.pid)
        return kind, body

    def _statement(self, name: str) -> Prepared:
        if name not in self._prepared:
            raise SqlError("26000", f'prepared statement "{name}" does not exist')
        return self._prepared[name]

    def _portal(self, name: str) -> Prepared:
        if name not in self._portals:
            raise SqlError("34000", f'portal "{name}" does not exist')
        return self._portals[name]


# unique_violation on a catalog; duplicate schema, table, object.
_CREATED_MEANWHILE = frozenset({"23505", "42P06", "42P07", "42710"})
_CREATIONS = 3
_UNNAMED = "stand-in: unnamed"
_TRANSACTION_WORDS = frozenset({"begin", "start", "commit", "end", "rollback", "abort", "vacuum"})


def _text_array(names: Iterable[str]) -> str:
    return f"ARRAY[{', '.join(quote_literal(name) for name in names)}]::text[]"


def _tag(body: bytes) -> bytes:
    """Redshift's tag of a SELECT has no count (redshift_connector counts the rows itself)."""
    return b"SELECT\0" if body.startswith(b"SELECT") else body
