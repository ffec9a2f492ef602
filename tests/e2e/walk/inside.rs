//! What a container sees of its options.

use gantry_tests::{Node, sides};

#[test]
fn options_take_effect_inside() {
    let node = Node::start();
    let hosts = "hostname; tail -n 1 /etc/hosts | cut -f 2";
    let bounding = "grep CapBnd /proc/self/status | cut -f 2";
    for side in sides(&node) {
        for (options, script, output) in [
            (&["-h", "a.b.c"][..], hosts, "a.b.c\na.b.c a"),
            (&["-h", "a", "--domainname", "b.c"], hosts, "a\na.b.c a"),
            (&["-h", "plain"], hosts, "plain\nplain"),
            (&["-h", "a b"], "hostname", "a b"),
            (&["-w", "/a/../b"], "pwd", "/b"),
            (&["-w", "/new/dir", "-u", "1000"], "stat -c %u:%a .", "0:755"),
            (&["--cap-add", "NET_ADMIN", "--cap-drop", "NET_ADMIN"], bounding, "00000000a80435fb"),
            (&["--cap-drop", "all", "--cap-add", "net_admin"], bounding, "0000000000001000"),
            (&["--cap-drop", "all"], bounding, "0000000000000000"),
            (&["-e", "A=", "-e", "B=1", "-e", "B=2"], "echo \"[$A] $B\"", "[] 2"),
            (&["-u", "alice:staff"], "id -u; id -g", "1000\n50"),
            (&["-u", ":50"], "id -u; id -g", "0\n50"),
            (&["-u", "1234"], "id -u; id -g; id -G", "1234\n0\n0"),
            (&["--sysctl", "kernel.shmmax=1000"], "cat /proc/sys/kernel/shmmax", "1000"),
            (
                &["--sysctl", "net.ipv4.ip_unprivileged_port_start=80"],
                "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
                "80",
            ),
            (&["--security-opt", "no-new-privileges"], "grep NoNew /proc/self/status | cut -f 2", "1"),
            (&["--security-opt", "seccomp=unconfined"], "grep Seccomp: /proc/self/status | cut -f 2", "0"),
            (
                &["--tmpfs", "/x:size=1m,exec,mode=700,uid=5"],
                "grep ' /x ' /proc/mounts | grep -c noexec; stat -c %u:%a /x; df -k /x | tail -n 1 | awk '{print $2}'",
                "0\n5:700\n1024",
            ),
            (&["--mount", "type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=700"], "stat -c %a /x", "700"),
            (&["--shm-size", "10m"], "df -k /dev/shm | tail -n 1 | awk '{print $2}'", "10240"),
            (
                &["--device", "/dev/null:/dev/x"],
                "echo y >/dev/x; stat -c %F /dev/x",
                "character special file",
            ),
            (&["--oom-score-adj", "100"], "cat /proc/self/oom_score_adj", "100"),
            (
                &["--read-only", "--tmpfs", "/run"],
                "touch /x 2>&1 | cut -d: -f 3; touch /run/x",
                "Read-only file system",
            ),
            (&["--add-host", "h:1.2.3.4"], "grep -c '^1.2.3.4\th$' /etc/hosts", "1"),
            (&["--pid", "host"], "test $$ -gt 1 && echo host", "host"),
        ] {
            let command = ["busybox", "sh", "-c", script];
            let outcome = side.docker(&[&["run", "--rm"], options, &command[..]].concat());
            let shown: Vec<&str> = outcome.stdout.lines().map(str::trim).collect();
            assert_eq!(shown.join("\n"), output, "{}: {options:?}: {outcome:#?}", side.who);
        }
    }
}

#[test]
fn who_cannot_be_found_is_said_alone() {
    let node = Node::start();
    let range = "uids and gids must be in range 0-2147483647";
    for side in sides(&node) {
        for (options, words) in [
            (["-u", "no-such"], "unable to find user no-such: no matching entries in passwd file"),
            (["-u", "0:no-such"], "unable to find group no-such: no matching entries in group file"),
            (["-u", "2147483648"], range),
            (["--group-add", "no-such"], "unable to find group no-such: no matching entries in group file"),
            (["--group-add", "99999999999"], range),
        ] {
            let said =
                side.docker(&[&["run", "--rm"], &options[..], &["busybox", "true"]].concat()).fails(125);
            let whole = format!("docker: Error response from daemon: {words}");
            assert!(said.contains(&whole), "{}: {options:?}: {said}", side.who);
        }
    }
}

#[test]
fn the_working_directory_is_made_with_the_container() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("directory");
        side.docker(&["create", "--name", &name, "-w", "/made/here/", "busybox"]).ok();
        let shown = side.docker(&["inspect", "-f", "{{.Config.WorkingDir}}", &name]).ok();
        assert_eq!(shown, "/made/here", "{}", side.who);
        let changed = side.docker(&["diff", &name]).ok();
        assert!(changed.contains("A /made/here"), "{}: {changed}", side.who);
        side.docker(&["cp", "/etc/hostname", &format!("{name}:/made/here/")]).ok();
        side.docker(&["rm", &name]).ok();
    }
}
