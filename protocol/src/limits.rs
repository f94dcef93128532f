//! Every bound of the system, in one place, units last, with the relations between them asserted when this
//! compiles (D8). A bound becomes a setting only when two deployments need different values.

/// Unit of every disk write and position, in bytes (`O_DIRECT`).
pub const BLOCK_BYTES: u32 = 4096;

// --- chunks -----------------------------------------------------------------------------------------

/// Smallest chunk payload, in bytes. An empty chunk carries nothing and is refused.
pub const CHUNK_PAYLOAD_BYTES_MIN: u32 = 1;
/// Largest chunk payload, in bytes.
pub const CHUNK_PAYLOAD_BYTES_MAX: u32 = 4 << 20;
/// Size of a chunk header, on the wire and on disk, in bytes.
pub const CHUNK_HEADER_BYTES: usize = 96;

// --- wire -------------------------------------------------------------------------------------------

/// Size of a frame header, in bytes.
pub const FRAME_HEADER_BYTES: usize = 64;
/// Largest frame body that carries a chunk (its header and payload), in bytes.
pub const FRAME_CHUNK_BODY_BYTES_MAX: u32 = CHUNK_HEADER_BYTES as u32 + CHUNK_PAYLOAD_BYTES_MAX;
/// Largest frame body of any other kind, in bytes.
pub const FRAME_CONTROL_BODY_BYTES_MAX: u32 = 256 << 10;
/// Most segments one fence or inspect request may ask about.
pub const SEGMENTS_PER_REQUEST_MAX: usize = 64;
/// Most ranges one answer about a segment may hold. The seqs a replica reports lie inside one window, and
/// alternate at worst.
pub const RANGES_PER_ANSWER_MAX: usize = WINDOW_CHUNKS_MAX as usize + 2;
/// Most chunks one provenance answer looks at.
pub const PROVENANCE_CHUNKS_MAX: usize = 64 << 10;
/// Size of one run of a provenance answer, in bytes.
pub const PROVENANCE_RUN_BYTES: usize = 41;
/// Most logs and segments, counted together, that one page of holdings lists.
pub const HOLDINGS_PER_ANSWER_MAX: usize = 2048;
/// Size of one entry of a page of holdings at most, in bytes.
pub const HOLDING_BYTES: usize = 72;
/// Most chunks one read request may ask for.
pub const READ_CHUNKS_MAX: u32 = 1024;
/// Most payload bytes one read request is answered with, unless its first chunk alone is larger.
pub const READ_BYTES_MAX: u32 = CHUNK_PAYLOAD_BYTES_MAX;

// --- writer -----------------------------------------------------------------------------------------

/// Most replicas of a segment.
pub const REPLICAS_MAX: usize = 7;
/// Most chunks a writer may have put beyond what is committed (P6).
pub const WINDOW_CHUNKS_MAX: u32 = 4096;
/// Most payload bytes a writer may have put beyond what is committed (P6).
pub const WINDOW_BYTES_MAX: u64 = 64 << 20;
/// Window of a writer that did not ask for another, in chunks.
pub const WINDOW_CHUNKS_DEFAULT: u32 = 256;
/// Window of a writer that did not ask for another, in payload bytes.
pub const WINDOW_BYTES_DEFAULT: u64 = 32 << 20;
/// How many committed chunks a writer keeps for one replica that lags, before it drops it (P10).
pub const STRAGGLER_CHUNKS_MAX: u32 = 4096;
/// How many payload bytes of committed chunks a writer keeps for one replica that lags (P10).
pub const STRAGGLER_BYTES_MAX: u64 = 64 << 20;

// --- bucket -----------------------------------------------------------------------------------------

