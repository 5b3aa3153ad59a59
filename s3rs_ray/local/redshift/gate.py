"""The gate: an allow-list of statements, each with its own grammar; everything else is refused with 0A000.

Pure: text goes in, an :data:`~s3rs_ray.local.redshift.actions.Action` or an error comes out.
"""

from __future__ import annotations

from collections.abc import Callable

from s3rs_ray.local.redshift.actions import Action, Forward, Script
from s3rs_ray.local.redshift.changes import Changes
from s3rs_ray.local.redshift.copy_grammar import CopyGrammar
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.permissions import Permissions
from s3rs_ray.local.redshift.psql import catalog_query
from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported
from s3rs_ray.local.redshift.tokens import Kind, Token, quote_literal, quote_name

__all__ = ["SNAPSHOT", "Gate", "judge"]

# Snapshot isolation, by PostgreSQL's name. A single statement outside of a transaction needs none: it takes its
# snapshot when it has its locks, so that a reader who waited for the swap of a table sees the new one.
SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ"

# Parameters a client may SET -> what PostgreSQL calls them.
_PARAMETERS: dict[str, str] = {
    "statement_timeout": "statement_timeout",
    "search_path": "search_path",
    "application_name": "redshift.application_name",
    "timezone": "timezone",
    "datestyle": "datestyle",
    "client_encoding": "client_encoding",
    "extra_float_digits": "extra_float_digits",
    "query_group": "application_name",  # pg_stat_activity shows it, so SYS_QUERY_HISTORY can
    "enable_result_cache_for_session": "redshift.enable_result_cache_for_session",
    "enable_case_sensitive_identifier": "redshift.enable_case_sensitive_identifier",
    "wlm_query_slot_count": "redshift.wlm_query_slot_count",
    "describe_field_name_in_uppercase": "redshift.describe_field_name_in_uppercase",
}
_SHOWN_ONLY = frozenset({"server_version", "server_encoding", "transaction_isolation", "is_superuser"})
# Settings that would change how text and names are read; the gate knows the default only.
_PINNED = {
    "client_encoding": {"utf8", "utf-8", "unicode"},
    "enable_case_sensitive_identifier": {"false", "off"},
    "describe_field_name_in_uppercase": {"off", "false"},
}


def judge(tokens: list[Token]) -> Action:
    """Decides about one statement (its tokens, ending with ``END``).

    Raises:
        SqlError: what the client is told when the statement does not pass.
    """
    return Gate(tokens).statement()


