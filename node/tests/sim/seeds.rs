//! Running seeds: each twice, with equal traces (pitfall 41), many side by side.

use crate::faults::Faults;
use crate::numbers::Numbers;
use crate::options::Options;
use crate::oracle::Counts;
use crate::world::World;
use bytes::Bytes;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Random bytes that payloads are cut from.
const POOL_BYTES: usize = 4 << 20;

/// How one run went.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) digest: u64,
    pub(crate) steps: u64,
    pub(crate) micros: u64,
    pub(crate) beyond: bool,
    pub(crate) faults: Faults,
    pub(crate) counts: Counts,
}

/// What a failure looks like.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) text: String,
}

/// All runs together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Total {
    pub(crate) seeds: u64,
    pub(crate) beyond: u64,
    /// Steps of first runs; each was taken twice.
    pub(crate) steps: u64,
    pub(crate) micros: u64,
    pub(crate) faults: Faults,
    pub(crate) counts: Counts,
    pub(crate) failures: Vec<Failure>,
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps panics to themselves: they are reported with the seed that caused them.
pub(crate) fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let mut text = info.to_string();
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value == "full") {
            text = format!("{text}\n{}", std::backtrace::Backtrace::force_capture());
        }
        PANIC.with(|panic| panic.replace(text));
    }));
}

/// The bytes that every run cuts its payloads from.
pub(crate) fn pool() -> Bytes {
    let mut numbers = Numbers::new(7);
    let mut pool = Vec::with_capacity(POOL_BYTES);
    while pool.len() < POOL_BYTES {
        pool.extend_from_slice(&numbers.next().to_le_bytes());
    }
    Bytes::from(pool)
}

fn once(seed: u64, steps: u64, pool: &Bytes) -> Result<Run, String> {
    run(seed, steps, pool, false).0
}

/// One run, and the world as it left it.
fn run(seed: u64, steps: u64, pool: &Bytes, traced: bool) -> (Result<Run, String>, World) {
    let options = Options::draw(seed);
    let mut world = World::new(seed, options.clone(), pool.clone());
    world.core.trace.wanted = traced;
    let ended = catch_unwind(AssertUnwindSafe(|| world.run(steps)));
    let ran = judge(&world, &options, ended.is_ok());
    (ran, world)
}

fn judge(world: &World, options: &Options, ended: bool) -> Result<Run, String> {
    let core = &world.core;
    if !ended {
        let panic = PANIC.with(RefCell::take);
        let last = core.notes.last().join("\n");
        return Err(format!("{options:#?}\nlast events:\n{last}\n{panic}"));
    }
    let (faults, counts) = (core.faults.clone(), core.oracle.counts);
    let beyond = options.beyond;
    Ok(Run { digest: core.notes.digest(), steps: core.notes.steps, micros: core.now, beyond, faults, counts })
}

/// Runs a seed once and returns the steps that concern its log `log`, as a module for the specification.
pub(crate) fn traced(seed: u64, steps: u64, log: usize) -> Result<String, Failure> {
    let (ran, world) = run(seed, steps, &pool(), true);
    ran.map_err(|text| Failure { seed, text })?;
    let record = world.record(log);
    let Some(record) = record else {
        return Err(Failure { seed, text: format!("the run has no log {log}, or it was never opened") });
    };
    Ok(world.core.trace.module(record.log, world.core.options.logs[log].window.chunks))
}

/// Runs a seed twice.
pub(crate) fn twice(seed: u64, steps: u64, pool: &Bytes) -> Result<Run, Failure> {
    let failed = |text: String| Failure { seed, text };
    let first = once(seed, steps, pool).map_err(failed)?;
    let second = once(seed, steps, pool).map_err(failed)?;
    if first.digest != second.digest {
        return Err(failed(format!(
            "the same seed ran in two ways: digest {:016x} after {} steps, then {:016x} after {}",
            first.digest, first.steps, second.digest, second.steps
        )));
    }
    Ok(first)
}

/// The first of `from..from + count` that fails, if one does. Each runs once.
#[cfg(planted)]
pub(crate) fn first_failure(from: u64, count: u64, steps: u64) -> Option<Failure> {
    let (next, first) = (AtomicU64::new(from), Mutex::new(None::<Failure>));
    let pool = pool();
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let is_late = first.lock().expect("nothing panics here").as_ref().is_some_and(|f| f.seed < seed);
                    if seed >= from + count || is_late {
                        break;
                    }
                    if let Err(text) = once(seed, steps, &pool) {
                        let mut first = first.lock().expect("nothing panics here");
                        if first.as_ref().is_none_or(|known| seed < known.seed) {
                            *first = Some(Failure { seed, text });
                        }
                    }
                }
            });
        }
    });
    first.into_inner().expect("nothing panics here")
}

#[cfg(planted)]
impl Failure {
    /// The last line: what was found wrong.
    pub(crate) fn why(&self) -> String {
        self.text.lines().last().unwrap_or_default().chars().take(90).collect()
    }
}

/// Runs `from..from + count` on all cores; stops at the first failures unless `all`.
pub(crate) fn spread(from: u64, count: u64, steps: u64, all: bool) -> Total {
    let (next, failed) = (AtomicU64::new(from), AtomicBool::new(false));
    let total = Mutex::new(Total::default());
    let pool = pool();
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(count.max(1) as usize);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while all || !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count {
                        break;
                    }
                    let ran = twice(seed, steps, &pool);
                    failed.fetch_or(ran.is_err(), Ordering::Relaxed);
                    total.lock().expect("no run panics out of itself").add(ran);
                }
            });
        }
    });
    let mut total = total.into_inner().expect("no run panics out of itself");
    total.failures.sort_by_key(|failure| failure.seed);
    total
}

impl Total {
    fn add(&mut self, ran: Result<Run, Failure>) {
        self.seeds += 1;
        match ran {
            Err(failure) => self.failures.push(failure),
            Ok(run) => {
                self.beyond += u64::from(run.beyond);
                self.steps += run.steps;
                self.micros += run.micros;
                self.faults.add(&run.faults);
                self.counts.add(&run.counts);
            }
        }
    }
}