/// Size of a marker, the object that keeps a slot of a bucket empty for ever, in bytes.
pub const MARKER_BYTES: usize = 64;
/// Size of the object that names a bucket, in bytes.
pub const IDENTITY_BYTES: usize = 32;
/// How much of a slot's object is read to tell what it is, in bytes.
pub const SLOT_HEAD_BYTES: usize = CHUNK_HEADER_BYTES;
/// Most puts of one bucket's machine that wait or are under way; further ones are refused.
pub const BUCKET_PUTS_MAX: usize = CONNECTION_REQUESTS_MAX;
/// Most requests of one bucket's machine that wait or are being answered; further ones are refused.
pub const BUCKET_REQUESTS_MAX: usize = 16;
/// Most chunks that are being created in one bucket at once.
pub const BUCKET_CREATES_IN_FLIGHT_MAX: usize = 64;
/// Most slots of one bucket that are being looked at, or marked, at once.
pub const BUCKET_LOOKS_IN_FLIGHT_MAX: usize = 64;
/// Most slots of one bucket that are being deleted at once, in the background.
pub const BUCKET_DELETES_IN_FLIGHT_MAX: usize = 8;
/// Most chunks that one read has in memory or under way.
pub const BUCKET_READ_AHEAD_CHUNKS_MAX: usize = 4;
/// Most segments of one fence or inspect that are surveyed at once. A log has at most two that are not sealed.
pub const BUCKET_SURVEYS_MAX: usize = 2;
/// How often an operation on an object is tried before it counts as failed.
pub const BUCKET_TRIES_MAX: u32 = 4;
/// Most segments that a bucket's machine knows: those of a record, and as many that left it and are still being swept.
pub const BUCKET_SEGMENTS_MAX: usize = 2 * SEGMENTS_PER_LOG_MAX;

// --- members ----------------------------------------------------------------------------------------

/// Most nodes of a cluster; further ones are not taken in.
pub const MEMBERS_MAX: usize = 1024;
/// Most nodes that one reply lists.
pub const MEMBERS_PER_REPLY_MAX: usize = 64;
/// Longest sentence about what is wrong with a node, in bytes.
pub const TROUBLE_BYTES_MAX: usize = 255;
/// Upper bound of one node in a reply, in bytes.
pub const MEMBER_BYTES_MAX: usize =
    256 + SHARDS_MAX * 24 + 2 * (ADDRESS_BYTES_MAX + ZONE_BYTES_MAX) + TROUBLE_BYTES_MAX;

// --- register ---------------------------------------------------------------------------------------

/// Longest log name, in bytes.
pub const LOG_NAME_BYTES_MAX: usize = 255;
/// Longest address of a node in a record, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 255;
/// Longest zone or cluster name, in bytes.
pub const ZONE_BYTES_MAX: usize = 63;
/// Most segments a record may hold.
pub const SEGMENTS_PER_LOG_MAX: usize = 512;
/// Segments that only a recovery may add: room is always left for one (DESIGN 3.1).
pub const SEGMENTS_RESERVED_FOR_RECOVERY: usize = 2;
/// Segments that only a recovery or the replacement of a failed replica may add.
pub const SEGMENTS_RESERVED_FOR_REPLACEMENT: usize = 128;
/// Largest record as JSON, in bytes.
pub const RECORD_BYTES_MAX: usize = 3 << 20;
/// Upper bound of one replica as JSON in a record, in bytes (addresses may need escapes).
pub const RECORD_REPLICA_BYTES_MAX: usize = 512 + 6 * (ADDRESS_BYTES_MAX + ZONE_BYTES_MAX) / 4;

// --- shard ------------------------------------------------------------------------------------------

