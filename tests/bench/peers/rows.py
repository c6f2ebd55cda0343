"""Prints how many rows a Parquet file has. usage: rows.py FILE"""

import sys

import duckdb

print(duckdb.execute("SELECT sum(num_rows) FROM parquet_file_metadata(?)", [sys.argv[1]]).fetchone()[0])
