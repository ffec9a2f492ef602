//! The size of a container's terminal.

use std::collections::BTreeMap;

use gantry_api::engine::Window;

use crate::containers::Containers;
use crate::error::Result;
use crate::events::Events;
use crate::peers::Tasks;

/// Changes the size of a running container's terminal.
pub async fn resize(
    containers: &Containers,
    tasks: &Tasks,
    events: &Events,
    name: &str,
    size: Window,
) -> Result<()> {
    let container = containers.find(name)?;
    container.running_pid()?;
    tasks.resize(&container.init(), size.width, size.height).await?;
    let more = BTreeMap::from([
        ("height".to_owned(), size.height.to_string()),
        ("width".to_owned(), size.width.to_string()),
    ]);
    events.publish_container(&container, "resize", more);
    Ok(())
}
