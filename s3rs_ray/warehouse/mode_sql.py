"""The statements by which staged rows get into the target, by mode, as text.

The same rules hold as in :mod:`~s3rs_ray.warehouse.sql`.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase

from ..table_settings import DELETED_COLUMN, LOAD_COLUMNS
from .sql import Target, layout, ledger_name, names, parsed, quote_name, quote_text


def repeated_keys_sql(target: Target) -> str:
    """One row when staging holds a key twice."""
    key = ", ".join(key_values(target))
    return f"SELECT 1 FROM {target.staging} GROUP BY {key} HAVING count(*) > 1 LIMIT 1"


def pick_newest_sql(target: Target) -> str:
    """The newest version of each key that staging holds."""
    key, cursor = ", ".join(key_values(target)), quote_name(target.cursor)
    # A cursor is NULL where it was a zero date, the oldest of all; DESC alone would put it first.
    ranked = f"ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {cursor} DESC NULLS LAST) AS s3rs_rank"
    return (
        f"INSERT INTO {target.newest} ({names(target.columns)}) SELECT {names(target.columns, 'x.')}"
        f" FROM (SELECT s.*, {ranked} FROM {target.staging} AS s) AS x WHERE x.s3rs_rank = 1"
    )


def count_known_sql(target: Target, staged: str) -> str:
    """Counts the staged rows whose key the target holds."""
    return (
        f"SELECT count(*) FROM {staged} AS x WHERE EXISTS"
        f" (SELECT 1 FROM {target.qualified} AS t WHERE {_same_key(target, 't', 'x')})"
    )


def count_new_sql(target: Target, staged: str, *, nulls: bool = False) -> str:
    """Counts the staged rows of which the target holds no newer version; parameters as :func:`delete_older_sql`."""
    cursor = quote_name(target.cursor)
    # A cursor is NULL where it was a zero date, the oldest of all.
    newer = (
        f"t.{cursor} > %s" if nulls else f"(t.{cursor} > x.{cursor} OR x.{cursor} IS NULL AND t.{cursor} IS NOT NULL)"
    )
    return (
        f"SELECT count(*) FROM {staged} AS x WHERE NOT EXISTS"
        f" (SELECT 1 FROM {target.qualified} AS t WHERE {_same_key(target, 't', 'x')} AND {newer})"
    )


def delete_older_sql(target: Target, staged: str, *, nulls: bool = False) -> str:
    """Removes the versions that are replaced: those that are not newer than the staged ones.

    Args:
        nulls: the cursor of all staged rows is NULL. They are as new as the horizon they were read behind, the one
            parameter: every version of them with a cursor up to it was written before.
    """
    return f"DELETE FROM {target.qualified} USING {staged} WHERE {_replaced(target, staged, nulls=nulls)}"


def update_older_sql(target: Target, staged: str, *, stamp: str = "", nulls: bool = False) -> str:
    """Replaces the older versions in place, for a target with columns of its own: their values stay.

    A row that was marked as gone from the source is there again. Parameters as :func:`delete_older_sql`.

    Args:
        stamp: the run to write into the load columns; empty for a target without them.
    """
    staged_values = zip(_written(target, stamp), _values(target, f"{staged}.", stamp), strict=True)
    unmarked = [f"{quote_name(name)} = NULL" for name in DELETED_COLUMN] if target.marks else []
    values = ", ".join([*(f"{name} = {value}" for name, value in staged_values), *unmarked])
    return f"UPDATE {target.qualified} SET {values} FROM {staged} WHERE {_replaced(target, staged, nulls=nulls)}"


def insert_missing_sql(target: Target, staged: str, stamp: str = "") -> str:
    """Inserts the staged rows whose key the target does not hold (any more)."""
    return (
        f"{insert_all_sql(target, target.qualified, staged, stamp)} WHERE NOT EXISTS"
        f" (SELECT 1 FROM {target.qualified} AS t WHERE {_same_key(target, 't', 'x')})"
    )


def keep_own_sql(target: Target, staged: str, own: Sequence[str], *, versions: bool) -> str:
    """Keeps what the target alone knows of the staged rows, once for each.

    Args:
        own: columns that no load writes.
        versions: rows are told apart by key and cursor, not by the key alone.
    """
    told, cursor = _told_by(target, "t.", versions=versions), quote_name(target.cursor)
    columns = ", ".join(f"t.{quote_name(c)}" for c in (*dict.fromkeys((*target.key, target.cursor)), *own))
    ranked = f"ROW_NUMBER() OVER (PARTITION BY {', '.join(told)} ORDER BY t.{cursor} DESC NULLS LAST) AS s3rs_rank"
    same = _same(target, "t.", "s.", versions=versions)
    return (
        f"CREATE TEMP TABLE {target.kept} AS SELECT x.* FROM (SELECT {columns}, {ranked} FROM {target.qualified} AS t"
        f" WHERE EXISTS (SELECT 1 FROM {staged} AS s WHERE {same})) AS x WHERE x.s3rs_rank = 1"
    )


def delete_staged_sql(target: Target, staged: str, *, versions: bool) -> str:
    """Removes every row of the target that a staged one takes the place of."""
    same = _same(target, f"{target.qualified}.", f"{staged}.", versions=versions)
    return f"DELETE FROM {target.qualified} USING {staged} WHERE {same}"


def insert_mended_sql(target: Target, staged: str, own: Sequence[str], stamp: str, *, versions: bool) -> str:
    """Inserts every staged row, with what :func:`keep_own_sql` kept of it."""
    if not own:
        return insert_all_sql(target, target.qualified, staged, stamp)
    named = [quote_name(c) for c in own]
    return (
        f"INSERT INTO {target.qualified} ({', '.join([*_written(target, stamp), *named])})"
        f" SELECT {', '.join([*_values(target, 'x.', stamp), *(f'k.{name}' for name in named)])}"
        f" FROM {staged} AS x LEFT JOIN {target.kept} AS k ON {_same(target, 'k.', 'x.', versions=versions)}"
    )


def later_run_sql(schema: str, *, ended: bool = False) -> str:
    """A later run that loaded a file there, or one that reached its end; parameters: source table, target, run id."""
    what = "reaches IS NOT NULL" if ended else "file_count > 0"
    return (
        f"SELECT run_id FROM {ledger_name(schema)} WHERE source_table = %s AND target = %s AND run_id > %s"
        f" AND {what} LIMIT 1"
    )


def gone_table_sql(target: Target) -> str:
    """The temporary table of keys that are gone from the source."""
    types = {c.name: c.redshift_type for c in target.columns}
    return f"CREATE TEMP TABLE {target.gone} ({', '.join(f'{quote_name(k)} {types[k]}' for k in target.key)})"


def delete_gone_sql(target: Target) -> str:
    """Deletes the rows of these keys."""
    same = _same_key(target, target.qualified, target.gone)
    return f"DELETE FROM {target.qualified} USING {target.gone} WHERE {same}"


def mark_gone_sql(target: Target) -> str:
    """Marks the rows of these keys with the time of the statement, but for those that are marked."""
    (column,) = (quote_name(name) for name in DELETED_COLUMN)
    return (
        f"UPDATE {target.qualified} SET {column} = GETDATE() FROM {target.gone}"
        f" WHERE {_same_key(target, target.qualified, target.gone)} AND {target.qualified}.{column} IS NULL"
    )


def delete_unkeyed_sql(target: Target, where: str) -> str:
    """Deletes the rows of a condition that have NULL in their key."""
    return f"DELETE FROM {target.qualified} WHERE {_unkeyed(target)} AND {where}"


def mark_unkeyed_sql(target: Target, where: str) -> str:
    """Marks them as :func:`mark_gone_sql` does."""
    (column,) = (quote_name(name) for name in DELETED_COLUMN)
    return (
        f"UPDATE {target.qualified} SET {column} = GETDATE() WHERE {_unkeyed(target)} AND {where} AND {column} IS NULL"
    )


def _unkeyed(target: Target) -> str:
    return f"({' OR '.join(f'{quote_name(k)} IS NULL' for k in target.key)})"


def repeated_versions_sql(target: Target) -> str:
    """One row when staging holds a version twice, as after a look-back."""
    version = ", ".join(_version_values(target))
    return f"SELECT 1 FROM {target.staging} GROUP BY {version} HAVING count(*) > 1 LIMIT 1"


def pick_versions_sql(target: Target) -> str:
    """Each version that staging holds, once."""
    ranked = (
        f"ROW_NUMBER() OVER (PARTITION BY {', '.join(_version_values(target))} ORDER BY {quote_name(target.cursor)})"
    )
    return (
        f"INSERT INTO {target.newest} ({names(target.columns)}) SELECT {names(target.columns, 'x.')}"
        f" FROM (SELECT s.*, {ranked} AS s3rs_rank FROM {target.staging} AS s) AS x WHERE x.s3rs_rank = 1"
    )


def count_new_versions_sql(target: Target, staged: str) -> str:
    """Counts the staged versions that the target does not hold."""
    return f"SELECT count(*) FROM {staged} AS x WHERE {_new_version(target)}"


def insert_new_versions_sql(target: Target, staged: str, stamp: str = "") -> str:
    """Inserts the staged versions that the target does not hold."""
    return f"{insert_all_sql(target, target.qualified, staged, stamp)} WHERE {_new_version(target)}"


def insert_all_sql(target: Target, into: str, staged: str, stamp: str = "") -> str:
    """Inserts every staged row."""
    return (
        f"INSERT INTO {into} ({', '.join(_written(target, stamp))})"
        f" SELECT {', '.join(_values(target, 'x.', stamp))} FROM {staged} AS x"
    )


def _new_version(target: Target) -> str:
    same = _same(target, "t.", "x.", versions=True)
    return f"NOT EXISTS (SELECT 1 FROM {target.qualified} AS t WHERE {same})"


def _version_values(target: Target, prefix: str = "") -> list[str]:
    """What tells one version of a row from another: key and cursor.

    A cursor that may be NULL is compared as text, so that NULL equals NULL and the join stays one of equality.
    """
    cursor = next(c for c in target.columns if c.name == target.cursor)
    value = prefix + quote_name(cursor.name)
    if cursor.nullable or cursor.zero_dates:
        value = f"COALESCE(CAST({value} AS VARCHAR(40)), '')"
    return [*key_values(target, prefix), value]


def _written(target: Target, stamp: str) -> list[str]:
    """The columns of the target that a load writes, quoted."""
    return [quote_name(name) for name in (*(c.name for c in target.columns), *(LOAD_COLUMNS if stamp else ()))]


def _values(target: Target, prefix: str, stamp: str) -> list[str]:
    """What they are given. GETDATE is the time of the statement in the session's time zone, UTC unless it was set."""
    return parsed(target.columns, prefix) + _stamp_values(stamp)


