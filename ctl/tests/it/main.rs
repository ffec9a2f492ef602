//! The tool as it is shipped.

use std::process::{Command, Stdio};

#[test]
fn a_reader_that_leaves_ends_the_tool_in_silence() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let root = std::env::temp_dir().join(format!("gantry-tool-{}", std::process::id()));
    let mut tool = Command::new(env!("CARGO_BIN_EXE_gantry"));
    tool.arg("--root").arg(root).arg("status").stdout(writer).stderr(Stdio::piped());
    let output = tool.output().expect("it runs");
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
