//! Bytes of what foca says. Every field has a fixed size, so that a datagram bounds what it can hold.

use super::bytes_in::{Short, Taking};
use super::identity::GossipId;
use bytes::{Buf, BufMut};
use foca::{Codec, Header, Member, Message, State};
use std::net::{IpAddr, SocketAddr};

/// Largest identity.
const ID_BYTES_MAX: usize = 16 + 8 + 1 + 16 + 2;
const MEMBER_BYTES_MAX: usize = ID_BYTES_MAX + 2 + 1;

/// Why bytes are not what foca says, or do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodecError {
    #[error("it ends too early")]
    Short,
    #[error("unknown kind {0}")]
    Kind(u8),
    #[error("the datagram is full")]
    Full,
}

impl From<Short> for CodecError {
    fn from(Short: Short) -> Self {
        Self::Short
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct GossipCodec;

impl Codec<GossipId> for GossipCodec {
    type Error = CodecError;

    fn encode_header(&mut self, header: &Header<GossipId>, mut buf: impl BufMut) -> Result<(), CodecError> {
        let mut bytes = Vec::with_capacity(4 * ID_BYTES_MAX);
        put_id(&mut bytes, &header.src);
        bytes.put_u16(header.src_incarnation);
        put_id(&mut bytes, &header.dst);
        put_message(&mut bytes, &header.message);
        put_whole(&mut buf, &bytes)
    }

    fn decode_header(&mut self, buf: impl Buf) -> Result<Header<GossipId>, CodecError> {
        let mut taking = Taking(buf);
        let src = id(&mut taking)?;
        let src_incarnation = taking.u16()?;
        let dst = id(&mut taking)?;
        Ok(Header { src, src_incarnation, dst, message: message(&mut taking)? })
    }

    fn encode_member(&mut self, member: &Member<GossipId>, mut buf: impl BufMut) -> Result<(), CodecError> {
        let mut bytes = Vec::with_capacity(MEMBER_BYTES_MAX);
        put_id(&mut bytes, member.id());
        bytes.put_u16(member.incarnation());
        bytes.put_u8(match member.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        });
        put_whole(&mut buf, &bytes)
    }

    fn decode_member(&mut self, buf: impl Buf) -> Result<Member<GossipId>, CodecError> {
        let mut taking = Taking(buf);
        let id = id(&mut taking)?;
        let incarnation = taking.u16()?;
        let state = match taking.u8()? {
            0 => State::Alive,
            1 => State::Suspect,
            2 => State::Down,
            kind => return Err(CodecError::Kind(kind)),
        };
        Ok(Member::new(id, incarnation, state))
    }
}

/// All or nothing: foca goes on with a buffer into which something did not fit.
fn put_whole(buf: &mut impl BufMut, bytes: &[u8]) -> Result<(), CodecError> {
    if buf.remaining_mut() < bytes.len() {
        return Err(CodecError::Full);
    }
    buf.put_slice(bytes);
    Ok(())
}

pub(super) fn put_id(bytes: &mut Vec<u8>, id: &GossipId) {
    bytes.extend_from_slice(&id.node.0);
    bytes.put_u64(id.incarnation);
    match id.address.ip() {
        IpAddr::V4(v4) => {
            bytes.put_u8(4);
            bytes.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            bytes.put_u8(6);
            bytes.extend_from_slice(&v6.octets());
        }
    }
    bytes.put_u16(id.address.port());
}

pub(super) fn id(taking: &mut Taking<impl Buf>) -> Result<GossipId, CodecError> {
    let node = quarry_protocol::ids::DiskId(taking.array()?);
    let incarnation = taking.u64()?;
    let ip = match taking.u8()? {
        4 => IpAddr::from(taking.array::<4>()?),
        6 => IpAddr::from(taking.array::<16>()?),
        kind => return Err(CodecError::Kind(kind)),
    };
    Ok(GossipId { node, incarnation, address: SocketAddr::new(ip, taking.u16()?) })
}

fn put_message(bytes: &mut Vec<u8>, message: &Message<GossipId>) {
    let mut indirect = |kind: u8, who: &GossipId, probe: u8| {
        bytes.put_slice(&[kind, probe]);
        put_id(bytes, who);
    };
    match message {
        Message::PingReq { target, probe_number } => indirect(2, target, *probe_number),
        Message::IndirectPing { origin, probe_number } => indirect(3, origin, *probe_number),
        Message::IndirectAck { target, probe_number } => indirect(4, target, *probe_number),
        Message::ForwardedAck { origin, probe_number } => indirect(5, origin, *probe_number),
        Message::Ping(probe) => bytes.put_slice(&[0, *probe]),
        Message::Ack(probe) => bytes.put_slice(&[1, *probe]),
        Message::Announce => bytes.put_u8(6),
        Message::Feed => bytes.put_u8(7),
        Message::Gossip => bytes.put_u8(8),
        Message::Broadcast => bytes.put_u8(9),
        Message::TurnUndead => bytes.put_u8(10),
    }
}

fn message(taking: &mut Taking<impl Buf>) -> Result<Message<GossipId>, CodecError> {
    let kind = taking.u8()?;
    Ok(match kind {
        0 => Message::Ping(taking.u8()?),
        1 => Message::Ack(taking.u8()?),
        2..=5 => {
            let probe_number = taking.u8()?;
            let who = id(taking)?;
            match kind {
                2 => Message::PingReq { target: who, probe_number },
                3 => Message::IndirectPing { origin: who, probe_number },
                4 => Message::IndirectAck { target: who, probe_number },
                _ => Message::ForwardedAck { origin: who, probe_number },
            }
        }
        6 => Message::Announce,
        7 => Message::Feed,
        8 => Message::Gossip,
        9 => Message::Broadcast,
        10 => Message::TurnUndead,
        kind => return Err(CodecError::Kind(kind)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quarry_protocol::ids::DiskId;

    fn ids() -> impl Strategy<Value = GossipId> {
        let address = any::<(std::net::IpAddr, u16)>().prop_map(|(ip, port)| SocketAddr::new(ip, port));
        (any::<([u8; 16], u64)>(), address).prop_map(|((node, incarnation), address)| GossipId {
            node: DiskId(node),
            incarnation,
            address,
        })
    }

    fn messages() -> impl Strategy<Value = Message<GossipId>> {
        (0..11_u8, any::<u8>(), ids()).prop_map(|(kind, probe_number, who)| match kind {
            0 => Message::Ping(probe_number),
            1 => Message::Ack(probe_number),
            2 => Message::PingReq { target: who, probe_number },
            3 => Message::IndirectPing { origin: who, probe_number },
            4 => Message::IndirectAck { target: who, probe_number },
            5 => Message::ForwardedAck { origin: who, probe_number },
            6 => Message::Announce,
            7 => Message::Feed,
            8 => Message::Gossip,
            9 => Message::Broadcast,
            _ => Message::TurnUndead,
        })
    }

    proptest! {
        #[test]
        fn headers_and_members_come_back(src in ids(), dst in ids(), message in messages(), n: u16, state in 0..3_usize) {
            let header = Header { src, src_incarnation: n, dst, message };
            let mut bytes = Vec::new();
            GossipCodec.encode_header(&header, &mut bytes).expect("room");
            let state = [State::Alive, State::Suspect, State::Down][state];
            let member = Member::new(dst, n, state);
            GossipCodec.encode_member(&member, &mut bytes).expect("room");
            let mut rest = &bytes[..];
            prop_assert_eq!(GossipCodec.decode_header(&mut rest), Ok(header));
            prop_assert_eq!(GossipCodec.decode_member(&mut rest), Ok(member.clone()));
            prop_assert!(rest.is_empty());
            for length in 0..bytes.len() {
                let mut short = &bytes[..length];
                let both = GossipCodec.decode_header(&mut short).and_then(|_| GossipCodec.decode_member(&mut short));
                prop_assert!(both.is_err(), "{} of {} bytes", length, bytes.len());
            }
            let mut small = [0; 10];
            prop_assert_eq!(GossipCodec.encode_member(&member, &mut small[..]), Err(CodecError::Full));
            prop_assert_eq!(small, [0; 10]);
        }

        #[test]
        fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = GossipCodec.decode_header(&bytes[..]);
            let _ = GossipCodec.decode_member(&bytes[..]);
        }
    }
}
