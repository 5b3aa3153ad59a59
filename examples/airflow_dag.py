"""Nightly catch-up of the settlement tables by Airflow 3, and a DAG that waits for one of them.

Loaded by Airflow 3.3.2's DagBag with the providers standard 1.21.0 and amazon 9.39.0.

The settings come from the file named here and the worker's environment. Every exit code but 0 fails the task; a retry
finishes what was interrupted.
"""

from __future__ import annotations

import datetime as dt

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

COMMAND = (
    "s3rs-ray --config-file /etc/s3rs-ray.yaml -o json --progress log"
    " sync -t 'settlement.*' -s inter-table --verify-data"
)

with DAG(
    dag_id="s3rs_ray_settlement",
    schedule="30 1 * * *",
    start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": dt.timedelta(minutes=10)},
) as dag:
    sync = BashOperator(
        task_id="sync",
        bash_command=COMMAND,
        append_env=True,
        execution_timeout=dt.timedelta(hours=6),
    )

# In another DAG, what needs the table waits for its completion marker of that night (UTC):
with DAG(
    dag_id="settlement_report",
    schedule="0 2 * * *",
    start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    catchup=False,
) as report:
    S3KeySensor(
        task_id="wait_for_deliveries",
        bucket_name="settlement-lake",
        bucket_key="runs/settlement.settlement_normal_delivery_detail/{{ dag_run.run_after | ds_nodash }}T*/_SUCCESS",
        wildcard_match=True,
        mode="reschedule",
        poke_interval=300,
        timeout=6 * 3600,
    )
