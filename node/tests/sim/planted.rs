//! Every bug on purpose, and how soon the simulator finds it (pitfalls 39, 40). Only in a build with `--cfg planted`.
//!
//! A bug that is not found within the seeds that its line allows is a finding about the simulator. The seeds are those that
//! `make test` runs without a bug.

use crate::seeds;
use quarry_protocol::planted::{Bug, plant};
use std::process::ExitCode;
use std::time::Instant;

/// Bugs that only real files and sockets can show: `node/tests/node/planted.rs`.
const OF_REAL_FILES: [Bug; 9] = [
    Bug::WritesNotSynchronous,
    Bug::ArrivalsUnverified,
    Bug::ReadsUnverified,
    Bug::MissingFileUnnoticed,
    Bug::AnyBodySize,
    Bug::CopyStarts,
    Bug::SuperblockUnmended,
    Bug::FormattedTwice,
    Bug::StartedTwice,
];

/// Bugs of repair and freeing: `protocol/tests/repair/planted.rs`.
const OF_REPAIR: [Bug; 9] = [
    Bug::StaleWordAccepted,
    Bug::PinnedEarly,
    Bug::FreeOnAbsent,
    Bug::PinForgotten,
    Bug::RepairSwapsFirst,
    Bug::RepairUnverified,
    Bug::RepairOfUnsealed,
    Bug::RepairNeverRedone,
    Bug::CopyIntoDeletedLog,
];

/// Within how many seeds each bug has to be found. It takes a few hundred at most, mostly fewer than ten; the room
/// is for whatever changes which seed draws what.
const SEEDS_ALLOWED: u64 = 1500;

/// Puts one bug in force for the whole process.
pub(crate) fn plant_named(name: &str) {
    plant(Some(Bug::from_name(name).unwrap_or_else(|| panic!("there is no bug called {name}"))));
}

/// Runs the whole list.
pub(crate) fn every_bug(from: u64, steps: u64) -> ExitCode {
    let (started, mut survived) = (Instant::now(), Vec::new());
    println!("{:<26} {:<4} {:>6} {:>8}  found by", "bug", "rule", "seeds", "seconds");
    for &bug in Bug::ALL.iter().filter(|bug| !OF_REAL_FILES.contains(bug) && !OF_REPAIR.contains(bug)) {
        let since = Instant::now();
        plant(Some(bug));
        let found = seeds::first_failure(from, SEEDS_ALLOWED, steps);
        plant(None);
        let seconds = since.elapsed().as_secs_f64();
        match found {
            Some(failure) => {
                let seeds = failure.seed - from + 1;
                println!("{:<26} {:<4} {seeds:>6} {seconds:>8.1}  {}", bug.name(), bug.rule(), failure.why());
            }
            None => {
                println!("{:<26} {:<4} SURVIVED {} seeds: {}", bug.name(), bug.rule(), SEEDS_ALLOWED, bug.what());
                survived.push(bug);
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} bugs, {} survived, {seconds:.0} s",
        Bug::ALL.len() - OF_REAL_FILES.len() - OF_REPAIR.len(),
        survived.len()
    );
    if survived.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
