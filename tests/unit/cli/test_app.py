"""The way in and the way out: common options anywhere, and an exit code for every end."""

from __future__ import annotations

from typing import Any

import click
import orjson
import pytest

from s3rs_ray.cli.app import COMMON, cli, hoist, run


@pytest.mark.parametrize(
    ("given", "hoisted"),
    [
        ("sync -t a.b", "sync -t a.b"),
        ("sync -t a.b -o json", "-o json sync -t a.b"),
        ("-o json sync -t a.b --debug", "-o json --debug sync -t a.b"),
        ("sync --output=json -t a.b", "--output=json sync -t a.b"),
        (
            "watermark get -t a.b --progress none --config-file f",
            "--progress none --config-file f watermark get -t a.b",
        ),
        ("sync --log-file log -t a.b --limit 5", "--log-file log sync -t a.b --limit 5"),
        ("sync -t a.b -- -o json", "sync -t a.b -- -o json"),
        ("sync -o json -- --debug", "-o json sync -- --debug"),
        ("sync -t a.b -ojson", "-ojson sync -t a.b"),
        ("", ""),
    ],
)
def test_common_options_may_stand_behind_the_command(given: str, hoisted: str) -> None:
    assert hoist(given.split()) == hoisted.split()


def test_every_option_of_the_group_that_takes_part_in_a_run_can_be_hoisted() -> None:
    named = {word for parameter in cli.params for word in parameter.opts}
    assert set(COMMON) == named - {"--version"}


@pytest.mark.parametrize("option", ["-o", "--output", "--progress", "--config-file", "--log-file"])
def test_a_common_option_at_the_end_does_not_take_the_command_for_its_value(
    capfd: pytest.CaptureFixture[str], option: str
) -> None:
    code, out, err = outcome(capfd, "sync", "-t", "a.b", option)
    assert (code, out) == (2, "")
    assert err == f"error: Option '{option}' requires an argument.\nhint: `s3rs-ray --help`\n"


def test_a_value_may_look_like_an_option() -> None:
    assert hoist(["sync", "--log-file", "--debug", "-t", "x"]) == ["--log-file", "--debug", "sync", "-t", "x"]


def outcome(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        code = run(list(arguments))
    except SystemExit as ended:  # how a command gives its own code back
        code = int(str(ended.code))
    return code, *capfd.readouterr()


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No settings from the outside."""
    monkeypatch.chdir(tmp_path)
    for name in ("S3_BUCKET_NAME", "DB_HOST", "REDSHIFT_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["sync"],
        ["sync", "-t", "a.b", "--limit", "0"],
        ["sync", "-t", "a", "--nonsense"],
        ["sync", "-t", "a", "--mode", "x"],
        ["-o", "xml"],
    ],
)
def test_wrong_words_end_with_2_and_say_so_on_stderr(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    code, out, err = outcome(capfd, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "\nhint: `s3rs-ray" in err


def test_without_words_the_help_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = outcome(capfd)
    assert code in (0, 2)  # click's choice differs between versions
    assert "Usage: s3rs-ray" in out + err
    assert "fault" not in err


def test_stages_that_exclude_each_other_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = outcome(capfd, "sync", "-t", "a.b", "--backup-only", "--redshift-only")
    assert code == 2
    assert "exclude each other" in err


def test_a_full_refresh_needs_the_source(capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = outcome(capfd, "sync", "-t", "a.b", "--full-refresh", "--redshift-only")
    assert code == 2
    assert "reads the source" in err


def test_missing_settings_end_with_2_and_a_hint(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = outcome(capfd, "sync", "-t", "a.b")
    assert (code, out) == (2, "")
    assert "error: missing settings: DB_HOST" in err
    assert "hint: set them in" in err


def test_without_settings_status_says_what_is_missing_and_once_where_it_goes(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = outcome(capfd, "status")
    assert (code, err) == (1, "")
    assert out.count("missing settings: ") == 3
    assert out.splitlines()[-1].startswith("hint: mysql, s3, redshift: set them in")


def test_with_json_an_error_is_a_document_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capfd, "sync", "-t", "a.b", "-o", "json")
    document = orjson.loads(out)
    assert code == 2
    assert document["status"] == "failed"
    assert document["error"]["type"] == "ConfigError"
    assert set(document["error"]) == {"type", "message", "hint", "context"}


@pytest.mark.parametrize("words", [("-o", "json"), ("-ojson",), ("--output=json",)])
def test_with_json_wrong_words_are_a_document_too(capfd: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    code, out, _ = outcome(capfd, "sync", *words)
    assert (code, orjson.loads(out)["error"]["message"]) == (2, "Missing option '-t' / '--table'.")


def test_with_json_a_fault_of_the_program_is_a_document_too(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("0/0")

    monkeypatch.setattr("s3rs_ray.cli.info.topics", lambda: fail(None))
    code, out, err = outcome(capfd, "info", "-o", "json")
    assert (code, orjson.loads(out)["error"]["type"]) == (1, "ZeroDivisionError")
    assert "Traceback" not in err


def groups(group: click.Group) -> list[click.Group]:
    below = [c for c in group.commands.values() if isinstance(c, click.Group)]
    return [group, *(each for one in below for each in groups(one))]


@pytest.mark.parametrize("group", groups(cli), ids=lambda g: g.name)
def test_no_line_of_a_list_of_commands_is_cut(group: click.Group) -> None:
    text = group.get_help(click.Context(group, info_name=group.name, terminal_width=80))
    assert "..." not in text.replace("COMMAND [ARGS]...", "")


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_with_an_example(capfd: pytest.CaptureFixture[str], name: str) -> None:
    code, out, _ = outcome(capfd, name, "--help")
    assert code == 0
    assert "Example:  s3rs-ray" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("sync -t a.b --inline --address h:6379", "--inline works without Ray"),
        ("sync -t a.b --dry-run --report r.html", "--report is written by a run"),
        ("backup -t a.b --estimate --report r.html", "--report is written by a run"),
        ("s3clean clean -t a.b -t a.c", "one table is meant here, not a.b, a.c"),
        ("watermark reset -t a.b -t a.c", "one table is meant here, not a.b, a.c"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    capfd: pytest.CaptureFixture[str], words: str, says: str
) -> None:
    code, out, err = outcome(capfd, *words.split())
    assert (code, out) == (2, "")
    assert says in err
