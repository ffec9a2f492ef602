//! Failpoints: places at which a test makes a service fail, each between a durable or visible step and the next one.
//!
//! ```text
//! failpoint!("engine.create.recorded");               may kill the process, return an error, or delay
//! failpoint!("engine.exit.recorded", infallible);     in a function that cannot fail: may kill, or delay
//! ```
//!
//! A name has the service, the operation and the step before the point. Each name is a literal that stands in the
//! sources once, so that the fault tests find all of them.
//!
//! Without the feature `enabled`, which only test builds have, a point compiles to nothing, and its name is not in
//! the binary. With the feature, a point looks for an *order* in the directory that `GANTRY_FAILPOINTS` names: a file
//! of the point's name.
//!
//! ```text
//! <directory>/engine.create.recorded             "kill", "error" or "delay 250" (milliseconds), then perhaps
//!                                                "at 3" (at the third time) or "always" (not only once)
//! <directory>/engine.create.recorded.reached     the point was reached, and has carried out its order
//! ```
//!
//! A point removes its order when it carries the order out, so that a service that was killed and started again
//! passes the point. Every service must be able to write to the directory, such as one in `<root>/run`.

#[cfg(feature = "enabled")]
mod order;

#[cfg(feature = "enabled")]
pub use order::{FOLDER, pass, reach};

use std::fmt;

/// The error that a test has ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault(&'static str);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed at {}, as ordered", self.0)
    }
}

impl std::error::Error for Fault {}

/// A failpoint. Its function must have an error that is made from [`Fault`], unless it is `infallible`.
#[cfg(feature = "enabled")]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        $crate::reach($name)?
    };
    ($name:literal, infallible) => {
        $crate::pass($name)
    };
}

/// A failpoint: nothing, in this build.
#[cfg(not(feature = "enabled"))]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {};
    ($name:literal, infallible) => {};
}
