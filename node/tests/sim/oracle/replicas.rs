//! What replicas said, at the moment it left them: what they say later must fit.

use super::{Name, Oracle};
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use quarry_protocol::message::{Answer, Run, SegmentView};

impl Oracle {
    /// A put was answered "stored". A copy that repair makes is not its writer's put: no fence keeps it out.
    pub(crate) fn stored(&mut self, disk: DiskId, log: LogId, (segment, seq): Name, copy: bool) {
        let said = self.said(disk, log);
        let fence = said.fence;
        assert!(copy || segment.epoch >= fence, "P3: disk {disk} stored {segment}/{seq} after its fence at {fence}");
        assert!(!said.deleted, "P13: disk {disk} stored {segment}/{seq} after it deleted the log");
        if copy && let Some(never) = said.never.get_mut(&segment) {
            // "Never" was about the writer's puts; where the segment ends is decided by now.
            never.remove(seq, seq.next());
        }
        self.holds(disk, log, (segment, seq));
    }

    /// A disk said that it holds a chunk.
    pub(crate) fn holds(&mut self, disk: DiskId, log: LogId, name: Name) {
        let said = self.said(disk, log);
        let floor = said.floor;
        let never = said.never.get(&name.0).is_some_and(|never| never.contains(name.1));
        let (segment, seq) = name;
        let trimmed = seq < floor || self.is_trimmed(log, seq);
        assert!(!never || trimmed, "P8: disk {disk} said never, and now have, of {segment}/{seq}");
        let named = self.log(log).names.get_mut(&name);
        let named = named.unwrap_or_else(|| panic!("disk {disk} holds {segment}/{seq}, which was never put"));
        if !named.stored.contains(&disk) {
            named.stored.push(disk);
        }
    }

    /// A fence was answered: it is durable, and so is every put before it. A disk that lost something may have lost a fence; it goes
    /// by another identity then, and the fence of a retired one, which takes no puts, keeps nobody out.
    pub(crate) fn fenced(
        &mut self,
        (disk, retired): (DiskId, bool),
        log: LogId,
        (fence, floor): (Epoch, ChunkSeq),
        views: &[SegmentView],
    ) {
        let said = self.said(disk, log);
        assert!(fence >= said.fence || retired, "disk {disk} answers fence {fence} after {}", said.fence);
        assert!(floor >= said.floor || retired, "disk {disk} answers floor {floor} after {}", said.floor);
        (said.fence, said.floor) = (fence.max(said.fence), floor.max(said.floor));
        for view in views {
            self.heard_runs(disk, log, view.segment, &view.runs, fence > view.segment.epoch);
            self.check_watermark(log, view);
        }
    }

    /// P6, pitfall 20d: a watermark belongs to one segment, whose writer said it.
    fn check_watermark(&mut self, log: LogId, view: &SegmentView) {
        let said = self.log(log).watermarks.get(&view.segment).copied().unwrap_or_default();
        assert!(view.watermark <= said, "P6: watermark {} of {}, its writer said {said}", view.watermark, view.segment);
    }

    /// What a bucket says without marking anything.
    pub(crate) fn viewed(&mut self, disk: DiskId, log: LogId, view: &SegmentView) {
        self.heard_runs(disk, log, view.segment, &view.runs, false);
        self.check_watermark(log, view);
    }

    pub(crate) fn frozen(&mut self, disk: DiskId, log: LogId, segment: SegmentId, runs: &[Run]) {
        self.heard_runs(disk, log, segment, runs, true);
    }

    pub(crate) fn inspected(&mut self, disk: DiskId, log: LogId, fence: Epoch, views: &[SegmentView]) {
        for view in views {
            self.heard_runs(disk, log, view.segment, &view.runs, fence > view.segment.epoch);
            self.check_watermark(log, view);
        }
    }

    fn heard_runs(&mut self, disk: DiskId, log: LogId, segment: SegmentId, runs: &[Run], for_ever: bool) {
        for run in runs {
            match run.answer {
                Answer::Have => {
                    (run.from.0..run.to.0).for_each(|seq| self.holds(disk, log, (segment, ChunkSeq(seq))));
                }
                Answer::Never => self.never(disk, log, segment, (run.from, run.to), for_ever),
                Answer::Trimmed | Answer::Unknown => {}
            }
        }
    }

    /// P8: nobody who said "stored" says "never".
    fn never(
        &mut self,
        disk: DiskId,
        log: LogId,
        segment: SegmentId,
        (from, to): (ChunkSeq, ChunkSeq),
        for_ever: bool,
    ) {
        // A bucket does not know the floor by itself: what it says of seqs below, or of
        // a log that is deleted, is of no use to anybody, and no harm.
        let book = self.log(log);
        if book.deleted {
            return;
        }
        let names = book.names.range((segment, from.max(book.floor))..(segment, to.max(book.floor)));
        let freeing = book.freeing.contains(&(segment, disk));
        for ((segment, seq), named) in names.filter(|_| !freeing) {
            assert!(!named.is_stored_on(disk), "P8: disk {disk} said stored, and now never, of {segment}/{seq}");
        }
        if for_ever {
            self.said(disk, log).never.entry(segment).or_default().insert(from, to);
        }
    }

    pub(crate) fn trimmed(&mut self, (disk, retired): (DiskId, bool), log: LogId, floor: ChunkSeq) {
        let said = self.said(disk, log);
        assert!(floor >= said.floor || retired, "P12: disk {disk} answers floor {floor} after {}", said.floor);
        said.floor = floor.max(said.floor);
    }

    pub(crate) fn deleted(&mut self, disk: DiskId, log: LogId) {
        self.said(disk, log).deleted = true;
    }
}
