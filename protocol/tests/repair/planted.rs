//! Every bug on purpose in what a repair does has to be found by the random world.

use crate::random::run;
use quarry_protocol::planted::{Bug, plant};
use std::panic::catch_unwind;

/// How many seeds a bug may hide in.
const SEEDS_MAX: u64 = 2000;

#[test]
fn every_bug_in_repair_and_freeing_is_found() {
    let bugs = [
        Bug::StaleWordAccepted,
        Bug::PinnedEarly,
        Bug::FreeOnAbsent,
        Bug::CopyIntoDeletedLog,
        Bug::PinForgotten,
        Bug::RepairSwapsFirst,
        Bug::RepairUnverified,
        Bug::RepairOfUnsealed,
        Bug::RepairNeverRedone,
    ];
    for bug in bugs {
        plant(Some(bug));
        let found = (0..SEEDS_MAX).find(|seed| catch_unwind(|| run(*seed)).is_err());
        plant(None);
        let seed = found.unwrap_or_else(|| panic!("{} is not found in {SEEDS_MAX} seeds", bug.name()));
        println!("{:<20} seed {seed}", bug.name());
    }
}
