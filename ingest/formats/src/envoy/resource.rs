//! The path of a request as it is kept: without query, fragment, scheme, host and user. Not a template.

/// Most bytes of a path that are kept.
const PATH_BYTES_MAX: usize = 256;

/// The path of a request target in origin form (`/a?b`), absolute form (`http://user@host/a`) or authority form.
pub(super) fn path(target: &str) -> &str {
    let target = &target[..memchr::memchr2(b'?', b'#', target.as_bytes()).unwrap_or(target.len())];
    let path = if target.starts_with('/') { target } else { without_authority(target) };
    &path[..path.floor_char_boundary(PATH_BYTES_MAX)]
}

fn without_authority(target: &str) -> &str {
    match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target.rsplit_once('@').map_or(target, |(_, host)| host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_hold_nothing_private() {
        fn check(target: &str, expected: &str) {
            assert_eq!(path(target), expected, "{target}");
        }
        check("/a/b?token=1#x", "/a/b");
        check("/a#x?y", "/a");
        check("/", "/");
        check("*", "*");
        check("http://user:pass@host/a?b", "/a");
        check("http://user:pass@host?b", "/");
        check("/redirect/http://other/x", "/redirect/http://other/x");
        check("user:pass@host:443", "host:443");
        let long = format!("/{}", "é".repeat(200));
        assert_eq!(path(&long).len(), 255);
    }
}
