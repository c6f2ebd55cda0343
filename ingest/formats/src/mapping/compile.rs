//! The text of a mapping, checked and made ready. All faults that do not hide each other are told at once.

use super::columns::Target;
use super::record::{Field, Record, split};
use super::settings::{Read, ResultWord, Settings, Skip, Source, VerdictWord, Words};
use super::{Made, Mapped, pattern};
use crate::contract::Fault;
use crate::framing::Records;
use crate::registry;
use crate::text::pairs::Pairs;
use crate::text::scan;
use regex::Regex;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tradewind_model::TextCol;
use tradewind_model::outcome::{ConnectionResult, Verdict};

/// Longest text of a mapping.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Memory that a compiled expression may take.
const REGEX_BYTES_MAX: usize = 4 << 20;
/// Names of mappings that one process knows: `source` is a word that lives as long as it.
const NAMES_MAX: usize = 1024;

/// Why a mapping cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", faults.join("; "))]
pub(super) struct MappingError {
    /// What is wrong, each with its key.
    pub(super) faults: Vec<String>,
}

/// A mapping whose keys are right.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) settings: Settings,
    targets: Vec<(Target, String)>,
    constants: Vec<(TextCol, String)>,
    regex: Option<Regex>,
}

/// A column and the field it is of.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) target: Target,
    pub(super) field: Field,
}

/// How a line becomes fields.
#[derive(Clone, Debug)]
pub(super) enum Reader {
    Json,
    Csv { separator: char, names: Vec<String> },
    Pairs,
    Regex { regex: Regex, names: Vec<String> },
}

impl Reader {
    pub(super) fn read<'r>(&'r self, line: &'r str) -> Result<Record<'r>, Fault> {
        match self {
            Self::Json => Err(Fault::syntax("JSON", line)),
            Self::Csv { separator, names } => {
                let values =
                    split(line, *separator).ok_or_else(|| Fault::syntax("values with separators between", line))?;
                if values.len() != names.len() {
                    let reason = if values.len() < names.len() {
                        crate::Reason::TooFewFields
                    } else {
                        crate::Reason::TooManyFields
                    };
                    return Err(Fault {
                        reason,
                        detail: format!("{} values where {} are expected", values.len(), names.len()),
                    });
                }
                Ok(Record::List { names, values })
            }
            Self::Pairs => {
                let of = |pair: crate::text::pairs::Pair<'r>| {
                    (pair.key, if pair.is_quoted { scan::unescape(pair.value) } else { Cow::Borrowed(pair.value) })
                };
                let pairs: Vec<_> = Pairs::new(line).take(FIELDS_MAX).map(of).collect();
                if pairs.is_empty() { Err(Fault::syntax("key=value", line)) } else { Ok(Record::Pairs(pairs)) }
            }
            Self::Regex { regex, names } => {
                let groups = regex.captures(line).ok_or_else(|| Fault::syntax("a line that fits the mapping", line))?;
                let values = names
                    .iter()
                    .map(|name| Cow::Borrowed(groups.name(name).map_or("", |group| group.as_str())))
                    .collect();
                Ok(Record::List { names, values })
            }
        }
    }
}

/// Most fields of a line.
const FIELDS_MAX: usize = 512;

/// What the words of a field stand for.
#[derive(Clone, Debug)]
pub(super) struct Judged<W> {
    field: Field,
    values: BTreeMap<String, W>,
    default: Option<W>,
}

impl<W: Copy> Judged<W> {
    pub(super) fn of(&self, record: &Record<'_>) -> Option<W> {
        let value = record.peek(&self.field)?;
        let known = self
            .values
            .get(value)
            .or_else(|| self.values.iter().find(|(word, _)| word.eq_ignore_ascii_case(value)).map(|(_, found)| found));
        known.copied().or(self.default)
    }
}

/// Records with these values are no connections.
#[derive(Clone, Debug)]
pub(super) struct Skipped {
    pub(super) field: Field,
    pub(super) values: Vec<String>,
}

