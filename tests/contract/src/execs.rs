//! Further processes in running containers.

use gantry_api::engine::containers::{self, Manage, Run, Sizes};
use gantry_api::engine::execs::{Service, StartSpec, Starting};
use gantry_api::engine::{Exec, ExecSpec, Window};
use gantry_rpc::{Code, Coded as _};

use crate::containers::{named, refused};

/// Tests of `gantry_api::engine::execs::Service` in a [`World`](execs::World), where the suite of containers can be run, with its programs.
#[macro_export]
macro_rules! execs {
    ($world:expr) => {
        $crate::suite!(
            execs,
            $world,
            [
                an_exec_lives_from_its_creation_to_its_end,
                what_runs_alone_has_execs,
                an_exec_is_of_something,
                an_exec_is_started_once,
                what_cannot_be_started_has_an_exit_code,
                what_ends_at_once_has_been_started,
                who_attaches_is_waited_for,
                who_goes_away_does_not_keep_it_from_running,
                an_attached_one_that_cannot_be_started_is_told,
                who_started_it_hears_of_its_end,
                the_end_of_a_container_ends_its_execs,
                what_is_not_there_is_not_found,
                what_has_ended_has_no_terminal,
                live_execs_are_told_of_their_container,
            ]
        );
    };
}

/// An engine's further processes, and its containers.
#[derive(Debug)]
pub struct World<C, S> {
    /// The containers.
    pub containers: C,
    /// The processes in them.
    pub execs: S,
}

/// What the suite asks of containers.
pub trait Containers: containers::Inspect + Manage + Run {}

impl<C: containers::Inspect + Manage + Run> Containers for C {}

fn of(container: &str, program: &str) -> ExecSpec {
    ExecSpec {
        container: container.to_owned(),
        attach_stdout: true,
        attach_stderr: true,
        cmd: vec![program.to_owned()],
        ..ExecSpec::default()
    }
}

fn detached(id: &str) -> StartSpec {
    StartSpec { id: id.to_owned(), detach: true, tty: false, size: Window::default() }
}

fn attached(id: &str) -> StartSpec {
    StartSpec { detach: false, ..detached(id) }
}

async fn web<C: Containers, S: Service>(world: &World<C, S>) -> String {
    let id = world.containers.create_container(named("web")).await.expect("made").id;
    world.containers.start_container("web").await.expect("started");
    id
}

async fn made<C: Containers, S: Service>(world: &World<C, S>, program: &str) -> String {
    world.execs.create_exec(of("web", program)).await.unwrap_or_else(|error| panic!("made: {error}"))
}

async fn begun<C: Containers, S: Service>(world: &World<C, S>, spec: StartSpec) -> S::Starting {
    world.execs.start_exec(spec).await.unwrap_or_else(|error| panic!("begun: {error}"))
}

async fn until<C: Containers, S: Service>(
    world: &World<C, S>,
    id: &str,
    holds: impl Fn(&Exec) -> bool,
) -> Exec {
    let looking = async || match world.execs.exec(id).await.unwrap_or_else(|error| panic!("there: {error}")) {
        found if holds(&found) => Ok(found),
        other => Err(other),
    };
    crate::wait::until(looking, |_| true).await.unwrap_or_else(|last| panic!("at last: {last:?}"))
}

/// An exec has its exit code after its end.
pub async fn an_exec_lives_from_its_creation_to_its_end<C: Containers, S: Service>(world: &World<C, S>) {
    let container = web(world).await;
    let spec = of("web", "top");
    let id = world.execs.create_exec(spec.clone()).await.expect("made");
    let noted = world.execs.exec(&id).await.expect("there");
    let expected = Exec { id: id.clone(), container_id: container, spec, ..Exec::default() };
    assert_eq!(noted, expected, "it has not run yet");
    let mut starting = begun(world, detached(&id)).await;
    assert_eq!(starting.point().await.unwrap_or_else(|error| panic!("told: {error}")), None);
    let pid = starting.started().await.unwrap_or_else(|error| panic!("started: {error}"));
    let running = world.execs.exec(&id).await.expect("there");
    assert_eq!((running.running, running.exit_code, running.pid), (true, None, pid));
    assert_ne!(pid, 0);
    world.containers.kill_container("web", "KILL").await.expect("killed");
    let ended = until(world, &id, |exec| exec.exit_code.is_some()).await;
    assert_eq!((ended.running, ended.exit_code, ended.pid), (false, Some(137), 0));
}

