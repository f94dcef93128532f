//! Placeholder while the machine is written.
