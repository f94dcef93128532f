//! `quarry log append`: standard input, cut into chunks, pipelined.

use crate::args::AppendArgs;
use crate::chunked_input::ChunkedInput;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::{progress, units};
use indicatif::ProgressBar;
use quarry_client::{AppendError, ChunkStore, CreateMode, LogWriter, OpenError, OpenOptions, PendingAppend};
use quarry_protocol::limits::CHUNK_PAYLOAD_BYTES_MAX;
use serde::Serialize;
use std::collections::VecDeque;
use std::io;
use std::time::Instant;

/// What was appended.
#[derive(Serialize)]
struct Appended {
    log: String,
    epoch: u64,
    created: bool,
    /// Chunks of earlier writers that the takeover settled and kept.
    recovered: u64,
    /// The first seq appended, and one past the last.
    from: u64,
    to: u64,
    bytes: u64,
    seconds: f64,
    mib_per_second: f64,
}

pub(super) async fn run(store: &dyn ChunkStore, args: &AppendArgs, output: Output) -> Result<Health, Failure> {
    let capabilities = store.capabilities();
    let asked = chunk_bytes(args, capabilities.chunk_bytes_max)?;
    let chunk_bytes = asked.unwrap_or(capabilities.chunk_bytes_preferred as usize);
    let create = if args.must_exist { CreateMode::Never } else { CreateMode::IfMissing };
    let options = OpenOptions { window_chunks: args.window, ..OpenOptions::with_create(create) };
    let opened = store.open(&args.log, options).await.map_err(open_failure)?;
    let (writer, report) = (opened.writer, opened.report);
    let begun_at = Instant::now();
    let bar = progress::of_bytes(None, "append");
    let (to, bytes) = pump(&writer, ChunkedInput::new(io::stdin(), chunk_bytes), report.next_seq.0, &bar).await?;
    bar.finish_and_clear();
    let seconds = begun_at.elapsed().as_secs_f64();
    let appended = Appended {
        log: args.log.clone(),
        epoch: report.epoch.0,
        created: report.created,
        recovered: report.kept,
        from: report.next_seq.0,
        to,
        bytes,
        seconds,
        mib_per_second: bytes as f64 / f64::from(1 << 20) / seconds.max(1e-9),
    };
    output.print(&appended, text);
    Ok(Health::Good)
}

/// What can be said before there is a store: a wrong size is wrong usage whether or not the nodes answer.
pub(super) fn check(args: &AppendArgs) -> Result<(), Failure> {
    chunk_bytes(args, CHUNK_PAYLOAD_BYTES_MAX).map(|_| ())
}

fn chunk_bytes(args: &AppendArgs, max: u32) -> Result<Option<usize>, Failure> {
    let Some(size) = args.chunk_size else { return Ok(None) };
    if size.0 == 0 || size.0 > u64::from(max) {
        return Err(Failure::usage(format!(
            "--chunk-size {size}: a chunk holds 1 to {max} bytes: give a size within, such as 64KiB"
        )));
    }
    Ok(Some(size.0 as usize))
}

fn open_failure(why: OpenError) -> Failure {
    if let OpenError::NotFound { name } = &why {
        return Failure::new(format!(
            "log {name:?} does not exist: check the name with `quarry log ls`, or leave --must-exist out to make it"
        ));
    }
    Failure::of(matches!(why, OpenError::BadName { .. } | OpenError::BadOptions { .. }), why)
}

/// Appends every chunk; returns one past the last seq committed, and how many bytes that is.
async fn pump(
    writer: &LogWriter,
    mut input: ChunkedInput,
    first: u64,
    bar: &ProgressBar,
) -> Result<(u64, u64), Failure> {
    let mut in_flight: VecDeque<(PendingAppend, u64)> = VecDeque::new();
    let (mut committed, mut bytes) = (first, 0);
    let failed = |committed: u64, why: AppendError| {
        Failure::new(format!("{why}. Committed by this command: seqs {first} to {committed}, the last excluded"))
    };
    loop {
        // The window bounds how many are in flight; settle what is done before asking for more room.
        let oldest = async {
            match in_flight.front_mut() {
                Some((pending, length)) => (pending.await, *length),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            (settled, length) = oldest => {
                in_flight.pop_front();
                committed = settled.map_err(|why| failed(committed, why))?.seq.0 + 1;
                bytes += length;
                bar.set_position(bytes);
            }
            chunk = input.next() => {
                let Some(chunk) = chunk else { break };
                let chunk = chunk.map_err(|why| Failure::new(format!("standard input: {why}")))?;
                let length = chunk.len() as u64;
                let pending = writer.append(chunk).await.map_err(|why| failed(committed, why))?;
                in_flight.push_back((pending, length));
            }
        }
    }
    for (pending, length) in in_flight {
        committed = pending.await.map_err(|why| failed(committed, why))?.seq.0 + 1;
        bytes += length;
        bar.set_position(bytes);
    }
    Ok((committed, bytes))
}

fn text(appended: &Appended) -> String {
    let Appended { log, epoch, from, to, .. } = appended;
    let settled = match appended.recovered {
        0 => String::new(),
        kept => format!("\nthe takeover kept {kept} chunks that an earlier writer had not heard of"),
    };
    if from == to {
        return format!(
            "nothing to append: standard input was empty; {log:?} stays at seq {to}, epoch {epoch}{settled}"
        );
    }
    format!(
        "seqs {from} to {last}: {count} chunks, {bytes} in {seconds:.2} s, {rate:.1} MiB/s ({log:?}, epoch {epoch}){settled}",
        last = to - 1,
        count = to - from,
        bytes = units::bytes(appended.bytes),
        seconds = appended.seconds,
        rate = appended.mib_per_second,
    )
}
