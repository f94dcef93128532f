//! What a run consists of, drawn from its seed (swarm testing): each run has some faults and not others, so that rare
//! combinations come up and common ones do not drown them.

use crate::buckets::BUCKETS;
use crate::numbers::Numbers;
use quarry_protocol::record::Window;
use quarry_protocol::rotation::RotationPolicy;

/// One log: how it is replicated and written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogOptions {
    pub(crate) replicas: usize,
    pub(crate) ack_quorum: usize,
    pub(crate) window: Window,
    /// Largest payload, in bytes.
    pub(crate) payload_max: u64,
    /// Appends of one burst.
    pub(crate) burst_max: u64,
    /// Typical pause between bursts, in microseconds.
    pub(crate) pause_us: u64,
    pub(crate) straggler_chunks_max: u32,
    pub(crate) straggler_bytes_max: u64,
    /// When its segments are ended.
    pub(crate) rotation: RotationPolicy,
    /// How likely its writer is asked to end a segment after a burst.
    pub(crate) rotate_percent: u64,
    /// How likely a new segment goes to buckets instead of nodes.
    pub(crate) bucket_percent: u64,
}

/// How often faults of one kind happen, in chaos ticks per mille; 0: not in this run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    pub(crate) process_crash: u64,
    pub(crate) power_crash: u64,
    pub(crate) all_crash: u64,
    pub(crate) node_pause: u64,
    pub(crate) client_pause: u64,
    pub(crate) client_kill: u64,
    pub(crate) break_connection: u64,
    pub(crate) partition: u64,
    pub(crate) one_way: u64,
    pub(crate) slow_node: u64,
    pub(crate) register_outage: u64,
    pub(crate) rot: u64,
    pub(crate) wipe: u64,
    pub(crate) disk_full: u64,
    pub(crate) clean_stop: u64,
    pub(crate) empty_bucket: u64,
    pub(crate) superblock_rot: u64,
    pub(crate) manifest_rot: u64,
}

/// Faults of single operations, per mille of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OperationFaults {
    pub(crate) late_request: u64,
    pub(crate) duplicate: u64,
    pub(crate) wire_rot: u64,
    pub(crate) register_lost: u64,
    pub(crate) register_unheard: u64,
    pub(crate) register_delayed: u64,
    pub(crate) register_failed: u64,
    pub(crate) write_error: u64,
    pub(crate) short_write: u64,
    pub(crate) stuck_write: u64,
    pub(crate) lost_write: u64,
    pub(crate) misdirected_write: u64,
    pub(crate) read_error_once: u64,
    pub(crate) read_error_for_good: u64,
    pub(crate) prepare_error: u64,
}

/// What operations on objects take, and faults of single ones, per mille of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ObjectFaults {
    pub(crate) typical_us: u64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    pub(crate) unheard: u64,
    pub(crate) late: u64,
}

/// Everything that was drawn.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) nodes: usize,
    /// Distinct zones; nodes beyond them share.
    pub(crate) zones: usize,
    pub(crate) shards: usize,
    pub(crate) files_max: u32,
    pub(crate) logs: Vec<LogOptions>,
    /// Most sessions at a time for one log.
    pub(crate) sessions_max: usize,
    pub(crate) network_us: u64,
    pub(crate) disk_us: u64,
    pub(crate) turn_us: u64,
    pub(crate) register_us: u64,
    pub(crate) chaos_us: u64,
    /// Deadlines of recoveries and of appends, in microseconds.
    pub(crate) open_deadline_us: u64,
    pub(crate) append_deadline_us: u64,
    pub(crate) open: u64,
    pub(crate) read: u64,
    pub(crate) trim: u64,
    pub(crate) repair: u64,
    pub(crate) delete: u64,
    pub(crate) rates: Rates,
    pub(crate) operations: OperationFaults,
    pub(crate) objects: ObjectFaults,
    /// Whether faults go beyond what the cluster must survive: then it may stop, but not lie.
    pub(crate) beyond: bool,
    /// Which nodes may lose something, one bit each.
    pub(crate) fallible: u64,
    /// Which buckets may be emptied, one bit each.
    pub(crate) fallible_buckets: u64,
    /// Within how long nodes scrub everything, if they do, in microseconds.
    pub(crate) scrub_us: Option<u64>,
}

