//! Slack, by an incoming webhook: a message of blocks for each alert. Not a Slack application: nothing comes back from a channel.
//!
//! Source: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>,
//! <https://docs.slack.dev/reference/block-kit/blocks> (limits) and
//! <https://docs.slack.dev/messaging/formatting-message-text> (escapes).

use super::{Abilities, Answer, Making, Sink, SinkConfig};
use crate::alert::{Action, Alert, Heartbeat, Message, Origin};
use crate::error::NotifyError;
use crate::http::{self, TlsSettings};
use crate::secret::SecretSource;
use crate::words;
use async_trait::async_trait;
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Characters of a header block at most.
const HEADER_MAX: usize = 150;
/// Characters of the text that notifications show. Slack advises so many at most.
const TEXT_MAX: usize = 4000;
/// Characters of a field: Slack takes 2,000, but all blocks together must stay below some 10,000.
const FIELD_MAX: usize = 600;
/// Characters of the query: Slack takes 3,000 a section.
const QUERY_MAX: usize = 2000;
/// Characters of all alerts of a digest together. Slack does not say how many it takes: of messages of some 50 blocks one of 9,600 was
/// taken and one of 11,300 not, see <https://github.com/slackapi/bolt-js/issues/2867>.
const DIGEST_CHARS_MAX: usize = 9_000;
/// Alerts that a digest shows: of 50 blocks at most, two are needed for what is around them.
const DIGEST_MAX: usize = 48;
/// Further findings that an alert names.
const OTHERS_MAX: usize = 5;

/// A sink of `type = "slack"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackSettings {
    /// Address of the incoming webhook. Who knows it can write to the channel, so it is a secret.
    pub url: SecretSource,
    /// How its certificate is checked.
    #[serde(default)]
    pub tls: TlsSettings,
}

/// One at a time, so that a channel reads in order; Slack takes about one a second.
const ABILITIES: Abilities = Abilities {
    batch_max: 1,
    concurrency: 1,
    can_digest: true,
    can_heartbeat: true,
    carries_all: false,
    is_paging: false,
    repeat: None,
};

impl SinkConfig for SlackSettings {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn check(&self, _faults: &mut Vec<String>) {}

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        Ok(Arc::new(Slack {
            client: http::client(&self.tls, making.secrets, making.timeout)?,
            url: http::secret_url("url", &self.url, making.secrets)?,
            link: making.link.to_owned(),
        }))
    }
}

#[derive(Debug)]
struct Slack {
    client: Client,
    url: SecretString,
    link: String,
}

#[async_trait]
impl Sink for Slack {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            let body = body(message, &self.link);
            answers.push(match http::send(self.client.post(self.url.expose_secret()).json(&body)).await {
                Ok(said) => said.hide_path(&self.url).answer(),
                Err(answer) => answer,
            });
        }
        answers
    }
}

fn body(message: &Message, link: &str) -> Value {
    match message {
        Message::Alert(alert) => of_alert(alert, link),
        Message::Digest(alerts) => of_digest(alerts, link),
        Message::Heartbeat(heartbeat) => of_heartbeat(heartbeat),
    }
}

fn of_alert(alert: &Alert, link: &str) -> Value {
    let incident = &alert.incident;
    let headline = words::headline(alert);
    let mut blocks = vec![header(&headline)];
    let mut facts = vec![("Severity", words::severity(incident.severity).to_owned())];
    let is_short = matches!(alert.action, Action::Acknowledge | Action::Resolve);
    if is_short {
        facts.push(("Opened", words::moment(incident.opened)));
        facts.extend(incident.resolved.map(|resolved| ("Ended", words::moment(resolved))));
        facts.extend(alert.lead().map(|lead| ("Entity", lead.entity.clone())));
    } else {
        facts.extend(alert.lead().map(words::facts).unwrap_or_default());
    }
    let query = facts.iter().position(|(name, _)| *name == "Evidence").map(|place| facts.remove(place).1);
    let fields: Vec<Value> =
        facts.iter().take(10).map(|(name, text)| plain(&format!("{name}: {text}"), FIELD_MAX)).collect();
    blocks.push(json!({ "type": "section", "fields": fields }));
    let others = words::other_findings(alert, OTHERS_MAX);
    if !is_short && !others.is_empty() {
        // Each line is plain already; the breaks between them are meant.
        let text = format!("Also:\n{}", others.join("\n"));
        blocks.push(json!({ "type": "section", "text": { "type": "plain_text", "text": escaped(&text, QUERY_MAX), "emoji": false } }));
    }
    if let Some(query) = query {
        blocks.push(json!({ "type": "section", "text": code(&query) }));
    }
    let mut end = format!("Incident {} · {} flows", incident.incident_id, incident.flow_count);
    if alert.origin == Origin::Test {
        end.push_str(" · this is a test");
    }
    let mut context = vec![plain(&end, FIELD_MAX)];
    context.extend(words::link(link, alert).map(|link| linked(&link, "Open the incident with its evidence")));
    blocks.push(json!({ "type": "context", "elements": context }));
    json!({ "text": escaped(&words::line(alert), TEXT_MAX), "mrkdwn": false, "blocks": blocks })
}

