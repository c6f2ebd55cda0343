//! What flows say of their conversations, as numbers of the shard: so that a flow that is held, and an edge that is
//! remembered, take a few bytes. Judges nothing.

use crate::event::Conversation;
use crate::identity::PRINCIPAL_MAX;
use crate::texts::Texts;
use crate::usage;
use serde::{Deserialize, Serialize};

/// Parts of a credential's text are parted by this.
const PART: char = '\u{1f}';

/// What a flow says, as numbers; zero where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spoken {
    /// What was asked.
    pub(crate) usage: u32,
    /// How it was protected and who proved to be who.
    pub(crate) credential: u32,
    /// What was put into, or taken out of, something shared.
    pub(crate) access: u32,
}

/// Bits of each number in [`Spoken::packed`].
const NUMBER_BITS: u32 = 20;

impl Spoken {
    /// All as one number, zero if the flow says nothing.
    pub(crate) fn packed(self) -> u64 {
        let Self { usage, credential, access } = self;
        [access, credential, usage].iter().fold(0, |packed, &number| packed << NUMBER_BITS | u64::from(number))
    }

    /// Of such a number.
    #[allow(clippy::cast_possible_truncation)] // Each has fewer than 2^20 values.
    pub(crate) const fn of_packed(packed: u64) -> Self {
        const MASK: u64 = (1 << NUMBER_BITS) - 1;
        Self {
            usage: (packed & MASK) as u32,
            credential: (packed >> NUMBER_BITS & MASK) as u32,
            access: (packed >> (2 * NUMBER_BITS)) as u32,
        }
    }
}

/// How a connection was protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// It is not known, or it is not TLS's business.
    Unknown,
    /// Both ends proved who they are.
    Mutual,
    /// The initiator proved nothing.
    OneSided,
    /// Anybody on the way can read it.
    Plain,
}

impl Protection {
    fn of(conversation: &Conversation<'_>) -> Self {
        match (conversation.encryption, conversation.src_verified) {
            (Some("none"), _) => Self::Plain,
            (Some("mtls"), Some(false)) => Self::OneSided,
            (Some("mtls"), _) | (Some("tls"), Some(true)) => Self::Mutual,
            (Some("tls"), _) => Self::OneSided,
            _ => Self::Unknown,
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Unknown => '-',
            Self::Mutual => 'm',
            Self::OneSided => 's',
            Self::Plain => 'p',
        }
    }

    const fn of_letter(letter: u8) -> Self {
        match letter {
            b'm' => Self::Mutual,
            b's' => Self::OneSided,
            b'p' => Self::Plain,
            _ => Self::Unknown,
        }
    }
}

/// What a credential's number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Credential<'a> {
    pub(super) protection: Protection,
    /// Principals that initiator and responder proved.
    pub(super) principals: [Option<&'a str>; 2],
}

/// All that was ever said in a shard.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Speech {
    uses: Texts,
    credentials: Texts,
    #[serde(skip)]
    scratch: String,
}

impl Speech {
    /// Number of what is asked; zero for nothing.
    pub(super) fn usage(&mut self, conversation: &Conversation<'_>) -> u32 {
        usage::write(conversation, &mut self.scratch);
        if usage::shape(&self.scratch) == usage::TRANSPORT { 0 } else { self.uses.number(&self.scratch, usage::OTHERS) }
    }

    /// Number of a transport protocol as a use.
    pub(super) fn transport(&mut self, protocol: u8) -> u32 {
        self.uses.number(&usage::transport(protocol), usage::OTHERS)
    }

    /// Number of a credential; zero where it says nothing, and for all beyond the bound.
    pub(super) fn credential(&mut self, conversation: &Conversation<'_>) -> u32 {
        let protection = Protection::of(conversation);
        let text = &mut self.scratch;
        text.clear();
        text.push(protection.letter());
        let ends = [
            (conversation.src_principal, conversation.src_verified),
            (conversation.dst_principal, conversation.dst_verified),
        ];
        let is_silent = protection == Protection::Unknown && ends.iter().all(|(principal, _)| principal.is_none());
        for (principal, is_verified) in ends {
            text.push(PART);
            // A name that was claimed and not proved is no identity.
            if is_verified != Some(false) {
                text.extend(principal.unwrap_or_default().chars().map(usage::visible).take(PRINCIPAL_MAX));
            }
        }
        if is_silent { 0 } else { self.credentials.number(text, "-") }
    }

    /// The text of a use.
    pub(super) fn use_text(&self, usage: u32) -> &str {
        self.uses.text(usage)
    }

    /// Number of a use that was heard before.
    pub(super) fn find_use(&self, text: &str) -> Option<u32> {
        self.uses.find(text)
    }

    /// The text of a credential: orders credentials whatever their numbers are.
    pub(super) fn credential_text(&self, credential: u32) -> &str {
        self.credentials.text(credential)
    }

    /// What a credential means.
    pub(super) fn credential_of(&self, credential: u32) -> Credential<'_> {
        let mut parts = self.credential_text(credential).split(PART);
        let letter = parts.next().and_then(|part| part.bytes().next()).unwrap_or_default();
        let mut principal = || parts.next().filter(|principal| !principal.is_empty());
        Credential { protection: Protection::of_letter(letter), principals: [principal(), principal()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Protection::{Mutual, OneSided, Plain, Unknown};

    fn check(conversation: Conversation<'_>, protection: Protection, principals: [Option<&str>; 2]) {
        let mut speech = Speech::default();
        let number = speech.credential(&conversation);
        assert_eq!(speech.credential_of(number), Credential { protection, principals }, "{conversation:?}");
        assert_eq!(number == 0, protection == Unknown && principals == [None, None], "{conversation:?}");
    }

    #[test]
    fn what_was_not_proved_is_no_identity() {
        let encrypted = |encryption, src_verified| Conversation {
            encryption: Some(encryption),
            src_verified,
            ..Conversation::default()
        };
        check(Conversation::default(), Unknown, [None, None]);
        check(encrypted("vnet", None), Unknown, [None, None]);
        check(encrypted("none", None), Plain, [None, None]);
        check(encrypted("tls", None), OneSided, [None, None]);
        check(encrypted("tls", Some(true)), Mutual, [None, None]);
        let named = Conversation {
            src_principal: Some("spiffe://a"),
            dst_principal: Some("spiffe://b"),
            ..encrypted("mtls", None)
        };
        check(named, Mutual, [Some("spiffe://a"), Some("spiffe://b")]);
        check(Conversation { src_verified: Some(false), ..named }, OneSided, [None, Some("spiffe://b")]);
    }

    #[test]
    fn all_numbers_fit_into_one() {
        for (usage, credential, access) in [(0, 0, 0), (65_537, 0, 9), (3, 65_537, 0), (1, 2, 65_537)] {
            let spoken = Spoken { usage, credential, access };
            assert_eq!(Spoken::of_packed(spoken.packed()), spoken);
        }
        assert_eq!(Spoken::default().packed(), 0);
    }
}
