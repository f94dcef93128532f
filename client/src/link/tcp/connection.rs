//! One connection from its hello to its end: receiving, sending what did not go out at once, and watching.

use super::super::PutTiming;
use super::bounds::{BACKOFF_MAX, BACKOFF_MIN, WATCH_INTERVAL};
use super::handshake::{self, Connected};
use super::inbound::{Frame, Inbound};
use super::outbound::Sent;
use super::shared::Shared;
use quarry_protocol::frame::FrameKind;
use quarry_protocol::ids::DiskId;
use quarry_protocol::message::Reply;
use quarry_protocol::put_times::PutTimes;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Keeps a link connected for as long as it lives.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut backoff = BACKOFF_MIN;
    loop {
        let why = match handshake::connect(shared.replica(), &shared.addresses(), shared.cluster()).await {
            Ok(connected) => {
                backoff = BACKOFF_MIN;
                run(&shared, connected).await
            }
            Err(why) => why,
        };
        shared.went_down(&why);
        tracing::debug!(address = shared.replica().address, disk = %shared.replica().disk, why, "link down");
        // Somebody who calls shortens the pause, but not below its shortest.
        sleep(BACKOFF_MIN).await;
        tokio::select! {
            () = sleep(backoff.saturating_sub(BACKOFF_MIN)) => {}
            () = shared.called().notified() => {}
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// Serves one connection until it ends; says why it did.
async fn run(shared: &Shared, connected: Connected) -> String {
    let (read, write) = connected.stream.into_split();
    let write = Arc::new(write);
    shared.went_up(&write);
    tracing::debug!(address = shared.replica().address, disk = %shared.replica().disk, "link up");
    tokio::select! {
        why = receive(shared, read, connected.current) => why,
        why = send(shared, &write) => why,
        why = watch(shared) => why,
    }
}

async fn receive(shared: &Shared, mut read: OwnedReadHalf, current: DiskId) -> String {
    let mut inbound = Inbound::default();
    loop {
        match read.read_buf(inbound.room()).await {
            Ok(0) => return "it closed the connection".to_owned(),
            Ok(_) => {}
            Err(why) => return format!("receive: {why}"),
        }
        shared.state().heard(Instant::now());
        loop {
            match inbound.next() {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    if let Err(why) = take(shared, current, frame) {
                        return why;
                    }
                }
                Err(why) => return why.to_string(),
            }
        }
    }
}

/// Acts on one frame. An error ends the connection.
fn take(shared: &Shared, current: DiskId, (header, body): Frame) -> Result<(), String> {
    let named = shared.replica().disk;
    // A put is stored only if the very disk it was meant for says so (P4, P14); a retired identity is answered
    // for by the one in force.
    let stored = matches!(header.kind, FrameKind::Stored | FrameKind::TimedStored);
    if header.disk != named && (stored || header.disk != current) {
        return Err(format!("disk {} answered for disk {named}", header.disk));
    }
    let id = header.request_id;
    match header.kind {
        FrameKind::Stored => shared.state().stored(id, None),
        FrameKind::TimedStored => {
            header.verify_body(&body).map_err(|why| why.to_string())?;
            let timing = PutTiming { at: Instant::now(), node: PutTimes::decode(&body) };
            shared.state().stored(id, Some(timing))
        }
        FrameKind::Reply => {
            header.verify_body(&body).map_err(|why| why.to_string())?;
            let reply = Reply::decode(&body).map_err(|why| why.to_string())?;
            shared.state().replied(id, reply)
        }
        FrameKind::Chunk => {
            // The payload is checked outside the lock: puts do not wait for it.
            let expected = shared.state().expected(id)?;
            if let Some(expected) = expected {
                let chunk = expected.verify(&body);
                shared.state().chunk(id, chunk);
            }
            Ok(())
        }
        FrameKind::Request | FrameKind::Put | FrameKind::TimedPut | FrameKind::Copy => {
            Err(format!("it sent a {:?} frame, which only clients send", header.kind))
        }
    }
}

/// Sends what the socket did not take at once.
async fn send(shared: &Shared, write: &tokio::net::tcp::OwnedWriteHalf) -> String {
    loop {
        shared.blocked().notified().await;
        loop {
            match shared.send() {
                Ok(Sent::All) => break,
                Ok(Sent::Blocked) => {
                    if let Err(why) = write.writable().await {
                        return format!("send: {why}");
                    }
                }
                Err(why) => return why,
            }
        }
    }
}

async fn watch(shared: &Shared) -> String {
    let mut ticks = interval(WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A put that nobody flushed is not forgotten.
        shared.flush();
        let overdue = shared.state().overdue(Instant::now());
        if let Some(why) = overdue {
            return why;
        }
    }
}
