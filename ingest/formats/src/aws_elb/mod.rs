//! Access logs of AWS load balancers: Application Load Balancers, and the TLS listeners of Network Load Balancers. Not connection logs and
//! not Classic Load Balancers.
//!
//! Source: AWS, "Access logs for your Application Load Balancer", "Access logs for your Network Load Balancer". Fields are separated by
//! blanks, some are in quotes, and AWS adds fields at the end.

mod alb;
mod nlb;
mod page;

use crate::contract::{Decoded, Fault, Format, Reason};
use crate::detect::{Chosen, first_lines};
use crate::framing::Records;
use crate::registry::{Family, Recognised};
use crate::rows::{Nature, Rows, Side};
use crate::text::scan::Scan;
use std::sync::Arc;

/// Application Load Balancers.
pub(crate) static ALB: Family = Family {
    name: Log::Alb.name(),
    summary: "AWS Application Load Balancer access logs",
    page: page::ALB,
    decoders: || vec![(Arc::new(Log::Alb), Records::Lines)],
    recognise: |head| Log::Alb.by_content(head).map(Recognised::Connections),
    named: |_, _| Ok(Chosen::text(Log::Alb, Records::Lines, "as asked for")),
    check_layout: None,
};

/// Network Load Balancers.
pub(crate) static NLB: Family = Family {
    name: Log::Nlb.name(),
    summary: "AWS Network Load Balancer access logs (TLS listeners)",
    page: page::NLB,
    decoders: || vec![(Arc::new(Log::Nlb), Records::Lines)],
    recognise: |head| Log::Nlb.by_content(head).map(Recognised::Connections),
    named: |_, _| Ok(Chosen::text(Log::Nlb, Records::Lines, "as asked for")),
    check_layout: None,
};

/// Which load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Log {
    Alb,
    Nlb,
}

impl Log {
    /// The word in the column `source`.
    const fn name(self) -> &'static str {
        match self {
            Self::Alb => "aws_alb",
            Self::Nlb => "aws_nlb",
        }
    }

    fn by_content(self, head: &[u8]) -> Option<Chosen> {
        let is_of_log = |line: &str| match self {
            Self::Alb => alb::is_line(line),
            Self::Nlb => nlb::is_line(line),
        };
        let reason = match self {
            Self::Alb => "lines of an AWS Application Load Balancer",
            Self::Nlb => "lines of an AWS Network Load Balancer",
        };
        first_lines(head).any(is_of_log).then(|| Chosen::text(self, Records::Lines, reason))
    }
}

impl Format for Log {
    fn name(&self) -> &'static str {
        (*self).name()
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let kind = if *self == Self::Alb { "request" } else { "connection" };
        let mut rows = Rows::new(out, (*self).name(), Nature { kind, vantage: Some("proxy"), orientation: "log" });
        rows.each_line(input, offset, |rows, line| match self {
            Self::Alb => alb::write(line, rows),
            Self::Nlb => nlb::write(line, rows),
        });
        rows.finish();
    }
}

/// Fields of a line in order.
#[derive(Debug)]
struct Fields<'a> {
    scan: Scan<'a>,
}

impl<'a> Fields<'a> {
    fn new(line: &'a str) -> Self {
        Self { scan: Scan::new(line) }
    }

    /// The next field, which must be there; `name` is its.
    fn next(&mut self, name: &str) -> Result<&'a str, Fault> {
        let rest = self.scan.rest();
        let field = if rest.starts_with('"') { self.scan.quoted() } else { self.scan.word() };
        field.ok_or_else(|| match rest {
            "" => Fault { reason: Reason::TooFewFields, detail: format!("the line ends before {name}") },
            rest => Fault::syntax(name, rest),
        })
    }

    /// The next field, if there is one.
    fn optional(&mut self) -> Option<&'a str> {
        if self.scan.rest().starts_with('"') { self.scan.quoted() } else { self.scan.word() }
    }
}

/// One end, from `IP:PORT`; AWS writes IPv6 addresses without brackets too.
fn end(side: Side, name: &str, text: &str, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    if text == "-" {
        return Ok(());
    }
    let (address, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let address = address.trim_start_matches('[').trim_end_matches(']');
    rows.address(side, name, address)?;
    rows.port_text(side, name, port)
}

#[cfg(test)]
mod tests;
