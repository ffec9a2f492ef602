//! Events of images and networks for the engine's event log. The caller of these services publishes them, not the
//! services.

use gantry_api::engine::Event;
use gantry_api::network::Network;
use gantry_types::Reference;

/// What events are narrowed by.
pub const FILTERS: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

fn of<const N: usize>(kind: &str, action: &str, actor: &str, attributes: [(&str, &str); N]) -> Event {
    Event {
        kind: kind.to_owned(),
        action: action.to_owned(),
        actor_id: actor.to_owned(),
        attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ..Event::default()
    }
}

/// An event of an image: `load`, `save`, `import`, `untag`, `delete`. Its name is the image's id.
pub fn image(action: &str, id: &str) -> Event {
    of("image", action, id, [("name", id)])
}

/// An image was tagged.
pub fn tagged(id: &str, name: &str) -> Event {
    of("image", "tag", id, [("name", name)])
}

/// A canonical reference was pulled.
pub fn pulled(reference: &str) -> Event {
    let name = crate::image::familiar(reference);
    let repository =
        Reference::parse_normalized(reference).map_or_else(|_| name.clone(), |of| of.familiar_name());
    of("image", "pull", &name, [("name", &repository)])
}

/// A name was pushed.
pub fn pushed(name: &str) -> Event {
    of("image", "push", name, [("name", name)])
}

/// A network was created or removed: `create`, `destroy`.
pub fn network(action: &str, network: &Network) -> Event {
    of("network", action, &network.id, [("name", &network.name), ("type", &network.driver)])
}

/// Unused objects of a type were removed.
pub fn pruned(kind: &str, reclaimed: u64) -> Event {
    of(kind, "prune", "", [("reclaimed", &reclaimed.to_string())])
}
