//! Randomness from the operating system: identities that nobody can make twice, and pauses that nobody else makes.

use std::time::Duration;

/// Sixteen random bytes.
///
/// # Panics
/// If the operating system gives no randomness; without it no log can be made or taken over safely.
pub(crate) fn random_id() -> [u8; 16] {
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the operating system provides random bytes");
    id
}

/// A random part of `most`.
///
/// # Panics
/// As [`random_id`].
pub(crate) fn random_share(most: Duration) -> Duration {
    let [one, other, ..] = random_id();
    most * u32::from(u16::from_le_bytes([one, other])) / u32::from(u16::MAX)
}
