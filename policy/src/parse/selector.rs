//! Subjects and peers: by name, glob, kind, namespace, labels, address range or group.

use crate::document::{CidrSelector, EntitySelector, KINDS, Peer};
use crate::node::{Node, Value};
use crate::pattern::Pattern;
use crate::reader::{Fields, Path, Reader, nearest};
use ipnet::IpNet;
use std::net::IpAddr;
use tradewind_model::entity::EntityKind;

/// The most ranges in `except`.
const EXCEPTIONS_MAX: usize = 100;

/// Whom a policy is about: entities or a group of them.
pub(super) fn subject(reader: &mut Reader<'_>, node: &Node<'_>, path: Path<'_>) -> Option<Peer> {
    let subject = peer(reader, node, path)?;
    if matches!(subject, Peer::Cidr(_)) {
        reader.fault(node.at, path, "a subject is an entity; `cidr` is for peers");
        return None;
    }
    Some(subject)
}

/// Whom a rule allows: a name as text, or a table.
pub(super) fn peer(reader: &mut Reader<'_>, node: &Node<'_>, path: Path<'_>) -> Option<Peer> {
    if let Value::Text(name) = &node.value {
        let mut selector = EntitySelector::default();
        return match set_name(&mut selector, name) {
            Ok(()) => Some(Peer::Entity(Box::new(selector))),
            Err(message) => {
                reader.fault(node.at, path, message);
                None
            }
        };
    }
    if !matches!(node.value, Value::Table(_)) {
        let message =
            format!("expected a name or a table such as {{ kind = \"agent\" }}, found {}", node.value.type_name());
        reader.fault(node.at, path, message);
        return None;
    }
    let keys = ["name", "glob", "kind", "namespace", "labels", "cidr", "except", "group"];
    let fields = reader.table(node, path, &keys)?;
    for alone in ["group", "cidr"] {
        let is_other = |key: &&str| *key != alone && !(alone == "cidr" && *key == "except");
        let other = keys.into_iter().filter(is_other).find(|key| fields.get(key).is_some());
        if let (Some(_), Some(other)) = (fields.get(alone), other) {
            reader.fault(fields.at(other), path.key(other), format!("`{alone}` stands alone; take `{other}` out"));
            return None;
        }
    }
    if let Some(group) = fields.get("group") {
        let name = reader.text(group, path.key("group"))?;
        return Some(Peer::Group(name.to_owned(), reader.position(group.at)));
    }
    if fields.get("cidr").is_some() || fields.get("except").is_some() {
        return cidr(reader, &fields, path).map(Peer::Cidr);
    }
    entity(reader, &fields, path).map(|selector| Peer::Entity(Box::new(selector)))
}

fn entity(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, path: Path<'_>) -> Option<EntitySelector> {
    let mut selector = EntitySelector::default();
    let mut is_good = true;
    let mut set = |reader: &mut Reader<'_>, key: &str, set: &mut dyn FnMut(&str) -> Result<(), String>| {
        let Some(node) = fields.get(key) else { return };
        let path = path.key(key);
        match reader.text(node, path).map(set) {
            Some(Ok(())) => {}
            Some(Err(message)) => {
                reader.fault(node.at, path, message);
                is_good = false;
            }
            None => is_good = false,
        }
    };
    set(reader, "name", &mut |text| set_name(&mut selector, text));
    set(reader, "namespace", &mut |text| narrow(&mut selector.namespace, text, "namespace"));
    set(reader, "kind", &mut |text| narrow(&mut selector.kind, text, "kind"));
    set(reader, "glob", &mut |text| {
        selector.glob = Pattern::new(text, true)?;
        Ok(())
    });
    if let Some(node) = fields.get("labels") {
        let path = path.key("labels");
        for entry in reader.entries(node, path) {
            let path = path.key(&entry.key);
            match reader.text(&entry.node, path).map(|text| Pattern::new(text, false)) {
                Some(Ok(pattern)) => {
                    selector.labels.insert(entry.key.clone().into_owned(), pattern);
                }
                Some(Err(message)) => reader.fault(entry.node.at, path, message),
                None => {}
            }
        }
    }
    if is_good
        && ["name", "glob", "kind", "namespace"].iter().all(|key| fields.get(key).is_none())
        && selector.labels.is_empty()
    {
        reader.fault(fields.at, path, "selects nothing in particular; write \"*\" for anyone");
        is_good = false;
    }
    warn_unknown_kind(reader, fields, path, &selector);
    is_good.then_some(selector)
}

