//! What the hour of the week adds to the judgement of volumes: how often the level of a destination is unusual where nothing
//! is, by the time of day, and how many bursts in the night are seen. For reading, not a limit.

use std::collections::{BTreeMap, HashMap};
use tradewind_detect::{Conversation, Engine, FlowEvent, Settings};
use tradewind_testkit::scenario::{self, Flow, Scenario, WINDOW, WINDOWS_PER_DAY};

const DAYS: i64 = 28;
/// From here on the hours of the week are known.
const JUDGED_FROM: i64 = 15 * WINDOWS_PER_DAY;
/// A burst is half of what reaches the service at three in the afternoon, at three in the night.
const LEVELS: [f64; 3] = [1e-3, 1e-4, 1e-5];

fn event<'a>(scenario: &'a Scenario, flow: &Flow) -> FlowEvent<'a> {
    let [source, destination] = [flow.source, flow.destination].map(|entity| &scenario.entities()[usize::from(entity)]);
    FlowEvent {
        time: flow.time,
        src_entity: &source.name,
        src_kind: source.kind.as_str(),
        dst_entity: &destination.name,
        dst_kind: destination.kind.as_str(),
        dst_port: Some(i32::from(flow.port)),
        protocol_num: Some(flow.protocol),
        outcome: flow.outcome,
        is_src_dst_assignment_known: true,
        opens: None,
        flow_count: flow.connections,
        bytes_out: Some(flow.bytes_out),
        bytes_in: Some(flow.bytes_in),
        declared_verdict: None,
        declared_rule: None,
        conversation: Conversation::default(),
    }
}

/// Units by rule: by the level of the last hours, by the hour of the week, by the higher of both.
type Counts = BTreeMap<(&'static str, usize), [u64; 3]>;

#[test]
#[ignore = "a measurement"]
fn what_the_hour_of_the_week_adds() {
    let (mut counts, mut units) = (Counts::new(), BTreeMap::<&str, u64>::new());
    for seed in 1..5 {
        let scenario = Scenario::new(scenario::Settings { seed, days: DAYS, services: 60, attacks_from_day: None });
        let mut engine = Engine::new(Settings::default()).unwrap();
        engine.keep_scores();
        // By destination: its foremost flow and all its connections of the last afternoon's window.
        let mut afternoon: HashMap<u16, (Flow, i64)> = HashMap::new();
        let mut burst_at: Option<(i64, String)> = None;
        for (window, mut flows) in (0_i64..).zip(scenario.windows()) {
            let (day, of_day) = (window / WINDOWS_PER_DAY, window % WINDOWS_PER_DAY);
            if of_day == 180 && day % 7 < 5 {
                afternoon.clear();
                for flow in &flows {
                    let known = afternoon.entry(flow.destination).or_insert((*flow, 0));
                    known.1 += flow.connections;
                }
            }
            let is_burst = window >= JUDGED_FROM && of_day == 36;
            if is_burst {
                let mut all: Vec<&(Flow, i64)> = afternoon.values().filter(|known| known.1 >= 40).collect();
                all.sort_by_key(|known| known.0.destination);
                let (flow, opened) = *all[usize::try_from(window * 31).unwrap() % all.len()];
                let time = scenario.start() + window * WINDOW + WINDOW / 2;
                flows.push(Flow { time, connections: opened / 2, ..flow });
                flows.sort_by_key(|flow| flow.time);
                burst_at = Some((time, scenario.entities()[usize::from(flow.destination)].name.clone()));
            }
            flows.iter().for_each(|flow| drop(engine.observe(&event(&scenario, flow))));
            for unit in engine.take_destination_scores() {
                let of_day = (unit.window_start - scenario.start()) / WINDOW % WINDOWS_PER_DAY;
                if unit.window_start < scenario.start() + JUDGED_FROM * WINDOW {
                    continue;
                }
                let is_burst = burst_at.as_ref().is_some_and(|(time, name)| {
                    (unit.window_start..unit.window_start + WINDOW).contains(time) && unit.entity == *name
                });
                let kind = match (is_burst, of_day) {
                    (true, _) => "burst",
                    (false, 0..60) => "night",
                    (false, 60..132) => "morning",
                    _ => "day",
                };
                *units.entry(kind).or_default() += 1;
                let of = |name| unit.signals.iter().find(|(known, _)| *known == name).map_or(1.0, |&(_, p)| p);
                let (level, season) = (of("level"), of("season"));
                for (place, p) in [level, season, level.max(season)].into_iter().enumerate() {
                    for (count, bar) in counts.entry((kind, place)).or_default().iter_mut().zip(LEVELS) {
                        *count += u64::from(p <= bar);
                    }
                }
            }
        }
    }
    eprintln!("units at or below {LEVELS:?}: by the last hours, by the hour of the week, by both");
    for (kind, units) in units {
        eprintln!("{kind} of {units}: {:?}", [0, 1, 2].map(|place| counts[&(kind, place)]));
    }
}
