//! The client library of Quarry: logs of chunks, replicated to a quorum.
//!
//! A newcomer's route, one append from caller to disk and back: [`link`] (how a replica is talked to),
//! [`cluster`] (which replicas there are), [`register`] (what is known of a log as a whole), [`reader`] (how
//! chunks come back, verified), [`store_url`] (how a store is named).
#![forbid(unsafe_code)]

pub mod cluster;
pub mod link;
pub mod reader;
pub mod register;
pub mod store_url;
