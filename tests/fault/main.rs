//! Kills at the worst moments: what was acknowledged is there, nothing is left over.

mod containers;
mod everything;
mod operations;
mod policies;
mod pulls;
mod records;
mod strays;
