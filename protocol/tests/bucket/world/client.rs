//! A client: a recovery, then the writer that it gives way to, and a machine for each bucket.

use super::oracle::Oracle;
use super::{Owed, Parcel, World, slot_of};
use bytes::Bytes;
use quarry_protocol::bucket::{Bucket, BucketEffect, BucketEvent, KnownLog};
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::limits::READ_BYTES_MAX;
use quarry_protocol::message::{Reply, Request};
use quarry_protocol::recovery::{
    FetchFailure, Recovery, RecoveryConfig, RecoveryEffect, RecoveryError, RecoveryEvent, RecoveryReport,
};
use quarry_protocol::time::Micros;
use quarry_protocol::writer::{Writer, WriterConfig, WriterEffect, WriterEvent};

/// No deadline inside a test's time.
pub(crate) const NEVER_US: u64 = u64::MAX / 2;
/// So few that a bucket that is away for a while is left behind, and has a long hole.
const STRAGGLER_CHUNKS_MAX: u32 = 3;

pub(crate) enum Role {
    Recovering(Box<Recovery>),
    Writing(Box<Writer>),
    Over(Option<Box<RecoveryError>>),
}

pub(crate) struct Client {
    pub(crate) role: Role,
    /// One machine per bucket, once there is something to do.
    pub(crate) machines: Vec<Option<Bucket>>,
    pub(crate) segment: Option<SegmentId>,
    pub(crate) report: Option<RecoveryReport>,
    appended: u8,
}

impl Client {
    pub(crate) fn new(config: RecoveryConfig, now: Micros, buckets: usize) -> Self {
        let role = Role::Recovering(Box::new(Recovery::new(config, now)));
        let machines = (0..buckets).map(|_| None).collect();
        Self { role, machines, segment: None, report: None, appended: 0 }
    }

    pub(crate) fn writer(&self) -> Option<&Writer> {
        match &self.role {
            Role::Writing(writer) => Some(writer),
            _ => None,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.role, Role::Over(_))
    }

    /// Whether it has a machine for each bucket, of this log.
    pub(crate) fn is_of(&self, log: LogId) -> bool {
        self.machines.iter().all(|machine| machine.as_ref().is_some_and(|machine| machine.log() == log))
    }

    fn writer_config(report: &RecoveryReport) -> WriterConfig {
        let segment = report.segment.clone().expect("opened to write");
        WriterConfig {
            log: report.record.log,
            segment: segment.id,
            quorum: segment.quorum().expect("valid"),
            window: segment.window,
            next_seq: report.next_seq,
            digest: report.digest,
            carried: report.carried.clone(),
            deadline_us: NEVER_US,
            straggler_chunks_max: STRAGGLER_CHUNKS_MAX,
            held: false,
            straggler_bytes_max: 1000,
        }
    }
}

impl World {
    pub(crate) fn append(&mut self, client: usize) -> bool {
        let (now, state) = (self.now, &mut self.clients[client]);
        let Role::Writing(writer) = &mut state.role else { return false };
        if writer.stopped().is_some() || !writer.would_fit(3) || state.appended == u8::MAX {
            return false;
        }
        let payload = Bytes::from(vec![client as u8, state.appended, 7]);
        let (token, payload_crc) = (u64::from(state.appended), crc32c::crc32c(&payload));
        writer.handle(now, WriterEvent::Append { token, payload, payload_crc });
        state.appended += 1;
        self.drain(client);
        true
    }

    pub(crate) fn recover(&mut self, client: usize, event: RecoveryEvent) {
        if let Role::Recovering(recovery) = &mut self.clients[client].role {
            recovery.handle(self.now, event);
            self.drain(client);
        }
    }

    pub(crate) fn write(&mut self, client: usize, event: WriterEvent) {
        if let Role::Writing(writer) = &mut self.clients[client].role {
            writer.handle(self.now, event);
            self.drain(client);
        }
    }

    pub(super) fn tick_role(&mut self, client: usize) {
        self.recover(client, RecoveryEvent::Tick);
        self.write(client, WriterEvent::Tick);
    }

