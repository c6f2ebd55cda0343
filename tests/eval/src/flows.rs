//! Labelled flows in memory, in the order of their time.

use std::collections::HashMap;
use tradewind_model::Outcome;
use tradewind_model::time::SECOND;

/// One flow with its truth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// Microseconds since the stream's origin.
    pub(crate) time: i64,
    pub(crate) source: u32,
    pub(crate) destination: u32,
    pub(crate) port: Option<u16>,
    pub(crate) protocol: Option<i16>,
    pub(crate) outcome: Outcome,
    pub(crate) bytes_out: Option<i64>,
    pub(crate) bytes_in: Option<i64>,
    pub(crate) is_attack: bool,
    /// Number of the episode it belongs to.
    pub(crate) episode: Option<u32>,
    /// Number of its kind of benign traffic out of the ordinary, or of its attack's name, in [`Stream::words`].
    pub(crate) word: Option<u32>,
    /// Which ends are inside, where that is known.
    pub(crate) inside: (bool, bool),
}

/// A stream of flows.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// What the file was.
    pub(crate) name: String,
    pub(crate) flows: Vec<Flow>,
    pub(crate) names: Names,
    pub(crate) words: Names,
    /// Whether there are labels.
    pub(crate) is_labelled: bool,
    /// The stream's origin: its first time, rounded down to 100 s. Seconds.
    pub(crate) origin: f64,
}

/// Texts with numbers.
#[derive(Debug, Default)]
pub(crate) struct Names {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Names {
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = u32::try_from(self.texts.len()).expect("fewer names than memory");
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    pub(crate) fn text(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}

impl Stream {
    /// Brings flows read with times in seconds into order and on the grid of the protocol, moved back by some seconds.
    pub(crate) fn arrange(&mut self, seconds: Vec<f64>, shift_seconds: f64) {
        let first = seconds.iter().copied().fold(f64::INFINITY, f64::min);
        self.origin = if first.is_finite() { (first / 100.0).floor() * 100.0 - shift_seconds } else { 0.0 };
        for (flow, second) in self.flows.iter_mut().zip(seconds) {
            #[allow(clippy::cast_possible_truncation)] // Saturates.
            let micros = ((second - self.origin) * SECOND as f64).round() as i64;
            flow.time = micros;
        }
        self.flows.sort_by_key(|flow| flow.time);
    }
}
