"""The model of what bounds the speed: its arithmetic, and where it takes its numbers from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.model import CLUSTERS, Costs, Site, bounds, calibrate, check, most_rows, predict
from benchmarks.output import RESULTS

COSTS = Costs(
    source_cpu=2e-6, worker_cpu=3e-6, s3_cpu=1e-6, reader_seconds=5e-6, wire_bytes=500, file_bytes=200, start_seconds=1
)


def _stage(title: str, seconds: float, bytes_in: int, **cpu: float) -> dict[str, Any]:
    return {"title": title, "rows": 1000, "seconds": seconds, "bytes_in": bytes_in, "cpu_seconds": cpu}


STAGES = [
    _stage("read: server and ConnectorX", 0.004, 500_000, client=0.001, source=0.003),
    _stage("cast (conform)", 0.001, 500_000, client=0.001),
    _stage("encode (Parquet)", 0.002, 400_000, client=0.002),
    _stage("— of it: digest (sha256)", 0.5, 1),
    _stage("upload (put_new)", 0.001, 200_000, client=0.0005, s3=0.0005),
    _stage("load into an empty table", 9.0, 1, warehouse=9.0),
]


def test_costs_come_from_the_stages_of_the_extraction_alone() -> None:
    costs = calibrate({"stages": STAGES, "start_seconds": 1.5})
    assert costs.source_cpu == pytest.approx(3e-6)
    assert costs.worker_cpu == pytest.approx(4.5e-6)
    assert costs.s3_cpu == pytest.approx(0.5e-6)
    assert costs.reader_seconds == pytest.approx(8e-6)
    assert (costs.wire_bytes, costs.file_bytes, costs.start_seconds) == (500, 200, 1.5)


def test_the_most_that_shared_cores_allow_counts_every_party_of_every_stage() -> None:
    most = most_rows(STAGES, cores=2)
    assert most["backup"] == pytest.approx(2 / 8e-6)
    assert most["load"] == pytest.approx(2 / 9e-3)
    assert most["sync"] == pytest.approx(2 / (8e-6 + 9e-3))
    assert most_rows(STAGES[:2], cores=2) == {}


def test_a_result_without_stages_is_refused() -> None:
    with pytest.raises(ValueError, match="no stage 'upload'"):
        calibrate({"stages": STAGES[:4]})


def test_the_committed_results_calibrate_it() -> None:
    found = [json.loads(path.read_text()) for path in RESULTS.glob("*-rows.json")]
    documents = [document for document in found if document["stages"]]
    assert documents
    for document in documents:
        costs = calibrate(document)
        assert 0 < costs.source_cpu < costs.reader_seconds < 1e-3
        assert costs.file_bytes < costs.wire_bytes


@pytest.mark.parametrize(
    ("site", "part", "speed"),
    [
        (Site(title="", readers=1), "readers", 200_000),
        (Site(title="", readers=100, source_cores=2), "source CPU", 1_000_000),
        (Site(title="", readers=100, source_cores=4, worker_cores=3), "worker CPU", 1_000_000),
        (Site(title="", readers=100, network_bytes=5e6), "network", 10_000),
        (Site(title="", readers=100, put_bytes=2e6), "PUT", 10_000),
        (Site(title="", readers=100, put_bytes=2e6, copy_bytes=1e6), "COPY", 5_000),
        (Site(title="", readers=100, shared_cores=3), "the machine's cores", 500_000),
        (Site(title="", readers=100, shared_cores=3, source_cores=1e-9), "the machine's cores", 500_000),
    ],
)
def test_the_tightest_bound_wins(site: Site, part: str, speed: float) -> None:
    tightest, *others = bounds(COSTS, site)
    assert tightest.part.startswith(part)
    assert tightest.rows_per_second == pytest.approx(speed)
    assert all(b.rows_per_second >= speed for b in others)


def test_a_part_that_costs_nothing_bounds_nothing() -> None:
    free = Costs(source_cpu=0, worker_cpu=1e-6, s3_cpu=0, reader_seconds=1e-6, wire_bytes=0, file_bytes=0)
    tightest = bounds(free, Site(title="", readers=1, source_cores=1, network_bytes=1, put_bytes=1))[0]
    assert tightest.part.startswith("readers")


def test_points_count_the_start_and_say_how_far_off_they_are() -> None:
    one, four = check(COSTS, 2, 1_000_000, {1: 150_000, 4: 200_000})
    assert one.predicted == pytest.approx(1_000_000 / (1 + 5)), "a reader's 5 s for a million rows, and 1 s of start"
    assert one.error == pytest.approx(1_000_000 / 6 / 150_000 - 1)
    assert four.predicted == pytest.approx(1_000_000 / (2 + 3)), "two cores for 6 s of work, four readers to start"
    assert four.bound.startswith("the machine's cores")


def test_every_larger_place_has_a_bound_that_is_not_the_first_one_s() -> None:
    predicted = predict(COSTS)
    assert [site for site, _ in predicted] == list(CLUSTERS)
    assert all(found[0].rows_per_second < float("inf") for _, found in predicted)
    assert predicted[0][1][0].rows_per_second < predicted[-1][1][0].rows_per_second
