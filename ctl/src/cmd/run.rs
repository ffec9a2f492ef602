//! `gantry run`.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use gantry_proto::gantry::engine::v1::{
    AttachRequest, ContainerConfig, CreateRequest, HostConfig, KillRequest, PortBinding, PortBindings,
    ResizeRequest, StartRequest, StringList, WaitRequest, attach_request, attach_response, wait_request,
    wait_response,
};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::cli::Run;
use crate::cmd::{Session, pull};
use crate::signals::Signals;
use crate::{output, stdio};

pub async fn run(session: &Session, arguments: Run) -> Result<u8> {
    let create = request(&arguments)?;
    let mut client = session.peers.containers();
    let created = match client.create(create.clone()).await {
        Err(status) if status.code() == Code::NotFound && status.message().contains("No such image") => {
            eprintln!("{} is not here, pulling it", arguments.image);
            pull::run(session, arguments.image.clone(), String::new()).await?;
            client.create(create).await?
        }
        result => result?,
    }
    .into_inner();
    for warning in &created.warnings {
        eprintln!("gantry: {warning}");
    }
    if arguments.detach {
        client.start(StartRequest { container: created.id.clone() }).await?;
        output::line(&created.id)?;
        return Ok(0);
    }
    foreground(session, &arguments, created.id).await
}

/// Runs the container to its end. The signals that are meant to end the tool are the container's once it has started.
async fn foreground(session: &Session, arguments: &Run, id: String) -> Result<u8> {
    let mut signals = Signals::listen()?;
    let (started, starts) = oneshot::channel();
    let run = run_to_end(session, arguments, &id, started);
    let forward = async {
        // One that does not start takes none, and the tool ends.
        if starts.await.is_err() {
            return std::future::pending().await;
        }
        let mut client = session.peers.containers();
        loop {
            let signal = signals.next().await.to_owned();
            match client.kill(KillRequest { container: id.clone(), signal: signal.clone() }).await {
                Err(status) if !is_over(&status) => {
                    output::note(format_args!("pass SIG{signal} on: {}", status.message()));
                }
                _ => {}
            }
        }
    };
    tokio::select! {
        result = run => result,
        never = forward => never,
    }
}

/// The container has ended meanwhile.
fn is_over(status: &Status) -> bool {
    matches!(status.code(), Code::NotFound | Code::FailedPrecondition | Code::Aborted)
}

/// Attaches, waits, starts: in this order, so that nothing is missed.
async fn run_to_end(
    session: &Session,
    arguments: &Run,
    id: &str,
    started: oneshot::Sender<()>,
) -> Result<u8> {
    let mut client = session.peers.containers();
    let condition =
        if arguments.rm { wait_request::Condition::Removed } else { wait_request::Condition::NextExit };
    let wait = WaitRequest { container: id.to_owned(), condition: condition.into() };
    let mut exit = client.wait(wait).await?.into_inner();
    exit.next().await.context("the engine went away")??;

    let (say, said) = mpsc::channel(2);
    let open = attach_request::Open {
        container: id.to_owned(),
        stdin: arguments.interactive,
        stdout: true,
        stderr: true,
        logs: false,
        stream: true,
    };
    say.send(AttachRequest { message: Some(attach_request::Message::Open(open)) }).await?;
    let mut attached = client.attach(ReceiverStream::new(said)).await?.into_inner();
    let output = async {
        while let Some(message) = attached.next().await {
            match message?.message {
                Some(attach_response::Message::Point(point)) => {
                    let stream = stdio::connect(&point, arguments.interactive).await?;
                    say.send(AttachRequest { message: Some(attach_request::Message::Connected(true)) })
                        .await?;
                    return stdio::copy(stream, point.tty, arguments.interactive).await;
                }
                Some(attach_response::Message::Closed(_)) => break,
                _ => {}
            }
        }
        Ok(())
    };
    let start = async {
        let mut client = session.peers.containers();
        client.start(StartRequest { container: id.to_owned() }).await?;
        // Whoever listens for it goes away with us.
        let _ = started.send(());
        if let (true, Some((height, width))) = (arguments.tty, stdio::size()) {
            // One that has ended already has no terminal; its output and its exit code are worth having.
            let _ = client.resize(ResizeRequest { container: id.to_owned(), height, width }).await;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(start, output)?;

    while let Some(message) = exit.next().await {
        if let Some(wait_response::Event::Exit(exit)) = message?.event {
            if !exit.error.is_empty() {
                bail!("{}", exit.error);
            }
            return Ok(exit.status_code as u8);
        }
    }
    bail!("the engine went away while {} ran", output::short(id))
}

fn request(arguments: &Run) -> Result<CreateRequest> {
    let mut exposed = Vec::new();
    let mut bindings: HashMap<String, PortBindings> = HashMap::new();
    for text in &arguments.publish {
        let (port, binding) = publish(text)?;
        exposed.push(port.clone());
        bindings.entry(port).or_default().bindings.push(binding);
    }
    let config = ContainerConfig {
        image: arguments.image.clone(),
        cmd: (!arguments.command.is_empty()).then(|| StringList { values: arguments.command.clone() }),
        env: arguments.env.clone(),
        user: arguments.user.clone().unwrap_or_default(),
        working_dir: arguments.workdir.clone().unwrap_or_default(),
        tty: arguments.tty,
        open_stdin: arguments.interactive,
        stdin_once: arguments.interactive && !arguments.detach,
        attach_stdin: arguments.interactive,
        attach_stdout: !arguments.detach,
        attach_stderr: !arguments.detach,
        exposed_ports: exposed,
        ..ContainerConfig::default()
    };
    let host_config = HostConfig {
        auto_remove: arguments.rm,
        binds: arguments.volume.clone(),
        network_mode: arguments.network.clone(),
        port_bindings: bindings,
        ..HostConfig::default()
    };
    Ok(CreateRequest {
        name: arguments.name.clone().unwrap_or_default(),
        config: Some(config),
        host_config: Some(host_config),
        api_version: "1.51".to_owned(),
        ..CreateRequest::default()
    })
}

/// `[address:][host port:]port[/protocol]`; an IPv6 address stands in brackets.
fn publish(text: &str) -> Result<(String, PortBinding)> {
    let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (rest, port) = rest.rsplit_once(':').unwrap_or(("", rest));
    port.parse::<u16>().with_context(|| format!("publish {text}: {port:?} is no port"))?;
    let (address, host_port) = match rest.rsplit_once(':') {
        Some((address, host_port)) => (address.trim_matches(['[', ']']), host_port),
        None => ("", rest),
    };
    let binding = PortBinding { host_ip: address.to_owned(), host_port: host_port.to_owned() };
    Ok((format!("{port}/{protocol}"), binding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_ports_have_up_to_four_parts() {
        let parsed = |text| {
            let (port, binding) = publish(text).expect("valid");
            (port, binding.host_ip, binding.host_port)
        };
        assert_eq!(parsed("80"), ("80/tcp".into(), "".into(), "".into()));
        assert_eq!(parsed("8080:80/udp"), ("80/udp".into(), "".into(), "8080".into()));
        assert_eq!(parsed("127.0.0.1:8080:80"), ("80/tcp".into(), "127.0.0.1".into(), "8080".into()));
        assert_eq!(parsed("[::1]:8080:80"), ("80/tcp".into(), "::1".into(), "8080".into()));
        publish("web").expect_err("no port");
    }
}
