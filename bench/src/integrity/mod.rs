//! Whether what was acknowledged is there: payloads that follow from log and seq, a ledger of acknowledgements, and reading
//! everything back.

mod ledger;
mod payload;
mod read_back;
#[cfg(test)]
mod tests;

pub use ledger::Ledger;
pub use payload::Payloads;
pub use read_back::{ReadBack, ReadBackError, read_back};
