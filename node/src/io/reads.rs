//! Reading chunks for a client: neighbours on disk are read together, every chunk is verified, and sent from the blocks
//! it was read into.

use super::connection::Connection;
use super::disk::{Disk, ReadBytes};
use super::world::World;
use crate::shard::ReadOutcome;
use crate::store::{ChunkKey, Place};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{CHUNK_HEADER_BYTES, FRAME_CHUNK_BODY_BYTES_MAX, FRAME_HEADER_BYTES};
use quarry_protocol::planted;
use std::rc::Rc;

/// Neighbours are read together up to this many bytes.
const TOGETHER_BYTES_MAX: u32 = 1 << 20;
/// Chunks this close to each other are neighbours: batch headers and padding lie between them.
const GAP_BYTES_MAX: u32 = 16 << 10;

const _: () = assert!(TOGETHER_BYTES_MAX <= FRAME_CHUNK_BODY_BYTES_MAX);

/// One read of a client.
#[derive(Debug)]
pub(super) struct ChunkRead {
    pub(super) connection: Rc<Connection>,
    pub(super) request_id: u64,
    pub(super) disk: DiskId,
    pub(super) chunks: Vec<(ChunkKey, Place)>,
}

fn stored_bytes(place: &Place) -> u32 {
    CHUNK_HEADER_BYTES as u32 + place.length
}

/// How many of `chunks`, from the first, are read in one go, and how many bytes that is.
fn together(chunks: &[(ChunkKey, Place)]) -> (usize, u32) {
    let first = chunks[0].1;
    let (mut count, mut end) = (1, first.position + stored_bytes(&first));
    for (_, place) in &chunks[1..] {
        let near = place.file == first.file && place.position >= end && place.position - end <= GAP_BYTES_MAX;
        if !near || place.position + stored_bytes(place) - first.position > TOGETHER_BYTES_MAX {
            break;
        }
        end = place.position + stored_bytes(place);
        count += 1;
    }
    (count, end - first.position)
}

/// Whether these bytes are the chunk that the index says they are.
fn check(key: &ChunkKey, stored: &[u8]) -> Result<(), String> {
    let header = ChunkHeader::decode(stored).map_err(|why| why.to_string())?;
    let found = ChunkKey { log: header.log, segment: header.segment, seq: header.seq };
    if found != *key {
        let ChunkKey { log, segment, seq } = found;
        return Err(format!("another chunk lies there: {log}/{segment}/{seq}"));
    }
    if planted!(ReadsUnverified) {
        return Ok(());
    }
    header.verify_payload(&stored[CHUNK_HEADER_BYTES..]).map_err(|why| why.to_string())
}

impl ChunkRead {
    /// Reads, verifies and queues the chunks in order. Returns how many were queued and how it ended. The last ones are
    /// left for the end of the turn to send, together with the end of the read.
    pub(super) async fn run(&self, world: &World) -> (u32, ReadOutcome) {
        let (disk, mut sent) = (&world.disk, 0);
        while sent < self.chunks.len() {
            let (count, bytes) = together(&self.chunks[sent..]);
            let run = &self.chunks[sent..sent + count];
            let Place { file, position, .. } = run[0].1;
            let Ok(()) = self.connection.room_to_send(bytes).await else {
                return (sent as u32, ReadOutcome::ConnectionGone);
            };
            let read = disk.read(file, u64::from(position), bytes).await;
            for (key, place) in run {
                let from = (place.position - position) as usize;
                let stored = read.as_ref().map(|read| read.slice(from, stored_bytes(place) as usize));
                match self.verified(disk, key, place, stored).await {
                    Ok(chunk) => self.send(chunk),
                    Err(why) => return (sent as u32, ReadOutcome::Unreadable { why }),
                }
                sent += 1;
            }
            if sent < self.chunks.len() {
                self.connection.flush(world.now());
            }
        }
        (sent as u32, ReadOutcome::AllSent)
    }

    /// The chunk, verified; read once more on its own if what came does not verify (D6).
    async fn verified(
        &self,
        disk: &Disk,
        key: &ChunkKey,
        place: &Place,
        stored: Result<ReadBytes, &String>,
    ) -> Result<ReadBytes, String> {
        let first = match stored {
            Ok(stored) => match check(key, stored.bytes()) {
                Ok(()) => return Ok(stored),
                Err(why) => why,
            },
            Err(why) => why.clone(),
        };
        let again = disk.read(place.file, u64::from(place.position), stored_bytes(place)).await;
        let again = again.map_err(|second| format!("{first}; once more: {second}"))?;
        check(key, again.bytes()).map_err(|second| format!("{first}; once more: {second}"))?;
        tracing::warn!(seq = %key.seq, file = place.file, why = %first, "a read failed and worked the second time");
        Ok(again)
    }

    fn send(&self, chunk: ReadBytes) {
        let bytes = chunk.bytes().len() as u32;
        let header = FrameHeader::chunk(FrameKind::Chunk, self.request_id, self.disk, bytes).encode();
        let header: [u8; FRAME_HEADER_BYTES] = header;
        let mut output = self.connection.output();
        output.push(&header);
        output.push_read(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};

    fn at(seq: u64, file: u32, position: u32, length: u32) -> (ChunkKey, Place) {
        let key = ChunkKey { log: LogId([1; 16]), segment: SegmentId::default(), seq: ChunkSeq(seq) };
        (key, Place { file, position, length })
    }

    #[test]
    fn neighbours_are_read_together_within_bounds() {
        let near = [at(0, 1, 128, 1000), at(1, 1, 128 + 1096, 1000), at(2, 1, 8192, 1000)];
        assert_eq!(together(&near), (3, 8192 + 1096 - 128));
        let other_file = [at(0, 1, 128, 1000), at(1, 2, 128 + 1096, 1000)];
        assert_eq!(together(&other_file), (1, 1096));
        let far = [at(0, 1, 128, 1000), at(1, 1, 1 << 20, 1000)];
        assert_eq!(together(&far), (1, 1096));
        let behind = [at(0, 1, 1 << 20, 1000), at(1, 1, 128, 1000)];
        assert_eq!(together(&behind), (1, 1096));
        let large = [at(0, 1, 0, TOGETHER_BYTES_MAX - 96), at(1, 1, TOGETHER_BYTES_MAX, 1)];
        assert_eq!(together(&large), (1, TOGETHER_BYTES_MAX));
    }
}
