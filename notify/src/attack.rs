//! MITRE ATT&CK names of the techniques that findings carry. Not a copy of ATT&CK: what is not here keeps its id alone.
//!
//! Source: <https://attack.mitre.org/techniques/enterprise/> (Enterprise, version 17).

/// A technique with its tactic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Technique<'a> {
    /// Id of the technique, without that of a sub-technique.
    pub(crate) id: &'a str,
    /// Its name, where it is known here.
    pub(crate) name: Option<&'static str>,
    /// Id and name of the sub-technique.
    pub(crate) sub: Option<(&'a str, Option<&'static str>)>,
    /// Id and name of the tactic that a network shows it for.
    pub(crate) tactic: Option<(&'static str, &'static str)>,
}

const DISCOVERY: (&str, &str) = ("TA0007", "Discovery");
const LATERAL_MOVEMENT: (&str, &str) = ("TA0008", "Lateral Movement");
const COLLECTION: (&str, &str) = ("TA0009", "Collection");
const EXFILTRATION: (&str, &str) = ("TA0010", "Exfiltration");
const COMMAND_AND_CONTROL: (&str, &str) = ("TA0011", "Command and Control");
const CREDENTIAL_ACCESS: (&str, &str) = ("TA0006", "Credential Access");
const IMPACT: (&str, &str) = ("TA0040", "Impact");

const TECHNIQUES: &[(&str, &str, (&str, &str))] = &[
    ("T1021", "Remote Services", LATERAL_MOVEMENT),
    ("T1041", "Exfiltration Over C2 Channel", EXFILTRATION),
    ("T1046", "Network Service Discovery", DISCOVERY),
    ("T1048", "Exfiltration Over Alternative Protocol", EXFILTRATION),
    ("T1071", "Application Layer Protocol", COMMAND_AND_CONTROL),
    ("T1213", "Data from Information Repositories", COLLECTION),
    ("T1489", "Service Stop", IMPACT),
    ("T1499", "Endpoint Denial of Service", IMPACT),
    ("T1550", "Use Alternate Authentication Material", LATERAL_MOVEMENT),
    ("T1557", "Adversary-in-the-Middle", CREDENTIAL_ACCESS),
];

const SUB_TECHNIQUES: &[(&str, &str)] = &[
    ("T1021.001", "Remote Desktop Protocol"),
    ("T1021.002", "SMB/Windows Admin Shares"),
    ("T1021.003", "Distributed Component Object Model"),
    ("T1021.004", "SSH"),
    ("T1021.005", "VNC"),
    ("T1021.006", "Windows Remote Management"),
];

/// What an id such as `T1021.004` means. None: it is no id of a technique.
#[must_use]
pub(crate) fn technique(id: &str) -> Option<Technique<'_>> {
    let (main, sub) = id.split_once('.').map_or((id, None), |(main, _)| (main, Some(id)));
    let digits = main.strip_prefix('T')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let known = TECHNIQUES.iter().find(|(known, ..)| *known == main);
    let sub_name = |id| SUB_TECHNIQUES.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
    Some(Technique {
        id: main,
        name: known.map(|(_, name, _)| *name),
        sub: sub.map(|id| (id, sub_name(id))),
        tactic: known.map(|(.., tactic)| *tactic),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_names() {
        let ssh = technique("T1021.004").unwrap();
        assert_eq!((ssh.id, ssh.name, ssh.sub), ("T1021", Some("Remote Services"), Some(("T1021.004", Some("SSH")))));
        assert_eq!(ssh.tactic, Some(LATERAL_MOVEMENT));
        let unknown = technique("T9999").unwrap();
        assert_eq!((unknown.id, unknown.name, unknown.tactic), ("T9999", None, None));
        for text in ["", "T", "TA0001", "x T1021"] {
            assert_eq!(technique(text), None, "{text}");
        }
    }
}
