//! Who may push, and what: bearer tokens, kept as hashes, each bound to observers and formats.

use crate::error::CollectError;
use crate::settings::check_name;
use blake3::Hash;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// Shortest token, in bytes: shorter ones can be guessed.
const TOKEN_BYTES_MIN: usize = 16;
const TOKEN_BYTES_MAX: usize = 4096;

/// `[[source.credentials]]`: a token and what it may report.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialSettings {
    /// Name of the credential, for counters and logs.
    pub name: String,
    /// BLAKE3 hash of the token, in hexadecimal digits: what `printf %s TOKEN | b3sum` prints. Either this or `token_file`.
    #[serde(default)]
    pub token_blake3: Option<String>,
    /// A file that holds the token itself, and nothing else. Read at start.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Observers that it may report for; one may end in `*`. `["*"]` is any, also none.
    pub observers: Vec<String>,
    /// Formats that it may send, by the name before the colon. Default: `["*"]`, any.
    #[serde(default = "any")]
    pub formats: Vec<String>,
}

fn any() -> Vec<String> {
    vec!["*".to_owned()]
}

impl fmt::Debug for CredentialSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CredentialSettings")
            .field("name", &self.name)
            .field("observers", &self.observers)
            .field("formats", &self.formats)
            .finish_non_exhaustive()
    }
}

pub(crate) fn check(credentials: &[CredentialSettings], faults: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for credential in credentials {
        let name = &credential.name;
        check_name("credentials.name", name, faults);
        if !names.insert(name) {
            faults.push(format!("two credentials are called `{name}`"));
        }
        match (&credential.token_blake3, &credential.token_file) {
            (Some(hash), None) if Hash::from_hex(hash.trim()).is_err() => {
                faults.push(format!("credential `{name}`: `token_blake3` is not 64 hexadecimal digits"));
            }
            (Some(_), None) | (None, Some(_)) => {}
            _ => faults.push(format!("credential `{name}`: give either `token_blake3` or `token_file`")),
        }
        for (what, list) in [("observers", &credential.observers), ("formats", &credential.formats)] {
            if list.is_empty() {
                faults.push(format!("credential `{name}`: `{what}` is empty; `[\"*\"]` is any"));
            }
        }
    }
}

/// What a credential may report.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) name: String,
    observers: Vec<String>,
    formats: Vec<String>,
}

impl Binding {
    /// Of requests without a credential.
    pub(crate) fn anonymous() -> Self {
        Self { name: "anonymous".to_owned(), observers: any(), formats: any() }
    }

    /// The observer and format of a request: what it names, else what the source says, else the only one that the binding
    /// allows.
    ///
    /// # Errors
    /// What is not allowed, and what to do.
    pub(crate) fn bind(
        &self,
        observer: (Option<&str>, Option<&str>),
        format: (Option<&str>, &str),
    ) -> Result<(Option<String>, String), String> {
        let named = observer.0.or(observer.1).or_else(|| only(&self.observers));
        match named {
            Some(named) if !allows(&self.observers, named) => {
                return Err(format!(
                    "credential `{}` may not report for observer `{named}`; it may for {:?}",
                    self.name, self.observers
                ));
            }
            None if !self.observers.iter().any(|observer| observer == "*") => {
                return Err(format!(
                    "name the observer with `?observer=`; credential `{}` may report for {:?}",
                    self.name, self.observers
                ));
            }
            _ => {}
        }
        let format = match format {
            (Some(named), _) => named,
            (None, "auto") => only(&self.formats).unwrap_or("auto"),
            (None, default) => default,
        };
        let word = format.split_once(':').map_or(format, |(word, _)| word);
        if !allows(&self.formats, word) {
            return Err(format!(
                "credential `{}` may not send format `{word}`; it may send {:?}",
                self.name, self.formats
            ));
        }
        Ok((named.map(str::to_owned), format.to_owned()))
    }
}

/// The only one of a list that names one.
fn only(list: &[String]) -> Option<&str> {
    match list {
        [one] if !one.ends_with('*') => Some(one),
        _ => None,
    }
}

fn allows(list: &[String], word: &str) -> bool {
    list.iter().any(|allowed| allowed.strip_suffix('*').map_or(allowed == word, |prefix| word.starts_with(prefix)))
}

/// All credentials of a source.
#[derive(Debug)]
pub(crate) struct Credentials {
    known: Vec<(Hash, Binding)>,
    anonymous: Option<Binding>,
}

