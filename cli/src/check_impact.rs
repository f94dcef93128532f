//! `quarry check-impact`: what would be lost if nodes went away.

use crate::args::CheckImpactArgs;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::table::table;
use crate::{status, store};
use quarry_client::{ChunkStore, LogImpact};
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::repair::impact::Impact;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

pub(crate) async fn run(args: &CheckImpactArgs, store: Option<String>, output: Output) -> Result<Health, Failure> {
    let url = store::url(store)?;
    let store = store::open_quorum(Some(url.clone())).await?;
    let met = Mutex::new(BTreeSet::new());
    let goes = |replica: &ReplicaRef| {
        let named: Vec<_> =
            args.without.iter().filter(|node| [&replica.address, &replica.zone].contains(node)).collect();
        let goes = !named.is_empty();
        met.lock().unwrap_or_else(PoisonError::into_inner).extend(named);
        goes
    };
    let impacts = store.impact_without(&goes).await.map_err(Failure::new)?;
    let mut known = status::names_of_nodes(&url).await;
    known.extend(store.capabilities().zones);
    let met = met.into_inner().unwrap_or_else(PoisonError::into_inner);
    // A slip of the pen must not look like a node that holds nothing.
    if let Some(unknown) = args.without.iter().find(|node| !met.contains(node) && !known.contains(*node)) {
        let known: Vec<_> = known.into_iter().collect();
        let known = known.join(", ");
        return Err(Failure::usage(format!("no node or zone is known as {unknown}: there are {known}")));
    }
    let worst = impacts.iter().map(|log| log.impact).max().unwrap_or_default();
    let logs: Vec<_> = impacts.iter().map(to_json).collect();
    output.print(&json!({ "without": args.without, "impact": word(worst), "logs": logs }), |_| text(worst, &impacts));
    Ok(match worst {
        Impact::Nothing => Health::Good,
        Impact::Redundancy => Health::Warning,
        Impact::Availability | Impact::Data => Health::Unhealthy,
    })
}

const fn word(impact: Impact) -> &'static str {
    match impact {
        Impact::Nothing => "nothing",
        Impact::Redundancy => "redundancy",
        Impact::Availability => "availability",
        Impact::Data => "data",
    }
}

fn to_json(log: &LogImpact) -> serde_json::Value {
    let segments =
        log.segments.iter().map(|(id, impact)| json!({ "segment": id.to_string(), "impact": word(*impact) }));
    json!({ "log": log.name, "impact": word(log.impact), "segments": segments.collect::<Vec<_>>() })
}

fn text(worst: Impact, impacts: &[LogImpact]) -> String {
    let verdict = match worst {
        Impact::Nothing => "NOTHING would be lost: no log has anything there",
        Impact::Redundancy => "REDUNDANCY would be lost: everything stays readable and writable, with fewer copies",
        Impact::Availability => {
            "AVAILABILITY would be lost: logs could not be written or taken over until somebody is back"
        }
        Impact::Data => "DATA would be lost: chunks have no copy elsewhere that answers",
    };
    let hit = impacts.iter().filter(|log| log.impact > Impact::Nothing);
    let rows: Vec<_> = hit
        .map(|log| {
            let worst = log.segments.iter().filter(|(_, impact)| *impact == log.impact).count();
            [log.name.clone(), word(log.impact).to_owned(), format!("{worst} of {}", log.segments.len())]
        })
        .collect();
    if rows.is_empty() {
        return verdict.to_owned();
    }
    format!("{verdict}\n\n{}", table(["LOG", "LOSES", "SEGMENTS"], rows))
}
