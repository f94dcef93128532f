//! A register in etcd.
//!
//! ```text
//! PREFIX/quarry-register   that this is a register, and which
//! PREFIX/logs/NAME         one record per log, as JSON
//! ```
//! Every read and every change is one transaction, linearizable, that looks at the marker, too: absence is believed, and
//! a record made, only in the register that was opened (P13). The version of a record is the revision of its last change,
//! which etcd compares; revisions of one etcd only rise. One that was restored from a backup goes back behind what it told:
//! stop every writer first.
//!
//! A change that was sent and not answered is ambiguous, and is not sent again.

mod answers;
mod link;
mod place;

pub use place::EtcdPlace;
pub(super) use place::FORM;

use super::{Register, RegisterError, SwapError, encode, marker, named};
use async_trait::async_trait;
use link::{Change, Link};
use proto::compare::{CompareTarget, TargetUnion};
use proto::request_op::Request;
use proto::response_op::Response;
use proto::{Compare, KeyValue, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse};
use quarry_protocol::record::{LogRecord, Version};
use std::sync::Arc;

#[allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated; documented in proto/etcd.proto")]
mod proto {
    tonic::include_proto!("etcdserverpb");
}

/// How many names one request lists.
const PAGE_NAMES: i64 = 1000;
/// How often a marker is tried to be made.
const MARK_ATTEMPTS_MAX: u32 = 5;

/// See the module.
#[derive(Clone, Debug)]
pub struct EtcdRegister {
    link: Arc<Link>,
    prefix: String,
    /// The marker that was there when it was opened.
    marker: Vec<u8>,
}

impl EtcdRegister {
    /// Opens the register at `place`, or makes one there if there is none. The password goes with the place's user.
    pub async fn open(place: EtcdPlace, password: Option<String>) -> Result<Self, RegisterError> {
        let prefix = place.prefix.clone();
        let link = Arc::new(Link::new(place, password).await?);
        let mut register = Self { link, prefix, marker: Vec::new() };
        register.marker = register.find_or_mark().await?;
        Ok(register)
    }

    /// The marker, made if nothing is there at all.
    async fn find_or_mark(&self) -> Result<Vec<u8>, RegisterError> {
        let mut last = String::new();
        for _ in 0..MARK_ATTEMPTS_MAX {
            let first = RangeRequest { limit: 1, keys_only: true, ..self.below("") };
            let found = self.link.ask(&both(get(self.marker_key()), first)).await?;
            if let Some(marker) = value(&found, 0) {
                marker::check(&marker.value).map_err(|why| self.link.unusable(why))?;
                return Ok(marker.value.clone());
            }
            if value(&found, 1).is_some() {
                return Err(self.link.unusable(marker::UNMARKED.to_owned()));
            }
            // Whatever it says, what is there then counts: somebody else may have come first.
            match self.link.change(&self.marking(marker::fresh().into_bytes())).await {
                Err(Change::Not(why)) => return Err(why),
                Err(Change::Unknown(why)) => last = why,
                Ok(_) => "the mark that was made is not there".clone_into(&mut last),
            }
        }
        Err(self.link.failed(last))
    }

    fn marking(&self, marker: Vec<u8>) -> TxnRequest {
        let absent = revision_is(self.marker_key(), 0);
        TxnRequest { compare: vec![absent], success: vec![put(self.marker_key(), marker)], failure: Vec::new() }
    }

    fn marker_key(&self) -> Vec<u8> {
        format!("{}/{}", self.prefix, marker::MARKER).into_bytes()
    }

    fn key_of(&self, name: &str) -> Vec<u8> {
        format!("{}/logs/{name}", self.prefix).into_bytes()
    }

    /// The keys of all names that begin with `prefix`.
    fn below(&self, prefix: &str) -> RangeRequest {
        let key = self.key_of(prefix);
        let mut range_end = key.clone();
        // Text has no byte 255, so the last byte can be raised.
        *range_end.last_mut().expect("it has a prefix") += 1;
        RangeRequest { key, range_end, ..RangeRequest::default() }
    }

    /// That the answer comes from the register that was opened.
    fn check(&self, answer: &TxnResponse) -> Result<(), RegisterError> {
        match value(answer, 0) {
            Some(marker) if marker.value == self.marker => Ok(()),
            _ => Err(self.link.unusable(marker::GONE.to_owned())),
        }
    }
}

