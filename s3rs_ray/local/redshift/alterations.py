"""The grammar of everything that changes objects: schemas, ALTER, DROP, views, comments.

Source: AWS documentation, "ALTER TABLE", "ALTER TABLE APPEND", "CREATE VIEW", "DROP TABLE", "COMMENT".
"""

from __future__ import annotations

from s3rs_ray.local.redshift.actions import Script
from s3rs_ray.local.redshift.definitions import Definitions, Layout
from s3rs_ray.local.redshift.names import INTERNAL_SCHEMA, SYSTEM_SCHEMAS
from s3rs_ray.local.redshift.parser import TableName
from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported
from s3rs_ray.local.redshift.tokens import name_literal, quote_literal, quote_name

__all__ = ["Alterations"]


def _call(function: str, *arguments: str) -> str:
    return f"SELECT {INTERNAL_SCHEMA}.{function}({', '.join(arguments)})"


class Alterations(Definitions):
    """Statements that change the definition of objects."""

    def schema_name(self) -> str:
        """Consumes the name of a schema that belongs to users."""
        name = self.name()
        if name in SYSTEM_SCHEMAS or name.startswith("pg_") or name == INTERNAL_SCHEMA:
            raise SqlError("42939", f'unacceptable schema name "{name}"')
        return name

    def create_schema(self) -> Script:
        """Consumes what follows ``CREATE SCHEMA``."""
        missing_only = "IF NOT EXISTS " if self.accept("if", "not", "exists") else ""
        text = f"CREATE SCHEMA {missing_only}{quote_name(self.schema_name())}"
        if self.accept("authorization"):
            text += f" AUTHORIZATION {quote_name(self.name())}"
        if self.accept("quota"):
            raise not_supported("QUOTA is not modelled")
        self.expect_end()
        return Script(statements=(text,), tag="CREATE SCHEMA")

    def drop(self) -> Script:
        """Consumes ``DROP TABLE | VIEW | SCHEMA | USER | GROUP ...``."""
        self.expect("drop")
        if self.peek_word("user", "group"):
            return self._drop_role()
        if not self.peek_word("table", "view", "schema"):
            raise not_supported(f"DROP {self.token.value.upper()} is not modelled")
        kind = self.take().value.upper()
        exists = "IF EXISTS " if self.accept("if", "exists") else ""
        names: list[str] = []
        while True:
            names.append(quote_name(self.schema_name()) if kind == "SCHEMA" else self.table_name().sql)
            if not self.accept_operator(","):
                break
        how = " CASCADE" if self.accept("cascade") else ""
        if not how:
            self.accept("restrict")
        self.expect_end()
        return Script(statements=(f"DROP {kind} {exists}{', '.join(names)}{how}",), tag=f"DROP {kind}")

    def _drop_role(self) -> Script:
        kind = self.take().value.upper()
        exists = "true" if self.accept("if", "exists") else "false"
        name = self.name()
        self.expect_end()
        return Script(statements=(_call("drop_role", name_literal(name), exists),), tag=f"DROP {kind}")

    def alter(self) -> Script:
        """Consumes ``ALTER TABLE ...`` or ``ALTER GROUP ...``."""
        self.expect("alter")
        if self.accept("group"):
            return self._alter_group()
        if self.accept("user"):
            return self._alter_user()
        if not self.accept("table"):
            raise not_supported(f"ALTER {self.token.value.upper()} is not modelled")
        if self.peek_word("if"):
            raise not_supported("ALTER TABLE IF EXISTS is not supported")
        table = self.table_name()
        script = self._alter_table(table)
        if self.peek_operator(","):
            raise not_supported("ALTER TABLE takes one change at a time")
        self.expect_end()
        return script

    def _alter_table(self, table: TableName) -> Script:
        head = f"ALTER TABLE {table.sql}"
        quoted = quote_literal(table.sql)
        if self.accept("add"):
            return self._add(table, head)
        if self.accept("drop"):
            self.accept("column")
            if self.peek_word("if"):
                raise not_supported("ALTER TABLE DROP COLUMN IF EXISTS is not supported")
            column = self.name()
            how = " CASCADE" if self.accept("cascade") else ""
            if not how:
                self.accept("restrict")
            checked = _call("check_droppable", quoted, name_literal(column))
            return _altered(checked, f"{head} DROP COLUMN {quote_name(column)}{how}")
        if self.accept("rename", "to"):
            return _altered(f"{head} RENAME TO {quote_name(self.name())}")
        if self.accept("rename", "column"):
            old = self.name()
            self.expect("to")
            new = self.new_column_name()
            noted = _call("note_rename", quoted, name_literal(old), name_literal(new))
            return _altered(f"{head} RENAME COLUMN {quote_name(old)} TO {quote_name(new)}", noted)
        if self.accept("owner", "to"):
            return _altered(f"{head} OWNER TO {quote_name(self.name())}")
        if self.accept("append", "from"):
            return self._append(table)
        if self.accept("alter"):
            return self._alter_layout(table)
        raise not_supported(f"ALTER TABLE ... {self.token.value.upper()} is not supported")

    def _add(self, table: TableName, head: str) -> Script:
        layout = Layout()
        if self.peek_word("constraint", "primary", "unique", "foreign", "check"):
            self._table_constraint(layout)
            return _altered(_call("note_keys", quote_literal(table.sql), _text_array(layout.primary_key)))
        self.accept("column")
        if self.peek_word("if"):
            raise not_supported("ALTER TABLE ADD COLUMN IF NOT EXISTS is not supported")
        column = self.column(layout)
        if column.identity or layout != Layout():
            raise not_supported("IDENTITY, keys and constraints cannot be given in ADD COLUMN")
        if column.not_null and not column.default:
            raise not_supported("ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression")
        encoding = quote_literal(column.encoding or "auto")
        noted = _call("note_encoding", quote_literal(table.sql), name_literal(column.name), encoding)
        return _altered(f"{head} ADD COLUMN {column.sql}", noted)

    def _append(self, table: TableName) -> Script:
        source = self.table_name()
        extra = "true" if self.accept("ignoreextra") else "false"
        fill = "true" if self.accept("filltarget") else "false"
        if self.peek_word("ignoreextra") or (extra == fill == "true"):
            raise not_supported("IGNOREEXTRA and FILLTARGET cannot be given together")
        moved = _call("append_table", quote_literal(table.sql), quote_literal(source.sql), extra, fill)
        return Script(statements=(moved,), tag="ALTER TABLE APPEND", alone="ALTER TABLE APPEND")

    def _alter_layout(self, table: TableName) -> Script:
        quoted = quote_literal(table.sql)
        if self.accept("diststyle"):
            key = ""
            style = self._diststyle()
            if style == "key":
                self.expect("distkey")
                key = self.name()
            noted = _call("note_distribution", quoted, quote_literal(style), name_literal(key))
            return _altered(noted, alone="ALTER TABLE ALTER DISTSTYLE")
        if self.accept("distkey"):
            noted = _call("note_distribution", quoted, "'key'", name_literal(self.name()))
            return _altered(noted, alone="ALTER TABLE ALTER DISTKEY")
        if self.peek_word("sortkey", "compound", "interleaved"):
            layout = Layout()
            if self.accept("sortkey", "none"):
                layout.sortstyle = "none"
            else:
                self._sortkey(layout)
            if layout.sortstyle == "interleaved":
                raise not_supported("ALTER TABLE ALTER INTERLEAVED SORTKEY is not supported")
            noted = _call("note_sort", quoted, quote_literal(layout.sortstyle), _text_array(layout.sortkeys))
            return _altered(noted, alone="ALTER TABLE ALTER SORTKEY")
        self.accept("column")
        return self._alter_column(table, self.name())

    def _alter_column(self, table: TableName, column: str) -> Script:
        quoted = quote_literal(table.sql)
        if self.accept("encode"):
            encoding = self.take().value
            return _altered(_call("note_encoding", quoted, name_literal(column), quote_literal(encoding)))
        if self.accept("set", "not", "null"):
            raise not_supported("ALTER COLUMN SET NOT NULL is not supported")
        if self.accept("set", "default") or self.accept("drop", "default"):
            raise not_supported("ALTER COLUMN SET/DROP DEFAULT is not supported")
        if not self.accept("type"):
            raise not_supported("ALTER TABLE ALTER COLUMN knows TYPE and ENCODE only")
        kind = self.type_name(column=True)
        if kind.name != "character varying":
            raise not_supported("the type of a column can only be changed to another size of VARCHAR")
        checked = _call("check_resizable", quoted, name_literal(column))
        change = f"ALTER TABLE {table.sql} ALTER COLUMN {quote_name(column)} TYPE {kind.postgres}"
        return _altered(checked, change, alone="ALTER TABLE ALTER COLUMN")

    def create_view(self, replace: bool) -> Script:
        """Consumes what follows ``CREATE [OR REPLACE] VIEW``."""
        view = self.table_name()
        columns = ""
        if self.peek_operator("("):
            columns = f" ({', '.join(quote_name(c) for c in self.names())})"
        self.expect("as")
        self.user_relations.clear()
        self.touched.clear()
        query = self.query()
        late = self.accept("with", "no", "schema", "binding")
        self.expect_end()
        if not late:
            statement = f"CREATE VIEW {view.sql}{columns} AS {query}"
            if replace:
                statement = _call("replace_view", quote_literal(view.sql), quote_literal(f"{columns} AS {query}"))
            return Script(statements=(statement,), tag="CREATE VIEW", reads=self.names_touched())
        if columns:
            raise not_supported("a column list on a late-binding view is not modelled")
        unqualified = sorted(name for name in self.user_relations if "." not in name)
        if unqualified:
            # AWS documentation, CREATE VIEW: with this clause every table is named with its schema.
            raise SqlError(
                "0A000", f'"{unqualified[0]}" must be qualified with a schema in a view WITH NO SCHEMA BINDING'
            )
        reads = f"ARRAY[{', '.join(quote_literal(table) for table in self.names_touched())}]::text[]"
        schema = name_literal(view.schema) if view.schema else "current_schema()"
        made = _call(
            "create_late_view",
            schema,
            name_literal(view.name),
            quote_literal(query),
            reads,
            "true" if replace else "false",
        )
        return Script(statements=(made,), tag="CREATE VIEW")

    def comment(self) -> Script:
        """Consumes ``COMMENT ON TABLE | VIEW | COLUMN | SCHEMA | DATABASE name IS 'text' | NULL``."""
        self.expect("comment", "on")
        if not self.peek_word("table", "view", "column", "schema", "database"):
            raise not_supported(f"COMMENT ON {self.token.value.upper()} is not modelled")
        kind = self.take().value
        checks: tuple[str, ...] = ()
        if kind == "column":
            parts = [self.name()]
            while self.accept_operator("."):
                parts.append(self.name())
            target = ".".join(quote_name(part) for part in parts)
            table = quote_literal(".".join(quote_name(part) for part in parts[:-1]))
            checks = (_call("check_comment", table),) if len(parts) > 1 else ()
        elif kind in {"schema", "database"}:
            target = quote_name(self.name())
        else:
            target = self.table_name().sql
        self.expect("is")
        text = "NULL" if self.accept("null") else quote_literal(self.string())
        self.expect_end()
        return Script(statements=(*checks, f"COMMENT ON {kind.upper()} {target} IS {text}"), tag="COMMENT")

    def _alter_group(self) -> Script:
        group = self.name()
        if self.accept("add", "user"):
            verb = "GRANT {g} TO {u}"
        else:
            self.expect("drop", "user")
            verb = "REVOKE {g} FROM {u}"
        users = [self.name()]
        while self.accept_operator(","):
            users.append(self.name())
        self.expect_end()
        text = verb.format(g=quote_name(group), u=", ".join(quote_name(user) for user in users))
        return Script(statements=(text,), tag="ALTER GROUP")

    def _alter_user(self) -> Script:
        user = self.name()
        self.accept("with")
        self.expect("password")
        password = quote_literal(self.string())
        self.expect_end()
        return Script(statements=(_call("set_password", quote_literal(user), password),), tag="ALTER USER")


def _altered(*statements: str, alone: str = "") -> Script:
    return Script(statements=statements, tag="ALTER TABLE", alone=alone)


def _text_array(names: list[str]) -> str:
    return f"ARRAY[{', '.join(name_literal(n) for n in names)}]::text[]"
