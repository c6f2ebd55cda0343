//! Access logs in JSON, as `log_format … escape=json` makes them: keys named as the variables, or with their usual other names.

use super::record::Record;
use super::variable::{Variable, is_kept};
use crate::contract::Fault;
use crate::json::{Kind, Value};
use crate::rows::Rows;

/// Reads an object into the record; what has no meaning goes to `unmapped` at once.
///
/// # Errors
/// When it is no access log of nginx.
pub(super) fn read<'d>(object: Value<'d>, record: &mut Record<'d>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    for (key, value) in object.members() {
        match Variable::of_key(key) {
            Some(variable) if !matches!(value.kind(), Kind::Object | Kind::Array) => {
                let is_better = record.get(variable).is_none();
                if let Some(text) = value.scalar().filter(|_| is_better) {
                    record.set(variable, text);
                } else if is_better {
                    record.set(variable, "");
                }
            }
            _ if is_kept(key) => {}
            _ => value.take(),
        }
    }
    if !looks_like_access(record) {
        return Err(Fault::other_log(
            "no access log of nginx: neither `status` with `remote_addr` nor other variables",
        ));
    }
    record.is_stream = record.get(Variable::SessionTime).is_some() && record.get(Variable::Request).is_none();
    object.leave(&mut rows.unmapped);
    Ok(())
}

/// Whether the variables of an access log are there.
pub(super) fn looks_like_access(record: &Record<'_>) -> bool {
    let has = |variable: Variable| record.is_logged(variable);
    let own = [
        Variable::BodyBytesSent,
        Variable::BytesSent,
        Variable::RequestTime,
        Variable::UpstreamAddr,
        Variable::RequestLength,
        Variable::SessionTime,
    ];
    has(Variable::Status) && has(Variable::RemoteAddr) && own.into_iter().any(has)
}
