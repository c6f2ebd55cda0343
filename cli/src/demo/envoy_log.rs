//! Writes the demo's calls to meshed services as Istio access logs in JSON, with Istio's default keys, as the responders'
//! proxies log them. Not the calls that flow logs tell of.

use super::network::{Answer, Call, DURATION_S, Network};
use jiff::Timestamp;
use serde_json::json;

const FILE_S: i64 = 1_800;

impl Network {
    /// Path and text of each file: one a namespace and half hour.
    pub(crate) fn envoy_files(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for namespace in ["shop", "payments"] {
            for from in (self.start..self.start + DURATION_S).step_by(1_800) {
                let times = from * 1000..(from + FILE_S) * 1000;
                let is_of_file =
                    |call: &&Call| self.service_of(call.server).namespace == namespace && times.contains(&call.time_ms);
                let text = self.calls.iter().filter(is_of_file).map(|call| self.envoy_line(call)).collect();
                let time = Timestamp::from_second(from).unwrap_or_default();
                files.push((format!("istio/{namespace}/istio-proxy_{}.log", time.strftime("%Y%m%dT%H%MZ")), text));
            }
        }
        files
    }

    fn envoy_line(&self, call: &Call) -> String {
        let (client, server) = (&self.instances[call.client].address, &self.instances[call.server].address);
        let service = self.service_of(call.server);
        let (name, namespace, port) = (service.name, service.namespace, service.port);
        // What Envoy's RBAC filter refuses it answers itself; the details name the policy, here none.
        let (status, details, flags) = match call.answer {
            Answer::Served => (200, "via_upstream", "-"),
            Answer::Unavailable => (503, "upstream_reset_before_response_started{connection_failure}", "UF"),
            Answer::Denied => (403, "rbac_access_denied_matched_policy[none]", "-"),
        };
        let is_denied = call.answer == Answer::Denied;
        let (method, path) = call.operation;
        let upstream_port = 32_768 + (call.time_ms % 28_000);
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            call.time_ms & 0xffff_ffff,
            call.client,
            call.server,
            call.duration_ms & 0xfff,
            u64::from(call.client_port) << 16
        );
        let record = json!({
            "authority": format!("{name}.{namespace}:{port}"),
            "bytes_received": call.bytes_out,
            "bytes_sent": if is_denied { 19 } else { call.bytes_in },
            "connection_termination_details": null,
            "downstream_local_address": format!("{server}:{port}"),
            "downstream_remote_address": format!("{client}:{}", call.client_port),
            "duration": call.duration_ms,
            "method": method,
            "path": path,
            "protocol": "HTTP/2",
            "request_id": id,
            "requested_server_name": format!("outbound_.{port}_._.{name}.{namespace}.svc.cluster.local"),
            "response_code": status,
            "response_code_details": details,
            "response_flags": flags,
            "route_name": "default",
            "start_time": millisecond_text(call.time_ms),
            "upstream_cluster": format!("inbound|{port}||"),
            "upstream_host": if is_denied { json!(null) } else { json!(format!("{server}:{port}")) },
            "upstream_local_address": if is_denied { json!(null) } else { json!(format!("127.0.0.6:{upstream_port}")) },
            "upstream_service_time": if is_denied { json!(null) } else { json!(call.duration_ms.to_string()) },
            "upstream_transport_failure_reason": null,
            "user_agent": "Go-http-client/2.0",
            "x_forwarded_for": null,
        });
        format!("{record}\n")
    }
}

/// RFC 3339 with three digits of a second, as Envoy's `%START_TIME%` has it.
fn millisecond_text(time_ms: i64) -> String {
    format!("{:.3}", Timestamp::from_millisecond(time_ms).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::network::{Scenario, generate};
    use super::*;
    use serde_json::Value;

    #[test]
    fn files_are_whole() {
        let network = generate(1, 1_768_464_000, Scenario::A);
        let files = network.envoy_files();
        assert_eq!(files, generate(1, 1_768_464_000, Scenario::A).envoy_files());
        assert_eq!(files.len(), 8);
        assert_eq!(files[1].0, "istio/shop/istio-proxy_20260115T0830Z.log");
        let rows: Vec<Value> =
            files.iter().flat_map(|(_, text)| text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!((25_000..60_000).contains(&rows.len()), "{}", rows.len());
        assert!(rows.iter().all(|row| row.as_object().unwrap().len() == 24));
        let meshed = network.calls.iter().filter(|call| network.service_of(call.server).is_meshed());
        assert_eq!(rows.len(), meshed.count());
    }

    #[test]
    fn the_calls_from_the_pivot_are_there() {
        let network = generate(1, 1_768_464_000, Scenario::A);
        let story = network.story();
        let text: String = network.envoy_files().into_iter().map(|(_, text)| text).collect();
        let of_pivot = text.lines().filter(|line| line.contains(&format!("\"{}:", story.pivot_address)));
        assert_eq!(of_pivot.count(), story.target_calls as usize);
        assert!(!text.contains("rbac_access_denied"));
        let enforced = generate(1, 1_768_464_000, Scenario::C);
        let text: String = enforced.envoy_files().into_iter().map(|(_, text)| text).collect();
        let denied: Vec<_> = text.lines().filter(|line| line.contains("rbac_access_denied")).collect();
        assert!(denied.len() > enforced.story().target_calls as usize);
        assert!(denied.iter().all(|line| line.contains(&enforced.story().agent_address)));
    }

    #[test]
    fn times_have_three_digits() {
        for (time, expected) in
            [(1_768_464_000_000, "2026-01-15T08:00:00.000Z"), (1_768_464_000_120, "2026-01-15T08:00:00.120Z")]
        {
            assert_eq!(millisecond_text(time), expected);
        }
    }
}
