//! The metrics of the service: names, units, meanings, and where each number comes from. `docs/specs/telemetry.md` is made of
//! this table.

use super::lag::Lags;
use crate::stages::{Counters, Health, Stage};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tradewind_collect::RejectReason;

/// Where numbers come from.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    pub(crate) counters: Arc<Counters>,
    pub(crate) health: Arc<Health>,
    pub(crate) lags: Arc<Lags>,
    pub(crate) stages: Vec<Stage>,
}

/// One value with what it is about.
type Value = (u64, Vec<KeyValue>);

/// Whether it can go down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

/// One metric.
#[derive(Clone, Copy)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) unit: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "the page is made by a test"))]
    pub(crate) attributes: &'static str,
    pub(crate) meaning: &'static str,
    read: fn(&Numbers) -> Vec<Value>,
}

impl std::fmt::Debug for Metric {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

const fn counter(
    name: &'static str,
    unit: &'static str,
    meaning: &'static str,
    read: fn(&Numbers) -> Vec<Value>,
) -> Metric {
    Metric { name, kind: Kind::Counter, unit, attributes: "", meaning, read }
}

impl Metric {
    const fn about(self, attributes: &'static str) -> Self {
        Self { attributes, ..self }
    }

    const fn gauge(self) -> Self {
        Self { kind: Kind::Gauge, ..self }
    }
}

fn one(value: u64) -> Vec<Value> {
    vec![(value, Vec::new())]
}

/// A number of each source.
fn sources(numbers: &Numbers, read: impl Fn(&tradewind_collect::CollectCounters) -> u64) -> Vec<Value> {
    let all = numbers.counters.collect.all();
    all.iter().map(|(name, counters)| (read(counters), vec![KeyValue::new("source", name.clone())])).collect()
}

/// A number of each sink.
fn sinks(numbers: &Numbers, read: impl Fn(&tradewind_notify::SinkStatus) -> u64) -> Vec<Value> {
    let status = numbers.counters.notify.get().unwrap_or_default();
    status.sinks.iter().map(|(name, sink)| (read(sink), vec![KeyValue::new("sink", name.clone())])).collect()
}

/// All metrics. For each hop: received = accepted + rejected, and raw records are made into flows, rejects and gaps.
pub(crate) const METRICS: &[Metric] = &[
    counter("tradewind.collect.received", "{record}", "Lines or requests that came.", |numbers| {
        sources(numbers, |counters| counters.received.load(Relaxed))
    })
    .about("source"),
    counter("tradewind.collect.accepted", "{record}", "Those that are durable in the log.", |numbers| {
        sources(numbers, |counters| counters.accepted.load(Relaxed))
    })
    .about("source"),
    counter("tradewind.collect.rejected", "{record}", "Those that were refused, by reason.", |numbers| {
        let all = numbers.counters.collect.all();
        let of = |(name, counters): (&String, &Arc<tradewind_collect::CollectCounters>)| {
            RejectReason::ALL.map(|reason| {
                let about = vec![KeyValue::new("source", name.clone()), KeyValue::new("error.type", reason.as_str())];
                (counters.rejected_by_reason[reason as usize].load(Relaxed), about)
            })
        };
        all.iter().flat_map(of).collect()
    })
    .about("source, error.type"),
    counter("tradewind.collect.bytes", "By", "Bytes accepted, unpacked.", |numbers| {
        sources(numbers, |counters| counters.bytes.load(Relaxed))
    })
    .about("source"),
    counter("tradewind.collect.records", "{record}", "Raw records written to the log.", |numbers| {
        sources(numbers, |counters| counters.records.load(Relaxed))
    })
    .about("source"),
    counter(
        "tradewind.collect.retries",
        "{attempt}",
        "Attempts to write that failed and were made again.",
        |numbers| sources(numbers, |counters| counters.write_retries.load(Relaxed)),
    )
    .about("source"),
    counter("tradewind.collect.files.lag", "By", "Bytes of followed files that were not read yet.", |numbers| {
        sources(numbers, |counters| counters.files_lag_bytes.load(Relaxed))
    })
    .about("source")
    .gauge(),
    counter(
        "tradewind.collect.files.vanished",
        "{file}",
        "Files that went away before they were read to their end.",
        |numbers| sources(numbers, |counters| counters.files_vanished.load(Relaxed)),
    )
    .about("source"),
    counter("tradewind.normalise.raw_records", "{record}", "Raw records read.", |numbers| {
        one(numbers.counters.normalise.raw_records.get())
    }),
    counter("tradewind.normalise.flows", "{flow}", "Records in them that became flows.", |numbers| {
        one(numbers.counters.normalise.flows.get())
    }),
    counter("tradewind.normalise.rejected", "{record}", "Records that became dead letters.", |numbers| {
        one(numbers.counters.normalise.rejected.get())
    }),
    counter("tradewind.normalise.gaps", "{record}", "Records that state missing data.", |numbers| {
        one(numbers.counters.normalise.gaps.get())
    }),
    counter("tradewind.store.flows", "{flow}", "Flows committed to the lake.", |numbers| {
        one(numbers.counters.store.flows.get())
    }),
    counter("tradewind.store.dead_letters", "{record}", "Dead letters committed to the lake.", |numbers| {
        one(numbers.counters.store.dead_letters.get())
    }),
    counter(
        "tradewind.store.findings",
        "{finding}",
        "Findings and updates of findings committed to the lake.",
        |numbers| one(numbers.counters.store.findings.get()),
    ),
    counter("tradewind.store.commits", "{commit}", "Commits to the lake; several tables at once are one.", |numbers| {
        one(numbers.counters.store.commits.get())
    }),
    counter("tradewind.store.commit_time", "us", "Time that commits took, staging included.", |numbers| {
        one(numbers.counters.store.commit_us.get())
    }),
    counter("tradewind.detect.flows", "{flow}", "Flows judged at the edge level.", |numbers| {
        one(numbers.counters.detect.flows.get())
    }),
    counter("tradewind.detect.signals", "{signal}", "Signals written.", |numbers| {
        one(numbers.counters.detect.signals.get())
    }),
    counter(
        "tradewind.detect.late",
        "{flow}",
        "Flows that came after their window had closed: stored, not judged.",
        |numbers| one(numbers.counters.detect.late.get()),
    ),
    counter(
        "tradewind.detect.aged_out",
        "{edge}",
        "Edges of which only a sketch is kept, because there were more than detect.edges_max.",
        |numbers| one(numbers.counters.detect.aged_out.get()),
    ),
    counter(
        "tradewind.detect.unjudged",
        "{flow}",
        "Flows that were stored and not judged, because there were too many new edges.",
        |numbers| one(numbers.counters.detect.unjudged.get()),
    ),
    counter("tradewind.detect.snapshot_bytes", "By", "Bytes of snapshots written.", |numbers| {
        one(numbers.counters.detect.snapshot_bytes.get())
    }),
    counter("tradewind.correlate.signals", "{signal}", "Signals read.", |numbers| {
        one(numbers.counters.correlate.signals.get())
    }),
    counter("tradewind.correlate.findings", "{finding}", "Findings and updates of findings written.", |numbers| {
        one(numbers.counters.correlate.findings.get())
    }),
    counter("tradewind.correlate.controls", "{control}", "What was said of findings, taken in.", |numbers| {
        one(numbers.counters.correlate.controls.get())
    }),
    counter(
        "tradewind.correlate.controls_rejected",
        "{control}",
        "Rows of table controls that cannot be read, say too little or too much: left out.",
        |numbers| one(numbers.counters.correlate.controls_rejected.get()),
    ),
    counter(
        "tradewind.stage.ready",
        "{stage}",
        "1 where a stage of this process works, 0 where it waits or begins again.",
        |numbers| {
            let causes = numbers.health.causes();
            let is_ready = |stage: &Stage| !causes.keys().any(|name| name.starts_with(stage.as_str()));
            let value = |stage: &Stage| (u64::from(is_ready(stage)), vec![KeyValue::new("stage", stage.as_str())]);
            numbers.stages.iter().map(value).collect()
        },
    )
    .about("stage")
    .gauge(),
    counter(
        "messaging.consumer.lag",
        "{record}",
        "Records of a partition that a group has not committed yet.",
        |numbers| {
            let value = |lag: super::lag::Lag| {
                let about = vec![
                    KeyValue::new("messaging.consumer.group.name", lag.group),
                    KeyValue::new("messaging.destination.name", lag.topic),
                    KeyValue::new("messaging.destination.partition.id", lag.partition.to_string()),
                ];
                (lag.records, about)
            };
            numbers.lags.all().into_iter().map(value).collect()
        },
    )
    .about("messaging.consumer.group.name, messaging.destination.name, messaging.destination.partition.id")
    .gauge(),
    counter("tradewind.notify.delivered", "{message}", "Messages that a sink took.", |numbers| {
        sinks(numbers, |sink| sink.delivered)
    })
    .about("sink"),
    counter("tradewind.notify.refused", "{message}", "Messages that a sink refused for good.", |numbers| {
        sinks(numbers, |sink| sink.refused)
    })
    .about("sink"),
    counter("tradewind.notify.waiting", "{message}", "Messages that wait for a sink.", |numbers| {
        sinks(numbers, |sink| sink.waiting)
    })
    .about("sink")
    .gauge(),
];

/// Makes instruments of all metrics that read `numbers` when they are asked.
pub(crate) fn observe(provider: &SdkMeterProvider, numbers: &Numbers) {
    let meter: Meter = provider.meter("tradewind");
    for metric in METRICS {
        let (numbers, read) = (numbers.clone(), metric.read);
        let callback = move |observer: &dyn AsyncInstrument<u64>| {
            for (value, about) in read(&numbers) {
                observer.observe(value, &about);
            }
        };
        let Metric { name, unit, meaning, .. } = *metric;
        match metric.kind {
            Kind::Counter => {
                let counter = meter.u64_observable_counter(name).with_unit(unit).with_description(meaning);
                counter.with_callback(callback).build();
            }
            Kind::Gauge => {
                let gauge = meter.u64_observable_gauge(name).with_unit(unit).with_description(meaning);
                gauge.with_callback(callback).build();
            }
        }
    }
}

/// The sum of each counter, for people.
pub(crate) fn sums(numbers: &Numbers) -> serde_json::Map<String, serde_json::Value> {
    let counters = METRICS.iter().filter(|metric| metric.kind == Kind::Counter);
    let sum = |metric: &Metric| (metric.read)(numbers).iter().map(|(value, _)| value).sum::<u64>();
    counters.map(|metric| (metric.name.to_owned(), sum(metric).into())).collect()
}
