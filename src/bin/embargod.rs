//! The server and its operator's commands.

fn main() {}
