//! Kills at the worst moments: what was acknowledged is there, nothing is left over.

mod containers;
mod everything;
mod operations;
mod policies;
mod pulls;
mod records;
mod strays;

const SERVICES: [&str; 8] =
    ["control", "content", "snapshots", "images", "tasks", "network", "engine", "gateway"];
