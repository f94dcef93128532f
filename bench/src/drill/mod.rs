//! The drill: real nodes on real disks, real faults, real clients, and a checker with a record of its own that decides.
//!
//! ```text
//!                 ┌ two writers per log, which take it from each other, close it and come back
//!  clients ───────┼ readers: one follows, one reads ranges; each chunk is compared with the ledger
//!     │           ├ a trimmer, and a hog that fills the disks
//!     │           └ a repairer, broken off now and then
//!     ▼
//!  proxies ─────── cut both ways, cut one way, slow
//!     ▼
//!  nodes ───────── SIGKILL, SIGSTOP, SIGTERM, flipped bits, wiped directories
//! ```
//! Everything that is done to the nodes follows from the seed ([`faults`] has the rule of what may happen at once); when it
//! meets the clients' calls does not, so a failure does not always come again with its seed.
//!
//! Connections are cut by a TCP proxy in front of each node and not by rules in a network namespace: that takes no privilege,
//! and works in every container. It cannot lose the first packet of a connection, and gossip among the nodes goes past it.
//!
//! When the time is over all is healed, every log is opened once more, appended to, read from its floor to its tail and repaired;
//! then every copy of every sealed segment is read from its own holder. Every
//! process is a child of this one, ended by its id; traffic stays on loopback.

mod checker;
mod clients;
mod copies;
mod faults;
mod last_look;
mod ledger;
mod payload;
mod proxy;
mod report;
mod stalls;

pub use checker::Counts;
pub use faults::FaultKind;
pub use report::DrillReport;

use crate::local_cluster::{LocalCluster, LocalClusterPlan, NodeError};
use crate::random::Random;
use checker::Checker;
use clients::Clients;
use faults::injury::{InjuryError, Victims};
use faults::schedule::{Blow, Schedule};
use payload::Sizes;
use proxy::Proxy;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Zones that a drill needs: one for each replica.
pub const ZONES_MIN: usize = 3;
/// Most nodes.
pub const NODES_MAX: usize = 8;
/// The cluster's name.
const CLUSTER: &str = "drill";
/// Capacity of each node in bytes: small, so that it can be filled.
const CAPACITY_BYTES: u64 = 128 << 20;
/// Logs that are written all the time. The hog's comes after them.
const LOGS: usize = 3;
/// Bytes of their chunks.
const CHUNK_SIZES: Sizes = Sizes { min: 40, max: 32 << 10 };
/// Bytes of the hog's chunks.
const HOG_SIZES: Sizes = Sizes { min: 256 << 10, max: 1 << 20 };
/// Within how long each node reads again everything that it stores.
const SCRUB_TIME: Duration = Duration::from_secs(20);
const SECONDS_PER_DAY: f64 = 86_400.0;
/// How long clients work before the first fault.
const WARM_UP: Duration = Duration::from_secs(1);

/// Which drill to run.
#[derive(Clone, Debug)]
pub struct DrillPlan {
    /// The `quarry` binary.
    pub binary: PathBuf,
    /// Where the cluster lies; must not hold one yet.
    pub dir: PathBuf,
    /// How long faults go on, at least. Every kind happens once, however short it is.
    pub time: Duration,
    /// Where all choices come from.
    pub seed: u64,
    /// How many nodes, [`ZONES_MIN`] to [`NODES_MAX`].
    pub nodes: usize,
    /// In how many zones, at least [`ZONES_MIN`] and at most a node each.
    pub zones: usize,
    /// Makes the checker's record wrong at the end: the drill must fail.
    pub plant_wrong_record: bool,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The nodes could not be started.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Something of this machine's.
    #[error("{0}")]
    Machine(String),
}

/// Runs a drill; `say` is told what happens. Must be called on a thread that lives as long as the process.
pub async fn run(plan: &DrillPlan, say: &dyn Fn(&str)) -> Result<DrillReport, DrillError> {
    let began = Instant::now();
    let mut sizes = vec![CHUNK_SIZES; LOGS];
    sizes.push(HOG_SIZES);
    let checker = Arc::new(Checker::new(plan.seed, &sizes));
    let mut victims = start(plan).await?;
    let url = victims.cluster.url();
    let clients = Clients::start(&url, &checker, LOGS).await.map_err(DrillError::Machine)?;
    victims.hog = Some(clients.hog(&url, &checker, LOGS).await.map_err(DrillError::Machine)?);
    let mut schedule = Schedule::new(plan.seed, plan.nodes, plan.zones);
    say(&format!(
        "{} nodes in {} zones serve; disks lose things in zone-{} only; {LOGS} logs are written",
        plan.nodes,
        plan.zones,
        schedule.fallible_zone() + 1
    ));
    let drill = Drill { plan, checker: &checker, say, began };
    let faults = drill.strike(&mut victims, &mut schedule).await;
    // Violated or not, the clients end as they should: what they were told on the way belongs to the record.
    if let Err(why) = clients.stop().await {
        checker.violated(why);
    }
    if checker.violations().is_empty() {
        say(
            "all is healed; every log is opened, appended to, read and repaired once more, and then every copy is read",
        );
        last_look::look(&url, &checker, plan.plant_wrong_record).await;
    }
    let (bits_flipped, disks_filled) = (victims.bits_flipped, victims.disks_filled);
    if let Err(why) = victims.cluster.stop().await {
        checker.violated(why.to_string());
    }
    Ok(DrillReport {
        verdict: if checker.violations().is_empty() { "OK" } else { "FAILED" },
        seed: plan.seed,
        seconds: began.elapsed().as_secs(),
        nodes: plan.nodes,
        zones: plan.zones,
        fallible_zone: format!("zone-{}", schedule.fallible_zone() + 1),
        faults,
        bits_flipped,
        disks_filled,
        counts: checker.counts(),
        longest_stall_ms: checker.stalls.longest_ms(),
        violations: checker.violations(),
    })
}

