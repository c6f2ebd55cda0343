//! No server outlives the process that started it, however that ends; and one that was started in a thread outlives the thread.

use std::path::Path;
use std::process::{Command, Stdio};

use tradewind_kafka_testkit::{S3, available};

use crate::raw::{eventually, http_status};

/// Where set, [`helper_that_starts_a_server_and_waits`] writes the server's process id.
const REPORT: &str = "TRADEWIND_TEST_REPORT";

/// Not a test of its own: what [`a_killed_process_takes_its_servers_along`] runs and kills.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn helper_that_starts_a_server_and_waits() {
    let Some(report) = std::env::var_os(REPORT) else { return };
    let s3 = S3::start().unwrap();
    let partial = Path::new(&report).with_extension("part");
    std::fs::write(&partial, s3.process_id().unwrap().to_string()).unwrap();
    std::fs::rename(&partial, &report).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_process_takes_its_servers_along() {
    let Some(_) = available(S3::start()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "processes::helper_that_starts_a_server_and_waits"])
        .env(REPORT, &report)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the report", || report.exists());
    let server = Path::new("/proc").join(std::fs::read_to_string(&report).unwrap());
    assert!(server.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    // It may stay for a moment as a zombie, until the process that inherits it has looked.
    let is_gone = || std::fs::read_to_string(server.join("stat")).map_or(true, |stat| stat.contains(") Z "));
    eventually("the end of the server", is_gone);
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let Some(s3) = std::thread::spawn(|| available(S3::start())).join().unwrap() else { return };
    assert_eq!(http_status(&s3.address(), "GET", "/lake/a", ""), Some(403));
}
