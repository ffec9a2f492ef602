//! What a release has promised stays: rpcs, fields and values keep their names, numbers and types.
//!
//! `proto/released.txt` has a line for each of them. A line that no longer holds breaks clients that were built with
//! that release; new lines are added by `make contracts`.

use std::collections::BTreeSet;

use prost_types::{DescriptorProto, EnumDescriptorProto};

use crate::descriptors::{is_entry, ours, type_of};
use crate::{repository, writes};

/// One line for everything that clients rely on.
fn promises() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (package, files) in ours() {
        for file in files {
            for service in &file.descriptor.service {
                for rpc in &service.method {
                    let stream = |is: bool| if is { "stream " } else { "" };
                    lines.insert(format!(
                        "rpc {package}.{}/{} ({}{}) returns ({}{})",
                        service.name(),
                        rpc.name(),
                        stream(rpc.client_streaming()),
                        rpc.input_type().trim_start_matches('.'),
                        stream(rpc.server_streaming()),
                        rpc.output_type().trim_start_matches('.'),
                    ));
                }
            }
            file.descriptor.message_type.iter().for_each(|message| of_message(&package, message, &mut lines));
            file.descriptor.enum_type.iter().for_each(|values| of_enum(&package, values, &mut lines));
        }
    }
    lines
}

fn of_message(scope: &str, message: &DescriptorProto, lines: &mut BTreeSet<String>) {
    let name = format!("{scope}.{}", message.name());
    for field in &message.field {
        lines.insert(format!(
            "field {name} {} = {}: {}",
            field.name(),
            field.number(),
            type_of(field, message)
        ));
    }
    message.enum_type.iter().for_each(|values| of_enum(&name, values, lines));
    for nested in message.nested_type.iter().filter(|nested| !is_entry(nested)) {
        of_message(&name, nested, lines);
    }
}

fn of_enum(scope: &str, values: &EnumDescriptorProto, lines: &mut BTreeSet<String>) {
    for value in &values.value {
        lines.insert(format!("value {scope}.{} {} = {}", values.name(), value.name(), value.number()));
    }
}

#[test]
fn nothing_that_was_released_is_taken_back() {
    let path = repository("proto/released.txt");
    let now = promises();
    if writes() {
        let text: String = now.iter().map(|line| format!("{line}\n")).collect();
        return std::fs::write(path, text).expect("written");
    }
    let released = std::fs::read_to_string(path).expect("proto/released.txt");
    let broken: Vec<&str> = released.lines().filter(|line| !now.contains(*line)).collect();
    assert!(broken.is_empty(), "released, and not so any more:\n{}", broken.join("\n"));
}
