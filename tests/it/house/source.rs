//! Rust source as a list of the paths it mentions. Knows just enough of the language for that: comments,
//! literals, `use` groups, `super` and inline test modules.

use std::path::{Path, PathBuf};

/// A file of source text, under its path from the root of the package.
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    /// What follows the last dot of the path.
    pub fn extension(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

/// A path such as `crate::domain::id` where it stands in a source, written from the root of the crate.
pub struct Mention {
    pub segments: Vec<String>,
    pub line: usize,
    /// Whether it stands in a module named `tests`.
    pub in_tests: bool,
}

impl Mention {
    /// Whether the path begins with `segments`.
    pub fn begins(&self, segments: &[&str]) -> bool {
        self.segments.len() >= segments.len() && self.segments.iter().zip(segments).all(|(a, b)| a == b)
    }
}

/// The root of the package.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every readable text file below `root/below`, sorted. Build results, hidden folders other than `.ci` and what a
/// running server leaves behind are not part of the package.
pub fn texts(root: &Path, below: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root.join(below), &mut paths);
    paths.sort();
    let relative = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    let read = |path: PathBuf| {
        String::from_utf8(std::fs::read(&path).unwrap())
            .ok()
            .map(|text| Source { path: relative(&path), text })
    };
    paths.into_iter().filter_map(read).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in
        std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
    {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let kind = entry.file_type().unwrap();
        let hidden = name.starts_with('.') && name != ".ci";
        if kind.is_file() && name != ".git" {
            paths.push(entry.path());
        } else if kind.is_dir() && !hidden && name != "target" && name != "state" {
            collect(&entry.path(), paths);
        }
    }
}

#[derive(PartialEq)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// Names, `::` and single other characters; comments, texts, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut line = 1;
    while at < bytes.len() {
        let rest = &text[at..];
        let length = match bytes[at] {
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => block_comment(rest),
            b'"' => quoted(rest),
            b'\'' => character_or_lifetime(rest),
            b'r' | b'b' | b'c' if literal_prefix(rest).is_some() => literal_prefix(rest).unwrap_or(1),
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
                let length = rest.bytes().position(|byte| !is_name(&byte)).unwrap_or(rest.len());
                tokens.push(Token { text: &rest[..length], line });
                length
            }
            b':' if rest.starts_with("::") => {
                tokens.push(Token { text: "::", line });
                2
            }
            byte if byte.is_ascii_whitespace() => 1,
            _ => {
                let length = rest.chars().next().map_or(1, char::len_utf8);
                tokens.push(Token { text: &rest[..length], line });
                length
            }
        };
        line += rest[..length].matches('\n').count();
        at += length;
    }
    tokens
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    loop {
        let Some(step) = rest[at..].find(['/', '*']) else { return rest.len() };
        at += step;
        match rest.get(at..at + 2) {
            Some("/*") => (depth, at) = (depth + 1, at + 2),
            Some("*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `'a'`, `'\''` and `'\u{61}'` are characters, `'a` is a lifetime.
fn character_or_lifetime(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(rest.len(), |end| end + 4),
        Some((at, character)) => {
            let after = at + character.len_utf8();
            if rest[after..].starts_with('\'') { after + 1 } else { 1 }
        }
        None => 1,
    }
}

/// The length of a literal with a prefix, such as `r#"…"#`, `b"…"` or `b'x'`, if one begins `rest`.
fn literal_prefix(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c"]
        .into_iter()
        .find(|prefix| rest.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['"', '#', '\''])))?;
    let body = &rest[prefix.len()..];
    if body.starts_with('\'') {
        return (prefix == "b").then(|| prefix.len() + character_or_lifetime(body));
    }
    if !prefix.ends_with('r') {
        return body.starts_with('"').then(|| prefix.len() + quoted(body));
    }
    let hashes = body.bytes().take_while(|byte| *byte == b'#').count();
    let end = format!("\"{}", "#".repeat(hashes));
    let inner = body[hashes..].strip_prefix('"')?;
    Some(prefix.len() + hashes + 1 + inner.find(&end).map_or(inner.len(), |at| at + end.len()))
}

/// Where a file's module stands: `src/app/lift.rs` is `app::lift`.
fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').filter(|part| *part != "mod" && *part != "lib").map(str::to_owned).collect()
}

