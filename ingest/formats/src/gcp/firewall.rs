//! Firewall rule logs: one connection that a rule let pass or stopped, seen at the instance that the rule is for.

use super::at;
use crate::contract::{Fault, Reason};
use crate::json::Value;
use crate::rows::Rows;
use tradewind_model::flow::{
    DST_INSTANCE, DST_NETWORK, OBSERVER, POLICY, REGION, SRC_INSTANCE, SRC_NETWORK, STATUS_CODE,
};
use tradewind_model::outcome::Verdict;

/// Sets the columns of the row at hand.
pub(super) fn write(payload: Value<'_>, entry: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    if let Some(text) = entry.text("timestamp") {
        let time = at("timestamp", text)?;
        rows.times(time, time);
    }
    let disposition = payload.text("disposition").unwrap_or_default();
    let verdict = match disposition {
        "ALLOWED" => Verdict::Allowed,
        "DENIED" => Verdict::Denied,
        other => return Err(Fault::value(Reason::BadValue, "disposition", other, "ALLOWED or DENIED")),
    };
    rows.judge(Some(verdict), None);
    rows.text(STATUS_CODE, disposition);
    rows.optional(POLICY, payload.text("rule_details.reference"));
    // The instance is the rule's: the destination of an ingress rule, the source of an egress rule.
    let is_egress = payload.peek("rule_details.direction") == Some("EGRESS");
    rows.nature.vantage = Some(if is_egress { "source" } else { "destination" });
    let (near, far) = if is_egress { ("", "remote_") } else { ("remote_", "") };
    for (prefix, instance, network) in [(near, SRC_INSTANCE, SRC_NETWORK), (far, DST_INSTANCE, DST_NETWORK)] {
        let text = |key: &str| payload.text(&format!("{prefix}{key}"));
        let machine = text("instance.vm_name");
        rows.optional(instance, machine);
        if let Some(name) = text("vpc.vpc_name") {
            let project = text("vpc.project_id");
            rows.text(network, &project.map_or_else(|| name.to_owned(), |project| format!("{project}/{name}")));
        }
        if prefix.is_empty() {
            rows.optional(OBSERVER, machine);
            rows.optional(REGION, text("instance.region"));
        }
    }
    Ok(())
}