/// Most shards of a node.
pub const SHARDS_MAX: usize = 64;
/// Most logs a shard remembers, deleted ones included: a fence is never forgotten (P3).
pub const LOGS_PER_SHARD_MAX: usize = 32 << 10;
/// Most live chunk files of a shard.
pub const FILES_PER_SHARD_MAX: usize = 16 << 10;
/// Most known losses a shard carries forward; past it the shard retires its identity (P8, D6).
pub const LOSSES_PER_SHARD_MAX: usize = 4 << 10;
/// Most identities a data directory may have retired. Past it `start` asks for a new format.
pub const RETIRED_IDENTITIES_MAX: usize = 16;
/// Most connections a shard serves.
pub const CONNECTIONS_PER_SHARD_MAX: usize = 1024;
/// Most bytes of received chunks that one connection may hold in a shard's memory.
pub const CONNECTION_BUFFER_BYTES_MAX: u64 = 32 << 20;
/// Most bytes of received chunks in a shard's memory, all connections together.
pub const SHARD_BUFFER_BYTES_MAX: u64 = 256 << 20;
/// Most bytes queued to be sent to one connection; past it the connection is closed.
pub const CONNECTION_SEND_BYTES_MAX: u64 = 32 << 20;
/// Most reads of one connection that are in progress; further ones wait.
pub const READS_PER_CONNECTION_MAX: usize = 2;
/// Most reads of a shard that are in progress; further ones wait. Each holds up to [`READ_BYTES_MAX`] of payload.
pub const READS_PER_SHARD_MAX: usize = 16;
/// Most requests of one connection that are in a shard's hands.
pub const CONNECTION_REQUESTS_MAX: usize = 2 * WINDOW_CHUNKS_MAX as usize;

// --- disk -------------------------------------------------------------------------------------------

/// Size of a batch header, in bytes.
pub const BATCH_HEADER_BYTES: usize = 128;
/// Most entries of a batch.
pub const BATCH_ENTRIES_MAX: usize = 1024;
/// Most bytes of a batch on disk, header and padding included. At least one chunk of any size fits.
pub const BATCH_BYTES_MAX: u32 = 8 << 20;
/// Bytes past which a batch is closed although more entries wait: a larger write no longer pays.
pub const BATCH_BYTES_SOFT_MAX: u32 = 1 << 20;
/// Most batches written and not yet confirmed.
pub const BATCHES_IN_FLIGHT_MAX: usize = 4;
/// Most bytes of index or snapshot records that one batch carries.
pub const RECORDS_PART_BYTES_MAX: u32 = 256 << 10;
/// Smallest chunk file, in bytes.
pub const FILE_BYTES_MIN: u64 = 16 << 20;
/// Largest chunk file, in bytes. A position in a file fits in 32 bits.
pub const FILE_BYTES_MAX: u64 = 2 << 30;
/// Chunk file of a format that did not ask for another, in bytes.
pub const FILE_BYTES_DEFAULT: u64 = 256 << 20;
/// Fewest chunk files of a shard: two in reserve (D7), one open, and two that live data can be moved between.
pub const FILES_PER_SHARD_MIN: u64 = 5;
/// Chunk files that only control records and copying forward may use (D7).
pub const FILES_IN_RESERVE: u64 = 2;
/// Live bytes, as a percentage of the usable capacity, above which puts are refused (D7).
pub const FULL_PERCENT: u64 = 85;
/// Live bytes, as a percentage of the usable capacity, at which puts are taken again (D7).
pub const FULL_RESUME_PERCENT: u64 = 80;
/// Size of one record of a snapshot, an index or a control entry, in bytes.
pub const RECORD_BYTES: usize = 64;
/// Size of each copy of the superblock, in bytes.
pub const SUPERBLOCK_BYTES: usize = 4096;

// --- relations --------------------------------------------------------------------------------------

const SNAPSHOT_BYTES_MAX: u64 =
    ((LOGS_PER_SHARD_MAX + LOSSES_PER_SHARD_MAX + FILES_PER_SHARD_MAX + RETIRED_IDENTITIES_MAX + 2) * RECORD_BYTES)
        as u64;
/// Batches a largest snapshot needs, each with a header and padding.
const SNAPSHOT_PARTS_MAX: u64 = SNAPSHOT_BYTES_MAX.div_ceil(RECORDS_PART_BYTES_MAX as u64);

