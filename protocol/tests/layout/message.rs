//! Requests and replies: golden bytes, round trips, bounds, and what is not one.

use crate::samples::{SEGMENT, digits, disk, hex, log};
use proptest::prelude::*;
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, RecordNumber, SegmentId};
use quarry_protocol::limits::{
    ADDRESS_BYTES_MAX, FRAME_CONTROL_BODY_BYTES_MAX, MEMBERS_PER_REPLY_MAX, RANGES_PER_ANSWER_MAX, READ_BYTES_MAX,
    READ_CHUNKS_MAX, SEGMENTS_PER_REQUEST_MAX, SHARDS_MAX, TROUBLE_BYTES_MAX, WINDOW_CHUNKS_MAX, ZONE_BYTES_MAX,
};
use quarry_protocol::member::{Health, Liveness, Member, MemberShard};
use quarry_protocol::message::{
    Answer, HoldingsCursor, HoldingsPage, LogHolding, MessageError, NodeInfo, ProvenanceRun, Refusal, Reply, Request,
    Run, SegmentHolding, SegmentView, ShardAddress, shard_of,
};

fn id() -> impl Strategy<Value = SegmentId> {
    any::<(u64, u32)>().prop_map(|(epoch, index)| SegmentId { epoch: Epoch(epoch), index })
}

fn runs() -> impl Strategy<Value = Vec<Run>> {
    let answer = prop::sample::select(vec![Answer::Have, Answer::Never, Answer::Trimmed, Answer::Unknown]);
    let run = (any::<(u64, u64)>(), answer).prop_map(|((from, to), answer)| Run {
        from: ChunkSeq(from),
        to: ChunkSeq(to),
        answer,
    });
    prop::collection::vec(run, 0..40)
}

fn views() -> impl Strategy<Value = Vec<SegmentView>> {
    let view = (id(), any::<(u64, Option<u64>)>(), runs()).prop_map(|(segment, (watermark, newest), runs)| {
        SegmentView { segment, watermark: ChunkSeq(watermark), newest: newest.map(ChunkSeq), runs }
    });
    prop::collection::vec(view, 0..8)
}

fn request() -> impl Strategy<Value = Request> {
    let segments = || prop::collection::vec(id(), 0..SEGMENTS_PER_REQUEST_MAX);
    let log = any::<[u8; 16]>().prop_map(LogId);
    prop_oneof![
        "[a-z]{0,63}".prop_map(|cluster| Request::Hello { cluster }),
        (log.clone(), any::<u64>(), segments()).prop_map(|(log, epoch, segments)| Request::Fence {
            log,
            epoch: Epoch(epoch),
            segments
        }),
        (log.clone(), any::<u64>(), id(), 0..u64::MAX / 2, 0..=u64::from(WINDOW_CHUNKS_MAX) + 1).prop_map(
            |(log, epoch, segment, from, count)| Request::Freeze {
                log,
                epoch: Epoch(epoch),
                segment,
                from: ChunkSeq(from),
                to: ChunkSeq(from + count),
            }
        ),
        (log.clone(), segments()).prop_map(|(log, segments)| Request::Inspect { log, segments }),
        (log.clone(), id(), any::<u64>(), 1..=READ_CHUNKS_MAX, 1..=READ_BYTES_MAX).prop_map(
            |(log, segment, from, chunks_max, bytes_max)| Request::Read {
                log,
                segment,
                from: ChunkSeq(from),
                chunks_max,
                bytes_max,
            }
        ),
        (log.clone(), any::<(u64, u64)>()).prop_map(|(log, (word, floor))| Request::Trim {
            log,
            word: RecordNumber(word),
            floor: ChunkSeq(floor)
        }),
        (log.clone(), any::<u64>()).prop_map(|(log, epoch)| Request::Delete { log, epoch: Epoch(epoch) }),
        (log.clone(), any::<u64>()).prop_map(|(log, word)| Request::Pin { log, word: RecordNumber(word) }),
        (log.clone(), id(), any::<u64>()).prop_map(|(log, segment, word)| Request::Free {
            log,
            segment,
            word: RecordNumber(word)
        }),
        (log.clone(), id()).prop_map(|(log, segment)| Request::Holdings { from: HoldingsCursor { log, segment } }),
        (log.clone(), id(), any::<u64>(), any::<u64>()).prop_map(|(log, segment, a, b)| Request::Inventory {
            log,
            segment,
            from: ChunkSeq(a.min(b)),
            to: ChunkSeq(a.max(b)),
        }),
        (log, id(), any::<u64>(), any::<u64>()).prop_map(|(log, segment, a, b)| Request::Provenance {
            log,
            segment,
            from: ChunkSeq(a.min(b)),
            to: ChunkSeq(a.max(b)),
        }),
        any::<Option<[u8; 16]>>().prop_map(|after| Request::Members { after: after.map(DiskId) }),
    ]
}

