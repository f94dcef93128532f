//! What this node says of itself: fixed facts, and what its shards count.

use super::shards::{Facts, Shards};
use crate::shard::ShardStatistics;
use quarry_protocol::member::{Health, Member, MemberShard};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the shards are asked.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// One part in so many of the load is what was measured last, the rest what was measured before.
const LOAD_PARTS: u64 = 5;
/// Live bytes that changed by less than one part in so many are no news.
const LIVE_PARTS: u64 = 50;
/// Loads below this are all the same.
const LOAD_BYTES_PER_S_MIN: u64 = 1 << 20;

/// The node before its shards were asked.
pub(super) fn at_start(facts: &Facts, draining: bool) -> Member {
    Member {
        node: facts.disk,
        incarnation: facts.incarnation,
        zone: facts.info.zone.clone(),
        rack: facts.rack.clone(),
        advertise: facts.info.advertise.clone(),
        control: facts.control.clone(),
        shards: facts.info.shards.iter().map(|shard| MemberShard { disk: shard.disk, port: shard.port }).collect(),
        draining,
        ..Member::default()
    }
}

/// Asks the shards again and again, for ever.
pub(super) async fn follow(shards: Shards, mut draining: watch::Receiver<bool>, own: watch::Sender<Member>) {
    let mut load = Load::default();
    let mut ticks = tokio::time::interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Ok(()) = draining.changed() => {}
        }
        let draining = *draining.borrow_and_update();
        match shards.statistics().await {
            Ok(statistics) => {
                load.measure(Instant::now(), statistics.iter().map(|shard| shard.counters.put_bytes).sum());
                own.send_modify(|member| describe(member, &statistics, draining, load.bytes_per_s));
            }
            // The node stops.
            Err(why) => return tracing::debug!(%why, "the shards are not asked any more"),
        }
    }
}

fn describe(member: &mut Member, shards: &[ShardStatistics], draining: bool, load_bytes_per_s: u64) {
    member.capacity_bytes = shards.iter().map(|shard| shard.store.capacity_bytes).sum();
    member.live_bytes = shards.iter().map(|shard| shard.store.live_bytes).sum();
    member.load_bytes_per_s = load_bytes_per_s;
    member.draining = draining;
    member.health = match shards {
        _ if shards.iter().any(|shard| shard.failed.is_some()) => Health::Failed,
        _ if shards.iter().any(|shard| shard.full.is_some()) => Health::Full,
        _ => Health::Serving,
    };
}

/// Whether others should hear at once what became of `said`. Small changes of numbers wait for the next time.
pub(super) fn is_news(said: &Member, now: &Member) -> bool {
    let live = said.live_bytes.abs_diff(now.live_bytes) > now.capacity_bytes / LIVE_PARTS;
    let (less, more) =
        (said.load_bytes_per_s.min(now.load_bytes_per_s), said.load_bytes_per_s.max(now.load_bytes_per_s));
    let load = more > 2 * less.max(LOAD_BYTES_PER_S_MIN);
    let (said, now) = (without_numbers(said), without_numbers(now));
    live || load || said != now
}

fn without_numbers(member: &Member) -> Member {
    // Which start it was said by does not change what it says.
    Member { live_bytes: 0, load_bytes_per_s: 0, incarnation: 0, ..member.clone() }
}

/// Bytes per second, smoothed.
#[derive(Debug, Default)]
struct Load {
    last: Option<(Instant, u64)>,
    bytes_per_s: u64,
}

impl Load {
    fn measure(&mut self, now: Instant, bytes: u64) {
        if let Some((at, before)) = self.last {
            let ms = (now.duration_since(at).as_millis() as u64).max(1);
            let rate = bytes.saturating_sub(before).saturating_mul(1000) / ms;
            self.bytes_per_s = ((LOAD_PARTS - 1) * self.bytes_per_s + rate) / LOAD_PARTS;
        }
        self.last = Some((now, bytes));
    }
}

/// The node's list when nobody gossips: itself, whenever that is news.
pub(super) async fn publish_alone(mut own: watch::Receiver<Member>, publisher: Arc<super::publishing::Publisher>) {
    let mut said: Option<Member> = None;
    loop {
        let now = own.borrow_and_update().clone();
        if said.as_ref().is_none_or(|said| is_news(said, &now)) {
            publisher.publish(vec![now.clone()]);
            said = Some(now);
        }
        if own.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(live_bytes: u64, load_bytes_per_s: u64) -> Member {
        Member { capacity_bytes: 1000 << 20, live_bytes: live_bytes << 20, load_bytes_per_s, ..Member::default() }
    }

    #[test]
    fn small_changes_are_no_news() {
        let said = member(500, 10 << 20);
        for (now, news) in [
            (member(500, 10 << 20), false),
            (member(519, 10 << 20), false),
            (member(481, 19 << 20), false),
            (member(521, 10 << 20), true),
            (member(479, 10 << 20), true),
            (member(500, 21 << 20), true),
            (member(500, 4 << 20), true),
            (Member { draining: true, ..said.clone() }, true),
            (Member { health: Health::Full, ..said.clone() }, true),
            (Member { incarnation: 7, ..said.clone() }, false),
        ] {
            assert_eq!(is_news(&said, &now), news, "{now:?}");
        }
        assert!(!is_news(&member(1, 0), &member(1, 2 << 20)), "hardly any load is none");
    }

    #[test]
    fn a_load_follows_what_is_put_and_forgets_it() {
        let (mut load, start) = (Load::default(), Instant::now());
        for second in 0..60 {
            load.measure(start + Duration::from_secs(second), second * 1000);
        }
        assert!((990..=1000).contains(&load.bytes_per_s), "{}", load.bytes_per_s);
        load.measure(start + Duration::from_mins(1), 0);
        assert!(load.bytes_per_s < 900, "a counter that fell is no load");
        for second in 61..160 {
            load.measure(start + Duration::from_secs(second), 0);
        }
        assert!(load.bytes_per_s < 1, "{}", load.bytes_per_s);
    }

    #[test]
    fn one_bad_shard_makes_a_bad_node() {
        let shard = |failed: bool, full: bool| ShardStatistics {
            failed: failed.then(|| "broken".to_owned()),
            full: full.then_some((9, 10)),
            ..ShardStatistics::default()
        };
        let health = |shards: &[ShardStatistics]| {
            let mut member = Member::default();
            describe(&mut member, shards, false, 0);
            member.health
        };
        assert_eq!(health(&[shard(false, false), shard(false, false)]), Health::Serving);
        assert_eq!(health(&[shard(false, false), shard(false, true)]), Health::Full);
        assert_eq!(health(&[shard(false, true), shard(true, false)]), Health::Failed);
    }
}
