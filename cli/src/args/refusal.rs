//! A refused word, variable or file: one line that says what is wrong, one on what to do about it.
//!
//! Knows text; the exit status and the printing are `ui`'s.

/// A refusal, which ends the program as wrong usage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Refusal {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
        }
    }
}
