//! What is wrong with documents, word for word.

use tradewind_policy::{EntityLabels, Syntax, load};

fn check_toml(text: &str, expected: &[&str]) {
    check(&[("p.toml", text, Syntax::Toml)], expected);
}

fn check(files: &[(&str, &str, Syntax)], expected: &[&str]) {
    let found = match load(files, EntityLabels::default()) {
        Ok(compiled) => compiled.warnings.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn faults_name_file_line_column_and_key_and_come_all_at_once() {
    check_toml(
        r#"version = 1
colour = "red"
[defaults]
agent = "allow"
service = "maybe"
[[policy]]
name = "Bot"
subject = { kind = "agent", cidr = "10.0.0.0/8" }
[[policy.allow]]
to = ["a/b/c", "10.0.0.1"]
port = [443]
[[policy.allow]]
ports = [443]
[[policy.allow]]
to = []
ports = ["443/icmp", 0, "9-8", true]
operations = []
require_mtls = "yes"
[[policy.deny]]
to = ["*"]
[[group]]
name = "default"
members = [{ cidr = "10.0.0.1/8" }, { cidr = "10.0.0.0/8", except = ["11.0.0.0/8"] }, {}]
"#,
        &[
            "p.toml:2:1: colour: unknown key; known are version, defaults, policy, group",
            "p.toml:4:9: defaults.agent: an agent without a policy is always denied; give the agents a policy",
            "p.toml:5:11: defaults.service: expected \"allow\" or \"deny\", found \"maybe\"",
            "p.toml:7:8: policy[0].name: \"Bot\" is no name: a name has a-z, 0-9, `-`, `_` and `.`, and begins with a \
             letter or digit",
            "p.toml:8:13: policy[0].subject.kind: `cidr` stands alone; take `kind` out",
            "p.toml:10:7: policy[0].allow[0].to[0]: a name has one part (name), two (namespace/name) or four \
             (network/namespace/kind/name), not 3",
            "p.toml:10:16: policy[0].allow[0].to[1]: \"10.0.0.1\" is an address; write { cidr = \"10.0.0.1\" }",
            "p.toml:11:1: policy[0].allow[0].port: unknown key; did you mean `ports`?",
            "p.toml:12:1: policy[0].allow[1]: the rule is empty: it names no peer; write `to`, `from` or `peers` (\"*\" \
             for anyone)",
            "p.toml:15:6: policy[0].allow[2].to: an empty list allows nobody; leave the rule out, or write [\"*\"] for \
             anyone",
            "p.toml:16:10: policy[0].allow[2].ports[0]: `443/icmp`: icmp has no ports; write \"icmp\" alone",
            "p.toml:16:22: policy[0].allow[2].ports[1]: `0`: ports go from 1 to 65535",
            "p.toml:16:25: policy[0].allow[2].ports[2]: the range `9-8` ends before it begins",
            "p.toml:16:32: policy[0].allow[2].ports[3]: expected a port, found true or false",
            "p.toml:17:14: policy[0].allow[2].operations: an empty list; leave `operations` out to allow all",
            "p.toml:18:16: policy[0].allow[2].require_mtls: expected true or false, found a text",
            "p.toml:19:10: policy[0].deny: unknown key; what no rule allows is denied, so there are no rules that deny",
            "p.toml:22:8: group[0].name: \"default\" stands for what holds without a policy; take another name",
            "p.toml:23:21: group[0].members[0].cidr: `10.0.0.1/8` has bits beside the prefix; write 10.0.0.0/8",
            "p.toml:23:70: group[0].members[1].except[0]: 11.0.0.0/8 does not lie in 10.0.0.0/8",
            "p.toml:23:87: group[0].members[2]: selects nothing in particular; write \"*\" for anyone",
        ],
    );
}

#[test]
fn syntax_faults_have_places_too() {
    check_toml("version = 1\n[[policy]\n", &["p.toml:2:10: unclosed array table, expected `]`"]);
    check_toml("version = 1\nversion = 1\n", &["p.toml:2:1: duplicate key"]);
    check_toml("", &["p.toml:1:1: version: missing; begin the document with `version = 1`"]);
    check_toml("version = 2", &["p.toml:1:11: version: format 2 is not known; write 1"]);
    let yaml = |text: &str, expected: &str| check(&[("p.yaml", text, Syntax::Yaml)], &[expected]);
    yaml("version: 1\nversion: 1\n", "p.yaml:2:1: key `version` stands here twice");
    yaml("version: 1\n---\nversion: 1\n", "p.yaml:2:1: a second document begins here; write one document a file");
    yaml("version: 1\npolicy: !x []\n", "p.yaml:2:12: tags are not read here");
    yaml("version: 1\npolicy: [\n", "p.yaml:2:9: unclosed bracket '['");
    yaml("version: 1\npolicy:\n", "p.yaml:2:7: policy: expected a list, found nothing");
    yaml(
        "version: 1\npolicy:\n  - name: 7\n    subject: a\n",
        "p.yaml:3:11: policy[0].name: expected a text, found a number",
    );
    yaml("", "p.yaml:1:1: the document is empty");
    yaml("- 1\n", "p.yaml:1:1: expected a table, found a list");
}

#[test]
fn groups_must_exist_and_not_run_in_a_circle() {
    check_toml(
        r#"version = 1
[[group]]
name = "a"
members = ["x", { group = "b" }]
[[group]]
name = "b"
members = [{ group = "c" }]
[[group]]
name = "c"
members = [{ group = "a" }, { group = "bb" }]
[[group]]
name = "nets"
members = [{ cidr = "10.0.0.0/8" }]
[[policy]]
name = "p"
subject = { group = "nets" }
[[policy.allow]]
from = ["x", { group = "d" }]
"#,
        &[
            "p.toml:10:22: group[2].members: groups include one another in a circle: a -> b -> c -> a",
            "p.toml:10:39: group[2].members[1].group: there is no group \"bb\"; did you mean \"b\"?",
            "p.toml:16:21: policy[0].subject.group: group \"nets\" holds address ranges; a subject is an entity",
            "p.toml:18:24: policy[0].allow[0].from[1].group: there is no group \"d\"; did you mean \"a\"?",
        ],
    );
}

#[test]
fn names_and_subjects_are_given_once_over_all_files() {
    let one = "version = 1\ndefaults.host = \"deny\"\n[[policy]]\nname = \"a\"\nsubject = \"x\"\nallow = [{ to = [\"*\"], name = \
               \"r\" }, { to = [\"y\"], name = \"r\" }]\n";
    let two = "version: 1\ndefaults: { host: allow }\npolicy:\n- { name: a, subject: y, allow: [{ to: ['*'] }] }\n- { name: b, \
               subject: { name: x }, allow: [{ to: ['*'] }] }\n";
    check(
        &[("one.toml", one, Syntax::Toml), ("two.yaml", two, Syntax::Yaml)],
        &[
            "one.toml:6:38: policy[0].allow[1].name: one.toml:6 has a rule \"r\" already",
            "two.yaml:2:13: defaults.host: one.toml:2 says otherwise",
            "two.yaml:4:3: policy[0].name: one.toml:3 has a policy \"a\" already",
            "two.yaml:5:3: policy[1].subject: policy \"a\" (one.toml:3) has the same subject; write their rules in one policy",
        ],
    );
}

#[test]
fn doubtful_rules_are_warned_of() {
    check_toml(
        r#"version = 1
[[policy]]
name = "a"
subject = { kind = "agnet" }
direction = "initiate"
[[policy.allow]]
name = "wide"
to = ["shop/*"]
ports = ["1-1000/tcp"]
[[policy.allow]]
name = "narrow"
to = ["shop/cart"]
ports = ["443/tcp"]
[[policy.allow]]
name = "other-port"
to = ["shop/cart"]
ports = ["443/udp"]
[[policy.allow]]
name = "same"
to = ["shop/cart"]
ports = ["443/udp"]
require_mtls = true
[[policy.allow]]
name = "turned"
from = ["shop/cart"]
[[policy.allow]]
name = "dead"
to = [{ kind = "gadget" }, { glob = "shop/cart" }]
[[policy]]
name = "empty"
subject = "x"
"#,
        &[
            "p.toml:2:1: policy[0].subject: the policy is about nobody: no entity has the kind \"agnet\"",
            "p.toml:4:13: policy[0].subject.kind: no entity has the kind \"agnet\"; did you mean \"agent\"?",
            "p.toml:10:1: policy[0].allow[1]: the rule is hidden: rule \"wide\" (p.toml:6) allows all that it allows",
            "p.toml:18:1: policy[0].allow[3]: the rule is hidden: rule \"other-port\" (p.toml:14) allows all that it allows",
            "p.toml:23:1: policy[0].allow[4]: the rule can never match: the policy governs `initiate` only, the rule \
             `receive`",
            "p.toml:26:1: policy[0].allow[5]: the rule can never match: no entity has the kind \"gadget\"; `glob` speaks of \
             whole ids such as */shop/service/cart; for \"shop/cart\" write `name`",
            "p.toml:28:9: policy[0].allow[5].to[0].kind: no entity has the kind \"gadget\"; known are service, agent, host, \
             external, unknown",
            "p.toml:29:1: policy[1]: the policy has no rules: all is denied to its subject",
        ],
    );
}

#[test]
fn the_version_is_that_of_the_meaning() {
    let version = |files: &[(&str, &str, Syntax)]| load(files, EntityLabels::default()).unwrap().set.version();
    let toml = "version = 1\n[[policy]]\nname = \"a\"\ndescription = \"x\"\nsubject = \"x\"\n[[policy.allow]]\nto = [\"b\", \"c\"]\n";
    let yaml = "# Another text.\nversion: 1\npolicy: [{ name: a, subject: { name: x }, allow: [{ to: [c, b] }] }]\n";
    let other = "version = 1\n[[policy]]\nname = \"b\"\nsubject = \"y\"\nallow = [{ from = [\"*\"] }]\n";
    let one = version(&[("a.toml", toml, Syntax::Toml)]);
    assert!(one > 0);
    assert_eq!(one, version(&[("b.yaml", yaml, Syntax::Yaml)]));
    let both = [("a", toml, Syntax::Toml), ("b", other, Syntax::Toml)];
    assert_eq!(version(&both), version(&[both[1], both[0]]));
    let changed = toml.replace("\"c\"", "\"d\"");
    for different in [version(&both), version(&[("a.toml", &changed, Syntax::Toml)])] {
        assert_ne!(one, different);
    }
    // A changed number here means that stored versions no longer match their documents.
    assert_eq!(one, 435_412_150_993_814);
}
