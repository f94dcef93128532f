//! What must be said of a run however it ends: which acknowledged chunks are lost, and which logs lie in stores that are not the
//! run's own.

use super::{EngineError, Progress};
use crate::integrity::ReadBack;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Kept by everything that finds such a thing; all of them write into one.
#[derive(Clone, Debug, Default)]
pub(super) struct Diary(Rc<RefCell<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    /// By log: how many came back different, and how many not at all.
    lost: BTreeMap<String, (u64, u64)>,
    /// Logs that lie in a store that the user named, and which that is.
    logs: BTreeMap<String, String>,
}

impl Diary {
    /// A log is about to be made in a store that outlives the run.
    pub(super) fn opened(&self, target: &str, log: &str) {
        self.0.borrow_mut().logs.insert(log.to_owned(), target.to_owned());
    }

    /// It is there no longer.
    pub(super) fn deleted(&self, log: &str) {
        self.0.borrow_mut().logs.remove(log);
    }

    /// Reading a log back found this.
    pub(super) fn read_back(&self, log: &str, found: &ReadBack) {
        self.lost(log, found.different, found.missing);
    }

    /// Chunks of a log came back different, or not at all.
    pub(super) fn lost(&self, log: &str, different: u64, missing: u64) {
        if different + missing > 0 {
            let mut pages = self.0.borrow_mut();
            let lost = pages.lost.entry(log.to_owned()).or_default();
            *lost = (lost.0 + different, lost.1 + missing);
        }
    }

    /// What was lost, in words, if something was.
    fn losses(&self) -> Option<String> {
        let pages = self.0.borrow();
        let lines = pages.lost.iter().map(|(log, (different, missing))| {
            format!("log {log:?}: {different} acknowledged chunks came back different and {missing} not at all")
        });
        (!pages.lost.is_empty()).then(|| lines.collect::<Vec<_>>().join("; "))
    }

    /// The error that a case ends with: one that lost chunks says so first, whatever broke it off.
    pub(super) fn judge(&self, why: EngineError) -> EngineError {
        match self.losses() {
            Some(lost) => EngineError::Lost { lost, why: why.to_string() },
            None => why,
        }
    }

    /// Fails if something was lost.
    pub(super) fn nothing_lost(&self, what: &str) -> Result<(), EngineError> {
        self.losses().map_or(Ok(()), |lost| Err(EngineError::Lost { lost, why: format!("found at the end of {what}") }))
    }
}

/// Says at the end of a run, also of one that is broken off, which logs it leaves.
pub(super) struct LeftBehind<'a> {
    pub(super) diary: Diary,
    pub(super) say: &'a dyn Fn(Progress<'_>),
}

impl Drop for LeftBehind<'_> {
    fn drop(&mut self) {
        let pages = self.diary.0.borrow();
        let mut of_target: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        pages.logs.iter().for_each(|(log, target)| of_target.entry(target).or_default().push(log));
        for (target, logs) in of_target {
            let logs = logs.join(" ");
            (self.say)(Progress::Note(&format!(
                "logs that this run leaves on {target}, delete them with quarry log rm: {logs}"
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::log::BenchLog;
    use crate::integrity::Payloads;
    use quarry_client::memory::MemoryStore;
    use quarry_client::{ChunkStore, OpenOptions};

    fn error() -> EngineError {
        EngineError::Empty { case: "x".to_owned() }
    }

    /// Whatever a case is broken off by, what it had found until then is told.
    #[tokio::test]
    async fn a_loss_outlives_the_case_that_found_it() {
        let (store, diary, payloads) = (MemoryStore::new().store(), Diary::default(), Payloads::new(1, 100));
        let options = OpenOptions::default();
        let log = BenchLog::open(store.clone(), "a".to_owned(), 0, options, payloads, None, diary.clone()).await;
        let mut log = log.expect("opens");
        let pending = log.writer().expect("is there").append(log.next_payload()).await.expect("has room");
        log.note_acknowledged(pending.await.expect("is committed").seq.0);
        assert!(matches!(diary.judge(error()), EngineError::Empty { .. }));
        diary.nothing_lost("a test").expect("nothing is");
        store.delete("a").await.expect("deletes");
        log.take_over().await.expect("opens");
        drop(log);
        let told = diary.judge(error()).to_string();
        assert!(told.contains("log \"a\": 0 acknowledged chunks came back different and 1 not at all"), "{told}");
        assert!(told.contains("measured nothing") && diary.nothing_lost("a test").is_err(), "{told}");
    }

    #[test]
    fn logs_that_were_not_deleted_are_named() {
        let notes = RefCell::new(Vec::new());
        let say = |told: Progress<'_>| {
            if let Progress::Note(note) = told {
                notes.borrow_mut().push(note.to_owned());
            }
        };
        let diary = Diary::default();
        drop(LeftBehind { diary: diary.clone(), say: &say });
        assert_eq!(notes.borrow().len(), 0);
        ["b-0", "b-1", "b-2"].iter().for_each(|log| diary.opened("file:///x", log));
        diary.deleted("b-1");
        drop(LeftBehind { diary, say: &say });
        let notes = notes.borrow();
        assert!(notes.len() == 1 && notes[0].contains("file:///x") && notes[0].ends_with(": b-0 b-2"), "{notes:?}");
    }
}
