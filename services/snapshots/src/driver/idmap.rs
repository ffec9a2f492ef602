//! Snapshots of containers whose users are mapped. By containerd's labels, the service that mounts one has to show
//! the layers' files with the mapped ids as owners (`mount_setattr(2)`, `MOUNT_ATTR_IDMAP`). No file is copied, and
//! no file's owner changes.

use crate::{Error, Result};

const UIDS: &str = "containerd.io/snapshot/uidmapping";
const GIDS: &str = "containerd.io/snapshot/gidmapping";

/// The ids that a snapshot's labels map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    uids: Mapping,
    gids: Mapping,
}

/// `inside:outside:count,…`, as it was given, and as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mapping {
    text: String,
    ranges: Vec<[u32; 3]>,
}

impl IdMap {
    /// What the labels of a snapshot say; none without them.
    ///
    /// # Errors
    ///
    /// `Invalid` for a label without its other, and for what is no mapping.
    pub fn of<'l>(labels: impl IntoIterator<Item = (&'l String, &'l String)>) -> Result<Option<Self>> {
        let (mut uids, mut gids) = (None, None);
        for (label, value) in labels {
            match label.as_str() {
                UIDS => uids = Some(Mapping::parse(value)?),
                GIDS => gids = Some(Mapping::parse(value)?),
                _ => {}
            }
        }
        match (uids, gids) {
            (None, None) => Ok(None),
            (Some(uids), Some(gids)) => Ok(Some(Self { uids, gids })),
            _ => Err(Error::Invalid(format!("labels {UIDS} and {GIDS} go together"))),
        }
    }

    /// The options of a mount that shows the snapshot.
    pub fn options(&self) -> [String; 2] {
        [format!("uidmap={}", self.uids.text), format!("gidmap={}", self.gids.text)]
    }

    /// Whom a file belongs to that belongs to `uid` and `gid` in the image.
    ///
    /// # Errors
    ///
    /// `Invalid` when one of them is not mapped.
    pub fn outside(&self, uid: u32, gid: u32) -> Result<(u32, u32)> {
        let mapped = |mapping: &Mapping, id| {
            mapping.outside(id).ok_or_else(|| {
                Error::Invalid(format!("the mapping {} does not have the id {id}", mapping.text))
            })
        };
        Ok((mapped(&self.uids, uid)?, mapped(&self.gids, gid)?))
    }
}

impl Mapping {
    fn parse(text: &str) -> Result<Self> {
        let range = |range: &str| {
            let numbers: Option<Vec<u32>> = range.split(':').map(|number| number.parse().ok()).collect();
            let [inside, outside, count] = numbers?.try_into().ok()?;
            let fits =
                count > 0 && inside.checked_add(count).is_some() && outside.checked_add(count).is_some();
            fits.then_some([inside, outside, count])
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        let ranges = ranges.ok_or_else(|| {
            Error::Invalid(format!("{text:?} maps no ids: inside:outside:count[,…] is meant"))
        })?;
        Ok(Self { text: text.to_owned(), ranges })
    }

    fn outside(&self, id: u32) -> Option<u32> {
        let [inside, outside, _] =
            self.ranges.iter().find(|[inside, _, count]| id >= *inside && id - inside < *count)?;
        Some(id - inside + outside)
    }
}

#[cfg(test)]
mod tests {
    use gantry_types::Labels;

    use super::*;

    fn labels(uids: &str, gids: &str) -> Labels {
        Labels::from([(UIDS, uids), (GIDS, gids)])
    }

    #[test]
    fn ids_are_mapped_by_ranges() {
        let map = IdMap::of(&labels("0:1000:1,1:100000:65535", "0:5:10")).unwrap().unwrap();
        assert_eq!(map.options(), ["uidmap=0:1000:1,1:100000:65535", "gidmap=0:5:10"]);
        assert_eq!(map.outside(0, 9).unwrap(), (1000, 14));
        assert_eq!(map.outside(7, 0).unwrap(), (100_006, 5));
        assert!(map.outside(0, 10).is_err());
    }

    #[test]
    fn what_maps_nothing_is_refused() {
        for text in ["", "0", "0:1", "0:1:0", "0:1:1:1", "x:1:1", "0:4294967295:2", "0:1:1,"] {
            assert!(IdMap::of(&labels(text, "0:5:10")).is_err(), "{text}");
        }
        assert!(IdMap::of(&Labels::from([(UIDS, "0:1:1")])).is_err());
        assert_eq!(IdMap::of(&Labels::default()).unwrap(), None);
    }
}
