//! `quarry check-impact`: what would be lost without nodes.

use crate::ledger::Ledger;
use crate::zones::Zones;
use quarry_protocol::record::Segment;

const LOG: &str = "weighed";

/// Without nobody who holds anything, one, two and three holders: nothing, redundancy, availability, data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_two_and_three_nodes_less() {
    let zones = Zones::start(false).await;
    let (code, report) = zones.run(&["check-impact", "--without", &zones.address(0)]).await;
    assert_eq!((&report["impact"], code), (&"nothing".into(), Some(0)), "no log is there: {report}");
    zones.fill(&mut Ledger::default(), LOG, 1, 20).await;
    // What a takeover sealed may lack a copy of its newest chunks.
    let (code, report) = zones.run(&["repair"]).await;
    assert_eq!(code, Some(0), "{report}");
    let record = zones.record(LOG).await;
    let (sealed, open) = (&record.segments[0], record.segments.last().expect("an open segment"));
    assert!(sealed.is_sealed() && !open.is_sealed(), "{record:?}");
    let holders = |segment: &Segment| segment.replicas.iter().map(|at| zones.node_of(at)).collect::<Vec<_>>();
    let (of_sealed, of_open) = (holders(sealed), holders(open));
    let cases: [(&[usize], &str, i32); 3] =
        [(&of_sealed[..1], "redundancy", 1), (&of_open[..2], "availability", 2), (&of_sealed, "data", 2)];
    for (nodes, impact, exit) in cases {
        let addresses: Vec<_> = nodes.iter().map(|node| zones.address(*node)).collect();
        let mut arguments = vec!["check-impact", "--without"];
        arguments.extend(addresses.iter().map(String::as_str));
        let (code, report) = zones.run(&arguments).await;
        assert_eq!((&report["impact"], code), (&impact.into(), Some(exit)), "without {nodes:?}: {report}");
    }
    let (code, report) = zones.run(&["check-impact", "--without", &sealed.replicas[0].zone]).await;
    assert_eq!((&report["impact"], code), (&"redundancy".into(), Some(1)), "a zone goes: {report}");
}

/// A name that is no node's is a slip of the pen, and not a node that holds nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_nobody_knows_is_not_safe_to_lose() {
    let zones = Zones::start(false).await;
    zones.fill(&mut Ledger::default(), LOG, 1, 5).await;
    let (code, report) = zones.run(&["check-impact", "--without", "127.0.0.1:1"]).await;
    assert_eq!(code, Some(3), "{report}");
    assert!(report["error"].as_str().is_some_and(|why| why.contains("127.0.0.1:1")), "{report}");
}

/// P13: a log whose record cannot be read may lie anywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_read_makes_nothing_safe() {
    let zones = Zones::start(false).await;
    zones.fill(&mut Ledger::default(), LOG, 1, 5).await;
    let record = zones.record(LOG).await;
    let holder = zones.node_of(&record.segments[0].replicas[0]);
    let path = zones.register().join("logs").join(format!("{LOG}.log"));
    assert!(path.is_file(), "the record is at {}", path.display());
    std::fs::write(&path, b"no record").expect("damaged");
    let (code, report) = zones.run(&["check-impact", "--without", &zones.address(holder)]).await;
    assert_eq!(code, Some(2), "{report}");
    assert!(report["error"].as_str().is_some_and(|why| why.contains(LOG)), "it names the log: {report}");
    let (code, report) = zones.run(&["node", "drain", &zones.address(holder)]).await;
    assert_eq!(code, Some(2), "{report}");
}
