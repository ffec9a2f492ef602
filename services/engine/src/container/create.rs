//! Creates a container: first all checks, then the steps, each of which succeeds if it is already done.
//!
//! 1. The intent is written (stage `Creating`) under a reserved name.
//! 2. The tasks service gets the container record, and the root that the record keeps is prepared.
//! 3. The root gets what every root has; volumes are created and filled.
//! 4. The record becomes `Ready`, and the client gets the id.
//!
//! If a step fails, or the engine crashes, a container that has not become `Ready` is removed by the same code that
//! removes containers. [`plan`] makes the checks and the record, [`make`] carries out the steps.

mod defaults;
pub mod make;
pub mod plan;

use std::collections::BTreeMap;

use gantry_api::engine::{CreateSpec, Created};
use gantry_failpoint::failpoint;

use self::make::Making;
use self::plan::{Plan, Plans};
use crate::error::Result;
use crate::events::Events;

/// Creates a container, which is durable when this returns.
pub async fn create(plans: &Plans, making: &Making, events: &Events, request: CreateSpec) -> Result<Created> {
    let Plan { record, spec, platform, warnings } = plans.plan(request).await?;
    let container = making.make(record, &spec, &platform).await?;
    failpoint!("engine.create.ready", infallible);
    events.publish_container(&container, "create", BTreeMap::new());
    Ok(Created { id: container.id().to_owned(), warnings })
}