impl Credentials {
    /// Reads the files of tokens.
    ///
    /// # Errors
    /// Files that cannot be read, tokens that are too short.
    pub(crate) fn load(source: &str, settings: &[CredentialSettings], anonymous: bool) -> Result<Self, CollectError> {
        let mut known = Vec::with_capacity(settings.len());
        for credential in settings {
            let hash = match (&credential.token_blake3, &credential.token_file) {
                (Some(hash), _) => Hash::from_hex(hash.trim()).ok(),
                (None, Some(path)) => Some(read_token(source, path)?),
                (None, None) => None,
            };
            let Some(hash) = hash else { continue };
            let binding = Binding {
                name: credential.name.clone(),
                observers: credential.observers.clone(),
                formats: credential.formats.clone(),
            };
            known.push((hash, binding));
        }
        Ok(Self { known, anonymous: anonymous.then(Binding::anonymous) })
    }

    /// What the value of an `Authorization` header allows. None: nothing.
    pub(crate) fn find(&self, authorization: Option<&[u8]>) -> Option<&Binding> {
        let Some(authorization) = authorization else { return self.anonymous.as_ref() };
        let token = bearer(authorization)?;
        let hash = blake3::hash(token);
        // Hashes compare in constant time, and all are compared, so that the time tells nothing of any token.
        let mut found = None;
        for (known, binding) in &self.known {
            if *known == hash {
                found = Some(binding);
            }
        }
        found
    }
}

/// The token of `Bearer TOKEN` (RFC 6750 section 2.1); the scheme is case-insensitive (RFC 9110 section 11.1).
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX).then_some(token)
}

fn read_token(source: &str, path: &PathBuf) -> Result<Hash, CollectError> {
    let fail = |advice: &'static str, error: std::io::Error| CollectError::File {
        name: source.to_owned(),
        path: path.clone(),
        advice,
        source: error,
    };
    let bytes = std::fs::read(path).map_err(|error| fail("it holds the token of a credential", error))?;
    let token = bytes.trim_ascii();
    if token.len() < TOKEN_BYTES_MIN || token.len() > TOKEN_BYTES_MAX {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, format!("it has {} bytes", token.len()));
        return Err(fail("a token has 16 to 4096 bytes; `openssl rand -hex 32` makes one", error));
    }
    Ok(blake3::hash(token))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn binding(observers: &[&str], formats: &[&str]) -> Binding {
        let owned = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect();
        Binding { name: "edge".to_owned(), observers: owned(observers), formats: owned(formats) }
    }

    #[test]
    fn bindings_decide_observer_and_format() {
        let check = |binding: &Binding,
                     observer: Option<&str>,
                     format: Option<&str>,
                     expected: Result<(Option<&str>, &str), &str>| {
            let answer = binding.bind((observer, None), (format, "auto"));
            match expected {
                Ok((observer, format)) => assert_eq!(answer, Ok((observer.map(str::to_owned), format.to_owned()))),
                Err(reason) => assert!(answer.as_ref().is_err_and(|error| error.contains(reason)), "{answer:?}"),
            }
        };
        let one = binding(&["gateway"], &["envoy"]);
        check(&one, None, None, Ok((Some("gateway"), "envoy")));
        check(&one, Some("gateway"), Some("envoy:[%START_TIME%]"), Ok((Some("gateway"), "envoy:[%START_TIME%]")));
        check(&one, Some("other"), None, Err("may not report for observer `other`"));
        check(&one, None, Some("auto"), Err("may not send format `auto`"));
        let some = binding(&["node-*", "gateway"], &["envoy", "zeek"]);
        check(&some, Some("node-7"), Some("zeek"), Ok((Some("node-7"), "zeek")));
        check(&some, Some("node"), Some("zeek"), Err("may not report"));
        check(&some, None, Some("zeek"), Err("name the observer"));
        check(&some, Some("node-7"), None, Err("may not send format `auto`"));
        let any = binding(&["*"], &["*"]);
        check(&any, None, None, Ok((None, "auto")));
        check(&any, Some("x"), Some("y:z"), Ok((Some("x"), "y:z")));
    }

    #[test]
    fn tokens_are_found_by_their_hash() {
        let hash = blake3::hash(b"0123456789abcdef").to_hex().to_string();
        let settings = CredentialSettings {
            name: "edge".to_owned(),
            token_blake3: Some(hash),
            token_file: None,
            observers: any(),
            formats: any(),
        };
        assert!(!format!("{settings:?}").contains(settings.token_blake3.as_ref().unwrap()));
        let credentials = Credentials::load("push", &[settings], false).unwrap();
        let check = |header: Option<&[u8]>, expected: bool| {
            assert_eq!(credentials.find(header).is_some(), expected, "{header:?}");
        };
        check(Some(b"Bearer 0123456789abcdef"), true);
        check(Some(b"bearer  0123456789abcdef "), true);
        check(Some(b"Bearer 0123456789abcdeF"), false);
        check(Some(b"Bearer "), false);
        check(Some(b"Basic 0123456789abcdef"), false);
        check(Some(b"B"), false);
        check(None, false);
    }
}
