//! What made-up networks say, in words and tables: budget, calibration, attacks and false alerts by kind, the first days. Text
//! alone; the numbers are [`budget`]'s.

use super::report::{section, write};
use super::{Everything, on_or_off};
use crate::budget::{self, Network};
use serde_json::Value;
use tradewind_testkit::scenario::{AttackKind, BenignKind};

/// Budget, calibration and attacks.
pub(super) fn networks(page: &mut String, everything: &Everything) {
    if everything.networks.is_empty() {
        return;
    }
    let shipped = budget::summary(&everything.networks);
    section(page, "Made-up networks: two weeks, sixty services");
    write(
        page,
        format_args!(
            "{} networks of the scenario generator, each once with nothing wrong and once with two attacks a day in the second week. Means, and intervals of 95 % over networks.\n\n| what | reached | should be |\n|---|---|---|\n",
            everything.networks.len()
        ),
    );
    let mut row =
        |what: &str, reached: String, aim: &str| write(page, format_args!("| {what} | {reached} | {aim} |\n"));
    row("findings a day where nothing is wrong", interval(&shipped["harmless_findings_a_day"], 2), "as few as can be");
    row(
        "the most of them in any 24 hours, any network",
        shipped["harmless_most_in_a_day"].to_string(),
        "at most 5, the budget",
    );
    row("attacks found", share(&shipped["recall"]), "all");
    row("findings about no attack, in the week with attacks", share(&shipped["false_discovery_rate_mean"]), "-");
    if !everything.by_rate.is_empty() {
        let by_rate = budget::summary(&everything.by_rate);
        let aim = format!("at most {:.0} %", super::RATE * 100.0);
        row(
            "the same, deciding by a rate of false findings instead of a budget",
            share(&by_rate["false_discovery_rate_mean"]),
            &aim,
        );
        row("attacks found then", share(&by_rate["recall"]), "-");
    }
    for (name, level) in [("p_below_0.1", "10 %"), ("p_below_0.01", "1 %"), ("p_below_0.001", "0.1 %")] {
        let what = format!("units said to be among the rarest {level}: how many there are of each expected");
        row(&what, interval(&shipped[name], 2), "1");
    }
    attacks(page, everything);
}

fn attacks(page: &mut String, everything: &Everything) {
    section(page, "Attacks by kind");
    page.push_str("Of the attacks on made-up networks: how many led to a finding, and half of those within how long. A network has 14 of the 30 kinds, drawn by lot.\n\n| kind | what happens | ATT&CK | found | half within |\n|---|---|---|---|---|\n");
    let mut kinds: Vec<_> = budget::attacks(&everything.networks).into_iter().collect();
    let share = |attacks: &budget::Attacks| attacks.found as f64 / attacks.of.max(1) as f64;
    kinds.sort_by(|one, other| share(&other.1).total_cmp(&share(&one.1)).then(one.0.cmp(other.0)));
    for (kind, attacks) in kinds {
        let known = AttackKind::ALL.iter().find(|known| known.as_str() == kind);
        let (technique, what) = known.map_or(("-", "-"), |known| (known.technique(), known.description()));
        let seconds = attacks.seconds.map_or(String::from("-"), duration);
        write(
            page,
            format_args!("| {kind} | {what} | {technique} | {} of {} | {seconds} |\n", attacks.found, attacks.of),
        );
    }
}

/// What made-up networks come to with one detector switched.
pub(super) fn switched(page: &mut String, everything: &Everything) {
    let Some((_, _, first)) = everything.switched.first() else { return };
    write(
        page,
        format_args!(
            "\n{} of the made-up networks, with one detector switched: attacks found, findings about no attack, findings a day where nothing is wrong. A difference of a few percent is chance.\n\n| settings | attacks found | about no attack | a day |\n|---|---|---|---|\n",
            first.len()
        ),
    );
    let mut row = |settings: &str, networks: &[Network]| {
        let summary = budget::summary(networks);
        let (found, falsely) = (share(&summary["recall"]), share(&summary["false_discovery_rate_mean"]));
        let a_day = interval(&summary["harmless_findings_a_day"], 2);
        write(page, format_args!("| {settings} | {found} | {falsely} | {a_day} |\n"));
    };
    row("as shipped", &everything.networks[..first.len()]);
    for (name, is_on, networks) in &everything.switched {
        row(&format!("{name} {}", on_or_off(*is_on)), networks);
    }
}

/// What set findings off where nothing is wrong.
pub(super) fn false_alerts(page: &mut String, everything: &Everything) {
    if everything.networks.is_empty() {
        return;
    }
    page.push_str("\nMade-up networks where nothing is wrong: findings in two weeks, on average, and in the network that had the most. Pairs: how many pairs of services did such a thing.\n\n| kind | what happens | pairs | findings | most |\n|---|---|---|---|---|\n");
    let mut kinds: Vec<_> = budget::false_alerts(&everything.networks).into_iter().collect();
    kinds.sort_by(|one, other| other.1.findings.total_cmp(&one.1.findings).then(one.0.cmp(other.0)));
    for (kind, alerts) in kinds {
        let pairs = alerts.pairs.map_or(String::from("-"), |pairs| format!("{pairs:.0}"));
        let known = BenignKind::ALL.iter().find(|known| known.as_str() == kind);
        let what = match kind {
            budget::ORDINARY => "Nothing out of the ordinary.",
            budget::HOLIDAY => "Nobody works; what else set these off is counted above or below, too.",
            _ => known.map_or("-", |known| known.description()),
        };
        write(page, format_args!("| {kind} | {what} | {pairs} | {:.2} | {} |\n", alerts.findings, alerts.most));
    }
}

/// The first days of a network.
pub(super) fn cold_start(page: &mut String, everything: &Everything) {
    if everything.networks.iter().all(|network| network.early.is_none()) {
        return;
    }
    page.push_str("\nMade-up networks of which nothing was learnt before, two attacks a day from the first day on; false findings are those of the same day where nothing is wrong.\n\n| day | attacks found | false findings a network |\n|---|---|---|\n");
    for (day, first) in budget::cold_start(&everything.networks) {
        write(page, format_args!("| {day} | {} of {} | {:.2} |\n", first.found, first.of, first.false_findings));
    }
}

/// A mean and half the width of its interval.
fn interval(value: &Value, digits: usize) -> String {
    let of = |key: &str| value[key].as_f64().unwrap_or(f64::NAN);
    format!("{:.digits$} ± {:.digits$}", of("mean"), of("interval"))
}

/// The same as a percentage.
fn share(value: &Value) -> String {
    let of = |key: &str| value[key].as_f64().unwrap_or(f64::NAN) * 100.0;
    format!("{:.0} % ± {:.0}", of("mean"), of("interval"))
}

fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        String::from("at once")
    } else if seconds < 120.0 {
        format!("{seconds:.0} s")
    } else {
        format!("{:.0} min", seconds / 60.0)
    }
}
