//! What detection is held against: rules of one idea, thresholds of well-known tools, published sketches. Each gives a score per
//! flow. Knows no label.

mod half_space;
mod midas;
mod simple;
mod theia;
mod zeek;

pub(crate) use half_space::{Python, PythonArguments};

use crate::flows::Stream;
use midas::Variant;

/// Log of the odds at which a threshold random walk decides: false positives 0.01, detections 0.99 (Jung and others, section 5).
const WALK_DECIDES: f64 = 4.595_119_850_134_59;

/// One peer's word on a stream.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// A score per flow.
    pub(crate) scores: Vec<f64>,
    /// The score from which on it would alarm, where it has such a threshold of its own.
    pub(crate) alarms_from: Option<f64>,
}

/// The name of the peer that needs a Python with `river`.
pub(crate) const HALF_SPACE_TREES: &str = "half-space trees";

/// All peers on a stream; half-space trees only where there is a Python that has them.
pub(crate) fn all(stream: &Stream, train_until: Option<i64>, python: Option<&Python>) -> anyhow::Result<Vec<Peer>> {
    let peer = |name, scores| Peer { name, scores, alarms_from: None };
    let alarming = |name, scores, from| Peer { name, scores, alarms_from: Some(from) };
    let mut peers = vec![
        peer("rarity 1/n", simple::rarity(stream)),
        alarming("allow-list", simple::allow_list(stream, train_until), 1.0),
        alarming("random walk (TRW)", simple::random_walk(stream), WALK_DECIDES),
        peer("log-bytes z", simple::sizes(stream)),
        peer("count EWMA", simple::moving_average(stream)),
        alarming("Zeek thresholds", zeek::thresholds(stream), 1.0),
        // More than one standard deviation.
        alarming("Theia EWMA", theia::moving_average(stream), 1.0_f64.next_up()),
        peer("MIDAS", midas::scores(stream, Variant::Plain)),
        peer("MIDAS-R", midas::scores(stream, Variant::Relational)),
        peer("MIDAS-F", midas::filtering(stream)),
    ];
    if let Some(python) = python {
        peers.push(peer(HALF_SPACE_TREES, half_space::scores(stream, python)?));
    }
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use crate::flows::{Flow, Stream};
    use tradewind_model::Outcome;
    use tradewind_model::time::MINUTE;

    /// A stream of one source: minutes, destination, port.
    #[allow(clippy::cast_possible_truncation)] // A few minutes.
    pub(super) fn stream(flows: &[(f64, u32, u16)]) -> Stream {
        let flow = |&(minute, destination, port): &(f64, u32, u16)| Flow {
            time: (minute * MINUTE as f64) as i64,
            source: 0,
            destination,
            port: Some(port),
            protocol: Some(6),
            outcome: Outcome::Allowed,
            bytes_out: Some(100),
            bytes_in: Some(100),
            is_attack: false,
            episode: None,
            word: None,
            inside: (true, true),
        };
        Stream { flows: flows.iter().map(flow).collect(), ..Stream::default() }
    }
}
