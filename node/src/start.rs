//! `start`: running a node on a formatted directory, and stopping it cleanly.

use crate::config::{GossipConfig, StartConfig};
use crate::control::{ControlThread, Facts, GossipSocket, Shards};
use crate::directory::{DataDirectory, DirectoryError};
use crate::io::preflight::{self, PreflightError};
use crate::io::{Letter, Mailbox, Progress, ShardStart, ShardThread, allowed_cpus, replay};
use crate::kept;
use crate::layout;
use crate::store::StoreConfig;
use quarry_protocol::ids::DiskId;
use quarry_protocol::message::{NodeInfo, ShardAddress};
use quarry_protocol::replica::Identity;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::sync::{Arc, mpsc};
use std::time::Instant;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine does not provide what a node needs.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The data directory is not ours to use.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A port cannot be listened on.
    #[error("listening on {address} for {what}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What was to listen there.
        what: String,
        /// What the system answered.
        why: io::Error,
    },
    /// There are not enough CPUs to pin the shards to.
    #[error(
        "pinning needs a CPU for each of {shards} shards, this process may use {cpus}: start without --pin, or allow more"
    )]
    Pin {
        /// Shards.
        shards: usize,
        /// CPUs.
        cpus: usize,
    },
    /// A shard does not start.
    #[error("shard {shard}: {why}")]
    Shard {
        /// Which.
        shard: usize,
        /// Why.
        why: String,
    },
    /// Something else that the system refused.
    #[error("could not {what}: {why}")]
    System {
        /// What was being done.
        what: &'static str,
        /// What the system answered.
        why: String,
    },
}

/// Where a node can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// `host:port` that clients are told.
    pub advertise: String,
    /// Each shard, in order.
    pub shards: Vec<SocketAddr>,
    /// The control plane: gRPC and `/metrics`.
    pub control: SocketAddr,
    /// Where other nodes reach its gossip (UDP), if it gossips.
    pub gossip: Option<SocketAddr>,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    addresses: Addresses,
    shards: Vec<ShardThread>,
    control: ControlThread,
    /// Locked until the last shard has ended.
    _directory: DataDirectory,
}

/// Stops a node from elsewhere, a signal's thread for one.
#[derive(Clone, Debug)]
pub struct Stopper(Vec<Arc<Mailbox>>);

impl Stopper {
    /// Begins a clean stop: everything accepted becomes durable, then a last mark says so. [`Node::wait`] returns when
    /// that is done. Calling it again does nothing more.
    pub fn stop(&self) {
        for mailbox in &self.0 {
            // A shard that has stopped already does not read its letters.
            let _ = mailbox.put(Letter::Stop);
        }
    }
}

impl Node {
    /// Where it can be reached.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// How to stop it from elsewhere.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.shards.iter().map(|shard| shard.mailbox.clone()).collect())
    }

    /// Begins a clean stop; see [`Stopper::stop`].
    pub fn stop(&self) {
        self.stopper().stop();
    }

    /// Waits until the node has stopped. A shard that panics ends the process, so there is nothing to report.
    pub fn wait(self) {
        for shard in self.shards {
            shard.thread.join().expect("a shard that panics ends the process");
        }
        self.control.stop();
    }
}

/// Starts a node. When this returns, every shard has replayed its files and serves.
pub fn start(config: &StartConfig) -> Result<Node, StartError> {
    preflight::check()?;
    preflight::raise_open_files();
    let mut directory = DataDirectory::open(&config.data)?;
    if let Some(cluster) = &config.cluster {
        let refused = |why| DirectoryError::Superblock { path: config.data.clone(), why };
        directory.superblock.check_cluster(cluster).map_err(refused)?;
    }
    directory.mend()?;
    let shards = directory.superblock.disks.len();
    let cpus = cpus(config, shards)?;
    let listeners = listen(config, shards)?;
    let control = bind(config.control, "the control plane")?;
    let gossip = config.gossip.as_ref().map(gossip_socket).transpose()?;
    let mut addresses = addresses(config, &listeners, &control)?;
    addresses.gossip = gossip.as_ref().map(|gossip| gossip.address);
    let (threads, info) = run_shards(config, &directory, &addresses, listeners, &cpus)?;
    let watched = Shards {
        facts: Arc::new(facts(config, &directory, &addresses, info)?),
        mailboxes: threads.iter().map(|shard| shard.mailbox.clone()).collect(),
        failed: threads.iter().map(|shard| shard.failed.clone()).collect(),
    };
    let control = ControlThread::spawn(control, watched, gossip)
        .map_err(|why| StartError::System { what: "start the control plane", why: why.to_string() })?;
    Ok(Node { addresses, shards: threads, control, _directory: directory })
}

