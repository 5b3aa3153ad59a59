"""Every OpenLineage event is one that the published schema describes, down to the versions of its facets.

openlineage-python carries the schema as classes that are generated from it. An event is taken apart into them, which
refuses names they do not know and misses those that must be there, and must come out as it went in.
"""

from __future__ import annotations

from typing import Any

import attr
import pytest
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.generated.error_message_run import ErrorMessageRunFacet
from openlineage.client.generated.job_type_job import JobTypeJobFacet
from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet
from openlineage.client.generated.schema_dataset import SchemaDatasetFacet, SchemaDatasetFacetFields

from s3rs_ray.engine.events import Status
from s3rs_ray.engine.lineage import PRODUCER, SPEC, Json, end_event, run_event
from tests.support.build import NAME, NOON

from .test_lineage import lineage, result

FACETS = {
    "jobType": JobTypeJobFacet,
    "errorMessage": ErrorMessageRunFacet,
    "schema": SchemaDatasetFacet,
    "outputStatistics": OutputStatisticsOutputDatasetFacet,
}


def facets(of: Json) -> dict[str, Any]:
    return {name: facet(FACETS[name], content) for name, content in of.items()}


def facet(kind: Any, content: Json) -> Any:
    given = {name: value for name, value in content.items() if not name.startswith("_")}
    if kind is SchemaDatasetFacet:
        given["fields"] = [SchemaDatasetFacetFields(**field) for field in given["fields"]]
    made = kind(**given, producer=content["_producer"])
    assert made._schemaURL == content["_schemaURL"]  # the newest version of the facet, at its published address
    return made


def dataset(kind: Any, content: Json) -> Any:
    rest = {name: value for name, value in content.items() if not name.lower().endswith("facets")}
    return kind(**rest, **{name: facets(of) for name, of in content.items() if name.lower().endswith("facets")})


def modelled(event: Json) -> RunEvent:
    """An event as a value of the published classes."""
    rest = dict(event)
    assert rest.pop("schemaURL") == SPEC
    return RunEvent(
        eventType=RunState(rest.pop("eventType")),
        run=Run(runId=rest["run"]["runId"], facets=facets(rest.pop("run")["facets"])),
        job=Job(**{**rest["job"], "facets": facets(rest.pop("job")["facets"])}),
        inputs=[dataset(InputDataset, d) for d in rest.pop("inputs")],
        outputs=[dataset(OutputDataset, d) for d in rest.pop("outputs")],
        **rest,
    )


def without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        found = {name: without_empty(each) for name, each in value.items()}
        return {name: each for name, each in found.items() if each not in (None, {}, [])}
    return [without_empty(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("stages", [{}, {"load": False}, {"extract": False}], ids=["sync", "backup", "load"])
@pytest.mark.parametrize("status", [Status.SUCCESS, Status.NOTHING, Status.FAILED, Status.INTERRUPTED])
def test_every_event_fits_the_published_schema(stages: dict[str, bool], status: Status) -> None:
    sent = lineage("file:/dev/null", **stages)
    started = run_event(sent.settings, sent.request, sent.execution_id, NAME, NOON)
    failed = status in (Status.FAILED, Status.INTERRUPTED)
    for event in (started, end_event(started, result(status, "why" if failed else ""), NOON)):
        made = modelled(event)
        assert made.schemaURL == SPEC
        assert made.producer == PRODUCER
        plain = attr.asdict(made, value_serializer=lambda _, __, value: getattr(value, "value", value))
        assert without_empty(plain) == without_empty(event)


def test_the_comparison_finds_what_the_schema_does_not_know() -> None:
    sent = lineage("file:/dev/null")
    event = run_event(sent.settings, sent.request, sent.execution_id, NAME, NOON)
    for wrong in (
        {**event, "eventTime": "noon"},
        {**event, "eventType": "ENDED"},
        {**event, "when": "now"},
        {**event, "run": {"runId": "1", "facets": {}}},
        {**event, "inputs": [{"name": "x"}]},
        {**event, "job": {**event["job"], "facets": {"jobType": {**event["job"]["facets"]["jobType"], "kind": "x"}}}},
    ):
        with pytest.raises((TypeError, ValueError)):
            modelled(wrong)
