//! Making a connection: reach the node, say hello, find the shard that has the disk, and prove it again there.

use super::bounds::{CONNECT_TIMEOUT, HELLO_TIMEOUT};
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{FRAME_HEADER_BYTES, MEMBERS_MAX};
use quarry_protocol::member::Member;
use quarry_protocol::message::{NodeInfo, Refusal, Reply, Request, ShardAddress};
use quarry_protocol::record::ReplicaRef;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a client calls the cluster of nodes that it knows from records only: a record names the disk, and the disk is what
/// counts (P14). No cluster has this name.
pub const ANY_CLUSTER: &str = "";

/// A connection to the shard that has the disk.
pub(super) struct Connected {
    pub(super) stream: TcpStream,
    /// The identity in force there. Another one than the link's if that one is retired.
    pub(super) current: DiskId,
}

/// Connects to the shard that has `replica`'s disk, at the first of `addresses` that has it. The error says what was tried
/// and what to do.
pub(super) async fn connect(replica: &ReplicaRef, addresses: &[String], cluster: &str) -> Result<Connected, String> {
    let mut failures = Vec::new();
    for address in addresses {
        match connect_at(replica, address, cluster).await {
            Ok(connected) => return Ok(connected),
            Err(why) if addresses.len() == 1 => return Err(why),
            Err(why) => failures.push(format!("{address}: {why}")),
        }
    }
    Err(failures.join("; "))
}

async fn connect_at(replica: &ReplicaRef, at: &str, cluster: &str) -> Result<Connected, String> {
    let (stream, info) = greet_any(at, cluster).await?;
    let index = shard_with(&info, replica.disk).ok_or_else(|| replaced(replica, at, &info))?;
    if index == usize::from(info.shard) {
        return Ok(Connected { stream, current: info.shards[index].disk });
    }
    // The host the client reached, not the one the node advertises: only the port differs among shards.
    let address = format!("{}:{}", host_of(at)?, info.shards[index].port);
    let (stream, info) = greet(&address, &info.cluster).await?;
    let here = &info.shards[usize::from(info.shard)];
    if has(here, replica.disk) {
        return Ok(Connected { stream, current: here.disk });
    }
    Err(replaced(replica, at, &info))
}

/// Who a node is, and whom it knows.
pub(crate) struct Introduction {
    pub(crate) info: NodeInfo,
    /// Empty if it did not say.
    pub(crate) members: Vec<Member>,
}

/// Asks the node at `address` who it is and whom it knows, over a connection of its own.
pub(crate) async fn introduction(address: &str, cluster: &str) -> Result<Introduction, String> {
    let (mut stream, info) = greet(address, cluster).await?;
    // That it lives is worth more than whom it knows.
    let members = within(HELLO_TIMEOUT, "members", members(&mut stream, info.shards[0].disk)).await;
    Ok(Introduction { info, members: members.unwrap_or_default() })
}

async fn members(stream: &mut TcpStream, disk: DiskId) -> io::Result<Vec<Member>> {
    let (mut members, mut after): (Vec<Member>, Option<DiskId>) = (Vec::new(), None);
    loop {
        match exchange(stream, disk, &Request::Members { after }).await? {
            Reply::Members { members: page, more, .. } => {
                let last = page.last().map(|member| member.node);
                members.extend(page);
                if !more || last <= after || members.len() > MEMBERS_MAX {
                    return Ok(members);
                }
                after = last;
            }
            other => return Err(io::Error::other(format!("{other:?} instead of members"))),
        }
    }
}

fn shard_with(info: &NodeInfo, disk: DiskId) -> Option<usize> {
    info.shards.iter().position(|shard| has(shard, disk))
}

fn has(shard: &ShardAddress, disk: DiskId) -> bool {
    shard.disk == disk || shard.retired.contains(&disk)
}

fn replaced(replica: &ReplicaRef, at: &str, info: &NodeInfo) -> String {
    let here: Vec<String> = info.shards.iter().map(|shard| shard.disk.to_string()).collect();
    format!(
        "disk replaced: disk {} is not at {} any more, which has {}; it was replaced or re-formatted, or the address now belongs to \
         another node",
        replica.disk,
        at,
        here.join(", ")
    )
}

