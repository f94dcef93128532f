//! `quarry log`: append to, read and look after logs.

mod append;
mod inspect;
mod ls;
mod matrix;
mod move_to;
mod read;
mod receipt;
mod rm;

mod tail;
mod trim;

use crate::args::LogCommand;
use crate::exit::{Failure, Health};
use crate::output::{Output, say};
use crate::store;
use quarry_client::QuorumStore;
use std::time::Duration;
use tokio::time::timeout;

/// How long a command waits for its objects to go from buckets. What nodes hold, they delete by themselves.
const SETTLE_PATIENCE: Duration = Duration::from_mins(2);

pub(crate) async fn run(command: LogCommand, store: Option<String>, output: Output) -> Result<Health, Failure> {
    if let LogCommand::Append(args) = &command {
        append::check(args)?;
    }
    let store = store::open_quorum(store).await?;
    let deletes = matches!(command, LogCommand::Trim(_) | LogCommand::Rm(_));
    let done = run_on(&store, command, output).await?;
    if deletes && timeout(SETTLE_PATIENCE, store.settle()).await.is_err() {
        say(&format!(
            "warning: not everything is gone from the buckets after {SETTLE_PATIENCE:?}; run the same command again"
        ));
        return Ok(Health::Warning);
    }
    Ok(done)
}

async fn run_on(store: &QuorumStore, command: LogCommand, output: Output) -> Result<Health, Failure> {
    match command {
        LogCommand::Append(args) => append::run(store, &args, output).await,
        LogCommand::Read(args) => read::run(store, &args, output).await,
        LogCommand::Tail(args) => tail::run(store, &args.log, output).await,
        LogCommand::Trim(args) => trim::run(store, &args, output).await,
        LogCommand::Ls(args) => ls::run(store, &args.prefix, output).await,
        LogCommand::Rm(args) => rm::run(store, &args.log, output).await,
        LogCommand::Inspect(args) if args.receipt => receipt::run(store, &args.log, output).await,
        LogCommand::Inspect(args) => inspect::run(store, &args.log, output).await,
        LogCommand::Move(args) => move_to::run(store, &args, output).await,
    }
}
