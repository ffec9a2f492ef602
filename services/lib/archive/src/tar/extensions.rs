//! The headers before an entry that extend it.

use super::LONGEST_NAME;
use super::pax::Pax;

/// Names from GNU's long name headers, and the pax header.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) pax: Option<Pax>,
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
}

impl Extensions {
    pub(super) fn is_empty(&self) -> bool {
        self.pax.is_none() && self.path.is_none() && self.link.is_none()
    }

    pub(super) fn set_pax(&mut self, pax: Pax) -> Result<(), String> {
        if self.path.is_some() || self.link.is_some() {
            return Err("follows a GNU long name".to_owned());
        }
        match self.pax.replace(pax) {
            Some(_) => Err("follows another one".to_owned()),
            None => Ok(()),
        }
    }

    pub(super) fn set_long(&mut self, flag: u8, mut bytes: Vec<u8>) -> Result<(), String> {
        if self.pax.is_some() {
            return Err("is a GNU long name behind a pax header".to_owned());
        }
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        if bytes.contains(&0) || bytes.is_empty() || bytes.len() > LONGEST_NAME {
            return Err("has a long name that is no name".to_owned());
        }
        let slot = if flag == b'L' { &mut self.path } else { &mut self.link };
        match slot.replace(bytes) {
            Some(_) => Err("gives a second long name".to_owned()),
            None => Ok(()),
        }
    }
}
