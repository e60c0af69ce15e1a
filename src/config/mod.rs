//! What the operator decides, one struct per section. Reads no file and no environment by itself.

pub mod relay;
