//! One shard's thread: replay, then a glommio executor that runs the shard's loop and its connections.

use super::mailbox::{Letter, Mailbox};
use super::owner::Owner;
use super::world::{Event, World};
use super::{probe, serve};
use crate::layout;
use crate::shard::{Shard, ShardConfig};
use crate::store::{Replayed, StoreConfig};
use glommio::{LocalExecutorBuilder, Placement};
use quarry_protocol::message::NodeInfo;
use quarry_protocol::replica::Identity;
use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// Memory registered with the kernel for disk buffers, in bytes: one turn's writes and reads. What does not fit comes
/// from the allocator.
const REGISTERED_BYTES: usize = 16 << 20;
/// glommio's preemption timer, so long that it never rings. If it rings before the first task of a turn has run, glommio
/// 0.9.0 takes the turn for idle and sleeps although tasks are ready; with nothing else to wake it, for ever. Tasks here
/// pause by themselves instead; see [`super::receive`].
const PREEMPT_NEVER: Duration = Duration::from_hours(1);

/// What a shard's thread starts from.
pub(crate) struct ShardStart {
    /// The data directory.
    pub(crate) data: PathBuf,
    /// Which shard.
    pub(crate) shard: u16,
    /// Its socket.
    pub(crate) listener: TcpListener,
    /// What the format fixed for its files.
    pub(crate) store: StoreConfig,
    /// The CPU to stay on, if any.
    pub(crate) cpu: Option<usize>,
    /// How long to spin before sleeping; zero not to.
    pub(crate) spin: Duration,
}

/// A shard's thread, running.
#[derive(Debug)]
pub(crate) struct ShardThread {
    /// Ends when the shard has stopped.
    pub(crate) thread: JoinHandle<()>,
    /// How to talk to it.
    pub(crate) mailbox: Arc<Mailbox>,
    /// Why its disk failed, once it did.
    pub(crate) failed: watch::Receiver<Option<String>>,
}

/// Ends the process if a shard's thread panics: half a node that holds its port is worse than none, and its state in
/// memory is not to be trusted (DESIGN 4.1).
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a shard panicked: the node ends");
            std::process::abort();
        }
    }
}

/// How far a shard's start has come.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Its files are replayed; these are its names. It waits to be told about the whole node.
    Replayed(Identity),
    /// It serves.
    Serving,
    /// It does not start.
    Failed(String),
}

impl ShardThread {
    /// Starts the thread. `replay` runs on it first; then it says that, hears about the node, and serves. It ends without
    /// a word if it hears nothing.
    pub(crate) fn spawn(
        start: ShardStart,
        replay: impl FnOnce() -> Result<Replayed, String> + Send + 'static,
        said: mpsc::Sender<(u16, Progress)>,
        heard: mpsc::Receiver<NodeInfo>,
    ) -> io::Result<Self> {
        let mailbox = Arc::new(Mailbox::default());
        let (failed_sender, failed) = watch::channel(None);
        let letters = mailbox.clone();
        let thread = std::thread::Builder::new().name(format!("shard-{:02}", start.shard)).spawn(move || {
            let _guard = AbortOnPanic;
            let shard = start.shard;
            // Nobody listens any more if another shard failed first.
            let say = |progress| drop(said.send((shard, progress)));
            let replayed = match replay() {
                Ok(replayed) => replayed,
                Err(why) => return say(Progress::Failed(why)),
            };
            say(Progress::Replayed(replayed.identity()));
            let Ok(node) = heard.recv() else { return };
            // The loop's time begins at 0 right after this.
            let store = StoreConfig { wall_clock_at_zero_s: wall_clock_s(), ..start.store };
            let config = ShardConfig { node: NodeInfo { shard, ..node }, store };
            let machine = Shard::new(config, replayed);
            if let Err(why) = run(start, machine, letters, failed_sender, || say(Progress::Serving)) {
                say(Progress::Failed(why));
            }
        })?;
        Ok(Self { thread, mailbox, failed })
    }
}

/// The clock on the wall, in Unix seconds; 0 if it shows a time before that.
fn wall_clock_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn run(
    start: ShardStart,
    machine: Shard,
    letters: Arc<Mailbox>,
    failed: watch::Sender<Option<String>>,
    serving: impl FnOnce(),
) -> Result<(), String> {
    let placement = start.cpu.map_or(Placement::Unbound, Placement::Fixed);
    let mut builder = LocalExecutorBuilder::new(placement)
        .name(&format!("shard-{:02}", start.shard))
        .io_memory(REGISTERED_BYTES)
        .preempt_timer(PREEMPT_NEVER);
    if !start.spin.is_zero() {
        builder = builder.spin_before_park(start.spin);
    }
    let executor = builder.make().map_err(|why| format!("making the executor: {why}"))?;
    executor.run(async move {
        let superblock = probe::settle(&start.data).await?;
        let world = Rc::new(World::new(layout::shard_directory(&start.data, start.shard)));
        let owner = Owner::new(world.clone(), machine, start.store.disk, failed);
        let accepting = glommio::spawn_local(serve::accept(world.clone(), serve::adopt(start.listener)));
        let watching = glommio::spawn_local(serve::watch_stalls(world.clone()));
        let reading = glommio::spawn_local(read_letters(world, letters));
        serving();
        owner.run().await;
        drop((accepting, watching, reading, superblock));
        Ok(())
    })
}

/// Turns letters into events, for ever.
async fn read_letters(world: Rc<World>, letters: Arc<Mailbox>) {
    let mut ticket = 0;
    loop {
        match poll_fn(|cx| letters.poll_next(cx)).await {
            Letter::Admin { request, answer } => {
                ticket += 1;
                world.ask(ticket, request, answer);
            }
            Letter::Members(list) => world.put(Event::Members { list }),
            Letter::Stop => world.stop(),
        }
    }
}
