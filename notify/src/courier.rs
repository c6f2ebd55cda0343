//! A courier takes what waits for one sink there: in the order of each incident, several incidents at a time, again after what
//! may pass, and not faster than the settings and the other side allow.

use crate::alert::{Alert, Message};
use crate::error::NotifyError;
use crate::outbox::{Content, Job, Outbox, Outcome, Settled};
use crate::sinks::{Abilities, Answer, Sink};
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tradewind_model::Clock;

/// The wait after the first failure.
const RETRY_MIN: Duration = Duration::from_millis(100);
/// So many failures in a row mean that it is the other side, not the message.
const FAILURES_MAX: u32 = 5;
/// The longest that another side can ask to be left alone.
const AFTER_MAX: Duration = Duration::from_secs(3600);
/// How often the clock is looked at for what becomes due.
const LOOK: Duration = Duration::from_secs(1);
/// Alerts of one message at most.
const BUNDLE_MAX: usize = 50;
/// What a sink may take longer than its own limit before it is cut off.
const OVERTIME: Duration = Duration::from_secs(2);

/// What a courier needs.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) name: String,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Told when there is something new in the outbox.
    pub(crate) wake: Arc<Notify>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) rate_per_minute: Option<u32>,
    pub(crate) timeout: Duration,
    pub(crate) retry_max: Duration,
    /// Whether alerts that go out together stay messages of their own, each with its answer.
    pub(crate) is_gathering: bool,
}

/// A delivery that came back.
struct Returned {
    jobs: Vec<Job>,
    answers: Vec<Answer>,
    messages: usize,
}

impl Returned {
    /// Whether several alerts were one message, which has one answer.
    fn is_one_message(&self) -> bool {
        self.jobs.len() > self.messages
    }
}

/// How a courier stands.
struct Route {
    busy: HashSet<String>,
    /// Incidents that rest after a failure, and until when.
    resting: HashMap<String, (Instant, ExponentialBackoff)>,
    /// The sink as a whole rests.
    paused: Option<Instant>,
    pause: ExponentialBackoff,
    failures: u32,
    /// When the rate allows the next one.
    next: Instant,
}

