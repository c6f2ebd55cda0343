//! Detector of bursts of refusals, the source's view: all its flows together, so that a burst that is spread over many
//! edges, or over new ones, is seen. The formula is the edge level's; denied and failed stay apart.

use crate::edges::refusal::{FORGETTING, p_value, pooled_share};
use crate::exact;
use crate::report::{Pools, SourceDigest, Tests};
use serde::{Deserialize, Serialize};

/// Share of a window's flows that may enter the baseline as refused, so that a burst does not teach that bursts are usual.
const LEARNT_SHARE_MAX: f64 = 0.1;

/// Refusals of one source so far, forgetting.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct SourceRefusals {
    #[serde(with = "exact")]
    denied: f64,
    #[serde(with = "exact")]
    failed: f64,
    #[serde(with = "exact")]
    flows: f64,
}

/// Which refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Denied,
    Failed,
}

impl SourceRefusals {
    /// p-value of a source's refusals: twice the lower of the source's and its edges', where edges were tested. None where
    /// nothing was refused.
    pub(super) fn judge(self, digest: &SourceDigest, edges: &Tests, refused: Refused, pools: &Pools) -> Option<f64> {
        let (now, past, pooled) = match refused {
            Refused::Denied => (digest.denied, self.denied, pools.denied),
            Refused::Failed => (digest.failed, self.failed, pools.failed),
        };
        if now == 0 {
            return None;
        }
        let share = pooled_share(pooled, pools.flows);
        let (whole, _) = p_value(share, past, self.flows, now, digest.flows);
        Some(if edges.sum.tests == 0 { whole } else { (2.0 * whole.min(edges.sum.p_value())).min(1.0) })
    }

    /// Takes a window in.
    pub(super) fn learn(&mut self, digest: &SourceDigest) {
        let flows = digest.flows as f64;
        let most = LEARNT_SHARE_MAX * flows + 1.0;
        self.denied = self.denied * FORGETTING + (digest.denied as f64).min(most);
        self.failed = self.failed * FORGETTING + (digest.failed as f64).min(most);
        self.flows = self.flows * FORGETTING + flows;
    }
}
