//! What people say of findings while the service runs: it goes by it, and has heard it once whatever is killed.

use super::setup::Setup;

fn line(minute: u32, source: u32, target: u32, action: &str) -> String {
    let start = 1_767_225_600 + u64::from(minute) * 60;
    let port = 30_000 + minute;
    format!(
        "2 123456789010 eni-1 10.0.0.{source} 10.0.2.{target} {port} 443 6 10 900 {start} {} {action} OK\n",
        start + 1
    )
}

fn ordinary(minutes: std::ops::Range<u32>) -> String {
    minutes.flat_map(|minute| (1..4).map(move |source| line(minute, source, source, "ACCEPT"))).collect()
}

fn scan(minute: u32, source: u32, targets: std::ops::Range<u32>) -> String {
    targets.map(|target| line(minute, source, target, "REJECT")).collect()
}

/// A scan that is accepted, and later one more of the same source and one of another: what is told of them in the end.
fn told(is_killed: bool) -> Vec<String> {
    let setup = Setup::embedded();
    setup.append("a.log", format!("{}{}{}", ordinary(0..60), scan(60, 9, 10..60), ordinary(61..75)));
    let mut service = setup.start("first");
    let ids = || {
        let query = "SELECT DISTINCT finding_id FROM findings WHERE entity LIKE '%10.0.0.9'";
        let listed = setup.program.run(&["sql", "-o", "csv", query]).out;
        listed.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let closed =
        "SELECT count(*) FROM findings WHERE entity LIKE '%10.0.0.9' AND behaviour = 'scan' AND flow_count = 50";
    service.until("the scan is found", || setup.number(closed).is_some_and(|rows| rows > 0));
    let accepted = ids();
    // That somebody looks after one is heard at once, and ends nothing.
    let outcome = setup.program.run(&["findings", "acknowledge", &accepted[0], "--author", "ann"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let acknowledged = "SELECT count(*) FROM incidents WHERE state = 'acknowledged'";
    service.until("it is in somebody's hands", || setup.number(acknowledged).is_some_and(|rows| rows > 0));
    for id in &accepted {
        let outcome = setup.program.run(&["findings", "accept", id, "--author", "ann"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
    }
    if is_killed {
        // Before it was heard of, and after.
        service.kill();
        service = setup.start("second");
    }
    // An incident ends when all its findings are accepted.
    let dismissed = "SELECT count(*) FROM incidents WHERE state = 'dismissed'";
    service.until("it is taken in", || setup.number(dismissed) == Some(1));
    if is_killed {
        service.kill();
        service = setup.start("third");
    }
    let scans = format!("{}{}", scan(80, 9, 60..110), scan(80, 8, 110..160));
    setup.append("a.log", format!("{}{scans}{}", ordinary(75..80), ordinary(81..100)));
    let other = "SELECT count(*) FROM findings WHERE entity LIKE '%10.0.0.8' AND flow_count = 50";
    service.until("the other scan is found", || setup.number(other).is_some_and(|rows| rows > 0));
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());
    assert_eq!(ids(), accepted, "the same source is told of again");
    assert_eq!(setup.number(dismissed), Some(1), "the incident ended once");
    let query = "SELECT finding_id, max(last_seen) AS seen, max(flow_count) AS flows FROM findings GROUP BY finding_id \
                 ORDER BY finding_id";
    let rows = setup.program.run(&["sql", "-o", "csv", query]);
    assert_eq!(rows.code, 0, "{rows:?}");
    rows.out.lines().map(str::to_owned).collect()
}

#[test]
fn what_is_accepted_while_it_runs_is_heard_once_through_kills() {
    let undisturbed = told(false);
    assert!(undisturbed.len() > 2, "{undisturbed:?}");
    assert_eq!(told(true), undisturbed);
}
