"""``.ci/bootstrap`` on a machine made of fakes: what it installs, when, and what it says when it cannot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / ".ci/bootstrap"
TOOLS = (
    "bash",
    "dirname",
    "cksum",
    "tail",
    "cat",
    "flock",
    "env",
    "id",
    "tr",
    "sleep",
    "rm",
    "mkdir",
    "rmdir",
    "chmod",
)
PYTHON = '#!/bin/sh\necho "python $*" >>"$CALLS"\n[ "$1" != --version ] || echo Python 3.12.0\n'
APT = """#!/bin/sh
echo "apt-get $*" >>"$CALLS"
case "$*" in *install*mariadb*)
    mkdir -p "$MACHINE/usr/sbin"
    printf '#!/bin/sh\\necho mariadbd Ver 10.11-MariaDB\\n' >"$MACHINE/usr/sbin/mariadbd"
    chmod +x "$MACHINE/usr/sbin/mariadbd" ;;
esac
"""
SUDO = '#!/bin/sh\nshift\nexec "$@"\n'


class Machine:
    """A tree with a virtual environment, and a PATH of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin, self.tree = root, root / "bin", root / "a tree"
        self.calls_file = root / "calls"
        for directory in (self.bin, self.tree / ".ci", self.tree / ".venv/bin"):
            directory.mkdir(parents=True)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        # The usual places of a server are looked for below this machine only.
        (self.tree / ".ci/bootstrap").write_text(SCRIPT.read_text().replace(" /usr/", f" {root}/usr/"))
        (self.tree / "pyproject.toml").write_text("[project]\n")
        self.program(self.tree / ".venv/bin/python", PYTHON)
        for program in ("ip", "ssh"):
            self.program(self.bin / program, "#!/bin/sh\n")

    def program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def with_apt(self) -> None:
        self.program(self.bin / "apt-get", APT)
        self.program(self.bin / "sudo", SUDO)

    def bootstrap(self) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "CALLS": str(self.calls_file), "MACHINE": str(self.root)}
        command = [str(self.bin / "bash"), str(self.tree / ".ci/bootstrap")]
        return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True)

    def calls(self, program: str) -> list[str]:
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [line for line in lines if line.startswith(program)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_apt_the_install_lines_are_shown(machine: Machine) -> None:
    done = machine.bootstrap()
    assert done.returncode == 1
    for line in ("apt-get install mariadb-server-core", "dnf install mariadb-server", "brew install mariadb"):
        assert line in done.stderr


def test_with_apt_the_server_is_installed_once(machine: Machine) -> None:
    machine.with_apt()
    assert machine.bootstrap().returncode == 0
    update, install = machine.calls("apt-get")
    assert update.endswith(" update")
    assert install.endswith(" install --yes --no-install-recommends mariadb-server-core")
    again = machine.bootstrap()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert len(machine.calls("apt-get")) == 2


NOT_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")


@pytest.mark.parametrize(
    ("program", "package"), [pytest.param("ip", "iproute2", marks=NOT_LINUX), ("ssh", "openssh-client")]
)
@pytest.mark.parametrize("works", [True, False])
def test_what_some_tests_need_is_installed_where_it_can_be(
    machine: Machine, program: str, package: str, works: bool
) -> None:
    machine.with_apt()
    assert machine.bootstrap().returncode == 0
    (machine.bin / program).unlink()
    if not works:
        machine.program(machine.bin / "apt-get", '#!/bin/sh\necho "apt-get $*" >>"$CALLS"\nexit 100\n')
    assert machine.bootstrap().returncode == 0
    assert machine.calls("apt-get")[-1].endswith(f" install --yes --no-install-recommends {package}")


def test_an_install_that_fails_says_why_and_what_to_do(machine: Machine) -> None:
    machine.with_apt()
    machine.program(machine.bin / "apt-get", "#!/bin/sh\necho 'E: no space left'\nexit 100\n")
    done = machine.bootstrap()
    assert done.returncode == 1
    assert "E: no space left" in done.stderr
    assert "dnf install mariadb-server" in done.stderr


def test_requirements_are_installed_when_they_changed(machine: Machine) -> None:
    machine.with_apt()
    for changed, installs in ((False, 1), (False, 1), (True, 2)):
        if changed:
            (machine.tree / "pyproject.toml").write_text("[project]\nname = 'x'\n")
        assert machine.bootstrap().returncode == 0
        assert len([call for call in machine.calls("python") if "-m pip install" in call]) == installs
    assert f"-e {machine.tree}[dev]" in machine.calls("python -m pip")[0]


def test_requirements_that_fail_are_tried_again(machine: Machine) -> None:
    machine.with_apt()
    failing = PYTHON + 'case "$*" in *pip\\ install*) echo "no matching distribution"; exit 1 ;; esac\n'
    machine.program(machine.tree / ".venv/bin/python", failing)
    done = machine.bootstrap()
    assert done.returncode == 1
    assert "no matching distribution" in done.stderr
    machine.program(machine.tree / ".venv/bin/python", PYTHON)
    assert machine.bootstrap().returncode == 0


def test_a_tree_that_was_moved_gets_a_new_environment(machine: Machine) -> None:
    machine.with_apt()
    assert machine.bootstrap().returncode == 0
    machine.tree = machine.tree.rename(machine.root / "moved")
    done = machine.bootstrap()
    assert not (machine.tree / ".venv").exists()  # this machine has no Python to make it with
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr


def test_without_a_python_the_install_lines_are_shown(machine: Machine) -> None:
    shutil.rmtree(machine.tree / ".venv")
    machine.program(machine.bin / "python3", "#!/bin/sh\nexit 1\n")  # one that is too old
    done = machine.bootstrap()
    assert done.returncode == 1
    for line in ("Python 3.11 or newer", "apt-get install python3", "dnf install python3", "brew install python"):
        assert line in done.stderr
