//! `quarry start`: run a node until SIGTERM.

use crate::args::StartArgs;
use crate::dev::StopSignals;
use crate::exit::{Failure, Health};
use crate::output::{Output, say};
use quarry_node::Node;
use quarry_node::config::{GossipSettings, Settings, StartConfig};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use serde_json::json;
use std::env;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

/// What may stand in the environment, `start`'s own settings and what other commands read.
const VARIABLES: [&str; 15] = [
    "QUARRY_CONFIG",
    "QUARRY_DATA",
    "QUARRY_LISTEN",
    "QUARRY_ADVERTISE",
    "QUARRY_CONTROL",
    "QUARRY_CLUSTER",
    "QUARRY_RACK",
    "QUARRY_GOSSIP_KEY_FILE",
    "QUARRY_GOSSIP_LISTEN",
    "QUARRY_GOSSIP_ADVERTISE",
    "QUARRY_GOSSIP_SEEDS",
    "QUARRY_PIN",
    "QUARRY_SPIN_US",
    "QUARRY_STORE",
    "QUARRY_LOG",
];

pub(crate) fn run(args: StartArgs, output: Output) -> Result<Health, Failure> {
    if let Some(parent) = args.stop_with_parent {
        stop_with(parent)?;
    }
    check_environment(env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
    let config = settings(args)?.check().map_err(Failure::usage)?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::new(format!("no runtime for signals: {why}")))?;
    let outcome = runtime.block_on(serve(config, output));
    // A node that was told to stop while it replayed has acknowledged nothing: there is nothing to wait for.
    runtime.shutdown_background();
    outcome
}

async fn serve(config: StartConfig, output: Output) -> Result<Health, Failure> {
    let mut stop = StopSignals::new()?;
    let starting = spawn_blocking(move || quarry_node::start(&config));
    let node: Node = tokio::select! {
        () = stop.recv() => return Ok(Health::Good),
        started = starting => started??,
    };
    announce(&node, output);
    let stopper = node.stopper();
    let mut ended = spawn_blocking(move || node.wait());
    tokio::select! {
        () = stop.recv() => {
            say("stopping: what was accepted is being made durable");
            stopper.stop();
            ended.await?;
            Ok(Health::Good)
        }
        how = &mut ended => {
            how?;
            Err(Failure::new("the node stopped by itself: see what it said before"))
        }
    }
}

fn announce(node: &Node, output: Output) {
    let addresses = node.addresses();
    let shards: Vec<_> = addresses.shards.iter().map(ToString::to_string).collect();
    let value = json!({
        "event": "ready",
        "pid": std::process::id(),
        "advertise": addresses.advertise,
        "shards": shards,
        "control": addresses.control.to_string(),
        "gossip": addresses.gossip.map(|address| address.to_string()),
    });
    output.print(&value, |_| {
        format!("serving at {}, shards at {}, control at {}", addresses.advertise, shards.join(", "), addresses.control)
    });
}

/// Flags and environment, which clap has merged, laid over the file.
fn settings(args: StartArgs) -> Result<Settings, Failure> {
    let given = Settings {
        data: args.data,
        listen: args.listen,
        advertise: args.advertise,
        control: args.control,
        cluster: args.cluster,
        rack: args.rack,
        gossip: GossipSettings {
            key_file: args.gossip_key_file,
            listen: args.gossip_listen,
            advertise: args.gossip_advertise,
            seeds: (!args.gossip_seeds.is_empty()).then_some(args.gossip_seeds),
        },
        pin: args.pin,
        spin_us: args.spin_us,
        ..Settings::default()
    };
    match args.config {
        None => Ok(given),
        Some(path) => Ok(given.or(Settings::read(&path).map_err(Failure::usage)?)),
    }
}

/// A misspelt variable must not be silently without effect.
fn check_environment(names: impl Iterator<Item = String>) -> Result<(), Failure> {
    for name in names {
        if name.starts_with("QUARRY_") && !VARIABLES.contains(&name.as_str()) {
            let known = VARIABLES.join(", ");
            return Err(Failure::usage(format!("the environment sets {name}, which is no setting; there are {known}")));
        }
    }
    Ok(())
}

/// Asks the kernel to kill this process when the thread of the parent that started it ends.
pub(crate) fn stop_with(parent: u32) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have ended before the kernel was asked.
    if getppid().map(Pid::as_raw_nonzero).map(|pid| pid.get().cast_unsigned()) == Some(parent) {
        Ok(())
    } else {
        Err(Failure::new(format!("the parent process {parent} has ended")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_refused_by_name() {
        let check = |names: &[&str]| check_environment(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(check(&["PATH", "QUARRY_DATA", "QUARRY_STORE"]), Ok(()));
        let refused = check(&["QUARRY_LISSTEN"]).expect_err("is no setting");
        assert!(refused.message().contains("QUARRY_LISSTEN") && refused.message().contains("QUARRY_LISTEN,"));
    }
}