const _: () = {
    assert!(BLOCK_BYTES.is_power_of_two());
    assert!(CHUNK_HEADER_BYTES.is_multiple_of(8) && FRAME_HEADER_BYTES.is_multiple_of(8));
    // A batch holds at least one chunk of any size, and a full set of control entries.
    assert!(BATCH_BYTES_MAX as usize >= BATCH_HEADER_BYTES + CHUNK_HEADER_BYTES + CHUNK_PAYLOAD_BYTES_MAX as usize);
    assert!(BATCH_BYTES_MAX as usize >= BATCH_HEADER_BYTES + BATCH_ENTRIES_MAX * CHUNK_HEADER_BYTES);
    assert!(BATCH_BYTES_MAX.is_multiple_of(BLOCK_BYTES) && BATCH_BYTES_SOFT_MAX <= BATCH_BYTES_MAX);
    // Positions in a file, and ends of batches, fit in 32 bits.
    assert!(FILE_BYTES_MAX < u32::MAX as u64);
    assert!(FILE_BYTES_MIN.is_multiple_of(BLOCK_BYTES as u64) && FILE_BYTES_MIN <= FILE_BYTES_DEFAULT);
    // D7: a snapshot fits in a quarter of the smallest file.
    assert!(SNAPSHOT_BYTES_MAX + (SNAPSHOT_PARTS_MAX + 1) * BLOCK_BYTES as u64 <= FILE_BYTES_MIN / 4);
    assert!(FILES_PER_SHARD_MIN > FILES_IN_RESERVE + 1);
    assert!(FULL_RESUME_PERCENT < FULL_PERCENT && FULL_PERCENT < 100);
    // One connection can always receive one largest chunk, and several connections fit in a shard.
    assert!(CONNECTION_BUFFER_BYTES_MAX >= FRAME_CHUNK_BODY_BYTES_MAX as u64);
    assert!(SHARD_BUFFER_BYTES_MAX >= 2 * CONNECTION_BUFFER_BYTES_MAX);
    assert!(
        CONNECTION_SEND_BYTES_MAX
            >= READS_PER_CONNECTION_MAX as u64 * (READ_BYTES_MAX + FRAME_CHUNK_BODY_BYTES_MAX) as u64
    );
    // What a slot holds is told from its head alone.
    assert!(SLOT_HEAD_BYTES >= CHUNK_HEADER_BYTES && SLOT_HEAD_BYTES > MARKER_BYTES);
    assert!(BUCKET_PUTS_MAX > WINDOW_CHUNKS_MAX as usize && BUCKET_CREATES_IN_FLIGHT_MAX <= BUCKET_PUTS_MAX);
    // A window's answer fits in a control frame: 24 bytes per run and a fixed part.
    assert!(RANGES_PER_ANSWER_MAX * PROVENANCE_RUN_BYTES + 4096 <= FRAME_CONTROL_BODY_BYTES_MAX as usize);
    assert!(HOLDINGS_PER_ANSWER_MAX * HOLDING_BYTES + 4096 <= FRAME_CONTROL_BODY_BYTES_MAX as usize);
    assert!(RANGES_PER_ANSWER_MAX * 24 + 4096 <= FRAME_CONTROL_BODY_BYTES_MAX as usize);
    // A page of members fits in a control frame, and every member comes up on some page.
    assert!(MEMBERS_PER_REPLY_MAX * MEMBER_BYTES_MAX + 4096 <= FRAME_CONTROL_BODY_BYTES_MAX as usize);
    assert!(MEMBERS_PER_REPLY_MAX > 0 && MEMBERS_PER_REPLY_MAX <= MEMBERS_MAX);
    assert!(WINDOW_CHUNKS_DEFAULT <= WINDOW_CHUNKS_MAX && WINDOW_BYTES_DEFAULT <= WINDOW_BYTES_MAX);
    assert!(WINDOW_BYTES_MAX >= CHUNK_PAYLOAD_BYTES_MAX as u64 && CONNECTION_REQUESTS_MAX > WINDOW_CHUNKS_MAX as usize);
    assert!(SEGMENTS_RESERVED_FOR_RECOVERY + SEGMENTS_RESERVED_FOR_REPLACEMENT < SEGMENTS_PER_LOG_MAX / 2);
    assert!(SEGMENTS_PER_LOG_MAX * (512 + REPLICAS_MAX * RECORD_REPLICA_BYTES_MAX / 2) <= 2 * RECORD_BYTES_MAX);
};
