//! Kills at the worst moments: what was acknowledged exists, and nothing is left over.

mod containers;
mod everything;
mod operations;
mod plugins;
mod policies;
mod pulls;
mod records;
mod strays;
mod sweep;
