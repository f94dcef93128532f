//! The machines and the bytes of Quarry.
//!
//! Everything in this crate is a pure function of its inputs: no I/O, no clock, no threads, no async,
//! no random numbers, no unsafe. Time comes in as [`time::Micros`]; randomness comes in as ids; what has to
//! happen in the world goes out as effects. The node, the client and the simulator drive the same
//! machines.
//!
//! A newcomer's route: [`chunk`] (what is sent and stored), [`frame`] and [`message`] (how it travels),
//! [`batch`] (how it lies on disk), [`writer`] (how an append becomes committed), [`replica`] (what a node
//! may answer), [`bucket`] (the same answers from an object store), [`recovery`] (how a log changes hands),
//! [`repair`] (how its copies are made whole again) and [`record`] (what the register holds).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod action;
mod backoff;
pub mod batch;
pub mod bucket;
pub mod bytesio;
pub mod chunk;
pub mod digest;
pub mod frame;
mod holdings;
pub mod ids;
pub mod limits;
pub mod member;
pub mod message;
pub mod planted;
pub mod put_times;
pub mod quorum;
pub mod ranges;
pub mod reach;
pub mod record;
pub mod recovery;
mod refusal;
pub mod repair;
pub mod replica;
pub mod rotation;
pub mod snapshot;
pub mod tail;
pub mod telling;
pub mod time;
pub mod trim;
pub mod writer;
