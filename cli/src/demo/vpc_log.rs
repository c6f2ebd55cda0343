//! Writes the demo's calls as AWS VPC flow logs: the fields of version 5, named in a header, in files as S3 delivery has
//! them. Not the calls that proxies log.
//!
//! Each conversation is logged by one interface, the responder's (for the outside: the initiator's), with a line for each
//! direction, so that a count of flows in the demo is easily checked. Real flow logs would show most of them twice.

use super::network::{Answer, Call, DURATION_S, Network};
use jiff::Timestamp;
use std::fmt::Write;

/// Fields in their order (AWS, "Flow log records", versions 2 to 5).
const HEADER: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
     action log-status vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id \
     sublocation-type sublocation-id pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path\n";
const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-central-1";
const FILE_S: i64 = 600;
/// Longest aggregation interval, seconds.
const INTERVAL_S: i64 = 60;
const FIN: u8 = 1;
const SYN: u8 = 2;
/// How the field shows a SYN that acknowledges.
const SYN_ACK: u8 = 18;

/// One direction of a conversation in one interval.
struct Direction<'a> {
    call: &'a Call,
    is_answer: bool,
    start: i64,
    end: i64,
    bytes: i64,
    tcp_flags: u8,
}

impl Network {
    /// Path (below a bucket) and text of each file. A file holds what ended within its ten minutes.
    pub(crate) fn vpc_files(&self) -> Vec<(String, String)> {
        let is_seen = |call: &&Call| !self.service_of(call.server).is_meshed();
        let directions = self.calls.iter().filter(is_seen).flat_map(directions);
        let mut lines: Vec<_> = directions.map(|direction| (direction.end, self.line(&direction))).collect();
        let file_starts: Vec<_> = (0..DURATION_S / FILE_S).map(|number| self.start + number * FILE_S).collect();
        lines.extend(file_starts.iter().flat_map(|&from| self.gap_lines(from)));
        lines.sort_by_key(|&(end, _)| end);
        file_starts.into_iter().map(|from| self.file(from, &lines)).collect()
    }

    /// What the interface of a service that nobody calls reports: minutes without data, and with skipped data.
    fn gap_lines(&self, from: i64) -> impl Iterator<Item = (i64, String)> {
        let quiet = self.instances.iter().find(|instance| self.services[instance.service].name == "deployer");
        let interface = quiet.map_or("-", |instance| instance.interface.as_str());
        [(2, "NODATA"), (7, "SKIPDATA")].into_iter().map(move |(minute, status)| {
            let (start, end) = (from + minute * INTERVAL_S, from + (minute + 1) * INTERVAL_S - 1);
            let (before, after) = ("- ".repeat(7), " -".repeat(15));
            (end, format!("5 {ACCOUNT} {interface} {before}{start} {end} - {status}{after}\n"))
        })
    }

    fn file(&self, from: i64, lines: &[(i64, String)]) -> (String, String) {
        let is_last = from + FILE_S >= self.start + DURATION_S;
        let belongs = |end: i64| end >= from && (end < from + FILE_S || is_last);
        let text = lines.iter().filter(|(end, _)| belongs(*end)).map(|(_, line)| line.as_str());
        let time = Timestamp::from_second(from).unwrap_or_default();
        let path = format!(
            "AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/{}/{ACCOUNT}_vpcflowlogs_{REGION}_fl-0a1b2c3d4e5f60718_{}_{:08x}.log",
            time.strftime("%Y/%m/%d"),
            time.strftime("%Y%m%dT%H%MZ"),
            from
        );
        (path, std::iter::once(HEADER).chain(text).collect())
    }

    fn line(&self, direction: &Direction<'_>) -> String {
        let Direction { call, is_answer, start, end, bytes, tcp_flags } = direction;
        let (client, server) = (&self.instances[call.client], &self.instances[call.server]);
        let server_service = self.service_of(call.server);
        let is_outside = server_service.kind() == "external";
        let (src, dst, src_port, dst_port) = if *is_answer {
            (&server.address, &client.address, server_service.port, call.client_port)
        } else {
            (&client.address, &server.address, call.client_port, server_service.port)
        };
        let observer = if is_outside { client } else { server };
        let subnet = self.services[observer.service].namespace;
        let protocol = if server_service.port == 53 { 17 } else { 6 };
        let tcp_flags = if protocol == 6 { *tcp_flags } else { 0 };
        let packets = if call.answer == Answer::Denied { bytes / 60 } else { 1 + bytes / 700 };
        let action = if call.answer == Answer::Denied { "REJECT" } else { "ACCEPT" };
        // What comes to a responder is ingress; the outside is reached from the initiator's interface.
        let is_ingress = *is_answer == is_outside;
        let (way, path) = if is_ingress { ("ingress", "-") } else { ("egress", "1") };
        let mut line = format!("5 {ACCOUNT} {} {src} {dst} {src_port} {dst_port} {protocol} ", observer.interface);
        write!(
            line,
            "{packets} {bytes} {start} {end} {action} OK vpc-0d1e2f3a4b5c6d7e8 subnet-{subnet} i-{} ",
            observer.name
        )
        .and_then(|()| writeln!(line, "{tcp_flags} IPv4 {src} {dst} {REGION} euc1-az2 - - - - {way} {path}"))
        .expect("writing to a string cannot fail");
        line
    }
}

