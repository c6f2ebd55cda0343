//! Two stages over logs, as a deployment runs them: raw inputs with disorder, partitions and a correlator that step in a
//! random order, and are killed and restored. Also flows that give it something to find, and what one engine finds in them.

use crate::kept::{kept_correlator, kept_partition};
use crate::simulation::{Flow, Random, WINDOW, converse, takeover};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use tradewind_detect::edges::virtual_shard;
use tradewind_detect::stream::{Correlator, Output, Partition, Round, Signal};
use tradewind_detect::{Control, Engine, Settings};
use tradewind_model::{Finding, Outcome};

/// Findings by id: the last word on each.
pub(crate) type Last = BTreeMap<String, Finding>;

/// A takeover, a chain, a flood, a scan, breaches, refusals and odd sizes in a network that changes all the time.
pub(crate) fn eventful(seed: u64) -> Vec<Flow> {
    let mut random = Random(seed);
    let mut flows = takeover(40, 30);
    for flow in &mut flows {
        flow.bytes = 1000 + random.below(4000) as i64;
        flow.outcome = if random.below(50) == 0 { Outcome::Failed } else { flow.outcome };
    }
    for window in 10..40 {
        for call in 0..20 {
            let (source, destination) = (random.below(40), random.below(40));
            let mut flow =
                Flow::new(window, call * 10, &format!("service/s{source}"), &format!("service/s{destination}"), 443);
            flow.outcome = [Outcome::Allowed, Outcome::Denied, Outcome::Failed][random.below(3)];
            flow.bytes = random.below(1_000_000) as i64;
            flow.is_breach = random.below(20) == 0;
            flows.push(flow);
        }
    }
    // Its kind changes between windows that are open, held and told of at the same time.
    for window in 16..24 {
        for call in 0..6 {
            let destination = format!("service/s{}", (window * 3 + call) % 12);
            let flow =
                Flow::new(window, 30 + call * 20, "changing/it", &destination, 9000 + (window * 7 + call) as i32);
            flows.push(Flow { is_breach: call == 0, ..flow });
        }
    }
    let path = ["external/203.0.113.9", "service/s5", "service/s9", "service/vault", "service/ledger"];
    for (hop, ends) in (0..).zip(path.windows(2)) {
        flows.push(Flow::new(25, 200 + hop * 90, ends[0], ends[1], 22));
    }
    flows.extend((0..1000).map(|call| Flow::new(33, call % 300, "service/s3", "service/s4", 8080)));
    flows.extend(
        (0..400).map(|call| Flow {
            outcome: Outcome::Denied,
            ..Flow::new(34, call % 300, "service/s2", "service/s3", 8080)
        }),
    );
    for port in 0..60 {
        let scan = Flow::new(36, 250 + port, "service/s5", "service/s6", port as i32);
        flows.push(Flow { outcome: Outcome::Failed, is_breach: port % 7 == 0, ..scan });
    }
    for call in 0..300 {
        let (window, client) = (15 + call % 20, call % 7);
        let odd = Flow::new(window, call, &format!("service/s{client}"), "service/odd", 40_000 + call as i32);
        let port = odd.port.filter(|_| call % 3 == 0);
        flows.push(Flow { is_oriented: call % 2 == 0, port, ..odd });
    }
    converse(&mut flows, &mut random);
    // Times that hardly ever meet.
    flows.iter_mut().for_each(|flow| flow.time += random.below(1_000_000) as i64);
    flows
}

/// What one engine finds in the flows in the order of time, the last window closed by a later one.
pub(crate) fn oracle(flows: Vec<Flow>, options: Run) -> Last {
    oracle_told(flows, options, &[])
}

/// The same, where this is said, each from a time on.
pub(crate) fn oracle_told(mut flows: Vec<Flow>, options: Run, controls: &[(Control, i64)]) -> Last {
    let order = |flow: &Flow| {
        let is = |outcome| i64::from(flow.outcome == outcome) * flow.count;
        let answered = is(Outcome::Allowed) + is(Outcome::Unknown);
        let counts = (flow.count, answered, is(Outcome::Denied), is(Outcome::Failed), flow.bytes);
        (flow.time, flow.src.clone(), flow.dst.clone(), !flow.is_oriented, flow.port.is_none(), flow.port, counts)
    };
    flows.sort_by_cached_key(order);
    let Some(mut last) = flows.last().cloned() else { return Last::new() };
    // An edge that is known, so that nothing is told of it.
    last = Flow { time: last.time + 1000 * WINDOW, outcome: Outcome::Allowed, is_breach: false, ..flows[0].clone() };
    flows.push(last);
    let mut engine = Engine::new(settings(options)).unwrap();
    engine.train_until(options.train_until);
    assert!(controls.iter().all(|(control, time)| engine.control(control.clone(), *time)));
    let findings = flows.iter().flat_map(|flow| engine.observe(&flow.event()));
    findings.map(|finding| (finding.finding_id.clone(), finding)).collect()
}

