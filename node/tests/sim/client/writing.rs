//! Writing: the shell of the shipped rotating writer, as `client/src/log_writer`.

use super::{Links, News, Outcome};
use crate::core::Core;
use crate::directory::Placement;
use crate::register::{RegisterNews, Wanted};
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::record::{ReplicaRef, Window};
use quarry_protocol::recovery::RecoveryReport;
use quarry_protocol::rotation::{
    RotatingWriter, RotationConfig, RotationEffect, RotationEvent, RotationPolicy, SegmentShape,
};
use quarry_protocol::writer::{Fate, WriterEvent};

/// The bound on what is kept for stragglers is one per segment.
const PARTS: u64 = quarry_protocol::rotation::PARTS_MAX as u64;

/// A segment that is written, or was.
#[derive(Debug)]
struct Written {
    id: SegmentId,
    base: ChunkSeq,
    replicas: Vec<ReplicaRef>,
    /// Whether news of it are wanted.
    attached: bool,
}

#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) writer: RotatingWriter,
    name: String,
    log: LogId,
    /// Oldest first.
    segments: Vec<Written>,
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
    rotate_percent: u64,
    bucket_percent: u64,
    shape: SegmentShape,
    /// When it ends although nothing is wrong.
    ends_at: Option<u64>,
}

