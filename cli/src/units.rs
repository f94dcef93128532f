//! Figures as people read them.

use std::fmt::Write;

/// Bytes with a binary unit and three digits or so.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.*} {}", decimals(value), UNITS[unit])
}

/// Two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Microseconds, or milliseconds and seconds when there are many.
pub(crate) fn latency(us: f64) -> String {
    if us < 1000.0 {
        format!("{us:.0} us")
    } else if us < 1_000_000.0 {
        format!("{:.*} ms", decimals(us / 1000.0), us / 1000.0)
    } else {
        format!("{:.*} s", decimals(us / 1_000_000.0), us / 1_000_000.0)
    }
}

fn decimals(value: f64) -> usize {
    match value {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn figures_have_units_and_few_digits() {
        assert_eq!(super::bytes(999), "999 B");
        assert_eq!(super::bytes(65_536), "64.0 KiB");
        assert_eq!(super::bytes(1 << 30), "1.00 GiB");
        assert_eq!(super::hex(&[0, 0xab]), "00ab");
        assert_eq!(super::latency(227.4), "227 us");
        assert_eq!(super::latency(15_800.0), "15.8 ms");
        assert_eq!(super::latency(2_500_000.0), "2.50 s");
    }
}
