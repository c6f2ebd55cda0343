//! HAProxy's lines cut into their fields. Not what the fields mean.
//!
//! Source: HAProxy, configuration manual, section 8.2 "Log formats": default, TCP, HTTP, HTTPS and error format.

use crate::contract::{Fault, Reason};
use crate::text::scan::Scan;
use crate::text::time;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Session(Box<Session<'a>>),
    /// `Connect from IP:PORT to IP:PORT (FRONTEND/MODE)`.
    Connect {
        client: &'a str,
        server: &'a str,
        frontend: &'a str,
        mode: &'a str,
    },
    /// `IP:PORT [DATE] FRONTEND/BIND: TEXT`.
    Error {
        client: &'a str,
        time: i64,
        frontend: &'a str,
        text: &'a str,
    },
}

/// A request or a TCP session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Session<'a> {
    pub(super) client: &'a str,
    /// When the request or session began, microseconds UTC.
    pub(super) time: i64,
    /// Without the `~` that stands for TLS.
    pub(super) frontend: &'a str,
    pub(super) is_tls: bool,
    pub(super) backend: &'a str,
    pub(super) server: &'a str,
    /// Milliseconds as they stand: five of HTTP, three of TCP.
    pub(super) timers: Vec<i64>,
    /// A `+` before the total time: it was logged before the end.
    pub(super) is_early: bool,
    pub(super) status: Option<&'a str>,
    pub(super) bytes_read: &'a str,
    pub(super) state: &'a str,
    pub(super) connections: &'a str,
    pub(super) queues: &'a str,
    pub(super) request_headers: Option<&'a str>,
    pub(super) response_headers: Option<&'a str>,
    pub(super) request: Option<&'a str>,
    /// What the HTTPS format appends: errors, and SNI, version and cipher.
    pub(super) tls: Option<Tls<'a>>,
    /// Words that the standard formats do not have.
    pub(super) surplus: Vec<&'a str>,
}

/// What the HTTPS format appends: `fc_err/ssl_fc_err/ssl_c_err/ssl_c_ca_err/ssl_fc_is_resumed sni/version/cipher`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tls<'a> {
    pub(super) errors: &'a str,
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) cipher: &'a str,
}

/// Reads a line; what stands before `haproxy[PID]: `, and that itself, is passed over.
///
/// # Errors
/// When it has none of the formats.
pub(super) fn read(line: &str) -> Result<Line<'_>, Fault> {
    let line = without_tag(line);
    if let Some(rest) = line.strip_prefix("Connect from ") {
        return connect(rest);
    }
    let mut scan = Scan::new(line);
    let client =
        scan.word().filter(|word| word.contains(':')).ok_or_else(|| Fault::syntax("an address with a port", line))?;
    let at = scan.bracketed().ok_or_else(|| Fault::syntax("a time in brackets", scan.rest()))?;
    let time = time::common_log_local(at)
        .or_else(|| time::common_log(at))
        .ok_or_else(|| Fault::value(Reason::BadTime, "time", at, "a time such as 06/Feb/2009:12:14:14.655"))?;
    let rest = scan.rest();
    if let Some((frontend, text)) = error_text(rest) {
        return Ok(Line::Error { client, time, frontend, text });
    }
    session(client, time, scan).map(|session| Line::Session(Box::new(session)))
}

/// `FRONTEND/BIND: TEXT`: the first word ends with a colon.
fn error_text(rest: &str) -> Option<(&str, &str)> {
    let (first, text) = rest.split_once(' ')?;
    let name = first.strip_suffix(':')?;
    let (frontend, _bind) = name.split_once('/')?;
    (!text.is_empty()).then_some((frontend, text))
}

fn without_tag(line: &str) -> &str {
    const TAG: &str = "haproxy[";
    let Some(at) = line.find(TAG).filter(|&at| !line[..at].contains(['"', '{'])) else { return line };
    let rest = &line[at + TAG.len()..];
    match rest.split_once("]: ") {
        Some((pid, rest)) if pid.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => line,
    }
}

fn connect(rest: &str) -> Result<Line<'_>, Fault> {
    let expected = || Fault::syntax("`Connect from IP:PORT to IP:PORT (FRONTEND/MODE)`", rest);
    let (client, rest) = rest.split_once(" to ").ok_or_else(expected)?;
    let (server, rest) = rest.split_once(" (").ok_or_else(expected)?;
    let (frontend, mode) =
        rest.trim_end().strip_suffix(')').and_then(|inner| inner.rsplit_once('/')).ok_or_else(expected)?;
    Ok(Line::Connect { client, server, frontend, mode })
}

