//! The servers that the tests run against, each on a free loopback port, ended with the test that started it.

pub(crate) mod azurite;
mod child;
pub(crate) mod moto;
pub(crate) mod ours;
pub(crate) mod s3s;
pub(crate) mod smoke;

/// The access key id that every S3 server here is asked with.
pub(crate) const KEY_ID: &str = "AKIAQUARRYTEST";
/// The secret that goes with it.
pub(crate) const SECRET: &str = "not-a-secret";
/// The region of every S3 server here.
pub(crate) const REGION: &str = "us-east-1";
