//! The ids of containers and processes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Error, Result, identifier};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// An [`identifier`], cheap to clone.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                identifier::validate(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

ids! {
    /// The id of a container and of its task, unique in its namespace.
    ContainerId;
    /// The id of an exec, unique in its task.
    ExecId;
}

/// A process of a task: init or an exec.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    /// The task.
    pub container: ContainerId,
    /// The exec; `None` for init.
    pub exec: Option<ExecId>,
}

impl ProcessId {
    /// The init process of a task.
    pub fn init(container: &ContainerId) -> Self {
        Self { container: container.clone(), exec: None }
    }

    /// An exec of a task.
    pub fn exec(container: &ContainerId, exec: &ExecId) -> Self {
        Self { container: container.clone(), exec: Some(exec.clone()) }
    }

    /// The exec id in messages: empty for init.
    pub fn exec_text(&self) -> &str {
        self.exec.as_ref().map_or("", ExecId::as_str)
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.exec {
            None => write!(f, "{}", self.container),
            Some(exec) => write!(f, "{exec} of {}", self.container),
        }
    }
}

impl fmt::Debug for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_init_or_an_exec() {
        let (container, exec): (ContainerId, ExecId) = ("c".parse().unwrap(), "e-1".parse().unwrap());
        let (init, further) = (ProcessId::init(&container), ProcessId::exec(&container, &exec));
        assert_eq!((init.exec_text(), further.exec_text()), ("", "e-1"));
        assert_eq!((init.to_string(), further.to_string()), ("c".to_owned(), "e-1 of c".to_owned()));
        assert!(init < further);
        assert!("../c".parse::<ContainerId>().is_err() && "".parse::<ExecId>().is_err());
    }
}
