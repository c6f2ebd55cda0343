"""Reads a lake with DuckDB, Polars and deltalake, and prints what each answers as JSON.

Argument: the folder of the lake. A reader that is not installed is left out. The questions and the names of the answers are
those of readers.rs; times are microseconds since 1970 UTC, since Python has no times after the year 9999 of every zone.
"""

import json
import os
import sys

LAKE = sys.argv[1]


def table(name):
    return os.path.join(LAKE, name)


def with_duckdb():
    import duckdb
    import duckdb_extension_delta

    folder = os.path.dirname(duckdb_extension_delta.__file__)
    extension = os.path.join(folder, "extensions", f"v{duckdb.__version__}", "delta.duckdb_extension")
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'")

    def rows(query):
        for name in ("flows", "dead_letters", "imports", "coverage"):
            query = query.replace(f"{{{name}}}", f"delta_scan('{table(name)}')")
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    kinds = {
        "VARCHAR": "text",
        "SMALLINT": "int16",
        "INTEGER": "int32",
        "BIGINT": "int64",
        "BOOLEAN": "bool",
        "DATE": "date",
        "TIMESTAMP WITH TIME ZONE": "timestamp_us_utc",
    }
    return {
        "totals": rows(
            "SELECT count(*) AS rows, sum(bytes_out)::BIGINT AS bytes_out, count(DISTINCT src_ip) AS sources, "
            "epoch_us(min(start_time)) AS first, epoch_us(max(start_time)) AS last, "
            "count(*) FILTER (WHERE bytes_in IS NULL) AS without_answer FROM {flows}"
        ),
        "outcomes": rows("SELECT outcome, count(*) AS rows FROM {flows} GROUP BY outcome ORDER BY outcome"),
        "dates": rows("SELECT date::VARCHAR AS date, count(*) AS rows FROM {flows} GROUP BY date ORDER BY date"),
        "others": rows(
            "SELECT (SELECT count(*) FROM {dead_letters}) AS dead_letters, "
            "(SELECT sum(records)::BIGINT FROM {imports}) AS imported, "
            "(SELECT sum(flows)::BIGINT FROM {coverage}) AS covered"
        ),
        "columns": [
            [column["column_name"], kinds[column["column_type"]]] for column in rows("DESCRIBE SELECT * FROM {flows}")
        ],
    }


def with_polars():
    import polars

    def scan(name):
        return polars.scan_delta(table(name))

    def rows(frame):
        return frame.collect().to_dicts()

    kinds = {
        polars.String: "text",
        polars.Categorical: "text",
        polars.Int16: "int16",
        polars.Int32: "int32",
        polars.Int64: "int64",
        polars.Boolean: "bool",
        polars.Date: "date",
        polars.Datetime("us", "UTC"): "timestamp_us_utc",
    }

    def counted(key):
        return scan("flows").group_by(key).agg(polars.len().cast(polars.Int64).alias("rows")).sort(key)

    time = polars.col("start_time").cast(polars.Int64)
    return {
        "totals": rows(
            scan("flows").select(
                polars.len().alias("rows"),
                polars.col("bytes_out").sum(),
                polars.col("src_ip").drop_nulls().n_unique().alias("sources"),
                time.min().alias("first"),
                time.max().alias("last"),
                polars.col("bytes_in").is_null().sum().alias("without_answer"),
            )
        ),
        "outcomes": rows(counted("outcome")),
        "dates": rows(counted("date").with_columns(polars.col("date").cast(polars.String))),
        "others": [
            {
                "dead_letters": rows(scan("dead_letters").select(polars.len().alias("n")))[0]["n"],
                "imported": rows(scan("imports").select(polars.col("records").sum().alias("n")))[0]["n"],
                "covered": rows(scan("coverage").select(polars.col("flows").sum().alias("n")))[0]["n"],
            }
        ],
        "columns": [[name, kinds[kind]] for name, kind in scan("flows").collect_schema().items()],
    }


def with_deltalake():
    """Asks with the query engine of `deltalake`; the columns are those of the table's own schema."""
    import deltalake
    import polars

    builder = deltalake.QueryBuilder()
    for name in ("flows", "dead_letters", "imports", "coverage"):
        builder = builder.register(name, deltalake.DeltaTable(table(name)))

    def rows(query):
        return polars.DataFrame(builder.execute(query).read_all()).to_dicts()

    kinds = {
        "string": "text",
        "short": "int16",
        "integer": "int32",
        "long": "int64",
        "boolean": "bool",
        "date": "date",
        "timestamp": "timestamp_us_utc",
    }
    fields = deltalake.DeltaTable(table("flows")).schema().fields
    return {
        "totals": rows(
            "SELECT count(*) AS rows, sum(bytes_out) AS bytes_out, count(DISTINCT src_ip) AS sources, "
            "CAST(min(start_time) AS BIGINT) AS first, CAST(max(start_time) AS BIGINT) AS last, "
            "count(*) FILTER (WHERE bytes_in IS NULL) AS without_answer FROM flows"
        ),
        "outcomes": rows("SELECT outcome, count(*) AS rows FROM flows GROUP BY outcome ORDER BY outcome"),
        "dates": rows("SELECT CAST(date AS VARCHAR) AS date, count(*) AS rows FROM flows GROUP BY date ORDER BY date"),
        "others": rows(
            "SELECT (SELECT count(*) FROM dead_letters) AS dead_letters, "
            "(SELECT sum(records) FROM imports) AS imported, (SELECT sum(flows) FROM coverage) AS covered"
        ),
        "columns": [[field.name, kinds[field.type.type]] for field in fields],
    }


answers = {}
for reader, answer in (("duckdb", with_duckdb), ("polars", with_polars), ("deltalake", with_deltalake)):
    try:
        answers[reader] = answer()
    except ModuleNotFoundError as absent:
        print(f"{reader}: {absent}", file=sys.stderr)
print(json.dumps(answers))
