//! Operations of users that together pass every point.

/// A command line; the first word is the program: `docker`, `ctr`, `gantry`. `{image}` is an image in the node's
/// registry, `{archive}` an image archive, `{n}` a number of this attempt.
pub type Line = &'static [&'static str];

/// An operation of a user.
#[derive(Debug)]
pub struct Operation {
    /// Its name, for messages.
    pub name: &'static str,
    /// The commands before it, which must succeed.
    pub prepare: &'static [Line],
    /// The command.
    pub run: Line,
    /// The commands before its repetition: its container may have died with the shim.
    pub restore: &'static [Line],
    /// The errors by which a repetition says that it was done already.
    pub done: &'static [&'static str],
    /// A command that shows that it was done, and the expected output.
    pub check: (Line, &'static str),
    /// The commands that remove everything it has made; a missing object is no error.
    pub clear: &'static [Line],
}

// A signal that the first process of a container does not ignore.
const CREATE: Line = &[
    "docker",
    "create",
    "--name",
    "box",
    "--stop-signal",
    "KILL",
    "-v",
    "/scratch",
    "-p",
    "8080:80",
    "busybox",
    "sleep",
    "1000",
];
const RUN: Line = &[
    "docker",
    "run",
    "-d",
    "--name",
    "box",
    "--stop-signal",
    "KILL",
    "-v",
    "/scratch",
    "-p",
    "8080:80",
    "busybox",
    "sleep",
    "1000",
];
const START: Line = &["docker", "start", "box"];
const STATE: Line = &["docker", "inspect", "-f", "{{.State.Status}}", "box"];
const NETWORKS: Line =
    &["docker", "inspect", "-f", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}", "box"];
const REMOVE: Line = &["docker", "rm", "-fv", "box"];
const MAKE_NET: Line = &["docker", "network", "create", "net"];
const REMOVE_NET: Line = &["docker", "network", "rm", "net"];
const REMOVE_IMAGE: Line = &["docker", "rmi", "-f", "{image}"];

