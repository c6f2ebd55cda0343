//! Detector of silence: a service that nothing reaches any more, or that calls nobody, though it always did, while the rest
//! of the network is heard as usual. How unusual a pause is, [`rhythm`] says; here is decided whether it may be judged, and
//! who it is about.
//!
//! **Coverage.** A window counts for a pause only by the share in which all others that were expected are heard: where most
//! are not, what reports them is gone, and no pause goes on. Windows of which nothing at all is known are none. Where three or
//! more that have nothing to do with each other are silent at once, the cause is common, such as a collector, a node or a
//! holiday: one finding says so, and none tells of each.
//!
//! **One finding a silence.** Of entities that talk to each other the one in the middle speaks for all ([`cause`]). It is
//! told while it lasts, for a day at most; then it is how things are, and forgotten. At most a fifth of the budget of a day is
//! spent on silence.

mod cause;
mod hearing;
mod profile;
mod rhythm;

use super::{EntityLevel, EntityStates, View};
use crate::edges::Prediction;
use crate::explain::silence::{COMMON, Silent, Terms, words};
use crate::finding::Unusual;
use crate::network::{Edge, Network, Port};
use crate::numbered::{Numbered, keep_keys, new_number};
use crate::settings::Settings;
use cause::{Cause, parts};
use profile::hour_of;
use rhythm::{Pause, Rhythm, Standing, WINDOW};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tradewind_model::time::{DAY, HOUR, SECOND};

/// Rhythms that are kept in each direction at most, some 300 bytes each.
const KEPT_MAX: usize = 32_768;
/// So many others must be expected in a window for it to count.
const OTHERS_MIN: u64 = 3 * WINDOW as u64;
/// A window in which less than this share of the others is heard counts for nobody.
const COVERAGE_MIN: u64 = WINDOW as u64 / 2;
/// So many causes at once are one that is common to them.
const COMMON_CAUSES: usize = 3;
/// Entities with a deviation that a common one needs at least, as for edges.
const DEVIATIONS_MIN: usize = 8;
/// Entities whose silence is put together at most.
const SILENT_MAX: usize = 256;
/// What is silent for so long is gone, once it was told or not told for a reason,
const TOLD_FOR: i64 = DAY;
/// or anyway.
const GONE_AFTER: i64 = 14 * DAY;
/// The bar of silence against that of all else: there are many pauses, and most that end are harmless.
const BAR: f64 = 0.1;
/// However unlikely, silence does not go before what is nearly as strong as an attack: least p-value over the bar.
const RATIO_MIN: f64 = 0.1;
/// Of so many findings a day one may be about silence.
const SHARE: usize = 5;

/// Rhythms of all entities that are known well enough.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rhythms {
    /// What each sends, and what reaches each, by number.
    ways: [BTreeMap<u32, Rhythm>; 2],
    /// When silence was told of in the last 24 hours: ends of windows.
    told: VecDeque<i64>,
}

/// Places in [`Rhythms::ways`].
const OUT: usize = 0;
const IN: usize = 1;

impl Numbered for Rhythms {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.ways.iter_mut().for_each(|way| way.visit(number));
    }
}

/// An entity that is heard again, in which direction, and how it was silent.
type Resumed = (u32, usize, (Standing, Pause));

/// An entity that is longer silent than ever.
#[derive(Clone, Copy, Debug)]
struct Pausing {
    entity: u32,
    way: usize,
    p_value: f64,
}

/// The window being closed.
#[derive(Clone, Copy)]
struct At<'a> {
    view: &'a View,
    network: &'a Network,
    states: &'a EntityStates,
    settings: &'a Settings,
    hour: i64,
    is_silent: bool,
    /// Findings about silence that may be told within 24 hours.
    findings_max: usize,
}

impl At<'_> {
    fn windows(&self, span: i64) -> i64 {
        span.div_euclid(self.view.length).max(1)
    }

    const fn end(&self) -> i64 {
        self.view.start.saturating_add(self.view.length)
    }

    fn bar(&self) -> f64 {
        BAR * self.settings.p_value_max
    }
}

