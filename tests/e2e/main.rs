//! A whole Gantry, driven by the docker CLI, docker-py and ctr.

mod attach;
mod bad_requests;
mod confinement;
mod containerd;
mod door;
mod doors;
mod errors;
mod events;
mod files;
mod full_disk;
mod hostile;
mod images;
mod lifecycle;
mod long_line;
mod lying;
mod network;
mod options;
mod output;
mod pull;
mod python;
mod requests;
mod stalled;
mod telemetry;
mod tool;
mod volumes;
mod walk;
