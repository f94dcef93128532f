//! `quarry bench pipe-receiver`: one process of the bare pipe.

use crate::args::PipeReceiverArgs;
use crate::exit::{Failure, Health};
use crate::start::stop_with;
use quarry_bench::pipe::{PipeReceiver, ReceiverPlan};

/// Says where it listens, serves one sender, and ends with it.
pub(super) fn receive(args: &PipeReceiverArgs) -> Result<Health, Failure> {
    stop_with(args.stop_with_parent)?;
    let plan = ReceiverPlan { file: args.file.clone(), file_bytes: args.file_bytes, chunk_bytes: args.chunk };
    let receiver = PipeReceiver::prepare(&plan).map_err(Failure::new)?;
    println!("{}", receiver.address().map_err(Failure::new)?);
    receiver.serve().map_err(Failure::new)?;
    Ok(Health::Good)
}