/// The lines of one conversation: for each interval of at most a minute both directions.
fn directions(call: &Call) -> Vec<Direction<'_>> {
    let (first, last) = (call.time_ms / 1000, (call.time_ms + call.duration_ms) / 1000);
    if call.answer == Answer::Denied {
        return vec![Direction { call, is_answer: false, start: first, end: last, bytes: 60, tcp_flags: SYN }];
    }
    let intervals = 1 + (last - first) / INTERVAL_S;
    let interval = |number: i64| {
        let start = first + number * INTERVAL_S;
        let end = last.min(start + INTERVAL_S - 1);
        let closing = if number == intervals - 1 { FIN } else { 0 };
        let flags = move |opening: u8| if number == 0 { opening | closing } else { closing };
        let direction = move |is_answer, bytes, opening| Direction {
            call,
            is_answer,
            start,
            end,
            bytes: bytes / intervals,
            tcp_flags: flags(opening),
        };
        [direction(false, call.bytes_out, SYN), direction(true, call.bytes_in, SYN_ACK)]
    };
    (0..intervals).flat_map(interval).collect()
}

#[cfg(test)]
mod tests {
    use super::super::network::{Scenario, generate};

    fn rows(text: &str) -> Vec<Vec<&str>> {
        text.lines().skip(1).map(|line| line.split(' ').collect()).collect()
    }

    #[test]
    fn files_are_whole() {
        let network = generate(1, 1_768_464_000, Scenario::A);
        let files = network.vpc_files();
        assert_eq!(files, generate(1, 1_768_464_000, Scenario::A).vpc_files());
        assert_eq!(files.len(), 12);
        assert_eq!(
            files[1].0,
            "AWSLogs/123456789012/vpcflowlogs/eu-central-1/2026/01/15/123456789012_vpcflowlogs_eu-central-1_fl-0a1b2c3d4e5f60718_20260115T0810Z_6968a0d8.log"
        );
        let mut lines = 0;
        for (path, text) in &files {
            assert!(text.starts_with("version account-id interface-id srcaddr "), "{path}");
            let fields = text.lines().next().map_or(0, |header| header.split(' ').count());
            assert_eq!(fields, 29);
            let rows = rows(text);
            assert!(rows.iter().all(|row| row.len() == fields), "{path}");
            assert!(rows.is_sorted_by_key(|row| row[11]), "{path}");
            lines += rows.len();
        }
        assert!((70_000..130_000).contains(&lines), "{lines}");
    }

    #[test]
    fn rejects_are_the_probes_outside_the_mesh() {
        let network = generate(1, 1_768_464_000, Scenario::C);
        let text: String = network.vpc_files().into_iter().map(|(_, text)| text).collect();
        let rejected: Vec<_> = text.lines().filter(|line| line.contains(" REJECT ")).collect();
        let is_meshed = |name: &&&str| ["shop", "payments"].iter().any(|namespace| name.starts_with(namespace));
        let outside = network.story().probed.iter().filter(|name| !is_meshed(name)).count();
        assert_eq!(rejected.len(), 2 * outside + 3, "each service twice, and the pivot");
        assert!(rejected.iter().all(|line| line.contains(&format!(" {} ", network.story().agent_address))));
        assert_eq!(text.lines().filter(|line| line.contains("DATA")).count(), 24);
    }

    #[test]
    fn a_long_session_is_told_minute_by_minute() {
        let network = generate(1, 1_768_464_000, Scenario::A);
        let text: String = network.vpc_files().into_iter().map(|(_, text)| text).collect();
        let story = network.story();
        let session = |way: &str| {
            let ends = format!(" {} {} ", story.agent_address, story.pivot_address);
            let ends_back = format!(" {} {} ", story.pivot_address, story.agent_address);
            let is_wanted =
                |line: &&str| line.contains(if way == "ingress" { &ends } else { &ends_back }) && line.contains(way);
            text.lines()
                .filter(is_wanted)
                .map(|line| line.split(' ').nth(17).unwrap_or("").to_owned())
                .collect::<Vec<_>>()
        };
        let (requests, answers) = (session("ingress"), session("egress"));
        assert_eq!((requests.len(), answers.len()), (22, 22));
        assert_eq!((requests[0].as_str(), requests[1].as_str(), requests[21].as_str()), ("2", "0", "1"));
        assert_eq!((answers[0].as_str(), answers[1].as_str(), answers[21].as_str()), ("18", "0", "1"));
    }
}
