//! Random identities, from the operating system: nobody can make the same one twice.

/// Sixteen random bytes.
///
/// # Panics
/// If the operating system gives no randomness; without it no log can be made or taken over safely.
pub(crate) fn random_id() -> [u8; 16] {
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the operating system provides random bytes");
    id
}
