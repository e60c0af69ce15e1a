//! File names in diffs: how git writes them, and which ones nobody should follow.
//!
//! Promises: a name that passed [`check`] stays inside the source tree and outside `.git` on every file
//! system git knows tricks for, and prints on a terminal without moving the cursor.

use super::error::{FixError, Place};

/// The name that means "no file".
pub(super) const NO_FILE: &[u8] = b"/dev/null";

/// Undoes C-style quoting. Gives the name and what follows the closing quote.
fn unquoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut name = Vec::new();
    loop {
        let (first, others) = rest.split_first()?;
        rest = others;
        match first {
            b'"' => return Some((name, rest)),
            b'\\' => {
                let (escape, others) = rest.split_first()?;
                rest = others;
                name.push(match escape {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    b'"' | b'\\' => *escape,
                    b'0'..=b'3' => {
                        let [second @ b'0'..=b'7', third @ b'0'..=b'7', others @ ..] = rest else {
                            return None;
                        };
                        rest = others;
                        (escape - b'0') << 6 | (second - b'0') << 3 | (third - b'0')
                    }
                    _ => return None,
                });
            }
            other => name.push(*other),
        }
    }
}

/// The name on a `---` or `+++` line, or after `rename from`: quoted, or up to a tab and a date.
pub(super) fn named(text: &[u8]) -> Option<Vec<u8>> {
    if text.starts_with(b"\"") {
        return unquoted(text).map(|(name, _)| name);
    }
    let name = text.split(|byte| *byte == b'\t').next().unwrap_or(text);
    (!name.is_empty()).then(|| name.to_vec())
}

/// The two names on a `diff --git` line. `None` if they cannot be told apart, as with a rename to a name with
/// spaces; then other lines of the header give them.
pub(super) fn git_names(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if text.starts_with(b"\"") {
        let (old, rest) = unquoted(text)?;
        let rest = rest.strip_prefix(b" ")?;
        return Some((old, if rest.starts_with(b"\"") { unquoted(rest)?.0 } else { rest.to_vec() }));
    }
    if let Some(space) = text.windows(2).position(|pair| pair == b" \"") {
        return Some((text[..space].to_vec(), unquoted(&text[space + 1..])?.0));
    }
    let pair = |space: usize| Some((text[..space].to_vec(), text[space + 1..].to_vec()));
    let middle = text.len() / 2;
    if text.get(middle) == Some(&b' ') && text[..middle] == text[middle + 1..] {
        return pair(middle);
    }
    // Both names are equal after their prefixes. The sum `space + slash` only grows, so that at most one space
    // gives names of equal length, and one comparison is enough.
    let prefix = text.iter().position(|byte| *byte == b'/')?;
    let mut slash = prefix;
    for space in (prefix..text.len()).filter(|at| text[*at] == b' ') {
        if slash < space {
            slash = space + text[space..].iter().position(|byte| *byte == b'/')?;
        }
        if text.len() - slash == space - prefix {
            return if text[slash..] == text[prefix..space] { pair(space) } else { None };
        }
    }
    None
}

fn prefix(name: &[u8]) -> Option<&[u8]> {
    name.iter().position(|byte| *byte == b'/').map(|slash| &name[..slash])
}

/// Whether the names carry prefixes such as `a/` and `b/`: they do if they begin differently.
pub(super) fn prefixed(old: &[u8], new: &[u8]) -> bool {
    let letter =
        |name: &[u8]| prefix(name).is_some_and(|prefix| matches!(prefix, [b'a'..=b'c' | b'i' | b'o' | b'w']));
    match (old == NO_FILE, new == NO_FILE) {
        (true, _) => letter(new),
        (_, true) => letter(old),
        _ => matches!((prefix(old), prefix(new)), (Some(old), Some(new)) if old != new),
    }
}

/// A name without its prefix.
pub(super) fn stripped(name: &[u8]) -> &[u8] {
    prefix(name).map_or(name, |prefix| &name[prefix.len() + 1..])
}