/// What decides beside the columns.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    pub(super) verdict: Option<Judged<Verdict>>,
    pub(super) result: Option<Judged<ConnectionResult>>,
    pub(super) skips: Vec<Skipped>,
    /// Names of the fields that columns are made of.
    pub(super) mapped: Vec<String>,
}

impl Plan {
    /// Checks the text of a mapping.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, MappingError> {
        let one = |fault: String| MappingError { faults: vec![fault] };
        if text.len() > TEXT_BYTES_MAX {
            return Err(one(format!("a mapping has at most {TEXT_BYTES_MAX} bytes")));
        }
        let settings: Settings =
            toml::from_str(text).map_err(|error| one(error.to_string().trim_end().replace('\n', " ")))?;
        let mut faults = Vec::new();
        let name = name_of(&settings.name, &mut faults);
        let mut targets = Vec::new();
        for (column, source) in &settings.fields {
            let (field, how) = match source {
                Source::Field(field) => (field.clone(), None),
                Source::As(given) => (given.field.clone(), given.how),
            };
            match Target::of(column, how) {
                Ok(target) => targets.push((target, field)),
                Err(fault) => faults.push(format!("fields.{column}: {fault}")),
            }
        }
        if settings.fields.is_empty() {
            faults.push("fields: there is none".to_owned());
        }
        let mut constants = Vec::new();
        for (column, text) in &settings.constants {
            match Target::constant(column) {
                Ok(column) => constants.push((column, text.clone())),
                Err(fault) => faults.push(format!("constants.{column}: {fault}")),
            }
        }
        let regex = expression(&settings.read, &mut faults);
        let plan = Self { name, settings, targets, constants, regex };
        if let Some(names) = plan.known_names() {
            for field in plan.fields() {
                if !names.contains(&field) {
                    faults.push(format!("`{field}` is no field of a record; those are {}", names.join(", ")));
                }
            }
        }
        if faults.is_empty() { Ok(plan) } else { Err(MappingError { faults }) }
    }

    /// Whether the first line names the values.
    pub(super) fn reads_header(&self) -> bool {
        matches!(self.settings.read, Read::Csv { columns: None, .. })
    }

    /// Names of the fields of a record, where the mapping says them.
    fn known_names(&self) -> Option<Vec<String>> {
        match &self.settings.read {
            Read::Csv { columns, .. } => columns.clone(),
            Read::Regex { .. } | Read::Pattern { .. } => {
                self.regex.as_ref().map(|regex| regex.capture_names().flatten().map(str::to_owned).collect())
            }
            Read::Json | Read::Pairs => None,
        }
    }

    /// All fields that are used.
    fn fields(&self) -> Vec<String> {
        let words = self
            .settings
            .verdict
            .iter()
            .map(|words| &words.field)
            .chain(self.settings.result.iter().map(|words| &words.field));
        let skips = self.settings.skip.iter().map(|skip| &skip.field);
        self.targets.iter().map(|(_, field)| field).chain(words).chain(skips).cloned().collect()
    }

    /// The decoder, where `header` is the first line of the input; none where that does not name the fields.
    pub(super) fn decoder(self, header: Option<&str>) -> Made {
        let names = match (&self.settings.read, header) {
            (Read::Csv { separator, columns: None }, Some(line)) => {
                Some(split(line.trim_end(), *separator)?.into_iter().map(|name| name.trim().to_owned()).collect())
            }
            (Read::Csv { columns: None, .. }, None) => Some(self.fields()),
            _ => self.known_names(),
        };
        let place = |name: &str| -> Option<Field> {
            let place = match &names {
                Some(names) => Some(names.iter().position(|known: &String| known == name)?),
                None => None,
            };
            Some(Field { name: name.to_owned(), place })
        };
        let bindings = self
            .targets
            .iter()
            .map(|(target, field)| Some(Binding { target: *target, field: place(field)? }))
            .collect::<Option<Vec<_>>>()?;
        let judges = Judge {
            verdict: judged(self.settings.verdict.as_ref(), &place, verdict)?,
            result: judged(self.settings.result.as_ref(), &place, result)?,
            skips: self
                .settings
                .skip
                .iter()
                .map(|Skip { field, values }| Some(Skipped { field: place(field)?, values: values.clone() }))
                .collect::<Option<_>>()?,
            mapped: self.targets.iter().map(|(_, field)| field.clone()).collect(),
        };
        let reader = match (&self.settings.read, names, &self.regex) {
            (Read::Json, ..) => Reader::Json,
            (Read::Pairs, ..) => Reader::Pairs,
            (Read::Csv { separator, .. }, Some(names), _) => Reader::Csv { separator: *separator, names },
            (_, Some(names), Some(regex)) => Reader::Regex { regex: regex.clone(), names },
            _ => return None,
        };
        let records = if matches!(reader, Reader::Json) { Records::JsonObjects } else { Records::Lines };
        let constants = self.constants.clone();
        Some((Arc::new(Mapped { plan: self, reader, bindings, judges, constants }), records))
    }
}

