//! A body by a template: MiniJinja, where every value comes out as JSON. It is tried on messages of each kind before it is used.

use super::body;
use crate::alert::{Alert, Heartbeat, Message};
use crate::error::NotifyError;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior, Value};
use serde::de::IgnoredAny;
use std::fs;
use std::path::Path;

/// Bytes of a template.
const TEMPLATE_BYTES_MAX: u64 = 256 * 1024;
/// Instructions that one body may take: a template has no end of its own.
const FUEL: u64 = 2_000_000;
const NAME: &str = "template";

#[derive(Debug)]
pub(super) struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// Reads a template and tries it.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub(super) fn read(path: &Path, link: &str, bytes_max: usize) -> Result<Self, NotifyError> {
        let fault =
            |message: String| NotifyError::Settings { message: format!("`template` {}: {message}", path.display()) };
        let length = fs::metadata(path).map_err(|error| fault(error.to_string()))?.len();
        if length > TEMPLATE_BYTES_MAX {
            return Err(fault(format!("it has {length} bytes: use at most {TEMPLATE_BYTES_MAX}")));
        }
        let text = fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        let made = Self::new(text).map_err(fault)?;
        made.try_out(link, bytes_max).map_err(fault)?;
        Ok(made)
    }

    fn new(text: String) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Json);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.add_filter("shorten", |text: &str, most: usize| crate::words::shortened(text, most));
        environment.add_template_owned(NAME, text).map_err(|error| told(&error))?;
        Ok(Self { environment })
    }

    /// The body of a message.
    ///
    /// # Errors
    /// It cannot be made, or is not JSON.
    pub(super) fn render(&self, body: &serde_json::Value) -> Result<String, String> {
        let template = self.environment.get_template(NAME).map_err(|error| told(&error))?;
        let text = template.render(Value::from_serialize(body)).map_err(|error| told(&error))?;
        let text = text.trim();
        match serde_json::from_str::<IgnoredAny>(text) {
            Ok(IgnoredAny) => Ok(text.to_owned()),
            Err(error) => {
                let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
                Err(format!(
                    "what it makes is not JSON: {error}: `{}`. Values come with their quotes: write {{{{ alert.title }}}}, and join \
                     texts with `~`",
                    crate::words::shortened(line.trim(), 200)
                ))
            }
        }
    }

    fn try_out(&self, link: &str, bytes_max: usize) -> Result<(), String> {
        for message in samples() {
            let made = body::fitting(&message, link, bytes_max, |body| self.render(body));
            made.map_err(|error| format!("with a sample of {}: {error}", kind(&message)))?;
        }
        Ok(())
    }
}

const fn kind(message: &Message) -> &'static str {
    match message {
        Message::Alert(_) => "an alert",
        Message::Digest(_) => "a digest",
        Message::Heartbeat(_) => "a sign of life",
    }
}

/// A message of each kind, with texts that a template must not trip over.
fn samples() -> Vec<Message> {
    let mut odd = Alert::test(0);
    "a \"quoted\" text,\n\\ and </script> {{ braces }}".clone_into(&mut odd.incident.title);
    odd.incident.findings.push("another".to_owned());
    let mut bare = odd.clone();
    bare.findings.clear();
    let over = odd.clone().resolved(1);
    let heartbeat = Heartbeat { time: 0, causes: vec!["a \"cause\"".to_owned()], open_incidents: 1 };
    vec![
        Message::Alert(Box::new(odd.clone())),
        Message::Alert(Box::new(bare.clone())),
        Message::Alert(Box::new(over.clone())),
        Message::Digest(vec![odd, bare, over]),
        Message::Heartbeat(heartbeat),
    ]
}

/// An error with its line and its causes.
fn told(error: &Error) -> String {
    let mut said =
        error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    if let Some(line) = error.line() {
        said = format!("line {line}: {said}");
    }
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said.push_str(&format!(": {error}"));
        cause = error.source();
    }
    said
}

