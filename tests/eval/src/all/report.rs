//! The report in words and tables: the text of `docs/detection-quality.md`, and the same as JSON.

use super::{Everything, networks, streams};
use crate::budget;
use crate::hybrid::{DECIDING, Judgement, ORDERING};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const NOTES: &str = include_str!("notes.md");

/// Everything as one object.
pub(super) fn json(everything: &Everything) -> Value {
    let units: Map<String, Value> =
        everything.units.iter().map(|(name, judgement)| (name.clone(), Value::Object(judgement.json()))).collect();
    let cold = everything.cold_starts.iter();
    let cold: Map<String, Value> =
        cold.map(|(seconds, judgement)| (seconds.to_string(), Value::Object(judgement.json()))).collect();
    let streams: Map<String, Value> = everything
        .streams
        .iter()
        .map(|(name, files)| {
            let files: Map<String, Value> = files.iter().map(|(file, found)| (file.clone(), found.json())).collect();
            ((*name).to_owned(), Value::Object(files))
        })
        .collect();
    let networks = |of: &[budget::Network]| (!of.is_empty()).then(|| budget::summary(of));
    let switched: Map<String, Value> = everything
        .switched
        .iter()
        .map(|(name, is_on, of)| ((*name).to_owned(), json!({ "is_enabled": is_on, "summary": budget::summary(of) })))
        .collect();
    json!({
        "units": units,
        "cold_starts": cold,
        "streams": streams,
        "networks": networks(&everything.networks),
        "networks_by_rate": networks(&everything.by_rate),
        "networks_switched": switched,
        "skipped": everything.skipped,
    })
}

/// Everything as a page.
pub(super) fn markdown(everything: &Everything, has_ablation: bool) -> String {
    let mut page = String::from(
        "# How good detection is\n\nMeasured by `tradewind-eval all DIR --write FILE` on labelled flows, shipped defaults, nothing tuned per set; do not edit.\nThe protocol is in `tests/eval/README.md`.\n",
    );
    units(&mut page, everything);
    peers(&mut page, everything);
    alarms(&mut page, everything);
    networks::networks(&mut page, everything);
    if has_ablation {
        ablation(&mut page, everything);
        networks::switched(&mut page, everything);
    }
    cold_starts(&mut page, everything);
    false_alerts(&mut page, everything);
    streams::streams(&mut page, everything);
    streams::figures_of_others(&mut page, everything);
    section(&mut page, "Not judged");
    for line in &everything.skipped {
        write(&mut page, format_args!("- {line}\n"));
    }
    page.push('\n');
    page.push_str(NOTES);
    page
}

pub(super) fn write(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes any text");
}

pub(super) fn section(page: &mut String, title: &str) {
    write(page, format_args!("\n## {title}\n\n"));
}

fn units(page: &mut String, everything: &Everything) {
    section(page, "Units: an entity in five minutes");
    page.push_str("Average precision over units; precision and episodes among the 25 highest; findings with the shipped budget.\n\n");
    page.push_str("| stream | unit AP | top 25: P; episodes | findings; false; episodes | to detection | best peer, unit AP |\n|---|---|---|---|---|---|\n");
    for (name, judgement) in &everything.units {
        let ours = &judgement.rows[0].1;
        let told = &judgement.incidents;
        let best = judgement.rows.iter().skip(1).max_by(|one, other| one.1.unit_ap.total_cmp(&other.1.unit_ap));
        let best = best.map_or(String::from("-"), |(name, quality)| format!("{name}, {:.3}", quality.unit_ap));
        let seconds = ours.seconds_to_detection.map_or(String::from("-"), |seconds| format!("{seconds:.0} s"));
        write(
            page,
            format_args!(
                "| {name} | {:.3} | {:.2}; {} of {} | {}; {}; {} | {seconds} | {best} |\n",
                ours.unit_ap,
                ours.top[1].0,
                ours.top[1].1,
                judgement.episodes,
                told.told,
                told.told - told.about_attacks,
                told.episodes.len(),
            ),
        );
    }
    for begin in ["injected", "hardest"] {
        if let Some(mean) = mean(everything, begin, |judgement| judgement.rows[0].1.unit_ap) {
            write(page, format_args!("| {begin}, mean | {mean:.3} | | | | |\n"));
        }
    }
}

