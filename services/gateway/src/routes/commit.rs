//! `POST /commit`

use gantry_proto::gantry::engine::v1 as engine;
use gantry_types::Reference;
use http::StatusCode;

use crate::call::Call;
use crate::convert::config;
use crate::error::Error;
use crate::peers::{ENGINE, of};
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
    let request = engine::CommitRequest {
        container: call.query.text("container").to_owned(),
        reference: reference.as_ref().map(ToString::to_string).unwrap_or_default(),
        comment: call.query.text("comment").to_owned(),
        author: call.query.text("author").to_owned(),
        pause: call.query.flag_or("pause", true),
        // One parameter may have several lines.
        changes: call.query.all("changes").iter().flat_map(|text| text.lines()).map(str::to_owned).collect(),
        config: Some(config::to_engine(asked)),
    };
    let made = call.peers().containers().commit(request).await.map_err(of(ENGINE))?.into_inner();
    call.peers().publish("image", "create", &made.id, [("name".to_owned(), made.id.clone())]).await;
    if let Some(reference) = reference {
        call.peers().publish("image", "tag", &made.id, [("name".to_owned(), reference.familiar())]).await;
    }
    response::json(StatusCode::CREATED, &IdResponse { id: made.id })
}