fn of_digest(alerts: &[Alert], link: &str) -> Value {
    let title = words::digest(alerts);
    let shown = &alerts[..alerts.len().min(DIGEST_MAX)];
    let mut links: Vec<Option<String>> = shown.iter().map(|alert| words::link(link, alert)).collect();
    let linked_chars: usize = links.iter().flatten().map(|link| link.chars().count() + 7).sum();
    let room = if linked_chars > DIGEST_CHARS_MAX / 2 {
        links.iter_mut().for_each(|link| *link = None);
        DIGEST_CHARS_MAX
    } else {
        DIGEST_CHARS_MAX - linked_chars
    };
    let most = (room / shown.len().max(1)).min(FIELD_MAX);
    let mut blocks = vec![header(&title)];
    for (alert, link) in shown.iter().zip(links) {
        let line = format!("{} ({})", words::line(alert), words::moment(alert.incident.opened));
        let mut fields = vec![plain(&line, most)];
        fields.extend(link.map(|link| linked(&link, "Open")));
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    let hidden = alerts.len() - shown.len();
    if hidden > 0 {
        blocks.push(json!({ "type": "section", "text": plain(&format!("and {hidden} more"), FIELD_MAX) }));
    }
    json!({ "text": escaped(&title, TEXT_MAX), "mrkdwn": false, "blocks": blocks })
}

fn of_heartbeat(heartbeat: &Heartbeat) -> Value {
    let said = words::heartbeat(heartbeat);
    let blocks = [json!({ "type": "context", "elements": [plain(&said, QUERY_MAX)] })];
    json!({ "text": escaped(&words::plain(&said), TEXT_MAX), "mrkdwn": false, "blocks": blocks })
}

fn header(text: &str) -> Value {
    json!({ "type": "header", "text": plain(text, HEADER_MAX) })
}

/// A text that Slack shows as it is: nothing in it becomes bold, a link or a mention.
fn plain(text: &str, most: usize) -> Value {
    json!({ "type": "plain_text", "text": escaped(&words::plain(text), most), "emoji": false })
}

/// Code is set apart; where the text holds what would end the code, it is shown as any other text.
fn code(text: &str) -> Value {
    if text.contains('`') {
        return plain(text, QUERY_MAX);
    }
    let text = escaped(&words::plain(text), QUERY_MAX);
    json!({ "type": "mrkdwn", "text": format!("```{text}```"), "verbatim": true })
}

/// A link: the address is the operator's template with the id of an incident.
fn linked(address: &str, text: &str) -> Value {
    let address = escaped(&words::plain(address).replace('|', "%7C"), QUERY_MAX);
    json!({ "type": "mrkdwn", "text": format!("<{address}|{text}>"), "verbatim": true })
}

/// Slack's three escapes, in a text that with them has at most so many characters and at least one.
fn escaped(text: &str, most: usize) -> String {
    let text = match text.trim() {
        "" => "-",
        text => text,
    };
    let cost = |char: char| match char {
        '&' => 5,
        '<' | '>' => 4,
        _ => 1,
    };
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if text.chars().map(cost).sum::<usize>() <= most {
        return escape(text);
    }
    let mut room = most - 1;
    let fits = |char: &char| {
        let fits = cost(*char) <= room;
        room = room.saturating_sub(cost(*char));
        fits
    };
    let short: String = text.chars().take_while(fits).collect();
    format!("{}…", escape(&short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_whole_and_within_the_limit() {
        let check = |text: &str, most: usize, expected: &str| assert_eq!(escaped(text, most), expected, "{text}");
        check("a & b <c>", 100, "a &amp; b &lt;c&gt;");
        check("", 10, "-");
        check("abcdef", 6, "abcdef");
        check("abcdefg", 6, "abcde…");
        check("abc&&", 9, "abc&amp;…");
        check("abc&&", 8, "abc…");
    }
}