/// Only running containers have execs: neither stopped nor paused ones.
pub async fn what_runs_alone_has_execs<C: Containers, S: Service>(world: &World<C, S>) {
    world.containers.create_container(named("web")).await.expect("made");
    refused(world.execs.create_exec(of("web", "top")).await, Code::Aborted);
    world.containers.start_container("web").await.expect("started");
    let id = made(world, "top").await;
    world.containers.pause_container("web").await.expect("frozen");
    refused(world.execs.create_exec(of("web", "top")).await, Code::Aborted);
    refused(world.execs.start_exec(detached(&id)).await, Code::Aborted);
    world.containers.unpause_container("web").await.expect("thawed");
    begun(world, detached(&id)).await;
}

/// An exec without a program is refused.
pub async fn an_exec_is_of_something<C: Containers, S: Service>(world: &World<C, S>) {
    web(world).await;
    let nothing = ExecSpec { cmd: Vec::new(), ..of("web", "") };
    refused(world.execs.create_exec(nothing).await, Code::InvalidArgument);
}

/// A second start is refused while the exec runs and after its end.
pub async fn an_exec_is_started_once<C: Containers, S: Service>(world: &World<C, S>) {
    web(world).await;
    let id = made(world, "top").await;
    begun(world, detached(&id)).await;
    refused(world.execs.start_exec(detached(&id)).await, Code::Aborted);
    refused(world.execs.start_exec(attached(&id)).await, Code::Aborted);
    let id = made(world, "false").await;
    begun(world, detached(&id)).await;
    until(world, &id, |exec| exec.exit_code.is_some()).await;
    refused(world.execs.start_exec(detached(&id)).await, Code::Aborted);
}

/// An exec that fails to start has the exit code a shell would give. Its container goes on.
pub async fn what_cannot_be_started_has_an_exit_code<C: Containers, S: Service>(world: &World<C, S>) {
    web(world).await;
    for (program, code) in [("missing", 127), ("forbidden", 126)] {
        let id = made(world, program).await;
        refused(world.execs.start_exec(detached(&id)).await, Code::InvalidArgument);
        let exec = world.execs.exec(&id).await.expect("there");
        assert_eq!((exec.running, exec.exit_code), (false, Some(code)));
    }
    let id = made(world, "top").await;
    begun(world, detached(&id)).await;
}

/// The start of an exec that ends at once succeeds.
pub async fn what_ends_at_once_has_been_started<C: Containers, S: Service>(world: &World<C, S>) {
    web(world).await;
    let id = made(world, "false").await;
    begun(world, detached(&id)).await;
    let ended = until(world, &id, |exec| exec.exit_code.is_some()).await;
    assert_eq!((ended.running, ended.exit_code), (false, Some(1)));
}

/// An exec runs only when the caller has said that it is connected.
pub async fn who_attaches_is_waited_for<C: Containers, S: Service>(world: &World<C, S>) {
    web(world).await;
    let id = made(world, "top").await;
    let mut starting = begun(world, attached(&id)).await;
    let point = starting.point().await.unwrap_or_else(|error| panic!("told: {error}")).expect("one");
    assert_eq!((point.exec_id.as_str(), point.tty), (id.as_str(), false));
    assert_eq!(world.execs.exec(&id).await.expect("there").pid, 0, "it does not run yet");
    starting.connected().await.unwrap_or_else(|error| panic!("told: {error}"));
    let pid = starting.started().await.unwrap_or_else(|error| panic!("started: {error}"));
    let exec = world.execs.exec(&id).await.expect("there");
    assert_eq!((exec.running, exec.pid), (true, pid));
}

