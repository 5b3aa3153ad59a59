"""The 51-column table, all cells of 100,000 rows, through two syncs."""

from __future__ import annotations

from s3rs_ray.engine import driver
from s3rs_ray.engine.context import Request
from s3rs_ray.local import comparison, settlement
from s3rs_ray.local.stack import LocalStack

ROWS = 100_000


def test_every_cell_of_100_000_rows_is_equal() -> None:
    with LocalStack() as stack, stack.mariadb.connect() as source:
        source.select_db(settlement.DATABASE)
        settlement.create_schema(source)
        settlement.fill(source, ROWS)
        request = Request(tables=(f"{settlement.DATABASE}.{settlement.DELIVERY_TABLE}",), inline=True)
        settings = stack.settings.model_copy(update={"backup_batch_size": 30_000})
        (first,) = driver.sync(settings, request).tables
        settlement.change(source, inserts=2_000, updates=3_000)
        (second,) = driver.sync(settings, request).tables
        assert (first.rows_loaded, second.rows_loaded) == (ROWS, 5_000), (first.error, second.error)
        pair = comparison.Pair(
            schema=settlement.DATABASE,
            table=settlement.DELIVERY_TABLE,
            key="ID",
            target=f'"{settings.redshift_schema}"."{settlement.DELIVERY_TABLE}"',
        )
        with comparison.connect_warehouse(stack.environment()) as warehouse:
            result = comparison.compare(source, warehouse, pair, sample_rows=ROWS * 2)
    assert result.differences == []
    assert (result.rows, result.sampled, result.cells) == (102_000, 102_000, 102_000 * 51)