fn judged<W: Copy, T>(
    words: Option<&Words<W>>,
    place: &impl Fn(&str) -> Option<Field>,
    of: fn(W) -> T,
) -> Option<Option<Judged<T>>> {
    let Some(words) = words else { return Some(None) };
    let values = words.values.iter().map(|(word, stands_for)| (word.clone(), of(*stands_for))).collect();
    Some(Some(Judged { field: place(&words.field)?, values, default: words.default.map(of) }))
}

const fn verdict(word: VerdictWord) -> Verdict {
    match word {
        VerdictWord::Allowed => Verdict::Allowed,
        VerdictWord::Denied => Verdict::Denied,
        VerdictWord::Audited => Verdict::Audited,
    }
}

const fn result(word: ResultWord) -> ConnectionResult {
    match word {
        ResultWord::Established => ConnectionResult::Established,
        ResultWord::Refused => ConnectionResult::Refused,
        ResultWord::Timeout => ConnectionResult::Timeout,
        ResultWord::Reset => ConnectionResult::Reset,
        ResultWord::Error => ConnectionResult::Error,
    }
}

/// The expression of a mapping by lines, where it is one.
fn expression(read: &Read, faults: &mut Vec<String>) -> Option<Regex> {
    let expression = match read {
        Read::Regex { regex } => Ok(regex.clone()),
        Read::Pattern { pattern } => pattern::regex(pattern),
        Read::Csv { separator, .. } if !separator.is_ascii() || *separator == '"' || *separator == '\n' => {
            Err("`separator` is one ASCII character, and no quote".to_owned())
        }
        _ => return None,
    };
    let compiled = expression.and_then(|expression| {
        regex::RegexBuilder::new(&expression)
            .size_limit(REGEX_BYTES_MAX)
            .build()
            .map_err(|error| error.to_string().replace('\n', " "))
    });
    match compiled {
        Ok(regex) if regex.capture_names().flatten().next().is_none() => {
            faults.push("read: the expression has no named group such as (?P<client>…)".to_owned());
            None
        }
        Ok(regex) => Some(regex),
        Err(fault) => {
            faults.push(format!("read: {fault}"));
            None
        }
    }
}

/// The name as a word that lives on. Mappings come from an operator's files, so that there are few.
fn name_of(name: &str, faults: &mut Vec<String>) -> &'static str {
    static NAMES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let is_word = !name.is_empty()
        && name.len() <= 32
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_word {
        faults.push(format!("name: `{name}`: use 1 to 32 lower-case letters, digits and `_`"));
        return super::NAME;
    }
    if registry::FAMILIES.iter().any(|family| family.name == name) || name == "auto" {
        faults.push(format!("name: `{name}` is a format already"));
        return super::NAME;
    }
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.iter().find(|known| **known == name) {
        return known;
    }
    if names.len() >= NAMES_MAX {
        faults.push(format!("name: there are {NAMES_MAX} mappings already"));
        return super::NAME;
    }
    let leaked: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.push(leaked);
    leaked
}
