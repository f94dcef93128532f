//! One receiving process.

use super::{PipeError, system};
use crate::device::DeviceFile;
use quarry_protocol::limits::BLOCK_BYTES;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Writes in flight.
const WRITERS: usize = 2;
/// Most chunks received and not written: what the sender may have on its way, and then some.
const CHUNKS_MAX: usize = 1024;
/// Most bytes of one write: as much as a node's.
const WRITE_BYTES_MAX: usize = quarry_protocol::limits::BATCH_BYTES_SOFT_MAX as usize;

/// What a receiver does.
#[derive(Clone, Debug)]
pub struct ReceiverPlan {
    /// Its file; made, and removed in the end.
    pub file: PathBuf,
    /// Bytes of it.
    pub file_bytes: u64,
    /// Bytes of every chunk: a multiple of 4 KiB.
    pub chunk_bytes: usize,
}

/// A receiver that listens.
#[derive(Debug)]
pub struct PipeReceiver {
    listener: TcpListener,
    file: DeviceFile,
    chunk_bytes: usize,
}

/// Memory for one chunk, aligned as direct writes need it.
struct Aligned {
    bytes: Vec<u8>,
    from: usize,
    length: usize,
}

impl Aligned {
    fn new(length: usize) -> Self {
        let block = BLOCK_BYTES as usize;
        let bytes = vec![0; length + block];
        let from = bytes.as_ptr().align_offset(block);
        Self { bytes, from, length }
    }

    fn get(&self) -> &[u8] {
        &self.bytes[self.from..self.from + self.length]
    }

    fn get_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.from..self.from + self.length]
    }
}

/// What the receiving thread and the writing ones share.
#[derive(Default)]
struct Waiting {
    received: VecDeque<Aligned>,
    free: Vec<Aligned>,
    chunks: usize,
    position: u64,
    ended: bool,
    failed: Option<io::Error>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    came: Condvar,
    freed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PipeReceiver {
    /// Prepares the file, and listens on a port of 127.0.0.1.
    pub fn prepare(plan: &ReceiverPlan) -> Result<Self, PipeError> {
        if plan.chunk_bytes == 0 || !plan.chunk_bytes.is_multiple_of(BLOCK_BYTES as usize) {
            return Err(PipeError::Plan(format!(
                "chunks of {} bytes cannot be written directly: give a multiple of {BLOCK_BYTES}",
                plan.chunk_bytes
            )));
        }
        let file = DeviceFile::prepare(&plan.file, plan.file_bytes.max(2 * WRITE_BYTES_MAX as u64))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(system("listening"))?;
        Ok(Self { listener, file, chunk_bytes: plan.chunk_bytes })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr, PipeError> {
        self.listener.local_addr().map_err(system("own address"))
    }

    /// Serves one sender until that is gone; says how many chunks were written.
    pub fn serve(&self) -> Result<u64, PipeError> {
        let (stream, _) = self.listener.accept().map_err(system("accepting"))?;
        stream.set_nodelay(true).map_err(system("socket option"))?;
        let shared = Shared { waiting: Mutex::default(), came: Condvar::new(), freed: Condvar::new() };
        let written = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(|| self.write(&shared, &stream))).collect();
            let received = receive(&shared, &stream, self.chunk_bytes);
            shared.lock().ended = true;
            shared.came.notify_all();
            let written = writers.into_iter().map(|writer| writer.join().expect("a writer does not panic")).sum();
            received.map(|()| written)
        });
        match shared.lock().failed.take() {
            Some(why) => Err(system("durable write")(why)),
            None => written.map_err(system("receiving")),
        }
    }

    /// Writes what waits, all of it in one call, until nothing more comes.
    fn write(&self, shared: &Shared, mut answers: &TcpStream) -> u64 {
        let per_write = (WRITE_BYTES_MAX / self.chunk_bytes).max(1);
        let (mut batch, mut written) = (Vec::with_capacity(per_write), 0);
        loop {
            let position = {
                let mut waiting = shared.lock();
                let came = batch.len();
                waiting.free.append(&mut batch);
                waiting.chunks -= came;
                if came > 0 {
                    shared.freed.notify_one();
                }
                while waiting.received.is_empty() {
                    if waiting.ended || waiting.failed.is_some() {
                        return written;
                    }
                    waiting = shared.came.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
                let count = waiting.received.len().min(per_write);
                batch.extend(waiting.received.drain(..count));
                let bytes = (batch.len() * self.chunk_bytes) as u64;
                if waiting.position + bytes > self.file.bytes() {
                    waiting.position = 0;
                }
                let position = waiting.position;
                waiting.position += bytes;
                position
            };
            let slices: Vec<_> = batch.iter().map(|chunk| IoSlice::new(chunk.get())).collect();
            let answer = (batch.len() as u32).to_le_bytes();
            let done = self.file.write_all_at(&slices, position).and_then(|()| answers.write_all(&answer));
            if let Err(why) = done {
                shared.lock().failed.get_or_insert(why);
                shared.came.notify_all();
                shared.freed.notify_all();
                return written;
            }
            written += batch.len() as u64;
        }
    }
}

fn receive(shared: &Shared, mut stream: &TcpStream, chunk_bytes: usize) -> io::Result<()> {
    loop {
        let mut chunk = {
            let mut waiting = shared.lock();
            while waiting.chunks >= CHUNKS_MAX && waiting.failed.is_none() {
                waiting = shared.freed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if waiting.failed.is_some() {
                return Ok(());
            }
            waiting.chunks += 1;
            waiting.free.pop()
        }
        .unwrap_or_else(|| Aligned::new(chunk_bytes));
        match stream.read_exact(chunk.get_mut()) {
            Ok(()) => {}
            Err(why) if matches!(why.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                return Ok(());
            }
            Err(why) => return Err(why),
        }
        // What a node does to every chunk as well; the sum goes nowhere, so the compiler must not see that.
        std::hint::black_box(crc32c::crc32c(chunk.get()));
        shared.lock().received.push_back(chunk);
        shared.came.notify_one();
    }
}
