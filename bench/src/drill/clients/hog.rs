//! A client that fills the disks, and then trims all of it.

use super::trimmer::trim;
use super::{Client, PAUSE, open_options, writer};
use quarry_client::{LogWriter, OpenOptions};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long it goes on at most.
const FILL_TIME_MAX: Duration = Duration::from_secs(10);
/// How long it waits for a quorum: that nobody has room is what it is after.
const NOTICED_WITHIN: Duration = Duration::from_secs(2);
/// How long its trim is tried.
const TRIM_PATIENCE: Duration = Duration::from_secs(20);

/// See the module.
pub(in crate::drill) struct Hog {
    client: Client,
}

impl Hog {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Appends until the nodes have no room left. Whether it came to that.
    pub(in crate::drill) async fn fill(&mut self) -> bool {
        let until = Instant::now() + FILL_TIME_MAX;
        let options = OpenOptions { append_deadline: NOTICED_WITHIN, ..open_options() };
        while Instant::now() < until {
            match writer::open(&mut self.client, options.clone()).await {
                Some(opened) => {
                    if self.fill_with(opened.writer, until).await {
                        return true;
                    }
                }
                None => sleep(PAUSE).await,
            }
        }
        false
    }

    /// Whether the writer was stopped because the nodes are full.
    async fn fill_with(&mut self, writer: LogWriter, until: Instant) -> bool {
        let mut in_flight = VecDeque::new();
        while Instant::now() < until && writer::append(&self.client, &writer, &mut in_flight).await {}
        writer::finish(&self.client, &writer, in_flight).await;
        timeout(Duration::ZERO, writer.stopped()).await.is_ok_and(|why| why.to_string().contains("full"))
    }

    /// Gives everything back.
    pub(in crate::drill) async fn drain(&mut self) {
        let until = Instant::now() + TRIM_PATIENCE;
        loop {
            let end = self.client.checker.ledger(self.client.log).acknowledged_end();
            if trim(&self.client, end).await || Instant::now() > until {
                return;
            }
            sleep(PAUSE).await;
        }
    }
}
