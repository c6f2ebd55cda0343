//! Reads one policy document: keys, types and values, each fault with its place.
//!
//! What needs all documents together (names, groups, subjects) is checked by `compile`.

mod selector;

use crate::diagnostic::{Diagnostic, Diagnostics, Lines, PolicyError};
use crate::document::{Action, Direction, Document, FORMAT_VERSION, Group, KINDS, Peer, Policy, Rule};
use crate::node::{Node, Value, parse_toml, parse_yaml};
use crate::pattern::Pattern;
use crate::port::{PortSelector, has_ports, protocol_number};
use crate::reader::{Fields, Path, Reader};
use std::collections::BTreeMap;
use tradewind_model::entity::EntityKind;
use tradewind_model::protocol;

/// The largest document, in bytes. It holds about 100,000 rules.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest name of a policy, rule or group, in bytes.
pub const NAME_BYTES_MAX: usize = 100;

/// In which syntax a document is written. Both say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// TOML 1.1.
    Toml,
    /// YAML 1.2.
    Yaml,
}

impl Syntax {
    /// Told by the end of a file's name: `.toml`, `.yaml`, `.yml`.
    #[must_use]
    pub fn of(file_name: &str) -> Option<Self> {
        match file_name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// Reads a document. `source` is the name of its file, for messages.
///
/// # Errors
/// Every fault found in it.
pub fn parse(source: &str, text: &str, syntax: Syntax) -> Result<Document, PolicyError> {
    let mut faults = Diagnostics::default();
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!(
            "the document has {} MiB, more than the {} MiB that are read (about 100,000 rules); split it, and use groups \
             and patterns instead of one rule a pair",
            text.len() / (1024 * 1024),
            DOCUMENT_BYTES_MAX / (1024 * 1024)
        );
        faults.push(Diagnostic { source: source.into(), position: None, path: String::new(), message });
        return Err(PolicyError(faults));
    }
    let lines = Lines::new(text);
    let mut reader = Reader { source: source.into(), lines, faults, warnings: Diagnostics::default() };
    let tree = match syntax {
        Syntax::Toml => parse_toml(text),
        Syntax::Yaml => parse_yaml(text),
    };
    let document = match tree {
        Ok(root) => document(&mut reader, &root),
        Err(syntax_faults) => {
            for fault in syntax_faults {
                reader.fault(fault.at, Path::Root, fault.message);
            }
            None
        }
    };
    match document {
        Some(document) if reader.faults.is_empty() => Ok(Document { warnings: reader.warnings, ..document }),
        _ => {
            reader.faults.sort();
            Err(PolicyError(reader.faults))
        }
    }
}

fn document(reader: &mut Reader<'_>, root: &Node<'_>) -> Option<Document> {
    let fields = reader.table(root, Path::Root, &["version", "defaults", "policy", "group"])?;
    match fields.get("version").map(|node| (&node.value, node.at)) {
        Some((Value::Integer(FORMAT_VERSION), _)) => {}
        None => reader.fault(root.at, Path::Root.key("version"), "missing; begin the document with `version = 1`"),
        Some((Value::Integer(other), at)) => {
            reader.fault(at, Path::Root.key("version"), format!("format {other} is not known; write 1"));
        }
        Some((_, at)) => reader.fault(at, Path::Root.key("version"), "the format's version is a number: 1"),
    }
    let defaults = fields.get("defaults").map_or_else(BTreeMap::new, |node| defaults(reader, node));
    let mut policies = Vec::new();
    if let Some(node) = fields.get("policy") {
        let path = Path::Root.key("policy");
        for (index, node) in reader.list(node, path).iter().enumerate() {
            policies.extend(policy(reader, node, path.index(index)));
        }
    }
    let mut groups = Vec::new();
    if let Some(node) = fields.get("group") {
        let path = Path::Root.key("group");
        for (index, node) in reader.list(node, path).iter().enumerate() {
            groups.extend(group(reader, node, path.index(index)));
        }
    }
    let (source, warnings) = (reader.source.clone(), Diagnostics::default());
    Some(Document { source, defaults, policies, groups, warnings })
}

fn defaults(reader: &mut Reader<'_>, node: &Node<'_>) -> BTreeMap<usize, (Action, crate::Position)> {
    let path = Path::Root.key("defaults");
    let mut defaults = BTreeMap::new();
    let Some(fields) = reader.table(node, path, &KINDS.map(EntityKind::as_str)) else { return defaults };
    for (index, kind) in KINDS.into_iter().enumerate() {
        let Some(node) = fields.get(kind.as_str()) else { continue };
        let path = path.key(kind.as_str());
        let action = match reader.text(node, path) {
            Some("deny") => Action::Deny,
            Some("allow") if kind != EntityKind::Agent => Action::Allow,
            Some("allow") => {
                reader.fault(node.at, path, "an agent without a policy is always denied; give the agents a policy");
                continue;
            }
            Some(other) => {
                reader.fault(node.at, path, format!("expected \"allow\" or \"deny\", found \"{other}\""));
                continue;
            }
            None => continue,
        };
        defaults.insert(index, (action, reader.position(fields.at(kind.as_str()))));
    }
    defaults
}

fn policy(reader: &mut Reader<'_>, node: &Node<'_>, path: Path<'_>) -> Option<Policy> {
    let fields = reader.table(node, path, &["name", "description", "subject", "direction", "allow"])?;
    let name = name(reader, &fields, path);
    let subject = match fields.get("subject") {
        Some(node) => selector::subject(reader, node, path.key("subject")),
        None => {
            reader.fault(fields.at, path.key("subject"), "missing; say whom the policy is about");
            None
        }
    };
    let direction = direction(reader, &fields, path).unwrap_or(Direction::Both);
    let mut rules: Vec<Rule> = Vec::new();
    if let Some(node) = fields.get("allow") {
        let path = path.key("allow");
        for (index, node) in reader.list(node, path).iter().enumerate() {
            rules.extend(rule(reader, node, path.index(index), index));
        }
    }
    let description = description(reader, &fields, path);
    let position = reader.position(fields.at);
    Some(Policy { name: name?, description, subject: subject?, direction, rules, position })
}

fn rule(reader: &mut Reader<'_>, node: &Node<'_>, path: Path<'_>, index: usize) -> Option<Rule> {
    const KEYS: [&str; 11] = [
        "name",
        "description",
        "to",
        "from",
        "peers",
        "direction",
        "ports",
        "protocols",
        "operations",
        "resources",
        "require_mtls",
    ];
    let fields = reader.table(node, path, &KEYS)?;
    let name = match fields.get("name") {
        Some(_) => name(reader, &fields, path),
        None => Some(format!("allow-{}", index + 1)),
    };
    let (direction, peers) = peers(reader, &fields, path)?;
    let ports = ports(reader, &fields, path);
    let operations = patterns(reader, &fields, path, "operations");
    let resources = patterns(reader, &fields, path, "resources");
    let require_mtls = fields.get("require_mtls").and_then(|node| reader.bool(node, path.key("require_mtls")));
    let description = description(reader, &fields, path);
    Some(Rule {
        name: name?,
        description,
        direction,
        peers,
        ports,
        operations,
        resources,
        require_mtls: require_mtls.unwrap_or(false),
        position: reader.position(fields.at),
    })
}

fn peers(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, path: Path<'_>) -> Option<(Direction, Vec<Peer>)> {
    let mut given = ["to", "from", "peers"].into_iter().filter(|key| fields.get(key).is_some());
    let Some(key) = given.next() else {
        let message = "the rule is empty: it names no peer; write `to`, `from` or `peers` (\"*\" for anyone)";
        reader.fault(fields.at, path, message);
        return None;
    };
    if let Some(other) = given.next() {
        let message = format!("`{key}` is given too; write one of `to`, `from` and `peers`, or two rules");
        reader.fault(fields.at(other), path.key(other), message);
        return None;
    }
    let said = direction(reader, fields, path);
    let direction = match (key, said) {
        ("peers", None) if fields.get("direction").is_none() => Direction::Both,
        ("peers", said) => said?,
        (key, _) if fields.get("direction").is_some() => {
            let message = format!("`{key}` says the direction already; write `peers` with `direction`");
            reader.fault(fields.at("direction"), path.key("direction"), message);
            return None;
        }
        ("to", _) => Direction::Initiate,
        _ => Direction::Receive,
    };
    let path = path.key(key);
    let node = fields.get(key)?;
    let list = reader.list(node, path);
    if list.is_empty() && matches!(node.value, Value::List(_)) {
        reader.fault(node.at, path, "an empty list allows nobody; leave the rule out, or write [\"*\"] for anyone");
    }
    let peers = list.iter().enumerate().filter_map(|(index, node)| selector::peer(reader, node, path.index(index)));
    Some((direction, peers.collect()))
}

fn ports(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, path: Path<'_>) -> Vec<PortSelector> {
    let mut protocols = Vec::new();
    let list = path.key("protocols");
    for (index, node) in filled_list(reader, fields, path, "protocols").iter().enumerate() {
        let path = list.index(index);
        match reader.text(node, path).map(protocol_number) {
            Some(Ok(number)) => protocols.push(number),
            Some(Err(message)) => reader.fault(node.at, path, message),
            None => {}
        }
    }
    let list = path.key("ports");
    let mut selectors = Vec::new();
    for (index, node) in filled_list(reader, fields, path, "ports").iter().enumerate() {
        let path = list.index(index);
        let selector = match &node.value {
            Value::Text(text) => PortSelector::parse(text),
            Value::Integer(number) => PortSelector::parse(&number.to_string()),
            other => Err(format!("expected a port, found {}", other.type_name())),
        };
        match selector {
            Err(message) => reader.fault(node.at, path, message),
            Ok(selector) => match restrict(selector, &protocols) {
                Err(message) => reader.fault(node.at, path, message),
                Ok(found) => selectors.extend(found),
            },
        }
    }
    if fields.get("ports").is_none() {
        selectors.extend(protocols.iter().map(|protocol| PortSelector { protocol: Some(*protocol), ports: None }));
    }
    selectors.sort_unstable();
    selectors.dedup();
    selectors
}

/// The selector under each of the rule's protocols.
fn restrict(selector: PortSelector, protocols: &[u8]) -> Result<Vec<PortSelector>, String> {
    match selector.protocol {
        _ if protocols.is_empty() => Ok(vec![selector]),
        Some(protocol) if protocols.contains(&protocol) => Ok(vec![selector]),
        Some(_) => Err(format!("`{selector}` is of another protocol than the rule's `protocols`")),
        None => match protocols.iter().find(|protocol| !has_ports(**protocol)) {
            Some(protocol) => {
                let name = protocol::name(i64::from(*protocol)).unwrap_or("a protocol");
                Err(format!("{name} among `protocols` has no ports; write a rule of its own for it"))
            }
            None => {
                Ok(protocols.iter().map(|protocol| PortSelector { protocol: Some(*protocol), ..selector }).collect())
            }
        },
    }
}

fn patterns(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, path: Path<'_>, key: &str) -> Vec<Pattern> {
    let has_parts = key == "resources";
    let list = path.key(key);
    let mut patterns = Vec::new();
    for (index, node) in filled_list(reader, fields, path, key).iter().enumerate() {
        let path = list.index(index);
        let Some(text) = reader.text(node, path) else { continue };
        // Operations are compared without regard to case: "get" that never matches GET would help nobody.
        let text = if has_parts { text.to_owned() } else { text.to_ascii_lowercase() };
        match Pattern::new(&text, has_parts) {
            Ok(pattern) => patterns.push(pattern),
            Err(message) => reader.fault(node.at, path, message),
        }
    }
    patterns
}

/// A list that is absent or has an item.
fn filled_list<'n, 't>(reader: &mut Reader<'_>, fields: &Fields<'n, 't>, path: Path<'_>, key: &str) -> &'n [Node<'t>] {
    let Some(node) = fields.get(key) else { return &[] };
    let list = reader.list(node, path.key(key));
    if list.is_empty() && matches!(node.value, Value::List(_)) {
        reader.fault(node.at, path.key(key), format!("an empty list; leave `{key}` out to allow all"));
    }
    list
}