/// The CPU of each shard; none if shards are not pinned.
fn cpus(config: &StartConfig, shards: usize) -> Result<Vec<usize>, StartError> {
    if !config.pin {
        return Ok(Vec::new());
    }
    let cpus = allowed_cpus()
        .map_err(|why| StartError::System { what: "ask which CPUs may be used", why: why.to_string() })?;
    if cpus.len() < shards {
        return Err(StartError::Pin { shards, cpus: cpus.len() });
    }
    Ok(cpus)
}

/// How often an address in use is tried again, and how long after: three seconds in all.
const BIND_TRIES_MAX: u32 = 60;
const BIND_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

fn bind(address: SocketAddr, what: &str) -> Result<TcpListener, StartError> {
    // The kernel lets go of a killed node's rings, and of the socket they accept on, a moment after the process is gone.
    let mut tries = 0;
    loop {
        match TcpListener::bind(address) {
            Err(why) if why.kind() == std::io::ErrorKind::AddrInUse && tries < BIND_TRIES_MAX => {
                tries += 1;
                std::thread::sleep(BIND_PAUSE);
            }
            bound => return bound.map_err(|why| StartError::Listen { address, what: what.to_owned(), why }),
        }
    }
}

fn listen(config: &StartConfig, shards: usize) -> Result<Vec<TcpListener>, StartError> {
    let port = |shard| if config.listen.port() == 0 { 0 } else { config.listen.port() + shard as u16 };
    (0..shards).map(|shard| bind(SocketAddr::new(config.listen.ip(), port(shard)), &format!("shard {shard}"))).collect()
}

fn addresses(config: &StartConfig, shards: &[TcpListener], control: &TcpListener) -> Result<Addresses, StartError> {
    let local = |listener: &TcpListener| {
        let what = "ask where a socket listens";
        listener.local_addr().map_err(|why| StartError::System { what, why: why.to_string() })
    };
    let shards = shards.iter().map(local).collect::<Result<Vec<_>, _>>()?;
    let (host, port) = &config.advertise;
    let advertise = format!("{host}:{}", port.unwrap_or(shards[0].port()));
    Ok(Addresses { advertise, shards, control: local(control)?, gossip: None })
}

fn gossip_socket(config: &GossipConfig) -> Result<GossipSocket, StartError> {
    let refused = |why| StartError::Listen { address: config.listen, what: "gossip (UDP)".to_owned(), why };
    let socket = UdpSocket::bind(config.listen).map_err(refused)?;
    let (host, port) = &config.advertise;
    let port = port.unwrap_or(socket.local_addr().map_err(refused)?.port());
    let unknown = |why: String| {
        let why = format!("{host}: {why}: set gossip.advertise to an address that other nodes reach this one by");
        StartError::System { what: "find the address to gossip at", why }
    };
    let found = format!("{host}:{port}").to_socket_addrs().map_err(|why| unknown(why.to_string()))?;
    let same_family = |address: &SocketAddr| address.is_ipv4() == config.listen.is_ipv4();
    let address =
        found.into_iter().find(same_family).ok_or_else(|| unknown("no address of the kind listened on".into()))?;
    Ok(GossipSocket { socket, address, seeds: config.seeds.clone(), key: config.key.clone() })
}