    /// The way to a bucket is lost, and found again: what is not stored is put again.
    pub(crate) fn link(&mut self, client: usize, replica: usize, up: bool) {
        let event = if up { WriterEvent::Up { replica } } else { WriterEvent::Down { replica, why: "reset".into() } };
        self.write(client, event);
    }

    pub(super) fn drain(&mut self, client: usize) {
        for _ in 0..10_000 {
            match &mut self.clients[client].role {
                Role::Recovering(recovery) => {
                    let Some(effect) = recovery.poll_effect() else { return };
                    self.perform_recovery(client, effect);
                }
                Role::Writing(writer) => {
                    let Some(effect) = writer.poll_effect() else { return };
                    self.perform_writer(client, effect);
                }
                Role::Over(_) => return,
            }
        }
        panic!("a client that never runs out of effects");
    }

    fn perform_recovery(&mut self, client: usize, effect: RecoveryEffect) {
        match effect {
            RecoveryEffect::ReadRecord { request, .. } => self.parcels.push(Parcel::Read { client, request }),
            RecoveryEffect::Swap { request, expected, record } => {
                self.parcels.push(Parcel::Swap { client, request, expected, record });
            }
            RecoveryEffect::Place { request, .. } => {
                let event = RecoveryEvent::Placed { request, result: Ok(self.buckets.clone()) };
                self.parcels.push(Parcel::News { client, event });
            }
            RecoveryEffect::Call { request, to, what } => {
                let bucket = self.bucket_of(&to);
                let Role::Recovering(recovery) = &self.clients[client].role else { unreachable!() };
                let known = KnownLog::of(recovery.record().expect("it asks after its claim"));
                self.tell(client, bucket, what.log().expect("nobody greets a bucket"), BucketEvent::Known(known));
                self.ask(client, bucket, what.clone(), Owed::Call { request, what, wiped: self.wiped == Some(bucket) });
            }
            RecoveryEffect::Fetch { request, from, log, segment, seq } => {
                let bucket = self.bucket_of(&from);
                let what = Request::Read { log, segment, from: seq, chunks_max: 1, bytes_max: READ_BYTES_MAX };
                self.ask(client, bucket, what, Owed::Fetch { request });
            }
            RecoveryEffect::Attach { segment, replicas, .. } => {
                self.clients[client].segment = Some(segment);
                for replica in 0..replicas.len() {
                    self.parcels.push(Parcel::News { client, event: RecoveryEvent::Up { replica, segment } });
                }
            }
            RecoveryEffect::Copy { replica, header, payload, .. } => self.put(client, replica, header, payload),
            RecoveryEffect::Finished(outcome) => self.finished(client, *outcome),
        }
    }

    fn finished(&mut self, client: usize, outcome: Result<RecoveryReport, RecoveryError>) {
        let state = &mut self.clients[client];
        match outcome {
            Err(why) => state.role = Role::Over(Some(Box::new(why))),
            Ok(report) if report.segment.is_none() => {
                let record = report.record.clone();
                (state.report, state.role) = (Some(report), Role::Over(None));
                for bucket in 0..self.buckets.len() {
                    self.tell(client, bucket, record.log, BucketEvent::Known(KnownLog::of(&record)));
                    let request = Request::Delete { log: record.log, epoch: record.epoch };
                    self.ask(client, bucket, request, Owed::Nobody);
                }
            }
            Ok(report) => {
                self.oracle.took_over(&report.record, report.next_seq);
                let config = Client::writer_config(&report);
                state.segment = Some(config.segment);
                state.role = Role::Writing(Box::new(Writer::new(config, self.now)));
                state.report = Some(report);
                (0..self.buckets.len()).for_each(|replica| self.link(client, replica, true));
            }
        }
    }

    fn perform_writer(&mut self, client: usize, effect: WriterEffect) {
        match effect {
            WriterEffect::Put { replica, header, payload } => self.put(client, replica, header, payload),
            WriterEffect::Committed { seq, .. } => {
                let segment = self.clients[client].segment.expect("a writer has a segment");
                let (_, record) = self.register.as_ref().expect("a writer's record exists");
                self.oracle.acknowledge(seq, segment, record, &self.stores);
            }
            _ => {}
        }
    }

