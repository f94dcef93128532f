//! What a crash makes of what is in progress.

use super::{BLOCK, Disk, Fate, File, SECTOR, Write};
use super::{FILE_BYTES, manifest};
use crate::numbers::Numbers;

/// How it came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    Process,
    Power,
}

impl Disk {
    /// These writes, and these files that are getting their names, were in progress.
    pub(crate) fn crash(&mut self, crash: Crash, writes: Vec<Write>, naming: &[u32], numbers: &mut Numbers) {
        self.take_lies_back();
        let submitted = numbers.pick(&[100, 100, 50, 0]);
        for write in writes {
            match crash {
                Crash::Process => self.leave_readable(&write, submitted, numbers),
                Crash::Power => self.leave_torn(&write, numbers),
            }
        }
        for file in naming {
            self.leave_half_named(*file, numbers);
        }
        self.nameless.clear();
        if crash == Crash::Power {
            self.lose_power(numbers);
        }
    }

    /// A write that was submitted will be readable, however the process ended; a failing one, in part.
    fn leave_readable(&mut self, write: &Write, submitted: u64, numbers: &mut Numbers) {
        let Write { file, position, bytes, fate, .. } = write;
        if !numbers.percent(submitted) {
            return;
        }
        match fate {
            Fate::Error { .. } | Fate::Short { .. } => self.leave_torn(write, numbers),
            _ => self.store(*file, *position, bytes, false),
        }
    }

    fn leave_torn(&mut self, write: &Write, numbers: &mut Numbers) {
        let sectors = write.bytes.len() / SECTOR;
        let (kind, cut) = (numbers.below(6), numbers.index(sectors + 1));
        if kind == 1 || kind == 2 {
            return self.store(write.file, write.position, &write.bytes, true);
        }
        let new = |sector: usize| match kind {
            0 => false,
            3 => sector < cut,
            4 => sector >= cut,
            _ => numbers.percent(80),
        };
        self.tear(write.file, write.position, &write.bytes, new);
    }

    fn leave_half_named(&mut self, file: u32, numbers: &mut Numbers) {
        let there = numbers.below(3);
        if there > 0 {
            self.files.insert(file, File::zeros(FILE_BYTES));
        }
        if there > 1
            && let Some(mut known) = manifest::decode(self.formatted, &self.manifest)
        {
            known.insert(file);
            self.manifest = manifest::encode(self.formatted, &known);
        }
    }

    fn lose_power(&mut self, numbers: &mut Numbers) {
        for file in self.files.values_mut().filter(|file| file.is_volatile()) {
            let (kind, cut) = (numbers.below(4), numbers.index(FILE_BYTES as usize / BLOCK) * (BLOCK / SECTOR));
            file.lose_power(|sector| match kind {
                0 => false,
                1 => true,
                2 => sector < cut,
                _ => numbers.percent(70),
            });
        }
        self.batches.lose_power();
    }
}
