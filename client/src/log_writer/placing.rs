//! Where a writer's next segments go: the store's own tier, until the log is moved.

use crate::cluster::Cluster;
use std::sync::Arc;

pub(super) struct Placing {
    tier: Arc<dyn Cluster>,
    /// Where the log is being moved.
    target: Option<Arc<dyn Cluster>>,
}

impl Placing {
    pub(super) fn new(tier: Arc<dyn Cluster>) -> Self {
        Self { tier, target: None }
    }

    /// The tier of the next segment.
    pub(super) fn tier(&self, moving: bool) -> Arc<dyn Cluster> {
        let target = self.target.as_ref().filter(|_| moving);
        Arc::clone(target.unwrap_or(&self.tier))
    }

    /// A move to `target` was asked for. One at a time.
    pub(super) fn aim(&mut self, target: Arc<dyn Cluster>) {
        self.target = Some(target);
    }

    /// The segment there is on record.
    pub(super) fn moved(&mut self) {
        if let Some(target) = self.target.take() {
            self.tier = target;
        }
    }
}
