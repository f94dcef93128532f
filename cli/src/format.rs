//! `quarry format`: make a data directory.

use crate::args::FormatArgs;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::{progress, units};
use quarry_node::{FormatError, FormatOptions};
use serde_json::json;

pub(crate) fn run(args: &FormatArgs, output: Output) -> Result<Health, Failure> {
    let options = FormatOptions {
        data: args.data.clone(),
        cluster: args.cluster.clone(),
        zone: args.zone.clone(),
        shards: usize::from(args.shards),
        capacity_bytes: args.capacity.map(|size| size.0),
        file_bytes: args.file_size.map(|size| size.0),
    };
    let bar = progress::of_bytes(Some(0), "writing chunk files");
    let formatted = quarry_node::format(&options, |written, total| {
        bar.set_length(total);
        bar.set_position(written);
    });
    bar.finish_and_clear();
    let formatted = formatted.map_err(|why| Failure::of(is_usage(&why), why))?;
    let capacity = formatted.file_bytes * u64::from(formatted.files_per_shard) * formatted.disks.len() as u64;
    let node = units::hex(&formatted.node);
    let value = json!({
        "data": args.data,
        "cluster": args.cluster,
        "zone": args.zone,
        "node": node,
        "disks": formatted.disks,
        "file_bytes": formatted.file_bytes,
        "files_per_shard": formatted.files_per_shard,
        "capacity_bytes": capacity,
    });
    output.print(&value, |_| {
        format!(
            "{} is formatted: node {node}, cluster {:?}, zone {:?}, {} shards, {} in chunk files of {}\nstart it with: quarry start --data {} --listen HOST:PORT",
            args.data.display(),
            args.cluster,
            args.zone,
            formatted.disks.len(),
            units::bytes(capacity),
            units::bytes(formatted.file_bytes),
            args.data.display(),
        )
    });
    Ok(Health::Good)
}

/// Whether other arguments would do, on the machine as it is.
fn is_usage(why: &FormatError) -> bool {
    matches!(why, FormatError::Name { .. } | FormatError::Size { .. })
}
