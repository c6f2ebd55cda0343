//! Which request gets which fault: by script first, then by a chance that a seed decides.

use std::collections::VecDeque;
use std::time::Duration;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answered with this status by the proxy; the server never sees it.
    Status(u16),
    /// Not answered, and the connection closed after this time; the server never sees it.
    Stall(Duration),
    /// Half of the body reaches the server, then the connections break.
    LoseRequest,
    /// The server does what was asked, and the connection breaks before the client knows.
    LoseAnswer,
    /// Passed on after this time.
    Delay(Duration),
}

impl Fault {
    pub(super) fn is_delay(self) -> bool {
        matches!(self, Self::Delay(_))
    }
}

/// How often and for which requests. The default is never.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    /// Decides which requests and which of the faults: the n-th selected request of a plan has the same fate in every run.
    pub seed: u64,
    /// The chance of a fault.
    pub per_thousand: u32,
    /// One of these, each as likely.
    pub faults: Vec<Fault>,
    /// Only for requests with this method; `None` is all.
    pub method: Option<String>,
    /// Only for requests whose path and query hold this.
    pub path_contains: Option<String>,
}

/// A plan in progress.
#[derive(Debug, Default)]
pub(super) struct Decider {
    plan: FaultPlan,
    state: u64,
    script: VecDeque<Option<Fault>>,
}

impl Decider {
    pub(super) fn set_plan(&mut self, plan: FaultPlan) {
        self.state = plan.seed;
        self.plan = plan;
    }

    pub(super) fn script(&mut self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.script.extend(faults);
    }

    pub(super) fn decide(&mut self, method: &str, path: &str) -> Option<Fault> {
        let plan = &self.plan;
        let is_other = plan.method.as_deref().is_some_and(|wanted| wanted != method)
            || plan.path_contains.as_deref().is_some_and(|part| !path.contains(part));
        if is_other {
            return None;
        }
        if let Some(scripted) = self.script.pop_front() {
            return scripted;
        }
        let (chance, choice) = (self.draw(), self.draw());
        if self.plan.faults.is_empty() || chance % 1_000 >= u64::from(self.plan.per_thousand) {
            return None;
        }
        let index = usize::try_from(choice).unwrap_or_default() % self.plan.faults.len();
        Some(self.plan.faults[index])
    }

    /// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), upper 32 bits.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULTS: [Fault; 2] = [Fault::Status(503), Fault::LoseAnswer];

    fn plan(seed: u64, per_thousand: u32) -> FaultPlan {
        FaultPlan { seed, per_thousand, faults: FAULTS.to_vec(), ..FaultPlan::default() }
    }

    fn decide(plan: FaultPlan, script: &[Option<Fault>], requests: usize) -> Vec<Option<Fault>> {
        let mut decider = Decider::default();
        decider.set_plan(plan);
        decider.script(script.iter().copied());
        (0..requests).map(|_| decider.decide("PUT", "/lake/_delta_log/1.json")).collect()
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(decide(plan(1, 500), &[], 100), decide(plan(1, 500), &[], 100));
        assert_ne!(decide(plan(1, 500), &[], 100), decide(plan(2, 500), &[], 100));
    }

    #[test]
    fn the_chance_is_kept() {
        let count = |per_thousand, fault| {
            decide(plan(3, per_thousand), &[], 10_000).iter().filter(|found| **found == fault).count()
        };
        assert_eq!(count(0, None), 10_000);
        assert_eq!(count(1_000, None), 0);
        // 100 expected of each; the standard deviation of a binomial count is below 10.
        for fault in FAULTS {
            assert!((50..150).contains(&count(20, Some(fault))), "{fault:?}");
        }
    }

    #[test]
    fn the_script_comes_first() {
        let script = [None, Some(Fault::LoseRequest)];
        assert_eq!(decide(FaultPlan::default(), &script, 3), [None, Some(Fault::LoseRequest), None]);
    }

    #[test]
    fn only_selected_requests_fail() {
        let of = |method: Option<&str>, path: Option<&str>| {
            let selected = FaultPlan {
                method: method.map(str::to_owned),
                path_contains: path.map(str::to_owned),
                ..plan(0, 1_000)
            };
            decide(selected, &[], 1)[0].is_some()
        };
        assert_eq!([of(None, None), of(Some("PUT"), Some("_delta_log"))], [true, true]);
        assert_eq!([of(Some("GET"), None), of(None, Some("parquet"))], [false, false]);
    }
}
