"""Rows to Parquet files and back, in a process with Spark's packages: `python parquet.py write|read FILE`.

FILE is JSON. `write`: a list of {folder, schema, columns, rows}. `read`: {name: folder}, replaced by the rows, times in
milliseconds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(task: str, file: Path) -> None:
    from pyspark.sql import SparkSession

    settings = {"spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC", "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1"}  # fmt: skip
    builder = SparkSession.builder.master("local[1]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    given = json.loads(file.read_text(encoding="utf-8"))
    if task == "write":
        for one in given:
            frame = spark.createDataFrame([tuple(row) for row in one["rows"]], one["schema"])
            frame.selectExpr(*one["columns"]).repartition(3).write.mode("append").parquet(one["folder"])
    else:
        found = {name: _rows(spark.read.parquet(folder)) for name, folder in given.items()}
        file.write_text(json.dumps(found), encoding="utf-8")
    spark.stop()


def _rows(frame: Any) -> list[dict[str, Any]]:
    columns = [f"unix_millis(`{name}`) AS `{name}`" if kind == "timestamp" else f"`{name}`" for name, kind in
               frame.dtypes]  # fmt: skip
    return [row.asDict() for row in frame.selectExpr(*columns).collect()]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
