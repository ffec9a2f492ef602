//! A page for each of our packages (`docs/api/<package>.md`), written from the files' own comments.

use std::fmt::Write;

use prost_types::{DescriptorProto, EnumDescriptorProto};

use crate::descriptors::{File, is_entry, ours, type_of};
use crate::{repository, writes};

/// `FileDescriptorProto.message_type`, `enum_type`, `service`; `ServiceDescriptorProto.method`;
/// `DescriptorProto.field`, `nested_type`, `enum_type`; `EnumDescriptorProto.value`.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const SERVICES: i32 = 6;
const METHODS: i32 = 2;
const FIELDS: i32 = 2;
const NESTED: i32 = 3;
const NESTED_ENUMS: i32 = 4;
const VALUES: i32 = 2;

/// The page of a package.
fn page(package: &str, files: &[File]) -> String {
    let mut page = format!("# {package}\n\nWritten from the files below `proto/` by `make contracts`.\n");
    for file in files.iter().filter(|file| !file.about().is_empty()) {
        let _ = write!(page, "\n{}\n", file.about());
    }
    for file in files {
        services(file, &mut page);
    }
    for file in files {
        for (message, at) in file.descriptor.message_type.iter().zip(0..) {
            of_message(file, message, "", &[MESSAGES, at], &mut page);
        }
        for (values, at) in file.descriptor.enum_type.iter().zip(0..) {
            of_enum(file, values, "", &[ENUMS, at], &mut page);
        }
    }
    page
}

fn services(file: &File, page: &mut String) {
    for (service, at) in file.descriptor.service.iter().zip(0..) {
        let _ = write!(page, "\n## {}\n", service.name());
        paragraph(page, file.comment(&[SERVICES, at]));
        for (rpc, number) in service.method.iter().zip(0..) {
            let stream = |is: bool| if is { "stream " } else { "" };
            let (request, answer) = (short(rpc.input_type()), short(rpc.output_type()));
            let _ = write!(
                page,
                "\n### {}\n\n`rpc {}({}{request}) returns ({}{answer})`\n",
                rpc.name(),
                rpc.name(),
                stream(rpc.client_streaming()),
                stream(rpc.server_streaming()),
            );
            paragraph(page, file.comment(&[SERVICES, at, METHODS, number]));
        }
    }
}

fn of_message(file: &File, message: &DescriptorProto, scope: &str, path: &[i32], page: &mut String) {
    let name = format!("{scope}{}", message.name());
    let _ = write!(page, "\n#### {name}\n");
    paragraph(page, file.comment(path));
    if !message.field.is_empty() {
        page.push('\n');
    }
    for (field, at) in message.field.iter().zip(0..) {
        let kind = type_of(field, message);
        let _ = write!(page, "- `{}` = {}: `{kind}`", field.name(), field.number());
        item(page, file.comment(&[path, &[FIELDS, at]].concat()));
    }
    let scope = format!("{name}.");
    for (nested, at) in message.nested_type.iter().zip(0..).filter(|(nested, _)| !is_entry(nested)) {
        of_message(file, nested, &scope, &[path, &[NESTED, at]].concat(), page);
    }
    for (values, at) in message.enum_type.iter().zip(0..) {
        of_enum(file, values, &scope, &[path, &[NESTED_ENUMS, at]].concat(), page);
    }
}

fn of_enum(file: &File, values: &EnumDescriptorProto, scope: &str, path: &[i32], page: &mut String) {
    let _ = write!(page, "\n#### {scope}{}\n", values.name());
    paragraph(page, file.comment(path));
    page.push('\n');
    for (value, at) in values.value.iter().zip(0..) {
        let _ = write!(page, "- `{}` = {}", value.name(), value.number());
        item(page, file.comment(&[path, &[VALUES, at]].concat()));
    }
}

fn paragraph(page: &mut String, said: &str) {
    if !said.is_empty() {
        let _ = write!(page, "\n{said}\n");
    }
}

/// Ends an item of a list.
fn item(page: &mut String, said: &str) {
    let said = said.lines().collect::<Vec<_>>().join(" ");
    match said.is_empty() {
        true => page.push('\n'),
        false => {
            let _ = writeln!(page, ". {said}");
        }
    }
}

/// A type's name without its package.
fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[test]
fn every_rpc_says_what_it_promises() {
    let mut silent = Vec::new();
    for file in ours().values().flatten() {
        for (service, at) in file.descriptor.service.iter().zip(0..) {
            for (rpc, number) in service.method.iter().zip(0..) {
                if file.comment(&[SERVICES, at, METHODS, number]).is_empty() {
                    silent.push(format!("{}/{}", service.name(), rpc.name()));
                }
            }
        }
    }
    assert!(silent.is_empty(), "rpcs without a word: {silent:?}");
}

#[test]
fn the_pages_are_what_the_files_say() {
    for (package, files) in ours() {
        let path = repository(&format!("docs/api/{package}.md"));
        let page = page(&package, &files);
        if writes() {
            std::fs::write(&path, &page).expect("written");
            continue;
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == page, "{} is not what the files say: `make contracts` writes it", path.display());
    }
}
