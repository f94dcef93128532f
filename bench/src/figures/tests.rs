use super::*;
use crate::environment::DiskFacts;
use crate::result::{Baseline, CpuTime, TargetFacts, example};

fn close(got: f64, wanted: f64) {
    assert!((got - wanted).abs() <= wanted.abs() * 0.005, "got {got}, wanted {wanted}");
}

fn figures(case: usize, target: usize) -> TargetFigures {
    let result = example::result();
    let (case, target) = (&result.cases[case], &result.cases[case].targets[target]);
    TargetFigures::of(&result, case, target).expect("it was measured")
}

/// By hand: medians 400, 360, 440 us; 65,536,000 bytes in a second; 0.21 s of processor for those.
#[test]
fn figures_follow_from_the_samples() {
    let figures = figures(0, 0);
    close(figures.rounds.p50_us.median, 400.0);
    close(figures.rounds.p50_us.min, 360.0);
    close(figures.rounds.p50_us.max, 440.0);
    close(figures.rounds.p99_us.median, 1200.0);
    close(figures.rounds.service_p50_us.median, 360.0);
    assert!((figures.from_service.p50_us - 360.0).abs() < 10.0, "{}", figures.from_service.p50_us);
    close(figures.rounds.service_p99_us.median, 900.0);
    close(figures.rounds.bytes_per_second.median, 65_536_000.0);
    close(figures.rounds.cpu_seconds_per_gib.expect("measured").median, 0.21 / (65_536_000.0 / GIB));
    assert_eq!((figures.from_due.count, figures.rounds.count), (3000, 3));
}

/// The 99.9th percentile of all rounds is that of all samples: the slowest round has nearly all of it.
#[test]
fn percentiles_are_of_merged_samples() {
    let mut result = example::result();
    let mut rounds = vec![example::part(100.0, 200.0, 4096); 3];
    rounds[2] = example::part(1000.0, 2000.0, 4096);
    result.cases[0].targets[0].rounds = rounds;
    let case = &result.cases[0];
    let figures = TargetFigures::of(&result, case, &case.targets[0]).unwrap();
    let mean = f64::from(2 * 200 + 2000) / 3.0;
    assert!(figures.from_due.p99_us > 1.5 * mean, "{}", figures.from_due.p99_us);
}

/// By hand, every round alike: 400 / (200 + 50), 1200 / (600 + 150), three copies of as much as the device, a pipe as fast.
#[test]
fn ratios_are_beside_device_and_loopback() {
    let ratios = figures(0, 0).ratios.expect("a baseline");
    close(ratios.p50.median, 1.6);
    close(ratios.p99.median, 1.6);
    close(ratios.bandwidth.expect("one device").median, 3.0);
    close(ratios.chunks_per_node.expect("one log on nodes").median, 1.0);
    close(ratios.pipe_bandwidth.expect("a pipe").median, 1.0);
    close(ratios.pipe_cpu.expect("a pipe").median, 1.0);
    assert!(figures(1, 0).ratios.is_none(), "no baseline");
}

/// A thousand appends in each round: 60 ms of the client, 50 ms of each node.
#[test]
fn processor_time_of_an_append_is_told_process_by_process() {
    let cpu = figures(0, 0).rounds.cpu.expect("measured");
    close(cpu.client_us.median, 60.0);
    let nodes = cpu.nodes_us.expect("nodes of the run");
    assert_eq!(nodes.len(), 3);
    nodes.iter().for_each(|node| close(node.median, 50.0));
}

/// 400 us with them, 380 without, in every round.
#[test]
fn receipts_cost_what_the_rounds_say() {
    let mut result = example::result();
    let target = &mut result.cases[0].targets[0];
    let cost = StagesCost::of(target).expect("was measured");
    close(cost.p50.median, 400.0 / 380.0);
    close(cost.bandwidth.median, 1.0);
    close(cost.cpu.expect("known").median, 1.0);
    target.stages.as_mut().unwrap().without[2].cpu = None;
    assert_eq!(StagesCost::of(target).expect("latencies").cpu, None);
    target.stages.as_mut().unwrap().without.pop();
    assert_eq!(StagesCost::of(target), None, "a round lacks its other half");
}

/// A thousand chunks a second on each node beside four hundred writes a second of the device; of four logs nobody knows which node
/// holds which.
#[test]
fn chunks_of_a_node_are_beside_writes_of_the_device() {
    let result = example::result();
    let (facts, case) = (&result.targets[0], &result.cases[0]);
    let mut baseline = case.baseline.clone().unwrap();
    baseline.device.iter_mut().for_each(|part| part.operations = 400);
    let of = |logs| {
        TargetRatios::of(facts, &result.environment.disk, logs, &baseline, &in_order(&case.targets[0].rounds))
            .unwrap()
            .chunks_per_node
    };
    close(of(1).expect("one log").median, 2.5);
    assert_eq!(of(4), None);
}

