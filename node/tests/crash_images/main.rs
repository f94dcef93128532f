//! Crash images: what is left of a disk when the power goes, made from the real store's effects, and replayed.
//!
//! A write that was reported as done is on the disk (`O_DSYNC`). A write in progress may be lost, whole, or torn: each of
//! its 512-byte sectors is old or new on its own; several of them in any combination, so also reordered. A file that is
//! being made may be there or not, with or without its entry in the manifest. Nothing else happens to this disk; for rot,
//! see the tests of `store::replay`.
//!
//! After each crash: everything confirmed is there, byte for byte; nothing that was not stored appears; what was once
//! answered *never* stays *never* unless it is stored again; and the store goes on from there to the next crash.

mod disk;
mod numbers;
mod random;
mod torn;
mod world;
