//! Streams of single flows in words and tables. Text alone; the numbers are [`stream`]'s.

use super::report::{section, write};
use super::{Everything, published};
use crate::stream;
use serde_json::{Map, Value};

/// Every set of streams.
pub(super) fn streams(page: &mut String, everything: &Everything) {
    section(page, "Streams: single flows");
    page.push_str("Area under the curve over flows, every flow scored before it is learnt: 1 is every attack before everything else, 0.5 is chance.\n");
    for (name, files) in &everything.streams {
        write(page, format_args!("\n**{name}**\n\n"));
        let files: Vec<(&str, &stream::Quality)> =
            files.iter().map(|(file, quality)| (file.split('.').next().unwrap_or(file), quality)).collect();
        curves(page, &files);
        recalls(page, &files);
        attacks(page, &files);
        for (file, quality) in &files {
            let rate = (quality.edges_per_s / 1e4).round() / 100.0;
            write(page, format_args!("- {file}: {} flows, {rate} M a second on one core", quality.flows));
            if let Some(rate) = quality.more.get("false_findings_per_hour_and_100_services") {
                write(page, format_args!("; false findings per hour and 100 services: {rate}"));
            }
            page.push('\n');
        }
    }
}

fn header(page: &mut String, columns: &[&str]) {
    write(page, format_args!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len())));
}

fn number(value: Option<f64>) -> String {
    value.map_or(String::from("-"), |value| format!("{value:.3}"))
}

fn curves(page: &mut String, files: &[(&str, &stream::Quality)]) {
    let labelled = || files.iter().filter(|(_, quality)| !quality.flow_auc.is_empty());
    let Some((_, first)) = labelled().next() else { return };
    let names = labelled().map(|(file, _)| *file);
    header(page, &std::iter::once("detector").chain(names).collect::<Vec<_>>());
    for (detector, _) in &first.flow_auc {
        let curves: Vec<String> = labelled().map(|(_, quality)| number(quality.curve(detector))).collect();
        write(page, format_args!("| {detector} | {} |\n", curves.join(" | ")));
    }
    page.push('\n');
}

/// Attacks found by so many units a day.
fn recalls(page: &mut String, files: &[(&str, &stream::Quality)]) {
    for (_, quality) in files {
        let Some(ours) = quality.more.get("recall_at_units_a_day").and_then(Value::as_object) else { continue };
        let peers = quality.more.get("peers_recall_at_units_a_day").and_then(Value::as_object);
        page.push_str(
            "Share of the pairs of attack and day that are found by looking at so many hosts and hours a day.\n\n",
        );
        header(page, &["detector", "3 a day", "10 a day", "30 a day"]);
        let mut row = |name: &str, recalls: &Map<String, Value>| {
            let shares = ["3", "10", "30"].map(|budget| number(recalls.get(budget).and_then(Value::as_f64)));
            write(page, format_args!("| {name} | {} |\n", shares.join(" | ")));
        };
        row("tradewind", ours);
        for (name, value) in peers.into_iter().flatten() {
            if let Some(recalls) = value.as_object() {
                row(name, recalls);
            }
        }
        page.push('\n');
    }
}

/// Where the strongest edge of each attack stands.
fn attacks(page: &mut String, files: &[(&str, &stream::Quality)]) {
    let listed = || files.iter().filter_map(|(file, quality)| Some((file, quality.more.get("attacks")?.as_object()?)));
    if listed().all(|(_, attacks)| attacks.is_empty()) {
        return;
    }
    page.push_str("The strongest edge of each attack: its place among all edges and windows, and the time from its first flow to the end of that window.\n\n");
    header(page, &["file", "attack", "place", "after", "edge"]);
    for (file, attacks) in listed() {
        for (attack, found) in attacks {
            let seconds = found["seconds"].as_f64().unwrap_or(f64::NAN);
            let edge = found["edge"].as_str().unwrap_or("-");
            write(page, format_args!("| {file} | {attack} | {} | {seconds:.0} s | {edge} |\n", found["rank"]));
        }
    }
    page.push('\n');
}

/// Figures of others beside ours.
pub(super) fn figures_of_others(page: &mut String, everything: &Everything) {
    let mut rows = String::new();
    for known in &published::ALL {
        let files = everything.streams.iter().find(|(set, _)| *set == known.set).map(|(_, files)| files);
        let Some(quality) = files.and_then(|files| files.get(known.file)) else { continue };
        let again = number(known.peer.and_then(|name| quality.curve(name)));
        let ours = number(quality.curve("tradewind"));
        let file = known.file.split('.').next().unwrap_or(known.file);
        write(
            &mut rows,
            format_args!("| {}, {file} | {} | {:.3} | {again} | {ours} |\n", known.set, known.method, known.flow_auc),
        );
    }
    if rows.is_empty() {
        return;
    }
    section(page, "Figures of others");
    page.push_str("Area under the curve over flows, as the notes of the data have it of others' programs on the same files; the same method in this run, with the settings that README.md of tests/eval tells; ours.\n\n");
    header(page, &["stream", "method", "noted", "this run", "tradewind"]);
    page.push_str(&rows);
}