/// Formats and starts the nodes, each behind a proxy.
async fn start(plan: &DrillPlan) -> Result<Victims, DrillError> {
    let mut proxies = Vec::new();
    for _ in 0..plan.nodes {
        proxies.push(Proxy::listen().await.map_err(|why| DrillError::Machine(format!("a port on loopback: {why}")))?);
    }
    let config = settings(&plan.dir).map_err(|why| DrillError::Machine(format!("{}: {why}", plan.dir.display())))?;
    let cluster = LocalCluster::start(LocalClusterPlan {
        binary: plan.binary.clone(),
        dir: plan.dir.clone(),
        nodes: plan.nodes,
        zones: plan.zones,
        advertised: proxies.iter().map(Proxy::address).collect(),
        cluster: CLUSTER.to_owned(),
        format_arguments: ["--file-size", "16MiB", "--capacity", &CAPACITY_BYTES.to_string()].map(str::to_owned).into(),
        start_arguments: vec!["--config".to_owned(), config],
        gossip: true,
    })
    .await?;
    for (proxy, node) in proxies.iter().zip(cluster.nodes()) {
        proxy.stand_for(node.listen());
    }
    let random = Random::new(plan.seed, u64::MAX);
    Ok(Victims { cluster, proxies, hog: None, random, bits_flipped: 0, disks_filled: 0 })
}

/// Writes the nodes' configuration file: scrub finds rot within a drill, not within a week.
fn settings(dir: &Path) -> io::Result<String> {
    std::fs::create_dir_all(dir)?;
    let path = dir.canonicalize()?.join("nodes.toml");
    std::fs::write(&path, format!("[scrub]\ndays = {}\n", SCRUB_TIME.as_secs_f64() / SECONDS_PER_DAY))?;
    Ok(path.to_string_lossy().into_owned())
}

/// A drill under way.
struct Drill<'a> {
    plan: &'a DrillPlan,
    checker: &'a Checker,
    say: &'a dyn Fn(&str),
    began: Instant,
}

impl Drill<'_> {
    /// Strikes until the time is over and every kind has had its turn, or something is violated; says how often each did.
    async fn strike(&self, victims: &mut Victims, schedule: &mut Schedule) -> BTreeMap<FaultKind, u64> {
        let mut faults = BTreeMap::new();
        let end = Instant::now() + WARM_UP + self.plan.time;
        sleep(WARM_UP).await;
        while self.checker.violations().is_empty() && (Instant::now() < end || !schedule.had_all()) {
            let blow = schedule.next();
            if let Err(why) = self.deal(victims, &blow).await {
                // A node that does not come back, or that ended by itself, is a finding.
                self.checker.violated(why.to_string());
            }
            blow.faults().for_each(|fault| *faults.entry(fault.kind).or_default() += 1);
        }
        self.checker.stalls.now(None);
        faults
    }

    /// Deals a blow, heals, and rests.
    async fn deal(&self, victims: &mut Victims, blow: &Blow) -> Result<(), InjuryError> {
        self.checker.stalls.now(Some(&blow.label(self.plan.zones)));
        let mut ends = vec![(Instant::now() + blow.first.lasts, blow.first)];
        self.say(blow);
        victims.hurt(blow.first).await?;
        if let Some((later, second)) = blow.second {
            self.wait_until(ends[0].0.min(Instant::now() + later)).await;
            victims.hurt(second).await?;
            ends.push((Instant::now() + second.lasts, second));
        }
        ends.sort_by_key(|(end, _)| *end);
        for (end, fault) in ends {
            self.wait_until(end).await;
            victims.heal(fault).await?;
        }
        self.wait_until(Instant::now() + blow.rest).await;
        self.checker.stalls.now(None);
        Ok(victims.cluster.check_running()?)
    }

    /// Waits, or less if something is violated.
    async fn wait_until(&self, at: Instant) {
        tokio::select! {
            () = sleep_until(at) => {}
            () = self.checker.first_violation() => {}
        }
    }

    fn say(&self, blow: &Blow) {
        let faults: Vec<_> =
            blow.faults().map(|fault| format!("{} of node {}", fault.kind.name(), fault.node + 1)).collect();
        let acknowledged = self.checker.counts().acknowledged;
        let seconds = self.began.elapsed().as_secs();
        (self.say)(&format!("{seconds:>4} s  {acknowledged:>7} acknowledged  {}", faults.join(" and ")));
    }
}
