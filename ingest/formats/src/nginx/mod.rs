//! nginx: access logs in the usual text formats, in JSON, in a user's own `log_format`, of the stream module, and what the error
//! log says of refused connections. Also logs of others in the combined format, which cannot be told apart.

mod error_log;
mod json;
mod layout;
mod mapping;
mod page;
mod record;
mod text;
mod variable;

use crate::contract::{Decoded, Format};
use crate::detect::{Chosen, first_lines};
use crate::framing::Records;
use crate::json::Doc;
use crate::registry::{Family, Recognised};
use crate::rows::{Nature, Rows};
use layout::Layout;
use record::Record;
use std::sync::Arc;
use variable::Variable;

/// The word in the column `source`.
const NAME: &str = "nginx";

/// nginx's logs.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "nginx access logs (combined, ingress-nginx, JSON, stream) and the refusals of its error log; `nginx:LOG FORMAT` takes a \
              `log_format` such as `$remote_addr [$time_iso8601] \"$request\" $status`",
    page: page::PAGE,
    decoders: || {
        let layout =
            Layout::compile("$remote_addr [$time_local] \"$request\" $status $upstream_addr $upstream_status $msec");
        let layout = Compiled { layout: layout.expect("the layout is valid") };
        vec![(Arc::new(Usual), Records::Lines), (Arc::new(layout), Records::Lines)]
    },
    recognise: |head| by_content(head).map(Recognised::Connections),
    named,
    check_layout: Some(|layout| Layout::compile(layout).map(|_| ())),
};

const NATURE: Nature = Nature { kind: "request", vantage: Some("proxy"), orientation: "log" };

/// Lines in the usual text formats, in JSON, or of the error log.
#[derive(Clone, Copy, Debug)]
struct Usual;

impl Format for Usual {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, NAME, NATURE);
        let mut record = Record::new();
        let mut doc = Doc::new();
        rows.each_line(input, offset, |rows, line| {
            if line.starts_with('{') {
                doc.parse(line)?;
                let mut record = Record::new();
                json::read(doc.root(), &mut record, rows)?;
                return mapping::write(&record, rows);
            }
            record.clear();
            text::read(line, &mut record)?;
            match error_log::line_of(&record) {
                Some(line) => error_log::write(line, rows),
                None => mapping::write(&record, rows),
            }
        });
        rows.finish();
    }
}

/// Lines in a user's own format.
#[derive(Clone, Debug)]
struct Compiled {
    layout: Layout,
}

impl Format for Compiled {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, NAME, NATURE);
        rows.each_line(input, offset, |rows, line| {
            let mut record = Record::new();
            self.layout.read(line, &mut record)?;
            mapping::write(&record, rows)
        });
        rows.finish();
    }
}

fn by_content(head: &[u8]) -> Option<Chosen> {
    let reason = first_lines(head).find_map(recognise_line)?;
    Some(Chosen::text(Usual, Records::Lines, reason))
}

fn recognise_line(line: &str) -> Option<&'static str> {
    let mut record = Record::new();
    if line.starts_with('{') {
        let mut doc = Doc::new();
        doc.parse(line).ok()?;
        let has = |variable: Variable| doc.root().get(variable.name()).is_some();
        let is_nginx = has(Variable::Status)
            && has(Variable::RemoteAddr)
            && [
                Variable::BodyBytesSent,
                Variable::RequestTime,
                Variable::UpstreamAddr,
                Variable::SessionTime,
                Variable::RequestLength,
            ]
            .into_iter()
            .any(has);
        return is_nginx.then_some("JSON with nginx's variables remote_addr and status");
    }
    if error_log::is_line(line) {
        return Some("lines of nginx's error log");
    }
    text::read(line, &mut record).ok()?;
    crate::text::time::common_log(record.get(Variable::TimeLocal)?)?;
    Some(if record.is_stream {
        "lines in the format of nginx's stream module"
    } else if record.is_logged(Variable::UpstreamAddr) {
        "lines in the format of ingress-nginx"
    } else {
        "lines in the combined format of nginx"
    })
}

fn named(head: &[u8], layout: Option<&str>) -> Result<Chosen, String> {
    if let Some(layout) = layout {
        let layout = Layout::compile(layout)?;
        return Ok(Chosen::text(Compiled { layout }, Records::Lines, "the given log format"));
    }
    Ok(by_content(head).unwrap_or_else(|| Chosen::text(Usual, Records::Lines, "as asked for")))
}

#[cfg(test)]
mod tests;
