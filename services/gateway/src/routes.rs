//! The routes: every path of the Engine API, and the answers of those that Gantry does not implement.

mod commit;
mod containers;
mod exec;
mod images;
mod networks;
mod system;
mod volumes;

use http::{Method, StatusCode};

use crate::call::Call;
use crate::error::Error;
use crate::query::{Plus, decode};
use crate::response::{self, Response};

/// Finds the route for a path without its version and answers.
pub async fn dispatch(call: Call, path: &str) -> Result<Response, Error> {
    let decoded: Vec<String> = path.split('/').skip(1).map(|part| decode(part, Plus::Plus)).collect();
    let mut parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    if parts.len() > 1 && parts.last() == Some(&"") {
        parts.pop();
    }
    let (linked, slashed) = (linked_name(&call, &parts), network_name(&call, &parts));
    for (kind, found) in [("containers", &linked), ("networks", &slashed)] {
        if let Some((name, verb)) = found {
            parts = [kind, name].into_iter().chain(*verb).collect();
        }
    }
    // One table for all; `name @ ..`, because an image's name may have slashes.
    match (call.method().as_str(), parts.as_slice()) {
        ("OPTIONS", _) => Ok(response::empty(StatusCode::OK)),
        ("GET" | "HEAD", ["_ping"]) => Ok(system::ping(call.method() == Method::HEAD)),
        ("GET", ["version"]) => system::version(&call),
        ("GET", ["info"]) => system::info(&call).await,
        ("POST", ["auth"]) => system::auth(call).await,
        ("GET", ["events"]) => system::events(&call).await,
        ("GET", ["system", "df"]) => system::disk_usage(&call).await,

        ("GET", ["containers", "json"]) => containers::list(&call).await,
        ("POST", ["containers", "create"]) => containers::create(call).await,
        ("POST", ["containers", "prune"]) => containers::prune(&call).await,
        ("GET", ["containers", id, "json"]) => containers::inspect(&call, id).await,
        ("GET", ["containers", id, "top"]) => containers::top(&call, id).await,
        ("GET", ["containers", id, "logs"]) => containers::logs(&call, id).await,
        ("GET", ["containers", id, "changes"]) => containers::changes(&call, id).await,
        ("GET", ["containers", id, "export"]) => containers::export(&call, id).await,
        ("GET", ["containers", id, "stats"]) => containers::stats(&call, id).await,
        ("POST", ["containers", id, "resize"]) => containers::resize(&call, id).await,
        ("POST", ["containers", id, "start"]) => containers::start(&call, id).await,
        ("POST", ["containers", id, "stop"]) => containers::stop(&call, id).await,
        ("POST", ["containers", id, "restart"]) => containers::restart(&call, id).await,
        ("POST", ["containers", id, "kill"]) => containers::kill(&call, id).await,
        ("POST", ["containers", id, "update"]) => containers::update(call, id).await,
        ("POST", ["containers", id, "rename"]) => containers::rename(&call, id).await,
        ("POST", ["containers", id, "pause"]) => containers::pause(&call, id).await,
        ("POST", ["containers", id, "unpause"]) => containers::unpause(&call, id).await,
        ("POST", ["containers", id, "attach"]) => Ok(containers::attach(call, id).await),
        ("GET", ["containers", id, "attach", "ws"]) => containers::attach_websocket(call, id).await,
        ("POST", ["containers", id, "wait"]) => containers::wait(&call, id).await,
        ("DELETE", ["containers", id]) => containers::remove(&call, id).await,
        ("HEAD", ["containers", id, "archive"]) => containers::archive_stat(&call, id).await,
        ("GET", ["containers", id, "archive"]) => containers::archive_get(&call, id).await,
        ("PUT", ["containers", id, "archive"]) => containers::archive_put(call, id).await,
        ("POST", ["containers", id, "exec"]) => exec::create(call, id).await,
        ("GET" | "POST" | "DELETE", ["containers", _, "checkpoints", ..]) => {
            Err(Error::not_implemented("checkpoints are not supported"))
        }
        ("POST", ["exec", id, "start"]) => exec::start(call, id).await,
        ("POST", ["exec", id, "resize"]) => exec::resize(&call, id).await,
        ("GET", ["exec", id, "json"]) => exec::inspect(&call, id).await,

        ("GET", ["images", "json"]) => images::list(&call).await,
        ("POST", ["images", "create"]) => images::create(call).await,
        ("POST", ["images", "load"]) => images::load(call).await,
        ("POST", ["images", "prune"]) => images::prune(&call).await,
        ("GET", ["images", "search"]) => Err(Error::not_implemented("searching for images is not supported")),
        ("GET", ["images", "get"]) => images::save(&call, call.query.all("names")).await,
        ("GET", ["images", name @ .., "json"]) => images::inspect(&call, &name.join("/")).await,
        ("GET", ["images", name @ .., "history"]) => images::history(&call, &name.join("/")).await,
        ("GET", ["images", name @ .., "get"]) => images::save(&call, vec![name.join("/")]).await,
        ("POST", ["images", name @ .., "push"]) => images::push(&call, &name.join("/")).await,
        ("POST", ["images", name @ .., "tag"]) => images::tag(&call, &name.join("/")).await,
        ("DELETE", ["images", name @ ..]) if !name.is_empty() => images::remove(&call, &name.join("/")).await,
        ("GET", ["distribution", name @ .., "json"]) => images::distribution(&call, &name.join("/")).await,

        ("GET", ["networks"]) => networks::list(&call).await,
        ("POST", ["networks", "create"]) => networks::create(call).await,
        ("POST", ["networks", "prune"]) => networks::prune(&call).await,
        ("GET", ["networks", id]) => networks::inspect(&call, id).await,
        ("DELETE", ["networks", id]) => networks::remove(&call, id).await,
        ("POST", ["networks", id, "connect"]) => networks::connect(call, id).await,
        ("POST", ["networks", id, "disconnect"]) => networks::disconnect(call, id).await,

        ("GET", ["volumes"]) => volumes::list(&call).await,
        ("POST", ["volumes", "create"]) => volumes::create(call).await,
        ("POST", ["volumes", "prune"]) => volumes::prune(&call).await,
        ("GET", ["volumes", name]) => volumes::inspect(&call, name).await,
        ("DELETE", ["volumes", name]) => volumes::remove(&call, name).await,
        ("PUT", ["volumes", _]) => Err(not_a_manager()),

        ("POST", ["build", "prune"]) => system::prune_builds(),
        ("POST", ["build" | "session" | "grpc"] | ["build", "cancel"]) => Err(Error::not_implemented(
            "building images is not supported: build elsewhere and pull or load the image",
        )),
        ("POST", ["commit"]) => commit::commit(call).await,

        ("GET", ["plugins"]) => response::ok(&[(); 0]),
        ("GET", ["plugins", name @ .., "json"]) => {
            Err(Error::not_found(format!("plugin \"{}\" not found", name.join("/"))))
        }
        ("GET" | "POST" | "DELETE", ["plugins", ..]) => {
            Err(Error::not_implemented("plugins are not supported"))
        }
        ("POST", ["swarm", "init" | "join"]) => Err(Error::not_implemented("swarm mode is not supported")),
        (
            "GET" | "POST" | "DELETE",
            ["swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs", ..],
        ) => Err(not_a_manager()),
        _ => Err(Error::page_not_found()),
    }
}

