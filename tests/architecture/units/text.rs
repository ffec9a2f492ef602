//! The files of deploy/systemd, made from the services' descriptors.

use std::collections::BTreeMap;

use gantry_descriptor::{
    Capability, Confinement, Descriptor, ENGINE, Family, Mounts, Network, Privileges, SERVICES,
};

/// Every file that follows from descriptors, by its name.
pub fn all() -> BTreeMap<String, String> {
    let services = SERVICES.iter().map(|one| (format!("gantry-{}.service", one.name), service(one)));
    let sockets =
        SERVICES.iter().filter_map(|one| Some((format!("gantry-{}.socket", one.name), socket(one)?)));
    let others = [
        ("gantry.target", target()),
        ("gantry-containers.service", containers()),
        ("gantry.sysusers.conf", users()),
    ];
    services.chain(sockets).chain(others.map(|(name, text)| (name.to_owned(), text))).collect()
}

/// The lines of a file.
#[derive(Default)]
struct Text(String);

impl Text {
    /// Adds lines.
    fn add(&mut self, lines: &str) -> &mut Self {
        self.0.push_str(lines);
        self.0.push('\n');
        self
    }

    /// Adds lines if `wanted`.
    fn add_if(&mut self, wanted: bool, lines: &str) -> &mut Self {
        if wanted { self.add(lines) } else { self }
    }

    fn take(&mut self) -> String {
        std::mem::take(&mut self.0)
    }
}

/// The units of services.
fn units(services: &[&Descriptor]) -> String {
    services.iter().map(|one| format!("gantry-{}.service", one.name)).collect::<Vec<_>>().join(" ")
}

/// The unit of a service.
fn service(service: &Descriptor) -> String {
    let name = service.name;
    let mut after = Vec::new();
    after.extend(Some(units(service.after)).filter(|units| !units.is_empty()));
    after.extend(service.after.is_empty().then(|| "local-fs.target".to_owned()));
    after.extend((service.network == Network::Governs).then(|| "network.target".to_owned()));
    let mut text = Text::default();
    text.add("[Unit]")
        .add(&format!("Description=Gantry: {}", service.about))
        .add("PartOf=gantry.target")
        .add(&format!("After={}", after.join(" ")))
        .add("StartLimitIntervalSec=0")
        .add("\n[Service]")
        .add(&format!("ExecStart=/usr/local/bin/gantryd {name}"))
        .add_if(service.is_unprivileged(), &format!("User=gantry-{name}\nGroup=gantry"))
        .add_if(
            !service.is_unprivileged() && !has(service, Capability::CAP_DAC_OVERRIDE),
            "# It may not override permissions: to others' sockets it gets by their group.\nSupplementaryGroups=gantry",
        )
        .add(&format!("StateDirectory=gantry/{name}"))
        .add("StateDirectoryMode=0700\nRestart=always\nRestartSec=500ms")
        .add("# EX_CONFIG: somebody has to change the settings first.\nRestartPreventExitStatus=78");
    match service.confinement {
        Confinement::None => text.add(
            "LimitNOFILE=1048576
# It starts the shims, and they the containers: all privileges, and its end is not theirs. No OOMScoreAdjust=, which
# containers would inherit.
KillMode=process
Delegate=yes
TasksMax=infinity",
        ),
        Confinement::Calls(kept, mounts) => confined(&mut text, service, kept, mounts),
        Confinement::Files(_) => confined(&mut text, service, &[], Mounts::Own),
    };
    text.add("\n[Install]\nWantedBy=gantry.target").take()
}

