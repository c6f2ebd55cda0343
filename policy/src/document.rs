//! A policy document as it was written: subjects, rules, groups and defaults, checked one by one but not yet joined.
//!
//! It knows no file syntax (see `parse`) and answers no question about flows (see [`crate::PolicySet`]).

use crate::diagnostic::{Diagnostics, Position};
use crate::pattern::Pattern;
use crate::port::PortSelector;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::sync::Arc;
use tradewind_model::entity::EntityKind;

/// Version of the document format that this program reads.
pub const FORMAT_VERSION: i64 = 1;

/// One document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Name of the file, for messages.
    pub source: Arc<str>,
    /// What holds for ends without a policy, as far as this document says.
    pub defaults: BTreeMap<usize, (Action, Position)>,
    /// Policies in the order written.
    pub policies: Vec<Policy>,
    /// Groups in the order written.
    pub groups: Vec<Group>,
    /// What is doubtful in it.
    pub warnings: Diagnostics,
}

/// What becomes of a flow at an end without a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is allowed, as far as this end is concerned.
    Allow,
    /// It is denied.
    Deny,
}

/// Which end of a flow the subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The subject opens the connection.
    Initiate,
    /// The subject is contacted.
    Receive,
    /// Either.
    Both,
}

impl Direction {
    /// The word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initiate => "initiate",
            Self::Receive => "receive",
            Self::Both => "both",
        }
    }

    /// Whether it takes in the other.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self == Self::Both || self == other
    }
}

/// What one kind of subject may do.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name, unlike that of any other policy.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Whom it is about.
    pub subject: Peer,
    /// Which of the subject's connections it governs. In the other direction the subject counts as without this policy.
    pub direction: Direction,
    /// What is allowed.
    pub rules: Vec<Rule>,
    /// Where it begins.
    pub position: Position,
}

/// One permission.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name within the policy.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Which end the subject is.
    pub direction: Direction,
    /// The other end: any of these.
    pub peers: Vec<Peer>,
    /// Any of these; empty for all.
    pub ports: Vec<PortSelector>,
    /// Any of these, lower case; empty for all.
    pub operations: Vec<Pattern>,
    /// Any of these; empty for all.
    pub resources: Vec<Pattern>,
    /// Whether the connection must be mutually authenticated TLS.
    pub require_mtls: bool,
    /// Where it begins.
    pub position: Position,
}

impl Rule {
    /// The key under which its peers stand.
    #[must_use]
    pub fn peers_key(&self) -> &'static str {
        match self.direction {
            Direction::Initiate => "to",
            Direction::Receive => "from",
            Direction::Both => "peers",
        }
    }
}

/// Peers with a name, to be used in many rules.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name, unlike that of any other group.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Any of these.
    pub members: Vec<Peer>,
    /// Where it begins.
    pub position: Position,
}

/// Whom a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Entities.
    Entity(Box<EntitySelector>),
    /// Addresses outside, and inside ones that nothing explains.
    Cidr(CidrSelector),
    /// A group by name, and where the name stands.
    Group(String, Position),
}

/// Entities whose every part matches. Parts are those of the entity id, `network/namespace/kind/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntitySelector {
    /// Address space.
    pub network: Pattern,
    /// Namespace; `-` for none.
    pub namespace: Pattern,
    /// Kind.
    pub kind: Pattern,
    /// Name in the namespace.
    pub name: Pattern,
    /// The whole id.
    pub glob: Pattern,
    /// Labels that the entity must have.
    pub labels: BTreeMap<String, Pattern>,
}

impl Default for EntitySelector {
    fn default() -> Self {
        let any = Pattern::any;
        Self { network: any(), namespace: any(), kind: any(), name: any(), glob: any(), labels: BTreeMap::new() }
    }
}

/// An address range.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CidrSelector {
    /// The range.
    pub network: IpNet,
    /// Ranges within it that are not meant.
    pub except: Vec<IpNet>,
}

/// Every kind, in the order of [`kind_index`].
pub const KINDS: [EntityKind; 5] =
    [EntityKind::Service, EntityKind::Agent, EntityKind::Host, EntityKind::External, EntityKind::Unknown];

/// The place of a kind in [`KINDS`].
#[must_use]
pub const fn kind_index(kind: EntityKind) -> usize {
    match kind {
        EntityKind::Service => 0,
        EntityKind::Agent => 1,
        EntityKind::Host => 2,
        EntityKind::External => 3,
        EntityKind::Unknown => 4,
    }
}