    fn bucket_of(&self, to: &quarry_protocol::record::ReplicaRef) -> usize {
        self.buckets.iter().position(|bucket| bucket.disk == to.disk).expect("one of the buckets")
    }

    pub(super) fn drain_machine(&mut self, client: usize, bucket: usize) {
        loop {
            let machine = self.clients[client].machines[bucket].as_mut().expect("just used");
            let Some(effect) = machine.poll_effect() else { return };
            match effect {
                BucketEffect::Perform { operation, what } => {
                    self.parcels.push(Parcel::Operation { client, bucket, operation, what });
                }
                BucketEffect::PutStored { to, .. } => {
                    let Some(Owed::Put { replica, header }) = self.owed.remove(&to) else { panic!("no put {to}") };
                    if self.wiped != Some(bucket) {
                        self.oracle.stored(slot_of(&header), &self.stores[bucket], self.record());
                    }
                    self.put_over(client, replica, header.segment, header.seq, None);
                }
                BucketEffect::Chunk { to, header, payload } => {
                    let Some(Owed::Fetch { request }) = self.owed.remove(&to) else { panic!("no read {to}") };
                    let event = RecoveryEvent::Fetched { request, result: Ok((header, payload)) };
                    self.parcels.push(Parcel::News { client, event });
                }
                BucketEffect::Reply { to, reply } => self.replied(client, bucket, to, reply),
            }
        }
    }

    fn replied(&mut self, client: usize, bucket: usize, to: u64, reply: Reply) {
        match (self.owed.remove(&to), reply) {
            (Some(Owed::Put { replica, header }), Reply::Refused(refusal)) => {
                self.put_over(client, replica, header.segment, header.seq, Some(refusal));
            }
            (Some(Owed::Call { request, what, wiped }), reply) => {
                let refused = matches!(reply, Reply::Refused(_));
                assert!(refused || !wiped, "bucket {bucket} answers for a disk that is gone: {reply:?}");
                // What it said may have been true when it was looked at, and the bucket emptied since.
                if self.wiped != Some(bucket) {
                    Oracle::answered(&what, &reply, &self.stores[bucket], self.record());
                }
                let event = RecoveryEvent::Replied { request, result: Ok(reply) };
                self.parcels.push(Parcel::News { client, event });
            }
            (Some(Owed::Fetch { request }), Reply::ReadEnd { answer, .. }) => {
                let event = RecoveryEvent::Fetched { request, result: Err(FetchFailure::Answer(answer)) };
                self.parcels.push(Parcel::News { client, event });
            }
            (Some(Owed::Fetch { request }), reply) => {
                let result = Err(FetchFailure::Unreachable(format!("{reply:?}")));
                self.parcels.push(Parcel::News { client, event: RecoveryEvent::Fetched { request, result } });
            }
            (Some(Owed::Look), Reply::Inspected { segments, .. }) => self.seen = segments.into_iter().next(),
            (Some(Owed::Look), reply) => panic!("a look was answered with {reply:?}"),
            // The end of a read whose chunk was passed on, or the answer to a trim.
            (None | Some(Owed::Nobody), _) => {}
            (Some(Owed::Put { .. }), reply) => panic!("a put was answered with {reply:?}"),
        }
    }

    /// What became of a put, told to whoever holds the segment by now.
    fn put_over(
        &mut self,
        client: usize,
        replica: usize,
        segment: SegmentId,
        seq: ChunkSeq,
        refusal: Option<quarry_protocol::message::Refusal>,
    ) {
        let state = &mut self.clients[client];
        if state.segment != Some(segment) {
            return;
        }
        match (&mut state.role, refusal) {
            (Role::Recovering(_), None) => {
                let event = RecoveryEvent::CopyStored { replica, segment, seq };
                self.parcels.push(Parcel::News { client, event });
            }
            (Role::Recovering(_), Some(refusal)) => {
                let event = RecoveryEvent::CopyRefused { replica, segment, seq, refusal };
                self.parcels.push(Parcel::News { client, event });
            }
            (Role::Writing(_), None) => self.write(client, WriterEvent::Stored { replica, seq }),
            (Role::Writing(_), Some(refusal)) => self.write(client, WriterEvent::Refused { replica, seq, refusal }),
            (Role::Over(_), _) => {}
        }
    }
}
