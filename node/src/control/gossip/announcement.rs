//! What a node says of itself, in one piece that others pass on unread: a version number tells the newest.

use super::bytes_in::{Short, Taking};
use super::codec::{self, CodecError};
use super::identity::GossipId;
use bytes::BufMut;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::SHARDS_MAX;
use quarry_protocol::member::{Health, Member, MemberShard};

const FORMAT: u8 = 1;

/// One node's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    /// Who says it.
    pub(super) id: GossipId,
    /// Rises with everything this start of the node says.
    pub(super) version: u64,
    /// What it says. What others find out (whether it lives, what is wrong) is not part of it.
    pub(super) member: Member,
}

/// Why bytes are not an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnnouncementError {
    #[error("an announcement ends too early")]
    Short,
    #[error("an announcement of format {0}, this node knows {FORMAT}: do not mix these versions")]
    Format(u8),
    #[error("{0} in an announcement is not what it must be")]
    Value(&'static str),
    #[error("an announcement has {0} bytes too many")]
    Long(usize),
}

impl From<Short> for AnnouncementError {
    fn from(Short: Short) -> Self {
        Self::Short
    }
}

impl From<CodecError> for AnnouncementError {
    fn from(why: CodecError) -> Self {
        if why == CodecError::Short { Self::Short } else { Self::Value("the address") }
    }
}

impl Announcement {
    pub(super) fn encode(&self) -> Vec<u8> {
        assert!(self.member.is_bounded(), "a description beyond its bounds: {:?}", self.member);
        let member = &self.member;
        let mut bytes = vec![FORMAT];
        codec::put_id(&mut bytes, &self.id);
        bytes.put_u64(self.version);
        for text in [&member.zone, &member.rack, &member.advertise, &member.control] {
            bytes.put_u8(text.len() as u8);
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.put_u8(member.shards.len() as u8);
        for shard in &member.shards {
            bytes.extend_from_slice(&shard.disk.0);
            bytes.put_u16(shard.port);
        }
        for number in [member.capacity_bytes, member.live_bytes, member.load_bytes_per_s] {
            bytes.put_u64(number);
        }
        bytes.put_u8(member.health as u8);
        bytes.put_u8(u8::from(member.draining));
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, AnnouncementError> {
        let mut taking = Taking(bytes);
        let format = taking.u8()?;
        if format != FORMAT {
            return Err(AnnouncementError::Format(format));
        }
        let id = codec::id(&mut taking)?;
        let version = taking.u64()?;
        let mut text = || String::from_utf8(taking.counted()?).map_err(|_| AnnouncementError::Value("a text"));
        let (zone, rack, advertise, control) = (text()?, text()?, text()?, text()?);
        let mut shards = Vec::new();
        for _ in 0..taking.u8()? {
            shards.push(MemberShard { disk: DiskId(taking.array()?), port: taking.u16()? });
        }
        let (capacity_bytes, live_bytes, load_bytes_per_s) = (taking.u64()?, taking.u64()?, taking.u64()?);
        let health = match taking.u8()? {
            0 => Health::Serving,
            1 => Health::Full,
            2 => Health::Failed,
            _ => return Err(AnnouncementError::Value("the health")),
        };
        let draining = match taking.u8()? {
            0 => false,
            1 => true,
            _ => return Err(AnnouncementError::Value("the draining flag")),
        };
        let member = Member {
            node: id.node,
            incarnation: id.incarnation,
            zone,
            rack,
            advertise,
            control,
            shards,
            capacity_bytes,
            live_bytes,
            load_bytes_per_s,
            health,
            draining,
            ..Member::default()
        };
        match taking.0.len() {
            0 if member.is_bounded() && !member.shards.is_empty() => Ok(Self { id, version, member }),
            0 => Err(AnnouncementError::Value("a size")),
            left => Err(AnnouncementError::Long(left)),
        }
    }
}

const _: () = assert!(SHARDS_MAX <= u8::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::gossip::seal::PLAIN_BYTES_MAX;
    use proptest::prelude::*;
    use quarry_protocol::limits::{ADDRESS_BYTES_MAX, ZONE_BYTES_MAX};

    fn largest() -> Announcement {
        let id = GossipId { node: DiskId([1; 16]), incarnation: u64::MAX, address: ([0; 16], 1).into() };
        let member = Member {
            node: id.node,
            incarnation: id.incarnation,
            zone: "z".repeat(ZONE_BYTES_MAX),
            rack: "r".repeat(ZONE_BYTES_MAX),
            advertise: "a".repeat(ADDRESS_BYTES_MAX),
            control: "c".repeat(ADDRESS_BYTES_MAX),
            shards: vec![MemberShard { disk: id.node, port: 9 }; SHARDS_MAX],
            capacity_bytes: 3,
            live_bytes: 2,
            load_bytes_per_s: 1,
            health: Health::Failed,
            draining: true,
            ..Member::default()
        };
        Announcement { id, version: 7, member }
    }

    #[test]
    fn the_largest_comes_back_and_fits_beside_a_header() {
        let bytes = largest().encode();
        assert_eq!(Announcement::decode(&bytes), Ok(largest()));
        assert!(bytes.len() < PLAIN_BYTES_MAX / 2, "{} bytes", bytes.len());
        for length in 0..bytes.len() {
            assert!(Announcement::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(Announcement::decode(&[&bytes[..], &[0]].concat()), Err(AnnouncementError::Long(1)));
    }

    #[test]
    fn what_no_node_says_is_refused() {
        let mut zone_too_long = largest();
        zone_too_long.member.zone.clear();
        let good = zone_too_long.encode();
        // The zone's length lies behind the format, the identity and the version.
        let at = 1 + 16 + 8 + 1 + 16 + 2 + 8;
        let mut bytes = good.clone();
        bytes.splice(at..=at, [&[64][..], &[b'z'; 64]].concat());
        assert_eq!(Announcement::decode(&bytes), Err(AnnouncementError::Value("a size")));
        bytes.clone_from(&good);
        bytes.splice(at..=at, [1, 0xff]);
        assert_eq!(Announcement::decode(&bytes), Err(AnnouncementError::Value("a text")));
        for (from_end, why) in [(1, "the draining flag"), (2, "the health")] {
            bytes.clone_from(&good);
            let at = bytes.len() - from_end;
            bytes[at] = 9;
            assert_eq!(Announcement::decode(&bytes), Err(AnnouncementError::Value(why)));
        }
        let mut without_shards = largest();
        without_shards.member.shards.clear();
        assert_eq!(Announcement::decode(&without_shards.encode()), Err(AnnouncementError::Value("a size")));
    }

    proptest! {
        #[test]
        fn random_bytes_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..300), start in 0..2_u8) {
            if start == 1 && !bytes.is_empty() {
                bytes[0] = FORMAT;
            }
            let _ = Announcement::decode(&bytes);
        }
    }
}
