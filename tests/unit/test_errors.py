"""The exception tree: what every class carries across processes, and what its docstring promises."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator

import pytest

from s3rs_ray import errors
from s3rs_ray.errors import S3rsError


def classes(root: type[S3rsError] = S3rsError) -> Iterator[type[S3rsError]]:
    yield root
    for child in root.__subclasses__():
        yield from classes(child)


ALL = sorted(classes(), key=lambda c: c.__name__)
TREE = dict(
    re.findall(r"^[ │├└─]*([A-Z][A-Za-z0-9]+) +(\S.*)$", (errors.__doc__ or "").partition("::")[2], re.MULTILINE)
)


@pytest.mark.parametrize("kind", ALL, ids=lambda c: c.__name__)
def test_every_error_survives_pickle_with_message_hint_and_context(kind: type[S3rsError]) -> None:
    error = kind("table a.b: 5 % lost", hint="set `X`", context={"table": "a.b"})
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(error, protocol))
        assert type(copy) is kind
        assert (copy.message, copy.hint, copy.context) == (error.message, error.hint, error.context)
        assert str(copy) == "table a.b: 5 % lost"
        assert copy.args == error.args


@pytest.mark.parametrize("kind", ALL, ids=lambda c: c.__name__)
def test_no_class_has_a_constructor_of_its_own(kind: type[S3rsError]) -> None:
    assert kind is S3rsError or "__init__" not in vars(kind)


def test_the_context_is_a_copy() -> None:
    facts = {"a": "1"}
    error = S3rsError("x", context=facts)
    facts["b"] = "2"
    assert error.context == {"a": "1"}


def test_the_tree_in_the_docstring_names_every_class_and_no_other() -> None:
    assert set(TREE) | {"S3rsError"} == {c.__name__ for c in ALL}


def test_the_module_exports_every_class_and_no_other() -> None:
    assert list(errors.__all__) == [c.__name__ for c in ALL]


@pytest.mark.parametrize("kind", [c for c in ALL if c is not S3rsError], ids=lambda c: c.__name__)
def test_the_exit_code_is_the_one_the_tree_shows(kind: type[S3rsError]) -> None:
    shown = re.search(r"exit (\d+)", TREE[kind.__name__])
    if shown:
        assert kind.exit_code == int(shown[1])
    else:
        assert kind.exit_code == kind.__base__.exit_code  # type: ignore[union-attr]


def test_the_tree_is_drawn_as_the_classes_inherit() -> None:
    drawn = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^    ([ │├└─]*)([A-Z][A-Za-z0-9]+)(?: |$)", line):
            depth = len(match[1]) // 4
            branch[depth:] = [match[2]]
            drawn[match[2]] = branch[depth - 1] if depth else "Exception"
    assert drawn == {c.__name__: c.__base__.__name__ for c in ALL}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.S3rsError, 1),
        (errors.ConfigError, 2),
        (errors.UsageError, 2),
        (errors.TableNotFound, 2),
        (errors.IntegrityError, 4),
        (errors.TableBusy, 5),
        (errors.Interrupted, 130),
    ],
)
def test_the_exit_codes_are_those_people_script_against(kind: type[S3rsError], code: int) -> None:
    assert kind.exit_code == code
