//! Damage that a disk does not report: rot, lost and misdirected writes, blocks that cannot be read any more.

use super::{BLOCK, Disk, FILE_BYTES, Fate, Write};
use crate::numbers::Numbers;
use quarry_protocol::batch::{BatchHeader, BatchKind, Entry};
use quarry_protocol::limits::CHUNK_HEADER_BYTES;

impl Disk {
    /// The write was reported as done and is not where it should be.
    pub(super) fn lie(&mut self, write: Write) {
        if let Fate::Misdirected { file, position } = write.fate
            && self.batches.may_damage(file, position, write.bytes.len() as u64)
        {
            self.batches.damage(file, position, write.bytes.len() as u64);
            self.file(file).write(position, &write.bytes, true);
            self.damaged = true;
        }
        self.lied.push(write);
    }

    /// A lie that a durable mark covers now is a loss.
    pub(super) fn settle_lies(&mut self) {
        if self.lied.is_empty() {
            return;
        }
        let mark = self.batches.mark();
        let Self { lied, batches, damaged, .. } = self;
        lied.retain(|write| {
            let covered = write.number <= mark;
            if covered {
                batches.missing(write.number);
                *damaged = true;
            }
            !covered
        });
    }

    /// Before a crash: what no mark covers was no lie. (Written late, so it may lie over what was written since; the store
    /// never writes a place twice in one incarnation of a file, and a file that was recycled meanwhile has marked it.)
    pub(super) fn take_lies_back(&mut self) {
        self.settle_lies();
        for write in std::mem::take(&mut self.lied) {
            self.store(write.file, write.position, &write.bytes, true);
        }
    }

    /// Whether anything is reported as done that is not there.
    pub(crate) fn is_lying(&self) -> bool {
        !self.lied.is_empty()
    }

    /// Somewhere else for a write of `bytes`.
    pub(crate) fn elsewhere(&self, file: u32, position: u64, bytes: u64, numbers: &mut Numbers) -> (u32, u64) {
        if numbers.percent(50) {
            let files: Vec<u32> = self.files.keys().copied().filter(|other| *other != file).collect();
            return (numbers.pick(&files), position);
        }
        let blocks = (FILE_BYTES - bytes) / BLOCK as u64;
        (file, numbers.below(blocks + 1) * BLOCK as u64)
    }

    /// A bit rots somewhere that a mark covers. Returns what it hit, if there was anything.
    pub(crate) fn rot(&mut self, numbers: &mut Numbers) -> Option<&'static str> {
        let (file, position, bytes) = self.victim(numbers)?;
        let header_only = numbers.percent(40);
        let at = if header_only { numbers.below(224) } else { numbers.below(bytes) };
        let hit = self.name_of(file, position, at);
        self.batches.damage(file, position, bytes);
        self.file(file).flip(position + at, numbers.below(8) as u8);
        self.damaged = true;
        Some(hit)
    }

    /// A bit rots in these bytes, if a mark covers them.
    pub(crate) fn rot_within(&mut self, file: u32, position: u64, bytes: u64, numbers: &mut Numbers) -> bool {
        let may = self.batches.may_damage(file, position, bytes);
        if may {
            self.batches.damage(file, position, bytes);
            self.file(file).flip(position + numbers.below(bytes), numbers.below(8) as u8);
            self.damaged = true;
        }
        may
    }

    /// A block cannot be read any more.
    pub(crate) fn go_bad(&mut self, numbers: &mut Numbers) -> bool {
        let Some((file, position, bytes)) = self.victim(numbers) else { return false };
        self.batches.damage(file, position, bytes);
        let block = (position + numbers.below(bytes)) as usize / BLOCK;
        self.file(file).bad.insert(block);
        self.damaged = true;
        true
    }

    fn victim(&self, numbers: &mut Numbers) -> Option<(u32, u64, u64)> {
        if self.batches.len() == 0 {
            return None;
        }
        let (file, position, written) = self.batches.nth(numbers.index(self.batches.len()))?;
        let bytes = written.end - position;
        self.batches.may_damage(file, position, bytes).then_some((file, position, bytes))
    }

    fn name_of(&self, file: u32, position: u64, at: u64) -> &'static str {
        let mut bytes = vec![0; BLOCK];
        self.files[&file].copy_to(position, &mut bytes);
        let Ok(header) = BatchHeader::decode(&bytes) else { return "rot in what had rotted" };
        if at < quarry_protocol::limits::BATCH_HEADER_BYTES as u64 {
            return "rot in a batch header";
        }
        if at >= u64::from(header.used) {
            return "rot in padding";
        }
        match header.kind {
            BatchKind::Snapshot => return "rot in a snapshot",
            BatchKind::Index => return "rot in an index",
            BatchKind::Footer => return "rot in a footer",
            BatchKind::Data => {}
        }
        let mut bytes = vec![0; header.disk_bytes() as usize];
        self.files[&file].copy_to(position, &mut bytes);
        let mut hit = "rot in a payload";
        let _ = header.verify_data(&bytes, |from, entry| {
            if (u64::from(from)..u64::from(from) + CHUNK_HEADER_BYTES as u64).contains(&at) {
                hit = if matches!(entry, Entry::Chunk(_)) { "rot in a chunk header" } else { "rot in a control entry" };
            }
        });
        hit
    }
}
