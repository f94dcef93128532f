//! The sending side: the same load as appends, into processes that do the least.

use super::{ANSWER_BYTES, PipeError, system};
use crate::latencies::Latencies;
use crate::measured::{Measured, Until};
use crate::noise::Noise;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// What to start.
#[derive(Clone, Debug)]
pub struct PipePlan {
    /// The program whose `bench pipe-receiver` is a [`super::PipeReceiver`].
    pub binary: PathBuf,
    /// Where the receivers' files go.
    pub dir: PathBuf,
    /// How many there are.
    pub replicas: usize,
    /// How many have to have written a chunk before it counts.
    pub ack_quorum: usize,
    /// Bytes of every chunk: a multiple of 4 KiB.
    pub chunk_bytes: usize,
    /// Bytes of each receiver's file.
    pub file_bytes: u64,
}

/// Receivers, and connections to them.
#[derive(Debug)]
pub struct Pipe {
    streams: Vec<TcpStream>,
    shared: Arc<Shared>,
    listening: Vec<JoinHandle<()>>,
    receivers: Vec<Child>,
    payload: Vec<u8>,
}

#[derive(Debug)]
struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
    ack_quorum: usize,
}

/// How far the receivers are.
#[derive(Debug)]
struct Progress {
    durable: Vec<u64>,
    committed: u64,
    /// When each chunk that is not committed was sent.
    sent: VecDeque<Instant>,
    latencies: Latencies,
    gone: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn durable(&self, replica: usize, chunks: u64) {
        let mut progress = self.lock();
        progress.durable[replica] += chunks;
        let mut counts = progress.durable.clone();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let (committed, now) = (counts[self.ack_quorum - 1], Instant::now());
        for _ in progress.committed..committed {
            let sent_at = progress.sent.pop_front().expect("what is durable was sent");
            progress.latencies.record(now - sent_at);
        }
        progress.committed = committed;
        self.changed.notify_one();
    }
}

impl Pipe {
    /// Starts the receivers, and connects to them.
    pub fn start(plan: &PipePlan) -> Result<Self, PipeError> {
        let mut receivers = Vec::with_capacity(plan.replicas);
        let mut addresses = Vec::with_capacity(plan.replicas);
        for replica in 0..plan.replicas {
            let file = plan.dir.join(format!("pipe-{}-{replica}", std::process::id()));
            let mut child = Command::new(&plan.binary)
                .args(["bench", "pipe-receiver", "--file"])
                .arg(file)
                .args(["--file-bytes", &plan.file_bytes.to_string(), "--chunk", &plan.chunk_bytes.to_string()])
                .args(["--stop-with-parent", &std::process::id().to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(system("starting a receiver"))?;
            let mut line = String::new();
            let stdout = child.stdout.take().expect("it is piped");
            let read = BufReader::new(stdout).read_line(&mut line).map_err(system("a receiver's address"));
            receivers.push(child);
            let parsed = read.map(|_| line.trim().parse::<SocketAddr>());
            match parsed {
                Ok(Ok(address)) => addresses.push(address),
                Ok(Err(_)) => {
                    end(receivers);
                    return Err(PipeError::Plan(format!("receiver {replica} did not start: see what it wrote above")));
                }
                Err(why) => {
                    end(receivers);
                    return Err(why);
                }
            }
        }
        Self::connect(&addresses, plan.ack_quorum, plan.chunk_bytes, receivers)
    }

    /// Connects to receivers that listen.
    pub(super) fn connect(
        addresses: &[SocketAddr],
        ack_quorum: usize,
        chunk_bytes: usize,
        receivers: Vec<Child>,
    ) -> Result<Self, PipeError> {
        assert!((1..=addresses.len()).contains(&ack_quorum), "{ack_quorum} of {} receivers", addresses.len());
        let progress = Progress {
            durable: vec![0; addresses.len()],
            committed: 0,
            sent: VecDeque::new(),
            latencies: Latencies::new(),
            gone: false,
        };
        let shared = Arc::new(Shared { progress: Mutex::new(progress), changed: Condvar::new(), ack_quorum });
        let (mut streams, mut listening) = (Vec::new(), Vec::new());
        for (replica, address) in addresses.iter().enumerate() {
            let stream = TcpStream::connect(address).map_err(system("connecting"))?;
            stream.set_nodelay(true).map_err(system("socket option"))?;
            let answers = stream.try_clone().map_err(system("socket"))?;
            let shared = Arc::clone(&shared);
            listening.push(std::thread::spawn(move || listen(&shared, replica, answers)));
            streams.push(stream);
        }
        Ok(Self { streams, shared, listening, receivers, payload: Noise::new(4).bytes(chunk_bytes) })
    }

    /// The processes that receive.
    pub fn processes(&self) -> impl Iterator<Item = u32> + '_ {
        self.receivers.iter().map(Child::id)
    }

    /// Sends chunks with `depth` not committed at any time (closed loop) until `until`, and waits for the last one.
    pub fn measure(&mut self, depth: usize, until: Until) -> Result<Measured, PipeError> {
        let begun_at = Instant::now();
        let (first, mut begun) = (self.shared.lock().committed, 0);
        while until.allows(begun, begun_at.elapsed()) {
            self.wait_for(|progress| progress.sent.len() < depth)?;
            self.shared.lock().sent.push_back(Instant::now());
            for mut stream in &self.streams {
                stream.write_all(&self.payload).map_err(system("sending"))?;
            }
            begun += 1;
        }
        self.wait_for(|progress| progress.committed == first + begun)?;
        let elapsed = begun_at.elapsed();
        let latencies = std::mem::take(&mut self.shared.lock().latencies);
        Ok(Measured { latencies, bytes: begun * self.payload.len() as u64, elapsed })
    }

    fn wait_for(&self, done: impl Fn(&Progress) -> bool) -> Result<(), PipeError> {
        let mut progress = self.shared.lock();
        while !done(&progress) {
            if progress.gone {
                return Err(PipeError::Plan("a receiver is gone: see what it wrote above".to_owned()));
            }
            progress = self.shared.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for stream in &self.streams {
            // One that is gone is shut down already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        for listening in self.listening.drain(..) {
            let _ = listening.join();
        }
        // They end with their connections; whoever still does not is waited for, not killed: it removes its file.
        for mut receiver in self.receivers.drain(..) {
            let _ = receiver.wait();
        }
    }
}

fn listen(shared: &Shared, replica: usize, mut answers: TcpStream) {
    let mut answer = [0; ANSWER_BYTES];
    while answers.read_exact(&mut answer).is_ok() {
        shared.durable(replica, u64::from(u32::from_le_bytes(answer)));
    }
    shared.lock().gone = true;
    shared.changed.notify_one();
}

fn end(receivers: Vec<Child>) {
    for mut receiver in receivers {
        let _ = receiver.kill();
        let _ = receiver.wait();
    }
}
