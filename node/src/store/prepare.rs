//! Preparing files ahead of need, in steps that io performs one at a time: made, filled with zeros, synced (D2).

use super::files::FileState;
use super::pace::{FILES_READY_AHEAD, FILL_BYTES, PREPARE_RETRY_US};
use super::{Store, StoreEffect};
use quarry_protocol::limits::FILES_IN_RESERVE;
use quarry_protocol::planted;
use quarry_protocol::time::Micros;

#[derive(Debug)]
enum Step {
    /// The next write of zeros waits for its turn.
    Next,
    /// This many zeros are being written.
    Fill(u32),
    Sync,
}

#[derive(Debug)]
struct Filling {
    file: u32,
    at: u64,
    step: Step,
}

#[derive(Debug, Default)]
pub(super) struct Preparing {
    creating: Option<u32>,
    filling: Option<Filling>,
    /// Making a file failed; not before this is it tried again.
    blocked_until: Option<Micros>,
    /// The budget says when to ask again.
    budget_at: Option<Micros>,
    last_error: Option<String>,
}

impl Preparing {
    /// Why no file can be made at present, if so.
    pub(super) fn blocked(&self) -> Option<&str> {
        self.blocked_until?;
        self.last_error.as_deref()
    }
}

impl Store {
    pub(super) fn prepared(&mut self, file: u32, result: Result<(), String>) {
        let result = result.map_err(|why| {
            self.files.forget(file);
            self.preparing.blocked_until = Some(self.now.plus(PREPARE_RETRY_US));
            self.preparing.last_error = Some(why);
        });
        if self.preparing.creating == Some(file) {
            self.preparing.creating = None;
            if result.is_ok() {
                self.preparing.blocked_until = None;
                self.files.set_state(file, FileState::Allocated);
            }
            return;
        }
        let filling = self.preparing.filling.as_mut().filter(|filling| filling.file == file);
        let filling = filling.unwrap_or_else(|| panic!("file {file} is not being prepared"));
        match filling.step {
            _ if result.is_err() => self.preparing.filling = None,
            Step::Next => panic!("nothing was asked of file {file}"),
            Step::Fill(bytes) => {
                filling.at += u64::from(bytes);
                filling.step = Step::Next;
                if planted!(FileReadyUnsynced) && filling.at >= self.config.file_bytes {
                    self.preparing.filling = None;
                    self.files.set_state(file, FileState::Ready);
                }
            }
            Step::Sync => {
                self.preparing.filling = None;
                self.files.set_state(file, FileState::Ready);
            }
        }
    }

    /// Starts the next steps; says whether there was one.
    pub(super) fn prepare_next(&mut self) -> bool {
        let created = self.create_next();
        let filled = self.fill_next();
        created || filled
    }

    fn wants_file(&self) -> bool {
        let wanted = FILES_IN_RESERVE as usize + FILES_READY_AHEAD;
        self.preparing.creating.is_none()
            && self.files.free() < wanted
            && self.files.len() < self.config.files_max as usize
    }

    fn create_next(&mut self) -> bool {
        if !self.wants_file() || self.preparing.blocked_until.is_some_and(|at| at > self.now) {
            return false;
        }
        let file = self.files.create();
        self.preparing.creating = Some(file);
        self.outbox.push_back(StoreEffect::Create { file, bytes: self.config.file_bytes });
        true
    }

    fn fill_next(&mut self) -> bool {
        if self.preparing.filling.is_none() {
            let Some(file) = self.files.first(FileState::Allocated) else { return false };
            self.files.set_state(file, FileState::Filling);
            self.preparing.filling = Some(Filling { file, at: 0, step: Step::Next });
        }
        let urgent = self.files.count(FileState::Ready) as u64 <= FILES_IN_RESERVE || self.is_idle();
        let filling = self.preparing.filling.as_mut().expect("it was just begun");
        if !matches!(filling.step, Step::Next) {
            return false;
        }
        let (file, position) = (filling.file, filling.at);
        let bytes = (self.config.file_bytes - position).min(u64::from(FILL_BYTES)) as u32;
        if bytes == 0 {
            filling.step = Step::Sync;
            self.outbox.push_back(StoreEffect::SyncFile { file });
            return true;
        }
        self.preparing.budget_at = None;
        if urgent {
            self.budget.spend(u64::from(bytes));
        } else if let Err(at) = self.budget.take(self.now, u64::from(bytes)) {
            self.preparing.budget_at = Some(at);
            return false;
        }
        filling.step = Step::Fill(bytes);
        self.outbox.push_back(StoreEffect::Fill { file, position, bytes });
        true
    }

    /// When preparation wants to go on, if it waits for time to pass.
    pub(super) fn prepare_at(&self) -> Option<Micros> {
        let blocked = self.preparing.blocked_until.filter(|_| self.wants_file());
        [blocked, self.preparing.budget_at].into_iter().flatten().min()
    }
}