impl Options {
    pub(crate) fn draw(seed: u64) -> Self {
        let numbers = &mut Numbers::new(seed ^ 0x5eed);
        let nodes = numbers.between(3, 6) as usize;
        let zones = if numbers.percent(75) { nodes } else { numbers.between(2, nodes as u64) as usize };
        let large = numbers.percent(15);
        let log_count = numbers.pick(&[1, 1, 1, 2, 2, 3]);
        let logs: Vec<_> = (0..log_count).map(|_| LogOptions::draw(numbers, zones.min(5), large)).collect();
        let beyond = numbers.percent(15);
        let fallible = draw_fallible(numbers, nodes, &logs, beyond);
        let mut logs = logs;
        if numbers.percent(25) {
            logs.iter_mut().for_each(|log| log.bucket_percent = numbers.pick(&[0, 40, 100, 100]));
        }
        let fallible_buckets = draw_fallible(numbers, BUCKETS, &logs, beyond);
        let shards = if numbers.percent(15) { 2 } else { 1 };
        Self {
            nodes,
            zones,
            shards,
            files_max: numbers.between(5, 7) as u32,
            logs,
            sessions_max: numbers.between(2, 6) as usize,
            network_us: numbers.pick(&[50, 200, 200, 1000, 10_000]),
            disk_us: numbers.pick(&[60, 150, 150, 500, 4_000]),
            turn_us: numbers.pick(&[1, 5, 20, 200]),
            register_us: numbers.pick(&[200, 1000, 5000, 50_000]),
            chaos_us: numbers.pick(&[300, 1_000, 3_000, 20_000]),
            open_deadline_us: numbers.pick(&[3_000_000, 10_000_000, 30_000_000]),
            append_deadline_us: numbers.pick(&[500_000, 3_000_000, 10_000_000, 30_000_000]),
            open: numbers.pick(&[10, 40, 100]),
            read: numbers.pick(&[0, 10, 40]),
            trim: numbers.pick(&[0, 0, 10, 40]),
            repair: numbers.pick(&[0, 5, 20]),
            // A node that misses a deletion keeps the log's chunks (P13, not built yet): large ones would fill it for good.
            delete: numbers.pick(&[0, 0, 2, 10]) * u64::from(!large),
            rates: Rates::draw(numbers, fallible),
            operations: OperationFaults::draw(numbers, fallible),
            objects: ObjectFaults::draw(numbers),
            beyond,
            fallible,
            fallible_buckets,
            // Drawn last: older seeds keep the rest of what they drew.
            scrub_us: numbers.pick(&[Some(1_000_000), Some(3_000_000), Some(30_000_000), None]),
        }
    }

    /// Whether this node may lose something.
    pub(crate) fn is_fallible(&self, node: usize) -> bool {
        self.fallible & (1 << node) != 0
    }
}

/// What must survive what: an acknowledged chunk is on `Qa` replicas, so it survives the loss of `Qa - 1` of them, and as
/// many may answer *unknown* without keeping a recovery from its `Qr = N - Qa + 1` authoritative answers. A set of
/// `Qa - 1` nodes, with the smallest `Qa` of the run, is chosen beforehand; only they may lose anything, as often as
/// they like. Beyond that the set is larger.
///
/// Three things no node may do in any run, because the design cannot tell them (its stated limits): lose a batch that no
/// durable mark covers yet, lose every batch of its newest file, and answer from an old copy of its disk. A write that was
/// silently lost counts as lost only once a later batch has marked it; a crash before that takes the fault back.
fn draw_fallible(numbers: &mut Numbers, count: usize, logs: &[LogOptions], beyond: bool) -> u64 {
    let ack = logs.iter().map(|log| log.ack_quorum).min().unwrap_or(1);
    let most = if beyond { count } else { ack - 1 };
    let wanted = if numbers.percent(35) { 0 } else { numbers.below(most as u64 + 1) as u32 };
    let mut chosen = 0;
    while u64::count_ones(chosen) < wanted {
        chosen |= 1 << numbers.below(count as u64);
    }
    chosen
}

