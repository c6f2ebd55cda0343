//! Writes the configuration file of one process of the service. Which processes there are is not known here.

use std::fmt::Write as _;
use std::path::Path;

pub(crate) const TOPIC_PREFIX: &str = "torture";
/// Raw topic of the files: on its own, so that a collector that is behind with its files holds detection back, and its records
/// are not late beside those that were pushed.
pub(crate) const FILES_TOPIC: &str = "torture.raw-files";
pub(crate) const INVENTORY: &str = "inventory.csv";
pub(crate) const POLICY: &str = "policy.toml";

/// Which log.
#[derive(Clone, Debug)]
pub(crate) enum LogAt {
    Kafka { brokers: String },
    Embedded,
}

/// What the processes of a system differ in.
#[derive(Clone, Debug)]
pub(crate) struct ProcessSettings {
    pub(crate) name: String,
    pub(crate) stages: &'static [&'static str],
    /// Of the health pages.
    pub(crate) port: u16,
    pub(crate) log: LogAt,
    /// Folder or address of the lake.
    pub(crate) lake: String,
    pub(crate) sources: Sources,
}

/// What it collects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) push_port: Option<u16>,
    /// Folders in which files `flows.log*` grow.
    pub(crate) folders: Vec<std::path::PathBuf>,
}

/// The text of the configuration file; `folder` holds what it refers to.
pub(crate) fn text(settings: &ProcessSettings, folder: &Path) -> String {
    let ProcessSettings { name, stages, port, log, lake, sources } = settings;
    let path = |name: &str| folder.join(name).display().to_string();
    let mut text = String::new();
    let mut add = |lines: String| text.write_str(&lines).expect("a string takes all");
    add(format!(
        "version = 1\n\n[lake]\npath = {lake:?}\n\n[inventory]\nfile = {:?}\n\n[policy]\npath = {:?}\n\n[connect]\nhash_seed = 11\n\n",
        path(INVENTORY),
        path(POLICY)
    ));
    // Nobody is idle: how far the event time is must hang on the records alone.
    add(format!(
        "[run]\nstages = {stages:?}\ninstance = {name:?}\nlisten = \"127.0.0.1:{port}\"\nidle_s = 3600\ngrace_s = 30\n\n"
    ));
    add(match log {
        // Sessions are short, so that a process that stands still is taken for dead while the test can wait for it.
        LogAt::Kafka { brokers } => format!(
            "[transport]\nlog = \"kafka\"\ntopic_prefix = {TOPIC_PREFIX:?}\n\n[transport.kafka]\nbrokers = [{brokers:?}]\n\
             client_id = {name:?}\nrequest_timeout_ms = 5000\nsession_timeout_ms = 6000\nrebalance_timeout_ms = 10000\n\
             transaction_timeout_ms = 10000\n\n"
        ),
        // A file that was rotated away leaves its raw partition without records, and nobody is idle: all share one partition.
        LogAt::Embedded => format!(
            "[transport]\nlog = \"embedded\"\npath = {:?}\ntopic_prefix = {TOPIC_PREFIX:?}\nraw_partitions = 1\n\n",
            path("log")
        ),
    });
    // Many small commits and snapshots: each is a place to be killed at.
    add("[store]\ninterval_ms = 300\n\n[detection]\nsnapshot_s = 5\n\n[log]\nlevel = \"info\"\n\n".to_owned());
    add(format!("[[topic]]\nname = {FILES_TOPIC:?}\nformat = \"aws_vpc\"\n\n"));
    if let Some(port) = sources.push_port {
        add(format!(
            "[[source]]\ntype = \"http\"\nname = \"push\"\nformat = \"aws_vpc\"\nlisten = \"127.0.0.1:{port}\"\nanonymous = true\n\
             write_timeout_ms = 8000\n\n"
        ));
    }
    if !sources.folders.is_empty() {
        let paths: Vec<String> =
            sources.folders.iter().map(|folder| folder.join("flows.log*").display().to_string()).collect();
        add(format!(
            "[[source]]\ntype = \"file\"\nname = \"files\"\nformat = \"aws_vpc\"\ntopic = {FILES_TOPIC:?}\npaths = {paths:?}\n\
             poll_interval_ms = 100\nscan_interval_ms = 300\nrotate_wait_ms = 1000\n\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these parts are in the text.
    fn check(log: LogAt, sources: Sources, parts: [(&str, bool); 4]) {
        let settings = ProcessSettings {
            name: "store-0".to_owned(),
            stages: &["store", "detect"],
            port: 1234,
            log,
            lake: "s3://lake/torture".to_owned(),
            sources,
        };
        let text = text(&settings, Path::new("/tmp/x"));
        assert!(text.contains("stages = [\"store\", \"detect\"]"), "{text}");
        for (part, is_there) in parts {
            assert_eq!(text.contains(part), is_there, "{part} in\n{text}");
        }
    }

    #[test]
    fn what_was_asked_for_is_there() {
        let kafka = LogAt::Kafka { brokers: "127.0.0.1:9".to_owned() };
        let parts = [
            ("brokers = [\"127.0.0.1:9\"]", true),
            ("\"/tmp/x/log\"", false),
            ("type = \"http\"", false),
            ("type = \"file\"", false),
        ];
        check(kafka, Sources::default(), parts);
        let sources = Sources { push_port: Some(80), folders: vec!["/a".into()] };
        let parts = [
            ("brokers", false),
            ("\"/tmp/x/log\"", true),
            ("listen = \"127.0.0.1:80\"", true),
            ("\"/a/flows.log*\"", true),
        ];
        check(LogAt::Embedded, sources, parts);
    }
}
