//! The store against a disk in memory.
