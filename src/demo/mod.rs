//! What the rehearsal needs beside the server itself. Nothing calls into this module.

pub mod sink;
