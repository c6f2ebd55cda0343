//! Snapshots of the state of detection that cannot be written: detection goes on, and writes them as soon as it can.

use super::running::lines;
use super::setup::Setup;

#[test]
fn detection_goes_on_while_its_state_cannot_be_written() {
    let setup = Setup::embedded();
    let mut service = setup.start("run");
    setup.append("a.log", lines(0..1_000));
    let written = || setup.metric("tradewind_detect_snapshot_bytes").unwrap_or_default();
    service.until("a snapshot is written", || written() > 0);

    // A file where the folder of the snapshots was.
    let (state, aside) = (setup.program.folder().join("lake/_state"), setup.program.folder().join("aside"));
    std::fs::rename(&state, &aside).unwrap();
    std::fs::write(&state, "").unwrap();
    setup.append("a.log", lines(1_000..2_000));
    service.until_it_says("the state of detection cannot be written");
    let is_degraded = || {
        let page = setup.get("/readyz").is_some_and(|(status, body)| status == 200 && body.contains("_state"));
        page && setup.program.run(&["status"]).out.contains("the state of detection cannot be written")
    };
    service.until("it is told beside what works", is_degraded);
    setup.append("a.log", lines(2_000..3_000));
    service.until("all is judged", || setup.metric("tradewind_detect_flows") == Some(3_000));

    std::fs::remove_file(&state).unwrap();
    std::fs::rename(&aside, &state).unwrap();
    let before = written();
    setup.append("a.log", lines(3_000..4_000));
    service.until("a snapshot is written again", || written() > before);
    service.until("nothing is told any more", || !is_degraded());
    assert!(!service.log().contains("begins again"), "{}", service.log());
    service.kill();
    let mut service = setup.start("again");
    service.until_it_says("detection goes on from a snapshot");
    service.until("all is stored", || setup.has_stored(0..4_000));
    assert_eq!(setup.number("SELECT count(*) FROM flows"), Some(4_000));
}
