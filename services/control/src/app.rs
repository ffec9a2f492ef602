//! The wiring, top to bottom.

use gantry_api::Peers;
use gantry_daemon::{BoxError, Context};
use gantry_disk::Database;
use gantry_proto::containerd::services::introspection::v1::introspection_server::IntrospectionServer;
use gantry_proto::containerd::services::namespaces::v1::namespaces_server::NamespacesServer;
use gantry_proto::containerd::services::version::v1::version_server::VersionServer;
use gantry_rpc::carry;
use tonic::service::Routes;

use crate::events::Bus;
use crate::front::Front;
use crate::gc::Collector;
use crate::gc::schedule::Scheduler;
use crate::gc::service::Service;
use crate::gc::store::Remote;
use crate::introspection::{self, Plugins};
use crate::leases::{self, Leases, Records};
use crate::namespaces::{self, Namespaces};
use crate::server::{self, Announcer};

/// The longest message, as containerd has it.
const MESSAGE_LIMIT: usize = 16 << 20;

/// Opens the records and serves until shutdown, on the service's own socket and on the front socket.
pub async fn run(context: Context) -> Result<(), BoxError> {
    let folder = context.state();
    let (database, uuid) = carry::blocking(move || {
        let tables = &[namespaces::TABLE, leases::LEASES, leases::RESOURCES, leases::LOSSES];
        Ok::<_, gantry_disk::Error>((
            Database::open(folder.join("db"), tables)?,
            introspection::uuid(&folder)?,
        ))
    })
    .await
    .ok_or("the service is ending")??;
    let records = Namespaces::new(database.clone());
    let leases = Records::new(database.clone());
    leases.remove_orphans(&leases.orphans()?).await?;

    let peers = Peers::new(context.run());
    let collector = Collector::new(Remote::all(&peers), leases.clone());
    let scheduler = Scheduler::new(collector.clone());
    let announcer = Announcer::new(Bus::default(), scheduler.clone());
    context.spawn("gc", scheduler.clone().run());

    let front = gantry_rpc::socket::bind(&context.run().join("containerd.sock"), 0o600)?;
    context.spawn("front", Front::new(context.run()).serve(front, context.shutdown().clone()));

    let plugins = Plugins::new(&context.roots().state, peers.clone());
    let introspection = server::introspection::Server::new(plugins, uuid, peers);
    let events = gantry_api::events::server::service(announcer.clone());
    let namespaces = server::namespaces::Server::new(records, collector.clone(), announcer);
    let keeping = Leases::new(leases.clone(), collector.clone(), scheduler.clone());
    let routes = Routes::new(VersionServer::new(server::version::Server))
        .add_service(IntrospectionServer::new(introspection).max_decoding_message_size(MESSAGE_LIMIT))
        .add_service(events)
        .add_service(NamespacesServer::new(namespaces).max_decoding_message_size(MESSAGE_LIMIT))
        .add_service(gantry_api::leases::server::service(keeping))
        .add_service(gantry_api::gc::server::service(Service::new(collector, scheduler)))
        .add_service(gantry_records::server(database))
        .add_service(gantry_api::fsck::service(leases));
    context.serve(routes).await
}
