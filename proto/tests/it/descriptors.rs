//! The compiled files, with their comments.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// A file, and what is said in it about each of its parts.
pub struct File {
    pub descriptor: FileDescriptorProto,
    comments: BTreeMap<Vec<i32>, String>,
}

impl File {
    fn new(descriptor: FileDescriptorProto) -> Self {
        let locations = descriptor.source_code_info.iter().flat_map(|info| &info.location);
        let comments = locations.filter_map(|location| {
            let detached = location.leading_detached_comments.iter();
            let all: Vec<&str> = detached
                .chain(&location.leading_comments)
                .map(|comment| comment.trim_matches('\n'))
                .collect();
            let said = all.join("\n\n");
            (!said.is_empty()).then(|| (location.path.clone(), lines_of(&said)))
        });
        let comments = comments.collect();
        Self { descriptor, comments }
    }

    /// What is said about the part at `path` (as in `SourceCodeInfo.Location`); empty when nothing is.
    pub fn comment(&self, path: &[i32]) -> &str {
        self.comments.get(path).map_or("", String::as_str)
    }

    /// What stands above the file's first statement, or its package.
    pub fn about(&self) -> &str {
        [&[12][..], &[2]]
            .iter()
            .map(|path| self.comment(path))
            .find(|said| !said.is_empty())
            .unwrap_or_default()
    }
}

/// Takes the blank after the slashes away from each line.
fn lines_of(comment: &str) -> String {
    let lines = comment.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

/// Our own files: those of the packages `gantry.…`, by package.
pub fn ours() -> BTreeMap<String, Vec<File>> {
    let set = FileDescriptorSet::decode(gantry_proto::FILE_DESCRIPTOR_SET).expect("descriptors");
    let mut packages = BTreeMap::<_, Vec<_>>::new();
    for file in set.file.into_iter().filter(|file| file.package().starts_with("gantry.")) {
        packages.entry(file.package().to_owned()).or_default().push(File::new(file));
    }
    packages
}

/// A field's type as it is written.
pub fn type_of(field: &FieldDescriptorProto, within: &DescriptorProto) -> String {
    let named = || field.type_name().trim_start_matches('.').to_owned();
    let one = match field.r#type() {
        Type::Double => "double".to_owned(),
        Type::Float => "float".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::Uint64 => "uint64".to_owned(),
        Type::Int32 => "int32".to_owned(),
        Type::Fixed64 => "fixed64".to_owned(),
        Type::Fixed32 => "fixed32".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::String => "string".to_owned(),
        Type::Bytes => "bytes".to_owned(),
        Type::Uint32 => "uint32".to_owned(),
        Type::Sfixed32 => "sfixed32".to_owned(),
        Type::Sfixed64 => "sfixed64".to_owned(),
        Type::Sint32 => "sint32".to_owned(),
        Type::Sint64 => "sint64".to_owned(),
        Type::Group | Type::Message | Type::Enum => named(),
    };
    let last = one.rsplit('.').next().unwrap_or_default();
    let entry = within.nested_type.iter().find(|nested| {
        nested.name() == last && nested.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry)
    });
    match (entry, field.label()) {
        (Some(entry), _) => {
            format!("map<{}, {}>", type_of(&entry.field[0], entry), type_of(&entry.field[1], entry))
        }
        (None, Label::Repeated) => format!("repeated {one}"),
        (None, _) if field.proto3_optional() => format!("optional {one}"),
        (None, _) => one,
    }
}

/// Whether a message stands for a map's entries; such a message is generated.
pub fn is_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry)
}
