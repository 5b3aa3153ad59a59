"""Which tables a command works on: names, globs, and what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3rs_ray.engine.tasks import open_store

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


def test_a_table_that_nobody_knows_is_a_wrong_word_and_leaves_nothing_behind(world: World, command: Command) -> None:
    store = open_store(world.settings)
    before = {o.key for o in store.list("")}
    for words in (
        ("watermark", "get"),
        ("watermark", "reset"),
        ("s3clean", "clean"),
        ("s3clean", "orphans"),
        ("s3clean", "list"),
        ("explore",),
        ("dashboard",),
        ("inspect",),
        ("views", "show"),
        ("views", "apply"),
        ("verify",),
        ("repair",),
    ):
        done = command(*words, "-t", f"{world.schema}.nobody")
        assert (done.code, done.out) == (1 if words[0] == "views" else 2, ""), (words, done)
        assert f"{world.schema}.nobody" in done.err
        assert "\nhint: " in done.err
    assert {o.key for o in store.list("")} == before


def test_a_name_that_is_none_of_the_source_does_not_make_the_source_look_down(world: World, command: Command) -> None:
    make(world, "t")
    done = command("status", "-t", f"{world.schema}.nobody", "-t", f"{world.schema}.t", "-o", "json")
    assert done.code == 1
    assert done.json["checks"]["mysql"]["up"]
    (finding,) = [f for f in done.json["findings"] if f["serious"]]
    assert finding["message"] == f"the source has no table {world.schema}.nobody"