/// An entry of the log of a flows partition.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Flow(Flow),
    Watermark(usize, i64),
    Idle(usize),
}

/// Logs of all flows partitions: each raw input is in the order of time but for `lateness`, and they run apart from one
/// another. At the end one says that it is done, and the others that they have nothing.
pub(crate) fn logs(
    flows: &[Flow],
    partitions: usize,
    raws: usize,
    lateness: i64,
    random: &mut Random,
) -> Vec<Vec<Entry>> {
    let mut inputs: Vec<Vec<(i64, &Flow)>> = vec![Vec::new(); raws];
    for flow in flows {
        let delay = random.below(lateness as usize + 1) as i64;
        inputs[random.below(raws)].push((flow.time + delay, flow));
    }
    let mut logs: Vec<Vec<Entry>> = vec![Vec::new(); partitions];
    for raw in 0..raws {
        logs.iter_mut().for_each(|log| log.push(Entry::Watermark(raw, i64::MIN)));
    }
    // From the end, so that the next one is popped.
    inputs.iter_mut().for_each(|input| input.sort_by_key(|&(arrival, flow)| std::cmp::Reverse((arrival, flow.time))));
    while inputs.iter().any(|input| !input.is_empty()) {
        let raw = random.below(raws);
        for _ in 0..1 + random.below(200) {
            let Some((_, flow)) = inputs[raw].pop() else { break };
            let place = usize::from(virtual_shard(&flow.src, &flow.dst)) % partitions;
            logs[place].push(Entry::Flow(flow.clone()));
        }
        if random.below(3) == 0 {
            let next = inputs[raw].iter().map(|(_, flow)| flow.time).min();
            let time = next.map_or(i64::MAX, |next| next - 1);
            logs.iter_mut().for_each(|log| log.push(Entry::Watermark(raw, time)));
        }
    }
    for raw in 0..raws {
        let end = if raw > 0 { Entry::Idle(raw) } else { Entry::Watermark(raw, i64::MAX) };
        logs.iter_mut().for_each(|log| log.push(end.clone()));
    }
    logs
}

/// As it comes back from a disk or a network.
pub(crate) fn stored<T: Serialize + DeserializeOwned>(value: &T) -> T {
    postcard::from_bytes(&postcard::to_stdvec(value).unwrap()).unwrap()
}

/// A stage with how far it has read.
#[derive(Clone, Debug)]
struct Stage<S> {
    state: S,
    read: Vec<usize>,
}

/// A stage and its last snapshot.
#[derive(Debug)]
struct Running<S> {
    now: Stage<S>,
    snapshot: Stage<S>,
}

impl<S: Clone> Running<S> {
    fn new(state: S, inputs: usize) -> Self {
        let now = Stage { state, read: vec![0; inputs] };
        Self { snapshot: now.clone(), now }
    }

    fn save(&mut self, kept: impl Fn(&S) -> S) {
        self.snapshot = Stage { state: kept(&self.now.state), read: self.now.read.clone() };
    }

    fn kill(&mut self) {
        self.now = self.snapshot.clone();
    }
}

/// How a run is disturbed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    /// One step in so many kills a stage; none for zero.
    pub(crate) kills: usize,
    /// Whether the signals of all partitions are one log; else each has its own, and the correlator reads them in any order.
    pub(crate) is_one_log: bool,
    pub(crate) held_max: usize,
    pub(crate) train_until: i64,
    /// The budget: where it is small, it matters in which order findings are decided about.
    pub(crate) findings_per_day: u32,
    pub(crate) edges_max: usize,
}

fn settings(options: Run) -> Settings {
    let mut settings = Settings { edges_max: options.edges_max, ..Settings::default() };
    settings.decision.findings_per_day = options.findings_per_day;
    settings.protocol.is_enabled = true;
    settings
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) last: Last,
    pub(crate) outputs: Vec<Output>,
    pub(crate) late: u64,
    pub(crate) forced: u64,
    pub(crate) held_most: u64,
    pub(crate) windows: u64,
    pub(crate) withdrawn: u64,
    pub(crate) kills: usize,
}

