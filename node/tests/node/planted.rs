//! Bugs on purpose where a node touches real files and sockets: each has to make the test named beside it fail. Only in a
//! build with `--cfg planted`; every test of such a build reads which bug it runs with from the environment.

use quarry_protocol::planted::{Bug, plant};
use std::process::Command;

/// Names the bug that this process runs with.
const BUG: &str = "PLANTED_BUG";

/// Each bug and the test that is there to find it.
const FOUND_BY: [(Bug, &str); 10] = [
    (Bug::WritesNotSynchronous, "files::files_that_take_appends_are_open_with_o_direct_and_o_dsync"),
    (Bug::ArrivalsUnverified, "hostile::a_chunk_that_does_not_verify_is_refused_and_not_stored"),
    (Bug::ReadsUnverified, "rot::a_rotten_chunk_is_unknown_and_not_served"),
    (Bug::ScrubUnverified, "rot::a_rotten_chunk_that_nobody_reads_is_found"),
    (Bug::MissingFileUnnoticed, "starting::a_shard_that_lost_a_file_retires_its_identity"),
    (Bug::AnyBodySize, "hostile::an_oversized_frame_is_refused_before_its_body_comes"),
    (Bug::CopyStarts, "starting::a_copied_directory_does_not_start"),
    (Bug::SuperblockUnmended, "starting::a_damaged_copy_of_the_superblock_is_mended_in_place"),
    (Bug::FormattedTwice, "starting::a_formatted_directory_is_not_formatted_again"),
    (Bug::StartedTwice, "starting::a_directory_in_use_does_not_start_twice"),
];

/// Puts the bug in force that the environment names. Every node that a test formats or starts comes by here.
pub(crate) fn from_environment() {
    if let Ok(name) = std::env::var(BUG) {
        plant(Some(Bug::from_name(&name).unwrap_or_else(|| panic!("there is no bug called {name}"))));
    }
}

/// Whether `test` passes in a process of its own.
fn passes(test: &str, bug: Option<Bug>) -> bool {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", test]).env_remove(BUG);
    if let Some(bug) = bug {
        command.env(BUG, bug.name());
    }
    let output = command.output().expect("this test runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("running 1 test"), "{test} is not there: {said}");
    output.status.success()
}

/// Pitfalls 39, 40: a check that cannot fail is none.
#[test]
fn every_planted_bug_is_found() {
    let mut survived = Vec::new();
    for (bug, test) in FOUND_BY {
        assert!(passes(test, None), "{test} fails without a bug");
        let found = !passes(test, Some(bug));
        println!("{:<22} {:<3} {} by {test}", bug.name(), bug.rule(), if found { "found" } else { "SURVIVED" });
        survived.extend((!found).then_some(bug));
    }
    assert!(survived.is_empty(), "not found: {survived:?}");
}
