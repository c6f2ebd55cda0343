"""Polars' plain job: one log file to one Parquet file. usage: polars_peer.py vpc|envoy INPUT OUTPUT"""

import sys

import polars as pl

VPC = {
    "version": pl.Int32,
    "account-id": pl.String,
    "interface-id": pl.String,
    "srcaddr": pl.String,
    "dstaddr": pl.String,
    "srcport": pl.Int32,
    "dstport": pl.Int32,
    "protocol": pl.Int16,
    "packets": pl.Int64,
    "bytes": pl.Int64,
    "start": pl.Int64,
    "end": pl.Int64,
    "action": pl.String,
    "log-status": pl.String,
}
ENVOY_NUMBERS = ("bytes_received", "bytes_sent", "duration", "response_code")
ENVOY_TEXTS = (
    "authority connection_termination_details downstream_local_address downstream_peer_uri_san downstream_remote_address "
    "method path protocol request_id requested_server_name response_code_details response_flags route_name start_time "
    "upstream_cluster upstream_host upstream_local_address upstream_service_time upstream_transport_failure_reason "
    "user_agent x_forwarded_for"
).split()

kind, source, target = sys.argv[1:]
if kind == "vpc":
    frame = pl.scan_csv(source, separator=" ", null_values="-", schema=VPC)
else:
    schema = {name: pl.Int64 for name in ENVOY_NUMBERS} | {name: pl.String for name in ENVOY_TEXTS}
    frame = pl.scan_ndjson(source, schema=schema)
frame.sink_parquet(target, compression="zstd")
