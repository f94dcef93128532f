//! The parts of the page, each from the result alone. One that has nothing to show is empty.

mod cost;
mod facts;
mod figures;
mod ladder;
mod percentiles;
mod ratios;
mod series;
mod stages;

pub(super) use cost::cost;
pub(super) use facts::{environment, verdicts};
pub(super) use figures::figures;
pub(super) use ladder::ladder;
pub(super) use percentiles::percentiles;
pub(super) use ratios::ratios;
pub(super) use series::series;
pub(super) use stages::stages;

/// A latency beside a line of a chart: no more digits than needed.
fn latency_tick(us: f64) -> String {
    let (value, unit) = match us {
        us if us < 1000.0 => (us, "us"),
        us if us < 1_000_000.0 => (us / 1000.0, "ms"),
        us => (us / 1_000_000.0, "s"),
    };
    format!("{} {unit}", plain(value))
}

/// A number without decimals that are zero.
fn plain(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_beside_lines_are_short() {
        assert_eq!(super::latency_tick(200.0), "200 us");
        assert_eq!(super::latency_tick(5_000.0), "5 ms");
        assert_eq!(super::latency_tick(2_500_000.0), "2.5 s");
        assert_eq!((super::plain(0.005), super::plain(1000.0)), ("0.005".to_owned(), "1000".to_owned()));
    }
}