/// Runs a correlator and a partition per log until nothing is left to do.
pub(crate) fn run(logs: &[Vec<Entry>], options: Run) -> Ran {
    run_told(logs, options, &[])
}

/// The same, where this is said, each from a time on.
pub(crate) fn run_told(logs: &[Vec<Entry>], options: Run, controls: &[(Control, i64)]) -> Ran {
    let mut random = Random(options.seed);
    let settings = settings(options);
    let count = logs.len();
    let mut partitions: Vec<Running<Partition>> =
        (0..count).map(|_| Running::new(Partition::new(&settings, options.held_max).unwrap(), 2)).collect();
    let topics = if options.is_one_log { 1 } else { count };
    let mut correlator = Correlator::new(settings.clone(), count as u32, options.train_until).unwrap();
    assert!(controls.iter().all(|(control, time)| correlator.control(control.clone(), *time)));
    let mut correlator = Running::new(correlator, topics);
    let mut signals: Vec<Vec<(u32, Signal)>> = vec![Vec::new(); topics];
    let mut rounds: Vec<Round> = Vec::new();
    let mut outputs = Vec::new();
    let (mut held_most, mut kills) = (0, 0);
    loop {
        let is_done =
            partitions.iter().zip(logs).all(|(partition, log)| partition.now.read == [log.len(), rounds.len()]);
        if is_done && (0..topics).all(|topic| correlator.now.read[topic] == signals[topic].len()) {
            break;
        }
        if options.kills > 0 && random.below(options.kills) == 0 {
            kills += 1;
            match random.below(count + 1) {
                place if place == count => correlator.kill(),
                place => partitions[place].kill(),
            }
        }
        let place = random.below(count);
        let topic = place % topics;
        let mut out = Vec::new();
        match random.below(3) {
            0 => {
                let Running { now: Stage { state, read }, .. } = &mut partitions[place];
                for _ in 0..random.below(400) {
                    let Some(entry) = logs[place].get(read[0]) else { break };
                    // As a stage does: it reads no further until it may.
                    if state.statistics().held as usize / 2 > options.held_max {
                        break;
                    }
                    read[0] += 1;
                    match entry {
                        Entry::Flow(flow) => state.event(&flow.event(), &mut out),
                        Entry::Watermark(raw, time) => state.watermark(&raw.to_string(), *time, &mut out),
                        Entry::Idle(raw) => state.idle(&raw.to_string(), &mut out),
                    }
                    held_most = held_most.max(state.statistics().held);
                }
            }
            1 => {
                let Running { now: Stage { state, read }, .. } = &mut partitions[place];
                for _ in 0..random.below(4) {
                    let Some(round) = rounds.get(read[1]) else { break };
                    read[1] += 1;
                    state.round(stored(round), &mut out).unwrap();
                }
            }
            _ => {
                let Running { now: Stage { state, read }, .. } = &mut correlator;
                for _ in 0..random.below(20) {
                    let Some((sender, signal)) = signals[topic].get(read[topic]) else { break };
                    read[topic] += 1;
                    for output in state.signal(*sender, stored(signal)).unwrap() {
                        if let Output::Round(round) = &output {
                            rounds.push(round.clone());
                        }
                        outputs.push(output);
                    }
                }
            }
        }
        signals[topic].extend(out.into_iter().map(|signal| (place as u32, signal)));
        match random.below(60) {
            0 => correlator.save(|state| kept_correlator(state, &settings, count as u32, options.train_until)),
            1 => partitions[place].save(|state| kept_partition(state, &settings, options.held_max)),
            _ => (),
        }
    }
    let states = || partitions.iter().map(|partition| partition.now.state.statistics());
    let statistics = correlator.now.state.statistics();
    Ran {
        last: last(&outputs),
        outputs,
        late: states().map(|statistics| statistics.late).sum(),
        forced: states().map(|statistics| statistics.forced).sum(),
        held_most,
        windows: statistics.windows,
        withdrawn: statistics.withdrawn,
        kills,
    }
}

/// The last word on each finding.
pub(crate) fn last(outputs: &[Output]) -> Last {
    let mut last = Last::new();
    for output in outputs {
        match output {
            Output::Finding(finding) => drop(last.insert(finding.finding_id.clone(), (**finding).clone())),
            Output::Withdrawn { finding_id } => drop(last.remove(finding_id)),
            Output::Round(_) => (),
        }
    }
    last
}
