//! Conditions on what a flow says of its conversation. They are as wide as the texts they are made of are coarse: a text that
//! was cut or had a number replaced fits whatever it may have been, so that no flow that was told is missed.

use super::literal;
use crate::identity::PRINCIPAL_MAX;
use crate::usage;

/// That one end of the connection proved less than mutual TLS does, as `edges::speech` reads it.
pub(super) const UNPROTECTED: &str =
    "(encryption = 'none' OR (encryption IN ('tls', 'mtls') AND NOT coalesce(src_verified, encryption = 'mtls')))";

/// That a flow has one of these uses; none where one of them may be any.
pub(super) fn of_uses(uses: &[&str]) -> Option<String> {
    let conditions: Vec<String> = uses.iter().map(|text| of_use(text)).collect::<Option<_>>()?;
    (!conditions.is_empty()).then(|| format!("({})", conditions.join(" OR ")))
}

/// That a flow has this use; none where that may be any.
fn of_use(text: &str) -> Option<String> {
    if text == usage::OTHERS {
        return None;
    }
    if usage::shape(text) == usage::TRANSPORT {
        return (0..=u8::MAX)
            .find(|&number| usage::transport(number) == text)
            .map(|number| format!("protocol_num = {number}"));
    }
    let usage::Parts { app_protocol, operation, resource } = usage::parts(text);
    let operation = match usage::is_method(operation) {
        true => Some(format!("upper(trim(operation)) = {}", literal(operation))),
        false => of_text("operation", operation, usage::OPERATION_MAX),
    };
    let conditions = [
        of_text("app_protocol", app_protocol, usage::PROTOCOL_MAX),
        operation,
        (!resource.is_empty()).then(|| format!("resource LIKE {}", literal(&pattern(resource)))),
    ];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    (!conditions.is_empty()).then(|| conditions.join(" AND "))
}

/// That a principal is one of these.
pub(super) fn of_principals(column: &str, principals: &[&str]) -> String {
    let conditions: Vec<String> = principals.iter().filter_map(|text| of_text(column, text, PRINCIPAL_MAX)).collect();
    conditions.join(" OR ")
}

/// That a column has this text, of which at most so many characters were kept.
fn of_text(column: &str, text: &str, most: usize) -> Option<String> {
    match text.chars().count() {
        0 => None,
        length if length < most && !text.contains(usage::UNSEEN) => {
            Some(format!("trim({column}) = {}", literal(text.trim_matches(' '))))
        }
        _ => Some(format!("{column} LIKE {}", literal(&pattern(text)))),
    }
}

/// A pattern that fits every text that has this one in it, a part of a path that changes being any.
fn pattern(text: &str) -> String {
    let any = usage::ANY;
    let segments = text.split('/').map(|segment| if segment.starts_with(any) { "%" } else { segment });
    // What stands for itself in one dialect escapes in another, and what was not written down: any character will do.
    let path: String = segments.collect::<Vec<_>>().join("/").replace(['\\', usage::UNSEEN], "_");
    format!("%{path}%").replace("%%", "%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Conversation;

    fn check(conversation: [&str; 3], expected: Option<&str>) {
        let [app_protocol, operation, resource] = conversation.map(|part| (!part.is_empty()).then_some(part));
        let mut text = String::new();
        usage::write(&Conversation { app_protocol, operation, resource, ..Conversation::default() }, &mut text);
        assert_eq!(of_use(&text).as_deref(), expected, "{conversation:?}");
    }

    #[test]
    fn a_use_becomes_its_parts() {
        check(
            ["http", "delete", "/orders/42/lines?x=1"],
            Some(
                "trim(app_protocol) = 'http' AND upper(trim(operation)) = 'DELETE' AND resource LIKE '%/orders/%/lines%'",
            ),
        );
        check(
            ["kafka", "Produce", "shop.o'rders"],
            Some("trim(app_protocol) = 'kafka' AND trim(operation) = 'Produce' AND resource LIKE '%shop.o''rders%'"),
        );
        check(["", "", "https://a.example/v1/a/b/c/d"], Some("resource LIKE '%/v1/a/b/c/%'"));
        check(["", "", "/"], Some("resource LIKE '%/%'"));
        check(["", "", "C:\\share"], Some("resource LIKE '%C:_share%'"));
        check(["", &"x".repeat(80), ""], Some(&*format!("operation LIKE '%{}%'", "x".repeat(64))));
        check(["", "", "?x=1"], None);
        // What cannot be seen hides no flow: it may be anything.
        check(["", "\tGET\u{0}", ""], Some("operation LIKE '%_GET_%'"));
        check(["", "a\u{1f}b", ""], Some("operation LIKE '%a_b%'"));
        check(
            [" kafka ", "\u{a0}Produce", ""],
            Some("trim(app_protocol) = 'kafka' AND trim(operation) = '\u{a0}Produce'"),
        );
    }

    #[test]
    fn principals_are_found_as_they_were_written() {
        let check = |text: &str, expected: &str| assert_eq!(of_principals("p", &[text]), expected, "{text:?}");
        check("spiffe://a", "trim(p) = 'spiffe://a'");
        check(" spiffe://a", "trim(p) = 'spiffe://a'");
        check("spiffe://a\u{fffd}", "p LIKE '%spiffe://a_%'");
    }

    #[test]
    fn a_transport_is_its_number_and_what_is_beyond_the_bound_is_any() {
        assert_eq!(
            of_uses(&[&usage::transport(17), &usage::transport(200)]).as_deref(),
            Some("(protocol_num = 17 OR protocol_num = 200)")
        );
        assert_eq!(of_uses(&[&usage::transport(17), usage::OTHERS]), None);
        assert_eq!(of_uses(&[]), None);
        for number in 0..=u8::MAX {
            assert_eq!(of_use(&usage::transport(number)), Some(format!("protocol_num = {number}")));
        }
    }
}
