//! What says that a place is a register, and which one. A register that was wiped and made anew must not pass for the old
//! one: the old one's records would be taken for logs that never were (P13).

use crate::random::random_id;

/// What it is called, beside the records.
pub(super) const MARKER: &str = "quarry-register";
const START: &str = "quarry register, format 1, ";

/// The marker of a new register.
pub(super) fn fresh() -> String {
    format!("{START}{:032x}\n", u128::from_be_bytes(random_id()))
}

/// That `content` is a marker of the format that this build knows.
pub(super) fn check(content: &[u8]) -> Result<(), String> {
    let known = |text: &str| text.strip_prefix(START).is_some_and(|id| id.trim_end().len() == 32);
    match std::str::from_utf8(content) {
        Ok(text) if known(text) => Ok(()),
        _ => {
            let got: String = String::from_utf8_lossy(content).chars().take(64).collect();
            Err(format!(
                "its {MARKER} says {got:?}, this build knows only {START:?} and an id: use the build that made it"
            ))
        }
    }
}

/// What to say of a place whose marker is not, or no longer, the one that it had.
pub(super) const GONE: &str = "its quarry-register mark is gone or another one: it was emptied, or made anew. Restore it; \
     its records are not taken for logs that never were";

/// What to say of a place that has records and no marker.
pub(super) const UNMARKED: &str = "it holds records but no quarry-register mark: restore the mark, or name a new place";
