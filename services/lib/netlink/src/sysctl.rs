//! Sysctls under /proc/sys. Those under `net/` belong to the calling thread's network namespace.

use std::fs;

use crate::error::{Error, Result};

/// Writes a sysctl, named with slashes: `net/ipv4/ip_forward`.
pub fn write(name: &str, value: &str) -> Result<()> {
    fs::write(path(name)?, value).map_err(|source| Error::Sysctl { name: name.to_owned(), source })
}

/// Reads a sysctl, without its final newline.
pub fn read(name: &str) -> Result<String> {
    let text =
        fs::read_to_string(path(name)?).map_err(|source| Error::Sysctl { name: name.to_owned(), source })?;
    Ok(text.trim_end().to_owned())
}

/// Writes a sysctl only when its value differs. Returns whether it did.
pub fn ensure(name: &str, value: &str) -> Result<bool> {
    if read(name)? == value {
        return Ok(false);
    }
    write(name, value)?;
    Ok(true)
}

fn path(name: &str) -> Result<String> {
    if name.is_empty() || name.starts_with('/') || name.split('/').any(|part| part == ".." || part.is_empty())
    {
        let source = std::io::Error::from(std::io::ErrorKind::InvalidInput);
        return Err(Error::Sysctl { name: name.to_owned(), source });
    }
    Ok(format!("/proc/sys/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_tree() {
        assert!(read("../self/environ").is_err());
        assert!(read("/etc/passwd").is_err());
        assert!(read("net/ipv4/ip_forward").is_ok());
    }
}