/// The highest rate that held was tried in the fourth round, in which the device was half as fast: 400 / (400 + 50), and not
/// 400 / (200 + 50) as in the step before it.
#[test]
fn a_step_is_beside_the_device_of_its_own_round() {
    let result = example::result();
    let case = &result.cases[2];
    let steps = &case.targets[0].ladder.as_ref().unwrap().steps;
    let p50 = |step| TargetFigures::of_step(&result, case, &case.targets[0], step).unwrap().ratios.unwrap().p50.median;
    close(p50(&steps[1]), 1.6);
    close(p50(&steps[2]), 400.0 / 450.0);
    close(figures(2, 0).ratios.expect("a baseline").p50.median, 400.0 / 450.0);
}

/// While a replica is dead: 450 / 250; with nothing wrong: 400 / 250. What appends nothing has no bandwidth.
#[test]
fn phases_are_beside_the_device_too() {
    let mut result = example::result();
    close(figures(3, 0).ratios.expect("a baseline").p50.median, 1.8);
    let healthy = TargetFigures::of_healthy(&result, &result.cases[3], &result.cases[3].targets[0]).expect("healthy");
    close(healthy.ratios.expect("a baseline").p50.median, 1.6);
    assert_eq!(TargetFigures::of_healthy(&result, &result.cases[0], &result.cases[0].targets[0]), None);
    result.cases[3].targets[0].rounds.iter_mut().for_each(|part| part.bytes = 0);
    let case = &result.cases[3];
    let ratios = TargetFigures::of(&result, case, &case.targets[0]).unwrap().ratios.expect("latencies");
    assert_eq!((ratios.bandwidth, ratios.chunks_per_node), (None, None));
}

/// A store elsewhere, or in memory, does not write to this device.
#[test]
fn no_bandwidth_is_compared_with_a_device_that_is_not_used() {
    let result = example::result();
    let case = &result.cases[0];
    let (baseline, disk) = (case.baseline.as_ref().unwrap(), &result.environment.disk);
    let emulated = TargetRatios::of(&result.targets[1], disk, 1, baseline, &in_order(&case.targets[1].rounds)).unwrap();
    assert_eq!((emulated.bandwidth, emulated.pipe_bandwidth), (None, None));
    close(emulated.p50.median, 5200.0 / 250.0);
    let elsewhere = TargetFacts { on_this_machine: false, ..result.targets[0].clone() };
    assert_eq!(
        TargetRatios::of(&elsewhere, disk, 1, baseline, &in_order(&case.targets[0].rounds)).unwrap().bandwidth,
        None
    );
}

/// What is not known of one round is not known of all, and nothing is divided by nothing.
#[test]
fn figures_that_cannot_be_told_are_absent() {
    let with_cpu = |cpu: Option<CpuTime>| {
        let mut result = example::result();
        result.cases[0].targets[0].rounds[1].cpu = cpu;
        let case = &result.cases[0];
        TargetFigures::of(&result, case, &case.targets[0]).unwrap()
    };
    let figures = with_cpu(None);
    assert_eq!((figures.rounds.cpu_seconds_per_gib, figures.ratios.unwrap().pipe_cpu), (None, None));
    let figures = with_cpu(Some(CpuTime { client_us: 1.0, nodes_us: None }));
    assert_eq!(figures.rounds.cpu_seconds_per_gib, None, "a node that ended is not a node that took nothing");
    assert_eq!(figures.rounds.cpu.expect("the client's is known").nodes_us, None);
    let result = example::result();
    let mut part = result.cases[0].targets[0].rounds[1].clone();
    part.bytes = 0;
    assert_eq!(RoundFigures::of(&[&part]).cpu_seconds_per_gib, None);
    let (nothing, disk) = (Baseline::default(), &result.environment.disk);
    assert_eq!(TargetRatios::of(&result.targets[0], disk, 1, &nothing, &[(0, &part)]), None);
}

/// The same disk, one of this machine that is another, and a store that has none here.
#[test]
fn ratios_say_whose_device_they_are_to() {
    let mut result = example::result();
    let device = |result: &BenchResult, target: usize| {
        let case = &result.cases[0];
        TargetFigures::of(result, case, &case.targets[target]).unwrap().ratios.unwrap().device
    };
    assert_eq!((device(&result, 0), device(&result, 1)), (RatioDevice::Same, RatioDevice::NoneHere));
    let another = DiskFacts { device: Some("sdb".to_owned()), ..result.environment.disk.clone() };
    // One directory of several on another disk is enough.
    result.targets[0].disks.push(another);
    assert_eq!(device(&result, 0), RatioDevice::Other);
}

/// A ladder's figures are those of the highest rate that held; of the slowest if none did.
#[test]
fn a_ladder_is_as_good_as_its_highest_rate_that_held() {
    close(figures(2, 0).rounds.p99_us.median, 1900.0);
    let mut result = example::result();
    let ladder = result.cases[2].targets[0].ladder.as_mut().unwrap();
    ladder.highest_per_second = None;
    let case = &result.cases[2];
    let figures = TargetFigures::of(&result, case, &case.targets[0]).unwrap();
    close(figures.rounds.p99_us.median, 900.0);
}