/// Every path that `source` mentions, `crate`, `self` and `super` resolved to the root of the crate.
pub fn mentions(source: &Source) -> Vec<Mention> {
    let tokens = tokens(&source.text);
    let file = module_of(&source.path);
    let mut modules: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut mentions = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" => {
                if at >= 2 && tokens[at - 2].text == "mod" {
                    modules.push((tokens[at - 1].text.to_owned(), depth));
                }
                depth += 1;
            }
            "}" => {
                depth -= 1;
                modules.pop_if(|(_, opened)| *opened == depth);
            }
            _ => {}
        }
        let begins = is_name(token.text) && !continues_path(&tokens, at) && !inside_use_group(&tokens, at);
        if begins {
            let mut module = file.clone();
            module.extend(modules.iter().map(|(name, _)| name.clone()));
            let in_tests = module.iter().any(|name| name == "tests");
            let mut paths = Vec::new();
            read_path(&tokens, at, Vec::new(), &mut paths);
            mentions.extend(paths.into_iter().map(|(segments, line)| Mention {
                segments: from_root(segments, &module),
                line,
                in_tests,
            }));
        }
    }
    mentions
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// Whether the token is a later part of a path or a field. `use ::name` begins one.
fn continues_path(tokens: &[Token<'_>], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map_or("", |at| tokens[at].text);
    let keyword = ["use", "dyn", "impl", "return", "in", "as", "mut", "for", "else", "match", "if"];
    before(1) == "."
        || before(1) == "::" && (before(2) == ">" || is_name(before(2)) && !keyword.contains(&before(2)))
}

/// Whether the token stands in braces that continue a path, where [`read_path`] has been already.
fn inside_use_group(tokens: &[Token<'_>], at: usize) -> bool {
    let mut depth = 0;
    for (position, token) in tokens[..at].iter().enumerate().rev() {
        match token.text {
            "}" => depth += 1,
            "{" if depth > 0 => depth -= 1,
            "{" => {
                if position > 0 && tokens[position - 1].text == "::" {
                    return true;
                }
                return false;
            }
            ";" => return false,
            _ => {}
        }
    }
    false
}

/// Reads the path that begins at `at` and the groups in it; returns where it ends.
fn read_path(
    tokens: &[Token<'_>],
    mut at: usize,
    mut path: Vec<String>,
    paths: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let line = tokens[at].line;
    loop {
        if text(at) == "{" {
            at += 1;
            while at < tokens.len() && text(at) != "}" {
                at = if is_name(text(at)) || text(at) == "*" {
                    read_path(tokens, at, path.clone(), paths)
                } else {
                    at + 1
                };
            }
            return at + 1;
        }
        path.push(text(at).to_owned());
        if text(at + 1) != "::" || text(at + 2) == "<" {
            break;
        }
        at += 2;
    }
    at += 1;
    if text(at) == "as" {
        at += 2;
    }
    paths.push((path, line));
    at
}

fn from_root(segments: Vec<String>, module: &[String]) -> Vec<String> {
    let mut base = match segments[0].as_str() {
        "crate" | "embargod" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => return segments,
    };
    let mut rest = segments.as_slice();
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "super" => drop(base.pop()),
            "crate" | "embargod" | "self" => {}
            _ => break,
        }
        rest = others;
    }
    base.extend_from_slice(rest);
    base.insert(0, "crate".to_owned());
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths_in(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        mentions(&source)
            .iter()
            .map(|mention| mention.segments.join("::"))
            .filter(|path| path.contains("::"))
            .collect()
    }

    #[test]
    fn groups_renames_and_nested_groups_are_taken_apart() {
        let text = "use crate::{domain::{id::FixId, fix::*}, store as cellar, vault::Key as K};";
        let expected =
            ["crate::domain::id::FixId", "crate::domain::fix::*", "crate::store", "crate::vault::Key"];
        assert_eq!(paths_in("src/app/mod.rs", text), expected);
    }

    #[test]
    fn super_is_counted_from_the_module_in_which_it_stands() {
        assert_eq!(paths_in("src/app/lift.rs", "super::super::store::open()"), ["crate::store::open"]);
        assert_eq!(paths_in("src/app/mod.rs", "use super::store;"), ["crate::store"]);
        assert_eq!(paths_in("src/app/mod.rs", "mod tests { use super::store; }"), ["crate::app::store"]);
        let back_outside = "mod a { mod b { fn f() {} } } use super::vault;";
        assert_eq!(paths_in("src/app/mod.rs", back_outside), ["crate::vault"]);
    }

    #[test]
    fn comments_and_literals_mention_nothing_and_hide_nothing() {
        let text = r##"
            // crate::a::b
            /* crate::a /* crate::b::c */ crate::c::d */
            let x = ["crate::d::e", r#"crate::"f::g"#, b"\"crate::h::i", '"', '\'', '\u{22}', b'"'];
            fn f<'a>(x: &'a crate::seen::Thing) {}
        "##;
        assert_eq!(paths_in("src/app/mod.rs", text), ["crate::seen::Thing"]);
    }

    #[test]
    fn a_block_of_code_is_no_group_and_turbofish_ends_a_path() {
        let text = "fn f() { if a::B { crate::one::two::<crate::three::Four>() } else { five::six() } }";
        assert_eq!(
            paths_in("src/app/mod.rs", text),
            ["a::B", "crate::one::two", "crate::three::Four", "five::six"]
        );
    }
}
