//! Writing: the shell of the shipped writer, as `client/src/log_writer`.

use super::{Links, Outcome};
use crate::core::Core;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::recovery::RecoveryReport;
use quarry_protocol::writer::{Fate, Writer, WriterConfig, WriterEffect, WriterEvent};

#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) writer: Writer,
    name: String,
    log: LogId,
    segment: SegmentId,
    replicas: Vec<ReplicaRef>,
    /// Appends that are left to be made.
    pub(crate) left: u64,
    next_token: u64,
    /// The oldest append that was not told what became of it.
    next_outcome: u64,
    /// Whether one of them failed after it had got a seq: all later ones fail, too.
    failed: bool,
    pub(crate) committed: u64,
    /// Where it began.
    first: ChunkSeq,
    straggler_max: (u64, u64),
    append_at: u64,
    burst_max: u64,
    pause_us: u64,
    payload_max: u64,
    /// When it ends although nothing is wrong.
    ends_at: Option<u64>,
}

impl Writing {
    pub(super) fn new(core: &mut Core, links: &mut Links, log: usize, report: RecoveryReport, appends: u64) -> Self {
        let options = core.options.logs[log];
        let segment = report.segment.expect("a takeover for writing opens a segment");
        let config = WriterConfig {
            log: report.record.log,
            segment: segment.id,
            quorum: segment.quorum().expect("a registered segment has a valid quorum"),
            window: segment.window,
            next_seq: report.next_seq,
            digest: report.digest,
            carried: report.carried,
            deadline_us: core.options.append_deadline_us,
            straggler_chunks_max: options.straggler_chunks_max,
            straggler_bytes_max: options.straggler_bytes_max,
        };
        for replica in &segment.replicas {
            links.watch(core, replica);
        }
        let mut writer = Writer::new(config, core.micros());
        if core.trace.wanted {
            let names: Vec<DiskId> = segment.replicas.iter().map(|replica| replica.disk).collect();
            writer.record_actions(&names);
        }
        Self {
            writer,
            name: report.record.name,
            log: report.record.log,
            segment: segment.id,
            replicas: segment.replicas,
            left: appends,
            next_token: 0,
            next_outcome: 0,
            failed: false,
            committed: 0,
            first: report.next_seq,
            straggler_max: (u64::from(options.straggler_chunks_max), options.straggler_bytes_max),
            append_at: core.now,
            burst_max: options.burst_max,
            pause_us: options.pause_us,
            payload_max: options.payload_max.min(options.window.bytes),
            ends_at: None,
        }
    }

    /// Whether every append was told what became of it, and none is to come.
    pub(crate) fn is_settled(&self) -> bool {
        self.next_outcome == self.next_token && (self.left == 0 || self.writer.stopped().is_some())
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_settled() && (self.writer.stopped().is_some() || self.ends_at == Some(0))
    }

    pub(super) fn due(&self) -> Option<u64> {
        let machine = self.writer.poll_timeout().map(|due| due.0);
        let append = (self.left > 0 && self.writer.stopped().is_none()).then_some(self.append_at);
        [machine, append, self.ends_at].into_iter().flatten().min()
    }

    pub(super) fn tick(&mut self, core: &mut Core, links: &mut Links) {
        if self.writer.poll_timeout().is_some_and(|due| due.0 <= core.now) {
            self.writer.handle(core.micros(), WriterEvent::Tick);
        }
        if self.left > 0 && self.append_at <= core.now {
            self.append(core);
        }
        self.perform(core, links);
        if self.is_settled() {
            let now = core.now;
            let lingers = core.numbers.delay(20 * self.pause_us);
            let ends_at = self.ends_at.get_or_insert(now + lingers);
            if *ends_at <= now {
                *ends_at = 0;
            }
        }
    }