fn facts(
    config: &StartConfig,
    directory: &DataDirectory,
    addresses: &Addresses,
    info: NodeInfo,
) -> Result<Facts, StartError> {
    // Others reach the control plane by the name that they reach the shards by, unless it listens somewhere else on purpose.
    let elsewhere = !config.control.ip().is_unspecified() && config.control.ip() != config.listen.ip();
    let control = if elsewhere {
        addresses.control.to_string()
    } else {
        format!("{}:{}", config.advertise.0, addresses.control.port())
    };
    Ok(Facts {
        info,
        node: directory.superblock.node,
        disk: directory.superblock.disks[0],
        incarnation: kept::next_incarnation(&directory.path)?,
        rack: config.rack.clone(),
        control,
        data: directory.path.clone(),
        started: Instant::now(),
    })
}

/// Replays every shard, all at once, and then lets all of them serve: a hello names every shard's identity, and a replay
/// may change it.
fn run_shards(
    config: &StartConfig,
    directory: &DataDirectory,
    addresses: &Addresses,
    listeners: Vec<TcpListener>,
    cpus: &[usize],
) -> Result<(Vec<ShardThread>, NodeInfo), StartError> {
    let (said, heard) = mpsc::channel();
    let (mut threads, mut told) = (Vec::new(), Vec::new());
    for (shard, listener) in listeners.into_iter().enumerate() {
        let disk = directory.superblock.disks[shard];
        let file_bytes = directory.superblock.file_bytes;
        let files_max = directory.superblock.files_per_shard;
        let scrub_period_us = config.scrub.map(|period| period.as_micros() as u64);
        let store = StoreConfig { disk, file_bytes, files_max, wall_clock_at_zero_s: 0, scrub_period_us };
        let fresh = crate::format::random().map(DiskId);
        let fresh = fresh.map_err(|why| StartError::System { what: "choose an identity", why: why.to_string() })?;
        let files = layout::shard_directory(&directory.path, shard as u16);
        let start = ShardStart {
            data: directory.path.clone(),
            shard: shard as u16,
            listener,
            store,
            cpu: cpus.get(shard).copied(),
            spin: config.spin,
        };
        let (tell, hear) = mpsc::channel();
        let replay = move || replay::replay(&files, disk, fresh, file_bytes);
        let thread = ShardThread::spawn(start, replay, said.clone(), hear)
            .map_err(|why| StartError::System { what: "start a shard's thread", why: why.to_string() })?;
        threads.push(thread);
        told.push(tell);
    }
    drop(said);
    // Returning early drops `told`: threads that wait for their turn end then.
    let mut identities = vec![None; threads.len()];
    for _ in 0..threads.len() {
        match heard.recv() {
            Ok((shard, Progress::Replayed(identity))) => identities[usize::from(shard)] = Some(identity),
            other => return Err(not_started(other)),
        }
    }
    let info = node_info(directory, addresses, identities.into_iter().flatten().collect());
    for tell in told {
        // A thread that has failed says so below.
        let _ = tell.send(info.clone());
    }
    for _ in 0..threads.len() {
        match heard.recv() {
            Ok((_, Progress::Serving)) => {}
            other => {
                Stopper(threads.iter().map(|shard| shard.mailbox.clone()).collect()).stop();
                return Err(not_started(other));
            }
        }
    }
    Ok((threads, info))
}

fn not_started(heard: Result<(u16, Progress), mpsc::RecvError>) -> StartError {
    match heard {
        Ok((shard, Progress::Failed(why))) => StartError::Shard { shard: usize::from(shard), why },
        Ok((shard, other)) => unreachable!("shard {shard} said {other:?} out of turn"),
        Err(_) => StartError::System { what: "start the shards", why: "their threads ended without a word".into() },
    }
}

fn node_info(directory: &DataDirectory, addresses: &Addresses, identities: Vec<Identity>) -> NodeInfo {
    let shards = identities.into_iter().zip(&addresses.shards).map(|(identity, address)| ShardAddress {
        disk: identity.current,
        retired: identity.retired,
        port: address.port(),
    });
    NodeInfo {
        cluster: directory.superblock.cluster.clone(),
        zone: directory.superblock.zone.clone(),
        advertise: addresses.advertise.clone(),
        shards: shards.collect(),
        shard: 0,
    }
}
