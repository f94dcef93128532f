//! The repair machine against real replicas, a register, and everything that gets in its way. The oracle is that of
//! `tla/Repair.tla`.

mod cases;
#[path = "../takeover/world/node.rs"]
mod node;
#[cfg(planted)]
mod planted;
mod random;
mod world;
