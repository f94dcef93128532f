//! From `--store` or `QUARRY_STORE` to a connected store.

use crate::exit::Failure;
use quarry_client::{ChunkStore, ConnectError, connect};
use std::sync::Arc;

/// The URL given, or a usage failure that says how to give one.
pub(crate) fn url(store: Option<String>) -> Result<String, Failure> {
    store.filter(|url| !url.is_empty()).ok_or_else(|| {
        Failure::usage(
            "which store? Give --store URL or set QUARRY_STORE; `quarry dev` starts one here and prints its URL",
        )
    })
}

/// Connects to the store that was given.
pub(crate) async fn open(store: Option<String>) -> Result<Arc<dyn ChunkStore>, Failure> {
    let url = url(store)?;
    connect(&url).await.map_err(|why| Failure::of(matches!(why, ConnectError::BadUrl { .. }), why))
}
