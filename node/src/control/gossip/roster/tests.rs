//! Histories of announcements, heard in every odd order.

use super::*;
use quarry_protocol::member::MemberShard;

const TWIN_US: u64 = 5_000_000;
const FORGET_US: u64 = 3_600_000_000;

fn roster() -> Roster {
    Roster::new(TWIN_US, FORGET_US)
}

fn said(node: u8, incarnation: u64, port: u16, version: u64, zone: &str) -> Announcement {
    let id = GossipId { node: DiskId([node; 16]), incarnation, address: ([127, 0, 0, 1], port).into() };
    let member = Member {
        node: id.node,
        incarnation,
        zone: zone.to_owned(),
        advertise: format!("host:{port}"),
        shards: vec![MemberShard { disk: id.node, port }],
        live_bytes: version,
        ..Member::default()
    };
    Announcement { id, version, member }
}

fn at(seconds: u64) -> Micros {
    Micros(seconds * 1_000_000)
}

fn alive(ids: &[&Announcement]) -> Vec<(GossipId, Liveness)> {
    ids.iter().map(|said| (said.id, Liveness::Alive)).collect()
}

fn only(roster: &Roster) -> Member {
    let mut members = roster.members();
    assert_eq!(members.len(), 1, "{members:?}");
    members.remove(0)
}

#[test]
fn the_newest_words_win_in_any_order() {
    let words = [said(1, 5, 1, 1, "a"), said(1, 5, 1, 2, "a"), said(1, 6, 1, 1, "a")];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        let mut roster = roster();
        let mut best = None;
        for index in order {
            let expected = if best.is_none_or(|best| best < index) { Heard::New } else { Heard::Old };
            assert_eq!(roster.hear(at(1), &words[index]), expected, "{order:?}");
            best = best.max(Some(index));
        }
        assert_eq!(roster.hear(at(2), &words[2]), Heard::Old, "again");
        roster.living(at(2), &alive(&[&words[2]]));
        let member = only(&roster);
        assert_eq!((member.incarnation, member.liveness, member.trouble.as_str()), (6, Liveness::Alive, ""));
    }
}

#[test]
fn last_words_do_not_revive_the_dead_and_the_dead_are_forgotten() {
    let mut roster = roster();
    let words = said(1, 5, 1, 1, "a");
    roster.hear(at(1), &words);
    assert_eq!(only(&roster).liveness, Liveness::Down, "foca has not seen it");
    roster.living(at(2), &alive(&[&words]));
    assert_eq!(only(&roster).liveness, Liveness::Alive);
    roster.living(at(3), &[]);
    assert_eq!(only(&roster).liveness, Liveness::Down);
    roster.hear(at(4), &said(1, 5, 1, 2, "a"));
    assert_eq!(only(&roster).liveness, Liveness::Down);
    roster.living(at(3).plus(FORGET_US), &[]);
    assert!(roster.members().is_empty());
}

/// A node that lies about its zone: the first one heard for its disk counts, whatever it calls itself.
#[test]
fn a_zone_never_changes() {
    let mut roster = roster();
    roster.hear(at(1), &said(1, 5, 1, 1, "a"));
    let Heard::Refused(why) = roster.hear(at(2), &said(1, 6, 1, 1, "b")) else { panic!("believed") };
    assert!(why.contains("\"b\"") && why.contains("\"a\"") && why.contains("host:1"), "{why}");
    let member = only(&roster);
    assert_eq!(member.zone, "a");
    assert!(member.trouble.contains("claims zone \"b\""), "{}", member.trouble);
    // Another node that lists the disk among its own does not move it either.
    let mut thief = said(2, 1, 2, 1, "b");
    thief.member.shards.push(MemberShard { disk: DiskId([1; 16]), port: 3 });
    assert!(matches!(roster.hear(at(3), &thief), Heard::Refused(_)));
    assert_eq!(roster.hear(at(4), &said(1, 6, 1, 2, "a")), Heard::New, "it is honest again");
    assert_eq!(only(&roster).trouble, "");
}

/// Two nodes with one identity, both alive, are told from one node that moved.
#[test]
fn twins_are_found_and_a_move_is_not_taken_for_them() {
    let (old, new) = (said(1, 5, 1, 1, "a"), said(1, 6, 2, 1, "a"));
    let mut roster = roster();
    roster.hear(at(1), &old);
    roster.living(at(1), &alive(&[&old]));
    roster.hear(at(10), &new);
    // It moved: foca has not noticed yet that nobody is at the old address, and old words are still on their way.
    roster.living(at(10), &alive(&[&old, &new]));
    roster.hear(at(12), &said(1, 5, 1, 2, "a"));
    let member = only(&roster);
    assert_eq!((member.advertise.as_str(), member.trouble.as_str()), ("host:2", ""));
    // Both speak on.
    for (second, version) in [(16, 3), (18, 4)] {
        roster.hear(at(second), &said(1, 5, 1, version, "a"));
        roster.hear(at(second), &said(1, 6, 2, version, "a"));
        let trouble = only(&roster).trouble;
        assert!(trouble.contains("host:1") && trouble.contains("host:2") && trouble.contains("stop one"), "{trouble}");
    }
    // An operator stops one, whichever.
    for left in [&old, &new] {
        roster.living(at(30), &alive(&[left]));
        let member = only(&roster);
        assert_eq!((&member.advertise, member.trouble.as_str()), (&left.member.advertise, ""));
    }
}

#[test]
fn nodes_and_addresses_are_bounded() {
    let mut roster = roster();
    for port in 1..100 {
        roster.hear(at(1), &said(1, u64::from(port), port, 1, "a"));
        assert!(roster.nodes[&DiskId([1; 16])].voices.len() <= ADDRESSES_MAX);
    }
    assert_eq!(only(&roster).incarnation, 99);
    for number in 1..MEMBERS_MAX {
        let mut words = said(2, 1, 1, 1, "a");
        words.id.node.0[..8].copy_from_slice(&(number as u64).to_be_bytes());
        (words.member.node, words.member.shards[0].disk) = (words.id.node, words.id.node);
        assert_eq!(roster.hear(at(2), &words), Heard::New, "{number}");
    }
    assert!(matches!(roster.hear(at(3), &said(3, 1, 1, 1, "a")), Heard::Refused(_)));
    assert_eq!(roster.members().len(), MEMBERS_MAX);
    let order: Vec<_> = roster.members().iter().map(|member| member.node).collect();
    assert!(order.is_sorted());
}