impl Courier {
    /// Delivers until it is told to stop; what is on its way then is waited for.
    ///
    /// # Errors
    /// The outbox cannot be used.
    pub(crate) async fn run(mut self) -> Result<(), NotifyError> {
        let abilities = self.sink.abilities();
        let mut route = Route {
            busy: HashSet::new(),
            resting: HashMap::new(),
            paused: None,
            pause: self.backoff(),
            failures: 0,
            next: Instant::now(),
        };
        let mut on_the_way: FuturesUnordered<BoxFuture<'static, Returned>> = FuturesUnordered::new();
        loop {
            let is_ending = *self.stop.borrow();
            if is_ending && on_the_way.is_empty() {
                return Ok(());
            }
            if !is_ending {
                while on_the_way.len() < abilities.concurrency && route.is_free() {
                    let jobs = self.next(&mut route, &abilities).await?;
                    if jobs.is_empty() {
                        break;
                    }
                    self.note_start(&mut route, &jobs);
                    on_the_way.push(self.deliver(jobs));
                }
            }
            let wait = route.wait(self.outbox.next_due(&self.name, self.clock.now()), self.clock.now());
            tokio::select! {
                biased;
                Some(returned) = on_the_way.next(), if !on_the_way.is_empty() => {
                    let mut all = vec![returned];
                    // What came back meanwhile is noted in the same transaction.
                    while let Some(Some(more)) = futures::FutureExt::now_or_never(on_the_way.next()) {
                        all.push(more);
                    }
                    self.settle(&mut route, all).await?;
                }
                changed = self.stop.changed() => if changed.is_err() { return Ok(()) },
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn backoff(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(RETRY_MIN)
            .with_max_delay(self.retry_max)
            .with_jitter()
            .without_max_times()
            .build()
    }

    async fn next(&self, route: &mut Route, abilities: &Abilities) -> Result<Vec<Job>, NotifyError> {
        let (outbox, name, now) = (Arc::clone(&self.outbox), self.name.clone(), self.clock.now());
        let at = Instant::now();
        let mut busy = route.busy.clone();
        busy.extend(route.resting.iter().filter(|(_, (until, _))| *until > at).map(|(key, _)| key.clone()));
        let bundle_max = if self.is_gathering { abilities.batch_max } else { BUNDLE_MAX };
        let most = (abilities.batch_max, bundle_max);
        blocking(move || outbox.next(&name, now, &busy, most)).await
    }

    fn note_start(&self, route: &mut Route, jobs: &[Job]) {
        route.busy.extend(jobs.iter().map(|job| job.content.key().unwrap_or_default().to_owned()));
        if let Some(rate) = self.rate_per_minute {
            route.next = Instant::now() + Duration::from_secs(60) / rate;
        }
    }

    fn deliver(&self, jobs: Vec<Job>) -> BoxFuture<'static, Returned> {
        let (sink, most) = (Arc::clone(&self.sink), self.timeout + OVERTIME);
        let messages = messages(&jobs, self.is_gathering);
        Box::pin(async move {
            let answers = match tokio::time::timeout(most, sink.deliver(&messages)).await {
                Ok(answers) => answers,
                Err(_) => vec![Answer::unreachable("no answer in time"); messages.len()],
            };
            // A message of several alerts has one answer for all of them.
            let count = messages.len();
            let answers = if count == jobs.len() {
                answers
            } else {
                answers.first().map(|answer| vec![answer.clone(); jobs.len()]).unwrap_or_default()
            };
            Returned { jobs, answers, messages: count }
        })
    }

    async fn settle(&self, route: &mut Route, all: Vec<Returned>) -> Result<(), NotifyError> {
        let mut settled = Vec::new();
        let mut error = None;
        for returned in all {
            let is_one_message = returned.is_one_message();
            let missing = Answer::unreachable("the sink gave no answer: this is a bug");
            let answers = returned.answers.into_iter().chain(std::iter::repeat(missing));
            for (job, answer) in returned.jobs.into_iter().zip(answers) {
                let key = job.content.key().map(str::to_owned);
                route.busy.remove(key.as_deref().unwrap_or_default());
                let outcome = match answer {
                    Answer::Delivered(said) => {
                        tracing::debug!(sink = self.name, key, said, "delivered");
                        Outcome::Delivered
                    }
                    Answer::Refused(said) if is_one_message => {
                        tracing::warn!(
                            sink = self.name,
                            key,
                            said,
                            "a message of several was refused: each goes by itself"
                        );
                        error = Some(said.clone());
                        let outcome = Outcome::Apart(said);
                        settled.push(Settled { number: job.number, content: job.content, outcome });
                        continue;
                    }
                    Answer::Refused(said) => {
                        tracing::warn!(sink = self.name, key, said, "refused for good: kept among the dead letters");
                        Outcome::Refused(said)
                    }
                    Answer::Later { reason, after, is_general } => {
                        tracing::debug!(sink = self.name, key, reason, "not delivered, tried again");
                        self.rest(route, key.unwrap_or_default(), after, is_general);
                        error = Some(reason);
                        continue;
                    }
                };
                route.failures = 0;
                (route.paused, route.pause) = (None, self.backoff());
                route.resting.remove(&key.unwrap_or_default());
                settled.push(Settled { number: job.number, content: job.content, outcome });
            }
        }
        let (outbox, name, now) = (Arc::clone(&self.outbox), self.name.clone(), self.clock.now());
        blocking(move || outbox.settle(&name, &settled, error.as_deref(), now)).await
    }

    /// The incident rests, and after a failure of the other side as a whole so does all of the sink.
    fn rest(&self, route: &mut Route, key: String, after: Option<Duration>, is_general: bool) {
        let now = Instant::now();
        let after = after.map(|after| after.min(AFTER_MAX));
        route.failures = route.failures.saturating_add(1);
        if is_general || route.failures >= FAILURES_MAX {
            let pause = route.pause.next().unwrap_or(self.retry_max);
            let until = now + after.map_or(pause, |after| after.max(pause));
            route.paused = Some(route.paused.map_or(until, |paused| paused.max(until)));
            return;
        }
        let (until, backoff) = route.resting.entry(key).or_insert_with(|| (now, self.backoff()));
        let pause = backoff.next().unwrap_or(self.retry_max);
        *until = now + after.map_or(pause, |after| after.max(pause));
    }
}

impl Route {
    fn is_free(&self) -> bool {
        let now = Instant::now();
        self.paused.is_none_or(|until| until <= now) && self.next <= now
    }

    /// How long nothing can become possible by time alone.
    fn wait(&self, next_due: Option<i64>, now: i64) -> Duration {
        let at = Instant::now();
        let due = next_due.map(|due| Duration::from_micros(due.saturating_sub(now).max(0).unsigned_abs()));
        let rests = self.resting.values().map(|(until, _)| *until);
        let times = rests.chain(self.paused).chain([self.next]).filter(|until| *until > at);
        times.map(|until| until - at).chain(due).min().unwrap_or(LOOK).min(LOOK)
    }
}

/// What a sink gets: several that may go out together as one message, others each by itself.
fn messages(jobs: &[Job], is_gathering: bool) -> Vec<Message> {
    let alert = |job: &Job| match &job.content {
        Content::Alert(alert) => Some(Alert::clone(alert)),
        Content::Heartbeat(_) => None,
    };
    if !is_gathering && jobs.len() > 1 && jobs.iter().all(|job| job.is_bundled) {
        return vec![Message::Digest(jobs.iter().filter_map(alert).collect())];
    }
    let message = |job: &Job| match &job.content {
        Content::Alert(alert) => Message::Alert(alert.clone()),
        Content::Heartbeat(heartbeat) => Message::Heartbeat(heartbeat.clone()),
    };
    jobs.iter().map(message).collect()
}

/// Runs what waits for the disk where nobody else waits for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotifyError> + Send + 'static,
) -> Result<T, NotifyError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => made,
        Err(error) => Err(NotifyError::Settings { message: format!("a fault of the program: {error}") }),
    }
}