/// The mean of a number over the streams whose names begin so.
fn mean(everything: &Everything, begin: &str, number: impl Fn(&Judgement) -> f64) -> Option<f64> {
    let all = everything.units.iter().filter(|(name, _)| name.starts_with(begin));
    let numbers: Vec<f64> = all.map(|(_, judgement)| number(judgement)).collect();
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

fn main_set(everything: &Everything) -> Option<&Judgement> {
    everything.units.iter().find(|(name, _)| name == "hybrid").map(|(_, judgement)| judgement)
}

fn peers(page: &mut String, everything: &Everything) {
    let Some(judgement) = main_set(everything) else { return };
    section(page, "Peers on hybrid");
    page.push_str("| detector | unit AP | top 10: P; episodes | top 25 | top 50 | injected, mean unit AP |\n|---|---|---|---|---|---|\n");
    for (name, quality) in &judgement.rows {
        let top = |budget: usize| format!("{:.2}; {}", quality.top[budget].0, quality.top[budget].1);
        let injected = mean(everything, "injected", |judgement| of_row(judgement, name));
        let injected = injected.map_or(String::from("-"), |mean| format!("{mean:.3}"));
        write(
            page,
            format_args!("| {name} | {:.3} | {} | {} | {} | {injected} |\n", quality.unit_ap, top(0), top(1), top(3)),
        );
    }
}

/// Average precision of a detector; none where it did not take part.
fn of_row(judgement: &Judgement, name: &str) -> f64 {
    judgement.rows.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, quality)| quality.unit_ap)
}

/// What those detectors say that decide, not only order.
fn alarms(page: &mut String, everything: &Everything) {
    let Some(judgement) = main_set(everything) else { return };
    section(page, "What is told");
    page.push_str("An order is not yet an alarm. With the thresholds that each ships: what a person would be told on hybrid, and in all on the injected streams.\n\n| detector | told on hybrid | about attacks | episodes | injected: told | about attacks |\n|---|---|---|---|---|---|\n");
    let injected = || everything.units.iter().filter(|(name, _)| name.starts_with("injected")).map(|(_, of)| of);
    let told = &judgement.incidents;
    let (sum, about) =
        injected().fold((0, 0), |(sum, about), of| (sum + of.incidents.told, about + of.incidents.about_attacks));
    write(
        page,
        format_args!(
            "| tradewind, findings | {} | {} | {} of {} | {sum} | {about} |\n",
            told.told,
            told.about_attacks,
            told.episodes.len(),
            judgement.episodes
        ),
    );
    for (name, alarms) in &judgement.alarms {
        let all = injected().flat_map(|of| &of.alarms).filter(|(known, _)| known == name);
        let (sum, about) = all.fold((0, 0), |(sum, about), (_, of)| (sum + of.units, about + of.about_attacks));
        write(
            page,
            format_args!(
                "| {name}, units | {} | {} | {} of {} | {sum} | {about} |\n",
                alarms.units, alarms.about_attacks, alarms.episodes, judgement.episodes
            ),
        );
    }
}

fn ablation(page: &mut String, everything: &Everything) {
    let Some(judgement) = main_set(everything) else { return };
    section(page, "What each detector adds to the order");
    page.push_str(
        "Average precision lost without it; of those that only decide, what would be lost if they took part.\n\n",
    );
    page.push_str("| detector | takes part | hybrid | injected, mean | hardest, mean |\n|---|---|---|---|---|\n");
    for name in ORDERING.into_iter().chain(DECIDING) {
        let lost = |judgement: &Judgement| judgement.rows[0].1.unit_ap - judgement.ablation[name];
        let of = |begin| mean(everything, begin, lost).map_or(String::from("-"), |mean| format!("{mean:.3}"));
        let takes_part = if ORDERING.contains(&name) { "yes" } else { "no" };
        write(
            page,
            format_args!(
                "| {name} | {takes_part} | {:.3} | {} | {} |\n",
                lost(judgement),
                of("injected"),
                of("hardest")
            ),
        );
    }
}

fn cold_starts(page: &mut String, everything: &Everything) {
    if everything.cold_starts.is_empty() {
        return;
    }
    section(page, "Cold start");
    page.push_str("The test part of hybrid after so much learning.\n\n| learnt | unit AP | top 25: P; episodes | findings; false |\n|---|---|---|---|\n");
    for (seconds, judgement) in &everything.cold_starts {
        let (ours, told) = (&judgement.rows[0].1, &judgement.incidents);
        write(
            page,
            format_args!(
                "| {seconds} s | {:.3} | {:.2}; {} | {}; {} |\n",
                ours.unit_ap,
                ours.top[1].0,
                ours.top[1].1,
                told.told,
                told.told - told.about_attacks
            ),
        );
    }
    networks::cold_start(page, everything);
}

fn false_alerts(page: &mut String, everything: &Everything) {
    section(page, "False alerts by kind of benign traffic");
    page.push_str("Units of hybrid's 50 highest that are no attack, and false findings of all streams above.\n\n| kind | among the 50 highest | false findings |\n|---|---|---|\n");
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    if let Some(judgement) = main_set(everything) {
        for (kind, count) in &judgement.rows[0].1.false_by_kind {
            kinds.entry(kind).or_default().0 += count;
        }
    }
    for (_, judgement) in &everything.units {
        for (kind, count) in &judgement.incidents.false_by_kind {
            kinds.entry(kind).or_default().1 += count;
        }
    }
    for (kind, (highest, told)) in kinds {
        write(page, format_args!("| {kind} | {highest} | {told} |\n"));
    }
    networks::false_alerts(page, everything);
}
