//! All containers by id and by name, and the resolution of what a user typed to a container.
//!
//! The map is locked for one edit or lookup, never across an await. A name belongs to a container from its
//! reservation (before the record is written) to its release (after the record is deleted).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::container::Container;
use crate::error::{Error, Result};
use crate::generation::Generation;
use crate::names;

/// Attempts to generate a free name.
const ATTEMPTS: u32 = 6;

/// All containers.
#[derive(Default)]
pub struct Index {
    maps: RwLock<Maps>,
    /// Counts changes of what container lists show.
    generation: Arc<Generation>,
}

#[derive(Default)]
struct Maps {
    by_id: BTreeMap<String, Arc<Container>>,
    /// Id by name. The container of a reserved name may not exist yet.
    by_name: HashMap<String, String>,
}

impl Index {
    /// The counter of changes.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// Reserves a name for an id; generates one if `wanted` is empty.
    pub fn reserve(&self, wanted: &str, id: &str) -> Result<String> {
        let mut maps = self.maps.write();
        if wanted.is_empty() {
            let name = (0..ATTEMPTS)
                .map(names::made_up)
                .find(|name| !maps.by_name.contains_key(name))
                .unwrap_or_else(|| names::short(id).to_owned());
            maps.by_name.insert(name.clone(), id.to_owned());
            return Ok(name);
        }
        let name = wanted.strip_prefix('/').unwrap_or(wanted);
        if !names::is_valid(name) {
            return Err(Error::InvalidName(wanted.to_owned()));
        }
        if let Some(owner) = maps.by_name.get(name) {
            return Err(Error::NameInUse { name: name.to_owned(), id: owner.clone() });
        }
        maps.by_name.insert(name.to_owned(), id.to_owned());
        Ok(name.to_owned())
    }

    /// Releases a name if it still belongs to the id.
    pub fn release(&self, name: &str, id: &str) {
        let mut maps = self.maps.write();
        if maps.by_name.get(name).is_some_and(|owner| owner == id) {
            maps.by_name.remove(name);
        }
    }

    /// Adds a container whose name is reserved.
    pub fn insert(&self, container: Arc<Container>) {
        let mut maps = self.maps.write();
        maps.by_id.insert(container.id().to_owned(), container);
        self.generation.advance();
    }

    /// Removes a container and its name.
    pub fn remove(&self, id: &str) {
        let mut maps = self.maps.write();
        if let Some(container) = maps.by_id.remove(id) {
            let name = container.name();
            if maps.by_name.get(&name).is_some_and(|owner| owner == id) {
                maps.by_name.remove(&name);
            }
            self.generation.advance();
        }
    }

    /// Finds a container by full id, exact name (also `parent/alias` of a link), or unique id prefix, in this order.
    pub fn find(&self, text: &str) -> Result<Arc<Container>> {
        if text.is_empty() {
            return Err(Error::Invalid("invalid name or ID supplied: \"\"".to_owned()));
        }
        let maps = self.maps.read();
        let missing = || Error::NoSuchContainer(text.to_owned());
        if let Some(container) = maps.by_id.get(text) {
            return Ok(Arc::clone(container));
        }
        let name = text.strip_prefix('/').unwrap_or(text);
        if let Some(id) = maps.by_name.get(name) {
            return maps.by_id.get(id).cloned().ok_or_else(missing);
        }
        if let Some((parent, alias)) = name.split_once('/') {
            let parent = maps.by_name.get(parent).and_then(|id| maps.by_id.get(id)).ok_or_else(missing)?;
            let record = parent.record();
            let link = record.links.iter().find(|link| link.alias == alias).ok_or_else(missing)?;
            return maps.by_id.get(&link.child).cloned().ok_or_else(missing);
        }
        let prefix = text.strip_prefix("sha256:").unwrap_or(text);
        if !names::is_id_prefix(prefix) {
            return Err(missing());
        }
        let mut matching = maps.by_id.range(prefix.to_owned()..).take_while(|(id, _)| id.starts_with(prefix));
        match (matching.next(), matching.next()) {
            (Some((_, container)), None) => Ok(Arc::clone(container)),
            (Some(_), Some(_)) => Err(Error::AmbiguousPrefix(text.to_owned())),
            (None, _) => Err(missing()),
        }
    }

    /// All containers in arbitrary order.
    pub fn all(&self) -> Vec<Arc<Container>> {
        self.maps.read().by_id.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::life::Life;
    use crate::record::Record;

    fn add(index: &Index, id: &str, name: &str) {
        let name = index.reserve(name, id).expect("free");
        let record = Record { id: id.to_owned(), name, ..Default::default() };
        let container = Container::new(record, Life::default(), &index.generation);
        index.insert(Arc::new(container.expect("an id")));
    }

    #[test]
    fn ids_come_before_names_and_names_before_prefixes() {
        let index = Index::default();
        add(&index, &"a".repeat(64), "web");
        add(&index, &format!("ab{}", "c".repeat(62)), "aa");
        assert_eq!(index.find("aa").expect("by name").name(), "aa");
        assert_eq!(index.find("/web").expect("by name").name(), "web");
        assert_eq!(index.find("ab").expect("by prefix").name(), "aa");
        assert!(matches!(index.find("a"), Err(Error::AmbiguousPrefix(_))));
        assert!(matches!(index.find("zzz"), Err(Error::NoSuchContainer(_))));
    }

    #[test]
    fn a_name_is_given_once_until_it_is_released() {
        let index = Index::default();
        add(&index, &"a".repeat(64), "web");
        assert!(matches!(index.reserve("/web", "b"), Err(Error::NameInUse { .. })));
        index.remove(&"a".repeat(64));
        assert_eq!(index.reserve("/web", "b").expect("free"), "web");
        assert!(matches!(index.reserve("w", "b"), Err(Error::InvalidName(_))));
        assert!(!index.reserve("", "c").expect("made up").is_empty());
    }
}
