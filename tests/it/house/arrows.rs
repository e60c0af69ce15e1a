//! Who may use what: the picture in `src/lib.rs`, as a table.

use super::source::{Mention, Source, mentions, root, texts};

/// What is handed about as values: whoever acts may hold a clock, a source of randomness and its settings.
const LEAVES: [&str; 3] = ["clock", "entropy", "config"];

/// Which module may use which. `LEAVES` stands for all of them, `*` for every module.
const ARROWS: [(&str, &[&str]); 20] = [
    ("lib", &["*"]),
    ("bin", &["cli"]),
    // The composition root puts every part together.
    (
        "cli",
        &[
            "app", "http", "worker", "store", "outbound", "vault", "openpgp", "domain", "demo", "wire",
            "client", "LEAVES",
        ],
    ),
    ("demo", &["*"]),
    // Of the store: its handle for published rows, and the types of rows that use cases return.
    ("http", &["app", "wire", "formats", "store", "domain", "metrics", "LEAVES"]),
    ("worker", &["app", "outbound", "domain", "metrics", "LEAVES"]),
    ("client", &["wire", "domain", "LEAVES"]),
    ("wire", &[]),
    ("app", &["store", "openpgp", "formats", "mail", "domain", "metrics", "LEAVES"]),
    ("outbound", &["domain", "LEAVES"]),
    ("store", &["vault", "domain", "LEAVES"]),
    ("vault", &["domain", "LEAVES"]),
    ("openpgp", &["domain"]),
    ("formats", &["domain"]),
    ("mail", &["domain"]),
    ("domain", &[]),
    ("config", &[]),
    // A leaf too, for those who count.
    ("metrics", &[]),
    ("clock", &[]),
    ("entropy", &[]),
];

/// Crates and the only modules that may name them. `demo` may name all.
const CRATES: [(&str, &[&str]); 13] = [
    ("diesel", &["store"]),
    ("diesel_async", &["store"]),
    ("diesel_migrations", &["store"]),
    ("libsqlite3_sys", &["store"]),
    ("tokio_postgres", &["store"]),
    ("tokio_postgres_rustls", &["store"]),
    ("sequoia_openpgp", &["openpgp"]),
    ("lettre", &["outbound"]),
    ("ureq", &["client"]),
    ("actix_web", &["http", "cli"]),
    ("getrandom", &["entropy"]),
    ("rand_chacha", &["entropy"]),
    ("chacha20poly1305", &["vault"]),
];

/// All that `domain` may name.
const DOMAIN_CRATES: [&str; 8] =
    ["chrono", "chrono_tz", "cron", "serde", "thiserror", "sha1", "sha2", "similar"];

/// Modules that may start programs.
const STARTERS: [&str; 3] = ["client", "outbound", "demo"];

/// Parts of `std::process` that start nothing.
const HARMLESS: [&str; 4] = ["ExitCode", "exit", "abort", "id"];

/// The types whose `now` reads a clock, and the names by which crates draw randomness.
const CLOCKS: [&str; 4] = ["Utc", "Local", "SystemTime", "Instant"];
const DICE: [&str; 3] = ["OsRng", "ThreadRng", "thread_rng"];

fn faults(sources: &[Source], dependencies: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        let module = source.path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default();
        if !ARROWS.iter().any(|(name, _)| *name == module) {
            faults.push(format!("{}: module {module} is not in the picture", source.path));
            continue;
        }
        for mention in mentions(source) {
            if let Some(what) = fault(module, &mention, dependencies) {
                faults.push(format!("{}:{}: {module} must not {what}", source.path, mention.line));
            }
        }
    }
    faults
}

/// What is wrong with a mention in `module`, if anything is.
fn fault(module: &str, mention: &Mention, dependencies: &[String]) -> Option<String> {
    let first = mention.segments[0].as_str();
    let second = mention.segments.get(1).map(String::as_str);
    if let ("crate", Some(used)) = (first, second) {
        return (!may_use(module, used, mention.in_tests)).then(|| format!("use {used}"));
    }
    if reads_clock(mention) && module != "clock" {
        return Some("read the clock".to_owned());
    }
    if DICE.iter().any(|die| mention.segments.iter().any(|name| name == die)) && module != "entropy" {
        return Some("draw randomness".to_owned());
    }
    let starts = mention.begins(&["std", "process"]) || mention.begins(&["tokio", "process"]);
    let harmless = mention.segments.get(2).is_some_and(|name| HARMLESS.contains(&name.as_str()));
    if starts && !harmless && !mention.in_tests && !STARTERS.contains(&module) {
        return Some("start programs".to_owned());
    }
    if second.is_none() && first != "diesel" {
        // A single name is a variable or a keyword; only diesel's attributes look like one.
        return None;
    }
    let owner = CRATES.iter().find(|(name, _)| *name == first);
    let owned_elsewhere = owner.is_some_and(|(_, owners)| !owners.contains(&module)) && module != "demo";
    let foreign_to_domain = module == "domain"
        && !mention.in_tests
        && dependencies.iter().any(|name| name == first)
        && !DOMAIN_CRATES.contains(&first);
    (owned_elsewhere || foreign_to_domain).then(|| format!("name the crate {first}"))
}

