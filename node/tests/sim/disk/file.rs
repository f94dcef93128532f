//! A chunk file: what is durable, and over it what can be read but would not survive a power failure.

use std::collections::{BTreeMap, BTreeSet};

pub(crate) const BLOCK: usize = 4096;
pub(crate) const SECTOR: usize = 512;

type Block = Box<[u8; BLOCK]>;

/// See the module's documentation. Blocks of zeros that were never written take no memory.
#[derive(Debug)]
pub(crate) struct File {
    blocks: Vec<Option<Block>>,
    volatile: BTreeMap<usize, Block>,
    /// Blocks that cannot be read, for good.
    pub(crate) bad: BTreeSet<usize>,
}

fn block_of(bytes: &[u8]) -> Block {
    let mut block = Box::new([0; BLOCK]);
    block.copy_from_slice(bytes);
    block
}

impl File {
    pub(crate) fn zeros(file_bytes: u64) -> Self {
        let blocks = std::iter::repeat_with(|| None).take(file_bytes as usize / BLOCK).collect();
        Self { blocks, volatile: BTreeMap::new(), bad: BTreeSet::new() }
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.blocks.len() * BLOCK) as u64
    }

    /// Whole blocks reach the disk. A block that was written can be read again.
    pub(crate) fn write(&mut self, position: u64, bytes: &[u8], durable: bool) {
        self.check(position, bytes.len());
        for (i, bytes) in bytes.chunks(BLOCK).enumerate() {
            let at = position as usize / BLOCK + i;
            self.bad.remove(&at);
            if durable {
                self.volatile.remove(&at);
                match &mut self.blocks[at] {
                    Some(block) => block.copy_from_slice(bytes),
                    none => *none = Some(block_of(bytes)),
                }
            } else {
                self.volatile.insert(at, block_of(bytes));
            }
        }
    }

    fn check(&self, position: u64, bytes: usize) {
        assert!((position as usize).is_multiple_of(BLOCK) && bytes.is_multiple_of(BLOCK), "an unaligned write");
        assert!(position as usize / BLOCK + bytes / BLOCK <= self.blocks.len(), "a write beyond the file's end");
    }

    /// Some sectors of a write reach the disk, others do not.
    pub(crate) fn tear(&mut self, position: u64, bytes: &[u8], mut new: impl FnMut(usize) -> bool) {
        let mut torn = vec![0; bytes.len()];
        self.copy_to(position, &mut torn);
        for (i, sector) in bytes.chunks(SECTOR).enumerate() {
            if new(i) {
                torn[i * SECTOR..][..SECTOR].copy_from_slice(sector);
            }
        }
        self.write(position, &torn, true);
    }

    /// What was readable is durable now.
    pub(crate) fn sync(&mut self) {
        for (at, block) in std::mem::take(&mut self.volatile) {
            self.blocks[at] = Some(block);
        }
    }

    /// The power goes: each sector that was not durable is old or new.
    pub(crate) fn lose_power(&mut self, mut new: impl FnMut(usize) -> bool) {
        for (at, block) in std::mem::take(&mut self.volatile) {
            let (position, first) = ((at * BLOCK) as u64, at * (BLOCK / SECTOR));
            self.tear(position, &block[..], |sector| new(first + sector));
        }
    }

    pub(crate) fn is_volatile(&self) -> bool {
        !self.volatile.is_empty()
    }

    /// Copies what can be read at `position`, whatever the disk says of it.
    pub(crate) fn copy_to(&self, position: u64, into: &mut [u8]) {
        let (mut at, mut done) = (position as usize, 0);
        while done < into.len() {
            let (block, skip) = (at / BLOCK, at % BLOCK);
            let bytes = (BLOCK - skip).min(into.len() - done);
            let source = if self.volatile.is_empty() {
                self.blocks[block].as_ref()
            } else {
                self.volatile.get(&block).or(self.blocks[block].as_ref())
            };
            match source {
                Some(source) => into[done..done + bytes].copy_from_slice(&source[skip..skip + bytes]),
                None => into[done..done + bytes].fill(0),
            }
            at += bytes;
            done += bytes;
        }
    }

    /// Reads into `into`, if all of it can be read.
    pub(crate) fn read(&self, position: u64, into: &mut [u8]) -> Result<(), String> {
        let (first, end) = (position as usize / BLOCK, (position as usize + into.len()).div_ceil(BLOCK));
        if end > self.blocks.len() {
            return Err("the file ends before".to_owned());
        }
        if let Some(bad) = self.bad.range(first..end).next() {
            return Err(format!("block {bad}: input/output error"));
        }
        self.copy_to(position, into);
        Ok(())
    }

    /// A bit flips.
    pub(crate) fn flip(&mut self, byte: u64, bit: u8) {
        let at = byte as usize / BLOCK;
        let block = self.blocks[at].as_mut().expect("only what was written rots");
        block[byte as usize % BLOCK] ^= 1 << bit;
    }
}
