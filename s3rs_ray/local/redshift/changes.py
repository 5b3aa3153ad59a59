"""The grammar of INSERT, UPDATE, DELETE, MERGE and TRUNCATE.

Source: AWS documentation, the pages of these commands; redshift.md, "Transactions, staging, exactly once". There is
no ON CONFLICT, no RETURNING and no alias on the target of DELETE or MERGE.
"""

from __future__ import annotations

from s3rs_ray.local.redshift.actions import Forward, Script
from s3rs_ray.local.redshift.queries import Queries
from s3rs_ray.local.redshift.sqlerror import SqlError, not_supported
from s3rs_ray.local.redshift.tokens import Kind, quote_name

__all__ = ["Changes"]


class Changes(Queries):
    """Statements that change rows."""

    def insert(self) -> Forward:
        """Consumes ``INSERT INTO table [(columns)] VALUES ... | query | DEFAULT VALUES``."""
        self.expect("insert", "into")
        table = self.table_name()
        columns = ""
        if self.peek_operator("(") and not self.peek_word("select", "with", ahead=1):
            columns = f" ({', '.join(quote_name(c) for c in self.names())})"
        if self.accept("default", "values"):
            source = "DEFAULT VALUES"
        elif self.accept("values"):
            source = "VALUES " + self._rows()
        else:
            parenthesis = self.accept_operator("(")
            source = self.query()
            if parenthesis:
                self.expect_operator(")")
        self._refuse_tail()
        self.check_relations()
        return Forward(
            sql=f"INSERT INTO {table.sql}{columns} {source}",
            kind="insert",
            writes=(table.sql,),
            reads=self.names_touched(),
        )

    def _rows(self) -> str:
        rows = [self._row()]
        while self.accept_operator(","):
            rows.append(self._row())
        return ", ".join(rows)

    def _row(self) -> str:
        self.expect_operator("(")
        values = [self._value()]
        while self.accept_operator(","):
            values.append(self._value())
        self.expect_operator(")")
        return f"({', '.join(values)})"

    def _value(self) -> str:
        return "DEFAULT" if self.accept("default") else self.expression()

    def _refuse_tail(self) -> None:
        if self.peek_word("on"):
            raise not_supported("ON CONFLICT is not supported")
        if self.peek_word("returning"):
            raise not_supported("RETURNING is not supported")
        self.expect_end()

    def delete(self) -> Forward:
        """Consumes ``DELETE [FROM] table [USING items] [WHERE condition]``."""
        self.expect("delete")
        self.accept("from")
        table = self.table_name()
        if self.peek_word("as") or (self.token.kind in {Kind.WORD, Kind.NAME} and not self.peek_word(*_DELETE_WORDS)):
            raise not_supported("an alias on the target of DELETE is not supported")
        text = f"DELETE FROM {table.sql}"
        if self.accept("using"):
            text += " USING " + self.from_items()
        if self.accept("where"):
            text += " WHERE " + self.expression()
        self._refuse_tail()
        self.check_relations()
        return Forward(sql=text, kind="delete", writes=(table.sql,), reads=self.names_touched())

    def update(self) -> Forward:
        """Consumes ``UPDATE table SET column = value, ... [FROM items] [WHERE condition]``."""
        self.expect("update")
        table = self.table_name()
        if not self.peek_word("set"):
            raise not_supported("an alias on the target of UPDATE is not modelled")
        text = f"UPDATE {table.sql} SET {self._assignments()}"
        if self.accept("from"):
            text += " FROM " + self.from_items()
        if self.accept("where"):
            text += " WHERE " + self.expression()
        self._refuse_tail()
        self.check_relations()
        return Forward(sql=text, kind="update", writes=(table.sql,), reads=self.names_touched())

    def _assignments(self) -> str:
        self.expect("set")
        parts = [self._assignment()]
        while self.accept_operator(","):
            parts.append(self._assignment())
        return ", ".join(parts)

    def _assignment(self) -> str:
        column = self.name()
        if self.peek_operator("."):
            raise SqlError("42601", "the column to set takes no table name")
        self.expect_operator("=")
        return f"{quote_name(column)} = {self._value()}"

    def merge(self) -> Forward:
        """Consumes the MERGE that Redshift has: equality in ON, one WHEN MATCHED and one WHEN NOT MATCHED."""
        self.expect("merge", "into")
        table = self.table_name()
        if not self.peek_word("using"):
            raise not_supported("an alias on the target of MERGE is not supported")
        self.expect("using")
        if self.peek_operator("("):
            raise not_supported("a subquery as the source of MERGE is not supported")
        source = self._from_item()
        self.expect("on")
        condition = self._merge_condition()
        if self.peek_word("remove"):
            raise not_supported("MERGE ... REMOVE DUPLICATES is not modelled")
        self.expect("when", "matched", "then")
        matched = "DELETE" if self.accept("delete") else self._merge_update()
        self.expect("when", "not", "matched", "then", "insert")
        columns = f" ({', '.join(quote_name(c) for c in self.names())})" if self.peek_operator("(") else ""
        self.expect("values")
        values = self._row()
        if self.peek_word("when"):
            raise not_supported("MERGE takes one WHEN MATCHED and one WHEN NOT MATCHED clause")
        self._refuse_tail()
        text = (
            f"MERGE INTO {table.sql} USING {source} ON {condition} WHEN MATCHED THEN {matched} "
            f"WHEN NOT MATCHED THEN INSERT{columns} VALUES {values}"
        )
        # Every relation it names: the target and the source.
        touched = self.names_touched()
        return Forward(sql=text, kind="merge", writes=(table.sql,), reads=touched, tables=touched)

    def _merge_update(self) -> str:
        self.expect("update")
        return f"UPDATE SET {self._assignments()}"

    def _merge_condition(self) -> str:
        parenthesis = self.accept_operator("(")
        parts = [self._equality()]
        while self.accept("and"):
            parts.append(self._equality())
        if parenthesis:
            self.expect_operator(")")
        return " AND ".join(parts)

    def _equality(self) -> str:
        left = self._operation()
        if not self.peek_operator("="):
            raise not_supported("MERGE supports equality conditions only in ON")
        self.take()
        return f"{left} = {self._operation()}"

    def truncate(self) -> Script:
        """Consumes ``TRUNCATE [TABLE] table``, which commits the transaction it is in."""
        self.expect("truncate")
        self.accept("table")
        table = self.table_name()
        self.expect_end()
        return Script(statements=(f"TRUNCATE TABLE {table.sql}",), tag="TRUNCATE TABLE", commits=True)


_DELETE_WORDS = ("using", "where", "returning", "on")
