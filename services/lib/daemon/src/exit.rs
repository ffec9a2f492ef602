//! Exit codes that tell the process that started a service why the service failed; 1 stands for every other reason.
//! The numbers are those of sysexits(3).

use std::error::Error;
use std::io;

use crate::settings;

/// The settings are invalid: the service does not start before they are corrected.
pub const SETTINGS: u8 = 78;
/// Another process, which may be about to end, has locked the state directory.
pub const HELD: u8 = 75;

pub(crate) fn code(error: &(dyn Error + 'static)) -> u8 {
    if error.is::<settings::Error>() {
        return SETTINGS;
    }
    match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::WouldBlock => HELD,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_decides() {
        let refused = settings::Error::Pair("x".to_owned());
        assert_eq!(code(&refused), SETTINGS);
        assert_eq!(code(&io::Error::new(io::ErrorKind::WouldBlock, "another process serves it")), HELD);
        assert_eq!(code(&io::Error::from(io::ErrorKind::AddrInUse)), 1);
    }
}
