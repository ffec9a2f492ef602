//! The fields that container filters know: `id`, `runtime.name`, `image`, `labels.<key>`.

use std::borrow::Cow;

use gantry_proto::containerd::services::containers::v1::Container;
use gantry_types::filter::Fields;

/// A record seen by a filter.
#[derive(Debug)]
pub struct Filterable<'a>(pub &'a Container);

impl Fields for Filterable<'_> {
    fn field(&self, path: &[String]) -> Option<Cow<'_, str>> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let value = match path.as_slice() {
            ["id"] => &self.0.id,
            ["image"] => &self.0.image,
            ["runtime", "name"] => &self.0.runtime.as_ref()?.name,
            ["labels", key @ ..] => {
                return self.0.labels.get(&key.join(".")).map(|value| Cow::Borrowed(value.as_str()));
            }
            _ => return None,
        };
        (!value.is_empty()).then_some(Cow::Borrowed(value.as_str()))
    }
}
