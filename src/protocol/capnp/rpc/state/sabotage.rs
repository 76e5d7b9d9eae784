//! Deliberate errors, one at a time, by which the tests show that they would find them.
//!
//! Compiled for tests only.

/// An error that the state makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A call overtakes those on the same object that wait for a parameter.
    Order,
    /// Each reference that the peer releases counts twice.
    DoubleRelease,
    /// The peer's Finish is dropped.
    LostFinish,
    /// A call that waits is answered at once.
    EarlyReturn,
    /// A call that waits for its target in another's answer is forgotten.
    ForgottenPromise,
}