    fn append(&mut self, core: &mut Core) {
        let burst = core.numbers.between(1, self.burst_max).min(self.left);
        for _ in 0..burst {
            let payload = core.payload(self.payload_max);
            if self.writer.stopped().is_some() || !self.writer.would_fit(payload.len() as u64) {
                break;
            }
            let (token, payload_crc) = (self.next_token, crc32c::crc32c(&payload));
            (self.next_token, self.left) = (self.next_token + 1, self.left - 1);
            self.writer.handle(core.micros(), WriterEvent::Append { token, payload, payload_crc });
        }
        self.append_at = core.now + core.numbers.delay(self.pause_us);
    }

    pub(super) fn take(&mut self, core: &mut Core, links: &mut Links, outcome: Outcome) {
        let replica_of = |disk: DiskId| self.replicas.iter().position(|replica| replica.disk == disk);
        let event = match outcome {
            Outcome::Answered { .. } => None,
            Outcome::Up { disk } => replica_of(disk).map(|replica| WriterEvent::Up { replica }),
            Outcome::Down { disk, why } => replica_of(disk).map(|replica| WriterEvent::Down { replica, why }),
            Outcome::Stored { disk, segment, seq } => {
                replica_of(disk).filter(|_| segment == self.segment).map(|replica| WriterEvent::Stored { replica, seq })
            }
            Outcome::Refused { disk, segment, seq, refusal } => replica_of(disk)
                .filter(|_| segment == self.segment)
                .map(|replica| WriterEvent::Refused { replica, seq, refusal }),
        };
        if let Some(event) = event {
            self.writer.handle(core.micros(), event);
            self.perform(core, links);
        }
    }

    fn perform(&mut self, core: &mut Core, links: &mut Links) {
        core.trace.take(|| self.writer.poll_action());
        self.check_stragglers();
        while let Some(effect) = self.writer.poll_effect() {
            match effect {
                WriterEffect::Put { replica, header, payload } => {
                    let known = self.first.plus(self.committed);
                    assert!(header.watermark <= known, "P6: watermark {} runs ahead of {known}", header.watermark);
                    core.oracle.put(&header, &payload);
                    links.put(core, self.replicas[replica].disk, &header, payload);
                }
                WriterEffect::Committed { token, seq } => {
                    self.settle(token);
                    assert!(!self.failed, "P2: append {token} is acknowledged after an earlier one failed");
                    self.committed += 1;
                    core.effect("acknowledged", [u64::from(links.client), self.segment.epoch.0, seq.0, 0]);
                    let record = core.register.record(&self.name);
                    core.oracle.acknowledged(self.log, self.segment, seq, record);
                }
                WriterEffect::Failed { token, seq, fate, .. } => {
                    self.settle(token);
                    self.failed |= seq.is_some();
                    core.effect("append failed", [u64::from(links.client), token, u64::from(fate == Fate::Unknown), 0]);
                    if fate == Fate::NeverStored {
                        core.oracle.never_stored(self.log, self.segment, seq);
                    }
                }
                WriterEffect::LeftBehind { replica, .. } => {
                    core.effect("left behind", [u64::from(links.client), replica as u64, 0, 0]);
                }
                WriterEffect::Rejoined { replica, .. } => {
                    core.effect("rejoined", [u64::from(links.client), replica as u64, 0, 0]);
                }
                WriterEffect::Stopped { .. } => core.effect("stopped writing", [u64::from(links.client), 0, 0, 0]),
            }
        }
    }

    /// P10: a dead replica costs bounded memory.
    fn check_stragglers(&self) {
        let ((chunks, bytes), (chunks_max, bytes_max)) = (self.writer.kept_for_stragglers(), self.straggler_max);
        assert!(chunks <= chunks_max && bytes <= bytes_max, "P10: {chunks} chunks of {bytes} bytes are kept");
    }

    /// P2: appends are told in the order in which they were made what became of them, each once.
    fn settle(&mut self, token: u64) {
        assert!(token == self.next_outcome, "append {token} is told of when {} is the oldest", self.next_outcome);
        self.next_outcome += 1;
    }
}
