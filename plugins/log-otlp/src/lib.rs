//! A log driver for Docker and Gantry that sends containers' output to an OpenTelemetry collector, over gRPC or HTTP.
//!
//! `docker run --log-driver otlp --log-opt otlp-endpoint=http://collector:4317 …`
//!
//! | option | means | default |
//! | --- | --- | --- |
//! | `otlp-endpoint` | the collector's address (`http://`) | the plugin's `--endpoint` |
//! | `otlp-protocol` | `grpc`, or `http/protobuf` (to `/v1/logs` below the endpoint) | `grpc` |
//! | `otlp-headers` | `name=value,…`, sent with each request | none |
//! | `otlp-timeout` | time limit of a request | `10s` |
//! | `otlp-batch` | records per request; as many more wait in a queue | `512` |
//! | `otlp-batch-wait` | how long a record waits for more records | `200ms` |
//! | `otlp-give-up` | how long a batch is retried before it is lost | for ever |
//! | `labels`, `labels-regex`, `env`, `env-regex` | the labels and variables of the container that are sent | none |
//!
//! The container is the resource (`container.id`, `container.name`, `container.image.name`, `container.image.id`,
//! `service.name`, `container.label.…`, `process.environment_variable.…`). A record has the line, its time, its
//! stream (`log.iostream`) and a severity: INFO for stdout, ERROR for stderr. The parts of a long line are joined, up
//! to one MiB.
//!
//! # While the collector is away
//!
//! The plugin retries the batch with growing pauses, up to 30 seconds, and takes no more than one further batch from
//! the engine. Gantry then keeps the lines on its disk. dockerd makes the container wait (`mode=blocking`), or
//! silently drops lines that its buffer has no space for (`mode=non-blocking`). With `otlp-give-up`, a batch is lost
//! when its time has passed. A batch that the collector refuses for good is lost, too. The number of lost records is
//! in the plugin's log. The collector is told of it by a record with the attribute `log.lost`, before the next
//! records that it accepts.
//!
//! A plugin that is killed loses the records that it has taken and not sent: for each container at most two batches
//! and 16 KiB. A plugin that is stopped (SIGTERM) first tries to send them, for ten seconds.

#![allow(clippy::disallowed_methods, reason = "the work of a plugin ends with it")]

pub mod collector;
mod driver;
mod options;
mod record;
pub mod testing;
pub mod wire;

pub use driver::{Otlp, server};
