//! `quarry log read`: chunks' bytes to standard output.

use crate::args::ReadArgs;
use crate::exit::{Failure, Health};
use crate::output::{Output, is_read};
use crate::units;
use futures::TryStreamExt;
use quarry_client::{ChunkStore, ReadChunk, ReadError, ReadOptions, ReadRange};
use quarry_protocol::ids::ChunkSeq;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::io::{self, Write};

/// A line about a chunk.
#[derive(Serialize)]
struct ChunkLine {
    seq: u64,
    segment: String,
    bytes: usize,
    sha256: String,
}

pub(super) async fn run(store: &dyn ChunkStore, args: &ReadArgs, output: Output) -> Result<Health, Failure> {
    let range = ReadRange { from: args.from.map(ChunkSeq), to: args.to.map(ChunkSeq) };
    let options = ReadOptions { follow: args.follow, ..ReadOptions::default() };
    let mut chunks = store.read(&args.log, range, options).await.map_err(failure)?;
    while let Some(chunk) = chunks.try_next().await.map_err(failure)? {
        let read_on = if output.json {
            output.print(&line(&chunk), |_| String::new())
        } else {
            // Flushed by chunk: who follows sees each as it comes.
            let mut stdout = io::stdout().lock();
            is_read(stdout.write_all(&chunk.payload).and_then(|()| stdout.flush()))
        };
        if !read_on {
            break;
        }
    }
    Ok(Health::Good)
}

fn failure(why: ReadError) -> Failure {
    Failure::of(matches!(why, ReadError::BadName { .. } | ReadError::BadRange { .. }), why)
}

fn line(chunk: &ReadChunk) -> ChunkLine {
    let sha256 = units::hex(&Sha256::digest(&chunk.payload));
    ChunkLine { seq: chunk.seq.0, segment: chunk.segment.to_string(), bytes: chunk.payload.len(), sha256 }
}
