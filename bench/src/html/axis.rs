//! Scales of charts: where a value lies, and which values get a line and a number.

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm.
    Log,
    /// By their logarithm, with lines at powers of two: for sizes.
    Binary,
    /// Quantiles, each nine taking as much room as the one before it: by the logarithm of 1 / (1 - quantile).
    Percentile,
}

/// One axis of a chart.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) label: String,
    pub(super) scale: Scale,
    pub(super) low: f64,
    pub(super) high: f64,
    /// How a value is written beside its line.
    pub(super) text: fn(f64) -> String,
}

/// About so many lines are drawn across a linear axis.
const LINEAR_LINES: f64 = 6.0;
/// Up to so many decades, a logarithmic axis has lines at 2 and 5 as well.
const DECADES_WITH_STEPS: f64 = 2.6;
/// Up to so many doublings, an axis of sizes has a line at each.
const DOUBLINGS_EACH: i32 = 7;
/// Closest quantile to 1 that is drawn.
const QUANTILE_MAX: f64 = 0.999_999_9;
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

impl Axis {
    /// With room for all of `values`, ending at round ones. Values that the scale has no place for do not count.
    pub(super) fn over(
        label: &str,
        scale: Scale,
        values: impl IntoIterator<Item = f64>,
        text: fn(f64) -> String,
    ) -> Self {
        let placed = values.into_iter().filter(|value| has_place(scale, *value));
        let (low, high) =
            placed.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let nothing = low > high;
        let (low, high) = match scale {
            Scale::Linear if nothing => (0.0, 1.0),
            Scale::Linear => linear_bounds(low, high),
            Scale::Log if nothing => (1.0, 10.0),
            Scale::Log => (round_down(low), round_up(high)),
            Scale::Binary if nothing => (1.0, 2.0),
            Scale::Binary => (low.log2().floor().exp2(), high.log2().ceil().exp2()),
            Scale::Percentile => (0.0, high.clamp(0.9, QUANTILE_MAX)),
        };
        let high = if high > low { high } else { round_up(low * 1.5) };
        Self { label: label.to_owned(), scale, low, high, text }
    }

    /// Where `value` lies, from 0 (low) to 1 (high); `None` if the scale has no place for it.
    pub(super) fn position(&self, value: f64) -> Option<f64> {
        if !has_place(self.scale, value) {
            return None;
        }
        let place = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log | Scale::Binary => value.log10(),
            Scale::Percentile => -(1.0 - value.min(QUANTILE_MAX)).log10(),
        };
        let (low, high) = (place(self.low), place(self.high));
        Some(((place(value) - low) / (high - low)).clamp(0.0, 1.0))
    }

    /// The values that get a line.
    pub(super) fn lines(&self) -> Vec<f64> {
        let inside = |value: &f64| *value >= self.low * (1.0 - 1e-9) && *value <= self.high * (1.0 + 1e-9);
        match self.scale {
            Scale::Percentile => {
                [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999].into_iter().filter(|value| *value <= self.high).collect()
            }
            Scale::Binary => {
                let (first, last) = (self.low.log2().ceil() as i32, self.high.log2().floor() as i32);
                let each = if last - first > DOUBLINGS_EACH { 2 } else { 1 };
                (first..=last).step_by(each).map(|power| f64::from(power).exp2()).collect()
            }
            Scale::Linear => {
                let step = linear_step(self.high - self.low);
                let first = (self.low / step).ceil() as i64;
                let last = (self.high / step + 1e-9).floor() as i64;
                (first..=last).map(|number| number as f64 * step).collect()
            }
            Scale::Log => {
                let decades = (self.high / self.low).log10();
                let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
                let steps = if decades <= DECADES_WITH_STEPS { &STEPS[..] } else { &STEPS[..1] };
                let all = (first..=last).flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)));
                all.filter(inside).collect()
            }
        }
    }
}

fn has_place(scale: Scale, value: f64) -> bool {
    value.is_finite()
        && match scale {
            Scale::Linear => true,
            Scale::Log | Scale::Binary => value > 0.0,
            Scale::Percentile => (0.0..1.0).contains(&value),
        }
}

