//! The middle of the story: a node is killed and comes back, a second writer takes over, the first is told.

use super::input::Input;
use super::story::{LOG, VICTIM};
use super::writing::{self, Written};
use super::{CHUNK_BYTES, say};
use crate::exit::Failure;
use crate::progress;
use bytes::Bytes;
use quarry_bench::local_cluster::LocalCluster;
use quarry_client::{ChunkStore, LogWriter, OpenOptions, Opened};
use tokio::sync::watch;

/// When things happen, in percent of the file acknowledged.
const KILL_AT: u64 = 50;
const RESTART_AT: u64 = 65;
const TAKE_OVER_AT: u64 = 80;

/// What became of the first writer, and the second one's log.
#[derive(Debug)]
pub(super) struct TakenOver {
    pub(super) first: Written,
    pub(super) second: Opened,
}

/// Runs the first writer until the second has taken over and the first was told.
pub(super) async fn run(
    input: &Input,
    cluster: &mut LocalCluster,
    first: &LogWriter,
    second: &dyn ChunkStore,
) -> Result<TakenOver, Failure> {
    let (sender, mut acknowledged) = watch::channel(0);
    let bar = progress::of_bytes(Some(input.bytes), "append");
    let writing = async {
        let written = writing::write(first, input, 0, &sender).await?;
        // Ended early by anything but a fence, nothing that the story waits for comes any more.
        match &written.ended {
            Some(why) if !why.is_fenced() => Err(Failure::new(format!("the first writer ended: {why}"))),
            _ => Ok(written),
        }
    };
    let happening = async {
        reached(&mut acknowledged, input, KILL_AT).await;
        let pid = cluster.nodes()[VICTIM].process_id();
        let status = cluster.kill(VICTIM).await?;
        bar.suspend(|| {
            say(&format!("node {} (pid {}) was killed: {status}; appends go on", VICTIM + 1, pid.unwrap_or(0)));
        });
        reached(&mut acknowledged, input, RESTART_AT).await;
        cluster.restart(VICTIM).await?;
        let pid = cluster.nodes()[VICTIM].process_id();
        bar.suspend(|| say(&format!("node {} serves again: pid {}", VICTIM + 1, pid.unwrap_or(0))));
        reached(&mut acknowledged, input, TAKE_OVER_AT).await;
        Ok(second.open(LOG, OpenOptions::default()).await?)
    };
    let mut watching = sender.subscribe();
    let showing = async {
        while watching.changed().await.is_ok() {
            bar.set_position(*watching.borrow_and_update() * CHUNK_BYTES as u64);
        }
        std::future::pending::<()>().await;
    };
    let (mut written, second) = tokio::select! {
        both = futures::future::try_join(writing, happening) => both?,
        () = showing => unreachable!("the sender lives as long as the writers"),
    };
    bar.finish_and_clear();
    if written.ended.is_none() {
        // It got to the end of the file first: now that the log is taken, its next append must be refused.
        written.ended = refused(first).await?;
    }
    Ok(TakenOver { first: written, second })
}

async fn reached(acknowledged: &mut watch::Receiver<u64>, input: &Input, percent: u64) {
    let wanted = input.chunks() * percent / 100;
    // The sender outlives this; an error could only mean that there is nothing left to wait for.
    let _ = acknowledged.wait_for(|acknowledged| *acknowledged >= wanted).await;
}

async fn refused(first: &LogWriter) -> Result<Option<quarry_client::AppendError>, Failure> {
    let outcome = match first.append(Bytes::from_static(b"too late")).await {
        Ok(pending) => pending.await,
        Err(why) => Err(why),
    };
    match outcome {
        Err(why) => Ok(Some(why)),
        Ok(receipt) => {
            Err(Failure::new(format!("the first writer was acknowledged seq {} after the takeover", receipt.seq)))
        }
    }
}
