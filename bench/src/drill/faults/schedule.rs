//! Which faults happen when: from the seed, within the rule.

use super::FaultKind;
use crate::random::Random;
use std::time::Duration;

/// How often a fault is joined by a second one, in percent.
const OVERLAPS_PERCENT: u64 = 35;

/// A fault that will happen to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::drill) struct Fault {
    pub(in crate::drill) kind: FaultKind,
    /// From 0.
    pub(in crate::drill) node: usize,
    /// How long it lasts.
    pub(in crate::drill) lasts: Duration,
}

/// Faults that overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::drill) struct Blow {
    pub(in crate::drill) first: Fault,
    /// And how much later than the first.
    pub(in crate::drill) second: Option<(Duration, Fault)>,
    /// How long nothing happens afterwards.
    pub(in crate::drill) rest: Duration,
}

impl Blow {
    pub(in crate::drill) fn faults(&self) -> impl Iterator<Item = Fault> {
        std::iter::once(self.first).chain(self.second.map(|(_, fault)| fault))
    }

    /// What its stalls are counted under.
    pub(in crate::drill) fn label(&self, zones: usize) -> String {
        match self.second {
            None => self.first.kind.name().to_owned(),
            Some((_, second)) if second.node % zones == self.first.node % zones => "two in one zone".to_owned(),
            Some(_) => "two in two zones".to_owned(),
        }
    }
}

/// See the module. Every kind happens once before any happens again.
#[derive(Debug)]
pub(in crate::drill) struct Schedule {
    random: Random,
    nodes: usize,
    zones: usize,
    fallible_zone: usize,
    deck: Vec<FaultKind>,
    /// How often the deck was shuffled.
    rounds: u64,
}

impl Schedule {
    /// The schedule of a seed, for nodes that stand in zones in turn.
    pub(in crate::drill) fn new(seed: u64, nodes: usize, zones: usize) -> Self {
        let mut random = Random::new(seed, 0);
        let fallible_zone = random.below(zones as u64) as usize;
        Self { random, nodes, zones, fallible_zone, deck: Vec::new(), rounds: 0 }
    }

    /// The one zone in which disks lose something, from 0.
    pub(in crate::drill) fn fallible_zone(&self) -> usize {
        self.fallible_zone
    }

    /// Whether every kind has happened once at least.
    pub(in crate::drill) fn had_all(&self) -> bool {
        self.rounds > 1 || self.rounds == 1 && self.deck.is_empty()
    }

    pub(in crate::drill) fn next(&mut self) -> Blow {
        let first = self.fault(None);
        let overlaps = first.kind != FaultKind::FullDisk && self.random.percent(OVERLAPS_PERCENT);
        // A full disk comes alone: it lasts as long as the filling takes.
        let second = (overlaps && self.deck.last().is_some_and(|kind| *kind != FaultKind::FullDisk)).then(|| {
            let later = self.random.millis(0, first.lasts.as_millis() as u64);
            (later, self.fault(Some(first.node)))
        });
        let rest = self.random.millis(200, 1200);
        Blow { first, second, rest }
    }

    fn fault(&mut self, other_than: Option<usize>) -> Fault {
        if self.deck.is_empty() {
            self.deck = FaultKind::ALL.to_vec();
            self.random.shuffle(&mut self.deck);
            self.rounds += 1;
        }
        let kind = self.deck.pop().expect("just filled");
        let may = |node: &usize| !kind.loses() || node % self.zones == self.fallible_zone;
        let nodes: Vec<usize> = (0..self.nodes).filter(|node| Some(*node) != other_than).filter(may).collect();
        let node = nodes[self.random.below(nodes.len() as u64) as usize];
        Fault { kind, node, lasts: self.random.millis(300, 2200) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The rule, as the module above spells it.
    #[test]
    fn faults_keep_within_what_must_be_survived() {
        let mut zones_that_lose = BTreeSet::new();
        for seed in 0..50 {
            let mut schedule = Schedule::new(seed, 6, 3);
            let zone = schedule.fallible_zone();
            zones_that_lose.insert(zone);
            let mut pairs = 0;
            for _ in 0..200 {
                let blow = schedule.next();
                let losses = blow.faults().filter(|fault| fault.kind.loses());
                assert!(losses.into_iter().all(|fault| fault.node % 3 == zone), "seed {seed}: {blow:?}");
                if let Some((_, second)) = blow.second {
                    assert_ne!(second.node, blow.first.node, "seed {seed}");
                    assert!(blow.faults().all(|fault| fault.kind != FaultKind::FullDisk), "seed {seed}: {blow:?}");
                    pairs += 1;
                }
            }
            assert!(pairs > 10, "seed {seed}: {pairs}");
        }
        assert_eq!(zones_that_lose.len(), 3);
    }

    #[test]
    fn every_kind_comes_before_any_comes_again_and_the_seed_decides_all() {
        let (mut schedule, mut same) = (Schedule::new(5, 6, 3), Schedule::new(5, 6, 3));
        let mut kinds = Vec::new();
        while !schedule.had_all() {
            let blow = schedule.next();
            assert_eq!(blow, same.next());
            kinds.extend(blow.faults().map(|fault| fault.kind));
        }
        let different: BTreeSet<_> = kinds.iter().collect();
        assert_eq!((different.len(), kinds.len()), (FaultKind::ALL.len(), FaultKind::ALL.len()));
    }
}
