//! The benchmark's arithmetic. The benchmark itself is tried by `.ci/run`.

#[path = "../bench/src/statistics.rs"]
mod statistics;

use statistics::{median, percentile, quartiles};

#[test]
fn a_median_is_the_middle_one_or_between_two() {
    assert_eq!(median([3.0, 1.0, 100.0]), 3.0);
    assert_eq!(median([4.0, 1.0, 2.0, 100.0]), 3.0);
    assert_eq!(median([7.0]), 7.0);
    assert!(median([]).is_nan());
}

#[test]
fn quartiles_are_where_the_quarters_meet() {
    assert_eq!(quartiles([5.0, 1.0, 3.0, 2.0, 4.0]), [2.0, 3.0, 4.0]);
    assert_eq!(quartiles([1.0, 2.0]), [1.25, 1.5, 1.75]);
    assert_eq!(quartiles([7.0]), [7.0; 3]);
}

#[test]
fn a_percentile_is_a_value_that_was_measured() {
    let hundred: Vec<u64> = (1..=100).collect();
    assert_eq!(percentile(&hundred, 50), 50);
    assert_eq!(percentile(&hundred, 99), 99);
    assert_eq!(percentile(&hundred, 100), 100);
    assert_eq!(percentile(&[1, 2, 3], 50), 2);
    assert_eq!(percentile(&[1, 2, 3], 99), 3);
    assert_eq!(percentile(&[5], 1), 5);
}
