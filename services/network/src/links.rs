//! Deletes links in the background: the kernel takes 20 ms for each, and holds its one big lock meanwhile.
//!
//! The kernel itself deletes the veths of a network namespace that is unpinned, many at once. The deleter looks a
//! little later, and deletes those that still exist (a process keeps the namespace alive). When this process ends
//! before that, recovery finds the links by name.

use std::collections::BTreeSet;
use std::time::Duration;

use gantry_netlink::{Route, or_missing};
use gantry_rpc::carry;
use tokio::sync::{mpsc, oneshot};

/// How long the kernel gets to delete links itself.
const PATIENCE: Duration = Duration::from_millis(300);

/// Takes the names of links to delete. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Deleter(mpsc::UnboundedSender<Ask>);

#[derive(Debug)]
enum Ask {
    Delete(Vec<String>),
    Tell(oneshot::Sender<()>),
}

impl Deleter {
    /// A deleter, and its future, which the caller spawns.
    pub fn new(mut route: Route) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let work = async move {
            while let Some(first) = receiver.recv().await {
                let mut names = match first {
                    Ask::Delete(names) => names,
                    Ask::Tell(told) => {
                        let _ = told.send(());
                        continue;
                    }
                };
                tokio::time::sleep(PATIENCE).await;
                let mut waiting = Vec::new();
                while let Ok(more) = receiver.try_recv() {
                    match more {
                        Ask::Delete(more) => names.extend(more),
                        Ask::Tell(told) => waiting.push(told),
                    }
                }
                let done = carry::blocking(move || {
                    delete(&mut route, names);
                    route
                });
                match done.await {
                    Some(back) => route = back,
                    None => return,
                }
                for told in waiting {
                    let _ = told.send(());
                }
            }
        };
        (Deleter(sender), work)
    }

    /// Deletes links soon.
    pub fn delete(&self, names: Vec<String>) {
        if !names.is_empty() {
            // The receiver ends only with the service; recovery then deletes the links.
            let _ = self.0.send(Ask::Delete(names));
        }
    }

    /// Returns when the links of all earlier calls are deleted, as far as they can be.
    pub async fn catch_up(&self) {
        let (told, done) = oneshot::channel();
        // Both fail only when the service ends.
        let _ = self.0.send(Ask::Tell(told));
        let _ = done.await;
    }
}

/// Deletes those of the links that exist.
pub fn delete(route: &mut Route, names: Vec<String>) {
    let there: BTreeSet<String> = match route.links() {
        Ok(links) => links.into_iter().map(|link| link.name).collect(),
        Err(error) => {
            tracing::warn!(error = %gantry_rpc::chain(&error), "links cannot be listed");
            return;
        }
    };
    for name in names.iter().filter(|name| there.contains(*name)) {
        if let Err(error) = or_missing(route.delete_links([name.as_str()])) {
            tracing::warn!(link = name, error = %gantry_rpc::chain(&error), "link cannot be deleted");
        }
    }
}
