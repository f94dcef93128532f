//! What each node's control plane says.

use super::members::{self, Known};
use futures::future::join_all;
use quarry_node::control::proto::admin_client::AdminClient;
use quarry_node::control::proto::{DrainRequest, ShardStatus, StatusReply, StatusRequest};
use quarry_protocol::limits::SHARDS_MAX;
use quarry_protocol::member::Member;
use serde::Serialize;
use std::time::Duration;
use tokio::time::timeout;
use tonic::transport::Endpoint;

/// How long a node may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// A node of the store's URL, or one that those tell of.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NodeSeen {
    /// `host:port` of its first shard.
    pub(super) address: String,
    /// `host:port` of its control plane.
    pub(super) control: String,
    /// What it said of itself, if it answered.
    pub(super) seen: Option<NodeState>,
    /// What keeps it from taking part: it counts as down.
    pub(super) down: Option<String>,
    /// What needs attention although it takes part.
    pub(super) troubles: Vec<String>,
}

/// What a node said of itself.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct NodeState {
    pub(super) zone: String,
    pub(super) node: String,
    pub(super) version: String,
    pub(super) uptime_us: u64,
    pub(super) shards: usize,
    pub(super) live_bytes: u64,
    pub(super) capacity_bytes: u64,
    pub(super) scrub: ScrubSeen,
    pub(super) rack: String,
    /// Whether it is being emptied.
    pub(super) draining: bool,
    /// Payload bytes put per second lately, if the nodes tell.
    pub(super) load_bytes_per_s: Option<u64>,
    /// How the others see it, if they tell.
    pub(super) liveness: Option<&'static str>,
}

/// How a node gets on with reading again what it stores, all its shards together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ScrubSeen {
    /// Whether every shard does.
    pub(super) on: bool,
    /// When the last whole pass ended, in Unix seconds, of the shard where that is longest ago; none if one never had any.
    pub(super) last_pass_ended_at_s: Option<u64>,
    /// How much of the present pass is done, in percent; none while no shard has one under way.
    pub(super) percent: Option<u64>,
    /// Damaged chunks that it found in the present pass, or the last one, and the one before.
    pub(super) damaged: u64,
}

impl ScrubSeen {
    fn of(shards: &[ShardStatus]) -> Self {
        let all = || shards.iter().filter_map(|shard| shard.scrub.as_ref());
        let percent = all().any(|scrub| scrub.under_way).then(|| {
            let (done, whole): (u64, u64) = (all().map(|s| s.done_bytes).sum(), all().map(|s| s.pass_bytes).sum());
            done.saturating_mul(100).checked_div(whole).unwrap_or(100)
        });
        Self {
            on: all().count() == shards.len() && all().all(|scrub| scrub.on),
            last_pass_ended_at_s: all().map(|scrub| scrub.ended_at_s).min().filter(|at| *at > 0),
            percent,
            damaged: all().map(|scrub| scrub.damaged_in_pass + scrub.damaged_before).sum(),
        }
    }

    /// When the last whole pass ended, at `now_s`.
    pub(super) fn last_pass(&self, now_s: u64) -> String {
        match self.last_pass_ended_at_s {
            _ if !self.on => "off".to_owned(),
            None => "never".to_owned(),
            Some(at) => format!("{} ago", rough(now_s.saturating_sub(at))),
        }
    }

    /// How far the present pass is.
    pub(super) fn progress(&self) -> String {
        self.percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent} %"))
    }
}