/// Where the templates that come with the documentation are, for tests.
#[cfg(test)]
fn shipped(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/notify-templates").join(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::alert;
    use serde_json::Value as Json;

    fn fault(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Template::read(file.path(), "", 10_000).unwrap_err().to_string()
    }

    #[test]
    fn faults_name_the_line() {
        let check = |text: &str, parts: &[&str]| {
            let said = fault(text);
            assert!(parts.iter().all(|part| said.contains(part)), "{text}: {said}");
        };
        check("{\n\"a\": {{ tilte }}\n}", &["line 2", "undefined"]);
        check("{\n{% if %}\n}", &["line 2", "syntax"]);
        check("{\n\"a\": \"{{ text }}\"\n}", &["not JSON", "line 2", "`~`"]);
        check("{\"a\": {{ alerts[0].title }} }", &["sign of life"]);
        check("[{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}]", &["fuel"]);
    }

    /// All texts that come from logs, as bad as can be.
    fn hostile() -> Vec<Message> {
        let bad = "\"}],\"x\":{{ 7*7 }} {% raw %} \\u0000 \r\n\t</script><b>&amp;@everyone 東京 \u{202e}";
        let mut one = alert("one");
        one.incident.title = bad.to_owned();
        one.incident.entities = std::iter::once(bad.to_owned()).collect();
        let finding = &mut one.findings[0];
        for text in [
            &mut finding.title,
            &mut finding.entity,
            &mut finding.observed,
            &mut finding.expected,
            &mut finding.uncertain,
            &mut finding.evidence_query,
            &mut finding.observations[0].dst_entity,
        ] {
            *text = bad.repeat(20);
        }
        let over = one.clone().resolved(crate::testing::NOON);
        vec![
            Message::Alert(Box::new(one.clone())),
            Message::Alert(Box::new(over.clone())),
            Message::Digest(vec![one.clone(), over, one]),
            Message::Heartbeat(Heartbeat { time: 0, causes: vec![bad.to_owned()], open_incidents: 3 }),
        ]
    }

    fn made(name: &str, bytes_max: usize) -> Vec<Json> {
        let link = "https://tradewind.example/incidents/{incident}";
        let template = Template::read(&shipped(name), link, bytes_max).unwrap();
        let body = |message| body::fitting(&message, link, bytes_max, |body| template.render(body)).unwrap();
        let bodies: Vec<String> = hostile().into_iter().map(body).collect();
        assert!(bodies.iter().all(|body| body.len() <= bytes_max));
        bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    /// <https://learn.microsoft.com/connectors/teams/> (28 KB) and <https://adaptivecards.io/explorer/AdaptiveCard.html>.
    #[test]
    fn the_template_for_teams_makes_cards() {
        for body in made("teams.json.jinja", 28_000) {
            assert_eq!(body["type"], "message");
            let attachments = body["attachments"].as_array().unwrap();
            assert_eq!(attachments.len(), 1);
            assert_eq!(attachments[0]["contentType"], "application/vnd.microsoft.card.adaptive");
            let card = &attachments[0]["content"];
            assert_eq!((&card["type"], &card["version"]), (&Json::from("AdaptiveCard"), &Json::from("1.4")));
            for element in card["body"].as_array().unwrap() {
                match element["type"].as_str().unwrap() {
                    // A text block reads Markdown: what comes from logs is in runs of text, which do not.
                    "RichTextBlock" => {
                        let runs = element["inlines"].as_array().unwrap();
                        assert!(runs.iter().all(|run| run["type"] == "TextRun" && run["text"].is_string()), "{runs:?}");
                    }
                    other => panic!("an element {other}"),
                }
            }
            for action in card["actions"].as_array().unwrap() {
                assert_eq!(action["type"], "Action.OpenUrl");
                assert!(action["url"].as_str().unwrap().starts_with("https://tradewind.example/incidents/"));
            }
        }
    }

    /// <https://discord.com/developers/docs/resources/webhook#execute-webhook> and
    /// <https://discord.com/developers/docs/resources/message#embed-object-embed-limits>.
    #[test]
    fn the_template_for_discord_makes_messages() {
        for body in made("discord.json.jinja", 100_000) {
            assert_eq!(body["allowed_mentions"], serde_json::json!({ "parse": [] }));
            let length = |value: &Json| value.as_str().unwrap().chars().count();
            assert!((1..=2000).contains(&length(&body["content"])));
            let embeds = body["embeds"].as_array().unwrap();
            assert!(embeds.len() <= 10);
            let mut all = 0;
            for embed in embeds {
                assert!((1..=256).contains(&length(&embed["title"])));
                all += length(&embed["title"]);
                let fields = embed["fields"].as_array().unwrap();
                assert!(fields.len() <= 25);
                for field in fields {
                    assert!(
                        (1..=256).contains(&length(&field["name"])) && (1..=1024).contains(&length(&field["value"]))
                    );
                    all += length(&field["name"]) + length(&field["value"]);
                }
            }
            assert!(all <= 6000, "{all}");
        }
    }
}
