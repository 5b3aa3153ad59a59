"""One table after the other: what the whole command ends with when some of them fail."""

from __future__ import annotations

import pytest

from s3rs_ray.cli.repair import repairs_document
from s3rs_ray.cli.verify import comparisons_document
from s3rs_ray.engine.outcomes import Outcomes
from s3rs_ray.errors import Interrupted, PlanError, S3rsError, TableBusy, UsageError
from s3rs_ray.model import TableName

A, B = TableName("shop", "a"), TableName("shop", "b")


@pytest.mark.parametrize(
    ("done", "failures", "of_done", "code"),
    [
        (("x",), {}, 0, 0),
        (("x",), {}, 4, 4),
        (("x",), {A: PlanError("p")}, 0, 3),
        (("x",), {A: PlanError("p")}, 4, 4),
        ((), {A: TableBusy("b")}, 0, 5),
        ((), {A: UsageError("u"), B: UsageError("u")}, 0, 2),
        ((), {A: TableBusy("b"), B: UsageError("u")}, 0, 1),
        ((), {}, 0, 0),
    ],
)
def test_what_was_found_comes_before_what_failed(
    done: tuple[str, ...], failures: dict[TableName, S3rsError], of_done: int, code: int
) -> None:
    assert Outcomes(done=done, failures=failures).exit_code(of_done) == code


def test_the_first_failure_is_raised_where_nobody_looks_at_them() -> None:
    assert Outcomes(done=("x",)).or_raise() == ("x",)
    with pytest.raises(PlanError, match="never loaded"):
        Outcomes(done=("x",), failures={B: PlanError("never loaded"), A: TableBusy("held")}).or_raise()


@pytest.mark.parametrize("document", [comparisons_document, repairs_document])
def test_a_document_has_the_tables_that_failed_with_their_errors(document: object) -> None:
    assert callable(document)
    failed = document(Outcomes(failures={A: PlanError("never loaded", hint="sync it first")}))
    error = {"type": "PlanError", "message": "never loaded", "hint": "sync it first", "context": {}}
    assert failed == {"status": "failed", "tables": {"shop.a": {"status": "failed", "error": error}}}
    stopped = document(Outcomes(failures={A: Interrupted("stopped")}), interrupted=True)
    assert (stopped["status"], stopped["tables"]["shop.a"]["status"]) == ("interrupted", "interrupted")
    assert document(Outcomes())["status"] == "equal"
