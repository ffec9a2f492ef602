//! Docker's API over TCP with mutual TLS.

use std::path::Path;

use gantry_tests::{Node, Outcome};

const ADDRESS: &str = "127.0.0.1:2376";

/// Makes an authority with certificates for a server and a client, and another authority with one for a stranger.
fn certificates(folder: &Path) {
    let script = r#"
        subject() { printf '/CN=%s' "$1"; }
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "$(subject authority)" -keyout ca-key.pem -out ca.pem
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "$(subject stranger)" -keyout stranger-key.pem -out stranger.pem
        for name in server client; do
          openssl req -newkey rsa:2048 -nodes -subj "$(subject $name)" -keyout $name-key.pem -out $name.csr
          printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=%sAuth' $name > extensions
          openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile extensions -out $name.pem
        done
    "#;
    let mut command = std::process::Command::new("bash");
    command.args(["-euc", script]).current_dir(folder);
    Outcome::of(command, b"").ok();
}

#[test]
fn tcp_is_for_who_has_a_certificate() {
    let node = Node::start();
    node.gantry(&["down"]).ok();
    let folder = node.root().join("settings");
    std::fs::create_dir(&folder).expect("a folder");
    certificates(&folder);
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (ca, cert, key) = (path("ca.pem"), path("server.pem"), path("server-key.pem"));
    let settings =
        format!("[tls]\nlisten = [\"{ADDRESS}\"]\nca = \"{ca}\"\ncert = \"{cert}\"\nkey = \"{key}\"\n");
    std::fs::write(folder.join("gateway.toml"), settings).expect("written");
    node.gantry(&["up", "--detach", "--config", &folder.to_string_lossy()]).ok();

    let docker = |who: &str, arguments: &[&str], input: &[u8]| {
        let client = node.docker_command(&[]);
        let mut command = node.inside(Path::new(client.get_program()));
        command.args(["-H", &format!("tcp://{ADDRESS}"), "--tlsverify", "--tlscacert", &ca]);
        command.args([
            "--tlscert",
            &path(&format!("{who}.pem")),
            "--tlskey",
            &path(&format!("{who}-key.pem")),
        ]);
        Outcome::of(
            {
                command.args(arguments);
                command
            },
            input,
        )
    };
    assert_eq!(
        docker("client", &["run", "--rm", "-i", "busybox", "cat"], b"through TLS").ok(),
        "through TLS"
    );
    let long = "x".repeat(4 << 20);
    let echoed = docker("client", &["run", "--rm", "-i", "busybox", "cat"], long.as_bytes()).ok();
    assert_eq!(echoed.len(), long.len());
    let refused = docker("stranger", &["version"], b"");
    assert_ne!(refused.code, 0, "{refused:?}");
    let plain = node.inside(Path::new("curl"));
    let mut plain = plain;
    plain.args(["-sS", "--cacert", &ca, &format!("https://{ADDRESS}/_ping")]);
    assert_ne!(Outcome::of(plain, b"").code, 0, "no certificate, no answer");
}
