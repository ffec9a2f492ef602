//! The fakes keep what they promise, by themselves and through sockets.

use std::time::Duration;

use gantry_api::{Peers, content};
use gantry_fakes::{Content, Serving};

async fn fake() -> (Content, ()) {
    (Content::default(), ())
}

async fn served() -> (content::Client, (Serving, tempfile::TempDir)) {
    let run = tempfile::tempdir().expect("a directory");
    let serving = Content::default().serve(run.path());
    let client = content::Client::new(&Peers::new(run.path()), Duration::from_secs(10));
    (client, (serving, run))
}

mod content_in_memory {
    gantry_contract::content!(super::fake);
    gantry_contract::content_files!(super::fake);
}

mod content_through_a_socket {
    gantry_contract::content!(super::served);
    gantry_contract::content_files!(super::served);
}