fn host_of(address: &str) -> Result<&str, String> {
    address.rsplit_once(':').map(|(host, _)| host).ok_or_else(|| format!("{address:?} is not host:port"))
}

/// Connects and says hello; refuses a node of another cluster.
async fn greet(address: &str, cluster: &str) -> Result<(TcpStream, NodeInfo), String> {
    greet_in(address, cluster).await.map_err(|refused| refused.why)
}

/// As [`greet`]; for [`ANY_CLUSTER`], whatever cluster the node belongs to.
async fn greet_any(address: &str, cluster: &str) -> Result<(TcpStream, NodeInfo), String> {
    match greet_in(address, cluster).await {
        Err(Ungreeted { cluster: Some(here), .. }) if cluster == ANY_CLUSTER => greet(address, &here).await,
        done => done.map_err(|refused| refused.why),
    }
}

/// Why a node did not answer a hello as hoped.
struct Ungreeted {
    why: String,
    /// The cluster that it belongs to, if that is why.
    cluster: Option<String>,
}

impl From<String> for Ungreeted {
    fn from(why: String) -> Self {
        Self { why, cluster: None }
    }
}

async fn greet_in(address: &str, cluster: &str) -> Result<(TcpStream, NodeInfo), Ungreeted> {
    let mut stream = within(CONNECT_TIMEOUT, "connect", TcpStream::connect(address)).await?;
    // On one machine a connection to a port that nobody listens on can be given that very port, and reach itself. Let go of
    // it at once: the node that comes back needs it.
    if stream.local_addr().ok() == stream.peer_addr().ok() {
        return Err("connect: nobody listens there".to_owned().into());
    }
    // Frames are written whole; waiting for more would only add latency.
    stream.set_nodelay(true).map_err(|why| format!("TCP_NODELAY: {why}"))?;
    let hello = Request::Hello { cluster: cluster.to_owned() };
    let reply = within(HELLO_TIMEOUT, "hello", exchange(&mut stream, DiskId::ZERO, &hello)).await?;
    match reply {
        Reply::Hello(info) if info.cluster != cluster => {
            Err(format!("it belongs to cluster {:?}, not {cluster:?}: check the store URL", info.cluster).into())
        }
        Reply::Hello(info) if info.shards.is_empty() => {
            Err("it says that it has no shard: it breaks the protocol".to_owned().into())
        }
        Reply::Hello(info) => Ok((stream, info)),
        Reply::Refused(Refusal::WrongCluster { asked, here }) => {
            let why = Refusal::WrongCluster { asked, here: here.clone() }.to_string();
            Err(Ungreeted { why, cluster: Some(here) })
        }
        Reply::Refused(why) => Err(why.to_string().into()),
        other => Err(format!("it answered a hello with {other:?}: it breaks the protocol").into()),
    }
}

async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match timeout(limit, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(why)) => Err(format!("{what}: {why}")),
        Err(_) => Err(format!("{what}: no answer within {} ms", limit.as_millis())),
    }
}

async fn exchange(stream: &mut TcpStream, disk: DiskId, request: &Request) -> io::Result<Reply> {
    let body = request.encode();
    let mut request = FrameHeader::control(FrameKind::Request, 0, disk, &body).encode().to_vec();
    request.extend_from_slice(&body);
    stream.write_all(&request).await?;
    let mut header = [0; FRAME_HEADER_BYTES];
    stream.read_exact(&mut header).await?;
    let header = FrameHeader::decode(&header).map_err(io::Error::other)?;
    if header.kind != FrameKind::Reply || header.request_id != 0 {
        return Err(io::Error::other(format!("a {:?} frame instead of an answer", header.kind)));
    }
    let mut body = vec![0; header.body_bytes as usize];
    stream.read_exact(&mut body).await?;
    header.verify_body(&body).map_err(io::Error::other)?;
    Reply::decode(&body).map_err(io::Error::other)
}
