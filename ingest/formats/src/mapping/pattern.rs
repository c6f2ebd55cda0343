//! Patterns such as `%{IP:client} - %{WORD:action}`, made into regular expressions. The names are those that Logstash's grok has for the same things.

/// What a name stands for. `GREEDYDATA` takes all that is left, `DATA` as little as possible.
const PATTERNS: &[(&str, &str)] = &[
    ("IP", r"[0-9A-Fa-f:.]+"),
    ("HOSTPORT", r"\[?[0-9A-Za-z_.:-]+\]?:[0-9]+"),
    ("HOSTNAME", r"[0-9A-Za-z_.-]+"),
    ("INT", r"[+-]?[0-9]+"),
    ("NUMBER", r"[+-]?[0-9]+(?:\.[0-9]+)?"),
    ("WORD", r"\w+"),
    ("NOTSPACE", r"\S+"),
    ("SPACE", r"\s*"),
    ("DATA", r".*?"),
    ("GREEDYDATA", r".*"),
    ("QUOTED", r#"(?:[^"\\]|\\.)*"#),
    ("TIMESTAMP_ISO8601", r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(?:[.,][0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"),
    ("HTTPDATE", r"[0-9]{2}/[A-Za-z]{3}/[0-9]{4}:[0-9:]{8} [+-][0-9]{4}"),
    ("URIPATH", r"/[^\s?#]*"),
];

/// The regular expression of a pattern, which fits whole lines. What stands between the names is taken as it is.
///
/// # Errors
/// A name that is not known, or a brace that is not closed.
pub(super) fn regex(pattern: &str) -> Result<String, String> {
    let mut expression = String::from("^");
    let mut rest = pattern;
    while let Some(at) = rest.find("%{") {
        expression.push_str(&regex::escape(&rest[..at]));
        let (inside, after) =
            rest[at + 2..].split_once('}').ok_or_else(|| format!("`{}`: the brace is not closed", &rest[at..]))?;
        let (name, field) = inside.split_once(':').map_or((inside, None), |(name, field)| (name, Some(field)));
        let known = PATTERNS.iter().find(|(known, _)| *known == name);
        let Some((_, what)) = known else {
            let names: Vec<_> = PATTERNS.iter().map(|(name, _)| *name).collect();
            return Err(format!("`%{{{inside}}}`: there is no `{name}`; known are {}", names.join(", ")));
        };
        match field {
            Some(field)
                if !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') =>
            {
                expression.push_str(&format!("(?P<{field}>{what})"));
            }
            Some(_) => return Err(format!("`%{{{inside}}}`: a field has letters, digits and `_`")),
            None => expression.push_str(&format!("(?:{what})")),
        }
        rest = after;
    }
    expression.push_str(&regex::escape(rest));
    expression.push('$');
    Ok(expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let expression =
            regex("%{IP:client} [%{HTTPDATE:at}] \"%{QUOTED:request}\" %{INT:status}%{SPACE}").unwrap_or_default();
        let compiled = regex::Regex::new(&expression);
        let line = "10.0.0.1 [10/Oct/2000:13:55:36 -0700] \"GET /a\\\"b\" 200 ";
        let found = compiled.as_ref().ok().and_then(|regex| regex.captures(line)).map(|groups| {
            ["client", "at", "request", "status"]
                .map(|name| groups.name(name).map(|group| group.as_str()).unwrap_or_default().to_owned())
        });
        assert_eq!(found, Some(["10.0.0.1", "10/Oct/2000:13:55:36 -0700", "GET /a\\\"b", "200"].map(str::to_owned)));
        assert!(regex("%{NOPE:x}").is_err_and(|error| error.contains("there is no `NOPE`; known are IP")));
        assert!(regex("%{IP:x").is_err_and(|error| error.contains("not closed")));
        assert!(regex("%{IP:a b}").is_err_and(|error| error.contains("letters, digits")));
    }
}
