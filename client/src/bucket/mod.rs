//! Buckets of object stores, and directories, as replicas (DESIGN 3.3).
//!
//! ```text
//!  writer, recovery, reader, trim        the same code as over storage nodes
//!      │
//!      ▼
//!  BucketLink ──► LogDriver ──► quarry_protocol::bucket::Bucket     decides what the bucket may answer
//!                     │  ▲            (one per log and bucket)
//!             Perform │  │ Outcome
//!                     ▼  │
//!                 BucketStore ──► object_store ──► S3, S3 Express, Azure, Google, a directory
//! ```
//! A bucket is no party: it keeps objects and knows no fence. So what a node's shard does at its end is done here. What makes
//! that safe is a conditional create, which [`BucketStore`] probes before a bucket is used for anything.
//!
//! `object_store` sends each request once. A create that was not answered is made again by the machine, which then reads back
//! what lies in the slot; a throttled one waits in [`BucketStore`].

mod cluster;
mod driver;
mod expiry;
mod identity;
mod known;
mod leftovers;
mod link;
mod opening;
mod outcome;
mod place;
mod status;
mod store;

pub use cluster::{BucketCluster, ConnectedBuckets};
pub use place::{BucketKind, BucketPlace, PlaceParameters};
pub use store::BucketStore;

pub(crate) use known::TellingRegister;
pub(crate) use outcome::{Trouble, TroubleKind};
pub(crate) use place::{decode, encode};
pub(crate) use status::watched;
