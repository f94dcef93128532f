//! One error enum per operation. Each answers two questions: `may_retry()`, can the same call succeed with nothing else
//! changed, and `may_have_happened()`, may the failed call have had its effect all the same.

mod append;
mod connect;
mod delete;
mod inspect;
mod list;
mod open;
mod read;
mod tail;
mod trim;

pub use append::{AppendError, Fate};
pub use connect::ConnectError;
pub use delete::DeleteError;
pub use inspect::InspectError;
pub use list::ListError;
pub use open::OpenError;
pub use read::ReadError;
pub use tail::TailError;
pub use trim::TrimError;