/// A member with texts of up to `length` bytes.
fn member(number: u8, length: usize, letter: &str) -> Member {
    let text = |max: usize| letter.repeat(length.min(max) / letter.len());
    let shard = |port: u16| MemberShard { disk: DiskId([number; 16]), port };
    Member {
        node: DiskId([number; 16]),
        incarnation: u64::from(number),
        zone: text(ZONE_BYTES_MAX),
        rack: text(ZONE_BYTES_MAX),
        advertise: text(ADDRESS_BYTES_MAX),
        control: text(ADDRESS_BYTES_MAX),
        shards: (0..length.min(SHARDS_MAX) as u16).map(shard).collect(),
        capacity_bytes: u64::MAX,
        live_bytes: 1,
        load_bytes_per_s: 2,
        health: Health::Failed,
        draining: number.is_multiple_of(2),
        liveness: Liveness::Suspect,
        trouble: text(TROUBLE_BYTES_MAX),
    }
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        any::<u64>().prop_map(|by| Refusal::Fenced { by: Epoch(by) }),
        any::<[[u8; 16]; 2]>().prop_map(|[a, b]| Refusal::WrongDisk { named: DiskId(a), here: DiskId(b) }),
        any::<[[u8; 16]; 2]>().prop_map(|[a, b]| Refusal::Retired { named: DiskId(a), here: DiskId(b) }),
        any::<(u64, u64)>().prop_map(|(live_bytes, capacity_bytes)| Refusal::Full { live_bytes, capacity_bytes }),
        any::<([u8; 16], u64)>().prop_map(|(log, at)| Refusal::LogDeleted { log: LogId(log), at: Epoch(at) }),
        any::<u32>().prop_map(|max| Refusal::TooManyLogs { max }),
        ".{0,100}".prop_map(|why| Refusal::DiskFailed { why }),
        (id(), any::<u64>()).prop_map(|(segment, seq)| Refusal::Different { segment, seq: ChunkSeq(seq) }),
        any::<(u64, u64)>().prop_map(|(a, b)| Refusal::StaleWord { asked: RecordNumber(a), known: RecordNumber(b) }),
        ".{0,100}".prop_map(|why| Refusal::BadRequest { why }),
        "[a-z]{0,63}".prop_map(|here| Refusal::WrongCluster { asked: here.clone(), here }),
    ]
}

fn holdings() -> impl Strategy<Value = HoldingsPage> {
    let segment =
        (id(), any::<(Option<(u64, u64)>, u64, u64, u64)>()).prop_map(|(segment, (held, chunks, lost, s))| {
            let held = held.map(|(first, last)| (ChunkSeq(first), ChunkSeq(last)));
            SegmentHolding { segment, held, chunks, lost, idle_s: s }
        });
    let log = any::<([u8; 16], u64, u64, bool, u64)>().prop_map(|(log, fence, floor, deleted, word)| LogHolding {
        log: LogId(log),
        fence: Epoch(fence),
        floor: ChunkSeq(floor),
        deleted,
        word: RecordNumber(word),
        segments: Vec::new(),
    });
    let of_log = (log, prop::collection::vec(segment, 0..9)).prop_map(|(log, segments)| LogHolding { segments, ..log });
    let next =
        prop::option::of(id()).prop_map(|next| next.map(|segment| HoldingsCursor { log: LogId([7; 16]), segment }));
    (prop::collection::vec(any::<[u8; 16]>().prop_map(DiskId), 1..5), prop::collection::vec(of_log, 0..9), next)
        .prop_map(|(identities, logs, next)| HoldingsPage { identities, logs, next })
}

