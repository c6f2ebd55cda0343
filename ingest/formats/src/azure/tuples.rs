//! Records of flow logs: which rule and which interface their tuples belong to.

use super::{resource_name, subscription, tuple};
use crate::contract::{Fault, Reason};
use crate::json::{Kind, Value};
use crate::rows::Rows;
use crate::text::time;
use tradewind_model::flow::{ACCOUNT, LOGGED_TIME, OBSERVER, POLICY};

/// What the tuples of a record have in common.
#[derive(Clone, Copy, Debug, Default)]
struct Around<'d> {
    logged: Option<i64>,
    resource: Option<&'d str>,
    observer: Option<&'d str>,
    /// The list of rules that the rule is of, where it has a name of its own.
    list: Option<&'d str>,
    rule: Option<&'d str>,
}

/// Writes the tuples of a record of a network security group: `properties.flows[].{rule, flows[].{mac, flowTuples[]}}`.
pub(super) fn network_security_group(record: Value<'_>, index: &mut u32, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let Some(rules) = record.at("properties.flows").filter(|rules| rules.kind() == Kind::Array) else {
        return Err(Fault::other_log("no flow log of a network security group: it has no `properties.flows`"));
    };
    let mut around = Around { resource: record.text("resourceId"), logged: logged(record)?, ..Around::default() };
    for rule in rules.items() {
        around.rule = rule.text("rule");
        for flow in rule.get("flows").iter().flat_map(Value::items) {
            // Azure Stack has a port in place of a network interface.
            around.observer = flow.text("mac").or_else(|| flow.text("portName")).or_else(|| flow.text("portId"));
            if let Some(tuples) = flow.get("flowTuples") {
                write(tuples, &around, tuple::network_security_group, index, rows);
            }
        }
    }
    Ok(())
}

/// Writes the tuples of a record of a virtual network: `flowRecords.flows[].{aclID, flowGroups[].{rule, flowTuples[]}}`.
pub(super) fn virtual_network(record: Value<'_>, index: &mut u32, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let Some(lists) = record.at("flowRecords.flows").filter(|lists| lists.kind() == Kind::Array) else {
        return Err(Fault::other_log("no flow log of a virtual network: it has no `flowRecords.flows`"));
    };
    let mut around = Around {
        resource: record.text("targetResourceID"),
        logged: logged(record)?,
        observer: record.text("macAddress"),
        ..Around::default()
    };
    for list in lists.items() {
        around.list = list.text("aclID");
        for group in list.get("flowGroups").iter().flat_map(Value::items) {
            around.rule = group.text("rule");
            if let Some(tuples) = group.get("flowTuples") {
                write(tuples, &around, tuple::virtual_network, index, rows);
            }
        }
    }
    Ok(())
}

/// When the record was written. Azure Stack writes times of its own making, such as `20180719:L012620622`, which nobody reads.
fn logged(record: Value<'_>) -> Result<Option<i64>, Fault> {
    match record.text("time") {
        Some(text) if text.contains(":L") => Ok(None),
        Some(text) => {
            time::rfc3339(text).map(Some).ok_or_else(|| Fault::value(Reason::BadTime, "time", text, "RFC 3339"))
        }
        None => Ok(None),
    }
}

type ReadTuple = fn(&str, &mut Rows<'_, '_>) -> Result<(), Fault>;

fn write(tuples: Value<'_>, around: &Around<'_>, read: ReadTuple, index: &mut u32, rows: &mut Rows<'_, '_>) {
    for tuple in tuples.items() {
        let text = tuple.raw();
        match read(text, rows) {
            Ok(()) => {
                rows.number(LOGGED_TIME, around.logged);
                rows.optional(OBSERVER, around.observer);
                rows.optional(ACCOUNT, around.resource.and_then(subscription));
                rows.optional(POLICY, around.rule.filter(|rule| !rule.eq_ignore_ascii_case("unspecified")));
                rows.unmapped.optional("acl", around.list.filter(|list| !list.eq_ignore_ascii_case("unspecified")));
                rows.unmapped.optional("resource", around.resource.and_then(resource_name));
                rows.accept(Some(*index));
            }
            Err(fault) => rows.reject_part(fault, Some(*index), text.as_bytes()),
        }
        *index = index.saturating_add(1);
    }
}
