//! What a service's exit code says to who starts it, beside that it failed (1). The numbers are those of sysexits(3).

use std::error::Error;
use std::io;

use crate::settings;

/// Its settings are refused: it will not start before somebody corrects them.
pub const SETTINGS: u8 = 78;
/// Another process holds its state, and may be about to go.
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
