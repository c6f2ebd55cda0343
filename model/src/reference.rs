//! The reference page of the tables, made from the field tables.

use crate::table::{TABLES, Table};

/// The text of `docs/reference/flows.md`. A test compares the committed page with it.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Tables of the lake\n\nMade from the field tables in `model`; do not edit. `cargo xtask reference` writes it.\n\n\
         Times are microseconds UTC. A value that was not seen is null, never zero. What may change: ADR 0001.\n",
    );
    for table in TABLES {
        section(&mut page, table);
    }
    page
}

fn section(page: &mut String, table: &Table) {
    page.push_str(&format!("\n## {}\n\n{}\n", table.name, table.meaning));
    if let Some(partition) = table.partition {
        page.push_str(&format!("\nPartitioned by `{partition}`.\n"));
    }
    let vocabulary = table.fields.iter().any(|field| !field.ocsf.is_empty());
    page.push_str("\n| column | type | null | meaning |");
    if vocabulary {
        page.push_str(" OCSF | ECS | OpenTelemetry | IPFIX |");
    }
    page.push_str("\n|---|---|---|---|");
    if vocabulary {
        page.push_str("---|---|---|---|");
    }
    page.push('\n');
    for field in table.fields {
        let unit = if field.unit.is_empty() { String::new() } else { format!(" ({})", field.unit) };
        let null = if field.nullable { "yes" } else { "no" };
        page.push_str(&format!("| `{}` | {} | {null} | {}{unit} |", field.name, field.ty.delta(), field.meaning));
        if vocabulary {
            let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { format!("`{text}`") };
            page.push_str(&format!(
                " {} | {} | {} | {} |",
                or_dash(field.ocsf),
                or_dash(field.ecs),
                or_dash(field.otel),
                if field.ipfix.is_empty() { "-" } else { field.ipfix }
            ));
        }
        page.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_the_generated_one() {
        let committed = include_str!("../../docs/reference/flows.md");
        assert!(committed == page(), "docs/reference/flows.md is stale: run `cargo xtask reference`");
    }

    #[test]
    fn names_are_unique_and_snake_case() {
        for table in TABLES {
            let mut names: Vec<_> = table.fields.iter().map(|field| field.name).collect();
            assert!(names.iter().all(|name| {
                name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
            }));
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a column of {} appears twice", table.name);
            assert!(table.partition.is_none_or(|partition| names.contains(&partition)));
        }
    }
}
