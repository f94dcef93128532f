//! The trim machine, driven by hand: each rule and each way the register or a replica can fail, by name.

mod register;
mod script;
mod tail;
mod telling;
