//! What no file of the repository says: paths of one machine, and hosts that a mirror or an offline site replaces.
//!
//! The words are put together from parts, so that this file does not say them either.

/// Files that a tool writes with hosts in them.
const EXEMPT: &[&str] = &["Cargo.lock"];

const MACHINE: &str = "a path of one machine";
const HOST: &str = "a registry's host: its client is configured where it runs";
const WORKPLACE: &str = "a word about how the text was made: the repository speaks of the product";

const BANNED: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), MACHINE),
    (concat!("/ro", "ot/"), MACHINE),
    (concat!("/tmp/", "brief"), MACHINE),
    (concat!("index.", "crates.io"), HOST),
    (concat!("static.", "crates.io"), HOST),
    (concat!("static.", "rust-lang.org"), HOST),
    (concat!("sh.", "rustup.rs"), HOST),
    (concat!("://py", "pi.org"), HOST),
    (concat!("files.python", "hosted.org"), HOST),
    (concat!("registry.", "npmjs.org"), HOST),
    (concat!("proxy.", "golang.org"), HOST),
    (concat!("deb.", "debian.org"), HOST),
    (concat!("archive.", "ubuntu.com"), HOST),
    (concat!("anth", "ropic"), WORKPLACE),
    (concat!("cla", "ude"), WORKPLACE),
    (concat!("chat", "gpt"), WORKPLACE),
    (concat!("sub", "agent"), WORKPLACE),
];

/// Complaints about one text file.
pub(super) fn check(path: &str, text: &str) -> Vec<String> {
    if EXEMPT.contains(&path) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        for (word, what) in BANNED {
            if stands_alone(&lower, word) {
                complaints.push(format!("{path}:{}: `{word}` is {what}", number + 1));
            }
        }
    }
    complaints
}

/// Whether `word` begins in `line` where no other word or path goes on: `framework/x` and `a/work/b` hold no path of a machine.
fn stands_alone(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(line: &str, expected: usize) {
        assert_eq!(check("docs/a.md", line).len(), expected, "{line}");
    }

    #[test]
    fn banned_words_are_found_where_they_stand_alone() {
        for (word, _) in BANNED {
            check_line(&format!("see {word}x"), 1);
            check_line(&format!("see \"{}x\"", word.to_uppercase()), 1);
        }
        check_line(concat!("a frame", "work/x, net", "/wo", "rk/y"), 0);
        check_line("../shared/samples, target/ci", 0);
    }

    #[test]
    fn the_lock_file_names_its_registry() {
        assert!(check("Cargo.lock", concat!("index.", "crates.io")).is_empty());
    }
}
