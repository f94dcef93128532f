//! The contract of [`ChunkStore`](crate::ChunkStore) as test cases that any backend must pass.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let store = quarry_client::connect("memory://conformance-example").await.unwrap();
//! let case = quarry_client::conformance::cases().into_iter().next().unwrap();
//! case.run(store).await; // panics if the store breaks the contract
//! # }
//! ```
//! Every case works on logs of its own, with random names, so that the suite can run again and again on one store.
//! Nothing in it depends on how fast the store is.

mod append;
mod deletion;
mod names;
mod reading;
mod subject;
mod takeover;
mod trimming;

pub use subject::Subject;

use crate::chunk_store::ChunkStore;
use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

/// One rule of the contract.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    run: fn(Subject) -> BoxFuture<'static, ()>,
}

impl Case {
    /// What it checks, in words with underscores.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Checks it.
    ///
    /// # Panics
    /// If the store breaks the contract.
    pub async fn run(&self, store: Arc<dyn ChunkStore>) {
        tracing::info!(case = self.name, "conformance");
        (self.run)(Subject::new(store, self.name)).await;
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

/// Every case.
#[must_use]
pub fn cases() -> Vec<Case> {
    [append::CASES, takeover::CASES, reading::CASES, trimming::CASES, deletion::CASES, names::CASES].concat()
}

/// Runs every case, one after the other.
///
/// # Panics
/// If the store breaks the contract; the message names the log, whose name begins with that of the case.
pub async fn run(store: Arc<dyn ChunkStore>) {
    for case in cases() {
        case.run(Arc::clone(&store)).await;
    }
}

/// Lists async functions of a [`Subject`] as cases under their own names.
macro_rules! list_cases {
    ($($name:ident),* $(,)?) => {
        pub(super) const CASES: &[super::Case] =
            &[$(super::Case { name: stringify!($name), run: |subject| Box::pin($name(subject)) }),*];
    };
}
use list_cases;
