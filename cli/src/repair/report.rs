//! What a round of repairs came to, for people and as JSON.

use crate::exit::Health;
use crate::orphans::OrphanLine;
use crate::units;
use quarry_client::Orphan;
use quarry_protocol::repair::{Lacking, RepairFailure, RepairReport, SegmentOutcome, SegmentReport};
use serde::Serialize;

#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) logs: Vec<LogLine>,
    orphans: Vec<OrphanLine>,
    /// Why nobody was asked for orphans.
    orphans_error: Option<String>,
}

/// One log.
#[derive(Debug, Serialize)]
pub(super) struct LogLine {
    log: String,
    copied_chunks: u64,
    copied_bytes: u64,
    segments: Vec<SegmentLine>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct SegmentLine {
    segment: String,
    from: u64,
    to: u64,
    outcome: &'static str,
    /// Runs of seqs, each from the first to one past the last.
    lost: Vec<(u64, u64)>,
    why: Option<String>,
    lacking: Vec<LackingLine>,
    replaced: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct LackingLine {
    address: String,
    zone: String,
    chunks: u64,
    why: String,
}

impl LogLine {
    pub(super) fn new(log: String, outcome: Result<RepairReport, RepairFailure>) -> Self {
        let (report, error) = match outcome {
            Ok(report) => (report, None),
            Err(why) => (RepairReport::default(), Some(why.to_string())),
        };
        let RepairReport { segments, chunks: copied_chunks, bytes: copied_bytes } = report;
        Self { log, copied_chunks, copied_bytes, segments: segments.into_iter().map(line).collect(), error }
    }

    fn health(&self) -> Health {
        let worst = self.segments.iter().map(|segment| match segment.outcome {
            "whole" => Health::Good,
            "short" => Health::Warning,
            _ => Health::Unhealthy,
        });
        let worst = worst.max().unwrap_or(Health::Good);
        if self.error.is_some() { Health::Unhealthy } else { worst }
    }

    fn text(&self) -> Vec<String> {
        let log = &self.log;
        if let Some(why) = &self.error {
            return vec![format!("{log}: not repaired: {why}")];
        }
        let whole = self.segments.iter().filter(|segment| segment.outcome == "whole").count();
        let copied = match self.copied_chunks {
            0 => "nothing had to be copied".to_owned(),
            chunks => format!("{chunks} chunks copied, {}", units::bytes(self.copied_bytes)),
        };
        let mut lines = vec![format!("{log}: {whole} of {} sealed segments are whole, {copied}", self.segments.len())];
        for segment in &self.segments {
            let SegmentLine { segment: id, from, to, .. } = segment;
            for (was, is) in &segment.replaced {
                lines.push(format!("  {id}, seqs {from} to {to}: {is} holds it in the place of {was}"));
            }
            if segment.outcome == "lost" {
                let runs: Vec<_> = segment.lost.iter().map(|(from, to)| format!("{from} to {to}")).collect();
                lines.push(format!("  {id}: DATA LOSS: seqs {} are on no replica that answers", runs.join(", ")));
            }
            if let Some(why) = &segment.why {
                lines.push(format!("  {id}, seqs {from} to {to}: too few copies: {why}"));
            }
            for LackingLine { address, zone, chunks, why } in &segment.lacking {
                lines.push(format!("    {zone} ({address}) lacks {chunks} chunks: {why}"));
            }
        }
        lines
    }
}

impl Report {
    pub(super) fn hear_orphans(&mut self, orphans: Result<Vec<Orphan>, String>) {
        match orphans {
            Ok(orphans) => self.orphans = orphans.into_iter().map(OrphanLine::new).collect(),
            Err(why) => self.orphans_error = Some(why),
        }
    }

    pub(super) fn health(&self) -> Health {
        let logs = self.logs.iter().map(LogLine::health).max().unwrap_or(Health::Good);
        if self.orphans_error.is_some() { logs.max(Health::Warning) } else { logs }
    }

    pub(super) fn text(&self) -> String {
        let mut lines: Vec<String> = self.logs.iter().flat_map(LogLine::text).collect();
        if self.logs.is_empty() {
            lines.push("no logs".to_owned());
        }
        lines.extend(self.orphans.iter().map(OrphanLine::text));
        lines.extend(self.orphans_error.as_ref().map(|why| format!("orphans were not looked for: {why}")));
        lines.join("\n")
    }
}

fn line(report: SegmentReport) -> SegmentLine {
    let SegmentReport { segment, from, to, replaced, outcome } = report;
    let (outcome, lost, why, lacking) = match outcome {
        SegmentOutcome::Whole => ("whole", Vec::new(), None, Vec::new()),
        SegmentOutcome::Short { lacking, why } => ("short", Vec::new(), Some(why), lacking),
        SegmentOutcome::Lost { seqs, lacking } => {
            ("lost", seqs.iter().map(|(from, to)| (from.0, to.0)).collect(), None, lacking)
        }
    };
    let lacks = |Lacking { replica, seqs, why }: Lacking| LackingLine {
        address: replica.address,
        zone: replica.zone,
        chunks: seqs.len(),
        why,
    };
    SegmentLine {
        segment: segment.to_string(),
        from: from.0,
        to: to.0,
        outcome,
        lost,
        why,
        lacking: lacking.into_iter().map(lacks).collect(),
        replaced: replaced.into_iter().map(|(was, is)| (was.address, is.address)).collect(),
    }
}
