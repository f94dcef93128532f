//! Figures as people read them.

pub(crate) use quarry_bench::units::{bytes, latency, utc};
use std::fmt::Write;

/// Two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_are_told_by_two_digits_each() {
        assert_eq!(super::hex(&[0, 0xab]), "00ab");
    }
}