fn may_use(module: &str, used: &str, in_tests: bool) -> bool {
    let is_module = ARROWS.iter().any(|(name, _)| *name == used);
    let allowed = ARROWS.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, allowed)| *allowed);
    let is_leaf = LEAVES.contains(&used);
    // A name that is no module can only be a macro or a glob at the root, of which there are none.
    used == module
        || allowed.contains(&"*")
        || (is_module && allowed.contains(&used))
        || (is_leaf && (in_tests || allowed.contains(&"LEAVES")))
}

fn reads_clock(mention: &Mention) -> bool {
    matches!(&mention.segments[..], [.., kind, now] if now == "now" && CLOCKS.contains(&kind.as_str()))
}

/// The crates under `[dependencies]` in the manifest, as code names them.
fn dependencies() -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_")).collect()
}

#[test]
fn every_arrow_in_the_source_is_in_the_picture() {
    let sources: Vec<_> =
        texts(root(), "src").into_iter().filter(|source| source.extension() == "rs").collect();
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "the source was not found");
    let faults = faults(&sources, &dependencies());
    assert!(faults.is_empty(), "arrows that are not in the picture of src/lib.rs:\n{}", faults.join("\n"));
}

/// The faults of a house with only this one file in it.
fn faults_of(path: &str, text: &str) -> Vec<String> {
    let source = Source { path: path.to_owned(), text: text.to_owned() };
    faults(&[source], &["serde_json".to_owned(), "chrono".to_owned(), "diesel".to_owned()])
}

#[test]
fn a_forbidden_arrow_is_caught_however_it_is_written() {
    for (path, text) in [
        ("src/app/lift.rs", "use crate::outbound::smtp;"),
        ("src/app/lift.rs", "use crate::{domain::id, outbound};"),
        ("src/app/lift.rs", "fn f() { super::super::outbound::smtp::send() }"),
        ("src/app/lift.rs", "pub(in crate::http) fn f() {}"),
        ("src/domain/fix.rs", "fn f(x: &crate::clock::Clock) {}"),
        ("src/domain/fix.rs", "use crate::*;"),
        ("src/domain/mod.rs", "use super::store as s;"),
        ("src/http/mod.rs", "use crate::mail::read;"),
        ("src/bin/embargod.rs", "fn main() { embargod::app::run() }"),
        ("src/cli/mod.rs", "use crate::mail::read;"),
        ("src/app/mod.rs", "use crate::demo::canary;"),
        ("src/wire/mod.rs", "#[cfg(test)] mod tests { use crate::app; }"),
        ("src/kitchen/mod.rs", "//! Not in the picture."),
    ] {
        assert_eq!(faults_of(path, text).len(), 1, "{path}: {text}");
    }
}

#[test]
fn a_crate_a_clock_or_a_program_in_the_wrong_room_is_caught() {
    for (path, text) in [
        ("src/app/mod.rs", "use diesel::prelude::*;"),
        ("src/app/mod.rs", "#[derive(Clone)] #[diesel(table_name = x)] struct X;"),
        ("src/http/mod.rs", "use ::sequoia_openpgp::Cert;"),
        ("src/mail/mod.rs", "mod tests { use lettre::Message; }"),
        ("src/outbound/webhook.rs", "let answer = ureq::get(url);"),
        ("src/domain/fix.rs", "fn f() -> serde_json::Value {}"),
        ("src/app/mod.rs", "let now = chrono::Utc::now();"),
        ("src/app/mod.rs", "let now = Instant::now();"),
        ("src/app/mod.rs", "let later = map(SystemTime::now);"),
        ("src/app/mod.rs", "use rand::rngs::OsRng;"),
        ("src/app/mod.rs", "std::process::Command::new(\"git\")"),
        ("src/http/mod.rs", "use tokio::{net, process::Command};"),
        ("src/cli/mod.rs", "use std::process;"),
    ] {
        assert_eq!(faults_of(path, text).len(), 1, "{path}: {text}");
    }
}

#[test]
fn what_the_picture_allows_is_not_complained_about() {
    for (path, text) in [
        ("src/app/lift.rs", "use crate::{clock::Clock, domain::id::FixId, store}; use super::notices;"),
        ("src/app/mod.rs", "mod tests { use super::*; use super::super::domain; }"),
        ("src/vault/mod.rs", "mod tests { use crate::entropy::Entropy; std::process::Command::new(x); }"),
        ("src/store/mod.rs", "use diesel::prelude::*; use crate::vault;"),
        ("src/domain/fix.rs", "use chrono::Utc; mod tests { use serde_json::json; }"),
        ("src/cli/mod.rs", "use std::process::ExitCode; use crate::demo; // diesel::x and crate::store"),
        ("src/demo/mod.rs", "use crate::{store, outbound}; use diesel::x; std::process::Command::new(x);"),
        ("src/clock.rs", "let now = Utc::now(); static O: LazyLock<Instant> = LazyLock::new(Instant::now);"),
        ("src/outbound/git.rs", "use tokio::process::Command; pub(crate) fn lettre() {} let x = row.diesel;"),
    ] {
        assert_eq!(faults_of(path, text), [""; 0], "{path}: {text}");
    }
}
