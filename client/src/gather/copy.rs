//! Copying one segment: read from whoever has it, in order, verified, and stored by all that lack it.

use super::chain::Chain;
use super::{Gathered, Work};
use crate::open::fetch_chunk;
use bytes::Bytes;
use futures::stream::{self, FuturesUnordered, StreamExt};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::ranges::SeqRanges;
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::recovery::FetchFailure;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Chunks that are read ahead.
const FETCHES_MAX: usize = 8;
/// Chunks that are being stored.
const COPIES_MAX: usize = 8;
/// How often all sources are asked for a chunk that none of them gave, while one of them did not answer.
const ROUNDS_MAX: u32 = 3;
/// Pause between these rounds.
const ROUND_PAUSE: Duration = Duration::from_millis(500);

type Chunk = (ChunkHeader, Bytes);

/// The error says which chunk could not be copied, and why.
pub(super) async fn copy(
    work: &Work<'_>,
    targets: &[(&ReplicaRef, SeqRanges)],
    done: &mut Gathered,
    progress: &mut (dyn FnMut(&Gathered) + Send),
) -> Result<(), String> {
    let (from, to) = work.range();
    let mut chain = Chain::new(work.record.log, work.segment, from);
    let (began, mut paced) = (Instant::now(), 0);
    let read = |seq: u64| async move { (ChunkSeq(seq), any(work, ChunkSeq(seq), &|_| true).await) };
    let mut reading = std::pin::pin!(stream::iter(from.0..to.0).map(read).buffered(FETCHES_MAX));
    let mut storing = FuturesUnordered::new();
    while let Some((seq, got)) = reading.next().await {
        let mut chunk = got?;
        if !chain.fits(&chunk.0) {
            // Whole by its own checksum, and not what was sealed: others may have that.
            chunk = any(work, seq, &|header| chain.fits(header)).await?;
        }
        chain.take(&chunk.0);
        while storing.len() >= COPIES_MAX {
            note(storing.next().await, done, progress)?;
        }
        let lacking = targets.iter().filter(|(_, missing)| missing.contains(seq)).map(|(target, _)| *target);
        let lacking: Vec<&ReplicaRef> = lacking.collect();
        paced += u64::from(chunk.0.stored_bytes());
        storing.push(store(work, lacking, chunk));
        sleep_until(began + Duration::from_micros(paced.saturating_mul(1_000_000) / work.bytes_per_s.max(1))).await;
    }
    while !storing.is_empty() {
        note(storing.next().await, done, progress)?;
    }
    Ok(())
}

fn note(
    stored: Option<Result<(u64, u64), String>>,
    done: &mut Gathered,
    progress: &mut (dyn FnMut(&Gathered) + Send),
) -> Result<(), String> {
    let (chunks, bytes) = stored.expect("one is under way")?;
    done.chunks += chunks;
    done.bytes += bytes;
    progress(done);
    Ok(())
}

/// Stores a chunk wherever it is missing.
async fn store(work: &Work<'_>, lacking: Vec<&ReplicaRef>, (header, payload): Chunk) -> Result<(u64, u64), String> {
    let copies = lacking.iter().map(|at| {
        let link = work.parts.cluster.link(at);
        let payload = payload.clone();
        async move { link.copy(header, payload).await.map_err(|why| format!("seq {}: {why}", header.seq)) }
    });
    futures::future::try_join_all(copies).await?;
    let copies = lacking.len() as u64;
    Ok((copies, copies * u64::from(header.stored_bytes())))
}

/// A chunk from whoever has one that is as wanted.
async fn any(work: &Work<'_>, seq: ChunkSeq, wanted: &(dyn Fn(&ChunkHeader) -> bool + Sync)) -> Result<Chunk, String> {
    let of = (work.record.log, work.segment.id);
    let mut why = Vec::new();
    for round in 0..ROUNDS_MAX {
        let mut is_silent = false;
        why.clear();
        // They take turns, or one of them would bear it all.
        for at in (0..work.sources.len()).map(|turn| &work.sources[(seq.0 as usize + turn) % work.sources.len()]) {
            match fetch_chunk(work.parts, at, of, seq).await {
                Ok(chunk) if chunk.0.seq == seq && wanted(&chunk.0) => return Ok(chunk),
                Ok(_) => why.push(format!("{} has something else than was sealed", at.address)),
                Err(FetchFailure::Answer(answer)) => why.push(format!("{} answers {answer:?}", at.address)),
                Err(FetchFailure::Unreachable(error)) => {
                    is_silent = true;
                    why.push(format!("{}: {error}", at.address));
                }
            }
        }
        if !is_silent || round + 1 == ROUNDS_MAX {
            break;
        }
        tokio::time::sleep(ROUND_PAUSE).await;
    }
    Err(format!("seq {seq} cannot be read: {}", why.join("; ")))
}
