//! The whole: sinks with their couriers, and the outbox between them and the log.

use crate::courier::{Courier, blocking};
use crate::error::NotifyError;
use crate::outbox::{Outbox, Rules, SinkRules};
use crate::quiet::{Quiet, daily};
use crate::route::Route;
use crate::secret::Secrets;
use crate::settings::{NotifySettings, SinkSettings};
use crate::sinks::{Making, Sink};
use crate::status::{DeadLetter, Status};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tradewind_model::time::{DAY, HOUR, SECOND};
use tradewind_model::{Clock, Finding, Incident};

/// Inputs of one transaction at most.
const INPUTS_AT_ONCE: usize = 200;

/// What was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A finding, or what is newer of one.
    Finding {
        /// When it was written, microseconds UTC.
        recorded_time: i64,
        /// The finding.
        finding: Box<Finding>,
    },
    /// An incident, or what is newer of one.
    Incident {
        /// When it was written, microseconds UTC.
        recorded_time: i64,
        /// The incident.
        incident: Incident,
    },
}

/// How far a place of the log was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The place, such as `topic/0`.
    pub place: String,
    /// The offset to go on from.
    pub next: i64,
}

/// Routes what is told, keeps it, and has it delivered.
#[derive(Debug)]
pub struct Notifier {
    outbox: Arc<Outbox>,
    rules: Arc<Rules>,
    kinds: BTreeMap<String, &'static str>,
    clock: Arc<dyn Clock>,
    wakes: Vec<Arc<Notify>>,
    stop: watch::Sender<bool>,
    couriers: Vec<JoinHandle<Result<(), NotifyError>>>,
    alerts_max: u64,
}

impl Notifier {
    /// Makes the sinks, opens the outbox and begins to deliver what is in it.
    ///
    /// # Errors
    /// Settings that cannot work, secrets that cannot be read, an outbox that cannot be opened.
    pub fn start(
        settings: &NotifySettings,
        folder: &Path,
        secrets: &Secrets<'_>,
        clock: Arc<dyn Clock>,
        handle: &Handle,
    ) -> Result<Self, NotifyError> {
        let rules = Arc::new(rules(settings)?);
        // Secrets that are missing are told before anything is opened.
        let made: Vec<(&SinkSettings, Arc<dyn Sink>)> = settings
            .sinks
            .iter()
            .map(|sink| Ok((sink, make(sink, settings, secrets, &clock)?)))
            .collect::<Result<_, NotifyError>>()?;
        let outbox = Arc::new(Outbox::open(folder)?);
        let (stop, stopped) = watch::channel(false);
        let mut notifier = Self {
            outbox,
            rules,
            kinds: settings.sinks.iter().map(|sink| (sink.name.clone(), sink.kind.as_str())).collect(),
            clock,
            wakes: Vec::new(),
            stop,
            couriers: Vec::new(),
            alerts_max: settings.outbox_alerts_max,
        };
        for (sink, made) in made {
            let wake = Arc::new(Notify::new());
            let courier = Courier {
                name: sink.name.clone(),
                sink: made,
                outbox: Arc::clone(&notifier.outbox),
                clock: Arc::clone(&notifier.clock),
                wake: Arc::clone(&wake),
                stop: stopped.clone(),
                rate_per_minute: sink.rate_per_minute,
                timeout: Duration::from_millis(sink.timeout_ms),
                retry_max: Duration::from_secs(sink.retry_max_s),
                is_gathering: !sink.kind.gather().is_zero(),
            };
            notifier.wakes.push(wake);
            notifier.couriers.push(handle.spawn(courier.run()));
        }
        Ok(notifier)
    }

