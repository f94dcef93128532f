//! From `--store` or `QUARRY_STORE` to a connected store.

use crate::exit::Failure;
use quarry_client::register::RegisterPlace;
use quarry_client::store_url::{StorePlace, StoreUrl};
use quarry_client::{ConnectError, QuorumStore, connect_to_quorum};

/// The URL given, or a usage failure that says how to give one.
pub(crate) fn url(store: Option<String>) -> Result<String, Failure> {
    store.filter(|url| !url.is_empty()).ok_or_else(|| {
        Failure::usage(
            "which store? Give --store URL or set QUARRY_STORE; `quarry dev` starts one here and prints its URL",
        )
    })
}

/// That the register's directory is there. The client would make it, and every log would seem never to have been: a disk
/// that is not mounted must not look like a new store (P13).
pub(crate) fn check_register(url: &str) -> Result<(), String> {
    let register = match StoreUrl::parse(url).map(|parsed| parsed.place) {
        Ok(StorePlace::Nodes { register, .. }) => Some(register),
        Ok(StorePlace::Buckets { register, .. }) => register,
        // What is wrong with a URL is for connect to say.
        Ok(StorePlace::Memory { .. }) | Err(_) => None,
    };
    match register {
        Some(RegisterPlace::Directory(path)) if !path.exists() => Err(format!(
            "the register {} is not there: mount or restore it, since it says where every log lies; for a new store, make \
             the directory first",
            path.display()
        )),
        _ => Ok(()),
    }
}

/// Connects to the store that was given.
pub(crate) async fn open_quorum(store: Option<String>) -> Result<QuorumStore, Failure> {
    let url = url(store)?;
    check_register(&url).map_err(Failure::new)?;
    connect_to_quorum(&url).await.map_err(|why| Failure::of(matches!(why, ConnectError::BadUrl { .. }), why))
}