impl Writing {
    pub(super) fn new(core: &mut Core, links: &mut Links, log: usize, report: RecoveryReport, appends: u64) -> Self {
        let options = core.options.logs[log];
        let never =
            RotationPolicy { segment_bytes: u64::MAX, segment_age_us: u64::MAX / 2, replica_patience_us: u64::MAX / 2 };
        // The specification that traces are held against has no rotation.
        let traced = core.trace.wanted;
        let ack_quorum = report.segment.as_ref().expect("opened to write").ack_quorum.into();
        let shape = SegmentShape { replicas: options.replicas, ack_quorum, window: options.window };
        let config = RotationConfig {
            name: report.record.name.clone(),
            owner: report.record.owner,
            next_seq: report.next_seq,
            digest: report.digest,
            carried: report.carried,
            shape: SegmentShape { replicas: if traced { 1 } else { options.replicas }, ..shape },
            deadline_us: core.options.append_deadline_us,
            straggler_chunks_max: options.straggler_chunks_max,
            straggler_bytes_max: options.straggler_bytes_max,
            policy: if traced { never } else { options.rotation },
            version: report.version,
            record: report.record.clone(),
        };
        let mut writer = RotatingWriter::new(config, core.micros());
        if traced {
            writer.record_actions();
        }
        let mut writing = Self {
            writer,
            name: report.record.name,
            log: report.record.log,
            segments: Vec::new(),
            left: appends,
            next_token: 0,
            next_outcome: 0,
            failed: false,
            committed: 0,
            first: report.next_seq,
            straggler_max: (u64::from(options.straggler_chunks_max) * PARTS, options.straggler_bytes_max * PARTS),
            append_at: core.now,
            burst_max: options.burst_max,
            pause_us: options.pause_us,
            payload_max: options.payload_max.min(options.window.bytes),
            rotate_percent: if traced { 0 } else { options.rotate_percent },
            bucket_percent: options.bucket_percent,
            shape,
            ends_at: None,
        };
        writing.perform(core, links);
        writing
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
            self.writer.handle(core.micros(), RotationEvent::Tick);
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
            self.writer.handle(core.micros(), RotationEvent::Append { token, payload, payload_crc });
        }
        if self.rotate_percent > 0 && core.numbers.percent(self.rotate_percent) {
            let event = if core.numbers.percent(50) { RotationEvent::Rotate } else { self.move_somewhere(core) };
            self.writer.handle(core.micros(), event);
        }
        self.append_at = core.now + core.numbers.delay(self.pause_us);
    }

    /// A move to segments of another shape, on buckets or on nodes as it happens. No less is survived there: whoever wipes disks
    /// counts on the log's own quorum.
    fn move_somewhere(&self, core: &mut Core) -> RotationEvent {
        let SegmentShape { replicas, ack_quorum, window } = self.shape;
        let ack_quorum = core.numbers.between(ack_quorum as u64, replicas as u64) as usize;
        let chunks = core.numbers.between(1, u64::from(window.chunks)) as u32;
        RotationEvent::Move(SegmentShape { replicas, ack_quorum, window: Window { chunks, ..window } })
    }

    pub(super) fn hear(&mut self, core: &mut Core, links: &mut Links, news: News) {
        let event = match news {
            News::Register(RegisterNews::Read { request, result }) => RotationEvent::RecordRead { request, result },
            News::Register(RegisterNews::Swapped { request, outcome, .. }) => {
                RotationEvent::Swapped { request, outcome }
            }
            News::Placed { request, result } => RotationEvent::Placed { request, result },
            News::Object { .. } => unreachable!("the links' own"),
        };
        self.writer.handle(core.micros(), event);
        self.perform(core, links);
    }

    pub(super) fn take(&mut self, core: &mut Core, links: &mut Links, outcome: &Outcome) {
        let (disk, of) = match outcome {
            Outcome::Answered { .. } => return,
            Outcome::Up { disk } | Outcome::Down { disk, .. } => (*disk, None),
            Outcome::Stored { disk, segment, .. } | Outcome::Refused { disk, segment, .. } => (*disk, Some(*segment)),
        };
        let concerned = |written: &&Written| written.attached && of.is_none_or(|of| of == written.id);
        let concerned: Vec<_> = self
            .segments
            .iter()
            .filter(concerned)
            .filter_map(|written| {
                let replica = written.replicas.iter().position(|replica| replica.disk == disk)?;
                Some((written.id, event_of(replica, outcome)))
            })
            .collect();
        for (segment, event) in concerned {
            self.writer.handle(core.micros(), RotationEvent::Link { segment, event });
            self.perform(core, links);
        }
    }

    fn perform(&mut self, core: &mut Core, links: &mut Links) {
        core.trace.take(|| self.writer.poll_action());
        self.check_stragglers();
        while let Some(effect) = self.writer.poll_effect() {
            self.perform_one(core, links, effect);
        }
    }

    fn perform_one(&mut self, core: &mut Core, links: &mut Links, effect: RotationEffect) {
        let client = links.client;
        match effect {
            RotationEffect::Put { segment, replica, header, payload } => {
                let known = self.first.plus(self.committed);
                assert!(header.watermark <= known, "P6: watermark {} runs ahead of {known}", header.watermark);
                core.oracle.put(&header, &payload);
                core.oracle.put_by_writer(&header);
                let to = self.written(segment).replicas[replica].disk;
                links.put(core, to, &header, payload);
            }
            RotationEffect::Committed { token, seq } => {
                self.settle(token);
                assert!(!self.failed, "P2: append {token} is acknowledged after an earlier one failed");
                let next = self.first.plus(self.committed);
                assert!(seq == next, "P2: {seq} is acknowledged when {next} is next");
                self.committed += 1;
                let segment = self.owner(seq);
                core.effect("acknowledged", [u64::from(client), segment.epoch.0, seq.0, 0]);
                let record = core.register.record(&self.name);
                core.oracle.acknowledged(self.log, segment, seq, record);
            }
            RotationEffect::Failed { token, seq, fate, .. } => {
                self.settle(token);
                self.failed |= seq.is_some();
                core.effect("append failed", [u64::from(client), token, u64::from(fate == Fate::Unknown), 0]);
                if fate == Fate::NeverStored {
                    let segment = seq.map_or(self.writer.segment().id, |seq| self.owner(seq));
                    core.oracle.never_stored(self.log, segment, seq);
                }
            }
            RotationEffect::Attach { segment: id, replicas } => {
                replicas.iter().for_each(|replica| links.watch(core, replica));
                let base =
                    self.writer.record().segments.iter().find(|segment| segment.id == id).map(|segment| segment.base);
                let base = base.expect("P5: what is written is on record");
                self.segments.push(Written { id, base, replicas, attached: true });
            }
            RotationEffect::Detach { segment } => {
                let written = self.segments.iter_mut().find(|written| written.id == segment);
                written.expect("it was attached").attached = false;
            }
            RotationEffect::Place { request, log, replicas, keep, avoid, moving: _ } => {
                let mut wanted = Placement::new(log, replicas, self.bucket_percent);
                (wanted.keep, wanted.avoid) = (keep, avoid);
                core.place(client, request, &wanted);
            }
            RotationEffect::ReadRecord { request, name } => {
                core.call_register(client, request, Wanted::Read { name });
            }
            RotationEffect::Swap { request, expected, record } => {
                core.call_register(client, request, Wanted::Swap { expected: Some(expected), record });
            }
            other => note(core, client, &other),
        }
    }

    fn written(&self, segment: SegmentId) -> &Written {
        self.segments.iter().find(|written| written.id == segment).expect("it was attached")
    }

    /// The segment that a seq was handed out in.
    fn owner(&self, seq: ChunkSeq) -> SegmentId {
        self.segments.iter().rev().find(|written| written.base <= seq).expect("a seq has a segment").id
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

/// What a link's news mean to the writer of a segment.
fn event_of(replica: usize, outcome: &Outcome) -> WriterEvent {
    match outcome {
        Outcome::Up { .. } => WriterEvent::Up { replica },
        Outcome::Down { why, .. } => WriterEvent::Down { replica, why: why.clone() },
        Outcome::Stored { seq, .. } => WriterEvent::Stored { replica, seq: *seq },
        Outcome::Refused { seq, refusal, .. } => WriterEvent::Refused { replica, seq: *seq, refusal: refusal.clone() },
        Outcome::Answered { .. } => unreachable!("no news of puts"),
    }
}

fn note(core: &mut Core, client: u32, effect: &RotationEffect) {
    let client = u64::from(client);
    match effect {
        RotationEffect::LeftBehind { replica, .. } => core.effect("left behind", [client, *replica as u64, 0, 0]),
        RotationEffect::Rejoined { replica, .. } => core.effect("rejoined", [client, *replica as u64, 0, 0]),
        RotationEffect::Stopped { .. } => core.effect("stopped writing", [client, 0, 0, 0]),
        RotationEffect::Planned { at, next, .. } => {
            core.oracle.counts.rotations += 1;
            core.effect("planned", [client, next.epoch.0, u64::from(next.index), at.0]);
        }
        RotationEffect::Sealed { segment, at } => {
            core.effect("sealed", [client, segment.epoch.0, u64::from(segment.index), at.0]);
        }
        RotationEffect::Unrotated { .. } => core.effect("not rotated", [client, 0, 0, 0]),
        RotationEffect::Stalled { at, .. } => {
            core.oracle.counts.stalls += 1;
            core.effect("stalled", [client, at.0, 0, 0]);
        }
        other => unreachable!("{other:?} is performed"),
    }
}
