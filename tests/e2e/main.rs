//! A whole Gantry, driven by the docker CLI, docker-py and ctr.

mod attach;
mod confinement;
mod containerd;
mod files;
mod hostile;
mod images;
mod lifecycle;
mod network;
mod options;
mod output;
mod pull;
mod python;
mod telemetry;
mod tool;
mod volumes;