    /// How far each place of the log was read; the offset to go on from.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub fn positions(&self) -> Result<BTreeMap<String, i64>, NotifyError> {
        self.outbox.positions()
    }

    /// Why nothing may be taken in at the moment: as much waits as may, or the disk is full. Deliveries go on.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        if self.outbox.len() >= self.alerts_max {
            let said = "the outbox is full: nothing is taken in until sinks take some ([notify] outbox_alerts_max)";
            return Some(said.to_owned());
        }
        self.outbox.check_room().err().map(|error| error.to_string())
    }

    /// Takes in what was told; durable when it returns.
    ///
    /// # Errors
    /// The outbox cannot be written, or its disk is full; the position is that of before then.
    pub async fn take(&self, inputs: Vec<Input>, position: Option<Position>) -> Result<(), NotifyError> {
        let mut rest = inputs;
        // Deliveries go on between transactions. What comes twice changes nothing, so that the last one alone notes the position.
        while rest.len() > INPUTS_AT_ONCE {
            let later = rest.split_off(INPUTS_AT_ONCE);
            self.take_some(std::mem::replace(&mut rest, later), None).await?;
        }
        self.take_some(rest, position).await
    }

    async fn take_some(&self, inputs: Vec<Input>, position: Option<Position>) -> Result<(), NotifyError> {
        let (outbox, rules, now) = (Arc::clone(&self.outbox), Arc::clone(&self.rules), self.clock.now());
        blocking(move || outbox.take(inputs, position.as_ref(), &rules, now)).await?;
        self.wake();
        Ok(())
    }

    /// Does what time alone makes due; to be called about once a second. `causes` is what does not work, for signs of life.
    ///
    /// # Errors
    /// The outbox cannot be used, or could not be used by a courier.
    pub async fn tick(&mut self, causes: Vec<String>) -> Result<(), NotifyError> {
        let (outbox, rules, now) = (Arc::clone(&self.outbox), Arc::clone(&self.rules), self.clock.now());
        blocking(move || outbox.tick(&rules, &causes, now)).await?;
        self.wake();
        for place in (0..self.couriers.len()).rev() {
            if self.couriers[place].is_finished() {
                let ended = self.couriers.swap_remove(place).await;
                ended.unwrap_or_else(|error| {
                    Err(NotifyError::Settings {
                        message: format!("a courier ended by a fault of the program: {error}"),
                    })
                })?;
            }
        }
        Ok(())
    }

    /// How it stands.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub fn status(&self) -> Result<Status, NotifyError> {
        let mut status = self.outbox.status(self.clock.now())?;
        for (name, kind) in &self.kinds {
            status.sinks.entry(name.clone()).or_default().kind = Some((*kind).to_owned());
        }
        Ok(status)
    }

    /// What sinks refused and was not noted by [`Notifier::told`] so far: for the dead letters of the log.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub fn untold(&self) -> Result<Vec<DeadLetter>, NotifyError> {
        self.outbox.untold()
    }

    /// These are among the dead letters of the log now.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub fn told(&self, letters: &[DeadLetter]) -> Result<(), NotifyError> {
        let places: Vec<(String, u64)> = letters.iter().map(|letter| (letter.sink.clone(), letter.number)).collect();
        self.outbox.told(&places)
    }

    /// Puts what a sink refused back into its queue. How much that was.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub fn replay(&self, sink: &str) -> Result<u64, NotifyError> {
        let revived = self.outbox.revive(sink, &self.rules, self.clock.now())?;
        self.wake();
        Ok(revived)
    }

    /// Ends: what is on its way is waited for, what waits stays in the outbox.
    ///
    /// # Errors
    /// The outbox could not be used.
    pub async fn stop(self) -> Result<(), NotifyError> {
        self.stop.send_replace(true);
        let mut ended = Ok(());
        for courier in self.couriers {
            if let Ok(Err(error)) = courier.await {
                ended = Err(error);
            }
        }
        ended
    }

    fn wake(&self) {
        for wake in &self.wakes {
            wake.notify_one();
        }
    }
}

/// How an outbox that no process uses stands.
///
/// # Errors
/// It is in use, or cannot be read.
pub fn status_of(folder: &Path, now: i64) -> Result<Status, NotifyError> {
    Outbox::open(folder)?.status(now)
}

/// Makes one sink.
///
/// # Errors
/// Settings that cannot work, secrets that cannot be read.
pub fn make(
    sink: &SinkSettings,
    settings: &NotifySettings,
    secrets: &Secrets<'_>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Sink>, NotifyError> {
    let timeout = Duration::from_millis(sink.timeout_ms);
    let heartbeat = Duration::from_secs(sink.heartbeat_s);
    let making = Making { secrets, timeout, link: &settings.link, clock, heartbeat };
    sink.kind.make(&making).map_err(|error| match error {
        NotifyError::Settings { message } => {
            NotifyError::Settings { message: format!("sink `{}`: {message}", sink.name) }
        }
        other => other,
    })
}

fn rules(settings: &NotifySettings) -> Result<Rules, NotifyError> {
    let fault = |message: String| NotifyError::Settings { message };
    let hours = |hours: u64| i64::try_from(hours).unwrap_or(i64::MAX).saturating_mul(HOUR);
    let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND);
    let sink = |sink: &SinkSettings| -> Result<SinkRules, String> {
        let can = sink.kind.abilities();
        let gather = sink.kind.gather();
        Ok(SinkRules {
            name: sink.name.clone(),
            takes_retrospective: sink.retrospective.unwrap_or(!can.is_paging),
            can_digest: can.can_digest || !gather.is_zero(),
            carries_all: can.carries_all,
            quiet: sink.quiet.as_ref().map(Quiet::new).transpose()?,
            daily: daily(&sink.digest, &sink.time_zone)?,
            group: seconds(sink.group_s.max(gather.as_secs())),
            repeat: can.repeat.map(|repeat| i64::try_from(repeat.as_micros()).unwrap_or(i64::MAX)),
            heartbeat: seconds(sink.heartbeat_s),
        })
    };
    Ok(Rules {
        routes: settings.routes.iter().map(Route::new).collect::<Result<_, _>>().map_err(fault)?,
        names: settings.sinks.iter().map(|sink| sink.name.clone()).collect(),
        sinks: settings.sinks.iter().map(sink).collect::<Result<_, _>>().map_err(fault)?,
        retrospective: hours(settings.retrospective_h),
        wait: i64::try_from(settings.wait_ms).unwrap_or(i64::MAX).saturating_mul(1000),
        memory: i64::try_from(settings.memory_days).unwrap_or(i64::MAX).saturating_mul(DAY),
    })
}