/// Refuses a name that leads where a patch must not go.
pub(super) fn check(name: &[u8], place: Place) -> Result<(), FixError> {
    let text = String::from_utf8_lossy(name);
    if text.is_empty() {
        return Err(FixError::PathUnreadable { place });
    }
    if text.chars().any(char::is_control) {
        return Err(FixError::PathControl { place });
    }
    let drive = matches!(name, [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    if drive || text.starts_with(['/', '\\']) {
        return Err(FixError::PathAbsolute { place });
    }
    for component in text.split(['/', '\\']) {
        if component == ".." {
            return Err(FixError::PathOutside { place });
        }
        if is_git_directory(component) {
            return Err(FixError::PathInGit { place });
        }
    }
    Ok(())
}

/// Whether a symbolic link at `path` with this target leads out of the source tree, or into `.git`.
pub(super) fn leads_outside(path: &[u8], target: &[u8]) -> bool {
    let target = String::from_utf8_lossy(target);
    if target.starts_with(['/', '\\']) || target.get(1..2) == Some(":") {
        return true;
    }
    let mut depth = path.split(|byte| *byte == b'/').count() - 1;
    for component in target.split(['/', '\\']) {
        match component {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            inside if is_git_directory(inside) => return true,
            _ => depth += 1,
        }
    }
    false
}

/// Whether some file system takes the component for `.git`: case does not count, NTFS drops spaces, dots and
/// stream names at the end and knows a short name, HFS+ overlooks invisible characters.
fn is_git_directory(component: &str) -> bool {
    let seen: String = component.chars().filter(|character| !is_overlooked(*character)).collect();
    let name = seen.split(':').next().unwrap_or_default().trim_end_matches([' ', '.']);
    name.eq_ignore_ascii_case(".git") || name.eq_ignore_ascii_case("git~1")
}

fn is_overlooked(character: char) -> bool {
    matches!(character, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str) -> &'static str {
        check(name.as_bytes(), Place::patch(1)).map_or_else(|error| error.code(), |()| "taken")
    }

    #[test]
    fn git_by_any_other_name_is_still_git() {
        for name in
            ["a/.git/config", "a/.GIT/x", "a/.Git", "a/git~1/x", "a/.git./x", "a/.git /x", "a\\.git\\x"]
        {
            assert_eq!(refused(name), "path-in-git", "{name}");
        }
        assert_eq!(refused("a/.git::$INDEX_ALLOCATION/x"), "path-in-git");
        assert_eq!(refused("a/.g\u{200c}it/x"), "path-in-git");
        for name in
            ["a/.gitignore", "a/.github/x", "a/x.git", "a/git", "a/b..c", "a/...", "a/d\u{e9}j\u{e0}.txt"]
        {
            assert_eq!(refused(name), "taken", "{name}");
        }
    }

    #[test]
    fn a_link_may_climb_as_far_as_the_top_of_the_tree_and_no_further() {
        for target in [
            "/etc/passwd",
            "../x",
            "../../x",
            "a/../../../x",
            ".git/config",
            "../.GIT/x",
            "C:\\x",
            "..\\..\\x",
        ] {
            assert!(leads_outside(b"link", target.as_bytes()), "{target}");
        }
        for target in ["x", "./x", "a/../x", "../x/y", ""] {
            assert!(!leads_outside(b"docs/link", target.as_bytes()), "{target}");
        }
    }

    #[test]
    fn names_that_leave_the_tree_are_refused() {
        for name in ["/etc/x", "\\x", "C:/x", "c:\\x"] {
            assert_eq!(refused(name), "path-absolute", "{name}");
        }
        assert_eq!(refused("a/../../x"), "path-outside");
        assert_eq!(refused("a\\..\\x"), "path-outside");
        assert_eq!(refused("a/\u{7f}"), "path-control");
        assert_eq!(refused("a/\u{9b}31m"), "path-control");
    }

    #[test]
    fn a_git_header_is_split_even_when_the_name_holds_spaces() {
        let split = |text: &str| {
            git_names(text.as_bytes())
                .map(|(old, new)| (String::from_utf8(old).unwrap(), String::from_utf8(new).unwrap()))
        };
        let names = |old: &str, new: &str| Some((old.to_owned(), new.to_owned()));
        assert_eq!(split("a/x b/x"), names("a/x", "b/x"));
        assert_eq!(split("a/x b/x b/x b/x"), names("a/x b/x", "b/x b/x"));
        assert_eq!(split("before/my file after/my file"), names("before/my file", "after/my file"));
        assert_eq!(split("x y x y"), names("x y", "x y"));
        assert_eq!(split("\"a/\\303\\251\" \"b/\\303\\251\""), names("a/\u{e9}", "b/\u{e9}"));
        assert_eq!(split("a/x \"b/\\303\\251\""), names("a/x", "b/\u{e9}"));
        assert_eq!(split("a/x y b/z"), None);
    }
}