impl Rhythms {
    /// Forgets the rhythms of entities that are forgotten; `numbers` has the new number of each.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        for way in &mut self.ways {
            keep_keys(way, numbers);
            for (&entity, rhythm) in way {
                let Edge { source, destination, port } = rhythm.edge;
                let ends = [source, destination].map(|end| new_number(numbers, end));
                rhythm.edge = match ends {
                    [Some(source), Some(destination)] => Edge { source, destination, port },
                    _ => itself(entity),
                };
            }
        }
    }

    /// Takes a window in: what each entity sent, and what reached it.
    fn close(&mut self, at: At<'_>) -> Vec<Unusual> {
        self.hear(at);
        let coverage = self.coverage(at);
        self.judge_season(at);
        let mut resumed = Vec::new();
        let windows_per_hour = u32::try_from(HOUR / at.view.length).unwrap_or(u32::MAX);
        for ((place, way), coverage) in self.ways.iter_mut().enumerate().zip(coverage) {
            for ((&entity, rhythm), known) in way.iter_mut().zip(coverage) {
                let volume = &at.settings.volume;
                let before = rhythm.close((at.view.index, at.hour), known, windows_per_hour, volume);
                resumed.extend(before.map(|before| (entity, place, before)));
            }
            let index = at.view.index;
            way.retain(|_, rhythm| {
                let told = match rhythm.standing {
                    // What reports it may come back, and it with it.
                    Standing::Usual | Standing::Unheard(_) => None,
                    Standing::Told(since) | Standing::Explained(since) => Some(since),
                };
                let is_over = told.is_some_and(|since| index - since > at.windows(TOLD_FOR));
                !is_over && index - rhythm.pause.heard <= at.windows(GONE_AFTER)
            });
        }
        if at.is_silent {
            return Vec::new();
        }
        let mut unusual = self.judge(at);
        unusual.extend(self.go_on(at, &resumed));
        unusual
    }

    /// Says nothing of the season of a window that is not taken in.
    fn forget_season(&mut self) {
        self.ways[IN].values_mut().for_each(|rhythm| rhythm.season = None);
    }

    /// What reaches each entity against what is usual at this hour of the week, the network's common deviation taken out.
    fn judge_season(&mut self, at: At<'_>) {
        let into = &mut self.ways[IN];
        let mut all: Vec<f64> = into.values().filter_map(|rhythm| rhythm.deviation_now(at.hour)).collect();
        all.sort_by(f64::total_cmp);
        let common = if all.len() < DEVIATIONS_MIN { 0.0 } else { all[all.len() / 2] };
        into.values_mut().for_each(|rhythm| rhythm.judge_season(at.hour, common, &at.settings.volume));
    }

    /// p-value of so many connections to an entity at this hour of the week, in the window that was taken in last, and what it
    /// was judged by.
    pub(super) fn season(&self, entity: u32) -> Option<(f64, Prediction)> {
        self.ways[IN].get(&entity)?.season
    }

    /// Which silences are new, and which of them are told.
    fn judge(&mut self, at: At<'_>) -> Vec<Unusual> {
        let (index, bar) = (at.view.index, at.bar());
        let mut pausing: Vec<Pausing> = Vec::new();
        for (place, way) in self.ways.iter().enumerate() {
            let usual = way.iter().filter(|(_, rhythm)| rhythm.standing == Standing::Usual);
            pausing.extend(usual.filter_map(|(&entity, rhythm)| {
                rhythm.p_value().map(|p_value| Pausing { entity, way: place, p_value })
            }));
        }
        if pausing.iter().all(|pausing| pausing.p_value >= bar) {
            return Vec::new();
        }
        let name = |entity: u32| at.network.name(entity);
        pausing.sort_by(|one, other| {
            one.p_value.total_cmp(&other.p_value).then_with(|| name(one.entity).cmp(name(other.entity)))
        });
        pausing.truncate(SILENT_MAX);
        let mut strongest: BTreeMap<u32, Pausing> = BTreeMap::new();
        // What reaches an entity says more than what it sends: of two that are as strong it goes first.
        for &found in &pausing {
            let known = strongest.entry(found.entity).or_insert(found);
            if found.p_value <= known.p_value && found.way == IN {
                *known = found;
            }
        }
        let silent: BTreeSet<u32> = strongest.keys().copied().collect();
        let is_client = |client: u32, server: u32| at.states.votes.has_voted(client, server);
        let rank = |entity: u32| (strongest[&entity].way == OUT, name(entity));
        let causes = parts(&silent, is_client, rank);
        let last = index - at.windows(TOLD_FOR);
        let is_unheard = |rhythm: &&Rhythm| matches!(rhythm.standing, Standing::Unheard(since) if since > last);
        let unheard = self.ways.iter().flat_map(BTreeMap::values).filter(is_unheard).count();
        if causes.len() >= COMMON_CAUSES || unheard >= COMMON_CAUSES {
            silent.iter().for_each(|&entity| self.stand(entity, Standing::Unheard(index)));
            let first = pausing.first().filter(|_| unheard < COMMON_CAUSES && self.has_room(at));
            return first.map_or_else(Vec::new, |&first| vec![self.common(at, first, silent.len())]);
        }
        let mut told = Vec::new();
        for Cause { root, members } in causes {
            let p_value = members.iter().map(|member| strongest[member].p_value).fold(1.0, f64::min);
            if p_value >= bar {
                continue;
            }
            let is_explained = self.is_beside_silence(&members, is_client);
            members.iter().for_each(|&member| self.stand(member, Standing::Explained(index)));
            if !is_explained {
                told.push((p_value, root, members));
            }
        }
        told.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| name(one.1).cmp(name(other.1))));
        let mut unusual = Vec::new();
        for (p_value, root, members) in told {
            if !self.has_room(at) {
                break;
            }
            self.told.push_back(at.end());
            let Some(&Pausing { way, .. }) = strongest.get(&root) else { continue };
            if let Some(rhythm) = self.ways[way].get_mut(&root) {
                rhythm.standing = Standing::Told(index);
                unusual.push(describe(at, (root, way), (rhythm, rhythm.pause), (p_value, members.len())));
            }
        }
        unusual
    }

    /// Whether silence may be told of once more within 24 hours.
    fn has_room(&mut self, at: At<'_>) -> bool {
        let since = at.end().saturating_sub(DAY);
        while self.told.front().is_some_and(|&time| time <= since) {
            self.told.pop_front();
        }
        self.told.len() < at.findings_max
    }

    /// The one finding about many that are silent at once and have nothing to do with each other.
    fn common(&mut self, at: At<'_>, first: Pausing, count: usize) -> Unusual {
        self.told.push_back(at.end());
        let rhythm = &self.ways[first.way][&first.entity];
        let unusual = describe(at, (first.entity, first.way), (rhythm, rhythm.pause), (first.p_value, count));
        Unusual { subject: COMMON.to_owned(), ..unusual }
    }

    /// Whether a silence that is known already stands beside one of these.
    fn is_beside_silence(&self, members: &BTreeSet<u32>, is_client: impl Fn(u32, u32) -> bool) -> bool {
        let silent = self
            .ways
            .iter()
            .flatten()
            .filter(|(_, rhythm)| matches!(rhythm.standing, Standing::Told(_) | Standing::Explained(_)));
        let is_beside = |one: u32, other: u32| one == other || is_client(one, other) || is_client(other, one);
        silent.into_iter().any(|(&entity, _)| members.iter().any(|&member| is_beside(entity, member)))
    }

    /// What an entity's pauses are, in both directions, if they go on.
    fn stand(&mut self, entity: u32, standing: Standing) {
        for way in &mut self.ways {
            if let Some(rhythm) = way.get_mut(&entity).filter(|rhythm| rhythm.is_record()) {
                rhythm.standing = standing;
            }
        }
    }

    /// Silences that were told and go on, from time to time, and those that are over.
    fn go_on(&mut self, at: At<'_>, resumed: &[Resumed]) -> Vec<Unusual> {
        let every = at.windows(at.settings.cool_down_s.saturating_mul(SECOND) / 2);
        let mut unusual = Vec::new();
        for (place, way) in self.ways.iter().enumerate() {
            for (&entity, rhythm) in way {
                let Standing::Told(since) = rhythm.standing else { continue };
                let age = at.view.index - since;
                if let Some(p_value) = rhythm.p_value().filter(|_| age > 0 && age % every == 0) {
                    unusual.push(describe(at, (entity, place), (rhythm, rhythm.pause), (p_value, 1)));
                }
            }
        }
        for &(entity, way, (before, pause)) in resumed {
            let rhythm = self.ways[way].get(&entity);
            if let (Some(rhythm), Standing::Told(_)) = (rhythm, before) {
                unusual.push(describe(at, (entity, way), (rhythm, pause), (at.bar(), 1)));
            }
        }
        unusual
    }
}