/// An exec also runs when the caller leaves before it is connected, as with Docker.
pub async fn who_goes_away_does_not_keep_it_from_running<C: Containers, S: Service>(world: &World<C, S>) {
    web(world).await;
    let id = made(world, "top").await;
    drop(begun(world, attached(&id)).await);
    until(world, &id, |exec| exec.running && exec.pid != 0).await;
}

/// An attached caller learns that its exec failed to start.
pub async fn an_attached_one_that_cannot_be_started_is_told<C: Containers, S: Service>(world: &World<C, S>) {
    web(world).await;
    let id = made(world, "missing").await;
    let mut starting = begun(world, attached(&id)).await;
    let point = starting.point().await.unwrap_or_else(|error| panic!("told: {error}"));
    assert!(point.is_some());
    starting.connected().await.unwrap_or_else(|error| panic!("told: {error}"));
    refused(starting.started().await, Code::InvalidArgument);
    assert_eq!(world.execs.exec(&id).await.expect("there").exit_code, Some(127));
}

/// The exit code is there when the caller is told of the end.
pub async fn who_started_it_hears_of_its_end<C: Containers, S: Service>(world: &World<C, S>) {
    web(world).await;
    let id = made(world, "false").await;
    let mut starting = begun(world, attached(&id)).await;
    starting.point().await.unwrap_or_else(|error| panic!("told: {error}"));
    starting.connected().await.unwrap_or_else(|error| panic!("told: {error}"));
    starting.started().await.unwrap_or_else(|error| panic!("started: {error}"));
    starting.ended().await.unwrap_or_else(|error| panic!("told: {error}"));
    assert_eq!(world.execs.exec(&id).await.expect("there").exit_code, Some(1));
}

/// An exec that was not started before the end of its container is not started any more.
pub async fn the_end_of_a_container_ends_its_execs<C: Containers, S: Service>(world: &World<C, S>) {
    web(world).await;
    let (runs, waits) = (made(world, "top").await, made(world, "top").await);
    begun(world, detached(&runs)).await;
    world.containers.kill_container("web", "KILL").await.expect("killed");
    until(world, &runs, |exec| exec.exit_code == Some(137)).await;
    // Whoever asks early finds a container that does not run, and later no such exec.
    match world.execs.start_exec(detached(&waits)).await {
        Ok(_) => panic!("it does not begin any more"),
        Err(error) => assert!(matches!(error.code(), Code::Aborted | Code::NotFound), "{error}"),
    }
}

/// Every call refuses an exec, and a creation a container, that does not exist.
pub async fn what_is_not_there_is_not_found<C: Containers, S: Service>(world: &World<C, S>) {
    refused(world.execs.create_exec(of("none", "top")).await, Code::NotFound);
    refused(world.execs.exec("none").await, Code::NotFound);
    refused(world.execs.start_exec(detached("none")).await, Code::NotFound);
    refused(world.execs.start_exec(attached("none")).await, Code::NotFound);
    refused(world.execs.resize_exec("none", Window { height: 1, width: 1 }).await, Code::NotFound);
}

/// The size of an ended exec's terminal cannot be set.
pub async fn what_has_ended_has_no_terminal<C: Containers, S: Service>(world: &World<C, S>) {
    web(world).await;
    let (runs, ended) = (made(world, "top").await, made(world, "false").await);
    for id in [&runs, &ended] {
        begun(world, detached(id)).await;
    }
    let size = Window { height: 24, width: 80 };
    world.execs.resize_exec(&runs, size).await.expect("changed");
    until(world, &ended, |exec| exec.exit_code.is_some()).await;
    refused(world.execs.resize_exec(&ended, size).await, Code::NotFound);
}

/// A container tells the ids of execs that have not ended.
pub async fn live_execs_are_told_of_their_container<C: Containers, S: Service>(world: &World<C, S>) {
    web(world).await;
    let (runs, ended) = (made(world, "top").await, made(world, "false").await);
    for id in [&runs, &ended] {
        begun(world, detached(id)).await;
    }
    until(world, &ended, |exec| exec.exit_code.is_some()).await;
    let told = world.containers.container("web", Sizes::Untold).await.expect("there").exec_ids;
    assert_eq!(told, [runs]);
}
