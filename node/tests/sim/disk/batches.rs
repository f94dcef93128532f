//! What the simulation knows of the batches on a disk: which of them a durable mark covers, so that it damages no others
//! (see `options::fallible`).

use quarry_protocol::batch::BatchHeader;
use std::collections::BTreeMap;

/// A batch that was written whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) number: u64,
    pub(crate) confirmed: u64,
    pub(crate) end: u64,
    pub(crate) intact: bool,
    pub(crate) durable: bool,
}

/// By file and position.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    written: BTreeMap<(u32, u64), Written>,
    /// The highest number that was ever damaged.
    damaged: u64,
}

impl Batches {
    /// These bytes are overwritten: whole by what they say they are, or in parts.
    pub(crate) fn overwrite(&mut self, file: u32, position: u64, bytes: &[u8], whole: bool, durable: bool) {
        for at in self.overlapping(file, position, bytes.len() as u64) {
            self.written.remove(&(file, at));
        }
        let Some(header) = BatchHeader::decode(bytes).ok().filter(|_| whole) else { return };
        let BatchHeader { number, confirmed, .. } = header;
        let end = position + bytes.len() as u64;
        self.written.insert((file, position), Written { number, confirmed, end, intact: true, durable });
    }

    fn overlapping(&self, file: u32, position: u64, bytes: u64) -> Vec<u64> {
        let before = self.written.range((file, 0)..(file, position + bytes));
        before.filter(|(_, written)| written.end > position).map(|((_, at), _)| *at).collect()
    }

    pub(crate) fn synced(&mut self, file: u32) {
        self.written.range_mut((file, 0)..(file, u64::MAX)).for_each(|(_, written)| written.durable = true);
    }

    /// What was not durable may be gone.
    pub(crate) fn lose_power(&mut self) {
        self.written.retain(|_, written| written.durable);
    }

    /// Up to which batch a durable mark covers, if none of `without` were there.
    fn mark_without(&self, without: &[(u32, u64)]) -> u64 {
        let marks =
            self.written.iter().filter(|(at, written)| written.intact && written.durable && !without.contains(at));
        marks.map(|(_, written)| written.confirmed).max().unwrap_or(0)
    }

    pub(crate) fn mark(&self) -> u64 {
        self.mark_without(&[])
    }

    /// Whether what lies here may be damaged: a mark covers it, and whatever else is damaged, afterwards too.
    pub(crate) fn may_damage(&self, file: u32, position: u64, bytes: u64) -> bool {
        let victims: Vec<_> = self.overlapping(file, position, bytes).into_iter().map(|at| (file, at)).collect();
        let highest = victims.iter().map(|at| self.written[at].number).max().unwrap_or(0);
        let durable = victims.iter().all(|at| self.written[at].durable);
        durable && highest.max(self.damaged) <= self.mark_without(&victims)
    }

    pub(crate) fn damage(&mut self, file: u32, position: u64, bytes: u64) {
        for at in self.overlapping(file, position, bytes) {
            let written = self.written.get_mut(&(file, at)).expect("just found");
            written.intact = false;
            self.damaged = self.damaged.max(written.number);
        }
    }

    /// A batch is missing although it was said to be written.
    pub(crate) fn missing(&mut self, number: u64) {
        self.damaged = self.damaged.max(number);
    }

    pub(crate) fn len(&self) -> usize {
        self.written.len()
    }

    pub(crate) fn nth(&self, index: usize) -> Option<(u32, u64, Written)> {
        self.written.iter().nth(index).map(|((file, position), written)| (*file, *position, *written))
    }
}
