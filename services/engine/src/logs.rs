//! Logs: read from the json-file that the shim writes, sent on the data socket as the client reads them.
//!
//! | module | knows |
//! | --- | --- |
//! | [`driver`] | the drivers, of which each container has one |
//! | [`kept`] | the file that the shim is to write |
//! | [`line`] | one line of the file |
//! | [`frame`] | Docker's multiplexed stream |
//! | [`generations`] | rotated files |
//! | [`tail`] | where the last N lines begin |
//! | [`reader`] | a place in the log that moves forwards |
//! | [`follow`] | sending, and going on while the container runs |

pub mod driver;
pub mod follow;
pub mod frame;
pub mod generations;
pub mod kept;
pub mod line;
pub mod reader;
pub mod tail;

use crate::error::Error;
