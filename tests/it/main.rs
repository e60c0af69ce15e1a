//! Tests that look at the house from outside: how it is built, and how the real server behaves.
//!
//! One binary, so that it is linked once. Each module is a subject.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod access;
mod applications;
mod canary;
mod certificates;
mod changes;
mod clocks;
mod commands;
mod corruption;
mod demo;
mod fixes;
mod harness;
mod heads;
mod holds;
mod house;
mod law;
mod leases;
mod limits;
mod login;
mod lost_commits;
mod many;
mod metrics;
mod migrations;
mod openapi;
mod outbox;
mod pages;
mod process;
mod read_only;
mod reading;
mod record;
mod reference;
mod restore;
mod retention;
mod revocation;
mod shut_vault;
mod smtp_faults;
mod threads;
mod too_large;
mod unrecorded;
mod whole_story;
