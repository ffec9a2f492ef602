//! Drivers that send lines over a connection, each in its own protocol.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use super::receiver::{Address, PATIENCE, Receiver};
use super::sender::{Persistence, Sender};
use super::{Entry, Facts, options};
use crate::error::Result;
use crate::logs::driver::{Driver, Options, Reading};
use crate::logs::kept::{self, Log};
use crate::record::Record;

/// An encoded entry.
#[derive(Debug, Default)]
pub struct Messages {
    /// Messages to send, in this order.
    pub all: Vec<Vec<u8>>,
    /// The answer that the receiver must send.
    pub answer: Option<Vec<u8>>,
}

impl From<Vec<u8>> for Messages {
    fn from(message: Vec<u8>) -> Self {
        Messages { all: vec![message], answer: None }
    }
}

/// A driver's protocol.
pub trait Protocol: Send + Sync {
    /// Encodes an entry. `ordinal` numbers the entries that this connection has sent, from one.
    fn messages(&self, entry: &Entry, facts: &Facts, ordinal: u64) -> Messages;

    /// Words an error for a receiver that cannot be reached.
    fn away(&self, why: String) -> String {
        why
    }
}

/// A driver that sends lines over a connection.
pub trait Remotely: Debug + Send + Sync {
    /// The driver's protocol.
    type Protocol: Protocol + 'static;

    /// The driver's name.
    const NAME: &'static str;

    /// Reads the driver's own options.
    ///
    /// # Errors
    /// Options that the driver does not take, in Docker's words.
    fn remote(options: &Options) -> Result<Remote<Self::Protocol>>;
}

#[tonic::async_trait]
impl<D: Remotely> Driver for D {
    fn name(&self) -> &str {
        D::NAME
    }

    fn log(&self, options: &Options) -> Result<Option<Log>> {
        kept::delivery(options)?;
        D::remote(options)?;
        kept::check_expressions(options)?;
        Log::cache(options).map(Some)
    }

    async fn reading(&self, record: &Record) -> Reading {
        options::reading(super::options_of(record))
    }

    fn sender(&self, record: &Record, hostname: &str) -> Result<Option<Box<dyn Sender>>> {
        let remote = D::remote(super::options_of(record))?;
        let facts = Facts::of(record, hostname)?;
        Ok(Some(Box::new(Connection {
            remote,
            facts,
            receiver: None,
            connected_at: Instant::now(),
            sent: 0,
        })))
    }
}

/// A receiver with its protocol and limits.
pub struct Remote<P> {
    /// The protocol.
    pub protocol: P,
    /// The receiver's address.
    pub address: Address,
    /// Whether a container may start while the receiver cannot be reached.
    pub asynchronous: bool,
    /// How often an entry is retried.
    pub persistence: Persistence,
    /// Age at which a connection is replaced.
    pub renewed: Option<Duration>,
    /// How long the receiver may take to accept a message.
    pub patience: Duration,
}

impl<P: Protocol> Remote<P> {
    /// A receiver with the limits that most drivers use.
    pub fn new(protocol: P, address: Address) -> Self {
        let persistence = Persistence::default();
        Remote { protocol, address, asynchronous: false, persistence, renewed: None, patience: PATIENCE }
    }
}

/// A connection to a receiver, made when the first entry is sent.
struct Connection<P> {
    remote: Remote<P>,
    facts: Facts,
    receiver: Option<Receiver>,
    connected_at: Instant,
    /// Number of entries that were sent.
    sent: u64,
}

impl<P: Protocol> Connection<P> {
    async fn connected(&mut self) -> std::result::Result<&mut Receiver, String> {
        let remote = &self.remote;
        if remote.renewed.is_some_and(|renewed| self.connected_at.elapsed() > renewed) {
            self.receiver = None;
        }
        if self.receiver.is_none() {
            let connected = Receiver::connect(&remote.address).await;
            self.receiver = Some(connected.map_err(|why| remote.protocol.away(why))?);
            self.connected_at = Instant::now();
        }
        Ok(self.receiver.as_mut().expect("just connected"))
    }
}

#[tonic::async_trait]
impl<P: Protocol> Sender for Connection<P> {
    async fn connect(&mut self) -> std::result::Result<(), String> {
        if self.remote.asynchronous {
            return Ok(());
        }
        self.connected().await.map(drop)
    }

    async fn send(&mut self, entry: &Entry) -> std::result::Result<(), String> {
        let messages = self.remote.protocol.messages(entry, &self.facts, self.sent + 1);
        let patience = self.remote.patience;
        let receiver = self.connected().await?;
        let sent = async {
            for message in &messages.all {
                receiver.send(message, patience).await?;
            }
            match &messages.answer {
                Some(answer) => receiver.expect(answer).await,
                None => Ok(()),
            }
        };
        if let Err(error) = sent.await {
            self.receiver = None;
            return Err(crate::archive::words(&error));
        }
        self.sent += 1;
        Ok(())
    }

    fn persistence(&self) -> Persistence {
        self.remote.persistence
    }
}
