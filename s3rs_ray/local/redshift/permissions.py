"""The grammar of GRANT, REVOKE, CREATE USER and CREATE GROUP.

Source: AWS documentation, the pages of these commands. Roles, columns, functions, datashares and default
privileges are not modelled.
"""

from __future__ import annotations

from s3rs_ray.local.redshift.actions import Script
from s3rs_ray.local.redshift.alterations import Alterations
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA
from s3rs_ray.local.redshift.sqlerror import not_supported
from s3rs_ray.local.redshift.tokens import quote_literal, quote_name

__all__ = ["Permissions"]

_TABLE_PRIVILEGES = ("select", "insert", "update", "delete", "references", "truncate")
_SCHEMA_PRIVILEGES = ("usage", "create")


class Permissions(Alterations):
    """Statements about who may do what."""

    def grant(self) -> Script:
        """Consumes ``GRANT privileges ON objects TO grantee [WITH GRANT OPTION], ...``; a user alone has the option."""
        self.expect("grant")
        text = f"GRANT {self._privileges()} TO "
        self.expect("to")
        statements: list[str] = []
        while True:
            user = not self.peek_word("public", "group")
            grantee = self._grantee()
            option = " WITH GRANT OPTION" if self.accept("with", "grant", "option") else ""
            if option and not user:
                raise not_supported("WITH GRANT OPTION cannot be given to a group or to PUBLIC")
            statements.append(f"{text}{grantee}{option}")
            if not self.accept_operator(","):
                break
        self.expect_end()
        return Script(statements=tuple(statements), tag="GRANT")

    def revoke(self) -> Script:
        """Consumes ``REVOKE privileges ON objects FROM grantees [CASCADE|RESTRICT]``."""
        self.expect("revoke")
        option = "GRANT OPTION FOR " if self.accept("grant", "option", "for") else ""
        text = f"REVOKE {option}{self._privileges()} FROM "
        self.expect("from")
        text += self._grantees()
        if self.accept("cascade"):
            text += " CASCADE"
        else:
            self.accept("restrict")
        self.expect_end()
        return Script(statements=(text,), tag="REVOKE")

    def _privileges(self) -> str:
        words: list[str] = []
        if self.accept("all"):
            self.accept("privileges")
            words.append("ALL")
        else:
            while True:
                if not self.peek_word(*_TABLE_PRIVILEGES, *_SCHEMA_PRIVILEGES, "temp", "temporary"):
                    raise not_supported(f"privilege {self.token.value.upper()} is not modelled")
                words.append(self.take().value.upper())
                if not self.accept_operator(","):
                    break
        self.expect("on")
        return f"{', '.join(words)} ON {self._objects()}"

    def _objects(self) -> str:
        if self.accept("schema"):
            return "SCHEMA " + self._name_list()
        if self.accept("database"):
            return "DATABASE " + self._name_list()
        if self.accept("all", "tables", "in", "schema"):
            return "ALL TABLES IN SCHEMA " + self._name_list()
        if self.peek_word("function", "procedure", "language", "datashare", "assumerole"):
            raise not_supported(f"privileges on {self.token.value.upper()} are not modelled")
        self.accept("table")
        tables = [self.table_name().sql]
        while self.accept_operator(","):
            tables.append(self.table_name().sql)
        return "TABLE " + ", ".join(tables)

    def _name_list(self) -> str:
        names = [quote_name(self.name())]
        while self.accept_operator(","):
            names.append(quote_name(self.name()))
        return ", ".join(names)

    def _grantees(self) -> str:
        grantees = [self._grantee()]
        while self.accept_operator(","):
            grantees.append(self._grantee())
        return ", ".join(grantees)

    def _grantee(self) -> str:
        if self.accept("public"):
            return "PUBLIC"
        if self.peek_word("role"):
            raise not_supported("roles are not modelled")
        self.accept("group")
        return quote_name(self.name())

    def create_user(self) -> Script:
        """Consumes what follows ``CREATE USER``."""
        name = self.name()
        self.accept("with")
        self.expect("password")
        password = "NULL" if self.accept("disable") else quote_literal(self.string())
        groups: list[str] = []
        if self.accept("in", "group"):
            groups.append(self.name())
            while self.accept_operator(","):
                groups.append(self.name())
        self.expect_end()
        array = f"ARRAY[{', '.join(quote_literal(g) for g in groups)}]::text[]"
        made = f"SELECT {INTERNAL_SCHEMA}.create_user({quote_literal(name)}, {password}, {array})"
        return Script(statements=(made,), tag="CREATE USER")

    def create_group(self) -> Script:
        """Consumes what follows ``CREATE GROUP``."""
        name = self.name()
        statements = [f"CREATE ROLE {quote_name(name)} NOLOGIN"]
        if self.accept("with"):
            self.expect("user")
            statements.append(f"GRANT {quote_name(name)} TO {self._name_list()}")
        self.expect_end()
        return Script(statements=tuple(statements), tag="CREATE GROUP")