def _stamp_values(stamp: str) -> list[str]:
    return ["GETDATE()", quote_text(stamp)] if stamp else []


def _replaced(target: Target, staged: str, *, nulls: bool) -> str:
    cursor = quote_name(target.cursor)
    newest = "%s" if nulls else f"{staged}.{cursor}"
    older = f"({target.qualified}.{cursor} IS NULL OR {target.qualified}.{cursor} <= {newest})"
    return f"{_same_key(target, target.qualified, staged)} AND {older}"


def _same_key(target: Target, left: str, right: str) -> str:
    return _same(target, f"{left}.", f"{right}.", versions=False)


def _same(target: Target, left: str, right: str, *, versions: bool) -> str:
    pairs = zip(_told_by(target, left, versions=versions), _told_by(target, right, versions=versions), strict=True)
    return " AND ".join(f"{ours} = {theirs}" for ours, theirs in pairs)


def _told_by(target: Target, prefix: str, *, versions: bool) -> list[str]:
    """What tells one row from another."""
    return _version_values(target, prefix) if versions else key_values(target, prefix)


def key_values(target: Target, prefix: str = "") -> list[str]:
    """What tells one key from another, as at the source.

    Redshift ignores trailing blanks when it compares VARCHAR, MySQL does not under a NO PAD collation (the default
    of MySQL 8): there ``'a'`` and ``'a '`` are two rows. Where they do not count, they are cut: that GROUP BY ignores
    them too is not documented. Only A-Z is folded, because every collation that ignores case agrees on it.
    """
    texts = {c.name for c in target.columns if c.redshift_type.startswith("VARCHAR")}
    values = [_key_value(target, name, prefix) for name in target.key]
    return values + [
        f"octet_length({prefix}{quote_name(k)})" for k in target.key if k in texts and k not in target.padded
    ]


