"""Which tables a command works on: names, globs, and what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..conftest import World
    from .conftest import Command


def make(world: World, *tables: str) -> None:
    for table in tables:
        world.execute(f"CREATE TABLE `{table}` (id INT PRIMARY KEY, update_at DATETIME NOT NULL, KEY (update_at))")
        world.execute(f"INSERT INTO `{table}` VALUES (1, '2026-01-01')")


def results(world: World, command: Command, *arguments: str) -> list[str]:
    done = command(*arguments, "--inline", "-o", "json")
    assert done.code == 0, done.err
    return [name.removeprefix(f"{world.schema}.") for name in done.json["table_results"]]


def test_globs_take_and_leave_out_tables_at_the_source_and_on_s3(world: World, command: Command) -> None:
    make(world, "a1", "a2", "b1", "a[1]")
    every = ("-t", f"{world.schema}.*", "--exclude", f"{world.schema}.b?", "--exclude", "a2")
    assert results(world, command, "backup", *every) == ["a1", "a[1]"]
    assert results(world, command, "backup", "-t", "a[1]") == ["a[1]"]
    assert results(world, command, "sync", "--redshift-only", "-t", "a*", "--exclude", "a[1]") == ["a1"]
    assert [r[0] for r in world.target_rows("a1", "id")] == [1]


def test_a_glob_of_nothing_and_an_exclusion_of_everything_are_refused(world: World, command: Command) -> None:
    make(world, "a1")
    nothing = command("sync", "-t", f"{world.schema}.x*", "--redshift-only")
    assert (nothing.code, "nothing of" in nothing.err) == (2, True)
    none_left = command("sync", "-t", "a1", "--exclude", "*")
    assert (none_left.code, "every table asked for is excluded" in none_left.err) == (2, True)
    typo = command("backup", "-t", "a1", "--exclude", "a9", "--inline")
    assert (typo.code, "--exclude a9 names none" in typo.err) == (0, True)