/// A time in the largest unit that it has two of.
fn rough(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

impl NodeSeen {
    /// One word.
    pub(super) fn state(&self) -> &'static str {
        match (&self.down, self.troubles.is_empty()) {
            (Some(_), _) => "DOWN",
            (None, false) => "TROUBLED",
            (None, true) if self.seen.as_ref().is_some_and(|seen| seen.draining) => "DRAINING",
            (None, true) => "UP",
        }
    }

    /// A node that answered, judged.
    pub(super) fn of_reply(address: &str, control: &str, cluster: &str, reply: &StatusReply) -> Self {
        let mut node = Self {
            address: address.to_owned(),
            control: control.to_owned(),
            seen: None,
            down: None,
            troubles: Vec::new(),
        };
        if reply.cluster != cluster {
            let other = &reply.cluster;
            node.down = Some(format!("it belongs to cluster {other:?}, not {cluster:?}: correct the store URL"));
        }
        for shard in &reply.shards {
            let number = shard.shard;
            if !shard.failed.is_empty() {
                let why = &shard.failed;
                node.down
                    .get_or_insert(format!("shard {number}: its disk failed: {why}: replace it, or restart the node"));
            }
            if shard.full.is_some() {
                node.down.get_or_insert(format!("shard {number} is full and refuses puts: trim logs or add capacity"));
            }
            if shard.losses > 0 {
                let losses = shard.losses;
                let scrub = shard.scrub.unwrap_or_default();
                let damaged = match scrub.damaged_in_pass + scrub.damaged_before {
                    0 => String::new(),
                    found => format!(" (its last two scrubs found {found} damaged chunks)"),
                };
                node.troubles.push(format!(
                    "shard {number} knows of {losses} ranges of seqs that it lost{damaged}: see `quarry log inspect`"
                ));
            }
            if !shard.preparation_error.is_empty() {
                let why = &shard.preparation_error;
                node.troubles.push(format!("shard {number} cannot make chunk files: {why}"));
            }
            if !shard.retired.is_empty() {
                let count = shard.retired.len();
                node.troubles
                    .push(format!("shard {number} has retired {count} identities: something it had stored is lost"));
            }
        }
        node.seen = Some(NodeState {
            zone: reply.zone.clone(),
            node: reply.node.clone(),
            version: reply.version.clone(),
            uptime_us: reply.uptime_us,
            shards: reply.shards.len(),
            live_bytes: reply.shards.iter().map(|shard| shard.live_bytes).sum(),
            capacity_bytes: reply.shards.iter().map(|shard| shard.capacity_bytes).sum(),
            scrub: ScrubSeen::of(&reply.shards),
            rack: reply.rack.clone(),
            draining: reply.draining,
            load_bytes_per_s: None,
            liveness: None,
        });
        node
    }

    /// Adds what the other nodes say of it.
    fn heard_of(mut self, member: &Member) -> Self {
        if !member.trouble.is_empty() {
            self.troubles.push(format!("nothing is placed on it: {}", member.trouble));
        }
        if let Some(seen) = &mut self.seen {
            seen.load_bytes_per_s = Some(member.load_bytes_per_s);
            seen.liveness = Some(members::liveness(member));
        }
        self
    }
}

/// Asks every node at once.
pub(super) async fn ask(known: &[Known], cluster: &str) -> Vec<NodeSeen> {
    join_all(known.iter().map(|Known { address, control, member }| async move {
        let seen = match status(control).await {
            Ok(reply) => NodeSeen::of_reply(address, control, cluster, &reply),
            Err(why) => {
                let down = Some(format!("its control plane at {control} does not answer: {why}"));
                let (address, control) = (address.clone(), control.clone());
                NodeSeen { address, control, seen: None, down, troubles: Vec::new() }
            }
        };
        match member {
            Some(member) => seen.heard_of(member),
            None => seen,
        }
    }))
    .await
}

/// Where a node's control plane is unless it was told otherwise.
pub(super) fn control_of(address: &str) -> String {
    match address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<usize>().ok()?))) {
        Some((host, port)) => format!("{host}:{}", port + SHARDS_MAX),
        None => address.to_owned(),
    }
}

async fn status(control: &str) -> Result<StatusReply, String> {
    let asking = async {
        let endpoint = Endpoint::from_shared(format!("http://{control}")).map_err(|why| why.to_string())?;
        let channel = endpoint.connect().await.map_err(|why| root_cause(&why))?;
        let reply = AdminClient::new(channel).status(StatusRequest {}).await;
        reply.map(tonic::Response::into_inner).map_err(|why| why.message().to_owned())
    };
    timeout(ANSWER_WITHIN, asking).await.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_WITHIN:?}")))
}

/// Has the node marked as being emptied.
pub(super) async fn drain(control: &str) -> Result<(), String> {
    let asking = async {
        let endpoint = Endpoint::from_shared(format!("http://{control}")).map_err(|why| why.to_string())?;
        let channel = endpoint.connect().await.map_err(|why| root_cause(&why))?;
        let reply = AdminClient::new(channel).drain(DrainRequest {}).await;
        reply.map(|_| ()).map_err(|why| why.message().to_owned())
    };
    timeout(ANSWER_WITHIN, asking).await.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_WITHIN:?}")))
}