impl LogOptions {
    fn draw(numbers: &mut Numbers, replicas_max: usize, large: bool) -> Self {
        let replicas =
            if replicas_max >= 3 && numbers.percent(50) { 3 } else { numbers.between(1, replicas_max as u64) as usize };
        let ack_quorum =
            if numbers.percent(60) { replicas / 2 + 1 } else { numbers.between(1, replicas as u64) as usize };
        let payload_max = match numbers.below(10) {
            _ if large => numbers.pick(&[200_000, 300_000, 1_000_000]),
            0 => 40_000,
            1 | 2 => 5_000,
            _ => 200,
        };
        let chunks = numbers.between(1, 16) as u32;
        let window = Window { chunks, bytes: (payload_max * numbers.between(1, 8)).max(1000) };
        let rotation = RotationPolicy {
            segment_bytes: numbers.pick(&[payload_max * 4, payload_max * 40, u64::MAX]),
            segment_age_us: numbers.pick(&[50_000, 2_000_000, 86_400_000_000]),
            replica_patience_us: numbers.pick(&[10_000, 200_000, 2_000_000]),
        };
        Self {
            rotation,
            rotate_percent: numbers.pick(&[0, 0, 2, 10]),
            replicas,
            ack_quorum,
            window,
            payload_max,
            burst_max: numbers.between(1, 8),
            pause_us: numbers.pick(&[100, 1_000, 5_000, 30_000]),
            straggler_chunks_max: numbers.pick(&[4, 16, 64, 4096]),
            straggler_bytes_max: numbers.pick(&[2_000, 64 << 20]).max(payload_max),
            bucket_percent: 0,
        }
    }
}

/// A rate that is off in most runs.
fn rare(numbers: &mut Numbers, on_percent: u64, rates: &[u64]) -> u64 {
    if numbers.percent(on_percent) { numbers.pick(rates) } else { 0 }
}

impl Rates {
    fn draw(numbers: &mut Numbers, fallible: u64) -> Self {
        let n = numbers;
        let mut rates = Self {
            process_crash: rare(n, 50, &[2, 10, 30]),
            power_crash: rare(n, 50, &[2, 10, 30]),
            all_crash: rare(n, 20, &[1, 5]),
            node_pause: rare(n, 30, &[5, 20]),
            client_pause: rare(n, 40, &[5, 30]),
            client_kill: rare(n, 40, &[5, 20]),
            break_connection: rare(n, 50, &[5, 20, 60]),
            partition: rare(n, 30, &[3, 15]),
            one_way: rare(n, 30, &[3, 15]),
            slow_node: rare(n, 25, &[3, 10]),
            register_outage: rare(n, 25, &[3, 10]),
            disk_full: rare(n, 15, &[10, 50]),
            clean_stop: rare(n, 25, &[2, 10]),
            empty_bucket: rare(n, 30, &[2, 10]),
            superblock_rot: rare(n, 20, &[3]),
            manifest_rot: rare(n, 20, &[3]),
            ..Self::default()
        };
        if fallible != 0 {
            rates.rot = rare(n, 60, &[5, 20, 60]);
            rates.wipe = rare(n, 30, &[1, 5]);
        }
        rates
    }
}

impl ObjectFaults {
    fn draw(numbers: &mut Numbers) -> Self {
        Self {
            typical_us: numbers.pick(&[500, 5_000, 20_000]),
            failed: rare(numbers, 40, &[20, 100]),
            lost: rare(numbers, 40, &[10, 50]),
            unheard: rare(numbers, 40, &[10, 100]),
            late: rare(numbers, 40, &[10, 100]),
        }
    }
}

impl OperationFaults {
    fn draw(numbers: &mut Numbers, fallible: u64) -> Self {
        let n = numbers;
        let mut faults = Self {
            late_request: rare(n, 40, &[100, 500]),
            duplicate: rare(n, 30, &[2, 20, 100]),
            wire_rot: rare(n, 20, &[1, 5]),
            register_lost: rare(n, 30, &[20, 100]),
            register_unheard: rare(n, 30, &[20, 100]),
            register_delayed: rare(n, 30, &[20, 100]),
            register_failed: rare(n, 30, &[20, 100]),
            write_error: rare(n, 15, &[1, 5]),
            short_write: rare(n, 15, &[1, 5]),
            stuck_write: rare(n, 10, &[1]),
            read_error_once: rare(n, 20, &[5, 50]),
            prepare_error: rare(n, 20, &[20, 200]),
            ..Self::default()
        };
        if fallible != 0 {
            faults.lost_write = rare(n, 30, &[2, 10]);
            faults.misdirected_write = rare(n, 30, &[2, 10]);
            faults.read_error_for_good = rare(n, 30, &[2, 20]);
        }
        faults
    }
}
