//! The simulator: the shipped machines in a world made of one seed.
//!
//! ```text
//! cargo test -p quarry-node --test sim                              the seeds of `make test`
//! cargo test -p quarry-node --test sim -- --seed 7                  one seed: how a failure is replayed
//! cargo test -p quarry-node --test sim -- --seed 7 --steps 200 --trace FILE --log 0
//!                                                                   the steps of one log, for the specification
//! cargo test --profile sim -p quarry-node --test sim -- --seeds 1000 --from 0 --steps 2000
//! cargo test --profile sim -p quarry-node --test sim -- --certify FILE --seeds 10000
//! ```
//! One thread, virtual time, one source of chance. It drives the shipped `RotatingWriter`, `Recovery`, `Trim`, `Repair`, `Bucket`,
//! `Shard` (with its replica and store) and `Replay`, not a copy, and stands in for everything around them: sockets, slots, disks, the register, the
//! processes. Each run draws its shape and its faults from its seed (`options`), lets them work for a number of steps, then
//! heals the world and demands that everything finishes (`world/liveness`); among other things, that scrub finds whatever
//! has rotted although nobody reads it. What must be true meanwhile is `oracle`'s.
//! Every seed runs twice and must do exactly the same.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test, not a pure module")]

mod arguments;
mod buckets;
mod client;
mod core;
mod directory;
mod disk;
mod faults;
mod network;
mod node;
mod notes;
mod numbers;
mod options;
mod oracle;
#[cfg(planted)]
mod planted;
mod receipt;
mod register;
mod seeds;
mod trace;
mod world;

use arguments::Arguments;
use seeds::{Failure, Total};
use std::process::ExitCode;
use std::time::Instant;

/// Seeds of `make test`: as many as take less than a minute on two cores in the dev profile.
const SEEDS_OF_MAKE_TEST: u64 = 600;
/// Seeds of a receipt that was not told how many.
const SEEDS_OF_A_RECEIPT: u64 = 10_000;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    if arguments.list {
        println!("sim: test\n\n1 test, 0 benchmarks");
        return ExitCode::SUCCESS;
    }
    if arguments.filtered {
        println!("sim: filtered out, nothing was run");
        return ExitCode::SUCCESS;
    }
    seeds::quiet_panics();
    #[cfg(planted)]
    {
        if arguments.planted_all {
            return planted::every_bug(arguments.from, arguments.steps);
        }
        arguments.planted.iter().for_each(|name| planted::plant_named(name));
    }
    #[cfg(not(planted))]
    if arguments.planted_all || arguments.planted.is_some() {
        eprintln!("this build has no bugs on purpose: build it with RUSTFLAGS=\"--cfg planted\" (make planted)");
        return ExitCode::from(2);
    }
    if let Some(path) = &arguments.trace {
        return trace_one(arguments.seed.unwrap_or(arguments.from), path, &arguments);
    }
    match arguments.seed {
        Some(seed) => one(seed, &arguments),
        None => many(&arguments),
    }
}

fn trace_one(seed: u64, path: &str, arguments: &Arguments) -> ExitCode {
    match seeds::traced(seed, arguments.steps, arguments.log) {
        Ok(module) => {
            println!("seed {seed}: {} lines to {path}", module.lines().count());
            std::fs::write(path, module).map_or_else(|why| panic!("writing {path}: {why}"), |()| ExitCode::SUCCESS)
        }
        Err(failure) => {
            report(&failure, arguments);
            ExitCode::FAILURE
        }
    }
}

fn one(seed: u64, arguments: &Arguments) -> ExitCode {
    match seeds::twice(seed, arguments.steps, &seeds::pool()) {
        Ok(run) => {
            println!("{run:#?}");
            println!("seed {seed}: ok, digest {:016x}", run.digest);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            report(&failure, arguments);
            ExitCode::FAILURE
        }
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let revision = match arguments.certify.as_ref().map(|_| receipt::clean_revision()).transpose() {
        Ok(revision) => revision,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let usual = if revision.is_some() { SEEDS_OF_A_RECEIPT } else { SEEDS_OF_MAKE_TEST };
    let seeds = arguments.seeds.unwrap_or(usual);
    let started = Instant::now();
    let total = seeds::spread(arguments.from, seeds, arguments.steps, arguments.all);
    let seconds = started.elapsed().as_secs_f64();
    summarise(&total, seconds);
    if let (Some(path), Some(revision)) = (&arguments.certify, revision) {
        let text = receipt::receipt(&revision, (arguments.from, arguments.steps), &total, seconds);
        std::fs::write(path, text).unwrap_or_else(|why| panic!("writing {path}: {why}"));
    }
    if let Some(failure) = total.failures.first() {
        report(failure, arguments);
        let others: Vec<u64> = total.failures.iter().map(|failure| failure.seed).collect();
        println!("failing seeds: {others:?}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn summarise(total: &Total, seconds: f64) {
    for (kind, count) in total.faults.iter() {
        println!("{count:>10}  {kind}");
    }
    println!("{:#?}", total.counts);
    println!(
        "sim: {} seeds ({} beyond what must be survived), each twice: 2 x {} steps, {:.1} simulated hours, {seconds:.1} s, {:.0} steps a second, {} failed",
        total.seeds,
        total.beyond,
        total.steps,
        total.micros as f64 / 3.6e9,
        2.0 * total.steps as f64 / seconds,
        total.failures.len()
    );
}

fn report(failure: &Failure, arguments: &Arguments) {
    println!("{}", failure.text);
    println!("seed {} failed. Again:", failure.seed);
    println!("    cargo test -p quarry-node --test sim -- --seed {} --steps {}", failure.seed, arguments.steps);
}