fn reply() -> impl Strategy<Value = Reply> {
    let shard = any::<([u8; 16], u16)>().prop_map(|(disk, port)| ShardAddress {
        disk: DiskId(disk),
        retired: vec![DiskId([1; 16])],
        port,
    });
    prop_oneof![
        prop::collection::vec(shard, 1..8).prop_map(|shards| Reply::Hello(NodeInfo {
            cluster: "orders".into(),
            zone: "a".into(),
            advertise: "node1:7000".into(),
            shard: shards.len() as u16 - 1,
            shards,
        })),
        (any::<(u64, u64)>(), views()).prop_map(|((f, floor), segments)| Reply::Fenced {
            fence: Epoch(f),
            floor: ChunkSeq(floor),
            segments
        }),
        runs().prop_map(|runs| Reply::Frozen { runs }),
        (any::<(u64, u64)>(), views()).prop_map(|((f, floor), segments)| Reply::Inspected {
            fence: Epoch(f),
            floor: ChunkSeq(floor),
            segments
        }),
        any::<u64>().prop_map(|next| Reply::ReadEnd { next: ChunkSeq(next), answer: Answer::Unknown }),
        any::<u64>().prop_map(|floor| Reply::Trimmed { floor: ChunkSeq(floor) }),
        Just(Reply::Deleted),
        Just(Reply::Freed),
        any::<u64>().prop_map(|word| Reply::Pinned { word: RecordNumber(word) }),
        (runs(), any::<u64>()).prop_map(|(runs, next)| Reply::Inventory { runs, next: ChunkSeq(next) }),
        holdings().prop_map(|page| Reply::Holdings(Box::new(page))),
        refusal().prop_map(Reply::Refused),
        (prop::collection::vec(any::<([u64; 4], Option<u64>)>(), 0..40), any::<u64>()).prop_map(|(runs, next)| {
            let run = |([from, to, stored_from_s, stored_to_s], verified_at_s): ([u64; 4], _)| {
                let (from, to) = (ChunkSeq(from), ChunkSeq(to));
                ProvenanceRun { from, to, stored_from_s, stored_to_s, verified_at_s }
            };
            Reply::Provenance { runs: runs.into_iter().map(run).collect(), next: ChunkSeq(next) }
        }),
        (0..8_u8, any::<(u64, bool)>()).prop_map(|(count, (version, more))| Reply::Members {
            members: (0..count).map(|number| member(number, usize::from(number) * 9, "é")).collect(),
            version,
            more,
        }),
    ]
}

