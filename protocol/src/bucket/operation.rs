//! One question to one object, until it is answered: conflicts are read back, what is ambiguous is tried again.
//!
//! ```text
//!            Exists                    Found
//! create ─────────────► read back ───────────────► what lies there
//!   │ ▲                     │
//!   │ └──── NotFound ───────┘  (deleted in between)
//!   ├─ Created ─────────────────────────────────► mine
//!   └─ Ambiguous, Failed: create again, later; after the last try: failed
//! ```
//! Creating again is never blind: the object is the same, and if an earlier attempt took place after all, or takes place later,
//! one of the two conflicts and is read back.

use super::durable::Durable;
use super::event::{Operation, Outcome};
use super::key::{ObjectKey, SlotName};
use super::object::{Marker, decode_identity};
use super::slot::SlotContent;
use crate::chunk::ChunkHeader;
use crate::ids::{DiskId, Epoch};
use crate::limits::{BUCKET_TRIES_MAX, CHUNK_HEADER_BYTES, IDENTITY_BYTES, SLOT_HEAD_BYTES};
use crate::message::Refusal;
use alloc::string::String;
use bytes::Bytes;

/// How long to wait before the second try, in microseconds; doubles with each.
const RETRY_US_MIN: u64 = 10_000;

/// What is asked.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// Is this chunk stored here? Create it if nothing is.
    Put { header: ChunkHeader, payload: Bytes },
    /// What lies in this slot? Create a marker if nothing does.
    Mark { slot: SlotName, epoch: Epoch },
    /// What lies in this slot?
    Look { slot: SlotName },
    /// The same, with the chunk's bytes.
    Fetch { slot: SlotName },
    /// Which bucket is this?
    Identity,
    /// Delete what lies in this slot.
    Remove { slot: SlotName },
}

/// The answer.
#[derive(Debug)]
pub(super) enum Finding {
    Put(Result<Durable, Refusal>),
    /// What lies in the slot; with the payload, if it was to be fetched.
    Slot(SlotContent, Bytes),
    /// The name of this bucket, if it has one.
    Identity(Result<DiskId, String>),
    Removed,
    /// No answer within all tries.
    Failed(String),
}

/// What to do next.
pub(super) enum Step {
    /// It is answered.
    Done(Finding),
    /// Go on at once.
    Now,
    /// Go on after this long, in microseconds.
    Later(u64),
}

/// A question and how far it got.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) question: Question,
    /// Whether the slot is being read back after a conflict.
    reads_back: bool,
    tries: u32,
}

impl Asking {
    pub(super) const fn new(question: Question) -> Self {
        Self { question, reads_back: false, tries: 0 }
    }

    const fn key(&self) -> ObjectKey {
        match &self.question {
            Question::Put { header, .. } => ObjectKey::Slot(slot_of(header)),
            Question::Mark { slot, .. }
            | Question::Look { slot }
            | Question::Fetch { slot }
            | Question::Remove { slot } => ObjectKey::Slot(*slot),
            Question::Identity => ObjectKey::Identity,
        }
    }

    /// The operation that comes next.
    pub(super) fn operation(&self) -> Operation {
        let key = self.key();
        match &self.question {
            Question::Put { header, payload } if !self.reads_back => {
                let head = Bytes::copy_from_slice(&header.encode());
                Operation::Create { key, head, payload: payload.clone() }
            }
            Question::Mark { slot, epoch } if !self.reads_back => {
                let head = Bytes::copy_from_slice(&Marker { slot: *slot, epoch: *epoch }.encode());
                Operation::Create { key, head, payload: Bytes::new() }
            }
            Question::Put { .. } | Question::Fetch { .. } => Operation::Get { key, bytes_max: None },
            Question::Mark { .. } | Question::Look { .. } => Operation::Get { key, bytes_max: Some(SLOT_HEAD_BYTES) },
            Question::Identity => Operation::Get { key, bytes_max: Some(IDENTITY_BYTES) },
            Question::Remove { .. } => Operation::Delete { key },
        }
    }

