"""The README's rights are enough: users with exactly its grants run everything it promises."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..conftest import World
    from .conftest import Command

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
RIGHTS = README[README.index("### Rights") : README.index("### Every night")]
SOURCE_SQL, WAREHOUSE_SQL = re.findall(r"```sql\n(.*?)```", RIGHTS, flags=re.DOTALL)
PASSWORD = "Secret1234"


def statements(sql: str, **names: str) -> list[str]:
    """The README's statements for other names than its own; what MariaDB needs as well stands in a comment."""
    for name, other in names.items():
        sql = re.sub(rf"\b{name}\b", other, sql)
    sql = re.sub(r"(GRANT PROCESS[^;]*) ON (.*)-- MariaDB: (.*) as well", r"\1, \3 ON \2", sql)
    return [line.strip() for line in sql.replace("…", PASSWORD).split(";") if line.strip()]


@pytest.fixture
def least(world: World) -> Iterator[dict[str, str]]:
    """Variables of two users who may do what the README grants, and no more."""
    user, loader = f"u{secrets.token_hex(4)}", f"l{secrets.token_hex(4)}"
    for statement in statements(SOURCE_SQL.replace("10.0.%", "%"), s3rs=user, settlement=world.schema):
        world.execute(statement)
    world.warehouse.execute(f'CREATE SCHEMA "{world.schema}"'.encode())
    for statement in statements(WAREHOUSE_SQL, loader=loader, public=f'"{world.schema}"'):
        world.warehouse.execute(statement.encode())
    yield {"DB_USER": user, "DB_PASSWORD": PASSWORD, "REDSHIFT_USER": loader, "REDSHIFT_PASSWORD": PASSWORD}
    world.execute(f"DROP USER {user}@'%'")


def test_with_the_rights_of_the_readme_everything_works(world: World, command: Command, least: dict[str, str]) -> None:
    world.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, ant_parcel_no VARCHAR(20), partner_id INT, latest_status VARCHAR(9),"
        " update_at DATETIME NOT NULL, KEY (update_at))"
    )
    world.execute("INSERT INTO t VALUES (1, 'a', 1, 'sent', '2026-01-01'), (2, 'b', 1, 'sent', '2026-01-02')")
    table = f"{world.schema}.t"

    def run(*words: str) -> str:
        done = command(*words, **least)
        assert done.code == 0, f"{' '.join(words)}: exit {done.code}\n{done.err}{done.out}"
        assert "privilege" not in done.err + done.out, done.err + done.out
        return done.out

    findings = command("status", "-t", table, "-o", "json", **least).json["findings"]
    assert [f for f in findings if f["about"] in ("mysql", "redshift", "s3", table)] == []
    run("sync", "-t", table, "--dry-run", "--show-sql", "--estimate")
    run("backup", "-t", table, "--inline")
    run("sync", "-t", table, "--inline", "--redshift-only")
    world.execute("UPDATE t SET latest_status = 'lost', update_at = '2026-01-03' WHERE id = 1")
    run("sync", "-t", table, "--inline", "--verify-data")
    world.execute("ALTER TABLE t MODIFY latest_status VARCHAR(90), MODIFY partner_id BIGINT, ADD COLUMN more INT")
    world.execute("UPDATE t SET latest_status = REPEAT('x', 80), more = 7, update_at = '2026-01-04' WHERE id = 2")
    run("sync", "-t", table, "--inline")
    run("verify", "-t", table, "--inline")
    run("sync", "-t", table, "--inline", "--full-refresh")
    run("views", "apply", "-t", table)
    run("views", "apply", "-t", table)
    run("inspect", "-t", table)
    run("watermark", "reset", "-t", table)
    run("watermark", "rebuild", "-t", table)
    world.assert_equal("t")
    assert command("sync", "-t", "mysql.user", "--inline", **least).code == 2, "the user sees more than its schema"