proptest! {
    #[test]
    fn every_request_comes_back(request in request()) {
        let body = request.encode();
        prop_assert!(body.len() <= FRAME_CONTROL_BODY_BYTES_MAX as usize);
        prop_assert_eq!(Request::decode(&body), Ok(request));
    }

    #[test]
    fn every_reply_comes_back(reply in reply()) {
        let body = reply.encode();
        prop_assert!(body.len() <= FRAME_CONTROL_BODY_BYTES_MAX as usize);
        prop_assert_eq!(Reply::decode(&body), Ok(reply));
    }

    /// At any alignment: bodies lie where the network left them.
    #[test]
    fn a_message_decodes_at_any_address(request in request(), shift in 0..16_usize) {
        let mut bytes = vec![0xee; shift];
        bytes.extend(request.encode());
        prop_assert_eq!(Request::decode(&bytes[shift..]), Ok(request));
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Request::decode(&bytes);
        let _ = Reply::decode(&bytes);
    }

    /// A flipped bit, a cut or a splice is found by the frame's checksum; the decoder survives it without that, too.
    #[test]
    fn damaged_messages_do_no_harm(reply in reply(), at in any::<prop::sample::Index>(), bit in 0..8_u32, keep in any::<prop::sample::Index>()) {
        let body = reply.encode();
        let header = FrameHeader::control(FrameKind::Reply, 1, disk(), &body);
        let mut damaged = body.clone();
        damaged[at.index(body.len())] ^= 1_u8 << bit;
        prop_assert!(header.verify_body(&damaged).is_err());
        let _ = Reply::decode(&damaged);
        let _ = Request::decode(&damaged);
        let cut = &body[..keep.index(body.len())];
        prop_assert!(cut.is_empty() || header.verify_body(cut).is_err());
        let _ = Reply::decode(cut);
        let _ = Reply::decode(&body[body.len() - cut.len()..]);
    }
}

/// The layout is rkyv's: these bytes were made by this build, and pin it. A change of them is a change of the wire protocol.
#[test]
fn golden() {
    for (request, golden) in golden_requests() {
        let body = request.encode();
        assert_eq!(body, hex(golden), "{request:?}: {}", digits(&body));
        assert_eq!(Request::decode(&body), Ok(request));
    }
    for (reply, golden) in golden_replies() {
        let body = reply.encode();
        assert_eq!(body, hex(golden), "{reply:?}: {}", digits(&body));
        assert_eq!(Reply::decode(&body), Ok(reply));
    }
}

fn golden_requests() -> Vec<(Request, &'static str)> {
    let (log, epoch, segment) = (log(), Epoch(9), SEGMENT);
    vec![
        (
            Request::Hello { cluster: "orders".into() },
            "006f7264657273ffff000000000000000000000000000000000000000000000000000000000000000000000000000000 \
             0000000000",
        ),
        (
            Request::Fence { log, epoch, segments: vec![segment] },
            "08070605040302011413121101101112131415161718191a1b1c1d1e1f0900000000000000dbffffff01000000000000 \
             0000000000000000000000000000000000",
        ),
        (
            Request::Freeze { log, epoch, segment, from: ChunkSeq(3), to: ChunkSeq(8) },
            "02101112131415161718191a1b1c1d1e1f09000000000000000807060504030201141312110300000000000000080000 \
             0000000000",
        ),
        (
            Request::Inspect { log, segments: vec![segment] },
            "08070605040302011413121103101112131415161718191a1b1c1d1e1fe3ffffff010000000000000000000000000000 \
             0000000000000000000000000000000000",
        ),
        (
            Request::Read { log, segment, from: ChunkSeq(3), chunks_max: 7, bytes_max: 4096 },
            "04101112131415161718191a1b1c1d1e1f08070605040302011413121103000000000000000700000000100000000000 \
             0000000000",
        ),
        (
            Request::Trim { log, word: RecordNumber(epoch.0), floor: ChunkSeq(3) },
            "05101112131415161718191a1b1c1d1e1f09000000000000000300000000000000000000000000000000000000000000 \
             0000000000",
        ),
        (
            Request::Members { after: Some(disk()) },
            "0801a0a1a2a3a4a5a6a7a8a9aaabacadaeaf000000000000000000000000000000000000000000000000000000000000 \
             0000000000",
        ),
        (
            Request::Delete { log, epoch },
            "06101112131415161718191a1b1c1d1e1f09000000000000000000000000000000000000000000000000000000000000 \
             0000000000",
        ),
        (
            Request::Provenance { log, segment, from: ChunkSeq(3), to: ChunkSeq(8) },
            "07101112131415161718191a1b1c1d1e1f08070605040302011413121103000000000000000800000000000000000000 \
             0000000000",
        ),
    ]
}