/// The transport's own words are only "transport error".
fn root_cause(why: &dyn std::error::Error) -> String {
    let mut deepest = why;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarry_node::control::proto::{Fullness, Scrub};

    fn judged(shard: ShardStatus) -> NodeSeen {
        let reply = StatusReply { cluster: "c".into(), zone: "z".into(), shards: vec![shard], ..Default::default() };
        NodeSeen::of_reply("n:1", "n:65", "c", &reply)
    }

    #[test]
    fn a_node_is_as_good_as_its_shards() {
        assert_eq!(judged(ShardStatus::default()).state(), "UP");
        assert_eq!(judged(ShardStatus { losses: 1, ..Default::default() }).state(), "TROUBLED");
        assert_eq!(judged(ShardStatus { retired: vec!["d".into()], ..Default::default() }).state(), "TROUBLED");
        assert_eq!(judged(ShardStatus { failed: "dead".into(), ..Default::default() }).state(), "DOWN");
        assert_eq!(judged(ShardStatus { full: Some(Fullness::default()), ..Default::default() }).state(), "DOWN");
        let other = StatusReply { cluster: "other".into(), ..Default::default() };
        assert_eq!(NodeSeen::of_reply("n:1", "n:65", "c", &other).state(), "DOWN");
    }

    #[test]
    fn what_others_say_of_a_node_is_added() {
        let member = |trouble: &str| Member { load_bytes_per_s: 7, trouble: trouble.to_owned(), ..Member::default() };
        let fine = judged(ShardStatus::default()).heard_of(&member(""));
        assert_eq!(fine.state(), "UP");
        assert_eq!(fine.seen.map(|seen| (seen.load_bytes_per_s, seen.liveness)), Some((Some(7), Some("alive"))));
        let twin = judged(ShardStatus::default()).heard_of(&member("two processes use this identity"));
        assert_eq!(twin.state(), "TROUBLED");
        assert!(twin.troubles[0].contains("two processes"), "{:?}", twin.troubles);
        let draining = StatusReply { cluster: "c".into(), draining: true, ..Default::default() };
        assert_eq!(NodeSeen::of_reply("n:1", "n:65", "c", &draining).state(), "DRAINING");
    }

    #[test]
    fn a_node_is_scrubbed_when_its_last_shard_is() {
        let shard = |on, under_way, ended_at_s, done_bytes| {
            let scrub = Scrub { on, under_way, ended_at_s, done_bytes, pass_bytes: 100, ..Scrub::default() };
            ShardStatus { scrub: Some(scrub), ..ShardStatus::default() }
        };
        let seen = ScrubSeen::of(&[shard(true, false, 5_000, 100), shard(true, true, 9_000, 20)]);
        assert_eq!((seen.last_pass(5_000 + 300).as_str(), seen.progress().as_str()), ("5 min ago", "60 %"));
        assert_eq!(seen.last_pass(5_000 + 3 * 86_400), "3 d ago");
        let seen = ScrubSeen::of(&[shard(true, false, 5_000, 100), shard(true, false, 0, 100)]);
        assert_eq!((seen.last_pass(6_000).as_str(), seen.progress().as_str()), ("never", "-"));
        assert_eq!(ScrubSeen::of(&[shard(true, false, 5_000, 1), shard(false, false, 0, 0)]).last_pass(6_000), "off");
        let scrub = Some(Scrub { damaged_in_pass: 2, damaged_before: 1, ..Scrub::default() });
        let node = judged(ShardStatus { losses: 1, scrub, ..Default::default() });
        assert!(node.troubles[0].contains("3 damaged chunks"), "{:?}", node.troubles);
        assert_eq!(node.seen.expect("it answered").scrub.damaged, 3);
    }

    #[test]
    fn the_control_plane_is_where_start_puts_it() {
        assert_eq!(control_of("host:7000"), "host:7064");
        assert_eq!(control_of("[::1]:7000"), "[::1]:7064");
    }
}
