//! What a drill has shown, for people.

use crate::table::table;
use crate::units;
use quarry_bench::drill::DrillReport;

pub(super) fn of(report: &DrillReport) -> String {
    let counts = &report.counts;
    let faults = report.faults.iter().map(|(kind, times)| [kind.name().to_owned(), times.to_string()]);
    let stalls = report.longest_stall_ms.iter().map(|(what, longest)| [what.clone(), format!("{longest} ms")]);
    let clients = [
        ("appends acknowledged", format!("{} ({})", counts.acknowledged, units::bytes(counts.acknowledged_bytes))),
        ("appends never stored", counts.never_stored.to_string()),
        ("appends of unknown fate", counts.unknown.to_string()),
        ("opens", format!("{}, {} failed and tried again", counts.opens, counts.opens_failed)),
        ("writers fenced by another", counts.takeovers.to_string()),
        ("writers stopped without a quorum", counts.writers_stopped.to_string()),
        ("rotations", format!("{}, {} of them asked for", counts.rotations, counts.rotations_asked)),
        ("trims", format!("{}, {} failed and tried again", counts.trims, counts.trims_failed)),
        ("streams read", format!("{}, {} failed and tried again", counts.reads, counts.reads_failed)),
        ("chunks read and compared", counts.chunks_read.to_string()),
        ("repairs", format!("{}, {} broken off", counts.repairs, counts.repairs_interrupted)),
        ("chunks copied by repairs", counts.chunks_repaired.to_string()),
        ("copies freed that no record needs", counts.orphans_freed.to_string()),
        ("copies of sealed segments, all whole", counts.copies_whole.to_string()),
    ];
    let clients = clients.map(|(what, how_many)| [what.to_owned(), how_many]);
    let lost = format!("{} bits flipped, disks full {} times", report.bits_flipped, report.disks_filled);
    let verdict = match report.verdict {
        "OK" => {
            "DRILL OK: every acknowledged chunk was read back, no seq had two contents, no floor moved back, every copy is whole again"
        }
        _ => "DRILL FAILED",
    };
    format!(
        "\n{}\n\n{}\n\n{}\n\n{} nodes in {} zones, {} s, seed {}; things were lost in {} only: {lost}\n{verdict}",
        table(["FAULT", "TIMES"], faults),
        table(["CLIENTS", ""], clients),
        table(["WHAT WENT ON", "LONGEST WAIT FOR AN ACKNOWLEDGEMENT"], stalls),
        report.nodes,
        report.zones,
        report.seconds,
        report.seed,
        report.fallible_zone,
    )
}
