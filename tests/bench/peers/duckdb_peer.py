"""DuckDB's plain job: one log file to one Parquet file. usage: duckdb_peer.py vpc|envoy INPUT OUTPUT"""

import sys

import duckdb

VPC = {
    "version": "INTEGER",
    "account-id": "VARCHAR",
    "interface-id": "VARCHAR",
    "srcaddr": "VARCHAR",
    "dstaddr": "VARCHAR",
    "srcport": "INTEGER",
    "dstport": "INTEGER",
    "protocol": "SMALLINT",
    "packets": "BIGINT",
    "bytes": "BIGINT",
    "start": "BIGINT",
    "end": "BIGINT",
    "action": "VARCHAR",
    "log-status": "VARCHAR",
}
ENVOY_NUMBERS = ("bytes_received", "bytes_sent", "duration", "response_code")
ENVOY_TEXTS = (
    "authority connection_termination_details downstream_local_address downstream_peer_uri_san downstream_remote_address "
    "method path protocol request_id requested_server_name response_code_details response_flags route_name start_time "
    "upstream_cluster upstream_host upstream_local_address upstream_service_time upstream_transport_failure_reason "
    "user_agent x_forwarded_for"
).split()

kind, source, target = sys.argv[1:]
connection = duckdb.connect(config={"threads": 2})
if kind == "vpc":
    rows = f"read_csv('{source}', delim=' ', header=true, nullstr='-', columns={VPC})"
else:
    columns = {name: "BIGINT" for name in ENVOY_NUMBERS} | {name: "VARCHAR" for name in ENVOY_TEXTS}
    rows = f"read_json('{source}', format='newline_delimited', columns={columns})"
connection.execute(f"COPY (SELECT * FROM {rows}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
