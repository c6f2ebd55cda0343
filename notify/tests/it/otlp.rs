//! OTLP over HTTP: a stand-in that reads what comes as a receiver does. A real Collector is in [`crate::collector`].

use crate::siem::{self, letters};
use crate::stand_in::{Fault, Received, StandIn};
use crate::world::TOKEN;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;
use tradewind_notify::sinks::Answer;

fn records(request: &Received) -> Vec<LogRecord> {
    let export = ExportLogsServiceRequest::decode(request.body.as_ref()).unwrap();
    export.resource_logs.into_iter().flat_map(|logs| logs.scope_logs).flat_map(|logs| logs.log_records).collect()
}

fn contract(request: &Received) -> (u16, String) {
    if request.method != "POST" || request.uri.path() != "/v1/logs" {
        return (404, String::new());
    }
    if request.header("content-type") != Some("application/x-protobuf") {
        return (415, String::new());
    }
    if request.header("api-key") != Some(TOKEN) {
        return (401, String::new());
    }
    let Ok(export) = ExportLogsServiceRequest::decode(request.body.as_ref()) else { return (400, String::new()) };
    let resource = export.resource_logs[0].resource.clone().unwrap();
    assert!(resource.attributes.iter().any(|attribute| attribute.key == "service.name"));
    for record in records(request) {
        assert!(record.time_unix_nano > 1_700_000_000_000_000_000 && record.observed_time_unix_nano > 0);
        assert!((1..=24).contains(&record.severity_number) && !record.event_name.is_empty());
        let mut keys: Vec<&String> = record.attributes.iter().map(|attribute| &attribute.key).collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count, "keys are unique");
        if format!("{record:?}").contains("POISON") {
            let part = ExportLogsPartialSuccess { rejected_log_records: 1, error_message: "poison".to_owned() };
            let answer = ExportLogsServiceResponse { partial_success: Some(part) };
            return (200, String::from_utf8(answer.encode_to_vec()).unwrap());
        }
    }
    (200, String::new())
}

pub(crate) fn settings(url: &str) -> String {
    format!(
        "[[sink]]\nname = 'otlp'\ntype = 'otlp'\nurl = '{url}'\nheaders = {{ 'api-key' = {{ env = 'TOKEN' }} }}\ntimeout_ms = 1000\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_events_with_their_severity() {
    let stand_in = StandIn::start(contract).await;
    let sink = siem::sink(&settings(&stand_in.url()));
    let mut messages = siem::all();
    messages.extend([siem::hostile("hostile"), siem::huge("huge"), siem::digest(), siem::poisoned("bad")]);
    let answers = sink.deliver(&messages).await;
    assert_eq!(letters(&answers), "ddddddddddddrr", "{answers:?}");
    assert!(matches!(answers.last(), Some(Answer::Refused(said)) if said.contains("poison")));
    let received = stand_in.received();
    let record = &records(&received[0])[0];
    assert_eq!((record.severity_number, record.severity_text.as_str()), (17, "high"));
    assert_eq!(record.event_name, "tradewind.incident.open");
    let names: Vec<String> = received.iter().map(|request| records(request)[0].event_name.clone()).collect();
    assert_eq!(&names[2..4], ["tradewind.incident.update", "tradewind.incident.resolve"]);
    assert_eq!((names[7].as_str(), names[9].as_str()), ("tradewind.heartbeat", "tradewind.incident.acknowledge"));
    assert!(format!("{:?}", records(&received[5])[0].body).contains("TEST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_mean_what_they_say() {
    let stand_in = StandIn::start(contract).await;
    // It may be told with its path.
    let sink = siem::sink(&settings(&format!("{}/v1/logs", stand_in.url())));
    // `google.rpc.Status` with its message.
    let status = "\u{12}\u{8}too many".to_owned();
    let table = [
        (400, 'r'),
        (401, 'L'),
        (403, 'L'),
        (404, 'L'),
        (408, 'r'),
        (413, 'r'),
        (429, 'L'),
        (500, 'r'),
        (501, 'r'),
        (502, 'l'),
        (503, 'L'),
        (504, 'l'),
    ];
    for (code, wanted) in table {
        stand_in.fail([Fault::Status(code, vec![("retry-after", "5".to_owned())], status.clone())]);
        let answers = sink.deliver(&[siem::message("one")]).await;
        assert_eq!(letters(&answers), wanted.to_string(), "{code}: {answers:?}");
        assert!(format!("{answers:?}").contains("too many"), "{answers:?}");
    }
    for fault in [Fault::Hang, Fault::HalfAnswer, Fault::LostAnswer] {
        stand_in.fail([fault]);
        assert_eq!(letters(&sink.deliver(&[siem::message("one")]).await), "l");
    }
    assert!(!format!("{sink:?}").contains(TOKEN));
}

#[test]
fn settings_are_checked() {
    let text = settings("https://c").replace("'api-key'", "'not a name'");
    assert!(siem::faults(&text).join("").contains("headers"));
    assert!(siem::faults(&settings("http://c:4318")).join("").contains("https"));
}