fn golden_replies() -> Vec<(Reply, &'static str)> {
    let run = Run { from: ChunkSeq(3), to: ChunkSeq(8), answer: Answer::Unknown };
    let view = SegmentView { segment: SEGMENT, watermark: ChunkSeq(3), newest: Some(ChunkSeq(7)), runs: vec![run] };
    let (fence, floor, segments) = (Epoch(9), ChunkSeq(2), vec![view]);
    let (from, to, verified_at_s) = (ChunkSeq(3), ChunkSeq(8), Some(0x61));
    let provenance = ProvenanceRun { from, to, stored_from_s: 0x51, stored_to_s: 0x52, verified_at_s };
    vec![
        (
            Reply::Fenced { fence, floor, segments: segments.clone() },
            "03000000000000000800000000000000030807060504030201141312110300000000000000010700000000000000d2ff \
             ffff010000000109000000000000000200000000000000caffffff0100000000000000000000000000",
        ),
        (
            Reply::Frozen { runs: vec![run] },
            "030000000000000008000000000000000302eeffffff0100000000000000000000000000000000000000000000000000 \
             00000000",
        ),
        (
            Reply::Inspected { fence, floor, segments },
            "03000000000000000800000000000000030807060504030201141312110300000000000000010700000000000000d2ff \
             ffff010000000309000000000000000200000000000000caffffff0100000000000000000000000000",
        ),
        (
            Reply::ReadEnd { next: ChunkSeq(8), answer: Answer::Never },
            "0408000000000000000100000000000000000000000000000000000000000000000000",
        ),
        (Reply::Trimmed { floor }, "0502000000000000000000000000000000000000000000000000000000000000000000"),
        (Reply::Deleted, "0600000000000000000000000000000000000000000000000000000000000000000000"),
        (
            Reply::Refused(Refusal::Fenced { by: fence }),
            "0700090000000000000000000000000000000000000000000000000000000000000000",
        ),
        (
            Reply::Refused(Refusal::WrongDisk { named: disk(), here: DiskId([1; 16]) }),
            "0701a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0101010101010101010101010101010100",
        ),
        (
            Reply::Provenance { runs: vec![provenance], next: ChunkSeq(8) },
            "030000000000000008000000000000005100000000000000520000000000000001610000000000000008d6ffffff0100 \
             00000800000000000000000000000000000000000000000000000000",
        ),
    ]
}

