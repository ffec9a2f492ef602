//! `POST /commit`

use gantry_api::engine::CommitSpec;
use gantry_api::engine::containers::Manage as _;
use gantry_types::Reference;
use http::StatusCode;

use crate::call::Call;
use crate::convert::config;
use crate::error::Error;
use crate::peers::failed;
use crate::response::{self, Response};
use crate::wire::IdResponse;
use crate::wire::container::Config;

/// Makes an image of a container.
pub async fn commit(mut call: Call) -> Result<Response, Error> {
    let asked: Config = call.json_or_default().await?;
    let bad = |error: gantry_types::Error| Error::bad(error.to_string());
    let reference = match (call.query.text("repo"), call.query.text("tag")) {
        ("", _) => None,
        (repository, "") => Some(Reference::parse_normalized(repository).map_err(bad)?),
        (repository, tag) => {
            let named = Reference::parse_normalized(repository).map_err(bad)?;
            Some(named.with_tag(tag).map_err(|_| Error::bad("invalid tag format"))?)
        }
    };
    let reference = reference.map(Reference::with_default_tag);
    let spec = CommitSpec {
        container: call.query.text("container").to_owned(),
        reference: reference.as_ref().map(ToString::to_string).unwrap_or_default(),
        comment: call.query.text("comment").to_owned(),
        author: call.query.text("author").to_owned(),
        pause: call.query.flag_or("pause", true),
        // One `changes` may have several lines.
        changes: call.query.all("changes").iter().flat_map(|text| text.lines()).map(str::to_owned).collect(),
        config: Some(config::to_engine(asked)),
    };
    let id = call.peers().containers().commit_container(spec).await.map_err(failed)?;
    call.peers().publish("image", "create", &id, [("name".to_owned(), id.clone())]).await;
    if let Some(reference) = reference {
        call.peers().publish("image", "tag", &id, [("name".to_owned(), reference.familiar())]).await;
    }
    response::json(StatusCode::CREATED, &IdResponse { id })
}
