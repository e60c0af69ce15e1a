//! `embargod` holds security fixes under embargo, tells every approved packager in time, and lifts by itself.
//!
//! This header is the map of the house; every module says in its own header what it promises. Arrows go
//! downwards only, and a test reads the source to keep it so:
//!
//! ```text
//!    bin -> cli -> wire              clock, entropy, config, metrics: leaves, passed in as values
//!            |
//!    +-------v-----------------+      +----------------+
//!    | http {api pages public} |      |     worker     |      entry points: translate, never decide
//!    +-------+--------+--------+      +---+--------+---+
//!            |        +-> wire            |        |
//!            v                            v        v
//!    +-------+----------------------------+--+  +--+-------+
//!    |                 app                   |  | outbound |   the only outgoing sockets and processes
//!    +--+--------+----------+----------+-----+  +--+-------+
//!       v        v          v          v           |
//!    +--+----+ +-+------+ +-+------+ +-+-----+     |
//!    | store | |openpgp | |formats | | mail  |     |            computation: bytes in, bytes out
//!    +--+----+ +-+------+ +-+------+ +-+-----+     |
//!       v        |          |          |           |
//!    +--+----+   |          |          |           |
//!    | vault |   |          |          |           |
//!    +--+----+   |          |          |           |
//!       v        v          v          v           v
//!    +--+--------+----------+----------+-----------+--+
//!    |                     domain                     |        depends on chrono and little else
//!    +------------------------------------------------+
//! ```
//!
//! `cli` also uses `client`, which uses `wire` and the ids of `domain`; `http` renders its pages with
//! `formats`; `cli::assembly` alone puts all parts together; `demo` may use anything, and only `cli` calls it.

pub mod app;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod demo;
pub mod domain;
pub mod entropy;
pub mod formats;
pub mod http;
pub mod mail;
pub mod metrics;
pub mod openpgp;
pub mod outbound;
pub mod store;
pub mod vault;
pub mod wire;
pub mod worker;
