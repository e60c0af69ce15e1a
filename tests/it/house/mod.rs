//! The rules of the house, read off its source: who may use what, how a module begins, how long it may be.
//!
//! Each rule is a function from sources to faults, so that the tests can also show it a house that is wrong.

mod arrows;
mod shape;
mod source;
