//! Suggesting the name that somebody may have meant.
//!
//! Knows words; nothing of what they name.

/// Names that are less alike than this are not suggested.
const ALIKE: f64 = 0.7;

/// The rest of a sentence about a name that is not there: the one most alike, if any is.
pub(in crate::dynamic) fn did_you_mean<'a>(
    name: &str,
    names: impl Iterator<Item = &'a str>,
) -> String {
    let lower = name.to_lowercase();
    let likeness = |other: &str| strsim::jaro_winkler(&lower, &other.to_lowercase());
    // What belongs to methods, such as `Echo.echo$Params`, nobody means.
    let best = names
        .filter(|other| !other.contains('$'))
        .map(|other| (likeness(other), other))
        .max_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| y.cmp(x)));
    match best {
        Some((likeness, other)) if likeness >= ALIKE => format!("; did you mean {other:?}?"),
        _ => String::new(),
    }
}
