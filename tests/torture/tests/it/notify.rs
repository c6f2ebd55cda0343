//! A short torture of the deliveries: nothing lost, nothing opened twice, all in order.

use crate::short::torture;

#[test]
fn three_kills_and_sinks_that_fail() {
    let Some(report) = torture(&["notify", "--findings", "300", "--kills", "3", "--seed", "1", "--json"]) else {
        return;
    };
    assert_eq!(report["delivered"], report["findings"], "{report}");
    for (key, expected) in [("findings", 300), ("opened_twice", 0), ("disordered", 0), ("kills", 3)] {
        assert_eq!(report[key], expected, "{key} in {report}");
    }
    assert!(report["faults"].as_u64() > Some(100), "{report}");
}
