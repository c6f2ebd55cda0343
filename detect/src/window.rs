//! Flows of the open window, added up per edge. Knows no baseline.

use crate::event::FlowEvent;
use crate::network::{Edge, Network, Port};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use tradewind_model::Outcome;

/// What one edge did in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeWindow {
    /// Number of the edge.
    pub number: u32,
    /// The edge.
    pub edge: Edge,
    /// Flows, by what each row stands for.
    pub flows: i64,
    /// Of these, those of rows that open a connection.
    pub opened: i64,
    /// Flows that were answered, or whose log does not say.
    pub answered: i64,
    /// Flows that a policy stopped.
    pub denied: i64,
    /// Flows that were tried and did not work.
    pub failed: i64,
    /// Bytes from source to destination, where seen.
    pub bytes_out: Option<i64>,
    /// Bytes from destination to source, where seen.
    pub bytes_in: Option<i64>,
    /// IANA protocol number; the lowest where several were seen.
    pub protocol_num: Option<i16>,
    /// Time of the last flow, microseconds UTC.
    pub last: i64,
}

/// A source and its part of the window's edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceWindow {
    /// Number of the source.
    pub source: u32,
    /// Its edges: positions in [`Window::edges`].
    pub edges: Range<usize>,
}

/// A closed window, as detectors see it.
#[derive(Debug)]
pub struct Window<'a> {
    /// Number of the window: its start divided by its length.
    pub index: i64,
    /// Its start, microseconds UTC.
    pub start: i64,
    /// Its length, microseconds.
    pub length: i64,
    /// Windows since the network's first.
    pub age: u64,
    /// Whether it may be partial, because the stream ended in it.
    pub is_partial: bool,
    /// Whether everything in it is to be learnt.
    pub is_training: bool,
    /// Names.
    pub network: &'a Network,
    /// Its edges, by name of source, name of destination and port.
    pub edges: &'a [EdgeWindow],
    /// Its sources, by name.
    pub sources: &'a [SourceWindow],
}

/// The open window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tallies {
    edges: Vec<EdgeWindow>,
    /// Per edge number the place in `edges` plus one; zero where the window has not seen it.
    places: Vec<u32>,
}

impl Tallies {
    /// Adds a flow.
    pub(crate) fn add(&mut self, network: &mut Network, event: &FlowEvent<'_>) {
        let source = network.entity(event.src_entity, event.src_kind);
        let destination = network.entity(event.dst_entity, event.dst_kind);
        let number = network.edge(Edge { source, destination, port: port(event) });
        let tally = self.tally(number, Edge { source, destination, port: port(event) }, event.time);
        let flows = event.flow_count.max(1);
        tally.flows = tally.flows.saturating_add(flows);
        if event.opens != Some(false) {
            tally.opened = tally.opened.saturating_add(flows);
        }
        let outcome = match event.outcome {
            Outcome::Allowed | Outcome::Unknown => &mut tally.answered,
            Outcome::Denied => &mut tally.denied,
            Outcome::Failed => &mut tally.failed,
        };
        *outcome = outcome.saturating_add(flows);
        tally.bytes_out = sum(tally.bytes_out, event.bytes_out);
        tally.bytes_in = sum(tally.bytes_in, event.bytes_in);
        tally.protocol_num = match (tally.protocol_num, event.protocol_num) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        tally.last = tally.last.max(event.time);
    }

    fn tally(&mut self, number: u32, edge: Edge, time: i64) -> &mut EdgeWindow {
        let index = number as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, 0);
        }
        if self.places[index] == 0 {
            self.edges.push(EdgeWindow {
                number,
                edge,
                flows: 0,
                opened: 0,
                answered: 0,
                denied: 0,
                failed: 0,
                bytes_out: None,
                bytes_in: None,
                protocol_num: None,
                last: time,
            });
            self.places[index] = u32::try_from(self.edges.len()).expect("as many as there are edge numbers");
        }
        &mut self.edges[self.places[index] as usize - 1]
    }

    /// Ends the window: its edges in order of names, and its sources. The next one starts empty.
    pub(crate) fn close(&mut self, network: &Network) -> (Vec<EdgeWindow>, Vec<SourceWindow>) {
        let mut edges = std::mem::take(&mut self.edges);
        for edge in &edges {
            self.places[edge.number as usize] = 0;
        }
        edges.sort_unstable_by(|one, other| {
            let name = |entity| network.name(entity);
            name(one.edge.source)
                .cmp(name(other.edge.source))
                .then_with(|| name(one.edge.destination).cmp(name(other.edge.destination)))
                .then_with(|| one.edge.port.cmp(&other.edge.port))
        });
        let mut sources: Vec<SourceWindow> = Vec::new();
        for (position, edge) in edges.iter().enumerate() {
            match sources.last_mut() {
                Some(last) if last.source == edge.edge.source => last.edges.end = position + 1,
                _ => sources.push(SourceWindow { source: edge.edge.source, edges: position..position + 1 }),
            }
        }
        (edges, sources)
    }
}

fn port(event: &FlowEvent<'_>) -> Port {
    if !event.is_src_dst_assignment_known {
        return Port::Unoriented;
    }
    event.dst_port.and_then(|port| u16::try_from(port).ok()).map_or(Port::Absent, Port::Number)
}

fn sum(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    }
}
