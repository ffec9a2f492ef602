//! Lines that go over a connection, each as its driver's protocol writes it.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use super::receiver::{Address, PATIENCE, Receiver};
use super::sender::{Persistence, Sender};
use super::{Entry, Facts, options};
use crate::error::Result;
use crate::logs::driver::{Driver, Options, Reading};
use crate::logs::kept::{self, Log};
use crate::record::Record;

/// An entry as it goes over the connection.
#[derive(Debug, Default)]
pub struct Messages {
    /// In this order.
    pub all: Vec<Vec<u8>>,
    /// What has to come back.
    pub answer: Option<Vec<u8>>,
}

impl From<Vec<u8>> for Messages {
    fn from(message: Vec<u8>) -> Self {
        Messages { all: vec![message], answer: None }
    }
}

/// A driver's protocol.
pub trait Protocol: Send + Sync {
    /// Writes an entry, the `ordinal`th of this connection's life, counted from one.
    fn messages(&self, entry: &Entry, facts: &Facts, ordinal: u64) -> Messages;

    /// What is said of a receiver that cannot be connected to.
    fn away(&self, why: String) -> String {
        why
    }
}

/// A driver whose lines go over a connection.
pub trait Remotely: Debug + Send + Sync {
    /// What it speaks.
    type Protocol: Protocol + 'static;

    /// Its name.
    const NAME: &'static str;

    /// Reads its own options.
    ///
    /// # Errors
    /// Those that it does not take, as Docker says it.
    fn remote(options: &Options) -> Result<Remote<Self::Protocol>>;
}

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

    fn reading(&self, options: &Options) -> Reading {
        options::reading(options)
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

/// A receiver, and how it is treated.
pub struct Remote<P> {
    /// What is spoken.
    pub protocol: P,
    /// Where it is.
    pub address: Address,
    /// Whether a container may start without it.
    pub asynchronous: bool,
    /// How often an entry is tried.
    pub persistence: Persistence,
    /// How old a connection may grow.
    pub renewed: Option<Duration>,
    /// How long it may take to take a message.
    pub patience: Duration,
}

impl<P: Protocol> Remote<P> {
    /// With what most drivers have.
    pub fn new(protocol: P, address: Address) -> Self {
        let persistence = Persistence::default();
        Remote { protocol, address, asynchronous: false, persistence, renewed: None, patience: PATIENCE }
    }
}

/// A connection to a receiver, made when it is needed.
struct Connection<P> {
    remote: Remote<P>,
    facts: Facts,
    receiver: Option<Receiver>,
    connected_at: Instant,
    /// Entries that were taken.
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
