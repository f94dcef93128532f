//! What a run leaves behind: a digest of everything that was delivered and done, and the last few events for a reader.

/// How many of the last events a failure prints.
const NOTES_KEPT: usize = 60;

/// One event or effect: what it was, and up to four numbers that say which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    at: u64,
    what: &'static str,
    numbers: [u64; 4],
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Notes {
    digest: u64,
    /// Delivered events.
    pub(crate) steps: u64,
    ring: Vec<Note>,
    next: usize,
}

impl Notes {
    pub(crate) fn new() -> Self {
        Self { digest: 0, steps: 0, ring: Vec::with_capacity(NOTES_KEPT), next: 0 }
    }

    /// Something was delivered: a step.
    pub(crate) fn step(&mut self, at: u64, what: &'static str, numbers: [u64; 4]) {
        self.steps += 1;
        self.effect(at, what, numbers);
    }

    /// Something was done because of a step.
    pub(crate) fn effect(&mut self, at: u64, what: &'static str, numbers: [u64; 4]) {
        self.mix(at);
        let name = what.as_bytes();
        self.mix(name.len() as u64 ^ u64::from(name[0]) << 8 ^ u64::from(name[name.len() / 2]) << 16);
        numbers.into_iter().for_each(|number| self.mix(number));
        let note = Note { at, what, numbers };
        if self.ring.len() < NOTES_KEPT {
            self.ring.push(note);
        } else {
            self.ring[self.next] = note;
        }
        self.next = (self.next + 1) % NOTES_KEPT;
    }

    fn mix(&mut self, number: u64) {
        self.digest = (self.digest ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// The last events, oldest first, one a line.
    pub(crate) fn last(&self) -> Vec<String> {
        let (newer, older) = self.ring.split_at(self.next.min(self.ring.len()));
        older.iter().chain(newer).map(Note::line).collect()
    }
}

impl Note {
    fn line(&self) -> String {
        let [a, b, c, d] = self.numbers;
        format!("{:>12} us  {:<28} {a:>6} {b:>6} {c:>8} {d:>8}", self.at, self.what)
    }
}
