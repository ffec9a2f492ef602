//! A log driver for Docker's engines: containers' output to an OpenTelemetry collector, over gRPC or HTTP.
//!
//! `docker run --log-driver otlp --log-opt otlp-endpoint=http://collector:4317 …`
//!
//! | option | means | default |
//! | --- | --- | --- |
//! | `otlp-endpoint` | where the collector is (`http://`) | the plugin's `--endpoint` |
//! | `otlp-protocol` | `grpc`, or `http/protobuf` (to `/v1/logs` below the endpoint) | `grpc` |
//! | `otlp-headers` | `name=value,…`, with each request | none |
//! | `otlp-timeout` | how long a request may take | `10s` |
//! | `otlp-batch` | records of a request; as many wait for the next one | `512` |
//! | `otlp-batch-wait` | how long a record waits for others | `200ms` |
//! | `otlp-give-up` | how long a batch is tried before it is lost | never |
//! | `labels`, `labels-regex`, `env`, `env-regex` | what of the container is told | nothing |
//!
//! Who says something is the resource (`container.id`, `container.name`, `container.image.name`, `container.image.id`,
//! `service.name`, `container.label.…`, `process.environment_variable.…`); a record has the line, its time, its stream
//! (`log.iostream`) and a severity: INFO of standard output, ERROR of standard error. Lines that came in pieces are whole, up to
//! a MiB.
//!
//! # While the collector is away
//!
//! The batch is tried again, with longer and longer pauses, up to 30 seconds; no more than another batch is taken from the
//! engine. Docker then makes the container wait (`mode=blocking`), or drops what its ring has no place for
//! (`mode=non-blocking`), and tells nobody. With `otlp-give-up`, a batch whose time is over is lost, as is one that the
//! collector refuses for good: how many records were lost is in the plugin's log, and told to the collector by a record with
//! the attribute `log.lost`, before the next ones that it takes.
//!
//! A plugin that is killed loses what it had taken and not sent, two batches and 16 KiB at most of each container; one that is
//! ended (SIGTERM) first tries to send them, for ten seconds.

pub mod collector;
mod driver;
mod options;
mod record;
pub mod testing;
pub mod wire;

pub use driver::{Otlp, server};