def _key_value(target: Target, name: str, prefix: str) -> str:
    value = prefix + quote_name(name)
    if name in target.folded:
        value = f"TRANSLATE({value}, '{ascii_uppercase}', '{ascii_lowercase}')"
    return f"RTRIM({value})" if name in target.padded else value


def create_shadow_sql(target: Target, shadow: str) -> str:
    """The table in which a full refresh is gathered: types and layout of the target's, so that rows need not move."""
    columns = ", ".join(f"{quote_name(c.name)} {c.redshift_type}" for c in target.columns)
    return f"CREATE TABLE IF NOT EXISTS {target.in_schema(shadow)} ({columns}){layout(target)}"


def tables_sql() -> str:
    """The tables of a schema; parameter: schema. Those in which full refreshes are gathered are told by their names."""
    return "SELECT table_name FROM svv_tables WHERE table_schema = %s"


def gathered_sql(schema: str) -> str:
    """How many loads a full refresh had, and their rows; parameters: source table, target, generation."""
    return (
        f"SELECT count(*), COALESCE(SUM(row_count), 0) FROM {ledger_name(schema)}"
        " WHERE source_table = %s AND target = %s AND generation = %s"
    )


def delete_all_sql(target: Target) -> str:
    """Empties the target for those who look after COMMIT. TRUNCATE would commit by itself."""
    return f"DELETE FROM {target.qualified}"


def fill_sql(target: Target, shadow: str, stamp: str = "") -> str:
    """Inserts every row of a shadow table, whose values have the target's types already."""
    values = [f"x.{quote_name(c.name)}" for c in target.columns] + _stamp_values(stamp)
    return (
        f"INSERT INTO {target.qualified} ({', '.join(_written(target, stamp))})"
        f" SELECT {', '.join(values)} FROM {target.in_schema(shadow)} AS x"
    )
