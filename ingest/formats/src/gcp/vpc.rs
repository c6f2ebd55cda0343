//! VPC flow logs: one way of a flow during an interval.
//!
//! **Outcome.** There is no policy in the record. A packet that the destination reports got past its firewall; one that the source
//! reports may have been dropped there, since egress is sampled before the egress rules. So only the destination's report shows that
//! the traffic arrived.

use super::at;
use crate::contract::Fault;
use crate::json::Value;
use crate::rows::Rows;
use tradewind_model::flow::{
    BYTES_OUT, DST_INSTANCE, DST_NAMESPACE, DST_NETWORK, OBSERVER, PACKETS_OUT, REGION, SRC_INSTANCE, SRC_NAMESPACE,
    SRC_NETWORK, STATUS_CODE,
};
use tradewind_model::outcome::ConnectionResult;

/// Sets the columns of the row at hand.
pub(super) fn write(payload: Value<'_>, _entry: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    if let (Some(start), Some(end)) = (payload.text("start_time"), payload.text("end_time")) {
        rows.times(at("start_time", start)?, at("end_time", end)?);
    }
    rows.number(BYTES_OUT, payload.integer("bytes_sent")?);
    rows.number(PACKETS_OUT, payload.integer("packets_sent")?);
    let reporter = payload.text("reporter").unwrap_or_default();
    rows.text(STATUS_CODE, reporter);
    let (vantage, result, observed) = match reporter {
        "SRC" | "SRC_GATEWAY" => ("source", None, "src"),
        "DEST" | "DEST_GATEWAY" => ("destination", Some(ConnectionResult::Established), "dest"),
        _ => ("network", None, ""),
    };
    rows.nature.vantage = Some(vantage);
    rows.judge(None, result);
    for (side, instance, namespace, network) in
        [("src", SRC_INSTANCE, SRC_NAMESPACE, SRC_NETWORK), ("dest", DST_INSTANCE, DST_NAMESPACE, DST_NETWORK)]
    {
        let text = |key: &str| payload.text(&format!("{side}_{key}"));
        let machine = text("instance.vm_name");
        let pod = text("gke_details.pod.pod_name");
        rows.optional(instance, pod.or(machine));
        if pod.is_some() {
            rows.unmapped.optional(&format!("{side}_instance.vm_name"), machine);
        }
        rows.optional(namespace, text("gke_details.pod.pod_namespace"));
        if let Some(name) = text("vpc.vpc_name") {
            let project = text("vpc.project_id");
            rows.text(network, &project.map_or_else(|| name.to_owned(), |project| format!("{project}/{name}")));
        }
        if side == observed {
            rows.optional(OBSERVER, machine);
            rows.optional(REGION, text("instance.region"));
        }
    }
    Ok(())
}