/// From 0 where that is near.
fn linear_bounds(low: f64, high: f64) -> (f64, f64) {
    let low = if low > 0.0 && low < 0.7 * high { 0.0 } else { low };
    let step = linear_step((high - low).max(f64::MIN_POSITIVE));
    if high > low { ((low / step).floor() * step, (high / step).ceil() * step) } else { (low.min(0.0), high.max(1.0)) }
}

/// 1, 2 or 5 times a power of ten.
fn linear_step(span: f64) -> f64 {
    let rough = span / LINEAR_LINES;
    let decade = 10f64.powf(rough.log10().floor());
    let step = STEPS.into_iter().find(|step| step * decade >= rough * 0.999);
    step.unwrap_or(10.0) * decade
}

fn round_down(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    STEPS.into_iter().rev().map(|step| step * decade).find(|round| *round <= value * (1.0 + 1e-9)).unwrap_or(decade)
}

fn round_up(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    let rounds = STEPS.into_iter().map(|step| step * decade);
    rounds.into_iter().find(|round| *round >= value * (1.0 - 1e-9)).unwrap_or(10.0 * decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale, values: &[f64]) -> Axis {
        Axis::over("", scale, values.iter().copied(), |value| value.to_string())
    }

    fn close(got: &[f64], wanted: &[f64]) {
        let near = got.len() == wanted.len() && got.iter().zip(wanted).all(|(got, wanted)| (got - wanted).abs() < 1e-6);
        assert!(near, "got {got:?}, wanted {wanted:?}");
    }

    #[test]
    fn axes_end_and_are_lined_at_round_values() {
        let linear = axis(Scale::Linear, &[3.0, 57.0]);
        close(&[linear.low, linear.high], &[0.0, 60.0]);
        close(&linear.lines(), &[0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        let log = axis(Scale::Log, &[130.0, 4100.0]);
        close(&[log.low, log.high], &[100.0, 5000.0]);
        close(&log.lines(), &[100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0]);
        let wide = axis(Scale::Log, &[1.0, 90_000.0]);
        close(&wide.lines(), &[1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0]);
        let binary = axis(Scale::Binary, &[1024.0, 60_000.0]);
        close(&binary.lines(), &[1024.0, 2048.0, 4096.0, 8192.0, 16_384.0, 32_768.0, 65_536.0]);
        close(&axis(Scale::Binary, &[1.0, 200.0]).lines(), &[1.0, 4.0, 16.0, 64.0, 256.0]);
        close(&axis(Scale::Percentile, &[0.5, 0.9995]).lines(), &[0.0, 0.5, 0.9, 0.99, 0.999]);
    }

    #[test]
    fn values_lie_where_the_scale_has_them() {
        let log = axis(Scale::Log, &[10.0, 1000.0]);
        close(&[log.position(100.0).unwrap()], &[0.5]);
        let percentile = axis(Scale::Percentile, &[0.0, 0.9999]);
        close(&[percentile.position(0.99).unwrap(), percentile.position(0.9).unwrap()], &[0.5, 0.25]);
        assert_eq!((log.position(0.0), log.position(f64::NAN), percentile.position(1.0)), (None, None, None));
    }

    /// One value, none, or such as have no place: never a division by nothing.
    #[test]
    fn axes_of_hardly_anything_have_an_extent() {
        for scale in [Scale::Linear, Scale::Log, Scale::Binary, Scale::Percentile] {
            for values in [&[][..], &[7.0], &[0.0], &[f64::NAN, f64::INFINITY], &[0.5, 0.5], &[10.0], &[1000.0, 1000.0]]
            {
                let axis = axis(scale, values);
                assert!(axis.high > axis.low, "{scale:?} {values:?}: {axis:?}");
                assert!(axis.lines().len() >= 2, "{scale:?} {values:?}: {axis:?}");
                assert!(values.iter().filter_map(|value| axis.position(*value)).all(f64::is_finite));
            }
        }
    }
}
