//! Replay's reads: stretches of files, cut into pieces of bounded size, several in flight, handed on in order.

use super::scan::Scan;
use quarry_protocol::limits::BLOCK_BYTES;
use std::collections::{BTreeMap, VecDeque};

/// Most bytes of one read.
pub const REPLAY_READ_BYTES_MAX: u32 = 1 << 20;
/// Most reads in flight.
pub const REPLAY_READS_MAX: usize = 8;
/// Most reads in flight for one stretch: one is verified while the next ones come.
const READS_PER_STRETCH_MAX: usize = 4;

/// What becomes of the bytes.
#[derive(Debug)]
pub(super) enum Sink {
    /// One block is kept as it is; none if it cannot be read.
    Block(Option<Vec<u8>>),
    /// Batches are looked for.
    Scan(Scan),
}

/// Why a stretch is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// First block of a file.
    Head,
    /// Last block of a file.
    Tail,
    /// A snapshot that may become the base.
    Base,
    /// Whether a file that no snapshot lists holds batches newer than the base.
    Probe,
    /// A file's index.
    Index,
    /// Every batch of a file.
    Whole,
}

#[derive(Debug)]
struct Stretch {
    purpose: Purpose,
    file: u32,
    /// Next byte to ask for, next byte to hand on, and the end.
    ask: u64,
    hand: u64,
    end: u64,
    in_flight: usize,
    /// Pieces that came before their turn, by position; none if unreadable.
    early: BTreeMap<u64, (u32, Option<Vec<u8>>)>,
    sink: Sink,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    stretch: u64,
    position: u64,
    bytes: u32,
    /// D6: a read error is tried once more.
    again: bool,
}

/// A read to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadPiece {
    pub(super) token: u64,
    pub(super) file: u32,
    pub(super) position: u64,
    pub(super) bytes: u32,
}

/// A stretch that was read.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) purpose: Purpose,
    pub(super) file: u32,
    pub(super) sink: Sink,
}

/// All reads of a replay.
#[derive(Debug, Default)]
pub(super) struct Reads {
    next: u64,
    stretches: BTreeMap<u64, Stretch>,
    in_flight: BTreeMap<u64, InFlight>,
    again: VecDeque<InFlight>,
    finished: Vec<Finished>,
}

impl Reads {
    /// Reads whose tokens are all above `next`.
    pub(super) fn numbered_from(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    /// Reads `from..end` of a file into `sink`; both are whole blocks.
    pub(super) fn start(&mut self, purpose: Purpose, file: u32, from: u64, end: u64, sink: Sink) {
        assert!(
            from.is_multiple_of(u64::from(BLOCK_BYTES)) && end.is_multiple_of(u64::from(BLOCK_BYTES)),
            "{from}..{end}"
        );
        if from >= end {
            self.finished.push(Finished { purpose, file, sink });
            return;
        }
        self.next += 1;
        let stretch = Stretch { purpose, file, ask: from, hand: from, end, in_flight: 0, early: BTreeMap::new(), sink };
        self.stretches.insert(self.next, stretch);
    }

    /// The next read to do, within the bounds.
    pub(super) fn poll(&mut self) -> Option<ReadPiece> {
        if self.in_flight.len() >= REPLAY_READS_MAX {
            return None;
        }
        while let Some(read) = self.again.pop_front() {
            if let Some(stretch) = self.stretches.get_mut(&read.stretch) {
                let file = stretch.file;
                stretch.in_flight += 1;
                return Some(self.send(file, read));
            }
        }
        let (&id, stretch) =
            self.stretches.iter_mut().find(|(_, s)| s.ask < s.end && s.in_flight < READS_PER_STRETCH_MAX)?;
        let bytes = (stretch.end - stretch.ask).min(u64::from(REPLAY_READ_BYTES_MAX)) as u32;
        let read = InFlight { stretch: id, position: stretch.ask, bytes, again: false };
        stretch.ask += u64::from(bytes);
        stretch.in_flight += 1;
        let file = stretch.file;
        Some(self.send(file, read))
    }

    fn send(&mut self, file: u32, read: InFlight) -> ReadPiece {
        self.next += 1;
        self.in_flight.insert(self.next, read);
        ReadPiece { token: self.next, file, position: read.position, bytes: read.bytes }
    }

    /// A read ended; none if it failed. Fewer bytes than asked for are a failure.
    ///
    /// # Panics
    /// If no such read is in flight.
    pub(super) fn answer(&mut self, token: u64, data: Option<&[u8]>) {
        let read = self.in_flight.remove(&token).unwrap_or_else(|| panic!("no read {token} is in flight"));
        let data = data.filter(|data| data.len() == read.bytes as usize);
        // A stretch whose end was found early is gone.
        let Some(stretch) = self.stretches.get_mut(&read.stretch) else { return };
        stretch.in_flight -= 1;
        if data.is_none() && !read.again {
            // Once more, block by block: what can be read next to what cannot is not lost with it.
            for at in (0..read.bytes).step_by(BLOCK_BYTES as usize) {
                let position = read.position + u64::from(at);
                self.again.push_back(InFlight { position, bytes: BLOCK_BYTES, again: true, ..read });
            }
            return;
        }
        if read.position == stretch.hand {
            stretch.feed(read.bytes, data);
            while let Some((bytes, data)) = stretch.early.remove(&stretch.hand) {
                stretch.feed(bytes, data.as_deref());
            }
        } else {
            stretch.early.insert(read.position, (read.bytes, data.map(<[u8]>::to_vec)));
        }
        if stretch.is_done() {
            let Stretch { purpose, file, sink, .. } = self.stretches.remove(&read.stretch).expect("it was just there");
            self.finished.push(Finished { purpose, file, sink });
        }
    }

    /// Whether nothing is left to read.
    pub(super) fn is_idle(&self) -> bool {
        self.stretches.is_empty()
    }

    /// What was read since the last call.
    pub(super) fn take_finished(&mut self) -> Vec<Finished> {
        std::mem::take(&mut self.finished)
    }
}

impl Stretch {
    fn feed(&mut self, bytes: u32, data: Option<&[u8]>) {
        self.hand += u64::from(bytes);
        match &mut self.sink {
            Sink::Block(block) => *block = data.map(<[u8]>::to_vec),
            Sink::Scan(scan) if scan.is_done() => {}
            Sink::Scan(scan) => scan.feed(bytes, data),
        }
    }

    fn is_done(&self) -> bool {
        self.hand >= self.end || matches!(&self.sink, Sink::Scan(scan) if scan.is_done())
    }
}
