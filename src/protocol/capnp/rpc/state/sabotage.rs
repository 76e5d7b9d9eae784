//! Deliberate errors, one at a time, by which the tests show that they would find them.
//!
//! Compiled for tests only.

/// An error that the state makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A call overtakes those on the same object that wait for a parameter.
    Order,
    /// What the peer releases once counts twice.
    DoubleRelease,
    /// The peer's Finish is dropped.
    LostFinish,
    /// A call that waits is answered at once.
    EarlyReturn,
    /// A call that is made on what another will answer is forgotten.
    ForgottenPromise,
}