/// The edge that stands for an entity of which no other is known.
const fn itself(entity: u32) -> Edge {
    Edge { source: entity, destination: entity, port: Port::Absent }
}

/// A silence as a finding's material.
fn describe(
    at: At<'_>,
    (entity, way): (u32, usize),
    (rhythm, pause): (&Rhythm, Pause),
    (p_value, members): (f64, usize),
) -> Unusual {
    let silent = Silent {
        entity,
        is_source: way == OUT,
        edge: rhythm.edge,
        heard: pause.heard.saturating_add(1).saturating_mul(at.view.length),
        opened: pause.opened,
        band: rhythm.band(at.hour),
        pauses: rhythm.known_pauses(),
        others: members.saturating_sub(1),
        p_value,
        is_over: rhythm.pause.heard == at.view.index,
    };
    let terms =
        Terms { window: at.view, ratio: (p_value / at.bar()).clamp(RATIO_MIN, 0.99), cap: at.settings.risk_cap };
    words(at.network, &silent, terms)
}

impl EntityLevel {
    /// Takes in who was heard, and says whose silence is news. A window that may be partial says nothing of silence.
    pub(super) fn silences(&mut self, view: &View, is_silent: bool) -> Vec<Unusual> {
        let is_kept = self.settings.silence.is_enabled || self.settings.volume.is_seasonal;
        if view.is_partial || !is_kept {
            self.rhythms.forget_season();
            return Vec::new();
        }
        let findings_max = (self.decision.per_day(&self.settings.decision) / SHARE).max(1);
        self.rhythms.close(At {
            view,
            network: &self.network,
            states: &self.states,
            settings: &self.settings,
            hour: hour_of(view.start),
            is_silent: is_silent || !self.settings.silence.is_enabled,
            findings_max,
        })
    }
}
