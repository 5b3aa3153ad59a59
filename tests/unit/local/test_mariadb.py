from __future__ import annotations

import re
from pathlib import Path

import pytest

from s3rs_ray.errors import LocalStackError
from s3rs_ray.local import mariadb
from s3rs_ray.local.mariadb import MariaDBAccount, find_server


def program(directory: Path, name: str, version: str) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(mariadb, "_DIRECTORIES", (str(tmp_path / "sbin"),))
    return tmp_path


def test_a_missing_server_is_an_error_with_the_install_lines(bare_machine: Path) -> None:
    with pytest.raises(LocalStackError, match="no MariaDB server on this machine") as missing:
        find_server()
    for line in ("apt-get install mariadb-server-core", "dnf install mariadb-server", "brew install mariadb"):
        assert line in missing.value.hint


def test_a_mysql_server_is_passed_over(bare_machine: Path) -> None:
    program(bare_machine / "bin", "mysqld", "mysqld  Ver 8.4.2 for Linux on x86_64 (MySQL Community Server - GPL)")
    with pytest.raises(LocalStackError):
        find_server()
    found = program(bare_machine / "sbin", "mysqld", "mysqld  Ver 10.11.6-MariaDB")
    assert find_server() == found


def test_the_path_comes_before_the_usual_places(bare_machine: Path) -> None:
    program(bare_machine / "sbin", "mariadbd", "mariadbd  Ver 10.5.1-MariaDB")
    on_path = program(bare_machine / "bin", "mariadbd", "mariadbd  Ver 11.4.2-MariaDB")
    assert find_server() == on_path


def test_the_bootstrap_script_looks_in_the_same_places() -> None:
    script = (Path(__file__).parents[3] / ".ci/bootstrap").read_text()
    listed = re.search(r'for directory in "" (.*?); do', script, re.DOTALL)
    assert listed
    places = set()
    for word in listed[1].replace("\\", "").split():
        braces = re.search(r"\{(.*?)\}", word)
        names = braces[1].split(",") if braces else [""]
        places |= {re.sub(r"\{.*?\}", name, word).rstrip("/") for name in names}
    assert places == set(mariadb._DIRECTORIES)


def test_passwords_are_random_awkward_and_not_shown() -> None:
    first, second = MariaDBAccount(), MariaDBAccount()
    assert first.password != second.password
    assert set("@%/:?#&+=") <= set(first.password)
    assert first.password not in repr(first)


def test_literals_are_quoted() -> None:
    assert mariadb._literal("o'neill\\") == "'o''neill\\\\'"
