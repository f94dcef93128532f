//! A channel over a log, on whatever store its URL names: it appends, is killed, recovers, reads back and trims.
//!
//! ```text
//! cargo run --example channel -- file:///some/empty/directory
//! cargo run --example channel -- "$QUARRY_STORE"
//! ```
//! The writer runs in a process of its own, which is killed with SIGKILL while appends are in flight. Whatever it printed as
//! acknowledged has to be there afterwards, in order, each message once; what it did not may be there or not. Exits with 0 only
//! if that held.

use futures::TryStreamExt;
use quarry_client::{ChunkStore, LogWriter, OpenOptions, PendingAppend, ReadOptions, ReadRange, connect};
use quarry_protocol::ids::ChunkSeq;
use std::collections::VecDeque;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Messages that the writer gets acknowledged before it is killed.
const BEFORE_THE_KILL: u64 = 40;
/// Messages after the recovery.
const AFTER_THE_RECOVERY: u64 = 20;
/// Appends in flight.
const DEPTH: usize = 8;

type Done<T = ()> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Done {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [url] => tell(url).await,
        [url, log, "write"] => write_for_ever(url, log).await,
        _ => Err("usage: channel URL".into()),
    }
}

/// The whole story.
async fn tell(url: &str) -> Done {
    let log = format!("channel-{}", std::process::id());
    let acknowledged = write_and_be_killed(url, &log)?;
    println!("{acknowledged} messages were acknowledged when the writer was killed");

    let store = connect(url).await?;
    let opened = store.open(&log, OpenOptions::default()).await?;
    let next = opened.report.next_seq.0;
    println!("recovered at message {next}, in epoch {}", opened.report.epoch);
    if next < acknowledged {
        return Err(format!("{acknowledged} messages were acknowledged, {next} are left").into());
    }
    let writer = opened.writer;
    for number in next..next + AFTER_THE_RECOVERY {
        let receipt = writer.append(message(number).into()).await?.await?;
        assert_eq!(receipt.seq, ChunkSeq(number), "numbering goes on");
    }
    let tail = writer.close().await?;
    read_back(&store, &log, 0, tail.0).await?;
    println!("{} messages read back, each once and in order", tail.0);

    let floor = store.trim(&log, ChunkSeq(acknowledged)).await?;
    read_back(&store, &log, floor.0, tail.0).await?;
    println!("trimmed below {floor}; the rest reads back");
    store.delete(&log).await?;
    println!("CHANNEL OK");
    Ok(())
}

/// Runs the writer in a process of its own, and kills it when enough was acknowledged. Returns how much was.
fn write_and_be_killed(url: &str, log: &str) -> Done<u64> {
    let mut writer = Command::new(std::env::current_exe()?).args([url, log, "write"]).stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(writer.stdout.take().expect("it is piped")).lines();
    let mut acknowledged = 0;
    for line in lines {
        // The last line may be half of one.
        let Ok(number) = line?.parse::<u64>() else { break };
        assert_eq!(number, acknowledged, "acknowledgements come in order");
        acknowledged += 1;
        if acknowledged == BEFORE_THE_KILL {
            writer.kill()?;
        }
    }
    let status = writer.wait()?;
    if acknowledged < BEFORE_THE_KILL {
        return Err(format!("the writer ended by itself, with {status}").into());
    }
    Ok(acknowledged)
}

/// Appends until it is killed; prints the number of each message that was acknowledged.
async fn write_for_ever(url: &str, log: &str) -> Done {
    let store = connect(url).await?;
    let opened = store.open(log, OpenOptions::default()).await?;
    let (writer, mut number) = (opened.writer, opened.report.next_seq.0);
    let mut in_flight: VecDeque<PendingAppend> = VecDeque::new();
    loop {
        while in_flight.len() < DEPTH {
            in_flight.push_back(append(&writer, number).await?);
            number += 1;
        }
        let receipt = in_flight.pop_front().expect("several are in flight").await?;
        let mut out = std::io::stdout();
        writeln!(out, "{}", receipt.seq)?;
        out.flush()?;
    }
}

async fn append(writer: &LogWriter, number: u64) -> Done<PendingAppend> {
    Ok(writer.append(message(number).into()).await?)
}

fn message(number: u64) -> String {
    format!("message {number}")
}

/// Reads `from..to` and checks every message.
async fn read_back(store: &Arc<dyn ChunkStore>, log: &str, from: u64, to: u64) -> Done {
    let stream = store.read(log, ReadRange::all(), ReadOptions::default()).await?;
    let chunks: Vec<_> = stream.try_collect().await?;
    let found: Vec<_> = chunks.iter().map(|chunk| (chunk.seq.0, chunk.payload.to_vec())).collect();
    let wanted: Vec<_> = (from..to).map(|number| (number, message(number).into_bytes())).collect();
    if found == wanted {
        Ok(())
    } else {
        Err(format!("{from}..{to} does not read back: {} chunks", found.len()).into())
    }
}
