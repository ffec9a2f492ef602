//! Names of snapshots.

use std::fmt;
use std::str::FromStr;

use crate::wire::Invalid;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $what:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// Any text but the empty one.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                if text.is_empty() { Err(Invalid::Text { what: $what, value: text }) } else { Ok(Self(text)) }
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                text.to_owned().try_into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// The key of an active snapshot or a view, in its namespace and snapshotter.
    SnapshotKey: "snapshot key";
    /// The name of a committed snapshot, in its namespace and snapshotter: in most cases a layer's chain id.
    SnapshotName: "snapshot name";
    /// A key or a name, where both are accepted.
    SnapshotRef: "snapshot key or name";
}

impl From<SnapshotKey> for SnapshotRef {
    fn from(key: SnapshotKey) -> Self {
        Self(key.0)
    }
}

impl From<SnapshotName> for SnapshotRef {
    fn from(name: SnapshotName) -> Self {
        Self(name.0)
    }
}
