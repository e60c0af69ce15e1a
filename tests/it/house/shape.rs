//! How files look: a header that says what a module promises, a length one can read, no place on one machine.

use super::source::{Source, root, texts};

/// No file has more lines.
const LINES: usize = 600;

/// Files that people read line by line. Fixtures and generated files may be as long as they are.
const READ: [&str; 6] = ["rs", "html", "css", "sql", "sh", "py"];

fn without_header(sources: &[Source]) -> Vec<&str> {
    let is_headless = |source: &&Source| source.extension() == "rs" && !source.text.starts_with("//!");
    sources.iter().filter(is_headless).map(|source| source.path.as_str()).collect()
}

fn too_long(sources: &[Source]) -> Vec<&str> {
    let is_too_long =
        |source: &&Source| READ.contains(&source.extension()) && source.text.lines().count() > LINES;
    sources.iter().filter(is_too_long).map(|source| source.path.as_str()).collect()
}

/// Home and work directories of some machine: they mean nothing to a reader elsewhere.
fn machine_paths(sources: &[Source]) -> Vec<String> {
    // Put together here, so that this file does not hold them.
    let paths = ["work", "root", "home"].map(|name| format!("/{name}/"));
    let lines =
        sources.iter().flat_map(|source| source.text.lines().zip(1..).map(move |line| (source, line)));
    lines
        .filter(|(_, (line, _))| paths.iter().any(|path| begins_a_path(line, path)))
        .map(|(source, (_, number))| format!("{}:{number}", source.path))
        .collect()
}

/// Whether `path` stands in `line` other than in the middle of a longer path or address.
fn begins_a_path(line: &str, path: &str) -> bool {
    let is_inner = |character: char| character.is_alphanumeric() || "._-/~$}".contains(character);
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(is_inner))
}

fn sources_and_tests() -> Vec<Source> {
    ["src", "tests"].into_iter().flat_map(|below| texts(root(), below)).collect()
}

#[test]
fn every_module_begins_by_saying_what_it_promises() {
    assert_eq!(without_header(&sources_and_tests()), [""; 0]);
}

#[test]
fn no_file_is_too_long_to_read() {
    assert_eq!(too_long(&sources_and_tests()), [""; 0]);
}

#[test]
fn no_text_names_a_place_on_the_machine_it_was_written_on() {
    let all = texts(root(), "");
    assert!(all.iter().any(|source| source.path == "Cargo.toml"), "the package was not found");
    assert_eq!(machine_paths(&all), [""; 0]);
}

#[test]
fn a_house_that_breaks_these_rules_is_caught() {
    let source = |path: &str, text: String| Source { path: path.to_owned(), text };
    let sources = [
        source("src/good.rs", format!("//! Good.\n{}", "\n".repeat(LINES - 1))),
        source("src/headless.rs", "use std::fmt;\n//! Too late.\n".to_owned()),
        source("src/long.rs", format!("//! Long.\n{}", "\n".repeat(LINES))),
        source("tests/data/long.mbox", "\n".repeat(LINES + 1)),
        source(
            "tests/place.rs",
            format!("//! Fine.\nlet x = \"/{}/x\"; // https://a.example/work/x\n", "work"),
        ),
    ];
    assert_eq!(without_header(&sources), ["src/headless.rs"]);
    assert_eq!(too_long(&sources), ["src/long.rs"]);
    assert_eq!(machine_paths(&sources), ["tests/place.rs:2"]);
}
