//! Looking up the seeds' names, beside the task that gossips: a name service that is slow must not make this node look dead.

use super::counters::{Cause, Counters};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Addresses that wait to be called. Each is called again soon.
const WAITING_MAX: usize = 64;

/// Looks all seeds up every `period`, and hands out one address of each of the wanted kind. Ends when nobody listens.
pub(super) fn look_up(
    seeds: Vec<String>,
    period: Duration,
    is_ipv4: bool,
    counters: Arc<Counters>,
) -> mpsc::Receiver<SocketAddr> {
    let (found, finding) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for seed in &seeds {
                match tokio::net::lookup_host(seed).await {
                    Ok(mut addresses) => {
                        let Some(address) = addresses.find(|address| address.is_ipv4() == is_ipv4) else { continue };
                        if found.send(address).await.is_err() {
                            return;
                        }
                    }
                    Err(why) => counters.drop_for(Cause::Send, &format_args!("seed {seed}: {why}")),
                }
            }
            if found.is_closed() {
                return;
            }
        }
    });
    finding
}