/// Splits a path into a container's name and the action. The name has several parts if it is a link's (`parent/alias`).
fn linked_name<'a>(call: &Call, parts: &[&'a str]) -> Option<(String, Option<&'a str>)> {
    let ["containers", name @ .., last] = parts else { return None };
    if name.is_empty() || name.contains(&"checkpoints") || *last == "ws" {
        return None;
    }
    match *call.method() {
        Method::DELETE => Some((format!("{}/{last}", name.join("/")), None)),
        _ if name.len() > 1 => Some((name.join("/"), Some(*last))),
        _ => None,
    }
}

/// Splits a path into a network's name, which may have slashes, and the action.
fn network_name<'a>(call: &Call, parts: &[&'a str]) -> Option<(String, Option<&'a str>)> {
    match (call.method().as_str(), parts) {
        ("POST", ["networks", name @ .., verb @ ("connect" | "disconnect")]) if name.len() > 1 => {
            Some((name.join("/"), Some(*verb)))
        }
        ("GET" | "DELETE", ["networks", name @ ..]) if name.len() > 1 => Some((name.join("/"), None)),
        _ => None,
    }
}

/// The answer for an unknown path; clients look for these words.
fn not_a_manager() -> Error {
    Error::unavailable("This node is not a swarm manager. Swarm mode is not supported.")
}

/// 204, without a body.
fn no_content() -> Response {
    response::empty(StatusCode::NO_CONTENT)
}