fn group(reader: &mut Reader<'_>, node: &Node<'_>, path: Path<'_>) -> Option<Group> {
    let fields = reader.table(node, path, &["name", "description", "members"])?;
    let name = name(reader, &fields, path);
    let path_members = path.key("members");
    let members = match fields.get("members") {
        Some(node) => {
            let list = reader.list(node, path_members);
            if list.is_empty() && matches!(node.value, Value::List(_)) {
                reader.fault(node.at, path_members, "the group is empty");
            }
            let peers = list
                .iter()
                .enumerate()
                .filter_map(|(index, node)| selector::peer(reader, node, path_members.index(index)));
            peers.collect()
        }
        None => {
            reader.fault(fields.at, path_members, "missing; say who belongs to the group");
            Vec::new()
        }
    };
    let description = description(reader, &fields, path);
    Some(Group { name: name?, description, members, position: reader.position(fields.at) })
}

fn direction(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, path: Path<'_>) -> Option<Direction> {
    let node = fields.get("direction")?;
    let path = path.key("direction");
    match reader.text(node, path)? {
        "initiate" => Some(Direction::Initiate),
        "receive" => Some(Direction::Receive),
        "both" => Some(Direction::Both),
        other => {
            reader.fault(node.at, path, format!("expected \"initiate\", \"receive\" or \"both\", found \"{other}\""));
            None
        }
    }
}

fn description(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, path: Path<'_>) -> Option<String> {
    let node = fields.get("description")?;
    reader.text(node, path.key("description")).map(str::to_owned)
}

fn name(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, path: Path<'_>) -> Option<String> {
    let path = path.key("name");
    let Some(node) = fields.get("name") else {
        reader.fault(fields.at, path, "missing");
        return None;
    };
    let text = reader.text(node, path)?;
    let is_first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_name = text.as_bytes().first().is_some_and(is_first)
        && text.bytes().all(|byte| is_first(&byte) || b"-_.".contains(&byte));
    let message = if text.len() > NAME_BYTES_MAX {
        format!("the name has {} bytes, more than {NAME_BYTES_MAX}", text.len())
    } else if !is_name {
        format!("\"{text}\" is no name: a name has a-z, 0-9, `-`, `_` and `.`, and begins with a letter or digit")
    } else if text == "default" {
        "\"default\" stands for what holds without a policy; take another name".to_owned()
    } else {
        return Some(text.to_owned());
    };
    reader.fault(node.at, path, message);
    None
}
