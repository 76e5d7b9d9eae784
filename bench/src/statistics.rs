//! Medians and percentiles. Knows numbers alone.
//!
//! Its tests are the main package's `tests/benchmark.rs`, so that they need not build all of this one.

/// Returns the nearest-rank percentile of `sorted`, which must be sorted and not empty.
pub fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Returns the median; NaN where there are no values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let [_, median, _] = quartiles(values);
    median
}

/// Returns the first quartile, the median and the third quartile, interpolated between neighbouring
/// values; NaN where there are none.
pub fn quartiles(values: impl IntoIterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else {
        return [f64::NAN; 3];
    };
    [1, 2, 3].map(|quarters| {
        let (whole, rest) = (last * quarters / 4, last * quarters % 4);
        let (below, above) = (values[whole], values[last.min(whole + 1)]);
        below + (above - below) * rest as f64 / 4.0
    })
}
