//! Clients that read, and compare every chunk with the record.

use super::{Client, PAUSE};
use futures::StreamExt;
use quarry_client::{ReadError, ReadOptions, ReadRange, TailError};
use quarry_protocol::ids::ChunkSeq;
use std::ops::Range;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a committed chunk may be out of reach before a stream fails and is begun again.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long one read of a range may take.
const RANGE_TIME_MAX: Duration = Duration::from_mins(1);
/// Most chunks of one.
const RANGE_CHUNKS_MAX: u64 = 400;

/// Follows the log, from its floor or from somewhere, for some time, again and again.
pub(super) async fn follow(mut client: Client) {
    while !client.stopped() {
        let until = Instant::now() + client.random.millis(2000, 8000);
        let range = if client.random.percent(50) {
            ReadRange::all()
        } else {
            match tail(&client).await {
                Some(part) if !part.is_empty() => {
                    ReadRange::starting_at(ChunkSeq(client.random.between(part.start, part.end - 1)))
                }
                _ => ReadRange::all(),
            }
        };
        let options = ReadOptions { follow: true, deadline: DEADLINE };
        read(&client, range, options, until).await;
        client.pause(PAUSE).await;
    }
}

/// Reads parts of the log.
pub(super) async fn ranges(mut client: Client) {
    while !client.stopped() {
        let pause = client.random.millis(100, 800);
        client.pause(pause).await;
        let Some(part) = tail(&client).await.filter(|part| !part.is_empty()) else { continue };
        let from = client.random.between(part.start, part.end - 1);
        let to = part.end.min(from + client.random.between(1, RANGE_CHUNKS_MAX));
        let range = ReadRange::between(ChunkSeq(from), ChunkSeq(to));
        let options = ReadOptions { follow: false, deadline: DEADLINE };
        if let Some(read) =
            read(&client, range, options, Instant::now() + RANGE_TIME_MAX).await.filter(|read| *read != (from..to))
        {
            client
                .checker
                .violated(format!("read: {from}..{to} of log {:?} was asked for, got {read:?}", client.name()));
        }
    }
}

/// The readable part of the log, if it can be told.
pub(super) async fn tail(client: &Client) -> Option<Range<u64>> {
    let (confirmed, exists) = {
        let ledger = client.checker.ledger(client.log);
        (ledger.floor_confirmed(), ledger.exists())
    };
    match client.store.tail(&client.name()).await {
        Ok(tail) => {
            let checked = client.checker.ledger(client.log).floor_seen(tail.floor.0, confirmed);
            client.checker.check(client.log, "tail", checked).then_some(tail.floor.0..tail.tail.0)
        }
        Err(why) => {
            if !why.may_retry() && (exists || !matches!(why, TailError::NotFound { .. })) {
                client.checker.violated(format!("tail: {why}"));
            }
            None
        }
    }
}

/// Reads a stream to its end, or for a while. Which seqs were read, if it came to its end.
pub(super) async fn read(
    client: &Client,
    range: ReadRange,
    options: ReadOptions,
    until: Instant,
) -> Option<Range<u64>> {
    let (confirmed, exists) = {
        let ledger = client.checker.ledger(client.log);
        (ledger.floor_confirmed(), ledger.exists())
    };
    let mut stream = match client.store.read(&client.name(), range, options).await {
        Ok(stream) => stream,
        Err(why) => {
            judge(client, exists, &why);
            return None;
        }
    };
    client.checker.count(|counts| counts.reads += 1);
    let mut read: Option<Range<u64>> = None;
    while !client.stopped() {
        let chunk = match timeout_at(until, stream.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(why))) => {
                judge(client, exists, &why);
                return None;
            }
            Ok(None) => return Some(read.unwrap_or(0..0)),
            Err(_) => return None,
        };
        client.checker.count(|counts| counts.chunks_read += 1);
        let seq = chunk.seq.0;
        let expected = read.as_ref().map(|read| read.end).or_else(|| range.from.map(|from| from.0));
        let dense = match expected {
            Some(expected) if seq != expected => Err(format!("seq {seq} was read where {expected} was next")),
            None if seq < confirmed => Err(format!("a read began at seq {seq}, below the floor {confirmed}")),
            _ => Ok(()),
        };
        let checked = dense.and_then(|()| client.checker.ledger(client.log).read(seq, &chunk.payload));
        if !client.checker.check(client.log, "read", checked) {
            return None;
        }
        read = Some(read.map_or(seq, |read| read.start)..seq + 1);
    }
    None
}

/// Whether a read may fail like this.
fn judge(client: &Client, exists: bool, why: &ReadError) {
    let may = match why {
        ReadError::Trimmed { floor, .. } => client.checker.ledger(client.log).floor_seen(floor.0, 0).is_ok(),
        ReadError::NotFound { .. } => !exists,
        why => why.may_retry(),
    };
    if !may {
        client.checker.violated(format!("read: {why}"));
    }
    client.checker.count(|counts| counts.reads_failed += 1);
}
