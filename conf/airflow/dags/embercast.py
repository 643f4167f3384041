"""A DAG in Airflow for every definition in the folder jobs beside this file that has a schedule."""

from pathlib import Path

from jobs.dags import dags_from

dags_from(Path(__file__).with_name("jobs"))
