//! Mails as they are written: subject, text, HTML and what keeps those of one incident together.

use crate::alert::{Action, Alert, Message, Origin};
use crate::words;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// Characters of a subject.
const SUBJECT_MAX: usize = 200;
/// Characters of one fact.
const FACT_MAX: usize = 2000;
/// Characters of the local part of a message's id.
const ID_MAX: usize = 120;
/// Further findings that a mail names.
const OTHERS_MAX: usize = 19;

/// What all mails of a sink have in common.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) from: Mailbox,
    pub(super) to: Vec<Mailbox>,
    pub(super) link: String,
}

/// What a mail says, before it is text or HTML. Each text is plain and on one line.
#[derive(Debug, Default)]
struct Content {
    title: String,
    facts: Vec<(String, String)>,
    lines: Vec<String>,
    links: Vec<String>,
    end: String,
}

impl Letter {
    /// A mail; `now` in microseconds UTC.
    pub(super) fn write(&self, message: &Message, now: i64) -> Result<lettre::Message, lettre::error::Error> {
        let (subject, content) = match message {
            Message::Alert(alert) => (words::line(alert), of_alert(alert, &self.link)),
            Message::Digest(alerts) => (words::digest(alerts), of_digest(alerts, &self.link)),
            Message::Heartbeat(heartbeat) => {
                let subject = if heartbeat.causes.is_empty() { "alive" } else { "alive, but not all of it works" };
                (
                    subject.to_owned(),
                    Content { title: words::plain(&words::heartbeat(heartbeat)), ..Content::default() },
                )
            }
        };
        let subject = words::shortened(&format!("[Tradewind] {}", words::plain(&subject)), SUBJECT_MAX);
        let seconds = u64::try_from(now.div_euclid(1_000_000)).unwrap_or_default();
        let mut builder = lettre::Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .message_id(Some(self.id(message)))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        if let Message::Alert(alert) = message
            && alert.action != Action::Open
        {
            let first = self.first_id(alert);
            builder = builder.in_reply_to(first.clone()).references(first);
        }
        builder.multipart(MultiPart::alternative_plain_html(text(&content), html(&content)))
    }

    /// The id of the mail that opened an incident, which all others refer to. It stays the same when that mail is sent again.
    fn first_id(&self, alert: &Alert) -> String {
        format!("<incident-{}@{}>", words::token(alert.key(), ID_MAX), self.from.email.domain())
    }

    fn id(&self, message: &Message) -> String {
        match message {
            Message::Alert(alert) if alert.action == Action::Open => self.first_id(alert),
            message => format!("<{}@{}>", words::token(&message.event_key(), ID_MAX), self.from.email.domain()),
        }
    }
}

fn of_alert(alert: &Alert, link: &str) -> Content {
    let incident = &alert.incident;
    let is_over = alert.action == Action::Resolve;
    let mut facts =
        vec![("Severity", words::severity(incident.severity).to_owned()), ("Opened", words::moment(incident.opened))];
    facts.extend(incident.resolved.filter(|_| is_over).map(|resolved| ("Ended", words::moment(resolved))));
    facts.extend(alert.lead().map(words::facts).unwrap_or_default());
    let fact = |(name, text): (&str, String)| (name.to_owned(), words::shortened(&words::plain(&text), FACT_MAX));
    let mut end = format!("Incident {}, {} flows", words::plain(&incident.incident_id), incident.flow_count);
    if alert.origin == Origin::Test {
        end.push_str(". This is a test");
    }
    Content {
        title: words::plain(&words::headline(alert)),
        facts: facts.into_iter().map(fact).collect(),
        lines: words::other_findings(alert, OTHERS_MAX).into_iter().map(|line| format!("Also: {line}")).collect(),
        links: words::link(link, alert).into_iter().collect(),
        end,
    }
}

fn of_digest(alerts: &[Alert], link: &str) -> Content {
    let line = |alert: &Alert| {
        let told = format!("{} ({})", words::line(alert), words::moment(alert.incident.opened));
        let link = words::link(link, alert).map(|link| format!(" {link}")).unwrap_or_default();
        format!("{}{link}", words::shortened(&words::plain(&told), FACT_MAX))
    };
    Content { title: words::digest(alerts), lines: alerts.iter().map(line).collect(), ..Content::default() }
}

fn text(content: &Content) -> String {
    let mut text = format!("{}\r\n\r\n", content.title);
    let mut part = |lines: Vec<String>| {
        if !lines.is_empty() {
            text.push_str(&lines.join("\r\n"));
            text.push_str("\r\n\r\n");
        }
    };
    part(content.facts.iter().map(|(name, said)| format!("{name}: {said}")).collect());
    part(content.lines.iter().map(|line| format!("- {line}")).collect());
    part(content.links.clone());
    if content.end.is_empty() {
        return text;
    }
    text + &content.end + "\r\n"
}

fn html(content: &Content) -> String {
    let mut html = format!(
        "<!DOCTYPE html><html><body style=\"font-family:sans-serif\"><p><strong>{}</strong></p>",
        escaped(&content.title)
    );
    // Writing to a string cannot fail.
    let mut add = |part: std::fmt::Arguments<'_>| html.write_fmt(part).unwrap_or_default();
    if !content.facts.is_empty() {
        add(format_args!("<table cellpadding=\"4\">"));
        for (name, said) in &content.facts {
            let said = escaped(said);
            let said = if name == "Evidence" { format!("<code>{said}</code>") } else { said };
            add(format_args!("<tr valign=\"top\"><td>{}</td><td>{said}</td></tr>", escaped(name)));
        }
        add(format_args!("</table>"));
    }
    if !content.lines.is_empty() {
        add(format_args!("<ul>"));
        for line in &content.lines {
            add(format_args!("<li>{}</li>", escaped(line)));
        }
        add(format_args!("</ul>"));
    }
    for link in &content.links {
        add(format_args!("<p><a href=\"{}\">Open the incident with its evidence</a></p>", escaped(link)));
    }
    if !content.end.is_empty() {
        add(format_args!("<p><small>{}</small></p>", escaped(&content.end)));
    }
    add(format_args!("</body></html>\r\n"));
    html
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char => escaped.push(char),
        }
    }
    escaped
}
