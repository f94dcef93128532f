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
use crate::output::Output;
use crate::store;

pub(crate) async fn run(command: LogCommand, store: Option<String>, output: Output) -> Result<Health, Failure> {
    if let LogCommand::Append(args) = &command {
        append::check(args)?;
    }
    let store = store::open_quorum(store).await?;
    match command {
        LogCommand::Append(args) => append::run(&store, &args, output).await,
        LogCommand::Read(args) => read::run(&store, &args, output).await,
        LogCommand::Tail(args) => tail::run(&store, &args.log, output).await,
        LogCommand::Trim(args) => trim::run(&store, &args, output).await,
        LogCommand::Ls(args) => ls::run(&store, &args.prefix, output).await,
        LogCommand::Rm(args) => rm::run(&store, &args.log, output).await,
        LogCommand::Inspect(args) if args.receipt => receipt::run(&store, &args.log, output).await,
        LogCommand::Inspect(args) => inspect::run(&store, &args.log, output).await,
        LogCommand::Move(args) => move_to::run(&store, &args, output).await,
    }
}
