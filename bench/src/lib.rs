//! Workloads, device baseline and report of `quarry bench`, the [`drill`], and the local cluster they run on.
//!
//! One measurement alternates three parts on files prepared before the first of them: (a) the raw [`device`], (b) a
//! [`loopback`] round trip, (c) quorum [`append`]s. Figures are [`ratios`] of (c) to what (a) and (b) make possible on
//! this very machine, round by round; absolute figures of different machines say little about each other.

pub mod append;
pub mod compare;
pub mod cost;
pub mod cpu;
pub mod device;
pub mod drill;
mod drive;
pub mod engine;
pub mod environment;
pub mod figures;
pub mod hgrm;
pub mod html;
pub mod integrity;
pub mod latencies;
pub mod local_cluster;
pub mod loopback;
pub mod measured;
pub mod measurement;
pub mod noise;
pub mod object_server;
pub mod pipe;
mod random;
pub mod ratios;
pub mod report;
pub mod result;
pub mod rounds;
pub mod scratch;
pub mod size;
pub mod suite;
pub mod tiers;
pub mod units;
