//! Implements the engine's part of fsck.

use gantry_api::fsck::{Check, Depth, Repair, Stray};

use crate::engine::Engine;
use crate::error::Result;
use crate::strays::check::Told;

impl Check for Engine {
    /// All checks are quick, so the depth changes nothing.
    async fn check(&self, repair: Repair, _: Depth) -> Result<Vec<Stray>> {
        let strays = Engine::check(self, repair == Repair::Yes).await?;
        Ok(strays.into_iter().map(stray).collect())
    }
}

fn stray(told: Told) -> Stray {
    Stray { kind: told.kind, name: told.name, detail: told.detail, repaired: told.repaired }
}
