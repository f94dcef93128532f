//! Whether the node is being emptied: told by an operator, remembered across restarts, said in gossip.

use crate::kept;
use std::io;
use std::path::PathBuf;
use tokio::sync::watch;

/// See the module.
#[derive(Debug)]
pub(super) struct Draining {
    data: PathBuf,
    flag: watch::Sender<bool>,
}

impl Draining {
    pub(super) fn new(data: PathBuf) -> Self {
        let flag = watch::Sender::new(kept::is_draining(&data));
        Self { data, flag }
    }

    pub(super) fn is_set(&self) -> bool {
        *self.flag.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<bool> {
        self.flag.subscribe()
    }

    /// Sets it, durably, then lets everybody know.
    pub(super) async fn set(&self, draining: bool) -> io::Result<()> {
        let data = self.data.clone();
        let kept = tokio::task::spawn_blocking(move || kept::set_draining(&data, draining));
        kept.await.map_err(io::Error::other)??;
        self.flag.send_replace(draining);
        Ok(())
    }
}