/// The confinement by systemd, beside the one by the service itself.
fn confined<'a>(text: &'a mut Text, service: &Descriptor, kept: &[Family], mounts: Mounts) -> &'a mut Text {
    let capabilities = match service.privileges {
        Privileges::All => panic!("{}: who keeps all cannot be confined", service.name),
        Privileges::Only(kept) => kept.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    };
    let unprivileged = service.is_unprivileged();
    let own = mounts == Mounts::Own;
    let copies_files = has(service, Capability::CAP_MKNOD);
    let families = match service.network {
        Network::None => "",
        Network::Connects | Network::Listens => " AF_INET AF_INET6",
        Network::Governs => " AF_INET AF_INET6 AF_NETLINK",
    };
    text.add("LimitNOFILE=65536").add(&format!("CapabilityBoundingSet={capabilities}"));
    if unprivileged {
        text.add(
            "AmbientCapabilities=
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @mount
# With these it confines itself when it starts.
SystemCallFilter=capset seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
        );
    } else {
        let mount = if kept.contains(&Family::Mounts) { " @mount" } else { "" };
        text.add(&format!("SystemCallFilter=@system-service{mount} seccomp"));
    }
    text.add(&format!("RestrictAddressFamilies=AF_UNIX{families}"))
        .add_if(service.network == Network::None, "PrivateNetwork=yes")
        .add_if(
            !own,
            "# What it mounts must be seen outside, and what is mounted outside by it: nothing here may give it a mount namespace
# (ProtectSystem=, ProtectProc=, ProtectKernelModules=, … do, and MountFlags=shared does not lead out of it).",
        )
        .add_if(
            copies_files,
            "# It makes others' files as they are, device nodes and all: neither PrivateDevices= nor ProtectClock=, which take the
# devices away, nor UMask=.",
        )
        .add("NoNewPrivileges=yes\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\nRestrictRealtime=yes")
        .add_if(!copies_files, "RestrictSUIDSGID=yes")
        .add_if(!kept.contains(&Family::Namespaces), "RestrictNamespaces=yes")
        .add_if(own, "ProtectHostname=yes")
        .add_if(own && !copies_files, "ProtectClock=yes")
        .add_if(own, "ProtectKernelModules=yes\nProtectKernelLogs=yes\nProtectProc=invisible")
        .add("SystemCallArchitectures=native\nSystemCallErrorNumber=EPERM")
        .add_if(!copies_files, "UMask=0007")
        .add_if(own, "ProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes")
        .add_if(own && !copies_files, "PrivateDevices=yes")
        .add_if(own, "ProtectControlGroups=yes")
        .add_if(unprivileged, "ProtectKernelTunables=yes")
        .add_if(own, "ReadWritePaths=/run/gantry")
}

fn has(service: &Descriptor, capability: Capability) -> bool {
    match service.privileges {
        Privileges::All => true,
        Privileges::Only(kept) => kept.contains(&capability),
    }
}

/// The socket unit of a service's door, if it has one.
fn socket(service: &Descriptor) -> Option<String> {
    let socket = service.door?;
    Some(format!(
        "[Unit]
Description=Gantry: {}'s socket
PartOf=gantry.target

[Socket]
ListenStream=/run/gantry/{socket}
SocketUser=root
SocketGroup=docker
SocketMode=0660
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
",
        service.about
    ))
}

fn target() -> String {
    let mut text = Text::default();
    text.add("[Unit]\nDescription=Gantry: all services");
    for service in SERVICES {
        let name = service.name;
        text.add(&format!("Wants=gantry-{name}.service"))
            .add_if(service.door.is_some(), &format!("Wants=gantry-{name}.socket"));
    }
    text.add("Wants=gantry-containers.service").add("\n[Install]\nWantedBy=multi-user.target").take()
}

/// The unit that ends containers; it needs the engine and all that the engine needs.
fn containers() -> String {
    let mut needed = vec![&ENGINE];
    for service in SERVICES.into_iter().rev() {
        if needed.iter().any(|one| one.after.iter().any(|other| other.name == service.name)) {
            needed.insert(0, service);
        }
    }
    format!(
        "[Unit]
Description=Gantry: containers end in good order before the machine does
# Stopped before these are, when the machine goes down; and only then: it is no part of the target.
After={}
After=network.target remote-fs.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/usr/local/bin/gantry down --containers
# As long as the containers' own patience.
TimeoutStopSec=infinity

[Install]
WantedBy=gantry.target
",
        units(&needed)
    )
}

fn users() -> String {
    let mut text = Text::default();
    text.add("# For /usr/lib/sysusers.d: who the services without privileges run as, each on its own.")
        .add("g docker -\ng gantry -");
    for service in SERVICES.iter().filter(|service| service.is_unprivileged()) {
        let name = service.name;
        text.add(&format!("u gantry-{name} - \"Gantry {name}\" /var/lib/gantry/{name}"));
    }
    text.take()
}
