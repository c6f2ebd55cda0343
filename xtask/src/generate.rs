//! Pages that are made from code or from other pages, committed, and compared in a test.

use crate::repository::root;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// The generated pages: path from the root, and text.
///
/// # Errors
/// When a decision record cannot be read or lacks its head.
pub(crate) fn pages() -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("docs/reference/flows.md", tradewind_model::reference::page()),
        ("docs/adr/README.md", decision_index(&read_decisions(&root().join("docs/adr"))?)?),
    ])
}

/// Writes those pages that differ from what they should be.
pub(crate) fn write_all() -> Result<()> {
    for (path, text) in pages()? {
        let target = root().join(path);
        if std::fs::read_to_string(&target).is_ok_and(|old| old == text) {
            println!("{path}: as it should be");
            continue;
        }
        let folder = target.parent().expect("a page lies in a folder");
        std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
        std::fs::write(&target, text).with_context(|| format!("failed to write {path}"))?;
        println!("{path}: written");
    }
    Ok(())
}

/// File name and text of each record, by number.
fn read_decisions(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut records = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_some_and(|extension| extension == "md") && name != "README.md" {
            let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {name}"))?;
            records.push((name, text));
        }
    }
    records.sort();
    Ok(records)
}

/// The index of the decision records. Each begins with `# NNNN: title`, an empty line and `Status: word…`.
fn decision_index(records: &[(String, String)]) -> Result<String> {
    let mut page = String::from(
        "# Architecture decisions\n\nMade from the records; do not edit. `cargo xtask reference` writes it.\n\
         A new record takes the next number, is one page, and says context, decision, and what was rejected and why.\n\n\
         | record | decision | status |\n|---|---|---|\n",
    );
    for (name, text) in records {
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let title = lines.next().and_then(|line| line.strip_prefix("# ")).and_then(|line| line.split_once(": "));
        let status = lines.next().and_then(|line| line.strip_prefix("Status: "));
        let (Some((number, title)), Some(status)) = (title, status) else {
            bail!("docs/adr/{name} does not begin with `# NNNN: title` and `Status: …`");
        };
        if !name.starts_with(&format!("{number}-")) {
            bail!("docs/adr/{name} has the number {number} in its title");
        }
        page.push_str(&format!("| [{number}]({name}) | {title} | {status} |\n"));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, expected: Result<&str, &str>) {
        match (decision_index(&[(name.to_owned(), text.to_owned())]), expected) {
            (Ok(page), Ok(row)) => assert_eq!(page.lines().last(), Some(row)),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_record_is_listed_by_its_head() {
        check("0007-why.md", "# 0007: Why\n\nStatus: accepted\n\nText", Ok("| [0007](0007-why.md) | Why | accepted |"));
        check("0007-why.md", "# Why\n\nStatus: accepted\n", Err("does not begin with"));
        check("0007-why.md", "# 0007: Why\n\nText\n", Err("does not begin with"));
        check("0008-why.md", "# 0007: Why\n\nStatus: accepted\n", Err("has the number 0007"));
    }
}
