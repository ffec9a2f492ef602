//! Volumes of containers: their owners, and their removal.

use gantry_tests::{Node, Side, sides};

/// The name of the volume at a path of a container.
fn volume_at(side: &Side, name: &str, place: &str) -> String {
    let template = format!(
        "{{{{range .Mounts}}}}{{{{if eq .Destination \"{place}\"}}}}{{{{.Name}}}}{{{{end}}}}{{{{end}}}}"
    );
    side.docker(&["inspect", "-f", &template, name]).ok()
}

fn exists(side: &Side, volume: &str) -> bool {
    side.docker(&["volume", "inspect", volume]).code == 0
}

#[test]
fn an_anonymous_volume_goes_with_the_last_that_has_it() {
    let node = Node::start();
    for side in sides(&node) {
        let (first, second, third) = (side.name("first"), side.name("second"), side.name("third"));
        let (named, made) = (side.name("named"), side.name("made"));
        let mount = format!("{named}:/named");
        side.docker(&["create", "--name", &first, "-v", "/anon", "-v", &mount, "busybox"]).ok();
        side.docker(&["create", "--name", &second, "--volumes-from", &first, "busybox"]).ok();
        side.docker(&["create", "--name", &third, "--volumes-from", &format!("{second}:ro"), "busybox"]).ok();
        let anonymous = volume_at(&side, &first, "/anon");
        assert_eq!(volume_at(&side, &third, "/anon"), anonymous, "{}", side.who);
        let template = "{{range .Mounts}}{{.RW}} {{end}}";
        assert_eq!(side.docker(&["inspect", "-f", template, &third]).ok(), "false false", "{}", side.who);
        side.docker(&["rm", "-v", &first, &second]).ok();
        assert!(exists(&side, &anonymous), "{}: the third has it", side.who);
        side.docker(&["rm", "-v", &third]).ok();
        assert!(!exists(&side, &anonymous), "{}: nobody has it", side.who);
        assert!(exists(&side, &named), "{}: it has a name", side.who);
        side.docker(&["volume", "rm", &named]).ok();

        // `docker rm -f` keeps the volumes that the container's own end would remove.
        side.docker(&["run", "-d", "--rm", "--name", &made, "-v", "/anon", "busybox", "sleep", "1000"]).ok();
        let anonymous = volume_at(&side, &made, "/anon");
        side.docker(&["rm", "-f", &made]).ok();
        assert!(exists(&side, &anonymous), "{}: its user removed it", side.who);
        side.docker(&["volume", "rm", &anonymous]).ok();
    }
}

#[test]
fn mount_points_are_shown_as_they_were_asked_for() {
    let node = Node::start();
    for side in sides(&node) {
        let (name, volume) = (side.name("shown"), side.name("volume"));
        for (mount, shown) in [
            ("VOLUME:/v", "volume /v z true "),
            ("VOLUME:/v:ro,nocopy", "volume /v ro,nocopy false "),
            ("/v", "volume /v  true "),
            ("/tmp:/v", "bind /v  true rprivate"),
            ("/tmp:/v:ro,rslave,z", "bind /v ro,rslave,z false rslave"),
        ] {
            let mount = mount.replace("VOLUME", &volume);
            side.docker(&["create", "--name", &name, "-v", &mount, "busybox"]).ok();
            let template =
                "{{range .Mounts}}{{.Type}} {{.Destination}} {{.Mode}} {{.RW}} {{.Propagation}}{{end}}";
            let outcome = side.docker(&["inspect", "-f", template, &name]);
            assert_eq!(outcome.stdout.trim_end_matches('\n'), shown, "{}: {mount}", side.who);
            side.docker(&["rm", "-v", &name]).ok();
        }
        side.docker(&["volume", "rm", &volume]).ok();
    }
}
