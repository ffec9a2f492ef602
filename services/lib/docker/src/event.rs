//! What happened to images and networks, for the engine's event log: their services do not write it, who asked them does.

use gantry_proto::gantry::engine::v1::Event;
use gantry_proto::gantry::network::v1::Network;
use gantry_types::Reference;

fn of<const N: usize>(kind: &str, action: &str, actor: &str, attributes: [(&str, &str); N]) -> Event {
    Event {
        r#type: kind.to_owned(),
        action: action.to_owned(),
        actor_id: actor.to_owned(),
        attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ..Event::default()
    }
}

/// Something became of an image, which has its id for a name there: `load`, `save`, `import`, `untag`, `delete`.
pub fn image(action: &str, id: &str) -> Event {
    of("image", action, id, [("name", id)])
}

/// An image was given a name.
pub fn tagged(id: &str, name: &str) -> Event {
    of("image", "tag", id, [("name", name)])
}

/// A reference, canonical, was pulled.
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

/// A network was made or removed: `create`, `destroy`.
pub fn network(action: &str, network: &Network) -> Event {
    of("network", action, &network.id, [("name", &network.name), ("type", &network.driver)])
}

/// What was not used of a kind was removed.
pub fn pruned(kind: &str, reclaimed: u64) -> Event {
    of(kind, "prune", "", [("reclaimed", &reclaimed.to_string())])
}
