//! Lines in nginx's usual text formats: combined with what stands around it, ingress-nginx, stream. A line is read by its shape,
//! since servers of one process log in several of them to one file.

use super::error_log;
use super::record::Record;
use super::variable::Variable;
use crate::contract::Fault;
use crate::text::scan::Scan;

/// Reads a line of any of the usual formats into the record.
///
/// # Errors
/// When it is of none.
pub(super) fn read<'a>(line: &'a str, record: &mut Record<'a>) -> Result<(), Fault> {
    if error_log::is_line(line) {
        return error_log::read(line, record);
    }
    let bracket = line.find('[').ok_or_else(|| Fault::syntax("a time in brackets", line))?;
    let (head, tail) = line.split_at(bracket);
    let mut scan = Scan::new(tail);
    let time = scan.bracketed().ok_or_else(|| Fault::syntax("a time in brackets", tail))?;
    record.set(Variable::TimeLocal, time);
    match scan.quoted() {
        Some(request) => {
            record.set(Variable::Request, request);
            read_head(head, true, record)?;
            read_combined(&mut scan, record)
        }
        None => {
            read_head(head, false, record)?;
            read_stream(&mut scan, record)
        }
    }
}

/// `$remote_addr - $remote_user `; a virtual host or a list of forwarded addresses may stand before the address.
fn read_head<'a>(head: &'a str, has_user: bool, record: &mut Record<'a>) -> Result<(), Fault> {
    let head = head.trim_end();
    let addresses = match head.split_once(" - ") {
        Some((addresses, _user)) => addresses,
        None if has_user => return Err(Fault::syntax("`- USER` before the time", head)),
        None => head,
    };
    // The peer is the last one: what stands before it was forwarded, and anybody can write that.
    let at = addresses.rfind([' ', ',']).map_or(0, |at| at + 1);
    let (before, peer) = addresses.split_at(at);
    record.set(Variable::RemoteAddr, peer);
    let before = before.trim_matches([' ', ',', '"']);
    if !before.is_empty() {
        record.extras.push(("before_remote_addr", before));
    }
    Ok(())
}

/// `$status $body_bytes_sent "$http_referer" "$http_user_agent"` and what may follow.
fn read_combined<'a>(scan: &mut Scan<'a>, record: &mut Record<'a>) -> Result<(), Fault> {
    record.set(Variable::Status, status(scan)?);
    record.set(Variable::BodyBytesSent, count(scan)?);
    // The common format ends here, and the referrer is not kept.
    if scan.is_empty() || scan.quoted().is_none() {
        return Ok(());
    }
    if let Some(agent) = scan.quoted() {
        record.extras.push(("http_user_agent", agent));
    }
    if let Some(forwarded) = scan.quoted() {
        record.extras.push(("http_x_forwarded_for", forwarded));
    } else if !scan.is_empty() {
        read_ingress(scan, record)?;
    }
    Ok(())
}

/// `$request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr
/// $upstream_response_length $upstream_response_time $upstream_status $req_id`.
fn read_ingress<'a>(scan: &mut Scan<'a>, record: &mut Record<'a>) -> Result<(), Fault> {
    let expected = |what: &str, scan: &Scan<'_>| Fault::syntax(what, scan.rest());
    let length = scan.word().ok_or_else(|| expected("$request_length", scan))?;
    let seconds = scan.word().ok_or_else(|| expected("$request_time", scan))?;
    let upstream = scan.bracketed().ok_or_else(|| expected("[$proxy_upstream_name]", scan))?;
    record.set(Variable::RequestLength, length);
    record.set(Variable::RequestTime, seconds);
    record.extras.push(("proxy_upstream_name", upstream));
    if let Some(alternative) = scan.bracketed() {
        record.extras.push(("proxy_alternative_upstream_name", alternative));
    }
    record.set(Variable::UpstreamAddr, list(scan)?);
    record.extras.push(("upstream_response_length", list(scan)?));
    record.set(Variable::UpstreamResponseTime, list(scan)?);
    record.set(Variable::UpstreamStatus, list(scan)?);
    if let Some(id) = scan.word() {
        record.set(Variable::RequestId, id);
    }
    Ok(())
}

/// `$protocol $status $bytes_sent $bytes_received $session_time ["$upstream_addr"]`.
fn read_stream<'a>(scan: &mut Scan<'a>, record: &mut Record<'a>) -> Result<(), Fault> {
    let protocol = scan
        .word()
        .filter(|word| matches!(*word, "TCP" | "UDP"))
        .ok_or_else(|| Fault::syntax("a request in quotes, TCP or UDP", scan.rest()))?;
    record.is_stream = true;
    record.set(Variable::Protocol, protocol);
    record.set(Variable::Status, status(scan)?);
    record.set(Variable::BytesSent, count(scan)?);
    record.set(Variable::BytesReceived, count(scan)?);
    record.set(Variable::SessionTime, scan.word().ok_or_else(|| Fault::syntax("$session_time", scan.rest()))?);
    if let Some(upstream) = scan.quoted() {
        record.set(Variable::UpstreamAddr, upstream);
    }
    Ok(())
}

fn status<'a>(scan: &mut Scan<'a>) -> Result<&'a str, Fault> {
    let rest = scan.rest();
    scan.word()
        .filter(|word| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| Fault::syntax("a status", rest))
}

fn count<'a>(scan: &mut Scan<'a>) -> Result<&'a str, Fault> {
    let rest = scan.rest();
    scan.word()
        .filter(|word| *word == "-" || word.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| Fault::syntax("a number of bytes", rest))
}

/// Items with commas, and groups with colons, between.
fn list<'a>(scan: &mut Scan<'a>) -> Result<&'a str, Fault> {
    let start = scan.rest();
    let mut length = 0;
    loop {
        let word = scan.word().ok_or_else(|| Fault::syntax("a value for each upstream", start))?;
        length += word.len();
        let goes_on = word.ends_with(',') || word == ":" || scan.rest().starts_with(": ");
        if !goes_on {
            return Ok(&start[..length]);
        }
        length += 1;
    }
}
