//! How much is held that no record needs.

use crate::{orphans, store};
use quarry_client::{Orphan, OrphanFate, connect_to_quorum};
use serde::Serialize;
use std::fmt::Write as _;

/// All orphans together.
#[derive(Debug, Default, Serialize)]
pub(super) struct OrphansSeen {
    /// Copies that a repair frees.
    waiting: Held,
    /// Copies that no client may free.
    staying: Held,
    /// Why they are not known, if so.
    error: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Held {
    copies: u64,
    chunks: u64,
}

pub(super) async fn ask(url: &str) -> OrphansSeen {
    match look(url).await {
        Ok(orphans) => OrphansSeen::of(&orphans),
        Err(why) => OrphansSeen { error: Some(why), ..OrphansSeen::default() },
    }
}

async fn look(url: &str) -> Result<Vec<Orphan>, String> {
    store::check_register(url)?;
    orphans::look(&connect_to_quorum(url).await.map_err(|why| why.to_string())?).await
}

impl OrphansSeen {
    fn of(orphans: &[Orphan]) -> Self {
        let mut seen = Self::default();
        for orphan in orphans {
            let held = if orphan.fate == OrphanFate::Waits { &mut seen.waiting } else { &mut seen.staying };
            held.copies += 1;
            held.chunks += orphan.chunks;
        }
        seen
    }

    pub(super) fn text(&self) -> String {
        let Self { waiting, staying, error } = self;
        if let Some(why) = error {
            return format!("ORPHANS not known: {why}");
        }
        let mut text = format!("ORPHANS {} copies, {} chunks", waiting.copies, waiting.chunks);
        if waiting.copies > 0 {
            text.push_str(": freed by `quarry repair`");
        }
        if staying.copies > 0 {
            let Held { copies, chunks } = staying;
            let _ = write!(text, "; {copies} copies, {chunks} chunks stay: `quarry repair` says why");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarry_protocol::ids::{DiskId, Epoch, LogId, SegmentId};
    use quarry_protocol::record::ReplicaRef;

    fn orphan(chunks: u64, fate: OrphanFate) -> Orphan {
        Orphan {
            replica: ReplicaRef { disk: DiskId([1; 16]), address: "n:1".into(), zone: "z".into() },
            log: LogId([1; 16]),
            name: None,
            segment: SegmentId { epoch: Epoch(1), index: 0 },
            chunks,
            idle_s: 0,
            fate,
        }
    }

    #[test]
    fn what_waits_and_what_stays_are_told_apart() {
        let text = |orphans: &[Orphan]| OrphansSeen::of(orphans).text();
        assert_eq!(text(&[]), "ORPHANS 0 copies, 0 chunks");
        let waits = [orphan(100, OrphanFate::Waits), orphan(20, OrphanFate::Waits)];
        assert_eq!(text(&waits), "ORPHANS 2 copies, 120 chunks: freed by `quarry repair`");
        let both = [orphan(3, OrphanFate::Waits), orphan(4, OrphanFate::Stays("why".into()))];
        let expected =
            "ORPHANS 1 copies, 3 chunks: freed by `quarry repair`; 1 copies, 4 chunks stay: `quarry repair` says why";
        assert_eq!(text(&both), expected);
    }
}
