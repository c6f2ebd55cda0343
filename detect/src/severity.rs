//! How severe a finding is, by rules: what was done and by whom, whether it worked, and how much data it moved. Not how
//! unusual it is: that is the decision's.

use crate::breach::NO_POLICY;
use crate::entities::Daily;
use crate::finding::{Open, is_about_new_edges};
use crate::identity;
use crate::message::SEARCH_EDGES_MIN;
use crate::network::Network;
use crate::report::DetectorName;
use tradewind_model::entity::EntityKind;
use tradewind_model::finding::Severity;

/// From low on, each one step worse.
const STEPS: [Severity; 4] = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
/// Less than this is not much data, whoever moves it: bytes.
const MOVED_MIN: i64 = 10_000_000;
/// The same of an entity that has no full day behind it.
const MOVED_MIN_UNKNOWN: i64 = 100_000_000;
/// So much is much data, whoever moves it.
const MOVED_ALWAYS: i64 = 10_000_000_000;

impl Open {
    /// New edge: medium; low if it is one and nothing answered. An agent at a destination that none of its peers uses is
    /// high; medium if nothing answered. A chain, a scan or a search is one more, and so is a second detector that agrees. An
    /// unusual size: medium. Refusals or volume alone: low. An agent at either end makes these one more. A breach of policy:
    /// medium if it was stopped, high if not; an agent without a policy: medium. A new use: low, medium if no other client asks
    /// it; one more of an agent. A changed identity: medium; high in plaintext and of an agent. Much data over edges that are
    /// new, or that carry what they never did, is one more ([`is_much`]).
    pub(crate) fn severity(&self, network: &Network, daily: &Daily) -> Severity {
        let Some(lead) = self.lines.first() else { return Severity::Informational };
        let is_agent = network.kind(lead.edge.source) == EntityKind::Agent;
        let has_agent = usize::from(is_agent || lead.explanation.dst_kind == EntityKind::Agent);
        let mut step = match self.behaviour {
            DetectorName::Destination | DetectorName::Port | DetectorName::Chain | DetectorName::Carry => {
                let is_alone = self.lines.iter().any(|line| line.explanation.is_alone);
                match (is_agent && is_alone, self.edge_count > 1 || lead.is_answered) {
                    (true, true) => 2,
                    (true, false) | (false, true) => 1,
                    (false, false) => 0,
                }
            }
            DetectorName::Scan | DetectorName::SlowScan | DetectorName::Dark => usize::from(is_agent),
            DetectorName::Transfer | DetectorName::Exfiltration => 1 + has_agent,
            DetectorName::Beacon => 1,
            // What was scaled down or removed looks the same.
            DetectorName::Silence => 0,
            DetectorName::Drift => has_agent,
            DetectorName::Denied
            | DetectorName::Failed
            | DetectorName::Volume
            | DetectorName::Flood
            | DetectorName::Inflow => has_agent,
            DetectorName::Policy => {
                1 + usize::from(self.subject != NO_POLICY && self.lines.iter().any(|line| line.is_answered))
            }
            DetectorName::Protocol => has_agent + usize::from(lead.explanation.is_alone),
            DetectorName::Identity => {
                let is_plain = matches!(self.subject.as_str(), identity::PLAIN | identity::CLIENTS_PLAIN);
                1 + usize::from(has_agent > 0 || is_plain)
            }
        };
        let is_search = is_about_new_edges(self.behaviour) && self.edge_count >= SEARCH_EDGES_MIN;
        let is_worse = matches!(self.behaviour, DetectorName::Chain | DetectorName::Scan);
        step += usize::from(is_search || is_worse);
        step += usize::from(self.signals > 1);
        let moved = self.bytes_out.max(0).saturating_add(self.bytes_in.max(0));
        step += usize::from(is_about_data(self.behaviour) && is_much(moved, daily.usual(lead.edge.source)));
        STEPS[step.min(STEPS.len() - 1)]
    }
}

/// Whether the flows of a finding of this behaviour are those that should not be there, so that their bytes say how much was
/// moved. Of floods and refusals most bytes are those of everyday traffic; of a search they are not the point.
const fn is_about_data(behaviour: DetectorName) -> bool {
    matches!(
        behaviour,
        DetectorName::Destination
            | DetectorName::Port
            | DetectorName::Chain
            | DetectorName::Transfer
            | DetectorName::Exfiltration
            | DetectorName::Protocol
    )
}

/// Whether so many bytes are much for an entity that moves so many on a usual day: more than on a whole day, but ten megabytes
/// at least; a hundred where it has no full day behind it; ten gigabytes in any case.
const fn is_much(moved: i64, usual: Option<i64>) -> bool {
    moved >= MOVED_ALWAYS
        || match usual {
            Some(usual) => moved >= MOVED_MIN && moved > usual,
            None => moved >= MOVED_MIN_UNKNOWN,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(moved: i64, usual: Option<i64>, expected: bool) {
        assert_eq!(is_much(moved, usual), expected, "{moved} of {usual:?}");
    }

    #[test]
    fn much_is_more_than_on_a_whole_day() {
        const MEGA: i64 = 1_000_000;
        check(0, Some(0), false);
        check(9 * MEGA, Some(MEGA), false);
        check(11 * MEGA, Some(MEGA), true);
        check(11 * MEGA, Some(11 * MEGA), false);
        check(500 * MEGA, Some(800 * MEGA), false);
        check(900 * MEGA, Some(800 * MEGA), true);
        check(99 * MEGA, None, false);
        check(100 * MEGA, None, true);
        check(10_000 * MEGA, Some(90_000 * MEGA), true);
    }
}