fn session<'a>(client: &'a str, time: i64, mut scan: Scan<'a>) -> Result<Session<'a>, Fault> {
    let mut session = Session { client, time, ..Session::default() };
    let frontend = word(&mut scan, "a frontend")?;
    session.frontend = frontend.strip_suffix('~').unwrap_or(frontend);
    session.is_tls = frontend.len() != session.frontend.len();
    let target = word(&mut scan, "BACKEND/SERVER")?;
    // Names may hold colons, and those of an operator's making slashes: the server is behind the first slash.
    (session.backend, session.server) =
        target.split_once('/').ok_or_else(|| Fault::syntax("BACKEND/SERVER", target))?;
    // Sites put words of their own before the timers.
    let timers = loop {
        let next = word(&mut scan, "timers such as 10/0/30/69/109")?;
        match timers_of(next) {
            Some(timers) => break timers,
            None if session.surplus.len() < SURPLUS_MAX => session.surplus.push(next),
            None => return Err(Fault::syntax("timers such as 10/0/30/69/109", next)),
        }
    };
    (session.timers, session.is_early) = timers;
    if session.timers.len() == HTTP_TIMERS {
        let status = word(&mut scan, "a status")?;
        let is_status =
            |text: &str| text == "-1" || (text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit()));
        session.status = Some(status).filter(|status| is_status(status));
        if session.status.is_none() {
            return Err(Fault::syntax("a status", status));
        }
    }
    session.bytes_read = word(&mut scan, "a number of bytes")?;
    if session.timers.len() == HTTP_TIMERS {
        word(&mut scan, "a request cookie")?;
        word(&mut scan, "a response cookie")?;
    }
    session.state = word(&mut scan, "a termination state")?;
    if !matches!(session.state.len(), 2 | 4) {
        return Err(Fault::syntax("a termination state", session.state));
    }
    session.connections = word(&mut scan, "numbers of connections")?;
    session.queues = word(&mut scan, "places in queues")?;
    session.request_headers = scan.braced();
    session.response_headers = scan.braced();
    session.request = scan.quoted().or_else(|| cut_request(&mut scan));
    if session.request.is_some()
        && let (Some(errors), Some(names)) = (scan.word(), scan.word())
    {
        let mut names = names.splitn(3, '/');
        let mut next = || names.next().unwrap_or_default();
        session.tls = Some(Tls { errors, name: next(), version: next(), cipher: next() });
    }
    Ok(session)
}

/// Words of a site's own before the timers.
const SURPLUS_MAX: usize = 8;
/// Timers of the HTTP format: request, queue, connect, response, active.
const HTTP_TIMERS: usize = 5;
/// Timers of the TCP format: queue, connect, total.
const TCP_TIMERS: usize = 3;

fn word<'a>(scan: &mut Scan<'a>, what: &str) -> Result<&'a str, Fault> {
    let rest = scan.rest();
    scan.word().ok_or_else(|| Fault::syntax(what, rest))
}

/// Numbers between slashes, where a minus one stands for a phase that was not reached; a `+` before the last one says that it
/// was logged before the end.
fn timers_of(word: &str) -> Option<(Vec<i64>, bool)> {
    let mut is_early = false;
    let mut timers = Vec::with_capacity(HTTP_TIMERS);
    for part in word.split('/') {
        let part = part.strip_prefix('+').inspect(|_| is_early = true).unwrap_or(part);
        let digits = part.strip_prefix('-').unwrap_or(part);
        if digits.is_empty()
            || digits.len() > 12
            || !digits.bytes().all(|byte| byte.is_ascii_digit())
            || timers.len() == HTTP_TIMERS
        {
            return None;
        }
        timers.push(part.parse().ok()?);
    }
    matches!(timers.len(), HTTP_TIMERS | TCP_TIMERS).then_some((timers, is_early))
}

/// A request whose closing quote was cut off with the end of the line, as syslog does with long ones.
fn cut_request<'a>(scan: &mut Scan<'a>) -> Option<&'a str> {
    let inner = scan.rest().strip_prefix('"')?;
    *scan = Scan::new("");
    Some(inner)
}