/// All operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "create",
        prepare: &[],
        run: CREATE,
        restore: &[],
        done: &["is already in use by container"],
        check: (START, "box"),
        clear: &[REMOVE],
    },
    Operation {
        name: "start",
        prepare: &[CREATE],
        run: START,
        restore: &[],
        done: &[],
        check: (STATE, "running"),
        clear: &[REMOVE],
    },
    Operation {
        name: "exec",
        prepare: &[RUN],
        run: &["docker", "exec", "box", "echo", "hi"],
        restore: &[START],
        done: &[],
        check: (&["docker", "exec", "box", "echo", "again"], "again"),
        clear: &[REMOVE],
    },
    Operation {
        name: "stop",
        prepare: &[RUN],
        run: &["docker", "stop", "-t", "5", "box"],
        restore: &[],
        done: &[],
        check: (STATE, "exited"),
        clear: &[REMOVE],
    },
    Operation {
        name: "remove",
        prepare: &[RUN],
        run: REMOVE,
        restore: &[],
        done: &["No such container"],
        check: (&["docker", "ps", "-aqf", "name=box"], ""),
        // A volume that cannot be removed does not keep its container; it stays, and can be pruned.
        clear: &[&["docker", "volume", "prune", "-f"]],
    },
    Operation {
        name: "connect",
        prepare: &[MAKE_NET, RUN],
        run: &["docker", "network", "connect", "net", "box"],
        restore: &[],
        done: &["already exists in network"],
        check: (NETWORKS, "bridge net"),
        clear: &[REMOVE, REMOVE_NET],
    },
    Operation {
        name: "disconnect",
        prepare: &[MAKE_NET, RUN, &["docker", "network", "connect", "net", "box"]],
        run: &["docker", "network", "disconnect", "net", "box"],
        restore: &[],
        done: &["is not connected to network"],
        check: (NETWORKS, "bridge"),
        clear: &[REMOVE, REMOVE_NET],
    },
    Operation {
        name: "network create",
        prepare: &[],
        run: MAKE_NET,
        restore: &[],
        done: &["already exists"],
        check: (&["docker", "network", "inspect", "-f", "{{.Name}}", "net"], "net"),
        clear: &[REMOVE_NET],
    },
    Operation {
        name: "network rm",
        prepare: &[MAKE_NET],
        run: REMOVE_NET,
        restore: &[],
        done: &["No such network", "not found"],
        check: (&["docker", "network", "ls", "-qf", "name=net"], ""),
        clear: &[],
    },
    Operation {
        name: "volume create",
        prepare: &[],
        run: &["docker", "volume", "create", "vol"],
        restore: &[],
        done: &[],
        check: (&["docker", "run", "--rm", "-v", "vol:/vol", "busybox", "echo", "hi"], "hi"),
        clear: &[&["docker", "volume", "rm", "vol"]],
    },
    Operation {
        name: "volume rm",
        prepare: &[&["docker", "volume", "create", "vol"]],
        run: &["docker", "volume", "rm", "vol"],
        restore: &[],
        done: &["no such volume"],
        check: (&["docker", "volume", "ls", "-qf", "name=vol"], ""),
        clear: &[],
    },
    Operation {
        name: "commit",
        prepare: &[&["docker", "run", "--name", "box", "busybox", "sh", "-c", "echo {n} > /n"]],
        run: &["docker", "commit", "box", "committed"],
        restore: &[],
        done: &[],
        check: (&["docker", "run", "--rm", "committed", "cat", "/n"], "{n}"),
        clear: &[
            REMOVE,
            &["docker", "rmi", "-f", "committed"],
            // Of two images, the first has lost its name.
            &["docker", "image", "prune", "-f"],
        ],
    },
    Operation {
        name: "pull",
        prepare: &[],
        run: &["docker", "pull", "{image}"],
        restore: &[],
        done: &[],
        check: (&["docker", "run", "--rm", "{image}", "echo", "hi"], "hi"),
        clear: &[REMOVE_IMAGE],
    },
    Operation {
        name: "push",
        prepare: &[
            &["docker", "run", "--name", "box", "busybox", "sh", "-c", "echo {n} > /n"],
            &["docker", "commit", "box", "127.0.0.1:5000/pushed:{n}"],
            &["docker", "rm", "box"],
        ],
        run: &["docker", "push", "-q", "127.0.0.1:5000/pushed:{n}"],
        restore: &[],
        done: &[],
        check: (&["docker", "pull", "-q", "127.0.0.1:5000/pushed:{n}"], "127.0.0.1:5000/pushed:{n}"),
        clear: &[&["docker", "rmi", "-f", "127.0.0.1:5000/pushed:{n}"]],
    },
    Operation {
        name: "load",
        prepare: &[],
        run: &["docker", "load", "-qi", "{archive}"],
        restore: &[],
        done: &[],
        check: (&["docker", "run", "--rm", "{image}", "echo", "hi"], "hi"),
        clear: &[REMOVE_IMAGE],
    },
    Operation {
        name: "rmi",
        prepare: &[&["docker", "pull", "-q", "{image}"]],
        run: &["docker", "rmi", "{image}"],
        restore: &[],
        done: &["No such image"],
        check: (&["docker", "images", "-q", "{image}"], ""),
        clear: &[],
    },
    Operation {
        name: "snapshot commit",
        prepare: &[&["ctr", "snapshots", "prepare", "key"]],
        run: &["ctr", "snapshots", "commit", "name", "key"],
        restore: &[],
        done: &["already exists", "not found"],
        check: (&["ctr", "snapshots", "usage", "name"], "name"),
        clear: &[&["ctr", "snapshots", "rm", "name"], &["ctr", "snapshots", "rm", "key"]],
    },
];