/// A kind that is not known is no fault, since kinds may be added; but as yet nothing has it.
fn warn_unknown_kind(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, path: Path<'_>, selector: &EntitySelector) {
    let Some(kind) = selector.kind.literal() else { return };
    let kinds = KINDS.map(EntityKind::as_str);
    if kinds.contains(&kind) {
        return;
    }
    let hint = nearest(kind, &kinds)
        .map_or_else(|| format!("known are {}", kinds.join(", ")), |near| format!("did you mean \"{near}\"?"));
    let key = if fields.get("kind").is_some() { "kind" } else { "name" };
    reader.warn(fields.at(key), path.key(key), format!("no entity has the kind \"{kind}\"; {hint}"));
}

/// `name`, `namespace/name` or `network/namespace/kind/name`.
fn set_name(selector: &mut EntitySelector, text: &str) -> Result<(), String> {
    if text.parse::<IpNet>().is_ok() || text.parse::<IpAddr>().is_ok() {
        return Err(format!("\"{text}\" is an address; write {{ cidr = \"{text}\" }}"));
    }
    if text.contains('.') && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'/')) {
        return Err(format!("\"{text}\" is no address and no network; name an entity, or write {{ cidr = … }}"));
    }
    let part = |text: &str| {
        if text.is_empty() {
            Err("a part of the name is empty; write `*` for any".to_owned())
        } else {
            Pattern::new(text, false)
        }
    };
    match *text.split('/').collect::<Vec<_>>() {
        [name] => selector.name = part(name)?,
        [namespace, name] => (selector.namespace, selector.name) = (part(namespace)?, part(name)?),
        [network, namespace, kind, name] => {
            (selector.network, selector.namespace) = (part(network)?, part(namespace)?);
            (selector.kind, selector.name) = (part(kind)?, part(name)?);
        }
        ref parts => {
            let count = parts.len();
            return Err(format!(
                "a name has one part (name), two (namespace/name) or four (network/namespace/kind/name), not {count}"
            ));
        }
    }
    Ok(())
}

/// Sets a part that the name left open.
fn narrow(part: &mut Pattern, text: &str, key: &str) -> Result<(), String> {
    if !part.is_any() {
        return Err(format!("the name says the {key} already"));
    }
    *part = if key == "kind" { Pattern::exact(text) } else { Pattern::new(text, false)? };
    Ok(())
}

fn cidr(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, path: Path<'_>) -> Option<CidrSelector> {
    let Some(node) = fields.get("cidr") else {
        reader.fault(fields.at("except"), path.key("except"), "stands only beside `cidr`");
        return None;
    };
    let network = range(reader, node, path.key("cidr"))?;
    let mut except = Vec::new();
    if let Some(node) = fields.get("except") {
        let path = path.key("except");
        let list = reader.list(node, path);
        if list.len() > EXCEPTIONS_MAX {
            reader.fault(node.at, path, format!("{} ranges, more than {EXCEPTIONS_MAX}", list.len()));
            return None;
        }
        for (index, node) in list.iter().enumerate() {
            let path = path.index(index);
            let Some(inner) = range(reader, node, path) else { continue };
            if inner == network {
                reader.fault(node.at, path, "takes out all that `cidr` lets in");
            } else if network.contains(&inner) {
                except.push(inner);
            } else {
                reader.fault(node.at, path, format!("{inner} does not lie in {network}"));
            }
        }
    }
    except.sort_unstable();
    except.dedup();
    Some(CidrSelector { network, except })
}

fn range(reader: &mut Reader<'_>, node: &Node<'_>, path: Path<'_>) -> Option<IpNet> {
    let text = reader.text(node, path)?;
    match text.parse::<IpNet>().or_else(|error| text.parse::<IpAddr>().map(IpNet::from).map_err(|_| error)) {
        Ok(network) if network.trunc() == network => Some(network),
        Ok(network) => {
            reader.fault(node.at, path, format!("`{text}` has bits beside the prefix; write {}", network.trunc()));
            None
        }
        Err(_) => {
            reader.fault(node.at, path, format!("`{text}` is no address range; write 203.0.113.0/24 or 2001:db8::/32"));
            None
        }
    }
}
