//! Faults injected into real node processes on real disks: kills, pauses, wipes, races. A ledger with its own record of
//! every acknowledgement decides (pitfalls 16, 20, 20c, 33; P1, P3, P7, P9, P14).
//!
//! `SIGKILL` proves nothing about durability, since the kernel's caches survive it; that is what the crash images in
//! `quarry-node` are for. What is proven here is that the parts work together.

mod churn;
mod cluster;
mod conformance;
mod drain;
mod full;
mod impact;
mod kills;
mod ledger;
mod moving;
mod repair;
mod rot;
mod takeover;
mod traced;
mod wiped;
mod zones;
