//! The certificates that a connection trusts: the system's roots, and those in the host's directories; a loopback
//! host needs none.
//!
//! ```text
//! /etc/docker/certs.d/<host[:port]>/*.crt         CAs (or a self-signed server certificate itself)
//! /etc/docker/certs.d/<host[:port]>/x.cert x.key  a client's certificate and its key
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gantry_tls::{Identity, PemFile, Trust};
use reqwest::redirect::Policy;

use crate::error::Error;
use crate::settings::{Settings, is_loopback};

/// Reads the certificates of `authority` from all `directories`; a missing directory has none.
pub(crate) fn load(directories: &[PathBuf], authority: &str, insecure: bool) -> Result<Trust, Error> {
    let mut trust = Trust::default();
    for directory in directories {
        load_directory(&mut trust, &directory.join(authority))?;
    }
    trust.anyone = insecure && trust.roots.is_empty();
    Ok(trust)
}

fn load_directory(trust: &mut Trust, directory: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(source) => return Err(unreadable(directory, source)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| unreadable(directory, source))?;
    paths.sort();
    for path in paths {
        let read = |path: &Path| PemFile::read(path).map_err(|source| unreadable(path, source));
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => trust.roots.push(read(&path)?),
            Some("cert") => {
                let key = read(&path.with_extension("key"))?;
                trust.identity = Some(Identity { certificates: read(&path)?, key });
            }
            _ => {}
        }
    }
    Ok(())
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::Certificates { path: path.to_owned(), source }
}

/// Makes the pool of connections of one host.
pub(crate) fn client(
    trust: &Trust,
    authority: &str,
    insecure: bool,
    settings: &Settings,
) -> Result<reqwest::Client, Error> {
    // An insecure host is tried over TLS first: one that never answers the handshake must not delay the pull.
    let connect_timeout = match insecure {
        true => settings.connect_timeout.min(std::time::Duration::from_secs(3)),
        false => settings.connect_timeout,
    };
    let builder = builder(trust, authority, connect_timeout)?.redirect(Policy::limited(10));
    builder.build().map_err(|source| Error::HttpClient { host: authority.to_owned(), source })
}

/// The options of all clients.
pub(crate) fn builder(
    trust: &Trust,
    authority: &str,
    connect_timeout: std::time::Duration,
) -> Result<reqwest::ClientBuilder, Error> {
    let mut configuration = trust.configuration()?;
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    let builder = reqwest::Client::builder()
        .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .referer(false)
        // One connection for each layer is faster than one multiplexed connection for all.
        .http1_only()
        .pool_max_idle_per_host(8)
        .tls_backend_preconfigured(configuration);
    Ok(match is_loopback(authority) {
        true => builder.no_proxy(),
        false => builder,
    })
}