    /// Takes the outcome of that operation.
    ///
    /// # Panics
    /// If no such operation has such an outcome.
    pub(super) fn take(&mut self, outcome: Outcome) -> Step {
        match outcome {
            Outcome::Failed { why } | Outcome::Ambiguous { why } => self.again(why),
            Outcome::Created => Step::Done(self.created(&outcome)),
            Outcome::Exists => {
                assert!(self.creates(), "exists, in answer to {:?}", self.question);
                self.reads_back = true;
                Step::Now
            }
            Outcome::NotFound => self.not_found(),
            Outcome::Found { size, bytes } => Step::Done(self.found(size, &bytes)),
            Outcome::Deleted => {
                assert!(matches!(self.question, Question::Remove { .. }), "deleted, in answer to {:?}", self.question);
                Step::Done(Finding::Removed)
            }
        }
    }

    const fn creates(&self) -> bool {
        matches!(self.question, Question::Put { .. } | Question::Mark { .. }) && !self.reads_back
    }

    fn again(&mut self, why: String) -> Step {
        self.tries += 1;
        if self.tries >= BUCKET_TRIES_MAX {
            return Step::Done(Finding::Failed(why));
        }
        Step::Later(RETRY_US_MIN << (self.tries - 1))
    }

    fn created(&self, outcome: &Outcome) -> Finding {
        assert!(self.creates(), "created, in answer to {:?}", self.question);
        match self.question {
            Question::Mark { epoch, .. } => Finding::Slot(SlotContent::Marker(epoch), Bytes::new()),
            _ => Finding::Put(Ok(Durable::by_create(outcome).expect("created"))),
        }
    }

    fn not_found(&mut self) -> Step {
        match &self.question {
            Question::Put { .. } | Question::Mark { .. } => {
                // A trim came in between, or the store went back on its word.
                self.reads_back = false;
                self.again("the object is there and is not".into())
            }
            Question::Look { .. } | Question::Fetch { .. } => {
                Step::Done(Finding::Slot(SlotContent::Empty, Bytes::new()))
            }
            Question::Identity => Step::Done(Finding::Identity(Err("it has no identity object".into()))),
            Question::Remove { .. } => Step::Done(Finding::Removed),
        }
    }

    fn found(&self, size: u64, bytes: &Bytes) -> Finding {
        assert!(!self.creates(), "found, in answer to a create of {}", self.key());
        if let Question::Identity = self.question {
            let name = if size == IDENTITY_BYTES as u64 { decode_identity(bytes) } else { decode_identity(&[]) };
            return Finding::Identity(name.map_err(|why| alloc::format!("its identity object is damaged: {why}")));
        }
        let ObjectKey::Slot(slot) = self.key() else { unreachable!("all other questions are about slots") };
        let content = SlotContent::of(slot, bytes, size);
        let payload = bytes.slice(bytes.len().min(CHUNK_HEADER_BYTES)..);
        match &self.question {
            Question::Put { header, payload: mine } => Finding::Put(judge_conflict((header, mine), content, &payload)),
            _ => Finding::Slot(content, payload),
        }
    }
}

pub(super) const fn slot_of(header: &ChunkHeader) -> SlotName {
    SlotName { log: header.log, segment: header.segment, seq: header.seq }
}

/// A put found its slot taken: by itself, by another chunk, or by a marker, which fences it.
fn judge_conflict(mine: (&ChunkHeader, &[u8]), found: SlotContent, payload: &[u8]) -> Result<Durable, Refusal> {
    let slot = slot_of(mine.0);
    match found {
        SlotContent::Marker(by) => Err(Refusal::Fenced { by }),
        SlotContent::Chunk(header) => match Durable::by_comparison(mine, (&header, payload)) {
            Some(proof) => Ok(proof),
            // Its own checksum says that this is not what was once put here.
            None if header.verify_payload(payload).is_err() => Err(damaged(slot, "its payload fails its checksum")),
            None => Err(Refusal::Different { segment: slot.segment, seq: slot.seq }),
        },
        SlotContent::Damaged(why) => Err(damaged(slot, &why)),
        SlotContent::Empty => unreachable!("an object that was found is not empty"),
    }
}

pub(super) fn damaged(slot: SlotName, why: &str) -> Refusal {
    Refusal::DiskFailed { why: alloc::format!("object {slot} is neither a chunk nor a marker: {why}") }
}