#[async_trait]
impl Register for EtcdRegister {
    async fn read(&self, name: &str) -> Result<Option<(Version, LogRecord)>, RegisterError> {
        named(name)?;
        let answer = self.link.ask(&both(get(self.marker_key()), get(self.key_of(name)))).await?;
        self.check(&answer)?;
        let Some(stored) = value(&answer, 1) else { return Ok(None) };
        let record = LogRecord::decode(name, &stored.value)?;
        Ok(Some((version_of(stored.mod_revision), record)))
    }

    async fn compare_and_swap(&self, expected: Option<&Version>, record: &LogRecord) -> Result<Version, SwapError> {
        let json = encode(record)?;
        let revision = match expected {
            None => 0,
            // What no read gave is not there.
            Some(version) => revision_of(version).ok_or(SwapError::Conflict)?,
        };
        let key = self.key_of(&record.name);
        let request = TxnRequest {
            compare: vec![value_is(self.marker_key(), self.marker.clone()), revision_is(key.clone(), revision)],
            success: vec![put(key, json)],
            failure: vec![range(get(self.marker_key()))],
        };
        match self.link.change(&request).await {
            Ok(answer) if answer.succeeded => {
                let header = answer.header.ok_or_else(|| ambiguous("etcd's answer has no header".to_owned()))?;
                Ok(version_of(header.revision))
            }
            Ok(answer) => {
                self.check(&answer)?;
                Err(SwapError::Conflict)
            }
            Err(Change::Not(why)) => Err(SwapError::Failed(why)),
            Err(Change::Unknown(why)) => Err(ambiguous(why)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, RegisterError> {
        let start = self.key_of("").len();
        let mut page = RangeRequest { limit: PAGE_NAMES, keys_only: true, ..self.below(prefix) };
        let mut names = Vec::new();
        loop {
            let answer = self.link.ask(&both(get(self.marker_key()), page.clone())).await?;
            self.check(&answer)?;
            let Some(Response::ResponseRange(found)) = answer.responses.get(1).and_then(|op| op.response.as_ref())
            else {
                return Err(self.link.unusable("etcd's answer has no list".to_owned()));
            };
            // What is no text is no name: a person put it there.
            names.extend(found.kvs.iter().filter_map(|kv| String::from_utf8(kv.key[start..].to_vec()).ok()));
            match found.kvs.last() {
                Some(last) if found.more => page.key = [&last.key[..], &[0]].concat(),
                _ => return Ok(names),
            }
        }
    }
}

fn ambiguous(why: String) -> SwapError {
    SwapError::Ambiguous { why }
}

fn version_of(revision: i64) -> Version {
    Version(revision.to_be_bytes().to_vec())
}

/// Never zero, which etcd takes for "not there".
fn revision_of(version: &Version) -> Option<i64> {
    Some(i64::from_be_bytes(version.0.as_slice().try_into().ok()?)).filter(|revision| *revision > 0)
}

fn get(key: Vec<u8>) -> RangeRequest {
    RangeRequest { key, ..RangeRequest::default() }
}

fn range(request: RangeRequest) -> RequestOp {
    RequestOp { request: Some(Request::RequestRange(request)) }
}

fn put(key: Vec<u8>, value: Vec<u8>) -> RequestOp {
    RequestOp { request: Some(Request::RequestPut(PutRequest { key, value })) }
}

/// Two looks at one revision.
fn both(first: RangeRequest, second: RangeRequest) -> TxnRequest {
    TxnRequest { compare: Vec::new(), success: vec![range(first), range(second)], failure: Vec::new() }
}

fn revision_is(key: Vec<u8>, revision: i64) -> Compare {
    compare(key, CompareTarget::Mod, TargetUnion::ModRevision(revision))
}

fn value_is(key: Vec<u8>, value: Vec<u8>) -> Compare {
    compare(key, CompareTarget::Value, TargetUnion::Value(value))
}

fn compare(key: Vec<u8>, target: CompareTarget, than: TargetUnion) -> Compare {
    Compare { target: target.into(), key, target_union: Some(than), ..Compare::default() }
}

/// The first key that the `index`th look of an answer found.
fn value(answer: &TxnResponse, index: usize) -> Option<&KeyValue> {
    match answer.responses.get(index)?.response.as_ref()? {
        Response::ResponseRange(found) => found.kvs.first(),
        Response::ResponsePut(_) => None,
    }
}