/// D8: what decodes obeys every bound.
#[test]
fn messages_beyond_their_bounds_are_refused() {
    let (log, epoch, segment) = (log(), Epoch(1), SEGMENT);
    let segments = vec![segment; SEGMENTS_PER_REQUEST_MAX + 1];
    let far = ChunkSeq(u64::from(WINDOW_CHUNKS_MAX) + 2);
    let requests = [
        Request::Hello { cluster: "x".repeat(64) },
        Request::Fence { log, epoch, segments: segments.clone() },
        Request::Inspect { log, segments },
        Request::Freeze { log, epoch, segment, from: ChunkSeq(0), to: far },
        Request::Freeze { log, epoch, segment, from: ChunkSeq(1), to: ChunkSeq(0) },
        Request::Provenance { log, segment, from: ChunkSeq(1), to: ChunkSeq(0) },
        Request::Inventory { log, segment, from: ChunkSeq(1), to: ChunkSeq(0) },
        Request::Read { log, segment, from: ChunkSeq(0), chunks_max: READ_CHUNKS_MAX + 1, bytes_max: 1 },
        Request::Read { log, segment, from: ChunkSeq(0), chunks_max: 1, bytes_max: READ_BYTES_MAX + 1 },
    ];
    for request in requests {
        assert!(matches!(Request::decode(&request.encode()), Err(MessageError::Bound { .. })), "{request:?}");
    }
    let run = Run { from: ChunkSeq(0), to: ChunkSeq(1), answer: Answer::Have };
    let (from, to, verified_at_s) = (ChunkSeq(0), ChunkSeq(1), Some(1));
    let provenance = ProvenanceRun { from, to, stored_from_s: 1, stored_to_s: 1, verified_at_s };
    let runs = vec![run; RANGES_PER_ANSWER_MAX + 1];
    let view = SegmentView { segment, watermark: ChunkSeq(0), newest: None, runs: runs.clone() };
    let info =
        NodeInfo { cluster: "c".into(), zone: "z".into(), advertise: "a:1".into(), shards: Vec::new(), shard: 1 };
    let page = |members: Vec<Member>| Reply::Members { members, version: 1, more: false };
    let replies = [
        page(vec![Member::default(); MEMBERS_PER_REPLY_MAX + 1]),
        page(vec![Member { zone: "z".repeat(ZONE_BYTES_MAX + 1), ..Member::default() }]),
        page(vec![Member { advertise: "a".repeat(ADDRESS_BYTES_MAX + 1), ..Member::default() }]),
        page(vec![Member { trouble: "t".repeat(TROUBLE_BYTES_MAX + 1), ..Member::default() }]),
        page(vec![Member { shards: vec![MemberShard { disk: disk(), port: 1 }; SHARDS_MAX + 1], ..Member::default() }]),
        Reply::Frozen { runs },
        Reply::Provenance { runs: vec![provenance; RANGES_PER_ANSWER_MAX + 1], next: ChunkSeq(0) },
        Reply::Fenced { fence: epoch, floor: ChunkSeq(0), segments: vec![view.clone()] },
        Reply::Inspected { fence: epoch, floor: ChunkSeq(0), segments: vec![view] },
        Reply::Hello(info.clone()),
        Reply::Hello(NodeInfo { shard: 0, advertise: "a".repeat(256), ..info }),
    ];
    for reply in replies {
        assert!(matches!(Reply::decode(&reply.encode()), Err(MessageError::Bound { .. })), "{reply:.100?}");
    }
}

/// The worst window's answer fits in one frame.
#[test]
fn the_largest_answer_fits_in_a_frame() {
    let run = |i: usize| Run { from: ChunkSeq(i as u64), to: ChunkSeq(i as u64 + 1), answer: Answer::Have };
    let runs: Vec<Run> = (0..RANGES_PER_ANSWER_MAX).map(run).collect();
    let view = SegmentView { segment: SEGMENT, watermark: ChunkSeq(0), newest: None, runs };
    let reply = Reply::Fenced { fence: Epoch(1), floor: ChunkSeq(0), segments: vec![view] };
    let body = reply.encode();
    assert!(body.len() <= FRAME_CONTROL_BODY_BYTES_MAX as usize, "{} bytes", body.len());
    assert_eq!(Reply::decode(&body), Ok(reply));
    let run = |i: usize| {
        let (from, to, verified_at_s) = (ChunkSeq(i as u64), ChunkSeq(i as u64 + 1), Some(1));
        ProvenanceRun { from, to, stored_from_s: 1, stored_to_s: 2, verified_at_s }
    };
    let reply = Reply::Provenance { runs: (0..RANGES_PER_ANSWER_MAX).map(run).collect(), next: ChunkSeq(9) };
    let body = reply.encode();
    assert!(body.len() <= FRAME_CONTROL_BODY_BYTES_MAX as usize, "{} bytes", body.len());
    assert_eq!(Reply::decode(&body), Ok(reply));
    let members = (0..MEMBERS_PER_REPLY_MAX).map(|number| member(number as u8, 255, "x")).collect();
    let reply = Reply::Members { members, version: 1, more: true };
    let body = reply.encode();
    assert!(body.len() <= FRAME_CONTROL_BODY_BYTES_MAX as usize, "{} bytes", body.len());
    assert_eq!(Reply::decode(&body), Ok(reply));
}

/// Part of the format: which shard a log lives on.
#[test]
fn logs_stay_on_their_shards() {
    assert_eq!((1..=8).map(|shards| shard_of(log(), shards)).collect::<Vec<_>>(), [0, 1, 1, 3, 4, 1, 6, 3]);
}