class Gate(Permissions, Changes):
    """The first words of a statement choose its grammar."""

    def statement(self) -> Action:
        """Consumes one whole statement."""
        forms: dict[str, Callable[[], Action]] = {
            "select": self._select_statement,
            "with": self._select_statement,
            "insert": self.insert,
            "update": self.update,
            "delete": self.delete,
            "merge": self.merge,
            "truncate": self.truncate,
            "copy": self._copy_statement,
            "create": self._create,
            "drop": self.drop,
            "alter": self.alter,
            "grant": self.grant,
            "revoke": self.revoke,
            "comment": self.comment,
            "begin": self._begin,
            "start": self._begin,
            "commit": self._end_of_transaction,
            "end": self._end_of_transaction,
            "rollback": self._end_of_transaction,
            "abort": self._end_of_transaction,
            "lock": self._lock,
            "analyze": self._analyze,
            "analyse": self._analyze,
            "vacuum": self._vacuum,
            "set": self._set,
            "reset": self._reset,
            "show": self._show,
            "explain": self._explain,
            "cancel": self._cancel,
        }
        if self.peek_operator("("):
            return self._select_statement()
        form = forms.get(self.token.value) if self.token.kind is Kind.WORD else None
        if form is None:
            raise not_supported(f"{self.token.value.upper()} is not supported by the stand-in")
        return form()

    def _select_statement(self) -> Forward:
        asked_by_psql = catalog_query(self.tokens)
        if asked_by_psql is not None:
            return Forward(sql=asked_by_psql, kind="select")
        text = self.query()
        self.expect_end()
        self.check_relations()
        return Forward(sql=text, kind="select", reads=self.names_touched())

    def _copy_statement(self) -> Action:
        return CopyGrammar(self.tokens).copy()

    def _create(self) -> Script:
        self.expect("create")
        replace = self.accept("or", "replace")
        if self.accept("view"):
            return self.create_view(replace)
        if not replace:
            if self.peek_word("local") and self.peek_word("temp", "temporary", ahead=1):
                self.take()
            temporary = self.accept("temp") or self.accept("temporary")
            if self.accept("table"):
                return self.create_table(temporary)
            forms = {"schema": self.create_schema, "user": self.create_user, "group": self.create_group}
            for word, form in forms.items():
                if not temporary and self.accept(word):
                    return form()
        raise not_supported(f"CREATE {self.token.value.upper()} is not supported")

    def _begin(self) -> Forward:
        self.take()
        if not self.accept("transaction"):
            self.accept("work")
        # Redshift accepts the four names of isolation levels and runs the database's own (snapshot).
        mode = ""
        while self.token.kind is not Kind.END:
            if self.accept("isolation", "level"):
                self._isolation_level()
            elif self.accept("read", "only"):
                mode = " READ ONLY"
            else:
                self.expect("read", "write")
            self.accept_operator(",")
        return Forward(sql=f"BEGIN {SNAPSHOT}{mode}", kind="begin")

    def _isolation_level(self) -> None:
        levels = (("serializable",), ("read", "committed"), ("read", "uncommitted"), ("repeatable", "read"))
        if not any(self.accept(*level) for level in levels):
            raise self.unexpected()

    def _end_of_transaction(self) -> Forward:
        word = self.take().value
        if not self.accept("transaction"):
            self.accept("work")
        if self.peek_word("to", "prepared"):
            raise not_supported("savepoints and prepared transactions are not supported")
        self.expect_end()
        kind = "commit" if word in {"commit", "end"} else "rollback"
        return Forward(sql=kind.upper(), kind=kind)

    def _lock(self) -> Forward:
        self.expect("lock")
        self.accept("table")
        tables = [self.table_name().sql]
        while self.accept_operator(","):
            tables.append(self.table_name().sql)
        if self.peek_word("in", "nowait"):
            raise not_supported("LOCK takes no mode")
        self.expect_end()
        return Forward(sql=f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE", kind="lock")

    def _analyze(self) -> Script:
        self.take()
        if self.peek_word("compression"):
            raise not_supported("ANALYZE COMPRESSION is not modelled")
        self.accept("verbose")
        text = "ANALYZE"
        if self.token.kind is not Kind.END and not self.peek_word("predicate", "all"):
            text += " " + self.table_name().sql
            if self.peek_operator("("):
                text += f" ({', '.join(quote_name(c) for c in self.names())})"
        if self.accept("predicate", "columns") or self.accept("all", "columns"):
            pass
        self.expect_end()
        return Script(statements=(text,), tag="ANALYZE")

    def _vacuum(self) -> Script:
        self.expect("vacuum")
        if not (self.accept("full") or self.accept("sort", "only") or self.accept("delete", "only")):
            for word in ("reindex", "recluster"):
                self.accept(word)
        text = "VACUUM"
        if self.token.kind is not Kind.END:
            text += " " + self.table_name().sql
            if self.accept("to"):
                self.integer()
                self.expect("percent")
            self.accept("boost")
        self.expect_end()
        return Script(statements=(text,), tag="VACUUM", alone="VACUUM", single=True)

    def _parameter_name(self) -> str:
        name = self.name()
        if name not in _PARAMETERS:
            raise SqlError("42704", f'unrecognized configuration parameter "{name}"')
        return name

    def _set(self) -> Forward:
        self.expect("set")
        if self.peek_word("local", "transaction") or (self.accept("session") and self.peek_word("authorization")):
            raise not_supported(f"SET {self.token.value.upper()} is not supported")
        name = self._parameter_name()
        if not self.accept("to"):
            self.expect_operator("=")
        if self.accept("default"):
            self.expect_end()
            return Forward(sql=f"RESET {_PARAMETERS[name]}", kind="set")
        values = [self._setting()]
        while self.accept_operator(","):
            values.append(self._setting())
        self.expect_end()
        if name in _PINNED and values[0].lower() not in _PINNED[name]:
            raise not_supported(f"SET {name} TO {values[0]} is not modelled")
        quote = quote_name if name == "search_path" else quote_literal
        if INTERNAL_SCHEMA in values:
            raise SqlError("3F000", f'schema "{INTERNAL_SCHEMA}" does not exist')
        return Forward(sql=f"SET {_PARAMETERS[name]} TO {', '.join(quote(v) for v in values)}", kind="set")

    def _setting(self) -> str:
        token = self.token
        sign = "-" if self.accept_operator("-") else ""
        if self.token.kind is Kind.END or self.token.kind is Kind.OPERATOR:
            raise self.unexpected()
        value = self.take().value
        return sign + (value.lower() if token.kind is Kind.WORD else value)

    def _reset(self) -> Forward:
        self.expect("reset")
        name = self._parameter_name()
        self.expect_end()
        return Forward(sql=f"RESET {_PARAMETERS[name]}", kind="reset")

    def _show(self) -> Forward:
        self.expect("show")
        name = self.name()
        self.expect_end()
        if name not in _PARAMETERS and name not in _SHOWN_ONLY:
            raise SqlError("42704", f'unrecognized configuration parameter "{name}"')
        return Forward(sql=_show_sql(name), kind="show")

    def _explain(self) -> Forward:
        self.expect("explain")
        verbose = "VERBOSE " if self.accept("verbose") else ""
        if self.peek_word("analyze"):
            raise not_supported("EXPLAIN ANALYZE is not supported")
        inner = self.statement()
        if not isinstance(inner, Forward) or inner.kind not in {"select", "insert", "update", "delete"}:
            raise not_supported("EXPLAIN of this statement is not supported")
        return Forward(sql=f"EXPLAIN {verbose}{inner.sql}", kind="explain", reads=inner.reads)

    def _cancel(self) -> Script:
        self.expect("cancel")
        pid = self.integer()
        if self.token.kind is Kind.STRING:
            self.take()
        self.expect_end()
        return Script(statements=(f"SELECT {INTERNAL_SCHEMA}.pg_cancel_backend({pid})",), tag="CANCEL")


def _show_sql(name: str) -> str:
    if name == "server_version":
        return f"SELECT '8.0.2'::text AS {name}"
    if name == "transaction_isolation":
        return f"SELECT 'snapshot'::text AS {name}"
    setting = _PARAMETERS.get(name, name)
    return f"SELECT coalesce(current_setting({quote_literal(setting)}, true), '') AS {quote_name(name)}"
