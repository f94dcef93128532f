//! `quarry cluster`: what all nodes of a cluster share.

use crate::args::ClusterCommand;
use crate::exit::{Failure, Health};
use crate::output::Output;
use quarry_node::ClusterKey;
use serde_json::json;

pub(crate) fn run(command: &ClusterCommand, output: Output) -> Result<Health, Failure> {
    let ClusterCommand::Key = command;
    let key = ClusterKey::random().map_err(|why| Failure::new(format!("no random numbers: {why}")))?;
    output.print(&json!({ "key": key.digits() }), |_| key.digits());
    Ok(Health::Good)
}
