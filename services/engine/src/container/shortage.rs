//! Takes in that containers ran out of memory, as the tasks service reports it.

use std::collections::BTreeMap;

use gantry_daemon::Context;

use crate::containers::Containers;
use crate::events::Events;
use crate::peers::{Published, Shortage};
use crate::retry::RESUBSCRIBE;

/// Subscribes to memory shortages, without end. They are recorded in the background, until the service of `context`
/// ends.
pub(crate) async fn listen(containers: Containers, published: Published, events: Events, context: Context) {
    loop {
        if let Ok(mut shortages) = published.shortages().await {
            while let Some(shortage) = shortages.next().await {
                take(&containers, &events, &context, &shortage);
            }
        }
        // Reports before the next subscription are missed.
        tokio::time::sleep(RESUBSCRIBE).await;
    }
}

fn take(containers: &Containers, events: &Events, context: &Context, shortage: &Shortage) {
    let Ok(container) = containers.find(&shortage.container) else { return };
    if !container.change(|life| life.take_shortage(shortage.at)) {
        return;
    }
    events.publish_container(&container, "oom", BTreeMap::new());
    let containers = containers.clone();
    context.spawn("record a memory shortage", async move {
        let _turn = container.operate().await;
        if container.life().is_removed() {
            return;
        }
        let state = container.life().recorded();
        if let Err(error) = containers.write_state(&container, &state).await {
            tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "state not recorded");
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::container::life::Memory;
    use crate::stage::Stage;

    #[tokio::test]
    async fn a_shortage_of_the_present_run_is_published_and_recorded() {
        let stage = Stage::new();
        let (container, context) = (stage.running("web").await, stage.context());
        let shortage = |container: &str| Shortage { container: container.to_owned(), at: 5 };
        for of in [container.id(), "unknown"] {
            take(&stage.containers, &stage.events, &context, &shortage(of));
        }
        assert_eq!(stage.told(), ["oom"]);
        let recorded = async {
            while stage.written(&container).await.1.past().memory == Memory::Sufficed {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), recorded).await.expect("it is recorded");
    }
}
