//! The promises, broken on purpose: the server is killed, paused, cut off and lied to from outside, and afterwards
//! everything that was promised must still hold.
//!
//! The tests start the program that people install and speak to it as they do: signed commands and fetches over HTTP,
//! mail over SMTP, readers who poll. A fault is set off by an event (the tenth commit, the third final dot), never by
//! a pause, and each round is drawn from a seed that is printed when it fails. `tests/faults/run` starts what is
//! needed; `--long` is the long version.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod clocks;
mod database;
mod dice;
mod disk;
mod fault;
mod installation;
mod kill;
mod lateness;
mod mail;
mod patience;
mod people;
mod proxy;
mod races;
mod relay;
mod replicas;
mod rotation;
mod server;
mod soak;
mod started_again;
mod story;
mod watcher;

#[path = "../it/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "it is the harness of the other tests as well")]
mod harness;
