//! Figures as people read them.

/// Bytes with a binary unit and three digits or so.
#[must_use]
pub fn bytes(bytes: u64) -> String {
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

/// Microseconds, or milliseconds and seconds when there are many.
#[must_use]
pub fn latency(us: f64) -> String {
    if us < 1000.0 {
        format!("{us:.0} us")
    } else if us < 1_000_000.0 {
        format!("{:.*} ms", decimals(us / 1000.0), us / 1000.0)
    } else {
        format!("{:.*} s", decimals(us / 1_000_000.0), us / 1_000_000.0)
    }
}

/// The last year that has four digits.
const YEAR_MAX: u64 = 9999;

/// A Unix time as RFC 3339 has it, in UTC.
#[must_use]
pub fn utc(unix_s: u64) -> String {
    let (mut days, second) = (unix_s / 86_400, unix_s % 86_400);
    let mut year = 1970;
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
        if year > YEAR_MAX {
            return format!("after year {YEAR_MAX}");
        }
    }
    let february = days_of_year(year) - 337;
    let mut month = 1;
    for of_month in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < of_month {
            break;
        }
        days -= of_month;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

const fn days_of_year(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

/// How many decimals leave three digits or so.
#[must_use]
pub fn decimals(value: f64) -> usize {
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
        assert_eq!(super::latency(227.4), "227 us");
        assert_eq!(super::latency(15_800.0), "15.8 ms");
        assert_eq!(super::latency(2_500_000.0), "2.50 s");
    }

    #[test]
    fn times_follow_the_calendar() {
        assert_eq!(super::utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(super::utc(946_684_799), "1999-12-31T23:59:59Z");
        assert_eq!(super::utc(951_825_601), "2000-02-29T12:00:01Z");
        assert_eq!(super::utc(1_709_251_200), "2024-03-01T00:00:00Z");
        assert_eq!(super::utc(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(super::utc(253_402_300_799), "9999-12-31T23:59:59Z");
        assert_eq!(super::utc(u64::MAX), "after year 9999");
    }
}
