//! The address of a shim, as its start helper prints it: protobuf (2.3 and later), JSON (2.0 to 2.2), or the bare
//! address (earlier versions, which means ttrpc and version 2).

use gantry_proto::containerd::runtime::bootstrap::v1::BootstrapResult;
use prost::Message;
use serde::{Deserialize, Serialize};

/// The newest version of the shim's task service that this service speaks.
const NEWEST: i32 = 3;

/// The protocol on the shim's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// containerd's ttrpc.
    Ttrpc,
}

/// How to reach a shim; kept as `<bundle>/bootstrap.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// 2 or 3: the version in `containerd.task.vN.Task`.
    pub version: i32,
    /// `unix:///path`.
    pub address: String,
    /// The protocol on the socket.
    pub protocol: Protocol,
}

impl Bootstrap {
    /// Parses the output of a start helper, or the content of `bootstrap.json`.
    pub fn parse(output: &[u8]) -> Result<Bootstrap, String> {
        let trimmed = output.trim_ascii();
        let bootstrap = if trimmed.starts_with(b"{") {
            serde_json::from_slice(trimmed).map_err(|error| format!("unreadable answer: {error}"))?
        } else if trimmed.starts_with(b"unix://") || trimmed.starts_with(b"/") {
            let address =
                String::from_utf8(trimmed.to_vec()).map_err(|_| "its address is not text".to_owned())?;
            Bootstrap { version: 2, address, protocol: Protocol::Ttrpc }
        } else {
            Bootstrap::from_proto(output)?
        };
        if bootstrap.version > NEWEST {
            return Err(format!(
                "it speaks version {} of the task service; {NEWEST} is the newest known",
                bootstrap.version
            ));
        }
        Ok(Bootstrap { version: bootstrap.version.max(2), ..bootstrap })
    }

    fn from_proto(output: &[u8]) -> Result<Bootstrap, String> {
        let unreadable = || format!("unreadable answer: {}", String::from_utf8_lossy(output).trim());
        let result = BootstrapResult::decode(output).map_err(|_| unreadable())?;
        let protocol = match result.protocol.as_str() {
            "grpc" => Protocol::Grpc,
            "" | "ttrpc" => Protocol::Ttrpc,
            _ => return Err(unreadable()),
        };
        if result.address.is_empty() {
            return Err(unreadable());
        }
        Ok(Bootstrap { version: result.version, address: result.address, protocol })
    }

    /// The socket's path.
    pub fn socket(&self) -> &str {
        self.address.strip_prefix("unix://").unwrap_or(&self.address)
    }

    /// The content of `bootstrap.json`.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of plain fields serialises")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_styles_are_understood() {
        let json = Bootstrap::parse(br#"{"version":3,"address":"unix:///s/x","protocol":"grpc"}"#).unwrap();
        assert_eq!((json.version, json.socket(), json.protocol), (3, "/s/x", Protocol::Grpc));
        let text = Bootstrap::parse(b"unix:///s/y\n").unwrap();
        assert_eq!((text.version, text.socket(), text.protocol), (2, "/s/y", Protocol::Ttrpc));
        let result = BootstrapResult {
            version: 3,
            address: "unix:///s/z".into(),
            protocol: "ttrpc".into(),
            ..Default::default()
        };
        let proto = Bootstrap::parse(&result.encode_to_vec()).unwrap();
        assert_eq!((proto.version, proto.socket(), proto.protocol), (3, "/s/z", Protocol::Ttrpc));
        assert_eq!(Bootstrap::parse(&json.to_json()).unwrap(), json);
    }

    #[test]
    fn nonsense_and_the_future_are_refused() {
        assert!(Bootstrap::parse(b"panic: no such file").is_err());
        assert!(Bootstrap::parse(b"").is_err());
        assert!(Bootstrap::parse(br#"{"version":9,"address":"unix:///s/x","protocol":"grpc"}"#).is_err());
    }
}
